/* depthwise_gradient.c - gradients of depthwise layers, vectors over channels.
 *
 * Input: a strip of inputs of a row lives in registers while the kernel's rows pass by; stride 2 falls apart into the
 * inputs of even and of odd columns, which meet different taps. Weights: the sums of one kernel row's taps live in
 * registers while the outputs of the rows pass by.
 */
#include "supernet/kernels/vector/gradients.h"

enum { STRIP = 8, KERNEL_MAX = 7, SQUARE_ROWS = 8 };

/* ---- input --------------------------------------------------------------------------------------------------- */

/* `outputs` inputs of one row, `step` columns apart (1, or 2 for one parity of stride 2), the first under centre column
 * `dz` of the gradient: input t meets dz[t + j] under the tap reversed(j). taps: how many columns of dz each meets; the
 * first tap column is `last`, and taps go down by `stride`. */
struct strip {
    float *dx;
    const float *dz; /* the first column that the first input meets, in the first kernel row used */
    const float *w;  /* the tap of that, in that kernel row */
    size_t dx_step;  /* floats between inputs */
    size_t rows;     /* kernel rows that meet the map */
    size_t dz_row;   /* floats from a kernel row's gradient to the next one's (backwards through the map) */
    size_t w_row;    /* the same for weights */
};

K_INLINE void input_strip(const struct strip *at, size_t ld, const size_t taps, const size_t tap_step,
                          const size_t inputs)
{
    k_vec acc[STRIP] = {{0}};
    const float *dz = at->dz, *w = at->w;
    for (size_t r = 0; r < at->rows; r++, dz += at->dz_row, w -= at->w_row) {
        k_vec wk[KERNEL_MAX];
        K_UNROLL
        for (size_t j = 0; j < taps; j++) {
            wk[j] = k_load(w - j * tap_step * K_LANES);
        }
        K_UNROLL
        for (size_t i = 0; i < inputs + taps - 1; i++) {
            const k_vec d = k_load(dz + i * ld);
            K_UNROLL
            for (size_t t = 0; t < inputs; t++) {
                if (i >= t && i - t < taps) {
                    acc[t] += d * wk[i - t];
                }
            }
        }
    }
    K_UNROLL
    for (size_t t = 0; t < inputs; t++) {
        k_store(at->dx + t * at->dx_step, acc[t]);
    }
}

#define INPUTS(name, taps, step)                                                                                       \
    static void name(const struct strip *at, size_t ld, size_t inputs)                                                 \
    {                                                                                                                  \
        switch (inputs) {                                                                                              \
        case 1:                                                                                                        \
            input_strip(at, ld, taps, step, 1);                                                                        \
            break;                                                                                                     \
        case 2:                                                                                                        \
            input_strip(at, ld, taps, step, 2);                                                                        \
            break;                                                                                                     \
        case 3:                                                                                                        \
            input_strip(at, ld, taps, step, 3);                                                                        \
            break;                                                                                                     \
        case 4:                                                                                                        \
            input_strip(at, ld, taps, step, 4);                                                                        \
            break;                                                                                                     \
        case 5:                                                                                                        \
            input_strip(at, ld, taps, step, 5);                                                                        \
            break;                                                                                                     \
        case 6:                                                                                                        \
            input_strip(at, ld, taps, step, 6);                                                                        \
            break;                                                                                                     \
        case 7:                                                                                                        \
            input_strip(at, ld, taps, step, 7);                                                                        \
            break;                                                                                                     \
        default:                                                                                                       \
            input_strip(at, ld, taps, step, 8);                                                                        \
            break;                                                                                                     \
        }                                                                                                              \
    }

INPUTS(input_1, 1, 1)
INPUTS(input_3, 3, 1)
INPUTS(input_5, 5, 1)
INPUTS(input_7, 7, 1)
INPUTS(input_1_by_2, 1, 2)
INPUTS(input_2_by_2, 2, 2)
INPUTS(input_3_by_2, 3, 2)
INPUTS(input_4_by_2, 4, 2)

typedef void input_fn(const struct strip *at, size_t ld, size_t inputs);
static input_fn *const inputs_by_1[] = {input_1, input_3, input_5, input_7};                     /* by kernel / 2 */
static input_fn *const inputs_by_2[] = {input_1_by_2, input_2_by_2, input_3_by_2, input_4_by_2}; /* by taps - 1 */

