/* evaluator.c - tables by (resolution, slot, choice), filled from operator lists once and summed ever after.
 */
#include "server/evaluator.h"
#include "base/model/model.h"
#include "server/accuracy.h"
#include "server/space_of_family.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const metric_names[METRIC_COUNT] = {
    [METRIC_MACS] = "macs",
    [METRIC_PARAMS] = "params",
    [METRIC_SIZE_BYTES] = "size_bytes",
    [METRIC_PEAK_MEMORY_BYTES] = "peak_memory_bytes",
    [METRIC_LATENCY_MS] = "latency_ms",
    [METRIC_ACCURACY] = "accuracy",
};

enum { CHOICES_MAX = 16 };

/* What one block, or all fixed blocks together, add: in memory the table's unit is one cache line for two choices. */
struct cell {
    double macs, params, latency_ms, memory_bytes;
};

struct resolution_table {
    struct cell fixed; /* stem, first block, head, and the latency model's constant */
    struct cell slots[NET_SLOTS_MAX][CHOICES_MAX];
};

/* Which variable of the space says what; -1 where the family has no such variable. */
struct variable_map {
    int resolution;
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
    const struct accuracy_model *accuracy;
    const struct lat_model *latency;
    unsigned n_threads;
    struct model_scratch **scratch; /* owned, one a thread */
    uint16_t *hot;                  /* owned, SEARCH_BATCH_MAX rows a thread */
    size_t hot_width;
    double latency_scale, latency_half_width;
    struct search_evaluator table;
};

/* ---- filling the tables -------------------------------------------------------------------------------------- */

static enum tl_rc cell_of_block(const struct evaluator *e, const struct network *net, size_t block, struct cell *ret,
                                struct tl_err *err)
{
    struct net_cost cost;
    double ms = NAN;
    enum tl_rc rc;

    net_cost_of(net, net->blocks[block].first_op, net->blocks[block].n_ops, &cost);
    if (e->latency && (rc = lat_model_block_ms(e->latency, net, block, &ms, err))) {
        return rc;
    }
    *ret = (struct cell){(double)cost.macs, (double)cost.params, ms, (double)cost.peak_memory_bytes};
    return TL_OK;
}

static void cell_add(struct cell *sum, const struct cell *part)
{
    sum->macs += part->macs;
    sum->params += part->params;
    sum->latency_ms += part->latency_ms;
    sum->memory_bytes = fmax(sum->memory_bytes, part->memory_bytes);
}

/* One network with every slot at `choice` shows every cell of that choice: a block's shapes do not depend on its
 * neighbours' choices. An identity slot has no block and stays at zero. */
static enum tl_rc table_fill_choice(struct evaluator *e, size_t r, uint8_t choice, struct network *net,
                                    struct tl_err *err)
{
    struct resolution_table *table = &e->tables[r];
    struct net_pick pick = {.resolution = e->narrowed.resolutions[r]};
    enum tl_rc rc;

    for (size_t s = 0; s < e->family->n_stages; s++) {
        pick.depth[s] = e->family->stages[s].n_slots;
    }
    memset(pick.choice, choice, sizeof(pick.choice));
    if ((rc = net_build(e->family, &pick, net, err))) {
        return rc;
    }
    for (size_t b = 0; b < net->n_blocks; b++) {
        const struct net_block *block = &net->blocks[b];
        struct cell cell;
        bool in_slot = block->stage >= 0 && block->stage < e->family->n_stages;
        if (!in_slot && choice > 0) {
            continue;
        }
        if ((rc = cell_of_block(e, net, b, &cell, err))) {
            return rc;
        }
        if (in_slot) {
            size_t slot = net_family_slots(e->family, (size_t)block->stage) + (size_t)block->slot;
            table->slots[slot][choice] = cell;
        } else {
            cell_add(&table->fixed, &cell);
        }
    }
    return TL_OK;
}

static enum tl_rc tables_fill(struct evaluator *e, struct tl_err *err)
{
    struct network *net = malloc(sizeof(*net));
    enum tl_rc rc = TL_OK;

