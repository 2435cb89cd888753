/* goal.c - limits are judged by relative excess, so that limits in unlike units weigh alike (constraint domination as in
 * Deb 2000, "An efficient constraint handling method for genetic algorithms"). */
#include "search/goal.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- checks -------------------------------------------------------------------------------------------------- */

static enum tl_rc check_limits(const struct search_spec *spec, size_t n_metrics, struct tl_err *err)
{
    if (spec->n_limits > SEARCH_LIMITS_MAX) {
        return tl_fail(err, TL_INVALID, "%zu limits; at most %d are possible", spec->n_limits, SEARCH_LIMITS_MAX);
    }
    for (size_t i = 0; i < spec->n_limits; i++) {
        if (spec->limits[i].metric >= n_metrics || !isfinite(spec->limits[i].bound)) {
            return tl_fail(err, TL_INVALID, "limit %zu must bound one of %zu metrics by a finite value", i, n_metrics);
        }
    }
    return TL_OK;
}

static enum tl_rc check_front(const struct search_spec *spec, size_t n_metrics, struct tl_err *err)
{
    uint32_t seen = 0;
    if (spec->n_front < 1 || spec->n_front > SEARCH_METRICS_MAX || spec->front[0] != spec->objective) {
        return tl_fail(err, TL_INVALID, "a front spans 1 to %d metrics, the objective first", SEARCH_METRICS_MAX);
    }
    for (size_t i = 0; i < spec->n_front; i++) {
        if (spec->front[i] >= n_metrics || seen >> spec->front[i] & 1) {
            return tl_fail(err, TL_INVALID, "front metric %zu is unknown or there twice", i);
        }
        seen |= 1U << spec->front[i];
    }
    return TL_OK;
}

static enum tl_rc check_reward(const struct search_spec *spec, struct tl_err *err)
{
    if (spec->reward != SEARCH_REWARD_DEFAULT && !search_reward_name(spec->reward)) {
        return tl_fail(err, TL_INVALID, "there is no reward %d", (int)spec->reward);
    }
    if (spec->reward != SEARCH_REWARD_DEFAULT && !search_controller_get(spec->controller)->rewards) {
        return tl_fail(err, TL_INVALID, "the controller %s takes no reward", spec->controller);
    }
    return TL_OK;
}

static enum tl_rc check_controller(const char *name, struct tl_err *err)
{
    const char *names[16];
    size_t n = search_controller_count() < TL_COUNT_OF(names) ? search_controller_count() : TL_COUNT_OF(names);
    if (search_controller_get(name)) {
        return TL_OK;
    }
    for (size_t i = 0; i < n; i++) {
        names[i] = search_controller_at(i)->name;
    }
    const char *near = tl_nearest(name, names, n);
    return tl_fail(err, TL_INVALID, "no controller is named \"%s\"%s%s%s", name, near ? "; did you mean " : "",
                   near ? near : "", near ? "?" : "");
}

enum tl_rc goal_check(const struct search_spec *spec, const struct search_evaluator *evaluator, struct tl_err *err)
{
    size_t n_metrics = evaluator->n_metrics;
    if (n_metrics < 1 || n_metrics > SEARCH_METRICS_MAX || evaluator->n_cheap > n_metrics) {
        return tl_fail(err, TL_INVALID, "an evaluator has 1 to %d metrics", SEARCH_METRICS_MAX);
    }
    if (spec->budget_evaluations < 1 || spec->budget_evaluations > SEARCH_EVALUATIONS_MAX) {
        return tl_fail(err, TL_INVALID, "a budget has 1 to %d evaluations", SEARCH_EVALUATIONS_MAX);
    }
    if (!(spec->budget_seconds >= 0 && isfinite(spec->budget_seconds))) {
        return tl_fail(err, TL_INVALID, "seconds of a budget must be finite and not below 0");
    }
    if (spec->sample_size > SEARCH_SAMPLE_MAX) {
        return tl_fail(err, TL_INVALID, "a sample has at most %d candidates", SEARCH_SAMPLE_MAX);
    }
    if (!memchr(spec->controller, '\0', sizeof spec->controller)) {
        return tl_fail(err, TL_INVALID, "the controller's name does not end");
    }
    enum tl_rc rc = check_limits(spec, n_metrics, err);
    rc = rc ? rc : check_front(spec, n_metrics, err);
    rc = rc ? rc : check_controller(spec->controller, err);
    return rc ? rc : check_reward(spec, err);
}

/* ---- values -------------------------------------------------------------------------------------------------- */

double goal_excess(const struct search_limit *limit, double value)
{
    double beyond = limit->is_min ? limit->bound - value : value - limit->bound;
    return limit->bound != 0 ? beyond / fabs(limit->bound) : beyond;
}

double goal_violation_below(const struct search_spec *spec, const double *values, size_t end)
{
    double sum = 0;
    for (size_t i = 0; i < spec->n_limits; i++) {
        const struct search_limit *limit = &spec->limits[i];
        if (limit->metric >= end) {
            continue;
        }
        if (!isfinite(values[limit->metric])) {
            return (double)INFINITY;
        }
        sum += fmax(goal_excess(limit, values[limit->metric]), 0);
    }
    return fmin(sum, DBL_MAX); /* INFINITY is kept for what has no value */
}

double goal_violation(const struct search_spec *spec, const double *values)
{
    for (size_t i = 0; i < spec->n_front; i++) { /* the objective is the first of them */
        if (!isfinite(values[spec->front[i]])) {
            return (double)INFINITY;
        }
    }
    return goal_violation_below(spec, values, SEARCH_METRICS_MAX);
}

double goal_score(const struct search_spec *spec, const double *values)
{
    double value = values[spec->objective];
    return spec->maximize ? value : -value;
}

void goal_costs(const struct search_spec *spec, const double *values, double *ret_costs)
{
    ret_costs[0] = -goal_score(spec, values);
    for (size_t i = 1; i < spec->n_front; i++) {
        double value = values[spec->front[i]];
        ret_costs[i] = spec->front_max >> spec->front[i] & 1 ? -value : value;
    }
}
