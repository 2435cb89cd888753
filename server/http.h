/* http.h - HTTP without libmicrohttpd's types: requests in, responses out, waiting without a thread.
 *
 * libmicrohttpd's threads only move bytes. A complete request is suspended and handed to a small pool of request threads,
 * where a handler may read and write the store. A handler that has nothing to say yet (a long poll) sets
 * response->wait_s: the request is parked without a thread and handled again when http_ring is called, and a last time at
 * its deadline (request->last).
 *
 *     receiving -> queued -> handling -> answered          receiving -> answered: refused by its headers
 *                    ^         |
 *                    +- parked <                            parked -> queued: http_ring, the deadline, http_stop
 *
 * What is refused before a handler sees it: hosts that are not this machine's loopback (DNS rebinding) and writes from other
 * origins, unless every caller must show a token, which no other page has; callers that http_config.admit turns away,
 * when their headers are there and again before every call of the handler; unknown paths and methods; bodies over the
 * route's limit (at the first byte where Content-Length tells); senders that are too slow.
 *
 * Threads: handlers run on request threads; http_ring and http_port from any thread; the rest belongs to one thread.
 */
#ifndef TAILOR_HTTP_H
#define TAILOR_HTTP_H

#include "base/base.h"

struct service;

enum { HTTP_PARAMS_MAX = 3, HTTP_JSON_MAX = 1 << 20, HTTP_MEASUREMENT_MAX = 4 << 20 };

/* What a token says of who sends a request; set by http_config.admit. */
struct http_caller {
    int64_t token;   /* its id; 0: none was shown */
    char device[65]; /* the one device that its agent speaks for; "": not an agent's token */
};

struct http_request {
    const char *method; /* "GET" also for HEAD */
    bool head;
    const char *path;
    const char *params[HTTP_PARAMS_MAX]; /* what stood at {} in the route's pattern, decoded */
    const char *body;                    /* n bytes and a NUL */
    size_t body_n;
    double prefer_wait_s;      /* Prefer: wait=N, capped at 600; 0: none */
    double prefer_answer_s;    /* Prefer: wait without a number: a first answer is enough, 600; wait=0: 0; else -1 */
    double waited_s;           /* since the request was complete */
    const char *if_none_match; /* or NULL */
    const char *location;      /* what this request's response->location was when it was parked; "" before: a POST that
                                  waits for what it made finds it here and does not make it twice */
    bool last;                 /* the deadline has come: answer now */
    bool gone;                 /* who asked has hung up, maybe while it was parked: nobody will read the answer */
    struct http_caller caller;
    void *mhd; /* for http_query and http_header */
};

/* Request header (any case) or NULL; borrowed. */
const char *http_header(const struct http_request *request, const char *name);
/* Query parameter or NULL; borrowed. */
const char *http_query(const struct http_request *request, const char *name);
/* TL_INVALID naming the first query parameter that is not in names[] (with the nearest one). */
TL_MUST_CHECK enum tl_rc http_query_only(const struct http_request *request, const char *const *names, size_t n_names,
                                         struct tl_err *err);
/* Integer query parameter in [min, max]; absent: *ret_value untouched. */
TL_MUST_CHECK enum tl_rc http_query_int(const struct http_request *request, const char *name, int64_t min, int64_t max,
                                        int64_t *ret_value, struct tl_err *err);
/* The same for a finite number that is not below 0. */
TL_MUST_CHECK enum tl_rc http_query_real(const struct http_request *request, const char *name, double *ret_value,
                                         struct tl_err *err);

struct http_response {
    int status;               /* default 200 */
    const char *content_type; /* default application/json; static */
    struct tl_buf body;
    char location[128];
    char etag[72]; /* quoted; empty: none. A match with If-None-Match turns a 200 into 304; a body with a tag may be
                          asked for in part (Range, If-Range) */
    char content_range[64]; /* set by http: the part that is sent */
    char file_name[128];    /* a download's name; empty: shown in place */
    int retry_after_s;      /* 0: none */
    double wait_s;          /* > 0 and !request->last: park up to this long (counted from the request's completion) */
    const void *asset;      /* static bytes instead of body, gzip-encoded when asset_gzip */
    size_t asset_n;
    bool asset_gzip, immutable;
};

/* On failure the problem document is made from err; a handler that filled response->body with a problem of its own sets
 * content_type and status and returns TL_OK. The response is fresh at every call. */
typedef enum tl_rc http_handler(struct service *service, const struct http_request *request,
                                struct http_response *response, struct tl_err *err);

struct http_route {
    const char *method;
    const char
        *pattern;    /* "/search/{}/front"; {} is any text without '/' and ':', so that a verb after a colon is part of
                            the segment ("/jobs/{}:renew"). The pattern "*" takes GETs that no other pattern knows */
    size_t body_max; /* 0: no body allowed */
    http_handler *handler;
};

struct http;

struct http_config {
    const char *host; /* a numeric address: "127.0.0.1", "::" */
    uint16_t port;    /* 0: any */
    /* May this caller use the route? 0: yes, and request->caller says who it is; else the status of the refusal (401, 403)
     * and why. Must not wait. NULL: everybody may use everything. */
    int (*admit)(struct service *service, const struct http_route *route, struct http_request *request,
                 struct tl_err *err);
    bool tokens_required;           /* admit lets nobody in without a token: any host name and origin will do */
    const char *tls_cert, *tls_key; /* PEM, for https; NULL: http */
    unsigned connections_max;
    double receive_s;                /* for the headers, and again for every 2 MiB of body the route allows; 0: 30 */
    const struct http_route *routes; /* static */
    size_t n_routes;
    struct service *service;
};

/* http_new makes the object, so that other threads may hold it; http_start listens (TL_IO names the address it cannot
 * have). http_stop answers what is parked (last = true), takes no more and returns when every handler has; http_ring is
 * then without effect. http_free takes NULL. */
TL_MUST_CHECK enum tl_rc http_new(const struct http_config *config, struct http **ret_http, struct tl_err *err);
TL_MUST_CHECK enum tl_rc http_start(struct http *http, struct tl_err *err);
uint16_t http_port(const struct http *http);
void http_ring(struct http *http); /* something changed: parked requests are handled again */
void http_stop(struct http *http);
void http_free(struct http *http);

#endif
