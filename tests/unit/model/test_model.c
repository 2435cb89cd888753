/* Both kinds of regression through the public interface: what they learn, their intervals, their saved form. */
#include "alloc_fail.h"
#include "base/model/model.h"
#include "rows.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct made_rows train, fresh, inducing, few;

static int make_rows(void **state)
{
    (void)state;
    made_rows_draw(&train, 200, 3, 0.02, 1);
    made_rows_draw(&fresh, 100, 3, 0.02, 2);
    made_rows_draw(&inducing, 96, 3, 0.0, 3);
    made_rows_draw(&few, 20, 2, 0.02, 4);
    return 0;
}

static struct model *fitted(enum model_kind kind, const struct made_rows *rows, uint64_t seed, struct tl_pool *pool)
{
    struct model *model = NULL;
    struct tl_err err = {0};
    assert_int_equal(model_fit(kind, &rows->hot, rows->y, ROWS_FEATURES, &inducing.hot, seed, pool, &model, &err),
                     TL_OK);
    assert_int_equal(model_kind_of(model), kind);
    assert_int_equal(model_features(model), ROWS_FEATURES);
    return model;
}

/* Predictions and half widths (NULL: not wanted). */
static void predict(const struct model *model, const struct model_hot *rows, double *y, double *half)
{
    struct model_scratch *scratch = NULL;
    struct tl_err err = {0};
    assert_int_equal(model_scratch_new(model, rows->n, &scratch, &err), TL_OK);
    model_predict(model, scratch, rows, y);
    if (half) {
        model_half_width(model, scratch, rows, half);
    }
    model_scratch_free(scratch);
}

/* The deviation of the values is about 1.1; linear regression leaves 0.3. */
static void interactions_are_learned_from_two_hundred_rows(void **state)
{
    static const double limits[MODEL_KIND_COUNT] = {[MODEL_MLP] = 0.15, [MODEL_KERNEL] = 0.06};
    double y[ROWS_MAX], half[ROWS_MAX];
    (void)state;
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        struct model *model = fitted((enum model_kind)kind, &train, 1, NULL);
        size_t inside = 0;
        predict(model, &fresh.hot, y, half);
        for (size_t i = 0; i < fresh.hot.n; i++) {
            inside += fabs(y[i] - fresh.y[i]) <= half[i];
        }
        print_message("%s: rmse %.4f, %zu of %zu inside\n", model_kind_name((enum model_kind)kind),
                      stat_rmse(y, fresh.y, fresh.hot.n), inside, fresh.hot.n);
        assert_true(stat_rmse(y, fresh.y, fresh.hot.n) < limits[kind]);
        assert_true(inside >= 80);
        model_free(model);
    }
}

/* Options that no training row has: the intervals of such rows are wider than all others. */
static void intervals_widen_away_from_the_training_rows(void **state)
{
    struct made_rows near, far;
    double y[ROWS_MAX], half_near[ROWS_MAX], half_far[ROWS_MAX];
    (void)state;
    made_rows_draw(&near, 150, 2, 0.02, 5);
    made_rows_draw(&far, 50, 3, 0.0, 6);
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        struct model *model = fitted((enum model_kind)kind, &near, 1, NULL);
        predict(model, &near.hot, y, half_near);
        predict(model, &far.hot, y, half_far);
        const double widest = stat_quantile(half_near, near.hot.n, 1.0);
        for (size_t i = 0; i < far.hot.n; i++) {
            bool unseen = false;
            for (size_t v = 0; v < ROWS_VARIABLES; v++) {
                unseen = unseen || far.index[i * ROWS_VARIABLES + v] % ROWS_OPTIONS == 2;
            }
            assert_true(!unseen || half_far[i] > widest);
        }
        model_free(model);
    }
}

