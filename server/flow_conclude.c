/* flow_conclude.c - what a predicting phase found: the front kept, the candidates chosen to be measured, and the next state.
 */
#include "server/flow_running.h"
#include "server/together.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRONT_STORED_MAX = 4000 };
static const size_t EXPORT_MAX_BYTES = (size_t)64 << 20;
/* Without a known error, the spread over which the top k are chosen. */
static const double HALF_WIDTH_UNKNOWN = 0.05;

/* ---- what was found ------------------------------------------------------------------------------------------ */

/* A candidate on its way to the store. */
struct found {
    uint8_t genes[SPACE_VARIABLES_MAX]; /* whole space */
    char arch[TL_HASH_TEXT];
    uint64_t number;
    double values[SEARCH_METRICS_MAX];
    struct tl_buf json; /* owned */
    const char *role;
};

struct outcome {
    struct running *r;
    struct found *list; /* owned; the chosen (role verify) first, then the front */
    size_t n, n_chosen, cap;
    struct tl_buf export; /* owned */
    bool has_export;
};

static void outcome_done(struct outcome *o)
{
    for (size_t i = 0; i < o->n; i++) {
        tl_buf_done(&o->list[i].json);
    }
    free(o->list);
    tl_buf_done(&o->export);
}

static enum tl_rc found_make(struct running *r, const struct search_candidate *c, const char *role,
                             struct found *ret_found, struct tl_err *err)
{
    const struct space *space = evaluator_full_space(r->evaluator);
    struct candidate_values values = {.devices = r->row->request.devices,
                                      .tabulated = evaluator_tabulated(r->evaluator)};
    struct found found = {.number = c->number, .role = role, .json = {.max = (size_t)64 << 10}};
    struct tl_hash id;
    enum tl_rc rc;

    evaluator_full_arch(r->evaluator, c->arch, found.genes);
    id = space_arch_id(space, found.genes);
    tl_hash_format(&id, found.arch);
    evaluator_describe(r->evaluator, c->arch, values.columns);
    values.evaluated = evaluator_workers(r->evaluator);
    values.pool = r->row->request.pool;
    for (size_t d = 0; d == 0 || d < values.devices.n; d++) {
        values.latency[d].corrected = r->row->progress.round > 0;
        values.latency[d].timed = evaluator_timed(r->evaluator, d);
    }
    memcpy(found.values, c->values, sizeof(found.values));
    if ((rc = evaluator_describe_workers(r->evaluator, c->arch, values.columns, err)) ||
        (rc = candidate_values_encode(&values, &found.json, err))) {
        tl_buf_done(&found.json);
        return rc;
    }
    *ret_found = found;
    return TL_OK;
}

static bool better(const struct search_spec *spec, const double *a, const double *b)
{
    return spec->maximize ? a[spec->objective] > b[spec->objective] : a[spec->objective] < b[spec->objective];
}

/* Is it predicted within the limits on latency, each lowered by `step` of the half width of its device? */
static bool within(const struct outcome *o, const struct found *found, double step)
{
    const struct search_row *row = o->r->row;
    bool holds = true;

    for (size_t d = 0; d < row->request.devices.n; d++) {
        const struct lat_model *model = o->r->snapshot.latency[d];
        double half = row->progress.corrections[d].half_width;
        half = isnan(half) && model ? lat_model_error(model)->half_width : half;
        half = isnan(half) ? HALF_WIDTH_UNKNOWN : half;
        holds = holds && !(found->values[METRIC_LATENCY_MS + d] >
                           search_request_limit_ms(&row->request, d) * (1.0 - half * step));
    }
    return holds;
}

/* The front's member that is best by the objective among those within the limits lowered by `step` and not chosen yet; n:
 * none. */
static size_t best_within(const struct outcome *o, double step)
{
    size_t best = o->n;

    for (size_t i = 0; i < o->n; i++) {
        bool taken = strcmp(o->list[i].role, "verify") == 0;
        if (!taken && within(o, &o->list[i], step) &&
            (best == o->n || better(&o->r->spec, o->list[i].values, o->list[best].values))) {
            best = i;
        }
    }
    return best;
}

/* The k to measure: a predicted latency may be off by its interval, so they are the best within the limits, and within
 * limits lower by steps down to a whole half width. Chosen ones move to the head of the list, best first. */
