/* evaluator_columns.h - the metrics, and the columns in which a search holds their values: each metric once, latency once a
 * device.
 *
 * The columns of one device or none are the metrics. With several, those of latency stand side by side, in the order of the
 * devices, and accuracy follows them: cheap ones first, as search.h wants.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_EVALUATOR_COLUMNS_H
#define TAILOR_EVALUATOR_COLUMNS_H

#include "search/search.h"

enum metric {
    METRIC_MACS,
    METRIC_PARAMS,
    METRIC_SIZE_BYTES,
    METRIC_PEAK_MEMORY_BYTES,
    METRIC_LATENCY_MS,
    METRIC_ACCURACY,
    METRIC_COUNT
};

extern const char *const metric_names[METRIC_COUNT];

enum {
    DEVICES_MAX = 4,
    DEVICE_NAME_MAX = 64,
    DEVICES_TEXT = DEVICES_MAX * (DEVICE_NAME_MAX + 1) + 2, /* names joined by commas, one before and one behind */
    COLUMNS_MAX = METRIC_COUNT + DEVICES_MAX - 1,
    COLUMN_NAME_MAX = 32 + DEVICE_NAME_MAX
};

/* The devices of a search, in the order in which they were named. */
struct devices {
    size_t n; /* 0: none */
    char names[DEVICES_MAX][DEVICE_NAME_MAX + 1];
};

/* Split "", "a" or "a,b,c"; a comma before and behind says nothing. What is beyond the maxima is cut off. */
void devices_split(const char *text, struct devices *ret_devices);
/* Joined by `between`: "a,b", or "a and b" for people. Cut off where there is no room. */
void devices_join(const struct devices *devices, const char *between, char *ret_text, size_t size);
/* The place of a name; -1: it is none of them. */
int devices_find(const struct devices *devices, const char *name);

/* `device`: its place; says nothing of metrics other than latency. */
size_t column_of(const struct devices *devices, enum metric metric, size_t device);
size_t column_count(const struct devices *devices);
enum metric column_metric(const struct devices *devices, size_t column);
/* The place of the device whose latency it is; 0 for all other columns. */
size_t column_device(const struct devices *devices, size_t column);
/* "macs", "latency_ms", and of several devices "latency_ms@nano". */
void column_name(const struct devices *devices, size_t column, char ret_name[COLUMN_NAME_MAX]);
/* -1: no column is called so. */
int column_find(const struct devices *devices, const char *name);

#endif