    e->tables = calloc(e->narrowed.n_resolutions, sizeof(*e->tables));
    if (!net || !e->tables) {
        free(net);
        return tl_fail(err, TL_NO_MEMORY, "no memory for the tables of %s", e->family->name);
    }
    for (size_t r = 0; r < e->narrowed.n_resolutions && !rc; r++) {
        e->tables[r].fixed.latency_ms = e->latency ? lat_model_constant_ms(e->latency) : (double)NAN;
        for (uint8_t choice = 0; choice < e->family->n_choices && !rc; choice++) {
            rc = table_fill_choice(e, r, choice, net, err);
        }
    }
    free(net);
    return rc;
}

/* ---- the narrowed space -------------------------------------------------------------------------------------- */

static bool listed(const uint16_t *list, size_t n, uint16_t value)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == value) {
            return true;
        }
    }
    return false;
}

static enum tl_rc narrow(struct evaluator *e, struct tl_err *err)
{
    const uint16_t *acc_list = NULL, *lat_list = NULL;
    size_t acc_n = e->accuracy ? accuracy_resolutions(e->accuracy, &acc_list) : 0;
    size_t lat_n = e->latency ? lat_model_resolutions(e->latency, &lat_list) : 0;
    enum tl_rc rc;

    e->narrowed = *e->family;
    e->narrowed.n_resolutions = 0;
    for (size_t i = 0; i < e->family->n_resolutions; i++) {
        uint16_t side = e->family->resolutions[i];
        if ((acc_n && !listed(acc_list, acc_n, side)) || (lat_n && !listed(lat_list, lat_n, side))) {
            continue;
        }
        e->full_resolution[e->narrowed.n_resolutions] = (uint8_t)i;
        e->narrowed.resolutions[e->narrowed.n_resolutions++] = side;
    }
    if (e->narrowed.n_resolutions == 0) {
        return tl_fail(err, TL_INVALID, "the accuracy and the latency model of %s have no resolution in common",
                       e->family->name);
    }
    if ((rc = space_of_family(&e->narrowed, &e->space, err)) ||
        (rc = space_of_family(e->family, &e->full_space, err))) {
        return rc;
    }
    return TL_OK;
}

static int variable(const struct space *space, const char *format, size_t stage, size_t slot)
{
    struct tl_buf name = {.max = 64};
    int found = -1;

    /* The formats are the three literals below; stage and slot count from 1 in names. */
    if (strcmp(format, "depth") == 0) {
        found = tl_buf_addf(&name, NULL, "s%zu.depth", stage + 1) ? -1 : space_variable_find(space, name.data);
    } else {
        found = tl_buf_addf(&name, NULL, "s%zu.b%zu.%s", stage + 1, slot + 1, format)
                    ? -1
                    : space_variable_find(space, name.data);
    }
    tl_buf_done(&name);
    return found;
}

static void map_variables(struct evaluator *e)
{
    e->map.resolution = space_variable_find(&e->space, "resolution");
    for (size_t s = 0, slot = 0; s < e->family->n_stages; s++) {
        e->map.depth[s] = variable(&e->space, "depth", s, 0);
        for (size_t b = 0; b < e->family->stages[s].n_slots; b++, slot++) {
            e->map.kernel[slot] = variable(&e->space, "kernel", s, b);
            e->map.expand[slot] = variable(&e->space, "expand", s, b);
            e->map.op[slot] = variable(&e->space, "op", s, b);
        }
    }
}

void evaluator_full_arch(const struct evaluator *e, const uint8_t *arch, uint8_t *ret_full)
{
    memmove(ret_full, arch, e->space.n_variables);
    if (e->map.resolution >= 0) {
        ret_full[e->map.resolution] = e->full_resolution[arch[e->map.resolution]];
    }
}

