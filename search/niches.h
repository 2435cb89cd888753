/* niches.h - which members of a front are kept so that all of it stays populated: the niches of NSGA-III.
 *
 * Deb and Jain 2014, "An evolutionary many-objective optimization algorithm using reference-point-based nondominated sorting
 * approach, part I": reference points lie evenly on the plane of costs that sum to 1 (Das and Dennis 1998), with a second
 * layer at half size where the first has no point inside; costs are normalised by the least seen and by the intercepts of the
 * plane through the extreme members; each member belongs to the point whose line from the origin is nearest. Members of
 * the emptiest niches are kept.
 *
 * Threads: a struct belongs to one.
 */
#ifndef TAILOR_SEARCH_NICHES_H
#define TAILOR_SEARCH_NICHES_H

#include "search/search.h"

enum { NICHES_MAX = 100, NICHE_MEMBERS_MAX = 256 };

struct niches {
    size_t n_costs, n_points;
    double points[NICHES_MAX][SEARCH_METRICS_MAX]; /* not negative; each sums to 1 */
    double ideal[SEARCH_METRICS_MAX];              /* least cost of any feasible member seen; INFINITY: none yet */
};

/* n_costs: 1 to SEARCH_METRICS_MAX. As many points as are at most NICHES_MAX. */
void niches_init(struct niches *niches, size_t n_costs);
/* A feasible member was seen. */
void niches_see(struct niches *niches, const double *costs);
/* Of members 0..n-1 (at most NICHE_MEMBERS_MAX, all seen), the first n_sure are kept; choose n_more of the others.
 * ret_chosen[0..n_more-1]: their numbers, each once. */
void niches_choose(const struct niches *niches, const double *const *costs, size_t n, size_t n_sure, size_t n_more,
                   struct tl_rng *rng, uint16_t *ret_chosen);

#endif
