/* images.h - images for training: data sets as people have them, decoded, and batches drawn from them.
 *
 *     img_open -> img_cache (where it fits in memory) -> img_measure -> img_batches_new -> img_prefetch_new -> _next ...
 *
 * One idea: a batch is a function of (set, spec, epoch, step) and of nothing else. Threads, prefetching and where a run was
 * resumed change no byte of it: the order of an epoch is drawn from (seed, epoch), what happens to an image from (seed,
 * epoch, its index), and pixels are computed in whole numbers.
 *
 * Bytes from outside are not trusted: every size is bounded before memory is taken for it, and what is refused is
 * named, file or member of the archive, with what would be right.
 *
 * Threads: a set may be read from any number of threads; img_cache and img_close need it alone. A batcher belongs to one
 * thread at a time; a prefetcher takes it over until it is freed, and is itself used by one thread.
 */
#ifndef TAILOR_IMAGES_H
#define TAILOR_IMAGES_H

#include "base/base.h"

enum {
    IMG_SIDE_MAX = 8192,           /* pixels; wider or higher images are refused */
    IMG_PIXELS_A_BYTE_MAX = 10000, /* what a file may unpack to: zlib reaches 8,256 with one bit a pixel */
    IMG_FILE_MAX = 64 << 20,       /* bytes of one JPEG or PNG */
    IMG_NAME_MAX = 1024,           /* bytes of a member's path */
    IMG_CLASSES_MAX = 1 << 16,
    IMG_RESOLUTION_MAX = 1024, /* of a batch */
    IMG_BATCH_MAX = 1 << 16    /* images */
};

/* ---- data sets ------------------------------------------------------------------------------------------------- */

enum img_split { IMG_TRAIN, IMG_TEST, IMG_SPLIT_COUNT };

/* Limits, zero for the default. */
struct img_opts {
    size_t archive_max; /* bytes that a compressed archive may unpack to, and an idx or CIFAR set may have; 2 GiB */
    size_t images_max;  /* 4,194,304 */
    unsigned held_out;  /* a set without a test split: one image in so many of each class is its test split; 10 */
};

struct img_set;

/* Find out what `path` is and index it. Pixels of idx and CIFAR sets, and the files of a compressed archive, are then in
 * memory; other images stay where they are. *ret_set is owned by the caller (img_close).
 *
 * `path` is a folder, a .tar or a .tar.gz with one of these in it, told by the names of the files:
 *
 *   idx       train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-..., t10k-labels-... (or test-...), plain or
 *             .gz. Grey is repeated to three channels. The classes are called 0, 1, ...
 *   CIFAR-10  data_batch_1.bin ..., test_batch.bin; names from batches.meta.txt where it is there
 *   classes   [ROOT/]train/CLASS/NAME.jpg|jpeg|png and [ROOT/]val/CLASS/... or test/CLASS/... (val is taken where both
 *             are there), or [ROOT/]CLASS/NAME without splits: then opts->held_out. Both splits must have the same classes.
 *             Images are ordered by path, classes by name. What is hidden (.x) or no image is passed over.
 *
 * TL_NOT_FOUND: no such path. TL_MALFORMED: cut off or unreadable. TL_INVALID: a member that lies (size, path with "..",
 * link, double name), or a set that is none. TL_TOO_LARGE names the limit. Paths are those of the user: symbolic links in a
 * folder are followed. `opts` may be NULL. */
TL_MUST_CHECK enum tl_rc img_open(const char *path, const struct img_opts *opts, struct img_set **ret_set,
                                  struct tl_err *err);
void img_close(struct img_set *set); /* takes NULL */

/* A set of n images (n, side, side, 3) that are in memory already, copied: a train split of one class, "0". */
TL_MUST_CHECK enum tl_rc img_of_pixels(const uint8_t *pixels, size_t n, unsigned side, struct img_set **ret_set,
                                       struct tl_err *err);

