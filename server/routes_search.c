/* routes_search.c - searches and candidates over HTTP.
 */
#include "server/codec_search.h"
#include "server/evaluator_table.h"
#include "server/flow_steps.h"
#include "server/routes.h"
#include "server/spaces.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t ANSWER_MAX_BYTES = (size_t)64 << 20;

static bool ended(const char *state)
{
    return strcmp(state, "finished") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

/* ---- one search as a document -------------------------------------------------------------------------------- */

struct show_ctx {
    struct service *service;
    const char *id;
    const struct space_entry *entry;
    struct tl_buf *buf;
    struct tl_buf answer, nearest;
    char state[STATE_TEXT];
    bool has_answer;
    int64_t revision;
};

static enum tl_rc encode_candidate(void *ctx, const struct store_candidate *candidate, struct tl_err *err)
{
    struct show_ctx *show = ctx;

    return candidate_encode(candidate, show->entry->family, &show->entry->space, NULL, show->buf, err);
}

static enum tl_rc candidate_text(struct store_tx *tx, struct show_ctx *show, int64_t id, struct tl_buf *to,
                                 struct tl_err *err)
{
    struct show_ctx one = *show;

    one.buf = to;
    return id == 0 ? TL_OK : store_candidate_get(tx, id, encode_candidate, &one, err);
}

struct show_row {
    struct store_tx *tx;
    struct show_ctx *show;
};

static enum tl_rc show_row(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct show_row *s = ctx;
    struct show_ctx *show = s->show;
    struct search_progress *progress = malloc(sizeof(*progress));
    enum tl_rc rc;

    if (!progress) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to show a search");
    }
    snprintf(show->state, sizeof(show->state), "%s", search->state);
    show->revision = search->revision;
    if (!(rc = search_progress_decode(search->progress, progress, err)) &&
        !(rc = routes_space_named(show->service, search->space, &show->entry, err))) {
        show->has_answer = progress->answer != 0;
        (void)((rc = candidate_text(s->tx, show, progress->answer, &show->answer, err)) ||
               (rc = candidate_text(s->tx, show, progress->nearest, &show->nearest, err)) ||
               (rc = search_encode(search, show->answer.data, show->nearest.data, show->buf, err)));
    }
    free(progress);
    return rc;
}

static enum tl_rc show_tx(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct show_ctx *show = ctx;

    return store_search_get(tx, show->id, show_row, &(struct show_row){tx, show}, err);
}

/* The document of GET /search/{id} into the response, with its ETag. */
static enum tl_rc show_search(struct service *service, const char *id, struct http_response *response,
                              struct show_ctx *show, struct tl_err *err)
{
    enum tl_rc rc;

    *show = (struct show_ctx){.service = service, .id = id, .buf = &response->body};
    response->body.max = ANSWER_MAX_BYTES;
    rc = store_read(service->store, show_tx, show, err);
    tl_buf_done(&show->answer);
    tl_buf_done(&show->nearest);
    if (rc == TL_NOT_FOUND && err && err->text[0] == '\0') {
        return tl_fail(err, rc, "no search is called %s", id);
    }
    if (rc == TL_OK) {
        snprintf(response->etag, sizeof(response->etag), "\"%s-%lld\"", id, (long long)show->revision);
    }
    return rc;
}

enum tl_rc route_search_get(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    struct show_ctx show;
    enum tl_rc rc = http_query_only(request, NULL, 0, err);

    if (rc || (rc = show_search(service, request->params[0], response, &show, err))) {
        return rc;
    }
    if (request->prefer_wait_s > 0.0 && !ended(show.state)) {
        response->wait_s = request->prefer_wait_s;
    }
    return TL_OK;
}

/* ---- POST ---------------------------------------------------------------------------------------------------- */

/* Tie what was asked to what exists: the space, the device, models for the metrics, and limits within reach. */
struct admission {
    struct search_request request;
    struct snapshot snapshot;
    struct metric_range ranges[COLUMNS_MAX];
    char warning[240];
    size_t limit_at_fault;
};

static void point_at_device(const struct devices *devices, size_t d, char ret_pointer[32])
{
    (void)snprintf(ret_pointer, 32, devices->n > 1 ? "/devices/%zu" : "/device", d);
}

