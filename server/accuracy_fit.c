/* accuracy_fit.c - models of accuracy fitted on rows, and judged on architectures held out.
 *
 * Threads: see accuracy_rows.h.
 */
#include "server/accuracy_rows.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Streams of the seed. */
enum { STREAM_FOLDS = 1, STREAM_INDUCING = 2 };

/* Rows as the regressions want them. */
struct hot_table {
    struct accuracy_map map;
    size_t n_features, width;
    uint16_t *rows;     /* owned; (n, width) */
    uint16_t *inducing; /* owned; (n_inducing, width) */
    size_t n_inducing;
    size_t *fold; /* owned; (n) */
    uint16_t sides[SPACE_OPTIONS_MAX];
    size_t n_sides;
};

static void hot_table_done(struct hot_table *table)
{
    free(table->rows);
    free(table->inducing);
    free(table->fold);
}

/* The features of a canonical architecture. */
static void hot_of(const struct accuracy_map *map, const struct space *space, const uint8_t *arch, uint16_t *ret_row)
{
    uint8_t active[SPACE_VARIABLES_MAX];

    space_active(space, arch, active);
    for (size_t v = 0; v < space->n_variables; v++) {
        ret_row[v] = active[v] ? map->feature[v][arch[v]] : MODEL_NO_FEATURE;
    }
}

/* The resolutions that occur, ascending. */
static void sides_find(const struct accuracy_rows *rows, struct hot_table *table)
{
    const int v = space_variable_find(rows->space, "resolution");
    bool seen[SPACE_OPTIONS_MAX] = {false};

    for (size_t i = 0; v >= 0 && i < rows->n; i++) {
        seen[rows->archs[i * rows->space->n_variables + (size_t)v]] = true;
    }
    for (size_t o = 0; o < SPACE_OPTIONS_MAX; o++) {
        if (seen[o]) {
            table->sides[table->n_sides++] = (uint16_t)rows->space->variables[v].numbers[o];
        }
    }
}

/* Inducing rows: uniform over the space, so that a model holds no row it was fitted on but by chance. */
static void inducing_draw(const struct space *space, uint64_t seed, struct hot_table *table)
{
    struct tl_rng rng;
    uint8_t arch[SPACE_VARIABLES_MAX];

    tl_rng_init(&rng, seed, STREAM_INDUCING, 0);
    for (size_t i = 0; i < table->n_inducing; i++) {
        space_sample(space, &rng, arch);
        space_canonical(space, arch);
        hot_of(&table->map, space, arch, table->inducing + i * table->width);
    }
}

static enum tl_rc hot_table_init(struct hot_table *table, const struct accuracy_rows *rows,
                                 const struct accuracy_plan *plan, struct tl_err *err)
{
    *table = (struct hot_table){.width = rows->space->n_variables, .n_inducing = plan->n_inducing};
    sides_find(rows, table);
    table->n_features = accuracy_map_all(rows->space, table->n_sides > 1, &table->map);
    table->rows = calloc(rows->n * table->width, sizeof(*table->rows));
    table->inducing = calloc(table->n_inducing * table->width + 1, sizeof(*table->inducing));
    table->fold = calloc(rows->n, sizeof(*table->fold));
    if (!table->rows || !table->inducing || !table->fold) {
        hot_table_done(table);
        return tl_fail(err, TL_NO_MEMORY, "no memory for the features of %zu rows", rows->n);
    }
    for (size_t i = 0; i < rows->n; i++) {
        hot_of(&table->map, rows->space, rows->archs + i * table->width, table->rows + i * table->width);
    }
    inducing_draw(rows->space, plan->seed, table);
    return TL_OK;
}

/* ---- folds ------------------------------------------------------------------------------------------------------- */

