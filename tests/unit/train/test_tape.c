/* test_tape.c - the gradient of a sub-network's loss, against central differences. */
#include "supernet/train/loss.h"
#include "supernet/train/tape.h"
#include "unit/train/worlds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two stages with everything that is elastic, squeeze-and-excitation, residuals, and both strides. */
static const struct net_family small = {
    .name = "small",
    .title = "small",
    .source = "test",
    .n_classes = 5,
    .stem_width = 8,
    .stem_stride = 1,
    .stem_act = NET_ACT_HSWISH,
    .first_width = 8,
    .first_act = NET_ACT_HSWISH,
    .n_stages = 2,
    .stages = {{16, 2, NET_ACT_HSWISH, false, 2, 2, {1, 2}}, {24, 1, NET_ACT_HSWISH, true, 2, 2, {1, 2}}},
    .n_kernels = 3,
    .kernels = {3, 5, 7},
    .n_expands = 2,
    .expands = {3, 4},
    .n_choices = 6,
    .choices = {{false, 3, 3}, {false, 3, 4}, {false, 5, 3}, {false, 5, 4}, {false, 7, 3}, {false, 7, 4}},
    .final_width = 40,
    .feature_width = 24,
    .head_act = NET_ACT_HSWISH,
    .n_resolutions = 2,
    .resolutions = {8, 12},
    .bn_eps = 1e-5F,
};

enum { BATCH = 4, IMAGE_MAX = 12 * 12 * 3 };

struct world {
    const struct net_family *family;
    struct supernet *net;
    struct tape *tape;
    float images[BATCH * IMAGE_MAX], drop[BATCH * 64];
    int32_t labels[BATCH];
    float *grads;
};

static void world_make(struct world *world, const struct net_family *family, struct tl_pool *pool)
{
    struct tl_err err = {0};
    struct tl_rng rng;
    world->family = family;
    must(supernet_new(family, 3, &world->net, &err), &err);
    must(tape_new(world->net, BATCH, false, pool, &world->tape, &err), &err);
    tl_rng_init(&rng, 5, 0, 0);
    for (size_t i = 0; i < TL_COUNT_OF(world->images); i++) {
        world->images[i] = (float)tl_rng_normal(&rng);
    }
    for (size_t i = 0; i < TL_COUNT_OF(world->drop); i++) {
        world->drop[i] = tl_rng_unit(&rng) < 0.2 ? 0.0F : 1.25F;
    }
    for (size_t n = 0; n < BATCH; n++) {
        world->labels[n] = (int32_t)(n % family->n_classes);
    }
    for (size_t i = 0; i < world->net->n_params; i++) { /* no parameter at a value where others do not matter */
        world->net->params[i] += 0.05F * (float)tl_rng_normal(&rng);
    }
    world->grads = calloc(world->net->n_params, sizeof(float));
    assert_non_null(world->grads);
}

static void world_done(struct world *world)
{
    free(world->grads);
    tape_free(world->tape);
    supernet_free(world->net);
}

static double loss(struct world *world)
{
    size_t right = 0;
    const struct loss_target target = {.labels = world->labels, .label_weight = 1.0F, .smoothing = 0.1F};
    tape_forward(world->tape, world->images, world->drop);
    return loss_gradient(world->tape->dlogits, world->tape->logits, &target, BATCH, world->family->n_classes, &right);
}

/* The slope of the loss along a random direction of n parameters, by the gradient and by differences. */
static void check_tensor(struct world *world, size_t at, size_t n, const char *what, size_t op)
{
    enum { MOST = 64 * 1024 };
    static float kept[MOST], direction[MOST];
    struct tl_rng rng;
    double slope = 0.0, size = 0.0, scale = 0.0;
    if (at == SUPERNET_NONE || n == 0) {
        return;
    }
    assert_true(n <= MOST);
    tl_rng_init(&rng, 7, op, at);
    memcpy(kept, world->net->params + at, n * sizeof *kept);
    for (size_t i = 0; i < n; i++) {
        direction[i] = (float)tl_rng_normal(&rng);
        slope += (double)world->grads[at + i] * (double)direction[i];
        size += (double)direction[i] * (double)direction[i];
        scale += (double)world->grads[at + i] * (double)world->grads[at + i];
    }
    double best = INFINITY;
    for (double h = 0.1; h > 1e-4 && best > 0.02; h *= 0.4) { /* small enough for kinks, large enough for rounding */
        double side[2];
        for (int s = 0; s < 2; s++) {
            for (size_t i = 0; i < n; i++) {
                world->net->params[at + i] = kept[i] + (s ? -1.0F : 1.0F) * (float)(h / sqrt(size)) * direction[i];
            }
            side[s] = loss(world);
        }
        const double difference = (side[0] - side[1]) / (2 * h) * sqrt(size);
        const double off = fabs(difference - slope) / (sqrt(scale) + 2e-4);
        best = off < best ? off : best;
    }
    memcpy(world->net->params + at, kept, n * sizeof *kept);
    if (best > 0.02) {
        fail_msg("operator %zu, %s: slope %g is off by %g of the gradient's norm %g", op, what, slope, best,
                 sqrt(scale));
    }
}

static void check_pick(struct world *world, const struct net_pick *pick)
{
    struct tl_err err = {0};
    must(tape_bind(world->tape, pick, &err), &err);
    memset(world->grads, 0, world->net->n_params * sizeof(float));
    (void)loss(world);
    tape_backward(world->tape, world->drop, world->grads);
    for (size_t i = 0; i < world->net->largest.n_ops; i++) {
        for (unsigned l = 0; l < NET_LAYERS_MAX; l++) {
            const struct supernet_layer *layer = &world->net->layers[i][l];
            check_tensor(world, layer->w, layer->co * layer->inputs, "weights", i);
            check_tensor(world, layer->bias, layer->co, "bias", i);
            check_tensor(world, layer->gamma, layer->co, "gamma", i);
            check_tensor(world, layer->beta, layer->co, "beta", i);
            for (size_t t = 0; layer->co > 0 && t + 1 < world->family->n_kernels; t++) {
                const size_t taps = (size_t)world->family->kernels[t] * world->family->kernels[t];
                check_tensor(world, layer->transform[t], taps * taps, "matrix", i);
            }
        }
    }
}

