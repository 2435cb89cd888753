/* Cholesky in blocks, what is solved with it, and ridge regression. */
#include "alloc_fail.h"
#include "base/model/linear.h"
#include "base/model/model.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

/* A random positive definite matrix, B B' + n I. */
static double *definite(size_t n, uint64_t seed)
{
    double *b = calloc(n * n, sizeof(*b)), *a = calloc(n * n, sizeof(*a));
    struct tl_rng rng;
    assert_true(a && b);
    tl_rng_init(&rng, seed, n, 0);
    for (size_t i = 0; i < n * n; i++) {
        b[i] = tl_rng_normal(&rng);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            for (size_t k = 0; k < n; k++) {
                a[i * n + j] += b[i * n + k] * b[j * n + k];
            }
        }
        a[i * n + i] += (double)n;
    }
    free(b);
    return a;
}

/* Sizes about the panel of 96, where blocks begin and end. */
static const size_t sizes[] = {1, 2, 95, 96, 97, 150, 193};

static void a_factor_times_itself_is_the_matrix(void **state)
{
    (void)state;
    for (size_t s = 0; s < TL_COUNT_OF(sizes); s++) {
        const size_t n = sizes[s];
        double *a = definite(n, 3), *l = definite(n, 3);
        assert_true(linear_cholesky(l, n));
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j <= i; j++) {
                double sum = 0.0;
                for (size_t k = 0; k <= j; k++) {
                    sum += l[i * n + k] * l[j * n + k];
                }
                assert_true(fabs(sum - a[i * n + j]) < 1e-9 * (double)n);
            }
        }
        free(a);
        free(l);
    }
}

static void solving_and_inverting_undo_the_factor(void **state)
{
    (void)state;
    for (size_t s = 0; s < TL_COUNT_OF(sizes); s++) {
        const size_t n = sizes[s];
        double *a = definite(n, 5), *l = definite(n, 5), *x = calloc(n, sizeof(*x)), *inverse = definite(n, 5);
        assert_true(linear_cholesky(l, n));
        for (size_t i = 0; i < n; i++) {
            x[i] = 1.0;
        }
        linear_solve(l, n, x);
        linear_invert_lower(l, n, inverse);
        for (size_t i = 0; i < n; i++) {
            double ax = 0.0, unit = 0.0;
            for (size_t k = 0; k < n; k++) {
                ax += a[i * n + k] * x[k];
                unit += k <= i ? l[i * n + k] * inverse[k * n] : 0.0; /* L times the first column */
            }
            assert_true(fabs(ax - 1.0) < 1e-9);
            assert_true(fabs(unit - (i == 0 ? 1.0 : 0.0)) < 1e-9);
        }
        free(a);
        free(l);
        free(x);
        free(inverse);
    }
}

static void what_is_not_positive_definite_is_refused(void **state)
{
    (void)state;
    assert_false(linear_cholesky((double[]){1, 0, 2, 1}, 2));
    assert_false(linear_cholesky((double[]){0}, 1));
    assert_false(linear_cholesky((double[]){(double)NAN}, 1));
    assert_false(linear_cholesky((double[]){(double)INFINITY}, 1));
    double *a = definite(130, 9);
    a[120 * 130 + 120] = -1.0; /* in the second panel */
    assert_false(linear_cholesky(a, 130));
    free(a);
}

/* y = 2 x0 - 3 x1 exactly; with a huge lambda the prior wins, with a tiny one the rows do. */
static const double rows_x[] = {1, 0, 0, 1, 1, 1, 2, 1, 1, 3}, rows_y[] = {2, -3, -1, 1, -7};

static void ridge_moves_from_the_rows_to_the_prior_with_lambda(void **state)
{
    double beta[2];
    (void)state;
    assert_int_equal(model_ridge(rows_x, rows_y, 5, 2, (double[]){1e-9, 1e-9}, NULL, beta, NULL), TL_OK);
    assert_true(fabs(beta[0] - 2.0) < 1e-6 && fabs(beta[1] + 3.0) < 1e-6);
    assert_int_equal(model_ridge(rows_x, rows_y, 5, 2, (double[]){1e9, 1e9}, (double[]){5, 7}, beta, NULL), TL_OK);
    assert_true(fabs(beta[0] - 5.0) < 1e-6 && fabs(beta[1] - 7.0) < 1e-6);
    /* one column held at its prior, the other free: the least squares of the rest */
    assert_int_equal(model_ridge(rows_x, rows_y, 5, 2, (double[]){1e12, 0.0}, (double[]){2, 0}, beta, NULL), TL_OK);
    assert_true(fabs(beta[0] - 2.0) < 1e-6 && fabs(beta[1] + 3.0) < 1e-6);
}

static void ridge_refuses_columns_that_depend_on_each_other(void **state)
{
    double beta[2] = {11, 12};
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(model_ridge((double[]){1, 1, 2, 2}, (double[]){1, 2}, 2, 2, (double[]){0, 0}, NULL, beta, &err),
                     TL_INVALID);
    assert_true(beta[0] == 11.0 && beta[1] == 12.0);
    assert_int_equal(model_ridge(rows_x, rows_y, 0, 2, (double[]){1, 1}, NULL, beta, NULL), TL_INVALID);
}

static enum tl_rc a_ridge_is_solved(void *ctx, struct tl_err *err)
{
    double beta[2];
    (void)ctx;
    return model_ridge(rows_x, rows_y, 5, 2, (double[]){1, 1}, NULL, beta, err);
}

static void ridge_survives_every_failing_allocation(void **state)
{
    (void)state;
    (void)alloc_fail_each(a_ridge_is_solved, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_factor_times_itself_is_the_matrix),
        cmocka_unit_test(solving_and_inverting_undo_the_factor),
        cmocka_unit_test(what_is_not_positive_definite_is_refused),
        cmocka_unit_test(ridge_moves_from_the_rows_to_the_prior_with_lambda),
        cmocka_unit_test(ridge_refuses_columns_that_depend_on_each_other),
        cmocka_unit_test(ridge_survives_every_failing_allocation),
    };
    model_blas_single_thread();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
