/* Families against what was published: MACs and parameters to the unit. */
#include "data.h"
#include "nets.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

static struct network net;

static void expect_cost(const char *family, const struct net_pick *pick, const char *name, uint64_t params,
                        uint64_t macs)
{
    struct net_cost cost;

    build(family, pick, &net);
    net_cost_total(&net, &cost);
    if (cost.params != params || cost.macs != macs) {
        fail_msg("%s: %" PRIu64 " params and %" PRIu64 " MACs, published are %" PRIu64 " and %" PRIu64, name,
                 cost.params, cost.macs, params, macs);
    }
}

static struct net_pick macro_pick(const char *arch)
{
    struct net_pick pick = {.resolution = 32};
    for (size_t i = 0; i < 8; i++) {
        pick.choice[i] = (uint8_t)(arch[i] - '0');
    }
    return pick;
}

/* Rows of https://github.com/IntelLabs/DyNAS-T at 251cb5e, searches on OFA-MobileNetV3 w1.0: by MACs the smallest,
 * the quartiles and the largest. */
static void quoted_rows_of_ofa_mbv3_come_out_to_the_unit(void **state)
{
    (void)state;
    static const struct {
        const char *ks, *es, *ds;
        uint64_t params, macs;
    } rows[] = {
        {"33555337553533353335", "33463334334333333343", "22222", 3417704, 123310800},
        {"75555333353355755535", "36634334634466646644", "23222", 4656936, 214670304},
        {"33355775555555555773", "64664344443664343634", "33342", 4665520, 270867728},
        {"75777777755555755777", "63446663444446446666", "23344", 6834168, 347217632},
        {"77777755575757777775", "44664666466464666666", "44444", 7347216, 492226272},
    };
    for (size_t i = 0; i < TL_COUNT_OF(rows); i++) {
        const struct net_pick pick = ofa_pick(224, rows[i].ks, rows[i].es, rows[i].ds);
        expect_cost("ofa-mbv3-w1.0", &pick, rows[i].ks, rows[i].params, rows[i].macs);
    }
}

/* Rows of https://github.com/xiusu/NAS-Bench-Macro at 61a2bfc. */
static void quoted_rows_of_nasbench_macro_come_out_to_the_unit(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        uint64_t params, macs;
    } rows[] = {
        {"00000000", 387882, 7713280},   {"11111111", 1588874, 53246464}, {"22222222", 2932586, 105660928},
        {"22212202", 1985514, 85164544}, {"01201201", 1283434, 46109184},
    };
    for (size_t i = 0; i < TL_COUNT_OF(rows); i++) {
        const struct net_pick pick = macro_pick(rows[i].arch);
        expect_cost("nasbench-macro", &pick, rows[i].arch, rows[i].params, rows[i].macs);
    }
}

/* Calls row() with every line behind the header; the number of lines. */
static size_t each_row(const char *name, void (*row)(const char *line))
{
    char path[DATA_PATH_MAX];
    char line[512];
    size_t n = 0;
    data_path(name, path);
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    assert_non_null(gzgets(file, line, sizeof line)); /* the header */
    while (gzgets(file, line, sizeof line)) {
        row(line);
        n++;
    }
    (void)gzclose(file);
    return n;
}

static void ofa_row(const char *line) /* run,ks,e,d,r,params,macs,top1,date */
{
    char ks[21];
    char es[21];
    char ds[6];
    char r[8];
    char params[24];
    char macs[24];
    assert_int_equal(
        sscanf(line, "%*[^,],%20[357],%20[346],%5[234],%7[0-9],%23[0-9],%23[0-9],", ks, es, ds, r, params, macs), 6);
    const struct net_pick pick = ofa_pick((unsigned)strtoul(r, NULL, 10), ks, es, ds);
    expect_cost("ofa-mbv3-w1.0", &pick, ks, strtoull(params, NULL, 10), strtoull(macs, NULL, 10));
}

static void every_published_row_of_ofa_mbv3_comes_out_to_the_unit(void **state)
{
    (void)state;
    assert_int_equal(each_row("ofa_mbv3_accuracy/ofa_mbv3_accuracy.csv.gz", ofa_row), 1663);
}

static void macro_row(const char *line) /* arch,acc1,acc2,acc3,mean_acc,params,flops */
{
    char arch[9];
    char params[24];
    char macs[24];
    assert_int_equal(sscanf(line, "%8[012],%*[^,],%*[^,],%*[^,],%*[^,],%23[0-9],%23[0-9]", arch, params, macs), 3);
    const struct net_pick pick = macro_pick(arch);
    expect_cost("nasbench-macro", &pick, arch, strtoull(params, NULL, 10), strtoull(macs, NULL, 10));
}

