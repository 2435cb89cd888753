/* net_check on lists that somebody else wrote: each case breaks one thing in a good network. */
#include "nets.h"

#include <stdio.h>

/* ofa-mbv3-w1.0, all k7 e6 d4 at 224: 0 stem; 1 depthwise, 2 conv, 3 add (block 1); 4 conv, 5 depthwise, 6 conv (block
 * 2, stride 2); 7 conv, 8 depthwise, 9 conv, 10 add; 19 conv, 20 depthwise, 21 squeeze-and-excitation. */
static struct network good;
static struct network bad;

static int setup(void **state)
{
    const struct net_pick pick = ofa_max(224);
    (void)state;
    build("ofa-mbv3-w1.0", &pick, &good);
    return 0;
}

static size_t find_op(enum net_op_kind kind)
{
    for (size_t i = 0; i < good.n_ops; i++) {
        if (good.ops[i].kind == kind) {
            return i;
        }
    }
    fail_msg("no such operator");
    return 0;
}

/* `bad` must be refused at `pointer` with a sentence that holds `word`. */
static void refuse(const char *pointer, const char *word)
{
    struct tl_err err = {0};

    assert_int_equal(net_check(&bad, &err), TL_INVALID);
    if (!strstr(err.text, word) || strcmp(err.pointer, pointer) != 0) {
        fail_msg("at %s: %s (expected \"%s\" at %s)", err.pointer, err.text, word, pointer);
    }
    bad = good;
}

static void every_network_of_a_family_passes(void **state)
{
    (void)state;
    struct tl_rng rng;
    tl_rng_init(&rng, 7, 0, 0);
    for (size_t f = 0; f < net_family_count(); f++) {
        for (int i = 0; i < 300; i++) {
            const struct net_pick pick = random_pick(net_family_at(f), &rng);
            build(net_family_at(f)->name, &pick, &bad);
            assert_int_equal(net_check(&bad, NULL), TL_OK);
        }
    }
}

static void sizes_have_limits(void **state)
{
    (void)state;
    bad = good;
    bad.ops[0].h_in = 0;
    refuse("/ops/0", "1 to 1024");
    bad.ops[0].w_in = NET_SIDE_MAX + 1;
    refuse("/ops/0", "1 to 1024");
    bad.ops[4].ci = 0;
    refuse("/ops/4", "channels");
    bad.ops[4].co = UINT16_MAX;
    refuse("/ops/4", "channels");
    assert_int_equal(bad.ops[21].kind, NET_SE);
    bad.ops[21].hidden = 0;
    refuse("/ops/21", "hidden");
    bad.n_ops = 0;
    refuse("/ops", "operators");
    bad.n_ops = NET_OPS_MAX + 1;
    refuse("/ops", "operators");
    bad.n_blocks = NET_BLOCKS_MAX + 1;
    refuse("/blocks", "blocks");
    bad.n_blocks = 0;
    refuse("/blocks", "blocks");
}

static void forms_are_known(void **state)
{
    (void)state;
    bad = good;
    bad.ops[1].kind = NET_OP_KIND_COUNT;
    refuse("/ops/1", "kind");
    bad.ops[1].act = NET_ACT_COUNT;
    refuse("/ops/1", "activation");
    bad.ops[1].kernel = 4;
    refuse("/ops/1", "kernel");
    bad.ops[1].kernel = 9;
    refuse("/ops/1", "kernel");
    bad.ops[1].stride = 0;
    refuse("/ops/1", "stride");
    bad.ops[1].stride = 3;
    refuse("/ops/1", "stride");
    bad.ops[3].batch_norm = true;
    refuse("/ops/3", "batch norm");
    bad.ops[3].stride = 2;
    refuse("/ops/3", "stride");
    bad.ops[3].hidden = 4;
    refuse("/ops/3", "hidden");
    bad.ops[5].co++;
    refuse("/ops/5", "channels");
}

static void shapes_must_chain(void **state)
{
    (void)state;
    bad = good;
    bad.resolution--;
    refuse("/ops/0", "resolution");
    bad.ops[0].h_out++;
    refuse("/ops/0", "output size");
    bad.ops[4].ci++;
    refuse("/ops/4", "before");
    bad.ops[find_op(NET_LINEAR)].w_in = 2;
    char pointer[32];
    (void)snprintf(pointer, sizeof pointer, "/ops/%zu", find_op(NET_LINEAR));
    refuse(pointer, "1x1");
}

