/* spool.c - measurements that the server does not have yet, one file each.
 *
 * One idea: the folder is the only truth. Nothing about it is kept in memory, so that there is nothing to be wrong after a
 * crash; a name appears by rename when its bytes are on the disk (tl_file_write), and goes when the server has them.
 * Threads: the agent's one.
 */
#include "latency/agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char ENDING[] = ".json";

static void path_of(char ret_path[AGENT_PATH_MAX], const char *dir, const char *name, const char *ending)
{
    (void)snprintf(ret_path, AGENT_PATH_MAX, "%.767s/%.255s%s", dir, name, ending);
}

/* ---- walking a folder ------------------------------------------------------------------------------------------ */

struct folder {
    DIR *dir; /* owned */
};

static void folder_done(struct folder *folder)
{
    if (folder->dir != NULL) {
        (void)closedir(folder->dir);
    }
}

/* Call fn for every name of the folder but those that begin with a dot. */
static enum tl_rc walk(const char *dir, enum tl_rc (*fn)(void *ctx, const char *name, struct tl_err *err), void *ctx,
                       struct tl_err *err)
{
    TL_AUTO(folder) folder = {opendir(dir)};
    enum tl_rc rc = TL_OK;

    if (folder.dir == NULL) {
        return tl_fail_sys(err, "cannot open the folder %s", dir);
    }
    while (!rc) {
        errno = 0;
        const struct dirent *entry = readdir(folder.dir); /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (entry == NULL) {
            return errno != 0 ? tl_fail_sys(err, "cannot read the folder %s", dir) : TL_OK;
        }
        if (entry->d_name[0] != '.') {
            rc = fn(ctx, entry->d_name, err);
        }
    }
    return rc;
}

/* Is it UUID.json? Then the UUID. */
static bool uuid_of(const char *name, char ret_uuid[TL_UUID_TEXT])
{
    if (strlen(name) != TL_UUID_TEXT - 1 + sizeof ENDING - 1 || strcmp(name + TL_UUID_TEXT - 1, ENDING) != 0) {
        return false;
    }
    memcpy(ret_uuid, name, TL_UUID_TEXT - 1);
    ret_uuid[TL_UUID_TEXT - 1] = '\0';
    return tl_uuid_valid(ret_uuid);
}

struct listing {
    const char *dir;
    char (*uuids)[TL_UUID_TEXT]; /* (max); NULL: only counted */
    size_t n, max, bytes;
};

static enum tl_rc list_one(void *ctx, const char *name, struct tl_err *err)
{
    struct listing *listing = ctx;
    char uuid[TL_UUID_TEXT], path[AGENT_PATH_MAX];
    struct stat status;

    (void)err;
    if (!uuid_of(name, uuid)) {
        return TL_OK;
    }
    path_of(path, listing->dir, name, "");
    if (stat(path, &status) != 0) {
        return TL_OK; /* gone meanwhile */
    }
    if (listing->uuids != NULL && listing->n < listing->max) {
        memcpy(listing->uuids[listing->n], uuid, TL_UUID_TEXT);
    }
    listing->n++;
    listing->bytes += (size_t)status.st_size;
    return TL_OK;
}

