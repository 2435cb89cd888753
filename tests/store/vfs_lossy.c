/* vfs_lossy.c - see vfs_lossy.h.
 *
 * Each path has one image, shared by all connections: `bytes` is the file as the running program sees it, `pending` are
 * the changes that the real file has not seen yet. A sync plays them onto the real file.
 */
#include "store/vfs_lossy.h"

#include "base/base.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGES_MAX = 32, PATH_BYTES = 512, SECTOR_BYTES = 512 };

/* A write of n bytes at `at`, or a truncation to `at` bytes. */
struct change {
    struct change *next;
    sqlite3_int64 at;
    bool truncates;
    size_t n;
    unsigned char data[];
};

struct image {
    char path[PATH_BYTES]; /* "": this slot is free */
    unsigned char *bytes;  /* owned */
    size_t size;
    size_t cap;
    struct change *pending; /* owned, oldest first */
    struct change *last;    /* of pending */
};

struct lossy_file {
    sqlite3_file base;
    struct image *image; /* borrowed */
    sqlite3_file *real;  /* stands behind this struct */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all that follows */
static struct image images[IMAGES_MAX];
static uint64_t n_calls;
static uint64_t crash_at; /* 0: never */
static uint64_t crash_seed;
static bool crashed;

static sqlite3_vfs *real_vfs; /* set once, before use */

/* ---- images -------------------------------------------------------------------------------------------------- */

static void image_drop_pending(struct image *image)
{
    while (image->pending) {
        struct change *change = image->pending;
        image->pending = change->next;
        free(change);
    }
    image->last = NULL;
}

static void image_free(struct image *image)
{
    image_drop_pending(image);
    free(image->bytes);
    *image = (struct image){0};
}

/* Make it `size` bytes long; what is new is zero. */
static bool image_resize(struct image *image, size_t size)
{
    if (size > image->cap) {
        unsigned char *bytes = realloc(image->bytes, size * 2);
        if (!bytes) {
            return false;
        }
        image->bytes = bytes;
        image->cap = size * 2;
    }
    if (size > image->size) {
        memset(image->bytes + image->size, 0, size - image->size);
    }
    image->size = size;
    return true;
}

static struct image *image_find(const char *path)
{
    for (size_t i = 0; i < IMAGES_MAX; i++) {
        if (strcmp(images[i].path, path) == 0) {
            return &images[i];
        }
    }
    return NULL;
}

/* The path's image; the first time, as the disk has the file now. */
static int image_open(const char *path, sqlite3_file *real, struct image **ret_image)
{
    struct image *image = image_find(path);
    if (image) {
        *ret_image = image;
        return SQLITE_OK;
    }
    image = image_find("");
    assert(image && strlen(path) < PATH_BYTES);
    sqlite3_int64 size = 0;
    int code = real->pMethods->xFileSize(real, &size);
    if (!code && !image_resize(image, (size_t)size)) {
        code = SQLITE_NOMEM;
    }
    if (!code && size) {
        code = real->pMethods->xRead(real, image->bytes, (int)size, 0);
    }
    if (code) {
        image_free(image);
        return code;
    }
    memcpy(image->path, path, strlen(path) + 1);
    *ret_image = image;
    return SQLITE_OK;
}

static int image_change(struct image *image, bool truncates, sqlite3_int64 at, const void *data, size_t n)
{
    struct change *change = malloc(sizeof *change + n);
    size_t end = (size_t)at + n;
    if (!change || ((truncates || end > image->size) && !image_resize(image, end))) {
        free(change);
        return SQLITE_NOMEM;
    }
    *change = (struct change){.at = at, .truncates = truncates, .n = n};
    if (n) {
        memcpy(change->data, data, n);
        memcpy(image->bytes + at, data, n);
    }
    if (image->last) {
        image->last->next = change;
    } else {
        image->pending = change;
    }
    image->last = change;
    return SQLITE_OK;
}

/* ---- the power ----------------------------------------------------------------------------------------------- */

/* How much of an unsynced write the disk happens to have kept: nothing, all, or its first sectors. */
static size_t kept_bytes(struct tl_rng *rng, size_t n)
{
    switch (tl_rng_below(rng, 3)) {
    case 0:
        return 0;
    case 1:
        return n;
    default:
        return n / 2 / SECTOR_BYTES * SECTOR_BYTES;
    }
}

/* By path: opening the file again drops the process's locks on it, which the power does as well. */
static void keep_some(const struct image *image, struct tl_rng *rng)
{
    int fd = image->pending ? open(image->path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    for (const struct change *change = image->pending; change; change = change->next) {
        size_t n = kept_bytes(rng, change->n);
        bool kept = change->truncates ? tl_rng_below(rng, 2) == 0 && ftruncate(fd, (off_t)change->at) == 0
                                      : pwrite(fd, change->data, n, (off_t)change->at) == (ssize_t)n;
        (void)kept; /* a write that fails is one more that was lost */
    }
    close(fd);
}

static void power_off(void)
{
    struct tl_rng rng;
    tl_rng_init(&rng, crash_seed, 0, 0);
    for (size_t i = 0; i < IMAGES_MAX; i++) {
        if (images[i].path[0] && crash_seed) {
            keep_some(&images[i], &rng);
        }
        image_drop_pending(&images[i]);
    }
    crashed = true;
}

/* Count a call that changes the disk; false: the power is off. */
static bool tick(void)
{
    n_calls++;
    if (!crashed && crash_at && n_calls >= crash_at) {
        power_off();
    }
    return !crashed;
}

/* ---- methods of a file --------------------------------------------------------------------------------------- */

static struct lossy_file *lossy_of(sqlite3_file *file)
{
    return (struct lossy_file *)(void *)file;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return lossy_of(file)->real;
}

static int lossy_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file)); /* the image stays, as in the system's cache */
}

