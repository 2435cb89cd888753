/* space_of_family.c - see space_of_family.h. */
#include "server/space_of_family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Variables come in one order: resolution, depth of the stem, widths, depths of stages, slots. What a family does not
 * leave open has none. */

static size_t n_widths(const struct net_family *family)
{
    size_t n = 0;

    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        n += net_family_elastic_width(family, place);
    }
    return n;
}

static size_t depth_variable(const struct net_family *family, size_t stage)
{
    size_t at = 1U + net_family_elastic_stem(family) + n_widths(family);

    for (size_t s = 0; s < stage; s++) {
        at += family->stages[s].n_depths > 0;
    }
    return at;
}

/* Does a slot choose at all, and kernel and expansion or one of a list? */
static bool chooses(const struct net_family *family, size_t slot)
{
    return slot == 0 || !family->per_stage;
}

static bool chooses_kernel(const struct net_family *family)
{
    return family->n_kernels > 1;
}

static bool chooses_expand(const struct net_family *family)
{
    return family->n_expands > 1;
}

static size_t count_variables(const struct net_family *family)
{
    const size_t each = family->n_kernels ? (size_t)chooses_kernel(family) + chooses_expand(family) : 1;
    const size_t slots = family->per_stage ? family->n_stages : net_family_slots(family, family->n_stages);

    return depth_variable(family, family->n_stages) + each * slots;
}

/* ---- making the space ---------------------------------------------------------------------------------------- */

static struct space_variable *add_variable(struct space *space, uint16_t group, int parent, uint32_t active_under)
{
    struct space_variable *v = &space->variables[space->n_variables++];

    v->group = group;
    v->parent = (int16_t)parent;
    v->active_under = active_under;
    return v;
}

static void add_number(struct space_variable *v, double number)
{
    v->ordered = true;
    v->numbers[v->n_options] = number;
    (void)snprintf(v->labels[v->n_options++], SPACE_LABEL_MAX, "%g", number);
}

static void add_choice(struct space_variable *v, const struct net_choice *choice)
{
    char *label = v->labels[v->n_options];

    v->numbers[v->n_options++] = (double)NAN;
    if (choice->identity) {
        (void)snprintf(label, SPACE_LABEL_MAX, "identity");
        return;
    }
    char what[10];
    if (choice->conv) {
        (void)snprintf(what, sizeof what, "conv%u", choice->kernel);
    } else {
        (void)snprintf(what, sizeof what, "k%ue%u", choice->kernel, choice->expand);
    }
    (void)snprintf(label, SPACE_LABEL_MAX, "%s%s%s", what, choice->se ? "-se" : "", choice->plain ? "-plain" : "");
}

/* The stem's depth and all widths, a group each; returns the next group. */
static uint16_t add_widths(struct space *space, const struct net_family *family, uint16_t group)
{
    static const char *const names[] = {[NET_PLACE_MID] = "stem.mid", [NET_PLACE_STEM] = "stem.width"};

    if (net_family_elastic_stem(family)) {
        struct space_variable *depth = add_variable(space, group++, -1, 0);
        (void)snprintf(depth->name, SPACE_LABEL_MAX, "stem.depth");
        for (size_t i = 0; i < family->n_stem_depths; i++) {
            add_number(depth, family->stem_depths[i]);
        }
    }
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        if (!net_family_elastic_width(family, place)) {
            continue;
        }
        struct space_variable *width = add_variable(space, group++, -1, 0);
        if (place < NET_PLACE_STAGE) {
            (void)snprintf(width->name, SPACE_LABEL_MAX, "%s", names[place]);
        } else {
            (void)snprintf(width->name, SPACE_LABEL_MAX, "s%zu.width", place - NET_PLACE_STAGE + 1);
        }
        for (size_t i = 0; i < family->n_widths; i++) {
            add_number(width, family->multipliers[i] / 100.0);
        }
    }
    return group;
}

static void name_slot(struct space_variable *v, const struct net_family *family, size_t stage, size_t slot,
                      const char *what)
{
    if (family->per_stage) {
        (void)snprintf(v->name, SPACE_LABEL_MAX, "s%zu.%s", stage + 1, what);
    } else {
        (void)snprintf(v->name, SPACE_LABEL_MAX, "s%zu.b%zu.%s", stage + 1, slot + 1, what);
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
        name_slot(op, family, stage, slot, "op");
        for (size_t i = 0; i < family->n_choices; i++) {
            add_choice(op, &family->choices[i]);
        }
        return;
    }
    if (chooses_kernel(family)) {
        struct space_variable *kernel = add_variable(space, group, parent, under);
        name_slot(kernel, family, stage, slot, "kernel");
        for (size_t i = 0; i < family->n_kernels; i++) {
            add_number(kernel, family->kernels[i]);
        }
    }
    if (chooses_expand(family)) {
        struct space_variable *expand = add_variable(space, group, parent, under);
        name_slot(expand, family, stage, slot, "expand");
        for (size_t i = 0; i < family->n_expands; i++) {
            add_number(expand, net_choice_expand(family, &family->choices[i]));
        }
    }
}

enum tl_rc space_of_family(const struct net_family *family, struct space *ret_space, struct tl_err *err)
{
    uint16_t group = 0;

    if (count_variables(family) > SPACE_VARIABLES_MAX) {
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
    group = add_widths(ret_space, family, group);
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
        for (size_t j = 0; j < family->stages[s].n_slots && chooses(family, j); j++) {
            add_slot(ret_space, family, s, j, group++);
        }
    }
    return space_finish(ret_space, err);
}

/* ---- from architectures to picks ------------------------------------------------------------------------------- */

static uint8_t take_choice(const struct net_family *family, const uint8_t **arch)
{
    if (family->n_kernels == 0) {
        return *(*arch)++;
    }
    const unsigned kernel = chooses_kernel(family) ? *(*arch)++ : 0U;
    const unsigned expand = chooses_expand(family) ? *(*arch)++ : 0U;
    return (uint8_t)(kernel * family->n_expands + expand);
}

void pick_of_arch(const struct net_family *family, const struct space *space, const uint8_t *arch,
                  struct net_pick *ret_pick)
{
    memset(ret_pick, 0, sizeof(*ret_pick));
    ret_pick->resolution = (uint16_t)space->variables[0].numbers[*arch++];
    if (net_family_elastic_stem(family)) {
        ret_pick->stem_depth = family->stem_depths[*arch++];
    }
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        if (net_family_elastic_width(family, place)) {
            ret_pick->width[place] = *arch++;
        }
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        ret_pick->depth[s] = stage->n_depths ? stage->depths[*arch++] : stage->n_slots;
    }
    uint8_t *choice = ret_pick->choice;
    for (size_t s = 0; s < family->n_stages; s++) {
        for (size_t j = 0; j < family->stages[s].n_slots && chooses(family, j); j++) {
            choice[j] = take_choice(family, &arch);
        }
        choice += family->stages[s].n_slots;
    }
}
