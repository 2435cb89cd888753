/* codec_candidate.c - metric values, architectures and candidates as JSON.
 */
#include "base/codec_json.h"
#include "server/codec_search.h"
#include "server/space_of_family.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values -------------------------------------------------------------------------------------------------- */

static json_t *encode_value(const struct candidate_values *values, size_t column)
{
    const struct metric_value *v = &values->columns[column];
    const enum metric metric = column_metric(&values->devices, column);
    const struct candidate_latency *latency = &values->latency[column_device(&values->devices, column)];
    if (values->evaluated >> metric & 1U) {
        return json_pack("{s:o, s:s, s:s}", "value", tl_json_number(v->value), "kind", "evaluated", "by", values->pool);
    }
    bool predicted = !values->tabulated && (metric == METRIC_LATENCY_MS || metric == METRIC_ACCURACY);
    json_t *json = json_pack("{s:o, s:s}", "value", tl_json_number(v->value), "kind",
                             values->tabulated ? "tabulated"
                             : predicted       ? "predicted"
                                               : "computed");

    if (values->tabulated && metric == METRIC_LATENCY_MS) {
        json_object_set_new(json, "note",
                            json_string(latency->timed ? "timed on the device" : "a cost model's, not timed"));
    }
    if (predicted && v->half_width == HUGE_VAL) {
        json_object_set_new(json, "interval", json_null());
        json_object_set_new(json, "note", json_string("the imported model has no known error"));
    } else if (predicted) {
        json_object_set_new(
            json, "interval",
            json_pack("[o, o]", tl_json_number(v->value - v->half_width), tl_json_number(v->value + v->half_width)));
    }
    if (metric == METRIC_LATENCY_MS && latency->corrected) {
        json_object_set_new(json, "note", json_string("corrected by this search's own measurements"));
    }
    return json;
}

static json_t *encode_measured(const struct candidate_latency *latency, double predicted_ms)
{
    json_t *ids = json_array();

    for (size_t i = 0; i < latency->n_measurements; i++) {
        json_array_append_new(ids, json_string(latency->measurements[i]));
    }
    return json_pack("{s:o, s:s, s:[o, o], s:o, s:o}", "value", tl_json_number(latency->measured_ms), "kind",
                     "measured", "interval", tl_json_number(latency->lower_ms), tl_json_number(latency->upper_ms),
                     "measurements", ids, "predicted", tl_json_number(predicted_ms));
}

enum tl_rc candidate_holds(const struct store_candidate *candidate, const struct devices *devices,
                           const struct request_limit *limits, size_t n_limits, bool *ret_holds, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    bool holds = true;

    if (n_limits > 0) {
        const enum tl_rc rc = tl_json_parse(&doc, candidate->values.data, candidate->values.n, err);
        if (rc) {
            return rc;
        }
    }
    for (size_t i = 0; i < n_limits; i++) {
        char name[COLUMN_NAME_MAX];
        column_name(devices, column_of(devices, limits[i].metric, limits[i].device), name);
        const json_t *value = json_object_get(json_object_get(doc.root, name), "value");
        const double number = json_number_value(value);
        holds = holds && json_is_number(value) &&
                (limits[i].is_min ? number >= limits[i].bound : number <= limits[i].bound);
    }
    *ret_holds = holds;
    return TL_OK;
}

enum tl_rc candidate_values_encode(const struct candidate_values *values, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = json_object();

    for (size_t c = 0; c < column_count(&values->devices); c++) {
        const bool of_latency = column_metric(&values->devices, c) == METRIC_LATENCY_MS;
        const struct candidate_latency *latency = &values->latency[column_device(&values->devices, c)];
        char name[COLUMN_NAME_MAX];
        column_name(&values->devices, c, name);
        if (of_latency && latency->measured) {
            json_object_set_new(json, name, encode_measured(latency, values->columns[c].value));
        } else if (!isnan(values->columns[c].value)) {
            json_object_set_new(json, name, encode_value(values, c));
        }
    }
    return tl_json_dump_exact_take(json, buf, err);
}

/* ---- architectures ------------------------------------------------------------------------------------------- */

