/* sort.c - orders the middle channels of a supernet's blocks by importance, so that a cut keeps the best.
 *
 * Once-for-all's rule: the importance of a middle channel is the L1 norm of the projection's weights that read it; what
 * makes the channel and what reads it are permuted alike. Hidden units of squeeze-and-excitation, and what the first
 * convolution of a bottleneck makes, are ordered likewise by the weights that read them.
 */
#include "supernet/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The layers around the middle of one block. */
struct middle {
    const struct supernet_layer *expand, *depthwise, *project;
    const struct supernet_layer *squeeze, *back; /* NULL without SE */
    const struct supernet_layer *full;           /* in place of the depthwise layer of a bottleneck, or NULL */
    size_t channels;
    size_t inputs; /* channels of the block's input */
    size_t place;  /* of its width */
};

/* Where the widths end that are trained, ascending. */
struct edges {
    size_t at[SUPERNET_EXPANDS_MAX * NET_WIDTHS_MAX], n;
};

struct ranked {
    double importance;
    size_t channel, segment;
};

static int by_importance(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->segment != y->segment) {
        return x->segment < y->segment ? -1 : 1;
    }
    if (x->importance != y->importance) {
        return x->importance > y->importance ? -1 : 1;
    }
    return x->channel < y->channel ? -1 : x->channel > y->channel;
}

/* Rows of `width` floats at `at`, n of them, into the new order. scratch: n * width. */
static void permute_rows(float *array, size_t at, size_t n, size_t width, const struct ranked *order, float *scratch)
{
    if (at == SUPERNET_NONE) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(scratch + i * width, array + at + order[i].channel * width, width * sizeof *scratch);
    }
    memcpy(array + at, scratch, n * width * sizeof *scratch);
}

/* The columns of a layer's weights (co, taps, n) likewise. scratch: n. */
static void permute_columns(float *params, const struct supernet_layer *layer, size_t n, const struct ranked *order,
                            float *scratch)
{
    for (size_t o = 0; o < layer->co * (layer->inputs / n); o++) {
        float *row = params + layer->w + o * n;
        for (size_t i = 0; i < n; i++) {
            scratch[i] = row[order[i].channel];
        }
        memcpy(row, scratch, n * sizeof *scratch);
    }
}

/* All that belongs to an output of a layer. */
static void permute_outputs(struct supernet *net, const struct supernet_layer *layer, const struct ranked *order,
                            float *scratch)
{
    permute_rows(net->params, layer->w, layer->co, layer->inputs, order, scratch);
    permute_rows(net->params, layer->bias, layer->co, 1, order, scratch);
    permute_rows(net->params, layer->gamma, layer->co, 1, order, scratch);
    permute_rows(net->params, layer->beta, layer->co, 1, order, scratch);
    permute_rows(net->stats, layer->mean, layer->co, 1, order, scratch);
    permute_rows(net->stats, layer->variance, layer->co, 1, order, scratch);
}

static double column_norm(const float *params, const struct supernet_layer *layer, size_t n, size_t column)
{
    double sum = 0.0;
    for (size_t o = 0; o < layer->co * (layer->inputs / n); o++) {
        sum += fabs((double)params[layer->w + o * n + column]);
    }
    return sum;
}

/* The order of n channels by the columns of the layer that reads them; they do not pass an edge. */
static void rank(struct ranked *order, const float *params, const struct supernet_layer *reader, size_t n,
                 const struct edges *edges)
{
    for (size_t c = 0; c < n; c++) {
        size_t segment = 0;
        while (segment < edges->n && c >= edges->at[segment]) {
            segment++;
        }
        order[c] = (struct ranked){.importance = column_norm(params, reader, n, c), .channel = c, .segment = segment};
    }
    qsort(order, n, sizeof *order, by_importance);
}

