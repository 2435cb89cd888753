/* bench_train.c - one training step of sub-networks (forward, backward, optimizer), beside the multiply-add peak of the same
 * machine in the same run; what the step's memory is; and how long it takes to switch from one sub-network to another.
 *
 *     bench_train [--family NAME] [--resolution N] [--batch N] [--threads N] [--rounds N] [KERNEL:EXPAND:DEPTH ...]
 *
 * Without cases: the smallest, a medium and the largest of the family. PyTorch beside it: tests/bench/run train_torch.
 */
#include "supernet/kernels/kernels.h"
#include "supernet/train/loss.h"
#include "supernet/train/optimizer.h"
#include "supernet/train/tape.h"
#include "tests/bench/bench.h"
#include "tests/bench/fma_peak.h"

#include <getopt.h>
#include <string.h>

enum { CASES_MAX = 8, ROUNDS_MAX = 200, SWITCHES = 1000 };

struct options {
    const char *family;
    unsigned resolution, batch, threads, rounds;
};

struct subject {
    char name[32];
    struct net_pick pick;
    double ms[ROUNDS_MAX], macs;
};

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "bench_train: %s\n", what);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static void must(enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        die(err->text);
    }
}

static unsigned number(const char *text, unsigned most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != 0 || value == 0 || value > most) {
        die("a number is out of range");
    }
    return (unsigned)value;
}

static unsigned place(const uint8_t *list, size_t n, unsigned value)
{
    for (unsigned i = 0; i < n; i++) {
        if (list[i] == value) {
            return i;
        }
    }
    die("the family has no such kernel, expansion or depth");
}

static void subject_make(struct subject *subject, const struct net_family *family, const struct options *options,
                         const char *text)
{
    unsigned kernel = 0, expand = 0, depth = 0;
    struct network *net = malloc(sizeof *net);
    struct net_cost cost;
    struct tl_err err = {0};
    char *end = NULL;
    kernel = (unsigned)strtoul(text, &end, 10);
    expand = *end == ':' ? (unsigned)strtoul(end + 1, &end, 10) : 0;
    depth = *end == ':' ? (unsigned)strtoul(end + 1, &end, 10) : 0;
    (void)snprintf(subject->name, sizeof subject->name, "k%u e%u d%u", kernel, expand, depth);
    subject->pick = (struct net_pick){.resolution = (uint16_t)options->resolution};
    memset(subject->pick.depth, (int)depth, sizeof subject->pick.depth);
    memset(subject->pick.choice,
           (int)(place(family->kernels, family->n_kernels, kernel) * family->n_expands +
                 place(family->expands, family->n_expands, expand)),
           sizeof subject->pick.choice);
    if (net == NULL) {
        die("no memory");
    }
    must(net_build(family, &subject->pick, net, &err), &err);
    net_cost_total(net, &cost);
    subject->macs = (double)cost.macs;
    free(net);
}

/* What a step works on. */
struct world {
    struct supernet *net;
    struct tape *tape;
    struct optimizer optimizer;
    float *images;
    int32_t *labels;
};

static void world_make(struct world *world, const struct net_family *family, const struct options *options,
                       struct tl_pool *pool)
{
    const struct train_plan plan = train_plan_default(TRAIN_SANDWICH);
    const size_t n = (size_t)options->batch * options->resolution * options->resolution * 3;
    struct net_family one = *family; /* memory for this resolution, not for the family's largest */
    struct tl_err err = {0};
    struct tl_rng rng;
    one.n_resolutions = 1;
    one.resolutions[0] = (uint16_t)options->resolution;
    must(supernet_new(&one, 1, &world->net, &err), &err);
    must(tape_new(world->net, options->batch, false, pool, &world->tape, &err), &err);
    must(optimizer_init(&world->optimizer, world->net, &plan.optimizer, pool, &err), &err);
    world->images = malloc(n * sizeof *world->images);
    world->labels = malloc(options->batch * sizeof *world->labels);
    if (world->images == NULL || world->labels == NULL) {
        die("no memory");
    }
    tl_rng_init(&rng, 1, 0, 0);
    for (size_t i = 0; i < n; i++) {
        world->images[i] = (float)tl_rng_normal(&rng);
    }
    for (size_t i = 0; i < options->batch; i++) {
        world->labels[i] = (int32_t)tl_rng_below(&rng, family->n_classes);
    }
}

