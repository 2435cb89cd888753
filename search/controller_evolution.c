/* controller_evolution.c - the evolution of once-for-all (Cai et al. 2020), as its public search runs it.
 *
 * 100 random architectures; from then on the best 25 of parents and children are the parents of 50 mutants and 50
 * crossovers. A mutant redraws each group of variables with probability 0.1; a crossover takes each variable from either
 * of two parents. Parents are drawn with replacement and stay as long as they are among the best. A slot keeps its
 * parents while limits reject what it proposes.
 *
 * Genes are not canonical: what an inactive variable holds is inherited and comes alive when its parent variable turns.
 * Of individuals that are equally good the later ones rank higher (once-for-all sorts upwards, stably, and reverses),
 * which lets the inactive genes drift.
 *
 * Threads: plan and tell belong to the run's thread; proposing changes nothing.
 */
#include "search/controller.h"
#include "search/goal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POPULATION = 100, PARENTS = 25, MUTANTS = 50 };

static const double MUTATION_PROBABILITY = 0.1;

struct individual {
    uint8_t genes[SPACE_VARIABLES_MAX];
    double score, violation;
};

struct search_controller {
    const struct space *space; /* borrowed */
    uint64_t seed;
    size_t n_groups;
    uint8_t group[SPACE_VARIABLES_MAX]; /* of each variable, 0..n_groups-1 */
    size_t n_parents;                   /* 0 before the first batch was told */
    struct individual parents[PARENTS]; /* the best first */
    struct individual ranked[PARENTS];  /* scratch: the next parents */
    struct {
        uint8_t mother, father; /* a mutant has a mother only */
    } slots[POPULATION];
};

/* The space's group numbers may have gaps; the controller's have none. */
static void number_groups(struct search_controller *c)
{
    for (size_t i = 0; i < c->space->n_variables; i++) {
        size_t twin = 0;
        while (c->space->variables[twin].group != c->space->variables[i].group) {
            twin++; /* ends at i */
        }
        c->group[i] = twin < i ? c->group[twin] : (uint8_t)c->n_groups++;
    }
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
    number_groups(c);
    *ret = c;
    return TL_OK;
}

static void release(struct search_controller *c)
{
    free(c);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static size_t plan(struct search_controller *c, uint64_t batch)
{
    struct tl_rng rng;
    tl_rng_init(&rng, c->seed, batch, STREAM_PLAN);
    for (size_t i = 0; c->n_parents > 0 && i < POPULATION; i++) {
        c->slots[i].mother = (uint8_t)tl_rng_below(&rng, (uint32_t)c->n_parents);
        c->slots[i].father = i < MUTANTS ? 0 : (uint8_t)tl_rng_below(&rng, (uint32_t)c->n_parents);
    }
    return POPULATION;
}

static void mutate(const struct search_controller *c, struct tl_rng *rng, uint8_t *genes)
{
    bool redrawn[SPACE_VARIABLES_MAX];
    for (size_t g = 0; g < c->n_groups; g++) {
        redrawn[g] = tl_rng_unit(rng) < MUTATION_PROBABILITY;
    }
    for (size_t i = 0; i < c->space->n_variables; i++) {
        if (redrawn[c->group[i]]) {
            genes[i] = (uint8_t)tl_rng_below(rng, c->space->variables[i].n_options);
        }
    }
}

static void cross(const struct search_controller *c, struct tl_rng *rng, const uint8_t *father, uint8_t *genes)
{
    uint64_t coins = 0;
    for (size_t i = 0; i < c->space->n_variables; i++) {
        coins = i % 64 == 0 ? tl_rng_u64(rng) : coins >> 1;
        genes[i] = coins & 1 ? father[i] : genes[i];
    }
}

static void propose(const struct search_controller *c, size_t slot, struct tl_rng *rng, uint8_t *ret_genes)
{
    if (c->n_parents == 0) {
        space_sample(c->space, rng, ret_genes);
        return;
    }
    memcpy(ret_genes, c->parents[c->slots[slot].mother].genes, c->space->n_variables);
    if (slot < MUTANTS) {
        mutate(c, rng, ret_genes);
    } else {
        cross(c, rng, c->parents[c->slots[slot].father].genes, ret_genes);
    }
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

/* Insert into the ranking, in front of those that are not better; what falls off its end is forgotten. */
static void rank(struct search_controller *c, size_t *n, const uint8_t *genes, double score, double violation)
{
    size_t place = *n;
    while (place > 0 && !goal_better(c->ranked[place - 1].violation, c->ranked[place - 1].score, violation, score)) {
        place--;
    }
    if (place == PARENTS) {
        return;
    }
    *n += *n < PARENTS;
    memmove(&c->ranked[place + 1], &c->ranked[place], (*n - 1 - place) * sizeof c->ranked[0]);
    memcpy(c->ranked[place].genes, genes, c->space->n_variables);
    c->ranked[place].score = score;
    c->ranked[place].violation = violation;
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    size_t n = 0, width = c->space->n_variables;
    for (size_t i = 0; i < c->n_parents; i++) {
        rank(c, &n, c->parents[i].genes, c->parents[i].score, c->parents[i].violation);
    }
    for (size_t i = 0; i < batch->n; i++) {
        if (batch->violation[i] < (double)INFINITY) {
            rank(c, &n, batch->genes + i * width, batch->score[i], batch->violation[i]);
        }
    }
    memcpy(c->parents, c->ranked, n * sizeof c->parents[0]);
    c->n_parents = n;
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)c->n_parents, err);
    for (size_t i = 0; !rc && i < c->n_parents; i++) {
        rc = tl_buf_add(buf, c->parents[i].genes, c->space->n_variables, err);
        rc = rc ? rc : tl_buf_put_f64(buf, c->parents[i].score, err);
        rc = rc ? rc : tl_buf_put_f64(buf, c->parents[i].violation, err);
    }
    return rc;
}

static bool load_parent(const struct search_controller *c, struct individual *parent, struct tl_cursor *state)
{
    const uint8_t *genes = tl_cursor_bytes(state, c->space->n_variables);
    parent->score = tl_cursor_f64(state);
    parent->violation = tl_cursor_f64(state);
    if (state->failed || !space_valid(c->space, genes) || !isfinite(parent->score) || !isfinite(parent->violation)) {
        return false;
    }
    memcpy(parent->genes, genes, c->space->n_variables);
    return parent->violation >= 0;
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    size_t n = tl_cursor_u32(state);
    bool good = n <= PARENTS;
    for (size_t i = 0; good && i < n; i++) {
        good = load_parent(c, &c->parents[i], state);
    }
    if (!good) {
        return tl_fail(err, TL_MALFORMED, "the parents in the state of an evolution cannot be read");
    }
    c->n_parents = n;
    return TL_OK;
}

const struct search_controller_ops controller_evolution = {
    .name = "evolution",
    .help = "once-for-all's: 25 parents, 50 mutants and 50 crossovers a generation",
    .batch = POPULATION,
    .rejects = true,
    .make = make,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save,
    .load = load,
};
