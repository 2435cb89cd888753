/* evaluator_table.c - see evaluator_table.h. */
#include "server/evaluator_table.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAGIC = 0x31544c54 }; /* "TLT1" in the order of bytes */

struct value_table {
    const struct space *space; /* borrowed */
    size_t n_columns, n_rows, rows_max;
    struct table_column columns[TABLE_COLUMNS_MAX];
    uint8_t *archs;    /* owned, (rows_max, n_variables): canonical */
    double *values;    /* owned, (rows_max, n_columns) */
    uint32_t *buckets; /* owned, (mask + 1): row + 1; 0: free. At most half are taken */
    size_t mask;
};

/* ---- making one ---------------------------------------------------------------------------------------------- */

static size_t row_bytes(const struct space *space, size_t n_columns)
{
    return space->n_variables + n_columns * sizeof(double);
}

enum tl_rc value_table_new(const struct space *space, const struct table_column *columns, size_t n_columns,
                           size_t rows_max, struct value_table **ret_table, struct tl_err *err)
{
    if (rows_max > TABLE_ROWS_MAX || n_columns > TABLE_COLUMNS_MAX ||
        rows_max * row_bytes(space, n_columns) > TABLE_BYTES_MAX) {
        return tl_fail(err, TL_TOO_LARGE,
                       "%zu rows of %zu values are too many: a table has up to %d rows, %d columns and "
                       "%d MiB",
                       rows_max, n_columns, TABLE_ROWS_MAX, TABLE_COLUMNS_MAX, TABLE_BYTES_MAX >> 20);
    }
    struct value_table *table = calloc(1, sizeof *table);
    size_t n_buckets = 16;
    while (n_buckets < 2 * rows_max) {
        n_buckets *= 2;
    }
    if (table) {
        table->archs = malloc(rows_max * space->n_variables + 1);
        table->values = malloc(rows_max * n_columns * sizeof(double) + 1);
        table->buckets = calloc(n_buckets, sizeof *table->buckets);
    }
    if (!table || !table->archs || !table->values || !table->buckets) {
        value_table_free(table);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a table of %zu rows", rows_max);
    }
    table->space = space;
    table->n_columns = n_columns;
    table->rows_max = rows_max;
    table->mask = n_buckets - 1;
    memcpy(table->columns, columns, n_columns * sizeof *columns);
    *ret_table = table;
    return TL_OK;
}

void value_table_free(struct value_table *table)
{
    if (table) {
        free(table->archs);
        free(table->values);
        free(table->buckets);
        free(table);
    }
}

/* FNV-1a, with the high bits mixed into those that choose the bucket. */
static size_t hash_of(const uint8_t *arch, size_t n)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ arch[i]) * UINT64_C(1099511628211);
    }
    return (size_t)(hash ^ hash >> 32);
}

/* The bucket that holds the architecture, or the free one where it would go. */
static size_t bucket_of(const struct value_table *table, const uint8_t *canonical)
{
    const size_t width = table->space->n_variables;
    size_t at = hash_of(canonical, width) & table->mask;
    while (table->buckets[at] &&
           memcmp(table->archs + (size_t)(table->buckets[at] - 1) * width, canonical, width) != 0) {
        at = (at + 1) & table->mask;
    }
    return at;
}

bool value_table_add(struct value_table *table, const uint8_t *canonical, const double *values, size_t *ret_twin)
{
    const size_t bucket = bucket_of(table, canonical), width = table->space->n_variables;
    assert(table->n_rows < table->rows_max);
    if (table->buckets[bucket]) {
        *ret_twin = table->buckets[bucket] - 1;
        return false;
    }
    memcpy(table->archs + table->n_rows * width, canonical, width);
    memcpy(table->values + table->n_rows * table->n_columns, values, table->n_columns * sizeof *values);
    table->buckets[bucket] = (uint32_t)++table->n_rows;
    return true;
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */

static enum tl_rc put_text(struct tl_buf *buf, const char text[TABLE_NAME_MAX + 1], struct tl_err *err)
{
    char padded[TABLE_NAME_MAX] = {0};
    for (size_t i = 0; text[i]; i++) {
        padded[i] = text[i];
    }
    return tl_buf_add(buf, padded, sizeof padded, err);
}

static enum tl_rc put_column(struct tl_buf *buf, const struct table_column *column, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)column->metric, err);
    rc = rc ? rc : tl_buf_put_u32(buf, column->timed, err);
    rc = rc ? rc : put_text(buf, column->device, err);
    return rc ? rc : put_text(buf, column->name, err);
}

enum tl_rc value_table_save(const struct value_table *table, struct tl_buf *buf, struct tl_err *err)
{
    const struct space *space = table->space;
    enum tl_rc rc = tl_buf_put_u32(buf, TABLE_MAGIC, err);
    rc = rc ? rc : tl_buf_add(buf, space->id.bytes, sizeof space->id.bytes, err);
    rc = rc ? rc : tl_buf_put_u64(buf, table->n_columns, err);
    rc = rc ? rc : tl_buf_put_u64(buf, table->n_rows, err);
    for (size_t i = 0; !rc && i < table->n_columns; i++) {
        rc = put_column(buf, &table->columns[i], err);
    }
    rc = rc ? rc : tl_buf_add(buf, table->archs, table->n_rows * space->n_variables, err);
    for (size_t i = 0; !rc && i < table->n_rows * table->n_columns; i++) {
        rc = tl_buf_put_f64(buf, table->values[i], err);
    }
    return rc;
}

