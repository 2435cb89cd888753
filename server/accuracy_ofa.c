/* accuracy_ofa.c - once-for-all's own accuracy predictor as an accuracy model.
 *
 * Layout of the tutorial's acc_predictor: 128 features = kernels (20 slots x 3, 5, 7), expands (20 x 3, 4, 6),
 * resolutions ((r - 112) / 16, eight of them); 128-400-400-400-1 with ReLU; the output is accuracy as a fraction. Depth
 * shows in zeroed slots alone. It was trained on 160 to 224 in steps of 16.
 */
#include "server/accuracy.h"

#include "supernet/files/files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OFA_LAYERS = 4, OFA_STAGES = 5, OFA_SLOTS = 4, OFA_FEATURES = 128 };

/* First features of kernels, expands and resolutions. */
enum { OFA_KERNELS = 0, OFA_EXPANDS = 60, OFA_SIDES = 120 };

static const size_t ofa_sizes[OFA_LAYERS + 1] = {OFA_FEATURES, 400, 400, 400, 1};

struct ofa_weights {
    float *weights[OFA_LAYERS], *biases[OFA_LAYERS]; /* owned */
};

static void ofa_weights_done(struct ofa_weights *ofa)
{
    for (size_t i = 0; i < OFA_LAYERS; i++) {
        free(ofa->weights[i]);
        free(ofa->biases[i]);
    }
}

/* A copy, since tensors may lie unaligned in their file. */
static enum tl_rc tensor_copy(const struct safetensors *file, const char *name, size_t rank, const size_t *shape,
                              float **ret_values, struct tl_err *err)
{
    const struct st_tensor *tensor = NULL;
    enum tl_rc rc = st_find_f32(file, name, rank, shape, &tensor, err);
    if (rc) {
        return rc;
    }
    *ret_values = malloc(tensor->n_bytes);
    if (!*ret_values) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for tensor %s", name);
    }
    memcpy(*ret_values, tensor->data, tensor->n_bytes);
    return TL_OK;
}

/* Tensors 0.weight, 0.bias, 2.weight, ..: ReLUs have the odd numbers. */
static enum tl_rc weights_read(const struct safetensors *file, struct ofa_weights *ofa, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; !rc && i < OFA_LAYERS; i++) {
        const size_t shape[2] = {ofa_sizes[i + 1], ofa_sizes[i]};
        char name[32];
        (void)snprintf(name, sizeof(name), "%zu.weight", 2 * i);
        rc = tensor_copy(file, name, 2, shape, &ofa->weights[i], err);
        (void)snprintf(name, sizeof(name), "%zu.bias", 2 * i);
        rc = rc ? rc : tensor_copy(file, name, 1, shape, &ofa->biases[i], err);
    }
    return rc;
}

/* Options of variable `name` switch on features from `first` on; they must have the labels. */
static enum tl_rc map_options(const struct space *space, const char *name, const char *const labels[3], size_t first,
                              struct accuracy_map *map, struct tl_err *err)
{
    const int v = space_variable_find(space, name);
    bool fits = v >= 0 && space->variables[v].n_options == 3;
    for (size_t o = 0; fits && o < 3; o++) {
        fits = strcmp(space->variables[v].labels[o], labels[o]) == 0;
        map->feature[v][o] = (uint16_t)(first + o);
    }
    return fits ? TL_OK
                : tl_fail(err, TL_INVALID,
                          "once-for-all's predictor needs variable %s with options %s, %s and %s; space %s"
                          " has none such",
                          name, labels[0], labels[1], labels[2], space->name);
}

static enum tl_rc map_slots(const struct space *space, struct accuracy_map *map, struct tl_err *err)
{
    static const char *const kernels[3] = {"3", "5", "7"}, *const expands[3] = {"3", "4", "6"};
    for (size_t slot = 0; slot < (size_t)OFA_STAGES * OFA_SLOTS; slot++) {
        char name[SPACE_LABEL_MAX];
        (void)snprintf(name, sizeof(name), "s%zu.b%zu.kernel", slot / OFA_SLOTS + 1, slot % OFA_SLOTS + 1);
        enum tl_rc rc = map_options(space, name, kernels, OFA_KERNELS + 3 * slot, map, err);
        if (rc) {
            return rc;
        }
        (void)snprintf(name, sizeof(name), "s%zu.b%zu.expand", slot / OFA_SLOTS + 1, slot % OFA_SLOTS + 1);
        rc = map_options(space, name, expands, OFA_EXPANDS + 3 * slot, map, err);
        if (rc) {
            return rc;
        }
    }
    return TL_OK;
}

static enum tl_rc map_sides(const struct space *space, struct accuracy_map *map, struct accuracy_facts *facts,
                            struct tl_err *err)
{
    const int v = space_variable_find(space, "resolution");
    for (size_t o = 0; v >= 0 && o < space->variables[v].n_options; o++) {
        const double side = space->variables[v].numbers[o];
        if (side >= 160.0 && side <= 224.0 && fmod(side, 16.0) == 0.0) {
            map->feature[v][o] = (uint16_t)(OFA_SIDES + (side - 112.0) / 16.0);
            facts->resolutions[facts->n_resolutions++] = (uint16_t)side;
        }
    }
    return facts->n_resolutions
               ? TL_OK
               : tl_fail(err, TL_INVALID, "space %s has none of the resolutions 160, 176, .. 224", space->name);
}

enum tl_rc accuracy_import_ofa(const void *bytes, size_t n, const struct space *space,
                               struct accuracy_model **ret_model, struct tl_err *err)
{
    struct accuracy_map map;
    struct accuracy_facts facts = {.source = "once-for-all's own accuracy predictor",
                                   .rmse = (double)NAN,
                                   .spearman = (double)NAN,
                                   .coverage = (double)NAN};
    struct safetensors *file = NULL;
    struct ofa_weights ofa = {0};
    struct model *regression = NULL;

    memset(&map, 0xff, sizeof(map));
    enum tl_rc rc = map_slots(space, &map, err);
    rc = rc ? rc : map_sides(space, &map, &facts, err);
    rc = rc ? rc : st_open(bytes, n, &file, err);
    rc = rc ? rc : weights_read(file, &ofa, err);
    rc = rc ? rc
            : model_mlp_import(OFA_LAYERS, ofa_sizes, (const float *const *)ofa.weights,
                               (const float *const *)ofa.biases, 0.0, 100.0, &regression, err);
    rc = rc ? rc : accuracy_new(space, &map, &facts, regression, ret_model, err);
    if (rc) {
        model_free(regression);
    }
    ofa_weights_done(&ofa);
    st_free(file);
    return rc == TL_NOT_FOUND ? TL_INVALID : rc;
}
