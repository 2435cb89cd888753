/* The front against a list that is compared all with all. */
#include "search/front.h"

#include "alloc_fail.h"
#include "worlds.h"

enum { POINTS = 1500, CAPACITY = 4096 };

static struct space space;

static int make_space(void **state)
{
    (void)state;
    world_flat(&space, 2, 32);
    return 0;
}

static struct search_spec spec_of(size_t n_costs)
{
    struct search_spec spec = {.n_front = n_costs};
    for (size_t i = 0; i < n_costs; i++) {
        spec.front[i] = (uint8_t)i;
    }
    return spec;
}

static void front_make(struct front *front, const struct search_spec *spec, size_t capacity)
{
    struct tl_err err = {0};
    assert_int_equal(front_init(front, spec, &space, SEARCH_METRICS_MAX, capacity, &err), TL_OK);
}

static bool covers(const double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] > b[i]) {
            return false;
        }
    }
    return true;
}

/* Whether point `i` belongs to the front of the first `n`: none covers it, but for later ones equal to it. */
static bool belongs(double (*points)[SEARCH_METRICS_MAX], size_t i, size_t n, size_t n_costs)
{
    for (size_t j = 0; j < n; j++) {
        if (j != i && covers(points[j], points[i], n_costs) && (j < i || !covers(points[i], points[j], n_costs))) {
            return false;
        }
    }
    return true;
}

static size_t assert_is_front(const struct front *front, double (*points)[SEARCH_METRICS_MAX], size_t n, size_t n_costs)
{
    bool member[POINTS] = {0};
    struct search_candidate candidate;
    size_t n_expected = 0;
    double before = -(double)INFINITY;
    for (size_t i = 0; i < front->n; i++) {
        shelf_get(&front->members, front->entries[i].slot, &candidate);
        assert_memory_equal(candidate.values, points[candidate.number], n_costs * sizeof(double));
        assert_false(member[candidate.number]);
        assert_true(n_costs == 1 || candidate.values[1] >= before);
        before = candidate.values[1];
        member[candidate.number] = true;
    }
    for (size_t i = 0; i < n; i++) {
        bool expected = belongs(points, i, n, n_costs);
        assert_int_equal(member[i], expected);
        n_expected += expected;
    }
    return n_expected;
}

/* steps: values are multiples of 1/steps, so that ties abound when it is small. bulge: 1 puts the points near a sphere, where
 * nearly all belong to the front. */
static void check(size_t n_costs, uint32_t steps, bool bulge)
{
    static double points[POINTS][SEARCH_METRICS_MAX];
    const uint8_t arch[2] = {1, 2};
    struct search_spec spec = spec_of(n_costs);
    struct front front;
    struct tl_rng rng;
    tl_rng_init(&rng, 11, n_costs, steps);
    front_make(&front, &spec, CAPACITY);
    for (size_t i = 0; i < POINTS; i++) {
        double length = 0;
        for (size_t c = 0; c < n_costs; c++) {
            points[i][c] = tl_rng_below(&rng, steps + 1) / (double)steps;
            length += points[i][c] * points[i][c];
        }
        for (size_t c = 0; bulge && c < n_costs; c++) {
            points[i][c] = -points[i][c] / sqrt(length + 1e-9);
        }
        (void)front_offer(&front, i, points[i], arch);
        if (i == 40 || i + 1 == POINTS) {
            size_t n = assert_is_front(&front, points, i + 1, n_costs);
            assert_true(i == 40 || !bulge || n > POINTS / 2);
        }
    }
    front_done(&front);
}

static void members_are_those_that_nothing_dominates(void **state)
{
    (void)state;
    for (size_t n_costs = 1; n_costs <= 5; n_costs++) {
        check(n_costs, 1000000, false);
        check(n_costs, 12, false);
        if (n_costs > 1) {
            check(n_costs, 1000000, true);
        }
    }
}

