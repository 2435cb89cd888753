/* run.c - the loop: plan a batch, let each slot propose until the cheap limits hold, value the whole batch, learn.
 *
 * One idea: a batch is a function of (spec, controller state, batch number). Slots and blocks of rows are tasks that write
 * to places of their own, and what is learned is learned in slot order, so neither threads nor cuts show in the result.
 *
 * The first batches are the starts, where there are any; no controller plans them.
 *
 * Metrics that cheap limits bound are asked while proposing; all others once for the rows that were chosen.
 *
 * Threads: see search.h. During a batch the pool's threads write to their own `struct worker` and the rows of their task.
 */
#include "search/controller.h"
#include "search/goal.h"
#include "search/results.h"
#include "search/rows.h"
#include "search/starts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tries (search.h states them). 400,000 let each of 100 slots try 4,000 times before anything is known; 100 an evaluation
 * is fifty times what once-for-all's evolution needs under a limit that a quarter of its space meets. */
enum { SLOT_TRIES = 4000, RUN_TRIES = 400000, EVALUATION_TRIES = 100 };

/* Proposals outside the space that one try makes. With a table of 5,000 rows out of 1e21 all of them are, and cost less
 * than the evaluation. */
enum { ADMITTED_TRIES = 32 };

/* Rows that are valued by one call. Fixed, because the value of a row may depend in its last bit on the rows beside it; 50
 * lets two threads share a batch of 100 and costs a matrix product of 400x400 a tenth of its speed. */
enum { BLOCK_ROWS = 50 };

enum { STATE_MAGIC = 0x31525354 }; /* "TSR1" in the order of bytes */

/* One thread's scratch, and the first failure that it saw. */
struct worker {
    uint8_t genes[SPACE_VARIABLES_MAX], arch[SPACE_VARIABLES_MAX];
    double values[SEARCH_METRICS_MAX];
    enum tl_rc rc;
    size_t task; /* that failed */
    struct tl_err err;
};

struct search_run {
    const struct space *space;                /* borrowed */
    const struct search_evaluator *evaluator; /* borrowed */
    struct tl_pool *pool;                     /* borrowed; NULL: none */
    struct search_spec *spec;                 /* owned; the results point to it */
    uint8_t *starts;                          /* owned, (spec->n_starts, n_variables); spec->starts is this */
    const struct search_controller_ops *ops;  /* static */
    struct search_controller *controller;     /* owned */
    struct tl_hash identity;                  /* of all that the bytes follow from, budgets excepted */
    size_t limited_begin, limited_end;        /* metrics asked while proposing */
    struct worker *workers;                   /* owned, (n_workers) */
    unsigned n_workers;

    uint64_t batch; /* number of the next one */
    uint64_t n_proposals;
    double seconds;
    struct results results;
    struct rows rows;

    /* the batch at hand: n_slots rows */
    size_t n_slots;
    uint32_t tries_max; /* of a slot */
    uint8_t *genes;     /* owned, (batch, n_variables) */
    uint8_t *archs;     /* owned, (batch, n_variables): canonical */
    double *values;     /* owned, (batch, SEARCH_METRICS_MAX) */
    double *score;      /* owned, (batch) */
    double *violation;  /* owned, (batch) */
    uint32_t *tries;    /* owned, (batch): made */
};

/* ---- life ---------------------------------------------------------------------------------------------------- */

static enum tl_rc put_limits(const struct search_spec *spec, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u64(buf, spec->n_limits, err);
    for (size_t i = 0; !rc && i < spec->n_limits; i++) {
        rc = tl_buf_put_u32(buf, spec->limits[i].metric * 2U + spec->limits[i].is_min, err);
        rc = rc ? rc : tl_buf_put_f64(buf, spec->limits[i].bound, err);
    }
    return rc;
}

