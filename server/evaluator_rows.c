/* evaluator_rows.c - an evaluator whose values are the rows of a table.
 */
#include "server/evaluator_table.h"
#include "server/evaluator_tables.h"
#include "server/evaluator_worker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double value_of(const struct evaluator *e, size_t column, size_t row)
{
    const int at = e->rows_column[column];
    return row == SIZE_MAX || at < 0 ? (double)NAN : value_table_value(e->rows, (size_t)at, row);
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
            out[i * SEARCH_METRICS_MAX + m] = value_of(e, m, row);
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

enum tl_rc evaluator_new_tabulated(const struct space *space, const struct value_table *table, const char *devices,
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
    devices_split(devices, &e->devices);
    for (size_t c = 0; c < column_count(&e->devices); c++) {
        e->rows_column[c] = value_table_column_of(table, column_metric(&e->devices, c),
                                                  e->devices.names[column_device(&e->devices, c)]);
    }
    e->table = (struct search_evaluator){.ctx = e,
                                         .n_metrics = column_count(&e->devices),
                                         .n_cheap = column_count(&e->devices),
                                         .values = values,
                                         .n_rows = value_table_rows(table),
                                         .row = row_of,
                                         .arch = arch_of};
    *ret_evaluator = e;
    return TL_OK;
}

bool evaluator_tabulated(const struct evaluator *e)
{
    return e->rows != NULL;
}

bool evaluator_timed(const struct evaluator *e, size_t device)
{
    const int latency = e->rows ? e->rows_column[METRIC_LATENCY_MS + device] : -1;
    return latency >= 0 && value_table_column(e->rows, (size_t)latency)->timed;
}

void rows_describe(const struct evaluator *e, const uint8_t *arch, struct metric_value ret_values[COLUMNS_MAX])
{
    const size_t row = value_table_find(e->rows, arch);

    for (size_t c = 0; c < column_count(&e->devices); c++) {
        ret_values[c] = (struct metric_value){value_of(e, c, row), 0.0};
    }
}

void rows_ranges(const struct evaluator *e, struct metric_range ret_ranges[COLUMNS_MAX])
{
    for (size_t c = 0; c < column_count(&e->devices); c++) {
        const bool theirs =
            evaluator_workers(e) >> column_metric(&e->devices, c) & 1U; /* nobody knows what they will say */
        ret_ranges[c] = (struct metric_range){(double)NAN, (double)NAN, 0.0, 0.0};
        for (size_t row = 0; !theirs && row < value_table_rows(e->rows); row++) {
            const double value = value_of(e, c, row);
            ret_ranges[c].min = fmin(ret_ranges[c].min, value); /* of a number and NAN the number */
            ret_ranges[c].max = fmax(ret_ranges[c].max, value);
        }
    }
}
