/* depthwise_gradient.c - the gradients of one filter a channel, vectors over channels, squares of strips as in
 * depthwise.c.
 *
 * The input's gradient at stride 1 is depthwise.c with the taps reversed. At stride 2 an input meets every second tap,
 * which ones by the parity of its row and column: strips start at even columns, and the unrolled loops keep of each
 * output column the taps that exist.
 *
 * The weights' gradient keeps the sums of a few kernel rows in registers while a square's outputs of one strip pass by,
 * and adds them to memory once a square.
 */
#include "supernet/kernels/vector/gradients.h"

enum { STRIP_MAX = 8, SQUARE_ROWS = 8, KERNEL_MAX = 7, SUMS_MAX = 15 };

#define BY_STRIP(of, ...)                                                                                              \
    of(1, __VA_ARGS__) of(2, __VA_ARGS__) of(3, __VA_ARGS__) of(4, __VA_ARGS__) of(5, __VA_ARGS__) of(6, __VA_ARGS__)  \
        of(7, __VA_ARGS__) of(8, __VA_ARGS__)

/* ---- input, stride 2 ------------------------------------------------------------------------------------------ */

/* One row of the input's gradient. */
struct spread_line {
    float *dx;
    const float *dz, *w; /* first of the output rows that read it, and the kernel row with which that does */
    size_t n;            /* such output rows; the next one reads it two kernel rows before */
};

struct spread_square {
    struct spread_line lines[SQUARE_ROWS];
    size_t n_lines, ldx, ldz, row_z;
};

/* dx at the columns [col, col + outputs), col even. kernel and outputs are constants where this is called. */
K_INLINE void spread(const struct spread_square *square, size_t col, size_t v, const size_t outputs,
                     const size_t kernel)
{
    const size_t pad = kernel / 2, back = pad / 2, columns = back + (outputs - 1 + pad) / 2 + 1, ldz = square->ldz;
    for (const struct spread_line *line = square->lines; line < square->lines + square->n_lines; line++) {
        const float *dz = line->dz + col / 2 * ldz - back * ldz + v * K_LANES;
        const float *w = line->w + v * kernel * kernel * K_LANES;
        float *dx = line->dx + col * square->ldx + v * K_LANES;
        k_vec acc[STRIP_MAX] = {{0}};
        for (size_t r = 0; r < line->n; r++, dz += square->row_z, w -= 2 * kernel * K_LANES) {
            k_vec wk[KERNEL_MAX];
            K_UNROLL
            for (size_t kx = 0; kx < kernel; kx++) {
                wk[kx] = k_load(w + kx * K_LANES);
            }
            K_UNROLL
            for (size_t i = 0; i < columns; i++) {
                const k_vec dzi = k_load(dz + i * ldz);
                K_UNROLL
                for (size_t d = 0; d < outputs; d++) { /* tap d + pad - 2 * (i - back) */
                    if (d + pad + 2 * back >= 2 * i && d + pad + 2 * back - 2 * i < kernel) {
                        acc[d] += dzi * wk[d + pad + 2 * back - 2 * i];
                    }
                }
            }
        }
        K_UNROLL
        for (size_t d = 0; d < outputs; d++) {
            k_store(dx + d * square->ldx, acc[d]);
        }
    }
}

typedef void spread_fn(const struct spread_square *square, size_t col, size_t v);

#define SPREAD(t, k)                                                                                                   \
    static void spread_##k##_##t(const struct spread_square *square, size_t col, size_t v)                             \
    {                                                                                                                  \
        spread(square, col, v, t, k);                                                                                  \
    }
#define SPREAD_NAME(t, k) spread_##k##_##t,

BY_STRIP(SPREAD, 1)
BY_STRIP(SPREAD, 3)
BY_STRIP(SPREAD, 5)
BY_STRIP(SPREAD, 7)

static spread_fn *const spreads[4][STRIP_MAX] = {
    /* by kernel / 2, outputs - 1 */
    {BY_STRIP(SPREAD_NAME, 1)},
    {BY_STRIP(SPREAD_NAME, 3)},
    {BY_STRIP(SPREAD_NAME, 5)},
    {BY_STRIP(SPREAD_NAME, 7)},
};