/* Most points of later rounds dominate whole earlier fronts: boxes are emptied and the tree is rebuilt. */
static void a_front_that_keeps_moving_stays_right(void **state)
{
    static double points[POINTS][SEARCH_METRICS_MAX];
    const uint8_t arch[2] = {0};
    struct search_spec spec = spec_of(3);
    struct front front;
    struct tl_rng rng;
    (void)state;
    tl_rng_init(&rng, 5, 0, 0);
    front_make(&front, &spec, CAPACITY);
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < POINTS; i++) {
            double x = tl_rng_unit(&rng), y = tl_rng_unit(&rng) * (1 - x);
            memcpy(points[i], (double[]){x - round, y - round, 1 - x - y - round}, 3 * sizeof(double));
            (void)front_offer(&front, i, points[i], arch);
        }
    }
    assert_true(front.tree.n_added < 10 * (size_t)POINTS);
    assert_true(assert_is_front(&front, points, POINTS, 3) > POINTS / 2);
    front_done(&front);
}

static void equal_points_are_kept_once_and_the_first_stays(void **state)
{
    const double values[SEARCH_METRICS_MAX] = {1, 2, 3};
    const uint8_t arch[2] = {0};
    struct search_candidate candidate;
    (void)state;
    for (size_t n_costs = 1; n_costs <= 3; n_costs++) {
        struct search_spec spec = spec_of(n_costs);
        struct front front;
        front_make(&front, &spec, 16);
        assert_true(front_offer(&front, 4, values, arch));
        assert_false(front_offer(&front, 5, values, arch));
        assert_int_equal(front.n, 1);
        shelf_get(&front.members, front.entries[0].slot, &candidate);
        assert_int_equal(candidate.number, 4);
        front_done(&front);
    }
}

static void larger_can_be_better(void **state)
{
    struct search_spec spec = {.n_front = 2, .front = {0, 1}, .maximize = true, .front_max = 2};
    const uint8_t arch[2] = {0};
    struct front front;
    (void)state;
    front_make(&front, &spec, 16);
    assert_true(front_offer(&front, 0, (double[SEARCH_METRICS_MAX]){1, 1}, arch));
    assert_true(front_offer(&front, 1, (double[SEARCH_METRICS_MAX]){0, 2}, arch));
    assert_true(front_offer(&front, 2, (double[SEARCH_METRICS_MAX]){1, 2}, arch));
    assert_int_equal(front.n, 1);
    front_done(&front);
}

/* 10,000 points of a line, none of which dominates another, into 64 places. */
static void a_full_front_is_thinned_and_keeps_its_ends(void **state)
{
    const uint8_t arch[2] = {0};
    (void)state;
    for (size_t n_costs = 2; n_costs <= 3; n_costs++) {
        struct search_spec spec = spec_of(n_costs);
        struct front front;
        struct tl_rng rng;
        double low[3] = {2, 2, 2}, least[3] = {2, 2, 2};
        tl_rng_init(&rng, 3, 0, 0);
        front_make(&front, &spec, 64);
        for (uint64_t i = 0; i < 10000; i++) {
            double x = tl_rng_unit(&rng), y = tl_rng_unit(&rng);
            double values[SEARCH_METRICS_MAX] = {x, n_costs == 2 ? 1 - x : y, 1 - x - y};
            (void)front_offer(&front, i, values, arch);
            assert_true(front.n < 64);
            for (size_t c = 0; c < n_costs; c++) {
                low[c] = fmin(low[c], values[c]);
            }
        }
        assert_true(front.n >= 31);
        for (size_t i = 0; i < front.n; i++) {
            struct search_candidate member;
            shelf_get(&front.members, front.entries[i].slot, &member);
            for (size_t c = 0; c < n_costs; c++) {
                least[c] = fmin(least[c], member.values[c]);
            }
        }
        for (size_t c = 0; c < n_costs; c++) {
            assert_true(least[c] == low[c]);
        }
        front_done(&front);
    }
}

static enum tl_rc a_front_is_made(void *ctx, struct tl_err *err)
{
    struct search_spec spec = spec_of(3);
    struct front front;
    (void)ctx;
    enum tl_rc rc = front_init(&front, &spec, &space, 3, 16, err);
    if (!rc) {
        front_done(&front);
    }
    return rc;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    (void)alloc_fail_each(a_front_is_made, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_those_that_nothing_dominates),
        cmocka_unit_test(a_front_that_keeps_moving_stays_right),
        cmocka_unit_test(equal_points_are_kept_once_and_the_first_stays),
        cmocka_unit_test(larger_can_be_better),
        cmocka_unit_test(a_full_front_is_thinned_and_keeps_its_ends),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, make_space, NULL);
}
