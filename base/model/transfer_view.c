/* transfer_view.c - what is known of the tasks, cut in three, and the columns that a target sees of it.
 *
 * The cut matters because its pieces carry over differently: that one kind of operator is dear is a device's own, and what
 * no feature explains is partly a way in which like devices are alike, partly the noise of one measurement.
 * Threads: pure functions.
 */
#include "base/model/linear.h"
#include "base/model/transfer.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double RIDGE = 1e-3; /* times the number of rows: only against columns that depend on each other */

/* ---- bases --------------------------------------------------------------------------------------------------- */

void transfer_bases_done(struct transfer_bases *bases)
{
    free(bases->coarse);
    free(bases->fine);
    for (size_t c = 0; c < CUTS; c++) {
        free(bases->cut[c]);
    }
    free(bases->group);
    *bases = (struct transfer_bases){0};
}

/* Columns less their mean. */
static void centre(double *out, const float *x, size_t n, size_t d)
{
    for (size_t j = 0; j < d; j++) {
        double mean = 0.0;
        for (size_t i = 0; i < n; i++) {
            mean += (double)x[i * d + j] / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            out[i * d + j] = (double)x[i * d + j] - mean;
        }
    }
}

/* One regression after another on [1, x], rows without a value left out. */
struct regression {
    const double *x; /* borrowed (n, d) */
    size_t n, d;
    double *design; /* owned (n, d + 1), rows left out are 0 */
    double *factor; /* owned (d + 1, d + 1) */
    double *beta;   /* owned (d + 1) */
    double *y;      /* owned (n) */
};

static void regression_done(struct regression *r)
{
    free(r->design);
    free(r->factor);
    free(r->beta);
    free(r->y);
}

static enum tl_rc regression_init(struct regression *r, const double *x, size_t n, size_t d, struct tl_err *err)
{
    *r = (struct regression){.x = x,
                             .n = n,
                             .d = d,
                             .design = calloc(n * (d + 1), sizeof(double)),
                             .factor = calloc((d + 1) * (d + 1), sizeof(double)),
                             .beta = calloc(d + 1, sizeof(double)),
                             .y = calloc(n, sizeof(double))};
    if (!r->design || !r->factor || !r->beta || !r->y) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a regression of %zu rows on %zu features", n, d);
    }
    return TL_OK;
}

/* The factor for the rows where column `t` of `values` (n, width) is known. */
static enum tl_rc regression_factor(struct regression *r, const double *values, size_t width, size_t t,
                                    struct tl_err *err)
{
    const size_t d1 = r->d + 1;
    for (size_t i = 0; i < r->n; i++) {
        const double known = isnan(values[i * width + t]) ? 0.0 : 1.0;
        r->design[i * d1] = known;
        for (size_t j = 0; j < r->d; j++) {
            r->design[i * d1 + 1 + j] = known * r->x[i * r->d + j];
        }
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d1, (int)r->n, 1.0, r->design, (int)d1, 0.0, r->factor,
                (int)d1);
    for (size_t j = 0; j < d1; j++) {
        r->factor[j * d1 + j] += RIDGE * (double)r->n;
    }
    return linear_cholesky(r->factor, d1) ? TL_OK : tl_fail(err, TL_INVALID, "a feature is not finite");
}

/* Move what the features explain of column `t` from `left` to `cut`, at all rows. */
static void regression_move(struct regression *r, double *left, double *cut, size_t width, size_t t)
{
    const size_t d1 = r->d + 1;
    for (size_t i = 0; i < r->n; i++) {
        const double value = left[i * width + t];
        r->y[i] = isnan(value) ? 0.0 : value;
    }
    cblas_dgemv(CblasRowMajor, CblasTrans, (int)r->n, (int)d1, 1.0, r->design, (int)d1, r->y, 1, 0.0, r->beta, 1);
    linear_solve(r->factor, d1, r->beta);
    for (size_t i = 0; i < r->n; i++) {
        const double explained = r->beta[0] + cblas_ddot((int)r->d, r->x + i * r->d, 1, r->beta + 1, 1);
        cut[i * width + t] = explained;
        left[i * width + t] -= explained;
    }
}

static bool same_rows_known(const double *values, size_t n, size_t width, size_t a, size_t b)
{
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i * width + a]) != isnan(values[i * width + b])) {
            return false;
        }
    }
    return true;
}

static enum tl_rc cut_explained(const double *x, size_t n, size_t d, double *left, double *cut, size_t width,
                                struct tl_err *err)
{
    struct regression r;
    enum tl_rc rc = regression_init(&r, x, n, d, err);
    for (size_t t = 0; !rc && t < width; t++) {
        if (t == 0 || !same_rows_known(left, n, width, t - 1, t)) {
            rc = regression_factor(&r, left, width, t, err);
        }
        if (!rc) {
            regression_move(&r, left, cut, width, t);
        }
    }
    regression_done(&r);
    return rc;
}

