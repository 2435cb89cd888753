/* flow_run.c - the predicting phase: a search from its checkpoint to the end of its budget.
 *
 * Round 0 spends the budget; each later round (none of the top k held on the device) a tenth of it, with latencies corrected
 * by what was measured. The export is written once, at the end of round 0: it is what the determinism promise speaks of.
 */
#include "server/archive.h"
#include "server/flow_running.h"
#include "server/together.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_EVALUATIONS = 2000, SAMPLE_SIZE = 10000, ROUND_EVALUATIONS_MIN = 1000, ROUND_DEAR_MIN = 20 };
static const int64_t SAVE_EVERY_NS = 500000000LL;
static const size_t CHECKPOINT_MAX_BYTES = (size_t)64 << 20;
/* Round r draws from another stream of the same seed. */
static const uint64_t ROUND_SEED_STEP = 0x9e3779b97f4a7c15ULL;

static void running_done(struct running *r)
{
    search_run_free(r->run);
    evaluator_free(r->evaluator);
    snapshot_done(&r->snapshot);
}

/* ---- the specification --------------------------------------------------------------------------------------- */

static void front_add(struct search_spec *spec, size_t column)
{
    for (size_t i = 0; i < spec->n_front; i++) {
        if (spec->front[i] == column) {
            return;
        }
    }
    spec->front[spec->n_front++] = (uint8_t)column;
}

/* Where several objectives were asked for, the front spans exactly those. Otherwise the objective, latency and every limited
 * metric; with none of those, what people would trade it against. */
static void front_make(const struct search_request *request, const struct evaluator *evaluator,
                       struct search_spec *spec)
{
    static const enum metric traded[] = {METRIC_ACCURACY, METRIC_MACS, METRIC_PARAMS};

    for (size_t i = 0; i < request->n_objectives; i++) {
        front_add(spec, request_goal_column(request, &request->objectives[i]));
    }
    if (request->n_objectives > 0) {
        return;
    }
    front_add(spec, request_goal_column(request, &request->objective));
    for (size_t d = 0; d == 0 || d < request->devices.n; d++) { /* without a device workers may value it */
        if (evaluator_has(evaluator, METRIC_LATENCY_MS + d)) {
            front_add(spec, METRIC_LATENCY_MS + d);
        }
    }
    for (size_t i = 0; i < request->n_limits; i++) {
        front_add(spec, request_limit_column(request, i));
    }
    for (size_t i = 0; i < TL_COUNT_OF(traded) && spec->n_front == 1; i++) {
        const size_t column = column_of(&request->devices, traded[i], 0);
        if (evaluator_has(evaluator, column)) {
            front_add(spec, column);
        }
    }
}

static void spec_make(const struct search_row *row, const struct evaluator *evaluator, struct search_spec *spec)
{
    const struct search_request *request = &row->request;

    *spec = (struct search_spec){.objective = (uint8_t)request_goal_column(request, &request->objective),
                                 .maximize = request->maximize,
                                 .reward = request->reward,
                                 .dear = request->evaluated != 0,
                                 .front_wanted = request->n_objectives > 0,
                                 .n_limits = request->n_limits,
                                 .front_max = 1U << column_of(&request->devices, METRIC_ACCURACY, 0),
                                 .seed = request->seed + (uint64_t)row->progress.round * ROUND_SEED_STEP,
                                 .budget_evaluations = request->evaluations,
                                 .budget_seconds = request->seconds,
                                 .sample_size = SAMPLE_SIZE};
    snprintf(spec->controller, sizeof(spec->controller), "%s", request->controller);
    for (size_t i = 0; i < request->n_limits; i++) {
        spec->limits[i] = (struct search_limit){(uint8_t)request_limit_column(request, i), request->limits[i].is_min,
                                                request->limits[i].bound};
    }
    front_make(request, evaluator, spec);
    if (row->progress.round > 0) {
        const uint64_t min = spec->dear ? ROUND_DEAR_MIN : ROUND_EVALUATIONS_MIN;
        spec->budget_evaluations = request->evaluations / 10 > min ? request->evaluations / 10 : min;
        spec->budget_seconds = request->seconds / 10.0;
    }
}

