/* conv.c - convolutions over all channels, pointwise and linear layers among them, weights packed in panels.
 *
 * A block of pixels of a row times one panel of output channels lives in registers while the inputs of its window
 * stream by: every step loads the panel's vectors once and one number a pixel, and needs no other memory. Columns
 * outside the map are the tensor's halo; rows outside are left out. A layer with a single pixel has nothing to share a
 * panel with and is bound by the weights' bandwidth; it sums four input channels apart to hide the latency.
 */
#include "supernet/kernels/vector/vector.h"

enum { APART = 4 };

/* The inputs of a block's first pixel: `rows` of `taps` runs of `run` numbers; the next pixel's lie `next` further. */
struct window {
    const float *x;
    size_t rows, row_step, taps, tap_step, run, next;
    size_t weights_skipped; /* inputs of the kernel rows above the map */
};

/* A block of pixels and a panel. */
struct operands {
    const struct window *from;
    size_t first; /* pixel of the window's row */
    const float *w, *bias;
    enum k_act act;
    const float *ahead; /* weights that will be needed soon, */
    size_t step;        /* so many floats of them fetched an input */
    float *y;
    const float *residual;                   /* added to y; NULL: nothing */
    size_t y_at[K_BLOCK_1], r_at[K_BLOCK_1]; /* of each pixel, in floats */
};

K_INLINE void finish(k_vec *acc, const struct operands *to, const size_t np, const size_t nv)
{
    k_activate(acc, np * nv, to->act);
    if (to->residual != NULL) {
        K_UNROLL
        for (size_t p = 0; p < np; p++) {
            K_UNROLL
            for (size_t v = 0; v < nv; v++) {
                acc[p * nv + v] += k_load(to->residual + to->r_at[p] + v * K_LANES);
            }
        }
    }
    K_UNROLL
    for (size_t p = 0; p < np; p++) {
        K_UNROLL
        for (size_t v = 0; v < nv; v++) {
            k_store(to->y + to->y_at[p] + v * K_LANES, acc[p * nv + v]);
        }
    }
}

/* y[p,v] = act(bias[v] + sum over the window of x[p,i] * w[i,v]) + residual[p,v]; np and nv are constants where this is
 * called. */
K_INLINE void block(const struct operands *of, const size_t np, const size_t nv)
{
    const struct window *from = of->from;
    const float *restrict w = of->w, *ahead = of->ahead;
    k_vec acc[K_BLOCK_SUMS];
    K_UNROLL
    for (size_t p = 0; p < np; p++) {
        K_UNROLL
        for (size_t v = 0; v < nv; v++) {
            acc[p * nv + v] = k_load(of->bias + v * K_LANES);
        }
    }
    const size_t next = from->next, run = from->run, step = of->step;
    for (size_t r = 0; r < from->rows; r++) {
        for (size_t t = 0; t < from->taps; t++) {
            const float *restrict x = from->x + of->first * next + r * from->row_step + t * from->tap_step;
            for (size_t i = 0; i < run; i++, w += nv * K_LANES, ahead += step) {
                __builtin_prefetch(ahead, 0, 2);
                k_vec wi[K_PANEL_MAX];
                K_UNROLL
                for (size_t v = 0; v < nv; v++) {
                    wi[v] = k_load(w + v * K_LANES);
                }
                K_UNROLL
                for (size_t p = 0; p < np; p++) {
                    const k_vec xi = k_splat(x[p * next + i]);
                    K_UNROLL
                    for (size_t v = 0; v < nv; v++) {
                        acc[p * nv + v] += xi * wi[v];
                    }
                }
            }
        }
    }
    finish(acc, of, np, nv);
}

/* The same for one pixel and one run: inputs 0, 4, 8.. are summed apart from 1, 5, 9.. and so on, then (0 + 1) + (2 +
 * 3). */
K_INLINE void single(const struct operands *of, const size_t nv)
{
    const struct window *from = of->from;
    const float *restrict x = from->x + of->first * from->next, *restrict w = of->w;
    k_vec acc[APART * K_PANEL_MAX] = {{0}};
    size_t i = 0;
    for (; i + APART <= from->run; i += APART) {
        K_UNROLL
        for (size_t a = 0; a < APART; a++) {
            const k_vec xi = k_splat(x[i + a]);
            K_UNROLL
            for (size_t v = 0; v < nv; v++) {
                acc[a * nv + v] += xi * k_load(w + ((i + a) * nv + v) * K_LANES);
            }
        }
    }
    for (; i < from->run; i++) {
        K_UNROLL
        for (size_t v = 0; v < nv; v++) {
            acc[v] += k_splat(x[i]) * k_load(w + (i * nv + v) * K_LANES);
        }
    }
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        acc[v] = k_load(of->bias + v * K_LANES) + ((acc[v] + acc[nv + v]) + (acc[2 * nv + v] + acc[3 * nv + v]));
    }
    finish(acc, of, 1, nv);
}

