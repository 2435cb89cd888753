/* pack.c - weights of cut layers laid out for the kernels, at every step of training. */
#include "supernet/kernels/gradient.h"

#include <string.h>

/* Four rows transposed at once: a step that every target of ours has as a few shuffles. */
typedef float four __attribute__((vector_size(16)));
typedef float four_any __attribute__((vector_size(16), aligned(4), may_alias));

/* to[j * step + i] = from[i * ld + j] for i, j in [0, 4). */
static inline void transpose(float *restrict to, size_t step, const float *restrict from, size_t ld)
{
    const four a = *(const four_any *)from, b = *(const four_any *)(from + ld);
    const four c = *(const four_any *)(from + 2 * ld), d = *(const four_any *)(from + 3 * ld);
    const four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const four ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(four_any *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four_any *)(to + step) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *(four_any *)(to + 2 * step) = __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5);
    *(four_any *)(to + 3 * step) = __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7);
}

/* One panel of `width` outputs, of which `co` exist: panel[i * width + o] = w[o * ldw + i]. width: a multiple of 4. */
static void pack_panel(float *restrict panel, size_t width, const float *restrict w, size_t ldw, size_t co,
                       size_t inputs)
{
    const size_t fours = co / 4 * 4, ends = inputs / 4 * 4;
    for (size_t i = 0; i < ends; i += 4) {
        for (size_t o = 0; o < fours; o += 4) {
            transpose(panel + i * width + o, width, w + o * ldw + i, ldw);
        }
    }
    for (size_t i = 0; i < inputs; i++) {
        for (size_t o = i < ends ? fours : 0; o < co; o++) {
            panel[i * width + o] = w[o * ldw + i];
        }
        memset(panel + i * width + co, 0, (width - co) * sizeof *panel);
    }
}

void k_pack_view(float *restrict packed, const float *restrict w, size_t ldw, size_t co, size_t inputs, size_t lanes,
                 struct k_range panels)
{
    const size_t vectors = (co + lanes - 1) / lanes;
    for (size_t i = panels.from; i < panels.to; i++) {
        const size_t first = i * 2 * lanes, width = k_panel(vectors - i * 2) * lanes;
        const size_t there = co - first < width ? co - first : width;
        pack_panel(packed + first * inputs, width, w + first * ldw, ldw, there, inputs);
    }
}

void k_pack_transposed(float *restrict packed, const float *restrict w, size_t ldw, size_t co, size_t ci, size_t lanes,
                       struct k_range panels)
{
    const size_t vectors = (ci + lanes - 1) / lanes;
    for (size_t i = panels.from; i < panels.to; i++) {
        const size_t first = i * 2 * lanes, width = k_panel(vectors - i * 2) * lanes;
        const size_t there = ci - first < width ? ci - first : width;
        float *panel = packed + first * co;
        for (size_t o = 0; o < co; o++, panel += width) { /* an input of the transpose */
            memcpy(panel, w + o * ldw + first, there * sizeof *panel);
            memset(panel + there, 0, (width - there) * sizeof *panel);
        }
    }
}
