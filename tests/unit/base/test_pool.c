/* The pool: every task once, results that do not depend on its size, and no run left hanging. */
#include "alloc_fail.h"
#include "base/base.h"

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { TASKS_MAX = 1000, THREADS_MAX = 8 };

struct tally {
    atomic_uint done[TASKS_MAX];
    uint64_t drawn[TASKS_MAX]; /* written by the task alone: a second run of one would be a race */
    atomic_bool thread_out_of_range;
    unsigned n_threads;
};

static void count_task(void *ctx, size_t task, unsigned thread)
{
    struct tally *tally = ctx;
    if (thread >= tally->n_threads) {
        atomic_store(&tally->thread_out_of_range, true);
    }
    atomic_fetch_add(&tally->done[task], 1);
    struct tl_rng rng;
    tl_rng_init(&rng, 1, task, 0);
    tally->drawn[task] = tl_rng_u64(&rng);
}

static void check_run(struct tl_pool *pool, size_t n_tasks)
{
    static struct tally tally;
    memset(&tally, 0, sizeof tally);
    tally.n_threads = pool ? tl_pool_threads(pool) : 1;
    tl_pool_run(pool, count_task, &tally, n_tasks);
    assert_false(atomic_load(&tally.thread_out_of_range));
    for (size_t task = 0; task < TASKS_MAX; task++) {
        struct tl_rng rng;
        tl_rng_init(&rng, 1, task, 0);
        assert_int_equal(atomic_load(&tally.done[task]), task < n_tasks);
        assert_true(tally.drawn[task] == (task < n_tasks ? tl_rng_u64(&rng) : 0));
    }
}

static void every_task_is_done_exactly_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 7, 64, TASKS_MAX};
    for (unsigned n_threads = 1; n_threads <= THREADS_MAX; n_threads++) {
        struct tl_pool *pool;
        assert_int_equal(tl_pool_new(&pool, n_threads, NULL), TL_OK);
        assert_int_equal(tl_pool_threads(pool), n_threads);
        for (size_t i = 0; i < TL_COUNT_OF(sizes); i++) {
            check_run(pool, sizes[i]);
        }
        tl_pool_free(pool);
    }
}

static void without_a_pool_the_caller_does_it_all(void **state)
{
    (void)state;
    check_run(NULL, 10);
    check_run(NULL, 0);
}

static void add_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    atomic_size_t *sum = ctx;
    atomic_fetch_add(sum, task + 1);
}

/* Runs follow one another as a network's layers do: a thread late from one run must not touch the next. */
static void runs_follow_each_other_without_mixing(void **state)
{
    (void)state;
    for (unsigned n_threads = 2; n_threads <= 4; n_threads++) {
        struct tl_pool *pool;
        assert_int_equal(tl_pool_new(&pool, n_threads, NULL), TL_OK);
        for (size_t run = 0; run < 3000; run++) {
            size_t n_tasks = run % 5 + 2;
            atomic_size_t sum = 0; /* another address and another size each time */
            tl_pool_run(pool, add_task, &sum, n_tasks);
            assert_int_equal(sum, n_tasks * (n_tasks + 1) / 2);
        }
        tl_pool_free(pool);
    }
}

static void wait_for_the_others(void *ctx, size_t task, unsigned thread)
{
    (void)task, (void)thread;
    pthread_barrier_wait(ctx);
}

/* As many tasks as threads, and no task ends before all have begun: each thread must come, also out of its sleep. */
static void all_threads_take_part(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    struct tl_pool *pool;
    assert_int_equal(tl_pool_new(&pool, THREADS, NULL), TL_OK);
    pthread_barrier_t barrier;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int run = 0; run < 50; run++) {
        tl_pool_run(pool, wait_for_the_others, &barrier, THREADS);
        if (run % 10 == 0) {
            tl_sleep_ns(300000); /* longer than the pool spins: its threads go to sleep */
        }
    }
    pthread_barrier_destroy(&barrier);
    tl_pool_free(pool);
}

struct order {
    atomic_size_t started;
    atomic_bool broken;
};

static void check_order(void *ctx, size_t task, unsigned thread)
{
    struct order *order = ctx;
    (void)thread;
    if (atomic_fetch_add(&order->started, 1) + 1 < task) { /* one other thread may hold one earlier task */
        atomic_store(&order->broken, true);
    }
}

static void tasks_are_claimed_in_order(void **state)
{
    (void)state;
    struct tl_pool *pool;
    assert_int_equal(tl_pool_new(&pool, 2, NULL), TL_OK);
    struct order order = {0};
    tl_pool_run(pool, check_order, &order, TASKS_MAX);
    assert_false(atomic_load(&order.broken));
    tl_pool_free(pool);
}

static void a_run_allocates_nothing(void **state)
{
    (void)state;
    struct tl_pool *pool;
    assert_int_equal(tl_pool_new(&pool, 2, NULL), TL_OK);
    atomic_size_t sum = 0;
    alloc_fail_at(1);
    tl_pool_run(pool, add_task, &sum, 100);
    assert_false(alloc_fail_happened());
    alloc_fail_at(0);
    tl_pool_free(pool);
}

static void a_pool_of_no_or_too_many_threads_is_refused(void **state)
{
    (void)state;
    struct tl_pool *pool = NULL;
    struct tl_err err = {0};
    assert_int_equal(tl_pool_new(&pool, 0, &err), TL_INVALID);
    assert_string_equal(err.text, "0 threads; a pool has 1 to 1024");
    assert_int_equal(tl_pool_new(&pool, 100000, NULL), TL_INVALID);
    assert_null(pool);
    tl_pool_free(NULL);
}

static enum tl_rc make_pool(void *ctx, struct tl_err *err)
{
    (void)ctx;
    struct tl_pool *pool = NULL;
    enum tl_rc rc = tl_pool_new(&pool, 3, err);
    assert_int_equal(rc == TL_OK, pool != NULL);
    tl_pool_free(pool);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(make_pool, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_is_done_exactly_once),
        cmocka_unit_test(without_a_pool_the_caller_does_it_all),
        cmocka_unit_test(runs_follow_each_other_without_mixing),
        cmocka_unit_test(all_threads_take_part),
        cmocka_unit_test(tasks_are_claimed_in_order),
        cmocka_unit_test(a_run_allocates_nothing),
        cmocka_unit_test(a_pool_of_no_or_too_many_threads_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
