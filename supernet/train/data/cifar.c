/* cifar.c - CIFAR-10's binary version: records of one label and the planes of 32 x 32 red, green and blue. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 32, RECORD = 1 + 3 * SIDE * SIDE, CLASSES = 10, TRAIN_FILES_MAX = 5, META_MAX = 4096 };

static const struct member *find(const struct catalogue *catalogue, const char *base)
{
    for (size_t i = 0; i < catalogue->n; i++) {
        if (strcmp(base_of(catalogue->members[i].name), base) == 0) {
            return &catalogue->members[i];
        }
    }
    return NULL;
}

/* Append the records of one file to the split; the bytes are checked. */
static enum tl_rc add_file(struct img_set *set, struct split *split, const struct member *member, struct tl_err *err)
{
    const struct catalogue *catalogue = &set->catalogue;
    const uint8_t *bytes = NULL;
    uint8_t *buffer = NULL;
    size_t cap = 0, n = 0;
    enum tl_rc rc = catalogue_read(catalogue, member, catalogue->limits.archive_max, &buffer, &cap, &bytes, &n, err);
    if (!rc && (n == 0 || n % RECORD)) {
        rc = tl_fail(err, TL_MALFORMED, WHO_F "has %zu bytes, which are no whole number of CIFAR-10's records of %d",
                     WHO(catalogue, member->name), n, RECORD);
    }
    for (size_t i = 0; !rc && i < n; i += RECORD) {
        if (bytes[i] >= CLASSES) {
            rc = tl_fail(err, TL_INVALID, WHO_F "record %zu has label %d; CIFAR-10 has 0 to %d",
                         WHO(catalogue, member->name), i / RECORD, bytes[i], CLASSES - 1);
        }
    }
    const size_t before = split->n * RECORD;
    if (!rc && n > catalogue->limits.archive_max - before) {
        rc = tl_fail(err, TL_TOO_LARGE, WHO_F "with it the set has more than %zu bytes", WHO(catalogue, member->name),
                     catalogue->limits.archive_max);
    }
    uint8_t *packed = rc ? NULL : realloc(split->packed, before + n);
    if (!rc && !packed) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for %zu images", split->n + n / RECORD);
    }
    if (!rc) {
        memcpy(packed + before, bytes, n);
        split->packed = packed;
        split->n += n / RECORD;
    }
    free(buffer);
    return rc;
}

static enum tl_rc add_labels(struct split *split, struct tl_err *err)
{
    const enum tl_rc rc = split_new(split, split->n, false, err);
    for (size_t i = 0; !rc && i < split->n; i++) {
        split->labels[i] = split->packed[i * RECORD];
    }
    split->first = 1;
    return rc;
}

/* The class names: a line each. Fewer than ten leave numbers. */
static enum tl_rc read_names(struct img_set *set, const struct member *member, struct tl_err *err)
{
    struct catalogue *catalogue = &set->catalogue;
    const uint8_t *bytes = NULL;
    uint8_t *buffer = NULL;
    size_t cap = 0, n = 0;
    enum tl_rc rc = catalogue_read(catalogue, member, META_MAX, &buffer, &cap, &bytes, &n, err);
    for (size_t at = 0, i = 0; !rc && n <= META_MAX && at < n && i < set->n_classes; i++) {
        size_t end = at;
        while (end < n && bytes[end] > ' ' && bytes[end] < 0x7f) {
            end++;
        }
        if (end == at || end - at > 64) {
            break;
        }
        set->class_names[i] = catalogue_text(catalogue, (const char *)bytes + at, end - at);
        rc = set->class_names[i] ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for class names");
        at = end;
        while (at < n && (bytes[at] == '\r' || bytes[at] == '\n')) {
            at++;
        }
    }
    free(buffer);
    return rc;
}

enum tl_rc cifar_read(struct img_set *set, struct tl_err *err)
{
    const struct catalogue *catalogue = &set->catalogue;
    struct split *train = &set->splits[IMG_TRAIN], *test = &set->splits[IMG_TEST];
    const struct member *member = find(catalogue, "test_batch.bin");
    if (!member) {
        return tl_fail(err, TL_INVALID, "%.200s has no test_batch.bin", catalogue->path);
    }
    enum tl_rc rc = add_file(set, test, member, err);
    for (int i = 1; !rc && i <= TRAIN_FILES_MAX; i++) {
        char base[32];
        (void)snprintf(base, sizeof base, "data_batch_%d.bin", i);
        member = find(catalogue, base);
        rc = member ? add_file(set, train, member, err)
                    : tl_fail(err, TL_INVALID, "%.200s has no %s", catalogue->path, base);
    }
    rc = rc ? rc : add_labels(train, err);
    rc = rc ? rc : add_labels(test, err);
    rc = rc ? rc : set_classes_new(set, CLASSES, err);
    member = find(catalogue, "batches.meta.txt");
    rc = rc || !member ? rc : read_names(set, member, err);
    set->h = SIDE;
    set->w = SIDE;
    set->stride = RECORD;
    set->planar = true;
    return rc ? rc : set_number_classes(set, err);
}
