/* training_pace.c - see training_pace.h. */
#include "server/training_pace.h"

#include <math.h>

double training_pace_images_s(const struct training_pace *pace)
{
    return pace->train_s > 0.0 ? (double)pace->steps * pace->batch / pace->train_s : 0.0;
}

static double image_s(const struct training_pace *pace)
{
    const double trained = (double)pace->passes * pace->batch;
    if (pace->measured > 0) {
        return pace->measure_s / (double)pace->measured;
    }
    return trained > 0.0 ? pace->train_s / (3.0 * trained) : (double)NAN;
}

double training_pace_left_s(const struct training_pace *pace, double work, uint64_t images)
{
    double left_s = 0.0;
    if (work > 0.0) {
        left_s += pace->work > 0.0 ? pace->train_s / pace->work * work : (double)NAN;
    }
    return images > 0 ? left_s + image_s(pace) * (double)images : left_s;
}
