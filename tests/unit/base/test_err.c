/* Failures: what is recorded, what survives, and that a record is always valid text. */
#include "base/base.h"

#include <cmocka.h>
#include <errno.h>
#include <string.h>

static void a_failure_says_what_and_where(void **state)
{
    (void)state;
    struct tl_err err = {0};
    int line = __LINE__ + 1;
    assert_int_equal(tl_fail(&err, TL_CONFLICT, "search %s is %s", "s1", "finished"), TL_CONFLICT);
    assert_int_equal(err.rc, TL_CONFLICT);
    assert_int_equal(err.line, line);
    assert_non_null(strstr(err.file, "test_err.c"));
    assert_string_equal(err.text, "search s1 is finished");
    assert_string_equal(err.pointer, "");
    assert_int_equal(err.sys, 0);
}

static void the_first_record_wins(void **state)
{
    (void)state;
    struct tl_err err = {0};
    assert_int_equal(tl_fail_at(&err, TL_INVALID, "/budget", "first"), TL_INVALID);
    assert_int_equal(tl_fail(&err, TL_IO, "second"), TL_IO);
    errno = EACCES;
    assert_int_equal(tl_fail_sys(&err, "third"), TL_IO);
    assert_int_equal(err.rc, TL_INVALID);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.pointer, "/budget");
    assert_string_equal(err.text, "first");
}

static void nobody_needs_to_listen(void **state)
{
    (void)state;
    assert_int_equal(tl_fail(NULL, TL_BUSY, "full"), TL_BUSY);
    assert_int_equal(tl_fail_sys(NULL, "full"), TL_IO);
}

static void a_system_failure_brings_its_reason(void **state)
{
    (void)state;
    struct tl_err err = {0};
    errno = ENOENT;
    assert_int_equal(tl_fail_sys(&err, "cannot open %s", "x"), TL_IO);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(err.text, "cannot open x: No such file or directory");
}

static void text_that_is_too_long_is_cut_between_characters(void **state)
{
    (void)state;
    char text[600] = "";
    for (size_t i = 0; i + 3 < sizeof text; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 4); /* the euro sign: 480 - 1 is not a multiple of 3 */
    }
    struct tl_err err = {0};
    assert_int_equal(tl_fail_at(&err, TL_INVALID, text, "%s", text), TL_INVALID);
    size_t n = strlen(err.text);
    assert_int_equal(n, sizeof err.text - 1);
    assert_memory_equal(err.text + n - 5, "\xe2\x82\xac??", 5);
    assert_int_equal(strlen(err.pointer), sizeof err.pointer - 1);
}

static void bytes_that_are_no_text_become_question_marks(void **state)
{
    (void)state;
    static const struct {
        const char *given, *kept;
    } cases[] = {
        {"\xff", "?"},
        {"a\x80z", "a?z"},
        {"\xc0\xaf", "??"},           /* an overlong slash */
        {"\xe0\x80\xaf", "???"},      /* overlong in three */
        {"\xed\xa0\x80", "???"},      /* a surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* beyond U+10FFFF */
        {"\xc3", "?"},                /* cut off */
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct tl_err err = {0};
        assert_int_equal(tl_fail(&err, TL_INVALID, "%s", cases[i].given), TL_INVALID);
        assert_string_equal(err.text, cases[i].kept);
    }
}

static void a_failure_names_its_file_once(void **state)
{
    (void)state;
    struct tl_err err = {0};
    char path[600];
    assert_int_equal(tl_fail_in(&err, TL_OK, "a.json"), TL_OK);
    assert_string_equal(err.text, "");
    assert_int_equal(tl_fail_in(&err, tl_fail_at(&err, TL_INVALID, "/x", "x is 0"), "a.json"), TL_INVALID);
    assert_int_equal(tl_fail_in(&err, TL_INVALID, "a.json"), TL_INVALID);
    assert_string_equal(err.text, "a.json: x is 0");
    assert_string_equal(err.pointer, "/x");
    assert_int_equal(tl_fail_in(NULL, TL_IO, "a.json"), TL_IO);
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(tl_fail_in(&err, TL_INVALID, path), TL_INVALID);
    assert_non_null(strstr(err.text, "p: a.json: x is 0"));
}

static void every_result_has_one_status_and_title(void **state)
{
    (void)state;
    static const int status[TL_RC_COUNT] = {200, 400, 422, 404, 403, 409, 413, 503, 503, 500, 500};
    for (int rc = 0; rc < TL_RC_COUNT; rc++) {
        assert_int_equal(tl_rc_http((enum tl_rc)rc), status[rc]);
        assert_true(strlen(tl_rc_title((enum tl_rc)rc)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_says_what_and_where),
        cmocka_unit_test(the_first_record_wins),
        cmocka_unit_test(nobody_needs_to_listen),
        cmocka_unit_test(a_system_failure_brings_its_reason),
        cmocka_unit_test(text_that_is_too_long_is_cut_between_characters),
        cmocka_unit_test(bytes_that_are_no_text_become_question_marks),
        cmocka_unit_test(a_failure_names_its_file_once),
        cmocka_unit_test(every_result_has_one_status_and_title),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
