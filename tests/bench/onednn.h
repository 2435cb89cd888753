/* onednn.h - the peer of the kernels' bench: oneDNN's convolutions and batch norm, one primitive at a time.
 *
 * Every operand lies as the primitive likes it best (format tag `any`), and laying it so is not timed. Where the library
 * is not installed (BENCH_ONEDNN undefined) there is no peer, and peer_missing says why.
 */
#ifndef TAILOR_TESTS_ONEDNN_H
#define TAILOR_TESTS_ONEDNN_H

#include "base/base.h"

enum peer_kind { PEER_FORWARD, PEER_INPUT, PEER_WEIGHTS, PEER_NORM, PEER_NORM_BACK };

/* A convolution of square maps; groups: 1, or ci = co for a depthwise one. A batch norm has ci = co and neither kernel nor
 * stride, and a ReLU behind it. */
struct peer_layer {
    size_t nb, side, ci, co, kernel, stride, groups;
};

struct peer;

#ifdef BENCH_ONEDNN
#include <dnnl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PEER_ARGS_MAX = 12 };

struct peer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t about, hint;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[PEER_ARGS_MAX];
    int n_args;
};

static inline const char *peer_missing(void)
{
    return NULL;
}

static inline void peer_check(dnnl_status_t status)
{
    if (status != dnnl_success) {
        (void)fprintf(stderr, "oneDNN says %d\n", (int)status);
        exit(1);
    }
}

/* Memory for one operand, filled with numbers of order one. */
static inline void peer_operand(struct peer *peer, int arg, const dnnl_memory_desc_t *shape)
{
    dnnl_memory_t memory = NULL;
    void *data = NULL;
    peer_check(dnnl_memory_create(&memory, shape, peer->engine, DNNL_MEMORY_ALLOCATE));
    peer_check(dnnl_memory_get_data_handle(memory, &data));
    float *to = data;
    for (size_t i = 0; i < dnnl_memory_desc_get_size(shape) / sizeof *to; i++) {
        to[i] = (float)(i % 17) / 8 - 1;
    }
    if (arg == DNNL_ARG_VARIANCE) {
        for (size_t i = 0; i < dnnl_memory_desc_get_size(shape) / sizeof *to; i++) {
            to[i] = 1;
        }
    }
    peer->args[peer->n_args++] = (dnnl_exec_arg_t){arg, memory};
}

static inline void peer_query(struct peer *peer, int arg, dnnl_query_t what)
{
    peer_operand(peer, arg, dnnl_primitive_desc_query_md(peer->about, what, 0));
}

/* dims: the first n count. */
static inline dnnl_memory_desc_t peer_shape(int n, const dnnl_dims_t dims)
{
    dnnl_memory_desc_t shape;
    peer_check(dnnl_memory_desc_init_by_tag(&shape, n, dims, dnnl_f32, dnnl_format_tag_any));
    return shape;
}

static inline void peer_convolution(struct peer *peer, enum peer_kind kind, const struct peer_layer *layer)
{
    const dnnl_dim_t nb = (dnnl_dim_t)layer->nb, side = (dnnl_dim_t)layer->side, k = (dnnl_dim_t)layer->kernel;
    const dnnl_dim_t s = (dnnl_dim_t)layer->stride, g = (dnnl_dim_t)layer->groups, out = (side - 1) / s + 1;
    const dnnl_dim_t ci = (dnnl_dim_t)layer->ci, co = (dnnl_dim_t)layer->co;
    const dnnl_memory_desc_t x = peer_shape(4, (dnnl_dims_t){nb, ci, side, side});
    const dnnl_memory_desc_t y = peer_shape(4, (dnnl_dims_t){nb, co, out, out});
    const dnnl_memory_desc_t w =
        g > 1 ? peer_shape(5, (dnnl_dims_t){g, co / g, ci / g, k, k}) : peer_shape(4, (dnnl_dims_t){co, ci, k, k});
    const dnnl_dim_t left = k / 2, right = (out - 1) * s + k - side - left;
    const dnnl_dims_t strides = {s, s}, before = {left, left}, behind = {right, right};
    dnnl_convolution_desc_t what;
    peer_check(dnnl_convolution_forward_desc_init(&what, dnnl_forward_training, dnnl_convolution_direct, &x, &w, NULL,
                                                  &y, strides, before, behind));
    peer_check(dnnl_primitive_desc_create(&peer->hint, &what, NULL, peer->engine, NULL));
    if (kind == PEER_INPUT) {
        peer_check(dnnl_convolution_backward_data_desc_init(&what, dnnl_convolution_direct, &x, &w, &y, strides, before,
                                                            behind));
    } else if (kind == PEER_WEIGHTS) {
        peer_check(dnnl_convolution_backward_weights_desc_init(&what, dnnl_convolution_direct, &x, &w, NULL, &y,
                                                               strides, before, behind));
    }
    peer_check(dnnl_primitive_desc_create(&peer->about, &what, NULL, peer->engine, peer->hint));
    if (kind == PEER_FORWARD) {
        peer_query(peer, DNNL_ARG_SRC, dnnl_query_src_md);
        peer_query(peer, DNNL_ARG_WEIGHTS, dnnl_query_weights_md);
        peer_query(peer, DNNL_ARG_DST, dnnl_query_dst_md);
    } else if (kind == PEER_INPUT) {
        peer_query(peer, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md);
        peer_query(peer, DNNL_ARG_WEIGHTS, dnnl_query_weights_md);
        peer_query(peer, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md);
    } else {
        peer_query(peer, DNNL_ARG_SRC, dnnl_query_src_md);
        peer_query(peer, DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md);
        peer_query(peer, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md);
    }
}

