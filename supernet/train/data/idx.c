/* idx.c - MNIST's format: a big-endian header of the sizes, then one byte a pixel or label. */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

/* Which of the four files is which. */
static const struct {
    const char *const words[2];
    const char *end;
    enum img_split split;
    bool images;
} parts[] = {
    {{"train-images", "train-images"}, "idx3-ubyte", IMG_TRAIN, true},
    {{"train-labels", "train-labels"}, "idx1-ubyte", IMG_TRAIN, false},
    {{"t10k-images", "test-images"}, "idx3-ubyte", IMG_TEST, true},
    {{"t10k-labels", "test-labels"}, "idx1-ubyte", IMG_TEST, false},
};

/* One file, unpacked. */
struct idx {
    const char *name;
    uint8_t *bytes; /* owned */
    size_t n_bytes;
    size_t n, h, w;
};

static void idx_done(struct idx *idx)
{
    free(idx->bytes);
}

static enum tl_rc find(const struct img_set *set, size_t part, const struct member **ret_member, struct tl_err *err)
{
    const struct catalogue *catalogue = &set->catalogue;
    const struct member *found = NULL;
    for (size_t i = 0; i < catalogue->n; i++) {
        const struct member *member = &catalogue->members[i];
        const char *base = base_of(member->name);
        if (!strstr(base, parts[part].end) ||
            (!strstr(base, parts[part].words[0]) && !strstr(base, parts[part].words[1]))) {
            continue;
        }
        if (found) {
            return tl_fail(err, TL_INVALID, "%.140s has both %.100s and %.100s; keep one", catalogue->path, found->name,
                           member->name);
        }
        found = member;
    }
    if (!found) {
        return tl_fail(err, TL_INVALID, "%.200s has idx files, but no %s-%s[.gz]", catalogue->path,
                       parts[part].words[0], parts[part].end);
    }
    *ret_member = found;
    return TL_OK;
}

static size_t big_endian(const uint8_t *bytes)
{
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

static enum tl_rc check_header(struct idx *idx, size_t part, const struct catalogue *catalogue, struct tl_err *err)
{
    const bool images = parts[part].images;
    const size_t header_n = images ? 16 : 8;
    const uint8_t magic[4] = {0, 0, 8, images ? 3 : 1};
    if (idx->n_bytes < header_n || memcmp(idx->bytes, magic, sizeof magic) != 0) {
        return tl_fail(err, TL_MALFORMED, WHO_F "is no idx file of %s (it does not begin with 00 00 08 0%d)",
                       WHO(catalogue, idx->name), images ? "images" : "labels", magic[3]);
    }
    idx->n = big_endian(idx->bytes + 4);
    idx->h = images ? big_endian(idx->bytes + 8) : 1;
    idx->w = images ? big_endian(idx->bytes + 12) : 1;
    if (idx->n > catalogue->limits.images_max) {
        return tl_fail(err, TL_TOO_LARGE, WHO_F "says that it has %zu images; at most %zu", WHO(catalogue, idx->name),
                       idx->n, catalogue->limits.images_max);
    }
    if (idx->h < 1 || idx->w < 1 || idx->h > IMG_SIDE_MAX || idx->w > IMG_SIDE_MAX) {
        return tl_fail(err, TL_INVALID, WHO_F "says that images are %zu x %zu; a side is 1 to %d",
                       WHO(catalogue, idx->name), idx->h, idx->w, IMG_SIDE_MAX);
    }
    const uint64_t need = header_n + (uint64_t)idx->n * idx->h * idx->w; /* below 2^62 */
    if (need != idx->n_bytes) {
        return tl_fail(err, TL_MALFORMED, WHO_F "has %zu bytes, and %zu %s need %llu", WHO(catalogue, idx->name),
                       idx->n_bytes, idx->n, images ? "images" : "labels", (unsigned long long)need);
    }
    return TL_OK;
}

static enum tl_rc read_part(const struct img_set *set, size_t part, struct idx *ret_idx, struct tl_err *err)
{
    const struct catalogue *catalogue = &set->catalogue;
    const struct member *member = NULL;
    const uint8_t *bytes = NULL;
    uint8_t *buffer = NULL;
    size_t cap = 0, n = 0;
    enum tl_rc rc = find(set, part, &member, err);
    rc = rc ? rc : catalogue_read(catalogue, member, catalogue->limits.archive_max, &buffer, &cap, &bytes, &n, err);
    if (rc) {
        free(buffer);
        return rc;
    }
    ret_idx->name = member->name;
    if (n >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
        rc = gunzip(bytes, n, catalogue->limits.archive_max, catalogue, member->name, &ret_idx->bytes,
                    &ret_idx->n_bytes, err);
        free(buffer);
    } else {
        rc = bytes == buffer ? TL_OK : room_for(&buffer, &cap, n, err);
        if (!rc && bytes != buffer && n) {
            memcpy(buffer, bytes, n);
        }
        ret_idx->bytes = buffer;
        ret_idx->n_bytes = n;
    }
    return rc ? rc : check_header(ret_idx, part, catalogue, err);
}

/* Images and labels of one split; *classes is raised to its largest label + 1. */
static enum tl_rc read_split(struct img_set *set, enum img_split which, size_t *classes, struct tl_err *err)
{
    struct split *split = &set->splits[which];
    TL_AUTO(idx) images = {0};
    TL_AUTO(idx) labels = {0};
    enum tl_rc rc = read_part(set, which == IMG_TRAIN ? 0 : 2, &images, err);
    rc = rc ? rc : read_part(set, which == IMG_TRAIN ? 1 : 3, &labels, err);
    if (rc) {
        return rc;
    }
    if (images.n != labels.n) {
        return tl_fail(err, TL_INVALID, WHO_F "has %zu images, and %.100s has %zu labels",
                       WHO(&set->catalogue, images.name), images.n, labels.name, labels.n);
    }
    if (which == IMG_TEST && (images.h != set->h || images.w != set->w)) {
        return tl_fail(err, TL_INVALID, WHO_F "its images are %zu x %zu, and those to train on %u x %u",
                       WHO(&set->catalogue, images.name), images.h, images.w, set->h, set->w);
    }
    set->h = (unsigned)images.h;
    set->w = (unsigned)images.w;
    set->stride = images.h * images.w;
    rc = split_new(split, images.n, false, err);
    if (rc) {
        return rc;
    }
    for (size_t i = 0; i < labels.n; i++) {
        split->labels[i] = labels.bytes[8 + i];
        *classes = *classes > labels.bytes[8 + i] ? *classes : (size_t)labels.bytes[8 + i] + 1;
    }
    split->packed = images.bytes;
    split->first = 16;
    images.bytes = NULL; /* taken by the split */
    return TL_OK;
}

enum tl_rc idx_read(struct img_set *set, struct tl_err *err)
{
    size_t classes[IMG_SPLIT_COUNT] = {0};
    enum tl_rc rc = read_split(set, IMG_TRAIN, &classes[IMG_TRAIN], err);
    rc = rc ? rc : read_split(set, IMG_TEST, &classes[IMG_TEST], err);
    if (!rc && set->splits[IMG_TEST].n && classes[IMG_TRAIN] != classes[IMG_TEST]) {
        rc = tl_fail(err, TL_INVALID, "%.200s: the labels to train on go to %zu, those to test with to %zu",
                     set->catalogue.path, classes[IMG_TRAIN] - 1, classes[IMG_TEST] - 1);
    }
    rc = rc ? rc : set_classes_new(set, classes[IMG_TRAIN], err);
    return rc ? rc : set_number_classes(set, err);
}
