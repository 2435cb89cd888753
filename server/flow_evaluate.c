/* flow_evaluate.c - see flow_evaluate.h. */
#include "server/flow_evaluate.h"
#include "server/codec_evaluate.h"
#include "server/flow_running.h"
#include "server/spaces.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A batch is cut into this many jobs at most: enough for as many workers, and few to look at. */
enum { JOBS_MAX = 32 };
static const size_t WORK_MAX_BYTES = (size_t)4 << 20;

_Static_assert(SEARCH_BATCH_MAX <= JOBS_MAX * EVALUATE_ARCHS_MAX, "the largest batch fits into its jobs");

/* ---- looking values up --------------------------------------------------------------------------------------- */

struct lookup {
    const struct worker_source *source;
    const struct tl_hash *ids;
    size_t n;
    double *out;
    bool *known;
};

/* What the pool said of one metric; else what this search gave up on. */
static enum tl_rc find_value(struct store_tx *tx, const struct search_row *row, const char *arch, size_t metric,
                             double *ret_value, bool *ret_known, struct tl_err *err)
{
    struct store_evaluation evaluation = {row->request.pool, row->space, arch, metric_names[metric], (double)NAN};
    enum tl_rc rc = store_evaluation_get(tx, &evaluation, ret_known, err);

    if (!rc && !*ret_known) {
        evaluation.source = row->id;
        rc = store_evaluation_get(tx, &evaluation, ret_known, err);
    }
    *ret_value = evaluation.value;
    return rc;
}

static enum tl_rc find_all(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct lookup *l = ctx;
    const struct search_row *row = l->source->row;
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; i < l->n && !rc; i++) {
        char arch[TL_HASH_TEXT];
        tl_hash_format(&l->ids[i], arch);
        l->known[i] = true;
        for (size_t m = 0; m < METRIC_COUNT && l->known[i] && !rc; m++) {
            if (row->request.evaluated >> m & 1U) {
                rc = find_value(tx, row, arch, m, &l->out[i * SEARCH_METRICS_MAX + m], &l->known[i], err);
            }
        }
    }
    return rc;
}

static enum tl_rc find(void *ctx, const struct tl_hash *ids, size_t n, double *out, bool *ret_known, struct tl_err *err)
{
    const struct worker_source *source = ctx;

    return store_read(source->store, find_all, &(struct lookup){source, ids, n, out, ret_known}, err);
}

/* An evaluator of what is not the workers'. */
static enum tl_rc evaluator_of_rest(const struct snapshot *snapshot, uint32_t metrics, struct evaluator **ret_evaluator,
                                    struct tl_err *err)
{
    struct snapshot rest = *snapshot; /* a view: nothing of it is released */

    rest.accuracy = metrics >> METRIC_ACCURACY & 1U ? NULL : snapshot->accuracy; /* nor does it narrow the space */
    rest.latency[0] = metrics >> METRIC_LATENCY_MS & 1U ? NULL : snapshot->latency[0];
    return snapshot->family || snapshot->table || metrics == 0
               ? snapshot_evaluator(&rest, ret_evaluator, err)
               : evaluator_new_bare(&snapshot->space->space, ret_evaluator, err);
}

enum tl_rc flow_evaluator(const struct snapshot *snapshot, struct worker_source *source,
                          struct evaluator **ret_evaluator, struct tl_err *err)
{
    const uint32_t metrics = source->row->request.evaluated;
    enum tl_rc rc = evaluator_of_rest(snapshot, metrics, ret_evaluator, err);

    if (rc || metrics == 0) {
        return rc;
    }
    rc = evaluator_workers_set(*ret_evaluator, &(struct worker_values){metrics, source, find}, err);
    if (rc) {
        evaluator_free(*ret_evaluator);
        *ret_evaluator = NULL;
    }
    return rc;
}

enum tl_rc flow_evaluate_ranges(struct snapshots *snapshots, const struct snapshot *snapshot, uint32_t metrics,
                                struct metric_range ret_ranges[COLUMNS_MAX], struct tl_err *err)
{
    struct evaluator *evaluator = NULL;
    enum tl_rc rc;

