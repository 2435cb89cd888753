/* sort.c - orders the middle channels of a supernet's blocks by importance, so that a cut keeps the best.
 *
 * Once-for-all's rule: the importance of a middle channel is the L1 norm of the projection's weights that read it; what
 * makes the channel and what reads it are permuted alike. Hidden units of squeeze-and-excitation are ordered likewise by
 * the weights that read them.
 */
#include "supernet/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The layers around the middle of one block. */
struct middle {
    const struct supernet_layer *expand, *depthwise, *squeeze, *back, *project; /* squeeze, back: NULL without SE */
    size_t inputs;                                                              /* channels of the block's input */
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

/* The columns of a layer's weights (co, n) likewise. scratch: n. */
static void permute_columns(float *params, const struct supernet_layer *layer, size_t n, const struct ranked *order,
                            float *scratch)
{
    for (size_t o = 0; o < layer->co; o++) {
        float *row = params + layer->w + o * layer->inputs;
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

static double column_norm(const float *params, const struct supernet_layer *layer, size_t column)
{
    double sum = 0.0;
    for (size_t o = 0; o < layer->co; o++) {
        sum += fabs((double)params[layer->w + o * layer->inputs + column]);
    }
    return sum;
}

/* The order of n channels by the columns of the layer that reads them; edges[]: where trained widths end, ascending. */
static void rank(struct ranked *order, const float *params, const struct supernet_layer *reader, size_t n,
                 const size_t *edges, size_t n_edges)
{
    for (size_t c = 0; c < n; c++) {
        size_t segment = 0;
        while (segment < n_edges && c >= edges[segment]) {
            segment++;
        }
        order[c] = (struct ranked){.importance = column_norm(params, reader, c), .channel = c, .segment = segment};
    }
    qsort(order, n, sizeof *order, by_importance);
}

static void sort_block(struct supernet *net, const struct middle *at, unsigned open, struct ranked *order,
                       float *scratch)
{
    const struct net_family *family = &net->family;
    size_t edges[4], hidden_edges[4], n_edges = 0;
    for (unsigned e = family->n_expands - open; e < family->n_expands; e++) {
        edges[n_edges] = net_divisible((double)(at->inputs * family->expands[e]));
        hidden_edges[n_edges] = net_divisible((double)(edges[n_edges] / 4));
        n_edges++;
    }
    const size_t middle = at->depthwise->co;
    rank(order, net->params, at->project, middle, edges, n_edges);
    permute_columns(net->params, at->project, middle, order, scratch);
    permute_outputs(net, at->depthwise, order, scratch);
    permute_outputs(net, at->expand, order, scratch);
    if (at->squeeze != NULL) {
        permute_columns(net->params, at->squeeze, middle, order, scratch);
        permute_outputs(net, at->back, order, scratch);
        rank(order, net->params, at->back, at->squeeze->co, hidden_edges, n_edges);
        permute_columns(net->params, at->back, at->squeeze->co, order, scratch);
        permute_outputs(net, at->squeeze, order, scratch);
    }
}

/* The middle of block b, if it has one that is elastic. */
static bool find_middle(const struct supernet *net, size_t b, struct middle *ret_middle)
{
    const struct net_block *block = &net->largest.blocks[b];
    struct middle at = {.inputs = net->largest.ops[block->first_op].ci};
    if (block->slot < 0) {
        return false;
    }
    for (size_t i = block->first_op; i < block->first_op + block->n_ops; i++) {
        const struct supernet_layer *layers = net->layers[i];
        switch (net->largest.ops[i].kind) {
        case NET_CONV:
            *(at.depthwise == NULL ? &at.expand : &at.project) = &layers[0];
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
    return at.expand != NULL && at.depthwise != NULL && at.project != NULL;
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
