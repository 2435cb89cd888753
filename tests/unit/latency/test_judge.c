/* Visits made up here: what is stable, what is refused, and what a verification promises. */
#include "base/model/model.h"
#include "latency/latency.h"

#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { ROUNDS = 12, RUNS = 9 };

/* A visit in which the machine slows down and recovers; the item takes `ratio` of the anchor. */
struct made_visit {
    uint16_t item_n[ROUNDS], anchor_n[ROUNDS + 1];
    int64_t item_ns[ROUNDS * RUNS], anchor_ns[(ROUNDS + 1) * RUNS];
    struct lat_visit visit;
};

static double slowness(double round)
{
    return 1 + 0.5 * sin(round / 3);
}

/* `noise`: relative standard deviation of an item's whole block. */
static void make_visit(struct made_visit *made, double ratio, double noise, uint64_t seed)
{
    struct tl_rng rng;

    tl_rng_init(&rng, seed, 0, 0);
    for (size_t r = 0; r <= ROUNDS; r++) {
        made->anchor_n[r] = RUNS;
        const double block = 1 + noise * tl_rng_normal(&rng);
        for (size_t i = 0; i < RUNS; i++) {
            made->anchor_ns[r * RUNS + i] = (int64_t)(3e6 * slowness((double)r) * (1 + 0.01 * tl_rng_unit(&rng)));
            if (r < ROUNDS) {
                made->item_n[r] = RUNS;
                made->item_ns[r * RUNS + i] =
                    (int64_t)(3e6 * ratio * slowness((double)r + 0.5) * block * (1 + 0.01 * tl_rng_unit(&rng)));
            }
        }
    }
    made->visit = (struct lat_visit){.rounds = ROUNDS,
                                     .item_n = made->item_n,
                                     .item_ns = made->item_ns,
                                     .anchor_n = made->anchor_n,
                                     .anchor_ns = made->anchor_ns,
                                     .others_cpu = NAN,
                                     .steal = NAN,
                                     .khz_before = NAN,
                                     .khz_after = NAN};
}

static void a_machine_that_slows_down_gives_a_stable_ratio(void **state)
{
    (void)state;
    struct made_visit made;
    struct lat_verdict verdict;

    make_visit(&made, 2.5, 0, 1);
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_STABLE);
    assert_int_equal(verdict.n_ratios, ROUNDS);
    assert_true(fabs(verdict.ratio / 2.5 - 1) < 0.01);
    assert_true(verdict.spread < 0.02);
    assert_true(verdict.p90_ms > verdict.median_ms * 1.1); /* the raw times spread all the same */
    assert_string_equal(lat_reason_text(verdict.reason), "");
}

static void ratios_that_spread_are_noisy(void **state)
{
    (void)state;
    struct made_visit made;
    struct lat_verdict verdict;

    make_visit(&made, 2.5, 0.2, 2);
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_NOISY);
    assert_true(verdict.spread > LAT_SPREAD_MAX);
    assert_string_equal(lat_reason_text(verdict.reason), "noisy");
}

/* Multiply the runs of each item block. */
static void scale_blocks(struct made_visit *made, double (*factor)(size_t round))
{
    for (size_t i = 0; i < (size_t)ROUNDS * RUNS; i++) {
        made->item_ns[i] = (int64_t)((double)made->item_ns[i] * factor(i / RUNS));
    }
}

static double warming(size_t round)
{
    return 1 + 0.03 * (double)round;
}

static double two_states(size_t round)
{
    return round * 5 % 3 == 0 ? 1.4 : 1;
}

static void what_is_seen_explains_the_spread(void **state)
{
    (void)state;
    struct made_visit made;
    struct lat_verdict verdict;

    make_visit(&made, 1, 0, 6);
    scale_blocks(&made, warming);
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_DRIFT);
    made.visit.khz_before = 2e6;
    made.visit.khz_after = 1.9e6;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_DRIFT);
    made.visit.khz_after = 1.2e6;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_THROTTLED);
    made.visit.steal = 0.03;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_LOADED);
    make_visit(&made, 1, 0.03, 6);
    scale_blocks(&made, two_states);
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_BIMODAL);
}

static void a_reason_alone_condemns_nothing(void **state)
{
    (void)state;
    struct made_visit made;
    struct lat_verdict verdict;

    make_visit(&made, 1, 0, 7);
    made.visit.others_cpu = 3;
    made.visit.khz_before = 2e6;
    made.visit.khz_after = 1e6;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_STABLE);
}

