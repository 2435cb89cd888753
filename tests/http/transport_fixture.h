/* transport_fixture.h - http.h with routes of its own. */
#ifndef TAILOR_TESTS_HTTP_TRANSPORT_FIXTURE_H
#define TAILOR_TESTS_HTTP_TRANSPORT_FIXTURE_H

#include "server/http.h"
#include "tests/http/client.h"

#include <stdatomic.h>

/* ---- routes that do what tests need -------------------------------------------------------------------------- */

static atomic_int handled;       /* calls of any handler */
static atomic_int waiting_calls; /* of /wait */
static atomic_bool there;        /* what /wait waits for */

static inline enum tl_rc echo(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    (void)service;
    handled++;
    response->content_type = "text/plain";
    return tl_buf_add(&response->body, request->body, request->body_n, err);
}

static inline enum tl_rc show(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    (void)service;
    handled++;
    (void)snprintf(response->etag, sizeof response->etag, "\"tag\"");
    return tl_buf_addf(&response->body, err, "%s %s", request->params[0], request->params[1]);
}

static inline enum tl_rc wait_there(struct service *service, const struct http_request *request,
                                    struct http_response *response, struct tl_err *err)
{
    (void)service;
    waiting_calls++;
    if (there) {
        return tl_buf_addf(&response->body, err, "there %s", request->location);
    }
    response->status = 204;
    response->wait_s = request->prefer_wait_s;
    (void)snprintf(response->location, sizeof response->location, "/made/7");
    return TL_OK;
}

static inline enum tl_rc refuse(struct service *service, const struct http_request *request,
                                struct http_response *response, struct tl_err *err)
{
    static const char *const known[] = {"size"};
    int64_t size = 0;
    enum tl_rc rc;
    (void)service;
    (void)response;
    if ((rc = http_query_only(request, known, 1, err)) || (rc = http_query_int(request, "size", 1, 9, &size, err))) {
        return rc;
    }
    return tl_fail_at(err, TL_BUSY, "/a/b", "the queue of \xff is full"); /* not UTF-8: quoted from outside */
}

static const struct http_route ROUTES[] = {
    {"POST", "/echo", 1000, echo},         {"PUT", "/big", 8 << 20, echo},  {"GET", "/things/{}/{}", 0, show},
    {"POST", "/things/{}:verb", 10, echo}, {"GET", "/wait", 0, wait_there}, {"GET", "/busy", 0, refuse},
};

struct running {
    struct http *http;
    uint16_t port;
};

static inline void start(struct running *running, unsigned connections_max, double receive_s)
{
    struct tl_err err = {0};
    const struct http_config config = {.host = "127.0.0.1",
                                       .connections_max = connections_max,
                                       .receive_s = receive_s,
                                       .routes = ROUTES,
                                       .n_routes = TL_COUNT_OF(ROUTES)};
    handled = waiting_calls = 0;
    there = false;
    assert_int_equal(http_new(&config, &running->http, &err), TL_OK);
    assert_int_equal(http_start(running->http, &err), TL_OK);
    running->port = http_port(running->http);
}

static inline int setup(void **state)
{
    static struct running running;
    start(&running, 64, 0);
    *state = &running;
    return 0;
}

static inline int teardown(void **state)
{
    struct running *running = *state;
    http_free(running->http);
    return 0;
}

#define served(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
