#include "fixture.h"

/* SQLite's own allocations, of which one can be made to fail. */
static sqlite3_mem_methods memory;
static size_t fail_in; /* 0: none */
static bool failed;

static bool fails_now(void)
{
    if (fail_in && --fail_in == 0) {
        failed = true;
        return true;
    }
    return false;
}

static void *allocate(int n)
{
    return fails_now() ? NULL : memory.xMalloc(n);
}

static void *reallocate(void *block, int n)
{
    return fails_now() ? NULL : memory.xRealloc(block, n);
}

/* Without lookaside every allocation comes through here. */
static int watch_memory(void **state)
{
    (void)state;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
    sqlite3_mem_methods watched = memory;
    watched.xMalloc = allocate;
    watched.xRealloc = reallocate;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &watched), SQLITE_OK);
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
    return 0;
}

static enum tl_rc no_measurement(void *ctx, const struct store_measurement *measurement, struct tl_err *err)
{
    (void)ctx;
    (void)err;
    assert_non_null(measurement->id);
    assert_non_null(measurement->body_hash);
    return TL_OK;
}

static enum tl_rc no_job(void *ctx, const struct store_job *job, struct tl_err *err)
{
    (void)ctx;
    (void)err;
    assert_non_null(job->id);
    return TL_OK;
}

static enum tl_rc put_measurement(struct store_tx *tx, struct tl_err *err)
{
    static const char body[20000];
    const struct store_measurement measurement = {
        .id = "m", .device = "pi", .body_hash = "h", .body = {body, sizeof body}};
    bool is_new = false;
    return store_measurement_put(tx, &measurement, &is_new, err);
}

static enum tl_rc get_measurement(struct store_tx *tx, struct tl_err *err)
{
    return store_measurement_get(tx, "old", no_measurement, NULL, err);
}

static enum tl_rc list_measurements(struct store_tx *tx, struct tl_err *err)
{
    return store_measurement_list(tx, "pi", "", "", "", "", ALL_ROWS, no_measurement, NULL, err);
}

static enum tl_rc lease_job(struct store_tx *tx, struct tl_err *err)
{
    bool leased = false;
    int64_t next_ns = 0;
    return store_job_lease(tx, "pi", false, 1, 2, no_job, NULL, &leased, &next_ns, err);
}

static enum tl_rc add_event(struct store_tx *tx, struct tl_err *err)
{
    const struct store_event event = {.kind = "state"};
    return store_event_add(tx, "s1", &event, err);
}

/* A store with something in it; then one call, in which the nth allocation fails. Was there an nth? */
static bool call_with_failure(enum tl_rc (*call)(struct store_tx *, struct tl_err *), size_t nth)
{
    void *state = NULL;
    bare_setup(&state);
    struct store_tx *tx = state;
    const struct store_job job = {.id = "j", .device = "pi"};
    const struct store_measurement old = {.id = "old", .device = "pi", .body_hash = "h"};
    bool is_new = false;
    assert_ok(store_job_insert(tx, &job, &err));
    assert_ok(store_measurement_put(tx, &old, &is_new, &err));
    struct tl_err err = {0};
    failed = false;
    fail_in = nth;
    enum tl_rc rc = call(tx, &err);
    fail_in = 0;
    assert_true(rc == TL_OK || rc == TL_NO_MEMORY);
    assert_int_equal(err.rc, rc);
    assert_true(failed || rc == TL_OK);
    bare_teardown(&state);
    return failed;
}

static void memory_that_runs_out_inside_sqlite_is_reported_as_that(void **state)
{
    (void)state;
    enum tl_rc (*const calls[])(struct store_tx *, struct tl_err *) = {put_measurement, get_measurement,
                                                                       list_measurements, lease_job, add_event};
    for (size_t i = 0; i < TL_COUNT_OF(calls); i++) {
        size_t nth = 1;
        while (call_with_failure(calls[i], nth)) {
            nth++;
        }
        assert_true(nth > 10);
    }
}

static void a_statement_that_cannot_be_prepared_is_reported_when_it_is_stepped(void **state)
{
    struct store_tx *tx = *state;
    bool row = false;
    TL_AUTO(store_stmt) st = store_stmt_open(tx, "SELECT nothing FROM nowhere");
    store_bind_int(&st, 1);
    store_bind_text(&st, "x");
    assert_fails(TL_IO, store_stmt_step(&st, &row, &err));
}

static void a_connection_to_a_file_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct store_tx tx = {0};
    assert_fails(TL_IO, store_tx_open(&tx, "/nowhere/at/all.db", NULL, false, &err));
    assert_null(tx.db);
    store_tx_close(&tx);
}

static void a_name_in_double_quotes_is_never_a_string(void **state)
{
    assert_fails(TL_IO, store_tx_script(*state, "SELECT \"pi\"", &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_runs_out_inside_sqlite_is_reported_as_that),
        bare_test(a_statement_that_cannot_be_prepared_is_reported_when_it_is_stepped),
        cmocka_unit_test(a_connection_to_a_file_that_is_not_there_is_refused),
        bare_test(a_name_in_double_quotes_is_never_a_string),
    };
    return cmocka_run_group_tests(tests, watch_memory, NULL);
}
