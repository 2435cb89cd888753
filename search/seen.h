/* seen.h - which architectures were evaluated lately, so that no evaluation is spent twice on one.
 *
 * One idea: two sets of hashes. What is new goes into the young one; when that is full it becomes the old one, whose
 * members are forgotten. At least the last SEEN_YOUNG_MAX architectures are known, at most twice as many.
 *
 * Threads: looking is const; adding belongs to the run's thread.
 */
#ifndef TAILOR_SEARCH_SEEN_H
#define TAILOR_SEARCH_SEEN_H

#include "search/space.h"

enum { SEEN_YOUNG_MAX = 1 << 16 };

struct seen {
    const struct space *space; /* borrowed */
    size_t n_young, n_old;
    uint64_t *young, *old; /* owned, (2 SEEN_YOUNG_MAX): open addressing; 0: free */
};

TL_MUST_CHECK enum tl_rc seen_init(struct seen *seen, const struct space *space, struct tl_err *err);
void seen_done(struct seen *seen);

bool seen_has(const struct seen *seen, const uint8_t *canonical);
/* Of genes that need not be canonical. */
bool seen_has_genes(const struct seen *seen, const uint8_t *genes);
/* False: it was there already. */
bool seen_add(struct seen *seen, const uint8_t *canonical);

TL_MUST_CHECK enum tl_rc seen_save(const struct seen *seen, struct tl_buf *buf, struct tl_err *err);
/* Into one just made. False: the bytes cannot be a state. */
TL_MUST_CHECK bool seen_load(struct seen *seen, struct tl_cursor *state);

#endif
