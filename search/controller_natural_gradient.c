/* controller_natural_gradient.c - a product of categorical distributions that climbs the natural gradient of expected
 * utility: stochastic natural gradient of adaptive step (ASNG: Akimoto et al. 2019), and of fixed step as YOCO-BERT
 * (Zhang et al. 2021) searches.
 *
 * theta[i][j] is the probability of option j of variable i. lambda samples c_k are ranked; the best quarter has utility
 * +1, the worst -1, ties share theirs. In the expectation parameters the natural gradient of log p is (c - theta), so
 *
 *     G = 1/lambda sum_k u_k (c_k - theta)        theta += step / |G|_F G,    |.|_F: Fisher norm
 *
 * The adaptive step is delta = 1/Delta; Delta shrinks while successive gradients agree and grows while they do not. After
 * every step each probability is held above 1/(d (C_i - 1)), d the number of variables that have a choice.
 *
 * Limits: candidates are ranked feasible first, then by violation, then by score, and what breaks a cheap limit is drawn
 * again. A variable pulls only where it was active. Of candidates with equal rank the utilities are averaged by
 * comparing, not by a relative difference, which fails for negative scores.
 *
 * Threads: tell belongs to the run's thread; proposing changes nothing.
 */
#include "search/controller.h"
#include "search/goal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* lambda: 2 is published for both. A larger one ranks among more and lets a batch be valued at once: settled on
 * once-for-all's inputs at the limits for tuning (tests/bench/bench_search.c). */
enum { ADAPTIVE_LAMBDA = 200, FIXED_LAMBDA = 2 };
static_assert(ADAPTIVE_LAMBDA <= UINT8_MAX, "the order of samples is kept in bytes");

static const double ALPHA = 1.5, STEP = 1; /* published: threshold of the path's length, first and fixed step */

struct search_controller {
    const struct space *space; /* borrowed */
    bool adaptive;
    size_t lambda;
    size_t n_theta;                      /* of all variables together */
    uint16_t first[SPACE_VARIABLES_MAX]; /* a variable's first theta */
    double floor[SPACE_VARIABLES_MAX];   /* of its probabilities */
    double n_free;                       /* sum of (C_i - 1) */
    double entropy_max;                  /* of theta at the start */
    double *theta, *gradient, *whitened; /* owned, (n_theta) */
    double *path;                        /* owned, (n_theta): s, of each variable the first C_i - 1 used */
    double gamma, slowness;              /* of the path's length; Delta */
    double exploit;                      /* fixed: the share of samples that theta draws, the others are uniform */
    double utility[ADAPTIVE_LAMBDA];     /* scratch */
    uint8_t order[ADAPTIVE_LAMBDA];      /* scratch: samples, the best first */
};

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void release(struct search_controller *c)
{
    free(c->theta);
    free(c->gradient);
    free(c->whitened);
    free(c->path);
    free(c);
}

static void start(struct search_controller *c)
{
    double n_choices = 0;
    for (size_t i = 0; i < c->space->n_variables; i++) {
        n_choices += c->space->variables[i].n_options > 1;
    }
    for (size_t i = 0; i < c->space->n_variables; i++) {
        const double n = c->space->variables[i].n_options;
        c->floor[i] = n > 1 ? fmin(1 / (n_choices * (n - 1)), 0.8 / n) : 1; /* alone, it must still move */
        c->n_free += n - 1;
        c->entropy_max += log(n);
        for (size_t j = 0; j < c->space->variables[i].n_options; j++) {
            c->theta[c->first[i] + j] = 1 / n;
        }
    }
    c->slowness = 1;
    c->exploit = 1;
}

static enum tl_rc make(const struct space *space, bool adaptive, struct search_controller **ret, struct tl_err *err)
{
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    c->space = space;
    c->adaptive = adaptive;
    c->lambda = adaptive ? ADAPTIVE_LAMBDA : FIXED_LAMBDA;
    for (size_t i = 0; i < space->n_variables; i++) {
        c->first[i] = (uint16_t)c->n_theta;
        c->n_theta += space->variables[i].n_options;
    }
    c->theta = calloc(c->n_theta, sizeof *c->theta);
    c->gradient = calloc(c->n_theta, sizeof *c->gradient);
    c->whitened = calloc(c->n_theta, sizeof *c->whitened);
    c->path = calloc(c->n_theta, sizeof *c->path);
    if (!c->theta || !c->gradient || !c->whitened || !c->path) {
        release(c);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a distribution");
    }
    start(c);
    *ret = c;
    return TL_OK;
}

