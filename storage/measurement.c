/* measurement.c - rows of table measurement: written once, never changed. */
#include "storage/statement.h"

/* What a list shows; a single measurement has the body after them. */
#define MEASUREMENT_COLUMNS                                                                                            \
    "seq, id, device, job, search, space, subject, kind, verdict, reason, late, created_ns, ratio, anchor_ms, "        \
    "median_ms, body_hash"

struct measurement_visit {
    store_measurement_fn *fn;
    void *ctx;
    bool whole; /* the body is among the columns */
};

static enum tl_rc visit_measurement(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct measurement_visit *visit = arg;
    struct store_measurement measurement = {
        .seq = store_column_int(st, 0),
        .id = store_column_text(st, 1),
        .device = store_column_text(st, 2),
        .job = store_column_text(st, 3),
        .search = store_column_text(st, 4),
        .space = store_column_text(st, 5),
        .subject = store_column_text(st, 6),
        .kind = store_column_text(st, 7),
        .verdict = store_column_text(st, 8),
        .reason = store_column_text(st, 9),
        .late = store_column_int(st, 10) != 0,
        .created_ns = store_column_int(st, 11),
        .ratio = store_column_real(st, 12),
        .anchor_ms = store_column_real(st, 13),
        .median_ms = store_column_real(st, 14),
        .body_hash = store_column_text(st, 15),
    };
    if (visit->whole) {
        measurement.body = store_column_bytes(st, 16);
    }
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &measurement, err);
}

/* Was what is stored under this id the same upload? */
static enum tl_rc compare_stored(struct store_tx *tx, const struct store_measurement *measurement, struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] = "SELECT body_hash = ?2 FROM measurement WHERE id = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, measurement->id);
    store_bind_text(&st, measurement->body_hash);
    int64_t same = 0;
    enum tl_rc rc = store_stmt_int(&st, &same, err);
    return rc || same ? rc : tl_fail(err, TL_CONFLICT, "measurement %s is stored with other bytes", measurement->id);
}

enum tl_rc store_measurement_put(struct store_tx *tx, const struct store_measurement *measurement, bool *ret_new,
                                 struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] =
        "INSERT INTO measurement (id, device, job, search, space, subject, kind, verdict, reason, "
        "late, created_ns, ratio, anchor_ms, median_ms, body_hash, body) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) "
        "ON CONFLICT (id) DO NOTHING";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, measurement->id);
    store_bind_text(&st, measurement->device);
    store_bind_text(&st, measurement->job);
    store_bind_text(&st, measurement->search);
    store_bind_text(&st, measurement->space);
    store_bind_text(&st, measurement->subject);
    store_bind_text(&st, measurement->kind);
    store_bind_text(&st, measurement->verdict);
    store_bind_text(&st, measurement->reason);
    store_bind_int(&st, measurement->late);
    store_bind_int(&st, measurement->created_ns);
    store_bind_real(&st, measurement->ratio);
    store_bind_real(&st, measurement->anchor_ms);
    store_bind_real(&st, measurement->median_ms);
    store_bind_text(&st, measurement->body_hash);
    store_bind_bytes(&st, measurement->body);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    if (!rc && !changed) {
        rc = compare_stored(tx, measurement, err);
    }
    if (!rc) {
        *ret_new = changed != 0;
    }
    return rc;
}

enum tl_rc store_measurement_get(struct store_tx *tx, const char *id, store_measurement_fn *fn, void *ctx,
                                 struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] = "SELECT " MEASUREMENT_COLUMNS ", body FROM measurement WHERE id = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, id);
    struct measurement_visit visit = {fn, ctx, true};
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, visit_measurement, &visit, &found, err);
    return rc || found ? rc : tl_fail(err, TL_NOT_FOUND, "no measurement %s", id);
}

/* The narrowest index for these filters; every text takes the same parameters. */
static const char *list_sql(const char *device, const char *subject, const char *search)
{
#define MEASUREMENT_LIST(index, condition)                                                                             \
    "SELECT " MEASUREMENT_COLUMNS " FROM measurement " index " WHERE seq > ?1 AND " condition                          \
    " AND (?4 = '' OR space = ?4) AND (?5 = '' OR kind = ?5) ORDER BY seq LIMIT ?2"
    static const char OF_SEARCH[] = MEASUREMENT_LIST(
        "INDEXED BY measurement_by_search", "search = ?7 AND (?3 = '' OR device = ?3) AND (?6 = '' OR subject = ?6)");
    static const char OF_SUBJECT[] =
        MEASUREMENT_LIST("INDEXED BY measurement_by_subject", "subject = ?6 AND ?7 = '' AND (?3 = '' OR device = ?3)");
    static const char OF_DEVICE[] =
        MEASUREMENT_LIST("INDEXED BY measurement_by_device", "device = ?3 AND ?6 = '' AND ?7 = ''");
    static const char ALL[] = MEASUREMENT_LIST("NOT INDEXED", "?3 = '' AND ?6 = '' AND ?7 = ''");
#undef MEASUREMENT_LIST
    if (!store_any(search)) {
        return OF_SEARCH;
    }
    if (!store_any(subject)) {
        return OF_SUBJECT;
    }
    return store_any(device) ? ALL : OF_DEVICE;
}

enum tl_rc store_measurement_list(struct store_tx *tx, const char *device, const char *space, const char *kind,
                                  const char *subject, const char *search, struct store_page page,
                                  store_measurement_fn *fn, void *ctx, struct tl_err *err)
{
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, list_sql(device, subject, search));
    store_bind_int(&st, page.after);
    store_bind_int(&st, page.limit);
    store_bind_text(&st, device);
    store_bind_text(&st, space);
    store_bind_text(&st, kind);
    store_bind_text(&st, subject);
    store_bind_text(&st, search);
    struct measurement_visit visit = {fn, ctx, false};
    return store_stmt_each(&st, visit_measurement, &visit, err);
}
