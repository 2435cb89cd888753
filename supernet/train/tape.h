/* tape.h - a sub-network run forward and backward on batches of images; private to train.
 *
 * A tape has the memory that the family's largest network needs for one batch size; binding a sub-network to it sets
 * shapes and pointers and copies nothing. What is kept of a forward pass are the outputs z of convolutions before batch
 * norm, and the outputs of blocks; everything between is computed again where the backward pass needs it.
 *
 *     unit:  x -> conv or depthwise -> z -> batch norm -> activation -> (squeeze-and-excitation) -> (+ residual) ->
 *            (activation) -> y
 *
 * A residual is the output of an earlier unit; one of another shape goes through a unit of its own, which reads it
 * averaged and whose y is made only where it is added. The other kind of unit is the pool that ends a stem.
 *
 * Threads: one at a time; spreads work over the engine's pool.
 */
#ifndef TAILOR_TRAIN_TAPE_H
#define TAILOR_TRAIN_TAPE_H

#include "supernet/train/layers.h"
#include "supernet/train/train.h"

enum { TAPE_GRADIENTS = 4, TAPE_TURNS = 2, TAPE_NO_UNIT = -1 };

/* Squeeze-and-excitation of a unit: mean (nb, ld) -> hidden -> gates. */
struct tape_se {
    const struct supernet_layer *squeeze, *back;
    struct tr_tensor mean, z1, hidden, z2, gates;
};

struct tape_unit {
    const struct net_op *op;
    const struct supernet_layer *layer;
    enum k_act act, after; /* behind batch norm; behind the addition */
    bool batch_norm, has_se, pooled;
    int from;              /* unit whose output it reads; TAPE_NO_UNIT: the images */
    int residual;          /* unit whose output is added; TAPE_NO_UNIT */
    struct tr_tensor z, y; /* y.data NULL: not kept */
    struct tr_tensor pool; /* pooled: the mean of y over the map, the next unit's input */
    struct tape_se se;
    float *scale, *shift;  /* of the affine that follows z, padded to vectors */
    float *mean, *inverse; /* of the batch: mean, 1 / sqrt(variance + eps) */
};

struct tape {
    const struct supernet *net; /* borrowed */
    struct tr_engine engine;
    size_t nb;
    struct network *sub; /* owned: the bound sub-network */
    struct tape_unit *units;
    size_t n_units;
    bool forward_only;
    float *input_memory;
    struct tr_tensor input;   /* the batch, bordered by the stem's halo */
    float *scratch;           /* one tensor that is not kept */
    float *turns[TAPE_TURNS]; /* forward_only: what is kept takes turns, a block's input and its output */
    unsigned turn;
    float *side;                      /* forward_only: the z of a residual */
    float *gradients[TAPE_GRADIENTS]; /* tensors of a backward pass */
    /* Memory by operator of the largest network. */
    float *z_of[NET_OPS_MAX], *y_of[NET_OPS_MAX], *vectors_of[NET_OPS_MAX], *se_of[NET_OPS_MAX];
    float *kernel, *packed_kernel; /* a depthwise layer's taps, plain and packed */
    float *kernel_gradient;        /* the same for its gradient */
    float *cut;                    /* weights of a full convolution of fewer inputs, or their gradient */
    struct tr_patches patches;
    float *logits, *dlogits; /* (nb, classes) */
    double *sums;            /* (2, widest) */
    struct tl_arena arena;
};

/* Memory for batches of `nb` images of any sub-network; `forward_only`: a fraction of it, and no backward pass. `net` and
 * `pool` are borrowed for the tape's life. */
TL_MUST_CHECK enum tl_rc tape_new(const struct supernet *net, size_t nb, bool forward_only, struct tl_pool *pool,
                                  struct tape **ret_tape, struct tl_err *err);
void tape_free(struct tape *tape); /* takes NULL */

/* Bind a sub-network. TL_INVALID: not a pick of the family. */
TL_MUST_CHECK enum tl_rc tape_bind(struct tape *tape, const struct net_pick *pick, struct tl_err *err);

/* Forward with the batch's own statistics. images (nb, h, w, 3); tape->logits is filled. `drop` (nb, features) multiplies
 * the classifier's input; NULL: 1. */
void tape_forward(struct tape *tape, const float *images, const float *drop);
/* Backward from tape->dlogits of the last forward: adds to grads, laid out as net->params. */
void tape_backward(struct tape *tape, const float *drop, float *grads);

/* How far the batch statistics of the last forward are from `targets` (laid out as net->stats), and the gradient of that
 * by the images: dimages (nb, h, w, 3). The mean over layers of the mean over channels of
 *
 *     (mean - target mean)^2 / target variance + (deviation / target deviation - 1)^2 */
double tape_match(struct tape *tape, const float *targets, float *dimages);

/* The statistics of the last forward into running ones: r = (1 - momentum) r + momentum batch, the variance unbiased if asked.
 * `stats` is laid out as net->stats; channels beyond the sub-network are untouched. */
void tape_track(const struct tape *tape, float momentum, bool unbiased, float *stats);

size_t tape_features(const struct tape *tape); /* inputs of the classifier, padded to vectors */
size_t tape_bytes(const struct tape *tape);

#endif
