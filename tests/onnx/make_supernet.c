/* make_supernet.c - make_supernet FAMILY.json|NAME OUTPUT: a supernet of seeded random weights and statistics, as a file. */
#include "supernet/train/codec_supernet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const struct tl_err *err)
{
    (void)fprintf(stderr, "make_supernet: %s\n", err->text);
    exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

/* Means about zero, or what is behind a deep network's activations is zero alone. */
static void draw_stats(struct supernet *net)
{
    struct tl_rng rng;
    tl_rng_init(&rng, 2, 0, 0);
    for (size_t i = 0; i < net->largest.n_ops; i++) {
        const struct supernet_layer *layer = &net->layers[i][0];
        for (size_t c = 0; layer->mean != SUPERNET_NONE && c < layer->co; c++) {
            net->stats[layer->mean + c] = (float)tl_rng_unit(&rng) - 0.5F;
            net->stats[layer->variance + c] = (float)tl_rng_unit(&rng) + 0.5F;
        }
    }
}

int main(int argc, char **argv)
{
    const struct supernet_facts facts = {.deviation = {1, 1, 1}, .made_by = "make_supernet", .data = ""};
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    struct net_family family;
    struct supernet *net = NULL;
    struct tl_err err = {0};
    if (argc != 3) {
        (void)fprintf(stderr, "usage: make_supernet FAMILY OUTPUT\n");
        return 2;
    }
    const struct net_family *shipped = net_family_get(argv[1]);
    if (shipped) {
        family = *shipped;
    } else if (net_family_load(argv[1], &family, &err)) {
        fail(&err);
    }
    if (supernet_new(&family, 1, &net, &err)) {
        fail(&err);
    }
    draw_stats(net);
    if (supernet_encode(net, &facts, NULL, false, &bytes, &err) ||
        tl_file_write(argv[2], bytes.data, bytes.len, &err)) {
        fail(&err);
    }
    supernet_free(net);
    return 0;
}
