/* codec_supernet.c - supernets and checkpoints as safetensors.
 *
 * Tensors have PyTorch's shapes and the names of net_layer_name: "s1.b2.expand.weight", "s1.b2.expand.bn.running_mean",
 * "s1.b2.depthwise.transform_7to5". What is not a tensor is metadata, in JSON. A checkpoint is the same with the
 * trainer's arrays, float32 throughout.
 */
#include "supernet/train/codec_supernet.h"

#include "base/codec_json.h"
#include "supernet/files/files.h"
#include "supernet/train/codec_train.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = NET_NAME_MAX + 32 };

static const char FORMAT[] = "tailor-supernet-1";

/* ---- the list of tensors ------------------------------------------------------------------------------------- */

/* One tensor of a supernet and its place in it. */
struct entry {
    char name[NAME_MAX_BYTES];
    size_t rank, shape[4], n;
    float *at;         /* into params or stats */
    size_t kernel, ci; /* above 1: stored (co, kernel, kernel, ci), written (co, ci, kernel, kernel) */
};

struct entries {
    struct entry *list; /* owned */
    size_t n;
};

static void add_entry(struct entries *entries, const char *layer, const char *what, float *array, size_t offset,
                      size_t rank, const size_t *shape)
{
    if (offset == SUPERNET_NONE) {
        return;
    }
    struct entry *entry = &entries->list[entries->n++];
    *entry = (struct entry){.rank = rank, .n = 1, .at = array + offset, .kernel = 1, .ci = 1};
    (void)snprintf(entry->name, sizeof entry->name, "%s.%s", layer, what);
    for (size_t i = 0; i < rank; i++) {
        entry->shape[i] = shape[i];
        entry->n *= shape[i];
    }
}

static void add_weights(struct entries *entries, const struct supernet *net, const struct net_op *op, const char *name,
                        const struct supernet_layer *layer)
{
    const size_t taps = (size_t)op->kernel * op->kernel, ci = layer->inputs / taps;
    const size_t shape[] = {layer->co, ci, op->kernel, op->kernel};
    add_entry(entries, name, "weight", net->params, layer->w, op->kind == NET_LINEAR ? 2 : 4, shape);
    entries->list[entries->n - 1].kernel = op->kernel;
    entries->list[entries->n - 1].ci = ci;
}

static void add_layer(struct entries *entries, const struct supernet *net, size_t op, unsigned which)
{
    const struct supernet_layer *layer = &net->layers[op][which];
    char name[NET_NAME_MAX];
    if (layer->co == 0) {
        return;
    }
    net_layer_name(&net->largest, op, which, name);
    add_weights(entries, net, &net->largest.ops[op], name, layer);
    add_entry(entries, name, "bias", net->params, layer->bias, 1, &layer->co);
    add_entry(entries, name, "bn.weight", net->params, layer->gamma, 1, &layer->co);
    add_entry(entries, name, "bn.bias", net->params, layer->beta, 1, &layer->co);
    add_entry(entries, name, "bn.running_mean", net->stats, layer->mean, 1, &layer->co);
    add_entry(entries, name, "bn.running_var", net->stats, layer->variance, 1, &layer->co);
    for (size_t t = 0; t + 1 < net->family.n_kernels; t++) {
        const size_t small = net->family.kernels[t], shape[] = {small * small, small * small};
        char what[32];
        (void)snprintf(what, sizeof what, "transform_%uto%zu", net->family.kernels[t + 1], small);
        add_entry(entries, name, what, net->params, layer->transform[t], 2, shape);
    }
}

static enum tl_rc list_entries(const struct supernet *net, struct entries *ret_entries, struct tl_err *err)
{
    struct entries entries = {0};
    entries.list = calloc(net->largest.n_ops * NET_LAYERS_MAX * (6 + SUPERNET_KERNELS_MAX), sizeof *entries.list);
    if (entries.list == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to list a supernet's tensors");
    }
    for (size_t i = 0; i < net->largest.n_ops; i++) {
        for (unsigned l = 0; l < NET_LAYERS_MAX; l++) {
            add_layer(&entries, net, i, l);
        }
    }
    *ret_entries = entries;
    return TL_OK;
}

