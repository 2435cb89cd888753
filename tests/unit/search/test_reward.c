/* The rewards: each formula's published numbers, scales that units and signs do not change, and what has no value. */
#include "search/reward.h"

#include "worlds.h"

enum { ROWS = 4 };

struct told {
    double values[ROWS * SEARCH_METRICS_MAX], score[ROWS], violation[ROWS], advantages[ROWS];
};

static bool learn(struct reward *reward, struct told *told, size_t n)
{
    const struct search_batch batch = {
        .n = n, .values = told->values, .score = told->score, .violation = told->violation};
    return reward_learn(reward, &batch, told->advantages);
}

/* Candidate i has this cost and gain; what is not valued has NAN for a gain. */
static void fill(struct told *told, const struct search_spec *spec, const double *costs, const double *gains, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        told->values[i * SEARCH_METRICS_MAX + WORLD_COST] = costs[i];
        told->values[i * SEARCH_METRICS_MAX + WORLD_GAIN] = gains[i];
        told->score[i] = spec->maximize ? gains[i] : -gains[i];
        told->violation[i] = isnan(gains[i]) ? (double)INFINITY : 0;
    }
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-12 * fmax(1, fabs(expected)))) {
        fail_msg("%.17g instead of %.17g", value, expected);
    }
}

/* ---- formulas ------------------------------------------------------------------------------------------------ */

static double formula(enum search_reward kind, double quality, double ratio, double share)
{
    const struct reward_term term = {.ratio = ratio, .share = share};
    return reward_formula(kind, quality, &term, 1);
}

static void each_formula_gives_its_numbers(void **state)
{
    (void)state;
    assert_near(formula(SEARCH_REWARD_ABSOLUTE, 0.75, 1.5, 1), 0.70); /* 0.75 - 0.10 * 0.5 */
    assert_near(formula(SEARCH_REWARD_ABSOLUTE, 0.75, 0.5, 0), 0.70);
    assert_near(formula(SEARCH_REWARD_SOFT, 0.75, 2, 1), 0.75 * 0.95263799804393736); /* 2^-0.07 */
    assert_near(formula(SEARCH_REWARD_SOFT, 0.75, 0.5, 0), 0.75 / 0.95263799804393736);
    assert_near(formula(SEARCH_REWARD_HARD, 0.75, 2, 1), 0.375);
    assert_near(formula(SEARCH_REWARD_HARD, 0.75, 0.5, 0), 0.75);
    assert_near(formula(SEARCH_REWARD_POWER, 0.75, 2, 1), 0.75 * 0.93303299153680741); /* 0.5^0.1 */
    assert_near(formula(SEARCH_REWARD_POWER, 0.75, 0.5, 0), 0.75 / 0.93303299153680741);
    assert_near(formula(SEARCH_REWARD_QUADRATIC, 0.75, 1.2, 0.2), 0.48); /* 0.75 * 0.8^2 */
    assert_near(formula(SEARCH_REWARD_QUADRATIC, 0.75, 0.5, 0), 0.75);
}

static void terms_of_several_limits_add_or_multiply(void **state)
{
    const struct reward_term terms[] = {{.ratio = 2, .share = 0.5}, {.ratio = 4, .share = 0.2}, {.ratio = 1}};
    (void)state;
    assert_near(reward_formula(SEARCH_REWARD_ABSOLUTE, 1, terms, 3), 0.6);
    assert_near(reward_formula(SEARCH_REWARD_SOFT, 1, terms, 3), pow(8, -0.07));
    assert_near(reward_formula(SEARCH_REWARD_HARD, 1, terms, 3), 0.125);
    assert_near(reward_formula(SEARCH_REWARD_POWER, 1, terms, 3), pow(8, -0.1));
    assert_near(reward_formula(SEARCH_REWARD_QUADRATIC, 1, terms, 3), 0.16);
    assert_near(reward_formula(SEARCH_REWARD_QUADRATIC, 0.7, NULL, 0), 0.7);
}

static void powers_are_finite_where_a_value_falls_to_nothing(void **state)
{
    (void)state;
    assert_near(formula(SEARCH_REWARD_SOFT, 1, -3, 0), pow(16, 0.07));
    assert_near(formula(SEARCH_REWARD_POWER, 1, 0, 0), pow(16, 0.1));
}

