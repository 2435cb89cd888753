/* bench_latency_model.c - a device's profile, from the first block to the model's error, in this process and on this
 * machine; then what verifying costs.
 *
 *     bench_latency_model [--family NAME] [--resolution N] [--networks N] [--further N] [--seed N] [--threads N]
 *                         [--blocks ROUNDS:BLOCK_MS:ANCHOR_MS] [--nets ...] [--verify ...] [--rows]
 *
 * The items are measured as an agent would, by the default protocols or those given. The model is fitted on the profile
 * and judged on further networks that it never saw; its peer is the plain sum of the blocks. --rows writes a line for
 * every network to stderr.
 */
#include "base/model/model.h"
#include "latency/agent/agent.h"
#include "latency/latency.h"
#include "tests/bench/bench.h"

#include <getopt.h>
#include <string.h>

enum { ITEMS_MAX = 1024, VERIFY_NETWORKS = 3 };

struct options {
    const struct net_family *family;
    unsigned resolution, networks, further, threads;
    unsigned long long seed;
    struct lat_protocol protocols[LAT_JOB_KIND_COUNT];
    bool rows;
};

/* What became of one item. */
struct outcome {
    struct lat_verdict verdict;
    double raw_spread; /* relative MAD of the item's block medians, without the anchor */
};

struct device {
    const struct options *options;
    struct tl_pool *pool;
    struct runner *runner;
    struct lat_job_item anchor;
    double anchors_ms[ITEMS_MAX]; /* one for each job, in order */
    size_t n_jobs;
};

static _Noreturn void die(const char *format, ...) TL_PRINTF(1, 2);
static _Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench_latency_model: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static void must(enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        die("%s", err->text);
    }
}

/* ---- measuring ------------------------------------------------------------------------------------------------- */

static void make_item(const struct options *options, const struct lat_profile_item *from, struct lat_job_item *item)
{
    struct tl_err err = {0};
    struct network *const net = malloc(sizeof *net);

    if (net == NULL) {
        die("no memory");
    }
    must(net_build(options->family, &from->pick, net, &err), &err);
    if (from->is_block) {
        net_block_cut(net, from->block, &item->net);
    } else {
        item->net = *net;
    }
    item->is_block = from->is_block;
    free(net);
}

static double raw_spread(const struct agent_series *series)
{
    double medians[LAT_ROUNDS_MAX], runs[LAT_RUNS_MAX];
    const int64_t *ns = series->ns;

    for (size_t b = 0; b < series->blocks; b++) {
        for (size_t i = 0; i < series->n[b]; i++) {
            runs[i] = (double)*ns++;
        }
        medians[b] = stat_median(runs, series->n[b]);
    }
    const double median = stat_median(medians, series->blocks);
    return stat_mad(medians, series->blocks) / median;
}

/* One job: items[0..n-1] by the protocol, one outcome each. */
static void measure_job(struct device *device, const struct lat_profile_item *items, size_t n,
                        const struct lat_protocol *protocol, struct outcome *outcomes)
{
    TL_AUTO(agent_result) result = {0};
    struct tl_err err = {0};
    const struct agent_watch watch = {0};
    struct lat_job job = {.protocol = *protocol,
                          .seed = device->options->seed,
                          .anchor = &device->anchor,
                          .items = calloc(n, sizeof(struct lat_job_item)),
                          .n_items = n};

    if (job.items == NULL) {
        die("no memory");
    }
    for (size_t i = 0; i < n; i++) {
        make_item(device->options, &items[i], &job.items[i]);
    }
    must(agent_measure(&job, device->runner, NULL, &watch, &result, &err), &err);
    for (size_t i = 0; i < n; i++) {
        const struct lat_visit visit = agent_result_visit(&result, i);
        must(lat_judge(&visit, &outcomes[i].verdict, &err), &err);
        outcomes[i].raw_spread = raw_spread(&result.items[i]);
    }
    device->anchors_ms[device->n_jobs++] = outcomes[0].verdict.anchor_ms;
    free(job.items);
}

/* Measure the items of a profile in its jobs; returns the seconds it took. */
static double measure_profile(struct device *device, const struct lat_profile *profile, struct outcome *outcomes)
{
    const int64_t from_ns = tl_clock_mono_ns();

    for (size_t first = 0; first < profile->n;) {
        enum lat_job_kind kind = LAT_PROFILE_BLOCKS;
        const size_t n = lat_profile_job(profile, first, &kind);
        measure_job(device, &profile->items[first], n, &device->options->protocols[kind], &outcomes[first]);
        first += n;
    }
    return (double)(tl_clock_mono_ns() - from_ns) / 1e9;
}

/* ---- reporting ------------------------------------------------------------------------------------------------- */

