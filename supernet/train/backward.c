/* backward.c - a tape backward: from the gradient of the logits to that of every parameter the sub-network has.
 *
 * Gradients travel through four tensors of the largest size: one that a unit makes of its input waits for the unit that
 * made that input. A block with a residual sends the gradient of its output there too; what comes second takes it in.
 */
#include "supernet/train/pass.h"

#include <math.h>
#include <string.h>

/* The gradient of a unit's output. */
struct parcel {
    struct tr_tensor d; /* data NULL: none */
    int unit;
};

/* The gradient tensors in use, and those that wait. */
struct back {
    const struct tape *tape;
    float *grads;         /* NULL: those of the parameters are not asked for */
    const float *targets; /* statistics to be matched; NULL: none */
    double distance;      /* from them, so far */
    bool busy[TAPE_GRADIENTS];
    struct parcel parcels[TAPE_GRADIENTS];
};

static struct tr_tensor take(struct back *back, struct k_shape shape)
{
    size_t g = 0;
    while (back->busy[g]) {
        g++;
    }
    back->busy[g] = true;
    return (struct tr_tensor){.data = back->tape->gradients[g] + shape.halo * shape.ld, .shape = shape};
}

static void release(struct back *back, const struct tr_tensor *tensor)
{
    for (size_t g = 0; g < TAPE_GRADIENTS; g++) {
        if (tensor->data == back->tape->gradients[g] + tensor->shape.halo * tensor->shape.ld) {
            back->busy[g] = false;
        }
    }
}

static void send(struct back *back, int unit, struct tr_tensor d)
{
    size_t p = 0;
    while (back->parcels[p].d.data != NULL) {
        p++;
    }
    back->parcels[p] = (struct parcel){.d = d, .unit = unit};
}

/* What waits for a unit, taken out; data NULL: nothing. */
static struct tr_tensor receive(struct back *back, int unit)
{
    for (size_t p = 0; p < TAPE_GRADIENTS; p++) {
        if (back->parcels[p].d.data != NULL && back->parcels[p].unit == unit) {
            const struct tr_tensor d = back->parcels[p].d;
            back->parcels[p].d.data = NULL;
            return d;
        }
    }
    return (struct tr_tensor){0};
}

/* The shape without halo, or with another. */
static struct k_shape with_halo(struct k_shape shape, size_t halo)
{
    shape.halo = halo;
    shape.row = (shape.w + halo) * shape.ld;
    return shape;
}

static void add_bias(const struct back *back, const struct supernet_layer *layer, const struct tr_tensor *dz, size_t c)
{
    for (size_t n = 0; n < dz->shape.nb && back->grads != NULL; n++) {
        for (size_t i = 0; i < c; i++) {
            back->grads[layer->bias + i] += dz->data[n * dz->shape.ld + i];
        }
    }
}

static void add_weights(const struct back *back, const struct supernet_layer *layer, const struct tr_weights *w,
                        const struct tr_tensor *dz, const struct tr_tensor *x)
{
    if (back->grads != NULL) {
        tr_conv_weights(&back->tape->engine, back->grads + layer->w, w, dz, x);
    }
}

/* ---- squeeze-and-excitation ---------------------------------------------------------------------------------- */

/* d = d * act'(z) where the activation is a ReLU or, for gates, a hard sigmoid. */
static void hidden_gradient(const struct tr_tensor *d, const struct tr_tensor *z, bool gates)
{
    for (size_t i = 0; i < z->shape.nb * z->shape.ld; i++) {
        const float v = z->data[i];
        const float slope = gates ? (v > -3.0F && v < 3.0F ? 1.0F / 6.0F : 0.0F) : (v > 0.0F ? 1.0F : 0.0F);
        d->data[i] *= slope;
    }
}

static void scale_all(const struct tr_tensor *x, float by)
{
    for (size_t i = 0; i < x->shape.nb * x->shape.ld; i++) {
        x->data[i] *= by;
    }
}

/* dy of y = a * gates(a), in place, becomes da. The tensors of the forward pass are overwritten as they are used up:
 * z2 by its gradient, z1 likewise, mean by its own. */
