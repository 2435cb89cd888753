/* folder.c - the files of a folder and of those in it. */
#include "parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 6 }; /* root, split, class, and some to spare; ends loops of symbolic links */

struct walk {
    struct catalogue *catalogue;
    char path[4096];
    size_t root_n; /* of path, with its / */
};

static enum tl_rc walk_folder(struct walk *walk, size_t path_n, unsigned depth, struct tl_err *err);

static enum tl_rc visit(struct walk *walk, size_t path_n, const char *entry, unsigned depth, struct tl_err *err)
{
    const size_t n = strlen(entry);
    struct stat status;
    if (entry[0] == '.') {
        return TL_OK;
    }
    if (path_n + n + 2 > sizeof walk->path || path_n + n - walk->root_n > IMG_NAME_MAX) {
        return tl_fail(err, TL_INVALID, "%.200s: the path of %.100s in it is too long", walk->path, entry);
    }
    memcpy(walk->path + path_n, entry, n + 1);
    const char *name = walk->path + walk->root_n;
    if (stat(walk->path, &status)) {
        return kind_of(name) == KIND_NONE ? TL_OK : tl_fail_sys(err, "cannot read %.300s", walk->path);
    }
    if (S_ISDIR(status.st_mode)) {
        walk->path[path_n + n] = '/';
        walk->path[path_n + n + 1] = '\0';
        return walk_folder(walk, path_n + n + 1, depth + 1, err);
    }
    if (!S_ISREG(status.st_mode) || kind_of(name) == KIND_NONE) {
        return TL_OK;
    }
    return catalogue_add(walk->catalogue, name, 0, (uint64_t)status.st_size, err);
}

/* Recursion: DEPTH_MAX folders are open at most. */
static enum tl_rc walk_folder(struct walk *walk, size_t path_n, unsigned depth, struct tl_err *err)
{
    struct dirent *entry = NULL;
    enum tl_rc rc = TL_OK;
    if (depth > DEPTH_MAX) {
        return tl_fail(err, TL_INVALID, "%.300s lies too deep; images lie in train/CLASS and test/CLASS", walk->path);
    }
    DIR *dir = opendir(walk->path);
    if (!dir) {
        return tl_fail_sys(err, "cannot read the folder %.300s", walk->path);
    }
    while (!rc && (errno = 0, entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): a DIR of our own */
        rc = visit(walk, path_n, entry->d_name, depth, err);
        walk->path[path_n] = '\0';
    }
    if (!rc && errno) {
        rc = tl_fail_sys(err, "cannot read the folder %.300s", walk->path);
    }
    closedir(dir);
    return rc;
}

enum tl_rc folder_index(struct catalogue *catalogue, struct tl_err *err)
{
    const size_t n = strlen(catalogue->path);
    struct walk *walk = malloc(sizeof *walk);
    if (!walk) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to read a folder");
    }
    enum tl_rc rc = TL_OK;
    if (n + 2 > sizeof walk->path) {
        rc = tl_fail(err, TL_INVALID, "%.300s: the path is too long", catalogue->path);
    } else {
        *walk = (struct walk){.catalogue = catalogue, .root_n = n + 1};
        memcpy(walk->path, catalogue->path, n);
        walk->path[n] = '/';
        walk->path[n + 1] = '\0';
        rc = walk_folder(walk, n + 1, 0, err);
    }
    free(walk);
    return rc;
}
