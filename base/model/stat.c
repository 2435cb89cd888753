/* stat.c - order statistics, intervals without distributions, and rank correlations. Threads: pure. */
#include "base/model/model.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stat_quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof(*values), by_value);
    const double place = q * (double)(n - 1);
    const size_t below = (size_t)place;
    if (below + 1 >= n) {
        return values[n - 1];
    }
    return values[below] + (place - (double)below) * (values[below + 1] - values[below]);
}

double stat_median(double *values, size_t n)
{
    return stat_quantile(values, n, 0.5);
}

double stat_mad(double *values, size_t n)
{
    const double middle = stat_median(values, n);
    for (size_t i = 0; i < n; i++) {
        values[i] = fabs(values[i] - middle);
    }
    return stat_median(values, n);
}

/* P(B < k) grows with k: the terms are added, in logarithms against underflow, until the sum reaches the confidence. */
size_t stat_quantile_upper_rank(size_t n, double q, double confidence)
{
    const double log_q = log(q), log_rest = log1p(-q);
    double choose = 0.0, sum = 0.0; /* log of n over k; P(B < k) */

    for (size_t k = 1; k <= n; k++) {
        sum += exp(choose + (double)(k - 1) * log_q + (double)(n - k + 1) * log_rest);
        if (sum >= confidence) {
            return k;
        }
        choose += log((double)(n - k + 1)) - log((double)k);
    }
    return 0;
}

double stat_conformal(double *residuals, size_t n, double coverage)
{
    if (n == 0) {
        return HUGE_VAL;
    }
    qsort(residuals, n, sizeof(*residuals), by_value);
    const double rank = ceil((double)(n + 1) * coverage - 1e-9);
    return rank > (double)n ? 2.0 * residuals[n - 1] : residuals[(size_t)fmax(rank, 1.0) - 1];
}

double stat_rmse(const double *a, const double *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sqrt(sum / (double)n);
}

double stat_mape(const double *predicted, const double *truth, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += fabs(predicted[i] - truth[i]) / fabs(truth[i]);
    }
    return 100.0 * sum / (double)n;
}

/* ---- rank correlations --------------------------------------------------------------------------------------- */

struct ranked {
    double a, b;
    double rank_a, rank_b;
};

static int by_a(const void *left, const void *right)
{
    const struct ranked *x = left, *y = right;
    return (x->a > y->a) - (x->a < y->a);
}

static int by_b(const void *left, const void *right)
{
    const struct ranked *x = left, *y = right;
    return (x->b > y->b) - (x->b < y->b);
}

static int by_a_then_b(const void *left, const void *right)
{
    const int order = by_a(left, right);
    return order != 0 ? order : by_b(left, right);
}

static struct ranked *pairs_of(const double *a, const double *b, size_t n)
{
    struct ranked *pairs = calloc(n ? n : 1, sizeof(*pairs));
    for (size_t i = 0; pairs && i < n; i++) {
        pairs[i] = (struct ranked){.a = a[i], .b = b[i]};
    }
    return pairs;
}

/* Average ranks of one side, which the list is sorted by. */
static void rank_sorted(struct ranked *pairs, size_t n, int (*order)(const void *, const void *), bool side_b)
{
    qsort(pairs, n, sizeof(*pairs), order);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && order(&pairs[i], &pairs[end]) == 0; end++) {
        }
        for (size_t k = i; k < end; k++) {
            *(side_b ? &pairs[k].rank_b : &pairs[k].rank_a) = 0.5 * (double)(i + end - 1);
        }
    }
}

double stat_spearman(const double *a, const double *b, size_t n)
{
    struct ranked *pairs = pairs_of(a, b, n);
    if (!pairs) {
        return (double)NAN;
    }
    rank_sorted(pairs, n, by_a, false);
    rank_sorted(pairs, n, by_b, true);
    const double mean = 0.5 * ((double)n - 1.0);
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double x = pairs[i].rank_a - mean, y = pairs[i].rank_b - mean;
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    free(pairs);
    return aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : (double)NAN;
}

/* Pairs of neighbours in `order` that are equal, over runs: sum of t (t - 1) / 2. */
static double tied_pairs(const struct ranked *pairs, size_t n, int (*order)(const void *, const void *))
{
    double sum = 0.0;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && order(&pairs[i], &pairs[end]) == 0; end++) {
        }
        sum += 0.5 * (double)(end - i) * (double)(end - i - 1);
    }
    return sum;
}

/* Merge sort by b from pairs sorted by (a, b); returns the exchanges, which are the discordant pairs (Knight 1966). */
static double merge_exchanges(struct ranked *pairs, struct ranked *spare, size_t n)
{
    double exchanges = 0.0;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t low = 0; low + run < n; low += 2 * run) {
            const size_t middle = low + run, high = low + 2 * run < n ? low + 2 * run : n;
            size_t i = low, j = middle;
            for (size_t k = low; k < high; k++) {
                if (i < middle && (j >= high || by_b(&pairs[i], &pairs[j]) <= 0)) {
                    spare[k] = pairs[i++];
                } else {
                    exchanges += (double)(middle - i);
                    spare[k] = pairs[j++];
                }
            }
            for (size_t k = low; k < high; k++) {
                pairs[k] = spare[k];
            }
        }
    }
    return exchanges;
}

double stat_kendall(const double *a, const double *b, size_t n)
{
    struct ranked *pairs = pairs_of(a, b, n), *spare = pairs_of(a, b, n);
    double tau = (double)NAN;
    if (pairs && spare && n > 1) {
        qsort(pairs, n, sizeof(*pairs), by_a_then_b);
        const double all = 0.5 * (double)n * (double)(n - 1);
        const double tied_a = tied_pairs(pairs, n, by_a), tied_both = tied_pairs(pairs, n, by_a_then_b);
        const double discordant = merge_exchanges(pairs, spare, n);
        const double tied_b = tied_pairs(pairs, n, by_b);
        const double scale = sqrt((all - tied_a) * (all - tied_b));
        if (scale > 0.0) {
            tau = (all - tied_a - tied_b + tied_both - 2.0 * discordant) / scale;
        }
    }
    free(pairs);
    free(spare);
    return tau;
}
