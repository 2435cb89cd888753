/* vector.c - the loops of vector.h. One always-inlined body each; the wrappers at the end compile it for an instruction
 * set. Vectors are never passed between functions, so that no calling convention depends on the instruction set.
 */
#include "base/model/vector.h"
#include "base/model/model.h"

#include <stdlib.h>
#include <string.h>

typedef float vecf __attribute__((vector_size(64)));
typedef int32_t veci __attribute__((vector_size(64)));
typedef double vecd __attribute__((vector_size(128)));

#define BODY static inline __attribute__((always_inline))

float *vec_alloc(size_t n)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(n, sizeof(float), &bytes) || bytes > SIZE_MAX - 64) {
        return NULL;
    }
    bytes = (bytes + 63) / 64 * 64;
    float *p = aligned_alloc(64, bytes ? bytes : 64);
    if (p) {
        memset(p, 0, bytes ? bytes : 64);
    }
    return p;
}

/* A block of 64 columns of the table lies in the first cache while all rows use it. */
BODY void hot_sum_body(float *out, const uint16_t *index, size_t n, size_t width, const float *w, const float *bias,
                       size_t ld)
{
    for (size_t c = 0; c < ld; c += VEC_BLOCK) {
        static const float zeros[VEC_BLOCK] __attribute__((aligned(64)));
        const vecf *first = (const vecf *)(const void *)(bias ? bias + c : zeros);
        for (size_t r = 0; r < n; r++) {
            vecf s0 = first[0], s1 = first[1], s2 = first[2], s3 = first[3];
            for (size_t i = 0; i < width; i++) {
                const uint16_t f = index[r * width + i];
                if (f == MODEL_NO_FEATURE) {
                    continue;
                }
                const vecf *row = (const vecf *)(const void *)(w + (size_t)f * ld + c);
                s0 += row[0];
                s1 += row[1];
                s2 += row[2];
                s3 += row[3];
            }
            vecf *to = (vecf *)(void *)(out + r * ld + c);
            to[0] = s0;
            to[1] = s1;
            to[2] = s2;
            to[3] = s3;
        }
    }
}

/* max(v, 0) without a branch; a NaN becomes 0, but weights are checked finite. */
BODY void relu(vecf *v)
{
    const veci keep = *v > 0.0F;
    *v = (vecf)((veci)*v & keep);
}

BODY void bias_relu_body(float *restrict x, const float *restrict bias, size_t ld)
{
    for (size_t c = 0; c < ld; c += VEC_LANES) {
        vecf v = *(const vecf *)(const void *)(x + c) + *(const vecf *)(const void *)(bias + c);
        relu(&v);
        *(vecf *)(void *)(x + c) = v;
    }
}

BODY double lanes_sum(const float *v)
{
    double sum = 0.0;
    for (size_t i = 0; i < VEC_LANES; i++) {
        sum += (double)v[i];
    }
    return sum;
}

BODY double bias_relu_dot_body(const float *x, const float *bias, const float *w, size_t ld)
{
    vecf sum = {0};
    for (size_t c = 0; c < ld; c += VEC_LANES) {
        vecf v = *(const vecf *)(const void *)(x + c) + *(const vecf *)(const void *)(bias + c);
        relu(&v);
        sum += v * *(const vecf *)(const void *)(w + c);
    }
    float lanes[VEC_LANES];
    memcpy(lanes, &sum, sizeof(lanes));
    return lanes_sum(lanes);
}

/* exp(x) = 2^n exp(r), |r| <= ln 2 / 2, with the polynomial of Cephes' expf. Below -87 the result is held at exp(-87).
 * */
BODY void exp_body(float *x, size_t ld)
{
    const vecf lowest = (vecf){0} - 87.0F;
    const vecf magic = (vecf){0} + 12582912.0F; /* 1.5 * 2^23: adding it rounds to an integer */
    for (size_t c = 0; c < ld; c += VEC_LANES) {
        vecf v = *(const vecf *)(const void *)(x + c);
        const veci low = v < lowest;
        v = (vecf)(((veci)v & ~low) | ((veci)lowest & low));
        const vecf shifted = v * 1.44269504F + magic;
        const vecf n = shifted - magic;
        const vecf r = v - n * 0.693359375F + n * 2.12194440e-4F;
        vecf p = r * 1.9875691500e-4F + 1.3981999507e-3F;
        p = p * r + 8.3334519073e-3F;
        p = p * r + 4.1665795894e-2F;
        p = p * r + 1.6666665459e-1F;
        p = p * r + 5.0000001201e-1F;
        p = p * r * r + r + 1.0F;
        const veci power = __builtin_convertvector(n, veci) * (1 << 23) + 0x3f800000;
        *(vecf *)(void *)(x + c) = p * (vecf)power;
    }
}

BODY double dot_body(const float *x, const double *w, size_t ld)
{
    vecd sum = {0};
    for (size_t c = 0; c < ld; c += VEC_LANES) {
        vecd factor;
        memcpy(&factor, w + c, sizeof(factor));
        sum += __builtin_convertvector(*(const vecf *)(const void *)(x + c), vecd) * factor;
    }
    double lanes[VEC_LANES], total = 0.0;
    memcpy(lanes, &sum, sizeof(lanes));
    for (size_t i = 0; i < VEC_LANES; i++) {
        total += lanes[i];
    }
    return total;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): `attribute` stands before a declaration */
#define COMPILE(isa, attribute)                                                                                        \
    attribute static void hot_sum_##isa(float *out, const uint16_t *index, size_t n, size_t width, const float *w,     \
                                        const float *bias, size_t ld)                                                  \
    {                                                                                                                  \
        hot_sum_body(out, index, n, width, w, bias, ld);                                                               \
    }                                                                                                                  \
    attribute static void bias_relu_##isa(float *restrict x, const float *restrict bias, size_t ld)                    \
    {                                                                                                                  \
        bias_relu_body(x, bias, ld);                                                                                   \
    }                                                                                                                  \
    attribute static double bias_relu_dot_##isa(const float *x, const float *bias, const float *w, size_t ld)          \
    {                                                                                                                  \
        return bias_relu_dot_body(x, bias, w, ld);                                                                     \
    }                                                                                                                  \
    attribute static void exp_##isa(float *x, size_t ld)                                                               \
    {                                                                                                                  \
        exp_body(x, ld);                                                                                               \
    }                                                                                                                  \
    attribute static double dot_##isa(const float *x, const double *w, size_t ld)                                      \
    {                                                                                                                  \
        return dot_body(x, w, ld);                                                                                     \
    }                                                                                                                  \
    static const struct vec_table table_##isa = {hot_sum_##isa, bias_relu_##isa, bias_relu_dot_##isa, exp_##isa,       \
                                                 dot_##isa};
/* NOLINTEND(bugprone-macro-parentheses) */

COMPILE(plain, )
#if defined(__x86_64__)
COMPILE(avx2, __attribute__((target("avx2"))))
COMPILE(avx512, __attribute__((target("avx512f"))))
#endif

const struct vec_table *vec_best(void)
{
#if defined(__x86_64__)
    const char *limit = getenv("TAILOR_ISA"); /* NOLINT(concurrency-mt-unsafe): the environment is never written */
    const int plain = limit && strcmp(limit, "plain") == 0;
    const int narrow = plain || (limit && strcmp(limit, "avx2") == 0);
    if (!narrow && __builtin_cpu_supports("avx512f")) {
        return &table_avx512;
    }
    if (!plain && __builtin_cpu_supports("avx2")) {
        return &table_avx2;
    }
#endif
    return &table_plain;
}
