/* evaluator_rows.c - an evaluator whose values are the rows of a table.
 */
#include "server/evaluator_table.h"
#include "server/evaluator_tables.h"
#include "server/evaluator_worker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double value_of(const struct evaluator *e, enum metric metric, size_t row)
{
    const int column = e->column_of[metric];
    return row == SIZE_MAX || column < 0 ? (double)NAN : value_table_value(e->rows, (size_t)column, row);
}

static enum tl_rc values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err)
{
    const struct evaluator *e = ctx;

    (void)thread;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const size_t row = value_table_find(e->rows, archs + i * stride);
        for (size_t m = first; m < first + n_metrics; m++) {
            out[i * SEARCH_METRICS_MAX + m] = value_of(e, (enum metric)m, row);
        }
    }
    return TL_OK;
}

static size_t row_of(void *ctx, const uint8_t *canonical)
{
    const struct evaluator *e = ctx;
    return value_table_find(e->rows, canonical);
}

static void arch_of(void *ctx, size_t row, uint8_t *ret_canonical)
{
    const struct evaluator *e = ctx;
    memcpy(ret_canonical, value_table_arch(e->rows, row), e->space.n_variables);
}

enum tl_rc evaluator_new_tabulated(const struct space *space, const struct value_table *table, const char *device,
                                   struct evaluator **ret_evaluator, struct tl_err *err)
{
    struct evaluator *e = calloc(1, sizeof *e);

    if (!e) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an evaluator");
    }
    e->rows = table;
    e->space = *space;
    e->full_space = *space;
    e->map.resolution = -1;
    e->latency_scale = 1.0;
    e->latency_half_width = (double)NAN;
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        e->column_of[m] = value_table_column_of(table, m, device);
    }
    e->table = (struct search_evaluator){.ctx = e,
                                         .n_metrics = METRIC_COUNT,
                                         .n_cheap = METRIC_COUNT,
                                         .values = values,
                                         .n_rows = value_table_rows(table),
                                         .row = row_of,
                                         .arch = arch_of};
    *ret_evaluator = e;
    return TL_OK;
}

bool evaluator_tabulated(const struct evaluator *e, bool *ret_timed)
{
    const int latency = e->rows ? e->column_of[METRIC_LATENCY_MS] : -1;
    *ret_timed = latency >= 0 && value_table_column(e->rows, (size_t)latency)->timed;
    return e->rows != NULL;
}

void rows_describe(const struct evaluator *e, const uint8_t *arch, struct metric_value ret_values[METRIC_COUNT])
{
    const size_t row = value_table_find(e->rows, arch);

    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        ret_values[m] = (struct metric_value){value_of(e, m, row), 0.0};
    }
}

void rows_ranges(const struct evaluator *e, struct metric_range ret_ranges[METRIC_COUNT])
{
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        ret_ranges[m] = (struct metric_range){(double)NAN, (double)NAN, 0.0, 0.0};
        const bool theirs = evaluator_workers(e) >> m & 1U; /* nobody knows what workers will say */
        for (size_t row = 0; !theirs && row < value_table_rows(e->rows); row++) {
            const double value = value_of(e, m, row);
            ret_ranges[m].min = fmin(ret_ranges[m].min, value); /* of a number and NAN the number */
            ret_ranges[m].max = fmax(ret_ranges[m].max, value);
        }
    }
}
