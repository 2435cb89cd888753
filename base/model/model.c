/* model.c - a regression as callers see it: checks, fitting, prediction, intervals, saved form. The parts are in
 * parts.h.
 *
 * Saved: "TLMODEL", a version byte, kind, features, the regression, the spread; little-endian throughout.
 */
#include "base/model/parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'T', 'L', 'M', 'O', 'D', 'E', 'L', 1};

struct model_scratch {
    size_t n;
    float *a, *b; /* (n, widest padded layer); a kernel model uses a alone */
    float *phi;   /* one row for the spread */
};

const char *model_kind_name(enum model_kind kind)
{
    static const char *const names[MODEL_KIND_COUNT] = {[MODEL_MLP] = "mlp", [MODEL_KERNEL] = "kernel"};
    return names[kind];
}

enum model_kind model_kind_of(const struct model *model)
{
    return model->kind;
}

size_t model_features(const struct model *model)
{
    return model->n_features;
}

void model_free(struct model *model)
{
    if (!model) {
        return;
    }
    mlp_done(&model->mlp);
    kernel_done(&model->kernel);
    spread_done(&model->spread);
    free(model);
}

/* ---- fitting ------------------------------------------------------------------------------------------------- */

static enum tl_rc check_rows(const struct model_hot *rows, size_t n_features, const char *what, struct tl_err *err)
{
    if (rows->width == 0 || rows->width > MODEL_HOT_MAX) {
        return tl_fail(err, TL_INVALID, "%s have %zu places; 1 to %d are possible", what, rows->width,
                       (int)MODEL_HOT_MAX);
    }
    for (size_t i = 0; i < rows->n * rows->width; i++) {
        if (rows->index[i] >= n_features && rows->index[i] != MODEL_NO_FEATURE) {
            return tl_fail(err, TL_INVALID, "%s: row %zu has feature %u, but there are %zu", what, i / rows->width,
                           (unsigned)rows->index[i], n_features);
        }
    }
    return TL_OK;
}

static enum tl_rc check_fit(enum model_kind kind, const struct model_hot *rows, const double *y, size_t n_features,
                            const struct model_hot *inducing, struct tl_err *err)
{
    enum { ROWS_MIN = 10, ROWS_MAX = 1 << 20, FEATURES_MAX = 1024, INDUCING_MIN = 16 };

    if (rows->n < ROWS_MIN || rows->n > ROWS_MAX) {
        return tl_fail(err, TL_INVALID, "%zu rows were given; %d to %d can be fitted", rows->n, (int)ROWS_MIN,
                       (int)ROWS_MAX);
    }
    if (n_features == 0 || n_features > FEATURES_MAX) {
        return tl_fail(err, TL_INVALID, "%zu features were given; 1 to %d can be fitted", n_features,
                       (int)FEATURES_MAX);
    }
    for (size_t i = 0; i < rows->n; i++) {
        if (!isfinite(y[i])) {
            return tl_fail(err, TL_INVALID, "the value of row %zu is not finite", i);
        }
    }
    if (kind == MODEL_KERNEL && (inducing->n < INDUCING_MIN || inducing->n > MODEL_INDUCING_MAX)) {
        return tl_fail(err, TL_INVALID, "a kernel model takes %d to %d inducing rows, not %zu", (int)INDUCING_MIN,
                       (int)MODEL_INDUCING_MAX, inducing->n);
    }
    enum tl_rc rc = check_rows(rows, n_features, "rows", err);
    return rc || kind != MODEL_KERNEL ? rc : check_rows(inducing, n_features, "inducing rows", err);
}

/* A row's fold depends on the seed and its features alone, whatever their order: repeats of an architecture stay
 * together. */
static uint8_t fold_of(const uint16_t *row, size_t width, uint64_t seed)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < width; i++) {
        struct tl_rng rng;
        if (row[i] != MODEL_NO_FEATURE) {
            tl_rng_init(&rng, seed, row[i], 0);
            sum += tl_rng_u64(&rng);
        }
    }
    struct tl_rng rng;
    tl_rng_init(&rng, sum, 0, 0);
    return (uint8_t)tl_rng_below(&rng, MODEL_FOLDS);
}

