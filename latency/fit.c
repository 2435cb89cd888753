/* fit.c - from measured blocks and networks to a latency model that knows its error.
 *
 * One idea: the sum of the blocks is nearly right; what is wrong about it (a block alone finds its weights in the cache,
 * in a network it does not) is wrong alike within a stage. So the correction is one factor a part and a constant, drawn
 * towards 1 and 0 by ridge, and fitted on relative errors. How strongly it is drawn is chosen by cross-validation on the
 * training rows alone; the error is that of networks which neither saw, and that of single visits: a network's time also differs from one visit to the next.
 * Threads: pure functions; same rows and seed, same model.
 */
#include "base/model/model.h"
#include "latency/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES_MAX = LAT_PARTS_MAX + 1, FOLDS = 5, REPEATS = 5 };

static const double LAMBDAS[] = {1e-4, 1e-3, 1e-2, 1e-1, 1};

/* Rows as a regression of 1 on (parts of the sum, 1) / measured: its residuals are relative errors. */
struct design {
    size_t n, d;                   /* d: parts and the constant, in that order */
    double typical_ms;             /* mean of the measured times: the constant is fitted in units of it */
    double *x;                     /* owned (n, d) */
    double *ms;                    /* owned (n), measured */
    double *predicted, *residuals; /* owned (n), of held-out rows */
    double *fold_x, *fold_y;       /* owned (n, d), (n): rows of one fit */
    size_t *group;                 /* owned (n): which network; visits of one network are never torn apart */
    size_t *place;                 /* owned (n_groups): its place in the shuffled order, which decides its fold */
    size_t n_groups;
};

static void design_done(struct design *design)
{
    free(design->x);
    free(design->ms);
    free(design->predicted);
    free(design->residuals);
    free(design->fold_x);
    free(design->fold_y);
    free(design->group);
    free(design->place);
}

static enum tl_rc design_init(struct design *design, size_t n, size_t d, struct tl_err *err)
{
    *design = (struct design){.n = n,
                              .d = d,
                              .x = calloc(n * d, sizeof(double)),
                              .ms = calloc(n, sizeof(double)),
                              .predicted = calloc(n, sizeof(double)),
                              .residuals = calloc(n, sizeof(double)),
                              .fold_x = calloc(n * d, sizeof(double)),
                              .fold_y = calloc(n, sizeof(double)),
                              .group = calloc(n, sizeof(size_t)),
                              .place = calloc(n, sizeof(size_t))};
    if (design->x == NULL || design->ms == NULL || design->predicted == NULL || design->residuals == NULL ||
        design->fold_x == NULL || design->fold_y == NULL || design->group == NULL || design->place == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to fit %zu visits", n);
    }
    return TL_OK;
}

/* Number the networks in order of their first rows. */
static void fill_groups(struct design *design, const struct lat_row *rows)
{
    for (size_t i = 0; i < design->n; i++) {
        size_t first = 0;
        while (memcmp(&rows[first].pick, &rows[i].pick, sizeof rows[i].pick) != 0) {
            first++;
        }
        design->group[i] = first < i ? design->group[first] : design->n_groups++;
    }
    for (size_t g = 0; g < design->n_groups; g++) {
        design->place[g] = g;
    }
}

/* ---- the block table ------------------------------------------------------------------------------------------- */

static bool usable_ms(double ms)
{
    return isfinite(ms) && ms > 0;
}

/* Take the rows in; they have usable times. */
static enum tl_rc take_blocks(struct lat_model *model, const struct lat_block_row *blocks, struct tl_err *err)
{
    for (size_t i = 0; i < model->n_times; i++) {
        if (!usable_ms(blocks[i].ms) || strnlen(blocks[i].key, NET_KEY_MAX) == NET_KEY_MAX) {
            return tl_fail(err, TL_INVALID, "block %.*s: %g ms is not a time", NET_KEY_MAX - 1, blocks[i].key,
                           blocks[i].ms);
        }
        memcpy(model->times[i].key, blocks[i].key, NET_KEY_MAX);
        model->times[i].ms = blocks[i].ms;
    }
    return TL_OK;
}

