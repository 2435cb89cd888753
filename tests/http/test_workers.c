/* Workers that value architectures: what a request may ask of them, and what becomes of answers that are none. */
#include "tests/http/service_fixture.h"

static const char SPACE[] = "{\"name\":\"made\",\"variables\":["
                            "{\"name\":\"l0\",\"options\":[\"a\",\"b\",\"c\",\"d\"]},"
                            "{\"name\":\"l1\",\"options\":[\"a\",\"b\",\"c\",\"d\"]},"
                            "{\"name\":\"l2\",\"options\":[\"a\",\"b\",\"c\",\"d\"]}]}";
static const char SEARCH[] = "{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"accuracy\"]},"
                             "\"controller\":{\"name\":\"random\"},\"budget\":{\"evaluations\":30}}";

/* cmocka setup: a service with the space, a pool of workers "pool", and a device "dev" with an agent. */
static int setup(void **state)
{
    TL_AUTO(reply) space = {0};
    TL_AUTO(reply) pool = {0};
    TL_AUTO(reply) device = {0};
    char body[256];
    assert_int_equal(service_setup(state), 0);
    const struct running *running = *state;
    http_call(running->port, "POST", "/spaces", SPACE, &space);
    assert_status(&space, 201);
    (void)snprintf(body, sizeof body, "{\"name\":\"pool\",\"agent_key\":\"%s\",\"info\":{\"worker\":true}}", KEY);
    http_call(running->port, "POST", "/devices", body, &pool);
    assert_status(&pool, 201);
    register_device(running->port, "dev", OTHER_KEY, &device);
    assert_status(&device, 201);
    return 0;
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

static void refused(uint16_t port, const char *path, const char *body, const char *pointer, const char *says)
{
    TL_AUTO(reply) reply = {0};
    http_call(port, "POST", path, body, &reply);
    assert_problem(&reply, 422, pointer);
    assert_says(&reply, says);
}

static void a_request_says_who_values_what(void **state)
{
    const uint16_t port = ((const struct running *)*state)->port;
    static const char *const wrong[][3] = {
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pol\",\"metrics\":[\"accuracy\"]}}", "/evaluate/by", "worker.py"},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"dev\",\"metrics\":[\"accuracy\"]}}", "/evaluate/by", "measured"},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"acuracy\"]}}", "/evaluate/metrics/0",
         "did you mean \\\"accuracy\\\""},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"accuracy\",7]}}", "/evaluate/metrics/1",
         "must be a metric"},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"macs\",\"macs\"]}}", "/evaluate/metrics/1",
         "already"},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[]}}", "/evaluate/metrics", "1"},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\"}}", "/evaluate/metrics", "required"},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"accuracy\"],\"batch\":1}}",
         "/evaluate/batch", "unknown"},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"macs\"]}}", "/objective",
         "add it to /evaluate/metrics"},
        {"{\"space\":\"made\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"accuracy\"]},"
         "\"constraints\":[{\"metric\":\"latency_ms\",\"max\":1}]}",
         "/constraints/0/metric", "add it to /evaluate/metrics"},
        {"{\"space\":\"made\",\"device\":\"dev\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"accuracy\"]}}", "/device",
         "no network"},
        {"{\"space\":\"nasbench-macro\",\"device\":\"dev\",\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"accuracy\","
         "\"latency_ms\"]}}",
         "/device", "leave"},
        {"{\"space\":\"nasbench-macro\",\"device\":\"pool\"}", "/device", "pool of workers"},
        {"{\"space\":\"made\",\"verify\":{\"top_k\":1},\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"accuracy\"]}}",
         "/verify", "device"},
        {"{\"space\":\"made\",\"budget\":{\"seconds\":9},\"evaluate\":{\"by\":\"pool\",\"metrics\":[\"accuracy\"]}}",
         "/budget/seconds", "evaluations"},
        {"{\"space\":\"made\"}", "/space", "evaluate"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(wrong); i++) {
        refused(port, "/search", wrong[i][0], wrong[i][1], wrong[i][2]);
    }
    refused(port, "/jobs", "{\"kind\":\"profile\",\"device\":\"pool\",\"space\":\"nasbench-macro\"}", "/device",
            "measures nothing");
}

