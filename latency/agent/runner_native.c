/* runner_native.c - our own forward runtime as a runner.
 *
 * Threads: the caller's and those of the pool. Nothing is allocated while a block runs.
 */
#include "latency/agent/runner.h"

#include "supernet/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLANS_MAX_MIB = 1024 };

struct native {
    struct runner runner;
    struct tl_pool *pool; /* borrowed; NULL: one thread */
    unsigned batch;
    struct net_plan *plans[RUNNER_SLOTS]; /* owned */
    float *input, *output;                /* owned; as large as the largest plan yet wants */
    size_t n_in, n_out;
};

static struct native *native_of(struct runner *runner)
{
    return (struct native *)(void *)runner;
}

static void native_drop(struct runner *runner, size_t slot)
{
    struct native *native = native_of(runner);

    net_plan_free(native->plans[slot]);
    native->plans[slot] = NULL;
}

static enum tl_rc grow(float **floats, size_t *n, size_t wanted, struct tl_err *err)
{
    if (wanted <= *n) {
        return TL_OK;
    }
    float *larger = realloc(*floats, wanted * sizeof **floats);
    if (larger == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu numbers", wanted);
    }
    *floats = larger;
    *n = wanted;
    return TL_OK;
}

/* Inputs of order one, from a seeded generator: their values do not change the time. */
static enum tl_rc make_images(struct native *native, const struct net_plan *plan, uint64_t seed, struct tl_err *err)
{
    const size_t had = native->n_in;
    struct tl_rng rng;
    enum tl_rc rc;

    if ((rc = grow(&native->input, &native->n_in, net_plan_input_floats(plan), err)) ||
        (rc = grow(&native->output, &native->n_out, net_plan_output_floats(plan), err))) {
        return rc;
    }
    tl_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; native->n_in > had && i < native->n_in; i++) {
        native->input[i] = (float)(tl_rng_unit(&rng) * 2 - 1);
    }
    return TL_OK;
}

static enum tl_rc native_load(struct runner *runner, size_t slot, const struct runner_model *model,
                              const struct agent_watch *watch, struct tl_err *err)
{
    struct native *native = native_of(runner);
    size_t bytes = 0;
    enum tl_rc rc;

    (void)watch;
    if ((rc = net_plan_new(model->net, native->batch, NULL, model->seed, native->pool, &native->plans[slot], err)) ||
        (rc = make_images(native, native->plans[slot], model->seed, err))) {
        return rc;
    }
    for (size_t i = 0; i < RUNNER_SLOTS; i++) {
        bytes += native->plans[i] != NULL ? net_plan_bytes(native->plans[i]) : 0;
    }
    return bytes >> 20 < PLANS_MAX_MIB
               ? TL_OK
               : tl_fail(err, TL_TOO_LARGE, "the networks of the job take over %d MiB", PLANS_MAX_MIB);
}

static enum tl_rc native_run(struct runner *runner, size_t slot, const struct runner_block *block, int64_t *ret_ns,
                             uint16_t *ret_n, const struct agent_watch *watch, struct tl_err *err)
{
    struct native *native = native_of(runner);
    const int64_t until_ns = tl_clock_mono_ns() + (int64_t)block->ms * 1000000;
    uint16_t n = 0;

    while (n < block->max_runs && (n < block->min_runs || tl_clock_mono_ns() < until_ns)) {
        if (watch->stop != NULL && *watch->stop != 0) {
            return tl_fail(err, TL_UNAVAILABLE, "stopped");
        }
        const int64_t from_ns = tl_clock_mono_ns();
        net_plan_run(native->plans[slot], native->input, native->output);
        ret_ns[n++] = tl_clock_mono_ns() - from_ns;
    }
    *ret_n = n;
    return TL_OK;
}

static void native_free(struct runner *runner)
{
    struct native *native = native_of(runner);

    for (size_t i = 0; i < RUNNER_SLOTS; i++) {
        native_drop(runner, i);
    }
    free(native->input);
    free(native->output);
    free(native);
}

enum tl_rc runner_native_new(const struct runner_config *config, struct tl_pool *pool, struct runner **ret_runner,
                             struct tl_err *err)
{
    static const struct runner_vtable vtable = {
        .load = native_load, .run = native_run, .drop = native_drop, .free = native_free};
    struct native *native = calloc(1, sizeof *native);

    if (native == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a runner");
    }
    native->runner = (struct runner){.vtable = &vtable, .runtime = "tailor " TAILOR_VERSION, .number_type = "float32"};
    native->pool = pool;
    native->batch = config->batch;
    *ret_runner = &native->runner;
    return TL_OK;
}