static int lossy_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at)
{
    pthread_mutex_lock(&lock);
    const struct image *image = lossy_of(file)->image;
    int code = crashed ? SQLITE_IOERR_READ : SQLITE_OK;
    size_t have = (size_t)at < image->size ? image->size - (size_t)at : 0;
    if (!code && have < (size_t)n) {
        memset(data, 0, (size_t)n);
        code = SQLITE_IOERR_SHORT_READ;
    }
    if (code != SQLITE_IOERR_READ && have) {
        memcpy(data, image->bytes + at, have < (size_t)n ? have : (size_t)n);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static int lossy_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
    pthread_mutex_lock(&lock);
    int code = tick() ? image_change(lossy_of(file)->image, false, at, data, (size_t)n) : SQLITE_IOERR_WRITE;
    pthread_mutex_unlock(&lock);
    return code;
}

static int lossy_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    pthread_mutex_lock(&lock);
    int code = tick() ? image_change(lossy_of(file)->image, true, size, NULL, 0) : SQLITE_IOERR_TRUNCATE;
    pthread_mutex_unlock(&lock);
    return code;
}

/* What reaches the real file is in the system's hands: it outlives the process, and that is all this disk promises. */
static int play_pending(struct image *image, sqlite3_file *real)
{
    int code = SQLITE_OK;
    for (const struct change *change = image->pending; !code && change; change = change->next) {
        code = change->truncates ? real->pMethods->xTruncate(real, change->at)
                                 : real->pMethods->xWrite(real, change->data, (int)change->n, change->at);
    }
    if (!code) {
        image_drop_pending(image);
    }
    return code;
}

static int lossy_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    pthread_mutex_lock(&lock);
    int code = tick() ? play_pending(lossy_of(file)->image, real_of(file)) : SQLITE_IOERR_FSYNC;
    pthread_mutex_unlock(&lock);
    return code;
}

static int lossy_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    pthread_mutex_lock(&lock);
    *ret_size = (sqlite3_int64)lossy_of(file)->image->size;
    pthread_mutex_unlock(&lock);
    return SQLITE_OK;
}

