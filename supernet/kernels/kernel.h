/* kernel.h - the kernels: what they compute, how their operands lie in memory, and their plain twins.
 *
 * A kernel is pure: it allocates nothing, cannot fail and touches only its operands. The files in vector/ are compiled
 * once per instruction set and reached through a table; each kernel has a twin k_..._ref in ref.c, written to be read,
 * that takes weights as they are drawn and the same tensors.
 *
 * Tensors are NHWC with the channels of a pixel padded to whole vectors (`ld` floats a pixel), the padding holding
 * zeros or harmless finite numbers that no weight ever meets. A tensor that a depthwise layer reads has `halo` columns
 * of zeros between its rows, so that the inner loops need no borders: the right halo of a row is the left halo of the
 * next.
 */
#ifndef TAILOR_KERNEL_H
#define TAILOR_KERNEL_H

#include "supernet/network.h"

enum k_act { K_NONE, K_RELU, K_RELU6, K_HSWISH, K_HSIGMOID, K_ACT_COUNT };

/* Shape of a tensor. Pixel p of the nb * h * w in row order lies at data + (p / w) * row + (p % w) * ld. */
struct k_shape {
    size_t nb, h, w, c;
    size_t ld;   /* floats from a pixel to the next: at least c */
    size_t row;  /* floats from a row to the next: (w + halo) * ld */
    size_t halo; /* columns of zeros left and right of each row; `data` points behind the first */
};

/* Convolution over all channels: pointwise and linear layers (kernel 1), the stem.
 *
 *     y[p,o] = act(b[o] + sum over ky,kx,i of x[p*stride + (ky,kx) - k/2, i] * w[o,ky,kx,i]) + residual[p,o]
 */
struct k_conv {
    float *y;
    const float *x;
    const float *residual;                                    /* NULL: none; never y */
    const struct k_shape *y_shape, *x_shape, *residual_shape; /* x: halo of at least k/2; none for kernel 1 */
    const float *w;                                           /* panels as k_pack_conv makes them */
    const float *bias;                                        /* vectors * lanes */
    size_t vectors;                                           /* of output channels */
    size_t kernel, stride;
    enum k_act act;
};

/*     y[p,c] = act(b[c] + sum over ky,kx of x[p*stride + (ky,kx) - k/2, c] * w[c,ky,kx]) */
struct k_depthwise {
    float *y;
    const float *x;
    const struct k_shape *y_shape, *x_shape; /* x: halo of at least k/2 */
    const float *w;                          /* as k_pack_depthwise makes them */
    const float *bias;
    size_t kernel, stride;
    enum k_act act;
};

/* A rectangle of work, half open on each axis. */
struct k_range {
    size_t from, to;
};

/* The kernels of one instruction set. */
struct k_table {
    const char *name;
    size_t lanes; /* floats a vector */
    /* Output columns `cols` of the rows `rows`, vectors `vectors` (whole panels). Rows are counted over all images;
     * where k_flat, all pixels are the columns of row 0. */
    void (*conv)(const struct k_conv *op, struct k_range rows, struct k_range cols, struct k_range vectors);
    /* Rows of `rows` (counted over all images), channel vectors of `vectors`. */
    void (*depthwise)(const struct k_depthwise *op, struct k_range rows, struct k_range vectors);
    /* y[n,c] = mean over pixels of x[n,p,c], for the channel vectors of `vectors`. y (nb, ldy). */
    void (*mean)(float *y, size_t ldy, const float *x, const struct k_shape *shape, struct k_range vectors);
    /* y[n,p,c] = x[n,p,c] * s[n,c] for the rows of `rows`. y may be x. s (nb, lds). */
    void (*scale)(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *shape, const float *s,
                  size_t lds, struct k_range rows);
    /* y = a + b for the rows of `rows`. y may be a or b. */
    void (*add)(float *y, const struct k_shape *y_shape, const float *a, const struct k_shape *a_shape, const float *b,
                const struct k_shape *b_shape, struct k_range rows);
};

extern const struct k_table k_table_plain;
#if defined(__x86_64__)
extern const struct k_table k_table_avx2, k_table_avx512;
#endif

/* The widest that the processor has and TAILOR_ISA allows. Static. */
const struct k_table *k_table_best(void);

/* Vectors in the panel that starts with `left` output vectors to go: two, but an odd number ends with three together.
 * Panels so start at even vectors, and there are k_panels(vectors) of them. */
static inline size_t k_panel(size_t left)
{
    return left == 1 || left == 3 ? left : 2;
}

