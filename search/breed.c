/* breed.c - mutation and crossover of genes. */
#include "search/breed.h"

/* Redraws until one changes something; a space of one architecture never does. */
enum { ONE_TRIES = 1000 };

void breed_init(struct breed *breed, const struct space *space)
{
    *breed = (struct breed){.space = space};
    for (size_t i = 0; i < space->n_variables; i++) {
        size_t twin = 0;
        while (space->variables[twin].group != space->variables[i].group) {
            twin++; /* ends at i */
        }
        breed->group[i] = twin < i ? breed->group[twin] : (uint8_t)breed->n_groups++;
    }
}

static bool mutate(const struct breed *breed, double probability, struct tl_rng *rng, uint8_t *genes)
{
    bool redrawn[SPACE_VARIABLES_MAX], any = false;
    for (size_t g = 0; g < breed->n_groups; g++) {
        redrawn[g] = tl_rng_unit(rng) < probability;
        any |= redrawn[g];
    }
    for (size_t i = 0; i < breed->space->n_variables; i++) {
        if (redrawn[breed->group[i]]) {
            genes[i] = (uint8_t)tl_rng_below(rng, breed->space->variables[i].n_options);
        }
    }
    return any;
}

void breed_mutate(const struct breed *breed, double probability, struct tl_rng *rng, uint8_t *genes)
{
    (void)mutate(breed, probability, rng, genes);
}

void breed_mutate_some(const struct breed *breed, double probability, struct tl_rng *rng, uint8_t *genes)
{
    while (!mutate(breed, probability, rng, genes)) {
    }
}

void breed_mutate_one(const struct breed *breed, struct tl_rng *rng, uint8_t *genes)
{
    const struct space *space = breed->space;
    bool changed = false;
    for (int i = 0; i < ONE_TRIES && !changed; i++) {
        const uint8_t group = (uint8_t)tl_rng_below(rng, (uint32_t)breed->n_groups);
        for (size_t v = 0; v < space->n_variables; v++) {
            if (breed->group[v] == group) {
                const uint8_t option = (uint8_t)tl_rng_below(rng, space->variables[v].n_options);
                changed |= option != genes[v];
                genes[v] = option;
            }
        }
    }
}

void breed_cross(const struct breed *breed, const uint8_t *father, struct tl_rng *rng, uint8_t *genes)
{
    uint64_t coins = 0;
    for (size_t i = 0; i < breed->space->n_variables; i++) {
        coins = i % 64 == 0 ? tl_rng_u64(rng) : coins >> 1;
        genes[i] = coins & 1 ? father[i] : genes[i];
    }
}
