/* evaluator.c - tables by (resolution, slot, widths, choice), filled from operator lists once and summed ever after.
 */
#include "base/model/model.h"
#include "server/accuracy.h"
#include "server/evaluator_table.h"
#include "server/evaluator_tables.h"
#include "server/evaluator_worker.h"
#include "server/space_of_family.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The network that shows every cell of a choice under two widths: every slot at `choice`, the places at `even` and `odd` in
 * turn. A block's shapes do not depend on its neighbours' choices. */
struct showing {
    size_t even, odd;
    uint8_t choice, stem_depth;
};

static size_t width_of(const struct showing *showing, size_t place)
{
    return place % 2 ? showing->odd : showing->even;
}

static void show(const struct evaluator *e, const struct showing *showing, size_t r, struct net_pick *ret_pick)
{
    net_family_extreme(e->family, e->narrowed.resolutions[r], true, ret_pick);
    memset(ret_pick->choice, showing->choice, sizeof(ret_pick->choice));
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        ret_pick->width[place] = (uint8_t)width_of(showing, place);
    }
    ret_pick->stem_depth = showing->stem_depth;
}

/* Put the blocks of a shown network where they belong. An identity slot has no block and stays at zero. */
static enum tl_rc keep_blocks(struct evaluator *e, size_t r, const struct showing *showing, const struct network *net,
                              struct tl_err *err)
{
    struct resolution_table *table = &e->tables[r];
    struct cell *stem = &table->stem[showing->even][showing->odd][showing->stem_depth];
    const size_t last = NET_PLACE_STAGE + e->family->n_stages - 1U;

    *stem = (struct cell){.latency_ms = e->latency ? lat_model_constant_ms(e->latency) : (double)NAN};
    for (size_t b = 0; b < net->n_blocks; b++) {
        const struct net_block *block = &net->blocks[b];
        struct cell cell;
        const enum tl_rc rc = cell_of_block(e, net, b, &cell, err);
        if (rc) {
            return rc;
        }
        if (block->stage < 0) {
            cell_add(stem, &cell);
        } else if (block->slot < 0) {
            table->head[width_of(showing, last)] = cell;
        } else {
            const size_t place = NET_PLACE_STAGE + (size_t)block->stage;
            const size_t slot = net_family_slots(e->family, (size_t)block->stage) + (size_t)block->slot;
            slot_cells(e, table, slot, width_of(showing, place - 1), width_of(showing, place))[showing->choice] = cell;
        }
    }
    return TL_OK;
}

/* All choices, under all pairs of widths and depths of the stem. */
static enum tl_rc table_fill(struct evaluator *e, size_t r, struct network *net, struct tl_err *err)
{
    const size_t n_depths = net_family_elastic_stem(e->family) ? 2 : 1;
    const size_t pairs = e->n_widths * e->n_widths;

    for (size_t i = 0; i < pairs * n_depths * e->family->n_choices; i++) {
        const size_t pair = i / n_depths / e->family->n_choices;
        const struct showing showing = {.even = pair / e->n_widths,
                                        .odd = pair % e->n_widths,
                                        .stem_depth = (uint8_t)(i / e->family->n_choices % n_depths),
                                        .choice = (uint8_t)(i % e->family->n_choices)};
        struct net_pick pick;
        enum tl_rc rc;
        show(e, &showing, r, &pick);
        if ((rc = net_build(e->family, &pick, net, err)) || (rc = keep_blocks(e, r, &showing, net, err))) {
            return rc;
        }
    }
    return TL_OK;
}

static enum tl_rc tables_fill(struct evaluator *e, struct tl_err *err)
{
    struct network *net = malloc(sizeof(*net));
    enum tl_rc rc = TL_OK;

