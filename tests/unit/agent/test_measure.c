/* Real runs of a small network: the shape of what comes out, and that it can be stopped. */
#include "alloc_fail.h"
#include "latency/agent/agent.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 3, ROUNDS = 4 };

static struct lat_job made_job(void)
{
    struct lat_job job = {.n_items = ITEMS,
                          .anchor = calloc(1, sizeof(struct lat_job_item)),
                          .items = calloc(ITEMS, sizeof(struct lat_job_item)),
                          .protocol = {.rounds = ROUNDS,
                                       .min_runs = 3,
                                       .block_ms = 1,
                                       .anchor_block_ms = 1,
                                       .warmup_ms = 0,
                                       .threads = 1,
                                       .batch = 1},
                          .seed = 1};
    const struct net_family *family = net_family_get("nasbench-macro");
    struct net_pick pick;

    if (job.anchor == NULL || job.items == NULL) {
        abort();
    }
    lat_anchor_pick(family, 32, &pick);
    assert_int_equal(net_build(family, &pick, &job.anchor->net, NULL), TL_OK);
    for (size_t i = 0; i < ITEMS; i++) {
        net_block_cut(&job.anchor->net, i, &job.items[i].net);
        job.items[i].is_block = true;
    }
    return job;
}

/* With our own runtime, on one thread. */
static enum tl_rc measure(const struct lat_job *job, const struct agent_watch *watch, struct agent_result *ret_result,
                          struct tl_err *err)
{
    const struct runner_config config = {.kind = RUNNER_NATIVE, .threads = 1, .batch = 1};
    struct runner *runner = NULL;
    enum tl_rc rc = runner_new(&config, NULL, watch, &runner, err);

    rc = rc ? rc : agent_measure(job, runner, NULL, watch, ret_result, err);
    runner_free(runner);
    return rc;
}

static void rounds_alternate_between_anchor_and_items(void **state)
{
    (void)state;
    TL_AUTO(lat_job) job = made_job();
    TL_AUTO(agent_result) result = {0};
    const struct agent_watch watch = {0};
    struct lat_verdict verdict;
    struct tl_err err = {0};

    if (measure(&job, &watch, &result, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(result.n_items, ITEMS);
    assert_int_equal(result.anchor.blocks, ROUNDS + 1);
    for (size_t i = 0; i < ITEMS; i++) {
        const struct lat_visit visit = agent_result_visit(&result, i);
        size_t runs = 0;
        assert_int_equal(visit.rounds, ROUNDS);
        for (size_t r = 0; r < ROUNDS; r++) {
            assert_in_range(visit.item_n[r], 3, LAT_RUNS_MAX);
            runs += visit.item_n[r];
        }
        assert_int_equal(runs, result.items[i].runs);
        assert_int_equal(lat_judge(&visit, &verdict, NULL), TL_OK);
        assert_true(verdict.ratio > 0 && verdict.ratio < 1.5); /* a part of the anchor */
    }
    assert_true(result.after.mono_ns > result.before.mono_ns);
}

static void a_block_never_has_more_runs_than_are_kept(void **state)
{
    (void)state;
    TL_AUTO(lat_job) job = made_job();
    TL_AUTO(agent_result) result = {0};
    const struct agent_watch watch = {0};

    job.protocol.rounds = LAT_ROUNDS_MIN;
    job.protocol.min_runs = LAT_RUNS_MAX;
    job.protocol.anchor_block_ms = 1;
    job.protocol.block_ms = LAT_BLOCK_MS_MAX;
    assert_int_equal(measure(&job, &watch, &result, NULL), TL_OK);
    if (result.items == NULL) {
        abort();
    }
    assert_int_equal(result.items[1].n[0], LAT_RUNS_MAX);
    assert_int_equal(result.items[1].runs, LAT_ROUNDS_MIN * LAT_RUNS_MAX);
}

struct counted {
    int blocks, fail_at;
};

static enum tl_rc count_block(void *ctx, struct tl_err *err)
{
    struct counted *counted = ctx;
    return ++counted->blocks == counted->fail_at ? tl_fail(err, TL_CONFLICT, "enough") : TL_OK;
}

static void the_watch_sees_every_block_and_can_end_it(void **state)
{
    (void)state;
    TL_AUTO(lat_job) job = made_job();
    TL_AUTO(agent_result) result = {0};
    struct agent_result none = {0};
    struct counted counted = {0}, stopping = {.fail_at = 6};
    const struct agent_watch watch = {.between = count_block, .ctx = &counted};
    const struct agent_watch ending = {.between = count_block, .ctx = &stopping};

    assert_int_equal(measure(&job, &watch, &result, NULL), TL_OK);
    assert_int_equal(counted.blocks, ROUNDS * (ITEMS + 1) + 1);
    assert_int_equal(measure(&job, &ending, &none, NULL), TL_CONFLICT);
    assert_int_equal(stopping.blocks, 6);
    assert_null(none.items);
}

static void a_stopped_agent_measures_no_further(void **state)
{
    (void)state;
    TL_AUTO(lat_job) job = made_job();
    struct agent_result none = {0};
    atomic_int stop = 1;
    const struct agent_watch watch = {.stop = &stop};

    job.protocol.warmup_ms = LAT_BLOCK_MS_MAX;
    job.protocol.block_ms = LAT_BLOCK_MS_MAX;
    assert_int_equal(measure(&job, &watch, &none, NULL), TL_UNAVAILABLE);
    assert_null(none.items);
}

static enum tl_rc measure_once(void *ctx, struct tl_err *err)
{
    TL_AUTO(agent_result) result = {0};
    const struct agent_watch watch = {0};
    return measure(ctx, &watch, &result, err);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    TL_AUTO(lat_job) job = made_job();

    job.n_items = 1;
    job.protocol.rounds = LAT_ROUNDS_MIN;
    assert_true(alloc_fail_each(measure_once, &job) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_alternate_between_anchor_and_items),
        cmocka_unit_test(a_block_never_has_more_runs_than_are_kept),
        cmocka_unit_test(the_watch_sees_every_block_and_can_end_it),
        cmocka_unit_test(a_stopped_agent_measures_no_further),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
