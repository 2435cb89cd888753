/* job.c - rows of table job. The states and what moves a job between them are drawn in storage.h. */
#include "storage/statement.h"

#define JOB_COLUMNS                                                                                                    \
    "seq, id, device, kind, search, space, state, not_before_ns, lease_until_ns, attempt, failure, created_ns, work"

struct job_visit {
    store_job_fn *fn;
    void *ctx;
};

static enum tl_rc visit_job(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct job_visit *visit = arg;
    struct store_job job = {
        .seq = store_column_int(st, 0),
        .id = store_column_text(st, 1),
        .device = store_column_text(st, 2),
        .kind = store_column_text(st, 3),
        .search = store_column_text(st, 4),
        .space = store_column_text(st, 5),
        .state = store_column_text(st, 6),
        .not_before_ns = store_column_int(st, 7),
        .lease_until_ns = store_column_int(st, 8),
        .attempt = store_column_int(st, 9),
        .failure = store_column_text(st, 10),
        .created_ns = store_column_int(st, 11),
        .work = store_column_bytes(st, 12),
    };
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &job, err);
}

enum tl_rc store_job_insert(struct store_tx *tx, const struct store_job *job, struct tl_err *err)
{
    static const char SQL[] = "INSERT INTO job (id, device, kind, search, space, state, not_before_ns, lease_until_ns, "
                              "attempt, failure, created_ns, work) "
                              "VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, 0, 0, '', ?7, ?8)";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, job->id);
    store_bind_text(&st, job->device);
    store_bind_text(&st, job->kind);
    store_bind_text(&st, job->search);
    store_bind_text(&st, job->space);
    store_bind_int(&st, job->not_before_ns);
    store_bind_int(&st, job->created_ns);
    store_bind_bytes(&st, job->work);
    return store_stmt_run(&st, NULL, err);
}

/* ---- leases -------------------------------------------------------------------------------------------------- */

/* Leases that ran out go back to the queue, or end after the fifth. */
static enum tl_rc expire(struct store_tx *tx, const char *device, int64_t now_ns, struct tl_err *err)
{
    /* job_by_state */
    static const char SQL[] =
        "UPDATE job SET state = CASE WHEN attempt < 5 THEN 'queued' ELSE 'failed' END, "
        "failure = CASE WHEN attempt < 5 THEN '' ELSE 'leased 5 times, and never ended' END, lease_until_ns = 0 "
        "WHERE device = ?1 AND state = 'leased' AND lease_until_ns <= ?2";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, device);
    store_bind_int(&st, now_ns);
    return store_stmt_run(&st, NULL, err);
}

/* Visit the job whose lease the device holds. */
static enum tl_rc visit_held(struct store_tx *tx, const char *device, struct job_visit *visit, bool *ret_found,
                             struct tl_err *err)
{
    /* job_by_state */
    static const char SQL[] = "SELECT " JOB_COLUMNS " FROM job WHERE device = ?1 AND state = 'leased' "
                              "ORDER BY seq LIMIT 1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, device);
    return store_stmt_one(&st, visit_job, visit, ret_found, err);
}

/* Lease the oldest job that is due. */
static enum tl_rc take_due(struct store_tx *tx, const char *device, int64_t now_ns, int64_t lease_until_ns,
                           struct job_visit *visit, bool *ret_found, struct tl_err *err)
{
    /* job_by_state, past those that are not due; then the primary key */
    static const char SQL[] =
        "UPDATE job SET state = 'leased', lease_until_ns = ?3, attempt = attempt + 1 WHERE seq = "
        "(SELECT seq FROM job WHERE device = ?1 AND state = 'queued' AND not_before_ns <= ?2 ORDER BY seq LIMIT 1) "
        "RETURNING " JOB_COLUMNS;
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, device);
    store_bind_int(&st, now_ns);
    store_bind_int(&st, lease_until_ns);
    return store_stmt_one(&st, visit_job, visit, ret_found, err);
}

static enum tl_rc next_due(struct store_tx *tx, const char *device, int64_t *ret_next_ns, struct tl_err *err)
{
    /* job_by_state */
    static const char SQL[] = "SELECT coalesce(min(not_before_ns), 0) FROM job WHERE device = ?1 AND state = 'queued'";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, device);
    return store_stmt_int(&st, ret_next_ns, err);
}

enum tl_rc store_job_lease(struct store_tx *tx, const char *device, bool shared, int64_t now_ns, int64_t lease_until_ns,
                           store_job_fn *fn, void *ctx, bool *ret_leased, int64_t *ret_next_ns, struct tl_err *err)
{
    struct job_visit visit = {fn, ctx};
    bool leased = false;
    int64_t next_ns = 0;
    enum tl_rc rc = expire(tx, device, now_ns, err);
    rc = rc || shared ? rc : visit_held(tx, device, &visit, &leased, err);
    if (!rc && !leased) {
        rc = take_due(tx, device, now_ns, lease_until_ns, &visit, &leased, err);
    }
    if (!rc && !leased) {
        rc = next_due(tx, device, &next_ns, err);
    }
    if (!rc) {
        *ret_leased = leased;
        *ret_next_ns = next_ns;
    }
    return rc;
}

/* Why did a job not change as `attempt` asked? */
static enum tl_rc explain_unchanged(struct store_tx *tx, const char *id, int64_t attempt, struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] = "SELECT 1 FROM job WHERE id = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, id);
    int64_t known = 0;
    enum tl_rc rc = store_stmt_int(&st, &known, err);
    if (rc) {
        return rc;
    }
    return known ? tl_fail(err, TL_CONFLICT, "attempt %lld of job %s no longer holds its lease, or the job has ended",
                           (long long)attempt, id)
                 : tl_fail(err, TL_NOT_FOUND, "no job %s", id);
}

