/* results.h - reads what benchmark tools print.
 *
 *     json-lines        lines {"ns": [3601234, ...]} or {"mean_ns": 3601234.5, "runs": 50}, or {"error": "why not"};
 *                       anything else on standard output is skipped. For tools of your own
 *     benchmark_model   TFLite's and LiteRT's: the second line with "count=" (the first is the warm-up), microseconds;
 *                       its median where there is one, else its avg. (tensorflow: core/util/stats_calculator.h,
 *                       lite/tools/benchmark/README.md)
 *     trtexec           TensorRT's: --exportTimes={output}, a list of {"startComputeMs", "latencyMs", ...}; what began in
 *                       the first 200 ms, the default of --warmUp, is dropped as its own report does; only behind
 *                       "&&&& PASSED". (TensorRT: samples/trtexec/README.md, samples/trtexec/tracer.py)
 *     onnxruntime_perf_test   the result file {output}: model,latency,peak_ws,cpu,run; the unit of latency differs between
 *                       versions and is found by the "Average inference time cost ...: X ms" of standard output. Without
 *                       {output} that average. (onnxruntime: test/perftest/performance_runner.h and .cc)
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_AGENT_RESULTS_H
#define TAILOR_AGENT_RESULTS_H

#include "latency/agent/runner.h"

extern const char *const results_parser_names[RUNNER_PARSER_COUNT];

/* What a tool left behind: its standard output, and the file {output} (NULL: it was asked for none). NUL-terminated. */
struct results_text {
    const char *out, *file;
};

/* Times, not checked beyond being numbers: the last `max` where there are more. */
struct results {
    int64_t *ns; /* borrowed (max) */
    size_t max, n;
    bool means; /* each is the mean or median of an invocation */
};

/* TL_INVALID: it is not what that tool writes, and what is missing. */
TL_MUST_CHECK enum tl_rc results_parse(enum runner_parser parser, const struct results_text *text,
                                       struct results *results, struct tl_err *err);

/* Add a time in nanoseconds; the oldest goes when there are max. What is no finite number counts as 0. */
void results_add(struct results *results, double ns);

/* codec_results.c: the two that are JSON. */
TL_MUST_CHECK enum tl_rc results_parse_json_lines(const char *out, struct results *results, struct tl_err *err);
TL_MUST_CHECK enum tl_rc results_parse_trtexec(const char *trace, struct results *results, struct tl_err *err);

#endif
