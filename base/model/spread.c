/* spread.c - how uncertain a row is: see parts.h. */
#include "base/model/linear.h"
#include "base/model/parts.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double COVERAGE = 0.9;

void spread_done(struct spread *spread)
{
    free(spread->w);
    *spread = (struct spread){0};
}

/* W from the precision (n, n), which is destroyed; spare (n, n). */
static enum tl_rc factor(struct spread *spread, double *precision, double *spare, struct tl_err *err)
{
    const size_t n = spread->n_features + spread->m;

    if (!linear_cholesky(precision, n)) {
        return tl_fail(err, TL_INVALID, "the rows leave no positive definite precision");
    }
    linear_invert_lower(precision, n, spare);
    for (size_t r = 0, at = 0; r < n; r++) {
        for (size_t c = 0; c <= r; c++) {
            spread->w[at++] = (float)spare[r * n + c];
        }
    }
    return TL_OK;
}

/* W for the rows outside fold `left_out`. */
static enum tl_rc fit_outside(struct spread *spread, const struct fit_rows *data, unsigned left_out,
                              const struct kernel *kernel, size_t m, const double *prior, double noise,
                              struct tl_err *err)
{
    const size_t n = data->n_features + m;
    double *precision = calloc(n * n, sizeof(double)), *spare = calloc(n * n, sizeof(double));
    double *moment = calloc(n, sizeof(double));
    struct spread made = {
        .n_features = data->n_features, .m = m, .w = malloc(n * (n + 1) / 2 * sizeof(float)), .calibration = HUGE_VAL};
    enum tl_rc rc = TL_OK;

    if (!precision || !spare || !moment || !made.w) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for intervals on %zu values", n);
    } else {
        memcpy(precision, prior, n * n * sizeof(*prior));
        rc = rows_sums(data, left_out, kernel, m, noise, precision, moment, err);
    }
    rc = rc ? rc : factor(&made, precision, spare, err);
    free(precision);
    free(spare);
    free(moment);
    if (rc) {
        spread_done(&made);
        return rc;
    }
    *spread = made;
    return TL_OK;
}

double spread_variance(const struct spread *spread, const uint16_t *row, size_t width, const float *active, float *phi)
{
    const size_t n = spread->n_features + spread->m;
    double sum = 0.0;

    memset(phi, 0, spread->n_features * sizeof(*phi));
    for (size_t i = 0; i < width; i++) {
        if (row[i] != MODEL_NO_FEATURE) {
            phi[row[i]] = 1.0F;
        }
    }
    if (spread->m) {
        memcpy(phi + spread->n_features, active, spread->m * sizeof(*phi));
    }
    const float *w = spread->w;
    for (size_t r = 0; r < n; r++, w += r) {
        double dot = 0.0;
        for (size_t c = 0; c <= r; c++) {
            dot += (double)w[c] * (double)phi[c];
        }
        sum += dot * dot;
    }
    return sum;
}

/* Variances of the rows of fold `fold`, each to its place. */
static enum tl_rc fold_variances(const struct spread *spread, const struct fit_rows *data, unsigned fold,
                                 const struct kernel *kernel, double *variances, struct tl_err *err)
{
    const struct model_hot *rows = data->rows;
    float *phi = vec_alloc(spread->n_features + spread->m), *active = vec_alloc(kernel ? kernel->ld : 0);
    enum tl_rc rc = TL_OK;

    if (!phi || !active) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for intervals on %zu features", spread->n_features);
    }
    for (size_t i = 0; !rc && i < rows->n; i++) {
        const uint16_t *row = rows->index + i * rows->width;
        if (data->fold[i] != fold) {
            continue;
        }
        if (kernel) {
            kernel_activations(kernel, row, rows->width, active);
        }
        variances[i] = spread_variance(spread, row, rows->width, active, phi);
    }
    free(phi);
    free(active);
    return rc;
}

/* Mean log density of the residuals under variances c (floor + v), with the best c. */
static double likelihood(const double *residuals, const double *variances, size_t n, double floor)
{
    double scale = 0.0, logs = 0.0;
    for (size_t i = 0; i < n; i++) {
        scale += residuals[i] * residuals[i] / (floor + variances[i]);
        logs += log(floor + variances[i]);
    }
    return -0.5 * log(scale / (double)n) - 0.5 * logs / (double)n;
}

