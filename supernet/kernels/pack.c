/* pack.c - cut layers into panels at every training step. A block of inputs is transposed at a time, so that both sides
 * stay in the first cache. */
#include "supernet/kernels/gradient.h"

#include <string.h>

enum { BLOCK = 16 };

/* One panel of nv vectors from output `first` on: to[i][o] = w[o][i]. */
static void pack_panel(float *restrict to, const float *restrict w, size_t ldw, size_t outputs, size_t inputs,
                       size_t width)
{
    for (size_t from = 0; from < inputs; from += BLOCK) {
        const size_t end = from + BLOCK < inputs ? from + BLOCK : inputs;
        for (size_t o = 0; o < outputs; o++) {
            for (size_t i = from; i < end; i++) {
                to[i * width + o] = w[o * ldw + i];
            }
        }
        for (size_t i = from; outputs < width && i < end; i++) {
            memset(to + i * width + outputs, 0, (width - outputs) * sizeof *to);
        }
    }
}

void k_pack_view(float *restrict packed, const float *restrict w, size_t ldw, size_t co, size_t inputs, size_t lanes,
                 struct k_range panels)
{
    const size_t vectors = (co + lanes - 1) / lanes;
    for (size_t panel = panels.from; panel < panels.to; panel++) {
        const size_t v = 2 * panel, width = k_panel(vectors - v) * lanes, first = v * lanes;
        pack_panel(packed + first * inputs, w + first * ldw, ldw, co - first < width ? co - first : width, inputs,
                   width);
    }
}

void k_pack_transposed(float *restrict packed, const float *restrict w, size_t ldw, size_t co, size_t ci, size_t lanes,
                       struct k_range panels)
{
    const size_t vectors = (ci + lanes - 1) / lanes;
    for (size_t panel = panels.from; panel < panels.to; panel++) {
        const size_t v = 2 * panel, width = k_panel(vectors - v) * lanes, first = v * lanes;
        const size_t there = ci - first < width ? ci - first : width;
        float *to = packed + first * co;
        for (size_t i = 0; i < co; i++) {
            memcpy(to + i * width, w + i * ldw + first, there * sizeof *to);
            memset(to + i * width + there, 0, (width - there) * sizeof *to);
        }
    }
}
