/* routes_chart.c - what the page draws of a search: points, history, events; and the export.
 */
#include "server/codec_search.h"
#include "server/routes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t ANSWER_MAX_BYTES = 64 * 1024 * 1024;

struct devices_ctx {
    const char *id;
    struct devices *devices;
};

static enum tl_rc copy_devices(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct devices_ctx *c = ctx;

    (void)err;
    devices_split(search->device, c->devices);
    return TL_OK;
}

static enum tl_rc read_devices(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct devices_ctx *c = ctx;

    return store_search_get(tx, c->id, copy_devices, c, err);
}

enum tl_rc routes_search_devices(struct service *service, const char *id, struct devices *ret_devices,
                                 struct tl_err *err)
{
    return store_read(service->store, read_devices, &(struct devices_ctx){id, ret_devices}, err);
}

struct chart_ctx {
    const char *id;
    struct chart_points *points; /* or NULL: only the export */
    struct tl_buf *out;
    enum tl_rc (*use)(struct chart_ctx *ctx, struct store_bytes exported, struct tl_err *err);
    int64_t last;
};

static enum tl_rc chart_candidate(void *ctx, const struct store_candidate *candidate, struct tl_err *err)
{
    struct chart_ctx *c = ctx;

    c->last = candidate->id;
    return chart_points_candidate(c->points, candidate, err);
}

static enum tl_rc use_export(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct chart_ctx *c = ctx;

    return c->use(c, search->result, err);
}

static enum tl_rc read_result(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct chart_ctx *c = ctx;
    int64_t before = -1;
    enum tl_rc rc = TL_OK;

    while (c->points && !rc && c->last != before) {
        before = c->last;
        rc = store_candidate_list(tx, c->id, "", (struct store_page){c->last, 1000}, chart_candidate, c, err);
    }
    return rc ? rc : store_search_get(tx, c->id, use_export, c, err);
}

static enum tl_rc use_for_points(struct chart_ctx *c, struct store_bytes exported, struct tl_err *err)
{
    return chart_points_sample(c->points, exported, err);
}

static enum tl_rc use_for_history(struct chart_ctx *c, struct store_bytes exported, struct tl_err *err)
{
    return search_history_encode(exported, c->out, err);
}

static enum tl_rc use_as_is(struct chart_ctx *c, struct store_bytes exported, struct tl_err *err)
{
    if (exported.n == 0) {
        return tl_fail(err, TL_CONFLICT, "search %s has not ended its predicting phase", c->id);
    }
    return tl_buf_add(c->out, exported.data, exported.n, err);
}

/* A column by name; without one that of `absent`, of the first device. */
static enum tl_rc query_column(const struct http_request *request, const struct devices *devices, const char *name,
                               enum metric absent, char ret_column[COLUMN_NAME_MAX], struct tl_err *err)
{
    const char *text = http_query(request, name);
    char names[COLUMNS_MAX][COLUMN_NAME_MAX];
    const char *known[COLUMNS_MAX];

    if (!text || column_find(devices, text) >= 0) {
        column_name(devices, text ? (size_t)column_find(devices, text) : column_of(devices, absent, 0), ret_column);
        return TL_OK;
    }
    for (size_t c = 0; c < column_count(devices); c++) {
        column_name(devices, c, names[c]);
        known[c] = names[c];
    }
    const char *near = tl_nearest(text, known, column_count(devices));
    return tl_fail(err, TL_INVALID, "\"%s\" is not a metric%s%s", text, near ? "; did you mean " : "",
                   near ? near : "");
}

enum tl_rc route_search_points(struct service *service, const struct http_request *request,
                               struct http_response *response, struct tl_err *err)
{
    static const char *const known[] = {"x", "y"};
    struct chart_ctx c = {.id = request->params[0], .out = &response->body, .use = use_for_points};
    char x[COLUMN_NAME_MAX], y[COLUMN_NAME_MAX];
    struct devices devices;
    enum tl_rc rc;

    response->body.max = ANSWER_MAX_BYTES;
    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_search_devices(service, c.id, &devices, err)) ||
        (rc = query_column(request, &devices, "x", METRIC_LATENCY_MS, x, err)) ||
        (rc = query_column(request, &devices, "y", METRIC_ACCURACY, y, err)) ||
        (rc = chart_points_new(x, y, &c.points, err))) {
        return rc;
    }
    (void)((rc = store_read(service->store, read_result, &c, err)) ||
           (rc = chart_points_encode(c.points, &response->body, err)));
    chart_points_free(c.points);
    return rc;
}

enum tl_rc route_search_history(struct service *service, const struct http_request *request,
                                struct http_response *response, struct tl_err *err)
{
    struct chart_ctx c = {.id = request->params[0], .out = &response->body, .use = use_for_history};
    enum tl_rc rc = http_query_only(request, NULL, 0, err);

    return rc ? rc : store_read(service->store, read_result, &c, err);
}

enum tl_rc route_search_export(struct service *service, const struct http_request *request,
                               struct http_response *response, struct tl_err *err)
{
    struct chart_ctx c = {.id = request->params[0], .out = &response->body, .use = use_as_is};
    enum tl_rc rc = http_query_only(request, NULL, 0, err);

    response->body.max = ANSWER_MAX_BYTES;
    return rc ? rc : store_read(service->store, read_result, &c, err);
}

struct events_ctx {
    struct list_writer list;
    const char *search;
    struct store_page page;
    int64_t last;
    size_t n;
};

static enum tl_rc list_event(void *ctx, const struct store_event *event, struct tl_err *err)
{
    struct events_ctx *c = ctx;
    TL_AUTO(tl_buf) item = {.max = 1 << 20};
    enum tl_rc rc = search_event_encode(event, &item, err);

    c->last = event->number;
    c->n++;
    return rc ? rc : list_add(&c->list, &item, err);
}

static enum tl_rc ignore_search(void *ctx, const struct store_search *search, struct tl_err *err)
{
    (void)ctx;
    (void)search;
    (void)err;
    return TL_OK;
}

static enum tl_rc list_events(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct events_ctx *c = ctx;
    enum tl_rc rc = store_search_get(tx, c->search, ignore_search, NULL, err);

    return rc ? rc : store_event_list(tx, c->search, c->page, list_event, c, err);
}

enum tl_rc route_search_events(struct service *service, const struct http_request *request,
                               struct http_response *response, struct tl_err *err)
{
    static const char *const known[] = {"after", "wait"};
    struct events_ctx c = {.search = request->params[0], .page = {0, 1000}};
    int64_t wait_s = 0;
    enum tl_rc rc;

    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = http_query_int(request, "after", 0, INT64_MAX, &c.page.after, err)) ||
        (rc = http_query_int(request, "wait", 0, 600, &wait_s, err)) ||
        (rc = list_begin(&c.list, ANSWER_MAX_BYTES, err))) {
        return rc;
    }
    (void)((rc = store_read(service->store, list_events, &c, err)) ||
           (rc = list_end(&c.list, c.n == (size_t)c.page.limit ? c.last : 0, err)) ||
           (rc = tl_buf_add(&response->body, c.list.buf.data, c.list.buf.len, err)));
    list_writer_done(&c.list);
    if (rc == TL_OK && c.n == 0) {
        response->wait_s = (double)wait_s;
    }
    return rc;
}
