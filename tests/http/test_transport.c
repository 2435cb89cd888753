/* test_transport.c - http.h itself, with routes of its own: answers, bodies, and what is refused before a handler runs. */
#include "tests/http/transport_fixture.h"

/* ---- answers ------------------------------------------------------------------------------------------------- */

static void every_answer_carries_its_length_and_the_security_headers(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    http_call(running->port, "POST", "/echo", "hello", &reply);
    assert_status(&reply, 200);
    assert_string_equal(reply.body.data, "hello");
    assert_true(reply_has(&reply, "Content-Length", "5"));
    assert_true(reply_has(&reply, "Content-Security-Policy", "default-src 'self'"));
    assert_true(reply_has(&reply, "X-Content-Type-Options", "nosniff"));
    assert_true(reply_has(&reply, "Referrer-Policy", "no-referrer"));
    assert_non_null(strstr(reply.headers.data, "frame-ancestors 'none'"));
}

static void path_parameters_are_decoded_and_stop_at_verbs(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) plain = {0};
    TL_AUTO(reply) verb = {0};
    http_call(running->port, "GET", "/things/a%20b/c", NULL, &plain);
    assert_status(&plain, 200);
    assert_string_equal(plain.body.data, "a b c");
    http_call(running->port, "POST", "/things/a:verb", "x", &verb);
    assert_status(&verb, 200);
}

static void head_answers_like_get_without_the_body(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    http_call(running->port, "HEAD", "/things/a/b", NULL, &reply);
    assert_status(&reply, 200);
    assert_true(reply_has(&reply, "Content-Length", "3"));
    assert_int_equal(reply.body.len, 0);
}

static void a_known_etag_is_304_without_a_body(void **state)
{
    const struct running *running = *state;
    static const char *const matching[] = {"If-None-Match: \"tag\"", "If-None-Match: \"x\", W/\"tag\"",
                                           "If-None-Match: *"};
    for (size_t i = 0; i < TL_COUNT_OF(matching); i++) {
        TL_AUTO(reply) reply = {0};
        http_do(running->port, &(struct request){.method = "GET", .path = "/things/a/b", .headers = {matching[i]}},
                &reply);
        assert_status(&reply, 304);
        assert_int_equal(reply.body.len, 0);
        assert_true(reply_has(&reply, "ETag", "\"tag\""));
        assert_false(reply_has(&reply, "Content-Length", "0")); /* which the 200 would not have had */
    }
    TL_AUTO(reply) other = {0};
    http_do(running->port,
            &(struct request){.method = "GET", .path = "/things/a/b", .headers = {"If-None-Match: \"ta\""}}, &other);
    assert_status(&other, 200);
}

static void an_unknown_path_is_404_and_an_unknown_method_405_with_allow(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) path = {0};
    TL_AUTO(reply) method = {0};
    http_call(running->port, "GET", "/nowhere", NULL, &path);
    assert_status(&path, 404);
    assert_true(reply_has(&path, "Content-Type", "application/problem+json"));
    http_call(running->port, "DELETE", "/things/a/b", NULL, &method);
    assert_status(&method, 405);
    assert_true(reply_has(&method, "Allow", "GET, HEAD"));
}

static void a_failure_becomes_a_problem_with_pointer_and_retry_after(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    http_call(running->port, "GET", "/busy?size=3", NULL, &reply);
    assert_problem(&reply, 503, "/a/b");
    assert_true(reply_has(&reply, "Retry-After", "1"));
    assert_says(&reply, "the queue of ? is full");
}

static void query_parameters_are_checked_by_name_and_range(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) name = {0};
    TL_AUTO(reply) range = {0};
    TL_AUTO(reply) text = {0};
    http_call(running->port, "GET", "/busy?sise=3", NULL, &name);
    assert_status(&name, 422);
    assert_says(&name, "did you mean \\\"size\\\"");
    http_call(running->port, "GET", "/busy?size=10", NULL, &range);
    assert_status(&range, 422);
    assert_says(&range, "from 1 to 9");
    http_call(running->port, "GET", "/busy?size=3x", NULL, &text);
    assert_status(&text, 422);
}

/* ---- bodies -------------------------------------------------------------------------------------------------- */