static enum tl_rc identity_of(const struct search_run *run, struct tl_hash *ret_identity, struct tl_err *err)
{
    const struct search_spec *spec = run->spec;
    TL_AUTO(tl_buf) buf = {0};
    enum tl_rc rc = tl_buf_add(&buf, run->space->id.bytes, sizeof run->space->id.bytes, err);
    rc = rc ? rc : tl_buf_put_u64(&buf, run->evaluator->n_metrics, err);
    rc = rc ? rc : tl_buf_put_u64(&buf, run->evaluator->n_cheap, err);
    rc = rc || !run->evaluator->n_rows ? rc : tl_buf_put_u64(&buf, run->evaluator->n_rows, err);
    rc = rc ? rc
            : tl_buf_put_u32(&buf,
                             (uint32_t)spec->front_wanted << 17 | (uint32_t)spec->dear << 16 |
                                 (spec->objective * 2U + spec->maximize),
                             err);
    rc = rc ? rc : put_limits(spec, &buf, err);
    rc = rc ? rc : tl_buf_put_u64(&buf, spec->n_front, err);
    rc = rc ? rc : tl_buf_add(&buf, spec->front, spec->n_front, err);
    rc = rc ? rc : tl_buf_put_u32(&buf, spec->front_max, err);
    rc = rc ? rc : tl_buf_put_u64(&buf, spec->seed, err);
    rc = rc ? rc : tl_buf_put_u32(&buf, spec->sample_size, err);
    rc = rc ? rc : tl_buf_add(&buf, spec->controller, strlen(spec->controller), err);
    rc = rc || !spec->n_starts ? rc : tl_buf_add(&buf, run->starts, spec->n_starts * run->space->n_variables, err);
    if (!rc && spec->reward != SEARCH_REWARD_DEFAULT) { /* the default adds nothing: states from before rewards fit */
        rc = tl_buf_put_u32(&buf, spec->reward, err);
    }
    if (!rc) {
        *ret_identity = tl_hash_of(buf.data, buf.len);
    }
    return rc;
}

/* The smallest range of cheap metrics that has every limited one; empty when none is. */
static void find_limited(struct search_run *run)
{
    for (size_t i = 0; i < run->spec->n_limits; i++) {
        size_t metric = run->spec->limits[i].metric;
        if (metric >= run->evaluator->n_cheap) {
            continue;
        }
        bool first = run->limited_end == 0;
        run->limited_begin = first || metric < run->limited_begin ? metric : run->limited_begin;
        run->limited_end = metric + 1 > run->limited_end ? metric + 1 : run->limited_end;
    }
}

static enum tl_rc allocate(struct search_run *run, struct tl_err *err)
{
    size_t n = run->ops->batch, width = run->space->n_variables;
    run->workers = calloc(run->n_workers, sizeof *run->workers);
    run->genes = calloc(n, width);
    run->archs = calloc(n, width);
    run->values = calloc(n * SEARCH_METRICS_MAX, sizeof *run->values);
    run->score = calloc(n, sizeof *run->score);
    run->violation = calloc(n, sizeof *run->violation);
    run->tries = calloc(n, sizeof *run->tries);
    return run->workers && run->genes && run->archs && run->values && run->score && run->violation && run->tries
               ? TL_OK
               : tl_fail(err, TL_NO_MEMORY, "no memory for batches of %zu", n);
}

/* Is there nothing to choose? Without rules one architecture shows it: what is active in it could take another option. */
static bool space_single(const struct space *space)
{
    const uint8_t first[SPACE_VARIABLES_MAX] = {0};
    uint8_t active[SPACE_VARIABLES_MAX];
    char count[SPACE_COUNT_TEXT];
    if (space->n_rules > 0) {
        space_count(space, count);
        return strcmp(count, "1") == 0;
    }
    space_active(space, first, active);
    for (size_t i = 0; i < space->n_variables; i++) {
        if (active[i] && space->variables[i].n_options > 1) {
            return false;
        }
    }
    return true;
}

