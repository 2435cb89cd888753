/* controller_ppo.c - MnasNet's controller (Tan et al. 2019): a recurrent policy trained by proximal policy optimisation
 * (Schulman et al. 2017).
 *
 * A batch of architectures is drawn from the policy of recurrent.h and evaluated. The reward comes after the last decision;
 * what each decision is worth is estimated against the value head, by generalised advantages (Schulman et al. 2016) without
 * discount. The batch is then gone through several times, in small parts, uphill along
 *
 *     mean over decisions of min(ratio * advantage, clip(ratio, 1 - CLIP, 1 + CLIP) * advantage)
 *                            - VALUE_WEIGHT * (value - return)^2 / 2 + ENTROPY_WEIGHT * entropy
 *
 * with ratio = probability now / probability when drawn. Limits act through the reward alone (reward.h), so nothing is
 * rejected. Learning belongs to one thread and visits decisions in slot order: the pool has no part in it.
 *
 * Threads: plan and tell belong to the run's thread; proposing changes nothing.
 */
#include "search/controller.h"
#include "search/policy.h"
#include "search/recurrent.h"
#include "search/reward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Two epochs learn as much from an evaluation as four in half the time, 0.75 ms at -O2 where there are 40 decisions. */
enum { BATCH = 64, PART = 16, EPOCHS = 2 };

/* Of rates of 0.001 to 0.003 and entropy weights of 0.003 to 0.04 in the worlds of the tests: the quickest of those that do not
 * settle too early. It is at 0.99 of what it will reach after 2,000 to 5,000 evaluations. */
static const double RATE = 0.002;
static const double CLIP = 0.2;    /* Schulman et al. 2017 */
static const double LAMBDA = 0.95; /* the same */
static const double ENTROPY_WEIGHT = 0.03;
static const double VALUE_WEIGHT = 0.5;  /* as in the public implementations (OpenAI baselines) */
static const double NORM_MAX = 0.5;      /* of the gradient, as usual with proximal policy optimisation */
static const double PARAMETER_MAX = 100; /* far beyond what training reaches */

struct search_controller {
    uint64_t n_steps;
    struct reward reward;
    struct recurrent net;
    double *squares; /* owned, (n_parameters): Adam's */
    /* scratch */
    struct recurrent_path path;
    double rewards[BATCH]; /* how far above the baseline */
    size_t n_decisions[BATCH];
    double log_before[BATCH][SPACE_VARIABLES_MAX]; /* of the choice, when drawn */
    double advantages[BATCH][SPACE_VARIABLES_MAX], returns[BATCH][SPACE_VARIABLES_MAX];
};

static void release(struct search_controller *c)
{
    recurrent_done(&c->net);
    free(c->squares);
    free(c);
}

