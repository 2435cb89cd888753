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

static void a_mutation_changes_one_variable_and_what_hangs_on_it(void **state)
{
    static struct space space;
    uint8_t arch[SPACE_VARIABLES_MAX] = {0}, before[SPACE_VARIABLES_MAX], active[SPACE_VARIABLES_MAX];
    uint8_t active_before[SPACE_VARIABLES_MAX];
    struct tl_rng rng;
    (void)state;
    world_ofa(&space);
    tl_rng_init(&rng, 5, 0, 0);
    for (int i = 0; i < 2000; i++) {
        size_t n = 0;
        memcpy(before, arch, sizeof arch);
        space_active(&space, before, active_before);
        assert_true(space_mutate(&space, &rng, arch));
        assert_true(space_valid(&space, arch));
        space_active(&space, arch, active);
        for (size_t v = 0; v < space.n_variables; v++) {
            n += active[v] && active_before[v] && arch[v] != before[v];
            assert_true(active[v] || arch[v] == 0);
        }
        assert_int_equal(n, 1);
    }
}

static void what_cannot_change_is_not_mutated(void **state)
{
    static struct space space;
    uint8_t arch[3] = {0};
    struct tl_rng rng;
    (void)state;
    world_flat(&space, 3, 1);
    tl_rng_init(&rng, 1, 0, 0);
    assert_false(space_mutate(&space, &rng, arch));
}

/* ---- searching --------------------------------------------------------------------------------------------------- */

/* A world that fails when it is asked for what is forbidden or not among `rows`. */
struct strict {
    struct world world;
    const uint8_t *rows; /* NULL: all are known */
    size_t n_rows;
};

