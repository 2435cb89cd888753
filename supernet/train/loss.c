/* loss.c - see loss.h. */
#include "supernet/train/loss.h"

#include <math.h>

static size_t top(const float *logits, size_t classes)
{
    size_t best = 0;
    for (size_t c = 1; c < classes; c++) {
        best = logits[c] > logits[best] ? c : best;
    }
    return best;
}

/* log of the sum of exp(logits), safe for any finite logits. */
static double log_sum(const float *logits, size_t classes)
{
    const float most = logits[top(logits, classes)];
    double sum = 0.0;
    for (size_t c = 0; c < classes; c++) {
        sum += exp((double)(logits[c] - most));
    }
    return log(sum) + (double)most;
}

double loss_gradient(float *restrict dlogits, const float *restrict logits, const struct loss_target *target, size_t nb,
                     size_t classes, size_t *ret_right)
{
    const float *teacher = target->teacher;
    const double weight = (double)target->label_weight + (teacher == NULL ? 0.0 : (double)target->teacher_weight);
    const double even = (double)target->label_weight * (double)target->smoothing / (double)classes;
    const double sure = (double)target->label_weight * (1.0 - (double)target->smoothing);
    double loss = 0.0;
    *ret_right = 0;
    for (size_t n = 0; n < nb; n++) {
        const float *z = logits + n * classes;
        const double log_all = log_sum(z, classes);
        *ret_right += top(z, classes) == (size_t)target->labels[n];
        for (size_t c = 0; c < classes; c++) {
            const double log_p = (double)z[c] - log_all;
            double wanted = even + ((size_t)target->labels[n] == c ? sure : 0.0);
            if (teacher != NULL) {
                wanted += (double)target->teacher_weight * (double)teacher[n * classes + c];
            }
            loss -= wanted * log_p;
            dlogits[n * classes + c] = (float)((weight * exp(log_p) - wanted) / (double)nb);
        }
    }
    return loss / (double)nb;
}

void loss_softmax(float *restrict p, const float *restrict logits, size_t nb, size_t classes)
{
    for (size_t n = 0; n < nb; n++) {
        const double log_all = log_sum(logits + n * classes, classes);
        for (size_t c = 0; c < classes; c++) {
            p[n * classes + c] = (float)exp((double)logits[n * classes + c] - log_all);
        }
    }
}
