/* build.c - see build.h. Threads: a builder and its network belong to one thread. */
#include "supernet/build.h"

#include <assert.h>

struct net_builder net_builder_make(struct network *net, unsigned resolution)
{
    net->n_ops = 0;
    net->n_blocks = 0;
    net->resolution = (uint16_t)resolution;
    return (struct net_builder){.net = net, .h = (uint16_t)resolution, .w = (uint16_t)resolution, .c = 3};
}

void net_add_block(struct net_builder *builder, int stage, int slot)
{
    struct network *net = builder->net;

    assert(net->n_blocks < NET_BLOCKS_MAX);
    net->blocks[net->n_blocks++] =
        (struct net_block){.first_op = net->n_ops, .stage = (int8_t)stage, .slot = (int8_t)slot};
}

/* Append an operator that leaves the map as it is; the callers below change what is different. */
static struct net_op *add_op(struct net_builder *builder, enum net_op_kind kind)
{
    struct network *net = builder->net;
    struct net_op *op = &net->ops[net->n_ops];

    assert(net->n_ops < NET_OPS_MAX && net->n_blocks > 0);
    *op = (struct net_op){.kind = kind,
                          .kernel = 1,
                          .stride = 1,
                          .h_in = builder->h,
                          .w_in = builder->w,
                          .ci = builder->c,
                          .h_out = builder->h,
                          .w_out = builder->w,
                          .co = builder->c,
                          .skip_from = -1,
                          .block = (int16_t)(net->n_blocks - 1)};
    net->n_ops++;
    net->blocks[net->n_blocks - 1].n_ops++;
    return op;
}

static struct net_op *add_sliding(struct net_builder *builder, enum net_op_kind kind, unsigned width, unsigned kernel,
                                  unsigned stride)
{
    struct net_op *op = add_op(builder, kind);

    op->kernel = (uint16_t)kernel;
    op->stride = (uint16_t)stride;
    op->h_out = (uint16_t)((op->h_in - 1U) / stride + 1);
    op->w_out = (uint16_t)((op->w_in - 1U) / stride + 1);
    op->co = (uint16_t)width;
    builder->h = op->h_out;
    builder->w = op->w_out;
    builder->c = op->co;
    return op;
}

void net_add_conv(struct net_builder *builder, unsigned width, unsigned kernel, unsigned stride, enum net_act act,
                  bool batch_norm)
{
    struct net_op *op = add_sliding(builder, NET_CONV, width, kernel, stride);

    op->act = act;
    op->batch_norm = batch_norm;
}

void net_add_inverted(struct net_builder *builder, const struct net_inverted *block)
{
    const uint16_t first = builder->net->n_ops;

    if (block->expands) {
        net_add_conv(builder, block->mid, 1, 1, block->act, true);
    }
    struct net_op *depthwise = add_sliding(builder, NET_DEPTHWISE, block->mid, block->kernel, block->stride);
    depthwise->act = block->act;
    depthwise->batch_norm = true;
    if (block->se) {
        net_add_se(builder);
    }
    net_add_conv(builder, block->width, 1, 1, NET_ACT_NONE, true);
    if (block->residual) {
        net_add_residual(builder, first, NET_ACT_NONE);
    }
}

void net_add_se(struct net_builder *builder)
{
    const unsigned quarter = builder->c / 4U; /* whole quarters, as published */

    add_op(builder, NET_SE)->hidden = (uint16_t)net_divisible(quarter);
}

void net_add_residual(struct net_builder *builder, unsigned first, enum net_act act)
{
    struct net_op *op = add_op(builder, NET_ADD);

    op->skip_from = (int16_t)first;
    op->act = act;
}

void net_add_bottleneck(struct net_builder *builder, const struct net_bottleneck *block)
{
    const uint16_t first = builder->net->n_ops;
    const uint16_t c = builder->c;

    net_add_conv(builder, block->mid, 1, 1, block->act, true);
    net_add_conv(builder, block->mid, block->kernel, block->stride, block->act, true);
    net_add_conv(builder, block->width, 1, 1, NET_ACT_NONE, true);
    if (block->stride == 1 && c == block->width) {
        net_add_residual(builder, first, block->act);
        return;
    }
    struct net_op *project = add_op(builder, NET_PROJECT);
    project->skip_from = (int16_t)first;
    project->hidden = c;
    project->stride = (uint16_t)block->stride;
    project->batch_norm = true;
    project->act = block->act;
}

void net_add_max_pool(struct net_builder *builder)
{
    (void)add_sliding(builder, NET_MAX_POOL, builder->c, 3, 2);
}

void net_add_pool(struct net_builder *builder)
{
    struct net_op *op = add_op(builder, NET_POOL);

    op->h_out = 1;
    op->w_out = 1;
    builder->h = 1;
    builder->w = 1;
}

void net_add_linear(struct net_builder *builder, unsigned width, bool bias)
{
    struct net_op *op = add_op(builder, NET_LINEAR);

    op->bias = bias;
    op->co = (uint16_t)width;
    builder->c = op->co;
}

unsigned net_divisible(double v)
{
    const unsigned nearest = (unsigned)(v + 4) / 8 * 8;
    const unsigned n = nearest < 8 ? 8 : nearest;

    return n < 0.9 * v ? n + 8 : n;
}
