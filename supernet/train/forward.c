/* forward.c - a tape forward: each unit's z, its batch statistics, and what the next unit reads. */
#include "supernet/train/pass.h"

#include <math.h>
#include <string.h>

/* ---- what units read and make -------------------------------------------------------------------------------- */

struct tr_tensor pass_output(const struct tape *tape, const struct tape_unit *unit)
{
    struct tr_tensor y = unit->y;
    if (y.data == NULL) {
        y.data = tape->scratch + y.shape.halo * y.shape.ld;
    }
    return y;
}

struct tr_tensor pass_input(const struct tape *tape, size_t u)
{
    const int from = tape->units[u].from;
    if (from == TAPE_NO_UNIT) {
        return tape->input;
    }
    const struct tape_unit *before = &tape->units[from];
    return before->pooled ? before->pool : pass_output(tape, before);
}

size_t pass_channels(const struct tape_unit *unit)
{
    return unit->op->kind == NET_PROJECT ? unit->op->hidden : unit->op->ci;
}

bool pass_averages(const struct tape_unit *unit)
{
    return unit->op->kind == NET_PROJECT && unit->op->stride > 1;
}

struct tr_tensor pass_average(const struct tape *tape, const struct tape_unit *unit, const struct tr_tensor *x)
{
    struct tr_tensor y = {.data = tape->scratch, .shape = x->shape};
    y.shape.h = unit->op->h_in;
    y.shape.w = unit->op->w_in;
    y.shape.row = y.shape.w * y.shape.ld;
    tr_pool_average(&tape->engine, &y, x, unit->op->stride);
    return y;
}

struct k_affine pass_affine(const struct tape_unit *unit)
{
    return (struct k_affine){
        .z = unit->z.data, .z_shape = &unit->z.shape, .scale = unit->scale, .shift = unit->shift, .act = unit->act};
}

struct tr_weights pass_weights(const struct tape *tape, const struct supernet_layer *layer, size_t co, size_t inputs)
{
    return (struct tr_weights){.w = tape->net->params + layer->w, .ldw = layer->inputs, .co = co, .inputs = inputs};
}

/* The weights of a full convolution of fewer inputs: a part of each tap of each output. */
static void cut_weights(const struct tape *tape, const struct tape_unit *unit)
{
    const size_t taps = (size_t)unit->op->kernel * unit->op->kernel, ci = unit->op->ci, of = unit->layer->inputs / taps;
    const float *from = tape->net->params + unit->layer->w;
    for (size_t i = 0; i < unit->op->co * taps; i++) {
        memcpy(tape->cut + i * ci, from + i * of, ci * sizeof *from);
    }
}

struct tr_weights pass_unit_weights(const struct tape *tape, const struct tape_unit *unit)
{
    const size_t kernel = unit->op->kernel, inputs = kernel * kernel * pass_channels(unit);
    struct tr_weights w = pass_weights(tape, unit->layer, unit->op->co, inputs);
    if (kernel > 1 && inputs < unit->layer->inputs) {
        cut_weights(tape, unit);
        w.w = tape->cut;
        w.ldw = inputs;
    }
    return w;
}

static void make_sum(const struct tape *tape, const struct tape_unit *unit, const struct tr_tensor *y)
{
    const struct k_affine affine = pass_affine(unit);
    struct tr_tensor residual = *y;
    if (unit->residual != TAPE_NO_UNIT) {
        const struct tape_unit *other = &tape->units[unit->residual];
        if (other->op->kind == NET_PROJECT) {
            const struct k_affine projected = pass_affine(other);
            tr_affine(&tape->engine, y, &projected, NULL, 0, NULL);
        } else {
            residual = pass_output(tape, other);
        }
    }
    tr_affine(&tape->engine, y, &affine, unit->has_se ? unit->se.gates.data : NULL, unit->se.gates.shape.ld,
              unit->residual == TAPE_NO_UNIT ? NULL : &residual);
}

struct tr_tensor pass_sum(const struct tape *tape, const struct tape_unit *unit)
{
    const struct tr_tensor sum = {.data = tape->scratch + unit->y.shape.halo * unit->y.shape.ld,
                                  .shape = unit->y.shape};
    make_sum(tape, unit, &sum);
    return sum;
}