static bool get_text(struct tl_cursor *cursor, char ret_text[TABLE_NAME_MAX + 1])
{
    const void *bytes = tl_cursor_bytes(cursor, TABLE_NAME_MAX);
    if (!bytes) {
        return false;
    }
    memcpy(ret_text, bytes, TABLE_NAME_MAX);
    ret_text[TABLE_NAME_MAX] = '\0';
    return true;
}

static bool get_column(struct tl_cursor *cursor, struct table_column *ret_column)
{
    const uint32_t metric = tl_cursor_u32(cursor), timed = tl_cursor_u32(cursor);
    *ret_column = (struct table_column){.metric = (enum metric)metric, .timed = timed != 0, .scale = 1.0};
    return metric < METRIC_COUNT && timed <= 1 && get_text(cursor, ret_column->device) &&
           get_text(cursor, ret_column->name);
}

static bool usable(const struct space *space, const uint8_t *arch)
{
    uint8_t canonical[SPACE_VARIABLES_MAX];
    if (!space_valid(space, arch) || !space_allowed(space, arch)) {
        return false;
    }
    memcpy(canonical, arch, space->n_variables);
    space_canonical(space, canonical);
    return memcmp(arch, canonical, space->n_variables) == 0;
}

static bool get_rows(struct tl_cursor *cursor, struct value_table *table, size_t n_rows)
{
    const size_t width = table->space->n_variables;
    const uint8_t *archs = tl_cursor_bytes(cursor, n_rows * width);
    for (size_t row = 0; archs && row < n_rows; row++) {
        double values[TABLE_COLUMNS_MAX];
        size_t twin = 0;
        for (size_t i = 0; i < table->n_columns; i++) {
            values[i] = tl_cursor_f64(cursor);
            if (isinf(values[i])) {
                return false;
            }
        }
        if (cursor->failed || !usable(table->space, archs + row * width) ||
            !value_table_add(table, archs + row * width, values, &twin)) {
            return false;
        }
    }
    return archs && tl_cursor_ok(cursor);
}

enum tl_rc value_table_load(const void *bytes, size_t n, const struct space *space, struct value_table **ret_table,
                            struct tl_err *err)
{
    struct tl_cursor cursor = tl_cursor_make(bytes, n);
    struct table_column columns[TABLE_COLUMNS_MAX];
    struct value_table *table = NULL;
    const uint32_t magic = tl_cursor_u32(&cursor);
    const void *id = tl_cursor_bytes(&cursor, sizeof space->id.bytes);
    const uint64_t n_columns = tl_cursor_u64(&cursor), n_rows = tl_cursor_u64(&cursor);
    bool good = !cursor.failed && magic == TABLE_MAGIC && n_columns <= TABLE_COLUMNS_MAX && n_rows <= TABLE_ROWS_MAX;
    if (good && memcmp(id, space->id.bytes, sizeof space->id.bytes) != 0) {
        return tl_fail(err, TL_INVALID, "the table is that of another space than %s", space->name);
    }
    for (size_t i = 0; good && i < n_columns; i++) {
        good = get_column(&cursor, &columns[i]);
    }
    if (!good || n_rows * row_bytes(space, n_columns) > n) {
        return tl_fail(err, TL_MALFORMED, "these bytes are not a table");
    }
    enum tl_rc rc = value_table_new(space, columns, n_columns, n_rows, &table, err);
    if (rc) {
        return rc;
    }
    if (!get_rows(&cursor, table, n_rows)) {
        value_table_free(table);
        return tl_fail(err, TL_MALFORMED, "the rows of these bytes are not those of a table");
    }
    *ret_table = table;
    return TL_OK;
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

size_t value_table_rows(const struct value_table *table)
{
    return table->n_rows;
}

size_t value_table_columns(const struct value_table *table)
{
    return table->n_columns;
}

const struct table_column *value_table_column(const struct value_table *table, size_t index)
{
    return &table->columns[index];
}

int value_table_column_of(const struct value_table *table, enum metric metric, const char *device)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct table_column *column = &table->columns[i];
        if (column->metric == metric && (metric != METRIC_LATENCY_MS || strcmp(column->device, device) == 0)) {
            return (int)i;
        }
    }
    return -1;
}

void value_table_devices(const struct value_table *table, char *ret_text, size_t size)
{
    size_t n = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < table->n_columns; i++) {
        const char *device = table->columns[i].device;
        const size_t more = strlen(device) + (n ? 2 : 0);
        if (device[0] && n + more < size) {
            n += (size_t)snprintf(ret_text + n, size - n, "%s%s", n ? ", " : "", device);
        }
    }
}

const uint8_t *value_table_arch(const struct value_table *table, size_t row)
{
    return table->archs + row * table->space->n_variables;
}

double value_table_value(const struct value_table *table, size_t column, size_t row)
{
    return table->values[row * table->n_columns + column];
}

size_t value_table_find(const struct value_table *table, const uint8_t *canonical)
{
    const uint32_t found = table->buckets[bucket_of(table, canonical)];
    return found ? found - 1U : SIZE_MAX;
}
