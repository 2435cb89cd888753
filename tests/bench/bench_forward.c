/* bench_forward.c - one forward of sub-networks, beside the multiply-add peak of the same machine in the same run.
 *
 *     bench_forward [--family NAME] [--resolution N] [--batch N] [--threads N] [--rounds N] [--seed N] [--blocks]
 *                   [KERNEL:EXPAND:DEPTH ...]
 *
 * Without cases: the smallest, a medium and the largest of the family. The cases and the peak are timed in turn, so
 * that a slow moment of the machine meets all of them. --blocks adds each case's blocks, run alone.
 */
#include "supernet/kernels/kernels.h"
#include "tests/bench/bench.h"
#include "tests/bench/fma_peak.h"

#include <getopt.h>

enum { CASES_MAX = 16, ROUNDS_MAX = 1000, RUNS = 3, WARMUP_RUNS = 3 };

struct options {
    const char *family;
    unsigned resolution, batch, threads, rounds;
    unsigned long long seed;
    bool blocks;
};

struct subject {
    char name[64];
    struct network *net;   /* owned */
    struct net_plan *plan; /* owned */
    float *input, *output; /* owned */
    double ms[ROUNDS_MAX]; /* best of RUNS in each round */
    double macs;
};

static _Noreturn void die(const char *format, ...) TL_PRINTF(1, 2);
static _Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench_forward: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static unsigned number(const char *text, unsigned most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != 0 || value == 0 || value > most) {
        die("%s is not a number from 1 to %u", text, most);
    }
    return (unsigned)value;
}

/* The place of `value` in the family's list of options; ends the program where it is not one. */
static unsigned option_index(const uint8_t *options, size_t n, unsigned value, const char *what)
{
    for (unsigned i = 0; i < n; i++) {
        if (options[i] == value) {
            return i;
        }
    }
    die("the family has no %s %u", what, value);
}

static void build(struct network *net, const struct options *options, unsigned kernel, unsigned expand, unsigned depth)
{
    const struct net_family *family = net_family_get(options->family);
    if (family == NULL || family->n_kernels == 0 || family->stages[0].n_depths == 0) {
        die("no family %s with elastic kernels, expansions and depths", options->family);
    }
    struct net_pick pick = {.resolution = (uint16_t)options->resolution};
    (void)option_index(family->stages[0].depths, family->stages[0].n_depths, depth, "depth");
    const unsigned choice = option_index(family->kernels, family->n_kernels, kernel, "kernel") * family->n_expands +
                            option_index(family->expands, family->n_expands, expand, "expansion");
    memset(pick.depth, (int)depth, sizeof pick.depth);
    memset(pick.choice, (int)choice, sizeof pick.choice);
    struct tl_err err = {0};
    if (net_build(family, &pick, net, &err) != TL_OK) {
        die("cannot build the network: %s", err.text);
    }
}

static void make_ready(struct subject *subject, const struct options *options, struct tl_pool *pool)
{
    struct tl_err err = {0};
    if (net_plan_new(subject->net, options->batch, NULL, options->seed, pool, &subject->plan, &err) != TL_OK) {
        die("cannot plan the network: %s", err.text);
    }
    const size_t floats = net_plan_input_floats(subject->plan);
    subject->input = malloc(floats * sizeof(float));
    subject->output = malloc(net_plan_output_floats(subject->plan) * sizeof(float));
    if (subject->input == NULL || subject->output == NULL) {
        die("no memory");
    }
    struct tl_rng rng;
    tl_rng_init(&rng, options->seed, 0, 0);
    for (size_t i = 0; i < floats; i++) {
        subject->input[i] = (float)tl_rng_normal(&rng);
    }
    struct net_cost cost;
    net_cost_total(subject->net, &cost);
    subject->macs = (double)cost.macs * options->batch;
    for (int i = 0; i < WARMUP_RUNS; i++) {
        net_plan_run(subject->plan, subject->input, subject->output);
    }
}

static void release(struct subject *subject)
{
    net_plan_free(subject->plan);
    free(subject->input);
    free(subject->output);
    free(subject->net);
}

static double time_ms(struct subject *subject)
{
    double best = INFINITY;
    for (int run = 0; run < RUNS; run++) {
        const int64_t start_ns = tl_clock_mono_ns();
        net_plan_run(subject->plan, subject->input, subject->output);
        best = fmin(best, (double)(tl_clock_mono_ns() - start_ns) / 1e6);
    }
    return best;
}

static void report(struct subject *subject, const struct options *options, double peak)
{
    const double median = bench_quantile(subject->ms, options->rounds, 0.5);
    const double low = bench_quantile(subject->ms, options->rounds, 0.1);
    const double high = bench_quantile(subject->ms, options->rounds, 0.9);
    struct bench_figure figure = {
        .bench = "forward",
        .name = subject->name,
        .metric = "latency_ms",
        .unit = "ms",
        .value = median,
        .threads = options->threads,
        .seed = options->seed,
    };
    bench_report(&figure);
    figure.metric = "latency_spread"; /* of the middle 80 % of rounds, relative */
    figure.unit = "1";
    figure.value = (high - low) / median;
    bench_report(&figure);
    figure.metric = "throughput";
    figure.unit = "GFLOP/s";
    figure.value = 2 * subject->macs / median / 1e6;
    figure.peer = "fma_peak";
    figure.peer_value = peak;
    bench_report(&figure);
    (void)fprintf(stderr, "%-28s %8.1f %9.3f %9.3f %9.3f %8.1f %7.2f\n", subject->name, subject->macs / 1e6, low,
                  median, high, figure.value, figure.value / peak);
}

