/* A target from few samples with the help of other tasks: known answers on made-up devices. */
#include "alloc_fail.h"
#include "base/model/model.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Architectures of 8 variables with 4 options; a device's latency is a sum of costs of operators, differing by variable a
 * little, times a rest that devices of a kind share. Tasks 2 i and 2 i + 1 are one board. */
enum { N = 400, VARIABLES = 8, OPTIONS = 4, FINE = VARIABLES * OPTIONS, TASKS = 6 };

struct world {
    float coarse[N * OPTIONS], fine[N * FINE], values[N * TASKS];
    uint32_t group[TASKS];
    struct model_tasks tasks;
};

static void draw_device(const struct world *world, uint64_t seed, double rest, double *ms)
{
    struct tl_rng rng;
    double cost[FINE];
    tl_rng_init(&rng, seed, 1, 0);
    for (size_t o = 0; o < OPTIONS; o++) {
        const double base = (0.3 + (double)o) * exp(0.3 * tl_rng_normal(&rng));
        for (size_t v = 0; v < VARIABLES; v++) {
            cost[v * OPTIONS + o] = base * exp(0.05 * tl_rng_normal(&rng));
        }
    }
    tl_rng_init(&rng, 7, seed % 3, 0); /* one of three patterns that no feature explains */
    for (size_t i = 0; i < N; i++) {
        ms[i] = 2.0;
        for (size_t f = 0; f < FINE; f++) {
            ms[i] += (double)world->fine[i * FINE + f] * cost[f];
        }
        ms[i] *= exp(rest * tl_rng_normal(&rng));
    }
}

static struct world *make_world(uint64_t seed)
{
    struct world *world = calloc(1, sizeof(*world));
    double ms[N];
    struct tl_rng rng;
    assert_non_null(world);
    tl_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; i < (size_t)N * VARIABLES; i++) {
        const size_t option = tl_rng_below(&rng, OPTIONS);
        world->fine[i * OPTIONS + option] = 1.0F;
        world->coarse[i / VARIABLES * OPTIONS + option] += 1.0F;
    }
    for (size_t t = 0; t < TASKS; t++) {
        draw_device(world, seed * 100 + t, 0.02, ms);
        for (size_t i = 0; i < N; i++) {
            world->values[i * TASKS + t] = (float)ms[i];
        }
        world->group[t] = (uint32_t)t / 2;
    }
    world->tasks = (struct model_tasks){.n = N,
                                        .n_coarse = OPTIONS,
                                        .n_fine = FINE,
                                        .n_tasks = TASKS,
                                        .coarse = world->coarse,
                                        .fine = world->fine,
                                        .values = world->values,
                                        .group = world->group};
    return world;
}

static struct model_transfer *learned(const struct world *world, size_t n_samples)
{
    struct model_transfer *transfer = NULL;
    struct tl_err err = {0};
    assert_int_equal(model_transfer_new(&world->tasks, n_samples, 1, &transfer, &err), TL_OK);
    return transfer;
}

/* Predict all rows from the first k. */
static void predict_from(const struct model_transfer *transfer, const double *ms, size_t k, double *y, double *half)
{
    uint32_t rows[N];
    struct model_few *few = NULL;
    struct tl_err err = {0};
    for (uint32_t i = 0; i < N; i++) {
        rows[i] = i;
    }
    assert_int_equal(model_few_fit(transfer, rows, ms, k, &few, &err), TL_OK);
    assert_int_equal(model_few_predict(few, rows, N, y, half, &err), TL_OK);
    model_few_free(few);
}

static void without_samples_the_prediction_is_the_mean_of_the_tasks(void **state)
{
    struct world *world = make_world(1);
    struct model_transfer *transfer = learned(world, 5);
    double y[N], half[N], mean[TASKS] = {0};
    (void)state;
    predict_from(transfer, NULL, 0, y, half);
    for (size_t i = 0; i < (size_t)N * TASKS; i++) {
        mean[i % TASKS] += (double)world->values[i] / N;
    }
    for (size_t i = 0; i < N; i++) {
        double expected = 0.0;
        for (size_t t = 0; t < TASKS; t++) {
            expected += (double)world->values[i * TASKS + t] / mean[t] / TASKS;
        }
        assert_true(fabs(y[i] - expected) < 1e-9);
        assert_true(isinf(half[i]));
    }
    model_transfer_free(transfer);
    free(world);
}

static void a_target_that_is_one_of_the_tasks_at_another_clock_is_recognised(void **state)
{
    struct world *world = make_world(2);
    struct model_transfer *transfer = learned(world, 20);
    double ms[N], y[N];
    (void)state;
    for (size_t i = 0; i < N; i++) {
        ms[i] = 3.0 * (double)world->values[i * TASKS + 4];
    }
    predict_from(transfer, ms, 20, y, NULL);
    assert_true(stat_mape(y, ms, N) < 0.8); /* its rest is 2 % and no feature knows it */
    model_transfer_free(transfer);
    free(world);
}

