/* Rules that forbid combinations: exact counts, what is refused, and that nothing forbidden is drawn or evaluated. */
#include "search/space.h"

#include "worlds.h"

#include <stdlib.h>

static struct tl_err err;

static struct space_rule *add_rule(struct space *space)
{
    struct space_rule *rule = &space->rules[space->n_rules++];
    *rule = (struct space_rule){0};
    return rule;
}

static void add_term(struct space_rule *rule, uint8_t variable, uint32_t options)
{
    rule->terms[rule->n_terms++] = (struct space_term){variable, options};
}

/* A space of a few variables, some under others, and a few rules; all by `seed`. */
static void any_space(struct space *space, uint64_t seed)
{
    struct tl_rng rng;
    tl_rng_init(&rng, seed, 0, 0);
    *space = (struct space){.name = "any"};
    const uint32_t n = 3 + tl_rng_below(&rng, 5);
    for (uint32_t i = 0; i < n; i++) {
        const char name[64] = {(char)('a' + i)};
        struct space_variable *v = world_variable(space, (uint8_t)(1 + tl_rng_below(&rng, 4)), (uint16_t)i, name);
        if (i > 0 && tl_rng_below(&rng, 2)) {
            v->parent = (int16_t)tl_rng_below(&rng, i);
            v->active_under = 1 + tl_rng_below(&rng, (1U << space->variables[v->parent].n_options) - 1);
        }
    }
    for (uint32_t r = tl_rng_below(&rng, 7); r > 0; r--) {
        struct space_rule *rule = add_rule(space);
        for (uint32_t i = 0, n_terms = 1 + tl_rng_below(&rng, 3); i < n && rule->n_terms < n_terms; i++) {
            if (tl_rng_below(&rng, 2)) {
                add_term(rule, (uint8_t)i, 1 + tl_rng_below(&rng, (1U << space->variables[i].n_options) - 1));
            }
        }
        space->n_rules = (uint16_t)(space->n_rules - (rule->n_terms == 0));
    }
}

/* Does a rule match? Written from the definition. */
static bool forbidden(const struct space *space, const uint8_t *arch)
{
    uint8_t active[SPACE_VARIABLES_MAX];
    space_active(space, arch, active);
    for (size_t r = 0; r < space->n_rules; r++) {
        size_t n = 0;
        for (size_t i = 0; i < space->rules[r].n_terms; i++) {
            const struct space_term *term = &space->rules[r].terms[i];
            n += active[term->variable] && (term->options & 1U << arch[term->variable]);
        }
        if (n == space->rules[r].n_terms) {
            return true;
        }
    }
    return false;
}

/* The next in the order of an odometer; false: that was the last. */
static bool next(const struct space *space, uint8_t *arch)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        if (++arch[i] < space->variables[i].n_options) {
            return true;
        }
        arch[i] = 0;
    }
    return false;
}

static unsigned long count_by_hand(const struct space *space)
{
    uint8_t arch[SPACE_VARIABLES_MAX] = {0}, canonical[SPACE_VARIABLES_MAX];
    unsigned long n = 0;
    do {
        memcpy(canonical, arch, sizeof arch);
        space_canonical(space, canonical);
        n += memcmp(arch, canonical, space->n_variables) == 0 && !forbidden(space, arch);
    } while (next(space, arch));
    return n;
}

static void counts_are_what_looking_at_every_architecture_gives(void **state)
{
    static struct space space;
    char text[SPACE_COUNT_TEXT];
    unsigned finished = 0, emptied = 0, with_rules = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        any_space(&space, seed);
        err = (struct tl_err){0};
        if (space_finish(&space, &err) == TL_OK) {
            space_count(&space, text);
            if (strtoul(text, NULL, 10) != count_by_hand(&space)) {
                fail_msg("seed %u: %s instead of %lu", (unsigned)seed, text, count_by_hand(&space));
            }
            finished++;
            with_rules += space.n_rules > 0;
        } else if (strstr(err.text, "forbid everything")) {
            assert_int_equal(count_by_hand(&space), 0);
            emptied++;
        }
    }
    assert_true(finished > 1000 && with_rules > 500 && emptied > 20);
}