    if (metrics == 0) {
        return snapshots_ranges(snapshots, snapshot, ret_ranges, err);
    }
    if ((rc = evaluator_of_rest(snapshot, metrics, &evaluator, err))) {
        return rc;
    }
    evaluator_ranges(evaluator, ret_ranges);
    evaluator_free(evaluator);
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        if (metrics >> m & 1U) {
            ret_ranges[m] = (struct metric_range){(double)NAN, (double)NAN, 0.0, 0.0};
        }
    }
    return TL_OK;
}

/* ---- what can be asked --------------------------------------------------------------------------------------- */

static enum tl_rc admit_pool(struct store *store, const char *pool, struct tl_err *err)
{
    struct device_facts facts;
    struct tl_err none = {0};
    enum tl_rc rc = flow_device_facts(store, pool, &facts, &none);

    if (rc == TL_NOT_FOUND) {
        return tl_fail_at(err, TL_INVALID, "/evaluate/by",
                          "no workers are called %s; start one (deploy/worker.py --name %s), or see GET /devices", pool,
                          pool);
    }
    if (!rc && !facts.is_worker) {
        return tl_fail_at(err, TL_INVALID, "/evaluate/by",
                          "%s is a device that is measured; workers register with {\"worker\": true} in their info",
                          pool);
    }
    return rc ? tl_fail(err, rc, "%s", none.text) : TL_OK;
}

