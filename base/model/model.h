/* model.h - the regression models that accuracy, latency and in-loop predictors share, and the statistics that judge
 * them. A library of its own over OpenBLAS.
 *
 * Discrete designs (architectures) come as "hot" rows: the indices of the features that are 1, since a sub-network
 * switches on a few dozen of a hundred features; the first layer of a network is then a sum of rows. Continuous designs
 * are dense.
 *
 * Threads: a fitted model is immutable and may be used by any number of threads, each with its own scratch. OpenBLAS is
 * held to one thread (model_blas_single_thread), so that results never depend on a thread count.
 */
#ifndef TAILOR_MODEL_H
#define TAILOR_MODEL_H

#include "base/base.h"

/* Hold OpenBLAS to one thread. Programs call it first in main. */
void model_blas_single_thread(void);

/* ---- regressions on hot rows --------------------------------------------------------------------------------- */

enum { MODEL_NO_FEATURE = 0xffff, MODEL_HOT_MAX = 256 };

/* n rows of `width` feature indices below n_features, none twice in a row; MODEL_NO_FEATURE fills unused places.
 * Borrowed. */
struct model_hot {
    const uint16_t *index; /* (n, width) */
    size_t n, width;
};

enum model_kind {
    MODEL_MLP,    /* ReLU multi-layer perceptron, float32 */
    MODEL_KERNEL, /* Gaussian process with a linear + squared-exponential kernel over hot rows, on inducing rows */
    MODEL_KIND_COUNT
};

struct model;

const char *model_kind_name(enum model_kind kind);
enum model_kind model_kind_of(const struct model *model);
size_t model_features(const struct model *model);

/* Fit y (n) on hot rows. Everything not given here (architecture, learning rate, epochs, kernel widths) is chosen
 * inside by a fixed rule or on the training rows alone. Same seed and rows: same bytes, whatever the pool (NULL: one
 * thread). `inducing` (MODEL_KERNEL): 16 to 4096 rows spread over the whole space, drawn by the caller, so that the
 * model holds no training row; more are more exact and slower. MODEL_MLP ignores it. Equal rows are held out together.
 * Takes a minute of one processor for 1,500 rows and 1,536 inducing rows. TL_INVALID: fewer than 10 rows, an index out
 * of range, a value not finite. */
TL_MUST_CHECK enum tl_rc model_fit(enum model_kind kind, const struct model_hot *rows, const double *y,
                                   size_t n_features, const struct model_hot *inducing, uint64_t seed,
                                   struct tl_pool *pool, struct model **ret_model, struct tl_err *err);

/* An MLP from outside: n_layers linear layers, layer i maps sizes[i] to sizes[i+1] with weights[i] (sizes[i+1],
 * sizes[i]) row-major and biases[i] (NULL: none), ReLU between; y = offset + scale * output. Copied. It has no
 * interval. */
TL_MUST_CHECK enum tl_rc model_mlp_import(size_t n_layers, const size_t *sizes, const float *const *weights,
                                          const float *const *biases, double offset, double scale,
                                          struct model **ret_model, struct tl_err *err);
void model_free(struct model *model);

/* Scratch for predicting up to `n` rows at once; sized here, so predicting allocates nothing. */
struct model_scratch;
TL_MUST_CHECK enum tl_rc model_scratch_new(const struct model *model, size_t n, struct model_scratch **ret_scratch,
                                           struct tl_err *err);
void model_scratch_free(struct model_scratch *scratch);

/* y (n); n at most the scratch's. The same rows in the same order give the same bits, so a caller whose batches do not
 * depend on the thread count gets the same values on any. Of a MODEL_KERNEL a row's bits never depend on the rows
 * beside it; of a MODEL_MLP they may (BLAS has other kernels for a few rows than for many), by float rounding. */
void model_predict(const struct model *model, struct model_scratch *scratch, const struct model_hot *rows, double *y);

/* Half width of the 90 % interval of each row (n): it grows with what the training rows leave open about the row (the
 * posterior variance of a linear model on its features and, for MODEL_KERNEL, activations), and was calibrated on rows
 * held out while the model was fitted. HUGE_VAL when the model has no known error (imported). */
void model_half_width(const struct model *model, struct model_scratch *scratch, const struct model_hot *rows,
                      double *half);

