/* params.c - the parameters of a network: their sizes, memory and names, and batch norm folded away.
 *
 * Threads: parameters belong to one thread while they are filled, and are shared freely afterwards.
 */
#include "supernet/network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct net_layer net_layer_of(const struct net_op *op, unsigned layer)
{
    const size_t taps = (size_t)op->kernel * op->kernel;

    switch (op->kind) {
    case NET_CONV:
    case NET_LINEAR:
        return layer == 0 ? (struct net_layer){.co = op->co, .inputs = taps * op->ci} : (struct net_layer){0};
    case NET_DEPTHWISE:
        return layer == 0 ? (struct net_layer){.co = op->co, .inputs = taps} : (struct net_layer){0};
    case NET_SE:
        return layer == 0 ? (struct net_layer){.co = op->hidden, .inputs = op->ci}
                          : (struct net_layer){.co = op->co, .inputs = op->hidden};
    case NET_PROJECT:
        return layer == 0 ? (struct net_layer){.co = op->co, .inputs = op->hidden} : (struct net_layer){0};
    case NET_ADD:
    case NET_POOL:
    case NET_MAX_POOL:
    case NET_OP_KIND_COUNT:
        break;
    }
    return (struct net_layer){0};
}

static bool has_bias(const struct net_op *op)
{
    return op->bias || op->kind == NET_SE;
}

static size_t room(size_t floats)
{
    return tl_arena_room(floats * sizeof(float));
}

static size_t layer_room(const struct net_op *op, unsigned which)
{
    const struct net_layer layer = net_layer_of(op, which);
    return room(layer.co * layer.inputs) + (has_bias(op) ? room(layer.co) : 0) +
           (op->batch_norm ? 4 * room(layer.co) : 0);
}

static float *take(struct net_params *params, size_t floats)
{
    return tl_arena_take(&params->arena, floats * sizeof(float));
}

static void place(struct net_params *params, const struct net_op *op, size_t i, unsigned which)
{
    struct net_layer *layer = &params->layers[i][which];

    *layer = net_layer_of(op, which);
    if (layer->co == 0) {
        return;
    }
    layer->w = take(params, layer->co * layer->inputs);
    layer->bias = has_bias(op) ? take(params, layer->co) : NULL;
    if (op->batch_norm) {
        layer->gamma = take(params, layer->co);
        layer->beta = take(params, layer->co);
        layer->mean = take(params, layer->co);
        layer->variance = take(params, layer->co);
    }
}

enum tl_rc net_params_init(struct net_params *params, const struct network *net, float bn_eps, struct tl_err *err)
{
    struct tl_arena arena = {0};
    size_t bytes = 0;

    for (size_t i = 0; i < net->n_ops; i++) {
        bytes += layer_room(&net->ops[i], 0) + layer_room(&net->ops[i], 1);
    }
    const enum tl_rc rc = tl_arena_init(&arena, bytes + 1, err);
    if (rc) {
        return rc;
    }
    *params = (struct net_params){.bn_eps = bn_eps, .arena = arena};
    for (size_t i = 0; i < net->n_ops; i++) {
        place(params, &net->ops[i], i, 0);
        place(params, &net->ops[i], i, 1);
    }
    return TL_OK;
}

void net_params_done(struct net_params *params)
{
    tl_arena_done(&params->arena);
    memset(params, 0, sizeof *params);
}

void net_layer_fold(const struct net_layer *layer, float bn_eps, float *restrict w, float *restrict bias)
{
    for (size_t o = 0; o < layer->co; o++) {
        float scale = 1.0F, shift = layer->bias ? layer->bias[o] : 0.0F;
        if (layer->gamma) {
            scale = layer->gamma[o] / sqrtf(layer->variance[o] + bn_eps);
            shift = layer->beta[o] + (shift - layer->mean[o]) * scale;
        }
        for (size_t i = 0; i < layer->inputs; i++) {
            w[o * layer->inputs + i] = layer->w[o * layer->inputs + i] * scale;
        }
        bias[o] = shift;
    }
}

/* ---- names --------------------------------------------------------------------------------------------------- */

/* Whether a convolution before operator `op` of its block has the same kind: an expansion before a projection. */
static bool follows_depthwise(const struct network *net, size_t op)
{
    for (size_t i = net->blocks[net->ops[op].block].first_op; i < op; i++) {
        if (net->ops[i].kind == NET_DEPTHWISE) {
            return true;
        }
    }
    return false;
}

