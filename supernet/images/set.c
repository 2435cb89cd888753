/* set.c - image sets: opened by whichever reader knows the path, small images decoded once. */
#include "supernet/images/set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- filling ------------------------------------------------------------------------------------------------- */

enum tl_rc set_add(struct img_set *set, enum img_split split, const struct img_item *item, const char *path,
                   struct tl_err *err)
{
    struct img_list *list = &set->splits[split];

    if (list->n >= IMG_COUNT_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "the set has more than %d images", IMG_COUNT_MAX);
    }
    if (list->n == list->room) {
        const size_t room = list->room ? 2 * list->room : 1024;
        struct img_item *items = realloc(list->items, room * sizeof *items);
        if (!items) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for a list of %zu images", room);
        }
        list->items = items;
        list->room = room;
    }
    char *copy = path ? strdup(path) : NULL;
    if (path && !copy) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the name of an image");
    }
    list->items[list->n] = *item;
    list->items[list->n++].path = copy;
    return TL_OK;
}

enum tl_rc set_class(struct img_set *set, const char *name, size_t n, int32_t *ret_label, struct tl_err *err)
{
    for (size_t c = set->n_classes; c-- > 0;) { /* files come class by class: the last is the likeliest */
        if (strlen(set->classes[c]) == n && memcmp(set->classes[c], name, n) == 0) {
            *ret_label = (int32_t)c;
            return TL_OK;
        }
    }
    if (n == 0 || n >= IMG_CLASS_NAME_MAX || set->n_classes == IMG_CLASSES_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "class names have 1 to %d bytes, and a set at most %d of them",
                       IMG_CLASS_NAME_MAX - 1, IMG_CLASSES_MAX);
    }
    if (set->n_classes == set->classes_room) {
        const size_t room = set->classes_room ? 2 * set->classes_room : 16;
        char **classes = realloc(set->classes, room * sizeof *classes);
        if (!classes) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for the names of classes");
        }
        set->classes = classes;
        set->classes_room = room;
    }
    char *copy = strndup(name, n);
    if (!copy) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the names of classes");
    }
    *ret_label = (int32_t)set->n_classes;
    set->classes[set->n_classes++] = copy;
    return TL_OK;
}

static bool ends_in(const char *name, const char *suffix)
{
    const size_t n = strlen(name), m = strlen(suffix);
    if (n < m) {
        return false;
    }
    for (size_t i = 0; i < m; i++) {
        const char c = name[n - m + i];
        if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != suffix[i]) {
            return false;
        }
    }
    return true;
}

bool set_place(const char *path, enum img_split *ret_split, const char **ret_class, size_t *ret_class_n)
{
    static const char *const tests[] = {"test", "val", "valid", "validation"};
    const char *file = strrchr(path, '/');

    if (!file || file[1] == '.' || !(ends_in(file, ".jpg") || ends_in(file, ".jpeg") || ends_in(file, ".png"))) {
        return false;
    }
    const char *class = file;
    while (class > path && class[-1] != '/') {
        class--;
    }
    *ret_class = class;
    *ret_class_n = (size_t)(file - class);
    *ret_split = IMG_TRAIN;
    const char *end = class > path ? class - 1 : path, *split = end;
    while (split > path && split[-1] != '/') {
        split--;
    }
    for (size_t i = 0; i < TL_COUNT_OF(tests); i++) {
        if ((size_t)(end - split) == strlen(tests[i]) && memcmp(split, tests[i], strlen(tests[i])) == 0) {
            *ret_split = IMG_TEST;
        }
    }
    return *ret_class_n > 0;
}

/* ---- order --------------------------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    const struct img_item *one = a, *other = b;
    return one->path && other->path ? strcmp(one->path, other->path) : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Classes by name and files by path, so that a set is the same however its folder was listed. */
static enum tl_rc put_in_order(struct img_set *set, struct tl_err *err)
{
    char **before = calloc(set->n_classes + 1, sizeof *before);
    int32_t *place = calloc(set->n_classes + 1, sizeof *place);
    if (!before || !place) {
        free(before);
        free(place);
        return tl_fail(err, TL_NO_MEMORY, "no memory to order classes");
    }
    memcpy(before, set->classes, set->n_classes * sizeof *before);
    qsort(set->classes, set->n_classes, sizeof *set->classes, by_name);
    for (size_t i = 0; i < set->n_classes; i++) {
        for (size_t j = 0; j < set->n_classes; j++) {
            place[i] = set->classes[j] == before[i] ? (int32_t)j : place[i];
        }
    }
    for (size_t s = 0; s < IMG_SPLIT_COUNT; s++) {
        struct img_list *list = &set->splits[s];
        for (size_t i = 0; i < list->n; i++) {
            list->items[i].label = place[list->items[i].label];
        }
        qsort(list->items, list->n, sizeof *list->items, by_path);
    }
    free(before);
    free(place);
    return TL_OK;
}