bool evaluator_narrow_arch(const struct evaluator *e, const uint8_t *full, uint8_t *ret_arch)
{
    memmove(ret_arch, full, e->space.n_variables);
    if (e->map.resolution < 0) {
        return true;
    }
    for (uint8_t i = 0; i < e->narrowed.n_resolutions; i++) {
        if (e->full_resolution[i] == full[e->map.resolution]) {
            ret_arch[e->map.resolution] = i;
            return true;
        }
    }
    return false;
}

/* ---- values -------------------------------------------------------------------------------------------------- */

static size_t choice_at(const struct evaluator *e, const uint8_t *arch, size_t slot)
{
    if (e->map.op[slot] >= 0) {
        return arch[e->map.op[slot]];
    }
    return (size_t)arch[e->map.kernel[slot]] * e->family->n_expands + arch[e->map.expand[slot]];
}

static void sum_slots(const struct evaluator *e, const uint8_t *arch, struct cell *ret_sum)
{
    const struct resolution_table *table = &e->tables[e->map.resolution >= 0 ? arch[e->map.resolution] : 0];
    struct cell sum = table->fixed;
    size_t slot = 0;

    for (size_t s = 0; s < e->family->n_stages; s++) {
        size_t n_slots = e->family->stages[s].n_slots;
        size_t depth = e->map.depth[s] >= 0 ? e->family->stages[s].depths[arch[e->map.depth[s]]] : n_slots;
        for (size_t b = 0; b < depth; b++) {
            const struct cell *cell = &table->slots[slot + b][choice_at(e, arch, slot + b)];
            sum.macs += cell->macs;
            sum.params += cell->params;
            sum.latency_ms += cell->latency_ms;
            sum.memory_bytes = cell->memory_bytes > sum.memory_bytes ? cell->memory_bytes : sum.memory_bytes;
        }
        slot += n_slots;
    }
    *ret_sum = sum;
}

static void values_table(const struct evaluator *e, const uint8_t *arch, double out[METRIC_COUNT])
{
    struct cell sum;

    sum_slots(e, arch, &sum);
    out[METRIC_MACS] = sum.macs;
    out[METRIC_PARAMS] = sum.params;
    out[METRIC_SIZE_BYTES] = sum.params * 4.0;
    out[METRIC_PEAK_MEMORY_BYTES] = sum.memory_bytes;
    out[METRIC_LATENCY_MS] = sum.latency_ms * e->latency_scale;
}

static struct model_hot hot_rows(struct evaluator *e, const uint8_t *archs, size_t stride, size_t n, unsigned thread)
{
    uint16_t *rows = e->hot + (size_t)thread * SEARCH_BATCH_MAX * e->hot_width;

    for (size_t i = 0; i < n; i++) {
        accuracy_hot(e->accuracy, &e->space, archs + i * stride, rows + i * e->hot_width);
    }
    return (struct model_hot){rows, n, e->hot_width};
}

static void values_accuracy(struct evaluator *e, const uint8_t *archs, size_t stride, size_t n, double *out,
                            unsigned thread)
{
    double y[SEARCH_BATCH_MAX];

    if (e->accuracy) {
        struct model_hot rows = hot_rows(e, archs, stride, n, thread);
        model_predict(accuracy_regression(e->accuracy), e->scratch[thread], &rows, y);
    }
    for (size_t i = 0; i < n; i++) {
        out[i * SEARCH_METRICS_MAX + METRIC_ACCURACY] = e->accuracy ? y[i] : (double)NAN;
    }
}

static enum tl_rc values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err)
{
    struct evaluator *e = ctx;

    if (n > SEARCH_BATCH_MAX || thread >= e->n_threads) {
        return tl_fail(err, TL_INVALID, "a batch of %zu on thread %u is over the evaluator's limits", n, thread);
    }
    if (first < METRIC_ACCURACY) {
        for (size_t i = 0; i < n; i++) {
            double row[METRIC_COUNT];
            values_table(e, archs + i * stride, row);
            size_t end = first + n_metrics < METRIC_ACCURACY ? first + n_metrics : METRIC_ACCURACY;
            for (size_t m = first; m < end; m++) {
                out[i * SEARCH_METRICS_MAX + m] = row[m];
            }
        }
    }
    if (first + n_metrics > METRIC_ACCURACY) {
        values_accuracy(e, archs, stride, n, out, thread);
    }
    return TL_OK;
}

