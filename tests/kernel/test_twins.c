/* Every fast kernel against its plain twin: sizes of 1 and sizes that do not fill vectors, strides, borders, parts. */
#include "supernet/kernels/kernel.h"
#include "tests/kernel/isa.h"

#include <cmocka.h>
#include <math.h>

static const double LIMIT = 1e-11; /* normalised squared error; float sums of a few thousand terms stay below 1e-12 */

enum { SEED = 7 };

/* A tensor with memory of its own. */
struct tensor {
    struct k_shape shape;
    float *memory; /* owned */
    float *data;
};

static void tensor_done(struct tensor *tensor)
{
    free(tensor->memory);
}

#define AUTO(type) __attribute__((cleanup(type##_done))) struct type

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Pixels random, halo zero, padding between the channels and the vector's end a large number that no result may show. */
static struct tensor tensor_new(size_t nb, size_t h, size_t w, size_t c, size_t halo, size_t lanes, uint64_t seed)
{
    struct tensor tensor = {.shape = {.nb = nb, .h = h, .w = w, .c = c, .ld = round_up(c, lanes), .halo = halo}};
    struct k_shape *shape = &tensor.shape;
    shape->row = (w + halo) * shape->ld;
    tensor.memory = calloc(halo * shape->ld + nb * h * shape->row, sizeof(float));
    assert_non_null(tensor.memory);
    tensor.data = tensor.memory + halo * shape->ld;
    struct tl_rng rng;
    tl_rng_init(&rng, SEED, seed, 0);
    for (size_t p = 0; p < nb * h * w; p++) {
        for (size_t i = 0; i < shape->ld; i++) {
            const float value = (float)tl_rng_normal(&rng);
            tensor.data[k_at(shape, 0, p / w, p % w) + i] = i < c ? value : 1e6F;
        }
    }
    return tensor;
}

/* Sum of squared differences over sum of squares, over the channels that exist. */
static double error_of(const struct tensor *y, const struct tensor *ref)
{
    const struct k_shape *shape = &y->shape;
    double difference = 0, size = 1e-30;
    for (size_t p = 0; p < shape->nb * shape->h * shape->w; p++) {
        for (size_t c = 0; c < shape->c; c++) {
            const double a = (double)y->data[k_at(shape, 0, p / shape->w, p % shape->w) + c];
            const double b = (double)ref->data[k_at(&ref->shape, 0, p / shape->w, p % shape->w) + c];
            difference += (a - b) * (a - b);
            size += b * b;
        }
    }
    return difference / size;
}

static bool same_bits(const struct tensor *a, const struct tensor *b)
{
    for (size_t p = 0; p < a->shape.nb * a->shape.h * a->shape.w; p++) {
        const size_t at = k_at(&a->shape, 0, p / a->shape.w, p % a->shape.w);
        if (memcmp(a->data + at, b->data + at, a->shape.c * sizeof(float)) != 0) {
            return false;
        }
    }
    return true;
}

/* The halo must be as it was: zeros. */
static bool halo_untouched(const struct tensor *tensor)
{
    const struct k_shape *shape = &tensor->shape;
    for (size_t row = 0; row < shape->nb * shape->h; row++) {
        for (size_t i = 0; i < shape->halo * shape->ld; i++) {
            if (tensor->data[row * shape->row + shape->w * shape->ld + i] != 0.0F) {
                return false;
            }
        }
    }
    return true;
}

/* Weights of an operator, drawn and packed. */
struct weights {
    struct network net;
    float *drawn, *packed, *bias; /* owned */
};

static void weights_done(struct weights *weights)
{
    free(weights->drawn);
    free(weights->packed);
    free(weights->bias);
}

static void weights_init(struct weights *weights, enum net_op_kind kind, size_t ci, size_t co, size_t kernel,
                         size_t lanes)
{
    weights->net.n_ops = 1;
    weights->net.ops[0] = (struct net_op){
        .kind = kind,
        .bias = true,
        .kernel = (uint16_t)kernel,
        .stride = 1,
        .h_in = 9,
        .w_in = 9,
        .h_out = 9,
        .w_out = 9,
        .ci = (uint16_t)ci,
        .co = (uint16_t)co,
    };
    const struct net_layer layer = net_layer_of(&weights->net.ops[0], 0);
    weights->drawn = calloc(layer.co * layer.inputs, sizeof(float));
    weights->packed = calloc(round_up(layer.co, lanes) * layer.inputs, sizeof(float));
    weights->bias = calloc(round_up(layer.co, lanes), sizeof(float));
    assert_true(weights->drawn != NULL && weights->packed != NULL && weights->bias != NULL);
    k_weights_draw(weights->drawn, weights->bias, &weights->net, 0, 0, SEED);
    (kind == NET_CONV ? k_pack_conv : k_pack_depthwise)(weights->packed, weights->drawn, layer, lanes);
}

