/* space_rules.h - inside the room: which variables are active and which rules match when every variable is confined to some
 * of its options.
 */
#ifndef TAILOR_SEARCH_SPACE_RULES_H
#define TAILOR_SEARCH_SPACE_RULES_H

#include "search/space.h"

/* Options that each variable may take: bit i, option i; none empty. */
struct confines {
    uint32_t options[SPACE_VARIABLES_MAX];
};

enum activity { ACTIVE_NEVER, ACTIVE_SOMETIMES, ACTIVE_ALWAYS };
enum match { MATCH_NEVER, MATCH_SOMETIMES, MATCH_ALWAYS };

void confines_whole(const struct space *space, struct confines *ret_confines);
/* Of every variable, by what its ancestors may take. */
void confines_activity(const struct space *space, const struct confines *confines, enum activity *ret_activity);
/* Does the rule match architectures within the confines? Exact for NEVER and ALWAYS. */
enum match confines_match(const struct confines *confines, const enum activity *activity,
                          const struct space_rule *rule);
/* Confine to what the rule matches. false: nothing is left. */
bool confines_apply(const struct space *space, const struct space_rule *rule, struct confines *confines);

/* The part of space_finish that is about rules; sets space->allowed. */
TL_MUST_CHECK enum tl_rc rules_check(struct space *space, struct tl_err *err);

/* Change one variable after another until no rule matches; bounded. false: `arch` is still forbidden. */
bool rules_mend(const struct space *space, struct tl_rng *rng, size_t n_steps, uint8_t *arch);

/* space_count, or false where the rules are too entangled to be counted in bounded work. */
bool count_exactly(const struct space *space, char ret_text[SPACE_COUNT_TEXT]);

#endif