static void input_stride_2(float *dx, const struct k_shape *dx_shape, const float *dz, const struct k_shape *dz_shape,
                           const float *w, size_t kernel, struct k_range rows, struct k_range vectors)
{
    /* Strips all start at even columns: their step is even, and the last one, which reaches back over columns already
     * done, is as odd as the map. */
    const size_t width = dx_shape->w, pad = kernel / 2, even = (width + 1) / 2;
    const size_t n = (even + STRIP_MAX / 2 - 1) / (STRIP_MAX / 2), step = (even + n - 1) / n * 2;
    const size_t last = step - width % 2;
    struct spread_square square = {.ldx = dx_shape->ld, .ldz = dz_shape->ld, .row_z = dz_shape->row};
    for (size_t top = rows.from; top < rows.to; top += square.n_lines) {
        for (square.n_lines = 0; square.n_lines < SQUARE_ROWS && top + square.n_lines < rows.to; square.n_lines++) {
            const size_t row = top + square.n_lines, image = row / dx_shape->h, iy = row % dx_shape->h;
            const size_t first = iy > pad ? (iy - pad + 1) / 2 : 0, reach = (iy + pad) / 2 + 1;
            const size_t end = reach < dz_shape->h ? reach : dz_shape->h;
            square.lines[square.n_lines] = (struct spread_line){
                .dx = dx + row * dx_shape->row,
                .dz = dz + (image * dz_shape->h + first) * dz_shape->row,
                .w = w + (iy + pad - 2 * first) * kernel * K_LANES,
                .n = end - first,
            };
        }
        const struct k_range next = k_next(top, top + square.n_lines, rows.to);
        const struct k_range over = {next.from / 2, next.to / 2}; /* nearly, where a map's height is odd */
        struct k_ahead to = k_ahead_of(dx, dx_shape, next, n, vectors),
                       from = k_ahead_of(dz, dz_shape, over, n, vectors);
        for (size_t s = 0; s < n; s++) {
            const bool inner = s + 1 < n;
            spread_fn *const fn = spreads[pad][(inner ? step : last) - 1];
            for (size_t v = vectors.from; v < vectors.to; v++) {
                fn(&square, inner ? s * step : width - last, v);
                k_fetch(&to);
                k_fetch(&from);
            }
        }
    }
}

void K_NAME(k_depthwise_input)(float *dx, const struct k_shape *dx_shape, const float *dz,
                               const struct k_shape *dz_shape, const float *w, size_t kernel, size_t stride,
                               struct k_range rows, struct k_range vectors)
{
    if (stride == 2) {
        input_stride_2(dx, dx_shape, dz, dz_shape, w, kernel, rows, vectors);
        return;
    }
    const struct k_depthwise op = {
        .y = dx,
        .x = dz,
        .y_shape = dx_shape,
        .x_shape = dz_shape,
        .w = w,
        .kernel = kernel,
        .stride = 1,
    };
    K_NAME(k_depthwise_reversed)(&op, rows, vectors);
}

/* ---- weights --------------------------------------------------------------------------------------------------- */

/* One output row of a square. */
struct weights_line {
    const float *dz, *x; /* x: left of the first column, at the first kernel row that is inside the map */
    size_t first, end;   /* kernel rows inside the map */
};

struct weights_square {
    struct weights_line lines[SQUARE_ROWS];
    size_t n_lines, ldz, ldx, row_x;
    float *dw;
};

/* Kernel rows whose sums live in registers together: enough sums not to wait for one another, few enough to fit. */
#if K_LANES == 16
#define TOGETHER(kernel) ((kernel) <= 5 ? 3 : 2)
#else
#define TOGETHER(kernel) ((kernel) <= 3 ? 3 : 1)
#endif

/* Add what the outputs [col, col + outputs) give to the weights of the kernel rows [top, top + n). All but square, col
 * and v are constants where this is called. */
K_INLINE void weights_rows(const struct weights_square *square, size_t col, size_t v, const size_t outputs,
                           const size_t kernel, const size_t stride, const size_t top, const size_t n)
{
    const size_t ldz = square->ldz, ldx = square->ldx;
    k_vec acc[SUMS_MAX] = {{0}};
    for (const struct weights_line *line = square->lines; line < square->lines + square->n_lines; line++) {
        const float *dz = line->dz + col * ldz + v * K_LANES;
        k_vec dzt[STRIP_MAX];
        K_UNROLL
        for (size_t t = 0; t < outputs; t++) {
            dzt[t] = k_load(dz + t * ldz);
        }
        K_UNROLL
        for (size_t r = 0; r < n; r++) {
            if (top + r < line->first || top + r >= line->end) {
                continue;
            }
            const float *x = line->x + (top + r - line->first) * square->row_x + col * stride * ldx + v * K_LANES;
            K_UNROLL
            for (size_t i = 0; i < (outputs - 1) * stride + kernel; i++) {
                const k_vec xi = k_load(x + i * ldx);
                K_UNROLL
                for (size_t t = 0; t < outputs; t++) {
                    if (i >= t * stride && i - t * stride < kernel) {
                        acc[r * kernel + i - t * stride] += dzt[t] * xi;
                    }
                }
            }
        }
    }
    float *dw = square->dw + (v * kernel + top) * kernel * K_LANES;
    K_UNROLL
    for (size_t tap = 0; tap < n * kernel; tap++) {
        k_store(dw + tap * K_LANES, k_load(dw + tap * K_LANES) + acc[tap]);
    }
}

