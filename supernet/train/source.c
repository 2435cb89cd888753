/* source.c - see source.h. */
#include "supernet/train/source.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM_HOLDOUT = 0x686f, STREAM_TEST = 0x7465, SMALL_SIDE = 96, AHEAD = 2 };

struct train_images {
    const struct img_set *set; /* borrowed */
    struct tl_pool *pool;      /* borrowed */
    struct train_images_plan images;
    struct train_plan plan;
    struct net_family family;
    bool trains;
    uint32_t *deal; /* owned; the training images: held out, trained on, and the rest */
    uint32_t *test; /* owned; the test images, in an order that has all classes in front */
    struct img_batches *plain[TRAIN_PART_COUNT], *training;
    struct img_batch batch; /* of `plain` */
    struct img_prefetch *prefetch;
    uint64_t next;       /* the step that prefetch hands out next */
    unsigned resolution; /* of the plain batch being made */
    size_t n_of[TRAIN_PART_COUNT];
};

/* ---- life ---------------------------------------------------------------------------------------------------- */

/* Every index once, in an order that is the same for every seed. */
static enum tl_rc order(size_t n, uint64_t stream, uint32_t **ret_order, struct tl_err *err)
{
    struct tl_rng rng;
    uint32_t *order = malloc((n + 1) * sizeof *order);
    if (!order) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the order of %zu images", n);
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    tl_rng_init(&rng, 0, stream, 0);
    for (size_t i = n; i > 1; i--) {
        const size_t j = tl_rng_below(&rng, (uint32_t)i);
        const uint32_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
    *ret_order = order;
    return TL_OK;
}

static enum tl_rc deal(struct train_images *images, struct tl_err *err)
{
    const size_t all = img_n(images->set, IMG_TRAIN);
    enum tl_rc rc = order(all, STREAM_HOLDOUT, &images->deal, err);
    rc = rc ? rc : order(img_n(images->set, IMG_TEST), STREAM_TEST, &images->test, err);
    if (rc) {
        return rc;
    }
    const size_t held = (size_t)(images->images.holdout * (double)all), most = images->images.most;
    images->n_of[TRAIN_PART_HELD] = held;
    images->n_of[TRAIN_PART_TRAIN] = most && most < all - held ? most : all - held;
    images->n_of[TRAIN_PART_TEST] = img_n(images->set, IMG_TEST);
    return TL_OK;
}

static unsigned plain_side(void *ctx, uint64_t epoch, uint64_t step)
{
    (void)epoch, (void)step;
    return ((struct train_images *)ctx)->resolution;
}

static unsigned step_side(void *ctx, uint64_t epoch, uint64_t step)
{
    const struct train_images *images = ctx;
    const uint64_t an_epoch = images->n_of[TRAIN_PART_TRAIN] / images->plan.batch;
    return train_resolution(&images->plan, &images->family, epoch * an_epoch + step);
}

static struct img_spec spec_of(struct train_images *images, enum train_part part)
{
    const struct net_family *family = &images->family;
    const uint32_t *lists[TRAIN_PART_COUNT] = {images->deal + images->n_of[TRAIN_PART_HELD], images->deal,
                                               images->test};
    struct img_spec spec = {.split = part == TRAIN_PART_TEST ? IMG_TEST : IMG_TRAIN,
                            .list = lists[part],
                            .n_list = images->n_of[part],
                            .n = TRAIN_PLAIN,
                            .view = IMG_VIEW_WHOLE,
                            .small_side = images->images.whole ? 0 : SMALL_SIDE,
                            .resolution = family->resolutions[family->n_resolutions - 1],
                            .side_of = plain_side,
                            .side_ctx = images};
    memcpy(spec.mean, images->images.mean, sizeof spec.mean);
    memcpy(spec.std, images->images.deviation, sizeof spec.std);
    return spec;
}

static enum tl_rc open_training(struct train_images *images, struct tl_err *err)
{
    const struct train_augment *augment = &images->images.augment;
    struct img_spec spec = spec_of(images, TRAIN_PART_TRAIN);
    spec.seed = images->plan.seed;
    spec.n = images->plan.batch;
    spec.shuffle = true;
    spec.view = IMG_VIEW_PAD_CROP;
    spec.small_side = SMALL_SIDE;
    spec.flip = augment->mirror;
    spec.pad = augment->pad;
    spec.n_ops = augment->ops;
    spec.magnitude = augment->magnitude;
    spec.jitter = augment->jitter;
    spec.cutout = augment->cutout;
    spec.side_of = step_side;
    return img_batches_new(images->set, &spec, NULL, &images->training, err); /* the pool is the training's own */
}

static enum tl_rc open_batches(struct train_images *images, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (int part = 0; rc == TL_OK && part < TRAIN_PART_COUNT; part++) {
        const struct img_spec spec = spec_of(images, (enum train_part)part);
        rc = images->n_of[part] ? img_batches_new(images->set, &spec, images->pool, &images->plain[part], err) : TL_OK;
    }
    rc = rc ? rc : img_batch_init(&images->batch, images->plain[TRAIN_PART_TRAIN], err);
    return rc || !images->trains ? rc : open_training(images, err);
}

enum tl_rc train_images_new(const struct img_set *set, const struct train_images_plan *plan,
                            const struct train_plan *training, const struct net_family *family, struct tl_pool *pool,
                            struct train_images **ret_images, struct tl_err *err)
{
    struct train_images *images = calloc(1, sizeof *images);
    if (!images) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for training images");
    }
    *images =
        (struct train_images){.set = set, .pool = pool, .images = *plan, .family = *family, .trains = training != NULL};
    if (training) {
        images->plan = *training;
    }
    enum tl_rc rc = deal(images, err);
    if (rc == TL_OK && images->trains && images->n_of[TRAIN_PART_TRAIN] < images->plan.batch) {
        rc = tl_fail(err, TL_INVALID, "%zu training images do not fill one batch of %u", images->n_of[TRAIN_PART_TRAIN],
                     images->plan.batch);
    }
    rc = rc ? rc : open_batches(images, err);
    if (rc) {
        train_images_free(images);
        return rc;
    }
    *ret_images = images;
    return TL_OK;
}