/* Sort, and keep the median of each key. */
static void merge_blocks(struct lat_model *model)
{
    struct lat_time *times = model->times;
    size_t kept = 0;

    qsort(times, model->n_times, sizeof *times, lat_time_compare);
    for (size_t i = 0; i < model->n_times;) {
        size_t end = i;
        while (end < model->n_times && strcmp(times[end].key, times[i].key) == 0) {
            end++;
        }
        const double median = (times[(i + end - 1) / 2].ms + times[(i + end) / 2].ms) / 2;
        times[kept] = times[i];
        times[kept++].ms = median;
        i = end;
    }
    model->n_times = kept;
    model->error.n_blocks = kept;
}

static enum tl_rc check_covered(const struct lat_model *model, const struct net_family *family, struct tl_err *err)
{
    for (size_t r = 0; r < model->n_resolutions; r++) {
        TL_AUTO(lat_profile) profile = {0};
        const enum tl_rc rc = lat_profile_make(family, model->resolutions[r], 0, 0, &profile, err);
        if (rc) {
            return rc;
        }
        for (size_t i = 0; i < profile.n; i++) {
            if (lat_time_find(model, model->resolutions[r], profile.items[i].key) == NULL) {
                return tl_fail(err, TL_INVALID, "no measurement of block %s, which %s has at resolution %u",
                               profile.items[i].key, family->name, model->resolutions[r]);
            }
        }
    }
    return TL_OK;
}

/* ---- the correction -------------------------------------------------------------------------------------------- */

/* Row `row` of the design, from a model whose scales are still 1. */
static enum tl_rc fill_row(struct design *design, size_t row, const struct lat_model *model, const struct network *net,
                           double measured_ms, struct tl_err *err)
{
    double *x = &design->x[row * design->d];

    for (size_t b = 0; b < net->n_blocks; b++) {
        double ms = 0;
        size_t part = 0;
        enum tl_rc rc;
        if ((rc = lat_part_of(model, &net->blocks[b], &part, err)) ||
            (rc = lat_model_block_ms(model, net, b, &ms, err))) {
            return rc;
        }
        x[part] += ms / measured_ms;
    }
    design->ms[row] = measured_ms;
    return TL_OK;
}

static void fill_constant(struct design *design)
{
    double sum_ms = 0;

    for (size_t i = 0; i < design->n; i++) {
        sum_ms += design->ms[i];
    }
    design->typical_ms = sum_ms / (double)design->n;
    for (size_t i = 0; i < design->n; i++) {
        design->x[i * design->d + design->d - 1] = design->typical_ms / design->ms[i];
    }
}

static enum tl_rc fill_design(struct design *design, const struct net_family *family, const struct lat_model *model,
                              const struct lat_row *rows, struct network *net, struct tl_err *err)
{
    for (size_t i = 0; i < design->n; i++) {
        enum tl_rc rc;
        if (!usable_ms(rows[i].ms)) {
            return tl_fail(err, TL_INVALID, "visit %zu: %g ms is not a time", i, rows[i].ms);
        }
        if ((rc = net_build(family, &rows[i].pick, net, err)) ||
            (rc = fill_row(design, i, model, net, rows[i].ms, err))) {
            return rc;
        }
    }
    fill_constant(design);
    return TL_OK;
}

/* ---- folds ----------------------------------------------------------------------------------------------------- */

/* Rows are dealt to FOLDS outer folds, whose error is reported, and within the rest to FOLDS inner ones, which choose
 * lambda. NO_FOLD: nothing is left out on that level. */
enum { NO_FOLD = FOLDS };

struct fold {
    size_t outer, inner;
};

