/* lut_keys.c - see lut_keys.h. */
#include "latency/lut_keys.h"

#include <stdio.h>

static const struct net_op *find_kind(const struct net_op *ops, size_t n, enum net_op_kind kind)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind == kind) {
            return &ops[i];
        }
    }
    return NULL;
}

/* An inverted residual block, named as a whole. hs: the activation of its middle. */
static void inverted_key(const struct net_op *ops, size_t n, const struct net_op *depthwise, enum lat_table_style style,
                         char ret_key[LUT_KEY_MAX])
{
    const struct net_op *last = &ops[n - 1];
    const bool ratio = style == LAT_TABLE_PROXYLESS;
    const unsigned expand = ratio ? (depthwise->co + ops->ci / 2U) / ops->ci : depthwise->co;
    const int n_text = snprintf(ret_key, LUT_KEY_MAX,
                                "expanded_conv-input:%ux%ux%u-output:%ux%ux%u-expand:%u-kernel:%u-stride:%u-idskip:%d",
                                ops->h_in, ops->w_in, ops->ci, last->h_out, last->w_out, last->co, expand,
                                depthwise->kernel, depthwise->stride, find_kind(ops, n, NET_ADD) != NULL);

    if (!ratio) {
        (void)snprintf(ret_key + n_text, LUT_KEY_MAX - (size_t)n_text, "-se:%d-hs:%d",
                       find_kind(ops, n, NET_SE) != NULL, depthwise->act == NET_ACT_HSWISH);
    }
}

/* An operator of the stem or the head: Conv, Conv_1 before the pool, AvgPool2D, Conv_2 behind it, Logits. `pool`: the one
 * that ProxylessNAS' tables count with the logits, or NULL. */
static void operator_key(const struct net_op *op, const struct net_op *pool, char ret_key[LUT_KEY_MAX])
{
    const char *conv = op->kernel > 1 ? "Conv" : op->h_in > 1 ? "Conv_1" : "Conv_2";
    const struct net_op *in = pool ? pool : op;

    if (op->kind == NET_LINEAR) {
        (void)snprintf(ret_key, LUT_KEY_MAX, "Logits-input:%ux%ux%u-output:%u", in->h_in, in->w_in, in->ci, op->co);
        return;
    }
    (void)snprintf(ret_key, LUT_KEY_MAX, "%s-input:%ux%ux%u-output:%ux%ux%u", op->kind == NET_POOL ? "AvgPool2D" : conv,
                   op->h_in, op->w_in, op->ci, op->h_out, op->w_out, op->co);
}

static double work_of(const struct net_op *op)
{
    return (double)net_op_macs(op) + (double)op->h_out * op->w_out * op->co;
}

enum tl_rc lut_block_keys(const struct network *net, size_t block, enum lat_table_style style,
                          struct lut_key ret_keys[LUT_BLOCK_KEYS_MAX], size_t *ret_n, struct tl_err *err)
{
    const struct net_op *ops = &net->ops[net->blocks[block].first_op];
    const size_t n_ops = net->blocks[block].n_ops;
    const struct net_op *depthwise = find_kind(ops, n_ops, NET_DEPTHWISE);
    const struct net_op *pool = style == LAT_TABLE_PROXYLESS ? find_kind(ops, n_ops, NET_POOL) : NULL;
    double sum = 0;
    size_t n = 0;

    if (depthwise) {
        inverted_key(ops, n_ops, depthwise, style, ret_keys->text);
        ret_keys->share = 1;
        *ret_n = 1;
        return TL_OK;
    }
    for (size_t i = 0; i < n_ops; i++) {
        const bool named = ops[i].kind == NET_CONV || ops[i].kind == NET_POOL || ops[i].kind == NET_LINEAR;
        if (!named || n == LUT_BLOCK_KEYS_MAX) {
            return tl_fail(err, TL_INVALID, "latency tables of this kind have no name for block %zu of the network",
                           block);
        }
        if (&ops[i] != pool) {
            operator_key(&ops[i], pool, ret_keys[n].text);
            ret_keys[n].share = work_of(&ops[i]);
            sum += ret_keys[n++].share;
        }
    }
    for (size_t i = 0; i < n; i++) {
        ret_keys[i].share /= sum;
    }
    *ret_n = n;
    return TL_OK;
}
