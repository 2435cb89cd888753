/* An evaluator some of whose metrics are workers': asked for a whole batch at once, never made up. */
#include "server/evaluator_worker.h"

#include "server/evaluator_table.h"

#include "alloc_fail.h"

#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { WIDTH = 3, OPTIONS = 4, ALL = OPTIONS * OPTIONS * OPTIONS };

static struct space space;
static struct tl_err err;

/* What the workers said: accuracy is the sum of the options; of what is answered. */
struct said {
    bool answered[ALL];
    uint32_t metrics;
    bool fails;
};

static void arch_at(size_t i, uint8_t arch[WIDTH])
{
    arch[0] = (uint8_t)(i / OPTIONS / OPTIONS);
    arch[1] = (uint8_t)(i / OPTIONS % OPTIONS);
    arch[2] = (uint8_t)(i % OPTIONS);
}

static size_t place_of(const struct tl_hash *id)
{
    for (size_t i = 0; i < ALL; i++) {
        uint8_t arch[WIDTH];
        arch_at(i, arch);
        const struct tl_hash other = space_arch_id(&space, arch);
        if (tl_hash_equal(id, &other)) {
            return i;
        }
    }
    fail_msg("this is no architecture of the space");
    return ALL;
}

static enum tl_rc find(void *ctx, const struct tl_hash *ids, size_t n, double *out, bool *ret_known, struct tl_err *why)
{
    const struct said *said = ctx;
    for (size_t i = 0; i < n; i++) {
        const size_t at = place_of(&ids[i]);
        uint8_t arch[WIDTH];
        arch_at(at, arch);
        ret_known[i] = said->answered[at];
        for (size_t m = 0; ret_known[i] && m < METRIC_COUNT; m++) {
            if (said->metrics >> m & 1U) {
                out[i * SEARCH_METRICS_MAX + m] = arch[0] == 3 ? (double)NAN : arch[0] + arch[1] + arch[2] + (double)m;
            }
        }
    }
    return said->fails ? tl_fail(why, TL_IO, "the disk is gone") : TL_OK;
}

static int make_space(void **state)
{
    (void)state;
    space = (struct space){.name = "made", .n_variables = WIDTH};
    for (size_t v = 0; v < WIDTH; v++) {
        space.variables[v] = (struct space_variable){.n_options = OPTIONS, .parent = -1, .group = (uint16_t)v};
        space.variables[v].name[0] = (char)('a' + v);
        for (size_t o = 0; o < OPTIONS; o++) {
            space.variables[v].labels[o][0] = (char)('0' + o);
            space.variables[v].numbers[o] = (double)o;
        }
    }
    return space_finish(&space, &err) == TL_OK ? 0 : -1;
}

static struct evaluator *bare(struct said *said)
{
    struct evaluator *evaluator = NULL;
    assert_int_equal(evaluator_new_bare(&space, &evaluator, &err), TL_OK);
    assert_int_equal(evaluator_workers_set(evaluator, &(struct worker_values){said->metrics, said, find}, &err), TL_OK);
    return evaluator;
}

/* The second and fourth are one. */
static const uint8_t BATCH[][WIDTH] = {{0, 0, 1}, {1, 2, 0}, {3, 0, 0}, {1, 2, 0}, {2, 2, 2}};

static enum tl_rc prepare(struct evaluator *evaluator)
{
    const struct search_evaluator *table = evaluator_table(evaluator);
    struct tl_err why = {0};
    return table->prepare(table->ctx, BATCH[0], WIDTH, TL_COUNT_OF(BATCH), &why);
}

static void a_batch_is_asked_for_at_once_and_each_once(void **state)
{
    struct said said = {.metrics = 1U << METRIC_ACCURACY};
    struct evaluator *evaluator = bare(&said);
    const uint8_t *missing = NULL;
    (void)state;
    said.answered[1] = true; /* 0 0 1 */
    assert_int_equal(prepare(evaluator), TL_UNAVAILABLE);
    assert_int_equal(evaluator_missing(evaluator, &missing), 3);
    assert_memory_equal(missing, BATCH[1], WIDTH);
    assert_memory_equal(missing + WIDTH, BATCH[2], WIDTH);
    assert_memory_equal(missing + 2 * (size_t)WIDTH, BATCH[4], WIDTH);
    memset(said.answered, true, sizeof said.answered);
    assert_int_equal(prepare(evaluator), TL_OK);
    assert_int_equal(evaluator_missing(evaluator, &missing), 0);
    said.fails = true;
    assert_int_equal(prepare(evaluator), TL_IO);
    assert_int_equal(evaluator_missing(evaluator, &missing), 0);
    evaluator_free(evaluator);
}

