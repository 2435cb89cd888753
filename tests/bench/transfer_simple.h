/* transfer_simple.h - what bench_transfer holds its predictors against: each fits y (k) at rows and predicts all n rows. */
#ifndef TAILOR_TESTS_BENCH_TRANSFER_SIMPLE_H
#define TAILOR_TESTS_BENCH_TRANSFER_SIMPLE_H

#include "base/model/model.h"
#include "csv.h"

/* y = intercept + x beta, centred, one lambda. */
static inline void fit_ridge(const float *x, size_t n, size_t d, const uint32_t *rows, const double *y, size_t k,
                             double lambda, double *out)
{
    double *design = bench_must(calloc(k * d + 3 * d + k, sizeof *design)), *mean = design + k * d, *beta = mean + d,
           *lambdas = beta + d, *centred = lambdas + d, mean_y = 0;
    struct tl_err err = {0};
    for (size_t i = 0; i < k; i++) {
        mean_y += y[i] / (double)k;
        for (size_t j = 0; j < d; j++) {
            mean[j] += (double)x[rows[i] * d + j] / (double)k;
        }
    }
    for (size_t i = 0; i < k; i++) {
        centred[i] = y[i] - mean_y;
        for (size_t j = 0; j < d; j++) {
            design[i * d + j] = (double)x[rows[i] * d + j] - mean[j];
        }
    }
    for (size_t j = 0; j < d; j++) {
        lambdas[j] = lambda;
    }
    if (model_ridge(design, centred, k, d, lambdas, NULL, beta, &err)) {
        bench_die(err.text, "");
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = mean_y;
        for (size_t j = 0; j < d; j++) {
            out[i] += beta[j] * ((double)x[i * d + j] - mean[j]);
        }
    }
    free(design);
}

/* A line through (x, y); through 0 where it would not rise, or only ranks are wanted. */
static inline void fit_line(const double *x, size_t n, const uint32_t *rows, const double *y, size_t k, double *out)
{
    double mean_x = 0, mean_y = 0, xy = 0, xx = 0;
    for (size_t i = 0; i < k; i++) {
        mean_x += x[rows[i]] / (double)k;
        mean_y += y[i] / (double)k;
    }
    for (size_t i = 0; i < k; i++) {
        xy += (x[rows[i]] - mean_x) * (y[i] - mean_y);
        xx += (x[rows[i]] - mean_x) * (x[rows[i]] - mean_x);
    }
    const bool rises = xy > 0 && xx > 0;
    const double slope = rises ? xy / xx : k ? mean_y / mean_x : 1, constant = rises ? mean_y - slope * mean_x : 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = constant + slope * x[i];
    }
}

#endif