static void residuals_add_what_their_block_began_with(void **state)
{
    (void)state;
    bad = good;
    assert_int_equal(bad.ops[10].kind, NET_ADD);
    assert_int_equal(bad.ops[10].skip_from, 7);
    bad.ops[10].skip_from = 8;
    refuse("/ops/10", "first operator");
    bad.ops[10].skip_from = -1;
    refuse("/ops/10", "first operator");
    bad.ops[10].skip_from = INT16_MAX;
    refuse("/ops/10", "first operator");
    bad.ops[9].skip_from = 7;
    refuse("/ops/9", "only a residual");
    bad.ops[6].kind = NET_ADD; /* where the channels changed */
    bad.ops[6].act = NET_ACT_NONE;
    bad.ops[6].batch_norm = false;
    bad.ops[6].ci = bad.ops[6].co;
    bad.ops[6].skip_from = 4;
    refuse("/ops/6", "before");
}

static void a_projection_says_what_it_projects(void **state)
{
    (void)state;
    struct net_pick pick;
    net_family_extreme(net_family_get("ofa-resnet50d"), 128, false, &pick);
    build("ofa-resnet50d", &pick, &bad);
    static struct network resnet;
    resnet = bad;
    size_t at = 0;
    while (bad.ops[at].kind != NET_PROJECT || bad.ops[at].stride != 2) {
        at++;
    }
    char pointer[32];
    (void)snprintf(pointer, sizeof pointer, "/ops/%zu", at);
    bad.ops[at].hidden++;
    refuse(pointer, "another shape");
    bad = resnet;
    bad.ops[at].stride = 1;
    refuse(pointer, "another shape");
    bad = resnet;
    bad.ops[at].skip_from++;
    refuse(pointer, "first operator");
    bad = resnet;
    bad.ops[at].kernel = 3;
    refuse(pointer, "kernel");
    bad = resnet;
    assert_int_equal(bad.ops[2].kind, NET_MAX_POOL);
    bad.ops[2].act = NET_ACT_RELU;
    refuse("/ops/2", "activation");
    bad = resnet;
    bad.ops[2].kernel = 2;
    refuse("/ops/2", "kernel");
}

static void blocks_cover_the_operators_in_order(void **state)
{
    (void)state;
    bad = good;
    bad.blocks[1].n_ops++;
    refuse("/blocks/1", "not in block 1");
    bad.blocks[1].n_ops = 0;
    refuse("/blocks/1", "at least one");
    bad.blocks[1].n_ops = UINT16_MAX;
    refuse("/blocks/1", "at least one");
    bad.blocks[1].first_op = 0;
    refuse("/blocks/1", "beginning at 1");
    bad.n_blocks--;
    refuse("/blocks", "the blocks hold");
    bad.blocks[2].stage = -2;
    refuse("/blocks/2", "stage");
    bad.blocks[2].slot = INT8_MAX;
    refuse("/blocks/2", "slot");
    bad.ops[2].block = -1;
    refuse("/blocks/1", "operator 2");
}

static void too_much_work_is_refused_without_overflow(void **state)
{
    (void)state;
    struct network *net = &bad;
    *net = (struct network){.n_ops = NET_OPS_MAX, .n_blocks = 1, .resolution = NET_SIDE_MAX};
    net->blocks[0] = (struct net_block){.n_ops = NET_OPS_MAX};
    for (size_t i = 0; i < NET_OPS_MAX; i++) {
        net->ops[i] = (struct net_op){.kind = NET_CONV,
                                      .kernel = 7,
                                      .stride = 1,
                                      .h_in = NET_SIDE_MAX,
                                      .w_in = NET_SIDE_MAX,
                                      .ci = NET_CHANNELS_MAX,
                                      .h_out = NET_SIDE_MAX,
                                      .w_out = NET_SIDE_MAX,
                                      .co = NET_CHANNELS_MAX,
                                      .skip_from = -1};
    }
    refuse("/ops", "1765411053929234432");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_of_a_family_passes),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(forms_are_known),
        cmocka_unit_test(shapes_must_chain),
        cmocka_unit_test(residuals_add_what_their_block_began_with),
        cmocka_unit_test(a_projection_says_what_it_projects),
        cmocka_unit_test(blocks_cover_the_operators_in_order),
        cmocka_unit_test(too_much_work_is_refused_without_overflow),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
