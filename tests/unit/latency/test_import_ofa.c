/* Once-for-all's tables: the published ones give the published times, and broken ones are refused by name. */
#include "alloc_fail.h"
#include "data.h"
#include "latency/latency.h"
#include "supernet/files/files.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const unsigned RESOLUTIONS[] = {160, 176, 192, 208, 224};
enum { TABLES = TL_COUNT_OF(RESOLUTIONS) };

static struct network net;

static const struct net_family *family(void)
{
    return net_family_get("ofa-mbv3-w1.2");
}

static void read_text(const char *name, struct tl_buf *text)
{
    char path[DATA_PATH_MAX];

    data_path(name, path);
    assert_int_equal(tl_file_read(path, text, NULL), TL_OK);
}

/* The model of the Samsung Note 10, all five tables. */
static struct lat_model *note10(void)
{
    struct tl_buf texts[TABLES] = {{0}};
    struct lat_table_text tables[TABLES];
    struct lat_model *model = NULL;
    struct tl_err err = {0};

    for (size_t i = 0; i < TABLES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "ofa_note10/%u_lookup_table.yaml", RESOLUTIONS[i]);
        read_text(name, &texts[i]);
        tables[i] = (struct lat_table_text){RESOLUTIONS[i], texts[i].data, texts[i].len};
    }
    if (lat_model_import(family(), tables, TABLES, &model, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < TABLES; i++) {
        tl_buf_done(&texts[i]);
    }
    return model;
}

/* Every slot with the same choice, every stage with the same depth. */
static struct net_pick uniform_pick(unsigned resolution, uint8_t kernel, uint8_t expand, uint8_t depth)
{
    struct net_pick pick = {.resolution = (uint16_t)resolution};

    for (uint8_t c = 0; c < family()->n_choices; c++) {
        if (family()->choices[c].kernel == kernel && family()->choices[c].expand == expand) {
            memset(pick.choice, c, sizeof pick.choice);
        }
    }
    memset(pick.depth, depth, sizeof pick.depth);
    return pick;
}

static void published_tables_give_the_tutorials_times(void **state)
{
    (void)state;
    static const struct {
        unsigned resolution;
        uint8_t kernel, expand, depth;
        double ms;
    } golden[] = {{224, 7, 6, 4, 92.398038}, {160, 3, 3, 2, 9.890347}, {192, 5, 4, 3, 27.835619}};
    struct lat_model *model = note10();
    const uint16_t *resolutions = NULL;

    for (size_t i = 0; i < TL_COUNT_OF(golden); i++) {
        const struct net_pick pick =
            uniform_pick(golden[i].resolution, golden[i].kernel, golden[i].expand, golden[i].depth);
        double ms = 0;
        assert_int_equal(net_build(family(), &pick, &net, NULL), TL_OK);
        assert_int_equal(lat_model_network_ms(model, &net, &ms, NULL), TL_OK);
        assert_true(fabs(ms - golden[i].ms) < 1e-5);
    }
    assert_int_equal(lat_model_resolutions(model, &resolutions), TABLES);
    assert_int_equal(resolutions[0], 160);
    assert_true(isnan(lat_model_error(model)->mape) && isnan(lat_model_error(model)->half_width));
    assert_int_equal(lat_model_error(model)->n_blocks, TABLES * 93);
    lat_model_free(model);
}

static void a_published_network_takes_its_published_time(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) config = {0};
    double ms = 0;

    read_text("ofa_note10/net_configs/note10_lat-30ms_top1-78.4_finetune-75.net.json", &config);
    assert_int_equal(net_config_decode(config.data, config.len, 224, &net, NULL), TL_OK);
    struct lat_model *model = note10();
    assert_int_equal(lat_model_network_ms(model, &net, &ms, NULL), TL_OK);
    assert_true(fabs(ms - 29.965) < 5e-4);
    lat_model_free(model);
}

static void an_imported_model_survives_its_bytes(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) bytes = {0};
    struct lat_model *model = note10(), *loaded = NULL;
    const struct net_pick pick = uniform_pick(208, 7, 6, 4);
    double before = 0, after = 0;

    assert_int_equal(lat_model_save(model, &bytes, NULL), TL_OK);
    assert_int_equal(lat_model_load(bytes.data, bytes.len, &loaded, NULL), TL_OK);
    assert_int_equal(net_build(family(), &pick, &net, NULL), TL_OK);
    assert_int_equal(lat_model_network_ms(model, &net, &before, NULL), TL_OK);
    assert_int_equal(lat_model_network_ms(loaded, &net, &after, NULL), TL_OK);
    assert_true(before == after);
    lat_model_free(model);
    lat_model_free(loaded);
}

/* ---- tables made up here: a family of one stage with one slot, at 32 pixels ------------------------------------ */

static struct net_family small_family(void)
{
    struct net_family small = *family();

    small.n_stages = 1;
    small.stages[0].n_slots = 1;
    small.stages[0].n_depths = 1;
    small.stages[0].depths[0] = 1;
    small.n_choices = 1; /* kernel 3, expand 3 */
    small.resolutions[0] = 32;
    return small;
}

