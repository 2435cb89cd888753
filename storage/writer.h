/* writer.h - the thread that owns the read-write connection.
 *
 * Callers queue a closure and sleep; the writer takes what is queued, up to 256, runs it in one transaction, each
 * closure in a savepoint, commits (one fsync for all), and wakes them. While it commits, the next group gathers.
 *
 * Threads: `lock` guards the queue and every request's `finished`; the connection belongs to the writer's thread.
 */
#ifndef TAILOR_STORAGE_WRITER_H
#define TAILOR_STORAGE_WRITER_H

#include "storage/connection.h"

#include <pthread.h>

enum { STORE_QUEUE_MAX = 1024, STORE_GROUP_MAX = 256 };

struct store_request;

struct store_writer {
    struct store_tx tx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;                          /* something is queued, stop, or the last caller left */
    struct store_request *queue[STORE_QUEUE_MAX]; /* ring; borrowed from callers that sleep */
    size_t first;
    size_t n;
    size_t max;       /* TL_BUSY at this length: STORE_QUEUE_MAX, or less in tests */
    size_t n_callers; /* in store_writer_run */
    bool stop;
    bool started;
};

/* Start the thread on `writer->tx`, which is open. `max`: 1..STORE_QUEUE_MAX. */
TL_MUST_CHECK enum tl_rc store_writer_start(struct store_writer *writer, size_t max, struct tl_err *err);
/* Run what is queued, end the thread, close the connection. Takes one that was never started. */
void store_writer_stop(struct store_writer *writer);
/* store_write. */
TL_MUST_CHECK enum tl_rc store_writer_run(struct store_writer *writer,
                                          enum tl_rc (*fn)(struct store_tx *, void *, struct tl_err *), void *ctx,
                                          struct tl_err *err);

#endif
