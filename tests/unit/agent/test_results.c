/* Outputs of benchmark tools, as their sources write them (results.h names these), and what is no such output. */
#include "latency/agent/results.h"

#include <cmocka.h>
#include <string.h>

enum { MAX = 4 };

static enum tl_rc parse(enum runner_parser parser, const char *out, const char *file, struct results *results,
                        struct tl_err *err)
{
    static int64_t ns[MAX];
    const struct results_text text = {.out = out, .file = file};

    *results = (struct results){.ns = ns, .max = MAX};
    return results_parse(parser, &text, results, err);
}

static void expect_failure(enum runner_parser parser, const char *out, const char *file, const char *says)
{
    struct results results;
    struct tl_err err = {0};

    assert_true(parse(parser, out, file, &results, &err) != TL_OK);
    if (strstr(err.text, says) == NULL) {
        fail_msg("not \"%s\" but: %s", says, err.text);
    }
}

/* ---- benchmark_model ------------------------------------------------------------------------------------------- */

#define TFLITE_HEAD                                                                                                    \
    "INFO: Loaded model mobilenet.tflite\n"                                                                            \
    "count=37 first=20102 curr=13270 min=13240 max=20102 avg=13580.1 std=1090\n\n"                                     \
    "Running benchmark for at least 50 iterations and at least 1 seconds\n"

static void the_second_count_of_benchmark_model_is_the_measurement(void **state)
{
    (void)state;
    struct results results;

    assert_int_equal(parse(PARSE_BENCHMARK_MODEL,
                           TFLITE_HEAD "count=75 first=13311 curr=13260 min=13234 max=13630 avg=13290.4 std=58\n\n"
                                       "Inference timings in us: Init: 4200, First inference: 20102, Warmup (avg): "
                                       "13580.1, Inference (avg): 13290.4\n",
                           NULL, &results, NULL),
                     TL_OK);
    assert_true(results.means && results.n == 1 && results.ns[0] == 13290400);
}

static void a_median_is_better_than_an_average(void **state)
{
    (void)state;
    struct results results;

    assert_int_equal(parse(PARSE_BENCHMARK_MODEL,
                           TFLITE_HEAD
                           "count=75 first=13311 curr=13260 min=13234 max=13630 avg=13290.4 std=58 p5=13240 "
                           "median=13277 p95=13400\n",
                           NULL, &results, NULL),
                     TL_OK);
    assert_true(results.ns[0] == 13277000);
}

static void equal_runs_of_benchmark_model_have_no_average(void **state)
{
    (void)state;
    struct results results;

    assert_int_equal(parse(PARSE_BENCHMARK_MODEL, TFLITE_HEAD "count=50 curr=12(all same)\n", NULL, &results, NULL),
                     TL_OK);
    assert_true(results.ns[0] == 12000);
}

static void what_is_not_benchmark_models_is_refused(void **state)
{
    (void)state;
    expect_failure(PARSE_BENCHMARK_MODEL, "", NULL, "second line with count=");
    expect_failure(PARSE_BENCHMARK_MODEL, TFLITE_HEAD, NULL, "second line with count=");
    expect_failure(PARSE_BENCHMARK_MODEL, TFLITE_HEAD "count=0\n", NULL, "no avg=");
}

/* ---- trtexec --------------------------------------------------------------------------------------------------- */

static const char PASSED[] =
    "[I] === Performance summary ===\n&&&& PASSED TensorRT.trtexec [TensorRT v101300] # trtexec\n";

static void runs_of_trtexec_are_those_behind_its_warm_up(void **state)
{
    (void)state;
    static const char trace[] =
        "[\n  { \"startEnqMs\" : 0.1, \"endEnqMs\" : 0.2, \"startH2dMs\" : 0.1, \"endH2dMs\" : 0.2, \"startComputeMs\" : "
        "0.2, \"endComputeMs\" : 5.2, \"computeMs\" : 5, \"latencyMs\" : 5.1 },\n"
        "  { \"startComputeMs\" : 200.5, \"endComputeMs\" : 202.6, \"computeMs\" : 2.1, \"latencyMs\" : 2.25 },\n"
        "  { \"startComputeMs\" : 203, \"endComputeMs\" : 205, \"computeMs\" : 2, \"latencyMs\" : 2.125 }\n]\n";
    struct results results;

    assert_int_equal(parse(PARSE_TRTEXEC, PASSED, trace, &results, NULL), TL_OK);
    assert_true(!results.means && results.n == 2 && results.ns[0] == 2250000 && results.ns[1] == 2125000);
}

static void what_is_not_trtexecs_is_refused(void **state)
{
    (void)state;
    expect_failure(PARSE_TRTEXEC, "&&&& FAILED TensorRT.trtexec", "[]", "PASSED");
    expect_failure(PARSE_TRTEXEC, PASSED, NULL, "--exportTimes={output}");
    expect_failure(PARSE_TRTEXEC, PASSED, "[{\"startComputeMs\": 300", "no JSON list");
    expect_failure(PARSE_TRTEXEC, PASSED, "{}", "no JSON list");
    expect_failure(PARSE_TRTEXEC, PASSED, "[{\"count\": 3}]", "latencyMs at 0");
    expect_failure(PARSE_TRTEXEC, PASSED, "[{\"startComputeMs\": 3, \"latencyMs\": 2}]", "within its warm-up");
}

