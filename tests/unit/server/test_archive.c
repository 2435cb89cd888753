/* Archives: what stays is what no other dominates, bytes lead back or are refused, building is a function of its arguments,
 * and other models value the old members again. */
#include "alloc_fail.h"
#include "server/accuracy.h"
#include "server/archive_pool.h"
#include "server/builtin.h"
#include "server/space_of_family.h"
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SPACE_NAME[] = "ofa-mbv3-w1.0";

enum { POOL = 600, BUDGET = 6000 };

/* The shipped accuracy model, and costs; no latency. */
struct world {
    struct accuracy_model *accuracy;
    struct evaluator *evaluator;
};

static void load_accuracy(struct accuracy_model **ret)
{
    struct tl_err err = {0};

    for (size_t i = 0; i < builtin_models_count; i++) {
        const struct builtin_model *model = &builtin_models[i];
        if (strcmp(model->kind, "accuracy") == 0 && strcmp(model->space, SPACE_NAME) == 0) {
            assert_int_equal(accuracy_load(model->data, model->n, ret, &err), TL_OK);
        }
    }
    assert_non_null(*ret);
}

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct tl_err err = {0};

    assert_non_null(w);
    load_accuracy(&w->accuracy);
    assert_int_equal(evaluator_new(net_family_get(SPACE_NAME), w->accuracy, NULL, 1, &w->evaluator, &err), TL_OK);
    *state = w;
    return 0;
}

static int drop_world(void **state)
{
    struct world *w = *state;

    evaluator_free(w->evaluator);
    accuracy_free(w->accuracy);
    free(w);
    return 0;
}

/* ---- the pool ------------------------------------------------------------------------------------------------ */

static void fill_pool(struct archive_pool *pool, const struct evaluator *evaluator, uint64_t seed)
{
    const struct space *space = evaluator_space(evaluator);
    struct tl_rng rng;

    tl_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; i < POOL; i++) {
        uint8_t arch[SPACE_VARIABLES_MAX];
        double values[SEARCH_METRICS_MAX];
        space_sample(space, &rng, arch);
        space_canonical(space, arch);
        for (size_t m = 0; m < SEARCH_METRICS_MAX; m++) {
            values[m] = tl_rng_below(&rng, 40); /* coarse: values are often equal */
        }
        archive_pool_add(pool, arch, values);
    }
}

/* Does a member stand on the front of accuracy against a and b? By the definition. */
static bool on_front(const struct archive_pool *pool, size_t i, enum metric a, enum metric b)
{
    const double *own = pool->values + i * SEARCH_METRICS_MAX;

    for (size_t j = 0; j < pool->n; j++) {
        const double *other = pool->values + j * SEARCH_METRICS_MAX;
        const bool as_good = other[a] <= own[a] && other[b] <= own[b] && other[METRIC_ACCURACY] >= own[METRIC_ACCURACY];
        const bool better = other[a] < own[a] || other[b] < own[b] || other[METRIC_ACCURACY] > own[METRIC_ACCURACY];
        if (as_good && better) {
            return false;
        }
    }
    return true;
}

static bool wanted(const struct archive_pool *pool, size_t i)
{
    bool any = false;

    for (size_t a = 0; a < pool->n_costs; a++) {
        for (size_t b = a; b < pool->n_costs; b++) {
            any = any || on_front(pool, i, pool->costs[a], pool->costs[b]);
        }
    }
    return any;
}