struct keyed {
    uint64_t key; /* of the architecture, mixed with the seed */
    struct tl_hash id;
    size_t row;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    const int order = memcmp(x->id.bytes, y->id.bytes, TL_HASH_BYTES);
    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

/* Architectures in the order of a seeded key, dealt out to the folds in turn. */
static enum tl_rc folds_deal(struct hot_table *table, const struct accuracy_rows *rows, size_t n_folds, uint64_t seed,
                             struct tl_err *err)
{
    struct keyed *keyed = calloc(rows->n, sizeof(*keyed));
    if (!keyed) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the folds of %zu rows", rows->n);
    }
    for (size_t i = 0; i < rows->n; i++) {
        uint64_t half = 0;
        struct tl_rng rng;
        keyed[i].id = space_arch_id(rows->space, rows->archs + i * rows->space->n_variables);
        keyed[i].row = i;
        memcpy(&half, keyed[i].id.bytes, sizeof(half));
        tl_rng_init(&rng, seed, STREAM_FOLDS, half);
        keyed[i].key = tl_rng_u64(&rng);
    }
    qsort(keyed, rows->n, sizeof(*keyed), by_key);
    size_t n_archs = 0;
    for (size_t i = 0; i < rows->n; i++) {
        n_archs += i == 0 || !tl_hash_equal(&keyed[i].id, &keyed[i - 1].id);
        table->fold[keyed[i].row] = (n_archs - 1) % n_folds;
    }
    free(keyed);
    return n_archs >= 4 * n_folds
               ? TL_OK
               : tl_fail(err, TL_INVALID, "%zu architectures are too few for %zu folds", n_archs, n_folds);
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

/* Training rows of one fold in one block, and the rows it is judged on; predictions go back to their rows. */
struct split {
    uint16_t *train, *test; /* owned */
    double *y, *predicted, *half;
    size_t *test_row;
    size_t n_train, n_test;
};

static void split_done(struct split *split)
{
    free(split->train);
    free(split->test);
    free(split->y);
    free(split->predicted);
    free(split->half);
    free(split->test_row);
}

static enum tl_rc split_init(struct split *split, size_t n, size_t width, struct tl_err *err)
{
    *split = (struct split){.train = calloc(n * width, sizeof(uint16_t)),
                            .test = calloc(n * width, sizeof(uint16_t)),
                            .y = calloc(n, sizeof(double)),
                            .predicted = calloc(n, sizeof(double)),
                            .half = calloc(n, sizeof(double)),
                            .test_row = calloc(n, sizeof(size_t))};
    if (split->train && split->test && split->y && split->predicted && split->half && split->test_row) {
        return TL_OK;
    }
    split_done(split);
    return tl_fail(err, TL_NO_MEMORY, "no memory to hold out some of %zu rows", n);
}

static void split_set(struct split *split, const struct hot_table *table, const struct accuracy_rows *rows, size_t fold)
{
    const size_t width = table->width;

    split->n_train = split->n_test = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const uint16_t *row = table->rows + i * width;
        if (table->fold[i] == fold) {
            split->test_row[split->n_test] = i;
            memcpy(split->test + split->n_test++ * width, row, width * sizeof(*row));
        } else {
            split->y[split->n_train] = rows->y[i];
            memcpy(split->train + split->n_train++ * width, row, width * sizeof(*row));
        }
    }
}

/* Predictions and half widths of the rows held out. */
static enum tl_rc fold_predict(enum model_kind kind, struct split *split, const struct hot_table *table,
                               const struct accuracy_plan *plan, struct tl_err *err)
{
    const struct model_hot train = {split->train, split->n_train, table->width};
    const struct model_hot test = {split->test, split->n_test, table->width};
    const struct model_hot inducing = {table->inducing, table->n_inducing, table->width};
    struct model *model = NULL;
    struct model_scratch *scratch = NULL;
    enum tl_rc rc =
        model_fit(kind, &train, split->y, table->n_features, &inducing, plan->seed, plan->pool, &model, err);

    rc = rc ? rc : model_scratch_new(model, split->n_test, &scratch, err);
    if (!rc) {
        model_predict(model, scratch, &test, split->predicted);
        model_half_width(model, scratch, &test, split->half);
    }
    model_scratch_free(scratch);
    model_free(model);
    return rc;
}

/* Ridge regression on the features, about the mean; lambda 0.1. No intervals. */
static enum tl_rc fold_predict_linear(struct split *split, const struct hot_table *table, struct tl_err *err)
{
    const size_t d = table->n_features;
    assert(split->n_train > 0 && d > 0); /* folds_deal wants four architectures a fold */
    double *x = calloc(split->n_train * d, sizeof(*x)), *weights = calloc(3 * d, sizeof(*weights)), mean = 0.0;
    if (!x || !weights) {
        free(x);
        free(weights);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a regression on %zu features", d);
    }
    double *lambda = weights + d;
    for (size_t i = 0; i < split->n_train; i++) {
        mean += split->y[i] / (double)split->n_train;
    }
    for (size_t i = 0; i < split->n_train * table->width; i++) {
        if (split->train[i] != MODEL_NO_FEATURE) {
            x[i / table->width * d + split->train[i]] = 1.0;
        }
    }
    for (size_t i = 0; i < split->n_train; i++) {
        split->y[i] -= mean;
    }
    for (size_t k = 0; k < d; k++) {
        lambda[k] = 0.1;
    }
    enum tl_rc rc = model_ridge(x, split->y, split->n_train, d, lambda, NULL, weights, err);
    for (size_t i = 0; !rc && i < split->n_test; i++) {
        split->predicted[i] = mean;
        split->half[i] = (double)NAN;
        for (size_t k = 0; k < table->width; k++) {
            const uint16_t f = split->test[i * table->width + k];
            split->predicted[i] += f == MODEL_NO_FEATURE ? 0.0 : weights[f];
        }
    }
    free(x);
    free(weights);
    return rc;
}

