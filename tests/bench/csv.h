/* csv.h - how a bench reads a CSV (.gz or not) as it was published: a line of names, then a line a row; no quotes. */
#ifndef TAILOR_TESTS_BENCH_CSV_H
#define TAILOR_TESTS_BENCH_CSV_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BENCH_CSV_COLUMNS_MAX = 128, BENCH_CSV_ROWS_MAX = 1 << 20 };

struct bench_csv {
    char *text; /* the file, cut at commas and ends of lines; kept to the end of the program, as the rest */
    const char *head[BENCH_CSV_COLUMNS_MAX];
    size_t n_columns, n;
    const char **cells; /* (n, n_columns) */
};

static inline _Noreturn void bench_die(const char *text, const char *what)
{
    (void)fprintf(stderr, "bench: %s %s\n", text, what);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static inline void *bench_must(void *memory)
{
    if (!memory) {
        bench_die("no memory", "");
    }
    return memory;
}

static inline char *bench_csv_text(const char *path)
{
    enum { TEXT_MAX = 256 << 20 };
    gzFile file = gzopen(path, "rb");
    if (!file) {
        bench_die("cannot read", path);
    }
    size_t n = 0, max = 1 << 20;
    char *text = bench_must(malloc(max + 1));
    for (int got = 1; got > 0 && n < TEXT_MAX; n += (size_t)got) {
        if (max - n < 1 << 16) {
            text = bench_must(realloc(text, 2 * max + 1));
            max *= 2;
        }
        got = gzread(file, text + n, 1 << 16);
        got = got < 0 ? 0 : got;
    }
    (void)gzclose(file);
    text[n] = '\0';
    return text;
}

/* Cut the next line of `text` into cells; the rest, or NULL at the end. */
static inline char *bench_csv_cut(char *text, const char **cells, size_t *ret_n)
{
    char *end = strchr(text, '\n');
    size_t n = 0;
    if (!end) {
        return NULL;
    }
    *end = '\0';
    for (char *cell = text; cell && n < BENCH_CSV_COLUMNS_MAX; n++) {
        char *comma = strchr(cell, ',');
        cells[n] = cell;
        if (comma) {
            *comma = '\0';
        }
        cell = comma ? comma + 1 : NULL;
    }
    *ret_n = n;
    return end + 1;
}

static inline struct bench_csv bench_csv_read(const char *path)
{
    struct bench_csv csv = {.text = bench_csv_text(path)};
    const char *cells[BENCH_CSV_COLUMNS_MAX];
    size_t n = 0, max = 1 << 10;
    char *rest = bench_csv_cut(csv.text, csv.head, &csv.n_columns);
    if (!rest) {
        bench_die("no line of names in", path);
    }
    csv.cells = bench_must(calloc(csv.n_columns * max, sizeof *csv.cells));
    while (csv.n < BENCH_CSV_ROWS_MAX && (rest = bench_csv_cut(rest, cells, &n)) != NULL) {
        if (n != csv.n_columns) {
            bench_die("a row has another number of cells than the head in", path);
        }
        if (csv.n == max) {
            max *= 2;
            csv.cells = bench_must(realloc(csv.cells, sizeof *csv.cells * csv.n_columns * max));
        }
        memcpy(&csv.cells[csv.n++ * csv.n_columns], cells, n * sizeof *cells);
    }
    if (csv.n == 0) {
        bench_die("no rows in", path);
    }
    return csv;
}

static inline const char *bench_csv_cell(const struct bench_csv *csv, size_t row, size_t column)
{
    return csv->cells[row * csv->n_columns + column];
}

static inline size_t bench_csv_column(const struct bench_csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->n_columns; i++) {
        if (strcmp(csv->head[i], name) == 0) {
            return i;
        }
    }
    bench_die("there is no column", name);
}

#endif
