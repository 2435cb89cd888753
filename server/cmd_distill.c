/* cmd_distill.c - `tailor distill`: calibration images that a supernet makes up, so that it can be given away without its
 * training images.
 */
#include "server/cli.h"
#include "server/command.h"
#include "server/supernet_use.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *supernet, *data, *output;
    int64_t images, subnets, iterations, seed, threads, check;
    double rate;
};

enum option { SUPERNET, DATA, OUTPUT, RATE, IMAGES, SUBNETS, ITERATIONS, SEED, THREADS, CHECK };

static const struct argument KNOWN[] = {
    [SUPERNET] = {"supernet", false},     [DATA] = {"data", false},
    [OUTPUT] = {"output", false},         [RATE] = {"rate", false},
    [IMAGES] = {"images", false},         [SUBNETS] = {"subnets", false},
    [ITERATIONS] = {"iterations", false}, [SEED] = {"seed", false},
    [THREADS] = {"threads", false},       [CHECK] = {"check", false},
};

static enum tl_rc options_parse(int argc, char **argv, struct options *options, struct tl_err *err)
{
    const char *values[TL_COUNT_OF(KNOWN)];
    enum tl_rc rc = arguments_values(argc, argv, KNOWN, TL_COUNT_OF(KNOWN), values, err);
    if (rc) {
        return rc;
    }
    if (!values[SUPERNET] || !values[DATA] || !values[OUTPUT]) {
        return tl_fail(err, TL_INVALID, "give --supernet, --data and --output");
    }
    *options = (struct options){.supernet = values[SUPERNET],
                                .data = values[DATA],
                                .output = values[OUTPUT],
                                .images = 100,
                                .subnets = 24,
                                .iterations = 1200,
                                .seed = 1,
                                .threads = tl_cpu_count(),
                                .check = 8,
                                .rate = 0.05};
    (void)((rc = argument_real("rate", values[RATE], 1e-6, 10.0, &options->rate, err)) ||
           (rc = argument_int("images", values[IMAGES], 2, 512, &options->images, err)) ||
           (rc = argument_int("subnets", values[SUBNETS], 2, 256, &options->subnets, err)) ||
           (rc = argument_int("iterations", values[ITERATIONS], 1, 1000000, &options->iterations, err)) ||
           (rc = argument_int("seed", values[SEED], 0, INT64_MAX, &options->seed, err)) ||
           (rc = argument_int("threads", values[THREADS], 1, 64, &options->threads, err)) ||
           (rc = argument_int("check", values[CHECK], 0, 1000, &options->check, err)));
    return rc;
}

static void show(void *ctx, size_t done, size_t all, double distance)
{
    char text[40] = "statistics of sub-networks";
    if (isfinite(distance)) {
        (void)snprintf(text, sizeof text, "distance %.5f", distance);
    }
    cli_ticker_show(ctx, "distilling", text, (double)done, (double)all, "steps", (double)NAN);
}

/* Normalised floats to bytes. */
static void to_bytes(uint8_t *to, const float *from, size_t n, const struct supernet_facts *facts)
{
    for (size_t i = 0; i < n; i++) {
        const float v = 255.0F * (from[i] * facts->deviation[i % 3] + facts->mean[i % 3]);
        to[i] = (uint8_t)lroundf(v < 0.0F ? 0.0F : v > 255.0F ? 255.0F : v);
    }
}

/* The images into use->facts. */
static enum tl_rc distill(struct supernet_use *use, const struct options *options, struct tl_err *err)
{
    struct cli_ticker ticker = {0};
    const struct net_family *family = &use->net->family;
    const size_t side = family->resolutions[family->n_resolutions - 1];
    const size_t n = (size_t)options->images * side * side * 3;
    const struct distill_plan plan = {.n_images = (size_t)options->images,
                                      .n_subnets = (size_t)options->subnets,
                                      .iterations = (size_t)options->iterations,
                                      .rate = options->rate,
                                      .seed = (uint64_t)options->seed,
                                      .progress = show,
                                      .ctx = &ticker};
    float *images = malloc(n * sizeof *images);
    uint8_t *bytes = malloc(n);
    enum tl_rc rc = images && bytes ? distill_images(use->net, &use->source, &plan, use->pool, images, err)
                                    : tl_fail(err, TL_NO_MEMORY, "no memory for images");
    cli_ticker_done(&ticker);
    if (rc == TL_OK) {
        to_bytes(bytes, images, n, &use->facts);
        free(tl_unconst(use->facts.images));
        use->facts.images = bytes;
        use->facts.n_images = (size_t)options->images;
        use->facts.side = side;
        bytes = NULL;
    }
    free(images);
    free(bytes);
    return rc;
}

