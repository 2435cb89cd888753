/* vector.h - private: sixteen float lanes, and one body compiled for each instruction set.
 *
 * Products and sums are never fused here (-ffp-contract=off) and lanes are added in a fixed order, so every instruction
 * set gives the same bits. TAILOR_ISA=plain|avx2 limits the choice, as it does for the kernels of supernet.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_MODEL_VECTOR_H
#define TAILOR_MODEL_VECTOR_H

#include <stddef.h>
#include <stdint.h>

enum { VEC_LANES = 16, VEC_BLOCK = 64 }; /* a block: the columns whose sums stay in registers */

/* Floats in a row of `n` values: a multiple of VEC_BLOCK, so that no loop has a tail. Allocations are 64-byte aligned.
 * */
static inline size_t vec_pad(size_t n)
{
    return (n + VEC_BLOCK - 1) / VEC_BLOCK * VEC_BLOCK;
}

/* `n` zeroed floats, owned by the caller (free), 64-byte aligned; NULL when memory is out. */
float *vec_alloc(size_t n);

struct vec_table {
    /* out[r,c] = bias[c] + sum over the row's features f of w[f,c].  w (.., ld)  out (n, ld)  bias NULL: zeros */
    void (*hot_sum)(float *out, const uint16_t *index, size_t n, size_t width, const float *w, const float *bias,
                    size_t ld);
    /* x = max(x + bias, 0) on a row */
    void (*bias_relu)(float *restrict x, const float *restrict bias, size_t ld);
    /* sum of max(x + bias, 0) * w */
    double (*bias_relu_dot)(const float *x, const float *bias, const float *w, size_t ld);
    /* x = exp(x) for x <= 0 (relative error below 2e-7) */
    void (*exp)(float *x, size_t ld);
    /* sum of x * w in double */
    double (*dot)(const float *x, const double *w, size_t ld);
};

/* The best table this processor runs. */
const struct vec_table *vec_best(void);

#endif