static enum tl_rc admit_device(struct service *service, const struct admission *a, size_t d, bool *ret_has_agent,
                               struct tl_err *err)
{
    const struct search_request *request = &a->request;
    const char *name = request->devices.names[d];
    struct device_facts device;
    struct tl_err none = {0};
    char pointer[32];
    enum tl_rc rc = flow_device_facts(service->store, name, &device, &none);

    point_at_device(&request->devices, d, pointer);
    if (rc == TL_NOT_FOUND) {
        return tl_fail_at(err, TL_INVALID, pointer, "no device is called %s; GET /devices lists them", name);
    }
    if (rc) {
        return tl_fail(err, rc, "%s", none.text);
    }
    if (!device.has_agent && request->top_k > 0) {
        return tl_fail_at(err, TL_INVALID, "/verify", "%s has no agent that could measure; leave \"verify\" out", name);
    }
    if (!a->snapshot.latency[d] && !device.has_agent) {
        return tl_fail_at(err, TL_INVALID, pointer, "%s has no latency model of %s and no agent to measure one", name,
                          request->space);
    }
    *ret_has_agent = device.has_agent;
    return TL_OK;
}

/* Without a wish a search is verified where every device has an agent. */
static enum tl_rc admit_devices(struct service *service, struct admission *a, struct tl_err *err)
{
    struct search_request *request = &a->request;
    bool agents = request->devices.n > 0;

    if (request->devices.n == 0 && request->top_k > 0) {
        return tl_fail_at(err, TL_INVALID, "/verify", "verification needs a \"device\" to measure on");
    }
    for (size_t d = 0; d < request->devices.n; d++) {
        bool has_agent = false;
        const enum tl_rc rc = admit_device(service, a, d, &has_agent, err);
        if (rc) {
            return rc;
        }
        agents = agents && has_agent;
    }
    if (request->top_k < 0) {
        request->top_k = agents ? 3 : 0;
    }
    return TL_OK;
}

/* Of a table everything is known: its devices, its metrics, and that nothing of it can be verified. */
static enum tl_rc admit_table(struct admission *a, struct tl_err *err)
{
    const struct value_table *table = a->snapshot.table;
    struct search_request *request = &a->request;
    char devices[300], pointer[32];

    if (request->top_k > 0) {
        return tl_fail_at(err, TL_INVALID, "/verify",
                          "values of a table cannot be verified: no network of %s can be built; leave \"verify\" out",
                          request->space);
    }
    request->top_k = 0;
    for (size_t d = 0; d < request->devices.n; d++) {
        const char *name = request->devices.names[d];
        if (value_table_column_of(table, METRIC_LATENCY_MS, name) < 0) {
            point_at_device(&request->devices, d, pointer);
            value_table_devices(table, devices, sizeof(devices));
            return tl_fail_at(err, TL_INVALID, pointer, "the table of %s has no latencies of %s; it has %s",
                              request->space, name, devices[0] ? devices : "those of no device");
        }
    }
    return TL_OK;
}

static enum tl_rc admit_tabulated(const struct admission *a, enum metric metric, const char *pointer,
                                  struct tl_err *err)
{
    const struct search_request *request = &a->request;
    char devices[300];

    value_table_devices(a->snapshot.table, devices, sizeof(devices));
    if (value_table_column_of(a->snapshot.table, metric, request->devices.names[0]) >= 0) {
        return TL_OK; /* latencies of the other devices were looked for above */
    }
    if (metric == METRIC_LATENCY_MS && devices[0]) {
        return tl_fail_at(err, TL_INVALID, pointer, "latency_ms needs a \"device\"; the table of %s has %s",
                          request->space, devices);
    }
    return tl_fail_at(err, TL_INVALID, pointer, "the table of %s has no %s; GET /spaces/%s shows its columns",
                      request->space, metric_names[metric], request->space);
}