/* A block of np pixels from pixel `first` of the window's row; np 0: the row has one pixel and the window one run. */
typedef void block_fn(const struct operands *of, size_t np);

#define CASE(np, nv)                                                                                                   \
    case np:                                                                                                           \
        block(of, np, nv);                                                                                             \
        break;

static void block_1(const struct operands *of, size_t np)
{
    switch (np) {
        K_BLOCKS_1(CASE, 1)
    default:
        single(of, 1);
    }
}

static void block_2(const struct operands *of, size_t np)
{
    switch (np) {
        K_BLOCKS_2(CASE, 2)
    default:
        single(of, 2);
    }
}

static void block_3(const struct operands *of, size_t np)
{
    switch (np) {
        K_BLOCKS_3(CASE, 3)
    default:
        single(of, 3);
    }
}

/* The places of np pixels from pixel `first` (over all rows) on. */
K_INLINE void aim(struct operands *to, const struct k_conv *op, size_t first, size_t np)
{
    const struct k_shape *y = op->y_shape, *also = op->residual == NULL ? y : op->residual_shape;
    uint32_t row = (uint32_t)first / (uint32_t)y->w, col = (uint32_t)first % (uint32_t)y->w;
    size_t y_at = row * y->row + col * y->ld, r_at = row * also->row + col * also->ld;
    for (size_t p = 0; p < np; p++) {
        to->y_at[p] = y_at;
        to->r_at[p] = r_at;
        y_at += y->ld;
        r_at += also->ld;
        if (++col == y->w) {
            col = 0;
            y_at += y->row - y->w * y->ld;
            r_at += also->row - also->w * also->ld;
        }
    }
}

/* What the pixels of output row `row` read. */
static struct window window_of(const struct k_conv *op, size_t row)
{
    const struct k_shape *from = op->x_shape;
    const struct k_span span = k_span_of(row, op->y_shape->h, from->h, op->kernel, op->stride);
    const bool dense = from->ld == from->c; /* the pixels of a kernel row follow one another without a gap */
    return (struct window){
        .x = op->x + span.first * from->row - op->kernel / 2 * from->ld,
        .rows = span.n,
        .row_step = from->row,
        .taps = dense ? 1 : op->kernel,
        .tap_step = from->ld,
        .run = dense ? op->kernel * from->c : from->c,
        .next = op->stride * from->ld,
        .weights_skipped = span.skipped * op->kernel * from->c,
    };
}

void K_NAME(k_conv)(const struct k_conv *op, struct k_range rows, struct k_range cols, struct k_range vectors)
{
    static const size_t most[] = {K_BLOCK_1, K_BLOCK_2, K_BLOCK_3}; /* by nv - 1 */
    static block_fn *const blocks[] = {block_1, block_2, block_3};
    const size_t pixels = cols.to - cols.from, inputs = op->kernel * op->kernel * op->x_shape->c;
    const bool alone = pixels == 1 && k_flat(op->kernel, op->stride);
    struct operands of = {.act = op->act};
    for (size_t row = rows.from; row < rows.to; row++) {
        const struct window from = window_of(op, row);
        of.from = &from;
        for (size_t v = vectors.from, nv; v < vectors.to; v += nv) {
            nv = k_panel(op->vectors - v);
            const float *next = op->w + (v + nv) * inputs * K_LANES; /* behind the last: most likely the next layer's */
            /* Equal blocks; the last one reaches back over pixels already done rather than be smaller. */
            const size_t n = (pixels + most[nv - 1] - 1) / most[nv - 1], np = (pixels + n - 1) / n;
            of.w = op->w + (v * inputs + nv * from.weights_skipped) * K_LANES;
            of.bias = op->bias + v * K_LANES;
            of.y = op->y + v * K_LANES;
            of.residual = op->residual == NULL ? NULL : op->residual + v * K_LANES;
            for (size_t b = 0; b < n; b++) {
                of.first = cols.from + (b + 1 < n ? b * np : pixels - np);
                of.step = b * K_LINE < nv * K_LANES ? K_LINE : 0;
                of.ahead = next + of.step * b * inputs;
                aim(&of, op, row * op->y_shape->w + of.first, np);
                blocks[nv - 1](&of, alone ? 0 : np);
            }
        }
    }
}
