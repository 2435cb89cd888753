/* test_service.c - what every part of the API shares: broken requests and their pointers, lists, artifacts, models, the
 * description.
 */
#include "server/command.h"
#include "tests/data.h"
#include "tests/http/service_fixture.h"

/* ---- broken requests ----------------------------------------------------------------------------------------- */

static void broken_json_is_400_with_the_place(void **state)
{
    static const char *const paths[] = {"/search", "/devices", "/jobs", "/jobs:lease", "/models"};
    static const char *const texts[] = {"",        "{", "[1,]", "{\"a\":1,\"a\":2}", "{} {}", "{\"a\":\"\\u0000\"}",
                                        "nonsense"};
    const struct running *running = *state;
    for (size_t p = 0; p < TL_COUNT_OF(paths); p++) {
        for (size_t t = 0; t < TL_COUNT_OF(texts); t++) {
            TL_AUTO(reply) reply = {0};
            http_call(running->port, "POST", paths[p], texts[t], &reply);
            assert_status(&reply, 400);
            assert_says(&reply, "line ");
        }
    }
}

static void deep_nesting_is_refused(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    char text[2001];
    memset(text, '[', 2000);
    text[2000] = '\0';
    http_call(running->port, "POST", "/search", text, &reply);
    assert_status(&reply, 400);
}

#define HASH "00112233445566778899aabbccddeeff"

static void a_wrong_field_is_named_by_its_pointer(void **state)
{
    static const struct {
        const char *path, *body, *pointer;
    } cases[] = {
        {"/devices", "{\"agent_key\":\"" HASH "\"}", "/name"},
        {"/devices", "{\"name\":\"Two Words\",\"agent_key\":\"" HASH "\"}", "/name"},
        {"/devices", "{\"name\":\"a\",\"agent_key\":\"short\"}", "/agent_key"},
        {"/devices", "{\"name\":\"a\",\"agent_key\":\"" HASH "\",\"info\":[]}", "/info"},
        {"/devices", "{\"name\":\"a\",\"agent_key\":\"" HASH "\",\"info\":{\"cpu\":{}}}", "/info/cpu"},
        {"/devices", "{\"name\":\"a\",\"agent_key\":\"" HASH "\",\"colour\":1}", "/colour"},
        {"/jobs", "{\"kind\":\"paint\",\"device\":\"a\",\"space\":\"nasbench-macro\"}", "/kind"},
        {"/jobs", "{\"kind\":\"profile\",\"device\":\"a\",\"space\":\"nasbench-macro\"}", "/device"},
        {"/jobs", "{\"kind\":\"profile\",\"device\":\"a\",\"space\":\"nowhere\"}", "/space"},
        {"/jobs", "{\"kind\":\"profile\",\"device\":\"a\",\"space\":\"b\",\"resolution\":0}", "/resolution"},
        {"/jobs:lease", "{\"device\":\"a\"}", "/agent_key"},
        {"/jobs/x:renew", "{\"attempt\":\"1\",\"agent_key\":\"" HASH "\"}", "/attempt"},
        {"/jobs/x:fail", "{\"attempt\":1,\"agent_key\":\"" HASH "\",\"reason\":\"\"}", "/reason"},
        {"/models", "{\"kind\":\"colour\"}", "/kind"},
        {"/models", "{\"kind\":\"accuracy\",\"format\":\"ofa-lut\"}", "/format"},
        {"/models", "{\"kind\":\"accuracy\",\"format\":\"ofa-mlp\",\"space\":\"s\",\"artifact\":1}", "/artifact"},
        {"/models", "{\"kind\":\"accuracy\",\"format\":\"ofa-mlp\",\"space\":\"s\",\"artifact\":\"" HASH "\"}",
         "/space"},
        {"/models",
         "{\"kind\":\"accuracy\",\"format\":\"ofa-mlp\",\"space\":\"ofa-mbv3-w1.2\",\"artifact\":\"" HASH "\"}",
         "/artifact"},
        {"/models", "{\"kind\":\"latency\",\"format\":\"ofa-lut\",\"space\":\"s\",\"device\":\"d\",\"tables\":[]}",
         "/tables"},
        {"/models",
         "{\"kind\":\"latency\",\"format\":\"ofa-lut\",\"space\":\"s\",\"device\":\"d\",\"tables\":[{\"resolution\":9}]}",
         "/tables/0/artifact"},
        {"/search", "{}", "/space"},
        {"/search", "{\"space\":\"ofa-mbv3-w1.0\",\"constraints\":[{\"metric\":\"macs\",\"max\":-1}]}",
         "/constraints/0/max"},
        {"/search", "{\"space\":\"ofa-mbv3-w1.0\",\"constraints\":[{\"metric\":\"mac\",\"max\":1}]}",
         "/constraints/0/metric"},
        {"/search", "{\"space\":\"ofa-mbv3-w1.0\",\"device\":\"nobody\"}", "/device"},
        {"/search", "{\"space\":\"nowhere\"}", "/space"},
    };
    const struct running *running = *state;
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        TL_AUTO(reply) reply = {0};
        http_call(running->port, "POST", cases[i].path, cases[i].body, &reply);
        assert_problem(&reply, 422, cases[i].pointer);
    }
    assert_int_equal(get_count(running->port, "/devices"), 0);
    assert_int_equal(get_count(running->port, "/search"), 0);
}

