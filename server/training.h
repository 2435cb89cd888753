/* training.h - a training on this machine: reads images, resumes, trains, writes checkpoints, the log and the supernet.
 *
 * In its folder: checkpoint.safetensors (all that is needed to go on), log.jsonl (a line an epoch) and, in the end,
 * supernet.safetensors. Each is complete or absent at any moment, and the log never runs ahead of the checkpoint.
 *
 * Threads: belongs to the main thread; works on a pool of its own.
 */
#ifndef TAILOR_TRAINING_H
#define TAILOR_TRAINING_H

#include "supernet/train/source.h"

#include <signal.h>

struct training {
    struct net_family family;
    struct train_plan plan;
    struct train_images_plan images; /* mean and deviation are measured */
    const char *data, *output;       /* borrowed: the set of images; the folder */
    const char *command;             /* borrowed: what the supernet says it was made by */
    unsigned n_threads;
    unsigned checkpoint_s;     /* seconds between checkpoints within an epoch */
    unsigned measure_epochs;   /* epochs between measurements; 0: only in the end */
    size_t measured_images;    /* held-out images of such a measurement */
    size_t calibration_images; /* kept in the supernet's file */
};

/* Train to the end, or until *stop is set: then a checkpoint is written and *ret_finished is false. */
TL_MUST_CHECK enum tl_rc training_run(const struct training *training, const volatile sig_atomic_t *stop,
                                      bool *ret_finished, struct tl_err *err);

#endif