static enum tl_rc fit_rows_set(struct fit_rows *data, const double *y, uint64_t seed, struct tl_err *err)
{
    const struct model_hot *rows = data->rows;
    const double n = (double)rows->n;
    size_t held[MODEL_FOLDS] = {0};
    double squares = 0.0;

    for (size_t i = 0; i < rows->n; i++) {
        data->fold[i] = fold_of(rows->index + i * rows->width, rows->width, seed);
        held[data->fold[i]]++;
        data->mean += y[i] / n;
    }
    for (size_t k = 0; k < MODEL_FOLDS; k++) {
        if (rows->n - held[k] < 2) {
            return tl_fail(err, TL_INVALID, "the rows are too few or too alike to hold some of them out");
        }
    }
    for (size_t i = 0; i < rows->n; i++) {
        squares += (y[i] - data->mean) * (y[i] - data->mean);
    }
    data->deviation = squares > 0.0 ? sqrt(squares / n) : 1.0;
    for (size_t i = 0; i < rows->n; i++) {
        data->z[i] = (y[i] - data->mean) / data->deviation;
    }
    return TL_OK;
}

enum tl_rc model_fit(enum model_kind kind, const struct model_hot *rows, const double *y, size_t n_features,
                     const struct model_hot *inducing, uint64_t seed, struct tl_pool *pool, struct model **ret_model,
                     struct tl_err *err)
{
    enum tl_rc rc = check_fit(kind, rows, y, n_features, inducing, err);
    if (rc) {
        return rc;
    }
    struct fit_rows data = {
        .rows = rows, .n_features = n_features, .z = calloc(rows->n, sizeof(double)), .fold = malloc(rows->n)};
    struct model *model = calloc(1, sizeof(*model));
    if (!data.z || !data.fold || !model) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory to fit %zu rows", rows->n);
    } else {
        model->kind = kind;
        model->n_features = n_features;
        rc = fit_rows_set(&data, y, seed, err);
    }
    if (!rc) {
        rc = kind == MODEL_MLP ? fit_mlp(&data, seed, pool, model, err)
                               : fit_kernel(&data, inducing, seed, pool, model, err);
    }
    free(data.z);
    free(data.fold);
    if (rc) {
        model_free(model);
        return rc;
    }
    *ret_model = model;
    return TL_OK;
}

/* ---- prediction ---------------------------------------------------------------------------------------------- */

enum tl_rc model_scratch_new(const struct model *model, size_t n, struct model_scratch **ret_scratch,
                             struct tl_err *err)
{
    const bool is_mlp = model->kind == MODEL_MLP;
    const size_t ld = is_mlp ? mlp_width(&model->mlp) : model->kernel.ld;
    struct model_scratch *scratch = calloc(1, sizeof(*scratch));
    size_t floats = 0;

    if (scratch && !__builtin_mul_overflow(n, ld, &floats)) {
        scratch->n = n;
        scratch->a = vec_alloc(floats);
        scratch->b = is_mlp ? vec_alloc(floats) : NULL;
        scratch->phi = vec_alloc(model->spread.n_features + model->spread.m);
    }
    if (!scratch || !scratch->a || (is_mlp && !scratch->b) || !scratch->phi) {
        model_scratch_free(scratch);
        return tl_fail(err, TL_NO_MEMORY, "no memory to predict %zu rows at once", n);
    }
    *ret_scratch = scratch;
    return TL_OK;
}

void model_scratch_free(struct model_scratch *scratch)
{
    if (!scratch) {
        return;
    }
    free(scratch->a);
    free(scratch->b);
    free(scratch->phi);
    free(scratch);
}

