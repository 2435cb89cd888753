/* make_model.c - make_model FAMILY RESOLUTION SEED FOLDER: a random network of a shipped family with random parameters.
 *
 * Writes model.onnx, and for batches of 1 and 3 images x1.npy, y1.npy, x3.npy, y3.npy: images (n, 3, h, w) and what our
 * own runtime makes of them. Any family, those that cannot be supernets among them.
 */
#include "supernet/files/files.h"
#include "supernet/kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void must(enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        (void)fprintf(stderr, "make_model: %s\n", err->text);
        exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
}

static void random_network(const struct net_family *shipped, unsigned resolution, struct tl_rng *rng,
                           struct network *ret_net)
{
    struct net_family family = *shipped;
    struct net_pick pick = {.resolution = (uint16_t)resolution};
    struct tl_err err = {0};
    family.n_resolutions = 1;
    family.resolutions[0] = (uint16_t)resolution;
    pick.stem_depth = (uint8_t)tl_rng_below(rng, net_family_elastic_stem(&family) ? 2 : 1);
    for (size_t p = 0; p < NET_PLACES_MAX; p++) {
        pick.width[p] = (uint8_t)tl_rng_below(rng, net_family_elastic_width(&family, p) ? family.n_widths : 1);
    }
    for (size_t s = 0; s < family.n_stages; s++) {
        const struct net_stage *stage = &family.stages[s];
        pick.depth[s] = stage->n_depths ? stage->depths[tl_rng_below(rng, stage->n_depths)] : 0;
    }
    for (size_t i = 0; i < net_family_slots(&family, family.n_stages); i++) {
        pick.choice[i] = (uint8_t)tl_rng_below(rng, family.n_choices);
    }
    must(net_build(&family, &pick, ret_net, &err), &err);
}

/* Statistics that no batch norm leaves out unseen; weights that keep activations of order one. */
static void fill(const struct net_layer *layer, struct tl_rng *rng)
{
    for (size_t k = 0; k < layer->co * layer->inputs; k++) {
        layer->w[k] = (float)(tl_rng_normal(rng) * sqrt(1.5 / (double)layer->inputs));
    }
    for (size_t o = 0; o < layer->co; o++) {
        if (layer->bias != NULL) {
            layer->bias[o] = (float)(0.3 * tl_rng_normal(rng));
        }
        if (layer->gamma != NULL) {
            layer->gamma[o] = (float)(0.6 + 0.4 * tl_rng_unit(rng));
            layer->beta[o] = (float)(0.3 * tl_rng_normal(rng));
            layer->mean[o] = (float)(0.3 * tl_rng_normal(rng));
            layer->variance[o] = (float)(0.5 + tl_rng_unit(rng));
        }
    }
}

static void write_array(const char *folder, char name, size_t batch, size_t rank, const size_t *shape,
                        const float *data)
{
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    struct tl_err err = {0};
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%c%zu.npy", folder, name, batch);
    must(npy_encode(data, rank, shape, &bytes, &err), &err);
    must(tl_file_write(path, bytes.data, bytes.len, &err), &err);
}

static void write_run(const char *folder, const struct network *net, const struct net_params *params, size_t nb,
                      struct tl_rng *rng)
{
    const size_t side = net->resolution, pixels = side * side, classes = net->ops[net->n_ops - 1].co;
    const size_t in[] = {nb, 3, side, side}, out[] = {nb, classes};
    float *images = calloc(nb * 3 * pixels, sizeof *images), *planes = calloc(nb * 3 * pixels, sizeof *planes);
    float *logits = calloc(nb * classes, sizeof *logits);
    struct net_plan *plan = NULL;
    struct tl_err err = {0};
    if (images == NULL || planes == NULL || logits == NULL) {
        must(tl_fail(&err, TL_NO_MEMORY, "no memory for images"), &err);
        return;
    }
    for (size_t i = 0; i < nb * 3 * pixels; i++) {
        const size_t n = i / (3 * pixels), channel = i / pixels % 3, pixel = i % pixels;
        planes[i] = (float)tl_rng_normal(rng);
        images[(n * pixels + pixel) * 3 + channel] = planes[i];
    }
    must(net_plan_new(net, (unsigned)nb, params, 0, NULL, &plan, &err), &err);
    net_plan_run(plan, images, logits);
    net_plan_free(plan);
    write_array(folder, 'x', nb, 4, in, planes);
    write_array(folder, 'y', nb, 2, out, logits);
    free(images);
    free(planes);
    free(logits);
}

int main(int argc, char **argv)
{
    static struct network net;
    static struct net_params params;
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    struct tl_err err = {0};
    struct tl_rng rng;
    char path[512];
    const struct net_family *family = argc == 5 ? net_family_get(argv[1]) : NULL;
    if (family == NULL) {
        (void)fprintf(stderr, "usage: make_model FAMILY RESOLUTION SEED FOLDER\n");
        return 2;
    }
    tl_rng_init(&rng, strtoull(argv[3], NULL, 10), 0, 0);
    random_network(family, (unsigned)strtoul(argv[2], NULL, 10), &rng, &net);
    must(net_params_init(&params, &net, family->bn_eps, &err), &err);
    for (size_t i = 0; i < net.n_ops; i++) {
        for (size_t l = 0; l < NET_LAYERS_MAX; l++) {
            fill(&params.layers[i][l], &rng);
        }
    }
    must(onnx_encode(&net, &params, NULL, 0, &bytes, &err), &err);
    (void)snprintf(path, sizeof path, "%s/model.onnx", argv[4]);
    must(tl_file_write(path, bytes.data, bytes.len, &err), &err);
    write_run(argv[4], &net, &params, 1, &rng);
    write_run(argv[4], &net, &params, 3, &rng);
    net_params_done(&params);
    return 0;
}
