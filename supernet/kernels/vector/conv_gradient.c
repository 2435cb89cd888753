/* conv_gradient.c - the gradient of pointwise weights: dw[o,i] += sum over p of dz[p,o] * x[p,i].
 *
 * A block of outputs times vectors of inputs lives in registers while a chunk of pixels streams by: each step loads the
 * vectors of x once and one number of dz an output. Chunks are short enough that their slice of x stays in the first
 * cache for all outputs; no operand is packed, since a pixel's channels lie side by side.
 */
#include "supernet/kernels/vector/gradients.h"

#if K_LANES == 16
enum { OUTPUTS = 6, VECTORS = 4 };
#else
enum { OUTPUTS = 4, VECTORS = 2 };
#endif
enum { CHUNK = 128 };

/* The operands of one chunk, from output o and input i on. */
struct chunk {
    float *dw;
    const float *dz, *x;
    size_t ldw, ldz, ldx, n;
    size_t inputs; /* that may be written, from i on */
};

K_INLINE void add_row(float *dw, const k_vec *sums, size_t inputs, const size_t nv)
{
    K_UNROLL
    for (size_t v = 0; v < nv; v++) {
        if ((v + 1) * K_LANES <= inputs) {
            k_store(dw + v * K_LANES, k_load(dw + v * K_LANES) + sums[v]);
        } else {
            for (size_t i = v * K_LANES; i < inputs; i++) {
                dw[i] += sums[v][i - v * K_LANES];
            }
        }
    }
}

K_INLINE void block(const struct chunk *at, const size_t no, const size_t nv)
{
    k_vec acc[OUTPUTS * VECTORS] = {{0}};
    const float *x = at->x, *dz = at->dz;
    const size_t ldx = at->ldx, ldz = at->ldz, n = at->n;
    for (size_t p = 0; p < n; p++, x += ldx, dz += ldz) {
        k_vec xi[VECTORS];
        K_UNROLL
        for (size_t v = 0; v < nv; v++) {
            xi[v] = k_load(x + v * K_LANES);
        }
        K_UNROLL
        for (size_t o = 0; o < no; o++) {
            const k_vec d = k_splat(dz[o]);
            K_UNROLL
            for (size_t v = 0; v < nv; v++) {
                acc[o * nv + v] += d * xi[v];
            }
        }
    }
    K_UNROLL
    for (size_t o = 0; o < no; o++) {
        add_row(at->dw + o * at->ldw, acc + o * nv, at->inputs, nv);
    }
}

typedef void block_fn(const struct chunk *at);

#define BLOCK(o, v)                                                                                                    \
    static void block_##o##_##v(const struct chunk *at)                                                                \
    {                                                                                                                  \
        block(at, o, v);                                                                                               \
    }
#define ROW_2(o)                                                                                                       \
    BLOCK(o, 1)                                                                                                        \
    BLOCK(o, 2)

ROW_2(1)
ROW_2(2)
ROW_2(3)
ROW_2(4)

#if K_LANES == 16
#define ROW_4(o)                                                                                                       \
    BLOCK(o, 3)                                                                                                        \
    BLOCK(o, 4)
ROW_2(5)
ROW_2(6)
ROW_4(1)
ROW_4(2)
ROW_4(3)
ROW_4(4)
ROW_4(5)
ROW_4(6)
#define NAMES(o)                                                                                                       \
    {                                                                                                                  \
        block_##o##_1, block_##o##_2, block_##o##_3, block_##o##_4                                                     \
    }
static block_fn *const blocks[OUTPUTS][VECTORS] = {NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6)};
#else
#define NAMES(o)                                                                                                       \
    {                                                                                                                  \
        block_##o##_1, block_##o##_2                                                                                   \
    }
static block_fn *const blocks[OUTPUTS][VECTORS] = {NAMES(1), NAMES(2), NAMES(3), NAMES(4)};
#endif

void K_NAME(k_conv_weights)(float *dw, size_t ldw, const float *dz, size_t ldz, const float *x, size_t ldx,
                            size_t n_pixels, size_t co, size_t ci)
{
    const size_t vectors = (ci + K_LANES - 1) / K_LANES;
    for (size_t from = 0; from < n_pixels; from += CHUNK) {
        const size_t n = n_pixels - from < CHUNK ? n_pixels - from : CHUNK;
        for (size_t v = 0; v < vectors; v += VECTORS) {
            const size_t nv = vectors - v < VECTORS ? vectors - v : VECTORS;
            for (size_t o = 0; o < co; o += OUTPUTS) {
                const size_t no = co - o < OUTPUTS ? co - o : OUTPUTS;
                const struct chunk at = {.dw = dw + o * ldw + v * K_LANES,
                                         .dz = dz + from * ldz + o,
                                         .x = x + from * ldx + v * K_LANES,
                                         .ldw = ldw,
                                         .ldz = ldz,
                                         .ldx = ldx,
                                         .n = n,
                                         .inputs = ci - v * K_LANES};
                blocks[no - 1][nv - 1](&at);
            }
        }
    }
}
