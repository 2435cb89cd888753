/* test_access.c - who may do what: tokens over HTTP; devices that fail, and devices that are held. */
#include "tests/http/service_fixture.h"

#include <pthread.h>

/* One request with a token (NULL: without). */
static void ask(uint16_t port, const char *token, const char *method, const char *path, const char *body,
                struct reply *ret_reply)
{
    char header[128];
    (void)snprintf(header, sizeof header, "Authorization: Bearer %s", token ? token : "");
    http_do(port,
            &(struct request){.method = method,
                              .path = path,
                              .headers = {token ? header : NULL},
                              .body = body,
                              .n = body ? strlen(body) : 0},
            ret_reply);
}

static int ask_status(uint16_t port, const char *token, const char *method, const char *path, const char *body)
{
    TL_AUTO(reply) reply = {0};
    ask(port, token, method, path, body, &reply);
    return reply.status;
}

/* Make a token; its id. `by`: who asks. */
static int64_t make_token(uint16_t port, const char *by, const char *body, char ret_secret[TL_SECRET_TEXT])
{
    TL_AUTO(reply) reply = {0};
    TL_AUTO(tl_json) doc = {0};
    ask(port, by, "POST", "/tokens", body, &reply);
    assert_status(&reply, 201);
    doc.root = json_loadb(reply.body.data, reply.body.len, 0, NULL);
    (void)snprintf(ret_secret, TL_SECRET_TEXT, "%s", json_string_value(json_at(doc.root, "token")));
    assert_int_equal(strlen(ret_secret), TL_SECRET_TEXT - 1);
    return json_integer_value(json_at(doc.root, "id"));
}

static const char CLIENT[] = "{\"kind\":\"client\",\"label\":\"me\"}",
                  DEV[] = "{\"kind\":\"agent\",\"device\":\"dev\"}";

static void revoke(uint16_t port, const char *by, int64_t id, int status)
{
    char path[48];
    (void)snprintf(path, sizeof path, "/tokens/%lld", (long long)id);
    assert_int_equal(ask_status(port, by, "DELETE", path, NULL), status);
}

/* Register the device as an agent with this key. */
static void enrol(uint16_t port, const char *token, const char *name, const char *key, struct reply *ret_reply)
{
    char body[160];
    (void)snprintf(body, sizeof body, "{\"name\":\"%s\",\"agent_key\":\"%s\"}", name, key);
    ask(port, token, "POST", "/devices", body, ret_reply);
}

static int enrol_status(uint16_t port, const char *token, const char *name, const char *key)
{
    TL_AUTO(reply) reply = {0};
    enrol(port, token, name, key, &reply);
    return reply.status;
}

static int lease_status(uint16_t port, const char *token, const char *name, const char *key)
{
    char body[160];
    (void)snprintf(body, sizeof body, "{\"device\":\"%s\",\"agent_key\":\"%s\"}", name, key);
    return ask_status(port, token, "POST", "/jobs:lease", body);
}

/* The same service, started again so that nobody gets in without a token. */
static void require_tokens(struct running *running)
{
    service_pause(running);
    running->tokens_required = true;
    service_resume(running);
}

/* ---- tokens -------------------------------------------------------------------------------------------------- */

static void a_secret_is_shown_once(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) list = {0};
    TL_AUTO(tl_json) doc = {0};
    char secret[TL_SECRET_TEXT], digest[TL_DIGEST_TEXT];
    int64_t id =
        make_token(running->port, NULL, "{\"kind\":\"agent\",\"device\":\"dev\",\"label\":\"rack 3\"}", secret);
    tl_secret_digest(secret, digest);
    http_call(running->port, "GET", "/tokens", NULL, &list);
    assert_status(&list, 200);
    assert_null(strstr(list.body.data, secret));
    assert_null(strstr(list.body.data, digest));
    get_json(running->port, "/tokens", &doc);
    assert_int_equal(json_integer_value(json_at(doc.root, "items.0.id")), id);
    assert_string_equal(json_string_value(json_at(doc.root, "items.0.kind")), "agent");
    assert_string_equal(json_string_value(json_at(doc.root, "items.0.device")), "dev");
    assert_string_equal(json_string_value(json_at(doc.root, "items.0.label")), "rack 3");
    assert_true(json_is_null(json_at(doc.root, "items.0.registered")));
    assert_true(json_is_null(json_at(doc.root, "items.0.revoked")));
}

