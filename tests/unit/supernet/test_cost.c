/* Costs by hand on small lists, where every number can be checked with a pencil. */
#include "supernet/build.h"

#include <cmocka.h>
#include <stdlib.h>

static struct network net;

/* stem 3x3 s2 3->2 on 8x8, then an inverted residual block 2 -> 8 -> 2 on the 4x4 map. */
static void make_block(bool se, bool residual)
{
    struct net_builder builder = net_builder_make(&net, 8);
    const struct net_inverted block = {.mid = 8,
                                       .expands = true,
                                       .kernel = 3,
                                       .stride = 1,
                                       .act = NET_ACT_RELU,
                                       .se = se,
                                       .width = 2,
                                       .residual = residual};

    net_add_block(&builder, -1, -1);
    net_add_conv(&builder, 2, 3, 2, NET_ACT_RELU, true);
    net_add_block(&builder, 0, 0);
    net_add_inverted(&builder, &block);
}

static void macs_and_params_follow_the_published_rules(void **state)
{
    (void)state;
    const struct net_op conv = {.kind = NET_CONV,
                                .batch_norm = true,
                                .kernel = 3,
                                .stride = 2,
                                .h_in = 8,
                                .w_in = 8,
                                .ci = 3,
                                .h_out = 4,
                                .w_out = 4,
                                .co = 5};
    const struct net_op depthwise = {.kind = NET_DEPTHWISE,
                                     .batch_norm = true,
                                     .kernel = 5,
                                     .stride = 1,
                                     .h_in = 4,
                                     .w_in = 4,
                                     .ci = 6,
                                     .h_out = 4,
                                     .w_out = 4,
                                     .co = 6};
    const struct net_op se = {.kind = NET_SE,
                              .kernel = 1,
                              .stride = 1,
                              .h_in = 4,
                              .w_in = 4,
                              .ci = 32,
                              .h_out = 4,
                              .w_out = 4,
                              .co = 32,
                              .hidden = 8};
    const struct net_op linear = {.kind = NET_LINEAR,
                                  .bias = true,
                                  .kernel = 1,
                                  .stride = 1,
                                  .h_in = 1,
                                  .w_in = 1,
                                  .ci = 20,
                                  .h_out = 1,
                                  .w_out = 1,
                                  .co = 10};
    assert_int_equal(net_op_macs(&conv), 9 * 3 * 5 * 16);
    assert_int_equal(net_op_params(&conv), 9 * 3 * 5 + 2 * 5);
    assert_int_equal(net_op_macs(&depthwise), 25 * 6 * 16);
    assert_int_equal(net_op_params(&depthwise), 25 * 6 + 2 * 6);
    assert_int_equal(net_op_macs(&se), 2 * 32 * 8); /* at 1x1, whatever the map */
    assert_int_equal(net_op_params(&se), 2 * 32 * 8 + 8 + 32);
    assert_int_equal(net_op_macs(&linear), 200);
    assert_int_equal(net_op_params(&linear), 200 + 10);
}

static void pooling_and_adding_cost_nothing(void **state)
{
    (void)state;
    const struct net_op pool = {
        .kind = NET_POOL, .kernel = 1, .stride = 1, .h_in = 7, .w_in = 7, .ci = 9, .h_out = 1, .w_out = 1, .co = 9};
    const struct net_op add = {
        .kind = NET_ADD, .kernel = 1, .stride = 1, .h_in = 7, .w_in = 7, .ci = 9, .h_out = 7, .w_out = 7, .co = 9};
    assert_int_equal(net_op_macs(&pool) + net_op_params(&pool), 0);
    assert_int_equal(net_op_macs(&add) + net_op_params(&add), 0);
}

