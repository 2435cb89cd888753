/* bench.h - how a bench reports: one JSON object a line on stdout. Tables for people go to stderr. */
#ifndef TAILOR_TESTS_BENCH_H
#define TAILOR_TESTS_BENCH_H

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* One figure. `peer` is what the value is compared with in the same run (NULL: nothing); its ratio is value /
 * peer_value. Names are plain words without quotes or backslashes. */
struct bench_figure {
    const char *bench, *name, *metric, *unit, *peer;
    double value, peer_value;
    unsigned threads;
    unsigned long long seed;
};

static inline void bench_report(const struct bench_figure *figure)
{
    printf("{\"bench\": \"%s\", \"case\": \"%s\", \"metric\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", "
           "\"threads\": %u, \"seed\": %llu, ",
           figure->bench, figure->name, figure->metric, figure->value, figure->unit, figure->threads, figure->seed);
    if (figure->peer != NULL) {
        printf("\"peer\": \"%s\", \"peer_value\": %.6g, \"ratio\": %.6g}\n", figure->peer, figure->peer_value,
               figure->value / figure->peer_value);
    } else {
        printf("\"peer\": null, \"peer_value\": null, \"ratio\": null}\n");
    }
    (void)fflush(stdout);
}

static inline int bench_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-quantile (0 smallest, 0.5 median) of values[0..n-1], which are sorted here. */
static inline double bench_quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof *values, bench_order);
    return values[(size_t)lround(q * (double)(n - 1))];
}

#endif
