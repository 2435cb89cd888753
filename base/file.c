/* file.c - files that are complete or absent. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file descriptor that closes with its scope. */
struct file {
    int fd; /* -1: none */
};

static void file_done(struct file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
    }
}

/* read, again after a signal. */
static ssize_t read_some(int fd, char *chunk, size_t n)
{
    ssize_t got;
    do {
        got = read(fd, chunk, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

enum tl_rc tl_file_read(const char *path, struct tl_buf *buf, struct tl_err *err)
{
    TL_AUTO(file) file = {open(path, O_RDONLY | O_CLOEXEC)};
    if (file.fd < 0) {
        return errno == ENOENT ? tl_fail(err, TL_NOT_FOUND, "no file %s", path)
                               : tl_fail_sys(err, "cannot open %s", path);
    }
    size_t len_before = buf->len;
    for (;;) {
        char chunk[16384];
        ssize_t got = read_some(file.fd, chunk, sizeof chunk);
        enum tl_rc rc = got < 0 ? tl_fail_sys(err, "cannot read %s", path) : tl_buf_add(buf, chunk, (size_t)got, err);
        if (rc && buf->data) {
            buf->len = len_before;
            buf->data[buf->len] = '\0';
        }
        if (rc || got == 0) {
            return rc;
        }
    }
}

enum tl_rc tl_secret_read(const char *path, struct tl_buf *buf, struct tl_err *err)
{
    struct stat status;
    if (stat(path, &status) == 0) { /* what is not there is tl_file_read's to tell */
        if (!S_ISREG(status.st_mode)) {
            return tl_fail(err, TL_INVALID, "%s is not a file", path);
        }
        if (status.st_mode & (S_IRWXO | S_IWGRP)) {
            return tl_fail(err, TL_INVALID, "others than its owner may read or change %s: chmod 600 %s", path, path);
        }
    }
    return tl_file_read(path, buf, err);
}

static enum tl_rc write_all(int fd, const char *path, const char *data, size_t n, struct tl_err *err)
{
    while (n) {
        ssize_t put = write(fd, data, n);
        if (put < 0 && errno != EINTR) {
            return tl_fail_sys(err, "cannot write %s", path);
        }
        if (put > 0) {
            data += put;
            n -= (size_t)put;
        }
    }
    return fsync(fd) ? tl_fail_sys(err, "cannot write %s to the disk", path) : TL_OK;
}

/* Bring the name of `path` to the disk: fsync of the folder it stands in. */
static enum tl_rc sync_folder(const char *path, struct tl_err *err)
{
    const char *slash = strrchr(path, '/');
    size_t n = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
    TL_AUTO(tl_buf) folder = {0};
    enum tl_rc rc = tl_buf_add(&folder, n ? path : ".", n ? n : 1, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(file) file = {open(folder.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (file.fd < 0 || fsync(file.fd)) {
        return tl_fail_sys(err, "cannot write the folder %s to the disk", folder.data);
    }
    return TL_OK;
}

static enum tl_rc write_temporary(const char *path, const void *data, size_t n, struct tl_err *err)
{
    TL_AUTO(file) file = {open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)};
    return file.fd < 0 ? tl_fail_sys(err, "cannot create %s", path) : write_all(file.fd, path, data, n, err);
}

enum tl_rc tl_file_write(const char *path, const void *data, size_t n, struct tl_err *err)
{
    char unique[TL_UUID_TEXT];
    tl_uuid(unique);
    TL_AUTO(tl_buf) temporary = {0};
    enum tl_rc rc = tl_buf_addf(&temporary, err, "%s.%s.tmp", path, unique);
    if (rc) {
        return rc;
    }
    rc = write_temporary(temporary.data, data, n, err);
    if (!rc && rename(temporary.data, path)) {
        rc = tl_fail_sys(err, "cannot rename %s to %s", temporary.data, path);
    }
    if (rc) {
        unlink(temporary.data);
        return rc;
    }
    return sync_folder(path, err);
}

enum tl_rc tl_file_remove(const char *path, struct tl_err *err)
{
    if (unlink(path)) {
        return errno == ENOENT ? TL_OK : tl_fail_sys(err, "cannot remove %s", path);
    }
    return sync_folder(path, err);
}

static enum tl_rc make_one(const char *path, struct tl_err *err)
{
    if (mkdir(path, 0755) == 0) {
        return sync_folder(path, err);
    }
    int sys = errno;
    struct stat status;
    if (sys == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        return TL_OK;
    }
    errno = sys;
    return tl_fail_sys(err, "cannot make the folder %s", path);
}

enum tl_rc tl_dir_make(const char *path, struct tl_err *err)
{
    TL_AUTO(tl_buf) partial = {0};
    enum tl_rc rc = tl_buf_add(&partial, path, strlen(path), err);
    for (size_t i = 1; !rc && i < partial.len; i++) {
        if (partial.data[i] == '/' && partial.data[i - 1] != '/') {
            partial.data[i] = '\0';
            rc = make_one(partial.data, err);
            partial.data[i] = '/';
        }
    }
    return rc ? rc : make_one(path, err);
}
