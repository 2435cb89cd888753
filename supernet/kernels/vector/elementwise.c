/* elementwise.c - what touches each number once or twice and is bound by memory: mean, scale, add. */
#include "supernet/kernels/vector/vector.h"

/* y[0..nv-1] = mean of the nv vectors over the pixels of one image; nv is a constant where this is called. */
K_INLINE void mean(float *restrict y, const float *restrict x, const struct k_shape *shape, const size_t nv)
{
    k_vec acc[8] = {{0}};
    for (size_t row = 0; row < shape->h; row++) {
        for (size_t col = 0; col < shape->w; col++) {
            K_UNROLL
            for (size_t v = 0; v < nv; v++) {
                acc[v] += k_load(x + row * shape->row + col * shape->ld + v * K_LANES);
            }
        }
    }
    const k_vec count = k_splat((float)(shape->h * shape->w));
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        k_store(y + v * K_LANES, acc[v] / count);
    }
}

void K_NAME(k_mean)(float *y, size_t ldy, const float *x, const struct k_shape *shape, struct k_range vectors)
{
    for (size_t n = 0; n < shape->nb; n++, y += ldy, x += shape->h * shape->row) {
        size_t v = vectors.from;
        for (; v + 8 <= vectors.to; v += 8) {
            mean(y + v * K_LANES, x + v * K_LANES, shape, 8);
        }
        for (; v < vectors.to; v++) {
            mean(y + v * K_LANES, x + v * K_LANES, shape, 1);
        }
    }
}

void K_NAME(k_scale)(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *shape,
                     const float *s, size_t lds, struct k_range rows)
{
    for (size_t row = rows.from; row < rows.to; row++) {
        const float *by = s + row / shape->h * lds;
        for (size_t col = 0; col < shape->w; col++) {
            const float *from = x + row * shape->row + col * shape->ld;
            float *to = y + row * y_shape->row + col * y_shape->ld;
            for (size_t c = 0; c < shape->c; c += K_LANES) {
                k_store(to + c, k_load(from + c) * k_load(by + c));
            }
        }
    }
}

void K_NAME(k_add)(float *y, const struct k_shape *y_shape, const float *a, const struct k_shape *a_shape,
                   const float *b, const struct k_shape *b_shape, struct k_range rows)
{
    for (size_t row = rows.from; row < rows.to; row++) {
        for (size_t col = 0; col < y_shape->w; col++) {
            const float *pa = a + row * a_shape->row + col * a_shape->ld,
                        *pb = b + row * b_shape->row + col * b_shape->ld;
            float *to = y + row * y_shape->row + col * y_shape->ld;
            for (size_t c = 0; c < y_shape->c; c += K_LANES) {
                k_store(to + c, k_load(pa + c) + k_load(pb + c));
            }
        }
    }
}