static enum tl_rc check_classes(const struct img_set *set, struct tl_err *err)
{
    bool *trained = calloc(set->n_classes + 1, sizeof *trained);
    enum tl_rc rc = trained ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory to check classes");
    for (size_t i = 0; rc == TL_OK && i < set->splits[IMG_TRAIN].n; i++) {
        trained[set->splits[IMG_TRAIN].items[i].label] = true;
    }
    for (size_t i = 0; rc == TL_OK && i < set->splits[IMG_TEST].n; i++) {
        const int32_t label = set->splits[IMG_TEST].items[i].label;
        if (!trained[label]) {
            rc = tl_fail(err, TL_INVALID, "class %.100s has test images but no training images", set->classes[label]);
        }
    }
    free(trained);
    return rc;
}

/* ---- pixels -------------------------------------------------------------------------------------------------- */

static enum tl_rc grow(uint8_t **bytes, size_t *size, size_t n, struct tl_err *err)
{
    if (n > *size) {
        uint8_t *more = realloc(*bytes, n);
        if (!more) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for an image of %zu bytes", n);
        }
        *bytes = more;
        *size = n;
    }
    return TL_OK;
}

static enum tl_rc read_whole(const char *path, struct img_scratch *scratch, size_t *ret_n, struct tl_err *err)
{
    struct stat about;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    enum tl_rc rc = TL_OK;
    size_t done = 0;

    if (file < 0 || fstat(file, &about) != 0) {
        rc = tl_fail_sys(err, "cannot read %.200s", path);
    } else if (about.st_size > INT32_MAX) {
        rc = tl_fail(err, TL_TOO_LARGE, "%.200s has more than 2 GiB", path);
    } else {
        rc = grow(&scratch->encoded, &scratch->encoded_size, (size_t)about.st_size + 1, err);
    }
    while (rc == TL_OK && done < (size_t)about.st_size) {
        const ssize_t n = read(file, scratch->encoded + done, (size_t)about.st_size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            rc = n < 0 ? tl_fail_sys(err, "cannot read %.200s", path)
                       : tl_fail(err, TL_INVALID, "%.200s became shorter while it was read", path);
            break;
        }
        done += (size_t)n;
    }
    if (file >= 0) {
        (void)close(file);
    }
    *ret_n = done;
    return rc;
}

/* An item's encoded bytes. */
static enum tl_rc fetch(const struct img_set *set, const struct img_item *item, struct img_scratch *scratch,
                        const uint8_t **ret_bytes, size_t *ret_n, struct tl_err *err)
{
    if (set->archive) {
        *ret_bytes = set->archive + item->offset;
        *ret_n = item->n;
        return TL_OK;
    }
    const enum tl_rc rc = read_whole(item->path, scratch, ret_n, err);
    *ret_bytes = scratch->encoded;
    return rc;
}

enum tl_rc img_pixels(const struct img_set *set, enum img_split split, size_t index, struct img_scratch *scratch,
                      struct img_view *ret_view, struct tl_err *err)
{
    const struct img_item *item = &set->splits[split].items[index];
    const uint8_t *bytes = NULL;
    size_t n = 0, h = 0, w = 0;
    enum tl_rc rc = TL_OK;

    if (set->pixels) {
        *ret_view = (struct img_view){.pixels = set->pixels + item->offset, .h = set->side, .w = set->side};
        return TL_OK;
    }
    if ((rc = fetch(set, item, scratch, &bytes, &n, err)) || (rc = decode_size(bytes, n, item->path, &h, &w, err)) ||
        (rc = grow(&scratch->decoded, &scratch->decoded_size, h * w * 3, err)) ||
        (rc = decode(bytes, n, item->path, scratch->decoded, h, w, err))) {
        return rc;
    }
    *ret_view = (struct img_view){.pixels = scratch->decoded, .h = h, .w = w};
    return TL_OK;
}

void img_scratch_done(struct img_scratch *scratch)
{
    free(scratch->encoded);
    free(scratch->decoded);
    free(scratch->floats);
    *scratch = (struct img_scratch){0};
}

/* ---- keeping small images ------------------------------------------------------------------------------------ */

enum { KEEP_CHUNK = 256 }; /* images a task decodes */

struct keep_job {
    struct img_set *set;
    uint8_t *pixels;
    size_t side, n_train;
    _Atomic size_t first_bad; /* of all images; SIZE_MAX: none */
};

static struct img_item *item_at(const struct keep_job *job, size_t i)
{
    struct img_list *splits = job->set->splits;
    return i < job->n_train ? &splits[IMG_TRAIN].items[i] : &splits[IMG_TEST].items[i - job->n_train];
}

static enum tl_rc keep_one(const struct keep_job *job, size_t i, struct img_scratch *scratch, struct tl_err *err)
{
    const struct img_item *item = item_at(job, i);
    const uint8_t *bytes = NULL;
    size_t n = 0;
    const enum tl_rc rc = fetch(job->set, item, scratch, &bytes, &n, err);

