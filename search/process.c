/* process.c - Cholesky factors grown by rows, and a likelihood climbed one coordinate at a time. */
#include "search/process.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double WEIGHTS_SUM = 3; /* at the start: two random architectures are hardly alike */
static const double WEIGHT_MIN = 1e-4, WEIGHT_MAX = 1e2, NOISE_MIN = 1e-5, NOISE_MAX = 1;
static const double SHARES[] = {0.05, 0.3, 0.6, 0.9};

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void sum_weights(struct process *p)
{
    p->weight_sum = 0;
    for (size_t v = 0; v < p->space->n_variables; v++) {
        p->weight_sum += p->weight[v];
    }
}

enum tl_rc process_new(const struct space *space, size_t max, struct process **ret_process, struct tl_err *err)
{
    struct process *p = calloc(1, sizeof *p);
    if (!p) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a Gaussian process");
    }
    p->space = space;
    p->max = max;
    p->share = SHARES[1];
    p->noise = 1e-2;
    for (size_t v = 0; v < space->n_variables; v++) {
        p->weight[v] = WEIGHTS_SUM / space->n_variables;
    }
    sum_weights(p);
    p->factor = calloc(max * max, sizeof *p->factor);
    p->solved = calloc(max, sizeof *p->solved);
    p->scratch = calloc(max, sizeof *p->scratch);
    p->distance = calloc((size_t)PROCESS_TUNED_MAX * PROCESS_TUNED_MAX, sizeof *p->distance);
    if (!p->factor || !p->solved || !p->scratch || !p->distance) {
        process_free(p);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a Gaussian process of %zu rows", max);
    }
    *ret_process = p;
    return TL_OK;
}

void process_free(struct process *process)
{
    if (process) {
        free(process->factor);
        free(process->solved);
        free(process->scratch);
        free(process->distance);
        free(process);
    }
}

void process_code(const struct space *space, const uint8_t *canonical, uint8_t *ret_code)
{
    space_active(space, canonical, ret_code);
    for (size_t v = 0; v < space->n_variables; v++) {
        ret_code[v] = ret_code[v] ? (uint8_t)(canonical[v] + 1) : 0;
    }
}

/* ---- the kernel and its factor ------------------------------------------------------------------------------- */

static double distance_of(const struct process *p, const uint8_t *a, const uint8_t *b)
{
    double sum = 0;
    for (size_t v = 0; v < p->space->n_variables; v++) {
        sum += a[v] != b[v] ? p->weight[v] : 0;
    }
    return sum;
}

static double kernel_at(const struct process *p, double distance)
{
    return p->share * (1 - distance / p->weight_sum) + (1 - p->share) * exp(-distance);
}

static double dot(const double *a, const double *b, size_t n)
{
    double sums[4] = {0}; /* four chains, so that additions need not wait for each other */
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            sums[k] += a[i + k] * b[i + k];
        }
    }
    for (; i < n; i++) {
        sums[0] += a[i] * b[i];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* Solve L x = row for the first n rows of the factor, in place. */
static void solve_lower(const struct process *p, double *row, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        const double *l = p->factor + j * p->max;
        row[j] = (row[j] - dot(row, l, j)) / l[j];
    }
}

/* Row i of the factor, whose kernel values with the rows before it stand in its place. */
static void close_row(struct process *p, size_t i)
{
    double *row = p->factor + i * p->max;
    solve_lower(p, row, i);
    row[i] = sqrt(fmax(kernel_at(p, 0) + p->noise - dot(row, row, i), NOISE_MIN));
}

void process_forget(struct process *process)
{
    process->n = 0;
}

void process_learn(struct process *process, const uint8_t *codes, const double *y, size_t n)
{
    const size_t width = process->space->n_variables;
    for (size_t i = process->n; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            process->factor[i * process->max + j] =
                kernel_at(process, distance_of(process, codes + i * width, codes + j * width));
        }
        close_row(process, i);
    }
    process->n = n;
    memcpy(process->solved, y, n * sizeof *y);
    solve_lower(process, process->solved, n);
    for (size_t i = n; i-- > 0;) { /* L' x = solved, by columns of L' */
        const double *row = process->factor + i * process->max;
        process->solved[i] /= row[i];
        for (size_t j = 0; j < i; j++) {
            process->solved[j] -= row[j] * process->solved[i];
        }
    }
}

void process_ask(struct process *process, const uint8_t *codes, const uint8_t *code, double *ret_mean,
                 double *ret_deviation)
{
    const size_t width = process->space->n_variables, n = process->n;
    for (size_t i = 0; i < n; i++) {
        process->scratch[i] = kernel_at(process, distance_of(process, codes + i * width, code));
    }
    *ret_mean = dot(process->scratch, process->solved, n);
    solve_lower(process, process->scratch, n);
    *ret_deviation = sqrt(fmax(kernel_at(process, 0) - dot(process->scratch, process->scratch, n), 1e-9));
}

/* ---- tuning -------------------------------------------------------------------------------------------------- */

struct tuning {
    const uint8_t *codes;
    const double *y;
    size_t n, n_all;
};

static size_t row_of(const struct tuning *t, size_t i)
{
    return i * t->n_all / t->n;
}

