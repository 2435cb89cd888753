/* controller_nsga2.c - NSGA-II (Deb et al. 2002) and NSGA-III (Deb and Jain 2014) over the metrics of the front, with
 * constraint domination.
 *
 * 100 parents and their 100 children are sorted into fronts: of two the one with less violation dominates; of two that
 * violate nothing, the one that is at least as good in every metric of the front and better in one. The best fronts are
 * the next parents; of the front that does not fit whole, those with the most room around them. Parents are chosen by
 * tournaments of two; nine in ten children are crossed, and every child has each group redrawn with probability
 * 1 / groups.
 *
 * NSGA-III keeps of that front whoever populates its emptiest niches (niches.h); its tournaments are won by the lower front
 * (published: by none but the limits, which on the tuning part of bench_tables leaves half as much again to be found after
 * 500 evaluations); and what is equal in everything is kept once, since niches would not part it.
 *
 * Threads: tell belongs to the run's thread; proposing changes nothing.
 */
#include "search/breed.h"
#include "search/controller.h"
#include "search/goal.h"
#include "search/niches.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POPULATION = 100, ALL = 2 * POPULATION };

static const double CROSSED = 0.9; /* published */

struct member {
    uint8_t genes[SPACE_VARIABLES_MAX];
    double violation, costs[SEARCH_METRICS_MAX];
    double room;   /* crowding distance within its front */
    uint32_t rank; /* its front, from 0 */
};

struct search_controller {
    const struct space *space;      /* borrowed */
    const struct search_spec *spec; /* borrowed */
    struct breed breed;
    size_t n;                /* parents, at[0..n-1]; 0 before the first batch was told */
    struct member at[ALL];   /* parents, then children */
    struct member next[ALL]; /* scratch */
    uint32_t n_above[ALL];   /* scratch: members that dominate it */
    uint16_t order[ALL];     /* scratch */
    bool is_third;           /* NSGA-III, and then: */
    uint64_t n_tells;
    struct niches niches;
};

static enum tl_rc make(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                       struct tl_err *err)
{
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    c->space = space;
    c->spec = spec;
    breed_init(&c->breed, space);
    *ret = c;
    return TL_OK;
}

static enum tl_rc make_third(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                             struct tl_err *err)
{
    const enum tl_rc rc = make(space, spec, ret, err);
    if (rc == TL_OK) {
        (*ret)->is_third = true;
        niches_init(&(*ret)->niches, spec->n_front);
    }
    return rc;
}

static void release(struct search_controller *c)
{
    free(c);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static size_t plan(struct search_controller *c, uint64_t batch)
{
    (void)c;
    (void)batch;
    return POPULATION;
}

/* Lower fronts first, then more room. */
static bool stands_above(const struct member *a, const struct member *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->room > b->room);
}

static const uint8_t *parent(const struct search_controller *c, struct tl_rng *rng)
{
    const struct member *a = &c->at[tl_rng_below(rng, (uint32_t)c->n)], *b = &c->at[tl_rng_below(rng, (uint32_t)c->n)];
    const bool other = c->is_third ? b->rank < a->rank : stands_above(b, a);
    return other ? b->genes : a->genes;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)slot, (void)attempt;
    if (c->n == 0) {
        space_sample(c->space, rng, ret_genes);
        return;
    }
    memcpy(ret_genes, parent(c, rng), c->space->n_variables);
    if (tl_rng_unit(rng) < CROSSED) {
        breed_cross(&c->breed, parent(c, rng), rng, ret_genes);
    }
    breed_mutate(&c->breed, 1 / (double)c->breed.n_groups, rng, ret_genes);
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

static bool dominates(const struct member *a, const struct member *b, size_t n_costs)
{
    if (a->violation != b->violation) {
        return a->violation < b->violation;
    }
    bool below = false;
    for (size_t i = 0; i < n_costs; i++) {
        if (a->costs[i] > b->costs[i]) {
            return false;
        }
        below |= a->costs[i] < b->costs[i];
    }
    return below;
}