/* The floor by likelihood, the calibration by split conformal. `residuals` is destroyed. */
static void calibrate(struct spread *spread, double *residuals, const double *variances, size_t n)
{
    static const double floors[] = {0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0}; /* times the mean variance */
    double mean = 0.0, best = -HUGE_VAL;

    for (size_t i = 0; i < n; i++) {
        mean += variances[i] / (double)n;
    }
    for (size_t k = 0; k < TL_COUNT_OF(floors); k++) {
        const double value = likelihood(residuals, variances, n, floors[k] * mean);
        if (k == 0 || value > best) {
            best = value;
            spread->floor = floors[k] * mean;
        }
    }
    for (size_t i = 0; i < n; i++) {
        residuals[i] = fabs(residuals[i]) / sqrt(spread->floor + variances[i]);
    }
    spread->calibration = fmax(stat_conformal(residuals, n, COVERAGE), DBL_MIN);
}

static enum tl_rc fit_folds(struct spread *spread, const struct fit_rows *data, const struct kernel *kernel, size_t m,
                            const double *prior, double noise, double *variances, struct tl_err *err)
{
    /* The last leaves nothing out, and stays. Its rows count less, so that it is as wide as the fits that were judged:
     * errors shrink more slowly with the number of rows than this variance. */
    for (unsigned k = 0; k <= MODEL_FOLDS; k++) {
        const double weight = k < MODEL_FOLDS ? 1.0 : (double)(MODEL_FOLDS - 1) / MODEL_FOLDS;
        spread_done(spread);
        enum tl_rc rc = fit_outside(spread, data, k, kernel, m, prior, noise / weight, err);
        rc = rc ? rc : fold_variances(spread, data, k, kernel, variances, err);
        if (rc) {
            return rc;
        }
    }
    return TL_OK;
}

enum tl_rc spread_fit(struct spread *spread, const struct fit_rows *data, const struct kernel *kernel, size_t m,
                      const double *prior, double noise, double *residuals, struct tl_err *err)
{
    double *variances = calloc(data->rows->n, sizeof(*variances));
    if (!variances) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to calibrate on %zu rows", data->rows->n);
    }
    enum tl_rc rc = fit_folds(spread, data, kernel, m, prior, noise, variances, err);
    if (!rc) {
        calibrate(spread, residuals, variances, data->rows->n);
    }
    free(variances);
    return rc;
}

/* ---- saved form ---------------------------------------------------------------------------------------------- */

enum tl_rc spread_save(const struct spread *spread, struct tl_buf *buf, struct tl_err *err)
{
    const size_t n = spread->w ? spread->n_features + spread->m : 0;
    enum tl_rc rc = tl_buf_put_f64(buf, spread->calibration, err);
    rc = rc ? rc : tl_buf_put_f64(buf, spread->floor, err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)spread->n_features, err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)spread->m, err);
    return rc ? rc : floats_save(spread->w, n * (n + 1) / 2, buf, err);
}

enum tl_rc spread_load(struct tl_cursor *cursor, struct spread *ret_spread, struct tl_err *err)
{
    struct spread spread = {.calibration = tl_cursor_f64(cursor)};
    spread.floor = tl_cursor_f64(cursor);
    spread.n_features = tl_cursor_u32(cursor);
    spread.m = tl_cursor_u32(cursor);
    const size_t n = spread.n_features + spread.m;

    /* An imported model has no known error: no features, and a calibration of 0. */
    if (!(spread.calibration >= 0.0) || (n > 0 && spread.calibration == 0.0) || !(spread.floor >= 0.0) ||
        isinf(spread.floor) || spread.n_features > MODEL_SIDE_MAX || spread.m > MODEL_INDUCING_MAX || cursor->failed ||
        n * (n + 1) / 2 > cursor->left / sizeof(float)) {
        return tl_fail(err, TL_MALFORMED, "the intervals of a saved model are cut short or have impossible numbers");
    }
    if (n) {
        spread.w = malloc(n * (n + 1) / 2 * sizeof(float));
        if (!spread.w) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for intervals on %zu features", n);
        }
        if (!floats_load(cursor, spread.w, n * (n + 1) / 2)) {
            spread_done(&spread);
            return tl_fail(err, TL_MALFORMED, "the intervals of a saved model hold a number that is not finite");
        }
    }
    *ret_spread = spread;
    return TL_OK;
}
