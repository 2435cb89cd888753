/* codec_net_config.c - once-for-all's net.config to operators.
 *
 * One idea: the file says every layer's channels twice, as the output of one and the input of the next; both must
 * agree, so that a file that was edited by hand is refused where it breaks. Both spellings are read: that of the
 * published files ("mobile_inverted_conv", "MBInvertedConvLayer") and the later library's ("conv", "MBConvLayer").
 * ResNets have a list of convolutions as their stem, and behind it a pool that the file does not name.
 * The format: https://github.com/mit-han-lab/once-for-all, the `config` properties of its networks and layers.
 * Threads: pure functions.
 */
#include "base/codec_json.h"
#include "supernet/build.h"
#include "supernet/files/files.h"

#include <math.h>

static const char *const act_names[] = {"relu", "relu6", "h_swish"};
static const enum net_act acts[] = {NET_ACT_RELU, NET_ACT_RELU6, NET_ACT_HSWISH};

enum { EXPAND_MAX = 64, BLOCKS_MAX = NET_SLOTS_MAX + 1, STEM_MAX = 3 };

enum net_kind { MOBILENET_V3, PROXYLESS, RESNETS };
static const char *const network_names[] = {"MobileNetV3", "ProxylessNASNets", "ResNets"};

/* The file being read and the network being built. */
struct reader {
    struct tl_json_object top;
    struct net_builder builder;
    enum net_kind kind;
};

/* These files write null for "does not apply" as well as leaving the field out. */
static bool is_there(const struct tl_json_object *object, const char *name)
{
    const json_t *value = json_object_get(object->json, name);
    return value && !json_is_null(value);
}

static enum tl_rc read_act(struct tl_json_object *layer, enum net_act *ret_act, struct tl_err *err)
{
    size_t index = 0;

    if (!is_there(layer, "act_func")) {
        *ret_act = NET_ACT_NONE;
        return TL_OK;
    }
    const enum tl_rc rc =
        tl_json_choice(layer, "act_func", TL_REQUIRED, act_names, TL_COUNT_OF(act_names), &index, err);
    if (rc == TL_OK) {
        *ret_act = acts[index];
    }
    return rc;
}

/* A field that must have its ordinary value where it is given: what it would change is not built. */
static enum tl_rc expect_int(struct tl_json_object *layer, const char *name, int64_t only, struct tl_err *err)
{
    int64_t value = only;
    return is_there(layer, name) ? tl_json_int(layer, name, TL_REQUIRED, only, only, &value, err) : TL_OK;
}

static enum tl_rc expect_bool(struct tl_json_object *layer, const char *name, enum tl_json_need need, bool only,
                              struct tl_err *err)
{
    bool value = only;
    enum tl_rc rc = TL_OK;

    if ((need == TL_OPTIONAL && !is_there(layer, name)) || (rc = tl_json_bool(layer, name, need, &value, err))) {
        return rc;
    }
    if (value != only) {
        return tl_fail_at(err, TL_INVALID, layer->pointer, "%s must be %s here", name, only ? "true" : "false");
    }
    return TL_OK;
}

/* The input channels must be the channels that arrive. */
static enum tl_rc expect_input(struct reader *reader, struct tl_json_object *layer, const char *name,
                               struct tl_err *err)
{
    int64_t value = 0;
    const enum tl_rc rc = tl_json_int(layer, name, TL_REQUIRED, 1, NET_CHANNELS_MAX, &value, err);

    if (rc) {
        return rc;
    }
    if (value != reader->builder.c) {
        return tl_fail_at(err, TL_INVALID, layer->pointer, "%s is %lld, but %u channels arrive", name, (long long)value,
                          reader->builder.c);
    }
    return TL_OK;
}

static enum tl_rc read_kernel(struct tl_json_object *layer, int64_t *ret_kernel, int64_t *ret_stride,
                              struct tl_err *err)
{
    int64_t kernel = 0;
    int64_t stride = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_int(layer, "kernel_size", TL_REQUIRED, 1, 7, &kernel, err)) ||
        (rc = tl_json_int(layer, "stride", TL_REQUIRED, 1, 2, &stride, err))) {
        return rc;
    }
    if (kernel % 2 == 0) {
        return tl_fail_at(err, TL_INVALID, layer->pointer, "kernel_size must be 1, 3, 5 or 7");
    }
    *ret_kernel = kernel;
    *ret_stride = stride;
    return TL_OK;
}

