/* supernet.c - the table of a supernet's tensors, their memory and first values, and where a sub-network's lie.
 *
 * One idea: the table is made from the largest network's operators once; training, checkpoints and extraction walk it.
 */
#include "supernet/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_FLOATS = 16 }; /* tensors begin at whole vectors, and whole vectors of them can be read */

/* ---- picks --------------------------------------------------------------------------------------------------- */

struct net_pick supernet_largest(const struct net_family *family)
{
    struct net_pick pick;
    net_family_extreme(family, family->resolutions[family->n_resolutions - 1], true, &pick);
    return pick;
}

struct net_pick supernet_smallest(const struct net_family *family)
{
    struct net_pick pick;
    net_family_extreme(family, family->resolutions[0], false, &pick);
    return pick;
}

struct net_pick supernet_random(const struct net_family *family, struct tl_rng *rng)
{
    struct net_pick pick = {.resolution = family->resolutions[tl_rng_below(rng, family->n_resolutions)]};
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        pick.depth[s] = stage->n_depths ? stage->depths[tl_rng_below(rng, stage->n_depths)] : stage->n_slots;
    }
    for (size_t i = 0; i < net_family_slots(family, family->n_stages); i++) {
        pick.choice[i] = (uint8_t)tl_rng_below(rng, family->n_choices);
    }
    if (net_family_elastic_stem(family)) {
        pick.stem_depth = family->stem_depths[tl_rng_below(rng, family->n_stem_depths)];
    }
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        if (net_family_elastic_width(family, place)) {
            pick.width[place] = (uint8_t)tl_rng_below(rng, family->n_widths);
        }
    }
    return pick;
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

static size_t take(size_t *used, size_t floats)
{
    const size_t at = *used;
    *used += (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return at;
}

static void place_transforms(const struct net_family *family, struct supernet_layer *layer, size_t *used)
{
    for (size_t t = 0; t + 1 < family->n_kernels; t++) {
        const size_t taps = (size_t)family->kernels[t] * family->kernels[t];
        layer->transform[t] = take(used, taps * taps);
    }
}

static struct supernet_layer place_layer(struct supernet *net, const struct net_op *op, unsigned which)
{
    const struct net_layer sizes = net_layer_of(op, which);
    struct supernet_layer layer = {.co = sizes.co,
                                   .inputs = sizes.inputs,
                                   .w = SUPERNET_NONE,
                                   .bias = SUPERNET_NONE,
                                   .gamma = SUPERNET_NONE,
                                   .beta = SUPERNET_NONE,
                                   .mean = SUPERNET_NONE,
                                   .variance = SUPERNET_NONE};
    for (size_t t = 0; t < TL_COUNT_OF(layer.transform); t++) {
        layer.transform[t] = SUPERNET_NONE;
    }
    if (sizes.co == 0) {
        return layer;
    }
    layer.w = take(&net->n_params, sizes.co * sizes.inputs);
    if (op->bias || op->kind == NET_SE) {
        layer.bias = take(&net->n_params, sizes.co);
    }
    if (op->batch_norm) {
        layer.gamma = take(&net->n_params, sizes.co);
        layer.beta = take(&net->n_params, sizes.co);
        layer.mean = take(&net->n_stats, sizes.co);
        layer.variance = take(&net->n_stats, sizes.co);
    }
    if (op->kind == NET_DEPTHWISE && net->largest.blocks[op->block].slot >= 0) {
        place_transforms(&net->family, &layer, &net->n_params);
    }
    return layer;
}

static void place_all(struct supernet *net)
{
    for (size_t i = 0; i < net->largest.n_ops; i++) {
        for (unsigned l = 0; l < NET_LAYERS_MAX; l++) {
            net->layers[i][l] = place_layer(net, &net->largest.ops[i], l);
        }
    }
}

/* ---- first values -------------------------------------------------------------------------------------------- */

static void fill(float *to, size_t n, float value)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = value;
    }
}