static void unknown_query_parameters_are_refused_everywhere(void **state)
{
    static const char *const paths[] = {
        "/spaces", "/spaces/nasbench-macro", "/models", "/controllers", "/search", "/devices", "/devices/x",
        "/jobs",   "/measurements"};
    const struct running *running = *state;
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        TL_AUTO(reply) reply = {0};
        char path[64];
        (void)snprintf(path, sizeof path, "%s?colour=red", paths[i]);
        http_call(running->port, "GET", path, NULL, &reply);
        assert_status(&reply, 422);
        assert_says(&reply, "colour");
    }
}

static void pages_have_bounds(void **state)
{
    static const char *const wrong[] = {"page_size=0", "page_size=1001", "page_size=x", "page_token=-1",
                                        "page_token=x"};
    const struct running *running = *state;
    for (size_t i = 0; i < TL_COUNT_OF(wrong); i++) {
        TL_AUTO(reply) reply = {0};
        char path[64];
        (void)snprintf(path, sizeof path, "/devices?%s", wrong[i]);
        http_call(running->port, "GET", path, NULL, &reply);
        assert_status(&reply, 422);
    }
}

static void what_is_not_there_is_404(void **state)
{
    static const char *const paths[] = {"/spaces/nowhere",
                                        "/devices/nobody",
                                        "/artifacts/" HASH,
                                        "/snapshots/" HASH,
                                        "/search/01930000-0000-7000-8000-000000000001",
                                        "/measurements/01930000-0000-7000-8000-000000000001",
                                        "/candidates/7",
                                        "/nowhere",
                                        "/index.php"};
    const struct running *running = *state;
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        TL_AUTO(reply) reply = {0};
        http_call(running->port, "GET", paths[i], NULL, &reply);
        assert_status(&reply, 404);
        assert_true(reply_has(&reply, "Content-Type", "application/problem+json"));
    }
    TL_AUTO(reply) job = {0};
    http_call(running->port, "POST", "/jobs/01930000-0000-7000-8000-000000000001:complete",
              "{\"attempt\":1,\"agent_key\":\"" HASH "\"}", &job);
    assert_status(&job, 404);
}

static void head_works_wherever_get_does(void **state)
{
    static const char *const paths[] = {"/livez",  "/readyz",      "/version",     "/openapi.json",
                                        "/spaces", "/controllers", "/models",      "/devices",
                                        "/jobs",   "/search",      "/measurements"};
    const struct running *running = *state;
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        TL_AUTO(reply) head = {0};
        TL_AUTO(reply) get = {0};
        char length[32];
        http_call(running->port, "HEAD", paths[i], NULL, &head);
        http_call(running->port, "GET", paths[i], NULL, &get);
        assert_status(&head, 200);
        assert_status(&get, 200);
        assert_int_equal(head.body.len, 0);
        reply_header(&head, "Content-Length", length, sizeof length);
        assert_int_equal(strtoul(length, NULL, 10), get.body.len);
    }
}

/* ---- the description ----------------------------------------------------------------------------------------- */

/* "/jobs/{}:renew" as the description writes it: "/jobs/{id}:renew". */
static bool described(json_t *paths, const char *pattern, const char *method)
{
    const char *path = NULL;
    json_t *operations = NULL;
    json_object_foreach(paths, path, operations)
    {
        const char *at = path, *want = pattern;
        while (*at && *want) {
            if (*at == '{' && strncmp(want, "{}", 2) == 0) {
                at += strcspn(at, "}") + 1;
                want += 2;
            } else if (*at++ != *want++) {
                want = "?";
                break;
            }
        }
        char lower[8] = "";
        for (size_t i = 0; method[i] && i + 1 < sizeof lower; i++) {
            lower[i] = (char)(method[i] - 'A' + 'a');
        }
        if (!*at && !*want && json_object_get(operations, lower)) {
            return true;
        }
    }
    return false;
}