/* ---- scales -------------------------------------------------------------------------------------------------- */

static void moving_statistics_weigh_a_batch_by_its_age(void **state)
{
    const double first[] = {1, 2, 3}, second[] = {10, 20};
    struct moving moving = {0};
    (void)state;
    moving_add(&moving, first, 3);
    assert_near(moving.mean, 2); /* not drawn towards 0 */
    assert_near(moving_deviation(&moving), sqrt(2.0 / 3.0));
    moving_add(&moving, second, 2);
    double weight = 0.95 * 3 + 2, mean = (0.95 * 6 + 30) / weight, squares = (0.95 * 14 + 500) / weight;
    assert_near(moving.mean, mean);
    assert_near(moving_deviation(&moving), sqrt(squares - mean * mean));
    moving_add(&moving, second, 0);
    assert_near(moving.mean, mean);
}

/* Gains 1 2 3 under costs 20 30 40 of at most 20: mean 2, deviation sqrt(2/3); ratios 1 1.5 2 of deviation sqrt(1/6). */
static void quality_trades_one_deviation_of_gain_for_one_of_cost(void **state)
{
    const double costs[] = {20, 30, 40}, gains[] = {1, 2, 3};
    struct told told;
    struct reward reward;
    struct search_spec spec = world_spec("reinforce", 100);
    (void)state;
    world_limit(&spec, WORLD_COST, false, 20);
    reward_init(&reward, &spec, SEARCH_REWARD_ABSOLUTE);
    fill(&told, &spec, costs, gains, 3);
    assert_true(learn(&reward, &told, 3));
    double step = 0.07 * sqrt(1.0 / 6.0) / sqrt(2.0 / 3.0); /* of quality, for one of gain */
    double rewards[] = {1 - step, 1 - 0.10 * 0.5, 1 + step - 0.10 * 1};
    double mean = (rewards[0] + rewards[1] + rewards[2]) / 3, square = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_near(reward_of(&reward, told.score[i], told.values + i * SEARCH_METRICS_MAX), rewards[i]);
        square += (rewards[i] - mean) * (rewards[i] - mean);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(fabs(told.advantages[i] - (rewards[i] - mean) / sqrt(square / 3)) < 1e-9);
    }
}

static void the_worst_excess_met_is_the_end_of_the_quadratic(void **state)
{
    const double costs[] = {20, 30, 60}, gains[] = {1, 1, 1}, later[] = {25, 20, 20};
    struct told told;
    struct reward reward;
    struct search_spec spec = world_spec("reinforce", 100);
    (void)state;
    spec.reward = SEARCH_REWARD_QUADRATIC;
    world_limit(&spec, WORLD_COST, false, 20);
    reward_init(&reward, &spec, SEARCH_REWARD_ABSOLUTE);
    fill(&told, &spec, costs, gains, 3);
    assert_true(learn(&reward, &told, 3));
    assert_near(reward_of(&reward, 1, told.values), 1);
    assert_near(reward_of(&reward, 1, told.values + SEARCH_METRICS_MAX), 0.5625); /* (1 - 10/40)^2 */
    assert_near(reward_of(&reward, 1, told.values + (size_t)2 * SEARCH_METRICS_MAX), 0);
    fill(&told, &spec, later, gains, 3);
    assert_true(learn(&reward, &told, 3));
    assert_near(reward_of(&reward, 1, told.values), 0.765625); /* (1 - 5/40)^2: 60 is not forgotten */
}

static void assert_same_advantages(const struct search_spec *spec, const struct told *expected, struct told *told)
{
    struct reward reward;
    reward_init(&reward, spec, SEARCH_REWARD_ABSOLUTE);
    assert_true(learn(&reward, told, ROWS));
    for (size_t i = 0; i < ROWS; i++) {
        if (fabs(told->advantages[i] - expected->advantages[i]) > 1e-9) {
            fail_msg("candidate %zu: %.12g instead of %.12g", i, told->advantages[i], expected->advantages[i]);
        }
    }
}