static enum tl_rc admit_metric(const struct admission *a, enum metric metric, const char *pointer, struct tl_err *err)
{
    if (a->snapshot.table) {
        return admit_tabulated(a, metric, pointer, err);
    }
    if (metric == METRIC_ACCURACY && !a->snapshot.accuracy) {
        return tl_fail_at(err, TL_INVALID, pointer,
                          "there is no accuracy model of %s; import one (POST /models) or minimise another metric",
                          a->request.space);
    }
    if (metric == METRIC_LATENCY_MS && a->request.devices.n == 0) {
        return tl_fail_at(err, TL_INVALID, pointer, "latency_ms needs a \"device\"");
    }
    return TL_OK;
}

static enum tl_rc admit_objectives(const struct admission *a, struct tl_err *err)
{
    const struct search_request *request = &a->request;
    enum tl_rc rc = TL_OK;

    if (request->n_objectives == 0) {
        return admit_metric(a, request->objective.metric, "/objective", err);
    }
    for (size_t i = 0; !rc && i < request->n_objectives; i++) {
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/objectives/%zu/%s", i,
                 request->objectives[i].metric == METRIC_ACCURACY ? "maximize" : "minimize");
        rc = admit_metric(a, request->objectives[i].metric, pointer, err);
    }
    return rc;
}

/* Outside even the interval: refused. Inside the interval: a warning. */
static enum tl_rc admit_limit(struct admission *a, size_t i, struct tl_err *err)
{
    const struct request_limit *limit = &a->request.limits[i];
    const size_t column = request_limit_column(&a->request, i);
    const struct metric_range *range = &a->ranges[column];
    char pointer[64], name[COLUMN_NAME_MAX];
    double end = limit->is_min ? range->max : range->min;
    double slack = limit->is_min ? range->max_slack : range->min_slack;
    double beyond = limit->is_min ? limit->bound - end : end - limit->bound;

    column_name(&a->request.devices, column, name);
    snprintf(pointer, sizeof(pointer), "/constraints/%u/%s", limit->place, limit->is_min ? "min" : "max");
    if (beyond > slack) {
        return tl_fail_at(err, TL_INVALID, pointer, "%s %s %.6g cannot be met: it reaches %.6g to %.6g", name,
                          limit->is_min ? "of at least" : "of at most", limit->bound, range->min, range->max);
    }
    if (beyond > 0.0) {
        snprintf(a->warning, sizeof(a->warning),
                 "%s %.6g lies beyond what is predicted to be reachable (%.6g), though within the interval", name,
                 limit->bound, end);
    }
    return TL_OK;
}

static enum tl_rc admit(struct service *service, struct admission *a, bool *ret_out_of_reach, struct tl_err *err)
{
    struct search_request *request = &a->request;
    struct tl_err none = {0};
    char devices[DEVICES_TEXT];
    enum tl_rc rc;

    devices_join(&request->devices, ",", devices, sizeof(devices));
    rc = snapshots_pin(service->snapshots, request->space, devices, &a->snapshot, &none);
    if (rc == TL_NOT_FOUND) {
        return tl_fail_at(err, TL_INVALID, "/space", "no space is called %s; GET /spaces lists them", request->space);
    }
    if (rc) {
        return tl_fail(err, rc, "%s", none.text);
    }
    if (!a->snapshot.family && !a->snapshot.table) {
        return tl_fail_at(
            err, TL_INVALID, "/space",
            "no network of %s can be built and it has no table of values; PUT /spaces/%s/table brings one",
            request->space, request->space);
    }
    if ((rc = a->snapshot.table ? admit_table(a, err) : admit_devices(service, a, err)) ||
        (rc = admit_objectives(a, err))) {
        return rc;
    }
    for (size_t i = 0; i < request->n_limits; i++) {
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/constraints/%u/metric", request->limits[i].place);
        if ((rc = admit_metric(a, request->limits[i].metric, pointer, err))) {
            return rc;
        }
    }
    if (snapshot_lacks(&a->snapshot) < a->snapshot.devices.n) {
        return TL_OK; /* checked after profiling */
    }
    if ((rc = snapshots_ranges(service->snapshots, &a->snapshot, a->ranges, err))) {
        return rc;
    }
    for (size_t i = 0; i < request->n_limits; i++) {
        if ((rc = admit_limit(a, i, err))) {
            *ret_out_of_reach = true;
            return rc;
        }
    }
    return TL_OK;
}

