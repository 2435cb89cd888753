/* Family files from outside: of what is let in every network can be built and passes net_check. */
/* links: tailor_network */
#include "fuzz.h"
#include "supernet/codec_family.h"

/* A pick of the family out of a few bits. */
static struct net_pick any_pick(const struct net_family *family, struct tl_rng *rng)
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
    for (size_t i = 0; i < NET_SLOTS_MAX; i++) {
        pick.choice[i] = (uint8_t)tl_rng_below(rng, family->n_choices);
    }
    return pick;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct network net;
    struct net_family family;
    struct net_family again;
    struct tl_err err = {0};
    struct tl_rng rng;

    if (net_family_parse((const char *)data, n, &family, &err)) {
        must(err.text[0] != '\0');
        return 0;
    }
    tl_rng_init(&rng, n, 0, 0);
    for (int i = 0; i < 4; i++) {
        const struct net_pick pick = any_pick(&family, &rng);
        must(net_build(&family, &pick, &net, NULL) == TL_OK && net_check(&net, NULL) == TL_OK);
    }
    json_t *json = net_family_encode(&family);
    must(json && net_family_decode(json, "", &again, &err) == TL_OK);
    json_t *json_again = net_family_encode(&again);
    must(json_equal(json, json_again));
    json_decref(json);
    json_decref(json_again);
    return 0;
}
