#include "fixture.h"

#include <math.h>

static enum tl_rc see_device(void *ctx, const struct store_device *device, struct tl_err *err)
{
    return see(ctx, device->name, err);
}

static enum tl_rc is_as_put(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)ctx;
    (void)err;
    assert_string_equal(device->name, "rack3");
    assert_string_equal(device->agent_key, "secret");
    assert_int_equal(device->created_ns, 11);
    assert_int_equal(device->seen_ns, 0);
    assert_true(device->anchor_reference_ms == 0);
    assert_int_equal(device->info.n, 7);
    assert_memory_equal(device->info.data, "{\"a\":1}", 7);
    return TL_OK;
}

static void a_device_comes_back_as_it_was_put(void **state)
{
    struct store_tx *tx = *state;
    struct store_device device = {.name = "rack3", .agent_key = "secret", .created_ns = 11, .info = BYTES("{\"a\":1}")};
    assert_ok(store_device_put(tx, &device, &err));
    assert_ok(store_device_get(tx, "rack3", is_as_put, NULL, &err));
}

static enum tl_rc is_updated(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)err;
    assert_int_equal(device->seq, *(int64_t *)ctx);
    assert_string_equal(device->agent_key, "other");
    assert_int_equal(device->created_ns, 5);
    assert_int_equal(device->seen_ns, 99);
    assert_true(device->anchor_reference_ms == 12.5);
    assert_int_equal(device->info.n, 0);
    return TL_OK;
}

static enum tl_rc take_seq(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)err;
    *(int64_t *)ctx = device->seq;
    return TL_OK;
}

static void a_device_put_again_keeps_its_place_its_birth_and_its_anchor(void **state)
{
    struct store_tx *tx = *state;
    int64_t seq = 0;
    assert_ok(store_device_get(tx, "pi", take_seq, &seq, &err));
    assert_ok(store_device_anchor(tx, "pi", 12.5, &err));
    const struct store_device device = {.name = "pi", .agent_key = "other", .created_ns = 77, .seen_ns = 99};
    assert_ok(store_device_put(tx, &device, &err));
    assert_ok(store_device_get(tx, "pi", is_updated, &seq, &err));
}

static enum tl_rc is_seen_at(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)err;
    assert_int_equal(device->seen_ns, *(int64_t *)ctx);
    return TL_OK;
}

static void seen_moves_the_time_of_a_known_device_only(void **state)
{
    struct store_tx *tx = *state;
    int64_t when = 123;
    assert_ok(store_device_seen(tx, "pi", when, &err));
    assert_ok(store_device_get(tx, "pi", is_seen_at, &when, &err));
    assert_fails(TL_NOT_FOUND, store_device_seen(tx, "nobody", when, &err));
}

static void the_anchor_is_fixed_once(void **state)
{
    struct store_tx *tx = *state;
    assert_ok(store_device_anchor(tx, "pi", 3.5, &err));
    assert_fails(TL_CONFLICT, store_device_anchor(tx, "pi", 3.5, &err));
    assert_fails(TL_NOT_FOUND, store_device_anchor(tx, "nobody", 3.5, &err));
}

static void a_value_that_is_no_number_is_refused(void **state)
{
    assert_fails(TL_INVALID, store_device_anchor(*state, "pi", (double)NAN, &err));
}

static void an_unknown_device_is_not_found(void **state)
{
    struct seen seen = {0};
    assert_fails(TL_NOT_FOUND, store_device_get(*state, "nobody", see_device, &seen, &err));
    assert_int_equal(seen.n, 0);
}

static void devices_are_listed_in_order_of_registration_page_by_page(void **state)
{
    struct store_tx *tx = *state;
    add_device(tx, "c");
    add_device(tx, "a");
    add_device(tx, "b");
    struct seen first = {0};
    assert_ok(store_device_list(tx, (struct store_page){0, 2}, see_device, &first, &err));
    assert_string_equal(first.ids, "pi c ");
    int64_t seq = 0;
    assert_ok(store_device_get(tx, "c", take_seq, &seq, &err));
    struct seen rest = {0};
    assert_ok(store_device_list(tx, (struct store_page){seq, 2}, see_device, &rest, &err));
    assert_string_equal(rest.ids, "a b ");
}

static void a_page_has_1_to_1000_rows(void **state)
{
    struct seen seen = {0};
    assert_fails(TL_INVALID, store_device_list(*state, (struct store_page){0, 0}, see_device, &seen, &err));
    assert_fails(TL_INVALID, store_device_list(*state, (struct store_page){0, 1001}, see_device, &seen, &err));
    assert_int_equal(seen.n, 0);
}

static void a_visitor_that_fails_ends_the_walk_with_its_own_failure(void **state)
{
    struct store_tx *tx = *state;
    add_device(tx, "a");
    add_device(tx, "b");
    struct seen seen = {.stop_at = 2};
    assert_fails(TL_BUSY, store_device_list(tx, ALL_ROWS, see_device, &seen, &err));
    assert_int_equal(seen.n, 2);
}

static enum tl_rc get_again(void *ctx, const struct store_device *device, struct tl_err *err)
{
    struct store_tx *tx = ctx;
    struct seen seen = {0};
    /* The same statements, while their rows stand. */
    enum tl_rc rc = store_device_list(tx, ALL_ROWS, see_device, &seen, err);
    rc = rc ? rc : store_device_seen(tx, device->name, 5, err);
    assert_int_equal(seen.n, 2);
    assert_true(strcmp(device->name, "pi") == 0 || strcmp(device->name, "a") == 0);
    return rc;
}

static void a_visitor_may_use_the_accessor_that_called_it(void **state)
{
    struct store_tx *tx = *state;
    add_device(tx, "a");
    assert_ok(store_device_list(tx, ALL_ROWS, get_again, tx, &err));
    assert_ok(store_device_list(tx, ALL_ROWS, get_again, tx, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_test(a_device_comes_back_as_it_was_put),
        bare_test(a_device_put_again_keeps_its_place_its_birth_and_its_anchor),
        bare_test(seen_moves_the_time_of_a_known_device_only),
        bare_test(the_anchor_is_fixed_once),
        bare_test(a_value_that_is_no_number_is_refused),
        bare_test(an_unknown_device_is_not_found),
        bare_test(devices_are_listed_in_order_of_registration_page_by_page),
        bare_test(a_page_has_1_to_1000_rows),
        bare_test(a_visitor_that_fails_ends_the_walk_with_its_own_failure),
        bare_test(a_visitor_may_use_the_accessor_that_called_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
