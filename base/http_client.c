/* http_client.c - one keep-alive connection over libcurl's easy interface; see http_client.h. */
#include "base/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_S = 10,
    RETRY_AFTER_MAX_S = 86400, /* what a server may ask of us at most */
    TOKEN_MAX_BYTES = 512,
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 60000,
};

struct http_client {
    CURL *curl;          /* owned */
    char *server;        /* owned; no slash at its end */
    char *authorization; /* owned; "Bearer TOKEN"; NULL: none */
    bool private;        /* what is sent cannot be read on the way: https, or our own loopback */
    size_t answer_max_bytes;
    const atomic_int *cancel; /* borrowed; NULL: never */
    char reason[CURL_ERROR_SIZE];
};

/* What libcurl hands over while a request runs. */
struct receiver {
    struct tl_buf *body; /* borrowed */
    struct tl_err *err;
    enum tl_rc rc;   /* why the body could not be kept */
    bool head_ended; /* libcurl takes an answer broken off within its head for a whole one */
};

/* libcurl's types, so that they are released with their scope. */
struct header_list {
    struct curl_slist *first; /* owned */
};

static void header_list_done(struct header_list *list)
{
    curl_slist_free_all(list->first);
}

struct url {
    CURLU *parts; /* owned */
};

static void url_done(struct url *url)
{
    curl_url_cleanup(url->parts);
}

struct url_part {
    char *text; /* owned */
};

static void url_part_done(struct url_part *part)
{
    curl_free(part->text);
}

void http_answer_done(struct http_answer *answer)
{
    tl_buf_done(&answer->body);
}

/* ---- making a client ----------------------------------------------------------------------------------------- */

static void curl_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool url_has(CURLU *url, CURLUPart what)
{
    TL_AUTO(url_part) part = {0};
    return curl_url_get(url, what, &part.text, 0) == CURLUE_OK && part.text && *part.text;
}

/* Is `server` scheme://host[:port], http or https, and nothing more? *ret_loopback: it names this very machine. */
static bool server_valid(const char *server, bool *ret_loopback, bool *ret_https)
{
    TL_AUTO(url) url = {curl_url()};
    TL_AUTO(url_part) scheme = {0};
    TL_AUTO(url_part) host = {0};
    TL_AUTO(url_part) path = {0};
    if (!url.parts || curl_url_set(url.parts, CURLUPART_URL, server, 0) ||
        curl_url_get(url.parts, CURLUPART_SCHEME, &scheme.text, 0) ||
        curl_url_get(url.parts, CURLUPART_HOST, &host.text, 0) ||
        curl_url_get(url.parts, CURLUPART_PATH, &path.text, 0)) {
        return false;
    }
    if ((strcmp(scheme.text, "http") != 0 && strcmp(scheme.text, "https") != 0) || strcmp(path.text, "/") != 0 ||
        url_has(url.parts, CURLUPART_USER) || url_has(url.parts, CURLUPART_PASSWORD) ||
        url_has(url.parts, CURLUPART_QUERY) || url_has(url.parts, CURLUPART_FRAGMENT)) {
        return false;
    }
    *ret_https = strcmp(scheme.text, "https") == 0;
    bool v4_loopback = strncmp(host.text, "127.", 4) == 0 && host.text[strspn(host.text, "0123456789.")] == '\0';
    *ret_loopback = strcmp(host.text, "localhost") == 0 || v4_loopback || strcmp(host.text, "[::1]") == 0;
    return true;
}

static int watch_cancel(void *ctx, curl_off_t down_n, curl_off_t down, curl_off_t up_n, curl_off_t up)
{
    (void)down_n, (void)down, (void)up_n, (void)up;
    const struct http_client *client = ctx;
    return client->cancel && *client->cancel ? 1 : 0;
}

