/* codec_session.c - see codec_session.h. Threads: pure functions. */
#include "latency/agent/codec_session.h"

#include <stdio.h>
#include <string.h>

static enum tl_rc add_line(json_t *json, struct tl_buf *buf, struct tl_err *err)
{
    const enum tl_rc rc = tl_json_dump_take(json, buf, err);
    return rc ? rc : tl_buf_add(buf, "\n", 1, err);
}

enum tl_rc session_encode_load(size_t id, const char *path, unsigned batch, struct tl_buf *buf, struct tl_err *err)
{
    return add_line(json_pack("{s:i, s:s, s:i}", "load", (int)id, "path", path, "batch", (int)batch), buf, err);
}

enum tl_rc session_encode_unload(size_t id, struct tl_buf *buf, struct tl_err *err)
{
    return add_line(json_pack("{s:i}", "unload", (int)id), buf, err);
}

enum tl_rc session_encode_time(size_t id, const struct runner_block *block, struct tl_buf *buf, struct tl_err *err)
{
    return add_line(json_pack("{s:i, s:i, s:i, s:i}", "time", (int)id, "min_runs", (int)block->min_runs, "max_runs",
                              (int)block->max_runs, "ms", (int)block->ms),
                    buf, err);
}

/* The line as an object; an answer {"error": ...} is the runner's own failure. */
static enum tl_rc open_line(const char *line, struct tl_json *doc, struct tl_json_object *ret_top, struct tl_err *err)
{
    struct tl_err why = {0};

    if (tl_json_parse(doc, line, strlen(line), &why) || tl_json_object_open(ret_top, doc->root, "", &why)) {
        return tl_fail(err, TL_MALFORMED, "the runner answers what is no JSON object: %.60s (%.100s)", line, why.text);
    }
    const char *error = json_string_value(json_object_get(doc->root, "error"));
    return error != NULL ? tl_fail(err, TL_IO, "the runner says: %.200s", error) : TL_OK;
}

/* The place in the answer belongs to the sentence, which is all that others see. */
static enum tl_rc fail_answer(struct tl_err *err, enum tl_rc rc, const struct tl_err *why)
{
    return tl_fail(err, rc, "%s%s%s%s", why->pointer[0] != '\0' ? "the runner's answer is wrong: " : "", why->pointer,
                   why->pointer[0] != '\0' ? " " : "", why->text);
}

enum tl_rc session_decode_hello(const char *line, struct session_hello *ret_hello, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct session_hello hello = {0};
    struct tl_json_object top;
    struct tl_err why = {0};
    const char *runtime = NULL, *version = "", *number_type = "float32";
    int64_t protocol = 0, threads = 0;
    enum tl_rc rc;

    if ((rc = open_line(line, &doc, &top, &why)) ||
        (rc = tl_json_int(&top, "tailor_runner", TL_REQUIRED, 1, 1, &protocol, &why)) ||
        (rc = tl_json_name(&top, "runtime", TL_REQUIRED, &runtime, &why)) ||
        (rc = tl_json_string(&top, "version", TL_OPTIONAL, 31, &version, &why)) ||
        (rc = tl_json_int(&top, "threads", TL_REQUIRED, 1, LAT_THREADS_MAX, &threads, &why)) ||
        (rc = tl_json_string(&top, "number_type", TL_OPTIONAL, sizeof hello.number_type - 1, &number_type, &why)) ||
        (rc = tl_json_object_close(&top, &why))) {
        return fail_answer(err, rc, &why);
    }
    (void)snprintf(hello.runtime, sizeof hello.runtime, "%.64s%s%.31s", runtime, version[0] != '\0' ? " " : "",
                   version);
    (void)snprintf(hello.number_type, sizeof hello.number_type, "%s", number_type);
    hello.threads = (unsigned)threads;
    *ret_hello = hello;
    return TL_OK;
}

enum tl_rc session_decode_done(const char *line, const char *what, size_t id, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    struct tl_err why = {0};
    int64_t answered = 0;
    enum tl_rc rc;

    if ((rc = open_line(line, &doc, &top, &why)) ||
        (rc = tl_json_int(&top, what, TL_REQUIRED, (int64_t)id, (int64_t)id, &answered, &why)) ||
        (rc = tl_json_object_close(&top, &why))) {
        return fail_answer(err, rc, &why);
    }
    return TL_OK;
}

enum tl_rc session_decode_times(const char *line, size_t max, int64_t *ret_ns, uint16_t *ret_n, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    struct tl_err why = {0};
    size_t n = 0;
    enum tl_rc rc;

    if ((rc = open_line(line, &doc, &top, &why)) ||
        (rc = tl_json_ints(&top, "ns", TL_REQUIRED, 1, max, INT64_MIN, INT64_MAX, ret_ns, &n, &why)) ||
        (rc = tl_json_object_close(&top, &why))) {
        return fail_answer(err, rc, &why);
    }
    *ret_n = (uint16_t)n;
    return TL_OK;
}
