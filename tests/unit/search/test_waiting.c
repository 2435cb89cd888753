/* Values that are not there yet: a step fails until they are, and the run goes on to the bytes that it would have had. */
#include "search/search.h"

#include "worlds.h"

static struct space middle;

static int make_space(void **state)
{
    (void)state;
    world_flat(&middle, 12, 3);
    return 0;
}

/* A world that has to be asked twice for each batch. */
struct slow {
    struct world world;
    bool asked;
    size_t n_asked; /* architectures, of both times */
};

static enum tl_rc ask_first(void *ctx, const uint8_t *archs, size_t stride, size_t n, struct tl_err *err)
{
    struct slow *slow = ctx; /* its first member is what the values are asked of */
    (void)archs;
    assert_int_equal(stride, middle.n_variables);
    slow->asked = !slow->asked;
    slow->n_asked += n;
    return slow->asked ? tl_fail(err, TL_UNAVAILABLE, "not yet") : TL_OK;
}

static void slow_init(struct slow *slow)
{
    *slow = (struct slow){0};
    world_init(&slow->world, &middle);
    slow->world.evaluator.prepare = ask_first;
}

static struct search_spec spec_of(const struct search_controller_ops *ops, bool dear)
{
    struct search_spec spec = world_spec(ops->name, dear ? 150 : ops->batch * 4 + ops->batch / 2);
    spec.dear = dear;
    world_limit(&spec, WORLD_COST, false, 11);
    return spec;
}

static struct search_run *again(struct slow *slow, const struct search_spec *spec, struct search_run *run)
{
    TL_AUTO(tl_buf) saved = {0};
    struct tl_err err = {0};
    world_state(run, &saved);
    search_run_free(run);
    run = world_run(&slow->world, spec, NULL);
    assert_int_equal(search_run_restore(run, saved.data, saved.len, &err), TL_OK);
    return run;
}

/* Cut and restored whenever it has to wait, as the server does. */
static void waits(const struct search_controller_ops *ops, bool dear)
{
    const struct search_spec spec = spec_of(ops, dear);
    struct slow slow;
    struct world world;
    bool done = false;
    size_t n_waits = 0;
    world_init(&world, &middle);
    slow_init(&slow);
    struct search_run *whole = world_run(&world, &spec, NULL), *run = world_run(&slow.world, &spec, NULL);
    world_finish(whole);
    while (!done) {
        struct tl_err err = {0};
        const enum tl_rc rc = search_run_step(run, UINT64_MAX, &done, &err);
        assert_true(rc == TL_OK || rc == TL_UNAVAILABLE);
        n_waits += rc != TL_OK;
        run = rc ? again(&slow, &spec, run) : run;
    }
    assert_same_state(whole, run);
    assert_true(n_waits >= (spec.budget_evaluations + ops->batch - 1) / ops->batch);
    assert_int_equal(slow.n_asked, 2 * search_run_evaluations(run));
    search_run_free(whole);
    search_run_free(run);
}

static void whoever_waits_for_values_ends_with_the_same_bytes(void **state)
{
    (void)state;
    for (size_t c = 0; c < search_controller_count(); c++) {
        waits(search_controller_at(c), false);
    }
    waits(search_controller_get("auto"), true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_waits_for_values_ends_with_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, make_space, NULL);
}