static double step_ms(struct world *world, const struct subject *subject, const struct options *options)
{
    const struct loss_target target = {.labels = world->labels, .label_weight = 1.0F, .smoothing = 0.1F};
    struct tl_err err = {0};
    size_t right = 0;
    const int64_t begun = tl_clock_mono_ns();
    must(tape_bind(world->tape, &subject->pick, &err), &err);
    optimizer_clear(&world->optimizer);
    tape_forward(world->tape, world->images, NULL);
    (void)loss_gradient(world->tape->dlogits, world->tape->logits, &target, options->batch,
                        world->net->family.n_classes, &right);
    tape_backward(world->tape, NULL, world->optimizer.grads);
    optimizer_step(&world->optimizer, 1e-4, 1.0, 1);
    return (double)(tl_clock_mono_ns() - begun) * 1e-6;
}

static double switch_us(struct world *world, const struct subject *subjects, size_t n)
{
    struct tl_err err = {0};
    const int64_t begun = tl_clock_mono_ns();
    for (size_t i = 0; i < SWITCHES; i++) {
        must(tape_bind(world->tape, &subjects[i % n].pick, &err), &err);
    }
    return (double)(tl_clock_mono_ns() - begun) * 1e-3 / SWITCHES;
}

static void report(const struct options *options, const char *name, const char *metric, const char *unit, double value,
                   const char *peer, double peer_value)
{
    const struct bench_figure figure = {.bench = "train",
                                        .name = name,
                                        .metric = metric,
                                        .unit = unit,
                                        .peer = peer,
                                        .value = value,
                                        .peer_value = peer_value,
                                        .threads = options->threads,
                                        .seed = 1};
    bench_report(&figure);
}

static void options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"family", 1, NULL, 'f'}, {"resolution", 1, NULL, 'r'},
                                          {"batch", 1, NULL, 'b'},  {"threads", 1, NULL, 't'},
                                          {"rounds", 1, NULL, 'n'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'f':
            options->family = optarg;
            break;
        case 'r':
            options->resolution = number(optarg, NET_SIDE_MAX);
            break;
        case 'b':
            options->batch = number(optarg, 4096);
            break;
        case 't':
            options->threads = number(optarg, 64);
            break;
        case 'n':
            options->rounds = number(optarg, ROUNDS_MAX);
            break;
        default:
            die("usage: bench_train [--family NAME] [--resolution N] [--batch N] [--threads N] [--rounds N] "
                "[KERNEL:EXPAND:DEPTH ...]");
        }
    }
}

int main(int argc, char **argv)
{
    static const char *const defaults[] = {"3:3:2", "5:4:3", "7:6:4"};
    struct options options = {.family = "ofa-mbv3-w1.0", .resolution = 128, .batch = 32, .threads = 2, .rounds = 5};
    static struct subject subjects[CASES_MAX];
    static double peaks[ROUNDS_MAX];
    struct tl_pool *pool = NULL;
    struct tl_err err = {0};
    struct world world;
    options_parse(argc, argv, &options);
    const struct net_family *family = net_family_get(options.family);
    const size_t given = (size_t)(argc - optind), n = given ? given : TL_COUNT_OF(defaults);
    if (family == NULL || n > CASES_MAX) {
        die("no such family, or too many cases");
    }
    must(tl_pool_new(&pool, options.threads, &err), &err);
    for (size_t i = 0; i < n; i++) {
        subject_make(&subjects[i], family, &options, given ? argv[optind + (int)i] : defaults[i]);
    }
    world_make(&world, family, &options, pool);
    for (size_t i = 0; i < n; i++) {
        (void)step_ms(&world, &subjects[i], &options); /* warm */
    }
    for (unsigned r = 0; r < options.rounds; r++) {
        for (size_t i = 0; i < n; i++) {
            subjects[i].ms[r] = step_ms(&world, &subjects[i], &options);
        }
        peaks[r] = peak_pool(pool, options.threads);
    }
    const double peak = bench_quantile(peaks, options.rounds, 0.5);
    for (size_t i = 0; i < n; i++) {
        const double ms = bench_quantile(subjects[i].ms, options.rounds, 0.5);
        report(&options, subjects[i].name, "step", "ms", ms, NULL, 0.0);
        report(&options, subjects[i].name, "speed", "GFLOP/s", 6.0 * subjects[i].macs * options.batch / ms * 1e-6,
               "fma_peak", peak);
    }
    report(&options, "largest", "tape", "MiB", (double)tape_bytes(world.tape) / 1048576.0, NULL, 0.0);
    report(&options, "any", "switch", "us", switch_us(&world, subjects, n), NULL, 0.0);
    optimizer_done(&world.optimizer);
    tape_free(world.tape);
    supernet_free(world.net);
    free(world.images);
    free(world.labels);
    tl_pool_free(pool);
    return 0;
}
