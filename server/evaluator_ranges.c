/* evaluator_ranges.c - the best and the worst of each metric over a whole space.
 *
 * One idea: costs are sums of cells that depend on a choice and on two widths, so stage after stage the extreme sum for
 * each width is all that the next stage needs: exact, without looking at architectures.
 */
#include "server/evaluator_tables.h"

#include <math.h>
#include <string.h>

static double cell_metric(const struct cell *cell, enum metric metric)
{
    const double by_metric[METRIC_COUNT] = {cell->macs,         cell->params,     cell->params * 4.0,
                                            cell->memory_bytes, cell->latency_ms, (double)NAN};
    return by_metric[metric];
}

static double better(double a, double b, bool want_max)
{
    return want_max ? fmax(a, b) : fmin(a, b); /* of a number and NAN the number */
}

static double with(double sum, const struct cell *cell, enum metric metric)
{
    const double value = cell_metric(cell, metric);
    return metric == METRIC_PEAK_MEMORY_BYTES ? fmax(sum, value) : sum + value;
}

/* Two widths beside a stage, and the choices [from, to) that its slots have. */
struct stage_view {
    size_t stage, before, own, from, to;
};

/* Best or worst of one metric over everything that a stage can hold, added to `sum`. Values are not negative, except
 * corrected latencies, for which taking each depth in turn is still exact. */
static double stage_extreme(const struct evaluator *e, const struct resolution_table *table,
                            const struct stage_view *view, enum metric metric, bool want_max, double sum)
{
    const struct net_stage *stage = &e->family->stages[view->stage];
    const size_t first = net_family_slots(e->family, view->stage);
    double best = NAN, total = sum;

    for (size_t b = 0; b < stage->n_slots; b++) {
        const struct cell *cells = slot_cells(e, table, first + b, view->before, view->own);
        double extreme = NAN;
        for (size_t c = view->from; c < view->to; c++) {
            extreme = better(extreme, with(total, &cells[c], metric), want_max);
        }
        total = extreme;
        bool ends_here = b + 1 == stage->n_slots;
        for (size_t d = 0; d < stage->n_depths; d++) {
            ends_here = ends_here || stage->depths[d] == b + 1;
        }
        best = ends_here ? better(best, total, want_max) : best;
    }
    return best;
}

/* The same over the choices that all slots of a stage may share. */
static double stage_choices_extreme(const struct evaluator *e, const struct resolution_table *table, size_t stage,
                                    size_t before, size_t own, enum metric metric, bool want_max, double sum)
{
    const size_t n = e->family->n_choices, step = e->family->per_stage ? 1 : n;
    double best = NAN;

    for (size_t c = 0; c < n; c += step) {
        const struct stage_view view = {stage, before, own, c, c + step};
        best = better(best, stage_extreme(e, table, &view, metric, want_max, sum), want_max);
    }
    return best;
}

/* Widths at a place: how many cells are kept apart. */
static size_t widths_at(const struct evaluator *e, size_t place)
{
    return net_family_elastic_width(e->family, place) ? e->n_widths : 1;
}

static double stem_extreme(const struct evaluator *e, const struct resolution_table *table, size_t own,
                           enum metric metric, bool want_max)
{
    double best = NAN;

    for (size_t mid = 0; mid < widths_at(e, NET_PLACE_MID); mid++) {
        for (size_t depth = 0; depth < (net_family_elastic_stem(e->family) ? 2U : 1U); depth++) {
            best = better(best, cell_metric(&table->stem[mid][own][depth], metric), want_max);
        }
    }
    return best;
}