    e->n_widths = e->family->n_widths ? e->family->n_widths : 1;
    const size_t n_slots = net_family_slots(e->family, e->family->n_stages);
    const size_t each = n_slots * e->n_widths * e->n_widths * e->family->n_choices;
    e->tables = calloc(e->narrowed.n_resolutions, sizeof(*e->tables));
    e->cells = calloc(e->narrowed.n_resolutions * each, sizeof(*e->cells));
    if (!net || !e->tables || !e->cells) {
        free(net);
        return tl_fail(err, TL_NO_MEMORY, "no memory for the tables of %s", e->family->name);
    }
    for (size_t r = 0; r < e->narrowed.n_resolutions && !rc; r++) {
        e->tables[r].slots = e->cells + r * each;
        rc = table_fill(e, r, net, err);
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

/* Is this model valid at a resolution? One that is absent forbids nothing, nor one that names none. */
static bool accuracy_valid(const struct accuracy_model *accuracy, uint16_t side)
{
    const uint16_t *list = NULL;
    const size_t n = accuracy ? accuracy_resolutions(accuracy, &list) : 0;
    return n == 0 || listed(list, n, side);
}

static bool latency_valid(const struct lat_model *latency, uint16_t side)
{
    const uint16_t *list = NULL;
    const size_t n = latency ? lat_model_resolutions(latency, &list) : 0;
    return n == 0 || listed(list, n, side);
}

static enum tl_rc narrow(struct evaluator *e, const struct lat_model *const *latency, struct tl_err *err)
{
    enum tl_rc rc;

    e->narrowed = *e->family;
    e->narrowed.n_resolutions = 0;
    for (size_t i = 0; i < e->family->n_resolutions; i++) {
        uint16_t side = e->family->resolutions[i];
        bool valid = accuracy_valid(e->accuracy, side);
        for (size_t d = 0; d < e->devices.n; d++) {
            valid = valid && latency_valid(latency[d], side);
        }
        if (!valid) {
            continue;
        }
        e->full_resolution[e->narrowed.n_resolutions] = (uint8_t)i;
        e->narrowed.resolutions[e->narrowed.n_resolutions++] = side;
    }
    if (e->narrowed.n_resolutions == 0) {
        return tl_fail(err, TL_INVALID, "the accuracy and the latency model%s of %s have no resolution in common",
                       e->devices.n > 1 ? "s" : "", e->family->name);
    }
    if ((rc = space_of_family(&e->narrowed, &e->space, err)) ||
        (rc = space_of_family(e->family, &e->full_space, err))) {
        return rc;
    }
    return TL_OK;
}

/* "s1.WHAT", or "s1.b1.WHAT"; where all slots of a stage hold the same, theirs is the stage's. */
static int variable(const struct evaluator *e, size_t stage, const size_t *slot, const char *what)
{
    char name[SPACE_LABEL_MAX];

    if (slot && !e->family->per_stage) {
        (void)snprintf(name, sizeof name, "s%zu.b%zu.%s", stage + 1, *slot + 1, what);
    } else {
        (void)snprintf(name, sizeof name, "s%zu.%s", stage + 1, what);
    }
    return space_variable_find(&e->space, name);
}

static void map_variables(struct evaluator *e)
{
    e->map.resolution = space_variable_find(&e->space, "resolution");
    e->map.stem_depth = space_variable_find(&e->space, "stem.depth");
    e->map.width[NET_PLACE_MID] = space_variable_find(&e->space, "stem.mid");
    e->map.width[NET_PLACE_STEM] = space_variable_find(&e->space, "stem.width");
    for (size_t s = 0, slot = 0; s < e->family->n_stages; s++) {
        e->map.width[NET_PLACE_STAGE + s] = variable(e, s, NULL, "width");
        e->map.depth[s] = variable(e, s, NULL, "depth");
        for (size_t b = 0; b < e->family->stages[s].n_slots; b++, slot++) {
            e->map.kernel[slot] = variable(e, s, &b, "kernel");
            e->map.expand[slot] = variable(e, s, &b, "expand");
            e->map.op[slot] = variable(e, s, &b, "op");
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

/* The option taken of a variable; 0 where there is none. */
static size_t option_at(const uint8_t *arch, int at)
{
    return at >= 0 ? arch[at] : 0U;
}

static size_t choice_at(const struct evaluator *e, const uint8_t *arch, size_t slot)
{
    if (e->map.op[slot] >= 0) {
        return arch[e->map.op[slot]];
    }
    return option_at(arch, e->map.kernel[slot]) * e->family->n_expands + option_at(arch, e->map.expand[slot]);
}

static void sum_slots(const struct evaluator *e, const uint8_t *arch, struct cell *ret_sum)
{
    const struct resolution_table *table = &e->tables[option_at(arch, e->map.resolution)];
    size_t before = option_at(arch, e->map.width[NET_PLACE_STEM]), slot = 0;
    struct cell sum =
        table->stem[option_at(arch, e->map.width[NET_PLACE_MID])][before][option_at(arch, e->map.stem_depth)];

    for (size_t s = 0; s < e->family->n_stages; s++) {
        const struct net_stage *stage = &e->family->stages[s];
        const size_t depth = e->map.depth[s] >= 0 ? stage->depths[arch[e->map.depth[s]]] : stage->n_slots;
        const size_t own = option_at(arch, e->map.width[NET_PLACE_STAGE + s]);
        for (size_t b = 0; b < depth; b++) {
            const struct cell *cell = slot_cells(e, table, slot + b, before, own) + choice_at(e, arch, slot + b);
            sum.macs += cell->macs;
            sum.params += cell->params;
            sum.latency_ms += cell->latency_ms;
            sum.memory_bytes = cell->memory_bytes > sum.memory_bytes ? cell->memory_bytes : sum.memory_bytes;
        }
        slot += stage->n_slots;
        before = own;
    }
    cell_add(&sum, &table->head[before]);
    *ret_sum = sum;
}

static void values_table(const struct evaluator *e, const uint8_t *arch, double out[COLUMNS_MAX])
{
    struct cell sum;

    sum_slots(e, arch, &sum);
    out[METRIC_MACS] = sum.macs;
    out[METRIC_PARAMS] = sum.params;
    out[METRIC_SIZE_BYTES] = sum.params * 4.0;
    out[METRIC_PEAK_MEMORY_BYTES] = sum.memory_bytes;
    out[METRIC_LATENCY_MS] = sum.latency_ms * e->latency_scale;
    for (size_t d = 1; d < e->devices.n; d++) {
        sum_slots(e->further[d - 1], arch, &sum);
        out[METRIC_LATENCY_MS + d] = sum.latency_ms * e->further[d - 1]->latency_scale;
    }
}

static struct model_hot hot_rows(struct evaluator *e, const uint8_t *archs, size_t stride, size_t n, unsigned thread)
{
    uint16_t *rows = e->hot + (size_t)thread * SEARCH_BATCH_MAX * e->hot_width;

    for (size_t i = 0; i < n; i++) {
        accuracy_hot(e->accuracy, &e->space, archs + i * stride, rows + i * e->hot_width);
    }
    return (struct model_hot){rows, n, e->hot_width};
}

void evaluator_accuracy(struct evaluator *e, const uint8_t *archs, size_t stride, size_t n, double *out,
                        unsigned thread)
{
    double y[SEARCH_BATCH_MAX];

    if (e->accuracy) {
        struct model_hot rows = hot_rows(e, archs, stride, n, thread);
        model_predict(accuracy_regression(e->accuracy), e->scratch[thread], &rows, y);
    }
    for (size_t i = 0; i < n; i++) {
        out[i * SEARCH_METRICS_MAX + e->accuracy_at] = e->accuracy ? y[i] : (double)NAN;
    }
}

static enum tl_rc values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err)
{
    struct evaluator *e = ctx;

    if (n > SEARCH_BATCH_MAX || thread >= e->n_threads) {
        return tl_fail(err, TL_INVALID, "a batch of %zu on thread %u is over the evaluator's limits", n, thread);
    }
    if (first < e->accuracy_at) {
        for (size_t i = 0; i < n; i++) {
            double row[COLUMNS_MAX];
            values_table(e, archs + i * stride, row);
            size_t end = first + n_metrics < e->accuracy_at ? first + n_metrics : e->accuracy_at;
            for (size_t m = first; m < end; m++) {
                out[i * SEARCH_METRICS_MAX + m] = row[m];
            }
        }
    }
    if (first + n_metrics > e->accuracy_at) {
        evaluator_accuracy(e, archs, stride, n, out, thread);
    }
    return TL_OK;
}

/* That of one device: the evaluator itself, or one of its further ones. */
static struct evaluator *of_device(struct evaluator *e, size_t device)
{
    return device == 0 ? e : e->further[device - 1];
}

void evaluator_describe(struct evaluator *e, const uint8_t *arch, struct metric_value ret_values[COLUMNS_MAX])
{
    double row[SEARCH_METRICS_MAX];

    if (e->rows) {
        rows_describe(e, arch, ret_values);
        return;
    }
    values_table(e, arch, row);
    evaluator_accuracy(e, arch, e->space.n_variables, 1, row, 0);
    for (size_t c = 0; c < column_count(&e->devices); c++) {
        ret_values[c] = (struct metric_value){row[c], 0.0};
    }
    for (size_t d = 0; d < e->devices.n; d++) {
        const double relative = of_device(e, d)->latency_half_width, ms = row[METRIC_LATENCY_MS + d];
        ret_values[METRIC_LATENCY_MS + d].half_width = isnan(relative) ? HUGE_VAL : relative * ms;
    }
    if (e->accuracy) {
        struct model_hot rows = hot_rows(e, arch, e->space.n_variables, 1, 0);
        model_half_width(accuracy_regression(e->accuracy), e->scratch[0], &rows,
                         &ret_values[e->accuracy_at].half_width);
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
    const struct devices one = {.n = latency ? 1 : 0};
    return evaluator_new_for(family, accuracy, &one, &latency, n_threads, ret_evaluator, err);
}

/* The other devices' latencies are those of evaluators of their own, over the space that all of them narrow. */
static enum tl_rc further_make(struct evaluator *e, const struct lat_model *const *latency, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t d = 1; d < e->devices.n && !rc; d++) {
        rc = evaluator_new(&e->narrowed, NULL, latency[d], 1, &e->further[d - 1], err);
    }
    return rc;
}

enum tl_rc evaluator_new_for(const struct net_family *family, const struct accuracy_model *accuracy,
                             const struct devices *devices, const struct lat_model *const *latency, unsigned n_threads,
                             struct evaluator **ret_evaluator, struct tl_err *err)
{
    struct evaluator *e = calloc(1, sizeof(*e));
    enum tl_rc rc;

    if (!e) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an evaluator");
    }
    e->family = family;
    e->accuracy = accuracy;
    e->devices = *devices;
    e->accuracy_at = column_of(devices, METRIC_ACCURACY, 0);
    e->latency = devices->n > 0 ? latency[0] : NULL;
    e->n_threads = n_threads;
    e->latency_scale = 1.0;
    e->latency_half_width = e->latency ? lat_model_error(e->latency)->half_width : (double)NAN;
    e->table = (struct search_evaluator){
        .ctx = e, .n_metrics = column_count(devices), .n_cheap = e->accuracy_at, .values = values};
    if ((rc = narrow(e, latency, err)) || (rc = tables_fill(e, err)) || (rc = scratch_make(e, err)) ||
        (rc = further_make(e, latency, err))) {
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
    for (size_t i = 0; i < DEVICES_MAX - 1; i++) {
        evaluator_free(e->further[i]);
    }
    free(e->scratch);
    free(e->hot);
    free(e->tables);
    free(e->cells);
    free(e->workers);
    value_table_free(e->own_rows);
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

const struct devices *evaluator_devices(const struct evaluator *e)
{
    return &e->devices;
}

bool evaluator_has(const struct evaluator *e, size_t column)
{
    if (evaluator_workers(e) >> column_metric(&e->devices, column) & 1U) {
        return true;
    }
    if (e->rows) {
        return e->rows_column[column] >= 0;
    }
    if (column_metric(&e->devices, column) == METRIC_LATENCY_MS) {
        const size_t device = column - METRIC_LATENCY_MS;
        return (device == 0 ? e : e->further[device - 1])->latency != NULL;
    }
    return column != e->accuracy_at || e->accuracy != NULL;
}

void evaluator_correct(struct evaluator *e, size_t device, double scale, double relative_half_width)
{
    struct evaluator *corrected = of_device(e, device);

    corrected->latency_scale = scale;
    if (!isnan(relative_half_width)) {
        corrected->latency_half_width = relative_half_width;
    }
}
