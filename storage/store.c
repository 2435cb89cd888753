/* store.c - a store is a folder: the lock, the database with its connections, the blobs.
 *
 * Threads: `lock` guards the readers that are free; the writer has its own (writer.h). Nothing else changes after
 * store_open.
 */
#include "storage/store.h"

#include "storage/migrate.h"
#include "storage/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* ---- opening ------------------------------------------------------------------------------------------------- */

/* The path of `name` in the store's folder, in a fresh buffer. */
static enum tl_rc path_of(const struct store *store, const char *name, struct tl_buf *ret_path, struct tl_err *err)
{
    return tl_buf_addf(ret_path, err, "%s/%s", store->dir, name);
}

static enum tl_rc make_folders(struct store *store, struct tl_err *err)
{
    TL_AUTO(tl_buf) blobs = {0};
    enum tl_rc rc = path_of(store, "blobs", &blobs, err);
    return rc ? rc : tl_dir_make(blobs.data, err); /* and its parents */
}

/* Two programs on one file would be two checkpointers (connection.c). The lock goes with the process, however it ends. */
static enum tl_rc take_lock(struct store *store, struct tl_err *err)
{
    TL_AUTO(tl_buf) path = {0};
    enum tl_rc rc = path_of(store, "tailor.lock", &path, err);
    if (rc) {
        return rc;
    }
    store->lock_fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (store->lock_fd < 0) {
        return tl_fail_sys(err, "cannot open %s", path.data);
    }
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return TL_OK;
    }
    return errno == EWOULDBLOCK ? tl_fail(err, TL_CONFLICT, "another program has the store in %s open", store->dir)
                                : tl_fail_sys(err, "cannot lock %s", path.data);
}

static enum tl_rc use_wal(struct store_tx *tx, struct tl_err *err)
{
    static const char WAL[] = "PRAGMA journal_mode = WAL";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, WAL);
    bool row = false;
    enum tl_rc rc = store_stmt_step(&st, &row, err);
    const char *mode = !rc && row ? store_column_text(&st, 0) : NULL;
    if (!rc && (!mode || strcmp(mode, "wal") != 0)) {
        rc = tl_fail(err, TL_IO, "the file system does not allow a write-ahead log beside the store");
    }
    return rc;
}

/* Foreign keys only afterwards: a migration may rebuild a table that others refer to. */
static enum tl_rc open_writer(struct store *store, const char *path, const char *vfs, struct tl_err *err)
{
    struct store_tx *tx = &store->writer.tx;
    enum tl_rc rc = store_tx_open(tx, path, vfs, true, err);
    rc = rc ? rc : store_migrate(tx, &store_schema, path, err);
    rc = rc ? rc : use_wal(tx, err);
    rc = rc ? rc : store_tx_script(tx, "PRAGMA foreign_keys = ON", err);
    tx->dir = store->dir;
    return rc ? rc : store_writer_start(&store->writer, STORE_QUEUE_MAX, err);
}

static enum tl_rc open_readers(struct store *store, const char *path, const char *vfs, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; !rc && i < STORE_READERS; i++) {
        rc = store_tx_open(&store->readers[i], path, vfs, false, err);
        if (!rc) {
            store->readers[i].dir = store->dir;
            store->idle[store->n_idle++] = &store->readers[i];
        }
    }
    return rc;
}

static enum tl_rc open_all(struct store *store, const char *vfs, struct tl_err *err)
{
    TL_AUTO(tl_buf) path = {0};
    enum tl_rc rc = make_folders(store, err);
    rc = rc ? rc : take_lock(store, err);
    rc = rc ? rc : path_of(store, "tailor.db", &path, err);
    rc = rc ? rc : open_writer(store, path.data, vfs, err);
    return rc ? rc : open_readers(store, path.data, vfs, err);
}

enum tl_rc store_open(const char *dir, const char *vfs, struct store **ret_store, struct tl_err *err)
{
    struct store *store = calloc(1, sizeof *store);
    char *copy = strdup(dir);
    if (!store || !copy) {
        free(copy);
        free(store);
        return tl_fail(err, TL_NO_MEMORY, "no memory to open the store in %s", dir);
    }
    store->dir = copy;
    store->lock_fd = -1;
    pthread_mutex_init(&store->lock, NULL); /* these two cannot fail without attributes */
    pthread_cond_init(&store->wake, NULL);
    enum tl_rc rc = open_all(store, vfs, err);
    if (rc) {
        store_close(store);
        return rc;
    }
    *ret_store = store;
    return TL_OK;
}

/* Readers first: the last connection to close folds the log into the file, and that must be the writer. */
void store_close(struct store *store)
{
    if (!store) {
        return;
    }
    for (size_t i = 0; i < STORE_READERS; i++) {
        store_tx_close(&store->readers[i]);
    }
    store_writer_stop(&store->writer);
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
    }
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    free(store->dir);
    free(store);
}

const char *store_engine_version(void)
{
    return sqlite3_libversion();
}

const char *store_dir(const struct store *store)
{
    return store->dir;
}

/* ---- transactions -------------------------------------------------------------------------------------------- */

enum tl_rc store_write(struct store *store, enum tl_rc (*fn)(struct store_tx *, void *, struct tl_err *), void *ctx,
                       struct tl_err *err)
{
    return store_writer_run(&store->writer, fn, ctx, err);
}

static struct store_tx *take_reader(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    while (!store->n_idle) {
        pthread_cond_wait(&store->wake, &store->lock);
    }
    struct store_tx *tx = store->idle[--store->n_idle];
    pthread_mutex_unlock(&store->lock);
    return tx;
}

static void give_reader(struct store *store, struct store_tx *tx)
{
    pthread_mutex_lock(&store->lock);
    store->idle[store->n_idle++] = tx;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

enum tl_rc store_read(struct store *store, enum tl_rc (*fn)(struct store_tx *, void *, struct tl_err *), void *ctx,
                      struct tl_err *err)
{
    struct store_tx *tx = take_reader(store);
    enum tl_rc rc = store_tx_script(tx, "BEGIN", err); /* the first read pins the snapshot */
    rc = rc ? rc : fn(tx, ctx, err);
    store_tx_rollback(tx); /* nothing was written */
    give_reader(store, tx);
    return rc;
}
