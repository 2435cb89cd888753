/* Leased jobs over the wire: what goes out comes in, and what a device could not time is refused by its field. */
#include "alloc_fail.h"
#include "latency/codec_job.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* A job of one network and one block of it. */
static struct lat_job made_job(void)
{
    struct lat_job job = {.id = "01935a1e-7d5c-7000-8000-000000000001",
                          .attempt = 2,
                          .kind = "profile",
                          .lease_s = 60,
                          .number = 3,
                          .total = 18,
                          .anchor = calloc(1, sizeof(struct lat_job_item)),
                          .items = calloc(2, sizeof(struct lat_job_item)),
                          .n_items = 2,
                          .protocol = lat_protocol_default(LAT_PROFILE_BLOCKS),
                          .seed = 7};
    const struct net_family *family = net_family_get("nasbench-macro");
    struct net_pick pick;

    assert_non_null(job.anchor);
    assert_non_null(job.items);
    lat_anchor_pick(family, 32, &pick);
    assert_int_equal(net_build(family, &pick, &job.anchor->net, NULL), TL_OK);
    memset(pick.choice, 2, sizeof pick.choice);
    assert_int_equal(net_build(family, &pick, &job.items[0].net, NULL), TL_OK);
    net_block_cut(&job.items[0].net, 3, &job.items[1].net);
    net_block_key(&job.items[0].net, 3, job.items[1].subject);
    job.items[1].is_block = true;
    memcpy(job.anchor->subject, "anchor", sizeof "anchor");
    memcpy(job.items[0].subject, "00112233445566778899aabbccddeeff", 33);
    return job;
}

static json_t *made_json(void)
{
    TL_AUTO(lat_job) job = made_job();
    json_t *json = lat_job_encode(&job);

    assert_non_null(json);
    return json;
}

static enum tl_rc decode_take(json_t *json, struct lat_job *ret_job, struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = 4 << 20};

    assert_int_equal(tl_json_dump_take(json, &text, NULL), TL_OK);
    return lat_job_decode(text.data, text.len, ret_job, err);
}

static void a_job_arrives_as_it_was_sent(void **state)
{
    (void)state;
    TL_AUTO(lat_job) sent = made_job();
    TL_AUTO(lat_job) job = {0};
    struct tl_err err = {0};

    if (decode_take(lat_job_encode(&sent), &job, &err) != TL_OK) {
        fail_msg("%s %s", err.pointer, err.text);
    }
    assert_string_equal(job.id, sent.id);
    assert_string_equal(job.kind, "profile");
    assert_true(job.attempt == 2 && job.lease_s == 60 && job.number == 3 && job.total == 18 && job.seed == 7);
    assert_int_equal(job.n_items, 2);
    assert_string_equal(job.anchor->subject, "anchor");
    assert_false(job.items[0].is_block);
    assert_true(job.items[1].is_block);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(job.items[i].subject, sent.items[i].subject);
        assert_int_equal(job.items[i].net.n_ops, sent.items[i].net.n_ops);
        assert_memory_equal(job.items[i].net.ops, sent.items[i].net.ops,
                            sent.items[i].net.n_ops * sizeof(struct net_op));
    }
    sent.protocol.items = 0; /* is not told */
    assert_memory_equal(&job.protocol, &sent.protocol, sizeof job.protocol);
}

static void a_job_need_not_say_its_place(void **state)
{
    (void)state;
    TL_AUTO(lat_job) job = {0};
    json_t *json = made_json();

    json_object_del(json, "number");
    json_object_del(json, "total");
    assert_int_equal(decode_take(json, &job, NULL), TL_OK);
    assert_int_equal(job.total, 0);
}

