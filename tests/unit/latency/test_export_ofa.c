/* Models as once-for-all's tables: what is written is read again to the same times, in either style. */
#include "data.h"
#include "latency/latency.h"
#include "latency/model.h"

#include <cmocka.h>
#include <math.h>
#include <string.h>

static struct network net;

static struct lat_model *import_file(const struct net_family *family, unsigned resolution, const char *name)
{
    char path[DATA_PATH_MAX];
    TL_AUTO(tl_buf) text = {0};
    struct lat_model *model = NULL;
    struct tl_err err = {0};

    data_path(name, path);
    assert_int_equal(tl_file_read(path, &text, NULL), TL_OK);
    const struct lat_table_text table = {resolution, text.data, text.len};
    if (lat_model_import(family, &table, 1, &model, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    return model;
}

/* ProxylessNAS' own widths around once-for-all's ProxylessNAS. */
static struct net_family proxyless(void)
{
    static const uint16_t widths[] = {24, 40, 80, 96, 192, 320};
    struct net_family family = *net_family_get("ofa-proxyless-w1.3");

    for (size_t s = 0; s < family.n_stages; s++) {
        family.stages[s].width = widths[s];
    }
    family.stem_width = 32;
    family.first_width = 16;
    family.final_width = 1280;
    family.n_choices = 0;
    for (uint8_t kernel = 3; kernel <= 7; kernel += 2) {
        for (uint8_t expand = 3; expand <= 6; expand += 3) {
            family.choices[family.n_choices++] = (struct net_choice){.kernel = kernel, .expand = expand};
        }
    }
    return family;
}

static double network_ms(const struct lat_model *model, const struct net_family *family, unsigned resolution,
                         uint8_t choice, uint8_t depth)
{
    struct net_pick pick = {.resolution = (uint16_t)resolution};
    double ms = 0;

    memset(pick.choice, choice, sizeof pick.choice);
    memset(pick.depth, depth, sizeof pick.depth);
    assert_int_equal(net_build(family, &pick, &net, NULL), TL_OK);
    assert_int_equal(lat_model_network_ms(model, &net, &ms, NULL), TL_OK);
    return ms;
}

/* Sums over the file's means, made by another program. */
static void ratios_are_read_as_ratios(void **state)
{
    (void)state;
    const struct net_family family = proxyless();
    struct lat_model *model = import_file(&family, 224, "ofa_note10/pixel1_proxyless_lookup_table.yaml");

    assert_true(fabs(network_ms(model, &family, 224, 0, 4) - 76.04809868594553) < 1e-9);
    assert_true(fabs(network_ms(model, &family, 224, 5, 4) - 191.0298712699614) < 1e-9);
    assert_true(fabs(network_ms(model, &family, 224, 3, 2) - 89.6694620263193) < 1e-9);
    lat_model_free(model);
}

static void comes_back(const struct lat_model *model, const struct net_family *family, unsigned resolution,
                       enum lat_table_style style)
{
    TL_AUTO(tl_buf) text = {0};
    struct lat_model *again = NULL;
    struct tl_err err = {0};

    if (lat_model_export(model, family, resolution, style, &text, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    assert_true((strstr(text.data, "-se:") != NULL) == (style == LAT_TABLE_MOBILENETV3));
    const struct lat_table_text table = {resolution, text.data, text.len};
    assert_int_equal(lat_model_import(family, &table, 1, &again, NULL), TL_OK);
    assert_true(lat_model_constant_ms(again) == 0);
    for (uint8_t choice = 0; choice < family->n_choices; choice++) {
        const double wanted = network_ms(model, family, resolution, choice, 3);
        assert_true(fabs(network_ms(again, family, resolution, choice, 3) - wanted) < 1e-6 * wanted);
    }
    lat_model_free(again);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    const struct net_family *mbv3 = net_family_get("ofa-mbv3-w1.2"), family = proxyless();
    struct lat_model *note10 = import_file(mbv3, 160, "ofa_note10/160_lookup_table.yaml");
    struct lat_model *pixel1 = import_file(&family, 224, "ofa_note10/pixel1_proxyless_lookup_table.yaml");

    comes_back(note10, mbv3, 160, LAT_TABLE_MOBILENETV3);
    comes_back(pixel1, &family, 224, LAT_TABLE_MOBILENETV3);
    comes_back(pixel1, &family, 224, LAT_TABLE_PROXYLESS);
    note10->constant_ms = 0.75; /* as a fitted one has */
    note10->scale[2] = 1.25;
    comes_back(note10, mbv3, 160, LAT_TABLE_MOBILENETV3);
    lat_model_free(note10);
    lat_model_free(pixel1);
}

static void what_a_table_cannot_say_is_refused(void **state)
{
    (void)state;
    const struct net_family *mbv3 = net_family_get("ofa-mbv3-w1.2");
    struct lat_model *model = import_file(mbv3, 160, "ofa_note10/160_lookup_table.yaml");
    TL_AUTO(tl_buf) text = {0};
    struct tl_err err = {0}, negative = {0};

    assert_int_equal(lat_model_export(model, mbv3, 176, LAT_TABLE_MOBILENETV3, &text, &err), TL_NOT_FOUND);
    assert_non_null(strstr(err.text, "176"));
    model->constant_ms = -100;
    assert_int_equal(lat_model_export(model, mbv3, 160, LAT_TABLE_MOBILENETV3, &text, &negative), TL_INVALID);
    assert_non_null(strstr(negative.text, "above 0"));
    assert_int_equal(text.len, 0);
    lat_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ratios_are_read_as_ratios),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_a_table_cannot_say_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
