/* worlds.h - a family and images small enough to train in a test. */
#ifndef TAILOR_TESTS_TRAIN_WORLDS_H
#define TAILOR_TESTS_TRAIN_WORLDS_H

#include "supernet/train/train.h"

#include <cmocka.h>
#include <string.h>

static const char SMALL_FAMILY[] =
    "{\"name\": \"small\", \"title\": \"small\", \"source\": \"test\", \"classes\": 4,"
    " \"stem\": {\"width\": 8, \"stride\": 1, \"act\": \"hswish\"}, \"first\": {\"width\": 8, \"act\": \"relu\"},"
    " \"stages\": [{\"width\": 8, \"stride\": 2, \"act\": \"relu\", \"slots\": 2},"
    "              {\"width\": 16, \"stride\": 2, \"act\": \"hswish\", \"se\": true, \"slots\": 2}],"
    " \"kernels\": [3, 5], \"expands\": [2, 3], \"depths\": [1, 2],"
    " \"head\": {\"final\": 32, \"act\": \"hswish\"}, \"bn_eps\": 1e-5, \"resolutions\": [8, 12]}";

static inline void must(enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        fail_msg("%s", err->text);
    }
}

static inline struct net_family small_family(void)
{
    struct net_family family;
    struct tl_err err = {0};
    must(net_family_decode(SMALL_FAMILY, sizeof SMALL_FAMILY - 1, &family, &err), &err);
    return family;
}

/* Images whose class is the direction of a wave, with noise: learnable in a few steps. */
enum { WORLD_CLASSES = 4, WORLD_SIDE_MAX = 12, WORLD_BATCH_MAX = 200, WORLD_TRAIN = 512, WORLD_HELD = 200 };

struct small_world {
    float images[WORLD_BATCH_MAX * WORLD_SIDE_MAX * WORLD_SIDE_MAX * 3];
    int32_t labels[WORLD_BATCH_MAX];
    size_t batch;
    float poison; /* added to the images: NAN ruins a training */
    uint64_t poison_from;
    uint64_t calls;
};

static inline void small_image(uint64_t number, size_t side, float *to, int32_t *label)
{
    struct tl_rng rng;
    tl_rng_init(&rng, 99, number, 0);
    *label = (int32_t)(number % WORLD_CLASSES);
    const int dy = (int)(*label / 2), dx = (int)(*label % 2);
    for (size_t y = 0; y < side; y++) {
        for (size_t x = 0; x < side; x++) {
            const size_t phase = (size_t)(dy ? (int)y + (dx ? (int)x : 0) : dx ? (int)x : (int)(2 * side + x - y));
            for (size_t c = 0; c < 3; c++) {
                to[(y * side + x) * 3 + c] = (phase % 4 < 2 ? 1.0F : -1.0F) + 0.3F * (float)tl_rng_normal(&rng);
            }
        }
    }
}

static inline enum tl_rc small_batch(void *ctx, uint64_t epoch, uint64_t batch, uint16_t resolution,
                                     const float **ret_images, const int32_t **ret_labels, struct tl_err *err)
{
    struct small_world *world = ctx;
    (void)err;
    for (size_t i = 0; i < world->batch; i++) {
        float *to = world->images + i * resolution * resolution * 3;
        small_image((epoch * 7 + batch * world->batch + i) % WORLD_TRAIN, resolution, to, &world->labels[i]);
    }
    if (world->calls++ >= world->poison_from) {
        world->images[0] += world->poison;
    }
    *ret_images = world->images;
    *ret_labels = world->labels;
    return TL_OK;
}

static inline enum tl_rc small_plain(void *ctx, enum train_part part, size_t from, size_t n, uint16_t resolution,
                                     float *images, int32_t *labels, struct tl_err *err)
{
    (void)ctx, (void)err;
    for (size_t i = 0; i < n; i++) {
        const size_t number = from + i + (part == TRAIN_PART_TRAIN ? 0 : 100000);
        small_image(number, resolution, images + i * resolution * resolution * 3, &labels[i]);
    }
    return TL_OK;
}

static inline struct train_source small_source(struct small_world *world, size_t batch)
{
    *world = (struct small_world){.batch = batch, .poison_from = UINT64_MAX};
    return (struct train_source){.ctx = world,
                                 .n_train = WORLD_TRAIN,
                                 .n_held = WORLD_HELD,
                                 .batch = small_batch,
                                 .plain = small_plain};
}

#endif
