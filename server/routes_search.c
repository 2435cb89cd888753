/* routes_search.c - searches and candidates over HTTP.
 */
#include "server/admit_search.h"
#include "server/codec_search.h"
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

struct insert_ctx {
    const struct admission *admission;
    const char *id;
    struct tl_buf spec;
    struct search_progress *progress;
};

/* A search is stored with its first answer, where the archive has one, in one transaction. What it was answered under is
 * what it will search under; otherwise it pins what is current when its turn comes. */
static enum tl_rc insert_search(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct insert_ctx *insert = ctx;
    const struct admission *a = insert->admission;
    const struct devices *devices = &a->request.devices;
    const bool pins = a->first.n_members > 0 || a->request.snapshot[0] != '\0';
    TL_AUTO(tl_buf) progress = {0};
    char list[DEVICES_TEXT], device[DEVICES_TEXT];
    int64_t now = tl_clock_wall_ns();
    struct store_search search = {.id = insert->id,
                                  .space = a->request.space,
                                  .device = device,
                                  .state = "queued",
                                  .outcome = "",
                                  .snapshot = pins ? a->snapshot.hash : "",
                                  .created_ns = now,
                                  .updated_ns = now,
                                  .revision = 1,
                                  .spec = {insert->spec.data, insert->spec.len}};
    enum tl_rc rc;

    devices_join(devices, ",", list, sizeof(list));
    (void)snprintf(device, sizeof(device), devices->n > 1 ? ",%s," : "%s", list);
    rc = store_search_insert(tx, &search, err);

    if (!rc && a->first.n_members > 0) {
        rc = first_answer_put(tx, &a->first, insert->id, insert->progress, err);
    }
    if (rc || (rc = search_progress_encode(insert->progress, &progress, err))) {
        return rc;
    }
    search.progress = (struct store_bytes){progress.data, progress.len};
    rc = store_search_update(tx, &search, err);
    return rc ? rc
              : store_event_add(tx, insert->id,
                                &(struct store_event){.time_ns = now, .kind = "state", .data = search.progress}, err);
}

static enum tl_rc insert_admitted(struct service *service, struct admission *a, char ret_id[TL_UUID_TEXT],
                                  struct tl_err *err)
{
    struct insert_ctx insert = {.admission = a, .id = ret_id, .progress = malloc(sizeof(*insert.progress))};
    struct search_progress *progress = insert.progress;
    enum tl_rc rc;

    if (!progress) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a search");
    }
    search_progress_init(progress, &a->request.devices);
    snprintf(progress->message, sizeof(progress->message), "waiting for its turn");
    snprintf(progress->warning, sizeof(progress->warning), "%s", a->warning);
    progress->total = (double)a->request.evaluations;
    tl_uuid(ret_id);
    if (!(rc = first_answer_find(&a->snapshot, &a->request, &a->first, err)) &&
        !(rc = search_request_encode(&a->request, &insert.spec, err))) {
        rc = store_write(service->store, insert_search, &insert, err);
    }
    tl_buf_done(&insert.spec);
    free(progress);
    return rc;
}

/* An impossible limit is answered with what each metric can reach. */
static enum tl_rc answer_out_of_reach(const struct admission *a, const struct tl_err *problem,
                                      struct http_response *response, struct tl_err *err)
{
    response->status = tl_rc_http(problem->rc);
    response->content_type = "application/problem+json";
    return search_problem_encode(problem, &a->request.devices, a->ranges, &a->together, &response->body, err);
}

/* After POST, and again each time a parked POST is handled: 200 when finished, or when there is a predicted answer and no
 * more was asked for or only a device is missing; 202 when the wait is over. */
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
    const bool waits_for_device = strcmp(show.state, "waiting_for_device") == 0;
    const bool first_is_enough = request->prefer_wait_s == 0.0 && request->prefer_answer_s >= 0.0;
    if (ended(show.state) || (show.has_answer && (waits_for_device || first_is_enough))) {
        response->status = request->prefer_wait_s > 0.0 || first_is_enough ? 200 : 202;
    } else if (request->prefer_wait_s > 0.0) {
        response->wait_s = request->prefer_wait_s;
        response->status = request->last && show.has_answer ? 200 : 202;
    } else if (first_is_enough) {
        response->wait_s = request->prefer_answer_s;
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
    if (rc == TL_OK && !(rc = admit_search(service, a, &out_of_reach, &problem)) &&
        !(rc = insert_admitted(service, a, id, &problem))) {
        flow_ring(service->flow);
        rc = answer_posted(service, request, id, response, &problem);
    }
    if (rc && out_of_reach) {
        rc = answer_out_of_reach(a, &problem, response, err);
    } else if (rc && err) {
        *err = problem;
    }
    admission_done(a);
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
