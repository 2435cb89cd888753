/* Starts: evaluated first and in order, learnt from, part of what a state is of; and how they are chosen. */
#include "search/search.h"

#include "alloc_fail.h"
#include "worlds.h"

enum { WIDTH = 12, STARTS = 130, BUDGET = 400 };

/* All that learn from starts, and some that do not. */
static const char *const controllers[] = {"auto",  "evolution", "distinct-evolution", "nsga2",
                                          "model", "random",    "natural-gradient",   "reinforce"};

static struct space space;
static uint8_t starts[STARTS * WIDTH];

/* Twelve variables of three options; start i counts in base 3. */
static int make_starts(void **state)
{
    (void)state;
    world_flat(&space, WIDTH, 3);
    for (unsigned i = 0; i < STARTS; i++) {
        for (unsigned v = 0, rest = i; v < WIDTH; v++, rest /= 3) {
            starts[i * WIDTH + v] = (uint8_t)(rest % 3);
        }
    }
    return 0;
}

static struct search_spec started(const char *controller)
{
    struct search_spec spec = world_spec(controller, BUDGET);
    world_limit(&spec, WORLD_COST, false, 9);
    spec.starts = starts;
    spec.n_starts = STARTS;
    return spec;
}

static void starts_are_evaluated_first_and_in_order(void **state)
{
    (void)state;
    for (size_t c = 0; c < TL_COUNT_OF(controllers); c++) {
        struct world world;
        struct search_spec spec = started(controllers[c]);
        bool done = false;
        world_init(&world, &space);
        struct search_run *run = world_run(&world, &spec, NULL);
        assert_int_equal(search_run_step(run, STARTS, &done, NULL), TL_OK);
        assert_int_equal(search_run_evaluations(run), STARTS);
        assert_int_equal(search_run_sample_count(run), STARTS);
        for (size_t i = 0; i < STARTS; i++) {
            struct search_candidate candidate;
            search_run_sample_at(run, i, &candidate);
            assert_int_equal(candidate.number, i);
            assert_memory_equal(candidate.arch, starts + i * WIDTH, WIDTH);
            assert_true(candidate.values[WORLD_COST] == world_cost(&space, candidate.arch));
            assert_true(candidate.values[WORLD_GAIN] == world_gain(&space, candidate.arch));
        }
        world_finish(run);
        assert_int_equal(search_run_evaluations(run), BUDGET);
        search_run_free(run);
    }
}

/* The answer known before is among the starts. */
static void a_search_never_ends_below_its_best_start(void **state)
{
    static const uint64_t budgets[] = {1, 49, 200};
    (void)state;
    for (size_t b = 0; b < TL_COUNT_OF(budgets); b++) {
        for (size_t c = 0; c < TL_COUNT_OF(controllers); c++) {
            struct world world;
            struct search_spec spec = started(controllers[c]);
            struct search_candidate best;
            uint8_t good[WIDTH] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2};
            spec.budget_evaluations = budgets[b];
            spec.starts = good;
            spec.n_starts = 1;
            world_init(&world, &space);
            struct search_run *run = world_run(&world, &spec, NULL);
            world_finish(run);
            assert_int_equal(search_run_evaluations(run), budgets[b]);
            assert_true(search_run_best(run, &best) && best.values[WORLD_GAIN] >= world_gain(&space, good));
            search_run_free(run);
        }
    }
}

static void threads_and_cuts_do_not_show(void **state)
{
    (void)state;
    for (size_t c = 0; c < TL_COUNT_OF(controllers); c++) {
        const char *name = controllers[c];
        struct world world;
        struct search_spec spec = started(name);
        struct tl_pool *pool = NULL;
        struct tl_err err = {0};
        TL_AUTO(tl_buf) cut = {0};
        bool done = false;
        world_init(&world, &space);
        struct search_run *whole = world_run(&world, &spec, NULL);
        world_finish(whole);
        assert_int_equal(tl_pool_new(&pool, 3, &err), TL_OK);
        struct search_run *pieces = world_run(&world, &spec, pool);
        while (!done) {
            assert_int_equal(search_run_step(pieces, 60, &done, &err), TL_OK); /* also within the starts */
            world_state(pieces, &cut);
            search_run_free(pieces);
            pieces = world_run(&world, &spec, pool);
            assert_int_equal(search_run_restore(pieces, cut.data, cut.len, &err), TL_OK);
        }
        assert_same_state(whole, pieces);
        search_run_free(whole);
        search_run_free(pieces);
        tl_pool_free(pool);
    }
}

