/* fma_peak.h - the most that a processor's vector units can do: a loop of multiply-adds on registers alone.
 *
 * Twelve sums that do not wait for one another hide the latency of two units. The plain peak is a product and a sum.
 */
#ifndef TAILOR_TESTS_FMA_PEAK_H
#define TAILOR_TESTS_FMA_PEAK_H

#include "base/base.h"
#include "supernet/kernels/kernels.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { PEAK_SUMS = 12, PEAK_ROUNDS = 200000 };

/* Twelve sums by name, since arrays of vectors are kept in memory by some compilers. */
#define PEAK_STEP(step, x, m)                                                                                          \
    x##0 = step(x##0, m), x##1 = step(x##1, m), x##2 = step(x##2, m), x##3 = step(x##3, m), x##4 = step(x##4, m),      \
    x##5 = step(x##5, m), x##6 = step(x##6, m), x##7 = step(x##7, m), x##8 = step(x##8, m), x##9 = step(x##9, m),      \
    x##a = step(x##a, m), x##b = step(x##b, m)
#define PEAK_TOTAL(x) (x##0 + x##1 + x##2 + x##3 + x##4 + x##5 + x##6 + x##7 + x##8 + x##9 + x##a + x##b)

/* `n` rounds of twelve steps; returns a number that depends on all of them. */
#define PEAK_LOOP(name, target, vector, step)                                                                          \
    target static float name(size_t n, float by)                                                                       \
    {                                                                                                                  \
        const vector m = by - (vector){0};                                                                             \
        vector s0 = m, s1 = s0 + m, s2 = s1 + m, s3 = s2 + m, s4 = s3 + m, s5 = s4 + m, s6 = s5 + m, s7 = s6 + m;      \
        vector s8 = s7 + m, s9 = s8 + m, sa = s9 + m, sb = sa + m; /* equal sums would be merged into one */           \
        for (size_t i = 0; i < n; i++) {                                                                               \
            PEAK_STEP(step, s, m);                                                                                     \
        }                                                                                                              \
        const vector total = PEAK_TOTAL(s);                                                                            \
        return total[0];                                                                                               \
    }

typedef float peak_vec __attribute__((vector_size(16)));
#define PEAK_MUL_ADD(s, m) ((s) * (m) + (m))
PEAK_LOOP(peak_plain, , peak_vec, PEAK_MUL_ADD)
#if defined(__x86_64__)
#define PEAK_FMA_256(s, m) _mm256_fmadd_ps(s, m, m)
#define PEAK_FMA_512(s, m) _mm512_fmadd_ps(s, m, m)
PEAK_LOOP(peak_avx2, __attribute__((target("avx2,fma"))), __m256, PEAK_FMA_256)
PEAK_LOOP(peak_avx512, __attribute__((target("avx512f,fma"))), __m512, PEAK_FMA_512)
#endif

/* Run `n` rounds on the vectors of instruction set `isa`; returns the operations done (two a lane and step). */
static inline double peak_run(const char *isa, size_t n)
{
    float (*loop)(size_t, float) = peak_plain;
    double lanes = 4;
#if defined(__x86_64__)
    if (strcmp(isa, "avx512") == 0) {
        loop = peak_avx512;
        lanes = 16;
    } else if (strcmp(isa, "avx2") == 0) {
        loop = peak_avx2;
        lanes = 8;
    }
#else
    (void)isa;
#endif
    static volatile float keep;
    keep = loop(n, 0.5F + 0.0F * keep);
    return (double)n * PEAK_SUMS * 2 * lanes;
}

static inline void peak_task(void *ctx, size_t task, unsigned thread)
{
    (void)ctx;
    (void)task;
    (void)thread;
    (void)peak_run(net_isa(), PEAK_ROUNDS);
}

/* GFLOP/s of all threads of the pool together. */
static inline double peak_pool(struct tl_pool *pool, unsigned threads)
{
    const size_t tasks = (size_t)threads * 2;
    const int64_t start_ns = tl_clock_mono_ns();
    tl_pool_run(pool, peak_task, NULL, tasks);
    const int64_t took_ns = tl_clock_mono_ns() - start_ns;
    return (double)tasks * peak_run(net_isa(), 1) * PEAK_ROUNDS / (double)took_ns;
}

#endif
