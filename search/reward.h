/* reward.h - one number a candidate, for controllers that learn from a reward: the objective weighed against the limits.
 *
 * The published rewards presuppose a quality near 1 whose trade with the cost is known: MnasNet set its exponent after
 * seeing that twice the latency buys 5 % of relative accuracy, 0.07 of quality for each unit of ln(latency), and TuNAS' 0.10
 * lies just above. Objectives here have any unit and sign, so quality is what moving statistics make of the score:
 *
 *     quality = 1 + 0.07 * spread * z     z = (score - mean) / deviation, within -10..10
 *     spread  = square root of the sum of the variances of the ratios, at most 1; 1 where nothing is limited
 *
 * One deviation of the score thus trades for one deviation of the limited values as in the papers, whatever the units; the
 * most that they can trade is taken, so limits weigh rather more than less. The statistics follow the candidates because the
 * trade does: with scales frozen after seven batches reinforce settles beyond a limit that is tight (at a cost of 15.7 instead
 * of 10 in the flat world of the tests, of 27 instead of 15 in that of once-for-all's space).
 *
 * As in the papers the weight of a limit is a choice, not a promise: what is reported as feasible is judged by goal.h, never
 * by a reward. absolute, hard and quadratic turn at the bound and learn to hold it. soft and power know no bound, only its
 * unit: they trade at one rate everywhere, and unless the front bends just there they end far on either side.
 *
 * ratio_j = 1 + excess_j: value over bound for an upper bound above 0, its mirror image 2 - value/bound for a lower one.
 * Where a bound is 0 excesses are measured in their deviation. With r_j the ratio, in powers at least 1/16:
 *
 *     absolute   quality - 0.10 * sum of |r_j - 1|                   Bender et al. 2020 (TuNAS)
 *     soft       quality * product of r_j^-0.07                      Tan et al. 2019 (MnasNet)
 *     hard       quality * product of min(1, 1/r_j)                  the same
 *     power      quality * product of (1/r_j)^0.1                    Cai et al. 2019 (ProxylessNAS)
 *     quadratic  quality * product of (1 - beyond_j / worst_j)^2     Zhang et al. 2021 (YOCO-BERT)
 *
 * beyond_j is the excess where it is above 0, worst_j the largest one that this run has met: YOCO-BERT's cost of its
 * largest network, which a search here does not know.
 *
 * Threads: none of its own.
 */
#ifndef TAILOR_SEARCH_REWARD_H
#define TAILOR_SEARCH_REWARD_H

#include "search/search.h"

/* Mean and variance over batches, each batch before weighing 0.95 of the next one; never biased towards where it began. */
struct moving {
    double weight; /* 0: nothing yet */
    double mean;
    double square; /* weighted sum of the squared distances to the mean */
};

/* Numbers beyond +-1e100 are taken for that. n may be 0. */
void moving_add(struct moving *moving, const double *values, size_t n);
double moving_deviation(const struct moving *moving);

struct reward {
    const struct search_spec *spec; /* borrowed */
    enum search_reward kind;        /* not the default */
    struct moving score;
    struct moving excess[SEARCH_LIMITS_MAX];
    double worst[SEARCH_LIMITS_MAX]; /* the largest excess so far; 0: none was beyond */
    struct moving rewards;           /* the baseline */
};

/* `otherwise`: what the default stands for. */
void reward_init(struct reward *reward, const struct search_spec *spec, enum search_reward otherwise);

/* Learn the scales of a batch, value it, and say how far above the baseline each candidate is: reward minus moving mean, in
 * moving deviations; 0 for all while they do not differ. Candidates that could not be valued count as the least of their
 * batch. False: none could be valued; ret_advantages is not written and nothing has changed. */
TL_MUST_CHECK bool reward_learn(struct reward *reward, const struct search_batch *batch, double *ret_advantages);

/* The reward of one candidate that could be valued, by the scales as they are. */
double reward_of(const struct reward *reward, double score, const double *values);

/* The formulas. ratio: value over bound; share: of the worst excess, 0..1. */
struct reward_term {
    double ratio, share;
};
double reward_formula(enum search_reward kind, double quality, const struct reward_term *terms, size_t n_terms);

TL_MUST_CHECK enum tl_rc reward_save(const struct reward *reward, struct tl_buf *buf, struct tl_err *err);
/* False: the bytes cannot be the scales of a reward. They may then be half read. */
TL_MUST_CHECK bool reward_load(struct reward *reward, struct tl_cursor *state);

#endif
