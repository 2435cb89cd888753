/* codec_device.c - see codec_device.h. */
#include "server/codec_device.h"

#include "base/codec_json.h"
#include "server/codec_text.h"
#include "server/flow_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INFO_FIELDS_MAX = 32, INFO_TEXT_MAX = 256 };

/* ---- reading ------------------------------------------------------------------------------------------------- */

static bool info_value_plain(const json_t *value)
{
    return (json_is_string(value) && json_string_length(value) <= INFO_TEXT_MAX) || json_is_number(value) ||
           json_is_boolean(value) || json_is_null(value);
}

/* Free fields, but flat and few. */
static enum tl_rc info_check(json_t *info, struct tl_err *err)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (json_object_size(info) > INFO_FIELDS_MAX) {
        return tl_fail_at(err, TL_INVALID, "/info", "at most %d fields describe a device", INFO_FIELDS_MAX);
    }
    json_object_foreach(info, key, value)
    {
        if (!info_value_plain(value)) {
            char pointer[96];
            snprintf(pointer, sizeof pointer, "/info/%.80s", key);
            return tl_fail_at(err, TL_INVALID, pointer,
                              "must be a text of at most %d bytes, a number, true, false or null", INFO_TEXT_MAX);
        }
    }
    return TL_OK;
}

void device_request_done(struct device_request *request)
{
    tl_buf_done(&request->info);
}

enum tl_rc device_request_decode(const char *json, size_t n, struct device_request *ret_request, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(device_request) request = {0};
    struct tl_json_object top, info;
    struct tl_hash agent_key;
    const char *name = NULL;
    bool there = false;
    enum tl_rc rc;
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_name(&top, "name", TL_REQUIRED, &name, err)) ||
        (rc = tl_json_hash(&top, "agent_key", TL_REQUIRED, &agent_key, err)) ||
        (rc = tl_json_nested(&top, "info", TL_OPTIONAL, &info, &there, err)) ||
        (rc = tl_json_object_close(&top, err)) || (there && (rc = info_check(info.json, err))) ||
        (rc = tl_json_dump_exact_take(there ? json_incref(info.json) : json_object(), &request.info, err))) {
        return rc;
    }
    snprintf(request.name, sizeof request.name, "%s", name);
    tl_hash_format(&agent_key, request.agent_key);
    *ret_request = request;
    request.info = (struct tl_buf){0};
    return TL_OK;
}

enum tl_rc device_drain_decode(const char *json, size_t n, char ret_reason[DEVICE_REASON_TEXT], struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    const char *reason = "maintenance";
    enum tl_rc rc;
    if (n > 0 && ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
                  (rc = tl_json_string(&top, "reason", TL_OPTIONAL, DEVICE_REASON_TEXT - 1, &reason, err)) ||
                  (rc = tl_json_object_close(&top, err)))) {
        return rc;
    }
    snprintf(ret_reason, DEVICE_REASON_TEXT, "%s", reason);
    return TL_OK;
}

/* As text; of a runtime only the name, which ends at the first space. */
static void fact_text(const json_t *info, const char *name, char ret_text[INFO_TEXT_MAX + 1])
{
    const json_t *value = json_object_get(info, name);
    ret_text[0] = '\0';
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        snprintf(ret_text, INFO_TEXT_MAX + 1, "%.*s", (int)strcspn(text, " "), text);
    } else if (json_is_integer(value)) {
        snprintf(ret_text, INFO_TEXT_MAX + 1, "%lld", (long long)json_integer_value(value));
    }
}

