/* batches.c - batches as a function of set, spec, epoch and step. */
#include "parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Streams of the epochs' orders lie beside those of the images, whose indices are below 2^32. */
static const uint64_t order_stream = UINT64_MAX;

struct img_batches {
    const struct img_set *set; /* borrowed */
    struct img_spec spec;
    struct workers workers;
    uint32_t *order;      /* owned; the epoch's, where it is shuffled */
    uint64_t order_epoch; /* whose order it is */
    bool has_order;
    float table[3][256]; /* (value / 255 - mean) / std */
    uint8_t fill[3];     /* the mean */
};

/* One batch being made. */
struct making {
    struct img_batches *batches;
    struct img_batch *batch;
};

/* Images that take part. */
static size_t count(const struct img_set *set, const struct img_spec *spec)
{
    return spec->list ? spec->n_list : set->splits[spec->split].n;
}

static enum tl_rc check_list(const struct img_set *set, const struct img_spec *spec, struct tl_err *err)
{
    for (size_t i = 0; spec->list && i < spec->n_list; i++) {
        if (spec->list[i] >= set->splits[spec->split].n) {
            return tl_fail(err, TL_INVALID, "image %u of a split of %zu", spec->list[i], set->splits[spec->split].n);
        }
    }
    return TL_OK;
}

static enum tl_rc check_spec(const struct img_set *set, const struct img_spec *spec, struct tl_err *err)
{
    if (spec->split >= IMG_SPLIT_COUNT || spec->view >= IMG_VIEW_COUNT) {
        return tl_fail(err, TL_INVALID, "split %d or view %d is none", (int)spec->split, (int)spec->view);
    }
    const size_t n = count(set, spec);
    if (spec->n < 1 || spec->n > IMG_BATCH_MAX) {
        return tl_fail(err, TL_INVALID, "a batch of %zu images; 1 to %d", spec->n, IMG_BATCH_MAX);
    }
    if (n == 0 || (spec->shuffle && spec->n > n)) {
        return tl_fail(err, TL_INVALID, "batches of %zu images from a split of %zu", spec->n, n);
    }
    if (spec->resolution < 1 || spec->resolution > IMG_RESOLUTION_MAX) {
        return tl_fail(err, TL_INVALID, "resolution %u; 1 to %d", spec->resolution, IMG_RESOLUTION_MAX);
    }
    if (spec->pad > IMG_SIDE_MAX || spec->cutout > 32 || spec->n_ops > 8) {
        return tl_fail(err, TL_INVALID, "pad %u, cutout %u, %u operations; at most %d, 32 and 8", spec->pad,
                       spec->cutout, spec->n_ops, IMG_SIDE_MAX);
    }
    if (!(spec->magnitude >= 0 && spec->magnitude <= 1) || !(spec->jitter >= 0 && spec->jitter <= 1)) {
        return tl_fail(err, TL_INVALID, "magnitude %g and jitter %g; both are 0 to 1", spec->magnitude, spec->jitter);
    }
    for (size_t c = 0; c < 3; c++) {
        if (!isfinite(spec->mean[c]) || !isfinite(spec->std[c]) || spec->std[c] <= 0) {
            return tl_fail(err, TL_INVALID, "mean %g and std %g of channel %zu; std is above 0", (double)spec->mean[c],
                           (double)spec->std[c], c);
        }
    }
    return check_list(set, spec, err);
}

static void fill_tables(struct img_batches *batches)
{
    const struct img_spec *spec = &batches->spec;
    for (size_t c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            batches->table[c][v] = ((float)v / 255 - spec->mean[c]) / spec->std[c];
        }
        const float fill = spec->mean[c] * 255 + 0.5F;
        batches->fill[c] = (uint8_t)(fill < 0 ? 0 : fill > 255 ? 255 : fill);
    }
}

enum tl_rc img_batches_new(const struct img_set *set, const struct img_spec *spec, struct tl_pool *pool,
                           struct img_batches **ret_batches, struct tl_err *err)
{
    enum tl_rc rc = check_spec(set, spec, err);
    struct img_batches *batches = rc ? NULL : calloc(1, sizeof *batches);
    if (!batches) {
        return rc ? rc : tl_fail(err, TL_NO_MEMORY, "no memory for batches");
    }
    batches->set = set;
    batches->spec = *spec;
    batches->order = spec->shuffle ? malloc(count(set, spec) * sizeof *batches->order) : NULL;
    if (spec->shuffle && !batches->order) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for the order of %zu images", count(set, spec));
    }
    rc = rc ? rc : workers_init(&batches->workers, pool, err);
    if (rc) {
        img_batches_free(batches);
        return rc;
    }
    fill_tables(batches);
    *ret_batches = batches;
    return TL_OK;
}