/* The same sub-networks calibrated on training images and on the made-up ones, measured on what was held out, or else on the
 * test images. */
static enum tl_rc check(struct supernet_use *use, const struct options *options, enum train_part part,
                        struct tl_err *err)
{
    struct supernet_use dreamt_use = {.pool = use->pool, .net = use->net, .facts = use->facts};
    struct evaluation *made_up = NULL;
    double sums[2] = {0}, worst = 0.0;
    enum tl_rc rc = supernet_use_kept(&dreamt_use, err);
    rc = rc ? rc : evaluation_new(use->net, &dreamt_use.source, use->pool, &made_up, err);
    for (int64_t i = 0; rc == TL_OK && i < options->check; i++) {
        struct tl_rng rng;
        const float *real = NULL, *dreamt = NULL;
        double accuracy[2] = {0};
        tl_rng_init(&rng, (uint64_t)options->seed, 0x6368, (uint64_t)i);
        const struct net_pick pick = supernet_random(&use->net->family, &rng);
        rc = evaluation_calibrate(use->evaluation, &pick, EVALUATION_CALIBRATION, &real, err);
        rc = rc ? rc : evaluation_accuracy(use->evaluation, &pick, real, part, 0, &accuracy[0], err);
        rc = rc ? rc : evaluation_calibrate(made_up, &pick, use->facts.n_images, &dreamt, err);
        rc = rc ? rc : evaluation_accuracy(use->evaluation, &pick, dreamt, part, 0, &accuracy[1], err);
        sums[0] += accuracy[0];
        sums[1] += accuracy[1];
        worst = fmax(worst, accuracy[0] - accuracy[1]);
    }
    if (rc == TL_OK && options->check > 0) {
        const double n = (double)options->check / 100.0;
        printf("%lld random sub-networks on %s images: %.2f points calibrated on training images, %.2f on the made-up "
               "ones; the worst loses %.2f\n",
               (long long)options->check, part == TRAIN_PART_HELD ? "held-out" : "test", sums[0] / n, sums[1] / n,
               100.0 * worst);
    }
    evaluation_free(made_up);
    train_images_free(dreamt_use.images);
    img_close(dreamt_use.set);
    return rc;
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct options options;
    struct supernet_use use;
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    enum tl_rc rc = options_parse(argc, argv, &options, err);
    if (rc || (rc = supernet_use_open(&use, options.supernet, options.data, (unsigned)options.threads, err))) {
        return rc;
    }
    /* told by the images in the file, so before others take their place */
    const enum train_part part =
        supernet_use_held_out(&use, options.data, NULL) == TL_OK ? TRAIN_PART_HELD : TRAIN_PART_TEST;
    rc = distill(&use, &options, err);
    rc = rc ? rc : check(&use, &options, part, err);
    rc = rc ? rc : supernet_encode(use.net, &use.facts, NULL, true, &bytes, err);
    rc = rc ? rc : tl_file_write(options.output, bytes.data, bytes.len, err);
    supernet_use_done(&use);
    if (rc == TL_OK) {
        printf("%s: %zu bytes\n", options.output, bytes.len);
    }
    return rc;
}

const struct command command_distill = {
    .name = "distill",
    .summary = "let a supernet make up its own calibration images, to give it away without its data",
    .help =
        "usage: tailor distill --supernet FILE --data IMAGES --output FILE [OPTIONS]\n"
        "\n"
        "A sub-network cut from a supernet needs its batch norm calibrated, and that takes images. This makes some up:\n"
        "noise that is led to where it gives sub-networks the statistics that the training images give them. The output\n"
        "is the supernet with these images in place of any it had, and what they are worth is printed.\n"
        "\n"
        "  --images N       (100)\n"
        "  --subnets N      sub-networks whose statistics are matched (24)\n"
        "  --iterations N   (1200)\n"
        "  --rate X         of Adam (0.05)\n"
        "  --check N        random sub-networks to measure with both (8)\n"
        "  --seed N         (1)\n"
        "  --threads N      (as many as there are processors); the result does not depend on it\n",
    .run = run,
};