static int by_size(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Middle channels by the last `open` ratios, of a bottleneck by as many of its widths. */
static struct edges edges_of(const struct net_family *family, const struct middle *at, unsigned open)
{
    struct edges edges = {.n = 0};
    const bool elastic = family->bottleneck && net_family_elastic_width(family, at->place);
    const unsigned widths = elastic ? family->n_widths : 1, open_widths = open < widths ? open : widths;
    for (unsigned e = family->n_expands - open; e < family->n_expands; e++) {
        for (unsigned w = widths - open_widths; w < widths; w++) {
            const double ratio = family->expands[e];
            edges.at[edges.n++] = !family->bottleneck ? net_divisible((double)at->inputs * ratio)
                                  : elastic           ? net_divisible(family->widths[at->place][w] * (ratio / 100.0))
                                                      : net_divisible((double)at->project->co * (ratio / 100.0));
        }
    }
    qsort(edges.at, edges.n, sizeof *edges.at, by_size);
    return edges;
}

static void sort_squeeze(struct supernet *net, const struct middle *at, const struct edges *edges, struct ranked *order,
                         float *scratch)
{
    struct edges hidden = *edges;
    for (size_t e = 0; e < hidden.n; e++) {
        hidden.at[e] = net_divisible((double)(edges->at[e] / 4));
    }
    rank(order, net->params, at->back, at->squeeze->co, &hidden);
    permute_columns(net->params, at->back, at->squeeze->co, order, scratch);
    permute_outputs(net, at->squeeze, order, scratch);
}

static void sort_block(struct supernet *net, const struct middle *at, unsigned open, struct ranked *order,
                       float *scratch)
{
    const struct edges edges = edges_of(&net->family, at, open);
    rank(order, net->params, at->project, at->channels, &edges);
    permute_columns(net->params, at->project, at->channels, order, scratch);
    if (at->full != NULL) {
        permute_outputs(net, at->full, order, scratch);
        rank(order, net->params, at->full, at->channels, &edges);
        permute_columns(net->params, at->full, at->channels, order, scratch);
    } else {
        permute_outputs(net, at->depthwise, order, scratch);
    }
    permute_outputs(net, at->expand, order, scratch);
    if (at->squeeze != NULL) {
        permute_columns(net->params, at->squeeze, at->channels, order, scratch);
        permute_outputs(net, at->back, order, scratch);
        sort_squeeze(net, at, &edges, order, scratch);
    }
}

/* The middle of block b, if it has one that is elastic. */
static bool find_middle(const struct supernet *net, size_t b, struct middle *ret_middle)
{
    const struct net_block *block = &net->largest.blocks[b];
    struct middle at = {.inputs = net->largest.ops[block->first_op].ci,
                        .channels = net->largest.ops[block->first_op].co,
                        .place = NET_PLACE_STAGE + (size_t)block->stage};
    if (block->slot < 0) {
        return false;
    }
    for (size_t i = block->first_op; i < block->first_op + block->n_ops; i++) {
        const struct supernet_layer *layers = net->layers[i];
        switch (net->largest.ops[i].kind) {
        case NET_CONV:
            *(net->largest.ops[i].kernel > 1            ? &at.full
              : at.depthwise == NULL && at.full == NULL ? &at.expand
                                                        : &at.project) = &layers[0];
            break;
        case NET_DEPTHWISE:
            at.depthwise = &layers[0];
            break;
        case NET_SE:
            at.squeeze = &layers[0];
            at.back = &layers[1];
            break;
        case NET_ADD:
        case NET_POOL:
        case NET_LINEAR:
        case NET_MAX_POOL:
        case NET_PROJECT:
        case NET_OP_KIND_COUNT:
            break;
        }
    }
    *ret_middle = at;
    return at.expand != NULL && (at.depthwise != NULL || at.full != NULL) && at.project != NULL;
}

enum tl_rc supernet_sort(struct supernet *net, unsigned open, struct tl_err *err)
{
    struct ranked *order = calloc(NET_CHANNELS_MAX, sizeof *order);
    float *scratch = calloc(net->n_params, sizeof *scratch);
    enum tl_rc rc = TL_OK;
    if (order == NULL || scratch == NULL) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory to sort channels");
    }
    for (size_t b = 0; rc == TL_OK && b < net->largest.n_blocks; b++) {
        struct middle at;
        if (find_middle(net, b, &at)) {
            sort_block(net, &at, open, order, scratch);
        }
    }
    free(order);
    free(scratch);
    return rc;
}
