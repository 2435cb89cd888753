/* controller_model.c - evaluate next what a model of all that was evaluated expects most of: for dear evaluators.
 *
 * Twenty random architectures; then, five at a time, the most promising of some hundred children of the best and random
 * ones. Objective, limited metrics and, if the front is wanted, its metrics each have a Gaussian process (process.h) over
 * the ranks of their values: scores that no outlier bends. What is promising is the expected improvement over the best
 * feasible one times the probability that the limits hold (Gardner et al. 2014); where the front is wanted, the lower
 * bound of a weighted Chebyshev distance, with weights drawn for each slot (ParEGO: Knowles 2006).
 *
 * The model holds ROWS_MAX rows; when it is full the worse half is forgotten.
 *
 * Threads: plan and tell belong to the run's thread; proposing changes nothing.
 */
#include "search/breed.h"
#include "search/controller.h"
#include "search/goal.h"
#include "search/process.h"
#include "search/seen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    STARTS = 20,
    BATCH = 5,
    CANDIDATES = 100, /* a slot */
    BREEDERS = 30,    /* of the best, whose children are candidates */
    ROWS_MAX = 600,
    TUNE_FIRST = 20, /* rows at which the processes are tuned first; again at each doubling */
    TRIES = 50
};

static const double OPTIMISM = 1, BALANCE = 0.05; /* deviations; of the sum beside the largest (Knowles 2006) */

struct row {
    uint8_t arch[SPACE_VARIABLES_MAX];
    double values[SEARCH_METRICS_MAX];
    double score, violation;
};

struct search_controller {
    const struct space *space;      /* borrowed */
    const struct search_spec *spec; /* borrowed */
    struct breed breed;
    struct seen seen;
    size_t n, n_tuned;
    struct row *rows; /* owned, (ROWS_MAX): as evaluated, those without a value excepted */
    uint8_t *codes;   /* owned, (ROWS_MAX, n_variables) */
    uint16_t *order;  /* owned, (ROWS_MAX): rows, the best first */
    double *keys;     /* owned, (ROWS_MAX): scratch of ordering */
    size_t n_targets; /* metrics with a process */
    uint8_t targets[SEARCH_METRICS_MAX];
    struct process *process[SEARCH_METRICS_MAX]; /* owned */
    double *marks[SEARCH_METRICS_MAX];           /* owned, (ROWS_MAX): ranks of the values as scores */
    double bounds[SEARCH_LIMITS_MAX];            /* limits on the scale of the marks */
    double best_mark;                            /* of the best feasible row, larger is better */
    bool has_feasible;
    uint8_t picked[BATCH][SPACE_VARIABLES_MAX];
};

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void release(struct search_controller *c)
{
    for (size_t t = 0; t < c->n_targets; t++) {
        process_free(c->process[t]);
        free(c->marks[t]);
    }
    seen_done(&c->seen);
    free(c->rows);
    free(c->codes);
    free(c->order);
    free(c->keys);
    free(c);
}

static size_t target_of(const struct search_controller *c, uint8_t metric)
{
    size_t t = 0;
    while (t < c->n_targets && c->targets[t] != metric) {
        t++;
    }
    return t;
}

static enum tl_rc add_target(struct search_controller *c, uint8_t metric, struct tl_err *err)
{
    const size_t t = target_of(c, metric);
    if (t < c->n_targets) {
        return TL_OK;
    }
    c->targets[t] = metric;
    c->n_targets++;
    c->marks[t] = calloc(ROWS_MAX, sizeof *c->marks[t]);
    return c->marks[t] ? process_new(c->space, ROWS_MAX, &c->process[t], err)
                       : tl_fail(err, TL_NO_MEMORY, "no memory for a model");
}

