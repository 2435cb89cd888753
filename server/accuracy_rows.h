/* accuracy_rows.h - tables of networks with their measured accuracy, and the judging and fitting of models on them.
 *
 * Threads: rows are immutable once read; judging and fitting spread over the pool given to them.
 */
#ifndef TAILOR_ACCURACY_ROWS_H
#define TAILOR_ACCURACY_ROWS_H

#include "server/accuracy.h"

enum { ACCURACY_ROWS_MAX = 200000, ACCURACY_FOLDS_MAX = 20 };

/* Names of columns. Kernels and expands are a digit a slot ("35753.."), depths a digit a stage; digits of slots beyond
 * the depth are ignored. */
struct accuracy_columns {
    const char *kernels, *expands, *depths;
    const char *resolution; /* "": every row is at the space's largest */
    const char *target;     /* accuracy, in points */
};

struct accuracy_rows {
    const struct space *space; /* borrowed */
    size_t n;
    uint8_t *archs; /* owned; (n, n_variables), canonical */
    double *y;      /* owned; (n) */
};

/* Read a CSV or gzipped CSV with a header line (fields without quotes; lines that begin with # are passed over) of networks
 * of `space`, a family's with elastic depth. TL_NOT_FOUND: no file. TL_MALFORMED, TL_INVALID: the text says which line and column. */
TL_MUST_CHECK enum tl_rc accuracy_rows_read(const char *path, const struct accuracy_columns *columns,
                                            const struct space *space, struct accuracy_rows *ret_rows,
                                            struct tl_err *err);
void accuracy_rows_done(struct accuracy_rows *rows);

/* How a model does on architectures it was not fitted on. */
struct accuracy_score {
    double rmse; /* points */
    double spearman;
    double coverage;   /* share of rows within their 90 % interval; NAN: the model gives none */
    double half_width; /* mean, points */
};

/* What a fit is made of. */
struct accuracy_plan {
    size_t n_inducing; /* rows of a kernel model, drawn from the space by the seed */
    uint64_t seed;
    struct tl_pool *pool; /* borrowed; NULL: one thread */
    /* Called after each fit (NULL: not). */
    void (*progress)(void *ctx, const char *what);
    void *progress_ctx;
};

/* K-fold: each architecture, with all its rows, is predicted by a model that was fitted without it. The folds follow
 * the seed. */
TL_MUST_CHECK enum tl_rc accuracy_judge(const struct accuracy_rows *rows, enum model_kind kind, size_t n_folds,
                                        const struct accuracy_plan *plan, struct accuracy_score *ret_score,
                                        struct tl_err *err);
/* The same folds, ridge regression on the features: what any model must beat. */
TL_MUST_CHECK enum tl_rc accuracy_judge_linear(const struct accuracy_rows *rows, size_t n_folds,
                                               const struct accuracy_plan *plan, struct accuracy_score *ret_score,
                                               struct tl_err *err);

/* Fit on all rows; `score` goes into the facts of the model, with source and command (cut to their sizes). */
TL_MUST_CHECK enum tl_rc accuracy_fit(const struct accuracy_rows *rows, enum model_kind kind,
                                      const struct accuracy_plan *plan, const struct accuracy_score *score,
                                      const char *source, const char *command, struct accuracy_model **ret_model,
                                      struct tl_err *err);

#endif
