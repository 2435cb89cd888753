/* onnx.c - a network, or a part of one, with its parameters as an ONNX model.
 *
 * Batch norm is folded into the convolutions before it; nodes and tensors are named by net_layer_name. Messages are put together in one arena and packed by protobuf-c.
 * Threads: see files.h.
 */
#include "onnx.pb-c.h"
#include "supernet/files/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IR_VERSION = 8,
    OPSET = 17,
    FLOAT = 1, /* TensorProto.DataType */
    NODES_AN_OP = 7,
    TENSORS_AN_OP = 4,
    ATTRIBUTES_MAX = 4,
    INPUTS_MAX = 3,
    DIMS_MAX = 4,
    NAME_BYTES = 64,
};

/* A model being put together. Everything is taken from the arena, which is sized for NET_OPS_MAX operators of the
 * largest kind, so that taking cannot fail. */
struct writer {
    const struct network *net;
    const struct net_params *params;
    struct tl_arena arena;
    Onnx__NodeProto **nodes;
    Onnx__TensorProto **tensors;
    size_t n_nodes, n_tensors;
    size_t batch;                       /* 0: symbolic */
    const char *value[NET_OPS_MAX + 1]; /* name of the input of each operator; [n_ops]: the output */
    bool has_bounds;                    /* the limits of ReLU6 are there */
};

static void *take(struct writer *writer, size_t n)
{
    return tl_arena_take(&writer->arena, n);
}

/* A name out of two parts. */
static char *text(struct writer *writer, const char *name, const char *what)
{
    char *copy = take(writer, NAME_BYTES);
    (void)snprintf(copy, NAME_BYTES, "%s%s", name, what);
    return copy;
}

/* ---- nodes --------------------------------------------------------------------------------------------------- */

static Onnx__NodeProto *add_node(struct writer *writer, const char *type, const char *name, const char *output)
{
    Onnx__NodeProto *node = take(writer, sizeof *node);
    onnx__node_proto__init(node);
    node->op_type = text(writer, type, "");
    node->name = text(writer, name, "");
    node->input = take(writer, INPUTS_MAX * sizeof *node->input);
    node->output = take(writer, sizeof *node->output);
    node->output[0] = text(writer, output, "");
    node->n_output = 1;
    node->attribute = take(writer, ATTRIBUTES_MAX * sizeof(Onnx__AttributeProto *));
    writer->nodes[writer->n_nodes++] = node;
    return node;
}

static void add_input(struct writer *writer, Onnx__NodeProto *node, const char *name)
{
    node->input[node->n_input++] = text(writer, name, "");
}