static void all_of_nasbench_macro_comes_out_to_the_unit(void **state)
{
    (void)state;
    assert_int_equal(each_row("nasbench_macro/nasbench_macro_cifar10.csv.gz", macro_row), 6561);
}

static void a_family_is_found_by_its_name_alone(void **state)
{
    (void)state;
    assert_int_equal(net_family_count(), 8);
    for (size_t i = 0; i < net_family_count(); i++) {
        assert_ptr_equal(net_family_get(net_family_at(i)->name), net_family_at(i));
        assert_true(tl_name_valid(net_family_at(i)->name));
    }
    assert_null(net_family_get("ofa-mbv3"));
    assert_null(net_family_at(8));
}

/* What the comments in network.h promise of a family. */
static void a_family_keeps_its_own_rules(void **state)
{
    (void)state;
    for (size_t f = 0; f < net_family_count(); f++) {
        const struct net_family *family = net_family_at(f);
        assert_true(net_family_slots(family, family->n_stages) <= NET_SLOTS_MAX);
        for (size_t i = 0; i < (size_t)family->n_kernels * family->n_expands; i++) {
            assert_int_equal(family->choices[i].kernel, family->kernels[i / family->n_expands]);
            assert_int_equal(family->choices[i].expand, family->expands[i % family->n_expands]);
        }
        for (size_t s = 0; s < family->n_stages; s++) {
            const struct net_stage *stage = &family->stages[s];
            assert_true(stage->n_depths == 0 || stage->depths[stage->n_depths - 1] == stage->n_slots);
        }
        for (size_t r = 1; r < family->n_resolutions; r++) {
            assert_true(family->resolutions[r - 1] < family->resolutions[r]);
        }
    }
}

static void width_1_2_has_the_published_widths(void **state)
{
    (void)state;
    static const unsigned base[] = {16, 16, 24, 40, 80, 112, 160, 960, 1280};
    const struct net_family *wide = net_family_get("ofa-mbv3-w1.2");
    const unsigned widths[] = {wide->stem_width,      wide->first_width,     wide->stages[0].width,
                               wide->stages[1].width, wide->stages[2].width, wide->stages[3].width,
                               wide->stages[4].width, wide->final_width,     wide->feature_width};
    for (size_t i = 0; i < TL_COUNT_OF(base); i++) {
        assert_int_equal(widths[i], net_divisible(1.2 * base[i]));
    }
}

/* ResNet-50D itself is in the family: https://github.com/huggingface/pytorch-image-models counts 25,576,264 parameters.
 * MACs by hand: ResNet-50 has 4,089,184,256 at 224; its 7x7 stem at 112x112 becomes three 3x3. */
static void resnet50d_has_the_published_parameters_and_macs(void **state)
{
    (void)state;
    struct net_pick pick = {.resolution = 224, .depth = {3, 4, 6, 3}, .stem_depth = 1};
    memset(pick.choice, 1, sizeof pick.choice); /* ratio 0.25 */
    memset(pick.width, 2, sizeof pick.width);   /* times 1.0 */
    const uint64_t stem = (uint64_t)112 * 112 * (9 * 3 * 32 + 9 * 32 * 32 + 9 * 32 * 64 - 49 * 3 * 64);
    expect_cost("ofa-resnet50d", &pick, "ResNet-50D", 25576264, 4089184256 + stem);
}

/* Widths are once-for-all's base widths times the multipliers, through net_divisible. */
static void resnet50d_has_the_published_widths(void **state)
{
    (void)state;
    static const unsigned base[] = {64, 256, 512, 1024, 2048};
    const struct net_family *family = net_family_get("ofa-resnet50d");
    assert_int_equal(family->n_widths, 3);
    for (size_t w = 0; w < 3; w++) {
        for (size_t i = 0; i < TL_COUNT_OF(base); i++) {
            assert_int_equal(family->widths[NET_PLACE_STEM + i][w],
                             net_divisible(base[i] * (family->multipliers[w] / 100.0)));
        }
        const unsigned half = family->widths[NET_PLACE_STEM][w] / 2U;
        assert_int_equal(family->widths[NET_PLACE_MID][w], net_divisible(half));
    }
}

