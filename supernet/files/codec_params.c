/* codec_params.c - a network's parameters as safetensors. Threads: see files.h. */
#include "supernet/files/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS_A_LAYER = 6, NAME_BYTES = 64 };

/* The tensors of a network, and a copy of those whose order is another in the file. */
struct listing {
    struct st_tensor *tensors;
    char (*names)[NAME_BYTES];
    float *copies;
    size_t n, n_copied;
};

/* Between (co, k, k, ci) in memory and (co, ci, k, k) in the file. */
static void reorder(float *restrict theirs, float *restrict ours, const struct net_layer *layer, size_t taps, bool in)
{
    const size_t ci = layer->inputs / taps;
    for (size_t o = 0; o < layer->co; o++) {
        for (size_t t = 0; t < taps; t++) {
            for (size_t i = 0; i < ci; i++) {
                float *file = &theirs[(o * ci + i) * taps + t], *memory = &ours[(o * taps + t) * ci + i];
                *(in ? memory : file) = *(in ? file : memory);
            }
        }
    }
}

static void add(struct listing *listing, const char *layer, const char *what, size_t rank, const size_t *shape,
                const float *data)
{
    struct st_tensor *tensor = &listing->tensors[listing->n];
    if (data == NULL) {
        return;
    }
    *tensor = (struct st_tensor){.name = listing->names[listing->n], .dtype = "F32", .rank = rank, .data = data};
    tensor->n_bytes = sizeof(float);
    for (size_t i = 0; i < rank; i++) {
        tensor->shape[i] = shape[i];
        tensor->n_bytes *= shape[i];
    }
    (void)snprintf(listing->names[listing->n++], NAME_BYTES, "%s.%s", layer, what);
}

static void add_layer(struct listing *listing, const struct network *net, size_t op, unsigned which,
                      const struct net_layer *layer)
{
    const struct net_op *of = &net->ops[op];
    const size_t kernel = of->kernel, taps = kernel * kernel,
                 shape[] = {layer->co, layer->inputs / taps, kernel, kernel};
    const float *w = layer->w;
    char name[NET_NAME_MAX];
    net_layer_name(net, op, which, name);
    if (taps > 1 && shape[1] > 1) {
        float *copy = listing->copies + listing->n_copied;
        reorder(copy, layer->w, layer, taps, false);
        listing->n_copied += layer->co * layer->inputs;
        w = copy;
    }
    add(listing, name, "weight", of->kind == NET_LINEAR ? 2 : 4, shape, w);
    add(listing, name, "bias", 1, shape, layer->bias);
    add(listing, name, "bn.weight", 1, shape, layer->gamma);
    add(listing, name, "bn.bias", 1, shape, layer->beta);
    add(listing, name, "bn.running_mean", 1, shape, layer->mean);
    add(listing, name, "bn.running_var", 1, shape, layer->variance);
}

static enum tl_rc list(const struct network *net, const struct net_params *params, struct listing *listing,
                       struct tl_err *err)
{
    const size_t most = (size_t)net->n_ops * NET_LAYERS_MAX * TENSORS_A_LAYER;
    size_t floats = 1;
    for (size_t i = 0; i < net->n_ops; i++) {
        floats += net->ops[i].kernel > 1 ? params->layers[i][0].co * params->layers[i][0].inputs : 0;
    }
    listing->tensors = calloc(most + 1, sizeof *listing->tensors);
    listing->names = calloc(most + 1, sizeof *listing->names);
    listing->copies = calloc(floats, sizeof *listing->copies);
    if (!listing->tensors || !listing->names || !listing->copies) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to list parameters");
    }
    for (size_t i = 0; i < net->n_ops; i++) {
        for (unsigned l = 0; l < NET_LAYERS_MAX; l++) {
            if (params->layers[i][l].co > 0) {
                add_layer(listing, net, i, l, &params->layers[i][l]);
            }
        }
    }
    return TL_OK;
}

static void listing_done(struct listing *listing)
{
    free(listing->tensors);
    free(listing->names);
    free(listing->copies);
}

enum tl_rc params_encode(const struct network *net, const struct net_params *params, const struct st_pair *pairs,
                         size_t n_pairs, struct tl_buf *buf, struct tl_err *err)
{
    TL_AUTO(listing) listing = {0};
    const enum tl_rc rc = list(net, params, &listing, err);
    return rc ? rc : st_encode(listing.tensors, listing.n, pairs, n_pairs, buf, err);
}

enum tl_rc params_decode(const struct safetensors *file, const struct network *net, struct net_params *params,
                         struct tl_err *err)
{
    TL_AUTO(listing) listing = {0};
    enum tl_rc rc = list(net, params, &listing, err);
    for (size_t t = 0; rc == TL_OK && t < listing.n; t++) {
        const struct st_tensor *ours = &listing.tensors[t], *theirs = NULL;
        rc = st_find_f32(file, ours->name, ours->rank, ours->shape, &theirs, err);
        if (rc == TL_OK) { /* the listing points into params, or into its copies */
            memcpy(tl_unconst(ours->data), theirs->data, theirs->n_bytes);
        }
    }
    for (size_t i = 0, copied = 0; rc == TL_OK && i < net->n_ops; i++) {
        const struct net_layer *layer = &params->layers[i][0];
        const size_t taps = (size_t)net->ops[i].kernel * net->ops[i].kernel;
        if (layer->co > 0 && taps > 1 && layer->inputs > taps) {
            reorder(listing.copies + copied, layer->w, layer, taps, true);
            copied += layer->co * layer->inputs;
        }
    }
    return rc;
}
