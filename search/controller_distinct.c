/* controller_distinct.c - an evolution that never spends an evaluation twice on one architecture, and keeps its parents
 * unlike each other.
 *
 * A child has one parent that is mutated, or two that are crossed, each the better of two drawn; one that was evaluated
 * before is made again, and a crossover that keeps giving such is mutated too. As the parents grow alike this turns by
 * itself into a local search that goes through their neighbours one by one.
 *
 * A child takes the place of the most similar of 50 members drawn, if it is better than that one (restricted tournament
 * selection: Harik 1995). So a good region is not crowded out by the first that was found, which is what lifts this above
 * an evolution that keeps the best of all: on once-for-all's inputs that ends in one of several places.
 *
 * Threads: tell belongs to the run's thread; proposing changes nothing.
 */
#include "search/breed.h"
#include "search/controller.h"
#include "search/goal.h"
#include "search/ranking.h"
#include "search/seen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 100, POPULATION = 200, WINDOW = 50, TRIES = 50 };

/* Groups that a mutant has redrawn on average, and the share of crossovers: any of 1.5 to 2.5 and 0.2 to 0.8 do as well
 * on once-for-all's inputs at the limits for tuning (tests/bench/bench_search.c). */
static const double MUTATED_GROUPS = 2, CROSSED = 0.5;

struct search_controller {
    const struct space *space; /* borrowed */
    uint64_t seed;
    struct breed breed;
    double mutation;           /* probability for a group */
    struct ranking population; /* canonical, not in order of rank */
    uint64_t n_told;           /* batches */
    struct seen seen;
};

static void release(struct search_controller *c)
{
    ranking_done(&c->population);
    seen_done(&c->seen);
    free(c);
}

static enum tl_rc make(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                       struct tl_err *err)
{
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    c->space = space;
    c->seed = spec->seed;
    breed_init(&c->breed, space);
    c->mutation = fmin(MUTATED_GROUPS / (double)c->breed.n_groups, 1);
    enum tl_rc rc = ranking_init(&c->population, space, POPULATION, err);
    rc = rc ? rc : seen_init(&c->seen, space, err);
    if (rc) {
        release(c);
        return rc;
    }
    *ret = c;
    return TL_OK;
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static size_t plan(struct search_controller *c, uint64_t batch)
{
    (void)c;
    (void)batch;
    return BATCH;
}

static const struct individual *draw(const struct search_controller *c, struct tl_rng *rng)
{
    return &c->population.at[tl_rng_below(rng, (uint32_t)c->population.n)];
}

/* The better of two. */
static const uint8_t *parent(const struct search_controller *c, struct tl_rng *rng)
{
    const struct individual *a = draw(c, rng), *b = draw(c, rng);
    return goal_better(b->violation, b->score, a->violation, a->score) ? b->genes : a->genes;
}

static void make_child(const struct search_controller *c, bool again, struct tl_rng *rng, uint8_t *genes)
{
    memcpy(genes, parent(c, rng), c->space->n_variables);
    const bool crossed = tl_rng_unit(rng) < CROSSED;
    if (crossed) {
        breed_cross(&c->breed, parent(c, rng), rng, genes);
    }
    if (!crossed || again) {
        breed_mutate_some(&c->breed, c->mutation, rng, genes);
    }
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)slot;
    (void)attempt;
    for (int i = 0; i < TRIES && (i == 0 || seen_has_genes(&c->seen, ret_genes)); i++) {
        if (c->population.n == 0) {
            space_sample(c->space, rng, ret_genes);
        } else {
            make_child(c, i > 0, rng, ret_genes);
        }
    }
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

/* The most similar of the members drawn, if it is worse; NULL: it is not. */
static struct individual *place_for(struct search_controller *c, const uint8_t *arch, double score, double violation,
                                    struct tl_rng *rng)
{
    if (c->population.n < POPULATION) {
        return &c->population.at[c->population.n++];
    }
    struct individual *similar = NULL;
    for (size_t i = 0, least = SIZE_MAX; i < WINDOW; i++) {
        struct individual *member = &c->population.at[tl_rng_below(rng, POPULATION)];
        size_t distance = 0;
        for (size_t v = 0; v < c->space->n_variables; v++) {
            distance += member->genes[v] != arch[v];
        }
        similar = distance < least ? member : similar;
        least = distance < least ? distance : least;
    }
    return goal_better(violation, score, similar->violation, similar->score) ? similar : NULL;
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    const size_t width = c->space->n_variables;
    struct tl_rng rng;
    tl_rng_init(&rng, c->seed, c->n_told++, STREAM_TELL);
    for (size_t i = 0; i < batch->n; i++) {
        const uint8_t *arch = batch->archs + i * width;
        if (!seen_add(&c->seen, arch) || !(batch->violation[i] < (double)INFINITY)) {
            continue;
        }
        struct individual *place = place_for(c, arch, batch->score[i], batch->violation[i], &rng);
        if (place) {
            memcpy(place->genes, arch, width);
            place->score = batch->score[i];
            place->violation = batch->violation[i];
        }
    }
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u64(buf, c->n_told, err);
    rc = rc ? rc : ranking_save(&c->population, buf, err);
    return rc ? rc : seen_save(&c->seen, buf, err);
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    c->n_told = tl_cursor_u64(state);
    return ranking_load(&c->population, state) && seen_load(&c->seen, state)
               ? TL_OK
               : tl_fail(err, TL_MALFORMED, "the population in the state of a distinct evolution cannot be read");
}

const struct search_controller_ops controller_distinct = {
    .name = "distinct-evolution",
    .help = "evolution that evaluates nothing twice and keeps its 200 parents unlike each other",
    .batch = BATCH,
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
