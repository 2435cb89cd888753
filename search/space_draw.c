/* space_draw.c - drawing architectures, and changing one.
 *
 * Threads: pure functions.
 */
#include "search/space_rules.h"

#include <string.h>

enum { MEND_STEPS = 1000 };

static void draw_options(const struct space *space, struct tl_rng *rng, uint8_t *ret_arch)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        ret_arch[i] = (uint8_t)tl_rng_below(rng, space->variables[i].n_options);
    }
}

/* What is done when draw after draw was forbidden. */
static void mend(const struct space *space, struct tl_rng *rng, uint8_t *arch)
{
    if (!rules_mend(space, rng, MEND_STEPS, arch)) {
        memcpy(arch, space->allowed, space->n_variables);
    }
}

void space_sample(const struct space *space, struct tl_rng *rng, uint8_t *ret_arch)
{
    for (int i = 0; i < SPACE_DRAWS; i++) {
        draw_options(space, rng, ret_arch);
        if (space_allowed(space, ret_arch)) {
            return;
        }
    }
    mend(space, rng, ret_arch);
}

/* ---- every canonical architecture equally likely --------------------------------------------------------------- */

/* count(variable) as space_count has it, in doubles: 32^128 is 4.6e192. */
void space_odds_init(const struct space *space, struct space_odds *ret_odds)
{
    double counts[SPACE_VARIABLES_MAX];
    memset(ret_odds, 0, sizeof *ret_odds);
    for (size_t i = space->n_variables; i-- > 0;) {
        double *up_to = ret_odds->up_to[i];
        for (size_t option = 0; option < space->variables[i].n_options; option++) {
            up_to[option] = 1;
        }
        for (size_t child = i + 1; child < space->n_variables; child++) {
            const struct space_variable *v = &space->variables[child];
            for (size_t option = 0; v->parent == (int)i && option < space->variables[i].n_options; option++) {
                up_to[option] *= v->active_under >> option & 1 ? counts[child] : 1;
            }
        }
        for (size_t option = 1; option < space->variables[i].n_options; option++) {
            up_to[option] += up_to[option - 1];
        }
        counts[i] = up_to[space->variables[i].n_options - 1];
        for (size_t option = 0; option < space->variables[i].n_options; option++) {
            up_to[option] /= counts[i];
        }
    }
}

static void draw_active(const struct space *space, const struct space_odds *odds, struct tl_rng *rng,
                        uint8_t *ret_canonical)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        const struct space_variable *v = &space->variables[i];
        const double unit = tl_rng_unit(rng);
        uint8_t option = 0;
        while (option + 1 < v->n_options && !(unit < odds->up_to[i][option])) {
            option++;
        }
        ret_canonical[i] = option;
    }
    space_canonical(space, ret_canonical);
}

void space_sample_active(const struct space *space, const struct space_odds *odds, struct tl_rng *rng,
                         uint8_t *ret_canonical)
{
    for (int i = 0; i < SPACE_DRAWS; i++) {
        draw_active(space, odds, rng, ret_canonical);
        if (space_allowed(space, ret_canonical)) {
            return;
        }
    }
    mend(space, rng, ret_canonical);
    space_canonical(space, ret_canonical);
}

/* ---- changing one variable ------------------------------------------------------------------------------------- */

/* One of the active variables with another option to take; n_variables: there is none. */
static size_t any_changeable(const struct space *space, const uint8_t *active, struct tl_rng *rng)
{
    uint8_t which[SPACE_VARIABLES_MAX];
    uint32_t n = 0;
    for (size_t i = 0; i < space->n_variables; i++) {
        if (active[i] && space->variables[i].n_options > 1) {
            which[n++] = (uint8_t)i;
        }
    }
    return n ? which[tl_rng_below(rng, n)] : space->n_variables;
}

static void change(const struct space *space, size_t at, const uint8_t *active_before, struct tl_rng *rng,
                   uint8_t *arch)
{
    uint8_t active[SPACE_VARIABLES_MAX];
    const uint8_t other = (uint8_t)tl_rng_below(rng, space->variables[at].n_options - 1U);
    arch[at] = (uint8_t)(other + (other >= arch[at]));
    memcpy(active, active_before, space->n_variables);
    for (size_t i = at + 1; i < space->n_variables; i++) {
        const struct space_variable *v = &space->variables[i]; /* its parent comes earlier and is settled */
        active[i] = v->parent < 0 || (active[v->parent] && (v->active_under >> arch[v->parent] & 1));
        if (active[i] && !active_before[i]) {
            arch[i] = (uint8_t)tl_rng_below(rng, space->variables[i].n_options);
        }
    }
    space_canonical(space, arch);
}

bool space_mutate(const struct space *space, struct tl_rng *rng, uint8_t *canonical)
{
    uint8_t active[SPACE_VARIABLES_MAX], arch[SPACE_VARIABLES_MAX];
    space_active(space, canonical, active);
    for (int i = 0; i < SPACE_DRAWS; i++) {
        size_t at = any_changeable(space, active, rng);
        if (at == space->n_variables) {
            return false;
        }
        memcpy(arch, canonical, space->n_variables);
        change(space, at, active, rng, arch);
        if (space_allowed(space, arch)) {
            memcpy(canonical, arch, space->n_variables);
            return true;
        }
    }
    return false;
}