/* Layers of `n_options`, of which no two neighbours may both skip (option 0). */
static void chain(struct space *space, int n, uint8_t n_options)
{
    world_flat(space, n, n_options);
    for (int i = 0; i + 1 < n; i++) {
        struct space_rule *rule = add_rule(space);
        add_term(rule, (uint8_t)i, 1);
        add_term(rule, (uint8_t)(i + 1), 1);
    }
    assert_int_equal(space_finish(space, &err), TL_OK);
}

static void a_chain_of_rules_over_22_layers_is_counted(void **state)
{
    static struct space space;
    char text[SPACE_COUNT_TEXT], expected[64];
    __extension__ unsigned __int128 skip = 1, other = 8; /* chains that end in it */
    size_t n = sizeof expected - 1;
    (void)state;
    for (int i = 1; i < 22; i++) {
        __extension__ const unsigned __int128 all = skip + other;
        skip = other;
        other = all * 8;
    }
    expected[n] = '\0';
    for (skip += other; skip > 0; skip /= 10) {
        expected[--n] = (char)('0' + (int)(skip % 10));
    }
    chain(&space, 22, 9);
    space_count(&space, text);
    assert_string_equal(text, expected + n);
}

static void the_longest_chain_is_counted(void **state)
{
    static struct space space;
    char text[SPACE_COUNT_TEXT];
    (void)state;
    chain(&space, SPACE_RULES_MAX + 1, 2);
    space_count(&space, text);
    assert_string_equal(text, "44945570212853"); /* Fibonacci's number 67 */
}

static void rules_that_share_a_depth_are_counted(void **state)
{
    static struct space space;
    char text[SPACE_COUNT_TEXT];
    (void)state;
    space = (struct space){.name = "stage"};
    (void)world_variable(&space, 20, 0, "depth"); /* option i keeps i + 1 layers */
    for (unsigned i = 0; i < 20; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "layer%u", i);
        struct space_variable *layer = world_variable(&space, 2, (uint16_t)(1 + i), name);
        layer->parent = 0;
        layer->active_under = ((1U << 20) - 1) & ~((1U << i) - 1);
    }
    for (uint8_t i = 0; i + 1 < 20; i++) { /* 0 0 nowhere */
        struct space_rule *rule = add_rule(&space);
        add_term(rule, (uint8_t)(1 + i), 1);
        add_term(rule, (uint8_t)(2 + i), 1);
    }
    assert_int_equal(space_finish(&space, &err), TL_OK);
    space_count(&space, text);
    assert_string_equal(text, "46365"); /* 2 + 3 + 5 + 8 .. + 17711: F(24) - 3 */
}

static void rules_do_not_change_the_ids_of_spaces_without_them(void **state)
{
    static struct space space, other;
    (void)state;
    world_flat(&space, 3, 3);
    other = space;
    add_term(add_rule(&other), 0, 1);
    assert_int_equal(space_finish(&other, &err), TL_OK);
    assert_false(tl_hash_equal(&space.id, &other.id));
    other.n_rules = 0;
    assert_int_equal(space_finish(&other, &err), TL_OK);
    assert_true(tl_hash_equal(&space.id, &other.id));
}

static void an_inactive_variable_matches_no_rule(void **state)
{
    static struct space space;
    (void)state;
    world_flat(&space, 2, 2);
    space.variables[1].parent = 0;
    space.variables[1].active_under = 2;
    add_term(add_rule(&space), 1, 1); /* option 0, where canonical forms put inactive ones */
    assert_int_equal(space_finish(&space, &err), TL_OK);
    assert_true(space_allowed(&space, (const uint8_t[]){0, 0}));
    assert_true(space_allowed(&space, (const uint8_t[]){0, 1}));
    assert_false(space_allowed(&space, (const uint8_t[]){1, 0}));
    assert_true(space_allowed(&space, (const uint8_t[]){1, 1}));
}

/* ---- refused -------------------------------------------------------------------------------------------------- */

static void assert_refused(struct space *space, const char *says)
{
    err = (struct tl_err){0};
    assert_int_equal(space_finish(space, &err), TL_INVALID);
    if (!strstr(err.text, says)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    }
    space->n_rules = 0;
}

