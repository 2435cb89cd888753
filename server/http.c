/* http.c - the only file that knows libmicrohttpd; see http.h for the states of a request.
 *
 * One idea: libmicrohttpd's threads receive and send, ours think. An exchange (one request and its answer) belongs to a
 * libmicrohttpd thread while it is receiving or answered, and to the desk while its connection is suspended. It is
 * suspended before the desk gets it and resumed when the desk gives it back, so nothing is suspended or resumed twice.
 *
 * Threads: two of libmicrohttpd's and those of http_desk.h.
 */
#include "server/http.h"

#include "server/codec_problem.h"
#include "server/http_desk.h"
#include "server/http_rules.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOVERS = 2,               /* libmicrohttpd's threads */
    IDLE_S = 30,              /* a silent connection is closed */
    CONNECTION_BYTES = 65536, /* libmicrohttpd's memory a connection: bounds the headers (431) */
    DISCARD_MAX = 1 << 20,    /* bytes read and thrown away after a refusal that came too late to be the first answer */
    ANSWER_MAX = 128 << 20,   /* bytes of one answer */
    BODIES_MAX = 256 << 20,   /* bytes of all request bodies held at once */
    RECEIVE_S = 30,
    RECEIVE_STEP = 2 << 20, /* bytes that earn another receive_s */
    FAREWELL_S = 2,         /* how long http_stop lets answers leave */
};

struct exchange {
    struct desk_item item; /* first: the desk hands it back by this address */
    struct http *http;
    struct MHD_Connection *connection;
    struct peer *peer; /* borrowed; may be NULL */
    struct http_match match;
    struct http_request request;
    struct http_response response;
    struct tl_buf body;
    char location[sizeof((struct http_response *)0)->location]; /* when it was parked */
    bool refused, answered;
    struct tl_err late;     /* why its body is being thrown away; rc TL_OK: it is not */
    size_t held, discarded; /* bytes counted in http->body_bytes; bytes thrown away */
};

struct http {
    struct http_config config;
    struct MHD_Daemon *daemon; /* NULL: not started */
    uint16_t port;
    struct desk desk;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t gone;  /* an exchange was freed */
    size_t n_exchanges, body_bytes;
    bool stopping; /* new requests are refused */
};

/* The peer gets receive_s, and again for each RECEIVE_STEP of `n` bytes, for what it does next. */
static void peer_allow(struct http *http, struct peer *peer, size_t n)
{
    desk_peer_allow(&http->desk, peer, http->config.receive_s * (1 + (double)n / RECEIVE_STEP));
}

/* ---- request threads ----------------------------------------------------------------------------------------- */

static const char *status_title(int status)
{
    const char *title = MHD_get_reason_phrase_for((unsigned)status);
    return title ? title : "Error";
}

static void problem_set(struct http_response *response, int status, const struct tl_err *err)
{
    tl_buf_clear(&response->body);
    response->status = status;
    response->content_type = PROBLEM_TYPE;
    response->etag[0] = '\0';
    response->asset = NULL;
    response->wait_s = 0;
    if (problem_encode(status, status_title(status), err, &response->body) != TL_OK) {
        tl_buf_clear(&response->body); /* out of memory: the status says enough */
    }
}

/* 0, or the status of a refusal. */
static int admit_status(struct exchange *exchange, struct tl_err *err)
{
    const struct http_config *config = &exchange->http->config;
    return config->admit ? config->admit(config->service, exchange->match.route, &exchange->request, err) : 0;
}

/* Run the handler once; afterwards the response is complete, or asks to be parked. */
static double exchange_handle(struct desk_item *item)
{
    struct exchange *exchange = (struct exchange *)item;
    struct http_request *request = &exchange->request;
    struct http_response *response = &exchange->response;
    struct tl_err err = {0};
    tl_buf_clear(&response->body);
    *response = (struct http_response){.status = 200, .content_type = "application/json", .body = response->body};
    request->last = item->last;
    request->waited_s = (double)(tl_clock_mono_ns() - item->submitted_ns) / 1e9;
    request->gone = exchange->peer && http_socket_ended(exchange->peer->socket);

    int refusal = admit_status(exchange, &err); /* its token may have been revoked while it was parked */
    if (refusal) {
        problem_set(response, refusal, &err);
        return 0;
    }
    enum tl_rc rc = exchange->match.route->handler(exchange->http->config.service, request, response, &err);
    if (rc != TL_OK) {
        int status = tl_rc_http(rc);
        problem_set(response, status, &err);
        response->retry_after_s = status == MHD_HTTP_SERVICE_UNAVAILABLE ? 1 : 0;
        if (status >= MHD_HTTP_INTERNAL_SERVER_ERROR) {
            tl_log(TL_LOG_ERROR, "http", "%s %s: %s (%s:%d)", request->method, request->path, err.text, err.file,
                   err.line);
        }
    }
    memcpy(exchange->location, response->location, sizeof exchange->location);
    return response->wait_s;
}

