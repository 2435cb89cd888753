/* affine.c - batch norm with its activation, forward and backward, and the gates of SE: all bound by memory.
 *
 * Pixels are walked in runs that lie without a gap: a row, or, where no tensor has a halo, several rows of an image.
 * Memory is best read in one direction. Pixels of up to four vectors of channels keep constants and sums in registers
 * over the run, small ones several pixels at a time; larger ones are walked channel by channel, their constants and
 * sums in the first cache.
 */
#include "supernet/kernels/vector/gradients.h"

#include <string.h>

enum { GROUP = 4, RUN_PIXELS = 64 };

/* NAME_run(run, n, vectors): all channels of the run's n pixels, by NAME_group(run, p, n, c, np, nv), which does nv
 * vectors from channel c of n pixels from p, np at a time; n, np and nv are mostly constants there. */
#define RUN(name)                                                                                                      \
    static void name##_run(const struct name##_run *run, size_t n, size_t vectors)                                     \
    {                                                                                                                  \
        switch (vectors) {                                                                                             \
        case 1:                                                                                                        \
            name##_group(run, 0, n, 0, 4, 1);                                                                          \
            return;                                                                                                    \
        case 2:                                                                                                        \
            name##_group(run, 0, n, 0, 2, 2);                                                                          \
            return;                                                                                                    \
        case 3:                                                                                                        \
            name##_group(run, 0, n, 0, 1, 3);                                                                          \
            return;                                                                                                    \
        case 4:                                                                                                        \
            name##_group(run, 0, n, 0, 1, 4);                                                                          \
            return;                                                                                                    \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
        for (size_t p = 0; p < n; p++) {                                                                               \
            size_t v = 0;                                                                                              \
            for (; v + GROUP <= vectors; v += GROUP) {                                                                 \
                name##_group(run, p, 1, v *K_LANES, 1, GROUP);                                                         \
            }                                                                                                          \
            for (; v < vectors; v++) {                                                                                 \
                name##_group(run, p, 1, v *K_LANES, 1, 1);                                                             \
            }                                                                                                          \
        }                                                                                                              \
    }

static size_t vectors_of(const struct k_shape *shape)
{
    return shape->ld / K_LANES;
}

/* Rows of the run that starts at `row`. */
static size_t run_rows(size_t row, size_t end, const struct k_shape *shape, bool dense)
{
    if (!dense) {
        return 1;
    }
    const size_t most = shape->w < RUN_PIXELS ? RUN_PIXELS / shape->w : 1, image = shape->h - row % shape->h;
    const size_t left = end - row < image ? end - row : image;
    return left < most ? left : most;
}

/* sums[v] adds the np sums of vector v. */
K_INLINE void add_sums(float *sums, const k_vec *acc, const size_t np, const size_t nv)
{
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        k_vec sum = acc[v];
        K_UNROLL
        for (size_t p = 1; p < np; p++) {
            sum += acc[p * nv + v];
        }
        k_store(sums + v * K_LANES, k_load(sums + v * K_LANES) + sum);
    }
}

K_INLINE void load_each(k_vec *to, const float *from, const size_t nv)
{
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        to[v] = k_load(from + v * K_LANES);
    }
}

/* Of np pixels that lie ld apart. */
K_INLINE void load_group(k_vec *to, const float *from, size_t ld, const size_t np, const size_t nv)
{
    K_UNROLL
    for (size_t p = 0; p < np; p++) {
        load_each(to + p * nv, from + p * ld, nv);
    }
}

K_INLINE void store_group(float *to, size_t ld, const k_vec *from, const size_t np, const size_t nv)
{
    K_UNROLL
    for (size_t p = 0; p < np; p++) {
        K_UNROLL
        for (size_t v = 0; v < nv; v++) {
            k_store(to + p * ld + v * K_LANES, from[p * nv + v]);
        }
    }
}

