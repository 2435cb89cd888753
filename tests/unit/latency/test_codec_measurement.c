/* Measurements over the wire. */
#include "alloc_fail.h"
#include "latency/codec_job.h"
#include "latency/codec_measurement.h"

#include <cmocka.h>
#include <math.h>
#include <string.h>

static const uint16_t ITEM_N[] = {3, 1, 2};
static const int64_t ITEM_NS[] = {2000001, 2000002, 2000003, 1000, 5, 3600000000000};
static const uint16_t ANCHOR_N[] = {1, 2, 1, 1};
static const int64_t ANCHOR_NS[] = {3000000, 3000001, 3000002, 3000003, 3000004};

static struct lat_measurement made(void)
{
    static int64_t item_ns[TL_COUNT_OF(ITEM_NS)];
    struct lat_measurement measurement = {
        .device = "rack3-pi",
        .agent_key = "00112233445566778899aabbccddeeff",
        .job = "01935a1e-7d5c-7000-8000-000000000001",
        .attempt = 2,
        .item = 1,
        .subject = "56x56x24-pw96.relu",
        .is_block = true,
        .visit = {.rounds = 3,
                  .item_n = ITEM_N,
                  .item_ns = item_ns,
                  .anchor_n = ANCHOR_N,
                  .anchor_ns = ANCHOR_NS,
                  .others_cpu = 0.25,
                  .khz_before = NAN,
                  .khz_after = 2400000,
                  .steal = 0,
                  .means = true},
        .started = "2026-11-21T06:30:00.123Z",
        .duration_s = 2.125,
        .context = {.governor = "",
                    .temp_c_before = 41.5,
                    .temp_c_after = NAN,
                    .load1 = 1.5,
                    .threads = 2,
                    .isa = "avx512",
                    .agent = "0.1.0",
                    .runtime = "onnxruntime-node 1.30.0",
                    .model = "00112233445566778899aabbccddeeff"},
    };

    memcpy(item_ns, ITEM_NS, sizeof ITEM_NS);
    item_ns[4] = 1000;
    return measurement;
}

static json_t *made_json(void)
{
    const struct lat_measurement measurement = made();
    TL_AUTO(tl_buf) text = {0};

    assert_int_equal(lat_measurement_encode(&measurement, &text, NULL), TL_OK);
    json_t *json = json_loadb(text.data, text.len, 0, NULL);
    assert_non_null(json);
    return json;
}

static enum tl_rc decode_take(json_t *json, struct lat_measurement *ret_measurement, struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = 8 << 20};

    assert_int_equal(tl_json_dump_take(json, &text, NULL), TL_OK);
    return lat_measurement_decode(text.data, text.len, ret_measurement, err);
}

static void a_measurement_arrives_as_it_was_sent(void **state)
{
    (void)state;
    const struct lat_measurement sent = made();
    TL_AUTO(lat_measurement) got = {0};
    struct tl_err err = {0};
    struct lat_verdict verdict;

    if (decode_take(made_json(), &got, &err) != TL_OK) {
        fail_msg("%s %s", err.pointer, err.text);
    }
    assert_string_equal(got.device, sent.device);
    assert_string_equal(got.agent_key, sent.agent_key);
    assert_string_equal(got.job, sent.job);
    assert_string_equal(got.subject, sent.subject);
    assert_string_equal(got.started, sent.started);
    assert_true(got.attempt == 2 && got.item == 1 && got.is_block && got.duration_s == 2.125);
    assert_int_equal(got.visit.rounds, 3);
    assert_memory_equal(got.visit.item_n, ITEM_N, sizeof ITEM_N);
    assert_memory_equal(got.visit.item_ns, sent.visit.item_ns, sizeof ITEM_NS);
    assert_memory_equal(got.visit.anchor_n, ANCHOR_N, sizeof ANCHOR_N);
    assert_memory_equal(got.visit.anchor_ns, ANCHOR_NS, sizeof ANCHOR_NS);
    assert_true(got.visit.others_cpu == 0.25 && got.visit.steal == 0);
    assert_string_equal(got.context.governor, "");
    assert_true(isnan(got.visit.khz_before) && got.visit.khz_after == 2400000);
    assert_true(got.context.temp_c_before == 41.5 && isnan(got.context.temp_c_after) && got.context.load1 == 1.5);
    assert_int_equal(got.context.threads, 2);
    assert_string_equal(got.context.isa, "avx512");
    assert_string_equal(got.context.runtime, "onnxruntime-node 1.30.0");
    assert_string_equal(got.context.model, "00112233445566778899aabbccddeeff");
    assert_true(got.visit.means);
    assert_int_equal(lat_judge(&got.visit, &verdict, NULL), TL_OK);
}

