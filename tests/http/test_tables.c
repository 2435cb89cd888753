/* A space with a table, from end to end: the search stays on its rows, and what it answers is the best of them. */
#include "tests/http/service_fixture.h"

#include <math.h>

enum { LAYERS = 5, OPTIONS = 4, ROWS = 1024 };

static const char SPACE[] =
    "{\"name\":\"made\",\"variables\":[{\"name\":\"l0\",\"options\":[\"a\",\"b\",\"c\",\"d\"]},"
    "{\"name\":\"l1\",\"options\":[\"a\",\"b\",\"c\",\"d\"]},{\"name\":\"l2\",\"options\":[\"a\",\"b\",\"c\",\"d\"]},"
    "{\"name\":\"l3\",\"options\":[\"a\",\"b\",\"c\",\"d\"]},{\"name\":\"l4\",\"options\":[\"a\",\"b\",\"c\",\"d\"]}]}";

static const char METRICS[] = "\"source\":\"invented\",\"architecture\":{\"digits\":\"ops\"},\"metrics\":["
                              "{\"metric\":\"accuracy\",\"column\":\"acc\",\"unit\":\"percent\"},"
                              "{\"metric\":\"latency_ms\",\"column\":\"pi\",\"unit\":\"ms\",\"device\":\"pi\","
                              "\"kind\":\"timed\"},"
                              "{\"metric\":\"latency_ms\",\"column\":\"fpga\",\"unit\":\"ms\",\"device\":\"fpga\","
                              "\"kind\":\"cost model\"}]";

/* Invented numbers, in thousandths: what a layer adds rises with its option and place (accuracy) or falls with its place
 * (latency), and a little that follows no rule. Every third row is left out. */
static int accuracy_of(int row)
{
    int sum = 50000 + row * 7919 % 97;
    for (int i = LAYERS, left = row; i-- > 0; left /= OPTIONS) {
        sum += left % OPTIONS * (900 + 370 * i);
    }
    return sum;
}

static int latency_of(int row)
{
    int sum = 1000 + row * 104729 % 89;
    for (int i = LAYERS, left = row; i-- > 0; left /= OPTIONS) {
        sum += left % OPTIONS * (700 + 290 * (LAYERS - 1 - i));
    }
    return sum;
}

static bool has_row(int row)
{
    return row % 3 != 0;
}

static void digits_of(int row, char ret_digits[LAYERS + 1])
{
    for (int i = LAYERS; i-- > 0; row /= OPTIONS) {
        ret_digits[i] = (char)('0' + row % OPTIONS);
    }
    ret_digits[LAYERS] = '\0';
}

/* The best row within a latency; -1: none. */
static int best_row(int latency_max)
{
    int best = -1;
    for (int row = 0; row < ROWS; row++) {
        if (has_row(row) && latency_of(row) <= latency_max && (best < 0 || accuracy_of(row) > accuracy_of(best))) {
            best = row;
        }
    }
    return best;
}

static void put_artifact(uint16_t port, const struct tl_buf *bytes, char ret_name[TL_HASH_TEXT])
{
    TL_AUTO(reply) reply = {0};
    const struct tl_hash hash = tl_hash_of(bytes->data, bytes->len);
    char path[64];
    tl_hash_format(&hash, ret_name);
    (void)snprintf(path, sizeof path, "/artifacts/%s", ret_name);
    http_do(port, &(struct request){.method = "PUT", .path = path, .body = bytes->data, .n = bytes->len}, &reply);
    assert_status(&reply, 201);
}

static void add_line(struct tl_buf *csv, int row)
{
    char digits[LAYERS + 1];
    digits_of(row, digits);
    assert_ok(tl_buf_addf(csv, &err, "%s,%d.%03d,%d.%03d,%d\n", digits, accuracy_of(row) / 1000,
                          accuracy_of(row) % 1000, latency_of(row) / 1000, latency_of(row) % 1000, row + 1));
}

static void put_csv(uint16_t port, const char *last_line, char ret_name[TL_HASH_TEXT])
{
    TL_AUTO(tl_buf) csv = {.max = 1 << 20};
    assert_ok(tl_buf_addf(&csv, &err, "ops,acc,pi,fpga\n"));
    for (int row = 0; row < ROWS; row++) {
        if (has_row(row)) {
            add_line(&csv, row);
        }
    }
    assert_ok(tl_buf_addf(&csv, &err, "%s", last_line));
    put_artifact(port, &csv, ret_name);
}

