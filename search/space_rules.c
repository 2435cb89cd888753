/* space_rules.c - rules that forbid combinations: checked, asked, and obeyed by mending.
 *
 * Threads: pure functions.
 */
#include "search/space_rules.h"

#include <string.h>

/* ---- under confines ------------------------------------------------------------------------------------------ */

void confines_whole(const struct space *space, struct confines *ret_confines)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        ret_confines->options[i] = UINT32_MAX >> (SPACE_OPTIONS_MAX - space->variables[i].n_options);
    }
}

void confines_activity(const struct space *space, const struct confines *confines, enum activity *ret_activity)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        const struct space_variable *v = &space->variables[i];
        if (v->parent < 0) {
            ret_activity[i] = ACTIVE_ALWAYS;
            continue;
        }
        const uint32_t options = confines->options[v->parent];
        const enum activity parent = ret_activity[v->parent];
        ret_activity[i] = parent == ACTIVE_NEVER || !(options & v->active_under) ? ACTIVE_NEVER
                          : options & ~v->active_under                           ? ACTIVE_SOMETIMES
                                                                                 : parent;
    }
}

/* Terms on one variable's options and on its ancestors' may exclude each other: that is seen by confines_apply only. */
enum match confines_match(const struct confines *confines, const enum activity *activity, const struct space_rule *rule)
{
    enum match match = MATCH_ALWAYS;
    for (size_t i = 0; i < rule->n_terms; i++) {
        const struct space_term *term = &rule->terms[i];
        const uint32_t options = confines->options[term->variable];
        if (activity[term->variable] == ACTIVE_NEVER || !(options & term->options)) {
            return MATCH_NEVER;
        }
        if (activity[term->variable] == ACTIVE_SOMETIMES || options & ~term->options) {
            match = MATCH_SOMETIMES;
        }
    }
    return match;
}

