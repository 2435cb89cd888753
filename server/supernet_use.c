/* supernet_use.c - see supernet_use.h. */
#include "server/supernet_use.h"

#include "supernet/train/codec_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = INT32_MAX };

static enum tl_rc open_images(struct supernet_use *use, const struct train_images_plan *cut, struct tl_err *err)
{
    struct train_images_plan plan = *cut;
    memcpy(plan.mean, use->facts.mean, sizeof plan.mean);
    memcpy(plan.deviation, use->facts.deviation, sizeof plan.deviation);
    const enum tl_rc rc = train_images_new(use->set, &plan, NULL, &use->net->family, use->pool, &use->images, err);
    if (rc == TL_OK) {
        use->source = train_images_source(use->images);
    }
    return rc;
}

enum tl_rc supernet_use_kept(struct supernet_use *use, struct tl_err *err)
{
    const struct train_images_plan plan = {.whole = true};
    if (use->facts.n_images == 0) {
        return TL_OK;
    }
    const enum tl_rc rc =
        img_of_pixels(use->facts.images, use->facts.n_images, (unsigned)use->facts.side, &use->set, err);
    return rc ? rc : open_images(use, &plan, err);
}

/* Names that only count the classes, as those of idx files, are none. */
static bool counts(const struct supernet_use *use, bool ours)
{
    for (size_t c = 0; c < use->facts.n_classes; c++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%zu", c);
        if (strcmp(ours ? use->facts.classes[c] : img_class_name(use->set, c), number) != 0) {
            return false;
        }
    }
    return true;
}

/* The same number of classes may still be other classes, or the same in another order. */
static void compare_classes(const struct supernet_use *use, const char *data)
{
    const struct supernet_facts *facts = &use->facts;
    if (!facts->classes || facts->n_classes != img_n_classes(use->set) || counts(use, true) || counts(use, false)) {
        return;
    }
    for (size_t c = 0; c < facts->n_classes; c++) {
        if (strcmp(facts->classes[c], img_class_name(use->set, c)) != 0) {
            (void)fprintf(
                stderr,
                "tailor: class %zu is \"%.80s\" in %.200s and \"%.80s\" in the supernet; accuracies mean nothing "
                "unless the two are the same\n",
                c, img_class_name(use->set, c), data, facts->classes[c]);
            return;
        }
    }
}

/* Small images are decoded once, as in training. */
static enum tl_rc keep_small(struct supernet_use *use, struct tl_err *err)
{
    const struct net_family *family = &use->net->family;
    const enum tl_rc rc =
        img_cache(use->set, family->resolutions[family->n_resolutions - 1], 0, use->pool, NULL, NULL, err);
    if (rc == TL_TOO_LARGE) {
        *err = (struct tl_err){0};
    }
    return rc == TL_TOO_LARGE ? TL_OK : rc;
}

static enum tl_rc open_data(struct supernet_use *use, const char *data, struct tl_err *err)
{
    struct train_split split;
    enum tl_rc rc = train_split_decode(use->facts.plan, &split, err);
    if (rc || (rc = img_open(data, NULL, &use->set, err))) {
        return rc;
    }
    const struct train_images_plan plan = {.holdout = split.holdout, .most = split.most};
    const size_t classes = img_n_classes(use->set);
    if (classes != use->net->family.n_classes) {
        return tl_fail(err, TL_INVALID, "%.200s has %zu classes; the supernet was trained on %u", data, classes,
                       use->net->family.n_classes);
    }
    compare_classes(use, data);
    rc = keep_small(use, err);
    return rc ? rc : open_images(use, &plan, err);
}

/* The images that the file holds are the first that were trained on: so the images in --data are the training's, dealt out
 * as then, where they begin with the same. */
