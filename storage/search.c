/* search.c - rows of tables search and event. */
#include "storage/statement.h"

/* What a list shows; a single search has the two large columns after them. */
#define SEARCH_COLUMNS                                                                                                 \
    "seq, id, space, device, state, outcome, snapshot, created_ns, updated_ns, finished_ns, evaluations, revision, "   \
    "spec, progress"

struct search_visit {
    store_search_fn *fn;
    void *ctx;
    bool whole; /* checkpoint and result are among the columns */
};

static enum tl_rc visit_search(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct search_visit *visit = arg;
    struct store_search search = {
        .seq = store_column_int(st, 0),
        .id = store_column_text(st, 1),
        .space = store_column_text(st, 2),
        .device = store_column_text(st, 3),
        .state = store_column_text(st, 4),
        .outcome = store_column_text(st, 5),
        .snapshot = store_column_text(st, 6),
        .created_ns = store_column_int(st, 7),
        .updated_ns = store_column_int(st, 8),
        .finished_ns = store_column_int(st, 9),
        .evaluations = store_column_int(st, 10),
        .revision = store_column_int(st, 11),
        .spec = store_column_bytes(st, 12),
        .progress = store_column_bytes(st, 13),
    };
    if (visit->whole) {
        search.checkpoint = store_column_bytes(st, 14);
        search.result = store_column_bytes(st, 15);
    }
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &search, err);
}

enum tl_rc store_search_insert(struct store_tx *tx, const struct store_search *search, struct tl_err *err)
{
    static const char SQL[] =
        "INSERT INTO search (id, space, device, state, outcome, snapshot, created_ns, updated_ns, finished_ns, "
        "evaluations, revision, spec, progress, checkpoint, result) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, search->id);
    store_bind_text(&st, search->space);
    store_bind_text(&st, search->device);
    store_bind_text(&st, search->state);
    store_bind_text(&st, search->outcome);
    store_bind_text(&st, search->snapshot);
    store_bind_int(&st, search->created_ns);
    store_bind_int(&st, search->updated_ns);
    store_bind_int(&st, search->finished_ns);
    store_bind_int(&st, search->evaluations);
    store_bind_int(&st, search->revision);
    store_bind_bytes(&st, search->spec);
    store_bind_bytes(&st, search->progress);
    store_bind_bytes(&st, search->checkpoint);
    store_bind_bytes(&st, search->result);
    return store_stmt_run(&st, NULL, err);
}

/* Why did no row of this id and revision change? */
static enum tl_rc explain_unchanged(struct store_tx *tx, const struct store_search *search, struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] = "SELECT 1 FROM search WHERE id = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, search->id);
    int64_t known = 0;
    enum tl_rc rc = store_stmt_int(&st, &known, err);
    if (rc) {
        return rc;
    }
    return known ? tl_fail(err, TL_CONFLICT, "search %s has changed since revision %lld", search->id,
                           (long long)search->revision)
                 : tl_fail(err, TL_NOT_FOUND, "no search %s", search->id);
}

/* NULL keeps the column. */
static void bind_or_keep(struct store_stmt *st, struct store_bytes bytes)
{
    if (bytes.data) {
        store_bind_bytes(st, bytes);
    } else {
        store_bind_null(st);
    }
}

enum tl_rc store_search_update(struct store_tx *tx, const struct store_search *search, struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] =
        "UPDATE search SET state = ?3, outcome = ?4, snapshot = ?5, updated_ns = ?6, finished_ns = ?7, "
        "evaluations = ?8, progress = ?9, checkpoint = coalesce(?10, checkpoint), result = coalesce(?11, result), "
        "revision = revision + 1 WHERE id = ?1 AND revision = ?2";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, search->id);
    store_bind_int(&st, search->revision);
    store_bind_text(&st, search->state);
    store_bind_text(&st, search->outcome);
    store_bind_text(&st, search->snapshot);
    store_bind_int(&st, search->updated_ns);
    store_bind_int(&st, search->finished_ns);
    store_bind_int(&st, search->evaluations);
    store_bind_bytes(&st, search->progress);
    bind_or_keep(&st, search->checkpoint);
    bind_or_keep(&st, search->result);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    return rc || changed ? rc : explain_unchanged(tx, search, err);
}