static void the_description_names_every_route_and_no_other(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) doc = {0};
    size_t n_described = 0, n_routes = 0;
    const char *path = NULL;
    json_t *operations = NULL;
    get_json(running->port, "/openapi.json", &doc);
    json_t *paths = json_at(doc.root, "paths");
    for (size_t i = 0; i < routes_count; i++) {
        if (strcmp(routes_all[i].pattern, "*") != 0) {
            n_routes++;
            if (!described(paths, routes_all[i].pattern, routes_all[i].method)) {
                fail_msg("openapi.json does not describe %s %s", routes_all[i].method, routes_all[i].pattern);
            }
        }
    }
    json_object_foreach(paths, path, operations)
    {
        n_described += json_object_size(operations);
    }
    assert_int_equal(n_described, n_routes);
}

static void description_and_help_name_every_controller(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) description = {0};
    TL_AUTO(tl_json) doc = {0};
    get_json(running->port, "/openapi.json", &description);
    get_json(running->port, "/controllers", &doc);
    const json_t *described = json_at(description.root, "components.schemas.Controller.enum");
    const json_t *listed = json_at(doc.root, "controllers");
    assert_int_equal(json_array_size(listed), search_controller_count());
    assert_int_equal(json_array_size(described), search_controller_count());
    for (size_t i = 0; i < search_controller_count(); i++) {
        const struct search_controller_ops *ops = search_controller_at(i);
        json_t *item = json_array_get(listed, i);
        assert_string_equal(json_string_value(json_array_get(described, i)), ops->name);
        assert_string_equal(json_string_value(json_object_get(item, "name")), ops->name);
        assert_string_equal(json_string_value(json_object_get(item, "help")), ops->help);
        assert_int_equal(json_is_true(json_object_get(item, "rewards")), ops->rewards);
        assert_non_null(strstr(command_search.help, ops->name));
    }
    assert_true(
        json_equal(json_at(doc.root, "rewards"),
                   json_at(description.root, "components.schemas.SearchRequest.properties.controller.properties."
                                             "reward.enum")));
    const char *usual = json_string_value(json_at(doc.root, "default"));
    assert_non_null(search_controller_get(usual));
    assert_string_equal(
        usual, json_string_value(json_at(description.root,
                                         "components.schemas.SearchRequest.properties.controller.properties.name."
                                         "default")));
}

static void a_space_tells_its_size_and_its_variables(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(tl_json) shipped = {0};
    get_json(running->port, "/spaces/nasbench-macro", &doc);
    assert_string_equal(json_string_value(json_at(doc.root, "count")), "6561"); /* 3^8 */
    assert_int_equal(json_array_size(json_at(doc.root, "variables")), 9);
    assert_string_equal(json_string_value(json_at(doc.root, "variables.1.options.2")), "k5e6");
    assert_true(json_is_null(json_at(doc.root, "accuracy_model")));
    get_json(running->port, "/spaces/ofa-mbv3-w1.0", &shipped);
    assert_true(json_is_string(json_at(shipped.root, "accuracy_model.hash")));
    assert_int_equal(get_count(running->port, "/spaces"), 8 + 11);
    assert_int_equal(get_count(running->port, "/spaces?page_size=2"), 2);
    assert_int_equal(get_count(running->port, "/spaces?page_size=2&page_token=18"), 1);
}

/* ---- artifacts and models ------------------------------------------------------------------------------------ */

static void put_artifact(uint16_t port, const void *bytes, size_t n, char ret_name[TL_HASH_TEXT],
                         struct reply *ret_reply)
{
    struct tl_hash hash = tl_hash_of(bytes, n);
    char path[64];
    tl_hash_format(&hash, ret_name);
    (void)snprintf(path, sizeof path, "/artifacts/%s", ret_name);
    http_do(port, &(struct request){.method = "PUT", .path = path, .body = bytes, .n = n}, ret_reply);
}