static void exchange_answered(struct desk_item *item)
{
    struct exchange *exchange = (struct exchange *)item;
    exchange->answered = true;
    MHD_resume_connection(exchange->connection); /* the exchange is libmicrohttpd's from here on */
}

/* ---- answers (libmicrohttpd's threads) ----------------------------------------------------------------------- */

static struct MHD_Response *response_body(struct http_response *response)
{
    if (response->asset) {
        return MHD_create_response_from_buffer(response->asset_n, tl_unconst(response->asset), MHD_RESPMEM_PERSISTENT);
    }
    size_t n = response->body.len;
    char *bytes = tl_buf_take(&response->body);
    struct MHD_Response *mhd = bytes ? MHD_create_response_from_buffer(n, bytes, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!mhd) {
        free(bytes);
    }
    return mhd;
}

static void header_add(struct MHD_Response *mhd, const char *name, const char *value)
{
    if (value[0] && MHD_add_response_header(mhd, name, value) != MHD_YES) {
        tl_log(TL_LOG_WARNING, "http", "no memory for the header %s", name);
    }
}

static void headers_add(struct MHD_Response *mhd, const struct http_response *response, const char *allow)
{
    char retry_after[16] = "", disposition[160] = "";
    if (response->file_name[0]) {
        snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"", response->file_name);
    }
    if (response->retry_after_s > 0) {
        snprintf(retry_after, sizeof retry_after, "%d", response->retry_after_s);
    }
    header_add(mhd, "Content-Security-Policy",
               "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
    header_add(mhd, "X-Content-Type-Options", "nosniff");
    header_add(mhd, "Referrer-Policy", "no-referrer");
    header_add(mhd, "Cross-Origin-Resource-Policy", "same-origin");
    header_add(mhd, "Cache-Control",
               response->immutable ? "public, max-age=31536000, immutable"
               : response->etag[0] ? "no-cache"
                                   : "no-store");
    header_add(mhd, "Location", response->location);
    header_add(mhd, "ETag", response->etag);
    header_add(mhd, "Accept-Ranges", response->etag[0] && !response->asset ? "bytes" : "");
    header_add(mhd, "Content-Range", response->content_range);
    header_add(mhd, "Content-Disposition", disposition);
    header_add(mhd, "Retry-After", retry_after);
    header_add(mhd, "Allow", allow);
    header_add(mhd, "WWW-Authenticate", response->status == MHD_HTTP_UNAUTHORIZED ? "Bearer realm=\"tailor\"" : "");
    if (response->asset && response->asset_gzip) {
        header_add(mhd, "Content-Encoding", "gzip");
        header_add(mhd, "Vary", "Accept-Encoding");
    }
    if (response->status != MHD_HTTP_NO_CONTENT && response->status != MHD_HTTP_NOT_MODIFIED) {
        header_add(mhd, "Content-Type", response->content_type);
    }
}

/* A 200 with a tag becomes the part that was asked for; ranges are of GET alone (RFC 9110, 14.2). */
static void cut_range(const struct http_request *request, struct http_response *response)
{
    const char *if_range = http_header(request, "If-Range");
    size_t from = 0, to = 0, n = response->body.len;
    if (response->status != MHD_HTTP_OK || !response->etag[0] || response->asset ||
        strcmp(request->method, "GET") != 0 || request->head || (if_range && strcmp(if_range, response->etag) != 0)) {
        return;
    }
    const enum http_range kind = http_range_of(http_header(request, "Range"), n, &from, &to);
    if (kind == HTTP_RANGE_ALL) {
        return;
    }
    if (kind == HTTP_RANGE_BEYOND) {
        struct tl_err err = {0};
        (void)tl_fail(&err, TL_INVALID, "the range lies beyond the %zu bytes there are", n);
        problem_set(response, MHD_HTTP_RANGE_NOT_SATISFIABLE, &err);
        snprintf(response->content_range, sizeof response->content_range, "bytes */%zu", n);
        return;
    }
    memmove(response->body.data, response->body.data + from, to - from);
    response->body.len = to - from;
    response->status = MHD_HTTP_PARTIAL_CONTENT;
    snprintf(response->content_range, sizeof response->content_range, "bytes %zu-%zu/%zu", from, to - 1, n);
}

