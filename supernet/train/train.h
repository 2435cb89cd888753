/* train.h - supernets: weights shared by every network of a family, how they are trained, and what comes out of them.
 *
 * A supernet holds the parameters of the family's largest network, and for elastic kernels the matrices that turn a
 * large depthwise kernel into a smaller one. A sub-network is a view: its layers are the first channels of the
 * supernet's layers, the first blocks of its stages, and the centre of its kernels times those matrices (once-for-all,
 * Cai et al. 2020). Nothing is copied to switch from one to another.
 *
 * Threads: a supernet, tape or trainer belongs to one thread at a time; work is spread over the pool given to it, and
 * results do not depend on the pool's size.
 */
#ifndef TAILOR_TRAIN_H
#define TAILOR_TRAIN_H

#include "supernet/network.h"

/* ---- supernet ------------------------------------------------------------------------------------------------ */

enum { SUPERNET_KERNELS_MAX = 4, SUPERNET_EXPANDS_MAX = 4 };

static const size_t SUPERNET_NONE = SIZE_MAX;

/* Where the parameters of one layer of the largest network lie: offsets into params or stats, SUPERNET_NONE: absent. */
struct supernet_layer {
    size_t co, inputs;                          /* as in struct net_layer; 0: no such layer */
    size_t w, bias, gamma, beta;                /* into params */
    size_t mean, variance;                      /* into stats: running statistics of batch norm */
    size_t transform[SUPERNET_KERNELS_MAX - 1]; /* into params: [t] turns the family's kernel t + 1 into kernel t, a
                                                 square matrix over the taps of kernel t: small = matrix x centre */
};

struct supernet {
    struct net_family family;
    struct network largest;
    struct supernet_layer layers[NET_OPS_MAX][NET_LAYERS_MAX]; /* by operator of `largest` */
    size_t n_params, n_stats;                                  /* floats, padding between tensors included */
    float *params, *stats;                                     /* borrowed from the arena */
    struct tl_arena arena;
};

/* A supernet with weights drawn from `seed`: He's normal by outputs for convolutions, zero for the classifier's bias,
 * identity for the kernel matrices; batch norm scales by one. TL_INVALID: the family has sub-networks that are no cuts of
 * its largest; the text says which. *ret_net is owned (supernet_free). */
TL_MUST_CHECK enum tl_rc supernet_new(const struct net_family *family, uint64_t seed, struct supernet **ret_net,
                                      struct tl_err *err);
void supernet_free(struct supernet *net); /* takes NULL */

/* The operator of net->largest that operator `op` of a sub-network of the family is a cut of. */
size_t supernet_op(const struct supernet *net, const struct network *sub, size_t op);

/* The first kernel * kernel taps of `kernel` for the first `c` channels of depthwise layer `layer`: w (c, kernel *
 * kernel). */
void supernet_kernel(const struct supernet *net, const struct supernet_layer *layer, unsigned kernel, size_t c,
                     float *restrict w);

/* The gradient of the same: adds to grads (laid out as params) what dw (c, kernel * kernel) means for the stored kernels
 * and the matrices. */
void supernet_kernel_gradient(const struct supernet *net, const struct supernet_layer *layer, unsigned kernel, size_t c,
                              const float *restrict dw, float *restrict grads);

/* The pick with every option at its largest (or smallest), at the largest (smallest) resolution. */
struct net_pick supernet_largest(const struct net_family *family);
struct net_pick supernet_smallest(const struct net_family *family);
/* Uniform over every choice. */
struct net_pick supernet_random(const struct net_family *family, struct tl_rng *rng);

/* The parameters of a sub-network (built from the same family) as its own: *ret_params is initialised for it. `stats` is
 * laid out as net->stats: those, or what a calibration left. */
TL_MUST_CHECK enum tl_rc supernet_extract(const struct supernet *net, const struct network *sub, const float *stats,
                                          struct net_params *ret_params, struct tl_err *err);

/* ---- training ------------------------------------------------------------------------------------------------ */

enum train_rule { TRAIN_SGD, TRAIN_ADAMW, TRAIN_LAMB, TRAIN_OPTIMIZER_COUNT };

struct train_optimizer {
    enum train_rule kind;
    double momentum; /* SGD's; the first beta of AdamW and LAMB */
    double second;   /* their second beta */
    double epsilon;
    double weight_decay;
};

/* How sub-networks take their turns.
 *
 * TRAIN_SANDWICH: every step trains the largest network on the labels, then the smallest and some random ones on the
 * largest one's answers (Yu et al. 2020, BigNAS); the largest may learn by itself first, which costs half as much a step. TRAIN_SHRINK: once-for-all's progressive shrinking: the largest alone,
 * then elastic kernels, depths, expansions, each opened from the large end; labels plus the answers of the largest
 * network as it was after its own phase. TRAIN_ALONE: one architecture, for comparison. */
