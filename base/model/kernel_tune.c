/* kernel_tune.c - the hyper-parameters of the kernel model, by marginal likelihood of the exact Gaussian process.
 *
 * k(x, x') = v x.x' + a exp(-sum of w_f (x_f - x'_f)^2), plus noise on the diagonal. Every feature has its own w_f,
 * pulled towards their common mean in the logarithm. For zeros and ones (x - x')^2 = x + x' - 2 x x', so that distances
 * and all gradients are matrix products (Rasmussen and Williams 2006, 5.9).
 */
#include "base/model/linear.h"
#include "base/model/parts.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 40 }; /* held-out error is flat from 30 to 60 on once-for-all's rows */

/* Logarithms of the hyper-parameters: w_f, then these three. */
enum { P_LINEAR, P_AMPLITUDE, P_NOISE, P_COUNT };

struct tuning {
    size_t n, f;
    double *x;                            /* (n, f) */
    double *z;                            /* (n) */
    double *scaled;                       /* (n, f) */
    double *norm;                         /* (n) weighted squared norms, then row sums */
    double *alpha;                        /* (n) */
    double *k, *se, *inverse;             /* (n, n) each */
    double *dot;                          /* (n, n) linear kernel without its variance */
    double *p, *gradient, *mean, *square; /* (f + P_COUNT) each; Adam's moments */
};

static void tuning_done(struct tuning *t)
{
    double *const owned[] = {t->x,       t->z,   t->scaled, t->norm,     t->alpha, t->k,     t->se,
                             t->inverse, t->dot, t->p,      t->gradient, t->mean,  t->square};
    for (size_t i = 0; i < TL_COUNT_OF(owned); i++) {
        free(owned[i]);
    }
}

static bool tuning_init(struct tuning *t, size_t n, size_t f)
{
    const size_t np = f + P_COUNT;
    struct {
        double **at;
        size_t n;
    } const parts[] = {{&t->x, n * f}, {&t->z, n},       {&t->scaled, n * f},  {&t->norm, n},    {&t->alpha, n},
                       {&t->k, n * n}, {&t->se, n * n},  {&t->inverse, n * n}, {&t->dot, n * n}, {&t->p, np},
                       {&t->mean, np}, {&t->square, np}, {&t->gradient, np}};
    bool whole = true;
    assert(n > 0 && f > 0); /* two rows at least lie outside every fold */
    *t = (struct tuning){.n = n, .f = f};
    for (size_t i = 0; i < TL_COUNT_OF(parts); i++) {
        *parts[i].at = calloc(parts[i].n, sizeof(double));
        whole = whole && *parts[i].at;
    }
    return whole;
}

/* scaled = x * w by columns; norm = sum of the row. */
static void scale_rows(struct tuning *t)
{
    for (size_t i = 0; i < t->n; i++) {
        t->norm[i] = 0.0;
        for (size_t f = 0; f < t->f; f++) {
            t->scaled[i * t->f + f] = t->x[i * t->f + f] * exp(t->p[f]);
            t->norm[i] += t->scaled[i * t->f + f];
        }
    }
}

/* se and k, both triangles of se, lower of k. */
static void kernels_set(struct tuning *t)
{
    const int n = (int)t->n, f = (int)t->f;
    const double linear = exp(t->p[t->f + P_LINEAR]), amplitude = exp(t->p[t->f + P_AMPLITUDE]);

    scale_rows(t);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, f, 1.0, t->scaled, f, t->x, f, 0.0, t->se, n);
    for (size_t i = 0; i < t->n; i++) {
        for (size_t j = 0; j <= i; j++) {
            const size_t at = i * t->n + j;
            t->se[at] = amplitude * exp(2.0 * t->se[at] - t->norm[i] - t->norm[j]);
            t->se[j * t->n + i] = t->se[at];
            t->k[at] = t->se[at] + linear * t->dot[at];
        }
        t->k[i * t->n + i] += exp(t->p[t->f + P_NOISE]);
    }
}

/* M = alpha alpha' - K^-1 into `inverse`; k is used up. */
static void evidence_set(struct tuning *t)
{
    const int n = (int)t->n;

    memcpy(t->alpha, t->z, t->n * sizeof(*t->z));
    linear_solve(t->k, t->n, t->alpha);
    linear_invert_lower(t->k, t->n, t->inverse);
    /* K^-1 = L^-T L^-1 */
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, n, n, -1.0, t->inverse, n, 0.0, t->k, n);
    cblas_dsyr(CblasRowMajor, CblasLower, n, 1.0, t->alpha, 1, t->k, n);
    for (size_t i = 0; i < t->n; i++) {
        for (size_t j = 0; j <= i; j++) {
            t->inverse[i * t->n + j] = t->inverse[j * t->n + i] = t->k[i * t->n + j];
        }
    }
}