/* ---- onnxruntime_perf_test ------------------------------------------------------------------------------------- */

static const char PERF_TEST[] = "Session creation time cost: 0.217932 s\nFirst inference time cost: 196 ms\n"
                                "Total inference time cost: 0.0063 s\nTotal inference requests: 3\n"
                                "Average inference time cost total: 2.100000 ms\nP50 Latency: 0.0021 s\n";

static void rows_of_perf_test_are_runs_in_whatever_unit(void **state)
{
    (void)state;
    static const char *const files[] = {
        "a,b.onnx,0.0020,271122432,11,0\na,b.onnx,0.0022,271122432,11,1\na,b.onnx,0.0021,271122432,11,2\n\n"
        "Min Latency is 0.002sec\n",
        "m,2000000,1,1,0\nm,2200000,1,1,1\nm,2100000,1,1,2\n", "m,2.0,1,1,0\nm,2.2,1,1,1\nm,2.1,1,1,2"};

    for (size_t i = 0; i < TL_COUNT_OF(files); i++) {
        struct results results;
        assert_int_equal(parse(PARSE_PERF_TEST, PERF_TEST, files[i], &results, NULL), TL_OK);
        assert_true(!results.means && results.n == 3);
        assert_true(results.ns[0] == 2000000 && results.ns[1] == 2200000 && results.ns[2] == 2100000);
    }
}

static void without_rows_perf_test_tells_a_mean(void **state)
{
    (void)state;
    struct results results;

    assert_int_equal(parse(PARSE_PERF_TEST, PERF_TEST, NULL, &results, NULL), TL_OK);
    assert_true(results.means && results.n == 1 && results.ns[0] == 2100000);
    assert_int_equal(parse(PARSE_PERF_TEST, "Average inference time cost: 62.2935 ms\n", NULL, &results, NULL), TL_OK);
    assert_true(results.ns[0] == 62293500);
}

static void what_is_not_perf_tests_is_refused(void **state)
{
    (void)state;
    expect_failure(PARSE_PERF_TEST, "nothing", "m,1,1,1,0\n", "Average inference time cost");
    expect_failure(PARSE_PERF_TEST, PERF_TEST, "", "in no unit");
    expect_failure(PARSE_PERF_TEST, PERF_TEST, "m,5,1,1,0\n", "in no unit");
    expect_failure(PARSE_PERF_TEST, PERF_TEST, "no rows here\n", "in no unit");
}

/* ---- json-lines ------------------------------------------------------------------------------------------------ */

static void json_lines_stand_among_others(void **state)
{
    (void)state;
    struct results results;

    assert_int_equal(parse(PARSE_JSON_LINES,
                           "loading\n{not json}\n{\"ns\": [1000, 2000.4]}\n{\"more\": 1}\n{\"ns\":[3000]}", NULL,
                           &results, NULL),
                     TL_OK);
    assert_true(!results.means && results.n == 3 && results.ns[1] == 2000 && results.ns[2] == 3000);
    assert_int_equal(parse(PARSE_JSON_LINES, "{\"mean_ns\": 1500.5, \"runs\": 50}\n", NULL, &results, NULL), TL_OK);
    assert_true(results.means && results.n == 1 && results.ns[0] == 1501);
}

static void of_too_many_runs_the_last_are_kept(void **state)
{
    (void)state;
    struct results results;

    assert_int_equal(parse(PARSE_JSON_LINES, "{\"ns\": [1, 2, 3, 4, 5, 6]}", NULL, &results, NULL), TL_OK);
    assert_true(results.n == MAX && results.ns[0] == 3 && results.ns[3] == 6);
}

static void json_lines_without_times_are_refused(void **state)
{
    (void)state;
    struct results results;

    expect_failure(PARSE_JSON_LINES, "", NULL, "no line");
    expect_failure(PARSE_JSON_LINES, "{\"us\": [3]}\n", NULL, "no line");
    expect_failure(PARSE_JSON_LINES, "{\"ns\": [1000]}\n{\"error\": \"out of memory\"}\n", NULL, "out of memory");
    /* what is no time is kept as what no time can be, and refused by runner_run */
    assert_int_equal(parse(PARSE_JSON_LINES, "{\"ns\": [\"x\", 1e300, -5]}", NULL, &results, NULL), TL_OK);
    assert_true(results.ns[0] == 0 && results.ns[1] == 0 && results.ns[2] == -5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_count_of_benchmark_model_is_the_measurement),
        cmocka_unit_test(a_median_is_better_than_an_average),
        cmocka_unit_test(equal_runs_of_benchmark_model_have_no_average),
        cmocka_unit_test(what_is_not_benchmark_models_is_refused),
        cmocka_unit_test(runs_of_trtexec_are_those_behind_its_warm_up),
        cmocka_unit_test(what_is_not_trtexecs_is_refused),
        cmocka_unit_test(rows_of_perf_test_are_runs_in_whatever_unit),
        cmocka_unit_test(without_rows_perf_test_tells_a_mean),
        cmocka_unit_test(what_is_not_perf_tests_is_refused),
        cmocka_unit_test(json_lines_stand_among_others),
        cmocka_unit_test(of_too_many_runs_the_last_are_kept),
        cmocka_unit_test(json_lines_without_times_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
