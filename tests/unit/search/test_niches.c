/* NSGA-III: where its reference points lie, whom its niches keep, and what it finds of a front that is known. */
#include "search/niches.h"
#include "worlds.h"

#include <cmocka.h>
#include <math.h>

/* ---- reference points -------------------------------------------------------------------------------------------- */

static void reference_points_lie_evenly_on_the_plane(void **state)
{
    /* the published 91 for three costs (12 parts); for more than three a layer of 10, 15 ... points inside the other */
    static const size_t counts[SEARCH_METRICS_MAX + 1] = {0, 1, 100, 91, 84, 85, 77, 91, 72, 90};
    struct niches niches;
    (void)state;
    for (size_t m = 1; m <= SEARCH_METRICS_MAX; m++) {
        niches_init(&niches, m);
        assert_int_equal(niches.n_points, counts[m]);
        for (size_t i = 0; i < niches.n_points; i++) {
            double sum = 0;
            for (size_t k = 0; k < m; k++) {
                assert_true(niches.points[i][k] >= 0);
                sum += niches.points[i][k];
            }
            assert_true(fabs(sum - 1) < 1e-12);
            for (size_t j = 0; j < i; j++) {
                assert_true(memcmp(niches.points[i], niches.points[j], m * sizeof(double)) != 0);
            }
        }
        for (size_t k = 0; k < m; k++) { /* every corner is among them */
            bool corner = false;
            for (size_t i = 0; i < niches.n_points; i++) {
                corner = corner || niches.points[i][k] == 1;
            }
            assert_true(corner);
        }
    }
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

enum { SURE = 20, MEMBERS = 120, MORE = 30 };

struct crowd {
    double costs[MEMBERS][SEARCH_METRICS_MAX];
    const double *rows[MEMBERS];
    struct niches niches;
};

/* Points of a sphere; the sure ones all near one corner. */
static void crowd_make(struct crowd *crowd, double scale_of_second, double shift_of_third)
{
    struct tl_rng rng;
    tl_rng_init(&rng, 5, 0, 0);
    niches_init(&crowd->niches, 3);
    for (size_t i = 0; i < MEMBERS; i++) {
        double x[3], norm = 0;
        for (size_t k = 0; k < 3; k++) {
            x[k] = fabs(tl_rng_normal(&rng)) + (i < SURE && k == 0 ? 9 : 0);
            norm += x[k] * x[k];
        }
        crowd->costs[i][0] = x[0] / sqrt(norm);
        crowd->costs[i][1] = scale_of_second * x[1] / sqrt(norm);
        crowd->costs[i][2] = x[2] / sqrt(norm) + shift_of_third;
        crowd->rows[i] = crowd->costs[i];
        niches_see(&crowd->niches, crowd->costs[i]);
    }
}

static void choose(struct crowd *crowd, uint16_t *ret_chosen)
{
    struct tl_rng rng;
    tl_rng_init(&rng, 6, 0, 0);
    niches_choose(&crowd->niches, crowd->rows, MEMBERS, SURE, MORE, &rng, ret_chosen);
}

static void the_emptiest_niches_are_filled_whatever_the_units(void **state)
{
    static struct crowd plain, scaled;
    uint16_t chosen[MORE], again[MORE];
    unsigned n_near = 0;
    (void)state;
    crowd_make(&plain, 1, 0);
    choose(&plain, chosen);
    for (size_t i = 0; i < MORE; i++) {
        assert_in_range(chosen[i], SURE, MEMBERS - 1);
        n_near += plain.costs[chosen[i]][0] > 0.95;
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(chosen[i], chosen[j]);
        }
    }
    assert_in_range(n_near, 0, 3); /* the crowded corner gets no more */
    crowd_make(&scaled, 1024, -64);
    choose(&scaled, again);
    assert_memory_equal(chosen, again, sizeof chosen);
}

/* All equal, all in one line, values as large as there are: a choice all the same. */
static void degenerate_fronts_are_chosen_from_too(void **state)
{
    static const double slopes[][3] = {{0, 0, 0}, {1, 2, 3}, {1e300, -1e300, 1}, {1e-300, 0, 0}};
    static struct crowd crowd;
    uint16_t chosen[MORE];
    (void)state;
    for (size_t s = 0; s < TL_COUNT_OF(slopes); s++) {
        bool seen[MEMBERS] = {false};
        niches_init(&crowd.niches, 3);
        for (size_t i = 0; i < MEMBERS; i++) {
            for (size_t k = 0; k < 3; k++) {
                crowd.costs[i][k] = slopes[s][k] * (double)i;
            }
            crowd.rows[i] = crowd.costs[i];
            niches_see(&crowd.niches, crowd.costs[i]);
        }
        choose(&crowd, chosen);
        for (size_t i = 0; i < MORE; i++) {
            assert_in_range(chosen[i], SURE, MEMBERS - 1);
            assert_false(seen[chosen[i]]);
            seen[chosen[i]] = true;
        }
    }
}

/* ---- a front that is known --------------------------------------------------------------------------------------- */

/* DTLZ2 (Deb, Thiele, Laumanns and Zitzler 2002) on a grid: the first m - 1 variables are angles, the others add
 * distance unless they take their middle option. The front is the part of the unit sphere with no negative cost. */
enum { ANGLES = 13, FAR = 8, FAR_OPTIONS = 9 };