/* Of noise without shape or cause few visits are said to have one. */
static void noise_is_called_noise(void **state)
{
    (void)state;
    enum { VISITS = 400 };
    size_t noisy = 0, unstable = 0;

    for (uint64_t seed = 0; seed < VISITS; seed++) {
        struct made_visit made;
        struct lat_verdict verdict;
        make_visit(&made, 1, 0.1, 100 + seed);
        assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
        unstable += verdict.reason != LAT_STABLE;
        noisy += verdict.reason == LAT_NOISY;
    }
    assert_true(unstable > VISITS * 9 / 10);
    assert_true((double)noisy / (double)unstable > 0.9);
}

static void a_summary_is_of_the_raw_runs(void **state)
{
    (void)state;
    int64_t ns[100];
    uint16_t item_n[4] = {25, 25, 25, 25};
    struct lat_visit visit = {.rounds = 4, .item_n = item_n, .item_ns = ns};
    struct lat_summary summary;

    for (size_t i = 0; i < 100; i++) {
        ns[i] = (int64_t)((i * 37 % 100 + 1) * 1000000); /* 1..100 ms in some order */
    }
    assert_int_equal(lat_summarise(&visit, &summary, NULL), TL_OK);
    assert_true(summary.n == 100 && summary.min_ms == 1 && summary.median_ms == 50.5 && summary.mad_ms == 25);
    assert_true(fabs(summary.p90_ms - 90.1) < 1e-9);
    /* P(Binomial(100, 1/2) < 59) = 0.9557 and < 58 0.9334; P(Binomial(100, 0.9) < 96) = 0.9763 and < 95 0.9424 */
    assert_true(summary.median_upper_ms == 59 && summary.median_lower_ms == 42 && summary.p90_upper_ms == 96);
    item_n[0] = item_n[1] = item_n[2] = item_n[3] = 3;
    assert_int_equal(lat_summarise(&visit, &summary, NULL), TL_OK);
    assert_true(summary.n == 12 && isnan(summary.p90_upper_ms) && isfinite(summary.median_upper_ms));
}

static void one_slow_run_in_a_block_changes_nothing(void **state)
{
    (void)state;
    struct made_visit made;
    struct lat_verdict before, after;

    make_visit(&made, 1, 0, 3);
    assert_int_equal(lat_judge(&made.visit, &before, NULL), TL_OK);
    for (size_t r = 0; r < ROUNDS; r++) {
        made.item_ns[r * RUNS + r % RUNS] *= 50;
    }
    assert_int_equal(lat_judge(&made.visit, &after, NULL), TL_OK);
    assert_int_equal(after.reason, LAT_STABLE);
    assert_true(fabs(after.ratio / before.ratio - 1) < 0.01);
}

static void a_block_of_two_runs_is_short(void **state)
{
    (void)state;
    struct made_visit made;
    struct lat_verdict verdict;

    make_visit(&made, 1, 0, 4);
    made.item_n[ROUNDS - 1] = LAT_RUNS_MIN - 1;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_SHORT);
    assert_string_equal(lat_reason_text(verdict.reason), "short");
}

static void a_mean_stands_for_many_runs_and_tells_no_quantile(void **state)
{
    (void)state;
    struct made_visit made;
    struct lat_verdict verdict;

    make_visit(&made, 2, 0, 6);
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_true(verdict.p90_ms >= verdict.median_ms);
    for (size_t r = 0; r <= ROUNDS; r++) {
        made.anchor_n[r] = 1;
        made.anchor_ns[r] = 3000000;
        if (r < ROUNDS) {
            made.item_n[r] = 1;
            made.item_ns[r] = 6000000;
        }
    }
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_SHORT);
    made.visit.means = true;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
    assert_int_equal(verdict.reason, LAT_STABLE);
    assert_true(verdict.ratio == 2 && verdict.median_ms == 6 && isnan(verdict.p90_ms));
}

static void impossible_visits_are_refused(void **state)
{
    (void)state;
    struct made_visit made;
    struct lat_verdict verdict = {.ratio = 7};
    struct tl_err err = {0};

    make_visit(&made, 1, 0, 5);
    made.visit.rounds = LAT_ROUNDS_MIN - 1;
    assert_int_equal(lat_judge(&made.visit, &verdict, &err), TL_INVALID);
    made.visit.rounds = LAT_ROUNDS_MAX + 1;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_INVALID);
    made.visit.rounds = ROUNDS;
    made.anchor_n[3] = 0;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_INVALID);
    made.anchor_n[3] = LAT_RUNS_MAX + 1;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_INVALID);
    made.anchor_n[3] = RUNS;
    made.item_ns[5] = LAT_NS_MIN - 1;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_INVALID);
    made.item_ns[5] = LAT_NS_MAX + 1;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_INVALID);
    made.item_ns[5] = LAT_NS_MAX;
    assert_int_equal(lat_judge(&made.visit, &verdict, NULL), TL_OK);
}