static enum tl_rc add_targets(struct search_controller *c, struct tl_err *err)
{
    enum tl_rc rc = add_target(c, c->spec->objective, err);
    for (size_t i = 0; !rc && i < c->spec->n_limits; i++) {
        rc = add_target(c, c->spec->limits[i].metric, err);
    }
    for (size_t i = 0; !rc && c->spec->front_wanted && i < c->spec->n_front; i++) {
        rc = add_target(c, c->spec->front[i], err);
    }
    return rc;
}

static enum tl_rc make(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                       struct tl_err *err)
{
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    c->space = space;
    c->spec = spec;
    c->n_tuned = TUNE_FIRST / 2;
    breed_init(&c->breed, space);
    c->rows = calloc(ROWS_MAX, sizeof *c->rows);
    c->codes = calloc(ROWS_MAX, space->n_variables);
    c->order = calloc(ROWS_MAX, sizeof *c->order);
    c->keys = calloc(ROWS_MAX, sizeof *c->keys);
    enum tl_rc rc = c->rows && c->codes && c->order && c->keys
                        ? TL_OK
                        : tl_fail(err, TL_NO_MEMORY, "no memory for %d rows", ROWS_MAX);
    rc = rc ? rc : seen_init(&c->seen, space, err);
    rc = rc ? rc : add_targets(c, err);
    if (rc) {
        release(c);
        return rc;
    }
    *ret = c;
    return TL_OK;
}

/* ---- what is promising --------------------------------------------------------------------------------------- */

static double below(double z) /* the normal distribution function */
{
    return 0.5 * erfc(-z * sqrt(0.5));
}

struct belief {
    double mean[SEARCH_METRICS_MAX], deviation[SEARCH_METRICS_MAX]; /* by target, of marks */
};

static double log_feasible(const struct search_controller *c, const struct belief *belief)
{
    double sum = 0;
    for (size_t i = 0; i < c->spec->n_limits; i++) {
        const size_t t = target_of(c, c->spec->limits[i].metric);
        const double room = (c->bounds[i] - belief->mean[t]) / belief->deviation[t];
        sum += log(fmax(below(c->spec->limits[i].is_min ? -room : room), 1e-30));
    }
    return sum;
}

static double log_improvement(const struct search_controller *c, const struct belief *belief)
{
    const double mean = c->spec->maximize ? belief->mean[0] : -belief->mean[0], deviation = belief->deviation[0];
    const double u = (mean - c->best_mark) / deviation;
    const double expected = deviation * (u * below(u) + exp(-u * u / 2) * 0.3989422804014327);
    return log(fmax(expected, 1e-30));
}

static bool is_larger_better(const struct search_controller *c, size_t front)
{
    return front == 0 ? c->spec->maximize : c->spec->front_max >> c->spec->front[front] & 1;
}

/* Weighted Chebyshev distance from a point that no mark reaches. */
static double chebyshev(const struct search_controller *c, const double *weights, const double *marks)
{
    enum { REACH = 4 }; /* marks of 600 rows lie within it */
    double largest = 0, sum = 0;
    for (size_t i = 0; i < c->spec->n_front; i++) {
        const double mark = marks[target_of(c, c->spec->front[i])];
        const double term = weights[i] * fmax(REACH - (is_larger_better(c, i) ? mark : -mark), 0);
        largest = fmax(largest, term);
        sum += term;
    }
    return largest + BALANCE * sum;
}