static json_t *encode_options(const struct space *space, const uint8_t *genes)
{
    uint8_t active[SPACE_VARIABLES_MAX];
    json_t *options = json_object();

    space_active(space, genes, active);
    for (size_t v = 0; v < space->n_variables; v++) {
        const char *label = space->variables[v].labels[genes[v]];
        if (active[v] && json_object_set_new(options, space->variables[v].name, json_string(label)) != 0) {
            json_decref(options);
            return NULL; /* half an architecture would be another one */
        }
    }
    return options;
}

/* {"ks":[..],"e":[..],"d":[..],"r":[..]} as once-for-all writes it: every slot, inactive ones too. */
static json_t *encode_ofa(const struct net_family *family, const struct net_pick *pick)
{
    json_t *ks = json_array(), *e = json_array(), *d = json_array();

    for (size_t i = 0; i < net_family_slots(family, family->n_stages); i++) {
        const struct net_choice *choice = &family->choices[pick->choice[i]];
        json_array_append_new(ks, json_integer(choice->kernel));
        json_array_append_new(e, json_integer(choice->expand));
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        json_array_append_new(d, json_integer(pick->depth[s]));
    }
    return json_pack("{s:o, s:o, s:o, s:[i]}", "ks", ks, "e", e, "d", d, "r", (int)pick->resolution);
}

static json_t *architecture_json(const struct net_family *family, const struct space *space, const uint8_t *genes)
{
    struct tl_hash id = space_arch_id(space, genes);
    struct net_pick pick;
    char text[TL_HASH_TEXT];
    json_t *json;

    tl_hash_format(&id, text);
    json = json_pack("{s:s, s:s, s:o}", "space", space->name, "id", text, "options", encode_options(space, genes));
    if (family && family->n_kernels > 0 && !family->bottleneck && !family->per_stage) {
        pick_of_arch(family, space, genes, &pick);
        json_object_set_new(json, "ofa", encode_ofa(family, &pick));
    }
    return json;
}

enum tl_rc architecture_encode(const struct net_family *family, const struct space *space, const uint8_t *genes,
                               struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(architecture_json(family, space, genes), buf, err);
}

/* ---- the network, block by block ----------------------------------------------------------------------------- */

static const char *const act_names[NET_ACT_COUNT] = {"none", "relu", "relu6", "hswish"};

static const char *block_name(const struct network *net, const struct net_block *block)
{
    const struct net_op *first = &net->ops[block->first_op];

    if (block->slot >= 0) {
        return "block";
    }
    return block->stage >= 0 ? "head" : first->kind == NET_DEPTHWISE ? "first" : "stem";
}

static double block_ms(const struct network *net, size_t b, const struct lat_model *latency)
{
    double ms = NAN;

    return !latency || lat_model_block_ms(latency, net, b, &ms, NULL) ? (double)NAN : ms;
}

/* Its latency: "latency_ms", which is null where several devices have theirs beside it. */
static void set_latencies(json_t *json, const struct network *net, size_t b, const struct candidate_detail *detail)
{
    const struct devices *devices = detail->devices;

    json_object_set_new(json, metric_names[METRIC_LATENCY_MS],
                        tl_json_number(devices->n == 1 ? block_ms(net, b, detail->latency[0]) : (double)NAN));
    for (size_t d = 0; devices->n > 1 && d < devices->n; d++) {
        char name[COLUMN_NAME_MAX];
        column_name(devices, METRIC_LATENCY_MS + d, name);
        json_object_set_new(json, name, tl_json_number(block_ms(net, b, detail->latency[d])));
    }
}

/* Kernel, stride, expansion, SE and activation as people read a block: of its depthwise and first operators. */
static json_t *block_json(const struct network *net, size_t b, const struct candidate_detail *detail)
{
    const struct net_block *block = &net->blocks[b];
    const struct net_op *first = &net->ops[block->first_op], *last = &net->ops[block->first_op + block->n_ops - 1];
    const struct net_op *widest = first;
    struct net_cost cost;
    bool se = false;

    net_cost_of(net, block->first_op, block->n_ops, &cost);
    for (size_t i = block->first_op; i < (size_t)block->first_op + block->n_ops; i++) {
        widest = net->ops[i].kernel > widest->kernel ? &net->ops[i] : widest;
        se = se || net->ops[i].kind == NET_SE;
    }
    json_t *json = json_pack(
        "{s:i, s:i, s:s, s:i, s:i, s:o, s:b, s:s, s:[i,i,i], s:[i,i,i], s:I, s:I}", "stage", block->stage, "slot",
        block->slot, "name", block_name(net, block), "kernel", (int)widest->kernel, "stride", (int)widest->stride,
        "expand", tl_json_number((double)widest->ci / (double)first->ci), "se", (int)se, "act", act_names[first->act],
        "in", (int)first->h_in, (int)first->w_in, (int)first->ci, "out", (int)last->h_out, (int)last->w_out,
        (int)last->co, "macs", (json_int_t)cost.macs, "params", (json_int_t)cost.params);
    set_latencies(json, net, b, detail);
    return json;
}

