/* transfer_prior.c - what the tasks teach of a further one, by playing target with every task in turn.
 *
 * The task's group is hidden, a few of its values are shown. The kernel's weights maximise the mean marginal likelihood
 * of what is shown, by steps along one weight after another; then every task is predicted from its few, and the errors
 * at other rows, in the deviations that were claimed, calibrate the intervals.
 * Threads: pure functions; seeded draws.
 */
#include "base/model/linear.h"
#include "base/model/transfer.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLAYED_MIN = 5, /* samples of a task that plays target */
    PLAYED_MAX = 40,
    PLAYED_TOTAL = 120, /* samples in all rounds of a task: fewer samples, more rounds */
    JUDGED = 40,        /* rows of a task on which its errors are seen */
    ROWS = PLAYED_TOTAL + JUDGED,
    PASSES = 5, /* over all weights, at each step size */
};
static const double STEPS[] = {2.0, 1.0, 0.5}, LOG_MAX = 12.0, GAIN_MIN = 1e-3, COVERAGE = 0.9;

/* One round: samples of one task, as the others see it. */
struct round {
    double *parts;    /* owned (PART_COUNT, n, n) */
    double *residual; /* owned (n) */
};

struct play {
    const struct transfer_bases *bases;
    const struct model_tasks *tasks;
    size_t n, n_rounds; /* samples in a round, rounds of a task */
    size_t n_views;
    struct transfer_view *views; /* owned (n_tasks): ROWS rows, the task's group hidden */
    uint32_t *rows;              /* owned (n_tasks, ROWS): rows of the bases, all with a value */
    size_t *n_rows;              /* owned (n_tasks): how many there are; 0: the task does not play */
    struct round *rounds;        /* owned (n_tasks * n_rounds) */
    double *kernel, *solved;     /* owned (n, n), (n) */
};

static void play_done(struct play *play)
{
    for (size_t t = 0; t < play->bases->n_tasks; t++) {
        if (play->views) {
            transfer_view_done(&play->views[t]);
        }
        for (size_t r = 0; play->rounds && r < play->n_rounds; r++) {
            free(play->rounds[t * play->n_rounds + r].parts);
            free(play->rounds[t * play->n_rounds + r].residual);
        }
    }
    free(play->views);
    free(play->rows);
    free(play->n_rows);
    free(play->rounds);
    free(play->kernel);
    free(play->solved);
}

/* A seeded choice of ROWS rows with a value, or all of them where there are fewer; returns how many. */
static size_t draw_rows(const struct model_tasks *tasks, size_t task, uint64_t seed, uint32_t *ret_rows)
{
    struct tl_rng rng;
    size_t seen = 0;
    tl_rng_init(&rng, seed, task, 0);
    for (size_t i = 0; i < tasks->n; i++) {
        if (isnan(tasks->values[i * tasks->n_tasks + task])) {
            continue;
        }
        const size_t at = seen < ROWS ? seen : tl_rng_below(&rng, (uint32_t)seen + 1);
        seen++;
        if (at < ROWS) {
            ret_rows[at] = (uint32_t)i;
        }
    }
    const size_t n = seen < ROWS ? seen : ROWS;
    for (size_t i = n; i > 1; i--) {
        const uint32_t j = tl_rng_below(&rng, (uint32_t)i), other = ret_rows[i - 1];
        ret_rows[i - 1] = ret_rows[j];
        ret_rows[j] = other;
    }
    return n;
}

static double value_of(const struct play *play, size_t task, size_t at)
{
    return (double)play->tasks->values[play->rows[task * ROWS + at] * play->tasks->n_tasks + task];
}

/* What round `r` of the task shows: its values over their mean, less the mean of the others over its own. */
static void show(const struct play *play, size_t task, size_t r, double *residual)
{
    const struct transfer_view *view = &play->views[task];
    double sum_y = 0.0, sum_mean = 0.0;
    for (size_t i = 0; i < play->n; i++) {
        const double *mean = view->mean + (r * play->n + i) * 2 * (view->n_tasks + 1);
        residual[i] = mean[0] + mean[view->n_tasks + 1];
        sum_mean += residual[i];
        sum_y += value_of(play, task, r * play->n + i);
    }
    for (size_t i = 0; i < play->n; i++) {
        residual[i] = value_of(play, task, r * play->n + i) * sum_mean / sum_y - residual[i];
    }
}