/* to = from * scale + shift, for each pixel. */
K_INLINE void scale_group(k_vec *to, const k_vec *from, const k_vec *scale, const k_vec *shift, const size_t np,
                          const size_t nv)
{
    K_UNROLL
    for (size_t i = 0; i < np * nv; i++) {
        to[i] = from[i] * scale[i % nv] + shift[i % nv];
    }
}

/* The zeros right of row `row`, and left of the first. */
static void clear_halo(float *data, const struct k_shape *shape, size_t row)
{
    const size_t n = shape->halo * shape->ld;
    if (n > 0 && row == 0) {
        memset(data - n, 0, n * sizeof *data);
    }
    if (n > 0) {
        memset(data + row * shape->row + shape->w * shape->ld, 0, n * sizeof *data);
    }
}

/* ---- sums ------------------------------------------------------------------------------------------------------ */

struct sums_run {
    float *sums, *squares;
    const float *z, *centre;
    size_t ld;
};

K_INLINE void sums_pixels(k_vec *sum, k_vec *square, const float *from, size_t ld, const k_vec *centre, const size_t np,
                          const size_t nv)
{
    k_vec z[GROUP];
    load_group(z, from, ld, np, nv);
    K_UNROLL
    for (size_t i = 0; i < np * nv; i++) {
        const k_vec moved = z[i] - centre[i % nv];
        sum[i] += z[i];
        square[i] += moved * moved;
    }
}

K_INLINE void sums_group(const struct sums_run *run, size_t p, size_t n, size_t c, const size_t np, const size_t nv)
{
    k_vec sum[GROUP] = {{0}}, square[GROUP] = {{0}}, centre[GROUP];
    load_each(centre, run->centre + c, nv);
    const size_t end = p + n;
    for (; p + np <= end; p += np) {
        sums_pixels(sum, square, run->z + p * run->ld + c, run->ld, centre, np, nv);
    }
    for (; p < end; p++) {
        sums_pixels(sum, square, run->z + p * run->ld + c, run->ld, centre, 1, nv);
    }
    add_sums(run->sums + c, sum, np, nv);
    add_sums(run->squares + c, square, np, nv);
}

RUN(sums)

void K_NAME(k_sums)(float *sums, float *squares, const float *z, const struct k_shape *shape, const float *centre,
                    struct k_range rows)
{
    const size_t vectors = vectors_of(shape);
    memset(sums, 0, vectors * sizeof(k_vec));
    memset(squares, 0, vectors * sizeof(k_vec));
    for (size_t row = rows.from, n; row < rows.to; row += n) {
        n = run_rows(row, rows.to, shape, shape->halo == 0);
        const struct sums_run run = {sums, squares, z + row * shape->row, centre, shape->ld};
        sums_run(&run, n * shape->w, vectors);
    }
}

/* ---- affine ---------------------------------------------------------------------------------------------------- */

struct affine_run {
    float *y;
    const float *z, *scale, *shift, *gate, *residual; /* gate, residual: NULL: none */
    size_t ldy, ldz, ldr;
    enum k_act act;
};

/* Of np pixels from p, at channel c. */
K_INLINE void affine_pixels(const struct affine_run *run, size_t p, size_t c, const k_vec *scale, const k_vec *shift,
                            const k_vec *gate, const size_t np, const size_t nv)
{
    k_vec u[GROUP];
    load_group(u, run->z + p * run->ldz + c, run->ldz, np, nv);
    scale_group(u, u, scale, shift, np, nv);
    k_activate(u, np * nv, run->act);
    if (run->gate != NULL) {
        K_UNROLL
        for (size_t i = 0; i < np * nv; i++) {
            u[i] *= gate[i % nv];
        }
    }
    if (run->residual != NULL) {
        k_vec r[GROUP];
        load_group(r, run->residual + p * run->ldr + c, run->ldr, np, nv);
        K_UNROLL
        for (size_t i = 0; i < np * nv; i++) {
            u[i] += r[i];
        }
    }
    store_group(run->y + p * run->ldy + c, run->ldy, u, np, nv);
}

