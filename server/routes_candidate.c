/* routes_candidate.c - candidates of a search, and one candidate in detail.
 */
#include "server/artifact.h"
#include "server/codec_search.h"
#include "server/routes.h"
#include "server/snapshots.h"
#include "server/space_of_family.h"
#include "server/spaces.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX_BYTES = 64 << 20, ARTIFACT_MAX_BYTES = 256 << 20 };

/* ---- lists --------------------------------------------------------------------------------------------------- */

struct list_ctx {
    struct list_writer list;
    struct store_page page;
    struct service *service;
    const char *search, *role;
    const struct space_entry *entry;
    struct devices devices;
    struct request_limit limits[2 * COLUMNS_MAX];
    size_t n_limits;
    int64_t last;
    size_t n; /* looked at; those that break a limit are not in the list */
};

static enum tl_rc list_candidate(void *ctx, const struct store_candidate *candidate, struct tl_err *err)
{
    struct list_ctx *c = ctx;
    TL_AUTO(tl_buf) item = {0};
    bool holds = true;
    enum tl_rc rc = candidate_holds(candidate, &c->devices, c->limits, c->n_limits, &holds, err);

    c->last = candidate->id;
    c->n++;
    if (rc || !holds) {
        return rc;
    }
    rc = candidate_encode(candidate, c->entry->family, &c->entry->space, NULL, &item, err);
    return rc ? rc : list_add(&c->list, &item, err);
}

static enum tl_rc space_of_row(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct list_ctx *c = ctx;

    return routes_space_named(c->service, search->space, &c->entry, err);
}

static enum tl_rc list_candidates(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct list_ctx *c = ctx;
    enum tl_rc rc = store_search_get(tx, c->search, space_of_row, c, err);

    return rc ? rc : store_candidate_list(tx, c->search, c->role, c->page, list_candidate, c, err);
}

/* Hand the finished list to the response. */
static enum tl_rc list_answer(struct list_ctx *c, struct http_response *response, struct tl_err *err)
{
    enum tl_rc rc = list_end(&c->list, c->n == (size_t)c->page.limit ? c->last : 0, err);

    return rc ? rc : tl_buf_add(&response->body, c->list.buf.data, c->list.buf.len, err);
}

static enum tl_rc candidates_of_role(struct service *service, struct list_ctx *c, struct http_response *response,
                                     struct tl_err *err)
{
    enum tl_rc rc = list_begin(&c->list, ANSWER_MAX_BYTES, err);

    (void)(rc || (rc = store_read(service->store, list_candidates, c, err)) || (rc = list_answer(c, response, err)));
    list_writer_done(&c->list);
    return rc;
}

enum tl_rc route_search_candidates(struct service *service, const struct http_request *request,
                                   struct http_response *response, struct tl_err *err)
{
    static const char *const known[] = {"role", "page_size", "page_token"};
    struct list_ctx c = {.service = service,
                         .search = request->params[0],
                         .role = http_query(request, "role") ? http_query(request, "role") : ""};
    enum tl_rc rc;

    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_page_query(request, &c.page, err))) {
        return rc;
    }
    return candidates_of_role(service, &c, response, err);
}

/* Other limits than the search had, each as max_COLUMN or min_COLUMN. */
static enum tl_rc limits_query(const struct http_request *request, struct list_ctx *c, struct tl_err *err)
{
    char names[2 * COLUMNS_MAX][4 + COLUMN_NAME_MAX];
    const char *known[2 * COLUMNS_MAX + 2] = {"page_size", "page_token"};
    const size_t n = 2 * column_count(&c->devices);
    enum tl_rc rc;

    for (size_t i = 0; i < n; i++) {
        char column[COLUMN_NAME_MAX];
        column_name(&c->devices, i / 2, column);
        (void)snprintf(names[i], sizeof names[i], "%s_%s", i % 2 ? "min" : "max", column);
        known[i + 2] = names[i];
    }
    rc = http_query_only(request, known, n + 2, err);
    for (size_t i = 0; i < n && !rc; i++) {
        struct request_limit *limit = &c->limits[c->n_limits];
        *limit = (struct request_limit){.metric = column_metric(&c->devices, i / 2),
                                        .device = (uint8_t)column_device(&c->devices, i / 2),
                                        .is_min = i % 2 != 0};
        rc = http_query_real(request, names[i], &limit->bound, err);
        c->n_limits += http_query(request, names[i]) != NULL;
    }
    return rc;
}

