/* workers.c - images one by one on the threads of a pool, each thread with its own room, failures in order. */
#include "parts.h"

#include <stdlib.h>

enum { TASK_IMAGES = 8 }; /* a task's; small enough for a batch of 32 on four threads */

struct job {
    struct workers *workers;
    worker_fn *fn;
    void *ctx;
    size_t n;
};

enum tl_rc workers_init(struct workers *workers, struct tl_pool *pool, struct tl_err *err)
{
    const unsigned n = pool ? tl_pool_threads(pool) : 1;
    struct worker *each = calloc(n, sizeof *each);
    if (!each) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %u threads", n);
    }
    *workers = (struct workers){.pool = pool, .each = each, .n = n};
    return TL_OK;
}

void workers_done(struct workers *workers)
{
    for (unsigned i = 0; i < workers->n; i++) {
        img_pixels_done(&workers->each[i].pixels);
        resizer_done(&workers->each[i].resizer);
        free(workers->each[i].canvas[0]);
        free(workers->each[i].canvas[1]);
    }
    free(workers->each);
    *workers = (struct workers){0};
}

/* A thread takes tasks in order: what it leaves out after a failure lies behind that failure. */
static void run_task(void *ctx, size_t task, unsigned thread)
{
    const struct job *job = ctx;
    struct worker *worker = &job->workers->each[thread];
    for (size_t i = task * TASK_IMAGES; i < job->n && i < (task + 1) * TASK_IMAGES && !worker->rc; i++) {
        worker->rc = job->fn(job->ctx, i, worker, &worker->err);
        worker->failed_at = i;
    }
}

enum tl_rc workers_run(struct workers *workers, worker_fn *fn, void *ctx, size_t n, struct tl_err *err)
{
    struct job job = {.workers = workers, .fn = fn, .ctx = ctx, .n = n};
    const struct worker *first = NULL;
    for (unsigned i = 0; i < workers->n; i++) {
        workers->each[i].rc = TL_OK;
        workers->each[i].err = (struct tl_err){0};
    }
    tl_pool_run(workers->pool, run_task, &job, (n + TASK_IMAGES - 1) / TASK_IMAGES);
    for (unsigned i = 0; i < workers->n; i++) {
        const struct worker *worker = &workers->each[i];
        if (worker->rc && (!first || worker->failed_at < first->failed_at)) {
            first = worker;
        }
    }
    if (!first) {
        return TL_OK;
    }
    if (err && !err->rc) {
        *err = first->err;
    }
    return first->rc;
}