/* left = values over their mean, less 1. */
static enum tl_rc normalise(const struct model_tasks *tasks, double *left, struct tl_err *err)
{
    for (size_t t = 0; t < tasks->n_tasks; t++) {
        double sum = 0.0;
        size_t known = 0;
        for (size_t i = 0; i < tasks->n; i++) {
            const double value = (double)tasks->values[i * tasks->n_tasks + t];
            if (isinf(value) || value <= 0.0) {
                return tl_fail(err, TL_INVALID, "value %zu of task %zu is %g, not a positive number", i, t, value);
            }
            if (!isnan(value)) {
                sum += value;
                known++;
            }
        }
        if (known == 0) {
            return tl_fail(err, TL_INVALID, "nothing is known of task %zu", t);
        }
        for (size_t i = 0; i < tasks->n; i++) {
            left[i * tasks->n_tasks + t] = (double)tasks->values[i * tasks->n_tasks + t] / (sum / (double)known) - 1.0;
        }
    }
    return TL_OK;
}

static enum tl_rc fill(struct transfer_bases *bases, const struct model_tasks *tasks, struct tl_err *err)
{
    double *left = bases->cut[2];
    enum tl_rc rc = normalise(tasks, left, err);
    if (rc) {
        return rc;
    }
    centre(bases->coarse, tasks->coarse, tasks->n, tasks->n_coarse);
    centre(bases->fine, tasks->fine, tasks->n, tasks->n_fine);
    memcpy(bases->group, tasks->group, tasks->n_tasks * sizeof(*bases->group));
    rc = cut_explained(bases->coarse, bases->n, bases->n_coarse, left, bases->cut[0], bases->n_tasks, err);
    rc = rc ? rc : cut_explained(bases->fine, bases->n, bases->n_fine, left, bases->cut[1], bases->n_tasks, err);
    for (size_t i = 0; i < bases->n * bases->n_tasks; i++) {
        left[i] = isnan(left[i]) ? 0.0 : left[i];
    }
    return rc;
}

enum tl_rc transfer_bases_init(struct transfer_bases *bases, const struct model_tasks *tasks, struct tl_err *err)
{
    const size_t n = tasks->n, cells = n * tasks->n_tasks;
    struct transfer_bases made = {
        .n = n,
        .n_coarse = tasks->n_coarse,
        .n_fine = tasks->n_fine,
        .n_tasks = tasks->n_tasks,
        .coarse = calloc(n * tasks->n_coarse, sizeof(double)),
        .fine = calloc(n * tasks->n_fine, sizeof(double)),
        .cut = {calloc(cells, sizeof(double)), calloc(cells, sizeof(double)), calloc(cells, sizeof(double))},
        .group = calloc(tasks->n_tasks, sizeof(uint32_t))};
    enum tl_rc rc = TL_OK;
    if (!made.coarse || !made.fine || !made.cut[0] || !made.cut[1] || !made.cut[2] || !made.group) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for %zu rows of %zu tasks", n, tasks->n_tasks);
    }
    rc = rc ? rc : fill(&made, tasks, err);
    if (rc) {
        transfer_bases_done(&made);
        return rc;
    }
    *bases = made;
    return TL_OK;
}

/* ---- view ---------------------------------------------------------------------------------------------------- */

void transfer_view_done(struct transfer_view *view)
{
    free(view->phi);
    free(view->mean);
    *view = (struct transfer_view){0};
}

/* The columns of one row, parts not yet scaled. `row` is the bases'; the view's tasks are those not of `group`. */
static void fill_row(struct transfer_view *view, const struct transfer_bases *bases, size_t i, size_t row,
                     uint32_t group)
{
    const size_t s = view->n_tasks;
    double *phi = view->phi + i * transfer_columns(view), *mean = view->mean + i * 2 * (s + 1);

    for (size_t c = 0; c < CUTS; c++) {
        const double *from = bases->cut[c] + row * bases->n_tasks;
        double *to = phi + view->begin[PART_TASKS_COARSE] + c * s, sum = 0.0;
        for (size_t t = 0, at = 0; t < bases->n_tasks; t++) {
            if (bases->group[t] != group) {
                sum += from[t];
                to[at] = from[t];
                mean[(c == 2 ? s + 1 : 0) + 1 + at++] += from[t] + (c == 0 ? 1.0 : 0.0);
            }
        }
        mean[c == 2 ? s + 1 : 0] += sum / (double)s + (c == 0 ? 1.0 : 0.0);
        for (size_t t = 0; c < 2 && t < s; t++) {
            to[t] -= sum / (double)s;
        }
    }
    phi[view->begin[PART_CONSTANT]] = 1.0;
    phi[view->begin[PART_SLOPE]] = mean[0] + mean[s + 1];
    memcpy(phi + view->begin[PART_COARSE], bases->coarse + row * bases->n_coarse, bases->n_coarse * sizeof(*phi));
    memcpy(phi + view->begin[PART_FINE], bases->fine + row * bases->n_fine, bases->n_fine * sizeof(*phi));
}