void model_predict(const struct model *model, struct model_scratch *scratch, const struct model_hot *rows, double *y)
{
    assert(rows->n <= scratch->n);
    if (model->kind == MODEL_MLP) {
        mlp_predict(&model->mlp, rows, scratch->a, scratch->b, y);
    } else {
        kernel_predict(&model->kernel, rows, scratch->a, y);
    }
}

void model_half_width(const struct model *model, struct model_scratch *scratch, const struct model_hot *rows,
                      double *half)
{
    const struct spread *spread = &model->spread;

    for (size_t i = 0; i < rows->n; i++) {
        const uint16_t *row = rows->index + i * rows->width;
        if (!spread->w) {
            half[i] = HUGE_VAL;
            continue;
        }
        if (spread->m) {
            kernel_activations(&model->kernel, row, rows->width, scratch->a);
        }
        const double variance = spread_variance(spread, row, rows->width, scratch->a, scratch->phi);
        half[i] = spread->calibration * sqrt(spread->floor + variance);
    }
}

/* ---- saved form ---------------------------------------------------------------------------------------------- */

enum tl_rc floats_save(const float *values, size_t n, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; !rc && i < n; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &values[i], sizeof(bits));
        rc = tl_buf_put_u32(buf, bits, err);
    }
    return rc;
}

bool floats_load(struct tl_cursor *cursor, float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = tl_cursor_u32(cursor);
        memcpy(&values[i], &bits, sizeof(bits));
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return !cursor->failed;
}

enum tl_rc doubles_save(const double *values, size_t n, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; !rc && i < n; i++) {
        rc = tl_buf_put_f64(buf, values[i], err);
    }
    return rc;
}

bool doubles_load(struct tl_cursor *cursor, double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        values[i] = tl_cursor_f64(cursor);
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return !cursor->failed;
}

enum tl_rc model_save(const struct model *model, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_add(buf, magic, sizeof(magic), err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)model->kind, err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)model->n_features, err);
    if (!rc) {
        rc = model->kind == MODEL_MLP ? mlp_save(&model->mlp, buf, err) : kernel_save(&model->kernel, buf, err);
    }
    return rc ? rc : spread_save(&model->spread, buf, err);
}

/* The parts agree with each other and with the number of features. */
static bool parts_fit(const struct model *model)
{
    const bool is_mlp = model->kind == MODEL_MLP;
    const struct spread *spread = &model->spread;
    return (is_mlp ? model->mlp.nets[0].sizes[0] : model->kernel.n_features) == model->n_features &&
           (!spread->w || spread->n_features == model->n_features) && spread->m <= (is_mlp ? 0 : model->kernel.m);
}

enum tl_rc model_load(const void *bytes, size_t n, struct model **ret_model, struct tl_err *err)
{
    struct tl_cursor cursor = tl_cursor_make(bytes, n);
    const void *begin = tl_cursor_bytes(&cursor, sizeof(magic));
    const uint32_t kind = tl_cursor_u32(&cursor), n_features = tl_cursor_u32(&cursor);

    if (!begin || memcmp(begin, magic, sizeof(magic)) != 0 || cursor.failed || kind >= MODEL_KIND_COUNT) {
        return tl_fail(err, TL_MALFORMED, "these bytes are not a saved model of a version this program reads");
    }
    struct model *model = calloc(1, sizeof(*model));
    if (!model) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a model");
    }
    model->kind = (enum model_kind)kind;
    model->n_features = n_features;
    enum tl_rc rc = kind == MODEL_MLP ? mlp_load(&cursor, &model->mlp, err) : kernel_load(&cursor, &model->kernel, err);
    rc = rc ? rc : spread_load(&cursor, &model->spread, err);
    if (!rc && (!tl_cursor_ok(&cursor) || !parts_fit(model))) {
        rc = tl_fail(err, TL_MALFORMED, "a saved model has parts that do not fit together, or bytes too many");
    }
    if (rc) {
        model_free(model);
        return rc == TL_NO_MEMORY ? rc : TL_MALFORMED;
    }
    *ret_model = model;
    return TL_OK;
}
