/* affine.c - batch norm and activation: sums over a tensor's pixels, y = act(z * scale + shift), and its gradient.
 *
 * Bound by memory: each tensor is read once. Sums keep a few vectors of channels in registers while the pixels of the
 * rows pass by.
 */
#include "supernet/kernels/vector/gradients.h"

#include <string.h>

enum { SUM_VECTORS = 4 };

/* act'(u) */
K_INLINE k_vec slope(k_vec u, enum k_act act)
{
    const k_vec zero = {0}, one = k_splat(1.0F);
    switch (act) {
    case K_RELU:
        return k_between(u, zero, k_splat(INFINITY), one);
    case K_RELU6:
        return k_between(u, zero, k_splat(6.0F), one);
    case K_HSWISH: /* (2u + 3) / 6 within, 0 below, 1 above; the float below 3 is 2.9999998 */
        return k_between(u, k_splat(-3.0F), k_splat(3.0F), (u + u + k_splat(3.0F)) * k_splat(1.0F / 6.0F)) +
               k_between(u, k_splat(2.9999997F), k_splat(INFINITY), one);
    case K_HSIGMOID:
        return k_between(u, k_splat(-3.0F), k_splat(3.0F), k_splat(1.0F / 6.0F));
    case K_NONE:
    case K_ACT_COUNT:
        break;
    }
    return one;
}

/* ---- sums ---------------------------------------------------------------------------------------------------- */

K_INLINE void sums_of(float *restrict sums, float *restrict squares, const float *restrict z,
                      const struct k_shape *shape, const float *restrict centre, struct k_range rows, const size_t nv)
{
    k_vec s[SUM_VECTORS] = {{0}}, q[SUM_VECTORS] = {{0}}, mid[SUM_VECTORS];
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        mid[v] = k_load(centre + v * K_LANES);
    }
    for (size_t row = rows.from; row < rows.to; row++) {
        const float *pixel = z + row * shape->row;
        for (size_t col = 0; col < shape->w; col++, pixel += shape->ld) {
            K_UNROLL
            for (size_t v = 0; v < nv; v++) {
                const k_vec x = k_load(pixel + v * K_LANES), off = x - mid[v];
                s[v] += x;
                q[v] += off * off;
            }
        }
    }
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        k_store(sums + v * K_LANES, s[v]);
        k_store(squares + v * K_LANES, q[v]);
    }
}

void K_NAME(k_sums)(float *sums, float *squares, const float *z, const struct k_shape *shape, const float *centre,
                    struct k_range rows)
{
    size_t c = 0;
    for (; c + SUM_VECTORS * K_LANES <= shape->ld; c += SUM_VECTORS * K_LANES) {
        sums_of(sums + c, squares + c, z + c, shape, centre + c, rows, SUM_VECTORS);
    }
    for (; c < shape->ld; c += K_LANES) {
        sums_of(sums + c, squares + c, z + c, shape, centre + c, rows, 1);
    }
}

/* ---- forward ------------------------------------------------------------------------------------------------- */

/* The zeros right of a row, and for the first row those left of it. */
K_INLINE void clear_halo(float *y, const struct k_shape *shape, size_t row)
{
    const size_t bytes = shape->halo * shape->ld * sizeof *y;
    if (bytes == 0) {
        return;
    }
    if (row == 0) {
        memset(y - shape->halo * shape->ld, 0, bytes);
    }
    memset(y + row * shape->row + shape->w * shape->ld, 0, bytes);
}

/* One pixel; act and what there is are constants where this is called. */
K_INLINE void affine_pixel(float *to, const float *from, const struct k_affine *of, const float *gate,
                           const float *residual, size_t ld, enum k_act act)
{
    for (size_t c = 0; c < ld; c += K_LANES) {
        k_vec u = k_load(from + c) * k_load(of->scale + c) + k_load(of->shift + c);
        k_activate(&u, 1, act);
        if (gate != NULL) {
            u *= k_load(gate + c);
        }
        if (residual != NULL) {
            u += k_load(residual + c);
        }
        k_store(to + c, u);
    }
}

K_INLINE void affine_rows(float *y, const struct k_shape *y_shape, const struct k_affine *of, const float *gate,
                          size_t ldg, const float *residual, const struct k_shape *residual_shape, struct k_range rows,
                          enum k_act act)
{
    const struct k_shape *z_shape = of->z_shape;
    for (size_t row = rows.from; row < rows.to; row++) {
        const float *from = of->z + row * z_shape->row;
        const float *by = gate == NULL ? NULL : gate + row / y_shape->h * ldg;
        float *to = y + row * y_shape->row;
        for (size_t col = 0; col < y_shape->w; col++) {
            const float *add =
                residual == NULL ? NULL : residual + row * residual_shape->row + col * residual_shape->ld;
            affine_pixel(to + col * y_shape->ld, from + col * z_shape->ld, of, by, add, y_shape->ld, act);
        }
        clear_halo(y, y_shape, row);
    }
}

#define EACH_ACT(act, call)                                                                                            \
    switch (act) {                                                                                                     \
    case K_RELU:                                                                                                       \
        call(K_RELU);                                                                                                  \
        break;                                                                                                         \
    case K_RELU6:                                                                                                      \
        call(K_RELU6);                                                                                                 \
        break;                                                                                                         \
    case K_HSWISH:                                                                                                     \
        call(K_HSWISH);                                                                                                \
        break;                                                                                                         \
    case K_HSIGMOID:                                                                                                   \
        call(K_HSIGMOID);                                                                                              \
        break;                                                                                                         \
    case K_NONE:                                                                                                       \
    case K_ACT_COUNT:                                                                                                  \
        call(K_NONE);                                                                                                  \
        break;                                                                                                         \
    }