static void back_se(const struct back *back, struct tape_unit *unit, const struct tr_tensor *dy)
{
    const struct tape *tape = back->tape;
    const struct tape_se *se = &unit->se;
    const size_t c = unit->op->co, hidden = se->hidden.shape.c;
    const struct tr_weights squeeze = pass_weights(tape, se->squeeze, hidden, c);
    const struct tr_weights expand = pass_weights(tape, se->back, c, hidden);
    unit->has_se = false;
    pass_make(tape, unit);
    unit->has_se = true;
    const struct tr_tensor a = pass_output(tape, unit);
    const struct tr_tensor dgates = {.data = tape->patches.memory, .shape = se->gates.shape};
    tr_dots(&tape->engine, dgates.data, dgates.shape.ld, dy, &a);
    hidden_gradient(&dgates, &se->z2, true);
    add_bias(back, se->back, &dgates, c);
    add_weights(back, se->back, &expand, &dgates, &se->hidden);
    tr_conv_input(&tape->engine, &se->hidden, &dgates, &expand, NULL);
    hidden_gradient(&se->hidden, &se->z1, false);
    add_bias(back, se->squeeze, &se->hidden, hidden);
    add_weights(back, se->squeeze, &squeeze, &se->hidden, &se->mean);
    tr_conv_input(&tape->engine, &se->mean, &se->hidden, &squeeze, NULL);
    scale_all(&se->mean, 1.0F / (float)(dy->shape.h * dy->shape.w));
    tr_gate(&tape->engine, dy, dy, se->gates.data, se->mean.data, se->gates.shape.ld);
}

/* ---- batch norm and activation ------------------------------------------------------------------------------- */

/* The gradient through batch norm is a[c] * g + b[c] * z + k[c]. */
struct coefficients {
    float *a, *b, *k;
};

static void norm_coefficients(const struct back *back, const struct tape_unit *unit, const struct coefficients *of)
{
    const struct tape *tape = back->tape;
    const double n = (double)(unit->z.shape.nb * unit->z.shape.h * unit->z.shape.w);
    for (size_t c = 0; c < unit->op->co; c++) {
        const double inverse = (double)unit->inverse[c], dgamma = tape->sums[unit->z.shape.ld + c] * inverse;
        const double gain = (double)tape->net->params[unit->layer->gamma + c] * inverse;
        const double slope = -gain * inverse * dgamma / n;
        if (back->grads != NULL) {
            back->grads[unit->layer->gamma + c] += (float)dgamma;
            back->grads[unit->layer->beta + c] += (float)tape->sums[c];
        }
        of->a[c] = (float)gain;
        of->b[c] = (float)slope;
        of->k[c] = (float)(-gain * tape->sums[c] / n - slope * (double)unit->mean[c]);
    }
}

/* What the distance of this layer's statistics from their targets adds; it is linear in z as well. */
static void match_coefficients(struct back *back, const struct tape_unit *unit, const struct coefficients *of)
{
    const double eps = (double)back->tape->net->family.bn_eps, channels = (double)unit->op->co;
    const double n = (double)(unit->z.shape.nb * unit->z.shape.h * unit->z.shape.w);
    for (size_t c = 0; c < unit->op->co; c++) {
        const double mean = (double)unit->mean[c], deviation = 1.0 / (double)unit->inverse[c];
        const double wanted = sqrt((double)back->targets[unit->layer->variance + c] + eps);
        const double off = mean - (double)back->targets[unit->layer->mean + c], ratio = deviation / wanted - 1.0;
        const double level = 2.0 * off / (wanted * wanted * n * channels);
        const double slope = 2.0 * ratio / (wanted * deviation * n * channels);
        back->distance += (off * off / (wanted * wanted) + ratio * ratio) / channels;
        of->b[c] += (float)slope;
        of->k[c] += (float)(level - slope * mean);
    }
}