/* ---- where it starts ----------------------------------------------------------------------------------------- */

/* What search_run_new is to start from: members of the snapshot's archive. `genes` are owned; NULL: there is none. */
struct starts {
    uint8_t *genes;
    size_t n;
};

static enum tl_rc starts_make(const struct running *r, struct starts *ret_starts, struct tl_err *err)
{
    const struct archive *archive = r->snapshot.archive;
    const size_t width = evaluator_space(r->evaluator)->n_variables;
    struct archive_member member;
    uint32_t *chosen;
    struct starts starts = {0};
    size_t n = 0;
    enum tl_rc rc = TL_OK;

    *ret_starts = starts;
    if (!archive || r->row->request.evaluated) { /* what workers say, no archive knows */
        return TL_OK;
    }
    chosen = calloc(SEARCH_STARTS_MAX, sizeof(*chosen));
    starts.genes = calloc(SEARCH_STARTS_MAX, width);
    if (!chosen || !starts.genes) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for what a search starts from");
    } else {
        rc = archive_starts(archive, &r->spec, chosen, &n, err);
    }
    for (size_t i = 0; i < n && !rc; i++) {
        archive_at(archive, chosen[i], &member);
        starts.n += evaluator_narrow_arch(r->evaluator, member.genes, starts.genes + starts.n * width);
    }
    free(chosen);
    if (rc) {
        free(starts.genes);
        return rc;
    }
    *ret_starts = starts;
    return TL_OK;
}

/* ---- saving -------------------------------------------------------------------------------------------------- */

struct checkpoint_ctx {
    struct running *r;
    const struct tl_buf *checkpoint;
    bool asks; /* workers are asked for what the batch at hand lacks */
};

static enum tl_rc write_checkpoint(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct checkpoint_ctx *c = ctx;
    enum tl_rc rc = search_row_save(tx, c->r->row, c->checkpoint, NULL, c->asks ? "state" : "progress", err);

    return rc || !c->asks ? rc : flow_evaluate_jobs(tx, c->r, err);
}

void flow_note_best(struct search_progress *p, const struct devices *devices, const double *values)
{
    p->best_accuracy = values[column_of(devices, METRIC_ACCURACY, 0)];
    for (size_t d = 0; d < DEVICES_MAX && (d == 0 || d < devices->n); d++) {
        p->best_latency_ms[d] = values[METRIC_LATENCY_MS + d];
    }
}

static void progress_update(struct running *r)
{
    struct search_progress *p = &r->row->progress;
    double seconds = search_run_seconds(r->run);
    struct search_candidate best;

    p->done = (double)search_run_evaluations(r->run);
    p->total = (double)r->spec.budget_evaluations;
    snprintf(p->unit, sizeof(p->unit), "evaluations");
    p->eta_s = p->done > 0.0 ? (p->total - p->done) * seconds / p->done : (double)NAN;
    if (r->spec.budget_seconds > 0.0) {
        p->eta_s = fmin(isnan(p->eta_s) ? HUGE_VAL : p->eta_s, r->spec.budget_seconds - seconds);
    }
    p->seconds = r->seconds_before + seconds;
    if (p->round == 0) {
        r->row->evaluations = (int64_t)search_run_evaluations(r->run);
    }
    if (search_run_best(r->run, &best)) {
        flow_note_best(p, &r->row->request.devices, best.values);
    }
}

static enum tl_rc save_checkpoint(struct running *r, bool asks, struct tl_err *err)
{
    TL_AUTO(tl_buf) checkpoint = {.max = CHECKPOINT_MAX_BYTES};
    enum tl_rc rc;

    progress_update(r);
    /* Seconds of the stored state are inside the run; those before it are kept beside it. */
    r->row->progress.seconds = r->seconds_before;
    if ((rc = search_run_save(r->run, &checkpoint, err)) ||
        (rc = store_write(r->flow->service->store, write_checkpoint, &(struct checkpoint_ctx){r, &checkpoint, asks},
                          err))) {
        return rc;
    }
    if (r->flow->service->http) {
        http_ring(r->flow->service->http);
    }
    return TL_OK;
}

