/* routes_measurement.c - measurements: uploads judged and kept as they came, and what is shown of them.
 *
 * One idea: a measurement is the agent's bytes. The verdict is computed from them, so that the same bytes again lead to the
 * same row; what changes with the world (was the lease still open) is decided in the transaction that stores them.
 */
#include "latency/codec_measurement.h"
#include "server/codec_measurement.h"
#include "server/codec_search.h"
#include "server/codec_work.h"
#include "server/routes.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MAX_BYTES = 64 << 20 };

/* ---- upload -------------------------------------------------------------------------------------------------- */

struct upload {
    const char *id;
    const struct http_request *request;
    struct lat_measurement measurement; /* owned */
    struct lat_verdict verdict;
    char search[TL_UUID_TEXT], space[LAT_DEVICE_TEXT]; /* of the job */
    bool lease_open;
    bool is_new;
};

static void upload_done(struct upload *upload)
{
    lat_measurement_done(&upload->measurement);
}

/* The job's work never changes, so it is read before the transaction: is its item what was timed? */
static enum tl_rc on_work(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct upload *upload = ctx;
    const struct lat_measurement *measurement = &upload->measurement;
    char subject[NET_KEY_MAX];
    bool is_block = false;
    struct tl_err why = {0};
    if (strcmp(job->device, measurement->device) != 0) {
        return tl_fail_at(err, TL_INVALID, "/device", "job %s belongs to %s", job->id, job->device);
    }
    if (work_item(job->work, measurement->item, subject, &is_block, &why) != TL_OK) {
        return tl_fail_at(err, TL_INVALID, "/item", "%s", why.text);
    }
    if (strcmp(subject, measurement->subject) != 0) {
        return tl_fail_at(err, TL_INVALID, "/subject", "item %zu of the job is %s", measurement->item, subject);
    }
    if (is_block != measurement->is_block) {
        return tl_fail_at(err, TL_INVALID, "/kind", "item %zu of the job is a %s", measurement->item,
                          is_block ? "block" : "network");
    }
    snprintf(upload->search, sizeof upload->search, "%s", job->search);
    snprintf(upload->space, sizeof upload->space, "%s", job->space);
    return TL_OK;
}

static enum tl_rc read_work(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct upload *upload = ctx;
    return store_job_get(tx, upload->measurement.job, on_work, upload, err);
}

static enum tl_rc on_lease(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct upload *upload = ctx;
    (void)err;
    upload->lease_open = strcmp(job->state, "leased") == 0 && job->attempt == upload->measurement.attempt &&
                         job->lease_until_ns > tl_clock_wall_ns();
    return TL_OK;
}

static enum tl_rc put_row(struct store_tx *tx, struct upload *upload, struct tl_err *err)
{
    const struct http_request *request = upload->request;
    const struct lat_verdict *verdict = &upload->verdict;
    struct tl_hash hash = tl_hash_of(request->body, request->body_n);
    char hash_text[TL_HASH_TEXT];
    tl_hash_format(&hash, hash_text);
    return store_measurement_put(
        tx,
        &(struct store_measurement){.id = upload->id,
                                    .device = upload->measurement.device,
                                    .job = upload->measurement.job,
                                    .search = upload->search,
                                    .space = upload->space,
                                    .subject = upload->measurement.subject,
                                    .kind = upload->measurement.is_block ? "block" : "network",
                                    .verdict = verdict->reason == LAT_STABLE ? "stable" : "unstable",
                                    .reason = lat_reason_text(verdict->reason),
                                    .late = !upload->lease_open,
                                    .created_ns = tl_clock_wall_ns(),
                                    .ratio = verdict->ratio,
                                    .anchor_ms = verdict->anchor_ms,
                                    .median_ms = verdict->median_ms,
                                    .body_hash = hash_text,
                                    .body = {request->body, request->body_n}},
        &upload->is_new, err);
}

static enum tl_rc store_upload(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct upload *upload = ctx;
    const char *device = upload->measurement.device;
    enum tl_rc rc;
    if ((rc = service_agent(tx, device, upload->measurement.agent_key, err)) ||
        (rc = store_job_get(tx, upload->measurement.job, on_lease, upload, err))) {
        return rc;
    }
    return put_row(tx, upload, err);
}

