/* trainer.c - the steps of a training.
 *
 * One idea: everything a step draws is a function of the seed and the step's number, and all state is the parameters,
 * the optimizer's averages and the teacher; so a checkpoint is those arrays and one number.
 */
#include "supernet/train/loss.h"
#include "supernet/train/optimizer.h"
#include "supernet/train/tape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_DROPOUT = 0x6472 };

static const float STATS_MOMENTUM = 0.1F; /* once-for-all's and PyTorch's */

struct trainer {
    struct supernet *net;              /* borrowed */
    const struct train_source *source; /* borrowed */
    struct tl_pool *pool;              /* borrowed */
    struct train_plan plan;
    struct train_phase phases[TRAIN_PHASES_MAX];
    uint64_t steps_of[TRAIN_PHASES_MAX];
    double work_of[TRAIN_PHASES_MAX]; /* multiplications of a step for an image, on average */
    size_t n_phases;
    uint64_t steps_an_epoch, n_steps, step;
    struct tape *tape;
    struct optimizer optimizer;
    struct supernet *teacher; /* owned; NULL: none yet */
    struct tape *teacher_tape;
    float *answers; /* the teacher's probabilities (batch, classes) */
    float *drop;    /* (batch, features) */
    struct train_progress progress;
};

/* ---- life ---------------------------------------------------------------------------------------------------- */

static enum tl_rc check_plan(const struct train_plan *plan, const struct train_source *source, struct tl_err *err)
{
    if (source->n_of[TRAIN_PART_TRAIN] < plan->batch) {
        return tl_fail(err, TL_INVALID, "%zu training images do not fill one batch of %u",
                       source->n_of[TRAIN_PART_TRAIN], plan->batch);
    }
    return train_plan_check(plan, err);
}

static void plan_steps(struct trainer *trainer)
{
    trainer->steps_an_epoch = trainer->source->n_of[TRAIN_PART_TRAIN] / trainer->plan.batch;
    trainer->n_phases = train_phases(&trainer->plan, &trainer->net->family, trainer->phases);
    for (size_t p = 0; p < trainer->n_phases; p++) {
        const double steps = ceil(trainer->phases[p].epochs * (double)trainer->steps_an_epoch);
        trainer->steps_of[p] = steps < 1.0 ? 1 : (uint64_t)steps;
        trainer->n_steps += trainer->steps_of[p];
    }
}

/* Steps differ by what they draw: the mean of some. */
static enum tl_rc weigh_steps(struct trainer *trainer, struct tl_err *err)
{
    enum { SAMPLE = 16 };
    const struct net_family *family = &trainer->net->family;
    struct network *sub = malloc(sizeof *sub);
    enum tl_rc rc = sub == NULL ? tl_fail(err, TL_NO_MEMORY, "no memory for a trainer") : TL_OK;
    for (size_t p = 0; rc == TL_OK && p < trainer->n_phases; p++) {
        const struct train_phase *phase = &trainer->phases[p];
        for (uint64_t i = 0; rc == TL_OK && i < (uint64_t)SAMPLE * phase->subnets; i++) {
            const struct net_pick pick =
                train_pick(&trainer->plan, phase, family, i / phase->subnets, (unsigned)(i % phase->subnets));
            struct net_cost cost = {0};
            if ((rc = net_build(family, &pick, sub, err)) == TL_OK) {
                net_cost_total(sub, &cost);
            }
            trainer->work_of[p] += (double)cost.macs / SAMPLE;
        }
    }
    free(sub);
    return rc;
}

enum tl_rc trainer_new(struct supernet *net, const struct train_plan *plan, const struct train_source *source,
                       struct tl_pool *pool, struct trainer **ret_trainer, struct tl_err *err)
{
    enum tl_rc rc = check_plan(plan, source, err);
    if (rc) {
        return rc;
    }
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (trainer == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a trainer");
    }
    *trainer = (struct trainer){.net = net, .source = source, .pool = pool, .plan = *plan};
    plan_steps(trainer);
    const size_t features = net->largest.ops[net->largest.n_ops - 1].ci;
    trainer->answers = calloc((size_t)plan->batch * net->family.n_classes, sizeof(float));
    trainer->drop = calloc((size_t)plan->batch * (features + 64), sizeof(float));
    if (trainer->answers == NULL || trainer->drop == NULL) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for a trainer");
    }
    if (rc || (rc = weigh_steps(trainer, err)) || (rc = tape_new(net, plan->batch, false, pool, &trainer->tape, err)) ||
        (rc = optimizer_init(&trainer->optimizer, net, &plan->optimizer, pool, err))) {
        trainer_free(trainer);
        return rc;
    }
    *ret_trainer = trainer;
    return TL_OK;
}

