/* policy.c - see policy.h.
 *
 * Threads: pure functions.
 */
#include "search/policy.h"

#include <math.h>

static const double BETA2 = 0.999, EPSILON = 1e-8;

void policy_softmax(const double *logits, size_t n, double *probabilities)
{
    double most = logits[0], sum = 0;
    for (size_t o = 1; o < n; o++) {
        most = fmax(most, logits[o]);
    }
    for (size_t o = 0; o < n; o++) {
        probabilities[o] = exp(logits[o] - most);
        sum += probabilities[o];
    }
    for (size_t o = 0; o < n; o++) {
        probabilities[o] /= sum;
    }
}

uint8_t policy_draw(const double *probabilities, size_t n, double unit)
{
    double sum = 0;
    size_t last = 0;
    for (size_t o = 0; o < n; o++) {
        sum += probabilities[o];
        if (unit < sum) {
            return (uint8_t)o;
        }
        last = probabilities[o] > 0 ? o : last;
    }
    return (uint8_t)last; /* the sum may end just below 1 */
}

double policy_entropy(const double *probabilities, size_t n)
{
    double sum = 0;
    for (size_t o = 0; o < n; o++) {
        sum -= probabilities[o] > 0 ? probabilities[o] * log(probabilities[o]) : 0;
    }
    return sum;
}

void policy_pull(const double *probabilities, size_t n, uint8_t choice, double of_log, double of_entropy,
                 double *gradient)
{
    double entropy = policy_entropy(probabilities, n);
    for (size_t o = 0; o < n; o++) {
        double p = probabilities[o], logarithm = p > 0 ? log(p) : 0;
        gradient[o] += of_log * ((o == choice ? 1 : 0) - p) - of_entropy * p * (logarithm + entropy);
    }
}

void policy_ascend(double *parameters, double *squares, const double *gradient, size_t n, uint64_t step, double rate,
                   double limit)
{
    double seen = 1 - pow(BETA2, (double)step); /* how much of a moving mean began at 0 */
    for (size_t i = 0; i < n; i++) {
        squares[i] = BETA2 * squares[i] + (1 - BETA2) * gradient[i] * gradient[i];
        double moved = parameters[i] + rate * gradient[i] / (sqrt(squares[i] / seen) + EPSILON);
        parameters[i] = fmin(fmax(moved, -limit), limit);
    }
}
