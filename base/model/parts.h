/* parts.h - private: what a model is made of.
 *
 *     model  = one regression (mlp or kernel) + spread, which says how far a row is from the training rows
 *     half width = calibration * spread
 *
 * Threads: every part is immutable once fitted or loaded.
 */
#ifndef TAILOR_MODEL_PARTS_H
#define TAILOR_MODEL_PARTS_H

#include "base/model/model.h"
#include "base/model/vector.h"

enum {
    MODEL_LAYERS_MAX = 8,
    MODEL_SIDE_MAX = 4096, /* features, and units of a layer */
    MODEL_NETS_MAX = 16,   /* members of an ensemble */
    MODEL_INDUCING_MAX = 4096,
    MODEL_FOLDS = 5, /* of the rows, for calibration: each row is predicted by a fit that did not see it.
                                  "Outside fold MODEL_FOLDS" are all rows. */
};

/* ---- multi-layer perceptron ---------------------------------------------------------------------------------- */

/* One network. The last layer has one output. */
struct net_layers {
    size_t n_layers;
    size_t sizes[MODEL_LAYERS_MAX + 1];
    float *weights[MODEL_LAYERS_MAX]; /* owned; (sizes[i], ld) with ld = vec_pad(sizes[i+1]); the last one is (1, ld of
                                         its input), since it is a dot product */
    float *biases[MODEL_LAYERS_MAX];  /* owned; padded with zeros */
};

/* y = offset + scale * mean over the networks */
struct mlp {
    size_t n_nets;
    struct net_layers nets[MODEL_NETS_MAX];
    double offset, scale;
};

/* Zeroed layers of these sizes. */
TL_MUST_CHECK enum tl_rc net_layers_init(struct net_layers *net, size_t n_layers, const size_t *sizes,
                                         struct tl_err *err);
void net_layers_done(struct net_layers *net);
void mlp_done(struct mlp *mlp);
size_t mlp_width(const struct mlp *mlp); /* floats in the widest padded layer */

/* a and b: (n, mlp_width) of scratch. */
void mlp_predict(const struct mlp *mlp, const struct model_hot *rows, float *a, float *b, double *y);