void trainer_free(struct trainer *trainer)
{
    if (trainer == NULL) {
        return;
    }
    tape_free(trainer->tape);
    tape_free(trainer->teacher_tape);
    supernet_free(trainer->teacher);
    optimizer_done(&trainer->optimizer);
    free(trainer->answers);
    free(trainer->drop);
    free(trainer);
}

uint64_t trainer_epochs(const struct trainer *trainer, size_t phase)
{
    const uint64_t steps = trainer->steps_of[phase], an_epoch = trainer->steps_an_epoch;
    return (steps + an_epoch - 1) / an_epoch;
}

double trainer_work(const struct trainer *trainer, uint64_t step)
{
    double work = 0.0;
    for (size_t p = 0; p < trainer->n_phases; p++) {
        const uint64_t past = step < trainer->steps_of[p] ? step : trainer->steps_of[p];
        work += (double)(trainer->steps_of[p] - past) * trainer->work_of[p];
        step -= past;
    }
    return work;
}

size_t trainer_bytes(const struct trainer *trainer)
{
    const size_t floats = trainer->net->n_params * (trainer->optimizer.second == NULL ? 3 : 4);
    return tape_bytes(trainer->tape) + (trainer->teacher_tape == NULL ? 0 : tape_bytes(trainer->teacher_tape)) +
           floats * sizeof(float);
}

struct train_progress trainer_progress(const struct trainer *trainer)
{
    return trainer->progress;
}

/* ---- phases -------------------------------------------------------------------------------------------------- */

/* The phase of global step `step`, and the step within it. */
static size_t phase_of(const struct trainer *trainer, uint64_t step, uint64_t *ret_within)
{
    size_t p = 0;
    while (p + 1 < trainer->n_phases && step >= trainer->steps_of[p]) {
        step -= trainer->steps_of[p++];
    }
    *ret_within = step;
    return p;
}

/* The largest network as it is now, kept to teach. */
static enum tl_rc make_teacher(struct trainer *trainer, struct tl_err *err)
{
    enum tl_rc rc = supernet_new(&trainer->net->family, 0, &trainer->teacher, err);
    if (rc ||
        (rc = tape_new(trainer->teacher, trainer->plan.batch, true, trainer->pool, &trainer->teacher_tape, err))) {
        return rc;
    }
    memcpy(trainer->teacher->params, trainer->net->params, trainer->net->n_params * sizeof(float));
    return TL_OK;
}

static enum tl_rc begin_phase(struct trainer *trainer, size_t p, struct tl_err *err)
{
    const struct train_phase *phase = &trainer->phases[p];
    enum tl_rc rc = TL_OK;
    if (phase->distills && trainer->teacher == NULL && (rc = make_teacher(trainer, err))) {
        return rc;
    }
    memset(trainer->optimizer.first, 0, trainer->net->n_params * sizeof(float));
    if (trainer->optimizer.second != NULL) {
        memset(trainer->optimizer.second, 0, trainer->net->n_params * sizeof(float));
    }
    return phase->sorts ? supernet_sort(trainer->net, trainer->phases[p - 1].expands, err) : TL_OK;
}

struct trainer_state trainer_state(struct trainer *trainer)
{
    return (struct trainer_state){.step = trainer->step,
                                  .first = trainer->optimizer.first,
                                  .second = trainer->optimizer.second,
                                  .teacher = trainer->teacher == NULL ? NULL : trainer->teacher->params};
}

