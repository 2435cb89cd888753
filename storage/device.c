/* device.c - rows of table device. */
#include "storage/statement.h"

/* The join goes by standing's primary key. */
#define DEVICE_ROWS                                                                                                    \
    "SELECT seq, name, agent_key, created_ns, seen_ns, anchor_reference_ms, info, coalesce(state, 'active'), "         \
    "coalesce(reason, ''), coalesce(since_ns, 0) FROM device LEFT JOIN standing ON standing.device = name "

struct device_visit {
    store_device_fn *fn;
    void *ctx;
};

static enum tl_rc visit_device(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct device_visit *visit = arg;
    struct store_device device = {
        .seq = store_column_int(st, 0),
        .name = store_column_text(st, 1),
        .agent_key = store_column_text(st, 2),
        .created_ns = store_column_int(st, 3),
        .seen_ns = store_column_int(st, 4),
        .anchor_reference_ms = store_column_real(st, 5),
        .info = store_column_bytes(st, 6),
        .state = store_column_text(st, 7),
        .state_reason = store_column_text(st, 8),
        .state_since_ns = store_column_int(st, 9),
    };
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &device, err);
}

enum tl_rc store_device_put(struct store_tx *tx, const struct store_device *device, struct tl_err *err)
{
    /* unique index on name */
    static const char SQL[] = "INSERT INTO device (name, agent_key, created_ns, seen_ns, anchor_reference_ms, info) "
                              "VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
                              "ON CONFLICT (name) DO UPDATE SET agent_key = ?2, seen_ns = ?4, info = ?6";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, device->name);
    store_bind_text(&st, device->agent_key);
    store_bind_int(&st, device->created_ns);
    store_bind_int(&st, device->seen_ns);
    store_bind_real(&st, device->anchor_reference_ms);
    store_bind_bytes(&st, device->info);
    return store_stmt_run(&st, NULL, err);
}

enum tl_rc store_device_seen(struct store_tx *tx, const char *name, int64_t seen_ns, struct tl_err *err)
{
    /* unique index on name */
    static const char SQL[] = "UPDATE device SET seen_ns = ?2 WHERE name = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, name);
    store_bind_int(&st, seen_ns);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    return rc || changed ? rc : tl_fail(err, TL_NOT_FOUND, "no device %s", name);
}

enum tl_rc store_device_anchor(struct store_tx *tx, const char *name, double reference_ms, struct tl_err *err)
{
    /* both: unique index on name */
    static const char SQL[] = "UPDATE device SET anchor_reference_ms = ?2 WHERE name = ?1 AND anchor_reference_ms = 0";
    static const char KNOWN[] = "SELECT 1 FROM device WHERE name = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, name);
    store_bind_real(&st, reference_ms);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    if (rc || changed) {
        return rc;
    }
    TL_AUTO(store_stmt) known = store_stmt_open(tx, KNOWN);
    store_bind_text(&known, name);
    int64_t is_known = 0;
    rc = store_stmt_int(&known, &is_known, err);
    if (rc) {
        return rc;
    }
    return is_known ? tl_fail(err, TL_CONFLICT, "the anchor's reference time of device %s is already fixed", name)
                    : tl_fail(err, TL_NOT_FOUND, "no device %s", name);
}

enum tl_rc store_device_get(struct store_tx *tx, const char *name, store_device_fn *fn, void *ctx, struct tl_err *err)
{
    /* unique index on name */
    static const char SQL[] = DEVICE_ROWS "WHERE name = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, name);
    struct device_visit visit = {fn, ctx};
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, visit_device, &visit, &found, err);
    return rc || found ? rc : tl_fail(err, TL_NOT_FOUND, "no device %s", name);
}

enum tl_rc store_device_list(struct store_tx *tx, struct store_page page, store_device_fn *fn, void *ctx,
                             struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = DEVICE_ROWS "WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_int(&st, page.after);
    store_bind_int(&st, page.limit);
    struct device_visit visit = {fn, ctx};
    return store_stmt_each(&st, visit_device, &visit, err);
}