#define STEM   "Conv-input:32x32x3-output:16x16x24:\n  count: 5\n  mean: 1.5\n  std: 0.1\n"
#define FIRST  "expanded_conv-input:16x16x24-output:16x16x24-expand:24-kernel:3-stride:1-idskip:1-se:0-hs:0: {mean: 2}\n"
#define STAGE  "expanded_conv-input:16x16x24-output:8x8x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0: {mean: 4}\n"
#define FINAL  "Conv_1-input:8x8x32-output:8x8x1152: {mean: 8, var: 3}\n"
#define POOL   "AvgPool2D-input:8x8x1152-output:1x1x1152: {mean: 16}\n"
#define MIX    "Conv_2-input:1x1x1152-output:1x1x1536: {mean: 32}\n"
#define LOGITS "Logits-input:1x1x1536-output:1000: {mean: 64}\n"
#define REST   STEM FIRST STAGE FINAL POOL MIX

static enum tl_rc import_text(const char *yaml, double *ret_ms, struct tl_err *err)
{
    const struct net_family small = small_family();
    const struct lat_table_text table = {32, yaml, strlen(yaml)};
    struct lat_model *model = NULL;
    struct net_pick pick;
    enum tl_rc rc = lat_model_import(&small, &table, 1, &model, err);

    if (!rc) {
        lat_anchor_pick(&small, 32, &pick);
        rc = net_build(&small, &pick, &net, err);
        if (!rc) {
            rc = lat_model_network_ms(model, &net, ret_ms, err);
        }
    }
    lat_model_free(model);
    return rc;
}

static void the_head_is_the_sum_of_its_four_keys(void **state)
{
    (void)state;
    struct tl_err err = {0};
    double ms = 0;

    if (import_text(REST LOGITS "something-else: {mean: 1000}\n", &ms, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(ms == 127.5);
}

static void broken_tables_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        enum tl_rc rc;
        const char *says;
    } cases[] = {
        {"", TL_MALFORMED, "document"},
        {"- a\n- b\n", TL_MALFORMED, "map"},
        {"a: {mean: [1]}\n", TL_MALFORMED, "line 1"},
        {"a: {mean: 1}\nb: *c\n", TL_MALFORMED, "line 2"},
        {"a: {[x]: 1}\n", TL_MALFORMED, "line 1"},
        {"a: 5\n", TL_MALFORMED, "mean"},
        {"a: {mean: 1}\n---\nb: {mean: 1}\n", TL_MALFORMED, "end"},
        {"a: {mean: 1\n", TL_MALFORMED, "line"},
        {"a: {mean: 1}\na: {mean: 2}\n", TL_INVALID, "twice"},
        {"{}\n", TL_INVALID, "empty"},
        {REST, TL_INVALID, "lacks the key Logits-input:1x1x1536-output:1000"},
        {REST "Logits-input:1x1x1536-output:1000: {count: 3}\n", TL_INVALID, "there is no mean"},
        {REST "Logits-input:1x1x1536-output:1000: {mean: 0}\n", TL_INVALID, "Logits"},
        {REST "Logits-input:1x1x1536-output:1000: {mean: -1}\n", TL_INVALID, "Logits"},
        {REST "Logits-input:1x1x1536-output:1000: {mean: .nan}\n", TL_INVALID, "Logits"},
        {REST "Logits-input:1x1x1536-output:1000: {mean: nan}\n", TL_INVALID, "Logits"},
        {REST "Logits-input:1x1x1536-output:1000: {mean: inf}\n", TL_INVALID, "Logits"},
        {REST "Logits-input:1x1x1536-output:1000: {mean: 1ms}\n", TL_INVALID, "Logits"},
        {REST "Logits-input:1x1x1536-output:1000: {mean: ''}\n", TL_INVALID, "Logits"},
    };

    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct tl_err err = {0};
        double ms = 7;
        assert_int_equal(import_text(cases[i].yaml, &ms, &err), cases[i].rc);
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("case %zu says: %s", i, err.text);
        }
        assert_true(ms == 7);
    }
}

static void tables_are_bounded(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) keys = {.max = 4 << 20};
    struct tl_err err = {0}, again = {0};
    double ms = 0;

    for (int i = 0; i < 5000; i++) {
        assert_int_equal(tl_buf_addf(&keys, NULL, "k%d: {mean: 1}\n", i), TL_OK);
    }
    assert_int_equal(import_text(keys.data, &ms, &err), TL_TOO_LARGE);
    while (keys.len <= 1 << 20) {
        assert_int_equal(tl_buf_addf(&keys, NULL, "# %01000d\n", 0), TL_OK);
    }
    assert_int_equal(import_text(keys.data, &ms, &again), TL_TOO_LARGE);
}

static void one_table_a_resolution(void **state)
{
    (void)state;
    const struct net_family small = small_family();
    const char *yaml = REST LOGITS;
    const struct lat_table_text twice[] = {{32, yaml, strlen(yaml)}, {32, yaml, strlen(yaml)}};
    struct lat_model *model = NULL;
    struct tl_err err = {0};

    assert_int_equal(lat_model_import(&small, twice, 2, &model, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "two tables for resolution 32"));
    assert_int_equal(lat_model_import(&small, twice, 0, &model, NULL), TL_INVALID);
    assert_null(model);
}

static enum tl_rc import_small(void *ctx, struct tl_err *err)
{
    double ms = 0;
    (void)ctx;
    return import_text(REST LOGITS, &ms, err);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(import_small, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_tables_give_the_tutorials_times),
        cmocka_unit_test(a_published_network_takes_its_published_time),
        cmocka_unit_test(an_imported_model_survives_its_bytes),
        cmocka_unit_test(the_head_is_the_sum_of_its_four_keys),
        cmocka_unit_test(broken_tables_are_refused_by_name),
        cmocka_unit_test(tables_are_bounded),
        cmocka_unit_test(one_table_a_resolution),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
