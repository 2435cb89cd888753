/* The evolution as once-for-all's public search does it: population sizes, who stays, what a mutant and a crossover are. */
#include "search/search.h"

#include "worlds.h"

enum { BATCH = 100, PARENTS = 25, MUTANTS = 50, DRAWS = 20000 };

static struct space space; /* once-for-all's */

struct population {
    const struct search_controller_ops *ops;
    struct search_controller *controller;
    uint8_t genes[BATCH][SPACE_VARIABLES_MAX];
    double score[BATCH], violation[BATCH];
};

static int make_population(void **state)
{
    static struct population p;
    static struct search_spec spec = {.seed = 1};
    struct tl_err err = {0};
    world_ofa(&space);
    p = (struct population){.ops = search_controller_get("evolution")};
    assert_int_equal(p.ops->make(&space, &spec, &p.controller, &err), TL_OK);
    *state = &p;
    return 0;
}

static int free_population(void **state)
{
    struct population *p = *state;
    p->ops->free(p->controller);
    return 0;
}

/* Every gene of individual i is i modulo the variable's options; the first 25 resolutions tell individuals apart. */
static void fill(struct population *p)
{
    for (size_t i = 0; i < BATCH; i++) {
        for (size_t v = 0; v < space.n_variables; v++) {
            p->genes[i][v] = (uint8_t)(i % space.variables[v].n_options);
        }
        p->score[i] = 0;
        p->violation[i] = 0;
    }
}

static void tell(struct population *p, size_t n)
{
    static uint8_t packed[BATCH * SPACE_VARIABLES_MAX];
    for (size_t i = 0; i < n; i++) {
        memcpy(packed + i * space.n_variables, p->genes[i], space.n_variables);
    }
    struct search_batch batch = {.n = n, .genes = packed, .score = p->score, .violation = p->violation};
    p->ops->tell(p->controller, &batch);
}

/* Everybody has option `option` of every variable. */
static void tell_clones(struct population *p, uint8_t option)
{
    fill(p);
    for (size_t i = 0; i < BATCH; i++) {
        memset(p->genes[i], option, space.n_variables);
    }
    tell(p, BATCH);
}

static void propose(struct population *p, uint64_t batch, size_t slot, uint64_t draw, uint8_t *genes)
{
    struct tl_rng rng;
    tl_rng_init(&rng, draw, batch, slot);
    p->ops->propose(p->controller, slot, 0, &rng, genes);
}

/* The resolutions (gene 0) of the parents, seen through the crossovers of many batches. */
static uint32_t parents_seen(struct population *p)
{
    uint8_t genes[SPACE_VARIABLES_MAX];
    uint32_t seen = 0;
    for (uint64_t batch = 1; batch < 40; batch++) {
        assert_int_equal(p->ops->plan(p->controller, batch), BATCH);
        for (size_t slot = MUTANTS; slot < BATCH; slot++) {
            propose(p, batch, slot, 0, genes);
            seen |= 1U << genes[0];
        }
    }
    return seen;
}

static void the_first_hundred_are_random(void **state)
{
    struct population *p = *state;
    uint8_t genes[SPACE_VARIABLES_MAX], expected[SPACE_VARIABLES_MAX];
    struct tl_rng rng;
    assert_int_equal(p->ops->plan(p->controller, 0), BATCH);
    for (size_t slot = 0; slot < BATCH; slot++) {
        propose(p, 0, slot, 9, genes);
        tl_rng_init(&rng, 9, 0, slot);
        space_sample(&space, &rng, expected);
        assert_memory_equal(genes, expected, space.n_variables);
    }
}

