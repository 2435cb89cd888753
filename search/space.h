/* space.h - what can be chosen: variables with options, some active only under others, and rules that forbid combinations.
 *
 * An architecture is one byte a variable: the index of the option taken. It is canonical when every inactive variable
 * stands at option 0; equal networks have equal canonical forms, and the id of an architecture is the hash of space id and
 * canonical form. Controllers may work on forms that are not canonical (once-for-all's crossover does).
 *
 * A rule names up to four variables with options of theirs. An architecture whose active variables take one of those
 * options each is forbidden: it is not in the space. An inactive variable takes none, so a rule that names it is silent.
 *
 * Threads: a space is immutable once built and shared freely.
 */
#ifndef TAILOR_SPACE_H
#define TAILOR_SPACE_H

#include "base/base.h"

enum {
    SPACE_VARIABLES_MAX = 128,
    SPACE_OPTIONS_MAX = 32,
    SPACE_LABEL_MAX = 24,
    SPACE_COUNT_TEXT = 200,
    SPACE_RULES_MAX = 64,
    SPACE_TERMS_MAX = 4
};

struct space_variable {
    char name[SPACE_LABEL_MAX]; /* "s3.depth", "s3.b2.kernel", "resolution" */
    uint8_t n_options;
    bool ordered;          /* options rise with their numbers (kernel sizes), as opposed to names (identity, k3e3) */
    int16_t parent;        /* an earlier variable, or -1: always active */
    uint32_t active_under; /* bit i: active when the parent is active and takes its option i; unused without a parent */
    uint16_t group;        /* variables mutated together share a group (kernel and expand of one slot) */
    char labels[SPACE_OPTIONS_MAX][SPACE_LABEL_MAX];
    double numbers[SPACE_OPTIONS_MAX]; /* NAN where an option has none */
};

/* Forbids what matches every term. */
struct space_rule {
    uint8_t n_terms;
    struct space_term {
        uint8_t variable;
        uint32_t options; /* bit i: option i */
    } terms[SPACE_TERMS_MAX];
};

struct space {
    char name[65];
    uint16_t n_variables, n_rules;
    struct space_variable variables[SPACE_VARIABLES_MAX];
    struct space_rule rules[SPACE_RULES_MAX];
    struct tl_hash id; /* of the content (of the rules where there are any); set by space_finish */
    uint8_t
        allowed[SPACE_VARIABLES_MAX]; /* an architecture that no rule forbids; set by space_finish, used with rules */
};

/* Check (a valid name, unique variable names and labels, options 1..MAX, parents earlier, every variable can become active,
 * numbers of ordered options rise; rules of different variables that can match, that leave something and that can be
 * counted) and set the id. TL_INVALID names the variable or the rule, counted from 0. */
TL_MUST_CHECK enum tl_rc space_finish(struct space *space, struct tl_err *err);

/* Check rules[index] by itself, when the variables are checked. */
TL_MUST_CHECK enum tl_rc space_rule_check(const struct space *space, size_t index, struct tl_err *err);

/* Index of a variable or of an option by its label; -1: none. */
int space_variable_find(const struct space *space, const char *name);
int space_option_find(const struct space_variable *variable, const char *label);

/* Exact number of canonical architectures that no rule forbids, in decimal: at most 32^128, which has 193 digits. */
void space_count(const struct space *space, char ret_text[SPACE_COUNT_TEXT]);

/* ---- architectures: n_variables bytes ------------------------------------------------------------------------ */

/* Which variables are active: ret_active[i] is 1 or 0. */
void space_active(const struct space *space, const uint8_t *arch, uint8_t *ret_active);
void space_canonical(const struct space *space, uint8_t *arch);   /* in place */
bool space_valid(const struct space *space, const uint8_t *arch); /* every option in range */
struct tl_hash space_arch_id(const struct space *space, const uint8_t *canonical);

/* Does no rule forbid it? The form need not be canonical. */
bool space_allowed(const struct space *space, const uint8_t *arch);

/* Every variable uniform over its options, as once-for-all samples (inactive ones too). With rules it is drawn until
 * allowed, up to SPACE_DRAWS times; then the last draw is mended one variable at a time, which is no longer uniform, and
 * should that fail the space's own allowed architecture is given. So what comes back is always allowed. */
enum { SPACE_DRAWS = 1000 };
void space_sample(const struct space *space, struct tl_rng *rng, uint8_t *ret_arch);

/* Shares of canonical architectures, rules left out: of those in which a variable is active, in how many it takes an
 * option or an earlier one. */
struct space_odds {
    double up_to[SPACE_VARIABLES_MAX][SPACE_OPTIONS_MAX];
};
void space_odds_init(const struct space *space, struct space_odds *ret_odds);
/* Canonical and allowed, every such architecture equally likely (with rules as far as SPACE_DRAWS draws lead, see
 * space_sample), where space_sample prefers networks with few active variables. */
void space_sample_active(const struct space *space, const struct space_odds *odds, struct tl_rng *rng,
                         uint8_t *ret_canonical);
/* One active variable takes another of its options, those that become active by it are drawn anew; stays canonical and
 * allowed. false: nothing was changed, since nothing can be, or SPACE_DRAWS draws were all forbidden. */
bool space_mutate(const struct space *space, struct tl_rng *rng, uint8_t *canonical);

/* Number of variables in which two canonical architectures differ: other options, or active in one of them only. */
size_t space_distance(const struct space *space, const uint8_t *a, const uint8_t *b);

#endif
