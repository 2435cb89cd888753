/* linear.c - Cholesky in blocks over BLAS 3, and what is solved with it. */
#include "base/model/linear.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

enum { PANEL = 96 }; /* 64 to 128 are alike at n 1,500 */

/* The diagonal block by columns; n <= PANEL. */
static bool cholesky_small(double *a, size_t n, size_t ld)
{
    for (size_t j = 0; j < n; j++) {
        const double d = a[j * ld + j] - cblas_ddot((int)j, a + j * ld, 1, a + j * ld, 1);
        if (!(d > 0.0) || isinf(d)) {
            return false;
        }
        a[j * ld + j] = sqrt(d);
        for (size_t i = j + 1; i < n; i++) {
            const double s = a[i * ld + j] - cblas_ddot((int)j, a + i * ld, 1, a + j * ld, 1);
            a[i * ld + j] = s / a[j * ld + j];
        }
    }
    return true;
}

bool linear_cholesky(double *a, size_t n)
{
    for (size_t j = 0; j < n; j += PANEL) {
        const size_t nb = n - j < PANEL ? n - j : PANEL;
        double *diagonal = a + j * n + j;
        if (!cholesky_small(diagonal, nb, n)) {
            return false;
        }
        const size_t rest = n - j - nb;
        if (rest == 0) {
            break;
        }
        double *below = diagonal + nb * n;
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)rest, (int)nb, 1.0, diagonal,
                    (int)n, below, (int)n);
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)rest, (int)nb, -1.0, below, (int)n, 1.0, below + nb,
                    (int)n);
    }
    return true;
}

void linear_solve(const double *l, size_t n, double *x)
{
    cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, l, (int)n, x, 1);
    cblas_dtrsv(CblasRowMajor, CblasLower, CblasTrans, CblasNonUnit, (int)n, l, (int)n, x, 1);
}

void linear_invert_lower(const double *l, size_t n, double *inverse)
{
    memset(inverse, 0, n * n * sizeof(*inverse));
    for (size_t i = 0; i < n; i++) {
        inverse[i * n + i] = 1.0;
    }
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, (int)n, 1.0, l, (int)n,
                inverse, (int)n);
}