/* dy to dz, in place where the layer needs no halo around dz. */
static struct tr_tensor back_affine(struct back *back, struct tape_unit *unit, const struct tr_tensor *dy, bool keep_dy)
{
    const struct tape *tape = back->tape;
    const struct k_affine affine = pass_affine(unit);
    const size_t ld = unit->z.shape.ld, halo = unit->op->kind == NET_DEPTHWISE ? unit->op->kernel / 2U : 0;
    float *memory = tape->engine.partial;
    const struct coefficients of = {.a = memory, .b = memory + ld, .k = memory + 2 * ld};
    if (unit->batch_norm) {
        tr_affine_sums(&tape->engine, tape->sums, dy, &affine, unit->mean);
    }
    memset(memory, 0, 3 * ld * sizeof *memory);
    if (unit->batch_norm) {
        norm_coefficients(back, unit, &of);
    }
    if (unit->batch_norm && back->targets != NULL) {
        match_coefficients(back, unit, &of);
    }
    for (size_t c = 0; c < unit->op->co && !unit->batch_norm; c++) {
        of.a[c] = 1.0F;
    }
    struct tr_tensor dz = *dy;
    if (keep_dy || halo > 0) {
        dz = take(back, with_halo(unit->z.shape, halo));
    }
    tr_affine_gradient(&tape->engine, &dz, dy, &affine, of.a, of.b, of.k);
    return dz;
}

/* The gradient of what follows an addition, in place. */
static void back_after(const struct back *back, const struct tape_unit *unit, const struct tr_tensor *dy)
{
    const struct tr_engine *engine = &back->tape->engine;
    const struct tr_tensor sum = pass_sum(back->tape, unit);
    const struct k_affine affine = {
        .z = sum.data, .z_shape = &sum.shape, .scale = engine->ones, .shift = engine->zeros, .act = unit->after};
    tr_affine_gradient(engine, dy, dy, &affine, engine->ones, engine->zeros, engine->zeros);
}

/* ---- layers -------------------------------------------------------------------------------------------------- */

/* Unit u's input, made again where it was not kept. */
static struct tr_tensor input_again(const struct tape *tape, size_t u)
{
    const struct tape_unit *unit = &tape->units[u], *before = unit->from < 0 ? NULL : &tape->units[unit->from];
    if (before != NULL && !before->pooled && before->y.data == NULL) {
        pass_make(tape, before);
    }
    const struct tr_tensor x = pass_input(tape, u);
    return pass_averages(unit) ? pass_average(tape, unit, &x) : x;
}

static void back_depthwise_weights(const struct back *back, const struct tape_unit *unit, const struct tr_tensor *dz,
                                   const struct tr_tensor *x)
{
    const struct tape *tape = back->tape;
    const size_t lanes = tape->engine.k->lanes, taps = (size_t)unit->op->kernel * unit->op->kernel;
    float *dw = tape->kernel_gradient;
    memset(dw, 0, unit->z.shape.ld * taps * sizeof *dw);
    tr_depthwise_weights(&tape->engine, dw, dz, x, unit->op->kernel, unit->op->stride);
    for (size_t c = 0; c < unit->op->co; c++) {
        for (size_t t = 0; t < taps; t++) {
            tape->kernel[c * taps + t] = dw[(c / lanes * taps + t) * lanes + c % lanes];
        }
    }
    supernet_kernel_gradient(tape->net, unit->layer, unit->op->kernel, unit->op->co, tape->kernel, back->grads);
}

/* The gradient of cut_weights, where tape->cut holds that of the cut ones. */
static void add_cut(const struct back *back, const struct tape_unit *unit)
{
    const size_t taps = (size_t)unit->op->kernel * unit->op->kernel, ci = unit->op->ci, of = unit->layer->inputs / taps;
    float *to = back->grads + unit->layer->w;
    for (size_t i = 0; i < unit->op->co * taps; i++) {
        for (size_t c = 0; c < ci; c++) {
            to[i * of + c] += back->tape->cut[i * ci + c];
        }
    }
}

