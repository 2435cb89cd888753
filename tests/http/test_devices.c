/* test_devices.c - devices, jobs and measurements over HTTP, with a device of the test's own. */
#include "tests/http/service_fixture.h"

#include <math.h>
#include <pthread.h>

/* ---- registering --------------------------------------------------------------------------------------------- */

static void a_device_registers_once_and_is_shown(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) first = {0};
    TL_AUTO(reply) again = {0};
    TL_AUTO(tl_json) doc = {0};
    register_device(running->port, "dev", KEY, &first);
    assert_status(&first, 201);
    assert_true(reply_has(&first, "Location", "/devices/dev"));
    register_device(running->port, "dev", KEY, &again);
    assert_status(&again, 200);
    get_json(running->port, "/devices/dev", &doc);
    assert_string_equal(json_string_value(json_at(doc.root, "info.cpu")), "made up");
    assert_true(json_is_true(json_at(doc.root, "online")));
    assert_true(json_is_null(json_at(doc.root, "anchor_reference_ms")));
    assert_true(json_is_null(json_at(doc.root, "profile")));
    assert_int_equal(json_integer_value(json_at(doc.root, "jobs.queued")), 0);
    assert_null(json_at(doc.root, "agent_key"));
    assert_int_equal(get_count(running->port, "/devices"), 1);
}

static void a_name_belongs_to_the_agent_that_took_it_first(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) first = {0};
    TL_AUTO(reply) second = {0};
    TL_AUTO(reply) stolen = {0};
    char body[160];
    register_device(running->port, "dev", KEY, &first);
    register_device(running->port, "dev", OTHER_KEY, &second);
    assert_problem(&second, 409, "/name");
    (void)snprintf(body, sizeof body, "{\"device\":\"dev\",\"agent_key\":\"%s\"}", OTHER_KEY);
    http_call(running->port, "POST", "/jobs:lease", body, &stolen);
    assert_status(&stolen, 409);
}

static void a_known_etag_of_a_device_is_304(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) device = {0};
    TL_AUTO(reply) first = {0};
    TL_AUTO(reply) again = {0};
    char etag[80], header[100];
    register_device(running->port, "dev", KEY, &device);
    http_call(running->port, "GET", "/devices/dev", NULL, &first);
    reply_header(&first, "ETag", etag, sizeof etag);
    (void)snprintf(header, sizeof header, "If-None-Match: %s", etag);
    http_do(running->port, &(struct request){.method = "GET", .path = "/devices/dev", .headers = {header}}, &again);
    assert_status(&again, 304);
}

static void register_with(uint16_t port, const char *info, struct reply *ret_reply)
{
    char body[256];
    (void)snprintf(body, sizeof body, "{\"name\":\"dev\",\"agent_key\":\"%s\",\"info\":{%s}}", KEY, info);
    http_call(port, "POST", "/devices", body, ret_reply);
}

static void another_runtime_is_another_device(void **state)
{
    const struct running *running = *state;
    static const struct {
        const char *info, *pointer; /* NULL: taken */
    } cases[] = {
        {"\"runtime\":\"tailor 0.1.0\",\"threads\":2", NULL},
        {"\"runtime\":\"tailor 0.2.0\",\"threads\":2,\"batch\":1", NULL}, /* a newer version, and more told */
        {"\"runtime\":\"onnxruntime-node 0.1.0\",\"threads\":2,\"batch\":1", "/info/runtime"},
        {"\"runtime\":\"tailor 0.2.0\",\"threads\":1,\"batch\":1", "/info/threads"},
        {"\"runtime\":\"tailor 0.2.0\",\"threads\":2,\"batch\":8", "/info/batch"},
        {"\"runtime\":\"tailor 0.2.0\",\"threads\":2,\"batch\":1", NULL},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        TL_AUTO(reply) reply = {0};
        register_with(running->port, cases[i].info, &reply);
        if (cases[i].pointer) {
            assert_problem(&reply, 409, cases[i].pointer);
        } else {
            assert_status(&reply, i == 0 ? 201 : 200);
        }
    }
}