static void units_and_signs_change_nothing(void **state)
{
    const double costs[] = {20, 33, 26, 41}, gains[] = {1, 4, 2, 3};
    (void)state;
    for (enum search_reward kind = SEARCH_REWARD_ABSOLUTE; kind < SEARCH_REWARD_COUNT; kind++) {
        struct told expected, told;
        struct reward reward;
        struct search_spec spec = world_spec("reinforce", 100);
        double other_costs[ROWS], other_gains[ROWS];
        spec.reward = kind;
        world_limit(&spec, WORLD_COST, false, 30);
        fill(&expected, &spec, costs, gains, ROWS);
        reward_init(&reward, &spec, SEARCH_REWARD_ABSOLUTE);
        assert_true(learn(&reward, &expected, ROWS));
        for (size_t i = 0; i < ROWS; i++) { /* an error to be small, below 0; costs a million times finer */
            other_gains[i] = -5e3 - 1e3 * gains[i];
            other_costs[i] = 1e6 * costs[i];
        }
        spec.maximize = false;
        spec.limits[0].bound = 30e6;
        fill(&told, &spec, other_costs, other_gains, ROWS);
        assert_same_advantages(&spec, &expected, &told);
        for (size_t i = 0; i < ROWS; i++) { /* the cost as a benefit that must not be below */
            other_costs[i] = -costs[i];
        }
        spec.limits[0] = (struct search_limit){.metric = WORLD_COST, .is_min = true, .bound = -30};
        fill(&told, &spec, other_costs, other_gains, ROWS);
        assert_same_advantages(&spec, &expected, &told);
    }
}

static void a_bound_of_zero_is_measured_in_deviations(void **state)
{
    const double costs[] = {-1, 1, 2, 0}, finer[] = {-1e6, 1e6, 2e6, 0}, gains[] = {1, 4, 2, 3};
    struct told expected, told;
    struct reward reward;
    struct search_spec spec = world_spec("reinforce", 100);
    (void)state;
    world_limit(&spec, WORLD_COST, false, 0);
    fill(&expected, &spec, costs, gains, ROWS);
    reward_init(&reward, &spec, SEARCH_REWARD_ABSOLUTE);
    assert_true(learn(&reward, &expected, ROWS));
    fill(&told, &spec, finer, gains, ROWS);
    assert_same_advantages(&spec, &expected, &told);
}

static void while_nothing_differs_nothing_is_above_the_baseline(void **state)
{
    const double costs[] = {20, 20, 20, 20}, gains[] = {0.1, 0.1, 0.1, 0.1};
    struct told told;
    struct reward reward;
    struct search_spec spec = world_spec("reinforce", 100);
    (void)state;
    world_limit(&spec, WORLD_COST, false, 30);
    reward_init(&reward, &spec, SEARCH_REWARD_ABSOLUTE);
    for (size_t batch = 0; batch < 100; batch++) {
        fill(&told, &spec, costs, gains, ROWS);
        assert_true(learn(&reward, &told, ROWS));
        for (size_t i = 0; i < ROWS; i++) {
            assert_true(told.advantages[i] == 0);
        }
    }
}

/* ---- what has no value --------------------------------------------------------------------------------------- */

static void what_has_no_value_counts_as_the_least_of_its_batch(void **state)
{
    const double nan = (double)NAN, costs[] = {20, 20, 20, 20}, gains[] = {2, nan, 1, 3}, none[] = {nan, nan, nan, nan};
    struct told told;
    struct reward reward, before;
    struct search_spec spec = world_spec("reinforce", 100);
    (void)state;
    world_limit(&spec, WORLD_COST, false, 30);
    reward_init(&reward, &spec, SEARCH_REWARD_ABSOLUTE);
    fill(&told, &spec, costs, gains, ROWS);
    assert_true(learn(&reward, &told, ROWS));
    assert_true(told.advantages[1] == told.advantages[2] && told.advantages[1] < told.advantages[0]);
    assert_near(reward.score.mean, 2);
    before = reward;
    fill(&told, &spec, costs, none, ROWS);
    assert_false(learn(&reward, &told, ROWS));
    assert_memory_equal(&before, &reward, sizeof reward);
}

