/* vector.h - one vector type for every instruction set, through GCC's vector extension.
 *
 * Each file in this folder is compiled once per set with K_ISA (its name) and K_LANES (floats a vector) defined.
 * Products and sums are written plainly; -ffp-contract=fast lets the compiler fuse them here, and nowhere else in the
 * project.
 */
#ifndef TAILOR_VECTOR_H
#define TAILOR_VECTOR_H

#include "supernet/kernels/kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define K_JOIN2(a, b) a##_##b
#define K_JOIN(a, b)  K_JOIN2(a, b)
#define K_NAME(name)  K_JOIN(name, K_ISA)

void K_NAME(k_conv)(const struct k_conv *op, struct k_range rows, struct k_range cols, struct k_range vectors);
void K_NAME(k_depthwise)(const struct k_depthwise *op, struct k_range rows, struct k_range vectors);
/* With the taps in reverse order, and without bias where it is NULL. */
void K_NAME(k_depthwise_reversed)(const struct k_depthwise *op, struct k_range rows, struct k_range vectors);
void K_NAME(k_mean)(float *y, size_t ldy, const float *x, const struct k_shape *shape, struct k_range vectors);
void K_NAME(k_scale)(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *shape,
                     const float *s, size_t lds, struct k_range rows);
void K_NAME(k_add)(float *y, const struct k_shape *y_shape, const float *a, const struct k_shape *a_shape,
                   const float *b, const struct k_shape *b_shape, struct k_range rows);

#if defined(__clang__)
#define K_UNROLL _Pragma("clang loop unroll(full)")
#else
#define K_UNROLL _Pragma("GCC unroll 64")
#endif
#define K_INLINE static inline __attribute__((always_inline))

typedef float k_vec __attribute__((vector_size(K_LANES * sizeof(float))));
typedef int32_t k_ints __attribute__((vector_size(K_LANES * sizeof(float))));
typedef float k_vec_any __attribute__((vector_size(K_LANES * sizeof(float)), aligned(4), may_alias));

K_INLINE k_vec k_load(const float *p)
{
    return *(const k_vec_any *)p;
}

K_INLINE void k_store(float *p, k_vec v)
{
    *(k_vec_any *)p = v;
}

/* A block is so many pixels (or outputs) by a panel of 1, 2 or 3 vectors, as many sums as the register file takes beside
 * what they are summed from: it has 32 vectors with AVX-512, else 16. */
#if K_LANES == 16
enum { K_BLOCK_1 = 14, K_BLOCK_2 = 14, K_BLOCK_3 = 9 };
#define K_BLOCKS_1(of, nv) K_BLOCKS_12(of, nv) of(13, nv) of(14, nv)
#define K_BLOCKS_2(of, nv) K_BLOCKS_1(of, nv)
#define K_BLOCKS_3(of, nv) K_BLOCKS_4(of, nv) of(5, nv) of(6, nv) of(7, nv) of(8, nv) of(9, nv)
#else
enum { K_BLOCK_1 = 12, K_BLOCK_2 = 6, K_BLOCK_3 = 4 };
#define K_BLOCKS_1(of, nv) K_BLOCKS_12(of, nv)
#define K_BLOCKS_2(of, nv) K_BLOCKS_4(of, nv) of(5, nv) of(6, nv)
#define K_BLOCKS_3(of, nv) K_BLOCKS_4(of, nv)
#endif
#define K_BLOCKS_4(of, nv) of(1, nv) of(2, nv) of(3, nv) of(4, nv)
#define K_BLOCKS_12(of, nv)                                                                                            \
    K_BLOCKS_4(of, nv)                                                                                                 \
    of(5, nv) of(6, nv) of(7, nv) of(8, nv) of(9, nv) of(10, nv) of(11, nv) of(12, nv)
enum { K_PANEL_MAX = 3, K_BLOCK_SUMS = 28 };

/* Rows of a tensor that will be needed next, fetched bit by bit in the order in which they lie: kernels that jump
 * between pixels leave the processor nothing to foresee. */
struct k_ahead {
    const float *next;
    size_t lines, step; /* to go; at once */
};

enum { K_LINE = 64 / sizeof(float), K_NEAR = 1 << 18 }; /* floats: a cache line; what a second cache may hold */