/* Along one axis, input i at `stride` meets outputs first .. first + n - 1: output first + j under tap tap - j * stride.
 */
struct meets {
    size_t tap, n;
    ptrdiff_t first;
};

/* pad = kernel / 2: output q reads inputs q * stride + tap - pad, so tap = i + pad - q * stride. Outputs outside the map
 * are left in: columns are the halo's zeros, rows are cut by the caller. */
K_INLINE struct meets meets_of(size_t i, size_t kernel, size_t stride)
{
    const size_t pad = kernel / 2, reach = i + pad; /* the tap of output 0 */
    if (stride == 1) {
        return (struct meets){.tap = kernel - 1, .n = kernel, .first = (ptrdiff_t)(reach + 1) - (ptrdiff_t)kernel};
    }
    const size_t tap = (reach & 1U) == ((kernel - 1) & 1U) ? kernel - 1 : kernel - 2; /* the largest of its parity */
    const bool none = kernel == 1 && (reach & 1U) != 0;
    return (struct meets){
        .tap = none ? 0 : tap, .n = none ? 0 : tap / 2 + 1, .first = ((ptrdiff_t)reach - (ptrdiff_t)tap) / 2};
}

/* What all strips of one layer share. */
struct input_job {
    float *dx;
    const float *dz, *w;
    const struct k_shape *dx_shape, *dz_shape;
    size_t kernel, stride;
};

/* The inputs of one row at columns of one parity (stride 1: all), for one vector of channels. */
K_INLINE void input_row(const struct input_job *job, size_t row, size_t parity, size_t v)
{
    const struct k_shape *to = job->dx_shape, *from = job->dz_shape;
    const size_t kernel = job->kernel, stride = job->stride;
    const struct meets up = meets_of(row % to->h, kernel, stride), across = meets_of(parity, kernel, stride);
    const size_t above = up.first < 0 ? (size_t)-up.first : 0; /* outputs above the map */
    const ptrdiff_t first = up.first < 0 ? 0 : up.first;
    const ptrdiff_t below = up.first + (ptrdiff_t)up.n - (ptrdiff_t)from->h;
    const ptrdiff_t rows = (ptrdiff_t)up.n - (ptrdiff_t)above - (below > 0 ? below : 0);
    const size_t n = (to->w - parity + stride - 1) / stride, taps = across.n;
    float *dx = job->dx + row * to->row + parity * to->ld + v * K_LANES;
    if (rows <= 0 || taps == 0) {
        for (size_t t = 0; t < n; t++) {
            k_store(dx + t * stride * to->ld, (k_vec){0});
        }
        return;
    }
    input_fn *fn = stride == 1 ? inputs_by_1[kernel / 2] : inputs_by_2[taps - 1];
    const float *dz = job->dz + (ptrdiff_t)((row / to->h * from->h + (size_t)first) * from->row) +
                      across.first * (ptrdiff_t)from->ld + (ptrdiff_t)(v * K_LANES);
    const size_t tap_row = up.tap - above * stride;
    struct strip strip = {.w = job->w + ((v * kernel + tap_row) * kernel + across.tap) * K_LANES,
                          .dx_step = stride * to->ld,
                          .rows = (size_t)rows,
                          .dz_row = from->row,
                          .w_row = stride * kernel * K_LANES};
    for (size_t t = 0; t < n; t += STRIP) {
        strip.dx = dx + t * strip.dx_step;
        strip.dz = dz + t * from->ld;
        fn(&strip, from->ld, n - t < STRIP ? n - t : STRIP);
    }
}

void K_NAME(k_depthwise_input)(float *dx, const struct k_shape *dx_shape, const float *dz,
                               const struct k_shape *dz_shape, const float *w, size_t kernel, size_t stride,
                               struct k_range rows, struct k_range vectors)
{
    const struct input_job job = {
        .dx = dx, .dz = dz, .w = w, .dx_shape = dx_shape, .dz_shape = dz_shape, .kernel = kernel, .stride = stride};
    for (size_t top = rows.from; top < rows.to; top += SQUARE_ROWS) {
        const size_t end = top + SQUARE_ROWS < rows.to ? top + SQUARE_ROWS : rows.to;
        for (size_t v = vectors.from; v < vectors.to; v++) {
            for (size_t row = top; row < end; row++) {
                for (size_t parity = 0; parity < stride && parity < dx_shape->w; parity++) {
                    input_row(&job, row, parity, v);
                }
            }
        }
    }
}

