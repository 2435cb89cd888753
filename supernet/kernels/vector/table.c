/* table.c - the kernels of one instruction set under one name. */
#include "supernet/kernels/vector/vector.h"

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