static enum tl_rc make(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                       struct tl_err *err)
{
    struct tl_rng rng;
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    tl_rng_init(&rng, spec->seed, 0, STREAM_WEIGHTS);
    enum tl_rc rc = recurrent_init(&c->net, space, &rng, err);
    if (!rc && !(c->squares = calloc(c->net.n_parameters, sizeof *c->squares))) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    if (rc) {
        release(c);
        return rc;
    }
    reward_init(&c->reward, spec, SEARCH_REWARD_ABSOLUTE);
    *ret = c;
    return TL_OK;
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static size_t plan(struct search_controller *c, uint64_t batch)
{
    (void)c;
    (void)batch; /* slots draw from their own streams */
    return BATCH;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)slot;
    (void)attempt;
    recurrent_sample(&c->net, rng, ret_genes);
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

/* delta[t] = value[t + 1] - value[t], the reward standing for the value behind the last decision;
 * advantage[t] = delta[t] + LAMBDA * advantage[t + 1];  return[t] = advantage[t] + value[t]. */
static void judge_decisions(struct search_controller *c, size_t slot, const uint8_t *arch)
{
    double next = c->rewards[slot], advantage = 0;
    recurrent_forward(&c->net, arch, &c->path);
    c->n_decisions[slot] = c->path.n;
    for (size_t t = c->path.n; t-- > 0;) {
        const struct recurrent_decision *decision = &c->path.decisions[t];
        advantage = next - decision->value + LAMBDA * advantage;
        c->log_before[slot][t] = decision->log_probability;
        c->advantages[slot][t] = advantage;
        c->returns[slot][t] = advantage + decision->value;
        next = decision->value;
    }
}

/* Advantages of a batch: mean 0 and deviation 1 over its decisions. */
static void standardise(struct search_controller *c, size_t n_slots)
{
    double n = 0, sum = 0, square = 0;
    for (size_t i = 0; i < n_slots; i++) {
        for (size_t t = 0; t < c->n_decisions[i]; t++) {
            n++;
            sum += c->advantages[i][t];
            square += c->advantages[i][t] * c->advantages[i][t];
        }
    }
    double mean = sum / n, deviation = sqrt(fmax(square / n - mean * mean, 0)) + 1e-8;
    for (size_t i = 0; i < n_slots; i++) {
        for (size_t t = 0; t < c->n_decisions[i]; t++) {
            c->advantages[i][t] = (c->advantages[i][t] - mean) / deviation;
        }
    }
}

/* The gradient of one architecture's part of the objective; `share`: of a decision in the mean. */
static void add_gradient(struct search_controller *c, size_t slot, const uint8_t *arch, double share)
{
    double of_log[SPACE_VARIABLES_MAX], of_value[SPACE_VARIABLES_MAX];
    recurrent_forward(&c->net, arch, &c->path);
    for (size_t t = 0; t < c->path.n; t++) {
        const struct recurrent_decision *decision = &c->path.decisions[t];
        double advantage = c->advantages[slot][t];
        double ratio = exp(fmin(decision->log_probability - c->log_before[slot][t], 50));
        bool clipped = advantage > 0 ? ratio > 1 + CLIP : ratio < 1 - CLIP;
        of_log[t] = clipped ? 0 : share * advantage * ratio; /* d ratio = ratio * d ln p */
        of_value[t] = share * VALUE_WEIGHT * (c->returns[slot][t] - decision->value);
    }
    recurrent_backward(&c->net, &c->path, of_log, of_value, share * ENTROPY_WEIGHT);
}

/* One step of Adam along the gradient, shortened to NORM_MAX. Where it is not finite it says nothing and none is made. */
static void ascend(struct search_controller *c)
{
    double square = 0;
    for (size_t i = 0; i < c->net.n_parameters; i++) {
        square += c->net.gradient[i] * c->net.gradient[i];
    }
    if (!isfinite(square)) {
        return;
    }
    double scale = square > NORM_MAX * NORM_MAX ? NORM_MAX / sqrt(square) : 1;
    for (size_t i = 0; i < c->net.n_parameters; i++) {
        c->net.gradient[i] *= scale;
    }
    c->n_steps++;
    policy_ascend(c->net.parameters, c->squares, c->net.gradient, c->net.n_parameters, c->n_steps, RATE, PARAMETER_MAX);
    recurrent_prepare(&c->net);
}

static void learn_part(struct search_controller *c, const struct search_batch *batch, size_t begin, size_t end)
{
    size_t n = 0;
    for (size_t i = begin; i < end; i++) {
        n += c->n_decisions[i];
    }
    recurrent_gradient_begin(&c->net);
    for (size_t i = begin; i < end; i++) {
        add_gradient(c, i, batch->archs + i * c->net.space->n_variables, 1 / (double)n);
    }
    recurrent_gradient_end(&c->net);
    ascend(c);
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    if (!reward_learn(&c->reward, batch, c->rewards)) {
        return;
    }
    for (size_t i = 0; i < batch->n; i++) {
        judge_decisions(c, i, batch->archs + i * c->net.space->n_variables);
    }
    standardise(c, batch->n);
    for (size_t epoch = 0; epoch < EPOCHS; epoch++) {
        for (size_t begin = 0; begin < batch->n; begin += PART) {
            learn_part(c, batch, begin, begin + PART < batch->n ? begin + PART : batch->n);
        }
    }
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = reward_save(&c->reward, buf, err);
    rc = rc ? rc : tl_buf_put_u64(buf, c->n_steps, err);
    for (size_t i = 0; !rc && i < c->net.n_parameters; i++) {
        rc = tl_buf_put_f64(buf, c->net.parameters[i], err);
        rc = rc ? rc : tl_buf_put_f64(buf, c->squares[i], err);
    }
    return rc;
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    bool good = reward_load(&c->reward, state);
    c->n_steps = tl_cursor_u64(state);
    good = good && c->n_steps <= (uint64_t)SEARCH_EVALUATIONS_MAX * EPOCHS;
    for (size_t i = 0; good && i < c->net.n_parameters; i++) {
        c->net.parameters[i] = tl_cursor_f64(state);
        c->squares[i] = tl_cursor_f64(state);
        good = !state->failed && fabs(c->net.parameters[i]) <= PARAMETER_MAX && c->squares[i] >= 0 &&
               c->squares[i] <= 1; /* of gradients up to NORM_MAX */
    }
    if (!good) {
        return tl_fail(err, TL_MALFORMED, "the policy in the state of a ppo search cannot be read");
    }
    recurrent_prepare(&c->net);
    return TL_OK;
}

const struct search_controller_ops controller_ppo = {
    .name = "ppo",
    .help = "MnasNet's: a recurrent policy trained by proximal policy optimisation",
    .batch = BATCH,
    .rejects = false,
    .rewards = true,
    .make = make,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save,
    .load = load,
};