/* ---- running ------------------------------------------------------------------------------------------------- */

/* A step failed: because values are missing, which workers are now asked for? */
static enum tl_rc ask_workers(struct running *r, enum tl_rc rc, const struct tl_err *why, struct tl_err *err)
{
    const uint8_t *archs = NULL;
    const size_t n = evaluator_missing(r->evaluator, &archs);

    if (rc != TL_UNAVAILABLE || n == 0) {
        *err = *why;
        return rc;
    }
    search_row_state(r->row, "evaluating", "%zu architectures are to be valued by %s", n, r->row->request.pool);
    return save_checkpoint(r, true, err);
}

/* Step until the budget is spent; saves twice a second. *ret_done false: the server is stopping, or workers are asked;
 * everything is saved. */
static enum tl_rc run_steps(struct running *r, bool *ret_done, struct tl_err *err)
{
    int64_t saved_ns = tl_clock_mono_ns();
    bool done = false;
    enum tl_rc rc;

    while (!done) {
        struct tl_err why = {0};
        if ((rc = search_run_step(r->run, STEP_EVALUATIONS, &done, &why))) {
            *ret_done = false;
            return ask_workers(r, rc, &why, err);
        }
        bool stopping = !done && flow_stopping(r->flow);
        if (!done && (stopping || tl_clock_mono_ns() - saved_ns > SAVE_EVERY_NS)) {
            if ((rc = save_checkpoint(r, false, err))) {
                return rc;
            }
            saved_ns = tl_clock_mono_ns();
        }
        if (stopping) {
            break;
        }
    }
    *ret_done = done;
    return TL_OK;
}

/* ---- the step ------------------------------------------------------------------------------------------------ */

/* A limit that not even its metric's interval reaches. */
static bool out_of_reach(const struct request_limit *limit, const struct metric_range *range)
{
    return limit->is_min ? limit->bound > range->max + range->max_slack : limit->bound < range->min - range->min_slack;
}

/* What each metric can reach: without a correction of its own every search of these models sees the same, worked out once. */
static enum tl_rc find_ranges(struct running *r, struct tl_err *err)
{
    struct search_row *row = r->row;

    if (row->progress.round == 0) {
        return flow_evaluate_ranges(r->flow->service->snapshots, &r->snapshot, row->request.evaluated,
                                    row->progress.ranges, err);
    }
    evaluator_ranges(r->evaluator, row->progress.ranges);
    return TL_OK;
}

/* After profiling the limits are checked for the first time. */
static bool check_limits(struct running *r)
{
    struct search_row *row = r->row;

    for (size_t i = 0; i < row->request.n_limits; i++) {
        const struct request_limit *limit = &row->request.limits[i];
        const size_t column = request_limit_column(&row->request, i);
        const struct metric_range *range = &row->progress.ranges[column];
        char name[COLUMN_NAME_MAX];
        if (out_of_reach(limit, range) && row->progress.round > 0) {
            flow_finish_unverified(row, "corrected by what was measured, no network is predicted to hold every limit");
            return false;
        }
        if (out_of_reach(limit, range)) {
            row->progress.has_ranges = true;
            column_name(&row->request.devices, column, name);
            search_row_state(row, "finished", "%s %s %g cannot be met: %s reaches %.6g to %.6g", name,
                             limit->is_min ? "at least" : "at most", limit->bound,
                             row->request.devices.n == 1 ? row->device : row->space, range->min, range->max);
            search_row_finish(row, "finished", "infeasible");
            return false;
        }
    }
    return true;
}

/* And whether they can be held together; where workers would be asked, the search itself finds out. */
static enum tl_rc check_together(struct running *r, bool *ret_possible, struct tl_err *err)
{
    struct search_row *row = r->row;
    struct tl_err why = {0};
    const enum tl_rc rc = row->progress.round > 0 || row->request.evaluated
                              ? TL_OK
                              : together_check(r->evaluator, &row->request, &row->progress.together, &why);

