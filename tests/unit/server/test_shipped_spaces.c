/* The spaces of search/spaces/ have as many architectures as what they are of. */
#include "server/codec_space_file.h"

#include <cmocka.h>
#include <string.h>

static const struct {
    const char *name, *count;
} shipped[] = {
    {"nas-bench-201", "15625"},                                      /* 5^6 */
    {"nasbench-macro-ops", "6561"},                                  /* 3^8 */
    {"fbnet", "984770902183611232881"},                              /* 9^22 */
    {"proxylessnas", "221502229807900608"},                          /* 6^6 * 7^15 */
    {"tunas-mbv3", "423897010339916076619597458552787778690162688"}, /* 2 * 7^8 * (36 * 37^3)^6 */
    {"mobiledets-tdb", "64434004193064714378412032"},                /* (7 * 12^4)^5 */
    {"mnasnet-factorised", "2807929681968365568"},                   /* 432^7 */
    {"yoco-bert", "8978450780160"},                                  /* 12^6 + 12^8 + 12^10 + 12^12 */
    {"hat-space0", "417846678672384"},                               /* 4 * 6^6 * (36 + 36^2 + .. + 36^6) */
    {"gan-compression", "390625"},                                   /* 5^8 */
    {"pruning-16-layers", "288441413567621167681"},                  /* 19^16 */
};

static void every_shipped_space_has_its_exact_number(void **state)
{
    static struct space space;
    static struct space_about about;
    struct tl_err err = {0};
    char count[SPACE_COUNT_TEXT];
    size_t n = 0;
    (void)state;
    for (const char *text = space_file_texts; *text; text += strlen(text) + 1, n++) {
        if (space_file_decode(text, strlen(text), &space, &about, &err) != TL_OK) {
            fail_msg("space %zu, %s: %s", n, err.pointer, err.text);
        }
        assert_true(n < TL_COUNT_OF(shipped));
        space_count(&space, count);
        assert_string_equal(space.name, shipped[n].name);
        assert_string_equal(count, shipped[n].count);
        assert_true(about.title[0] && about.source[0]);
    }
    assert_int_equal(n, TL_COUNT_OF(shipped));
}

/* The number is part of each file, so that a change to one of its variables is refused. */
static void every_shipped_file_states_its_number(void **state)
{
    (void)state;
    for (const char *text = space_file_texts; *text; text += strlen(text) + 1) {
        assert_non_null(strstr(text, "\"count\": \""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shipped_space_has_its_exact_number),
        cmocka_unit_test(every_shipped_file_states_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
