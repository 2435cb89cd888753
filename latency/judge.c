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

static const double NS_PER_MS = 1e6;

const char *lat_reason_text(enum lat_reason reason)
{
    static const char *const texts[LAT_REASON_COUNT] = {"", "noisy", "short"};
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

static void judge_ratios(struct lat_verdict *verdict, bool is_short)
{
    double sorted[LAT_ROUNDS_MAX];

    for (size_t r = 0; r < verdict->n_ratios; r++) {
        sorted[r] = verdict->ratios[r];
    }
    verdict->ratio = stat_median(sorted, verdict->n_ratios);
    verdict->spread = stat_mad(sorted, verdict->n_ratios) / verdict->ratio;
    verdict->reason = is_short ? LAT_SHORT : verdict->spread <= LAT_SPREAD_MAX ? LAT_STABLE : LAT_NOISY;
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
    judge_ratios(&verdict, is_short && !visit->means);
    verdict.anchor_ms = stat_median(anchor_ms, visit->rounds + 1);
    to_ms(visit->item_ns, item_runs, runs_ms);
    verdict.median_ms = stat_median(runs_ms, item_runs);
    verdict.p90_ms = visit->means ? (double)NAN : stat_quantile(runs_ms, item_runs, 0.9);
    free(runs_ms);
    *ret_verdict = verdict;
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

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void lat_verify(double *ratios, size_t n, size_t stable_visits, double reference_ms, double limit_ms,
                struct lat_verification *ret_verification)
{
    struct lat_verification result = {.visits = stable_visits, .blocks = n, .median_ms = NAN, .upper_ms = HUGE_VAL};

    if (n > 0) {
        result.median_ms = stat_median(ratios, n) * reference_ms;
    }
    result.enough = stable_visits >= LAT_VERIFY_VISITS && n >= LAT_VERIFY_BLOCKS;
    if (result.enough) {
        qsort(ratios, n, sizeof *ratios, compare_doubles);
        result.upper_ms = ratios[stat_quantile_upper_rank(n, 0.5, 0.95) - 1] * reference_ms;
        result.holds = result.upper_ms <= limit_ms;
    }
    *ret_verification = result;
}
