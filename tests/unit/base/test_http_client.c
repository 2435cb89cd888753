/* The HTTP client against a responder of this test's own: a thread that reads one request and sends fixed bytes. */
#include "alloc_fail.h"
#include "base/http_client.h"

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REQUEST_BYTES = 8192, ANSWERS_MAX = 4 };

/* Answers one connection: as many requests as there are answers. */
struct responder {
    int listening;
    pthread_t thread;
    char url[64];
    const char *answers[ANSWERS_MAX + 1]; /* static; NULL ends */
    bool holds_open;                      /* after the last answer, wait for the client to go */
    char requests[ANSWERS_MAX][REQUEST_BYTES];
    atomic_int n_requests;
};

/* The length of a whole request (head and Content-Length) at the start of `text`; 0: not all of it is there. */
static size_t request_length(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    if (!end) {
        return 0;
    }
    const char *length = strstr(text, "Content-Length: ");
    size_t body_n = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
    size_t n = (size_t)(end - text) + 4 + body_n;
    return strlen(text) >= n ? n : 0;
}

/* Read one request; false when the client went away first. */
static bool receive(int fd, char request[REQUEST_BYTES])
{
    size_t n = 0;
    request[0] = '\0';
    while (!request_length(request)) {
        ssize_t got = recv(fd, request + n, REQUEST_BYTES - 1 - n, 0);
        if (got <= 0) {
            return false;
        }
        n += (size_t)got;
        request[n] = '\0';
    }
    return true;
}

static void *respond(void *arg)
{
    struct responder *responder = arg;
    int fd = accept(responder->listening, NULL, NULL);
    for (int i = 0; fd >= 0 && responder->answers[i] && receive(fd, responder->requests[i]); i++) {
        atomic_fetch_add(&responder->n_requests, 1);
        const char *answer = responder->answers[i];
        (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
    char rest[REQUEST_BYTES];
    if (fd >= 0 && responder->holds_open) {
        (void)receive(fd, rest);
    }
    close(fd);
    return NULL;
}

static void responder_start(struct responder *responder)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    responder->listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(responder->listening >= 0);
    assert_int_equal(bind(responder->listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(responder->listening, (struct sockaddr *)&address, &n), 0);
    assert_int_equal(listen(responder->listening, 4), 0);
    snprintf(responder->url, sizeof responder->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&responder->thread, NULL, respond, responder), 0);
}

static void responder_stop(struct responder *responder)
{
    shutdown(responder->listening, SHUT_RDWR); /* ends an accept that nobody came to */
    pthread_join(responder->thread, NULL);
    close(responder->listening);
}

/* One request to a fresh responder that gives `text` as its answer. */
static enum tl_rc exchange(struct responder *responder, const char *text, struct http_answer *answer,
                           struct tl_err *err)
{
    responder->answers[0] = text;
    responder_start(responder);
    struct http_client *client;
    assert_int_equal(http_client_new(&client, responder->url, 100, NULL), TL_OK);
    enum tl_rc rc = http_request(client, "GET", "/x", NULL, NULL, NULL, 0, 2, answer, err);
    http_client_free(client);
    responder_stop(responder);
    return rc;
}

static void an_answer_arrives_whole(void **state)
{
    (void)state;
    struct responder responder = {0};
    TL_AUTO(http_answer) answer = {0};
    struct tl_err err = {0};
    assert_int_equal(exchange(&responder,
                              "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nLocation: /search/7\r\n"
                              "Retry-After: 3\r\nContent-Length: 8\r\n\r\n{\"a\": 1}",
                              &answer, &err),
                     TL_OK);
    assert_int_equal(answer.status, 202);
    assert_string_equal(answer.content_type, "application/json");
    assert_string_equal(answer.location, "/search/7");
    assert_int_equal(answer.retry_after_s, 3);
    assert_string_equal(answer.body.data, "{\"a\": 1}");
    assert_int_equal(answer.body.len, 8);
    assert_memory_equal(responder.requests[0], "GET /x HTTP/1.1\r\n", 17);
    assert_non_null(strstr(responder.requests[0], "\r\nUser-Agent: tailor/"));
    assert_null(strstr(responder.requests[0], "Content-Type"));
}

static void refusals_are_answers_too(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", 503},
        {"HTTP/1.1 422 Invalid\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nn\r\n1\r\no\r\n0\r\n\r\n", 422},
        {"HTTP/1.0 400 Bad\r\n\r\nno", 400},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno", 409},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nTrailer: x\r\n\r\n", 200},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct responder responder = {0};
        TL_AUTO(http_answer) answer = {0};
        assert_int_equal(exchange(&responder, cases[i].text, &answer, NULL), TL_OK);
        assert_int_equal(answer.status, cases[i].status);
        assert_string_equal(answer.body.data, "no");
        assert_int_equal(answer.retry_after_s, -1);
        assert_string_equal(answer.content_type, "");
        assert_string_equal(answer.location, "");
    }
}