static bool in_outer(const struct design *design, size_t row, struct fold fold)
{
    return design->place[design->group[row]] % FOLDS == fold.outer;
}

static bool in_inner(const struct design *design, size_t row, struct fold fold)
{
    return !in_outer(design, row, fold) && design->place[design->group[row]] / FOLDS % FOLDS == fold.inner;
}

/* Ridge on the rows that are in neither. beta (d). */
static enum tl_rc fit_fold(const struct design *design, struct fold fold, double lambda, double *ret_beta,
                           struct tl_err *err)
{
    double lambdas[FEATURES_MAX], prior[FEATURES_MAX];
    const size_t d = design->d;
    size_t n_train = 0;

    for (size_t i = 0; i < design->n; i++) {
        if (!in_outer(design, i, fold) && !in_inner(design, i, fold)) {
            memcpy(&design->fold_x[n_train * d], &design->x[i * d], d * sizeof *design->x);
            design->fold_y[n_train++] = 1;
        }
    }
    for (size_t j = 0; j < d; j++) {
        lambdas[j] = lambda * (double)n_train;
        prior[j] = j + 1 < d ? 1 : 0;
    }
    return model_ridge(design->fold_x, design->fold_y, n_train, d, lambdas, prior, ret_beta, err);
}

/* Predicted / measured. */
static double relative(const struct design *design, size_t row, const double *beta)
{
    double sum = 0;

    for (size_t j = 0; j < design->d; j++) {
        sum += design->x[row * design->d + j] * beta[j];
    }
    return sum;
}

/* Squared relative error over the inner folds. */
static enum tl_rc inner_error(const struct design *design, size_t outer, double lambda, double *ret_error,
                              struct tl_err *err)
{
    double beta[FEATURES_MAX], error = 0;

    for (size_t inner = 0; inner < FOLDS; inner++) {
        const struct fold fold = {outer, inner};
        const enum tl_rc rc = fit_fold(design, fold, lambda, beta, err);
        if (rc) {
            return rc;
        }
        for (size_t i = 0; i < design->n; i++) {
            const double off = in_inner(design, i, fold) ? relative(design, i, beta) - 1 : 0;
            error += off * off;
        }
    }
    *ret_error = error;
    return TL_OK;
}

/* The whole rule that makes a correction from the rows outside a fold, the choice of lambda included. */
static enum tl_rc fit_beta(const struct design *design, size_t outer, double *ret_beta, struct tl_err *err)
{
    double best_lambda = 0, least = HUGE_VAL;

    for (size_t l = 0; l < TL_COUNT_OF(LAMBDAS); l++) {
        double error = 0;
        const enum tl_rc rc = inner_error(design, outer, LAMBDAS[l], &error, err);
        if (rc) {
            return rc;
        }
        if (error < least) {
            least = error;
            best_lambda = LAMBDAS[l];
        }
    }
    return fit_fold(design, (struct fold){outer, NO_FOLD}, best_lambda, ret_beta, err);
}

/* ---- the error ------------------------------------------------------------------------------------------------- */

static void shuffle(size_t *list, size_t n, struct tl_rng *rng)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = tl_rng_below(rng, (uint32_t)i), kept = list[i - 1];
        list[i - 1] = list[j];
        list[j] = kept;
    }
}

/* Fit on the other folds, add the predictions of this one's rows to design->predicted. */
static enum tl_rc predict_fold(struct design *design, size_t outer, struct tl_err *err)
{
    double beta[FEATURES_MAX];
    const enum tl_rc rc = fit_beta(design, outer, beta, err);

    for (size_t i = 0; !rc && i < design->n; i++) {
        if (in_outer(design, i, (struct fold){outer, NO_FOLD})) {
            design->predicted[i] += relative(design, i, beta) * design->ms[i] / REPEATS;
        }
    }
    return rc;
}

