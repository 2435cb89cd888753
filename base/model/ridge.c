/* ridge.c - ridge regression towards a prior: the normal equations, by Cholesky. Threads: pure. */
#include "base/model/linear.h"
#include "base/model/model.h"

#include <cblas.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* (X'X + diag(lambda)) beta = X'y + lambda * prior */
enum tl_rc model_ridge(const double *x, const double *y, size_t n, size_t d, const double *lambda, const double *prior,
                       double *ret_beta, struct tl_err *err)
{
    if (d == 0 || d > 8192 || n == 0 || n > INT32_MAX) {
        return tl_fail(err, TL_INVALID, "ridge regression takes 1 to 8192 columns and at least one row, not %zu x %zu",
                       n, d);
    }
    double *a = calloc(d * d + d, sizeof(*a));
    if (!a) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a regression on %zu columns", d);
    }
    double *b = a + d * d;
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, 1.0, x, (int)d, 0.0, a, (int)d);
    cblas_dgemv(CblasRowMajor, CblasTrans, (int)n, (int)d, 1.0, x, (int)d, y, 1, 0.0, b, 1);
    for (size_t j = 0; j < d; j++) {
        a[j * d + j] += lambda[j];
        b[j] += lambda[j] * (prior ? prior[j] : 0.0);
    }
    bool good = linear_cholesky(a, d);
    if (good) {
        linear_solve(a, d, b);
    }
    for (size_t j = 0; good && j < d; j++) {
        good = isfinite(b[j]);
    }
    if (good) {
        memcpy(ret_beta, b, d * sizeof(*b));
    }
    free(a);
    return good ? TL_OK
                : tl_fail(err, TL_INVALID, "the %zu columns are not independent (or not finite): raise lambda", d);
}