void evaluator_describe(struct evaluator *e, const uint8_t *arch, struct metric_value ret_values[METRIC_COUNT])
{
    double row[SEARCH_METRICS_MAX];

    values_table(e, arch, row);
    values_accuracy(e, arch, e->space.n_variables, 1, row, 0);
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        ret_values[m] = (struct metric_value){row[m], 0.0};
    }
    if (e->latency) {
        double relative = e->latency_half_width;
        ret_values[METRIC_LATENCY_MS].half_width = isnan(relative) ? HUGE_VAL : relative * row[METRIC_LATENCY_MS];
    }
    if (e->accuracy) {
        struct model_hot rows = hot_rows(e, arch, e->space.n_variables, 1, 0);
        model_half_width(accuracy_regression(e->accuracy), e->scratch[0], &rows,
                         &ret_values[METRIC_ACCURACY].half_width);
    }
}

/* ---- ranges -------------------------------------------------------------------------------------------------- */

static double cell_metric(const struct cell *cell, enum metric metric)
{
    const double by_metric[METRIC_COUNT] = {cell->macs,         cell->params,     cell->params * 4.0,
                                            cell->memory_bytes, cell->latency_ms, (double)NAN};
    return by_metric[metric];
}

/* Best or worst of one metric over everything a stage can hold, added to `sum`. Values are not negative, except corrected
 * latencies, for which taking each depth in turn is still exact. */
static double stage_extreme(const struct evaluator *e, const struct resolution_table *table, size_t stage,
                            enum metric metric, bool want_max, double sum)
{
    size_t first = net_family_slots(e->family, stage), n_slots = e->family->stages[stage].n_slots;
    bool elastic = e->map.depth[stage] >= 0, memory = metric == METRIC_PEAK_MEMORY_BYTES;
    double best = NAN, total = sum;

    for (size_t b = 0; b < n_slots; b++) {
        double extreme = cell_metric(&table->slots[first + b][0], metric);
        for (size_t c = 1; c < e->family->n_choices; c++) {
            double value = cell_metric(&table->slots[first + b][c], metric);
            extreme = want_max ? fmax(extreme, value) : fmin(extreme, value);
        }
        total = memory ? fmax(total, extreme) : total + extreme;
        bool ends_here = b + 1 == n_slots;
        for (size_t d = 0; elastic && d < e->family->stages[stage].n_depths; d++) {
            ends_here = ends_here || e->family->stages[stage].depths[d] == b + 1;
        }
        if (ends_here) {
            best = isnan(best) ? total : want_max ? fmax(best, total) : fmin(best, total);
        }
    }
    return best;
}

static double table_extreme(const struct evaluator *e, enum metric metric, bool want_max)
{
    double best = NAN;

    for (size_t r = 0; r < e->narrowed.n_resolutions; r++) {
        double sum = cell_metric(&e->tables[r].fixed, metric);
        for (size_t s = 0; s < e->family->n_stages; s++) {
            sum = stage_extreme(e, &e->tables[r], s, metric, want_max, sum);
        }
        best = isnan(best) ? sum : want_max ? fmax(best, sum) : fmin(best, sum);
    }
    return metric == METRIC_LATENCY_MS ? best * e->latency_scale : best;
}

static double accuracy_of(struct evaluator *e, const uint8_t *arch)
{
    double row[SEARCH_METRICS_MAX];

    values_accuracy(e, arch, e->space.n_variables, 1, row, 0);
    return row[METRIC_ACCURACY];
}

/* Coordinate ascent from the last (or first) option of every variable: accuracy rises with size nearly everywhere, so two
 * or three sweeps end it; at most eight are made. */
