/* front.h - the feasible candidates that no other dominates.
 *
 * One idea: members stand in the order of their second cost. With two costs the first then falls along that order, so a
 * candidate is judged by its left neighbour alone, found by halving; with more a tree of boxes judges (front_tree.h).
 * The members are a function of what was offered and in which order, never of how it is kept.
 *
 * Threads: none of its own.
 */
#ifndef TAILOR_SEARCH_FRONT_H
#define TAILOR_SEARCH_FRONT_H

#include "search/front_tree.h"
#include "search/shelf.h"

struct front_entry {
    double second, first; /* costs */
    uint32_t slot;        /* on the shelf */
};

struct front {
    const struct search_spec *spec; /* borrowed */
    size_t capacity;
    size_t n;
    struct front_entry *entries; /* owned, (capacity): by second cost, of equal ones the earlier offered first */
    struct shelf members;        /* by slot */
    uint32_t *free_slots;        /* owned, (capacity): from n on, slots not in use */
    uint8_t *marked;             /* owned, (capacity), by slot: about to leave; 0 between calls */
    struct front_tree tree;      /* used with three costs and more */
};

/* `spec` says the costs. capacity: at least 16; fewer than that are members after every offer. */
TL_MUST_CHECK enum tl_rc front_init(struct front *front, const struct search_spec *spec, const struct space *space,
                                    size_t n_metrics, size_t capacity, struct tl_err *err);
void front_done(struct front *front);

/* Offer a feasible candidate with finite front metrics. True: it is a member now, and those that it dominates are not. */
bool front_offer(struct front *front, uint64_t number, const double *values, const uint8_t *arch);

#endif