static Onnx__AttributeProto *add_attribute(struct writer *writer, Onnx__NodeProto *node, const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attribute = take(writer, sizeof *attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = text(writer, name, "");
    attribute->type = type;
    attribute->has_type = 1;
    node->attribute[node->n_attribute++] = attribute;
    return attribute;
}

static void add_int(struct writer *writer, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute = add_attribute(writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->i = value;
    attribute->has_i = 1;
}

static void add_float(struct writer *writer, Onnx__NodeProto *node, const char *name, float value)
{
    Onnx__AttributeProto *attribute = add_attribute(writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    attribute->f = value;
    attribute->has_f = 1;
}

/* n times the same number. */
static void add_ints(struct writer *writer, Onnx__NodeProto *node, const char *name, int64_t value, size_t n)
{
    Onnx__AttributeProto *attribute = add_attribute(writer, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->ints = take(writer, n * sizeof *attribute->ints);
    attribute->n_ints = n;
    for (size_t i = 0; i < n; i++) {
        attribute->ints[i] = value;
    }
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */

static float *add_tensor(struct writer *writer, const char *name, size_t rank, const size_t *shape)
{
    Onnx__TensorProto *tensor = take(writer, sizeof *tensor);
    size_t n = 1;
    onnx__tensor_proto__init(tensor);
    tensor->name = text(writer, name, "");
    tensor->data_type = FLOAT;
    tensor->has_data_type = 1;
    tensor->dims = take(writer, DIMS_MAX * sizeof *tensor->dims);
    tensor->n_dims = rank;
    for (size_t i = 0; i < rank; i++) {
        tensor->dims[i] = (int64_t)shape[i];
        n *= shape[i];
    }
    tensor->has_raw_data = 1;
    tensor->raw_data.len = n * sizeof(float);
    tensor->raw_data.data = take(writer, n * sizeof(float));
    writer->tensors[writer->n_tensors++] = tensor;
    return (float *)(void *)tensor->raw_data.data;
}

/* Weights (co, k, k, ci) to (co, ci, k, k). */
static void reorder(float *restrict to, const float *restrict from, size_t co, size_t taps, size_t ci)
{
    for (size_t o = 0; o < co; o++) {
        for (size_t t = 0; t < taps; t++) {
            for (size_t i = 0; i < ci; i++) {
                to[(o * ci + i) * taps + t] = from[(o * taps + t) * ci + i];
            }
        }
    }
}

/* A layer's folded weights and bias as NAME.weight and NAME.bias, read by `node` after its input. */
static void add_layer(struct writer *writer, Onnx__NodeProto *node, size_t op, unsigned which, const char *name)
{
    const struct net_layer *layer = &writer->params->layers[op][which];
    const struct net_op *of = &writer->net->ops[op];
    const size_t kernel = of->kernel, taps = kernel * kernel, ci = layer->inputs / taps;
    const size_t shape[] = {layer->co, ci, kernel, kernel};
    const bool linear = of->kind == NET_LINEAR;
    char *weight = text(writer, name, ".weight"), *bias = text(writer, name, ".bias");
    float *folded = take(writer, layer->co * layer->inputs * sizeof *folded);
    float *w = add_tensor(writer, weight, linear ? 2 : 4, shape);
    float *b = add_tensor(writer, bias, 1, shape);
    net_layer_fold(layer, writer->params->bn_eps, folded, b);
    reorder(w, folded, layer->co, taps, ci);
    add_input(writer, node, weight);
    add_input(writer, node, bias);
}

/* The limits of ReLU6, once. */
static void add_bounds(struct writer *writer)
{
    if (!writer->has_bounds) {
        *add_tensor(writer, "zero", 0, NULL) = 0.0F;
        *add_tensor(writer, "six", 0, NULL) = 6.0F;
        writer->has_bounds = true;
    }
}

/* ---- operators ----------------------------------------------------------------------------------------------- */

/* The activation of the value `input`; returns the name of the result. */
static const char *add_act(struct writer *writer, enum net_act act, const char *name, const char *input)
{
    static const char *const types[NET_ACT_COUNT] = {NULL, "Relu", "Clip", "HardSwish"};
    if (types[act] == NULL) {
        return input;
    }
    const char *output = text(writer, name, ".act.out");
    Onnx__NodeProto *node = add_node(writer, types[act], text(writer, name, ".act"), output);
    add_input(writer, node, input);
    if (act == NET_ACT_RELU6) {
        add_bounds(writer);
        add_input(writer, node, "zero");
        add_input(writer, node, "six");
    }
    return output;
}

static const char *add_conv(struct writer *writer, size_t op, unsigned which, const char *input)
{
    const struct net_op *of = &writer->net->ops[op];
    char name[NET_NAME_MAX];
    net_layer_name(writer->net, op, which, name);
    const char *output = text(writer, name, ".out");
    Onnx__NodeProto *node = add_node(writer, "Conv", name, output);
    add_input(writer, node, input);
    add_layer(writer, node, op, which, name);
    add_ints(writer, node, "kernel_shape", of->kernel, 2);
    add_ints(writer, node, "strides", of->stride, 2);
    add_ints(writer, node, "pads", of->kernel / 2, 4);
    add_int(writer, node, "group", of->kind == NET_DEPTHWISE ? of->co : 1);
    return of->kind == NET_SE ? output : add_act(writer, of->act, name, output);
}

static const char *add_simple(struct writer *writer, const char *type, const char *name, const char *a, const char *b)
{
    const char *output = text(writer, name, ".out");
    Onnx__NodeProto *node = add_node(writer, type, name, output);
    add_input(writer, node, a);
    if (b != NULL) {
        add_input(writer, node, b);
    }
    return output;
}

static const char *add_se(struct writer *writer, size_t op, const char *input)
{
    char reduce[NET_NAME_MAX], expand[NET_NAME_MAX];
    net_layer_name(writer->net, op, 0, reduce);
    net_layer_name(writer->net, op, 1, expand);
    const char *mean = add_simple(writer, "GlobalAveragePool", text(writer, reduce, ".mean"), input, NULL);
    const char *hidden = add_act(writer, NET_ACT_RELU, reduce, add_conv(writer, op, 0, mean));
    const char *gates =
        add_simple(writer, "HardSigmoid", text(writer, expand, ".gate"), add_conv(writer, op, 1, hidden), NULL);
    Onnx__NodeProto *sigmoid = writer->nodes[writer->n_nodes - 1];
    add_float(writer, sigmoid, "alpha", 1.0F / 6.0F);
    add_float(writer, sigmoid, "beta", 0.5F);
    return add_simple(writer, "Mul", text(writer, expand, ".scale"), input, gates);
}

static const char *add_linear(struct writer *writer, size_t op, const char *input)
{
    char name[NET_NAME_MAX];
    net_layer_name(writer->net, op, 0, name);
    const char *flat = add_simple(writer, "Flatten", text(writer, name, ".flatten"), input, NULL);
    Onnx__NodeProto *node = add_node(writer, "Gemm", name, "logits");
    add_input(writer, node, flat);
    add_layer(writer, node, op, 0, name);
    add_int(writer, node, "transB", 1);
    return "logits";
}

static const char *add_max_pool(struct writer *writer, size_t op, const char *name, const char *input)
{
    const struct net_op *of = &writer->net->ops[op];
    const char *output = add_simple(writer, "MaxPool", name, input, NULL);
    Onnx__NodeProto *node = writer->nodes[writer->n_nodes - 1];
    add_ints(writer, node, "kernel_shape", of->kernel, 2);
    add_ints(writer, node, "strides", of->stride, 2);
    add_ints(writer, node, "pads", of->kernel / 2, 4);
    return output;
}

/* A residual of another shape: averaged, through a 1x1 convolution, added. */
static const char *add_project(struct writer *writer, size_t op, const char *name, const char *input)
{
    const struct net_op *of = &writer->net->ops[op];
    const char *skip = writer->value[of->skip_from];
    if (of->stride > 1) {
        skip = add_simple(writer, "AveragePool", text(writer, name, ".mean"), skip, NULL);
        Onnx__NodeProto *pool = writer->nodes[writer->n_nodes - 1];
        add_ints(writer, pool, "kernel_shape", of->stride, 2);
        add_ints(writer, pool, "strides", of->stride, 2);
        add_int(writer, pool, "ceil_mode", 1);
    }
    const char *projected = text(writer, name, ".out");
    Onnx__NodeProto *conv = add_node(writer, "Conv", name, projected);
    add_input(writer, conv, skip);
    add_layer(writer, conv, op, 0, name);
    add_ints(writer, conv, "kernel_shape", 1, 2);
    return add_simple(writer, "Add", text(writer, name, ".add"), input, projected);
}

static const char *add_op(struct writer *writer, size_t op)
{
    const struct net_op *of = &writer->net->ops[op];
    const char *input = writer->value[op];
    char name[NET_NAME_MAX];
    net_layer_name(writer->net, op, 0, name);
    switch (of->kind) {
    case NET_CONV:
    case NET_DEPTHWISE:
        return add_conv(writer, op, 0, input);
    case NET_SE:
        return add_se(writer, op, input);
    case NET_ADD:
        return add_act(writer, of->act, name, add_simple(writer, "Add", name, input, writer->value[of->skip_from]));
    case NET_PROJECT:
        return add_act(writer, of->act, name, add_project(writer, op, name, input));
    case NET_MAX_POOL:
        return add_max_pool(writer, op, name, input);
    case NET_POOL:
        return add_simple(writer, "GlobalAveragePool", name, input, NULL);
    case NET_LINEAR:
        return add_linear(writer, op, input);
    case NET_OP_KIND_COUNT:
        break;
    }
    return input;
}

/* ---- the model ----------------------------------------------------------------------------------------------- */

/* A value of the graph's border: the batch, then `rank` - 1 sizes. */
static Onnx__ValueInfoProto *border(struct writer *writer, const char *name, size_t rank, const size_t *sizes)
{
    Onnx__ValueInfoProto *value = take(writer, sizeof *value);
    Onnx__TypeProto *type = take(writer, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = take(writer, sizeof *tensor);
    Onnx__TensorShapeProto *shape = take(writer, sizeof *shape);
    onnx__value_info_proto__init(value);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    shape->dim = take(writer, DIMS_MAX * sizeof(void *));
    shape->n_dim = rank;
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = take(writer, sizeof *dim);
        onnx__tensor_shape_proto__dimension__init(dim);
        if (i == 0 && writer->batch == 0) {
            dim->dim_param = text(writer, "batch", "");
        } else {
            dim->dim_value = (int64_t)(i == 0 ? writer->batch : sizes[i - 1]);
            dim->has_dim_value = 1;
        }
        shape->dim[i] = dim;
    }
    tensor->elem_type = FLOAT;
    tensor->has_elem_type = 1;
    tensor->shape = shape;
    type->tensor_type = tensor;
    value->name = text(writer, name, "");
    value->type = type;
    return value;
}

static void fill_graph(struct writer *writer, Onnx__GraphProto *graph)
{
    const struct network *net = writer->net;
    const struct net_op *first = &net->ops[0], *last = &net->ops[net->n_ops - 1];
    const size_t in[] = {first->ci, first->h_in, first->w_in}, out[] = {last->co, last->h_out, last->w_out};
    writer->value[0] = "input";
    for (size_t i = 0; i < net->n_ops; i++) {
        writer->value[i + 1] = add_op(writer, i);
    }
    graph->name = text(writer, "tailor", "");
    graph->node = writer->nodes;
    graph->n_node = writer->n_nodes;
    graph->initializer = writer->tensors;
    graph->n_initializer = writer->n_tensors;
    graph->input = take(writer, sizeof(void *));
    graph->output = take(writer, sizeof(void *));
    graph->n_input = graph->n_output = 1;
    graph->input[0] = border(writer, "input", 4, in);
    graph->output[0] = border(writer, writer->value[net->n_ops], last->kind == NET_LINEAR ? 2 : 4, out);
}

/* Keys and values are lent to the message, which only reads them. */
static char *lend(const char *text)
{
    return tl_unconst(text);
}

static void fill_metadata(struct writer *writer, Onnx__ModelProto *model, const struct st_pair *pairs, size_t n)
{
    model->metadata_props = take(writer, (n + 1) * sizeof(void *));
    for (size_t i = 0; i < n; i++) {
        Onnx__StringStringEntryProto *entry = take(writer, sizeof *entry);
        onnx__string_string_entry_proto__init(entry);
        entry->key = lend(pairs[i].key);
        entry->value = lend(pairs[i].value);
        model->metadata_props[model->n_metadata_props++] = entry;
    }
}

static enum tl_rc pack(struct writer *writer, const struct st_pair *pairs, size_t n_pairs, struct tl_buf *buf,
                       struct tl_err *err)
{
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto set = ONNX__OPERATOR_SET_ID_PROTO__INIT, *sets[] = {&set};
    fill_graph(writer, &graph);
    fill_metadata(writer, &model, pairs, n_pairs);
    set.domain = lend("");
    set.version = OPSET;
    set.has_version = 1;
    model.ir_version = IR_VERSION;
    model.has_ir_version = 1;
    model.producer_name = lend("tailor");
    model.producer_version = lend(TAILOR_VERSION);
    model.graph = &graph;
    model.opset_import = sets;
    model.n_opset_import = 1;
    const size_t n = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = malloc(n);
    if (bytes == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an ONNX model of %zu bytes", n);
    }
    onnx__model_proto__pack(&model, bytes);
    const enum tl_rc rc = tl_buf_add(buf, bytes, n, err);
    free(bytes);
    return rc;
}

/* Room for the messages of all operators, and twice their parameters: folded, and in ONNX' order. */
static size_t arena_bytes(const struct network *net, size_t n_pairs)
{
    const size_t node = 1024 + (size_t)2 * (INPUTS_MAX + 4 + ATTRIBUTES_MAX) * NAME_BYTES + 4096;
    uint64_t params = 0;
    for (size_t i = 0; i < net->n_ops; i++) {
        params += net_op_params(&net->ops[i]) + 2 * (uint64_t)net->ops[i].co + net->ops[i].hidden + 64;
    }
    return ((size_t)net->n_ops + 4) * NODES_AN_OP * node + 2 * (size_t)params * sizeof(float) + (n_pairs + 64) * 256;
}

enum tl_rc onnx_encode_batch(const struct network *net, const struct net_params *params, size_t batch,
                             const struct st_pair *pairs, size_t n_pairs, struct tl_buf *buf, struct tl_err *err)
{
    if (net->n_ops == 0) {
        return tl_fail(err, TL_INVALID, "a network without operators cannot be written as ONNX");
    }
    struct writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an ONNX model");
    }
    writer->net = net;
    writer->params = params;
    writer->batch = batch;
    enum tl_rc rc = tl_arena_init(&writer->arena, arena_bytes(net, n_pairs), err);
    if (rc == TL_OK) {
        writer->nodes = take(writer, ((size_t)net->n_ops * NODES_AN_OP) * sizeof(void *));
        writer->tensors = take(writer, ((size_t)net->n_ops * TENSORS_AN_OP + 2) * sizeof(void *));
        rc = pack(writer, pairs, n_pairs, buf, err);
    }
    tl_arena_done(&writer->arena);
    free(writer);
    return rc;
}

enum tl_rc onnx_encode(const struct network *net, const struct net_params *params, const struct st_pair *pairs,
                       size_t n_pairs, struct tl_buf *buf, struct tl_err *err)
{
    return onnx_encode_batch(net, params, 0, pairs, n_pairs, buf, err);
}