enum tl_rc store_job_renew(struct store_tx *tx, const char *id, int64_t attempt, int64_t lease_until_ns,
                           struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] = "UPDATE job SET lease_until_ns = ?3 WHERE id = ?1 AND attempt = ?2 AND state = 'leased'";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, id);
    store_bind_int(&st, attempt);
    store_bind_int(&st, lease_until_ns);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    return rc || changed ? rc : explain_unchanged(tx, id, attempt, err);
}

/* Has the job ended, and in this way? */
static enum tl_rc ended_so(struct store_tx *tx, const char *id, const char *failure, bool *ret_so, struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] = "SELECT 1 FROM job WHERE id = ?1 AND failure = ?2 AND state IN ('done', 'failed')";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, id);
    store_bind_text(&st, failure);
    int64_t so = 0;
    enum tl_rc rc = store_stmt_int(&st, &so, err);
    if (!rc) {
        *ret_so = so != 0;
    }
    return rc;
}

enum tl_rc store_job_end(struct store_tx *tx, const char *id, int64_t attempt, const char *failure, struct tl_err *err)
{
    /* unique index on id; queued with this attempt: the lease ran out and nobody else has taken the job */
    static const char SQL[] = "UPDATE job SET state = CASE ?3 WHEN '' THEN 'done' ELSE 'failed' END, failure = ?3, "
                              "lease_until_ns = 0 WHERE id = ?1 AND attempt = ?2 AND attempt > 0 "
                              "AND state IN ('leased', 'queued')";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, id);
    store_bind_int(&st, attempt);
    store_bind_text(&st, failure);
    int changed = 0;
    bool so = false;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    if (!rc && !changed) {
        rc = ended_so(tx, id, failure, &so, err);
    }
    return rc || changed || so ? rc : explain_unchanged(tx, id, attempt, err);
}

enum tl_rc store_job_cancel_search(struct store_tx *tx, const char *search, const char *reason, struct tl_err *err)
{
    /* job_by_search */
    static const char SQL[] = "UPDATE job SET state = 'failed', failure = ?2, lease_until_ns = 0 "
                              "WHERE search = ?1 AND state IN ('queued', 'leased')";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, search);
    store_bind_text(&st, reason);
    return store_stmt_run(&st, NULL, err);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

enum tl_rc store_job_get(struct store_tx *tx, const char *id, store_job_fn *fn, void *ctx, struct tl_err *err)
{
    /* unique index on id */
    static const char SQL[] = "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, id);
    struct job_visit visit = {fn, ctx};
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, visit_job, &visit, &found, err);
    return rc || found ? rc : tl_fail(err, TL_NOT_FOUND, "no job %s", id);
}

/* The narrowest index for these filters; every text takes the same parameters. */
static const char *list_sql(const char *device, const char *search, const char *state)
{
#define JOB_LIST(index, condition)                                                                                     \
    "SELECT " JOB_COLUMNS " FROM job " index " WHERE seq > ?1 AND " condition                                          \
    " AND (?4 = '' OR kind = ?4) ORDER BY seq LIMIT ?2"
    static const char OF_SEARCH[] = JOB_LIST("INDEXED BY job_by_search", "search = ?5 AND (?3 = '' OR device = ?3) "
                                                                         "AND (?6 = '' OR state = ?6)");
    static const char OF_STATE[] = JOB_LIST("INDEXED BY job_by_state", "device = ?3 AND state = ?6 AND ?5 = ''");
    static const char OF_DEVICE[] = JOB_LIST("INDEXED BY job_by_device", "device = ?3 AND ?5 = '' AND ?6 = ''");
    static const char ALL[] = JOB_LIST("NOT INDEXED", "?3 = '' AND ?5 = '' AND (?6 = '' OR state = ?6)");
#undef JOB_LIST
    if (!store_any(search)) {
        return OF_SEARCH;
    }
    if (store_any(device)) {
        return ALL;
    }
    return store_any(state) ? OF_DEVICE : OF_STATE;
}

enum tl_rc store_job_list(struct store_tx *tx, const char *device, const char *kind, const char *search,
                          const char *state, struct store_page page, store_job_fn *fn, void *ctx, struct tl_err *err)
{
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, list_sql(device, search, state));
    store_bind_int(&st, page.after);
    store_bind_int(&st, page.limit);
    store_bind_text(&st, device);
    store_bind_text(&st, kind);
    store_bind_text(&st, search);
    store_bind_text(&st, state);
    struct job_visit visit = {fn, ctx};
    return store_stmt_each(&st, visit_job, &visit, err);
}

enum tl_rc store_job_newest(struct store_tx *tx, const char *search, int limit, store_job_fn *fn, void *ctx,
                            struct tl_err *err)
{
    /* job_by_search, from its end */
    static const char SQL[] = "SELECT " JOB_COLUMNS " FROM job INDEXED BY job_by_search WHERE search = ?1 "
                              "ORDER BY seq DESC LIMIT ?2";
    enum tl_rc rc = store_page_check((struct store_page){0, limit}, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, search);
    store_bind_int(&st, limit);
    struct job_visit visit = {fn, ctx};
    return store_stmt_each(&st, visit_job, &visit, err);
}
