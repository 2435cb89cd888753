/* What workers said, the jobs that asked for it, and files of schemas that knew neither. */
#include "fixture.h"

#include <math.h>

static bool put(struct store_tx *tx, const char *source, const char *arch, double value)
{
    const struct store_evaluation evaluation = {source, "ofa", arch, "accuracy", value};
    bool same = false;
    assert_ok(store_evaluation_put(tx, &evaluation, &same, &err));
    return same;
}

static bool known(struct store_tx *tx, const char *source, const char *arch, const char *metric, double *ret_value)
{
    struct store_evaluation evaluation = {source, "ofa", arch, metric, -1};
    bool is_known = false;
    assert_ok(store_evaluation_get(tx, &evaluation, &is_known, &err));
    *ret_value = evaluation.value;
    return is_known;
}

static void the_first_value_stands_and_another_is_told_apart(void **state)
{
    struct store_tx *tx = *state;
    double value = 0;
    assert_false(known(tx, "pool", "a", "accuracy", &value));
    assert_true(put(tx, "pool", "a", 76.1));
    assert_true(put(tx, "pool", "a", 76.1));
    assert_false(put(tx, "pool", "a", 76.2));
    assert_false(put(tx, "pool", "a", (double)NAN));
    assert_true(known(tx, "pool", "a", "accuracy", &value));
    assert_true(value == 76.1);
    assert_false(known(tx, "pool", "a", "macs", &value));
    assert_false(known(tx, "pool", "b", "accuracy", &value));
    assert_false(known(tx, "other", "a", "accuracy", &value));
    struct store_evaluation elsewhere = {"pool", "ofa-2", "a", "accuracy", 0};
    bool is_known = true;
    assert_ok(store_evaluation_get(tx, &elsewhere, &is_known, &err));
    assert_false(is_known);
}

static void what_cannot_be_valued_is_known_as_such(void **state)
{
    struct store_tx *tx = *state;
    double value = 0;
    assert_true(put(tx, "pool", "a", (double)NAN));
    assert_true(put(tx, "pool", "a", (double)NAN));
    assert_false(put(tx, "pool", "a", 0));
    assert_true(known(tx, "pool", "a", "accuracy", &value));
    assert_true(isnan(value));
}

static enum tl_rc see_job(void *ctx, const struct store_job *job, struct tl_err *err)
{
    return see(ctx, job->id, err);
}

static void add_job(struct store_tx *tx, const char *id, const char *search)
{
    const struct store_job job = {.id = id, .device = "pi", .kind = "evaluate", .search = search, .work = BYTES("{}")};
    assert_ok(store_job_insert(tx, &job, &err));
}

static void lease(struct store_tx *tx, int64_t now_ns, struct seen *seen, bool *ret_leased)
{
    int64_t next_ns = 0;
    assert_ok(store_job_lease(tx, "pi", true, now_ns, now_ns + 10, see_job, seen, ret_leased, &next_ns, &err));
}

static void programs_that_share_a_name_get_a_job_each(void **state)
{
    struct store_tx *tx = *state;
    struct seen seen = {0};
    bool leased = false;
    add_job(tx, "a", "s1");
    add_job(tx, "b", "s1");
    lease(tx, 1, &seen, &leased);
    lease(tx, 2, &seen, &leased);
    assert_string_equal(seen.ids, "a b ");
    lease(tx, 3, &seen, &leased);
    assert_false(leased);
    lease(tx, 11, &seen, &leased); /* the first lease has run out, the second has not */
    assert_string_equal(seen.ids, "a b a ");
}

static void the_newest_jobs_of_a_search_come_first(void **state)
{
    struct store_tx *tx = *state;
    struct seen seen = {0};
    add_job(tx, "a", "s1");
    add_job(tx, "x", "s2");
    add_job(tx, "b", "s1");
    add_job(tx, "c", "s1");
    assert_ok(store_job_newest(tx, "s1", 2, see_job, &seen, &err));
    assert_string_equal(seen.ids, "c b ");
    assert_fails(TL_INVALID, store_job_newest(tx, "s1", 0, see_job, &seen, &err));
}

/* ---- older files ------------------------------------------------------------------------------------------------- */

static void add_rows(struct store_tx *old)
{
    const struct store_candidate candidate = {
        .search = "s1", .arch = "a", .role = "front", .genes = BYTES("g"), .values = BYTES("{}")};
    const struct store_event event = {.kind = "state", .data = BYTES("{}")};
    int64_t id = 0;
    add_device(old, "board");
    add_search(old, "s1", "running", "board");
    assert_ok(store_candidate_put(old, &candidate, &id, &err));
    assert_ok(store_event_add(old, "s1", &event, &err));
}

static enum tl_rc see_event(void *ctx, const struct store_event *event, struct tl_err *err)
{
    return see(ctx, event->kind, err);
}

static enum tl_rc see_search(void *ctx, const struct store_search *search, struct tl_err *err)
{
    return see(ctx, search->state, err);
}

static void searches_of_an_older_file_keep_what_belongs_to_them_and_may_wait_for_workers(void **state)
{
    TL_AUTO(tl_buf) script = {.max = 1 << 16};
    struct folder folder;
    struct store_tx old = {0};
    struct seen seen = {0};
    double value = 0;
    char path[512];
    (void)state;
    folder_make(&folder);
    path_in(folder.path, "old.db", path);
    assert_ok(tl_file_read("tests/unit/storage/schema_1.sql", &script, &err));
    assert_ok(store_tx_open(&old, path, NULL, true, &err));
    assert_ok(store_tx_script(&old, script.data, &err));
    add_rows(&old);
    assert_ok(store_migrate(&old, &store_schema, path, &err));
    assert_ok(store_tx_script(&old, "PRAGMA foreign_keys = ON", &err));
    const struct store_search waits = {.id = "s1", .state = "evaluating", .snapshot = "", .revision = 0};
    const struct store_event event = {.kind = "progress", .data = BYTES("{}")};
    assert_ok(store_search_update(&old, &waits, &err));
    assert_ok(store_event_add(&old, "s1", &event, &err));
    assert_ok(store_event_list(&old, "s1", ALL_ROWS, see_event, &seen, &err));
    assert_ok(store_search_get(&old, "s1", see_search, &seen, &err));
    assert_string_equal(seen.ids, "state progress evaluating ");
    assert_fails(TL_NOT_FOUND, store_event_add(&old, "s2", &event, &err));
    assert_true(put(&old, "pool", "a", 1) && known(&old, "pool", "a", "accuracy", &value));
    store_tx_close(&old);
    folder_remove(folder.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(the_first_value_stands_and_another_is_told_apart),
        bare_test(what_cannot_be_valued_is_known_as_such),
        bare_test(programs_that_share_a_name_get_a_job_each),
        bare_test(the_newest_jobs_of_a_search_come_first),
        cmocka_unit_test(searches_of_an_older_file_keep_what_belongs_to_them_and_may_wait_for_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
