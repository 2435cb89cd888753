/* parts.h - what the files of this room share.
 *
 * A catalogue is a list of named files, wherever they are: in a folder, in a plain tar, in memory. What the names mean
 * is found out afterwards (set.c), so that idx, CIFAR and class folders work in all three places.
 */
#ifndef TAILOR_DATA_PARTS_H
#define TAILOR_DATA_PARTS_H

#include "supernet/train/data/images.h"

#include <zlib.h>

/* ---- catalogue.c ------------------------------------------------------------------------------------------------- */

struct member {
    const char *name; /* borrowed from the catalogue's chunks */
    uint64_t at;      /* offset in the archive or in memory */
    uint64_t size;
};

enum place { IN_FOLDER, IN_TAR, IN_MEMORY };

struct chunk; /* text of names, which never moves */

struct catalogue {
    char *path; /* owned; as the user gave it */
    enum place place;
    int fd;         /* IN_TAR: the archive; else -1 */
    uint8_t *bytes; /* owned; IN_MEMORY: the members' bytes */
    size_t n_bytes, bytes_cap;
    struct member *members; /* owned */
    size_t n, cap;
    struct chunk *chunks; /* owned */
    size_t n_text;        /* bytes in them */
    struct img_opts limits;
};

/* How a member is named in messages: printf(WHO_F "...", WHO(catalogue, name)). */
#define WHO_F                "%.140s%s%.200s: "
#define WHO(catalogue, name) (catalogue)->path, (catalogue)->place == IN_FOLDER ? "/" : ": ", (name)

enum kind { KIND_NONE, KIND_IMAGE, KIND_IDX, KIND_CIFAR };

TL_MUST_CHECK enum tl_rc catalogue_init(struct catalogue *catalogue, const char *path, const struct img_opts *opts,
                                        struct tl_err *err);
void catalogue_done(struct catalogue *catalogue);
/* What a name says that the file is; hidden files are KIND_NONE. */
enum kind kind_of(const char *name);
const char *base_of(const char *name);
bool ends_with(const char *text, const char *end); /* letters in either case */
/* A copy of n bytes and a NUL that lives as long as the catalogue; NULL: no memory. */
const char *catalogue_text(struct catalogue *catalogue, const char *text, size_t n);
TL_MUST_CHECK enum tl_rc catalogue_add(struct catalogue *catalogue, const char *name, uint64_t at, uint64_t size,
                                       struct tl_err *err);
/* Room for n more bytes in memory; *ret_room is where to put them. */
TL_MUST_CHECK enum tl_rc catalogue_room(struct catalogue *catalogue, const char *name, size_t n, uint8_t **ret_room,
                                        struct tl_err *err);
/* By name; a name that is there twice is TL_INVALID. */
TL_MUST_CHECK enum tl_rc catalogue_sort(struct catalogue *catalogue, struct tl_err *err);
/* The bytes of a member of at most `max` bytes, borrowed from the catalogue or from *buffer (owned, of *cap bytes,
 * enlarged as needed). */
TL_MUST_CHECK enum tl_rc catalogue_read(const struct catalogue *catalogue, const struct member *member, size_t max,
                                        uint8_t **buffer, size_t *cap, const uint8_t **ret_bytes, size_t *ret_n,
                                        struct tl_err *err);
/* Make *block hold at least n bytes; what is in it is lost. */
TL_MUST_CHECK enum tl_rc room_for(uint8_t **block, size_t *cap, size_t n, struct tl_err *err);

/* ---- folder.c ------------------------------------------------------------------------------------------------------ */

TL_MUST_CHECK enum tl_rc folder_index(struct catalogue *catalogue, struct tl_err *err);

/* ---- stream.c, tar.c ------------------------------------------------------------------------------------------------ */

/* Bytes from first to last: a file, through zlib where it is compressed, or memory. */
struct stream {
    gzFile gz;             /* owned; NULL: memory */
    const uint8_t *memory; /* borrowed */
    uint64_t size;         /* of memory, or of a plain file; of a compressed one, what it may unpack to */
    uint64_t at;
    bool packed;      /* compressed */
    const char *path; /* borrowed */
};

TL_MUST_CHECK enum tl_rc stream_open(struct stream *stream, const char *path, uint64_t packed_max, struct tl_err *err);
void stream_done(struct stream *stream);
/* n bytes, fewer only at the end. */
TL_MUST_CHECK enum tl_rc stream_read(struct stream *stream, void *bytes, size_t n, size_t *ret_got, struct tl_err *err);
/* Pass n bytes over; TL_MALFORMED: there are fewer. */
TL_MUST_CHECK enum tl_rc stream_skip(struct stream *stream, uint64_t n, struct tl_err *err);
/* Unpack gzip bytes into a new block of at most `max` bytes. */
TL_MUST_CHECK enum tl_rc gunzip(const uint8_t *packed, size_t packed_n, size_t max, const struct catalogue *catalogue,
                                const char *name, uint8_t **ret_bytes, size_t *ret_n, struct tl_err *err);

/* Put the members of a tar (ustar, with pax and GNU long names) that are of a kind into the catalogue; IN_MEMORY: with
 * their bytes. */
TL_MUST_CHECK enum tl_rc tar_index(struct stream *stream, struct catalogue *catalogue, struct tl_err *err);

/* ---- set.c ------------------------------------------------------------------------------------------------------- */

struct split {
    size_t n;
    int32_t *labels;       /* owned; (n) */
    uint32_t *members;     /* owned; (n): index into the catalogue; NULL: packed */
    uint8_t *packed;       /* owned; pixels of an idx or CIFAR set */
    size_t first;          /* byte of the first image in `packed` */
    const uint8_t *cached; /* borrowed from the set's cache; NULL: none */
};

