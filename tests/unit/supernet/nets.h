/* nets.h - networks that several tests of the supernet begin with. */
#ifndef TAILOR_TESTS_NETS_H
#define TAILOR_TESTS_NETS_H

#include "supernet/network.h"

#include <cmocka.h>
#include <string.h>

/* A pick of ofa-mbv3 in the published notation: 20 kernel digits, 20 expand digits, 5 depth digits. */
static inline struct net_pick ofa_pick(unsigned resolution, const char *ks, const char *es, const char *ds)
{
    struct net_pick pick = {.resolution = (uint16_t)resolution};

    for (size_t i = 0; i < 20; i++) {
        const unsigned e = es[i] == '6' ? 2 : (unsigned)(es[i] - '3');
        pick.choice[i] = (uint8_t)((unsigned)(ks[i] - '3') / 2 * 3 + e);
    }
    for (size_t i = 0; i < 5; i++) {
        pick.depth[i] = (uint8_t)(ds[i] - '0');
    }
    return pick;
}

/* The smallest and the largest choices everywhere. */
static inline struct net_pick ofa_min(unsigned resolution)
{
    return ofa_pick(resolution, "33333333333333333333", "33333333333333333333", "22222");
}

static inline struct net_pick ofa_max(unsigned resolution)
{
    return ofa_pick(resolution, "77777777777777777777", "66666666666666666666", "44444");
}

/* A random pick of any family, all of whose slots are set. */
static inline struct net_pick random_pick(const struct net_family *family, struct tl_rng *rng)
{
    struct net_pick pick = {.resolution = family->resolutions[tl_rng_below(rng, family->n_resolutions)]};

    pick.stem_depth = (uint8_t)tl_rng_below(rng, net_family_elastic_stem(family) ? 2 : 1);
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        pick.width[place] = (uint8_t)tl_rng_below(rng, net_family_elastic_width(family, place) ? family->n_widths : 1);
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        pick.depth[s] = stage->n_depths ? stage->depths[tl_rng_below(rng, stage->n_depths)] : 0;
    }
    for (size_t i = 0; i < net_family_slots(family, family->n_stages); i++) {
        pick.choice[i] = (uint8_t)tl_rng_below(rng, family->n_choices);
    }
    return pick;
}

static inline void build(const char *family, const struct net_pick *pick, struct network *ret_net)
{
    struct tl_err err = {0};

    if (net_build(net_family_get(family), pick, ret_net, &err)) {
        fail_msg("%s", err.text);
    }
}

#endif
