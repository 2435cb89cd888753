/* bench_network.c - what it costs to build a sub-network's operators, to count its costs, and to name its blocks.
 *
 *     bench_network [--networks N] [--rounds N] [--seed N] [FAMILY ...]
 *
 * Without families: all that are shipped. A round goes once over N random networks; a figure is the median round's
 * microseconds a network. The bound it stands beside is copying the finished operators, which any builder has to write.
 */
#include "supernet/network.h"
#include "tests/bench/bench.h"

#include <getopt.h>
#include <string.h>

enum { NETWORKS_MAX = 100000, ROUNDS_MAX = 1000 };

struct options {
    unsigned networks, rounds;
    unsigned long long seed;
};

/* One thing that is timed, on the network of one pick. `net` is built before, so that each is timed alone. */
typedef void work_fn(const struct net_family *family, const struct net_pick *pick, struct network *net);

static struct network copy;
static volatile uint64_t sink; /* keeps the results needed */

static _Noreturn void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "bench_network: %s: %s\n", what, detail);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static void do_build(const struct net_family *family, const struct net_pick *pick, struct network *net)
{
    struct tl_err err = {0};
    if (net_build(family, pick, net, &err) != TL_OK) {
        die(family->name, err.text);
    }
    sink += net->n_ops;
}

static void do_cost(const struct net_family *family, const struct net_pick *pick, struct network *net)
{
    (void)family;
    (void)pick;
    struct net_cost cost;
    net_cost_total(net, &cost);
    sink += cost.macs + cost.peak_memory_bytes;
}

static void do_build_and_cost(const struct net_family *family, const struct net_pick *pick, struct network *net)
{
    do_build(family, pick, net);
    do_cost(family, pick, net);
}

static void do_keys(const struct net_family *family, const struct net_pick *pick, struct network *net)
{
    (void)family;
    (void)pick;
    for (size_t b = 0; b < net->n_blocks; b++) {
        char key[NET_KEY_MAX];
        net_block_key(net, b, key);
        sink += (uint64_t)key[0];
    }
}

static void do_copy(const struct net_family *family, const struct net_pick *pick, struct network *net)
{
    (void)family;
    (void)pick;
    memcpy(copy.ops, net->ops, net->n_ops * sizeof net->ops[0]);
    sink += copy.ops[net->n_ops - 1].co;
}

static struct net_pick random_pick(const struct net_family *family, struct tl_rng *rng)
{
    struct net_pick pick = {.resolution = family->resolutions[tl_rng_below(rng, family->n_resolutions)]};
    pick.stem_depth = (uint8_t)tl_rng_below(rng, net_family_elastic_stem(family) ? 2 : 1);
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        pick.width[place] = (uint8_t)tl_rng_below(rng, net_family_elastic_width(family, place) ? family->n_widths : 1);
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        pick.depth[s] = stage->n_depths ? stage->depths[tl_rng_below(rng, stage->n_depths)] : 0;
    }
    for (size_t i = 0; i < net_family_slots(family, family->n_stages); i++) {
        pick.choice[i] = (uint8_t)tl_rng_below(rng, family->n_choices);
    }
    return pick;
}

/* Median over the rounds of the mean microseconds a network. */
static double time_us(work_fn *work, const struct net_family *family, const struct net_pick *picks,
                      struct network *nets, const struct options *options)
{
    static double us[ROUNDS_MAX];
    for (unsigned round = 0; round < options->rounds; round++) {
        const int64_t start_ns = tl_clock_mono_ns();
        for (unsigned i = 0; i < options->networks; i++) {
            work(family, &picks[i], &nets[i]);
        }
        us[round] = (double)(tl_clock_mono_ns() - start_ns) / 1e3 / options->networks;
    }
    return bench_quantile(us, options->rounds, 0.5);
}

static void bench_family(const struct net_family *family, const struct options *options)
{
    static const struct {
        const char *metric;
        work_fn *work;
    } cases[] = {
        {"build_us", do_build}, {"cost_us", do_cost}, {"build_and_cost_us", do_build_and_cost}, {"keys_us", do_keys}};
    struct net_pick *picks = calloc(options->networks, sizeof *picks);
    struct network *nets = calloc(options->networks, sizeof *nets);
    struct tl_rng rng;

    if (picks == NULL || nets == NULL) {
        die(family->name, "no memory");
    }
    tl_rng_init(&rng, options->seed, 0, 0);
    for (unsigned i = 0; i < options->networks; i++) {
        picks[i] = random_pick(family, &rng);
        do_build(family, &picks[i], &nets[i]);
    }
    const double copy_us = time_us(do_copy, family, picks, nets, options);
    for (size_t c = 0; c < TL_COUNT_OF(cases); c++) {
        const struct bench_figure figure = {.bench = "network",
                                            .name = family->name,
                                            .metric = cases[c].metric,
                                            .unit = "us",
                                            .value = time_us(cases[c].work, family, picks, nets, options),
                                            .peer = "copy_operators",
                                            .peer_value = copy_us,
                                            .threads = 1,
                                            .seed = options->seed};
        bench_report(&figure);
        (void)fprintf(stderr, "%-20s %-20s %8.3f us\n", family->name, cases[c].metric, figure.value);
    }
    free(picks);
    free(nets);
}

static unsigned number(const char *text, unsigned most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value == 0 || value > most) {
        die(text, "not a number within the limits");
    }
    return (unsigned)value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {{"networks", required_argument, NULL, 'n'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {"seed", required_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.networks = 1000, .rounds = 51, .seed = 1};
    int c = 0;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe): one thread */
        switch (c) {
        case 'n':
            options.networks = number(optarg, NETWORKS_MAX);
            break;
        case 'r':
            options.rounds = number(optarg, ROUNDS_MAX);
            break;
        case 's':
            options.seed = number(optarg, UINT32_MAX);
            break;
        default:
            die("usage", "bench_network [--networks N] [--rounds N] [--seed N] [FAMILY ...]");
        }
    }
    return options;
}

int main(int argc, char **argv)
{
    const struct options options = parse(argc, argv);

    for (size_t f = 0; f < net_family_count() && optind == argc; f++) {
        bench_family(net_family_at(f), &options);
    }
    for (int i = optind; i < argc; i++) {
        const struct net_family *family = net_family_get(argv[i]);
        if (family == NULL) {
            die(argv[i], "no such family");
        }
        bench_family(family, &options);
    }
    return 0;
}
