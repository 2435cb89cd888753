/* measure.c - times the items of a job against its anchor.
 *
 *     warm up; A, I1 .. In, A, I1 .. In, ... , A         each letter a short block of runs of one network
 *
 * One idea: whatever slows the machine for longer than a round slows item and anchor alike, and what is shorter than a
 * block the block's median leaves out.
 *
 * Threads: the caller's and those of the pool. Between the first block and the last nothing here allocates.
 */
#include "latency/agent/agent.h"

#include "supernet/kernels/kernels.h"

#include <stdlib.h>

enum { ITEM_WARMUP_RUNS = 2 }; /* the first run meets weights that were never read; the second is as the later ones */

/* The networks of a job, ready to run. Plan 0 is the anchor's, plan i + 1 that of item i. */
struct bench {
    const struct lat_protocol *protocol; /* borrowed */
    const struct agent_watch *watch;     /* borrowed */
    struct net_plan **plans;             /* owned */
    size_t n;
    float *input, *output; /* owned; as large as the largest plan wants */
};

static void bench_done(struct bench *bench)
{
    for (size_t i = 0; bench->plans != NULL && i < bench->n; i++) {
        net_plan_free(bench->plans[i]);
    }
    free(bench->plans);
    free(bench->input);
    free(bench->output);
}

void agent_result_done(struct agent_result *result)
{
    free(result->anchor.ns);
    for (size_t i = 0; result->items != NULL && i < result->n_items; i++) {
        free(result->items[i].ns);
    }
    free(result->items);
    *result = (struct agent_result){0};
}

/* ---- making ready ---------------------------------------------------------------------------------------------- */

static enum tl_rc make_plans(struct bench *bench, const struct lat_job *job, struct tl_pool *pool, struct tl_err *err)
{
    size_t bytes = 0;

    bench->plans = calloc(job->n_items + 1, sizeof(struct net_plan *));
    if (bench->plans == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu plans", job->n_items + 1);
    }
    bench->n = job->n_items + 1;
    for (size_t i = 0; i < bench->n; i++) {
        const struct network *net = i == 0 ? &job->anchor->net : &job->items[i - 1].net;
        const enum tl_rc rc = net_plan_new(net, job->protocol.batch, NULL, job->seed, pool, &bench->plans[i], err);
        if (rc) {
            return rc;
        }
        bytes += net_plan_bytes(bench->plans[i]);
        if (bytes >> 20 >= AGENT_PLANS_MAX_MIB) {
            return tl_fail(err, TL_TOO_LARGE, "the networks of the job take over %d MiB", AGENT_PLANS_MAX_MIB);
        }
    }
    return TL_OK;
}

/* Inputs of order one, from a seeded generator: their values do not change the time. */
static enum tl_rc make_images(struct bench *bench, uint64_t seed, struct tl_err *err)
{
    size_t n_in = 1, n_out = 1;
    struct tl_rng rng;

    for (size_t i = 0; i < bench->n; i++) {
        const size_t in = net_plan_input_floats(bench->plans[i]), out = net_plan_output_floats(bench->plans[i]);
        n_in = in > n_in ? in : n_in;
        n_out = out > n_out ? out : n_out;
    }
    bench->input = malloc(n_in * sizeof *bench->input);
    bench->output = malloc(n_out * sizeof *bench->output);
    if (bench->input == NULL || bench->output == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu inputs and %zu outputs", n_in, n_out);
    }
    tl_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; i < n_in; i++) {
        bench->input[i] = (float)(tl_rng_unit(&rng) * 2 - 1);
    }
    return TL_OK;
}

static enum tl_rc make_series(struct agent_series *series, size_t blocks, struct tl_err *err)
{
    series->cap = blocks * LAT_RUNS_MAX;
    series->ns = malloc(series->cap * sizeof *series->ns);
    return series->ns != NULL ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for %zu runs", series->cap);
}

static enum tl_rc make_result(struct agent_result *result, const struct lat_job *job, struct tl_err *err)
{
    const size_t rounds = job->protocol.rounds;
    enum tl_rc rc = make_series(&result->anchor, rounds + 1, err);

