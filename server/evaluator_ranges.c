/* evaluator_ranges.c - the best and the worst of each metric over a whole space.
 */
#include "server/evaluator_tables.h"
#include "server/evaluator_worker.h"

#include <math.h>
#include <string.h>

double tables_extreme(const struct evaluator *e, enum metric metric, bool want_max)
{
    const double sign = want_max ? -1 : 1;
    struct weighing w = {.memory_max = HUGE_VAL};
    double best = (double)NAN;

    w.weights[metric] = sign;
    for (size_t r = 0; r < e->narrowed.n_resolutions; r++) {
        struct cell least;
        if (tables_least(e, r, &w, &least)) {
            best = fmin(best, sign * cell_metric(&least, metric)); /* of a number and NAN the number */
        }
    }
    return sign * best * (metric == METRIC_LATENCY_MS ? e->latency_scale : 1);
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
        if (!evaluator_has(e, c) || (evaluator_workers(e) >> m & 1U)) { /* nobody knows what workers will say */
            continue;
        }
        if (m == METRIC_ACCURACY) {
            range->min = accuracy_extreme(e, false, &range->min_slack);
            range->max = accuracy_extreme(e, true, &range->max_slack);
            continue;
        }
        range->min = tables_extreme(of, m, false);
        range->max = tables_extreme(of, m, true);
        if (m == METRIC_LATENCY_MS && !isnan(of->latency_half_width)) {
            range->min_slack = range->min * of->latency_half_width;
            range->max_slack = range->max * of->latency_half_width;
        }
    }
}
