/* command.h - the subcommands of `tailor`.
 *
 * A command gets the words after its name and returns why it could not do what was asked; main prints that and exits. A
 * command line that is wrong is TL_INVALID (exit code 2), everything else exits with 1. Results go to stdout, progress to
 * stderr.
 */
#ifndef TAILOR_COMMAND_H
#define TAILOR_COMMAND_H

#include "base/base.h"

struct command {
    const char *name;
    const char *summary; /* one line for the list of commands */
    const char *help;    /* what `tailor NAME --help` prints: usage, options, examples */
    enum tl_rc (*run)(int argc, char **argv, struct tl_err *err);
};

/* One of each in cmd_NAME.c. */
extern const struct command command_serve, command_search, command_devices, command_import, command_spaces,
    command_fit_accuracy, command_train, command_evaluate, command_sample_accuracy, command_distill, command_run,
    command_export, command_convert, command_tokens;

/* ---- arguments ----------------------------------------------------------------------------------------------- */

enum { ARGUMENT_END = -1, ARGUMENT_WORD = -2 };

struct argument {
    const char *name; /* "space" for --space */
    bool is_flag;     /* takes no value */
};

/* Reads "--name value", "--name=value", flags and plain words, in any order; after "--" everything is a word. */
struct arguments {
    int argc;
    char **argv;
    const struct argument *known; /* static */
    size_t n_known;
    int at;
    bool words_only;
};

/* *ret_which: index into `known`, ARGUMENT_WORD, or ARGUMENT_END; *ret_value (borrowed): the value or the word. TL_INVALID
 * names an unknown option with the nearest known one, or an option without its value. */
TL_MUST_CHECK enum tl_rc arguments_next(struct arguments *arguments, int *ret_which, const char **ret_value,
                                        struct tl_err *err);
/* For commands without plain words: each option's last value (borrowed, "" of a flag), NULL of one that was not given. */
TL_MUST_CHECK enum tl_rc arguments_values(int argc, char **argv, const struct argument *known, size_t n_known,
                                          const char **ret_values, struct tl_err *err);
/* Numbers of option --NAME from min to max. value NULL: the option was not given, *ret_value stays what it is. */
TL_MUST_CHECK enum tl_rc argument_int(const char *name, const char *value, int64_t min, int64_t max, int64_t *ret_value,
                                      struct tl_err *err);
TL_MUST_CHECK enum tl_rc argument_real(const char *name, const char *value, double min, double max, double *ret_value,
                                       struct tl_err *err);
/* The name of the space that a --space means: of itself, or of a family file whose path ends in .json. TL_INVALID: a name
 * that cannot be; why a file is none. A server must know the family too: `tailor serve --family FILE`. */
enum { ARGUMENT_SPACE = 65 };
TL_MUST_CHECK enum tl_rc argument_space(const char *value, char ret_name[ARGUMENT_SPACE], struct tl_err *err);

#endif
