/* What is left of the spool when the power goes, at every moment at which it could go.
 *
 * The file functions are wrapped and play a disk beside the real one. It knows of each file what was written and what of
 * it was synced, and of the folders which names were made and which of those were synced. A cut may lose everything that
 * was not synced; it may also keep names and lose only bytes (a journal writes names in its own time). After every single
 * call the spool must stand in both worlds: what was promised is there, and what is there is whole.
 */
#include "agent_folder.h"
#include "latency/agent/agent.h"

#include <fcntl.h>

enum { FILES_MAX = 512, FDS_MAX = 256, BODY_MAX = 4096, NAME_MAX_BYTES = 512 };

/* A file of the played disk: its name now and on the disk ("" : none), its bytes now and on the disk. */
struct played_file {
    char name[NAME_MAX_BYTES], synced_name[NAME_MAX_BYTES];
    char bytes[BODY_MAX];
    size_t n, synced_n;
};

static struct {
    bool on;
    bool deaf;   /* fsync is believed to work and does nothing */
    size_t cuts; /* moments looked at */
    size_t broken;
    char root[FOLDER_PATH_MAX];
    struct played_file files[FILES_MAX];
    size_t n_files;
    int file_of_fd[FDS_MAX]; /* index + 1; -1: a folder */
    char folder_of_fd[FDS_MAX][NAME_MAX_BYTES];
    char promised[FILES_MAX][TL_UUID_TEXT];
    size_t n_promised;
} disk;

/* Every measurement of this test, by its UUID. */
static void body_of(const char *uuid, char ret_body[BODY_MAX])
{
    (void)snprintf(ret_body, BODY_MAX, "{\"subject\": \"%s\", \"item_ns\": [[1000, 1001, 1002]]}", uuid);
}

/* Does the file under this name hold all of its measurement? Other names are nobody's business. */
static bool is_whole(const char *name, const struct played_file *file, size_t n)
{
    char uuid[TL_UUID_TEXT], body[BODY_MAX];
    const char *base = strrchr(name, '/');

    if (base == NULL || strlen(base + 1) != TL_UUID_TEXT - 1 + 5 || strcmp(base + TL_UUID_TEXT, ".json") != 0) {
        return true;
    }
    memcpy(uuid, base + 1, TL_UUID_TEXT - 1);
    uuid[TL_UUID_TEXT - 1] = '\0';
    body_of(uuid, body);
    return n == strlen(body) && memcmp(file->bytes, body, n) == 0;
}

/* Is the promised measurement in the spool or among the rejected ones, in the world where names are as given? */
static bool is_there(const char *uuid, bool names_kept)
{
    for (size_t i = 0; i < disk.n_files; i++) {
        const struct played_file *file = &disk.files[i];
        const char *name = names_kept ? file->name : file->synced_name;
        const char *base = strrchr(name, '/');
        if (base != NULL && strncmp(base + 1, uuid, TL_UUID_TEXT - 1) == 0 &&
            strcmp(base + TL_UUID_TEXT, ".json") == 0 && is_whole(name, file, file->synced_n)) {
            return true;
        }
    }
    return false;
}

/* The power goes now. */
static void look(void)
{
    disk.cuts++;
    for (size_t i = 0; i < disk.n_files; i++) {
        const struct played_file *file = &disk.files[i];
        disk.broken += !is_whole(file->synced_name, file, file->synced_n);
        disk.broken += !is_whole(file->name, file, file->synced_n);
    }
    for (size_t i = 0; i < disk.n_promised; i++) {
        disk.broken += !is_there(disk.promised[i], false);
        disk.broken += !is_there(disk.promised[i], true);
    }
}

static struct played_file *find(const char *name)
{
    for (size_t i = 0; i < disk.n_files; i++) {
        if (strcmp(disk.files[i].name, name) == 0) {
            return &disk.files[i];
        }
    }
    return NULL;
}

static bool is_played(const char *path)
{
    return disk.on && strncmp(path, disk.root, strlen(disk.root)) == 0;
}

static bool fd_is_played(int fd)
{
    return disk.on && fd >= 0 && fd < FDS_MAX && disk.file_of_fd[fd] != 0;
}

/* ---- the wrapped functions; the names are the linker's ----------------------------------------------------------- */

int __real_open(const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t n);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_close(int fd);
int __wrap_open(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t n);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_close(int fd);

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const int fd = __real_open(path, flags, (flags & O_CREAT) != 0 ? va_arg(args, int) : 0);
    va_end(args);

    if (fd < 0 || fd >= FDS_MAX || !is_played(path)) {
        return fd;
    }
    (void)snprintf(disk.folder_of_fd[fd], NAME_MAX_BYTES, "%s", path);
    disk.file_of_fd[fd] = -1;
    if ((flags & O_DIRECTORY) == 0) {
        struct played_file *file = find(path);
        if (file == NULL && (flags & O_CREAT) != 0) {
            assert_true(disk.n_files < FILES_MAX);
            file = &disk.files[disk.n_files++];
            (void)snprintf(file->name, sizeof file->name, "%s", path);
        }
        assert_non_null(file);
        disk.file_of_fd[fd] = (int)(file - disk.files) + 1;
        look();
    }
    return fd;
}