static void the_same_seed_gives_the_same_bytes_on_any_number_of_threads(void **state)
{
    struct tl_err err = {0};
    struct tl_pool *pool = NULL;
    (void)state;
    assert_int_equal(tl_pool_new(&pool, 3, &err), TL_OK);
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        struct model *models[3] = {fitted((enum model_kind)kind, &few, 9, NULL),
                                   fitted((enum model_kind)kind, &few, 9, pool),
                                   fitted((enum model_kind)kind, &few, 10, pool)};
        struct tl_buf bytes[3] = {{.max = 1 << 24}, {.max = 1 << 24}, {.max = 1 << 24}};
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(model_save(models[i], &bytes[i], &err), TL_OK);
        }
        assert_int_equal(bytes[0].len, bytes[1].len);
        assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].len);
        assert_true(bytes[2].len != bytes[0].len || memcmp(bytes[0].data, bytes[2].data, bytes[0].len) != 0);
        for (size_t i = 0; i < 3; i++) {
            model_free(models[i]);
            tl_buf_done(&bytes[i]);
        }
    }
    tl_pool_free(pool);
}

static void a_row_of_a_kernel_model_has_the_same_bits_in_any_company(void **state)
{
    struct model *model = fitted(MODEL_KERNEL, &few, 1, NULL);
    double together[ROWS_MAX], alone;
    (void)state;
    predict(model, &fresh.hot, together, NULL);
    for (size_t i = 0; i < fresh.hot.n; i++) {
        const struct model_hot one = {fresh.index + i * ROWS_VARIABLES, 1, ROWS_VARIABLES};
        predict(model, &one, &alone, NULL);
        assert_true(alone == together[i]);
    }
    model_free(model);
}

static void a_row_of_a_network_differs_by_rounding_at_most(void **state)
{
    struct model *model = fitted(MODEL_MLP, &few, 1, NULL);
    double together[ROWS_MAX], again[ROWS_MAX], alone;
    (void)state;
    predict(model, &fresh.hot, together, NULL);
    predict(model, &fresh.hot, again, NULL);
    assert_memory_equal(together, again, fresh.hot.n * sizeof(*again));
    for (size_t i = 0; i < fresh.hot.n; i++) {
        const struct model_hot one = {fresh.index + i * ROWS_VARIABLES, 1, ROWS_VARIABLES};
        predict(model, &one, &alone, NULL);
        assert_true(fabs(alone - together[i]) < 1e-4);
    }
    model_free(model);
}

static void a_saved_model_predicts_the_same_bits_when_loaded(void **state)
{
    (void)state;
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        TL_AUTO(tl_buf) bytes = {.max = 1 << 24}, again = {.max = 1 << 24};
        double y[ROWS_MAX], half[ROWS_MAX], y2[ROWS_MAX], half2[ROWS_MAX];
        struct model *model = fitted((enum model_kind)kind, &few, 1, NULL), *loaded = NULL;
        struct tl_err err = {0};
        assert_int_equal(model_save(model, &bytes, &err), TL_OK);
        assert_int_equal(model_load(bytes.data, bytes.len, &loaded, &err), TL_OK);
        predict(model, &fresh.hot, y, half);
        predict(loaded, &fresh.hot, y2, half2);
        assert_memory_equal(y, y2, fresh.hot.n * sizeof(*y));
        assert_memory_equal(half, half2, fresh.hot.n * sizeof(*half));
        assert_int_equal(model_save(loaded, &again, &err), TL_OK);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.data, bytes.data, bytes.len);
        model_free(model);
        model_free(loaded);
    }
}

/* Cut at any place, with a byte too many, or with any one of its first 64 bytes changed: an error, or a model that can
 * be used, but never a crash. */
static void damaged_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        TL_AUTO(tl_buf) bytes = {.max = 1 << 24};
        struct model *model = fitted((enum model_kind)kind, &few, 1, NULL), *loaded = NULL;
        double y[ROWS_MAX];
        assert_int_equal(model_save(model, &bytes, NULL), TL_OK);
        for (size_t n = 0; n < bytes.len; n += n < 200 ? 1 : 997) {
            assert_int_equal(model_load(bytes.data, n, &loaded, NULL), TL_MALFORMED);
        }
        assert_int_equal(tl_buf_add(&bytes, "x", 1, NULL), TL_OK);
        assert_int_equal(model_load(bytes.data, bytes.len, &loaded, NULL), TL_MALFORMED);
        for (size_t at = 0; at < 64; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                bytes.data[at] = (char)(bytes.data[at] ^ (1 << bit));
                if (model_load(bytes.data, bytes.len - 1, &loaded, NULL) == TL_OK) {
                    assert_int_equal(model_features(loaded), ROWS_FEATURES);
                    predict(loaded, &few.hot, y, NULL);
                    model_free(loaded);
                }
                bytes.data[at] = (char)(bytes.data[at] ^ (1 << bit));
            }
        }
        model_free(model);
    }
}

