/* codec_network.c - operator lists to JSON and back.
 *
 * One idea: the reader fills in what the writer may leave out and takes every number within its C type; whether it is a
 * network is net_check's to say, once.
 * Threads: pure functions.
 */
#include "supernet/codec_network.h"

#include <stdio.h>

static const char *const kind_names[NET_OP_KIND_COUNT] = {"conv", "depthwise", "se",       "add",
                                                          "pool", "linear",    "max_pool", "project"};
static const char *const act_names[NET_ACT_COUNT] = {"none", "relu", "relu6", "hswish"};

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* json_object_set_new takes the value even when it fails, and fails for NULL: true all the way means all is there. */
static bool put(json_t *object, const char *name, json_t *value_taken)
{
    return json_object_set_new(object, name, value_taken) == 0;
}

static json_t *encode_op(const struct net_op *op)
{
    json_t *json = json_object();
    bool ok = put(json, "kind", json_string(kind_names[op->kind])) &&
              put(json, "in", json_pack("[iii]", op->h_in, op->w_in, op->ci)) &&
              put(json, "out", json_pack("[iii]", op->h_out, op->w_out, op->co));

    if (ok && op->kernel != 1) {
        ok = put(json, "k", json_integer(op->kernel));
    }
    if (ok && op->stride != 1) {
        ok = put(json, "s", json_integer(op->stride));
    }
    if (ok && op->act != NET_ACT_NONE) {
        ok = put(json, "act", json_string(act_names[op->act]));
    }
    if (ok && op->batch_norm) {
        ok = put(json, "bn", json_true());
    }
    if (ok && op->bias) {
        ok = put(json, "bias", json_true());
    }
    if (ok && op->hidden) {
        ok = put(json, "hidden", json_integer(op->hidden));
    }
    if (ok && op->skip_from >= 0) {
        ok = put(json, "skip_from", json_integer(op->skip_from));
    }
    if (!ok) {
        json_decref(json);
        return NULL;
    }
    return json;
}

json_t *net_encode(const struct network *net)
{
    json_auto_t *ops = json_array();
    json_auto_t *blocks = json_array();

    for (size_t i = 0; i < net->n_ops; i++) {
        if (json_array_append_new(ops, encode_op(&net->ops[i]))) {
            return NULL;
        }
    }
    for (size_t i = 0; i < net->n_blocks; i++) {
        const struct net_block *block = &net->blocks[i];
        if (json_array_append_new(blocks, json_pack("{s:i, s:i, s:i}", "n_ops", block->n_ops, "stage", block->stage,
                                                    "slot", block->slot))) {
            return NULL;
        }
    }
    return json_pack("{s:i, s:O, s:O}", "resolution", net->resolution, "ops", ops, "blocks", blocks);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* An optional or required integer that fits 16 bits. */
static enum tl_rc read_u16(struct tl_json_object *object, const char *name, enum tl_json_need need, uint16_t *ret_value,
                           struct tl_err *err)
{
    int64_t value = *ret_value;
    const enum tl_rc rc = tl_json_int(object, name, need, 0, UINT16_MAX, &value, err);

    if (rc == TL_OK) {
        *ret_value = (uint16_t)value;
    }
    return rc;
}

/* Height, width, channels. */
static enum tl_rc read_shape(struct tl_json_object *object, const char *name, uint16_t *ret_h, uint16_t *ret_w,
                             uint16_t *ret_c, struct tl_err *err)
{
    int64_t shape[3] = {0};
    size_t n = 0;
    const enum tl_rc rc = tl_json_ints(object, name, TL_REQUIRED, 3, 3, 1, NET_CHANNELS_MAX, shape, &n, err);

    if (rc) {
        return rc;
    }
    *ret_h = (uint16_t)shape[0];
    *ret_w = (uint16_t)shape[1];
    *ret_c = (uint16_t)shape[2];
    return TL_OK;
}

static enum tl_rc read_op(struct tl_json_object *object, struct net_op *ret_op, struct tl_err *err)
{
    struct net_op op = {.kernel = 1, .stride = 1};
    size_t kind = 0;
    size_t act = NET_ACT_NONE;
    int64_t skip_from = -1;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_choice(object, "kind", TL_REQUIRED, kind_names, NET_OP_KIND_COUNT, &kind, err)) ||
        (rc = read_shape(object, "in", &op.h_in, &op.w_in, &op.ci, err)) ||
        (rc = read_shape(object, "out", &op.h_out, &op.w_out, &op.co, err)) ||
        (rc = read_u16(object, "k", TL_OPTIONAL, &op.kernel, err)) ||
        (rc = read_u16(object, "s", TL_OPTIONAL, &op.stride, err)) ||
        (rc = tl_json_choice(object, "act", TL_OPTIONAL, act_names, NET_ACT_COUNT, &act, err)) ||
        (rc = tl_json_bool(object, "bn", TL_OPTIONAL, &op.batch_norm, err)) ||
        (rc = tl_json_bool(object, "bias", TL_OPTIONAL, &op.bias, err)) ||
        (rc = read_u16(object, "hidden", TL_OPTIONAL, &op.hidden, err)) ||
        (rc = tl_json_int(object, "skip_from", TL_OPTIONAL, 0, NET_OPS_MAX - 1, &skip_from, err)) ||
        (rc = tl_json_object_close(object, err))) {
        return rc;
    }
    op.kind = (enum net_op_kind)kind;
    op.act = (enum net_act)act;
    op.skip_from = (int16_t)skip_from;
    *ret_op = op;
    return TL_OK;
}