enum tl_rc route_measurement_put(struct service *service, const struct http_request *request,
                                 struct http_response *response, struct tl_err *err)
{
    TL_AUTO(upload) upload = {.id = request->params[0], .request = request};
    struct tl_err why = {0};
    enum tl_rc rc;
    if (!tl_uuid_valid(upload.id)) {
        return tl_fail(err, TL_INVALID, "\"%s\" is not a UUID in lower case", upload.id);
    }
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = lat_measurement_decode(request->body, request->body_n, &upload.measurement, err)) ||
        (rc = lat_judge(&upload.measurement.visit, &upload.verdict, err))) {
        return rc;
    }
    if ((rc = store_read(service->store, read_work, &upload, &why)) != TL_OK) {
        return tl_fail_at(err, rc == TL_NOT_FOUND ? TL_INVALID : rc, rc == TL_NOT_FOUND ? "/job" : why.pointer, "%s",
                          why.text);
    }
    if ((rc = store_write(service->store, store_upload, &upload, err))) {
        return rc;
    }
    response->status = upload.is_new ? 201 : 200;
    snprintf(response->location, sizeof response->location, "/measurements/%s", upload.id);
    return measurement_receipt_encode(upload.id, upload.verdict.reason == LAT_STABLE ? "stable" : "unstable",
                                      lat_reason_text(upload.verdict.reason), &response->body, err);
}

/* ---- showing ------------------------------------------------------------------------------------------------- */

static enum tl_rc copy_reference(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)err;
    *(double *)ctx = device->anchor_reference_ms;
    return TL_OK;
}

struct showing {
    struct store_tx *tx;
    const char *id; /* one, or NULL: a page */
    const char *device, *kind, *subject, *search;
    struct store_page page;
    struct list_writer list;
    struct tl_buf *body;
    int64_t last;
    char reference_device[LAT_DEVICE_TEXT]; /* whose reference_ms is at hand */
    double reference_ms;
};

static void showing_done(struct showing *showing)
{
    list_writer_done(&showing->list);
}

static enum tl_rc show_whole(const struct showing *showing, const struct store_measurement *measurement,
                             struct tl_err *err)
{
    TL_AUTO(lat_measurement) whole = {0};
    struct lat_summary summary;
    enum tl_rc rc;
    if ((rc = lat_measurement_decode(measurement->body.data, measurement->body.n, &whole, err)) ||
        (rc = lat_summarise(&whole.visit, &summary, err))) {
        return rc;
    }
    return measurement_encode(measurement, showing->reference_ms, &summary, showing->body, err);
}

static enum tl_rc on_measurement(void *ctx, const struct store_measurement *measurement, struct tl_err *err)
{
    struct showing *showing = ctx;
    enum tl_rc rc = TL_OK;
    showing->last = measurement->seq;
    if (strcmp(showing->reference_device, measurement->device) != 0) {
        snprintf(showing->reference_device, sizeof showing->reference_device, "%s", measurement->device);
        rc = store_device_get(showing->tx, measurement->device, copy_reference, &showing->reference_ms, err);
    }
    if (rc != TL_OK || showing->id) {
        return rc != TL_OK ? rc : show_whole(showing, measurement, err);
    }
    TL_AUTO(tl_buf) item = {0};
    rc = measurement_encode(measurement, showing->reference_ms, NULL, &item, err);
    return rc != TL_OK ? rc : list_add(&showing->list, &item, err);
}

static enum tl_rc read_measurements(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct showing *showing = ctx;
    showing->tx = tx;
    return showing->id ? store_measurement_get(tx, showing->id, on_measurement, showing, err)
                       : store_measurement_list(tx, showing->device, "", showing->kind, showing->subject,
                                                showing->search, showing->page, on_measurement, showing, err);
}

enum tl_rc route_measurement_list(struct service *service, const struct http_request *request,
                                  struct http_response *response, struct tl_err *err)
{
    static const char *const known[] = {"device", "subject", "search", "kind", "page_size", "page_token"};
    TL_AUTO(showing)
    showing = {.device = routes_query_or_any(request, "device"),
               .kind = routes_query_or_any(request, "kind"),
               .subject = routes_query_or_any(request, "subject"),
               .search = routes_query_or_any(request, "search")};
    enum tl_rc rc;
    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_page_query(request, &showing.page, err)) ||
        (rc = list_begin(&showing.list, LIST_MAX_BYTES, err)) ||
        (rc = store_read(service->store, read_measurements, &showing, err))) {
        return rc;
    }
    return routes_list_answer(&showing.list, showing.page, showing.last, response, err);
}

enum tl_rc route_measurement_get(struct service *service, const struct http_request *request,
                                 struct http_response *response, struct tl_err *err)
{
    TL_AUTO(showing) showing = {.id = request->params[0], .body = &response->body};
    enum tl_rc rc;
    response->body.max = 2 * (size_t)HTTP_MEASUREMENT_MAX;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = store_read(service->store, read_measurements, &showing, err))) {
        return rc;
    }
    routes_etag(response);
    return TL_OK;
}