void img_batches_free(struct img_batches *batches)
{
    if (batches) {
        workers_done(&batches->workers);
        free(batches->order);
        free(batches);
    }
}

size_t img_batches_an_epoch(const struct img_batches *batches)
{
    const size_t n = count(batches->set, &batches->spec), each = batches->spec.n;
    return n / each + (!batches->spec.shuffle && n % each);
}

enum tl_rc img_batch_init(struct img_batch *batch, const struct img_batches *batches, struct tl_err *err)
{
    const struct img_spec *spec = &batches->spec;
    struct img_batch made = {
        .x = malloc(spec->n * spec->resolution * spec->resolution * 3 * sizeof *made.x),
        .labels = malloc(spec->n * sizeof *made.labels),
    };
    if (!made.x || !made.labels) {
        img_batch_done(&made);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a batch of %zu images of %u x %u", spec->n, spec->resolution,
                       spec->resolution);
    }
    *batch = made;
    return TL_OK;
}

void img_batch_done(struct img_batch *batch)
{
    free(batch->x);
    free(batch->labels);
    *batch = (struct img_batch){0};
}

/* Fisher and Yates: every order is as likely. */
static void shuffle(struct img_batches *batches, uint64_t epoch)
{
    struct tl_rng rng;
    const uint32_t n = (uint32_t)count(batches->set, &batches->spec);
    if (batches->has_order && batches->order_epoch == epoch) {
        return;
    }
    tl_rng_init(&rng, batches->spec.seed, epoch, order_stream);
    for (uint32_t i = 0; i < n; i++) {
        batches->order[i] = i;
    }
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = tl_rng_below(&rng, i), kept = batches->order[i - 1];
        batches->order[i - 1] = batches->order[j];
        batches->order[j] = kept;
    }
    batches->order_epoch = epoch;
    batches->has_order = true;
}

/* How this image is seen. */
static enum img_view view_of(const struct img_spec *spec, const struct img_pixels *pixels)
{
    if (!spec->small_side || (pixels->h <= spec->small_side && pixels->w <= spec->small_side)) {
        return spec->view;
    }
    return spec->view == IMG_VIEW_WHOLE      ? IMG_VIEW_CENTRE
           : spec->view == IMG_VIEW_PAD_CROP ? IMG_VIEW_RESIZED_CROP
                                             : spec->view;
}

/* The part of a large image that is seen. */
static struct box view_box(enum img_view view, const struct img_pixels *pixels, unsigned side, struct tl_rng *rng)
{
    switch (view) {
    case IMG_VIEW_CENTRE:
        return centre_box(pixels->h, pixels->w, side / floor(side * 1.143 + 0.5));
    case IMG_VIEW_RESIZED_CROP:
        return augment_crop(pixels->h, pixels->w, rng);
    case IMG_VIEW_WHOLE:
    case IMG_VIEW_PAD_CROP:
    case IMG_VIEW_COUNT:
        break;
    }
    return (struct box){.w = pixels->w, .h = pixels->h};
}

/* Small images are changed at their own size and resized last, large ones cut out and resized first. */
static enum tl_rc draw(const struct img_batches *batches, struct worker *worker, unsigned side, struct tl_rng *rng,
                       struct canvas *canvas, struct tl_err *err)
{
    const struct img_spec *spec = &batches->spec;
    const struct img_pixels *pixels = &worker->pixels;
    const enum img_view view = view_of(spec, pixels);
    const bool own_size = view == IMG_VIEW_WHOLE || view == IMG_VIEW_PAD_CROP;
    const bool flip = spec->flip && tl_rng_below(rng, 2);
    const unsigned h = own_size ? pixels->h : side, w = own_size ? pixels->w : side;
    const struct box box = view_box(view, pixels, side, rng);
    int dx = 0, dy = 0;
    for (size_t i = 0; i < 2; i++) {
        const size_t area = (size_t)h * w, out = (size_t)side * side;
        const enum tl_rc rc = room_for(&worker->canvas[i], &worker->canvas_cap[i], 3 * (area > out ? area : out), err);
        if (rc) {
            return rc;
        }
    }
    *canvas = (struct canvas){.now = worker->canvas[0], .other = worker->canvas[1], .h = h, .w = w};
    for (size_t c = 0; c < 3; c++) {
        canvas->fill[c] = batches->fill[c];
    }
    const uint8_t *in = pixels->data;
    if (!own_size) {
        const enum tl_rc rc = resize(&worker->resizer, in, pixels->h, pixels->w, box, canvas->other, side, side, err);
        if (rc) {
            return rc;
        }
        in = canvas->other;
    } else if (view == IMG_VIEW_PAD_CROP && spec->pad) {
        dx = (int)tl_rng_below(rng, 2 * spec->pad + 1) - (int)spec->pad;
        dy = (int)tl_rng_below(rng, 2 * spec->pad + 1) - (int)spec->pad;
    }
    augment_shift(canvas, in, dx, dy, flip);
    if (spec->jitter > 0) {
        augment_jitter(canvas, spec->jitter, rng);
    }
    augment_ops(canvas, spec->n_ops, spec->magnitude, rng);
    if (spec->cutout) {
        augment_cutout(canvas, (w * spec->cutout + 16) / 32, rng);
    }
    return TL_OK;
}

