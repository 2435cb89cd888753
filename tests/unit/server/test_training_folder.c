/* The folder of a training: one program's, and cleared of what was left half written. */
#include "server/training_folder.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/tailor-folder-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static void touch(const char *name)
{
    char path[TRAINING_PATH_BYTES];
    training_folder_path(dir, name, path);
    assert_int_equal(tl_file_write(path, "x", 1, NULL), TL_OK);
}

static bool is_there(const char *name)
{
    char path[TRAINING_PATH_BYTES];
    training_folder_path(dir, name, path);
    return access(path, F_OK) == 0;
}

static void the_second_to_take_a_folder_is_refused_until_the_first_lets_go(void **state)
{
    (void)state;
    struct tl_err err = {0};
    int first = -1, second = -1;
    assert_int_equal(training_folder_take(dir, &first, &err), TL_OK);
    assert_int_equal(training_folder_take(dir, &second, &err), TL_CONFLICT);
    assert_non_null(strstr(err.text, dir));
    assert_int_equal(second, -1);
    close(first);
    err = (struct tl_err){0};
    assert_int_equal(training_folder_take(dir, &second, &err), TL_OK);
    close(second);
}

static void what_a_killed_program_left_half_written_is_removed_and_nothing_else(void **state)
{
    (void)state;
    static const char left[] = "checkpoint.safetensors.01234567-89ab-4cde-8f01-23456789abcd.tmp";
    static const char *const others[] = {"checkpoint.safetensors", "checkpoint.safetensors.tmp", "notes.tmp",
                                         "other.safetensors.01234567-89ab-4cde-8f01-23456789abcd.tmp"};
    int fd = -1;
    touch(left);
    for (size_t i = 0; i < TL_COUNT_OF(others); i++) {
        touch(others[i]);
    }
    assert_int_equal(training_folder_take(dir, &fd, NULL), TL_OK);
    close(fd);
    assert_false(is_there(left));
    for (size_t i = 0; i < TL_COUNT_OF(others); i++) {
        char path[TRAINING_PATH_BYTES];
        assert_true(is_there(others[i]));
        training_folder_path(dir, others[i], path);
        assert_int_equal(tl_file_remove(path, NULL), TL_OK);
    }
}

static void a_folder_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static char longest[TRAINING_PATH_BYTES];
    struct tl_err err = {0};
    int fd = -1;
    assert_int_equal(training_folder_take("/proc/none/here", &fd, &err), TL_IO);
    memset(longest, 'x', sizeof longest - 1);
    err = (struct tl_err){0};
    assert_int_equal(training_folder_take(longest, &fd, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "--output"));
    err = (struct tl_err){0};
    assert_int_equal(training_folder_take("/proc", &fd, &err), TL_IO); /* there, and nothing can be made in it */
    assert_non_null(strstr(err.text, "/proc"));
    assert_int_equal(fd, -1);
}

static int remove_dir(void **state)
{
    (void)state;
    char path[TRAINING_PATH_BYTES];
    training_folder_path(dir, "tailor.lock", path);
    return unlink(path) || rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_to_take_a_folder_is_refused_until_the_first_lets_go),
        cmocka_unit_test(what_a_killed_program_left_half_written_is_removed_and_nothing_else),
        cmocka_unit_test(a_folder_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