/* ---- jobs ---------------------------------------------------------------------------------------------------- */

static void a_profile_is_queued_once(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) again = {0};
    TL_AUTO(tl_json) doc = {0};
    start_profile(running->port);
    get_json(running->port, "/devices/dev", &doc);
    int64_t total = json_integer_value(json_at(doc.root, "profile.total"));
    assert_true(total > 0);
    assert_int_equal(json_integer_value(json_at(doc.root, "profile.done")), 0);
    assert_int_equal(get_count(running->port, "/jobs?device=dev&state=queued&page_size=1000"), total);
    assert_int_equal(get_count(running->port, "/jobs?device=other"), 0);
    http_call(running->port, "POST", "/jobs", "{\"kind\":\"profile\",\"device\":\"dev\",\"space\":\"nasbench-macro\"}",
              &again);
    assert_status(&again, 409);
}

static void jobs_come_in_pages(void **state)
{
    const struct running *running = *state;
    char path[96] = "/jobs?page_size=3";
    size_t n = 0;
    start_profile(running->port);
    size_t total = get_count(running->port, "/jobs?page_size=1000");
    for (size_t pages = 0; pages <= total; pages++) {
        TL_AUTO(tl_json) doc = {0};
        get_json(running->port, path, &doc);
        n += json_array_size(json_at(doc.root, "items"));
        const char *next = json_string_value(json_at(doc.root, "next_page_token"));
        if (!next) {
            break;
        }
        (void)snprintf(path, sizeof path, "/jobs?page_size=3&page_token=%s", next);
    }
    assert_int_equal(n, total);
}

static void asking_twice_for_work_leads_to_the_same_lease(void **state)
{
    const struct running *running = *state;
    TL_AUTO(lat_job) first = {0};
    TL_AUTO(lat_job) again = {0};
    start_profile(running->port);
    lease_job(running->port, &first);
    lease_job(running->port, &again);
    assert_string_equal(first.id, again.id);
    assert_int_equal(first.attempt, again.attempt);
    assert_int_equal(first.lease_s, 60);
    assert_true(first.n_items >= 1);
}

static void a_lease_is_renewed_and_ended_by_its_attempt(void **state)
{
    const struct running *running = *state;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(lat_job) next = {0};
    TL_AUTO(reply) renewed = {0};
    TL_AUTO(reply) wrong = {0};
    TL_AUTO(reply) done = {0};
    TL_AUTO(reply) done_again = {0};
    TL_AUTO(reply) failed = {0};
    start_profile(running->port);
    lease_job(running->port, &job);
    job_verb(running->port, &job, "renew", "", &renewed);
    assert_status(&renewed, 200);
    job.attempt++;
    job_verb(running->port, &job, "renew", "", &wrong);
    assert_status(&wrong, 409);
    job.attempt--;
    job_verb(running->port, &job, "complete", "", &done);
    assert_status(&done, 200);
    job_verb(running->port, &job, "complete", "", &done_again); /* a retry is harmless */
    assert_status(&done_again, 200);
    job_verb(running->port, &job, "fail", ",\"reason\":\"no\"", &failed);
    assert_status(&failed, 409);
    lease_job(running->port, &next);
    assert_string_not_equal(job.id, next.id);
}

static void a_failed_job_says_why(void **state)
{
    const struct running *running = *state;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(reply) silent = {0};
    TL_AUTO(reply) failed = {0};
    TL_AUTO(tl_json) doc = {0};
    start_profile(running->port);
    lease_job(running->port, &job);
    job_verb(running->port, &job, "fail", "", &silent);
    assert_problem(&silent, 422, "/reason");
    job_verb(running->port, &job, "fail", ",\"reason\":\"the fan stopped\"", &failed);
    assert_status(&failed, 200);
    get_json(running->port, "/jobs?state=failed", &doc);
    assert_string_equal(json_string_value(json_at(doc.root, "items.0.failure")), "the fan stopped");
}

