/* child.c - see child.h. */
#define _DEFAULT_SOURCE /* wait4, environ */
#include "latency/agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 100, GRACE_MS = 1000, READ_BYTES = 1 << 16, READS_MAX = 32 };

extern char **environ;

enum tl_rc agent_watch_ask(const struct agent_watch *watch, struct tl_err *err)
{
    if (watch->stop != NULL && *watch->stop != 0) {
        return tl_fail(err, TL_UNAVAILABLE, "stopped");
    }
    return watch->between != NULL ? watch->between(watch->ctx, err) : TL_OK;
}

/* ---- words ----------------------------------------------------------------------------------------------------- */

enum tl_rc child_words_add(struct child_words *words, const char *word, struct tl_err *err)
{
    const size_t n = strlen(word) + 1;

    if (words->n == CHILD_WORDS_MAX || n > sizeof words->text - words->bytes) {
        return tl_fail(err, TL_TOO_LARGE, "a command has at most %d words and %zu bytes", CHILD_WORDS_MAX,
                       sizeof words->text);
    }
    memcpy(words->text + words->bytes, word, n);
    words->bytes += n;
    words->n++;
    return TL_OK;
}

/* The value whose "{name}" begins at `text`, or NULL. */
static const struct child_value *value_at(const char *text, const struct child_value *values, size_t n)
{
    for (size_t i = 0; text[0] == '{' && i < n; i++) {
        const size_t length = strlen(values[i].name);
        if (strncmp(text + 1, values[i].name, length) == 0 && text[1 + length] == '}') {
            return &values[i];
        }
    }
    return NULL;
}

static enum tl_rc fill_word(const char *word, const struct child_value *values, size_t n, struct tl_buf *buf,
                            struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    tl_buf_clear(buf);
    while (!rc && *word != '\0') {
        const struct child_value *value = value_at(word, values, n);
        rc = value != NULL ? tl_buf_add(buf, value->value, strlen(value->value), err) : tl_buf_add(buf, word, 1, err);
        word += value != NULL ? strlen(value->name) + 2 : 1;
    }
    return rc;
}

enum tl_rc child_words_fill(const struct child_words *from, const struct child_value *values, size_t n,
                            struct child_words *ret_words, struct tl_err *err)
{
    TL_AUTO(tl_buf) word = {.max = CHILD_WORDS_BYTES};
    const char *at = from->text;
    enum tl_rc rc = TL_OK;

    ret_words->n = ret_words->bytes = 0;
    for (size_t i = 0; !rc && i < from->n; i++, at += strlen(at) + 1) {
        if (!(rc = fill_word(at, values, n, &word, err))) {
            rc = child_words_add(ret_words, word.data != NULL ? word.data : "", err);
        }
    }
    return rc;
}

bool child_words_have(const struct child_words *words, const char *name)
{
    const struct child_value value = {.name = name};

    for (size_t i = 0; i < words->bytes; i++) {
        if (value_at(words->text + i, &value, 1) != NULL) {
            return true;
        }
    }
    return false;
}

/* ---- start and end --------------------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static void close_all(struct child *child)
{
    if (!child->started) {
        return;
    }
    close_fd(&child->in);
    close_fd(&child->out);
    close_fd(&child->errors);
}

/* The ends of three pipes; input is a socket, so that writing to a child that has gone raises no signal. */
struct ends {
    int ours[3], theirs[3];
};

static void ends_done(struct ends *ends)
{
    for (int i = 0; i < 3; i++) {
        close_fd(&ends->ours[i]);
        close_fd(&ends->theirs[i]);
    }
}

static bool ends_open(struct ends *ends)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        return false;
    }
    ends->ours[0] = pair[0];
    ends->theirs[0] = pair[1];
    for (int i = 1; i < 3; i++) {
        if (pipe(pair) != 0) {
            return false;
        }
        ends->ours[i] = pair[0];
        ends->theirs[i] = pair[1];
    }
    for (int i = 0; i < 3; i++) {
        (void)fcntl(ends->ours[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends->theirs[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends->ours[i], F_SETFL, O_NONBLOCK);
    }
    return true;
}

/* A group of its own, and signals as a program expects to find them. Returns errno's value. */
static int spawn(const struct ends *ends, char *const *argv, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, pipe_signal;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed) {
        return failed;
    }
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return failed;
    }
    (void)sigemptyset(&none);
    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    for (int i = 0; i < 3 && !failed; i++) {
        failed = posix_spawn_file_actions_adddup2(&actions, ends->theirs[i], i);
    }
    if (!failed && !(failed = posix_spawnattr_setpgroup(&attributes, 0)) &&
        !(failed = posix_spawnattr_setsigmask(&attributes, &none)) &&
        !(failed = posix_spawnattr_setsigdefault(&attributes, &pipe_signal)) &&
        !(failed = posix_spawnattr_setflags(&attributes,
                                            POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))) {
        failed = posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, environ);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed;
}