/* Rank all by taking off one front after another. */
static void find_fronts(struct search_controller *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        c->n_above[i] = 0;
        c->at[i].rank = UINT32_MAX;
        for (size_t j = 0; j < n; j++) {
            c->n_above[i] += dominates(&c->at[j], &c->at[i], c->spec->n_front);
        }
    }
    size_t n_ranked = 0;
    for (uint32_t rank = 0; n_ranked < n; rank++) {
        for (size_t i = 0; i < n; i++) {
            c->at[i].rank = c->at[i].rank == UINT32_MAX && c->n_above[i] == 0 ? rank : c->at[i].rank;
        }
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; c->at[i].rank == rank && j < n; j++) {
                c->n_above[j] -= c->at[j].rank > rank && dominates(&c->at[i], &c->at[j], c->spec->n_front);
            }
            n_ranked += c->at[i].rank == rank;
        }
    }
}

static void order_by_cost(struct search_controller *c, size_t n, size_t cost)
{
    for (size_t i = 1; i < n; i++) {
        const uint16_t moved = c->order[i];
        size_t place = i;
        for (; place > 0 && c->at[c->order[place - 1]].costs[cost] > c->at[moved].costs[cost]; place--) {
            c->order[place] = c->order[place - 1];
        }
        c->order[place] = moved;
    }
}

/* Room of the members of one front: the sides of the box between its neighbours, in spans of the front. */
static void find_room(struct search_controller *c, size_t n_all, uint32_t rank)
{
    size_t n = 0;
    for (size_t i = 0; i < n_all; i++) {
        if (c->at[i].rank == rank) {
            c->order[n++] = (uint16_t)i;
            c->at[i].room = 0;
        }
    }
    for (size_t cost = 0; n > 0 && cost < c->spec->n_front; cost++) {
        order_by_cost(c, n, cost);
        const double first = c->at[c->order[0]].costs[cost], span = c->at[c->order[n - 1]].costs[cost] - first;
        c->at[c->order[0]].room = c->at[c->order[n - 1]].room = (double)INFINITY;
        for (size_t i = 1; i + 1 < n && span > 0; i++) {
            c->at[c->order[i]].room += (c->at[c->order[i + 1]].costs[cost] - c->at[c->order[i - 1]].costs[cost]) / span;
        }
    }
}

/* The first n members of `order` in a row. */
static void keep_order(struct search_controller *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        c->next[i] = c->at[c->order[i]];
    }
    memcpy(c->at, c->next, n * sizeof c->at[0]);
    c->n = n;
}

/* The best POPULATION of n, in order. */
static void keep_best(struct search_controller *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t place = i;
        for (; place > 0 && stands_above(&c->at[i], &c->at[c->order[place - 1]]); place--) {
            c->order[place] = c->order[place - 1];
        }
        c->order[place] = (uint16_t)i;
    }
    keep_order(c, n < POPULATION ? n : POPULATION);
}

/* The best fronts whole; of the one that does not fit, if it holds the limits, who populates the emptiest niches. */
static void keep_niches(struct search_controller *c, size_t n)
{
    const double *costs[ALL];
    uint16_t chosen[POPULATION];
    struct tl_rng rng;
    size_t n_sure = 0, n_all = 0;
    for (uint32_t rank = 0; n_all < POPULATION && n_all < n; rank++) {
        n_sure = n_all;
        for (size_t i = 0; i < n; i++) {
            if (c->at[i].rank == rank) {
                costs[n_all] = c->at[i].costs;
                c->order[n_all++] = (uint16_t)i;
            }
        }
    }
    tl_rng_init(&rng, c->spec->seed, c->n_tells++, STREAM_TELL);
    if (n_all > POPULATION && c->at[c->order[n_all - 1]].violation == 0) {
        niches_choose(&c->niches, costs, n_all, n_sure, POPULATION - n_sure, &rng, chosen);
        for (size_t i = 0; i < POPULATION - n_sure; i++) {
            chosen[i] = c->order[chosen[i]];
        }
        memcpy(c->order + n_sure, chosen, (POPULATION - n_sure) * sizeof chosen[0]);
    }
    keep_order(c, n_all < POPULATION ? n_all : POPULATION);
}