static void bad_rules_are_refused_by_number(void **state)
{
    static struct space space;
    struct space_rule *rule;
    (void)state;
    world_flat(&space, 4, 2);
    (void)add_rule(&space);
    assert_refused(&space, "rule 0 has 0 terms");
    add_term(add_rule(&space), 4, 1);
    assert_refused(&space, "rule 0 names variable 4");
    add_term(add_rule(&space), 0, 4);
    assert_refused(&space, "rule 0 must name some of the 2 options of v0");
    rule = add_rule(&space);
    add_term(rule, 1, 1);
    add_term(rule, 1, 2);
    assert_refused(&space, "rule 0 names v1 twice");
    space.n_rules = SPACE_RULES_MAX + 1;
    assert_refused(&space, "65 rules");
    add_term(add_rule(&space), 2, 3);
    assert_refused(&space, "forbid everything");
    space.variables[3].parent = 0;
    space.variables[3].active_under = 1;
    rule = add_rule(&space);
    add_term(rule, 0, 2);
    add_term(rule, 3, 1);
    assert_refused(&space, "rule 0 can never match");
}

static void rules_that_cannot_be_counted_are_refused(void **state)
{
    static struct space space;
    struct tl_rng rng;
    (void)state;
    world_flat(&space, 128, 32);
    tl_rng_init(&rng, 1, 0, 0);
    while (space.n_rules < SPACE_RULES_MAX) {
        struct space_rule *rule = add_rule(&space);
        for (uint8_t i = 0; i < 4; i++) {
            add_term(rule, (uint8_t)(i * 32 + tl_rng_below(&rng, 32)), 0xffff);
        }
    }
    assert_refused(&space, "too entangled");
}

/* ---- drawing --------------------------------------------------------------------------------------------------- */

static void samples_are_never_forbidden(void **state)
{
    static struct space space;
    static struct space_odds odds;
    uint8_t arch[SPACE_VARIABLES_MAX], canonical[SPACE_VARIABLES_MAX];
    struct tl_rng rng;
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        any_space(&space, seed);
        if (space_finish(&space, NULL) != TL_OK) {
            continue;
        }
        space_odds_init(&space, &odds);
        tl_rng_init(&rng, seed, 0, 0);
        for (int i = 0; i < 20; i++) {
            space_sample(&space, &rng, arch);
            assert_true(space_valid(&space, arch) && !forbidden(&space, arch));
            space_sample_active(&space, &odds, &rng, arch);
            memcpy(canonical, arch, sizeof arch);
            space_canonical(&space, canonical);
            assert_memory_equal(arch, canonical, space.n_variables);
            assert_true(space_valid(&space, arch) && !forbidden(&space, arch));
        }
    }
}

/* One in 2^60 is allowed: no draw finds it. */
static void the_only_architecture_left_is_found(void **state)
{
    static struct space space;
    uint8_t arch[SPACE_VARIABLES_MAX];
    char text[SPACE_COUNT_TEXT];
    struct tl_rng rng;
    (void)state;
    world_flat(&space, 60, 2);
    for (uint8_t i = 0; i < 60; i++) {
        add_term(add_rule(&space), i, 1);
    }
    assert_int_equal(space_finish(&space, &err), TL_OK);
    space_count(&space, text);
    assert_string_equal(text, "1");
    tl_rng_init(&rng, 1, 0, 0);
    space_sample(&space, &rng, arch);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(arch[i], 1);
    }
    assert_false(space_mutate(&space, &rng, arch));
}

