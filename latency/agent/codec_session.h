/* codec_session.h - the session protocol: one JSON object a line, a question from the agent, an answer from the runner.
 *
 *     runner, once:  {"tailor_runner": 1, "runtime": "onnxruntime-node", "version": "1.30.0", "threads": 1,
 *                     "number_type": "float32"}
 *     agent:         {"load": 3, "path": "/.../3.onnx", "batch": 1}                    answer: {"loaded": 3}
 *                    {"time": 3, "min_runs": 3, "max_runs": 256, "ms": 40}             {"ns": [3601234, ...]}
 *                    {"unload": 3}                                                     {"unloaded": 3}
 *     to any:                                                                          {"error": "why not"}
 *
 * time runs model 3 back to back until there are min_runs and ms have gone by, or max_runs, and tells the nanoseconds of
 * every run. The runner chooses the inputs. It leaves when its input ends. Lines that do not begin with '{' are
 * somebody's chatter and are skipped; standard error is free.
 */
#ifndef TAILOR_AGENT_CODEC_SESSION_H
#define TAILOR_AGENT_CODEC_SESSION_H

#include "latency/agent/runner.h"

TL_MUST_CHECK enum tl_rc session_encode_load(size_t id, const char *path, unsigned batch, struct tl_buf *buf,
                                             struct tl_err *err);
TL_MUST_CHECK enum tl_rc session_encode_unload(size_t id, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc session_encode_time(size_t id, const struct runner_block *block, struct tl_buf *buf,
                                             struct tl_err *err);

struct session_hello {
    char runtime[LAT_RUNTIME_TEXT]; /* with its version */
    char number_type[LAT_CONTEXT_TEXT];
    unsigned threads;
};

/* TL_INVALID, TL_MALFORMED: what is wrong with the line; TL_IO: it is an error, in the runner's words. */
TL_MUST_CHECK enum tl_rc session_decode_hello(const char *line, struct session_hello *ret_hello, struct tl_err *err);
/* {"loaded": id} or {"unloaded": id} */
TL_MUST_CHECK enum tl_rc session_decode_done(const char *line, const char *what, size_t id, struct tl_err *err);
/* ret_ns holds `max` times. Not checked beyond being integers. */
TL_MUST_CHECK enum tl_rc session_decode_times(const char *line, size_t max, int64_t *ret_ns, uint16_t *ret_n,
                                              struct tl_err *err);

#endif
