/* main.c - the program `tailor`: finds the subcommand, prints failures, exits.
 *
 * The threads of `tailor serve`, what each owns and what it may not do:
 *
 *   main           sets everything up, then waits for SIGTERM or SIGINT and takes it down; owns struct service's objects.
 *   store writer   (storage) the only read-write connection; runs closures, many in a commit. No network, no waiting.
 *   movers (2)     (libmicrohttpd) receive requests and send answers. Never touch the store, never wait.
 *   request (16)   (http_desk) run handlers: may read the store, wait for a write, read and make models. Never search.
 *   timer          (http_desk) deadlines of parked requests and of slow clients. Only ever holds the desk's lock.
 *   searcher       (flow) runs one search at a time; owns its run, controller and evaluator. While none waits it builds
 *                  archives. No network.
 *   conductor      (flow) judges verifications, fits models, queues jobs. No network.
 *
 * What they share, and what guards it: the store (its own queue and read connections); the models in memory (snapshots, a
 * lock and counts; models themselves never change); digests of tokens (access's lock); the list of spaces (its lock; spaces never change); parked requests and peers (the desk's lock); counts of requests and
 * body bytes (http's lock); the bell that wakes searcher and conductor (flow's lock). struct service is constant while
 * threads run. No function holds two of these locks.
 */
#include "base/model/model.h"
#include "server/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command *const COMMANDS[] = {
    &command_serve,  &command_search,   &command_devices,         &command_import,       &command_spaces,
    &command_train,  &command_evaluate, &command_sample_accuracy, &command_fit_accuracy, &command_run,
    &command_export, &command_distill,  &command_convert,         &command_tokens,
};

static void print_commands(FILE *to)
{
    fputs("tailor " TAILOR_VERSION " - one trained supernet in, a network made to measure for every device out\n\n"
          "usage: tailor COMMAND [OPTIONS]      tailor COMMAND --help      tailor --version\n\n",
          to);
    for (size_t i = 0; i < TL_COUNT_OF(COMMANDS); i++) {
        fprintf(to, "  %-16s %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
    }
    fputs(
        "\nCommands that ask a server find it by TAILOR_SERVER, and a token for it by TAILOR_TOKEN_FILE or TAILOR_TOKEN;\n"
        "for https, TAILOR_CA names certificates to trust (tailor tokens --help).\n"
        "\nA first network, measured on this machine:\n\n"
        "  tailor serve --data data &                 # keeps everything in ./data, listens on 127.0.0.1:8080\n"
        "  tailor-agent --server http://127.0.0.1:8080 --name this-machine &\n"
        "  tailor search --space ofa-mbv3-w1.0 --device this-machine --max latency_ms=20\n",
        to);
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < TL_COUNT_OF(COMMANDS); i++) {
        if (strcmp(COMMANDS[i]->name, name) == 0) {
            return COMMANDS[i];
        }
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[TL_COUNT_OF(COMMANDS)];
    for (size_t i = 0; i < TL_COUNT_OF(COMMANDS); i++) {
        names[i] = COMMANDS[i]->name;
    }
    const char *near = tl_nearest(name, names, TL_COUNT_OF(names));
    if (near) {
        fprintf(stderr, "tailor: there is no command \"%s\"; did you mean \"%s\"?\n", name, near);
    } else {
        fprintf(stderr, "tailor: there is no command \"%s\"; tailor --help lists them\n", name);
    }
    return 2;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    model_blas_single_thread();
    signal(SIGPIPE, SIG_IGN);
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0) {
        puts("tailor " TAILOR_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2)) {
        print_commands(stdout);
        return argc > 1 ? 0 : 2;
    }
    bool asks = strcmp(name, "help") == 0;
    const struct command *command = command_find(asks ? argv[2] : name);
    if (!command) {
        return unknown_command(asks ? argv[2] : name);
    }
    if (asks || wants_help(argc - 2, argv + 2)) {
        fputs(command->help, stdout);
        return 0;
    }
    struct tl_err err = {0};
    enum tl_rc rc = command->run(argc - 2, argv + 2, &err);
    if (rc != TL_OK) {
        fprintf(stderr, "tailor %s: %s%s%s\n", command->name, err.text, err.pointer[0] ? "\n  at " : "", err.pointer);
    }
    return rc == TL_OK ? 0 : rc == TL_INVALID ? 2 : 1;
}
