/* What was seen is known, and forgotten late; a state does not show in which order it came. */
#include "search/seen.h"

#include "alloc_fail.h"
#include "worlds.h"

static struct space space; /* 32^4: a million architectures */

static int make_space(void **state)
{
    (void)state;
    world_flat(&space, 4, 32);
    return 0;
}

static const uint8_t *arch_of(uint32_t number)
{
    static uint8_t arch[4];
    for (size_t i = 0; i < 4; i++) {
        arch[i] = (uint8_t)(number >> (5 * i) & 31);
    }
    return arch;
}

static void what_was_added_is_there_and_nothing_else(void **state)
{
    struct seen seen;
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(seen_init(&seen, &space, &err), TL_OK);
    for (uint32_t i = 0; i < 60000; i++) {
        assert_true(seen_add(&seen, arch_of(i * 17)));
    }
    for (uint32_t i = 0; i < 60000 * 17; i++) {
        assert_int_equal(seen_has(&seen, arch_of(i)), i % 17 == 0);
    }
    assert_false(seen_add(&seen, arch_of(17)));
    seen_done(&seen);
}

static void the_last_65536_are_known_and_at_most_twice_as_many(void **state)
{
    struct seen seen;
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(seen_init(&seen, &space, &err), TL_OK);
    for (uint32_t i = 0; i < 3 * SEEN_YOUNG_MAX; i++) {
        assert_true(seen_add(&seen, arch_of(i)));
        assert_true(i < SEEN_YOUNG_MAX || seen_has(&seen, arch_of(i - SEEN_YOUNG_MAX + 1)));
        assert_true(i < 2 * SEEN_YOUNG_MAX || !seen_has(&seen, arch_of(i - 2 * SEEN_YOUNG_MAX)));
    }
    seen_done(&seen);
}

static void a_state_does_not_show_the_order(void **state)
{
    struct seen up, down, again;
    struct tl_err err = {0};
    TL_AUTO(tl_buf) a = {0}, b = {0}, c = {0};
    (void)state;
    assert_int_equal(seen_init(&up, &space, &err), TL_OK);
    assert_int_equal(seen_init(&down, &space, &err), TL_OK);
    assert_int_equal(seen_init(&again, &space, &err), TL_OK);
    for (uint32_t i = 0; i < 50000; i++) {
        (void)seen_add(&up, arch_of(i));
        (void)seen_add(&down, arch_of(49999 - i));
    }
    assert_int_equal(seen_save(&up, &a, &err), TL_OK);
    assert_int_equal(seen_save(&down, &b, &err), TL_OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    struct tl_cursor cursor = tl_cursor_make(a.data, a.len);
    assert_true(seen_load(&again, &cursor));
    assert_int_equal(seen_save(&again, &c, &err), TL_OK);
    assert_int_equal(a.len, c.len);
    assert_memory_equal(a.data, c.data, a.len);
    seen_done(&up);
    seen_done(&down);
    seen_done(&again);
}

static enum tl_rc load_bytes(const uint64_t *hashes, uint32_t n_young, size_t n)
{
    struct seen seen;
    struct tl_err err = {0};
    TL_AUTO(tl_buf) buf = {0};
    assert_int_equal(tl_buf_put_u32(&buf, n_young, &err), TL_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(tl_buf_put_u64(&buf, hashes[i], &err), TL_OK);
    }
    assert_int_equal(tl_buf_put_u32(&buf, 0, &err), TL_OK);
    assert_int_equal(seen_init(&seen, &space, &err), TL_OK);
    struct tl_cursor cursor = tl_cursor_make(buf.data, buf.len);
    const bool good = seen_load(&seen, &cursor);
    seen_done(&seen);
    return good ? TL_OK : TL_MALFORMED;
}

static void hostile_states_are_refused(void **state)
{
    const uint64_t good[] = {5, 6}, twice[] = {5, 5}, zero[] = {0, 5};
    (void)state;
    assert_int_equal(load_bytes(good, 2, 2), TL_OK);
    assert_int_equal(load_bytes(twice, 2, 2), TL_MALFORMED);
    assert_int_equal(load_bytes(zero, 2, 2), TL_MALFORMED);
    assert_int_equal(load_bytes(good, 3, 2), TL_MALFORMED);
    assert_int_equal(load_bytes(good, SEEN_YOUNG_MAX, 2), TL_MALFORMED);
    assert_int_equal(load_bytes(good, UINT32_MAX, 2), TL_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_there_and_nothing_else),
        cmocka_unit_test(the_last_65536_are_known_and_at_most_twice_as_many),
        cmocka_unit_test(a_state_does_not_show_the_order),
        cmocka_unit_test(hostile_states_are_refused),
    };
    return cmocka_run_group_tests(tests, make_space, NULL);
}