static void put_table(uint16_t port, const char *artifact, struct reply *ret_reply)
{
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"artifact\":\"%s\",%s}", artifact, METRICS);
    http_call(port, "PUT", "/spaces/made/table", body, ret_reply);
}

/* cmocka setup: a service whose space "made" has the table. */
static int setup(void **state)
{
    TL_AUTO(reply) space = {0};
    TL_AUTO(reply) table = {0};
    char artifact[TL_HASH_TEXT];
    assert_int_equal(service_setup(state), 0);
    const struct running *running = *state;
    http_call(running->port, "POST", "/spaces", SPACE, &space);
    assert_status(&space, 201);
    put_csv(running->port, "", artifact);
    put_table(running->port, artifact, &table);
    assert_status(&table, 201);
    return 0;
}

static void post_search(uint16_t port, const char *body, struct reply *ret_reply)
{
    http_do(port,
            &(struct request){
                .method = "POST", .path = "/search", .headers = {"Prefer: wait=60"}, .body = body, .n = strlen(body)},
            ret_reply);
}

/* The document of a search that is over. Owned: tl_json_done. */
static void search(uint16_t port, const char *body, struct tl_json *ret_doc)
{
    TL_AUTO(reply) reply = {0};
    post_search(port, body, &reply);
    assert_status(&reply, 200);
    ret_doc->root = json_loadb(reply.body.data, reply.body.len, 0, NULL);
    assert_string_equal(json_string_value(json_at(ret_doc->root, "state")), "finished");
}

static const char *text_at(json_t *json, const char *path)
{
    const char *text = json_string_value(json_at(json, path));
    return text ? text : "";
}

static void the_answer_is_the_best_row_within_the_limit(void **state)
{
    const struct running *running = *state;
    static const char *const controllers[] = {"evolution", "random"};
    static const int limits[] = {20997, 12000, 5000, 2100};
    for (size_t i = 0; i < TL_COUNT_OF(limits); i++) {
        TL_AUTO(tl_json) doc = {0};
        char body[512];
        (void)snprintf(
            body, sizeof body,
            "{\"space\":\"made\",\"device\":\"pi\",\"constraints\":[{\"metric\":\"latency_ms\",\"max\":%d.%03d}],"
            "\"controller\":{\"name\":\"%s\",\"seed\":%zu},\"budget\":{\"evaluations\":20000}}",
            limits[i] / 1000, limits[i] % 1000, controllers[i % 2], i);
        search(running->port, body, &doc);
        const int best = best_row(limits[i]);
        assert_true(best >= 0);
        assert_string_equal(text_at(doc.root, "outcome"), "tabulated");
        assert_true(json_number_value(json_at(doc.root, "answer.metrics.accuracy.value")) ==
                    accuracy_of(best) / 1000.0);
        assert_string_equal(text_at(doc.root, "answer.metrics.accuracy.kind"), "tabulated");
        assert_string_equal(text_at(doc.root, "answer.metrics.latency_ms.kind"), "tabulated");
        assert_string_equal(text_at(doc.root, "answer.metrics.latency_ms.note"), "timed on the device");
        assert_true(json_is_false(json_at(doc.root, "answer.verified")));
    }
}

/* No row is as good in both and better in one, and no earlier row is its equal in both. */
static bool on_the_front(int row)
{
    for (int other = 0; has_row(row) && other < ROWS; other++) {
        const int more = accuracy_of(other) - accuracy_of(row), less = latency_of(row) - latency_of(other);
        if (has_row(other) && more >= 0 && less >= 0 && (more > 0 || less > 0 || other < row)) {
            return false;
        }
    }
    return has_row(row);
}

