/* writer.c - group commit. */
#include "storage/writer.h"

#include "storage/statement.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>

/* One store_write, on the stack of the caller, who sleeps until `finished`. */
struct store_request {
    enum tl_rc (*fn)(struct store_tx *, void *, struct tl_err *);
    void *ctx;
    struct tl_err *err;
    enum tl_rc rc;
    bool finished;
    pthread_cond_t wake;
};

static enum tl_rc run_sql(struct store_tx *tx, const char *sql, struct tl_err *err)
{
    TL_AUTO(store_stmt) st = store_stmt_open(tx, sql);
    return store_stmt_run(&st, NULL, err);
}

/* Run one closure; when it fails, undo it alone. A failure returned here is the group's: the disk is full, say, and
 * SQLite has rolled everything back by itself. */
static enum tl_rc run_request(struct store_tx *tx, struct store_request *request, struct tl_err *err)
{
    static const char BEGIN_ONE[] = "SAVEPOINT one";
    static const char UNDO_ONE[] = "ROLLBACK TO one";
    static const char END_ONE[] = "RELEASE one";
    enum tl_rc rc = run_sql(tx, BEGIN_ONE, err);
    if (rc) {
        return rc;
    }
    request->rc = request->fn(tx, request->ctx, request->err);
    if (sqlite3_get_autocommit(tx->db)) {
        return tl_fail(err, TL_IO, "the store: a write failed and took with it all that were to be committed with it");
    }
    rc = request->rc ? run_sql(tx, UNDO_ONE, err) : TL_OK;
    return rc ? rc : run_sql(tx, END_ONE, err);
}

static enum tl_rc run_transaction(struct store_tx *tx, struct store_request **group, size_t n, struct tl_err *err)
{
    static const char BEGIN[] = "BEGIN IMMEDIATE";
    static const char COMMIT[] = "COMMIT";
    enum tl_rc rc = run_sql(tx, BEGIN, err);
    for (size_t i = 0; !rc && i < n; i++) {
        rc = run_request(tx, group[i], err);
    }
    return rc ? rc : run_sql(tx, COMMIT, err);
}

/* A failure of the group is the result of every closure in it that has none of its own. */
static void run_group(struct store_tx *tx, struct store_request **group, size_t n)
{
    struct tl_err err = {0};
    enum tl_rc rc = run_transaction(tx, group, n, &err);
    store_tx_rollback(tx);
    for (size_t i = 0; rc && i < n; i++) {
        struct store_request *request = group[i];
        if (!request->rc) {
            request->rc = rc;
            if (request->err && !request->err->rc) {
                *request->err = err;
            }
        }
    }
}

/* Wait for something to do; 0: told to stop, and the queue is empty. */
static size_t take_group(struct store_writer *writer, struct store_request **group)
{
    pthread_mutex_lock(&writer->lock);
    while (!writer->n && !writer->stop) {
        pthread_cond_wait(&writer->wake, &writer->lock);
    }
    size_t n = 0;
    while (writer->n && n < STORE_GROUP_MAX) {
        group[n++] = writer->queue[writer->first];
        writer->first = (writer->first + 1) % STORE_QUEUE_MAX;
        writer->n--;
    }
    pthread_mutex_unlock(&writer->lock);
    return n;
}

static void finish_group(struct store_writer *writer, struct store_request **group, size_t n)
{
    pthread_mutex_lock(&writer->lock);
    for (size_t i = 0; i < n; i++) {
        group[i]->finished = true;
        pthread_cond_signal(&group[i]->wake);
    }
    pthread_mutex_unlock(&writer->lock);
}

static void *writer_main(void *arg)
{
    struct store_writer *writer = arg;
    struct store_request *group[STORE_GROUP_MAX];
    for (size_t n = take_group(writer, group); n; n = take_group(writer, group)) {
        run_group(&writer->tx, group, n);
        finish_group(writer, group, n);
    }
    return NULL;
}

enum tl_rc store_writer_run(struct store_writer *writer, enum tl_rc (*fn)(struct store_tx *, void *, struct tl_err *),
                            void *ctx, struct tl_err *err)
{
    assert(!pthread_equal(pthread_self(), writer->thread)); /* a closure would wait for itself */
    struct store_request request = {.fn = fn, .ctx = ctx, .err = err};
    pthread_mutex_lock(&writer->lock);
    if (writer->n == writer->max) {
        pthread_mutex_unlock(&writer->lock);
        return tl_fail(err, TL_BUSY, "the store has %zu writes waiting; try again later", writer->max);
    }
    writer->n_callers++;
    pthread_cond_init(&request.wake, NULL); /* cannot fail without attributes */
    writer->queue[(writer->first + writer->n++) % STORE_QUEUE_MAX] = &request;
    pthread_cond_signal(&writer->wake);
    while (!request.finished) {
        pthread_cond_wait(&request.wake, &writer->lock);
    }
    writer->n_callers--;
    if (writer->stop) {
        pthread_cond_signal(&writer->wake);
    }
    pthread_mutex_unlock(&writer->lock);
    pthread_cond_destroy(&request.wake);
    return request.rc;
}

enum tl_rc store_writer_start(struct store_writer *writer, size_t max, struct tl_err *err)
{
    assert(max >= 1 && max <= STORE_QUEUE_MAX);
    writer->max = max;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->wake, NULL);
    sigset_t all, before;
    sigfillset(&all); /* signals belong to the program's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&writer->thread, NULL, writer_main, writer);
    writer->started = errno == 0;
    enum tl_rc rc = writer->started ? TL_OK : tl_fail_sys(err, "cannot start the store's writer");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        pthread_cond_destroy(&writer->wake);
        pthread_mutex_destroy(&writer->lock);
    }
    return rc;
}

void store_writer_stop(struct store_writer *writer)
{
    if (writer->started) {
        pthread_mutex_lock(&writer->lock);
        writer->stop = true;
        pthread_cond_signal(&writer->wake);
        pthread_mutex_unlock(&writer->lock);
        pthread_join(writer->thread, NULL);
        pthread_mutex_lock(&writer->lock);
        while (writer->n_callers) { /* their closures have run, but they still hold on to the lock */
            pthread_cond_wait(&writer->wake, &writer->lock);
        }
        pthread_mutex_unlock(&writer->lock);
        pthread_cond_destroy(&writer->wake);
        pthread_mutex_destroy(&writer->lock);
        writer->started = false;
    }
    store_tx_close(&writer->tx);
}
