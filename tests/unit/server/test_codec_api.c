/* The small documents of the API: what agents and people send, what the command line reads. */
#include "server/codec_cli.h"
#include "server/codec_device.h"
#include "server/codec_job.h"
#include "server/codec_measurement.h"
#include "server/codec_model.h"
#include "server/codec_problem.h"
#include "server/flow_steps.h"
#include "tests/alloc_fail.h"

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HASH "00112233445566778899aabbccddeeff"
#define UUID "01930000-0000-7000-8000-000000000001"

/* ---- reading ------------------------------------------------------------------------------------------------- */

static void a_device_says_who_it_is(void **state)
{
    static const char json[] = "{\"name\":\"rack3-pi\",\"agent_key\":\"" HASH "\",\"info\":{\"os\":\"x\",\"cores\":4}}";
    TL_AUTO(device_request) request = {0};
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(device_request_decode(json, sizeof json - 1, &request, &err), TL_OK);
    assert_string_equal(request.name, "rack3-pi");
    assert_string_equal(request.agent_key, HASH);
    assert_string_equal(request.info.data, "{\"cores\":4,\"os\":\"x\"}");
}

static void what_a_device_says_of_itself_is_flat_and_short(void **state)
{
    char json[12000];
    size_t n = (size_t)snprintf(json, sizeof json, "{\"name\":\"a\",\"agent_key\":\"" HASH "\",\"info\":{");
    struct device_request request;
    struct tl_err err = {0};
    (void)state;
    for (int i = 0; i < 33; i++) {
        n += (size_t)snprintf(json + n, sizeof json - n, "%s\"k%d\":1", i ? "," : "", i);
    }
    n += (size_t)snprintf(json + n, sizeof json - n, "}}");
    assert_int_equal(device_request_decode(json, n, &request, &err), TL_INVALID);
    assert_string_equal(err.pointer, "/info");
    err = (struct tl_err){0};
    n = (size_t)snprintf(json, sizeof json, "{\"name\":\"a\",\"agent_key\":\"" HASH "\",\"info\":{\"k\":\"%0300d\"}}",
                         0);
    assert_int_equal(device_request_decode(json, n, &request, &err), TL_INVALID);
    assert_string_equal(err.pointer, "/info/k");
}

static void a_model_request_takes_what_its_kind_needs(void **state)
{
    static const struct {
        const char *json;
        enum model_format format;
        size_t n;
        const char *pointer; /* NULL: taken */
    } cases[] = {
        {"{\"kind\":\"accuracy\",\"format\":\"ofa-mlp\",\"space\":\"s\",\"artifact\":\"" HASH "\"}",
         FORMAT_ACCURACY_OFA_MLP, 1, NULL},
        {"{\"kind\":\"accuracy\",\"format\":\"tailor\",\"space\":\"s\",\"artifact\":\"" HASH "\"}",
         FORMAT_ACCURACY_TAILOR, 1, NULL},
        {"{\"kind\":\"latency\",\"format\":\"tailor\",\"space\":\"s\",\"device\":\"d\",\"artifact\":\"" HASH "\"}",
         FORMAT_LATENCY_TAILOR, 1, NULL},
        {"{\"kind\":\"latency\",\"format\":\"ofa-lut\",\"space\":\"s\",\"device\":\"d\",\"tables\":"
         "[{\"resolution\":160,\"artifact\":\"" HASH "\"},{\"resolution\":224,\"artifact\":\"" HASH "\"}]}",
         FORMAT_LATENCY_OFA_LUT, 2, NULL},
        {"{\"kind\":\"accuracy\",\"format\":\"tailor\",\"space\":\"s\",\"device\":\"d\",\"artifact\":\"" HASH "\"}", 0,
         0, "/device"},
        {"{\"kind\":\"latency\",\"format\":\"ofa-lut\",\"space\":\"s\",\"device\":\"d\",\"artifact\":\"" HASH "\"}", 0,
         0, "/tables"},
        {"{\"kind\":\"latency\",\"format\":\"tailor\",\"space\":\"s\",\"artifact\":\"" HASH "\"}", 0, 0, "/device"},
        {"{\"kind\":\"latency\",\"format\":\"ofa-lut\",\"space\":\"s\",\"device\":\"d\",\"tables\":"
         "[{\"resolution\":0,\"artifact\":\"" HASH "\"}]}",
         0, 0, "/tables/0/resolution"},
    };
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct model_request request;
        struct tl_err err = {0};
        enum tl_rc rc = model_request_decode(cases[i].json, strlen(cases[i].json), &request, &err);
        if (cases[i].pointer) {
            assert_int_equal(rc, TL_INVALID);
            assert_string_equal(err.pointer, cases[i].pointer);
        } else {
            assert_int_equal(rc, TL_OK);
            assert_int_equal(request.format, cases[i].format);
            assert_int_equal(request.n_artifacts, cases[i].n);
        }
    }
}