static void a_token_that_cannot_be_made_is_refused_at_its_field(void **state)
{
    static const struct {
        const char *body, *pointer;
    } bad[] = {
        {"{\"kind\":\"king\",\"label\":\"me\"}", "/kind"},
        {"{\"label\":\"me\"}", "/kind"},
        {"{\"kind\":\"agent\"}", "/device"},
        {"{\"kind\":\"agent\",\"device\":\"A B\"}", "/device"},
        {"{\"kind\":\"client\"}", "/label"},
        {"{\"kind\":\"client\",\"label\":\"\"}", "/label"},
        {"{\"kind\":\"client\",\"label\":\"me\",\"device\":\"dev\"}", "/device"},
    };
    const struct running *running = *state;
    for (size_t i = 0; i < TL_COUNT_OF(bad); i++) {
        TL_AUTO(reply) reply = {0};
        http_call(running->port, "POST", "/tokens", bad[i].body, &reply);
        assert_problem(&reply, 422, bad[i].pointer);
    }
    assert_int_equal(get_count(running->port, "/tokens"), 0);
    revoke(running->port, NULL, 7, 404);
    assert_int_equal(ask_status(running->port, NULL, "DELETE", "/tokens/x", NULL), 404);
}

static void a_wrong_token_opens_nothing_even_where_none_is_asked_for(void **state)
{
    const struct running *running = *state;
    char secret[TL_SECRET_TEXT];
    TL_AUTO(reply) wrong = {0};
    make_token(running->port, NULL, CLIENT, secret);
    assert_int_equal(ask_status(running->port, NULL, "GET", "/devices", NULL), 200);
    assert_int_equal(ask_status(running->port, secret, "GET", "/devices", NULL), 200);
    secret[TL_SECRET_TEXT - 2] ^= 1;
    ask(running->port, secret, "GET", "/devices", NULL, &wrong);
    assert_status(&wrong, 401);
    assert_true(reply_has(&wrong, "WWW-Authenticate", "Bearer"));
    assert_says(&wrong, "revoked");
}

static void an_agents_token_opens_its_work_for_its_device_alone(void **state)
{
    const struct running *running = *state;
    uint16_t port = running->port;
    char secret[TL_SECRET_TEXT];
    TL_AUTO(reply) other = {0};
    TL_AUTO(reply) search = {0};
    make_token(port, NULL, DEV, secret);
    assert_int_equal(enrol_status(port, secret, "dev", KEY), 201);
    assert_int_equal(lease_status(port, secret, "dev", KEY), 204);
    enrol(port, secret, "other", KEY, &other);
    assert_status(&other, 403);
    assert_says(&other, "dev");
    assert_int_equal(enrol_status(port, NULL, "other", OTHER_KEY), 201);
    assert_int_equal(lease_status(port, secret, "other", OTHER_KEY), 403); /* not even with its key */
    ask(port, secret, "GET", "/search", NULL, &search);
    assert_status(&search, 403);
    assert_int_equal(ask_status(port, secret, "POST", "/tokens", CLIENT), 403);
    assert_int_equal(ask_status(port, secret, "GET", "/tokens", NULL), 403);
    assert_int_equal(ask_status(port, secret, "POST", "/devices/dev:resume", NULL), 403);
    assert_int_equal(ask_status(port, secret, "GET", "/livez", NULL), 200);
}