K_INLINE void affine_group(const struct affine_run *run, size_t p, size_t n, size_t c, const size_t np, const size_t nv)
{
    k_vec scale[GROUP], shift[GROUP], gate[GROUP];
    load_each(scale, run->scale + c, nv);
    load_each(shift, run->shift + c, nv);
    load_each(gate, (run->gate != NULL ? run->gate : run->scale) + c, nv);
    const size_t end = p + n;
    for (; p + np <= end; p += np) {
        affine_pixels(run, p, c, scale, shift, gate, np, nv);
    }
    for (; p < end; p++) {
        affine_pixels(run, p, c, scale, shift, gate, 1, nv);
    }
}

RUN(affine)

void K_NAME(k_affine)(float *y, const struct k_shape *y_shape, const struct k_affine *of, const float *gate, size_t ldg,
                      const float *residual, const struct k_shape *residual_shape, struct k_range rows)
{
    const struct k_shape *from = of->z_shape;
    const bool dense = y_shape->halo == 0 && from->halo == 0 && (residual == NULL || residual_shape->halo == 0);
    for (size_t row = rows.from, n; row < rows.to; row += n) {
        n = run_rows(row, rows.to, y_shape, dense);
        const struct affine_run run = {
            .y = y + row * y_shape->row,
            .z = of->z + row * from->row,
            .scale = of->scale,
            .shift = of->shift,
            .gate = gate == NULL ? NULL : gate + row / y_shape->h * ldg,
            .residual = residual == NULL ? NULL : residual + row * residual_shape->row,
            .ldy = y_shape->ld,
            .ldz = from->ld,
            .ldr = residual == NULL ? 0 : residual_shape->ld,
            .act = of->act,
        };
        affine_run(&run, n * y_shape->w, vectors_of(y_shape));
        clear_halo(y, y_shape, row);
    }
}

/* ---- affine backward ------------------------------------------------------------------------------------------- */

struct back {
    const float *dy, *z, *scale, *shift;
    size_t lddy, ldz;
    enum k_act act;
};

/* g = dy * act'(z * scale + shift), and z. */
K_INLINE void back_pixels(k_vec *g, k_vec *z, const struct back *back, size_t p, size_t c, const k_vec *scale,
                          const k_vec *shift, const size_t np, const size_t nv)
{
    k_vec u[GROUP];
    load_group(g, back->dy + p * back->lddy + c, back->lddy, np, nv);
    load_group(z, back->z + p * back->ldz + c, back->ldz, np, nv);
    scale_group(u, z, scale, shift, np, nv);
    k_activate_back(g, u, np * nv, back->act);
}

static struct back back_of(const float *dy, const struct k_shape *dy_shape, const struct k_affine *of, size_t row)
{
    return (struct back){
        .dy = dy + row * dy_shape->row,
        .z = of->z + row * of->z_shape->row,
        .scale = of->scale,
        .shift = of->shift,
        .lddy = dy_shape->ld,
        .ldz = of->z_shape->ld,
        .act = of->act,
    };
}

struct affine_sums_run {
    float *sums, *products;
    const float *mean;
    struct back back;
};

K_INLINE void affine_sums_pixels(k_vec *sum, k_vec *product, const struct back *back, size_t p, size_t c,
                                 const k_vec *scale, const k_vec *shift, const k_vec *mean, const size_t np,
                                 const size_t nv)
{
    k_vec g[GROUP], z[GROUP];
    back_pixels(g, z, back, p, c, scale, shift, np, nv);
    K_UNROLL
    for (size_t i = 0; i < np * nv; i++) {
        sum[i] += g[i];
        product[i] += g[i] * (z[i] - mean[i % nv]);
    }
}

