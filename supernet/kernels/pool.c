/* pool.c - windows without weights, and activations that no convolution can take: memory is what they cost.
 *
 * Channels are the inner loops, so that the compiler makes vectors of them.
 */
#include "supernet/kernels/kernel.h"

#include <string.h>

/* to = max(to, from) */
static void keep_larger(float *restrict to, const float *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i] > to[i] ? from[i] : to[i];
    }
}

void k_pool_max(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape, size_t kernel,
                size_t stride, struct k_range rows)
{
    const size_t pad = kernel / 2;

    for (size_t row = rows.from; row < rows.to; row++) {
        const struct k_span span = k_span_of(row, y_shape->h, x_shape->h, kernel, stride);
        for (size_t col = 0; col < y_shape->w; col++) {
            float *to = y + row * y_shape->row + col * y_shape->ld;
            const size_t centre = col * stride, first = centre < pad ? 0 : centre - pad;
            const size_t end = centre + pad < x_shape->w ? centre + pad + 1 : x_shape->w, n = end - first;
            const float *window = x + span.first * x_shape->row + first * x_shape->ld;
            memcpy(to, window, y_shape->c * sizeof *to);
            for (size_t i = 1; i < span.n * n; i++) {
                keep_larger(to, window + i / n * x_shape->row + i % n * x_shape->ld, y_shape->c);
            }
        }
    }
}

void k_pool_average(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                    size_t stride, struct k_range rows)
{
    const size_t channels = y_shape->c;

    for (size_t row = rows.from; row < rows.to; row++) {
        const size_t top = row % y_shape->h * stride, image = row / y_shape->h * x_shape->h;
        const size_t nr = top + stride <= x_shape->h ? stride : x_shape->h - top;
        for (size_t col = 0; col < y_shape->w; col++) {
            float *restrict to = y + row * y_shape->row + col * y_shape->ld;
            const size_t left = col * stride, nc = left + stride <= x_shape->w ? stride : x_shape->w - left;
            const float share = 1.0F / (float)(nr * nc);
            memset(to, 0, channels * sizeof *to);
            for (size_t i = 0; i < nr * nc; i++) {
                const float *from = x + (image + top + i / nc) * x_shape->row + (left + i % nc) * x_shape->ld;
                for (size_t c = 0; c < channels; c++) {
                    to[c] += share * from[c];
                }
            }
        }
    }
}

void k_pool_max_input(float *dx, const struct k_shape *dx_shape, const float *dy, const struct k_shape *dy_shape,
                      const float *x, const struct k_shape *x_shape, size_t kernel, size_t stride,
                      struct k_range images)
{
    const size_t pad = kernel / 2;

    memset(dx + images.from * dx_shape->h * dx_shape->row, 0,
           (images.to - images.from) * dx_shape->h * dx_shape->row * sizeof *dx);
    for (size_t row = images.from * dy_shape->h; row < images.to * dy_shape->h; row++) {
        const struct k_span span = k_span_of(row, dy_shape->h, x_shape->h, kernel, stride);
        for (size_t col = 0; col < dy_shape->w; col++) {
            const float *from = dy + row * dy_shape->row + col * dy_shape->ld;
            const size_t centre = col * stride, first = centre < pad ? 0 : centre - pad;
            const size_t end = centre + pad < x_shape->w ? centre + pad + 1 : x_shape->w, n = end - first;
            const float *window = x + span.first * x_shape->row + first * x_shape->ld;
            float *to = dx + span.first * dx_shape->row + first * dx_shape->ld;
            for (size_t c = 0; c < dy_shape->c; c++) {
                size_t best = 0;
                for (size_t i = 1; i < span.n * n; i++) {
                    const float much = window[best / n * x_shape->row + best % n * x_shape->ld + c];
                    best = window[i / n * x_shape->row + i % n * x_shape->ld + c] > much ? i : best;
                }
                to[best / n * dx_shape->row + best % n * dx_shape->ld + c] += from[c];
            }
        }
    }
}

void k_pool_average_input(float *dx, const struct k_shape *dx_shape, const float *dy, const struct k_shape *dy_shape,
                          size_t stride, struct k_range images)
{
    for (size_t row = images.from * dy_shape->h; row < images.to * dy_shape->h; row++) {
        const size_t top = row % dy_shape->h * stride, image = row / dy_shape->h * dx_shape->h;
        const size_t nr = top + stride <= dx_shape->h ? stride : dx_shape->h - top;
        for (size_t col = 0; col < dy_shape->w; col++) {
            const float *restrict from = dy + row * dy_shape->row + col * dy_shape->ld;
            const size_t left = col * stride, nc = left + stride <= dx_shape->w ? stride : dx_shape->w - left;
            const float share = 1.0F / (float)(nr * nc);
            for (size_t i = 0; i < nr * nc; i++) {
                float *restrict to = dx + (image + top + i / nc) * dx_shape->row + (left + i % nc) * dx_shape->ld;
                for (size_t c = 0; c < dy_shape->c; c++) {
                    to[c] += share * from[c];
                }
            }
        }
    }
}

static void activate(float *restrict y, size_t n, enum k_act act)
{
    for (size_t i = 0; i < n; i++) {
        switch (act) { /* the same for all: the compiler takes it out of the loop */
        case K_RELU:
            y[i] = y[i] > 0 ? y[i] : 0;
            break;
        case K_RELU6:
            y[i] = y[i] > 0 ? (y[i] < 6 ? y[i] : 6) : 0;
            break;
        case K_HSWISH:
        case K_HSIGMOID:
            y[i] = k_act_ref(y[i], act);
            break;
        case K_NONE:
        case K_ACT_COUNT:
            return;
        }
    }
}

void k_map_activate(float *y, const struct k_shape *shape, enum k_act act, struct k_range rows)
{
    for (size_t row = rows.from; row < rows.to; row++) {
        for (size_t col = 0; col < shape->w; col++) {
            activate(y + row * shape->row + col * shape->ld, shape->c, act);
        }
    }
}
