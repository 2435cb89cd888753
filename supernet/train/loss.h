/* loss.h - cross entropy with smoothed labels and with a teacher's probabilities; private to train. */
#ifndef TAILOR_TRAIN_LOSS_H
#define TAILOR_TRAIN_LOSS_H

#include "base/base.h"

/* What a batch is judged by:  -sum over c of (label_weight * q[c] + teacher_weight * t[c]) * log p[c],  averaged over
 * the batch; p = softmax(logits), q = (1 - smoothing) at the label plus smoothing / classes everywhere. */
struct loss_target {
    const int32_t *labels; /* (nb) */
    const float *teacher;  /* probabilities (nb, classes); NULL: none */
    float label_weight, teacher_weight, smoothing;
};

/* The mean loss; its gradient into dlogits (nb, classes); how many images have their label at the top into *ret_right. */
double loss_gradient(float *restrict dlogits, const float *restrict logits, const struct loss_target *target, size_t nb,
                     size_t classes, size_t *ret_right);

/* p = softmax(logits), row by row. */
void loss_softmax(float *restrict p, const float *restrict logits, size_t nb, size_t classes);

#endif
