/* service_fixture.h - a whole service on a port of its own and a store in a folder of its own, in this process; and a
 * device that answers with made-up nanoseconds.
 */
#ifndef TAILOR_TESTS_HTTP_SERVICE_FIXTURE_H
#define TAILOR_TESTS_HTTP_SERVICE_FIXTURE_H

#include "base/model/model.h"
#include "latency/codec_job.h"
#include "latency/codec_measurement.h"
#include "server/access.h"
#include "server/flow.h"
#include "server/routes.h"
#include "server/snapshots.h"
#include "server/spaces.h"
#include "tests/agent_folder.h"
#include "tests/http/client.h"

struct running {
    struct service service;
    uint16_t port;
    char *folder; /* owned */
    bool tokens_required;
};

#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        struct tl_err err = {0};                                                                                       \
        if ((call) != TL_OK) {                                                                                         \
            fail_msg("%s", err.text);                                                                                  \
        }                                                                                                              \
    } while (0)

/* Everything but the folder. */
static inline void service_resume(struct running *running)
{
    const struct http_config config = {.host = "127.0.0.1",
                                       .admit = access_admit,
                                       .tokens_required = running->tokens_required,
                                       .connections_max = 128,
                                       .routes = routes_all,
                                       .n_routes = routes_count,
                                       .service = &running->service};
    running->service = (struct service){0};
    assert_ok(store_open(running->folder, NULL, &running->service.store, &err));
    assert_ok(access_new(running->service.store, running->tokens_required, &running->service.access, &err));
    assert_ok(spaces_new(running->service.store, &running->service.spaces, &err));
    assert_ok(snapshots_new(running->service.store, running->service.spaces, &running->service.snapshots, &err));
    assert_ok(http_new(&config, &running->service.http, &err));
    assert_ok(flow_start(&running->service, &running->service.flow, &err));
    assert_ok(http_start(running->service.http, &err));
    running->port = http_port(running->service.http);
}

static inline void service_pause(struct running *running)
{
    http_stop(running->service.http);
    flow_stop(running->service.flow);
    http_free(running->service.http);
    snapshots_free(running->service.snapshots);
    spaces_free(running->service.spaces);
    access_free(running->service.access);
    store_close(running->service.store);
}

/* cmocka setup: *state is the running service. */
static inline int service_setup(void **state)
{
    struct running *running = calloc(1, sizeof *running);
    void *folder = NULL;
    assert_non_null(running);
    assert_int_equal(folder_make(&folder), 0);
    running->folder = folder;
    model_blas_single_thread();
    service_resume(running);
    *state = running;
    return 0;
}

static inline int service_teardown(void **state)
{
    struct running *running = *state;
    void *folder = running->folder;
    service_pause(running);
    free(running);
    return folder_remove(&folder);
}

/* ---- documents ----------------------------------------------------------------------------------------------- */

/* The value at a path like "items.0.verdict"; NULL: nothing there. Borrowed from doc. */
static inline json_t *json_at(json_t *json, const char *path)
{
    while (json && *path) {
        char name[64];
        size_t n = strcspn(path, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, path);
        json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10)) : json_object_get(json, name);
        path += n + (path[n] == '.');
    }
    return json;
}

/* GET a document that must be there. Owned: tl_json_done. */
static inline void get_json(uint16_t port, const char *path, struct tl_json *ret_doc)
{
    TL_AUTO(reply) reply = {0};
    http_call(port, "GET", path, NULL, &reply);
    assert_status(&reply, 200);
    ret_doc->root = json_loadb(reply.body.data, reply.body.len, 0, NULL);
    assert_non_null(ret_doc->root);
}

static inline int64_t get_int(uint16_t port, const char *path, const char *field)
{
    TL_AUTO(tl_json) doc = {0};
    get_json(port, path, &doc);
    json_t *value = json_at(doc.root, field);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static inline size_t get_count(uint16_t port, const char *path)
{
    TL_AUTO(tl_json) doc = {0};
    get_json(port, path, &doc);
    return json_array_size(json_object_get(doc.root, "items"));
}

/* ---- a device ------------------------------------------------------------------------------------------------ */

static const char KEY[] = "00112233445566778899aabbccddeeff", OTHER_KEY[] = "ffeeddccbbaa99887766554433221100";

static inline void register_device(uint16_t port, const char *name, const char *key, struct reply *ret_reply)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"%s\",\"agent_key\":\"%s\",\"info\":{\"cpu\":\"made up\",\"cores\":2}}", name, key);
    http_call(port, "POST", "/devices", body, ret_reply);
}

