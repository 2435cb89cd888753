/* Whole networks: the plan against a reference made of the plain twins, pools, limits and odd operator lists. */
#include "supernet/kernels/kernel.h"
#include "tests/alloc_fail.h"
#include "tests/kernel/isa.h"

#include <cmocka.h>
#include <math.h>

static const double LIMIT = 1e-9; /* normalised squared error after up to 100 layers */

enum { SEED = 11 };

/* ---- a reference that shares nothing with the plan but the weights ---------------------------------------------- */

struct map {
    struct k_shape shape;
    float *data; /* owned */
};

static struct map map_new(size_t nb, size_t h, size_t w, size_t c)
{
    struct map map = {.shape = {.nb = nb, .h = h, .w = w, .c = c, .ld = c, .row = w * c}};
    map.data = calloc(nb * h * w * c, sizeof(float));
    assert_non_null(map.data);
    return map;
}

static size_t map_floats(const struct map *map)
{
    return map->shape.nb * map->shape.h * map->shape.row;
}

static struct map map_copy(const struct map *from)
{
    struct map copy = map_new(from->shape.nb, from->shape.h, from->shape.w, from->shape.c);
    memcpy(copy.data, from->data, map_floats(from) * sizeof(float));
    return copy;
}

static void ref_layer(const struct network *net, size_t i, unsigned layer, const struct map *x, struct map *y,
                      enum k_act act)
{
    const struct net_op *op = &net->ops[i];
    const struct net_layer shape = net_layer_of(op, layer);
    float *w = calloc(shape.co * shape.inputs, sizeof(float)), *bias = calloc(shape.co, sizeof(float));
    assert_true(w != NULL && bias != NULL);
    k_weights_draw(w, bias, net, i, layer, SEED);
    if (op->kind == NET_DEPTHWISE) {
        k_depthwise_ref(y->data, &y->shape, x->data, &x->shape, w, bias, op->kernel, op->stride, act);
    } else {
        k_conv_ref(y->data, &y->shape, x->data, &x->shape, NULL, NULL, w, bias, op->kernel, op->stride, act);
    }
    free(w);
    free(bias);
}

static void ref_se(const struct network *net, size_t i, const struct map *x, struct map *y)
{
    const struct net_op *op = &net->ops[i];
    struct map mean = map_new(x->shape.nb, 1, 1, op->ci), hidden = map_new(x->shape.nb, 1, 1, op->hidden);
    struct map gates = map_new(x->shape.nb, 1, 1, op->co);
    k_mean_ref(mean.data, op->ci, x->data, &x->shape);
    ref_layer(net, i, 0, &mean, &hidden, K_RELU);
    ref_layer(net, i, 1, &hidden, &gates, K_HSIGMOID);
    k_scale_ref(y->data, &y->shape, x->data, &x->shape, gates.data, op->co);
    free(mean.data);
    free(hidden.data);
    free(gates.data);
}

static enum k_act act_of(enum net_act act)
{
    switch (act) {
    case NET_ACT_RELU:
        return K_RELU;
    case NET_ACT_RELU6:
        return K_RELU6;
    case NET_ACT_HSWISH:
        return K_HSWISH;
    case NET_ACT_NONE:
    case NET_ACT_COUNT:
        break;
    }
    return K_NONE;
}

/* y = act(y) */
static void ref_act(struct map *y, enum net_act act)
{
    for (size_t i = 0; i < map_floats(y); i++) {
        y->data[i] = k_act_ref(y->data[i], act_of(act));
    }
}

static void ref_project(const struct network *net, size_t i, const struct map *from, const struct map *x, struct map *y)
{
    const struct net_op *op = &net->ops[i];
    const struct net_layer shape = net_layer_of(op, 0);
    struct map averaged = map_new(x->shape.nb, op->h_in, op->w_in, op->hidden);
    float *w = calloc(shape.co * shape.inputs, sizeof(float)), *bias = calloc(shape.co, sizeof(float));
    assert_true(w != NULL && bias != NULL);
    k_weights_draw(w, bias, net, i, 0, SEED);
    k_pool_average_ref(averaged.data, &averaged.shape, from->data, &from->shape, op->stride);
    k_conv_ref(y->data, &y->shape, averaged.data, &averaged.shape, x->data, &x->shape, w, bias, 1, 1, K_NONE);
    ref_act(y, op->act);
    free(averaged.data);
    free(w);
    free(bias);
}