void train_images_free(struct train_images *images)
{
    if (!images) {
        return;
    }
    img_prefetch_free(images->prefetch);
    img_batches_free(images->training);
    for (size_t part = 0; part < TRAIN_PART_COUNT; part++) {
        img_batches_free(images->plain[part]);
    }
    img_batch_done(&images->batch);
    free(images->deal);
    free(images->test);
    free(images);
}

/* ---- batches ------------------------------------------------------------------------------------------------- */

static enum tl_rc batch(void *ctx, uint64_t epoch, uint64_t number, struct train_images_batch *ret_batch,
                        struct tl_err *err)
{
    struct train_images *images = ctx;
    const uint64_t step = epoch * img_batches_an_epoch(images->training) + number;
    const struct img_batch *made = NULL;
    if (images->prefetch && images->next != step) {
        img_prefetch_free(images->prefetch);
        images->prefetch = NULL;
    }
    enum tl_rc rc =
        images->prefetch ? TL_OK : img_prefetch_new(images->training, epoch, number, AHEAD, &images->prefetch, err);
    rc = rc ? rc : img_prefetch_next(images->prefetch, &made, err);
    if (rc == TL_OK) {
        images->next = step + 1;
        *ret_batch = (struct train_images_batch){.images = made->x, .labels = made->labels, .n = made->n};
    }
    return rc;
}

static enum tl_rc plain(void *ctx, enum train_part part, size_t number, uint16_t resolution,
                        struct train_images_batch *ret_batch, struct tl_err *err)
{
    struct train_images *images = ctx;
    if (!images->plain[part]) {
        return tl_fail(err, TL_INVALID, "the set has no images of that part");
    }
    images->resolution = resolution;
    const enum tl_rc rc = img_batches_fill(images->plain[part], 0, number, &images->batch, err);
    if (rc == TL_OK) {
        *ret_batch = (struct train_images_batch){
            .images = images->batch.x, .labels = images->batch.labels, .n = images->batch.n};
    }
    return rc;
}

static enum tl_rc no_batch(void *ctx, uint64_t epoch, uint64_t number, struct train_images_batch *ret_batch,
                           struct tl_err *err)
{
    (void)ctx, (void)epoch, (void)number, (void)ret_batch;
    return tl_fail(err, TL_INVALID, "these images were not opened for training");
}

struct train_source train_images_source(struct train_images *images)
{
    struct train_source source = {.ctx = images, .batch = images->trains ? batch : no_batch, .plain = plain};
    memcpy(source.n_of, images->n_of, sizeof source.n_of);
    return source;
}

enum tl_rc train_images_first(const struct train_images *images, size_t n, unsigned side, uint8_t **ret_pixels,
                              size_t *ret_n, struct tl_err *err)
{
    const size_t each = (size_t)side * side * 3,
                 have = n < images->n_of[TRAIN_PART_TRAIN] ? n : images->n_of[TRAIN_PART_TRAIN];
    uint8_t *pixels = have ? malloc(have * each) : NULL;
    enum tl_rc rc = have && !pixels ? tl_fail(err, TL_NO_MEMORY, "no memory for calibration images") : TL_OK;
    for (size_t i = 0; rc == TL_OK && i < have; i++) {
        rc = img_batches_pixels(images->plain[TRAIN_PART_TRAIN], i, side, pixels + i * each, err);
    }
    if (rc) {
        free(pixels);
        return rc;
    }
    *ret_pixels = pixels;
    *ret_n = have;
    return TL_OK;
}
