/* child.h - programs that the agent runs: their words, their lines, their end.
 *
 * One idea: the agent waits for nothing without a limit. A child lives in a process group of its own, so that whatever it
 * started goes with it; what it writes is bounded; how it ended is told in a sentence.
 *
 * Threads: a child belongs to one thread.
 */
#ifndef TAILOR_AGENT_CHILD_H
#define TAILOR_AGENT_CHILD_H

#include "base/base.h"

#include <stdatomic.h>
#include <sys/types.h>

/* Asked again and again while something is waited for: anything but TL_OK ends the waiting with that. */
struct agent_watch {
    enum tl_rc (*between)(void *ctx, struct tl_err *err); /* NULL: none */
    void *ctx;
    const atomic_int *stop; /* non-zero: end with TL_UNAVAILABLE after the run at hand; NULL: never */
};

/* TL_UNAVAILABLE when it is time to stop, then what `between` says. */
TL_MUST_CHECK enum tl_rc agent_watch_ask(const struct agent_watch *watch, struct tl_err *err);

/* ---- words ----------------------------------------------------------------------------------------------------- */

enum { CHILD_WORDS_MAX = 64, CHILD_WORDS_BYTES = 4096 };

/* A command line, never seen by a shell: n words, each with a NUL at its end. */
struct child_words {
    size_t n, bytes;
    char text[CHILD_WORDS_BYTES];
};

/* What stands for "{name}" in a word. */
struct child_value {
    const char *name, *value;
};

TL_MUST_CHECK enum tl_rc child_words_add(struct child_words *words, const char *word, struct tl_err *err);
/* The words with their values put in; braces around anything else stay as they are. TL_TOO_LARGE. */
TL_MUST_CHECK enum tl_rc child_words_fill(const struct child_words *from, const struct child_value *values, size_t n,
                                          struct child_words *ret_words, struct tl_err *err);
/* Does "{name}" stand anywhere? */
bool child_words_have(const struct child_words *words, const char *name);

/* ---- children -------------------------------------------------------------------------------------------------- */

enum { CHILD_OUTPUT_MAX = 1 << 20, CHILD_SAID_TEXT = 128 };

struct child {
    pid_t pid;    /* and its process group; 0: none runs */
    bool started; /* the three are ours, or -1 */
    int in, out, errors;
    struct tl_buf text;         /* owned; its standard output that is not taken yet */
    size_t taken;               /* bytes of it that the last child_line handed out */
    char said[CHILD_SAID_TEXT]; /* the beginning of its last line on standard error */
    size_t said_n;
    bool said_ended;
    int status;   /* of waitpid, once pid is 0 */
    double cpu_s; /* processor time of what has ended */
};

/* Run words: found along PATH; standard input, output and error are ours. The child is owned: child_done. TL_IO: it
 * cannot be run. */
TL_MUST_CHECK enum tl_rc child_start(struct child *child, const struct child_words *words, struct tl_err *err);
/* Close its input, ask the group to end, kill it a second later. What was not read is forgotten. */
void child_end(struct child *child);
void child_done(struct child *child);

/* Write to its standard input. TL_IO: it does not read. */
TL_MUST_CHECK enum tl_rc child_send(struct child *child, const char *text, struct tl_err *err);
/* The next line of its standard output, without its end; borrowed until the next call. TL_IO tells how the child ended
 * instead, that timeout_s went by, or that it writes more than CHILD_OUTPUT_MAX bytes without a line end; it is ended
 * then. Other results are the watch's. */
TL_MUST_CHECK enum tl_rc child_line(struct child *child, int timeout_s, const struct agent_watch *watch,
                                    const char **ret_line, struct tl_err *err);
/* Let it go on to its end; its whole output is in child->text. TL_IO: as above, more than CHILD_OUTPUT_MAX bytes, or an
 * exit status that is not 0. */
TL_MUST_CHECK enum tl_rc child_finish(struct child *child, int timeout_s, const struct agent_watch *watch,
                                      struct tl_err *err);

/* Processor time used since the start, those that ended counted; NAN: unknown. */
double child_cpu_s(const struct child *child);

#endif
