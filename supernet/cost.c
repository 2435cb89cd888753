/* cost.c - what operators cost: MACs, parameters, live activations.
 *
 * One idea: a cost is a sum (memory: a maximum) over the operator list, so that what is counted is what runs.
 * Threads: pure functions.
 */
#include "supernet/network.h"

/* Squeeze-and-excitation is counted at 1x1: its two layers see one pixel. The scaling itself is free, like all
 * elementwise work. */
uint64_t net_op_macs(const struct net_op *op)
{
    const uint64_t taps = (uint64_t)op->kernel * op->kernel;
    const uint64_t pixels = (uint64_t)op->h_out * op->w_out;

    switch (op->kind) {
    case NET_CONV:
        return taps * op->ci * op->co * pixels;
    case NET_DEPTHWISE:
        return taps * op->co * pixels;
    case NET_SE:
        return 2 * (uint64_t)op->ci * op->hidden;
    case NET_LINEAR:
        return (uint64_t)op->ci * op->co;
    case NET_PROJECT:
        return (uint64_t)op->hidden * op->co * pixels;
    case NET_ADD:
    case NET_POOL:
    case NET_MAX_POOL:
    case NET_OP_KIND_COUNT:
        break;
    }
    return 0;
}

uint64_t net_op_params(const struct net_op *op)
{
    const uint64_t taps = (uint64_t)op->kernel * op->kernel;
    const uint64_t channel = (op->batch_norm ? 2U : 0U) + (op->bias ? 1U : 0U);

    switch (op->kind) {
    case NET_CONV:
        return taps * op->ci * op->co + channel * op->co;
    case NET_DEPTHWISE:
        return taps * op->co + channel * op->co;
    case NET_SE:
        return 2 * (uint64_t)op->ci * op->hidden + op->hidden + op->ci;
    case NET_LINEAR:
        return (uint64_t)op->ci * op->co + channel * op->co;
    case NET_PROJECT:
        return (uint64_t)op->hidden * op->co + channel * op->co;
    case NET_ADD:
    case NET_POOL:
    case NET_MAX_POOL:
    case NET_OP_KIND_COUNT:
        break;
    }
    return 0;
}

static uint64_t input_floats(const struct net_op *op)
{
    return (uint64_t)op->h_in * op->w_in * op->ci;
}

static bool is_residual(const struct net_op *op)
{
    return op->kind == NET_ADD || op->kind == NET_PROJECT;
}

/* Input and output of one operator; one buffer where it works in place, with the averaged map of a projection. */
static uint64_t own_floats(const struct net_op *op)
{
    if (op->kind == NET_PROJECT && op->stride > 1) {
        return input_floats(op) + (uint64_t)op->h_in * op->w_in * op->hidden;
    }
    if (op->kind == NET_SE || is_residual(op)) {
        return input_floats(op);
    }
    return input_floats(op) + (uint64_t)op->h_out * op->w_out * op->co;
}

/* Walks back from the end of the network, so that the walk meets a residual before the operators over which the added
 * block input has to stay. Blocks hold at most one such input at a time: each adds the input of its first operator. */
static uint64_t peak_floats(const struct network *net, size_t first, size_t n)
{
    uint64_t peak = 0;
    int kept = -1; /* the operator whose input is kept for a residual at or behind this one; -1: none */

    for (int i = net->n_ops - 1; i >= (int)first; i--) {
        const struct net_op *op = &net->ops[i];
        if (is_residual(op)) {
            kept = op->skip_from;
        }
        if (i == kept) { /* here the kept tensor is the operator's own input */
            kept = -1;
        }
        const uint64_t live = own_floats(op) + (kept >= 0 ? input_floats(&net->ops[kept]) : 0);
        if ((size_t)i < first + n && live > peak) {
            peak = live;
        }
    }
    return peak;
}

void net_cost_of(const struct network *net, size_t first, size_t n, struct net_cost *ret_cost)
{
    struct net_cost cost = {0};

    for (size_t i = first; i < first + n; i++) {
        cost.macs += net_op_macs(&net->ops[i]);
        cost.params += net_op_params(&net->ops[i]);
    }
    cost.size_bytes = cost.params * sizeof(float);
    cost.peak_memory_bytes = peak_floats(net, first, n) * sizeof(float);
    *ret_cost = cost;
}

void net_cost_total(const struct network *net, struct net_cost *ret_cost)
{
    net_cost_of(net, 0, net->n_ops, ret_cost);
}
