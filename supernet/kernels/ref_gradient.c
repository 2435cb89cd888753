/* ref_gradient.c - plain twins of the training kernels, written to be read. */
#include "supernet/kernels/gradient.h"

#include <string.h>

/* Sums and outputs go pixel by pixel over whole padded pixels: (row, col, c), rows counted over all images. */
struct place {
    size_t row, col, c;
};

static bool next(struct place *at, const struct k_shape *shape)
{
    if (++at->c == shape->ld) {
        at->c = 0;
        if (++at->col == shape->w) {
            at->col = 0;
            at->row++;
        }
    }
    return at->row < shape->nb * shape->h;
}

static size_t offset(const struct k_shape *shape, const struct place *at)
{
    return at->row * shape->row + at->col * shape->ld + at->c;
}

static void clear_halo(float *y, const struct k_shape *shape)
{
    const size_t bytes = shape->halo * shape->ld * sizeof *y;
    memset(y - shape->halo * shape->ld, 0, bytes);
    for (size_t row = 0; row < shape->nb * shape->h; row++) {
        memset(y + row * shape->row + shape->w * shape->ld, 0, bytes);
    }
}

/* act'(u) */
static float slope(float u, enum k_act act)
{
    switch (act) {
    case K_RELU:
        return u > 0.0F ? 1.0F : 0.0F;
    case K_RELU6:
        return u > 0.0F && u < 6.0F ? 1.0F : 0.0F;
    case K_HSWISH:
        return u <= -3.0F ? 0.0F : u >= 3.0F ? 1.0F : (2.0F * u + 3.0F) / 6.0F;
    case K_HSIGMOID:
        return u > -3.0F && u < 3.0F ? 1.0F / 6.0F : 0.0F;
    case K_NONE:
    case K_ACT_COUNT:
        break;
    }
    return 1.0F;
}

static float affine_at(const struct k_affine *of, const struct place *at)
{
    return of->z[offset(of->z_shape, at)] * of->scale[at->c] + of->shift[at->c];
}

/* ---- batch norm ---------------------------------------------------------------------------------------------- */

void k_sums_ref(float *sums, float *squares, const float *z, const struct k_shape *shape, const float *centre)
{
    struct place at = {0};
    memset(sums, 0, shape->ld * sizeof *sums);
    memset(squares, 0, shape->ld * sizeof *squares);
    do {
        const float x = z[offset(shape, &at)], off = x - centre[at.c];
        sums[at.c] += x;
        squares[at.c] += off * off;
    } while (next(&at, shape));
}

void k_affine_ref(float *y, const struct k_shape *y_shape, const struct k_affine *of, const float *gate, size_t ldg,
                  const float *residual, const struct k_shape *residual_shape)
{
    struct place at = {0};
    do {
        float value = k_act_ref(affine_at(of, &at), of->act);
        value *= gate == NULL ? 1.0F : gate[at.row / y_shape->h * ldg + at.c];
        value += residual == NULL ? 0.0F : residual[offset(residual_shape, &at)];
        y[offset(y_shape, &at)] = value;
    } while (next(&at, y_shape));
    clear_halo(y, y_shape);
}

void k_affine_sums_ref(float *sums, float *products, const float *dy, const struct k_shape *dy_shape,
                       const struct k_affine *of, const float *mean)
{
    struct place at = {0};
    memset(sums, 0, dy_shape->ld * sizeof *sums);
    memset(products, 0, dy_shape->ld * sizeof *products);
    do {
        const float g = dy[offset(dy_shape, &at)] * slope(affine_at(of, &at), of->act);
        sums[at.c] += g;
        products[at.c] += g * (of->z[offset(of->z_shape, &at)] - mean[at.c]);
    } while (next(&at, dy_shape));
}

void k_affine_gradient_ref(float *dz, const struct k_shape *dz_shape, const float *dy, const struct k_shape *dy_shape,
                           const struct k_affine *of, const float *a, const float *b, const float *k)
{
    struct place at = {0};
    do {
        const float g = dy[offset(dy_shape, &at)] * slope(affine_at(of, &at), of->act);
        dz[offset(dz_shape, &at)] = a[at.c] * g + b[at.c] * of->z[offset(of->z_shape, &at)] + k[at.c];
    } while (next(&at, dy_shape));
    clear_halo(dz, dz_shape);
}

