/* kernels.h - runs a network forward on this machine: the runtime that device agents time.
 *
 * A plan is a network made ready: weights packed for the widest vector unit present, one arena for all activations,
 * every loop's blocking decided. net_plan_run allocates nothing and calls no system function. Layout inside: NHWC
 * float32; batch norm folded; activation, and where it pays the residual, fused into the producing kernel.
 *
 * Instruction sets: AVX-512F, AVX2+FMA, and plain (vectors of 128 bits in what every machine of the target has: SSE2, or
 * NEON), chosen once by the processor or by TAILOR_ISA=plain|avx2|avx512 (never above what the processor has).
 *
 * Threads: a plan belongs to one thread at a time; it hands its work to the pool it was made with.
 */
#ifndef TAILOR_KERNELS_H
#define TAILOR_KERNELS_H

#include "supernet/network.h"

struct net_plan;

/* Name of the instruction set in use: "avx512", "avx2", "plain". */
const char *net_isa(void);

/* Plan `net` with `params` (neither needed afterwards), batch norm folded in. `params` NULL: seeded random weights: timing
 * does not depend on them, and activations stay of order one, never denormal. `pool` NULL: one thread; borrowed for the
 * plan's life; with at least as many images as threads, every thread takes images of its own. TL_INVALID: net_check
 * failed, or batch is not 1 to 4096. TL_TOO_LARGE: would need more than 4 GiB. */
TL_MUST_CHECK enum tl_rc net_plan_new(const struct network *net, unsigned batch, const struct net_params *params,
                                      uint64_t seed, struct tl_pool *pool, struct net_plan **ret_plan,
                                      struct tl_err *err);
void net_plan_free(struct net_plan *plan);

/* Fill the parameters (net_params_init) with the weights that a plan without parameters draws, batch norm neutral: the
 * same network for a runtime of others. */
void net_params_draw(struct net_params *params, const struct network *net, uint64_t seed);

size_t net_plan_input_floats(const struct net_plan *plan); /* batch x h x w x ci of the first operator */
size_t net_plan_output_floats(const struct net_plan *plan);
size_t net_plan_bytes(const struct net_plan *plan); /* weights + arena */

/* One forward. input (nb, h, w, ci), output (nb, h', w', co) of the last operator, NHWC float32. The same input gives
 * the same bits on every call and for every pool size. */
void net_plan_run(struct net_plan *plan, const float *input, float *output);

#endif
