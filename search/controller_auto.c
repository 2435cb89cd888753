/* controller_auto.c - the default: which controller proposes when, by the evidence of tests/bench (bench_search,
 * bench_tables; README shows it).
 *
 * Where an evaluation is cheap the natural gradient finds the region within some thousand evaluations, and the distinct
 * evolution goes on from the best of them; where there are starts it goes on from those, from the beginning. If the front is
 * wanted, NSGA-II proposes from the beginning. Where an
 * evaluation is dear a model of what was seen says what to evaluate next, until it has seen as much as it can hold.
 * Whoever will propose later learns from the beginning, so that a hand-over loses nothing.
 *
 * Threads: plan and tell belong to the run's thread; proposing changes nothing.
 */
#include "search/controller.h"

#include <stdlib.h>

/* Evaluations after which the first hands over to the last: settled at the limits and columns for tuning. */
enum { CHEAP_FIRST = 3500, DEAR_FIRST = 600 };

struct search_controller {
    const struct search_controller_ops *first_ops, *last_ops; /* static */
    struct search_controller *first, *last;                   /* owned */
    uint64_t n_first;                                         /* evaluations of the first */
    uint64_t n_told;
};

static void release(struct search_controller *c)
{
    if (c->first) {
        c->first_ops->free(c->first);
    }
    if (c->last) {
        c->last_ops->free(c->last);
    }
    free(c);
}

static enum tl_rc make(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                       struct tl_err *err)
{
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    c->first_ops = spec->dear ? &controller_model : &controller_natural_gradient;
    c->last_ops = spec->front_wanted ? &controller_nsga2 : &controller_distinct;
    c->n_first = spec->dear ? DEAR_FIRST : spec->front_wanted ? 0 : spec->n_starts > 0 ? 0 : CHEAP_FIRST;
    enum tl_rc rc = c->first_ops->make(space, spec, &c->first, err);
    rc = rc ? rc : c->last_ops->make(space, spec, &c->last, err);
    if (rc) {
        release(c);
        return rc;
    }
    *ret = c;
    return TL_OK;
}

static bool is_first(const struct search_controller *c)
{
    return c->n_told < c->n_first;
}

static size_t plan(struct search_controller *c, uint64_t batch)
{
    return is_first(c) ? c->first_ops->plan(c->first, batch) : c->last_ops->plan(c->last, batch);
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    if (is_first(c)) {
        c->first_ops->propose(c->first, slot, attempt, rng, ret_genes);
    } else {
        c->last_ops->propose(c->last, slot, attempt, rng, ret_genes);
    }
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    if (is_first(c)) {
        c->first_ops->tell(c->first, batch);
    }
    c->last_ops->tell(c->last, batch);
    c->n_told += batch->n;
}

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u64(buf, c->n_told, err);
    rc = rc ? rc : c->first_ops->save(c->first, buf, err);
    return rc ? rc : c->last_ops->save(c->last, buf, err);
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    c->n_told = tl_cursor_u64(state);
    const enum tl_rc rc = c->first_ops->load(c->first, state, err);
    return rc ? rc : c->last_ops->load(c->last, state, err);
}

const struct search_controller_ops controller_auto = {
    .name = "auto",
    .help =
        "the best by our benches: natural gradient, then distinct evolution; NSGA-II for fronts; a model where dear",
    .batch = 200, /* the natural gradient's, the largest of theirs */
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