static void an_agents_token_measures_and_uploads_for_its_device_alone(void **state)
{
    static const char path[] = "/measurements/01930000-0000-7000-8000-000000000001";
    const struct running *running = *state;
    uint16_t port = running->port;
    char dev[TL_SECRET_TEXT], other[TL_SECRET_TEXT], verb[96], attempt[128];
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(tl_buf) body = {0};
    start_profile(port);
    make_token(port, NULL, DEV, dev);
    make_token(port, NULL, "{\"kind\":\"agent\",\"device\":\"other\"}", other);
    lease_job(port, &job);
    measure(&job, 0, 2000000, 1000000, &body);
    (void)snprintf(verb, sizeof verb, "/jobs/%s:complete", job.id);
    (void)snprintf(attempt, sizeof attempt, "{\"attempt\":%lld,\"agent_key\":\"%s\"}", (long long)job.attempt, KEY);
    assert_int_equal(ask_status(port, other, "PUT", path, body.data), 403);
    assert_int_equal(ask_status(port, other, "POST", verb, attempt), 403);
    assert_int_equal(get_count(port, "/measurements"), 0);
    assert_int_equal(ask_status(port, dev, "PUT", path, body.data), 201);
    assert_int_equal(ask_status(port, dev, "POST", verb, attempt), 200);
}

static void two_agents_with_one_token_are_told_apart(void **state)
{
    const struct running *running = *state;
    uint16_t port = running->port;
    char token[TL_SECRET_TEXT], fresh[TL_SECRET_TEXT];
    TL_AUTO(reply) second = {0};
    make_token(port, NULL, DEV, token);
    assert_int_equal(enrol_status(port, token, "dev", KEY), 201);
    assert_int_equal(enrol_status(port, token, "dev", KEY), 200);
    enrol(port, token, "dev", OTHER_KEY, &second);
    assert_problem(&second, 409, "/name");
    assert_says(&second, "take over with a new token");
    /* the remedy, once: the agent that was there is out, and cannot come back with the old one */
    make_token(port, NULL, DEV, fresh);
    assert_int_equal(enrol_status(port, fresh, "dev", OTHER_KEY), 200);
    assert_int_equal(lease_status(port, fresh, "dev", OTHER_KEY), 204);
    assert_int_equal(lease_status(port, token, "dev", KEY), 409);
    assert_int_equal(enrol_status(port, token, "dev", KEY), 409);
    assert_int_equal(enrol_status(port, fresh, "dev", KEY), 409);
}

struct waiter {
    uint16_t port;
    const char *token;
    struct reply reply;
};

static void *wait_for_work(void *arg)
{
    struct waiter *waiter = arg;
    char body[128], header[128];
    (void)snprintf(body, sizeof body, "{\"device\":\"dev\",\"agent_key\":\"%s\"}", KEY);
    (void)snprintf(header, sizeof header, "Authorization: Bearer %s", waiter->token);
    http_do(waiter->port,
            &(struct request){.method = "POST",
                              .path = "/jobs:lease",
                              .headers = {header, "Prefer: wait=25"},
                              .body = body,
                              .n = strlen(body)},
            &waiter->reply);
    return NULL;
}

static void a_revocation_holds_at_once_also_for_who_is_waiting(void **state)
{
    const struct running *running = *state;
    char token[TL_SECRET_TEXT];
    int64_t id = make_token(running->port, NULL, DEV, token), begin_ns = tl_clock_mono_ns();
    struct waiter waiter = {.port = running->port, .token = token};
    pthread_t thread;
    assert_int_equal(enrol_status(running->port, token, "dev", KEY), 201);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_work, &waiter), 0);
    tl_sleep_ns(50000000); /* so that it is mostly parked by then; either order must work */
    revoke(running->port, NULL, id, 204);
    pthread_join(thread, NULL);
    assert_status(&waiter.reply, 401);
    assert_true(tl_clock_mono_ns() - begin_ns < INT64_C(10000000000));
    assert_int_equal(lease_status(running->port, token, "dev", KEY), 401);
    assert_int_equal(lease_status(running->port, NULL, "dev", KEY), 204);
    revoke(running->port, NULL, id, 204); /* again: it stays what it is */
    reply_done(&waiter.reply);
}

