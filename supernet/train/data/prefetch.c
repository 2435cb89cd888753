/* prefetch.c - batches made ahead, in a ring.
 *
 * Threads: one of its own, started by img_prefetch_new and joined by img_prefetch_free, which alone uses the batcher
 * meanwhile. `lock` guards made, taken, rc and stop; a slot of the ring belongs to the maker from its being given back
 * until `made` counts it, and then to the taker.
 */
#include "parts.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { AHEAD_MAX = 16 };

struct img_prefetch {
    struct img_batches *batches; /* borrowed */
    struct img_batch *ring;      /* owned */
    unsigned n_ring;
    uint64_t epoch, step; /* of the batch that is made next; the maker's */
    uint64_t made;        /* batches in the ring since the start */
    uint64_t taken;       /* handed out; the last of them is still in use */
    enum tl_rc rc;        /* why the batch after `made` could not be made */
    struct tl_err err;
    bool stop, threaded;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
};

static enum tl_rc make_next(struct img_prefetch *prefetch, struct img_batch *batch, struct tl_err *err)
{
    const enum tl_rc rc = img_batches_fill(prefetch->batches, prefetch->epoch, prefetch->step, batch, err);
    if (++prefetch->step == img_batches_an_epoch(prefetch->batches)) {
        prefetch->step = 0;
        prefetch->epoch++;
    }
    return rc;
}

/* The slot in the taker's hands is not free: at most n_ring - 1 batches are made beyond it. */
static bool is_full(const struct img_prefetch *prefetch)
{
    const uint64_t in_use = prefetch->taken ? prefetch->taken - 1 : 0;
    return prefetch->made - in_use >= prefetch->n_ring;
}

static void *maker(void *ctx)
{
    struct img_prefetch *prefetch = ctx;
    pthread_mutex_lock(&prefetch->lock);
    while (!prefetch->stop && !prefetch->rc) {
        if (is_full(prefetch)) {
            pthread_cond_wait(&prefetch->changed, &prefetch->lock);
            continue;
        }
        struct img_batch *batch = &prefetch->ring[prefetch->made % prefetch->n_ring];
        struct tl_err err = {0};
        pthread_mutex_unlock(&prefetch->lock);
        const enum tl_rc rc = make_next(prefetch, batch, &err);
        pthread_mutex_lock(&prefetch->lock);
        prefetch->made += rc == TL_OK;
        prefetch->rc = rc;
        prefetch->err = err;
        pthread_cond_signal(&prefetch->changed);
    }
    pthread_mutex_unlock(&prefetch->lock);
    return NULL;
}

/* Signals belong to the program's threads, not to this one. */
static enum tl_rc start(struct img_prefetch *prefetch, struct tl_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int sys = pthread_create(&prefetch->thread, NULL, maker, prefetch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    prefetch->threaded = sys == 0;
    errno = sys;
    return sys ? tl_fail_sys(err, "cannot start a thread to prefetch images") : TL_OK;
}

enum tl_rc img_prefetch_new(struct img_batches *batches, uint64_t epoch, uint64_t step, unsigned n_ahead,
                            struct img_prefetch **ret_prefetch, struct tl_err *err)
{
    if (n_ahead > AHEAD_MAX || step >= img_batches_an_epoch(batches)) {
        return tl_fail(err, TL_INVALID, "%u batches ahead from step %llu on; at most %d, and an epoch has %zu", n_ahead,
                       (unsigned long long)step, AHEAD_MAX, img_batches_an_epoch(batches));
    }
    struct img_prefetch *prefetch = calloc(1, sizeof *prefetch);
    struct img_batch *ring = calloc(n_ahead + 1, sizeof *ring);
    if (!prefetch || !ring) {
        free(prefetch);
        free(ring);
        return tl_fail(err, TL_NO_MEMORY, "no memory to prefetch images");
    }
    *prefetch =
        (struct img_prefetch){.batches = batches, .ring = ring, .n_ring = n_ahead + 1, .epoch = epoch, .step = step};
    pthread_mutex_init(&prefetch->lock, NULL); /* these two cannot fail without attributes */
    pthread_cond_init(&prefetch->changed, NULL);
    enum tl_rc rc = TL_OK;
    for (unsigned i = 0; !rc && i < prefetch->n_ring; i++) {
        rc = img_batch_init(&ring[i], batches, err);
    }
    rc = rc || !n_ahead ? rc : start(prefetch, err);
    if (rc) {
        img_prefetch_free(prefetch);
        return rc;
    }
    *ret_prefetch = prefetch;
    return TL_OK;
}

void img_prefetch_free(struct img_prefetch *prefetch)
{
    if (!prefetch) {
        return;
    }
    if (prefetch->threaded) {
        pthread_mutex_lock(&prefetch->lock);
        prefetch->stop = true;
        pthread_cond_signal(&prefetch->changed);
        pthread_mutex_unlock(&prefetch->lock);
        pthread_join(prefetch->thread, NULL);
    }
    for (unsigned i = 0; i < prefetch->n_ring; i++) {
        img_batch_done(&prefetch->ring[i]);
    }
    pthread_cond_destroy(&prefetch->changed);
    pthread_mutex_destroy(&prefetch->lock);
    free(prefetch->ring);
    free(prefetch);
}

enum tl_rc img_prefetch_next(struct img_prefetch *prefetch, const struct img_batch **ret_batch, struct tl_err *err)
{
    pthread_mutex_lock(&prefetch->lock);
    if (!prefetch->threaded && !prefetch->rc) {
        prefetch->rc = make_next(prefetch, &prefetch->ring[0], &prefetch->err);
        prefetch->made += prefetch->rc == TL_OK;
    }
    while (prefetch->made == prefetch->taken && !prefetch->rc) {
        pthread_cond_wait(&prefetch->changed, &prefetch->lock);
    }
    enum tl_rc rc = TL_OK;
    if (prefetch->made > prefetch->taken) {
        *ret_batch = &prefetch->ring[prefetch->taken++ % prefetch->n_ring];
        pthread_cond_signal(&prefetch->changed);
    } else {
        rc = prefetch->rc;
        if (err && !err->rc) {
            *err = prefetch->err;
        }
    }
    pthread_mutex_unlock(&prefetch->lock);
    return rc;
}
