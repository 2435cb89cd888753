/* controller_aging.c - aging (regularized) evolution (Real et al. 2019): the oldest dies, however good it is.
 *
 * A queue of the last 100 evaluated; every child is the mutant of the best of 25 drawn from it, with one group of
 * variables redrawn. Twenty children are made at a time, so that they can be valued at once.
 *
 * Threads: tell belongs to the run's thread; proposing changes nothing.
 */
#include "search/breed.h"
#include "search/controller.h"
#include "search/goal.h"
#include "search/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 20, POPULATION = 100, DRAWN = 25 };

struct search_controller {
    const struct space *space; /* borrowed */
    struct breed breed;
    struct ranking queue; /* in a circle, not in order of rank */
    size_t oldest;        /* once the queue is full */
};

static void release(struct search_controller *c)
{
    ranking_done(&c->queue);
    free(c);
}

static enum tl_rc make(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                       struct tl_err *err)
{
    (void)spec; /* slots draw from their own streams */
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    c->space = space;
    breed_init(&c->breed, space);
    const enum tl_rc rc = ranking_init(&c->queue, space, POPULATION, err);
    if (rc) {
        release(c);
        return rc;
    }
    *ret = c;
    return TL_OK;
}

static size_t plan(struct search_controller *c, uint64_t batch)
{
    (void)c;
    (void)batch;
    return BATCH;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)slot, (void)attempt;
    if (c->queue.n < POPULATION) {
        space_sample(c->space, rng, ret_genes);
        return;
    }
    const struct individual *best = NULL;
    for (int i = 0; i < DRAWN; i++) {
        const struct individual *drawn = &c->queue.at[tl_rng_below(rng, POPULATION)];
        if (best == NULL || goal_better(drawn->violation, drawn->score, best->violation, best->score)) {
            best = drawn;
        }
    }
    memcpy(ret_genes, best->genes, c->space->n_variables);
    breed_mutate_one(&c->breed, rng, ret_genes);
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        if (!(batch->violation[i] < (double)INFINITY)) {
            continue;
        }
        const bool full = c->queue.n == POPULATION;
        struct individual *place = &c->queue.at[full ? c->oldest : c->queue.n++];
        c->oldest = full ? (c->oldest + 1) % POPULATION : 0;
        memcpy(place->genes, batch->genes + i * c->space->n_variables, c->space->n_variables);
        place->score = batch->score[i];
        place->violation = batch->violation[i];
    }
}

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    const enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)c->oldest, err);
    return rc ? rc : ranking_save(&c->queue, buf, err);
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    c->oldest = tl_cursor_u32(state);
    return ranking_load(&c->queue, state) && c->oldest < POPULATION && (c->oldest == 0 || c->queue.n == POPULATION)
               ? TL_OK
               : tl_fail(err, TL_MALFORMED, "the queue in the state of an aging evolution cannot be read");
}

const struct search_controller_ops controller_aging = {
    .name = "aging-evolution",
    .help = "a queue of 100, mutants of the best of 25 drawn from it",
    .batch = BATCH,
    .rejects = true,
    .make = make,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save,
    .load = load,
};
