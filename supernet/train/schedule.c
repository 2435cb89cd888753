/* schedule.c - what a plan does when: phases, learning rates, the sub-networks and the resolution of a step.
 *
 * Everything is a function of the seed and the step, so that a resumed training needs no generator's state.
 */
#include "supernet/train/train.h"

#include <math.h>

struct train_plan train_plan_default(enum train_method method)
{
    return (struct train_plan){
        .method = method,
        .optimizer = {.kind = TRAIN_SGD, .momentum = 0.9, .second = 0.999, .epsilon = 1e-8, .weight_decay = 1e-4},
        .epochs = 30.0,
        .warmup_epochs = 1.0,
        .lr = 0.1,
        .clip = 5.0,
        .smoothing = 0.1F,
        .distill = 1.0F,
        .random_subnets = method == TRAIN_SHRINK ? 4 : 1,
        .batch = 64,
        .seed = 1,
    };
}

double train_warmup(double epochs)
{
    return fmin(1.0, epochs / 5.0);
}

/* Once-for-all's phases: epochs and learning rates relative to those of the first (180 epochs; 2.6 for a batch of 2,048
 * against 32 processors of 3e-2, 2.5e-3 and 7.5e-3 each). */
static const struct train_phase SHRINKING[TRAIN_PHASES_MAX] = {
    {.name = "teacher", .kernels = 1, .depths = 1, .expands = 1, .subnets = 1, .epochs = 180, .lr = 1.0},
    {.name = "kernel", .kernels = 99, .depths = 1, .expands = 1, .subnets = 1, .epochs = 120, .lr = 0.37},
    {.name = "depth-1", .kernels = 99, .depths = 2, .expands = 1, .subnets = 2, .epochs = 25, .lr = 0.031},
    {.name = "depth-2", .kernels = 99, .depths = 99, .expands = 1, .subnets = 2, .epochs = 120, .lr = 0.092},
    {.name = "expand-1", .kernels = 99, .depths = 99, .expands = 2, .epochs = 25, .lr = 0.031, .sorts = true},
    {.name = "expand-2", .kernels = 99, .depths = 99, .expands = 99, .epochs = 120, .lr = 0.092, .sorts = true},
};

static unsigned at_most(unsigned n, unsigned limit)
{
    return n < limit ? n : limit;
}

static double shrinking_epochs(void)
{
    double all = 0.0;
    for (size_t i = 0; i < TRAIN_PHASES_MAX; i++) {
        all += SHRINKING[i].epochs;
    }
    return all;
}

enum tl_rc train_plan_check(const struct train_plan *plan, struct tl_err *err)
{
    const bool shrinks = plan->method == TRAIN_SHRINK;
    const double first = shrinks                    ? plan->epochs * SHRINKING[0].epochs / shrinking_epochs()
                         : plan->teacher_epochs > 0 ? plan->teacher_epochs
                                                    : plan->epochs;
    if (plan->batch < 2 || plan->batch > 4096) {
        return tl_fail(err, TL_INVALID, "a batch of %u cannot be trained on; it takes 2 to 4096", plan->batch);
    }
    if (!(plan->epochs > 0.0) || !(plan->lr > 0.0)) {
        return tl_fail(err, TL_INVALID, "epochs and learning rate have to be above zero, not %g and %g", plan->epochs,
                       plan->lr);
    }
    if (plan->method != TRAIN_SANDWICH && plan->teacher_epochs != 0.0) {
        return tl_fail(err, TL_INVALID, "--teacher is for --method sandwich; shrink has a teacher's phase anyway");
    }
    if (!(plan->teacher_epochs >= 0.0 && plan->teacher_epochs < plan->epochs)) {
        return tl_fail(err, TL_INVALID,
                       "%g epochs of the teacher alone leave none of the %g for the sandwich; give fewer as --teacher, "
                       "or more --epochs",
                       plan->teacher_epochs, plan->epochs);
    }
    if (!(plan->warmup_epochs >= 0.0 && plan->warmup_epochs < first)) {
        return tl_fail(err, TL_INVALID,
                       "a warm-up of %g epochs does not end within the %g of the %s; the learning rate could not fall "
                       "to zero: give a shorter --warmup or more --epochs",
                       plan->warmup_epochs, first, shrinks || plan->teacher_epochs > 0 ? "first phase" : "training");
    }
    if (shrinks && plan->random_subnets == 0) {
        return tl_fail(err, TL_INVALID,
                       "with --method shrink --random is at least 1: the last phases train that many networks a step");
    }
    return TL_OK;
}

