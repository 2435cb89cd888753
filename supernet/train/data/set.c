/* set.c - a data set: found out what it is, and asked. */
#include "parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum tl_rc set_classes_new(struct img_set *set, size_t n, struct tl_err *err)
{
    set->class_names = calloc(n ? n : 1, sizeof *set->class_names);
    set->n_classes = set->class_names ? n : 0;
    return set->class_names ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for %zu class names", n);
}

enum tl_rc set_number_classes(struct img_set *set, struct tl_err *err)
{
    for (size_t i = 0; i < set->n_classes; i++) {
        char text[24];
        const int n = snprintf(text, sizeof text, "%zu", i);
        if (!set->class_names[i]) {
            set->class_names[i] = catalogue_text(&set->catalogue, text, (size_t)n);
        }
        if (!set->class_names[i]) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for class names");
        }
    }
    return TL_OK;
}

enum tl_rc split_new(struct split *split, size_t n, bool with_members, struct tl_err *err)
{
    split->n = n;
    split->labels = malloc(n ? n * sizeof *split->labels : 1);
    split->members = with_members ? malloc(n ? n * sizeof *split->members : 1) : NULL;
    return split->labels && (split->members || !with_members)
               ? TL_OK
               : tl_fail(err, TL_NO_MEMORY, "no memory for the labels of %zu images", n);
}

/* What the catalogue's files make; they must be of one kind. */
static enum tl_rc find_out(struct img_set *set, struct tl_err *err)
{
    const struct catalogue *catalogue = &set->catalogue;
    const char *first[4] = {0};
    for (size_t i = 0; i < catalogue->n; i++) {
        const enum kind kind = kind_of(catalogue->members[i].name);
        first[kind] = first[kind] ? first[kind] : catalogue->members[i].name;
    }
    if (!!first[KIND_IMAGE] + !!first[KIND_IDX] + !!first[KIND_CIFAR] > 1) {
        return tl_fail(err, TL_INVALID, "%.140s has more than one data set: %.100s and %.100s", catalogue->path,
                       first[KIND_IDX] ? first[KIND_IDX] : first[KIND_CIFAR],
                       first[KIND_IMAGE] ? first[KIND_IMAGE] : first[KIND_CIFAR]);
    }
    if (first[KIND_IDX]) {
        return idx_read(set, err);
    }
    if (first[KIND_CIFAR]) {
        return cifar_read(set, err);
    }
    if (first[KIND_IMAGE]) {
        return classes_read(set, err);
    }
    return tl_fail(err, TL_INVALID,
                   "%.200s has no images: neither train/CLASS/*.jpg or *.png, nor idx files (train-images-idx3-ubyte), "
                   "nor CIFAR-10's data_batch_1.bin",
                   catalogue->path);
}

/* From an indexed catalogue to a set. */
static enum tl_rc build(struct img_set *set, struct tl_err *err)
{
    enum tl_rc rc = catalogue_sort(&set->catalogue, err);
    rc = rc ? rc : find_out(set, err);
    if (!rc && !set->splits[IMG_TRAIN].n) {
        rc = tl_fail(err, TL_INVALID, "%.200s has no images to train on", set->catalogue.path);
    }
    return rc;
}

/* An archive, plain or compressed, in a file. */
static enum tl_rc index_archive(struct catalogue *catalogue, struct tl_err *err)
{
    struct stream stream = {0};
    enum tl_rc rc = stream_open(&stream, catalogue->path, catalogue->limits.archive_max, err);
    if (rc) {
        return rc;
    }
    catalogue->place = stream.packed ? IN_MEMORY : IN_TAR;
    rc = tar_index(&stream, catalogue, err);
    stream_done(&stream);
    if (!rc && catalogue->place == IN_TAR) {
        catalogue->fd = open(catalogue->path, O_RDONLY | O_CLOEXEC);
        rc = catalogue->fd < 0 ? tl_fail_sys(err, "cannot open %.300s", catalogue->path) : TL_OK;
    }
    return rc;
}

static enum tl_rc index_path(struct catalogue *catalogue, struct tl_err *err)
{
    struct stat status;
    if (stat(catalogue->path, &status)) {
        return errno == ENOENT ? tl_fail(err, TL_NOT_FOUND, "there is no data set %.300s", catalogue->path)
                               : tl_fail_sys(err, "cannot read %.300s", catalogue->path);
    }
    if (S_ISDIR(status.st_mode)) {
        catalogue->place = IN_FOLDER;
        return folder_index(catalogue, err);
    }
    if (!S_ISREG(status.st_mode)) {
        return tl_fail(err, TL_INVALID, "%.300s is neither a folder nor an archive", catalogue->path);
    }
    return index_archive(catalogue, err);
}

/* NULL, with the failure recorded: no memory, or limits that are none. */
static struct img_set *set_new(const char *path, const struct img_opts *opts, enum tl_rc *rc, struct tl_err *err)
{
    struct img_set *set = calloc(1, sizeof *set);
    *rc =
        set ? catalogue_init(&set->catalogue, path, opts, err) : tl_fail(err, TL_NO_MEMORY, "no memory for a data set");
    if (*rc) {
        img_close(set);
        return NULL;
    }
    return set;
}

enum tl_rc img_open(const char *path, const struct img_opts *opts, struct img_set **ret_set, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    struct img_set *set = set_new(path, opts, &rc, err);
    if (!set) {
        return rc;
    }
    rc = index_path(&set->catalogue, err);
    rc = rc ? rc : build(set, err);
    if (rc) {
        img_close(set);
        return rc;
    }
    *ret_set = set;
    return TL_OK;
}

enum tl_rc set_from_memory(const uint8_t *bytes, size_t n, const struct img_opts *opts, struct img_set **ret_set,
                           struct tl_err *err)
{
    struct stream stream = {.memory = bytes, .size = n, .path = "memory"};
    enum tl_rc rc = TL_OK;
    struct img_set *set = set_new("memory", opts, &rc, err);
    if (!set) {
        return rc;
    }
    set->catalogue.place = IN_MEMORY;
    rc = tar_index(&stream, &set->catalogue, err);
    rc = rc ? rc : build(set, err);
    if (rc) {
        img_close(set);
        return rc;
    }
    *ret_set = set;
    return TL_OK;
}

void img_close(struct img_set *set)
{
    if (!set) {
        return;
    }
    for (size_t i = 0; i < IMG_SPLIT_COUNT; i++) {
        free(set->splits[i].labels);
        free(set->splits[i].members);
        free(set->splits[i].packed);
    }
    free(set->cache);
    free(set->class_names);
    catalogue_done(&set->catalogue);
    free(set);
}

size_t img_n(const struct img_set *set, enum img_split split)
{
    return set->splits[split].n;
}

size_t img_n_classes(const struct img_set *set)
{
    return set->n_classes;
}

const char *img_class_name(const struct img_set *set, size_t label)
{
    assert(label < set->n_classes);
    return set->class_names[label];
}

int32_t img_label(const struct img_set *set, enum img_split split, size_t index)
{
    assert(index < set->splits[split].n);
    return set->splits[split].labels[index];
}
