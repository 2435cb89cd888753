/* evaluator_tables.h - inside an evaluator: what evaluator.c fills and sums, and evaluator_least.c looks for extremes in.
 */
#ifndef TAILOR_EVALUATOR_TABLES_H
#define TAILOR_EVALUATOR_TABLES_H

#include "server/evaluator.h"

#include <math.h>

/* What one block, or some blocks together, add: in memory the table's unit is one cache line for two choices. */
struct cell {
    double macs, params, latency_ms, memory_bytes;
};

/* Widths are indices of multipliers, all 0 where none is elastic. What a block costs depends on two of them at most: those
 * before and behind the stem's last convolution, or a slot. */
struct resolution_table {
    struct cell stem[NET_WIDTHS_MAX][NET_WIDTHS_MAX][2]; /* with first block and the latency model's constant */
    struct cell head[NET_WIDTHS_MAX];
    struct cell *slots; /* of the evaluator's cells */
};

/* Which variable of the space says what; -1 where the family has no such variable. */
struct variable_map {
    int resolution, stem_depth;
    int width[NET_PLACES_MAX];
    int depth[NET_STAGES_MAX];
    int kernel[NET_SLOTS_MAX], expand[NET_SLOTS_MAX], op[NET_SLOTS_MAX];
};

struct evaluator_workers; /* evaluator_worker.c */

struct evaluator {
    const struct net_family *family; /* the whole one, static */
    struct net_family narrowed;
    struct space space, full_space;
    uint8_t full_resolution[SPACE_OPTIONS_MAX]; /* narrowed resolution option -> the whole space's */
    struct variable_map map;
    struct resolution_table *tables; /* owned, one a narrowed resolution */
    struct cell *cells;              /* owned: (resolution, slot, width before, own width, choice) */
    size_t n_widths;                 /* of the cells: at least 1 */
    const struct accuracy_model *accuracy;
    const struct lat_model *latency;
    unsigned n_threads;
    struct model_scratch **scratch; /* owned, one a thread */
    uint16_t *hot;                  /* owned, SEARCH_BATCH_MAX rows a thread */
    size_t hot_width;
    double latency_scale, latency_half_width;
    struct search_evaluator table;
    struct devices devices;
    size_t accuracy_at;                         /* its column */
    struct evaluator *further[DEVICES_MAX - 1]; /* owned: of latency alone, of every device but the first */
    const struct value_table
        *rows;                    /* borrowed; NULL: of a family, as above. Else the above is empty, and this is all: */
    int rows_column[COLUMNS_MAX]; /* of the rows; -1: none */
    struct value_table *own_rows; /* owned; NULL: the rows are somebody else's */
    struct evaluator_workers *workers; /* owned, of one device or none; NULL: everything is valued here */
};

/* The cells of a slot under two widths, one a choice. Borrowed. */
static inline struct cell *slot_cells(const struct evaluator *e, const struct resolution_table *table, size_t slot,
                                      size_t before, size_t own)
{
    return table->slots + ((slot * e->n_widths + before) * e->n_widths + own) * e->family->n_choices;
}

static inline void cell_add(struct cell *sum, const struct cell *part)
{
    sum->macs += part->macs;
    sum->params += part->params;
    sum->latency_ms += part->latency_ms;
    sum->memory_bytes = part->memory_bytes > sum->memory_bytes ? part->memory_bytes : sum->memory_bytes;
}

/* Latency without the search's correction; NAN for accuracy. */
static inline double cell_metric(const struct cell *cell, enum metric metric)
{
    const double by_metric[METRIC_COUNT] = {cell->macs,         cell->params,     cell->params * 4.0,
                                            cell->memory_bytes, cell->latency_ms, (double)NAN};
    return by_metric[metric];
}

/* What is to be least: the weighted sum of an architecture's costs. Peak memory, which is no sum, may have a weight only
 * where nothing else has one. */
struct weighing {
    double weights[METRIC_COUNT]; /* any sign; accuracy: 0 */
    double memory_max;            /* only networks whose peak memory is at most this; HUGE_VAL: all */
};

/* The costs of an architecture whose weighted sum is least among those of one resolution: exact, in time linear in the
 * number of cells. false: none is allowed. */
bool tables_least(const struct evaluator *e, size_t resolution, const struct weighing *weighing,
                  struct cell *ret_least);

/* The least or the most of one cost over all architectures, latency (the first device's) with the search's correction. */
double tables_extreme(const struct evaluator *e, enum metric metric, bool want_max);

/* Predicted accuracies of n architectures, `stride` bytes apart, at out[i * SEARCH_METRICS_MAX + accuracy_at]; NAN without
 * a model. */
void evaluator_accuracy(struct evaluator *e, const uint8_t *archs, size_t stride, size_t n, double *out,
                        unsigned thread);

/* The same as the public ones, of an evaluator of rows. */
void rows_describe(const struct evaluator *e, const uint8_t *arch, struct metric_value ret_values[COLUMNS_MAX]);
void rows_ranges(const struct evaluator *e, struct metric_range ret_ranges[COLUMNS_MAX]);

#endif