/* ---- jobs ---------------------------------------------------------------------------------------------------- */

static void post_search(uint16_t port, char ret_path[96])
{
    TL_AUTO(reply) reply = {0};
    http_call(port, "POST", "/search", SEARCH, &reply);
    assert_status(&reply, 202);
    reply_header(&reply, "Location", ret_path, 96);
}

/* A job as a worker gets it, waiting for it if need be. Owned: tl_json_done. */
static void take(uint16_t port, struct tl_json *ret_job)
{
    TL_AUTO(reply) reply = {0};
    char body[128];
    (void)snprintf(body, sizeof body, "{\"device\":\"pool\",\"agent_key\":\"%s\"}", KEY);
    http_do(
        port,
        &(struct request){
            .method = "POST", .path = "/jobs:lease", .headers = {"Prefer: wait=20"}, .body = body, .n = strlen(body)},
        &reply);
    assert_status(&reply, 200);
    ret_job->root = json_loadb(reply.body.data, reply.body.len, 0, NULL);
    assert_string_equal(json_string_value(json_at(ret_job->root, "kind")), "evaluate");
    assert_string_equal(json_string_value(json_at(ret_job->root, "space")), "made");
    assert_string_equal(json_string_value(json_at(ret_job->root, "metrics.0")), "accuracy");
    assert_true(json_is_string(json_at(ret_job->root, "architectures.0.options.l2")));
}

static const char *arch_of(const struct tl_json *job)
{
    return json_string_value(json_at(job->root, "architectures.0.id"));
}

/* `more`: what stands behind attempt and key. */
static void tell(uint16_t port, const struct tl_json *job, const char *verb, const char *more, struct reply *ret_reply)
{
    char path[96], body[1024];
    (void)snprintf(path, sizeof path, "/jobs/%s:%s", json_string_value(json_at(job->root, "id")), verb);
    (void)snprintf(body, sizeof body, "{\"attempt\":%d,\"agent_key\":\"%s\"%s}",
                   (int)json_integer_value(json_at(job->root, "attempt")), KEY, more);
    http_call(port, "POST", path, body, ret_reply);
}

/* `format`: the values, %s standing for the architecture's id. */
static void answer(uint16_t port, const struct tl_json *job, const char *format, int status, const char *says)
{
    TL_AUTO(reply) reply = {0};
    TL_AUTO(tl_buf) more = {0};
    const char *rest = format;
    assert_ok(tl_buf_addf(&more, &err, ",\"values\":"));
    for (const char *at; (at = strstr(rest, "%s")); rest = at + 2) {
        assert_ok(tl_buf_add(&more, rest, (size_t)(at - rest), &err));
        assert_ok(tl_buf_addf(&more, &err, "%s", arch_of(job)));
    }
    assert_ok(tl_buf_addf(&more, &err, "%s", rest));
    tell(port, job, "complete", more.data, &reply);
    assert_status(&reply, status);
    assert_says(&reply, says);
}

