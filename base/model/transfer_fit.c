/* transfer_fit.c - a target from few samples: Gaussian processes with one family of kernels about many means, averaged by
 * their marginal likelihood.
 *
 * One idea: every mean is linear in the view's columns, and so is all of the kernel but the distance, so the average over
 * hundreds of hypotheses is one linear function and one sum over the samples: predicting costs no more than ridge.
 * A hypothesis h says y / scale_h - mean_h ~ t process; scale_h makes the means over the samples agree.
 * Threads: pure functions.
 */
#include "base/model/linear.h"
#include "base/model/transfer.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Kernels that are tried: the learned weights times these, as logarithms. All weights are raised and lowered against the
 * noise, and those of coarse features raised; each comes with the tasks' finer differences as learned and all but gone. The distance, which few
 * samples cannot weigh, is out, and from DISTANCE_FROM samples on also in. */
enum { DISTANCE_FROM = 50, KERNELS_MAX = 2 * TRANSFER_KERNELS, SCREEN = 200, SCREEN_KEPT = 4 };
static const double RAISE[] = {0.0, 3.0, -3.0}, RAISE_COARSE[] = {0.0, 6.0}, RAISE_TASKS[] = {0.0, -4.0},
                    RAISE_DISTANCE[] = {-HUGE_VAL, 6.0};

static const double RESTS[TRANSFER_RESTS] = {0.0, 0.5, 1.0}; /* how much of the rest carries over */

struct work {
    const struct transfer_view *view;
    const struct transfer_prior *prior;
    const uint32_t *rows;
    const double *y;
    size_t k, n_means; /* RESTS for the mean of the tasks, then for each task */
    struct {
        double log_weight[PART_COUNT];
        const double *log_share; /* (TRANSFER_RESTS), the prior's */
    } kernels[KERNELS_MAX];
    size_t n_kernels;
    double *parts;    /* owned (PART_COUNT, k, k) */
    double *factor;   /* owned (k, k) */
    double *residual; /* owned (k, n_means) */
    double *scale;    /* owned (n_means) */
    double *alpha;    /* owned (n_kernels, k, n_means) */
    double *evidence; /* owned (n_kernels, n_means): logarithm, then probability */
    double *quad;     /* owned (n_kernels, n_means): residual' K^-1 residual */
};

static void work_done(struct work *w)
{
    free(w->parts);
    free(w->factor);
    free(w->residual);
    free(w->scale);
    free(w->alpha);
    free(w->evidence);
    free(w->quad);
}

static void list_kernels(struct work *w)
{
    for (size_t d = 0; d < (w->k < DISTANCE_FROM ? 1U : 2U); d++) {
        for (size_t i = 0; i < TRANSFER_KERNELS; i++, w->n_kernels++) {
            double *at = w->kernels[w->n_kernels].log_weight;
            for (size_t p = 0; p < PART_COUNT; p++) {
                at[p] = w->prior->log_weight[p] + RAISE[i / 4];
            }
            at[PART_COARSE] += RAISE_COARSE[i / 2 % 2];
            at[PART_TASKS_FINE] += RAISE_TASKS[i % 2];
            at[PART_TASKS_REST] += RAISE_TASKS[i % 2];
            at[PART_DISTANCE] += RAISE_DISTANCE[d];
            w->kernels[w->n_kernels].log_share = w->prior->log_share[i];
        }
    }
}

static double mean_of(const struct transfer_view *view, size_t row, size_t task, double rest)
{
    const double *mean = view->mean + row * 2 * (view->n_tasks + 1);
    return mean[task] + rest * mean[view->n_tasks + 1 + task];
}

static enum tl_rc work_init(struct work *w, struct tl_err *err)
{
    const size_t k = w->k, m = w->n_means;
    w->parts = calloc(PART_COUNT * k * k, sizeof(double));
    w->factor = calloc(k * k, sizeof(double));
    w->residual = calloc(k * m, sizeof(double));
    w->scale = calloc(m, sizeof(double));
    w->alpha = calloc(w->n_kernels * k * m, sizeof(double));
    w->evidence = calloc(w->n_kernels * m, sizeof(double));
    w->quad = calloc(w->n_kernels * m, sizeof(double));
    if (!w->parts || !w->factor || !w->residual || !w->scale || !w->alpha || !w->evidence || !w->quad) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a fit on %zu samples", k);
    }
    return transfer_parts(w->view, w->rows, k, w->parts, err);
}