/* A block takes the next n_ops operators; net_check refuses when they are not there. */
static enum tl_rc read_block(struct tl_json_object *object, size_t first_op, struct net_block *ret_block,
                             struct tl_err *err)
{
    int64_t n_ops = 0;
    int64_t stage = 0;
    int64_t slot = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_int(object, "n_ops", TL_REQUIRED, 1, NET_OPS_MAX, &n_ops, err)) ||
        (rc = tl_json_int(object, "stage", TL_REQUIRED, -1, NET_SLOTS_MAX, &stage, err)) ||
        (rc = tl_json_int(object, "slot", TL_REQUIRED, -1, NET_SLOTS_MAX, &slot, err)) ||
        (rc = tl_json_object_close(object, err))) {
        return rc;
    }
    *ret_block = (struct net_block){
        .first_op = (uint16_t)first_op, .n_ops = (uint16_t)n_ops, .stage = (int8_t)stage, .slot = (int8_t)slot};
    return TL_OK;
}

static enum tl_rc read_ops(const struct tl_json_object *top, json_t *array, struct network *net, struct tl_err *err)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct tl_json_object object;
        enum tl_rc rc = tl_json_element(top, "ops", array, i, &object, err);
        if (rc || (rc = read_op(&object, &net->ops[i], err))) {
            return rc;
        }
    }
    net->n_ops = (uint16_t)json_array_size(array);
    return TL_OK;
}

static enum tl_rc read_blocks(const struct tl_json_object *top, json_t *array, struct network *net, struct tl_err *err)
{
    size_t next = 0;

    for (size_t b = 0; b < json_array_size(array); b++) {
        struct tl_json_object object;
        enum tl_rc rc = tl_json_element(top, "blocks", array, b, &object, err);
        if (rc || (rc = read_block(&object, next, &net->blocks[b], err))) {
            return rc;
        }
        const size_t end = next + net->blocks[b].n_ops;
        for (; next < end && next < net->n_ops; next++) {
            net->ops[next].block = (int16_t)b;
        }
        next = end;
    }
    net->n_blocks = (uint16_t)json_array_size(array);
    return TL_OK;
}

/* net_check, its pointer moved to where the network stands in the document. */
static enum tl_rc check_at(const struct network *net, const char *pointer, struct tl_err *err)
{
    struct tl_err found = {0};
    const enum tl_rc rc = net_check(net, &found);
    char at[sizeof found.pointer];

    if (rc == TL_OK) {
        return TL_OK;
    }
    (void)snprintf(at, sizeof at, "%.120s%.32s", pointer, found.pointer);
    return tl_fail_at(err, rc, at, "%s", found.text);
}

enum tl_rc net_decode(json_t *json, const char *pointer, struct network *ret_net, struct tl_err *err)
{
    struct network net = {0};
    struct tl_json_object top;
    json_t *ops = NULL;
    json_t *blocks = NULL;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_object_open(&top, json, pointer, err)) ||
        (rc = read_u16(&top, "resolution", TL_REQUIRED, &net.resolution, err)) ||
        (rc = tl_json_array(&top, "ops", TL_REQUIRED, 1, NET_OPS_MAX, &ops, err)) ||
        (rc = tl_json_array(&top, "blocks", TL_REQUIRED, 1, NET_BLOCKS_MAX, &blocks, err)) ||
        (rc = tl_json_object_close(&top, err)) || (rc = read_ops(&top, ops, &net, err)) ||
        (rc = read_blocks(&top, blocks, &net, err)) || (rc = check_at(&net, pointer, err))) {
        return rc;
    }
    *ret_net = net;
    return TL_OK;
}