static enum tl_rc task_init(struct play *play, size_t task, uint64_t seed, struct tl_err *err)
{
    const struct transfer_bases *bases = play->bases;
    const size_t n = play->n, found = draw_rows(play->tasks, task, seed, play->rows + task * ROWS);
    uint32_t place[PLAYED_MAX];

    if (found < n * play->n_rounds + 1) {
        return TL_OK; /* too little is known of it */
    }
    enum tl_rc rc =
        transfer_view_init(&play->views[task], bases, play->rows + task * ROWS, found, bases->group[task], err);
    for (size_t r = 0; !rc && r < play->n_rounds; r++) {
        struct round *round = &play->rounds[task * play->n_rounds + r];
        round->parts = calloc(PART_COUNT * n * n, sizeof(double));
        round->residual = calloc(n, sizeof(double));
        if (!round->parts || !round->residual) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for a round of %zu samples", n);
        }
        for (size_t i = 0; i < n; i++) {
            place[i] = (uint32_t)(r * n + i);
        }
        show(play, task, r, round->residual);
        rc = transfer_parts(&play->views[task], place, n, round->parts, err);
    }
    play->n_rows[task] = rc ? 0 : found;
    return rc;
}

static enum tl_rc play_init(struct play *play, uint64_t seed, struct tl_err *err)
{
    const size_t s = play->bases->n_tasks, n = play->n;
    size_t playing = 0;
    play->views = calloc(s, sizeof(*play->views));
    play->rows = calloc(s * ROWS, sizeof(*play->rows));
    play->n_rows = calloc(s, sizeof(*play->n_rows));
    play->rounds = calloc(s * play->n_rounds, sizeof(*play->rounds));
    play->kernel = calloc(n * n, sizeof(double));
    play->solved = calloc(n, sizeof(double));
    if (!play->views || !play->rows || !play->n_rows || !play->rounds || !play->kernel || !play->solved) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to learn from %zu tasks", s);
    }
    enum tl_rc rc = TL_OK;
    for (size_t t = 0; !rc && t < s; t++) {
        rc = task_init(play, t, seed, err);
        playing += play->n_rows[t] > 0;
    }
    return rc || playing ? rc : tl_fail(err, TL_INVALID, "no task has %zu values", n * play->n_rounds + 1);
}

/* ---- weights ------------------------------------------------------------------------------------------------- */

/* Mean log marginal likelihood of the rounds, constants left out. */
static double likelihood(struct play *play, const struct transfer_prior *prior)
{
    const size_t n = play->n;
    double sum = 0.0;
    size_t count = 0;
    for (size_t i = 0; i < play->bases->n_tasks * play->n_rounds; i++) {
        const struct round *round = &play->rounds[i];
        if (!round->parts) {
            continue;
        }
        transfer_kernel(round->parts, n, prior->log_weight, play->kernel);
        if (!linear_cholesky(play->kernel, n)) {
            return -HUGE_VAL;
        }
        memcpy(play->solved, round->residual, n * sizeof(double));
        cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, play->kernel, (int)n, play->solved,
                    1);
        sum -= 0.5 * (TRANSFER_FREEDOM + (double)n) *
               log1p(cblas_ddot((int)n, play->solved, 1, play->solved, 1) / (TRANSFER_FREEDOM * TRANSFER_SCALE2));
        for (size_t j = 0; j < n; j++) {
            sum -= log(play->kernel[j * n + j]);
        }
        count++;
    }
    return sum / (double)count;
}

static bool improve(struct play *play, double step, struct transfer_prior *prior, double *best)
{
    bool better = false;
    for (size_t i = 0; i < 2 * (size_t)PART_COUNT; i++) {
        double *at = &prior->log_weight[i / 2];
        const double before = *at;
        *at += i % 2 ? -step : step;
        const double value = fabs(*at) > LOG_MAX ? -HUGE_VAL : likelihood(play, prior);
        if (value > *best + GAIN_MIN) {
            *best = value;
            better = true;
        } else {
            *at = before;
        }
    }
    return better;
}

