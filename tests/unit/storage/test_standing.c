#include "fixture.h"

static const int64_t SECOND = 1000000000, START = INT64_C(1000000000000);

static bool fail_at(struct store_tx *tx, int64_t second, const char *reason)
{
    bool quarantined = false;
    assert_ok(store_device_failed(tx, "pi", START + second * SECOND, reason, &quarantined, &err));
    return quarantined;
}

static enum tl_rc copy_standing(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)err;
    snprintf(ctx, 128, "%s|%s|%lld", device->state, device->state_reason, (long long)device->state_since_ns);
    return TL_OK;
}

static void assert_standing(struct store_tx *tx, const char *want)
{
    char is[128];
    assert_ok(store_device_get(tx, "pi", copy_standing, is, &err));
    assert_string_equal(is, want);
}

static void the_third_failure_within_a_minute_quarantines(void **state)
{
    struct store_tx *tx = *state;
    assert_standing(tx, "active||0");
    assert_false(fail_at(tx, 0, "one"));
    assert_false(fail_at(tx, 30, "two"));
    assert_standing(tx, "active||0");
    assert_true(fail_at(tx, 59, "three"));
    assert_standing(tx, "quarantined|three|1059000000000");
    assert_false(fail_at(tx, 60, "four")); /* it is already; the reason that led there stays */
    assert_standing(tx, "quarantined|three|1059000000000");
}

static void failures_further_apart_do_not(void **state)
{
    struct store_tx *tx = *state;
    for (int64_t second = 0; second < 400; second += 30) {
        assert_false(fail_at(tx, second, "now and then"));
    }
    assert_standing(tx, "active||0");
}

static void a_resumed_device_starts_anew(void **state)
{
    struct store_tx *tx = *state;
    fail_at(tx, 0, "a");
    fail_at(tx, 1, "b");
    assert_true(fail_at(tx, 2, "c"));
    assert_ok(store_device_resume(tx, "pi", &err));
    assert_standing(tx, "active||0");
    assert_false(fail_at(tx, 3, "d"));
    assert_false(fail_at(tx, 4, "e"));
    assert_true(fail_at(tx, 5, "f"));
}

static void draining_is_what_somebody_wants_and_stays_until_resumed(void **state)
{
    struct store_tx *tx = *state;
    assert_ok(store_device_drain(tx, "pi", 7, "a new fan", &err));
    assert_standing(tx, "draining|a new fan|7");
    for (int64_t second = 0; second < 4; second++) {
        assert_false(fail_at(tx, second, "broken"));
    }
    assert_standing(tx, "draining|a new fan|7");
    assert_ok(store_device_resume(tx, "pi", &err));
    assert_standing(tx, "active||0");
    assert_ok(store_device_resume(tx, "pi", &err));
    assert_fails(TL_NOT_FOUND, store_device_drain(tx, "nobody", 7, "x", &err));
    assert_fails(TL_NOT_FOUND, store_device_resume(tx, "nobody", &err));
}

static enum tl_rc copy_id(void *ctx, const struct store_job *job, struct tl_err *err)
{
    (void)err;
    snprintf(ctx, TL_UUID_TEXT, "%s", job->id);
    return TL_OK;
}

static bool lease(struct store_tx *tx, char ret_id[TL_UUID_TEXT], int64_t *ret_next_ns)
{
    bool leased = false;
    assert_ok(store_job_lease(tx, "pi", false, 100, 200, copy_id, ret_id, &leased, ret_next_ns, &err));
    return leased;
}

static void a_held_device_keeps_its_lease_and_gets_no_other(void **state)
{
    struct store_tx *tx = *state;
    char id[TL_UUID_TEXT] = "";
    int64_t next_ns = 0;
    assert_ok(store_job_insert(tx, &(struct store_job){.id = "j1", .device = "pi", .not_before_ns = 1}, &err));
    assert_ok(store_job_insert(tx, &(struct store_job){.id = "j2", .device = "pi", .not_before_ns = 2}, &err));
    assert_true(lease(tx, id, &next_ns));
    assert_ok(store_device_drain(tx, "pi", 7, "a new fan", &err));
    assert_true(lease(tx, id, &next_ns)); /* the agent was started again */
    assert_string_equal(id, "j1");
    assert_ok(store_job_end(tx, "j1", 1, "", &err));
    assert_false(lease(tx, id, &next_ns));
    assert_int_equal(next_ns, 0);
    assert_ok(store_device_resume(tx, "pi", &err));
    assert_true(lease(tx, id, &next_ns));
    assert_string_equal(id, "j2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(the_third_failure_within_a_minute_quarantines),
        bare_test(failures_further_apart_do_not),
        bare_test(a_resumed_device_starts_anew),
        bare_test(draining_is_what_somebody_wants_and_stays_until_resumed),
        bare_test(a_held_device_keeps_its_lease_and_gets_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
