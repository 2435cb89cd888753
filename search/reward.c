/* reward.c - see reward.h.
 *
 * Threads: see reward.h.
 */
#include "search/reward.h"
#include "search/goal.h"

#include <math.h>
#include <string.h>

static const double MOMENTUM = 0.95;        /* TuNAS' for its baseline; here of all moving statistics */
static const double MOVING_MAX = 1e100;     /* squares and their sums stay finite */
static const double TRADE = 0.07;           /* reward.h: quality for one unit of ln(cost) */
static const double SCORE_MAX = 10;         /* deviations; keeps quality at 0.3 and above, as powers need it */
static const double RATIO_MIN = 1.0 / 16.0; /* of powers: below it less is no longer better */
static const double ABSOLUTE = -0.10, SOFT = -0.07, HARD = -1, POWER = -0.1;

static const char *const names[SEARCH_REWARD_COUNT] = {"", "absolute", "soft", "hard", "power", "quadratic"};

const char *search_reward_name(enum search_reward reward)
{
    return (unsigned)reward < SEARCH_REWARD_COUNT ? names[reward] : NULL;
}

/* ---- moving statistics --------------------------------------------------------------------------------------- */

static double bounded(double value, double max)
{
    return fmin(fmax(value, -max), max);
}

/* Chan, Golub and LeVeque 1983: two sets joined by their means, without the cancellation of sums of squares. */
void moving_add(struct moving *moving, const double *values, size_t n)
{
    double sum = 0, square = 0;
    if (n == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        sum += bounded(values[i], MOVING_MAX);
    }
    double mean = sum / (double)n, before = MOMENTUM * moving->weight, step = mean - moving->mean;
    for (size_t i = 0; i < n; i++) {
        double distance = bounded(values[i], MOVING_MAX) - mean;
        square += distance * distance;
    }
    moving->weight = before + (double)n;
    moving->mean = bounded(moving->mean + step * ((double)n / moving->weight), MOVING_MAX);
    moving->square = MOMENTUM * moving->square + square + step * step * (before * (double)n / moving->weight);
}

double moving_deviation(const struct moving *moving)
{
    return moving->weight > 0 ? sqrt(moving->square / moving->weight) : 0;
}

/* Where all were equal, rounding leaves a deviation of some 1e-16 of the mean, which is none. */
static double standard(const struct moving *moving, double value)
{
    double deviation = moving_deviation(moving);
    return deviation > 1e-13 * fabs(moving->mean) ? (bounded(value, MOVING_MAX) - moving->mean) / deviation : 0;
}

/* ---- formulas ------------------------------------------------------------------------------------------------ */

static double factor(enum search_reward kind, const struct reward_term *term)
{
    double ratio = fmax(term->ratio, RATIO_MIN);
    switch (kind) {
    case SEARCH_REWARD_SOFT:
        return pow(ratio, SOFT);
    case SEARCH_REWARD_HARD:
        return ratio > 1 ? pow(ratio, HARD) : 1;
    case SEARCH_REWARD_POWER:
        return pow(ratio, POWER);
    case SEARCH_REWARD_QUADRATIC:
        return (1 - term->share) * (1 - term->share);
    case SEARCH_REWARD_DEFAULT:
    case SEARCH_REWARD_ABSOLUTE:
    case SEARCH_REWARD_COUNT:
        break;
    }
    return 1;
}

double reward_formula(enum search_reward kind, double quality, const struct reward_term *terms, size_t n_terms)
{
    double sum = 0, product = 1;
    for (size_t i = 0; i < n_terms; i++) {
        sum += fabs(terms[i].ratio - 1);
        product *= factor(kind, &terms[i]);
    }
    return kind == SEARCH_REWARD_ABSOLUTE ? quality + ABSOLUTE * sum : quality * product;
}

/* ---- candidates ---------------------------------------------------------------------------------------------- */

void reward_init(struct reward *reward, const struct search_spec *spec, enum search_reward otherwise)
{
    *reward = (struct reward){.spec = spec, .kind = spec->reward == SEARCH_REWARD_DEFAULT ? otherwise : spec->reward};
}

/* What an excess of 1 is, for the limit's ratio. */
static double unit(const struct reward *reward, size_t limit)
{
    double deviation = moving_deviation(&reward->excess[limit]);
    return reward->spec->limits[limit].bound == 0 && deviation > 0 ? deviation : 1;
}

static double spread(const struct reward *reward)
{
    double variance = 0;
    for (size_t i = 0; i < reward->spec->n_limits; i++) {
        double deviation = moving_deviation(&reward->excess[i]) / unit(reward, i);
        variance += deviation * deviation;
    }
    return variance > 0 ? fmin(sqrt(variance), 1) : 1;
}