void pass_make(const struct tape *tape, const struct tape_unit *unit)
{
    const struct tr_tensor y = pass_output(tape, unit);
    make_sum(tape, unit, &y);
    if (unit->after != K_NONE) {
        const struct k_affine affine = {.z = y.data,
                                        .z_shape = &y.shape,
                                        .scale = tape->engine.ones,
                                        .shift = tape->engine.zeros,
                                        .act = unit->after};
        tr_affine(&tape->engine, &y, &affine, NULL, 0, NULL);
    }
}

/* ---- the steps of a unit ------------------------------------------------------------------------------------- */

void pass_pack_kernel(const struct tape *tape, const struct tape_unit *unit)
{
    const size_t taps = (size_t)unit->op->kernel * unit->op->kernel, lanes = tape->engine.k->lanes;
    const struct net_layer sizes = {.co = unit->op->co, .inputs = taps};
    supernet_kernel(tape->net, unit->layer, unit->op->kernel, unit->op->co, tape->kernel);
    memset(tape->packed_kernel, 0, unit->z.shape.ld * taps * sizeof(float));
    k_pack_depthwise(tape->packed_kernel, tape->kernel, sizes, lanes);
}

static void run_layer(const struct tape *tape, const struct tape_unit *unit, const struct tr_tensor *x)
{
    const struct tr_engine *engine = &tape->engine;
    const struct net_op *op = unit->op;
    if (op->kind == NET_DEPTHWISE) {
        pass_pack_kernel(tape, unit);
        tr_depthwise(engine, &unit->z, x, tape->packed_kernel, op->kernel, op->stride,
                     tape->net->stats + unit->layer->mean, tape->sums);
        return;
    }
    const struct tr_weights w = pass_unit_weights(tape, unit);
    tr_conv(engine, &unit->z, x, &w, op->bias ? tape->net->params + unit->layer->bias : NULL, NULL, op->kernel,
            op->kind == NET_PROJECT ? 1 : op->stride, unit->batch_norm ? tape->net->stats + unit->layer->mean : NULL,
            unit->batch_norm ? tape->sums : NULL);
}

/* The batch's mean and variance out of the sums, and the affine that they make with gamma and beta. */
static void normalise(const struct tape *tape, struct tape_unit *unit)
{
    const struct supernet_layer *layer = unit->layer;
    const float *params = tape->net->params, *centre = tape->net->stats + layer->mean;
    const size_t ld = unit->z.shape.ld;
    const double n = (double)(unit->z.shape.nb * unit->z.shape.h * unit->z.shape.w);
    for (size_t c = 0; c < unit->op->co; c++) {
        const double mean = tape->sums[c] / n, off = mean - (double)centre[c];
        const double variance = tape->sums[ld + c] / n - off * off;
        const double inverse = 1.0 / sqrt((variance > 0.0 ? variance : 0.0) + (double)tape->net->family.bn_eps);
        unit->mean[c] = (float)mean;
        unit->inverse[c] = (float)inverse;
        unit->scale[c] = params[layer->gamma + c] * unit->inverse[c];
        unit->shift[c] = params[layer->beta + c] - unit->mean[c] * unit->scale[c];
    }
}

static void plain_affine(struct tape_unit *unit)
{
    for (size_t c = 0; c < unit->op->co; c++) {
        unit->scale[c] = 1.0F;
        unit->shift[c] = 0.0F;
    }
}

static void activate_hidden(const struct tr_tensor *y, const struct tr_tensor *z, bool gates)
{
    for (size_t i = 0; i < z->shape.nb * z->shape.ld; i++) {
        const float v = z->data[i];
        y->data[i] = k_act_ref(v, gates ? K_HSIGMOID : K_RELU);
    }
}