static void an_agents_call_carries_only_what_it_needs(void **state)
{
    static const char lease[] = "{\"device\":\"d\",\"agent_key\":\"" HASH "\"}";
    static const char renew[] = "{\"attempt\":3.0,\"agent_key\":\"" HASH "\"}";
    static const char fail[] = "{\"attempt\":3,\"agent_key\":\"" HASH "\",\"reason\":\"hot\"}";
    struct agent_call call;
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(lease_call_decode(lease, sizeof lease - 1, &call, &err), TL_OK);
    assert_string_equal(call.device, "d");
    assert_int_equal(job_call_decode(renew, sizeof renew - 1, false, &call, &err), TL_OK);
    assert_int_equal(call.attempt, 3);
    assert_string_equal(call.reason, "");
    assert_int_equal(job_call_decode(fail, sizeof fail - 1, true, &call, &err), TL_OK);
    assert_string_equal(call.reason, "hot");
    assert_int_equal(job_call_decode(fail, sizeof fail - 1, false, &call, &err), TL_INVALID);
    assert_string_equal(err.pointer, "/reason");
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static void a_problem_names_the_field_and_stays_utf_8(void **state)
{
    TL_AUTO(tl_buf) buf = {0};
    struct tl_err err = {0};
    struct cli_problem problem;
    (void)state;
    (void)tl_fail_at(&err, TL_INVALID, "/a/\xc3", "no \"%s\"", "\xff\xfe");
    assert_int_equal(problem_encode(422, "Unprocessable Content", &err, &buf), TL_OK);
    cli_problem_decode(buf.data, buf.len, &(struct devices){0}, &problem);
    assert_string_equal(problem.detail, "no \"??\"");
    assert_string_equal(problem.pointer, "/a/?");
    assert_true(isnan(problem.ranges[METRIC_MACS].min));
}

static void a_measurement_is_corrected_once_the_anchor_is_fixed(void **state)
{
    static const char body[] = "{\"agent_key\":\"" HASH "\",\"item_ns\":[[1]]}";
    const struct store_measurement row = {.id = UUID,
                                          .device = "d",
                                          .job = UUID,
                                          .search = "",
                                          .space = "s",
                                          .subject = "x",
                                          .kind = "block",
                                          .verdict = "stable",
                                          .reason = "",
                                          .created_ns = 1,
                                          .ratio = 2.0,
                                          .anchor_ms = 1.5,
                                          .median_ms = NAN,
                                          .body_hash = HASH,
                                          .body = {body, sizeof body - 1}};
    const struct lat_summary summary = {
        .n = 7, .median_ms = 3.5, .median_lower_ms = 3, .median_upper_ms = 4, .p90_upper_ms = NAN};
    TL_AUTO(tl_buf) before = {0};
    TL_AUTO(tl_buf) after = {0};
    (void)state;
    assert_int_equal(measurement_encode(&row, 0, NULL, &before, NULL), TL_OK);
    assert_non_null(strstr(before.data, "\"corrected_ms\":null"));
    assert_null(strstr(before.data, "\"body\""));
    assert_int_equal(measurement_encode(&row, 1.25, &summary, &after, NULL), TL_OK);
    assert_non_null(strstr(after.data, "\"corrected_ms\":2.5"));
    assert_non_null(strstr(after.data, "\"body\":{\"item_ns\":[[1]]}"));
    assert_non_null(strstr(after.data, "\"runs\":7"));
    assert_non_null(strstr(after.data, "\"median_interval_ms\":[3"));
    assert_non_null(strstr(after.data, "\"p90_upper_ms\":null"));
    assert_null(strstr(after.data, HASH));
}

/* ---- what the command line reads ----------------------------------------------------------------------------- */

static void a_device_document_is_read_back(void **state)
{
    const struct store_device row = {.seq = 1,
                                     .name = "pi",
                                     .agent_key = HASH,
                                     .created_ns = 1,
                                     .seen_ns = 2,
                                     .anchor_reference_ms = 1.25,
                                     .state = "quarantined",
                                     .state_reason = "no fan",
                                     .state_since_ns = 4,
                                     .info = {"{\"cpu\":\"x\"}", 11}};
    const struct store_model model = {.kind = "latency",
                                      .space = "s",
                                      .device = "pi",
                                      .hash = HASH,
                                      .created_ns = 3,
                                      .info = {"{\"networks\":40,\"mape\":2.5}", 26}};
    const struct job_counts all = {.queued = 1, .leased = 2, .done = 3, .failed = 4};
    struct device_document *document = NULL;
    TL_AUTO(tl_buf) buf = {0};
    struct cli_device device;
    struct tl_err err = {0};
    (void)state;
    assert_int_equal(device_document_new(&row, true, &document, &err), TL_OK);
    assert_string_equal(device_document_name(document), "pi");
    assert_int_equal(device_document_model(document, &model, &err), TL_OK);
    assert_int_equal(device_document_jobs(document, &all, &all, &err), TL_OK);
    assert_int_equal(device_document_encode(document, &buf, &err), TL_OK);
    device_document_free(document);
    assert_null(strstr(buf.data, HASH ",\"seen"));
    assert_non_null(strstr(buf.data, "\"profile\":{\"done\":7,\"total\":10}"));
    assert_int_equal(cli_device_decode(buf.data, buf.len, &device, &err), TL_OK);
    assert_string_equal(device.name, "pi");
    assert_true(device.online && device.anchor_ms == 1.25);
    assert_string_equal(device.state, "quarantined");
    assert_string_equal(device.state_reason, "no fan");
    assert_string_equal(device.state_since, "1970-01-01T00:00:00.000Z");
    assert_int_equal(device.leased, 2);
    assert_int_equal(device.n_models, 1);
    assert_int_equal(device.models[0].networks, 40);
    assert_true(device.models[0].mape == 2.5 && isnan(device.models[0].spearman));
}

static void documents_of_other_versions_are_read_as_far_as_they_go(void **state)
{
    static const char *const texts[] = {"{}", "[]", "{\"answer\":7,\"progress\":[],\"warnings\":{}}", "{\"id\":5}"};
    struct cli_search search;
    struct cli_device device;
    struct tl_err err = {0};
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(texts); i++) {
        assert_int_equal(cli_search_decode(texts[i], strlen(texts[i]), &search, &err), TL_MALFORMED);
        assert_int_equal(cli_device_decode(texts[i], strlen(texts[i]), &device, &err), TL_OK);
        err = (struct tl_err){0};
    }
    static const char bare[] = "{\"id\":\"" UUID "\",\"state\":\"running\",\"new_field\":1}";
    assert_int_equal(cli_search_decode(bare, sizeof bare - 1, &search, &err), TL_OK);
    assert_string_equal(search.state, "running");
    assert_false(search.has_answer);
    assert_true(isnan(search.eta_s));
}

