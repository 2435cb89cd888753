/* lower.c - operators to steps.
 *
 * The input of operator i is called value i; the network's output is value n_ops. Each value lies in one tensor; what
 * works in place keeps its tensor for the next value. A residual is added by the convolution before it, one of another
 * shape by the convolution that makes it; squeeze-and-excitation becomes mean, two small layers and a scaling.
 */
#include "supernet/kernels/plan.h"

enum {
    TILE_PIXELS = 112,     /* of a pointwise task: whole register blocks, their inputs in the second cache */
    TILE_ROWS = 8,         /* of a task that goes by rows: depthwise, and convolutions larger than 1x1 */
    TILE_FLOATS = 1 << 14, /* of an elementwise task: a few microseconds */
    TASKS_WANTED = 8,
    TASK_WORK = 1 << 15, /* multiply-adds below which a task is not worth handing over: about a microsecond */
};

static const enum k_act act_of[NET_ACT_COUNT] = {
    [NET_ACT_NONE] = K_NONE,
    [NET_ACT_RELU] = K_RELU,
    [NET_ACT_RELU6] = K_RELU6,
    [NET_ACT_HSWISH] = K_HSWISH,
};

struct lowering {
    struct net_plan *plan;
    const struct network *net;
    bool whole;                   /* new tensors are of all images */
    uint16_t at[NET_OPS_MAX + 1]; /* tensor of each value */
};

/* The last operator that needs value i. */
static size_t last_use(const struct network *net, size_t i)
{
    for (size_t j = net->n_ops; j-- > i + 1;) {
        if (net->ops[j].skip_from == (int)i) {
            return j;
        }
    }
    return i;
}