/* Set a field at the top or in the context. NULL removes it. */
static void set(json_t *json, const char *name, const char *value)
{
    if (strncmp(name, "context.", 8) == 0) {
        json = json_object_get(json, "context");
        name += 8;
    }
    if (value == NULL) {
        assert_int_equal(json_object_del(json, name), 0);
    } else {
        assert_int_equal(json_object_set_new(json, name, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    }
}

static void broken_measurements_are_refused_by_their_field(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *pointer;
    } cases[] = {
        {"device", "\"No Name\"", "/device"},
        {"device", NULL, "/device"},
        {"agent_key", "\"00\"", "/agent_key"},
        {"job", "\"17\"", "/job"},
        {"attempt", "0", "/attempt"},
        {"item", "-1", "/item"},
        {"item", "32", "/item"},
        {"subject", "\"a b\"", "/subject"},
        {"kind", "\"blocks\"", "/kind"},
        {"started", "\"yesterday\"", "/started"},
        {"started", "\"2026-11-21T06:30:00\"", "/started"},
        {"started", "\"2026-11-21T06:30:00.Z\"", "/started"},
        {"duration_s", "-1", "/duration_s"},
        {"duration_s", "null", "/duration_s"},
        {"item_ns", "[]", "/item_ns"},
        {"item_ns", "[[5000],[5000]]", "/item_ns"},
        {"item_ns", "[[5000],[5000],5000]", "/item_ns/2"},
        {"item_ns", "[[5000],[],[5000]]", "/item_ns/1"},
        {"item_ns", "[[5000],[5000],[5000,\"5000\"]]", "/item_ns/2/1"},
        {"item_ns", "[[5000],[5000],[5000,null]]", "/item_ns/2/1"},
        {"item_ns", "[[5000],[999],[5000]]", "/item_ns/1/0"},
        {"item_ns", "[[5000],[-5000],[5000]]", "/item_ns/1/0"},
        {"item_ns", "[[5000],[3600000000001],[5000]]", "/item_ns/1/0"},
        {"item_ns", "[[5000],[5000.5],[5000]]", "/item_ns/1/0"},
        {"item_ns", "{\"0\": [5000]}", "/item_ns"},
        {"anchor_ns", "[[5000],[5000],[5000]]", "/anchor_ns"},
        {"anchor_ns", "[[5000],[5000],[5000],[5000],[5000]]", "/anchor_ns"},
        {"anchor_ns", "[[5000],[5000],[5000],[]]", "/anchor_ns/3"},
        {"context", NULL, "/context"},
        {"context", "[]", "/context"},
        {"context.others_cpu", "-0.1", "/context/others_cpu"},
        {"context.steal", "1.5", "/context/steal"},
        {"context.governor", "7", "/context/governor"},
        {"context.governor", "\"a governor whose name is far too long\"", "/context/governor"},
        {"context.khz_before", "\"fast\"", "/context/khz_before"},
        {"context.threads", "0", "/context/threads"},
        {"context.mood", "null", "/context/mood"},
        {"verdict", "\"stable\"", "/verdict"},
    };

    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct lat_measurement measurement = {0};
        struct tl_err err = {0};
        json_t *json = made_json();
        set(json, cases[i].name, cases[i].value);
        if (decode_take(json, &measurement, &err) != TL_INVALID || strcmp(err.pointer, cases[i].pointer) != 0) {
            fail_msg("%s = %s is answered by %s at \"%s\": %s", cases[i].name,
                     cases[i].value != NULL ? cases[i].value : "nothing", tl_rc_title(err.rc), err.pointer, err.text);
        }
        assert_null(measurement.memory);
    }
}

