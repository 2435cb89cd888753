/* The decisions of HTTP that need no connection. */
#include "server/http_rules.h"

#include <cmocka.h>
#include <string.h>

static const struct http_route ROUTES[] = {
    {"GET", "/search", 0, NULL},    {"POST", "/search", 1, NULL},
    {"GET", "/search/{}", 0, NULL}, {"POST", "/search/{}:cancel", 0, NULL},
    {"GET", "/a/{}/b/{}", 0, NULL}, {"POST", "/jobs:lease", 1, NULL},
    {"GET", "*", 0, NULL},
};

static const struct http_route *find(const char *method, const char *path, struct http_match *ret_match)
{
    http_match(ROUTES, TL_COUNT_OF(ROUTES), method, path, ret_match);
    return ret_match->route;
}

static void a_route_is_found_by_method_and_pattern(void **state)
{
    struct http_match match;
    (void)state;
    assert_ptr_equal(find("GET", "/search", &match), &ROUTES[0]);
    assert_ptr_equal(find("HEAD", "/search", &match), &ROUTES[0]);
    assert_ptr_equal(find("POST", "/search", &match), &ROUTES[1]);
    assert_ptr_equal(find("GET", "/search/7", &match), &ROUTES[2]);
    assert_string_equal(match.params[0], "7");
    assert_ptr_equal(find("POST", "/search/7:cancel", &match), &ROUTES[3]);
    assert_string_equal(match.params[0], "7");
    assert_ptr_equal(find("GET", "/a/x y/b/z", &match), &ROUTES[4]);
    assert_string_equal(match.params[0], "x y");
    assert_string_equal(match.params[1], "z");
    assert_ptr_equal(find("POST", "/jobs:lease", &match), &ROUTES[5]);
}

static void a_path_that_almost_fits_is_left_to_the_rest(void **state)
{
    static const char *const paths[] = {"/",       "/search/", "/search/7/", "/search/7/8", "/search/7:cance",
                                        "/a//b/c", "/searc"};
    struct http_match match;
    char longest[300] = "/search/";
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        assert_ptr_equal(find("GET", paths[i], &match), &ROUTES[6]);
        assert_null(find("POST", paths[i], &match));
        assert_string_equal(match.allow, "");
    }
    memset(longest + 8, 'x', 200);
    assert_ptr_equal(find("GET", longest, &match), &ROUTES[6]);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    struct http_match match;
    (void)state;
    assert_null(find("DELETE", "/search", &match));
    assert_string_equal(match.allow, "GET, HEAD, POST");
    assert_null(find("GET", "/jobs:lease", &match));
    assert_string_equal(match.allow, "POST");
    assert_null(find("GET", "/search/7:cancel", &match));
    assert_string_equal(match.allow, "POST");
}

static void the_wait_is_read_out_of_prefer(void **state)
{
    static const struct {
        const char *prefer;
        double wait_s, answer_s;
    } cases[] = {{NULL, 0, -1},        {"", 0, -1},           {"wait=30", 30, -1},   {"respond-async, wait=10", 10, -1},
                 {"WAIT=5", 5, -1},    {"wait=2.5", 2.5, -1}, {"wait=1e9", 600, -1}, {"wait=-3", 0, -1},
                 {"wait=nan", 0, -1},  {"wait=", 0, -1},      {"await=30", 0, -1},   {"wait = 4", 0, -1},
                 {" , wait=7", 7, -1}, {"wait", 0, 600},      {"a=b, Wait", 0, 600}, {"wait=0", 0, 0},
                 {"waits", 0, -1}};
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        assert_true(http_prefer_wait(cases[i].prefer) == cases[i].wait_s);
        assert_true(http_prefer_answer(cases[i].prefer) == cases[i].answer_s);
    }
}

static void etags_are_matched_whole(void **state)
{
    (void)state;
    assert_true(http_etag_listed("\"a\"", "\"a\""));
    assert_true(http_etag_listed("\"b\" , W/\"a\"", "\"a\""));
    assert_true(http_etag_listed("*", "\"a\""));
    assert_false(http_etag_listed(NULL, "\"a\""));
    assert_false(http_etag_listed("", "\"a\""));
    assert_false(http_etag_listed("\"ab\"", "\"a\""));
    assert_false(http_etag_listed("a", "\"a\""));
}