struct sphere {
    struct space space;
    size_t m;
};

static void sphere_costs(size_t m, const uint8_t *arch, double *ret_costs)
{
    double g = 0, rest = 1;
    for (size_t i = m - 1; i < m - 1 + FAR; i++) {
        const double off = (double)arch[i] / (FAR_OPTIONS - 1) - 0.5;
        g += off * off;
    }
    for (size_t k = m; k-- > 0;) { /* the last cost has one angle, the first all */
        const size_t angle = m - 1 - k;
        const double theta = k > 0 ? acos(-1) / 2 * (double)arch[angle] / (ANGLES - 1) : acos(-1) / 2;
        ret_costs[k] = (1 + g) * rest * sin(theta);
        rest *= cos(theta);
    }
}

static enum tl_rc sphere_values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride,
                                size_t n, double *out, unsigned thread, struct tl_err *err)
{
    const struct sphere *sphere = ctx;
    (void)thread, (void)err;
    for (size_t i = 0; i < n; i++) {
        double costs[SEARCH_METRICS_MAX];
        sphere_costs(sphere->m, archs + i * stride, costs);
        memcpy(out + i * SEARCH_METRICS_MAX + first, costs + first, n_metrics * sizeof costs[0]);
    }
    return TL_OK;
}

static void sphere_make(struct sphere *sphere, size_t m)
{
    *sphere = (struct sphere){.m = m};
    (void)snprintf(sphere->space.name, sizeof sphere->space.name, "sphere");
    sphere->space.n_variables = (uint16_t)(m - 1 + FAR);
    for (size_t v = 0; v < sphere->space.n_variables; v++) {
        struct space_variable *variable = &sphere->space.variables[v];
        (void)snprintf(variable->name, sizeof variable->name, "v%zu", v);
        variable->n_options = v < m - 1 ? ANGLES : FAR_OPTIONS;
        variable->parent = -1;
        variable->group = (uint16_t)v;
        for (unsigned o = 0; o < variable->n_options; o++) {
            (void)snprintf(variable->labels[o], sizeof variable->labels[o], "%u", o);
        }
    }
    assert_int_equal(space_finish(&sphere->space, NULL), TL_OK);
}

/* Mean distance from the points of the true front (of many every seventh) to what was found: the inverted generational
 * distance. */
static double missed(struct sphere *sphere, const char *controller, uint64_t budget, uint64_t seed)
{
    const struct search_evaluator evaluator = {.ctx = sphere, .n_metrics = sphere->m, .values = sphere_values};
    struct search_spec spec = {.n_front = sphere->m, .seed = seed, .budget_evaluations = budget, .front_wanted = true};
    struct search_run *run = NULL;
    uint8_t arch[SPACE_VARIABLES_MAX];
    bool done = false;
    double sum = 0;
    size_t n = 1;
    (void)snprintf(spec.controller, sizeof spec.controller, "%s", controller);
    for (size_t k = 0; k < sphere->m; k++) {
        spec.front[k] = (uint8_t)k;
        n *= k > 0 ? ANGLES : 1;
    }
    assert_int_equal(search_run_new(&sphere->space, &evaluator, &spec, NULL, &run, NULL), TL_OK);
    assert_int_equal(search_run_step(run, UINT64_MAX, &done, NULL), TL_OK);
    memset(arch, (FAR_OPTIONS - 1) / 2, sizeof arch);
    const size_t step = n > 2000 ? 7 : 1;
    for (size_t i = 0; i < n; i += step) {
        double want[SEARCH_METRICS_MAX], least = (double)INFINITY;
        for (size_t v = 0, at = i; v + 1 < sphere->m; v++, at /= ANGLES) {
            arch[v] = (uint8_t)(at % ANGLES);
        }
        sphere_costs(sphere->m, arch, want);
        for (size_t f = 0; f < search_run_front_count(run); f++) {
            struct search_candidate found;
            double distance = 0;
            search_run_front_at(run, f, &found);
            for (size_t k = 0; k < sphere->m; k++) {
                distance += (found.values[k] - want[k]) * (found.values[k] - want[k]);
            }
            least = fmin(least, distance);
        }
        sum += sqrt(least);
    }
    search_run_free(run);
    return sum / (double)((n + step - 1) / step);
}

static void a_sphere_of_three_costs_is_found_whole(void **state)
{
    static struct sphere sphere;
    (void)state;
    sphere_make(&sphere, 3);
    assert_true(missed(&sphere, "nsga3", 9000, 1) < 1e-12);
    assert_true(missed(&sphere, "random", 9000, 1) > 0.1);
}

static void of_five_costs_more_is_found_than_by_crowding(void **state)
{
    static struct sphere sphere;
    (void)state;
    sphere_make(&sphere, 5);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const double third = missed(&sphere, "nsga3", 3000, seed), second = missed(&sphere, "nsga2", 3000, seed);
        if (!(third < 0.9 * second)) {
            fail_msg("seed %llu: %g by niches, %g by crowding", (unsigned long long)seed, third, second);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_points_lie_evenly_on_the_plane),
        cmocka_unit_test(the_emptiest_niches_are_filled_whatever_the_units),
        cmocka_unit_test(degenerate_fronts_are_chosen_from_too),
        cmocka_unit_test(a_sphere_of_three_costs_is_found_whole),
        cmocka_unit_test(of_five_costs_more_is_found_than_by_crowding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
