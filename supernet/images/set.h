/* set.h - what the readers of image sets fill; private to images. */
#ifndef TAILOR_IMAGES_SET_H
#define TAILOR_IMAGES_SET_H

#include "supernet/images/images.h"

/* One image: where its bytes are. */
struct img_item {
    int32_t label;
    size_t offset, n; /* of its encoded bytes in the archive; or of its pixels in `pixels` (n 0) */
    char *path;       /* owned; the file, or the archive's member, for messages too; NULL: none */
};

struct img_list {
    struct img_item *items; /* owned */
    size_t n, room;
};

struct img_set {
    struct img_list splits[IMG_SPLIT_COUNT];
    char **classes; /* owned, sorted */
    size_t n_classes, classes_room;
    size_t side;       /* of kept images, 0: not kept */
    uint8_t *pixels;   /* owned: kept images, (n, side, side, 3) */
    uint8_t *archive;  /* owned: encoded images one after the other; NULL: items are files */
    size_t archive_n, archive_room;
};

/* Append; `path` is copied (NULL: none). */
TL_MUST_CHECK enum tl_rc set_add(struct img_set *set, enum img_split split, const struct img_item *item,
                                 const char *path, struct tl_err *err);

/* The number of a class, made if it is new. */
TL_MUST_CHECK enum tl_rc set_class(struct img_set *set, const char *name, size_t n, int32_t *ret_label,
                                   struct tl_err *err);

/* Readers: TL_NOT_FOUND when the path is not theirs. */
TL_MUST_CHECK enum tl_rc set_read_idx(struct img_set *set, const char *path, struct tl_err *err);
TL_MUST_CHECK enum tl_rc set_read_cifar(struct img_set *set, const char *path, struct tl_err *err);
TL_MUST_CHECK enum tl_rc set_read_folder(struct img_set *set, const char *path, struct tl_err *err);
TL_MUST_CHECK enum tl_rc set_read_tar(struct img_set *set, const char *path, img_progress *progress, void *ctx,
                                      struct tl_err *err);

/* Where an image file belongs: ".../train/CLASS/NAME.jpg". False: it is no image, or has no class. */
bool set_place(const char *path, enum img_split *ret_split, const char **ret_class, size_t *ret_class_n);

/* A JPEG or PNG in memory: its size; and its pixels (h * w * 3). `name` is for messages. */
TL_MUST_CHECK enum tl_rc decode_size(const uint8_t *bytes, size_t n, const char *name, size_t *ret_h, size_t *ret_w,
                                     struct tl_err *err);
TL_MUST_CHECK enum tl_rc decode(const uint8_t *bytes, size_t n, const char *name, uint8_t *ret_pixels, size_t h,
                                size_t w, struct tl_err *err);

#endif
