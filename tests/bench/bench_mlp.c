/* bench_mlp.c - predictions a second of a perceptron on hot rows, beside what the dense products alone would allow.
 *
 *     bench_mlp [--features N] [--hidden N] [--layers N] [--width N] [--batch N]... [--rounds N] [--seed N]
 *
 * The bound is the rate of sgemm 1000 x hidden x hidden measured in turn with the predictions, divided by the
 * operations of one dense evaluation (the first layer counted in full). Defaults are once-for-all's accuracy predictor.
 */
#include "base/model/model.h"
#include "tests/bench/bench.h"

#include <cblas.h>
#include <getopt.h>
#include <string.h>

enum { BATCHES_MAX = 8, ROUNDS_MAX = 1000, PEER_ROWS = 1000, LAYERS_MAX = 6 };

struct options {
    unsigned features, hidden, layers, width, rounds; /* layers: hidden ones */
    unsigned batches[BATCHES_MAX], n_batches;
    unsigned long long seed;
};

static unsigned number(const char *text, unsigned most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != 0 || value == 0 || value > most) {
        (void)fprintf(stderr, "bench_mlp: %s is not a number from 1 to %u\n", text, most);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return (unsigned)value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"features", 1, NULL, 'f'}, {"hidden", 1, NULL, 'h'}, {"layers", 1, NULL, 'l'},
        {"width", 1, NULL, 'w'},    {"batch", 1, NULL, 'b'},  {"rounds", 1, NULL, 'r'},
        {"seed", 1, NULL, 's'},     {"help", 0, NULL, '?'},   {0}};
    struct options o = {.features = 128, .hidden = 400, .layers = 3, .width = 46, .rounds = 60, .seed = 1};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe) */
        if (option == 'f') {
            o.features = number(optarg, 4096);
        } else if (option == 'h') {
            o.hidden = number(optarg, 4096);
        } else if (option == 'l') {
            o.layers = number(optarg, LAYERS_MAX);
        } else if (option == 'w') {
            o.width = number(optarg, MODEL_HOT_MAX);
        } else if (option == 'b' && o.n_batches < BATCHES_MAX) {
            o.batches[o.n_batches++] = number(optarg, 100000);
        } else if (option == 'r') {
            o.rounds = number(optarg, ROUNDS_MAX);
        } else if (option == 's') {
            o.seed = number(optarg, 1000000000);
        } else {
            (void)fputs("bench_mlp [--features N] [--hidden N] [--layers N] [--width N] [--batch N]... [--rounds N] "
                        "[--seed N]\n",
                        stderr);
            exit(option == '?' ? 0 : 2); /* NOLINT(concurrency-mt-unsafe): one thread */
        }
    }
    if (o.n_batches == 0) {
        o.n_batches = 3;
        memcpy(o.batches, (unsigned[]){100, 16, 1000}, 3 * sizeof(unsigned));
    }
    return o;
}

static void *must(void *memory)
{
    if (!memory) {
        (void)fputs("bench_mlp: no memory\n", stderr);
        exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return memory;
}

static float *random_floats(struct tl_rng *rng, size_t n)
{
    float *values = must(malloc(n * sizeof(*values)));
    for (size_t i = 0; i < n; i++) {
        values[i] = (float)(0.05 * tl_rng_normal(rng));
    }
    return values;
}

/* A network with random weights. */
static struct model *network(const struct options *o, struct tl_rng *rng)
{
    size_t sizes[LAYERS_MAX + 2] = {o->features};
    float *weights[LAYERS_MAX + 1], *biases[LAYERS_MAX + 1];
    struct model *model = NULL;
    struct tl_err err = {0};
    for (size_t i = 0; i <= o->layers; i++) {
        sizes[i + 1] = i < o->layers ? o->hidden : 1;
        weights[i] = random_floats(rng, sizes[i] * sizes[i + 1]);
        biases[i] = random_floats(rng, sizes[i + 1]);
    }
    if (model_mlp_import(o->layers + 1, sizes, (const float *const *)weights, (const float *const *)biases, 0.0, 1.0,
                         &model, &err)) {
        (void)fprintf(stderr, "bench_mlp: %s\n", err.text);
        exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    for (size_t i = 0; i <= o->layers; i++) {
        free(weights[i]);
        free(biases[i]);
    }
    return model;
}

/* Seconds of one sgemm of the bound. */
static double peer_seconds(const struct options *o, const float *a, const float *b, float *c)
{
    const int h = (int)o->hidden;
    const int64_t begun = tl_clock_mono_ns();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, PEER_ROWS, h, h, 1.0F, a, h, b, h, 0.0F, c, h);
    return (double)(tl_clock_mono_ns() - begun) * 1e-9;
}

/* One batch size against the bound, in turn; of each the decile that other programs disturbed least. */
static void bench(const struct options *o, const struct model *model, unsigned batch, struct tl_rng *rng)
{
    const size_t calls = (PEER_ROWS + batch - 1) / batch, n = calls * batch;
    uint16_t *rows = must(malloc(n * o->width * sizeof(*rows)));
    double *y = must(malloc(batch * sizeof(*y))), ours[ROUNDS_MAX], peer[ROUNDS_MAX];
    float *a = random_floats(rng, (size_t)PEER_ROWS * o->hidden),
          *b = random_floats(rng, (size_t)o->hidden * o->hidden);
    float *c = must(malloc((size_t)PEER_ROWS * o->hidden * sizeof(*c)));
    struct model_scratch *scratch = NULL;
    char name[64];

    for (size_t i = 0; i < n * o->width; i++) {
        rows[i] = (uint16_t)tl_rng_below(rng, o->features);
    }
    if (model_scratch_new(model, batch, &scratch, NULL)) {
        scratch = must(NULL);
    }
    for (size_t r = 0; r < o->rounds; r++) {
        const double seconds = peer_seconds(o, a, b, c);
        const double dense =
            2.0 * ((double)o->features * o->hidden + (o->layers - 1.0) * o->hidden * o->hidden + o->hidden);
        peer[r] = 2.0 * PEER_ROWS * (double)o->hidden * o->hidden / seconds / dense;
        const int64_t begun = tl_clock_mono_ns();
        for (size_t k = 0; k < calls; k++) {
            const struct model_hot hot = {rows + k * batch * o->width, batch, o->width};
            model_predict(model, scratch, &hot, y);
        }
        ours[r] = (double)n / ((double)(tl_clock_mono_ns() - begun) * 1e-9);
    }
    (void)snprintf(name, sizeof(name), "%u-%ux%u-1 batch %u", o->features, o->hidden, o->layers, batch);
    bench_report(&(struct bench_figure){.bench = "mlp",
                                        .name = name,
                                        .metric = "rate",
                                        .unit = "evaluations/s",
                                        .peer = "sgemm bound",
                                        .value = bench_quantile(ours, o->rounds, 0.9),
                                        .peer_value = bench_quantile(peer, o->rounds, 0.9),
                                        .threads = 1,
                                        .seed = o->seed});
    model_scratch_free(scratch);
    free(rows);
    free(y);
    free(a);
    free(b);
    free(c);
}

int main(int argc, char **argv)
{
    const struct options o = parse(argc, argv);
    struct tl_rng rng;
    model_blas_single_thread();
    tl_rng_init(&rng, o.seed, 0, 0);
    struct model *model = network(&o, &rng);
    for (unsigned i = 0; i < o.n_batches; i++) {
        bench(&o, model, o.batches[i], &rng);
    }
    model_free(model);
    return 0;
}
