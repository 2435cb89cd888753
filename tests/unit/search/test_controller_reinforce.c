/* TuNAS' controller: what one batch does to the distributions, draws that follow them, and what it learns. */
#include "search/search.h"

#include "alloc_fail.h"
#include "worlds.h"

enum { BATCH = 32, HEAD_BYTES = 6 * 8 + 8, PAIR_BYTES = 16 }; /* of a state without limits: scales, steps; then pairs */

static struct space ofa, large;
static struct search_spec spec;

struct pupil {
    const struct search_controller_ops *ops;
    struct search_controller *controller;
    uint8_t archs[BATCH * SPACE_VARIABLES_MAX];
    double values[BATCH * SEARCH_METRICS_MAX], score[BATCH], violation[BATCH];
};

static int make_pupil(void **state)
{
    static struct pupil p;
    struct tl_err err = {0};
    world_ofa(&ofa);
    world_flat(&large, 40, 3);
    spec = world_spec("reinforce", 100);
    p = (struct pupil){.ops = search_controller_get("reinforce")};
    assert_int_equal(p.ops->make(&ofa, &spec, &p.controller, &err), TL_OK);
    *state = &p;
    return 0;
}

static int free_pupil(void **state)
{
    struct pupil *p = *state;
    p->ops->free(p->controller);
    return 0;
}

static void tell(struct pupil *p, size_t n)
{
    const struct search_batch batch = {.n = n,
                                       .genes = p->archs,
                                       .archs = p->archs,
                                       .values = p->values,
                                       .score = p->score,
                                       .violation = p->violation};
    assert_int_equal(p->ops->plan(p->controller, 0), BATCH);
    p->ops->tell(p->controller, &batch);
}

static void save(const struct pupil *p, struct tl_buf *buf)
{
    struct tl_err err = {0};
    tl_buf_clear(buf);
    assert_int_equal(p->ops->save(p->controller, buf, &err), TL_OK);
}

static size_t place(const char *variable, size_t option)
{
    size_t index = (size_t)space_variable_find(&ofa, variable), n = 0;
    for (size_t i = 0; i < index; i++) {
        n += ofa.variables[i].n_options;
    }
    return HEAD_BYTES + (n + option) * PAIR_BYTES;
}

static double logit(const struct tl_buf *buf, const char *variable, size_t option)
{
    double value;
    memcpy(&value, buf->data + place(variable, option), sizeof value);
    return value;
}

static unsigned share_drawn(struct pupil *p, size_t variable, uint8_t option)
{
    uint8_t genes[SPACE_VARIABLES_MAX];
    unsigned n = 0;
    assert_int_equal(p->ops->plan(p->controller, 0), BATCH);
    for (uint64_t i = 0; i < 10000; i++) {
        struct tl_rng rng;
        tl_rng_init(&rng, i, 0, 0);
        p->ops->propose(p->controller, i % BATCH, 0, &rng, genes);
        assert_true(space_valid(&ofa, genes));
        n += genes[variable] == option;
    }
    return n;
}

/* ---- one batch ----------------------------------------------------------------------------------------------- */

static void the_first_architectures_are_uniform(void **state)
{
    struct pupil *p = *state;
    assert_in_range(share_drawn(p, 0, 24), 400 - 79, 400 + 79); /* four standard deviations */
    assert_in_range(share_drawn(p, 3, 0), 3333 - 189, 3333 + 189);
}

/* Adam's first step is as long as the rate, up for what the better half has and down for what the worse half has. */
static void what_is_rewarded_becomes_likelier(void **state)
{
    struct pupil *p = *state;
    TL_AUTO(tl_buf) saved = {0};
    for (size_t i = 0; i < BATCH; i++) {
        p->archs[i * ofa.n_variables] = i % 2 ? 7 : 3;
        p->score[i] = (double)(i % 2);
    }
    tell(p, BATCH);
    save(p, &saved);
    double rate = logit(&saved, "resolution", 7);
    assert_true(rate > 0.001 && rate < 0.2);
    assert_true(fabs(logit(&saved, "resolution", 3) + rate) < 1e-6);
    assert_true(fabs(logit(&saved, "resolution", 5)) < 1e-6); /* advantages add up to nothing */
    assert_true(fabs(logit(&saved, "s1.depth", 0)) < 1e-6);
}

static void inactive_variables_get_no_gradient(void **state)
{
    struct pupil *p = *state;
    TL_AUTO(tl_buf) saved = {0};
    int depth = space_variable_find(&ofa, "s1.depth"), third = space_variable_find(&ofa, "s1.b3.kernel");
    for (size_t i = 0; i < BATCH; i++) { /* the deep half is better */
        p->archs[i * ofa.n_variables + (size_t)depth] = i % 2;
        p->archs[i * ofa.n_variables + (size_t)third] = i % 2;
        p->score[i] = (double)(i % 2);
    }
    tell(p, BATCH);
    save(p, &saved);
    assert_true(logit(&saved, "s1.b3.kernel", 1) > 0 && logit(&saved, "s1.b3.kernel", 0) < 0);
    for (size_t option = 0; option < 3; option++) { /* never there; and there in all, with the same option */
        assert_true(logit(&saved, "s1.b4.kernel", option) == 0);
        assert_true(fabs(logit(&saved, "s1.b1.kernel", option)) < 1e-6);
    }
}