static void a_state_belongs_to_its_starts(void **state)
{
    struct world world;
    struct search_spec spec = started("auto");
    TL_AUTO(tl_buf) buf = {0};
    bool done = false;
    (void)state;
    world_init(&world, &space);
    struct search_run *run = world_run(&world, &spec, NULL);
    assert_int_equal(search_run_step(run, 200, &done, NULL), TL_OK);
    world_state(run, &buf);
    search_run_free(run);
    spec.n_starts--;
    run = world_run(&world, &spec, NULL);
    assert_int_equal(search_run_restore(run, buf.data, buf.len, NULL), TL_CONFLICT);
    search_run_free(run);
}

static void starts_outside_the_space_are_refused(void **state)
{
    struct world world;
    struct search_spec spec = started("auto");
    struct search_run *run = NULL;
    struct space ofa;
    uint8_t inactive[SPACE_VARIABLES_MAX] = {0}, beyond[WIDTH] = {3};
    (void)state;
    world_init(&world, &space);
    spec.starts = beyond;
    spec.n_starts = 1;
    assert_int_equal(search_run_new(&space, &world.evaluator, &spec, NULL, &run, NULL), TL_INVALID);
    spec.n_starts = SEARCH_STARTS_MAX + 1;
    assert_int_equal(search_run_new(&space, &world.evaluator, &spec, NULL, &run, NULL), TL_INVALID);
    world_ofa(&ofa);
    world_init(&world, &ofa);
    inactive[ofa.n_variables - 1] = 1; /* the fourth slot of a stage of depth 2 */
    spec.starts = inactive;
    spec.n_starts = 1;
    assert_int_equal(search_run_new(&ofa, &world.evaluator, &spec, NULL, &run, NULL), TL_INVALID);
    assert_null(run);
}

static void the_nearest_are_chosen_best_first(void **state)
{
    static const double values[5 * SEARCH_METRICS_MAX] = {
        [0 * SEARCH_METRICS_MAX + WORLD_COST] = 12, [0 * SEARCH_METRICS_MAX + WORLD_GAIN] = 9, /* breaks the limit */
        [1 * SEARCH_METRICS_MAX + WORLD_COST] = 8,  [1 * SEARCH_METRICS_MAX + WORLD_GAIN] = 5,
        [2 * SEARCH_METRICS_MAX + WORLD_COST] = 9,  [2 * SEARCH_METRICS_MAX + WORLD_GAIN] = (double)NAN,
        [3 * SEARCH_METRICS_MAX + WORLD_COST] = 9,  [3 * SEARCH_METRICS_MAX + WORLD_GAIN] = 7,
        [4 * SEARCH_METRICS_MAX + WORLD_COST] = 9,  [4 * SEARCH_METRICS_MAX + WORLD_GAIN] = 5};
    static const uint32_t order[] = {3, 1, 4, 0};
    struct search_spec spec = started("auto");
    struct search_start chosen[5];
    size_t n = 0;
    (void)state;
    assert_int_equal(search_starts(&spec, values, 5, 5, chosen, &n, NULL), TL_OK);
    assert_int_equal(n, TL_COUNT_OF(order));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(chosen[i].at, order[i]);
        assert_true((chosen[i].violation > 0) == (order[i] == 0));
    }
    assert_int_equal(search_starts(&spec, values, 5, 2, chosen, &n, NULL), TL_OK);
    assert_int_equal(n, 2);
    assert_int_equal(chosen[1].at, 1);
    assert_int_equal(search_starts(&spec, values, 0, 2, chosen, &n, NULL), TL_OK);
    assert_int_equal(n, 0);
}

static enum tl_rc make_and_choose(void *ctx, struct tl_err *err)
{
    struct world *world = ctx;
    struct search_spec spec = started("auto");
    struct search_run *run = NULL;
    struct search_start chosen[2];
    const double values[2 * SEARCH_METRICS_MAX] = {0};
    size_t n = 0;
    enum tl_rc rc = search_run_new(&space, &world->evaluator, &spec, NULL, &run, err);
    rc = rc ? rc : search_starts(&spec, values, 2, 2, chosen, &n, err);
    search_run_free(run);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    struct world world;
    (void)state;
    world_init(&world, &space);
    (void)alloc_fail_each(make_and_choose, &world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_are_evaluated_first_and_in_order),
        cmocka_unit_test(a_search_never_ends_below_its_best_start),
        cmocka_unit_test(threads_and_cuts_do_not_show),
        cmocka_unit_test(a_state_belongs_to_its_starts),
        cmocka_unit_test(starts_outside_the_space_are_refused),
        cmocka_unit_test(the_nearest_are_chosen_best_first),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, make_starts, NULL);
}