TL_MUST_CHECK enum tl_rc mlp_save(const struct mlp *mlp, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc mlp_load(struct tl_cursor *cursor, struct mlp *ret_mlp, struct tl_err *err);

/* ---- spread -------------------------------------------------------------------------------------------------- */

/* Uncertainty of a row: sqrt(floor + |W phi|^2) with phi = [the row's features, activations of the first m inducing
 * rows]: the posterior deviation of a linear model on phi, W the inverse of the Cholesky factor of its precision. */
struct kernel;
struct spread {
    size_t n_features, m;
    float *w; /* owned; rows of the lower triangle one after another; n = n_features + m rows */
    double floor;
    double calibration; /* half width of the 90 % interval over the spread; HUGE_VAL: unknown error */
};

void spread_done(struct spread *spread);
/* |W phi|^2. `active` (m) activations; phi: scratch of n_features + m. */
double spread_variance(const struct spread *spread, const uint16_t *row, size_t width, const float *active, float *phi);
/* Fit on all rows and calibrate: precision = prior + phi'phi / noise; prior (n_features + m squared), lower triangle.
 * `kernel` (NULL: m is 0) activates the inducing rows. `residuals` (n), destroyed, are those of each row in a fit that
 * did not see its fold, in units of y; they are compared with the variance that the rows outside that fold leave. */
struct fit_rows;
TL_MUST_CHECK enum tl_rc spread_fit(struct spread *spread, const struct fit_rows *data, const struct kernel *kernel,
                                    size_t m, const double *prior, double noise, double *residuals, struct tl_err *err);

TL_MUST_CHECK enum tl_rc spread_save(const struct spread *spread, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc spread_load(struct tl_cursor *cursor, struct spread *ret_spread, struct tl_err *err);

/* ---- kernel model -------------------------------------------------------------------------------------------- */

/* y = offset + sum over the row's features of linear[f] + sum over j of beta[j] exp(-d_j), d_j = sum of w_f over the
 * features in which the row and inducing row j differ. As a network: a hot layer, exp, a dot product. */
struct kernel {
    size_t n_features, m, ld; /* ld = vec_pad(m) */
    double offset;
    double *linear; /* owned; (n_features) */
    double *beta;   /* owned; (ld), zeros beyond m */
    /* owned; (n_features, ld) and (ld): -d_j = bias[j] + sum of exponent[f,j] over the row's features. exponent[f,j] is
     * w_f where inducing row j has feature f, -w_f where not. */
    float *exponent, *bias;
};

/* Chosen on the training rows by marginal likelihood; variances are in units of the standardised values squared. */
struct kernel_hyper {
    double *w; /* owned; (n_features) */
    double linear_variance, amplitude, noise;
};

void kernel_done(struct kernel *kernel);
/* A kernel whose inducing rows have their features at `present` (m, n_features) and whose beta and linear are 0. */
TL_MUST_CHECK enum tl_rc kernel_init(struct kernel *kernel, size_t n_features, size_t m, const float *w,
                                     const uint8_t *present, struct tl_err *err);

/* Exact Gaussian process with an own weight for every feature, by Adam on the log marginal likelihood of at most
 * KERNEL_TUNE_MAX rows (a seeded choice) outside fold `left_out`. */
enum { KERNEL_TUNE_MAX = 2048 };
TL_MUST_CHECK enum tl_rc kernel_tune(const struct fit_rows *data, unsigned left_out, uint64_t seed,
                                     struct kernel_hyper *ret_hyper, struct tl_err *err);

/* active: (n, ld) of scratch. */
void kernel_predict(const struct kernel *kernel, const struct model_hot *rows, float *active, double *y);
void kernel_activations(const struct kernel *kernel, const uint16_t *row, size_t width, float *active);

TL_MUST_CHECK enum tl_rc kernel_save(const struct kernel *kernel, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc kernel_load(struct tl_cursor *cursor, struct kernel *ret_kernel, struct tl_err *err);

/* ---- the whole ----------------------------------------------------------------------------------------------- */

struct model {
    enum model_kind kind;
    size_t n_features;
    struct mlp mlp;       /* MODEL_MLP */
    struct kernel kernel; /* MODEL_KERNEL */
    struct spread spread;
};

/* Rows to fit, with the fold of each: equal rows share a fold. */
struct fit_rows {
    const struct model_hot *rows;
    size_t n_features;
    double *z;     /* owned; (n) values with mean 0 and deviation 1 */
    uint8_t *fold; /* owned; (n) */
    double mean, deviation;
};

/* Each fills its part of `model` and the spread. */
TL_MUST_CHECK enum tl_rc fit_mlp(const struct fit_rows *data, uint64_t seed, struct tl_pool *pool, struct model *model,
                                 struct tl_err *err);
TL_MUST_CHECK enum tl_rc fit_kernel(const struct fit_rows *data, const struct model_hot *inducing, uint64_t seed,
                                    struct tl_pool *pool, struct model *model, struct tl_err *err);

/* phi of one row in double: n_features zeros and ones, then the first m activations (kernel NULL: m is 0). `active`:
 * the kernel's ld of scratch. */
void row_phi(const struct fit_rows *data, size_t i, const struct kernel *kernel, size_t m, float *active, double *phi);

/* Sums over the rows outside fold `left_out`, divided by noise: gram (d, d) lower triangle += phi'phi / noise, moment
 * (d) += phi'z / noise, with d = n_features + m. */
TL_MUST_CHECK enum tl_rc rows_sums(const struct fit_rows *data, unsigned left_out, const struct kernel *kernel,
                                   size_t m, double noise, double *gram, double *moment, struct tl_err *err);

/* Floats of a saved model; loading refuses what is not finite. */
TL_MUST_CHECK enum tl_rc floats_save(const float *values, size_t n, struct tl_buf *buf, struct tl_err *err);
bool floats_load(struct tl_cursor *cursor, float *values, size_t n);
TL_MUST_CHECK enum tl_rc doubles_save(const double *values, size_t n, struct tl_buf *buf, struct tl_err *err);
bool doubles_load(struct tl_cursor *cursor, double *values, size_t n);

#endif
