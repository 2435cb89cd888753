/* codec_train.h - the text side of training: a plan as JSON, and the lines of its log.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_CODEC_TRAIN_H
#define TAILOR_CODEC_TRAIN_H

#include "supernet/train/source.h"

/* Append everything that decides a training's bytes, as one JSON object. */
TL_MUST_CHECK enum tl_rc train_plan_encode(const struct train_plan *plan, const struct net_family *family,
                                           const struct train_images_plan *images, struct tl_buf *buf,
                                           struct tl_err *err);

/* One measured sub-network of a log line. */
struct train_measured {
    const char *what; /* "largest", "smallest k3 e3 d2", .. */
    unsigned resolution;
    double accuracy; /* share */
};

struct train_log_line {
    struct train_progress progress;
    double images_s, eta_s;
    const struct train_measured *measured;
    size_t n_measured;
    const char *part; /* of the images they were measured on */
};

/* Append a line: {"step": .., "phase": .., "loss": .., "accuracy": [..]} and a newline. */
TL_MUST_CHECK enum tl_rc train_log_encode(const struct train_log_line *line, struct tl_buf *buf, struct tl_err *err);

#endif