/* All candidates that are stored as rows are on a front or were measured; a page of a thousand and its cursor. */
enum tl_rc route_search_front(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    struct list_ctx c = {.service = service, .search = request->params[0], .role = "", .page = {0, 1000}};
    enum tl_rc rc = routes_search_devices(service, c.search, &c.devices, err);

    if (rc || (rc = limits_query(request, &c, err)) ||
        (http_query(request, "page_size") && (rc = routes_page_query(request, &c.page, err)))) {
        return rc;
    }
    return candidates_of_role(service, &c, response, err);
}

/* ---- candidates and snapshots -------------------------------------------------------------------------------- */

struct detail_ctx {
    struct store_tx *tx;
    struct service *service;
    int64_t id;
    char snapshot[TL_HASH_TEXT];
    struct store_candidate copy; /* texts below */
    char search[TL_UUID_TEXT], arch[TL_HASH_TEXT], role[16], space[65];
    struct devices devices;
    uint8_t genes[SPACE_VARIABLES_MAX];
    bool weights; /* the space has a supernet */
    struct tl_buf values;
};

static enum tl_rc copy_search_names(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct detail_ctx *d = ctx;

    (void)err;
    snprintf(d->space, sizeof(d->space), "%s", search->space);
    devices_split(search->device, &d->devices);
    snprintf(d->snapshot, sizeof(d->snapshot), "%s", search->snapshot);
    return TL_OK;
}

static enum tl_rc copy_candidate(void *ctx, const struct store_candidate *candidate, struct tl_err *err)
{
    struct detail_ctx *d = ctx;

    snprintf(d->search, sizeof(d->search), "%s", candidate->search);
    snprintf(d->arch, sizeof(d->arch), "%s", candidate->arch);
    snprintf(d->role, sizeof(d->role), "%s", candidate->role);
    if (candidate->genes.n > sizeof(d->genes)) {
        return tl_fail(err, TL_IO, "candidate %lld is damaged in the store", (long long)candidate->id);
    }
    memcpy(d->genes, candidate->genes.data, candidate->genes.n);
    d->copy = (struct store_candidate){
        candidate->id, d->search, d->arch, d->role, candidate->number, {d->genes, candidate->genes.n}, {NULL, 0}};
    return tl_buf_add(&d->values, candidate->values.data, candidate->values.n, err);
}

static enum tl_rc has_weights(void *ctx, const struct store_model *model, struct tl_err *err)
{
    struct detail_ctx *d = ctx;

    (void)model, (void)err;
    d->weights = true;
    return TL_OK;
}

static enum tl_rc read_detail(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct detail_ctx *d = ctx;
    struct tl_err none = {0};
    enum tl_rc rc = store_candidate_get(tx, d->id, copy_candidate, d, err);

    rc = rc ? rc : store_search_get(tx, d->search, copy_search_names, d, err);
    if (rc == TL_OK) {
        rc = store_model_current(tx, "supernet", d->space, "", has_weights, d, &none);
        rc = rc == TL_NOT_FOUND || rc == TL_OK ? TL_OK : tl_fail(err, rc, "%s", none.text);
    }
    return rc;
}

static enum tl_rc candidate_id(const struct http_request *request, int64_t *ret_id, struct tl_err *err)
{
    char *end = NULL;
    long long id = strtoll(request->params[0], &end, 10);

    if (end == request->params[0] || *end != '\0' || id < 1) {
        return tl_fail(err, TL_NOT_FOUND, "no candidate is numbered %s", request->params[0]);
    }
    *ret_id = id;
    return TL_OK;
}

static enum tl_rc read_candidate(struct service *service, const struct http_request *request, struct detail_ctx *d,
                                 struct tl_err *err)
{
    enum tl_rc rc;

    *d = (struct detail_ctx){.service = service};
    if ((rc = candidate_id(request, &d->id, err)) || (rc = http_query_only(request, NULL, 0, err)) ||
        (rc = store_read(service->store, read_detail, d, err))) {
        return rc;
    }
    d->copy.values = (struct store_bytes){d->values.data, d->values.len};
    return TL_OK;
}

enum tl_rc route_candidate_get(struct service *service, const struct http_request *request,
                               struct http_response *response, struct tl_err *err)
{
    struct detail_ctx d;
    struct snapshot snapshot = {0};
    const struct space_entry *entry = NULL;
    enum tl_rc rc = read_candidate(service, request, &d, err);

    (void)(rc || (rc = routes_space_named(service, d.space, &entry, err)) ||
           (d.snapshot[0] && (rc = snapshots_load(service->snapshots, d.snapshot, &snapshot, err))) ||
           (rc = candidate_encode(&d.copy, entry->family, &entry->space,
                                  &(struct candidate_detail){snapshot.latency, &snapshot.devices, d.weights},
                                  &response->body, err)));
    snapshot_done(&snapshot);
    tl_buf_done(&d.values);
    return rc;
}