static void two_objectives_find_the_front_between_them(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(tl_json) exported = {0};
    char path[96];
    size_t n = 0;
    search(running->port,
           "{\"space\":\"made\",\"device\":\"pi\",\"objectives\":[{\"minimize\":\"latency_ms\"},"
           "{\"maximize\":\"accuracy\"}],\"budget\":{\"evaluations\":20000}}",
           &doc);
    assert_string_equal(text_at(doc.root, "objectives.1.maximize"), "accuracy");
    assert_null(json_at(doc.root, "objective"));
    (void)snprintf(path, sizeof path, "/search/%s/export", text_at(doc.root, "id"));
    get_json(running->port, path, &exported);
    json_t *accuracy = json_at(exported.root, "front.accuracy"), *latency = json_at(exported.root, "front.latency_ms");
    for (int row = 0; row < ROWS; row++) {
        bool found = false;
        for (size_t i = 0; i < json_array_size(accuracy) && !found; i++) {
            found = json_number_value(json_array_get(accuracy, i)) == accuracy_of(row) / 1000.0 &&
                    json_number_value(json_array_get(latency, i)) == latency_of(row) / 1000.0;
        }
        n += on_the_front(row);
        assert_true(found || !on_the_front(row));
    }
    assert_true(n > 5);
    assert_int_equal(json_array_size(accuracy), n);
    assert_true(json_number_value(json_at(doc.root, "answer.metrics.latency_ms.value")) ==
                json_number_value(json_array_get(latency, json_array_size(latency) - 1)));
}

static void a_cost_models_column_is_told_apart(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) doc = {0};
    search(running->port,
           "{\"space\":\"made\",\"device\":\"fpga\",\"objective\":{\"minimize\":\"latency_ms\"},"
           "\"budget\":{\"evaluations\":20000}}",
           &doc);
    assert_true(json_number_value(json_at(doc.root, "answer.metrics.latency_ms.value")) == 2); /* row 1 */
    assert_string_equal(text_at(doc.root, "answer.metrics.latency_ms.note"), "a cost model's, not timed");
}

static void a_space_shows_its_table(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(tl_json) ranges = {0};
    TL_AUTO(reply) no_device = {0};
    get_json(running->port, "/spaces/made", &doc);
    assert_int_equal(json_integer_value(json_at(doc.root, "table.rows")), 682);
    assert_string_equal(text_at(doc.root, "table.columns.2.kind"), "cost model");
    assert_string_equal(text_at(doc.root, "table.source"), "invented");
    assert_string_equal(text_at(doc.root, "devices.0"), "pi");
    get_json(running->port, "/spaces/made/ranges?device=fpga", &ranges);
    assert_true(json_number_value(json_at(ranges.root, "ranges.latency_ms.min")) == 2);
    http_call(running->port, "GET", "/spaces/made/ranges?device=gpu", NULL, &no_device);
    assert_status(&no_device, 404);
}