/* The distances again, or, if only weight v changed by `change`, that change. */
static void find_distances(struct process *p, const struct tuning *t, size_t v, double change)
{
    const size_t width = p->space->n_variables;
    for (size_t i = 0; i < t->n; i++) {
        const uint8_t *a = t->codes + row_of(t, i) * width;
        for (size_t j = 0; j < i; j++) {
            const uint8_t *b = t->codes + row_of(t, j) * width;
            double *d = &p->distance[i * PROCESS_TUNED_MAX + j];
            *d = v < width ? *d + (a[v] != b[v] ? change : 0) : distance_of(p, a, b);
        }
    }
}

/* The log likelihood but for a constant: -y' K^-1 y / 2 - log |K| / 2. Overwrites the factor. */
static double likelihood(struct process *p, const struct tuning *t)
{
    double square = 0, log_det = 0;
    for (size_t i = 0; i < t->n; i++) {
        double *row = p->factor + i * p->max;
        for (size_t j = 0; j < i; j++) {
            row[j] = kernel_at(p, p->distance[i * PROCESS_TUNED_MAX + j]);
        }
        close_row(p, i);
        p->scratch[i] = (t->y[row_of(t, i)] - dot(row, p->scratch, i)) / row[i];
        square += p->scratch[i] * p->scratch[i];
        log_det += log(row[i]);
    }
    return -square / 2 - log_det;
}

static void scale_weights(struct process *p, double factor)
{
    for (size_t v = 0; v < p->space->n_variables; v++) {
        p->weight[v] = fmin(fmax(p->weight[v] * factor, WEIGHT_MIN), WEIGHT_MAX);
    }
    sum_weights(p);
}

/* Keep whichever of *value and the candidates is likeliest. */
static double try_values(struct process *p, const struct tuning *t, double best, double *value, const double *tried,
                         size_t n)
{
    double kept = *value;
    for (size_t i = 0; i < n; i++) {
        *value = tried[i];
        const double found = likelihood(p, t);
        kept = found > best ? tried[i] : kept;
        best = fmax(found, best);
    }
    *value = kept;
    return best;
}

static double try_scales(struct process *p, const struct tuning *t, double best)
{
    static const double factors[] = {2, 0.5};
    for (size_t i = 0; i < TL_COUNT_OF(factors); i++) {
        for (bool better = true; better;) {
            double before[SPACE_VARIABLES_MAX];
            memcpy(before, p->weight, sizeof before);
            scale_weights(p, factors[i]);
            find_distances(p, t, SIZE_MAX, 0);
            const double found = likelihood(p, t);
            better = found > best + 1e-9;
            best = fmax(found, best);
            if (!better) {
                memcpy(p->weight, before, sizeof before);
            }
        }
    }
    sum_weights(p);
    find_distances(p, t, SIZE_MAX, 0);
    return best;
}

static double try_weight(struct process *p, const struct tuning *t, double best, size_t v)
{
    static const double factors[] = {2.5, 0.4};
    for (size_t i = 0; i < TL_COUNT_OF(factors); i++) {
        const double before = p->weight[v], after = before * factors[i];
        if (after < WEIGHT_MIN || after > WEIGHT_MAX) {
            continue;
        }
        p->weight[v] = after;
        find_distances(p, t, v, after - before);
        sum_weights(p);
        const double found = likelihood(p, t);
        if (found > best) {
            return found;
        }
        p->weight[v] = before;
        find_distances(p, t, v, before - after);
        sum_weights(p);
    }
    return best;
}

void process_tune(struct process *process, const uint8_t *codes, const double *y, size_t n)
{
    struct tuning t = {.codes = codes, .y = y, .n = n < PROCESS_TUNED_MAX ? n : PROCESS_TUNED_MAX, .n_all = n};
    t.n = t.n < process->max ? t.n : process->max;
    static const double noises[] = {1e-4, 1e-3, 1e-2, 1e-1};
    find_distances(process, &t, SIZE_MAX, 0);
    double best = try_scales(process, &t, likelihood(process, &t));
    best = try_values(process, &t, best, &process->share, SHARES, TL_COUNT_OF(SHARES));
    for (size_t v = 0; v < process->space->n_variables; v++) {
        best = try_weight(process, &t, best, v);
    }
    (void)try_values(process, &t, best, &process->noise, noises, TL_COUNT_OF(noises));
    process->n = 0;
}

/* ---- state --------------------------------------------------------------------------------------------------- */

enum tl_rc process_save(const struct process *process, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_f64(buf, process->share, err);
    rc = rc ? rc : tl_buf_put_f64(buf, process->noise, err);
    for (size_t v = 0; !rc && v < process->space->n_variables; v++) {
        rc = tl_buf_put_f64(buf, process->weight[v], err);
    }
    return rc;
}

bool process_load(struct process *process, struct tl_cursor *state)
{
    process->share = tl_cursor_f64(state);
    process->noise = tl_cursor_f64(state);
    bool good = process->share >= 0 && process->share < 1 && process->noise >= NOISE_MIN && process->noise <= NOISE_MAX;
    for (size_t v = 0; v < process->space->n_variables; v++) {
        process->weight[v] = tl_cursor_f64(state);
        good = good && process->weight[v] >= WEIGHT_MIN * 0.1 && process->weight[v] <= WEIGHT_MAX;
    }
    sum_weights(process);
    process->n = 0;
    return good && !state->failed;
}