static void an_answer_without_a_body_is_empty(void **state)
{
    (void)state;
    struct responder responder = {0};
    TL_AUTO(http_answer) answer = {0};
    assert_int_equal(exchange(&responder, "HTTP/1.1 204 No Content\r\n\r\n", &answer, NULL), TL_OK);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body.len, 0);
}

static void redirects_are_not_followed(void **state)
{
    (void)state;
    struct responder responder = {0};
    TL_AUTO(http_answer) answer = {0};
    assert_int_equal(exchange(&responder,
                              "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\n"
                              "Content-Length: 0\r\n\r\n",
                              &answer, NULL),
                     TL_OK);
    assert_int_equal(answer.status, 302);
    assert_string_equal(answer.location, "http://127.0.0.1:1/elsewhere");
    assert_int_equal(atomic_load(&responder.n_requests), 1);
}

static void header_values_that_do_not_fit_are_left_out(void **state)
{
    (void)state;
    char text[800];
    snprintf(text, sizeof text,
             "HTTP/1.1 200 OK\r\nContent-Type: %0100d\r\nLocation: %0300d\r\nRetry-After: 99999999999\r\n"
             "Content-Length: 0\r\n\r\n",
             1, 2);
    struct responder responder = {0};
    TL_AUTO(http_answer) answer = {0};
    assert_int_equal(exchange(&responder, text, &answer, NULL), TL_OK);
    assert_string_equal(answer.content_type, "");
    assert_string_equal(answer.location, "");
    assert_in_range(answer.retry_after_s, 0, 86400);
}

/* Whatever breaks, *ret_answer is not touched. */
static void broken_answers_are_no_answers(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        "nonsense\r\n\r\n",
    };
    for (size_t i = 0; i < TL_COUNT_OF(texts); i++) {
        struct responder responder = {0};
        TL_AUTO(http_answer) answer = {.status = 7};
        struct tl_err err = {0};
        assert_int_equal(exchange(&responder, texts[i], &answer, &err), TL_UNAVAILABLE);
        assert_int_equal(answer.status, 7);
        assert_null(answer.body.data);
        assert_non_null(strstr(err.text, responder.url));
    }
}

static void an_answer_over_the_limit_is_too_large(void **state)
{
    (void)state;
    char text[300];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n%0100d", 1);
    struct responder fits = {0}, announced = {0}, unannounced = {0};
    TL_AUTO(http_answer) answer = {0};
    assert_int_equal(exchange(&fits, text, &answer, NULL), TL_OK);
    assert_int_equal(answer.body.len, 100);
    struct tl_err err = {0};
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n%0101d", 1);
    assert_int_equal(exchange(&announced, text, &answer, &err), TL_TOO_LARGE);
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n\r\n%0101d", 1);
    assert_int_equal(exchange(&unannounced, text, &answer, NULL), TL_TOO_LARGE);
    assert_int_equal(answer.body.len, 100); /* still the first */
}

static void nobody_listening_is_unavailable(void **state)
{
    (void)state;
    struct responder responder = {.answers = {"", NULL}};
    responder_start(&responder);
    responder_stop(&responder);
    struct http_client *client;
    TL_AUTO(http_answer) answer = {0};
    struct tl_err err = {0};
    assert_int_equal(http_client_new(&client, responder.url, 0, NULL), TL_OK);
    assert_int_equal(http_request(client, "GET", "/", NULL, NULL, NULL, 0, 2, &answer, &err), TL_UNAVAILABLE);
    assert_non_null(strstr(err.text, responder.url));
    assert_non_null(strstr(err.text, "onnect"));
    http_client_free(client);
}

