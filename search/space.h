/* space.h - what can be chosen: variables with options, some active only under others.
 *
 * An architecture is one byte a variable: the index of the option taken. It is canonical when every inactive variable
 * stands at option 0; equal networks have equal canonical forms, and the id of an architecture is the hash of space id and
 * canonical form. Controllers may work on forms that are not canonical (once-for-all's crossover does).
 *
 * Threads: a space is immutable once built and shared freely.
 */
#ifndef TAILOR_SPACE_H
#define TAILOR_SPACE_H

#include "base/base.h"

enum { SPACE_VARIABLES_MAX = 128, SPACE_OPTIONS_MAX = 32, SPACE_LABEL_MAX = 24, SPACE_COUNT_TEXT = 200 };

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

struct space {
    char name[65];
    uint16_t n_variables;
    struct space_variable variables[SPACE_VARIABLES_MAX];
    struct tl_hash id; /* of the content; set by space_finish */
};

/* Check (a valid name, unique variable names and labels, options 1..MAX, parents earlier, every variable can become active,
 * numbers of ordered options rise) and set the id. TL_INVALID names the variable. */
TL_MUST_CHECK enum tl_rc space_finish(struct space *space, struct tl_err *err);

/* Index of a variable or of an option by its label; -1: none. */
int space_variable_find(const struct space *space, const char *name);
int space_option_find(const struct space_variable *variable, const char *label);

/* Exact number of canonical architectures, in decimal: at most 32^128, which has 193 digits. */
void space_count(const struct space *space, char ret_text[SPACE_COUNT_TEXT]);

/* ---- architectures: n_variables bytes ------------------------------------------------------------------------ */

/* Which variables are active: ret_active[i] is 1 or 0. */
void space_active(const struct space *space, const uint8_t *arch, uint8_t *ret_active);
void space_canonical(const struct space *space, uint8_t *arch);   /* in place */
bool space_valid(const struct space *space, const uint8_t *arch); /* every option in range */
struct tl_hash space_arch_id(const struct space *space, const uint8_t *canonical);

/* Every variable uniform over its options, as once-for-all samples (inactive ones too). */
void space_sample(const struct space *space, struct tl_rng *rng, uint8_t *ret_arch);

/* Number of variables in which two canonical architectures differ: other options, or active in one of them only. */
size_t space_distance(const struct space *space, const uint8_t *a, const uint8_t *b);

#endif
