/* Models of devices made up here, whose truth is known; and their bytes. */
#include "alloc_fail.h"
#include "latency/latency.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 200, BLOCKS_MAX = 256 };

/* A device whose blocks take, alone, a time of their MACs and their weights, and in a network `factor` of it by stage. */
struct made_device {
    const struct net_family *family;
    unsigned resolution;
    double constant_ms, factor[NET_STAGES_MAX + 2], noise;
    struct lat_block_row blocks[BLOCKS_MAX];
    struct lat_row rows[ROWS_MAX];
    size_t n_blocks, n_rows;
};

static struct network net;

static double alone_ms(const struct network *whole, size_t block)
{
    struct net_cost cost;

    net_cost_of(whole, whole->blocks[block].first_op, whole->blocks[block].n_ops, &cost);
    return 0.01 + (double)cost.macs / 4e7 + (double)cost.params / 3e6;
}

static double true_ms(const struct made_device *device, const struct net_pick *pick)
{
    double ms = device->constant_ms;

    assert_int_equal(net_build(device->family, pick, &net, NULL), TL_OK);
    for (size_t b = 0; b < net.n_blocks; b++) {
        ms += device->factor[net.blocks[b].stage + 1] * alone_ms(&net, b);
    }
    return ms;
}

static void measure(struct made_device *device, size_t n_networks, uint64_t seed)
{
    TL_AUTO(lat_profile) profile = {0};
    struct tl_rng rng;

    tl_rng_init(&rng, seed, 9, 9);
    assert_int_equal(lat_profile_make(device->family, device->resolution, n_networks, seed, &profile, NULL), TL_OK);
    for (size_t i = 0; i < profile.n; i++) {
        const struct lat_profile_item *item = &profile.items[i];
        const double noise = 1 + device->noise * tl_rng_normal(&rng);
        if (item->is_block) {
            struct lat_block_row *row = &device->blocks[device->n_blocks++];
            memcpy(row->key, item->key, sizeof row->key);
            assert_int_equal(net_build(device->family, &item->pick, &net, NULL), TL_OK);
            row->ms = alone_ms(&net, item->block) * noise;
        } else {
            device->rows[device->n_rows++] = (struct lat_row){item->pick, true_ms(device, &item->pick) * noise};
        }
    }
}

static struct made_device made_device(double noise)
{
    return (struct made_device){.family = net_family_get("ofa-mbv3-w1.0"),
                                .resolution = 224,
                                .constant_ms = 0.3,
                                .factor = {0.9, 0.95, 1, 1.05, 1.1, 1.3, 1.4},
                                .noise = noise};
}

/* Mean absolute error in per cent on networks that the fit did not see. */
static double further_error(const struct made_device *device, const struct lat_model *model)
{
    TL_AUTO(lat_profile) profile = {0};
    double sum = 0;
    size_t n = 0;

    assert_int_equal(lat_profile_make(device->family, device->resolution, 30, 99, &profile, NULL), TL_OK);
    for (size_t i = 0; i < profile.n; i++) {
        double ms = 0;
        if (!profile.items[i].is_block) {
            const double truth = true_ms(device, &profile.items[i].pick);
            assert_int_equal(lat_model_network_ms(model, &net, &ms, NULL), TL_OK);
            sum += 100 * fabs(ms / truth - 1);
            n++;
        }
    }
    return sum / (double)n;
}

static void an_additive_device_is_recovered(void **state)
{
    (void)state;
    struct made_device device = made_device(0);
    struct lat_model *model = NULL;
    const uint16_t *resolutions = NULL;

    measure(&device, 40, 1);
    assert_int_equal(
        lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, device.n_rows, 1, &model, NULL),
        TL_OK);
    assert_true(further_error(&device, model) < 0.3);
    const struct lat_error *error = lat_model_error(model);
    assert_int_equal(error->n_networks, 40);
    assert_int_equal(error->n_blocks, 93);
    assert_true(error->mape < 0.3 && error->spearman > 0.999 && error->half_width < 0.01);
    assert_int_equal(lat_model_resolutions(model, &resolutions), 1);
    assert_int_equal(resolutions[0], 224);
    lat_model_free(model);
}