/* GET /jobs/ID/models/ITEM */
static void get_model(uint16_t port, const char *id, const char *item, struct reply *ret_reply)
{
    char path[96];
    (void)snprintf(path, sizeof path, "/jobs/%s/models/%s", id, item);
    http_call(port, "GET", path, NULL, ret_reply);
}

static void a_leased_job_has_its_networks_as_models_for_timing_alone(void **state)
{
    const struct running *running = *state;
    static const char *const items[] = {"anchor", "0"};
    static const char mark[] = "timing_only";
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(reply) none = {0};
    start_profile(running->port);
    lease_job(running->port, &job);
    for (size_t i = 0; i < TL_COUNT_OF(items); i++) {
        TL_AUTO(reply) first = {0};
        TL_AUTO(reply) again = {0};
        char hash_text[TL_HASH_TEXT], etag[TL_HASH_TEXT + 2];
        get_model(running->port, job.id, items[i], &first);
        get_model(running->port, job.id, items[i], &again);
        assert_status(&first, 200);
        assert_true(first.body.len > 1000 && first.body.len == again.body.len);
        assert_memory_equal(first.body.data, again.body.data, first.body.len);
        struct tl_hash hash = tl_hash_of(first.body.data, first.body.len);
        tl_hash_format(&hash, hash_text);
        (void)snprintf(etag, sizeof etag, "\"%s\"", hash_text);
        assert_true(reply_has(&first, "ETag", etag));
        bool marked = false;
        for (size_t at = 0; !marked && at + sizeof mark <= first.body.len; at++) {
            marked = memcmp(first.body.data + at, mark, sizeof mark - 1) == 0;
        }
        assert_true(marked);
    }
    get_model(running->port, job.id, "32", &none);
    assert_status(&none, 404);
}

static void a_job_is_timed_as_its_device_runs(void **state)
{
    const struct running *running = *state;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(reply) told = {0};
    start_profile(running->port);
    register_with(running->port, "\"threads\":3,\"batch\":4", &told);
    assert_status(&told, 200);
    lease_job(running->port, &job);
    assert_int_equal(job.protocol.threads, 3);
    assert_int_equal(job.protocol.batch, 4);
}

static void a_job_has_no_models_before_it_is_leased(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(reply) reply = {0};
    start_profile(running->port);
    get_json(running->port, "/jobs?state=queued&page_size=1", &doc);
    get_model(running->port, json_string_value(json_at(doc.root, "items.0.id")), "anchor", &reply);
    assert_status(&reply, 409);
}

struct lease_waiter {
    uint16_t port;
    struct reply reply;
};

static void *lease_waiter_run(void *arg)
{
    struct lease_waiter *waiter = arg;
    lease(waiter->port, "Prefer: wait=20", &waiter->reply);
    return NULL;
}

static void a_parked_lease_wakes_when_a_job_is_queued(void **state)
{
    const struct running *running = *state;
    struct lease_waiter waiter = {.port = running->port};
    TL_AUTO(reply) device = {0};
    TL_AUTO(reply) jobs = {0};
    pthread_t thread;
    register_device(running->port, "dev", KEY, &device);
    int64_t begin_ns = tl_clock_mono_ns();
    assert_int_equal(pthread_create(&thread, NULL, lease_waiter_run, &waiter), 0);
    tl_sleep_ns(20000000); /* so that it is mostly parked by then; either order must work */
    http_call(running->port, "POST", "/jobs", "{\"kind\":\"profile\",\"device\":\"dev\",\"space\":\"nasbench-macro\"}",
              &jobs);
    assert_status(&jobs, 202);
    pthread_join(thread, NULL);
    assert_status(&waiter.reply, 200);
    assert_true(tl_clock_mono_ns() - begin_ns < INT64_C(10000000000));
    reply_done(&waiter.reply);
}

static void a_lease_without_work_is_204(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) device = {0};
    TL_AUTO(reply) at_once = {0};
    TL_AUTO(reply) later = {0};
    register_device(running->port, "dev", KEY, &device);
    lease(running->port, NULL, &at_once);
    assert_status(&at_once, 204);
    lease(running->port, "Prefer: wait=0.1", &later);
    assert_status(&later, 204);
}

