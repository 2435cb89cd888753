/* codec_plan.h - what a training's plan, kept in the supernet's file, says of its images.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_CODEC_PLAN_H
#define TAILOR_CODEC_PLAN_H

#include "base/base.h"

struct train_split {
    bool known;     /* false: no training wrote the file, as with converted checkpoints */
    double holdout; /* as in struct train_images_plan */
    size_t most;
};

/* `plan` is that of struct supernet_facts; NULL or "": unknown. TL_INVALID names the field that is wrong. */
TL_MUST_CHECK enum tl_rc train_split_decode(const char *plan, struct train_split *ret_split, struct tl_err *err);

#endif