/* y, in scratch, becomes y * gates. */
static void squeeze_excite(const struct tape *tape, const struct tape_unit *unit)
{
    const struct tape_se *se = &unit->se;
    const struct tr_tensor y = pass_output(tape, unit);
    const size_t c = unit->op->co, hidden = se->hidden.shape.c;
    const struct tr_weights squeeze = pass_weights(tape, se->squeeze, hidden, c);
    const struct tr_weights back = pass_weights(tape, se->back, c, hidden);
    tr_mean(&tape->engine, &se->mean, &y);
    tr_conv(&tape->engine, &se->z1, &se->mean, &squeeze, tape->net->params + se->squeeze->bias, NULL, 1, 1, NULL, NULL);
    activate_hidden(&se->hidden, &se->z1, false);
    tr_conv(&tape->engine, &se->z2, &se->hidden, &back, tape->net->params + se->back->bias, NULL, 1, 1, NULL, NULL);
    activate_hidden(&se->gates, &se->z2, true);
    tr_scale(&tape->engine, &y, &se->gates);
}

static void forward_unit(const struct tape *tape, size_t u)
{
    struct tape_unit *unit = &tape->units[u];
    struct tr_tensor x = pass_input(tape, u);
    if (unit->op->kind == NET_MAX_POOL) {
        tr_pool_max(&tape->engine, &unit->y, &x, unit->op->kernel, unit->op->stride);
        return;
    }
    if (pass_averages(unit)) {
        x = pass_average(tape, unit, &x);
    }
    run_layer(tape, unit, &x);
    if (unit->batch_norm) {
        normalise(tape, unit);
    } else {
        plain_affine(unit);
    }
    if (u + 1 == tape->n_units || unit->op->kind == NET_PROJECT) {
        return; /* the logits are z; a residual's y is made where it is added */
    }
    const bool has_se = unit->has_se;
    unit->has_se = false; /* the gates are made from y as it is before them */
    pass_make(tape, unit);
    unit->has_se = has_se;
    if (has_se) {
        squeeze_excite(tape, unit);
    }
    if (unit->pooled) {
        const struct tr_tensor y = pass_output(tape, unit);
        tr_mean(&tape->engine, &unit->pool, &y);
    }
}

/* ---- the whole ----------------------------------------------------------------------------------------------- */

/* Dense images into the bordered input. */
static void copy_images(const struct tape *tape, const float *images)
{
    const struct k_shape *shape = &tape->input.shape;
    const size_t run = shape->w * shape->ld, border = shape->halo * shape->ld;
    memset(tape->input.data - border, 0, border * sizeof *images);
    for (size_t row = 0; row < shape->nb * shape->h; row++) {
        float *to = tape->input.data + row * shape->row;
        memcpy(to, images + row * run, run * sizeof *to);
        memset(to + run, 0, border * sizeof *to);
    }
}

void pass_multiply(const struct tr_tensor *x, const float *by)
{
    for (size_t i = 0; by != NULL && i < x->shape.nb * x->shape.ld; i++) {
        x->data[i] *= by[i];
    }
}

void tape_forward(struct tape *tape, const float *images, const float *drop)
{
    copy_images(tape, images);
    for (size_t u = 0; u < tape->n_units; u++) {
        if (u + 1 == tape->n_units) {
            const struct tr_tensor features = pass_input(tape, u);
            pass_multiply(&features, drop);
        }
        forward_unit(tape, u);
    }
    const struct tr_tensor *z = &tape->units[tape->n_units - 1].z;
    for (size_t n = 0; n < tape->nb; n++) {
        memcpy(tape->logits + n * z->shape.c, z->data + n * z->shape.ld, z->shape.c * sizeof(float));
    }
}

void tape_track(const struct tape *tape, float momentum, bool unbiased, float *stats)
{
    const float eps = tape->net->family.bn_eps;
    for (size_t u = 0; u < tape->n_units; u++) {
        const struct tape_unit *unit = &tape->units[u];
        const float n = (float)(unit->z.shape.nb * unit->z.shape.h * unit->z.shape.w);
        for (size_t c = 0; unit->batch_norm && c < unit->op->co; c++) {
            const float variance =
                (1.0F / (unit->inverse[c] * unit->inverse[c]) - eps) * (unbiased && n > 1.0F ? n / (n - 1.0F) : 1.0F);
            float *mean = stats + unit->layer->mean + c, *kept = stats + unit->layer->variance + c;
            *mean += momentum * (unit->mean[c] - *mean);
            *kept += momentum * (variance - *kept);
        }
    }
}
