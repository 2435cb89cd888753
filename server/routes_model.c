/* routes_model.c - models and artifacts: bytes by their hash, and what they are made into.
 *
 * A model is imported in two steps: its files are PUT as artifacts, then POST /models names them. What is published is the
 * program's own form of the model, a blob again; a snapshot pins it by its hash.
 */
#include "server/codec_latency.h"
#include "server/codec_model.h"
#include "server/codec_search.h"
#include "server/flow.h"
#include "server/routes.h"
#include "server/spaces.h"
#include "supernet/train/codec_supernet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX_BYTES = 64 << 20 };

/* ---- artifacts ----------------------------------------------------------------------------------------------- */

static enum tl_rc artifact_name(const struct http_request *request, struct tl_hash *ret_hash, struct tl_err *err)
{
    enum tl_rc rc = http_query_only(request, NULL, 0, err);
    if (rc == TL_OK && !tl_hash_parse(request->params[0], ret_hash)) {
        return tl_fail(err, TL_INVALID,
                       "an artifact is named by the 32 lower-case hexadecimal digits of its BLAKE2b-128");
    }
    return rc;
}

/* Append a stored artifact; TL_NOT_FOUND in words of its own. */
static enum tl_rc artifact_read(struct store *store, const struct tl_hash *hash, struct tl_buf *buf, struct tl_err *err)
{
    struct tl_err why = {0};
    enum tl_rc rc = store_blob_get(store, hash, buf, &why);
    char name[TL_HASH_TEXT];
    tl_hash_format(hash, name);
    return rc == TL_NOT_FOUND ? tl_fail(err, rc, "there is no artifact %s; PUT /artifacts/%s uploads it", name, name)
           : rc != TL_OK      ? tl_fail(err, rc, "%s", why.text)
                              : TL_OK;
}

enum tl_rc route_artifact_put(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    struct tl_hash name, stored;
    struct tl_hash found = tl_hash_of(request->body, request->body_n);
    char found_text[TL_HASH_TEXT];
    TL_AUTO(tl_buf) present = {.max = STORE_BLOB_MAX};
    enum tl_rc rc = artifact_name(request, &name, err);
    if (rc != TL_OK) {
        return rc;
    }
    tl_hash_format(&found, found_text);
    if (!tl_hash_equal(&found, &name)) {
        return tl_fail(err, TL_INVALID, "these %zu bytes have the hash %s", request->body_n, found_text);
    }
    bool known = store_blob_get(service->store, &name, &present, NULL) == TL_OK;
    if ((rc = store_blob_put(service->store, request->body, request->body_n, &stored, err)) != TL_OK) {
        return rc;
    }
    response->status = known ? 200 : 201;
    snprintf(response->location, sizeof response->location, "/artifacts/%s", found_text);
    return artifact_receipt_encode(found_text, request->body_n, &response->body, err);
}

enum tl_rc route_artifact_get(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    struct tl_hash name;
    enum tl_rc rc;
    if ((rc = artifact_name(request, &name, err)) ||
        (rc = artifact_read(service->store, &name, &response->body, err))) {
        return rc;
    }
    response->content_type = "application/octet-stream";
    response->immutable = true;
    snprintf(response->etag, sizeof response->etag, "\"%s\"", request->params[0]);
    return TL_OK;
}

/* ---- importing ----------------------------------------------------------------------------------------------- */

/* A model on its way into the store. */
struct import {
    const struct model_request *request;
    const struct space *space;             /* borrowed */
    const struct net_family *family;       /* static */
    struct tl_buf files[MODEL_TABLES_MAX]; /* owned */
    struct tl_buf model, info;             /* owned; the program's own form, and the row's info */
    char hash[TL_HASH_TEXT];
    struct tl_buf *answer;
};

static void import_done(struct import *import)
{
    for (size_t i = 0; i < MODEL_TABLES_MAX; i++) {
        tl_buf_done(&import->files[i]);
    }
    tl_buf_done(&import->model);
    tl_buf_done(&import->info);
}

/* What is wrong with a file is wrong with the field that names it, whatever the reader called it. */
static enum tl_rc file_fault(enum tl_rc rc, const char *pointer, const struct tl_err *why, struct tl_err *err)
{
    bool is_file = rc == TL_MALFORMED || rc == TL_INVALID || rc == TL_TOO_LARGE || rc == TL_NOT_FOUND;
    return tl_fail_at(err, is_file ? TL_INVALID : rc, is_file ? pointer : "", "%s", why->text);
}

