/* check.c - is an operator list from outside a network at all?
 *
 * One idea: every rule answers with the sentence it would refuse with, or NULL; one place adds which operator it was.
 * Sizes are ranged before anything is multiplied, so no later sum can overflow: 512 operators of at most 7 x 7 x 8192 x
 * 8192 x 1024 x 1024 MACs stay below 2^61.
 * Threads: pure functions.
 */
#include "supernet/network.h"

#include <stdio.h>

enum { KERNEL_MAX = 7, STRIDE_MAX = 2 };

static bool in_range(unsigned value, unsigned max)
{
    return value >= 1 && value <= max;
}

static bool has_weights(enum net_op_kind kind)
{
    return kind == NET_CONV || kind == NET_DEPTHWISE || kind == NET_LINEAR || kind == NET_PROJECT;
}

static bool is_residual(enum net_op_kind kind)
{
    return kind == NET_ADD || kind == NET_PROJECT;
}

static bool in_place(enum net_op_kind kind)
{
    return kind == NET_SE || is_residual(kind);
}

static const char *size_complaint(const struct net_op *op)
{
    if (!in_range(op->h_in, NET_SIDE_MAX) || !in_range(op->w_in, NET_SIDE_MAX)) {
        return "height and width must be 1 to 1024 pixels";
    }
    if (!in_range(op->ci, NET_CHANNELS_MAX) || !in_range(op->co, NET_CHANNELS_MAX)) {
        return "channels must be 1 to 8192";
    }
    const bool hides = op->kind == NET_SE || op->kind == NET_PROJECT;
    if (hides ? !in_range(op->hidden, NET_CHANNELS_MAX) : op->hidden != 0) {
        return "squeeze-and-excitation and projection have 1 to 8192 hidden channels, any other operator none";
    }
    return NULL;
}

static const char *form_complaint(const struct net_op *op)
{
    const bool slides = op->kind == NET_CONV || op->kind == NET_DEPTHWISE || op->kind == NET_MAX_POOL;
    const bool strides = slides || op->kind == NET_PROJECT;

    if ((unsigned)op->act >= NET_ACT_COUNT) {
        return "the activation is unknown";
    }
    if (!has_weights(op->kind) && (op->batch_norm || op->bias)) {
        return "only convolutions, linear layers and projections have a batch norm or a bias";
    }
    if (!has_weights(op->kind) && op->kind != NET_ADD && op->act != NET_ACT_NONE) {
        return "only convolutions, linear layers and residuals have an activation";
    }
    if ((!slides && op->kernel != 1) || (!strides && op->stride != 1)) {
        return "only convolutions and the largest of a window have a kernel and a stride other than 1";
    }
    if (!in_range(op->kernel, KERNEL_MAX) || op->kernel % 2 == 0) {
        return "the kernel must be 1, 3, 5 or 7";
    }
    if (!in_range(op->stride, STRIDE_MAX)) {
        return "the stride must be 1 or 2";
    }
    if (op->kind != NET_CONV && op->kind != NET_LINEAR && op->ci != op->co) {
        return "only full convolutions and linear layers change the number of channels";
    }
    return NULL;
}

static const char *output_complaint(const struct net_op *op)
{
    const unsigned stride = in_place(op->kind) ? 1 : op->stride;
    unsigned h = (op->h_in - 1U) / stride + 1;
    unsigned w = (op->w_in - 1U) / stride + 1;

    if (op->kind == NET_LINEAR && (op->h_in != 1 || op->w_in != 1)) {
        return "a linear layer works on a 1x1 map";
    }
    if (op->kind == NET_POOL) {
        h = 1;
        w = 1;
    }
    if (op->h_out != h || op->w_out != w) {
        return "the output size does not follow from the input size and the stride";
    }
    return NULL;
}

static const char *chain_complaint(const struct network *net, size_t i)
{
    const struct net_op *op = &net->ops[i];
    const struct net_op *before = i > 0 ? &net->ops[i - 1] : NULL;

    if (!before) {
        return op->h_in == net->resolution ? NULL : "its input is not as high as the network's resolution";
    }
    if (op->h_in != before->h_out || op->w_in != before->w_out || op->ci != before->co) {
        return "its input is not the output of the operator before it";
    }
    return NULL;
}