static void rows_that_cannot_be_fitted_are_refused_with_a_reason(void **state)
{
    struct made_rows bad = few;
    struct model *model = NULL;
    struct tl_err err = {0};
    (void)state;
    bad.hot.index = bad.index;
    bad.index[7] = ROWS_FEATURES;
    assert_int_equal(model_fit(MODEL_MLP, &bad.hot, bad.y, ROWS_FEATURES, &inducing.hot, 1, NULL, &model, &err),
                     TL_INVALID);
    assert_non_null(strstr(err.text, "row 1 has feature 18"));
    bad = few;
    bad.hot.index = bad.index;
    bad.y[3] = (double)NAN;
    err = (struct tl_err){0};
    assert_int_equal(model_fit(MODEL_KERNEL, &bad.hot, bad.y, ROWS_FEATURES, &inducing.hot, 1, NULL, &model, &err),
                     TL_INVALID);
    assert_non_null(strstr(err.text, "row 3"));
    bad = few;
    bad.hot = (struct model_hot){bad.index, 9, ROWS_VARIABLES};
    assert_int_equal(model_fit(MODEL_MLP, &bad.hot, bad.y, ROWS_FEATURES, &inducing.hot, 1, NULL, &model, NULL),
                     TL_INVALID);
    const struct model_hot none = {NULL, 0, ROWS_VARIABLES};
    assert_int_equal(model_fit(MODEL_KERNEL, &few.hot, few.y, ROWS_FEATURES, &none, 1, NULL, &model, NULL), TL_INVALID);
    for (size_t i = 0; i < 20; i++) { /* one architecture twenty times: nothing to hold out */
        memcpy(bad.index + i * ROWS_VARIABLES, few.index, ROWS_VARIABLES * sizeof(*bad.index));
    }
    bad.hot.n = 20;
    assert_int_equal(model_fit(MODEL_KERNEL, &bad.hot, bad.y, ROWS_FEATURES, &inducing.hot, 1, NULL, &model, NULL),
                     TL_INVALID);
    assert_null(model);
}

/* ---- a network from outside ------------------------------------------------------------------------------------ */

/* 3 features, 2 units, 1 output. */
static const size_t sizes[] = {3, 2, 1};
static const float first[] = {1, 2, 3, -1, -2, -3}, second[] = {10, 100}, bias[] = {0.5F, 4.5F}, last_bias[] = {7};

static struct model *imported(const float *last)
{
    struct model *model = NULL;
    assert_int_equal(model_mlp_import(2, sizes, (const float *[]){first, second}, (const float *[]){bias, last}, 1.0,
                                      2.0, &model, NULL),
                     TL_OK);
    return model;
}

static void an_imported_network_computes_its_formula(void **state)
{
    static const uint16_t rows[] = {0, MODEL_NO_FEATURE, 1, 2, MODEL_NO_FEATURE, MODEL_NO_FEATURE};
    const struct model_hot hot = {rows, 3, 2};
    struct model *model = imported(last_bias);
    double y[3], half[3];
    (void)state;
    predict(model, &hot, y, half);
    /* units max(0, 0.5 + sum) and max(0, 4.5 - sum); y = 1 + 2 (10 u + 100 v + 7) */
    assert_true(fabs(y[0] - (1 + 2 * (15 + 350 + 7))) < 1e-3);
    assert_true(fabs(y[1] - (1 + 2 * (55 + 0 + 7))) < 1e-3);
    assert_true(fabs(y[2] - (1 + 2 * (5 + 450 + 7))) < 1e-3);
    assert_true(isinf(half[0]) && isinf(half[1]) && isinf(half[2]));
    model_free(model);
    model = imported(NULL);
    predict(model, &hot, y, NULL);
    assert_true(fabs(y[0] - (1 + 2 * (15 + 350))) < 1e-3);
    model_free(model);
}

