/* ref.c - the plain twins of the kernels: the formula as a loop, summed in double, nothing else. */
#include "supernet/kernels/kernel.h"

#include <math.h>

float k_act_ref(float x, enum k_act act)
{
    const float up = x + 3 < 0 ? 0 : x + 3 > 6 ? 6 : x + 3;
    switch (act) {
    case K_RELU:
        return x > 0 ? x : 0;
    case K_RELU6:
        return x < 0 ? 0 : x > 6 ? 6 : x;
    case K_HSWISH:
        return x * up / 6;
    case K_HSIGMOID:
        return up / 6;
    case K_NONE:
    case K_ACT_COUNT:
        break;
    }
    return x;
}

/* Input row or column of tap `tap` for output `out`; false: outside the map. */
static bool inside(size_t out, size_t tap, size_t kernel, size_t stride, size_t size, size_t *ret_in)
{
    const size_t moved = out * stride + tap;
    if (moved < kernel / 2 || moved - kernel / 2 >= size) {
        return false;
    }
    *ret_in = moved - kernel / 2;
    return true;
}

/* Sum over the window of output (row, col) of `channels` channels from x times w (kernel, kernel, channels). */
static double window(const float *x, const struct k_shape *shape, size_t n, size_t row, size_t col, const float *w,
                     size_t channels, size_t kernel, size_t stride)
{
    double sum = 0;
    for (size_t ky = 0, iy; ky < kernel; ky++) {
        for (size_t kx = 0, ix; kx < kernel; kx++) {
            if (!inside(row, ky, kernel, stride, shape->h, &iy) || !inside(col, kx, kernel, stride, shape->w, &ix)) {
                continue;
            }
            const float *from = x + k_at(shape, n, iy, ix), *by = w + (ky * kernel + kx) * channels;
            for (size_t i = 0; i < channels; i++) {
                sum += (double)from[i] * (double)by[i];
            }
        }
    }
    return sum;
}

void k_conv_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                const float *residual, const struct k_shape *residual_shape, const float *w, const float *bias,
                size_t kernel, size_t stride, enum k_act act)
{
    const size_t ci = x_shape->c, pixels = y_shape->nb * y_shape->h * y_shape->w;
    for (size_t p = 0; p < pixels; p++) {
        const size_t col = p % y_shape->w, row = p / y_shape->w % y_shape->h, n = p / y_shape->w / y_shape->h;
        for (size_t o = 0; o < y_shape->c; o++) {
            const float *wo = w + o * kernel * kernel * ci;
            const double sum = (double)bias[o] + window(x, x_shape, n, row, col, wo, ci, kernel, stride);
            const float add = residual == NULL ? 0 : residual[k_at(residual_shape, n, row, col) + o];
            y[k_at(y_shape, n, row, col) + o] = k_act_ref((float)sum, act) + add;
        }
    }
}

void k_depthwise_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                     const float *w, const float *bias, size_t kernel, size_t stride, enum k_act act)
{
    const size_t pixels = y_shape->nb * y_shape->h * y_shape->w;
    for (size_t p = 0; p < pixels; p++) {
        const size_t col = p % y_shape->w, row = p / y_shape->w % y_shape->h, n = p / y_shape->w / y_shape->h;
        for (size_t c = 0; c < y_shape->c; c++) {
            const float *wc = w + c * kernel * kernel;
            const double sum = (double)bias[c] + window(x + c, x_shape, n, row, col, wc, 1, kernel, stride);
            y[k_at(y_shape, n, row, col) + c] = k_act_ref((float)sum, act);
        }
    }
}

void k_mean_ref(float *y, size_t ldy, const float *x, const struct k_shape *shape)
{
    for (size_t n = 0; n < shape->nb; n++) {
        for (size_t c = 0; c < shape->c; c++) {
            double sum = 0;
            for (size_t p = 0; p < shape->h * shape->w; p++) {
                sum += (double)x[k_at(shape, n, p / shape->w, p % shape->w) + c];
            }
            y[n * ldy + c] = (float)(sum / (double)(shape->h * shape->w));
        }
    }
}

void k_scale_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *shape, const float *s,
                 size_t lds)
{
    for (size_t p = 0; p < shape->nb * shape->h * shape->w; p++) {
        const size_t col = p % shape->w, row = p / shape->w % shape->h, n = p / shape->w / shape->h;
        for (size_t c = 0; c < shape->c; c++) {
            y[k_at(y_shape, n, row, col) + c] = x[k_at(shape, n, row, col) + c] * s[n * lds + c];
        }
    }
}

void k_add_ref(float *y, const struct k_shape *y_shape, const float *a, const struct k_shape *a_shape, const float *b,
               const struct k_shape *b_shape)
{
    for (size_t p = 0; p < y_shape->nb * y_shape->h * y_shape->w; p++) {
        const size_t col = p % y_shape->w, row = p / y_shape->w % y_shape->h, n = p / y_shape->w / y_shape->h;
        for (size_t c = 0; c < y_shape->c; c++) {
            y[k_at(y_shape, n, row, col) + c] = a[k_at(a_shape, n, row, col) + c] + b[k_at(b_shape, n, row, col) + c];
        }
    }
}

void k_pool_max_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                    size_t kernel, size_t stride)
{
    const size_t pixels = y_shape->nb * y_shape->h * y_shape->w;
    for (size_t i = 0; i < pixels * y_shape->c; i++) {
        const size_t p = i / y_shape->c, c = i % y_shape->c;
        const size_t col = p % y_shape->w, row = p / y_shape->w % y_shape->h, n = p / y_shape->w / y_shape->h;
        float *to = &y[k_at(y_shape, n, row, col) + c];
        *to = -INFINITY;
        for (size_t tap = 0, iy, ix; tap < kernel * kernel; tap++) {
            if (inside(row, tap / kernel, kernel, stride, x_shape->h, &iy) &&
                inside(col, tap % kernel, kernel, stride, x_shape->w, &ix)) {
                *to = fmaxf(*to, x[k_at(x_shape, n, iy, ix) + c]);
            }
        }
    }
}

void k_pool_average_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                        size_t stride)
{
    const size_t pixels = y_shape->nb * y_shape->h * y_shape->w;
    for (size_t i = 0; i < pixels * y_shape->c; i++) {
        const size_t p = i / y_shape->c, c = i % y_shape->c;
        const size_t col = p % y_shape->w, row = p / y_shape->w % y_shape->h, n = p / y_shape->w / y_shape->h;
        double sum = 0;
        unsigned taps = 0;
        for (size_t tap = 0; tap < stride * stride; tap++) {
            const size_t iy = row * stride + tap / stride, ix = col * stride + tap % stride;
            if (iy < x_shape->h && ix < x_shape->w) {
                sum += (double)x[k_at(x_shape, n, iy, ix) + c];
                taps++;
            }
        }
        y[k_at(y_shape, n, row, col) + c] = (float)(sum / taps);
    }
}