static void what_a_table_cannot_answer_is_refused_by_its_field(void **state)
{
    const struct running *running = *state;
    static const struct {
        const char *body, *pointer, *says;
    } cases[] = {
        {"{\"space\":\"made\",\"device\":\"pi\",\"verify\":true}", "/verify", "cannot be verified"},
        {"{\"space\":\"made\",\"device\":\"gpu\"}", "/device", "it has pi, fpga"},
        {"{\"space\":\"made\",\"objective\":{\"minimize\":\"macs\"}}", "/objective", "has no macs"},
        {"{\"space\":\"made\",\"objectives\":[{\"maximize\":\"accuracy\"},{\"minimize\":\"macs\"}]}",
         "/objectives/1/minimize", "has no macs"},
        {"{\"space\":\"made\",\"objectives\":[{\"minimize\":\"latency_ms\"},{\"maximize\":\"accuracy\"}]}",
         "/objectives/0/minimize", "has pi, fpga"},
        {"{\"space\":\"made\",\"constraints\":[{\"metric\":\"latency_ms\",\"max\":5}]}", "/constraints/0/metric",
         "has pi, fpga"},
        {"{\"space\":\"made\",\"device\":\"pi\",\"constraints\":[{\"metric\":\"latency_ms\",\"max\":0.5}]}",
         "/constraints/0/max", "cannot be met"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        TL_AUTO(reply) reply = {0};
        post_search(running->port, cases[i].body, &reply);
        assert_problem(&reply, 422, cases[i].pointer);
        assert_says(&reply, cases[i].says);
    }
}

static void what_no_row_holds_is_refused_with_what_some_row_does(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    TL_AUTO(tl_json) doc = {0};
    const int best = best_row(20997);
    char body[512];
    /* The best accuracy and the least latency are not of one row. */
    (void)snprintf(body, sizeof body,
                   "{\"space\":\"made\",\"device\":\"pi\",\"constraints\":[{\"metric\":\"accuracy\",\"min\":%d.%03d},"
                   "{\"metric\":\"latency_ms\",\"max\":%d.%03d}],\"budget\":{\"evaluations\":5000}}",
                   accuracy_of(best) / 1000, accuracy_of(best) % 1000, (latency_of(best) - 1) / 1000,
                   (latency_of(best) - 1) % 1000);
    post_search(running->port, body, &reply);
    assert_problem(&reply, 422, "/constraints");
    assert_says(&reply, "holds these limits together: with the others held, accuracy reaches");
    assert_ok(tl_json_parse(&doc, reply.body.data, reply.body.len, &err));
    const json_t *together = json_at(doc.root, "together");
    assert_int_equal(json_array_size(together), 2);
    json_t *accuracy = json_array_get(together, 0), *latency = json_array_get(together, 1);
    assert_string_equal(text_at(accuracy, "metric"), "accuracy");
    assert_true(json_is_true(json_at(latency, "proved")));
    /* the least latency of that accuracy is what one row has, and the best accuracy below it less */
    assert_int_equal(lround(1000 * json_number_value(json_at(latency, "reaches"))), latency_of(best));
    assert_true(1000 * json_number_value(json_at(accuracy, "reaches")) < accuracy_of(best));
}

static void a_column_without_values_ends_a_search_with_nothing(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_buf) csv = {.max = 1 << 10};
    TL_AUTO(reply) table = {0};
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(tl_json) history = {0};
    char artifact[TL_HASH_TEXT], path[96];
    assert_ok(tl_buf_addf(&csv, &err, "ops,acc,pi,fpga\n00000,,1,1\n11111,,2,2\n"));
    put_artifact(running->port, &csv, artifact);
    put_table(running->port, artifact, &table);
    assert_status(&table, 201);
    search(running->port, "{\"space\":\"made\",\"device\":\"pi\"}", &doc);
    assert_string_equal(text_at(doc.root, "outcome"), "none_found");
    assert_false(json_is_object(json_at(doc.root, "answer")));
    (void)snprintf(path, sizeof path, "/search/%s/history", text_at(doc.root, "id"));
    get_json(running->port, path, &history);
}

/* By the accuracy of one of its members: at least as good are some, and all that are answered. */
static void assert_narrowed(uint16_t port, const char *path, const json_t *front)
{
    TL_AUTO(tl_json) narrow = {0};
    TL_AUTO(reply) refused = {0};
    char narrowed[160];
    const json_t *items = json_object_get(front, "items");
    const double bound = json_number_value(json_at(json_array_get(items, 0), "metrics.accuracy.value"));
    size_t n_good = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        n_good += json_number_value(json_at(json_array_get(items, i), "metrics.accuracy.value")) >= bound;
    }
    (void)snprintf(narrowed, sizeof narrowed, "%s?min_accuracy=%.17g", path, bound);
    get_json(port, narrowed, &narrow);
    assert_int_equal(json_array_size(json_object_get(narrow.root, "items")), n_good);
    (void)snprintf(narrowed, sizeof narrowed, "%s?max_latency_ms=fast", path);
    http_call(port, "GET", narrowed, NULL, &refused);
    assert_status(&refused, 422);
    assert_says(&refused, "max_latency_ms must be a number");
}

static void candidates_leave_as_architectures_alone(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(tl_json) candidate = {0};
    TL_AUTO(tl_json) front = {0};
    TL_AUTO(tl_json) exported = {0};
    TL_AUTO(reply) architecture = {0};
    TL_AUTO(reply) onnx = {0};
    char path[96];
    search(running->port, "{\"space\":\"made\",\"device\":\"pi\",\"budget\":{\"evaluations\":3000}}", &doc);
    const long long id = json_integer_value(json_at(doc.root, "answer.candidate"));
    (void)snprintf(path, sizeof path, "/candidates/%lld", id);
    get_json(running->port, path, &candidate);
    assert_int_equal(json_array_size(json_at(candidate.root, "artifacts")), 1);
    assert_null(json_at(candidate.root, "network"));
    (void)snprintf(path, sizeof path, "/candidates/%lld/artifacts/architecture.json", id);
    http_call(running->port, "GET", path, NULL, &architecture);
    assert_status(&architecture, 200);
    assert_says(&architecture, "\"l4\"");
    (void)snprintf(path, sizeof path, "/candidates/%lld/artifacts/onnx", id);
    http_call(running->port, "GET", path, NULL, &onnx);
    assert_status(&onnx, 404);
    assert_says(&onnx, "without weights");
    (void)snprintf(path, sizeof path, "/search/%s/front", text_at(doc.root, "id"));
    get_json(running->port, path, &front);
    assert_true(json_array_size(json_object_get(front.root, "items")) > 1);
    assert_narrowed(running->port, path, front.root);
    (void)snprintf(path, sizeof path, "/search/%s/export", text_at(doc.root, "id"));
    get_json(running->port, path, &exported);
    assert_true(json_array_size(json_at(exported.root, "front.accuracy")) > 1);
    assert_null(json_at(exported.root, "front.macs"));
}