static enum tl_rc make_adaptive(const struct space *space, const struct search_spec *spec,
                                struct search_controller **ret, struct tl_err *err)
{
    (void)spec; /* slots draw from their own streams */
    return make(space, true, ret, err);
}

static enum tl_rc make_fixed(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                             struct tl_err *err)
{
    (void)spec;
    return make(space, false, ret, err);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static size_t plan(struct search_controller *c, uint64_t batch)
{
    (void)batch;
    return c->lambda;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)slot, (void)attempt;
    if (!(tl_rng_unit(rng) < c->exploit)) {
        space_sample(c->space, rng, ret_genes);
        return;
    }
    for (size_t i = 0; i < c->space->n_variables; i++) {
        const double *theta = c->theta + c->first[i];
        double left = tl_rng_unit(rng);
        uint8_t option = 0;
        while (option + 1 < c->space->variables[i].n_options && left >= theta[option]) {
            left -= theta[option++];
        }
        ret_genes[i] = option;
    }
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

static bool better(const struct search_batch *batch, size_t a, size_t b)
{
    return goal_better(batch->violation[a], batch->score[a], batch->violation[b], batch->score[b]);
}

/* +1 for the best quarter (rounded up), -1 for the worst, both divided by its size; equal ones share their mean. */
static void find_utilities(struct search_controller *c, const struct search_batch *batch)
{
    const size_t n = batch->n, quarter = (n + 3) / 4;
    for (size_t i = 0; i < n; i++) {
        size_t place = i;
        for (; place > 0 && better(batch, i, c->order[place - 1]); place--) {
            c->order[place] = c->order[place - 1];
        }
        c->order[place] = (uint8_t)i;
    }
    for (size_t begin = 0, end; begin < n; begin = end) {
        double sum = 0;
        for (end = begin; end < n && !better(batch, c->order[begin], c->order[end]); end++) {
            sum += (double)(end < quarter) - (double)(end >= n - quarter);
        }
        for (size_t i = begin; i < end; i++) {
            c->utility[c->order[i]] = sum / (double)(end - begin) / (double)quarter;
        }
    }
}

/* Returns whether there is any. */
static bool find_gradient(struct search_controller *c, const struct search_batch *batch)
{
    bool any = false;
    uint8_t active[SPACE_VARIABLES_MAX];
    memset(c->gradient, 0, c->n_theta * sizeof *c->gradient);
    for (size_t k = 0; k < batch->n; k++) {
        const uint8_t *arch = batch->archs + k * c->space->n_variables;
        const double weight = c->utility[k] / (double)batch->n;
        space_active(c->space, arch, active);
        for (size_t i = 0; i < c->space->n_variables; i++) {
            for (size_t j = 0; active[i] && j < c->space->variables[i].n_options; j++) {
                const size_t at = (size_t)c->first[i] + j;
                c->gradient[at] += weight * ((arch[i] == j) - c->theta[at]);
            }
        }
        any |= weight != 0;
    }
    return any;
}

/* The gradient in coordinates in which the Fisher metric is the Euclidean one. Returns its norm. */
static double whiten(struct search_controller *c)
{
    double square = 0;
    for (size_t i = 0; i < c->space->n_variables; i++) {
        const size_t n = c->space->variables[i].n_options;
        const double *theta = c->theta + c->first[i], *gradient = c->gradient + c->first[i];
        double sum = 0, last = theta[n - 1];
        for (size_t j = 0; j + 1 < n; j++) {
            sum += gradient[j];
        }
        for (size_t j = 0; j + 1 < n; j++) {
            const double s = gradient[j] / sqrt(theta[j]) + sqrt(theta[j]) * sum / (last + sqrt(last));
            c->whitened[c->first[i] + j] = s;
            square += s * s;
        }
    }
    return sqrt(square) + 1e-9;
}

static void adapt(struct search_controller *c, double norm)
{
    const double beta = fmin(STEP / c->slowness / sqrt(c->n_free), 1), fresh = sqrt(beta * (2 - beta));
    double length = 0;
    for (size_t at = 0; at < c->n_theta; at++) {
        c->path[at] = (1 - beta) * c->path[at] + fresh * c->whitened[at] / norm;
        length += c->path[at] * c->path[at];
    }
    c->gamma = (1 - beta) * (1 - beta) * c->gamma + beta * (2 - beta);
    c->slowness = fmin(fmax(c->slowness * exp(beta * (c->gamma - length / ALPHA)), 1e-3), 1e9);
}

/* Hold a variable's probabilities above the floor and at the sum of 1: what is above gives way in proportion. */
static void restrict_range(struct search_controller *c, size_t i)
{
    const size_t n = c->space->variables[i].n_options;
    double *theta = c->theta + c->first[i], sum = 0, total = 0;
    for (size_t j = 0; j < n; j++) {
        theta[j] = fmax(theta[j], c->floor[i]);
        sum += theta[j];
    }
    const double above = sum - c->floor[i] * (double)n;
    for (size_t j = 0; j < n; j++) {
        theta[j] -= above > 0 ? (sum - 1) * (theta[j] - c->floor[i]) / above : 0;
        total += theta[j];
    }
    for (size_t j = 0; j < n; j++) {
        theta[j] /= total;
    }
}

/* YOCO-BERT's schedule: theta draws as large a share as its entropy has kept, so the sharper it is the more is drawn
 * uniformly. */
static double share_of_theta(const struct search_controller *c)
{
    double entropy = 0;
    for (size_t at = 0; at < c->n_theta; at++) {
        entropy -= c->theta[at] * log(c->theta[at]);
    }
    return c->entropy_max > 0 ? fmin(entropy / c->entropy_max, 1) : 1;
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    find_utilities(c, batch);
    if (c->n_free == 0 || !find_gradient(c, batch)) {
        return;
    }
    const double norm = whiten(c), step = (c->adaptive ? STEP / c->slowness : STEP) / norm;
    for (size_t at = 0; at < c->n_theta; at++) {
        c->theta[at] += step * c->gradient[at];
    }
    for (size_t i = 0; i < c->space->n_variables; i++) {
        restrict_range(c, i);
    }
    if (c->adaptive) {
        adapt(c, norm);
    } else {
        c->exploit = share_of_theta(c);
    }
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_f64(buf, c->gamma, err);
    rc = rc ? rc : tl_buf_put_f64(buf, c->slowness, err);
    for (size_t at = 0; !rc && at < c->n_theta; at++) {
        rc = tl_buf_put_f64(buf, c->theta[at], err);
        rc = rc ? rc : tl_buf_put_f64(buf, c->path[at], err);
    }
    return rc;
}

/* Whatever stands here, no later step may divide by zero or take a root of less. */
static bool good(const struct search_controller *c)
{
    bool good = c->gamma >= 0 && c->gamma <= 2 && c->slowness >= 1e-3 && c->slowness <= 1e9;
    for (size_t i = 0; i < c->space->n_variables; i++) {
        for (size_t j = 0; j < c->space->variables[i].n_options; j++) {
            const size_t at = (size_t)c->first[i] + j;
            good = good && c->theta[at] > c->floor[i] * 0.5 && c->theta[at] <= 1 && fabs(c->path[at]) < 1e6;
        }
    }
    return good;
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    c->gamma = tl_cursor_f64(state);
    c->slowness = tl_cursor_f64(state);
    for (size_t at = 0; at < c->n_theta; at++) {
        c->theta[at] = tl_cursor_f64(state);
        c->path[at] = tl_cursor_f64(state);
    }
    if (state->failed || !good(c)) {
        return tl_fail(err, TL_MALFORMED, "the distribution in the state of a natural gradient cannot be read");
    }
    c->exploit = c->adaptive ? 1 : share_of_theta(c);
    return TL_OK;
}

const struct search_controller_ops controller_natural_gradient = {
    .name = "natural-gradient",
    .help = "a distribution over the options that climbs the natural gradient, with an adaptive step (ASNG)",
    .batch = ADAPTIVE_LAMBDA,
    .rejects = true,
    .make = make_adaptive,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save,
    .load = load,
};

const struct search_controller_ops controller_yoco = {
    .name = "yoco",
    .help = "the same with YOCO-BERT's fixed step, two samples a step, and its exploration",
    .batch = FIXED_LAMBDA,
    .rejects = true,
    .make = make_fixed,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save,
    .load = load,
};
