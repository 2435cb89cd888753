/* What people POST to /search: what is taken, and which field a refusal names. */
#include "server/codec_search.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static enum tl_rc decode(const char *json, struct search_request *request, struct tl_err *err)
{
    *err = (struct tl_err){0};
    return search_request_decode(json, strlen(json), request, err);
}

static void refused(const char *json, enum tl_rc rc, const char *pointer)
{
    struct search_request request;
    struct tl_err err;

    assert_int_equal(decode(json, &request, &err), rc);
    assert_string_equal(err.pointer, pointer);
    assert_true(strlen(err.text) > 10);
}

static void a_bare_request_gets_the_defaults(void **state)
{
    struct search_request r;
    struct tl_err err;

    (void)state;
    assert_int_equal(decode("{\"space\":\"ofa-mbv3-w1.0\"}", &r, &err), TL_OK);
    assert_string_equal(r.space, "ofa-mbv3-w1.0");
    assert_int_equal(r.devices.n, 0);
    assert_int_equal(r.objective.metric, METRIC_ACCURACY);
    assert_true(r.maximize);
    assert_int_equal(r.n_limits, 0);
    assert_string_equal(r.controller, "auto");
    assert_int_equal(r.seed, 1);
    assert_int_equal(r.evaluations, 50000);
    assert_int_equal(r.top_k, -1);
}

static void a_request_survives_the_store(void **state)
{
    static const char json[] =
        "{\"space\":\"ofa-mbv3-w1.2\",\"device\":\"note10\",\"label\":\"friday\",\"objective\":{\"minimize\":\"macs\"},"
        "\"constraints\":[{\"metric\":\"latency_ms\",\"max\":25.5},{\"metric\":\"accuracy\",\"min\":75,\"max\":80}],"
        "\"controller\":{\"name\":\"random\",\"seed\":7},\"budget\":{\"evaluations\":1e3,\"seconds\":2.5},"
        "\"verify\":{\"top_k\":2,\"rounds\":4},\"snapshot\":\"00112233445566778899aabbccddeeff\"}";
    TL_AUTO(tl_buf) text = {0};
    TL_AUTO(tl_buf) again = {0};
    struct search_request a, b;
    struct tl_err err;

    (void)state;
    assert_int_equal(decode(json, &a, &err), TL_OK);
    assert_int_equal(a.n_limits, 3);
    assert_int_equal(search_request_encode(&a, &text, &err), TL_OK);
    assert_int_equal(decode(text.data, &b, &err), TL_OK);
    assert_int_equal(search_request_encode(&b, &again, &err), TL_OK);
    assert_string_equal(text.data, again.data);
    assert_int_equal(b.objective.metric, METRIC_MACS);
    assert_string_equal(b.snapshot, "00112233445566778899aabbccddeeff");
    assert_int_equal(b.top_k, 2);
    assert_int_equal(b.rounds, 4);
    assert_true(b.seconds == 2.5 && b.evaluations == 1000);
}

static void several_objectives_survive_the_store(void **state)
{
    static const char list[] =
        "\"objectives\":[{\"minimize\":\"latency_ms\"},{\"maximize\":\"accuracy\"},{\"minimize\":\"params\"}]";
    TL_AUTO(tl_buf) text = {0};
    struct search_request a, b;
    struct tl_err err;
    char json[300];

    (void)state;
    (void)snprintf(json, sizeof json, "{\"space\":\"s\",\"device\":\"d\",%s}", list);
    assert_int_equal(decode(json, &a, &err), TL_OK);
    assert_int_equal(a.n_objectives, 3);
    assert_int_equal(a.objective.metric, METRIC_LATENCY_MS);
    assert_false(a.maximize);
    assert_int_equal(search_request_encode(&a, &text, &err), TL_OK);
    assert_non_null(strstr(text.data, list));
    assert_null(strstr(text.data, "\"objective\""));
    assert_int_equal(decode(text.data, &b, &err), TL_OK);
    assert_int_equal(b.n_objectives, 3);
    assert_int_equal(b.objectives[0].metric, METRIC_LATENCY_MS);
    assert_int_equal(b.objectives[1].metric, METRIC_ACCURACY);
    assert_int_equal(b.objectives[2].metric, METRIC_PARAMS);
    assert_int_equal(decode("{\"space\":\"s\"}", &b, &err), TL_OK);
    assert_int_equal(b.n_objectives, 0);
}