/* ---- weights ------------------------------------------------------------------------------------------------- */

/* One output row under one kernel row: acc[kx] += sum over q of dz[q] * x[q * stride + kx]. kernel, stride constants. */
K_INLINE void weights_row(k_vec *acc, const float *dz, size_t ldz, const float *x, size_t ldx, size_t w,
                          const size_t kernel, const size_t stride)
{
    for (size_t q = 0; q < w; q++, dz += ldz, x += stride * ldx) {
        const k_vec d = k_load(dz);
        K_UNROLL
        for (size_t kx = 0; kx < kernel; kx++) {
            acc[kx] += d * k_load(x + kx * ldx);
        }
    }
}

struct weights_job {
    float *dw;
    const float *dz, *x;
    const struct k_shape *dz_shape, *x_shape;
    struct k_range rows;
};

/* All kernel rows at once where their sums fit the registers, else one after the other. */
K_INLINE void weights_of(const struct weights_job *job, size_t v, size_t ky, const size_t kernel, const size_t stride)
{
    const struct k_shape *to = job->dz_shape, *from = job->x_shape;
    const size_t pad = kernel / 2;
    float *dw = job->dw + (v * kernel + ky) * kernel * K_LANES;
    k_vec acc[KERNEL_MAX];
    K_UNROLL
    for (size_t kx = 0; kx < kernel; kx++) {
        acc[kx] = k_load(dw + kx * K_LANES);
    }
    for (size_t row = job->rows.from; row < job->rows.to; row++) {
        const size_t y = row % to->h * stride + ky;
        if (y < pad || y - pad >= from->h) {
            continue;
        }
        const float *x = job->x + (row / to->h * from->h + y - pad) * from->row + v * K_LANES - pad * from->ld;
        weights_row(acc, job->dz + row * to->row + v * K_LANES, to->ld, x, from->ld, to->w, kernel, stride);
    }
    K_UNROLL
    for (size_t kx = 0; kx < kernel; kx++) {
        k_store(dw + kx * K_LANES, acc[kx]);
    }
}

typedef void weights_fn(const struct weights_job *job, size_t v, size_t ky);

#define WEIGHTS(k, s)                                                                                                  \
    static void weights_##k##_##s(const struct weights_job *job, size_t v, size_t ky)                                  \
    {                                                                                                                  \
        weights_of(job, v, ky, k, s);                                                                                  \
    }
WEIGHTS(1, 1)
WEIGHTS(3, 1)
WEIGHTS(5, 1)
WEIGHTS(7, 1)
WEIGHTS(1, 2)
WEIGHTS(3, 2)
WEIGHTS(5, 2)
WEIGHTS(7, 2)

static weights_fn *const weights_fns[4][2] = {/* by kernel / 2, stride - 1 */
                                              {weights_1_1, weights_1_2},
                                              {weights_3_1, weights_3_2},
                                              {weights_5_1, weights_5_2},
                                              {weights_7_1, weights_7_2}};

void K_NAME(k_depthwise_weights)(float *dw, const float *dz, const struct k_shape *dz_shape, const float *x,
                                 const struct k_shape *x_shape, size_t kernel, size_t stride, struct k_range rows,
                                 struct k_range vectors)
{
    weights_fn *fn = weights_fns[kernel / 2][stride - 1];
    struct weights_job job = {.dw = dw, .dz = dz, .x = x, .dz_shape = dz_shape, .x_shape = x_shape};
    /* A few rows at a time, so that what one vector of channels reads stays in the first cache for all kernel rows. */
    for (size_t top = rows.from; top < rows.to; top += SQUARE_ROWS) {
        job.rows = (struct k_range){top, top + SQUARE_ROWS < rows.to ? top + SQUARE_ROWS : rows.to};
        for (size_t v = vectors.from; v < vectors.to; v++) {
            for (size_t ky = 0; ky < kernel; ky++) {
                fn(&job, v, ky);
            }
        }
    }
}
