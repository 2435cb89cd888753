/* plan.h - inside a plan: a straight list of steps over tensors that share a few buffers.
 *
 * lower.c turns operators into steps and decides what is fused, what works in place and which buffer holds what; plan.c
 * sizes and fills the memory; run.c executes. A batch goes through most steps image by image, so that its maps stay in
 * the caches; the last ones, behind the global pool, take all images at once, so that their weights are read once. A
 * step is cut into tasks the same way for every pool, and no sum is split between tasks, so results do not depend on the
 * threads.
 */
#ifndef TAILOR_PLAN_H
#define TAILOR_PLAN_H

#include "supernet/kernels/kernel.h"
#include "supernet/kernels/kernels.h"

enum k_step_kind { K_COPY, K_CONV, K_DEPTHWISE, K_MEAN, K_SCALE, K_ADD, K_MAX, K_AVERAGE, K_ACTIVATE, K_STEP_COUNT };

enum { K_NO_TENSOR = UINT16_MAX };

/* Which memory a tensor lies in. */
enum k_place { K_IN_SLOT, K_IN_INPUT, K_IN_OUTPUT };

struct k_tensor {
    struct k_shape shape;
    enum k_place place;
    bool whole;    /* of all images; else of one */
    uint16_t slot; /* K_IN_SLOT */
    float *data;   /* borrowed from the plan's arena, in the first workspace; NULL outside it */
};

/* A buffer of the arena that tensors use one after another. */
struct k_slot {
    bool whole; /* for tensors that are */
    size_t floats;
    size_t busy_until; /* last operator that reads what it holds */
    float *data;
};

struct k_step {
    enum k_step_kind kind;
    enum k_act act;
    uint16_t x, y;   /* tensors */
    uint16_t second; /* K_CONV: residual or none; K_SCALE: the gates; K_ADD: the other operand */
    uint16_t op;     /* operator of the network */
    uint8_t layer;   /* of its weights */
    uint8_t kernel, stride;
    size_t vectors;         /* of output channels */
    uint32_t tiles, groups; /* tasks: tiles of pixels or rows x groups of channels */
    float *w, *bias;        /* borrowed from the arena */
};

struct net_plan {
    const struct k_table *k; /* static */
    struct tl_pool *pool;    /* borrowed */
    size_t nb;
    struct k_step *steps; /* owned, as are the next two */
    struct k_tensor *tensors;
    struct k_slot *slots;
    size_t n_steps, n_tensors, n_slots;
    size_t n_single;        /* steps that are taken image by image; the rest follow */
    unsigned n_spaces;      /* images on the way at once: one, or one a thread */
    size_t space_floats;    /* of one's slots: workspace i begins i times as far behind the first */
    uint16_t input, output; /* tensors */
    struct tl_arena arena;
};

/* Fill steps, tensors and slots (arrays of 4 * n_ops + 2) and n_single for a checked network. */
void k_lower(struct net_plan *plan, const struct network *net);

#endif