static enum tl_rc import_read(struct service *service, struct import *import, struct tl_err *err)
{
    const struct model_request *request = import->request;
    struct tl_err why = {0};
    const struct space_entry *entry = NULL;
    enum tl_rc rc = routes_space_named(service, request->space, &entry, &why);
    if (rc != TL_OK) {
        return tl_fail_at(err, rc == TL_NOT_FOUND ? TL_INVALID : rc, "/space", "%s; GET /spaces lists them", why.text);
    }
    if (!entry->family) {
        return tl_fail_at(err, TL_INVALID, "/space", "no network of %s can be built, so no model applies to it",
                          request->space);
    }
    import->space = &entry->space;
    import->family = entry->family;
    for (size_t i = 0; i < request->n_artifacts; i++) {
        import->files[i].max = STORE_BLOB_MAX;
        rc = artifact_read(service->store, &request->artifacts[i].hash, &import->files[i], &why);
        if (rc != TL_OK) {
            return file_fault(rc, request->artifacts[i].pointer, &why, err);
        }
    }
    return TL_OK;
}

static enum tl_rc import_accuracy(struct import *import, struct tl_err *err)
{
    const struct tl_buf *file = &import->files[0];
    struct accuracy_model *model = NULL;
    struct tl_err why = {0};
    enum tl_rc rc = import->request->format == FORMAT_ACCURACY_OFA_MLP
                        ? accuracy_import_ofa(file->data, file->len, import->space, &model, &why)
                        : accuracy_load(file->data, file->len, &model, &why);
    if (rc != TL_OK) {
        return file_fault(rc, import->request->artifacts[0].pointer, &why, err);
    }
    if (strcmp(accuracy_space(model), import->request->space) != 0) {
        rc = tl_fail_at(err, TL_INVALID, "/space", "this model was fitted for %s", accuracy_space(model));
    } else {
        (void)((rc = accuracy_save(model, &import->model, err)) ||
               (rc = accuracy_info_encode(accuracy_facts(model), &import->info, err)));
    }
    accuracy_free(model);
    return rc;
}

/* An own latency model is of this family if an evaluator can be made with it. */
static enum tl_rc latency_fits(const struct import *import, const struct lat_model *model, struct tl_err *err)
{
    struct evaluator *evaluator = NULL;
    enum tl_rc rc = evaluator_new(import->family, NULL, model, 1, &evaluator, err);
    evaluator_free(evaluator);
    return rc;
}

static enum tl_rc import_latency(struct import *import, struct tl_err *err)
{
    const struct model_request *request = import->request;
    bool is_table = request->format == FORMAT_LATENCY_OFA_LUT;
    struct lat_table_text tables[MODEL_TABLES_MAX];
    struct lat_model *model = NULL;
    for (size_t i = 0; i < request->n_artifacts; i++) {
        tables[i] =
            (struct lat_table_text){request->artifacts[i].resolution, import->files[i].data, import->files[i].len};
    }
    struct tl_err why = {0};
    enum tl_rc rc = is_table ? lat_model_import(import->family, tables, request->n_artifacts, &model, &why)
                             : lat_model_load(import->files[0].data, import->files[0].len, &model, &why);
    if (rc != TL_OK || (rc = latency_fits(import, model, &why)) != TL_OK) {
        rc = file_fault(rc, is_table ? "/tables" : request->artifacts[0].pointer, &why, err);
    } else if (!(rc = lat_model_save(model, &import->model, err))) {
        rc = latency_info_encode(is_table ? "imported from once-for-all's lookup tables" : "imported",
                                 lat_model_error(model), 0, &import->info, err);
    }
    lat_model_free(model);
    return rc;
}

/* A supernet is kept as it came: it is its own form. */
static enum tl_rc import_supernet(struct import *import, struct tl_err *err)
{
    struct tl_buf *file = &import->files[0];
    struct supernet *net = NULL;
    struct supernet_facts facts = {0};
    struct safetensors *tensors = NULL;
    struct tl_err why = {0};
    enum tl_rc rc = st_open(file->data ? file->data : "", file->len, &tensors, &why);
    rc = rc ? rc : supernet_decode(tensors, &net, &facts, &why);
    st_free(tensors);
    if (rc != TL_OK) {
        return file_fault(rc, import->request->artifacts[0].pointer, &why, err);
    }
    if (!net_family_equal(&net->family, import->family)) {
        rc = tl_fail_at(err, TL_INVALID, "/space", "the supernet's family %s is not the one this server knows as %s",
                        net->family.name, import->request->space);
    } else {
        rc = supernet_info_encode(net, &facts, &import->info, err);
    }
    import->model = *file;
    *file = (struct tl_buf){0};
    supernet_facts_done(&facts);
    supernet_free(net);
    return rc;
}

