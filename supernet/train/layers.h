/* layers.h - the kernels of a layer spread over a pool; private to train.
 *
 * One idea: work is cut into the same pieces for every pool, and what pieces sum apart is added in their order, so that
 * results do not depend on the threads. Tensors and kernels as in kernel.h and gradient.h.
 */
#ifndef TAILOR_TRAIN_LAYERS_H
#define TAILOR_TRAIN_LAYERS_H

#include "supernet/kernels/gradient.h"

enum { TR_TILES_MAX = 256 };

/* What every layer runs on. */
struct tr_engine {
    const struct k_table *k;
    const struct k_gradient_table *g;
    struct tl_pool *pool; /* borrowed */
    float *partial;       /* (TR_TILES_MAX, 2, widest layer) */
    float *packed;        /* the largest layer in panels, its outputs rounded up to vectors */
    float *zeros, *ones;  /* as many as the widest layer has channels or inputs */
};

/* A tensor and its shape. `data` begins behind the first halo. */
struct tr_tensor {
    float *data;
    struct k_shape shape;
};

/* Floats that a tensor takes, halos included. */
size_t tr_floats(const struct k_shape *shape);
size_t tr_padded(size_t channels, size_t lanes);

/* A view of a layer's weights: row o begins at w + o * ldw. */
struct tr_weights {
    const float *w;
    size_t ldw, co, inputs;
};

/* z = x * w (+ bias) (+ residual); the inputs of w are (kernel, kernel, ci). With `sums` not NULL also
 * sums[c] and squares[c] over all pixels of z, squares around centre[c]: sums (2, ld of z). */
void tr_conv(const struct tr_engine *engine, const struct tr_tensor *z, const struct tr_tensor *x,
             const struct tr_weights *w, const float *bias, const struct tr_tensor *residual, size_t kernel,
             size_t stride, const float *centre, double *sums);
/* dx = dz * w' + residual, for kernel 1. */
void tr_conv_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_tensor *dz,
                   const struct tr_weights *w, const struct tr_tensor *residual);
/* dw adds dz' * x for kernel 1: dw laid out as the view it is the gradient of. */
void tr_conv_weights(const struct tr_engine *engine, float *dw, const struct tr_weights *w, const struct tr_tensor *dz,
                     const struct tr_tensor *x);

/* The windows that a convolution of any kernel reads, laid out one after the other. */
struct tr_patches {
    float *memory;
    size_t floats; /* room for at least one image: tr_patches_floats; images are taken together as there is room */
};
size_t tr_patches_floats(const struct k_shape *z, size_t nb, size_t inputs, size_t lanes);
/* The two above for any kernel; dx has no halo. */
void tr_patches_weights(const struct tr_engine *engine, float *dw, const struct tr_weights *w,
                        const struct tr_tensor *dz, const struct tr_tensor *x, size_t kernel, size_t stride,
                        const struct tr_patches *patches);
void tr_patches_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_weights *w,
                      const struct tr_tensor *dz, size_t kernel, size_t stride, const struct tr_patches *patches);

/* Depthwise layers; w packed as k_pack_depthwise. */
void tr_depthwise(const struct tr_engine *engine, const struct tr_tensor *z, const struct tr_tensor *x, const float *w,
                  size_t kernel, size_t stride, const float *centre, double *sums);
void tr_depthwise_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_tensor *dz,
                        const float *w, size_t kernel, size_t stride);
void tr_depthwise_weights(const struct tr_engine *engine, float *dw, const struct tr_tensor *dz,
                          const struct tr_tensor *x, size_t kernel, size_t stride);

/* Pools. The gradient of the largest overwrites dx, that of the average adds to it; dx has no halo. */
void tr_pool_max(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x, size_t kernel,
                 size_t stride);
void tr_pool_max_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_tensor *dy,
                       const struct tr_tensor *x, size_t kernel, size_t stride);
void tr_pool_average(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x,
                     size_t stride);
void tr_pool_average_input(const struct tr_engine *engine, const struct tr_tensor *dx, const struct tr_tensor *dy,
                           size_t stride);

/* Elementwise and reductions. */
void tr_affine(const struct tr_engine *engine, const struct tr_tensor *y, const struct k_affine *of, const float *gate,
               size_t ldg, const struct tr_tensor *residual);
void tr_affine_sums(const struct tr_engine *engine, double *sums, const struct tr_tensor *dy, const struct k_affine *of,
                    const float *mean);
void tr_affine_gradient(const struct tr_engine *engine, const struct tr_tensor *dz, const struct tr_tensor *dy,
                        const struct k_affine *of, const float *a, const float *b, const float *k);
void tr_sums(const struct tr_engine *engine, double *sums, const struct tr_tensor *z, const float *centre);
void tr_mean(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x);
void tr_dots(const struct tr_engine *engine, float *dots, size_t ldd, const struct tr_tensor *a,
             const struct tr_tensor *b);
void tr_gate(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *x, const float *gate,
             const float *add, size_t ldg);
/* y = y * gate. */
void tr_scale(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *gate);
void tr_add(const struct tr_engine *engine, const struct tr_tensor *y, const struct tr_tensor *a,
            const struct tr_tensor *b);

#endif