/* One of the convolutions outside the blocks. */
static enum tl_rc add_conv_layer(struct reader *reader, struct tl_json_object *layer, bool batch_norm,
                                 struct tl_err *err)
{
    static const char *const layer_names[] = {"ConvLayer"};
    size_t index = 0;
    int64_t width = 0;
    int64_t kernel = 0;
    int64_t stride = 0;
    enum net_act act = NET_ACT_NONE;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_choice(layer, "name", TL_REQUIRED, layer_names, 1, &index, err)) ||
        (rc = expect_input(reader, layer, "in_channels", err)) ||
        (rc = tl_json_int(layer, "out_channels", TL_REQUIRED, 1, NET_CHANNELS_MAX, &width, err)) ||
        (rc = read_kernel(layer, &kernel, &stride, err)) || (rc = read_act(layer, &act, err)) ||
        (rc = expect_bool(layer, "use_bn", TL_REQUIRED, batch_norm, err)) ||
        (rc = expect_bool(layer, "bias", TL_OPTIONAL, false, err)) ||
        (rc = expect_bool(layer, "use_se", TL_OPTIONAL, false, err)) || (rc = expect_int(layer, "dilation", 1, err)) ||
        (rc = expect_int(layer, "groups", 1, err))) {
        return rc;
    }
    net_add_conv(&reader->builder, (unsigned)width, (unsigned)kernel, (unsigned)stride, act, batch_norm);
    return TL_OK;
}

/* A convolution outside the blocks, under `name` of `of`. */
static enum tl_rc add_conv_of(struct reader *reader, struct tl_json_object *of, const char *name, bool batch_norm,
                              struct tl_err *err)
{
    struct tl_json_object layer;
    bool there = false;
    const enum tl_rc rc = tl_json_nested(of, name, TL_REQUIRED, &layer, &there, err);

    return rc ? rc : add_conv_layer(reader, &layer, batch_norm, err);
}

/* Middle channels: given, or the expand ratio times the input, rounded. Without expansion they are the input's. */
static enum tl_rc read_mid(const struct reader *reader, struct tl_json_object *layer, struct net_inverted *block,
                           struct tl_err *err)
{
    double expand = 0;
    int64_t mid = 0;
    enum tl_rc rc = tl_json_real(layer, "expand_ratio", TL_REQUIRED, 1, EXPAND_MAX, &expand, err);

    if (rc) {
        return rc;
    }
    block->expands = expand > 1;
    mid = lround(expand * reader->builder.c);
    if (is_there(layer, "mid_channels") &&
        (rc = tl_json_int(layer, "mid_channels", TL_REQUIRED, 1, NET_CHANNELS_MAX, &mid, err))) {
        return rc;
    }
    if (mid > NET_CHANNELS_MAX || (!block->expands && mid != reader->builder.c)) {
        return tl_fail_at(err, TL_INVALID, layer->pointer,
                          "%lld middle channels do not fit expand_ratio %g and %u input channels", (long long)mid,
                          expand, reader->builder.c);
    }
    block->mid = (unsigned)mid;
    return TL_OK;
}