enum train_method { TRAIN_SANDWICH, TRAIN_SHRINK, TRAIN_ALONE, TRAIN_METHOD_COUNT };

struct train_plan {
    enum train_method method;
    struct net_pick alone; /* TRAIN_ALONE */
    struct train_optimizer optimizer;
    double epochs;         /* in all; TRAIN_SHRINK shares them out as once-for-all does */
    double teacher_epochs; /* of these, TRAIN_SANDWICH: the first, in which the largest network learns by itself */
    double warmup_epochs;  /* of the first phase, linear */
    double lr;             /* at its peak, cosine to zero after it */
    double clip;           /* largest norm of a step's gradients; 0: any */
    float smoothing, dropout;
    float distill;           /* weight of the teacher's answers beside the labels (TRAIN_SHRINK) */
    unsigned random_subnets; /* of a sandwich, beside largest and smallest; of a step of the expansion phases */
    unsigned batch;
    uint64_t seed;
};

/* What the plan does by default for small images. */
struct train_plan train_plan_default(enum train_method method);

/* The warm-up of a first phase of so many epochs where nothing else is said: a fifth of them, one at most. */
double train_warmup(double epochs);

/* TL_INVALID names what no training can go by: batch, epochs, learning rate, a warm-up that does not end within the first
 * phase, a teacher's phase that leaves no epochs or is no sandwich's, no sub-networks for the last phases of
 * TRAIN_SHRINK. */
TL_MUST_CHECK enum tl_rc train_plan_check(const struct train_plan *plan, struct tl_err *err);

enum { TRAIN_PHASES_MAX = 6 };

/* A part of training with its own options and learning rate. */
struct train_phase {
    const char *name;                  /* "teacher", "kernel", "depth-1", .. */
    unsigned kernels, depths, expands; /* how many options are open, from the largest; widths open with expands */
    unsigned subnets;                  /* trained a step; their gradients are added */
    bool sandwich;                     /* the first is the largest, the second the smallest */
    bool distills;                     /* from the largest network after the first phase */
    bool sorts;                        /* channels by importance before it begins */
    bool continues;                    /* the learning rate goes on along the cosine of the phase before */
    double epochs, warmup_epochs, lr;
};

/* The phases of a plan; their number. */
size_t train_phases(const struct train_plan *plan, const struct net_family *family,
                    struct train_phase ret_phases[TRAIN_PHASES_MAX]);

/* Learning rate of step `step` of `n_steps` of a phase (and those that continue it), `warmup` of them rising. */
double train_rate(const struct train_phase *phase, uint64_t step, uint64_t n_steps, uint64_t warmup);

/* Sub-network j of global step `step`, at the step's resolution. */
struct net_pick train_pick(const struct train_plan *plan, const struct train_phase *phase,
                           const struct net_family *family, uint64_t step, unsigned j);
/* The resolution of all sub-networks of a step. */
uint16_t train_resolution(const struct train_plan *plan, const struct net_family *family, uint64_t step);

/* Where images come from: the trainer sees its data through this table. Images are (n, r, r, 3), normalised. */
enum train_part { TRAIN_PART_TRAIN, TRAIN_PART_HELD, TRAIN_PART_TEST, TRAIN_PART_COUNT };

enum { TRAIN_PLAIN = 100 }; /* images of a batch that is measured on */

struct train_images_batch {
    const float *images; /* borrowed until the next call, as the labels are */
    const int32_t *labels;
    size_t n;
};

struct train_source {
    void *ctx;
    size_t n_of[TRAIN_PART_COUNT]; /* images that are trained on; held out of them; for the last word */
    /* Batch `batch` of epoch `epoch` of a training: its augmented images at the resolution of that step. */
    enum tl_rc (*batch)(void *ctx, uint64_t epoch, uint64_t batch, struct train_images_batch *ret_batch,
                        struct tl_err *err);
    /* Images TRAIN_PLAIN * number and following of a part in a fixed order, not augmented; the last batch is shorter. */
    enum tl_rc (*plain)(void *ctx, enum train_part part, size_t number, uint16_t resolution,
                        struct train_images_batch *ret_batch, struct tl_err *err);
};

/* Put the middle channels of every block in the order of their importance, the L1 norm of what the projection gives
 * them, without changing what the largest network computes. `open` expansions are already trained: channels do not leave
 * the widths that those cut. */
TL_MUST_CHECK enum tl_rc supernet_sort(struct supernet *net, unsigned open, struct tl_err *err);