static void centre_slope(struct transfer_view *view)
{
    const size_t d = transfer_columns(view), column = view->begin[PART_SLOPE];
    double mean = 0.0;
    for (size_t i = 0; i < view->n; i++) {
        mean += view->phi[i * d + column] / (double)view->n;
    }
    for (size_t i = 0; i < view->n; i++) {
        view->phi[i * d + column] -= mean;
    }
}

/* Each part to a mean squared length of 1; one that is 0 everywhere stays. */
static void scale_parts(struct transfer_view *view)
{
    const size_t d = transfer_columns(view);
    for (size_t p = 0; p < PART_LINEAR; p++) {
        const size_t begin = view->begin[p], width = view->begin[p + 1] - begin;
        double sum = 0.0;
        for (size_t i = 0; i < view->n; i++) {
            const double *phi = view->phi + i * d + begin;
            sum += cblas_ddot((int)width, phi, 1, phi, 1) / (double)view->n;
        }
        for (size_t i = 0; sum > 1e-20 && i < view->n; i++) {
            cblas_dscal((int)width, 1.0 / sqrt(sum), view->phi + i * d + begin, 1);
        }
    }
}

enum tl_rc transfer_view_init(struct transfer_view *view, const struct transfer_bases *bases, const uint32_t *rows,
                              size_t n, uint32_t group, struct tl_err *err)
{
    struct transfer_view made = {.n = n};
    for (size_t t = 0; t < bases->n_tasks; t++) {
        made.n_tasks += bases->group[t] != group;
    }
    const size_t s = made.n_tasks, widths[PART_LINEAR] = {1, 1, bases->n_coarse, bases->n_fine, s, s, s};
    for (size_t p = 0; p < PART_LINEAR; p++) {
        made.begin[p + 1] = made.begin[p] + widths[p];
    }
    made.phi = calloc(n * transfer_columns(&made), sizeof(double));
    made.mean = calloc(n * 2 * (s + 1), sizeof(double));
    if (!made.phi || !made.mean) {
        transfer_view_done(&made);
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu rows of %zu tasks", n, s);
    }
    for (size_t i = 0; i < n; i++) {
        fill_row(&made, bases, i, rows ? rows[i] : i, group);
    }
    centre_slope(&made);
    scale_parts(&made);
    *view = made;
    return TL_OK;
}

/* ---- kernel -------------------------------------------------------------------------------------------------- */

/* exp(-2.5 r), r the squared distance over its mean over all pairs, which is 2 since the part is scaled and centred: of
 * one-hot features, the share of variables that differ. */
double transfer_distance(const struct transfer_view *view, size_t a, size_t b)
{
    const size_t begin = view->begin[PART_FINE], width = view->begin[PART_FINE + 1] - begin;
    const double *x = view->phi + a * transfer_columns(view) + begin,
                 *y = view->phi + b * transfer_columns(view) + begin;
    double sum = 0.0;
    for (size_t j = 0; j < width; j++) {
        sum += (x[j] - y[j]) * (x[j] - y[j]);
    }
    return exp(-1.25 * sum);
}

enum tl_rc transfer_parts(const struct transfer_view *view, const uint32_t *rows, size_t n, double *parts,
                          struct tl_err *err)
{
    const size_t d = transfer_columns(view);
    double *phi = calloc(n * d, sizeof(*phi));
    if (!phi) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu rows of %zu columns", n, d);
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(phi + i * d, view->phi + rows[i] * d, d * sizeof(*phi));
    }
    for (size_t p = 0; p < PART_LINEAR; p++) {
        const double *x = phi + view->begin[p];
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)n, (int)(view->begin[p + 1] - view->begin[p]),
                    1.0, x, (int)d, x, (int)d, 0.0, parts + p * n * n, (int)n);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            const double value = transfer_distance(view, rows[i], rows[j]);
            parts[(PART_DISTANCE * n + i) * n + j] = value;
            parts[(PART_DISTANCE * n + j) * n + i] = value;
        }
    }
    free(phi);
    return TL_OK;
}

void transfer_kernel(const double *parts, size_t n, const double *log_weight, double *out)
{
    memset(out, 0, n * n * sizeof(*out));
    for (size_t p = 0; p < PART_COUNT; p++) {
        cblas_daxpy((int)(n * n), exp(log_weight[p]), parts + p * n * n, 1, out, 1);
    }
    for (size_t i = 0; i < n; i++) {
        out[i * n + i] += 1.0;
    }
}

double transfer_covariance(const struct transfer_view *view, const double *log_weight, size_t a, size_t b)
{
    const double *x = view->phi + a * transfer_columns(view), *y = view->phi + b * transfer_columns(view);
    const double near = exp(log_weight[PART_DISTANCE]);
    double sum = near > 0.0 ? near * transfer_distance(view, a, b) : 0.0;
    for (size_t p = 0; p < PART_LINEAR; p++) {
        const size_t begin = view->begin[p];
        sum += exp(log_weight[p]) * cblas_ddot((int)(view->begin[p + 1] - begin), x + begin, 1, y + begin, 1);
    }
    return sum;
}
