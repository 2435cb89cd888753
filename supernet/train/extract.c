/* extract.c - a sub-network's own parameters out of a supernet. */
#include "supernet/train/train.h"

#include <string.h>

static void copy(float *to, const float *from, size_t at, size_t n)
{
    if (to != NULL && at != SUPERNET_NONE) {
        memcpy(to, from + at, n * sizeof *to);
    }
}

/* The first `co` outputs of a layer, each cut to its first inputs: at every tap the first channels. */
static void cut_weights(const float *from, size_t from_inputs, const struct net_op *op, struct net_layer *to)
{
    const size_t taps = (size_t)op->kernel * op->kernel, ci = to->inputs / taps, from_ci = from_inputs / taps;
    for (size_t o = 0; o < to->co; o++) {
        for (size_t t = 0; t < taps; t++) {
            memcpy(to->w + o * to->inputs + t * ci, from + o * from_inputs + t * from_ci, ci * sizeof *to->w);
        }
    }
}

static void extract_layer(const struct supernet *net, const struct supernet_layer *from, const struct net_op *op,
                          const float *stats, struct net_layer *to)
{
    if (op->kind == NET_DEPTHWISE) {
        supernet_kernel(net, from, op->kernel, to->co, to->w);
    } else {
        cut_weights(net->params + from->w, from->inputs, op, to);
    }
    copy(to->bias, net->params, from->bias, to->co);
    copy(to->gamma, net->params, from->gamma, to->co);
    copy(to->beta, net->params, from->beta, to->co);
    copy(to->mean, stats, from->mean, to->co);
    copy(to->variance, stats, from->variance, to->co);
}

enum tl_rc supernet_extract(const struct supernet *net, const struct network *sub, const float *stats,
                            struct net_params *ret_params, struct tl_err *err)
{
    const enum tl_rc rc = net_params_init(ret_params, sub, net->family.bn_eps, err);
    for (size_t i = 0; rc == TL_OK && i < sub->n_ops; i++) {
        const struct supernet_layer *from = net->layers[supernet_op(net, sub, i)];
        for (size_t l = 0; l < NET_LAYERS_MAX; l++) {
            if (ret_params->layers[i][l].co > 0) {
                extract_layer(net, &from[l], &sub->ops[i], stats, &ret_params->layers[i][l]);
            }
        }
    }
    return rc;
}
