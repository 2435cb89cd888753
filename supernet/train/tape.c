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

/* What reads the output of operator i (its own, for what works in place, passed through); n_ops: nothing. */
static size_t reader_of(const struct network *net, size_t i)
{
    for (i++; i < net->n_ops && !is_layer(&net->ops[i]) && net->ops[i].kind != NET_MAX_POOL; i++) {
    }
    return i;
}

static size_t halo_for(const struct network *net, size_t reader)
{
    return reader < net->n_ops && is_layer(&net->ops[reader]) ? net->ops[reader].kernel / 2U : 0;
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
        if (net->ops[j].skip_from == (int)reader) {
            return true;
        }
    }
    return false;
}

/* What is kept of a forward pass besides z: the outputs of blocks, and what a residual adds. */
static bool is_kept(const struct network *net, size_t i)
{
    if (pool_follows(net, i) || i + 1U >= net->n_ops || net->ops[i].kind == NET_PROJECT) {
        return false;
    }
    return net->ops[i].act == NET_ACT_NONE || is_residual(net, reader_of(net, i)) || !net->ops[i].batch_norm;
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

/* Largest of what the largest network's operators need. */
struct needs {
    size_t tensor;           /* floats of the largest tensor with its halo */
    size_t side;             /* of a residual's z */
    size_t channels, inputs; /* of a layer, padded */
    size_t packed, kernel, cut, patches;
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
        if (op->kind == NET_PROJECT) {
            const struct k_shape z = z_shape(op, nb, lanes);
            most(&needs.side, tr_floats(&z));
        }
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
            most(&needs.inputs, tr_padded(inputs, lanes));
        }
        if (op->kernel > 1 && op->kind == NET_CONV) { /* the stem's for all images, the others' as there is room */
            most(&needs.patches, tr_patches_floats(&dz, i == 0 ? nb : 1, inputs, lanes));
            most(&needs.cut, i == 0 ? 0 : op->co * inputs);
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
    if (op->kind == NET_POOL) {
        tape->y_of[i] = take(taker, tape->nb * tr_padded(op->co, lanes));
        return;
    }
    if (op->kind == NET_ADD) {
        return;
    }
    const struct k_shape z = z_shape(op, tape->nb, lanes), y = y_shape(net, i, tape->nb, lanes);
    if (!tape->forward_only) {
        tape->z_of[i] = op->kind == NET_MAX_POOL ? NULL : take(taker, tr_floats(&z));
        tape->y_of[i] = is_kept(net, i) ? take(taker, tr_floats(&y)) : NULL;
    }
    tape->vectors_of[i] = op->kind == NET_MAX_POOL ? NULL : take(taker, UNIT_VECTORS * z.ld);
}

static void take_all(struct tape *tape, struct taker *taker)
{
    const struct network *net = &tape->net->largest;
    const size_t lanes = tape->engine.k->lanes;
    struct needs needs = needs_of(net, tape->nb, lanes);
    const struct k_shape input = input_shape(net, tape->nb);
    tape->input_memory = take(taker, tr_floats(&input));
    tape->scratch = take(taker, needs.tensor);
    for (size_t g = 0; g < (tape->forward_only ? 1 : TAPE_GRADIENTS); g++) {
        tape->gradients[g] = take(taker, needs.tensor);
    }
    for (size_t t = 0; t < TAPE_TURNS && tape->forward_only; t++) {
        tape->turns[t] = take(taker, needs.tensor);
    }
    tape->side = tape->forward_only ? take(taker, needs.side) : NULL;
    for (size_t i = 0; i < net->n_ops; i++) {
        take_unit(tape, taker, i);
    }
    tape->kernel = take(taker, needs.kernel);
    tape->packed_kernel = take(taker, needs.kernel);
    tape->kernel_gradient = take(taker, needs.kernel);
    tape->cut = take(taker, needs.cut);
    if (!tape->forward_only) {
        tape->patches = (struct tr_patches){.memory = take(taker, needs.patches), .floats = needs.patches};
    }
    tape->logits = take(taker, tape->nb * net->ops[net->n_ops - 1].co);
    tape->dlogits = take(taker, tape->nb * net->ops[net->n_ops - 1].co);
    tape->sums = take_bytes(taker, 2 * needs.channels * sizeof(double));
    tape->engine.partial = take(taker, (size_t)TR_TILES_MAX * 2 * needs.channels);
    tape->engine.packed = take(taker, needs.packed + 4 * lanes);
    most(&needs.inputs, needs.channels);
    tape->engine.zeros = take(taker, needs.inputs + lanes);
    tape->engine.ones = take(taker, needs.inputs + lanes);
    for (size_t i = 0; taker->arena != NULL && i < needs.inputs + lanes; i++) {
        tape->engine.ones[i] = 1.0F;
    }
}

enum tl_rc tape_new(const struct supernet *net, size_t nb, bool forward_only, struct tl_pool *pool,
                    struct tape **ret_tape, struct tl_err *err)
{
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

/* Memory for what is kept of operator i, which is operator `at` of the largest network. */
static float *kept(struct tape *tape, size_t i, size_t at)
{
    if (!is_kept(tape->sub, i)) {
        return NULL;
    }
    return tape->forward_only ? tape->turns[tape->turn++ % TAPE_TURNS] : tape->y_of[at];
}

static void bind_layer(struct tape *tape, struct tape_unit *unit, int from, size_t i)
{
    const struct net_op *op = &tape->sub->ops[i];
    const bool side = op->kind == NET_PROJECT;
    const size_t lanes = tape->engine.k->lanes, at = supernet_op(tape->net, tape->sub, i);
    const struct k_shape z = z_shape(op, tape->nb, lanes);
    float *once = side ? tape->side : tape->gradients[0], *vectors = tape->vectors_of[at];
    *unit = (struct tape_unit){.op = op,
                               .layer = &tape->net->layers[at][0],
                               .act = side ? K_NONE : act_of[op->act],
                               .batch_norm = op->batch_norm,
                               .from = from,
                               .residual = TAPE_NO_UNIT,
                               .z = tensor(tape->forward_only ? once : tape->z_of[at], z),
                               .y = tensor(kept(tape, i, at), y_shape(tape->sub, i, tape->nb, lanes)),
                               .scale = vectors,
                               .shift = vectors + z.ld,
                               .mean = vectors + 2 * z.ld,
                               .inverse = vectors + 3 * z.ld};
    memset(vectors, 0, UNIT_VECTORS * z.ld * sizeof(float));
}

static void bind_max_pool(struct tape *tape, struct tape_unit *unit, int from, size_t i)
{
    const size_t at = supernet_op(tape->net, tape->sub, i);
    *unit = (struct tape_unit){.op = &tape->sub->ops[i],
                               .from = from,
                               .residual = TAPE_NO_UNIT,
                               .y = tensor(kept(tape, i, at), y_shape(tape->sub, i, tape->nb, tape->engine.k->lanes))};
}

static void bind_pool(struct tape *tape, struct tape_unit *unit, size_t i)
{
    const struct net_op *op = &tape->sub->ops[i];
    const size_t at = supernet_op(tape->net, tape->sub, i);
    unit->pooled = true;
    unit->pool = tensor(tape->y_of[at], shape_of(tape->nb, 1, 1, op->co, 0, tape->engine.k->lanes));
}

/* The unit of a residual comes before its block, so that what it reads is still there, and its gradient last. */
static void bind_project(struct tape *tape, int begin, size_t i)
{
    struct tape_unit *side = &tape->units[begin];
    memmove(side + 1, side, (tape->n_units - (size_t)begin) * sizeof *side);
    tape->n_units++;
    for (size_t u = (size_t)begin + 1; u < tape->n_units; u++) {
        tape->units[u].from += tape->units[u].from >= begin;
    }
    bind_layer(tape, side, tape->units[begin + 1].from, i);
    tape->units[tape->n_units - 1].residual = begin;
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

static void bind_op(struct tape *tape, size_t i)
{
    const struct net_op *op = &tape->sub->ops[i];
    const int last = (int)tape->n_units - 1;
    if (is_layer(op)) {
        bind_layer(tape, &tape->units[tape->n_units++], last, i);
    } else if (op->kind == NET_MAX_POOL) {
        bind_max_pool(tape, &tape->units[tape->n_units++], last, i);
    } else if (op->kind == NET_SE) {
        bind_se(tape, &tape->units[last], i);
    } else if (op->kind == NET_POOL) {
        bind_pool(tape, &tape->units[last], i);
    } else {
        const int begin = unit_of(tape, &tape->sub->ops[op->skip_from]);
        tape->units[last].after = act_of[op->act];
        tape->units[last].residual = tape->units[begin].from;
        if (op->kind == NET_PROJECT) {
            bind_project(tape, begin, i);
        }
    }
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
        bind_op(tape, i);
    }
    return TL_OK;
}

size_t tape_features(const struct tape *tape)
{
    return tr_padded(tape->sub->ops[tape->sub->n_ops - 1].ci, tape->engine.k->lanes);
}