static void ref_op(const struct network *net, size_t i, const struct map *inputs, struct map *y)
{
    const struct net_op *op = &net->ops[i];
    const struct map *x = &inputs[i];
    switch (op->kind) {
    case NET_CONV:
    case NET_LINEAR:
    case NET_DEPTHWISE:
        ref_layer(net, i, 0, x, y, act_of(op->act));
        break;
    case NET_SE:
        ref_se(net, i, x, y);
        break;
    case NET_ADD:
        k_add_ref(y->data, &y->shape, x->data, &x->shape, inputs[op->skip_from].data, &x->shape);
        ref_act(y, op->act);
        break;
    case NET_PROJECT:
        ref_project(net, i, &inputs[op->skip_from], x, y);
        break;
    case NET_MAX_POOL:
        k_pool_max_ref(y->data, &y->shape, x->data, &x->shape, op->kernel, op->stride);
        break;
    case NET_POOL:
        k_mean_ref(y->data, op->co, x->data, &x->shape);
        break;
    case NET_OP_KIND_COUNT:
        break;
    }
}

/* The network's output, owned by the caller. Keeps every operator's input, so it needs no thought about buffers. */
static struct map ref_run(const struct network *net, const struct map *input)
{
    static struct map inputs[NET_OPS_MAX + 1];
    inputs[0] = map_copy(input);
    for (size_t i = 0; i < net->n_ops; i++) {
        inputs[i + 1] = map_new(input->shape.nb, net->ops[i].h_out, net->ops[i].w_out, net->ops[i].co);
        ref_op(net, i, inputs, &inputs[i + 1]);
    }
    for (size_t i = 0; i < net->n_ops; i++) {
        free(inputs[i].data);
    }
    return inputs[net->n_ops];
}

/* ---- operator lists --------------------------------------------------------------------------------------------- */

/* Append an operator whose input is the output before it; its block is the newest. */
static struct net_op *push(struct network *net, enum net_op_kind kind, unsigned kernel, unsigned stride, unsigned co,
                           enum net_act act)
{
    const struct net_op *before = net->n_ops > 0 ? &net->ops[net->n_ops - 1] : NULL;
    struct net_op *op = &net->ops[net->n_ops];
    const bool weights = kind == NET_CONV || kind == NET_DEPTHWISE || kind == NET_LINEAR;
    *op = (struct net_op){
        .kind = kind,
        .act = act,
        .batch_norm = weights,
        .kernel = (uint16_t)kernel,
        .stride = (uint16_t)stride,
        .h_in = before != NULL ? before->h_out : net->resolution,
        .w_in = before != NULL ? before->w_out : net->resolution,
        .ci = before != NULL ? before->co : 3,
        .co = (uint16_t)co,
        .skip_from = -1,
        .block = (int16_t)(net->n_blocks - 1),
    };
    op->h_out = (uint16_t)(kind == NET_POOL ? 1 : (op->h_in - 1U) / stride + 1);
    op->w_out = (uint16_t)(kind == NET_POOL ? 1 : (op->w_in - 1U) / stride + 1);
    net->blocks[net->n_blocks - 1].n_ops++;
    net->n_ops++;
    return op;
}

static void begin(struct network *net, unsigned resolution)
{
    memset(net, 0, sizeof *net);
    net->resolution = (uint16_t)resolution;
    net->n_blocks = 1;
    net->blocks[0] = (struct net_block){.stage = -1, .slot = -1};
}

static void next_block(struct network *net)
{
    net->blocks[net->n_blocks++] = (struct net_block){.first_op = net->n_ops, .stage = 0, .slot = -1};
}

static void push_add(struct network *net)
{
    const size_t first = net->blocks[net->n_blocks - 1].first_op;
    push(net, NET_ADD, 1, 1, net->ops[net->n_ops - 1].co, NET_ACT_NONE)->skip_from = (int16_t)first;
}

