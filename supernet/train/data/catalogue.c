/* catalogue.c - named files, wherever they are: gathered, sorted, read. */
#include "parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_TEXT = 65536 - 32, TEXT_MAX = 1 << 29 /* bytes: 128 an image, with 4 million of them */ };

struct chunk {
    struct chunk *next; /* owned */
    size_t used;
    char text[CHUNK_TEXT];
};

enum tl_rc catalogue_init(struct catalogue *catalogue, const char *path, const struct img_opts *opts,
                          struct tl_err *err)
{
    const struct img_opts none = {0};
    opts = opts ? opts : &none;
    *catalogue = (struct catalogue){.fd = -1, .path = strdup(path)};
    catalogue->limits = (struct img_opts){
        .archive_max = opts->archive_max ? opts->archive_max : (size_t)2 << 30,
        .images_max = opts->images_max ? opts->images_max : (size_t)1 << 22,
        .held_out = opts->held_out ? opts->held_out : 10,
    };
    if (catalogue->limits.images_max > UINT32_MAX) {
        return tl_fail(err, TL_INVALID, "images_max is %zu; at most %lu", opts->images_max, (unsigned long)UINT32_MAX);
    }
    if (catalogue->limits.held_out < 2) {
        return tl_fail(err, TL_INVALID, "held_out is 1: every image would be held out; at least 2");
    }
    return catalogue->path ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for a path");
}

void catalogue_done(struct catalogue *catalogue)
{
    while (catalogue->chunks) {
        struct chunk *next = catalogue->chunks->next;
        free(catalogue->chunks);
        catalogue->chunks = next;
    }
    if (catalogue->path && catalogue->fd >= 0) {
        close(catalogue->fd);
    }
    free(catalogue->path);
    free(catalogue->bytes);
    free(catalogue->members);
    *catalogue = (struct catalogue){.fd = -1};
}

const char *base_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), end_n = strlen(end);
    return n >= end_n && strcasecmp(text + n - end_n, end) == 0;
}

static bool is_hidden(const char *name)
{
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (*at == '.' || strncmp(at, "__MACOSX/", 9) == 0) {
            return true;
        }
    }
    return false;
}

enum kind kind_of(const char *name)
{
    const char *base = base_of(name);
    if (is_hidden(name)) {
        return KIND_NONE;
    }
    if (ends_with(base, ".jpg") || ends_with(base, ".jpeg") || ends_with(base, ".png")) {
        return KIND_IMAGE;
    }
    if (ends_with(base, "idx3-ubyte") || ends_with(base, "idx1-ubyte") || ends_with(base, "idx3-ubyte.gz") ||
        ends_with(base, "idx1-ubyte.gz")) {
        return KIND_IDX;
    }
    if (ends_with(base, ".bin") && (strncmp(base, "data_batch_", 11) == 0 || strcmp(base, "test_batch.bin") == 0)) {
        return KIND_CIFAR;
    }
    return strcmp(base, "batches.meta.txt") == 0 ? KIND_CIFAR : KIND_NONE;
}

const char *catalogue_text(struct catalogue *catalogue, const char *text, size_t n)
{
    struct chunk *chunk = catalogue->chunks;
    assert(n < CHUNK_TEXT); /* paths are at most IMG_NAME_MAX */
    if (!chunk || CHUNK_TEXT - chunk->used <= n) {
        chunk = malloc(sizeof *chunk);
        if (!chunk) {
            return NULL;
        }
        chunk->next = catalogue->chunks;
        chunk->used = 0;
        catalogue->chunks = chunk;
    }
    char *copy = chunk->text + chunk->used;
    memcpy(copy, text, n);
    copy[n] = '\0';
    chunk->used += n + 1;
    catalogue->n_text += n + 1;
    return copy;
}

enum tl_rc catalogue_add(struct catalogue *catalogue, const char *name, uint64_t at, uint64_t size, struct tl_err *err)
{
    const bool image = kind_of(name) == KIND_IMAGE;
    const uint64_t max = image ? IMG_FILE_MAX : catalogue->limits.archive_max;
    if (size > max) {
        return tl_fail(err, TL_TOO_LARGE, WHO_F "%llu bytes; %s has at most %llu", WHO(catalogue, name),
                       (unsigned long long)size, image ? "an image" : "such a file", (unsigned long long)max);
    }
    if (catalogue->n == catalogue->limits.images_max) {
        return tl_fail(err, TL_TOO_LARGE, "%.200s has more than %zu images; raise the limit or use fewer",
                       catalogue->path, catalogue->n);
    }
    if (catalogue->n_text > TEXT_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "%.200s: the names of %zu images have more than %d bytes; shorten them",
                       catalogue->path, catalogue->n, TEXT_MAX);
    }
    if (catalogue->n == catalogue->cap) {
        const size_t cap = catalogue->cap ? 2 * catalogue->cap : 1024;
        struct member *members = realloc(catalogue->members, cap * sizeof *members);
        if (!members) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for a list of %zu images", cap);
        }
        catalogue->members = members;
        catalogue->cap = cap;
    }
    const char *copy = catalogue_text(catalogue, name, strlen(name));
    if (!copy) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the names of %zu images", catalogue->n);
    }
    catalogue->members[catalogue->n++] = (struct member){.name = copy, .at = at, .size = size};
    return TL_OK;
}