static enum MHD_Result exchange_send(struct exchange *exchange)
{
    struct http_response *response = &exchange->response;
    if (response->status == MHD_HTTP_OK && response->etag[0] && strcmp(exchange->request.method, "GET") == 0 &&
        http_etag_listed(exchange->request.if_none_match, response->etag)) {
        response->status = MHD_HTTP_NOT_MODIFIED; /* of the body only the length is sent (RFC 9110, 8.6) */
    }
    cut_range(&exchange->request, response);
    size_t n = response->asset ? response->asset_n : response->body.len;
    struct MHD_Response *mhd = response_body(response);
    if (!mhd) {
        return MHD_NO;
    }
    headers_add(mhd, response, response->status == MHD_HTTP_METHOD_NOT_ALLOWED ? exchange->match.allow : "");
    peer_allow(exchange->http, exchange->peer, n);
    enum MHD_Result result = MHD_queue_response(exchange->connection, (unsigned)response->status, mhd);
    MHD_destroy_response(mhd);
    tl_log(TL_LOG_DEBUG, "http", "%s %s: %d", exchange->request.method, exchange->request.path, response->status);
    return result;
}

static enum MHD_Result exchange_refuse(struct exchange *exchange, int status, struct tl_err *err)
{
    exchange->refused = true;
    problem_set(&exchange->response, status, err);
    exchange->response.retry_after_s = status == MHD_HTTP_SERVICE_UNAVAILABLE ? 1 : 0;
    return exchange_send(exchange);
}

/* ---- requests (libmicrohttpd's threads) ---------------------------------------------------------------------- */

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

const char *http_query(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->mhd, MHD_GET_ARGUMENT_KIND, name);
}

/* Who may not speak here at all; 0: everybody else. */
static int sender_status(const struct http_request *request, struct tl_err *err)
{
    const char *host = http_header(request, "Host");
    if (!http_host_loopback(host)) {
        (void)tl_fail(err, TL_INVALID, "this server answers to localhost only, not to the name in the Host header");
        return MHD_HTTP_MISDIRECTED_REQUEST;
    }
    bool reads = strcmp(request->method, "GET") == 0;
    if (!reads && !http_origin_allowed(host, http_header(request, "Origin"), http_header(request, "Sec-Fetch-Site"))) {
        (void)tl_fail(err, TL_INVALID, "pages of other sites may not write here");
        return MHD_HTTP_FORBIDDEN;
    }
    return 0;
}

