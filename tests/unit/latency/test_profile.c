/* Profiles of the shipped families. */
#include "alloc_fail.h"
#include "latency/latency.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct network net;

static uint64_t macs_of(const struct net_family *family, const struct net_pick *pick)
{
    struct net_cost cost;

    assert_int_equal(net_build(family, pick, &net, NULL), TL_OK);
    net_cost_total(&net, &cost);
    return cost.macs;
}

static size_t count_blocks(const struct lat_profile *profile)
{
    size_t n = 0;

    for (size_t i = 0; i < profile->n; i++) {
        n += profile->items[i].is_block;
    }
    return n;
}

static bool has_key(const struct lat_profile *profile, const char *key)
{
    size_t n = 0;

    for (size_t i = 0; i < profile->n; i++) {
        n += strcmp(profile->items[i].key, key) == 0;
    }
    return n == 1;
}

static void once_for_all_has_93_blocks_at_a_resolution(void **state)
{
    (void)state;
    TL_AUTO(lat_profile) profile = {0};
    const struct net_family *family = net_family_get("ofa-mbv3-w1.0");

    /* stem, first block, head, and in each of five stages nine choices for slot 0 and nine for the others */
    assert_int_equal(lat_profile_make(family, 224, 0, 1, &profile, NULL), TL_OK);
    assert_int_equal(profile.n, 93);
    assert_int_equal(count_blocks(&profile), 93);
}

static void every_block_of_any_network_is_in_the_profile_once(void **state)
{
    (void)state;
    for (size_t f = 0; f < net_family_count(); f++) {
        TL_AUTO(lat_profile) profile = {0};
        TL_AUTO(lat_profile) others = {0};
        const struct net_family *family = net_family_at(f);
        const unsigned resolution = family->resolutions[family->n_resolutions / 2];
        assert_int_equal(lat_profile_make(family, resolution, 0, 1, &profile, NULL), TL_OK);
        assert_int_equal(lat_profile_make(family, resolution, 30, 2, &others, NULL), TL_OK);
        for (size_t i = 0; i < others.n; i++) {
            assert_int_equal(net_build(family, &others.items[i].pick, &net, NULL), TL_OK);
            for (size_t b = 0; b < net.n_blocks; b++) {
                char key[NET_KEY_MAX];
                net_block_key(&net, b, key);
                assert_true(has_key(&profile, key));
            }
        }
    }
}

static void a_block_item_names_its_block(void **state)
{
    (void)state;
    TL_AUTO(lat_profile) profile = {0};
    const struct net_family *family = net_family_get("nasbench-macro");

    assert_int_equal(lat_profile_make(family, 32, 3, 1, &profile, NULL), TL_OK);
    for (size_t i = 0; i < profile.n; i++) {
        const struct lat_profile_item *item = &profile.items[i];
        char key[NET_KEY_MAX] = "";
        assert_int_equal(net_build(family, &item->pick, &net, NULL), TL_OK);
        if (item->is_block) {
            net_block_key(&net, item->block, key);
        }
        assert_string_equal(key, item->key);
    }
}

static void the_anchor_is_the_smallest_network_and_all_last_the_largest(void **state)
{
    (void)state;
    for (size_t f = 0; f < net_family_count(); f++) {
        TL_AUTO(lat_profile) profile = {0};
        const struct net_family *family = net_family_at(f);
        const unsigned resolution = family->resolutions[0];
        struct net_pick anchor;
        uint64_t most = 0;
        lat_anchor_pick(family, resolution, &anchor);
        const uint64_t least = macs_of(family, &anchor);
        assert_int_equal(lat_profile_make(family, resolution, 40, 3, &profile, NULL), TL_OK);
        for (size_t i = 0; i < profile.n; i++) {
            const uint64_t macs = macs_of(family, &profile.items[i].pick);
            assert_true(macs >= least);
            most = macs > most ? macs : most;
        }
        struct net_pick largest;
        net_family_extreme(family, resolution, true, &largest);
        assert_true(most == macs_of(family, &largest));
    }
}