static inline void peer_norm(struct peer *peer, enum peer_kind kind, const struct peer_layer *layer)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)layer->nb, (dnnl_dim_t)layer->ci, (dnnl_dim_t)layer->side,
                              (dnnl_dim_t)layer->side};
    const unsigned flags = (unsigned)dnnl_use_scaleshift | (unsigned)dnnl_fuse_norm_relu;
    dnnl_memory_desc_t x;
    dnnl_batch_normalization_desc_t what;
    peer_check(dnnl_memory_desc_init_by_tag(&x, 4, dims, dnnl_f32, dnnl_nhwc));
    peer_check(dnnl_batch_normalization_forward_desc_init(&what, dnnl_forward_training, &x, 1e-5F, flags));
    peer_check(dnnl_primitive_desc_create(&peer->hint, &what, NULL, peer->engine, NULL));
    if (kind == PEER_NORM_BACK) {
        peer_check(dnnl_batch_normalization_backward_desc_init(&what, dnnl_backward, &x, &x, 1e-5F, flags));
    }
    peer_check(dnnl_primitive_desc_create(&peer->about, &what, NULL, peer->engine, peer->hint));
    peer_operand(peer, DNNL_ARG_SRC, &x);
    peer_query(peer, DNNL_ARG_SCALE_SHIFT, dnnl_query_weights_md);
    peer_operand(peer, DNNL_ARG_WORKSPACE, dnnl_primitive_desc_query_md(peer->hint, dnnl_query_workspace_md, 0));
    const dnnl_memory_desc_t *channels = dnnl_primitive_desc_query_md(peer->hint, dnnl_query_dst_md, 1);
    peer_operand(peer, DNNL_ARG_MEAN, channels);
    peer_operand(peer, DNNL_ARG_VARIANCE, channels);
    if (kind == PEER_NORM) {
        peer_operand(peer, DNNL_ARG_DST, &x);
    } else {
        peer_operand(peer, DNNL_ARG_DIFF_DST, &x);
        peer_operand(peer, DNNL_ARG_DIFF_SRC, &x);
        peer_query(peer, DNNL_ARG_DIFF_SCALE_SHIFT, dnnl_query_diff_weights_md);
    }
}

/* Owned by the caller. */
static inline struct peer *peer_new(enum peer_kind kind, const struct peer_layer *layer)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        return NULL;
    }
    peer_check(dnnl_engine_create(&peer->engine, dnnl_cpu, 0));
    peer_check(dnnl_stream_create(&peer->stream, peer->engine, dnnl_stream_default_flags));
    if (kind == PEER_NORM || kind == PEER_NORM_BACK) {
        peer_norm(peer, kind, layer);
    } else {
        peer_convolution(peer, kind, layer);
    }
    peer_check(dnnl_primitive_create(&peer->primitive, peer->about));
    return peer;
}

static inline void peer_run(struct peer *peer)
{
    peer_check(dnnl_primitive_execute(peer->primitive, peer->stream, peer->n_args, peer->args));
    peer_check(dnnl_stream_wait(peer->stream));
}

static inline void peer_free(struct peer *peer)
{
    if (peer == NULL) {
        return;
    }
    for (int i = 0; i < peer->n_args; i++) {
        (void)dnnl_memory_destroy(peer->args[i].memory);
    }
    (void)dnnl_primitive_destroy(peer->primitive);
    (void)dnnl_primitive_desc_destroy(peer->about);
    (void)dnnl_primitive_desc_destroy(peer->hint);
    (void)dnnl_stream_destroy(peer->stream);
    (void)dnnl_engine_destroy(peer->engine);
    free(peer);
}
#else
static inline const char *peer_missing(void)
{
    return "oneDNN (Debian's libdnnl-dev) was not there when this was built: no peer beside our kernels";
}

static inline struct peer *peer_new(enum peer_kind kind, const struct peer_layer *layer)
{
    (void)kind;
    (void)layer;
    return NULL;
}

static inline void peer_run(struct peer *peer)
{
    (void)peer;
}

static inline void peer_free(struct peer *peer)
{
    (void)peer;
}
#endif

#endif
