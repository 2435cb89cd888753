/* codec_config.c - the agent's configuration file.
 *
 *     {"server": "http://127.0.0.1:8080", "name": "rack3-pi-ort", "state": "/var/lib/tailor-agent/ort",
 *      "lock": "/run/lock/tailor-agent", "threads": 1, "batch": 1,
 *      "runner": {"kind": "native"}
 *      "runner": {"kind": "session", "command": ["node", "{here}/onnxruntime.mjs", "--threads", "{threads}"],
 *                 "timeout_s": 60}
 *      "runner": {"kind": "command", "command": ["benchmark_model", "--graph={model}", "--num_threads={threads}"],
 *                 "parser": "benchmark_model", "runtime": "tflite 2.17", "number_type": "float32",
 *                 "format": "tflite", "convert": ["onnx-to-tflite", "{onnx}", "{model}"]}}
 *
 * Everything is optional; the command line wins. {here} is the folder of this file. Threads: before any start.
 */
#include "latency/agent/results.h"

#include "base/codec_json.h"
#include "latency/agent/agent.h"

#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 16, TIMEOUT_S_MAX = 86400 };

static const char *const KINDS[RUNNER_KIND_COUNT] = {"native", "session", "command"};

/* Every {word} must be one that is filled in: a mistyped one would reach the tool as it stands. */
static enum tl_rc check_places(const char *word, const char *pointer, const char *const *known, size_t n_known,
                               struct tl_err *err)
{
    char place[32];

    for (const char *at = strchr(word, '{'); at != NULL; at = strchr(at + 1, '{')) {
        const size_t n = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
        bool is_known = n == 0 || at[1 + n] != '}';
        for (size_t i = 0; i < n_known && !is_known; i++) {
            is_known = strlen(known[i]) == n && strncmp(at + 1, known[i], n) == 0;
        }
        if (!is_known) {
            (void)snprintf(place, sizeof place, "%.*s", (int)n, at + 1);
            const char *near = tl_nearest(place, known, n_known);
            return tl_fail_at(err, TL_INVALID, pointer, "nothing is put in for {%s}%s%s", place,
                              near != NULL ? "; did you mean " : "", near != NULL ? near : "");
        }
    }
    return TL_OK;
}

static enum tl_rc read_words(struct tl_json_object *object, const char *name, const char *here,
                             const char *const *known, size_t n_known, struct child_words *ret_words,
                             struct tl_err *err)
{
    const struct child_value place = {"here", here};
    struct child_words words = {0};
    json_t *array = NULL;
    enum tl_rc rc = tl_json_array(object, name, TL_OPTIONAL, 1, CHILD_WORDS_MAX, &array, err);

    for (size_t i = 0; !rc && i < json_array_size(array); i++) {
        const char *word = json_string_value(json_array_get(array, i));
        char pointer[64];
        (void)snprintf(pointer, sizeof pointer, "/runner/%s/%zu", name, i);
        if (word == NULL) {
            return tl_fail_at(err, TL_INVALID, pointer, "must be a text: a command is a list of words");
        }
        if (!(rc = check_places(word, pointer, known, n_known, err))) {
            rc = child_words_add(&words, word, err);
        }
    }
    return rc ? rc : child_words_fill(&words, &place, 1, ret_words, err);
}

static enum tl_rc copy(struct tl_json_object *object, const char *name, char *ret_text, size_t size, struct tl_err *err)
{
    const char *text = NULL;
    const enum tl_rc rc = tl_json_string(object, name, TL_OPTIONAL, size - 1, &text, err);

    if (!rc && text != NULL) {
        (void)snprintf(ret_text, size, "%s", text);
    }
    return rc;
}

static enum tl_rc read_runner(struct tl_json_object *object, const char *here, struct runner_config *runner,
                              struct tl_err *err)
{
    static const char *const of_session[] = {"here", "threads", "batch"};
    static const char *const of_command[] = {"here",  "model",    "output", "threads",
                                             "batch", "min_runs", "ms",     "seconds"};
    static const char *const of_convert[] = {"here", "onnx", "model"};
    size_t kind = 0, parser = 0;
    int64_t timeout_s = runner->timeout_s;
    enum tl_rc rc = tl_json_choice(object, "kind", TL_REQUIRED, KINDS, RUNNER_KIND_COUNT, &kind, err);
    const bool session = kind == RUNNER_SESSION;