/* Opaque, versioned, little-endian; the same on every machine. model_load distrusts its bytes: TL_MALFORMED. */
TL_MUST_CHECK enum tl_rc model_save(const struct model *model, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc model_load(const void *bytes, size_t n, struct model **ret_model, struct tl_err *err);

/* ---- ridge regression on dense rows -------------------------------------------------------------------------- */

/* beta (d) minimising |X beta - y|^2 + sum lambda_j (beta_j - prior_j)^2; X (n, d) row-major, prior NULL: zeros.
 * Cholesky in double. TL_INVALID: not positive definite. */
TL_MUST_CHECK enum tl_rc model_ridge(const double *x, const double *y, size_t n, size_t d, const double *lambda,
                                     const double *prior, double *ret_beta, struct tl_err *err);

/* ---- regression on few samples, with the help of other tasks --------------------------------------------------- */

/* Values of other tasks (latencies on other devices) at the same rows (architectures), all borrowed. Features come twice:
 * a few coarse ones that a handful of samples can weigh (operator counts), and fine ones (one-hot, ordinal). */
struct model_tasks {
    size_t n, n_coarse, n_fine, n_tasks; /* each at least 1 */
    const float *coarse;                 /* (n, n_coarse) */
    const float *fine;                   /* (n, n_fine) */
    const float *values;                 /* (n, n_tasks), above 0; NAN: not known */
    const uint32_t *group; /* (n_tasks) tasks of one group are no news of each other (one board at several batch
                                            sizes); at least two groups; below MODEL_NO_GROUP */
};
enum { MODEL_TASKS_MAX = 256, MODEL_TASK_ROWS_MAX = 1 << 20, MODEL_TASK_FEATURES_MAX = 4096, MODEL_SAMPLES_MAX = 2048 };
#define MODEL_NO_GROUP UINT32_MAX

/* What the tasks teach of a further one: how far it may be from them, and in what, learned by playing target with every
 * task in turn on `n_samples` of its rows. Gaussian process with weighted linear kernels on features and tasks; its weights
 * maximise the mean marginal likelihood of the tasks. Copies what it needs. Same arguments, same bytes. TL_INVALID: sizes
 * out of range, one group only, a value that is not a positive number, nothing known of a task. */
struct model_transfer;
TL_MUST_CHECK enum tl_rc model_transfer_new(const struct model_tasks *tasks, size_t n_samples, uint64_t seed,
                                            struct model_transfer **ret_transfer, struct tl_err *err);
void model_transfer_free(struct model_transfer *transfer);

/* Which k of n candidate rows (distinct) to measure, without knowing any value: in turn the one that leaves the largest
 * variance, and the next of the candidates' own order, so that the caller's order is the random half. TL_INVALID: k > n
 * or k above MODEL_SAMPLES_MAX. */
TL_MUST_CHECK enum tl_rc model_transfer_choose(const struct model_transfer *transfer, const uint32_t *candidates,
                                               size_t n, size_t k, uint32_t *ret_rows, struct tl_err *err);

/* The target from k samples: `rows` (k) of the tasks' rows and their values `y` (k), above 0. The prediction is averaged
 * over hypotheses, each weighed by its marginal likelihood: the target is like the mean of the tasks, or like one of
 * them; its rest carries over wholly, half or not; the features weigh more or less. k = 0: the mean of the tasks, in
 * units of the target's unknown mean. The model borrows `transfer`. TL_INVALID: k above MODEL_SAMPLES_MAX, a row that is
 * none, a value that is not a positive number. */
struct model_few;
TL_MUST_CHECK enum tl_rc model_few_fit(const struct model_transfer *transfer, const uint32_t *rows, const double *y,
                                       size_t k, struct model_few **ret_few, struct tl_err *err);
void model_few_free(struct model_few *few);

/* y (n) for rows of the tasks, and half (n; NULL: not wanted) widths of their 90 % intervals: the posterior deviation,
 * calibrated by conformal prediction on the errors of the tasks when they played target and on the samples'
 * leave-one-out errors, so that few samples give wide but finite intervals (k = 0: HUGE_VAL). TL_NO_MEMORY only. */
TL_MUST_CHECK enum tl_rc model_few_predict(const struct model_few *few, const uint32_t *rows, size_t n, double *y,
                                           double *half, struct tl_err *err);

/* ---- statistics: pure, no allocation unless said ------------------------------------------------------------- */

/* In place: `values` are sorted. n >= 1. Quantiles interpolate linearly between order statistics (type 7). */
double stat_median(double *values, size_t n);
double stat_quantile(double *values, size_t n, double q);
/* Median absolute deviation from the median, not scaled. `values` reordered. */
double stat_mad(double *values, size_t n);

/* Distribution-free one-sided upper confidence bound of the q-quantile: the smallest order statistic k (1-based) with
 * P(Binomial(n, q) < k) >= confidence; 0 when n is too small for any (median at 95 %: n >= 5). */
size_t stat_quantile_upper_rank(size_t n, double q, double confidence);

/* Half width that a split-conformal interval of the given coverage takes from n absolute residuals (reordered): the
 * ceil((n+1) coverage)-th smallest; with too few residuals, twice the largest. */
double stat_conformal(double *residuals, size_t n, double coverage);

double stat_rmse(const double *a, const double *b, size_t n);
double stat_mape(const double *predicted, const double *truth, size_t n); /* in per cent */
/* Average ranks for ties. NAN when one side is constant. Allocates; NAN when memory is out. */
double stat_spearman(const double *a, const double *b, size_t n);
double stat_kendall(const double *a, const double *b, size_t n); /* tau-b */

#endif