enum tl_rc store_search_get(struct store_tx *tx, const char *id, store_search_fn *fn, void *ctx, struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] = "SELECT " SEARCH_COLUMNS ", checkpoint, result FROM search WHERE id = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, id);
    struct search_visit visit = {fn, ctx, true};
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, visit_search, &visit, &found, err);
    return rc || found ? rc : tl_fail(err, TL_NOT_FOUND, "no search %s", id);
}

enum tl_rc store_search_list(struct store_tx *tx, const char *state, const char *device, struct store_page page,
                             store_search_fn *fn, void *ctx, struct tl_err *err)
{
    /* Primary key, search_by_state, search_by_device, each from its end. Searches of several devices begin with a comma, which
     * stands before every name: a part of the index by itself, where the name is looked for. */
    static const char ALL[] = "SELECT " SEARCH_COLUMNS " FROM search WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
    static const char OF_STATE[] = "SELECT " SEARCH_COLUMNS " FROM search WHERE seq < ?1 AND state = ?3 "
                                   "ORDER BY seq DESC LIMIT ?2";
    static const char OF_DEVICE[] =
        "SELECT " SEARCH_COLUMNS " FROM search INDEXED BY search_by_device "
        "WHERE seq < ?1 AND device = ?4 AND (?3 = '' OR state = ?3) "
        "UNION ALL SELECT " SEARCH_COLUMNS " FROM search WHERE seq < ?1 AND (?3 = '' OR state = ?3) AND seq IN "
        "(SELECT seq FROM search INDEXED BY search_by_device "
        "WHERE device >= ',' AND device < '-' AND instr(device, ',' || ?4 || ',') > 0) "
        "ORDER BY seq DESC LIMIT ?2";
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    bool of_device = !store_any(device);
    bool of_state = !store_any(state);
    TL_AUTO(store_stmt) st = store_stmt_open(tx, of_device ? OF_DEVICE : of_state ? OF_STATE : ALL);
    store_bind_int(&st, page.after > 0 ? page.after : INT64_MAX);
    store_bind_int(&st, page.limit);
    if (of_device || of_state) {
        store_bind_text(&st, state);
    }
    if (of_device) {
        store_bind_text(&st, device);
    }
    struct search_visit visit = {fn, ctx, false};
    return store_stmt_each(&st, visit_search, &visit, err);
}

enum tl_rc store_search_next(struct store_tx *tx, store_search_fn *fn, void *ctx, struct tl_err *err)
{
    /* search_by_state: the first of each state; then the primary key */
    static const char SQL[] = "SELECT " SEARCH_COLUMNS ", checkpoint, result FROM search WHERE seq = "
                              "(SELECT min(first) FROM (SELECT min(seq) AS first FROM search WHERE state = 'queued' "
                              "UNION ALL SELECT min(seq) FROM search WHERE state = 'running'))";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    struct search_visit visit = {fn, ctx, true};
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, visit_search, &visit, &found, err);
    return rc || found ? rc : tl_fail(err, TL_NOT_FOUND, "no search waits for a worker");
}

/* ---- events -------------------------------------------------------------------------------------------------- */

struct event_visit {
    store_event_fn *fn;
    void *ctx;
};

static enum tl_rc visit_event(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct event_visit *visit = arg;
    struct store_event event = {
        .number = store_column_int(st, 0),
        .time_ns = store_column_int(st, 1),
        .kind = store_column_text(st, 2),
        .data = store_column_bytes(st, 3),
    };
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &event, err);
}

enum tl_rc store_event_add(struct store_tx *tx, const char *search, const struct store_event *event, struct tl_err *err)
{
    /* primary key, the search's last entry */
    static const char SQL[] = "INSERT INTO event (search, number, time_ns, kind, data) VALUES (?1, "
                              "1 + (SELECT coalesce(max(number), 0) FROM event WHERE search = ?1), ?2, ?3, ?4)";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, search);
    store_bind_int(&st, event->time_ns);
    store_bind_text(&st, event->kind);
    store_bind_bytes(&st, event->data);
    return store_stmt_run(&st, NULL, err);
}

enum tl_rc store_event_list(struct store_tx *tx, const char *search, struct store_page page, store_event_fn *fn,
                            void *ctx, struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = "SELECT number, time_ns, kind, data FROM event WHERE search = ?1 AND number > ?2 "
                              "ORDER BY number LIMIT ?3";
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, search);
    store_bind_int(&st, page.after);
    store_bind_int(&st, page.limit);
    struct event_visit visit = {fn, ctx};
    return store_stmt_each(&st, visit_event, &visit, err);
}
