/* conv_gradient.c - the gradient of a pointwise layer's weights: a product over pixels.
 *
 * A block of outputs times up to three vectors of inputs is summed in registers over a run of pixels: a pixel costs one
 * load for each vector of x and one broadcast for each output. Nothing is packed, since a pixel's channels lie side by
 * side in both operands. Pixels are cut into runs whose dz stays in the second cache while the vectors of x pass by.
 */
#include "supernet/kernels/vector/gradients.h"

enum { RUN_MIN = 64, RUN_MAX = 256, RUN_FLOATS = 65536 }; /* pixels of a run; floats of dz in it: 256 KiB */

/* The operands of a block at its first pixel. */
struct operands {
    const float *dz, *x;
    size_t ldz, ldx, n_pixels;
    float *dw;
    size_t ldw;
    size_t last;                  /* channels of the block's last vector */
    const float *next_z, *next_x; /* lines of the next run, fetched one a pixel */
    size_t step_z, step_x;        /* floats to the next line; 0 where there is none */
};

/* no and nv are constants where this is called. */
K_INLINE void block(const struct operands *of, const size_t no, const size_t nv)
{
    k_vec acc[K_BLOCK_SUMS] = {{0}};
    const float *restrict dz = of->dz, *restrict x = of->x;
    const float *next_z = of->next_z, *next_x = of->next_x;
    const size_t ldz = of->ldz, ldx = of->ldx, step_z = of->step_z, step_x = of->step_x;
    for (size_t p = of->n_pixels; p > 0; p--, dz += ldz, x += ldx, next_z += step_z, next_x += step_x) {
        __builtin_prefetch(next_z, 0, 2);
        __builtin_prefetch(next_x, 0, 2);
        k_vec xi[K_PANEL_MAX];
        K_UNROLL
        for (size_t v = 0; v < nv; v++) {
            xi[v] = k_load(x + v * K_LANES);
        }
        K_UNROLL
        for (size_t o = 0; o < no; o++) {
            const k_vec dzo = k_splat(dz[o]);
            K_UNROLL
            for (size_t v = 0; v < nv; v++) {
                acc[o * nv + v] += dzo * xi[v];
            }
        }
    }
    K_UNROLL
    for (size_t o = 0; o < no; o++) {
        float *dw = of->dw + o * of->ldw;
        K_UNROLL
        for (size_t v = 0; v < nv; v++) {
            k_add_some(dw + v * K_LANES, acc[o * nv + v], v + 1 < nv ? K_LANES : of->last);
        }
    }
}

#define CASE(no, nv)                                                                                                   \
    case no:                                                                                                           \
        block(of, no, nv);                                                                                             \
        break;

static void block_1(const struct operands *of, size_t no)
{
    switch (no) {
        K_BLOCKS_1(CASE, 1)
    default:
        break;
    }
}

static void block_2(const struct operands *of, size_t no)
{
    switch (no) {
        K_BLOCKS_2(CASE, 2)
    default:
        break;
    }
}

static void block_3(const struct operands *of, size_t no)
{
    switch (no) {
        K_BLOCKS_3(CASE, 3)
    default:
        break;
    }
}

/* One run of pixels: all outputs by all inputs. Its steps are a pixel's floats in the next run, 0: there is none. */
static void run(const struct operands *whole, size_t co, size_t ci)
{
    static const size_t most[] = {K_BLOCK_1, K_BLOCK_2, K_BLOCK_3}; /* by nv - 1 */
    static void (*const blocks[])(const struct operands *, size_t) = {block_1, block_2, block_3};
    const size_t vectors = (ci + K_LANES - 1) / K_LANES;
    size_t done = 0; /* blocks: each fetches as many lines as it has pixels, dz and x of the next run in their order */
    for (size_t v = 0, nv; v < vectors; v += nv) {
        nv = k_panel(vectors - v);
        const size_t n = (co + most[nv - 1] - 1) / most[nv - 1];
        for (size_t b = 0; b < n; b++, done++) {
            const size_t o = co * b / n, end = co * (b + 1) / n;
            struct operands at = *whole;
            at.dz += o;
            at.x += v * K_LANES;
            at.dw += o * whole->ldw + v * K_LANES;
            at.last = v + nv < vectors ? K_LANES : ci - (vectors - 1) * K_LANES;
            at.step_z = done * K_LINE < whole->step_z ? K_LINE : 0;
            at.step_x = done * K_LINE < whole->step_x ? K_LINE : 0;
            at.next_z += at.step_z * done * whole->n_pixels;
            at.next_x += at.step_x * done * whole->n_pixels;
            blocks[nv - 1](&at, end - o);
        }
    }
}

void K_NAME(k_conv_weights)(float *dw, size_t ldw, const float *dz, size_t ldz, const float *x, size_t ldx,
                            size_t n_pixels, size_t co, size_t ci)
{
    const size_t fits = RUN_FLOATS / co;
    const size_t most = fits < RUN_MIN ? RUN_MIN : fits > RUN_MAX ? RUN_MAX : fits, n = (n_pixels + most - 1) / most;
    for (size_t i = 0; i < n; i++) {
        const size_t from = n_pixels * i / n, to = n_pixels * (i + 1) / n;
        const bool more = i + 1 < n;
        struct operands at = {
            .dz = dz + from * ldz,
            .x = x + from * ldx,
            .ldz = ldz,
            .ldx = ldx,
            .n_pixels = to - from,
            .ldw = ldw,
            .next_z = dz + (more ? to : from) * ldz,
            .next_x = x + (more ? to : from) * ldx,
            .step_z = more ? ldz : 0,
            .step_x = more ? ldx : 0,
        };
        at.dw = dw;
        run(&at, co, ci);
    }
}
