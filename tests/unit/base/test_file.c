/* Files that are complete or absent, in a folder of this test's own. */
#include "alloc_fail.h"
#include "base/base.h"

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *next = path[turn++ % 4];
    snprintf(next, sizeof path[0], "%s/%s", folder, name);
    return next;
}

static size_t files_in_folder(void)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t n = 0;
    while (readdir(dir)) { /* NOLINT(concurrency-mt-unsafe): one thread */
        n++;
    }
    closedir(dir);
    return n - 2; /* . and .. */
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tailor-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"f", "other", "big", "a/b/c", "a/b", "a"};
    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        (void)remove(in_folder(names[i]));
    }
    return rmdir(folder);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct tl_err err = {0};
    assert_int_equal(tl_file_write(in_folder("f"), "a\0b", 3, &err), TL_OK);
    TL_AUTO(tl_buf) buf = {0};
    assert_int_equal(tl_file_read(in_folder("f"), &buf, &err), TL_OK);
    assert_int_equal(buf.len, 3);
    assert_memory_equal(buf.data, "a\0b", 4);
    assert_int_equal(tl_file_read(in_folder("f"), &buf, &err), TL_OK); /* appends */
    assert_memory_equal(buf.data, "a\0ba\0b", 7);
}

static void an_empty_file_is_empty_text(void **state)
{
    (void)state;
    assert_int_equal(tl_file_write(in_folder("f"), NULL, 0, NULL), TL_OK);
    TL_AUTO(tl_buf) buf = {0};
    assert_int_equal(tl_file_read(in_folder("f"), &buf, NULL), TL_OK);
    assert_string_equal(buf.data, "");
}

static void a_big_file_survives(void **state)
{
    (void)state;
    enum { N = 300000 };
    unsigned char *bytes = malloc(N);
    struct tl_rng rng;
    tl_rng_init(&rng, 1, 0, 0);
    for (size_t i = 0; i < N; i++) {
        bytes[i] = (unsigned char)tl_rng_u64(&rng);
    }
    assert_int_equal(tl_file_write(in_folder("big"), bytes, N, NULL), TL_OK);
    TL_AUTO(tl_buf) buf = {.max = N};
    assert_int_equal(tl_file_read(in_folder("big"), &buf, NULL), TL_OK);
    assert_int_equal(buf.len, N);
    assert_memory_equal(buf.data, bytes, N);
    free(bytes);
}

static void a_file_over_the_limit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    enum { N = 40000 };
    char *bytes = calloc(1, N);
    assert_int_equal(tl_file_write(in_folder("big"), bytes, N, NULL), TL_OK);
    free(bytes);
    TL_AUTO(tl_buf) buf = {.max = N};
    assert_int_equal(tl_buf_add(&buf, "x", 1, NULL), TL_OK);
    struct tl_err err = {0};
    assert_int_equal(tl_file_read(in_folder("big"), &buf, &err), TL_TOO_LARGE);
    assert_string_equal(buf.data, "x");
    assert_int_equal(buf.len, 1);
}

static void a_missing_file_is_not_found(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {0};
    struct tl_err err = {0};
    assert_int_equal(tl_file_read(in_folder("none"), &buf, &err), TL_NOT_FOUND);
    assert_non_null(strstr(err.text, "none"));
    assert_null(buf.data);
    assert_int_equal(tl_file_read(folder, &buf, NULL), TL_IO); /* a folder is no file */
}

static void a_file_is_replaced_whole_and_leaves_no_trace(void **state)
{
    (void)state;
    size_t before = files_in_folder();
    assert_int_equal(tl_file_write(in_folder("other"), "long text", 9, NULL), TL_OK);
    assert_int_equal(tl_file_write(in_folder("other"), "short", 5, NULL), TL_OK);
    TL_AUTO(tl_buf) buf = {0};
    assert_int_equal(tl_file_read(in_folder("other"), &buf, NULL), TL_OK);
    assert_string_equal(buf.data, "short");
    assert_int_equal(files_in_folder(), before + 1);
}

static void a_write_that_fails_leaves_no_trace(void **state)
{
    (void)state;
    assert_int_equal(tl_dir_make(in_folder("a"), NULL), TL_OK);
    size_t before = files_in_folder();
    struct tl_err err = {0};
    assert_int_equal(tl_file_write(in_folder("a"), "x", 1, &err), TL_IO); /* cannot rename onto a folder */
    assert_int_equal(err.sys, EISDIR);
    assert_int_equal(files_in_folder(), before);
    assert_int_equal(tl_file_write(in_folder("no/such/f"), "x", 1, NULL), TL_IO);
}

