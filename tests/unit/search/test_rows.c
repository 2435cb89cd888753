/* Searches that stay on the rows of a table. */
#include "search/search.h"

#include "worlds.h"

static struct tl_err err;

enum { LISTED = 500, WIDTH = 20 };

/* A world that knows only LISTED architectures, and fails when it is asked for any other. */
struct listed {
    struct world world;
    const uint8_t *rows; /* LISTED of WIDTH */
};

static size_t listed_row(void *ctx, const uint8_t *canonical)
{
    const struct listed *listed = ctx;
    for (size_t i = 0; i < LISTED; i++) {
        if (memcmp(listed->rows + i * WIDTH, canonical, WIDTH) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void listed_arch(void *ctx, size_t row, uint8_t *ret_canonical)
{
    const struct listed *listed = ctx;
    memcpy(ret_canonical, listed->rows + row * WIDTH, WIDTH);
}

static enum tl_rc listed_values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride,
                                size_t n, double *out, unsigned thread, struct tl_err *failure)
{
    struct listed *listed = ctx;
    for (size_t i = 0; i < n; i++) {
        if (listed_row(listed, archs + i * stride) == SIZE_MAX) {
            return tl_fail(failure, TL_INVALID, "was asked for what is not among the rows");
        }
    }
    return world_values(&listed->world, first, n_metrics, archs, stride, n, out, thread, failure);
}

/* LISTED architectures of a space of 1e19. */
static void list_some(struct listed *listed, struct space *space, uint8_t *rows)
{
    struct tl_rng rng;
    world_flat(space, WIDTH, 9);
    tl_rng_init(&rng, 3, 0, 0);
    for (size_t i = 0; i < LISTED; i++) {
        space_sample(space, &rng, rows + i * WIDTH);
    }
    world_init(&listed->world, space);
    listed->rows = rows;
    listed->world.evaluator.ctx = listed;
    listed->world.evaluator.values = listed_values;
    listed->world.evaluator.n_cheap = WORLD_METRICS;
    listed->world.evaluator.n_rows = LISTED;
    listed->world.evaluator.row = listed_row;
    listed->world.evaluator.arch = listed_arch;
}

/* The row of most gain within a cost; LISTED: none. */
static size_t best_listed(const struct space *space, const uint8_t *rows, double cost_max)
{
    size_t best = LISTED;
    for (size_t i = 0; i < LISTED; i++) {
        if (world_cost(space, rows + i * WIDTH) <= cost_max &&
            (best == LISTED || world_gain(space, rows + i * WIDTH) > world_gain(space, rows + best * WIDTH))) {
            best = i;
        }
    }
    return best;
}

static void rows_are_searched_until_none_is_left(void **state)
{
    static struct space space;
    static uint8_t rows[LISTED * WIDTH];
    struct listed listed;
    struct search_candidate best;
    (void)state;
    list_some(&listed, &space, rows);
    for (size_t i = 0; i < search_controller_count(); i++) {
        struct search_spec spec = world_spec(search_controller_at(i)->name, 1000000);
        world_limit(&spec, WORLD_COST, false, 75);
        struct search_run *run = world_run(&listed.world, &spec, NULL);
        world_finish(run);
        assert_true(search_run_best(run, &best));
        assert_memory_equal(best.arch, rows + best_listed(&space, rows, 75) * WIDTH, WIDTH);
        assert_true(search_run_evaluations(run) < LISTED + 1024); /* the last batch may have one twice */
        search_run_free(run);
    }
}

static void where_no_row_holds_the_limits_the_nearest_is_found(void **state)
{
    static struct space space;
    static uint8_t rows[LISTED * WIDTH];
    struct listed listed;
    struct search_candidate nearest;
    struct search_spec spec = world_spec("evolution", 1000000);
    double least = HUGE_VAL;
    (void)state;
    list_some(&listed, &space, rows);
    for (size_t i = 0; i < LISTED; i++) {
        least = fmin(least, world_cost(&space, rows + i * WIDTH));
    }
    world_limit(&spec, WORLD_COST, false, 10);
    struct search_run *run = world_run(&listed.world, &spec, NULL);
    world_finish(run);
    assert_false(search_run_best(run, &nearest));
    assert_true(search_run_nearest(run, &nearest));
    assert_true(nearest.values[WORLD_COST] == least);
    search_run_free(run);
}

static void a_run_over_rows_goes_on_from_its_state(void **state)
{
    static struct space space;
    static uint8_t rows[LISTED * WIDTH];
    struct listed listed;
    struct search_spec spec = world_spec("evolution", 1000000);
    TL_AUTO(tl_buf) saved = {0};
    bool done = false;
    (void)state;
    list_some(&listed, &space, rows);
    struct search_run *whole = world_run(&listed.world, &spec, NULL), *cut = world_run(&listed.world, &spec, NULL);
    assert_int_equal(search_run_step(cut, 200, &done, &err), TL_OK);
    assert_false(done);
    world_state(cut, &saved);
    search_run_free(cut);
    cut = world_run(&listed.world, &spec, NULL);
    assert_int_equal(search_run_restore(cut, saved.data, saved.len, &err), TL_OK);
    world_finish(cut);
    world_finish(whole);
    assert_same_state(whole, cut);
    search_run_free(whole);
    search_run_free(cut);
}

/* What is dear is not known before a row is evaluated: the best of those within the cost is found all the same. */
static void rows_with_dear_metrics_are_chosen_by_their_cheap_ones(void **state)
{
    static struct space space;
    static uint8_t rows[LISTED * WIDTH];
    struct listed listed;
    struct search_spec spec = world_spec("evolution", 1000000);
    struct search_candidate best = {0};
    (void)state;
    list_some(&listed, &space, rows);
    listed.world.evaluator.n_cheap = 1;
    world_limit(&spec, WORLD_COST, false, 75);
    world_limit(&spec, WORLD_GAIN, true, 1e-3);
    struct search_run *run = world_run(&listed.world, &spec, NULL);
    assert_int_equal(atomic_load(&listed.world.n_dear), 0);
    world_finish(run);
    assert_true(search_run_best(run, &best));
    assert_memory_equal(best.arch, rows + best_listed(&space, rows, 75) * WIDTH, WIDTH);
    search_run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_searched_until_none_is_left),
        cmocka_unit_test(where_no_row_holds_the_limits_the_nearest_is_found),
        cmocka_unit_test(a_run_over_rows_goes_on_from_its_state),
        cmocka_unit_test(rows_with_dear_metrics_are_chosen_by_their_cheap_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