/* ---- convolutions -------------------------------------------------------------------------------------------- */

void k_conv_weights_ref(float *dw, size_t ldw, const float *dz, size_t ldz, const float *x, size_t ldx, size_t n_pixels,
                        size_t co, size_t ci)
{
    for (size_t o = 0; o < co; o++) {
        for (size_t i = 0; i < ci; i++) {
            float sum = 0.0F;
            for (size_t p = 0; p < n_pixels; p++) {
                sum += dz[p * ldz + o] * x[p * ldx + i];
            }
            dw[o * ldw + i] += sum;
        }
    }
}

/* A depthwise layer's output q and tap meet one input: its place in image and map; false: outside the map. */
static bool input_of(size_t row, size_t col, size_t ky, size_t kx, size_t kernel, size_t stride,
                     const struct k_shape *dz_shape, const struct k_shape *x_shape, size_t *ret_at)
{
    const size_t y = row % dz_shape->h * stride + ky, x = col * stride + kx, pad = kernel / 2;
    if (y < pad || x < pad || y - pad >= x_shape->h || x - pad >= x_shape->w) {
        return false;
    }
    *ret_at = (row / dz_shape->h * x_shape->h + y - pad) * x_shape->row + (x - pad) * x_shape->ld;
    return true;
}

static size_t weight_at(size_t c, size_t ky, size_t kx, size_t kernel, size_t lanes)
{
    return ((c / lanes * kernel + ky) * kernel + kx) * lanes + c % lanes;
}

void k_depthwise_input_ref(float *dx, const struct k_shape *dx_shape, const float *dz, const struct k_shape *dz_shape,
                           const float *w, size_t kernel, size_t stride, size_t lanes)
{
    for (size_t row = 0; row < dx_shape->nb * dx_shape->h; row++) {
        memset(dx + row * dx_shape->row, 0, dx_shape->w * dx_shape->ld * sizeof *dx);
    }
    struct place at = {0};
    do {
        for (size_t tap = 0; tap < kernel * kernel; tap++) {
            const size_t ky = tap / kernel, kx = tap % kernel;
            size_t input = 0;
            if (input_of(at.row, at.col, ky, kx, kernel, stride, dz_shape, dx_shape, &input)) {
                dx[input + at.c] += dz[offset(dz_shape, &at)] * w[weight_at(at.c, ky, kx, kernel, lanes)];
            }
        }
    } while (next(&at, dz_shape));
}

void k_depthwise_weights_ref(float *dw, const float *dz, const struct k_shape *dz_shape, const float *x,
                             const struct k_shape *x_shape, size_t kernel, size_t stride, size_t lanes)
{
    struct place at = {0};
    do {
        for (size_t tap = 0; tap < kernel * kernel; tap++) {
            const size_t ky = tap / kernel, kx = tap % kernel;
            size_t input = 0;
            if (input_of(at.row, at.col, ky, kx, kernel, stride, dz_shape, x_shape, &input)) {
                dw[weight_at(at.c, ky, kx, kernel, lanes)] += dz[offset(dz_shape, &at)] * x[input + at.c];
            }
        }
    } while (next(&at, dz_shape));
}

/* ---- gates --------------------------------------------------------------------------------------------------- */

void k_dots_ref(float *dots, size_t ldd, const float *a, const struct k_shape *a_shape, const float *b,
                const struct k_shape *b_shape)
{
    struct place at = {0};
    for (size_t n = 0; n < a_shape->nb; n++) {
        memset(dots + n * ldd, 0, a_shape->ld * sizeof *dots);
    }
    do {
        dots[at.row / a_shape->h * ldd + at.c] += a[offset(a_shape, &at)] * b[offset(b_shape, &at)];
    } while (next(&at, a_shape));
}

void k_gate_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                const float *gate, const float *add, size_t ldg)
{
    struct place at = {0};
    do {
        const size_t n = at.row / y_shape->h * ldg + at.c;
        y[offset(y_shape, &at)] = (x == NULL ? 0.0F : x[offset(x_shape, &at)] * gate[n]) + add[n];
    } while (next(&at, y_shape));
}
