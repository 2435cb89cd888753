/* The loop: a known front is found, tries and budgets are bounded, a spec that contradicts itself is refused. */
#include "search/search.h"

#include "worlds.h"

static struct space small; /* 6 variables of 4 options: 4,096 architectures */
static struct space large; /* 40 variables of 3 options */
static struct space ofa;

static int make_spaces(void **state)
{
    (void)state;
    world_flat(&small, 6, 4);
    world_flat(&large, 40, 3);
    world_ofa(&ofa);
    return 0;
}

/* ---- what is found ------------------------------------------------------------------------------------------- */

static size_t best_of_each_cost(const struct space *space, double *gains, size_t n_costs)
{
    uint8_t arch[6];
    size_t n_front = 0;
    double best = -1;
    for (size_t c = 0; c < n_costs; c++) {
        gains[c] = -1;
    }
    for (unsigned i = 0; i < 4096; i++) {
        for (unsigned v = 0; v < 6; v++) {
            arch[v] = (uint8_t)(i >> (2 * v) & 3);
        }
        size_t cost = (size_t)world_cost(space, arch);
        gains[cost] = fmax(gains[cost], world_gain(space, arch));
    }
    for (size_t c = 0; c < n_costs; c++) {
        n_front += gains[c] > best;
        best = fmax(best, gains[c]);
    }
    return n_front;
}

static void the_whole_front_of_a_small_space_is_found(void **state)
{
    double gains[19];
    struct world world;
    struct search_spec spec = world_spec("random", 60000); /* an architecture is missed with probability 4e-7 */
    size_t n_front = best_of_each_cost(&small, gains, 19);
    (void)state;
    world_init(&world, &small);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_front_count(run), n_front);
    for (size_t i = 0; i < n_front; i++) {
        struct search_candidate member;
        search_run_front_at(run, i, &member);
        assert_true(member.values[WORLD_GAIN] == gains[(size_t)member.values[WORLD_COST]]);
        assert_true(member.violation == 0);
    }
    struct search_candidate best = {0};
    assert_true(search_run_best(run, &best));
    assert_true(best.values[WORLD_GAIN] == gains[18]);
    search_run_free(run);
}

static double best_gain(const char *controller, uint64_t budget, double cost_max)
{
    struct world world;
    struct search_candidate best = {0};
    struct search_spec spec = world_spec(controller, budget);
    world_limit(&spec, WORLD_COST, false, cost_max);
    world_init(&world, &large);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_true(search_run_best(run, &best));
    assert_true(best.values[WORLD_COST] <= cost_max && best.violation == 0);
    search_run_free(run);
    return best.values[WORLD_GAIN];
}

static void evolution_finds_what_random_does_not(void **state)
{
    double bound = world_most_gain(&large, 30), evolved = best_gain("evolution", 10000, 30),
           drawn = best_gain("random", 1000, 30);
    (void)state;
    assert_true(evolved <= bound + 1e-9);
    assert_true(evolved > 0.97 * bound);
    assert_true(drawn < 0.9 * bound);
}

/* One in 3^40 / 861 architectures costs at most 2: proposals are never feasible before the search has come near. */
static void a_corner_where_hardly_anything_is_feasible_is_approached(void **state)
{
    (void)state;
    assert_true(best_gain("evolution", 1000, 2) > 0);
}

static void a_limit_on_a_dear_metric_is_approached_after_evaluation(void **state)
{
    struct world world;
    struct search_candidate best = {0};
    struct search_spec spec = world_spec("evolution", 5000);
    (void)state;
    spec.objective = WORLD_COST;
    spec.maximize = false;
    spec.front[0] = WORLD_COST;
    spec.front[1] = WORLD_GAIN;
    spec.front_max = 1U << WORLD_GAIN;
    world_limit(&spec, WORLD_GAIN, true, 400);
    world_init(&world, &large);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_true(search_run_best(run, &best));
    assert_true(best.values[WORLD_GAIN] >= 400);
    assert_true(best.values[WORLD_COST] <= 54); /* all at 1 gain 329 for 40; random ones of gain 400 cost about 60 */
    assert_int_equal(search_run_proposals(run), 5000);
    search_run_free(run);
}

static void what_cannot_be_met_ends_with_what_comes_nearest(void **state)
{
    struct world world;
    struct search_candidate candidate = {0};
    const struct search_point *points = NULL;
    struct search_spec spec = world_spec("evolution", 700);
    (void)state;
    world_limit(&spec, WORLD_COST, false, -1);
    world_init(&world, &large);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_evaluations(run), 700);
    assert_true(search_run_proposals(run) > 400000);
    assert_true(search_run_proposals(run) <= 400000 + 100 * 700);
    assert_false(search_run_best(run, &candidate));
    assert_int_equal(search_run_front_count(run), 0);
    assert_true(search_run_nearest(run, &candidate));
    assert_true(candidate.violation == candidate.values[WORLD_COST] + 1); /* bound -1: in bounds */
    assert_true(candidate.values[WORLD_COST] < 8);                        /* random: 40 */
    size_t n = search_run_history(run, &points);
    assert_true(isnan(points[n - 1].best));
    search_run_free(run);
}