static void choose(struct outcome *o, int k)
{
    for (int i = 0; i < k; i++) {
        double step = k > 1 ? (double)i / (double)(k - 1) : 0.5;
        size_t at = best_within(o, step);
        if (at == o->n) {
            at = best_within(o, 0.0);
        }
        if (at == o->n) {
            break;
        }
        struct found chosen = o->list[at];
        chosen.role = "verify";
        o->list[at] = o->list[o->n_chosen];
        o->list[o->n_chosen++] = chosen;
    }
}

static bool verified_before(const struct search_progress *p, const char *arch)
{
    for (size_t i = 0; i < p->n_verifications; i++) {
        if (strcmp(p->verifications[i].arch, arch) == 0) {
            return true;
        }
    }
    return false;
}

/* Add unless it is there or was measured in an earlier round (those keep their measured values). */
static enum tl_rc collect(struct outcome *o, const struct search_candidate *candidate, struct tl_err *err)
{
    struct found found;
    enum tl_rc rc = found_make(o->r, candidate, "front", &found, err);
    bool known = false;

    if (rc) {
        return rc;
    }
    for (size_t i = 0; i < o->n && !known; i++) {
        known = strcmp(o->list[i].arch, found.arch) == 0;
    }
    if (known || o->n == o->cap || verified_before(&o->r->row->progress, found.arch)) {
        tl_buf_done(&found.json);
        return TL_OK;
    }
    o->list[o->n++] = found;
    return TL_OK;
}

/* The front of earlier rounds, as the store has it. */
struct earlier {
    int64_t last; /* cursor */
    const struct running *r;
    size_t n;
    struct earlier_member {
        int64_t number;
        uint8_t genes[SPACE_VARIABLES_MAX];
    } members[FRONT_STORED_MAX];
};

static enum tl_rc copy_earlier(void *ctx, const struct store_candidate *stored, struct tl_err *err)
{
    struct earlier *earlier = ctx;

    (void)err;
    earlier->last = stored->id;
    if (stored->genes.n == evaluator_space(earlier->r->evaluator)->n_variables && earlier->n < FRONT_STORED_MAX) {
        struct earlier_member *member = &earlier->members[earlier->n++];
        member->number = stored->number;
        memcpy(member->genes, stored->genes.data, stored->genes.n);
    }
    return TL_OK;
}

static enum tl_rc read_earlier(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct earlier *earlier = ctx;
    int64_t before;
    enum tl_rc rc;

    do {
        before = earlier->last;
        rc = store_candidate_list(tx, earlier->r->row->id, "front", (struct store_page){earlier->last, 1000},
                                  copy_earlier, earlier, err);
    } while (!rc && earlier->last != before);
    return rc;
}

/* A member of an earlier round's front: valued again under the present correction, kept if every limit still holds. */
static enum tl_rc collect_member(struct outcome *o, const struct earlier_member *member, struct tl_err *err)
{
    struct search_evaluator table = *evaluator_table(o->r->evaluator);
    struct search_candidate candidate = {.number = (uint64_t)member->number};
    uint8_t arch[SPACE_VARIABLES_MAX];
    enum tl_rc rc;

    if (!evaluator_narrow_arch(o->r->evaluator, member->genes, arch)) {
        return TL_OK;
    }
    if ((rc = table.values(table.ctx, 0, table.n_metrics, arch, sizeof(arch), 1, candidate.values, 0, err))) {
        return rc;
    }
    for (size_t i = 0; i < o->r->spec.n_limits; i++) {
        const struct search_limit *limit = &o->r->spec.limits[i];
        double value = candidate.values[limit->metric];
        if (limit->is_min ? !(value >= limit->bound) : !(value <= limit->bound)) {
            return TL_OK;
        }
    }
    candidate.arch = arch;
    return collect(o, &candidate, err);
}

static enum tl_rc collect_earlier(struct outcome *o, struct tl_err *err)
{
    struct earlier *earlier = calloc(1, sizeof(*earlier));
    enum tl_rc rc;

