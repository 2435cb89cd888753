/* Evaluate jobs: what is asked is what can be answered, and a worker gets the options by name. */
#include "server/codec_evaluate.h"

#include "base/codec_json.h"
#include "server/codec_device.h"
#include "server/codec_space_file.h"

#include "alloc_fail.h"

#include <cmocka.h>
#include <math.h>
#include <string.h>

static const char SPACE[] =
    "{\"name\":\"made\",\"variables\":[{\"name\":\"depth\",\"options\":[1,2]},"
    "{\"name\":\"op\",\"options\":[\"conv\",\"pool\"],\"active_when\":{\"variable\":\"depth\",\"options\":[2]}}]}";
static struct space space;

static int make_space(void **state)
{
    struct space_about about;
    struct tl_err err = {0};
    (void)state;
    return space_file_decode(SPACE, sizeof SPACE - 1, &space, &about, &err) == TL_OK ? 0 : -1;
}

/* The work for both depths, as the store has it. */
static void make_work(struct tl_buf *ret_work)
{
    const uint8_t archs[] = {0, 0, 1, 1};
    struct tl_err err = {0};
    assert_int_equal(
        evaluate_work_encode(NULL, &space, 1U << METRIC_ACCURACY | 1U << METRIC_MACS, archs, 2, ret_work, &err), TL_OK);
}

static void a_worker_gets_the_options_by_name(void **state)
{
    TL_AUTO(tl_buf) work = {0};
    TL_AUTO(tl_buf) lease = {0};
    struct tl_err err = {0};
    (void)state;
    make_work(&work);
    const struct store_job job = {.id = "the-id", .attempt = 2, .work = {work.data, work.len}};
    assert_int_equal(evaluate_lease_encode(&job, 60, &lease, &err), TL_OK);
    TL_AUTO(tl_json) doc = {.root = json_loads(lease.data, 0, NULL)};
    assert_string_equal(json_string_value(json_object_get(doc.root, "kind")), "evaluate");
    assert_string_equal(json_string_value(json_object_get(doc.root, "id")), "the-id");
    assert_int_equal(json_integer_value(json_object_get(doc.root, "attempt")), 2);
    assert_int_equal(json_integer_value(json_object_get(doc.root, "lease_s")), 60);
    const json_t *archs = json_object_get(doc.root, "architectures");
    const json_t *shallow = json_object_get(json_array_get(archs, 0), "options");
    const json_t *deep = json_object_get(json_array_get(archs, 1), "options");
    assert_int_equal(json_object_size(shallow), 1); /* op is not active */
    assert_string_equal(json_string_value(json_object_get(shallow, "depth")), "1");
    assert_string_equal(json_string_value(json_object_get(deep, "op")), "pool");
}

static void what_was_asked_is_known_again(void **state)
{
    TL_AUTO(tl_buf) work = {0};
    struct evaluate_asked asked;
    struct tl_err err = {0};
    char id[TL_HASH_TEXT];
    const struct tl_hash hash = space_arch_id(&space, (const uint8_t[]){1, 1});
    (void)state;
    make_work(&work);
    assert_int_equal(evaluate_asked_decode((struct store_bytes){work.data, work.len}, &asked, &err), TL_OK);
    tl_hash_format(&hash, id);
    assert_int_equal(asked.n, 2);
    assert_int_equal(asked.metrics, 1U << METRIC_ACCURACY | 1U << METRIC_MACS);
    assert_string_equal(asked.archs[1], id);
    assert_int_equal(evaluate_asked_decode((struct store_bytes){"{}", 2}, &asked, &err), TL_IO);
}

static void an_answer_says_for_each_whether_it_has_a_value(void **state)
{
    static const char BODY[] = "{\"attempt\":1,\"agent_key\":\"00112233445566778899aabbccddeeff\",\"values\":["
                               "{\"id\":\"0123456789abcdef0123456789abcdef\",\"accuracy\":100,\"macs\":null}]}";
    struct evaluate_answer answer;
    struct agent_call call;
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(complete_call_decode(BODY, sizeof BODY - 1, &call, &answer, &err), TL_OK);
    assert_int_equal(call.attempt, 1);
    assert_true(answer.there && answer.n == 1);
    assert_true(answer.rows[0].values[METRIC_ACCURACY] == 100 && isnan(answer.rows[0].values[METRIC_MACS]));
    assert_int_equal(answer.rows[0].given, 1U << METRIC_ACCURACY | 1U << METRIC_MACS);
    struct evaluate_asked asked = {
        .metrics = answer.rows[0].given, .n = 1, .archs = {"0123456789abcdef0123456789abcdef"}};
    assert_int_equal(evaluate_answer_check(&answer, &asked, &err), TL_OK);
    asked.n = 2;
    assert_int_equal(evaluate_answer_check(&answer, &asked, &err), TL_INVALID);
    assert_string_equal(err.pointer, "/values");
    assert_non_null(strstr(err.text, "1 of 2"));
}

static void only_true_makes_a_pool_of_workers(void **state)
{
    (void)state;
    assert_true(device_info_worker((struct store_bytes){"{\"worker\":true}", 15}));
    assert_false(device_info_worker((struct store_bytes){"{\"worker\":1}", 12}));
    assert_false(device_info_worker((struct store_bytes){"{}", 2}));
    assert_false(device_info_worker((struct store_bytes){"", 0}));
}

static enum tl_rc ask_and_lease(void *ctx, struct tl_err *why)
{
    const uint8_t archs[] = {0, 0, 1, 1};
    TL_AUTO(tl_buf) work = {0};
    TL_AUTO(tl_buf) lease = {0};
    enum tl_rc rc = evaluate_work_encode(NULL, &space, 1U << METRIC_ACCURACY, archs, 2, &work, why);
    (void)ctx;
    if (rc) {
        return rc;
    }
    const struct store_job job = {.id = "the-id", .attempt = 1, .work = {work.data, work.len}};
    rc = evaluate_lease_encode(&job, 60, &lease, why);
    assert_true(rc || strcmp(lease.data + lease.len - (work.len - 1), work.data + 1) == 0);
    assert_non_null(strstr(work.data, "\"options\":{\"depth\":\"1\"}"));
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(ask_and_lease, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_gets_the_options_by_name),
        cmocka_unit_test(what_was_asked_is_known_again),
        cmocka_unit_test(an_answer_says_for_each_whether_it_has_a_value),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(only_true_makes_a_pool_of_workers),
    };
    return cmocka_run_group_tests(tests, make_space, NULL);
}
