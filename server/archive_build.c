/* archive_build.c - short searches, legs, one after the other under limits spread over what the costs can reach; each begins
 * with what those before it found.
 */
#include "server/archive_pool.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Legs of 2,500 evaluations gave better answers than as many in fewer legs of 5,000 or 10,000; a long first one under a
 * generous limit, from nothing, lifts the answers to generous limits, which short legs alone leave in the first region
 * found (tests/bench/bench_search.c --archive 300000; once-for-all's inputs at 15 to 40, 52 and 70 ms). */
enum { FIRST_PART = 15, LEG_EVALUATIONS = 2500, LEG_STARTS = 200 }; /* the first: of the budget, 1/15 */
static const double FIRST_SHARE = 0.7;

enum { VALUE_ROWS = 500, POOL_CAPACITY = ARCHIVE_MEMBERS_MAX + SEARCH_FRONT_MAX };

/* What the legs limit in turn: places in the pool's costs, the first of which is the one most searches limit; -1: no second one. */
static const int8_t limited[][2] = {{0, -1}, {0, 1}, {0, -1}, {1, -1}, {0, -1}, {2, -1}, {0, -1}, {0, 3}};

struct archive_build {
    struct evaluator *evaluator; /* borrowed */
    struct metric_range ranges[COLUMNS_MAX];
    uint64_t budget, spent;
    size_t n_old, n_valued;         /* members of the old archive, in the pool's genes; those that were valued again */
    uint64_t leg;                   /* number of the next one */
    struct search_run *run;         /* owned; NULL between legs */
    uint64_t run_spent, run_budget; /* evaluations of the run that are counted in `spent`; and that it may have */
    struct archive_pool pool;
};

void archive_build_free(struct archive_build *build)
{
    if (build) {
        search_run_free(build->run);
        archive_pool_done(&build->pool);
        free(build);
    }
}

/* The members that the models still cover. */
static void take_old(struct archive_build *build, const struct archive *old)
{
    double unknown[SEARCH_METRICS_MAX];

    for (size_t m = 0; m < SEARCH_METRICS_MAX; m++) {
        unknown[m] = NAN;
    }
    for (size_t i = 0; old && i < archive_count(old); i++) {
        struct archive_member member;
        uint8_t genes[SPACE_VARIABLES_MAX];
        archive_at(old, i, &member);
        if (evaluator_narrow_arch(build->evaluator, member.genes, genes)) {
            archive_pool_add(&build->pool, genes, unknown);
        }
    }
    build->n_old = build->pool.n;
}

enum tl_rc archive_build_new(struct evaluator *evaluator, const struct archive *old, uint64_t budget,
                             struct archive_build **ret_build, struct tl_err *err)
{
    struct archive_build *build = calloc(1, sizeof(*build));
    enum tl_rc rc;

    if (!build) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to build an archive");
    }
    build->evaluator = evaluator;
    build->budget = budget;
    evaluator_ranges(evaluator, build->ranges);
    if ((rc = archive_pool_init(&build->pool, evaluator, POOL_CAPACITY, err))) {
        archive_build_free(build);
        return rc;
    }
    take_old(build, old);
    *ret_build = build;
    return TL_OK;
}

/* ---- legs ---------------------------------------------------------------------------------------------------- */

/* Between the ends of what the cost can reach, evenly in the logarithm: the leg's place in an additive sequence of `step`
 * (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences": powers of the plastic number). */
static double bound(const struct archive_build *build, enum metric cost, double step)
{
    const struct metric_range *range = &build->ranges[cost];
    const double place = 0.02 + 0.98 * fmod(0.5 + (double)build->leg * step, 1.0);

    return range->min * pow(range->max / range->min, build->leg == 0 ? FIRST_SHARE : place);
}

static void leg_spec(const struct archive_build *build, struct search_spec *spec)
{
    static const double steps[2] = {0.7548776662466927, 0.5698402909980532};
    const struct archive_pool *pool = &build->pool;
    const int8_t *turn = limited[build->leg % TL_COUNT_OF(limited)];
    const uint64_t left = build->budget - build->spent,
                   wanted = build->leg == 0 ? build->budget / FIRST_PART + 1 : LEG_EVALUATIONS;

    *spec = (struct search_spec){.objective = METRIC_ACCURACY,
                                 .maximize = true,
                                 .n_front = 1,
                                 .front = {METRIC_ACCURACY},
                                 .front_max = 1U << METRIC_ACCURACY,
                                 .seed = build->leg,
                                 .controller = "auto",
                                 .budget_evaluations = left < wanted ? left : wanted};
    for (size_t i = 0; i < pool->n_costs; i++) {
        spec->front[spec->n_front++] = (uint8_t)pool->costs[i];
    }
    for (size_t i = 0; i < 2 && turn[i] >= 0; i++) {
        const enum metric cost = pool->costs[(size_t)turn[i] % pool->n_costs];
        spec->limits[spec->n_limits++] =
            (struct search_limit){.metric = (uint8_t)cost, .bound = bound(build, cost, steps[i])};
    }
}

