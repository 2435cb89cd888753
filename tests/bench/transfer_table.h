/* transfer_table.h - published latencies of many devices as a table for bench_transfer: features and a column a device.
 *
 * Nothing about a device is built in: which columns are features, latencies, cost models or families is told by a spec.
 */
#ifndef TAILOR_TESTS_BENCH_TRANSFER_TABLE_H
#define TAILOR_TESTS_BENCH_TRANSFER_TABLE_H

#include "base/base.h"
#include "csv.h"

#include <math.h>

enum { DEVICES_MAX = 64, SYMBOLS_MAX = 64, POSITIONS_MAX = 64, NAME_MAX_BYTES = 64 };

/* Lists are separated by commas; "" or NULL: none. */
struct table_spec {
    const char *csv;     /* files; more than one: each a device of its own, by its file's name, on rows of its own */
    const char *digits;  /* columns with a character a position; several are one symbol together */
    const char *depth;   /* column with a digit a stage: positions of a stage beyond it are not there */
    const char *numbers; /* columns that are features as they are */
    const char *prefix;  /* of the latency columns */
    const char *sum;     /* with several files: columns whose sum is the latency */
    const char *macs;
    const char *cost_models; /* hardware whose numbers nobody timed */
    const char *families;    /* NAME=hardware prefix,prefix;NAME=... */
    const char *tuned;       /* hardware that settings were chosen on */
};

struct table {
    char name[NAME_MAX_BYTES];
    size_t n, n_coarse, n_fine, n_devices, n_positions;
    float *coarse, *fine; /* (n, n_coarse), (n, n_fine) */
    float *values;        /* (n, n_devices); NAN: not known */
    double *macs;         /* (n); NULL: not known */
    char device[DEVICES_MAX][NAME_MAX_BYTES], hardware[DEVICES_MAX][NAME_MAX_BYTES];
    uint32_t family[DEVICES_MAX]; /* equal: one family */
    bool cost_model[DEVICES_MAX], tuned[DEVICES_MAX];
};

/* The next of a list, cut at `mark`; false at its end. */
static inline bool list_next(const char **list, char mark, char *ret_item, size_t max)
{
    if (!*list || !**list) {
        return false;
    }
    const char *end = strchr(*list, mark);
    const size_t n = end ? (size_t)(end - *list) : strlen(*list);
    if (n >= max) {
        bench_die("too long:", *list);
    }
    memcpy(ret_item, *list, n);
    ret_item[n] = '\0';
    *list = end ? end + 1 : NULL;
    return true;
}