size_t img_n(const struct img_set *set, enum img_split split);
size_t img_n_classes(const struct img_set *set);
const char *img_class_name(const struct img_set *set, size_t label); /* borrowed; sorted by strcmp but for numbers */
int32_t img_label(const struct img_set *set, enum img_split split, size_t index); /* 0 <= label < img_n_classes */

/* An image in memory, and the room for reading it. Start with `= {0}`; its memory grows to the largest image it held. */
struct img_pixels {
    unsigned h, w;
    uint8_t *data; /* owned; (h, w, 3), red first, no padding */
    size_t cap;
    uint8_t *packed; /* owned; the file as it was read */
    size_t packed_cap;
};

void img_pixels_done(struct img_pixels *pixels);

/* Decode one image. Grey is repeated, CMYK converted, transparent PNG laid on white; orientation tags are not read.
 * TL_INVALID names the file: it does not decode, is cut off (complete JPEGs with damaged data are taken as they
 * decode), or is larger than the limits. TL_IO: it can not be read. On failure the pixels are undefined, but may be used
 * again. */
TL_MUST_CHECK enum tl_rc img_decode(const struct img_set *set, enum img_split split, size_t index,
                                    struct img_pixels *pixels, struct tl_err *err);

/* Told after every few thousand images, on the thread that called. */
typedef void img_progress(void *ctx, size_t n_done, size_t n_all);

/* Decode all images of both splits into memory, each brought to side x side (short side to `side`, centre cut out), on
 * the threads of `pool` (NULL: this one). Afterwards img_decode copies from there, and what an archive had in memory is
 * given back. An idx or CIFAR set with this side is there already: nothing happens. `budget` 0: 2 GiB.
 *
 * TL_TOO_LARGE: 3 * side * side * images is over the budget, or an image is wider or higher than side and would lose what
 * batches are cut from; nothing was changed, and img_decode works from the files.
 * TL_INVALID names the first image that does not decode. On failure the set is as it was. */
TL_MUST_CHECK enum tl_rc img_cache(struct img_set *set, unsigned side, size_t budget, struct tl_pool *pool,
                                   img_progress *progress, void *ctx, struct tl_err *err);

/* Mean and standard deviation of each channel over the train split, in units of a full channel (0 to 1), from at most
 * n_max images (0: all) taken at equal distances. Sums are whole numbers: the same for every pool. A channel that does
 * not vary gets 1. */
TL_MUST_CHECK enum tl_rc img_measure(const struct img_set *set, size_t n_max, struct tl_pool *pool, float ret_mean[3],
                                     float ret_std[3], struct tl_err *err);

/* ---- batches --------------------------------------------------------------------------------------------------- */

/* What is seen of an image. */
enum img_view {
    IMG_VIEW_WHOLE,        /* all of it, brought to the resolution: evaluation of small images */
    IMG_VIEW_CENTRE,       /* short side to 1.143 x resolution, centre cut out: evaluation of large images */
    IMG_VIEW_PAD_CROP,     /* moved by up to `pad` pixels each way: training on small images */
    IMG_VIEW_RESIZED_CROP, /* 0.08 to 1 of the area, ratio 3/4 to 4/3 (RandomResizedCrop): training on large images */
    IMG_VIEW_COUNT
};

/* How batches are made. Everything zero but n, resolution, and std is evaluation of small images in order. Pixels that
 * come from outside an image are the mean. */
