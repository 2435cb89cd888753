/* evaluator_tables.h - inside an evaluator: what evaluator.c fills and sums, and evaluator_ranges.c looks for extremes in.
 */
#ifndef TAILOR_EVALUATOR_TABLES_H
#define TAILOR_EVALUATOR_TABLES_H

#include "server/evaluator.h"

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
};

/* The cells of a slot under two widths, one a choice. Borrowed. */
static inline struct cell *slot_cells(const struct evaluator *e, const struct resolution_table *table, size_t slot,
                                      size_t before, size_t own)
{
    return table->slots + ((slot * e->n_widths + before) * e->n_widths + own) * e->family->n_choices;
}

/* Predicted accuracies of n architectures, `stride` bytes apart, at out[i * SEARCH_METRICS_MAX + accuracy_at]; NAN without
 * a model. */
void evaluator_accuracy(struct evaluator *e, const uint8_t *archs, size_t stride, size_t n, double *out,
                        unsigned thread);

/* The same as the public ones, of an evaluator of rows. */
void rows_describe(const struct evaluator *e, const uint8_t *arch, struct metric_value ret_values[COLUMNS_MAX]);
void rows_ranges(const struct evaluator *e, struct metric_range ret_ranges[COLUMNS_MAX]);

#endif