static void an_answer_must_be_one_to_what_was_asked(void **state)
{
    const uint16_t port = ((const struct running *)*state)->port;
    static const char *const lies[][2] = {
        {"[]", "\"/values\""},
        {"{}", "\"/values\""},
        {"[{\"id\":\"%s\"}]", "\"/values/0/accuracy\""},
        {"[{\"id\":\"%s\",\"accuracy\":\"76.1\"}]", "\"/values/0/accuracy\""},
        {"[{\"id\":\"%s\",\"accuracy\":176.1}]", "\"/values/0/accuracy\""},
        {"[{\"id\":\"%s\",\"accuracy\":-1}]", "\"/values/0/accuracy\""},
        {"[{\"id\":\"%s\",\"accuracy\":true}]", "\"/values/0/accuracy\""},
        {"[{\"id\":\"%s\",\"accuracy\":76.1,\"macs\":3}]", "\"/values/0/macs\""},
        {"[{\"id\":\"%s\",\"accuracy\":76.1,\"top5\":3}]", "\"/values/0/top5\""},
        {"[{\"id\":\"00112233445566778899aabbccddeeff\",\"accuracy\":76.1}]", "\"/values/0/id\""},
        {"[{\"id\":7,\"accuracy\":76.1}]", "\"/values/0/id\""},
        {"[{\"accuracy\":76.1}]", "\"/values/0/id\""},
        {"[76.1]", "\"/values/0\""},
        {"[{\"id\":\"%s\",\"accuracy\":76.1},{\"id\":\"%s\",\"accuracy\":76.1}]", "\"/values/1/id\""},
    };
    TL_AUTO(tl_json) job = {0};
    TL_AUTO(reply) none = {0};
    TL_AUTO(reply) renewed = {0};
    TL_AUTO(reply) failed = {0};
    char path[96];
    post_search(port, path);
    take(port, &job);
    for (size_t i = 0; i < TL_COUNT_OF(lies); i++) {
        answer(port, &job, lies[i][0], 422, lies[i][1]);
    }
    answer(port, &job, "[{\"id\":\"%s\",\"accuracy\":NaN}]", 400, "NaN");
    answer(port, &job, "[{\"id\":\"%s\",\"accuracy\":1e999}]", 400, "");
    tell(port, &job, "complete", "", &none);
    assert_problem(&none, 422, "/values");
    tell(port, &job, "renew", "", &renewed); /* it is still leased */
    assert_status(&renewed, 200);
    answer(port, &job, "[{\"id\":\"%s\",\"accuracy\":76.1}]", 200, "done");
    answer(port, &job, "[{\"id\":\"%s\",\"accuracy\":76.1}]", 200, "done");
    answer(port, &job, "[{\"id\":\"%s\",\"accuracy\":76.2}]", 409, "other values");
    answer(port, &job, "[{\"id\":\"%s\",\"accuracy\":null}]", 409, "other values");
    tell(port, &job, "fail", ",\"reason\":\"too late\"", &failed);
    assert_status(&failed, 409);
}

static void each_of_several_workers_gets_a_job_and_a_search_without_values_finds_none(void **state)
{
    const uint16_t port = ((const struct running *)*state)->port;
    TL_AUTO(tl_json) first = {0};
    TL_AUTO(tl_json) second = {0};
    TL_AUTO(tl_json) search = {0};
    char path[96];
    post_search(port, path);
    take(port, &first);
    take(port, &second);
    assert_string_not_equal(json_string_value(json_at(first.root, "id")),
                            json_string_value(json_at(second.root, "id")));
    answer(port, &second, "[{\"id\":\"%s\",\"accuracy\":null}]", 200, "done");
    answer(port, &first, "[{\"id\":\"%s\",\"accuracy\":null}]", 200, "done");
    for (bool over = false; !over;) {
        TL_AUTO(reply) reply = {0};
        char body[128];
        (void)snprintf(body, sizeof body, "{\"device\":\"pool\",\"agent_key\":\"%s\"}", KEY);
        http_call(port, "POST", "/jobs:lease", body, &reply);
        if (reply.status == 200) {
            TL_AUTO(tl_json) job = {.root = json_loadb(reply.body.data, reply.body.len, 0, NULL)};
            answer(port, &job, "[{\"id\":\"%s\",\"accuracy\":null}]", 200, "done");
        }
        TL_AUTO(tl_json) now = {0};
        get_json(port, path, &now);
        over = strcmp(json_string_value(json_at(now.root, "state")), "finished") == 0;
    }
    get_json(port, path, &search);
    assert_string_equal(json_string_value(json_at(search.root, "outcome")), "none_found");
    assert_string_equal(json_string_value(json_at(search.root, "message")), "no network could be valued");
}

