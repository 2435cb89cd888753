/* codec_cli.c - see codec_cli.h. */
#include "server/codec_cli.h"

#include "base/codec_json.h"

#include <math.h>
#include <stdio.h>

static void get_text(const json_t *object, const char *name, char *to, size_t room)
{
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(to, room, "%s", text ? text : "");
}

static double get_number(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_number(number) ? json_number_value(number) : (double)NAN;
}

static int64_t get_int(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* ---- problems ------------------------------------------------------------------------------------------------ */

void cli_problem_decode(const char *json, size_t n, const struct devices *devices, struct cli_problem *ret_problem)
{
    TL_AUTO(tl_json) doc = {.root = json_loadb(json ? json : "", n, 0, NULL)};
    get_text(doc.root, "detail", ret_problem->detail, sizeof ret_problem->detail);
    get_text(json_array_get(json_object_get(doc.root, "errors"), 0), "pointer", ret_problem->pointer,
             sizeof ret_problem->pointer);
    for (size_t i = 0; i < column_count(devices); i++) {
        char name[COLUMN_NAME_MAX];
        column_name(devices, i, name);
        const json_t *range = json_object_get(json_object_get(doc.root, "ranges"), name);
        ret_problem->ranges[i].min = get_number(range, "min");
        ret_problem->ranges[i].max = get_number(range, "max");
    }
}

/* ---- searches ------------------------------------------------------------------------------------------------ */

static void read_values(const json_t *metrics, const struct devices *devices, struct cli_value values[COLUMNS_MAX])
{
    for (size_t i = 0; i < column_count(devices); i++) {
        char name[COLUMN_NAME_MAX];
        column_name(devices, i, name);
        const json_t *value = json_object_get(metrics, name);
        const json_t *interval = json_object_get(value, "interval");
        values[i].value = get_number(value, "value");
        values[i].low = values[i].high = (double)NAN;
        if (json_array_size(interval) == 2) {
            values[i].low = json_number_value(json_array_get(interval, 0));
            values[i].high = json_number_value(json_array_get(interval, 1));
        }
        get_text(value, "kind", values[i].kind, sizeof values[i].kind);
        get_text(value, "note", values[i].note, sizeof values[i].note);
    }
}

static void read_devices(const json_t *list, struct devices *devices)
{
    for (size_t i = 0; i < json_array_size(list) && devices->n < DEVICES_MAX; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        snprintf(devices->names[devices->n++], sizeof devices->names[0], "%s", name ? name : "");
    }
}

static void read_answer(const json_t *root, struct cli_search *search)
{
    const json_t *answer = json_object_get(root, "answer");
    const json_t *nearest = json_object_get(root, "nearest");
    const json_t *several = json_object_get(answer, "verifications");
    search->has_answer = json_is_object(answer);
    search->has_nearest = json_is_object(nearest);
    search->verified = json_is_true(json_object_get(answer, "verified"));
    search->candidate = get_int(answer, "candidate");
    const json_t *shown = search->has_answer ? answer : nearest;
    get_text(json_object_get(shown, "architecture"), "id", search->architecture, sizeof search->architecture);
    read_devices(json_object_get(root, "devices"), &search->devices);
    read_values(json_object_get(shown, "metrics"), &search->devices, search->values);
    for (size_t d = 0; d < DEVICES_MAX; d++) {
        const json_t *one = several  ? json_array_get(several, d)
                            : d == 0 ? json_object_get(answer, "verification")
                                     : NULL;
        search->verifications[d].visits = get_int(one, "visits");
        search->verifications[d].blocks = get_int(one, "blocks");
        search->verifications[d].median_ms = get_number(one, "median_ms");
        search->verifications[d].upper_ms = get_number(one, "upper_ms");
    }
}

enum tl_rc cli_search_decode(const char *json, size_t n, struct cli_search *ret_search, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct cli_search search = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    if (rc != TL_OK) {
        return rc;
    }
    const json_t *progress = json_object_get(doc.root, "progress");
    get_text(doc.root, "id", search.id, sizeof search.id);
    get_text(doc.root, "state", search.state, sizeof search.state);
    get_text(doc.root, "outcome", search.outcome, sizeof search.outcome);
    get_text(doc.root, "message", search.message, sizeof search.message);
    get_text(json_object_get(doc.root, "problem"), "detail", search.problem, sizeof search.problem);
    const char *warning = json_string_value(json_array_get(json_object_get(doc.root, "warnings"), 0));
    snprintf(search.warning, sizeof search.warning, "%s", warning ? warning : "");
    get_text(progress, "unit", search.unit, sizeof search.unit);
    search.done = get_number(progress, "done");
    search.total = get_number(progress, "total");
    search.eta_s = get_number(progress, "eta_s");
    search.seconds = get_number(doc.root, "seconds");
    search.evaluations = get_int(doc.root, "evaluations");
    read_answer(doc.root, &search);
    if (!tl_uuid_valid(search.id)) {
        return tl_fail(err, TL_MALFORMED, "the server's answer is not a search");
    }
    *ret_search = search;
    return TL_OK;
}

/* ---- devices ------------------------------------------------------------------------------------------------- */

static void read_device(const json_t *root, struct cli_device *device)
{
    const json_t *jobs = json_object_get(root, "jobs"), *models = json_object_get(root, "models");
    *device = (struct cli_device){.online = json_is_true(json_object_get(root, "online")),
                                  .is_worker = json_is_true(json_object_get(json_object_get(root, "info"), "worker")),
                                  .anchor_ms = get_number(root, "anchor_reference_ms"),
                                  .queued = get_int(jobs, "queued"),
                                  .leased = get_int(jobs, "leased"),
                                  .done = get_int(jobs, "done"),
                                  .failed = get_int(jobs, "failed")};
    get_text(root, "name", device->name, sizeof device->name);
    get_text(root, "seen", device->seen, sizeof device->seen);
    get_text(root, "state", device->state, sizeof device->state);
    get_text(root, "state_reason", device->state_reason, sizeof device->state_reason);
    get_text(root, "state_since", device->state_since, sizeof device->state_since);
    for (size_t i = 0; i < json_array_size(models) && i < TL_COUNT_OF(device->models); i++) {
        const json_t *model = json_array_get(models, i);
        get_text(model, "space", device->models[i].space, sizeof device->models[i].space);
        device->models[i].mape = get_number(model, "mape");
        device->models[i].spearman = get_number(model, "spearman");
        device->models[i].networks = get_int(model, "networks");
        device->models[i].blocks = get_int(model, "blocks");
        device->n_models = i + 1;
    }
}

enum tl_rc cli_device_decode(const char *json, size_t n, struct cli_device *ret_device, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    if (rc == TL_OK) {
        read_device(doc.root, ret_device);
    }
    return rc;
}

enum tl_rc cli_devices_decode(const char *json, size_t n, cli_device_fn *fn, void *ctx, char ret_next[32],
                              struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    if (rc != TL_OK) {
        return rc;
    }
    const json_t *items = json_object_get(doc.root, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        struct cli_device device;
        read_device(json_array_get(items, i), &device);
        fn(ctx, &device);
    }
    get_text(doc.root, "next_page_token", ret_next, 32);
    return TL_OK;
}

void cli_artifacts_decode(const char *json, size_t n, char *ret_names, size_t size)
{
    json_t *root = json_loadb(json, n, 0, NULL), *list = json_object_get(root, "artifacts");
    size_t len = 0;
    ret_names[0] = '\0';
    for (size_t i = 0; i < json_array_size(list) && len < size; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        len += (size_t)snprintf(ret_names + len, size - len, "%s%s", i ? "," : "", name ? name : "");
    }
    json_decref(root);
}

enum tl_rc cli_drain_encode(const char *reason, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s*}", "reason", reason), buf, err);
}