static inline bool listed(const char *list, const char *name)
{
    char item[NAME_MAX_BYTES];
    while (list_next(&list, ',', item, sizeof item)) {
        if (strcmp(item, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A trailing power of two up to 1024 is a batch size: titan_rtx_32 is the hardware titan_rtx. */
static inline void hardware_of(const char *device, char ret_hardware[NAME_MAX_BYTES])
{
    const char *mark = strrchr(device, '_');
    char *end = NULL;
    const unsigned long batch = mark ? strtoul(mark + 1, &end, 10) : 0;
    const bool is_batch = mark && mark[1] && *end == '\0' && batch >= 1 && batch <= 1024 && (batch & (batch - 1)) == 0;
    const size_t n = is_batch ? (size_t)(mark - device) : strlen(device);
    memcpy(ret_hardware, device, n);
    ret_hardware[n] = '\0';
}

static inline void describe_device(struct table *table, size_t t, const struct table_spec *spec)
{
    char family[512], name[NAME_MAX_BYTES];
    const char *families = spec->families;

    hardware_of(table->device[t], table->hardware[t]);
    table->cost_model[t] = listed(spec->cost_models, table->hardware[t]);
    table->tuned[t] = listed(spec->tuned, table->hardware[t]);
    table->family[t] = 1000 + (uint32_t)t; /* of its own, shared with the same hardware */
    for (size_t other = t; other-- > 0;) {
        table->family[t] =
            strcmp(table->hardware[other], table->hardware[t]) == 0 ? table->family[other] : table->family[t];
    }
    for (uint32_t f = 0; list_next(&families, ';', family, sizeof family); f++) {
        const char *names = strchr(family, '=');
        names = names ? names + 1 : family;
        while (list_next(&names, ',', name, sizeof name)) {
            if (strncmp(table->hardware[t], name, strlen(name)) == 0) {
                table->family[t] = f;
            }
        }
    }
}

/* ---- features ------------------------------------------------------------------------------------------------ */

struct symbols {
    uint32_t known[SYMBOLS_MAX];
    size_t n;
};

static inline size_t symbol_index(struct symbols *symbols, uint32_t symbol)
{
    for (size_t i = 0; i < symbols->n; i++) {
        if (symbols->known[i] == symbol) {
            return i;
        }
    }
    if (symbols->n == SYMBOLS_MAX) {
        bench_die("too many symbols in columns of digits", "");
    }
    symbols->known[symbols->n] = symbol;
    return symbols->n++;
}

/* What stands at a position: the digits together, or 0 where the stage is not that deep. */
static inline uint32_t symbol_at(const struct bench_csv *csv, const struct table_spec *spec, size_t row,
                                 size_t position, size_t n_positions)
{
    char name[NAME_MAX_BYTES];
    const char *digits = spec->digits;
    uint32_t symbol = 1;
    if (spec->depth && *spec->depth) {
        const char *depth = bench_csv_cell(csv, row, bench_csv_column(csv, spec->depth));
        const size_t per_stage = n_positions / strlen(depth);
        if (position % per_stage >= (size_t)(depth[position / per_stage] - '0')) {
            return 0;
        }
    }
    while (list_next(&digits, ',', name, sizeof name)) {
        symbol = symbol * 128 + (unsigned char)bench_csv_cell(csv, row, bench_csv_column(csv, name))[position];
    }
    return symbol;
}

static inline void add_digits(struct table *table, const struct bench_csv *csv, const struct table_spec *spec)
{
    char name[NAME_MAX_BYTES];
    const char *digits = spec->digits;
    struct symbols symbols = {.n = 0};
    if (!list_next(&digits, ',', name, sizeof name)) {
        return;
    }
    const size_t n_positions = strlen(bench_csv_cell(csv, 0, bench_csv_column(csv, name)));
    if (n_positions == 0) {
        bench_die("no digits in column", name);
    }
    uint8_t *at = bench_must(calloc(csv->n, n_positions));
    for (size_t i = 0; i < csv->n * n_positions; i++) {
        at[i] = (uint8_t)symbol_index(&symbols, symbol_at(csv, spec, i / n_positions, i % n_positions, n_positions));
    }
    table->n_coarse = symbols.n;
    table->n_fine = n_positions * symbols.n;
    table->coarse = bench_must(calloc(csv->n * table->n_coarse + 1, sizeof(float)));
    table->fine = bench_must(calloc(csv->n * table->n_fine + 1, sizeof(float)));
    for (size_t i = 0; i < csv->n * n_positions; i++) {
        table->coarse[i / n_positions * symbols.n + at[i]] += 1.0F;
        table->fine[i * symbols.n + at[i]] = 1.0F;
    }
    free(at);
}

/* x (n, *d) gets a column more. */
static inline float *widen(float *x, size_t n, size_t *d, const double *column)
{
    float *wide = bench_must(calloc(n * (*d + 1), sizeof *wide));
    for (size_t i = 0; i < n; i++) {
        if (*d) {
            memcpy(wide + i * (*d + 1), x + i * *d, *d * sizeof *wide);
        }
        wide[i * (*d + 1) + *d] = (float)column[i];
    }
    free(x);
    (*d)++;
    return wide;
}

/* Numbers are standardised; fine features have their squares and products as well. */
static inline void add_numbers(struct table *table, const double *numbers, size_t d)
{
    const size_t n = table->n;
    double *column = bench_must(calloc(n * (d + 1), sizeof *column)), *product = column + n * d;
    for (size_t j = 0; j < d; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < n; i++) {
            mean += numbers[i * d + j] / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            square += (numbers[i * d + j] - mean) * (numbers[i * d + j] - mean) / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            column[j * n + i] = square > 0 ? (numbers[i * d + j] - mean) / sqrt(square) : 0;
        }
        table->coarse = widen(table->coarse, n, &table->n_coarse, column + j * n);
        table->fine = widen(table->fine, n, &table->n_fine, column + j * n);
        for (size_t other = 0; other <= j; other++) {
            for (size_t i = 0; i < n; i++) {
                product[i] = column[j * n + i] * column[other * n + i];
            }
            table->fine = widen(table->fine, n, &table->n_fine, product);
        }
    }
    free(column);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static inline double number_at(const struct bench_csv *csv, size_t row, const char *name)
{
    return strtod(bench_csv_cell(csv, row, bench_csv_column(csv, name)), NULL);
}

static inline size_t read_numbers(const struct bench_csv *csv, const char *names, double *numbers, size_t width)
{
    char name[NAME_MAX_BYTES];
    size_t d = 0;
    for (; list_next(&names, ',', name, sizeof name); d++) {
        const size_t column = bench_csv_column(csv, name);
        for (size_t i = 0; numbers && i < csv->n; i++) {
            numbers[i * width + d] = strtod(bench_csv_cell(csv, i, column), NULL);
        }
    }
    return d;
}

static inline void read_columns(struct table *table, const struct bench_csv *csv, const struct table_spec *spec)
{
    const size_t prefix = strlen(spec->prefix);
    size_t place[DEVICES_MAX] = {0};
    for (size_t c = 0; c < csv->n_columns; c++) {
        if (strncmp(csv->head[c], spec->prefix, prefix) == 0) {
            if (table->n_devices == DEVICES_MAX) {
                bench_die("too many columns of latencies in", spec->csv);
            }
            (void)snprintf(table->device[table->n_devices], NAME_MAX_BYTES, "%s", csv->head[c] + prefix);
            describe_device(table, table->n_devices, spec);
            place[table->n_devices++] = c;
        }
    }
    table->values = bench_must(calloc(table->n * (table->n_devices + 1), sizeof *table->values));
    for (size_t i = 0; i < table->n * table->n_devices; i++) {
        const char *cell = bench_csv_cell(csv, i / table->n_devices, place[i % table->n_devices]);
        const double value = strtod(cell, NULL);
        table->values[i] = value > 0 ? (float)value : NAN;
    }
    if (spec->macs && *spec->macs) {
        table->macs = bench_must(calloc(table->n, sizeof *table->macs));
        (void)read_numbers(csv, spec->macs, table->macs, 1);
    }
}

/* Several files: rows one after another, a device a file. */
static inline double *read_files(struct table *table, const struct table_spec *spec, size_t *ret_d)
{
    static struct bench_csv csv[DEVICES_MAX];
    char path[1024], name[NAME_MAX_BYTES];
    for (const char *files = spec->csv; list_next(&files, ',', path, sizeof path); table->n_devices++) {
        const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        if (table->n_devices == DEVICES_MAX) {
            bench_die("too many files:", spec->csv);
        }
        csv[table->n_devices] = bench_csv_read(path);
        (void)snprintf(table->device[table->n_devices], NAME_MAX_BYTES, "%.*s", (int)strcspn(file, "."), file);
        describe_device(table, table->n_devices, spec);
        table->n += csv[table->n_devices].n;
    }
    const size_t d = read_numbers(&csv[0], spec->numbers, NULL, 0);
    double *numbers = bench_must(calloc(table->n * d + 1, sizeof *numbers));
    table->values = bench_must(calloc(table->n * table->n_devices + 1, sizeof *table->values));
    for (size_t t = 0, row = 0; t < table->n_devices; row += csv[t++].n) {
        (void)read_numbers(&csv[t], spec->numbers, numbers + row * d, d);
        for (size_t i = 0; i < csv[t].n; i++) {
            for (size_t other = 0; other < table->n_devices; other++) {
                table->values[(row + i) * table->n_devices + other] = other == t ? 0.0F : NAN;
            }
            for (const char *sum = spec->sum; list_next(&sum, ',', name, sizeof name);) {
                table->values[(row + i) * table->n_devices + t] += (float)number_at(&csv[t], i, name);
            }
        }
    }
    *ret_d = d;
    return numbers;
}

static inline struct table *table_read(const char *name, const struct table_spec *spec)
{
    struct table *table = bench_must(calloc(1, sizeof *table));
    double *numbers = NULL;
    size_t d = 0;
    (void)snprintf(table->name, sizeof table->name, "%s", name);
    if (strchr(spec->csv, ',')) {
        numbers = read_files(table, spec, &d);
    } else {
        const struct bench_csv csv = bench_csv_read(spec->csv);
        table->n = csv.n;
        add_digits(table, &csv, spec);
        d = read_numbers(&csv, spec->numbers, NULL, 0);
        numbers = bench_must(calloc(csv.n * (d + 1), sizeof *numbers));
        (void)read_numbers(&csv, spec->numbers, numbers, d);
        read_columns(table, &csv, spec);
    }
    add_numbers(table, numbers, d);
    free(numbers);
    if (table->n_devices == 0 || table->n_coarse == 0) {
        bench_die("no latencies or no features in", spec->csv);
    }
    return table;
}

#endif
