/* bench_images.c - images a second that one thread delivers as training batches, and what decoding a set costs.
 *
 *     bench_images [--images N] [--batch N] [--rounds N] [--seed N] [PATH [SIDE]]
 *
 * Without PATH: CIFAR-10 of the public data. SIDE is what the set is cached at, 32 unless said; 0: images are decoded
 * from their files for every batch. A figure is the median round of N images; it stands beside the plain batches of
 * the same set, which no augmentation can be faster than.
 */
#include "supernet/train/data/images.h"
#include "tests/bench/bench.h"

#include <getopt.h>
#include <string.h>

enum { ROUNDS_MAX = 100 };

struct options {
    size_t images, batch;
    unsigned rounds, side;
    unsigned long long seed;
    const char *path;
};

static _Noreturn void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "bench_images: %s: %s\n", what, detail);
    exit(2); /* NOLINT(concurrency-mt-unsafe): no thread of the pool exits */
}

static double seconds_since(int64_t since_ns)
{
    return (double)(tl_clock_mono_ns() - since_ns) * 1e-9;
}

/* Images a second of one way to make batches. */
static double rate_of(const struct img_set *set, const struct img_spec *spec, const struct options *options)
{
    struct img_batches *batches = NULL;
    struct img_batch batch = {0};
    struct tl_err err = {0};
    double rates[ROUNDS_MAX];
    if (img_batches_new(set, spec, NULL, &batches, &err) || img_batch_init(&batch, batches, &err)) {
        die(options->path, err.text);
    }
    const size_t an_epoch = img_batches_an_epoch(batches);
    for (unsigned round = 0; round < options->rounds; round++) {
        const int64_t start_ns = tl_clock_mono_ns();
        size_t n = 0;
        for (uint64_t step = 0; n < options->images; step++, n += batch.n) {
            if (img_batches_fill(batches, round + step / an_epoch, step % an_epoch, &batch, &err)) {
                die(options->path, err.text);
            }
        }
        rates[round] = (double)n / seconds_since(start_ns);
    }
    img_batch_done(&batch);
    img_batches_free(batches);
    return bench_quantile(rates, options->rounds, 0.5);
}

static void report_batches(const struct img_set *set, unsigned side, const struct options *options)
{
    const unsigned less = side * 3 / 4;
    const struct {
        const char *name;
        struct img_spec spec;
    } cases[] = {
        {"plain", {.view = IMG_VIEW_WHOLE, .resolution = side}},
        {"flip, crop", {.view = IMG_VIEW_PAD_CROP, .flip = true, .pad = 4, .resolution = side}},
        {"flip, crop, 3/4 size", {.view = IMG_VIEW_PAD_CROP, .flip = true, .pad = 4, .resolution = less}},
        {"flip, crop, 2 operations, cutout",
         {.view = IMG_VIEW_PAD_CROP,
          .flip = true,
          .pad = 4,
          .n_ops = 2,
          .magnitude = 0.3,
          .cutout = 8,
          .resolution = side}},
        {"the same, 3/4 size",
         {.view = IMG_VIEW_PAD_CROP,
          .flip = true,
          .pad = 4,
          .n_ops = 2,
          .magnitude = 0.3,
          .cutout = 8,
          .resolution = less}},
        {"resized crop, flip, jitter",
         {.view = IMG_VIEW_RESIZED_CROP, .flip = true, .jitter = 0.4, .resolution = side}},
    };
    double plain = 0;
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct img_spec spec = cases[i].spec;
        spec.n = options->batch;
        spec.seed = options->seed;
        spec.shuffle = true;
        for (size_t c = 0; c < 3; c++) {
            spec.mean[c] = 0.5F;
            spec.std[c] = 0.25F;
        }
        const double rate = rate_of(set, &spec, options);
        plain = i ? plain : rate;
        bench_report(&(struct bench_figure){"images", cases[i].name, "delivered", "images/s", i ? "plain" : NULL, rate,
                                            plain, 1, options->seed});
    }
}

static void run(const struct options *options)
{
    struct img_set *set = NULL;
    struct tl_err err = {0};
    int64_t start_ns = tl_clock_mono_ns();
    if (img_open(options->path, NULL, &set, &err)) {
        die(options->path, err.text);
    }
    bench_report(&(struct bench_figure){"images", "opened", "time", "s", NULL, seconds_since(start_ns), 0, 1, 0});
    if (options->side) {
        const double n = (double)(img_n(set, IMG_TRAIN) + img_n(set, IMG_TEST));
        start_ns = tl_clock_mono_ns();
        if (img_cache(set, options->side, 0, NULL, NULL, NULL, &err)) {
            die(options->path, err.text);
        }
        bench_report(&(struct bench_figure){"images", "decoded into memory", "rate", "images/s", NULL,
                                            n / seconds_since(start_ns), 0, 1, 0});
    }
    report_batches(set, options->side ? options->side : 128, options);
    img_close(set);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"images", required_argument, NULL, 'i'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {"seed", required_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    const char *root = getenv("TAILOR_DATA"); /* NOLINT(concurrency-mt-unsafe): one thread yet */
    struct options options = {.images = 50000, .batch = 128, .rounds = 3, .side = 32, .seed = 1};
    char path[1024];
    int option = 0;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe): one thread */
        const unsigned long long value = optarg ? strtoull(optarg, NULL, 10) : 0;
        if (option == '?' || value == 0) {
            die("usage", "bench_images [--images N] [--batch N] [--rounds N] [--seed N] [PATH [SIDE]]");
        }
        options.images = option == 'i' ? (size_t)value : options.images;
        options.batch = option == 'b' ? (size_t)value : options.batch;
        options.rounds = option == 'r' ? (unsigned)(value < ROUNDS_MAX ? value : ROUNDS_MAX) : options.rounds;
        options.seed = option == 's' ? value : options.seed;
    }
    (void)snprintf(path, sizeof path, "%.900s/cifar10/cifar10-jpeg.tar.gz", root ? root : "../shared/data");
    options.path = optind < argc ? argv[optind] : path;
    options.side = optind + 1 < argc ? (unsigned)strtoul(argv[optind + 1], NULL, 10) : options.side;
    run(&options);
    return 0;
}