static struct accuracy_score score_of(const double *predicted, const double *half, const double *y, size_t n)
{
    struct accuracy_score score = {.rmse = stat_rmse(predicted, y, n), .spearman = stat_spearman(predicted, y, n)};
    for (size_t i = 0; i < n; i++) {
        const double inside = isnan(half[i]) ? half[i] : (double)(fabs(predicted[i] - y[i]) <= half[i]);
        score.coverage += inside / (double)n;
        score.half_width += half[i] / (double)n;
    }
    return score;
}

/* kind MODEL_KIND_COUNT: linear. */
static enum tl_rc judge(const struct accuracy_rows *rows, enum model_kind kind, size_t n_folds,
                        const struct accuracy_plan *plan, struct accuracy_score *ret_score, struct tl_err *err)
{
    struct hot_table table;
    struct split split = {0};
    enum tl_rc rc = hot_table_init(&table, rows, plan, err);
    if (rc) {
        return rc;
    }
    double *predicted = calloc(rows->n, sizeof(*predicted)), *half = calloc(rows->n, sizeof(*half));
    rc = predicted && half ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory to judge %zu rows", rows->n);
    rc = rc ? rc : folds_deal(&table, rows, n_folds, plan->seed, err);
    rc = rc ? rc : split_init(&split, rows->n, table.width, err);
    for (size_t k = 0; !rc && k < n_folds; k++) {
        split_set(&split, &table, rows, k);
        rc = kind == MODEL_KIND_COUNT ? fold_predict_linear(&split, &table, err)
                                      : fold_predict(kind, &split, &table, plan, err);
        for (size_t i = 0; !rc && i < split.n_test; i++) {
            predicted[split.test_row[i]] = split.predicted[i];
            half[split.test_row[i]] = split.half[i];
        }
        if (!rc && plan->progress && kind != MODEL_KIND_COUNT) {
            plan->progress(plan->progress_ctx, model_kind_name(kind));
        }
    }
    if (!rc) {
        *ret_score = score_of(predicted, half, rows->y, rows->n);
    }
    split_done(&split);
    hot_table_done(&table);
    free(predicted);
    free(half);
    return rc;
}

enum tl_rc accuracy_judge(const struct accuracy_rows *rows, enum model_kind kind, size_t n_folds,
                          const struct accuracy_plan *plan, struct accuracy_score *ret_score, struct tl_err *err)
{
    if (n_folds < 2 || n_folds > ACCURACY_FOLDS_MAX) {
        return tl_fail(err, TL_INVALID, "%zu folds were asked for; 2 to %d are possible", n_folds,
                       (int)ACCURACY_FOLDS_MAX);
    }
    return judge(rows, kind, n_folds, plan, ret_score, err);
}

enum tl_rc accuracy_judge_linear(const struct accuracy_rows *rows, size_t n_folds, const struct accuracy_plan *plan,
                                 struct accuracy_score *ret_score, struct tl_err *err)
{
    return accuracy_judge(rows, MODEL_KIND_COUNT, n_folds, plan, ret_score, err);
}

enum tl_rc accuracy_fit(const struct accuracy_rows *rows, enum model_kind kind, const struct accuracy_plan *plan,
                        const struct accuracy_score *score, const char *source, const char *command,
                        struct accuracy_model **ret_model, struct tl_err *err)
{
    struct hot_table table;
    struct model *regression = NULL;
    enum tl_rc rc = hot_table_init(&table, rows, plan, err);
    if (rc) {
        return rc;
    }
    const struct model_hot hot = {table.rows, rows->n, table.width};
    const struct model_hot inducing = {table.inducing, table.n_inducing, table.width};
    struct accuracy_facts facts = {.n_rows = rows->n,
                                   .rmse = score->rmse,
                                   .spearman = score->spearman,
                                   .coverage = score->coverage,
                                   .n_resolutions = table.n_sides};
    (void)snprintf(facts.source, sizeof(facts.source), "%s", source);
    (void)snprintf(facts.command, sizeof(facts.command), "%s", command);
    memcpy(facts.resolutions, table.sides, sizeof(facts.resolutions));
    rc = model_fit(kind, &hot, rows->y, table.n_features, &inducing, plan->seed, plan->pool, &regression, err);
    rc = rc ? rc : accuracy_new(rows->space, &table.map, &facts, regression, ret_model, err);
    if (rc) {
        model_free(regression);
    } else if (plan->progress) {
        plan->progress(plan->progress_ctx, "all rows");
    }
    hot_table_done(&table);
    return rc;
}
