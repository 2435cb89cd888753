/* gradient.h - the kernels of training: batch norm, and the gradients of every layer.
 *
 * Tensors are those of kernel.h: NHWC, channels padded to whole vectors. A convolution's output before batch norm is
 * called z; what the next layer reads is y = act(z * scale + shift). Kernels here overwrite their outputs unless they
 * say "adds". Vectors of channels (scale, shift, sums) are padded to whole vectors; the padding of scale and shift is
 * zero, so that the padding of y is act(0) = 0.
 *
 * Work is cut by the caller into ranges of rows (counted over all images) and of channel vectors; nothing is summed
 * across calls, so that the caller decides the order of every sum, and results do not depend on threads.
 *
 * The gradient of a pointwise convolution's input is the convolution with the transposed weights (k_pack_transposed and
 * k_table.conv); that of a depthwise one at stride 1 is the depthwise one with the taps reversed.
 */
#ifndef TAILOR_GRADIENT_H
#define TAILOR_GRADIENT_H

#include "supernet/kernels/kernel.h"

/* y = act(z * scale[c] + shift[c]), and with it what its gradient needs. */
struct k_affine {
    const float *z;
    const struct k_shape *z_shape;
    const float *scale, *shift;
    enum k_act act;
};

struct k_gradient_table {
    const char *name;
    size_t lanes;

    /* sums[c] = sum of z, squares[c] = sum of (z - centre[c])^2, over the rows of `rows`. */
    void (*sums)(float *sums, float *squares, const float *z, const struct k_shape *shape, const float *centre,
                 struct k_range rows);

    /* y = act(z * scale[c] + shift[c]) * gate[n,c] + residual. gate (nb, ldg) or NULL (1); residual or NULL (0), and it
     * may be y. Also writes the zeros of y's halo right of each row of `rows`, and for the first row of all those left
     * of it. y may be z. */
    void (*affine)(float *y, const struct k_shape *y_shape, const struct k_affine *of, const float *gate, size_t ldg,
                   const float *residual, const struct k_shape *residual_shape, struct k_range rows);

    /* With g = dy * act'(u), u = z * scale + shift:  sums[c] = sum of g, products[c] = sum of g * (z - mean[c]), over
     * the rows of `rows`. h-swish: u' = (2u + 3) / 6 within (-3, 3), 0 below, 1 above; ReLU6: 1 within (0, 6). */
    void (*affine_sums)(float *sums, float *products, const float *dy, const struct k_shape *dy_shape,
                        const struct k_affine *of, const float *mean, struct k_range rows);

    /* dz = a[c] * g + b[c] * z + k[c]: the gradient through batch norm, once its sums are known. dz may be dy. Writes
     * the zeros of dz's halo as `affine` does. */
    void (*affine_gradient)(float *dz, const struct k_shape *dz_shape, const float *dy, const struct k_shape *dy_shape,
                            const struct k_affine *of, const float *a, const float *b, const float *k,
                            struct k_range rows);

    /* dw[o,i] adds sum over pixels p of dz[p,o] * x[p,i], for o in [0, co), i in [0, ci). dw (co, ldw); pixels lie ldz
     * and ldx floats apart. Reads whole vectors of x; writes only i < ci. */
    void (*conv_weights)(float *dw, size_t ldw, const float *dz, size_t ldz, const float *x, size_t ldx,
                         size_t n_pixels, size_t co, size_t ci);

    /* dx[p,c] = sum over the outputs q that read p of dz[q,c] * w[c, ...], the gradient of a depthwise layer's input at
     * stride 1 or 2, for the rows `rows` of dx. w as k_pack_depthwise makes them (not reversed). dz has a halo of at
     * least kernel / 2 zeros. dx's halo is not written. */
    void (*depthwise_input)(float *dx, const struct k_shape *dx_shape, const float *dz, const struct k_shape *dz_shape,
                            const float *w, size_t kernel, size_t stride, struct k_range rows, struct k_range vectors);

    /* dw (vectors, kernel * kernel, lanes), as k_pack_depthwise orders them, adds the sum over the output rows `rows` of
     * dz[q,c] * x[q * stride + tap - kernel / 2, c]. x has a halo of at least kernel / 2. */
    void (*depthwise_weights)(float *dw, const float *dz, const struct k_shape *dz_shape, const float *x,
                              const struct k_shape *x_shape, size_t kernel, size_t stride, struct k_range rows,
                              struct k_range vectors);

    /* dots[n,c] = sum over the pixels of image n of a[n,p,c] * b[n,p,c], for the images of `images`. dots (nb, ldd). */
    void (*dots)(float *dots, size_t ldd, const float *a, const struct k_shape *a_shape, const float *b,
                 const struct k_shape *b_shape, struct k_range images);

    /* y[n,p,c] = x[n,p,c] * gate[n,c] + add[n,c] for the rows of `rows`; x NULL: add alone (gate is then not read). y may
     * be x. gate and add (nb, ldg). */
    void (*gate)(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                 const float *gate, const float *add, size_t ldg, struct k_range rows);
};

extern const struct k_gradient_table k_gradient_plain;
#if defined(__x86_64__)
extern const struct k_gradient_table k_gradient_avx2, k_gradient_avx512;
#endif

/* That of k_table_best. Static. */
const struct k_gradient_table *k_gradient_best(void);

/* ---- weights ------------------------------------------------------------------------------------------------- */

/* A cut layer's weights w (co, inputs), of a larger layer whose rows are ldw apart, into k_pack_conv's panels, panels
 * `panels` of k_panels(ceil(co / lanes)); what is missing is zero. */
void k_pack_view(float *restrict packed, const float *restrict w, size_t ldw, size_t co, size_t inputs, size_t lanes,
                 struct k_range panels);

/* The transpose of a cut 1x1 layer: packed as a layer with ci outputs of co inputs each. */
void k_pack_transposed(float *restrict packed, const float *restrict w, size_t ldw, size_t co, size_t ci, size_t lanes,
                       struct k_range panels);

/* ---- plain twins --------------------------------------------------------------------------------------------- */

void k_sums_ref(float *sums, float *squares, const float *z, const struct k_shape *shape, const float *centre);
void k_affine_ref(float *y, const struct k_shape *y_shape, const struct k_affine *of, const float *gate, size_t ldg,
                  const float *residual, const struct k_shape *residual_shape);
void k_affine_sums_ref(float *sums, float *products, const float *dy, const struct k_shape *dy_shape,
                       const struct k_affine *of, const float *mean);
void k_affine_gradient_ref(float *dz, const struct k_shape *dz_shape, const float *dy, const struct k_shape *dy_shape,
                           const struct k_affine *of, const float *a, const float *b, const float *k);
void k_conv_weights_ref(float *dw, size_t ldw, const float *dz, size_t ldz, const float *x, size_t ldx, size_t n_pixels,
                        size_t co, size_t ci);
void k_depthwise_input_ref(float *dx, const struct k_shape *dx_shape, const float *dz, const struct k_shape *dz_shape,
                           const float *w, size_t kernel, size_t stride, size_t lanes);
void k_depthwise_weights_ref(float *dw, const float *dz, const struct k_shape *dz_shape, const float *x,
                             const struct k_shape *x_shape, size_t kernel, size_t stride, size_t lanes);
void k_dots_ref(float *dots, size_t ldd, const float *a, const struct k_shape *a_shape, const float *b,
                const struct k_shape *b_shape);
void k_gate_ref(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                const float *gate, const float *add, size_t ldg);

#endif
