/* Names, and the nearest of them. */
#include "base/base.h"

#include <cmocka.h>
#include <string.h>

static const char *const metrics[] = {"latency_ms", "macs", "params", "size_bytes", "peak_memory_bytes", "accuracy"};

static const char *nearest(const char *text)
{
    return tl_nearest(text, metrics, TL_COUNT_OF(metrics));
}

static void near_misses_find_their_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
    } cases[] = {
        {"latency_m", "latency_ms"},
        {"latnecy_ms", "latency_ms"},
        {"Latency_ms", "latency_ms"},
        {"latency_sm", "latency_ms"},
        {"latency", NULL},
        {"mac", "macs"},
        {"macs", "macs"},
        {"acuracy", "accuracy"},
        {"param", "params"},
        {"sizebytes", "size_bytes"},
        {"peak_memory", NULL},
        {"energy", NULL},
        {"", NULL},
        {"peek_memery_byte", "peak_memory_bytes"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        const char *found = nearest(cases[i].text);
        if (cases[i].name) {
            assert_non_null(found);
            assert_string_equal(found, cases[i].name);
        } else {
            assert_null(found);
        }
    }
}

static void the_nearest_wins_and_the_first_of_equals(void **state)
{
    (void)state;
    static const char *const names[] = {"depth1", "depth", "depth2", "width"};
    assert_ptr_equal(tl_nearest("depth", names, 4), names[1]);
    assert_ptr_equal(tl_nearest("depth3", names, 4), names[0]);
    assert_ptr_equal(tl_nearest("wdith", names, 4), names[3]);
}

static void one_letter_names_are_near_each_other(void **state)
{
    (void)state;
    static const char *const names[] = {"n"};
    assert_ptr_equal(tl_nearest("m", names, 1), names[0]);
    assert_null(tl_nearest("xyz", names, 1));
    assert_null(tl_nearest("n", names, 0));
}

static void text_of_any_length_is_harmless(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'a', sizeof longest);
    longest[65] = '\0';
    const char *const names[] = {longest, longest + 1};
    assert_null(tl_nearest(longest, names, 2)); /* 65: too long to be a name */
    assert_ptr_equal(tl_nearest(longest + 1, names, 2), names[1]);
    assert_ptr_equal(tl_nearest(longest + 5, names, 2), names[1]);
}

static void names_are_short_lower_case_and_plain(void **state)
{
    (void)state;
    static const char *const right[] = {"a",        "0",
                                        "rack3-pi", "ofa-mbv3-w1.0",
                                        "a_b.c-d",  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const char *const wrong[] = {
        "",    ".",        "..",        "-a",  "_a",
        ".a",  "A",        "a b",       "a/b", "a\n",
        "a\t", "\xc3\xa9", "../passwd", "a%",  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < TL_COUNT_OF(right); i++) {
        assert_true(tl_name_valid(right[i]));
    }
    for (size_t i = 0; i < TL_COUNT_OF(wrong); i++) {
        assert_false(tl_name_valid(wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_misses_find_their_name),
        cmocka_unit_test(the_nearest_wins_and_the_first_of_equals),
        cmocka_unit_test(one_letter_names_are_near_each_other),
        cmocka_unit_test(text_of_any_length_is_harmless),
        cmocka_unit_test(names_are_short_lower_case_and_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
