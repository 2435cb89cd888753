/* state.c - the folder of one agent: its lock and its key. Threads: before any start. */
#define _DEFAULT_SOURCE /* flock */
#include "latency/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void agent_state_done(struct agent_state *state)
{
    if (state->lock_fd >= 0) {
        (void)close(state->lock_fd); /* gives up the lock */
        state->lock_fd = -1;
    }
}

static enum tl_rc lock_folder(const char *dir, int *ret_fd, struct tl_err *err)
{
    char path[AGENT_PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/lock", dir);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return tl_fail_sys(err, "cannot open %s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int sys = errno;
        (void)close(fd);
        errno = sys;
        return sys == EWOULDBLOCK ? tl_fail(err, TL_CONFLICT, "another tailor-agent uses %s", dir)
                                  : tl_fail_sys(err, "cannot lock %s", path);
    }
    *ret_fd = fd;
    return TL_OK;
}

/* 128 random bits: two UUIDs of version 7 hold 148 of them. */
static void make_key(char ret_key[TL_HASH_TEXT])
{
    char a[TL_UUID_TEXT], b[TL_UUID_TEXT];

    tl_uuid(a);
    tl_uuid(b);
    const struct tl_hash hash = tl_hash_of2(a, sizeof a, b, sizeof b);
    tl_hash_format(&hash, ret_key);
}

static enum tl_rc read_or_make_key(const char *dir, char ret_key[TL_HASH_TEXT], struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = 4096};
    struct tl_hash hash;
    char path[AGENT_PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/key", dir);
    enum tl_rc rc = tl_file_read(path, &text, NULL);
    if (rc == TL_NOT_FOUND) {
        char key[TL_HASH_TEXT];
        make_key(key);
        rc = tl_file_write(path, key, TL_HASH_TEXT - 1, err);
        if (!rc) {
            memcpy(ret_key, key, TL_HASH_TEXT);
        }
        return rc;
    }
    if (rc || text.len != TL_HASH_TEXT - 1 || !tl_hash_parse(text.data, &hash)) {
        return tl_fail(err, rc ? rc : TL_MALFORMED,
                       "%s is not an agent's key; remove it to make a new one (and use a new --name)", path);
    }
    memcpy(ret_key, text.data, TL_HASH_TEXT);
    return TL_OK;
}

enum tl_rc agent_state_open(const char *dir, struct agent_state *ret_state, struct tl_err *err)
{
    TL_AUTO(agent_state) state = {.lock_fd = -1};
    enum tl_rc rc;

    (void)umask(077);
    if ((rc = tl_dir_make(dir, err)) || (rc = lock_folder(dir, &state.lock_fd, err)) ||
        (rc = read_or_make_key(dir, state.key, err))) {
        return rc;
    }
    *ret_state = state;
    state.lock_fd = -1;
    return TL_OK;
}
