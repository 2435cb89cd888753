/* Every statement that the accessors prepare is explained by SQLite's planner: none walks a whole table, and none sorts
 * what an index could have given in order. */
#include "fixture.h"

static enum tl_rc no_device(void *ctx, const struct store_device *row, struct tl_err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return TL_OK;
}

static enum tl_rc no_space(void *ctx, const struct store_space *row, struct tl_err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return TL_OK;
}

static enum tl_rc no_model(void *ctx, const struct store_model *row, struct tl_err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return TL_OK;
}

static enum tl_rc no_bytes(void *ctx, const char *name, struct store_bytes row, struct tl_err *err)
{
    (void)ctx;
    (void)name;
    (void)row;
    (void)err;
    return TL_OK;
}

static enum tl_rc no_search(void *ctx, const struct store_search *row, struct tl_err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return TL_OK;
}

static enum tl_rc no_event(void *ctx, const struct store_event *row, struct tl_err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return TL_OK;
}

static enum tl_rc no_candidate(void *ctx, const struct store_candidate *row, struct tl_err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return TL_OK;
}

static enum tl_rc no_job(void *ctx, const struct store_job *row, struct tl_err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return TL_OK;
}

static enum tl_rc no_measurement(void *ctx, const struct store_measurement *row, struct tl_err *err)
{
    (void)ctx;
    (void)row;
    (void)err;
    return TL_OK;
}

/* The result does not matter here, only what was prepared. */
static void call(enum tl_rc rc)
{
    (void)rc;
}

static void use_devices_and_models(struct store_tx *tx)
{
    const struct store_model model = {.hash = "0123456789abcdef0123456789abcdef"};
    const struct store_space space = {.name = "a"};
    bool flag = false;
    call(store_device_seen(tx, "pi", 1, NULL));
    call(store_device_anchor(tx, "pi", 1, NULL));
    call(store_device_anchor(tx, "pi", 1, NULL));
    call(store_device_get(tx, "pi", no_device, NULL, NULL));
    call(store_device_list(tx, ALL_ROWS, no_device, NULL, NULL));
    call(store_space_put(tx, &space, &flag, NULL));
    call(store_space_put(tx, &space, &flag, NULL));
    call(store_space_list(tx, ALL_ROWS, no_space, NULL, NULL));
    call(store_model_put(tx, &model, NULL));
    call(store_model_current(tx, "latency", "ofa", "pi", no_model, NULL, NULL));
    call(store_model_list(tx, ALL_ROWS, no_model, NULL, NULL));
    call(store_snapshot_put(tx, "h", BYTES("{}"), NULL));
    call(store_snapshot_get(tx, "h", no_bytes, NULL, NULL));
}

static void use_searches(struct store_tx *tx)
{
    const struct store_search changed = {.id = "s1", .state = "failed", .revision = 9};
    const struct store_event event = {.kind = "state"};
    const struct store_candidate candidate = {.search = "s1", .arch = "a"};
    int64_t id = 0;
    call(store_search_update(tx, &changed, NULL));
    call(store_search_get(tx, "s1", no_search, NULL, NULL));
    call(store_search_list(tx, "", "", ALL_ROWS, no_search, NULL, NULL));
    call(store_search_list(tx, "queued", "", ALL_ROWS, no_search, NULL, NULL));
    call(store_search_list(tx, "queued", "pi", ALL_ROWS, no_search, NULL, NULL));
    call(store_search_next(tx, no_search, NULL, NULL));
    call(store_event_add(tx, "s1", &event, NULL));
    call(store_event_list(tx, "s1", ALL_ROWS, no_event, NULL, NULL));
    call(store_candidate_put(tx, &candidate, &id, NULL));
    call(store_candidate_get(tx, id, no_candidate, NULL, NULL));
    call(store_candidate_list(tx, "s1", "", ALL_ROWS, no_candidate, NULL, NULL));
    call(store_candidate_list(tx, "s1", "front", ALL_ROWS, no_candidate, NULL, NULL));
    call(store_candidate_clear(tx, "s1", "front", NULL));
}

