/* kernel_fit.c - the sparse Gaussian process: weights of the features and of the inducing rows, given the
 * hyper-parameters.
 *
 * f(x) = b.phi(x), phi = [features, activations of the inducing rows], b ~ N(0, prior^-1) with prior precision 1/v on
 * the features and K_mm / a between inducing rows (the deterministic training conditional; Quinonero-Candela and
 * Rasmussen 2005). Sums over rows are kept by fold, so that leaving a fold out costs one factorisation.
 */
#include "base/model/linear.h"
#include "base/model/parts.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SPREAD_ROWS = 192, BLOCK_ROWS = 128 }; /* 192 inducing rows follow the exact variance with correlation 0.94 */

static const double JITTER = 1e-5; /* of the activations' diagonal, above float32 rounding */

void row_phi(const struct fit_rows *data, size_t i, const struct kernel *kernel, size_t m, float *active, double *phi)
{
    const struct model_hot *rows = data->rows;
    const uint16_t *row = rows->index + i * rows->width;

    memset(phi, 0, data->n_features * sizeof(*phi));
    for (size_t k = 0; k < rows->width; k++) {
        if (row[k] != MODEL_NO_FEATURE) {
            phi[row[k]] = 1.0;
        }
    }
    if (kernel) {
        kernel_activations(kernel, row, rows->width, active);
        for (size_t j = 0; j < m; j++) {
            phi[data->n_features + j] = (double)active[j];
        }
    }
}

enum tl_rc rows_sums(const struct fit_rows *data, unsigned left_out, const struct kernel *kernel, size_t m,
                     double noise, double *gram, double *moment, struct tl_err *err)
{
    const size_t d = data->n_features + m;
    double *phi = malloc(BLOCK_ROWS * d * sizeof(*phi)), z[BLOCK_ROWS];
    float *active = vec_alloc(kernel ? kernel->ld : 0);
    size_t n = 0;

    if (!phi || !active) {
        free(phi);
        free(active);
        return tl_fail(err, TL_NO_MEMORY, "no memory for sums over %zu values", d);
    }
    for (size_t i = 0; i < data->rows->n; i++) {
        if (data->fold[i] != left_out) {
            row_phi(data, i, kernel, m, active, phi + n * d);
            z[n++] = data->z[i];
        }
        if (n == BLOCK_ROWS || (n && i + 1 == data->rows->n)) {
            cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, 1.0 / noise, phi, (int)d, 1.0, gram,
                        (int)d);
            cblas_dgemv(CblasRowMajor, CblasTrans, (int)n, (int)d, 1.0 / noise, phi, (int)d, z, 1, 1.0, moment, 1);
            n = 0;
        }
    }
    free(phi);
    free(active);
    return TL_OK;
}

/* prior (f + m squared): 1 / v on the features, K_mm / a on the first m inducing rows. */
static void prior_set(const struct kernel *kernel, const struct model_hot *inducing, const struct kernel_hyper *hyper,
                      size_t m, float *active, double *prior)
{
    const size_t f = kernel->n_features, d = f + m;

    for (size_t i = 0; i < f; i++) {
        prior[i * d + i] = 1.0 / hyper->linear_variance;
    }
    for (size_t i = 0; i < m; i++) {
        kernel_activations(kernel, inducing->index + i * inducing->width, inducing->width, active);
        for (size_t j = 0; j <= i; j++) {
            prior[(f + i) * d + f + j] = (double)active[j] / hyper->amplitude;
        }
        prior[(f + i) * d + f + i] += JITTER / hyper->amplitude;
    }
}

static enum tl_rc kernel_of(const struct fit_rows *data, const struct model_hot *inducing,
                            const struct kernel_hyper *hyper, struct kernel *ret_kernel, struct tl_err *err)
{
    const size_t f = data->n_features;
    float *w = calloc(f, sizeof(*w));
    uint8_t *present = calloc(inducing->n, f);
    enum tl_rc rc = TL_OK;

    if (!w || !present) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for %zu inducing rows", inducing->n);
    } else {
        for (size_t k = 0; k < f; k++) {
            w[k] = (float)hyper->w[k];
        }
        for (size_t i = 0; i < inducing->n * inducing->width; i++) {
            if (inducing->index[i] != MODEL_NO_FEATURE) {
                present[i / inducing->width * f + inducing->index[i]] = 1;
            }
        }
        rc = kernel_init(ret_kernel, f, inducing->n, w, present, err);
    }
    free(w);
    free(present);
    return rc;
}

/* ---- one fit --------------------------------------------------------------------------------------------------- */