struct trainer;

/* Where a training stands, after a step. */
struct train_progress {
    const char *phase;
    size_t phase_index, n_phases;
    uint64_t step, n_steps; /* done; in all phases together */
    uint64_t epoch;         /* of the phase */
    bool epoch_ended, phase_ended;
    unsigned subnets;  /* trained in the step */
    double loss, rate; /* of the largest sub-network of the step; its learning rate */
    double norm;       /* of the gradients, before clipping */
    double right;      /* share of the batch that the largest sub-network of the step has right */
};

/* net, source and pool are borrowed for the trainer's life. TL_INVALID names what is wrong with the plan. */
TL_MUST_CHECK enum tl_rc trainer_new(struct supernet *net, const struct train_plan *plan,
                                     const struct train_source *source, struct tl_pool *pool,
                                     struct trainer **ret_trainer, struct tl_err *err);
void trainer_free(struct trainer *trainer); /* takes NULL */

/* One step. TL_INVALID: the loss is no longer a finite number; the text names the step, and the parameters are as
 * they were before it. TL_NOT_FOUND: there are no steps left. */
TL_MUST_CHECK enum tl_rc trainer_step(struct trainer *trainer, struct train_progress *ret_progress, struct tl_err *err);
struct train_progress trainer_progress(const struct trainer *trainer);
uint64_t trainer_epochs(const struct trainer *trainer,
                        size_t phase); /* begun in a phase, the last may be a part of one */
/* What is left to do after `step` steps: multiplications of all sub-networks that will be trained, for one image of each
 * batch. Steps of one phase cost several times what those of another do. */
double trainer_work(const struct trainer *trainer, uint64_t step);
size_t trainer_bytes(const struct trainer *trainer); /* memory of tapes and optimizer */

/* What a checkpoint holds besides the supernet: borrowed arrays laid out as params. */
struct trainer_state {
    uint64_t step;
    float *first, *second; /* second NULL: the rule has none */
    float *teacher;        /* NULL: no teacher yet */
};
struct trainer_state trainer_state(struct trainer *trainer);
/* Go on after `step` steps, once the arrays of trainer_state have been filled (`teacher`: make room for one first). */
TL_MUST_CHECK enum tl_rc trainer_resume(struct trainer *trainer, uint64_t step, struct tl_err *err);

/* ---- evaluation ---------------------------------------------------------------------------------------------- */

/* Memory for measuring sub-networks of one supernet on one source of images. */
struct evaluation;

enum { EVALUATION_CALIBRATION = 2000 /* images, once-for-all's number */ };

/* net, source and pool are borrowed. */
TL_MUST_CHECK enum tl_rc evaluation_new(const struct supernet *net, const struct train_source *source,
                                        struct tl_pool *pool, struct evaluation **ret_evaluation, struct tl_err *err);
void evaluation_free(struct evaluation *evaluation); /* takes NULL */

/* Batch-norm statistics of a sub-network: means and biased variances of the batches of `n` training images (at least one
 * batch; fewer where there are fewer), averaged. Borrowed until the next call; laid out as net->stats. */
TL_MUST_CHECK enum tl_rc evaluation_calibrate(struct evaluation *evaluation, const struct net_pick *pick, size_t n,
                                              const float **ret_stats, struct tl_err *err);

/* The share of the first `n` images of `part` (0: all) that the sub-network with these statistics has right. */
TL_MUST_CHECK enum tl_rc evaluation_accuracy(struct evaluation *evaluation, const struct net_pick *pick,
                                             const float *stats, enum train_part part, size_t n, double *ret_accuracy,
                                             struct tl_err *err);

/* ---- calibration images made up by the supernet -------------------------------------------------------------- */

/* Calibrating batch norm takes images, and images are often not to be given away. So a supernet may dream up a few: noise
 * that is led, by the gradient, to where it gives the layers of some sub-networks the statistics that the training images
 * give them (as DeepInversion does for one network, Yin et al. 2020). */
struct distill_plan {
    size_t n_images;  /* 2 to 512 */
    size_t n_subnets; /* whose statistics are matched, random ones beside the largest and the smallest */
    size_t iterations;
    double rate; /* of Adam, in units of the images' deviation */
    uint64_t seed;
    void (*progress)(void *ctx, size_t done, size_t all, double distance); /* NULL: none */
    void *ctx;
};

/* images (n, side, side, 3) of the largest resolution, normalised floats. */
TL_MUST_CHECK enum tl_rc distill_images(const struct supernet *net, const struct train_source *source,
                                        const struct distill_plan *plan, struct tl_pool *pool, float *images,
                                        struct tl_err *err);

#endif
