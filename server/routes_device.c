/* routes_device.c - devices: registering, listing, showing. */
#include "server/codec_device.h"
#include "server/codec_search.h"
#include "server/flow_steps.h"
#include "server/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX_BYTES = 64 << 20 };

/* ---- documents ----------------------------------------------------------------------------------------------- */

/* Devices being read: their rows become documents at once, since rows are borrowed. */
struct device_reading {
    const char *name; /* one device, or NULL: a page */
    struct store_page page;
    struct device_document **documents; /* owned; page.limit of them */
    size_t n;
    int64_t last; /* cursor of the last row */
};

static void device_reading_done(struct device_reading *reading)
{
    for (size_t i = 0; i < reading->n; i++) {
        device_document_free(reading->documents[i]);
    }
    free(reading->documents);
}

static enum tl_rc on_device(void *ctx, const struct store_device *device, struct tl_err *err)
{
    struct device_reading *reading = ctx;
    bool online = device->agent_key[0] && tl_clock_wall_ns() - device->seen_ns <= FLOW_AWAY_NS;
    reading->last = device->seq;
    enum tl_rc rc = device_document_new(device, online, &reading->documents[reading->n], err);
    reading->n += rc == TL_OK;
    return rc;
}

static enum tl_rc on_model(void *ctx, const struct store_model *model, struct tl_err *err)
{
    return device_document_model(ctx, model, err);
}

/* The current latency model of every space that has one for this device. */
static enum tl_rc read_models(struct store_tx *tx, struct device_document *document, struct tl_err *err)
{
    for (size_t i = 0; i < net_family_count(); i++) {
        struct tl_err none = {0};
        enum tl_rc rc = store_model_current(tx, "latency", net_family_at(i)->name, device_document_name(document),
                                            on_model, document, &none);
        if (rc != TL_OK && rc != TL_NOT_FOUND) {
            return tl_fail(err, rc, "%s", none.text);
        }
    }
    return TL_OK;
}

static enum tl_rc read_devices(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct device_reading *reading = ctx;
    enum tl_rc rc = reading->name ? store_device_get(tx, reading->name, on_device, reading, err)
                                  : store_device_list(tx, reading->page, on_device, reading, err);
    for (size_t i = 0; rc == TL_OK && i < reading->n; i++) {
        rc = read_models(tx, reading->documents[i], err);
    }
    return rc;
}

/* Read and complete the documents. */
static enum tl_rc devices_read(struct service *service, struct device_reading *reading, struct tl_err *err)
{
    reading->documents =
        calloc((size_t)reading->page.limit, sizeof(struct device_document *)); /* NOLINT(bugprone-sizeof-expression) */
    if (!reading->documents) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to show devices");
    }
    enum tl_rc rc = store_read(service->store, read_devices, reading, err);
    for (size_t i = 0; rc == TL_OK && i < reading->n; i++) {
        const char *name = device_document_name(reading->documents[i]);
        struct job_counts all, profile;
        (void)((rc = flow_job_counts(service->store, name, "", "", "", &all, err)) ||
               (rc = flow_job_counts(service->store, name, "", "profile", "", &profile, err)) ||
               (rc = device_document_jobs(reading->documents[i], &all, &profile, err)));
    }
    return rc;
}

static enum tl_rc device_answer(struct service *service, const char *name, struct http_response *response,
                                struct tl_err *err)
{
    TL_AUTO(device_reading) reading = {.name = name, .page = {0, 1}};
    enum tl_rc rc = devices_read(service, &reading, err);
    return rc != TL_OK ? rc : device_document_encode(reading.documents[0], &response->body, err);
}

/* ---- routes -------------------------------------------------------------------------------------------------- */

enum tl_rc route_device_list(struct service *service, const struct http_request *request,
                             struct http_response *response, struct tl_err *err)
{
    static const char *const known[] = {"page_size", "page_token"};
    TL_AUTO(device_reading) reading = {0};
    TL_AUTO(list_writer) list = {0};
    enum tl_rc rc;
    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_page_query(request, &reading.page, err)) || (rc = devices_read(service, &reading, err)) ||
        (rc = list_begin(&list, LIST_MAX_BYTES, err))) {
        return rc;
    }
    for (size_t i = 0; rc == TL_OK && i < reading.n; i++) {
        TL_AUTO(tl_buf) item = {0};
        (void)((rc = device_document_encode(reading.documents[i], &item, err)) || (rc = list_add(&list, &item, err)));
    }
    return rc != TL_OK ? rc : routes_list_answer(&list, reading.page, reading.last, response, err);
}

