/* judge.c - is a visit to be believed, what is the anchor's reference time, does a candidate hold its limit.
 *
 * One idea: noise of a shared machine hits an item and the anchor blocks beside it alike, so their ratio repeats where
 * neither time does; what the ratio's spread says is the verdict.
 * Threads: pure functions.
 */
#include "base/model/model.h"
#include "latency/latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double NS_PER_MS = 1e6;

const char *lat_reason_text(enum lat_reason reason)
{
    static const char *const texts[LAT_REASON_COUNT] = {"",      "short",   "loaded", "throttled",
                                                        "drift", "bimodal", "noisy"};
    return texts[reason];
}

/* Runs of all blocks in *ret_runs; whether one block is shorter than LAT_RUNS_MIN in *ret_short. */
static enum tl_rc check_blocks(const char *what, const uint16_t *block_n, size_t blocks, const int64_t *ns,
                               size_t *ret_runs, bool *ret_short, struct tl_err *err)
{
    size_t runs = 0;

    for (size_t b = 0; b < blocks; b++) {
        if (block_n[b] < 1 || block_n[b] > LAT_RUNS_MAX) {
            return tl_fail(err, TL_INVALID, "%s block %zu has %u runs; a block has 1 to %d", what, b, block_n[b],
                           LAT_RUNS_MAX);
        }
        *ret_short = *ret_short || block_n[b] < LAT_RUNS_MIN;
        for (size_t i = 0; i < block_n[b]; i++) {
            const int64_t run_ns = ns[runs + i];
            if (run_ns < LAT_NS_MIN || run_ns > LAT_NS_MAX) {
                return tl_fail(err, TL_INVALID, "%s block %zu: a run of %lld ns; a run takes 1 us to 1 h", what, b,
                               (long long)run_ns);
            }
        }
        runs += block_n[b];
    }
    *ret_runs = runs;
    return TL_OK;
}

/* Milliseconds of n runs into `ret_ms`. */
static void to_ms(const int64_t *ns, size_t n, double *ret_ms)
{
    for (size_t i = 0; i < n; i++) {
        ret_ms[i] = (double)ns[i] / NS_PER_MS;
    }
}

/* Median of each block, in ms. `scratch` holds LAT_RUNS_MAX. */
static void block_medians(const uint16_t *block_n, size_t blocks, const int64_t *ns, double *scratch, double *ret_ms)
{
    for (size_t b = 0; b < blocks; b++) {
        to_ms(ns, block_n[b], scratch);
        ret_ms[b] = stat_median(scratch, block_n[b]);
        ns += block_n[b];
    }
}

/* ---- why a visit is unstable ------------------------------------------------------------------------------------ */

/* Kendall's tau of the ratios against time. */
static double trend(const double *ratios, size_t n)
{
    int rising = 0;

    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            rising += (ratios[j] > ratios[i]) - (ratios[j] < ratios[i]);
        }
    }
    return (double)rising / ((double)(n * (n - 1)) / 2);
}

static double squares(const double *values, size_t n)
{
    double sum = 0, left = 0;

    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    for (size_t i = 0; i < n; i++) {
        left += (values[i] - sum / (double)n) * (values[i] - sum / (double)n);
    }
    return left;
}

/* The share of the variance of sorted values that the best split in two leaves; a fifth of them stand on each side. */
static double left_by_split(const double *sorted, size_t n)
{
    const double all = squares(sorted, n);
    double least = all;

    for (size_t k = (n + 4) / 5; k <= n - (n + 4) / 5; k++) {
        least = fmin(least, squares(sorted, k) + squares(sorted + k, n - k));
    }
    return all > 0 ? least / all : 1;
}

static bool loaded(const struct lat_visit *visit)
{
    return visit->others_cpu > LAT_OTHERS_MAX || visit->steal > LAT_STEAL_MAX; /* NAN is neither */
}

/* Why ratios spread. `sorted`: the same, ascending. */
static enum lat_reason explain(const struct lat_visit *visit, const struct lat_verdict *verdict, const double *sorted)
{
    const size_t n = verdict->n_ratios;

    if (loaded(visit)) {
        return LAT_LOADED;
    }
    if (visit->khz_after < (1 - LAT_CLOCK_MAX) * visit->khz_before) {
        return LAT_THROTTLED;
    }
    if (n >= LAT_SHAPE_ROUNDS && fabs(trend(verdict->ratios, n)) >= LAT_DRIFT_TAU) {
        return LAT_DRIFT;
    }
    return n >= LAT_SHAPE_ROUNDS && left_by_split(sorted, n) < LAT_MODES_LEFT ? LAT_BIMODAL : LAT_NOISY;
}

static void judge_ratios(const struct lat_visit *visit, struct lat_verdict *verdict, bool is_short)
{
    double sorted[LAT_ROUNDS_MAX], deviations[LAT_ROUNDS_MAX];
    const size_t n = verdict->n_ratios;

    memcpy(sorted, verdict->ratios, n * sizeof *sorted);
    memcpy(deviations, verdict->ratios, n * sizeof *sorted);
    verdict->ratio = stat_median(sorted, n);
    verdict->spread = stat_mad(deviations, n) / verdict->ratio;
    verdict->reason = is_short                            ? LAT_SHORT
                      : verdict->spread <= LAT_SPREAD_MAX ? LAT_STABLE
                                                          : explain(visit, verdict, sorted);
}

