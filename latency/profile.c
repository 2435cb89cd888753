/* profile.c - what a device is asked to measure, and how.
 *
 * One idea: every distinct block once (a sum of blocks is most of a network's time), then few whole networks spread over
 * all sizes, from which the correction of that sum is fitted and judged.
 * Threads: pure functions.
 */
#include "latency/latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- protocols ------------------------------------------------------------------------------------------------- */

/* From tests/bench/bench_latency_model on two shared virtual cores, once-for-all at width 1.0 and 224 pixels, one thread.
 * On the quiet machine a whole profile takes 39 s; 92 % of its visits to blocks and all to networks are stable (median
 * spread of the ratios 1.4 and 0.9 %), and the model is off by 1.5 % on further networks. Half as long blocks are not
 * quieter and save 10 s; on a machine with four processes a core neither longer blocks nor more rounds help, nor does
 * the lower quartile or the least run of a block in place of its median. */
struct lat_protocol lat_protocol_default(enum lat_job_kind kind)
{
    static const struct lat_protocol protocols[LAT_JOB_KIND_COUNT] = {
        [LAT_PROFILE_BLOCKS] = {.rounds = 5, .block_ms = 12, .anchor_block_ms = 24, .items = 8},
        [LAT_PROFILE_NETWORKS] = {.rounds = 5, .block_ms = 40, .anchor_block_ms = 24, .items = 4},
        [LAT_VERIFY] = {.rounds = 16, .block_ms = 60, .anchor_block_ms = 40, .items = 3},
    };
    struct lat_protocol protocol = protocols[kind];

    protocol.min_runs = LAT_RUNS_MIN;
    protocol.warmup_ms = 200;
    protocol.threads = 1;
    protocol.batch = 1;
    return protocol;
}

/* ---- picks ----------------------------------------------------------------------------------------------------- */

static struct net_pick extreme_pick(const struct net_family *family, unsigned resolution, bool largest)
{
    struct net_pick pick;

    net_family_extreme(family, resolution, largest, &pick);
    return pick;
}

void lat_anchor_pick(const struct net_family *family, unsigned resolution, struct net_pick *ret_pick)
{
    *ret_pick = extreme_pick(family, resolution, false);
}

/* An option below n: uniform, but the further `size` (0..1) is from the middle the more often the nearer end. Networks of
 * uniform options are nearly all of middle size. */
static unsigned draw_option(struct tl_rng *rng, double size, unsigned n)
{
    const unsigned uniform = tl_rng_below(rng, n);

    if (tl_rng_unit(rng) < fabs(2 * size - 1)) {
        return size < 0.5 ? 0 : n - 1;
    }
    return uniform;
}

static struct net_pick draw_pick(const struct net_family *family, unsigned resolution, struct tl_rng *rng, double size)
{
    struct net_pick pick = {.resolution = (uint16_t)resolution};
    size_t first = 0;

    if (net_family_elastic_stem(family)) {
        pick.stem_depth = family->stem_depths[draw_option(rng, size, family->n_stem_depths)];
    }
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        if (net_family_elastic_width(family, place)) {
            pick.width[place] = (uint8_t)draw_option(rng, size, family->n_widths);
        }
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        if (stage->n_depths) {
            pick.depth[s] = stage->depths[draw_option(rng, size, stage->n_depths)];
        }
        const unsigned n = family->per_stage ? 1 : net_family_used(family, &pick, s);
        for (unsigned i = 0; i < n; i++) {
            pick.choice[first + i] = (uint8_t)draw_option(rng, size, family->n_choices);
        }
        first += family->stages[s].n_slots;
    }
    return pick;
}

/* ---- the profile ----------------------------------------------------------------------------------------------- */

/* A profile being made. `net` is scratch. */
struct maker {
    const struct net_family *family;
    unsigned resolution;
    struct network *net; /* owned */
    struct lat_profile profile;
    size_t cap;
};

static void maker_done(struct maker *maker)
{
    free(maker->net);
    lat_profile_done(&maker->profile);
}

void lat_profile_done(struct lat_profile *profile)
{
    free(profile->items);
    *profile = (struct lat_profile){0};
}

