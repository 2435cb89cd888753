/* cache.c - all images of a set at once: decoded into memory, or measured. */
#include "parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND = 2048 }; /* images between two calls of the progress function */

struct cache {
    const struct img_set *set;
    uint8_t *pixels;
    unsigned side;
    size_t from; /* image at which this round begins, train and test counted through */
};

static enum tl_rc cache_one(void *ctx, size_t index, struct worker *worker, struct tl_err *err)
{
    const struct cache *cache = ctx;
    const size_t at = cache->from + index, n_train = cache->set->splits[IMG_TRAIN].n;
    const bool train = at < n_train;
    struct img_pixels *pixels = &worker->pixels;
    const enum tl_rc rc = img_decode(cache->set, train ? IMG_TRAIN : IMG_TEST, train ? at : at - n_train, pixels, err);
    if (rc) {
        return rc;
    }
    if (pixels->h > cache->side || pixels->w > cache->side) {
        return tl_fail(err, TL_TOO_LARGE, "%s image %zu has %u x %u pixels: more than %u x %u are not kept",
                       train ? "training" : "test", train ? at : at - n_train, pixels->w, pixels->h, cache->side,
                       cache->side);
    }
    return resize(&worker->resizer, pixels->data, pixels->h, pixels->w, centre_box(pixels->h, pixels->w, 1),
                  cache->pixels + at * 3 * cache->side * cache->side, cache->side, cache->side, err);
}

static enum tl_rc cache_all(struct cache *cache, size_t n, struct workers *workers, img_progress *progress, void *ctx,
                            struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t at = 0; !rc && at < n; at += ROUND) {
        cache->from = at;
        rc = workers_run(workers, cache_one, cache, n - at < ROUND ? n - at : ROUND, err);
        if (!rc && progress) {
            progress(ctx, n - at < ROUND ? n : at + ROUND, n);
        }
    }
    return rc;
}

enum tl_rc img_cache(struct img_set *set, unsigned side, size_t budget, struct tl_pool *pool, img_progress *progress,
                     void *ctx, struct tl_err *err)
{
    struct split *train = &set->splits[IMG_TRAIN], *test = &set->splits[IMG_TEST];
    const size_t n = train->n + test->n, max = budget ? budget : (size_t)2 << 30;
    if (side < 1 || side > IMG_RESOLUTION_MAX) {
        return tl_fail(err, TL_INVALID, "images of %u pixels; a side is 1 to %d", side, IMG_RESOLUTION_MAX);
    }
    const size_t each = (size_t)3 * side * side;
    if ((train->packed && set->h == side && set->w == side) || (train->cached && set->side == side)) {
        return TL_OK;
    }
    if (n > max / each) {
        return tl_fail(err, TL_TOO_LARGE, "%zu images of %u x %u pixels need more than %zu bytes", n, side, side, max);
    }
    if (train->packed && (set->h > side || set->w > side)) {
        return tl_fail(err, TL_TOO_LARGE, "images of %u x %u pixels are not kept at %u x %u", set->w, set->h, side,
                       side);
    }
    struct workers workers = {0};
    struct cache cache = {.set = set, .pixels = malloc(n * each), .side = side};
    enum tl_rc rc = cache.pixels ? workers_init(&workers, pool, err)
                                 : tl_fail(err, TL_NO_MEMORY, "no memory for %zu images of %u x %u", n, side, side);
    rc = rc ? rc : cache_all(&cache, n, &workers, progress, ctx, err);
    workers_done(&workers);
    if (rc) {
        free(cache.pixels);
        return rc;
    }
    free(set->cache);
    set->cache = cache.pixels;
    set->side = side;
    train->cached = cache.pixels;
    test->cached = cache.pixels + train->n * each;
    free(set->catalogue.bytes); /* files that are not read any more */
    set->catalogue.bytes = NULL;
    return TL_OK;
}

enum tl_rc img_of_pixels(const uint8_t *pixels, size_t n, unsigned side, struct img_set **ret_set, struct tl_err *err)
{
    const size_t bytes = n * side * side * 3;
    struct img_set *set = calloc(1, sizeof *set);
    if (!set) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a set of images");
    }
    set->catalogue.fd = -1;
    set->cache = malloc(bytes + 1);
    set->side = side;
    enum tl_rc rc = set->cache ? split_new(&set->splits[IMG_TRAIN], n, false, err)
                               : tl_fail(err, TL_NO_MEMORY, "no memory for %zu images", n);
    rc = rc ? rc : set_classes_new(set, 1, err);
    rc = rc ? rc : set_number_classes(set, err);
    if (rc) {
        img_close(set);
        return rc;
    }
    memcpy(set->cache, pixels, bytes);
    memset(set->splits[IMG_TRAIN].labels, 0, n * sizeof *set->splits[IMG_TRAIN].labels);
    set->splits[IMG_TRAIN].cached = set->cache;
    *ret_set = set;
    return TL_OK;
}

struct measure {
    const struct img_set *set;
    size_t n, n_all;
};

static enum tl_rc measure_one(void *ctx, size_t index, struct worker *worker, struct tl_err *err)
{
    const struct measure *measure = ctx;
    const size_t at = (size_t)((uint64_t)index * measure->n_all / measure->n);
    const enum tl_rc rc = img_decode(measure->set, IMG_TRAIN, at, &worker->pixels, err);
    const size_t n = rc ? 0 : (size_t)worker->pixels.h * worker->pixels.w;
    uint64_t sums[6] = {0};
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++) {
            const uint64_t value = worker->pixels.data[3 * i + c];
            sums[c] += value;
            sums[3 + c] += value * value;
        }
    }
    /* every image counts the same, whatever its size: in 1/65536 of a pixel's value */
    for (size_t c = 0; n && c < 6; c++) {
        worker->sums[c] += (sums[c] << 16) / n;
    }
    return rc;
}

enum tl_rc img_measure(const struct img_set *set, size_t n_max, struct tl_pool *pool, float ret_mean[3],
                       float ret_std[3], struct tl_err *err)
{
    const size_t n_all = set->splits[IMG_TRAIN].n;
    struct measure measure = {.set = set, .n_all = n_all, .n = n_max && n_max < n_all ? n_max : n_all};
    struct workers workers = {0};
    uint64_t sums[6] = {0};
    enum tl_rc rc = workers_init(&workers, pool, err);
    rc = rc ? rc : workers_run(&workers, measure_one, &measure, measure.n, err);
    for (unsigned i = 0; i < workers.n; i++) {
        for (size_t c = 0; c < 6; c++) {
            sums[c] += workers.each[i].sums[c];
        }
    }
    workers_done(&workers);
    for (size_t c = 0; !rc && c < 3; c++) {
        const double scale = 255.0 * 65536.0 * (double)measure.n;
        const double mean = (double)sums[c] / scale;
        const double variance = (double)sums[3 + c] / scale / 255.0 - mean * mean;
        ret_mean[c] = (float)mean;
        ret_std[c] = variance > 1e-6 ? (float)sqrt(variance) : 1;
    }
    return rc;
}
