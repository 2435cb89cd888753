/* archive.c - folders and tar archives of JPEG and PNG files, one folder a class.
 *
 * An archive (ustar with GNU's and pax' long names, packed with gzip or not) is read once from front to back; the bytes
 * of its images are kept, everything else is skipped. Nothing is ever written to a path from an archive.
 */
#include "supernet/images/set.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { PATH_BYTES = 4096, DEPTH_MAX = 8 };

static enum tl_rc add_file(struct img_set *set, const char *path, struct img_item item, struct tl_err *err)
{
    enum img_split split = IMG_TRAIN;
    const char *class = NULL;
    size_t class_n = 0;
    if (!set_place(path, &split, &class, &class_n)) {
        return TL_OK;
    }
    const enum tl_rc rc = set_class(set, class, class_n, &item.label, err);
    return rc ? rc : set_add(set, split, &item, path, err);
}

/* ---- folders ------------------------------------------------------------------------------------------------- */

static enum tl_rc walk(struct img_set *set, const char *folder, int depth, struct tl_err *err)
{
    DIR *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
    enum tl_rc rc = TL_OK;
    if (!dir) {
        return depth < DEPTH_MAX ? tl_fail_sys(err, "cannot list %.200s", folder)
                                 : tl_fail(err, TL_INVALID, "%.200s lies more than %d folders deep", folder, DEPTH_MAX);
    }
    for (struct dirent *entry; rc == TL_OK && (entry = readdir(dir)) != NULL;) { /* NOLINT(concurrency-mt-unsafe) */
        char path[PATH_BYTES];
        struct stat about;
        const int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof path || stat(path, &about) != 0) {
            continue;
        }
        rc = S_ISDIR(about.st_mode) ? walk(set, path, depth + 1, err) : add_file(set, path, (struct img_item){0}, err);
    }
    (void)closedir(dir);
    return rc;
}

enum tl_rc set_read_folder(struct img_set *set, const char *path, struct tl_err *err)
{
    return walk(set, path, 0, err);
}

/* ---- tar ----------------------------------------------------------------------------------------------------- */

enum { BLOCK = 512, MEMBER_MAX = 256 << 20, REPORT_EVERY = 1000 };

static const uint64_t ARCHIVE_MAX = (uint64_t)4 << 30;

struct tar {
    gzFile file;
    const char *path;
    char name[PATH_BYTES]; /* of the next member */
    bool long_name;        /* came in an extension before it */
    size_t size;
    char type;
};

static enum tl_rc cut_short(const struct tar *tar, struct tl_err *err)
{
    return tl_fail(err, TL_MALFORMED, "%.200s ends, or does not unpack, in the middle of %.200s", tar->path, tar->name);
}

static enum tl_rc read_exactly(const struct tar *tar, void *to, size_t n, struct tl_err *err)
{
    return n > INT32_MAX || gzread(tar->file, to, (unsigned)n) != (int)n ? cut_short(tar, err) : TL_OK;
}

static enum tl_rc skip(const struct tar *tar, size_t n, struct tl_err *err)
{
    uint8_t block[BLOCK];
    while (n > 0) {
        const size_t now = n < BLOCK ? n : BLOCK;
        const enum tl_rc rc = read_exactly(tar, block, now, err);
        if (rc) {
            return rc;
        }
        n -= now;
    }
    return TL_OK;
}

static size_t padding(size_t size)
{
    return (BLOCK - size % BLOCK) % BLOCK;
}

static bool octal(const char *text, size_t n, size_t *ret_value)
{
    size_t value = 0, i = 0;
    while (i < n && text[i] == ' ') {
        i++;
    }
    for (; i < n && text[i] >= '0' && text[i] <= '7'; i++) {
        value = value * 8 + (size_t)(text[i] - '0');
    }
    *ret_value = value;
    return i == n || text[i] == '\0' || text[i] == ' ';
}

static bool sum_holds(const char *block)
{
    size_t want = 0, sum = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        sum += i >= 148 && i < 156 ? ' ' : (uint8_t)block[i];
    }
    return octal(block + 148, 8, &want) && want == sum;
}

static bool all_zero(const char *block)
{
    for (size_t i = 0; i < BLOCK; i++) {
        if (block[i]) {
            return false;
        }
    }
    return true;
}

