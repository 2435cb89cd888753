/* codec_net_config_write.c - a network as once-for-all's net.config. The reader is codec_net_config.c.
 *
 * A published file comes back as it was but for the dropout rates, which change no operator and are written as 0. What is
 * written is read again before it is handed out, so that a network that the format cannot say is never another's file.
 * Threads: pure functions.
 */
#include "base/codec_json.h"
#include "supernet/build.h"
#include "supernet/files/files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ACTS[NET_ACT_COUNT] = {NULL, "relu", "relu6", "h_swish"};

static json_t *act_json(enum net_act act)
{
    return ACTS[act] ? json_string(ACTS[act]) : json_null();
}

static json_t *conv_json(const struct net_op *op)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:b, s:b, s:i, s:i, s:b, s:o, s:i, s:s}", "name", "ConvLayer",
                     "kernel_size", (int)op->kernel, "stride", (int)op->stride, "dilation", 1, "groups", 1, "bias", 0,
                     "has_shuffle", 0, "in_channels", (int)op->ci, "out_channels", (int)op->co, "use_bn",
                     (int)op->batch_norm, "act_func", act_json(op->act), "dropout_rate", 0, "ops_order",
                     "weight_bn_act");
}

static json_t *linear_json(const struct net_op *op)
{
    return json_pack("{s:s, s:i, s:i, s:b, s:b, s:n, s:i, s:s}", "name", "LinearLayer", "in_features", (int)op->ci,
                     "out_features", (int)op->co, "bias", (int)op->bias, "use_bn", 0, "act_func", "dropout_rate", 0,
                     "ops_order", "weight_bn_act");
}

static json_t *identity_json(const struct net_op *op)
{
    return json_pack("{s:s, s:[i], s:[i], s:b, s:n, s:i, s:s}", "name", "IdentityLayer", "in_channels", (int)op->ci,
                     "out_channels", (int)op->ci, "use_bn", 0, "act_func", "dropout_rate", 0, "ops_order",
                     "weight_bn_act");
}

/* The number that a person wrote: 1e-5 rather than the float nearest to it. */
static json_t *float_json(float value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.7g", (double)value);
    return json_real(strtod(text, NULL));
}

/* The depthwise operator of a block and its neighbours; NULL: the block has none. */
static const struct net_op *depthwise_of(const struct network *net, const struct net_block *block)
{
    for (size_t i = block->first_op; i < (size_t)block->first_op + block->n_ops; i++) {
        if (net->ops[i].kind == NET_DEPTHWISE) {
            return &net->ops[i];
        }
    }
    return NULL;
}

static json_t *block_json(const struct network *net, const struct net_block *block, enum net_config_spelling spelling)
{
    const bool later = spelling == NET_CONFIG_LATER;
    const struct net_op *depthwise = depthwise_of(net, block), *first = &net->ops[block->first_op];
    const struct net_op *last = &net->ops[block->first_op + block->n_ops - 1], *end = last;
    const bool residual = last->kind == NET_ADD, expands = depthwise != first;
    bool se = false;
    for (const struct net_op *op = first; op <= last; op++) {
        se = se || op->kind == NET_SE;
        end = op->kind == NET_CONV ? op : end;
    }
    json_t *layer = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:b}", "name", later ? "MBConvLayer" : "MBInvertedConvLayer",
        "in_channels", (int)first->ci, "out_channels", (int)end->co, "kernel_size", (int)depthwise->kernel, "stride",
        (int)depthwise->stride, "expand_ratio", expands ? (int)lround((double)depthwise->co / first->ci) : 1,
        "mid_channels", expands ? json_integer(depthwise->co) : json_null(), "act_func", act_json(depthwise->act),
        "use_se", (int)se);
    return json_pack("{s:s, s:o, s:o}", "name", later ? "ResidualBlock" : "MobileInvertedResidualBlock",
                     later ? "conv" : "mobile_inverted_conv", layer, "shortcut",
                     residual ? identity_json(first) : json_null());
}

/* The operators of the head; NULL where there is none. */
struct head {
    const struct net_op *final, *feature, *linear;
};

static struct head head_of(const struct network *net)
{
    struct head head = {0};
    const struct net_block *block = &net->blocks[net->n_blocks - 1];
    bool pooled = false;
    for (size_t i = block->first_op; i < net->n_ops; i++) {
        const struct net_op *op = &net->ops[i];
        pooled = pooled || op->kind == NET_POOL;
        if (op->kind == NET_CONV) {
            *(pooled ? &head.feature : &head.final) = op;
        } else if (op->kind == NET_LINEAR) {
            head.linear = op;
        }
    }
    return head;
}

/* Is all between stem and head made of inverted residual blocks? */
static bool all_inverted(const struct network *net)
{
    for (size_t b = 1; b + 1 < net->n_blocks; b++) {
        if (depthwise_of(net, &net->blocks[b]) == NULL) {
            return false;
        }
    }
    return net->n_blocks >= 3;
}

static json_t *blocks_json(const struct network *net, enum net_config_spelling spelling)
{
    json_t *blocks = json_array();
    for (size_t b = 1; b + 1 < net->n_blocks; b++) {
        if (json_array_append_new(blocks, block_json(net, &net->blocks[b], spelling)) != 0) {
            json_decref(blocks);
            return NULL;
        }
    }
    return blocks;
}