static void a_worker_that_hung_up_is_given_nothing(void **state)
{
    const uint16_t port = ((const struct running *)*state)->port;
    TL_AUTO(tl_json) job = {0};
    char body[128], request[512], path[96];
    const int wire = wire_open(port);
    (void)snprintf(body, sizeof body, "{\"device\":\"pool\",\"agent_key\":\"%s\"}", KEY);
    (void)snprintf(request, sizeof request,
                   "POST /jobs:lease HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=30\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    wire_send(wire, request);
    close(wire);
    post_search(port, path);
    take(port, &job);
    assert_int_equal(get_count(port, "/jobs?device=pool&state=leased"), 1);
}

/* ---- workers that never answer ------------------------------------------------------------------------------- */

static enum tl_rc no_job(void *ctx, const struct store_job *job, struct tl_err *err)
{
    (void)ctx;
    (void)job;
    (void)err;
    return TL_OK;
}

/* A lease of every job there is, a minute after the last, which have all run out. */
static enum tl_rc lease_all(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    int64_t *now_ns = ctx, next_ns = 0;
    bool leased = true;
    enum tl_rc rc = TL_OK;
    *now_ns += 100000000000;
    while (!rc && leased) {
        rc = store_job_lease(tx, "pool", true, *now_ns, *now_ns + 60000000000, no_job, NULL, &leased, &next_ns, err);
    }
    return rc;
}

static void await(uint16_t port, const char *path, const char *field, const char *says)
{
    for (int64_t until_ns = tl_clock_mono_ns() + 20000000000;;) {
        TL_AUTO(tl_json) search = {0};
        get_json(port, path, &search);
        const char *text = json_string_value(json_at(search.root, field));
        if (text && strstr(text, says)) {
            return;
        }
        if (tl_clock_mono_ns() > until_ns) {
            fail_msg("%s of %s is \"%s\", not \"%s\"", field, path, text ? text : "", says);
        }
        tl_sleep_ns(20000000);
    }
}

static void a_search_whose_workers_never_answer_fails_with_the_reason(void **state)
{
    const struct running *running = *state;
    int64_t now_ns = tl_clock_wall_ns();
    char path[96];
    post_search(running->port, path);
    await(running->port, path, "state", "evaluating");
    for (int i = 0; i < 6; i++) {
        assert_ok(store_write(running->service.store, lease_all, &now_ns, &err));
    }
    await(running->port, path, "state", "failed");
    await(running->port, path, "problem.detail", "pool valued none of");
    await(running->port, path, "problem.detail", "leased 5 times");
}

static enum tl_rc away(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    (void)ctx;
    return store_device_seen(tx, "pool", 1700000000000000000, err);
}

static void a_search_says_since_when_no_worker_was_heard_of_and_can_be_cancelled(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) job = {0};
    TL_AUTO(reply) cancelled = {0};
    char path[96], cancel[112];
    post_search(running->port, path);
    take(running->port, &job);
    assert_ok(store_write(running->service.store, away, NULL, &err));
    await(running->port, path, "message", "no worker of pool was heard of since 2023-11-14T");
    (void)snprintf(cancel, sizeof cancel, "%s:cancel", path);
    http_call(running->port, "POST", cancel, NULL, &cancelled);
    assert_status(&cancelled, 200);
    assert_int_equal(get_count(running->port, "/jobs?device=pool&state=queued"), 0);
    answer(running->port, &job, "[{\"id\":\"%s\",\"accuracy\":76.1}]", 409, "has ended");
}

#define service_test(name) cmocka_unit_test_setup_teardown(name, setup, service_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        service_test(a_request_says_who_values_what),
        service_test(an_answer_must_be_one_to_what_was_asked),
        service_test(each_of_several_workers_gets_a_job_and_a_search_without_values_finds_none),
        service_test(a_worker_that_hung_up_is_given_nothing),
        service_test(a_search_whose_workers_never_answer_fails_with_the_reason),
        service_test(a_search_says_since_when_no_worker_was_heard_of_and_can_be_cancelled),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