/* He's normal by outputs (once-for-all's he_fout): deviation sqrt(2 / (kernel^2 co)); depthwise: one output a filter. */
static void draw_weights(const struct supernet *net, size_t op, unsigned which, uint64_t seed)
{
    const struct supernet_layer *layer = &net->layers[op][which];
    const struct net_op *of = &net->largest.ops[op];
    const size_t taps = (size_t)of->kernel * of->kernel;
    const double fan = of->kind == NET_DEPTHWISE ? (double)taps : (double)(taps * layer->co);
    const bool linear = of->kind == NET_LINEAR || of->kind == NET_SE;
    const double deviation = linear ? sqrt(1.0 / (double)layer->inputs) : sqrt(2.0 / fan);
    struct tl_rng rng;
    tl_rng_init(&rng, seed, op, which);
    for (size_t i = 0; i < layer->co * layer->inputs; i++) {
        net->params[layer->w + i] = (float)(deviation * tl_rng_normal(&rng));
    }
}

static void start_layer(const struct supernet *net, size_t op, unsigned which, uint64_t seed)
{
    const struct supernet_layer *layer = &net->layers[op][which];
    if (layer->co == 0) {
        return;
    }
    draw_weights(net, op, which, seed);
    if (layer->gamma != SUPERNET_NONE) {
        fill(net->params + layer->gamma, layer->co, 1.0F);
        fill(net->stats + layer->variance, layer->co, 1.0F);
    }
    for (size_t t = 0; t + 1 < net->family.n_kernels && layer->transform[0] != SUPERNET_NONE; t++) {
        const size_t taps = (size_t)net->family.kernels[t] * net->family.kernels[t];
        for (size_t i = 0; i < taps; i++) {
            net->params[layer->transform[t] + i * taps + i] = 1.0F;
        }
    }
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

/* Every option of a slot must be a cut of the last, which the largest network holds. Only depthwise kernels become
 * smaller, through the matrices that go with a family's kernels. */
static enum tl_rc check_choices(const struct net_family *family, struct tl_err *err)
{
    const struct net_choice *last = &family->choices[family->n_choices - 1];
    const bool elastic_kernels = family->n_kernels > 0 && !family->bottleneck;
    for (size_t i = 0; i < family->n_choices; i++) {
        const struct net_choice *choice = &family->choices[i];
        if (choice->identity || choice->conv || choice->expand < (family->bottleneck ? 1 : 2)) {
            return tl_fail(err, TL_INVALID,
                           "family %s cannot be a supernet: option %zu of its slots has no expansion to share; every "
                           "option needs a kernel and an expand ratio of at least 2",
                           family->name, i);
        }
        if (choice->expand > last->expand || (!elastic_kernels && choice->kernel != last->kernel) ||
            choice->se != last->se || choice->plain != last->plain) {
            return tl_fail(err, TL_INVALID,
                           "family %s cannot be a supernet: option %zu of its slots is no part of the last one; list "
                           "the largest last, and %s",
                           family->name, i,
                           family->bottleneck ? "one kernel alone" : "elastic kernels as \"kernels\" and \"expands\"");
        }
    }
    return TL_OK;
}

/* Channels that may arrive at stage s, one a multiplier. */
static unsigned width_before(const struct net_family *family, size_t s, size_t multiplier)
{
    const size_t place = s > 0 ? NET_PLACE_STAGE + s - 1 : (size_t)NET_PLACE_STEM;
    if (s == 0 && family->first_width) {
        return family->first_width;
    }
    return net_family_elastic_width(family, place) ? family->widths[place][multiplier]
           : s > 0                                 ? family->stages[s - 1].width
                                                   : family->stem_width;
}

/* The residual of a stage's first block is projected where shapes change. Is it for all widths, or for none? */
static bool projects_alike(const struct net_family *family, size_t s)
{
    const size_t n = family->n_widths ? family->n_widths : 1, place = NET_PLACE_STAGE + s;
    size_t same = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            const unsigned after =
                net_family_elastic_width(family, place) ? family->widths[place][j] : family->stages[s].width;
            same += width_before(family, s, i) == after;
        }
    }
    return family->stages[s].stride > 1 || same == 0 || same == n * n;
}