enum tl_rc search_run_new(const struct space *space, const struct search_evaluator *evaluator,
                          const struct search_spec *spec, struct tl_pool *pool, struct search_run **ret_run,
                          struct tl_err *err)
{
    enum tl_rc rc = goal_check(spec, evaluator, err);
    if (rc) {
        return rc;
    }
    struct search_run *run = calloc(1, sizeof *run);
    if (!run) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a search");
    }
    run->space = space;
    run->evaluator = evaluator;
    run->pool = pool;
    run->n_workers = pool ? tl_pool_threads(pool) : 1;
    run->ops = search_controller_get(spec->controller);
    run->spec = malloc(sizeof *run->spec);
    if (!run->spec) {
        search_run_free(run);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a search");
    }
    *run->spec = *spec;
    run->spec->budget_evaluations = space_single(space) ? 1 : spec->budget_evaluations;
    find_limited(run);
    rc = starts_take(spec, space, evaluator, &run->starts, err);
    run->spec->starts = run->starts;
    rc = rc ? rc : identity_of(run, &run->identity, err);
    rc = rc ? rc : allocate(run, err);
    rc = rc ? rc : results_init(&run->results, run->spec, space, evaluator->n_metrics, err);
    rc = rc ? rc : rows_init(&run->rows, run->spec, evaluator, space->n_variables, err);
    rc = rc ? rc : run->ops->make(space, run->spec, &run->controller, err);
    if (rc) {
        search_run_free(run);
        return rc;
    }
    *ret_run = run;
    return TL_OK;
}