static void the_reference_is_the_lower_quartile_of_the_first_visits_for_ever(void **state)
{
    (void)state;
    const double anchors_ms[] = {3.4, 3.0, 3.2, 3.1, 9.0, 3.3, 3.6, 3.5, 0.1, 0.1, 0.1};

    assert_true(lat_reference(anchors_ms, LAT_REFERENCE_VISITS - 1) == 0);
    /* sorted: 3.0 3.1 3.2 3.3 3.4 3.5 3.6 9.0; a quarter of the way over seven steps is 1.75 */
    assert_true(fabs(lat_reference(anchors_ms, LAT_REFERENCE_VISITS) - 3.175) < 1e-12);
    assert_true(lat_reference(anchors_ms, TL_COUNT_OF(anchors_ms)) == lat_reference(anchors_ms, 8));
}

static void a_bound_needs_two_visits_and_twenty_blocks(void **state)
{
    (void)state;
    double ratios[LAT_VERIFY_BLOCKS];
    struct lat_verification verification;

    for (size_t i = 0; i < LAT_VERIFY_BLOCKS; i++) {
        ratios[i] = 2;
    }
    lat_verify(ratios, LAT_VERIFY_BLOCKS, 1, 3, 100, &verification);
    assert_false(verification.enough || verification.holds);
    assert_true(verification.upper_ms == HUGE_VAL && verification.median_ms == 6);
    lat_verify(ratios, LAT_VERIFY_BLOCKS - 1, 2, 3, 100, &verification);
    assert_false(verification.enough);
    lat_verify(ratios, 0, 0, 3, 100, &verification);
    assert_false(verification.enough);
    lat_verify(ratios, LAT_VERIFY_BLOCKS, 2, 3, 100, &verification);
    assert_true(verification.enough && verification.holds);
}

static void the_bound_is_an_order_statistic(void **state)
{
    (void)state;
    double ratios[20];
    struct lat_verification verification;

    for (size_t i = 0; i < 20; i++) {
        ratios[i] = (double)((i * 7) % 20 + 1); /* 1..20 in some order */
    }
    /* P(Binomial(20, 1/2) < k) >= 0.95 first at k = 15: 0.9793 (at 14: 0.9423) */
    lat_verify(ratios, 20, 2, 0.5, 7.5, &verification);
    assert_true(verification.median_ms == 10.5 * 0.5);
    assert_true(verification.upper_ms == 15 * 0.5);
    assert_true(verification.holds);
    lat_verify(ratios, 20, 2, 0.5, 7.49, &verification);
    assert_true(verification.enough && !verification.holds);
}

static void the_bound_covers_the_true_median_as_often_as_it_promises(void **state)
{
    (void)state;
    enum { TRIALS = 2000, N = 24 };
    struct tl_rng rng;
    size_t covered = 0;

    tl_rng_init(&rng, 11, 0, 0);
    for (size_t t = 0; t < TRIALS; t++) {
        double ratios[N];
        struct lat_verification verification;
        for (size_t i = 0; i < N; i++) {
            ratios[i] = exp(0.3 * tl_rng_normal(&rng)); /* skewed, median 1 */
        }
        lat_verify(ratios, N, 2, 1, HUGE_VAL, &verification);
        covered += verification.upper_ms >= 1;
    }
    assert_true((double)covered / TRIALS > 0.94);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_slows_down_gives_a_stable_ratio),
        cmocka_unit_test(ratios_that_spread_are_noisy),
        cmocka_unit_test(what_is_seen_explains_the_spread),
        cmocka_unit_test(a_reason_alone_condemns_nothing),
        cmocka_unit_test(noise_is_called_noise),
        cmocka_unit_test(a_summary_is_of_the_raw_runs),
        cmocka_unit_test(one_slow_run_in_a_block_changes_nothing),
        cmocka_unit_test(a_block_of_two_runs_is_short),
        cmocka_unit_test(a_mean_stands_for_many_runs_and_tells_no_quantile),
        cmocka_unit_test(impossible_visits_are_refused),
        cmocka_unit_test(the_reference_is_the_lower_quartile_of_the_first_visits_for_ever),
        cmocka_unit_test(a_bound_needs_two_visits_and_twenty_blocks),
        cmocka_unit_test(the_bound_is_an_order_statistic),
        cmocka_unit_test(the_bound_covers_the_true_median_as_often_as_it_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