static void an_artifact_is_what_its_hash_says(void **state)
{
    const struct running *running = *state;
    static const char bytes[] = "any\0bytes";
    TL_AUTO(reply) wrong = {0};
    TL_AUTO(reply) name = {0};
    TL_AUTO(reply) first = {0};
    TL_AUTO(reply) again = {0};
    TL_AUTO(reply) back = {0};
    char hash[TL_HASH_TEXT], path[64];
    http_do(running->port,
            &(struct request){.method = "PUT", .path = "/artifacts/" HASH, .body = bytes, .n = sizeof bytes}, &wrong);
    assert_status(&wrong, 422);
    http_do(running->port, &(struct request){.method = "PUT", .path = "/artifacts/x", .body = "a", .n = 1}, &name);
    assert_status(&name, 422);
    put_artifact(running->port, bytes, sizeof bytes, hash, &first);
    assert_status(&first, 201);
    put_artifact(running->port, bytes, sizeof bytes, hash, &again);
    assert_status(&again, 200);
    (void)snprintf(path, sizeof path, "/artifacts/%s", hash);
    http_call(running->port, "GET", path, NULL, &back);
    assert_status(&back, 200);
    assert_int_equal(back.body.len, sizeof bytes);
    assert_memory_equal(back.body.data, bytes, sizeof bytes);
    assert_true(reply_has(&back, "Cache-Control", "public, max-age=31536000, immutable"));
}

static void bytes_that_are_no_model_are_refused(void **state)
{
    static const char *const requests[] = {
        "{\"kind\":\"accuracy\",\"format\":\"ofa-mlp\",\"space\":\"ofa-mbv3-w1.2\",\"artifact\":\"%s\"}",
        "{\"kind\":\"accuracy\",\"format\":\"tailor\",\"space\":\"ofa-mbv3-w1.2\",\"artifact\":\"%s\"}",
        "{\"kind\":\"latency\",\"format\":\"tailor\",\"space\":\"ofa-mbv3-w1.2\",\"device\":\"d\",\"artifact\":\"%s\"}",
        ("{\"kind\":\"latency\",\"format\":\"ofa-lut\",\"space\":\"ofa-mbv3-w1.2\",\"device\":\"d\",\"tables\":"
         "[{\"resolution\":160,\"artifact\":\"%s\"}]}"),
    };
    const struct running *running = *state;
    TL_AUTO(reply) put = {0};
    char hash[TL_HASH_TEXT];
    put_artifact(running->port, "garbage: [", 10, hash, &put);
    assert_status(&put, 201);
    for (size_t i = 0; i < TL_COUNT_OF(requests); i++) {
        TL_AUTO(reply) reply = {0};
        char body[256];
        const char *hole = strstr(requests[i], "%s");
        (void)snprintf(body, sizeof body, "%.*s%s%s", (int)(hole - requests[i]), requests[i], hash, hole + 2);
        http_call(running->port, "POST", "/models", body, &reply);
        if (reply.status != 400 && reply.status != 422) {
            fail_msg("%s: %s", body, reply.body.data);
        }
    }
    assert_int_equal(get_count(running->port, "/devices"), 0);
    assert_int_equal(get_count(running->port, "/models"), 3); /* the shipped ones */
}

static void upload_file(uint16_t port, const char *name, char ret_hash[TL_HASH_TEXT])
{
    TL_AUTO(tl_buf) bytes = {.max = STORE_BLOB_MAX};
    TL_AUTO(reply) put = {0};
    char path[DATA_PATH_MAX];
    data_path(name, path);
    assert_ok(tl_file_read(path, &bytes, &err));
    put_artifact(port, bytes.data, bytes.len, ret_hash, &put);
    assert_true(put.status == 201 || put.status == 200);
}

static void post_model(uint16_t port, const struct tl_buf *body)
{
    TL_AUTO(reply) reply = {0};
    http_call(port, "POST", "/models", body->data, &reply);
    assert_status(&reply, 201);
}

static void import_predictor(uint16_t port)
{
    TL_AUTO(tl_buf) body = {0};
    char hash[TL_HASH_TEXT];
    upload_file(port, "ofa_note10/acc_predictor.safetensors", hash);
    assert_ok(tl_buf_addf(
        &body, &err, "{\"kind\":\"accuracy\",\"format\":\"ofa-mlp\",\"space\":\"ofa-mbv3-w1.2\",\"artifact\":\"%s\"}",
        hash));
    post_model(port, &body);
}