static size_t keep_body(char *data, size_t size, size_t n, void *ctx)
{
    struct receiver *receiver = ctx;
    receiver->rc = tl_buf_add(receiver->body, data, size * n, receiver->err);
    return receiver->rc ? 0 : size * n;
}

static size_t watch_head(char *line, size_t size, size_t n, void *ctx)
{
    struct receiver *receiver = ctx;
    size_t length = size * n;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* a head follows, perhaps after one of status 100 */
        receiver->head_ended = false;
    } else if (length <= 2 && line[length - 1] == '\n') {
        receiver->head_ended = true;
    }
    return length;
}

/* Settings that hold for every request. */
static bool set_up(struct http_client *client, bool loopback, bool https)
{
    CURL *curl = client->curl;
    bool failed = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") ||
                  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) || curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) ||
                  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S) ||
                  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L) ||
                  curl_easy_setopt(curl, CURLOPT_USERAGENT, "tailor/" TAILOR_VERSION) ||
                  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->reason) ||
                  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_body) ||
                  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, watch_head) ||
                  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) ||
                  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch_cancel) ||
                  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
    failed = failed || (https && curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2));
    /* a proxy of the environment cannot reach our own loopback */
    return !failed && (!loopback || !curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"));
}

enum tl_rc http_client_new(struct http_client **ret_client, const char *server, size_t answer_max_bytes,
                           struct tl_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, curl_start);
    bool loopback, https;
    if (!server_valid(server, &loopback, &https)) {
        return tl_fail(err, TL_INVALID, "the server must be a root such as http://127.0.0.1:8080, not %s", server);
    }
    struct http_client *client = calloc(1, sizeof *client);
    if (!client) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an HTTP client");
    }
    client->answer_max_bytes = answer_max_bytes;
    client->private = https || loopback;
    size_t n = strlen(server);
    client->server = strndup(server, server[n - 1] == '/' ? n - 1 : n);
    client->curl = curl_easy_init();
    if (!client->server || !client->curl || !set_up(client, loopback, https)) {
        http_client_free(client);
        return tl_fail(err, TL_NO_MEMORY, "no memory for an HTTP client");
    }
    *ret_client = client;
    return TL_OK;
}

void http_client_free(struct http_client *client)
{
    if (client) {
        curl_easy_cleanup(client->curl);
        free(client->server);
        free(client->authorization);
        free(client);
    }
}

/* No control character may reach a request line or a header: it could begin another one. */
static bool is_printable(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

/* ---- who we are ---------------------------------------------------------------------------------------------- */

static const char *or_variable(const char *given, const char *name)
{
    const char *value = given ? given : getenv(name); /* NOLINT(concurrency-mt-unsafe): set before any thread */
    return value && value[0] ? value : NULL;
}

/* The token as its one line; whitespace around it is nobody's business. */
static enum tl_rc take_token(struct http_client *client, const char *text, const char *whence, struct tl_err *err)
{
    text += strspn(text, " \t\r\n");
    const size_t n = strcspn(text, " \t\r\n"), rest = strspn(text + n, " \t\r\n");
    TL_AUTO(tl_buf) line = {.max = TOKEN_MAX_BYTES};
    if (n == 0 || text[n + rest] || tl_buf_addf(&line, NULL, "Bearer %.*s", (int)n, text) != TL_OK ||
        !is_printable(line.data)) {
        return tl_fail(err, TL_INVALID, "%s does not hold a token: one word, as tailor tokens add shows it", whence);
    }
    client->authorization = tl_buf_take(&line);
    return TL_OK;
}

static enum tl_rc find_token(struct http_client *client, const char *token_file, struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = TOKEN_MAX_BYTES};
    const char *path = or_variable(token_file, "TAILOR_TOKEN_FILE"), *plain = or_variable(NULL, "TAILOR_TOKEN");
    if (!path) {
        return plain ? take_token(client, plain, "TAILOR_TOKEN", err) : TL_OK;
    }
    enum tl_rc rc = tl_secret_read(path, &text, err);
    return rc ? rc : take_token(client, text.data ? text.data : "", path, err);
}