    return rc ? rc
              : decode(bytes, n, item->path, job->pixels + i * job->side * job->side * 3, job->side, job->side, err);
}

static void keep_task(void *ctx, size_t task, unsigned thread)
{
    (void)thread;
    struct keep_job *job = ctx;
    const size_t all = job->n_train + job->set->splits[IMG_TEST].n;
    struct img_scratch scratch = {0};
    for (size_t i = task * KEEP_CHUNK; i < all && i < (task + 1) * KEEP_CHUNK; i++) {
        if (keep_one(job, i, &scratch, NULL)) {
            size_t bad = atomic_load(&job->first_bad);
            while (i < bad && !atomic_compare_exchange_weak(&job->first_bad, &bad, i)) {
            }
            break;
        }
    }
    img_scratch_done(&scratch);
}

static enum tl_rc keep_small(struct img_set *set, struct tl_pool *pool, struct tl_err *err)
{
    struct img_scratch scratch = {0};
    const struct img_item *first = &set->splits[IMG_TRAIN].items[0];
    const uint8_t *bytes = NULL;
    size_t n = 0, h = 0, w = 0;
    enum tl_rc rc = fetch(set, first, &scratch, &bytes, &n, err);
    rc = rc ? rc : decode_size(bytes, n, first->path, &h, &w, err);
    if (rc || h != w || h > IMG_KEPT_SIDE) {
        img_scratch_done(&scratch);
        return rc;
    }
    struct keep_job job = {.set = set, .side = h, .n_train = set->splits[IMG_TRAIN].n, .first_bad = SIZE_MAX};
    const size_t all = job.n_train + set->splits[IMG_TEST].n;
    job.pixels = malloc(all * h * h * 3);
    if (!job.pixels) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for %zu images", all);
    } else {
        tl_pool_run(pool, keep_task, &job, (all + KEEP_CHUNK - 1) / KEEP_CHUNK);
        if (job.first_bad != SIZE_MAX) {
            rc = keep_one(&job, job.first_bad, &scratch, err); /* again, for its reason */
        }
    }
    img_scratch_done(&scratch);
    if (rc) {
        free(job.pixels);
        return rc;
    }
    for (size_t i = 0; i < all; i++) {
        item_at(&job, i)->offset = i * h * h * 3;
    }
    set->pixels = job.pixels;
    set->side = h;
    free(set->archive);
    set->archive = NULL;
    return TL_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

static enum tl_rc read_any(struct img_set *set, const char *path, img_progress *progress, void *ctx, struct tl_err *err)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        return tl_fail(err, TL_NOT_FOUND, "there is nothing at %.200s", path);
    }
    if (!S_ISDIR(about.st_mode)) {
        return set_read_tar(set, path, progress, ctx, err);
    }
    enum tl_rc rc = set_read_idx(set, path, err);
    rc = rc == TL_NOT_FOUND ? set_read_cifar(set, path, err) : rc;
    return rc == TL_NOT_FOUND ? set_read_folder(set, path, err) : rc;
}

enum tl_rc img_open(const char *path, struct tl_pool *pool, img_progress *progress, void *ctx, struct img_set **ret_set,
                    struct tl_err *err)
{
    struct img_set *set = calloc(1, sizeof *set);
    if (!set) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a set of images");
    }
    enum tl_rc rc = read_any(set, path, progress, ctx, err);
    if (rc == TL_OK && set->splits[IMG_TRAIN].n == 0) {
        rc = tl_fail(err, TL_NOT_FOUND,
                     "there are no training images at %.200s; a set is a folder of idx files, of CIFAR-10's .bin files, or "
                     "of train/CLASS/*.jpg (or .png), or a .tar(.gz) of the latter",
                     path);
    }
    if (rc == TL_OK && !set->pixels) {
        rc = put_in_order(set, err);
        rc = rc ? rc : keep_small(set, pool, err);
    }
    rc = rc ? rc : check_classes(set, err);
    if (rc) {
        img_free(set);
        return rc;
    }
    *ret_set = set;
    return TL_OK;
}

void img_free(struct img_set *set)
{
    if (!set) {
        return;
    }
    for (size_t s = 0; s < IMG_SPLIT_COUNT; s++) {
        for (size_t i = 0; i < set->splits[s].n; i++) {
            free(set->splits[s].items[i].path);
        }
        free(set->splits[s].items);
    }
    for (size_t c = 0; c < set->n_classes; c++) {
        free(set->classes[c]);
    }
    free(set->classes);
    free(set->pixels);
    free(set->archive);
    free(set);
}

struct img_facts img_facts(const struct img_set *set)
{
    return (struct img_facts){.n = {set->splits[IMG_TRAIN].n, set->splits[IMG_TEST].n},
                              .n_classes = set->n_classes,
                              .classes = (const char *const *)set->classes,
                              .side = set->side};
}

int32_t img_label(const struct img_set *set, enum img_split split, size_t index)
{
    return set->splits[split].items[index].label;
}