static void import_tables(uint16_t port)
{
    TL_AUTO(tl_buf) body = {0};
    assert_ok(
        tl_buf_addf(&body, &err,
                    "{\"kind\":\"latency\",\"format\":\"ofa-lut\",\"space\":\"ofa-mbv3-w1.2\",\"device\":\"note10\","
                    "\"tables\":["));
    for (int resolution = 160; resolution <= 224; resolution += 16) {
        char name[64], hash[TL_HASH_TEXT];
        (void)snprintf(name, sizeof name, "ofa_note10/%d_lookup_table.yaml", resolution);
        upload_file(port, name, hash);
        assert_ok(tl_buf_addf(&body, &err, "%s{\"resolution\":%d,\"artifact\":\"%s\"}", resolution > 160 ? "," : "",
                              resolution, hash));
    }
    assert_ok(tl_buf_addf(&body, &err, "]}"));
    post_model(port, &body);
}

static void imported_tables_make_a_device_without_agent(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) device = {0};
    TL_AUTO(tl_json) space = {0};
    TL_AUTO(reply) profile = {0};
    import_predictor(running->port);
    import_tables(running->port);
    get_json(running->port, "/devices/note10", &device);
    assert_true(json_is_false(json_at(device.root, "online")));
    assert_string_equal(json_string_value(json_at(device.root, "models.0.space")), "ofa-mbv3-w1.2");
    assert_true(json_is_null(json_at(device.root, "models.0.mape")));
    get_json(running->port, "/spaces/ofa-mbv3-w1.2", &space);
    assert_string_equal(json_string_value(json_at(space.root, "devices.0")), "note10");
    assert_int_equal(get_count(running->port, "/models"), 5);
    http_call(running->port, "POST", "/jobs",
              "{\"kind\":\"profile\",\"device\":\"note10\",\"space\":\"ofa-mbv3-w1.2\"}", &profile);
    assert_problem(&profile, 422, "/device");
}

/* The table that came in goes out again, a resolution at a time. */
static void a_devices_model_leaves_as_a_lookup_table(void **state)
{
    static const char key[] = "Conv-input:160x160x3-output:80x80x24:\n  mean: ";
    static const struct {
        const char *query;
        int status;
    } refused[] = {{"", 422},
                   {"?space=ofa-mbv3-w1.2", 422},
                   {"?space=ofa-mbv3-w1.2&resolution=161", 422},
                   {"?space=ofa-mbv3-w1.2&resolution=160&style=x", 422},
                   {"?space=ofa-mbv3-w1.0&resolution=160", 404},
                   {"?space=unknown", 404}};
    const struct running *running = *state;
    TL_AUTO(reply) table = {0};
    import_tables(running->port);
    http_call(running->port, "GET", "/devices/note10/lut?space=ofa-mbv3-w1.2&resolution=160", NULL, &table);
    assert_status(&table, 200);
    const char *stem = strstr(table.body.data, key);
    assert_non_null(stem);
    assert_float_equal(strtod(stem + sizeof key - 1, NULL), 0.495562248995984, 1e-6);
    for (size_t i = 0; i < TL_COUNT_OF(refused); i++) {
        TL_AUTO(reply) reply = {0};
        char path[96];
        (void)snprintf(path, sizeof path, "/devices/note10/lut%s", refused[i].query);
        http_call(running->port, "GET", path, NULL, &reply);
        assert_status(&reply, refused[i].status);
    }
}

/* The tutorial's inputs through HTTP in one request: a prediction without interval, since nobody knows the errors. */
static void a_search_with_the_tutorials_inputs_answers_in_one_request(void **state)
{
    static const char body[] = "{\"space\":\"ofa-mbv3-w1.2\",\"device\":\"note10\",\"constraints\":"
                               "[{\"metric\":\"latency_ms\",\"max\":25}],\"budget\":{\"evaluations\":2000}}";
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    import_predictor(running->port);
    import_tables(running->port);
    http_do(
        running->port,
        &(struct request){
            .method = "POST", .path = "/search", .headers = {"Prefer: wait=60"}, .body = body, .n = sizeof body - 1},
        &reply);
    assert_status(&reply, 200);
    TL_AUTO(tl_json) doc = {.root = json_loadb(reply.body.data, reply.body.len, 0, NULL)};
    assert_string_equal(json_string_value(json_at(doc.root, "outcome")), "predicted");
    double latency_ms = json_number_value(json_at(doc.root, "answer.metrics.latency_ms.value"));
    double accuracy = json_number_value(json_at(doc.root, "answer.metrics.accuracy.value"));
    assert_true(latency_ms > 15 && latency_ms <= 25);
    assert_true(accuracy > 80 && accuracy < 85); /* once-for-all's own evolution: 81.4 to 81.9 with 50,000 */
    assert_true(json_is_null(json_at(doc.root, "answer.metrics.latency_ms.interval")));
    assert_int_equal(get_count(running->port, "/search?state=finished"), 1);
}

