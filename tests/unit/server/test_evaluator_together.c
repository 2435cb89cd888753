/* Limits together, against looking at every network of small families. */
#include "server/evaluator.h"
#include "small_families.h"
#include "tests/data.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ARCHS_MAX = 20000, TRIALS = 3000, SAMPLES = 100, COSTS = METRIC_LATENCY_MS };

/* Every network of a family by its costs. */
struct world {
    struct evaluator *evaluator;
    size_t n;
    double costs[ARCHS_MAX][SEARCH_METRICS_MAX];
};

static struct world world;

static bool next_arch(const struct space *space, uint8_t *arch)
{
    for (size_t v = 0; v < space->n_variables; v++) {
        if (++arch[v] < space->variables[v].n_options) {
            return true;
        }
        arch[v] = 0;
    }
    return false;
}

static void world_make(const struct net_family *family)
{
    uint8_t arch[SPACE_VARIABLES_MAX] = {0}, canonical[SPACE_VARIABLES_MAX];
    struct tl_err err = {0};

    assert_int_equal(evaluator_new(family, NULL, NULL, 1, &world.evaluator, &err), TL_OK);
    const struct space *space = evaluator_space(world.evaluator);
    const struct search_evaluator *table = evaluator_table(world.evaluator);
    world.n = 0;
    do {
        memcpy(canonical, arch, sizeof arch);
        space_canonical(space, canonical);
        if (memcmp(arch, canonical, space->n_variables) == 0) {
            assert_true(world.n < ARCHS_MAX);
            assert_int_equal(table->values(table->ctx, 0, METRIC_ACCURACY, arch, SPACE_VARIABLES_MAX, 1,
                                           world.costs[world.n++], 0, &err),
                             TL_OK);
        }
    } while (next_arch(space, arch));
}

static bool holds(const struct search_limit *limit, const double *costs)
{
    return limit->is_min ? costs[limit->metric] >= limit->bound : costs[limit->metric] <= limit->bound;
}

/* The best of one limit's metric where the others hold; with `which` beyond them: is there a network that holds all? */
static double best_by_hand(const struct search_limit *limits, size_t n, size_t which, bool *ret_any)
{
    double best = (double)NAN;

    *ret_any = false;
    for (size_t i = 0; i < world.n; i++) {
        size_t j = 0;
        while (j < n && (j == which || holds(&limits[j], world.costs[i]))) {
            j++;
        }
        *ret_any = *ret_any || j == n;
        if (j == n && which < n) {
            const double value = world.costs[i][limits[which].metric];
            best = limits[which].is_min ? fmax(best, value) : fmin(best, value);
        }
    }
    return best;
}

/* Two or three limits that each can be met: the values of some networks. */
static size_t draw_limits(struct tl_rng *rng, struct search_limit *ret_limits)
{
    const size_t n = 2 + tl_rng_below(rng, 2);

    for (size_t j = 0; j < n; j++) {
        struct search_limit *limit = &ret_limits[j];
        limit->metric = (uint8_t)tl_rng_below(rng, COSTS);
        limit->is_min = tl_rng_below(rng, 3) == 0;
        limit->bound = world.costs[tl_rng_below(rng, (uint32_t)world.n)][limit->metric];
    }
    return n;
}

/* *ret_met, *ret_proved, *ret_missed: how many trials could be met, were proved impossible, were impossible without. */
static void try_limits(const struct net_family *family, unsigned *ret_met, unsigned *ret_proved, unsigned *ret_missed)
{
    struct search_limit limits[3];
    struct tl_rng rng;

    world_make(family);
    tl_rng_init(&rng, 5, 0, 0);
    *ret_met = *ret_proved = *ret_missed = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        bool any = false;
        const size_t n = draw_limits(&rng, limits);
        const bool impossible = evaluator_impossible(world.evaluator, limits, n);
        (void)best_by_hand(limits, n, SIZE_MAX, &any);
        if (any && impossible) {
            fail_msg("trial %d: limits that can be met are called impossible", trial);
        }
        *ret_met += any;
        *ret_proved += impossible;
        *ret_missed += !any && !impossible;
    }
    evaluator_free(world.evaluator);
}

static void check_family(const struct net_family *family)
{
    unsigned met, proved, missed;

    try_limits(family, &met, &proved, &missed);
    print_message("%s: %u met, %u proved impossible, %u impossible without a proof\n", family->name, met, proved,
                  missed);
    assert_true(met > TRIALS / 10 && proved > TRIALS / 10);
    assert_true(missed < proved / 2); /* so few networks leave large gaps */
}

static void what_can_be_met_is_never_called_impossible(void **state)
{
    (void)state;
    check_family(net_family_get("nasbench-macro"));
    for (size_t i = 0; i < TL_COUNT_OF(SMALL_FAMILIES); i++) {
        struct net_family family;
        assert_int_equal(net_family_parse(SMALL_FAMILIES[i], strlen(SMALL_FAMILIES[i]), &family, NULL), TL_OK);
        check_family(&family);
    }
}

