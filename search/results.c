/* results.c - see results.h. A state holds rows as they lie on the shelves; whatever can be recomputed is recomputed. */
#include "search/results.h"

#include "search/goal.h"

#include <math.h>
#include <string.h>

enum tl_rc results_init(struct results *results, const struct search_spec *spec, const struct space *space,
                        size_t n_metrics, struct tl_err *err)
{
    *results = (struct results){.spec = spec};
    enum tl_rc rc = shelf_init(&results->top, space, n_metrics, 1, err);
    rc = rc ? rc : shelf_init(&results->sample, space, n_metrics, spec->sample_size, err);
    rc = rc ? rc : front_init(&results->front, spec, space, n_metrics, SEARCH_FRONT_MAX, err);
    if (rc) {
        results_done(results);
    }
    return rc;
}

void results_done(struct results *results)
{
    shelf_done(&results->top);
    shelf_done(&results->sample);
    front_done(&results->front);
}

/* ---- history ------------------------------------------------------------------------------------------------- */

static uint64_t point_after(uint64_t evaluations)
{
    uint64_t step = evaluations / 10;
    return evaluations + (step ? step : 1);
}

static uint64_t point_due(const struct results *results)
{
    return results->n_points ? point_after(results->points[results->n_points - 1].evaluations) : 1;
}

static double best_value(const struct results *results)
{
    struct search_candidate top;
    if (results->n_valued == 0 || results->top_violation > 0) {
        return (double)NAN;
    }
    shelf_get(&results->top, 0, &top);
    return top.values[results->spec->objective];
}

static void history_add(struct results *results)
{
    struct search_point now = {.evaluations = results->n_evaluated, .best = best_value(results)};
    results->points[results->n_points] = now;
    results->n_points += now.evaluations == point_due(results);
}

size_t results_history(const struct results *results, const struct search_point **ret_points)
{
    *ret_points = results->points;
    bool at_point =
        results->n_points == 0 || results->points[results->n_points - 1].evaluations == results->n_evaluated;
    return results->n_points + !at_point;
}

/* ---- adding -------------------------------------------------------------------------------------------------- */

size_t results_sample_count(const struct results *results)
{
    size_t size = results->spec->sample_size;
    return results->n_valued < size ? (size_t)results->n_valued : size;
}

static void sample_add(struct results *results, const double *values, const uint8_t *arch, struct tl_rng *rng)
{
    uint32_t size = results->spec->sample_size;
    uint32_t place = (uint32_t)results->n_valued; /* at most SEARCH_EVALUATIONS_MAX */
    if (place >= size) {
        place = tl_rng_below(rng, place + 1);
    }
    if (place < size) {
        shelf_put(&results->sample, place, results->n_evaluated, values, arch);
    }
}

void results_add(struct results *results, const double *values, const uint8_t *arch, double violation, double score,
                 struct tl_rng *rng)
{
    if (violation < (double)INFINITY) {
        if (results->n_valued == 0 || goal_better(violation, score, results->top_violation, results->top_score)) {
            shelf_put(&results->top, 0, results->n_evaluated, values, arch);
            results->top_violation = violation;
            results->top_score = score;
        }
        if (violation == 0) {
            (void)front_offer(&results->front, results->n_evaluated, values, arch);
        }
        sample_add(results, values, arch, rng);
        results->n_valued++;
    }
    results->n_evaluated++;
    history_add(results);
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save_history(const struct results *results, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; !rc && i < results->n_points; i++) {
        rc = tl_buf_put_f64(buf, results->points[i].best, err);
    }
    return rc;
}

static enum tl_rc save_front(const struct front *front, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)front->n, err);
    for (size_t i = 0; !rc && i < front->n; i++) {
        rc = shelf_save(&front->members, front->entries[i].slot, buf, err);
    }
    return rc;
}

enum tl_rc results_save(const struct results *results, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u64(buf, results->n_evaluated, err);
    rc = rc ? rc : tl_buf_put_u64(buf, results->n_valued, err);
    if (!rc && results->n_valued > 0) {
        rc = shelf_save(&results->top, 0, buf, err);
    }
    for (size_t i = 0; !rc && i < results_sample_count(results); i++) {
        rc = shelf_save(&results->sample, i, buf, err);
    }
    rc = rc ? rc : save_front(&results->front, buf, err);
    return rc ? rc : save_history(results, buf, err);
}

/* A row of the state, valued by the goal. */
static bool load_row(struct results *results, struct shelf *shelf, size_t index, struct tl_cursor *state,
                     struct search_candidate *ret_row)
{
    if (!shelf_load(shelf, index, results->n_evaluated, state)) {
        return false;
    }
    shelf_get(shelf, index, ret_row);
    ret_row->violation = goal_violation(results->spec, ret_row->values);
    return ret_row->violation < (double)INFINITY;
}

static bool load_top_and_sample(struct results *results, struct tl_cursor *state)
{
    struct search_candidate row;
    if (results->n_valued > 0) {
        if (!load_row(results, &results->top, 0, state, &row)) {
            return false;
        }
        results->top_violation = row.violation;
        results->top_score = goal_score(results->spec, row.values);
    }
    for (size_t i = 0; i < results_sample_count(results); i++) {
        if (!load_row(results, &results->sample, i, state, &row)) {
            return false;
        }
    }
    return true;
}

/* Members are offered again in their order: each must enter and drive none out. */
static bool load_front(struct results *results, struct tl_cursor *state)
{
    struct front *front = &results->front;
    struct search_candidate row;
    uint8_t arch[SPACE_VARIABLES_MAX];
    uint32_t n = tl_cursor_u32(state);
    if (n >= front->capacity) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t unused = front->free_slots[i];
        if (!load_row(results, &front->members, unused, state, &row) || row.violation > 0) {
            return false;
        }
        memcpy(arch, row.arch, front->members.space->n_variables);
        if (!front_offer(front, row.number, row.values, arch) || front->n != i + 1) {
            return false;
        }
    }
    bool any_feasible = results->n_valued > 0 && results->top_violation == 0;
    return (n > 0) == any_feasible;
}

static bool load_history(struct results *results, struct tl_cursor *state)
{
    while (point_due(results) <= results->n_evaluated) {
        struct search_point point = {.evaluations = point_due(results), .best = tl_cursor_f64(state)};
        if (state->failed || isinf(point.best)) {
            return false;
        }
        results->points[results->n_points++] = point;
    }
    results->points[results->n_points] =
        (struct search_point){.evaluations = results->n_evaluated, .best = best_value(results)};
    return true;
}

bool results_load(struct results *results, struct tl_cursor *state)
{
    results->n_evaluated = tl_cursor_u64(state);
    results->n_valued = tl_cursor_u64(state);
    return results->n_evaluated <= SEARCH_EVALUATIONS_MAX && results->n_valued <= results->n_evaluated &&
           load_top_and_sample(results, state) && load_front(results, state) && load_history(results, state);
}