/* The largest network, the smallest, and some between. */
static void check_family(const struct net_family *family)
{
    struct world world;
    struct tl_rng rng;
    world_make(&world, family, NULL);
    tl_rng_init(&rng, 11, 0, 0);
    for (int i = 0; i < 6; i++) {
        const struct net_pick pick = i == 0   ? supernet_largest(family)
                                     : i == 1 ? supernet_smallest(family)
                                              : supernet_random(family, &rng);
        check_pick(&world, &pick);
    }
    world_done(&world);
}

static void the_gradient_is_the_slope_of_the_loss(void **state)
{
    (void)state;
    check_family(&small);
}

/* Residuals projected with and without an average before, over maps of odd sides; no activation with a kink, of which
 * differences know nothing. */
static void so_is_that_of_bottlenecks(void **state)
{
    (void)state;
    static const char *const stages[] = {
        "[{\"width\": [16, 24], \"stride\": 2, \"act\": \"hswish\"},"
        " {\"width\": [24, 40], \"stride\": 2, \"act\": \"hswish\"}]",
        "[{\"width\": [32, 48], \"stride\": 1, \"act\": \"hswish\"},"
        " {\"width\": [24, 40], \"stride\": 2, \"act\": \"hswish\"}]",
    };
    for (size_t i = 0; i < TL_COUNT_OF(stages); i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, RESNET("%s", "[3]", "%s"), "hswish", stages[i]);
        const struct net_family family = family_of(text);
        check_family(&family);
    }
}

/* Statistics that the images are not at: those of other images. */
static void other_statistics(struct world *world, float *ret_stats)
{
    struct tl_rng rng;
    float images[BATCH * IMAGE_MAX];
    tl_rng_init(&rng, 21, 0, 0);
    for (size_t i = 0; i < TL_COUNT_OF(images); i++) {
        images[i] = 0.3F + 0.7F * (float)tl_rng_normal(&rng);
    }
    tape_forward(world->tape, images, NULL);
    tape_track(world->tape, 1.0F, false, ret_stats);
}

static void images_follow_the_slope_to_other_statistics(void **state)
{
    (void)state;
    struct tl_err err = {0};
    struct world world;
    static float dimages[BATCH * IMAGE_MAX], kept[BATCH * IMAGE_MAX], direction[BATCH * IMAGE_MAX];
    const struct net_pick pick = supernet_largest(&small);
    struct tl_rng rng;
    double slope = 0.0, size = 0.0, side[2];
    world_make(&world, &small, NULL);
    float *stats = calloc(world.net->n_stats + 1, sizeof *stats);
    assert_non_null(stats);
    must(tape_bind(world.tape, &pick, &err), &err);
    other_statistics(&world, stats);
    tape_forward(world.tape, world.images, NULL);
    assert_true(tape_match(world.tape, stats, dimages) > 0.01);
    tl_rng_init(&rng, 22, 0, 0);
    for (size_t i = 0; i < TL_COUNT_OF(direction); i++) {
        direction[i] = dimages[i] + 0.001F * (float)tl_rng_normal(&rng);
        slope += (double)direction[i] * (double)dimages[i];
        size += (double)direction[i] * (double)direction[i];
    }
    memcpy(kept, world.images, sizeof kept);
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < TL_COUNT_OF(direction); i++) {
            world.images[i] = kept[i] + (s ? -1.0F : 1.0F) * (float)(0.01 / sqrt(size)) * direction[i];
        }
        tape_forward(world.tape, world.images, NULL);
        side[s] = tape_match(world.tape, stats, dimages);
    }
    const double difference = (side[0] - side[1]) / 0.02 * sqrt(size);
    assert_true(fabs(difference - slope) < 0.03 * fabs(slope));
    free(stats);
    world_done(&world);
}

static void expect_the_same_bits(const struct net_family *family, struct tl_pool *pool)
{
    struct tl_err err = {0};
    struct world one, three;
    const struct net_pick pick = supernet_largest(family);
    world_make(&one, family, NULL);
    world_make(&three, family, pool);
    struct world *worlds[] = {&one, &three};
    for (size_t w = 0; w < 2; w++) {
        must(tape_bind(worlds[w]->tape, &pick, &err), &err);
        (void)loss(worlds[w]);
        tape_backward(worlds[w]->tape, worlds[w]->drop, worlds[w]->grads);
    }
    assert_memory_equal(one.tape->logits, three.tape->logits, BATCH * family->n_classes * sizeof(float));
    assert_memory_equal(one.grads, three.grads, one.net->n_params * sizeof(float));
    world_done(&one);
    world_done(&three);
}

static void three_threads_give_the_same_bits(void **state)
{
    (void)state;
    struct tl_err err = {0};
    struct tl_pool *pool = NULL;
    const struct net_family bottlenecks = resnet_family();
    must(tl_pool_new(&pool, 3, &err), &err);
    expect_the_same_bits(&small, pool);
    expect_the_same_bits(&bottlenecks, pool);
    tl_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gradient_is_the_slope_of_the_loss),
        cmocka_unit_test(so_is_that_of_bottlenecks),
        cmocka_unit_test(images_follow_the_slope_to_other_statistics),
        cmocka_unit_test(three_threads_give_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