static enum tl_rc trust(struct http_client *client, const char *path, struct tl_err *err)
{
    TL_AUTO(tl_buf) pem = {.max = 4 << 20};
    enum tl_rc rc = tl_file_read(path, &pem, err);
    struct curl_blob blob = {.data = pem.data, .len = pem.len, .flags = CURL_BLOB_COPY};
    if (rc || pem.len == 0) {
        return rc ? rc : tl_fail(err, TL_INVALID, "%s holds no certificate", path);
    }
    return curl_easy_setopt(client->curl, CURLOPT_CAINFO_BLOB, &blob)
               ? tl_fail(err, TL_INVALID, "this libcurl cannot trust the certificates of %s", path)
               : TL_OK;
}

enum tl_rc http_client_identify(struct http_client *client, const char *token_file, const char *ca_file,
                                struct tl_err *err)
{
    const char *ca = or_variable(ca_file, "TAILOR_CA"), *insecure = or_variable(NULL, "TAILOR_INSECURE");
    enum tl_rc rc;
    if ((rc = find_token(client, token_file, err)) || (ca && (rc = trust(client, ca, err)))) {
        return rc;
    }
    bool exposed = client->authorization && !client->private;
    return exposed && (!insecure || strcmp(insecure, "1") != 0)
               ? tl_fail(
                     err, TL_INVALID,
                     "the token would travel to %s in the clear: use https; or set TAILOR_INSECURE=1 where the network "
                     "itself is encrypted",
                     client->server)
               : TL_OK;
}

void http_client_cancel_with(struct http_client *client, const atomic_int *cancel)
{
    client->cancel = cancel;
}

/* ---- one request --------------------------------------------------------------------------------------------- */

/* Append "name: value". */
static enum tl_rc add_header(struct header_list *list, const char *name, const char *value, struct tl_err *err)
{
    if (!is_printable(value)) {
        return tl_fail(err, TL_INVALID, "the header %s must not hold control characters", name);
    }
    TL_AUTO(tl_buf) line = {.max = 4096};
    enum tl_rc rc = tl_buf_addf(&line, err, "%s: %s", name, value);
    if (rc) {
        return rc;
    }
    struct curl_slist *first = curl_slist_append(list->first, line.data);
    if (!first) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a header");
    }
    list->first = first;
    return TL_OK;
}

static enum tl_rc make_headers(const struct http_client *client, struct header_list *list, const char *content_type,
                               const char *prefer, bool has_body, struct tl_err *err)
{
    enum tl_rc rc = add_header(list, "Accept", "*/*", err);
    if (!rc && client->authorization) {
        rc = add_header(list, "Authorization", client->authorization, err);
    }
    if (!rc && has_body) {
        rc = add_header(list, "Content-Type", content_type ? content_type : "application/json", err);
    }
    if (!rc && has_body) {
        rc = add_header(list, "Expect", "", err); /* "Expect:" switches the wait for 100 Continue off */
    }
    return rc || !prefer ? rc : add_header(list, "Prefer", prefer, err);
}

