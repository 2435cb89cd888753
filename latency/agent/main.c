/* main.c - tailor-agent, the device program. See agent.h and tailor-agent --help. */
#include "latency/agent/agent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_int stop; /* set by the signal handler, read by everyone */

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void log_line(enum tl_log_level level, const char *text)
{
    tl_log(level, "agent", "%s", text);
}

/* No SA_RESTART: what sleeps or waits is woken. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&ignore.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

int main(int argc, char **argv)
{
    struct agent_config config;
    struct tl_err err = {0};
    const char *xdg = getenv("XDG_STATE_HOME"); /* NOLINT(concurrency-mt-unsafe): before any thread */
    const char *home = getenv("HOME");          /* NOLINT(concurrency-mt-unsafe): before any thread */

    if (agent_config_parse(argc, argv, xdg, home, &config, &err) != TL_OK) {
        (void)fprintf(stderr, "tailor-agent: %s\n", err.text);
        return 2;
    }
    if (config.action == AGENT_SHOW_HELP) {
        (void)fputs(agent_help(), stdout);
        return 0;
    }
    if (config.action == AGENT_SHOW_VERSION) {
        (void)puts("tailor-agent " TAILOR_VERSION);
        return 0;
    }
    catch_signals();
    if (agent_run(&config, &stop, log_line, &err) != TL_OK) {
        tl_log(TL_LOG_ERROR, "agent", "%s", err.text);
        return 1;
    }
    return 0;
}
