/* supernet_use.h - a supernet's file opened for use: its weights, and images to calibrate and to measure with.
 *
 * Threads: belongs to one thread; works on a pool of its own.
 */
#ifndef TAILOR_SUPERNET_USE_H
#define TAILOR_SUPERNET_USE_H

#include "supernet/train/codec_supernet.h"
#include "supernet/train/source.h"

struct supernet_use {
    struct tl_pool *pool;
    struct supernet *net;
    struct supernet_facts facts;
    struct tl_hash hash;           /* of the file */
    struct img_set *set;           /* NULL: there are no images */
    struct train_images *images;   /* the same */
    struct train_source source;    /* with data: its images; else those in the file, if there are any */
    struct evaluation *evaluation; /* NULL: there are no images */
};

/* Open file and images (`data` NULL: none), which are dealt out as in training. Where both name their classes and the names
 * differ, a line on stderr says so. On failure nothing is left open. */
TL_MUST_CHECK enum tl_rc supernet_use_open(struct supernet_use *use, const char *path, const char *data,
                                           unsigned n_threads, struct tl_err *err);
/* The same from a file's bytes, with the images in it alone. */
TL_MUST_CHECK enum tl_rc supernet_use_bytes(struct supernet_use *use, const struct tl_buf *bytes, unsigned n_threads,
                                            struct tl_err *err);
/* Take the images in the file, all of them for calibrating, as the source. */
TL_MUST_CHECK enum tl_rc supernet_use_kept(struct supernet_use *use, struct tl_err *err);
/* Are the held-out images of `data`, which was given to supernet_use_open, images that training did not see? TL_INVALID:
 * nothing was held out, or they are not known to be the training's images. The images in the file tell; where it holds
 * none, the name of the data. */
TL_MUST_CHECK enum tl_rc supernet_use_held_out(const struct supernet_use *use, const char *data, struct tl_err *err);
/* False: the file can be read, and holds no images to calibrate with. */
bool supernet_use_calibrates(const char *path);
void supernet_use_done(struct supernet_use *use);

#endif
