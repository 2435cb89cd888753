/* space_count.c - how many architectures a space has, exactly.
 *
 * Without rules: count(variable) = sum over its options of the product of count(child) over the children active under the
 * option; the space's is the product over the variables without a parent.
 *
 * With rules: what the rules R leave of a set is what R without r leaves of it, less what R without r leaves of the part
 * that r matches. In that part r's variables are confined to some options, so other rules can no longer match, or always do,
 * and variables that no rule ties together any more are counted apart and multiplied. The rule taken out, or the variable
 * fixed to each option in turn, is the one that leaves the fewest rules tied together; a chain of n rules so costs about n^2
 * steps. What needs more than WORK_MAX is given up.
 *
 * Threads: pure functions.
 */
#include "search/space_rules.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- numbers ------------------------------------------------------------------------------------------------- */

/* A natural number in limbs of nine decimal digits, lowest first. */
enum { LIMBS = 22, LIMB_BASE = 1000000000, LIMB_DIGITS = 9 }; /* 198 digits */

struct big {
    uint32_t limbs[LIMBS];
};

static void big_add(struct big *sum, const struct big *term)
{
    uint32_t carry = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        uint32_t limb = sum->limbs[i] + term->limbs[i] + carry;
        carry = limb >= LIMB_BASE;
        sum->limbs[i] = limb - (carry ? LIMB_BASE : 0);
    }
    assert(carry == 0);
}

static void big_subtract(struct big *rest, const struct big *part)
{
    uint32_t borrow = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        uint32_t take = part->limbs[i] + borrow;
        borrow = rest->limbs[i] < take;
        rest->limbs[i] += (borrow ? LIMB_BASE : 0) - take;
    }
    assert(borrow == 0);
}

static bool big_is(const struct big *number, uint32_t small)
{
    for (size_t i = 1; i < LIMBS; i++) {
        if (number->limbs[i]) {
            return false;
        }
    }
    return number->limbs[0] == small;
}

static void big_multiply(struct big *product, const struct big *factor)
{
    struct big result = {0};
    for (size_t i = 0; i < LIMBS; i++) {
        uint64_t carry = 0;
        for (size_t j = 0; product->limbs[i] && i + j < LIMBS; j++) {
            uint64_t limb = result.limbs[i + j] + (uint64_t)product->limbs[i] * factor->limbs[j] + carry;
            result.limbs[i + j] = (uint32_t)(limb % LIMB_BASE);
            carry = limb / LIMB_BASE;
        }
        assert(carry == 0);
    }
    *product = result;
}

static void big_format(const struct big *number, char ret_text[SPACE_COUNT_TEXT])
{
    char digits[LIMBS * LIMB_DIGITS + 1]; /* all of them, highest first */
    size_t n = sizeof digits - 1;
    digits[n] = '\0';
    for (size_t i = 0; i < LIMBS; i++) {
        uint32_t limb = number->limbs[i];
        for (size_t d = 0; d < LIMB_DIGITS; d++) {
            digits[--n] = (char)('0' + limb % 10);
            limb /= 10;
        }
    }
    size_t zeros = strspn(digits, "0");
    zeros -= zeros == sizeof digits - 1; /* one is left of nothing */
    size_t n_digits = sizeof digits - 1 - zeros;
    static_assert(sizeof digits <= SPACE_COUNT_TEXT, "every number fits the text");
    memcpy(ret_text, digits + zeros, n_digits + 1);
}

/* ---- without rules --------------------------------------------------------------------------------------------- */

/* In knots looked at, a few microseconds each: about half a second. Counting what is free costs some twenty. */
enum { WORK_MAX = 200000, WORK_FREE = 20 };

/* Some of the variables, as bits. */
struct members {
    uint64_t bits[SPACE_VARIABLES_MAX / 64];
};

static bool is_member(const struct members *members, size_t i)
{
    return members->bits[i / 64] >> (i % 64) & 1;
}

struct counting {
    const struct space *space;
    int32_t work_left;                                                      /* below 0: given up */
    int16_t first_child[SPACE_VARIABLES_MAX], sibling[SPACE_VARIABLES_MAX]; /* -1: none */
};

static void counting_init(struct counting *c, const struct space *space)
{
    *c = (struct counting){.space = space, .work_left = WORK_MAX};
    memset(c->first_child, 0xff, sizeof c->first_child);
    for (int i = space->n_variables - 1; i >= 0; i--) {
        const int parent = space->variables[i].parent;
        c->sibling[i] = (int16_t)(parent < 0 ? -1 : c->first_child[parent]);
        if (parent >= 0) {
            c->first_child[parent] = (int16_t)i;
        }
    }
}

