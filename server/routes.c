/* routes.c - the one table of every path, and what list and resource routes share. */
#include "server/routes.h"
#include "server/codec_search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct http_route routes_all[] = {
    {"GET", "/livez", 0, route_livez},
    {"GET", "/readyz", 0, route_readyz},
    {"GET", "/version", 0, route_version},
    {"GET", "/openapi.json", 0, route_openapi},

    {"GET", "/spaces", 0, route_space_list},
    {"POST", "/spaces", HTTP_JSON_MAX, route_space_post},
    {"GET", "/spaces/{}", 0, route_space_get},
    {"GET", "/spaces/{}/ranges", 0, route_space_ranges},
    {"PUT", "/spaces/{}/table", HTTP_JSON_MAX, route_table_put},
    {"GET", "/models", 0, route_model_list},
    {"POST", "/models", HTTP_JSON_MAX, route_model_post},
    {"GET", "/artifacts/{}", 0, route_artifact_get},
    {"PUT", "/artifacts/{}", STORE_BLOB_MAX, route_artifact_put},
    {"GET", "/snapshots/{}", 0, route_snapshot_get},

    {"GET", "/controllers", 0, route_controller_list},
    {"GET", "/search", 0, route_search_list},
    {"POST", "/search", HTTP_JSON_MAX, route_search_post},
    {"GET", "/search/{}", 0, route_search_get},
    {"POST", "/search/{}:cancel", 0, route_search_cancel},
    {"GET", "/search/{}/front", 0, route_search_front},
    {"GET", "/search/{}/candidates", 0, route_search_candidates},
    {"GET", "/search/{}/points", 0, route_search_points},
    {"GET", "/search/{}/history", 0, route_search_history},
    {"GET", "/search/{}/events", 0, route_search_events},
    {"GET", "/search/{}/export", 0, route_search_export},
    {"GET", "/candidates/{}", 0, route_candidate_get},
    {"GET", "/candidates/{}/artifacts/{}", 0, route_candidate_artifact},

    {"GET", "/devices", 0, route_device_list},
    {"POST", "/devices", HTTP_JSON_MAX, route_device_post},
    {"GET", "/devices/{}", 0, route_device_get},
    {"GET", "/devices/{}/lut", 0, route_device_lut},
    {"POST", "/devices/{}:drain", HTTP_JSON_MAX, route_device_drain},
    {"POST", "/devices/{}:resume", 0, route_device_resume},
    {"GET", "/tokens", 0, route_token_list},
    {"POST", "/tokens", HTTP_JSON_MAX, route_token_post},
    {"DELETE", "/tokens/{}", 0, route_token_delete},
    {"GET", "/jobs", 0, route_job_list},
    {"POST", "/jobs", HTTP_JSON_MAX, route_job_post},
    {"POST", "/jobs:lease", HTTP_JSON_MAX, route_job_lease},
    {"POST", "/jobs/{}:renew", HTTP_JSON_MAX, route_job_renew},
    {"POST", "/jobs/{}:complete", HTTP_JSON_MAX, route_job_complete},
    {"POST", "/jobs/{}:fail", HTTP_JSON_MAX, route_job_fail},
    {"GET", "/jobs/{}/models/{}", 0, route_job_model},
    {"GET", "/measurements", 0, route_measurement_list},
    {"GET", "/measurements/{}", 0, route_measurement_get},
    {"PUT", "/measurements/{}", HTTP_MEASUREMENT_MAX, route_measurement_put},

    {"GET", "*", 0, route_page},
};
const size_t routes_count = TL_COUNT_OF(routes_all);

enum { PAGE_SIZE_DEFAULT = 100, PAGE_SIZE_MAX = 1000 };

enum tl_rc routes_page_query(const struct http_request *request, struct store_page *ret_page, struct tl_err *err)
{
    int64_t size = PAGE_SIZE_DEFAULT, after = 0;
    enum tl_rc rc;
    if ((rc = http_query_int(request, "page_size", 1, PAGE_SIZE_MAX, &size, err)) ||
        (rc = http_query_int(request, "page_token", 0, INT64_MAX, &after, err))) {
        return rc;
    }
    *ret_page = (struct store_page){.after = after, .limit = (int)size};
    return TL_OK;
}

const char *routes_query_or_any(const struct http_request *request, const char *name)
{
    const char *text = http_query(request, name);
    return text ? text : "";
}

void routes_etag(struct http_response *response)
{
    struct tl_hash hash = tl_hash_of(response->body.data, response->body.len);
    char text[TL_HASH_TEXT];
    tl_hash_format(&hash, text);
    snprintf(response->etag, sizeof response->etag, "\"%s\"", text);
}

enum tl_rc routes_list_answer(struct list_writer *list, struct store_page page, int64_t last,
                              struct http_response *response, struct tl_err *err)
{
    enum tl_rc rc = list_end(list, list->n == (size_t)page.limit ? last : 0, err);
    if (rc == TL_OK) {
        tl_buf_done(&response->body);
        response->body = list->buf;
        list->buf = (struct tl_buf){0};
    }
    return rc;
}