static void noise_is_averaged_and_the_interval_tells_of_it(void **state)
{
    (void)state;
    struct made_device device = made_device(0.03);
    struct lat_model *model = NULL;
    size_t inside = 0;

    measure(&device, 40, 2);
    assert_int_equal(
        lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, device.n_rows, 1, &model, NULL),
        TL_OK);
    const struct lat_error *error = lat_model_error(model);
    assert_true(further_error(&device, model) < 2);
    assert_true(error->mape > 1.5 && error->mape < 4); /* a normal visit is off by 0.8 x 3 % on average */
    assert_true(error->half_width > 0.03 && error->half_width < 0.08);
    for (size_t i = 0; i < device.n_rows; i++) {
        double ms = 0;
        assert_int_equal(net_build(device.family, &device.rows[i].pick, &net, NULL), TL_OK);
        assert_int_equal(lat_model_network_ms(model, &net, &ms, NULL), TL_OK);
        inside += fabs(device.rows[i].ms / ms - 1) <= error->half_width;
    }
    assert_true((double)inside >= 0.88 * (double)device.n_rows);
    lat_model_free(model);
}

static void the_same_rows_and_seed_give_the_same_bytes(void **state)
{
    (void)state;
    struct made_device device = made_device(0.02);
    TL_AUTO(tl_buf) bytes = {0};
    TL_AUTO(tl_buf) again = {0};

    measure(&device, 15, 3);
    for (size_t i = 0; i < 2; i++) {
        struct lat_model *model = NULL;
        assert_int_equal(
            lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, device.n_rows, 5, &model, NULL),
            TL_OK);
        assert_int_equal(lat_model_save(model, i == 0 ? &bytes : &again, NULL), TL_OK);
        lat_model_free(model);
    }
    assert_int_equal(bytes.len, again.len);
    assert_memory_equal(bytes.data, again.data, bytes.len);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct made_device device = made_device(0);
    struct lat_model *model = NULL;
    struct tl_err err = {0}, again = {0};

    measure(&device, 12, 4);
    assert_int_equal(lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, 9, 1, &model, &err),
                     TL_INVALID);
    assert_non_null(strstr(err.text, "10"));
    char missing[NET_KEY_MAX];
    memcpy(missing, device.blocks[17].key, sizeof missing);
    device.blocks[17] = device.blocks[18];
    assert_int_equal(
        lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, device.n_rows, 1, &model, &again),
        TL_INVALID);
    assert_non_null(strstr(again.text, missing));
    assert_null(model);
}

static void ten_visits_of_one_network_are_not_ten_networks(void **state)
{
    (void)state;
    struct made_device device = made_device(0);
    struct lat_model *model = NULL;

    measure(&device, 12, 4);
    for (size_t i = 1; i < device.n_rows; i++) {
        device.rows[i] = device.rows[0];
    }
    assert_int_equal(
        lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, device.n_rows, 1, &model, NULL),
        TL_INVALID);
}

static void impossible_times_are_refused(void **state)
{
    (void)state;
    static const double impossible[] = {0, -1, NAN, INFINITY};
    struct made_device device = made_device(0);
    struct lat_model *model = NULL;

    measure(&device, 12, 5);
    for (size_t i = 0; i < TL_COUNT_OF(impossible); i++) {
        struct made_device broken = device;
        broken.rows[3].ms = impossible[i];
        assert_int_equal(
            lat_model_fit(broken.family, broken.blocks, broken.n_blocks, broken.rows, broken.n_rows, 1, &model, NULL),
            TL_INVALID);
        broken = device;
        broken.blocks[3].ms = impossible[i];
        assert_int_equal(
            lat_model_fit(broken.family, broken.blocks, broken.n_blocks, broken.rows, broken.n_rows, 1, &model, NULL),
            TL_INVALID);
    }
}

static void a_block_measured_again_counts_by_its_median(void **state)
{
    (void)state;
    struct made_device device = made_device(0);
    struct lat_model *model = NULL;

    measure(&device, 20, 6);
    for (size_t i = 0; i < 2; i++) { /* twice more: once right, once absurd */
        device.blocks[device.n_blocks] = device.blocks[40];
        device.blocks[device.n_blocks++].ms *= i == 0 ? 1 : 100;
    }
    assert_int_equal(
        lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, device.n_rows, 1, &model, NULL),
        TL_OK);
    assert_int_equal(lat_model_error(model)->n_blocks, 93);
    assert_true(further_error(&device, model) < 0.5);
    lat_model_free(model);
}

static void other_resolutions_and_families_are_not_found(void **state)
{
    (void)state;
    struct made_device device = made_device(0);
    struct lat_model *model = NULL;
    struct net_pick pick;
    struct tl_err err = {0};
    double ms = 7;

    measure(&device, 12, 7);
    assert_int_equal(
        lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, device.n_rows, 1, &model, NULL),
        TL_OK);
    lat_anchor_pick(device.family, 128, &pick);
    assert_int_equal(net_build(device.family, &pick, &net, NULL), TL_OK);
    assert_int_equal(lat_model_network_ms(model, &net, &ms, &err), TL_NOT_FOUND);
    assert_non_null(strstr(err.text, "128x128x3-conv16"));
    net.blocks[1].stage = 7;
    assert_int_equal(lat_model_block_ms(model, &net, 1, &ms, NULL), TL_INVALID);
    assert_true(ms == 7);
    lat_model_free(model);
}

