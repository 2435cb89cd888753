/* flow_verify.c - a search's candidates on their device: visits asked for, visits judged, and what follows.
 *
 * A candidate gets LAT_VERIFY_VISITS visits, alternating with the other candidates'; unstable or failed ones are repeated, up
 * to VISITS_MAX in all. Stable visits of the same network from earlier searches count: nothing is measured twice. When every
 * candidate is settled, the best one that holds is the answer; when none holds, what was measured corrects the search's
 * latencies and it goes back to running, until its rounds end.
 */
#include "base/model/model.h"
#include "latency/codec_measurement.h"
#include "server/flow_evaluate.h"
#include "server/flow_jobs.h"
#include "server/flow_steps.h"
#include "server/space_of_family.h"
#include "server/subject.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VISITS_MAX = 3 };
/* A visit must not follow the candidate's last one at once: other work, or this pause. */
static const int64_t VISIT_PAUSE_NS = 1000000000LL;
/* The correction is never believed more exactly than this. */
static const double HALF_WIDTH_MIN = 0.01;

/* ---- what was measured --------------------------------------------------------------------------------------- */

struct visits_ctx {
    const char *device, *space, *subject;
    struct visit_pool *pool;
    struct store_tx *tx;
    int64_t last;
    size_t n;
    char stable[64][TL_UUID_TEXT]; /* ids whose bodies are wanted */
    size_t n_stable;
};

static enum tl_rc note_visit(void *ctx, const struct store_measurement *m, struct tl_err *err)
{
    struct visits_ctx *c = ctx;

    (void)err;
    c->last = m->seq;
    c->n++;
    c->pool->visits++;
    if (strcmp(m->verdict, "stable") == 0 && c->n_stable < TL_COUNT_OF(c->stable)) {
        snprintf(c->stable[c->n_stable++], TL_UUID_TEXT, "%s", m->id);
    }
    return TL_OK;
}

static enum tl_rc pool_ratios(void *ctx, const struct store_measurement *m, struct tl_err *err)
{
    struct visit_pool *pool = ctx;
    struct lat_measurement measurement = {0};
    struct lat_verdict verdict;
    enum tl_rc rc = lat_measurement_decode(m->body.data, m->body.n, &measurement, err);

    if (rc == TL_OK && !(rc = lat_judge(&measurement.visit, &verdict, err))) {
        for (size_t i = 0; i < verdict.n_ratios && pool->n < TL_COUNT_OF(pool->ratios); i++) {
            pool->ratios[pool->n++] = verdict.ratios[i];
        }
        pool->stable_visits++;
        if (pool->n_ids < TL_COUNT_OF(pool->ids)) {
            snprintf(pool->ids[pool->n_ids++], TL_UUID_TEXT, "%s", m->id);
        }
    }
    lat_measurement_done(&measurement);
    return rc;
}

static enum tl_rc read_visits(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct visits_ctx *c = ctx;
    enum tl_rc rc = TL_OK;

    do {
        c->n = 0;
        rc = store_measurement_list(tx, c->device, c->space, "network", c->subject, "",
                                    (struct store_page){c->last, 1000}, note_visit, c, err);
    } while (!rc && c->n == 1000);
    for (size_t i = 0; i < c->n_stable && !rc; i++) {
        rc = store_measurement_get(tx, c->stable[i], pool_ratios, c->pool, err);
    }
    return rc;
}

enum tl_rc flow_visits(struct store *store, const char *device, const char *space, const char *subject,
                       struct visit_pool *ret_pool, struct tl_err *err)
{
    struct visits_ctx *c = calloc(1, sizeof(*c));
    enum tl_rc rc;

    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for visits");
    }
    *ret_pool = (struct visit_pool){0};
    *c = (struct visits_ctx){.device = device, .space = space, .subject = subject, .pool = ret_pool};
    rc = store_read(store, read_visits, c, err);
    free(c);
    return rc;
}

/* ---- asking for visits --------------------------------------------------------------------------------------- */

static enum tl_rc insert_visit(struct store_tx *tx, const struct search_row *row, const char *device,
                               const struct net_family *family, const struct space *space, const uint8_t *genes,
                               int64_t not_before_ns, struct tl_err *err)
{
    struct net_pick pick;
    struct lat_job job = {0};
    char subject[SUBJECT_TEXT];
    enum tl_rc rc;

    pick_of_arch(family, space, genes, &pick);
    subject_of_arch(space, genes, subject);
    if (!(rc = flow_job_begin(LAT_VERIFY, &job, err)) && !(rc = flow_job_add(family, &pick, -1, subject, &job, err))) {
        rc = flow_job_insert(tx, &(struct flow_job_place){device, "verify", row->id, row->space, not_before_ns}, &job,
                             err);
    }
    lat_job_done(&job);
    return rc;
}