static double promise(const struct search_controller *c, const double *weights, const struct belief *belief)
{
    if (!c->spec->front_wanted) {
        return (c->has_feasible ? log_improvement(c, belief) : 0) + log_feasible(c, belief);
    }
    double marks[SEARCH_METRICS_MAX];
    for (size_t i = 0; i < c->spec->n_front; i++) {
        const size_t t = target_of(c, c->spec->front[i]);
        marks[t] = belief->mean[t] + (is_larger_better(c, i) ? OPTIMISM : -OPTIMISM) * belief->deviation[t];
    }
    return log_feasible(c, belief) - chebyshev(c, weights, marks);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

/* Rows, the best first: by the goal, or by the distance that the weights say. */
static void order_rows(struct search_controller *c, const double *weights)
{
    for (size_t i = 0; i < c->n; i++) {
        double key = c->rows[i].score;
        if (c->spec->front_wanted) {
            double marks[SEARCH_METRICS_MAX];
            for (size_t t = 0; t < c->n_targets; t++) {
                marks[t] = c->marks[t][i];
            }
            key = -chebyshev(c, weights, marks);
        }
        c->keys[i] = key;
        size_t place = i;
        for (; place > 0 && goal_better(c->rows[i].violation, key, c->rows[c->order[place - 1]].violation,
                                        c->keys[c->order[place - 1]]);
             place--) {
            c->order[place] = c->order[place - 1];
        }
        c->order[place] = (uint16_t)i;
    }
}

/* One of the best, the better the likelier. */
static const uint8_t *breeder(const struct search_controller *c, struct tl_rng *rng)
{
    const double u = tl_rng_unit(rng), n = (double)(c->n < BREEDERS ? c->n : BREEDERS);
    return c->rows[c->order[(size_t)(u * u * n)]].arch;
}

static void make_candidate(const struct search_controller *c, struct tl_rng *rng, uint8_t *arch)
{
    const uint32_t kind = tl_rng_below(rng, 8); /* half mutants, three in eight crossed, one in eight drawn anew */
    if (kind == 7) {
        space_sample(c->space, rng, arch);
    } else {
        memcpy(arch, breeder(c, rng), c->space->n_variables);
        if (kind >= 4) {
            breed_cross(&c->breed, breeder(c, rng), rng, arch);
        }
        if (kind < 4 || tl_rng_below(rng, 2)) {
            breed_mutate_some(&c->breed, fmin(1.5 / (double)c->breed.n_groups, 1), rng, arch);
        }
    }
    space_canonical(c->space, arch);
}

static bool is_taken(const struct search_controller *c, size_t n_picked, const uint8_t *arch)
{
    bool taken = seen_has(&c->seen, arch);
    for (size_t i = 0; i < n_picked && !taken; i++) {
        taken = memcmp(c->picked[i], arch, c->space->n_variables) == 0;
    }
    return taken;
}

static void draw_weights(const struct search_controller *c, struct tl_rng *rng, double *ret_weights)
{
    double sum = 0;
    for (size_t i = 0; i < c->spec->n_front; i++) {
        ret_weights[i] = -log(1 - tl_rng_unit(rng));
        sum += ret_weights[i];
    }
    for (size_t i = 0; i < c->spec->n_front; i++) {
        ret_weights[i] /= sum;
    }
}

static void pick(struct search_controller *c, size_t slot, struct tl_rng *rng)
{
    double weights[SEARCH_METRICS_MAX], best = -(double)INFINITY;
    uint8_t arch[SPACE_VARIABLES_MAX], code[SPACE_VARIABLES_MAX];
    draw_weights(c, rng, weights);
    if (slot == 0 || c->spec->front_wanted) {
        order_rows(c, weights);
    }
    for (int i = 0; i < CANDIDATES; i++) {
        make_candidate(c, rng, arch);
        if (is_taken(c, slot, arch) && (best > -(double)INFINITY || i + 1 < CANDIDATES)) {
            continue;
        }
        struct belief belief;
        process_code(c->space, arch, code);
        for (size_t t = 0; t < c->n_targets; t++) {
            process_ask(c->process[t], c->codes, code, &belief.mean[t], &belief.deviation[t]);
        }
        const double found = promise(c, weights, &belief);
        if (found > best) {
            best = found;
            memcpy(c->picked[slot], arch, c->space->n_variables);
        }
    }
}

static size_t plan(struct search_controller *c, uint64_t batch)
{
    if (c->n < STARTS) {
        return BATCH;
    }
    struct tl_rng rng;
    tl_rng_init(&rng, c->spec->seed, batch, STREAM_PLAN);
    for (size_t slot = 0; slot < BATCH; slot++) {
        pick(c, slot, &rng);
    }
    return BATCH;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    if (c->n >= STARTS) {
        memcpy(ret_genes, c->picked[slot], c->space->n_variables);
        if (attempt > 0) { /* a cheap limit broke: near it */
            breed_mutate_some(&c->breed, fmin(1.5 / (double)c->breed.n_groups, 1), rng, ret_genes);
        }
        return;
    }
    for (int i = 0; i < TRIES && (i == 0 || seen_has_genes(&c->seen, ret_genes)); i++) {
        space_sample(c->space, rng, ret_genes);
    }
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

/* The score of the share p of a sorted sample: the logistic distribution's, scaled to look like the normal one. */
static double mark_of(double p)
{
    return log(p / (1 - p)) / 1.702;
}

/* A value's place among the marks; between two values by interpolation, beyond the ends a little further out. */
static double mark_bound(const struct search_controller *c, size_t t, double bound)
{
    double under = -(double)INFINITY, above = (double)INFINITY, low = 0, high = 0;
    for (size_t i = 0; i < c->n; i++) {
        const double value = c->rows[i].values[c->targets[t]];
        if (value <= bound && value >= under) {
            under = value;
            low = c->marks[t][i];
        }
        if (value >= bound && value <= above) {
            above = value;
            high = c->marks[t][i];
        }
    }
    if (isinf(under) || isinf(above)) {
        return isinf(under) ? high - 0.5 : low + 0.5;
    }
    return above > under ? low + (high - low) * (bound - under) / (above - under) : low;
}

static void mark_target(struct search_controller *c, size_t t)
{
    const uint8_t metric = c->targets[t];
    for (size_t i = 0; i < c->n; i++) {
        const double value = c->rows[i].values[metric];
        size_t n_below = 0, n_equal = 0;
        for (size_t j = 0; j < c->n; j++) {
            n_below += c->rows[j].values[metric] < value;
            n_equal += c->rows[j].values[metric] == value;
        }
        c->marks[t][i] = mark_of(((double)n_below + (double)n_equal / 2) / (double)c->n);
    }
}

static void learn(struct search_controller *c)
{
    const bool tunes = c->n >= 2 * c->n_tuned;
    for (size_t t = 0; t < c->n_targets; t++) {
        mark_target(c, t);
        if (tunes) {
            process_tune(c->process[t], c->codes, c->marks[t], c->n);
        }
        process_learn(c->process[t], c->codes, c->marks[t], c->n);
    }
    c->n_tuned = tunes ? c->n : c->n_tuned;
    for (size_t i = 0; i < c->spec->n_limits; i++) {
        c->bounds[i] = mark_bound(c, target_of(c, c->spec->limits[i].metric), c->spec->limits[i].bound);
    }
    c->has_feasible = false;
    for (size_t i = 0; i < c->n; i++) {
        const double mark = c->spec->maximize ? c->marks[0][i] : -c->marks[0][i];
        if (c->rows[i].violation == 0) {
            c->best_mark = c->has_feasible ? fmax(c->best_mark, mark) : mark;
            c->has_feasible = true;
        }
    }
}

/* Keep the better half, in the order in which it came. */
static void forget_half(struct search_controller *c)
{
    const size_t width = c->space->n_variables;
    size_t n = 0;
    double weights[SEARCH_METRICS_MAX];
    for (size_t i = 0; i < SEARCH_METRICS_MAX; i++) {
        weights[i] = 1;
    }
    order_rows(c, weights);
    for (size_t i = 0; i < c->n / 2; i++) {
        c->keys[c->order[i]] = (double)INFINITY; /* stays */
    }
    for (size_t i = 0; i < c->n; i++) {
        if (isinf(c->keys[i])) {
            c->rows[n] = c->rows[i];
            memmove(c->codes + n * width, c->codes + i * width, width);
            n++;
        }
    }
    c->n = n;
    for (size_t t = 0; t < c->n_targets; t++) {
        process_forget(c->process[t]);
    }
}

static void add_row(struct search_controller *c, const struct search_batch *batch, size_t i)
{
    struct row *row = &c->rows[c->n];
    memcpy(row->arch, batch->archs + i * c->space->n_variables, c->space->n_variables);
    memcpy(row->values, batch->values + i * SEARCH_METRICS_MAX, sizeof row->values);
    row->score = batch->score[i];
    row->violation = batch->violation[i];
    process_code(c->space, row->arch, c->codes + c->n * c->space->n_variables);
    c->n++;
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        if (!seen_add(&c->seen, batch->archs + i * c->space->n_variables) ||
            !(batch->violation[i] < (double)INFINITY)) {
            continue;
        }
        if (c->n == ROWS_MAX) {
            forget_half(c);
        }
        add_row(c, batch, i);
    }
    if (c->n >= STARTS) {
        learn(c);
    }
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save_row(const struct search_controller *c, const struct row *row, struct tl_buf *buf,
                           struct tl_err *err)
{
    enum tl_rc rc = tl_buf_add(buf, row->arch, c->space->n_variables, err);
    for (size_t t = 0; !rc && t < c->n_targets; t++) {
        rc = tl_buf_put_f64(buf, row->values[c->targets[t]], err);
    }
    rc = rc ? rc : tl_buf_put_f64(buf, row->score, err);
    return rc ? rc : tl_buf_put_f64(buf, row->violation, err);
}

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)c->n, err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)c->n_tuned, err);
    for (size_t i = 0; !rc && i < c->n; i++) {
        rc = save_row(c, &c->rows[i], buf, err);
    }
    for (size_t t = 0; !rc && t < c->n_targets; t++) {
        rc = process_save(c->process[t], buf, err);
    }
    return rc ? rc : seen_save(&c->seen, buf, err);
}

