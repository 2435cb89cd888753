/* Columns: where a search keeps which value, and what it is called. */
#include "server/evaluator.h"
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void one_device_has_the_metrics_as_columns(void **state)
{
    struct devices devices;
    char name[COLUMN_NAME_MAX];

    (void)state;
    for (size_t n = 0; n < 2; n++) {
        devices_split(n ? "nano" : "", &devices);
        assert_int_equal(devices.n, n);
        assert_int_equal(column_count(&devices), METRIC_COUNT);
        for (size_t c = 0; c < METRIC_COUNT; c++) {
            assert_int_equal(column_metric(&devices, c), c);
            column_name(&devices, c, name);
            assert_string_equal(name, metric_names[c]);
            assert_int_equal(column_find(&devices, name), c);
        }
    }
}

static void several_devices_have_their_latencies_side_by_side_before_accuracy(void **state)
{
    static const char *const names[] = {"macs",          "params",           "size_bytes", "peak_memory_bytes",
                                        "latency_ms@pi", "latency_ms@phone", "accuracy"};
    struct devices devices;
    char text[COLUMN_NAME_MAX];

    (void)state;
    devices_split("pi,phone", &devices);
    assert_int_equal(column_count(&devices), TL_COUNT_OF(names));
    for (size_t c = 0; c < TL_COUNT_OF(names); c++) {
        column_name(&devices, c, text);
        assert_string_equal(text, names[c]);
        assert_int_equal(column_find(&devices, names[c]), c);
        assert_int_equal(column_of(&devices, column_metric(&devices, c), column_device(&devices, c)), c);
    }
    assert_int_equal(column_find(&devices, "latency_ms"), -1);
    assert_int_equal(column_find(&devices, "latency_ms@nano"), -1);
}

static void lists_of_devices_are_read_as_they_were_joined(void **state)
{
    struct devices devices;
    char text[DEVICES_TEXT], longest[DEVICES_TEXT] = "";

    (void)state;
    devices_split(",pi,phone,", &devices);
    assert_int_equal(devices.n, 2);
    assert_int_equal(devices_find(&devices, "phone"), 1);
    assert_int_equal(devices_find(&devices, "pho"), -1);
    devices_join(&devices, " and ", text, sizeof text);
    assert_string_equal(text, "pi and phone");
    for (size_t i = 0; i < DEVICES_MAX; i++) {
        memset(longest + i * (DEVICE_NAME_MAX + 1), 'a' + (int)i, DEVICE_NAME_MAX);
        longest[i * (DEVICE_NAME_MAX + 1) + DEVICE_NAME_MAX] = i + 1 < DEVICES_MAX ? ',' : '\0';
    }
    devices_split(longest, &devices);
    assert_int_equal(devices.n, DEVICES_MAX);
    devices_join(&devices, ",", text, sizeof text);
    assert_string_equal(text, longest);
    devices_split("a,b,c,d,e", &devices);
    assert_int_equal(devices.n, DEVICES_MAX);
}

/* ---- an evaluator of several devices against evaluators of each -------------------------------------------------- */

static struct network net;

/* A device that takes so much for an operator and for what it computes. */
static double made_ms(const struct network *network, double op_ms, double mac_ms)
{
    struct net_cost cost;
    net_cost_of(network, 0, network->n_ops, &cost);
    return op_ms * (double)network->n_ops + mac_ms * (double)cost.macs;
}

static struct lat_model *model_of(const struct net_family *family, unsigned resolution, double op_ms, double mac_ms)
{
    static struct lat_block_row blocks[4000];
    static struct lat_row rows[4000];
    TL_AUTO(lat_profile) profile = {0};
    struct lat_model *model = NULL;
    struct network *whole = malloc(sizeof *whole);
    size_t n_blocks = 0, n_rows = 0;

    assert_int_equal(lat_profile_make(family, resolution, 20, 1, &profile, NULL), TL_OK);
    for (size_t i = 0; i < profile.n; i++) {
        const struct lat_profile_item *item = &profile.items[i];
        assert_int_equal(net_build(family, &item->pick, whole, NULL), TL_OK);
        if (item->is_block) {
            net_block_cut(whole, (size_t)item->block, &net);
            memcpy(blocks[n_blocks].key, item->key, sizeof item->key);
            blocks[n_blocks++].ms = made_ms(&net, op_ms, mac_ms);
        } else {
            rows[n_rows++] = (struct lat_row){item->pick, made_ms(whole, op_ms, mac_ms)};
        }
    }
    assert_int_equal(lat_model_fit(family, blocks, n_blocks, rows, n_rows, 1, &model, NULL), TL_OK);
    free(whole);
    return model;
}

