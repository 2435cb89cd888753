/* Spaces that are brought: stored once, never replaced, there again after a restart. */
#include "tests/http/service_fixture.h"

static const char SMALL[] =
    "{\"name\":\"small\",\"title\":\"A small one\",\"variables\":[{\"name\":\"depth\",\"options\":[1,2]},"
    "{\"name\":\"op1\",\"options\":[\"skip\",\"conv\"]},{\"name\":\"op2\",\"options\":[\"skip\",\"conv\"],"
    "\"active_when\":{\"variable\":\"depth\",\"options\":[2]}}],\"forbid\":[{\"op1\":[\"skip\"],\"op2\":[\"skip\"]}]}";

static void post(const struct running *running, const char *body, int status)
{
    TL_AUTO(reply) reply = {0};
    http_call(running->port, "POST", "/spaces", body, &reply);
    assert_status(&reply, status);
}

static void a_space_is_brought_once_and_shown(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) first = {0};
    TL_AUTO(tl_json) doc = {0};
    const size_t before = get_count(running->port, "/spaces");
    http_call(running->port, "POST", "/spaces", SMALL, &first);
    assert_status(&first, 201);
    assert_true(reply_has(&first, "Location", "/spaces/small"));
    post(running, SMALL, 200);
    assert_int_equal(get_count(running->port, "/spaces"), before + 1);
    get_json(running->port, "/spaces/small", &doc);
    assert_string_equal(json_string_value(json_at(doc.root, "count")), "5"); /* 2 + 4, less one */
    assert_string_equal(json_string_value(json_at(doc.root, "title")), "A small one");
    assert_true(json_is_false(json_at(doc.root, "buildable")));
    assert_string_equal(json_string_value(json_array_get(json_object_get(json_at(doc.root, "forbid.0"), "op2"), 0)),
                        "skip");
    assert_string_equal(json_string_value(json_at(doc.root, "variables.2.parent")), "depth");
}

static void another_content_under_the_name_is_a_conflict(void **state)
{
    const struct running *running = *state;
    static const char *const others[] = {
        "{\"name\":\"small\",\"variables\":[{\"name\":\"depth\",\"options\":[1,2]}]}",
        "{\"name\":\"nasbench-macro\",\"variables\":[{\"name\":\"depth\",\"options\":[1,2]}]}",
    };
    post(running, SMALL, 201);
    for (size_t i = 0; i < TL_COUNT_OF(others); i++) {
        TL_AUTO(reply) reply = {0};
        http_call(running->port, "POST", "/spaces", others[i], &reply);
        assert_problem(&reply, 409, "/name");
        assert_says(&reply, "choose another");
    }
}

static void what_is_wrong_is_told_by_its_pointer(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    const size_t before = get_count(running->port, "/spaces");
    http_call(running->port, "POST", "/spaces",
              "{\"name\":\"s\",\"variables\":[{\"name\":\"a\",\"options\":[\"x\"]},{\"name\":\"b\",\"options\":[1],"
              "\"active_when\":{\"variable\":\"a\",\"options\":[\"y\"]}}]}",
              &reply);
    assert_problem(&reply, 422, "/variables/1/active_when/options/0");
    post(running, "{", 400);
    assert_int_equal(get_count(running->port, "/spaces"), before);
}

static void a_space_that_was_brought_is_there_after_a_restart(void **state)
{
    struct running *running = *state;
    TL_AUTO(tl_json) doc = {0};
    post(running, SMALL, 201);
    service_pause(running);
    service_resume(running);
    get_json(running->port, "/spaces/small", &doc);
    assert_string_equal(json_string_value(json_at(doc.root, "count")), "5");
    post(running, SMALL, 200);
}

static void without_a_table_it_cannot_be_searched(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) search = {0};
    TL_AUTO(reply) ranges = {0};
    TL_AUTO(reply) profile = {0};
    TL_AUTO(reply) model = {0};
    TL_AUTO(reply) device = {0};
    post(running, SMALL, 201);
    http_call(running->port, "POST", "/search", "{\"space\":\"small\"}", &search);
    assert_problem(&search, 422, "/space");
    assert_says(&search, "PUT /spaces/small/table");
    http_call(running->port, "GET", "/spaces/small/ranges", NULL, &ranges);
    assert_status(&ranges, 404);
    register_device(running->port, "dev", KEY, &device);
    http_call(running->port, "POST", "/jobs", "{\"kind\":\"profile\",\"device\":\"dev\",\"space\":\"small\"}",
              &profile);
    assert_problem(&profile, 422, "/space");
    http_call(running->port, "POST", "/models",
              "{\"kind\":\"accuracy\",\"space\":\"small\",\"format\":\"tailor\","
              "\"artifact\":\"0123456789abcdef0123456789abcdef\"}",
              &model);
    assert_problem(&model, 422, "/space");
}

#define service_test(name) cmocka_unit_test_setup_teardown(name, service_setup, service_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        service_test(a_space_is_brought_once_and_shown),
        service_test(another_content_under_the_name_is_a_conflict),
        service_test(what_is_wrong_is_told_by_its_pointer),
        service_test(a_space_that_was_brought_is_there_after_a_restart),
        service_test(without_a_table_it_cannot_be_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
