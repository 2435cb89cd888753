/* tape.c - a tape's memory, and the binding of a sub-network to it. */
#include "supernet/train/tape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const enum k_act act_of[NET_ACT_COUNT] = {
    [NET_ACT_NONE] = K_NONE,
    [NET_ACT_RELU] = K_RELU,
    [NET_ACT_RELU6] = K_RELU6,
    [NET_ACT_HSWISH] = K_HSWISH,
};

/* ---- shapes -------------------------------------------------------------------------------------------------- */

static bool is_layer(const struct net_op *op)
{
    return op->kind == NET_CONV || op->kind == NET_DEPTHWISE || op->kind == NET_LINEAR;
}

/* The layer that reads what operator i makes (its own, for a NET_SE or NET_ADD, passed through); n_ops: none. */
static size_t reader_of(const struct network *net, size_t i)
{
    for (i++; i < net->n_ops && !is_layer(&net->ops[i]); i++) {
    }
    return i;
}

static size_t halo_for(const struct network *net, size_t reader)
{
    return reader < net->n_ops ? net->ops[reader].kernel / 2U : 0;
}

static struct k_shape shape_of(size_t nb, size_t h, size_t w, size_t c, size_t halo, size_t lanes)
{
    const size_t ld = tr_padded(c, lanes);
    return (struct k_shape){.nb = nb, .h = h, .w = w, .c = c, .ld = ld, .row = (w + halo) * ld, .halo = halo};
}

static struct k_shape z_shape(const struct net_op *op, size_t nb, size_t lanes)
{
    return shape_of(nb, op->h_out, op->w_out, op->co, 0, lanes);
}

/* The batch as the stem reads it: no padding between pixels. */
static struct k_shape input_shape(const struct network *net, size_t nb)
{
    const struct net_op *stem = &net->ops[0];
    const size_t halo = stem->kernel / 2U;
    return (struct k_shape){.nb = nb,
                            .h = stem->h_in,
                            .w = stem->w_in,
                            .c = stem->ci,
                            .ld = stem->ci,
                            .row = (stem->w_in + halo) * stem->ci,
                            .halo = halo};
}

static bool pool_follows(const struct network *net, size_t i)
{
    return i + 1U < net->n_ops && net->ops[i + 1].kind == NET_POOL;
}

static struct k_shape y_shape(const struct network *net, size_t i, size_t nb, size_t lanes)
{
    const struct net_op *op = &net->ops[i];
    const size_t halo = pool_follows(net, i) ? 0 : halo_for(net, reader_of(net, i));
    return shape_of(nb, op->h_out, op->w_out, op->co, halo, lanes);
}

/* Whether someone adds the input of operator `reader` later. */
static bool is_residual(const struct network *net, size_t reader)
{
    for (size_t j = 0; j < net->n_ops; j++) {
        if (net->ops[j].kind == NET_ADD && net->ops[j].skip_from == (int)reader) {
            return true;
        }
    }
    return false;
}

