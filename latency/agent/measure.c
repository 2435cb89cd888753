/* measure.c - times the items of a job against its anchor.
 *
 *     warm up; A, I1 .. In, A, I1 .. In, ... , A         each letter a short block of runs of one network
 *
 * One idea: whatever slows the machine for longer than a round slows item and anchor alike, and what is shorter than a
 * block the block's median leaves out.
 *
 * Threads: the caller's and the runner's. Between the first block and the last nothing here allocates.
 */
#include "latency/agent/agent.h"

#include <stdio.h>
#include <stdlib.h>

enum { ITEM_WARMUP_RUNS = 2 }; /* the first run meets weights that were never read; the second is as the later ones */

/* Slot 0 of the runner is the anchor's, slot i + 1 that of item i. */
struct bench {
    const struct lat_job *job;         /* borrowed */
    struct runner *runner;             /* borrowed; left empty */
    const struct agent_models *models; /* borrowed; NULL: the runner wants no files */
    const struct agent_watch *watch;   /* borrowed */
    struct agent_result *result;       /* borrowed */
};

static void bench_done(struct bench *bench)
{
    for (size_t slot = 0; slot < RUNNER_SLOTS; slot++) {
        runner_drop(bench->runner, slot);
    }
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

/* Leave a failed item out. What is no item's failure, or one too many, ends the measuring. */
static enum tl_rc leave_out(struct bench *bench, size_t slot, enum tl_rc rc, const struct tl_err *why,
                            struct tl_err *err)
{
    struct agent_result *result = bench->result;
    const struct lat_job_item *item = slot == 0 ? bench->job->anchor : &bench->job->items[slot - 1];

    if (rc == TL_UNAVAILABLE || rc == TL_CONFLICT || rc == TL_NO_MEMORY) {
        return tl_fail(err, rc, "%s", why->text);
    }
    runner_drop(bench->runner, slot);
    if (slot > 0) {
        result->failed[slot - 1] = true;
        if (result->n_failed++ == 0) {
            (void)snprintf(result->why, sizeof result->why, "%.40s: %.150s", item->subject, why->text);
        }
    }
    if (slot == 0 || result->n_failed == result->n_items || result->n_failed > AGENT_FAILURES_MAX) {
        return tl_fail(err, rc, "%.40s: %s", item->subject, why->text);
    }
    return TL_OK;
}

static enum tl_rc load(struct bench *bench, size_t slot, struct tl_err *err)
{
    const struct lat_job *job = bench->job;
    char path[AGENT_PATH_MAX] = "";
    struct runner_model model = {.net = slot == 0 ? &job->anchor->net : &job->items[slot - 1].net, .seed = job->seed};
    struct tl_err why = {0};

    if (bench->models != NULL) {
        agent_models_path(bench->models, slot, path);
        model.path = path;
    }
    const enum tl_rc rc = runner_load(bench->runner, slot, &model, bench->watch, &why);
    return rc ? leave_out(bench, slot, rc, &why, err) : TL_OK;
}

/* ---- timing ---------------------------------------------------------------------------------------------------- */

static bool is_out(const struct bench *bench, size_t slot)
{
    return slot > 0 && bench->result->failed[slot - 1];
}

static enum tl_rc run(struct bench *bench, size_t slot, const struct runner_block *block, int64_t *ns, uint16_t *ret_n,
                      struct tl_err *err)
{
    struct tl_err why = {0};
    const enum tl_rc rc = runner_run(bench->runner, slot, block, ns, ret_n, bench->watch, &why);

    return rc ? leave_out(bench, slot, rc, &why, err) : TL_OK;
}

static enum tl_rc time_block(struct bench *bench, size_t slot, struct agent_series *series, struct tl_err *err)
{
    const struct lat_protocol *protocol = &bench->job->protocol;
    const struct runner_block block = {.min_runs = protocol->min_runs,
                                       .max_runs = LAT_RUNS_MAX,
                                       .ms = slot == 0 ? protocol->anchor_block_ms : protocol->block_ms};
    uint16_t n = 0;
    enum tl_rc rc = agent_watch_ask(bench->watch, err);

    if (rc || (rc = run(bench, slot, &block, series->ns + series->runs, &n, err)) || is_out(bench, slot)) {
        return rc;
    }
    series->runs += n;
    series->n[series->blocks++] = n;
    return TL_OK;
}

/* The times go where those of the first blocks will. */
static enum tl_rc warm_up(struct bench *bench, struct tl_err *err)
{
    const struct runner_block one = {.min_runs = 1, .max_runs = 1};
    const struct runner_block few = {.min_runs = ITEM_WARMUP_RUNS, .max_runs = ITEM_WARMUP_RUNS};
    const int64_t until_ns = tl_clock_mono_ns() + (int64_t)bench->job->protocol.warmup_ms * 1000000;
    struct agent_result *result = bench->result;
    uint16_t n = 0;
    enum tl_rc rc = TL_OK;

    if (bench->runner->warms_up) {
        return TL_OK;
    }
    do {
        rc = run(bench, 0, &one, result->anchor.ns, &n, err);
    } while (!rc && tl_clock_mono_ns() < until_ns);
    for (size_t i = 0; !rc && i < result->n_items; i++) {
        rc = result->failed[i] ? TL_OK : run(bench, i + 1, &few, result->items[i].ns, &n, err);
    }
    return rc;
}

static enum tl_rc run_rounds(struct bench *bench, struct tl_err *err)
{
    struct agent_result *result = bench->result;
    enum tl_rc rc = TL_OK;

    for (unsigned round = 0; !rc && round < bench->job->protocol.rounds; round++) {
        rc = time_block(bench, 0, &result->anchor, err);
        for (size_t i = 0; !rc && i < result->n_items; i++) {
            rc = result->failed[i] ? TL_OK : time_block(bench, i + 1, &result->items[i], err);
        }
    }
    return rc ? rc : time_block(bench, 0, &result->anchor, err);
}

static void look(const struct bench *bench, struct agent_machine *ret_machine)
{
    agent_machine_look("", ret_machine);
    ret_machine->own_s += runner_cpu_s(bench->runner);
}

enum tl_rc agent_measure(const struct lat_job *job, struct runner *runner, const struct agent_models *models,
                         const struct agent_watch *watch, struct agent_result *ret_result, struct tl_err *err)
{
    TL_AUTO(agent_result) result = {0};
    TL_AUTO(bench) bench = {.job = job, .runner = runner, .models = models, .watch = watch, .result = &result};
    enum tl_rc rc = make_result(&result, job, err);

    for (size_t slot = 0; !rc && slot <= job->n_items; slot++) {
        rc = load(&bench, slot, err);
    }
    if (rc || (rc = warm_up(&bench, err))) {
        return rc;
    }
    result.started_wall_ns = tl_clock_wall_ns();
    look(&bench, &result.before);
    if ((rc = run_rounds(&bench, err))) {
        return rc;
    }
    look(&bench, &result.after);
    result.means = runner->means;
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
                              .khz_after = result->after.khz,
                              .means = result->means};
}
