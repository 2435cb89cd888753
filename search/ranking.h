/* ranking.h - the best individuals so far, in order: the parents of evolutions.
 *
 * Feasible first, then less violation, then score (goal_better). Of equally good ones the later ranks higher, as in
 * once-for-all, whose sort goes upwards, stably, and is then reversed: what an inactive variable holds can drift.
 *
 * Aging and distinct evolutions keep their population in one too, fill `at` themselves and in no order, and only share how
 * it is saved.
 *
 * Threads: none of its own.
 */
#ifndef TAILOR_SEARCH_RANKING_H
#define TAILOR_SEARCH_RANKING_H

#include "search/space.h"

struct individual {
    uint8_t genes[SPACE_VARIABLES_MAX];
    double score, violation; /* finite */
};

struct ranking {
    const struct space *space; /* borrowed */
    size_t max, n;
    struct individual *at; /* owned, (max): the best first */
};

TL_MUST_CHECK enum tl_rc ranking_init(struct ranking *ranking, const struct space *space, size_t max,
                                      struct tl_err *err);
void ranking_done(struct ranking *ranking);

/* Insert; what falls off the end is forgotten. */
void ranking_add(struct ranking *ranking, const uint8_t *genes, double score, double violation);

TL_MUST_CHECK enum tl_rc ranking_save(const struct ranking *ranking, struct tl_buf *buf, struct tl_err *err);
/* False: the bytes cannot be a ranking of this space and size. */
TL_MUST_CHECK bool ranking_load(struct ranking *ranking, struct tl_cursor *state);

#endif