static void of_equally_good_ones_the_first_is_the_best(void **state)
{
    struct world world;
    struct search_candidate best = {0}, nearest = {0};
    struct search_spec spec = world_spec("evolution", 1000);
    (void)state;
    spec.n_front = 1;
    world_init(&world, &large);
    world.constant = true;
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_true(search_run_best(run, &best) && search_run_nearest(run, &nearest));
    assert_int_equal(best.number, 0);
    assert_int_equal(nearest.number, 0);
    assert_int_equal(search_run_front_count(run), 1);
    search_run_free(run);
}

static void no_architecture_is_on_the_front_twice(void **state)
{
    struct world world;
    struct search_spec spec = world_spec("evolution", 20000);
    struct search_candidate a, b;
    (void)state;
    world_init(&world, &ofa);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    size_t n = search_run_front_count(run);
    assert_true(n > 10);
    for (size_t i = 1; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            search_run_front_at(run, i, &a);
            search_run_front_at(run, j, &b);
            assert_memory_not_equal(a.arch, b.arch, ofa.n_variables);
        }
        assert_true(a.values[WORLD_COST] > b.values[WORLD_COST] && a.values[WORLD_GAIN] > b.values[WORLD_GAIN]);
    }
    search_run_free(run);
}

static void what_has_no_value_is_counted_and_not_kept(void **state)
{
    struct world world;
    struct search_candidate candidate = {0};
    struct search_spec spec = world_spec("evolution", 1000);
    (void)state;
    spec.sample_size = 1000;
    world_init(&world, &small);
    world.nan_first = 3;
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_evaluations(run), 1000);
    assert_in_range(search_run_sample_count(run), 500, 999);
    for (size_t i = 0; i < search_run_sample_count(run); i++) {
        search_run_sample_at(run, i, &candidate);
        assert_int_not_equal(candidate.arch[0], 3);
    }
    search_run_free(run);
}

static void where_nothing_has_a_value_the_search_ends_with_nothing(void **state)
{
    struct world world;
    struct space one;
    struct search_candidate candidate = {0};
    struct search_spec spec = world_spec("evolution", 1000);
    (void)state;
    world_flat(&one, 4, 1);
    world_init(&world, &one);
    world.nan_first = 0;
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_false(search_run_nearest(run, &candidate) || search_run_best(run, &candidate));
    assert_int_equal(search_run_sample_count(run), 0);
    search_run_free(run);
}

/* ---- budget, sample, history --------------------------------------------------------------------------------- */

static void a_budget_is_met_exactly_and_is_the_beginning_of_a_larger_one(void **state)
{
    struct world world;
    struct search_spec spec = world_spec("evolution", 250);
    struct search_candidate a, b;
    (void)state;
    spec.sample_size = 1000;
    world_limit(&spec, WORLD_COST, false, 30);
    world_init(&world, &large);
    struct search_run *brief = world_run(&world, &spec, NULL);
    spec.budget_evaluations = 1000;
    struct search_run *whole = world_run(&world, &spec, NULL);
    world_finish(brief);
    assert_int_equal(world.n_dear, 250);
    world_finish(whole);
    assert_int_equal(search_run_evaluations(brief), 250);
    for (size_t i = 0; i < 250; i++) { /* the sample holds everything, in order */
        search_run_sample_at(brief, i, &a);
        search_run_sample_at(whole, i, &b);
        assert_int_equal(a.number, i);
        assert_memory_equal(a.arch, b.arch, large.n_variables);
    }
    search_run_free(brief);
    search_run_free(whole);
}

static void seconds_end_a_run_after_a_whole_batch(void **state)
{
    struct world world;
    struct search_spec spec = world_spec("evolution", 1000000);
    (void)state;
    spec.budget_seconds = 1e-9;
    world_init(&world, &large);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_evaluations(run), 100);
    assert_true(search_run_seconds(run) > 0);
    search_run_free(run);
}

static void a_sample_is_uniform_over_all_that_was_evaluated(void **state)
{
    struct world world;
    struct search_spec spec = world_spec("random", 20000);
    struct search_candidate candidate = {0};
    unsigned early = 0;
    (void)state;
    spec.sample_size = 2000;
    world_init(&world, &large);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_sample_count(run), 2000);
    for (size_t i = 0; i < 2000; i++) {
        search_run_sample_at(run, i, &candidate);
        assert_true(candidate.values[WORLD_GAIN] == world_gain(&large, candidate.arch));
        early += candidate.number < 5000;
    }
    assert_in_range(early, 500 - 78, 500 + 78); /* a quarter, four standard deviations */
    search_run_free(run);
}

