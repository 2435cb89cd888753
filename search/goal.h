/* goal.h - what a search wants, applied to values: is a limit violated, which is better, which dominates.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_SEARCH_GOAL_H
#define TAILOR_SEARCH_GOAL_H

#include "search/search.h"

/* TL_INVALID: the spec contradicts itself or the evaluator. */
TL_MUST_CHECK enum tl_rc goal_check(const struct search_spec *spec, const struct search_evaluator *evaluator,
                                    struct tl_err *err);

/* How far `value` is beyond the bound, in bounds (in units where the bound is 0); not above 0: the limit holds. */
double goal_excess(const struct search_limit *limit, double value);

/* Sum of the relative excesses over the limits on metrics below `end`; INFINITY where one of these has no finite value. */
double goal_violation_below(const struct search_spec *spec, const double *values, size_t end);

/* The same over all limits; INFINITY also where the objective or a metric of the front has no finite value. */
double goal_violation(const struct search_spec *spec, const double *values);

/* The objective, so that larger is better. */
double goal_score(const struct search_spec *spec, const double *values);

/* The front metrics, so that smaller is better; ret_costs[0..n_front-1]. */
void goal_costs(const struct search_spec *spec, const double *values, double *ret_costs);

/* Is (violation, score) strictly better than the other pair? Feasible first, then less violation, then score. */
static inline bool goal_better(double violation, double score, double other_violation, double other_score)
{
    return violation < other_violation || (violation == other_violation && score > other_score);
}

#endif