/* Choices below one option: the product over the variables that it makes active, those counted apart left out. */
static void multiply_children(const struct counting *c, const enum activity *activity, const struct big *counts,
                              size_t variable, size_t option, struct big *product)
{
    for (int child = c->first_child[variable]; child >= 0; child = c->sibling[child]) {
        if (activity[child] == ACTIVE_SOMETIMES && (c->space->variables[child].active_under >> option & 1)) {
            big_multiply(product, &counts[child]);
        }
    }
}

/* Variables that are always active are factors of the product; the others are counted below their parents. */
static void count_free(struct counting *c, const struct members *members, const struct confines *confines,
                       const enum activity *activity, struct big *ret_count)
{
    struct big counts[SPACE_VARIABLES_MAX];
    *ret_count = (struct big){.limbs = {1}};
    c->work_left -= WORK_FREE;
    for (size_t i = c->space->n_variables; i-- > 0;) {
        if (!is_member(members, i) || activity[i] == ACTIVE_NEVER) {
            continue;
        }
        counts[i] = (struct big){0};
        for (size_t option = 0; option < c->space->variables[i].n_options; option++) {
            struct big product = {.limbs = {1}};
            if (confines->options[i] >> option & 1) {
                multiply_children(c, activity, counts, i, option, &product);
                big_add(&counts[i], &product);
            }
        }
        if (activity[i] == ACTIVE_ALWAYS) {
            big_multiply(ret_count, &counts[i]);
        }
    }
}

/* ---- what is tied together ------------------------------------------------------------------------------------- */

struct ties {
    uint8_t leader[SPACE_VARIABLES_MAX];
};

static uint8_t leader_of(struct ties *ties, size_t i)
{
    while (ties->leader[i] != i) {
        ties->leader[i] = ties->leader[ties->leader[i]];
        i = ties->leader[i];
    }
    return (uint8_t)i;
}

static void tie(struct ties *ties, size_t a, size_t b)
{
    ties->leader[leader_of(ties, a)] = leader_of(ties, b);
}

/* A term that always holds ties nothing. */
static bool term_open(const struct confines *confines, const enum activity *activity, const struct space_term *term)
{
    return activity[term->variable] != ACTIVE_ALWAYS || (confines->options[term->variable] & ~term->options);
}

static int tie_rule(const struct confines *confines, const enum activity *activity, const struct space_rule *rule,
                    struct ties *ties)
{
    int first = -1;
    for (size_t i = 0; i < rule->n_terms; i++) {
        const struct space_term *term = &rule->terms[i];
        if (term_open(confines, activity, term)) {
            first = first < 0 ? term->variable : first;
            tie(ties, (size_t)first, term->variable);
        }
    }
    return first;
}

/* Variables to the parents that decide whether they are active, and those of a rule to each other. */
static void tie_all(const struct space *space, const struct confines *confines, const enum activity *activity,
                    uint64_t rules, struct ties *ret_ties)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        ret_ties->leader[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < space->n_variables; i++) {
        if (activity[i] == ACTIVE_SOMETIMES) {
            tie(ret_ties, i, (size_t)space->variables[i].parent);
        }
    }
    for (size_t r = 0; r < space->n_rules; r++) {
        if (rules >> r & 1) {
            (void)tie_rule(confines, activity, &space->rules[r], ret_ties);
        }
    }
}

/* Rules that can still match; *ret_void: one of them always does, so nothing is left. */
static uint64_t open_rules(const struct space *space, const struct confines *confines, const enum activity *activity,
                           uint64_t rules, bool *ret_void)
{
    uint64_t open = 0;
    *ret_void = false;
    for (size_t r = 0; r < space->n_rules; r++) {
        if (rules >> r & 1) {
            const enum match match = confines_match(confines, activity, &space->rules[r]);
            open |= (uint64_t)(match == MATCH_SOMETIMES) << r;
            *ret_void = *ret_void || match == MATCH_ALWAYS;
        }
    }
    return open;
}

