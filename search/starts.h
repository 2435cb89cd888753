/* starts.h - the architectures that a search begins with.
 *
 * Threads: none of its own.
 */
#ifndef TAILOR_SEARCH_STARTS_H
#define TAILOR_SEARCH_STARTS_H

#include "search/search.h"

/* A copy of spec->starts, owned by the caller, (spec->n_starts, n_variables); NULL: there are none. TL_INVALID: one is not a
 * canonical, allowed architecture of the space, or they are too many, or the evaluator's values are rows of a table. */
TL_MUST_CHECK enum tl_rc starts_take(const struct search_spec *spec, const struct space *space,
                                     const struct search_evaluator *evaluator, uint8_t **ret_starts,
                                     struct tl_err *err);

#endif