enum tl_rc lat_judge(const struct lat_visit *visit, struct lat_verdict *ret_verdict, struct tl_err *err)
{
    size_t item_runs = 0, anchor_runs = 0;
    bool is_short = false;
    enum tl_rc rc;

    if (visit->rounds < LAT_ROUNDS_MIN || visit->rounds > LAT_ROUNDS_MAX) {
        return tl_fail(err, TL_INVALID, "a visit of %zu rounds; it has %d to %d", visit->rounds, LAT_ROUNDS_MIN,
                       LAT_ROUNDS_MAX);
    }
    if ((rc = check_blocks("item", visit->item_n, visit->rounds, visit->item_ns, &item_runs, &is_short, err)) ||
        (rc = check_blocks("anchor", visit->anchor_n, visit->rounds + 1, visit->anchor_ns, &anchor_runs, &is_short,
                           err))) {
        return rc;
    }
    double *const runs_ms = malloc((item_runs + LAT_RUNS_MAX) * sizeof *runs_ms);
    if (runs_ms == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to judge %zu runs", item_runs);
    }
    struct lat_verdict verdict = {.n_ratios = visit->rounds};
    double item_ms[LAT_ROUNDS_MAX], anchor_ms[LAT_ROUNDS_MAX + 1];
    block_medians(visit->item_n, visit->rounds, visit->item_ns, runs_ms, item_ms);
    block_medians(visit->anchor_n, visit->rounds + 1, visit->anchor_ns, runs_ms, anchor_ms);
    for (size_t r = 0; r < visit->rounds; r++) {
        verdict.ratios[r] = item_ms[r] / ((anchor_ms[r] + anchor_ms[r + 1]) / 2);
    }
    judge_ratios(visit, &verdict, is_short && !visit->means);
    verdict.anchor_ms = stat_median(anchor_ms, visit->rounds + 1);
    to_ms(visit->item_ns, item_runs, runs_ms);
    verdict.median_ms = stat_median(runs_ms, item_runs);
    verdict.p90_ms = visit->means ? (double)NAN : stat_quantile(runs_ms, item_runs, 0.9);
    free(runs_ms);
    *ret_verdict = verdict;
    return TL_OK;
}

/* The order statistic of rank stat_quantile_upper_rank, of sorted values; NAN: too few. */
static double upper_of(const double *sorted, size_t n, double q)
{
    const size_t rank = stat_quantile_upper_rank(n, q, 0.95);
    return rank > 0 ? sorted[rank - 1] : (double)NAN;
}

enum tl_rc lat_summarise(const struct lat_visit *visit, struct lat_summary *ret_summary, struct tl_err *err)
{
    size_t n = 0;

    for (size_t b = 0; b < visit->rounds; b++) {
        n += visit->item_n[b];
    }
    double *const ms = n > 0 ? malloc(n * sizeof *ms) : NULL;
    if (ms == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to summarise %zu runs", n);
    }
    to_ms(visit->item_ns, n, ms);
    const size_t rank = stat_quantile_upper_rank(n, 0.5, 0.95);
    const double median_ms = stat_median(ms, n); /* sorted from here on */
    *ret_summary = (struct lat_summary){.n = n,
                                        .min_ms = ms[0],
                                        .median_ms = median_ms,
                                        .p90_ms = stat_quantile(ms, n, 0.9),
                                        .median_lower_ms = rank > 0 ? ms[n - rank] : (double)NAN,
                                        .median_upper_ms = upper_of(ms, n, 0.5),
                                        .p90_upper_ms = upper_of(ms, n, 0.9)};
    ret_summary->mad_ms = stat_mad(ms, n);
    free(ms);
    return TL_OK;
}

double lat_reference(const double *anchor_ms, size_t n)
{
    double first[LAT_REFERENCE_VISITS];

    if (n < LAT_REFERENCE_VISITS) {
        return 0;
    }
    for (size_t i = 0; i < LAT_REFERENCE_VISITS; i++) {
        first[i] = anchor_ms[i];
    }
    return stat_quantile(first, LAT_REFERENCE_VISITS, 0.25);
}

void lat_verify(double *ratios, size_t n, size_t stable_visits, double reference_ms, double limit_ms,
                struct lat_verification *ret_verification)
{
    struct lat_verification result = {.visits = stable_visits, .blocks = n, .median_ms = NAN, .upper_ms = HUGE_VAL};

    if (n > 0) {
        result.median_ms = stat_median(ratios, n) * reference_ms; /* sorted from here on */
    }
    result.enough = stable_visits >= LAT_VERIFY_VISITS && n >= LAT_VERIFY_BLOCKS;
    if (result.enough) {
        result.upper_ms = ratios[stat_quantile_upper_rank(n, 0.5, 0.95) - 1] * reference_ms;
        result.holds = result.upper_ms <= limit_ms;
    }
    *ret_verification = result;
}