enum tl_rc route_device_get(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = device_answer(service, request->params[0], response, err))) {
        return rc;
    }
    routes_etag(response);
    return TL_OK;
}

struct registration {
    const struct http_caller *caller;
    const struct device_request *request;
    bool known;
    char key[TL_HASH_TEXT]; /* that the store has */
};

static enum tl_rc on_known(void *ctx, const struct store_device *device, struct tl_err *err)
{
    struct registration *registration = ctx;
    registration->known = true;
    snprintf(registration->key, sizeof registration->key, "%s", device->agent_key);
    return device->agent_key[0] && !device_info_worker(device->info)
               ? device_request_same(registration->request, device->info, err)
               : TL_OK;
}

/* A name belongs to the first agent that takes it; a device that came from an imported table has none yet. With a token
 * that nobody has registered with, an agent takes over the name that the token is for: the one before is gone. */
static enum tl_rc register_device(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct registration *registration = ctx;
    const struct device_request *request = registration->request;
    struct tl_err none = {0};
    int64_t now_ns = tl_clock_wall_ns();
    bool takes_over = false;
    const enum tl_rc known = store_device_get(tx, request->name, on_known, registration, &none);
    enum tl_rc rc;
    if ((rc = service_speaks_for(registration->caller, request->name, err)) ||
        (registration->caller->device[0] &&
         (rc = store_token_registered(tx, registration->caller->token, now_ns, &takes_over, err)))) {
        return rc;
    }
    if (registration->key[0] && strcmp(registration->key, request->agent_key) != 0 && !takes_over) {
        return tl_fail_at(
            err, TL_CONFLICT, "/name",
            "another agent holds the name %s; choose another one, or, if that agent is gone, let this one "
            "take over with a new token (tailor tokens add --device %s)",
            request->name, request->name);
    }
    if (known != TL_OK && known != TL_NOT_FOUND) {
        return tl_fail_at(err, known, none.pointer, "%s", none.text);
    }
    return store_device_put(tx,
                            &(struct store_device){.name = request->name,
                                                   .agent_key = request->agent_key,
                                                   .created_ns = now_ns,
                                                   .seen_ns = now_ns,
                                                   .info = {request->info.data, request->info.len}},
                            err);
}

enum tl_rc route_device_post(struct service *service, const struct http_request *request,
                             struct http_response *response, struct tl_err *err)
{
    TL_AUTO(device_request) device = {0};
    struct registration registration = {.caller = &request->caller, .request = &device};
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = device_request_decode(request->body, request->body_n, &device, err)) ||
        (rc = store_write(service->store, register_device, &registration, err)) ||
        (rc = device_answer(service, device.name, response, err))) {
        return rc;
    }
    response->status = registration.known ? 200 : 201;
    snprintf(response->location, sizeof response->location, "/devices/%s", device.name);
    flow_ring(service->flow);
    return TL_OK;
}

/* ---- held devices -------------------------------------------------------------------------------------------- */

struct holding {
    const char *device;
    const char *reason; /* NULL: resume */
};

static enum tl_rc hold_device(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct holding *holding = ctx;
    return holding->reason ? store_device_drain(tx, holding->device, tl_clock_wall_ns(), holding->reason, err)
                           : store_device_resume(tx, holding->device, err);
}

static enum tl_rc device_hold(struct service *service, const struct http_request *request, const char *reason,
                              struct http_response *response, struct tl_err *err)
{
    struct holding holding = {request->params[0], reason};
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = store_write(service->store, hold_device, &holding, err)) ||
        (rc = device_answer(service, holding.device, response, err))) {
        return rc;
    }
    flow_ring(service->flow);
    return TL_OK;
}

enum tl_rc route_device_drain(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    char reason[DEVICE_REASON_TEXT];
    enum tl_rc rc = device_drain_decode(request->body, request->body_n, reason, err);
    return rc ? rc : device_hold(service, request, reason, response, err);
}

enum tl_rc route_device_resume(struct service *service, const struct http_request *request,
                               struct http_response *response, struct tl_err *err)
{
    return device_hold(service, request, NULL, response, err);
}