/* A device "dev" with the profile of the smallest space queued. */
static inline void start_profile(uint16_t port)
{
    TL_AUTO(reply) device = {0};
    TL_AUTO(reply) jobs = {0};
    register_device(port, "dev", KEY, &device);
    assert_status(&device, 201);
    http_call(port, "POST", "/jobs", "{\"kind\":\"profile\",\"device\":\"dev\",\"space\":\"nasbench-macro\"}", &jobs);
    assert_status(&jobs, 202);
}

static inline void lease(uint16_t port, const char *prefer, struct reply *ret_reply)
{
    char body[128];
    (void)snprintf(body, sizeof body, "{\"device\":\"dev\",\"agent_key\":\"%s\"}", KEY);
    http_do(port,
            &(struct request){
                .method = "POST", .path = "/jobs:lease", .headers = {prefer}, .body = body, .n = strlen(body)},
            ret_reply);
}

/* Lease a job that must be there, as the agent reads it. */
static inline void lease_job(uint16_t port, struct lat_job *ret_job)
{
    TL_AUTO(reply) reply = {0};
    lease(port, NULL, &reply);
    assert_status(&reply, 200);
    assert_ok(lat_job_decode(reply.body.data, reply.body.len, ret_job, &err));
}

static inline void job_verb(uint16_t port, const struct lat_job *job, const char *verb, const char *more,
                            struct reply *ret_reply)
{
    char path[96], body[256];
    (void)snprintf(path, sizeof path, "/jobs/%s:%s", job->id, verb);
    (void)snprintf(body, sizeof body, "{\"attempt\":%lld,\"agent_key\":\"%s\"%s}", (long long)job->attempt, KEY, more);
    http_call(port, "POST", path, body, ret_reply);
}

enum { ROUNDS = 4, RUNS = 3 };

/* What the device says of item `item`: every run took item_ns, its anchor anchor_ns. */
static inline void measure(const struct lat_job *job, size_t item, int64_t item_ns, int64_t anchor_ns,
                           struct tl_buf *ret_body)
{
    int64_t item_runs[ROUNDS * RUNS], anchor_runs[(ROUNDS + 1) * RUNS];
    uint16_t counts[ROUNDS + 1];
    for (size_t i = 0; i < TL_COUNT_OF(anchor_runs); i++) {
        anchor_runs[i] = anchor_ns + (int64_t)i;
    }
    for (size_t i = 0; i < TL_COUNT_OF(item_runs); i++) {
        item_runs[i] = item_ns + (int64_t)i;
    }
    for (size_t i = 0; i < TL_COUNT_OF(counts); i++) {
        counts[i] = RUNS;
    }
    struct lat_measurement measurement = {
        .attempt = job->attempt,
        .item = item,
        .is_block = job->items[item].is_block,
        .visit = {ROUNDS, counts, item_runs, counts, anchor_runs, 0.0, 0.0},
        .started = "2026-11-21T06:30:00.123Z",
        .duration_s = 1.5,
        .context = {.threads = 1, .isa = "plain", .agent = "test", .governor = ""},
    };
    (void)snprintf(measurement.device, sizeof measurement.device, "dev");
    (void)snprintf(measurement.agent_key, sizeof measurement.agent_key, "%s", KEY);
    (void)snprintf(measurement.job, sizeof measurement.job, "%s", job->id);
    (void)snprintf(measurement.subject, sizeof measurement.subject, "%s", job->items[item].subject);
    *ret_body = (struct tl_buf){.max = 1 << 20};
    assert_ok(lat_measurement_encode(&measurement, ret_body, &err));
}

static inline void put_measurement(uint16_t port, const char *id, const char *body, struct reply *ret_reply)
{
    char path[96];
    (void)snprintf(path, sizeof path, "/measurements/%s", id);
    http_call(port, "PUT", path, body, ret_reply);
}

#endif