struct insert_ctx {
    const struct search_request *request;
    const char *id;
    struct tl_buf spec, progress;
};

static enum tl_rc insert_search(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct insert_ctx *insert = ctx;
    const struct devices *devices = &insert->request->devices;
    int64_t now = tl_clock_wall_ns();
    char list[DEVICES_TEXT], device[DEVICES_TEXT];
    enum tl_rc rc;

    devices_join(devices, ",", list, sizeof(list));
    (void)snprintf(device, sizeof(device), devices->n > 1 ? ",%s," : "%s", list);
    rc = store_search_insert(tx,
                             &(struct store_search){.id = insert->id,
                                                    .space = insert->request->space,
                                                    .device = device,
                                                    .state = "queued",
                                                    .outcome = "",
                                                    .snapshot = "",
                                                    .created_ns = now,
                                                    .updated_ns = now,
                                                    .revision = 1,
                                                    .spec = {insert->spec.data, insert->spec.len},
                                                    .progress = {insert->progress.data, insert->progress.len}},
                             err);

    return rc ? rc
              : store_event_add(tx, insert->id,
                                &(struct store_event){.time_ns = now,
                                                      .kind = "state",
                                                      .data = {insert->progress.data, insert->progress.len}},
                                err);
}

static enum tl_rc insert_admitted(struct service *service, const struct admission *a, char ret_id[TL_UUID_TEXT],
                                  struct tl_err *err)
{
    struct insert_ctx insert = {.request = &a->request, .id = ret_id};
    struct search_progress *progress = malloc(sizeof(*progress));
    enum tl_rc rc;

    if (!progress) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a search");
    }
    search_progress_init(progress, &a->request.devices);
    snprintf(progress->message, sizeof(progress->message), "waiting for its turn");
    snprintf(progress->warning, sizeof(progress->warning), "%s", a->warning);
    progress->total = (double)a->request.evaluations;
    tl_uuid(ret_id);
    if (!(rc = search_request_encode(&a->request, &insert.spec, err)) &&
        !(rc = search_progress_encode(progress, &insert.progress, err))) {
        rc = store_write(service->store, insert_search, &insert, err);
    }
    tl_buf_done(&insert.spec);
    tl_buf_done(&insert.progress);
    free(progress);
    return rc;
}

/* An impossible limit is answered with what each metric can reach. */
static enum tl_rc answer_out_of_reach(const struct admission *a, const struct tl_err *problem,
                                      struct http_response *response, struct tl_err *err)
{
    response->status = tl_rc_http(problem->rc);
    response->content_type = "application/problem+json";
    return search_problem_encode(problem, &a->request.devices, a->ranges, &response->body, err);
}

/* After POST, and again each time a parked POST is handled: 200 when finished or when only a device is missing and
 * there is a predicted answer, 202 when the wait is over. */
static enum tl_rc answer_posted(struct service *service, const struct http_request *request, const char *id,
                                struct http_response *response, struct tl_err *err)
{
    struct show_ctx show;
    enum tl_rc rc = show_search(service, id, response, &show, err);

    if (rc) {
        return rc;
    }
    snprintf(response->location, sizeof(response->location), "/search/%s", id);
    response->etag[0] = '\0';
    response->status = 202;
    if (ended(show.state) || (strcmp(show.state, "waiting_for_device") == 0 && show.has_answer)) {
        response->status = request->prefer_wait_s > 0.0 ? 200 : 202;
    } else if (request->prefer_wait_s > 0.0) {
        response->wait_s = request->prefer_wait_s;
        response->status = request->last && show.has_answer ? 200 : 202;
    }
    return TL_OK;
}

enum tl_rc route_search_post(struct service *service, const struct http_request *request,
                             struct http_response *response, struct tl_err *err)
{
    struct admission *a;
    struct tl_err problem = {0};
    char id[TL_UUID_TEXT];
    bool out_of_reach = false;
    enum tl_rc rc;