static bool has_key(const struct lat_profile *profile, const char *key)
{
    for (size_t i = 0; i < profile->n; i++) {
        if (strcmp(profile->items[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

static enum tl_rc add_item(struct maker *maker, const struct lat_profile_item *item, struct tl_err *err)
{
    struct lat_profile *profile = &maker->profile;

    if (profile->n == maker->cap) {
        const size_t cap = maker->cap * 2 + 64;
        struct lat_profile_item *items = realloc(profile->items, cap * sizeof *items);
        if (items == NULL) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for a profile of %zu items", cap);
        }
        profile->items = items;
        maker->cap = cap;
    }
    profile->items[profile->n++] = *item;
    return TL_OK;
}

/* Add those blocks of a pick's network that are in (stage, slot) and not yet in the profile. */
static enum tl_rc add_blocks(struct maker *maker, const struct net_pick *pick, int stage, int slot, struct tl_err *err)
{
    enum tl_rc rc = net_build(maker->family, pick, maker->net, err);

    for (uint16_t b = 0; !rc && b < maker->net->n_blocks; b++) {
        struct lat_profile_item item = {.is_block = true, .pick = *pick, .block = b};
        if (maker->net->blocks[b].stage != stage || maker->net->blocks[b].slot != slot) {
            continue;
        }
        net_block_key(maker->net, b, item.key);
        if (!has_key(&maker->profile, item.key)) {
            rc = add_item(maker, &item, err);
        }
    }
    return rc;
}

/* What a slot sees does not depend on the choices of other slots, so that each of its choices in the largest network
 * gives all its blocks. */
static enum tl_rc add_blocks_of_widths(struct maker *maker, struct net_pick pick, struct tl_err *err)
{
    const struct net_family *family = maker->family;
    uint8_t *choice = pick.choice;
    enum tl_rc rc = add_blocks(maker, &pick, -1, -1, err);

    for (int s = 0; !rc && s < family->n_stages; s++) {
        for (int i = 0; !rc && i < family->stages[s].n_slots; i++) {
            for (unsigned c = 0; !rc && c < family->n_choices; c++) {
                choice[family->per_stage ? 0 : i] = (uint8_t)c;
                rc = add_blocks(maker, &pick, s, i, err);
            }
        }
        choice += family->stages[s].n_slots;
    }
    return rc ? rc : add_blocks(maker, &pick, family->n_stages, -1, err);
}

/* A block sees two widths at most, those of neighbouring places: every pair of them in turn along the network, with the
 * deepest stem, which has all blocks of the others. */
static enum tl_rc add_all_blocks(struct maker *maker, struct tl_err *err)
{
    const unsigned n = maker->family->n_widths > 1 ? maker->family->n_widths : 1;
    struct net_pick pick = extreme_pick(maker->family, maker->resolution, true);
    enum tl_rc rc = TL_OK;

    for (unsigned pair = 0; !rc && pair < n * n; pair++) {
        for (size_t place = 0; place < NET_PLACES_MAX; place++) {
            const unsigned width = place % 2 ? pair % n : pair / n;
            pick.width[place] = (uint8_t)(net_family_elastic_width(maker->family, place) ? width : 0);
        }
        rc = add_blocks_of_widths(maker, pick, err);
    }
    return rc;
}

struct drawn {
    struct net_pick pick;
    uint64_t macs;
};

static int compare_drawn(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;
    return x->macs != y->macs ? (x->macs > y->macs) - (x->macs < y->macs) : memcmp(&x->pick, &y->pick, sizeof x->pick);
}

/* n distinct networks with their MACs, sorted; the family's smallest and largest among them. */
static enum tl_rc draw_networks(struct maker *maker, uint64_t seed, struct drawn *drawn, size_t n, size_t *ret_distinct,
                                struct tl_err *err)
{
    struct tl_rng rng;
    size_t distinct = 0;

    tl_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; i < n; i++) {
        struct net_cost cost;
        drawn[i].pick = i < 2 ? extreme_pick(maker->family, maker->resolution, i == 1)
                              : draw_pick(maker->family, maker->resolution, &rng, tl_rng_unit(&rng));
        const enum tl_rc rc = net_build(maker->family, &drawn[i].pick, maker->net, err);
        if (rc) {
            return rc;
        }
        net_cost_total(maker->net, &cost);
        drawn[i].macs = cost.macs;
    }
    qsort(drawn, n, sizeof *drawn, compare_drawn);
    for (size_t i = 0; i < n; i++) {
        if (distinct == 0 || compare_drawn(&drawn[distinct - 1], &drawn[i]) != 0) {
            drawn[distinct++] = drawn[i];
        }
    }
    *ret_distinct = distinct;
    return TL_OK;
}

/* The place in drawn[from..to-1] (sorted) whose MACs are nearest. */
static size_t nearest(const struct drawn *drawn, size_t from, size_t to, double macs)
{
    size_t best = from;

    for (size_t i = from; i < to; i++) {
        if (fabs((double)drawn[i].macs - macs) < fabs((double)drawn[best].macs - macs)) {
            best = i;
        }
    }
    return best;
}

/* n picks from smallest to largest MACs, in even steps, each once. */
static void spread_evenly(const struct drawn *drawn, size_t n_drawn, size_t n, struct net_pick *ret_picks)
{
    const double least = (double)drawn[0].macs, most = (double)drawn[n_drawn - 1].macs;
    size_t from = 0;

    for (size_t k = 0; k < n; k++) {
        const double share = n > 1 ? (double)k / (double)(n - 1) : 0;
        from = nearest(drawn, from, n_drawn - (n - 1 - k), least + share * (most - least));
        ret_picks[k] = drawn[from++].pick;
    }
}

/* Up to n_networks picks in ret_picks. */
static enum tl_rc choose_networks(struct maker *maker, size_t n_networks, uint64_t seed, struct net_pick *ret_picks,
                                  size_t *ret_n, struct tl_err *err)
{
    enum { DRAWS_EACH = 32 };
    const size_t n_draws = n_networks * DRAWS_EACH + 2;
    struct drawn *const drawn = malloc(n_draws * sizeof *drawn);
    size_t distinct = 0;

    if (drawn == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to draw %zu networks", n_networks);
    }
    const enum tl_rc rc = draw_networks(maker, seed, drawn, n_draws, &distinct, err);
    if (!rc) {
        *ret_n = n_networks < distinct ? n_networks : distinct;
        spread_evenly(drawn, distinct, *ret_n, ret_picks);
    }
    free(drawn);
    return rc;
}

/* Add the networks in a shuffled order, so that those of one job, which share its moment, are not alike. */
static enum tl_rc add_networks(struct maker *maker, struct net_pick *picks, size_t n, struct tl_rng *rng,
                               struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t left = n; !rc && left > 0; left--) {
        const size_t at = tl_rng_below(rng, (uint32_t)left);
        const struct lat_profile_item item = {.pick = picks[at]};
        picks[at] = picks[left - 1];
        picks[left - 1] = item.pick;
        rc = add_item(maker, &item, err);
    }
    return rc;
}

static enum tl_rc add_all(struct maker *maker, struct net_pick *picks, size_t n_networks, uint64_t seed,
                          struct tl_err *err)
{
    struct tl_rng rng;
    size_t n = 0;
    enum tl_rc rc = n_networks > 0 ? choose_networks(maker, n_networks, seed, picks, &n, err) : TL_OK;

    tl_rng_init(&rng, seed, 1, 0);
    if (rc || (rc = add_networks(maker, picks, n, &rng, err)) || (rc = add_all_blocks(maker, err))) {
        return rc;
    }
    return add_networks(maker, picks, n, &rng, err);
}

enum tl_rc lat_profile_make(const struct net_family *family, unsigned resolution, size_t n_networks, uint64_t seed,
                            struct lat_profile *ret_profile, struct tl_err *err)
{
    enum { NETWORKS_MAX = 4096 };
    TL_AUTO(maker) maker = {.family = family, .resolution = resolution};

    if (resolution > NET_SIDE_MAX || n_networks > NETWORKS_MAX) {
        return tl_fail(err, TL_INVALID, "a profile of %zu networks at resolution %u; the limits are %d and %d",
                       n_networks, resolution, NETWORKS_MAX, NET_SIDE_MAX);
    }
    struct net_pick *const picks = calloc(n_networks + 1, sizeof *picks);
    maker.net = malloc(sizeof *maker.net);
    const enum tl_rc rc = picks == NULL || maker.net == NULL
                              ? tl_fail(err, TL_NO_MEMORY, "no memory for a profile of %zu networks", n_networks)
                              : add_all(&maker, picks, n_networks, seed, err);
    free(picks);
    if (!rc) {
        *ret_profile = maker.profile;
        maker.profile = (struct lat_profile){0};
    }
    return rc;
}

size_t lat_profile_job(const struct lat_profile *profile, size_t first, enum lat_job_kind *ret_kind)
{
    const bool is_block = profile->items[first].is_block;
    const enum lat_job_kind kind = is_block ? LAT_PROFILE_BLOCKS : LAT_PROFILE_NETWORKS;
    const size_t most = lat_protocol_default(kind).items;
    size_t n = 1;

    while (n < most && first + n < profile->n && profile->items[first + n].is_block == is_block) {
        n++;
    }
    *ret_kind = kind;
    return n;
}