/* Channels that fill no vector, full convolutions inside, additions that no convolution can take, gates before a depthwise. */
static void odd_network(struct network *net, unsigned resolution)
{
    begin(net, resolution);
    push(net, NET_CONV, 5, 2, 13, NET_ACT_RELU6);
    next_block(net); /* depthwise first: the residual has a halo */
    push(net, NET_DEPTHWISE, 7, 1, 13, NET_ACT_HSWISH);
    push(net, NET_CONV, 1, 1, 13, NET_ACT_RELU);
    push_add(net);
    next_block(net); /* full convolution with a residual */
    push(net, NET_CONV, 3, 1, 13, NET_ACT_NONE);
    push_add(net);
    next_block(net); /* an addition after gates, gates before a depthwise */
    push(net, NET_CONV, 1, 1, 13, NET_ACT_RELU);
    push(net, NET_SE, 1, 1, 13, NET_ACT_NONE)->hidden = 3;
    push_add(net);
    push(net, NET_SE, 1, 1, 13, NET_ACT_NONE)->hidden = 1;
    push(net, NET_DEPTHWISE, 5, 2, 13, NET_ACT_NONE);
    next_block(net);
    push(net, NET_CONV, 1, 2, 21, NET_ACT_RELU);
    push(net, NET_CONV, 3, 2, 50, NET_ACT_NONE);
    push(net, NET_POOL, 1, 1, 50, NET_ACT_NONE);
    push(net, NET_LINEAR, 1, 1, 7, NET_ACT_NONE);
}

static void push_project(struct network *net, unsigned stride)
{
    const size_t first = net->blocks[net->n_blocks - 1].first_op;
    struct net_op *op = push(net, NET_PROJECT, 1, 1, net->ops[net->n_ops - 1].co, NET_ACT_RELU);
    op->skip_from = (int16_t)first;
    op->hidden = net->ops[first].ci;
    op->stride = (uint16_t)stride;
    op->batch_norm = true;
}

/* Bottlenecks whose input is averaged or not, with a halo or without, kept by a gate or not; additions with activations. */
static void bottleneck_network(struct network *net, unsigned resolution)
{
    begin(net, resolution);
    push(net, NET_CONV, 3, 1, 13, NET_ACT_RELU);
    push(net, NET_MAX_POOL, 3, 2, 13, NET_ACT_NONE);
    next_block(net);
    push(net, NET_CONV, 1, 1, 5, NET_ACT_RELU);
    push(net, NET_CONV, 3, 1, 5, NET_ACT_RELU);
    push(net, NET_CONV, 1, 1, 21, NET_ACT_NONE);
    push_project(net, 1);
    next_block(net); /* depthwise first: the residual has a halo */
    push(net, NET_DEPTHWISE, 5, 2, 21, NET_ACT_RELU);
    push(net, NET_CONV, 1, 1, 33, NET_ACT_NONE);
    push_project(net, 2);
    next_block(net);
    push(net, NET_CONV, 3, 1, 33, NET_ACT_NONE);
    push_add(net);
    net->ops[net->n_ops - 1].act = NET_ACT_HSWISH;
    next_block(net); /* an addition and a projection after gates */
    push(net, NET_CONV, 1, 1, 33, NET_ACT_NONE);
    push(net, NET_SE, 1, 1, 33, NET_ACT_NONE)->hidden = 3;
    push_add(net);
    net->ops[net->n_ops - 1].act = NET_ACT_RELU6;
    push_project(net, 1);
    next_block(net);
    push(net, NET_MAX_POOL, 5, 1, 33, NET_ACT_NONE);
    push_project(net, 1);
    push(net, NET_POOL, 1, 1, 33, NET_ACT_NONE);
    push(net, NET_LINEAR, 1, 1, 7, NET_ACT_NONE);
}