/* Image `index` as an epoch sees it, in bytes: borrowed from the worker. */
static enum tl_rc see(const struct img_batches *batches, size_t index, uint64_t epoch, unsigned side,
                      struct worker *worker, const uint8_t **ret_pixels, struct tl_err *err)
{
    const struct img_spec *spec = &batches->spec;
    struct canvas canvas;
    struct tl_rng rng;
    enum tl_rc rc = img_decode(batches->set, spec->split, index, &worker->pixels, err);
    tl_rng_init(&rng, spec->seed, epoch, index);
    rc = rc ? rc : draw(batches, worker, side, &rng, &canvas, err);
    if (!rc && (canvas.h != side || canvas.w != side)) {
        const struct box all = {.w = canvas.w, .h = canvas.h};
        rc = resize(&worker->resizer, canvas.now, canvas.h, canvas.w, all, canvas.other, side, side, err);
        canvas.now = canvas.other;
    }
    if (!rc) {
        *ret_pixels = canvas.now;
    }
    return rc;
}

static enum tl_rc make_one(void *ctx, size_t slot, struct worker *worker, struct tl_err *err)
{
    const struct making *making = ctx;
    const struct img_batches *batches = making->batches;
    const struct img_spec *spec = &batches->spec;
    struct img_batch *batch = making->batch;
    const size_t at = batch->step * spec->n + slot, place = spec->shuffle ? batches->order[at] : at;
    const size_t index = spec->list ? spec->list[place] : place;
    const size_t n = (size_t)batch->side * batch->side;
    const uint8_t *pixels = NULL;
    const enum tl_rc rc = see(batches, index, batch->epoch, batch->side, worker, &pixels, err);
    if (rc) {
        return rc;
    }
    float *out = batch->x + slot * n * 3;
    for (size_t i = 0; i < n; i++) {
        out[3 * i] = batches->table[0][pixels[3 * i]];
        out[3 * i + 1] = batches->table[1][pixels[3 * i + 1]];
        out[3 * i + 2] = batches->table[2][pixels[3 * i + 2]];
    }
    batch->labels[slot] = batches->set->splits[spec->split].labels[index];
    return TL_OK;
}

enum tl_rc img_batches_fill(struct img_batches *batches, uint64_t epoch, uint64_t step, struct img_batch *batch,
                            struct tl_err *err)
{
    const struct img_spec *spec = &batches->spec;
    struct making making = {.batches = batches, .batch = batch};
    const size_t n = count(batches->set, spec);
    const unsigned side = spec->side_of ? spec->side_of(spec->side_ctx, epoch, step) : spec->resolution;
    assert(step < img_batches_an_epoch(batches));
    if (side < 1 || side > spec->resolution) {
        return tl_fail(err, TL_INVALID, "resolution %u of batch %llu; 1 to %u", side, (unsigned long long)step,
                       spec->resolution);
    }
    if (spec->shuffle) {
        shuffle(batches, epoch);
    }
    batch->epoch = epoch;
    batch->step = step;
    batch->side = side;
    batch->n = n - step * spec->n < spec->n ? n - step * spec->n : spec->n;
    return workers_run(&batches->workers, make_one, &making, batch->n, err);
}

enum tl_rc img_batches_pixels(struct img_batches *batches, size_t place, unsigned side, uint8_t *pixels,
                              struct tl_err *err)
{
    const struct img_spec *spec = &batches->spec;
    const uint8_t *seen = NULL;
    assert(!spec->shuffle && place < count(batches->set, spec) && side >= 1 && side <= spec->resolution);
    const size_t index = spec->list ? spec->list[place] : place;
    const enum tl_rc rc = see(batches, index, 0, side, &batches->workers.each[0], &seen, err);
    if (!rc) {
        memcpy(pixels, seen, (size_t)side * side * 3);
    }
    return rc;
}