static void a_server_that_stays_silent_times_out(void **state)
{
    (void)state;
    struct responder responder = {.answers = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", NULL},
                                  .holds_open = true};
    responder_start(&responder);
    struct http_client *client;
    TL_AUTO(http_answer) answer = {0};
    struct tl_err err = {0};
    assert_int_equal(http_client_new(&client, responder.url, 0, NULL), TL_OK);
    int64_t from_ns = tl_clock_mono_ns();
    assert_int_equal(http_request(client, "GET", "/", NULL, NULL, NULL, 0, 1, &answer, &err), TL_UNAVAILABLE);
    assert_true(tl_clock_mono_ns() - from_ns < 5000000000);
    assert_non_null(strstr(err.text, "imed out"));
    http_client_free(client);
    responder_stop(&responder);
}

static void a_cancelled_request_ends_at_once(void **state)
{
    (void)state;
    struct responder responder = {.answers = {"", NULL}, .holds_open = true};
    responder_start(&responder);
    struct http_client *client;
    TL_AUTO(http_answer) answer = {0};
    struct tl_err err = {0};
    atomic_int cancel = 1;
    assert_int_equal(http_client_new(&client, responder.url, 0, NULL), TL_OK);
    http_client_cancel_with(client, &cancel);
    assert_int_equal(http_request(client, "GET", "/", NULL, NULL, NULL, 0, 60, &answer, &err), TL_UNAVAILABLE);
    assert_non_null(strstr(err.text, "cancelled"));
    http_client_free(client);
    responder_stop(&responder);
}

static void one_connection_carries_many_requests(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    static struct responder responder = {.answers = {text, text, text, text}};
    responder_start(&responder);
    struct http_client *client;
    TL_AUTO(http_answer) answer = {0};
    char slash[80];
    snprintf(slash, sizeof slash, "%s/", responder.url); /* a slash at the end of the root is forgiven */
    assert_int_equal(http_client_new(&client, slash, 0, NULL), TL_OK);
    assert_int_equal(http_request(client, "PUT", "/m/1", NULL, NULL, "{\"n\": 1}", 8, 2, &answer, NULL), TL_OK);
    assert_int_equal(http_request(client, "POST", "/jobs:lease", "text/csv", "wait=5", "a,b", 3, 2, &answer, NULL),
                     TL_OK);
    assert_int_equal(http_request(client, "POST", "/empty", NULL, NULL, NULL, 0, 2, &answer, NULL), TL_OK);
    assert_int_equal(http_request(client, "GET", "/after", NULL, NULL, NULL, 0, 2, &answer, NULL), TL_OK);
    assert_string_equal(answer.body.data, "ok");
    http_client_free(client);
    responder_stop(&responder);

    assert_memory_equal(responder.requests[0], "PUT /m/1 HTTP/1.1\r\n", 19);
    assert_non_null(strstr(responder.requests[0], "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(responder.requests[0], "\r\n\r\n{\"n\": 1}"));
    assert_null(strstr(responder.requests[0], "Expect"));
    assert_null(strstr(responder.requests[0], "Prefer"));
    assert_memory_equal(responder.requests[1], "POST /jobs:lease HTTP/1.1\r\n", 27);
    assert_non_null(strstr(responder.requests[1], "\r\nContent-Type: text/csv\r\n"));
    assert_non_null(strstr(responder.requests[1], "\r\nPrefer: wait=5\r\n"));
    assert_non_null(strstr(responder.requests[2], "\r\nContent-Length: 0\r\n"));
    assert_memory_equal(responder.requests[3], "GET /after HTTP/1.1\r\n", 21);
    assert_null(strstr(responder.requests[3], "Content-"));
}

static void only_a_root_is_a_server(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "127.0.0.1:8080",
        "localhost",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "http://",
        "http://127.0.0.1:99999",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1/path",
        "http://127.0.0.1/?q",
        "http://127.0.0.1/#f",
        "http://a b",
    };
    for (size_t i = 0; i < TL_COUNT_OF(wrong); i++) {
        struct http_client *client = NULL;
        struct tl_err err = {0};
        if (http_client_new(&client, wrong[i], 0, &err) != TL_INVALID) {
            fail_msg("%s is taken for a server", wrong[i]);
        }
        assert_null(client);
        assert_non_null(strstr(err.text, "http://127.0.0.1:8080"));
    }
    static const char *const right[] = {"http://127.0.0.1", "https://example.org:8443", "http://[::1]:80/"};
    for (size_t i = 0; i < TL_COUNT_OF(right); i++) {
        struct http_client *client = NULL;
        assert_int_equal(http_client_new(&client, right[i], 0, NULL), TL_OK);
        http_client_free(client);
    }
}