static size_t out_side(size_t in, size_t stride)
{
    return (in - 1) / stride + 1;
}

/* ---- convolution ----------------------------------------------------------------------------------------------- */

struct conv_case {
    size_t nb, h, w, ci, co, kernel, stride, halo_out;
    enum k_act act;
    bool residual, dense_input;
};

static const struct conv_case conv_cases[] = {
    {1, 1, 1, 1, 1, 1, 1, 0, K_NONE, false, false},       {1, 1, 1, 1280, 1000, 1, 1, 0, K_NONE, false, false},
    {1, 1, 1, 13, 40, 1, 1, 0, K_HSIGMOID, false, false}, {3, 1, 1, 72, 24, 1, 1, 0, K_RELU, false, false},
    {1, 7, 7, 160, 96, 1, 1, 2, K_HSWISH, false, false},  {1, 7, 7, 96, 40, 1, 1, 0, K_NONE, true, false},
    {1, 14, 14, 80, 24, 1, 1, 3, K_RELU, true, false},    {1, 5, 3, 3, 13, 1, 1, 1, K_RELU6, false, true},
    {2, 5, 5, 16, 72, 1, 1, 1, K_RELU, false, false},     {1, 9, 11, 17, 8, 1, 2, 0, K_RELU, false, false},
    {1, 28, 28, 3, 16, 3, 2, 0, K_HSWISH, false, true},   {1, 27, 29, 3, 16, 3, 2, 1, K_HSWISH, false, true},
    {2, 9, 9, 5, 24, 5, 1, 0, K_RELU6, true, false},      {1, 8, 1, 8, 8, 7, 1, 0, K_NONE, false, false},
    {1, 1, 40, 4, 100, 3, 1, 0, K_NONE, false, false},    {2, 6, 6, 16, 16, 7, 2, 0, K_NONE, false, true},
};

/* Run the case in parts: rows or pixels in `parts` tiles, each panel alone. */
static void conv_in_parts(const struct k_table *k, const struct k_conv *op, size_t parts)
{
    const struct k_shape *to = op->y_shape;
    const bool flat = k_flat(op->kernel, op->stride);
    const size_t rows = to->nb * to->h, units = flat ? rows * to->w : rows;
    for (size_t i = 0; i < parts; i++) {
        const struct k_range part = {units * i / parts, units * (i + 1) / parts};
        for (size_t v = 0, nv; v < op->vectors; v += nv) {
            nv = k_panel(op->vectors - v);
            k->conv(op, flat ? (struct k_range){0, 1} : part, flat ? part : (struct k_range){0, to->w},
                    (struct k_range){v, v + nv});
        }
    }
}

static void check_conv(const struct k_table *k, const struct conv_case *c)
{
    const size_t ho = out_side(c->h, c->stride), wo = out_side(c->w, c->stride);
    AUTO(tensor) x = tensor_new(c->nb, c->h, c->w, c->ci, c->kernel / 2, c->dense_input ? 1 : k->lanes, 1);
    AUTO(tensor) r = tensor_new(c->nb, ho, wo, c->co, 2, k->lanes, 2);
    AUTO(tensor) y = tensor_new(c->nb, ho, wo, c->co, c->halo_out, k->lanes, 3);
    AUTO(tensor) parts = tensor_new(c->nb, ho, wo, c->co, c->halo_out, k->lanes, 4);
    AUTO(tensor) ref = tensor_new(c->nb, ho, wo, c->co, 0, 1, 5);
    AUTO(weights) w = {0};
    weights_init(&w, NET_CONV, c->ci, c->co, c->kernel, k->lanes);
    struct k_conv op = {
        .y = y.data,
        .x = x.data,
        .residual = c->residual ? r.data : NULL,
        .y_shape = &y.shape,
        .x_shape = &x.shape,
        .residual_shape = &r.shape,
        .w = w.packed,
        .bias = w.bias,
        .vectors = round_up(c->co, k->lanes) / k->lanes,
        .kernel = c->kernel,
        .stride = c->stride,
        .act = c->act,
    };
    conv_in_parts(k, &op, 1);
    k_conv_ref(ref.data, &ref.shape, x.data, &x.shape, op.residual, &r.shape, w.drawn, w.bias, c->kernel, c->stride,
               c->act);
    assert_true(error_of(&y, &ref) < LIMIT);
    assert_true(halo_untouched(&y));

    op.y = parts.data; /* cut as the runtime cuts: never down to single pixels, which are summed in another order */
    conv_in_parts(k, &op, ho > 3 ? 3 : 1);
    assert_true(same_bits(&y, &parts));
}