    if (!earlier) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an earlier front");
    }
    earlier->r = o->r;
    rc = store_read(o->r->flow->service->store, read_earlier, earlier, err);
    for (size_t i = 0; i < earlier->n && !rc; i++) {
        rc = collect_member(o, &earlier->members[i], err);
    }
    free(earlier);
    return rc;
}

static bool dominates(const struct search_spec *spec, const double *a, const double *b)
{
    bool strictly = false;

    for (size_t i = 0; i < spec->n_front; i++) {
        size_t m = spec->front[i];
        double gain = spec->front_max & (1U << m) ? a[m] - b[m] : b[m] - a[m];
        if (gain < 0.0) {
            return false;
        }
        strictly = strictly || gain > 0.0;
    }
    return strictly;
}

/* Two fronts joined are not a front. Quadratic over a few hundred. */
static void drop_dominated(struct outcome *o)
{
    size_t kept = 0;

    for (size_t i = 0; i < o->n; i++) {
        bool beaten = false;
        for (size_t j = 0; j < o->n && !beaten; j++) {
            beaten = dominates(&o->r->spec, o->list[j].values, o->list[i].values);
        }
        o->list[i].role = beaten ? "dominated" : "front";
    }
    for (size_t i = 0; i < o->n; i++) {
        if (strcmp(o->list[i].role, "front") == 0) {
            o->list[kept++] = o->list[i];
        } else {
            tl_buf_done(&o->list[i].json);
        }
    }
    o->n = kept;
}

/* The best, the front (thinned when it is huge, as fronts of three metrics can be), and in later rounds what stands of the
 * earlier front. */
static enum tl_rc collect_front(struct running *r, struct outcome *o, struct tl_err *err)
{
    size_t n = search_run_front_count(r->run), stride = n > FRONT_STORED_MAX ? n / FRONT_STORED_MAX + 1 : 1;
    struct search_candidate candidate;
    enum tl_rc rc = TL_OK;

    o->cap = (n < FRONT_STORED_MAX ? n : FRONT_STORED_MAX) + 1 + (r->row->progress.round > 0 ? FRONT_STORED_MAX : 0);
    if (!(o->list = calloc(o->cap, sizeof(*o->list)))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a front of %zu", n);
    }
    if (search_run_best(r->run, &candidate)) {
        rc = collect(o, &candidate, err);
    }
    for (size_t i = 0; i < n && !rc; i += stride) {
        search_run_front_at(r->run, i, &candidate);
        rc = collect(o, &candidate, err);
    }
    if (!rc && r->row->progress.round > 0) {
        rc = collect_earlier(o, err);
        drop_dominated(o);
    }
    return rc;
}

/* Nothing feasible: what came nearest, alone. */
static enum tl_rc collect_nearest(struct running *r, struct outcome *o, struct tl_err *err)
{
    struct search_candidate nearest;
    enum tl_rc rc;

    if (!search_run_nearest(r->run, &nearest)) {
        return TL_OK;
    }
    if (!(o->list = calloc(1, sizeof(*o->list)))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a candidate");
    }
    if (!(rc = found_make(r, &nearest, "nearest", &o->list[0], err))) {
        o->n = 1;
    }
    return rc;
}

/* ---- one transaction ends the phase -------------------------------------------------------------------------- */

/* One a device. */
static enum tl_rc add_verifications(struct outcome *o, const struct found *found, int64_t id, struct tl_err *err)
{
    struct search_progress *p = &o->r->row->progress;
    const size_t n_devices = o->r->row->request.devices.n;

    if (p->n_verifications + n_devices > VERIFICATIONS_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "a search verifies at most %d candidates", VERIFICATIONS_MAX);
    }
    for (size_t d = 0; d < n_devices; d++) {
        struct verification *v = &p->verifications[p->n_verifications++];
        *v = (struct verification){.candidate = id,
                                   .device = (uint8_t)d,
                                   .round = p->round,
                                   .predicted_ms = found->values[METRIC_LATENCY_MS + d] / p->corrections[d].scale,
                                   .objective = found->values[o->r->spec.objective],
                                   .median_ms = NAN,
                                   .upper_ms = NAN};
        memcpy(v->arch, found->arch, sizeof(v->arch));
    }
    return TL_OK;
}