static void nothing_can_be_smuggled_into_a_request(void **state)
{
    (void)state;
    struct http_client *client;
    TL_AUTO(http_answer) answer = {0};
    assert_int_equal(http_client_new(&client, "http://127.0.0.1:1", 0, NULL), TL_OK);
    static const char *const paths[] = {"", "x", "/a b", "/a\r\nHost: evil", "/a\n", "/\x7f"};
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        assert_int_equal(http_request(client, "GET", paths[i], NULL, NULL, NULL, 0, 1, &answer, NULL), TL_INVALID);
    }
    assert_int_equal(http_request(client, "GET", "/", NULL, "wait=1\r\nX: y", NULL, 0, 1, &answer, NULL), TL_INVALID);
    assert_int_equal(http_request(client, "PUT", "/", "text/x\nX: y", NULL, "b", 1, 1, &answer, NULL), TL_INVALID);
    http_client_free(client);
}

/* The variables that say who we are, as this process has them. */
static void say(const char *token, const char *token_file, const char *insecure)
{
    assert_int_equal(setenv("TAILOR_TOKEN", token, 1), 0);
    assert_int_equal(setenv("TAILOR_TOKEN_FILE", token_file, 1), 0);
    assert_int_equal(setenv("TAILOR_INSECURE", insecure, 1), 0);
}

static void a_token_is_shown_in_every_request(void **state)
{
    (void)state;
    static const char EMPTY[] = "HTTP/1.1 204 No Content\r\n\r\n";
    struct responder responder = {.answers = {EMPTY, EMPTY}};
    struct http_client *client;
    responder_start(&responder);
    assert_int_equal(http_client_new(&client, responder.url, 0, NULL), TL_OK);
    say(" tlr_0123\n", "", "");
    assert_int_equal(http_client_identify(client, NULL, NULL, NULL), TL_OK);
    for (int i = 0; i < 2; i++) {
        TL_AUTO(http_answer) answer = {0};
        assert_int_equal(
            http_request(client, i ? "PUT" : "GET", "/x", NULL, NULL, i ? "b" : NULL, (size_t)i, 5, &answer, NULL),
            TL_OK);
    }
    http_client_free(client);
    responder_stop(&responder);
    say("", "", "");
    for (int i = 0; i < 2; i++) {
        assert_non_null(strstr(responder.requests[i], "\r\nAuthorization: Bearer tlr_0123\r\n"));
    }
}

static enum tl_rc identify(const char *server, const char *token_file, const char *ca_file, struct tl_err *err)
{
    struct http_client *client;
    assert_int_equal(http_client_new(&client, server, 0, NULL), TL_OK);
    const enum tl_rc rc = http_client_identify(client, token_file, ca_file, err);
    http_client_free(client);
    return rc;
}

static void a_token_does_not_leave_the_machine_in_the_clear(void **state)
{
    (void)state;
    static const char *const hidden[] = {"https://example.org", "http://127.0.0.1", "http://localhost:8080",
                                         "http://[::1]"};
    static const char *const clear[] = {"http://example.org", "http://127.example.org", "http://localhost.example.org",
                                        "http://128.0.0.1:8080"};
    say("tlr_0123", "", "");
    for (size_t i = 0; i < TL_COUNT_OF(hidden); i++) {
        assert_int_equal(identify(hidden[i], NULL, NULL, NULL), TL_OK);
    }
    for (size_t i = 0; i < TL_COUNT_OF(clear); i++) {
        struct tl_err err = {0};
        say("tlr_0123", "", "");
        assert_int_equal(identify(clear[i], NULL, NULL, &err), TL_INVALID);
        assert_non_null(strstr(err.text, "TAILOR_INSECURE=1"));
        assert_null(strstr(err.text, "tlr_0123"));
        say("tlr_0123", "", "1");
        assert_int_equal(identify(clear[i], NULL, NULL, NULL), TL_OK);
        say("", "", "");
        assert_int_equal(identify(clear[i], NULL, NULL, NULL), TL_OK);
    }
}

