/* The spaces of the shipped families and their picks. */
#include "server/space_of_family.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct space space;

static void expect_variable(size_t index, const char *name, int parent, const char *first_label)
{
    assert_string_equal(space.variables[index].name, name);
    assert_int_equal(space.variables[index].parent, parent);
    assert_string_equal(space.variables[index].labels[0], first_label);
}

static void once_for_all_has_resolution_depths_and_slots_in_order(void **state)
{
    char count[SPACE_COUNT_TEXT];
    (void)state;
    assert_int_equal(space_of_family(net_family_get("ofa-mbv3-w1.0"), &space, NULL), TL_OK);
    assert_int_equal(space.n_variables, 1 + 5 + 40);
    expect_variable(0, "resolution", -1, "128");
    expect_variable(1, "s1.depth", -1, "2");
    expect_variable(5, "s5.depth", -1, "2");
    expect_variable(6, "s1.b1.kernel", -1, "3");
    expect_variable(7, "s1.b1.expand", -1, "3");
    expect_variable(10, "s1.b3.kernel", 1, "3");
    expect_variable(45, "s5.b4.expand", 5, "3");
    assert_int_equal(space.variables[10].active_under, 6); /* depth 3 and 4 */
    assert_int_equal(space.variables[45].active_under, 4); /* depth 4 */
    for (size_t v = 6; v < 46; v += 2) {
        assert_int_equal(space.variables[v].group, space.variables[v + 1].group);
        assert_int_not_equal(space.variables[v].group, space.variables[v - 1].group);
    }
    space_count(&space, count);
    assert_int_equal(strlen(count), 21); /* 25 x 2.18e19 */
}

static void nasbench_macro_has_one_choice_a_slot(void **state)
{
    char count[SPACE_COUNT_TEXT];
    (void)state;
    assert_int_equal(space_of_family(net_family_get("nasbench-macro"), &space, NULL), TL_OK);
    assert_int_equal(space.n_variables, 9);
    expect_variable(1, "s1.b1.op", -1, "identity");
    expect_variable(8, "s3.b3.op", -1, "identity");
    assert_string_equal(space.variables[8].labels[1], "k3e3");
    assert_string_equal(space.variables[8].labels[2], "k5e6");
    assert_false(space.variables[8].ordered);
    space_count(&space, count);
    assert_string_equal(count, "6561");
}

static void every_architecture_is_a_network_of_its_family(void **state)
{
    struct network *net = malloc(sizeof(*net));
    uint8_t arch[SPACE_VARIABLES_MAX];
    struct net_pick pick;
    struct tl_rng rng;
    (void)state;
    assert_non_null(net);
    tl_rng_init(&rng, 1, 0, 0);
    for (size_t f = 0; f < net_family_count(); f++) {
        const struct net_family *family = net_family_at(f);
        struct tl_err err = {0};
        assert_int_equal(space_of_family(family, &space, &err), TL_OK);
        for (size_t i = 0; i < 50; i++) {
            space_sample(&space, &rng, arch);
            space_canonical(&space, arch);
            pick_of_arch(family, &space, arch, &pick);
            assert_int_equal(net_build(family, &pick, net, &err), TL_OK);
            assert_int_equal(net->resolution, space.variables[0].numbers[arch[0]]);
        }
    }
    free(net);
}

/* Ids are stored with searches and models, and so are picks and block keys with measurements: the id, and a hash over the
 * picks and block keys of 300 architectures drawn with seed 7. */
static void ids_picks_and_block_keys_of_the_shipped_families_stay(void **state)
{
    (void)state;
    static const struct {
        const char *name, *id, *built;
    } rows[] = {
        {"ofa-mbv3-w1.0", "68911db5bdaf251aa9c3e5237733fa57", "f1a248118ccc8a0c12c716429309383f"},
        {"ofa-mbv3-w1.2", "4ed5fbce72e50a3617c68ce27bc1d023", "a88b3a165b0e9936e6174925675519f5"},
        {"nasbench-macro", "89c315b39aa8ce85547415f0fbabdf0e", "e747c1ca55279ef9b3e50717a3034117"},
    };
    static struct network net;
    for (size_t f = 0; f < TL_COUNT_OF(rows); f++) {
        const struct net_family *family = net_family_get(rows[f].name);
        TL_AUTO(tl_buf) all = {.max = 16 << 20};
        uint8_t arch[SPACE_VARIABLES_MAX];
        char text[TL_HASH_TEXT];
        struct tl_rng rng;
        struct net_pick pick;
        assert_int_equal(space_of_family(family, &space, NULL), TL_OK);
        tl_hash_format(&space.id, text);
        assert_string_equal(text, rows[f].id);
        tl_rng_init(&rng, 7, 0, 0);
        for (size_t i = 0; i < 300; i++) {
            space_sample(&space, &rng, arch);
            space_canonical(&space, arch);
            pick_of_arch(family, &space, arch, &pick);
            assert_int_equal(net_build(family, &pick, &net, NULL), TL_OK);
            for (size_t b = 0; b < net.n_blocks; b++) {
                char key[NET_KEY_MAX];
                net_block_key(&net, b, key);
                assert_int_equal(tl_buf_addf(&all, NULL, "%s\n", key), TL_OK);
            }
            const size_t size = offsetof(struct net_pick, stem_depth); /* what these families use */
            assert_int_equal(tl_buf_add(&all, &pick, size, NULL), TL_OK);
        }
        const struct tl_hash built = tl_hash_of(all.data, all.len);
        tl_hash_format(&built, text);
        assert_string_equal(text, rows[f].built);
    }
}