static void learn_weights(struct play *play, struct transfer_prior *prior)
{
    for (size_t p = 0; p < PART_COUNT; p++) {
        prior->log_weight[p] = -1.0;
    }
    double best = likelihood(play, prior);
    for (size_t s = 0; s < TL_COUNT_OF(STEPS); s++) {
        for (size_t pass = 0; pass < PASSES && improve(play, STEPS[s], prior, &best); pass++) {
        }
    }
}

/* ---- shares of hypotheses ------------------------------------------------------------------------------------- */

/* Mixture weights of the kernels and rests, by expectation maximisation over the rounds; SMOOTHING rounds that favour
 * none keep each possible. */
enum { EM_STEPS = 30, HYPOTHESES = TRANSFER_KERNELS * TRANSFER_RESTS };
static const double SMOOTHING = 2.0;

static void maximise(double (*evidence)[HYPOTHESES], size_t n, double share[HYPOTHESES])
{
    for (size_t step = 0; step < EM_STEPS; step++) {
        double next[HYPOTHESES] = {0}, posterior[HYPOTHESES];
        for (size_t r = 0; r < n; r++) {
            double best = -HUGE_VAL, sum = 0.0;
            for (size_t z = 0; z < HYPOTHESES; z++) {
                best = fmax(best, evidence[r][z]);
            }
            for (size_t z = 0; z < HYPOTHESES; z++) {
                posterior[z] = share[z] * exp(evidence[r][z] - best);
                sum += posterior[z];
            }
            for (size_t z = 0; z < HYPOTHESES; z++) {
                next[z] += posterior[z] / sum;
            }
        }
        for (size_t z = 0; z < HYPOTHESES; z++) {
            share[z] = (next[z] + SMOOTHING / HYPOTHESES) / ((double)n + SMOOTHING);
        }
    }
}

static enum tl_rc learn_shares(const struct play *play, struct transfer_prior *prior, struct tl_err *err)
{
    double(*evidence)[HYPOTHESES] = calloc(play->bases->n_tasks * play->n_rounds, sizeof(*evidence));
    double share[HYPOTHESES], y[PLAYED_MAX];
    uint32_t place[PLAYED_MAX];
    size_t n = 0;
    enum tl_rc rc = evidence ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for the evidence of tasks");
    for (size_t i = 0; !rc && i < play->bases->n_tasks * play->n_rounds; i++) {
        const size_t task = i / play->n_rounds, first = i % play->n_rounds * play->n;
        for (size_t s = 0; play->n_rows[task] && s < play->n; s++) {
            place[s] = (uint32_t)(first + s);
            y[s] = value_of(play, task, first + s);
        }
        if (play->n_rows[task]) {
            rc = transfer_evidence(&play->views[task], prior, place, y, play->n,
                                   (double(*)[TRANSFER_RESTS])evidence[n++], err);
        }
    }
    for (size_t z = 0; z < HYPOTHESES; z++) {
        share[z] = 1.0 / HYPOTHESES;
    }
    if (!rc) {
        maximise(evidence, n, share);
    }
    for (size_t z = 0; z < HYPOTHESES; z++) {
        prior->log_share[z / TRANSFER_RESTS][z % TRANSFER_RESTS] = log(share[z]);
    }
    free(evidence);
    return rc;
}

/* ---- calibration --------------------------------------------------------------------------------------------- */