/* linear and beta of the rows outside the fold, in units of y. */
static enum tl_rc weights_solve(const struct fit_rows *data, unsigned left_out, const struct model_hot *inducing,
                                const struct kernel_hyper *hyper, struct kernel *kernel, struct tl_err *err)
{
    const size_t f = kernel->n_features, d = f + kernel->m;
    double *precision = calloc(d * d, sizeof(*precision)), *b = calloc(d, sizeof(*b));
    float *active = vec_alloc(kernel->ld);
    enum tl_rc rc = TL_OK;

    if (!precision || !b || !active) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory to solve for %zu weights", d);
    } else {
        prior_set(kernel, inducing, hyper, kernel->m, active, precision);
        rc = rows_sums(data, left_out, kernel, kernel->m, hyper->noise, precision, b, err);
    }
    if (!rc && !linear_cholesky(precision, d)) {
        rc = tl_fail(err, TL_INVALID, "the inducing rows leave no positive definite precision");
    }
    if (!rc) {
        linear_solve(precision, d, b);
        kernel->offset = data->mean;
        cblas_dscal((int)d, data->deviation, b, 1);
        memcpy(kernel->linear, b, f * sizeof(*b));
        memcpy(kernel->beta, b + f, kernel->m * sizeof(*b));
    }
    free(precision);
    free(b);
    free(active);
    return rc;
}

/* ---- all folds ------------------------------------------------------------------------------------------------- */

struct all_fits {
    const struct fit_rows *data;
    const struct model_hot *inducing;
    uint64_t seed;
    struct kernel_hyper hypers[MODEL_FOLDS + 1]; /* [k]: without fold k */
    struct kernel kernels[MODEL_FOLDS + 1];
    double *residuals; /* of each row, by the fit without its fold */
    enum tl_rc rc[MODEL_FOLDS + 1];
    struct tl_err err[MODEL_FOLDS + 1];
};

static enum tl_rc residuals_set(struct all_fits *all, unsigned fold, struct tl_err *err)
{
    const struct fit_rows *data = all->data;
    const struct kernel *kernel = &all->kernels[fold];
    float *active = vec_alloc(kernel->ld);

    if (!active) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to calibrate a kernel model");
    }
    for (size_t i = 0; i < data->rows->n; i++) {
        if (data->fold[i] == fold) {
            const struct model_hot row = {data->rows->index + i * data->rows->width, 1, data->rows->width};
            double value = 0.0;
            kernel_predict(kernel, &row, active, &value);
            all->residuals[i] = data->mean + data->deviation * data->z[i] - value;
        }
    }
    free(active);
    return TL_OK;
}

/* The whole fit of the rows outside one fold, hyper-parameters and all, judged on the fold. */
static void fit_task(void *ctx, size_t task, unsigned thread)
{
    struct all_fits *all = ctx;
    struct kernel_hyper *hyper = &all->hypers[task];
    struct kernel *kernel = &all->kernels[task];
    struct tl_err *err = &all->err[task];
    const unsigned fold = (unsigned)task;
    enum tl_rc rc = kernel_tune(all->data, fold, all->seed, hyper, err);

    (void)thread;
    rc = rc ? rc : kernel_of(all->data, all->inducing, hyper, kernel, err);
    rc = rc ? rc : weights_solve(all->data, fold, all->inducing, hyper, kernel, err);
    all->rc[task] = rc ? rc : residuals_set(all, fold, err);
}

/* Hyper-parameters of the whole fit throughout: the scale of a variance follows them. */
static enum tl_rc spread_of(struct all_fits *all, struct spread *spread, struct tl_err *err)
{
    const struct kernel *kernel = &all->kernels[MODEL_FOLDS];
    const struct kernel_hyper *hyper = &all->hypers[MODEL_FOLDS];
    const size_t m = kernel->m < SPREAD_ROWS ? kernel->m : SPREAD_ROWS, d = kernel->n_features + m;
    double *prior = calloc(d * d, sizeof(*prior));
    float *active = vec_alloc(kernel->ld);
    enum tl_rc rc = TL_OK;

    if (!prior || !active) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for intervals on %zu values", d);
    } else {
        prior_set(kernel, all->inducing, hyper, m, active, prior);
        rc = spread_fit(spread, all->data, kernel, m, prior, hyper->noise, all->residuals, err);
    }
    free(prior);
    free(active);
    return rc;
}

enum tl_rc fit_kernel(const struct fit_rows *data, const struct model_hot *inducing, uint64_t seed,
                      struct tl_pool *pool, struct model *model, struct tl_err *err)
{
    struct all_fits all = {
        .data = data, .inducing = inducing, .seed = seed, .residuals = calloc(data->rows->n, sizeof(double))};
    enum tl_rc rc = TL_OK;

    if (!all.residuals) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory to fit %zu rows", data->rows->n);
    } else {
        tl_pool_run(pool, fit_task, &all, MODEL_FOLDS + 1);
    }
    for (size_t k = 0; !rc && k <= MODEL_FOLDS; k++) {
        rc = all.rc[k] ? tl_fail(err, all.rc[k], "%s", all.err[k].text) : TL_OK;
    }
    rc = rc ? rc : spread_of(&all, &model->spread, err);
    if (!rc) {
        model->kernel = all.kernels[MODEL_FOLDS];
        all.kernels[MODEL_FOLDS] = (struct kernel){0};
    }
    for (size_t k = 0; k <= MODEL_FOLDS; k++) {
        kernel_done(&all.kernels[k]);
        free(all.hypers[k].w);
    }
    free(all.residuals);
    return rc;
}
