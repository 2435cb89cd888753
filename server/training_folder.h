/* training_folder.h - the folder of a training: one program's at a time, and rid of what a killed one left half written.
 *
 * Threads: pure functions of the file system.
 */
#ifndef TAILOR_TRAINING_FOLDER_H
#define TAILOR_TRAINING_FOLDER_H

#include "base/base.h"

enum { TRAINING_PATH_BYTES = 4096 };

/* The path of a file in the folder. `dir` is one that training_folder_take took. */
void training_folder_path(const char *dir, const char *file, char ret_path[TRAINING_PATH_BYTES]);

/* Make the folder where it is absent, lock it (flock on DIR/tailor.lock) and remove the temporary files of the training's
 * own that are left from a program that was killed. *ret_fd is owned: the lock goes with it (close), or with the process.
 * TL_CONFLICT: another program has it. TL_IO: it cannot be made or written. TL_INVALID: its path is too long. */
TL_MUST_CHECK enum tl_rc training_folder_take(const char *dir, int *ret_fd, struct tl_err *err);

#endif