/* The candidate's file with weights: named after it, its metadata saying where it comes from. */
static enum tl_rc weights_answer(struct service *service, struct detail_ctx *d, enum artifact_kind kind,
                                 const struct net_family *family, const struct space *space,
                                 struct http_response *response, struct tl_err *err)
{
    TL_AUTO(tl_buf) architecture = {0};
    struct snapshot snapshot = {0}; /* what its search saw: later models change nothing */
    char latency[2 * DEVICES_TEXT] = "", number[24], devices[DEVICES_TEXT];
    struct net_pick pick;
    enum tl_rc rc = architecture_encode(family, space, d->genes, &architecture, err);
    rc = rc || !d->snapshot[0] ? rc : snapshots_load(service->snapshots, d->snapshot, &snapshot, err);
    if (rc) {
        return rc;
    }
    devices_join(&d->devices, ",", devices, sizeof devices);
    candidate_measured_ms(&d->copy, &d->devices, latency, sizeof latency);
    snprintf(number, sizeof number, "%lld", (long long)d->id);
    const struct st_pair pairs[] = {{"architecture", architecture.data},
                                    {"candidate", number},
                                    {"search", d->search},
                                    {"device", devices},
                                    {"measured_latency_ms", latency}};
    pick_of_arch(family, space, d->genes, &pick);
    const struct artifact_order order = {.kind = kind,
                                         .family = family,
                                         .pick = &pick,
                                         .supernet = snapshot.supernet,
                                         .pairs = pairs,
                                         .n_pairs = TL_COUNT_OF(pairs)};
    rc = artifact_of_store(service->store, &order, &response->body, err);
    snapshot_done(&snapshot);
    if (rc == TL_OK && kind != ARTIFACT_NET_CONFIG) {
        response->content_type = "application/octet-stream";
    }
    return rc;
}

static enum tl_rc artifact_answer(struct service *service, struct detail_ctx *d, const char *name,
                                  const struct space_entry *entry, struct http_response *response, struct tl_err *err)
{
    if (strcmp(name, "architecture.json") == 0) {
        return architecture_encode(entry->family, &entry->space, d->genes, &response->body, err);
    }
    if (!entry->family) {
        return tl_fail(err, TL_NOT_FOUND, "%s is a space without weights: there is architecture.json alone", d->space);
    }
    for (int kind = 0; kind < ARTIFACT_KIND_COUNT; kind++) {
        if (strcmp(name, artifact_names[kind]) == 0) {
            return weights_answer(service, d, (enum artifact_kind)kind, entry->family, &entry->space, response, err);
        }
    }
    return tl_fail(err, TL_NOT_FOUND,
                   "no artifact is called %s; there are onnx, safetensors, net.config and architecture.json", name);
}

enum tl_rc route_candidate_artifact(struct service *service, const struct http_request *request,
                                    struct http_response *response, struct tl_err *err)
{
    const char *name = request->params[1];
    struct detail_ctx d;
    const struct space_entry *entry = NULL;
    enum tl_rc rc = read_candidate(service, request, &d, err);

    response->body.max = ARTIFACT_MAX_BYTES;
    (void)(rc || (rc = routes_space_named(service, d.space, &entry, err)) ||
           (rc = artifact_answer(service, &d, name, entry, response, err)));
    if (rc == TL_OK) {
        routes_etag(response);
        snprintf(response->file_name, sizeof response->file_name, "%s-%lld%s%s", d.space, (long long)d.id,
                 strcmp(name, "architecture.json") == 0 ? "-" : ".", name);
    }
    tl_buf_done(&d.values);
    return rc;
}

struct snapshot_ctx {
    const char *hash;
    struct tl_buf *out;
};

static enum tl_rc copy_bytes(void *ctx, const char *name, struct store_bytes bytes, struct tl_err *err)
{
    struct snapshot_ctx *s = ctx;

    (void)name;
    return tl_buf_add(s->out, bytes.data, bytes.n, err);
}

static enum tl_rc read_snapshot(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct snapshot_ctx *s = ctx;

    return store_snapshot_get(tx, s->hash, copy_bytes, s, err);
}

enum tl_rc route_snapshot_get(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    enum tl_rc rc = http_query_only(request, NULL, 0, err);

    return rc ? rc
              : store_read(service->store, read_snapshot, &(struct snapshot_ctx){request->params[0], &response->body},
                           err);
}
