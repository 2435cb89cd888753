/* client.h - libcurl for tests: any method, headers and body; the whole answer with its headers.
 */
#ifndef TAILOR_TESTS_HTTP_CLIENT_H
#define TAILOR_TESTS_HTTP_CLIENT_H

#include "base/base.h"

#include <arpa/inet.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_MAX = 80 << 20, REPLY_TIMEOUT_S = 30 };

struct reply {
    int status;                  /* 0: no answer */
    struct tl_buf headers, body; /* owned */
};

static inline void reply_done(struct reply *reply)
{
    tl_buf_done(&reply->headers);
    tl_buf_done(&reply->body);
}

static inline size_t reply_take(char *data, size_t size, size_t n, void *buf)
{
    return tl_buf_add(buf, data, size * n, NULL) == TL_OK ? size * n : 0;
}

struct request {
    const char *method, *path;
    const char *headers[4]; /* "Name: value"; the first NULL ends them */
    const void *body;       /* NULL: none */
    size_t n;
    bool chunked; /* send without Content-Length */
};

/* The body as libcurl asks for it, when it must not know the length. */
struct source {
    const char *at;
    size_t left;
};

static inline size_t source_read(char *to, size_t size, size_t n, void *ctx)
{
    struct source *source = ctx;
    size_t take = size * n < source->left ? size * n : source->left;
    memcpy(to, source->at, take);
    source->at += take;
    source->left -= take;
    return take;
}

static inline void http_do(uint16_t port, const struct request *request, struct reply *ret_reply)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = NULL;
    struct source source = {request->body, request->n};
    char url[512];
    long status = 0;
    assert_non_null(curl);
    *ret_reply = (struct reply){.headers = {.max = 1 << 20}, .body = {.max = REPLY_MAX}};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, request->path);
    for (size_t i = 0; i < TL_COUNT_OF(request->headers) && request->headers[i]; i++) {
        headers = curl_slist_append(headers, request->headers[i]);
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)REPLY_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, reply_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &ret_reply->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, reply_take);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &ret_reply->headers);
    if (request->chunked) {
        headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, source_read);
        curl_easy_setopt(curl, CURLOPT_READDATA, &source);
    } else if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->n);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_perform(curl); /* a broken-off connection shows as status 0 */
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    ret_reply->status = status >= 200 ? (int)status : 0; /* 100 Continue is no answer */
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

/* Shorthand: one request without further headers. body NULL: none. */
static inline void http_call(uint16_t port, const char *method, const char *path, const char *body,
                             struct reply *ret_reply)
{
    http_do(port, &(struct request){.method = method, .path = path, .body = body, .n = body ? strlen(body) : 0},
            ret_reply);
}

/* Does the answer have this header line? Names in any case, the value from its first byte on. */
static inline bool reply_has(const struct reply *reply, const char *name, const char *value)
{
    size_t n = strlen(name);
    for (const char *line = reply->headers.data; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "") {
        if (strncasecmp(line, name, n) == 0 && strncmp(line + n, ": ", 2) == 0 &&
            strncmp(line + n + 2, value, strlen(value)) == 0) {
            return true;
        }
    }
    return false;
}

/* The value of a header, cut to `room`; fails the test where there is none. */
static inline void reply_header(const struct reply *reply, const char *name, char *ret_value, size_t room)
{
    for (const char *line = reply->headers.data; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "") {
        size_t n = strlen(name);
        if (strncasecmp(line, name, n) == 0 && strncmp(line + n, ": ", 2) == 0) {
            (void)snprintf(ret_value, room, "%.*s", (int)strcspn(line + n + 2, "\r\n"), line + n + 2);
            return;
        }
    }
    fail_msg("the answer has no header %s", name);
}

static inline void assert_status(const struct reply *reply, int status)
{
    if (reply->status != status) {
        fail_msg("status %d instead of %d: %.400s", reply->status, status, reply->body.data ? reply->body.data : "");
    }
}

static inline void assert_says(const struct reply *reply, const char *text)
{
    if (!reply->body.data || !strstr(reply->body.data, text)) {
        fail_msg("the answer does not say %s: %.400s", text, reply->body.data ? reply->body.data : "");
    }
}

/* A problem of this status that names this field. */
static inline void assert_problem(const struct reply *reply, int status, const char *pointer)
{
    char quoted[200];
    assert_status(reply, status);
    assert_true(reply_has(reply, "Content-Type", "application/problem+json"));
    (void)snprintf(quoted, sizeof quoted, "\"pointer\":\"%s\"", pointer);
    assert_says(reply, quoted);
}

/* A bare connection, for what libcurl would not send. */
static inline int wire_open(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct timeval patience = {.tv_sec = REPLY_TIMEOUT_S};
    int wire = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(wire >= 0);
    assert_int_equal(setsockopt(wire, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(wire, (struct sockaddr *)&address, sizeof address), 0);
    return wire;
}

static inline void wire_send(int wire, const char *text)
{
    assert_int_equal(send(wire, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Everything until the server closes; "" when it closes (or resets) without a word. */
static inline void wire_read_all(int wire, char *ret_text, size_t room)
{
    size_t n = 0;
    for (ssize_t got = 1; got > 0 && n + 1 < room; n += got > 0 ? (size_t)got : 0) {
        got = recv(wire, ret_text + n, room - 1 - n, 0);
    }
    ret_text[n] = '\0';
}

#endif