/* The inverted residual layer of a block, under either of its names. */
static enum tl_rc read_inverted(struct reader *reader, struct tl_json_object *block, struct net_inverted *ret_inverted,
                                struct tl_err *err)
{
    static const char *const layer_names[] = {"MBInvertedConvLayer", "MBConvLayer"};
    const char *key = is_there(block, "conv") ? "conv" : "mobile_inverted_conv";
    struct net_inverted inverted = {0};
    struct tl_json_object layer;
    bool there = false;
    size_t index = 0;
    int64_t width = 0;
    int64_t kernel = 0;
    int64_t stride = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_nested(block, key, TL_REQUIRED, &layer, &there, err)) ||
        (rc = tl_json_choice(&layer, "name", TL_REQUIRED, layer_names, TL_COUNT_OF(layer_names), &index, err)) ||
        (rc = expect_input(reader, &layer, "in_channels", err)) ||
        (rc = tl_json_int(&layer, "out_channels", TL_REQUIRED, 1, NET_CHANNELS_MAX, &width, err)) ||
        (rc = read_kernel(&layer, &kernel, &stride, err)) || (rc = read_act(&layer, &inverted.act, err)) ||
        (rc = tl_json_bool(&layer, "use_se", TL_REQUIRED, &inverted.se, err)) ||
        (rc = read_mid(reader, &layer, &inverted, err)) || (rc = expect_int(&layer, "groups", inverted.mid, err))) {
        return rc;
    }
    inverted.width = (unsigned)width;
    inverted.kernel = (unsigned)kernel;
    inverted.stride = (unsigned)stride;
    *ret_inverted = inverted;
    return TL_OK;
}

/* Whether the block adds its input; `fits`: it has the shape of what it is added to. */
static enum tl_rc read_shortcut(struct tl_json_object *block, bool fits, bool *ret_residual, struct tl_err *err)
{
    static const char *const layer_names[] = {"IdentityLayer"};
    struct tl_json_object shortcut;
    size_t index = 0;
    enum tl_rc rc = TL_OK;

    *ret_residual = is_there(block, "shortcut");
    if (!*ret_residual) {
        return TL_OK;
    }
    if ((rc = tl_json_nested(block, "shortcut", TL_REQUIRED, &shortcut, ret_residual, err)) ||
        (rc = tl_json_choice(&shortcut, "name", TL_REQUIRED, layer_names, 1, &index, err))) {
        return rc;
    }
    if (!fits) {
        return tl_fail_at(err, TL_INVALID, shortcut.pointer,
                          "a shortcut needs stride 1 and as many channels out as in");
    }
    return TL_OK;
}

static enum tl_rc add_blocks(struct reader *reader, int *ret_n_stages, struct tl_err *err)
{
    static const char *const block_names[] = {"MobileInvertedResidualBlock", "ResidualBlock"};
    json_t *array = NULL;
    int stage = -1; /* the first block stands before the stages */
    int slot = -1;
    enum tl_rc rc = tl_json_array(&reader->top, "blocks", TL_REQUIRED, 1, BLOCKS_MAX, &array, err);

    for (size_t i = 0; rc == TL_OK && i < json_array_size(array); i++) {
        struct tl_json_object block;
        struct net_inverted inverted = {0};
        size_t index = 0;
        if ((rc = tl_json_element(&reader->top, "blocks", array, i, &block, err)) ||
            (rc = tl_json_choice(&block, "name", TL_REQUIRED, block_names, TL_COUNT_OF(block_names), &index, err)) ||
            (rc = read_inverted(reader, &block, &inverted, err)) ||
            (rc = read_shortcut(&block, inverted.stride == 1 && inverted.width == reader->builder.c, &inverted.residual,
                                err))) {
            return rc;
        }
        if (i > 0 && (!inverted.residual || stage < 0)) {
            stage++;
            slot = -1;
        }
        if (stage >= 0) {
            slot++;
        }
        net_add_block(&reader->builder, stage, slot);
        net_add_inverted(&reader->builder, &inverted);
    }
    *ret_n_stages = stage + 1;
    return rc;
}

/* ---- ResNets ------------------------------------------------------------------------------------------------- */

/* A convolution of the stem, alone or with its input added, in a block of its own. */
static enum tl_rc add_stem_layer(struct reader *reader, struct tl_json_object *layer, struct tl_err *err)
{
    static const char *const names[] = {"ConvLayer", "ResidualBlock"};
    const struct network *net = reader->builder.net;
    const unsigned first = net->n_ops;
    bool residual = false;
    size_t index = 0;
    enum tl_rc rc = tl_json_choice(layer, "name", TL_REQUIRED, names, TL_COUNT_OF(names), &index, err);

