/* table.c - the kernels of one instruction set under one name. */
#include "supernet/kernels/vector/gradients.h"

#define TEXT2(name) #name
#define TEXT(name)  TEXT2(name)

const struct k_table K_NAME(k_table) = {
    .name = TEXT(K_ISA),
    .lanes = K_LANES,
    .conv = K_NAME(k_conv),
    .depthwise = K_NAME(k_depthwise),
    .mean = K_NAME(k_mean),
    .scale = K_NAME(k_scale),
    .add = K_NAME(k_add),
};

const struct k_gradient_table K_NAME(k_gradient) = {
    .name = TEXT(K_ISA),
    .lanes = K_LANES,
    .sums = K_NAME(k_sums),
    .affine = K_NAME(k_affine),
    .affine_sums = K_NAME(k_affine_sums),
    .affine_gradient = K_NAME(k_affine_gradient),
    .conv_weights = K_NAME(k_conv_weights),
    .depthwise_input = K_NAME(k_depthwise_input),
    .depthwise_weights = K_NAME(k_depthwise_weights),
    .dots = K_NAME(k_dots),
    .gate = K_NAME(k_gate),
};
