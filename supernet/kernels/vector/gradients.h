/* gradients.h - the kernels of gradient.h for one instruction set, and the steps that only they need. */
#ifndef TAILOR_GRADIENTS_H
#define TAILOR_GRADIENTS_H

#include "supernet/kernels/gradient.h"
#include "supernet/kernels/vector/vector.h"

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

/* v where a < b, else 0. */
K_INLINE k_vec k_where_less(k_vec a, k_vec b, k_vec v)
{
#if K_LANES == 16
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), v);
#elif K_LANES == 8
    return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ), v);
#elif defined(__x86_64__)
    return _mm_and_ps(_mm_cmplt_ps(a, b), v);
#else
    return (k_vec)((k_ints)v & (a < b));
#endif
}

/* p[0..n-1] adds the first n numbers of v; touches nothing behind them. n is at most K_LANES. */
K_INLINE void k_add_some(float *p, k_vec v, size_t n)
{
    if (n == K_LANES) {
        k_store(p, k_load(p) + v);
        return;
    }
#if K_LANES == 16
    const __mmask16 some = (__mmask16)((1U << n) - 1);
    _mm512_mask_storeu_ps(p, some, _mm512_maskz_loadu_ps(some, p) + v);
#else
    for (size_t i = 0; i < n; i++) {
        p[i] += v[i];
    }
#endif
}

/* dy[0..n-1] times act'(u[0..n-1]), in dy. Inlined with a constant n, as k_activate. */
K_INLINE void k_activate_back(k_vec *dy, const k_vec *u, const size_t n, enum k_act act)
{
    const k_vec zero = {0}, six = k_splat(6.0F), three = k_splat(3.0F), sixth = k_splat(1.0F / 6.0F);
    switch (act) {
    case K_RELU:
        K_UNROLL
        for (size_t i = 0; i < n; i++) {
            dy[i] = k_where_less(zero, u[i], dy[i]);
        }
        break;
    case K_RELU6:
        K_UNROLL
        for (size_t i = 0; i < n; i++) {
            dy[i] = k_where_less(zero, u[i], k_where_less(u[i], six, dy[i]));
        }
        break;
    case K_HSWISH:
        K_UNROLL
        for (size_t i = 0; i < n; i++) { /* clamp(u + 3) / 6, and within (-3, 3) the u / 6 of its own slope */
            const k_vec inner = k_where_less(k_max(u[i], -u[i]), three, u[i]);
            dy[i] *= (k_min(k_max(u[i] + three, zero), six) + inner) * sixth;
        }
        break;
    case K_HSIGMOID:
        K_UNROLL
        for (size_t i = 0; i < n; i++) {
            dy[i] = k_where_less(k_max(u[i], -u[i]), three, dy[i] * sixth);
        }
        break;
    case K_NONE:
    case K_ACT_COUNT:
        break;
    }
}

#endif