    if (rc ||
        (rc = read_words(object, "command", here, session ? of_session : of_command,
                         session ? TL_COUNT_OF(of_session) : TL_COUNT_OF(of_command), &runner->command, err)) ||
        (rc = read_words(object, "convert", here, of_convert, TL_COUNT_OF(of_convert), &runner->convert, err)) ||
        (rc = tl_json_choice(object, "parser", TL_OPTIONAL, results_parser_names, RUNNER_PARSER_COUNT, &parser, err)) ||
        (rc = copy(object, "format", runner->format, sizeof runner->format, err)) ||
        (rc = copy(object, "runtime", runner->runtime, sizeof runner->runtime, err)) ||
        (rc = copy(object, "number_type", runner->number_type, sizeof runner->number_type, err)) ||
        (rc = tl_json_int(object, "timeout_s", TL_OPTIONAL, 1, TIMEOUT_S_MAX, &timeout_s, err))) {
        return rc;
    }
    runner->kind = (enum runner_kind)kind;
    runner->parser = (enum runner_parser)parser;
    runner->timeout_s = (int)timeout_s;
    return tl_json_object_close(object, err);
}

static enum tl_rc check_command(const struct runner_config *runner, struct tl_err *err)
{
    const bool converts = runner->convert.n > 0;

    if (!child_words_have(&runner->command, "model")) {
        return tl_fail_at(err, TL_INVALID, "/runner/command", "must say {model} where the model's path belongs");
    }
    if (runner->runtime[0] == '\0') {
        return tl_fail_at(err, TL_INVALID, "/runner/runtime",
                          "must name what runs the models, with its version: \"tflite 2.17\"");
    }
    if (runner->parser == PARSE_TRTEXEC && !child_words_have(&runner->command, "output")) {
        return tl_fail_at(err, TL_INVALID, "/runner/command", "trtexec needs --exportTimes={output}");
    }
    if (converts && (!child_words_have(&runner->convert, "onnx") || !child_words_have(&runner->convert, "model"))) {
        return tl_fail_at(err, TL_INVALID, "/runner/convert", "must say {onnx} and {model}, the file it makes");
    }
    return converts || strcmp(runner->format, "onnx") == 0
               ? TL_OK
               : tl_fail_at(
                     err, TL_INVALID, "/runner/format",
                     "models come as ONNX: say how to \"convert\" them to %s, as [\"TOOL\", \"{onnx}\", \"{model}\"]",
                     runner->format);
}

static enum tl_rc check_runner(const struct runner_config *runner, struct tl_err *err)
{
    const bool plain = runner->convert.n == 0 && strcmp(runner->format, "onnx") == 0 && runner->runtime[0] == '\0';

    if (runner->kind == RUNNER_COMMAND && runner->command.n > 0) {
        return check_command(runner, err);
    }
    if ((runner->kind == RUNNER_NATIVE) != (runner->command.n == 0)) {
        return tl_fail_at(err, TL_INVALID, "/runner/command", "a runner of kind %s has %s command", KINDS[runner->kind],
                          runner->kind == RUNNER_NATIVE ? "no" : "a");
    }
    return plain ? TL_OK
                 : tl_fail_at(err, TL_INVALID, "/runner", "convert, format and runtime are for the kind command");
}

static enum tl_rc read_unsigned(struct tl_json_object *top, const char *name, int64_t max, unsigned *ret_value,
                                struct tl_err *err)
{
    int64_t value = *ret_value;
    const enum tl_rc rc = tl_json_int(top, name, TL_OPTIONAL, 1, max, &value, err);

    *ret_value = (unsigned)value;
    return rc;
}

static enum tl_rc read_all(struct tl_json_object *top, const char *here, struct agent_config *config,
                           struct tl_err *err)
{
    struct tl_json_object runner;
    bool there = false;
    enum tl_rc rc;

    if ((rc = copy(top, "server", config->server, sizeof config->server, err)) ||
        (rc = copy(top, "name", config->name, sizeof config->name, err)) ||
        (rc = copy(top, "state", config->state_dir, sizeof config->state_dir, err)) ||
        (rc = copy(top, "lock", config->lock, sizeof config->lock, err)) ||
        (rc = read_unsigned(top, "threads", AGENT_THREADS_MAX, &config->runner.threads, err)) ||
        (rc = read_unsigned(top, "batch", LAT_BATCH_MAX, &config->runner.batch, err)) ||
        (rc = tl_json_nested(top, "runner", TL_OPTIONAL, &runner, &there, err)) ||
        (there && (rc = read_runner(&runner, here, &config->runner, err)))) {
        return rc;
    }
    rc = there ? check_runner(&config->runner, err) : TL_OK;
    return rc ? rc : tl_json_object_close(top, err);
}

enum tl_rc agent_config_read(const char *path, struct agent_config *config, struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = FILE_MAX};
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    struct tl_err why = {0};
    char here[AGENT_DIR_MAX] = ".";
    const char *slash = strrchr(path, '/');

    if (slash != NULL) {
        (void)snprintf(here, sizeof here, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    }
    if (tl_file_read(path, &text, &why) || tl_json_parse(&doc, text.len > 0 ? text.data : "", text.len, &why) ||
        tl_json_object_open(&top, doc.root, "", &why) || read_all(&top, here, config, &why)) {
        return tl_fail(err, TL_INVALID, "%.200s: %s%s%s", path, why.pointer, why.pointer[0] != '\0' ? " " : "",
                       why.text);
    }
    return TL_OK;
}
