/* breed.h - children of architectures: what evolutions, local searches and model-based controllers make new ones with.
 *
 * Genes need not be canonical. What a variable's group holds is redrawn together (kernel and expand of one slot).
 *
 * Threads: `struct breed` is immutable once made; the functions are pure but for the generator.
 */
#ifndef TAILOR_SEARCH_BREED_H
#define TAILOR_SEARCH_BREED_H

#include "search/space.h"

struct breed {
    const struct space *space; /* borrowed */
    size_t n_groups;
    uint8_t group[SPACE_VARIABLES_MAX]; /* of each variable, 0..n_groups-1: the space's numbers may have gaps */
};

void breed_init(struct breed *breed, const struct space *space);

/* Redraw each group with `probability`, uniformly over all options: once-for-all's mutation, which may change nothing. */
void breed_mutate(const struct breed *breed, double probability, struct tl_rng *rng, uint8_t *genes);
/* The same until at least one group was redrawn. */
void breed_mutate_some(const struct breed *breed, double probability, struct tl_rng *rng, uint8_t *genes);
/* Redraw one group so that one of its variables changes, if it has any with a choice. */
void breed_mutate_one(const struct breed *breed, struct tl_rng *rng, uint8_t *genes);
/* Take each variable from `father` or leave it, evenly. */
void breed_cross(const struct breed *breed, const uint8_t *father, struct tl_rng *rng, uint8_t *genes);

#endif
