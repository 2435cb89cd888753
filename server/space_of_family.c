/* space_of_family.c - see space_of_family.h. */
#include "server/space_of_family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Where things stand among a family's variables: resolution, the depths of stages that have one, slots. */
static size_t depth_variable(const struct net_family *family, size_t stage)
{
    size_t at = 1;

    for (size_t s = 0; s < stage; s++) {
        at += family->stages[s].n_depths > 0;
    }
    return at;
}

static size_t first_slot_variable(const struct net_family *family)
{
    return depth_variable(family, family->n_stages);
}

static struct space_variable *add_variable(struct space *space, uint16_t group, int parent, uint32_t active_under)
{
    struct space_variable *v = &space->variables[space->n_variables++];

    v->group = group;
    v->parent = (int16_t)parent;
    v->active_under = active_under;
    return v;
}

static void add_number(struct space_variable *v, unsigned number)
{
    v->ordered = true;
    v->numbers[v->n_options] = number;
    (void)snprintf(v->labels[v->n_options++], SPACE_LABEL_MAX, "%u", number);
}

static void add_choice(struct space_variable *v, const struct net_choice *choice)
{
    char *label = v->labels[v->n_options];

    v->numbers[v->n_options++] = (double)NAN;
    if (choice->identity) {
        (void)snprintf(label, SPACE_LABEL_MAX, "identity");
    } else {
        (void)snprintf(label, SPACE_LABEL_MAX, "k%ue%u", choice->kernel, choice->expand);
    }
}

/* Kernel and expand of a slot, or its op. */
static void add_slot(struct space *space, const struct net_family *family, size_t stage, size_t slot, uint16_t group)
{
    const struct net_stage *of = &family->stages[stage];
    uint32_t keeps = 0;
    for (unsigned i = 0; i < of->n_depths; i++) {
        keeps |= (uint32_t)(of->depths[i] > slot) << i;
    }
    const bool always = keeps == (1U << of->n_depths) - 1U;
    const int parent = always ? -1 : (int)depth_variable(family, stage);
    const uint32_t under = always ? 0 : keeps;

    if (family->n_kernels == 0) {
        struct space_variable *op = add_variable(space, group, parent, under);
        (void)snprintf(op->name, SPACE_LABEL_MAX, "s%zu.b%zu.op", stage + 1, slot + 1);
        for (size_t i = 0; i < family->n_choices; i++) {
            add_choice(op, &family->choices[i]);
        }
        return;
    }
    struct space_variable *kernel = add_variable(space, group, parent, under);
    (void)snprintf(kernel->name, SPACE_LABEL_MAX, "s%zu.b%zu.kernel", stage + 1, slot + 1);
    for (size_t i = 0; i < family->n_kernels; i++) {
        add_number(kernel, family->kernels[i]);
    }
    struct space_variable *expand = add_variable(space, group, parent, under);
    (void)snprintf(expand->name, SPACE_LABEL_MAX, "s%zu.b%zu.expand", stage + 1, slot + 1);
    for (size_t i = 0; i < family->n_expands; i++) {
        add_number(expand, family->expands[i]);
    }
}

enum tl_rc space_of_family(const struct net_family *family, struct space *ret_space, struct tl_err *err)
{
    const size_t per_slot = family->n_kernels ? 2 : 1;
    uint16_t group = 0;

    if (first_slot_variable(family) + per_slot * net_family_slots(family, family->n_stages) > SPACE_VARIABLES_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "family %s has more than %d variables", family->name,
                       (int)SPACE_VARIABLES_MAX);
    }
    memset(ret_space, 0, sizeof(*ret_space));
    (void)snprintf(ret_space->name, sizeof(ret_space->name), "%s", family->name);
    struct space_variable *resolution = add_variable(ret_space, group++, -1, 0);
    (void)snprintf(resolution->name, SPACE_LABEL_MAX, "resolution");
    for (size_t i = 0; i < family->n_resolutions; i++) {
        add_number(resolution, family->resolutions[i]);
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        if (stage->n_depths == 0) {
            continue;
        }
        struct space_variable *depth = add_variable(ret_space, group++, -1, 0);
        (void)snprintf(depth->name, SPACE_LABEL_MAX, "s%zu.depth", s + 1);
        for (size_t i = 0; i < stage->n_depths; i++) {
            add_number(depth, stage->depths[i]);
        }
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        for (size_t j = 0; j < family->stages[s].n_slots; j++) {
            add_slot(ret_space, family, s, j, group++);
        }
    }
    return space_finish(ret_space, err);
}

void pick_of_arch(const struct net_family *family, const struct space *space, const uint8_t *arch,
                  struct net_pick *ret_pick)
{
    const uint8_t *slots = arch + first_slot_variable(family);
    const size_t n_slots = net_family_slots(family, family->n_stages);

    memset(ret_pick, 0, sizeof(*ret_pick));
    ret_pick->resolution = (uint16_t)space->variables[0].numbers[arch[0]];
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        ret_pick->depth[s] = stage->n_depths ? stage->depths[arch[depth_variable(family, s)]] : stage->n_slots;
    }
    for (size_t j = 0; j < n_slots; j++) {
        ret_pick->choice[j] =
            family->n_kernels ? (uint8_t)(slots[2 * j] * family->n_expands + slots[2 * j + 1]) : slots[j];
    }
}