enum tl_rc trainer_resume(struct trainer *trainer, uint64_t step, struct tl_err *err)
{
    uint64_t within = 0;
    if (step > trainer->n_steps) {
        return tl_fail(err, TL_INVALID, "the checkpoint is at step %llu of a training of %llu",
                       (unsigned long long)step, (unsigned long long)trainer->n_steps);
    }
    trainer->step = step;
    const size_t phase = phase_of(trainer, step, &within);
    trainer->progress = (struct train_progress){.phase = trainer->phases[phase].name,
                                                .phase_index = phase,
                                                .n_phases = trainer->n_phases,
                                                .step = step,
                                                .n_steps = trainer->n_steps,
                                                .epoch = within / trainer->steps_an_epoch};
    const bool taught = trainer->phases[phase].distills && (within > 0 || trainer->phases[phase - 1].distills);
    return taught && trainer->teacher == NULL ? make_teacher(trainer, err) : TL_OK;
}

/* ---- a step -------------------------------------------------------------------------------------------------- */

/* One batch and what is asked of it. */
struct lesson {
    const float *images;
    const int32_t *labels;
    const struct train_phase *phase;
    uint64_t step;
};

static void draw_dropout(struct trainer *trainer, uint64_t step, unsigned j)
{
    const size_t features = tape_features(trainer->tape);
    const float rate = trainer->plan.dropout, keep = 1.0F / (1.0F - rate);
    struct tl_rng rng;
    tl_rng_init(&rng, trainer->plan.seed, STREAM_DROPOUT + j, step);
    for (size_t i = 0; i < trainer->plan.batch * features; i++) {
        trainer->drop[i] = tl_rng_unit(&rng) < (double)rate ? 0.0F : keep;
    }
}

/* The answers of the frozen teacher, in train mode as once-for-all has it. */
static enum tl_rc ask_teacher(struct trainer *trainer, const struct lesson *lesson, struct tl_err *err)
{
    struct net_pick pick = supernet_largest(&trainer->net->family);
    pick.resolution = train_resolution(&trainer->plan, &trainer->net->family, lesson->step);
    const enum tl_rc rc = tape_bind(trainer->teacher_tape, &pick, err);
    if (rc == TL_OK) {
        tape_forward(trainer->teacher_tape, lesson->images, NULL);
        loss_softmax(trainer->answers, trainer->teacher_tape->logits, trainer->plan.batch,
                     trainer->net->family.n_classes);
    }
    return rc;
}

/* What sub-network j of the lesson is judged by. */
static struct loss_target target_of(const struct trainer *trainer, const struct lesson *lesson, unsigned j)
{
    struct loss_target target = {.labels = lesson->labels, .label_weight = 1.0F, .smoothing = trainer->plan.smoothing};
    if (lesson->phase->sandwich && j > 0) {
        target.label_weight = 0.0F;
        target.teacher = trainer->answers;
        target.teacher_weight = 1.0F;
    } else if (lesson->phase->distills) {
        target.teacher = trainer->answers;
        target.teacher_weight = trainer->plan.distill;
    }
    return target;
}

static enum tl_rc teach(struct trainer *trainer, const struct lesson *lesson, unsigned j, double *ret_loss,
                        size_t *ret_right, struct tl_err *err)
{
    const struct net_family *family = &trainer->net->family;
    const struct net_pick pick = train_pick(&trainer->plan, lesson->phase, family, lesson->step, j);
    const enum tl_rc rc = tape_bind(trainer->tape, &pick, err);
    if (rc) {
        return rc;
    }
    const bool drops = trainer->plan.dropout > 0.0F;
    if (drops) {
        draw_dropout(trainer, lesson->step, j);
    }
    const struct loss_target target = target_of(trainer, lesson, j);
    tape_forward(trainer->tape, lesson->images, drops ? trainer->drop : NULL);
    *ret_loss = loss_gradient(trainer->tape->dlogits, trainer->tape->logits, &target, trainer->plan.batch,
                              family->n_classes, ret_right);
    if (!isfinite(*ret_loss)) {
        return tl_fail(
            err, TL_INVALID,
            "the loss of step %llu is not a finite number; a lower learning rate, or a larger warm-up, may help",
            (unsigned long long)lesson->step + 1);
    }
    if (j == 0) { /* the largest, where the rule has one: what a later import or export finds as running statistics */
        tape_track(trainer->tape, STATS_MOMENTUM, true, trainer->net->stats);
    }
    if (lesson->phase->sandwich && j == 0) {
        loss_softmax(trainer->answers, trainer->tape->logits, trainer->plan.batch, family->n_classes);
    }
    tape_backward(trainer->tape, drops ? trainer->drop : NULL, trainer->optimizer.grads);
    return TL_OK;
}

