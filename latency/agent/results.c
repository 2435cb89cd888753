/* results.c - see results.h. */
#include "latency/agent/results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const results_parser_names[RUNNER_PARSER_COUNT] = {"json-lines", "benchmark_model", "trtexec",
                                                               "onnxruntime_perf_test"};

void results_add(struct results *results, double ns)
{
    if (results->n == results->max) {
        memmove(results->ns, results->ns + 1, (results->max - 1) * sizeof *results->ns);
        results->n--;
    }
    /* beyond what a run may take it is refused later; until then it must be an integer */
    results->ns[results->n++] = ns > -1e15 && ns < 1e15 ? (int64_t)llround(ns) : 0;
}

/* ---- benchmark_model ------------------------------------------------------------------------------------------- */

/* The number behind `name` before the end of the line; NAN: none. */
static double number_after(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    char *end = NULL;

    if (at == NULL || at >= line + strcspn(line, "\n")) {
        return NAN;
    }
    at += strlen(name);
    const double value = strtod(at, &end);
    return end == at ? (double)NAN : value;
}

static enum tl_rc parse_benchmark_model(const char *out, struct results *results, struct tl_err *err)
{
    const char *first = strstr(out, "count="), *line = first != NULL ? strstr(first + 1, "count=") : NULL;

    if (line == NULL) {
        return tl_fail(err, TL_INVALID, "the output is not benchmark_model's: a second line with count= is missing");
    }
    double us = number_after(line, "median=");
    us = isnan(us) ? number_after(line, "avg=") : us;
    us = isnan(us) ? number_after(line, "curr=") : us; /* all that is told where all runs took the same */
    if (isnan(us)) {
        return tl_fail(err, TL_INVALID, "the output is not benchmark_model's: there is no avg= behind count=");
    }
    results->means = true;
    results_add(results, us * 1e3);
    return TL_OK;
}

/* ---- onnxruntime_perf_test ------------------------------------------------------------------------------------- */

/* The average that is told on standard output, in ms. */
static double average_ms(const char *out)
{
    const char *line = strstr(out, "Average inference time cost");
    return line != NULL ? number_after(line, ": ") : (double)NAN;
}

/* The second field of "model,latency,peak_ws,cpu,run"; NAN: this line is no such row. */
static double row_latency(const char *line)
{
    const size_t n = strcspn(line, "\n");
    const char *fields[4];
    size_t commas = 0;
    char *end = NULL;

    for (size_t i = 0; i < n && commas < 4; i++) { /* the model's name may hold commas: count from the end */
        const char *at = line + n - 1 - i;
        if (*at == ',') {
            fields[commas++] = at + 1;
        }
    }
    if (commas < 4) {
        return NAN;
    }
    const double value = strtod(fields[3], &end);
    return end == fields[3] || *end != ',' ? (double)NAN : value;
}

/* Rows in nanoseconds if the unit is `unit_ns`; their mean. */
static double read_rows(const char *file, double unit_ns, struct results *results)
{
    double sum = 0;
    size_t n = 0;

    results->n = 0;
    for (const char *line = file; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        const double latency = row_latency(line);
        if (!isnan(latency)) {
            results_add(results, latency * unit_ns);
            sum += latency * unit_ns;
            n++;
        }
    }
    return n > 0 ? sum / (double)n : (double)NAN;
}

static enum tl_rc parse_perf_test(const struct results_text *text, struct results *results, struct tl_err *err)
{
    static const double units_ns[] = {1e9, 1e6, 1e3, 1};
    const double told_ns = average_ms(text->out) * 1e6;

    if (isnan(told_ns)) {
        return tl_fail(err, TL_INVALID,
                       "the output is not onnxruntime_perf_test's: there is no Average inference time cost");
    }
    if (text->file == NULL) {
        results->means = true;
        results_add(results, told_ns);
        return TL_OK;
    }
    for (size_t i = 0; i < TL_COUNT_OF(units_ns); i++) {
        const double mean_ns = read_rows(text->file, units_ns[i], results);
        if (fabs(mean_ns - told_ns) < 0.05 * told_ns) {
            return TL_OK;
        }
    }
    return tl_fail(err, TL_INVALID,
                   "the result file does not fit the output, in no unit: its rows do not have the mean of %.6g ms",
                   told_ns / 1e6);
}

/* ---- all ------------------------------------------------------------------------------------------------------- */

static enum tl_rc parse_trtexec(const struct results_text *text, struct results *results, struct tl_err *err)
{
    if (strstr(text->out, "&&&& PASSED") == NULL) {
        return tl_fail(err, TL_INVALID, "trtexec does not say &&&& PASSED");
    }
    if (text->file == NULL) {
        return tl_fail(err, TL_INVALID, "trtexec's command lacks --exportTimes={output}");
    }
    return results_parse_trtexec(text->file, results, err);
}

enum tl_rc results_parse(enum runner_parser parser, const struct results_text *text, struct results *results,
                         struct tl_err *err)
{
    results->n = 0;
    switch (parser) {
    case PARSE_BENCHMARK_MODEL:
        return parse_benchmark_model(text->out, results, err);
    case PARSE_TRTEXEC:
        return parse_trtexec(text, results, err);
    case PARSE_PERF_TEST:
        return parse_perf_test(text, results, err);
    case PARSE_JSON_LINES:
    case RUNNER_PARSER_COUNT:
        break;
    }
    return results_parse_json_lines(text->out, results, err);
}