static enum tl_rc same_images(const struct supernet_use *use, bool *ret_same, struct tl_err *err)
{
    enum { ENOUGH = 16 };
    const struct supernet_facts *facts = &use->facts;
    const size_t wanted = facts->n_images < ENOUGH ? facts->n_images : ENOUGH, each = facts->side * facts->side * 3;
    const struct net_family *family = &use->net->family;
    uint8_t *pixels = NULL;
    size_t n = 0;
    if (facts->side != family->resolutions[family->n_resolutions - 1]) {
        *ret_same = false;
        return TL_OK;
    }
    const enum tl_rc rc = train_images_first(use->images, wanted, (unsigned)facts->side, &pixels, &n, err);
    if (rc == TL_OK) {
        *ret_same = n == wanted && memcmp(pixels, facts->images, n * each) == 0;
    }
    free(pixels);
    return rc;
}

enum tl_rc supernet_use_held_out(const struct supernet_use *use, const char *data, struct tl_err *err)
{
    struct train_split split;
    bool same = false; /* nor can it be told where the file holds none */
    enum tl_rc rc = train_split_decode(use->facts.plan, &split, err);
    if (rc == TL_OK && use->source.n_of[TRAIN_PART_HELD] == 0) {
        rc = tl_fail(err, TL_INVALID, "%s: measure on the test images (--part test)",
                     split.known ? "training held no images out"
                                 : "the supernet does not say what its training held out");
    }
    if (rc == TL_OK && use->facts.n_images > 0) {
        rc = same_images(use, &same, err);
    }
    if (rc == TL_OK && !same) {
        rc = tl_fail(
            err, TL_INVALID,
            "the images in %.120s are not known to be those that the supernet was trained on (%.120s), of which "
            "some were held out: give those, and the supernet as training wrote it, or --part test",
            data, use->facts.data);
    }
    return rc;
}

bool supernet_use_calibrates(const char *path)
{
    TL_AUTO(tl_buf) bytes = {.max = FILE_MAX_BYTES};
    struct safetensors *file = NULL;
    const struct st_tensor *images = NULL;
    const bool lacks = tl_file_read(path, &bytes, NULL) == TL_OK && bytes.data &&
                       st_open(bytes.data, bytes.len, &file, NULL) == TL_OK &&
                       st_find(file, "calibration.images", &images, NULL) == TL_NOT_FOUND;
    st_free(file);
    return !lacks;
}

static enum tl_rc decode(struct supernet_use *use, const struct tl_buf *bytes, struct tl_err *err)
{
    struct safetensors *file = NULL;
    enum tl_rc rc = st_open(bytes->data ? bytes->data : "", bytes->len, &file, err);
    rc = rc ? rc : supernet_decode(file, &use->net, &use->facts, err);
    st_free(file);
    if (rc == TL_OK) {
        use->hash = tl_hash_of(bytes->data, bytes->len);
    }
    return rc;
}

static enum tl_rc open_all(struct supernet_use *use, const struct tl_buf *bytes, const char *path, const char *data,
                           unsigned n_threads, struct tl_err *err)
{
    *use = (struct supernet_use){0};
    enum tl_rc rc = tl_pool_new(&use->pool, n_threads, err);
    if (rc == TL_OK) {
        rc = decode(use, bytes, err);
        rc = path ? tl_fail_in(err, rc, path) : rc;
    }
    rc = rc ? rc : data ? open_data(use, data, err) : supernet_use_kept(use, err);
    if (rc == TL_OK && use->set) {
        rc = evaluation_new(use->net, &use->source, use->pool, &use->evaluation, err);
    }
    if (rc) {
        supernet_use_done(use);
    }
    return rc;
}

enum tl_rc supernet_use_bytes(struct supernet_use *use, const struct tl_buf *bytes, unsigned n_threads,
                              struct tl_err *err)
{
    return open_all(use, bytes, NULL, NULL, n_threads, err);
}

enum tl_rc supernet_use_open(struct supernet_use *use, const char *path, const char *data, unsigned n_threads,
                             struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = FILE_MAX_BYTES};
    const enum tl_rc rc = tl_file_read(path, &bytes, err);
    return rc ? tl_fail_in(err, rc, path) : open_all(use, &bytes, path, data, n_threads, err);
}

void supernet_use_done(struct supernet_use *use)
{
    evaluation_free(use->evaluation);
    train_images_free(use->images);
    img_close(use->set);
    supernet_free(use->net);
    supernet_facts_done(&use->facts);
    tl_pool_free(use->pool);
    *use = (struct supernet_use){0};
}
