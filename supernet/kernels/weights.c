/* weights.c - seeded random weights, and weights laid out for the kernels. */
#include "supernet/kernels/kernel.h"
#include "supernet/kernels/kernels.h"

#include <math.h>

/* Taps along one axis that fall inside the map, averaged over the outputs: small maps are mostly border. */
static double taps_inside(size_t in, size_t out, size_t kernel, size_t stride)
{
    size_t sum = 0;
    for (size_t o = 0; o < out; o++) {
        for (size_t tap = 0; tap < kernel; tap++) {
            const size_t moved = o * stride + tap;
            sum += moved >= kernel / 2 && moved - kernel / 2 < in;
        }
    }
    return (double)sum / (double)out;
}

/* Variance of a sum of inputs for which its activation has second moment 1. */
static double gain(enum net_act act)
{
    switch (act) {
    case NET_ACT_RELU:
    case NET_ACT_RELU6:
        return 2.0;
    case NET_ACT_HSWISH:
        return 2.456; /* E[hswish(z)^2] = 1 for z ~ N(0, 2.456), integrated numerically */
    case NET_ACT_NONE:
    case NET_ACT_COUNT:
        break;
    }
    return 1.0;
}

static void fill(float *to, size_t n, double mean, double deviation, struct tl_rng *rng)
{
    const double side = sqrt(12.0) * deviation; /* uniform of this width has this deviation */
    for (size_t i = 0; i < n; i++) {
        to[i] = (float)(mean + side * (tl_rng_unit(rng) - 0.5));
    }
}

/* Variance that the sums of a layer shall have. A branch that is added to its block's input stays small beside it, or
 * every residual would double what passes. */
static double variance_of(const struct network *net, size_t op)
{
    const enum net_op_kind next = op + 1U < net->n_ops ? net->ops[op + 1].kind : NET_OP_KIND_COUNT;
    const bool residual = next == NET_ADD || next == NET_PROJECT;
    return residual ? 0.1 : gain(net->ops[op].act);
}

void k_weights_draw(float *w, float *bias, const struct network *net, size_t op, unsigned layer, uint64_t seed)
{
    const struct net_op *of = &net->ops[op];
    const struct net_layer shape = net_layer_of(of, layer);
    const bool se = of->kind == NET_SE;
    double inputs = (double)shape.inputs;
    if (!se && of->kernel > 1) {
        inputs *= taps_inside(of->h_in, of->h_out, of->kernel, of->stride) / of->kernel;
        inputs *= taps_inside(of->w_in, of->w_out, of->kernel, of->stride) / of->kernel;
    }
    struct tl_rng rng;
    tl_rng_init(&rng, seed, op, layer);
    fill(w, shape.co * shape.inputs, 0.0, sqrt(variance_of(net, op) / inputs), &rng);
    /* Biases keep a signal alive that the weights happen to lose; gates stand open, or each would halve what passes. */
    const bool has_bias = se || of->bias || of->batch_norm;
    if (bias != NULL) {
        fill(bias, shape.co, se && layer == 1 ? 3.0 : 0.0, has_bias ? 0.1 : 0.0, &rng);
    }
}

void net_params_draw(struct net_params *params, const struct network *net, uint64_t seed)
{
    params->bn_eps = 0;
    for (size_t op = 0; op < net->n_ops; op++) {
        for (unsigned which = 0; which < NET_LAYERS_MAX; which++) {
            const struct net_layer *layer = &params->layers[op][which];
            if (layer->co == 0) {
                continue;
            }
            k_weights_draw(layer->w, layer->gamma != NULL ? layer->beta : layer->bias, net, op, which, seed);
            for (size_t o = 0; layer->gamma != NULL && o < layer->co; o++) {
                layer->gamma[o] = layer->variance[o] = 1.0F;
            }
        }
    }
}

void k_pack_conv(float *restrict packed, const float *restrict w, struct net_layer layer, size_t lanes)
{
    const size_t vectors = (layer.co + lanes - 1) / lanes;
    for (size_t v = 0, nv; v < vectors; v += nv) {
        nv = k_panel(vectors - v);
        float *panel = packed + v * lanes * layer.inputs;
        for (size_t o = 0; o < nv * lanes && v * lanes + o < layer.co; o++) {
            for (size_t i = 0; i < layer.inputs; i++) {
                panel[i * nv * lanes + o] = w[(v * lanes + o) * layer.inputs + i];
            }
        }
    }
}

void k_pack_depthwise(float *restrict packed, const float *restrict w, struct net_layer layer, size_t lanes)
{
    for (size_t c = 0; c < layer.co; c++) {
        for (size_t i = 0; i < layer.inputs; i++) {
            packed[(c / lanes * layer.inputs + i) * lanes + c % lanes] = w[c * layer.inputs + i];
        }
    }
}