struct img_spec {
    uint64_t seed;
    size_t n; /* images a batch, 1 to IMG_BATCH_MAX */
    enum img_split split;
    const uint32_t
        *list; /* the images that take part, by index; borrowed while the batches live; NULL: the whole split */
    size_t n_list;
    enum img_view view;
    bool shuffle; /* an order per epoch, the rest of it left out; false: by index, the last batch shorter */
    bool flip;    /* left and right exchanged, for every second image */
    unsigned pad; /* IMG_VIEW_PAD_CROP: pixels; 4 for 32 x 32 */
    /* Images wider or higher than this are seen as IMG_VIEW_CENTRE in place of IMG_VIEW_WHOLE, and as IMG_VIEW_RESIZED_CROP
     * in place of IMG_VIEW_PAD_CROP: each image by its own size, as sets mix them. 0: none are. */
    unsigned small_side;
    unsigned n_ops;   /* RandAugment: so many drawn operations an image; 0 to 8 */
    unsigned cutout;  /* side of a square of mean pixels, in 1/32 of the image's width; 0: none; 8 for CIFAR-10 */
    double magnitude; /* strength of the operations, 0 to 1; 0.3 is mild */
    double jitter; /* brightness, contrast and colour each by a factor in 1 +- jitter; 0 to 1; 0.4 for large images */
    float mean[3], std[3]; /* img_measure */
    unsigned resolution;   /* largest side of a batch, 1 to IMG_RESOLUTION_MAX */
    /* The side of one batch, 1 to `resolution`; NULL: always `resolution`. A pure function: called on any thread. */
    unsigned (*side_of)(void *ctx, uint64_t epoch, uint64_t step);
    void *side_ctx;
};

/* A batch. x (n, side, side, 3): (value / 255 - mean) / std. */
struct img_batch {
    float *x;        /* owned */
    int32_t *labels; /* owned; (n) */
    size_t n;
    unsigned side;
    uint64_t epoch, step;
};

struct img_batches;

/* `set` and `pool` are borrowed until img_batches_free; pool NULL: one thread. TL_INVALID names the field of the spec. */
TL_MUST_CHECK enum tl_rc img_batches_new(const struct img_set *set, const struct img_spec *spec, struct tl_pool *pool,
                                         struct img_batches **ret_batches, struct tl_err *err);
void img_batches_free(struct img_batches *batches); /* takes NULL */
size_t img_batches_an_epoch(const struct img_batches *batches);

/* Room for the largest batch of these; img_batch_done releases it. */
TL_MUST_CHECK enum tl_rc img_batch_init(struct img_batch *batch, const struct img_batches *batches, struct tl_err *err);
void img_batch_done(struct img_batch *batch);

/* Fill `batch` with batch `step` of `epoch` (step < img_batches_an_epoch). Any order of calls; an epoch's order is kept
 * until another is asked for. Takes memory only where an image is larger than all before it. Fails as img_decode does,
 * with the failure of the batch's first bad image. */
TL_MUST_CHECK enum tl_rc img_batches_fill(struct img_batches *batches, uint64_t epoch, uint64_t step,
                                          struct img_batch *batch, struct tl_err *err);

/* The pixels of image `place` of batches that are not shuffled as their batch would show them at `side`, before they are
 * normalised: pixels (side, side, 3). Fails as img_batches_fill does. */
TL_MUST_CHECK enum tl_rc img_batches_pixels(struct img_batches *batches, size_t place, unsigned side, uint8_t *pixels,
                                            struct tl_err *err);

/* ---- prefetching ----------------------------------------------------------------------------------------------- */

struct img_prefetch;

/* Batches one after the other, from batch `step` of `epoch` on and through the epochs, made ahead by a thread of its own
 * into a ring of `n_ahead` + 1 (n_ahead 0: no thread, each is made when it is asked for; at most 16). `batches` is in use
 * until img_prefetch_free; its pool must not be one that others run on meanwhile. */
TL_MUST_CHECK enum tl_rc img_prefetch_new(struct img_batches *batches, uint64_t epoch, uint64_t step, unsigned n_ahead,
                                          struct img_prefetch **ret_prefetch, struct tl_err *err);
void img_prefetch_free(struct img_prefetch *prefetch); /* waits for the batch that is being made; takes NULL */

/* The next batch, borrowed until the next call. A batch that can not be made fails in its turn, and so do all calls
 * after it. */
TL_MUST_CHECK enum tl_rc img_prefetch_next(struct img_prefetch *prefetch, const struct img_batch **ret_batch,
                                           struct tl_err *err);

#endif
