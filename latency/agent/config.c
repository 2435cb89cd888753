/* config.c - the agent's command line. Threads: before any start. */
#include "latency/agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *agent_help(void)
{
    return "usage: tailor-agent --server URL --name NAME [--token-file FILE] [--ca FILE] [--config FILE] [--threads N]\n"
           "                    [--batch N] [--state DIR] [--lock FILE] [--once-idle SECONDS]\n"
           "\n"
           "Measures networks on this machine for a Tailor server: asks it for jobs, runs them, uploads the raw times.\n"
           "\n"
           "  --server URL         the server's root, such as http://127.0.0.1:8080 or https://tailor.example:8443\n"
           "  --name NAME          the device's name: 1 to 64 of a-z, 0-9, '.', '_' and '-'. The same board with another\n"
           "                       runtime, number of threads or batch size is another device: give it another name\n"
           "  --token-file FILE    the token that the server gave for NAME (tailor tokens add --device NAME), in a file that\n"
           "                       others cannot read (default: the variable TAILOR_TOKEN_FILE, or a token in TAILOR_TOKEN)\n"
           "  --ca FILE            PEM certificates to trust instead of the system's (default: the variable TAILOR_CA)\n"
           "  --config FILE        a JSON file with these settings (options win) and the runner: what runs the networks,\n"
           "                       in place of Tailor's own runtime. deploy/runners/README.md shows files for\n"
           "                       onnxruntime, TFLite, TensorRT, and how to write a runner\n"
           "  --threads N          run networks on N threads (default 1)\n"
           "  --batch N            N images at once (default 1)\n"
           "  --state DIR          where measurements wait until the server has them, and the key that proves that NAME\n"
           "                       is this agent's (default $XDG_STATE_HOME/tailor-agent/NAME). One agent a folder\n"
           "  --lock FILE          held while measuring, so that agents that share a processor or an accelerator never\n"
           "                       measure at the same time (default: one for all agents of this machine,\n"
           "                       /run/lock/tailor-agent or /tmp/tailor-agent; none: no lock)\n"
           "  --once-idle SECONDS  leave after this long without work (default: stay)\n"
           "  --help, --version    say so and leave\n"
           "\n"
           "Stop it with Ctrl-C or SIGTERM: it leaves within a second, and what it measured is sent when it starts again.\n"
           "\n"
           "example: tailor-agent --server http://127.0.0.1:8080 --name this-machine\n"
           "         tailor-agent --server https://tailor.example:8443 --name rack3-pi --token-file rack3-pi.token\n";
}

static enum tl_rc parse_number(const char *option, const char *text, long min, long max, long *ret_value,
                               struct tl_err *err)
{
    char *end = NULL;

    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
        return tl_fail(err, TL_INVALID, "%s takes a number from %ld to %ld, not \"%s\"", option, min, max, text);
    }
    *ret_value = value;
    return TL_OK;
}

static enum tl_rc copy_text(const char *option, const char *text, char *ret_text, size_t size, struct tl_err *err)
{
    if (text[0] == '\0' || strlen(text) >= size) {
        return tl_fail(err, TL_INVALID, "%s takes a text of 1 to %zu bytes", option, size - 1);
    }
    (void)snprintf(ret_text, size, "%s", text);
    return TL_OK;
}

static enum tl_rc parse_option(const char *option, const char *value, struct agent_config *config, struct tl_err *err)
{
    static const char *const names[] = {"--server", "--name",  "--token-file", "--ca",        "--config", "--threads",
                                        "--batch",  "--state", "--lock",       "--once-idle", "--help",   "--version"};
    enum tl_rc rc;
    long number = 0;