struct img_set {
    struct catalogue catalogue;
    struct split splits[IMG_SPLIT_COUNT];
    const char **class_names; /* owned; texts of the catalogue */
    size_t n_classes;
    unsigned h, w;  /* of packed images */
    size_t stride;  /* bytes from one packed image to the next */
    bool planar;    /* red, green and blue planes (CIFAR); else grey (idx) */
    uint8_t *cache; /* owned; all images of both splits, (side, side, 3) */
    unsigned side;  /* of cached images */
};

/* Make a set of the archive in a stream: what img_open does with a file. */
TL_MUST_CHECK enum tl_rc set_from_memory(const uint8_t *bytes, size_t n, const struct img_opts *opts,
                                         struct img_set **ret_set, struct tl_err *err);
TL_MUST_CHECK enum tl_rc set_classes_new(struct img_set *set, size_t n, struct tl_err *err);
/* Names 0, 1, ... for the classes that have none. */
TL_MUST_CHECK enum tl_rc set_number_classes(struct img_set *set, struct tl_err *err);
TL_MUST_CHECK enum tl_rc split_new(struct split *split, size_t n, bool with_members, struct tl_err *err);

/* ---- idx.c, cifar.c, classes.c: what the catalogue's names mean ------------------------------------------------------- */

TL_MUST_CHECK enum tl_rc idx_read(struct img_set *set, struct tl_err *err);
TL_MUST_CHECK enum tl_rc cifar_read(struct img_set *set, struct tl_err *err);
TL_MUST_CHECK enum tl_rc classes_read(struct img_set *set, struct tl_err *err);

/* ---- decode.c ------------------------------------------------------------------------------------------------------ */

/* JPEG or PNG, told by its first bytes. */
TL_MUST_CHECK enum tl_rc file_decode(const uint8_t *bytes, size_t n, const struct catalogue *catalogue,
                                     const char *name, struct img_pixels *pixels, struct tl_err *err);
/* Refuse what is larger than the limits, and make room for h x w. */
TL_MUST_CHECK enum tl_rc pixels_room(struct img_pixels *pixels, size_t h, size_t w, size_t packed_n,
                                     const struct catalogue *catalogue, const char *name, struct tl_err *err);
TL_MUST_CHECK enum tl_rc jpeg_decode(const uint8_t *bytes, size_t n, const struct catalogue *catalogue,
                                     const char *name, struct img_pixels *pixels, struct tl_err *err);

/* ---- resize.c ------------------------------------------------------------------------------------------------------ */

/* A part of an image, in pixels; may begin and end within them. */
struct box {
    double x, y, w, h;
};

/* One direction of a resize: for each output pixel the input pixels that it is made of and their weights, which sum to
 * 1 << 22. Kept from one image to the next of the same size. */
struct axis {
    unsigned n_in, n_out, taps;
    double from, length;
    uint32_t *first; /* owned; (n_out) */
    int32_t *weight; /* owned; (n_out, taps) */
    size_t first_cap, weight_cap;
};

struct resizer {
    struct axis x, y;
    uint8_t *rows; /* owned; the input's rows at the output's width */
    size_t rows_cap;
    int32_t *sums; /* owned; one output row */
    size_t sums_cap;
};

void resizer_done(struct resizer *resizer);
/* out (oh, ow, 3) = the box of in (h, w, 3): bilinear, the triangle widened to cover what an output pixel stands for when
 * shrinking. */
TL_MUST_CHECK enum tl_rc resize(struct resizer *resizer, const uint8_t *in, unsigned h, unsigned w, struct box box,
                                uint8_t *out, unsigned oh, unsigned ow, struct tl_err *err);
/* The centre of an image: a square whose side is `share` of the short side. */
struct box centre_box(unsigned h, unsigned w, double share);

/* ---- augment.c ------------------------------------------------------------------------------------------------------ */

/* An image and a second one of its size, to draw it anew into. */
struct canvas {
    uint8_t *now, *other;
    unsigned h, w;
    uint8_t fill[3];
};

void augment_ops(struct canvas *canvas, unsigned n_ops, double magnitude, struct tl_rng *rng);
void augment_jitter(struct canvas *canvas, double jitter, struct tl_rng *rng);
void augment_cutout(struct canvas *canvas, unsigned side, struct tl_rng *rng);
/* now (h, w) = in, seen `dx`, `dy` pixels further right and down, flipped or not. */
void augment_shift(struct canvas *canvas, const uint8_t *in, int dx, int dy, bool flip);
/* RandomResizedCrop. */
struct box augment_crop(unsigned h, unsigned w, struct tl_rng *rng);

/* ---- workers.c ------------------------------------------------------------------------------------------------------ */

/* What one thread needs to work on an image; grows to the largest. */
struct worker {
    struct img_pixels pixels;
    struct resizer resizer;
    uint8_t *canvas[2]; /* owned */
    size_t canvas_cap[2];
    uint64_t sums[6]; /* of img_measure */
    size_t failed_at; /* the first image that failed on this thread */
    struct tl_err err;
    enum tl_rc rc;
};

struct workers {
    struct tl_pool *pool; /* borrowed; NULL: this thread alone */
    struct worker *each;  /* owned */
    unsigned n;
};

typedef enum tl_rc worker_fn(void *ctx, size_t index, struct worker *worker, struct tl_err *err);

TL_MUST_CHECK enum tl_rc workers_init(struct workers *workers, struct tl_pool *pool, struct tl_err *err);
void workers_done(struct workers *workers);
/* fn for every index below n, on all threads; fails as the lowest index that failed did, whatever the threads. */
TL_MUST_CHECK enum tl_rc workers_run(struct workers *workers, worker_fn *fn, void *ctx, size_t n, struct tl_err *err);

#endif