/* Fit the task on its first n rows; |error| over deviation at up to JUDGED further ones, appended. */
static enum tl_rc judge_task(const struct play *play, size_t task, const struct transfer_prior *prior, double *errors,
                             size_t *n, struct tl_err *err)
{
    uint32_t place[ROWS];
    double y[ROWS] = {0}, predicted[JUDGED], deviation[JUDGED];
    struct model_few *few = NULL;
    const size_t left = play->n_rows[task] - play->n, judged = left < JUDGED ? left : JUDGED;

    for (size_t i = 0; i < play->n + judged; i++) {
        place[i] = (uint32_t)i;
        y[i] = value_of(play, task, i);
    }
    enum tl_rc rc = transfer_fit(&play->views[task], prior, place, y, play->n, &few, err);
    if (rc) {
        return rc;
    }
    rc = model_few_predict(few, place + play->n, judged, predicted, deviation, err);
    for (size_t i = 0; !rc && i < judged; i++) {
        errors[(*n)++] = fabs(predicted[i] - y[play->n + i]) / deviation[i];
    }
    model_few_free(few);
    return rc;
}

static enum tl_rc calibrate(const struct play *play, struct model_transfer *transfer, struct tl_err *err)
{
    double *errors = calloc(play->bases->n_tasks * JUDGED, sizeof(*errors));
    size_t n = 0;
    enum tl_rc rc = errors ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for the errors of tasks");
    for (size_t t = 0; !rc && t < play->bases->n_tasks; t++) {
        rc = play->n_rows[t] ? judge_task(play, t, &transfer->prior, errors, &n, err) : TL_OK;
    }
    for (size_t q = 0; !rc && q < TRANSFER_CALIBRATION; q++) {
        transfer->errors[q] = stat_quantile(errors, n, ((double)q + 0.5) / TRANSFER_CALIBRATION);
    }
    free(errors);
    return rc;
}

/* ---- what others call ---------------------------------------------------------------------------------------- */

static enum tl_rc check(const struct model_tasks *tasks, struct tl_err *err)
{
    if (tasks->n == 0 || tasks->n > MODEL_TASK_ROWS_MAX || tasks->n_tasks == 0 || tasks->n_tasks > MODEL_TASKS_MAX ||
        tasks->n_coarse == 0 || tasks->n_coarse > MODEL_TASK_FEATURES_MAX || tasks->n_fine == 0 ||
        tasks->n_fine > MODEL_TASK_FEATURES_MAX) {
        return tl_fail(err, TL_INVALID,
                       "%zu rows of %zu tasks with %zu and %zu features; 1 to %d, %d and %d are learned from", tasks->n,
                       tasks->n_tasks, tasks->n_coarse, tasks->n_fine, MODEL_TASK_ROWS_MAX, MODEL_TASKS_MAX,
                       MODEL_TASK_FEATURES_MAX);
    }
    for (size_t t = 1; t < tasks->n_tasks; t++) {
        if (tasks->group[t] != tasks->group[0]) {
            return TL_OK;
        }
    }
    return tl_fail(err, TL_INVALID, "all tasks are of one group: nothing to learn how tasks of two groups differ");
}

static enum tl_rc learn(struct model_transfer *transfer, const struct model_tasks *tasks, size_t n_samples,
                        uint64_t seed, struct tl_err *err)
{
    enum tl_rc rc = transfer_bases_init(&transfer->bases, tasks, err);
    rc = rc ? rc : transfer_view_init(&transfer->view, &transfer->bases, NULL, tasks->n, MODEL_NO_GROUP, err);
    if (rc) {
        return rc;
    }
    struct play play = {.bases = &transfer->bases, .tasks = tasks};
    play.n = n_samples < PLAYED_MIN ? PLAYED_MIN : n_samples < PLAYED_MAX ? n_samples : PLAYED_MAX;
    play.n_rounds = PLAYED_TOTAL / play.n;
    rc = play_init(&play, seed, err);
    if (!rc) {
        learn_weights(&play, &transfer->prior);
        rc = learn_shares(&play, &transfer->prior, err);
        rc = rc ? rc : calibrate(&play, transfer, err);
    }
    play_done(&play);
    return rc;
}

enum tl_rc model_transfer_new(const struct model_tasks *tasks, size_t n_samples, uint64_t seed,
                              struct model_transfer **ret_transfer, struct tl_err *err)
{
    enum tl_rc rc = check(tasks, err);
    if (rc) {
        return rc;
    }
    struct model_transfer *transfer = calloc(1, sizeof(*transfer));
    if (!transfer) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to learn from %zu tasks", tasks->n_tasks);
    }
    rc = learn(transfer, tasks, n_samples, seed, err);
    if (rc) {
        model_transfer_free(transfer);
        return rc;
    }
    *ret_transfer = transfer;
    return TL_OK;
}

