/* The evaluator's tables against the operator lists they were filled from. */
#include "server/evaluator.h"
#include "server/space_of_family.h"
#include "server/subject.h"
#include "small_families.h"
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 200 };

struct world {
    const struct net_family *family;
    struct evaluator *evaluator;
    struct network *net;
    struct tl_rng rng;
};

static void world_make_of(struct world *w, const struct net_family *family)
{
    struct tl_err err = {0};

    w->family = family;
    assert_non_null(w->family);
    w->net = malloc(sizeof(*w->net));
    assert_int_equal(evaluator_new(w->family, NULL, NULL, 1, &w->evaluator, &err), TL_OK);
    tl_rng_init(&w->rng, 7, 0, 0);
}

static void world_make(struct world *w, const char *name)
{
    world_make_of(w, net_family_get(name));
}

static void world_done(struct world *w)
{
    evaluator_free(w->evaluator);
    free(w->net);
}

static void sample(struct world *w, uint8_t *arch)
{
    space_sample(evaluator_space(w->evaluator), &w->rng, arch);
    space_canonical(evaluator_space(w->evaluator), arch);
}

static void values_of(struct world *w, const uint8_t *arch, double out[SEARCH_METRICS_MAX])
{
    const struct search_evaluator *table = evaluator_table(w->evaluator);
    struct tl_err err = {0};

    assert_int_equal(table->values(table->ctx, 0, METRIC_COUNT, arch, SPACE_VARIABLES_MAX, 1, out, 0, &err), TL_OK);
}

static void check_costs(const char *name)
{
    struct world w;
    uint8_t arch[SPACE_VARIABLES_MAX], full[SPACE_VARIABLES_MAX];

    world_make(&w, name);
    for (int i = 0; i < SAMPLES; i++) {
        struct net_pick pick;
        struct net_cost cost;
        struct tl_err err = {0};
        double out[SEARCH_METRICS_MAX];
        sample(&w, arch);
        evaluator_full_arch(w.evaluator, arch, full);
        pick_of_arch(w.family, evaluator_full_space(w.evaluator), full, &pick);
        assert_int_equal(net_build(w.family, &pick, w.net, &err), TL_OK);
        net_cost_total(w.net, &cost);
        values_of(&w, arch, out);
        assert_true(out[METRIC_MACS] == (double)cost.macs);
        assert_true(out[METRIC_PARAMS] == (double)cost.params);
        assert_true(out[METRIC_SIZE_BYTES] == (double)cost.size_bytes);
        assert_true(out[METRIC_PEAK_MEMORY_BYTES] == (double)cost.peak_memory_bytes);
        assert_true(isnan(out[METRIC_LATENCY_MS]) && isnan(out[METRIC_ACCURACY]));
    }
    world_done(&w);
}

static void tables_add_up_to_the_operator_list(void **state)
{
    (void)state;
    for (size_t f = 0; f < net_family_count(); f++) {
        check_costs(net_family_at(f)->name);
    }
}

/* Every sample lies within the ranges, and both ends are reached by the extremes of the family. */
static void ranges_hold_every_network_and_no_more(void **state)
{
    struct world w;
    struct metric_range ranges[COLUMNS_MAX];
    uint8_t arch[SPACE_VARIABLES_MAX];
    double out[SEARCH_METRICS_MAX];

    (void)state;
    world_make(&w, "ofa-mbv3-w1.0");
    evaluator_ranges(w.evaluator, ranges);
    for (int i = 0; i < SAMPLES; i++) {
        sample(&w, arch);
        values_of(&w, arch, out);
        for (int m = METRIC_MACS; m <= METRIC_PEAK_MEMORY_BYTES; m++) {
            assert_true(out[m] >= ranges[m].min && out[m] <= ranges[m].max);
        }
    }
    memset(arch, 0, sizeof(arch));
    values_of(&w, arch, out);
    assert_true(out[METRIC_MACS] == ranges[METRIC_MACS].min && out[METRIC_PARAMS] == ranges[METRIC_PARAMS].min);
    for (size_t v = 0; v < evaluator_space(w.evaluator)->n_variables; v++) {
        arch[v] = (uint8_t)(evaluator_space(w.evaluator)->variables[v].n_options - 1);
    }
    values_of(&w, arch, out);
    assert_true(out[METRIC_MACS] == ranges[METRIC_MACS].max && out[METRIC_PARAMS] == ranges[METRIC_PARAMS].max);
    assert_true(isnan(ranges[METRIC_LATENCY_MS].min) && isnan(ranges[METRIC_ACCURACY].max));
    world_done(&w);
}