/* A network of the shipped family: every slot the same kernel and expansion. */
static void family_network(struct network *net, unsigned resolution, unsigned choice, unsigned depth)
{
    const struct net_family *family = net_family_get("ofa-mbv3-w1.0");
    assert_non_null(family);
    struct net_pick pick = {.resolution = (uint16_t)resolution};
    memset(pick.depth, (int)depth, sizeof pick.depth);
    memset(pick.choice, (int)choice, sizeof pick.choice);
    struct tl_err err = {0};
    if (net_build(family, &pick, net, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static struct map random_input(const struct network *net, size_t nb)
{
    struct map input = map_new(nb, net->ops[0].h_in, net->ops[0].w_in, net->ops[0].ci);
    struct tl_rng rng;
    tl_rng_init(&rng, SEED, 0, 1);
    for (size_t i = 0; i < map_floats(&input); i++) {
        input.data[i] = (float)tl_rng_normal(&rng);
    }
    return input;
}

static struct net_plan *plan_new(const struct network *net, unsigned nb, struct tl_pool *pool)
{
    struct net_plan *plan = NULL;
    struct tl_err err = {0};
    if (net_plan_new(net, nb, NULL, SEED, pool, &plan, &err) != TL_OK) {
        fail_msg("%s", err.text);
    }
    return plan;
}

static void check_against_twins(const struct network *net, unsigned nb)
{
    struct map input = random_input(net, nb), ref = ref_run(net, &input);
    struct net_plan *plan = plan_new(net, nb, NULL);
    assert_int_equal(net_plan_input_floats(plan), map_floats(&input));
    assert_int_equal(net_plan_output_floats(plan), map_floats(&ref));
    float *output = calloc(map_floats(&ref) + 1, sizeof(float));
    assert_non_null(output);
    net_plan_run(plan, input.data, output);
    double difference = 0, size = 0;
    for (size_t i = 0; i < map_floats(&ref); i++) {
        const double d = (double)output[i] - (double)ref.data[i];
        difference += d * d;
        size += (double)ref.data[i] * (double)ref.data[i];
    }
    assert_true(size > 0 && difference / size < LIMIT);
    net_plan_free(plan);
    free(output);
    free(input.data);
    free(ref.data);
}

static void a_network_of_the_family_equals_its_twin(void **state)
{
    (void)state;
    static struct network net;
    family_network(&net, 128, 0, 2);
    check_against_twins(&net, 1);
}

static void every_block_cut_out_equals_its_twin(void **state)
{
    (void)state;
    static struct network net, cut;
    family_network(&net, 128, 8, 2);
    for (size_t b = 5; b < net.n_blocks; b++) {
        net_block_cut(&net, b, &cut);
        check_against_twins(&cut, 1);
    }
}

static void odd_lists_and_batches_equal_their_twin(void **state)
{
    (void)state;
    static struct network net;
    for (unsigned resolution = 1; resolution <= 41; resolution += 8) {
        odd_network(&net, resolution);
        check_against_twins(&net, 1);
        check_against_twins(&net, 3);
    }
}

static void bottlenecks_equal_their_twin(void **state)
{
    (void)state;
    static struct network net, cut;
    for (unsigned resolution = 1; resolution <= 33; resolution += 4) {
        bottleneck_network(&net, resolution);
        check_against_twins(&net, 1);
        check_against_twins(&net, 3);
    }
    for (size_t b = 0; b < net.n_blocks; b++) { /* also with the caller's memory as the block's input and output */
        net_block_cut(&net, b, &cut);
        check_against_twins(&cut, 2);
    }
}

/* Lists whose first or last operator works on the caller's own memory. */
static void lists_of_one_operator_equal_their_twin(void **state)
{
    (void)state;
    static struct network net;
    static const enum net_op_kind kinds[] = {NET_CONV, NET_DEPTHWISE, NET_SE, NET_POOL};
    static const unsigned channels[] = {1, 3, 16, 24, 32};
    for (size_t k = 0; k < TL_COUNT_OF(kinds); k++) {
        for (size_t c = 0; c < TL_COUNT_OF(channels); c++) {
            begin(&net, 6);
            struct net_op *op = push(&net, kinds[k], 1, 1, channels[c], NET_ACT_NONE);
            op->ci = (uint16_t)channels[c];
            op->hidden = kinds[k] == NET_SE ? 5 : 0;
            check_against_twins(&net, 2);
        }
    }
}

static void results_are_the_same_bits_for_every_pool_and_run(void **state)
{
    (void)state;
    static struct network nets[3];
    family_network(&nets[0], 128, 4, 2);
    odd_network(&nets[1], 33);
    bottleneck_network(&nets[2], 33);
    for (size_t n = 0; n < TL_COUNT_OF(nets); n++) {
        struct map input = random_input(&nets[n], 1);
        float *first = NULL;
        for (unsigned threads = 0; threads <= 3; threads++) {
            struct tl_pool *pool = NULL;
            if (threads > 0) {
                assert_int_equal(tl_pool_new(&pool, threads, NULL), TL_OK);
            }
            struct net_plan *plan = plan_new(&nets[n], 1, pool);
            const size_t floats = net_plan_output_floats(plan);
            float *output = calloc(floats, sizeof *output);
            assert_non_null(output);
            for (unsigned run = 0; run < 3; run++) {
                net_plan_run(plan, input.data, output);
                first = first == NULL ? memcpy(calloc(floats, sizeof *first), output, floats * sizeof *first) : first;
                assert_memory_equal(output, first, floats * sizeof *first);
                memset(output, 0, floats * sizeof *output);
            }
            net_plan_free(plan);
            tl_pool_free(pool);
            free(output);
        }
        free(first);
        free(input.data);
    }
}

static void the_largest_network_stays_of_order_one(void **state)
{
    (void)state;
    static struct network net;
    family_network(&net, 128, 8, 4);
    struct map input = random_input(&net, 1);
    struct net_plan *plan = plan_new(&net, 1, NULL);
    float output[1000];
    assert_int_equal(net_plan_output_floats(plan), 1000);
    for (unsigned zeros = 0; zeros < 2; zeros++) { /* random pixels, then a black image */
        double sum = 0;
        net_plan_run(plan, input.data, output);
        for (size_t i = 0; i < 1000; i++) {
            assert_true(isnormal(output[i]));
            sum += (double)output[i] * (double)output[i];
        }
        assert_true(sqrt(sum / 1000) > 0.01 && sqrt(sum / 1000) < 100);
        memset(input.data, 0, map_floats(&input) * sizeof(float));
    }
    net_plan_free(plan);
    free(input.data);
}

static void lists_that_are_no_network_or_too_large_are_refused(void **state)
{
    (void)state;
    static struct network net;
    struct net_plan *plan = NULL;
    struct tl_err err = {0};
    odd_network(&net, 20);
    assert_int_equal(net_plan_new(&net, 0, NULL, SEED, NULL, &plan, &err), TL_INVALID);
    net.ops[3].ci++;
    assert_int_equal(net_plan_new(&net, 1, NULL, SEED, NULL, &plan, NULL), TL_INVALID);

    begin(&net, 1); /* 40 layers of 256 MiB */
    for (size_t i = 0; i < 40; i++) {
        push(&net, NET_CONV, 1, 1, 8192, NET_ACT_RELU);
    }
    struct tl_err large = {0};
    assert_int_equal(net_plan_new(&net, 1, NULL, SEED, NULL, &plan, &large), TL_TOO_LARGE);
    assert_null(plan);
    net_plan_free(NULL);
}

static enum tl_rc plan_and_free(void *ctx, struct tl_err *err)
{
    struct net_plan *plan = NULL;
    const enum tl_rc rc = net_plan_new(ctx, 1, NULL, SEED, NULL, &plan, err);
    assert_true((rc == TL_OK) == (plan != NULL));
    net_plan_free(plan);
    return rc;
}

static void a_plan_without_memory_fails_cleanly_wherever_it_runs_out(void **state)
{
    (void)state;
    static struct network net;
    odd_network(&net, 9);
    assert_true(alloc_fail_each(plan_and_free, &net) >= 6);
}

static void a_plan_reports_the_memory_of_its_weights_and_maps(void **state)
{
    (void)state;
    static struct network net;
    struct net_cost cost;
    family_network(&net, 128, 0, 2);
    net_cost_total(&net, &cost);
    struct net_plan *plan = plan_new(&net, 1, NULL);
    assert_true(net_plan_bytes(plan) > cost.size_bytes * 9 / 10 + cost.peak_memory_bytes / 2);
    assert_true(net_plan_bytes(plan) < 2 * (cost.size_bytes + 2 * cost.peak_memory_bytes));
    net_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_of_the_family_equals_its_twin),
        cmocka_unit_test(every_block_cut_out_equals_its_twin),
        cmocka_unit_test(odd_lists_and_batches_equal_their_twin),
        cmocka_unit_test(bottlenecks_equal_their_twin),
        cmocka_unit_test(lists_of_one_operator_equal_their_twin),
        cmocka_unit_test(results_are_the_same_bits_for_every_pool_and_run),
        cmocka_unit_test(the_largest_network_stays_of_order_one),
        cmocka_unit_test(lists_that_are_no_network_or_too_large_are_refused),
        cmocka_unit_test(a_plan_without_memory_fails_cleanly_wherever_it_runs_out),
        cmocka_unit_test(a_plan_reports_the_memory_of_its_weights_and_maps),
    };
    const int missing = isa_missing();
    return missing != 0 ? missing : cmocka_run_group_tests(tests, NULL, NULL);
}