static void times_that_are_no_numbers_are_malformed(void **state)
{
    (void)state;
    struct lat_measurement measurement = {0};

    assert_int_equal(lat_measurement_decode("{\"item_ns\": [[NaN]]}", 20, &measurement, NULL), TL_MALFORMED);
    assert_int_equal(lat_measurement_decode("{\"item_ns\": [[1e999]]}", 22, &measurement, NULL), TL_MALFORMED);
    assert_int_equal(lat_measurement_decode("{\"item_ns\": [[99999999999999999999]]}", 37, &measurement, NULL),
                     TL_MALFORMED);
    assert_int_equal(lat_measurement_decode("{\"a\": 1, \"a\": 1}", 16, &measurement, NULL), TL_MALFORMED);
}

/* `blocks` blocks of `runs` runs. */
static json_t *many(size_t blocks, size_t runs)
{
    json_t *array = json_array();

    for (size_t b = 0; b < blocks; b++) {
        json_t *block = json_array();
        for (size_t i = 0; i < runs; i++) {
            json_array_append_new(block, json_integer(5000));
        }
        json_array_append_new(array, block);
    }
    return array;
}

static void the_largest_visit_passes_and_a_larger_one_does_not(void **state)
{
    (void)state;
    static const struct {
        size_t rounds, runs;
        enum tl_rc rc;
        const char *pointer;
    } cases[] = {{LAT_ROUNDS_MAX, LAT_RUNS_MAX, TL_OK, ""},
                 {LAT_ROUNDS_MAX + 1, 3, TL_INVALID, "/item_ns"},
                 {LAT_ROUNDS_MIN, LAT_RUNS_MAX + 1, TL_INVALID, "/item_ns/0"}};

    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        TL_AUTO(lat_measurement) measurement = {0};
        struct tl_err err = {0};
        json_t *json = made_json();
        json_object_set_new(json, "item_ns", many(cases[i].rounds, cases[i].runs));
        json_object_set_new(json, "anchor_ns", many(cases[i].rounds + 1, cases[i].runs));
        assert_int_equal(decode_take(json, &measurement, &err), cases[i].rc);
        assert_string_equal(err.pointer, cases[i].pointer);
    }
}

static void an_agent_may_know_nothing_of_its_machine(void **state)
{
    (void)state;
    TL_AUTO(lat_measurement) measurement = {0};
    json_t *json = made_json();

    json_object_set_new(json, "context", json_pack("{s:i}", "threads", 1));
    assert_int_equal(decode_take(json, &measurement, NULL), TL_OK);
    assert_true(isnan(measurement.visit.others_cpu) && isnan(measurement.visit.steal));
    assert_true(isnan(measurement.context.load1) && measurement.context.isa[0] == '\0');
}

static enum tl_rc there_and_back(void *ctx, struct tl_err *err)
{
    (void)ctx;
    const struct lat_measurement measurement = made();
    TL_AUTO(lat_measurement) got = {0};
    TL_AUTO(tl_buf) text = {0};
    const enum tl_rc rc = lat_measurement_encode(&measurement, &text, err);
    return rc ? rc : lat_measurement_decode(text.data, text.len, &got, err);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(there_and_back, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_measurement_arrives_as_it_was_sent),
        cmocka_unit_test(broken_measurements_are_refused_by_their_field),
        cmocka_unit_test(times_that_are_no_numbers_are_malformed),
        cmocka_unit_test(the_largest_visit_passes_and_a_larger_one_does_not),
        cmocka_unit_test(an_agent_may_know_nothing_of_its_machine),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
