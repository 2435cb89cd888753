/* process.h - a Gaussian process over architectures: what is likely to come of one, and how unsure that is, after a few
 * hundred evaluations.
 *
 * With d(a, b) the sum of the weights of the variables in which a and b differ (other options, or active in one alone),
 *
 *     k(a, b) = share (1 - d / sum of all weights) + (1 - share) exp(-d)  + noise [a is b]
 *
 * a linear part, in which every option has its effect, and one in which what is alike is alike. Weights, share and noise
 * are those under which the outcomes are likeliest (process_tune). Outcomes should have mean 0 and variance about 1.
 *
 * Rows are codes of architectures: process_code. Adding a row costs n^2, asking n^2 / 2 multiplications; nothing is
 * allocated but in process_new.
 *
 * Threads: none of its own; asking is const but for the caller's scratch.
 */
#ifndef TAILOR_SEARCH_PROCESS_H
#define TAILOR_SEARCH_PROCESS_H

#include "search/space.h"

struct process {
    const struct space *space; /* borrowed */
    size_t max, n;             /* rows that there may be, and that are in the factor */
    double weight[SPACE_VARIABLES_MAX], weight_sum;
    double share, noise;
    double *factor;   /* owned, (max, max): Cholesky's, its lower half */
    double *solved;   /* owned, (max): K^-1 y */
    double *scratch;  /* owned, (max) */
    double *distance; /* owned, (PROCESS_TUNED_MAX, PROCESS_TUNED_MAX): while tuning */
};

enum { PROCESS_TUNED_MAX = 160 }; /* rows that process_tune looks at: what it costs grows with their cube */

TL_MUST_CHECK enum tl_rc process_new(const struct space *space, size_t max, struct process **ret_process,
                                     struct tl_err *err);
void process_free(struct process *process);

/* An option's number from 1, 0 where the variable is inactive. */
void process_code(const struct space *space, const uint8_t *canonical, uint8_t *ret_code);

/* Choose weights, share and noise by a sweep of coordinate ascent over the likelihood of the n outcomes y, or of
 * PROCESS_TUNED_MAX spread over them. The process has no rows afterwards. n >= 2. */
void process_tune(struct process *process, const uint8_t *codes, const double *y, size_t n);

/* Now the process knows the outcomes y of n rows, the first of which (as many as it had) are unchanged. */
void process_learn(struct process *process, const uint8_t *codes, const double *y, size_t n);
/* Forget all rows; weights, share and noise stay. */
void process_forget(struct process *process);

/* Mean and standard deviation of the outcome of `code`; `codes` are the rows that were learned. */
void process_ask(struct process *process, const uint8_t *codes, const uint8_t *code, double *ret_mean,
                 double *ret_deviation);

TL_MUST_CHECK enum tl_rc process_save(const struct process *process, struct tl_buf *buf, struct tl_err *err);
/* Weights, share and noise; rows are learned again, to the same bits. False: they cannot be. */
TL_MUST_CHECK bool process_load(struct process *process, struct tl_cursor *state);

#endif
