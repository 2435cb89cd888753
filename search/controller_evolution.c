/* controller_evolution.c - the evolution of once-for-all (Cai et al. 2020), as its public search runs it.
 *
 * 100 random architectures; from then on the best 25 of parents and children are the parents of 50 mutants and 50
 * crossovers. A mutant redraws each group of variables with probability 0.1; a crossover takes each variable from either
 * of two parents. Parents are drawn with replacement and stay as long as they are among the best. A slot keeps its
 * parents while limits reject what it proposes.
 *
 * Genes are not canonical: what an inactive variable holds is inherited and comes alive when its parent variable turns.
 *
 * Threads: plan and tell belong to the run's thread; proposing changes nothing.
 */
#include "search/breed.h"
#include "search/controller.h"
#include "search/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POPULATION = 100, PARENTS = 25, MUTANTS = 50 };

static const double MUTATION_PROBABILITY = 0.1;

struct search_controller {
    const struct space *space; /* borrowed */
    uint64_t seed;
    struct breed breed;
    struct ranking parents; /* none before the first batch was told */
    struct ranking next;    /* scratch: the next parents */
    struct {
        uint8_t mother, father; /* a mutant has a mother only */
    } slots[POPULATION];
};

static void release(struct search_controller *c)
{
    ranking_done(&c->parents);
    ranking_done(&c->next);
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
    enum tl_rc rc = ranking_init(&c->parents, space, PARENTS, err);
    rc = rc ? rc : ranking_init(&c->next, space, PARENTS, err);
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
    struct tl_rng rng;
    tl_rng_init(&rng, c->seed, batch, STREAM_PLAN);
    for (size_t i = 0; c->parents.n > 0 && i < POPULATION; i++) {
        c->slots[i].mother = (uint8_t)tl_rng_below(&rng, (uint32_t)c->parents.n);
        c->slots[i].father = i < MUTANTS ? 0 : (uint8_t)tl_rng_below(&rng, (uint32_t)c->parents.n);
    }
    return POPULATION;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)attempt; /* a slot keeps its parents */
    if (c->parents.n == 0) {
        space_sample(c->space, rng, ret_genes);
        return;
    }
    memcpy(ret_genes, c->parents.at[c->slots[slot].mother].genes, c->space->n_variables);
    if (slot < MUTANTS) {
        breed_mutate(&c->breed, MUTATION_PROBABILITY, rng, ret_genes);
    } else {
        breed_cross(&c->breed, c->parents.at[c->slots[slot].father].genes, rng, ret_genes);
    }
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    const struct ranking parents = c->parents;
    c->next.n = 0;
    for (size_t i = 0; i < parents.n; i++) {
        ranking_add(&c->next, parents.at[i].genes, parents.at[i].score, parents.at[i].violation);
    }
    for (size_t i = 0; i < batch->n; i++) {
        if (batch->violation[i] < (double)INFINITY) {
            ranking_add(&c->next, batch->genes + i * c->space->n_variables, batch->score[i], batch->violation[i]);
        }
    }
    c->parents = c->next;
    c->next = parents;
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    return ranking_save(&c->parents, buf, err);
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    return ranking_load(&c->parents, state)
               ? TL_OK
               : tl_fail(err, TL_MALFORMED, "the parents in the state of an evolution cannot be read");
}

const struct search_controller_ops controller_evolution = {
    .name = "evolution",
    .help = "once-for-all's: 25 parents, 50 mutants and 50 crossovers a generation",
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
