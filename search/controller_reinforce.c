/* controller_reinforce.c - TuNAS' controller (Bender et al. 2020): one independent distribution a variable, moved along the
 * log-probability of what was rewarded.
 *
 * Every variable has logits that begin at zero. A batch of architectures is drawn and evaluated; each pulls the logits of
 * its choices up or down by how far its reward lies above a moving baseline. Only active variables choose and are pulled:
 * what had no part in an architecture learns nothing from it.
 *
 *     gradient = mean over the batch of advantage * d ln p(architecture) + ENTROPY * d entropy
 *
 * Limits act through the reward alone (reward.h), so nothing is rejected: what breaks one is evaluated and teaches.
 *
 * Threads: plan and tell belong to the run's thread; proposing changes nothing.
 */
#include "search/controller.h"
#include "search/policy.h"
#include "search/reward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 };

/* Of batches of 16, 32 and 64 at rates of 0.01 to 0.08 in the worlds of the tests. In the flat one this comes to 0.995 of the
 * most under a limit in 5,000 evaluations; half the rate takes twice as many, twice the rate settles too early. */
static const double RATE = 0.04;
static const double ENTROPY = 0;      /* TuNAS has none; 0.01 changes nothing there */
static const double LOGIT_MAX = 20;   /* an option may become rarer than 1e-8, and never impossible */
static const double SQUARE_MAX = 1e6; /* advantages are deviations of a mean that they are part of: at most 40 */

typedef double options[SPACE_OPTIONS_MAX];

struct search_controller {
    const struct space *space; /* borrowed */
    uint64_t n_steps;
    struct reward reward;
    options logits[SPACE_VARIABLES_MAX], squares[SPACE_VARIABLES_MAX]; /* 0 behind a variable's last option */
    options gradient[SPACE_VARIABLES_MAX];                             /* scratch */
    options probabilities[SPACE_VARIABLES_MAX];                        /* of the logits, since plan */
    double advantages[BATCH];                                          /* scratch */
};

static enum tl_rc make(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                       struct tl_err *err)
{
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    c->space = space;
    reward_init(&c->reward, spec, SEARCH_REWARD_ABSOLUTE);
    *ret = c;
    return TL_OK;
}

static void release(struct search_controller *c)
{
    free(c);
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

static size_t plan(struct search_controller *c, uint64_t batch)
{
    (void)batch; /* slots draw from their own streams */
    for (size_t i = 0; i < c->space->n_variables; i++) {
        policy_softmax(c->logits[i], c->space->variables[i].n_options, c->probabilities[i]);
    }
    return BATCH;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)slot;
    (void)attempt;
    for (size_t i = 0; i < c->space->n_variables; i++) {
        ret_genes[i] = policy_draw(c->probabilities[i], c->space->variables[i].n_options, tl_rng_unit(rng));
    }
}

/* ---- learning ------------------------------------------------------------------------------------------------ */

static void pull(struct search_controller *c, const uint8_t *arch, double weight, double entropy_weight)
{
    uint8_t active[SPACE_VARIABLES_MAX];
    space_active(c->space, arch, active);
    for (size_t i = 0; i < c->space->n_variables; i++) {
        if (active[i]) {
            policy_pull(c->probabilities[i], c->space->variables[i].n_options, arch[i], weight, entropy_weight,
                        c->gradient[i]);
        }
    }
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    if (!reward_learn(&c->reward, batch, c->advantages)) {
        return;
    }
    memset(c->gradient, 0, sizeof c->gradient);
    for (size_t i = 0; i < batch->n; i++) {
        pull(c, batch->archs + i * c->space->n_variables, c->advantages[i] / (double)batch->n,
             ENTROPY / (double)batch->n);
    }
    c->n_steps++;
    for (size_t i = 0; i < c->space->n_variables; i++) {
        policy_ascend(c->logits[i], c->squares[i], c->gradient[i], c->space->variables[i].n_options, c->n_steps, RATE,
                      LOGIT_MAX);
    }
}

/* ---- state --------------------------------------------------------------------------------------------------- */

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = reward_save(&c->reward, buf, err);
    rc = rc ? rc : tl_buf_put_u64(buf, c->n_steps, err);
    for (size_t i = 0; !rc && i < c->space->n_variables; i++) {
        for (size_t o = 0; !rc && o < c->space->variables[i].n_options; o++) {
            rc = tl_buf_put_f64(buf, c->logits[i][o], err);
            rc = rc ? rc : tl_buf_put_f64(buf, c->squares[i][o], err);
        }
    }
    return rc;
}

static bool load_option(double *logit, double *square, struct tl_cursor *state)
{
    *logit = tl_cursor_f64(state);
    *square = tl_cursor_f64(state);
    return !state->failed && fabs(*logit) <= LOGIT_MAX && *square >= 0 && *square <= SQUARE_MAX;
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    bool good = reward_load(&c->reward, state);
    c->n_steps = tl_cursor_u64(state);
    for (size_t i = 0; good && i < c->space->n_variables; i++) {
        for (size_t o = 0; good && o < c->space->variables[i].n_options; o++) {
            good = load_option(&c->logits[i][o], &c->squares[i][o], state);
        }
    }
    return good && c->n_steps <= SEARCH_EVALUATIONS_MAX
               ? TL_OK
               : tl_fail(err, TL_MALFORMED, "the distributions in the state of a reinforce search cannot be read");
}

const struct search_controller_ops controller_reinforce = {
    .name = "reinforce",
    .help = "TuNAS': independent choices moved along the log-probability of what is rewarded",
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
