/* States of searches: refused, or a run that shows sound candidates, goes on and can be saved again. Not ppo's: they have
 * 160 KB, far beyond what mutations search, and its numbers are bounded alike (test_controller_ppo.c). The first byte of the
 * input chooses the controller, from 128 on one with starts; the rest is what follows the first 20 bytes of a state, which only say which search it is
 * of. The seeds in the corpus are states of this search after the number of batches in their names. */
/* links: tailor_search */
#include "fuzz.h"
#include "search/search.h"

#include <stdio.h>
#include <string.h>

enum { HEAD_BYTES = 20, VARIABLES = 6, BUDGET = 600, STATE_MAX_BYTES = 1 << 21 };

/* Metric 0, cheap: the sum of all options; 1 and 2: the first two. */
static enum tl_rc values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err)
{
    (void)ctx;
    (void)thread;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *arch = archs + i * stride;
        double row[3] = {0, arch[0], arch[1]};
        for (size_t v = 0; v < stride; v++) {
            row[0] += arch[v];
        }
        memcpy(out + i * SEARCH_METRICS_MAX + first, row + first, n_metrics * sizeof *row);
    }
    return TL_OK;
}

static const struct search_evaluator evaluator = {.n_metrics = 3, .n_cheap = 1, .values = values};

static const struct search_spec wish = {.n_limits = 1,
                                        .limits = {{.metric = 0, .bound = 9}},
                                        .n_front = 3,
                                        .front = {1, 0, 2},
                                        .front_max = 4,
                                        .sample_size = 8,
                                        .budget_evaluations = BUDGET,
                                        .seed = 3,
                                        .objective = 1,
                                        .maximize = true};

static const char *const controllers[] = {"evolution",
                                          "reinforce",
                                          "natural-gradient",
                                          "yoco",
                                          "nsga2",
                                          "aging-evolution",
                                          "local-search",
                                          "distinct-evolution",
                                          "model",
                                          "auto",
                                          "nsga3"};

static struct space space;

/* Four options each; the last two variables are there under options of the first. */
static void make_space(void)
{
    memcpy(space.name, "fuzz", 5);
    space.n_variables = VARIABLES;
    for (unsigned i = 0; i < VARIABLES; i++) {
        struct space_variable *v = &space.variables[i];
        *v = (struct space_variable){.n_options = 4, .parent = (int16_t)(i < 4 ? -1 : 0), .active_under = 12};
        (void)snprintf(v->name, sizeof v->name, "v%u", i);
        v->group = (uint16_t)(i / 2);
        for (unsigned o = 0; o < 4; o++) {
            (void)snprintf(v->labels[o], sizeof v->labels[o], "%u", o);
        }
    }
    must(space_finish(&space, NULL) == TL_OK);
}

static void check_candidate(const struct search_candidate *candidate, const struct search_run *run)
{
    uint8_t canonical[VARIABLES];
    must(space_valid(&space, candidate->arch));
    memcpy(canonical, candidate->arch, VARIABLES);
    space_canonical(&space, canonical);
    must(memcmp(canonical, candidate->arch, VARIABLES) == 0);
    must(candidate->number < search_run_evaluations(run));
}

static void check_run(const struct search_run *run)
{
    struct search_candidate candidate;
    const struct search_point *points = NULL;
    for (size_t i = 0; i < search_run_front_count(run); i++) {
        search_run_front_at(run, i, &candidate);
        check_candidate(&candidate, run);
        must(candidate.violation == 0);
    }
    for (size_t i = 0; i < search_run_sample_count(run); i++) {
        search_run_sample_at(run, i, &candidate);
        check_candidate(&candidate, run);
    }
    if (search_run_best(run, &candidate)) {
        check_candidate(&candidate, run);
        must(candidate.violation == 0);
    }
    size_t n = search_run_history(run, &points);
    must(n == 0 || points[n - 1].evaluations == search_run_evaluations(run));
}

static const uint8_t starts[3][VARIABLES] = {{0, 1, 2, 3, 0, 0}, {2, 1, 0, 0, 3, 1}, {3, 3, 3, 3, 3, 3}};

static void try_controller(const char *name, bool started, const uint8_t *data, size_t n)
{
    struct search_run *run = NULL;
    struct search_spec spec = wish;
    TL_AUTO(tl_buf) state = {.max = STATE_MAX_BYTES};
    bool done = false;
    (void)snprintf(spec.controller, sizeof spec.controller, "%s", name);
    spec.starts = starts[0];
    spec.n_starts = started ? TL_COUNT_OF(starts) : 0;
    must(search_run_new(&space, &evaluator, &spec, NULL, &run, NULL) == TL_OK);
    must(search_run_save(run, &state, NULL) == TL_OK);
    state.len = HEAD_BYTES;
    if (tl_buf_add(&state, data, n, NULL) == TL_OK) {
        struct tl_err err = {0};
        enum tl_rc rc = search_run_restore(run, state.data, state.len, &err);
        must(rc == TL_OK || (rc == TL_MALFORMED && err.text[0] != '\0'));
        check_run(run);
        must(search_run_step(run, 10, &done, NULL) == TL_OK);
        check_run(run);
        tl_buf_clear(&state);
        must(search_run_save(run, &state, NULL) == TL_OK);
        must(search_run_restore(run, state.data, state.len, NULL) == TL_OK);
    }
    search_run_free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (space.n_variables == 0) {
        make_space();
    }
    if (n > 0) {
        try_controller(controllers[data[0] % TL_COUNT_OF(controllers)], data[0] >= 128, data + 1, n - 1);
    }
    return 0;
}