/* Between (co, k, k, ci) and (co, ci, k, k). */
static void reorder(const struct entry *entry, float *restrict theirs, float *restrict ours, bool to_ours)
{
    const size_t taps = entry->kernel * entry->kernel, ci = entry->ci, co = entry->n / (taps * ci);
    for (size_t o = 0; o < co; o++) {
        for (size_t t = 0; t < taps; t++) {
            for (size_t i = 0; i < ci; i++) {
                float *a = &ours[(o * taps + t) * ci + i], *b = &theirs[(o * ci + i) * taps + t];
                *(to_ours ? a : b) = *(to_ours ? b : a);
            }
        }
    }
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* Everything that is written, in one buffer: floats in PyTorch's order, or halves of them. */
struct writing {
    struct st_tensor *tensors;
    size_t n;
    unsigned char *bytes, *at;
    bool half;
};

/* What would become infinite stays whole. */
static bool fit_halves(const float *values, size_t n)
{
    static const float most = 65504.0F; /* the largest float16 */
    for (size_t i = 0; i < n; i++) {
        if (fabsf(values[i]) > most) {
            return false;
        }
    }
    return true;
}

static void write_floats(struct writing *writing, const char *name, size_t rank, const size_t *shape,
                         const float *values, size_t n)
{
    const bool half = writing->half && fit_halves(values, n);
    struct st_tensor *tensor = &writing->tensors[writing->n++];
    *tensor = (struct st_tensor){
        .name = name, .dtype = half ? "F16" : "F32", .rank = rank, .data = writing->at, .n_bytes = n * (half ? 2 : 4)};
    memcpy(tensor->shape, shape, rank * sizeof *shape);
    if (half) {
        st_halves(writing->at, values, n);
    } else {
        memcpy(writing->at, values, n * sizeof *values);
    }
    writing->at += tensor->n_bytes;
}

static void write_entries(struct writing *writing, const struct entries *entries, float *scratch)
{
    for (size_t i = 0; i < entries->n; i++) {
        const struct entry *entry = &entries->list[i];
        const bool moves = entry->kernel > 1 && entry->ci > 1;
        if (moves) {
            reorder(entry, scratch, entry->at, false);
        }
        write_floats(writing, entry->name, entry->rank, entry->shape, moves ? scratch : entry->at, entry->n);
    }
}

/* The calibration images, a byte a channel. */
static void write_images(struct writing *writing, const struct supernet_facts *facts)
{
    struct st_tensor *tensor = &writing->tensors[writing->n++];
    *tensor = (struct st_tensor){.name = "calibration.images",
                                 .dtype = "U8",
                                 .rank = 4,
                                 .shape = {facts->n_images, facts->side, facts->side, 3},
                                 .data = facts->images,
                                 .n_bytes = facts->n_images * facts->side * facts->side * 3};
}

static enum tl_rc class_names(const struct supernet_facts *facts, json_t **ret_list, struct tl_err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; facts->classes != NULL && i < facts->n_classes; i++) {
        if (json_array_append_new(list, json_string(facts->classes[i]))) {
            json_decref(list);
            return tl_fail(err, TL_INVALID, "the name of class %zu is not UTF-8 (or memory is out): rename its folder",
                           i);
        }
    }
    *ret_list = list;
    return TL_OK;
}

static enum tl_rc facts_text(const struct supernet *net, const struct supernet_facts *facts, struct tl_buf *buf,
                             struct tl_err *err)
{
    json_t *classes = NULL;
    const enum tl_rc rc = class_names(facts, &classes, err);
    if (rc) {
        return rc;
    }
    const float *mean = facts->mean, *deviation = facts->deviation;
    json_t *json =
        json_pack("{s:s, s:[f, f, f], s:[f, f, f], s:o, s:s, s:s}", "family", net->family.name, "mean", (double)mean[0],
                  (double)mean[1], (double)mean[2], "deviation", (double)deviation[0], (double)deviation[1],
                  (double)deviation[2], "classes", classes, "made_by", facts->made_by, "data", facts->data);
    return tl_json_dump_exact_take(json, buf, err);
}

