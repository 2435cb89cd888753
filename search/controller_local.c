/* controller_local.c - local search with restarts (White et al. 2021): go to the best neighbour until none is better.
 *
 * Ten random architectures; from the best of them, batches of neighbours (one group of variables redrawn) that were not
 * evaluated yet. The best of a batch is moved to if it is better. When as many neighbours as there are have brought
 * nothing better, the search begins again elsewhere.
 *
 * Threads: tell belongs to the run's thread; proposing changes nothing.
 */
#include "search/breed.h"
#include "search/controller.h"
#include "search/ranking.h"
#include "search/seen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STARTS = 10, BATCH = 20, TRIES = 50 };

struct search_controller {
    const struct space *space; /* borrowed */
    struct breed breed;
    struct ranking here; /* one, or none: about to begin */
    size_t n_without;    /* neighbours since it was moved to */
    size_t n_neighbours; /* that an architecture has at most */
    struct seen seen;
};

static void release(struct search_controller *c)
{
    ranking_done(&c->here);
    seen_done(&c->seen);
    free(c);
}

/* Redrawing a group has as many outcomes as its variables have combinations, less the one at hand. */
static size_t count_neighbours(const struct breed *breed)
{
    size_t n = 0;
    for (size_t g = 0; g < breed->n_groups; g++) {
        size_t outcomes = 1;
        for (size_t i = 0; i < breed->space->n_variables; i++) {
            outcomes *= breed->group[i] == g && outcomes < 1000 ? breed->space->variables[i].n_options : 1U;
        }
        n += outcomes - 1;
    }
    return n;
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
    c->n_neighbours = count_neighbours(&c->breed);
    enum tl_rc rc = ranking_init(&c->here, space, 1, err);
    rc = rc ? rc : seen_init(&c->seen, space, err);
    if (rc) {
        release(c);
        return rc;
    }
    *ret = c;
    return TL_OK;
}

static size_t plan(struct search_controller *c, uint64_t batch)
{
    (void)batch;
    return c->here.n == 0 ? STARTS : BATCH;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)slot;
    (void)attempt;
    bool is_old = true;
    for (int i = 0; i < TRIES && is_old; i++) {
        if (c->here.n == 0) {
            space_sample(c->space, rng, ret_genes);
        } else {
            memcpy(ret_genes, c->here.at[0].genes, c->space->n_variables);
            breed_mutate_one(&c->breed, rng, ret_genes);
        }
        is_old = seen_has_genes(&c->seen, ret_genes);
    }
    if (is_old) { /* all around here is known */
        space_sample(c->space, rng, ret_genes);
    }
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    const size_t width = c->space->n_variables;
    const bool began = c->here.n == 0;
    const double score = began ? 0 : c->here.at[0].score, violation = began ? 0 : c->here.at[0].violation;
    for (size_t i = 0; i < batch->n; i++) {
        if (seen_add(&c->seen, batch->archs + i * width) && batch->violation[i] < (double)INFINITY) {
            ranking_add(&c->here, batch->genes + i * width, batch->score[i], batch->violation[i]);
        }
    }
    const bool moved = c->here.n > 0 && (began || c->here.at[0].score != score || c->here.at[0].violation != violation);
    c->n_without = moved ? 0 : c->n_without + batch->n;
    if (c->n_without >= c->n_neighbours) {
        c->here.n = 0;
        c->n_without = 0;
    }
}

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u64(buf, c->n_without, err);
    rc = rc ? rc : ranking_save(&c->here, buf, err);
    return rc ? rc : seen_save(&c->seen, buf, err);
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    c->n_without = tl_cursor_u64(state);
    return ranking_load(&c->here, state) && seen_load(&c->seen, state) && c->n_without < c->n_neighbours + BATCH
               ? TL_OK
               : tl_fail(err, TL_MALFORMED, "the place in the state of a local search cannot be read");
}

const struct search_controller_ops controller_local = {
    .name = "local-search",
    .help = "to the best neighbour until none is better, then from elsewhere",
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
