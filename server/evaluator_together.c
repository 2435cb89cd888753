/* evaluator_together.c - limits that can be held one by one, but not together.
 *
 * Of costs it can be proved. With g_j(a) how far architecture a is beyond limit j, all limits hold where every g_j <= 0; if
 * for some weights w_j >= 0 the least of sum_j w_j g_j(a) over all architectures is above 0, no architecture holds them all
 * (weak Lagrangian duality: Geoffrion 1974). The sum is separable, so its least value is exact (tables_least). Weights are
 * looked for by Frank and Wolfe's method on the distance from the convex hull of all g to where the limits hold (Gilbert
 * 1966): each step asks for the architecture that is least in the direction of what is left. Resolutions are looked at one by
 * one. Where the hull reaches the limits but no architecture does, nothing is proved: never is refused what can be met.
 *
 * What a limit can be at best where the others hold is found by halving: the last bound that is still proved impossible.
 * Where nothing is proved, short searches tell what they found. Rows of a table are looked through.
 */
#include "server/evaluator_table.h"
#include "server/evaluator_tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS = 30,          /* proofs that are found take less than ten, except at the very edge */
    HALVINGS = 40,       /* of a step */
    BOUND_HALVINGS = 12, /* of a metric's range */
    REACH_EVALUATIONS = 3000
};

static const double ROUNDING = 1e-9; /* relative; sums of some thirty cells are off by less than 1e-14 */

/* ---- the proof ----------------------------------------------------------------------------------------------- */

/* A limit as sign * (value - bound) / scale <= 0, its bound moved by what the metric's interval leaves open. */
struct beyond {
    enum metric metric;
    double sign, bound, scale;
};

struct proof {
    const struct evaluator *e; /* borrowed */
    size_t n;
    struct beyond limits[SEARCH_LIMITS_MAX];
    double memory_max;
    bool predicted; /* latencies as predicted, whatever their interval */
};

/* Are the column's values in the evaluator's own cells? Those of accuracy and of the latencies of further devices are not. */
static bool summed(size_t column)
{
    return column <= METRIC_LATENCY_MS;
}

static void proof_add(struct proof *p, const struct search_limit *limit)
{
    const enum metric metric = column_metric(&p->e->devices, limit->metric);
    const bool interval = metric == METRIC_LATENCY_MS && !p->predicted && p->e->latency_half_width > 0;
    const double open = interval ? p->e->latency_half_width : 0;
    const double scale = metric == METRIC_LATENCY_MS ? p->e->latency_scale : 1;
    const double bound = limit->bound / scale / (limit->is_min ? 1 + open : 1 - open);

    if (metric == METRIC_PEAK_MEMORY_BYTES && !limit->is_min) {
        p->memory_max = fmin(p->memory_max, bound);
    }
    if (!summed(limit->metric) || metric == METRIC_PEAK_MEMORY_BYTES || open >= 1 ||
        !evaluator_has(p->e, limit->metric)) {
        return; /* nothing of it is used, so less is proved */
    }
    p->limits[p->n++] = (struct beyond){metric, limit->is_min ? -1 : 1, bound, fmax(fabs(bound), 1e-9)};
}

/* How far an architecture whose weighted sum is least is beyond each limit; false: none is allowed. */
static bool farthest(const struct proof *p, size_t resolution, const double *weights, double *ret_beyond)
{
    struct weighing weighing = {.memory_max = p->memory_max};
    struct cell least;

    for (size_t j = 0; j < p->n; j++) {
        weighing.weights[p->limits[j].metric] += weights[j] * p->limits[j].sign / p->limits[j].scale;
    }
    if (!tables_least(p->e, resolution, &weighing, &least)) {
        return false;
    }
    for (size_t j = 0; j < p->n; j++) {
        const struct beyond *limit = &p->limits[j];
        ret_beyond[j] = limit->sign * (cell_metric(&least, limit->metric) - limit->bound) / limit->scale;
    }
    return true;
}

/* From `at` towards `to`, to where the distance to all limits is least: its square is convex along the way. */
static void approach(double *at, const double *to, size_t n)
{
    double low = 0, high = 1;

    for (int i = 0; i < HALVINGS; i++) {
        const double t = (low + high) / 2;
        double slope = 0;
        for (size_t j = 0; j < n; j++) {
            slope += fmax(at[j] + t * (to[j] - at[j]), 0) * (to[j] - at[j]);
        }
        *(slope < 0 ? &low : &high) = t;
    }
    for (size_t j = 0; j < n; j++) {
        at[j] += high * (to[j] - at[j]);
    }
}