static void convolutions_equal_their_twin_whole_and_in_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(conv_cases); i++) {
        check_conv(k_table_best(), &conv_cases[i]);
    }
}

static void blocks_of_every_width_equal_their_twin(void **state)
{
    (void)state;
    for (size_t w = 1; w <= 30; w++) {
        for (size_t co = 8; co <= 56; co += 16) {
            const struct conv_case c = {.nb = 1, .h = 1, .w = w, .ci = 10, .co = co, .kernel = 1, .stride = 1};
            check_conv(k_table_best(), &c);
        }
    }
}

/* ---- depthwise ------------------------------------------------------------------------------------------------- */

struct depthwise_case {
    size_t nb, h, w, c, kernel, stride, halo_out;
    enum k_act act;
};

static void check_depthwise(const struct k_table *k, const struct depthwise_case *c)
{
    const size_t ho = out_side(c->h, c->stride), wo = out_side(c->w, c->stride);
    AUTO(tensor) x = tensor_new(c->nb, c->h, c->w, c->c, c->kernel / 2, k->lanes, 1);
    AUTO(tensor) y = tensor_new(c->nb, ho, wo, c->c, c->halo_out, k->lanes, 3);
    AUTO(tensor) parts = tensor_new(c->nb, ho, wo, c->c, c->halo_out, k->lanes, 4);
    AUTO(tensor) ref = tensor_new(c->nb, ho, wo, c->c, 0, 1, 5);
    AUTO(weights) w = {0};
    weights_init(&w, NET_DEPTHWISE, c->c, c->c, c->kernel, k->lanes);
    struct k_depthwise op = {
        .y = y.data,
        .x = x.data,
        .y_shape = &y.shape,
        .x_shape = &x.shape,
        .w = w.packed,
        .bias = w.bias,
        .kernel = c->kernel,
        .stride = c->stride,
        .act = c->act,
    };
    const size_t rows = c->nb * ho, vectors = round_up(c->c, k->lanes) / k->lanes;
    k->depthwise(&op, (struct k_range){0, rows}, (struct k_range){0, vectors});
    k_depthwise_ref(ref.data, &ref.shape, x.data, &x.shape, w.drawn, w.bias, c->kernel, c->stride, c->act);
    assert_true(error_of(&y, &ref) < LIMIT);
    assert_true(halo_untouched(&y));

    op.y = parts.data;
    for (size_t row = 0; row < rows; row++) {
        for (size_t v = 0; v < vectors; v++) {
            k->depthwise(&op, (struct k_range){row, row + 1}, (struct k_range){v, v + 1});
        }
    }
    assert_true(same_bits(&y, &parts));
}

static void depthwise_equals_its_twin_for_every_width_kernel_and_stride(void **state)
{
    (void)state;
    for (size_t kernel = 1; kernel <= 7; kernel += 2) {
        for (size_t stride = 1; stride <= 2; stride++) {
            for (size_t w = 1; w <= 18; w++) {
                const struct depthwise_case c = {
                    .nb = 1, .h = 4, .w = w, .c = 13, .kernel = kernel, .stride = stride, .act = K_RELU};
                check_depthwise(k_table_best(), &c);
            }
        }
    }
}