static int compare_uuids(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The UUIDs of a folder, the oldest first (version 7 sorts by time), at most `max`. */
static enum tl_rc list(const char *dir, char uuids[][TL_UUID_TEXT], size_t max, size_t *ret_n, struct tl_err *err)
{
    struct listing listing = {.dir = dir, .uuids = uuids, .max = max};
    const enum tl_rc rc = walk(dir, list_one, &listing, err);

    if (rc) {
        return rc;
    }
    const size_t n = listing.n < max ? listing.n : max;
    qsort(uuids, n, sizeof *uuids, compare_uuids);
    *ret_n = n;
    return TL_OK;
}

/* ---- the spool ------------------------------------------------------------------------------------------------- */

struct sweep {
    const char *dir, *ending;
};

static enum tl_rc sweep_one(void *ctx, const char *name, struct tl_err *err)
{
    const struct sweep *sweep = ctx;
    const size_t n = strlen(name), ending_n = strlen(sweep->ending);
    char path[AGENT_PATH_MAX];

    (void)err;
    if (n >= ending_n && strcmp(name + n - ending_n, sweep->ending) == 0) {
        path_of(path, sweep->dir, name, "");
        (void)unlink(path); /* what stays is swept next time */
    }
    return TL_OK;
}

enum tl_rc agent_folder_sweep(const char *dir, const char *ending, struct tl_err *err)
{
    struct sweep sweep = {dir, ending};

    return walk(dir, sweep_one, &sweep, err);
}

enum tl_rc agent_spool_open(const char *state_dir, struct agent_spool *ret_spool, struct tl_err *err)
{
    struct agent_spool spool;
    enum tl_rc rc;

    if (strlen(state_dir) + sizeof "/spool/rejected" > sizeof spool.rejected) {
        return tl_fail(err, TL_INVALID, "the name of the state folder is too long");
    }
    (void)snprintf(spool.dir, sizeof spool.dir, "%s/spool", state_dir);
    (void)snprintf(spool.rejected, sizeof spool.rejected, "%s/spool/rejected", state_dir);
    if ((rc = tl_dir_make(spool.rejected, err)) || (rc = agent_folder_sweep(spool.dir, ".tmp", err)) ||
        (rc = agent_folder_sweep(spool.rejected, ".tmp", err))) {
        return rc;
    }
    *ret_spool = spool;
    return TL_OK;
}

/* Files and bytes in the spool. */
static enum tl_rc used(const struct agent_spool *spool, size_t *ret_files, size_t *ret_bytes, struct tl_err *err)
{
    struct listing listing = {.dir = spool->dir};
    const enum tl_rc rc = walk(spool->dir, list_one, &listing, err);

    if (!rc) {
        *ret_files = listing.n;
        *ret_bytes = listing.bytes;
    }
    return rc;
}

enum tl_rc agent_spool_room(const struct agent_spool *spool, size_t n, bool *ret_room, struct tl_err *err)
{
    size_t files = 0, bytes = 0;
    const enum tl_rc rc = used(spool, &files, &bytes, err);

    if (!rc) {
        *ret_room = files + n <= SPOOL_FILES_MAX && bytes <= SPOOL_BYTES_MAX - SPOOL_FILE_MAX;
    }
    return rc;
}

enum tl_rc agent_spool_add(const struct agent_spool *spool, const char *uuid, const void *data, size_t n,
                           struct tl_err *err)
{
    char path[AGENT_PATH_MAX];
    size_t files = 0, bytes = 0;
    const enum tl_rc rc = used(spool, &files, &bytes, err);

    if (rc) {
        return rc;
    }
    if (n > SPOOL_FILE_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "a measurement of %zu bytes; the limit is %d", n, SPOOL_FILE_MAX);
    }
    if (files >= SPOOL_FILES_MAX || bytes + n > SPOOL_BYTES_MAX) {
        return tl_fail(err, TL_BUSY, "the spool %s is full: %zu measurements, %zu bytes", spool->dir, files, bytes);
    }
    path_of(path, spool->dir, uuid, ENDING);
    return tl_file_write(path, data, n, err);
}

enum tl_rc agent_spool_list(const struct agent_spool *spool, char ret_uuids[][TL_UUID_TEXT], size_t *ret_n,
                            struct tl_err *err)
{
    return list(spool->dir, ret_uuids, SPOOL_FILES_MAX, ret_n, err);
}

enum tl_rc agent_spool_read(const struct agent_spool *spool, const char *uuid, struct tl_buf *buf, struct tl_err *err)
{
    char path[AGENT_PATH_MAX];

    path_of(path, spool->dir, uuid, ENDING);
    return tl_file_read(path, buf, err);
}

enum tl_rc agent_spool_remove(const struct agent_spool *spool, const char *uuid, struct tl_err *err)
{
    char path[AGENT_PATH_MAX];

    path_of(path, spool->dir, uuid, ENDING);
    return tl_file_remove(path, err);
}

/* Keep the newest SPOOL_REJECTED_MAX. */
static enum tl_rc forget_oldest(const struct agent_spool *spool, struct tl_err *err)
{
    enum { MANY = 2 * SPOOL_REJECTED_MAX }; /* one at a time is added, so that there are never so many */
    char uuids[MANY][TL_UUID_TEXT];
    size_t n = 0;
    enum tl_rc rc = list(spool->rejected, uuids, MANY, &n, err);

    for (size_t i = 0; !rc && i + SPOOL_REJECTED_MAX < n; i++) {
        char path[AGENT_PATH_MAX];
        path_of(path, spool->rejected, uuids[i], ".answer");
        if (!(rc = tl_file_remove(path, err))) {
            path_of(path, spool->rejected, uuids[i], ENDING);
            rc = tl_file_remove(path, err);
        }
    }
    return rc;
}

enum tl_rc agent_spool_reject(const struct agent_spool *spool, const char *uuid, const char *answer, struct tl_err *err)
{
    TL_AUTO(tl_buf) body = {.max = SPOOL_FILE_MAX};
    char path[AGENT_PATH_MAX];
    enum tl_rc rc = agent_spool_read(spool, uuid, &body, err);

    if (rc) {
        return rc;
    }
    path_of(path, spool->rejected, uuid, ".answer");
    if ((rc = tl_file_write(path, answer, strlen(answer), err))) {
        return rc;
    }
    path_of(path, spool->rejected, uuid, ENDING);
    if ((rc = tl_file_write(path, body.data, body.len, err)) || (rc = agent_spool_remove(spool, uuid, err))) {
        return rc;
    }
    return forget_oldest(spool, err);
}