/* ---- measurements -------------------------------------------------------------------------------------------- */

static const char ID[] = "01930000-0000-7000-8000-000000000001";

static void the_same_bytes_again_are_200_and_others_409(void **state)
{
    const struct running *running = *state;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(tl_buf) body = {0};
    TL_AUTO(tl_buf) other = {0};
    TL_AUTO(reply) first = {0};
    TL_AUTO(reply) again = {0};
    TL_AUTO(reply) conflict = {0};
    start_profile(running->port);
    lease_job(running->port, &job);
    measure(&job, 0, 2000000, 1000000, &body);
    measure(&job, 0, 2100000, 1000000, &other);
    put_measurement(running->port, ID, body.data, &first);
    assert_status(&first, 201);
    put_measurement(running->port, ID, body.data, &again);
    assert_status(&again, 200);
    put_measurement(running->port, ID, other.data, &conflict);
    assert_status(&conflict, 409);
    assert_int_equal(get_count(running->port, "/measurements"), 1);
}

static void a_measurement_is_shown_with_its_verdict_and_without_the_key(void **state)
{
    const struct running *running = *state;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(tl_buf) body = {0};
    TL_AUTO(reply) put = {0};
    TL_AUTO(tl_json) doc = {0};
    char path[96];
    start_profile(running->port);
    lease_job(running->port, &job);
    measure(&job, 0, 2000000, 1000000, &body);
    put_measurement(running->port, ID, body.data, &put);
    (void)snprintf(path, sizeof path, "/measurements/%s", ID);
    get_json(running->port, path, &doc);
    assert_string_equal(json_string_value(json_at(doc.root, "verdict")), "stable");
    assert_true(fabs(json_number_value(json_at(doc.root, "ratio")) - 2.0) < 1e-3);
    assert_true(json_is_null(json_at(doc.root, "corrected_ms")));
    assert_true(json_is_false(json_at(doc.root, "late")));
    assert_true(fabs(json_number_value(json_at(doc.root, "summary.median_ms")) - 2.0) < 1e-2);
    assert_int_equal(json_array_size(json_at(doc.root, "body.item_ns")), ROUNDS);
    assert_null(json_at(doc.root, "body.agent_key"));
}

static void what_comes_after_the_end_of_its_lease_is_stored_and_marked(void **state)
{
    const struct running *running = *state;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(tl_buf) body = {0};
    TL_AUTO(reply) done = {0};
    TL_AUTO(reply) put = {0};
    TL_AUTO(tl_json) doc = {0};
    start_profile(running->port);
    lease_job(running->port, &job);
    measure(&job, 0, 2000000, 1000000, &body);
    job_verb(running->port, &job, "complete", "", &done);
    put_measurement(running->port, ID, body.data, &put);
    assert_status(&put, 201);
    get_json(running->port, "/measurements?device=dev", &doc);
    assert_true(json_is_true(json_at(doc.root, "items.0.late")));
}

/* Replace the first `from` in an upload; the text must be there. */
static void change(struct tl_buf *body, const char *from, const char *to)
{
    TL_AUTO(tl_buf) changed = {.max = 1 << 20};
    const char *at = strstr(body->data, from);
    if (!at) {
        fail_msg("%s is not in %s", from, body->data);
        return;
    }
    assert_ok(tl_buf_add(&changed, body->data, (size_t)(at - body->data), &err));
    assert_ok(tl_buf_add(&changed, to, strlen(to), &err));
    assert_ok(tl_buf_add(&changed, at + strlen(from), strlen(at + strlen(from)), &err));
    struct tl_buf old = *body;
    *body = changed;
    changed = old;
}

