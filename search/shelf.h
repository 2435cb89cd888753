/* shelf.h - candidates packed side by side: number, values, architecture.
 *
 * What a value means (score, violation) is not stored: the goal says it, also when a state is read back.
 *
 * Threads: none of its own.
 */
#ifndef TAILOR_SEARCH_SHELF_H
#define TAILOR_SEARCH_SHELF_H

#include "search/search.h"

struct shelf {
    const struct space *space; /* borrowed */
    size_t n_metrics;
    size_t capacity;
    size_t stride; /* bytes a candidate */
    uint8_t *rows; /* owned */
};

TL_MUST_CHECK enum tl_rc shelf_init(struct shelf *shelf, const struct space *space, size_t n_metrics, size_t capacity,
                                    struct tl_err *err);
void shelf_done(struct shelf *shelf);

/* `values`: n_metrics of them. `arch` is canonical. Both are copied. */
void shelf_put(struct shelf *shelf, size_t index, uint64_t number, const double *values, const uint8_t *arch);
/* Fills all but the violation, absent metrics with NAN; the architecture is borrowed from the shelf. */
void shelf_get(const struct shelf *shelf, size_t index, struct search_candidate *ret_candidate);

TL_MUST_CHECK enum tl_rc shelf_save(const struct shelf *shelf, size_t index, struct tl_buf *buf, struct tl_err *err);
/* Read what shelf_save wrote. False: not a canonical architecture of the space, or a number that is not below `n_numbers`. */
TL_MUST_CHECK bool shelf_load(struct shelf *shelf, size_t index, uint64_t n_numbers, struct tl_cursor *state);

#endif