    if (request->location[0]) { /* parked before: the search exists */
        return answer_posted(service, request, request->location + strlen("/search/"), response, err);
    }
    if (!(a = calloc(1, sizeof(*a)))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a search");
    }
    rc = search_request_decode(request->body, request->body_n, &a->request, &problem);
    if (rc == TL_OK && !(rc = admit(service, a, &out_of_reach, &problem)) &&
        !(rc = insert_admitted(service, a, id, &problem))) {
        flow_ring(service->flow);
        rc = answer_posted(service, request, id, response, &problem);
    }
    if (rc && out_of_reach) {
        rc = answer_out_of_reach(a, &problem, response, err);
    } else if (rc && err) {
        *err = problem;
    }
    snapshot_done(&a->snapshot);
    free(a);
    return rc;
}

/* ---- cancel -------------------------------------------------------------------------------------------------- */

static enum tl_rc cancel_tx(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct search_row *row = ctx;
    char id[TL_UUID_TEXT];
    enum tl_rc rc;

    memcpy(id, row->id, sizeof(id));
    if ((rc = store_search_get(tx, id, search_row_copy, row, err))) {
        return rc;
    }
    if (ended(row->state)) {
        return tl_fail(err, TL_CONFLICT, "search %s is %s already", id, row->state);
    }
    search_row_state(row, "cancelled", "cancelled on request");
    search_row_finish(row, "cancelled", "");
    if ((rc = search_row_save(tx, row, NULL, NULL, "state", err))) {
        return rc;
    }
    return store_job_cancel_search(tx, id, "the search was cancelled", err);
}

enum tl_rc route_search_cancel(struct service *service, const struct http_request *request,
                               struct http_response *response, struct tl_err *err)
{
    struct search_row *row = calloc(1, sizeof(*row));
    struct show_ctx show;
    enum tl_rc rc;

    if (!row) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a search");
    }
    snprintf(row->id, sizeof(row->id), "%s", request->params[0]);
    rc = store_write(service->store, cancel_tx, row, err);
    search_row_done(row);
    free(row);
    if (rc) {
        return rc;
    }
    flow_ring(service->flow);
    return show_search(service, request->params[0], response, &show, err);
}

/* ---- lists --------------------------------------------------------------------------------------------------- */

struct list_ctx {
    struct list_writer list;
    struct store_page page;
    const char *first, *second; /* filters */
    int64_t last;
    size_t n;
};

static enum tl_rc list_search(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct list_ctx *c = ctx;
    TL_AUTO(tl_buf) item = {0};
    enum tl_rc rc = search_item_encode(search, &item, err);

    c->last = search->seq;
    c->n++;
    return rc ? rc : list_add(&c->list, &item, err);
}

static enum tl_rc list_searches(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct list_ctx *c = ctx;

    return store_search_list(tx, c->first, c->second, c->page, list_search, c, err);
}

/* Hand the finished list to the response. */
static enum tl_rc list_answer(struct list_ctx *c, struct http_response *response, struct tl_err *err)
{
    enum tl_rc rc = list_end(&c->list, c->n == (size_t)c->page.limit ? c->last : 0, err);

    if (rc == TL_OK) {
        tl_buf_done(&response->body);
        response->body = c->list.buf;
        c->list.buf = (struct tl_buf){0};
    }
    return rc;
}

static const char *query_or_any(const struct http_request *request, const char *name)
{
    const char *text = http_query(request, name);

    return text ? text : "";
}

enum tl_rc route_controller_list(struct service *service, const struct http_request *request,
                                 struct http_response *response, struct tl_err *err)
{
    enum tl_rc rc;

    (void)service;
    if ((rc = http_query_only(request, NULL, 0, err)) || (rc = controllers_encode(&response->body, err))) {
        return rc;
    }
    routes_etag(response);
    return TL_OK;
}

enum tl_rc route_search_list(struct service *service, const struct http_request *request,
                             struct http_response *response, struct tl_err *err)
{
    static const char *const known[] = {"state", "device", "page_size", "page_token"};
    struct list_ctx c = {.first = query_or_any(request, "state"), .second = query_or_any(request, "device")};
    enum tl_rc rc;

    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_page_query(request, &c.page, err)) || (rc = list_begin(&c.list, ANSWER_MAX_BYTES, err))) {
        return rc;
    }
    (void)((rc = store_read(service->store, list_searches, &c, err)) || (rc = list_answer(&c, response, err)));
    list_writer_done(&c.list);
    return rc;
}
