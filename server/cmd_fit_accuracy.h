/* cmd_fit_accuracy.h - the subcommand `tailor fit-accuracy`. */
#ifndef TAILOR_CMD_FIT_ACCURACY_H
#define TAILOR_CMD_FIT_ACCURACY_H

/* argv[0] is the subcommand's name. Returns the exit status: 0, 1 (failed, said on stderr) or 2 (wrong use). */
int cmd_fit_accuracy(int argc, char **argv);

#endif