/* Each block of the subject alone, for people who look for the slow one. */
static void report_blocks(const struct subject *whole, const struct options *options, struct tl_pool *pool, double peak)
{
    double sum = 0;
    for (size_t b = 0; b < whole->net->n_blocks; b++) {
        struct subject block = {.net = malloc(sizeof *block.net)};
        if (block.net == NULL) {
            die("no memory");
        }
        char key[NET_KEY_MAX];
        net_block_key(whole->net, b, key);
        net_block_cut(whole->net, b, block.net);
        make_ready(&block, options, pool);
        for (unsigned round = 0; round < options->rounds; round++) {
            block.ms[round] = time_ms(&block);
        }
        const double ms = bench_quantile(block.ms, options->rounds, 0.5), speed = 2 * block.macs / ms / 1e6;
        (void)fprintf(stderr, "  %-64s %8.4f ms %8.1f GFLOP/s %5.2f\n", key, ms, speed, speed / peak);
        sum += ms;
        release(&block);
    }
    (void)fprintf(stderr, "  %-64s %8.4f ms\n", "sum", sum);
}

static struct options parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"family", required_argument, NULL, 'f'}, {"resolution", required_argument, NULL, 'r'},
        {"batch", required_argument, NULL, 'b'},  {"threads", required_argument, NULL, 't'},
        {"rounds", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'},
        {"blocks", no_argument, NULL, 'B'},       {NULL, 0, NULL, 0},
    };
    struct options options = {
        .family = "ofa-mbv3-w1.0", .resolution = 224, .batch = 1, .threads = 1, .rounds = 31, .seed = 1};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) { /* NOLINT(concurrency-mt-unsafe): one thread */
        switch (c) {
        case 'f':
            options.family = optarg;
            break;
        case 'r':
            options.resolution = number(optarg, NET_SIDE_MAX);
            break;
        case 'b':
            options.batch = number(optarg, 4096);
            break;
        case 't':
            options.threads = number(optarg, 64);
            break;
        case 'n':
            options.rounds = number(optarg, ROUNDS_MAX);
            break;
        case 's':
            options.seed = number(optarg, UINT32_MAX);
            break;
        case 'B':
            options.blocks = true;
            break;
        default:
            die("see the first lines of tests/bench/bench_forward.c");
        }
    }
    return options;
}

static void add_case(struct subject *subject, const struct options *options, const char *text)
{
    unsigned kernel = 0, expand = 0, depth = 0;
    if (sscanf(text, "%3u:%3u:%3u", &kernel, &expand, &depth) != 3) { /* NOLINT(cert-err34-c): ranged by the family */
        die("a case is KERNEL:EXPAND:DEPTH, not %s", text);
    }
    *subject = (struct subject){.net = malloc(sizeof *subject->net)};
    if (subject->net == NULL) {
        die("no memory");
    }
    (void)snprintf(subject->name, sizeof subject->name, "k%u-e%u-d%u@%u-b%u-%s", kernel, expand, depth,
                   options->resolution, options->batch, net_isa());
    build(subject->net, options, kernel, expand, depth);
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"3:3:2", "5:4:3", "7:6:4"};
    static struct subject subjects[CASES_MAX];
    static double peaks[ROUNDS_MAX];
    const struct options options = parse(argc, argv);
    const size_t given = (size_t)(argc - optind), n = given > 0 ? given : TL_COUNT_OF(usual);
    struct tl_pool *pool = NULL;
    if (n > CASES_MAX || tl_pool_new(&pool, options.threads, NULL) != TL_OK) {
        die("too many cases or threads");
    }
    for (size_t i = 0; i < n; i++) {
        add_case(&subjects[i], &options, given > 0 ? argv[(size_t)optind + i] : usual[i]);
        make_ready(&subjects[i], &options, pool);
    }
    for (unsigned round = 0; round < options.rounds; round++) {
        peaks[round] = peak_pool(pool, options.threads);
        for (size_t i = 0; i < n; i++) {
            subjects[i].ms[round] = time_ms(&subjects[i]);
        }
    }
    const double peak = bench_quantile(peaks, options.rounds, 0.5);
    bench_report(&(struct bench_figure){"forward", net_isa(), "fma_peak", "GFLOP/s", NULL, peak, 0, options.threads,
                                        options.seed});
    (void)fprintf(stderr, "%s, %u thread(s), multiply-add peak %.1f GFLOP/s\n%-28s %8s %9s %9s %9s %8s %7s\n",
                  net_isa(), options.threads, peak, "case", "MMAC", "p10 ms", "median", "p90", "GFLOP/s", "of peak");
    for (size_t i = 0; i < n; i++) {
        report(&subjects[i], &options, peak);
        if (options.blocks) {
            report_blocks(&subjects[i], &options, pool, peak);
        }
        release(&subjects[i]);
    }
    tl_pool_free(pool);
    return 0;
}