static enum tl_rc network_json(const struct net_family *family, const struct space *space, const uint8_t *genes,
                               const struct candidate_detail *detail, json_t **ret_json, struct tl_err *err)
{
    struct network *net = malloc(sizeof(*net));
    struct net_pick pick;
    enum tl_rc rc;

    if (!net) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a network");
    }
    pick_of_arch(family, space, genes, &pick);
    if (!(rc = net_build(family, &pick, net, err))) {
        json_t *blocks = json_array();
        for (size_t b = 0; b < net->n_blocks; b++) {
            json_array_append_new(blocks, block_json(net, b, detail));
        }
        *ret_json = json_pack("{s:i, s:o}", "resolution", (int)net->resolution, "blocks", blocks);
    }
    free(net);
    return rc;
}

void candidate_measured_ms(const struct store_candidate *candidate, const struct devices *devices, char *ret_text,
                           size_t size)
{
    json_t *metrics = json_loadb(candidate->values.data, candidate->values.n, 0, NULL);
    size_t n = 0;

    for (size_t d = 0; d < devices->n && n < size; d++) {
        char name[COLUMN_NAME_MAX];
        column_name(devices, METRIC_LATENCY_MS + d, name);
        const json_t *latency = json_object_get(metrics, name);
        const char *kind = json_string_value(json_object_get(latency, "kind"));
        if (kind && strcmp(kind, "measured") == 0) {
            n += (size_t)snprintf(ret_text + n, size - n, "%s%s%s%.6g", n ? "," : "",
                                  devices->n > 1 ? devices->names[d] : "", devices->n > 1 ? "=" : "",
                                  json_number_value(json_object_get(latency, "value")));
        }
    }
    json_decref(metrics);
}

/* ---- candidates ---------------------------------------------------------------------------------------------- */

static json_t *artifacts_json(bool weights)
{
    json_t *list = json_pack("[s, s]", "architecture.json", "net.config");

    if (weights) {
        json_array_append_new(list, json_string("onnx"));
        json_array_append_new(list, json_string("safetensors"));
    }
    return list;
}

enum tl_rc candidate_encode(const struct store_candidate *candidate, const struct net_family *family,
                            const struct space *space, const struct candidate_detail *detail, struct tl_buf *buf,
                            struct tl_err *err)
{
    json_t *metrics = json_loadb(candidate->values.data, candidate->values.n, 0, NULL), *network = NULL;
    enum tl_rc rc;

    if (!metrics || candidate->genes.n != space->n_variables || !space_valid(space, candidate->genes.data)) {
        json_decref(metrics);
        return tl_fail(err, TL_IO, "candidate %lld is damaged in the store", (long long)candidate->id);
    }
    if (detail && family && (rc = network_json(family, space, candidate->genes.data, detail, &network, err))) {
        json_decref(metrics);
        return rc;
    }
    json_t *json =
        json_pack("{s:I, s:s, s:I, s:s, s:o, s:o}", "id", (json_int_t)candidate->id, "search", candidate->search,
                  "number", (json_int_t)candidate->number, "role", candidate->role, "architecture",
                  architecture_json(family, space, candidate->genes.data), "metrics", metrics);
    if (json && network) {
        json_object_set_new(json, "network", network);
    }
    if (json && detail) {
        json_object_set_new(json, "artifacts",
                            family ? artifacts_json(detail->weights) : json_pack("[s]", "architecture.json"));
    }
    return tl_json_dump_take(json, buf, err);
}
