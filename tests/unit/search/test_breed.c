/* Children: how much of a parent is redrawn, and that a space without a choice does not hang. */
#include "search/breed.h"

#include "worlds.h"

enum { DRAWS = 4000 };

static struct space ofa;

static int make_space(void **state)
{
    (void)state;
    world_ofa(&ofa);
    return 0;
}

/* Groups in which two differ. */
static size_t n_changed(const struct breed *breed, const uint8_t *a, const uint8_t *b)
{
    bool changed[SPACE_VARIABLES_MAX] = {0};
    size_t n = 0;
    for (size_t i = 0; i < ofa.n_variables; i++) {
        changed[breed->group[i]] |= a[i] != b[i];
    }
    for (size_t g = 0; g < breed->n_groups; g++) {
        n += changed[g];
    }
    return n;
}

static void groups_are_numbered_without_gaps(void **state)
{
    struct breed breed;
    struct space gaps;
    (void)state;
    world_flat(&gaps, 6, 3);
    for (size_t i = 0; i < 6; i++) {
        gaps.variables[i].group = (uint16_t)(900 - 100 * (i / 2));
    }
    breed_init(&breed, &gaps);
    assert_int_equal(breed.n_groups, 3);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(breed.group[i], i / 2);
    }
}

static void one_group_and_no_more_is_changed(void **state)
{
    struct breed breed;
    struct tl_rng rng;
    bool seen[SPACE_VARIABLES_MAX] = {0};
    (void)state;
    breed_init(&breed, &ofa);
    tl_rng_init(&rng, 1, 2, 3);
    for (int i = 0; i < DRAWS; i++) {
        const uint8_t parent[SPACE_VARIABLES_MAX] = {0};
        uint8_t child[SPACE_VARIABLES_MAX] = {0};
        breed_mutate_one(&breed, &rng, child);
        assert_int_equal(n_changed(&breed, parent, child), 1);
        for (size_t v = 0; v < ofa.n_variables; v++) {
            seen[v] |= child[v] != 0;
        }
    }
    for (size_t v = 0; v < ofa.n_variables; v++) {
        assert_true(seen[v]);
    }
}

static void some_are_redrawn_however_small_the_probability(void **state)
{
    struct breed breed;
    struct tl_rng rng;
    size_t n = 0;
    (void)state;
    breed_init(&breed, &ofa);
    tl_rng_init(&rng, 1, 2, 4);
    for (int i = 0; i < DRAWS / 10; i++) {
        const uint8_t parent[SPACE_VARIABLES_MAX] = {0};
        uint8_t child[SPACE_VARIABLES_MAX] = {0};
        breed_mutate_some(&breed, 1e-3, &rng, child);
        n += n_changed(&breed, parent, child);
    }
    assert_in_range(n, DRAWS / 10 * 6 / 10, DRAWS / 10); /* a group that was redrawn may be as it was */
}

static void a_space_without_a_choice_ends(void **state)
{
    struct breed breed;
    struct tl_rng rng;
    struct space one;
    uint8_t genes[4] = {0};
    (void)state;
    world_flat(&one, 4, 1);
    breed_init(&breed, &one);
    tl_rng_init(&rng, 1, 2, 5);
    breed_mutate_one(&breed, &rng, genes);
    breed_mutate_some(&breed, 0.5, &rng, genes);
    assert_memory_equal(genes, "\0\0\0\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_numbered_without_gaps),
        cmocka_unit_test(one_group_and_no_more_is_changed),
        cmocka_unit_test(some_are_redrawn_however_small_the_probability),
        cmocka_unit_test(a_space_without_a_choice_ends),
    };
    return cmocka_run_group_tests(tests, make_space, NULL);
}
