/* images.h - sets of labelled images, and batches of them as a network reads them.
 *
 * A set is a folder or an archive as people have them: idx files (MNIST), CIFAR-10's binary batches, or one folder a
 * class of JPEG and PNG files, below train/ and test/ (or val/), also in a .tar or .tar.gz. Small images are decoded once
 * and kept; large ones are decoded as they are asked for.
 *
 * Threads: a set is constant once it is open; img_pixels, img_train and img_plain may be called from any thread, each
 * with its own scratch.
 */
#ifndef TAILOR_IMAGES_H
#define TAILOR_IMAGES_H

#include "base/base.h"

enum img_split { IMG_TRAIN, IMG_TEST, IMG_SPLIT_COUNT };

enum {
    IMG_SIDE_MAX = 8192,       /* pixels */
    IMG_KEPT_SIDE = 96,        /* images up to this side are decoded once and kept */
    IMG_COUNT_MAX = 20000000,  /* images of a set */
    IMG_CLASSES_MAX = 8192,
    IMG_CLASS_NAME_MAX = 128,  /* bytes */
};

struct img_set;

struct img_facts {
    size_t n[IMG_SPLIT_COUNT];
    size_t n_classes;
    const char *const *classes; /* names, sorted; borrowed from the set */
    size_t side;                /* all images are side x side; 0: sizes differ */
};

/* Called now and then while a set is read: images done and, where it is known, to do (else 0). */
typedef void img_progress(void *ctx, size_t done, size_t all);

/* TL_NOT_FOUND: no such path, or nothing at it that is a set. TL_INVALID or TL_MALFORMED: what is wrong in which file: an
 * image that does not decode, classes of one split that the other lacks, sizes that lie. TL_TOO_LARGE: over a limit above,
 * or an archive of more than 4 GiB (unpack it). Small images are decoded on `pool` (NULL: here). */
TL_MUST_CHECK enum tl_rc img_open(const char *path, struct tl_pool *pool, img_progress *progress, void *ctx,
                                  struct img_set **ret_set, struct tl_err *err);
void img_free(struct img_set *set); /* takes NULL */

struct img_facts img_facts(const struct img_set *set); /* borrowed from the set */
int32_t img_label(const struct img_set *set, enum img_split split, size_t index);

/* Memory that one thread reuses from image to image. Starts as {0}. */
struct img_scratch {
    uint8_t *encoded, *decoded; /* owned */
    size_t encoded_size, decoded_size;
    float *floats; /* owned */
    size_t floats_size;
};
void img_scratch_done(struct img_scratch *scratch);

/* RGB, a byte a channel, rows one after the other. Borrowed from the set or the scratch. */
struct img_view {
    const uint8_t *pixels;
    size_t h, w;
};

/* TL_INVALID names the file that does not decode. */
TL_MUST_CHECK enum tl_rc img_pixels(const struct img_set *set, enum img_split split, size_t index,
                                    struct img_scratch *scratch, struct img_view *ret_view, struct tl_err *err);

/* ---- images as a network reads them -------------------------------------------------------------------------- */

/* What happens to a training image. Images kept small are mirrored, moved and bent at their own size, then scaled; of
 * large ones a random part (8 to 100 % of the area) is scaled, then mirrored. */
struct img_augment {
    bool mirror;
    unsigned pad;      /* moved by up to this many pixels either way, zeros around */
    unsigned bends;    /* of rotation, shear, brightness, contrast and colour: how many are drawn */
    double magnitude;  /* 0 to 1: how far they go: 30 degrees, 0.3, factors up to 1.9 */
    unsigned cutout;   /* side of a square set to the mean; 0: none */
};

/* (value / 255 - mean) / deviation, by channel. */
struct img_normal {
    float mean[3], deviation[3];
};

/* Mean and deviation of the training images (of about 10,000 of them, evenly spread). */
TL_MUST_CHECK enum tl_rc img_measure(const struct img_set *set, struct img_normal *ret_normal, struct tl_err *err);

/* One image as (side, side, 3) floats; what is drawn comes from `rng`. TL_NO_MEMORY. */
TL_MUST_CHECK enum tl_rc img_train(float *to, size_t side, const struct img_view *view,
                                   const struct img_augment *augment, const struct img_normal *normal,
                                   struct tl_rng *rng, struct img_scratch *scratch, struct tl_err *err);
/* The same without chance: small images are scaled whole, large ones to a short side of 8/7 of `side`, the centre cut. */
TL_MUST_CHECK enum tl_rc img_plain(float *to, size_t side, const struct img_view *view,
                                   const struct img_normal *normal, struct img_scratch *scratch, struct tl_err *err);

/* The weights by which scaling a whole side of `in` pixels to `out` averages them: matrix (out, in), rows sum to one. */
void img_scale_matrix(float *matrix, size_t out, size_t in);

#endif
