/* runner.c - the runner of a configuration, and what is asked of every runner. See runner.h. */
#include "latency/agent/runner.h"

enum { SLACK_NS = 1000000, SLACK_SHARE = 100 }; /* of clocks that are not the same one */

enum tl_rc runner_new(const struct runner_config *config, struct tl_pool *pool, const struct agent_watch *watch,
                      struct runner **ret_runner, struct tl_err *err)
{
    switch (config->kind) {
    case RUNNER_SESSION:
        return runner_session_new(config, watch, ret_runner, err);
    case RUNNER_COMMAND:
        return runner_command_new(config, ret_runner, err);
    case RUNNER_NATIVE:
    case RUNNER_KIND_COUNT:
        break;
    }
    return runner_native_new(config, pool, ret_runner, err);
}

void runner_free(struct runner *runner)
{
    if (runner != NULL) {
        runner->vtable->free(runner);
    }
}

enum tl_rc runner_load(struct runner *runner, size_t slot, const struct runner_model *model,
                       const struct agent_watch *watch, struct tl_err *err)
{
    runner_drop(runner, slot);
    return runner->vtable->load(runner, slot, model, watch, err);
}

static enum tl_rc check(const struct runner_block *block, const int64_t *ns, size_t n, int64_t elapsed_ns,
                        struct tl_err *err)
{
    int64_t sum_ns = 0;

    if (n < 1 || n > block->max_runs) {
        return tl_fail(err, TL_INVALID, "the runner tells %zu times; 1 to %u can be used", n, block->max_runs);
    }
    for (size_t i = 0; i < n; i++) {
        if (ns[i] < LAT_NS_MIN || ns[i] > LAT_NS_MAX) {
            return tl_fail(err, TL_INVALID, "the runner tells a time of %lld ns; a run takes 1 us to 1 h",
                           (long long)ns[i]);
        }
        sum_ns += ns[i];
    }
    if (sum_ns > elapsed_ns + elapsed_ns / SLACK_SHARE + SLACK_NS) {
        return tl_fail(err, TL_INVALID, "the runner tells runs of %.3f s within %.3f s: its clock jumps",
                       (double)sum_ns / 1e9, (double)elapsed_ns / 1e9);
    }
    return TL_OK;
}

enum tl_rc runner_run(struct runner *runner, size_t slot, const struct runner_block *block, int64_t *ret_ns,
                      uint16_t *ret_n, const struct agent_watch *watch, struct tl_err *err)
{
    const int64_t from_ns = tl_clock_mono_ns();
    uint16_t n = 0;
    enum tl_rc rc = runner->vtable->run(runner, slot, block, ret_ns, &n, watch, err);

    if (!rc && !(rc = check(block, ret_ns, n, tl_clock_mono_ns() - from_ns, err))) {
        *ret_n = n;
    }
    return rc;
}

void runner_drop(struct runner *runner, size_t slot)
{
    runner->vtable->drop(runner, slot);
}

double runner_cpu_s(const struct runner *runner)
{
    return runner->vtable->cpu_s != NULL ? runner->vtable->cpu_s(runner) : 0;
}