#define OBJECTIVES(list) "{\"space\":\"s\",\"objectives\":[" list "]}"
#define UP               "{\"maximize\":\"accuracy\"}"

static void refusals_name_the_objective_of_several(void **state)
{
    (void)state;
    refused("{\"space\":\"s\",\"objectives\":{}}", TL_INVALID, "/objectives");
    refused(OBJECTIVES(""), TL_INVALID, "/objectives");
    refused(OBJECTIVES(UP), TL_INVALID, "/objectives");
    refused(OBJECTIVES(UP ",{\"minimize\":\"macs\"},{\"minimize\":\"params\"},{\"minimize\":\"size_bytes\"},"
                          "{\"minimize\":\"latency_ms\"}"),
            TL_INVALID, "/objectives");
    refused(OBJECTIVES(UP ",5"), TL_INVALID, "/objectives/1");
    refused(OBJECTIVES(UP ",{}"), TL_INVALID, "/objectives/1");
    refused(OBJECTIVES("{\"maximize\":\"accuracy\",\"minimize\":\"macs\"},{\"minimize\":\"params\"}"), TL_INVALID,
            "/objectives/0");
    refused(OBJECTIVES(UP ",{\"minimise\":\"macs\"}"), TL_INVALID, "/objectives/1/minimise");
    refused(OBJECTIVES(UP ",{\"minimize\":\"speed\"}"), TL_INVALID, "/objectives/1/minimize");
    refused(OBJECTIVES(UP ",{\"maximize\":\"macs\"}"), TL_INVALID, "/objectives/1/maximize");
    refused(OBJECTIVES("{\"minimize\":\"accuracy\"},{\"minimize\":\"macs\"}"), TL_INVALID, "/objectives/0/minimize");
    refused(OBJECTIVES(UP ",{\"minimize\":\"macs\"},{\"minimize\":\"macs\"}"), TL_INVALID, "/objectives/2/minimize");
    refused(OBJECTIVES(UP "," UP), TL_INVALID, "/objectives/1/maximize");
    refused("{\"space\":\"s\",\"objective\":" UP ",\"objectives\":[" UP ",{\"minimize\":\"macs\"}]}", TL_INVALID,
            "/objectives");
}

#define DEVICES(more) "{\"space\":\"s\",\"devices\":[\"nano\",\"rack-pi\"]" more "}"

static void several_devices_survive_the_store(void **state)
{
    static const char json[] = DEVICES(
        ",\"objectives\":[{\"maximize\":\"accuracy\"},{\"minimize\":\"latency_ms\",\"device\":\"rack-pi\"},"
        "{\"minimize\":\"latency_ms\",\"device\":\"nano\"}],\"constraints\":[{\"metric\":\"latency_ms\",\"device\":"
        "\"rack-pi\",\"max\":20},{\"metric\":\"latency_ms\",\"device\":\"nano\",\"min\":30},{\"metric\":\"macs\",\"max\":1}]");
    TL_AUTO(tl_buf) text = {0};
    TL_AUTO(tl_buf) again = {0};
    struct search_request a, b;
    struct tl_err err;

    (void)state;
    assert_int_equal(decode(json, &a, &err), TL_OK);
    assert_int_equal(search_request_encode(&a, &text, &err), TL_OK);
    assert_int_equal(decode(text.data, &b, &err), TL_OK);
    assert_int_equal(search_request_encode(&b, &again, &err), TL_OK);
    assert_string_equal(text.data, again.data);
    assert_int_equal(b.devices.n, 2);
    assert_string_equal(b.devices.names[1], "rack-pi");
    assert_int_equal(request_goal_column(&b, &b.objectives[0]), METRIC_ACCURACY + 1);
    assert_int_equal(request_goal_column(&b, &b.objectives[1]), METRIC_LATENCY_MS + 1);
    assert_int_equal(request_goal_column(&b, &b.objectives[2]), METRIC_LATENCY_MS);
    assert_int_equal(request_limit_column(&b, 0), METRIC_LATENCY_MS + 1);
    assert_int_equal(request_limit_column(&b, 1), METRIC_LATENCY_MS);
    assert_int_equal(request_limit_column(&b, 2), METRIC_MACS);
}