static void use_jobs_and_measurements(struct store_tx *tx)
{
    const struct store_job job = {.id = "j", .device = "pi"};
    const struct store_measurement measurement = {.id = "m", .device = "pi"};
    struct store_evaluation evaluation = {.source = "pool", .space = "ofa", .arch = "a", .metric = "accuracy"};
    bool flag = false;
    int64_t next_ns = 0;
    call(store_job_lease(tx, "pi", false, 1, 2, no_job, NULL, &flag, &next_ns, NULL));
    call(store_job_insert(tx, &job, NULL));
    call(store_job_renew(tx, "j", 1, 2, NULL));
    call(store_job_end(tx, "j", 1, "", NULL));
    call(store_job_cancel_search(tx, "s1", "x", NULL));
    call(store_job_get(tx, "j", no_job, NULL, NULL));
    call(store_job_list(tx, "", "", "", "", ALL_ROWS, no_job, NULL, NULL));
    call(store_job_list(tx, "pi", "", "", "", ALL_ROWS, no_job, NULL, NULL));
    call(store_job_list(tx, "pi", "", "", "queued", ALL_ROWS, no_job, NULL, NULL));
    call(store_job_list(tx, "pi", "", "s1", "queued", ALL_ROWS, no_job, NULL, NULL));
    call(store_job_newest(tx, "s1", 9, no_job, NULL, NULL));
    call(store_evaluation_put(tx, &evaluation, &flag, NULL));
    call(store_evaluation_get(tx, &evaluation, &flag, NULL));
    call(store_measurement_put(tx, &measurement, &flag, NULL));
    call(store_measurement_put(tx, &measurement, &flag, NULL));
    call(store_measurement_get(tx, "m", no_measurement, NULL, NULL));
    call(store_measurement_list(tx, "", "", "", "", "", ALL_ROWS, no_measurement, NULL, NULL));
    call(store_measurement_list(tx, "pi", "", "", "", "", ALL_ROWS, no_measurement, NULL, NULL));
    call(store_measurement_list(tx, "", "", "", "k", "", ALL_ROWS, no_measurement, NULL, NULL));
    call(store_measurement_list(tx, "", "", "", "", "s1", ALL_ROWS, no_measurement, NULL, NULL));
}

static bool is_query(const char *sql)
{
    static const char *const verbs[] = {"SELECT", "INSERT", "UPDATE", "DELETE"};
    for (size_t i = 0; i < TL_COUNT_OF(verbs); i++) {
        if (strncmp(sql, verbs[i], 6) == 0) {
            return true;
        }
    }
    return false;
}

/* "SCAN job" walks the table; "SCAN (subquery-2)" and "SCAN CONSTANT ROW" walk a handful of rows just made. */
static bool is_slow(const char *detail)
{
    return (strncmp(detail, "SCAN ", 5) == 0 && detail[5] != '(' && strcmp(detail, "SCAN CONSTANT ROW") != 0) ||
           strstr(detail, "USE TEMP B-TREE") != NULL;
}

/* Returns the number of steps in the plan that are slow. */
static int explain(sqlite3 *db, const char *sql)
{
    TL_AUTO(tl_buf) text = {0};
    assert_ok(tl_buf_addf(&text, &err, "EXPLAIN QUERY PLAN %s", sql));
    sqlite3_stmt *plan = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, text.data, -1, &plan, NULL), SQLITE_OK);
    int n_slow = 0;
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        if (is_slow(detail)) {
            n_slow++;
            print_error("%s\n    %s\n", sql, detail);
        }
    }
    sqlite3_finalize(plan);
    return n_slow;
}

static void no_query_walks_a_table(void **state)
{
    struct store_tx *tx = *state;
    tx->dir = "/nowhere";
    use_devices_and_models(tx);
    use_searches(tx);
    use_jobs_and_measurements(tx);
    int n_slow = 0;
    int n_queries = 0;
    for (size_t i = 0; i < tx->n_prepared; i++) {
        if (is_query(tx->prepared[i].sql)) {
            n_queries++;
            n_slow += explain(tx->db, tx->prepared[i].sql);
        }
    }
    assert_int_equal(n_slow, 0);
    assert_true(n_queries >= 48);
    assert_true(tx->n_prepared < STORE_STATEMENTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {bare_test(no_query_walks_a_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
