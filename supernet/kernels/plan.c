/* plan.c - makes and frees plans: sizes one arena, places every tensor in it, draws and packs the weights. */
#include "supernet/kernels/plan.h"

#include <stdlib.h>

static const uint64_t BYTES_MAX = (uint64_t)4 << 30;

enum { BATCH_MAX = 4096 };

static size_t packed_floats(const struct net_plan *plan, const struct k_step *step, const struct network *net)
{
    return step->vectors * plan->k->lanes * net_layer_of(&net->ops[step->op], step->layer).inputs;
}

static bool has_weights(const struct k_step *step)
{
    return step->kind == K_CONV || step->kind == K_DEPTHWISE;
}

/* Bytes of the arena. Cannot overflow: 2048 tensors of at most 2^47 floats. */
static uint64_t arena_bytes(const struct net_plan *plan, const struct network *net)
{
    uint64_t bytes = 0;
    for (size_t s = 0; s < plan->n_slots; s++) {
        bytes += tl_arena_room(plan->slots[s].floats * sizeof(float)) * (plan->slots[s].whole ? 1 : plan->n_spaces);
    }
    for (size_t s = 0; s < plan->n_steps; s++) {
        const struct k_step *step = &plan->steps[s];
        if (has_weights(step)) {
            bytes += tl_arena_room(packed_floats(plan, step, net) * sizeof(float));
            bytes += tl_arena_room(step->vectors * plan->k->lanes * sizeof(float));
        }
    }
    return bytes;
}

static float *take(struct net_plan *plan, size_t floats)
{
    return tl_arena_take(&plan->arena, floats * sizeof(float));
}

static void take_slots(struct net_plan *plan, bool whole)
{
    for (size_t s = 0; s < plan->n_slots; s++) {
        if (plan->slots[s].whole == whole) {
            plan->slots[s].data = take(plan, plan->slots[s].floats);
        }
    }
}

/* Give every tensor its place. A tensor's data begins behind its first halo. */
static void place(struct net_plan *plan)
{
    take_slots(plan, true);
    const size_t before = plan->arena.used;
    take_slots(plan, false);
    plan->space_floats = (plan->arena.used - before) / sizeof(float);
    (void)take(plan, (plan->n_spaces - 1) * plan->space_floats);
    for (size_t t = 0; t < plan->n_tensors; t++) {
        struct k_tensor *tensor = &plan->tensors[t];
        if (tensor->place == K_IN_SLOT) {
            tensor->data = plan->slots[tensor->slot].data + tensor->shape.halo * tensor->shape.ld;
        }
    }
}

/* Where the weights of a plan come from. */
struct source {
    const struct net_params *params; /* NULL: drawn */
    uint64_t seed;
};

/* Pack the weights of all steps, through one buffer for the largest layer. */
static enum tl_rc fill_weights(struct net_plan *plan, const struct network *net, const struct source *from,
                               struct tl_err *err)
{
    size_t most = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const size_t floats = has_weights(&plan->steps[s]) ? packed_floats(plan, &plan->steps[s], net) : 0;
        most = floats > most ? floats : most;
    }
    float *drawn = malloc((most + 1) * sizeof *drawn);
    if (drawn == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu weights", most);
    }
    for (size_t s = 0; s < plan->n_steps; s++) {
        struct k_step *step = &plan->steps[s];
        if (has_weights(step)) {
            const struct net_layer layer = net_layer_of(&net->ops[step->op], step->layer);
            step->w = take(plan, packed_floats(plan, step, net));
            step->bias = take(plan, step->vectors * plan->k->lanes);
            if (from->params != NULL) {
                net_layer_fold(&from->params->layers[step->op][step->layer], from->params->bn_eps, drawn, step->bias);
            } else {
                k_weights_draw(drawn, step->bias, net, step->op, step->layer, from->seed);
            }
            (step->kind == K_CONV ? k_pack_conv : k_pack_depthwise)(step->w, drawn, layer, plan->k->lanes);
        }
    }
    free(drawn);
    return TL_OK;
}

static enum tl_rc build(struct net_plan *plan, const struct network *net, const struct source *from, struct tl_err *err)
{
    const size_t most = (size_t)net->n_ops * 4 + 2;
    plan->steps = calloc(most, sizeof *plan->steps);
    plan->tensors = calloc(most, sizeof *plan->tensors);
    plan->slots = calloc(most, sizeof *plan->slots);
    if (plan->steps == NULL || plan->tensors == NULL || plan->slots == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a plan of %zu steps", most);
    }
    k_lower(plan, net);
    const uint64_t bytes = arena_bytes(plan, net);
    if (bytes > BYTES_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "running this network takes %llu MiB; the limit is %llu",
                       (unsigned long long)(bytes >> 20), (unsigned long long)(BYTES_MAX >> 20));
    }
    const enum tl_rc rc = tl_arena_init(&plan->arena, (size_t)bytes, err);
    if (rc != TL_OK) {
        return rc;
    }
    place(plan);
    return fill_weights(plan, net, from, err);
}

enum tl_rc net_plan_new(const struct network *net, unsigned batch, const struct net_params *params, uint64_t seed,
                        struct tl_pool *pool, struct net_plan **ret_plan, struct tl_err *err)
{
    const enum tl_rc checked = net_check(net, err);
    if (checked != TL_OK) {
        return checked;
    }
    if (net->n_ops == 0 || batch == 0 || batch > BATCH_MAX) {
        return tl_fail(err, TL_INVALID, "a plan needs operators and a batch of 1 to %d, not %u and %u", BATCH_MAX,
                       (unsigned)net->n_ops, batch);
    }
    struct net_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a plan");
    }
    const unsigned n_threads = pool == NULL ? 1 : tl_pool_threads(pool);
    *plan = (struct net_plan){.k = k_table_best(), .pool = pool, .nb = batch};
    plan->n_spaces = batch < n_threads ? 1 : n_threads; /* with fewer images than threads, threads share an image */
    const struct source from = {.params = params, .seed = seed};
    const enum tl_rc rc = build(plan, net, &from, err);
    if (rc != TL_OK) {
        net_plan_free(plan);
        return rc;
    }
    *ret_plan = plan;
    return TL_OK;
}

void net_plan_free(struct net_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    tl_arena_done(&plan->arena);
    free(plan->steps);
    free(plan->tensors);
    free(plan->slots);
    free(plan);
}

static size_t floats_of(const struct net_plan *plan, uint16_t tensor)
{
    const struct k_shape *shape = &plan->tensors[tensor].shape;
    return plan->nb * shape->h * shape->w * shape->c;
}

size_t net_plan_input_floats(const struct net_plan *plan)
{
    return floats_of(plan, plan->input);
}

size_t net_plan_output_floats(const struct net_plan *plan)
{
    return floats_of(plan, plan->output);
}

size_t net_plan_bytes(const struct net_plan *plan)
{
    return plan->arena.size;
}