/* ---- when memory runs out ------------------------------------------------------------------------------------ */

static enum tl_rc read_and_show_a_device(void *ctx, struct tl_err *err)
{
    static const char json[] = "{\"name\":\"a\",\"agent_key\":\"" HASH "\",\"info\":{\"cpu\":\"x\"}}";
    TL_AUTO(device_request) request = {0};
    TL_AUTO(tl_buf) buf = {0};
    struct device_document *document = NULL;
    enum tl_rc rc;
    (void)ctx;
    if ((rc = device_request_decode(json, sizeof json - 1, &request, err))) {
        return rc;
    }
    const struct store_device row = {.name = request.name,
                                     .agent_key = "",
                                     .state = "active",
                                     .state_reason = "",
                                     .info = {request.info.data, request.info.len}};
    if (!(rc = device_document_new(&row, false, &document, err))) {
        rc = device_document_encode(document, &buf, err);
    }
    device_document_free(document);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(read_and_show_a_device, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_says_who_it_is),
        cmocka_unit_test(what_a_device_says_of_itself_is_flat_and_short),
        cmocka_unit_test(a_model_request_takes_what_its_kind_needs),
        cmocka_unit_test(an_agents_call_carries_only_what_it_needs),
        cmocka_unit_test(a_problem_names_the_field_and_stays_utf_8),
        cmocka_unit_test(a_measurement_is_corrected_once_the_anchor_is_fixed),
        cmocka_unit_test(a_device_document_is_read_back),
        cmocka_unit_test(documents_of_other_versions_are_read_as_far_as_they_go),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