/* Settings of this request alone. */
static bool set_request(struct http_client *client, const char *method, const char *url, const struct header_list *list,
                        const void *body, size_t body_n, int timeout_s)
{
    CURL *curl = client->curl;
    bool failed = curl_easy_setopt(curl, CURLOPT_URL, url) || curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list->first) ||
                  curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    bool sends = body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
    if (sends) {
        failed = failed || curl_easy_setopt(curl, CURLOPT_POST, 1L) ||
                 curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(body ? body_n : 0)) ||
                 curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
    } else if (strcmp(method, "HEAD") == 0) {
        failed = failed || curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else {
        failed = failed || curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    return !failed && !curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

/* Copy a header of the answer; empty where it was not sent or does not fit. */
static void copy_header(CURL *curl, const char *name, char *ret_value, size_t size)
{
    struct curl_header *header;
    bool there = curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK;
    if (!there || (size_t)snprintf(ret_value, size, "%s", header->value) >= size) {
        ret_value[0] = '\0';
    }
}

static void read_answer(CURL *curl, struct http_answer *answer)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (int)status;
    copy_header(curl, "Content-Type", answer->content_type, sizeof answer->content_type);
    copy_header(curl, "Location", answer->location, sizeof answer->location);
    copy_header(curl, "ETag", answer->etag, sizeof answer->etag);
    char sent[64];
    copy_header(curl, "Retry-After", sent, sizeof sent);
    curl_off_t retry_after_s = 0; /* libcurl turns the date form into seconds */
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    answer->retry_after_s = !sent[0] ? -1 : retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S;
}

static enum tl_rc perform(struct http_client *client, struct http_answer *answer, struct tl_err *err)
{
    struct receiver receiver = {.body = &answer->body, .err = err};
    client->reason[0] = '\0';
    if (curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &receiver) ||
        curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, &receiver)) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a request");
    }
    CURLcode code = curl_easy_perform(client->curl);
    if (receiver.rc) {
        return receiver.rc;
    }
    if (code == CURLE_OUT_OF_MEMORY) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a request");
    }
    if (code || !receiver.head_ended) {
        const char *reason = code == CURLE_ABORTED_BY_CALLBACK ? "cancelled"
                             : !code                           ? "broken off"
                             : client->reason[0]               ? client->reason
                                                               : curl_easy_strerror(code);
        return tl_fail(err, TL_UNAVAILABLE, "no answer from %s: %s", client->server, reason);
    }
    read_answer(client->curl, answer);
    return TL_OK;
}

enum tl_rc http_request(struct http_client *client, const char *method, const char *path, const char *content_type,
                        const char *prefer, const void *body, size_t body_n, int timeout_s,
                        struct http_answer *ret_answer, struct tl_err *err)
{
    assert(timeout_s > 0);
    if (path[0] != '/' || !is_printable(path) || strchr(path, ' ')) {
        return tl_fail(err, TL_INVALID, "the path of a request begins with / and has no spaces: %s", path);
    }
    TL_AUTO(tl_buf) url = {.max = 8192};
    TL_AUTO(header_list) headers = {0};
    TL_AUTO(http_answer) answer = {.body.max = client->answer_max_bytes};
    enum tl_rc rc = tl_buf_addf(&url, err, "%s%s", client->server, path);
    if (rc || (rc = make_headers(client, &headers, content_type, prefer, body != NULL, err))) {
        return rc;
    }
    if (!set_request(client, method, url.data, &headers, body, body_n, timeout_s)) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a request");
    }
    rc = perform(client, &answer, err);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL); /* the list ends here, the handle lives on */
    if (rc) {
        return rc;
    }
    http_answer_done(ret_answer);
    *ret_answer = answer;
    answer.body = (struct tl_buf){0};
    return TL_OK;
}

/* ---- retries ------------------------------------------------------------------------------------------------- */

bool http_retry_wanted(int status)
{
    static const int wanted[] = {0, 408, 425, 429, 502, 503, 504};
    for (size_t i = 0; i < TL_COUNT_OF(wanted); i++) {
        if (status == wanted[i]) {
            return true;
        }
    }
    return false;
}

int64_t http_retry_delay_ms(unsigned attempt, int64_t retry_after_s, struct tl_rng *rng)
{
    int64_t span_ms = attempt < 6 ? (int64_t)BACKOFF_FIRST_MS << attempt : BACKOFF_MAX_MS;
    int64_t delay_ms = (int64_t)(tl_rng_unit(rng) * (double)span_ms);
    int64_t asked_s = retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S;
    return asked_s > 0 ? asked_s * 1000 + delay_ms : delay_ms;
}
