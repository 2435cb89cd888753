/* distill.c - images out of noise that give sub-networks the statistics that training images gave them.
 *
 * Every iteration takes one of the sub-networks in turn, scales the images to its resolution, and moves them against the
 * gradient of the distance between their statistics and the real ones. Scaling is linear: its gradient is the transpose.
 */
#include "supernet/train/tape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_DISTILL = 0x6469, CHANNELS = 3 };

struct target {
    struct net_pick pick;
    float *stats; /* owned */
};

struct distillation {
    const struct distill_plan *plan;
    const struct net_family *family;
    struct tape *tape;
    struct target *targets;
    size_t side, n; /* pixels; floats of all images */
    float *images;  /* borrowed */
    float *scaled, *dscaled, *dimages, *first, *second, *matrix, *between;
};

/* to (rows of `out`) = matrix (out, in) x from, for `columns` numbers that lie beside one another; transposed: (in, out). */
static void apply(float *restrict to, const float *restrict matrix, const float *restrict from, size_t out, size_t in,
                  size_t columns, bool transposed)
{
    const size_t rows = transposed ? in : out, terms = transposed ? out : in;
    memset(to, 0, rows * columns * sizeof *to);
    for (size_t r = 0; r < rows; r++) {
        for (size_t t = 0; t < terms; t++) {
            const float w = transposed ? matrix[t * in + r] : matrix[r * in + t];
            for (size_t c = 0; w != 0.0F && c < columns; c++) {
                to[r * columns + c] += w * from[t * columns + c];
            }
        }
    }
}

/* The weights by which the room of images scales a side of `in` pixels to `out`: a triangle around each output's centre, as
 * wide as two outputs (going up: two inputs). matrix (out, in). */
static void scale_matrix(float *matrix, size_t out, size_t in)
{
    const double scale = (double)in / (double)out, width = scale > 1.0 ? scale : 1.0;
    for (size_t o = 0; o < out; o++) {
        float sum = 0.0F;
        for (size_t i = 0; i < in; i++) {
            const double off = fabs((double)i + 0.5 - ((double)o + 0.5) * scale) / width;
            sum += matrix[o * in + i] = off < 1.0 ? (float)(1.0 - off) : 0.0F;
        }
        for (size_t i = 0; i < in; i++) {
            matrix[o * in + i] /= sum;
        }
    }
}

/* All images from side `in` to `out`, or the gradient back (transposed). */
static void scale_images(const struct distillation *d, float *to, const float *from, size_t out, bool transposed)
{
    const size_t in = d->side, to_side = transposed ? in : out, from_side = transposed ? out : in;
    for (size_t i = 0; i < d->plan->n_images; i++) {
        const float *image = from + i * from_side * from_side * CHANNELS;
        float *result = to + i * to_side * to_side * CHANNELS;
        apply(d->between, d->matrix, image, out, in, from_side * CHANNELS, transposed);
        for (size_t y = 0; y < to_side; y++) {
            apply(result + y * to_side * CHANNELS, d->matrix, d->between + y * from_side * CHANNELS, out, in, CHANNELS,
                  transposed);
        }
    }
}

/* The sub-networks and the statistics that training images give them. */
static enum tl_rc find_targets(struct distillation *d, struct evaluation *evaluation, size_t n_stats,
                               struct tl_err *err)
{
    struct tl_rng rng;
    enum tl_rc rc = TL_OK;
    tl_rng_init(&rng, d->plan->seed, STREAM_DISTILL, 0);
    for (size_t t = 0; rc == TL_OK && t < d->plan->n_subnets; t++) {
        struct target *target = &d->targets[t];
        const float *stats = NULL;
        target->pick = t == 0   ? supernet_largest(d->family)
                       : t == 1 ? supernet_smallest(d->family)
                                : supernet_random(d->family, &rng);
        target->pick.resolution = d->family->resolutions[t % d->family->n_resolutions];
        rc = evaluation_calibrate(evaluation, &target->pick, EVALUATION_CALIBRATION, &stats, err);
        target->stats = rc ? NULL : malloc((n_stats + 1) * sizeof *stats);
        if (rc == TL_OK && target->stats == NULL) {
            rc = tl_fail(err, TL_NO_MEMORY, "no memory for statistics");
        } else if (rc == TL_OK) {
            memcpy(target->stats, stats, n_stats * sizeof *stats);
        }
        if (d->plan->progress != NULL) {
            d->plan->progress(d->plan->ctx, t, d->plan->n_subnets + d->plan->iterations, (double)NAN);
        }
    }
    return rc;
}