static void every_allowed_architecture_is_equally_likely(void **state)
{
    static struct space space;
    static struct space_odds odds;
    enum { DRAWS = 40000, ALLOWED = 2 * 3 + 9 * 3 - 3 };
    unsigned seen[4 * 3 * 3 * 3] = {0}, different = 0;
    uint8_t arch[4];
    struct tl_rng rng;
    (void)state;
    /* Of 3 options of v0 the last makes v1 and v2 active; v3 always is. Forbidden: v1 0 with v2 0, three of 33. */
    world_flat(&space, 4, 3);
    space.variables[0].n_options = 3;
    space.variables[1].parent = space.variables[2].parent = 0;
    space.variables[1].active_under = space.variables[2].active_under = 4;
    struct space_rule *rule = add_rule(&space);
    add_term(rule, 1, 1);
    add_term(rule, 2, 1);
    assert_int_equal(space_finish(&space, &err), TL_OK);
    assert_int_equal(count_by_hand(&space), ALLOWED);
    space_odds_init(&space, &odds);
    tl_rng_init(&rng, 11, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        space_sample_active(&space, &odds, &rng, arch);
        seen[((arch[0] * 3 + arch[1]) * 3 + arch[2]) * 3 + arch[3]]++;
    }
    for (size_t i = 0; i < TL_COUNT_OF(seen); i++) {
        different += seen[i] > 0;
        if (seen[i]) {
            assert_in_range(seen[i], DRAWS / ALLOWED * 85 / 100, DRAWS / ALLOWED * 115 / 100); /* five deviations */
        }
    }
    assert_int_equal(different, ALLOWED);
}

/* ---- searching --------------------------------------------------------------------------------------------------- */

/* The values of a world, which fails when it is asked for what is forbidden. */
static enum tl_rc allowed_values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride,
                                 size_t n, double *out, unsigned thread, struct tl_err *failure)
{
    const struct world *world = ctx;
    for (size_t i = 0; i < n; i++) {
        if (forbidden(world->space, archs + i * stride)) {
            return tl_fail(failure, TL_INVALID, "was asked for what is forbidden");
        }
    }
    return world_values(ctx, first, n_metrics, archs, stride, n, out, thread, failure);
}

static void strict_init(struct world *world, const struct space *space)
{
    world_init(world, space);
    world->evaluator.values = allowed_values;
}

static void no_controller_gets_a_forbidden_architecture_evaluated(void **state)
{
    static struct space space;
    struct world world;
    struct search_candidate best;
    (void)state;
    chain(&space, 12, 3);
    for (uint8_t i = 0; i + 1 < 12; i++) { /* nor may two neighbours take option 2 */
        struct space_rule *rule = add_rule(&space);
        add_term(rule, i, 4);
        add_term(rule, (uint8_t)(i + 1), 4);
    }
    assert_int_equal(space_finish(&space, &err), TL_OK);
    for (size_t i = 0; i < search_controller_count(); i++) {
        struct search_spec spec = world_spec(search_controller_at(i)->name, 400);
        strict_init(&world, &space);
        struct search_run *run = world_run(&world, &spec, NULL);
        world_finish(run);
        assert_int_equal(search_run_evaluations(run), 400);
        assert_true(search_run_best(run, &best) && !forbidden(&space, best.arch));
        search_run_free(run);
    }
}

static void where_nearly_all_is_forbidden_the_search_still_goes_on(void **state)
{
    static struct space space;
    struct world world;
    struct search_spec spec = world_spec("evolution", 500);
    (void)state;
    world_flat(&space, 40, 4);
    for (uint8_t i = 0; i < 40; i++) {
        add_term(add_rule(&space), i, i % 2 ? 3U : 1U); /* 2^20 * 3^20 of 2^80 are left */
    }
    assert_int_equal(space_finish(&space, &err), TL_OK);
    strict_init(&world, &space);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_evaluations(run), 500);
    search_run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_what_looking_at_every_architecture_gives),
        cmocka_unit_test(a_chain_of_rules_over_22_layers_is_counted),
        cmocka_unit_test(the_longest_chain_is_counted),
        cmocka_unit_test(rules_that_share_a_depth_are_counted),
        cmocka_unit_test(rules_do_not_change_the_ids_of_spaces_without_them),
        cmocka_unit_test(an_inactive_variable_matches_no_rule),
        cmocka_unit_test(bad_rules_are_refused_by_number),
        cmocka_unit_test(rules_that_cannot_be_counted_are_refused),
        cmocka_unit_test(samples_are_never_forbidden),
        cmocka_unit_test(the_only_architecture_left_is_found),
        cmocka_unit_test(every_allowed_architecture_is_equally_likely),
        cmocka_unit_test(no_controller_gets_a_forbidden_architecture_evaluated),
        cmocka_unit_test(where_nearly_all_is_forbidden_the_search_still_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
