/* codec_results.c - outputs of benchmark tools that are JSON. See results.h. */
#include "latency/agent/results.h"

#include "base/codec_json.h"

#include <string.h>

static const double TRTEXEC_WARMUP_MS = 200;

static enum tl_rc read_line(const char *line, size_t n, struct results *results, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};

    if (tl_json_parse(&doc, line, n, NULL) != TL_OK) {
        return TL_OK; /* a line of somebody else's */
    }
    const char *error = json_string_value(json_object_get(doc.root, "error"));
    const json_t *ns = json_object_get(doc.root, "ns"), *mean_ns = json_object_get(doc.root, "mean_ns");
    if (error != NULL) {
        return tl_fail(err, TL_IO, "the runner says: %.200s", error);
    }
    for (size_t i = 0; i < json_array_size(ns); i++) {
        results_add(results, json_number_value(json_array_get(ns, i)));
    }
    if (mean_ns != NULL) {
        results->means = true;
        results_add(results, json_number_value(mean_ns));
    }
    return TL_OK;
}

enum tl_rc results_parse_json_lines(const char *out, struct results *results, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (const char *line = out; !rc && *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        if (*line == '{') {
            rc = read_line(line, strcspn(line, "\n"), results, err);
        }
    }
    if (!rc && results->n == 0) {
        return tl_fail(err, TL_INVALID, "the output has no line {\"ns\": [...]} or {\"mean_ns\": ...}");
    }
    return rc;
}

enum tl_rc results_parse_trtexec(const char *trace, struct results *results, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_err why = {0};

    if (tl_json_parse(&doc, trace, strlen(trace), &why) != TL_OK || !json_is_array(doc.root)) {
        return tl_fail(err, TL_INVALID, "the file of --exportTimes is no JSON list: %.200s", why.text);
    }
    for (size_t i = 0; i < json_array_size(doc.root); i++) {
        const json_t *run = json_array_get(doc.root, i);
        const json_t *start = json_object_get(run, "startComputeMs"), *latency = json_object_get(run, "latencyMs");
        if (!json_is_number(start) || !json_is_number(latency)) {
            return tl_fail(err, TL_INVALID, "the file of --exportTimes has no startComputeMs and latencyMs at %zu", i);
        }
        if (json_number_value(start) >= TRTEXEC_WARMUP_MS) {
            results_add(results, json_number_value(latency) * 1e6);
        }
    }
    return results->n > 0
               ? TL_OK
               : tl_fail(err, TL_INVALID, "all runs of trtexec began within its warm-up; let --duration be longer");
}