/* Set a field somewhere below: "protocol.rounds". NULL removes it. */
static void set(json_t *json, const char *path, const char *value)
{
    char name[64];
    size_t n;

    while ((n = strcspn(path, ".")) < strlen(path)) {
        (void)snprintf(name, sizeof name, "%.*s", (int)n, path);
        json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10)) : json_object_get(json, name);
        path += n + 1;
    }
    if (value == NULL) {
        assert_int_equal(json_object_del(json, path), 0);
    } else {
        assert_int_equal(json_object_set_new(json, path, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    }
}

static void broken_jobs_are_refused_by_their_field(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value, *pointer;
    } cases[] = {
        {"id", "\"5\"", "/id"},
        {"id", "5", "/id"},
        {"attempt", "0", "/attempt"},
        {"attempt", "1e99", "/attempt"},
        {"kind", "\"P\"", "/kind"},
        {"lease_s", "0", "/lease_s"},
        {"lease_s", "100000", "/lease_s"},
        {"seed", "-1", "/seed"},
        {"seed", NULL, "/seed"},
        {"surprise", "1", "/surprise"},
        {"items", "[]", "/items"},
        {"items", "{}", "/items"},
        {"items", "[1]", "/items/0"},
        {"items.0.kind", "\"netwrok\"", "/items/0/kind"},
        {"items.0.subject", "\"\"", "/items/0/subject"},
        {"items.0.subject", "\"a/b\"", "/items/0/subject"},
        {"items.1.extra", "null", "/items/1/extra"},
        {"items.1.network", "[]", "/items/1/network"},
        {"items.1.network.resolution", "0", "/items/1/network/ops/0"},
        {"items.0.network.ops", "[]", "/items/0/network/ops"},
        {"anchor", "null", "/anchor"},
        {"anchor.subject", "7", "/anchor/subject"},
        {"anchor.kind", "\"network\"", "/anchor/kind"},
        {"protocol", NULL, "/protocol"},
        {"protocol.rounds", "2", "/protocol/rounds"},
        {"protocol.rounds", "65", "/protocol/rounds"},
        {"protocol.rounds", "\"5\"", "/protocol/rounds"},
        {"protocol.rounds", "5.5", "/protocol/rounds"},
        {"protocol.block_ms", "100000", "/protocol/block_ms"},
        {"protocol.min_runs", "0", "/protocol/min_runs"},
        {"protocol.min_runs", "257", "/protocol/min_runs"},
        {"protocol.threads", "0", "/protocol/threads"},
        {"protocol.batch", "-3", "/protocol/batch"},
        {"protocol.cheat", "1", "/protocol/cheat"},
    };

    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct lat_job job = {0};
        struct tl_err err = {0};
        json_t *json = made_json();
        set(json, cases[i].path, cases[i].value);
        if (decode_take(json, &job, &err) != TL_INVALID || strcmp(err.pointer, cases[i].pointer) != 0) {
            fail_msg("%s = %s is answered by %s at \"%s\": %s", cases[i].path,
                     cases[i].value != NULL ? cases[i].value : "nothing", tl_rc_title(err.rc), err.pointer, err.text);
        }
        assert_null(job.items);
    }
}

static void a_job_of_too_many_items_is_refused(void **state)
{
    (void)state;
    struct lat_job job = {0};
    struct tl_err err = {0};
    json_t *json = made_json();
    json_t *items = json_object_get(json, "items");

    while (json_array_size(items) <= LAT_JOB_ITEMS_MAX) {
        assert_int_equal(json_array_append(items, json_array_get(items, 0)), 0);
    }
    assert_int_equal(decode_take(json, &job, &err), TL_INVALID);
    assert_string_equal(err.pointer, "/items");
}

static void no_json_is_malformed(void **state)
{
    (void)state;
    struct lat_job job = {0};

    assert_int_equal(lat_job_decode("{\"id\":", 6, &job, NULL), TL_MALFORMED);
    assert_int_equal(lat_job_decode("", 0, &job, NULL), TL_MALFORMED);
}

static void a_job_that_cannot_be_done_still_has_a_name(void **state)
{
    (void)state;
    static const char text[] =
        "{\"id\": \"01935a1e-7d5c-7000-8000-000000000001\", \"attempt\": 4, \"items\": \"from the future\"}";
    char id[TL_UUID_TEXT];
    int64_t attempt = 0;

    assert_int_equal(lat_job_decode_id(text, strlen(text), id, &attempt, NULL), TL_OK);
    assert_string_equal(id, "01935a1e-7d5c-7000-8000-000000000001");
    assert_true(attempt == 4);
    assert_int_equal(lat_job_decode_id("[]", 2, id, &attempt, NULL), TL_INVALID);
}

static enum tl_rc decode_text(void *ctx, struct tl_err *err)
{
    const struct tl_buf *text = ctx;
    TL_AUTO(lat_job) job = {0};
    return lat_job_decode(text->data, text->len, &job, err);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) text = {0};

    assert_int_equal(tl_json_dump_take(made_json(), &text, NULL), TL_OK);
    assert_true(alloc_fail_each(decode_text, &text) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_arrives_as_it_was_sent),
        cmocka_unit_test(a_job_need_not_say_its_place),
        cmocka_unit_test(broken_jobs_are_refused_by_their_field),
        cmocka_unit_test(a_job_of_too_many_items_is_refused),
        cmocka_unit_test(no_json_is_malformed),
        cmocka_unit_test(a_job_that_cannot_be_done_still_has_a_name),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
