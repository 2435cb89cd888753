/* runner_command.c - a benchmark tool as a runner: one process a block, its output read by results.h.
 *
 * Threads: see runner.h.
 */
#include "latency/agent/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUTPUT_FILE_MAX = 16 << 20 };

struct command {
    struct runner runner;
    const struct runner_config *config; /* borrowed */
    struct child child;
    char paths[RUNNER_SLOTS][RUNNER_PATH_MAX];   /* of the models; "": none */
    char outputs[RUNNER_SLOTS][RUNNER_PATH_MAX]; /* of {output} */
    bool converted[RUNNER_SLOTS];                /* the model is a file of our own */
};

static struct command *command_of(struct runner *runner)
{
    return (struct command *)(void *)runner;
}

static void command_drop(struct runner *runner, size_t slot)
{
    struct command *command = command_of(runner);

    if (command->converted[slot]) {
        (void)unlink(command->paths[slot]);
    }
    command->converted[slot] = false;
    command->paths[slot][0] = '\0';
}

/* Run words to their end. */
static enum tl_rc run_words(struct command *command, const struct child_words *from, const struct child_value *values,
                            size_t n, int timeout_s, const struct agent_watch *watch, struct tl_err *err)
{
    struct child_words words;
    enum tl_rc rc;

    if ((rc = child_words_fill(from, values, n, &words, err)) || (rc = child_start(&command->child, &words, err))) {
        return rc;
    }
    return child_finish(&command->child, timeout_s, watch, err);
}

static enum tl_rc convert(struct command *command, size_t slot, const char *onnx, const struct agent_watch *watch,
                          struct tl_err *err)
{
    const char *model = command->paths[slot];
    const struct child_value values[] = {{"onnx", onnx}, {"model", model}};
    struct stat made;
    struct tl_err why = {0};

    command->converted[slot] = true;
    (void)unlink(model);
    const enum tl_rc rc = run_words(command, &command->config->convert, values, TL_COUNT_OF(values),
                                    RUNNER_CONVERT_TIMEOUT_S, watch, &why);
    if (rc) {
        return tl_fail(err, rc, "converting the model: %s", why.text);
    }
    if (stat(model, &made) != 0 || made.st_size == 0) {
        return tl_fail(err, TL_INVALID, "the converter made no file {model}");
    }
    return TL_OK;
}

static enum tl_rc command_load(struct runner *runner, size_t slot, const struct runner_model *model,
                               const struct agent_watch *watch, struct tl_err *err)
{
    struct command *command = command_of(runner);
    const bool converts = command->config->convert.n > 0;

    const int n = converts
                      ? snprintf(command->paths[slot], RUNNER_PATH_MAX, "%s.%s", model->path, command->config->format)
                      : snprintf(command->paths[slot], RUNNER_PATH_MAX, "%s", model->path);
    if ((size_t)n >= RUNNER_PATH_MAX - sizeof ".out" ||
        (size_t)snprintf(command->outputs[slot], RUNNER_PATH_MAX, "%s.out", model->path) >= RUNNER_PATH_MAX) {
        return tl_fail(err, TL_INVALID, "the model's path is too long: %s", model->path);
    }
    const enum tl_rc rc = converts ? convert(command, slot, model->path, watch, err) : TL_OK;
    if (rc) {
        command_drop(runner, slot);
    }
    return rc;
}

static enum tl_rc read_results(struct command *command, size_t slot, bool has_file, struct results *results,
                               struct tl_err *err)
{
    TL_AUTO(tl_buf) file = {.max = OUTPUT_FILE_MAX};
    const struct tl_buf *out = &command->child.text;
    struct tl_err why = {0};

    if (has_file && tl_file_read(command->outputs[slot], &file, &why) != TL_OK) {
        return tl_fail(err, TL_INVALID, "the runner left no file {output}: %s", why.text);
    }
    const struct results_text text = {.out = out->len > 0 ? out->data : "",
                                      .file = !has_file           ? NULL
                                              : file.data != NULL ? file.data
                                                                  : ""};
    return results_parse(command->config->parser, &text, results, err);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): results are written there */
static enum tl_rc command_run(struct runner *runner, size_t slot, const struct runner_block *block, int64_t *ret_ns,
                              uint16_t *ret_n, const struct agent_watch *watch, struct tl_err *err)
{
    struct command *command = command_of(runner);
    const struct runner_config *config = command->config;
    const bool has_file = child_words_have(&config->command, "output");
    const int seconds = (int)((block->ms + 999) / 1000);
    struct results results = {.ns = ret_ns, .max = block->max_runs};
    char threads[16], batch[16], min_runs[16], ms[16], s[16];
    const struct child_value values[] = {{"model", command->paths[slot]},
                                         {"output", command->outputs[slot]},
                                         {"threads", threads},
                                         {"batch", batch},
                                         {"min_runs", min_runs},
                                         {"ms", ms},
                                         {"seconds", s}};
    enum tl_rc rc;

    (void)snprintf(threads, sizeof threads, "%u", config->threads);
    (void)snprintf(batch, sizeof batch, "%u", config->batch);
    (void)snprintf(min_runs, sizeof min_runs, "%u", block->min_runs);
    (void)snprintf(ms, sizeof ms, "%u", block->ms);
    (void)snprintf(s, sizeof s, "%d", seconds);
    (void)unlink(command->outputs[slot]);
    rc = run_words(command, &config->command, values, TL_COUNT_OF(values), config->timeout_s + seconds, watch, err);
    rc = rc ? rc : read_results(command, slot, has_file, &results, err);
    (void)unlink(command->outputs[slot]);
    if (!rc) {
        runner->means = runner->means || results.means;
        *ret_n = (uint16_t)results.n;
    }
    return rc;
}

static double command_cpu_s(const struct runner *runner)
{
    return child_cpu_s(&((const struct command *)(const void *)runner)->child);
}

static void command_free(struct runner *runner)
{
    struct command *command = command_of(runner);

    for (size_t i = 0; i < RUNNER_SLOTS; i++) {
        command_drop(runner, i);
    }
    child_done(&command->child);
    free(command);
}

enum tl_rc runner_command_new(const struct runner_config *config, struct runner **ret_runner, struct tl_err *err)
{
    static const struct runner_vtable vtable = {
        .load = command_load, .run = command_run, .drop = command_drop, .cpu_s = command_cpu_s, .free = command_free};
    struct command *command = calloc(1, sizeof *command);

    if (command == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a runner");
    }
    command->config = config;
    command->runner = (struct runner){.vtable = &vtable, .wants_files = true, .warms_up = true};
    memcpy(command->runner.runtime, config->runtime, sizeof config->runtime);
    memcpy(command->runner.number_type, config->number_type, sizeof config->number_type);
    *ret_runner = &command->runner;
    return TL_OK;
}