static void values_are_theirs_and_nobody_elses(void **state)
{
    struct said said = {.metrics = 1U << METRIC_ACCURACY | 1U << METRIC_PARAMS};
    struct evaluator *evaluator = bare(&said);
    const struct search_evaluator *table = evaluator_table(evaluator);
    double out[TL_COUNT_OF(BATCH) * SEARCH_METRICS_MAX];
    struct metric_value values[COLUMNS_MAX];
    struct metric_range ranges[COLUMNS_MAX];
    (void)state;
    memset(said.answered, true, sizeof said.answered);
    assert_int_equal(table->n_cheap, METRIC_PARAMS);
    assert_int_equal(table->n_rows, 0);
    assert_int_equal(table->values(table->ctx, 0, METRIC_COUNT, BATCH[0], WIDTH, TL_COUNT_OF(BATCH), out, 0, &err),
                     TL_OK);
    assert_true(out[METRIC_ACCURACY] == 1 + METRIC_ACCURACY && out[METRIC_PARAMS] == 1 + METRIC_PARAMS);
    assert_true(isnan(out[METRIC_MACS]) && isnan(out[METRIC_LATENCY_MS]));
    assert_true(isnan(out[2 * SEARCH_METRICS_MAX + METRIC_ACCURACY])); /* cannot be valued */
    assert_true(out[4 * SEARCH_METRICS_MAX + METRIC_ACCURACY] == 6 + METRIC_ACCURACY);
    assert_true(evaluator_has(evaluator, METRIC_ACCURACY) && evaluator_has(evaluator, METRIC_PARAMS));
    assert_false(evaluator_has(evaluator, METRIC_MACS));
    evaluator_describe(evaluator, BATCH[0], values);
    assert_int_equal(evaluator_describe_workers(evaluator, BATCH[0], values, &err), TL_OK);
    assert_true(values[METRIC_ACCURACY].value == 1 + METRIC_ACCURACY && isnan(values[METRIC_MACS].value));
    evaluator_ranges(evaluator, ranges);
    assert_true(isnan(ranges[METRIC_ACCURACY].min));
    evaluator_free(evaluator);
}

static void a_tables_other_columns_stay_cheap(void **state)
{
    const struct table_column columns[] = {{.metric = METRIC_MACS}, {.metric = METRIC_ACCURACY}};
    struct said said = {.metrics = 1U << METRIC_ACCURACY};
    struct value_table *table = NULL;
    struct evaluator *evaluator = NULL;
    struct metric_range ranges[COLUMNS_MAX];
    double out[SEARCH_METRICS_MAX];
    size_t twin = 0;
    (void)state;
    memset(said.answered, true, sizeof said.answered);
    assert_int_equal(value_table_new(&space, columns, 2, 1, &table, &err), TL_OK);
    assert_true(value_table_add(table, BATCH[0], (const double[]){7, 99}, &twin));
    assert_int_equal(evaluator_new_tabulated(&space, table, "", &evaluator, &err), TL_OK);
    assert_int_equal(evaluator_workers_set(evaluator, &(struct worker_values){said.metrics, &said, find}, &err), TL_OK);
    const struct search_evaluator *asked = evaluator_table(evaluator);
    assert_int_equal(asked->n_cheap, METRIC_ACCURACY);
    assert_int_equal(asked->n_rows, 1);
    assert_int_equal(asked->values(asked->ctx, 0, METRIC_COUNT, BATCH[0], WIDTH, 1, out, 0, &err), TL_OK);
    assert_true(out[METRIC_MACS] == 7 && out[METRIC_ACCURACY] == 1 + METRIC_ACCURACY); /* not the table's 99 */
    evaluator_ranges(evaluator, ranges);
    assert_true(ranges[METRIC_MACS].min == 7 && isnan(ranges[METRIC_ACCURACY].min));
    evaluator_free(evaluator);
    value_table_free(table);
}

static enum tl_rc make_and_drop(void *ctx, struct tl_err *why)
{
    struct said *said = ctx;
    struct evaluator *evaluator = NULL;
    enum tl_rc rc = evaluator_new_bare(&space, &evaluator, why);
    rc = rc ? rc : evaluator_workers_set(evaluator, &(struct worker_values){said->metrics, said, find}, why);
    evaluator_free(evaluator);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    struct said said = {.metrics = 1U << METRIC_ACCURACY};
    (void)state;
    assert_true(alloc_fail_each(make_and_drop, &said) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_asked_for_at_once_and_each_once),
        cmocka_unit_test(values_are_theirs_and_nobody_elses),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_tables_other_columns_stay_cheap),
    };
    return cmocka_run_group_tests(tests, make_space, NULL);
}
