/* training.h - a training on this machine: reads images, resumes, trains, writes checkpoints, the log and the supernet.
 *
 * In its folder: checkpoint.safetensors (all that is needed to go on), log.jsonl (a line a measurement) and, in the end,
 * supernet.safetensors. Each is complete or absent at any moment, and the log never runs ahead of the checkpoint. The same
 * training gives the same supernet.safetensors to the byte, however often it was stopped and on however many threads: times,
 * paths and the number of threads are not in it. The folder is locked meanwhile (training_folder.h).
 *
 * Threads: belongs to the main thread; works on a pool of its own.
 */
#ifndef TAILOR_TRAINING_H
#define TAILOR_TRAINING_H

#include "supernet/train/source.h"

#include <signal.h>

/* What is measured after each phase and in the end, on all images held out and all test images. */
enum training_final { TRAINING_CORNERS, TRAINING_ENDS, TRAINING_NONE };

struct training {
    struct net_family family;
    struct train_plan plan;
    struct train_images_plan images; /* mean and deviation are measured */
    const char *data, *output;       /* borrowed: the path of the images; the folder */
    const char *command;             /* borrowed: what the supernet says it was made by */
    unsigned n_threads;
    unsigned checkpoint_s;   /* seconds between checkpoints within an epoch */
    unsigned measure_epochs; /* epochs between measurements of the two ends; 0: none of these */
    enum training_final final;
    size_t measured_images;    /* held-out images of such a measurement */
    size_t calibration_images; /* kept in the supernet's file */
};

/* Train to the end, or until *stop is set: then a checkpoint is written and *ret_finished is false. TL_CONFLICT: another
 * program trains into the folder, or its checkpoint is of another training; what differs is named. */
TL_MUST_CHECK enum tl_rc training_run(const struct training *training, const volatile sig_atomic_t *stop,
                                      bool *ret_finished, struct tl_err *err);

#endif
