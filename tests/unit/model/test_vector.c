/* The vector loops against plain ones, on every instruction set this machine has. */
#include "base/model/model.h"
#include "base/model/vector.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t FEATURES = 9, LD = 128, ROWS = 5, WIDTH = 4;

static const uint16_t hot[5 * 4] = {
    0, 1, 2, 3, 8, 7, MODEL_NO_FEATURE, 6, MODEL_NO_FEATURE, MODEL_NO_FEATURE, MODEL_NO_FEATURE, MODEL_NO_FEATURE, 5, 4,
    3, 2, 0, 8, 1, 7};

static void fill(float *values, size_t n, uint64_t seed)
{
    struct tl_rng rng;
    tl_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; i < n; i++) {
        values[i] = (float)tl_rng_normal(&rng);
    }
}

static void a_hot_sum_adds_the_rows_of_the_table(void **state)
{
    float *w = vec_alloc(FEATURES * LD), *bias = vec_alloc(LD), *out = vec_alloc(ROWS * LD);
    (void)state;
    fill(w, FEATURES * LD, 1);
    fill(bias, LD, 2);
    for (int with_bias = 0; with_bias < 2; with_bias++) {
        vec_best()->hot_sum(out, hot, ROWS, WIDTH, w, with_bias ? bias : NULL, LD);
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t c = 0; c < LD; c++) {
                float sum = with_bias ? bias[c] : 0.0F;
                for (size_t i = 0; i < WIDTH; i++) {
                    sum += hot[r * WIDTH + i] == MODEL_NO_FEATURE ? 0.0F : w[hot[r * WIDTH + i] * LD + c];
                }
                assert_true(out[r * LD + c] == sum); /* the same order: the same bits */
            }
        }
    }
    free(w);
    free(bias);
    free(out);
}

static void relu_cuts_below_zero_after_the_bias(void **state)
{
    float *x = vec_alloc(LD), *bias = vec_alloc(LD), *w = vec_alloc(LD), *kept = vec_alloc(LD);
    double sum = 0.0;
    (void)state;
    fill(x, LD, 3);
    fill(bias, LD, 4);
    fill(w, LD, 5);
    memcpy(kept, x, LD * sizeof(*x));
    for (size_t i = 0; i < LD; i++) {
        sum += (double)(fmaxf(x[i] + bias[i], 0.0F) * w[i]);
    }
    assert_true(fabs(vec_best()->bias_relu_dot(x, bias, w, LD) - sum) < 1e-4);
    vec_best()->bias_relu(x, bias, LD);
    for (size_t i = 0; i < LD; i++) {
        assert_true(x[i] == fmaxf(kept[i] + bias[i], 0.0F));
    }
    free(x);
    free(bias);
    free(w);
    free(kept);
}

static void exp_is_right_to_a_few_last_bits_and_never_negative(void **state)
{
    float *x = vec_alloc(LD);
    (void)state;
    for (int block = 0; block < 244; block++) {
        const double begin = -90.0 + 0.37 * block;
        for (size_t i = 0; i < LD; i++) {
            x[i] = (float)fmin(begin + 0.37 * (double)i / 128.0, 0.0);
        }
        float *y = vec_alloc(LD);
        memcpy(y, x, LD * sizeof(*x));
        vec_best()->exp(y, LD);
        for (size_t i = 0; i < LD; i++) {
            const double right = exp(fmax((double)x[i], -87.0));
            assert_true(fabs((double)y[i] - right) <= 2e-7 * right);
        }
        free(y);
    }
    x[0] = 0.0F;
    x[1] = -INFINITY;
    vec_best()->exp(x, LD);
    assert_true(x[0] == 1.0F);
    assert_true(x[1] > 0.0F && x[1] < 1e-37F);
    free(x);
}

static void dot_adds_in_double(void **state)
{
    float *x = vec_alloc(LD);
    double w[128], sum = 0.0;
    (void)state;
    fill(x, LD, 6);
    for (size_t i = 0; i < LD; i++) {
        w[i] = (i % 2 ? 1e9 : -1e9) + (double)i;
        x[i] = i % 2 ? x[i - 1] : x[i]; /* the large parts cancel */
        sum += (double)x[i] * (double)i;
    }
    assert_true(fabs(vec_best()->dot(x, w, LD) - sum) < 1e-4);
    free(x);
}

static void every_instruction_set_gives_the_same_bits(void **state)
{
    static const char *const limits[] = {"plain", "avx2", ""};
    float first[5 * 128];
    double first_dot = 0.0;
    (void)state;
    for (size_t k = 0; k < TL_COUNT_OF(limits); k++) {
        float *w = vec_alloc(FEATURES * LD), *out = vec_alloc(ROWS * LD);
        double weights[128];
        assert_int_equal(setenv("TAILOR_ISA", limits[k], 1), 0); /* NOLINT(concurrency-mt-unsafe): one thread */
        const struct vec_table *vec = vec_best();
        fill(w, FEATURES * LD, 8);
        vec->hot_sum(out, hot, ROWS, WIDTH, w, NULL, LD);
        for (size_t i = 0; i < ROWS * LD; i++) {
            out[i] = -fabsf(out[i]);
        }
        vec->exp(out, ROWS * LD);
        for (size_t i = 0; i < LD; i++) {
            weights[i] = 1.0 / (double)(i + 1);
        }
        const double dot = vec->dot(out, weights, LD) + vec->bias_relu_dot(out, w, w + LD, LD);
        if (k == 0) {
            memcpy(first, out, sizeof(first));
            first_dot = dot;
        }
        assert_memory_equal(out, first, sizeof(first));
        assert_true(dot == first_dot);
        free(w);
        free(out);
    }
    (void)unsetenv("TAILOR_ISA"); /* NOLINT(concurrency-mt-unsafe): one thread */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hot_sum_adds_the_rows_of_the_table),
        cmocka_unit_test(relu_cuts_below_zero_after_the_bias),
        cmocka_unit_test(exp_is_right_to_a_few_last_bits_and_never_negative),
        cmocka_unit_test(dot_adds_in_double),
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
