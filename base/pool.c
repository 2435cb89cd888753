/* pool.c - threads that share the tasks of one run at a time.
 *
 * The idea: a run is published by one atomic `ticket` (run number, tasks left to claim). Whoever is free claims the
 * next task by compare-and-swap, the caller included, so a run never waits for a sleeping thread: it only waits for
 * tasks that were claimed. A thread that comes late finds nothing left, or another run number, and claims nothing.
 *
 * Threads: tl_pool_run is called by one thread at a time. Shared between it and the workers: the atomics below; `lock`
 * guards only going to sleep. fn, ctx and n_tasks may be read while they change, but they are used only after a claim
 * has succeeded: then the run they belong to was not over, and they change only when it is.
 */
#include "base/base.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    THREADS_MAX = 1024,
    SPIN_NS = 50000, /* longer than the gap between two layers, shorter than a person or a scheduler notices */
    SPIN_ROUND = 64, /* pauses between two looks at the clock */
    CACHE_LINE = 64,
};

typedef void pool_fn(void *ctx, size_t task, unsigned thread);

struct worker {
    struct tl_pool *pool; /* borrowed */
    pthread_t handle;
    unsigned thread; /* 1.. ; the caller of tl_pool_run is 0 */
};

struct tl_pool {
    _Alignas(CACHE_LINE) _Atomic uint64_t ticket; /* run number << 32 | tasks left to claim */
    _Alignas(CACHE_LINE) _Atomic uint64_t n_done; /* tasks of this run that are finished */
    _Alignas(CACHE_LINE) _Atomic(pool_fn *) fn;
    _Atomic(void *) ctx;
    _Atomic uint32_t n_tasks;
    _Atomic unsigned n_asleep;  /* workers in, or about to enter, wait on `wake` */
    _Atomic bool caller_asleep; /* the same for the caller on `finished` */
    _Atomic bool stop;
    pthread_mutex_t lock;
    pthread_cond_t wake;     /* a new run, or stop */
    pthread_cond_t finished; /* n_done reached n_tasks */
    struct worker *workers;  /* owned, n_threads - 1 */
    unsigned n_threads;
    unsigned n_started;
    int64_t spin_ns; /* 0 where threads outnumber processors: a spinning thread would keep a working one waiting */
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

static uint32_t run_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

/* Do tasks of the run `run` until none is left to claim; returns how many. */
static void work(struct tl_pool *pool, uint32_t run, unsigned thread)
{
    pool_fn *fn = atomic_load_explicit(&pool->fn, memory_order_relaxed);
    void *ctx = atomic_load_explicit(&pool->ctx, memory_order_relaxed);
    uint32_t n_tasks = atomic_load_explicit(&pool->n_tasks, memory_order_relaxed);
    uint64_t n_done = 0;
    uint64_t ticket = atomic_load(&pool->ticket);
    while (run_of(ticket) == run && (uint32_t)ticket > 0) {
        if (atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1)) {
            fn(ctx, n_tasks - (uint32_t)ticket, thread);
            n_done++;
            ticket = atomic_load(&pool->ticket);
        }
    }
    if (n_done && atomic_fetch_add(&pool->n_done, n_done) + n_done == n_tasks && atomic_load(&pool->caller_asleep)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->finished);
        pthread_mutex_unlock(&pool->lock);
    }
}

static bool run_waits(struct tl_pool *pool, uint32_t seen)
{
    return run_of(atomic_load(&pool->ticket)) != seen || atomic_load(&pool->stop);
}

static bool run_finished(struct tl_pool *pool, uint32_t n_tasks)
{
    return atomic_load(&pool->n_done) == n_tasks;
}

/* Poll for a while; true as soon as `ready` holds. */
static bool spin(struct tl_pool *pool, bool (*ready)(struct tl_pool *pool, uint32_t arg), uint32_t arg)
{
    if (ready(pool, arg)) {
        return true;
    }
    if (!pool->spin_ns) {
        return false;
    }
    int64_t until_ns = tl_clock_mono_ns() + pool->spin_ns;
    do {
        for (int i = 0; i < SPIN_ROUND; i++) {
            pause_briefly();
            if (ready(pool, arg)) {
                return true;
            }
        }
    } while (tl_clock_mono_ns() < until_ns);
    return false;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct tl_pool *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        if (!spin(pool, run_waits, seen)) {
            pthread_mutex_lock(&pool->lock);
            atomic_fetch_add(&pool->n_asleep, 1); /* before the last look: a run published after it sees us */
            while (!run_waits(pool, seen)) {
                pthread_cond_wait(&pool->wake, &pool->lock);
            }
            atomic_fetch_sub(&pool->n_asleep, 1);
            pthread_mutex_unlock(&pool->lock);
        }
        if (atomic_load(&pool->stop)) {
            return NULL;
        }
        seen = run_of(atomic_load(&pool->ticket));
        work(pool, seen, worker->thread);
    }
}