enum tl_rc child_start(struct child *child, const struct child_words *words, struct tl_err *err)
{
    TL_AUTO(ends) ends = {.ours = {-1, -1, -1}, .theirs = {-1, -1, -1}};
    struct child_words copy = *words; /* posix_spawn takes words that it might change */
    char *argv[CHILD_WORDS_MAX + 1] = {NULL}, *at = copy.text;
    pid_t pid = 0;

    for (size_t i = 0; i < copy.n; i++, at += strlen(at) + 1) {
        argv[i] = at;
    }
    if (argv[0] == NULL) {
        return tl_fail(err, TL_INVALID, "a command without words");
    }
    if (!ends_open(&ends)) {
        return tl_fail_sys(err, "no pipe to %s", argv[0]);
    }
    const int failed = spawn(&ends, argv, &pid);
    if (failed) {
        errno = failed;
        return tl_fail_sys(err, "cannot run %s", argv[0]);
    }
    tl_buf_done(&child->text);
    *child = (struct child){.pid = pid,
                            .started = true,
                            .in = ends.ours[0],
                            .out = ends.ours[1],
                            .errors = ends.ours[2],
                            .text.max = CHILD_OUTPUT_MAX,
                            .cpu_s = child->cpu_s};
    for (int i = 0; i < 3; i++) {
        ends.ours[i] = -1;
    }
    return TL_OK;
}

