/* The log: one line a message, whatever the message holds. Standard error is a pipe here. */
#include "base/base.h"

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

enum { PIPE_BYTES = 4096 };

/* What `write_some` writes to standard error, as text. */
static void caught(void (*write_some)(void), char ret_text[PIPE_BYTES])
{
    int ends[2];
    int before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    write_some();
    assert_true(dup2(before, STDERR_FILENO) >= 0); /* closes the pipe's last writing end */
    close(before);
    ssize_t n = read(ends[0], ret_text, PIPE_BYTES - 1);
    close(ends[0]);
    assert_true(n >= 0);
    ret_text[n] = '\0';
}

static void write_plain(void)
{
    tl_log(TL_LOG_WARNING, "agent", "spool holds %d files", 3);
}

static void a_line_has_time_level_and_topic(void **state)
{
    (void)state;
    char text[PIPE_BYTES];
    caught(write_plain, text);
    assert_int_equal(text[10], 'T');
    assert_string_equal(text + strlen("2026-11-21T06:30:00.123Z"), " warning agent: spool holds 3 files\n");
}

static void write_hostile(void)
{
    tl_log(TL_LOG_ERROR, "http", "path %s", "a\r\nfake line\x1b[2J\x7f");
}

static void a_message_cannot_begin_a_line_of_its_own(void **state)
{
    (void)state;
    char text[PIPE_BYTES];
    caught(write_hostile, text);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_non_null(strstr(text, "path a\\x0d\\x0afake line\\x1b[2J\\x7f"));
}

static void write_long(void)
{
    char message[3000];
    memset(message, '\n', sizeof message);
    message[sizeof message - 1] = '\0';
    tl_log(TL_LOG_INFO, "long", "%s", message);
}

static void a_long_line_is_cut_at_1024_bytes(void **state)
{
    (void)state;
    char text[PIPE_BYTES];
    caught(write_long, text);
    assert_in_range(strlen(text), 1020, 1024);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void write_all_levels(void)
{
    tl_log(TL_LOG_DEBUG, "t", "one");
    tl_log_level_set(TL_LOG_DEBUG);
    tl_log(TL_LOG_DEBUG, "t", "two");
    tl_log_level_set(TL_LOG_ERROR);
    tl_log(TL_LOG_WARNING, "t", "three");
    tl_log_level_set(TL_LOG_INFO);
}

static void lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    char text[PIPE_BYTES];
    caught(write_all_levels, text);
    assert_null(strstr(text, "one"));
    assert_non_null(strstr(text, "debug t: two"));
    assert_null(strstr(text, "three"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_and_topic),
        cmocka_unit_test(a_message_cannot_begin_a_line_of_its_own),
        cmocka_unit_test(a_long_line_is_cut_at_1024_bytes),
        cmocka_unit_test(lines_below_the_level_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