/* One step of Adam; the rate falls to zero along half a cosine. */
static void move(struct distillation *d, size_t iteration)
{
    const double pi = 3.14159265358979323846, done = (double)iteration / (double)d->plan->iterations;
    const double rate = 0.5 * d->plan->rate * (1.0 + cos(pi * done));
    const float b1 = 0.9F, b2 = 0.99F, step = (float)(iteration + 1);
    const float lr = (float)rate, c1 = 1.0F / (1.0F - powf(b1, step)), c2 = 1.0F / (1.0F - powf(b2, step));
    for (size_t i = 0; i < d->n; i++) {
        const float g = d->dimages[i];
        d->first[i] = b1 * d->first[i] + (1.0F - b1) * g;
        d->second[i] = b2 * d->second[i] + (1.0F - b2) * g * g;
        d->images[i] -= lr * d->first[i] * c1 / (sqrtf(d->second[i] * c2) + 1e-12F);
    }
}

static enum tl_rc iterate(struct distillation *d, size_t iteration, struct tl_err *err)
{
    const struct target *target = &d->targets[iteration % d->plan->n_subnets];
    const size_t out = target->pick.resolution;
    const enum tl_rc rc = tape_bind(d->tape, &target->pick, err);
    if (rc) {
        return rc;
    }
    scale_matrix(d->matrix, out, d->side);
    scale_images(d, d->scaled, d->images, out, false);
    tape_forward(d->tape, d->scaled, NULL);
    const double distance = tape_match(d->tape, target->stats, d->dscaled);
    scale_images(d, d->dimages, d->dscaled, out, true);
    move(d, iteration);
    if (!isfinite(distance)) {
        return tl_fail(err, TL_INVALID, "the distance of iteration %zu is not a finite number; a lower rate may help",
                       iteration);
    }
    if (d->plan->progress != NULL) {
        d->plan->progress(d->plan->ctx, d->plan->n_subnets + iteration + 1, d->plan->n_subnets + d->plan->iterations,
                          distance);
    }
    return TL_OK;
}

static enum tl_rc reserve(struct distillation *d, struct tl_err *err)
{
    float **const arrays[] = {&d->scaled, &d->dscaled, &d->dimages, &d->first, &d->second};
    for (size_t i = 0; i < TL_COUNT_OF(arrays); i++) {
        if ((*arrays[i] = calloc(d->n, sizeof(float))) == NULL) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for images");
        }
    }
    d->matrix = calloc(d->side * d->side, sizeof(float));
    d->between = calloc(d->side * d->side * CHANNELS, sizeof(float));
    d->targets = calloc(d->plan->n_subnets, sizeof *d->targets);
    return d->matrix && d->between && d->targets ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for images");
}

static void distillation_done(struct distillation *d)
{
    for (size_t t = 0; d->targets != NULL && t < d->plan->n_subnets; t++) {
        free(d->targets[t].stats);
    }
    float *const arrays[] = {d->scaled, d->dscaled, d->dimages, d->first, d->second, d->matrix, d->between};
    for (size_t i = 0; i < TL_COUNT_OF(arrays); i++) {
        free(arrays[i]);
    }
    free(d->targets);
    tape_free(d->tape);
}

enum tl_rc distill_images(const struct supernet *net, const struct train_source *source,
                          const struct distill_plan *plan, struct tl_pool *pool, float *images, struct tl_err *err)
{
    const struct net_family *family = &net->family;
    const size_t side = family->resolutions[family->n_resolutions - 1];
    struct distillation d = {
        .plan = plan, .family = family, .side = side, .n = plan->n_images * side * side * CHANNELS, .images = images};
    struct evaluation *evaluation = NULL;
    struct tl_rng rng;
    enum tl_rc rc = evaluation_new(net, source, pool, &evaluation, err);
    rc = rc ? rc : reserve(&d, err);
    rc = rc ? rc : find_targets(&d, evaluation, net->n_stats, err);
    evaluation_free(evaluation);
    rc = rc ? rc : tape_new(net, plan->n_images, false, pool, &d.tape, err);
    tl_rng_init(&rng, plan->seed, STREAM_DISTILL, 1);
    for (size_t i = 0; i < d.n; i++) {
        images[i] = 0.5F * (float)tl_rng_normal(&rng);
    }
    for (size_t i = 0; rc == TL_OK && i < plan->iterations; i++) {
        rc = iterate(&d, i, err);
    }
    distillation_done(&d);
    return rc;
}
