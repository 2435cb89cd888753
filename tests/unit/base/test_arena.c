/* The arena: aligned, zeroed, and full when it is full. */
#include "alloc_fail.h"
#include "base/base.h"

#include <cmocka.h>
#include <string.h>

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    TL_AUTO(tl_arena) arena = {0};
    assert_int_equal(tl_arena_init(&arena, tl_arena_room(1) + tl_arena_room(100), NULL), TL_OK);
    unsigned char *small = tl_arena_take(&arena, 1);
    assert_non_null(small);
    *small = 0xff;
    unsigned char *large = tl_arena_take(&arena, 100);
    assert_non_null(large);
    assert_int_equal((uintptr_t)small % 64, 0);
    assert_int_equal((uintptr_t)large % 64, 0);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(large[i], 0);
    }
    assert_int_equal(*small, 0xff);
    assert_null(tl_arena_take(&arena, 1));
}

static void a_full_arena_gives_nothing_and_never_allocates(void **state)
{
    (void)state;
    TL_AUTO(tl_arena) arena = {0};
    assert_int_equal(tl_arena_init(&arena, 128, NULL), TL_OK);
    alloc_fail_at(1);
    assert_null(tl_arena_take(&arena, 129));
    assert_null(tl_arena_take(&arena, SIZE_MAX));
    assert_non_null(tl_arena_take(&arena, 0));
    assert_non_null(tl_arena_take(&arena, 128));
    assert_null(tl_arena_take(&arena, 1));
    assert_false(alloc_fail_happened());
    alloc_fail_at(0);
}

static void room_is_rounded_up_without_overflow(void **state)
{
    (void)state;
    assert_int_equal(tl_arena_room(0), 0);
    assert_int_equal(tl_arena_room(1), 64);
    assert_int_equal(tl_arena_room(64), 64);
    assert_int_equal(tl_arena_room(65), 128);
    assert_true(tl_arena_room(SIZE_MAX - 62) == SIZE_MAX);
    assert_true(tl_arena_room(SIZE_MAX) == SIZE_MAX);
}

static void an_arena_of_any_size_is_refused_kindly(void **state)
{
    (void)state;
    struct tl_arena arena = {0};
    struct tl_err err = {0};
    assert_int_equal(tl_arena_init(&arena, SIZE_MAX, &err), TL_NO_MEMORY);
    assert_null(arena.base);
    assert_int_equal(tl_arena_init(&arena, 0, NULL), TL_OK);
    assert_non_null(tl_arena_take(&arena, 0));
    tl_arena_done(&arena);
    tl_arena_done(&arena); /* done twice is done */
}

static enum tl_rc make_arena(void *ctx, struct tl_err *err)
{
    (void)ctx;
    TL_AUTO(tl_arena) arena = {0};
    return tl_arena_init(&arena, 1000, err);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(alloc_fail_each(make_arena, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_full_arena_gives_nothing_and_never_allocates),
        cmocka_unit_test(room_is_rounded_up_without_overflow),
        cmocka_unit_test(an_arena_of_any_size_is_refused_kindly),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