static bool impossible_at(const struct proof *p, size_t resolution)
{
    double weights[SEARCH_LIMITS_MAX], at[SEARCH_LIMITS_MAX], next[SEARCH_LIMITS_MAX];

    for (size_t j = 0; j < p->n; j++) {
        weights[j] = 1;
    }
    if (!farthest(p, resolution, weights, at)) {
        return true;
    }
    for (int step = 0; step < STEPS; step++) {
        double sum = 0, least = 0, beyond = -HUGE_VAL;
        for (size_t j = 0; j < p->n; j++) {
            weights[j] = fmax(at[j], 0);
            sum += weights[j];
        }
        if (sum < ROUNDING || !farthest(p, resolution, weights, next)) {
            return false;
        }
        for (size_t j = 0; j < p->n; j++) {
            least += weights[j] * next[j];
            beyond = fmax(beyond, next[j]);
        }
        if (least > ROUNDING * sum || beyond <= 0) {
            return beyond > 0;
        }
        approach(at, next, p->n);
    }
    return false;
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

static bool holds(const struct search_limit *limit, double value)
{
    return limit->is_min ? value >= limit->bound : value <= limit->bound; /* NAN holds nothing */
}

static double row_value(const struct evaluator *e, uint8_t at, size_t row)
{
    const int column = e->rows_column[at];
    return column < 0 ? (double)NAN : value_table_value(e->rows, (size_t)column, row);
}

/* Does a row hold all limits but one (SIZE_MAX: all)? */
static bool row_holds(const struct evaluator *e, size_t row, const struct search_limit *limits, size_t n, size_t but)
{
    size_t j = 0;

    while (j < n && (j == but || holds(&limits[j], row_value(e, limits[j].metric, row)))) {
        j++;
    }
    return j == n;
}

static double rows_reach(const struct evaluator *e, const struct search_limit *limits, size_t n, size_t which)
{
    double best = (double)NAN;

    for (size_t row = 0; row < value_table_rows(e->rows); row++) {
        if (row_holds(e, row, limits, n, which)) {
            const double value = row_value(e, limits[which].metric, row);
            best = limits[which].is_min ? fmax(best, value) : fmin(best, value); /* of a number and NAN the number */
        }
    }
    return best;
}

static bool rows_impossible(const struct evaluator *e, const struct search_limit *limits, size_t n)
{
    size_t row = 0;

    while (row < value_table_rows(e->rows) && !row_holds(e, row, limits, n, SIZE_MAX)) {
        row++;
    }
    return row == value_table_rows(e->rows);
}

static bool tables_impossible(const struct evaluator *e, const struct search_limit *limits, size_t n, bool predicted)
{
    struct proof proof = {.e = e, .memory_max = HUGE_VAL, .predicted = predicted};
    size_t r = 0;

    for (size_t j = 0; j < n; j++) {
        proof_add(&proof, &limits[j]);
    }
    while (r < e->narrowed.n_resolutions && impossible_at(&proof, r)) {
        r++;
    }
    return r == e->narrowed.n_resolutions;
}

bool evaluator_impossible(const struct evaluator *e, const struct search_limit *limits, size_t n)
{
    return e->rows ? rows_impossible(e, limits, n) : tables_impossible(e, limits, n, false);
}

/* ---- what is within reach ------------------------------------------------------------------------------------ */

/* The last bound of one limit, from where it stands to the end of its metric's range, that is proved impossible with the
 * others; NAN: even the end is. */
static double proved_reach(const struct evaluator *e, const struct search_limit *limits, size_t n, size_t which)
{
    struct search_limit moved[SEARCH_LIMITS_MAX];
    double impossible = limits[which].bound;
    double open = tables_extreme(e, (enum metric)limits[which].metric, !limits[which].is_min);

    memcpy(moved, limits, n * sizeof *limits);
    moved[which].bound = open;
    if (tables_impossible(e, moved, n, true)) {
        return (double)NAN;
    }
    for (int i = 0; i < BOUND_HALVINGS; i++) {
        moved[which].bound = (impossible + open) / 2;
        *(tables_impossible(e, moved, n, true) ? &impossible : &open) = moved[which].bound;
    }
    return impossible;
}

/* A short search for the best of one limit's metric where the others hold. None is taken for cheap: where hardly anything is
 * feasible, proposals are not made again and again but approach it. */
static enum tl_rc searched_reach(struct evaluator *e, const struct search_limit *limits, size_t n, size_t which,
                                 double *ret_reach, struct tl_err *err)
{
    struct search_evaluator table = *evaluator_table(e);
    struct search_spec spec = {.objective = limits[which].metric,
                               .maximize = limits[which].is_min,
                               .n_front = 1,
                               .front = {limits[which].metric},
                               .controller = "evolution",
                               .seed = 1,
                               .budget_evaluations = REACH_EVALUATIONS};
    struct search_run *run = NULL;
    struct search_candidate best;
    bool done = false;
    enum tl_rc rc;

    table.n_cheap = 0;
    table.n_metrics = e->accuracy_at;
    for (size_t j = 0; j < n; j++) {
        table.n_metrics =
            limits[j].metric == e->accuracy_at ? e->accuracy_at + 1 : table.n_metrics; /* dear: only if needed */
        if (j != which) {
            spec.limits[spec.n_limits++] = limits[j];
        }
    }
    rc = search_run_new(&e->space, &table, &spec, NULL, &run, err);
    rc = rc ? rc : search_run_step(run, UINT64_MAX, &done, err);
    if (!rc) {
        *ret_reach = search_run_best(run, &best) ? best.values[limits[which].metric] : (double)NAN;
    }
    search_run_free(run);
    return rc;
}

enum tl_rc evaluator_reach(struct evaluator *e, const struct search_limit *limits, size_t n,
                           struct limit_reach *ret_reach, struct tl_err *err)
{
    bool proves = e->rows || tables_impossible(e, limits, n, true);
    enum tl_rc rc = TL_OK;

    for (size_t j = 0; j < n; j++) {
        proves = proves && (e->rows || summed(limits[j].metric));
    }
    for (size_t j = 0; j < n && !rc; j++) {
        ret_reach[j] = (struct limit_reach){limits[j], (double)NAN, proves};
        if (e->rows) {
            ret_reach[j].value = rows_reach(e, limits, n, j);
        } else if (proves) {
            ret_reach[j].value = proved_reach(e, limits, n, j);
        } else {
            rc = searched_reach(e, limits, n, j, &ret_reach[j].value, err);
        }
    }
    return rc;
}
