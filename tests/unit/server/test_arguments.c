/* Command lines: what is read, and what a wrong one is told. */
#include "server/command.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 600 };

static const struct argument KNOWN[] = {{"space", false}, {"max", false}, {"no-verify", true}};

/* The words of a command line as "0=x -2=y" and so on, or the failure's sentence. */
static void read_all(char **words, int n, char ret_text[TEXT_MAX])
{
    struct arguments arguments = {.argc = n, .argv = words, .known = KNOWN, .n_known = TL_COUNT_OF(KNOWN)};
    struct tl_err err = {0};
    const char *value = NULL;
    int which = 0;
    size_t at = 0;
    ret_text[0] = '\0';
    while (!arguments_next(&arguments, &which, &value, &err) && which != ARGUMENT_END) {
        at += (size_t)snprintf(ret_text + at, TEXT_MAX - at, "%d=%s ", which, value);
    }
    if (err.rc) {
        (void)snprintf(ret_text, TEXT_MAX, "%d: %s", (int)err.rc, err.text);
    }
}

#define reads(expected, ...)                                                                                           \
    do {                                                                                                               \
        char *words[] = {__VA_ARGS__};                                                                                 \
        char text[TEXT_MAX];                                                                                           \
        read_all(words, (int)TL_COUNT_OF(words), text);                                                                \
        assert_string_equal(text, expected);                                                                           \
    } while (0)

#define word(text) ((char[]){text})

static void options_and_words_come_in_any_order(void **state)
{
    (void)state;
    reads("-2=list 0=s -2=x 2= 1=a=b ", word("list"), word("--space"), word("s"), word("x"), word("--no-verify"),
          word("--max=a=b"));
    reads("0= -2=-5 ", word("--space="), word("-5"));
    reads("0=--max ", word("--space"), word("--max"));
    reads("-2=--space -2=-- ", word("--"), word("--space"), word("--"));
}

static void a_wrong_option_is_told_the_right_one(void **state)
{
    (void)state;
    reads("2: there is no option --spase; did you mean --space?", word("--spase"), word("x"));
    reads("2: there is no option --colour; --help lists them", word("--colour"));
    reads("2: there is no option --; --help lists them", word("--=x"));
    reads("2: --space needs a value", word("--space"));
    reads("2: --no-verify takes no value", word("--no-verify=1"));
}

static void numbers_are_whole_and_within_their_range(void **state)
{
    static const char *const bad[] = {"", "x", "1x", "0", "11", "1.5", "99999999999999999999"};
    int64_t number = 7;
    double real = 7;
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(argument_int("n", "10", 1, 10, &number, NULL), TL_OK);
    assert_int_equal(number, 10);
    for (size_t i = 0; i < TL_COUNT_OF(bad); i++) {
        assert_int_equal(argument_int("n", bad[i], 1, 10, &number, NULL), TL_INVALID);
        assert_int_equal(number, 10);
    }
    assert_int_equal(argument_real("wait", "2.5", 0, 10, &real, NULL), TL_OK);
    assert_true(real == 2.5);
    assert_int_equal(argument_real("wait", "nan", 0, 10, &real, NULL), TL_INVALID);
    assert_int_equal(argument_real("wait", "inf", 0, 10, &real, &err), TL_INVALID);
    assert_string_equal(err.text, "--wait wants a number from 0 to 10, not \"inf\"");
    assert_int_equal(argument_real("wait", NULL, 0, 10, &real, NULL), TL_OK);
    assert_int_equal(argument_int("n", NULL, 1, 10, &number, NULL), TL_OK);
    assert_true(real == 2.5 && number == 10);
}

static void a_space_is_a_name_or_a_family_file(void **state)
{
    char name[ARGUMENT_SPACE] = "as it was";
    (void)state;
    assert_int_equal(argument_space("No Name", name, NULL), TL_INVALID);
    assert_int_equal(argument_space("/nowhere/at-all.json", name, NULL), TL_NOT_FOUND);
    assert_string_equal(name, "as it was");
    assert_int_equal(argument_space("a-space-that-only-the-server-knows", name, NULL), TL_OK);
    assert_string_equal(name, "a-space-that-only-the-server-knows");
    assert_int_equal(argument_space("supernet/families/cifar-mbv3.json", name, NULL), TL_OK);
    assert_string_equal(name, "cifar-mbv3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_words_come_in_any_order),
        cmocka_unit_test(a_wrong_option_is_told_the_right_one),
        cmocka_unit_test(numbers_are_whole_and_within_their_range),
        cmocka_unit_test(a_space_is_a_name_or_a_family_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