/* Every front keeps its values: what left is matched, in the costs of a front it was on, by a member that stayed. */
static void what_is_on_a_front_stays_and_nothing_else(void **state)
{
    const struct world *w = *state;
    struct archive_pool all, kept;
    struct tl_err err = {0};

    assert_int_equal(archive_pool_init(&all, w->evaluator, POOL, &err), TL_OK);
    assert_int_equal(archive_pool_init(&kept, w->evaluator, POOL, &err), TL_OK);
    fill_pool(&all, w->evaluator, 1);
    fill_pool(&kept, w->evaluator, 1);
    archive_pool_reduce(&kept, POOL);
    assert_true(kept.n > 3 && kept.n < POOL);
    for (size_t i = 0; i < kept.n; i++) {
        assert_true(wanted(&kept, i));
        assert_true(i == 0 || memcmp(kept.genes + (i - 1) * kept.width, kept.genes + i * kept.width, kept.width) < 0);
    }
    for (size_t i = 0; i < all.n; i++) {
        for (size_t a = 0; a < all.n_costs; a++) {
            const enum metric cost = all.costs[a];
            bool matched = !on_front(&all, i, cost, cost);
            const double *own = all.values + i * SEARCH_METRICS_MAX;
            for (size_t j = 0; j < kept.n && !matched; j++) {
                const double *other = kept.values + j * SEARCH_METRICS_MAX;
                matched = other[cost] == own[cost] && other[METRIC_ACCURACY] == own[METRIC_ACCURACY];
            }
            assert_true(matched);
        }
    }
    archive_pool_done(&all);
    archive_pool_done(&kept);
}

static void a_full_pool_keeps_the_fronts_of_one_cost(void **state)
{
    const struct world *w = *state;
    struct archive_pool all, few;
    struct tl_err err = {0};

    assert_int_equal(archive_pool_init(&all, w->evaluator, POOL, &err), TL_OK);
    assert_int_equal(archive_pool_init(&few, w->evaluator, 2 * POOL, &err), TL_OK);
    fill_pool(&all, w->evaluator, 2);
    fill_pool(&few, w->evaluator, 2);
    fill_pool(&few, w->evaluator, 2); /* everything twice */
    archive_pool_reduce(&all, POOL);
    archive_pool_reduce(&few, 30);
    assert_true(all.n > 30 && few.n <= 30);
    for (size_t a = 0; a < few.n_costs; a++) {
        double best = 0, best_all = 0;
        for (size_t i = 0; i < few.n; i++) {
            best = fmax(best, few.values[i * SEARCH_METRICS_MAX + METRIC_ACCURACY]);
        }
        for (size_t i = 0; i < all.n; i++) {
            best_all = fmax(best_all, all.values[i * SEARCH_METRICS_MAX + METRIC_ACCURACY]);
        }
        assert_true(best == best_all);
    }
    archive_pool_done(&all);
    archive_pool_done(&few);
}

/* ---- building ------------------------------------------------------------------------------------------------ */

static struct archive *build(struct evaluator *evaluator, const struct archive *old, uint64_t budget, uint64_t step)
{
    struct archive_build *building = NULL;
    struct archive *archive = NULL;
    struct tl_err err = {0};
    bool done = false;

    assert_int_equal(archive_build_new(evaluator, old, budget, &building, &err), TL_OK);
    while (!done) {
        assert_int_equal(archive_build_step(building, step, &done, &err), TL_OK);
    }
    assert_true(archive_build_valued(building) && archive_build_evaluations(building) >= budget);
    assert_int_equal(archive_build_get(building, &archive, &err), TL_OK);
    archive_build_free(building);
    return archive;
}

static void bytes_of(const struct archive *archive, struct tl_buf *buf)
{
    struct tl_err err = {0};

    buf->max = 16 << 20;
    assert_int_equal(archive_save(archive, buf, &err), TL_OK);
}

