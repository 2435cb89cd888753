/* supernet_use.c - see supernet_use.h. */
#include "server/supernet_use.h"

#include <stdio.h>
#include <string.h>

static const double HOLDOUT = 0.1; /* tailor train's default; the images held out are the same for every seed */

enum { FILE_MAX_BYTES = INT32_MAX };

static enum tl_rc open_images(struct supernet_use *use, struct train_images_plan *plan, struct tl_err *err)
{
    memcpy(plan->mean, use->facts.mean, sizeof plan->mean);
    memcpy(plan->deviation, use->facts.deviation, sizeof plan->deviation);
    const enum tl_rc rc = train_images_new(use->set, plan, NULL, &use->net->family, use->pool, &use->images, err);
    if (rc == TL_OK) {
        use->source = train_images_source(use->images);
    }
    return rc;
}

enum tl_rc supernet_use_kept(struct supernet_use *use, struct tl_err *err)
{
    struct train_images_plan plan = {0};
    if (use->facts.n_images == 0) {
        return TL_OK;
    }
    const enum tl_rc rc =
        img_of_pixels(use->facts.images, use->facts.n_images, (unsigned)use->facts.side, &use->set, err);
    return rc ? rc : open_images(use, &plan, err);
}

static enum tl_rc open_data(struct supernet_use *use, const char *data, struct tl_err *err)
{
    struct train_images_plan plan = {.holdout = HOLDOUT};
    enum tl_rc rc = img_open(data, NULL, &use->set, err);
    if (rc) {
        return rc;
    }
    const size_t classes = img_n_classes(use->set);
    if (classes != use->net->family.n_classes) {
        return tl_fail(err, TL_INVALID, "%.200s has %zu classes; the supernet was trained on %u", data, classes,
                       use->net->family.n_classes);
    }
    return open_images(use, &plan, err);
}

static enum tl_rc open_all(struct supernet_use *use, const struct tl_buf *bytes, const char *data, unsigned n_threads,
                           struct tl_err *err)
{
    struct safetensors *file = NULL;
    *use = (struct supernet_use){0};
    enum tl_rc rc = tl_pool_new(&use->pool, n_threads, err);
    rc = rc ? rc : st_open(bytes->data ? bytes->data : "", bytes->len, &file, err);
    rc = rc ? rc : supernet_decode(file, &use->net, &use->facts, err);
    st_free(file);
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
    return open_all(use, bytes, NULL, n_threads, err);
}

enum tl_rc supernet_use_open(struct supernet_use *use, const char *path, const char *data, unsigned n_threads,
                             struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = FILE_MAX_BYTES};
    const enum tl_rc rc = tl_file_read(path, &bytes, err);
    return rc ? rc : open_all(use, &bytes, data, n_threads, err);
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
