/* policy.h - what controllers with a stochastic policy share: a distribution over options, its gradients, and Adam.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_SEARCH_POLICY_H
#define TAILOR_SEARCH_POLICY_H

#include "base/base.h"

/* probability[o] = exp(logit[o]) / sum over all n >= 1 options. May be in place. */
void policy_softmax(const double *logits, size_t n, double *probabilities);

/* The option whose part of the cumulative sum `unit` (of [0, 1)) falls into; never one of probability 0. */
uint8_t policy_draw(const double *probabilities, size_t n, double unit);

/* -sum p ln p */
double policy_entropy(const double *probabilities, size_t n);

/* gradient[o] += of_log * d ln p[choice] / d logit[o] + of_entropy * d entropy / d logit[o]. */
void policy_pull(const double *probabilities, size_t n, uint8_t choice, double of_log, double of_entropy,
                 double *gradient);

/* Adam without momentum, as TuNAS has it (beta1 0, beta2 0.999, epsilon 1e-8), uphill: step 1, 2, ... Parameters stay within
 * +-limit. `squares` holds the moving squared gradients, 0 before the first step. */
void policy_ascend(double *parameters, double *squares, const double *gradient, size_t n, uint64_t step, double rate,
                   double limit);

#endif