/* NULL: no memory. MobileNetV3 mixes its features behind the pool, ProxylessNAS before it. */
static json_t *network_json(const struct network *net, const struct head *head, float bn_eps,
                            enum net_config_spelling spelling)
{
    const bool v3 = head->feature != NULL;
    json_t *json = json_pack("{s:s, s:{s:f, s:o}, s:o, s:o}", "name", v3 ? "MobileNetV3" : "ProxylessNASNets", "bn",
                             "momentum", 0.1, "eps", float_json(bn_eps), "first_conv", conv_json(&net->ops[0]),
                             "blocks", blocks_json(net, spelling));
    if ((v3 && json_object_set_new(json, "final_expand_layer", conv_json(head->final)) != 0) ||
        json_object_set_new(json, "feature_mix_layer", conv_json(v3 ? head->feature : head->final)) != 0 ||
        json_object_set_new(json, "classifier", linear_json(head->linear)) != 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* ---- ResNets ------------------------------------------------------------------------------------------------- */

enum { BOTTLENECK_OPS = 4 };

/* Is it a stem of convolutions, then bottlenecks? */
static bool is_resnet(const struct network *net)
{
    size_t b = 0;
    while (b < net->n_blocks && net->blocks[b].stage < 0 && net->ops[net->blocks[b].first_op].kind == NET_CONV) {
        b++;
    }
    const size_t n_stem = b;
    while (b < net->n_blocks && net->blocks[b].slot >= 0 && net->blocks[b].n_ops == BOTTLENECK_OPS &&
           net->ops[net->blocks[b].first_op + 1].kind == NET_CONV) {
        b++;
    }
    return n_stem > 0 && b > n_stem && b + 1 == net->n_blocks;
}

/* Once-for-all's middle channels are a ratio of the output's, in its networks a whole number of twentieths. */
static double ratio_of(unsigned mid, unsigned width)
{
    for (unsigned twentieths = 1; twentieths <= 20; twentieths++) {
        if (net_divisible(nearbyint(twentieths / 20.0 * width)) == mid) {
            return twentieths / 20.0;
        }
    }
    return (double)mid / width;
}

static json_t *bottleneck_json(const struct network *net, const struct net_block *block)
{
    const struct net_op *ops = &net->ops[block->first_op];
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:i, s:o, s:i, s:s}", "name", "ResNetBottleneckBlock",
                     "in_channels", (int)ops[0].ci, "out_channels", (int)ops[2].co, "kernel_size", (int)ops[1].kernel,
                     "stride", (int)ops[1].stride, "expand_ratio", ratio_of(ops[0].co, ops[2].co), "mid_channels",
                     (int)ops[0].co, "act_func", act_json(ops[0].act), "groups", 1, "downsample_mode", "avgpool_conv");
}

static json_t *stem_json(const struct network *net, const struct net_block *block)
{
    const struct net_op *ops = &net->ops[block->first_op];
    json_t *conv = conv_json(&ops[0]);
    (void)json_object_set_new(conv, "use_se", json_false());
    if (block->n_ops < 2 || ops[1].kind != NET_ADD) {
        return conv;
    }
    return json_pack("{s:s, s:o, s:o}", "name", "ResidualBlock", "conv", conv, "shortcut", identity_json(&ops[0]));
}

/* NULL: no memory. */
static json_t *resnet_json(const struct network *net, float bn_eps)
{
    json_t *stem = json_array(), *blocks = json_array();
    bool ok = true;
    for (size_t b = 0; b + 1 < net->n_blocks; b++) {
        const struct net_block *block = &net->blocks[b];
        ok = json_array_append_new(block->slot < 0 ? stem : blocks,
                                   block->slot < 0 ? stem_json(net, block) : bottleneck_json(net, block)) == 0 &&
             ok;
    }
    json_t *json = json_pack("{s:s, s:{s:f, s:o}, s:o, s:o, s:o}", "name", "ResNets", "bn", "momentum", 0.1, "eps",
                             float_json(bn_eps), "input_stem", stem, "blocks", blocks, "classifier",
                             linear_json(&net->ops[net->n_ops - 1]));
    if (!ok) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* ---- either ------------------------------------------------------------------------------------------------- */

/* Does the text mean this network? */
static enum tl_rc check_text(const struct tl_buf *text, const struct network *net, struct tl_err *err)
{
    struct network *back = malloc(sizeof *back);
    struct tl_err why = {0};
    enum tl_rc rc = TL_NO_MEMORY;
    if (back) {
        rc = net_config_decode(text->data, text->len, net->resolution, back, &why);
    }
    const bool same =
        rc == TL_OK && back->n_ops == net->n_ops && memcmp(back->ops, net->ops, net->n_ops * sizeof net->ops[0]) == 0;
    free(back);
    if (rc == TL_NO_MEMORY) {
        return tl_fail(err, rc, "no memory to read a net.config again");
    }
    return same ? TL_OK
                : tl_fail(err, TL_INVALID, "net.config cannot say this network%s%s", why.text[0] ? ": " : "", why.text);
}

enum tl_rc net_config_encode(const struct network *net, float bn_eps, enum net_config_spelling spelling,
                             struct tl_buf *buf, struct tl_err *err)
{
    const struct head head = head_of(net);
    TL_AUTO(tl_buf) text = {.max = NET_CONFIG_MAX};
    enum tl_rc rc = TL_OK;
    const bool resnet = is_resnet(net) && head.linear && !head.final && !head.feature;
    if (!resnet && (!head.final || !head.linear || !all_inverted(net))) {
        return tl_fail(
            err, TL_INVALID,
            "net.config can say a stem, inverted residual blocks and a head with a 1x1 convolution, or a stem, "
            "bottlenecks and a classifier, and this network is another");
    }
    json_t *json = resnet ? resnet_json(net, bn_eps) : network_json(net, &head, bn_eps, spelling);
    if ((rc = tl_json_dump_take(json, &text, err)) || (rc = check_text(&text, net, err))) {
        return rc;
    }
    return tl_buf_add(buf, text.data, text.len, err);
}