static void assert_same(const struct archive *a, const struct archive *b)
{
    TL_AUTO(tl_buf) x = {0}, y = {0};

    bytes_of(a, &x);
    bytes_of(b, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
}

/* The values of a member by the evaluator at hand. */
static void check_values(struct evaluator *evaluator, const struct archive *archive)
{
    for (size_t i = 0; i < archive_count(archive); i++) {
        struct archive_member member;
        struct metric_value values[COLUMNS_MAX];
        uint8_t arch[SPACE_VARIABLES_MAX];
        archive_at(archive, i, &member);
        assert_true(evaluator_narrow_arch(evaluator, member.genes, arch));
        evaluator_describe(evaluator, arch, values);
        for (size_t m = 0; m < METRIC_COUNT; m++) {
            assert_true(values[m].value == member.values[m] || (isnan(values[m].value) && isnan(member.values[m])));
        }
        assert_true(values[METRIC_ACCURACY].half_width == member.accuracy_half_width);
    }
}

static void steps_do_not_show(void **state)
{
    const struct world *w = *state;
    struct archive *whole = build(w->evaluator, NULL, BUDGET, UINT64_MAX);
    struct archive *pieces = build(w->evaluator, NULL, BUDGET, 130);

    assert_true(archive_count(whole) > 100);
    assert_same(whole, pieces);
    check_values(w->evaluator, whole);
    archive_free(whole);
    archive_free(pieces);
}

/* The most accurate of 200 drawn at random that take at most so many MACs. */
static double best_drawn(struct evaluator *evaluator, double macs)
{
    struct metric_value values[COLUMNS_MAX];
    struct tl_rng rng;
    double best = 0;

    tl_rng_init(&rng, 5, 0, 0);
    for (int i = 0; i < 200; i++) {
        uint8_t arch[SPACE_VARIABLES_MAX];
        space_sample(evaluator_space(evaluator), &rng, arch);
        space_canonical(evaluator_space(evaluator), arch);
        evaluator_describe(evaluator, arch, values);
        best = values[METRIC_MACS].value <= macs ? fmax(best, values[METRIC_ACCURACY].value) : best;
    }
    return best;
}

/* The most accurate within every share of what MACs reach; a search begins with that one. */
static void limits_are_answered_and_searches_start_there(void **state)
{
    const struct world *w = *state;
    struct archive *archive = build(w->evaluator, NULL, BUDGET, UINT64_MAX);
    struct metric_range ranges[COLUMNS_MAX];
    double before = 0;

    evaluator_ranges(w->evaluator, ranges);
    for (int i = 1; i <= 10; i++) {
        const double share = i / 10.0, span = ranges[METRIC_MACS].max - ranges[METRIC_MACS].min;
        struct search_spec spec = {.objective = METRIC_ACCURACY,
                                   .maximize = true,
                                   .n_front = 1,
                                   .front = {METRIC_ACCURACY},
                                   .n_limits = 1,
                                   .limits = {{METRIC_MACS, false, ranges[METRIC_MACS].min + share * span}},
                                   .budget_evaluations = 400};
        struct archive_member best;
        uint32_t starts[SEARCH_STARTS_MAX];
        struct tl_err err = {0};
        bool found = false;
        size_t at = 0, n = 0;
        assert_int_equal(archive_best(archive, &spec, &found, &at, &err), TL_OK);
        assert_true(found);
        archive_at(archive, at, &best);
        assert_true(best.values[METRIC_MACS] <= spec.limits[0].bound);
        assert_true(best.values[METRIC_ACCURACY] >= before);
        assert_true(best.values[METRIC_ACCURACY] > best_drawn(w->evaluator, spec.limits[0].bound));
        before = best.values[METRIC_ACCURACY];
        assert_int_equal(archive_starts(archive, &spec, starts, &n, &err), TL_OK);
        assert_true(n > 50 && n < 400 / 3 && starts[0] == at);
        spec.limits[0].bound = ranges[METRIC_MACS].min / 2;
        assert_int_equal(archive_best(archive, &spec, &found, &at, &err), TL_OK);
        assert_false(found);
    }
    archive_free(archive);
}

/* With the same models the same is valued to the same bytes; with a budget members are added. */
static void other_models_value_the_old_members_again(void **state)
{
    const struct world *w = *state;
    struct archive *old = build(w->evaluator, NULL, BUDGET, UINT64_MAX);
    struct archive *same = build(w->evaluator, old, 1, UINT64_MAX);
    struct evaluator *costs = NULL;
    struct accuracy_model *again = NULL;
    struct tl_err err = {0};

    assert_same(old, same);
    load_accuracy(&again);
    assert_int_equal(evaluator_new(net_family_get(SPACE_NAME), again, NULL, 1, &costs, &err), TL_OK);
    struct archive *refined = build(costs, old, BUDGET, 700);
    check_values(costs, refined);
    assert_true(archive_count(refined) > archive_count(old));
    archive_free(old);
    archive_free(same);
    archive_free(refined);
    evaluator_free(costs);
    accuracy_free(again);
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */

static void bytes_lead_back_and_are_distrusted(void **state)
{
    const struct world *w = *state;
    const struct space *space = evaluator_full_space(w->evaluator);
    struct archive *archive = build(w->evaluator, NULL, 2500, UINT64_MAX), *back = NULL;
    struct space *other = calloc(1, sizeof(*other));
    struct tl_err err = {0};
    TL_AUTO(tl_buf) bytes = {0};
    const size_t head = 4 + sizeof(space->id.bytes) + 4, member = space->n_variables + 8 * (METRIC_COUNT + 1);

    bytes_of(archive, &bytes);
    assert_int_equal(archive_load(bytes.data, bytes.len, space, &back, &err), TL_OK);
    assert_same(archive, back);
    archive_free(back);
    back = NULL;
    assert_int_equal(space_of_family(net_family_get("ofa-mbv3-w1.2"), other, &err), TL_OK);
    assert_int_equal(archive_load(bytes.data, bytes.len, other, &back, NULL), TL_MALFORMED);
    for (size_t n = 0; n < bytes.len; n += n < head ? 1 : 97) {
        assert_int_equal(archive_load(bytes.data, n, space, &back, NULL), TL_MALFORMED);
    }
    uint8_t *at = (uint8_t *)bytes.data;
    uint8_t saved[512];
    assert_true(member < sizeof(saved));
    memcpy(saved, at + head, member);
    memcpy(at + head, at + head + member, member); /* twice */
    assert_int_equal(archive_load(bytes.data, bytes.len, space, &back, NULL), TL_MALFORMED);
    memcpy(at + head, saved, member);
    at[head] = 200; /* no such option */
    assert_int_equal(archive_load(bytes.data, bytes.len, space, &back, NULL), TL_MALFORMED);
    memcpy(at + head, saved, member);
    memset(at + head + space->n_variables + 8 * METRIC_ACCURACY, 0xff, 8); /* an accuracy that is no number */
    assert_int_equal(archive_load(bytes.data, bytes.len, space, &back, NULL), TL_MALFORMED);
    assert_null(back);
    archive_free(archive);
    free(other);
}

struct scenario {
    struct evaluator *evaluator;
    const struct archive *old;
};

static enum tl_rc build_save_and_load(void *ctx, struct tl_err *err)
{
    const struct scenario *s = ctx;
    struct archive_build *building = NULL;
    struct archive *archive = NULL, *back = NULL;
    struct search_spec spec = {.maximize = true,
                               .objective = METRIC_ACCURACY,
                               .n_front = 1,
                               .front = {METRIC_ACCURACY},
                               .budget_evaluations = 1000};
    uint32_t starts[SEARCH_STARTS_MAX];
    TL_AUTO(tl_buf) bytes = {.max = 16 << 20};
    size_t n = 0;
    bool done = false;
    enum tl_rc rc = archive_build_new(s->evaluator, s->old, archive_count(s->old) + 50, &building, err);

    while (!rc && !done) {
        rc = archive_build_step(building, UINT64_MAX, &done, err);
    }
    rc = rc ? rc : archive_build_get(building, &archive, err);
    rc = rc ? rc : archive_save(archive, &bytes, err);
    rc = rc ? rc : archive_load(bytes.data, bytes.len, evaluator_full_space(s->evaluator), &back, err);
    rc = rc ? rc : archive_starts(back, &spec, starts, &n, err);
    archive_build_free(building);
    archive_free(archive);
    archive_free(back);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    const struct world *w = *state;
    struct archive *old = build(w->evaluator, NULL, 60, UINT64_MAX);

    (void)alloc_fail_each(build_save_and_load, &(struct scenario){w->evaluator, old});
    archive_free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_on_a_front_stays_and_nothing_else),
        cmocka_unit_test(a_full_pool_keeps_the_fronts_of_one_cost),
        cmocka_unit_test(steps_do_not_show),
        cmocka_unit_test(limits_are_answered_and_searches_start_there),
        cmocka_unit_test(other_models_value_the_old_members_again),
        cmocka_unit_test(bytes_lead_back_and_are_distrusted),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, make_world, drop_world);
}