/* ---- judging a round ----------------------------------------------------------------------------------------- */

/* The candidates of the present round with what is known of each. Arrays are by device. */
struct judged {
    struct verification *verification; /* (devices) in row->progress */
    uint8_t genes[SPACE_VARIABLES_MAX];
    struct visit_pool visits[DEVICES_MAX];
    size_t ask[DEVICES_MAX];       /* visits wanted */
    struct store_candidate stored; /* genes above, values below */
    struct tl_buf values;          /* owned: what the store has, then the measured ones */
};

struct round {
    struct flow *flow;
    struct search_row *row;
    const struct net_family *family;
    struct space *space; /* owned */
    struct snapshot snapshot;
    struct device_facts devices[DEVICES_MAX];
    struct judged *list; /* owned */
    size_t n;
    size_t n_asked; /* of all candidates on all devices */
};

static size_t n_devices(const struct search_row *row)
{
    return row->request.devices.n;
}

static void round_done(struct round *round)
{
    for (size_t i = 0; i < round->n; i++) {
        tl_buf_done(&round->list[i].values);
    }
    free(round->list);
    free(round->space);
    snapshot_done(&round->snapshot);
}

static enum tl_rc copy_genes(void *ctx, const struct store_candidate *candidate, struct tl_err *err)
{
    struct judged *judged = ctx;

    if (candidate->genes.n > sizeof(judged->genes)) {
        return tl_fail(err, TL_IO, "candidate %lld is damaged in the store", (long long)candidate->id);
    }
    memcpy(judged->genes, candidate->genes.data, candidate->genes.n);
    judged->stored.number = candidate->number;
    return TL_OK;
}

static enum tl_rc read_candidates(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct round *round = ctx;
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; i < round->n && !rc; i++) {
        rc = store_candidate_get(tx, round->list[i].verification->candidate, copy_genes, &round->list[i], err);
    }
    return rc;
}

/* What was measured of the candidates on one device. */
static enum tl_rc round_load_device(struct round *round, size_t d, struct tl_err *err)
{
    struct store *store = round->flow->service->store;
    const char *device = round->row->request.devices.names[d];
    char subject[SUBJECT_TEXT];
    enum tl_rc rc = flow_device_facts(store, device, &round->devices[d], err);

    for (size_t i = 0; i < round->n && !rc; i++) {
        subject_of_arch(round->space, round->list[i].genes, subject);
        rc = flow_visits(store, device, round->row->space, subject, &round->list[i].visits[d], err);
    }
    return rc;
}

static enum tl_rc round_load(struct round *round, struct tl_err *err)
{
    struct search_row *row = round->row;
    struct service *service = round->flow->service;
    enum tl_rc rc;

    round->list = calloc(TOP_K_MAX, sizeof(*round->list));
    round->space = malloc(sizeof(*round->space));
    if (!round->list || !round->space) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to judge a round");
    }
    round->family = net_family_get(row->space);
    if (!round->family) {
        return tl_fail(err, TL_NOT_FOUND, "no space is called %s; start the server with the --family file it is in",
                       row->space);
    }
    for (size_t i = 0; i < row->progress.n_verifications && round->n < TOP_K_MAX; i += n_devices(row)) {
        if (row->progress.verifications[i].round == row->progress.round) {
            round->list[round->n++].verification = &row->progress.verifications[i];
        }
    }
    if ((rc = space_of_family(round->family, round->space, err)) ||
        (rc = snapshots_load(service->snapshots, row->snapshot, &round->snapshot, err)) ||
        (rc = store_read(service->store, read_candidates, round, err))) {
        return rc;
    }
    for (size_t d = 0; d < n_devices(row) && !rc; d++) {
        rc = round_load_device(round, d, err);
    }
    return rc;
}

/* A candidate that is not settled: what is missing at first, then one at a time, as long as it may have more. */
static size_t visits_wanted(const struct verification *v)
{
    if (v->asked > 0) {
        return v->asked < VISITS_MAX ? 1 : 0;
    }
    return v->stable_visits < LAT_VERIFY_VISITS ? LAT_VERIFY_VISITS - v->stable_visits : 1;
}

