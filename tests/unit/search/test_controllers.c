/* What each controller promises: on spaces with a known best, and where its rule can be computed by hand. */
#include "search/search.h"

#include "worlds.h"

static struct space flat;  /* 40 variables of 3 options */
static struct space small; /* 6 variables of 4 options: 4,096 architectures */
static struct space ofa;

static int make_spaces(void **state)
{
    (void)state;
    world_flat(&flat, 40, 3);
    world_flat(&small, 6, 4);
    world_ofa(&ofa);
    return 0;
}

/* ---- on worlds ----------------------------------------------------------------------------------------------- */

enum { COST_MAX = 30 };

static double best_gain(const char *controller, const struct space *space, uint64_t budget, double cost_max, bool dear)
{
    struct world world;
    struct search_candidate best = {0};
    struct search_spec spec = world_spec(controller, budget);
    spec.dear = dear;
    world_limit(&spec, WORLD_COST, false, cost_max);
    world_init(&world, space);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    assert_true(search_run_best(run, &best));
    search_run_free(run);
    return best.values[WORLD_GAIN];
}

static void every_controller_finds_what_random_does_not(void **state)
{
    static const struct {
        const char *name;
        uint64_t budget;
        double share; /* of what is possible */
    } promises[] = {{"auto", 10000, 0.999},
                    {"natural-gradient", 10000, 0.99},
                    {"yoco", 10000, 0.97},
                    {"distinct-evolution", 10000, 0.99},
                    {"aging-evolution", 10000, 0.97},
                    {"nsga2", 10000, 0.97},
                    {"nsga3", 10000, 0.97},
                    {"local-search", 10000, 0.85},
                    {"model", 300, 0.95}};
    const double most = world_most_gain(&flat, COST_MAX), drawn = best_gain("random", &flat, 10000, COST_MAX, false);
    (void)state;
    assert_true(drawn < 0.93 * most);
    for (size_t i = 0; i < TL_COUNT_OF(promises); i++) {
        const double found = best_gain(promises[i].name, &flat, promises[i].budget, COST_MAX, false);
        if (!(found >= promises[i].share * most && found <= most + 1e-9)) {
            fail_msg("%s found %g of %g", promises[i].name, found, most);
        }
    }
}

static void a_model_finds_the_best_of_4096_within_150(void **state)
{
    double most = 0;
    (void)state;
    for (unsigned i = 0; i < 4096; i++) {
        uint8_t arch[6];
        for (unsigned v = 0; v < 6; v++) {
            arch[v] = (uint8_t)(i >> (2 * v) & 3);
        }
        most = world_cost(&small, arch) <= 9 ? fmax(most, world_gain(&small, arch)) : most;
    }
    assert_true(best_gain("model", &small, 150, 9, true) == most);
    assert_true(best_gain("auto", &small, 150, 9, true) == most);
}

/* 400 is a tenth of the space: as many as there are would repeat for chance alone. */
static void what_is_distinct_is_not_evaluated_twice(void **state)
{
    static const char *const names[] = {"distinct-evolution", "model"};
    (void)state;
    for (size_t c = 0; c < TL_COUNT_OF(names); c++) {
        struct world world;
        struct search_candidate a, b;
        struct search_spec spec = world_spec(names[c], 400);
        unsigned n_repeated = 0;
        spec.sample_size = 400;
        world_init(&world, &small);
        struct search_run *run = world_run(&world, &spec, NULL);
        world_finish(run);
        for (size_t i = 0; i < 400; i++) {
            for (size_t j = 0; j < i; j++) {
                search_run_sample_at(run, i, &a);
                search_run_sample_at(run, j, &b);
                n_repeated += memcmp(a.arch, b.arch, small.n_variables) == 0;
            }
        }
        search_run_free(run);
        assert_in_range(n_repeated, 0, 20); /* only within a batch of a hundred; all random: 20 */
    }
}