static enum tl_rc import_any(struct import *import, struct tl_err *err)
{
    if (import->request->format == FORMAT_SUPERNET_TAILOR) {
        return import_supernet(import, err);
    }
    return import->request->is_latency ? import_latency(import, err) : import_accuracy(import, err);
}

static enum tl_rc ignore_device(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)ctx;
    (void)device;
    (void)err;
    return TL_OK;
}

/* A table may be of a device that nobody has registered: it then exists without an agent. */
static enum tl_rc device_ensure(struct store_tx *tx, const char *name, struct tl_err *err)
{
    struct tl_err why = {0};
    enum tl_rc rc = store_device_get(tx, name, ignore_device, NULL, &why);
    if (rc != TL_NOT_FOUND) {
        return rc == TL_OK ? rc : tl_fail(err, rc, "%s", why.text);
    }
    return store_device_put(
        tx, &(struct store_device){.name = name, .agent_key = "", .created_ns = tl_clock_wall_ns(), .info = {"{}", 2}},
        err);
}

static enum tl_rc publish(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct import *import = ctx;
    const struct model_request *request = import->request;
    const bool is_supernet = request->format == FORMAT_SUPERNET_TAILOR;
    struct store_model row = {.kind = is_supernet           ? "supernet"
                                      : request->is_latency ? "latency"
                                                            : "accuracy",
                              .space = request->space,
                              .device = request->device,
                              .hash = import->hash,
                              .created_ns = tl_clock_wall_ns(),
                              .info = {import->info.data, import->info.len}};
    enum tl_rc rc = request->is_latency ? device_ensure(tx, request->device, err) : TL_OK;
    if (rc != TL_OK || (rc = store_model_put(tx, &row, err)) != TL_OK) {
        return rc;
    }
    tl_buf_clear(import->answer);
    return model_item_encode(&row, import->answer, err);
}

enum tl_rc route_model_post(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    struct model_request model;
    TL_AUTO(import) import = {.request = &model, .answer = &response->body, .model = {.max = STORE_BLOB_MAX}};
    struct tl_hash hash;
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = model_request_decode(request->body, request->body_n, &model, err)) ||
        (rc = import_read(service, &import, err)) || (rc = import_any(&import, err)) ||
        (rc = store_blob_put(service->store, import.model.data, import.model.len, &hash, err))) {
        return rc;
    }
    tl_hash_format(&hash, import.hash);
    if ((rc = store_write(service->store, publish, &import, err))) {
        return rc;
    }
    flow_ring(service->flow);
    response->status = 201;
    return TL_OK;
}

/* ---- list ---------------------------------------------------------------------------------------------------- */

struct model_listing {
    struct store_page page;
    struct list_writer list;
    int64_t last;
};

static void model_listing_done(struct model_listing *listing)
{
    list_writer_done(&listing->list);
}

static enum tl_rc on_model(void *ctx, const struct store_model *model, struct tl_err *err)
{
    struct model_listing *listing = ctx;
    TL_AUTO(tl_buf) item = {0};
    listing->last = model->seq;
    enum tl_rc rc = model_item_encode(model, &item, err);
    return rc != TL_OK ? rc : list_add(&listing->list, &item, err);
}

static enum tl_rc read_models(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct model_listing *listing = ctx;
    return store_model_list(tx, listing->page, on_model, listing, err);
}

enum tl_rc route_model_list(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    static const char *const known[] = {"page_size", "page_token"};
    TL_AUTO(model_listing) listing = {0};
    enum tl_rc rc;
    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_page_query(request, &listing.page, err)) ||
        (rc = list_begin(&listing.list, LIST_MAX_BYTES, err)) ||
        (rc = store_read(service->store, read_models, &listing, err))) {
        return rc;
    }
    return routes_list_answer(&listing.list, listing.page, listing.last, response, err);
}