static enum tl_rc leg_begin(struct archive_build *build, struct tl_err *err)
{
    const struct archive_pool *pool = &build->pool;
    struct search_start starts[LEG_STARTS];
    uint8_t *genes = malloc(LEG_STARTS * pool->width);
    struct search_spec spec;
    size_t n = 0;
    enum tl_rc rc;

    if (!genes) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to build an archive");
    }
    leg_spec(build, &spec);
    if (!(rc = search_starts(&spec, pool->values, pool->n, LEG_STARTS, starts, &n, err))) {
        for (size_t i = 0; i < n; i++) {
            memcpy(genes + i * pool->width, pool->genes + starts[i].at * pool->width, pool->width);
        }
        spec.starts = genes;
        spec.n_starts = n;
        rc = search_run_new(evaluator_space(build->evaluator), evaluator_table(build->evaluator), &spec, NULL,
                            &build->run, err);
    }
    free(genes);
    build->run_spent = 0;
    build->run_budget = spec.budget_evaluations;
    return rc;
}

static void leg_end(struct archive_build *build)
{
    for (size_t i = 0; i < search_run_front_count(build->run); i++) {
        struct search_candidate member;
        search_run_front_at(build->run, i, &member);
        archive_pool_add(&build->pool, member.arch, member.values);
    }
    archive_pool_reduce(&build->pool, ARCHIVE_MEMBERS_MAX);
    search_run_free(build->run);
    build->run = NULL;
    build->leg++;
}

/* ---- steps --------------------------------------------------------------------------------------------------- */

/* Value some of the old members again. */
static enum tl_rc value_old(struct archive_build *build, struct tl_err *err)
{
    struct archive_pool *pool = &build->pool;
    const struct search_evaluator *table = evaluator_table(build->evaluator);
    const size_t left = build->n_old - build->n_valued, n = left < VALUE_ROWS ? left : VALUE_ROWS;
    enum tl_rc rc = table->values(table->ctx, 0, METRIC_COUNT, pool->genes + build->n_valued * pool->width, pool->width,
                                  n, pool->values + build->n_valued * SEARCH_METRICS_MAX, 0, err);

    if (rc) {
        return rc;
    }
    build->n_valued += n;
    build->spent += n;
    if (build->n_valued == build->n_old) {
        archive_pool_reduce(pool, ARCHIVE_MEMBERS_MAX);
    }
    return TL_OK;
}

static enum tl_rc step_leg(struct archive_build *build, uint64_t n_evaluations, struct tl_err *err)
{
    bool done = false;
    enum tl_rc rc = build->run ? TL_OK : leg_begin(build, err);

    if (rc || (rc = search_run_step(build->run, n_evaluations, &done, err))) {
        return rc;
    }
    const uint64_t spent =
        done ? build->run_budget : search_run_evaluations(build->run); /* a space of one ends early */
    build->spent += spent - build->run_spent;
    build->run_spent = spent;
    if (done) {
        leg_end(build);
    }
    return TL_OK;
}

enum tl_rc archive_build_step(struct archive_build *build, uint64_t n_evaluations, bool *ret_done, struct tl_err *err)
{
    const uint64_t before = build->spent;
    enum tl_rc rc = TL_OK;

    while (!rc && build->spent - before < n_evaluations && build->n_valued < build->n_old) {
        rc = value_old(build, err);
    }
    while (!rc && build->spent - before < n_evaluations && build->spent < build->budget) {
        rc = step_leg(build, n_evaluations - (build->spent - before), err);
    }
    *ret_done = build->n_valued == build->n_old && build->spent >= build->budget && !build->run;
    return rc;
}

uint64_t archive_build_evaluations(const struct archive_build *build)
{
    return build->spent;
}

bool archive_build_valued(const struct archive_build *build)
{
    return build->n_valued == build->n_old;
}

enum tl_rc archive_build_get(struct archive_build *build, struct archive **ret_archive, struct tl_err *err)
{
    if (!archive_build_valued(build)) {
        return tl_fail(err, TL_CONFLICT, "the archive's old members are not valued yet");
    }
    return archive_of_pool(&build->pool, build->evaluator, ret_archive, err);
}