static enum tl_rc judge_fit(struct design *design, uint64_t seed, struct lat_error *error, struct tl_err *err)
{
    for (uint64_t repeat = 0; repeat < REPEATS; repeat++) {
        struct tl_rng rng;
        tl_rng_init(&rng, seed, repeat, 0);
        shuffle(design->place, design->n_groups, &rng);
        for (size_t outer = 0; outer < FOLDS; outer++) {
            const enum tl_rc rc = predict_fold(design, outer, err);
            if (rc) {
                return rc;
            }
        }
    }
    for (size_t i = 0; i < design->n; i++) {
        design->residuals[i] = fabs(design->ms[i] / design->predicted[i] - 1);
    }
    error->n_networks = design->n_groups;
    error->mape = stat_mape(design->predicted, design->ms, design->n);
    error->spearman = stat_spearman(design->predicted, design->ms, design->n);
    error->half_width = stat_conformal(design->residuals, design->n, 0.9);
    return TL_OK;
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

static enum tl_rc fit_correction(struct lat_model *model, const struct net_family *family, const struct lat_row *rows,
                                 size_t n_rows, uint64_t seed, struct network *net, struct tl_err *err)
{
    TL_AUTO(design) design = {0};
    double beta[FEATURES_MAX];
    const size_t parts = model->n_stages + 2U;
    enum tl_rc rc;

    if ((rc = design_init(&design, n_rows, parts + 1, err)) ||
        (rc = fill_design(&design, family, model, rows, net, err))) {
        return rc;
    }
    fill_groups(&design, rows);
    if (design.n_groups < LAT_FIT_NETWORKS) {
        return tl_fail(err, TL_INVALID, "%zu networks measured; a fit takes at least %d", design.n_groups,
                       LAT_FIT_NETWORKS);
    }
    if ((rc = fit_beta(&design, NO_FOLD, beta, err)) || (rc = judge_fit(&design, seed, &model->error, err))) {
        return rc;
    }
    memcpy(model->scale, beta, parts * sizeof *beta);
    model->constant_ms = beta[parts] * design.typical_ms;
    return TL_OK;
}

static enum tl_rc fit_model(struct lat_model *model, const struct net_family *family,
                            const struct lat_block_row *blocks, const struct lat_row *rows, size_t n_rows,
                            uint64_t seed, struct tl_err *err)
{
    enum tl_rc rc = take_blocks(model, blocks, err);

    merge_blocks(model);
    for (size_t i = 0; !rc && i < n_rows; i++) {
        rc = lat_resolution_add(model, rows[i].pick.resolution, err);
    }
    if (rc || (rc = check_covered(model, family, err))) {
        return rc;
    }
    struct network *const net = malloc(sizeof *net);
    if (net == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a network");
    }
    rc = fit_correction(model, family, rows, n_rows, seed, net, err);
    free(net);
    return rc;
}

enum tl_rc lat_model_fit(const struct net_family *family, const struct lat_block_row *blocks, size_t n_blocks,
                         const struct lat_row *rows, size_t n_rows, uint64_t seed, struct lat_model **ret_model,
                         struct tl_err *err)
{
    struct lat_model *model = NULL;

    if (n_rows < LAT_FIT_NETWORKS || n_rows > LAT_ROWS_MAX || n_blocks > LAT_BLOCKS_MAX) {
        return tl_fail(err, TL_INVALID, "%zu visits of networks and %zu of blocks; a fit takes %d to %d and at most %d",
                       n_rows, n_blocks, LAT_FIT_NETWORKS, LAT_ROWS_MAX, LAT_BLOCKS_MAX);
    }
    enum tl_rc rc = lat_model_new(family->n_stages, n_blocks, &model, err);
    if (rc) {
        return rc;
    }
    rc = fit_model(model, family, blocks, rows, n_rows, seed, err);
    if (rc) {
        lat_model_free(model);
        return rc;
    }
    *ret_model = model;
    return TL_OK;
}