static void ten_samples_with_tasks_are_worth_more_than_ten_without(void **state)
{
    struct world *world = make_world(3);
    struct model_transfer *transfer = learned(world, 10);
    double ours = 0.0, ridge = 0.0;
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        double ms[N], y[N], x[10 * (OPTIONS + 1)], lambda[OPTIONS + 1] = {1e-6, 0.5, 0.5, 0.5, 0.5}, beta[OPTIONS + 1];
        struct tl_err err = {0};
        draw_device(world, 9000 + seed, 0.02, ms);
        predict_from(transfer, ms, 10, y, NULL);
        ours += stat_mape(y, ms, N) / 8;
        for (size_t i = 0; i < 10; i++) {
            x[i * (OPTIONS + 1)] = 1.0;
            for (size_t j = 0; j < OPTIONS; j++) {
                x[i * (OPTIONS + 1) + 1 + j] = (double)world->coarse[i * OPTIONS + j];
            }
        }
        assert_int_equal(model_ridge(x, ms, 10, OPTIONS + 1, lambda, NULL, beta, &err), TL_OK);
        for (size_t i = 0; i < N; i++) {
            y[i] = beta[0];
            for (size_t j = 0; j < OPTIONS; j++) {
                y[i] += beta[1 + j] * (double)world->coarse[i * OPTIONS + j];
            }
        }
        ridge += stat_mape(y, ms, N) / 8;
    }
    assert_true(ours < ridge);
    model_transfer_free(transfer);
    free(world);
}

/* Twelve targets at 5 and 20 samples: 2 x 12 x about 390 intervals of 90 %. */
static void intervals_of_few_samples_are_finite_and_cover(void **state)
{
    struct world *world = make_world(4);
    (void)state;
    for (size_t k = 5; k <= 20; k += 15) {
        struct model_transfer *transfer = learned(world, k);
        size_t covered = 0, all = 0;
        for (uint64_t seed = 0; seed < 12; seed++) {
            double ms[N], y[N], half[N];
            draw_device(world, 5000 + seed, 0.02, ms);
            predict_from(transfer, ms, k, y, half);
            for (size_t i = k; i < N; i++, all++) {
                assert_true(isfinite(half[i]) && half[i] > 0.0);
                covered += fabs(y[i] - ms[i]) <= half[i];
            }
        }
        assert_true((double)covered > 0.80 * (double)all);
        assert_true((double)covered < (double)all); /* not by being endless */
        model_transfer_free(transfer);
    }
    free(world);
}

static void one_sample_is_enough_for_a_scale(void **state)
{
    struct world *world = make_world(5);
    struct model_transfer *transfer = learned(world, 5);
    double ms[N], y[N], half[N];
    (void)state;
    draw_device(world, 77, 0.0, ms);
    predict_from(transfer, ms, 1, y, half);
    assert_true(stat_spearman(y, ms, N) > 0.8);
    assert_true(stat_mape(y, ms, N) < 15.0);
    assert_true(isfinite(half[N - 1]));
    model_transfer_free(transfer);
    free(world);
}

static void a_sample_where_every_task_takes_next_to_no_time_breaks_nothing(void **state)
{
    struct world *world = make_world(5);
    double ms[N], y[N];
    (void)state;
    for (size_t t = 0; t < TASKS; t++) {
        world->values[t] = 1e-6F;
    }
    draw_device(world, 77, 0.0, ms);
    ms[0] = 1e-6;
    struct model_transfer *transfer = learned(world, 5);
    for (size_t k = 1; k <= 5; k += 4) {
        predict_from(transfer, ms, k, y, NULL);
        for (size_t i = 0; i < N; i++) {
            assert_true(isfinite(y[i]));
        }
    }
    model_transfer_free(transfer);
    free(world);
}

static void a_task_that_is_known_of_half_the_rows_helps_all_the_same(void **state)
{
    struct world *world = make_world(6);
    double ms[N], y[N];
    (void)state;
    for (size_t i = 0; i < N; i++) {
        ms[i] = 0.5 * (double)world->values[i * TASKS + 3];
        if (i % 2) {
            world->values[i * TASKS + 3] = NAN;
            world->values[i * TASKS + 2] = NAN;
        }
    }
    struct model_transfer *transfer = learned(world, 20);
    predict_from(transfer, ms, 20, y, NULL);
    assert_true(stat_mape(y, ms, N) < 3.0); /* where it is not known, its features are all there is */
    model_transfer_free(transfer);
    free(world);
}

