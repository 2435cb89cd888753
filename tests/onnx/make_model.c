/* make_model.c - make_model FAMILY RESOLUTION SEED FOLDER [BLOCK]: a random network of a shipped family with random
 * parameters, or a block of it as devices time it: with the weights that a plan without parameters draws, and one batch.
 *
 * Writes model.onnx, and for batches of 1 and 3 images (of a block: 3 alone) x1.npy, y1.npy, x3.npy, y3.npy: images
 * (n, c, h, w) and what our own runtime makes of them. Any family, those that cannot be supernets among them. Exits with 3
 * where the network has no such block.
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

/* Where number i of (n, c, h, w) lies in (n, h, w, c). */
static size_t pixel_of(size_t i, size_t channels, size_t pixels)
{
    return (i / (channels * pixels) * pixels + i % pixels) * channels + i / pixels % channels;
}

/* params NULL: those drawn with the seed 1. */
static void write_run(const char *folder, const struct network *net, const struct net_params *params, size_t nb,
                      struct tl_rng *rng)
{
    const struct net_op *first = &net->ops[0], *last = &net->ops[net->n_ops - 1];
    const size_t in[] = {nb, first->ci, first->h_in, first->w_in}, out[] = {nb, last->co, last->h_out, last->w_out};
    const size_t in_pixels = in[2] * in[3], out_pixels = out[2] * out[3];
    const size_t n_in = nb * in[1] * in_pixels, n_out = nb * out[1] * out_pixels;
    float *images = calloc(n_in, sizeof *images), *planes = calloc(n_in, sizeof *planes);
    float *maps = calloc(n_out, sizeof *maps), *answers = calloc(n_out, sizeof *answers);
    struct net_plan *plan = NULL;
    struct tl_err err = {0};
    if (images == NULL || planes == NULL || maps == NULL || answers == NULL) {
        must(tl_fail(&err, TL_NO_MEMORY, "no memory for images"), &err);
        return;
    }
    for (size_t i = 0; i < n_in; i++) {
        planes[i] = (float)tl_rng_normal(rng);
        images[pixel_of(i, in[1], in_pixels)] = planes[i];
    }
    must(net_plan_new(net, (unsigned)nb, params, 1, NULL, &plan, &err), &err);
    net_plan_run(plan, images, maps);
    net_plan_free(plan);
    for (size_t i = 0; i < n_out; i++) {
        answers[i] = maps[pixel_of(i, out[1], out_pixels)];
    }
    write_array(folder, 'x', nb, 4, in, planes);
    write_array(folder, 'y', nb, last->kind == NET_LINEAR ? 2 : 4, out, answers);
    free(images);
    free(planes);
    free(maps);
    free(answers);
}

static void write_block(const char *folder, const char *path, const struct network *whole, size_t block,
                        struct tl_rng *rng)
{
    static struct network cut;
    static struct net_params params;
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    struct tl_err err = {0};
    net_block_cut(whole, block, &cut);
    must(net_params_init(&params, &cut, 1e-3F, &err), &err);
    net_params_draw(&params, &cut, 1);
    must(onnx_encode_batch(&cut, &params, 3, NULL, 0, &bytes, &err), &err);
    must(tl_file_write(path, bytes.data, bytes.len, &err), &err);
    write_run(folder, &cut, NULL, 3, rng);
    net_params_done(&params);
}

int main(int argc, char **argv)
{
    static struct network net;
    static struct net_params params;
    TL_AUTO(tl_buf) bytes = {.max = INT32_MAX};
    struct tl_err err = {0};
    struct tl_rng rng;
    char path[512];
    const struct net_family *family = argc == 5 || argc == 6 ? net_family_get(argv[1]) : NULL;
    if (family == NULL) {
        (void)fprintf(stderr, "usage: make_model FAMILY RESOLUTION SEED FOLDER [BLOCK]\n");
        return 2;
    }
    tl_rng_init(&rng, strtoull(argv[3], NULL, 10), 0, 0);
    random_network(family, (unsigned)strtoul(argv[2], NULL, 10), &rng, &net);
    (void)snprintf(path, sizeof path, "%s/model.onnx", argv[4]);
    if (argc == 6) {
        const size_t block = strtoul(argv[5], NULL, 10);
        if (block >= net.n_blocks) {
            return 3;
        }
        write_block(argv[4], path, &net, block, &rng);
        return 0;
    }
    must(net_params_init(&params, &net, family->bn_eps, &err), &err);
    for (size_t i = 0; i < net.n_ops; i++) {
        for (size_t l = 0; l < NET_LAYERS_MAX; l++) {
            fill(&params.layers[i][l], &rng);
        }
    }
    must(onnx_encode(&net, &params, NULL, 0, &bytes, &err), &err);
    must(tl_file_write(path, bytes.data, bytes.len, &err), &err);
    write_run(argv[4], &net, &params, 1, &rng);
    write_run(argv[4], &net, &params, 3, &rng);
    net_params_done(&params);
    return 0;
}