/* The most rules that stay tied together under these confines. */
static unsigned largest_knot(struct counting *c, const struct confines *confines, uint64_t rules)
{
    const struct space *space = c->space;
    enum activity activity[SPACE_VARIABLES_MAX];
    unsigned of_leader[SPACE_VARIABLES_MAX] = {0}, largest = 0;
    struct ties ties;
    bool none;
    c->work_left--;
    confines_activity(space, confines, activity);
    rules = open_rules(space, confines, activity, rules, &none);
    tie_all(space, confines, activity, rules, &ties);
    for (size_t r = 0; r < space->n_rules && !none; r++) {
        if (rules >> r & 1) {
            const struct space_term *term = space->rules[r].terms;
            while (!term_open(confines, activity, term)) {
                term++; /* an open rule has an open term */
            }
            unsigned *n = &of_leader[leader_of(&ties, term->variable)];
            largest = ++*n > largest ? *n : largest;
        }
    }
    return largest;
}

/* ---- with rules ------------------------------------------------------------------------------------------------ */

/* Where a knot is cut: a rule taken out, or a variable fixed. */
struct cut {
    int rule, variable; /* one of them -1 */
    unsigned price;     /* lower is better */
};

/* A cut into `n` parts with knots of k rules is taken to cost n * 2^k; compared by logarithms, four to a doubling. */
static unsigned price_of(unsigned n, unsigned knot)
{
    unsigned price = 4 * knot;
    for (; n > 1; n = (n + 1) / 2) {
        price += 4;
    }
    return price;
}

/* Variables that fixing could help: those in rules, and those that others hang on. */
static void find_deciding(const struct space *space, const enum activity *activity, uint64_t rules,
                          struct members *ret_deciding)
{
    *ret_deciding = (struct members){0};
    for (size_t i = 0; i < space->n_variables; i++) {
        const size_t parent = activity[i] == ACTIVE_SOMETIMES ? (size_t)space->variables[i].parent : i;
        ret_deciding->bits[parent / 64] |= (uint64_t)(parent != i) << (parent % 64);
    }
    for (size_t r = 0; r < space->n_rules; r++) {
        for (size_t i = 0; (rules >> r & 1) && i < space->rules[r].n_terms; i++) {
            const size_t at = space->rules[r].terms[i].variable;
            ret_deciding->bits[at / 64] |= UINT64_C(1) << (at % 64);
        }
    }
}

/* The rule without which the knots are smallest. */
static int best_rule(struct counting *c, const struct confines *confines, uint64_t rules, unsigned *ret_knot)
{
    int best = -1;
    *ret_knot = UINT32_MAX;
    for (int r = 0; r < c->space->n_rules; r++) {
        const unsigned knot = rules >> r & 1 ? largest_knot(c, confines, rules & ~(UINT64_C(1) << r)) : UINT32_MAX;
        best = knot < *ret_knot ? r : best;
        *ret_knot = knot < *ret_knot ? knot : *ret_knot;
    }
    return best;
}

/* What it costs to fix an always active variable to each of its options. Others that hang on it hold rules together which
 * fall apart at the next cut, so that one is looked at too. */
static unsigned fixing_price(struct counting *c, const struct confines *confines, const enum activity *activity,
                             size_t variable, uint64_t rules)
{
    struct confines fixed = *confines, widest = *confines;
    const uint32_t options = confines->options[variable];
    unsigned worst = 0, after = 0;
    bool decides = false;
    for (uint32_t left = options; left; left &= left - 1) {
        fixed.options[variable] = left & -left;
        const unsigned knot = largest_knot(c, &fixed, rules);
        widest = knot >= worst ? fixed : widest;
        worst = knot > worst ? knot : worst;
    }
    for (int child = c->first_child[variable]; child >= 0; child = c->sibling[child]) {
        decides = decides || activity[child] == ACTIVE_SOMETIMES;
    }
    if (decides && worst > 1) {
        (void)best_rule(c, &widest, rules, &after);
        worst = after + 1 < worst ? after + 1 : worst;
    }
    return price_of((unsigned)__builtin_popcount(options), worst);
}

static struct cut best_cut(struct counting *c, const struct members *members, const struct confines *confines,
                           const enum activity *activity, uint64_t rules)
{
    unsigned knot = 0;
    const int rule = best_rule(c, confines, rules, &knot);
    struct cut best = {rule, -1, price_of(2, knot)};
    struct members deciding;
    find_deciding(c->space, activity, rules, &deciding);
    for (size_t i = 0; i < c->space->n_variables; i++) {
        const uint32_t options = confines->options[i];
        const bool able = activity[i] == ACTIVE_ALWAYS && (options & (options - 1));
        if (able && is_member(members, i) && is_member(&deciding, i)) {
            const unsigned price = fixing_price(c, confines, activity, i, rules);
            best = price < best.price ? (struct cut){-1, (int)i, price} : best;
        }
    }
    return best;
}

static bool count_part(struct counting *c, const struct members *members, const struct confines *confines,
                       uint64_t rules, struct big *ret_count);

