/* routes_job_model.c - a job's networks as ONNX files, for devices whose runtime wants a file.
 *
 * One idea: nothing is stored. A file follows from the job's operator list and seed alone, so that it is made when it is
 * asked for, the same bytes every time. Its weights are random: it is good for timing and nothing else, and says so.
 */
#include "server/codec_job.h"
#include "server/codec_work.h"
#include "server/routes.h"
#include "supernet/files/files.h"
#include "supernet/kernels/kernels.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_MAX_BYTES = 256 << 20, WORK_MAX_BYTES = 16 << 20 };

static const char TIMING_ONLY[] = "random weights: this model is for measuring latency, its output means nothing";

/* A leased job as its agent got it, and which of its networks is wanted. */
struct order {
    const char *id;
    struct work_runtime runtime;
    char device[JOB_NAME_TEXT];
    struct tl_buf document; /* owned */
};

static void order_done(struct order *order)
{
    tl_buf_done(&order->document);
}

static enum tl_rc note_device(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct order *order = ctx;
    if (strcmp(job->kind, "evaluate") == 0) {
        return tl_fail(err, TL_NOT_FOUND, "job %s is a worker's and has no models", job->id);
    }
    if (job->attempt < 1) {
        return tl_fail(err, TL_CONFLICT, "job %s is %s: it has models once it is leased", job->id, job->state);
    }
    (void)snprintf(order->device, sizeof order->device, "%s", job->device);
    return TL_OK;
}

static enum tl_rc note_runtime(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)err;
    ((struct order *)ctx)->runtime = work_device_runtime(device->info);
    return TL_OK;
}

static enum tl_rc copy_work(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct order *order = ctx;
    return work_lease_encode(job, 1, order->runtime, &order->document, err);
}

static enum tl_rc read_order(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct order *order = ctx;
    enum tl_rc rc;
    if ((rc = store_job_get(tx, order->id, note_device, order, err)) ||
        (rc = store_device_get(tx, order->device, note_runtime, order, err))) {
        return rc;
    }
    return store_job_get(tx, order->id, copy_work, order, err);
}

/* "anchor", or the place in the job's items. */
static enum tl_rc find_item(const struct lat_job *job, const char *name, const struct lat_job_item **ret_item,
                            struct tl_err *err)
{
    char *end = NULL;
    if (strcmp(name, "anchor") == 0) {
        *ret_item = job->anchor;
        return TL_OK;
    }
    unsigned long i = strtoul(name, &end, 10);
    if (name[0] < '0' || name[0] > '9' || *end != '\0' || i >= job->n_items) {
        return tl_fail(err, TL_NOT_FOUND, "the job has no model %s; there are anchor and 0 to %zu", name,
                       job->n_items - 1);
    }
    *ret_item = &job->items[i];
    return TL_OK;
}

static enum tl_rc encode_item(const struct lat_job *job, const struct lat_job_item *item, struct tl_buf *buf,
                              struct tl_err *err)
{
    const struct st_pair pairs[] = {{"timing_only", TIMING_ONLY}, {"subject", item->subject}};
    struct net_params *params = calloc(1, sizeof *params);
    enum tl_rc rc =
        params ? net_params_init(params, &item->net, 0, err) : tl_fail(err, TL_NO_MEMORY, "no memory for parameters");
    if (rc == TL_OK) {
        net_params_draw(params, &item->net, job->seed);
        rc = onnx_encode_batch(&item->net, params, job->protocol.batch, pairs, TL_COUNT_OF(pairs), buf, err);
        net_params_done(params);
    }
    free(params);
    return rc;
}

enum tl_rc route_job_model(struct service *service, const struct http_request *request, struct http_response *response,
                           struct tl_err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one at a time, so that memory stays bounded */
    TL_AUTO(order) order = {.id = request->params[0], .document.max = WORK_MAX_BYTES};
    TL_AUTO(lat_job) job = {0};
    const struct lat_job_item *item = NULL;
    enum tl_rc rc;
    response->body.max = MODEL_MAX_BYTES;
    if ((rc = http_query_only(request, NULL, 0, err)) || (rc = store_read(service->store, read_order, &order, err)) ||
        (rc = lat_job_decode(order.document.data, order.document.len, &job, err)) ||
        (rc = find_item(&job, request->params[1], &item, err))) {
        return rc;
    }
    pthread_mutex_lock(&lock);
    rc = encode_item(&job, item, &response->body, err);
    pthread_mutex_unlock(&lock);
    if (rc == TL_OK) {
        routes_etag(response);
        response->content_type = "application/octet-stream";
        (void)snprintf(response->file_name, sizeof response->file_name, "timing-only-%.90s.onnx", item->subject);
    }
    return rc;
}
