/* evaluator_columns.c - see evaluator_columns.h. */
#include "server/evaluator_columns.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert((int)COLUMNS_MAX <= (int)SEARCH_METRICS_MAX, "a search holds a value a column");

const char *const metric_names[METRIC_COUNT] = {
    [METRIC_MACS] = "macs",
    [METRIC_PARAMS] = "params",
    [METRIC_SIZE_BYTES] = "size_bytes",
    [METRIC_PEAK_MEMORY_BYTES] = "peak_memory_bytes",
    [METRIC_LATENCY_MS] = "latency_ms",
    [METRIC_ACCURACY] = "accuracy",
};

void devices_split(const char *text, struct devices *ret_devices)
{
    *ret_devices = (struct devices){0};
    while (*text && ret_devices->n < DEVICES_MAX) {
        const size_t n = strcspn(text, ",");
        if (n > 0) {
            (void)snprintf(ret_devices->names[ret_devices->n++], DEVICE_NAME_MAX + 1, "%.*s", (int)n, text);
        }
        text += n + (text[n] == ',');
    }
}

void devices_join(const struct devices *devices, const char *between, char *ret_text, size_t size)
{
    size_t n = 0;

    ret_text[0] = '\0';
    for (size_t i = 0; i < devices->n && n < size; i++) {
        n += (size_t)snprintf(ret_text + n, size - n, "%s%s", i ? between : "", devices->names[i]);
    }
}

int devices_find(const struct devices *devices, const char *name)
{
    for (size_t i = 0; i < devices->n; i++) {
        if (strcmp(devices->names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Columns of latency beyond the first. */
static size_t further(const struct devices *devices)
{
    return devices->n > 1 ? devices->n - 1 : 0;
}

size_t column_of(const struct devices *devices, enum metric metric, size_t device)
{
    return metric == METRIC_LATENCY_MS  ? METRIC_LATENCY_MS + device
           : metric < METRIC_LATENCY_MS ? (size_t)metric
                                        : (size_t)metric + further(devices);
}

size_t column_count(const struct devices *devices)
{
    return METRIC_COUNT + further(devices);
}

enum metric column_metric(const struct devices *devices, size_t column)
{
    return column < METRIC_LATENCY_MS                       ? (enum metric)column
           : column <= METRIC_LATENCY_MS + further(devices) ? METRIC_LATENCY_MS
                                                            : (enum metric)(column - further(devices));
}

size_t column_device(const struct devices *devices, size_t column)
{
    return column_metric(devices, column) == METRIC_LATENCY_MS ? column - METRIC_LATENCY_MS : 0;
}

void column_name(const struct devices *devices, size_t column, char ret_name[COLUMN_NAME_MAX])
{
    const enum metric metric = column_metric(devices, column);
    const bool of_one = metric == METRIC_LATENCY_MS && devices->n > 1;

    (void)snprintf(ret_name, COLUMN_NAME_MAX, "%s%s%s", metric_names[metric], of_one ? "@" : "",
                   of_one ? devices->names[column - METRIC_LATENCY_MS] : "");
}

int column_find(const struct devices *devices, const char *name)
{
    char column[COLUMN_NAME_MAX];

    for (size_t i = 0; i < column_count(devices); i++) {
        column_name(devices, i, column);
        if (strcmp(column, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}