static void the_largest_numbers_stay_finite(void **state)
{
    const double costs[] = {-1e308, 1e308, 1e-308, 5}, gains[] = {1e308, -1e308, 0, 1};
    (void)state;
    for (enum search_reward kind = SEARCH_REWARD_ABSOLUTE; kind < SEARCH_REWARD_COUNT; kind++) {
        struct told told;
        struct reward reward;
        struct search_spec spec = world_spec("reinforce", 100);
        spec.reward = kind;
        world_limit(&spec, WORLD_COST, false, 1e-300);
        world_limit(&spec, WORLD_COST, true, -1e300);
        world_limit(&spec, WORLD_COST, true, 0);
        fill(&told, &spec, costs, gains, ROWS);
        reward_init(&reward, &spec, SEARCH_REWARD_ABSOLUTE);
        for (size_t batch = 0; batch < 3; batch++) {
            assert_true(learn(&reward, &told, ROWS));
            for (size_t i = 0; i < ROWS; i++) {
                assert_true(fabs(told.advantages[i]) < 40);
            }
        }
    }
}

/* ---- state and names ----------------------------------------------------------------------------------------- */

static void scales_survive_their_state_and_hostile_ones_are_refused(void **state)
{
    const double costs[] = {20, 33, 26, 41}, gains[] = {1, 4, 2, 3};
    const double hostile[] = {(double)NAN, (double)INFINITY, 1e300, -1e300};
    struct told told;
    struct tl_err err = {0};
    struct reward reward, again;
    struct search_spec spec = world_spec("reinforce", 100);
    TL_AUTO(tl_buf) saved = {0};
    (void)state;
    world_limit(&spec, WORLD_COST, false, 30);
    fill(&told, &spec, costs, gains, ROWS);
    reward_init(&reward, &spec, SEARCH_REWARD_ABSOLUTE);
    reward_init(&again, &spec, SEARCH_REWARD_ABSOLUTE);
    assert_true(learn(&reward, &told, ROWS));
    assert_int_equal(reward_save(&reward, &saved, &err), TL_OK);
    struct tl_cursor cursor = tl_cursor_make(saved.data, saved.len);
    assert_true(reward_load(&again, &cursor) && tl_cursor_ok(&cursor));
    assert_memory_equal(&reward, &again, sizeof reward);
    for (size_t n = 0; n < saved.len; n++) {
        cursor = tl_cursor_make(saved.data, n);
        assert_false(reward_load(&again, &cursor) && tl_cursor_ok(&cursor));
    }
    for (size_t at = 0; at < saved.len; at += sizeof hostile[0]) {
        for (size_t i = 0; i < TL_COUNT_OF(hostile); i++) {
            double good;
            memcpy(&good, saved.data + at, sizeof good);
            memcpy(saved.data + at, &hostile[i], sizeof good);
            cursor = tl_cursor_make(saved.data, saved.len);
            assert_false(reward_load(&again, &cursor));
            memcpy(saved.data + at, &good, sizeof good);
        }
    }
}

static void every_reward_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(search_reward_name(SEARCH_REWARD_DEFAULT), "");
    assert_string_equal(search_reward_name(SEARCH_REWARD_ABSOLUTE), "absolute");
    assert_string_equal(search_reward_name(SEARCH_REWARD_QUADRATIC), "quadratic");
    assert_null(search_reward_name(SEARCH_REWARD_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_formula_gives_its_numbers),
        cmocka_unit_test(terms_of_several_limits_add_or_multiply),
        cmocka_unit_test(powers_are_finite_where_a_value_falls_to_nothing),
        cmocka_unit_test(moving_statistics_weigh_a_batch_by_its_age),
        cmocka_unit_test(quality_trades_one_deviation_of_gain_for_one_of_cost),
        cmocka_unit_test(the_worst_excess_met_is_the_end_of_the_quadratic),
        cmocka_unit_test(units_and_signs_change_nothing),
        cmocka_unit_test(a_bound_of_zero_is_measured_in_deviations),
        cmocka_unit_test(while_nothing_differs_nothing_is_above_the_baseline),
        cmocka_unit_test(what_has_no_value_counts_as_the_least_of_its_batch),
        cmocka_unit_test(the_largest_numbers_stay_finite),
        cmocka_unit_test(scales_survive_their_state_and_hostile_ones_are_refused),
        cmocka_unit_test(every_reward_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
