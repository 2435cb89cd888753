#include "alloc_fail.h"
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static int setup(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);
    assert_non_null(folder);
    folder_make(folder);
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    struct folder *folder = *state;
    folder_remove(folder->path);
    free(folder);
    return 0;
}

static struct store *open_store(const struct folder *folder)
{
    struct store *store = NULL;
    assert_ok(store_open(folder->path, NULL, &store, &err));
    return store;
}

static char pi[] = "pi";
static char late[] = "late";

static enum tl_rc put_device(struct store_tx *tx, void *name, struct tl_err *err)
{
    const struct store_device device = {.name = name, .agent_key = "k"};
    return store_device_put(tx, &device, err);
}

static enum tl_rc count_device(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)device;
    (void)err;
    ++*(int *)ctx;
    return TL_OK;
}

static enum tl_rc count_devices(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    *(int *)ctx = 0;
    return store_device_list(tx, ALL_ROWS, count_device, ctx, err);
}

static int n_devices(struct store *store)
{
    int n = 0;
    assert_ok(store_read(store, count_devices, &n, &err));
    return n;
}

/* Run SQL on the database file of a store that is closed. */
static void tamper(const struct folder *folder, const char *sql)
{
    char path[512];
    path_in(folder->path, "tailor.db", path);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void what_was_written_is_there_after_opening_again(void **state)
{
    const struct folder *folder = *state;
    struct store *store = open_store(folder);
    assert_string_equal(store_dir(store), folder->path);
    assert_int_equal(n_devices(store), 0);
    assert_ok(store_write(store, put_device, pi, &err));
    assert_int_equal(n_devices(store), 1);
    store_close(store);
    store = open_store(folder);
    assert_int_equal(n_devices(store), 1);
    store_close(store);
}

static void a_second_open_is_refused_until_the_first_is_closed(void **state)
{
    const struct folder *folder = *state;
    struct store *store = open_store(folder);
    struct store *second = NULL;
    assert_fails(TL_CONFLICT, store_open(folder->path, NULL, &second, &err));
    assert_null(second);
    store_close(store);
    store_close(open_store(folder));
}

static void the_log_is_folded_into_the_file_at_close(void **state)
{
    const struct folder *folder = *state;
    struct store *store = open_store(folder);
    assert_ok(store_write(store, put_device, pi, &err));
    char log[512];
    path_in(folder->path, "tailor.db-wal", log);
    assert_int_equal(access(log, F_OK), 0);
    store_close(store);
    assert_int_not_equal(access(log, F_OK), 0);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    const struct folder *folder = *state;
    store_close(open_store(folder));
    tamper(folder, "PRAGMA user_version = 1000");
    struct store *store = NULL;
    assert_fails(TL_CONFLICT, store_open(folder->path, NULL, &store, &err));
    assert_null(store);
    tamper(folder, "PRAGMA user_version = 3");
    store_close(open_store(folder));
}

static void a_database_of_another_program_is_refused(void **state)
{
    const struct folder *folder = *state;
    tamper(folder, "CREATE TABLE device (x)");
    struct store *store = NULL;
    assert_fails(TL_CONFLICT, store_open(folder->path, NULL, &store, &err));
    tamper(folder, "DROP TABLE device; PRAGMA application_id = 7");
    assert_fails(TL_CONFLICT, store_open(folder->path, NULL, &store, &err));
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    const struct folder *folder = *state;
    char path[512];
    path_in(folder->path, "tailor.db", path);
    static const char text[] =
        "this is a letter to a friend, and it is long enough to be taken for a page of something";
    assert_ok(tl_file_write(path, text, sizeof text, &err));
    struct store *store = NULL;
    assert_fails(TL_IO, store_open(folder->path, NULL, &store, &err));
    assert_null(store);
}

static void a_folder_that_cannot_be_made_is_refused(void **state)
{
    const struct folder *folder = *state;
    char path[512];
    path_in(folder->path, "file", path);
    assert_ok(tl_file_write(path, "x", 1, &err));
    path_in(folder->path, "file/store", path);
    struct store *store = NULL;
    assert_fails(TL_IO, store_open(path, NULL, &store, &err));
    assert_null(store);
}

static void writing_inside_a_read_fails(void **state)
{
    struct store *store = open_store(*state);
    assert_fails(TL_CONFLICT, store_read(store, put_device, pi, &err));
    assert_int_equal(n_devices(store), 0);
    store_close(store);
}

struct two_counts {
    struct store *store;
    int before;
    int after;
};

static enum tl_rc count_around_a_write(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct two_counts *counts = ctx;
    enum tl_rc rc = count_devices(tx, &counts->before, err);
    rc = rc ? rc : store_write(counts->store, put_device, late, err);
    return rc ? rc : count_devices(tx, &counts->after, err);
}

static void a_read_sees_one_snapshot(void **state)
{
    struct two_counts counts = {.store = open_store(*state), .before = -1, .after = -1};
    assert_ok(store_read(counts.store, count_around_a_write, &counts, &err));
    assert_int_equal(counts.before, 0);
    assert_int_equal(counts.after, 0);
    assert_int_equal(n_devices(counts.store), 1);
    store_close(counts.store);
}

static enum tl_rc stop_at_once(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    (void)tx;
    (void)ctx;
    return tl_fail(err, TL_TOO_LARGE, "enough");
}

static void the_failure_of_a_closure_is_the_result(void **state)
{
    struct store *store = open_store(*state);
    assert_fails(TL_TOO_LARGE, store_read(store, stop_at_once, NULL, &err));
    assert_fails(TL_TOO_LARGE, store_write(store, stop_at_once, NULL, &err));
    assert_int_equal(store_write(store, stop_at_once, NULL, NULL), TL_TOO_LARGE);
    assert_int_equal(n_devices(store), 0);
    store_close(store);
}

struct crowd {
    struct store *store;
    _Atomic int n_served;
};

static void *read_often(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < 50; i++) {
        int n = 0;
        if (store_read(crowd->store, count_devices, &n, NULL) == TL_OK && n == 1) {
            crowd->n_served++;
        }
    }
    return NULL;
}