static void depthwise_equals_its_twin_for_every_height_and_in_batches(void **state)
{
    (void)state;
    for (size_t h = 1; h <= 19; h++) {
        const struct depthwise_case one = {1, h, 5, 40, 7, 1, 2, K_HSWISH}, two = {2, h, 3, 1, 5, 2, 0, K_RELU6};
        check_depthwise(k_table_best(), &one);
        check_depthwise(k_table_best(), &two);
    }
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

static void means_scaled_and_added_maps_equal_their_twins(void **state)
{
    (void)state;
    const struct k_table *k = k_table_best();
    static const size_t sizes[][4] = {{1, 1, 1, 1}, {1, 7, 7, 960}, {2, 5, 3, 13}, {3, 14, 2, 136}};
    for (size_t i = 0; i < TL_COUNT_OF(sizes); i++) {
        const size_t nb = sizes[i][0], h = sizes[i][1], w = sizes[i][2], c = sizes[i][3];
        const size_t vectors = round_up(c, k->lanes) / k->lanes;
        AUTO(tensor) x = tensor_new(nb, h, w, c, 1, k->lanes, 1);
        AUTO(tensor) other = tensor_new(nb, h, w, c, 0, k->lanes, 2);
        AUTO(tensor) y = tensor_new(nb, h, w, c, 3, k->lanes, 3);
        AUTO(tensor) ref = tensor_new(nb, h, w, c, 0, 1, 4);
        AUTO(tensor) mean = tensor_new(nb, 1, 1, c, 0, k->lanes, 5);
        AUTO(tensor) mean_ref = tensor_new(nb, 1, 1, c, 0, 1, 6);

        k->mean(mean.data, mean.shape.ld, x.data, &x.shape, (struct k_range){0, vectors});
        k_mean_ref(mean_ref.data, mean_ref.shape.ld, x.data, &x.shape);
        assert_true(error_of(&mean, &mean_ref) < LIMIT);

        k->scale(y.data, &y.shape, x.data, &x.shape, mean.data, mean.shape.ld, (struct k_range){0, nb * h});
        k_scale_ref(ref.data, &ref.shape, x.data, &x.shape, mean.data, mean.shape.ld);
        assert_true(error_of(&y, &ref) < LIMIT && halo_untouched(&y));

        k->add(y.data, &y.shape, x.data, &x.shape, other.data, &other.shape, (struct k_range){0, nb * h});
        k_add_ref(ref.data, &ref.shape, x.data, &x.shape, other.data, &other.shape);
        assert_true(error_of(&y, &ref) < LIMIT && halo_untouched(&y));

        k->add(x.data, &x.shape, x.data, &x.shape, other.data, &other.shape, (struct k_range){0, nb * h});
        assert_true(same_bits(&x, &x) && error_of(&x, &ref) < LIMIT); /* in place */
    }
}

static void activations_meet_their_definition_at_the_corners(void **state)
{
    (void)state;
    static const float at[] = {-4, -3, -1, 0, 1, 3, 7};
    static const float expected[K_ACT_COUNT][7] = {
        [K_NONE] = {-4, -3, -1, 0, 1, 3, 7},
        [K_RELU] = {0, 0, 0, 0, 1, 3, 7},
        [K_RELU6] = {0, 0, 0, 0, 1, 3, 6},
        [K_HSWISH] = {0, 0, -1.0F / 3, 0, 2.0F / 3, 3, 7},
        [K_HSIGMOID] = {0, 0, 1.0F / 3, 0.5F, 2.0F / 3, 1, 1},
    };
    for (unsigned act = 0; act < K_ACT_COUNT; act++) {
        for (size_t i = 0; i < TL_COUNT_OF(at); i++) {
            assert_true(fabsf(k_act_ref(at[i], (enum k_act)act) - expected[act][i]) < 1e-6F);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_equal_their_twin_whole_and_in_parts),
        cmocka_unit_test(blocks_of_every_width_equal_their_twin),
        cmocka_unit_test(depthwise_equals_its_twin_for_every_width_kernel_and_stride),
        cmocka_unit_test(depthwise_equals_its_twin_for_every_height_and_in_batches),
        cmocka_unit_test(means_scaled_and_added_maps_equal_their_twins),
        cmocka_unit_test(activations_meet_their_definition_at_the_corners),
    };
    const int missing = isa_missing();
    return missing != 0 ? missing : cmocka_run_group_tests(tests, NULL, NULL);
}