    *ret_possible = rc == TL_OK;
    if (rc == TL_OK || row->progress.together.n == 0) {
        return rc ? tl_fail(err, rc, "%s", why.text) : TL_OK;
    }
    row->progress.has_ranges = true;
    search_row_state(row, "finished", "%s", why.text);
    search_row_finish(row, "finished", "infeasible");
    return TL_OK;
}

static enum tl_rc prepare(struct running *r, struct tl_err *err)
{
    struct search_row *row = r->row;
    struct starts starts;
    enum tl_rc rc;

    r->workers = (struct worker_source){r->flow->service->store, row};
    if ((rc = flow_evaluator(&r->snapshot, &r->workers, &r->evaluator, err))) {
        return rc;
    }
    for (size_t d = 0; d < row->request.devices.n; d++) {
        const struct correction *correction = &row->progress.corrections[d];
        evaluator_correct(r->evaluator, d, correction->scale, correction->half_width);
    }
    spec_make(row, r->evaluator, &r->spec);
    if ((rc = starts_make(r, &starts, err))) {
        return rc;
    }
    r->spec.starts = starts.genes;
    r->spec.n_starts = starts.n;
    rc = search_run_new(evaluator_space(r->evaluator), evaluator_table(r->evaluator), &r->spec, r->flow->pool, &r->run,
                        err);
    free(starts.genes);
    r->spec.starts = NULL; /* the run has its own copy */
    if (rc) {
        return rc;
    }
    r->seconds_before = row->progress.seconds;
    return row->checkpoint.len > 0 ? search_run_restore(r->run, row->checkpoint.data, row->checkpoint.len, err) : TL_OK;
}

/* Pin what the search will see, once; without a model of a device it has to be profiled first (*ret_ready false). */
static enum tl_rc pin(struct running *r, bool *ret_ready, struct tl_err *err)
{
    struct search_row *row = r->row;
    struct service *service = r->flow->service;
    enum tl_rc rc;

    *ret_ready = true;
    if (row->snapshot[0]) {
        return snapshots_load(service->snapshots, row->snapshot, &r->snapshot, err);
    }
    if ((rc = snapshots_pin(service->snapshots, row->space, row->device, &r->snapshot, err))) {
        return rc;
    }
    const size_t lacking = snapshot_lacks(&r->snapshot);
    if (lacking < r->snapshot.devices.n) {
        *ret_ready = false;
        search_row_state(row, "profiling", "%s has no latency model of %s yet: it is being profiled",
                         r->snapshot.devices.names[lacking], row->space);
        return search_row_store(service->store, row, "state", err);
    }
    memcpy(row->snapshot, r->snapshot.hash, sizeof(row->snapshot));
    return TL_OK;
}

static enum tl_rc run_ready(struct running *r, struct tl_err *err)
{
    struct search_row *row = r->row;
    bool done = false, possible = false;
    enum tl_rc rc = prepare(r, err);

    if (rc || (rc = find_ranges(r, err)) || (rc = check_limits(r) ? check_together(r, &possible, err) : TL_OK)) {
        return rc;
    }
    if (!possible) {
        return search_row_store(r->flow->service->store, row, "state", err);
    }
    if (strcmp(row->state, "running") != 0) {
        search_row_state(row, "running", "searching %s", row->space);
        row->progress.total = (double)r->spec.budget_evaluations;
        if ((rc = search_row_store(r->flow->service->store, row, "state", err))) {
            return rc;
        }
    }
    if ((rc = run_steps(r, &done, err)) || !done) {
        return rc;
    }
    progress_update(r);
    return flow_conclude(r, err);
}

enum tl_rc flow_run(struct flow *flow, struct search_row *row, struct tl_err *err)
{
    struct running r = {.flow = flow, .row = row};
    bool ready = false;
    enum tl_rc rc = pin(&r, &ready, err);

    if (rc == TL_OK && ready) {
        rc = run_ready(&r, err);
    }
    running_done(&r);
    return rc;
}