/* Every sub-network must run the same kinds of operators, or there is nothing to share. */
static enum tl_rc check_family(const struct net_family *family, struct tl_err *err)
{
    if (family->per_stage || (!family->bottleneck && (family->n_widths || family->stem_mid))) {
        return tl_fail(err, TL_INVALID,
                       "family %s cannot be a supernet: only bottlenecks, and inverted residual blocks of fixed width "
                       "behind a stem of one convolution, each slot with options of its own, share weights",
                       family->name);
    }
    for (size_t s = 0; family->bottleneck && s < family->n_stages; s++) {
        if (!projects_alike(family, s)) {
            return tl_fail(err, TL_INVALID,
                           "family %s cannot be a supernet: the first block of stage %zu has to project its input at "
                           "some widths and not at others; give the stages before and after other widths",
                           family->name, s + 1);
        }
    }
    return check_choices(family, err);
}

static enum tl_rc make(struct supernet *net, uint64_t seed, struct tl_err *err)
{
    const struct net_pick pick = supernet_largest(&net->family);
    enum tl_rc rc = net_build(&net->family, &pick, &net->largest, err);
    if (rc || (rc = net_check(&net->largest, err))) {
        return rc;
    }
    place_all(net);
    const size_t bytes = (net->n_params + net->n_stats + 2 * (size_t)ALIGN_FLOATS) * sizeof(float);
    if ((rc = tl_arena_init(&net->arena, bytes + 128, err))) {
        return rc;
    }
    net->params = tl_arena_take(&net->arena, (net->n_params + ALIGN_FLOATS) * sizeof(float));
    net->stats = tl_arena_take(&net->arena, (net->n_stats + ALIGN_FLOATS) * sizeof(float));
    for (size_t i = 0; i < net->largest.n_ops; i++) {
        for (unsigned l = 0; l < NET_LAYERS_MAX; l++) {
            start_layer(net, i, l, seed);
        }
    }
    return TL_OK;
}

enum tl_rc supernet_new(const struct net_family *family, uint64_t seed, struct supernet **ret_net, struct tl_err *err)
{
    enum tl_rc rc = check_family(family, err);
    if (rc) {
        return rc;
    }
    struct supernet *net = calloc(1, sizeof *net);
    if (net == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a supernet");
    }
    net->family = *family;
    if ((rc = make(net, seed, err))) {
        supernet_free(net);
        return rc;
    }
    *ret_net = net;
    return TL_OK;
}

void supernet_free(struct supernet *net)
{
    if (net != NULL) {
        tl_arena_done(&net->arena);
        free(net);
    }
}

/* ---- views --------------------------------------------------------------------------------------------------- */

/* The blocks before the stages. */
static size_t n_entry_blocks(const struct network *net)
{
    size_t n = 0;
    while (n < net->n_blocks && net->blocks[n].stage < 0) {
        n++;
    }
    return n;
}

size_t supernet_op(const struct supernet *net, const struct network *sub, size_t op)
{
    const struct net_block *mine = &sub->blocks[sub->ops[op].block];
    const size_t within = op - mine->first_op;
    size_t entry = 0; /* blocks before the stages are told apart by their order alone */
    for (const struct net_block *b = sub->blocks; b < mine; b++) {
        entry += b->stage == mine->stage && b->slot == mine->slot;
    }
    if (mine->stage < 0 && entry > 0) { /* the second block of a deep stem is the one that may be absent */
        entry += n_entry_blocks(&net->largest) - n_entry_blocks(sub);
    }
    for (size_t b = 0; b < net->largest.n_blocks; b++) {
        const struct net_block *theirs = &net->largest.blocks[b];
        if (theirs->stage == mine->stage && theirs->slot == mine->slot && entry-- == 0) {
            return theirs->first_op + within;
        }
    }
    return net->largest.n_ops;
}

enum { TAPS_MAX = 49 };

/* The centre of a square kernel `from` taps a side, `to` a side: index of tap i of the smaller. */
static size_t centre_tap(size_t from, size_t to, size_t i)
{
    const size_t border = (from - to) / 2;
    return (border + i / to) * from + border + i % to;
}