    if (rc) {
        return rc;
    }
    net_add_block(&reader->builder, -1, -1);
    if (index == 0) {
        return add_conv_layer(reader, layer, true, err);
    }
    if ((rc = add_conv_of(reader, layer, "conv", true, err)) ||
        (rc = read_shortcut(layer, net->ops[first].stride == 1 && net->ops[first].ci == net->ops[first].co, &residual,
                            err))) {
        return rc;
    }
    if (residual) {
        net_add_residual(&reader->builder, first, NET_ACT_NONE);
    }
    return TL_OK;
}

static enum tl_rc add_stem(struct reader *reader, struct tl_err *err)
{
    json_t *array = NULL;
    enum tl_rc rc = tl_json_array(&reader->top, "input_stem", TL_REQUIRED, 1, STEM_MAX, &array, err);

    for (size_t i = 0; rc == TL_OK && i < json_array_size(array); i++) {
        struct tl_json_object layer;
        rc = tl_json_element(&reader->top, "input_stem", array, i, &layer, err);
        rc = rc ? rc : add_stem_layer(reader, &layer, err);
    }
    if (rc == TL_OK) {
        net_add_max_pool(&reader->builder);
    }
    return rc;
}

/* Middle channels as once-for-all rounds them: those given, or the ratio of the output's to whole ones, then by 8. */
static enum tl_rc read_ratio(struct tl_json_object *layer, struct net_bottleneck *block, struct tl_err *err)
{
    double expand = 0;
    int64_t mid = 0;
    enum tl_rc rc = tl_json_real(layer, "expand_ratio", TL_REQUIRED, 0, EXPAND_MAX, &expand, err);

    if (rc) {
        return rc;
    }
    mid = lrint(expand * block->width);
    if (is_there(layer, "mid_channels") &&
        (rc = tl_json_int(layer, "mid_channels", TL_REQUIRED, 1, NET_CHANNELS_MAX, &mid, err))) {
        return rc;
    }
    block->mid = net_divisible((double)mid);
    if (block->mid > NET_CHANNELS_MAX) {
        return tl_fail_at(err, TL_INVALID, layer->pointer, "expand_ratio %g makes %u middle channels; at most %d fit",
                          expand, block->mid, NET_CHANNELS_MAX);
    }
    return TL_OK;
}

static enum tl_rc read_bottleneck(struct reader *reader, struct tl_json_object *layer, struct net_bottleneck *ret_block,
                                  struct tl_err *err)
{
    static const char *const names[] = {"ResNetBottleneckBlock"}, *const modes[] = {"avgpool_conv", "conv"};
    struct net_bottleneck block = {0};
    size_t index = 0, mode = 0;
    int64_t width = 0, kernel = 0, stride = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_choice(layer, "name", TL_REQUIRED, names, 1, &index, err)) ||
        (rc = expect_input(reader, layer, "in_channels", err)) ||
        (rc = tl_json_int(layer, "out_channels", TL_REQUIRED, 1, NET_CHANNELS_MAX, &width, err)) ||
        (rc = read_kernel(layer, &kernel, &stride, err)) || (rc = read_act(layer, &block.act, err)) ||
        (rc = expect_int(layer, "groups", 1, err)) ||
        (rc = tl_json_choice(layer, "downsample_mode", TL_OPTIONAL, modes, TL_COUNT_OF(modes), &mode, err))) {
        return rc;
    }
    if (mode == 1 && stride != 1) {
        return tl_fail_at(err, TL_INVALID, layer->pointer, "downsample_mode must be avgpool_conv at stride 2");
    }
    block.width = (unsigned)width;
    block.kernel = (unsigned)kernel;
    block.stride = (unsigned)stride;
    rc = read_ratio(layer, &block, err);
    if (rc == TL_OK) {
        *ret_block = block;
    }
    return rc;
}

/* A block that projects its input begins a stage. */
static enum tl_rc add_bottlenecks(struct reader *reader, int *ret_n_stages, struct tl_err *err)
{
    json_t *array = NULL;
    int stage = -1, slot = -1;
    enum tl_rc rc = tl_json_array(&reader->top, "blocks", TL_REQUIRED, 1, NET_SLOTS_MAX, &array, err);