/* All sub-networks of a lesson; gradients are added. */
static enum tl_rc teach_all(struct trainer *trainer, const struct lesson *lesson, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    optimizer_clear(&trainer->optimizer);
    if (lesson->phase->distills && (rc = ask_teacher(trainer, lesson, err))) {
        return rc;
    }
    for (unsigned j = 0; rc == TL_OK && j < lesson->phase->subnets; j++) {
        double loss = 0.0;
        size_t right = 0;
        rc = teach(trainer, lesson, j, &loss, &right, err);
        if (j == 0) {
            trainer->progress.loss = loss;
            trainer->progress.right = (double)right / (double)trainer->plan.batch;
        }
    }
    return rc;
}

/* The learning rate of step `within` of phase p. */
static double rate_of(const struct trainer *trainer, size_t p, uint64_t within)
{
    uint64_t n = trainer->steps_of[p];
    for (size_t next = p + 1; next < trainer->n_phases && trainer->phases[next].continues; next++) {
        n += trainer->steps_of[next];
    }
    for (; trainer->phases[p].continues; p--) {
        within += trainer->steps_of[p - 1];
        n += trainer->steps_of[p - 1];
    }
    const struct train_phase *phase = &trainer->phases[p];
    const uint64_t warmup = (uint64_t)(phase->warmup_epochs * (double)trainer->steps_an_epoch);
    return train_rate(phase, within, n, warmup < n ? warmup : n - 1);
}

static enum tl_rc apply(struct trainer *trainer, const struct lesson *lesson, size_t p, uint64_t within,
                        struct tl_err *err)
{
    const double norm = optimizer_norm(&trainer->optimizer), clip = trainer->plan.clip;
    if (!isfinite(norm)) {
        return tl_fail(err, TL_INVALID,
                       "the gradients of step %llu are not finite numbers; a lower learning rate may help",
                       (unsigned long long)lesson->step + 1);
    }
    trainer->progress.norm = norm;
    trainer->progress.rate = rate_of(trainer, p, within);
    optimizer_step(&trainer->optimizer, trainer->progress.rate, clip > 0.0 && norm > clip ? clip / norm : 1.0,
                   within + 1);
    return TL_OK;
}

enum tl_rc trainer_step(struct trainer *trainer, struct train_progress *ret_progress, struct tl_err *err)
{
    uint64_t within = 0;
    if (trainer->step >= trainer->n_steps) {
        return tl_fail(err, TL_NOT_FOUND, "the training is complete");
    }
    const size_t p = phase_of(trainer, trainer->step, &within);
    struct lesson lesson = {.phase = &trainer->phases[p], .step = trainer->step};
    enum tl_rc rc = within == 0 ? begin_phase(trainer, p, err) : TL_OK;
    struct train_images_batch batch;
    if (rc || (rc = trainer->source->batch(trainer->source->ctx, trainer->step / trainer->steps_an_epoch,
                                           trainer->step % trainer->steps_an_epoch, &batch, err))) {
        return rc;
    }
    lesson.images = batch.images;
    lesson.labels = batch.labels;
    if ((rc = teach_all(trainer, &lesson, err)) || (rc = apply(trainer, &lesson, p, within, err))) {
        return rc;
    }
    trainer->step++;
    struct train_progress *now = &trainer->progress;
    now->phase = lesson.phase->name;
    now->phase_index = p;
    now->subnets = lesson.phase->subnets;
    now->n_phases = trainer->n_phases;
    now->step = trainer->step;
    now->n_steps = trainer->n_steps;
    now->epoch = within / trainer->steps_an_epoch;
    now->phase_ended = within + 1 == trainer->steps_of[p];
    now->epoch_ended = now->phase_ended || (within + 1) % trainer->steps_an_epoch == 0;
    *ret_progress = *now;
    return TL_OK;
}