static void what_is_no_token_or_no_certificate_is_said_before_anything_is_sent(void **state)
{
    (void)state;
    static const char *const odd[] = {"two words", "a\r\nHost: evil", "\x7f", " \n"};
    static char path[] = "/tmp/tailor-token-XXXXXX";
    const int fd = mkstemp(path); /* for its owner's eyes */
    struct tl_err err = {0};
    assert_true(fd >= 0);
    for (size_t i = 0; i < TL_COUNT_OF(odd); i++) {
        assert_int_equal(tl_file_write(path, odd[i], strlen(odd[i]), NULL), TL_OK);
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(identify("http://127.0.0.1", path, NULL, NULL), TL_INVALID);
        say("", path, "");
        assert_int_equal(identify("http://127.0.0.1", NULL, NULL, NULL), TL_INVALID);
        say("", "", "");
    }
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(identify("http://127.0.0.1", path, NULL, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_int_equal(identify("http://127.0.0.1", "/nowhere/token", NULL, NULL), TL_NOT_FOUND);
    assert_int_equal(identify("https://example.org", NULL, "/nowhere/ca.pem", NULL), TL_NOT_FOUND);
    (void)close(fd);
    (void)unlink(path);
}

static void what_may_pass_by_itself_is_sent_again(void **state)
{
    (void)state;
    static const int again[] = {0, 408, 425, 429, 502, 503, 504};
    static const int never[] = {200, 201, 202, 204, 301, 400, 401, 403, 404, 409, 413, 422, 500, 501};
    for (size_t i = 0; i < TL_COUNT_OF(again); i++) {
        assert_true(http_retry_wanted(again[i]));
    }
    for (size_t i = 0; i < TL_COUNT_OF(never); i++) {
        assert_false(http_retry_wanted(never[i]));
    }
}

static void retries_back_off_with_full_jitter(void **state)
{
    (void)state;
    static const int64_t span_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct tl_rng rng;
    tl_rng_init(&rng, 1, 0, 0);
    for (unsigned attempt = 0; attempt < TL_COUNT_OF(span_ms); attempt++) {
        int64_t least_ms = INT64_MAX, most_ms = 0;
        for (int i = 0; i < 200; i++) {
            int64_t delay_ms = http_retry_delay_ms(attempt, -1, &rng);
            least_ms = delay_ms < least_ms ? delay_ms : least_ms;
            most_ms = delay_ms > most_ms ? delay_ms : most_ms;
        }
        assert_true(least_ms >= 0 && least_ms < span_ms[attempt] / 10);
        assert_true(most_ms < span_ms[attempt] && most_ms > span_ms[attempt] * 9 / 10);
    }
    assert_true(http_retry_delay_ms(UINT32_MAX, -1, &rng) < 60000);
    assert_in_range(http_retry_delay_ms(0, 120, &rng), 120000, 120999); /* not all of a fleet at once */
    assert_true(http_retry_delay_ms(0, 120, &rng) != http_retry_delay_ms(0, 120, &rng));
    assert_in_range(http_retry_delay_ms(0, INT64_MAX, &rng), 86400000, 86400999);
}

static enum tl_rc make_client_and_fail_to_connect(void *ctx, struct tl_err *err)
{
    struct http_client *client;
    TL_AUTO(http_answer) answer = {0};
    enum tl_rc rc = http_client_new(&client, ctx, 0, err);
    if (rc) {
        return rc;
    }
    struct tl_err request_err = {0};
    rc = http_request(client, "GET", "/", NULL, "wait=1", "x", 1, 1, &answer, &request_err);
    http_client_free(client);
    return rc == TL_UNAVAILABLE ? TL_OK : tl_fail(err, rc, "%s", request_err.text);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static char nobody[] = "http://127.0.0.1:1";
    assert_true(alloc_fail_each(make_client_and_fail_to_connect, nobody) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_arrives_whole),
        cmocka_unit_test(refusals_are_answers_too),
        cmocka_unit_test(an_answer_without_a_body_is_empty),
        cmocka_unit_test(redirects_are_not_followed),
        cmocka_unit_test(header_values_that_do_not_fit_are_left_out),
        cmocka_unit_test(broken_answers_are_no_answers),
        cmocka_unit_test(an_answer_over_the_limit_is_too_large),
        cmocka_unit_test(nobody_listening_is_unavailable),
        cmocka_unit_test(a_server_that_stays_silent_times_out),
        cmocka_unit_test(a_cancelled_request_ends_at_once),
        cmocka_unit_test(one_connection_carries_many_requests),
        cmocka_unit_test(only_a_root_is_a_server),
        cmocka_unit_test(nothing_can_be_smuggled_into_a_request),
        cmocka_unit_test(a_token_is_shown_in_every_request),
        cmocka_unit_test(a_token_does_not_leave_the_machine_in_the_clear),
        cmocka_unit_test(what_is_no_token_or_no_certificate_is_said_before_anything_is_sent),
        cmocka_unit_test(what_may_pass_by_itself_is_sent_again),
        cmocka_unit_test(retries_back_off_with_full_jitter),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
