/* depthwise.c - one filter a channel, vectors over channels.
 *
 * A strip of up to 8 outputs of a row lives in registers while the kernel's rows pass by; a kernel row's weights are
 * loaded once for the strip, and each input column once for all outputs it touches. Columns outside the map are the
 * tensor's halo of zeros; rows outside are left out. Strips are walked so that one vector of channels of a small square
 * of the map stays in the first cache for all its kernel rows.
 */
#include "supernet/kernels/vector/vector.h"

enum { STRIP_MAX = 8, SQUARE_ROWS = 8, KERNEL_MAX = 7 };

/* One output row of a square: from column 0, channel vector 0. */
struct line {
    float *y;
    const float *x;     /* first input column of the first kernel row that is inside the map */
    const float *w;     /* first tap of that kernel row */
    size_t kernel_rows; /* inside the map */
};

/* The lines of a square. */
struct square {
    const struct k_depthwise *op;
    struct line lines[SQUARE_ROWS];
    size_t n_lines;
    ptrdiff_t tap; /* floats from a tap to the next: back where the taps are reversed */
};

/* The strips of a square's lines at one column and one vector of channels. kernel, stride and outputs are constants
 * where this is called. */
K_INLINE void strip(const struct square *square, size_t col, size_t v, const size_t kernel, const size_t stride,
                    const size_t outputs)
{
    const struct k_depthwise *op = square->op;
    const size_t ldx = op->x_shape->ld, ldy = op->y_shape->ld, row_x = op->x_shape->row;
    const ptrdiff_t tap = square->tap, next_row = (ptrdiff_t)kernel * tap;
    const k_vec bias = op->bias == NULL ? (k_vec){0} : k_load(op->bias + v * K_LANES);
    for (const struct line *line = square->lines; line < square->lines + square->n_lines; line++) {
        const float *x = line->x + col * stride * ldx + v * K_LANES;
        const float *w = line->w + v * kernel * kernel * K_LANES;
        float *y = line->y + col * ldy + v * K_LANES;
        k_vec acc[STRIP_MAX];
        K_UNROLL
        for (size_t t = 0; t < outputs; t++) {
            acc[t] = bias;
        }
        for (size_t ky = 0; ky < line->kernel_rows; ky++, x += row_x, w += next_row) {
            k_vec wk[KERNEL_MAX];
            K_UNROLL
            for (size_t kx = 0; kx < kernel; kx++) {
                wk[kx] = k_load(w + (ptrdiff_t)kx * tap);
            }
            K_UNROLL
            for (size_t i = 0; i < (outputs - 1) * stride + kernel; i++) {
                const k_vec xi = k_load(x + i * ldx);
                K_UNROLL
                for (size_t t = 0; t < outputs; t++) {
                    if (i >= t * stride && i - t * stride < kernel) {
                        acc[t] += xi * wk[i - t * stride];
                    }
                }
            }
        }
        k_activate(acc, outputs, op->act);
        K_UNROLL
        for (size_t t = 0; t < outputs; t++) {
            k_store(y + t * ldy, acc[t]);
        }
    }
}

typedef void strip_fn(const struct square *square, size_t col, size_t v);

#define STRIP(k, s, t)                                                                                                 \
    static void strip_##k##_##s##_##t(const struct square *square, size_t col, size_t v)                               \
    {                                                                                                                  \
        strip(square, col, v, k, s, t);                                                                                \
    }
#define STRIPS(k, s)                                                                                                   \
    STRIP(k, s, 1)                                                                                                     \
    STRIP(k, s, 2)                                                                                                     \
    STRIP(k, s, 3)                                                                                                     \
    STRIP(k, s, 4)                                                                                                     \
    STRIP(k, s, 5)                                                                                                     \
    STRIP(k, s, 6)                                                                                                     \
    STRIP(k, s, 7)                                                                                                     \
    STRIP(k, s, 8)
#define STRIP_NAMES(k, s)                                                                                              \
    {                                                                                                                  \
        strip_##k##_##s##_1, strip_##k##_##s##_2, strip_##k##_##s##_3, strip_##k##_##s##_4, strip_##k##_##s##_5,       \
            strip_##k##_##s##_6, strip_##k##_##s##_7, strip_##k##_##s##_8                                              \
    }

STRIPS(1, 1)
STRIPS(3, 1)
STRIPS(5, 1)
STRIPS(7, 1)
STRIPS(1, 2)
STRIPS(3, 2)
STRIPS(5, 2)
STRIPS(7, 2)

static strip_fn *const strips[4][2][STRIP_MAX] = {
    /* by kernel / 2, stride - 1, outputs - 1 */
    {STRIP_NAMES(1, 1), STRIP_NAMES(1, 2)},
    {STRIP_NAMES(3, 1), STRIP_NAMES(3, 2)},
    {STRIP_NAMES(5, 1), STRIP_NAMES(5, 2)},
    {STRIP_NAMES(7, 1), STRIP_NAMES(7, 2)},
};

static struct line line_of(const struct square *square, size_t row)
{
    const struct k_depthwise *op = square->op;
    const struct k_shape *to = op->y_shape, *from = op->x_shape;
    const struct k_span span = k_span_of(row, to->h, from->h, op->kernel, op->stride);
    const size_t skipped = span.skipped * op->kernel, last = op->kernel * op->kernel - 1;
    return (struct line){
        .y = op->y + row * to->row,
        .x = op->x + span.first * from->row - op->kernel / 2 * from->ld,
        .w = op->w + (square->tap < 0 ? last - skipped : skipped) * K_LANES,
        .kernel_rows = span.n,
    };
}

static void depthwise(const struct k_depthwise *op, ptrdiff_t tap, struct k_range rows, struct k_range vectors)
{
    const size_t w = op->y_shape->w, n = (w + STRIP_MAX - 1) / STRIP_MAX, outputs = (w + n - 1) / n;
    strip_fn *const fn = strips[op->kernel / 2][op->stride - 1][outputs - 1];
    struct square square = {.op = op, .tap = tap};
    for (size_t top = rows.from; top < rows.to; top += square.n_lines) {
        for (square.n_lines = 0; square.n_lines < SQUARE_ROWS && top + square.n_lines < rows.to; square.n_lines++) {
            square.lines[square.n_lines] = line_of(&square, top + square.n_lines);
        }
        const struct k_range next = k_next(top, top + square.n_lines, rows.to);
        const struct k_range under = k_under(next, op->y_shape, op->x_shape, op->stride);
        struct k_ahead x = k_ahead_of(op->x, op->x_shape, under, n, vectors);
        struct k_ahead y = k_ahead_of(op->y, op->y_shape, next, n, vectors);
        for (size_t s = 0; s < n; s++) {
            /* The last strip reaches back over outputs already done rather than be smaller. */
            const size_t col = s + 1 < n ? s * outputs : w - outputs;
            for (size_t v = vectors.from; v < vectors.to; v++) {
                fn(&square, col, v);
                k_fetch(&x);
                k_fetch(&y);
            }
        }
    }
}

void K_NAME(k_depthwise)(const struct k_depthwise *op, struct k_range rows, struct k_range vectors)
{
    depthwise(op, K_LANES, rows, vectors);
}

void K_NAME(k_depthwise_reversed)(const struct k_depthwise *op, struct k_range rows, struct k_range vectors)
{
    depthwise(op, -K_LANES, rows, vectors);
}