static double column(json_t *exported, const char *path, size_t at)
{
    return json_number_value(json_array_get(json_at(exported, path), at));
}

/* Macs are limited, yet no axis of the front: a network with fewer of them, but otherwise worse, is no member. */
static void the_front_spans_the_objectives_and_not_what_is_limited(void **state)
{
    static const char body[] = "{\"space\":\"ofa-mbv3-w1.0\",\"objectives\":[{\"maximize\":\"accuracy\"},"
                               "{\"minimize\":\"params\"}],\"constraints\":[{\"metric\":\"macs\",\"max\":3e8}],"
                               "\"budget\":{\"evaluations\":4000}}";
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    TL_AUTO(tl_json) exported = {0};
    char path[96];
    http_do(
        running->port,
        &(struct request){
            .method = "POST", .path = "/search", .headers = {"Prefer: wait=60"}, .body = body, .n = sizeof body - 1},
        &reply);
    assert_status(&reply, 200);
    TL_AUTO(tl_json) doc = {.root = json_loadb(reply.body.data, reply.body.len, 0, NULL)};
    (void)snprintf(path, sizeof path, "/search/%s/export", json_string_value(json_at(doc.root, "id")));
    get_json(running->port, path, &exported);
    const size_t n = json_array_size(json_at(exported.root, "front.params"));
    const size_t n_sample = json_array_size(json_at(exported.root, "sample.params"));
    assert_true(n > 10 && n_sample > 1000);
    for (size_t i = 0; i < n; i++) {
        const double params = column(exported.root, "front.params", i);
        const double accuracy = column(exported.root, "front.accuracy", i);
        assert_true(column(exported.root, "front.macs", i) <= 3e8);
        if (i > 0) { /* fewest parameters first */
            assert_true(params > column(exported.root, "front.params", i - 1));
            assert_true(accuracy > column(exported.root, "front.accuracy", i - 1));
        }
        for (size_t k = 0; k < n_sample; k++) {
            assert_false(column(exported.root, "sample.macs", k) <= 3e8 &&
                         column(exported.root, "sample.params", k) < params &&
                         column(exported.root, "sample.accuracy", k) > accuracy);
        }
    }
}

static void an_impossible_limit_is_answered_with_the_ranges(void **state)
{
    static const char body[] = "{\"space\":\"ofa-mbv3-w1.0\",\"constraints\":[{\"metric\":\"macs\",\"max\":1000}]}";
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    http_call(running->port, "POST", "/search", body, &reply);
    assert_problem(&reply, 422, "/constraints/0/max");
    TL_AUTO(tl_json) doc = {.root = json_loadb(reply.body.data, reply.body.len, 0, NULL)};
    assert_true(json_number_value(json_at(doc.root, "ranges.macs.min")) > 1e7);
    assert_int_equal(get_count(running->port, "/search"), 0);
}

/* ---- the page ------------------------------------------------------------------------------------------------ */

static void only_browsers_get_the_page_for_a_path_of_its_own(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) program = {0};
    http_call(running->port, "GET", "/some/view", NULL, &program);
    assert_status(&program, 404);
    TL_AUTO(reply) browser = {0};
    http_do(running->port,
            &(struct request){.method = "GET", .path = "/", .headers = {"Accept: text/html", "Accept-Encoding: gzip"}},
            &browser);
    assert_true(browser.status == 200 ? reply_has(&browser, "Content-Encoding", "gzip") : browser.status == 404);
}

#define served(test) cmocka_unit_test_setup_teardown(test, service_setup, service_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(broken_json_is_400_with_the_place),
        served(deep_nesting_is_refused),
        served(a_wrong_field_is_named_by_its_pointer),
        served(unknown_query_parameters_are_refused_everywhere),
        served(pages_have_bounds),
        served(what_is_not_there_is_404),
        served(head_works_wherever_get_does),
        served(the_description_names_every_route_and_no_other),
        served(description_and_help_name_every_controller),
        served(a_space_tells_its_size_and_its_variables),
        served(an_artifact_is_what_its_hash_says),
        served(bytes_that_are_no_model_are_refused),
        served(imported_tables_make_a_device_without_agent),
        served(a_devices_model_leaves_as_a_lookup_table),
        served(a_search_with_the_tutorials_inputs_answers_in_one_request),
        served(the_front_spans_the_objectives_and_not_what_is_limited),
        served(an_impossible_limit_is_answered_with_the_ranges),
        served(only_browsers_get_the_page_for_a_path_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
