/* routes_space.c - spaces: from a name to the space, and what is shown of them. */
#include "server/codec_search.h"
#include "server/codec_space.h"
#include "server/evaluator_table.h"
#include "server/flow_steps.h"
#include "server/routes.h"
#include "server/snapshots.h"
#include "server/spaces.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MAX_BYTES = 64 << 20, DEVICES_PAGE = 1000 };

enum tl_rc routes_space_named(struct service *service, const char *name, const struct space_entry **ret_entry,
                              struct tl_err *err)
{
    const struct space_entry *entry = spaces_find(service->spaces, name);
    if (!entry) {
        return tl_fail(err, TL_NOT_FOUND, "no space is called %s", name);
    }
    *ret_entry = entry;
    return TL_OK;
}

/* ---- routes -------------------------------------------------------------------------------------------------- */

/* A space being read: its document, and the device at hand. */
struct space_reading {
    struct store_tx *tx;
    const char *name;
    struct space_document *document; /* owned */
    int64_t last;
    int rows;
};

static void space_reading_done(struct space_reading *reading)
{
    space_document_free(reading->document);
}

static enum tl_rc on_accuracy(void *ctx, const struct store_model *model, struct tl_err *err)
{
    struct space_reading *reading = ctx;
    return space_document_accuracy(reading->document, model, err);
}

static enum tl_rc on_table(void *ctx, const struct store_model *model, struct tl_err *err)
{
    struct space_reading *reading = ctx;
    return space_document_table(reading->document, model, err);
}

static enum tl_rc on_latency(void *ctx, const struct store_model *model, struct tl_err *err)
{
    struct space_reading *reading = ctx;
    return space_document_device(reading->document, model->device, err);
}

/* Visit the current model, if there is one. */
static enum tl_rc visit_current(struct space_reading *reading, const char *kind, const char *device, store_model_fn *fn,
                                struct tl_err *err)
{
    struct tl_err why = {0};
    enum tl_rc rc = store_model_current(reading->tx, kind, reading->name, device, fn, reading, &why);
    return rc == TL_OK || rc == TL_NOT_FOUND ? TL_OK : tl_fail(err, rc, "%s", why.text);
}

static enum tl_rc on_device(void *ctx, const struct store_device *device, struct tl_err *err)
{
    struct space_reading *reading = ctx;
    reading->last = device->seq;
    reading->rows++;
    return visit_current(reading, "latency", device->name, on_latency, err);
}

static enum tl_rc read_space(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct space_reading *reading = ctx;
    struct store_page page = {.limit = DEVICES_PAGE};
    reading->tx = tx;
    enum tl_rc rc = visit_current(reading, "accuracy", "", on_accuracy, err);
    rc = rc ? rc : visit_current(reading, "table", "", on_table, err);
    do {
        page.after = reading->last;
        reading->rows = 0;
        rc = rc != TL_OK ? rc : store_device_list(tx, page, on_device, reading, err);
    } while (rc == TL_OK && reading->rows == DEVICES_PAGE);
    return rc;
}

static enum tl_rc space_encode(struct service *service, const struct space_entry *entry, struct tl_buf *buf,
                               struct tl_err *err)
{
    TL_AUTO(space_reading) reading = {.name = entry->space.name};
    enum tl_rc rc = space_document_new(entry, &reading.document, err);
    if (rc != TL_OK || (rc = store_read(service->store, read_space, &reading, err)) != TL_OK) {
        return rc;
    }
    return space_document_encode(reading.document, buf, err);
}

enum tl_rc route_space_get(struct service *service, const struct http_request *request, struct http_response *response,
                           struct tl_err *err)
{
    const struct space_entry *entry = NULL;
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = routes_space_named(service, request->params[0], &entry, err)) ||
        (rc = space_encode(service, entry, &response->body, err))) {
        return rc;
    }
    routes_etag(response);
    return TL_OK;
}

enum tl_rc route_space_post(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    const struct space_entry *entry = NULL;
    bool is_new = false;
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = spaces_add(service->spaces, request->body, request->body_n, &entry, &is_new, err)) ||
        (rc = space_encode(service, entry, &response->body, err))) {
        return rc;
    }
    response->status = is_new ? 201 : 200;
    (void)snprintf(response->location, sizeof response->location, "/spaces/%s", entry->space.name);
    return TL_OK;
}

/* Devices of a table need no registration. */
static enum tl_rc table_has_devices(const struct snapshot *snapshot, struct tl_err *err)
{
    for (size_t d = 0; snapshot->table && d < snapshot->devices.n; d++) {
        if (value_table_column_of(snapshot->table, METRIC_LATENCY_MS, snapshot->devices.names[d]) < 0) {
            return tl_fail(err, TL_NOT_FOUND, "the table of %s has no latencies of %s", snapshot->space->space.name,
                           snapshot->devices.names[d]);
        }
    }
    return TL_OK;
}

static enum tl_rc devices_known(struct service *service, const struct devices *devices, struct tl_err *err)
{
    struct device_facts facts;
    enum tl_rc rc = TL_OK;

    for (size_t d = 0; d < devices->n && !rc; d++) {
        rc = flow_device_facts(service->store, devices->names[d], &facts, err);
    }
    return rc;
}

/* What can be asked for: latency_ms is there once `device` has a model. Several devices are joined by commas. */
enum tl_rc route_space_ranges(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    static const char *const known[] = {"device"};
    const char *device = http_query(request, "device") ? http_query(request, "device") : "";
    struct metric_range ranges[COLUMNS_MAX];
    const struct space_entry *entry = NULL;
    struct snapshot snapshot = {0};
    struct devices devices;
    char understood[DEVICES_TEXT];
    enum tl_rc rc;

    devices_split(device, &devices);
    devices_join(&devices, ",", understood, sizeof(understood));
    if (strcmp(understood, device) != 0) {
        return tl_fail(err, TL_INVALID, "the query parameter device must be a name, or up to %d joined by commas",
                       DEVICES_MAX);
    }
    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_space_named(service, request->params[0], &entry, err)) ||
        (entry->family && (rc = devices_known(service, &devices, err)))) {
        return rc;
    }
    (void)((rc = snapshots_current(service->snapshots, request->params[0], device, &snapshot, err)) ||
           (rc = table_has_devices(&snapshot, err)) ||
           (rc = snapshots_ranges(service->snapshots, &snapshot, ranges, err)) ||
           (rc = ranges_encode(request->params[0], &devices, ranges, &response->body, err)));
    snapshot_done(&snapshot);
    return rc;
}

/* Spaces are few and numbered: the cursor is the number of the last one shown. */
enum tl_rc route_space_list(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    static const char *const known[] = {"page_size", "page_token"};
    TL_AUTO(list_writer) list = {0};
    struct store_page page = {0};
    enum tl_rc rc;
    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_page_query(request, &page, err)) || (rc = list_begin(&list, LIST_MAX_BYTES, err))) {
        return rc;
    }
    size_t at = (size_t)page.after;
    const struct space_entry *entry = spaces_at(service->spaces, at);
    for (; entry && list.n < (size_t)page.limit; entry = spaces_at(service->spaces, ++at)) {
        TL_AUTO(tl_buf) item = {0};
        if ((rc = space_encode(service, entry, &item, err)) || (rc = list_add(&list, &item, err))) {
            return rc;
        }
    }
    return routes_list_answer(&list, page, (int64_t)at, response, err);
}
