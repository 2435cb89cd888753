/* The generator: published vectors, values computed elsewhere, and the same bits from every compiler. */
#include "base/base.h"

#include <cmocka.h>
#include <math.h>
#include <string.h>

static void the_generator_is_xoshiro256_starstar(void **state)
{
    (void)state;
    /* the published vector: state 1, 2, 3, 4 */
    struct tl_rng rng = {.s = {1, 2, 3, 4}};
    static const uint64_t expected[] = {11520U, 0U, 1509978240U, 1215971899390074240U};
    for (size_t i = 0; i < TL_COUNT_OF(expected); i++) {
        assert_true(tl_rng_u64(&rng) == expected[i]);
    }
}

static void a_seed_means_the_same_everywhere(void **state)
{
    (void)state;
    struct tl_rng rng;
    tl_rng_init(&rng, 42, 7, 9);
    /* the same formulas in Python's integers */
    assert_true(tl_rng_u64(&rng) == 0xa824a7bed2cab579U);
    assert_true(tl_rng_u64(&rng) == 0x00d18fbbd57598acU);
    assert_true(tl_rng_u64(&rng) == 0x88326ede3ce47574U);
    tl_rng_init(&rng, 42, 7, 9);
    assert_true(tl_rng_unit(&rng) == 0x1.50494f7da5956p-1);
    assert_true(tl_rng_unit(&rng) == 0x1.a31f77aaeb300p-9);
}

static void streams_of_one_seed_differ(void **state)
{
    (void)state;
    uint64_t firsts[3][8][8];
    for (uint64_t seed = 0; seed < 3; seed++) {
        for (uint64_t a = 0; a < 8; a++) {
            for (uint64_t b = 0; b < 8; b++) {
                struct tl_rng rng;
                tl_rng_init(&rng, seed, a, b);
                firsts[seed][a][b] = tl_rng_u64(&rng);
            }
        }
    }
    const uint64_t *all = &firsts[0][0][0];
    for (size_t i = 0; i < sizeof firsts / sizeof all[0]; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_true(all[i] != all[j]);
        }
    }
}

static void a_draw_below_n_is_uniform(void **state)
{
    (void)state;
    enum { N = 7, DRAWS = 70000 };
    size_t seen[N] = {0};
    struct tl_rng rng;
    tl_rng_init(&rng, 1, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        uint32_t drawn = tl_rng_below(&rng, N);
        assert_true(drawn < N);
        seen[drawn]++;
    }
    double chi2 = 0;
    for (size_t i = 0; i < N; i++) {
        double off = (double)seen[i] - (double)DRAWS / N;
        chi2 += off * off / ((double)DRAWS / N);
    }
    assert_true(chi2 < 22.5); /* 6 degrees of freedom, p = 0.001 */
}

/* With n = 3/4 of 2^32 a draw by remainder or by a plain product would favour a third of the values twice over. */
static void a_draw_below_a_huge_n_has_no_bias(void **state)
{
    (void)state;
    enum { DRAWS = 30000 };
    const uint32_t n = 0xc0000000;
    size_t thirds[3] = {0};
    struct tl_rng rng;
    tl_rng_init(&rng, 2, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        thirds[tl_rng_below(&rng, n) % 3]++;
    }
    for (size_t i = 0; i < 3; i++) {
        assert_in_range(thirds[i], 9600, 10400); /* 10000 +- 5 sigma */
    }
    assert_int_equal(tl_rng_below(&rng, 1), 0);
    for (int i = 0; i < 100; i++) {
        assert_true(tl_rng_below(&rng, UINT32_MAX) < UINT32_MAX);
    }
}

static void units_are_below_one(void **state)
{
    (void)state;
    struct tl_rng rng;
    tl_rng_init(&rng, 3, 0, 0);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double unit = tl_rng_unit(&rng);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
    }
    assert_true(fabs(sum / 10000 - 0.5) < 0.0145); /* 5 sigma */
}

static void normals_are_quantiles_of_the_draws(void **state)
{
    (void)state;
    /* statistics.NormalDist().inv_cdf of Python, on the draws of (42, 7, 9) */
    static const double expected[] = {0.4037706645642432, -2.726793325188678, 0.08034747004898318, -3.385099632107713};
    struct tl_rng rng;
    tl_rng_init(&rng, 42, 7, 9);
    for (size_t i = 0; i < TL_COUNT_OF(expected); i++) {
        assert_true(fabs(tl_rng_normal(&rng) / expected[i] - 1) < 4e-15);
    }
}

/* The smallest and the largest number a generator can give: finite, and mirror images of each other. */
static void the_tails_are_finite(void **state)
{
    (void)state;
    /* xoshiro's output is s[1] * 5 rotated by 7, times 9: s[1] = 0 gives 0 */
    struct tl_rng low = {.s = {1, 0, 0, 0}};
    assert_true(fabs(tl_rng_normal(&low) / -8.209536151601386 - 1) < 4e-15);
    /* and all ones come from (2^64-1)/9 rotated back, over 5 (both odd, so invertible modulo 2^64) */
    uint64_t ninth = 0x8e38e38e38e38e39U * UINT64_MAX;
    uint64_t back = ninth >> 7 | ninth << 57;
    struct tl_rng high = {.s = {0, back * 0xcccccccccccccccdU, 0, 0}};
    struct tl_rng copy = high;
    assert_true(tl_rng_u64(&copy) == UINT64_MAX);
    assert_true(fabs(tl_rng_normal(&high) / 8.209536151601386 - 1) < 4e-15);
}

static void normals_have_the_moments_of_a_normal(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    double sums[4] = {0};
    struct tl_rng rng;
    tl_rng_init(&rng, 4, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        double x = tl_rng_normal(&rng);
        sums[0] += x;
        sums[1] += x * x;
        sums[2] += x * x * x;
        sums[3] += x * x * x * x;
    }
    assert_true(fabs(sums[0] / DRAWS) < 0.016); /* 5 sigma each: 1, 2, 15 and 96 are the variances */
    assert_true(fabs(sums[1] / DRAWS - 1) < 0.023);
    assert_true(fabs(sums[2] / DRAWS) < 0.062);
    assert_true(fabs(sums[3] / DRAWS - 3) < 0.155);
}

static void every_compiler_draws_the_same_bits(void **state)
{
    (void)state;
    struct tl_rng rng;
    tl_rng_init(&rng, 5, 6, 7);
    double normals[10000];
    for (size_t i = 0; i < TL_COUNT_OF(normals); i++) {
        normals[i] = tl_rng_normal(&rng);
    }
    struct tl_hash hash = tl_hash_of(normals, sizeof normals);
    char text[TL_HASH_TEXT];
    tl_hash_format(&hash, text);
    /* from gcc 12 -O1; clang, other levels and other processors must agree */
    assert_string_equal(text, "3f771bc8609c98f1e5d5fad712fff621");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_xoshiro256_starstar), cmocka_unit_test(a_seed_means_the_same_everywhere),
        cmocka_unit_test(streams_of_one_seed_differ),           cmocka_unit_test(a_draw_below_n_is_uniform),
        cmocka_unit_test(a_draw_below_a_huge_n_has_no_bias),    cmocka_unit_test(units_are_below_one),
        cmocka_unit_test(normals_are_quantiles_of_the_draws),   cmocka_unit_test(the_tails_are_finite),
        cmocka_unit_test(normals_have_the_moments_of_a_normal), cmocka_unit_test(every_compiler_draws_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
