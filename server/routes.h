/* routes.h - every path the server answers, and the handlers by room of the API.
 */
#ifndef TAILOR_ROUTES_H
#define TAILOR_ROUTES_H

#include "server/service.h"

extern const struct http_route routes_all[];
extern const size_t routes_count;

/* routes_search.c */
http_handler route_controller_list, route_search_post, route_search_list, route_search_get, route_search_cancel,
    route_search_front, route_search_candidates, route_search_points, route_search_history, route_search_events,
    route_search_export, route_candidate_get, route_candidate_artifact, route_snapshot_get;
/* routes_device.c */
http_handler route_device_post, route_device_list, route_device_get, route_device_lut, route_device_drain,
    route_device_resume, route_job_post, route_job_list, route_job_lease, route_job_renew, route_job_complete,
    route_job_fail, route_measurement_put, route_measurement_list, route_measurement_get, route_job_model;
/* routes_token.c */
http_handler route_token_list, route_token_post, route_token_delete;
/* routes_model.c */
http_handler route_space_list, route_space_get, route_space_post, route_space_ranges, route_table_put, route_model_post,
    route_model_list, route_artifact_put, route_artifact_get;
/* routes_page.c */
http_handler route_livez, route_readyz, route_version, route_openapi, route_page;

/* Shared by list routes: page_size and page_token of the request (token: the decimal cursor). */
TL_MUST_CHECK enum tl_rc routes_page_query(const struct http_request *request, struct store_page *ret_page,
                                           struct tl_err *err);

/* A filter of a list: the query parameter, or "" for any. Borrowed. */
const char *routes_query_or_any(const struct http_request *request, const char *name);
/* The ETag of a resource whose document is complete in the response: the hash of its bytes. */
void routes_etag(struct http_response *response);

/* Finish the list (of a page that ended at cursor `last`) and hand its bytes to the response. A full page has a next one,
 * which may be empty. */
struct list_writer;
TL_MUST_CHECK enum tl_rc routes_list_answer(struct list_writer *list, struct store_page page, int64_t last,
                                            struct http_response *response, struct tl_err *err);

/* The devices of a stored search. */
struct devices;
TL_MUST_CHECK enum tl_rc routes_search_devices(struct service *service, const char *id, struct devices *ret_devices,
                                               struct tl_err *err);

/* spaces_find, or TL_NOT_FOUND. */
struct space_entry;
TL_MUST_CHECK enum tl_rc routes_space_named(struct service *service, const char *name,
                                            const struct space_entry **ret_entry, struct tl_err *err);

#endif