static void an_imported_network_that_makes_no_sense_is_refused(void **state)
{
    const float wrong[] = {1, 2, 3, -1, (float)NAN, -3};
    const float *const weights[] = {first, second}, *const none[] = {NULL, NULL}, *const bad[] = {wrong, second};
    struct model *model = NULL;
    (void)state;
    assert_int_equal(model_mlp_import(2, sizes, bad, none, 0, 1, &model, NULL), TL_INVALID);
    assert_int_equal(model_mlp_import(2, sizes, weights, none, 0, HUGE_VAL, &model, NULL), TL_INVALID);
    assert_int_equal(model_mlp_import(1, (size_t[]){3, 1}, weights, none, 0, 1, &model, NULL), TL_INVALID);
    assert_int_equal(model_mlp_import(2, (size_t[]){3, 2, 2}, weights, none, 0, 1, &model, NULL), TL_INVALID);
    assert_int_equal(model_mlp_import(2, (size_t[]){3, 0, 1}, weights, none, 0, 1, &model, NULL), TL_INVALID);
    assert_null(model);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static enum tl_rc a_model_is_saved_loaded_and_asked(struct model *model, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = 1 << 24};
    struct model *loaded = NULL;
    struct model_scratch *scratch = NULL;
    enum tl_rc rc = model_save(model, &bytes, err);
    rc = rc ? rc : model_load(bytes.data, bytes.len, &loaded, err);
    rc = rc ? rc : model_scratch_new(loaded, 10, &scratch, err);
    model_scratch_free(scratch);
    model_free(loaded);
    return rc;
}

static enum tl_rc a_kernel_model_is_fitted(void *ctx, struct tl_err *err)
{
    const struct model_hot some = {few.index, 12, ROWS_VARIABLES}, standing = {inducing.index, 16, ROWS_VARIABLES};
    struct model *model = NULL;
    (void)ctx;
    enum tl_rc rc = model_fit(MODEL_KERNEL, &some, few.y, ROWS_FEATURES, &standing, 1, NULL, &model, err);
    rc = rc ? rc : a_model_is_saved_loaded_and_asked(model, err);
    model_free(model);
    return rc;
}

static enum tl_rc a_network_is_imported(void *ctx, struct tl_err *err)
{
    struct model *model = NULL;
    (void)ctx;
    enum tl_rc rc = model_mlp_import(2, sizes, (const float *[]){first, second}, (const float *[]){bias, NULL}, 0.0,
                                     1.0, &model, err);
    rc = rc ? rc : a_model_is_saved_loaded_and_asked(model, err);
    model_free(model);
    return rc;
}

static void models_survive_every_failing_allocation(void **state)
{
    (void)state;
    (void)alloc_fail_each(a_kernel_model_is_fitted, NULL);
    (void)alloc_fail_each(a_network_is_imported, NULL);
}

/* Training takes its memory at the beginning, so the first allocations are the ones that matter. */
static void training_survives_failing_allocations(void **state)
{
    (void)state;
    for (size_t nth = 1; nth <= 60; nth += 7) {
        struct model *model = NULL;
        struct tl_err err = {0};
        alloc_fail_at(nth);
        assert_int_equal(model_fit(MODEL_MLP, &few.hot, few.y, ROWS_FEATURES, &inducing.hot, 1, NULL, &model, &err),
                         TL_NO_MEMORY);
        assert_true(alloc_fail_happened());
        alloc_fail_at(0);
        assert_null(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interactions_are_learned_from_two_hundred_rows),
        cmocka_unit_test(intervals_widen_away_from_the_training_rows),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_on_any_number_of_threads),
        cmocka_unit_test(a_row_of_a_kernel_model_has_the_same_bits_in_any_company),
        cmocka_unit_test(a_row_of_a_network_differs_by_rounding_at_most),
        cmocka_unit_test(a_saved_model_predicts_the_same_bits_when_loaded),
        cmocka_unit_test(damaged_bytes_are_refused_or_harmless),
        cmocka_unit_test(rows_that_cannot_be_fitted_are_refused_with_a_reason),
        cmocka_unit_test(an_imported_network_computes_its_formula),
        cmocka_unit_test(an_imported_network_that_makes_no_sense_is_refused),
        cmocka_unit_test(models_survive_every_failing_allocation),
        cmocka_unit_test(training_survives_failing_allocations),
    };
    model_blas_single_thread();
    return cmocka_run_group_tests(tests, make_rows, NULL);
}