K_INLINE void affine_sums_group(const struct affine_sums_run *run, size_t p, size_t n, size_t c, const size_t np,
                                const size_t nv)
{
    k_vec sum[GROUP] = {{0}}, product[GROUP] = {{0}}, scale[GROUP], shift[GROUP], mean[GROUP];
    load_each(scale, run->back.scale + c, nv);
    load_each(shift, run->back.shift + c, nv);
    load_each(mean, run->mean + c, nv);
    const size_t end = p + n;
    for (; p + np <= end; p += np) {
        affine_sums_pixels(sum, product, &run->back, p, c, scale, shift, mean, np, nv);
    }
    for (; p < end; p++) {
        affine_sums_pixels(sum, product, &run->back, p, c, scale, shift, mean, 1, nv);
    }
    add_sums(run->sums + c, sum, np, nv);
    add_sums(run->products + c, product, np, nv);
}

RUN(affine_sums)

void K_NAME(k_affine_sums)(float *sums, float *products, const float *dy, const struct k_shape *dy_shape,
                           const struct k_affine *of, const float *mean, struct k_range rows)
{
    const size_t vectors = vectors_of(dy_shape);
    const bool dense = dy_shape->halo == 0 && of->z_shape->halo == 0;
    memset(sums, 0, vectors * sizeof(k_vec));
    memset(products, 0, vectors * sizeof(k_vec));
    for (size_t row = rows.from, n; row < rows.to; row += n) {
        n = run_rows(row, rows.to, dy_shape, dense);
        const struct affine_sums_run run = {sums, products, mean, back_of(dy, dy_shape, of, row)};
        affine_sums_run(&run, n * dy_shape->w, vectors);
    }
}

struct affine_gradient_run {
    float *dz;
    size_t ld;
    const float *a, *b, *k;
    struct back back;
};

K_INLINE void affine_gradient_pixels(const struct affine_gradient_run *run, size_t p, size_t c, k_vec (*by)[GROUP],
                                     const size_t np, const size_t nv)
{
    k_vec g[GROUP], z[GROUP];
    back_pixels(g, z, &run->back, p, c, by[0], by[1], np, nv);
    K_UNROLL
    for (size_t i = 0; i < np * nv; i++) {
        g[i] = by[2][i % nv] * g[i] + (by[3][i % nv] * z[i] + by[4][i % nv]);
    }
    store_group(run->dz + p * run->ld + c, run->ld, g, np, nv);
}

K_INLINE void affine_gradient_group(const struct affine_gradient_run *run, size_t p, size_t n, size_t c,
                                    const size_t np, const size_t nv)
{
    k_vec by[5][GROUP];
    load_each(by[0], run->back.scale + c, nv);
    load_each(by[1], run->back.shift + c, nv);
    load_each(by[2], run->a + c, nv);
    load_each(by[3], run->b + c, nv);
    load_each(by[4], run->k + c, nv);
    const size_t end = p + n;
    for (; p + np <= end; p += np) {
        affine_gradient_pixels(run, p, c, by, np, nv);
    }
    for (; p < end; p++) {
        affine_gradient_pixels(run, p, c, by, 1, nv);
    }
}

RUN(affine_gradient)

void K_NAME(k_affine_gradient)(float *dz, const struct k_shape *dz_shape, const float *dy,
                               const struct k_shape *dy_shape, const struct k_affine *of, const float *a,
                               const float *b, const float *k, struct k_range rows)
{
    const bool dense = dz_shape->halo == 0 && dy_shape->halo == 0 && of->z_shape->halo == 0;
    for (size_t row = rows.from, n; row < rows.to; row += n) {
        n = run_rows(row, rows.to, dz_shape, dense);
        const struct affine_gradient_run run = {
            .dz = dz + row * dz_shape->row,
            .ld = dz_shape->ld,
            .a = a,
            .b = b,
            .k = k,
            .back = back_of(dy, dy_shape, of, row),
        };
        affine_gradient_run(&run, n * dz_shape->w, vectors_of(dz_shape));
        clear_halo(dz, dz_shape, row);
    }
}

/* ---- gates ----------------------------------------------------------------------------------------------------- */

struct dots_run {
    float *dots;
    const float *a, *b;
    size_t lda, ldb;
};