bool confines_apply(const struct space *space, const struct space_rule *rule, struct confines *confines)
{
    for (size_t i = 0; i < rule->n_terms; i++) {
        int at = rule->terms[i].variable;
        confines->options[at] &= rule->terms[i].options;
        bool some = confines->options[at] != 0;
        for (; some && space->variables[at].parent >= 0; at = space->variables[at].parent) {
            uint32_t *parent = &confines->options[space->variables[at].parent];
            *parent &= space->variables[at].active_under;
            some = *parent != 0;
        }
        if (!some) {
            return false;
        }
    }
    return true;
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static bool rule_matches(const struct space_rule *rule, const uint8_t *arch, const uint8_t *active)
{
    for (size_t i = 0; i < rule->n_terms; i++) {
        const struct space_term *term = &rule->terms[i];
        if (!active[term->variable] || !(term->options >> arch[term->variable] & 1)) {
            return false;
        }
    }
    return true;
}

/* The first rule that forbids `arch`; NULL: none does. */
static const struct space_rule *rule_against(const struct space *space, const uint8_t *arch)
{
    uint8_t active[SPACE_VARIABLES_MAX];
    if (space->n_rules == 0) {
        return NULL;
    }
    space_active(space, arch, active);
    for (size_t i = 0; i < space->n_rules; i++) {
        if (rule_matches(&space->rules[i], arch, active)) {
            return &space->rules[i];
        }
    }
    return NULL;
}

bool space_allowed(const struct space *space, const uint8_t *arch)
{
    return rule_against(space, arch) == NULL;
}

/* Any of the options in `mask`, which has some. */
static uint8_t any_option(uint32_t mask, struct tl_rng *rng)
{
    uint32_t n = (uint32_t)__builtin_popcount(mask);
    for (uint32_t skip = tl_rng_below(rng, n); skip > 0; skip--) {
        mask &= mask - 1;
    }
    return (uint8_t)__builtin_ctz(mask);
}

/* Take one variable of the rule, or one that it hangs on, out of what the rule matches. A step that finds the variable
 * with nowhere to go draws another. */
static void leave_rule(const struct space *space, const struct space_rule *rule, struct tl_rng *rng, uint8_t *arch)
{
    const struct space_term *term = &rule->terms[tl_rng_below(rng, rule->n_terms)];
    int at = term->variable;
    uint32_t matched = term->options;
    while (space->variables[at].parent >= 0 && tl_rng_below(rng, 4) == 0) {
        matched = space->variables[at].active_under;
        at = space->variables[at].parent;
    }
    const uint32_t others = UINT32_MAX >> (SPACE_OPTIONS_MAX - space->variables[at].n_options) & ~matched;
    if (others) {
        arch[at] = any_option(others, rng);
    }
}

bool rules_mend(const struct space *space, struct tl_rng *rng, size_t n_steps, uint8_t *arch)
{
    const struct space_rule *rule = rule_against(space, arch);
    for (; rule && n_steps > 0; n_steps--) {
        leave_rule(space, rule, rng, arch);
        rule = rule_against(space, arch);
    }
    return rule == NULL;
}

/* ---- checks -------------------------------------------------------------------------------------------------- */

static enum tl_rc check_term(const struct space *space, size_t rule, size_t index, struct tl_err *err)
{
    const struct space_term *terms = space->rules[rule].terms, *term = &terms[index];
    if (term->variable >= space->n_variables) {
        return tl_fail(err, TL_INVALID, "rule %zu names variable %u; there are %u", rule, term->variable,
                       space->n_variables);
    }
    const struct space_variable *v = &space->variables[term->variable];
    if (term->options == 0 || term->options & ~(UINT32_MAX >> (SPACE_OPTIONS_MAX - v->n_options))) {
        return tl_fail(err, TL_INVALID, "rule %zu must name some of the %u options of %s, and no others", rule,
                       v->n_options, v->name);
    }
    for (size_t i = 0; i < index; i++) {
        if (terms[i].variable == term->variable) {
            return tl_fail(err, TL_INVALID, "rule %zu names %s twice; put all its options into one term", rule,
                           v->name);
        }
    }
    return TL_OK;
}

enum tl_rc space_rule_check(const struct space *space, size_t index, struct tl_err *err)
{
    const struct space_rule *rule = &space->rules[index];
    struct confines confines;
    if (rule->n_terms < 1 || rule->n_terms > SPACE_TERMS_MAX) {
        return tl_fail(err, TL_INVALID, "rule %zu has %u terms; 1 to %d are possible", index, rule->n_terms,
                       SPACE_TERMS_MAX);
    }
    for (size_t i = 0; i < rule->n_terms; i++) {
        enum tl_rc rc = check_term(space, index, i, err);
        if (rc) {
            return rc;
        }
    }
    confines_whole(space, &confines);
    return confines_apply(space, rule, &confines)
               ? TL_OK
               : tl_fail(err, TL_INVALID, "rule %zu can never match: its variables are never active together; drop it",
                         index);
}

/* Rules of one term take options away for good: no variable may lose by them what makes it active. */
static enum tl_rc check_activity(const struct space *space, struct tl_err *err)
{
    struct confines left;
    enum activity activity[SPACE_VARIABLES_MAX];
    confines_whole(space, &left);
    for (size_t i = 0; i < space->n_rules; i++) {
        const struct space_rule *rule = &space->rules[i];
        left.options[rule->terms[0].variable] &= rule->n_terms == 1 ? ~rule->terms[0].options : UINT32_MAX;
    }
    confines_activity(space, &left, activity);
    for (size_t i = 0; i < space->n_variables; i++) {
        const struct space_variable *v = &space->variables[i];
        if (activity[i] == ACTIVE_NEVER && left.options[v->parent] != 0) {
            return tl_fail(err, TL_INVALID,
                           "variable %s can never be active: rules forbid the options of %s that make it "
                           "so; drop the variable or a rule",
                           v->name, space->variables[v->parent].name);
        }
    }
    return TL_OK;
}

/* Steps until a first allowed architecture is given up: what rules of people leave is found in some hundred. */
enum { MEND_STEPS = 100000, MEND_SEED = 1 };

enum tl_rc rules_check(struct space *space, struct tl_err *err)
{
    char count[SPACE_COUNT_TEXT];
    struct tl_rng rng;
    memset(space->allowed, 0, sizeof space->allowed);
    if (space->n_rules > SPACE_RULES_MAX) {
        return tl_fail(err, TL_INVALID, "space %s has %u rules; up to %d are possible", space->name, space->n_rules,
                       SPACE_RULES_MAX);
    }
    for (size_t i = 0; i < space->n_rules; i++) {
        enum tl_rc rc = space_rule_check(space, i, err);
        if (rc) {
            return rc;
        }
    }
    enum tl_rc rc = check_activity(space, err);
    if (rc || space->n_rules == 0) {
        return rc;
    }
    if (!count_exactly(space, count)) {
        return tl_fail(err, TL_INVALID,
                       "the %u rules of space %s are too entangled to count what they leave; give fewer "
                       "rules, or rules that share fewer variables",
                       space->n_rules, space->name);
    }
    if (strcmp(count, "0") == 0) {
        return tl_fail(err, TL_INVALID, "the rules of space %s forbid everything; drop one", space->name);
    }
    tl_rng_init(&rng, MEND_SEED, 0, 0);
    if (!rules_mend(space, &rng, MEND_STEPS, space->allowed)) {
        return tl_fail(err, TL_INVALID,
                       "the rules of space %s leave so little (%s) that none of it was found; give "
                       "fewer rules",
                       space->name, count);
    }
    space_canonical(space, space->allowed);
    return TL_OK;
}
