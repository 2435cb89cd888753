/* worlds.h - families and images small enough to train in a test. */
#ifndef TAILOR_TESTS_TRAIN_WORLDS_H
#define TAILOR_TESTS_TRAIN_WORLDS_H

#include "supernet/train/train.h"

#include <cmocka.h>
#include <string.h>

static const char SMALL_FAMILY[] =
    "{\"name\": \"small\", \"title\": \"small\", \"source\": \"test\", \"classes\": 4,"
    " \"stem\": {\"width\": 8, \"stride\": 1, \"act\": \"hswish\"}, \"first\": {\"width\": 8, \"act\": \"relu\"},"
    " \"stages\": [{\"width\": 8, \"stride\": 2, \"act\": \"relu\"},"
    "              {\"width\": 16, \"stride\": 2, \"act\": \"hswish\", \"se\": true}],"
    " \"kernels\": [3, 5], \"expands\": [2, 3], \"depths\": [1, 2],"
    " \"head\": {\"final\": 32, \"act\": \"hswish\"}, \"bn_eps\": 1e-5, \"resolutions\": [8, 12]}";

/* ResNets with all that is elastic; stride of the first stage. */
#define STAGES(stride)                                                                                                 \
    "[{\"width\": [16, 24], \"stride\": " stride ", \"act\": \"relu\"}, "                                              \
    "{\"width\": [24, 40], \"stride\": 2, \"act\": \"relu\"}]"
#define RESNET(act, kernels, stages)                                                                                              \
    "{\"name\": \"little\", \"title\": \"\", \"source\": \"test\", \"classes\": 4, \"bn_eps\": 1e-5, \"resolutions\": [9, 12],"   \
    " \"block\": \"bottleneck\", \"multipliers\": [0.5, 1], \"stem\": {\"mid\": [8, 12], \"depths\": [0, 1], \"width\": [8, 16]," \
    " \"stride\": 1, \"act\": \"" act "\", \"pool\": true}, \"kernels\": " kernels                                                \
    ", \"expands\": [0.25, 0.5], \"depths\": [1, 2],"                                                                             \
    " \"stages\": " stages ", \"head\": {\"act\": \"relu\"}}"

static inline void must(enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        fail_msg("%s", err->text);
    }
}

static inline struct net_family family_of(const char *text)
{
    struct net_family family;
    struct tl_err err = {0};
    must(net_family_parse(text, strlen(text), &family, &err), &err);
    return family;
}

static inline struct net_family small_family(void)
{
    return family_of(SMALL_FAMILY);
}

static inline struct net_family resnet_family(void)
{
    return family_of(RESNET("relu", "[3]", STAGES("2")));
}

/* Images whose class is the direction of a wave, with noise: learnable in a few steps. */
enum { WORLD_CLASSES = 4, WORLD_SIDE_MAX = 12, WORLD_BATCH_MAX = 200, WORLD_TRAIN = 512, WORLD_HELD = 200 };

struct small_world {
    float images[WORLD_BATCH_MAX * WORLD_SIDE_MAX * WORLD_SIDE_MAX * 3];
    int32_t labels[WORLD_BATCH_MAX];
    size_t batch;
    struct train_plan plan;
    struct net_family family;
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

static inline enum tl_rc small_batch(void *ctx, uint64_t epoch, uint64_t number, struct train_images_batch *ret_batch,
                                     struct tl_err *err)
{
    struct small_world *world = ctx;
    const unsigned side = train_resolution(&world->plan, &world->family, epoch * (WORLD_TRAIN / world->batch) + number);
    (void)err;
    for (size_t i = 0; i < world->batch; i++) {
        float *to = world->images + i * side * side * 3;
        small_image((epoch * 7 + number * world->batch + i) % WORLD_TRAIN, side, to, &world->labels[i]);
    }
    if (world->calls++ >= world->poison_from) {
        world->images[0] += world->poison;
    }
    *ret_batch = (struct train_images_batch){.images = world->images, .labels = world->labels, .n = world->batch};
    return TL_OK;
}

static inline enum tl_rc small_plain(void *ctx, enum train_part part, size_t number, uint16_t resolution,
                                     struct train_images_batch *ret_batch, struct tl_err *err)
{
    struct small_world *world = ctx;
    (void)err;
    for (size_t i = 0; i < TRAIN_PLAIN; i++) {
        const size_t image = number * TRAIN_PLAIN + i + (part == TRAIN_PART_TRAIN ? 0 : 100000);
        small_image(image, resolution, world->images + i * resolution * resolution * 3, &world->labels[i]);
    }
    *ret_batch = (struct train_images_batch){.images = world->images, .labels = world->labels, .n = TRAIN_PLAIN};
    return TL_OK;
}

static inline struct train_source small_source(struct small_world *world, const struct train_plan *plan)
{
    *world =
        (struct small_world){.batch = plan->batch, .plan = *plan, .family = small_family(), .poison_from = UINT64_MAX};
    return (struct train_source){
        .ctx = world, .n_of = {WORLD_TRAIN, WORLD_HELD, 0}, .batch = small_batch, .plain = small_plain};
}

#endif