enum { MORE_TENSORS = 4 };

static enum tl_rc encode(const struct supernet *net, const struct entries *entries, const struct supernet_facts *facts,
                         const struct trainer_state *state, bool half, struct tl_buf *buf, struct tl_err *err)
{
    TL_AUTO(tl_buf) about = {0};
    TL_AUTO(tl_buf) family = {.max = NET_FAMILY_BYTES_MAX};
    const size_t floats = net->n_params + net->n_stats + (state == NULL ? 0 : 3 * net->n_params);
    struct writing writing = {.half = half};
    enum tl_rc rc = facts_text(net, facts, &about, err);
    rc = rc ? rc : net_family_write(&net->family, &family, err);
    writing.tensors = calloc(entries->n + MORE_TENSORS, sizeof *writing.tensors);
    writing.bytes = malloc(floats * sizeof(float));
    float *scratch = calloc(net->n_params, sizeof *scratch);
    if (rc == TL_OK && (writing.tensors == NULL || writing.bytes == NULL || scratch == NULL)) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory to write a supernet of %zu parameters", net->n_params);
    }
    if (rc == TL_OK) {
        char step[24] = "";
        if (state != NULL) {
            (void)snprintf(step, sizeof step, "%" PRIu64, state->step);
        }
        const struct st_pair pairs[] = {{"format", FORMAT},
                                        {"family", family.data},
                                        {"supernet", about.data},
                                        {"plan", facts->plan == NULL ? "" : facts->plan},
                                        {"log", facts->log == NULL ? "" : facts->log},
                                        {"step", step}};
        writing.at = writing.bytes;
        write_entries(&writing, entries, scratch);
        if (state != NULL) {
            write_floats(&writing, "trainer.first", 1, &net->n_params, state->first, net->n_params);
            if (state->second != NULL) {
                write_floats(&writing, "trainer.second", 1, &net->n_params, state->second, net->n_params);
            }
            if (state->teacher != NULL) {
                write_floats(&writing, "trainer.teacher", 1, &net->n_params, state->teacher, net->n_params);
            }
        } else if (facts->n_images > 0) {
            write_images(&writing, facts);
        }
        rc = st_encode(writing.tensors, writing.n, pairs, TL_COUNT_OF(pairs), buf, err);
    }
    free(writing.tensors);
    free(writing.bytes);
    free(scratch);
    return rc;
}