/* Of a candidate on a device: upper bound, whether it holds, and the visits still wanted. */
static void judge(struct round *round, size_t i, size_t d)
{
    struct judged *judged = &round->list[i];
    struct verification *v = &judged->verification[d];
    struct visit_pool *visits = &judged->visits[d];
    const double reference_ms = round->devices[d].reference_ms;
    struct lat_verification result;

    lat_verify(visits->ratios, visits->n, visits->stable_visits, reference_ms,
               search_request_limit_ms(&round->row->request, d), &result);
    v->visits = visits->visits;
    v->stable_visits = visits->stable_visits;
    v->blocks = result.blocks;
    v->median_ms = visits->n > 0 && reference_ms > 0.0 ? result.median_ms : (double)NAN;
    v->upper_ms = result.enough ? result.upper_ms : (double)NAN;
    v->holds = result.holds;
    judged->ask[d] = result.enough ? 0 : visits_wanted(v);
    round->n_asked += judged->ask[d];
    v->asked += judged->ask[d];
}

/* Larger is better: the objective; measured latency when that is the objective. `v`: the candidate's, by device. */
static double merit(const struct search_request *request, const struct verification *v)
{
    if (request->objective.metric == METRIC_LATENCY_MS) {
        return -v[request->objective.device].median_ms;
    }
    return request->maximize ? v->objective : -v->objective;
}

static bool holds_everywhere(const struct search_row *row, const struct verification *v)
{
    bool holds = true;

    for (size_t d = 0; d < n_devices(row); d++) {
        holds = holds && v[d].holds;
    }
    return holds;
}

/* The best that holds on every device, over all rounds; NULL: none does. */
static const struct verification *best_holding(const struct search_row *row)
{
    const struct verification *best = NULL;

    for (size_t i = 0; i < row->progress.n_verifications; i += n_devices(row)) {
        const struct verification *v = &row->progress.verifications[i];
        if (holds_everywhere(row, v) && (!best || merit(&row->request, v) > merit(&row->request, best))) {
            best = v;
        }
    }
    return best;
}

/* How far the worst of a candidate's measured medians is from its limit, as their ratio; of one device without a limit
 * the median itself. NAN: not measured everywhere. */
static double distance(const struct search_row *row, const struct verification *v)
{
    double worst = 0.0;

    for (size_t d = 0; d < n_devices(row); d++) {
        const double limit_ms = search_request_limit_ms(&row->request, d);
        const double ratio = v[d].median_ms / (n_devices(row) > 1 || isfinite(limit_ms) ? limit_ms : 1.0);
        worst = isnan(ratio) || ratio > worst ? ratio : worst;
        if (isnan(worst)) {
            break;
        }
    }
    return worst;
}

/* The measured one that came nearest the limits, for when the rounds end without one that holds. */
static const struct verification *nearest_measured(const struct search_row *row)
{
    const struct verification *best = NULL;

    for (size_t i = 0; i < row->progress.n_verifications; i += n_devices(row)) {
        const struct verification *v = &row->progress.verifications[i];
        if (!isnan(distance(row, v)) && (!best || distance(row, v) < distance(row, best))) {
            best = v;
        }
    }
    return best;
}

/* Factor between measured and predicted over everything this search measured on a device, and how far it varies. */
static void correct(struct search_progress *p, size_t device)
{
    double factors[TOP_K_MAX * ROUNDS_MAX], half = HALF_WIDTH_MIN, margin = 0.0;
    size_t n = 0;

    for (size_t i = 0; i < p->n_verifications; i++) {
        const struct verification *v = &p->verifications[i];
        if (v->device != device) {
            continue;
        }
        if (!isnan(v->median_ms) && v->predicted_ms > 0.0) {
            factors[n++] = v->median_ms / v->predicted_ms;
            margin = isnan(v->upper_ms) ? margin : fmax(margin, v->upper_ms / v->median_ms - 1.0);
        }
    }
    if (n == 0) {
        return;
    }
    double middle = stat_median(factors, n);
    for (size_t i = 0; i < n; i++) {
        half = fmax(half, fabs(factors[i] / middle - 1.0));
    }
    /* Verification asks for the upper bound, so the search aims at that. */
    p->corrections[device] = (struct correction){middle * (1.0 + margin), half};
}

/* ---- storing what was decided -------------------------------------------------------------------------------- */

