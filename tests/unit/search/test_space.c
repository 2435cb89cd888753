/* Spaces: what is refused, exact counts, canonical forms, ids, mutation. */
#include "search/space.h"

#include "worlds.h"

#include <stdlib.h>

static struct space ofa;

static int make_ofa(void **state)
{
    (void)state;
    world_ofa(&ofa);
    return 0;
}

/* ((9^2 + 9^3 + 9^4)^5) * 25, by long multiplication with 128 bits and printed digit by digit. */
static void once_for_all_has_2e19_networks_at_25_resolutions(void **state)
{
    char text[SPACE_COUNT_TEXT], expected[64];
    size_t n = sizeof expected - 1;
    __extension__ typedef unsigned __int128 wide;
    wide count = 25;
    (void)state;
    for (int s = 0; s < 5; s++) {
        count *= 81 + 729 + 6561;
    }
    expected[n] = '\0';
    for (; count > 0; count /= 10) {
        expected[--n] = (char)('0' + (int)(count % 10));
    }
    space_count(&ofa, text);
    assert_string_equal(text, expected + n);
    assert_int_equal(strlen(text), 21); /* 5.4e20 */
}

static void a_count_is_the_number_of_canonical_forms(void **state)
{
    struct tl_err err = {0};
    struct space space = {.name = "small"};
    char text[SPACE_COUNT_TEXT];
    uint8_t arch[4], canonical[4];
    unsigned n = 0;
    (void)state;
    (void)world_variable(&space, 3, 0, "a");
    *world_variable(&space, 4, 1, "b") = (struct space_variable){
        .name = "b", .n_options = 4, .labels = {"w", "x", "y", "z"}, .parent = 0, .active_under = 6};
    (void)world_variable(&space, 5, 2, "c");
    space.variables[2].parent = 1;
    space.variables[2].active_under = 9;
    (void)world_variable(&space, 2, 3, "d");
    assert_int_equal(space_finish(&space, &err), TL_OK);
    for (unsigned i = 0; i < 3 * 4 * 5 * 2; i++) {
        memcpy(arch, (uint8_t[]){(uint8_t)(i % 3), (uint8_t)(i / 3 % 4), (uint8_t)(i / 12 % 5), (uint8_t)(i / 60)}, 4);
        memcpy(canonical, arch, 4);
        space_canonical(&space, canonical);
        n += memcmp(arch, canonical, 4) == 0;
    }
    space_count(&space, text);
    assert_int_equal(strtoul(text, NULL, 10), n);
    assert_int_equal(n, (1 + 2 * (5 + 1 + 1 + 5)) * 2);
}

static void the_largest_space_can_be_counted(void **state)
{
    struct space space;
    char text[SPACE_COUNT_TEXT];
    (void)state;
    world_flat(&space, SPACE_VARIABLES_MAX, SPACE_OPTIONS_MAX);
    space_count(&space, text);
    assert_int_equal(strlen(text), 193);                              /* 2^640 */
    assert_memory_equal(text, "4562440617622195218641171605700", 31); /* bc: 2^640 */
}

static void inactive_variables_stand_at_option_0(void **state)
{
    uint8_t arch[SPACE_VARIABLES_MAX], active[SPACE_VARIABLES_MAX];
    int last = space_variable_find(&ofa, "s5.b4.expand"), depth = space_variable_find(&ofa, "s5.depth");
    (void)state;
    memset(arch, 2, sizeof arch);
    arch[depth] = 1;
    space_active(&ofa, arch, active);
    assert_int_equal(active[last], 0);
    assert_int_equal(active[last - 2], 1);
    space_canonical(&ofa, arch);
    assert_int_equal(arch[last], 0);
    assert_int_equal(arch[last - 2], 2);
    assert_true(space_valid(&ofa, arch));
    arch[depth] = 3;
    assert_false(space_valid(&ofa, arch));
}

static void equal_networks_have_one_id_and_other_spaces_other_ids(void **state)
{
    struct space other = ofa;
    struct tl_err err = {0};
    uint8_t a[SPACE_VARIABLES_MAX] = {0}, b[SPACE_VARIABLES_MAX] = {0};
    struct tl_hash id_a, id_b;
    (void)state;
    b[space_variable_find(&ofa, "s1.b4.kernel")] = 2; /* depth 2: not there */
    space_canonical(&ofa, b);
    id_a = space_arch_id(&ofa, a);
    id_b = space_arch_id(&ofa, b);
    assert_true(tl_hash_equal(&id_a, &id_b));
    memcpy(other.name, "ofb", 4);
    assert_int_equal(space_finish(&other, &err), TL_OK);
    id_b = space_arch_id(&other, a);
    assert_false(tl_hash_equal(&id_a, &id_b));
}

static void bytes_behind_a_label_do_not_change_the_id(void **state)
{
    struct space other = ofa;
    struct tl_err err = {0};
    (void)state;
    memset(other.variables[3].labels[1] + 2, 'x', 5);
    other.variables[1].numbers[31] = 5;
    other.variables[0].active_under = 9;
    assert_int_equal(space_finish(&other, &err), TL_OK);
    assert_true(tl_hash_equal(&other.id, &ofa.id));
}

