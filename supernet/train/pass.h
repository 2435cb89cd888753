/* pass.h - what the forward and the backward pass of a tape share; private to train. */
#ifndef TAILOR_TRAIN_PASS_H
#define TAILOR_TRAIN_PASS_H

#include "supernet/train/tape.h"

/* What unit u reads (for a residual's own: before it is averaged), and where a unit's output lies (in scratch if it is not
 * kept). */
struct tr_tensor pass_input(const struct tape *tape, size_t u);
struct tr_tensor pass_output(const struct tape *tape, const struct tape_unit *unit);

/* The affine after z. */
struct k_affine pass_affine(const struct tape_unit *unit);

/* A unit's input channels, and whether it averages its input first. */
size_t pass_channels(const struct tape_unit *unit);
bool pass_averages(const struct tape_unit *unit);
/* `x`, the input of a unit that averages, averaged into scratch. */
struct tr_tensor pass_average(const struct tape *tape, const struct tape_unit *unit, const struct tr_tensor *x);

/* The first `co` rows and `inputs` columns of a layer's weights. */
struct tr_weights pass_weights(const struct tape *tape, const struct supernet_layer *layer, size_t co, size_t inputs);
/* The weights of a unit that is no depthwise layer; in tape->cut where they do not lie together. */
struct tr_weights pass_unit_weights(const struct tape *tape, const struct tape_unit *unit);

/* y = after(act(z * scale + shift) * gates + residual), into pass_output; for pass_sum without `after`, into scratch. */
void pass_make(const struct tape *tape, const struct tape_unit *unit);
struct tr_tensor pass_sum(const struct tape *tape, const struct tape_unit *unit);

/* A depthwise unit's taps into tape->kernel and tape->packed_kernel. */
void pass_pack_kernel(const struct tape *tape, const struct tape_unit *unit);

/* x = x * by for a map of one pixel; by (nb, ld), NULL: nothing. */
void pass_multiply(const struct tr_tensor *x, const float *by);

#endif
