/* MnasNet's controller: what batches do to the policy, what it learns, its bounds and its state. */
#include "search/recurrent.h"
#include "search/search.h"

#include "alloc_fail.h"
#include "worlds.h"

enum { BATCH = 64, HEAD_BYTES = 6 * 8 + 8, PAIR_BYTES = 16 }; /* of a state without limits: scales, steps; then pairs */

static struct space ofa;
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
    spec = world_spec("ppo", 100);
    p = (struct pupil){.ops = search_controller_get("ppo")};
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

static void tell(struct pupil *p)
{
    const struct search_batch batch = {.n = BATCH,
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
    buf->max = 4U << 20;
    tl_buf_clear(buf);
    assert_int_equal(p->ops->save(p->controller, buf, &err), TL_OK);
}

static unsigned share_drawn(struct pupil *p, size_t variable, uint8_t option)
{
    uint8_t genes[SPACE_VARIABLES_MAX];
    unsigned n = 0;
    assert_int_equal(p->ops->plan(p->controller, 0), BATCH);
    for (uint64_t i = 0; i < 2000; i++) {
        struct tl_rng rng;
        tl_rng_init(&rng, i, 0, 0);
        p->ops->propose(p->controller, i % BATCH, 0, &rng, genes);
        assert_true(space_valid(&ofa, genes));
        n += genes[variable] == option;
    }
    return n;
}

/* ---- batches ------------------------------------------------------------------------------------------------- */

static void the_first_architectures_are_uniform(void **state)
{
    struct pupil *p = *state;
    assert_in_range(share_drawn(p, 0, 24), 80 - 36, 80 + 36); /* four standard deviations */
    assert_in_range(share_drawn(p, 3, 0), 667 - 85, 667 + 85);
}

static void what_is_rewarded_becomes_likelier(void **state)
{
    struct pupil *p = *state;
    for (size_t i = 0; i < BATCH; i++) {
        p->archs[i * ofa.n_variables + 3] = i % 2 ? 2 : 0;
        p->score[i] = (double)(i % 2);
    }
    for (size_t batch = 0; batch < 8; batch++) {
        tell(p);
    }
    assert_true(share_drawn(p, 3, 2) > 667 + 85);
    assert_true(share_drawn(p, 3, 0) < 667 - 85);
}

/* Of the parameters only heads begin at zero: weights by row, then biases. */
static void inactive_variables_get_no_gradient(void **state)
{
    struct pupil *p = *state;
    TL_AUTO(tl_buf) saved = {0};
    size_t n_rows = 0, row = 0;
    int fourth = space_variable_find(&ofa, "s1.b4.kernel"), depth = space_variable_find(&ofa, "s1.depth");
    for (size_t i = 0; i < ofa.n_variables; i++) {
        row = i == (size_t)fourth ? n_rows : row;
        n_rows += ofa.variables[i].n_options;
    }
    for (size_t i = 0; i < BATCH;
         i++) { /* the deep half is better, and nothing is so deep that a fourth block is there */
        p->archs[i * ofa.n_variables + (size_t)depth] = i % 2;
        p->score[i] = (double)(i % 2);
    }
    tell(p);
    save(p, &saved);
    size_t heads = (n_rows + 1) * RECURRENT_HIDDEN + (size_t)(2 * RECURRENT_HIDDEN + 1) * RECURRENT_GATES;
    unsigned n_moved = 0;
    for (size_t i = 0; i < n_rows * RECURRENT_HIDDEN; i++) {
        double weight;
        memcpy(&weight, saved.data + HEAD_BYTES + (heads + i) * PAIR_BYTES, sizeof weight);
        n_moved += weight != 0;
        if (i / RECURRENT_HIDDEN >= row && i / RECURRENT_HIDDEN < row + 3) {
            assert_true(weight == 0);
        }
    }
    assert_true(n_moved > 0);
}

static void a_batch_without_values_teaches_nothing(void **state)
{
    struct pupil *p = *state;
    TL_AUTO(tl_buf) before = {0}, after = {0};
    save(p, &before);
    for (size_t i = 0; i < BATCH; i++) {
        p->violation[i] = (double)INFINITY;
    }
    tell(p);
    save(p, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
}

/* ---- what is learned ----------------------------------------------------------------------------------------- */

enum { BUDGET = 2000, LATE = 1600, COST_MAX = 12 };

/* The best gain; of the last evaluations, how many are feasible. */
static double find(const char *controller, const struct space *space, unsigned *ret_feasible)
{
    struct world world;
    struct search_candidate candidate = {0};
    struct search_spec wish = world_spec(controller, BUDGET);
    wish.sample_size = BUDGET;
    world_limit(&wish, WORLD_COST, false, COST_MAX);
    world_init(&world, space);
    struct search_run *run = world_run(&world, &wish, NULL);
    world_finish(run);
    *ret_feasible = 0;
    for (size_t i = LATE; i < BUDGET; i++) {
        search_run_sample_at(run, i, &candidate); /* the sample holds everything, in order */
        *ret_feasible += candidate.violation == 0;
    }
    assert_true(search_run_best(run, &candidate));
    search_run_free(run);
    return candidate.values[WORLD_GAIN];
}

/* Of random architectures 2 % are feasible; those of `random` all are, as it draws until one is. */
static void it_learns_to_hold_a_limit_and_finds_what_random_does_not(void **state)
{
    struct space flat;
    unsigned n_drawn, n_learned;
    (void)state;
    world_flat(&flat, 20, 3);
    double drawn = find("random", &flat, &n_drawn), learned = find("ppo", &flat, &n_learned);
    double most = world_most_gain(&flat, COST_MAX);
    assert_true(drawn < 0.95 * most);
    assert_true(learned > 0.99 * most && learned <= most + 1e-9);
    assert_true(n_learned > (BUDGET - LATE) / 8); /* 79 to 235 of 400 over five seeds */
}

static void the_largest_space_fits(void **state)
{
    static struct space most;
    struct world world;
    struct search_spec wish = world_spec("ppo", 16);
    TL_AUTO(tl_buf) saved = {0};
    (void)state;
    world_flat(&most, SPACE_VARIABLES_MAX, SPACE_OPTIONS_MAX);
    world_limit(&wish, WORLD_COST, false, 1000);
    world_init(&world, &most);
    struct search_run *run = world_run(&world, &wish, NULL);
    world_finish(run);
    world_state(run, &saved); /* a server takes states of 64 MiB */
    assert_in_range(saved.len, 4U << 20, 8U << 20);
    search_run_free(run);
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static void hostile_states_are_refused(void **state)
{
    static const double hostile[] = {1e9, -1e9};
    struct pupil *p = *state;
    struct tl_err err = {0};
    TL_AUTO(tl_buf) saved = {0};
    tell(p);
    save(p, &saved);
    for (size_t n = 0; n < saved.len; n += 1 + n / 50) {
        struct tl_cursor cursor = tl_cursor_make(saved.data, n);
        assert_int_equal(p->ops->load(p->controller, &cursor, &err), TL_MALFORMED);
    }
    for (size_t at = HEAD_BYTES; at < saved.len; at += sizeof(double) * (at < 1000 ? 1 : 997)) {
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

/* All parameters at their bounds: gradients through time overflow, and the policy stays what can be saved and drawn from. */
static void an_extreme_state_goes_on(void **state)
{
    struct pupil *p = *state;
    struct tl_err err = {0};
    TL_AUTO(tl_buf) saved = {0};
    save(p, &saved);
    for (size_t at = HEAD_BYTES, i = 0; at < saved.len; at += PAIR_BYTES, i++) {
        double extreme = i % 3 ? 100 : -100;
        memcpy(saved.data + at, &extreme, sizeof extreme);
    }
    struct tl_cursor cursor = tl_cursor_make(saved.data, saved.len);
    assert_int_equal(p->ops->load(p->controller, &cursor, &err), TL_OK);
    for (size_t batch = 0; batch < 3; batch++) {
        for (size_t i = 0; i < BATCH; i++) {
            struct tl_rng rng;
            tl_rng_init(&rng, i, batch, 0);
            p->ops->propose(p->controller, i, 0, &rng, p->archs + i * ofa.n_variables);
            p->archs[i * ofa.n_variables] = (uint8_t)(i % 25); /* what it would hardly draw, too */
            p->score[i] = (double)(i % 7);
        }
        tell(p);
    }
    save(p, &saved);
    cursor = tl_cursor_make(saved.data, saved.len);
    assert_int_equal(p->ops->load(p->controller, &cursor, &err), TL_OK);
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
    assert_int_equal(alloc_fail_each(a_controller_is_made, *state), 6);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, make_pupil, free_pupil)
    const struct CMUnitTest tests[] = {
        FACT(the_first_architectures_are_uniform),
        FACT(what_is_rewarded_becomes_likelier),
        FACT(inactive_variables_get_no_gradient),
        FACT(a_batch_without_values_teaches_nothing),
        FACT(it_learns_to_hold_a_limit_and_finds_what_random_does_not),
        FACT(the_largest_space_fits),
        FACT(hostile_states_are_refused),
        FACT(an_extreme_state_goes_on),
        FACT(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