    result->items = calloc(job->n_items, sizeof *result->items);
    if (result->items == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu items", job->n_items);
    }
    result->n_items = job->n_items;
    for (size_t i = 0; !rc && i < job->n_items; i++) {
        rc = make_series(&result->items[i], rounds, err);
    }
    return rc;
}

/* ---- timing ---------------------------------------------------------------------------------------------------- */

static bool stopped(const struct bench *bench)
{
    return bench->watch->stop != NULL && *bench->watch->stop != 0;
}

static enum tl_rc fail_stopped(struct tl_err *err)
{
    return tl_fail(err, TL_UNAVAILABLE, "stopped");
}

static int64_t run_once(struct bench *bench, size_t plan)
{
    const int64_t from_ns = tl_clock_mono_ns();

    net_plan_run(bench->plans[plan], bench->input, bench->output);
    return tl_clock_mono_ns() - from_ns;
}

static enum tl_rc run_block(struct bench *bench, size_t plan, struct agent_series *series, struct tl_err *err)
{
    const struct agent_watch *watch = bench->watch;
    const int64_t block_ms = plan == 0 ? bench->protocol->anchor_block_ms : bench->protocol->block_ms;
    const enum tl_rc rc = watch->between != NULL ? watch->between(watch->ctx, err) : TL_OK;

    if (rc) {
        return rc;
    }
    const int64_t until_ns = tl_clock_mono_ns() + block_ms * 1000000;
    uint16_t n = 0;
    while (n < LAT_RUNS_MAX && (n < bench->protocol->min_runs || tl_clock_mono_ns() < until_ns)) {
        if (stopped(bench)) {
            return fail_stopped(err);
        }
        series->ns[series->runs++] = run_once(bench, plan);
        n++;
    }
    series->n[series->blocks++] = n;
    return TL_OK;
}

static enum tl_rc warm_up(struct bench *bench, struct tl_err *err)
{
    const int64_t until_ns = tl_clock_mono_ns() + (int64_t)bench->protocol->warmup_ms * 1000000;

    do {
        (void)run_once(bench, 0);
    } while (!stopped(bench) && tl_clock_mono_ns() < until_ns);
    for (size_t i = 1; i < bench->n; i++) {
        for (int run = 0; run < ITEM_WARMUP_RUNS && !stopped(bench); run++) {
            (void)run_once(bench, i);
        }
    }
    return stopped(bench) ? fail_stopped(err) : TL_OK;
}

static enum tl_rc run_rounds(struct bench *bench, struct agent_result *result, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (unsigned round = 0; !rc && round < bench->protocol->rounds; round++) {
        rc = run_block(bench, 0, &result->anchor, err);
        for (size_t i = 1; !rc && i < bench->n; i++) {
            rc = run_block(bench, i, &result->items[i - 1], err);
        }
    }
    return rc ? rc : run_block(bench, 0, &result->anchor, err);
}

enum tl_rc agent_measure(const struct lat_job *job, struct tl_pool *pool, const struct agent_watch *watch,
                         struct agent_result *ret_result, struct tl_err *err)
{
    TL_AUTO(bench) bench = {.protocol = &job->protocol, .watch = watch};
    TL_AUTO(agent_result) result = {0};
    enum tl_rc rc;

    if ((rc = make_plans(&bench, job, pool, err)) || (rc = make_images(&bench, job->seed, err)) ||
        (rc = make_result(&result, job, err)) || (rc = warm_up(&bench, err))) {
        return rc;
    }
    result.started_wall_ns = tl_clock_wall_ns();
    agent_machine_look("", &result.before);
    if ((rc = run_rounds(&bench, &result, err))) {
        return rc;
    }
    agent_machine_look("", &result.after);
    *ret_result = result;
    result = (struct agent_result){0};
    return TL_OK;
}

struct lat_visit agent_result_visit(const struct agent_result *result, size_t i)
{
    const struct agent_series *item = &result->items[i];

    return (struct lat_visit){.rounds = item->blocks,
                              .item_n = item->n,
                              .item_ns = item->ns,
                              .anchor_n = result->anchor.n,
                              .anchor_ns = result->anchor.ns,
                              .others_cpu = agent_others_cpu(&result->before, &result->after),
                              .steal = agent_steal(&result->before, &result->after),
                              .khz_before = result->before.khz,
                              .khz_after = result->after.khz};
}
