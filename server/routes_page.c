/* routes_page.c - the page, the API's description, and what watches the server. */
#include "server/codec_problem.h"
#include "server/codec_version.h"
#include "server/http_rules.h"
#include "server/routes.h"
#include "web/web.h"

#include <stdio.h>
#include <string.h>

extern const char openapi_json[], openapi_json_end[]; /* openapi.S */

/* ---- watching ------------------------------------------------------------------------------------------------ */

enum tl_rc route_livez(struct service *service, const struct http_request *request, struct http_response *response,
                       struct tl_err *err)
{
    (void)service;
    (void)request;
    return status_encode("ok", &response->body, err);
}

static enum tl_rc write_nothing(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    (void)tx;
    (void)ctx;
    (void)err;
    return TL_OK;
}

/* Ready: a transaction reaches the disk. */
enum tl_rc route_readyz(struct service *service, const struct http_request *request, struct http_response *response,
                        struct tl_err *err)
{
    struct tl_err why = {0};
    (void)request;
    if (store_write(service->store, write_nothing, NULL, &why) != TL_OK) {
        return tl_fail(err, TL_UNAVAILABLE, "the store takes no writes: %s", why.text);
    }
    return status_encode("ok", &response->body, err);
}

enum tl_rc route_version(struct service *service, const struct http_request *request, struct http_response *response,
                         struct tl_err *err)
{
    (void)service;
    (void)request;
    return version_encode(&response->body, err);
}

enum tl_rc route_openapi(struct service *service, const struct http_request *request, struct http_response *response,
                         struct tl_err *err)
{
    (void)service;
    (void)request;
    enum tl_rc rc = tl_buf_add(&response->body, openapi_json, (size_t)(openapi_json_end - openapi_json), err);
    if (rc == TL_OK) {
        routes_etag(response);
    }
    return rc;
}

/* ---- page ---------------------------------------------------------------------------------------------------- */

static const struct web_asset *asset_find(const char *path)
{
    for (size_t i = 0; i < web_assets_count; i++) {
        if (strcmp(web_assets[i].path, path) == 0) {
            return &web_assets[i];
        }
    }
    return NULL;
}

/* The page draws its own paths: a browser that opens one gets index.html. Nobody else does, so that a mistyped API path is
 * a 404 and not a page. */
static const struct web_asset *asset_for(const struct http_request *request)
{
    const struct web_asset *asset = asset_find(strcmp(request->path, "/") == 0 ? "/index.html" : request->path);
    const char *accept = http_header(request, "Accept");
    bool is_file = strchr(strrchr(request->path, '/'), '.') != NULL;
    bool browses = accept && strstr(accept, "text/html");
    return !asset && browses && !is_file ? asset_find("/index.html") : asset;
}

enum tl_rc route_page(struct service *service, const struct http_request *request, struct http_response *response,
                      struct tl_err *err)
{
    (void)service;
    if (web_assets_count == 0 && strcmp(request->path, "/") == 0) {
        return tl_fail(err, TL_NOT_FOUND,
                       "this server was built without the page; its API is described in /openapi.json");
    }
    const struct web_asset *asset = asset_for(request);
    if (!asset) {
        return tl_fail(err, TL_NOT_FOUND, "there is nothing at %s; /openapi.json lists what is", request->path);
    }
    if (!http_gzip_accepted(http_header(request, "Accept-Encoding"))) {
        struct tl_err refused = {0};
        (void)tl_fail(&refused, TL_INVALID, "the page is kept compressed: accept gzip");
        response->status = 406;
        response->content_type = PROBLEM_TYPE;
        return problem_encode(response->status, "Not Acceptable", &refused, &response->body);
    }
    response->content_type = asset->type;
    response->asset = asset->data;
    response->asset_n = asset->n;
    response->asset_gzip = true;
    response->immutable = asset->immutable;
    snprintf(response->etag, sizeof response->etag, "\"%.64s\"", asset->hash);
    return TL_OK;
}