enum tl_rc supernet_encode(const struct supernet *net, const struct supernet_facts *facts,
                           const struct trainer_state *state, bool half, struct tl_buf *buf, struct tl_err *err)
{
    struct entries entries = {0};
    enum tl_rc rc = list_entries(net, &entries, err);
    rc = rc ? rc : encode(net, &entries, facts, state, half, buf, err);
    free(entries.list);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* Finds a tensor by our name. */
typedef enum tl_rc find_fn(const void *where, const char *name, const struct st_tensor **ret_tensor,
                           struct tl_err *err);

static enum tl_rc find_ours(const void *where, const char *name, const struct st_tensor **ret_tensor,
                            struct tl_err *err)
{
    return st_find(where, name, ret_tensor, err);
}

static enum tl_rc check_values(const struct entry *entry, struct tl_err *err)
{
    static const char variance[] = ".running_var";
    const size_t n = strlen(entry->name), m = sizeof variance - 1;
    const bool spread = n > m && strcmp(entry->name + n - m, variance) == 0;
    for (size_t i = 0; i < entry->n; i++) {
        if (!isfinite(entry->at[i]) || (spread && entry->at[i] < 0.0F)) {
            return tl_fail(err, TL_INVALID,
                           "tensor %s holds %g, which is no %s: its training went wrong, or the file is damaged",
                           entry->name, (double)entry->at[i], spread ? "variance" : "weight");
        }
    }
    return TL_OK;
}

static enum tl_rc read_entry(find_fn *find, const void *where, const struct entry *entry, float *scratch,
                             struct tl_err *err)
{
    const struct st_tensor *tensor = NULL;
    enum tl_rc rc = find(where, entry->name, &tensor, err);
    if (rc) {
        return rc;
    }
    bool same = tensor->rank == entry->rank;
    for (size_t i = 0; same && i < entry->rank; i++) {
        same = tensor->shape[i] == entry->shape[i];
    }
    if (!same) {
        return tl_fail(err, TL_INVALID,
                       "tensor %s does not have the shape that this family gives it; is the file of another family?",
                       entry->name);
    }
    const bool moves = entry->kernel > 1 && entry->ci > 1;
    rc = st_floats(tensor, moves ? scratch : entry->at, err);
    if (rc == TL_OK && moves) {
        reorder(entry, scratch, entry->at, true);
    }
    return rc ? rc : check_values(entry, err);
}

static enum tl_rc read_entries(find_fn *find, const void *where, struct supernet *net, struct tl_err *err)
{
    struct entries entries = {0};
    enum tl_rc rc = list_entries(net, &entries, err);
    float *scratch = calloc(net->n_params, sizeof *scratch);
    if (rc == TL_OK && scratch == NULL) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory to read a supernet");
    }
    for (size_t i = 0; rc == TL_OK && i < entries.n; i++) {
        rc = read_entry(find, where, &entries.list[i], scratch, err);
    }
    free(scratch);
    free(entries.list);
    return rc;
}

/* Memory is taken for what a family says: only when the file is large enough to hold it, in halves at least. */
static enum tl_rc check_size(const struct safetensors *file, const struct net_family *family, struct tl_err *err)
{
    struct network *largest = malloc(sizeof *largest);
    struct net_pick pick;
    struct net_cost cost = {0};
    size_t bytes = 0;
    net_family_extreme(family, family->resolutions[0], true, &pick);
    enum tl_rc rc = largest ? net_build(family, &pick, largest, err) : tl_fail(err, TL_NO_MEMORY, "no memory to read");
    if (rc == TL_OK) {
        net_cost_total(largest, &cost);
    }
    free(largest);
    for (size_t i = 0; i < st_count(file); i++) {
        bytes += st_at(file, i)->n_bytes;
    }
    if (rc == TL_OK && bytes / 2 < cost.params) {
        return tl_fail(err, TL_INVALID,
                       "the file holds %zu bytes of tensors, too few for the %" PRIu64 " parameters of %s; is it of "
                       "another family?",
                       bytes, cost.params, family->name);
    }
    return rc;
}

enum { CLASS_BYTES = 1025, MADE_BY_BYTES = 1024 };

static enum tl_rc read_numbers(struct tl_json_object *top, const char *name, float above, float ret_values[3],
                               struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc = tl_json_array(top, name, TL_REQUIRED, 3, 3, &list, err);
    for (size_t i = 0; rc == TL_OK && i < 3; i++) {
        const json_t *value = json_array_get(list, i);
        ret_values[i] = json_is_number(value) ? (float)json_number_value(value) : NAN;
        if (!isfinite(ret_values[i]) || ret_values[i] <= above) {
            return tl_fail(err, TL_INVALID, "\"%s\" of the supernet has to be three numbers above %g", name,
                           (double)above);
        }
    }
    return rc;
}

static enum tl_rc read_classes(struct tl_json_object *top, struct supernet_facts *facts, struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc = tl_json_array(top, "classes", TL_REQUIRED, 0, NET_CHANNELS_MAX, &list, err);
    if (rc || json_array_size(list) == 0) {
        return rc;
    }
    facts->classes = calloc(json_array_size(list), sizeof *facts->classes);
    if (facts->classes == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the names of classes");
    }
    facts->n_classes = json_array_size(list);
    for (size_t i = 0; i < facts->n_classes; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        facts->classes[i] = text == NULL || strlen(text) >= CLASS_BYTES ? NULL : strdup(text);
        if (facts->classes[i] == NULL) {
            return tl_fail(err, TL_INVALID, "class %zu of the supernet has no name of less than %d bytes", i,
                           CLASS_BYTES);
        }
    }
    return TL_OK;
}