static enum tl_rc write_measured(struct store_tx *tx, const struct round *round, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; i < round->n && !rc; i++) {
        const struct judged *judged = &round->list[i];
        int64_t id = 0;
        if (judged->values.len > 0) {
            rc = store_candidate_put(tx,
                                     &(struct store_candidate){.search = round->row->id,
                                                               .arch = judged->verification->arch,
                                                               .role = "verify",
                                                               .number = judged->stored.number,
                                                               .genes = {judged->genes, round->space->n_variables},
                                                               .values = {judged->values.data, judged->values.len}},
                                     &id, err);
        }
    }
    return rc;
}

/* Jobs for the visits wanted on one device, of the candidates in turn. Only a candidate's very first visit may start at
 * once. */
static enum tl_rc write_visits(struct store_tx *tx, const struct round *round, size_t d, struct tl_err *err)
{
    int64_t now = tl_clock_wall_ns();
    enum tl_rc rc = TL_OK;

    for (size_t visit = 0; visit < VISITS_MAX && !rc; visit++) {
        for (size_t i = 0; i < round->n && !rc; i++) {
            const struct judged *judged = &round->list[i];
            size_t before = judged->verification[d].asked - judged->ask[d] + visit;
            int64_t pause_ns = (int64_t)(visit > 0 ? visit : 1) * VISIT_PAUSE_NS;
            if (visit < judged->ask[d]) {
                rc = insert_visit(tx, round->row, round->row->request.devices.names[d], round->family, round->space,
                                  judged->genes, before == 0 ? 0 : now + pause_ns, err);
            }
        }
    }
    return rc;
}

static enum tl_rc write_round(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct round *round = ctx;
    enum tl_rc rc = write_measured(tx, round, err);

    for (size_t d = 0; d < n_devices(round->row) && !rc; d++) {
        rc = write_visits(tx, round, d, err);
    }
    return rc ? rc : search_row_save(tx, round->row, NULL, NULL, "round", err);
}

/* A measured latency in the predicted one's place, else the prediction as the search now corrects it. */
static struct candidate_latency latency_on(const struct round *round, struct judged *judged, size_t d,
                                           struct evaluator *evaluator)
{
    const struct correction *correction = &round->row->progress.corrections[d];
    const struct verification *v = &judged->verification[d];
    const struct visit_pool *visits = &judged->visits[d];
    const bool measured = !isnan(v->median_ms);
    struct candidate_latency latency = {.measured = measured,
                                        .corrected = !measured && correction->scale != 1.0,
                                        .measured_ms = v->median_ms,
                                        .lower_ms = NAN,
                                        .upper_ms = v->upper_ms,
                                        .n_measurements = visits->n_ids};
    const size_t n = visits->n, rank = stat_quantile_upper_rank(n, 0.5, 0.95);

    evaluator_correct(evaluator, d, measured ? 1.0 : correction->scale,
                      measured ? lat_model_error(round->snapshot.latency[d])->half_width : correction->half_width);
    memcpy(latency.measurements, visits->ids, sizeof(visits->ids));
    if (measured && rank > 0) { /* by symmetry, the order statistic as far from the other end */
        double lower = stat_quantile(judged->visits[d].ratios, n, n > 1 ? (double)(n - rank) / (double)(n - 1) : 0.0);
        latency.lower_ms = lower * round->devices[d].reference_ms;
    }
    return latency;
}

static enum tl_rc encode_values(struct round *round, struct judged *judged, struct evaluator *evaluator,
                                struct tl_err *err)
{
    struct candidate_values values = {.devices = round->row->request.devices,
                                      .evaluated = evaluator_workers(evaluator),
                                      .pool = round->row->request.pool};
    uint8_t arch[SPACE_VARIABLES_MAX];

    if (!evaluator_narrow_arch(evaluator, judged->genes, arch)) {
        return TL_OK;
    }
    for (size_t d = 0; d < values.devices.n; d++) {
        values.latency[d] = latency_on(round, judged, d, evaluator);
    }
    evaluator_describe(evaluator, arch, values.columns);
    enum tl_rc rc = evaluator_describe_workers(evaluator, arch, values.columns, err);
    if (rc) {
        return rc;
    }
    judged->values = (struct tl_buf){.max = (size_t)64 << 10};
    return candidate_values_encode(&values, &judged->values, err);
}

static enum tl_rc encode_all(struct round *round, struct tl_err *err)
{
    struct evaluator *evaluator = NULL;
    struct worker_source workers = {round->flow->service->store, round->row};
    enum tl_rc rc = flow_evaluator(&round->snapshot, &workers, &evaluator, err);

    for (size_t i = 0; i < round->n && !rc; i++) {
        rc = encode_values(round, &round->list[i], evaluator, err);
    }
    evaluator_free(evaluator);
    return rc;
}