void K_NAME(k_affine)(float *y, const struct k_shape *y_shape, const struct k_affine *of, const float *gate, size_t ldg,
                      const float *residual, const struct k_shape *residual_shape, struct k_range rows){
#define CALL(act) affine_rows(y, y_shape, of, gate, ldg, residual, residual_shape, rows, act)
    EACH_ACT(of->act, CALL)
#undef CALL
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

K_INLINE void affine_sums_of(float *restrict sums, float *restrict products, const float *dy,
                             const struct k_shape *dy_shape, const struct k_affine *of, const float *mean, size_t c,
                             struct k_range rows, enum k_act act, const size_t nv)
{
    k_vec s[SUM_VECTORS] = {{0}}, p[SUM_VECTORS] = {{0}}, scale[SUM_VECTORS], shift[SUM_VECTORS], mid[SUM_VECTORS];
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        scale[v] = k_load(of->scale + c + v * K_LANES);
        shift[v] = k_load(of->shift + c + v * K_LANES);
        mid[v] = k_load(mean + c + v * K_LANES);
    }
    for (size_t row = rows.from; row < rows.to; row++) {
        const float *d = dy + row * dy_shape->row + c, *z = of->z + row * of->z_shape->row + c;
        for (size_t col = 0; col < dy_shape->w; col++, d += dy_shape->ld, z += of->z_shape->ld) {
            K_UNROLL
            for (size_t v = 0; v < nv; v++) {
                const k_vec x = k_load(z + v * K_LANES);
                const k_vec g = k_load(d + v * K_LANES) * slope(x * scale[v] + shift[v], act);
                s[v] += g;
                p[v] += g * (x - mid[v]);
            }
        }
    }
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        k_store(sums + c + v * K_LANES, s[v]);
        k_store(products + c + v * K_LANES, p[v]);
    }
}

K_INLINE void affine_sums_all(float *sums, float *products, const float *dy, const struct k_shape *dy_shape,
                              const struct k_affine *of, const float *mean, struct k_range rows, enum k_act act)
{
    size_t c = 0;
    for (; c + 2 * K_LANES <= dy_shape->ld; c += 2 * K_LANES) {
        affine_sums_of(sums, products, dy, dy_shape, of, mean, c, rows, act, 2);
    }
    for (; c < dy_shape->ld; c += K_LANES) {
        affine_sums_of(sums, products, dy, dy_shape, of, mean, c, rows, act, 1);
    }
}

void K_NAME(k_affine_sums)(float *sums, float *products, const float *dy, const struct k_shape *dy_shape,
                           const struct k_affine *of, const float *mean, struct k_range rows){
#define CALL(act) affine_sums_all(sums, products, dy, dy_shape, of, mean, rows, act)
    EACH_ACT(of->act, CALL)
#undef CALL
}

K_INLINE void affine_gradient_rows(float *dz, const struct k_shape *dz_shape, const float *dy,
                                   const struct k_shape *dy_shape, const struct k_affine *of, const float *a,
                                   const float *b, const float *k, struct k_range rows, enum k_act act)
{
    for (size_t row = rows.from; row < rows.to; row++) {
        for (size_t col = 0; col < dy_shape->w; col++) {
            const float *d = dy + row * dy_shape->row + col * dy_shape->ld;
            const float *z = of->z + row * of->z_shape->row + col * of->z_shape->ld;
            float *to = dz + row * dz_shape->row + col * dz_shape->ld;
            for (size_t c = 0; c < dy_shape->ld; c += K_LANES) {
                const k_vec x = k_load(z + c);
                const k_vec g = k_load(d + c) * slope(x * k_load(of->scale + c) + k_load(of->shift + c), act);
                k_store(to + c, k_load(a + c) * g + (k_load(b + c) * x + k_load(k + c)));
            }
        }
        clear_halo(dz, dz_shape, row);
    }
}

void K_NAME(k_affine_gradient)(float *dz, const struct k_shape *dz_shape, const float *dy,
                               const struct k_shape *dy_shape, const struct k_affine *of, const float *a,
                               const float *b, const float *k, struct k_range rows)
{
#define CALL(act) affine_gradient_rows(dz, dz_shape, dy, dy_shape, of, a, b, k, rows, act)
    EACH_ACT(of->act, CALL)
#undef CALL
}

/* ---- gates --------------------------------------------------------------------------------------------------- */

void K_NAME(k_dots)(float *dots, size_t ldd, const float *a, const struct k_shape *a_shape, const float *b,
                    const struct k_shape *b_shape, struct k_range images)
{
    for (size_t n = images.from; n < images.to; n++) {
        for (size_t c = 0; c < a_shape->ld; c += K_LANES) {
            k_vec sum = {0};
            for (size_t row = n * a_shape->h; row < (n + 1) * a_shape->h; row++) {
                for (size_t col = 0; col < a_shape->w; col++) {
                    sum += k_load(a + row * a_shape->row + col * a_shape->ld + c) *
                           k_load(b + row * b_shape->row + col * b_shape->ld + c);
                }
            }
            k_store(dots + n * ldd + c, sum);
        }
    }
}

void K_NAME(k_gate)(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                    const float *gate, const float *add, size_t ldg, struct k_range rows)
{
    for (size_t row = rows.from; row < rows.to; row++) {
        const size_t n = row / y_shape->h * ldg;
        for (size_t col = 0; col < y_shape->w; col++) {
            float *to = y + row * y_shape->row + col * y_shape->ld;
            const float *from = x == NULL ? NULL : x + row * x_shape->row + col * x_shape->ld;
            for (size_t c = 0; c < y_shape->ld; c += K_LANES) {
                const k_vec more = k_load(add + n + c);
                k_store(to + c, from == NULL ? more : k_load(from + c) * k_load(gate + n + c) + more);
            }
        }
    }
}
