/* source.h - the images of a set as a training reads them: batches drawn from the seed, and a part held out.
 *
 * Threads: one at a time; images are made on the pool.
 */
#ifndef TAILOR_TRAIN_SOURCE_H
#define TAILOR_TRAIN_SOURCE_H

#include "supernet/images/images.h"
#include "supernet/train/train.h"

struct train_images;

struct train_images_plan {
    uint64_t seed;
    double holdout;  /* share of the training images that is held out, 0 to 0.5; the same images for every seed */
    unsigned batch;
    size_t most;     /* training images used at most; 0: all */
    struct img_augment augment;
    struct img_normal normal;
};

/* `set` and `pool` are borrowed for its life. */
TL_MUST_CHECK enum tl_rc train_images_new(const struct img_set *set, const struct train_images_plan *plan,
                                          struct tl_pool *pool, struct train_images **ret_images, struct tl_err *err);
void train_images_free(struct train_images *images); /* takes NULL */

/* Valid as long as `images`. */
struct train_source train_images_source(struct train_images *images);

/* The first images that are trained on, as bytes (n, side, side, 3), for a supernet's file: at most `n` of them, none
 * where images are not kept. *ret_pixels is owned (NULL: none). */
TL_MUST_CHECK enum tl_rc train_images_first(const struct train_images *images, size_t n, uint8_t **ret_pixels,
                                            size_t *ret_n, struct tl_err *err);

/* The calibration images in a supernet's file as a source: TRAIN_PART_TRAIN alone, without labels. `facts` is borrowed. */
struct supernet_facts;
struct train_source supernet_facts_source(const struct supernet_facts *facts);

#endif