enum tl_rc device_request_same(const struct device_request *request, struct store_bytes info, struct tl_err *err)
{
    static const char *const facts[] = {"runtime", "threads", "batch", "number_type"};
    TL_AUTO(tl_json) known = {.root = json_loadb(info.data, info.n, 0, NULL)};
    TL_AUTO(tl_json) told = {.root = json_loadb(request->info.data, request->info.len, 0, NULL)};
    for (size_t i = 0; i < TL_COUNT_OF(facts); i++) {
        char was[INFO_TEXT_MAX + 1], is[INFO_TEXT_MAX + 1], pointer[32];
        fact_text(known.root, facts[i], was);
        fact_text(told.root, facts[i], is);
        if (was[0] && is[0] && strcmp(was, is) != 0) {
            snprintf(pointer, sizeof pointer, "/info/%s", facts[i]);
            return tl_fail_at(err, TL_CONFLICT, pointer,
                              "%s measures with %s %s; with %s it is another device: register it by another name",
                              request->name, facts[i], was, is);
        }
    }
    return TL_OK;
}

bool device_info_worker(struct store_bytes info)
{
    TL_AUTO(tl_json) doc = {.root = json_loadb(info.data, info.n, 0, NULL)};
    return json_is_true(json_object_get(doc.root, "worker"));
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

struct device_document {
    json_t *json; /* owned */
};

enum tl_rc device_document_new(const struct store_device *device, bool online, struct device_document **ret_document,
                               struct tl_err *err)
{
    struct device_document *document = calloc(1, sizeof *document);
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:o, s:b, s:s, s:o, s:o, s:o, s:[]}", "name", device->name, "info",
        text_json_load(device->info), "created", text_json_time(device->created_ns), "seen",
        text_json_time(device->seen_ns), "online", online, "state", device->state, "state_reason",
        text_json_or_null(device->state_reason), "state_since", text_json_time(device->state_since_ns),
        "anchor_reference_ms",
        device->anchor_reference_ms > 0 ? tl_json_number(device->anchor_reference_ms) : json_null(), "models");
    if (!document || !json) {
        json_decref(json);
        free(document);
        return tl_fail(err, TL_NO_MEMORY, "no memory to show a device");
    }
    document->json = json;
    *ret_document = document;
    return TL_OK;
}

void device_document_free(struct device_document *document)
{
    if (document) {
        json_decref(document->json);
        free(document);
    }
}

const char *device_document_name(const struct device_document *document)
{
    return json_string_value(json_object_get(document->json, "name"));
}

enum tl_rc device_document_model(struct device_document *document, const struct store_model *model, struct tl_err *err)
{
    json_t *json = text_json_load(model->info);
    bool ok = json_object_set_new(json, "space", json_string(model->space)) == 0 &&
              json_object_set_new(json, "hash", json_string(model->hash)) == 0 &&
              json_object_set_new(json, "created", text_json_time(model->created_ns)) == 0;
    if (!ok) {
        json_decref(json);
        json = NULL;
    }
    return json_array_append_new(json_object_get(document->json, "models"), json) == 0
               ? TL_OK
               : tl_fail(err, TL_NO_MEMORY, "no memory to show a model");
}

enum tl_rc device_document_jobs(struct device_document *document, const struct job_counts *all,
                                const struct job_counts *profile, struct tl_err *err)
{
    size_t ended = profile->done + profile->failed, open = profile->queued + profile->leased;
    json_t *jobs = json_pack("{s:I, s:I, s:I, s:I}", "queued", (json_int_t)all->queued, "leased",
                             (json_int_t)all->leased, "done", (json_int_t)all->done, "failed", (json_int_t)all->failed);
    json_t *progress = ended + open == 0 ? json_null()
                                         : json_pack("{s:I, s:I}", "done", (json_int_t)ended, "total",
                                                     (json_int_t)ended + (json_int_t)open);
    bool ok = json_object_set_new(document->json, "jobs", jobs) == 0;
    return json_object_set_new(document->json, "profile", progress) == 0 && ok
               ? TL_OK
               : tl_fail(err, TL_NO_MEMORY, "no memory to show a device");
}

enum tl_rc device_document_encode(const struct device_document *document, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_incref(document->json), buf, err);
}