enum tl_rc flow_evaluate_admit(struct store *store, const struct search_request *request,
                               const struct snapshot *snapshot, struct tl_err *err)
{
    if (request->evaluated == 0) {
        return TL_OK;
    }
    if (request->devices.n > 1) {
        return tl_fail_at(err, TL_INVALID, "/devices",
                          "workers value for one device or none; make a search a device, or leave \"evaluate\" out");
    }
    if (request->devices.n > 0 && (request->evaluated >> METRIC_LATENCY_MS & 1U)) {
        return tl_fail_at(
            err, TL_INVALID, "/device",
            "latency_ms is what the workers value; leave \"device\" out, or latency_ms out of \"evaluate\"");
    }
    if (request->devices.n > 0 && !snapshot->family && !snapshot->table) {
        return tl_fail_at(err, TL_INVALID, "/device",
                          "no network of %s can be built for a device; leave it out, workers can value latency_ms",
                          request->space);
    }
    return admit_pool(store, request->pool, err);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static enum tl_rc insert_job(struct store_tx *tx, const struct running *r, const uint8_t *archs, size_t n,
                             int64_t now_ns, struct tl_err *err)
{
    TL_AUTO(tl_buf) work = {.max = WORK_MAX_BYTES};
    const struct search_request *request = &r->row->request;
    char id[TL_UUID_TEXT];
    enum tl_rc rc = evaluate_work_encode(r->snapshot.family, evaluator_full_space(r->evaluator), request->evaluated,
                                         archs, n, &work, err);

    if (rc) {
        return rc;
    }
    tl_uuid(id);
    return store_job_insert(tx,
                            &(struct store_job){.id = id,
                                                .device = request->pool,
                                                .kind = "evaluate",
                                                .search = r->row->id,
                                                .space = r->row->space,
                                                .created_ns = now_ns,
                                                .work = {work.data, work.len}},
                            err);
}

enum tl_rc flow_evaluate_jobs(struct store_tx *tx, const struct running *r, struct tl_err *err)
{
    const uint8_t *archs = NULL;
    const size_t n = evaluator_missing(r->evaluator, &archs), each = (n + JOBS_MAX - 1) / JOBS_MAX;
    const size_t width = evaluator_full_space(r->evaluator)->n_variables;
    const int64_t now_ns = tl_clock_wall_ns(); /* one time for all: the jobs of a batch are known by it */
    enum tl_rc rc = TL_OK;

    for (size_t at = 0; at < n && !rc; at += each) {
        rc = insert_job(tx, r, archs + at * width, n - at < each ? n - at : each, now_ns, err);
    }
    return rc;
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

/* The jobs of the batch at hand. */
struct batch {
    const struct search_row *row;
    int64_t created_ns;
    size_t jobs, open, failed;
    size_t archs, archs_open;
    char failure[200];   /* of the last that failed */
    struct store_tx *tx; /* not NULL: give up on what the failed ones were asked for */
};

static enum tl_rc give_up(const struct batch *batch, const struct evaluate_asked *asked, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    bool same = false;

    for (size_t i = 0; i < asked->n && !rc; i++) {
        for (size_t m = 0; m < METRIC_COUNT && !rc; m++) {
            if (asked->metrics >> m & 1U) {
                rc = store_evaluation_put(batch->tx,
                                          &(struct store_evaluation){batch->row->id, batch->row->space, asked->archs[i],
                                                                     metric_names[m], (double)NAN},
                                          &same, err);
            }
        }
    }
    return rc;
}

static enum tl_rc on_job(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct batch *batch = ctx;
    struct evaluate_asked asked;
    const bool failed = strcmp(job->state, "failed") == 0, open = !failed && strcmp(job->state, "done") != 0;
    enum tl_rc rc;

    if (strcmp(job->kind, "evaluate") != 0) {
        return TL_OK;
    }
    batch->created_ns = batch->created_ns ? batch->created_ns : job->created_ns;
    if (job->created_ns != batch->created_ns) {
        return TL_OK;
    }
    if ((rc = evaluate_asked_decode(job->work, &asked, err))) {
        return rc;
    }
    if (failed && batch->failed == 0) {
        (void)snprintf(batch->failure, sizeof(batch->failure), "%s", job->failure);
    }
    batch->jobs++;
    batch->open += open;
    batch->failed += failed;
    batch->archs += asked.n;
    batch->archs_open += open ? asked.n : 0;
    return failed && batch->tx ? give_up(batch, &asked, err) : TL_OK;
}

static enum tl_rc read_batch(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct batch *batch = ctx;

    return store_job_newest(tx, batch->row->id, 2 * JOBS_MAX, on_job, batch, err); /* others may be among them */
}

static enum tl_rc write_ended(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct search_row *row = ctx;
    struct batch batch = {.row = row, .tx = tx};
    enum tl_rc rc = read_batch(tx, &batch, err);

    return rc ? rc : search_row_save(tx, row, NULL, NULL, "state", err);
}

/* How far the batch is, or since when nobody works at it; nothing is stored where nothing changed. */
static enum tl_rc show_batch(struct flow *flow, struct search_row *row, const struct batch *batch, struct tl_err *err)
{
    struct search_progress *p = &row->progress;
    const char *pool = row->request.pool;
    const size_t answered = batch->archs - batch->archs_open;
    char before[sizeof(p->message)], why[FLOW_ABSENCE_TEXT];
    enum tl_rc rc = flow_device_absence(flow->service->store, pool, why, err);

    if (rc) {
        return rc;
    }
    memcpy(before, p->message, sizeof(before));
    if (why[0]) {
        search_row_state(row, "evaluating", "%zu architectures wait: %s", batch->archs_open, why);
    } else {
        search_row_state(row, "evaluating", "%s is valuing %zu architectures, %zu are done", pool, batch->archs,
                         answered);
    }
    if (strcmp(before, p->message) == 0) {
        return TL_OK;
    }
    if (p->round == 0) {
        p->done = (double)row->evaluations + (double)answered;
        p->eta_s = p->done > 0.0
                       ? (double)(tl_clock_wall_ns() - row->created_ns) * 1e-9 / p->done * (p->total - p->done)
                       : (double)NAN;
    }
    rc = search_row_store(flow->service->store, row, "progress", err);
    flow_ring(flow);
    return rc;
}

enum tl_rc flow_evaluate(struct flow *flow, struct search_row *row, struct tl_err *err)
{
    struct batch batch = {.row = row};
    enum tl_rc rc = store_read(flow->service->store, read_batch, &batch, err);

    if (rc || batch.open > 0) {
        return rc ? rc : show_batch(flow, row, &batch, err);
    }
    if (batch.failed == batch.jobs && batch.jobs > 0) {
        return tl_fail(err, TL_UNAVAILABLE, "%s valued none of %zu architectures: %s", row->request.pool, batch.archs,
                       batch.failure);
    }
    search_row_state(row, "running", "%zu architectures were valued by %s", batch.archs, row->request.pool);
    if ((rc = store_write(flow->service->store, write_ended, row, err)) == TL_OK) {
        flow_ring(flow);
    }
    return rc;
}