static size_t strict_row(void *ctx, const uint8_t *canonical)
{
    const struct strict *strict = ctx;
    const size_t width = strict->world.space->n_variables;
    for (size_t i = 0; i < strict->n_rows; i++) {
        if (memcmp(strict->rows + i * width, canonical, width) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void strict_arch(void *ctx, size_t row, uint8_t *ret_canonical)
{
    const struct strict *strict = ctx;
    const size_t width = strict->world.space->n_variables;
    memcpy(ret_canonical, strict->rows + row * width, width);
}

static enum tl_rc strict_values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride,
                                size_t n, double *out, unsigned thread, struct tl_err *failure)
{
    struct strict *strict = ctx;
    for (size_t i = 0; i < n; i++) {
        if (forbidden(strict->world.space, archs + i * stride) ||
            (strict->rows && strict_row(strict, archs + i * stride) == SIZE_MAX)) {
            return tl_fail(failure, TL_INVALID, "was asked for what is not in the space");
        }
    }
    return world_values(&strict->world, first, n_metrics, archs, stride, n, out, thread, failure);
}

static void strict_init(struct strict *strict, const struct space *space)
{
    *strict = (struct strict){0};
    world_init(&strict->world, space);
    strict->world.evaluator.ctx = strict;
    strict->world.evaluator.values = strict_values;
}

static void no_controller_gets_a_forbidden_architecture_evaluated(void **state)
{
    static struct space space;
    struct strict strict;
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
        strict_init(&strict, &space);
        struct search_run *run = world_run(&strict.world, &spec, NULL);
        world_finish(run);
        assert_int_equal(search_run_evaluations(run), 400);
        assert_true(search_run_best(run, &best) && !forbidden(&space, best.arch));
        search_run_free(run);
    }
}

static void where_nearly_all_is_forbidden_the_search_still_goes_on(void **state)
{
    static struct space space;
    struct strict strict;
    struct search_spec spec = world_spec("evolution", 500);
    (void)state;
    world_flat(&space, 40, 4);
    for (uint8_t i = 0; i < 40; i++) {
        add_term(add_rule(&space), i, i % 2 ? 3U : 1U); /* 2^20 * 3^20 of 2^80 are left */
    }
    assert_int_equal(space_finish(&space, &err), TL_OK);
    strict_init(&strict, &space);
    struct search_run *run = world_run(&strict.world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_evaluations(run), 500);
    search_run_free(run);
}

enum { LISTED = 500, WIDTH = 20 };

/* LISTED architectures of a space of 1e19. */
static void list_some(struct strict *strict, struct space *space, uint8_t *rows)
{
    struct tl_rng rng;
    world_flat(space, WIDTH, 9);
    tl_rng_init(&rng, 3, 0, 0);
    for (size_t i = 0; i < LISTED; i++) {
        space_sample(space, &rng, rows + i * WIDTH);
    }
    strict_init(strict, space);
    strict->rows = rows;
    strict->n_rows = LISTED;
    strict->world.evaluator.n_cheap = WORLD_METRICS;
    strict->world.evaluator.n_rows = LISTED;
    strict->world.evaluator.row = strict_row;
    strict->world.evaluator.arch = strict_arch;
}

/* The row of most gain within a cost; LISTED: none. */
static size_t best_listed(const struct space *space, const uint8_t *rows, double cost_max)
{
    size_t best = LISTED;
    for (size_t i = 0; i < LISTED; i++) {
        if (world_cost(space, rows + i * WIDTH) <= cost_max &&
            (best == LISTED || world_gain(space, rows + i * WIDTH) > world_gain(space, rows + best * WIDTH))) {
            best = i;
        }
    }
    return best;
}

static void rows_are_searched_until_none_is_left(void **state)
{
    static struct space space;
    static uint8_t rows[LISTED * WIDTH];
    struct strict strict;
    struct search_candidate best;
    (void)state;
    list_some(&strict, &space, rows);
    for (size_t i = 0; i < search_controller_count(); i++) {
        struct search_spec spec = world_spec(search_controller_at(i)->name, 1000000);
        world_limit(&spec, WORLD_COST, false, 75);
        struct search_run *run = world_run(&strict.world, &spec, NULL);
        world_finish(run);
        assert_true(search_run_best(run, &best));
        assert_memory_equal(best.arch, rows + best_listed(&space, rows, 75) * WIDTH, WIDTH);
        assert_true(search_run_evaluations(run) < LISTED + 1024); /* the last batch may have one twice */
        search_run_free(run);
    }
}

static void where_no_row_holds_the_limits_the_nearest_is_found(void **state)
{
    static struct space space;
    static uint8_t rows[LISTED * WIDTH];
    struct strict strict;
    struct search_candidate nearest;
    struct search_spec spec = world_spec("evolution", 1000000);
    double least = HUGE_VAL;
    (void)state;
    list_some(&strict, &space, rows);
    for (size_t i = 0; i < LISTED; i++) {
        least = fmin(least, world_cost(&space, rows + i * WIDTH));
    }
    world_limit(&spec, WORLD_COST, false, 10);
    struct search_run *run = world_run(&strict.world, &spec, NULL);
    world_finish(run);
    assert_false(search_run_best(run, &nearest));
    assert_true(search_run_nearest(run, &nearest));
    assert_true(nearest.values[WORLD_COST] == least);
    search_run_free(run);
}

static void a_run_over_rows_goes_on_from_its_state(void **state)
{
    static struct space space;
    static uint8_t rows[LISTED * WIDTH];
    struct strict strict;
    struct search_spec spec = world_spec("evolution", 1000000);
    TL_AUTO(tl_buf) saved = {0};
    bool done = false;
    (void)state;
    list_some(&strict, &space, rows);
    struct search_run *whole = world_run(&strict.world, &spec, NULL), *cut = world_run(&strict.world, &spec, NULL);
    assert_int_equal(search_run_step(cut, 200, &done, &err), TL_OK);
    assert_false(done);
    world_state(cut, &saved);
    search_run_free(cut);
    cut = world_run(&strict.world, &spec, NULL);
    assert_int_equal(search_run_restore(cut, saved.data, saved.len, &err), TL_OK);
    world_finish(cut);
    world_finish(whole);
    assert_same_state(whole, cut);
    search_run_free(whole);
    search_run_free(cut);
}

/* What is dear is not known before a row is evaluated: the best of those within the cost is found all the same. */
static void rows_with_dear_metrics_are_chosen_by_their_cheap_ones(void **state)
{
    static struct space space;
    static uint8_t rows[LISTED * WIDTH];
    struct strict strict;
    struct search_spec spec = world_spec("evolution", 1000000);
    struct search_candidate best = {0};
    (void)state;
    list_some(&strict, &space, rows);
    strict.world.evaluator.n_cheap = 1;
    world_limit(&spec, WORLD_COST, false, 75);
    world_limit(&spec, WORLD_GAIN, true, 1e-3);
    struct search_run *run = world_run(&strict.world, &spec, NULL);
    assert_int_equal(atomic_load(&strict.world.n_dear), 0);
    world_finish(run);
    assert_true(search_run_best(run, &best));
    assert_memory_equal(best.arch, rows + best_listed(&space, rows, 75) * WIDTH, WIDTH);
    search_run_free(run);
}

static void a_space_of_one_architecture_is_searched_by_one_evaluation(void **state)
{
    static struct space space;
    struct world world;
    struct search_spec spec = world_spec("evolution", 50000);
    (void)state;
    world_flat(&space, 5, 1);
    world_init(&world, &space);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_int_equal(search_run_evaluations(run), 1);
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
        cmocka_unit_test(a_mutation_changes_one_variable_and_what_hangs_on_it),
        cmocka_unit_test(what_cannot_change_is_not_mutated),
        cmocka_unit_test(no_controller_gets_a_forbidden_architecture_evaluated),
        cmocka_unit_test(where_nearly_all_is_forbidden_the_search_still_goes_on),
        cmocka_unit_test(rows_are_searched_until_none_is_left),
        cmocka_unit_test(where_no_row_holds_the_limits_the_nearest_is_found),
        cmocka_unit_test(a_run_over_rows_goes_on_from_its_state),
        cmocka_unit_test(rows_with_dear_metrics_are_chosen_by_their_cheap_ones),
        cmocka_unit_test(a_space_of_one_architecture_is_searched_by_one_evaluation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