/* Scales and residuals. A mean that is next to nothing over the samples is not blown up to them. */
static void residuals(struct work *w)
{
    double sum_y = 0.0;
    for (size_t i = 0; i < w->k; i++) {
        sum_y += w->y[i];
    }
    for (size_t h = 0; h < w->n_means; h++) {
        const size_t task = h / TRANSFER_RESTS;
        const double rest = RESTS[h % TRANSFER_RESTS];
        double sum = 0.0;
        for (size_t i = 0; i < w->k; i++) {
            sum += mean_of(w->view, w->rows[i], task, rest);
        }
        w->scale[h] = sum_y / fmax(sum, 1e-3 * (double)w->k);
        for (size_t i = 0; i < w->k; i++) {
            w->residual[i * w->n_means + h] = w->y[i] / w->scale[h] - mean_of(w->view, w->rows[i], task, rest);
        }
    }
}

/* Log probability of a hypothesis before its samples are seen: the mean of the tasks counts as much as all of them. */
static double log_prior(const struct work *w, size_t j, size_t h)
{
    return w->kernels[j].log_share[h % TRANSFER_RESTS] - (h < TRANSFER_RESTS ? 0.0 : log((double)w->view->n_tasks));
}

static enum tl_rc judge_kernel(struct work *w, size_t j, struct tl_err *err)
{
    const size_t k = w->k, m = w->n_means;
    double *alpha = w->alpha + j * k * m, logs = 0.0;

    transfer_kernel(w->parts, k, w->kernels[j].log_weight, w->factor);
    if (!linear_cholesky(w->factor, k)) {
        return tl_fail(err, TL_INVALID, "the samples leave no positive definite kernel");
    }
    for (size_t i = 0; i < k; i++) {
        logs += log(w->factor[i * k + i]);
    }
    memcpy(alpha, w->residual, k * m * sizeof(*alpha));
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)k, (int)m, 1.0, w->factor,
                (int)k, alpha, (int)m);
    for (size_t h = 0; h < m; h++) {
        const double quad = cblas_ddot((int)k, alpha + h, (int)m, alpha + h, (int)m);
        w->quad[j * m + h] = quad;
        w->evidence[j * m + h] =
            log_prior(w, j, h) - logs -
            0.5 * (TRANSFER_FREEDOM + (double)k) * log1p(quad / (TRANSFER_FREEDOM * TRANSFER_SCALE2));
    }
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, (int)k, (int)m, 1.0, w->factor, (int)k,
                alpha, (int)m);
    return TL_OK;
}

static void normalise(double *evidence, size_t n)
{
    double best = -HUGE_VAL, sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        best = fmax(best, evidence[i]);
    }
    for (size_t i = 0; i < n; i++) {
        evidence[i] = exp(evidence[i] - best);
        sum += evidence[i];
    }
    cblas_dscal((int)n, 1.0 / sum, evidence, 1);
}

static size_t likeliest(const double *probability, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        best = probability[i] > probability[best] ? i : best;
    }
    return best;
}

static enum tl_rc judge(struct work *w, struct tl_err *err)
{
    enum tl_rc rc = work_init(w, err);
    if (!rc) {
        residuals(w);
    }
    for (size_t j = 0; !rc && j < w->n_kernels; j++) {
        rc = judge_kernel(w, j, err);
    }
    return rc;
}

