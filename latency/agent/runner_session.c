/* runner_session.c - a program that stays and is asked over pipes (codec_session.h), so that candidate and anchor can take
 * turns in blocks as short as the native runner's.
 *
 * One idea: the program may go at any moment. When it does, the block at hand fails; the next question starts it again and
 * loads again what is still wanted, so that one model that kills it costs that model alone.
 */
#include "latency/agent/codec_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHATTER_LINES_MAX = 1000 };

struct session {
    struct runner runner;
    const struct runner_config *config; /* borrowed */
    struct child child;
    struct tl_buf question;
    char paths[RUNNER_SLOTS][RUNNER_PATH_MAX]; /* "": not wanted */
};

static struct session *session_of(struct runner *runner)
{
    return (struct session *)(void *)runner;
}

/* The next line that is an answer. */
static enum tl_rc hear(struct session *session, int timeout_s, const struct agent_watch *watch, const char **ret_line,
                       struct tl_err *err)
{
    const char *line = "";
    enum tl_rc rc = TL_OK;

    for (int i = 0; !rc && line[0] != '{' && i < CHATTER_LINES_MAX; i++) {
        rc = child_line(&session->child, timeout_s, watch, &line, err);
    }
    if (!rc && line[0] != '{') {
        child_end(&session->child);
        return tl_fail(err, TL_INVALID, "the runner writes %d lines and no answer", CHATTER_LINES_MAX);
    }
    if (!rc) {
        *ret_line = line;
    }
    return rc;
}

/* Send what is in session->question. */
static enum tl_rc ask(struct session *session, int timeout_s, const struct agent_watch *watch, const char **ret_line,
                      struct tl_err *err)
{
    const enum tl_rc rc = child_send(&session->child, session->question.data, err);
    return rc ? rc : hear(session, timeout_s, watch, ret_line, err);
}

/* An answer that is none ends the program: what it would say next is anybody's guess. TL_IO is its own refusal. */
static enum tl_rc settle(struct session *session, enum tl_rc rc)
{
    if (rc && rc != TL_IO) {
        child_end(&session->child);
    }
    return rc;
}

static enum tl_rc load_slot(struct session *session, size_t slot, const struct agent_watch *watch, struct tl_err *err)
{
    const char *line = NULL;
    enum tl_rc rc;

    tl_buf_clear(&session->question);
    if ((rc = session_encode_load(slot, session->paths[slot], session->config->batch, &session->question, err)) ||
        (rc = ask(session, session->config->timeout_s, watch, &line, err))) {
        return rc;
    }
    return settle(session, session_decode_done(line, "loaded", slot, err));
}

static enum tl_rc start(struct session *session, const struct agent_watch *watch, struct session_hello *ret_hello,
                        struct tl_err *err)
{
    struct child_words words;
    char threads[16];
    const struct child_value values[] = {{"threads", threads}};
    const char *line = NULL;
    enum tl_rc rc;

    (void)snprintf(threads, sizeof threads, "%u", session->config->threads);
    if ((rc = child_words_fill(&session->config->command, values, TL_COUNT_OF(values), &words, err)) ||
        (rc = child_start(&session->child, &words, err)) ||
        (rc = hear(session, session->config->timeout_s, watch, &line, err))) {
        return rc;
    }
    return settle(session, session_decode_hello(line, ret_hello, err));
}

/* Start it again where it has gone, with every model that is wanted but `but`. */
static enum tl_rc keep_alive(struct session *session, size_t but, const struct agent_watch *watch, struct tl_err *err)
{
    struct session_hello hello;
    enum tl_rc rc;

    if (session->child.pid != 0) {
        return TL_OK;
    }
    if ((rc = start(session, watch, &hello, err))) {
        return rc;
    }
    if (strcmp(hello.runtime, session->runner.runtime) != 0) {
        child_end(&session->child);
        return tl_fail(err, TL_INVALID, "the runner was %s and now is %s; start the agent again",
                       session->runner.runtime, hello.runtime);
    }
    for (size_t i = 0; !rc && i < RUNNER_SLOTS; i++) {
        if (i != but && session->paths[i][0] != '\0') {
            rc = load_slot(session, i, watch, err);
        }
    }
    return rc;
}