K_INLINE void dots_pixels(k_vec *sum, const struct dots_run *run, size_t p, size_t c, const size_t np, const size_t nv)
{
    k_vec a[GROUP], b[GROUP];
    load_group(a, run->a + p * run->lda + c, run->lda, np, nv);
    load_group(b, run->b + p * run->ldb + c, run->ldb, np, nv);
    K_UNROLL
    for (size_t i = 0; i < np * nv; i++) {
        sum[i] += a[i] * b[i];
    }
}

K_INLINE void dots_group(const struct dots_run *run, size_t p, size_t n, size_t c, const size_t np, const size_t nv)
{
    k_vec sum[GROUP] = {{0}};
    const size_t end = p + n;
    for (; p + np <= end; p += np) {
        dots_pixels(sum, run, p, c, np, nv);
    }
    for (; p < end; p++) {
        dots_pixels(sum, run, p, c, 1, nv);
    }
    add_sums(run->dots + c, sum, np, nv);
}

RUN(dots)

void K_NAME(k_dots)(float *dots, size_t ldd, const float *a, const struct k_shape *a_shape, const float *b,
                    const struct k_shape *b_shape, struct k_range images)
{
    const size_t vectors = vectors_of(a_shape), h = a_shape->h;
    const bool dense = a_shape->halo == 0 && b_shape->halo == 0;
    for (size_t image = images.from; image < images.to; image++) {
        memset(dots + image * ldd, 0, vectors * sizeof(k_vec));
    }
    for (size_t row = images.from * h, n; row < images.to * h; row += n) {
        n = run_rows(row, images.to * h, a_shape, dense);
        const struct dots_run run = {
            .dots = dots + row / h * ldd,
            .a = a + row * a_shape->row,
            .b = b + row * b_shape->row,
            .lda = a_shape->ld,
            .ldb = b_shape->ld,
        };
        dots_run(&run, n * a_shape->w, vectors);
    }
}

struct gate_run {
    float *y;
    const float *x, *gate, *add; /* x NULL: add alone */
    size_t ldy, ldx;
};

K_INLINE void gate_pixels(const struct gate_run *run, size_t p, size_t c, const k_vec *gate, const k_vec *add,
                          const size_t np, const size_t nv)
{
    k_vec x[GROUP];
    if (run->x != NULL) {
        load_group(x, run->x + p * run->ldx + c, run->ldx, np, nv);
        scale_group(x, x, gate, add, np, nv);
    } else {
        K_UNROLL
        for (size_t i = 0; i < np * nv; i++) {
            x[i] = add[i % nv];
        }
    }
    store_group(run->y + p * run->ldy + c, run->ldy, x, np, nv);
}

K_INLINE void gate_group(const struct gate_run *run, size_t p, size_t n, size_t c, const size_t np, const size_t nv)
{
    k_vec gate[GROUP], add[GROUP];
    load_each(gate, (run->x != NULL ? run->gate : run->add) + c, nv);
    load_each(add, run->add + c, nv);
    const size_t end = p + n;
    for (; p + np <= end; p += np) {
        gate_pixels(run, p, c, gate, add, np, nv);
    }
    for (; p < end; p++) {
        gate_pixels(run, p, c, gate, add, 1, nv);
    }
}

RUN(gate)

void K_NAME(k_gate)(float *y, const struct k_shape *y_shape, const float *x, const struct k_shape *x_shape,
                    const float *gate, const float *add, size_t ldg, struct k_range rows)
{
    const bool dense = y_shape->halo == 0 && (x == NULL || x_shape->halo == 0);
    for (size_t row = rows.from, n; row < rows.to; row += n) {
        n = run_rows(row, rows.to, y_shape, dense);
        const size_t image = row / y_shape->h * ldg;
        struct gate_run run = {
            .x = x == NULL ? NULL : x + row * x_shape->row,
            .gate = x == NULL ? NULL : gate + image,
            .add = add + image,
            .ldy = y_shape->ld,
            .ldx = x == NULL ? 0 : x_shape->ld,
        };
        run.y = y + row * y_shape->row;
        gate_run(&run, n * y_shape->w, vectors_of(y_shape));
    }
}
