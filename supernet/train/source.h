/* source.h - the images of a set as a training reads them: batches drawn from the seed, and a part held out.
 *
 * Threads: one at a time. Training batches are made ahead by a thread of their own, others on the pool.
 */
#ifndef TAILOR_TRAIN_SOURCE_H
#define TAILOR_TRAIN_SOURCE_H

#include "supernet/train/data/images.h"
#include "supernet/train/train.h"

struct train_images;

/* How training images are changed. Small ones are mirrored and moved, of large ones (over 96 pixels wide or high) a random
 * part is taken; each image counts by its own size. */
struct train_augment {
    bool mirror;
    unsigned pad;     /* small images move by up to this many pixels */
    unsigned ops;     /* operations of RandAugment an image */
    double magnitude; /* their strength, 0 to 1 */
    double jitter;    /* of brightness, contrast and colour */
    unsigned cutout;  /* side of a blanked square, in 32nds of the image's */
};

struct train_images_plan {
    double holdout; /* share of the training images that is held out, 0 to 0.5; the same images for every seed */
    size_t most;    /* training images used at most; 0: all */
    bool whole;     /* plain images were cut out before: they are seen whole, large ones too */
    struct train_augment augment;
    float mean[3], deviation[3]; /* of values 0 to 1, by channel */
};

/* `set` and `pool` are borrowed for its life. `plan` and `family` say batch size, seed, and the resolution of each step;
 * plan NULL: nothing will be trained. */
TL_MUST_CHECK enum tl_rc train_images_new(const struct img_set *set, const struct train_images_plan *images,
                                          const struct train_plan *plan, const struct net_family *family,
                                          struct tl_pool *pool, struct train_images **ret_images, struct tl_err *err);
void train_images_free(struct train_images *images); /* takes NULL */

/* Valid as long as `images`. */
struct train_source train_images_source(struct train_images *images);

/* The first images that are trained on, as bytes (n, side, side, 3), for a supernet's file: at most `n` of them, as plain
 * batches show them at `side`, which is one of the family's resolutions. *ret_pixels is owned (NULL: none). */
TL_MUST_CHECK enum tl_rc train_images_first(const struct train_images *images, size_t n, unsigned side,
                                            uint8_t **ret_pixels, size_t *ret_n, struct tl_err *err);

#endif
