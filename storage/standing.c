/* standing.c - rows of table standing: devices that fail, and devices that are held. storage.h draws the states. */
#include "storage/statement.h"

#include <string.h>

static const int64_t FAILURES_WITHIN_NS = INT64_C(60000000000);

struct verdict {
    int64_t now_ns;
    bool quarantined;
};

static enum tl_rc read_verdict(void *arg, struct store_stmt *st, struct tl_err *err)
{
    struct verdict *verdict = arg;
    verdict->quarantined =
        strcmp(store_column_text(st, 0), "quarantined") == 0 && store_column_int(st, 1) == verdict->now_ns;
    return store_stmt_check(st, err);
}

enum tl_rc store_device_failed(struct store_tx *tx, const char *name, int64_t now_ns, const char *reason,
                               bool *ret_quarantined, struct tl_err *err)
{
    /* primary key; what stands right of SET is the row as it was */
    static const char SQL[] = "INSERT INTO standing (device, state, reason, since_ns, failed_ns, failed_before_ns) "
                              "VALUES (?1, 'active', '', 0, ?2, 0) ON CONFLICT (device) DO UPDATE SET "
                              "state = iif(state = 'active' AND failed_before_ns > ?3, 'quarantined', state), "
                              "reason = iif(state = 'active' AND failed_before_ns > ?3, ?4, reason), "
                              "since_ns = iif(state = 'active' AND failed_before_ns > ?3, ?2, since_ns), "
                              "failed_before_ns = failed_ns, failed_ns = ?2 RETURNING state, since_ns";
    struct verdict verdict = {.now_ns = now_ns};
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, name);
    store_bind_int(&st, now_ns);
    store_bind_int(&st, now_ns - FAILURES_WITHIN_NS);
    store_bind_text(&st, reason);
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, read_verdict, &verdict, &found, err);
    if (!rc) {
        *ret_quarantined = verdict.quarantined;
    }
    return rc;
}

enum tl_rc store_device_drain(struct store_tx *tx, const char *name, int64_t now_ns, const char *reason,
                              struct tl_err *err)
{
    /* unique index on name; primary key */
    static const char SQL[] = "INSERT INTO standing (device, state, reason, since_ns, failed_ns, failed_before_ns) "
                              "SELECT name, 'draining', ?3, ?2, 0, 0 FROM device WHERE name = ?1 "
                              "ON CONFLICT (device) DO UPDATE SET state = 'draining', reason = ?3, since_ns = ?2";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, name);
    store_bind_int(&st, now_ns);
    store_bind_text(&st, reason);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    return rc || changed ? rc : tl_fail(err, TL_NOT_FOUND, "no device %s", name);
}

enum tl_rc store_device_resume(struct store_tx *tx, const char *name, struct tl_err *err)
{
    /* primary key; unique index on name */
    static const char SQL[] = "DELETE FROM standing WHERE device = ?1";
    static const char KNOWN[] = "SELECT 1 FROM device WHERE name = ?1";
    int64_t is_known = 0;
    {
        TL_AUTO(store_stmt) known = store_stmt_open(tx, KNOWN);
        store_bind_text(&known, name);
        enum tl_rc rc = store_stmt_int(&known, &is_known, err);
        if (rc || !is_known) {
            return rc ? rc : tl_fail(err, TL_NOT_FOUND, "no device %s", name);
        }
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, name);
    return store_stmt_run(&st, NULL, err);
}