static void chosen_samples_are_spread_and_half_of_them_the_callers(void **state)
{
    struct world *world = make_world(7);
    struct model_transfer *transfer = learned(world, 20);
    uint32_t candidates[N], rows[20], again[20];
    double chosen = 0.0, first = 0.0;
    struct tl_err err = {0};
    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        candidates[i] = N - 1 - i;
    }
    assert_int_equal(model_transfer_choose(transfer, candidates, N, 20, rows, &err), TL_OK);
    assert_int_equal(model_transfer_choose(transfer, candidates, N, 20, again, &err), TL_OK);
    assert_memory_equal(rows, again, sizeof rows);
    for (size_t i = 0; i < 20; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(rows[i], rows[j]);
        }
    }
    assert_int_equal(rows[1], rows[0] == N - 1 ? N - 2 : N - 1); /* the next in the caller's order */
    /* the first one is far from the mean: the widest of all in the mean of the tasks, or nearly */
    double ms[N], y[N];
    for (size_t i = 0; i < N; i++) {
        ms[i] = 1.0;
    }
    predict_from(transfer, ms, 0, y, NULL);
    for (size_t i = 0; i < 20; i += 2) {
        chosen += fabs(y[rows[i]] - 1.0) / 10;
    }
    for (size_t i = 0; i < N; i++) {
        first += fabs(y[i] - 1.0) / N;
    }
    assert_true(chosen > 1.2 * first);
    model_transfer_free(transfer);
    free(world);
}

static void the_same_arguments_give_the_same_bits(void **state)
{
    struct world *world = make_world(8);
    double ms[N], y[2][N], half[2][N];
    (void)state;
    draw_device(world, 5, 0.01, ms);
    for (size_t i = 0; i < 2; i++) {
        struct model_transfer *transfer = learned(world, 60);
        predict_from(transfer, ms, 60, y[i], half[i]);
        model_transfer_free(transfer);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(half[0], half[1], sizeof half[0]);
    assert_true(stat_mape(y[0], ms, N) < 2.0);
    free(world);
}

static void what_cannot_be_learned_from_is_refused(void **state)
{
    struct world *world = make_world(9);
    struct model_transfer *transfer = NULL;
    struct model_few *few = NULL;
    uint32_t row = N;
    double ms = 1.0;
    (void)state;

    struct model_tasks tasks = world->tasks;
    const uint32_t one_group[TASKS] = {0};
    tasks.group = one_group;
    struct tl_err err = {0};
    assert_int_equal(model_transfer_new(&tasks, 5, 1, &transfer, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "group"));

    world->values[7] = 0.0F;
    err = (struct tl_err){0};
    assert_int_equal(model_transfer_new(&world->tasks, 5, 1, &transfer, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "value 1 of task 1"));
    world->values[7] = 1.0F;

    world->fine[3] = INFINITY;
    err = (struct tl_err){0};
    assert_int_equal(model_transfer_new(&world->tasks, 5, 1, &transfer, &err), TL_INVALID);
    world->fine[3] = 0.0F;

    transfer = learned(world, 5);
    err = (struct tl_err){0};
    assert_int_equal(model_few_fit(transfer, &row, &ms, 1, &few, &err), TL_INVALID);
    row = 0;
    ms = -1.0;
    assert_int_equal(model_few_fit(transfer, &row, &ms, 1, &few, &err), TL_INVALID);
    assert_int_equal(model_transfer_choose(transfer, &row, 1, 2, &row, &err), TL_INVALID);
    model_transfer_free(transfer);
    free(world);
}

/* Two tasks, so that a run is short. */
static enum tl_rc learn_choose_fit_predict(void *ctx, struct tl_err *err)
{
    const struct world *world = ctx;
    static float values[N * 2];
    const uint32_t group[2] = {0, 1}, candidates[4] = {9, 8, 7, 6};
    struct model_tasks tasks = world->tasks;
    struct model_transfer *transfer = NULL;
    struct model_few *few = NULL;
    uint32_t rows[3];
    double y[3] = {3.0, 4.0, 5.0}, predicted[3], half[3];
    for (size_t i = 0; i < N; i++) {
        values[2 * i] = world->values[i * TASKS];
        values[2 * i + 1] = world->values[i * TASKS + 2];
    }
    tasks.n_tasks = 2;
    tasks.values = values;
    tasks.group = group;
    enum tl_rc rc = model_transfer_new(&tasks, 40, 1, &transfer, err);
    rc = rc ? rc : model_transfer_choose(transfer, candidates, 4, 3, rows, err);
    rc = rc ? rc : model_few_fit(transfer, rows, y, 3, &few, err);
    rc = rc ? rc : model_few_predict(few, rows, 3, predicted, half, err);
    model_few_free(few);
    model_transfer_free(transfer);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    struct world *world = make_world(10);
    (void)state;
    assert_true(alloc_fail_each(learn_choose_fit_predict, world) > 50);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_samples_the_prediction_is_the_mean_of_the_tasks),
        cmocka_unit_test(a_target_that_is_one_of_the_tasks_at_another_clock_is_recognised),
        cmocka_unit_test(ten_samples_with_tasks_are_worth_more_than_ten_without),
        cmocka_unit_test(intervals_of_few_samples_are_finite_and_cover),
        cmocka_unit_test(one_sample_is_enough_for_a_scale),
        cmocka_unit_test(a_sample_where_every_task_takes_next_to_no_time_breaks_nothing),
        cmocka_unit_test(a_task_that_is_known_of_half_the_rows_helps_all_the_same),
        cmocka_unit_test(chosen_samples_are_spread_and_half_of_them_the_callers),
        cmocka_unit_test(the_same_arguments_give_the_same_bits),
        cmocka_unit_test(what_cannot_be_learned_from_is_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    model_blas_single_thread();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
