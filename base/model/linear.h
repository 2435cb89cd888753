/* linear.h - private: the dense algebra under the models, in double, row-major.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_MODEL_LINEAR_H
#define TAILOR_MODEL_LINEAR_H

#include <stdbool.h>
#include <stddef.h>

/* a (n, n), its lower triangle: replaced by L with L L' = a; the upper triangle is neither read nor written. False: not
 * positive definite (or not finite). */
bool linear_cholesky(double *a, size_t n);

/* x (n) = (L L')^-1 x. */
void linear_solve(const double *l, size_t n, double *x);

/* inverse (n, n) = L^-1, zeros above the diagonal. */
void linear_invert_lower(const double *l, size_t n, double *inverse);

#endif
