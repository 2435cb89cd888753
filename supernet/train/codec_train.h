/* codec_train.h - the text side of training: a plan as JSON, and the lines of its log.
 *
 * A measurement that is due is a line of the log already: it says what is to be measured ("due") in the place of what was.
 * So a training that stops before, or while, it measures goes on with measuring, and its log becomes the same.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_CODEC_TRAIN_H
#define TAILOR_CODEC_TRAIN_H

#include "supernet/train/source.h"

/* Append everything that decides a training's bytes, as one JSON object: the options, a hash of the family's description,
 * and `data`, one of the images. */
TL_MUST_CHECK enum tl_rc train_plan_encode(const struct train_plan *plan, const struct net_family *family,
                                           const struct train_images_plan *images, const struct tl_hash *data,
                                           struct tl_buf *buf, struct tl_err *err);

/* Is `theirs`, the plan of a checkpoint, the plan `ours`? TL_CONFLICT names what differs, options as the command line
 * calls them, or says that another version of the program made it. TL_MALFORMED: it is no JSON object. */
TL_MUST_CHECK enum tl_rc train_plan_compare(const char *theirs, const char *ours, struct tl_err *err);

/* TL_INVALID: the set's name or that of a class cannot stand in a supernet's file, since it is not UTF-8. */
TL_MUST_CHECK enum tl_rc train_names_check(const char *data, const char *const *classes, size_t n, struct tl_err *err);

/* One measured sub-network of a log line. */
struct train_measured {
    const char *what; /* "largest", "smallest k3 e3 d2", .. */
    unsigned resolution;
    double accuracy; /* share */
};

struct train_log_line {
    struct train_progress progress;
    double images_s, eta_s;
};

/* What is to be measured: the corners of the space or its two ends, on the first `images` of a part (0: all). */
struct train_due {
    bool whole;
    enum train_part part;
    size_t images;
    size_t at, end; /* where its line begins and ends in the log; both the log's length: nothing is due */
};

/* Append the line of a measurement that is due, and a newline. */
TL_MUST_CHECK enum tl_rc train_log_add(const struct train_log_line *line, const struct train_due *due,
                                       struct tl_buf *log, struct tl_err *err);

/* The first measurement that is due, of the lines from `from` on. */
TL_MUST_CHECK enum tl_rc train_log_due(const struct tl_buf *log, size_t from, struct train_due *ret_due,
                                       struct tl_err *err);

/* Put into the line of `due` what was measured: {"step": .., "phase": .., "loss": .., "part": .., "accuracy": [..]}. */
TL_MUST_CHECK enum tl_rc train_log_measured(struct tl_buf *log, const struct train_due *due,
                                            const struct train_measured *measured, size_t n, struct tl_err *err);

/* Append the log without its times, which differ from run to run. */
TL_MUST_CHECK enum tl_rc train_log_timeless(const struct tl_buf *log, struct tl_buf *buf, struct tl_err *err);

#endif