static int lossy_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int lossy_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int lossy_check_lock(sqlite3_file *file, int *ret_taken)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_taken);
}

static int lossy_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int lossy_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int lossy_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int lossy_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret_map)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret_map);
}

static int lossy_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void lossy_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int lossy_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 2, /* without the mapping of version 3 */
    .xClose = lossy_close,
    .xRead = lossy_read,
    .xWrite = lossy_write,
    .xTruncate = lossy_truncate,
    .xSync = lossy_sync,
    .xFileSize = lossy_size,
    .xLock = lossy_lock,
    .xUnlock = lossy_unlock,
    .xCheckReservedLock = lossy_check_lock,
    .xFileControl = lossy_control,
    .xSectorSize = lossy_sector,
    .xDeviceCharacteristics = lossy_characteristics,
    .xShmMap = lossy_shm_map,
    .xShmLock = lossy_shm_lock,
    .xShmBarrier = lossy_shm_barrier,
    .xShmUnmap = lossy_shm_unmap,
};

/* ---- methods of the VFS -------------------------------------------------------------------------------------- */

static int lossy_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    if (!path) { /* a temporary file: nobody will miss it */
        return real_vfs->xOpen(real_vfs, path, file, flags, ret_flags);
    }
    struct lossy_file *lossy = lossy_of(file);
    *lossy = (struct lossy_file){.real = (sqlite3_file *)(void *)(lossy + 1)};
    int code = real_vfs->xOpen(real_vfs, path, lossy->real, flags, ret_flags);
    if (code) {
        return code;
    }
    pthread_mutex_lock(&lock);
    code = image_open(path, lossy->real, &lossy->image);
    pthread_mutex_unlock(&lock);
    if (code) {
        lossy->real->pMethods->xClose(lossy->real);
        return code;
    }
    lossy->base.pMethods = &METHODS;
    return SQLITE_OK;
}

static int lossy_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    (void)vfs;
    pthread_mutex_lock(&lock);
    struct image *image = image_find(path);
    int code = crashed ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, path, sync_folder);
    if (!code && image) {
        image_free(image);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

/* SQLite takes an empty file for a missing one, and a file is empty on the disk until its first sync. */
static int lossy_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret_there)
{
    (void)vfs;
    pthread_mutex_lock(&lock);
    const struct image *image = image_find(path);
    bool there = image && image->size && flags == SQLITE_ACCESS_EXISTS;
    pthread_mutex_unlock(&lock);
    if (there) {
        *ret_there = 1;
        return SQLITE_OK;
    }
    return real_vfs->xAccess(real_vfs, path, flags, ret_there);
}

void vfs_lossy_register(void)
{
    static sqlite3_vfs lossy_vfs;
    real_vfs = sqlite3_vfs_find(NULL);
    lossy_vfs = *real_vfs; /* paths, time and randomness are the default's */
    lossy_vfs.pNext = NULL;
    lossy_vfs.zName = "lossy";
    lossy_vfs.szOsFile += (int)sizeof(struct lossy_file);
    lossy_vfs.xOpen = lossy_open;
    lossy_vfs.xDelete = lossy_delete;
    lossy_vfs.xAccess = lossy_access;
    int code = sqlite3_vfs_register(&lossy_vfs, 0);
    assert(code == SQLITE_OK);
    (void)code;
}

void vfs_lossy_crash_after(uint64_t calls, uint64_t seed)
{
    pthread_mutex_lock(&lock);
    n_calls = 0;
    crash_at = calls;
    crash_seed = seed;
    pthread_mutex_unlock(&lock);
}

uint64_t vfs_lossy_calls(void)
{
    pthread_mutex_lock(&lock);
    uint64_t calls = n_calls;
    pthread_mutex_unlock(&lock);
    return calls;
}

void vfs_lossy_reset(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < IMAGES_MAX; i++) {
        image_free(&images[i]);
    }
    n_calls = 0;
    crash_at = 0;
    crashed = false;
    pthread_mutex_unlock(&lock);
}