static void the_best_25_are_the_parents_and_each_of_them(void **state)
{
    struct population *p = *state;
    fill(p);
    for (size_t i = 0; i < BATCH; i++) {
        p->genes[i][0] = (uint8_t)(i / 10);               /* ten individuals a mark */
        p->score[i] = i / 10 == 3 || i / 10 == 7 ? 2 : 0; /* twenty good ones */
        p->score[i] = i >= 50 && i < 55 ? 1 : p->score[i];
    }
    tell(p, BATCH);
    assert_int_equal(parents_seen(p), 1U << 3 | 1U << 7 | 1U << 5);
}

static void parents_stay_until_better_children_come(void **state)
{
    struct population *p = *state;
    tell_clones(p, 2);
    fill(p);
    for (size_t i = 0; i < BATCH; i++) {
        p->score[i] = -1;
    }
    tell(p, BATCH);
    assert_int_equal(parents_seen(p), 1U << 2);
    for (size_t i = 0; i < BATCH; i++) {
        p->genes[i][0] = 1;
        p->score[i] = i < PARENTS ? 1 : -1;
    }
    tell(p, BATCH);
    assert_int_equal(parents_seen(p), 1U << 1);
}

static void of_equals_the_later_ones_rank_higher(void **state)
{
    struct population *p = *state;
    fill(p);
    for (size_t i = 0; i < BATCH; i++) {
        p->genes[i][0] = i < BATCH - PARENTS ? 4 : 6;
    }
    tell(p, BATCH);
    assert_int_equal(parents_seen(p), 1U << 6);
}

static void feasible_comes_before_good_and_less_violation_before_more(void **state)
{
    struct population *p = *state;
    fill(p);
    for (size_t i = 0; i < BATCH; i++) {
        p->genes[i][0] = (uint8_t)(i / 10);
        p->violation[i] = (double)(BATCH - i);
        p->score[i] = (double)(BATCH - i);
    }
    p->violation[3] = (double)INFINITY; /* could not be valued */
    tell(p, BATCH);
    assert_int_equal(parents_seen(p), 1U << 9 | 1U << 8 | 1U << 7);
    p->violation[12] = 0;
    p->score[12] = -100;
    tell(p, 20); /* one feasible, and worse ones: it leads, the worst parent goes */
    assert_int_equal(parents_seen(p), 1U << 9 | 1U << 8 | 1U << 7 | 1U << 1);
}

/* Every tenth group is redrawn, uniformly over all options; kernel and expand of a slot go together. */
static void a_mutant_redraws_a_tenth_of_the_groups(void **state)
{
    struct population *p = *state;
    uint8_t genes[SPACE_VARIABLES_MAX];
    unsigned resolution = 0, depth = 0, kernel = 0, expand = 0, both = 0, other_slot = 0;
    tell_clones(p, 1);
    (void)p->ops->plan(p->controller, 1);
    for (unsigned i = 0; i < DRAWS; i++) {
        propose(p, 1, i % MUTANTS, i, genes);
        assert_true(space_valid(&space, genes));
        resolution += genes[0] != 1;
        depth += genes[3] != 1;
        kernel += genes[6] != 1;
        expand += genes[7] != 1;
        both += genes[6] != 1 && genes[7] != 1;
        other_slot += genes[6] != 1 && genes[8] != 1;
    }
    /* expected share times DRAWS, and four standard deviations */
    assert_in_range(resolution, 1920 - 168, 1920 + 168); /* 0.1 * 24/25 */
    assert_in_range(depth, 1333 - 142, 1333 + 142);      /* 0.1 * 2/3 */
    assert_in_range(kernel, 1333 - 142, 1333 + 142);
    assert_in_range(expand, 1333 - 142, 1333 + 142);
    assert_in_range(both, 889 - 117, 889 + 117);   /* 0.1 * 4/9, not 0.0044 */
    assert_in_range(other_slot, 89 - 38, 89 + 38); /* 0.1^2 * 4/9 */
}