static void a_shared_choice_is_that_of_the_first_slot(void **state)
{
    (void)state;
    struct net_pick pick;
    struct net_cost plain;
    struct net_cost odd;
    net_family_extreme(net_family_get("mnasnet"), 224, true, &pick);
    build("mnasnet", &pick, &net);
    net_cost_total(&net, &plain);
    for (size_t b = 0; b < net.n_blocks; b++) {
        if (net.blocks[b].slot >= 0) { /* conv5-se */
            assert_int_equal(net.ops[net.blocks[b].first_op].kernel, 5);
            assert_int_equal(net.ops[net.blocks[b].first_op].kind, NET_CONV);
            assert_int_equal(net.ops[net.blocks[b].first_op + 1].kind, NET_SE);
            assert_int_equal(net.blocks[b].n_ops, net.blocks[b].slot > 0 ? 3 : 2); /* the residual */
        }
    }
    pick.choice[1] = UINT8_MAX;
    build("mnasnet", &pick, &net);
    net_cost_total(&net, &odd);
    assert_memory_equal(&plain, &odd, sizeof plain);
}

static void refuse(struct net_pick pick, const char *family, const char *word)
{
    struct tl_err err = {0};
    net.n_ops = 1234;
    assert_int_equal(net_build(net_family_get(family), &pick, &net, &err), TL_INVALID);
    assert_non_null(strstr(err.text, word));
    assert_int_equal(net.n_ops, 1234); /* untouched */
}

static void a_pick_outside_the_family_is_refused_by_part(void **state)
{
    (void)state;
    struct net_pick pick = ofa_max(226);
    refuse(pick, "ofa-mbv3-w1.0", "resolution 226");
    pick = ofa_max(0);
    refuse(pick, "ofa-mbv3-w1.0", "resolution 0");
    pick = ofa_max(224);
    pick.depth[4] = 5;
    refuse(pick, "ofa-mbv3-w1.0", "stage 4");
    pick = ofa_max(224);
    pick.choice[6] = 9;
    refuse(pick, "ofa-mbv3-w1.0", "stage 1 slot 2");
    net_family_extreme(net_family_get("ofa-resnet50d"), 224, false, &pick);
    pick.width[NET_PLACE_STAGE + 3] = 3;
    refuse(pick, "ofa-resnet50d", "width 3 at place 5");
    net_family_extreme(net_family_get("ofa-resnet50d"), 224, false, &pick);
    pick.stem_depth = 2;
    refuse(pick, "ofa-resnet50d", "depth 2");
    pick = macro_pick("00000003");
    refuse(pick, "nasbench-macro", "stage 2 slot 2");
}

static void slots_beyond_the_depth_are_ignored(void **state)
{
    (void)state;
    struct net_pick pick = ofa_min(128);
    struct net_cost plain;
    struct net_cost odd;
    build("ofa-mbv3-w1.2", &pick, &net);
    net_cost_total(&net, &plain);
    pick.choice[3] = UINT8_MAX;
    build("ofa-mbv3-w1.2", &pick, &net);
    net_cost_total(&net, &odd);
    assert_memory_equal(&plain, &odd, sizeof plain);
}

static void identity_slots_have_no_block(void **state)
{
    (void)state;
    const struct net_pick pick = macro_pick("00010000");
    build("nasbench-macro", &pick, &net);
    assert_int_equal(net.n_blocks, 1 + 4 + 1); /* stem; a stride-2 convolution a stage, and one block; head */
    assert_int_equal(net.blocks[3].stage, 1);
    assert_int_equal(net.blocks[3].slot, 1);
}

static void channels_round_to_eights_and_never_far_down(void **state)
{
    (void)state;
    assert_int_equal(net_divisible(1), 8);
    assert_int_equal(net_divisible(11), 16); /* 8 would be below 0.9 x 11 */
    assert_int_equal(net_divisible(12), 16);
    assert_int_equal(net_divisible(19), 24); /* 16 would be below 0.9 x 19 */
    assert_int_equal(net_divisible(35), 32);
    assert_int_equal(net_divisible(134.4), 136);
    assert_int_equal(net_divisible(240), 240);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoted_rows_of_ofa_mbv3_come_out_to_the_unit),
        cmocka_unit_test(quoted_rows_of_nasbench_macro_come_out_to_the_unit),
        cmocka_unit_test(every_published_row_of_ofa_mbv3_comes_out_to_the_unit),
        cmocka_unit_test(all_of_nasbench_macro_comes_out_to_the_unit),
        cmocka_unit_test(a_family_is_found_by_its_name_alone),
        cmocka_unit_test(a_family_keeps_its_own_rules),
        cmocka_unit_test(width_1_2_has_the_published_widths),
        cmocka_unit_test(resnet50d_has_the_published_parameters_and_macs),
        cmocka_unit_test(resnet50d_has_the_published_widths),
        cmocka_unit_test(a_shared_choice_is_that_of_the_first_slot),
        cmocka_unit_test(a_pick_outside_the_family_is_refused_by_part),
        cmocka_unit_test(slots_beyond_the_depth_are_ignored),
        cmocka_unit_test(identity_slots_have_no_block),
        cmocka_unit_test(channels_round_to_eights_and_never_far_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