K_INLINE void weights(const struct weights_square *square, size_t col, size_t v, const size_t outputs,
                      const size_t kernel, const size_t stride)
{
    const size_t most = TOGETHER(kernel);
    K_UNROLL
    for (size_t top = 0; top < kernel; top += most) {
        weights_rows(square, col, v, outputs, kernel, stride, top, kernel - top < most ? kernel - top : most);
    }
}

typedef void weights_fn(const struct weights_square *square, size_t col, size_t v);

#define WEIGHTS(t, k, s)                                                                                               \
    static void weights_##k##_##s##_##t(const struct weights_square *square, size_t col, size_t v)                     \
    {                                                                                                                  \
        weights(square, col, v, t, k, s);                                                                              \
    }
#define WEIGHTS_NAME(t, k, s) weights_##k##_##s##_##t,

BY_STRIP(WEIGHTS, 1, 1)
BY_STRIP(WEIGHTS, 3, 1)
BY_STRIP(WEIGHTS, 5, 1)
BY_STRIP(WEIGHTS, 7, 1)
BY_STRIP(WEIGHTS, 1, 2)
BY_STRIP(WEIGHTS, 3, 2)
BY_STRIP(WEIGHTS, 5, 2)
BY_STRIP(WEIGHTS, 7, 2)

static weights_fn *const weights_of[4][2][STRIP_MAX] = {
    /* by kernel / 2, stride - 1, outputs - 1 */
    {{BY_STRIP(WEIGHTS_NAME, 1, 1)}, {BY_STRIP(WEIGHTS_NAME, 1, 2)}},
    {{BY_STRIP(WEIGHTS_NAME, 3, 1)}, {BY_STRIP(WEIGHTS_NAME, 3, 2)}},
    {{BY_STRIP(WEIGHTS_NAME, 5, 1)}, {BY_STRIP(WEIGHTS_NAME, 5, 2)}},
    {{BY_STRIP(WEIGHTS_NAME, 7, 1)}, {BY_STRIP(WEIGHTS_NAME, 7, 2)}},
};

void K_NAME(k_depthwise_weights)(float *dw, const float *dz, const struct k_shape *dz_shape, const float *x,
                                 const struct k_shape *x_shape, size_t kernel, size_t stride, struct k_range rows,
                                 struct k_range vectors)
{
    const size_t w = dz_shape->w, n = (w + STRIP_MAX - 1) / STRIP_MAX;
    struct weights_square square = {.ldz = dz_shape->ld, .ldx = x_shape->ld, .row_x = x_shape->row};
    square.dw = dw;
    for (size_t top = rows.from; top < rows.to; top += square.n_lines) {
        for (square.n_lines = 0; square.n_lines < SQUARE_ROWS && top + square.n_lines < rows.to; square.n_lines++) {
            const size_t row = top + square.n_lines;
            const struct k_span span = k_span_of(row, dz_shape->h, x_shape->h, kernel, stride);
            square.lines[square.n_lines] = (struct weights_line){
                .dz = dz + row * dz_shape->row,
                .x = x + span.first * x_shape->row - kernel / 2 * x_shape->ld,
                .first = span.skipped,
                .end = span.skipped + span.n,
            };
        }
        const struct k_range next = k_next(top, top + square.n_lines, rows.to);
        struct k_ahead of_z = k_ahead_of(dz, dz_shape, next, n, vectors);
        struct k_ahead of_x = k_ahead_of(x, x_shape, k_under(next, dz_shape, x_shape, stride), n, vectors);
        for (size_t s = 0; s < n; s++) {
            const size_t col = w * s / n, end = w * (s + 1) / n;
            weights_fn *const fn = weights_of[kernel / 2][stride - 1][end - col - 1];
            for (size_t v = vectors.from; v < vectors.to; v++) {
                fn(&square, col, v);
                k_fetch(&of_z);
                k_fetch(&of_x);
            }
        }
    }
}