static enum tl_rc copy_text(const char *text, const char **ret_copy, struct tl_err *err)
{
    *ret_copy = strdup(text == NULL ? "" : text);
    return *ret_copy == NULL ? tl_fail(err, TL_NO_MEMORY, "no memory to read a supernet") : TL_OK;
}

static enum tl_rc read_facts(const struct safetensors *file, struct supernet_facts *facts, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    const char *text = st_metadata(file, "supernet"), *family = NULL, *made_by = "", *data = "";
    if (text == NULL) {
        return tl_fail(err, TL_INVALID, "the file is no supernet: its metadata has no \"supernet\"");
    }
    enum tl_rc rc = tl_json_parse(&doc, text, strlen(text), err);
    if (rc || (rc = tl_json_object_open(&top, doc.root, "/supernet", err)) ||
        (rc = tl_json_string(&top, "family", TL_REQUIRED, 128, &family, err)) ||
        (rc = tl_json_string(&top, "made_by", TL_OPTIONAL, MADE_BY_BYTES, &made_by, err)) ||
        (rc = tl_json_string(&top, "data", TL_OPTIONAL, MADE_BY_BYTES, &data, err)) ||
        (rc = read_numbers(&top, "mean", -FLT_MAX, facts->mean, err)) ||
        (rc = read_numbers(&top, "deviation", 0.0F, facts->deviation, err)) || (rc = read_classes(&top, facts, err)) ||
        (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    if ((rc = copy_text(made_by, &facts->made_by, err)) || (rc = copy_text(data, &facts->data, err))) {
        return rc;
    }
    rc = copy_text(st_metadata(file, "plan"), &facts->plan, err);
    return rc ? rc : copy_text(st_metadata(file, "log"), &facts->log, err);
}

static enum tl_rc read_images(const struct safetensors *file, struct supernet_facts *facts, struct tl_err *err)
{
    for (size_t i = 0; i < st_count(file); i++) {
        const struct st_tensor *tensor = st_at(file, i);
        if (strcmp(tensor->name, "calibration.images") != 0) {
            continue;
        }
        if (strcmp(tensor->dtype, "U8") != 0 || tensor->rank != 4 || tensor->shape[1] != tensor->shape[2] ||
            tensor->shape[3] != 3 || tensor->shape[0] == 0 || tensor->shape[1] > NET_SIDE_MAX) {
            return tl_fail(err, TL_INVALID, "calibration.images has to be U8 of shape (n, side, side, 3)");
        }
        uint8_t *images = malloc(tensor->n_bytes);
        if (images == NULL) {
            return tl_fail(err, TL_NO_MEMORY, "no memory for calibration images");
        }
        memcpy(images, tensor->data, tensor->n_bytes);
        facts->images = images;
        facts->n_images = tensor->shape[0];
        facts->side = tensor->shape[1];
    }
    return TL_OK;
}

enum tl_rc supernet_decode(const struct safetensors *file, struct supernet **ret_net, struct supernet_facts *ret_facts,
                           struct tl_err *err)
{
    const char *format = st_metadata(file, "format"), *text = st_metadata(file, "family");
    struct supernet_facts facts = {0};
    struct net_family family;
    struct supernet *net = NULL;
    if (format == NULL || strcmp(format, FORMAT) != 0 || text == NULL) {
        return tl_fail(err, TL_INVALID,
                       "the file is no supernet of Tailor (its metadata's format is not \"%s\"); a once-for-all "
                       "checkpoint becomes one with tailor convert",
                       FORMAT);
    }
    enum tl_rc rc = net_family_parse(text, strlen(text), &family, err);
    if (rc || (rc = check_size(file, &family, err)) || (rc = supernet_new(&family, 0, &net, err)) ||
        (rc = read_entries(find_ours, file, net, err)) || (rc = read_facts(file, &facts, err)) ||
        (rc = read_images(file, &facts, err))) {
        supernet_facts_done(&facts);
        supernet_free(net);
        return rc;
    }
    *ret_net = net;
    *ret_facts = facts;
    return TL_OK;
}

/* ---- once-for-all's checkpoints ------------------------------------------------------------------------------ */

struct ofa_file {
    const struct safetensors *file;
    const struct net_family *family;
};

/* Searched from the front for each of a few hundred tensors: once in the life of a checkpoint. */
static enum tl_rc find_theirs(const void *where, const char *name, const struct st_tensor **ret_tensor,
                              struct tl_err *err)
{
    const struct ofa_file *ofa = where;
    for (size_t i = 0; i < st_count(ofa->file); i++) {
        char ours[OFA_NAME_MAX];
        if (ofa_tensor_name(ofa->family, st_at(ofa->file, i)->name, ours) && strcmp(ours, name) == 0) {
            *ret_tensor = st_at(ofa->file, i);
            return TL_OK;
        }
    }
    return tl_fail(err, TL_NOT_FOUND, "the checkpoint has no tensor for %s; is it one of %s?", name, ofa->family->name);
}

enum tl_rc supernet_decode_ofa(const struct safetensors *file, const struct net_family *family,
                               struct supernet **ret_net, struct tl_err *err)
{
    const struct ofa_file ofa = {.file = file, .family = family};
    struct supernet *net = NULL;
    enum tl_rc rc = check_size(file, family, err);
    rc = rc ? rc : supernet_new(family, 0, &net, err);
    rc = rc ? rc : read_entries(find_theirs, &ofa, net, err);
    if (rc) {
        supernet_free(net);
        return rc;
    }
    *ret_net = net;
    return TL_OK;
}

void supernet_facts_done(struct supernet_facts *facts)
{
    for (size_t i = 0; facts->classes != NULL && i < facts->n_classes; i++) {
        free(tl_unconst(facts->classes[i]));
    }
    free(tl_unconst(facts->classes));
    free(tl_unconst(facts->images));
    free(tl_unconst(facts->made_by));
    free(tl_unconst(facts->data));
    free(tl_unconst(facts->plan));
    free(tl_unconst(facts->log));
    *facts = (struct supernet_facts){0};
}

/* ---- checkpoints --------------------------------------------------------------------------------------------- */

static enum tl_rc read_state(const struct safetensors *file, const char *name, float *to, size_t n, struct tl_err *err)
{
    const struct st_tensor *tensor = NULL;
    const enum tl_rc rc = st_find_f32(file, name, 1, &n, &tensor, err);
    if (rc == TL_OK) {
        memcpy(to, tensor->data, n * sizeof *to);
    }
    return rc;
}

enum tl_rc checkpoint_decode(const struct safetensors *file, struct supernet *net, const char *plan,
                             struct trainer *trainer, const char **ret_log, struct tl_err *err)
{
    const char *log = st_metadata(file, "log"), *text = st_metadata(file, "step"), *theirs = st_metadata(file, "plan");
    uint64_t step = 0;
    if (text == NULL || sscanf(text, "%" SCNu64, &step) != 1 || theirs == NULL) {
        return tl_fail(err, TL_INVALID, "the file is no checkpoint: its metadata has no step");
    }
    enum tl_rc rc = train_plan_compare(theirs, plan, err);
    if (rc || (rc = read_entries(find_ours, file, net, err)) || (rc = trainer_resume(trainer, step, err))) {
        return rc;
    }
    const struct trainer_state state = trainer_state(trainer);
    rc = read_state(file, "trainer.first", state.first, net->n_params, err);
    if (rc == TL_OK && state.second != NULL) {
        rc = read_state(file, "trainer.second", state.second, net->n_params, err);
    }
    if (rc == TL_OK && state.teacher != NULL) {
        rc = read_state(file, "trainer.teacher", state.teacher, net->n_params, err);
    }
    *ret_log = log == NULL ? "" : log;
    return rc;
}
