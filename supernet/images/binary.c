/* binary.c - sets in one file a split: MNIST's idx and CIFAR-10's batches. */
#include "supernet/images/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { PATH_BYTES = 4096 };

/* Exactly n bytes at the current place of a file, packed or not. */
static enum tl_rc read_exactly(gzFile file, const char *path, void *to, size_t n, struct tl_err *err)
{
    for (size_t done = 0; done < n;) {
        const size_t now = n - done < (1U << 30) ? n - done : 1U << 30;
        const int got = gzread(file, (uint8_t *)to + done, (unsigned)now);
        if (got <= 0) {
            return tl_fail(err, TL_MALFORMED, "%.200s is damaged or ends early: %zu bytes are missing", path, n - done);
        }
        done += (size_t)got;
    }
    return TL_OK;
}

/* Room for n more images of side x side; their first byte's place. */
static enum tl_rc more_pixels(struct img_set *set, size_t side, size_t n, size_t *ret_offset, struct tl_err *err)
{
    const size_t have = set->splits[IMG_TRAIN].n + set->splits[IMG_TEST].n, each = side * side * 3;
    if (set->side && set->side != side) {
        return tl_fail(err, TL_INVALID, "images of %zu and of %zu pixels a side are in one set", set->side, side);
    }
    uint8_t *pixels = realloc(set->pixels, (have + n) * each);
    if (!pixels) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu images", have + n);
    }
    set->pixels = pixels;
    set->side = side;
    *ret_offset = have * each;
    return TL_OK;
}

/* Classes named by their numbers. */
static enum tl_rc number_classes(struct img_set *set, size_t n, const char *const *names, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t c = set->n_classes; rc == TL_OK && c < n; c++) {
        char name[24];
        int32_t label = 0;
        (void)snprintf(name, sizeof name, "%zu", c);
        const char *use = names ? names[c] : name;
        rc = set_class(set, use, strlen(use), &label, err);
    }
    return rc;
}

/* ---- idx ----------------------------------------------------------------------------------------------------- */

static const char *const IDX_NAMES[IMG_SPLIT_COUNT] = {"train", "t10k"};

static gzFile open_either(const char *folder, const char *split, const char *what, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/%s-%s", folder, split, what);
    if (access(path, R_OK) != 0) {
        (void)snprintf(path, PATH_BYTES, "%s/%s-%s.gz", folder, split, what);
    }
    return gzopen(path, "rb");
}

static size_t big_endian(const uint8_t *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

/* Header of an idx file of bytes with `rank` dimensions. */
static enum tl_rc idx_header(gzFile file, const char *path, size_t rank, size_t *ret_shape, struct tl_err *err)
{
    uint8_t head[4 + 3 * 4];
    const enum tl_rc rc = read_exactly(file, path, head, 4 + rank * 4, err);
    if (rc) {
        return rc;
    }
    if (head[0] || head[1] || head[2] != 8 || head[3] != rank) {
        return tl_fail(err, TL_MALFORMED, "%.200s is no idx file of bytes with %zu dimensions", path, rank);
    }
    for (size_t i = 0; i < rank; i++) {
        ret_shape[i] = big_endian(head + 4 + 4 * i);
    }
    return TL_OK;
}

/* Grey to three channels; from the end, since they share memory. */
static void spread_grey(uint8_t *pixels, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        const uint8_t grey = pixels[i];
        pixels[3 * i] = grey;
        pixels[3 * i + 1] = grey;
        pixels[3 * i + 2] = grey;
    }
}

static enum tl_rc idx_images(struct img_set *set, gzFile file, const char *path, size_t *ret_n, size_t *ret_offset,
                             struct tl_err *err)
{
    size_t shape[3] = {0};
    enum tl_rc rc = idx_header(file, path, 3, shape, err);
    if (rc) {
        return rc;
    }
    if (shape[0] == 0 || shape[0] > IMG_COUNT_MAX || shape[1] != shape[2] || shape[1] == 0 || shape[1] > IMG_KEPT_SIDE) {
        return tl_fail(err, TL_INVALID, "%.200s holds %zu images of %zu x %zu; square ones up to %d pixels can be read",
                       path, shape[0], shape[2], shape[1], IMG_KEPT_SIDE);
    }
    const size_t bytes = shape[0] * shape[1] * shape[1];
    rc = more_pixels(set, shape[1], shape[0], ret_offset, err);
    rc = rc ? rc : read_exactly(file, path, set->pixels + *ret_offset, bytes, err);
    if (rc == TL_OK) {
        spread_grey(set->pixels + *ret_offset, bytes);
        *ret_n = shape[0];
    }
    return rc;
}