/* Hypervolume of gain over cost, from (0, 18): all that the front dominates. */
static double front_area(const char *controller, uint64_t budget, bool dear)
{
    struct world world;
    struct search_spec spec = world_spec(controller, budget);
    double area = 0, gain = 0;
    spec.front_wanted = true;
    spec.dear = dear;
    world_init(&world, &small);
    struct search_run *run = world_run(&world, &spec, NULL);
    world_finish(run);
    for (size_t i = 0; i < search_run_front_count(run); i++) {
        struct search_candidate member;
        search_run_front_at(run, i, &member);
        area += (18 - member.values[WORLD_COST]) * (member.values[WORLD_GAIN] - gain);
        gain = member.values[WORLD_GAIN];
    }
    search_run_free(run);
    return area;
}

static void a_front_is_found_whole(void **state)
{
    const double whole = front_area("random", 60000, false);
    (void)state;
    assert_true(front_area("nsga2", 4000, false) > 0.99 * whole);
    assert_true(front_area("nsga3", 4000, false) > 0.99 * whole);
    assert_true(front_area("model", 200, true) > 0.96 * whole);
    assert_true(front_area("random", 200, false) < 0.94 * whole);
    assert_true(front_area("auto", 200, true) > 0.96 * whole);
}

/* ---- by hand ------------------------------------------------------------------------------------------------- */

enum { SAMPLES = 200 };

struct pupil {
    const struct search_controller_ops *ops;
    struct search_controller *controller;
    struct space space;
    struct search_spec spec;
    uint8_t archs[SAMPLES * 2];
    double values[SAMPLES * SEARCH_METRICS_MAX], score[SAMPLES], violation[SAMPLES];
};

static struct pupil *pupil(const char *controller)
{
    static struct pupil p;
    struct tl_err err = {0};
    p = (struct pupil){.ops = search_controller_get(controller), .spec = world_spec(controller, 100)};
    world_flat(&p.space, 2, 4);
    assert_int_equal(p.ops->make(&p.space, &p.spec, &p.controller, &err), TL_OK);
    return &p;
}

static void tell(struct pupil *p, size_t n)
{
    const struct search_batch batch = {.n = n,
                                       .genes = p->archs,
                                       .archs = p->archs,
                                       .values = p->values,
                                       .score = p->score,
                                       .violation = p->violation};
    (void)p->ops->plan(p->controller, 0);
    p->ops->tell(p->controller, &batch);
}

/* Probability of option 0..3 of the first variable, from what the state says: gamma, slowness, (theta, path)... */
static void thetas(const struct pupil *p, double ret_theta[4])
{
    struct tl_err err = {0};
    TL_AUTO(tl_buf) buf = {0};
    assert_int_equal(p->ops->save(p->controller, &buf, &err), TL_OK);
    struct tl_cursor cursor = tl_cursor_make(buf.data, buf.len);
    (void)tl_cursor_f64(&cursor);
    (void)tl_cursor_f64(&cursor);
    for (size_t j = 0; j < 4; j++) {
        ret_theta[j] = tl_cursor_f64(&cursor);
        (void)tl_cursor_f64(&cursor);
    }
}

/* Two samples (0, 0) and (1, 0), the first better: u = 1, -1, G = (1/2, -1/2, 0, 0) for the first variable and 0 for the
 * second; theta = 1/4. Whitened: s_j = G_j / sqrt(1/4) + 0 = (1, -1, 0); its norm sqrt(2), so theta moves by
 * (1, -1) / (2 sqrt(2)) = 0.354, and theta_1 = -0.104 is lifted to the floor 1 / (2 * 3). */
static void a_step_is_the_published_one(void **state)
{
    double theta[4];
    struct pupil *p = pupil("yoco");
    (void)state;
    p->archs[2] = 1;
    p->score[0] = 1;
    tell(p, 2);
    thetas(p, theta);
    const double floor = 1.0 / 6, up = 0.25 + 1 / sqrt(8), sum = up + 0.25 + 0.25 + floor, above = sum - 4 * floor;
    assert_true(fabs(theta[0] - (up - (sum - 1) * (up - floor) / above)) < 1e-9);
    assert_true(fabs(theta[1] - floor) < 1e-9);
    assert_true(fabs(theta[2] - (0.25 - (sum - 1) * (0.25 - floor) / above)) < 1e-9);
    assert_true(fabs(theta[0] + theta[1] + theta[2] + theta[3] - 1) < 1e-12);
    p->ops->free(p->controller);
}