/* What is kept of a forward pass besides z: the outputs of blocks, and what a residual adds. */
static bool is_kept(const struct network *net, size_t i)
{
    if (pool_follows(net, i) || i + 1U >= net->n_ops) {
        return false;
    }
    return net->ops[i].act == NET_ACT_NONE || is_residual(net, reader_of(net, i)) || !net->ops[i].batch_norm;
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

/* Largest of what the largest network's operators need. */
struct needs {
    size_t tensor; /* floats of the largest tensor with its halo */
    size_t channels, packed, kernel, patches;
};

static void most(size_t *at, size_t n)
{
    *at = n > *at ? n : *at;
}

static struct needs needs_of(const struct network *net, size_t nb, size_t lanes)
{
    struct needs needs = {0};
    for (size_t i = 0; i < net->n_ops; i++) {
        const struct net_op *op = &net->ops[i];
        if (!is_layer(op)) {
            most(&needs.packed, tr_padded(op->hidden, lanes) * tr_padded(op->ci, lanes));
            most(&needs.patches, nb * tr_padded(op->ci, lanes));
            continue;
        }
        struct k_shape y = y_shape(net, i, nb, lanes), dz = z_shape(op, nb, lanes);
        dz = shape_of(nb, dz.h, dz.w, dz.c, op->kernel / 2U, lanes);
        most(&needs.tensor, tr_floats(&y));
        most(&needs.tensor, tr_floats(&dz));
        most(&needs.channels, y.ld);
        const size_t inputs = net_layer_of(op, 0).inputs;
        if (op->kind == NET_DEPTHWISE) {
            most(&needs.kernel, y.ld * inputs);
        } else {
            most(&needs.packed, tr_padded(inputs, lanes) * y.ld);
        }
        if (op->kernel > 1 && op->kind == NET_CONV) {
            most(&needs.patches, tr_patches_floats(&dz, inputs, lanes));
        }
    }
    return needs;
}

/* The arena is walked twice with the same calls: once to size it, once to take from it. */
struct taker {
    struct tl_arena *arena; /* NULL: only count */
    size_t bytes;
};

static void *take_bytes(struct taker *taker, size_t n)
{
    taker->bytes += tl_arena_room(n);
    return taker->arena == NULL ? NULL : tl_arena_take(taker->arena, n);
}

static float *take(struct taker *taker, size_t floats)
{
    return take_bytes(taker, floats * sizeof(float));
}

enum { UNIT_VECTORS = 4, SE_TENSORS = 5 };

static void take_unit(struct tape *tape, struct taker *taker, size_t i)
{
    const struct network *net = &tape->net->largest;
    const struct net_op *op = &net->ops[i];
    const size_t lanes = tape->engine.k->lanes;
    if (op->kind == NET_SE) {
        tape->se_of[i] = take(taker, SE_TENSORS * tape->nb * tr_padded(op->ci, lanes));
        return;
    }
    if (!is_layer(op)) {
        tape->y_of[i] = op->kind == NET_POOL ? take(taker, tape->nb * tr_padded(op->co, lanes)) : NULL;
        return;
    }
    const struct k_shape z = z_shape(op, tape->nb, lanes), y = y_shape(net, i, tape->nb, lanes);
    tape->z_of[i] = tape->forward_only ? tape->gradients[0] : take(taker, tr_floats(&z)); /* read once, then free */
    tape->y_of[i] = is_kept(net, i) ? take(taker, tr_floats(&y)) : NULL;
    tape->vectors_of[i] = take(taker, UNIT_VECTORS * z.ld);
}

static void take_all(struct tape *tape, struct taker *taker)
{
    const struct network *net = &tape->net->largest;
    const size_t lanes = tape->engine.k->lanes;
    const struct needs needs = needs_of(net, tape->nb, lanes);
    const struct k_shape input = input_shape(net, tape->nb);
    tape->input_memory = take(taker, tr_floats(&input));
    tape->scratch = take(taker, needs.tensor);
    for (size_t g = 0; g < (tape->forward_only ? 1 : TAPE_GRADIENTS); g++) {
        tape->gradients[g] = take(taker, needs.tensor);
    }
    for (size_t i = 0; i < net->n_ops; i++) {
        take_unit(tape, taker, i);
    }
    tape->kernel = take(taker, needs.kernel);
    tape->packed_kernel = take(taker, needs.kernel);
    tape->kernel_gradient = take(taker, needs.kernel);
    tape->patches = tape->forward_only ? NULL : take(taker, needs.patches);
    tape->logits = take(taker, tape->nb * net->ops[net->n_ops - 1].co);
    tape->dlogits = take(taker, tape->nb * net->ops[net->n_ops - 1].co);
    tape->sums = take_bytes(taker, 2 * needs.channels * sizeof(double));
    tape->engine.partial = take(taker, (size_t)TR_TILES_MAX * 2 * needs.channels);
    tape->engine.packed = take(taker, needs.packed + 4 * lanes);
    tape->engine.zeros = take(taker, needs.channels + lanes);
}

enum tl_rc tape_new(const struct supernet *net, size_t nb, bool forward_only, struct tl_pool *pool,
                    struct tape **ret_tape, struct tl_err *err)
{
    if (net->family.bottleneck) {
        return tl_fail(err, TL_INVALID,
                       "a supernet of %s cannot be trained, calibrated or evaluated: its blocks are bottlenecks, which "
                       "have no backward pass and no batch statistics here; tailor convert, run and export work on it, "
                       "without --data, with the running statistics that its file holds",
                       net->family.name);
    }
    struct tape *tape = calloc(1, sizeof *tape);
    struct network *sub = calloc(1, sizeof *sub);
    struct tape_unit *units = calloc(net->largest.n_ops, sizeof *units);
    enum tl_rc rc = TL_OK;
    if (tape == NULL || sub == NULL || units == NULL) {
        free(tape), free(sub), free(units);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a tape");
    }
    *tape = (struct tape){.net = net,
                          .nb = nb,
                          .forward_only = forward_only,
                          .sub = sub,
                          .units = units,
                          .engine = {.k = k_table_best(), .g = k_gradient_best(), .pool = pool}};
    struct taker taker = {0};
    take_all(tape, &taker);
    if ((rc = tl_arena_init(&tape->arena, taker.bytes, err))) {
        tape_free(tape);
        return rc;
    }
    taker.arena = &tape->arena;
    take_all(tape, &taker);
    *ret_tape = tape;
    return TL_OK;
}

void tape_free(struct tape *tape)
{
    if (tape != NULL) {
        tl_arena_done(&tape->arena);
        free(tape->sub);
        free(tape->units);
        free(tape);
    }
}

size_t tape_bytes(const struct tape *tape)
{
    return tape->arena.size;
}

/* ---- binding ------------------------------------------------------------------------------------------------- */

static struct tr_tensor tensor(float *memory, struct k_shape shape)
{
    return (struct tr_tensor){.data = memory == NULL ? NULL : memory + shape.halo * shape.ld, .shape = shape};
}

static void bind_se(struct tape *tape, struct tape_unit *unit, size_t i)
{
    const size_t lanes = tape->engine.k->lanes, nb = tape->nb, at = supernet_op(tape->net, tape->sub, i);
    const struct net_op *op = &tape->sub->ops[i];
    const struct k_shape wide = shape_of(nb, 1, 1, op->ci, 0, lanes), narrow = shape_of(nb, 1, 1, op->hidden, 0, lanes);
    const size_t each = nb * tr_padded(tape->net->largest.ops[at].ci, lanes);
    float *memory = tape->se_of[at];
    unit->has_se = true;
    unit->se = (struct tape_se){.squeeze = &tape->net->layers[at][0],
                                .back = &tape->net->layers[at][1],
                                .mean = tensor(memory, wide),
                                .z1 = tensor(memory + each, narrow),
                                .hidden = tensor(memory + 2 * each, narrow),
                                .z2 = tensor(memory + 3 * each, wide),
                                .gates = tensor(memory + 4 * each, wide)};
}

static void bind_layer(struct tape *tape, struct tape_unit *unit, size_t i)
{
    const struct net_op *op = &tape->sub->ops[i];
    const size_t lanes = tape->engine.k->lanes, at = supernet_op(tape->net, tape->sub, i);
    const struct k_shape z = z_shape(op, tape->nb, lanes);
    *unit = (struct tape_unit){
        .op = op,
        .layer = &tape->net->layers[at][0],
        .act = act_of[op->act],
        .depthwise = op->kind == NET_DEPTHWISE,
        .batch_norm = op->batch_norm,
        .residual = TAPE_NO_UNIT,
        .z = tensor(tape->z_of[at], z),
        .y = tensor(is_kept(tape->sub, i) ? tape->y_of[at] : NULL, y_shape(tape->sub, i, tape->nb, lanes)),
        .scale = tape->vectors_of[at],
        .shift = tape->vectors_of[at] + z.ld,
        .mean = tape->vectors_of[at] + 2 * z.ld,
        .inverse = tape->vectors_of[at] + 3 * z.ld};
    memset(unit->scale, 0, UNIT_VECTORS * z.ld * sizeof(float));
}

static void bind_pool(struct tape *tape, struct tape_unit *unit, size_t i)
{
    const struct net_op *op = &tape->sub->ops[i];
    const size_t at = supernet_op(tape->net, tape->sub, i);
    unit->pooled = true;
    unit->pool = tensor(tape->y_of[at], shape_of(tape->nb, 1, 1, op->co, 0, tape->engine.k->lanes));
}

static int unit_of(const struct tape *tape, const struct net_op *op)
{
    for (size_t u = 0; u < tape->n_units; u++) {
        if (tape->units[u].op == op) {
            return (int)u;
        }
    }
    return TAPE_NO_UNIT;
}

enum tl_rc tape_bind(struct tape *tape, const struct net_pick *pick, struct tl_err *err)
{
    const enum tl_rc rc = net_build(&tape->net->family, pick, tape->sub, err);
    if (rc) {
        return rc;
    }
    tape->input = tensor(tape->input_memory, input_shape(tape->sub, tape->nb));
    tape->n_units = 0;
    for (size_t i = 0; i < tape->sub->n_ops; i++) {
        const struct net_op *op = &tape->sub->ops[i];
        struct tape_unit *last = &tape->units[tape->n_units > 0 ? tape->n_units - 1 : 0];
        if (is_layer(op)) {
            bind_layer(tape, &tape->units[tape->n_units++], i);
        } else if (op->kind == NET_SE) {
            bind_se(tape, last, i);
        } else if (op->kind == NET_POOL) {
            bind_pool(tape, last, i);
        } else {
            last->residual = unit_of(tape, &tape->sub->ops[op->skip_from]);
        }
    }
    return TL_OK;
}

size_t tape_features(const struct tape *tape)
{
    return tr_padded(tape->sub->ops[tape->sub->n_ops - 1].ci, tape->engine.k->lanes);
}