/* Of many samples the first SCREEN say which kernels are worth a fit. */
static enum tl_rc screen(struct work *w, struct tl_err *err)
{
    struct work few = *w;
    double weight[KERNELS_MAX] = {0};
    few.k = SCREEN;
    const enum tl_rc rc = judge(&few, err);
    if (!rc) {
        normalise(few.evidence, w->n_kernels * w->n_means);
    }
    for (size_t i = 0; !rc && i < w->n_kernels * w->n_means; i++) {
        weight[i / w->n_means] += few.evidence[i];
    }
    work_done(&few);
    for (size_t n = 0; !rc && n < SCREEN_KEPT; n++) {
        const size_t best = likeliest(weight, w->n_kernels);
        w->kernels[n] = few.kernels[best];
        weight[best] = -1.0;
    }
    w->n_kernels = SCREEN_KEPT;
    return rc;
}

static struct work work_on(const struct transfer_view *view, const struct transfer_prior *prior, const uint32_t *rows,
                           const double *y, size_t k)
{
    struct work w = {.view = view,
                     .prior = prior,
                     .rows = rows,
                     .y = y,
                     .k = k,
                     .n_means = (size_t)TRANSFER_RESTS * (view->n_tasks + 1)};
    list_kernels(&w);
    return w;
}

enum tl_rc transfer_evidence(const struct transfer_view *view, const struct transfer_prior *prior, const uint32_t *rows,
                             const double *y, size_t k, double ret_evidence[TRANSFER_KERNELS][TRANSFER_RESTS],
                             struct tl_err *err)
{
    struct work w = work_on(view, prior, rows, y, k);
    const enum tl_rc rc = judge(&w, err);
    for (size_t i = 0; !rc && i < (size_t)TRANSFER_KERNELS * TRANSFER_RESTS; i++) {
        const double *evidence = w.evidence + i / TRANSFER_RESTS * w.n_means + i % TRANSFER_RESTS;
        double best = -HUGE_VAL, sum = 0.0;
        for (size_t t = 0; t <= view->n_tasks; t++) {
            best = fmax(best, evidence[t * TRANSFER_RESTS]);
        }
        for (size_t t = 0; t <= view->n_tasks; t++) {
            sum += exp(evidence[t * TRANSFER_RESTS] - best);
        }
        ret_evidence[i / TRANSFER_RESTS][i % TRANSFER_RESTS] = best + log(sum);
    }
    work_done(&w);
    return rc;
}

/* ---- from hypotheses to one predictor ------------------------------------------------------------------------ */

/* beta += share w * (phi' alpha), gamma += share w_distance alpha, for the alpha of hypothesis (j, h). */
static void add_member(const struct work *w, size_t j, size_t h, double share, double *beta, double *gamma)
{
    const struct transfer_view *view = w->view;
    const double *alpha = w->alpha + j * w->k * w->n_means + h;
    for (size_t p = 0; p < PART_LINEAR; p++) {
        const size_t begin = view->begin[p], width = view->begin[p + 1] - begin;
        const double weight = share * exp(w->kernels[j].log_weight[p]);
        for (size_t i = 0; i < w->k; i++) {
            cblas_daxpy((int)width, weight * alpha[i * w->n_means],
                        view->phi + w->rows[i] * transfer_columns(view) + begin, 1, beta + begin, 1);
        }
    }
    for (size_t i = 0; i < w->k; i++) {
        gamma[i] += share * exp(w->kernels[j].log_weight[PART_DISTANCE]) * alpha[i * w->n_means];
    }
}

static void add_mean(const struct transfer_view *view, size_t h, double share, double *blend)
{
    const size_t task = h / TRANSFER_RESTS;
    blend[task] += share;
    blend[view->n_tasks + 1 + task] += share * RESTS[h % TRANSFER_RESTS];
}

/* The errors of the likeliest hypothesis at each sample when it is left out, in deviations: alpha_i / sqrt(s2 K^-1_ii)
 * (Rasmussen and Williams 2006, 5.4.2). */
static enum tl_rc leave_one_out(struct model_few *few, const struct work *w, size_t j, size_t h, struct tl_err *err)
{
    const size_t k = w->k;
    double *inverse = calloc(k * k, sizeof(*inverse));
    if (!inverse) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the errors of %zu samples", k);
    }
    const double scale2 = few->scale2 / (w->scale[h] * w->scale[h]);
    linear_invert_lower(few->factor, k, inverse);
    for (size_t i = 0; i < k; i++) {
        const double diagonal = cblas_ddot((int)k, inverse + i, (int)k, inverse + i, (int)k);
        few->loo[i] = fabs(w->alpha[(j * k + i) * w->n_means + h]) / sqrt(scale2 * diagonal);
    }
    free(inverse);
    return TL_OK;
}