static void report(const struct options *options, const char *name, const char *metric, double value, const char *unit,
                   const char *peer, double peer_value)
{
    const struct bench_figure figure = {.bench = "latency_model",
                                        .name = name,
                                        .metric = metric,
                                        .unit = unit,
                                        .peer = peer,
                                        .value = value,
                                        .peer_value = peer_value,
                                        .threads = options->threads,
                                        .seed = options->seed};
    (void)fprintf(stderr, "%-10s %-24s %10.4g %s\n", name, metric, value, unit);
    bench_report(&figure);
}

/* How quiet the visits of one kind of items were; the peer is what times without an anchor would have been. */
static void report_visits(const struct options *options, const char *name, const struct lat_profile *profile,
                          bool is_block, const struct outcome *outcomes)
{
    double spreads[ITEMS_MAX], raw[ITEMS_MAX];
    size_t n = 0, stable = 0;

    for (size_t i = 0; i < profile->n; i++) {
        if (profile->items[i].is_block == is_block) {
            spreads[n] = outcomes[i].verdict.spread;
            raw[n++] = outcomes[i].raw_spread;
            stable += outcomes[i].verdict.reason == LAT_STABLE;
        }
    }
    report(options, name, "visits", (double)n, "count", NULL, 0);
    report(options, name, "stable", 100.0 * (double)stable / (double)n, "%", NULL, 0);
    report(options, name, "spread_median", 100 * bench_quantile(spreads, n, 0.5), "%", "raw times",
           100 * bench_quantile(raw, n, 0.5));
    report(options, name, "spread_p90", 100 * bench_quantile(spreads, n, 0.9), "%", "raw times",
           100 * bench_quantile(raw, n, 0.9));
}

/* ---- the model ------------------------------------------------------------------------------------------------- */

static double sum_of_blocks(const struct lat_block_row *blocks, size_t n_blocks, const struct network *net)
{
    double sum_ms = 0;

    for (size_t b = 0; b < net->n_blocks; b++) {
        char key[NET_KEY_MAX];
        net_block_key(net, b, key);
        for (size_t i = 0; i < n_blocks; i++) {
            sum_ms += strcmp(blocks[i].key, key) == 0 ? blocks[i].ms : 0;
        }
    }
    return sum_ms;
}

/* Judge the model on networks it did not see. */
static void report_further(const struct options *options, const struct lat_model *model,
                           const struct lat_block_row *blocks, size_t n_blocks, const struct lat_profile_item *items,
                           const double *measured_ms, size_t n)
{
    double predicted[ITEMS_MAX], sums[ITEMS_MAX];
    struct network *const net = malloc(sizeof *net);
    size_t inside = 0;

    if (net == NULL) {
        die("no memory");
    }
    for (size_t i = 0; i < n; i++) {
        struct tl_err err = {0};
        must(net_build(options->family, &items[i].pick, net, &err), &err);
        must(lat_model_network_ms(model, net, &predicted[i], &err), &err);
        sums[i] = sum_of_blocks(blocks, n_blocks, net);
        const double off = fabs(measured_ms[i] / predicted[i] - 1);
        inside += off <= lat_model_error(model)->half_width;
        if (options->rows) {
            (void)fprintf(stderr, "row %zu measured %.3f sum %.3f predicted %.3f off %.2f %%\n", i, measured_ms[i],
                          sums[i], predicted[i], 100 * off);
        }
    }
    free(net);
    report(options, "further", "mape", stat_mape(predicted, measured_ms, n), "%", "sum of blocks",
           stat_mape(sums, measured_ms, n));
    report(options, "further", "spearman", stat_spearman(predicted, measured_ms, n), "", "sum of blocks",
           stat_spearman(sums, measured_ms, n));
    report(options, "further", "within_interval", 100.0 * (double)inside / (double)n, "%", "promised", 90);
}

/* Leave the networks alone in a profile. */
static void drop_blocks(struct lat_profile *profile)
{
    size_t kept = 0;

    for (size_t i = 0; i < profile->n; i++) {
        if (!profile->items[i].is_block) {
            profile->items[kept++] = profile->items[i];
        }
    }
    profile->n = kept;
}

static void make_profile(const struct options *options, size_t networks, unsigned long long seed,
                         struct lat_profile *ret_profile)
{
    struct tl_err err = {0};

    must(lat_profile_make(options->family, options->resolution, networks, seed, ret_profile, &err), &err);
    if (ret_profile->n > ITEMS_MAX) {
        die("at most %d items", ITEMS_MAX);
    }
}