void model_transfer_free(struct model_transfer *transfer)
{
    if (transfer) {
        transfer_bases_done(&transfer->bases);
        transfer_view_done(&transfer->view);
        free(transfer);
    }
}

static size_t next_sample(const double *variance, size_t n, const bool *taken, bool widest)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if (!taken[i] && (best == SIZE_MAX || (widest && variance[i] > variance[best]))) {
            best = i;
        }
    }
    return best;
}

/* One step of a pivoted Cholesky: column `step` of the factor (n, k), of candidate x, and what it leaves of variances. */
static void condition(const struct model_transfer *transfer, const uint32_t *candidates, size_t n, size_t x,
                      double *factor, size_t k, size_t step, double *variance)
{
    const double root = sqrt(variance[x]);
    for (size_t i = 0; i < n; i++) {
        const double covariance =
            transfer_covariance(&transfer->view, transfer->prior.log_weight, candidates[i], candidates[x]) -
            cblas_ddot((int)step, factor + i * k, 1, factor + x * k, 1);
        factor[i * k + step] = i == x ? root : covariance / root;
    }
    for (size_t i = 0; i < n; i++) {
        variance[i] -= factor[i * k + step] * factor[i * k + step];
    }
}

enum tl_rc model_transfer_choose(const struct model_transfer *transfer, const uint32_t *candidates, size_t n, size_t k,
                                 uint32_t *ret_rows, struct tl_err *err)
{
    if (k > n || k > MODEL_SAMPLES_MAX) {
        return tl_fail(err, TL_INVALID, "%zu of %zu candidates; at most %d, and at most all", k, n, MODEL_SAMPLES_MAX);
    }
    double *factor = calloc(n * k + 1, sizeof(*factor)), *variance = calloc(n + 1, sizeof(*variance));
    bool *taken = calloc(n + 1, sizeof(*taken));
    enum tl_rc rc =
        factor && variance && taken ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory to choose among %zu candidates", n);
    for (size_t i = 0; !rc && i < n; i++) {
        variance[i] =
            1.0 + transfer_covariance(&transfer->view, transfer->prior.log_weight, candidates[i], candidates[i]);
    }
    for (size_t i = 0; !rc && i < k; i++) {
        const size_t x = next_sample(variance, n, taken, i % 2 == 0);
        taken[x] = true;
        ret_rows[i] = candidates[x];
        condition(transfer, candidates, n, x, factor, k, i, variance);
    }
    free(factor);
    free(variance);
    free(taken);
    return rc;
}

enum tl_rc model_few_fit(const struct model_transfer *transfer, const uint32_t *rows, const double *y, size_t k,
                         struct model_few **ret_few, struct tl_err *err)
{
    struct model_few *few = NULL;
    if (k > MODEL_SAMPLES_MAX) {
        return tl_fail(err, TL_INVALID, "%zu samples; at most %d", k, MODEL_SAMPLES_MAX);
    }
    for (size_t i = 0; i < k; i++) {
        if (rows[i] >= transfer->view.n || !isfinite(y[i]) || y[i] <= 0.0) {
            return tl_fail(err, TL_INVALID, "sample %zu is %g at row %u of %zu; values are positive", i, y[i], rows[i],
                           transfer->view.n);
        }
    }
    double *errors = calloc(k + TRANSFER_CALIBRATION, sizeof(*errors));
    if (!errors) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu samples", k);
    }
    enum tl_rc rc = transfer_fit(&transfer->view, &transfer->prior, rows, y, k, &few, err);
    if (!rc) {
        memcpy(errors, transfer->errors, sizeof(transfer->errors));
        memcpy(errors + TRANSFER_CALIBRATION, few->loo, k * sizeof(*errors));
        few->calibration = stat_conformal(errors, k + TRANSFER_CALIBRATION, COVERAGE);
        *ret_few = few;
    }
    free(errors);
    return rc;
}