/* What the headers alone decide; 0: the request may go on. */
static int headers_status(struct exchange *exchange, struct tl_err *err)
{
    const struct http_request *request = &exchange->request;
    const struct http_route *route = exchange->match.route;
    int status = exchange->http->config.tokens_required ? 0 : sender_status(request, err);
    if (status) {
        return status;
    }
    if (!route && exchange->match.allow[0]) {
        (void)tl_fail(err, TL_INVALID, "%s takes %s", request->path, exchange->match.allow);
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    if (!route) {
        return tl_rc_http(
            tl_fail(err, TL_NOT_FOUND, "there is nothing at %s; /openapi.json lists what is", request->path));
    }
    if ((status = admit_status(exchange, err))) {
        return status;
    }
    const char *length = http_header(request, "Content-Length");
    if (length && strtoull(length, NULL, 10) > route->body_max) {
        return tl_rc_http(route->body_max == 0
                              ? tl_fail(err, TL_TOO_LARGE, "%s %s takes no body", request->method, request->path)
                              : tl_fail(err, TL_TOO_LARGE, "the body has %s bytes, at most %zu are taken here", length,
                                        route->body_max));
    }
    return 0;
}

static struct peer *connection_peer(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* The first call of a request: its headers are there, its body is not. */
static enum MHD_Result exchange_begin(struct http *http, struct exchange *exchange, const char *url, const char *method)
{
    struct http_request *request = &exchange->request;
    exchange->peer = connection_peer(exchange->connection);
    exchange->response.body.max = ANSWER_MAX;
    request->mhd = exchange->connection;
    request->head = strcmp(method, "HEAD") == 0;
    request->method = request->head ? "GET" : method;
    request->path = url;
    request->location = exchange->location;
    request->if_none_match = http_header(request, "If-None-Match");
    request->prefer_wait_s = http_prefer_wait(http_header(request, "Prefer"));
    request->prefer_answer_s = http_prefer_answer(http_header(request, "Prefer"));
    http_match(http->config.routes, http->config.n_routes, method, url, &exchange->match);
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++) {
        request->params[i] = exchange->match.params[i];
    }
    pthread_mutex_lock(&http->lock);
    http->n_exchanges++;
    bool stopping = http->stopping;
    pthread_mutex_unlock(&http->lock);

    struct tl_err err = {0};
    int status =
        stopping ? tl_rc_http(tl_fail(&err, TL_UNAVAILABLE, "the server is stopping")) : headers_status(exchange, &err);
    if (status) {
        return exchange_refuse(exchange, status, &err);
    }
    exchange->body.max = exchange->match.route->body_max;
    peer_allow(http, exchange->peer, exchange->body.max);
    return MHD_YES;
}

/* Keep the next n bytes, or note why not: libmicrohttpd takes no answer before the last byte. */
static enum MHD_Result exchange_receive(struct http *http, struct exchange *exchange, const char *data, size_t n)
{
    struct tl_err *late = &exchange->late;
    size_t room = exchange->body.max - exchange->body.len;
    if (late->rc == TL_OK && n > room) {
        (void)tl_fail(late, TL_TOO_LARGE, "the body is longer than the %zu bytes taken here", exchange->body.max);
    }
    if (late->rc == TL_OK) {
        pthread_mutex_lock(&http->lock);
        bool full = n > BODIES_MAX - http->body_bytes;
        http->body_bytes += full ? 0 : n;
        exchange->held += full ? 0 : n;
        pthread_mutex_unlock(&http->lock);
        if (full) {
            (void)tl_fail(late, TL_BUSY, "too many uploads at once; try again");
        } else if (tl_buf_add(&exchange->body, data, n, late) == TL_OK) {
            return MHD_YES;
        }
    }
    exchange->discarded += n;
    return exchange->discarded <= DISCARD_MAX ? MHD_YES : MHD_NO;
}

/* The request is complete: give it to the request threads. */
static enum MHD_Result exchange_submit(struct http *http, struct exchange *exchange)
{
    if (exchange->late.rc != TL_OK) {
        return exchange_refuse(exchange, tl_rc_http(exchange->late.rc), &exchange->late);
    }
    exchange->request.body = exchange->body.data ? exchange->body.data : "";
    exchange->request.body_n = exchange->body.len;
    desk_peer_allow(&http->desk, exchange->peer, -1);
    MHD_suspend_connection(exchange->connection);
    if (!desk_submit(&http->desk, &exchange->item)) {
        struct tl_err err = {0};
        problem_set(&exchange->response, tl_rc_http(tl_fail(&err, TL_UNAVAILABLE, "the server is stopping")), &err);
        exchange_answered(&exchange->item);
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_n, void **context)
{
    struct http *http = cls;
    struct exchange *exchange = *context;
    (void)version;
    if (!exchange) {
        exchange = calloc(1, sizeof *exchange);
        if (!exchange) {
            return MHD_NO;
        }
        exchange->http = http;
        exchange->connection = connection;
        *context = exchange;
        return exchange_begin(http, exchange, url, method);
    }
    if (exchange->refused) {
        *data_n = 0;
        return MHD_YES;
    }
    if (*data_n > 0) {
        size_t n = *data_n;
        *data_n = 0;
        return exchange_receive(http, exchange, data, n);
    }
    return exchange->answered ? exchange_send(exchange) : exchange_submit(http, exchange);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http *http = cls;
    struct exchange *exchange = *context;
    (void)connection;
    (void)code;
    if (exchange) {
        peer_allow(http, exchange->peer, 0);
        pthread_mutex_lock(&http->lock);
        http->n_exchanges--;
        http->body_bytes -= exchange->held;
        pthread_cond_signal(&http->gone);
        pthread_mutex_unlock(&http->lock);
        tl_buf_done(&exchange->body);
        tl_buf_done(&exchange->response.body);
        free(exchange);
        *context = NULL;
    }
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *http = cls;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        desk_peer_remove(&http->desk, *context);
        *context = NULL;
    } else if (info) {
        *context = desk_peer_add(&http->desk, info->connect_fd, http->config.receive_s);
    }
}

/* What libmicrohttpd notes is mostly clients that went away. */
static void on_log(void *cls, const char *format, va_list args) TL_PRINTF(2, 0);

static void on_log(void *cls, const char *format, va_list args)
{
    char text[256];
    (void)cls;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    tl_log(TL_LOG_DEBUG, "http", "%s", text);
}

/* ---- query parameters ---------------------------------------------------------------------------------------- */

struct query_names {
    const char *const *names;
    size_t n;
    struct tl_err *err;
    enum tl_rc rc;
};

static enum MHD_Result query_known(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct query_names *known = cls;
    (void)kind;
    (void)value;
    for (size_t i = 0; i < known->n; i++) {
        if (strcmp(name, known->names[i]) == 0) {
            return MHD_YES;
        }
    }
    const char *near = tl_nearest(name, known->names, known->n);
    known->rc = near ? tl_fail(known->err, TL_INVALID, "there is no query parameter \"%.60s\"; did you mean \"%s\"?",
                               name, near)
                     : tl_fail(known->err, TL_INVALID, "there is no query parameter \"%.60s\" here", name);
    return MHD_NO;
}

enum tl_rc http_query_only(const struct http_request *request, const char *const *names, size_t n_names,
                           struct tl_err *err)
{
    struct query_names known = {names, n_names, err, TL_OK};
    MHD_get_connection_values(request->mhd, MHD_GET_ARGUMENT_KIND, query_known, &known);
    return known.rc;
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

enum tl_rc http_new(const struct http_config *config, struct http **ret_http, struct tl_err *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the HTTP server");
    }
    http->config = *config;
    http->config.receive_s = config->receive_s > 0 ? config->receive_s : RECEIVE_S;
    http->desk.handle = exchange_handle;
    http->desk.answered = exchange_answered;
    http->desk.parked_max = config->connections_max * 2 / 5; /* parked requests keep their connections */
    desk_init(&http->desk);
    pthread_mutex_init(&http->lock, NULL);
    pthread_cond_init(&http->gone, NULL);
    *ret_http = http;
    return TL_OK;
}

static struct MHD_Daemon *daemon_start(struct http *http, int listener)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, tl_unconst(http->config.tls_cert)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, tl_unconst(http->config.tls_key)},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, tl_unconst("NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2")},
        {MHD_OPTION_END, 0, NULL},
    };
    flags |= http->config.tls_cert ? MHD_USE_TLS : 0;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                            MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_THREAD_POOL_SIZE, MOVERS,
                            MHD_OPTION_CONNECTION_LIMIT, http->config.connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
                            IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_ARRAY,
                            http->config.tls_cert ? tls : &tls[TL_COUNT_OF(tls) - 1], MHD_OPTION_END);
}

