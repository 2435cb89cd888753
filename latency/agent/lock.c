/* lock.c - one measurement at a time on an accelerator, whoever makes it.
 *
 * One idea: agents that would disturb one another name the same file, and whoever measures holds it locked. The kernel gives
 * the lock back when the process ends, however it ends.
 *
 * Threads: the agent's one.
 */
#define _DEFAULT_SOURCE /* flock */
#include "latency/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who had the lock last leaves it to others for two of their looks: flock itself knows no queue. */
enum { LOOK_NS = 20000000, LEAVE_NS = 2 * LOOK_NS };

void agent_lock_default(char ret_path[AGENT_DIR_MAX])
{
    const bool has_run = access("/run/lock", W_OK) == 0;
    (void)snprintf(ret_path, AGENT_DIR_MAX, "%s/tailor-agent", has_run ? "/run/lock" : "/tmp");
}

/* A file that everybody may lock: made by one user, opened by others without O_CREAT, which sticky folders forbid them. */
static int open_shared(const char *path)
{
    for (int tries = 0; tries < 2; tries++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 || errno != ENOENT) {
            return fd;
        }
        fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd >= 0) {
            (void)fchmod(fd, 0644);
            return fd;
        }
    }
    return -1;
}

enum tl_rc agent_lock_open(const char *path, struct agent_lock *ret_lock, struct tl_err *err)
{
    *ret_lock = (struct agent_lock){.fd = -1};
    if (path[0] == '\0') {
        return TL_OK;
    }
    ret_lock->fd = open_shared(path);
    return ret_lock->fd >= 0
               ? TL_OK
               : tl_fail_sys(err, "cannot open %s, the lock of who measures (--lock names another)", path);
}

void agent_lock_done(struct agent_lock *lock)
{
    if (lock->fd >= 0) {
        (void)close(lock->fd); /* gives it up */
        lock->fd = -1;
    }
}

enum tl_rc agent_lock_take(struct agent_lock *lock, const struct agent_watch *watch, struct tl_err *err)
{
    if (lock->fd < 0) {
        return TL_OK;
    }
    const int64_t left_ns = lock->given_ns + LEAVE_NS - tl_clock_mono_ns();
    if (lock->given_ns != 0 && left_ns > 0) {
        tl_sleep_ns(left_ns);
    }
    while (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return tl_fail_sys(err, "cannot lock out other measurements");
        }
        const enum tl_rc rc = agent_watch_ask(watch, err);
        if (rc) {
            return rc;
        }
        tl_sleep_ns(LOOK_NS);
    }
    return TL_OK;
}

void agent_lock_give(struct agent_lock *lock)
{
    if (lock->fd >= 0) {
        (void)flock(lock->fd, LOCK_UN);
        lock->given_ns = tl_clock_mono_ns();
    }
}
