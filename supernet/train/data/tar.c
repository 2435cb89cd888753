/* tar.c - the members of a tar: ustar, with the longer names of pax and GNU. Nothing is unpacked to the disk.
 *
 * A header's sum must be right, a size must lie within the archive, and a path must stay below its root. Sparse files,
 * and links that would be images, are refused: there are no pixels in them.
 */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, PAX_MAX = 1 << 16 };

/* Where fields of a header begin, and their lengths (POSIX, "ustar Interchange Format"). */
enum {
    NAME_AT = 0,
    NAME_N = 100,
    SIZE_AT = 124,
    SIZE_N = 12,
    SUM_AT = 148,
    SUM_N = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_N = 155
};

/* What a header in front of a member said about it. */
struct ahead {
    char name[IMG_NAME_MAX + 1];
    bool has_name, has_size, sparse;
    uint64_t size;
};

struct tar {
    struct stream *stream;
    struct catalogue *catalogue;
    struct ahead ahead;
    uint8_t header[BLOCK];
    char name[IMG_NAME_MAX + 1];
    uint8_t pax[PAX_MAX];
};

static enum tl_rc malformed(const struct tar *tar, const char *why, struct tl_err *err)
{
    return tl_fail(err, TL_MALFORMED, "%.200s, byte %llu: %s", tar->catalogue->path,
                   (unsigned long long)tar->stream->at - BLOCK, why);
}

/* Octal digits between spaces, or with the first bit set a number to the base 256. */
static bool number_of(const uint8_t *field, size_t n, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t i = 0;
    if (field[0] & 0x80) {
        for (number = field[0] & 0x7f, i = 1; i < n; i++) {
            if (number >> 55) {
                return false;
            }
            number = number << 8 | field[i];
        }
        *ret_number = number;
        return true;
    }
    while (i < n && field[i] == ' ') {
        i++;
    }
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++) {
        number = number << 3 | (uint64_t)(field[i] - '0'); /* 12 digits fit */
    }
    for (; i < n; i++) {
        if (field[i] != ' ' && field[i] != '\0') {
            return false;
        }
    }
    *ret_number = number;
    return true;
}

static bool sum_is_right(const uint8_t header[BLOCK])
{
    uint64_t said = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        sum += i >= SUM_AT && i < SUM_AT + SUM_N ? ' ' : header[i];
    }
    return number_of(header + SUM_AT, SUM_N, &said) && said == sum;
}

static bool is_zero(const uint8_t header[BLOCK])
{
    for (size_t i = 0; i < BLOCK; i++) {
        if (header[i]) {
            return false;
        }
    }
    return true;
}

/* The next header; *ret_end at the two zero blocks, of which one is enough. */
static enum tl_rc next_header(struct tar *tar, bool *ret_end, struct tl_err *err)
{
    size_t got = 0;
    const enum tl_rc rc = stream_read(tar->stream, tar->header, BLOCK, &got, err);
    if (rc) {
        return rc;
    }
    if (got < BLOCK) {
        return tl_fail(err, TL_MALFORMED, "%.300s was cut off: it ends without the mark of a tar's end",
                       tar->catalogue->path);
    }
    *ret_end = is_zero(tar->header);
    return *ret_end || sum_is_right(tar->header) ? TL_OK : malformed(tar, "this is no header of a tar", err);
}

/* The data of a header in front of a member, and its padding. */
static enum tl_rc read_data(struct tar *tar, uint64_t size, size_t max, uint8_t *bytes, struct tl_err *err)
{
    size_t got = 0;
    if (size > max) {
        return malformed(tar, "a name of this length is not taken", err);
    }
    enum tl_rc rc = stream_read(tar->stream, bytes, (size_t)size, &got, err);
    if (!rc && got < size) {
        rc = malformed(tar, "the archive was cut off", err);
    }
    return rc ? rc : stream_skip(tar->stream, (BLOCK - size % BLOCK) % BLOCK, err);
}

