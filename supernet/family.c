/* family.c - from a family and a pick to the operators.
 *
 * One idea: a pick is checked whole before the first operator is written, so that building cannot fail.
 * Threads: families are shared; a network belongs to its thread.
 */
#include "supernet/build.h"

#include <string.h>

size_t net_family_slots(const struct net_family *family, size_t stage)
{
    size_t n = 0;

    for (size_t s = 0; s < stage; s++) {
        n += family->stages[s].n_slots;
    }
    return n;
}

unsigned net_family_used(const struct net_family *family, const struct net_pick *pick, size_t stage)
{
    return family->stages[stage].n_depths ? pick->depth[stage] : family->stages[stage].n_slots;
}

bool net_family_elastic_width(const struct net_family *family, size_t place)
{
    return family->widths[place][0] != 0;
}

bool net_family_elastic_stem(const struct net_family *family)
{
    return family->n_stem_depths > 1;
}

double net_choice_expand(const struct net_family *family, const struct net_choice *choice)
{
    return family->bottleneck ? choice->expand / 100.0 : choice->expand;
}

void net_family_extreme(const struct net_family *family, unsigned resolution, bool largest, struct net_pick *ret_pick)
{
    size_t first = 0;

    *ret_pick = (struct net_pick){.resolution = (uint16_t)resolution};
    if (net_family_elastic_stem(family)) {
        ret_pick->stem_depth = family->stem_depths[largest ? family->n_stem_depths - 1 : 0];
    }
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        ret_pick->width[place] = largest && net_family_elastic_width(family, place) ? family->n_widths - 1 : 0;
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        if (stage->n_depths) {
            ret_pick->depth[s] = stage->depths[largest ? stage->n_depths - 1 : 0];
        }
        memset(&ret_pick->choice[first], largest ? family->n_choices - 1 : 0,
               family->per_stage ? 1 : net_family_used(family, ret_pick, s));
        first += stage->n_slots;
    }
}

static unsigned stem_depth(const struct net_family *family, const struct net_pick *pick)
{
    return net_family_elastic_stem(family) ? pick->stem_depth : family->stem_depths[0];
}

/* Channels at a place; `fixed` where they are not elastic. */
static unsigned width_at(const struct net_family *family, const struct net_pick *pick, size_t place, unsigned fixed)
{
    return net_family_elastic_width(family, place) ? family->widths[place][pick->width[place]] : fixed;
}

static bool has_resolution(const struct net_family *family, unsigned resolution)
{
    for (size_t i = 0; i < family->n_resolutions; i++) {
        if (family->resolutions[i] == resolution) {
            return true;
        }
    }
    return false;
}

static bool has_depth(const struct net_stage *stage, unsigned depth)
{
    for (size_t i = 0; i < stage->n_depths; i++) {
        if (stage->depths[i] == depth) {
            return true;
        }
    }
    return stage->n_depths == 0;
}

static enum tl_rc check_widths(const struct net_family *family, const struct net_pick *pick, struct tl_err *err)
{
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        if (net_family_elastic_width(family, place) && pick->width[place] >= family->n_widths) {
            return tl_fail(err, TL_INVALID, "width %u at place %zu of %s is not one of its %u", pick->width[place],
                           place, family->name, family->n_widths);
        }
    }
    if (net_family_elastic_stem(family) && pick->stem_depth > 1) {
        return tl_fail(err, TL_INVALID, "the stem of %s cannot have depth %u; it has 0 or 1", family->name,
                       pick->stem_depth);
    }
    return TL_OK;
}

static enum tl_rc check_pick(const struct net_family *family, const struct net_pick *pick, struct tl_err *err)
{
    const uint8_t *choice = pick->choice;

    if (!has_resolution(family, pick->resolution)) {
        return tl_fail(err, TL_INVALID, "%s has no resolution %u; it has %u, from %u to %u", family->name,
                       pick->resolution, family->n_resolutions, family->resolutions[0],
                       family->resolutions[family->n_resolutions - 1]);
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        if (!has_depth(stage, pick->depth[s])) {
            return tl_fail(err, TL_INVALID, "stage %zu of %s cannot have depth %u; it has %u to %u", s, family->name,
                           pick->depth[s], stage->depths[0], stage->depths[stage->n_depths - 1]);
        }
        const unsigned n = family->per_stage ? 1 : net_family_used(family, pick, s);
        for (unsigned i = 0; i < n; i++) {
            if (choice[i] >= family->n_choices) {
                return tl_fail(err, TL_INVALID, "stage %zu slot %u of %s: choice %u is not one of its %u", s, i,
                               family->name, choice[i], family->n_choices);
            }
        }
        choice += stage->n_slots;
    }
    return check_widths(family, pick, err);
}

