/* The Gaussian process: it knows its rows, is unsure far from them, and finds out which variables matter. */
#include "search/process.h"

#include "worlds.h"

enum { ROWS = 60 };

static struct space space; /* 8 variables of 4 options */
static uint8_t codes[ROWS * 8];
static double outcomes[ROWS];

/* Variables 0 and 1 decide the outcome, the others nothing. */
static int make_rows(void **state)
{
    struct tl_rng rng;
    (void)state;
    world_flat(&space, 8, 4);
    tl_rng_init(&rng, 3, 1, 4);
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t arch[8];
        space_sample(&space, &rng, arch);
        process_code(&space, arch, codes + i * 8);
        outcomes[i] = 0.8 * (arch[0] - 1.5) + (arch[1] == 2 ? 0.9 : -0.3);
    }
    return 0;
}

static struct process *made(void)
{
    struct process *p = NULL;
    struct tl_err err = {0};
    assert_int_equal(process_new(&space, ROWS, &p, &err), TL_OK);
    return p;
}

static void it_knows_its_rows_and_is_unsure_elsewhere(void **state)
{
    struct process *p = made();
    const uint8_t far[8] = {0}; /* differs from every row in all variables */
    double mean, deviation;
    (void)state;
    process_learn(p, codes, outcomes, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        process_ask(p, codes, codes + i * 8, &mean, &deviation);
        assert_true(fabs(mean - outcomes[i]) < 0.12 && deviation < 0.15);
    }
    process_ask(p, codes, far, &mean, &deviation);
    assert_true(deviation > 0.5 && deviation < 1.01);
    process_free(p);
}

static void rows_one_by_one_give_the_same_bits_as_at_once(void **state)
{
    struct process *once = made(), *slowly = made();
    double mean[2], deviation[2];
    (void)state;
    process_learn(once, codes, outcomes, ROWS - 1);
    for (size_t n = 1; n < ROWS; n++) {
        process_learn(slowly, codes, outcomes, n);
    }
    process_ask(once, codes, codes + (ROWS - 1) * 8, &mean[0], &deviation[0]);
    process_ask(slowly, codes, codes + (ROWS - 1) * 8, &mean[1], &deviation[1]);
    assert_true(mean[0] == mean[1] && deviation[0] == deviation[1]);
    process_free(once);
    process_free(slowly);
}

static double error_of_unseen(struct process *p)
{
    double sum = 0;
    process_learn(p, codes, outcomes, ROWS / 2);
    for (size_t i = ROWS / 2; i < ROWS; i++) {
        double mean, deviation;
        process_ask(p, codes, codes + i * 8, &mean, &deviation);
        sum += (mean - outcomes[i]) * (mean - outcomes[i]);
    }
    return sqrt(sum / (ROWS - ROWS / 2.0));
}

static void tuning_finds_what_matters(void **state)
{
    struct process *p = made();
    (void)state;
    const double before = error_of_unseen(p);
    process_tune(p, codes, outcomes, ROWS / 2);
    process_tune(p, codes, outcomes, ROWS / 2);
    assert_int_equal(p->n, 0);
    for (size_t v = 2; v < 8; v++) {
        assert_true(p->weight[v] < 0.5 * p->weight[0] && p->weight[v] < 0.5 * p->weight[1]);
    }
    assert_true(error_of_unseen(p) < 0.5 * before);
    process_free(p);
}

static void a_state_gives_the_same_answers(void **state)
{
    struct process *p = made(), *again = made();
    double mean[2], deviation[2];
    struct tl_err err = {0};
    TL_AUTO(tl_buf) buf = {0};
    (void)state;
    process_tune(p, codes, outcomes, ROWS / 2);
    process_learn(p, codes, outcomes, ROWS / 2);
    assert_int_equal(process_save(p, &buf, &err), TL_OK);
    struct tl_cursor cursor = tl_cursor_make(buf.data, buf.len);
    assert_true(process_load(again, &cursor));
    process_learn(again, codes, outcomes, ROWS / 2);
    process_ask(p, codes, codes + (ROWS - 1) * 8, &mean[0], &deviation[0]);
    process_ask(again, codes, codes + (ROWS - 1) * 8, &mean[1], &deviation[1]);
    assert_true(mean[0] == mean[1] && deviation[0] == deviation[1]);
    cursor = tl_cursor_make(buf.data, buf.len - 1);
    assert_false(process_load(again, &cursor));
    memset(buf.data, 0xff, 8); /* the share is no number */
    cursor = tl_cursor_make(buf.data, buf.len);
    assert_false(process_load(again, &cursor));
    process_free(p);
    process_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_knows_its_rows_and_is_unsure_elsewhere),
        cmocka_unit_test(rows_one_by_one_give_the_same_bits_as_at_once),
        cmocka_unit_test(tuning_finds_what_matters),
        cmocka_unit_test(a_state_gives_the_same_answers),
    };
    return cmocka_run_group_tests(tests, make_rows, NULL);
}