/* The next header. *ret_there false: the archive is over. */
static enum tl_rc read_header(struct tar *tar, bool *ret_there, struct tl_err *err)
{
    char block[BLOCK];
    const int n = gzread(tar->file, block, BLOCK);
    *ret_there = false;
    if (n == 0 || (n == BLOCK && all_zero(block))) {
        return n == 0 && !gzeof(tar->file) ? cut_short(tar, err) : TL_OK;
    }
    if (n != BLOCK || !sum_holds(block) || !octal(block + 124, 12, &tar->size) || tar->size > MEMBER_MAX) {
        return tl_fail(err, TL_MALFORMED,
                       "%.200s is no tar archive, or damaged behind %.200s (members have at most %d MiB)", tar->path,
                       tar->name[0] ? tar->name : "its start", MEMBER_MAX >> 20);
    }
    tar->type = block[156];
    if (!tar->long_name) {
        const bool prefixed = memcmp(block + 257, "ustar", 6) == 0 && block[345];
        (void)snprintf(tar->name, sizeof tar->name, "%.155s%s%.100s", prefixed ? block + 345 : "", prefixed ? "/" : "",
                       block);
    }
    *ret_there = true;
    return TL_OK;
}

/* The name out of a pax record "NN path=NAME\n". */
static void pax_name(struct tar *tar, const char *text)
{
    const char *at = strstr(text, " path=");
    if (at) {
        const size_t n = strcspn(at + 6, "\n");
        (void)snprintf(tar->name, sizeof tar->name, "%.*s", (int)(n < PATH_BYTES ? n : PATH_BYTES - 1), at + 6);
        tar->long_name = true;
    }
}

static enum tl_rc read_name(struct tar *tar, struct tl_err *err)
{
    char text[PATH_BYTES] = "";
    if (tar->size >= sizeof text) {
        return tl_fail(err, TL_TOO_LARGE, "%.200s holds a name of %zu bytes; at most %d are read", tar->path, tar->size,
                       PATH_BYTES - 1);
    }
    enum tl_rc rc = read_exactly(tar, text, tar->size, err);
    rc = rc ? rc : skip(tar, padding(tar->size), err);
    if (rc == TL_OK && tar->type == 'L') {
        memcpy(tar->name, text, sizeof text);
        tar->long_name = true;
    } else if (rc == TL_OK) {
        pax_name(tar, text);
    }
    return rc;
}

static enum tl_rc reserve(struct img_set *set, size_t n, const char *path, struct tl_err *err)
{
    if (n > ARCHIVE_MAX - set->archive_n) {
        return tl_fail(err, TL_TOO_LARGE, "%.200s holds more than 4 GiB of images; unpack it and name the folder", path);
    }
    if (set->archive_n + n > set->archive_room) {
        const size_t room = (set->archive_n + n) * 2;
        uint8_t *archive = realloc(set->archive, room);
        if (!archive) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for the images of %.200s", path);
        }
        set->archive = archive;
        set->archive_room = room;
    }
    return TL_OK;
}

static enum tl_rc read_member(struct img_set *set, struct tar *tar, struct tl_err *err)
{
    enum img_split split = IMG_TRAIN;
    const char *class = NULL;
    size_t class_n = 0;
    if (tar->type == 'L' || tar->type == 'x') {
        return read_name(tar, err);
    }
    tar->long_name = false;
    if ((tar->type != '0' && tar->type != '\0') || !set_place(tar->name, &split, &class, &class_n)) {
        return skip(tar, tar->size + padding(tar->size), err);
    }
    enum tl_rc rc = reserve(set, tar->size, tar->path, err);
    rc = rc ? rc : read_exactly(tar, set->archive + set->archive_n, tar->size, err);
    rc = rc ? rc : skip(tar, padding(tar->size), err);
    rc = rc ? rc : add_file(set, tar->name, (struct img_item){.offset = set->archive_n, .n = tar->size}, err);
    set->archive_n += rc ? 0 : tar->size;
    return rc;
}

enum tl_rc set_read_tar(struct img_set *set, const char *path, img_progress *progress, void *ctx, struct tl_err *err)
{
    struct tar tar = {.file = gzopen(path, "rb"), .path = path};
    bool there = true;
    enum tl_rc rc = tar.file ? TL_OK : tl_fail_sys(err, "cannot read %.200s", path);
    while (rc == TL_OK && there) {
        rc = read_header(&tar, &there, err);
        if (rc == TL_OK && there) {
            rc = read_member(set, &tar, err);
        }
        const size_t done = set->splits[IMG_TRAIN].n + set->splits[IMG_TEST].n;
        if (progress && done % REPORT_EVERY == 0) {
            progress(ctx, done, 0);
        }
    }
    if (tar.file) {
        (void)gzclose(tar.file);
    }
    return rc;
}