static void hostile_uploads_are_refused_by_field_and_nothing_is_stored(void **state)
{
    static const struct {
        const char *from, *to;
        int status;
        const char *pointer;
    } lies[] = {
        {"[[2000000,", "[[999,", 422, "/item_ns/0/0"}, /* shorter than a clock can tell */
        {"[[2000000,", "[[-5,", 422, "/item_ns/0/0"},
        {"[[2000000,", "[[1e30,", 422, "/item_ns/0/0"},
        {"[[2000000,", "[[\"x\",", 422, "/item_ns/0/0"},
        {"[[2000000,", "[[null,", 422, "/item_ns/0/0"},
        {"[[2000000,2000001,2000002]", "[[]", 422, "/item_ns/0"}, /* a block without runs */
        {"\"anchor_ns\":[[1000000,1000001,1000002],", "\"anchor_ns\":[", 422, "/anchor_ns"},
        {"\"item\":0", "\"item\":31", 422, "/item"},
        {"\"item\":0", "\"item\":-1", 422, "/item"},
        {"\"attempt\":1", "\"attempt\":0", 422, "/attempt"},
        {"\"duration_s\":1.5", "\"duration_s\":\"long\"", 422, "/duration_s"},
        {"\"started\":\"2026", "\"started\":\"soon 2026", 422, "/started"},
        {"\"kind\":\"network\"", "\"kind\":\"block\"", 422, "/kind"},
        {"\"kind\":\"network\"", "\"kind\":\"brick\"", 422, "/kind"},
        {"\"subject\":\"", "\"subject\":\"x", 422, "/subject"},
        {"\"device\":\"dev\"", "\"device\":\"other\"", 422, "/device"},
        {"\"device\":\"dev\"", "\"device\":\"dev\",\"colour\":1", 422, "/colour"},
    };
    const struct running *running = *state;
    TL_AUTO(lat_job) job = {0};
    start_profile(running->port);
    lease_job(running->port, &job);
    assert_false(job.items[0].is_block);
    for (size_t i = 0; i < TL_COUNT_OF(lies); i++) {
        TL_AUTO(tl_buf) body = {0};
        TL_AUTO(reply) reply = {0};
        measure(&job, 0, 2000000, 1000000, &body);
        change(&body, lies[i].from, lies[i].to);
        put_measurement(running->port, ID, body.data, &reply);
        assert_problem(&reply, lies[i].status, lies[i].pointer);
    }
    assert_int_equal(get_count(running->port, "/measurements"), 0);
}

static void uploads_that_cannot_be_read_or_name_nothing_are_refused(void **state)
{
    const struct running *running = *state;
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(tl_buf) body = {0};
    TL_AUTO(reply) nan = {0};
    TL_AUTO(reply) id = {0};
    TL_AUTO(reply) unknown = {0};
    TL_AUTO(reply) key = {0};
    start_profile(running->port);
    lease_job(running->port, &job);
    put_measurement(running->port, ID, "{\"item_ns\":[[NaN]]}", &nan);
    assert_status(&nan, 400);
    measure(&job, 0, 2000000, 1000000, &body);
    put_measurement(running->port, "not-a-uuid", body.data, &id);
    assert_status(&id, 422);
    change(&body, job.id, "01930000-0000-7000-8000-00000000dead");
    put_measurement(running->port, ID, body.data, &unknown);
    assert_problem(&unknown, 422, "/job");
    tl_buf_done(&body);
    measure(&job, 0, 2000000, 1000000, &body);
    change(&body, KEY, OTHER_KEY);
    put_measurement(running->port, ID, body.data, &key);
    assert_status(&key, 409);
    assert_int_equal(get_count(running->port, "/measurements"), 0);
}

