/* source.c - see source.h. Everything an image goes through is drawn from (seed, epoch, its number), so that neither the
 * batch it comes in nor the thread that makes it matters. */
#include "supernet/train/source.h"

#include "supernet/train/codec_supernet.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_HOLDOUT = 0x686f, STREAM_ORDER = 0x6f72, STREAM_AUGMENT = 0x6175, THREADS_MAX = 64 };

struct train_images {
    const struct img_set *set; /* borrowed */
    struct tl_pool *pool;      /* borrowed */
    struct train_images_plan plan;
    uint32_t *held, *train, *order; /* owned; numbers of training images; `order` is an epoch's */
    size_t n_held, n_train;
    uint64_t epoch; /* of `order`; UINT64_MAX: none */
    float *images;  /* owned; one batch */
    size_t images_size;
    int32_t *labels; /* owned */
    struct img_scratch scratch[THREADS_MAX];
};

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void shuffle(uint32_t *list, size_t n, struct tl_rng *rng)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = tl_rng_below(rng, (uint32_t)i);
        const uint32_t kept = list[i - 1];
        list[i - 1] = list[j];
        list[j] = kept;
    }
}

static enum tl_rc deal(struct train_images *images, struct tl_err *err)
{
    const size_t all = img_facts(images->set).n[IMG_TRAIN];
    uint32_t *list = malloc((all + 1) * sizeof *list);
    struct tl_rng rng;
    if (!list) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the order of %zu images", all);
    }
    for (size_t i = 0; i < all; i++) {
        list[i] = (uint32_t)i;
    }
    tl_rng_init(&rng, 0, STREAM_HOLDOUT, 0);
    shuffle(list, all, &rng);
    images->held = list;
    images->n_held = (size_t)(images->plan.holdout * (double)all);
    images->train = list + images->n_held;
    images->n_train = all - images->n_held;
    if (images->plan.most && images->plan.most < images->n_train) {
        images->n_train = images->plan.most;
    }
    images->order = malloc((images->n_train + 1) * sizeof *images->order);
    images->labels = malloc(images->plan.batch * sizeof *images->labels);
    return images->order && images->labels ? TL_OK
                                           : tl_fail(err, TL_NO_MEMORY, "no memory for the order of %zu images", all);
}

enum tl_rc train_images_new(const struct img_set *set, const struct train_images_plan *plan, struct tl_pool *pool,
                            struct train_images **ret_images, struct tl_err *err)
{
    if (tl_pool_threads(pool) > THREADS_MAX) {
        return tl_fail(err, TL_INVALID, "at most %d threads make images", THREADS_MAX);
    }
    struct train_images *images = calloc(1, sizeof *images);
    if (!images) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for training images");
    }
    *images = (struct train_images){.set = set, .pool = pool, .plan = *plan, .epoch = UINT64_MAX};
    const enum tl_rc rc = deal(images, err);
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
    for (size_t t = 0; t < THREADS_MAX; t++) {
        img_scratch_done(&images->scratch[t]);
    }
    free(images->held);
    free(images->order);
    free(images->images);
    free(images->labels);
    free(images);
}

/* ---- images -------------------------------------------------------------------------------------------------- */

/* Images list[0..n-1] of a split, with chance or without. */
struct make_job {
    struct train_images *images;
    enum img_split split;
    const uint32_t *list; /* NULL: from `from` on */
    size_t from, side;
    bool augmented;
    uint64_t epoch;
    float *to;
    int32_t *labels;
    _Atomic size_t first_bad;
};

static enum tl_rc make_image(const struct make_job *job, size_t i, struct img_scratch *scratch, struct tl_err *err)
{
    const struct train_images *images = job->images;
    const size_t index = job->list ? job->list[i] : job->from + i;
    struct img_view view;
    float *to = job->to + i * job->side * job->side * 3;
    enum tl_rc rc = img_pixels(images->set, job->split, index, scratch, &view, err);
    job->labels[i] = img_label(images->set, job->split, index);
    if (rc || !job->augmented) {
        return rc ? rc : img_plain(to, job->side, &view, &images->plan.normal, scratch, err);
    }
    struct tl_rng rng;
    tl_rng_init(&rng, images->plan.seed, STREAM_AUGMENT + (job->epoch << 16), index);
    return img_train(to, job->side, &view, &images->plan.augment, &images->plan.normal, &rng, scratch, err);
}

static void make_task(void *ctx, size_t task, unsigned thread)
{
    struct make_job *job = ctx;
    if (make_image(job, task, &job->images->scratch[thread], NULL)) {
        size_t bad = atomic_load(&job->first_bad);
        while (task < bad && !atomic_compare_exchange_weak(&job->first_bad, &bad, task)) {
        }
    }
}

static enum tl_rc make_images(struct make_job *job, size_t n, struct tl_err *err)
{
    job->first_bad = SIZE_MAX;
    tl_pool_run(job->images->pool, make_task, job, n);
    return job->first_bad == SIZE_MAX ? TL_OK
                                      : make_image(job, job->first_bad, &job->images->scratch[0], err); /* for its reason */
}

