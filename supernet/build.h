/* build.h - appends operators to a network; private to supernet. Used by families and file readers.
 *
 * One idea: the builder carries the current map, so shapes chain by construction. Callers keep within the limits of
 * network.h: at most NET_BLOCKS_MAX blocks, NET_CHANNELS_MAX channels.
 */
#ifndef TAILOR_SUPERNET_BUILD_H
#define TAILOR_SUPERNET_BUILD_H

#include "supernet/network.h"

struct net_builder {
    struct network *net; /* borrowed */
    uint16_t h, w, c;    /* the map that the next operator sees */
};

/* An inverted residual block; its input is the builder's map. */
struct net_inverted {
    unsigned mid;    /* channels of the depthwise convolution */
    bool expands;    /* a 1x1 convolution makes `mid` channels first; false: mid is the input's */
    unsigned kernel; /* of the depthwise convolution */
    unsigned stride;
    enum net_act act;
    bool se;        /* squeeze-and-excitation to net_divisible(mid / 4) */
    unsigned width; /* output channels */
    bool residual;  /* adds the input; only at stride 1 and equal channels */
};

/* A bottleneck block: 1x1 to `mid`, k x k, 1x1 to `width`, the input added, the activation. Where shapes change, the
 * input is averaged and projected. */
struct net_bottleneck {
    unsigned mid, kernel, stride, width;
    enum net_act act;
};

/* Begin *net anew with an input of 3 x resolution x resolution. */
struct net_builder net_builder_make(struct network *net, unsigned resolution);

/* Operators added from now on belong to a new block. */
void net_add_block(struct net_builder *builder, int stage, int slot);

/* A k x k convolution; batch norm instead of a bias, or neither. */
void net_add_conv(struct net_builder *builder, unsigned width, unsigned kernel, unsigned stride, enum net_act act,
                  bool batch_norm);
void net_add_inverted(struct net_builder *builder, const struct net_inverted *block);
void net_add_bottleneck(struct net_builder *builder, const struct net_bottleneck *block);
/* Squeeze-and-excitation of the map, to net_divisible(channels / 4). */
void net_add_se(struct net_builder *builder);
/* The input of operator `first` of the block is added, of the same shape. */
void net_add_residual(struct net_builder *builder, unsigned first, enum net_act act);
/* The largest of 3 x 3, stride 2. */
void net_add_max_pool(struct net_builder *builder);
void net_add_pool(struct net_builder *builder);
/* The classifier: fully connected, no activation. */
void net_add_linear(struct net_builder *builder, unsigned width, bool bias);

#endif