/* A fitted model of the small family, as bytes. */
static void small_model(struct tl_buf *bytes)
{
    struct made_device device = made_device(0.01);
    struct lat_model *model = NULL;

    device.family = net_family_get("nasbench-macro");
    device.resolution = 32;
    measure(&device, 12, 8);
    assert_int_equal(
        lat_model_fit(device.family, device.blocks, device.n_blocks, device.rows, device.n_rows, 1, &model, NULL),
        TL_OK);
    assert_int_equal(lat_model_save(model, bytes, NULL), TL_OK);
    lat_model_free(model);
}

static void a_loaded_model_is_the_saved_one(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) bytes = {0};
    TL_AUTO(tl_buf) again = {0};
    struct lat_model *model = NULL;

    small_model(&bytes);
    assert_int_equal(lat_model_load(bytes.data, bytes.len, &model, NULL), TL_OK);
    assert_int_equal(lat_model_save(model, &again, NULL), TL_OK);
    assert_int_equal(again.len, bytes.len);
    assert_memory_equal(again.data, bytes.data, bytes.len);
    assert_int_equal(lat_model_error(model)->n_networks, 12);
    lat_model_free(model);
}

static void a_model_cut_anywhere_is_refused(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) bytes = {0};
    struct lat_model *model = NULL;

    small_model(&bytes);
    for (size_t n = 0; n < bytes.len; n++) {
        struct tl_err err = {0};
        assert_int_equal(lat_model_load(bytes.data, n, &model, &err), TL_MALFORMED);
        assert_true(err.text[0] != '\0');
    }
    assert_int_equal(tl_buf_add(&bytes, "", 1, NULL), TL_OK);
    assert_int_equal(lat_model_load(bytes.data, bytes.len, &model, NULL), TL_MALFORMED);
    assert_null(model);
}

static void a_model_of_other_bytes_is_refused_or_usable(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) bytes = {0};
    struct tl_rng rng;
    struct net_pick pick;

    small_model(&bytes);
    tl_rng_init(&rng, 4, 0, 0);
    lat_anchor_pick(net_family_get("nasbench-macro"), 32, &pick);
    assert_int_equal(net_build(net_family_get("nasbench-macro"), &pick, &net, NULL), TL_OK);
    for (size_t i = 0; i < 20000; i++) {
        struct lat_model *model = NULL;
        const size_t at = tl_rng_below(&rng, (uint32_t)bytes.len);
        const char kept = bytes.data[at];
        double ms = 0;
        bytes.data[at] = (char)tl_rng_below(&rng, 256);
        if (lat_model_load(bytes.data, bytes.len, &model, NULL) == TL_OK &&
            lat_model_network_ms(model, &net, &ms, NULL) == TL_OK) {
            assert_true(isfinite(ms));
        }
        lat_model_free(model);
        bytes.data[at] = kept;
    }
}

static enum tl_rc fit_save_load(void *ctx, struct tl_err *err)
{
    const struct made_device *device = ctx;
    TL_AUTO(tl_buf) bytes = {0};
    struct lat_model *model = NULL, *loaded = NULL;
    enum tl_rc rc =
        lat_model_fit(device->family, device->blocks, device->n_blocks, device->rows, device->n_rows, 1, &model, err);

    if (!rc && !(rc = lat_model_save(model, &bytes, err))) {
        rc = lat_model_load(bytes.data, bytes.len, &loaded, err);
    }
    lat_model_free(model);
    lat_model_free(loaded);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    struct made_device device = made_device(0.01);

    device.family = net_family_get("nasbench-macro");
    device.resolution = 32;
    measure(&device, 10, 8);
    assert_true(alloc_fail_each(fit_save_load, &device) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_additive_device_is_recovered),
        cmocka_unit_test(noise_is_averaged_and_the_interval_tells_of_it),
        cmocka_unit_test(the_same_rows_and_seed_give_the_same_bytes),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(ten_visits_of_one_network_are_not_ten_networks),
        cmocka_unit_test(impossible_times_are_refused),
        cmocka_unit_test(a_block_measured_again_counts_by_its_median),
        cmocka_unit_test(other_resolutions_and_families_are_not_found),
        cmocka_unit_test(a_loaded_model_is_the_saved_one),
        cmocka_unit_test(a_model_cut_anywhere_is_refused),
        cmocka_unit_test(a_model_of_other_bytes_is_refused_or_usable),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