static enum tl_rc reserve(struct train_images *images, size_t floats, struct tl_err *err)
{
    if (floats > images->images_size) {
        float *more = realloc(images->images, floats * sizeof *more);
        if (!more) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for a batch of images");
        }
        images->images = more;
        images->images_size = floats;
    }
    return TL_OK;
}

static void order_epoch(struct train_images *images, uint64_t epoch)
{
    struct tl_rng rng;
    if (images->epoch == epoch) {
        return;
    }
    memcpy(images->order, images->train, images->n_train * sizeof *images->order);
    tl_rng_init(&rng, images->plan.seed, STREAM_ORDER, epoch);
    shuffle(images->order, images->n_train, &rng);
    images->epoch = epoch;
}

static enum tl_rc batch(void *ctx, uint64_t epoch, uint64_t number, uint16_t resolution, const float **ret_images,
                        const int32_t **ret_labels, struct tl_err *err)
{
    struct train_images *images = ctx;
    const size_t n = images->plan.batch, side = resolution;
    enum tl_rc rc = reserve(images, n * side * side * 3, err);
    if (rc) {
        return rc;
    }
    order_epoch(images, epoch);
    struct make_job job = {.images = images,
                           .split = IMG_TRAIN,
                           .list = images->order + number * n,
                           .side = side,
                           .augmented = true,
                           .epoch = epoch,
                           .to = images->images,
                           .labels = images->labels};
    if ((rc = make_images(&job, n, err))) {
        return rc;
    }
    *ret_images = images->images;
    *ret_labels = images->labels;
    return TL_OK;
}

static enum tl_rc plain(void *ctx, enum train_part part, size_t from, size_t n, uint16_t resolution, float *to,
                        int32_t *labels, struct tl_err *err)
{
    struct train_images *images = ctx;
    const uint32_t *list = part == TRAIN_PART_TRAIN ? images->train : part == TRAIN_PART_HELD ? images->held : NULL;
    struct make_job job = {.images = images,
                           .split = part == TRAIN_PART_TEST ? IMG_TEST : IMG_TRAIN,
                           .list = list ? list + from : NULL,
                           .from = from,
                           .side = resolution,
                           .to = to,
                           .labels = labels};
    return make_images(&job, n, err);
}

struct train_source train_images_source(struct train_images *images)
{
    return (struct train_source){.ctx = images,
                                 .n_train = images->n_train,
                                 .n_held = images->n_held,
                                 .n_test = img_facts(images->set).n[IMG_TEST],
                                 .batch = batch,
                                 .plain = plain};
}

enum tl_rc train_images_first(const struct train_images *images, size_t n, uint8_t **ret_pixels, size_t *ret_n,
                              struct tl_err *err)
{
    const size_t side = img_facts(images->set).side, each = side * side * 3;
    const size_t have = side == 0 ? 0 : n < images->n_train ? n : images->n_train;
    uint8_t *pixels = have ? malloc(have * each) : NULL;
    struct img_scratch scratch = {0};
    enum tl_rc rc = have && !pixels ? tl_fail(err, TL_NO_MEMORY, "no memory for calibration images") : TL_OK;
    for (size_t i = 0; rc == TL_OK && i < have; i++) {
        struct img_view view;
        rc = img_pixels(images->set, IMG_TRAIN, images->train[i], &scratch, &view, err);
        if (rc == TL_OK) {
            memcpy(pixels + i * each, view.pixels, each);
        }
    }
    img_scratch_done(&scratch);
    if (rc) {
        free(pixels);
        return rc;
    }
    *ret_pixels = pixels;
    *ret_n = have;
    return TL_OK;
}

/* ---- the images in a supernet's file ------------------------------------------------------------------------- */

static enum tl_rc no_batch(void *ctx, uint64_t epoch, uint64_t number, uint16_t resolution, const float **ret_images,
                           const int32_t **ret_labels, struct tl_err *err)
{
    (void)ctx, (void)epoch, (void)number, (void)resolution, (void)ret_images, (void)ret_labels;
    return tl_fail(err, TL_INVALID, "the images in a supernet's file are for calibrating, not for training");
}

static enum tl_rc kept(void *ctx, enum train_part part, size_t from, size_t n, uint16_t resolution, float *to,
                       int32_t *labels, struct tl_err *err)
{
    const struct supernet_facts *facts = ctx;
    struct img_scratch scratch = {0};
    struct img_normal normal;
    enum tl_rc rc = part == TRAIN_PART_TRAIN ? TL_OK : tl_fail(err, TL_INVALID, "a supernet's file has no test images");
    memcpy(normal.mean, facts->mean, sizeof normal.mean);
    memcpy(normal.deviation, facts->deviation, sizeof normal.deviation);
    for (size_t i = 0; rc == TL_OK && i < n; i++) {
        const struct img_view view = {
            .pixels = facts->images + (from + i) * facts->side * facts->side * 3, .h = facts->side, .w = facts->side};
        labels[i] = 0;
        rc = img_plain(to + i * resolution * resolution * 3, resolution, &view, &normal, &scratch, err);
    }
    img_scratch_done(&scratch);
    return rc;
}

struct train_source supernet_facts_source(const struct supernet_facts *facts)
{
    return (struct train_source){
        .ctx = (void *)(uintptr_t)facts, .n_train = facts->n_images, .batch = no_batch, .plain = kept};
}