static void a_crossover_takes_each_variable_from_either_parent(void **state)
{
    struct population *p = *state;
    uint8_t genes[SPACE_VARIABLES_MAX];
    unsigned mixed = 0, from_first[SPACE_VARIABLES_MAX] = {0}, together = 0;
    fill(p);
    for (size_t i = 0; i < BATCH; i++) {
        memset(p->genes[i], (int)(i % 2) * 2, space.n_variables);
    }
    tell(p, BATCH);
    (void)p->ops->plan(p->controller, 1);
    for (unsigned i = 0; i < DRAWS; i++) {
        propose(p, 1, MUTANTS + i % MUTANTS, i, genes);
        unsigned sum = 0;
        for (size_t v = 0; v < space.n_variables; v++) {
            assert_true(genes[v] == 0 || genes[v] == 2);
            sum += genes[v];
        }
        if (sum > 0 && sum < 2U * space.n_variables) {
            mixed++;
            together += genes[6] == genes[7];
            for (size_t v = 0; v < space.n_variables; v++) {
                from_first[v] += genes[v] == 0;
            }
        }
    }
    assert_in_range(mixed, DRAWS / 5, DRAWS * 4 / 5); /* slots whose two parents differ: about half of the 50 */
    for (size_t v = 0; v < space.n_variables; v++) {
        assert_in_range(from_first[v], mixed * 46 / 100, mixed * 54 / 100);
    }
    assert_in_range(together, mixed * 46 / 100, mixed * 54 / 100); /* per variable, not per group */
}

/* Through all rejections: with parents of two kinds, a slot whose parents are of one kind never shows the other. */
static void a_slot_keeps_its_parents_while_it_is_asked_again(void **state)
{
    struct population *p = *state;
    uint8_t genes[SPACE_VARIABLES_MAX];
    unsigned pure = 0;
    fill(p);
    for (size_t i = 0; i < BATCH; i++) {
        memset(p->genes[i], (int)(i % 2) * 2, space.n_variables);
    }
    tell(p, BATCH);
    (void)p->ops->plan(p->controller, 1);
    for (size_t slot = MUTANTS; slot < BATCH; slot++) {
        uint32_t seen = 0;
        for (uint64_t draw = 0; draw < 50; draw++) {
            propose(p, 1, slot, draw, genes);
            seen |= 1U << genes[0];
        }
        pure += seen == 1 || seen == 4;
        assert_true(seen == 1 || seen == 4 || seen == 5);
    }
    assert_in_range(pure, 12, 38); /* half of 50 slots */
}

static void inactive_genes_are_inherited(void **state)
{
    struct population *p = *state;
    uint8_t genes[SPACE_VARIABLES_MAX];
    int last = space_variable_find(&space, "s1.b4.kernel"), depth = space_variable_find(&space, "s1.depth");
    fill(p);
    for (size_t i = 0; i < BATCH; i++) {
        memset(p->genes[i], 0, space.n_variables);
        p->genes[i][last] = 2;
    }
    tell(p, BATCH);
    (void)p->ops->plan(p->controller, 1);
    propose(p, 1, MUTANTS, 0, genes);
    assert_int_equal(genes[depth], 0);
    assert_int_equal(genes[last], 2);
}

static void fewer_than_25_are_all_parents(void **state)
{
    struct population *p = *state;
    fill(p);
    tell(p, 3);
    assert_int_equal(parents_seen(p), 7);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, make_population, free_population)
    const struct CMUnitTest tests[] = {
        FACT(the_first_hundred_are_random),
        FACT(the_best_25_are_the_parents_and_each_of_them),
        FACT(parents_stay_until_better_children_come),
        FACT(of_equals_the_later_ones_rank_higher),
        FACT(feasible_comes_before_good_and_less_violation_before_more),
        FACT(a_mutant_redraws_a_tenth_of_the_groups),
        FACT(a_crossover_takes_each_variable_from_either_parent),
        FACT(a_slot_keeps_its_parents_while_it_is_asked_again),
        FACT(inactive_genes_are_inherited),
        FACT(fewer_than_25_are_all_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