/* An unstable visit counts only where its network has no stable one. */
static bool counts(const struct lat_profile *profile, const struct outcome *outcomes, size_t visit)
{
    for (size_t i = 0; i < profile->n && outcomes[visit].verdict.reason != LAT_STABLE; i++) {
        if (!profile->items[i].is_block && outcomes[i].verdict.reason == LAT_STABLE &&
            memcmp(&profile->items[i].pick, &profile->items[visit].pick, sizeof profile->items[i].pick) == 0) {
            return false;
        }
    }
    return true;
}

static void bench_model(struct device *device)
{
    static struct outcome outcomes[ITEMS_MAX], further_outcomes[ITEMS_MAX];
    static struct lat_block_row blocks[ITEMS_MAX];
    static struct lat_row rows[ITEMS_MAX];
    static double further_ms[ITEMS_MAX];
    const struct options *options = device->options;
    struct tl_err err = {0};
    TL_AUTO(lat_profile) profile = {0};
    TL_AUTO(lat_profile) further = {0};
    struct lat_model *model = NULL;
    size_t n_blocks = 0, n_rows = 0;

    make_profile(options, options->networks, options->seed, &profile);
    make_profile(options, options->further, options->seed + 1, &further);
    drop_blocks(&further);
    const double profile_s = measure_profile(device, &profile, outcomes);
    const size_t n_jobs = device->n_jobs;
    const double reference_ms = lat_reference(device->anchors_ms, n_jobs);
    for (size_t i = 0; i < profile.n; i++) {
        const double ms = outcomes[i].verdict.ratio * reference_ms;
        if (profile.items[i].is_block) {
            memcpy(blocks[n_blocks].key, profile.items[i].key, sizeof blocks->key);
            blocks[n_blocks++].ms = ms;
        } else if (counts(&profile, outcomes, i)) {
            rows[n_rows++] = (struct lat_row){profile.items[i].pick, ms};
        }
    }
    must(lat_model_fit(options->family, blocks, n_blocks, rows, n_rows, options->seed, &model, &err), &err);
    report_visits(options, "blocks", &profile, true, outcomes);
    report_visits(options, "networks", &profile, false, outcomes);
    report(options, "profile", "seconds", profile_s, "s", NULL, 0);
    report(options, "profile", "jobs", (double)n_jobs, "count", NULL, 0);
    report(options, "profile", "anchor_reference", reference_ms, "ms", NULL, 0);
    report(options, "profile", "mape_held_out", lat_model_error(model)->mape, "%", NULL, 0);
    report(options, "profile", "spearman_held_out", lat_model_error(model)->spearman, "", NULL, 0);
    report(options, "profile", "half_width", 100 * lat_model_error(model)->half_width, "%", NULL, 0);
    (void)measure_profile(device, &further, further_outcomes);
    for (size_t i = 0; i < further.n; i++) {
        further_ms[i] = further_outcomes[i].verdict.ratio * reference_ms;
    }
    report_further(options, model, blocks, n_blocks, further.items, further_ms, further.n);
    lat_model_free(model);
}

/* ---- verifying ------------------------------------------------------------------------------------------------- */

/* Three networks of middle size, two visits each: how far apart are the visits, how far above the median is the bound? */
static void bench_verify(struct device *device)
{
    static struct outcome visits[LAT_VERIFY_VISITS * VERIFY_NETWORKS];
    const struct options *options = device->options;
    TL_AUTO(lat_profile) profile = {0};
    double apart = 0, margin = 0;

    make_profile(options, VERIFY_NETWORKS, options->seed + 2, &profile);
    drop_blocks(&profile);
    memcpy(&profile.items[VERIFY_NETWORKS], profile.items, VERIFY_NETWORKS * sizeof *profile.items);
    const int64_t from_ns = tl_clock_mono_ns();
    for (size_t v = 0; v < LAT_VERIFY_VISITS; v++) {
        const size_t at = v * VERIFY_NETWORKS;
        measure_job(device, &profile.items[at], VERIFY_NETWORKS, &options->protocols[LAT_VERIFY], &visits[at]);
    }
    const double seconds = (double)(tl_clock_mono_ns() - from_ns) / 1e9;
    for (size_t i = 0; i < VERIFY_NETWORKS; i++) {
        const struct lat_verdict *first = &visits[i].verdict, *second = &visits[VERIFY_NETWORKS + i].verdict;
        double ratios[2 * LAT_ROUNDS_MAX];
        struct lat_verification verification;
        memcpy(ratios, first->ratios, first->n_ratios * sizeof *ratios);
        memcpy(&ratios[first->n_ratios], second->ratios, second->n_ratios * sizeof *ratios);
        lat_verify(ratios, first->n_ratios + second->n_ratios, 2, 1, HUGE_VAL, &verification);
        margin += 100 * (verification.upper_ms / verification.median_ms - 1) / VERIFY_NETWORKS;
        apart += 100 * fabs(second->ratio / first->ratio - 1) / VERIFY_NETWORKS;
    }
    report_visits(options, "verify", &profile, false, visits);
    report(options, "verify", "seconds", seconds, "s", NULL, 0);
    report(options, "verify", "visits_apart", apart, "%", NULL, 0);
    report(options, "verify", "bound_above_median", margin, "%", NULL, 0);
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static unsigned number(const char *text, unsigned most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value == 0 || value > most) {
        die("%s is not a number from 1 to %u", text, most);
    }
    return (unsigned)value;
}