static enum tl_rc take_likeliest(struct model_few *few, const struct work *w, struct tl_err *err)
{
    const size_t best = likeliest(w->evidence, w->n_kernels * w->n_means), j = best / w->n_means, h = best % w->n_means;
    memcpy(few->log_weight, w->kernels[j].log_weight, sizeof(few->log_weight));
    transfer_kernel(w->parts, w->k, few->log_weight, few->factor);
    if (!linear_cholesky(few->factor, w->k)) {
        return tl_fail(err, TL_INVALID, "the samples leave no positive definite kernel");
    }
    few->scale2 = w->scale[h] * w->scale[h] * (TRANSFER_FREEDOM * TRANSFER_SCALE2 + w->quad[best]) /
                  (TRANSFER_FREEDOM + (double)w->k);
    return leave_one_out(few, w, j, h, err);
}

/* The average of all, and the likeliest by themselves, whose spread is part of the variance. Uses up w->evidence. */
static void take_members(struct model_few *few, struct work *w)
{
    const size_t n = w->n_kernels * w->n_means, d = transfer_columns(w->view);
    for (size_t i = 0; i < n; i++) {
        const size_t j = i / w->n_means, h = i % w->n_means;
        const double share = w->evidence[i] * w->scale[h];
        if (w->evidence[i] > 1e-9) {
            add_member(w, j, h, share, few->beta, few->gamma);
            add_mean(w->view, h, share, few->blend);
        }
    }
    for (; few->n_kept < TRANSFER_KEPT && few->n_kept < n; few->n_kept++) {
        const size_t i = likeliest(w->evidence, n), j = i / w->n_means, h = i % w->n_means;
        struct transfer_member *member = &few->kept[few->n_kept];
        *member = (struct transfer_member){.probability = w->evidence[i],
                                           .task = h / TRANSFER_RESTS,
                                           .rest = RESTS[h % TRANSFER_RESTS],
                                           .scale = w->scale[h],
                                           .beta = few->kept_memory + few->n_kept * (d + w->k)};
        member->gamma = member->beta + d;
        add_member(w, j, h, w->scale[h], member->beta, member->gamma);
        w->evidence[i] = -1.0;
    }
}

static enum tl_rc few_new(const struct transfer_view *view, const uint32_t *rows, size_t k, struct model_few **ret_few,
                          struct tl_err *err)
{
    const size_t d = transfer_columns(view);
    struct model_few *few = calloc(1, sizeof(*few));
    if (few) {
        *few = (struct model_few){.view = view,
                                  .k = k,
                                  .rows = calloc(k + 1, sizeof(uint32_t)),
                                  .blend = calloc(2 * (view->n_tasks + 1), sizeof(double)),
                                  .beta = calloc(d, sizeof(double)),
                                  .gamma = calloc(k + 1, sizeof(double)),
                                  .kept_memory = calloc(TRANSFER_KEPT * (d + k), sizeof(double)),
                                  .factor = calloc(k * k + 1, sizeof(double)),
                                  .loo = calloc(k + 1, sizeof(double)),
                                  .calibration = 1.0};
    }
    if (!few || !few->rows || !few->blend || !few->beta || !few->gamma || !few->kept_memory || !few->factor ||
        !few->loo) {
        model_few_free(few);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a model of %zu samples", k);
    }
    memcpy(few->rows, rows, k * sizeof(*rows));
    *ret_few = few;
    return TL_OK;
}

void model_few_free(struct model_few *few)
{
    if (!few) {
        return;
    }
    free(few->rows);
    free(few->blend);
    free(few->beta);
    free(few->gamma);
    free(few->kept_memory);
    free(few->factor);
    free(few->loo);
    free(few);
}