static double accuracy_extreme(struct evaluator *e, bool want_max, double *ret_slack)
{
    uint8_t arch[SPACE_VARIABLES_MAX], trial[SPACE_VARIABLES_MAX];
    struct metric_value at_end[METRIC_COUNT];
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
    *ret_slack = at_end[METRIC_ACCURACY].half_width == HUGE_VAL ? 0.0 : at_end[METRIC_ACCURACY].half_width;
    return best;
}

void evaluator_ranges(struct evaluator *e, struct metric_range ret_ranges[METRIC_COUNT])
{
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        struct metric_range *range = &ret_ranges[m];
        *range = (struct metric_range){NAN, NAN, 0.0, 0.0};
        if (!evaluator_has(e, m)) {
            continue;
        }
        if (m == METRIC_ACCURACY) {
            range->min = accuracy_extreme(e, false, &range->min_slack);
            range->max = accuracy_extreme(e, true, &range->max_slack);
            continue;
        }
        range->min = table_extreme(e, m, false);
        range->max = table_extreme(e, m, true);
        if (m == METRIC_LATENCY_MS && !isnan(e->latency_half_width)) {
            range->min_slack = range->min * e->latency_half_width;
            range->max_slack = range->max * e->latency_half_width;
        }
    }
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

static enum tl_rc scratch_make(struct evaluator *e, struct tl_err *err)
{
    enum tl_rc rc;

    if (!e->accuracy) {
        return TL_OK;
    }
    e->hot_width = accuracy_hot_width(e->accuracy);
    e->hot = calloc((size_t)e->n_threads * SEARCH_BATCH_MAX * e->hot_width, sizeof(*e->hot));
    e->scratch = calloc(e->n_threads, sizeof(struct model_scratch *));
    if (!e->hot || !e->scratch) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to evaluate accuracy on %u threads", e->n_threads);
    }
    for (unsigned t = 0; t < e->n_threads; t++) {
        if ((rc = model_scratch_new(accuracy_regression(e->accuracy), SEARCH_BATCH_MAX, &e->scratch[t], err))) {
            return rc;
        }
    }
    return TL_OK;
}

enum tl_rc evaluator_new(const struct net_family *family, const struct accuracy_model *accuracy,
                         const struct lat_model *latency, unsigned n_threads, struct evaluator **ret_evaluator,
                         struct tl_err *err)
{
    struct evaluator *e = calloc(1, sizeof(*e));
    enum tl_rc rc;

    if (!e) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an evaluator");
    }
    e->family = family;
    e->accuracy = accuracy;
    e->latency = latency;
    e->n_threads = n_threads;
    e->latency_scale = 1.0;
    e->latency_half_width = latency ? lat_model_error(latency)->half_width : (double)NAN;
    e->table = (struct search_evaluator){e, METRIC_COUNT, METRIC_ACCURACY, values};
    if ((rc = narrow(e, err)) || (rc = tables_fill(e, err)) || (rc = scratch_make(e, err))) {
        evaluator_free(e);
        return rc;
    }
    map_variables(e);
    *ret_evaluator = e;
    return TL_OK;
}

void evaluator_free(struct evaluator *e)
{
    if (!e) {
        return;
    }
    for (unsigned t = 0; e->scratch && t < e->n_threads; t++) {
        model_scratch_free(e->scratch[t]);
    }
    free(e->scratch);
    free(e->hot);
    free(e->tables);
    free(e);
}

const struct space *evaluator_space(const struct evaluator *e)
{
    return &e->space;
}

const struct space *evaluator_full_space(const struct evaluator *e)
{
    return &e->full_space;
}

const struct search_evaluator *evaluator_table(struct evaluator *e)
{
    return &e->table;
}

bool evaluator_has(const struct evaluator *e, enum metric metric)
{
    return metric == METRIC_LATENCY_MS ? e->latency != NULL : metric == METRIC_ACCURACY ? e->accuracy != NULL : true;
}

void evaluator_correct(struct evaluator *e, double scale, double relative_half_width)
{
    e->latency_scale = scale;
    if (!isnan(relative_half_width)) {
        e->latency_half_width = relative_half_width;
    }
}