static void one_device_may_be_named_where_its_latency_is(void **state)
{
    TL_AUTO(tl_buf) text = {0};
    struct search_request r;
    struct tl_err err;

    (void)state;
    assert_int_equal(
        decode("{\"space\":\"s\",\"device\":\"nano\",\"constraints\":[{\"metric\":\"latency_ms\",\"max\":9,"
               "\"device\":\"nano\"}]}",
               &r, &err),
        TL_OK);
    assert_int_equal(search_request_encode(&r, &text, &err), TL_OK);
    assert_non_null(strstr(text.data, "\"device\":\"nano\""));
    assert_null(strstr(text.data, "devices"));
}

static void refusals_name_the_device_at_fault(void **state)
{
    (void)state;
    refused("{\"space\":\"s\",\"devices\":[\"nano\"]}", TL_INVALID, "/devices");
    refused("{\"space\":\"s\",\"devices\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}", TL_INVALID, "/devices");
    refused("{\"space\":\"s\",\"devices\":[\"nano\",\"nano\"]}", TL_INVALID, "/devices/1");
    refused("{\"space\":\"s\",\"devices\":[\"nano\",\"a,b\"]}", TL_INVALID, "/devices/1");
    refused("{\"space\":\"s\",\"devices\":[7,\"nano\"]}", TL_INVALID, "/devices/0");
    refused(DEVICES(",\"device\":\"nano\""), TL_INVALID, "/devices");
    refused(DEVICES(",\"constraints\":[{\"metric\":\"latency_ms\",\"max\":9}]"), TL_INVALID, "/constraints/0");
    refused(DEVICES(",\"constraints\":[{\"metric\":\"latency_ms\",\"max\":9,\"device\":\"phone\"}]"), TL_INVALID,
            "/constraints/0/device");
    refused(DEVICES(",\"constraints\":[{\"metric\":\"macs\",\"max\":9,\"device\":\"nano\"}]"), TL_INVALID,
            "/constraints/0/device");
    refused(DEVICES(",\"objective\":{\"minimize\":\"latency_ms\"}"), TL_INVALID, "/objective");
    refused(DEVICES(",\"objective\":{\"minimize\":\"macs\",\"device\":\"nano\"}"), TL_INVALID, "/objective/device");
    refused("{\"space\":\"s\",\"constraints\":[{\"metric\":\"latency_ms\",\"max\":9,\"device\":\"nano\"}]}", TL_INVALID,
            "/constraints/0/device");
    refused(DEVICES(",\"constraints\":[{\"metric\":\"latency_ms\",\"min\":5,\"device\":\"nano\"},"
                    "{\"metric\":\"latency_ms\",\"max\":4,\"device\":\"nano\"}]"),
            TL_INVALID, "/constraints");
}

static void refusals_name_the_field(void **state)
{
    (void)state;
    refused("{", TL_MALFORMED, "");
    refused("{}", TL_INVALID, "/space");
    refused("{\"space\":\"s\",\"constrains\":[]}", TL_INVALID, "/constrains");
    refused("{\"space\":\"s\",\"constraints\":[{\"metric\":\"latency\",\"max\":1}]}", TL_INVALID,
            "/constraints/0/metric");
    refused("{\"space\":\"s\",\"constraints\":[{\"metric\":\"latency_ms\",\"max\":-1}]}", TL_INVALID,
            "/constraints/0/max");
    refused("{\"space\":\"s\",\"constraints\":[{\"metric\":\"latency_ms\"}]}", TL_INVALID, "/constraints/0");
    refused("{\"space\":\"s\",\"constraints\":[{\"metric\":\"macs\",\"min\":5,\"max\":4}]}", TL_INVALID,
            "/constraints/0");
    refused("{\"space\":\"s\",\"constraints\":[{\"metric\":\"macs\",\"min\":5},{\"metric\":\"macs\",\"max\":4}]}",
            TL_INVALID, "/constraints");
    refused("{\"space\":\"s\",\"objective\":{\"maximize\":\"latency_ms\"}}", TL_INVALID, "/objective/maximize");
    refused("{\"space\":\"s\",\"objective\":{}}", TL_INVALID, "/objective");
    refused("{\"space\":\"s\",\"controller\":{\"name\":\"evolutoin\"}}", TL_INVALID, "/controller/name");
    refused("{\"space\":\"s\",\"controller\":{\"name\":\"ppo\",\"reward\":\"most\"}}", TL_INVALID,
            "/controller/reward");
    refused("{\"space\":\"s\",\"controller\":{\"name\":\"ppo\",\"reward\":\"\"}}", TL_INVALID, "/controller/reward");
    refused("{\"space\":\"s\",\"controller\":{\"reward\":\"hard\"}}", TL_INVALID, "/controller/reward");
    refused("{\"space\":\"s\",\"controller\":{\"rewards\":\"hard\"}}", TL_INVALID, "/controller/rewards");
    refused("{\"space\":\"s\",\"budget\":{\"evaluations\":0}}", TL_INVALID, "/budget/evaluations");
    refused("{\"space\":\"s\",\"verify\":{\"top_k\":17}}", TL_INVALID, "/verify/top_k");
    refused("{\"space\":\"s\",\"verify\":3}", TL_INVALID, "/verify");
    refused("{\"space\":\"s\",\"constraints\":[{\"metric\":\"macs\",\"max\":NaN}]}", TL_MALFORMED, "");
}