/* The rows `rows`, in `strips` steps for each vector of `vectors`. A tensor that is near anyway is left alone, and so is
 * one of which only some channels are wanted. */
K_INLINE struct k_ahead k_ahead_of(const float *data, const struct k_shape *shape, struct k_range rows, size_t strips,
                                   struct k_range vectors)
{
    const size_t steps = strips * (vectors.to - vectors.from);
    const bool near = shape->nb * shape->h * shape->row <= K_NEAR;
    const bool some = (vectors.to - vectors.from) * K_LANES < shape->c;
    const size_t lines = near || some ? 0 : (rows.to - rows.from) * shape->row / K_LINE;
    return (struct k_ahead){data + rows.from * shape->row, lines, lines == 0 ? 0 : (lines + steps - 1) / steps};
}

K_INLINE void k_fetch(struct k_ahead *ahead)
{
    const size_t n = ahead->lines < ahead->step ? ahead->lines : ahead->step;
    for (size_t i = 0; i < n; i++) {
        __builtin_prefetch(ahead->next + i * K_LINE, 0, 2);
    }
    ahead->next += n * K_LINE;
    ahead->lines -= n;
}

/* The rows of a convolution's input under the output rows `rows`, without what the window reaches beyond. */
K_INLINE struct k_range k_under(struct k_range rows, const struct k_shape *out, const struct k_shape *in, size_t stride)
{
    return (struct k_range){rows.from / out->h * in->h + rows.from % out->h * stride,
                            rows.to / out->h * in->h + rows.to % out->h * stride};
}

/* Up to as many rows behind `from` as from `before` to there, none behind `end`. */
K_INLINE struct k_range k_next(size_t before, size_t from, size_t end)
{
    return (struct k_range){from, 2 * from - before < end ? 2 * from - before : end};
}

K_INLINE k_vec k_splat(float s)
{
    return s - (k_vec){0};
}

/* The extension has no minimum and maximum, and what compilers make of its comparisons is slow. */
#if K_LANES == 16
K_INLINE k_vec k_max(k_vec a, k_vec b)
{
    return _mm512_max_ps(a, b);
}
K_INLINE k_vec k_min(k_vec a, k_vec b)
{
    return _mm512_min_ps(a, b);
}
#elif K_LANES == 8
K_INLINE k_vec k_max(k_vec a, k_vec b)
{
    return _mm256_max_ps(a, b);
}
K_INLINE k_vec k_min(k_vec a, k_vec b)
{
    return _mm256_min_ps(a, b);
}
#elif defined(__x86_64__)
K_INLINE k_vec k_max(k_vec a, k_vec b)
{
    return _mm_max_ps(a, b);
}
K_INLINE k_vec k_min(k_vec a, k_vec b)
{
    return _mm_min_ps(a, b);
}
#else
K_INLINE k_vec k_max(k_vec a, k_vec b)
{
    k_ints more = a > b;
    return (k_vec)(((k_ints)a & more) | ((k_ints)b & ~more));
}
K_INLINE k_vec k_min(k_vec a, k_vec b)
{
    k_ints less = a < b;
    return (k_vec)(((k_ints)a & less) | ((k_ints)b & ~less));
}
#endif

/* act(v[0..n-1]) in place. Inlined with a constant n the loops melt into straight code. */
K_INLINE void k_activate(k_vec *v, const size_t n, enum k_act act)
{
    const k_vec zero = {0}, six = k_splat(6.0F), three = k_splat(3.0F), sixth = k_splat(1.0F / 6.0F);
    switch (act) {
    case K_RELU:
        K_UNROLL
        for (size_t i = 0; i < n; i++) {
            v[i] = k_max(v[i], zero);
        }
        break;
    case K_RELU6:
        K_UNROLL
        for (size_t i = 0; i < n; i++) {
            v[i] = k_min(k_max(v[i], zero), six);
        }
        break;
    case K_HSWISH:
        K_UNROLL
        for (size_t i = 0; i < n; i++) {
            v[i] = v[i] * sixth * k_min(k_max(v[i] + three, zero), six);
        }
        break;
    case K_HSIGMOID:
        K_UNROLL
        for (size_t i = 0; i < n; i++) {
            v[i] = k_min(k_max(v[i] + three, zero), six) * sixth;
        }
        break;
    case K_NONE:
    case K_ACT_COUNT:
        break;
    }
}

#endif