static int compare_macs(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void networks_come_twice_and_spread_evenly_over_their_macs(void **state)
{
    (void)state;
    enum { N = 40 };
    TL_AUTO(lat_profile) profile = {0};
    const struct net_family *family = net_family_get("ofa-mbv3-w1.0");
    uint64_t macs[2][N];

    assert_int_equal(lat_profile_make(family, 224, N, 5, &profile, NULL), TL_OK);
    assert_int_equal(profile.n, 93 + 2 * N);
    for (size_t i = 0; i < N; i++) {
        macs[0][i] = macs_of(family, &profile.items[i].pick);
        macs[1][i] = macs_of(family, &profile.items[93 + N + i].pick);
    }
    assert_memory_not_equal(macs[0], macs[1], sizeof macs[0]);
    qsort(macs[0], N, sizeof macs[0][0], compare_macs);
    qsort(macs[1], N, sizeof macs[1][0], compare_macs);
    assert_memory_equal(macs[0], macs[1], sizeof macs[0]);
    const double step = (double)(macs[0][N - 1] - macs[0][0]) / (N - 1);
    for (size_t i = 1; i < N; i++) {
        const double gap = (double)(macs[0][i] - macs[0][i - 1]) / step;
        assert_true(gap > 0.2 && gap < 2);
    }
}

static void a_small_family_gives_the_networks_it_has(void **state)
{
    (void)state;
    TL_AUTO(lat_profile) profile = {0};
    struct net_family family = *net_family_get("nasbench-macro");

    family.n_stages = 1;
    family.stages[0].n_slots = 2; /* 9 networks */
    assert_int_equal(lat_profile_make(&family, 32, 50, 1, &profile, NULL), TL_OK);
    assert_int_equal(profile.n - count_blocks(&profile), 18);
}

static void the_same_seed_gives_the_same_profile(void **state)
{
    (void)state;
    TL_AUTO(lat_profile) a = {0};
    TL_AUTO(lat_profile) b = {0};
    TL_AUTO(lat_profile) c = {0};
    const struct net_family *family = net_family_get("ofa-mbv3-w1.2");

    assert_int_equal(lat_profile_make(family, 192, 12, 7, &a, NULL), TL_OK);
    assert_int_equal(lat_profile_make(family, 192, 12, 7, &b, NULL), TL_OK);
    assert_int_equal(lat_profile_make(family, 192, 12, 8, &c, NULL), TL_OK);
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n; i++) {
        assert_memory_equal(&a.items[i].pick, &b.items[i].pick, sizeof a.items[i].pick);
    }
    assert_memory_not_equal(&a.items[1].pick, &c.items[1].pick, sizeof a.items[1].pick);
}

static void jobs_take_every_item_in_order_and_never_mix(void **state)
{
    (void)state;
    TL_AUTO(lat_profile) profile = {0};

    assert_int_equal(lat_profile_make(net_family_get("ofa-mbv3-w1.0"), 224, 10, 1, &profile, NULL), TL_OK);
    for (size_t first = 0; first < profile.n;) {
        enum lat_job_kind kind;
        const size_t n = lat_profile_job(&profile, first, &kind);
        assert_true(n >= 1 && n <= lat_protocol_default(kind).items && first + n <= profile.n);
        for (size_t i = first; i < first + n; i++) {
            assert_int_equal(profile.items[i].is_block, kind == LAT_PROFILE_BLOCKS);
        }
        first += n;
    }
}

static void a_resolution_that_is_none_is_refused(void **state)
{
    (void)state;
    struct lat_profile profile = {0};
    struct tl_err err = {0};

    assert_int_equal(lat_profile_make(net_family_get("ofa-mbv3-w1.0"), 225, 3, 1, &profile, &err), TL_INVALID);
    assert_int_equal(lat_profile_make(net_family_get("ofa-mbv3-w1.0"), 65536 + 224, 3, 1, &profile, NULL), TL_INVALID);
    assert_null(profile.items);
}

static enum tl_rc make_one(void *ctx, struct tl_err *err)
{
    (void)ctx;
    TL_AUTO(lat_profile) profile = {0};
    return lat_profile_make(net_family_get("nasbench-macro"), 32, 3, 1, &profile, err);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(make_one, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_for_all_has_93_blocks_at_a_resolution),
        cmocka_unit_test(every_block_of_any_network_is_in_the_profile_once),
        cmocka_unit_test(a_block_item_names_its_block),
        cmocka_unit_test(the_anchor_is_the_smallest_network_and_all_last_the_largest),
        cmocka_unit_test(networks_come_twice_and_spread_evenly_over_their_macs),
        cmocka_unit_test(a_small_family_gives_the_networks_it_has),
        cmocka_unit_test(the_same_seed_gives_the_same_profile),
        cmocka_unit_test(jobs_take_every_item_in_order_and_never_mix),
        cmocka_unit_test(a_resolution_that_is_none_is_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