static void note_measured(struct search_row *row, const struct verification *v)
{
    row->progress.answer = v->candidate;
    for (size_t d = 0; d < n_devices(row); d++) {
        row->progress.best_latency_ms[d] = v[d].median_ms;
    }
}

static void finish_verified(struct search_row *row, const struct verification *v)
{
    struct search_progress *p = &row->progress;

    note_measured(row, v);
    p->verified = true;
    if (row->request.objective.metric == METRIC_ACCURACY) {
        p->best_accuracy = v->objective;
    }
    if (n_devices(row) == 1) {
        search_row_state(row, "finished", "measured on %s: %.3f ms, at most %.3f ms with 95 %% confidence", row->device,
                         v->median_ms, v->upper_ms);
    } else {
        search_row_state(row, "finished", "measured on %zu devices, it holds on each with 95 %% confidence",
                         n_devices(row));
    }
    search_row_finish(row, "finished", "verified");
}

void flow_finish_unverified(struct search_row *row, const char *why)
{
    const struct verification *v = nearest_measured(row);

    if (v) {
        note_measured(row, v);
    }
    search_row_state(row, "finished", "%s; %s", why,
                     v ? "the best measured one is given" : "no measurement of a candidate became stable");
    search_row_finish(row, "finished", "unverified");
}

/* Every candidate is settled: an answer, or another round. */
static void decide(struct round *round)
{
    struct search_row *row = round->row;
    const struct verification *best = best_holding(row);

    if (best) {
        finish_verified(row, best);
    } else if (row->progress.round >= row->request.rounds) {
        flow_finish_unverified(row, "none of the measured candidates held every limit, and the rounds are over");
    } else {
        char by[80] = "";
        for (size_t d = 0; d < n_devices(row); d++) {
            const size_t n = strlen(by);
            correct(&row->progress, d);
            (void)snprintf(by + n, sizeof(by) - n, "%s%+.1f %%", d ? ", " : "",
                           100.0 * (row->progress.corrections[d].scale - 1.0));
        }
        search_row_state(row, "running", "round %d: none of %zu candidates held; latencies are corrected by %s",
                         row->progress.round, round->n, by);
    }
}

/* Seconds a visit takes by its protocol, for the time before one has ended. */
static double visit_seconds(void)
{
    struct lat_protocol protocol = lat_protocol_default(LAT_VERIFY);

    return 1e-3 * (protocol.warmup_ms + (double)protocol.rounds * (protocol.block_ms + protocol.anchor_block_ms));
}

static void show_progress(struct search_row *row, const struct job_counts *counts)
{
    struct search_progress *p = &row->progress;
    double left = (double)(counts->queued + counts->leased);
    double elapsed_s = (double)(tl_clock_wall_ns() - counts->first_ns) * 1e-9;

    snprintf(p->unit, sizeof(p->unit), "visits");
    p->done = (double)(counts->done + counts->failed);
    p->total = p->done + left;
    p->eta_s = left * (p->done > 0.0 ? elapsed_s / p->done : visit_seconds());
}

static enum tl_rc settle_round(struct flow *flow, struct search_row *row, struct tl_err *err)
{
    struct round round = {.flow = flow, .row = row};
    enum tl_rc rc = round_load(&round, err);

    for (size_t i = 0; i < round.n * n_devices(row) && !rc; i++) {
        judge(&round, i / n_devices(row), i % n_devices(row));
    }
    if (rc == TL_OK && round.n_asked == 0) {
        decide(&round);
    }
    (void)(rc || (rc = encode_all(&round, err)) || (rc = store_write(flow->service->store, write_round, &round, err)));
    round_done(&round);
    if (rc == TL_OK) {
        flow_ring(flow);
    }
    return rc;
}

enum tl_rc flow_verify(struct flow *flow, struct search_row *row, struct tl_err *err)
{
    struct job_counts counts;
    enum tl_rc rc = flow_job_counts(flow->service->store, "", "", "verify", row->id, &counts, err);

    if (rc) {
        return rc;
    }
    double done_before = row->progress.done, total_before = row->progress.total;
    show_progress(row, &counts);
    if (counts.queued + counts.leased > 0) {
        if (row->progress.done == done_before && row->progress.total == total_before) {
            return TL_OK;
        }
        rc = search_row_store(flow->service->store, row, "progress", err);
        flow_ring(flow);
        return rc;
    }
    return settle_round(flow, row, err);
}