static void back_full_weights(const struct back *back, const struct tape_unit *unit, const struct tr_tensor *dz,
                              const struct tr_tensor *x)
{
    const struct tape *tape = back->tape;
    const struct net_op *op = unit->op;
    const size_t inputs = (size_t)op->kernel * op->kernel * op->ci;
    const struct tr_weights w = {.ldw = inputs, .co = op->co, .inputs = inputs};
    const bool cut = inputs < unit->layer->inputs;
    if (cut) {
        memset(tape->cut, 0, op->co * inputs * sizeof *tape->cut);
    }
    tr_patches_weights(&tape->engine, cut ? tape->cut : back->grads + unit->layer->w, &w, dz, x, op->kernel, op->stride,
                       &tape->patches);
    if (cut) {
        add_cut(back, unit);
    }
}

static void back_weights(const struct back *back, size_t u, const struct tr_tensor *dz)
{
    const struct tape *tape = back->tape;
    const struct tape_unit *unit = &tape->units[u];
    const struct net_op *op = unit->op;
    if (back->grads == NULL) {
        return;
    }
    const struct tr_tensor x = input_again(tape, u);
    if (op->kind == NET_DEPTHWISE) {
        back_depthwise_weights(back, unit, dz, &x);
    } else if (op->kernel > 1) {
        back_full_weights(back, unit, dz, &x);
    } else {
        const struct tr_weights w = pass_unit_weights(tape, unit);
        tr_conv_weights(&tape->engine, back->grads + unit->layer->w, &w, dz, &x);
    }
    if (op->bias) {
        add_bias(back, unit->layer, dz, op->co);
    }
}

/* The gradient of unit u's input; *joined is added where the kernel can, and its data then NULL. */
static struct tr_tensor back_layer(struct back *back, size_t u, const struct tr_tensor *dz, struct tr_tensor *joined)
{
    const struct tape *tape = back->tape;
    const struct tape_unit *unit = &tape->units[u];
    const struct net_op *op = unit->op;
    const struct tr_tensor x = pass_input(tape, u);
    const struct tr_tensor dx = take(back, with_halo(x.shape, 0));
    if (op->kind == NET_DEPTHWISE) {
        pass_pack_kernel(tape, unit);
        tr_depthwise_input(&tape->engine, &dx, dz, tape->packed_kernel, op->kernel, op->stride);
        return dx;
    }
    const struct tr_weights w = pass_unit_weights(tape, unit);
    if (op->kernel > 1) {
        tr_patches_input(&tape->engine, &dx, &w, dz, op->kernel, op->stride, &tape->patches);
        return dx;
    }
    tr_conv_input(&tape->engine, &dx, dz, &w, joined->data == NULL ? NULL : joined);
    release(back, joined);
    joined->data = NULL;
    return dx;
}

/* The gradient of unit u's input, sent to the unit that made it, with what waits there already. */
static void back_input(struct back *back, size_t u, const struct tr_tensor *dz)
{
    const int from = back->tape->units[u].from;
    struct tr_tensor joined = receive(back, from);
    const struct tr_tensor dx = back_layer(back, u, dz, &joined);
    if (joined.data != NULL) {
        tr_add(&back->tape->engine, &dx, &dx, &joined);
        release(back, &joined);
    }
    send(back, from, dx);
}

/* The same of a unit that averages its input: the block has sent what the average's gradient is added to. */
static void back_average(struct back *back, size_t u, const struct tr_tensor *dz)
{
    const struct tape *tape = back->tape;
    const struct tape_unit *unit = &tape->units[u];
    const struct tr_weights w = pass_unit_weights(tape, unit);
    const struct tr_tensor dx = receive(back, unit->from);
    struct k_shape shape = dz->shape;
    shape.c = unit->op->hidden;
    shape.ld = dx.shape.ld;
    const struct tr_tensor mean = take(back, with_halo(shape, 0));
    tr_conv_input(&tape->engine, &mean, dz, &w, NULL);
    tr_pool_average_input(&tape->engine, &dx, &mean, unit->op->stride);
    release(back, &mean);
    send(back, unit->from, dx);
}