static enum tl_rc session_load(struct runner *runner, size_t slot, const struct runner_model *model,
                               const struct agent_watch *watch, struct tl_err *err)
{
    struct session *session = session_of(runner);
    enum tl_rc rc = keep_alive(session, slot, watch, err);

    if (rc) {
        return rc;
    }
    (void)snprintf(session->paths[slot], RUNNER_PATH_MAX, "%s", model->path);
    if ((rc = load_slot(session, slot, watch, err))) {
        session->paths[slot][0] = '\0';
    }
    return rc;
}

static enum tl_rc session_run(struct runner *runner, size_t slot, const struct runner_block *block, int64_t *ret_ns,
                              uint16_t *ret_n, const struct agent_watch *watch, struct tl_err *err)
{
    struct session *session = session_of(runner);
    const int block_s = (int)(block->ms / 1000) + 1;
    const char *line = NULL;
    enum tl_rc rc;

    if ((rc = keep_alive(session, RUNNER_SLOTS, watch, err))) {
        return rc;
    }
    tl_buf_clear(&session->question);
    if ((rc = session_encode_time(slot, block, &session->question, err)) ||
        (rc = ask(session, block_s + session->config->timeout_s, watch, &line, err))) {
        return rc;
    }
    return settle(session, session_decode_times(line, block->max_runs, ret_ns, ret_n, err));
}

/* What cannot be unloaded goes with the program. */
static void session_drop(struct runner *runner, size_t slot)
{
    struct session *session = session_of(runner);
    const struct agent_watch watch = {0};
    const char *line = NULL;

    const bool loaded = session->paths[slot][0] != '\0';
    session->paths[slot][0] = '\0';
    tl_buf_clear(&session->question);
    if (loaded && session->child.pid != 0 &&
        (session_encode_unload(slot, &session->question, NULL) ||
         ask(session, session->config->timeout_s, &watch, &line, NULL) ||
         session_decode_done(line, "unloaded", slot, NULL))) {
        child_end(&session->child);
    }
}

static double session_cpu_s(const struct runner *runner)
{
    return child_cpu_s(&((const struct session *)(const void *)runner)->child);
}

static void session_free(struct runner *runner)
{
    struct session *session = session_of(runner);

    child_done(&session->child);
    tl_buf_done(&session->question);
    free(session);
}

/* What it says of itself; the threads must be those of the configuration. */
static enum tl_rc introduce(struct session *session, const struct agent_watch *watch, struct tl_err *err)
{
    struct session_hello hello;
    const enum tl_rc rc = start(session, watch, &hello, err);

    if (rc) {
        return rc;
    }
    if (hello.threads != session->config->threads) {
        return tl_fail(err, TL_INVALID, "%s runs on %u threads, not on %u; {threads} in its command says how many",
                       hello.runtime, hello.threads, session->config->threads);
    }
    memcpy(session->runner.runtime, hello.runtime, sizeof hello.runtime);
    memcpy(session->runner.number_type, hello.number_type, sizeof hello.number_type);
    return TL_OK;
}

enum tl_rc runner_session_new(const struct runner_config *config, const struct agent_watch *watch,
                              struct runner **ret_runner, struct tl_err *err)
{
    static const struct runner_vtable vtable = {
        .load = session_load, .run = session_run, .drop = session_drop, .cpu_s = session_cpu_s, .free = session_free};
    struct session *session = calloc(1, sizeof *session);

    if (session == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a runner");
    }
    session->config = config;
    session->runner = (struct runner){.vtable = &vtable, .wants_files = true};
    const enum tl_rc rc = introduce(session, watch, err);
    if (rc) {
        session_free(&session->runner);
        return rc;
    }
    *ret_runner = &session->runner;
    return TL_OK;
}