static void every_device_has_the_latencies_of_its_own_model(void **state)
{
    const struct net_family *family = net_family_get("ofa-mbv3-w1.0");
    struct lat_model *models[3] = {model_of(family, 224, 0.003, 5e-8), model_of(family, 224, 0.05, 1e-9),
                                   model_of(family, 224, 0.001, 2e-7)};
    const struct lat_model *const borrowed[3] = {models[0], models[1], models[2]};
    struct devices devices;
    struct evaluator *together = NULL, *alone[3];
    struct metric_range ranges[COLUMNS_MAX], own[COLUMNS_MAX];
    struct metric_value values[COLUMNS_MAX], described[COLUMNS_MAX];
    uint8_t arch[SPACE_VARIABLES_MAX];
    struct tl_rng rng;

    (void)state;
    devices_split("a,b,c", &devices);
    tl_rng_init(&rng, 3, 0, 0);
    assert_int_equal(evaluator_new_for(family, NULL, &devices, borrowed, 1, &together, NULL), TL_OK);
    assert_int_equal(evaluator_table(together)->n_metrics, METRIC_COUNT + 2);
    assert_int_equal(evaluator_table(together)->n_cheap, METRIC_ACCURACY + 2);
    evaluator_ranges(together, ranges);
    for (size_t d = 0; d < 3; d++) {
        assert_int_equal(evaluator_new(family, NULL, models[d], 1, &alone[d], NULL), TL_OK);
        evaluator_ranges(alone[d], own);
        assert_true(ranges[METRIC_LATENCY_MS + d].min == own[METRIC_LATENCY_MS].min);
        assert_true(ranges[METRIC_LATENCY_MS + d].max == own[METRIC_LATENCY_MS].max);
    }
    evaluator_correct(together, 1, 1.5, 0.25);
    for (int i = 0; i < 100; i++) {
        const struct search_evaluator *table = evaluator_table(together);
        double row[SEARCH_METRICS_MAX];
        space_sample(evaluator_space(together), &rng, arch);
        space_canonical(evaluator_space(together), arch);
        evaluator_describe(together, arch, values);
        assert_int_equal(table->values(table->ctx, 0, table->n_metrics, arch, 0, 1, row, 0, NULL), TL_OK);
        for (size_t d = 0; d < 3; d++) {
            evaluator_describe(alone[d], arch, described);
            const double ms = described[METRIC_LATENCY_MS].value * (d == 1 ? 1.5 : 1.0);
            assert_true(values[METRIC_LATENCY_MS + d].value == ms && row[METRIC_LATENCY_MS + d] == ms);
            assert_true(values[METRIC_MACS].value == described[METRIC_MACS].value);
        }
        assert_true(values[METRIC_LATENCY_MS + 1].half_width == 0.25 * values[METRIC_LATENCY_MS + 1].value);
        assert_true(isnan(row[METRIC_ACCURACY + 2]));
    }
    for (size_t d = 0; d < 3; d++) {
        evaluator_free(alone[d]);
        lat_model_free(models[d]);
    }
    evaluator_free(together);
}

/* On the first device it is proved, on others a short search tells; and what can be met is never called impossible. */
static void limits_of_several_devices_are_impossible_together_only_by_proof(void **state)
{
    const struct net_family *family = net_family_get("ofa-mbv3-w1.0");
    struct lat_model *models[2] = {model_of(family, 224, 0.003, 5e-8), model_of(family, 224, 0.05, 1e-9)};
    const struct lat_model *const borrowed[2] = {models[0], models[1]};
    struct devices devices;
    struct evaluator *e = NULL;
    struct metric_range ranges[COLUMNS_MAX];
    struct limit_reach reach[3];

    (void)state;
    devices_split("a,b", &devices);
    assert_int_equal(evaluator_new_for(family, NULL, &devices, borrowed, 1, &e, NULL), TL_OK);
    evaluator_ranges(e, ranges);
    const struct metric_range *a = &ranges[METRIC_LATENCY_MS], *b = &ranges[METRIC_LATENCY_MS + 1];
    struct search_limit limits[3] = {{METRIC_MACS, true, 0.9 * ranges[METRIC_MACS].max},
                                     {METRIC_LATENCY_MS, false, 1.1 * a->min},
                                     {METRIC_LATENCY_MS + 1, false, 2 * b->max}};
    assert_true(evaluator_impossible(e, limits, 3));
    assert_int_equal(evaluator_reach(e, limits, 2, reach, NULL), TL_OK);
    assert_true(reach[0].proved && reach[1].proved && reach[1].value > limits[1].bound);
    limits[1].bound = 2 * a->max;
    limits[2].bound = 1.01 * b->min; /* the fewest operators cannot have so many MACs, but that is not proved */
    assert_false(evaluator_impossible(e, limits, 3));
    assert_int_equal(evaluator_reach(e, limits, 3, reach, NULL), TL_OK);
    assert_true(!reach[2].proved && reach[2].limit.metric == METRIC_LATENCY_MS + 1);
    assert_true(reach[2].value > limits[2].bound && reach[2].value <= b->max);
    assert_true(reach[0].value < limits[0].bound);
    evaluator_free(e);
    lat_model_free(models[0]);
    lat_model_free(models[1]);
}

static void devices_without_a_common_resolution_are_refused(void **state)
{
    const struct net_family *family = net_family_get("ofa-mbv3-w1.0");
    struct lat_model *models[2] = {model_of(family, 224, 0.003, 5e-8), model_of(family, 192, 0.003, 5e-8)};
    const struct lat_model *const borrowed[2] = {models[0], models[1]};
    struct devices devices;
    struct evaluator *evaluator = NULL;
    struct tl_err err = {0};

    (void)state;
    devices_split("a,b", &devices);
    assert_int_equal(evaluator_new_for(family, NULL, &devices, borrowed, 1, &evaluator, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "no resolution in common"));
    lat_model_free(models[0]);
    lat_model_free(models[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_device_has_the_metrics_as_columns),
        cmocka_unit_test(several_devices_have_their_latencies_side_by_side_before_accuracy),
        cmocka_unit_test(lists_of_devices_are_read_as_they_were_joined),
        cmocka_unit_test(every_device_has_the_latencies_of_its_own_model),
        cmocka_unit_test(limits_of_several_devices_are_impossible_together_only_by_proof),
        cmocka_unit_test(devices_without_a_common_resolution_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