/* The published utility compares relative to the score, and takes equal negative ones for different. */
static void equal_samples_move_nothing_also_below_zero(void **state)
{
    static const char *const names[] = {"yoco", "natural-gradient"};
    (void)state;
    for (size_t c = 0; c < TL_COUNT_OF(names); c++) {
        double theta[4];
        struct pupil *p = pupil(names[c]);
        for (size_t i = 0; i < p->ops->batch; i++) {
            p->archs[2 * i] = (uint8_t)(i % 4);
            p->score[i] = -3;
        }
        tell(p, p->ops->batch);
        thetas(p, theta);
        for (size_t j = 0; j < 4; j++) {
            assert_true(theta[j] == 0.25);
        }
        p->ops->free(p->controller);
    }
}

static void a_distribution_prefers_feasible_and_keeps_its_floor(void **state)
{
    double theta[4];
    struct pupil *p = pupil("natural-gradient");
    (void)state;
    for (int times = 0; times < 200; times++) {
        for (size_t i = 0; i < SAMPLES; i++) {
            p->archs[2 * i] = (uint8_t)(i % 4);
            p->score[i] = (double)(i % 4);          /* option 3 is best */
            p->violation[i] = i % 4 == 3 ? 0.5 : 0; /* and not allowed */
        }
        tell(p, SAMPLES);
        thetas(p, theta);
        for (size_t j = 0; j < 4; j++) {
            assert_true(theta[j] > 0.166 && theta[j] < 0.501); /* the floor: 1 / (2 * 3) */
        }
    }
    assert_true(theta[2] > 0.45);
    p->ops->free(p->controller);
}

/* How often, of 500 draws, (first, 1) is proposed. Both variables are one group, so a mutant is never its parent. */
static unsigned n_proposed(struct pupil *p, uint8_t first)
{
    unsigned n = 0;
    for (uint64_t draw = 0; draw < 500; draw++) {
        struct tl_rng rng;
        uint8_t genes[SPACE_VARIABLES_MAX];
        tl_rng_init(&rng, draw, 1, 2);
        p->ops->propose(p->controller, 0, 0, &rng, genes);
        n += genes[0] == first && genes[1] == 1;
    }
    return n;
}

/* A hundred of (0, 1) that are far better, then a hundred of (3, 1): the first are gone, however good. */
static void the_oldest_dies(void **state)
{
    struct pupil *p = pupil("aging-evolution");
    (void)state;
    for (int batch = 0; batch < 10; batch++) {
        for (size_t i = 0; i < 20; i++) {
            p->archs[2 * i] = batch < 5 ? 0 : 3;
            p->archs[2 * i + 1] = 1;
            p->score[i] = batch < 5 ? 100 : 1;
        }
        tell(p, 20);
        if (batch >= 4 && batch < 9) { /* the last 20 of the good ones still are parents after the ninth */
            assert_int_equal(n_proposed(p, 0), 0);
            assert_true(n_proposed(p, 3) > 0);
        }
    }
    assert_true(n_proposed(p, 0) > 0);
    assert_int_equal(n_proposed(p, 3), 0);
    p->ops->free(p->controller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_controller_finds_what_random_does_not),
        cmocka_unit_test(a_model_finds_the_best_of_4096_within_150),
        cmocka_unit_test(what_is_distinct_is_not_evaluated_twice),
        cmocka_unit_test(a_front_is_found_whole),
        cmocka_unit_test(a_step_is_the_published_one),
        cmocka_unit_test(equal_samples_move_nothing_also_below_zero),
        cmocka_unit_test(a_distribution_prefers_feasible_and_keeps_its_floor),
        cmocka_unit_test(the_oldest_dies),
    };
    return cmocka_run_group_tests(tests, make_spaces, NULL);
}