/* Zero columns that value i needs beside it. */
static size_t halo_of(const struct network *net, size_t i)
{
    const bool reads_around = i < net->n_ops && (net->ops[i].kind == NET_DEPTHWISE || net->ops[i].kind == NET_CONV);
    return reads_around ? net->ops[i].kernel / 2U : 0;
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static size_t ceil_div(size_t n, size_t by)
{
    return (n + by - 1) / by;
}

static size_t floats_of(const struct k_shape *shape)
{
    return shape->nb * shape->h * shape->row + shape->halo * shape->ld;
}

/* The free slot that fits best: the smallest that is large enough, else the largest; a new one if all are busy. */
static uint16_t take_slot(struct net_plan *plan, bool whole, size_t floats, size_t now, size_t until)
{
    size_t best = plan->n_slots;
    for (size_t s = 0; s < plan->n_slots; s++) {
        if (plan->slots[s].busy_until >= now || plan->slots[s].whole != whole) {
            continue;
        }
        const size_t have = plan->slots[s].floats, best_has = best < plan->n_slots ? plan->slots[best].floats : 0;
        const bool better = have >= floats ? best_has < floats || have < best_has : have > best_has;
        if (best == plan->n_slots || better) {
            best = s;
        }
    }
    if (best == plan->n_slots) {
        plan->slots[plan->n_slots++] = (struct k_slot){.whole = whole};
    }
    struct k_slot *slot = &plan->slots[best];
    slot->floats = slot->floats > floats ? slot->floats : floats;
    slot->busy_until = until;
    return (uint16_t)best;
}

static size_t images(const struct lowering *low)
{
    return low->whole ? low->plan->nb : 1;
}

/* A new tensor, written by operator `now` and needed until operator `until`. */
static uint16_t new_tensor(struct lowering *low, size_t h, size_t w, size_t c, size_t halo, size_t now, size_t until)
{
    struct net_plan *plan = low->plan;
    struct k_tensor *tensor = &plan->tensors[plan->n_tensors];
    const size_t ld = round_up(c, plan->k->lanes);
    *tensor = (struct k_tensor){
        .shape = {.nb = images(low), .h = h, .w = w, .c = c, .ld = ld, .row = (w + halo) * ld, .halo = halo},
        .whole = low->whole,
    };
    tensor->slot = take_slot(plan, low->whole, floats_of(&tensor->shape), now, until);
    return (uint16_t)plan->n_tensors++;
}

/* The tensor that value i will lie in, written by operator `now`. */
static uint16_t value_tensor(struct lowering *low, size_t i, size_t now)
{
    const struct net_op *op = &low->net->ops[i > 0 ? i - 1 : 0];
    const size_t h = i > 0 ? op->h_out : op->h_in, w = i > 0 ? op->w_out : op->w_in, c = i > 0 ? op->co : op->ci;
    return low->at[i] = new_tensor(low, h, w, c, halo_of(low->net, i), now, last_use(low->net, i));
}

static struct k_step *new_step(struct lowering *low, enum k_step_kind kind, uint16_t x, uint16_t y)
{
    struct k_step *step = &low->plan->steps[low->plan->n_steps++];
    *step = (struct k_step){.kind = kind, .x = x, .y = y, .second = K_NO_TENSOR, .tiles = 1, .groups = 1};
    step->vectors = ceil_div(low->plan->tensors[y].shape.c, low->plan->k->lanes);
    return step;
}

/* Cut rows of elementwise work into tasks. */
static void tile_rows(struct lowering *low, struct k_step *step)
{
    const struct k_shape *shape = &low->plan->tensors[step->y].shape;
    const size_t rows = shape->nb * shape->h, tiles = ceil_div(rows * shape->w * shape->ld, TILE_FLOATS);
    step->tiles = (uint32_t)(tiles < rows ? tiles : rows);
}

/* Cut `units` of pixels or rows into tiles of about `tile`, then channels into groups of at most `panels`, until there
 * are enough tasks or they get too small. */
static void tile_work(struct k_step *step, size_t units, size_t tile, size_t panels, size_t work)
{
    const size_t tiles = ceil_div(units, tile), wanted = ceil_div(TASKS_WANTED, tiles);
    const size_t most = ceil_div(work, tiles * TASK_WORK), groups = wanted < most ? wanted : most;
    step->tiles = (uint32_t)tiles;
    step->groups = (uint32_t)(groups < panels ? groups : panels);
}

static struct k_step *add_conv(struct lowering *low, size_t op, unsigned layer, uint16_t x, uint16_t y)
{
    const struct k_shape *shape = &low->plan->tensors[y].shape;
    struct k_step *step = new_step(low, K_CONV, x, y);
    const struct net_op *of = &low->net->ops[op];
    const bool inner = of->kind == NET_SE || of->kind == NET_PROJECT;
    step->op = (uint16_t)op;
    step->layer = (uint8_t)layer;
    step->kernel = inner ? 1 : (uint8_t)of->kernel;
    step->stride = inner ? 1 : (uint8_t)of->stride;
    step->act = act_of[of->act];
    const size_t rows = shape->nb * shape->h, work = rows * shape->w * shape->c * net_layer_of(of, layer).inputs;
    if (k_flat(step->kernel, step->stride)) {
        tile_work(step, rows * shape->w, TILE_PIXELS, k_panels(step->vectors), work);
    } else {
        tile_work(step, rows, TILE_ROWS, k_panels(step->vectors), work);
    }
    return step;
}

/* The activation of a residual: convolutions add behind their own. */
static void add_activation(struct lowering *low, size_t op, uint16_t y)
{
    if (low->net->ops[op].act == NET_ACT_NONE) {
        return;
    }
    struct k_step *step = new_step(low, K_ACTIVATE, y, y);
    step->act = act_of[low->net->ops[op].act];
    tile_rows(low, step);
}

/* The convolution at i, and the addition after it unless someone wants what lies between. Returns how many it took. */
static size_t lower_conv(struct lowering *low, size_t i)
{
    const struct network *net = low->net;
    const bool fuse = i + 1U < net->n_ops && net->ops[i + 1].kind == NET_ADD && last_use(net, i + 1) == i + 1;
    const size_t used = fuse ? 2 : 1;
    struct k_step *step = add_conv(low, i, 0, low->at[i], value_tensor(low, i + used, i));
    if (fuse) {
        step->second = low->at[net->ops[i + 1].skip_from];
        add_activation(low, i + 1, low->at[i + 2]);
    }
    return used;
}

static void lower_depthwise(struct lowering *low, size_t i)
{
    const struct net_op *op = &low->net->ops[i];
    const uint16_t y = value_tensor(low, i + 1, i);
    const struct k_shape *shape = &low->plan->tensors[y].shape;
    struct k_step *step = new_step(low, K_DEPTHWISE, low->at[i], y);
    step->op = (uint16_t)i;
    step->kernel = (uint8_t)op->kernel;
    step->stride = (uint8_t)op->stride;
    step->act = act_of[op->act];
    const size_t rows = shape->nb * shape->h, work = rows * shape->w * shape->c * op->kernel * op->kernel;
    tile_work(step, rows, TILE_ROWS, step->vectors, work);
}

static struct k_step *add_mean(struct lowering *low, uint16_t x, uint16_t y)
{
    struct k_step *step = new_step(low, K_MEAN, x, y);
    step->groups = (uint32_t)ceil_div(step->vectors, 8); /* the kernel takes eight vectors at a time */
    return step;
}

/* Where operator i, which works in place, puts its result: over its input unless that is still needed, or lacks the
 * halo that the next operator wants. */
static uint16_t in_place(struct lowering *low, size_t i)
{
    const size_t halo = low->plan->tensors[low->at[i]].shape.halo;
    if (last_use(low->net, i) > i || halo_of(low->net, i + 1) > halo) {
        return value_tensor(low, i + 1, i);
    }
    const uint16_t same = low->at[i];
    low->plan->slots[low->plan->tensors[same].slot].busy_until = last_use(low->net, i + 1);
    return low->at[i + 1] = same;
}

static void lower_se(struct lowering *low, size_t i)
{
    const struct net_op *op = &low->net->ops[i];
    const uint16_t x = low->at[i];
    const uint16_t mean = new_tensor(low, 1, 1, op->ci, 0, i, i), hidden = new_tensor(low, 1, 1, op->hidden, 0, i, i);
    const uint16_t gates = new_tensor(low, 1, 1, op->co, 0, i, i);
    add_mean(low, x, mean);
    add_conv(low, i, 0, mean, hidden)->act = K_RELU;
    add_conv(low, i, 1, hidden, gates)->act = K_HSIGMOID;
    struct k_step *scale = new_step(low, K_SCALE, x, in_place(low, i));
    scale->second = gates;
    tile_rows(low, scale);
}

static void lower_add(struct lowering *low, size_t i)
{
    const uint16_t x = low->at[i];
    struct k_step *step = new_step(low, K_ADD, x, in_place(low, i));
    step->second = low->at[low->net->ops[i].skip_from];
    tile_rows(low, step);
    add_activation(low, i, step->y);
}

/* The convolution of the residual adds what it is added to. It wants its input without halo. */
static void lower_project(struct lowering *low, size_t i)
{
    const struct net_op *op = &low->net->ops[i];
    const uint16_t main = low->at[i], from = low->at[op->skip_from];
    uint16_t x = from;
    if (op->stride > 1 || low->plan->tensors[from].shape.halo > 0) {
        x = new_tensor(low, op->h_in, op->w_in, op->hidden, 0, i, i);
        struct k_step *average = new_step(low, K_AVERAGE, from, x);
        average->stride = (uint8_t)op->stride;
        tile_rows(low, average);
    }
    struct k_step *step = add_conv(low, i, 0, x, value_tensor(low, i + 1, i));
    step->second = main;
    step->act = K_NONE; /* it comes after the addition */
    add_activation(low, i, step->y);
}

/* Whether every operator behind i is a layer on maps of one pixel. */
static bool is_last_map(const struct network *net, size_t i)
{
    for (size_t j = i + 1; j < net->n_ops; j++) {
        const struct net_op *op = &net->ops[j];
        const bool layer = op->kind == NET_CONV || op->kind == NET_LINEAR;
        if (!layer || op->kernel > 1 || op->h_in * op->w_in != 1) {
            return false;
        }
    }
    return true;
}

/* The last global pool gathers the images: what follows takes them together. */
static void lower_pool(struct lowering *low, size_t i)
{
    const bool last = is_last_map(low->net, i);
    low->whole = last;
    add_mean(low, low->at[i], value_tensor(low, i + 1, i));
    if (last) {
        low->plan->n_single = low->plan->n_steps;
    }
}

static void lower_max_pool(struct lowering *low, size_t i)
{
    struct k_step *step = new_step(low, K_MAX, low->at[i], value_tensor(low, i + 1, i));
    step->kernel = (uint8_t)low->net->ops[i].kernel;
    step->stride = (uint8_t)low->net->ops[i].stride;
    tile_rows(low, step);
}

static size_t lower_op(struct lowering *low, size_t i)
{
    switch (low->net->ops[i].kind) {
    case NET_CONV:
    case NET_LINEAR:
        return lower_conv(low, i);
    case NET_DEPTHWISE:
        lower_depthwise(low, i);
        break;
    case NET_SE:
        lower_se(low, i);
        break;
    case NET_ADD:
        lower_add(low, i);
        break;
    case NET_PROJECT:
        lower_project(low, i);
        break;
    case NET_POOL:
        lower_pool(low, i);
        break;
    case NET_MAX_POOL:
        lower_max_pool(low, i);
        break;
    case NET_OP_KIND_COUNT:
        break;
    }
    return 1;
}

/* A tensor in the caller's own memory: no padding, no halo, no slot. */
static uint16_t outside_tensor(struct lowering *low, enum k_place place, size_t h, size_t w, size_t c)
{
    low->plan->tensors[low->plan->n_tensors] = (struct k_tensor){
        .shape = {.nb = images(low), .h = h, .w = w, .c = c, .ld = c, .row = w * c},
        .place = place,
        .whole = low->whole,
    };
    return (uint16_t)low->plan->n_tensors++;
}

/* Value 0. A pointwise convolution reads the caller's input where it is; everything else gets a copy, as does a
 * residual whose channels do not fill whole vectors. A convolution alone needs no padding between the pixels of its
 * copy. */
static void lower_input(struct lowering *low)
{
    struct net_plan *plan = low->plan;
    const struct net_op *first = &low->net->ops[0];
    const bool conv = first->kind == NET_CONV || first->kind == NET_LINEAR, shared = last_use(low->net, 0) > 0;
    plan->input = outside_tensor(low, K_IN_INPUT, first->h_in, first->w_in, first->ci);
    if (conv && first->kernel == 1 && (!shared || first->ci % plan->k->lanes == 0)) {
        low->at[0] = plan->input;
        return;
    }
    struct k_shape *copy = &plan->tensors[value_tensor(low, 0, 0)].shape;
    if (conv && !shared) {
        copy->ld = copy->c;
        copy->row = (copy->w + copy->halo) * copy->ld;
    }
    tile_rows(low, new_step(low, K_COPY, plan->input, low->at[0]));
}

/* The last value goes straight to the caller where its channels fill whole vectors. */
static void lower_output(struct lowering *low)
{
    struct net_plan *plan = low->plan;
    const uint16_t last = low->at[low->net->n_ops];
    const struct k_shape *shape = &plan->tensors[last].shape;
    if (shape->ld == shape->c && shape->halo == 0) {
        plan->tensors[last].place = K_IN_OUTPUT;
        plan->output = last;
    } else {
        plan->output = outside_tensor(low, K_IN_OUTPUT, shape->h, shape->w, shape->c);
        tile_rows(low, new_step(low, K_COPY, last, plan->output));
    }
}

void k_lower(struct net_plan *plan, const struct network *net)
{
    struct lowering low = {.plan = plan, .net = net};
    lower_input(&low);
    for (size_t i = 0; i < net->n_ops;) {
        i += lower_op(&low, i);
    }
    lower_output(&low);
    plan->n_single = low.whole ? plan->n_single : plan->n_steps;
}