/* Take over `name` as the member's, without "./" and "//", or refuse it. */
static enum tl_rc take_name(struct tar *tar, const char *name, size_t n, char ret_name[IMG_NAME_MAX + 1],
                            struct tl_err *err)
{
    size_t put = 0;
    if (n > IMG_NAME_MAX) {
        return malformed(tar, "a member's name is too long", err);
    }
    for (size_t i = 0; i < n; i++) {
        if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f) {
            return malformed(tar, "a member's name has control characters", err);
        }
    }
    if (n && name[0] == '/') {
        return tl_fail(err, TL_INVALID, "%.140s: %.*s: a member's path must not begin with /", tar->catalogue->path,
                       n > 200 ? 200 : (int)n, name);
    }
    for (size_t at = 0; at < n;) {
        const char *slash = memchr(name + at, '/', n - at);
        const size_t part_n = slash ? (size_t)(slash - name) - at : n - at;
        if (part_n == 2 && memcmp(name + at, "..", 2) == 0) {
            return tl_fail(err, TL_INVALID, "%.140s: %.*s: a member's path must not have ..", tar->catalogue->path,
                           n > 200 ? 200 : (int)n, name);
        }
        if (part_n && !(part_n == 1 && name[at] == '.')) {
            if (put) {
                ret_name[put++] = '/';
            }
            memcpy(ret_name + put, name + at, part_n);
            put += part_n;
        }
        at += part_n + 1;
    }
    ret_name[put] = '\0';
    return TL_OK;
}

/* One "LENGTH KEY=VALUE\n" of a pax header; *at moves behind it. */
static enum tl_rc take_record(struct tar *tar, size_t n, size_t *at, struct tl_err *err)
{
    size_t length = 0;
    size_t i = *at;
    for (; i < n && tar->pax[i] >= '0' && tar->pax[i] <= '9' && length <= PAX_MAX; i++) {
        length = 10 * length + (size_t)(tar->pax[i] - '0');
    }
    if (i == n || tar->pax[i] != ' ' || length > n - *at || length < i - *at + 3 ||
        tar->pax[*at + length - 1] != '\n') {
        return malformed(tar, "a pax header is broken", err);
    }
    const char *key = (const char *)tar->pax + i + 1;
    const size_t rest = length - (i + 1 - *at) - 1;
    const char *equal = memchr(key, '=', rest);
    if (!equal) {
        return malformed(tar, "a pax header is broken", err);
    }
    const size_t key_n = (size_t)(equal - key), value_n = rest - key_n - 1;
    *at += length;
    if (key_n == 4 && memcmp(key, "path", 4) == 0) {
        tar->ahead.has_name = true;
        return take_name(tar, equal + 1, value_n, tar->ahead.name, err);
    }
    if (key_n == 4 && memcmp(key, "size", 4) == 0) {
        tar->ahead.has_size = true;
        tar->ahead.size = 0;
        for (size_t k = 0; k < value_n; k++) {
            const char digit = equal[1 + k];
            if (digit < '0' || digit > '9' || tar->ahead.size >> 59) {
                return malformed(tar, "a pax header has no number for a size", err);
            }
            tar->ahead.size = 10 * tar->ahead.size + (uint64_t)(digit - '0');
        }
    }
    tar->ahead.sparse = tar->ahead.sparse || (key_n >= 10 && memcmp(key, "GNU.sparse", 10) == 0);
    return TL_OK;
}

static enum tl_rc take_pax(struct tar *tar, uint64_t size, struct tl_err *err)
{
    enum tl_rc rc = read_data(tar, size, sizeof tar->pax, tar->pax, err);
    for (size_t at = 0; !rc && at < size;) {
        rc = take_record(tar, (size_t)size, &at, err);
    }
    return rc;
}

static enum tl_rc take_long_name(struct tar *tar, uint64_t size, struct tl_err *err)
{
    const enum tl_rc rc = read_data(tar, size, IMG_NAME_MAX + 1, tar->pax, err);
    if (rc) {
        return rc;
    }
    const uint8_t *end = size ? memchr(tar->pax, '\0', (size_t)size) : NULL;
    tar->ahead.has_name = true;
    return take_name(tar, (const char *)tar->pax, end ? (size_t)(end - tar->pax) : (size_t)size, tar->ahead.name, err);
}

/* The name in the header itself: prefix and name where the header is a ustar's. */
static enum tl_rc short_name(struct tar *tar, struct tl_err *err)
{
    char whole[PREFIX_N + 1 + NAME_N];
    const char *header = (const char *)tar->header;
    const size_t prefix_n = memcmp(header + MAGIC_AT, "ustar", 6) == 0 ? strnlen(header + PREFIX_AT, PREFIX_N) : 0;
    const size_t name_n = strnlen(header + NAME_AT, NAME_N);
    memcpy(whole, header + PREFIX_AT, prefix_n);
    whole[prefix_n] = '/';
    memcpy(whole + prefix_n + 1, header + NAME_AT, name_n);
    return prefix_n ? take_name(tar, whole, prefix_n + 1 + name_n, tar->name, err)
                    : take_name(tar, header + NAME_AT, name_n, tar->name, err);
}