static void a_reward_survives_the_store(void **state)
{
    TL_AUTO(tl_buf) text = {0};
    struct search_request a, b;
    struct tl_err err;

    (void)state;
    assert_int_equal(decode("{\"space\":\"s\",\"controller\":{\"name\":\"reinforce\"}}", &a, &err), TL_OK);
    assert_int_equal(a.reward, SEARCH_REWARD_DEFAULT);
    assert_int_equal(search_request_encode(&a, &text, &err), TL_OK);
    assert_null(strstr(text.data, "reward"));
    assert_int_equal(
        decode("{\"space\":\"s\",\"controller\":{\"reward\":\"quadratic\",\"name\":\"ppo\",\"seed\":4}}", &a, &err),
        TL_OK);
    assert_int_equal(a.reward, SEARCH_REWARD_QUADRATIC);
    tl_buf_clear(&text);
    assert_int_equal(search_request_encode(&a, &text, &err), TL_OK);
    assert_int_equal(decode(text.data, &b, &err), TL_OK);
    assert_int_equal(b.reward, SEARCH_REWARD_QUADRATIC);
    assert_string_equal(b.controller, "ppo");
    assert_int_equal(b.seed, 4);
}

static void a_near_miss_is_suggested(void **state)
{
    struct search_request r;
    struct tl_err err;

    (void)state;
    assert_int_equal(decode("{\"space\":\"s\",\"constraints\":[{\"metric\":\"latency_mss\",\"max\":1}]}", &r, &err),
                     TL_INVALID);
    assert_non_null(strstr(err.text, "latency_ms"));
    assert_int_equal(decode("{\"space\":\"s\",\"controller\":{\"name\":\"ppo\",\"reward\":\"absolut\"}}", &r, &err),
                     TL_INVALID);
    assert_non_null(strstr(err.text, "did you mean \"absolute\"?"));
    assert_int_equal(decode("{\"space\":\"s\",\"controler\":{}}", &r, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "controller"));
}

static void workers_survive_the_store_and_make_the_budget_small(void **state)
{
    static const char json[] = "{\"space\":\"s\",\"evaluate\":{\"by\":\"net-3\",\"metrics\":[\"accuracy\",\"macs\"]}}";
    TL_AUTO(tl_buf) text = {0};
    struct search_request a, b;
    struct tl_err err;

    (void)state;
    assert_int_equal(decode(json, &a, &err), TL_OK);
    assert_int_equal(a.evaluations, EVALUATIONS_DEAR);
    assert_int_equal(search_request_encode(&a, &text, &err), TL_OK);
    assert_int_equal(decode(text.data, &b, &err), TL_OK);
    assert_string_equal(b.pool, "net-3");
    assert_int_equal(b.evaluated, 1U << METRIC_ACCURACY | 1U << METRIC_MACS);
    assert_int_equal(b.evaluations, EVALUATIONS_DEAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_request_gets_the_defaults),
        cmocka_unit_test(a_request_survives_the_store),
        cmocka_unit_test(a_reward_survives_the_store),
        cmocka_unit_test(several_devices_survive_the_store),
        cmocka_unit_test(one_device_may_be_named_where_its_latency_is),
        cmocka_unit_test(refusals_name_the_device_at_fault),
        cmocka_unit_test(refusals_name_the_field),
        cmocka_unit_test(a_near_miss_is_suggested),
        cmocka_unit_test(several_objectives_survive_the_store),
        cmocka_unit_test(refusals_name_the_objective_of_several),
        cmocka_unit_test(workers_survive_the_store_and_make_the_budget_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