static enum tl_rc write_candidates(struct store_tx *tx, struct outcome *o, struct tl_err *err)
{
    struct search_row *row = o->r->row;
    enum tl_rc rc = store_candidate_clear(tx, row->id, "front", err);
    size_t best = 0;

    for (size_t i = 1; i < o->n; i++) {
        best = better(&o->r->spec, o->list[i].values, o->list[best].values) ? i : best;
    }
    for (size_t i = 0; i < o->n && !rc; i++) {
        const struct found *found = &o->list[i];
        int64_t id = 0;
        rc = store_candidate_put(
            tx,
            &(struct store_candidate){.search = row->id,
                                      .arch = found->arch,
                                      .role = found->role,
                                      .number = (int64_t)found->number,
                                      .genes = {found->genes, evaluator_space(o->r->evaluator)->n_variables},
                                      .values = {found->json.data, found->json.len}},
            &id, err);
        if (rc) {
            return rc;
        }
        if (strcmp(found->role, "nearest") == 0) {
            row->progress.nearest = id;
        } else if (i == best && row->progress.round <= 1) {
            row->progress.answer = id;
            row->progress.archive_answers = false;
            flow_note_best(&row->progress, &row->request.devices, found->values);
        }
        if (i < o->n_chosen) {
            rc = add_verifications(o, found, id, err);
        }
    }
    return rc;
}

static enum tl_rc write_outcome(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct outcome *o = ctx;
    static const struct tl_buf nothing = {0};
    enum tl_rc rc = write_candidates(tx, o, err);

    return rc ? rc : search_row_save(tx, o->r->row, &nothing, o->has_export ? &o->export : NULL, "state", err);
}

/* There is an answer that nobody is to measure: the outcome says whose values it has. */
static void finish_found(struct running *r)
{
    struct search_row *row = r->row;

    if (row->request.evaluated) {
        search_row_state(row, "finished", "found by what %s valued", row->request.pool);
        search_row_finish(row, "finished", "evaluated");
    } else if (r->snapshot.table) {
        search_row_state(row, "finished", "found in the table");
        search_row_finish(row, "finished", "tabulated");
    } else {
        search_row_state(row, "finished", "found by prediction");
        search_row_finish(row, "finished", "predicted");
    }
}

enum tl_rc flow_conclude(struct running *r, struct tl_err *err)
{
    struct search_row *row = r->row;
    struct outcome o = {.r = r, .export = {.max = EXPORT_MAX_BYTES}, .has_export = row->progress.round == 0};
    struct search_candidate best;
    bool any = search_run_best(r->run, &best);
    int top_k = row->device[0] && evaluator_has(r->evaluator, METRIC_LATENCY_MS) ? row->request.top_k : 0;
    enum tl_rc rc;

    rc = o.has_export
             ? search_export_encode(&row->request, row->snapshot, &r->spec, r->run, r->evaluator, &o.export, err)
             : TL_OK;
    if (rc == TL_OK && any) {
        rc = collect_front(r, &o, err);
        choose(&o, top_k);
    } else if (rc == TL_OK && row->progress.round == 0) {
        rc = collect_nearest(r, &o, err);
        rc = rc ? rc : together_reach(r->evaluator, &row->request, &row->progress.together, err);
    }
    row->progress.eta_s = NAN;
    if (o.n_chosen == 0 && row->progress.round > 0) {
        flow_finish_unverified(row,
                               any ? "every network predicted to hold the limits was measured, and none did"
                                   : "corrected by what was measured, no network is predicted to hold every limit");
    } else if (!any) {
        char reach[160];
        together_text(&row->request.devices, &row->progress.together, reach, sizeof(reach));
        search_row_state(row, "finished", "%s%s%s",
                         search_run_nearest(r->run, &best)
                             ? "no network met every limit at once; the nearest one is given"
                             : "no network could be valued",
                         reach[0] ? "; " : "", reach);
        search_row_finish(row, "finished", "none_found");
    } else if (o.n_chosen > 0) {
        row->progress.round++;
        search_row_state(row, "verifying", "round %d: %zu candidates are measured on %s", row->progress.round,
                         o.n_chosen, row->device);
    } else {
        finish_found(r);
    }
    if (rc == TL_OK) {
        rc = store_write(r->flow->service->store, write_outcome, &o, err);
    }
    outcome_done(&o);
    return rc;
}