/* Has it ended? Then its status and its processor time are taken. */
static bool reap(struct child *child)
{
    struct rusage used;

    if (child->pid != 0 && wait4(child->pid, &child->status, WNOHANG, &used) == child->pid) {
        child->cpu_s += (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                        (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
        (void)kill(-child->pid, SIGKILL); /* what it started and left behind */
        child->pid = 0;
    }
    return child->pid == 0;
}

/* Wait a moment for its end. */
static bool reap_soon(struct child *child)
{
    for (int ms = 0; ms < GRACE_MS && !reap(child); ms += 5) {
        tl_sleep_ns(5000000);
    }
    return reap(child);
}

void child_end(struct child *child)
{
    close_all(child);
    if (!reap(child)) {
        (void)kill(-child->pid, SIGTERM);
        (void)reap_soon(child);
    }
    if (child->pid != 0) {
        (void)kill(-child->pid, SIGKILL);
        while (!reap(child)) {
            tl_sleep_ns(1000000);
        }
    }
    tl_buf_clear(&child->text);
    child->taken = 0;
}

void child_done(struct child *child)
{
    if (child->pid != 0) {
        child_end(child);
    }
    tl_buf_done(&child->text);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* Keep the beginning of the last line of standard error, as a sentence may end in it. */
static void hear(struct child *child, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            child->said_ended = true;
        } else {
            child->said_n = child->said_ended ? 0 : child->said_n;
            child->said_ended = false;
            if (child->said_n + 1 < sizeof child->said && bytes[i] >= ' ' && bytes[i] <= '~') {
                child->said[child->said_n++] = bytes[i];
                child->said[child->said_n] = '\0';
            }
        }
    }
}

/* Take what is there, of a flood a part; a pipe at its end is closed. TL_TOO_LARGE: the output is over its limit. */
static enum tl_rc drain(struct child *child, int *fd, bool is_output, struct tl_err *err)
{
    char bytes[READ_BYTES];
    ssize_t n = 1;
    enum tl_rc rc = TL_OK;

    for (int reads = 0; *fd >= 0 && !rc && reads < READS_MAX && (n = read(*fd, bytes, sizeof bytes)) > 0; reads++) {
        if (is_output) {
            rc = tl_buf_add(&child->text, bytes, (size_t)n, err);
        } else {
            hear(child, bytes, (size_t)n);
        }
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(fd);
    }
    return rc;
}

/* What is wrong with it (NULL: how it ended) as a failure. The child is no more. */
static enum tl_rc fail_child(struct child *child, const char *what, struct tl_err *err)
{
    char how[64] = "closed its output";

    if (what == NULL && reap_soon(child)) {
        const bool killed = WIFSIGNALED(child->status);
        (void)snprintf(how, sizeof how, "%s %d", killed ? "was killed by signal" : "ended with status",
                       killed ? WTERMSIG(child->status) : WEXITSTATUS(child->status));
    }
    if (child->started) {
        (void)drain(child, &child->errors, false, NULL);
    }
    child_end(child);
    return tl_fail(err, TL_IO, "the runner %s%s%s", what != NULL ? what : how,
                   child->said[0] != '\0' ? "; it last said: " : "", child->said);
}

/* Wait until there is something to read, it has ended, or a moment is over. */
static enum tl_rc look(struct child *child, int64_t until_ns, int timeout_s, const struct agent_watch *watch,
                       struct tl_err *err)
{
    struct pollfd fds[] = {{.fd = child->out, .events = POLLIN}, {.fd = child->errors, .events = POLLIN}};
    char late[64];
    enum tl_rc rc = agent_watch_ask(watch, err);

    if (rc) {
        child_end(child);
        return rc;
    }
    if (tl_clock_mono_ns() > until_ns) {
        (void)snprintf(late, sizeof late, "was not done after %d s", timeout_s);
        return fail_child(child, late, err);
    }
    const bool ended = reap(child);
    if (!ended) {
        (void)poll(fds, 2, LOOK_MS);
    }
    if (drain(child, &child->out, true, NULL) || drain(child, &child->errors, false, NULL)) {
        return fail_child(child, "writes without end", err);
    }
    if (ended) { /* what another process still holds open is nothing to wait for */
        close_fd(&child->out);
    }
    return TL_OK;
}

enum tl_rc child_send(struct child *child, const char *text, struct tl_err *err)
{
    const size_t n = strlen(text);

    if (child->pid == 0 || send(child->in, text, n, MSG_NOSIGNAL) != (ssize_t)n) {
        return fail_child(child, reap(child) ? NULL : "does not read what it is asked", err);
    }
    return TL_OK;
}

enum tl_rc child_line(struct child *child, int timeout_s, const struct agent_watch *watch, const char **ret_line,
                      struct tl_err *err)
{
    const int64_t until_ns = tl_clock_mono_ns() + (int64_t)timeout_s * 1000000000;
    struct tl_buf *text = &child->text;

    if (child->taken > 0) {
        memmove(text->data, text->data + child->taken, text->len - child->taken + 1);
        text->len -= child->taken;
        child->taken = 0;
    }
    for (;;) {
        char *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
        if (end != NULL) {
            *end = '\0';
            child->taken = (size_t)(end - text->data) + 1;
            *ret_line = text->data;
            return TL_OK;
        }
        if (child->out < 0) {
            return fail_child(child, NULL, err);
        }
        const enum tl_rc rc = look(child, until_ns, timeout_s, watch, err);
        if (rc) {
            return rc;
        }
    }
}

enum tl_rc child_finish(struct child *child, int timeout_s, const struct agent_watch *watch, struct tl_err *err)
{
    const int64_t until_ns = tl_clock_mono_ns() + (int64_t)timeout_s * 1000000000;
    enum tl_rc rc = TL_OK;

    close_fd(&child->in);
    while (!rc && (child->out >= 0 || !reap(child))) {
        rc = look(child, until_ns, timeout_s, watch, err);
    }
    if (rc) {
        return rc;
    }
    if (!WIFEXITED(child->status) || WEXITSTATUS(child->status) != 0) {
        return fail_child(child, NULL, err);
    }
    close_all(child);
    return TL_OK;
}

/* utime and stime, the 14th and 15th field of /proc/PID/stat; the 2nd is in parentheses and may hold spaces. */
static double live_cpu_s(pid_t pid)
{
    enum { BEFORE_UTIME = 12 }; /* spaces between the parenthesis and utime */
    TL_AUTO(tl_buf) text = {.max = 4096};
    char path[64], *end = NULL;
    const long per_s = sysconf(_SC_CLK_TCK);

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *at = tl_file_read(path, &text, NULL) == TL_OK && text.len > 0 ? strrchr(text.data, ')') : NULL;
    for (int i = 0; at != NULL && i < BEFORE_UTIME; i++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL || per_s <= 0) {
        return NAN;
    }
    const unsigned long long user = strtoull(at, &end, 10), kernel = strtoull(end, &end, 10);
    return (double)(user + kernel) / (double)per_s;
}

double child_cpu_s(const struct child *child)
{
    return child->pid == 0 ? child->cpu_s : child->cpu_s + live_cpu_s(child->pid);
}