/* d log likelihood / d log parameter = 1/2 sum of M * dK; for w_f, dK = -w_f se (x_f + x'_f - 2 x_f x'_f). */
static void gradient_set(struct tuning *t)
{
    const size_t nn = t->n * t->n;
    const int n = (int)t->n, f = (int)t->f;
    double *g = t->gradient + t->f, trace = 0.0, mean = 0.0;

    for (size_t i = 0; i < t->n; i++) {
        trace += t->inverse[i * t->n + i];
    }
    g[P_NOISE] = 0.5 * trace * exp(t->p[t->f + P_NOISE]);
    g[P_LINEAR] = 0.5 * cblas_ddot((int)nn, t->inverse, 1, t->dot, 1) * exp(t->p[t->f + P_LINEAR]);
    g[P_AMPLITUDE] = 0.5 * cblas_ddot((int)nn, t->inverse, 1, t->se, 1);
    for (size_t i = 0; i < nn; i++) {
        t->se[i] *= t->inverse[i];
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, f, n, 1.0, t->se, n, t->x, f, 0.0, t->scaled, f);
    memset(t->gradient, 0, t->f * sizeof(*t->gradient));
    for (size_t i = 0; i < t->n; i++) {
        double sum = 0.0;
        for (size_t j = 0; j < t->n; j++) {
            sum += t->se[i * t->n + j];
        }
        for (size_t k = 0; k < t->f; k++) {
            t->gradient[k] -= t->x[i * t->f + k] * (sum - t->scaled[i * t->f + k]);
        }
    }
    for (size_t k = 0; k < t->f; k++) {
        mean += t->p[k] / (double)t->f;
    }
    for (size_t k = 0; k < t->f; k++) { /* the prior on log w: deviation 1 about the mean */
        t->gradient[k] = t->gradient[k] * exp(t->p[k]) - (t->p[k] - mean);
    }
}

/* Adam, uphill, on a cosine. */
static void step(struct tuning *t, unsigned at)
{
    static const double keep_mean = 0.8, keep_square = 0.95, lowest = -16.0, highest = 4.0;
    const double pi = acos(-1.0);
    const double rate = 0.005 + 0.075 * (1.0 + cos(pi * at / STEPS));

    for (size_t i = 0; i < t->f + P_COUNT; i++) {
        const double g = t->gradient[i];
        t->mean[i] = keep_mean * t->mean[i] + (1.0 - keep_mean) * g;
        t->square[i] = keep_square * t->square[i] + (1.0 - keep_square) * g * g;
        const double m = t->mean[i] / (1.0 - pow(keep_mean, at)), s = t->square[i] / (1.0 - pow(keep_square, at));
        t->p[i] = fmin(highest, fmax(lowest, t->p[i] + rate * m / (sqrt(s) + 1e-8)));
    }
}

static bool climb(struct tuning *t)
{
    const int n = (int)t->n, f = (int)t->f;

    for (size_t k = 0; k < t->f; k++) {
        t->p[k] = log(0.02); /* two rows that differ in half their choices correlate by about 0.6 */
    }
    t->p[t->f + P_LINEAR] = log(5e-3);
    t->p[t->f + P_AMPLITUDE] = log(5e-2);
    t->p[t->f + P_NOISE] = log(5e-4);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, f, 1.0, t->x, f, t->x, f, 0.0, t->dot, n);
    for (unsigned at = 1; at <= STEPS; at++) {
        kernels_set(t);
        if (!linear_cholesky(t->k, t->n)) {
            return false;
        }
        evidence_set(t);
        gradient_set(t);
        step(t, at);
    }
    return true;
}

/* The rows outside the fold; more than the limit: a seeded choice of them. */
static size_t rows_choose(const struct fit_rows *data, unsigned left_out, uint64_t seed, size_t *order)
{
    size_t n = 0;
    for (size_t i = 0; i < data->rows->n; i++) {
        if (data->fold[i] != left_out) {
            order[n++] = i;
        }
    }
    struct tl_rng rng;
    tl_rng_init(&rng, seed, 1, left_out);
    for (size_t i = 0; n > KERNEL_TUNE_MAX && i < KERNEL_TUNE_MAX; i++) {
        const size_t j = i + tl_rng_below(&rng, (uint32_t)(n - i)), taken = order[j];
        order[j] = order[i];
        order[i] = taken;
    }
    return n < KERNEL_TUNE_MAX ? n : KERNEL_TUNE_MAX;
}

static enum tl_rc hyper_take(const struct tuning *t, struct kernel_hyper *ret_hyper, struct tl_err *err)
{
    double *w = calloc(t->f, sizeof(*w));
    if (!w) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the weights of %zu features", t->f);
    }
    for (size_t k = 0; k < t->f; k++) {
        w[k] = exp(t->p[k]);
    }
    *ret_hyper = (struct kernel_hyper){.w = w,
                                       .linear_variance = exp(t->p[t->f + P_LINEAR]),
                                       .amplitude = exp(t->p[t->f + P_AMPLITUDE]),
                                       .noise = exp(t->p[t->f + P_NOISE])};
    return TL_OK;
}

enum tl_rc kernel_tune(const struct fit_rows *data, unsigned left_out, uint64_t seed, struct kernel_hyper *ret_hyper,
                       struct tl_err *err)
{
    size_t *order = calloc(data->rows->n, sizeof(*order));
    if (!order) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to choose among %zu rows", data->rows->n);
    }
    const size_t n = rows_choose(data, left_out, seed, order);
    struct tuning t = {0};
    enum tl_rc rc = TL_OK;

    if (!tuning_init(&t, n, data->n_features)) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory to tune a kernel on %zu rows", n);
    } else {
        for (size_t i = 0; i < n; i++) {
            row_phi(data, order[i], NULL, 0, NULL, t.x + i * t.f);
            t.z[i] = data->z[order[i]];
        }
        rc = climb(&t) ? hyper_take(&t, ret_hyper, err)
                       : tl_fail(err, TL_INVALID, "the kernel of these rows is not positive definite");
    }
    tuning_done(&t);
    free(order);
    return rc;
}
