/* evaluator_worker.c - see evaluator_worker.h. */
#include "server/evaluator_worker.h"
#include "server/evaluator_table.h"
#include "server/evaluator_tables.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct evaluator_workers {
    struct worker_values values;
    enum tl_rc (*others)(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err);
    size_t n_missing;
    struct tl_hash missing_ids[SEARCH_BATCH_MAX];
    uint8_t missing[SEARCH_BATCH_MAX * SPACE_VARIABLES_MAX]; /* (n_missing, n_variables) */
};

enum tl_rc evaluator_new_bare(const struct space *space, struct evaluator **ret_evaluator, struct tl_err *err)
{
    const struct table_column none = {0};
    struct value_table *nothing = NULL;
    enum tl_rc rc = value_table_new(space, &none, 0, 0, &nothing, err);
    if (rc) {
        return rc;
    }
    if ((rc = evaluator_new_tabulated(space, nothing, "", ret_evaluator, err))) {
        value_table_free(nothing);
        return rc;
    }
    (*ret_evaluator)->own_rows = nothing;
    return TL_OK;
}

static void full_arch(const struct evaluator *e, const uint8_t *arch, uint8_t *ret_full, struct tl_hash *ret_id)
{
    evaluator_full_arch(e, arch, ret_full);
    *ret_id = space_arch_id(&e->full_space, ret_full);
}

/* Their values of up to SEARCH_BATCH_MAX architectures; NAN where they said nothing. */
static enum tl_rc find(const struct evaluator *e, const uint8_t *archs, size_t stride, size_t n, double *ret_values,
                       bool *ret_known, struct tl_err *err)
{
    struct tl_hash ids[SEARCH_BATCH_MAX];
    for (size_t i = 0; i < n; i++) {
        uint8_t full[SPACE_VARIABLES_MAX];
        full_arch(e, archs + i * stride, full, &ids[i]);
        for (size_t m = 0; m < METRIC_COUNT; m++) {
            ret_values[i * SEARCH_METRICS_MAX + m] = (double)NAN;
        }
    }
    return e->workers->values.find(e->workers->values.ctx, ids, n, ret_values, ret_known, err);
}

static bool theirs(const struct evaluator *e, size_t metric)
{
    return e->workers && (e->workers->values.metrics >> metric & 1U);
}

/* Is one of the metrics of the range theirs? */
static bool concerns(const struct evaluator *e, size_t first, size_t n_metrics)
{
    return e->workers->values.metrics & ((UINT32_C(1) << (first + n_metrics)) - (UINT32_C(1) << first));
}

static enum tl_rc values(void *ctx, size_t first, size_t n_metrics, const uint8_t *archs, size_t stride, size_t n,
                         double *out, unsigned thread, struct tl_err *err)
{
    const struct evaluator *e = ctx;
    double found[SEARCH_BATCH_MAX * SEARCH_METRICS_MAX];
    bool known[SEARCH_BATCH_MAX];
    enum tl_rc rc = e->workers->others(ctx, first, n_metrics, archs, stride, n, out, thread, err);
    if (rc || !concerns(e, first, n_metrics) || (rc = find(e, archs, stride, n, found, known, err))) {
        return rc;
    }
    for (size_t i = 0; i < n * METRIC_COUNT; i++) {
        const size_t m = i % METRIC_COUNT, at = i / METRIC_COUNT * SEARCH_METRICS_MAX + m;
        if (m >= first && m < first + n_metrics && theirs(e, m)) {
            out[at] = found[at];
        }
    }
    return TL_OK;
}

static void note_missing(const struct evaluator *e, const uint8_t *arch)
{
    struct evaluator_workers *workers = e->workers;
    struct tl_hash *id = &workers->missing_ids[workers->n_missing];
    full_arch(e, arch, workers->missing + workers->n_missing * e->space.n_variables, id);
    for (size_t i = 0; i < workers->n_missing; i++) {
        if (tl_hash_equal(&workers->missing_ids[i], id)) {
            return;
        }
    }
    workers->n_missing++;
}

static enum tl_rc prepare(void *ctx, const uint8_t *archs, size_t stride, size_t n, struct tl_err *err)
{
    const struct evaluator *e = ctx;
    double found[SEARCH_BATCH_MAX * SEARCH_METRICS_MAX];
    bool known[SEARCH_BATCH_MAX] = {false};
    enum tl_rc rc = find(e, archs, stride, n, found, known, err);
    e->workers->n_missing = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        if (!known[i]) {
            note_missing(e, archs + i * stride);
        }
    }
    return rc || e->workers->n_missing == 0
               ? rc
               : tl_fail(err, TL_UNAVAILABLE, "%zu architectures have no values yet", e->workers->n_missing);
}

enum tl_rc evaluator_workers_set(struct evaluator *e, const struct worker_values *given, struct tl_err *err)
{
    size_t first = 0;
    if (!(e->workers = calloc(1, sizeof *e->workers))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the values of workers");
    }
    e->workers->values = *given;
    e->workers->others = e->table.values;
    while (!theirs(e, first)) {
        first++;
    }
    e->table.values = values;
    e->table.prepare = prepare;
    e->table.n_cheap = first < e->table.n_cheap ? first : e->table.n_cheap;
    return TL_OK;
}

uint32_t evaluator_workers(const struct evaluator *e)
{
    return e->workers ? e->workers->values.metrics : 0;
}

enum tl_rc evaluator_describe_workers(struct evaluator *e, const uint8_t *arch, struct metric_value values[COLUMNS_MAX],
                                      struct tl_err *err)
{
    double found[SEARCH_METRICS_MAX];
    bool known = false;
    const enum tl_rc rc = e->workers ? find(e, arch, e->space.n_variables, 1, found, &known, err) : TL_OK;
    for (size_t m = 0; !rc && m < METRIC_COUNT; m++) {
        if (theirs(e, m)) {
            values[m] = (struct metric_value){found[m], 0.0};
        }
    }
    return rc;
}

size_t evaluator_missing(const struct evaluator *e, const uint8_t **ret_archs)
{
    *ret_archs = e->workers ? e->workers->missing : NULL;
    return e->workers ? e->workers->n_missing : 0;
}