static inline size_t k_panels(size_t vectors)
{
    return vectors < 2 ? vectors : vectors / 2;
}

/* Every pixel of such a convolution is computed alike, wherever its row ends. */
static inline bool k_flat(size_t kernel, size_t stride)
{
    return kernel == 1 && stride == 1;
}

/* The rows of a window that lie inside the map. */
struct k_span {
    size_t first;   /* input row, counted over all images */
    size_t n;       /* rows; never 0 */
    size_t skipped; /* kernel rows above the map */
};

/* The span of output row `row`, counted over all images of h_out rows. */
static inline struct k_span k_span_of(size_t row, size_t h_out, size_t h_in, size_t kernel, size_t stride)
{
    const size_t pad = kernel / 2, centre = row % h_out * stride, image = row / h_out * h_in;
    const size_t skipped = centre < pad ? pad - centre : 0, first = centre + skipped - pad;
    const size_t last = centre + pad < h_in ? centre + pad : h_in - 1;
    return (struct k_span){.first = image + first, .n = last + 1 - first, .skipped = skipped};
}

/* ---- weights ------------------------------------------------------------------------------------------------- */

/* Draw the weights w (co, inputs) and biases (co) of layer `layer` of operator `op`: uniform, scaled by what the
 * activation loses (He) so that outputs stay of order one. The same whatever the instruction set. bias NULL: not wanted. */
void k_weights_draw(float *w, float *bias, const struct network *net, size_t op, unsigned layer, uint64_t seed);

/* Into panels of k_panel vectors: (vectors of the panel) * lanes numbers for each input, panel after panel; missing
 * outputs are zeros, `packed` is zeroed before. packed (ceil(co / lanes) * lanes * inputs). */
void k_pack_conv(float *restrict packed, const float *restrict w, struct net_layer layer, size_t lanes);

/* (ceil(c / lanes), kernel * kernel, lanes) from (c, kernel * kernel); as above. */
void k_pack_depthwise(float *restrict packed, const float *restrict w, struct net_layer layer, size_t lanes);

/* ---- few and cheap, compiled once ---------------------------------------------------------------------------- */

/* As their twins below, for the rows of `rows` (counted over all images). */
void k_pool_max(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape, size_t kernel,
                size_t stride, struct k_range rows);
void k_pool_average(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                    size_t stride, struct k_range rows);
/* Their gradients, for the images of `images`: dx is what dy gives to the first of the largest in its window; dx adds its
 * even share of dy. Tensors of maps as above, without halo. */
void k_pool_max_input(float *dx, const struct k_shape *dx_shape, const float *dy, const struct k_shape *dy_shape,
                      const float *x, const struct k_shape *x_shape, size_t kernel, size_t stride,
                      struct k_range images);
void k_pool_average_input(float *dx, const struct k_shape *dx_shape, const float *dy, const struct k_shape *dy_shape,
                          size_t stride, struct k_range images);
/* y = act(y), padding left alone. */
void k_map_activate(float *y, const struct k_shape *shape, enum k_act act, struct k_range rows);

/* ---- plain twins --------------------------------------------------------------------------------------------- */

float k_act_ref(float x, enum k_act act);
/* y = act(b + x * w) + residual; any kernel and stride, 1x1 and linear among them. w (co, kernel, kernel, ci). */
void k_conv_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                const float *residual, const struct k_shape *residual_shape, const float *w, const float *bias,
                size_t kernel, size_t stride, enum k_act act);
/* w (c, kernel, kernel) */
void k_depthwise_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                     const float *w, const float *bias, size_t kernel, size_t stride, enum k_act act);
void k_mean_ref(float *y, size_t ldy, const float *x, const struct k_shape *shape);
void k_scale_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *shape, const float *s,
                 size_t lds);
/* y[p,c] = the largest of x[p*stride + (ky,kx) - k/2, c] inside the map. */
void k_pool_max_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                    size_t kernel, size_t stride);
/* y[p,c] = the mean of x[p*stride + (ky,kx), c] for ky, kx < stride inside the map. */
void k_pool_average_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                        size_t stride);
void k_add_ref(float *y, const struct k_shape *y_shape, const float *a, const struct k_shape *a_shape, const float *b,
               const struct k_shape *b_shape);

/* Floats from `data` to pixel (n, row, col). */
static inline size_t k_at(const struct k_shape *shape, size_t n, size_t row, size_t col)
{
    return (n * shape->h + row) * shape->row + col * shape->ld;
}

#endif