    for (size_t i = 0; rc == TL_OK && i < json_array_size(array); i++) {
        struct tl_json_object layer;
        struct net_bottleneck block = {0};
        if ((rc = tl_json_element(&reader->top, "blocks", array, i, &layer, err)) ||
            (rc = read_bottleneck(reader, &layer, &block, err))) {
            return rc;
        }
        const bool projects = block.stride != 1 || block.width != reader->builder.c;
        slot = projects || i == 0 ? 0 : slot + 1;
        stage += slot == 0;
        net_add_block(&reader->builder, stage, slot);
        net_add_bottleneck(&reader->builder, &block);
    }
    *ret_n_stages = stage + 1;
    return rc;
}

/* ---- the network --------------------------------------------------------------------------------------------- */

static enum tl_rc add_classifier(struct reader *reader, struct tl_err *err)
{
    static const char *const layer_names[] = {"LinearLayer"};
    struct tl_json_object layer;
    bool there = false;
    bool bias = true;
    size_t index = 0;
    int64_t classes = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_nested(&reader->top, "classifier", TL_REQUIRED, &layer, &there, err)) ||
        (rc = tl_json_choice(&layer, "name", TL_REQUIRED, layer_names, 1, &index, err)) ||
        (rc = expect_input(reader, &layer, "in_features", err)) ||
        (rc = tl_json_int(&layer, "out_features", TL_REQUIRED, 1, NET_CHANNELS_MAX, &classes, err)) ||
        (rc = tl_json_bool(&layer, "bias", TL_OPTIONAL, &bias, err)) ||
        (rc = expect_bool(&layer, "use_bn", TL_OPTIONAL, false, err))) {
        return rc;
    }
    net_add_linear(&reader->builder, (unsigned)classes, bias);
    return TL_OK;
}

/* MobileNetV3 mixes its features behind the pool and without batch norm, ProxylessNAS before it and with, ResNets not. */
static enum tl_rc add_head(struct reader *reader, int n_stages, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    net_add_block(&reader->builder, n_stages, -1);
    if (reader->kind != RESNETS) {
        const char *final = reader->kind == MOBILENET_V3 ? "final_expand_layer" : "feature_mix_layer";
        if ((rc = add_conv_of(reader, &reader->top, final, true, err))) {
            return rc;
        }
    }
    net_add_pool(&reader->builder);
    if (reader->kind == MOBILENET_V3 && (rc = add_conv_of(reader, &reader->top, "feature_mix_layer", false, err))) {
        return rc;
    }
    return add_classifier(reader, err);
}

/* All in front of the head. */
static enum tl_rc add_body(struct reader *reader, int *ret_n_stages, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    if (reader->kind == RESNETS) {
        rc = add_stem(reader, err);
        return rc ? rc : add_bottlenecks(reader, ret_n_stages, err);
    }
    net_add_block(&reader->builder, -1, -1);
    rc = add_conv_of(reader, &reader->top, "first_conv", true, err);
    return rc ? rc : add_blocks(reader, ret_n_stages, err);
}

enum tl_rc net_config_decode(const char *json, size_t n, unsigned image_size, struct network *ret_net,
                             struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct network net = {0};
    struct reader reader = {0};
    size_t kind = 0;
    int n_stages = 0;
    enum tl_rc rc = TL_OK;

    if (n > NET_CONFIG_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "a net.config of %zu bytes; at most %d are read", n, NET_CONFIG_MAX);
    }
    if (image_size < 1 || image_size > NET_SIDE_MAX) {
        return tl_fail(err, TL_INVALID, "the image size must be 1 to %d pixels, not %u", NET_SIDE_MAX, image_size);
    }
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&reader.top, doc.root, "", err)) ||
        (rc =
             tl_json_choice(&reader.top, "name", TL_REQUIRED, network_names, TL_COUNT_OF(network_names), &kind, err))) {
        return rc;
    }
    reader.kind = (enum net_kind)kind;
    reader.builder = net_builder_make(&net, image_size);
    if ((rc = add_body(&reader, &n_stages, err)) || (rc = add_head(&reader, n_stages, err)) ||
        (rc = net_check(&net, err))) {
        return rc;
    }
    *ret_net = net;
    return TL_OK;
}