static bool has_depthwise(const struct network *net, const struct net_block *block)
{
    for (size_t i = block->first_op; i < (size_t)block->first_op + block->n_ops; i++) {
        if (net->ops[i].kind == NET_DEPTHWISE) {
            return true;
        }
    }
    return false;
}

/* What the operator is within an inverted residual block. */
static const char *role(const struct network *net, size_t op, unsigned layer)
{
    switch (net->ops[op].kind) {
    case NET_CONV:
        return follows_depthwise(net, op) ? "project" : "expand";
    case NET_DEPTHWISE:
        return "depthwise";
    case NET_SE:
        return layer == 0 ? "se.reduce" : "se.expand";
    case NET_ADD:
        return "add";
    case NET_POOL:
    case NET_MAX_POOL:
        return "pool";
    case NET_PROJECT:
        return "shortcut";
    case NET_LINEAR:
    case NET_OP_KIND_COUNT:
        break;
    }
    return "linear";
}

/* The same in the head: final before the pool, feature behind it. */
static const char *head_role(const struct network *net, size_t op)
{
    const struct net_op *of = &net->ops[op];

    switch (of->kind) {
    case NET_LINEAR:
        return "classifier";
    case NET_POOL:
        return "pool";
    case NET_CONV:
    case NET_DEPTHWISE:
    case NET_SE:
    case NET_ADD:
    case NET_MAX_POOL:
    case NET_PROJECT:
    case NET_OP_KIND_COUNT:
        break;
    }
    return of->batch_norm ? "final" : "feature";
}

/* The number of a convolution among those of its block, from 1; how many there are into *ret_n. */
static unsigned conv_number(const struct network *net, size_t op, unsigned *ret_n)
{
    const struct net_block *block = &net->blocks[net->ops[op].block];
    unsigned number = 0;

    *ret_n = 0;
    for (size_t i = block->first_op; i < (size_t)block->first_op + block->n_ops; i++) {
        *ret_n += net->ops[i].kind == NET_CONV;
        number += net->ops[i].kind == NET_CONV && i <= op;
    }
    return number;
}

/* A part of a block without a depthwise layer: "conv1" .. of a bottleneck, "conv" where it is the whole block. */
static void plain_name(const struct network *net, size_t op, unsigned layer, const char *block,
                       char ret_name[NET_NAME_MAX])
{
    unsigned n = 0;
    const unsigned number = conv_number(net, op, &n);

    if (net->ops[op].kind != NET_CONV) {
        (void)snprintf(ret_name, NET_NAME_MAX, "%s.%s", block, role(net, op, layer));
    } else if (n > 1) {
        (void)snprintf(ret_name, NET_NAME_MAX, "%s.conv%u", block, number);
    } else {
        (void)snprintf(ret_name, NET_NAME_MAX, "%s.conv", block);
    }
}

/* The stem is one convolution, or, of a deep one, blocks of its own: stem, stem2, stem3. */
static void stem_name(const struct network *net, size_t op, char ret_name[NET_NAME_MAX])
{
    const int block = net->ops[op].block;
    char name[32] = "stem";

    if (block > 0) {
        (void)snprintf(name, sizeof name, "stem%d", block + 1);
    }
    if (net->ops[op].kind == NET_CONV) {
        (void)snprintf(ret_name, NET_NAME_MAX, "%s", name);
    } else {
        plain_name(net, op, 0, name, ret_name);
    }
}

void net_layer_name(const struct network *net, size_t op, unsigned layer, char ret_name[NET_NAME_MAX])
{
    const struct net_block *block = &net->blocks[net->ops[op].block];
    const bool inverted = has_depthwise(net, block);

    if (block->slot >= 0) {
        char name[32];
        (void)snprintf(name, sizeof name, "s%d.b%d", block->stage + 1, block->slot + 1);
        if (inverted) {
            (void)snprintf(ret_name, NET_NAME_MAX, "%s.%s", name, role(net, op, layer));
        } else {
            plain_name(net, op, layer, name, ret_name);
        }
    } else if (block->stage >= 0) {
        (void)snprintf(ret_name, NET_NAME_MAX, "head.%s", head_role(net, op));
    } else if (inverted) {
        (void)snprintf(ret_name, NET_NAME_MAX, "first.%s", role(net, op, layer));
    } else {
        stem_name(net, op, ret_name);
    }
}
