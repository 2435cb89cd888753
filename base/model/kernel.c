/* kernel.c - the kernel model: prediction, saved form. What it computes is in parts.h; fitting is in kernel_fit.c. */
#include "base/model/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void kernel_done(struct kernel *kernel)
{
    free(kernel->linear);
    free(kernel->beta);
    free(kernel->exponent);
    free(kernel->bias);
    *kernel = (struct kernel){0};
}

enum tl_rc kernel_init(struct kernel *kernel, size_t n_features, size_t m, const float *w, const uint8_t *present,
                       struct tl_err *err)
{
    struct kernel made = {.n_features = n_features, .m = m, .ld = vec_pad(m)};

    made.linear = calloc(n_features, sizeof(*made.linear));
    made.beta = calloc(made.ld, sizeof(*made.beta));
    made.exponent = vec_alloc(n_features * made.ld);
    made.bias = vec_alloc(made.ld);
    if (!made.linear || !made.beta || !made.exponent || !made.bias) {
        kernel_done(&made);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a kernel model of %zu inducing rows", m);
    }
    for (size_t j = 0; j < m; j++) {
        double norm = 0.0;
        for (size_t f = 0; f < n_features; f++) {
            const bool has = present[j * n_features + f];
            norm += has ? (double)w[f] : 0.0;
            made.exponent[f * made.ld + j] = has ? w[f] : -w[f];
        }
        made.bias[j] = (float)-norm;
    }
    *kernel = made;
    return TL_OK;
}

void kernel_activations(const struct kernel *kernel, const uint16_t *row, size_t width, float *active)
{
    const struct vec_table *vec = vec_best();

    vec->hot_sum(active, row, 1, width, kernel->exponent, kernel->bias, kernel->ld);
    vec->exp(active, kernel->ld);
}

void kernel_predict(const struct kernel *kernel, const struct model_hot *rows, float *active, double *y)
{
    const struct vec_table *vec = vec_best();
    const size_t ld = kernel->ld;

    vec->hot_sum(active, rows->index, rows->n, rows->width, kernel->exponent, kernel->bias, ld);
    for (size_t i = 0; i < rows->n; i++) {
        vec->exp(active + i * ld, ld);
        double sum = kernel->offset;
        for (size_t k = 0; k < rows->width; k++) {
            const uint16_t f = rows->index[i * rows->width + k];
            sum += f == MODEL_NO_FEATURE ? 0.0 : kernel->linear[f];
        }
        y[i] = sum + vec->dot(active + i * ld, kernel->beta, ld);
    }
}

/* ---- saved form: sizes, offset, linear, w, inducing rows as bits, beta ------------------------------------------ */

static enum tl_rc rows_save(const struct kernel *kernel, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t j = 0; j < kernel->m; j++) {
        for (size_t f = 0; !rc && f < kernel->n_features; f += 32) {
            uint32_t bits = 0;
            for (size_t k = 0; k < 32 && f + k < kernel->n_features; k++) {
                bits |= (uint32_t)(kernel->exponent[(f + k) * kernel->ld + j] > 0.0F) << k;
            }
            rc = tl_buf_put_u32(buf, bits, err);
        }
    }
    return rc;
}

enum tl_rc kernel_save(const struct kernel *kernel, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)kernel->n_features, err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)kernel->m, err);
    rc = rc ? rc : tl_buf_put_f64(buf, kernel->offset, err);
    rc = rc ? rc : doubles_save(kernel->linear, kernel->n_features, buf, err);
    for (size_t f = 0; !rc && f < kernel->n_features; f++) {
        const float w = fabsf(kernel->exponent[f * kernel->ld]);
        rc = floats_save(&w, 1, buf, err);
    }
    rc = rc ? rc : rows_save(kernel, buf, err);
    return rc ? rc : doubles_save(kernel->beta, kernel->m, buf, err);
}

/* w, then the inducing rows. */
static enum tl_rc shape_load(struct tl_cursor *cursor, struct kernel *ret_kernel, size_t n_features, size_t m, float *w,
                             uint8_t *present, struct tl_err *err)
{
    if (!floats_load(cursor, w, n_features)) {
        return tl_fail(err, TL_MALFORMED, "a saved kernel model has a weight that is not finite");
    }
    for (size_t f = 0; f < n_features; f++) {
        if (!(w[f] >= 0.0F)) {
            return tl_fail(err, TL_MALFORMED, "a saved kernel model has a negative weight");
        }
    }
    for (size_t j = 0; j < m; j++) {
        for (size_t f = 0; f < n_features; f += 32) {
            const uint32_t bits = tl_cursor_u32(cursor);
            for (size_t k = 0; k < 32 && f + k < n_features; k++) {
                present[j * n_features + f + k] = bits >> k & 1;
            }
        }
    }
    return kernel_init(ret_kernel, n_features, m, w, present, err);
}

enum tl_rc kernel_load(struct tl_cursor *cursor, struct kernel *ret_kernel, struct tl_err *err)
{
    const size_t n_features = tl_cursor_u32(cursor), m = tl_cursor_u32(cursor);
    const double offset = tl_cursor_f64(cursor);
    const size_t words = (n_features + 31) / 32;

    if (cursor->failed || n_features == 0 || n_features > MODEL_SIDE_MAX || m == 0 || m > MODEL_INDUCING_MAX ||
        !isfinite(offset) || n_features * 12 + m * (words * 4 + 8) > cursor->left) {
        return tl_fail(err, TL_MALFORMED, "a saved kernel model is cut short or has impossible numbers");
    }
    double *linear = calloc(n_features, sizeof(*linear));
    float *w = calloc(n_features, sizeof(*w));
    uint8_t *present = calloc(m, n_features);
    struct kernel kernel = {0};
    enum tl_rc rc = TL_OK;
    if (!linear || !w || !present) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for a kernel model of %zu inducing rows", m);
    } else if (!doubles_load(cursor, linear, n_features)) {
        rc = tl_fail(err, TL_MALFORMED, "a saved kernel model has a weight that is not finite");
    } else if (!(rc = shape_load(cursor, &kernel, n_features, m, w, present, err))) {
        kernel.offset = offset;
        memcpy(kernel.linear, linear, n_features * sizeof(*linear));
        if (!doubles_load(cursor, kernel.beta, m)) {
            rc = tl_fail(err, TL_MALFORMED, "a saved kernel model has a weight that is not finite");
        }
    }
    free(linear);
    free(w);
    free(present);
    if (rc) {
        kernel_done(&kernel);
        return rc;
    }
    *ret_kernel = kernel;
    return TL_OK;
}
