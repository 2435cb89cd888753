/* routes_token.c - tokens: making, listing, revoking. access.h says what they open. */
#include "server/access.h"
#include "server/codec_search.h"
#include "server/codec_token.h"
#include "server/routes.h"

#include <errno.h>
#include <stdlib.h>

enum { LIST_MAX_BYTES = 1 << 20 };

struct token_listing {
    struct store_page page;
    struct list_writer list;
    int64_t last;
};

static void token_listing_done(struct token_listing *listing)
{
    list_writer_done(&listing->list);
}

static enum tl_rc on_token(void *ctx, const struct store_token *token, struct tl_err *err)
{
    struct token_listing *listing = ctx;
    TL_AUTO(tl_buf) item = {0};
    listing->last = token->id;
    enum tl_rc rc = token_encode(token, NULL, &item, err);
    return rc != TL_OK ? rc : list_add(&listing->list, &item, err);
}

static enum tl_rc read_tokens(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct token_listing *listing = ctx;
    return store_token_list(tx, listing->page, on_token, listing, err);
}

enum tl_rc route_token_list(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    static const char *const known[] = {"page_size", "page_token"};
    TL_AUTO(token_listing) listing = {0};
    enum tl_rc rc;
    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_page_query(request, &listing.page, err)) ||
        (rc = list_begin(&listing.list, LIST_MAX_BYTES, err)) ||
        (rc = store_read(service->store, read_tokens, &listing, err))) {
        return rc;
    }
    return routes_list_answer(&listing.list, listing.page, listing.last, response, err);
}

enum tl_rc route_token_post(struct service *service, const struct http_request *request, struct http_response *response,
                            struct tl_err *err)
{
    struct token_request wanted;
    char secret[TL_SECRET_TEXT];
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = token_request_decode(request->body, request->body_n, &wanted, err))) {
        return rc;
    }
    struct store_token token = {.kind = wanted.is_agent ? "agent" : "client",
                                .device = wanted.device,
                                .label = wanted.label,
                                .created_ns = tl_clock_wall_ns()};
    if ((rc = access_add(service->access, &token, &token.id, secret, err)) ||
        (rc = token_encode(&token, secret, &response->body, err))) {
        return rc;
    }
    response->status = 201;
    return TL_OK;
}

enum tl_rc route_token_delete(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    const char *text = request->params[0];
    char *end = NULL;
    errno = 0;
    int64_t id = strtoll(text, &end, 10);
    enum tl_rc rc;
    if (errno || end == text || *end) {
        return tl_fail(err, TL_NOT_FOUND, "no token %s", text);
    }
    if ((rc = http_query_only(request, NULL, 0, err)) || (rc = access_revoke(service->access, id, err))) {
        return rc;
    }
    http_ring(service->http); /* a poll that came in with it ends now */
    response->status = 204;
    return TL_OK;
}
