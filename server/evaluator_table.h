/* evaluator_table.h - values that somebody else worked out: a row an architecture, a column a metric (latency: a metric and
 * a device). What has no row has no value.
 *
 * One idea: rows lie in two arrays and are found by a hash of the canonical form, so asking costs what copying costs.
 *
 * Threads: a table is immutable once made and shared freely.
 */
#ifndef TAILOR_EVALUATOR_TABLE_H
#define TAILOR_EVALUATOR_TABLE_H

#include "server/evaluator.h"

enum { TABLE_ROWS_MAX = 1000000, TABLE_COLUMNS_MAX = 64, TABLE_NAME_MAX = 64, TABLE_BYTES_MAX = 128 << 20 };

struct table_column {
    enum metric metric;
    char device[TABLE_NAME_MAX + 1]; /* latency_ms: whose; else "" */
    char name[TABLE_NAME_MAX + 1];   /* in the CSV */
    bool timed;                      /* latency_ms: timed on the device; false: a cost model's */
    double scale;                    /* from the CSV's unit to the metric's; no part of the table's bytes */
};

struct value_table;

/* ---- making one ---------------------------------------------------------------------------------------------- */

/* An empty one for up to `rows_max` rows. `space` is borrowed for its life. TL_TOO_LARGE: it would take more than
 * TABLE_BYTES_MAX. */
TL_MUST_CHECK enum tl_rc value_table_new(const struct space *space, const struct table_column *columns,
                                         size_t n_columns, size_t rows_max, struct value_table **ret_table,
                                         struct tl_err *err);
void value_table_free(struct value_table *table); /* takes NULL */
/* Add a row: a canonical, allowed architecture that is not there yet, and a value a column (NAN: none). False: it is there;
 * *ret_twin is its row. There must be room. */
bool value_table_add(struct value_table *table, const uint8_t *canonical, const double *values, size_t *ret_twin);

/* ---- bytes --------------------------------------------------------------------------------------------------- */

/* The program's own form; equal tables have equal bytes. */
TL_MUST_CHECK enum tl_rc value_table_save(const struct value_table *table, struct tl_buf *buf, struct tl_err *err);
/* TL_MALFORMED: these bytes are no table. TL_INVALID: that of another space. */
TL_MUST_CHECK enum tl_rc value_table_load(const void *bytes, size_t n, const struct space *space,
                                          struct value_table **ret_table, struct tl_err *err);

/* ---- asking -------------------------------------------------------------------------------------------------- */

size_t value_table_rows(const struct value_table *table);
size_t value_table_columns(const struct value_table *table);
const struct table_column *value_table_column(const struct value_table *table, size_t index); /* borrowed */
/* The column of a metric (latency_ms: of `device`); -1: there is none. */
int value_table_column_of(const struct value_table *table, enum metric metric, const char *device);

/* The devices it has latencies of, with commas between them, as many as fit; "": none. */
void value_table_devices(const struct value_table *table, char *ret_text, size_t size);

const uint8_t *value_table_arch(const struct value_table *table, size_t row); /* borrowed */
double value_table_value(const struct value_table *table, size_t column, size_t row);
/* The row of a canonical architecture; SIZE_MAX: none. */
size_t value_table_find(const struct value_table *table, const uint8_t *canonical);

#endif
