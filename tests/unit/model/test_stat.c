/* Statistics: order statistics, distribution-free bounds, rank correlations against values computed by hand or by
 * counting. */
#include "base/model/model.h"

#include <cmocka.h>
#include <math.h>

static void near(double a, double b)
{
    assert_true(fabs(a - b) <= 1e-12 * fmax(1.0, fabs(b)));
}

static void quantiles_interpolate_between_order_statistics(void **state)
{
    (void)state;
    near(stat_median((double[]){4, 1, 3, 2}, 4), 2.5);
    near(stat_median((double[]){9, -1, 3}, 3), 3);
    near(stat_median((double[]){7}, 1), 7);
    near(stat_quantile((double[]){10, 20, 30, 40, 50}, 5, 0.9), 46);
    near(stat_quantile((double[]){3, 1, 2}, 3, 0.0), 1);
    near(stat_quantile((double[]){3, 1, 2}, 3, 1.0), 3);
    near(stat_mad((double[]){1, 1, 2, 2, 4, 6, 9}, 7), 1);
}

/* By summing binomials exactly for small n; 59 for the maximum of the 95 % quantile at 95 % is the textbook number. */
static void the_upper_rank_of_a_quantile_is_the_binomial_one(void **state)
{
    (void)state;
    assert_int_equal(stat_quantile_upper_rank(4, 0.5, 0.95), 0);
    assert_int_equal(stat_quantile_upper_rank(5, 0.5, 0.95), 5);
    assert_int_equal(stat_quantile_upper_rank(20, 0.5, 0.95), 15);
    assert_int_equal(stat_quantile_upper_rank(58, 0.95, 0.95), 0);
    assert_int_equal(stat_quantile_upper_rank(59, 0.95, 0.95), 59);
    assert_int_equal(stat_quantile_upper_rank(0, 0.5, 0.95), 0);
    /* Large n: near the normal approximation n/2 + 1.645 sqrt(n)/2, far from underflow. */
    const size_t rank = stat_quantile_upper_rank(100000, 0.5, 0.95);
    assert_in_range(rank, 50255, 50266);
}

static void a_conformal_width_is_an_order_statistic(void **state)
{
    (void)state;
    near(stat_conformal((double[]){9, 8, 7, 6, 5, 4, 3, 2, 1}, 9, 0.9), 9);
    near(stat_conformal((double[]){9, 8, 7, 6, 5, 4, 3, 2, 1}, 9, 0.5), 5);
    near(stat_conformal((double[]){1, 2, 3}, 3, 0.9), 6); /* too few: twice the largest */
    assert_true(isinf(stat_conformal((double[]){0}, 0, 0.9)));
}

static void errors_are_root_mean_squares_and_per_cents(void **state)
{
    (void)state;
    near(stat_rmse((double[]){1, 2, 3}, (double[]){1, 4, 7}, 3), sqrt(20.0 / 3.0));
    near(stat_mape((double[]){110, 45}, (double[]){100, 50}, 2), 10.0);
}

static void spearman_gives_ties_their_average_rank(void **state)
{
    (void)state;
    near(stat_spearman((double[]){1, 2, 3, 4}, (double[]){10, 20, 30, 40}, 4), 1);
    near(stat_spearman((double[]){1, 2, 3, 4}, (double[]){4, 3, 2, 1}, 4), -1);
    /* ranks 1 2.5 2.5 4 and 1 2 3 4: cov 4.5, variances 4.5 and 5 */
    near(stat_spearman((double[]){1, 2, 2, 3}, (double[]){1, 2, 3, 4}, 4), 4.5 / sqrt(4.5 * 5.0));
    assert_true(isnan(stat_spearman((double[]){1, 1, 1}, (double[]){1, 2, 3}, 3)));
}

/* tau-b by looking at every pair. */
static double kendall_counted(const double *a, const double *b, size_t n)
{
    double sum = 0.0, free_a = 0.0, free_b = 0.0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const int x = (a[i] > a[j]) - (a[i] < a[j]), y = (b[i] > b[j]) - (b[i] < b[j]);
            sum += x * y;
            free_a += x != 0;
            free_b += y != 0;
        }
    }
    return sum / sqrt(free_a * free_b);
}

static void kendall_equals_counting_pairs(void **state)
{
    double a[57], b[57];
    struct tl_rng rng;
    (void)state;
    tl_rng_init(&rng, 7, 0, 0);
    for (size_t n = 2; n <= TL_COUNT_OF(a); n++) {
        for (size_t i = 0; i < n; i++) { /* few values: many ties on either side and on both */
            a[i] = tl_rng_below(&rng, 9);
            b[i] = a[i] + tl_rng_below(&rng, 7);
        }
        a[0] = -1;
        b[1] = -1;
        near(stat_kendall(a, b, n), kendall_counted(a, b, n));
    }
    assert_true(isnan(stat_kendall((double[]){1, 1}, (double[]){1, 2}, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_interpolate_between_order_statistics),
        cmocka_unit_test(the_upper_rank_of_a_quantile_is_the_binomial_one),
        cmocka_unit_test(a_conformal_width_is_an_order_statistic),
        cmocka_unit_test(errors_are_root_mean_squares_and_per_cents),
        cmocka_unit_test(spearman_gives_ties_their_average_rank),
        cmocka_unit_test(kendall_equals_counting_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
