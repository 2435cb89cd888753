/* transfer.h - private: the parts of a regression on few samples that learns from other tasks.
 *
 *     bases   what is known of the tasks, each task's values cut in three: what coarse features explain, what fine ones
 *             add, and a rest
 *     view    the columns that a target sees: some rows, and the tasks that may help it
 *     fit     a Gaussian process with a kernel of eight weighted parts over a view, averaged over hypotheses
 *     prior   the weights, and the calibration of intervals, by playing target with every task in turn
 *
 * Threads: every part is immutable once made.
 */
#ifndef TAILOR_MODEL_TRANSFER_H
#define TAILOR_MODEL_TRANSFER_H

#include "base/model/model.h"

/* Parts of the kernel: linear ones over columns of a view, and a squared exponential of the distance in fine features.
 * Each is scaled to a mean of 1 on the diagonal, so that weights compare; noise has the weight 1. */
enum transfer_part {
    PART_CONSTANT,
    PART_SLOPE,  /* the mean of the tasks */
    PART_COARSE, /* coarse features */
    PART_FINE,
    PART_TASKS_COARSE, /* how tasks differ from their mean, in what coarse features explain; one column a task */
    PART_TASKS_FINE,
    PART_TASKS_REST,
    PART_DISTANCE,
    PART_COUNT,
    PART_LINEAR = PART_DISTANCE /* how many are linear */
};

/* ---- bases --------------------------------------------------------------------------------------------------- */

/* Values of task t over their mean = 1 + cut[0][t] + cut[1][t] + cut[2][t]. */
enum { CUTS = 3 };
struct transfer_bases {
    size_t n, n_coarse, n_fine, n_tasks;
    double *coarse, *fine; /* owned; (n, n_coarse), (n, n_fine); centred */
    double *cut[CUTS];     /* owned; (n, n_tasks) each; the rest is 0 where a value is not known */
    uint32_t *group;       /* owned; (n_tasks) */
};

TL_MUST_CHECK enum tl_rc transfer_bases_init(struct transfer_bases *bases, const struct model_tasks *tasks,
                                             struct tl_err *err);
void transfer_bases_done(struct transfer_bases *bases);

/* ---- view ---------------------------------------------------------------------------------------------------- */

struct transfer_view {
    size_t n, n_tasks;
    size_t begin[PART_LINEAR + 1]; /* first column of each linear part; the last: how many columns */
    double *phi;                   /* owned; (n, columns) */
    /* owned; (n, 2 (n_tasks + 1)): what a target may look like. First what features explain of the mean of the tasks and
     * of each task, then the rests in the same order. */
    double *mean;
};

/* Rows of the bases (NULL: all), and the tasks that are not of `group` (MODEL_NO_GROUP: all tasks). */
TL_MUST_CHECK enum tl_rc transfer_view_init(struct transfer_view *view, const struct transfer_bases *bases,
                                            const uint32_t *rows, size_t n, uint32_t group, struct tl_err *err);
void transfer_view_done(struct transfer_view *view);

static inline size_t transfer_columns(const struct transfer_view *view)
{
    return view->begin[PART_LINEAR];
}

/* k[p] (n, n) for each part of the kernel between n rows of the view, one after another: (PART_COUNT, n, n). */
TL_MUST_CHECK enum tl_rc transfer_parts(const struct transfer_view *view, const uint32_t *rows, size_t n, double *parts,
                                        struct tl_err *err);
/* The distance part between two rows. */
double transfer_distance(const struct transfer_view *view, size_t a, size_t b);
/* The kernel between two rows, noise not counted in. */
double transfer_covariance(const struct transfer_view *view, const double *log_weight, size_t a, size_t b);
/* out (n, n) = sum of exp(log_weight[p]) parts[p] + noise 1. */
void transfer_kernel(const double *parts, size_t n, const double *log_weight, double *out);

/* ---- fit ----------------------------------------------------------------------------------------------------- */

/* A target's deviation from its hypothesis has a scale of its own, whose square is inverse gamma: this many degrees of
 * freedom, about TRANSFER_SCALE2 (noise of 5 %). Learned with the weights it would be smaller, and 20 samples overfitted. */
#define TRANSFER_SCALE2  3e-3
#define TRANSFER_FREEDOM 2.0

/* What is learned of the tasks before a target is seen. A hypothesis is a kernel (the weights, some of them raised or
 * lowered), a mean (of the tasks, or one of them), and how much of the rests the target takes from that mean. */
enum { TRANSFER_KERNELS = 12, TRANSFER_RESTS = 3 };
struct transfer_prior {
    double log_weight[PART_COUNT];
    double log_share[TRANSFER_KERNELS][TRANSFER_RESTS]; /* log probability of kernel and rest */
};

enum { TRANSFER_KEPT = 32 };

struct transfer_member {
    double probability;
    size_t task;          /* 0: the mean of the tasks */
    double rest, scale;   /* how much of the rest it takes; y = scale (mean + rest * rest mean + ...) */
    double *beta, *gamma; /* owned by the fit; (columns), (k) */
};

struct model_few {
    const struct transfer_view *view; /* borrowed */
    size_t k;
    uint32_t *rows; /* owned; (k) */
    /* The average over all hypotheses: y = mean . blend + phi . beta + sum of gamma_i distance to sample i */
    double *blend, *beta, *gamma;               /* owned */
    struct transfer_member kept[TRANSFER_KEPT]; /* the likeliest */
    size_t n_kept;
    double *kept_memory;           /* owned */
    double log_weight[PART_COUNT]; /* of the likeliest */
    double *factor;                /* owned; (k, k): its Cholesky factor */
    double scale2;                 /* of the likeliest, in units of y squared */
    double *loo;                   /* owned; (k): its leave-one-out errors, in deviations */
    double calibration;            /* half width over deviation; 1 unless set */
};

/* k at least 1: log marginal likelihood of each kernel and rest, averaged over means, constants left out. */
TL_MUST_CHECK enum tl_rc transfer_evidence(const struct transfer_view *view, const struct transfer_prior *prior,
                                           const uint32_t *rows, const double *y, size_t k,
                                           double ret_evidence[TRANSFER_KERNELS][TRANSFER_RESTS], struct tl_err *err);
TL_MUST_CHECK enum tl_rc transfer_fit(const struct transfer_view *view, const struct transfer_prior *prior,
                                      const uint32_t *rows, const double *y, size_t k, struct model_few **ret_few,
                                      struct tl_err *err);

/* ---- prior --------------------------------------------------------------------------------------------------- */

enum { TRANSFER_CALIBRATION = 20 };

struct model_transfer {
    struct transfer_bases bases;
    struct transfer_view view; /* all rows, all tasks */
    struct transfer_prior prior;
    double errors[TRANSFER_CALIBRATION]; /* quantiles of the tasks' errors when they played target, in deviations */
};

#endif