/* The values of a network as limits on either side: it holds them. */
static void check_own_values(struct evaluator *evaluator, uint64_t seed)
{
    const struct space *space = evaluator_space(evaluator);
    const struct search_evaluator *table = evaluator_table(evaluator);
    const size_t n_costs = evaluator_has(evaluator, METRIC_LATENCY_MS) ? METRIC_LATENCY_MS + 1 : METRIC_LATENCY_MS;
    struct search_limit limits[METRIC_COUNT];
    struct tl_rng rng;
    struct tl_err err = {0};

    tl_rng_init(&rng, seed, 0, 0);
    for (int i = 0; i < SAMPLES; i++) {
        uint8_t arch[SPACE_VARIABLES_MAX];
        double values[SEARCH_METRICS_MAX];
        space_sample(space, &rng, arch);
        space_canonical(space, arch);
        assert_int_equal(table->values(table->ctx, 0, METRIC_ACCURACY, arch, SPACE_VARIABLES_MAX, 1, values, 0, &err),
                         TL_OK);
        for (size_t m = 0; m < n_costs; m++) {
            limits[m] = (struct search_limit){(uint8_t)m, tl_rng_below(&rng, 2) == 0, values[m]};
        }
        assert_false(evaluator_impossible(evaluator, limits, n_costs));
    }
}

static void what_some_network_of_a_large_family_holds_is_possible(void **state)
{
    struct tl_err err = {0};

    (void)state;
    for (size_t f = 0; f < net_family_count(); f++) {
        struct evaluator *evaluator = NULL;
        assert_int_equal(evaluator_new(net_family_at(f), NULL, NULL, 1, &evaluator, &err), TL_OK);
        check_own_values(evaluator, f);
        evaluator_free(evaluator);
    }
}

/* Latencies too: published tables, also under a search's correction; with an interval its ends are open. */
static void a_latency_that_some_network_has_is_possible(void **state)
{
    const struct net_family *family = net_family_get("ofa-mbv3-w1.2");
    TL_AUTO(tl_buf) yaml = {.max = 4 << 20};
    char path[DATA_PATH_MAX];
    struct lat_model *latency = NULL;
    struct evaluator *evaluator = NULL;
    struct metric_range ranges[COLUMNS_MAX];
    struct tl_err err = {0};

    (void)state;
    data_path("ofa_note10/160_lookup_table.yaml", path);
    assert_int_equal(tl_file_read(path, &yaml, &err), TL_OK);
    const struct lat_table_text text = {.resolution = 160, .yaml = yaml.data, .n = yaml.len};
    assert_int_equal(lat_model_import(family, &text, 1, &latency, &err), TL_OK);
    assert_int_equal(evaluator_new(family, NULL, latency, 1, &evaluator, &err), TL_OK);
    check_own_values(evaluator, 1);
    evaluator_correct(evaluator, 0, 1.25, 0.1);
    check_own_values(evaluator, 2);
    evaluator_ranges(evaluator, ranges);
    const struct metric_range *ms = &ranges[METRIC_LATENCY_MS];
    struct search_limit limits[] = {{METRIC_LATENCY_MS, false, 0.91 * ms->min}, {METRIC_MACS, false, 1e12}};
    assert_false(evaluator_impossible(evaluator, limits, 2));
    limits[0].bound = 0.89 * ms->min;
    assert_true(evaluator_impossible(evaluator, limits, 2));
    evaluator_free(evaluator);
    lat_model_free(latency);
}

/* No network is better than what is said to be within reach, and the best is near. */
static void nothing_is_better_than_what_is_within_reach(void **state)
{
    struct search_limit limits[3];
    struct metric_range ranges[COLUMNS_MAX];
    struct limit_reach reach[3];
    struct tl_rng rng;
    struct tl_err err = {0};
    unsigned n_told = 0, n_near = 0;

    (void)state;
    world_make(net_family_get("nasbench-macro"));
    evaluator_ranges(world.evaluator, ranges);
    tl_rng_init(&rng, 6, 0, 0);
    for (int trial = 0; trial < 1000; trial++) {
        const size_t n = draw_limits(&rng, limits);
        if (!evaluator_impossible(world.evaluator, limits, n)) {
            continue;
        }
        assert_int_equal(evaluator_reach(world.evaluator, limits, n, reach, &err), TL_OK);
        for (size_t j = 0; j < n; j++) {
            bool any = false;
            const double best = best_by_hand(limits, n, j, &any), value = reach[j].value;
            const struct metric_range *range = &ranges[limits[j].metric];
            assert_true(reach[j].proved && reach[j].limit.metric == limits[j].metric);
            assert_true(!any || (limits[j].is_min ? value >= best : value <= best));
            n_told += any;
            n_near += any && fabs(value - best) < 0.05 * (range->max - range->min);
        }
    }
    evaluator_free(world.evaluator);
    print_message("%u of %u are within a twentieth of the range\n", n_near, n_told);
    assert_true(n_told > 40 && n_near > n_told * 3 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_met_is_never_called_impossible),
        cmocka_unit_test(what_some_network_of_a_large_family_holds_is_possible),
        cmocka_unit_test(a_latency_that_some_network_has_is_possible),
        cmocka_unit_test(nothing_is_better_than_what_is_within_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