/* A member that is of a kind: note it, and with IN_MEMORY take its bytes. */
static enum tl_rc keep(struct tar *tar, uint64_t size, struct tl_err *err)
{
    struct catalogue *catalogue = tar->catalogue;
    struct stream *stream = tar->stream;
    const bool in_memory = catalogue->place == IN_MEMORY;
    uint8_t *room = NULL;
    size_t got = 0;
    if (!stream->packed && size > stream->size - stream->at) {
        return tl_fail(err, TL_MALFORMED, WHO_F "says that it has %llu bytes, and the archive ends after %llu",
                       WHO(catalogue, tar->name), (unsigned long long)size,
                       (unsigned long long)(stream->size - stream->at));
    }
    enum tl_rc rc = catalogue_add(catalogue, tar->name, in_memory ? catalogue->n_bytes : stream->at, size, err);
    if (rc || !in_memory) {
        return rc ? rc : stream_skip(stream, size, err);
    }
    rc = catalogue_room(catalogue, tar->name, (size_t)size, &room, err);
    rc = rc || !size ? rc : stream_read(stream, room, (size_t)size, &got, err);
    if (!rc && got < size) {
        rc = tl_fail(err, TL_MALFORMED, WHO_F "says that it has %llu bytes, and the archive ends after %zu",
                     WHO(catalogue, tar->name), (unsigned long long)size, got);
    }
    return rc;
}

static enum tl_rc take_member(struct tar *tar, char type, uint64_t size, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    if (tar->ahead.has_name) {
        memcpy(tar->name, tar->ahead.name, sizeof tar->name);
    } else {
        rc = short_name(tar, err);
    }
    size = tar->ahead.has_size ? tar->ahead.size : size;
    const bool sparse = tar->ahead.sparse || type == 'S';
    const bool wanted = !rc && kind_of(tar->name) != KIND_NONE;
    tar->ahead = (struct ahead){0};
    if (rc) {
        return rc;
    }
    if (wanted && (type == '1' || type == '2' || sparse)) {
        return tl_fail(err, TL_INVALID,
                       WHO_F "is a %s; pack the archive again with tar --dereference --hard-dereference",
                       WHO(tar->catalogue, tar->name), sparse ? "sparse file" : "link");
    }
    if (type >= '1' && type <= '6' && size) {
        return tl_fail(err, TL_INVALID, WHO_F "has %llu bytes, and is no file", WHO(tar->catalogue, tar->name),
                       (unsigned long long)size);
    }
    const bool file = type == '0' || type == '\0' || type == '7';
    rc = wanted && file ? keep(tar, size, err) : stream_skip(tar->stream, size, err);
    return rc ? rc : stream_skip(tar->stream, (BLOCK - size % BLOCK) % BLOCK, err);
}

static enum tl_rc index_all(struct tar *tar, struct tl_err *err)
{
    for (;;) {
        bool end = false;
        uint64_t size = 0;
        enum tl_rc rc = next_header(tar, &end, err);
        if (rc || end) {
            return rc;
        }
        if (!number_of(tar->header + SIZE_AT, SIZE_N, &size) || size >> 62) {
            return malformed(tar, "a member's size is no number", err);
        }
        switch (tar->header[TYPE_AT]) {
        case 'x':
            rc = take_pax(tar, size, err);
            break;
        case 'L':
            rc = take_long_name(tar, size, err);
            break;
        case 'g': /* the whole archive's remarks */
        case 'K': /* where a link leads */
            rc = size > PAX_MAX ? malformed(tar, "a header of this length is not taken", err)
                                : stream_skip(tar->stream, (size + BLOCK - 1) / BLOCK * BLOCK, err);
            break;
        default:
            rc = take_member(tar, (char)tar->header[TYPE_AT], size, err);
        }
        if (rc) {
            return rc;
        }
    }
}

enum tl_rc tar_index(struct stream *stream, struct catalogue *catalogue, struct tl_err *err)
{
    struct tar *tar = calloc(1, sizeof *tar);
    if (!tar) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to read an archive");
    }
    tar->stream = stream;
    tar->catalogue = catalogue;
    const enum tl_rc rc = index_all(tar, err);
    free(tar);
    return rc;
}
