/* test_archives.c - a limit is answered at once by what an archive holds, and the same bytes come again under its snapshot.
 */
#include "server/accuracy.h"
#include "server/archive.h"
#include "server/builtin.h"
#include "server/codec_snapshot.h"
#include "tests/http/service_fixture.h"

/* The shipped accuracy model, no device. */
static const char FIRST[] = "{\"space\":\"ofa-mbv3-w1.0\",\"constraints\":[{\"metric\":\"macs\",\"max\":3e8}],"
                            "\"budget\":{\"evaluations\":600}}";

enum { ARCHIVE_EVALUATIONS = 2000 };

static int setup(void **state)
{
    int rc = service_setup(state);
    struct running *running = *state;

    running->service.archive_evaluations = ARCHIVE_EVALUATIONS;
    return rc;
}

static void post(uint16_t port, const char *body, const char *prefer, int status, struct tl_json *ret_doc)
{
    TL_AUTO(reply) reply = {0};

    http_do(
        port,
        &(struct request){.method = "POST", .path = "/search", .headers = {prefer}, .body = body, .n = strlen(body)},
        &reply);
    assert_status(&reply, status);
    ret_doc->root = json_loadb(reply.body.data, reply.body.len, 0, NULL);
    assert_non_null(ret_doc->root);
}

static const char *text(const struct tl_json *doc, const char *path)
{
    const char *found = json_string_value(json_at(doc->root, path));

    return found ? found : "";
}