static void read_protocol(const char *text, struct lat_protocol *protocol)
{
    unsigned long part[3] = {0};
    char *end = NULL;

    for (size_t i = 0; i < TL_COUNT_OF(part); i++) {
        part[i] = strtoul(text, &end, 10);
        if (end == text || part[i] == 0 || part[i] > LAT_BLOCK_MS_MAX ||
            *end != (i + 1 < TL_COUNT_OF(part) ? ':' : 0)) {
            die("a protocol is ROUNDS:BLOCK_MS:ANCHOR_MS");
        }
        text = end + 1;
    }
    if (part[0] < LAT_ROUNDS_MIN || part[0] > LAT_ROUNDS_MAX) {
        die("%d to %d rounds", LAT_ROUNDS_MIN, LAT_ROUNDS_MAX);
    }
    protocol->rounds = (uint16_t)part[0];
    protocol->block_ms = (uint32_t)part[1];
    protocol->anchor_block_ms = (uint32_t)part[2];
}

static void read_options(int argc, char **argv, struct options *options)
{
    enum { FAMILY, RESOLUTION, NETWORKS, FURTHER, SEED, THREADS, BLOCKS, NETS, VERIFY, ROWS };
    static const struct option known[] = {{"family", required_argument, NULL, FAMILY},
                                          {"resolution", required_argument, NULL, RESOLUTION},
                                          {"networks", required_argument, NULL, NETWORKS},
                                          {"further", required_argument, NULL, FURTHER},
                                          {"seed", required_argument, NULL, SEED},
                                          {"threads", required_argument, NULL, THREADS},
                                          {"blocks", required_argument, NULL, BLOCKS},
                                          {"nets", required_argument, NULL, NETS},
                                          {"verify", required_argument, NULL, VERIFY},
                                          {"rows", no_argument, NULL, ROWS},
                                          {NULL, 0, NULL, 0}};
    int option = 0;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe): one thread */
        switch (option) {
        case FAMILY:
            options->family = net_family_get(optarg);
            break;
        case RESOLUTION:
            options->resolution = number(optarg, NET_SIDE_MAX);
            break;
        case NETWORKS:
            options->networks = number(optarg, ITEMS_MAX);
            break;
        case FURTHER:
            options->further = number(optarg, ITEMS_MAX);
            break;
        case SEED:
            options->seed = number(optarg, UINT32_MAX);
            break;
        case THREADS:
            options->threads = number(optarg, 64);
            break;
        case BLOCKS:
        case NETS:
        case VERIFY:
            read_protocol(optarg, &options->protocols[option - BLOCKS]);
            break;
        case ROWS:
            options->rows = true;
            break;
        default:
            die("usage: [--family NAME] [--resolution N] [--networks N] [--further N] [--seed N] [--threads N]\n"
                "       [--blocks ROUNDS:BLOCK_MS:ANCHOR_MS] [--nets ROUNDS:BLOCK_MS:ANCHOR_MS]\n"
                "       [--verify ROUNDS:BLOCK_MS:ANCHOR_MS] [--rows]");
        }
    }
    if (options->family == NULL) {
        die("there is no such family");
    }
}

int main(int argc, char **argv)
{
    struct options options = {.family = net_family_at(0),
                              .resolution = 224,
                              .networks = LAT_PROFILE_NETWORKS_N,
                              .further = 20,
                              .threads = 1,
                              .seed = 1};
    static struct device device;
    struct lat_profile_item anchor = {0};
    struct tl_err err = {0};

    for (int kind = 0; kind < LAT_JOB_KIND_COUNT; kind++) {
        options.protocols[kind] = lat_protocol_default((enum lat_job_kind)kind);
    }
    read_options(argc, argv, &options);
    model_blas_single_thread();
    must(tl_pool_new(&device.pool, options.threads, &err), &err);
    const struct runner_config runner = {.kind = RUNNER_NATIVE, .threads = options.threads, .batch = 1};
    must(runner_new(&runner, device.pool, &(struct agent_watch){0}, &device.runner, &err), &err);
    device.options = &options;
    lat_anchor_pick(options.family, options.resolution, &anchor.pick);
    make_item(&options, &anchor, &device.anchor);
    bench_model(&device);
    bench_verify(&device);
    runner_free(device.runner);
    tl_pool_free(device.pool);
    return 0;
}