static void more_threads_than_readers_are_all_served(void **state)
{
    enum { THREADS = STORE_READERS * 3 };
    struct crowd crowd = {.store = open_store(*state)};
    assert_ok(store_write(crowd.store, put_device, pi, &err));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(crowd.n_served, THREADS * 50);
    store_close(crowd.store);
}

struct pragma {
    const char *sql;
    int64_t value;
};

static enum tl_rc read_pragma(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct pragma *pragma = ctx;
    TL_AUTO(store_stmt) st = store_stmt_open(tx, pragma->sql);
    return store_stmt_int(&st, &pragma->value, err);
}

static void the_writer_syncs_every_commit_and_readers_cannot_write(void **state)
{
    struct store *store = open_store(*state);
    struct pragma synchronous = {.sql = "PRAGMA synchronous"};
    struct pragma foreign_keys = {.sql = "PRAGMA foreign_keys"};
    struct pragma query_only = {.sql = "PRAGMA query_only"};
    assert_ok(store_write(store, read_pragma, &synchronous, &err));
    assert_ok(store_write(store, read_pragma, &foreign_keys, &err));
    assert_ok(store_read(store, read_pragma, &query_only, &err));
    assert_int_equal(synchronous.value, 2);
    assert_int_equal(foreign_keys.value, 1);
    assert_int_equal(query_only.value, 1);
    store_close(store);
}

static enum tl_rc open_write_read_close(void *ctx, struct tl_err *err)
{
    const struct folder *folder = ctx;
    struct store *store = NULL;
    enum tl_rc rc = store_open(folder->path, NULL, &store, err);
    struct tl_hash hash;
    rc = rc ? rc : store_blob_put(store, "x", 1, &hash, err);
    TL_AUTO(tl_buf) buf = {0};
    rc = rc ? rc : store_blob_get(store, &hash, &buf, err);
    int n = 0;
    rc = rc ? rc : store_write(store, put_device, pi, err);
    rc = rc ? rc : store_read(store, count_devices, &n, err);
    store_close(store);
    return rc;
}

static void a_store_that_cannot_be_opened_for_want_of_memory_leaves_nothing_behind(void **state)
{
    assert_true(alloc_fail_each(open_write_read_close, *state) >= 4);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    store_close(NULL);
}

#define folder_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        folder_test(what_was_written_is_there_after_opening_again),
        folder_test(a_second_open_is_refused_until_the_first_is_closed),
        folder_test(the_log_is_folded_into_the_file_at_close),
        folder_test(a_newer_schema_is_refused_and_left_alone),
        folder_test(a_database_of_another_program_is_refused),
        folder_test(a_file_that_is_no_database_is_refused),
        folder_test(a_folder_that_cannot_be_made_is_refused),
        folder_test(writing_inside_a_read_fails),
        folder_test(a_read_sees_one_snapshot),
        folder_test(the_failure_of_a_closure_is_the_result),
        folder_test(more_threads_than_readers_are_all_served),
        folder_test(the_writer_syncs_every_commit_and_readers_cannot_write),
        folder_test(a_store_that_cannot_be_opened_for_want_of_memory_leaves_nothing_behind),
        cmocka_unit_test(closing_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
