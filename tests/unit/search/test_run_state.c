/* What a run is: the same bytes whatever the threads, the cuts and the failures; steps allocate nothing. */
#include "search/search.h"

#include "alloc_fail.h"
#include "worlds.h"

static struct space small;  /* 6 variables of 4 options */
static struct space large;  /* 40 variables of 3 options */
static struct space middle; /* 12 of them, where all controllers are tried */

static int make_spaces(void **state)
{
    (void)state;
    world_flat(&small, 6, 4);
    world_flat(&large, 40, 3);
    world_flat(&middle, 12, 3);
    return 0;
}

/* ---- the same bytes ------------------------------------------------------------------------------------------ */

static void the_same_seed_gives_the_same_bytes_and_another_does_not(void **state)
{
    struct world world;
    struct search_candidate a, c;
    struct search_spec spec = world_spec("evolution", 3000);
    (void)state;
    world_limit(&spec, WORLD_COST, false, 30);
    world_init(&world, &large);
    struct search_run *first = world_run(&world, &spec, NULL), *second = world_run(&world, &spec, NULL);
    spec.seed++;
    struct search_run *third = world_run(&world, &spec, NULL);
    world_finish(first);
    world_finish(second);
    world_finish(third);
    assert_same_state(first, second);
    search_run_sample_at(first, 0, &a);
    search_run_sample_at(third, 0, &c);
    assert_memory_not_equal(a.arch, c.arch, large.n_variables);
    search_run_free(first);
    search_run_free(second);
    search_run_free(third);
}

/* Four batches of a controller and a half. */
static struct search_spec spec_of(const struct search_controller_ops *ops)
{
    return world_spec(ops->name, ops->batch * 4 + ops->batch / 2);
}

static void threads_do_not_change_the_bytes(void **state)
{
    (void)state;
    for (size_t c = 0; c < search_controller_count(); c++) {
        struct world world;
        struct search_spec spec = spec_of(search_controller_at(c));
        world_limit(&spec, WORLD_COST, false, 11);
        world_init(&world, &middle);
        struct search_run *alone = world_run(&world, &spec, NULL);
        world_finish(alone);
        for (unsigned n_threads = 1; n_threads <= 3; n_threads++) {
            struct tl_pool *pool = NULL;
            assert_int_equal(tl_pool_new(&pool, n_threads, NULL), TL_OK);
            struct search_run *run = world_run(&world, &spec, pool);
            world_finish(run);
            assert_same_state(alone, run);
            search_run_free(run);
            tl_pool_free(pool);
        }
        search_run_free(alone);
    }
}

static void a_run_that_is_cut_after_every_batch_gives_the_same_bytes(void **state)
{
    (void)state;
    for (size_t c = 0; c < search_controller_count(); c++) {
        struct world world;
        struct search_spec spec = spec_of(search_controller_at(c));
        struct tl_err err = {0};
        TL_AUTO(tl_buf) saved = {0};
        bool done = false;
        world_limit(&spec, WORLD_COST, false, 9);
        world_init(&world, &middle);
        struct search_run *whole = world_run(&world, &spec, NULL);
        world_finish(whole);
        struct search_run *cut = world_run(&world, &spec, NULL);
        while (!done) {
            uint64_t before = search_run_evaluations(cut);
            assert_int_equal(search_run_step(cut, 1, &done, &err), TL_OK);
            assert_true(search_run_evaluations(cut) > before);
            world_state(cut, &saved);
            search_run_free(cut);
            cut = world_run(&world, &spec, NULL);
            assert_int_equal(search_run_restore(cut, saved.data, saved.len, &err), TL_OK);
        }
        assert_same_state(whole, cut);
        search_run_free(whole);
        search_run_free(cut);
    }
}

static enum tl_rc restored(const struct world *world, const struct search_spec *spec, const struct tl_buf *saved,
                           size_t n)
{
    struct tl_err err = {0};
    struct search_run *run = NULL;
    assert_int_equal(search_run_new(world->space, &world->evaluator, spec, NULL, &run, &err), TL_OK);
    enum tl_rc rc = search_run_restore(run, saved->data, n, &err);
    search_run_free(run);
    return rc;
}