static enum tl_rc idx_labels(struct img_set *set, enum img_split split, gzFile file, const char *path, size_t n,
                             size_t offset, struct tl_err *err)
{
    size_t count = 0;
    enum tl_rc rc = idx_header(file, path, 1, &count, err);
    if (rc == TL_OK && count != n) {
        rc = tl_fail(err, TL_INVALID, "%.200s holds %zu labels for %zu images", path, count, n);
    }
    for (size_t i = 0; rc == TL_OK && i < n; i++) {
        uint8_t label = 0;
        rc = read_exactly(file, path, &label, 1, err);
        rc = rc ? rc : number_classes(set, (size_t)label + 1, NULL, err);
        const struct img_item item = {.label = label, .offset = offset + i * set->side * set->side * 3};
        rc = rc ? rc : set_add(set, split, &item, NULL, err);
    }
    return rc;
}

static enum tl_rc idx_split(struct img_set *set, enum img_split split, const char *folder, struct tl_err *err)
{
    char path[PATH_BYTES];
    size_t n = 0, offset = 0;
    gzFile images = open_either(folder, IDX_NAMES[split], "images-idx3-ubyte", path);
    if (!images) {
        return TL_NOT_FOUND; /* of the kind that is looked for, or without a test split */
    }
    enum tl_rc rc = idx_images(set, images, path, &n, &offset, err);
    (void)gzclose(images);
    if (rc) {
        return rc;
    }
    gzFile labels = open_either(folder, IDX_NAMES[split], "labels-idx1-ubyte", path);
    if (!labels) {
        return tl_fail_sys(err, "cannot read %.200s", path);
    }
    rc = idx_labels(set, split, labels, path, n, offset, err);
    (void)gzclose(labels);
    return rc;
}

enum tl_rc set_read_idx(struct img_set *set, const char *path, struct tl_err *err)
{
    enum tl_rc rc = idx_split(set, IMG_TRAIN, path, err);
    if (rc) {
        return rc;
    }
    rc = idx_split(set, IMG_TEST, path, err);
    return rc == TL_NOT_FOUND ? TL_OK : rc;
}

/* ---- CIFAR-10 ------------------------------------------------------------------------------------------------ */

enum { CIFAR_SIDE = 32, CIFAR_PLANE = CIFAR_SIDE * CIFAR_SIDE, CIFAR_RECORD = 1 + 3 * CIFAR_PLANE, CIFAR_BATCH = 10000 };

static const char *const CIFAR_NAMES[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                          "dog",      "frog",       "horse", "ship", "truck"};

static enum tl_rc cifar_record(struct img_set *set, enum img_split split, const char *path, const uint8_t *record,
                               size_t offset, struct tl_err *err)
{
    if (record[0] >= TL_COUNT_OF(CIFAR_NAMES)) {
        return tl_fail(err, TL_INVALID, "%.200s has label %u; CIFAR-10's are 0 to 9", path, record[0]);
    }
    for (size_t p = 0; p < CIFAR_PLANE; p++) {
        for (size_t c = 0; c < 3; c++) {
            set->pixels[offset + p * 3 + c] = record[1 + c * CIFAR_PLANE + p];
        }
    }
    return set_add(set, split, &(struct img_item){.label = record[0], .offset = offset}, NULL, err);
}

static enum tl_rc cifar_file(struct img_set *set, enum img_split split, const char *folder, const char *name,
                             struct tl_err *err)
{
    char path[PATH_BYTES];
    uint8_t record[CIFAR_RECORD];
    size_t offset = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (access(path, R_OK) != 0) {
        return TL_NOT_FOUND;
    }
    gzFile file = gzopen(path, "rb");
    enum tl_rc rc = file ? number_classes(set, TL_COUNT_OF(CIFAR_NAMES), CIFAR_NAMES, err)
                         : tl_fail_sys(err, "cannot read %.200s", path);
    rc = rc ? rc : more_pixels(set, CIFAR_SIDE, CIFAR_BATCH, &offset, err);
    for (size_t i = 0; rc == TL_OK && i < CIFAR_BATCH; i++) {
        rc = read_exactly(file, path, record, sizeof record, err);
        rc = rc ? rc : cifar_record(set, split, path, record, offset + i * 3 * CIFAR_PLANE, err);
    }
    if (file) {
        (void)gzclose(file);
    }
    return rc;
}

enum tl_rc set_read_cifar(struct img_set *set, const char *path, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (int b = 1; rc == TL_OK && b <= 5; b++) {
        char name[32];
        (void)snprintf(name, sizeof name, "data_batch_%d.bin", b);
        rc = cifar_file(set, IMG_TRAIN, path, name, err);
        if (rc == TL_NOT_FOUND && b > 1) {
            return tl_fail(err, TL_INVALID, "%.200s has data_batch_1.bin but not %s", path, name);
        }
    }
    if (rc) {
        return rc;
    }
    rc = cifar_file(set, IMG_TEST, path, "test_batch.bin", err);
    return rc == TL_NOT_FOUND ? TL_OK : rc;
}