static void wake_workers(struct tl_pool *pool, uint32_t n_wanted)
{
    unsigned n_asleep = atomic_load(&pool->n_asleep);
    if (!n_asleep) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    if (n_wanted >= n_asleep) {
        pthread_cond_broadcast(&pool->wake);
    }
    for (uint32_t i = 0; n_wanted < n_asleep && i < n_wanted; i++) {
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
}

static void wait_finished(struct tl_pool *pool, uint32_t n_tasks)
{
    if (spin(pool, run_finished, n_tasks)) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_asleep, true);
    while (!run_finished(pool, n_tasks)) {
        pthread_cond_wait(&pool->finished, &pool->lock);
    }
    atomic_store(&pool->caller_asleep, false);
    pthread_mutex_unlock(&pool->lock);
}

void tl_pool_run(struct tl_pool *pool, void (*fn)(void *ctx, size_t task, unsigned thread), void *ctx, size_t n_tasks)
{
    if (!pool || pool->n_threads == 1 || n_tasks <= 1) {
        for (size_t task = 0; task < n_tasks; task++) {
            fn(ctx, task, 0);
        }
        return;
    }
    assert(n_tasks <= UINT32_MAX);
    uint32_t n = (uint32_t)n_tasks;
    uint32_t run = run_of(atomic_load(&pool->ticket)) + 1;
    atomic_store_explicit(&pool->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&pool->ctx, ctx, memory_order_relaxed);
    atomic_store_explicit(&pool->n_tasks, n, memory_order_relaxed);
    atomic_store_explicit(&pool->n_done, 0, memory_order_relaxed);
    atomic_store(&pool->ticket, (uint64_t)run << 32 | n);
    wake_workers(pool, n - 1);
    work(pool, run, 0);
    wait_finished(pool, n);
}

unsigned tl_pool_threads(const struct tl_pool *pool)
{
    return pool->n_threads;
}

void tl_pool_free(struct tl_pool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n_started; i++) {
        pthread_join(pool->workers[i].handle, NULL);
    }
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

/* Start the workers with all signals blocked: signals belong to the threads of the program, not to the pool. */
static enum tl_rc start_workers(struct tl_pool *pool, struct tl_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = 0;
    for (unsigned i = 0; !sys && i + 1 < pool->n_threads; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .thread = i + 1};
        sys = pthread_create(&worker->handle, NULL, worker_main, worker);
        pool->n_started += sys == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = sys;
    return sys ? tl_fail_sys(err, "cannot start thread %u of %u", pool->n_started + 1, pool->n_threads) : TL_OK;
}

enum tl_rc tl_pool_new(struct tl_pool **ret_pool, unsigned n_threads, struct tl_err *err)
{
    if (n_threads < 1 || n_threads > THREADS_MAX) {
        return tl_fail(err, TL_INVALID, "%u threads; a pool has 1 to %d", n_threads, THREADS_MAX);
    }
    struct tl_pool *pool = aligned_alloc(CACHE_LINE, sizeof *pool);
    struct worker *workers = calloc(n_threads, sizeof *workers);
    if (!pool || !workers) {
        free(workers);
        free(pool);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a pool of %u threads", n_threads);
    }
    *pool = (struct tl_pool){.workers = workers, .n_threads = n_threads};
    pool->spin_ns = n_threads <= tl_cpu_count() ? SPIN_NS : 0;
    pthread_mutex_init(&pool->lock, NULL); /* these three cannot fail without attributes */
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    enum tl_rc rc = start_workers(pool, err);
    if (rc) {
        tl_pool_free(pool);
        return rc;
    }
    *ret_pool = pool;
    return TL_OK;
}