ssize_t __wrap_write(int fd, const void *data, size_t n)
{
    const ssize_t put = __real_write(fd, data, n);

    if (put > 0 && fd_is_played(fd) && disk.file_of_fd[fd] > 0) {
        struct played_file *file = &disk.files[disk.file_of_fd[fd] - 1];
        assert_true(file->n + (size_t)put <= BODY_MAX);
        memcpy(file->bytes + file->n, data, (size_t)put);
        file->n += (size_t)put;
        look();
    }
    return put;
}

/* Bring the names of one folder to the disk. */
static void sync_names(const char *folder)
{
    const size_t n = strlen(folder);

    for (size_t i = 0; i < disk.n_files; i++) {
        struct played_file *file = &disk.files[i];
        const bool was =
            strncmp(file->synced_name, folder, n) == 0 && strrchr(file->synced_name, '/') == file->synced_name + n;
        const bool is = strncmp(file->name, folder, n) == 0 && strrchr(file->name, '/') == file->name + n;
        if (was || is) {
            memcpy(file->synced_name, is ? file->name : "", is ? sizeof file->name : 1);
        }
    }
}

int __wrap_fsync(int fd)
{
    if (fd_is_played(fd) && !disk.deaf) {
        if (disk.file_of_fd[fd] > 0) {
            struct played_file *file = &disk.files[disk.file_of_fd[fd] - 1];
            file->synced_n = file->n;
        } else {
            sync_names(disk.folder_of_fd[fd]);
        }
        look();
    }
    return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    const int rc = __real_rename(from, to);

    if (rc == 0 && is_played(to)) {
        struct played_file *file = find(from);
        assert_non_null(file);
        (void)snprintf(file->name, sizeof file->name, "%s", to);
        look();
    }
    return rc;
}

int __wrap_unlink(const char *path)
{
    const int rc = __real_unlink(path);

    if (rc == 0 && is_played(path)) {
        struct played_file *file = find(path);
        assert_non_null(file);
        file->name[0] = '\0';
        look();
    }
    return rc;
}

int __wrap_close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX) {
        disk.file_of_fd[fd] = 0;
    }
    return __real_close(fd);
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

static void start_disk(const char *root, bool deaf)
{
    memset(&disk, 0, sizeof disk);
    (void)snprintf(disk.root, sizeof disk.root, "%s", root);
    disk.deaf = deaf;
    disk.on = true;
}

static void unpromise(const char *uuid)
{
    for (size_t i = 0; i < disk.n_promised; i++) {
        if (strcmp(disk.promised[i], uuid) == 0) {
            memmove(disk.promised[i], disk.promised[i + 1], (disk.n_promised - i - 1) * sizeof *disk.promised);
            disk.n_promised--;
            return;
        }
    }
}

/* Spool some, send some, have some refused. */
static void use_spool(const char *dir)
{
    enum { N = 12 };
    struct agent_spool spool;
    char uuids[N][TL_UUID_TEXT];

    assert_int_equal(agent_spool_open(dir, &spool, NULL), TL_OK);
    for (size_t i = 0; i < N; i++) {
        char body[BODY_MAX];
        tl_uuid(uuids[i]);
        body_of(uuids[i], body);
        assert_int_equal(agent_spool_add(&spool, uuids[i], body, strlen(body), NULL), TL_OK);
        memcpy(disk.promised[disk.n_promised++], uuids[i], TL_UUID_TEXT);
        look();
        if (i % 3 == 1) {
            unpromise(uuids[i - 1]); /* the server has it */
            assert_int_equal(agent_spool_remove(&spool, uuids[i - 1], NULL), TL_OK);
        }
        if (i % 3 == 2) {
            assert_int_equal(agent_spool_reject(&spool, uuids[i], "refused", NULL), TL_OK);
        }
    }
    disk.on = false;
}

static void nothing_promised_is_lost_and_nothing_is_half_there(void **state)
{
    start_disk(*state, false);
    use_spool(*state);
    assert_true(disk.cuts > 100);
    assert_int_equal(disk.broken, 0);
}

static void without_fsync_this_test_would_fail(void **state)
{
    start_disk(*state, true);
    use_spool(*state);
    assert_true(disk.broken > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_promised_is_lost_and_nothing_is_half_there, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(without_fsync_this_test_would_fail, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
