/* training_pace.h - how fast a training goes and when it will be done: training and measuring are timed apart.
 *
 * Threads: pure functions of a struct.
 */
#ifndef TAILOR_TRAINING_PACE_H
#define TAILOR_TRAINING_PACE_H

#include <stddef.h>
#include <stdint.h>

/* What this process has done. */
struct training_pace {
    unsigned batch; /* images a step */
    double train_s, measure_s;
    double work; /* of training, in the caller's unit */
    uint64_t steps;
    uint64_t passes;   /* batches that a network was trained on: an image of one costs about three forwards */
    uint64_t measured; /* images that went through a measured network, those it was calibrated on included */
};

/* Images trained on a second of training; 0 before the first step. */
double training_pace_images_s(const struct training_pace *pace);

/* Seconds that so much more work and so many measured images will take. Before the first measurement, the cost of its images is
 * taken from that of training. NAN: nothing has been timed that it could be told from. */
double training_pace_left_s(const struct training_pace *pace, double work, uint64_t images);

#endif