static bool is_known(const struct search_controller *c, size_t n, const struct member *member)
{
    bool known = false;
    for (size_t i = 0; i < n && !known; i++) {
        known = c->at[i].violation == member->violation &&
                memcmp(c->at[i].costs, member->costs, c->spec->n_front * sizeof member->costs[0]) == 0;
    }
    return known;
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    size_t n = c->n;
    for (size_t i = 0; i < batch->n; i++) {
        if (batch->violation[i] < (double)INFINITY) {
            struct member *member = &c->at[n];
            memcpy(member->genes, batch->genes + i * c->space->n_variables, c->space->n_variables);
            member->violation = batch->violation[i];
            goal_costs(c->spec, batch->values + i * SEARCH_METRICS_MAX, member->costs);
            n += !c->is_third || !is_known(c, n, member);
        }
    }
    find_fronts(c, n);
    if (c->is_third) {
        for (size_t i = 0; i < n; i++) {
            if (c->at[i].violation == 0) {
                niches_see(&c->niches, c->at[i].costs);
            }
        }
        keep_niches(c, n);
        return;
    }
    for (uint32_t rank = 0; rank < n; rank++) {
        find_room(c, n, rank);
    }
    keep_best(c, n);
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save_member(const struct search_controller *c, const struct member *member, struct tl_buf *buf,
                              struct tl_err *err)
{
    enum tl_rc rc = tl_buf_add(buf, member->genes, c->space->n_variables, err);
    rc = rc ? rc : tl_buf_put_u32(buf, member->rank, err);
    rc = rc ? rc : tl_buf_put_f64(buf, member->room, err);
    rc = rc ? rc : tl_buf_put_f64(buf, member->violation, err);
    for (size_t i = 0; !rc && i < c->spec->n_front; i++) {
        rc = tl_buf_put_f64(buf, member->costs[i], err);
    }
    return rc;
}

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)c->n, err);
    for (size_t i = 0; !rc && i < c->n; i++) {
        rc = save_member(c, &c->at[i], buf, err);
    }
    return rc;
}

static bool load_member(const struct search_controller *c, struct member *member, struct tl_cursor *state)
{
    const uint8_t *genes = tl_cursor_bytes(state, c->space->n_variables);
    member->rank = tl_cursor_u32(state);
    member->room = tl_cursor_f64(state);
    member->violation = tl_cursor_f64(state);
    bool good = !state->failed && space_valid(c->space, genes) && member->rank < ALL && member->room >= 0 &&
                member->violation >= 0 && member->violation < (double)INFINITY;
    for (size_t i = 0; good && i < c->spec->n_front; i++) {
        member->costs[i] = tl_cursor_f64(state);
        good = !state->failed && isfinite(member->costs[i]);
    }
    if (good) {
        memcpy(member->genes, genes, c->space->n_variables);
    }
    return good;
}

/* Of NSGA-III also which tell is the next and the least costs, INFINITY before there were any. */
static enum tl_rc save_third(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u64(buf, c->n_tells, err);
    for (size_t i = 0; !rc && i < c->spec->n_front; i++) {
        rc = tl_buf_put_f64(buf, c->niches.ideal[i], err);
    }
    return rc ? rc : save(c, buf, err);
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    const size_t n = tl_cursor_u32(state);
    bool good = n <= POPULATION && !state->failed;
    for (size_t i = 0; good && i < n; i++) {
        good = load_member(c, &c->at[i], state);
    }
    if (!good) {
        return tl_fail(err, TL_MALFORMED, "the population in the state of an NSGA-II cannot be read");
    }
    c->n = n;
    return TL_OK;
}

/* No feasible member lies below the least costs seen. */
static bool below_ideal(const struct search_controller *c)
{
    bool below = false;
    for (size_t i = 0; i < c->n && !below; i++) {
        for (size_t k = 0; c->at[i].violation == 0 && k < c->spec->n_front; k++) {
            below = below || c->at[i].costs[k] < c->niches.ideal[k];
        }
    }
    return below;
}

static enum tl_rc load_third(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    bool good = true;
    c->n_tells = tl_cursor_u64(state);
    for (size_t i = 0; i < c->spec->n_front; i++) {
        c->niches.ideal[i] = tl_cursor_f64(state);
        good = good && c->niches.ideal[i] > -(double)INFINITY;
    }
    const enum tl_rc rc = load(c, state, err);
    if (rc) {
        return rc;
    }
    return good && !below_ideal(c) ? TL_OK : tl_fail(err, TL_MALFORMED, "the niches of an NSGA-III cannot be read");
}

const struct search_controller_ops controller_nsga2 = {
    .name = "nsga2",
    .help = "NSGA-II over the metrics of the front, with constraint domination",
    .batch = POPULATION,
    .rejects = true,
    .starts = true,
    .make = make,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save,
    .load = load,
};

const struct search_controller_ops controller_nsga3 = {
    .name = "nsga3",
    .help = "NSGA-III: niches along reference points in place of crowding, for fronts of three metrics and more",
    .batch = POPULATION,
    .rejects = true,
    .make = make_third,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save_third,
    .load = load_third,
};