static void draws_follow_the_distributions(void **state)
{
    struct pupil *p = *state;
    struct tl_err err = {0};
    TL_AUTO(tl_buf) saved = {0};
    double three = log(3);
    save(p, &saved);
    memcpy(saved.data + place("s2.depth", 1), &three, sizeof three);
    struct tl_cursor cursor = tl_cursor_make(saved.data, saved.len);
    assert_int_equal(p->ops->load(p->controller, &cursor, &err), TL_OK);
    assert_true(tl_cursor_ok(&cursor));
    assert_in_range(share_drawn(p, 2, 1), 6000 - 196, 6000 + 196);
    assert_in_range(share_drawn(p, 2, 2), 2000 - 160, 2000 + 160);
}

static void a_batch_without_values_teaches_nothing(void **state)
{
    struct pupil *p = *state;
    TL_AUTO(tl_buf) before = {0}, after = {0};
    save(p, &before);
    for (size_t i = 0; i < BATCH; i++) {
        p->violation[i] = (double)INFINITY;
    }
    tell(p, BATCH);
    save(p, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
}

/* ---- what is learned ----------------------------------------------------------------------------------------- */

struct found {
    double gain;
    double late_feasible; /* share of the last fifth of the evaluations */
};

static struct found find(const char *controller, enum search_reward reward, uint64_t budget)
{
    struct world world;
    struct search_candidate candidate = {0};
    struct search_spec wish = world_spec(controller, budget);
    unsigned n_late = 0, n_feasible = 0;
    wish.reward = reward;
    wish.sample_size = (uint32_t)budget;
    world_limit(&wish, WORLD_COST, false, 30);
    world_init(&world, &large);
    struct search_run *run = world_run(&world, &wish, NULL);
    world_finish(run);
    for (size_t i = 0; i < search_run_sample_count(run); i++) {
        search_run_sample_at(run, i, &candidate);
        n_late += candidate.number >= budget * 4 / 5;
        n_feasible += candidate.number >= budget * 4 / 5 && candidate.violation == 0;
    }
    assert_true(search_run_best(run, &candidate));
    search_run_free(run);
    return (struct found){candidate.values[WORLD_GAIN], (double)n_feasible / n_late};
}

static void it_learns_to_hold_a_limit_and_finds_what_random_does_not(void **state)
{
    struct found drawn = find("random", SEARCH_REWARD_DEFAULT, 20000);
    struct found learned = find("reinforce", SEARCH_REWARD_DEFAULT, 20000);
    double most = world_most_gain(&large, 30);
    (void)state;
    assert_true(drawn.gain < 0.92 * most);
    assert_true(learned.gain > 0.99 * most && learned.gain <= most + 1e-9);
    assert_true(learned.late_feasible > 0.5);
}

/* Soft rewards call networks along the front equally good and stop where they happen to be; the others hold the limit. */
static void every_reward_but_the_gentle_ones_holds_the_limit(void **state)
{
    static const enum search_reward firm[] = {SEARCH_REWARD_ABSOLUTE, SEARCH_REWARD_HARD, SEARCH_REWARD_QUADRATIC};
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(firm); i++) {
        assert_true(find("reinforce", firm[i], 20000).late_feasible > 0.5);
    }
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static void hostile_states_are_refused(void **state)
{
    static const double hostile[] = {1e9, -1e9};
    struct pupil *p = *state;
    struct tl_err err = {0};
    TL_AUTO(tl_buf) saved = {0};
    for (size_t i = 0; i < BATCH; i++) {
        p->archs[i * ofa.n_variables] = (uint8_t)(i % 25);
        p->score[i] = (double)i;
    }
    tell(p, BATCH);
    save(p, &saved);
    for (size_t n = 0; n < saved.len; n++) {
        struct tl_cursor cursor = tl_cursor_make(saved.data, n);
        assert_int_equal(p->ops->load(p->controller, &cursor, &err), TL_MALFORMED);
    }
    for (size_t at = HEAD_BYTES; at < saved.len; at += sizeof(double)) {
        for (size_t i = 0; i < TL_COUNT_OF(hostile) + 1; i++) {
            double good, bad = i < TL_COUNT_OF(hostile) ? hostile[i] : (double)NAN;
            memcpy(&good, saved.data + at, sizeof good);
            memcpy(saved.data + at, &bad, sizeof bad);
            struct tl_cursor cursor = tl_cursor_make(saved.data, saved.len);
            assert_int_equal(p->ops->load(p->controller, &cursor, &err), TL_MALFORMED);
            memcpy(saved.data + at, &good, sizeof good);
        }
    }
}

static enum tl_rc a_controller_is_made(void *ctx, struct tl_err *err)
{
    struct pupil *p = ctx;
    struct search_controller *controller = NULL;
    enum tl_rc rc = p->ops->make(&ofa, &spec, &controller, err);
    if (!rc) {
        p->ops->free(controller);
    }
    return rc;
}

static void memory_may_run_out(void **state)
{
    assert_int_equal(alloc_fail_each(a_controller_is_made, *state), 1);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, make_pupil, free_pupil)
    const struct CMUnitTest tests[] = {
        FACT(the_first_architectures_are_uniform),
        FACT(what_is_rewarded_becomes_likelier),
        FACT(inactive_variables_get_no_gradient),
        FACT(draws_follow_the_distributions),
        FACT(a_batch_without_values_teaches_nothing),
        FACT(it_learns_to_hold_a_limit_and_finds_what_random_does_not),
        FACT(every_reward_but_the_gentle_ones_holds_the_limit),
        FACT(hostile_states_are_refused),
        FACT(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