static enum tl_rc fit_samples(struct model_few *few, struct work *w, struct tl_err *err)
{
    enum tl_rc rc = w->k > SCREEN ? screen(w, err) : TL_OK;
    rc = rc ? rc : judge(w, err);
    if (!rc) {
        normalise(w->evidence, w->n_kernels * w->n_means);
        rc = take_likeliest(few, w, err);
    }
    if (!rc) {
        take_members(few, w);
    }
    work_done(w);
    return rc;
}

enum tl_rc transfer_fit(const struct transfer_view *view, const struct transfer_prior *prior, const uint32_t *rows,
                        const double *y, size_t k, struct model_few **ret_few, struct tl_err *err)
{
    struct model_few *few = NULL;
    enum tl_rc rc = few_new(view, rows, k, &few, err);
    if (rc) {
        return rc;
    }
    if (k == 0) {
        few->calibration = HUGE_VAL;
        add_mean(view, TRANSFER_RESTS - 1, 1.0, few->blend);
    } else {
        struct work w = work_on(view, prior, rows, y, k);
        rc = fit_samples(few, &w, err);
    }
    if (rc) {
        model_few_free(few);
        return rc;
    }
    *ret_few = few;
    return TL_OK;
}

/* ---- predicting ---------------------------------------------------------------------------------------------- */

/* distance (k): to each sample. */
static double member_value(const struct model_few *few, const struct transfer_member *member, size_t row,
                           const double *distance)
{
    const size_t d = transfer_columns(few->view);
    return member->scale * mean_of(few->view, row, member->task, member->rest) +
           cblas_ddot((int)d, few->view->phi + row * d, 1, member->beta, 1) +
           cblas_ddot((int)few->k, distance, 1, member->gamma, 1);
}

/* Variance of the likeliest hypothesis, noise counted in, and the spread of the kept ones about their mean. */
static double variance(const struct model_few *few, size_t row, const double *distance, double *column)
{
    const struct transfer_view *view = few->view;
    const size_t k = few->k;
    double own = 1.0 + transfer_covariance(view, few->log_weight, row, row), sum = 0.0, mean = 0.0, square = 0.0;

    for (size_t i = 0; i < k; i++) {
        column[i] = transfer_covariance(view, few->log_weight, row, few->rows[i]);
    }
    cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)k, few->factor, (int)k, column, 1);
    own -= cblas_ddot((int)k, column, 1, column, 1);
    for (size_t t = 0; t < few->n_kept; t++) {
        const double value = member_value(few, &few->kept[t], row, distance);
        sum += few->kept[t].probability;
        mean += few->kept[t].probability * value;
        square += few->kept[t].probability * value * value;
    }
    return few->scale2 * fmax(own, 0.0) + fmax(square / sum - mean / sum * mean / sum, 0.0);
}

enum tl_rc model_few_predict(const struct model_few *few, const uint32_t *rows, size_t n, double *y, double *half,
                             struct tl_err *err)
{
    const struct transfer_view *view = few->view;
    const size_t d = transfer_columns(view), means = 2 * (view->n_tasks + 1);
    double *distance = calloc(2 * (few->k + 1), sizeof(*distance));
    if (!distance) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the distance to %zu samples", few->k);
    }
    bool near = false;
    for (size_t i = 0; i < few->k; i++) {
        near = near || few->gamma[i] != 0.0;
    }
    for (size_t r = 0; r < n; r++) {
        for (size_t i = 0; near && i < few->k; i++) {
            distance[i] = transfer_distance(view, rows[r], few->rows[i]);
        }
        y[r] = cblas_ddot((int)means, view->mean + rows[r] * means, 1, few->blend, 1) +
               cblas_ddot((int)d, view->phi + rows[r] * d, 1, few->beta, 1) +
               cblas_ddot((int)few->k, distance, 1, few->gamma, 1);
        if (half) {
            half[r] = few->k == 0 ? HUGE_VAL
                                  : few->calibration * sqrt(variance(few, rows[r], distance, distance + few->k + 1));
        }
    }
    free(distance);
    return TL_OK;
}