static bool count_cut(struct counting *c, const struct members *members, const struct confines *confines,
                      uint64_t rules, const struct cut *cut, struct big *ret_count)
{
    struct confines part = *confines;
    struct big count;
    if (cut->variable < 0) {
        const uint64_t others = rules & ~(UINT64_C(1) << cut->rule);
        if (!count_part(c, members, confines, others, ret_count)) {
            return false;
        }
        if (!confines_apply(c->space, &c->space->rules[cut->rule], &part)) {
            return true;
        }
        if (!count_part(c, members, &part, others, &count)) {
            return false;
        }
        big_subtract(ret_count, &count);
        return true;
    }
    *ret_count = (struct big){0};
    for (uint32_t left = confines->options[cut->variable]; left; left &= left - 1) {
        part.options[cut->variable] = left & -left;
        if (!count_part(c, members, &part, rules, &count)) {
            return false;
        }
        big_add(ret_count, &count);
    }
    return true;
}

/* The variables that are led by `leader`, and the rules among them. */
static uint64_t gather(const struct counting *c, const struct members *members, const struct confines *confines,
                       const enum activity *activity, struct ties *ties, uint64_t rules, uint8_t leader,
                       struct members *ret_members)
{
    uint64_t own = 0;
    *ret_members = (struct members){0};
    for (size_t i = 0; i < c->space->n_variables; i++) {
        if (is_member(members, i) && leader_of(ties, i) == leader) {
            ret_members->bits[i / 64] |= UINT64_C(1) << (i % 64);
        }
    }
    for (size_t r = 0; r < c->space->n_rules; r++) {
        const struct space_rule *rule = &c->space->rules[r];
        for (size_t i = 0; (rules >> r & 1) && i < rule->n_terms; i++) {
            if (term_open(confines, activity, &rule->terms[i]) && is_member(ret_members, rule->terms[i].variable)) {
                own |= UINT64_C(1) << r;
            }
        }
    }
    return own;
}

/* One knot: all of `rules` and `members` hang together. */
static bool count_knot(struct counting *c, const struct members *members, const struct confines *confines,
                       const enum activity *activity, uint64_t rules, struct big *ret_count)
{
    if (rules == 0) {
        count_free(c, members, confines, activity, ret_count);
        return true;
    }
    const struct cut cut = best_cut(c, members, confines, activity, rules);
    return count_cut(c, members, confines, rules, &cut, ret_count);
}

/* What the rules leave of the members within their confines: the product over the knots. false: too much work. */
static bool count_part(struct counting *c, const struct members *members, const struct confines *confines,
                       uint64_t rules, struct big *ret_count)
{
    enum activity activity[SPACE_VARIABLES_MAX];
    struct ties ties;
    struct members own;
    struct big count;
    bool none;
    if (--c->work_left < 0) {
        return false;
    }
    confines_activity(c->space, confines, activity);
    rules = open_rules(c->space, confines, activity, rules, &none);
    *ret_count = (struct big){.limbs = {none ? 0 : 1}};
    if (!none && rules == 0) {
        count_free(c, members, confines, activity, ret_count);
        return true;
    }
    tie_all(c->space, confines, activity, rules, &ties);
    for (size_t i = 0; i < c->space->n_variables && !none; i++) {
        if (!is_member(members, i) || activity[i] == ACTIVE_NEVER || leader_of(&ties, i) != i) {
            continue;
        }
        const uint64_t its_rules = gather(c, members, confines, activity, &ties, rules, (uint8_t)i, &own);
        if (!count_knot(c, &own, confines, activity, its_rules, &count)) {
            return false;
        }
        big_multiply(ret_count, &count);
        none = big_is(ret_count, 0);
    }
    return true;
}

bool count_exactly(const struct space *space, char ret_text[SPACE_COUNT_TEXT])
{
    struct members all;
    struct confines whole;
    struct counting c;
    struct big count;
    memset(&all, 0xff, sizeof all);
    counting_init(&c, space);
    confines_whole(space, &whole);
    if (!count_part(&c, &all, &whole, space->n_rules ? UINT64_MAX >> (SPACE_RULES_MAX - space->n_rules) : 0, &count)) {
        return false;
    }
    big_format(&count, ret_text);
    return true;
}

/* Within the work, since space_finish has counted before. */
void space_count(const struct space *space, char ret_text[SPACE_COUNT_TEXT])
{
    if (!count_exactly(space, ret_text)) {
        (void)snprintf(ret_text, SPACE_COUNT_TEXT, "0");
    }
}