static double number(const struct tl_json *doc, const char *path)
{
    json_t *value = json_at(doc->root, path);

    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* Number of archives published. */
static size_t archives(uint16_t port)
{
    TL_AUTO(tl_json) doc = {0};
    size_t n = 0, i;
    json_t *item;

    get_json(port, "/models?page_size=1000", &doc);
    json_array_foreach(json_object_get(doc.root, "items"), i, item)
    {
        n += strcmp(json_string_value(json_object_get(item, "kind")), "archive") == 0;
    }
    return n;
}

/* The first search, and the archive that is built when nothing else happens. */
static void warm(const struct running *running)
{
    TL_AUTO(tl_json) doc = {0};

    post(running->port, FIRST, "Prefer: wait=60", 200, &doc);
    assert_string_equal(text(&doc, "state"), "finished");
    assert_string_equal(text(&doc, "answered_from"), "search");
    assert_int_equal(number(&doc, "archive_members"), 0);
    for (int i = 0; archives(running->port) == 0; i++) {
        assert_true(i < 6000);
        tl_sleep_ns(10000000);
    }
}

static void wait_for_end(uint16_t port, const char *id, struct tl_json *ret_doc)
{
    char path[96];

    (void)snprintf(path, sizeof path, "/search/%s", id);
    for (int i = 0; i < 6000; i++) {
        get_json(port, path, ret_doc);
        if (strcmp(text(ret_doc, "state"), "finished") == 0) {
            return;
        }
        tl_json_done(ret_doc);
        tl_sleep_ns(10000000);
    }
    fail_msg("the search does not end");
}

static void a_limit_is_answered_at_once_and_never_ends_worse(void **state)
{
    static const double limits[] = {2.2e8, 3.1e8, 4.4e8};
    const struct running *running = *state;

    warm(running);
    for (size_t i = 0; i < TL_COUNT_OF(limits); i++) {
        TL_AUTO(tl_json) first = {0};
        TL_AUTO(tl_json) last = {0};
        char body[256], path[96];
        (void)snprintf(body, sizeof body,
                       "{\"space\":\"ofa-mbv3-w1.0\",\"constraints\":[{\"metric\":\"macs\",\"max\":%g}],"
                       "\"budget\":{\"evaluations\":%d}}",
                       limits[i], i == 0 ? 1 : 1000);
        post(running->port, body, "Prefer: wait", 200, &first);
        assert_true(number(&first, "archive_members") > 50);
        assert_true(number(&first, "answer.metrics.macs.value") <= limits[i]);
        assert_string_equal(text(&first, "answer.metrics.accuracy.kind"), "predicted");
        assert_true(strlen(text(&first, "snapshot")) == 32);
        (void)snprintf(path, sizeof path, "/candidates/%lld", (long long)number(&first, "answer.candidate"));
        wait_for_end(running->port, text(&first, "id"), &last);
        assert_string_equal(text(&last, "answered_from"), "search");
        assert_string_equal(text(&last, "snapshot"), text(&first, "snapshot"));
        assert_true(number(&last, "answer.metrics.accuracy.value") >= number(&first, "answer.metrics.accuracy.value"));
        tl_json_done(&last);
        get_json(running->port, path, &last); /* it stays, whatever was found since */
        assert_string_equal(text(&last, "architecture.id"), text(&first, "answer.architecture.id"));
    }
}

static void without_a_wait_the_answer_is_there_to_get(void **state)
{
    const struct running *running = *state;
    TL_AUTO(tl_json) posted = {0};
    TL_AUTO(tl_json) at_once = {0};

    warm(running);
    post(running->port, FIRST, NULL, 202, &posted);
    assert_true(json_is_object(json_at(posted.root, "answer")));
    post(running->port, FIRST, "Prefer: wait=0", 200, &at_once);
    assert_true(json_is_object(json_at(at_once.root, "answer")));
}

/* No member takes so few bytes and so many MACs: the search itself has to find out. */
static void what_no_member_holds_is_searched(void **state)
{
    static const char body[] =
        "{\"space\":\"ofa-mbv3-w1.0\",\"constraints\":[{\"metric\":\"size_bytes\",\"max\":1.9e7},"
        "{\"metric\":\"macs\",\"min\":4.7e8}],\"budget\":{\"evaluations\":300}}";
    const struct running *running = *state;
    TL_AUTO(tl_json) at_once = {0};
    TL_AUTO(tl_json) patient = {0};

    warm(running);
    post(running->port, body, "Prefer: wait=0", 202, &at_once);
    assert_true(json_is_null(json_at(at_once.root, "answered_from")));
    post(running->port, body, "Prefer: wait", 200, &patient);
    assert_string_equal(text(&patient, "state"), "finished");
}

/* The archive's row, copied. */
static enum tl_rc copy_row(void *ctx, const struct store_model *model, struct tl_err *err)
{
    (void)err;
    archive_info_decode(model->info.data, model->info.n, ctx);
    return TL_OK;
}

static enum tl_rc read_row(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    return store_model_current(tx, "archive", "ofa-mbv3-w1.0", "", copy_row, ctx, err);
}

static enum tl_rc put_row(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    return store_model_put(tx, ctx, err);
}

static void build_smaller(struct tl_buf *bytes)
{
    struct accuracy_model *accuracy = NULL;
    struct evaluator *evaluator = NULL;
    struct archive_build *build = NULL;
    struct archive *archive = NULL;
    bool done = false;

    for (size_t i = 0; i < builtin_models_count && !accuracy; i++) {
        if (strcmp(builtin_models[i].kind, "accuracy") == 0 && strcmp(builtin_models[i].space, "ofa-mbv3-w1.0") == 0) {
            assert_ok(accuracy_load(builtin_models[i].data, builtin_models[i].n, &accuracy, &err));
        }
    }
    assert_ok(evaluator_new(net_family_get("ofa-mbv3-w1.0"), accuracy, NULL, 1, &evaluator, &err));
    assert_ok(archive_build_new(evaluator, NULL, 500, &build, &err));
    assert_ok(archive_build_step(build, UINT64_MAX, &done, &err));
    assert_ok(archive_build_get(build, &archive, &err));
    assert_ok(archive_save(archive, bytes, &err));
    archive_free(archive);
    archive_build_free(build);
    evaluator_free(evaluator);
    accuracy_free(accuracy);
}

/* Another archive of the same models. */
static void publish_smaller(struct running *running)
{
    struct store *store = running->service.store;
    struct store_model model = {.kind = "archive", .space = "ofa-mbv3-w1.0", .device = "", .created_ns = 1};
    struct archive_info info;
    struct tl_hash hash;
    char name[TL_HASH_TEXT];
    TL_AUTO(tl_buf) bytes = {.max = 16 << 20};
    TL_AUTO(tl_buf) row = {0};

    assert_ok(store_read(store, read_row, &info, &err));
    build_smaller(&bytes);
    assert_ok(store_blob_put(store, bytes.data, bytes.len, &hash, &err));
    assert_ok(archive_info_encode(&info, &row, &err));
    tl_hash_format(&hash, name);
    model.hash = name;
    model.info = (struct store_bytes){row.data, row.len};
    assert_ok(store_write(store, put_row, &model, &err));
}

static void get_export(uint16_t port, const char *id, struct reply *ret_reply)
{
    char path[96];

    (void)snprintf(path, sizeof path, "/search/%s/export", id);
    http_call(port, "GET", path, NULL, ret_reply);
    assert_status(ret_reply, 200);
}

/* The second search names the snapshot of the first; between them the archive is published anew. */
static void a_named_snapshot_gives_the_same_bytes(void **state)
{
    struct running *running = *state;
    TL_AUTO(tl_json) first = {0};
    TL_AUTO(tl_json) other = {0};
    TL_AUTO(tl_json) again = {0};
    TL_AUTO(tl_json) restarted = {0};
    TL_AUTO(reply) a = {0};
    TL_AUTO(reply) b = {0};
    TL_AUTO(reply) c = {0};
    char body[400];

    warm(running);
    post(running->port, FIRST, "Prefer: wait=60", 200, &first);
    assert_true(number(&first, "archive_members") > 0);
    publish_smaller(running);
    post(running->port, FIRST, "Prefer: wait=60", 200, &other);
    assert_string_not_equal(text(&other, "snapshot"), text(&first, "snapshot"));
    (void)snprintf(body, sizeof body, "%.*s,\"snapshot\":\"%s\"}", (int)strlen(FIRST) - 1, FIRST,
                   text(&first, "snapshot"));
    post(running->port, body, "Prefer: wait=60", 200, &again);
    assert_string_equal(text(&again, "snapshot"), text(&first, "snapshot"));
    get_export(running->port, text(&first, "id"), &a);
    get_export(running->port, text(&again, "id"), &b);
    assert_int_equal(a.body.len, b.body.len);
    assert_memory_equal(a.body.data, b.body.data, a.body.len);
    service_pause(running);
    service_resume(running);
    post(running->port, body, "Prefer: wait=60", 200, &restarted);
    get_export(running->port, text(&restarted, "id"), &c);
    assert_memory_equal(a.body.data, c.body.data, a.body.len);
}

static void a_snapshot_must_be_of_what_is_asked(void **state)
{
    static const char *const bodies[] = {
        "{\"space\":\"ofa-mbv3-w1.0\",\"snapshot\":\"00112233445566778899aabbccddeeff\"}",
        "{\"space\":\"ofa-mbv3-w1.0\",\"snapshot\":\"latest\"}",
        "{\"space\":\"ofa-mbv3-w1.0\",\"snapshot\":7}",
    };
    const struct running *running = *state;
    TL_AUTO(tl_json) first = {0};
    TL_AUTO(reply) elsewhere = {0};
    char body[300];

    for (size_t i = 0; i < TL_COUNT_OF(bodies); i++) {
        TL_AUTO(reply) reply = {0};
        http_call(running->port, "POST", "/search", bodies[i], &reply);
        assert_problem(&reply, 422, "/snapshot");
    }
    post(running->port, FIRST, "Prefer: wait=60", 200, &first);
    (void)snprintf(body, sizeof body,
                   "{\"space\":\"ofa-mbv3-w1.2\",\"objective\":{\"minimize\":\"macs\"},\"snapshot\":\"%s\"}",
                   text(&first, "snapshot"));
    http_call(running->port, "POST", "/search", body, &elsewhere);
    assert_problem(&elsewhere, 422, "/snapshot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_limit_is_answered_at_once_and_never_ends_worse, setup, service_teardown),
        cmocka_unit_test_setup_teardown(without_a_wait_the_answer_is_there_to_get, setup, service_teardown),
        cmocka_unit_test_setup_teardown(what_no_member_holds_is_searched, setup, service_teardown),
        cmocka_unit_test_setup_teardown(a_named_snapshot_gives_the_same_bytes, setup, service_teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_must_be_of_what_is_asked, setup, service_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