/* A new table changes no search that was made with the old one; the new one is used from then on. */
static void a_new_table_replaces_the_old_one(void **state)
{
    struct running *running = *state;
    TL_AUTO(tl_json) before = {0};
    TL_AUTO(tl_json) after = {0};
    TL_AUTO(reply) again = {0};
    TL_AUTO(reply) replaced = {0};
    char old[TL_HASH_TEXT], artifact[TL_HASH_TEXT];
    static const char body[] = "{\"space\":\"made\",\"device\":\"pi\",\"controller\":{\"name\":\"random\"},"
                               "\"budget\":{\"evaluations\":20000}}";
    search(running->port, body, &before);
    {
        TL_AUTO(tl_json) doc = {0};
        get_json(running->port, "/spaces/made", &doc);
        (void)snprintf(old, sizeof old, "%s", text_at(doc.root, "table.artifact"));
    }
    put_table(running->port, old, &again);
    assert_status(&again, 200);
    put_csv(running->port, "00000,99.5,1,1\n", artifact); /* row 0 was left out */
    put_table(running->port, artifact, &replaced);
    assert_status(&replaced, 201);
    service_pause(running);
    service_resume(running);
    search(running->port, body, &after);
    assert_true(json_number_value(json_at(after.root, "answer.metrics.accuracy.value")) == 99.5);
    assert_true(json_number_value(json_at(before.root, "answer.metrics.accuracy.value")) ==
                accuracy_of(best_row(20997)) / 1000.0);
}

static void a_bad_table_is_refused_and_nothing_is_kept(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) bad = {0};
    TL_AUTO(reply) absent = {0};
    TL_AUTO(reply) family = {0};
    TL_AUTO(reply) unknown = {0};
    TL_AUTO(tl_json) doc = {0};
    char artifact[TL_HASH_TEXT], body[1024];
    put_csv(running->port, "00000,99.5,x,1\n", artifact);
    put_table(running->port, artifact, &bad);
    assert_problem(&bad, 422, "/artifact");
    assert_says(&bad, "line 684, column pi");
    put_table(running->port, "0123456789abcdef0123456789abcdef", &absent);
    assert_problem(&absent, 422, "/artifact");
    (void)snprintf(body, sizeof body, "{\"artifact\":\"%s\",%s}", artifact, METRICS);
    http_call(running->port, "PUT", "/spaces/nasbench-macro/table", body, &family);
    assert_status(&family, 422);
    http_call(running->port, "PUT", "/spaces/nowhere/table", body, &unknown);
    assert_status(&unknown, 404);
    get_json(running->port, "/spaces/made", &doc);
    assert_int_equal(json_integer_value(json_at(doc.root, "table.rows")), 682);
}

#define table_test(name) cmocka_unit_test_setup_teardown(name, setup, service_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        table_test(the_answer_is_the_best_row_within_the_limit),
        table_test(two_objectives_find_the_front_between_them),
        table_test(a_cost_models_column_is_told_apart),
        table_test(a_space_shows_its_table),
        table_test(what_a_table_cannot_answer_is_refused_by_its_field),
        table_test(what_no_row_holds_is_refused_with_what_some_row_does),
        table_test(a_column_without_values_ends_a_search_with_nothing),
        table_test(candidates_leave_as_architectures_alone),
        table_test(a_new_table_replaces_the_old_one),
        table_test(a_bad_table_is_refused_and_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