    if (strcmp(option, "--server") == 0) {
        return copy_text(option, value, config->server, sizeof config->server, err);
    }
    if (strcmp(option, "--name") == 0) {
        return copy_text(option, value, config->name, sizeof config->name, err);
    }
    if (strcmp(option, "--state") == 0) {
        return copy_text(option, value, config->state_dir, sizeof config->state_dir, err);
    }
    if (strcmp(option, "--token-file") == 0) {
        return copy_text(option, value, config->token_file, sizeof config->token_file, err);
    }
    if (strcmp(option, "--ca") == 0) {
        return copy_text(option, value, config->ca_file, sizeof config->ca_file, err);
    }
    if (strcmp(option, "--lock") == 0) {
        return copy_text(option, value, config->lock, sizeof config->lock, err);
    }
    if (strcmp(option, "--config") == 0) {
        return TL_OK; /* read before the others */
    }
    if (strcmp(option, "--threads") == 0) {
        rc = parse_number(option, value, 1, AGENT_THREADS_MAX, &number, err);
        config->runner.threads = (unsigned)number;
        return rc;
    }
    if (strcmp(option, "--batch") == 0) {
        rc = parse_number(option, value, 1, LAT_BATCH_MAX, &number, err);
        config->runner.batch = (unsigned)number;
        return rc;
    }
    if (strcmp(option, "--once-idle") == 0) {
        rc = parse_number(option, value, 0, 86400, &number, err);
        config->once_idle_s = number;
        return rc;
    }
    const char *near = tl_nearest(option, names, TL_COUNT_OF(names));
    return tl_fail(err, TL_INVALID, "unknown option %s%s%s", option, near != NULL ? "; did you mean " : "",
                   near != NULL ? near : "");
}

/* The state folder where the XDG rules put it. */
static enum tl_rc default_state(struct agent_config *config, const char *xdg_state_home, const char *home,
                                struct tl_err *err)
{
    int n = 0;

    if (xdg_state_home != NULL && xdg_state_home[0] == '/') {
        n = snprintf(config->state_dir, sizeof config->state_dir, "%s/tailor-agent/%s", xdg_state_home, config->name);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(config->state_dir, sizeof config->state_dir, "%s/.local/state/tailor-agent/%s", home,
                     config->name);
    } else {
        return tl_fail(err, TL_INVALID, "there is no $HOME; say --state DIR");
    }
    return (size_t)n < sizeof config->state_dir
               ? TL_OK
               : tl_fail(err, TL_INVALID, "the state folder's name is too long; say --state DIR");
}

static void choose_lock(struct agent_config *config)
{
    if (config->lock[0] == '\0') {
        agent_lock_default(config->lock);
    } else if (strcmp(config->lock, "none") == 0) {
        config->lock[0] = '\0';
    }
}

static enum tl_rc check_complete(struct agent_config *config, const char *xdg_state_home, const char *home,
                                 struct tl_err *err)
{
    if (config->server[0] == '\0' || config->name[0] == '\0') {
        return tl_fail(err, TL_INVALID, "%s is missing; tailor-agent --help tells more",
                       config->server[0] == '\0' ? "--server URL" : "--name NAME");
    }
    if (!tl_name_valid(config->name)) {
        return tl_fail(err, TL_INVALID,
                       "--name takes 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
    }
    /* the spool's longest path is the folder, "/spool/rejected/" and two UUIDs with their endings */
    if (config->state_dir[0] == '\0') {
        const enum tl_rc rc = default_state(config, xdg_state_home, home, err);
        if (rc) {
            return rc;
        }
    }
    return strlen(config->state_dir) + 64 < AGENT_DIR_MAX
               ? TL_OK
               : tl_fail(err, TL_INVALID, "the state folder's name is too long; say a shorter --state DIR");
}

enum tl_rc agent_config_parse(int argc, char *const *argv, const char *xdg_state_home, const char *home,
                              struct agent_config *ret_config, struct tl_err *err)
{
    struct agent_config config = {.once_idle_s = -1,
                                  .runner = {.kind = RUNNER_NATIVE,
                                             .format = "onnx",
                                             .number_type = "float32",
                                             .timeout_s = RUNNER_TIMEOUT_S,
                                             .threads = 1,
                                             .batch = 1}};
    enum tl_rc rc = TL_OK;

    for (int i = 1; !rc && i < argc; i += 2) {
        if (strcmp(argv[i], "--config") == 0) {
            rc = i + 1 < argc ? agent_config_read(argv[i + 1], &config, err)
                              : tl_fail(err, TL_INVALID, "--config takes the path of a file");
        }
    }
    if (rc) {
        return rc;
    }
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0) {
            config.action = argv[i][2] == 'h' ? AGENT_SHOW_HELP : AGENT_SHOW_VERSION;
            *ret_config = config;
            return TL_OK;
        }
        if ((rc = parse_option(argv[i], i + 1 < argc ? argv[i + 1] : "", &config, err))) {
            return rc;
        }
    }
    choose_lock(&config);
    if (!(rc = check_complete(&config, xdg_state_home, home, err))) {
        *ret_config = config;
    }
    return rc;
}