/* ---- tokens -------------------------------------------------------------------------------------------------- */

enum tl_rc cli_token_encode(const char *device, const char *label, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(
        json_pack("{s:s, s:s*, s:s*}", "kind", device ? "agent" : "client", "device", device, "label", label), buf,
        err);
}

static void read_token(const json_t *root, struct cli_token *token)
{
    *token = (struct cli_token){.id = get_int(root, "id")};
    get_text(root, "kind", token->kind, sizeof token->kind);
    get_text(root, "device", token->device, sizeof token->device);
    get_text(root, "label", token->label, sizeof token->label);
    get_text(root, "created", token->created, sizeof token->created);
    get_text(root, "registered", token->registered, sizeof token->registered);
    get_text(root, "revoked", token->revoked, sizeof token->revoked);
    get_text(root, "token", token->secret, sizeof token->secret);
}

enum tl_rc cli_token_decode(const char *json, size_t n, struct cli_token *ret_token, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    if (rc == TL_OK) {
        read_token(doc.root, ret_token);
    }
    return rc;
}

enum tl_rc cli_tokens_decode(const char *json, size_t n, cli_token_fn *fn, void *ctx, char ret_next[32],
                             struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    if (rc != TL_OK) {
        return rc;
    }
    const json_t *items = json_object_get(doc.root, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        struct cli_token token;
        read_token(json_array_get(items, i), &token);
        fn(ctx, &token);
    }
    get_text(doc.root, "next_page_token", ret_next, 32);
    return TL_OK;
}

/* ---- models -------------------------------------------------------------------------------------------------- */

enum tl_rc cli_model_encode(const char *kind, const char *space, const char *format, const char *hash,
                            struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(
        json_pack("{s:s, s:s, s:s, s:s}", "kind", kind, "format", format, "space", space, "artifact", hash), buf, err);
}

enum tl_rc cli_tables_encode(const char *space, const char *device, const struct cli_table *tables, size_t n_tables,
                             struct tl_buf *buf, struct tl_err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n_tables; i++) {
        json_t *table = json_pack("{s:i, s:s}", "resolution", (int)tables[i].resolution, "artifact", tables[i].hash);
        if (json_array_append_new(list, table) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return tl_json_dump_take(json_pack("{s:s, s:s, s:s, s:s, s:o}", "kind", "latency", "format", "ofa-lut", "space",
                                       space, "device", device, "tables", list),
                             buf, err);
}

enum tl_rc cli_profile_encode(const char *space, const char *device, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s, s:s}", "kind", "profile", "space", space, "device", device), buf,
                             err);
}