static void a_body_over_the_limit_is_413_before_any_of_it_is_read(void **state)
{
    const struct running *running = *state;
    char answer[2048];
    int wire = wire_open(running->port);
    wire_send(wire, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n");
    wire_read_all(wire, answer, sizeof answer);
    close(wire);
    assert_non_null(strstr(answer, "HTTP/1.1 413 "));
    assert_non_null(strstr(answer, "at most 1000 are taken here"));
    assert_int_equal(handled, 0);
}

static void a_body_of_many_megabytes_over_the_limit_gets_its_413(void **state)
{
    const struct running *running = *state;
    static const size_t sizes[] = {1001, 100000, 20 << 20};
    for (size_t i = 0; i < TL_COUNT_OF(sizes); i++) {
        TL_AUTO(reply) reply = {0};
        char *body = calloc(1, sizes[i]);
        assert_non_null(body);
        http_do(running->port, &(struct request){.method = "POST", .path = "/echo", .body = body, .n = sizes[i]},
                &reply);
        free(body);
        assert_status(&reply, 413);
    }
    assert_int_equal(handled, 0);
}

static void a_chunked_upload_is_taken_up_to_the_limit_and_refused_beyond(void **state)
{
    const struct running *running = *state;
    static char body[1001];
    TL_AUTO(reply) fits = {0};
    TL_AUTO(reply) over = {0};
    memset(body, 'x', sizeof body);
    http_do(running->port,
            &(struct request){.method = "POST", .path = "/echo", .body = body, .n = 1000, .chunked = true}, &fits);
    assert_status(&fits, 200);
    assert_int_equal(fits.body.len, 1000);
    http_do(running->port,
            &(struct request){.method = "POST", .path = "/echo", .body = body, .n = 1001, .chunked = true}, &over);
    assert_status(&over, 413);
}

static void an_endless_chunked_upload_is_cut_off(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    const size_t n = 16 << 20; /* more than the limit and what is thrown away after it */
    char *body = calloc(1, n);
    assert_non_null(body);
    http_do(running->port, &(struct request){.method = "POST", .path = "/echo", .body = body, .n = n, .chunked = true},
            &reply);
    free(body);
    assert_int_equal(reply.status, 0);
    assert_int_equal(handled, 0);
}

static void a_route_without_body_refuses_one(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    http_call(running->port, "GET", "/things/a/b", "{}", &reply);
    assert_status(&reply, 413);
    assert_says(&reply, "takes no body");
}

static void bodies_come_through_unchanged_at_the_limit(void **state)
{
    const struct running *running = *state;
    const size_t n = 8 << 20;
    TL_AUTO(reply) reply = {0};
    char *body = malloc(n);
    struct tl_rng rng;
    assert_non_null(body);
    tl_rng_init(&rng, 1, 0, 0);
    for (size_t i = 0; i < n; i++) {
        body[i] = (char)tl_rng_below(&rng, 256);
    }
    http_do(running->port, &(struct request){.method = "PUT", .path = "/big", .body = body, .n = n}, &reply);
    assert_status(&reply, 200);
    assert_int_equal(reply.body.len, n);
    assert_memory_equal(reply.body.data, body, n);
    free(body);
}

/* ---- who may speak ------------------------------------------------------------------------------------------- */

static void pages_of_other_sites_may_not_write(void **state)
{
    const struct running *running = *state;
    static const char *const foreign[] = {"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
                                          "Origin: http://evil.example", "Origin: null", "Origin: http://127.0.0.1:1"};
    for (size_t i = 0; i < TL_COUNT_OF(foreign); i++) {
        TL_AUTO(reply) reply = {0};
        http_do(running->port,
                &(struct request){.method = "POST", .path = "/echo", .headers = {foreign[i]}, .body = "x", .n = 1},
                &reply);
        assert_status(&reply, 403);
    }
    assert_int_equal(handled, 0);
    char own[64];
    TL_AUTO(reply) reply = {0};
    (void)snprintf(own, sizeof own, "Origin: http://127.0.0.1:%u", running->port);
    http_do(
        running->port,
        &(struct request){
            .method = "POST", .path = "/echo", .headers = {own, "Sec-Fetch-Site: same-origin"}, .body = "x", .n = 1},
        &reply);
    assert_status(&reply, 200);
}

static void names_that_are_not_this_machine_are_refused(void **state)
{
    const struct running *running = *state;
    static const char *const refused[] = {"Host: evil.example", "Host: localhost.evil.example",
                                          "Host: 127.0.0.1.evil:80"};
    static const char *const taken[] = {"Host: localhost", "Host: LOCALHOST:9", "Host: [::1]:8080", "Host: 127.0.0.1"};
    for (size_t i = 0; i < TL_COUNT_OF(refused); i++) {
        TL_AUTO(reply) reply = {0};
        http_do(running->port, &(struct request){.method = "GET", .path = "/things/a/b", .headers = {refused[i]}},
                &reply);
        assert_status(&reply, 421);
    }
    for (size_t i = 0; i < TL_COUNT_OF(taken); i++) {
        TL_AUTO(reply) reply = {0};
        http_do(running->port, &(struct request){.method = "GET", .path = "/things/a/b", .headers = {taken[i]}},
                &reply);
        assert_status(&reply, 200);
    }
}

static void headers_beyond_the_limit_are_431(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    char *header = malloc(100000);
    assert_non_null(header);
    memset(header, 'x', 99999);
    header[99999] = '\0';
    memcpy(header, "X-Long: ", 8);
    http_do(running->port, &(struct request){.method = "GET", .path = "/things/a/b", .headers = {header}}, &reply);
    free(header);
    assert_status(&reply, 431);
}

static void a_port_that_is_taken_is_named(void **state)
{
    const struct running *running = *state;
    const struct http_config config = {
        .host = "127.0.0.1", .port = running->port, .connections_max = 8, .routes = ROUTES, .n_routes = 1};
    struct http *second = NULL;
    struct tl_err err = {0};
    char port[16];
    assert_int_equal(http_new(&config, &second, &err), TL_OK);
    assert_int_equal(http_start(second, &err), TL_IO);
    (void)snprintf(port, sizeof port, "port %u", running->port);
    assert_non_null(strstr(err.text, port));
    http_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(every_answer_carries_its_length_and_the_security_headers),
        served(path_parameters_are_decoded_and_stop_at_verbs),
        served(head_answers_like_get_without_the_body),
        served(a_known_etag_is_304_without_a_body),
        served(an_unknown_path_is_404_and_an_unknown_method_405_with_allow),
        served(a_failure_becomes_a_problem_with_pointer_and_retry_after),
        served(query_parameters_are_checked_by_name_and_range),
        served(a_body_over_the_limit_is_413_before_any_of_it_is_read),
        served(a_body_of_many_megabytes_over_the_limit_gets_its_413),
        served(a_chunked_upload_is_taken_up_to_the_limit_and_refused_beyond),
        served(an_endless_chunked_upload_is_cut_off),
        served(a_route_without_body_refuses_one),
        served(bodies_come_through_unchanged_at_the_limit),
        served(pages_of_other_sites_may_not_write),
        served(names_that_are_not_this_machine_are_refused),
        served(headers_beyond_the_limit_are_431),
        served(a_port_that_is_taken_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