/* ---- where tokens are required ------------------------------------------------------------------------------- */

static void beyond_loopback_nothing_is_served_without_a_clients_token(void **state)
{
    struct running *running = *state;
    char secret[TL_SECRET_TEXT];
    struct access *access = NULL;
    struct tl_err err = {0};
    make_token(running->port, NULL, DEV, secret);
    assert_int_equal(access_new(running->service.store, true, &access, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "tailor tokens add --client"));
    assert_null(access);
}

static void where_tokens_are_required_each_request_must_show_one(void **state)
{
    struct running *running = *state;
    char client[TL_SECRET_TEXT];
    TL_AUTO(reply) refused = {0};
    int64_t id = make_token(running->port, NULL, CLIENT, client);
    require_tokens(running);
    for (size_t i = 0; i < routes_count; i++) {
        char path[96] = "";
        for (const char *at = routes_all[i].pattern; *at; at++) {
            (void)snprintf(path + strlen(path), sizeof path - strlen(path), "%c", *at == '{' ? 'x' : *at);
            at += *at == '{';
        }
        const bool open = strstr("/livez /readyz /version", routes_all[i].pattern) || strcmp(path, "*") == 0;
        const int status =
            ask_status(running->port, NULL, routes_all[i].method, path[0] == '*' ? "/nothing" : path, NULL);
        if (open ? status == 401 : status != 401) {
            fail_msg("%s %s without a token: %d", routes_all[i].method, path, status);
        }
    }
    http_call(running->port, "POST", "/search", "{}", &refused);
    assert_status(&refused, 401);
    assert_true(reply_has(&refused, "WWW-Authenticate", "Bearer"));
    assert_true(reply_has(&refused, "Content-Type", "application/problem+json"));
    assert_says(&refused, "TAILOR_TOKEN");
    assert_int_equal(ask_status(running->port, client, "GET", "/devices", NULL), 200);
    revoke(running->port, client, id, 409); /* the last one */
    assert_int_equal(ask_status(running->port, client, "GET", "/devices", NULL), 200);
}

static void where_tokens_are_required_any_host_name_will_do(void **state)
{
    struct running *running = *state;
    char client[TL_SECRET_TEXT], header[128];
    TL_AUTO(reply) reply = {0};
    make_token(running->port, NULL, CLIENT, client);
    assert_int_equal(ask_status(running->port, client, "GET", "/livez", NULL), 200);
    require_tokens(running);
    (void)snprintf(header, sizeof header, "Authorization: Bearer %s", client);
    http_do(running->port,
            &(struct request){.method = "POST",
                              .path = "/tokens",
                              .headers = {header, "Host: tailor.example", "Origin: https://tailor.example:8443"},
                              .body = CLIENT,
                              .n = sizeof CLIENT - 1},
            &reply);
    assert_status(&reply, 201);
}