enum tl_rc http_start(struct http *http, struct tl_err *err)
{
    int listener = -1;
    enum tl_rc rc = http_socket_listen(http->config.host, http->config.port, &listener, &http->port, err);
    if (rc != TL_OK) {
        return rc;
    }
    if ((rc = desk_start(&http->desk, err)) == TL_OK && !(http->daemon = daemon_start(http, listener))) {
        rc = tl_fail(err, TL_IO, "libmicrohttpd does not start on %s port %u%s", http->config.host, http->port,
                     http->config.tls_cert ? "; are these a PEM certificate and its key?" : "");
    }
    if (rc != TL_OK) {
        close(listener);
        desk_stop(&http->desk);
    }
    return rc;
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}

void http_ring(struct http *http)
{
    desk_ring(&http->desk);
}

/* Let the answers leave: until no exchange is left, or FAREWELL_S for clients that do not read (or send) on. */
static void farewell(struct http *http)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAREWELL_S;
    pthread_mutex_lock(&http->lock);
    int waited = 0;
    while (http->n_exchanges > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&http->gone, &http->lock, &until);
    }
    pthread_mutex_unlock(&http->lock);
}

void http_stop(struct http *http)
{
    if (http && http->daemon) {
        pthread_mutex_lock(&http->lock);
        http->stopping = true;
        pthread_mutex_unlock(&http->lock);
        desk_stop(&http->desk); /* nothing is suspended afterwards, as libmicrohttpd wants */
        farewell(http);
        MHD_stop_daemon(http->daemon);
        http->daemon = NULL;
    }
}

void http_free(struct http *http)
{
    if (http) {
        http_stop(http);
        desk_done(&http->desk);
        pthread_cond_destroy(&http->gone);
        pthread_mutex_destroy(&http->lock);
        free(http);
    }
}
