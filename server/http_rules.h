/* http_rules.h - the decisions HTTP asks for that need no connection: which route, which host, which origin, which wait.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_HTTP_RULES_H
#define TAILOR_HTTP_RULES_H

#include "server/http.h"

enum { HTTP_PARAM_BYTES = 128, HTTP_ALLOW_BYTES = 64 };

struct http_match {
    const struct http_route *route; /* NULL: none for this method */
    char params[HTTP_PARAMS_MAX][HTTP_PARAM_BYTES];
    char allow[HTTP_ALLOW_BYTES]; /* "GET, HEAD, POST": methods of the path; empty: the path is unknown */
};

/* Find the route of `method` ("HEAD" counts as "GET"). */
void http_match(const struct http_route *routes, size_t n_routes, const char *method, const char *path,
                struct http_match *ret_match);

/* Seconds in a Prefer header ("respond-async, wait=30"), capped at 600; 0: none. NULL is none. */
double http_prefer_wait(const char *prefer);
/* How long a first answer is waited for: 600 where "wait" has no number, 0 for "wait=0", else -1. */
double http_prefer_answer(const char *prefer);

/* Does an If-None-Match header name this (quoted) tag? Weak tags match, as RFC 9110 13.1.2 wants. */
bool http_etag_listed(const char *if_none_match, const char *etag);

/* What a Range header (NULL: none) asks of `n` bytes: one range of bytes, from..to half open. HTTP_RANGE_ALL also where it
 * asks for several, or in another unit, or cannot be read: RFC 9110 14.2 lets a server ignore those. */
enum http_range { HTTP_RANGE_ALL, HTTP_RANGE_PART, HTTP_RANGE_BEYOND };
enum http_range http_range_of(const char *range, size_t n, size_t *ret_from, size_t *ret_to);

/* Is this Host header a loopback name or address, with or without a port? NULL (HTTP/1.0) is. */
bool http_host_loopback(const char *host);

/* May a browser's page that sent these headers write here? Only pages of this very host; programs send neither header. */
bool http_origin_allowed(const char *host, const char *origin, const char *sec_fetch_site);

/* Does an Accept-Encoding header take gzip? NULL does. */
bool http_gzip_accepted(const char *accept_encoding);

#endif