/* 1x1 from 6 averaged channels to 20; its map counts beside the two that stay alive. */
static void a_projected_residual_costs_its_convolution(void **state)
{
    (void)state;
    const struct net_op project = {.kind = NET_PROJECT,
                                   .batch_norm = true,
                                   .kernel = 1,
                                   .stride = 2,
                                   .h_in = 4,
                                   .w_in = 4,
                                   .ci = 20,
                                   .h_out = 4,
                                   .w_out = 4,
                                   .co = 20,
                                   .hidden = 6};
    struct network *alone = calloc(1, sizeof *alone);
    struct net_cost cost;
    assert_non_null(alone);
    assert_int_equal(net_op_macs(&project), 6 * 20 * 16);
    assert_int_equal(net_op_params(&project), 6 * 20 + 2 * 20);
    alone->ops[0] = (struct net_op){
        .kind = NET_CONV, .kernel = 1, .stride = 2, .h_in = 8, .w_in = 8, .ci = 6, .h_out = 4, .w_out = 4, .co = 20};
    alone->ops[1] = project;
    alone->n_ops = 2;
    net_cost_of(alone, 1, 1, &cost);
    assert_int_equal(cost.peak_memory_bytes, 4 * (16 * 20 + 16 * 6 + 64 * 6));
    free(alone);
}

static void size_is_four_bytes_a_parameter(void **state)
{
    (void)state;
    struct net_cost cost;
    make_block(false, false);
    net_cost_total(&net, &cost);
    assert_int_equal(cost.params, (54 + 4) + (16 + 16) + (72 + 16) + (16 + 4));
    assert_int_equal(cost.size_bytes, 4 * cost.params);
}

static void memory_is_input_and_output_of_the_widest_operator(void **state)
{
    (void)state;
    struct net_cost cost;
    make_block(false, false);
    net_cost_total(&net, &cost);
    assert_int_equal(cost.peak_memory_bytes, 4 * (128 + 128)); /* the depthwise convolution */
    net_cost_of(&net, 0, 1, &cost);
    assert_int_equal(cost.peak_memory_bytes, 4 * (192 + 32)); /* the stem, its input counted */
}

static void a_residual_keeps_the_block_input_alive(void **state)
{
    (void)state;
    struct net_cost cost;
    const uint64_t live[] = {192 + 32, 32 + 128, 128 + 128 + 32, 128 + 32 + 32, 32 + 32}; /* stem pw dw pw add */
    make_block(false, true);
    assert_int_equal(net.n_ops, 5);
    for (size_t i = 0; i < 5; i++) {
        net_cost_of(&net, i, 1, &cost);
        assert_int_equal(cost.peak_memory_bytes, 4 * live[i]);
    }
    net_cost_total(&net, &cost);
    assert_int_equal(cost.peak_memory_bytes, 4 * (128 + 128 + 32));
}

static void squeeze_and_excitation_works_in_place(void **state)
{
    (void)state;
    struct net_cost cost;
    make_block(true, true);
    assert_int_equal(net.ops[3].kind, NET_SE);
    net_cost_of(&net, 3, 1, &cost);
    assert_int_equal(cost.peak_memory_bytes, 4 * (128 + 32)); /* one buffer, and the block input */
}

static void parts_add_up_to_the_whole(void **state)
{
    (void)state;
    struct net_cost whole;
    struct net_cost sum = {0};
    make_block(true, true);
    net_cost_total(&net, &whole);
    for (size_t b = 0; b < net.n_blocks; b++) {
        struct net_cost part;
        net_cost_of(&net, net.blocks[b].first_op, net.blocks[b].n_ops, &part);
        sum.macs += part.macs;
        sum.params += part.params;
        if (part.peak_memory_bytes > sum.peak_memory_bytes) {
            sum.peak_memory_bytes = part.peak_memory_bytes;
        }
    }
    assert_int_equal(sum.macs, whole.macs);
    assert_int_equal(sum.params, whole.params);
    assert_int_equal(sum.peak_memory_bytes, whole.peak_memory_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(macs_and_params_follow_the_published_rules),
        cmocka_unit_test(pooling_and_adding_cost_nothing),
        cmocka_unit_test(a_projected_residual_costs_its_convolution),
        cmocka_unit_test(size_is_four_bytes_a_parameter),
        cmocka_unit_test(memory_is_input_and_output_of_the_widest_operator),
        cmocka_unit_test(a_residual_keeps_the_block_input_alive),
        cmocka_unit_test(squeeze_and_excitation_works_in_place),
        cmocka_unit_test(parts_add_up_to_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