/* The default adds nothing to what a search is known by, so that states from before there were rewards are still theirs. */
static void the_reward_is_part_of_what_a_search_is(void **state)
{
    struct world world;
    struct search_spec spec = world_spec("reinforce", 100);
    TL_AUTO(tl_buf) saved = {0};
    (void)state;
    world_limit(&spec, WORLD_COST, false, 28);
    world_init(&world, &small);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    world_state(run, &saved);
    search_run_free(run);
    assert_int_equal(restored(&world, &spec, &saved, saved.len), TL_OK);
    spec.reward = SEARCH_REWARD_HARD;
    assert_int_equal(restored(&world, &spec, &saved, saved.len), TL_CONFLICT);
}

static void a_state_that_was_cut_short_is_refused(void **state)
{
    (void)state;
    for (size_t c = 0; c < search_controller_count(); c++) {
        struct world world;
        struct search_spec spec = world_spec(search_controller_at(c)->name, 150);
        TL_AUTO(tl_buf) saved = {0};
        spec.sample_size = 2;
        world_init(&world, &small);
        struct search_run *run = world_run(&world, &spec, NULL);
        world_finish(run);
        world_state(run, &saved);
        search_run_free(run);
        assert_int_equal(restored(&world, &spec, &saved, saved.len), TL_OK);
        for (size_t n = 0; n < saved.len; n += 1 + saved.len / 100) {
            assert_int_equal(restored(&world, &spec, &saved, n), TL_MALFORMED);
        }
    }
}

static void a_step_that_failed_can_be_made_again(void **state)
{
    struct world world;
    struct search_spec spec = world_spec("evolution", 1000);
    struct tl_err err = {0};
    bool done = false;
    (void)state;
    world_init(&world, &large);
    struct search_run *whole = world_run(&world, &spec, NULL), *run = world_run(&world, &spec, NULL);
    world_finish(whole);
    world.dear_to_fail = 6; /* the second half of the third batch */
    assert_int_equal(search_run_step(run, UINT64_MAX, &done, &err), TL_UNAVAILABLE);
    assert_string_equal(err.text, "no gain today");
    assert_int_equal(search_run_evaluations(run), 200);
    assert_int_equal(search_run_proposals(run), 200);
    world_finish(run);
    assert_same_state(whole, run);
    search_run_free(whole);
    search_run_free(run);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static void steps_allocate_nothing(void **state)
{
    struct tl_pool *pool = NULL;
    (void)state;
    assert_int_equal(tl_pool_new(&pool, 2, NULL), TL_OK);
    for (size_t c = 0; c < search_controller_count(); c++) {
        struct world world;
        struct search_spec spec = spec_of(search_controller_at(c));
        world_limit(&spec, WORLD_COST, false, 11);
        world_init(&world, &middle);
        struct search_run *run = world_run(&world, &spec, pool);
        alloc_fail_at(1);
        world_finish(run);
        bool allocated = alloc_fail_happened();
        alloc_fail_at(0);
        assert_false(allocated);
        search_run_free(run);
    }
    tl_pool_free(pool);
}

struct scenario {
    struct world world;
    const char *controller;
};

static enum tl_rc a_run_is_made_saved_and_restored(void *ctx, struct tl_err *err)
{
    struct scenario *scenario = ctx;
    struct world *world = &scenario->world;
    struct search_spec spec = world_spec(scenario->controller, 200);
    struct search_run *run = NULL;
    TL_AUTO(tl_buf) saved = {0};
    bool done = false;
    enum tl_rc rc = search_run_new(&small, &world->evaluator, &spec, NULL, &run, err);
    rc = rc ? rc : search_run_step(run, 100, &done, err);
    rc = rc ? rc : search_run_save(run, &saved, err);
    rc = rc ? rc : search_run_restore(run, saved.data, saved.len, err);
    search_run_free(run);
    return rc;
}

static void memory_may_run_out(void **state)
{
    struct scenario scenario;
    (void)state;
    world_init(&scenario.world, &small);
    for (size_t c = 0; c < search_controller_count(); c++) {
        scenario.controller = search_controller_at(c)->name;
        (void)alloc_fail_each(a_run_is_made_saved_and_restored, &scenario);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_and_another_does_not),
        cmocka_unit_test(threads_do_not_change_the_bytes),
        cmocka_unit_test(a_run_that_is_cut_after_every_batch_gives_the_same_bytes),
        cmocka_unit_test(the_reward_is_part_of_what_a_search_is),
        cmocka_unit_test(a_state_that_was_cut_short_is_refused),
        cmocka_unit_test(a_step_that_failed_can_be_made_again),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, make_spaces, NULL);
}
