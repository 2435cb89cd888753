/* training_folder.c - see training_folder.h. */
#include "server/training_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { NAMES_BYTES = 256 }; /* of the longest file in the folder, temporary ones included */

void training_folder_path(const char *dir, const char *file, char ret_path[TRAINING_PATH_BYTES])
{
    (void)snprintf(ret_path, TRAINING_PATH_BYTES, "%s/%s", dir, file);
}

static enum tl_rc lock(const char *dir, int *ret_fd, struct tl_err *err)
{
    char path[TRAINING_PATH_BYTES];
    training_folder_path(dir, "tailor.lock", path);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return tl_fail_sys(err, "cannot write into the folder %.300s", dir);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *ret_fd = fd;
        return TL_OK;
    }
    const enum tl_rc rc =
        errno == EWOULDBLOCK
            ? tl_fail(err, TL_CONFLICT, "another training writes into %.300s; wait for it, or give another --output",
                      dir)
            : tl_fail_sys(err, "cannot lock %.300s", path);
    close(fd);
    return rc;
}

/* Is it what tl_file_write calls a file of ours while it is being written: NAME.UUID.tmp? */
static bool is_left_over(const char *name)
{
    static const char *const files[] = {"checkpoint.safetensors", "supernet.safetensors", "log.jsonl"};
    static const size_t tail = 1 + TL_UUID_TEXT - 1 + sizeof ".tmp" - 1;
    for (size_t i = 0; i < TL_COUNT_OF(files); i++) {
        const size_t n = strlen(files[i]);
        if (strlen(name) == n + tail && memcmp(name, files[i], n) == 0 && name[n] == '.' &&
            strcmp(name + n + tail - 4, ".tmp") == 0) {
            return true;
        }
    }
    return false;
}

static enum tl_rc clear(const char *dir, struct tl_err *err)
{
    const struct dirent *entry = NULL;
    enum tl_rc rc = TL_OK;
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return tl_fail_sys(err, "cannot read the folder %.300s", dir);
    }
    while (rc == TL_OK && (entry = readdir(stream)) != NULL) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        char path[TRAINING_PATH_BYTES];
        if (is_left_over(entry->d_name)) {
            training_folder_path(dir, entry->d_name, path);
            rc = tl_file_remove(path, err);
        }
    }
    closedir(stream);
    return rc;
}

enum tl_rc training_folder_take(const char *dir, int *ret_fd, struct tl_err *err)
{
    int fd = -1;
    if (strlen(dir) + NAMES_BYTES > TRAINING_PATH_BYTES) {
        return tl_fail(err, TL_INVALID, "the path of --output has %zu bytes; give one of at most %d", strlen(dir),
                       TRAINING_PATH_BYTES - NAMES_BYTES);
    }
    enum tl_rc rc = tl_dir_make(dir, err);
    rc = rc ? rc : lock(dir, &fd, err);
    if (rc == TL_OK && (rc = clear(dir, err))) {
        close(fd);
    }
    if (rc == TL_OK) {
        *ret_fd = fd;
    }
    return rc;
}