static void a_body_is_refused_before_it_is_sent(void **state)
{
    struct running *running = *state;
    char client[TL_SECRET_TEXT], text[1024];
    make_token(running->port, NULL, CLIENT, client);
    require_tokens(running);
    int wire = wire_open(running->port);
    wire_send(wire,
              "PUT /artifacts/00000000000000000000000000000000 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n"
              "Connection: close\r\n\r\n");
    wire_read_all(wire, text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 401"));
    close(wire);
}

/* ---- devices that misbehave ---------------------------------------------------------------------------------- */

static void fail_job(uint16_t port, const char *reason)
{
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(reply) failed = {0};
    TL_AUTO(reply) again = {0};
    char more[64];
    lease_job(port, &job);
    (void)snprintf(more, sizeof more, ",\"reason\":\"%s\"", reason);
    job_verb(port, &job, "fail", more, &failed);
    assert_status(&failed, 200);
    job_verb(port, &job, "fail", more, &again); /* its answer was lost: that is no second failure */
    assert_status(&again, 200);
}

static void assert_state(uint16_t port, const char *want, const char *reason)
{
    TL_AUTO(tl_json) doc = {0};
    get_json(port, "/devices/dev", &doc);
    assert_string_equal(json_string_value(json_at(doc.root, "state")), want);
    const char *is = json_string_value(json_at(doc.root, "state_reason"));
    assert_true(reason ? is && strstr(is, reason) : !is);
    assert_int_equal(reason != NULL, json_is_string(json_at(doc.root, "state_since")));
    assert_true(json_is_true(json_at(doc.root, "online")));
}

static void three_failures_quarantine_a_device_until_it_is_resumed(void **state)
{
    struct running *running = *state;
    uint16_t port = running->port;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(reply) resumed = {0};
    start_profile(port);
    fail_job(port, "the fan stopped");
    fail_job(port, "the fan stopped again");
    assert_state(port, "active", NULL);
    fail_job(port, "the board is on fire");
    assert_state(port, "quarantined", "three jobs failed within a minute, the last one: the board is on fire");
    assert_int_equal(lease_status(port, NULL, "dev", KEY), 204);
    service_pause(running); /* it survives the server */
    service_resume(running);
    port = running->port;
    assert_int_equal(lease_status(port, NULL, "dev", KEY), 204);
    http_call(port, "POST", "/devices/dev:resume", NULL, &resumed);
    assert_status(&resumed, 200);
    assert_says(&resumed, "\"state\":\"active\"");
    lease_job(port, &job);
    assert_state(port, "active", NULL);
}

static void a_parked_lease_wakes_when_the_device_is_resumed(void **state)
{
    const struct running *running = *state;
    struct waiter waiter = {.port = running->port};
    char token[TL_SECRET_TEXT];
    pthread_t thread;
    int64_t begin_ns = tl_clock_mono_ns();
    make_token(running->port, NULL, DEV, token);
    waiter.token = token;
    start_profile(running->port);
    assert_int_equal(ask_status(running->port, NULL, "POST", "/devices/dev:drain", NULL), 200);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_work, &waiter), 0);
    tl_sleep_ns(50000000); /* so that it is mostly parked by then; either order must work */
    assert_int_equal(ask_status(running->port, NULL, "POST", "/devices/dev:resume", NULL), 200);
    pthread_join(thread, NULL);
    assert_status(&waiter.reply, 200);
    assert_true(tl_clock_mono_ns() - begin_ns < INT64_C(10000000000));
    reply_done(&waiter.reply);
}

static void a_drained_device_finishes_what_it_has_and_gets_no_more(void **state)
{
    const struct running *running = *state;
    uint16_t port = running->port;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(lat_job) same = {0};
    TL_AUTO(lat_job) next = {0};
    TL_AUTO(reply) drained = {0};
    TL_AUTO(reply) renewed = {0};
    TL_AUTO(reply) done = {0};
    TL_AUTO(reply) odd = {0};
    start_profile(port);
    lease_job(port, &job);
    http_call(port, "POST", "/devices/dev:drain", "{\"reason\":\"a new fan\"}", &drained);
    assert_status(&drained, 200);
    assert_state(port, "draining", "a new fan");
    lease_job(port, &same); /* its agent was started again */
    assert_string_equal(same.id, job.id);
    job_verb(port, &job, "renew", "", &renewed);
    assert_status(&renewed, 200);
    job_verb(port, &job, "complete", "", &done);
    assert_status(&done, 200);
    assert_int_equal(lease_status(port, NULL, "dev", KEY), 204);
    assert_int_equal(ask_status(port, NULL, "POST", "/devices/dev:resume", NULL), 200);
    lease_job(port, &next);
    assert_string_not_equal(next.id, job.id);
    assert_int_equal(ask_status(port, NULL, "POST", "/devices/nobody:drain", NULL), 404);
    assert_int_equal(ask_status(port, NULL, "POST", "/devices/nobody:resume", NULL), 404);
    http_call(port, "POST", "/devices/dev:drain", "{\"why\":\"x\"}", &odd);
    assert_problem(&odd, 422, "/why");
}