static bool load_row(struct search_controller *c, struct tl_cursor *state)
{
    const size_t width = c->space->n_variables;
    struct row *row = &c->rows[c->n];
    const uint8_t *arch = tl_cursor_bytes(state, width);
    bool good = !state->failed && space_valid(c->space, arch);
    for (size_t t = 0; t < c->n_targets; t++) {
        row->values[c->targets[t]] = tl_cursor_f64(state);
        good = good && isfinite(row->values[c->targets[t]]);
    }
    row->score = tl_cursor_f64(state);
    row->violation = tl_cursor_f64(state);
    if (!good || state->failed || !isfinite(row->score) || !(row->violation >= 0 && isfinite(row->violation))) {
        return false;
    }
    memcpy(row->arch, arch, width);
    space_canonical(c->space, row->arch);
    process_code(c->space, row->arch, c->codes + c->n * width);
    c->n++;
    return true;
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    const size_t n = tl_cursor_u32(state);
    c->n_tuned = tl_cursor_u32(state);
    bool good = !state->failed && n <= ROWS_MAX && c->n_tuned >= TUNE_FIRST / 2 && c->n_tuned <= ROWS_MAX;
    for (size_t i = 0; good && i < n; i++) {
        good = load_row(c, state);
    }
    for (size_t t = 0; good && t < c->n_targets; t++) {
        good = process_load(c->process[t], state);
    }
    if (!good || !seen_load(&c->seen, state)) {
        return tl_fail(err, TL_MALFORMED, "the rows in the state of a model-based search cannot be read");
    }
    if (c->n >= STARTS) {
        const size_t n_tuned = c->n_tuned;
        c->n_tuned = ROWS_MAX; /* they are tuned already */
        learn(c);
        c->n_tuned = n_tuned;
    }
    return TL_OK;
}

const struct search_controller_ops controller_model = {
    .name = "model",
    .help = "a Gaussian process says what to evaluate next: for evaluations that take seconds",
    .batch = BATCH,
    .rejects = true,
    .make = make,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save,
    .load = load,
};