/* One convolution, gated perhaps, its input added where it can be. */
static void add_full_conv(struct net_builder *builder, const struct net_choice *choice,
                          const struct net_inverted *block)
{
    const unsigned first = builder->net->n_ops;

    net_add_conv(builder, block->width, choice->kernel, block->stride, block->act, true);
    if (block->se) {
        net_add_se(builder);
    }
    if (block->residual) {
        net_add_residual(builder, first, NET_ACT_NONE);
    }
}

static void add_slot(struct net_builder *builder, const struct net_family *family, unsigned stage_index, unsigned slot,
                     unsigned width, const struct net_choice *choice)
{
    const struct net_stage *stage = &family->stages[stage_index];
    const unsigned stride = slot == 0 ? stage->stride : 1;

    if (choice->identity && slot > 0) {
        return;
    }
    net_add_block(builder, (int)stage_index, (int)slot);
    if (choice->identity) {
        net_add_conv(builder, width, 1, stride, NET_ACT_NONE, true);
        return;
    }
    if (family->bottleneck) {
        const struct net_bottleneck block = {.mid = net_divisible(width * net_choice_expand(family, choice)),
                                             .kernel = choice->kernel,
                                             .stride = stride,
                                             .width = width,
                                             .act = stage->act};
        net_add_bottleneck(builder, &block);
        return;
    }
    const struct net_inverted block = {.mid = net_divisible((double)builder->c * choice->expand),
                                       .expands = choice->expand > 1,
                                       .kernel = choice->kernel,
                                       .stride = stride,
                                       .act = stage->act,
                                       .se = stage->se || choice->se,
                                       .width = width,
                                       .residual = stride == 1 && builder->c == width && !choice->plain};
    if (choice->conv) {
        add_full_conv(builder, choice, &block);
    } else {
        net_add_inverted(builder, &block);
    }
}

/* Three convolutions at most, a block each, so that blocks do not depend on more than two widths. */
static void add_deep_stem(struct net_builder *builder, const struct net_family *family, const struct net_pick *pick)
{
    const unsigned mid = width_at(family, pick, NET_PLACE_MID, family->stem_mid);

    net_add_block(builder, -1, -1);
    net_add_conv(builder, mid, 3, family->stem_stride, family->stem_act, true);
    if (stem_depth(family, pick) > 0) {
        net_add_block(builder, -1, -1);
        const unsigned first = builder->net->n_ops;
        net_add_conv(builder, mid, 3, 1, family->stem_act, true);
        net_add_residual(builder, first, NET_ACT_NONE);
    }
    net_add_block(builder, -1, -1);
    net_add_conv(builder, width_at(family, pick, NET_PLACE_STEM, family->stem_width), 3, 1, family->stem_act, true);
}

/* The stem and the fixed k3 e1 block after it. */
static void add_entry(struct net_builder *builder, const struct net_family *family, const struct net_pick *pick)
{
    if (family->stem_mid) {
        add_deep_stem(builder, family, pick);
    } else {
        net_add_block(builder, -1, -1);
        net_add_conv(builder, width_at(family, pick, NET_PLACE_STEM, family->stem_width), 3, family->stem_stride,
                     family->stem_act, true);
    }
    if (family->stem_pool) {
        net_add_max_pool(builder);
    }
    if (family->first_width == 0) {
        return;
    }
    net_add_block(builder, -1, -1);
    const struct net_inverted block = {.mid = builder->c,
                                       .kernel = 3,
                                       .stride = 1,
                                       .act = family->first_act,
                                       .width = family->first_width,
                                       .residual = builder->c == family->first_width};
    net_add_inverted(builder, &block);
}

static void add_head(struct net_builder *builder, const struct net_family *family)
{
    net_add_block(builder, family->n_stages, -1);
    if (family->final_width) {
        net_add_conv(builder, family->final_width, 1, 1, family->head_act, true);
    }
    net_add_pool(builder);
    if (family->feature_width) {
        net_add_conv(builder, family->feature_width, 1, 1, family->head_act, false);
    }
    net_add_linear(builder, family->n_classes, true);
}

enum tl_rc net_build(const struct net_family *family, const struct net_pick *pick, struct network *ret_net,
                     struct tl_err *err)
{
    const enum tl_rc rc = check_pick(family, pick, err);
    const uint8_t *choice = pick->choice;

    if (rc) {
        return rc;
    }
    struct net_builder builder = net_builder_make(ret_net, pick->resolution);
    add_entry(&builder, family, pick);
    for (unsigned s = 0; s < family->n_stages; s++) {
        for (unsigned i = 0; i < net_family_used(family, pick, s); i++) {
            const unsigned width = width_at(family, pick, NET_PLACE_STAGE + s, family->stages[s].width);
            add_slot(&builder, family, s, i, width, &family->choices[choice[family->per_stage ? 0 : i]]);
        }
        choice += family->stages[s].n_slots;
    }
    add_head(&builder, family);
    return TL_OK;
}
