/* gradients.h - the kernels of training, declared for one instruction set (see vector.h). */
#ifndef TAILOR_VECTOR_GRADIENTS_H
#define TAILOR_VECTOR_GRADIENTS_H

#include "supernet/kernels/gradient.h"
#include "supernet/kernels/vector/vector.h"

#include <math.h>

void K_NAME(k_sums)(float *sums, float *squares, const float *z, const struct k_shape *shape, const float *centre,
                    struct k_range rows);
void K_NAME(k_affine)(float *y, const struct k_shape *y_shape, const struct k_affine *of, const float *gate, size_t ldg,
                      const float *residual, const struct k_shape *residual_shape, struct k_range rows);
void K_NAME(k_affine_sums)(float *sums, float *products, const float *dy, const struct k_shape *dy_shape,
                           const struct k_affine *of, const float *mean, struct k_range rows);
void K_NAME(k_affine_gradient)(float *dz, const struct k_shape *dz_shape, const float *dy,
                               const struct k_shape *dy_shape, const struct k_affine *of, const float *a,
                               const float *b, const float *k, struct k_range rows);
void K_NAME(k_conv_weights)(float *dw, size_t ldw, const float *dz, size_t ldz, const float *x, size_t ldx,
                            size_t n_pixels, size_t co, size_t ci);
void K_NAME(k_depthwise_input)(float *dx, const struct k_shape *dx_shape, const float *dz,
                               const struct k_shape *dz_shape, const float *w, size_t kernel, size_t stride,
                               struct k_range rows, struct k_range vectors);
void K_NAME(k_depthwise_weights)(float *dw, const float *dz, const struct k_shape *dz_shape, const float *x,
                                 const struct k_shape *x_shape, size_t kernel, size_t stride, struct k_range rows,
                                 struct k_range vectors);
void K_NAME(k_dots)(float *dots, size_t ldd, const float *a, const struct k_shape *a_shape, const float *b,
                    const struct k_shape *b_shape, struct k_range images);
void K_NAME(k_gate)(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                    const float *gate, const float *add, size_t ldg, struct k_range rows);

/* value where low < u < high, else 0 */
K_INLINE k_vec k_between(k_vec u, k_vec low, k_vec high, k_vec value)
{
#if K_LANES == 16
    const __mmask16 in = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(u, low, _CMP_GT_OQ), u, high, _CMP_LT_OQ);
    return _mm512_maskz_mov_ps(in, value);
#else
    const k_ints in = (k_ints)(u > low) & (k_ints)(u < high);
    return (k_vec)((k_ints)value & in);
#endif
}

#endif