static void back_max_pool(struct back *back, size_t u, const struct tr_tensor *dy)
{
    const struct tape_unit *unit = &back->tape->units[u];
    const struct tr_tensor x = input_again(back->tape, u);
    const struct tr_tensor dx = take(back, with_halo(x.shape, 0));
    tr_pool_max_input(&back->tape->engine, &dx, dy, &x, unit->op->kernel, unit->op->stride);
    send(back, unit->from, dx);
}

/* From the gradient of a pooled map to that of the map. */
static struct tr_tensor back_pool(struct back *back, const struct tape_unit *unit, const struct tr_tensor *dpool)
{
    const struct tr_tensor dy = take(back, unit->z.shape);
    scale_all(dpool, 1.0F / (float)(dy.shape.h * dy.shape.w));
    tr_gate(&back->tape->engine, &dy, NULL, NULL, dpool->data, dpool->shape.ld);
    release(back, dpool);
    return dy;
}

/* Unit u backward: from the gradient of its output to that of its z. */
static struct tr_tensor back_unit(struct back *back, size_t u, struct tr_tensor dy)
{
    struct tape_unit *unit = &back->tape->units[u];
    const bool residual = unit->residual != TAPE_NO_UNIT;
    if (unit->pooled) {
        dy = back_pool(back, unit, &dy);
    }
    if (unit->after != K_NONE) {
        back_after(back, unit, &dy);
    }
    if (unit->has_se) {
        back_se(back, unit, &dy);
    }
    if (residual) {
        send(back, unit->residual, dy);
    }
    const struct tr_tensor dz = back_affine(back, unit, &dy, residual);
    if (!residual && dz.data != dy.data) {
        release(back, &dy);
    }
    back_weights(back, u, &dz);
    return dz;
}

/* Backward through all units; returns the gradient of the first one's z. */
static struct tr_tensor back_all(struct back *back, const float *drop)
{
    const struct tape *tape = back->tape;
    const struct tape_unit *last = &tape->units[tape->n_units - 1];
    struct tr_tensor d = take(back, last->z.shape);
    memset(d.data, 0, tape->nb * d.shape.ld * sizeof *d.data);
    for (size_t n = 0; n < tape->nb; n++) {
        memcpy(d.data + n * d.shape.ld, tape->dlogits + n * d.shape.c, d.shape.c * sizeof(float));
    }
    send(back, (int)tape->n_units - 1, d);
    for (size_t u = tape->n_units; u-- > 0;) {
        d = receive(back, (int)u);
        if (u + 2 == tape->n_units) {
            pass_multiply(&d, drop);
        }
        if (tape->units[u].op->kind == NET_MAX_POOL) {
            back_max_pool(back, u, &d);
            release(back, &d);
            continue;
        }
        d = back_unit(back, u, d);
        if (u == 0) {
            break;
        }
        if (pass_averages(&tape->units[u])) {
            back_average(back, u, &d);
        } else {
            back_input(back, u, &d);
        }
        release(back, &d);
    }
    return d;
}

void tape_backward(struct tape *tape, const float *drop, float *grads)
{
    struct back back = {.tape = tape, .grads = grads};
    (void)back_all(&back, drop);
}

double tape_match(struct tape *tape, const float *targets, float *dimages)
{
    struct back back = {.tape = tape, .targets = targets};
    size_t layers = 0;
    memset(tape->dlogits, 0, tape->nb * tape->net->family.n_classes * sizeof(float));
    const struct tr_tensor dz = back_all(&back, NULL);
    const struct tape_unit *stem = &tape->units[0];
    const struct tr_weights w = pass_unit_weights(tape, stem);
    const struct tr_tensor dx = {.data = dimages, .shape = with_halo(tape->input.shape, 0)};
    for (size_t u = 0; u < tape->n_units; u++) {
        layers += tape->units[u].batch_norm;
    }
    tr_patches_input(&tape->engine, &dx, &w, &dz, stem->op->kernel, stem->op->stride, &tape->patches);
    for (size_t i = 0; i < tape->nb * stem->op->h_in * stem->op->w_in * stem->op->ci; i++) {
        dimages[i] /= (float)layers;
    }
    return back.distance / (double)layers;
}