/* The steps from the stored kernel down to `kernel`: indices of the matrices, largest first; their number. */
static size_t steps_down(const struct supernet *net, const struct supernet_layer *layer, unsigned kernel,
                         size_t ret_steps[SUPERNET_KERNELS_MAX])
{
    const uint8_t *sides = net->family.kernels;
    size_t n = 0;
    for (size_t t = net->family.n_kernels; t-- > 0;) {
        if ((size_t)sides[t] * sides[t] < layer->inputs && sides[t] >= kernel) {
            ret_steps[n++] = t;
        }
    }
    return n;
}

static size_t side_of(size_t taps)
{
    size_t side = 1;
    while (side * side < taps) {
        side += 2;
    }
    return side;
}

/* small = matrix x centre of large; the centre is kept for the gradient. */
static void shrink(float *restrict small, float *restrict centre, const float *restrict large, size_t from, size_t to,
                   const float *restrict matrix)
{
    const size_t taps = to * to;
    for (size_t j = 0; j < taps; j++) {
        centre[j] = large[centre_tap(from, to, j)];
    }
    for (size_t j = 0; j < taps; j++) {
        float sum = 0.0F;
        for (size_t k = 0; k < taps; k++) {
            sum += matrix[j * taps + k] * centre[k];
        }
        small[j] = sum;
    }
}

void supernet_kernel(const struct supernet *net, const struct supernet_layer *layer, unsigned kernel, size_t c,
                     float *restrict w)
{
    size_t steps[SUPERNET_KERNELS_MAX];
    const size_t n = steps_down(net, layer, kernel, steps), taps = (size_t)kernel * kernel;
    for (size_t i = 0; i < c; i++) {
        const float *stored = net->params + layer->w + i * layer->inputs;
        float at[2][TAPS_MAX], centre[TAPS_MAX];
        size_t side = side_of(layer->inputs);
        for (size_t s = 0; s < n; s++) {
            const size_t to = net->family.kernels[steps[s]];
            shrink(at[s % 2], centre, s == 0 ? stored : at[(s + 1) % 2], side, to,
                   net->params + layer->transform[steps[s]]);
            side = to;
        }
        memcpy(w + i * taps, n == 0 ? stored : at[(n - 1) % 2], taps * sizeof *w);
    }
}

void supernet_kernel_gradient(const struct supernet *net, const struct supernet_layer *layer, unsigned kernel, size_t c,
                              const float *restrict dw, float *restrict grads)
{
    size_t steps[SUPERNET_KERNELS_MAX];
    const size_t n = steps_down(net, layer, kernel, steps), taps = (size_t)kernel * kernel;
    for (size_t i = 0; i < c; i++) {
        const float *stored = net->params + layer->w + i * layer->inputs;
        float centres[SUPERNET_KERNELS_MAX][TAPS_MAX], at[2][TAPS_MAX], back[TAPS_MAX] = {0}, out[TAPS_MAX];
        size_t sides[SUPERNET_KERNELS_MAX + 1] = {side_of(layer->inputs)};
        for (size_t s = 0; s < n; s++) {
            sides[s + 1] = net->family.kernels[steps[s]];
            shrink(at[s % 2], centres[s], s == 0 ? stored : at[(s + 1) % 2], sides[s], sides[s + 1],
                   net->params + layer->transform[steps[s]]);
        }
        memcpy(back, dw + i * taps, taps * sizeof *back);
        for (size_t s = n; s-- > 0;) {
            const size_t to = sides[s + 1] * sides[s + 1], from = sides[s] * sides[s];
            const float *matrix = net->params + layer->transform[steps[s]];
            float *dmatrix = grads + layer->transform[steps[s]];
            memset(out, 0, from * sizeof *out);
            for (size_t j = 0; j < to; j++) {
                for (size_t k = 0; k < to; k++) {
                    dmatrix[j * to + k] += back[j] * centres[s][k];
                    out[centre_tap(sides[s], sides[s + 1], k)] += matrix[j * to + k] * back[j];
                }
            }
            memcpy(back, out, from * sizeof *back);
        }
        for (size_t k = 0; k < layer->inputs; k++) {
            grads[layer->w + i * layer->inputs + k] += back[k];
        }
    }
}