enum tl_rc catalogue_room(struct catalogue *catalogue, const char *name, size_t n, uint8_t **ret_room,
                          struct tl_err *err)
{
    const size_t max = catalogue->limits.archive_max;
    if (n > max || catalogue->n_bytes > max - n) {
        return tl_fail(err, TL_TOO_LARGE, WHO_F "with it the archive has more than %zu bytes; unpack the archive first",
                       WHO(catalogue, name), max);
    }
    const size_t need = catalogue->n_bytes + n;
    if (need > catalogue->bytes_cap) {
        size_t cap = catalogue->bytes_cap > max / 2 ? max : 2 * catalogue->bytes_cap;
        cap = cap < need ? need : cap;
        uint8_t *bytes = realloc(catalogue->bytes, cap);
        if (!bytes) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for %zu bytes of %.200s", cap, catalogue->path);
        }
        catalogue->bytes = bytes;
        catalogue->bytes_cap = cap;
    }
    *ret_room = catalogue->bytes ? catalogue->bytes + catalogue->n_bytes : NULL;
    catalogue->n_bytes = need;
    return TL_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

enum tl_rc catalogue_sort(struct catalogue *catalogue, struct tl_err *err)
{
    if (catalogue->n) {
        qsort(catalogue->members, catalogue->n, sizeof *catalogue->members, by_name);
    }
    for (size_t i = 1; i < catalogue->n; i++) {
        if (strcmp(catalogue->members[i - 1].name, catalogue->members[i].name) == 0) {
            return tl_fail(err, TL_INVALID, WHO_F "this name is there twice",
                           WHO(catalogue, catalogue->members[i].name));
        }
    }
    return TL_OK;
}

enum tl_rc room_for(uint8_t **block, size_t *cap, size_t n, struct tl_err *err)
{
    if (n <= *cap && *block) {
        return TL_OK;
    }
    uint8_t *larger = malloc(n ? n : 1);
    if (!larger) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu bytes of an image", n);
    }
    free(*block);
    *block = larger;
    *cap = n;
    return TL_OK;
}

static enum tl_rc read_at(const struct catalogue *catalogue, const char *name, int fd, uint8_t *bytes, size_t n,
                          uint64_t at, struct tl_err *err)
{
    while (n) {
        const ssize_t got = pread(fd, bytes, n, (off_t)at);
        if (got < 0 && errno != EINTR) {
            return tl_fail_sys(err, WHO_F "cannot be read", WHO(catalogue, name));
        }
        if (got == 0) {
            return tl_fail(err, TL_MALFORMED, WHO_F "was cut off since it was found", WHO(catalogue, name));
        }
        if (got > 0) {
            bytes += got;
            at += (uint64_t)got;
            n -= (size_t)got;
        }
    }
    return TL_OK;
}

static enum tl_rc read_file(const struct catalogue *catalogue, const char *name, size_t max, uint8_t **buffer,
                            size_t *cap, size_t *ret_n, struct tl_err *err)
{
    char path[4096];
    struct stat status;
    const size_t root_n = strlen(catalogue->path), name_n = strlen(name);
    if (root_n + name_n + 2 > sizeof path) {
        return tl_fail(err, TL_INVALID, WHO_F "the path is too long", WHO(catalogue, name));
    }
    memcpy(path, catalogue->path, root_n);
    path[root_n] = '/';
    memcpy(path + root_n + 1, name, name_n + 1);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) {
        const enum tl_rc rc = tl_fail_sys(err, WHO_F "cannot be opened", WHO(catalogue, name));
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    enum tl_rc rc = TL_OK;
    const size_t n = (size_t)status.st_size;
    if (status.st_size < 0 || n > max) {
        rc = tl_fail(err, TL_TOO_LARGE, WHO_F "%lld bytes; at most %zu", WHO(catalogue, name),
                     (long long)status.st_size, max);
    }
    rc = rc ? rc : room_for(buffer, cap, n, err);
    rc = rc ? rc : read_at(catalogue, name, fd, *buffer, n, 0, err);
    close(fd);
    if (!rc) {
        *ret_n = n;
    }
    return rc;
}

enum tl_rc catalogue_read(const struct catalogue *catalogue, const struct member *member, size_t max, uint8_t **buffer,
                          size_t *cap, const uint8_t **ret_bytes, size_t *ret_n, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    size_t n = (size_t)member->size;
    if (catalogue->place == IN_MEMORY) {
        *ret_bytes = catalogue->bytes ? catalogue->bytes + member->at : (const uint8_t *)"";
        *ret_n = n;
        return TL_OK;
    }
    if (catalogue->place == IN_FOLDER) {
        rc = read_file(catalogue, member->name, max, buffer, cap, &n, err);
    } else {
        rc = room_for(buffer, cap, n, err);
        rc = rc ? rc : read_at(catalogue, member->name, catalogue->fd, *buffer, n, member->at, err);
    }
    if (!rc) {
        *ret_bytes = *buffer;
        *ret_n = n;
    }
    return rc;
}