static double excess_of(const struct search_limit *limit, const double *values)
{
    return bounded(goal_excess(limit, values[limit->metric]), MOVING_MAX);
}

double reward_of(const struct reward *reward, double score, const double *values)
{
    struct reward_term terms[SEARCH_LIMITS_MAX];
    for (size_t i = 0; i < reward->spec->n_limits; i++) {
        double excess = excess_of(&reward->spec->limits[i], values);
        bool beyond = excess > 0 && reward->worst[i] > 0;
        terms[i].ratio = 1 + excess / unit(reward, i);
        terms[i].share = beyond ? fmin(excess / reward->worst[i], 1) : 0;
    }
    double quality = 1 + TRADE * spread(reward) * bounded(standard(&reward->score, score), SCORE_MAX);
    return reward_formula(reward->kind, quality, terms, reward->spec->n_limits);
}

static void learn_scales(struct reward *reward, const struct search_batch *batch)
{
    double column[SEARCH_BATCH_MAX];
    for (size_t limit = 0; limit <= reward->spec->n_limits; limit++) { /* the one behind the last is the score */
        size_t n = 0;
        bool is_score = limit == reward->spec->n_limits;
        for (size_t i = 0; i < batch->n; i++) {
            if (batch->violation[i] < (double)INFINITY) {
                const double *values = batch->values + i * SEARCH_METRICS_MAX;
                column[n++] = is_score ? batch->score[i] : excess_of(&reward->spec->limits[limit], values);
            }
        }
        moving_add(is_score ? &reward->score : &reward->excess[limit], column, n);
        for (size_t i = 0; !is_score && i < n; i++) {
            reward->worst[limit] = fmax(reward->worst[limit], column[i]);
        }
    }
}

bool reward_learn(struct reward *reward, const struct search_batch *batch, double *ret_advantages)
{
    double least = (double)INFINITY;
    size_t n_valued = 0;
    for (size_t i = 0; i < batch->n; i++) {
        n_valued += batch->violation[i] < (double)INFINITY;
    }
    if (n_valued == 0) {
        return false;
    }
    learn_scales(reward, batch);
    for (size_t i = 0; i < batch->n; i++) {
        if (batch->violation[i] < (double)INFINITY) {
            ret_advantages[i] = reward_of(reward, batch->score[i], batch->values + i * SEARCH_METRICS_MAX);
            least = fmin(least, ret_advantages[i]);
        }
    }
    for (size_t i = 0; i < batch->n; i++) {
        ret_advantages[i] = batch->violation[i] < (double)INFINITY ? ret_advantages[i] : least;
    }
    moving_add(&reward->rewards, ret_advantages, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        ret_advantages[i] = standard(&reward->rewards, ret_advantages[i]);
    }
    return true;
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc moving_save(const struct moving *moving, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_f64(buf, moving->weight, err);
    rc = rc ? rc : tl_buf_put_f64(buf, moving->mean, err);
    return rc ? rc : tl_buf_put_f64(buf, moving->square, err);
}

enum tl_rc reward_save(const struct reward *reward, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = moving_save(&reward->score, buf, err);
    rc = rc ? rc : moving_save(&reward->rewards, buf, err);
    for (size_t i = 0; !rc && i < reward->spec->n_limits; i++) {
        rc = moving_save(&reward->excess[i], buf, err);
        rc = rc ? rc : tl_buf_put_f64(buf, reward->worst[i], err);
    }
    return rc;
}

/* Largest weight: that of full batches for ever. No distance is above 2 * MOVING_MAX. */
static bool moving_load(struct moving *moving, struct tl_cursor *state)
{
    double weight_max = SEARCH_BATCH_MAX / (1 - MOMENTUM);
    moving->weight = tl_cursor_f64(state);
    moving->mean = tl_cursor_f64(state);
    moving->square = tl_cursor_f64(state);
    return !state->failed && (moving->weight == 0 || moving->weight >= 1) && moving->weight <= weight_max &&
           fabs(moving->mean) <= MOVING_MAX && moving->square >= 0 &&
           moving->square <= 4 * MOVING_MAX * MOVING_MAX * weight_max;
}

bool reward_load(struct reward *reward, struct tl_cursor *state)
{
    bool good = moving_load(&reward->score, state) && moving_load(&reward->rewards, state);
    for (size_t i = 0; good && i < reward->spec->n_limits; i++) {
        good = moving_load(&reward->excess[i], state);
        reward->worst[i] = tl_cursor_f64(state);
        good = good && reward->worst[i] >= 0 && reward->worst[i] <= MOVING_MAX;
    }
    return good;
}