static void distance_counts_what_differs_or_is_active_in_one_only(void **state)
{
    uint8_t a[SPACE_VARIABLES_MAX] = {0}, b[SPACE_VARIABLES_MAX] = {0};
    (void)state;
    assert_int_equal(space_distance(&ofa, a, b), 0);
    b[0] = 3;
    b[space_variable_find(&ofa, "s1.depth")] = 1; /* block 3 appears: kernel and expand */
    assert_int_equal(space_distance(&ofa, a, b), 4);
}

static void samples_reach_every_option_of_every_variable(void **state)
{
    struct tl_rng rng;
    uint8_t arch[SPACE_VARIABLES_MAX];
    uint32_t seen[SPACE_VARIABLES_MAX] = {0};
    (void)state;
    tl_rng_init(&rng, 1, 2, 3);
    for (int i = 0; i < 1000; i++) {
        space_sample(&ofa, &rng, arch);
        assert_true(space_valid(&ofa, arch));
        for (size_t v = 0; v < ofa.n_variables; v++) {
            seen[v] |= 1U << arch[v];
        }
    }
    for (size_t v = 0; v < ofa.n_variables; v++) {
        assert_int_equal(seen[v], (1U << ofa.variables[v].n_options) - 1);
    }
}

/* Break the once-for-all space in one place; it must be refused with a sentence that has `word`. */
static void assert_refused(void (*breaks)(struct space *space), const char *word)
{
    struct space space = ofa;
    struct tl_err err = {0};
    breaks(&space);
    assert_int_equal(space_finish(&space, &err), TL_INVALID);
    assert_non_null(strstr(err.text, word));
}

static void no_name(struct space *space)
{
    space->name[0] = '\0';
}

static void endless_name(struct space *space)
{
    memset(space->name, 'a', sizeof space->name);
}

static void no_variables(struct space *space)
{
    space->n_variables = 0;
}

static void too_many_variables(struct space *space)
{
    space->n_variables = SPACE_VARIABLES_MAX + 1;
}

static void no_options(struct space *space)
{
    space->variables[4].n_options = 0;
}

static void too_many_options(struct space *space)
{
    space->variables[4].n_options = SPACE_OPTIONS_MAX + 1;
}

static void twin_names(struct space *space)
{
    memcpy(space->variables[4].name, space->variables[2].name, SPACE_LABEL_MAX);
}

static void twin_labels(struct space *space)
{
    memcpy(space->variables[4].labels[2], space->variables[4].labels[0], SPACE_LABEL_MAX);
}

static void endless_label(struct space *space)
{
    memset(space->variables[4].labels[1], 'a', SPACE_LABEL_MAX);
}

static void late_parent(struct space *space)
{
    space->variables[8].parent = 8;
}

static void never_active(struct space *space)
{
    space->variables[8].active_under = 0;
}

static void active_under_nothing(struct space *space)
{
    space->variables[8].active_under = 8;
}

static void falling_numbers(struct space *space)
{
    space->variables[5].numbers[1] = 2;
}

static void infinite_number(struct space *space)
{
    space->variables[5].numbers[2] = (double)INFINITY;
}

static void a_broken_space_is_refused_by_name(void **state)
{
    (void)state;
    assert_refused(no_name, "name");
    assert_refused(endless_name, "name");
    assert_refused(no_variables, "0 variables");
    assert_refused(too_many_variables, "129 variables");
    assert_refused(no_options, "s4.depth has 0 options");
    assert_refused(too_many_options, "s4.depth has 33 options");
    assert_refused(twin_names, "s2.depth");
    assert_refused(twin_labels, "s4.depth has two options 0");
    assert_refused(endless_label, "s4.depth");
    assert_refused(late_parent, "s1.b2.kernel: its parent");
    assert_refused(never_active, "s1.b2.kernel must be active");
    assert_refused(active_under_nothing, "s1.b2.kernel must be active");
    assert_refused(falling_numbers, "s5.depth is ordered");
    assert_refused(infinite_number, "s5.depth");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_for_all_has_2e19_networks_at_25_resolutions),
        cmocka_unit_test(a_count_is_the_number_of_canonical_forms),
        cmocka_unit_test(the_largest_space_can_be_counted),
        cmocka_unit_test(inactive_variables_stand_at_option_0),
        cmocka_unit_test(equal_networks_have_one_id_and_other_spaces_other_ids),
        cmocka_unit_test(bytes_behind_a_label_do_not_change_the_id),
        cmocka_unit_test(distance_counts_what_differs_or_is_active_in_one_only),
        cmocka_unit_test(samples_reach_every_option_of_every_variable),
        cmocka_unit_test(a_broken_space_is_refused_by_name),
        cmocka_unit_test(a_mutation_changes_one_variable_and_what_hangs_on_it),
        cmocka_unit_test(what_cannot_change_is_not_mutated),
    };
    return cmocka_run_group_tests(tests, make_ofa, NULL);
}
