/* codec_model.c - see codec_model.h. */
#include "server/codec_model.h"

#include "server/codec_text.h"
#include "supernet/train/codec_supernet.h"

#include <stdio.h>

enum { RESOLUTION_MAX = 1024 };

/* ---- reading ------------------------------------------------------------------------------------------------- */

static enum tl_rc read_tables(struct tl_json_object *top, struct model_request *request, struct tl_err *err)
{
    json_t *tables = NULL;
    enum tl_rc rc = tl_json_array(top, "tables", TL_REQUIRED, 1, MODEL_TABLES_MAX, &tables, err);
    for (size_t i = 0; rc == TL_OK && i < json_array_size(tables); i++) {
        struct tl_json_object table;
        int64_t resolution = 0;
        if ((rc = tl_json_element(top, "tables", tables, i, &table, err)) ||
            (rc = tl_json_int(&table, "resolution", TL_REQUIRED, 1, RESOLUTION_MAX, &resolution, err)) ||
            (rc = tl_json_hash(&table, "artifact", TL_REQUIRED, &request->artifacts[i].hash, err)) ||
            (rc = tl_json_object_close(&table, err))) {
            return rc;
        }
        request->artifacts[i].resolution = (unsigned)resolution;
        snprintf(request->artifacts[i].pointer, sizeof request->artifacts[i].pointer, "/tables/%zu/artifact", i);
        request->n_artifacts = i + 1;
    }
    return rc;
}

static enum tl_rc read_artifact(struct tl_json_object *top, struct model_request *request, struct tl_err *err)
{
    request->n_artifacts = 1;
    snprintf(request->artifacts[0].pointer, sizeof request->artifacts[0].pointer, "/artifact");
    return tl_json_hash(top, "artifact", TL_REQUIRED, &request->artifacts[0].hash, err);
}

/* What the kind brings along: the device, and one artifact or several tables. */
static enum tl_rc read_content(struct tl_json_object *top, struct model_request *request, struct tl_err *err)
{
    const char *device = "";
    enum tl_rc rc = request->is_latency ? tl_json_name(top, "device", TL_REQUIRED, &device, err) : TL_OK;
    snprintf(request->device, sizeof request->device, "%s", device);
    if (rc != TL_OK) {
        return rc;
    }
    return request->format == FORMAT_LATENCY_OFA_LUT ? read_tables(top, request, err)
                                                     : read_artifact(top, request, err);
}

enum tl_rc model_request_decode(const char *json, size_t n, struct model_request *ret_request, struct tl_err *err)
{
    static const char *const kinds[] = {"accuracy", "latency", "supernet"};
    static const char *const formats[][2] = {{"ofa-mlp", "tailor"}, {"ofa-lut", "tailor"}, {"tailor"}};
    static const enum model_format first[] = {FORMAT_ACCURACY_OFA_MLP, FORMAT_LATENCY_OFA_LUT, FORMAT_SUPERNET_TAILOR};
    TL_AUTO(tl_json) doc = {0};
    struct model_request request = {0};
    struct tl_json_object top;
    const char *space = NULL;
    size_t kind = 0, format = 0;
    enum tl_rc rc;
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_choice(&top, "kind", TL_REQUIRED, kinds, TL_COUNT_OF(kinds), &kind, err)) ||
        (rc = tl_json_choice(&top, "format", TL_REQUIRED, formats[kind], formats[kind][1] ? 2 : 1, &format, err)) ||
        (rc = tl_json_name(&top, "space", TL_REQUIRED, &space, err))) {
        return rc;
    }
    request.is_latency = kind == 1;
    request.format = (enum model_format)(first[kind] + format);
    snprintf(request.space, sizeof request.space, "%s", space);
    if ((rc = read_content(&top, &request, err)) || (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    *ret_request = request;
    return TL_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

enum tl_rc accuracy_info_encode(const struct accuracy_facts *facts, struct tl_buf *buf, struct tl_err *err)
{
    json_t *resolutions = json_array();
    for (size_t i = 0; i < facts->n_resolutions; i++) {
        if (json_array_append_new(resolutions, json_integer(facts->resolutions[i])) != 0) {
            json_decref(resolutions);
            resolutions = NULL;
        }
    }
    return tl_json_dump_exact_take(json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "source", facts->source, "rows",
                                             (json_int_t)facts->n_rows, "rmse", tl_json_number(facts->rmse), "spearman",
                                             tl_json_number(facts->spearman), "coverage",
                                             tl_json_number(facts->coverage), "resolutions", resolutions),
                                   buf, err);
}

enum tl_rc supernet_info_encode(const struct supernet *net, const struct supernet_facts *facts, struct tl_buf *buf,
                                struct tl_err *err)
{
    struct net_cost cost;
    net_cost_total(&net->largest, &cost);
    return tl_json_dump_exact_take(json_pack("{s:s, s:s, s:I, s:I}", "made_by", facts->made_by, "data", facts->data,
                                             "calibration_images", (json_int_t)facts->n_images, "params",
                                             (json_int_t)cost.params),
                                   buf, err);
}

enum tl_rc model_item_encode(const struct store_model *model, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s, s:o, s:s, s:o, s:o}", "kind", model->kind, "space", model->space,
                                       "device", text_json_or_null(model->device), "hash", model->hash, "created",
                                       text_json_time(model->created_ns), "info", text_json_load(model->info)),
                             buf, err);
}

enum tl_rc artifact_receipt_encode(const char *hash, size_t n, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:I}", "hash", hash, "size_bytes", (json_int_t)n), buf, err);
}
