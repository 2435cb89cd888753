/* Block keys and blocks cut out. */
#include "nets.h"

static struct network net;
static struct network other;

static void expect_key(size_t block, const char *expected)
{
    char key[NET_KEY_MAX];
    net_block_key(&net, block, key);
    assert_string_equal(key, expected);
}

static void a_key_reads_like_the_block(void **state)
{
    (void)state;
    const struct net_pick pick = ofa_pick(224, "33333555557777733333", "33334444466666333333", "22222");
    build("ofa-mbv3-w1.0", &pick, &net);
    assert_int_equal(net.n_blocks, 13);
    expect_key(0, "224x224x3-conv16k3s2.hswish");
    expect_key(1, "112x112x16-dwk3s1.relu-pw16-add");
    expect_key(2, "112x112x16-pw48.relu-dwk3s2.relu-pw24");
    expect_key(3, "56x56x24-pw72.relu-dwk3s1.relu-pw24-add");
    expect_key(4, "56x56x24-pw96.relu-dwk3s2.relu-se24-pw40");
    expect_key(12, "7x7x160-pw960.hswish-pool-pw1280.hswish-fc1000");
}

/* The operators that run, field by field; batch norm and bias are folded. */
static bool runs_alike(const struct network *a, const struct net_block *a_block, const struct network *b,
                       const struct net_block *b_block)
{
    if (a_block->n_ops != b_block->n_ops) {
        return false;
    }
    for (size_t i = 0; i < a_block->n_ops; i++) {
        const struct net_op *x = &a->ops[a_block->first_op + i];
        const struct net_op *y = &b->ops[b_block->first_op + i];
        if (x->kind != y->kind || x->act != y->act || x->kernel != y->kernel || x->stride != y->stride ||
            x->h_in != y->h_in || x->w_in != y->w_in || x->ci != y->ci || x->co != y->co || x->hidden != y->hidden) {
            return false;
        }
    }
    return true;
}

static void keys_are_equal_exactly_where_the_work_is(void **state)
{
    (void)state;
    struct tl_rng rng;
    size_t equal = 0;
    tl_rng_init(&rng, 3, 0, 0);
    for (int round = 0; round < 100; round++) {
        const struct net_family *family = net_family_at(tl_rng_below(&rng, (uint32_t)net_family_count()));
        const struct net_pick one = random_pick(family, &rng);
        const struct net_pick two = random_pick(family, &rng);
        build(family->name, &one, &net);
        build(family->name, &two, &other);
        for (size_t a = 0; a < net.n_blocks; a++) {
            char a_key[NET_KEY_MAX];
            net_block_key(&net, a, a_key);
            for (size_t b = 0; b < other.n_blocks; b++) {
                char b_key[NET_KEY_MAX];
                net_block_key(&other, b, b_key);
                const bool alike = runs_alike(&net, &net.blocks[a], &other, &other.blocks[b]);
                assert_int_equal(strcmp(a_key, b_key) == 0, alike);
                equal += alike;
            }
        }
    }
    assert_true(equal > 100); /* the test sees both sides */
}

static void where_a_block_stands_is_not_in_its_key(void **state)
{
    (void)state;
    char second[NET_KEY_MAX];
    const struct net_pick pick = ofa_max(160);
    build("ofa-mbv3-w1.0", &pick, &net);
    net_block_key(&net, 4, second);
    expect_key(5, second); /* slots 2 and 3 of the first stage */
}

/* One block of n pointwise convolutions, 8 channels each but the last. */
static void make_long(struct network *to, size_t n, unsigned last)
{
    *to = (struct network){.n_ops = (uint16_t)n, .n_blocks = 1, .resolution = 8};
    to->blocks[0] = (struct net_block){.n_ops = (uint16_t)n};
    for (size_t i = 0; i < n; i++) {
        to->ops[i] = (struct net_op){.kind = NET_CONV,
                                     .act = NET_ACT_HSWISH,
                                     .kernel = 1,
                                     .stride = 1,
                                     .h_in = 8,
                                     .w_in = 8,
                                     .ci = 8,
                                     .h_out = 8,
                                     .w_out = 8,
                                     .co = (uint16_t)(i == n - 1 ? last : 8),
                                     .skip_from = -1};
    }
    assert_int_equal(net_check(to, NULL), TL_OK);
}

static void a_list_too_long_to_write_out_is_hashed(void **state)
{
    (void)state;
    char one[NET_KEY_MAX];
    char two[NET_KEY_MAX];
    make_long(&net, NET_OPS_MAX, 8);
    make_long(&other, NET_OPS_MAX, 9);
    net_block_key(&net, 0, one);
    net_block_key(&other, 0, two);
    assert_int_equal(strncmp(one, "8x8x8-512ops-", 13), 0);
    assert_string_not_equal(one, two);
    make_long(&other, NET_OPS_MAX, 8);
    net_block_key(&other, 0, two);
    assert_string_equal(one, two);
}

static void a_cut_block_is_a_network_with_the_same_cost_and_key(void **state)
{
    (void)state;
    struct tl_rng rng;
    tl_rng_init(&rng, 5, 0, 0);
    for (int round = 0; round < 20; round++) {
        const struct net_pick pick = random_pick(net_family_at(0), &rng);
        build("ofa-mbv3-w1.0", &pick, &net);
        for (size_t b = 0; b < net.n_blocks; b++) {
            char key[NET_KEY_MAX];
            char cut_key[NET_KEY_MAX];
            struct net_cost cost;
            struct net_cost cut_cost;
            net_block_cut(&net, b, &other);
            assert_int_equal(net_check(&other, NULL), TL_OK);
            net_block_key(&net, b, key);
            net_block_key(&other, 0, cut_key);
            assert_string_equal(key, cut_key);
            net_cost_of(&net, net.blocks[b].first_op, net.blocks[b].n_ops, &cost);
            net_cost_total(&other, &cut_cost);
            assert_memory_equal(&cost, &cut_cost, sizeof cost);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_reads_like_the_block),
        cmocka_unit_test(keys_are_equal_exactly_where_the_work_is),
        cmocka_unit_test(where_a_block_stands_is_not_in_its_key),
        cmocka_unit_test(a_list_too_long_to_write_out_is_hashed),
        cmocka_unit_test(a_cut_block_is_a_network_with_the_same_cost_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