/* Blocks have been checked: op->block is one, and its first operator is at most i. */
static const char *skip_complaint(const struct network *net, size_t i)
{
    const struct net_op *op = &net->ops[i];
    const size_t first = net->blocks[op->block].first_op;
    const struct net_op *from = &net->ops[first];

    if (!is_residual(op->kind)) {
        return op->skip_from == -1 ? NULL : "only a residual has skip_from";
    }
    if (first == i || op->skip_from != (int)first) {
        return "a residual must add the input of the first operator of its block";
    }
    if (in_place(from->kind)) {
        return "the first operator of its block works in place and leaves nothing to add";
    }
    const unsigned h = (from->h_in - 1U) / op->stride + 1;
    const unsigned w = (from->w_in - 1U) / op->stride + 1;
    const unsigned channels = op->kind == NET_PROJECT ? op->hidden : op->ci;
    if (h != op->h_in || w != op->w_in || channels != from->ci) {
        return "the residual has another shape than what it is added to";
    }
    return NULL;
}

static const char *op_complaint(const struct network *net, size_t i)
{
    const struct net_op *op = &net->ops[i];
    const char *complaint = NULL;

    if ((unsigned)op->kind >= NET_OP_KIND_COUNT) {
        return "the kind is unknown";
    }
    if ((complaint = size_complaint(op)) || (complaint = form_complaint(op)) || (complaint = output_complaint(op)) ||
        (complaint = chain_complaint(net, i))) {
        return complaint;
    }
    return skip_complaint(net, i);
}

static enum tl_rc check_blocks(const struct network *net, struct tl_err *err)
{
    size_t next = 0; /* the first operator that no block has yet */

    for (size_t b = 0; b < net->n_blocks; b++) {
        const struct net_block *block = &net->blocks[b];
        char pointer[32];
        (void)snprintf(pointer, sizeof pointer, "/blocks/%zu", b);
        if (block->first_op != next || block->n_ops < 1 || block->n_ops > net->n_ops - next) {
            return tl_fail_at(err, TL_INVALID, pointer,
                              "block %zu has operators %u to %u; it must have at least one, beginning at %zu, "
                              "and the network has %u",
                              b, block->first_op, block->first_op + block->n_ops - 1U, next, net->n_ops);
        }
        if (block->stage < -1 || block->stage > NET_SLOTS_MAX || block->slot < -1 || block->slot > NET_SLOTS_MAX) {
            return tl_fail_at(err, TL_INVALID, pointer, "block %zu: stage and slot must be -1 to %d", b, NET_SLOTS_MAX);
        }
        for (size_t i = next; i < next + block->n_ops; i++) {
            if (net->ops[i].block != (int)b) {
                return tl_fail_at(err, TL_INVALID, pointer, "operator %zu says that it is not in block %zu", i, b);
            }
        }
        next += block->n_ops;
    }
    if (next != net->n_ops) {
        return tl_fail_at(err, TL_INVALID, "/blocks", "the blocks hold %zu operators, the network %u", next,
                          net->n_ops);
    }
    return TL_OK;
}

enum tl_rc net_check(const struct network *net, struct tl_err *err)
{
    struct net_cost cost;
    enum tl_rc rc = TL_OK;

    if (!in_range(net->n_ops, NET_OPS_MAX)) {
        return tl_fail_at(err, TL_INVALID, "/ops", "a network has 1 to %d operators, this one %u", NET_OPS_MAX,
                          net->n_ops);
    }
    if (!in_range(net->n_blocks, NET_BLOCKS_MAX)) {
        return tl_fail_at(err, TL_INVALID, "/blocks", "a network has 1 to %d blocks, this one %u", NET_BLOCKS_MAX,
                          net->n_blocks);
    }
    if ((rc = check_blocks(net, err))) {
        return rc;
    }
    for (size_t i = 0; i < net->n_ops; i++) {
        const char *complaint = op_complaint(net, i);
        char pointer[32];
        (void)snprintf(pointer, sizeof pointer, "/ops/%zu", i);
        if (complaint) {
            return tl_fail_at(err, TL_INVALID, pointer, "operator %zu: %s", i, complaint);
        }
    }
    net_cost_total(net, &cost);
    if (cost.macs > NET_MACS_MAX) {
        return tl_fail_at(err, TL_INVALID, "/ops", "the network has %llu MACs, at most %llu are allowed",
                          (unsigned long long)cost.macs, (unsigned long long)NET_MACS_MAX);
    }
    return TL_OK;
}