/* Stage by stage the best so far for each width, since the next stage sees no more of those before it. */
static double resolution_extreme(const struct evaluator *e, const struct resolution_table *table, enum metric metric,
                                 bool want_max)
{
    double sums[NET_WIDTHS_MAX], best = NAN;
    size_t n = widths_at(e, NET_PLACE_STEM);

    for (size_t w = 0; w < n; w++) {
        sums[w] = stem_extreme(e, table, w, metric, want_max);
    }
    for (size_t s = 0; s < e->family->n_stages; s++) {
        const size_t n_own = widths_at(e, NET_PLACE_STAGE + s);
        double next[NET_WIDTHS_MAX] = {0};
        for (size_t own = 0; own < n_own; own++) {
            next[own] = NAN;
            for (size_t w = 0; w < n; w++) {
                const double sum = stage_choices_extreme(e, table, s, w, own, metric, want_max, sums[w]);
                next[own] = better(next[own], sum, want_max);
            }
        }
        memcpy(sums, next, sizeof sums);
        n = n_own;
    }
    for (size_t w = 0; w < n; w++) {
        best = better(best, with(sums[w], &table->head[w], metric), want_max);
    }
    return best;
}

static double table_extreme(const struct evaluator *e, enum metric metric, bool want_max)
{
    double best = NAN;

    for (size_t r = 0; r < e->narrowed.n_resolutions; r++) {
        best = better(best, resolution_extreme(e, &e->tables[r], metric, want_max), want_max);
    }
    return metric == METRIC_LATENCY_MS ? best * e->latency_scale : best;
}

static double accuracy_of(struct evaluator *e, const uint8_t *arch)
{
    double row[SEARCH_METRICS_MAX];

    evaluator_accuracy(e, arch, e->space.n_variables, 1, row, 0);
    return row[e->accuracy_at];
}

/* Coordinate ascent from the last (or first) option of every variable: accuracy rises with size nearly everywhere, so two
 * or three sweeps end it; at most eight are made. */
static double accuracy_extreme(struct evaluator *e, bool want_max, double *ret_slack)
{
    uint8_t arch[SPACE_VARIABLES_MAX], trial[SPACE_VARIABLES_MAX];
    struct metric_value at_end[COLUMNS_MAX];
    double best, before;
    int sweep = 0;

    for (size_t v = 0; v < e->space.n_variables; v++) {
        arch[v] = want_max ? (uint8_t)(e->space.variables[v].n_options - 1) : 0;
    }
    best = accuracy_of(e, arch);
    do {
        before = best;
        for (size_t v = 0; v < e->space.n_variables; v++) {
            for (uint8_t option = 0; option < e->space.variables[v].n_options; option++) {
                memcpy(trial, arch, e->space.n_variables);
                trial[v] = option;
                space_canonical(&e->space, trial);
                double value = accuracy_of(e, trial);
                if (want_max ? value > best : value < best) {
                    best = value;
                    arch[v] = option;
                }
            }
        }
    } while (best != before && ++sweep < 8);
    space_canonical(&e->space, arch);
    evaluator_describe(e, arch, at_end);
    *ret_slack = at_end[e->accuracy_at].half_width == HUGE_VAL ? 0.0 : at_end[e->accuracy_at].half_width;
    return best;
}

void evaluator_ranges(struct evaluator *e, struct metric_range ret_ranges[COLUMNS_MAX])
{
    if (e->rows) {
        rows_ranges(e, ret_ranges);
        return;
    }
    for (size_t c = 0; c < column_count(&e->devices); c++) {
        const enum metric m = column_metric(&e->devices, c);
        const size_t device = column_device(&e->devices, c);
        const struct evaluator *of = device == 0 ? e : e->further[device - 1];
        struct metric_range *range = &ret_ranges[c];
        *range = (struct metric_range){NAN, NAN, 0.0, 0.0};
        if (!evaluator_has(e, c)) {
            continue;
        }
        if (m == METRIC_ACCURACY) {
            range->min = accuracy_extreme(e, false, &range->min_slack);
            range->max = accuracy_extreme(e, true, &range->max_slack);
            continue;
        }
        range->min = table_extreme(of, m, false);
        range->max = table_extreme(of, m, true);
        if (m == METRIC_LATENCY_MS && !isnan(of->latency_half_width)) {
            range->min_slack = range->min * of->latency_half_width;
            range->max_slack = range->max * of->latency_half_width;
        }
    }
}