static void only_loopback_is_a_host(void **state)
{
    static const char *const good[] = {"localhost",   "localhost:8080", "LocalHost", "127.0.0.1",
                                       "127.0.0.1:1", "[::1]",          "[::1]:8080"};
    static const char *const bad[] = {
        "",       "example.org", "localhost.example.org", "127.0.0.1.example.org", "127.0.0.2", "[::2]", "[::1",
        "[::1]x", "::1",         "localhostx:1"};
    (void)state;
    assert_true(http_host_loopback(NULL));
    for (size_t i = 0; i < TL_COUNT_OF(good); i++) {
        assert_true(http_host_loopback(good[i]));
    }
    for (size_t i = 0; i < TL_COUNT_OF(bad); i++) {
        assert_false(http_host_loopback(bad[i]));
    }
}

static void only_the_own_origin_writes(void **state)
{
    (void)state;
    assert_true(http_origin_allowed("localhost:1", NULL, NULL));
    assert_true(http_origin_allowed("localhost:1", "http://localhost:1", "same-origin"));
    assert_true(http_origin_allowed("localhost:1", "https://LOCALHOST:1", NULL));
    assert_true(http_origin_allowed("localhost:1", NULL, "none"));
    assert_false(http_origin_allowed("localhost:1", "http://localhost:2", NULL));
    assert_false(http_origin_allowed("localhost:1", "null", NULL));
    assert_false(http_origin_allowed("localhost:1", "http://localhost:1", "cross-site"));
    assert_false(http_origin_allowed("localhost:1", NULL, "same-site"));
    assert_false(http_origin_allowed(NULL, "http://localhost:1", NULL));
}

static void gzip_is_taken_unless_refused(void **state)
{
    (void)state;
    assert_true(http_gzip_accepted(NULL));
    assert_true(http_gzip_accepted("gzip, deflate, br"));
    assert_true(http_gzip_accepted("deflate, gzip;q=0.5"));
    assert_true(http_gzip_accepted("*"));
    assert_false(http_gzip_accepted("identity"));
    assert_false(http_gzip_accepted("gzip;q=0"));
    assert_false(http_gzip_accepted("gzip;q=0, deflate;q=1"));
    assert_false(http_gzip_accepted(""));
}

static void a_range_is_one_piece_of_the_bytes_there_are(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        enum http_range kind;
        size_t from, to;
    } cases[] = {
        {"bytes=0-3", HTTP_RANGE_PART, 0, 4},
        {"bytes=4-", HTTP_RANGE_PART, 4, 10},
        {"bytes=-3", HTTP_RANGE_PART, 7, 10},
        {"bytes=-30", HTTP_RANGE_PART, 0, 10},
        {"bytes=8-100", HTTP_RANGE_PART, 8, 10},
        {"bytes=9-9", HTTP_RANGE_PART, 9, 10},
        {"bytes=10-", HTTP_RANGE_BEYOND, 0, 0},
        {"bytes=-0", HTTP_RANGE_BEYOND, 0, 0},
        {NULL, HTTP_RANGE_ALL, 0, 0},
        {"bytes=3-2", HTTP_RANGE_ALL, 0, 0},
        {"bytes=0-1,4-5", HTTP_RANGE_ALL, 0, 0},
        {"items=0-1", HTTP_RANGE_ALL, 0, 0},
        {"bytes=", HTTP_RANGE_ALL, 0, 0},
        {"bytes=a-", HTTP_RANGE_ALL, 0, 0},
        {"bytes=99999999999999999999-", HTTP_RANGE_ALL, 0, 0},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        size_t from = 0, to = 0;
        assert_int_equal(http_range_of(cases[i].range, 10, &from, &to), cases[i].kind);
        if (cases[i].kind == HTTP_RANGE_PART) {
            assert_int_equal(from, cases[i].from);
            assert_int_equal(to, cases[i].to);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_one_piece_of_the_bytes_there_are),
        cmocka_unit_test(a_route_is_found_by_method_and_pattern),
        cmocka_unit_test(a_path_that_almost_fits_is_left_to_the_rest),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(the_wait_is_read_out_of_prefer),
        cmocka_unit_test(etags_are_matched_whole),
        cmocka_unit_test(only_loopback_is_a_host),
        cmocka_unit_test(only_the_own_origin_writes),
        cmocka_unit_test(gzip_is_taken_unless_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