static void the_history_rises_in_about_200_points(void **state)
{
    struct world world;
    const struct search_point *points = NULL;
    struct search_spec spec = world_spec("random", 123457);
    (void)state;
    world_init(&world, &small);
    world.constant = true;
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    size_t n = search_run_history(run, &points);
    assert_in_range(n, 100, 130);
    assert_int_equal(points[0].evaluations, 1);
    assert_int_equal(points[n - 1].evaluations, 123457);
    for (size_t i = 1; i < n; i++) {
        assert_true(points[i].evaluations > points[i - 1].evaluations);
        assert_true(points[i].evaluations <= points[i - 1].evaluations * 11 / 10 + 1);
        assert_true(points[i].best >= points[i - 1].best);
    }
    search_run_free(run);
}

static void a_space_of_one_architecture_is_searched_by_one_evaluation(void **state)
{
    static struct space space;
    struct world world;
    struct search_spec spec = world_spec("evolution", 50000);
    (void)state;
    world_flat(&space, 5, 1);
    world_init(&world, &space);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_evaluations(run), 1);
    search_run_free(run);
}

/* ---- refusals ------------------------------------------------------------------------------------------------ */

static void assert_refused(const struct search_spec *spec, const struct search_evaluator *evaluator, const char *word)
{
    struct search_run *run = NULL;
    struct tl_err err = {0};
    assert_int_equal(search_run_new(&large, evaluator, spec, NULL, &run, &err), TL_INVALID);
    assert_null(run);
    if (!strstr(err.text, word)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, word);
    }
}

static void a_spec_that_contradicts_itself_is_refused(void **state)
{
    struct world world;
    const struct search_spec good = world_spec("evolution", 100);
    struct search_spec spec = world_spec("evolutoin", 100);
    struct search_evaluator evaluator;
    (void)state;
    world_init(&world, &large);
    evaluator = world.evaluator;
    assert_refused(&spec, &evaluator, "did you mean evolution?");
    memset(spec.controller, 'x', sizeof spec.controller);
    assert_refused(&spec, &evaluator, "does not end");
    spec = good;
    spec.reward = SEARCH_REWARD_SOFT;
    assert_refused(&spec, &evaluator, "evolution takes no reward");
    spec = world_spec("reinforce", 100);
    spec.reward = SEARCH_REWARD_COUNT;
    assert_refused(&spec, &evaluator, "no reward 6");
    spec = good;
    spec.budget_evaluations = 0;
    assert_refused(&spec, &evaluator, "1 to 1000000000 evaluations");
    spec.budget_evaluations = 1000000001;
    assert_refused(&spec, &evaluator, "evaluations");
    spec = good;
    spec.budget_seconds = (double)NAN;
    assert_refused(&spec, &evaluator, "econds");
    spec = good;
    spec.sample_size = SEARCH_SAMPLE_MAX + 1;
    assert_refused(&spec, &evaluator, "sample");
    spec = good;
    world_limit(&spec, 2, false, 1);
    assert_refused(&spec, &evaluator, "limit 0");
    spec = good;
    world_limit(&spec, 1, false, (double)INFINITY);
    assert_refused(&spec, &evaluator, "limit 0");
    spec = good;
    spec.n_limits = SEARCH_LIMITS_MAX + 1;
    assert_refused(&spec, &evaluator, "17 limits");
    spec = good;
    spec.objective = WORLD_COST;
    assert_refused(&spec, &evaluator, "objective first");
    spec = good;
    spec.front[1] = WORLD_GAIN;
    assert_refused(&spec, &evaluator, "front metric 1");
    spec = good;
    evaluator.n_cheap = 3;
    assert_refused(&spec, &evaluator, "metrics");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_front_of_a_small_space_is_found),
        cmocka_unit_test(evolution_finds_what_random_does_not),
        cmocka_unit_test(a_corner_where_hardly_anything_is_feasible_is_approached),
        cmocka_unit_test(a_limit_on_a_dear_metric_is_approached_after_evaluation),
        cmocka_unit_test(what_cannot_be_met_ends_with_what_comes_nearest),
        cmocka_unit_test(of_equally_good_ones_the_first_is_the_best),
        cmocka_unit_test(no_architecture_is_on_the_front_twice),
        cmocka_unit_test(what_has_no_value_is_counted_and_not_kept),
        cmocka_unit_test(where_nothing_has_a_value_the_search_ends_with_nothing),
        cmocka_unit_test(a_budget_is_met_exactly_and_is_the_beginning_of_a_larger_one),
        cmocka_unit_test(seconds_end_a_run_after_a_whole_batch),
        cmocka_unit_test(a_sample_is_uniform_over_all_that_was_evaluated),
        cmocka_unit_test(the_history_rises_in_about_200_points),
        cmocka_unit_test(a_space_of_one_architecture_is_searched_by_one_evaluation),
        cmocka_unit_test(a_spec_that_contradicts_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, make_spaces, NULL);
}