static void a_secret_that_others_may_read_is_refused_with_the_remedy(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        enum tl_rc rc;
    } modes[] = {{0600, TL_OK},      {0400, TL_OK},      {0440, TL_OK},     {0644, TL_INVALID},
                 {0604, TL_INVALID}, {0602, TL_INVALID}, {0620, TL_INVALID}};
    assert_int_equal(tl_file_write(in_folder("f"), "secret", 6, NULL), TL_OK);
    for (size_t i = 0; i < TL_COUNT_OF(modes); i++) {
        TL_AUTO(tl_buf) buf = {0};
        struct tl_err err = {0};
        assert_int_equal(chmod(in_folder("f"), modes[i].mode), 0);
        assert_int_equal(tl_secret_read(in_folder("f"), &buf, &err), modes[i].rc);
        assert_true(modes[i].rc ? !buf.data && strstr(err.text, "chmod 600") : strcmp(buf.data, "secret") == 0);
    }
    assert_int_equal(tl_secret_read(in_folder("none"), &(struct tl_buf){0}, NULL), TL_NOT_FOUND);
    assert_int_equal(tl_secret_read(folder, &(struct tl_buf){0}, NULL), TL_INVALID);
    assert_int_equal(tl_file_remove(in_folder("f"), NULL), TL_OK);
}

static void a_removed_file_is_gone_and_may_be_removed_again(void **state)
{
    (void)state;
    assert_int_equal(tl_file_write(in_folder("f"), "x", 1, NULL), TL_OK);
    assert_int_equal(tl_file_remove(in_folder("f"), NULL), TL_OK);
    assert_int_equal(access(in_folder("f"), F_OK), -1);
    assert_int_equal(tl_file_remove(in_folder("f"), NULL), TL_OK);
    assert_int_equal(tl_dir_make(in_folder("a"), NULL), TL_OK);
    assert_int_equal(tl_file_remove(in_folder("a"), NULL), TL_IO); /* a folder */
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    assert_int_equal(tl_dir_make(in_folder("a//b/c/"), NULL), TL_OK);
    struct stat status;
    assert_int_equal(stat(in_folder("a/b/c"), &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(tl_dir_make(in_folder("a/b/c"), NULL), TL_OK);
    assert_int_equal(tl_dir_make("/", NULL), TL_OK);
    assert_int_equal(tl_dir_make(".", NULL), TL_OK);
    struct tl_err err = {0};
    assert_int_equal(tl_dir_make("", &err), TL_IO);
}

static void a_file_in_the_way_is_no_folder(void **state)
{
    (void)state;
    assert_int_equal(tl_file_write(in_folder("f"), "x", 1, NULL), TL_OK);
    struct tl_err err = {0};
    assert_int_equal(tl_dir_make(in_folder("f"), &err), TL_IO);
    assert_int_equal(err.sys, EEXIST);
    assert_int_equal(tl_dir_make(in_folder("f/g"), NULL), TL_IO);
}

static void a_path_without_a_folder_is_in_the_current_one(void **state)
{
    (void)state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(tl_file_write("f", "here", 4, NULL), TL_OK);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(access(in_folder("f"), R_OK), 0);
}

static enum tl_rc write_read_remove(void *ctx, struct tl_err *err)
{
    (void)ctx;
    TL_AUTO(tl_buf) buf = {0};
    enum tl_rc rc;
    if ((rc = tl_dir_make(in_folder("a/b"), err)) || (rc = tl_file_write(in_folder("f"), "xyz", 3, err)) ||
        (rc = tl_file_read(in_folder("f"), &buf, err))) {
        return rc;
    }
    assert_string_equal(buf.data, "xyz");
    return tl_file_remove(in_folder("f"), err);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    size_t before = files_in_folder();
    assert_true(alloc_fail_each(write_read_remove, NULL) >= 4);
    assert_in_range(files_in_folder(), before - 1, before + 1); /* "f" and "a" at most; no temporary file */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_empty_file_is_empty_text),
        cmocka_unit_test(a_big_file_survives),
        cmocka_unit_test(a_file_over_the_limit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(a_missing_file_is_not_found),
        cmocka_unit_test(a_file_is_replaced_whole_and_leaves_no_trace),
        cmocka_unit_test(a_write_that_fails_leaves_no_trace),
        cmocka_unit_test(a_secret_that_others_may_read_is_refused_with_the_remedy),
        cmocka_unit_test(a_removed_file_is_gone_and_may_be_removed_again),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(a_file_in_the_way_is_no_folder),
        cmocka_unit_test(a_path_without_a_folder_is_in_the_current_one),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