/* The next architecture in counting order; false: that was the last. */
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

static void check_every_range(const char *text)
{
    struct world w;
    struct net_family family;
    struct metric_range ranges[COLUMNS_MAX];
    double least[METRIC_COUNT], most[METRIC_COUNT], out[SEARCH_METRICS_MAX];
    uint8_t arch[SPACE_VARIABLES_MAX] = {0};

    assert_int_equal(net_family_parse(text, strlen(text), &family, NULL), TL_OK);
    world_make_of(&w, &family);
    evaluator_ranges(w.evaluator, ranges);
    for (int m = METRIC_MACS; m <= METRIC_PEAK_MEMORY_BYTES; m++) {
        least[m] = INFINITY;
        most[m] = -INFINITY;
    }
    do {
        values_of(&w, arch, out);
        for (int m = METRIC_MACS; m <= METRIC_PEAK_MEMORY_BYTES; m++) {
            least[m] = fmin(least[m], out[m]);
            most[m] = fmax(most[m], out[m]);
        }
    } while (next_arch(evaluator_space(w.evaluator), arch));
    for (int m = METRIC_MACS; m <= METRIC_PEAK_MEMORY_BYTES; m++) {
        assert_true(ranges[m].min == least[m] && ranges[m].max == most[m]);
    }
    world_done(&w);
}

/* Every single network of small families; in the second, no choice is the smallest of everything. */
static void ranges_of_elastic_widths_are_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(SMALL_FAMILIES); i++) {
        check_every_range(SMALL_FAMILIES[i]);
    }
}

/* Names of measured networks lead back to the network. */
static void a_subject_names_one_architecture(void **state)
{
    struct world w;
    uint8_t arch[SPACE_VARIABLES_MAX], back[SPACE_VARIABLES_MAX], picked[SPACE_VARIABLES_MAX];
    char text[SUBJECT_TEXT];

    (void)state;
    for (size_t f = 0; f < net_family_count(); f++) {
        world_make_of(&w, net_family_at(f));
        const struct space *space = evaluator_full_space(w.evaluator);
        for (int i = 0; i < SAMPLES; i++) {
            struct net_pick pick;
            sample(&w, arch);
            subject_of_arch(space, arch, text);
            assert_true(subject_parse(space, text, back));
            assert_memory_equal(arch, back, space->n_variables);
            pick_of_arch(w.family, space, arch, &pick);
            arch_of_pick(w.family, space, &pick, picked);
            assert_memory_equal(arch, picked, space->n_variables);
        }
        world_done(&w);
    }
    world_make(&w, "ofa-mbv3-w1.0");
    const struct space *space = evaluator_full_space(w.evaluator);
    sample(&w, arch);
    subject_of_arch(space, arch, text);
    assert_false(subject_parse(space, "net-", back));
    assert_false(subject_parse(space, "mb-1", back));
    text[4] = 'z';
    assert_false(subject_parse(space, text, back));
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_add_up_to_the_operator_list),
        cmocka_unit_test(ranges_hold_every_network_and_no_more),
        cmocka_unit_test(ranges_of_elastic_widths_are_exact),
        cmocka_unit_test(a_subject_names_one_architecture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
