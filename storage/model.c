/* model.c - rows of tables model and snapshot. */
#include "storage/statement.h"
#include "storage/store.h"

#include <unistd.h>

#define MODEL_COLUMNS "seq, kind, space, device, hash, created_ns, info"

struct model_visit {
    store_model_fn *fn;
    void *ctx;
};

static enum tl_rc visit_model(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct model_visit *visit = arg;
    struct store_model model = {
        .seq = store_column_int(st, 0),
        .kind = store_column_text(st, 1),
        .space = store_column_text(st, 2),
        .device = store_column_text(st, 3),
        .hash = store_column_text(st, 4),
        .created_ns = store_column_int(st, 5),
        .info = store_column_bytes(st, 6),
    };
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &model, err);
}

/* A published model must never be a name without bytes. */
static enum tl_rc blob_exists(const struct store_tx *tx, const char *hash, struct tl_err *err)
{
    struct tl_hash parsed;
    if (!hash || !tl_hash_parse(hash, &parsed)) { /* it becomes part of a path */
        return tl_fail(err, TL_INVALID, "the hash of a blob is 32 lower-case hexadecimal digits");
    }
    TL_AUTO(tl_buf) path = {0};
    enum tl_rc rc = store_blob_path(tx->dir, hash, &path, err);
    return rc || access(path.data, R_OK) == 0 ? rc : tl_fail(err, TL_NOT_FOUND, "no blob %s", hash);
}

enum tl_rc store_model_put(struct store_tx *tx, const struct store_model *model, struct tl_err *err)
{
    static const char SQL[] = "INSERT INTO model (kind, space, device, hash, created_ns, info) "
                              "VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    enum tl_rc rc = blob_exists(tx, model->hash, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, model->kind);
    store_bind_text(&st, model->space);
    store_bind_text(&st, model->device);
    store_bind_text(&st, model->hash);
    store_bind_int(&st, model->created_ns);
    store_bind_bytes(&st, model->info);
    return store_stmt_run(&st, NULL, err);
}

enum tl_rc store_model_current(struct store_tx *tx, const char *kind, const char *space, const char *device,
                               store_model_fn *fn, void *ctx, struct tl_err *err)
{
    /* model_by_use, from its end */
    static const char SQL[] = "SELECT " MODEL_COLUMNS " FROM model WHERE kind = ?1 AND space = ?2 AND device = ?3 "
                              "ORDER BY seq DESC LIMIT 1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, kind);
    store_bind_text(&st, space);
    store_bind_text(&st, device);
    struct model_visit visit = {fn, ctx};
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, visit_model, &visit, &found, err);
    return rc || found ? rc : tl_fail(err, TL_NOT_FOUND, "no %s model of %s", kind, space);
}

enum tl_rc store_model_list(struct store_tx *tx, struct store_page page, store_model_fn *fn, void *ctx,
                            struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = "SELECT " MODEL_COLUMNS " FROM model WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_int(&st, page.after);
    store_bind_int(&st, page.limit);
    struct model_visit visit = {fn, ctx};
    return store_stmt_each(&st, visit_model, &visit, err);
}

/* ---- snapshots ----------------------------------------------------------------------------------------------- */

struct snapshot_visit {
    store_bytes_fn *fn;
    void *ctx;
    const char *hash;
};

static enum tl_rc visit_snapshot(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct snapshot_visit *visit = arg;
    struct store_bytes json = store_column_bytes(st, 0);
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, visit->hash, json, err);
}

enum tl_rc store_snapshot_put(struct store_tx *tx, const char *hash, struct store_bytes json, struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = "INSERT INTO snapshot (hash, json) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, hash);
    store_bind_bytes(&st, json);
    return store_stmt_run(&st, NULL, err);
}

enum tl_rc store_snapshot_get(struct store_tx *tx, const char *hash, store_bytes_fn *fn, void *ctx, struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = "SELECT json FROM snapshot WHERE hash = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, hash);
    struct snapshot_visit visit = {fn, ctx, hash};
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, visit_snapshot, &visit, &found, err);
    return rc || found ? rc : tl_fail(err, TL_NOT_FOUND, "no snapshot %s", hash);
}