static size_t shrinking_phases(const struct train_plan *plan, const struct net_family *family,
                               struct train_phase *ret_phases)
{
    const double all = shrinking_epochs();
    for (size_t i = 0; i < TRAIN_PHASES_MAX; i++) {
        struct train_phase phase = SHRINKING[i];
        phase.kernels = at_most(phase.kernels, family->n_kernels);
        phase.expands = at_most(phase.expands, family->n_expands);
        phase.subnets = phase.subnets ? phase.subnets : plan->random_subnets;
        phase.distills = i > 0;
        phase.epochs *= plan->epochs / all;
        phase.warmup_epochs = i == 0 ? plan->warmup_epochs : 0.0;
        phase.lr *= plan->lr;
        ret_phases[i] = phase;
    }
    return TRAIN_PHASES_MAX;
}

size_t train_phases(const struct train_plan *plan, const struct net_family *family,
                    struct train_phase ret_phases[TRAIN_PHASES_MAX])
{
    if (plan->method == TRAIN_SHRINK) {
        return shrinking_phases(plan, family, ret_phases);
    }
    const bool sandwich = plan->method == TRAIN_SANDWICH, taught = plan->teacher_epochs > 0;
    ret_phases[0] = (struct train_phase){.name = "teacher",
                                         .kernels = 1,
                                         .depths = 1,
                                         .expands = 1,
                                         .subnets = 1,
                                         .epochs = plan->teacher_epochs,
                                         .warmup_epochs = plan->warmup_epochs,
                                         .lr = plan->lr};
    ret_phases[taught] = (struct train_phase){
        .name = sandwich ? "sandwich" : "alone",
        .kernels = family->n_kernels,
        .depths = NET_SLOTS_MAX,
        .expands = family->n_expands,
        .subnets = sandwich ? 2 + plan->random_subnets : 1,
        .sandwich = sandwich,
        .sorts = taught,
        .continues = taught,
        .epochs = plan->epochs - plan->teacher_epochs,
        .warmup_epochs = plan->warmup_epochs,
        .lr = plan->lr,
    };
    return taught ? 2 : 1;
}

double train_rate(const struct train_phase *phase, uint64_t step, uint64_t n_steps, uint64_t warmup)
{
    const double pi = 3.14159265358979323846;
    if (step < warmup) {
        return phase->lr * (double)(step + 1) / (double)warmup;
    }
    return 0.5 * phase->lr * (1.0 + cos(pi * (double)(step - warmup) / (double)(n_steps - warmup)));
}

/* Streams of the seed: picks are apart from resolutions, and both from what images draw. */
enum { STREAM_RESOLUTION = 0x7265, STREAM_PICK = 0x7069 };

uint16_t train_resolution(const struct train_plan *plan, const struct net_family *family, uint64_t step)
{
    struct tl_rng rng;
    if (plan->method == TRAIN_ALONE) {
        return plan->alone.resolution;
    }
    tl_rng_init(&rng, plan->seed, STREAM_RESOLUTION, step);
    return family->resolutions[tl_rng_below(&rng, family->n_resolutions)];
}

/* One of the last `open` of n options. */
static unsigned among(struct tl_rng *rng, unsigned n, unsigned open)
{
    return n - open + tl_rng_below(rng, open);
}

static struct net_pick random_pick(const struct train_phase *phase, const struct net_family *family, struct tl_rng *rng)
{
    struct net_pick pick = supernet_largest(family);
    for (size_t s = 0; s < family->n_stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        if (stage->n_depths) {
            pick.depth[s] = stage->depths[among(rng, stage->n_depths, at_most(phase->depths, stage->n_depths))];
        }
    }
    for (size_t i = 0; i < net_family_slots(family, family->n_stages); i++) {
        const unsigned kernel = among(rng, family->n_kernels, phase->kernels);
        pick.choice[i] = (uint8_t)(kernel * family->n_expands + among(rng, family->n_expands, phase->expands));
    }
    if (net_family_elastic_stem(family)) {
        const unsigned depths = at_most(phase->depths, family->n_stem_depths);
        pick.stem_depth = family->stem_depths[among(rng, family->n_stem_depths, depths)];
    }
    for (size_t place = 0; place < NET_PLACES_MAX; place++) {
        if (net_family_elastic_width(family, place)) {
            const unsigned widths = phase->expands == family->n_expands ? family->n_widths : phase->expands;
            pick.width[place] = (uint8_t)among(rng, family->n_widths, at_most(widths, family->n_widths));
        }
    }
    return pick;
}

struct net_pick train_pick(const struct train_plan *plan, const struct train_phase *phase,
                           const struct net_family *family, uint64_t step, unsigned j)
{
    struct tl_rng rng;
    struct net_pick pick;
    tl_rng_init(&rng, plan->seed, STREAM_PICK + j, step);
    if (plan->method == TRAIN_ALONE) {
        pick = plan->alone;
    } else if (phase->sandwich && j < 2) {
        pick = j == 0 ? supernet_largest(family) : supernet_smallest(family);
    } else {
        pick = random_pick(phase, family, &rng);
    }
    pick.resolution = train_resolution(plan, family, step);
    return pick;
}
