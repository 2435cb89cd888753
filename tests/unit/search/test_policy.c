/* What stochastic policies stand on: distributions, draws, gradients, and Adam's steps. */
#include "search/policy.h"

#include <cmocka.h>
#include <math.h>

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

static void a_softmax_is_a_distribution_whatever_the_logits(void **state)
{
    const double logits[] = {0, log(3)}, huge[] = {-1e6, 1e6, 1e6};
    double p[3];
    (void)state;
    policy_softmax(logits, 2, p);
    assert_near(p[0], 0.25, 1e-15);
    assert_near(p[1], 0.75, 1e-15);
    policy_softmax(huge, 3, p);
    assert_true(p[0] == 0 && p[1] == 0.5 && p[2] == 0.5);
    policy_softmax(huge, 1, p);
    assert_true(p[0] == 1);
}

static void a_draw_inverts_the_cumulative_sum(void **state)
{
    const double p[] = {0.25, 0, 0.5, 0.25, 0}, tenths[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    (void)state;
    assert_int_equal(policy_draw(p, 5, 0), 0);
    assert_int_equal(policy_draw(p, 5, 0.2499), 0);
    assert_int_equal(policy_draw(p, 5, 0.25), 2);
    assert_int_equal(policy_draw(p, 5, 0.7499), 2);
    assert_int_equal(policy_draw(p, 5, 0.75), 3);
    assert_int_equal(policy_draw(p, 5, 1), 3);
    assert_int_equal(policy_draw(tenths, 10, 1 - 0x1p-53), 9); /* their sum is 1 - 2^-53 */
}

static void entropy_is_that_of_the_distribution(void **state)
{
    const double even[] = {0.25, 0.25, 0.25, 0.25}, sure[] = {0, 1};
    (void)state;
    assert_near(policy_entropy(even, 4), log(4), 1e-15);
    assert_near(policy_entropy(sure, 2), 0, 0);
}

static double objective(const double *logits, uint8_t choice, double of_log, double of_entropy)
{
    double p[4];
    policy_softmax(logits, 4, p);
    return of_log * log(p[choice]) + of_entropy * policy_entropy(p, 4);
}

static void gradients_agree_with_central_differences(void **state)
{
    double logits[] = {0.3, -1.2, 2, 0}, p[4], gradient[] = {5, 5, 5, 5};
    (void)state;
    policy_softmax(logits, 4, p);
    policy_pull(p, 4, 1, 0.7, -0.4, gradient);
    for (size_t o = 0; o < 4; o++) {
        double here = logits[o], step = 1e-5;
        logits[o] = here + step;
        double above = objective(logits, 1, 0.7, -0.4);
        logits[o] = here - step;
        double below = objective(logits, 1, 0.7, -0.4);
        logits[o] = here;
        assert_near(gradient[o] - 5, (above - below) / (2 * step), 1e-9); /* it adds */
    }
}

/* squares 0.001 g^2 over 1 - 0.999: the first step is `rate` long whatever the gradient; the second has two to weigh. */
static void adam_steps_by_the_size_of_its_gradients(void **state)
{
    const double gradient[] = {3, -1e-3, 0}, next[] = {1, 0, 0}, far[] = {1, 1, -1};
    double parameters[] = {0, 0, 0}, squares[3] = {0};
    (void)state;
    policy_ascend(parameters, squares, gradient, 3, 1, 0.1, 10);
    assert_near(parameters[0], 0.1, 1e-8);
    assert_near(parameters[1], -0.1, 1e-5);
    assert_true(parameters[2] == 0);
    policy_ascend(parameters, squares, next, 3, 2, 0.1, 10);
    assert_near(parameters[0], 0.1 + 0.1 / sqrt((0.999 * 0.009 + 0.001) / (1 - 0.999 * 0.999)), 1e-8);
    assert_near(parameters[1], -0.1, 1e-5);
    policy_ascend(parameters, squares, far, 3, 3, 1e9, 10);
    assert_true(parameters[0] == 10 && parameters[1] == 10 && parameters[2] == -10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_softmax_is_a_distribution_whatever_the_logits),
        cmocka_unit_test(a_draw_inverts_the_cumulative_sum),
        cmocka_unit_test(entropy_is_that_of_the_distribution),
        cmocka_unit_test(gradients_agree_with_central_differences),
        cmocka_unit_test(adam_steps_by_the_size_of_its_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