/* The papers' counts do not count resolutions: 2.18e19 and, with a last stage of one slot, nine times as many. */
static void the_published_numbers_of_sub_networks_come_out(void **state)
{
    (void)state;
    static const struct {
        const char *name, *count;
    } rows[] = {
        {"ofa-mbv3-w1.0", "21758655492572485851"}, /* (9^2 + 9^3 + 9^4)^5 */
        {"ofa-mbv3-w1.2", "21758655492572485851"},
        {"ofa-proxyless-w1.3", "195827899433152372659"},
        {"ofa-resnet50d", "2458914796962"}, /* 2 x 3^6 x the product over stages of the sums over depths of 3^depth */
        {"nasbench-macro", "6561"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(rows); i++) {
        struct net_family family = *net_family_get(rows[i].name);
        char text[SPACE_COUNT_TEXT];
        family.n_resolutions = 1;
        assert_int_equal(space_of_family(&family, &space, NULL), TL_OK);
        space_count(&space, text);
        assert_string_equal(text, rows[i].count);
    }
}

static void a_stage_without_elastic_depth_has_no_variable_for_it(void **state)
{
    (void)state;
    const struct net_family *family = net_family_get("ofa-proxyless-w1.3");
    assert_int_equal(space_of_family(family, &space, NULL), TL_OK);
    assert_int_equal(space.n_variables, 1 + 5 + 2 * 21);
    assert_int_equal(space_variable_find(&space, "s6.depth"), -1);
    expect_variable(5, "s5.depth", -1, "2");
    expect_variable(6, "s1.b1.kernel", -1, "3");
    expect_variable(46, "s6.b1.kernel", -1, "3");
}

static void a_pick_names_kernel_and_expand_by_choice(void **state)
{
    const struct net_family *family = net_family_get("ofa-mbv3-w1.2");
    uint8_t arch[SPACE_VARIABLES_MAX] = {0};
    struct net_pick pick;
    (void)state;
    assert_int_equal(space_of_family(family, &space, NULL), TL_OK);
    arch[space_variable_find(&space, "resolution")] = 24;
    arch[space_variable_find(&space, "s2.depth")] = 2;
    arch[space_variable_find(&space, "s2.b4.kernel")] = 2;
    arch[space_variable_find(&space, "s2.b4.expand")] = 1;
    pick_of_arch(family, &space, arch, &pick);
    assert_int_equal(pick.resolution, 224);
    assert_int_equal(pick.depth[1], 4);
    assert_int_equal(pick.depth[2], 2);
    assert_int_equal(family->choices[pick.choice[7]].kernel, 7);
    assert_int_equal(family->choices[pick.choice[7]].expand, 4);
}

static void a_family_that_is_too_large_is_refused(void **state)
{
    struct net_family family = *net_family_get("ofa-mbv3-w1.0");
    struct tl_err err = {0};
    (void)state;
    family.stages[0].n_slots = 80;
    assert_int_equal(space_of_family(&family, &space, &err), TL_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_for_all_has_resolution_depths_and_slots_in_order),
        cmocka_unit_test(nasbench_macro_has_one_choice_a_slot),
        cmocka_unit_test(every_architecture_is_a_network_of_its_family),
        cmocka_unit_test(ids_picks_and_block_keys_of_the_shipped_families_stay),
        cmocka_unit_test(the_published_numbers_of_sub_networks_come_out),
        cmocka_unit_test(a_stage_without_elastic_depth_has_no_variable_for_it),
        cmocka_unit_test(a_pick_names_kernel_and_expand_by_choice),
        cmocka_unit_test(a_family_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
