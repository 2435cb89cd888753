/* runner.h - what runs the networks that the agent times: our own forward runtime, or a program of others.
 *
 * One idea: a runner only loads networks and times short blocks of runs; who is timed when, and against what, is
 * measure.c's, the same for all. What a runner tells is believed only as far as the agent's own clock bears it out.
 *
 *     native     supernet/kernels, in this process
 *     session    a program that stays, asked over pipes (runner_session.c): blocks as short as the native runner's
 *     command    a program started for every block (runner_command.c): benchmark_model, trtexec, onnxruntime_perf_test
 *
 * Runners are configured on the device alone; nothing that a server says becomes a part of a command line but numbers.
 *
 * Threads: a runner belongs to one thread.
 */
#ifndef TAILOR_AGENT_RUNNER_H
#define TAILOR_AGENT_RUNNER_H

#include "latency/agent/child.h"
#include "latency/codec_job.h"
#include "latency/codec_measurement.h"

/* ---- configuration --------------------------------------------------------------------------------------------- */

enum runner_kind { RUNNER_NATIVE, RUNNER_SESSION, RUNNER_COMMAND, RUNNER_KIND_COUNT };
/* How the output of a command is read: see results.h. */
enum runner_parser { PARSE_JSON_LINES, PARSE_BENCHMARK_MODEL, PARSE_TRTEXEC, PARSE_PERF_TEST, RUNNER_PARSER_COUNT };

enum { RUNNER_FORMAT_TEXT = 17, RUNNER_TIMEOUT_S = 60, RUNNER_CONVERT_TIMEOUT_S = 900 };

struct runner_config {
    enum runner_kind kind;
    struct child_words command; /* session, command */
    struct child_words convert; /* command: makes {model} of {onnx}; n 0: the model is the ONNX file */
    enum runner_parser parser;
    char format[RUNNER_FORMAT_TEXT];    /* how names of model files end: "onnx" */
    char runtime[LAT_RUNTIME_TEXT];     /* command: "tflite 2.17"; a session says it itself */
    char number_type[LAT_CONTEXT_TEXT]; /* "float32" */
    int timeout_s;                      /* for one block, its own time not counted */
    unsigned threads, batch;
};

/* ---- runners --------------------------------------------------------------------------------------------------- */

enum { RUNNER_SLOTS = LAT_JOB_ITEMS_MAX + 1, RUNNER_PATH_MAX = 1280 };

/* A network to be timed. Borrowed while it is loaded. */
struct runner_model {
    const struct network *net;
    uint64_t seed;    /* of its weights */
    const char *path; /* of its ONNX file; NULL: the runner wants none */
};

/* A block of runs: it ends when it has min_runs and has lasted ms, or at max_runs. */
struct runner_block {
    unsigned min_runs, max_runs; /* max_runs at most LAT_RUNS_MAX */
    unsigned ms;
};

struct runner;

struct runner_vtable {
    enum tl_rc (*load)(struct runner *runner, size_t slot, const struct runner_model *model,
                       const struct agent_watch *watch, struct tl_err *err);
    enum tl_rc (*run)(struct runner *runner, size_t slot, const struct runner_block *block, int64_t *ret_ns,
                      uint16_t *ret_n, const struct agent_watch *watch, struct tl_err *err);
    void (*drop)(struct runner *runner, size_t slot); /* of one that is not loaded: nothing */
    double (*cpu_s)(const struct runner *runner);     /* used outside this process; NULL: none */
    void (*free)(struct runner *runner);
};

struct runner {
    const struct runner_vtable *vtable;
    char runtime[LAT_RUNTIME_TEXT]; /* a name, a space, a version */
    char number_type[LAT_CONTEXT_TEXT];
    bool wants_files; /* load wants a path */
    bool means;       /* a block is one number, the mean of an invocation */
    bool warms_up;    /* by itself, in every block */
};

/* The runner of a configuration, started so far as to know what it is. `pool` NULL: one thread; borrowed. TL_INVALID,
 * TL_IO: it cannot be run, or is not what the configuration says. */
TL_MUST_CHECK enum tl_rc runner_new(const struct runner_config *config, struct tl_pool *pool,
                                    const struct agent_watch *watch, struct runner **ret_runner, struct tl_err *err);
void runner_free(struct runner *runner); /* takes NULL */

/* Make a network ready in a slot, in place of what was there. Whatever is wrong with this one network leaves the others
 * as they are. */
TL_MUST_CHECK enum tl_rc runner_load(struct runner *runner, size_t slot, const struct runner_model *model,
                                     const struct agent_watch *watch, struct tl_err *err);
/* Time a block: ret_ns (block->max_runs), *ret_n of them. TL_IO when the runner failed, TL_INVALID when it tells no times,
 * or such as cannot be: outside LAT_NS_MIN..MAX, or more in all than went by. TL_UNAVAILABLE and TL_CONFLICT are the
 * watch's. */
TL_MUST_CHECK enum tl_rc runner_run(struct runner *runner, size_t slot, const struct runner_block *block,
                                    int64_t *ret_ns, uint16_t *ret_n, const struct agent_watch *watch,
                                    struct tl_err *err);
void runner_drop(struct runner *runner, size_t slot);
double runner_cpu_s(const struct runner *runner);

/* The three; runner_new chooses. */
TL_MUST_CHECK enum tl_rc runner_native_new(const struct runner_config *config, struct tl_pool *pool,
                                           struct runner **ret_runner, struct tl_err *err);
TL_MUST_CHECK enum tl_rc runner_session_new(const struct runner_config *config, const struct agent_watch *watch,
                                            struct runner **ret_runner, struct tl_err *err);
TL_MUST_CHECK enum tl_rc runner_command_new(const struct runner_config *config, struct runner **ret_runner,
                                            struct tl_err *err);

#endif
