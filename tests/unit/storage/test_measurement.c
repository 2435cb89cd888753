#include "fixture.h"

static const struct store_measurement FULL = {
    .id = "m1",
    .device = "pi",
    .job = "j1",
    .search = "s1",
    .space = "ofa",
    .subject = "arch",
    .kind = "network",
    .verdict = "unstable",
    .reason = "drift",
    .late = true,
    .created_ns = 9,
    .ratio = 1.25,
    .anchor_ms = 8.5,
    .median_ms = 10.625,
    .body_hash = "h1",
    .body = {"raw\0bytes", 9},
};

static enum tl_rc is_full(void *ctx, const struct store_measurement *m, struct tl_err *err)
{
    (void)err;
    assert_string_equal(m->id, "m1");
    assert_string_equal(m->device, "pi");
    assert_string_equal(m->job, "j1");
    assert_string_equal(m->search, "s1");
    assert_string_equal(m->space, "ofa");
    assert_string_equal(m->subject, "arch");
    assert_string_equal(m->kind, "network");
    assert_string_equal(m->verdict, "unstable");
    assert_string_equal(m->reason, "drift");
    assert_true(m->late);
    assert_int_equal(m->created_ns, 9);
    assert_true(m->ratio == 1.25);
    assert_true(m->anchor_ms == 8.5);
    assert_true(m->median_ms == 10.625);
    assert_string_equal(m->body_hash, "h1");
    bool whole = *(bool *)ctx;
    assert_int_equal(m->body.n, whole ? 9 : 0);
    if (whole) {
        assert_memory_equal(m->body.data, "raw\0bytes", 9);
    }
    return TL_OK;
}

static void a_measurement_comes_back_as_it_was_put(void **state)
{
    bool is_new = false;
    assert_ok(store_measurement_put(*state, &FULL, &is_new, &err));
    assert_true(is_new);
    bool whole = true;
    assert_ok(store_measurement_get(*state, "m1", is_full, &whole, &err));
    whole = false;
    assert_ok(store_measurement_list(*state, "", "", "", "", "", ALL_ROWS, is_full, &whole, &err));
    assert_fails(TL_NOT_FOUND, store_measurement_get(*state, "nobody", is_full, &whole, &err));
}

static enum tl_rc see_measurement(void *ctx, const struct store_measurement *m, struct tl_err *err)
{
    return see(ctx, m->id, err);
}

static void a_retried_upload_is_stored_once(void **state)
{
    bool is_new = false;
    assert_ok(store_measurement_put(*state, &FULL, &is_new, &err));
    struct store_measurement retry = FULL;
    retry.created_ns = 77;
    assert_ok(store_measurement_put(*state, &retry, &is_new, &err));
    assert_false(is_new);
    struct seen seen = {0};
    assert_ok(store_measurement_list(*state, "", "", "", "", "", ALL_ROWS, see_measurement, &seen, &err));
    assert_string_equal(seen.ids, "m1 ");
}

static void other_bytes_under_the_same_id_are_a_conflict(void **state)
{
    bool is_new = false;
    assert_ok(store_measurement_put(*state, &FULL, &is_new, &err));
    struct store_measurement other = FULL;
    other.body_hash = "h2";
    assert_fails(TL_CONFLICT, store_measurement_put(*state, &other, &is_new, &err));
    assert_true(is_new);
    bool whole = true;
    assert_ok(store_measurement_get(*state, "m1", is_full, &whole, &err));
}

static void a_measurement_of_no_device_is_refused(void **state)
{
    struct store_measurement measurement = FULL;
    measurement.device = "nobody";
    bool is_new = false;
    assert_fails(TL_NOT_FOUND, store_measurement_put(*state, &measurement, &is_new, &err));
}

static void add(struct store_tx *tx, const char *id, const char *device, const char *kind, const char *subject,
                const char *search)
{
    struct store_measurement measurement = FULL;
    measurement.id = id;
    measurement.device = device;
    measurement.kind = kind;
    measurement.subject = subject;
    measurement.search = search;
    bool is_new = false;
    assert_ok(store_measurement_put(tx, &measurement, &is_new, &err));
}

static void measurements_are_listed_by_any_filters_oldest_first(void **state)
{
    struct store_tx *tx = *state;
    add_device(tx, "tpu");
    add(tx, "a", "pi", "block", "k1", "");
    add(tx, "b", "tpu", "network", "n1", "s1");
    add(tx, "c", "pi", "network", "n1", "s1");
    add(tx, "d", "pi", "network", "n2", "s2");
    const struct {
        const char *device, *space, *kind, *subject, *search;
        struct store_page page;
        const char *want;
    } cases[] = {
        {"", "", "", "", "", ALL_ROWS, "a b c d "},
        {NULL, NULL, NULL, NULL, NULL, {1, 2}, "b c "},
        {"", "other", "", "", "", ALL_ROWS, ""},
        {"", "", "network", "", "", ALL_ROWS, "b c d "},
        {"pi", "", "", "", "", ALL_ROWS, "a c d "},
        {"pi", "ofa", "network", "", "", {3, 5}, "d "},
        {"", "", "", "n1", "", ALL_ROWS, "b c "},
        {"pi", "ofa", "", "n1", "", ALL_ROWS, "c "},
        {"", "", "", "", "s1", ALL_ROWS, "b c "},
        {"pi", "ofa", "network", "n1", "s1", ALL_ROWS, "c "},
        {"pi", "ofa", "network", "n2", "s1", ALL_ROWS, ""},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct seen seen = {0};
        assert_ok(store_measurement_list(tx, cases[i].device, cases[i].space, cases[i].kind, cases[i].subject,
                                         cases[i].search, cases[i].page, see_measurement, &seen, &err));
        assert_string_equal(seen.ids, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(a_measurement_comes_back_as_it_was_put),
        bare_test(a_retried_upload_is_stored_once),
        bare_test(other_bytes_under_the_same_id_are_a_conflict),
        bare_test(a_measurement_of_no_device_is_refused),
        bare_test(measurements_are_listed_by_any_filters_oldest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