/* The anchor's reference is the lower quartile over the first eight stable visits; items of one job are one visit. */
static void the_anchor_is_fixed_by_eight_visits_and_a_job_counts_once(void **state)
{
    const struct running *running = *state;
    start_profile(running->port);
    for (int visit = 0; visit < LAT_REFERENCE_VISITS; visit++) {
        TL_AUTO(lat_job) job = {0};
        TL_AUTO(reply) done = {0};
        TL_AUTO(tl_json) doc = {0};
        get_json(running->port, "/devices/dev", &doc);
        assert_true(json_is_null(json_at(doc.root, "anchor_reference_ms")));
        lease_job(running->port, &job);
        for (size_t item = 0; item < 2 && item < job.n_items; item++) {
            TL_AUTO(tl_buf) body = {0};
            TL_AUTO(reply) put = {0};
            char id[TL_UUID_TEXT];
            tl_uuid(id);
            measure(&job, item, 2000000, 1000000 + visit * 100000, &body);
            put_measurement(running->port, id, body.data, &put);
            assert_status(&put, 201);
        }
        job_verb(running->port, &job, "complete", "", &done);
    }
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(tl_json) rows = {0};
    get_json(running->port, "/devices/dev", &doc);
    double reference_ms = json_number_value(json_at(doc.root, "anchor_reference_ms"));
    assert_true(fabs(reference_ms - 1.175) < 0.001); /* 1.0 .. 1.7 ms in steps of 0.1: type 7 quantile at 0.25 */
    get_json(running->port, "/measurements?page_size=1", &rows);
    assert_true(fabs(json_number_value(json_at(rows.root, "items.0.corrected_ms")) - 2.0 * reference_ms) < 0.002);
}

enum { UPLOADERS = 8 };

struct uploader {
    const char *body;
    pthread_t thread;
    int status;
    uint16_t port;
};

static void *uploader_run(void *arg)
{
    struct uploader *uploader = arg;
    TL_AUTO(reply) reply = {0};
    put_measurement(uploader->port, ID, uploader->body, &reply);
    uploader->status = reply.status;
    return NULL;
}

static void of_many_that_send_the_same_at_once_one_stores_it(void **state)
{
    const struct running *running = *state;
    struct uploader uploaders[UPLOADERS];
    TL_AUTO(lat_job) job = {0};
    TL_AUTO(tl_buf) body = {0};
    int created = 0;
    start_profile(running->port);
    lease_job(running->port, &job);
    measure(&job, 0, 2000000, 1000000, &body);
    for (size_t i = 0; i < UPLOADERS; i++) {
        uploaders[i] = (struct uploader){.port = running->port, .body = body.data};
        assert_int_equal(pthread_create(&uploaders[i].thread, NULL, uploader_run, &uploaders[i]), 0);
    }
    for (size_t i = 0; i < UPLOADERS; i++) {
        pthread_join(uploaders[i].thread, NULL);
        assert_true(uploaders[i].status == 201 || uploaders[i].status == 200);
        created += uploaders[i].status == 201;
    }
    assert_int_equal(created, 1);
    assert_int_equal(get_count(running->port, "/measurements"), 1);
}

#define served(test) cmocka_unit_test_setup_teardown(test, service_setup, service_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(a_device_registers_once_and_is_shown),
        served(a_name_belongs_to_the_agent_that_took_it_first),
        served(a_known_etag_of_a_device_is_304),
        served(another_runtime_is_another_device),
        served(a_profile_is_queued_once),
        served(jobs_come_in_pages),
        served(asking_twice_for_work_leads_to_the_same_lease),
        served(a_lease_is_renewed_and_ended_by_its_attempt),
        served(a_failed_job_says_why),
        served(a_leased_job_has_its_networks_as_models_for_timing_alone),
        served(a_job_has_no_models_before_it_is_leased),
        served(a_job_is_timed_as_its_device_runs),
        served(a_parked_lease_wakes_when_a_job_is_queued),
        served(a_lease_without_work_is_204),
        served(the_same_bytes_again_are_200_and_others_409),
        served(a_measurement_is_shown_with_its_verdict_and_without_the_key),
        served(what_comes_after_the_end_of_its_lease_is_stored_and_marked),
        served(hostile_uploads_are_refused_by_field_and_nothing_is_stored),
        served(uploads_that_cannot_be_read_or_name_nothing_are_refused),
        served(the_anchor_is_fixed_by_eight_visits_and_a_job_counts_once),
        served(of_many_that_send_the_same_at_once_one_stores_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