static bool search_says(uint16_t port, const char *path, const char *state, const char *text)
{
    TL_AUTO(tl_json) doc = {0};
    get_json(port, path, &doc);
    const char *message = json_string_value(json_at(doc.root, "message"));
    return strcmp(json_string_value(json_at(doc.root, "state")), state) == 0 && message && strstr(message, text);
}

static void await_search(uint16_t port, const char *path, const char *state, const char *text)
{
    int64_t until_ns = tl_clock_mono_ns() + INT64_C(20000000000);
    while (!search_says(port, path, state, text)) {
        if (tl_clock_mono_ns() > until_ns) {
            TL_AUTO(reply) reply = {0};
            http_call(port, "GET", path, NULL, &reply);
            fail_msg("not %s, %s: %.600s", state, text, reply.body.data);
        }
        tl_sleep_ns(20000000);
    }
}

static void a_search_says_that_its_device_is_held(void **state)
{
    const struct running *running = *state;
    uint16_t port = running->port;
    TL_AUTO(reply) device = {0};
    TL_AUTO(reply) search = {0};
    char path[128];
    register_device(port, "dev", KEY, &device);
    assert_int_equal(ask_status(port, NULL, "POST", "/devices/dev:drain", "{\"reason\":\"a new fan\"}"), 200);
    http_call(port, "POST", "/search",
              "{\"space\":\"ofa-mbv3-w1.0\",\"device\":\"dev\",\"objective\":{\"maximize\":\"accuracy\"},"
              "\"constraints\":[{\"metric\":\"latency_ms\",\"max\":1000}],\"budget\":{\"evaluations\":200}}",
              &search);
    assert_status(&search, 202);
    reply_header(&search, "Location", path, sizeof path);
    await_search(port, path, "waiting_for_device", "dev is draining (a new fan)");
    assert_int_equal(ask_status(port, NULL, "POST", "/devices/dev:resume", NULL), 200);
    await_search(port, path, "profiling", "");
    for (int i = 0; i < 3; i++) {
        fail_job(port, "no heat sink");
    }
    await_search(port, path, "waiting_for_device", "dev is quarantined (three jobs failed");
    await_search(port, path, "waiting_for_device", "no heat sink");
}

#define service_test(name) cmocka_unit_test_setup_teardown(name, service_setup, service_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        service_test(a_secret_is_shown_once),
        service_test(a_token_that_cannot_be_made_is_refused_at_its_field),
        service_test(a_wrong_token_opens_nothing_even_where_none_is_asked_for),
        service_test(an_agents_token_opens_its_work_for_its_device_alone),
        service_test(an_agents_token_measures_and_uploads_for_its_device_alone),
        service_test(two_agents_with_one_token_are_told_apart),
        service_test(a_revocation_holds_at_once_also_for_who_is_waiting),
        service_test(beyond_loopback_nothing_is_served_without_a_clients_token),
        service_test(where_tokens_are_required_each_request_must_show_one),
        service_test(where_tokens_are_required_any_host_name_will_do),
        service_test(a_body_is_refused_before_it_is_sent),
        service_test(three_failures_quarantine_a_device_until_it_is_resumed),
        service_test(a_parked_lease_wakes_when_the_device_is_resumed),
        service_test(a_drained_device_finishes_what_it_has_and_gets_no_more),
        service_test(a_search_says_that_its_device_is_held),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