void search_run_free(struct search_run *run)
{
    if (!run) {
        return;
    }
    if (run->controller) {
        run->ops->free(run->controller);
    }
    results_done(&run->results);
    rows_done(&run->rows);
    free(run->spec);
    free(run->starts);
    free(run->workers);
    free(run->genes);
    free(run->archs);
    free(run->values);
    free(run->score);
    free(run->violation);
    free(run->tries);
    free(run);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

/* Ask the evaluator; a failure is noted with the worker, which then does nothing more in this batch. */
static bool ask(struct search_run *run, size_t begin, size_t end, const uint8_t *archs, size_t n, double *values,
                size_t task, unsigned thread)
{
    struct worker *worker = &run->workers[thread];
    if (begin < end && !worker->rc) {
        worker->rc = run->evaluator->values(run->evaluator->ctx, begin, end - begin, archs, run->space->n_variables, n,
                                            values, thread, &worker->err);
        worker->task = task;
    }
    return worker->rc == TL_OK;
}

/* Is it in the space, and, where there is a list, still to be evaluated? */
static bool admitted(const struct search_run *run, const uint8_t *arch)
{
    return space_allowed(run->space, arch) && rows_have(&run->rows, arch);
}

/* One proposal that may be evaluated: the controller's, or after some that may not be a sample. */
static void propose_admitted(struct search_run *run, size_t slot, struct tl_rng *rng, struct worker *worker)
{
    for (int i = 0; i < ADMITTED_TRIES; i++) {
        const uint32_t attempt = run->tries[slot] * ADMITTED_TRIES + (uint32_t)i;
        run->ops->propose(run->controller, slot, attempt, rng, worker->genes);
        memcpy(worker->arch, worker->genes, run->space->n_variables);
        space_canonical(run->space, worker->arch);
        if (admitted(run, worker->arch)) {
            return;
        }
    }
    if (run->rows.open) {
        rows_draw(&run->rows, rng, worker->genes);
    } else {
        space_sample(run->space, rng, worker->genes);
    }
    memcpy(worker->arch, worker->genes, run->space->n_variables);
    space_canonical(run->space, worker->arch);
}

/* Propose until the cheap limits hold. The row holds the least violating proposal so far, the first of equal ones. */
static void propose_slot(void *ctx, size_t slot, unsigned thread)
{
    struct search_run *run = ctx;
    struct worker *worker = &run->workers[thread];
    size_t width = run->space->n_variables;
    double least = (double)NAN;
    struct tl_rng rng;

    tl_rng_init(&rng, run->spec->seed, run->batch, slot);
    run->tries[slot] = 0;
    while (run->tries[slot] < run->tries_max && !(least == 0)) {
        propose_admitted(run, slot, &rng, worker);
        if (!ask(run, run->limited_begin, run->limited_end, worker->arch, 1, worker->values, slot, thread)) {
            return;
        }
        double violation = goal_violation_below(run->spec, worker->values, run->limited_end);
        if (run->tries[slot] == 0 || violation < least) {
            least = violation;
            memcpy(run->genes + slot * width, worker->genes, width);
            memcpy(run->archs + slot * width, worker->arch, width);
            memcpy(run->values + slot * SEARCH_METRICS_MAX, worker->values, sizeof worker->values);
        }
        run->tries[slot]++;
    }
}

/* The metrics that were not asked while proposing. */
static void value_block(void *ctx, size_t block, unsigned thread)
{
    struct search_run *run = ctx;
    size_t begin = block * BLOCK_ROWS;
    size_t n = run->n_slots - begin < BLOCK_ROWS ? run->n_slots - begin : BLOCK_ROWS;
    const uint8_t *archs = run->archs + begin * run->space->n_variables;
    double *values = run->values + begin * SEARCH_METRICS_MAX;
    if (ask(run, 0, run->limited_begin, archs, n, values, block, thread)) {
        (void)ask(run, run->limited_end, run->evaluator->n_metrics, archs, n, values, block, thread);
    }
}

/* All metrics of the starts, which are one block at most. */
static void value_starts(void *ctx, size_t block, unsigned thread)
{
    struct search_run *run = ctx;
    (void)ask(run, 0, run->evaluator->n_metrics, run->archs, run->n_slots, run->values, block, thread);
}

/* The failure of the lowest task, whichever thread had it; the workers can go on afterwards. */
static enum tl_rc take_failure(struct search_run *run, struct tl_err *err)
{
    const struct worker *failed = NULL;
    for (unsigned i = 0; i < run->n_workers; i++) {
        const struct worker *worker = &run->workers[i];
        if (worker->rc && (!failed || worker->task < failed->task)) {
            failed = worker;
        }
    }
    if (!failed) {
        return TL_OK;
    }
    enum tl_rc rc = failed->rc;
    if (err && !err->rc) {
        *err = failed->err;
    }
    for (unsigned i = 0; i < run->n_workers; i++) {
        run->workers[i].rc = TL_OK;
        run->workers[i].err = (struct tl_err){0};
    }
    return rc;
}

/* Tries that the first `n` evaluations may take in all. */
static uint64_t tries_of_run(uint64_t n)
{
    return RUN_TRIES + n * EVALUATION_TRIES;
}

/* Does the batch at hand consist of starts? */
static bool starting(const struct search_run *run)
{
    return run->results.n_evaluated < run->spec->n_starts;
}

static void plan_starts(struct search_run *run)
{
    const size_t width = run->space->n_variables, first = (size_t)run->results.n_evaluated;
    const uint64_t left = run->spec->budget_evaluations - first;
    size_t n = run->spec->n_starts - first < BLOCK_ROWS ? run->spec->n_starts - first : BLOCK_ROWS;
    n = n < run->ops->batch ? n : run->ops->batch;
    run->n_slots = n < left ? n : (size_t)left;
    memcpy(run->genes, run->starts + first * width, run->n_slots * width);
    memcpy(run->archs, run->starts + first * width, run->n_slots * width);
    for (size_t i = 0; i < run->n_slots; i++) {
        run->tries[i] = 1;
    }
}

static void plan_batch(struct search_run *run)
{
    uint64_t n_evaluated = run->results.n_evaluated, left = run->spec->budget_evaluations - n_evaluated;
    size_t n_planned = run->ops->plan(run->controller, run->batch);
    /* Counted over the planned slots, so that a smaller budget gives the beginning of a larger one's bytes. */
    uint64_t tries = (tries_of_run(n_evaluated + n_planned) - run->n_proposals) / n_planned;
    const bool once = !run->ops->rejects || run->rows.open; /* open rows hold the limits, or none does */
    run->tries_max = once ? 1 : tries < SLOT_TRIES ? (uint32_t)tries : SLOT_TRIES;
    run->n_slots = n_planned < left ? n_planned : (size_t)left;
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

static void learn(struct search_run *run)
{
    const bool told = run->ops->starts || !starting(run);
    struct tl_rng rng;
    tl_rng_init(&rng, run->spec->seed, run->batch, STREAM_SAMPLE);
    for (size_t i = 0; i < run->n_slots; i++) {
        const double *values = run->values + i * SEARCH_METRICS_MAX;
        run->violation[i] = goal_violation(run->spec, values);
        run->score[i] = goal_score(run->spec, values);
        results_add(&run->results, values, run->archs + i * run->space->n_variables, run->violation[i], run->score[i],
                    &rng);
        run->n_proposals += run->tries[i];
        rows_take(&run->rows, run->archs + i * run->space->n_variables);
    }
    const struct search_batch batch = {.n = run->n_slots,
                                       .genes = run->genes,
                                       .archs = run->archs,
                                       .values = run->values,
                                       .score = run->score,
                                       .violation = run->violation};
    if (told) {
        run->ops->tell(run->controller, &batch);
    }
    run->batch++;
}

static enum tl_rc run_batch(struct search_run *run, struct tl_err *err)
{
    const bool is_start = starting(run);
    enum tl_rc rc = TL_OK;
    if (is_start) {
        plan_starts(run);
    } else {
        plan_batch(run);
        tl_pool_run(run->pool, propose_slot, run, run->n_slots);
        rc = take_failure(run, err);
    }
    if (!rc && run->evaluator->prepare) {
        rc = run->evaluator->prepare(run->evaluator->ctx, run->archs, run->space->n_variables, run->n_slots, err);
    }
    if (!rc) {
        tl_pool_run(run->pool, is_start ? value_starts : value_block, run,
                    (run->n_slots + BLOCK_ROWS - 1) / BLOCK_ROWS);
        rc = take_failure(run, err);
    }
    if (!rc) {
        learn(run);
    }
    return rc;
}

static bool budget_spent(const struct search_run *run)
{
    return run->results.n_evaluated >= run->spec->budget_evaluations || (run->rows.open && run->rows.n_open == 0) ||
           (run->spec->budget_seconds > 0 && run->seconds >= run->spec->budget_seconds);
}

enum tl_rc search_run_step(struct search_run *run, uint64_t n_evaluations, bool *ret_done, struct tl_err *err)
{
    uint64_t begin = run->results.n_evaluated;
    double seconds_before = run->seconds;
    int64_t begin_ns = tl_clock_mono_ns();
    while (!budget_spent(run) && run->results.n_evaluated - begin < n_evaluations) {
        enum tl_rc rc = run_batch(run, err);
        run->seconds = seconds_before + (double)(tl_clock_mono_ns() - begin_ns) * 1e-9;
        if (rc) {
            return rc;
        }
    }
    *ret_done = budget_spent(run);
    return TL_OK;
}

/* ---- what was found ------------------------------------------------------------------------------------------ */

uint64_t search_run_evaluations(const struct search_run *run)
{
    return run->results.n_evaluated;
}

uint64_t search_run_proposals(const struct search_run *run)
{
    return run->n_proposals;
}

double search_run_seconds(const struct search_run *run)
{
    return run->seconds;
}

static void candidate_at(const struct search_run *run, const struct shelf *shelf, size_t index,
                         struct search_candidate *ret_candidate)
{
    shelf_get(shelf, index, ret_candidate);
    ret_candidate->violation = goal_violation(run->spec, ret_candidate->values);
}

bool search_run_nearest(const struct search_run *run, struct search_candidate *ret_nearest)
{
    if (run->results.n_valued > 0) {
        candidate_at(run, &run->results.top, 0, ret_nearest);
    }
    return run->results.n_valued > 0;
}

bool search_run_best(const struct search_run *run, struct search_candidate *ret_best)
{
    return run->results.top_violation == 0 && search_run_nearest(run, ret_best);
}

size_t search_run_front_count(const struct search_run *run)
{
    return run->results.front.n;
}

void search_run_front_at(const struct search_run *run, size_t index, struct search_candidate *ret_candidate)
{
    const struct front *front = &run->results.front;
    candidate_at(run, &front->members, front->entries[index].slot, ret_candidate);
}

size_t search_run_sample_count(const struct search_run *run)
{
    return results_sample_count(&run->results);
}

void search_run_sample_at(const struct search_run *run, size_t index, struct search_candidate *ret_candidate)
{
    candidate_at(run, &run->results.sample, index, ret_candidate);
}

size_t search_run_history(const struct search_run *run, const struct search_point **ret_points)
{
    return results_history(&run->results, ret_points);
}

/* ---- state --------------------------------------------------------------------------------------------------- */

enum tl_rc search_run_save(const struct search_run *run, struct tl_buf *buf, struct tl_err *err)
{
    size_t len = buf->len;
    enum tl_rc rc = tl_buf_put_u32(buf, STATE_MAGIC, err);
    rc = rc ? rc : tl_buf_add(buf, run->identity.bytes, sizeof run->identity.bytes, err);
    rc = rc ? rc : tl_buf_put_u64(buf, run->batch, err);
    rc = rc ? rc : tl_buf_put_u64(buf, run->n_proposals, err);
    rc = rc ? rc : results_save(&run->results, buf, err);
    rc = rc ? rc : rows_save(&run->rows, buf, err);
    rc = rc ? rc : run->ops->save(run->controller, buf, err);
    rc = rc ? rc : tl_buf_put_f64(buf, run->seconds, err);
    if (rc && buf->data) {
        buf->len = len;
        buf->data[len] = '\0';
    }
    return rc;
}

static enum tl_rc load_counts(struct search_run *run, struct tl_cursor *state, struct tl_err *err)
{
    uint32_t magic = tl_cursor_u32(state);
    const uint8_t *identity = tl_cursor_bytes(state, sizeof run->identity.bytes);
    run->batch = tl_cursor_u64(state);
    run->n_proposals = tl_cursor_u64(state);
    if (magic != STATE_MAGIC || state->failed) {
        return tl_fail(err, TL_MALFORMED, "these bytes are not the state of a search");
    }
    if (memcmp(identity, run->identity.bytes, sizeof run->identity.bytes) != 0) {
        return tl_fail(err, TL_CONFLICT, "the state is that of a search with another space or specification");
    }
    return TL_OK;
}

/* Could this many batches and tries have led to this many evaluations? */
static bool counts_agree(const struct search_run *run)
{
    uint64_t n = run->results.n_evaluated;
    return run->batch <= n && n <= run->batch * run->ops->batch && run->n_proposals >= n &&
           run->n_proposals <= tries_of_run(n);
}

static enum tl_rc load(struct search_run *run, struct tl_cursor *state, struct tl_err *err)
{
    enum tl_rc rc = load_counts(run, state, err);
    if (rc) {
        return rc;
    }
    if (!results_load(&run->results, state) || !rows_load(&run->rows, state) || !counts_agree(run)) {
        return tl_fail(err, TL_MALFORMED, "the results in the state of a search contradict each other");
    }
    if ((rc = run->ops->load(run->controller, state, err))) {
        return rc;
    }
    run->seconds = tl_cursor_f64(state);
    return tl_cursor_ok(state) && isfinite(run->seconds) && run->seconds >= 0
               ? TL_OK
               : tl_fail(err, TL_MALFORMED, "the state of a search ends too early or too late");
}

enum tl_rc search_run_restore(struct search_run *run, const void *state, size_t n, struct tl_err *err)
{
    struct search_run *restored = NULL;
    struct tl_cursor cursor = tl_cursor_make(state, n);
    enum tl_rc rc = search_run_new(run->space, run->evaluator, run->spec, run->pool, &restored, err);
    if (!restored) {
        return rc;
    }
    rc = load(restored, &cursor, err);
    if (!rc) {
        struct search_run old = *run;
        *run = *restored;
        *restored = old;
    }
    search_run_free(restored);
    return rc;
}
