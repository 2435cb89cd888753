/* Tables of values: what a CSV may hold, what is found in it, and an evaluator that stays on its rows. */
#include "alloc_fail.h"
#include "server/codec_table.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct space space;
static struct space_about about;
static struct table_request request;
static struct tl_err err;

static const char SPACE[] =
    "{\"name\":\"small\",\"variables\":[{\"name\":\"depth\",\"options\":[1,2]},"
    "{\"name\":\"op1\",\"options\":[\"skip\",{\"label\":\"half\",\"number\":0.5},\"pool\"]},"
    "{\"name\":\"op2\",\"options\":[\"skip\",\"conv\"],\"active_when\":{\"variable\":\"depth\",\"options\":[2]}}],"
    "\"forbid\":[{\"op1\":[\"skip\"],\"op2\":[\"skip\"]}]}";

#define HASH "\"artifact\":\"0123456789abcdef0123456789abcdef\""

static const char DIGITS[] =
    "{" HASH ",\"source\":\"made up\",\"architecture\":{\"digits\":\"ops\"},\"metrics\":["
    "{\"metric\":\"accuracy\",\"column\":\"acc\",\"unit\":\"fraction\"},"
    "{\"metric\":\"latency_ms\",\"column\":\"pi\",\"unit\":\"s\",\"device\":\"rack-pi\",\"kind\":\"timed\"},"
    "{\"metric\":\"latency_ms\",\"column\":\"fpga\",\"unit\":\"us\",\"device\":\"fpga\",\"kind\":\"cost model\"}]}";

static const char CSV[] = "# made up\nops,acc,pi,fpga,more\n020,0.5,1,10,x\n\n1-2,0.25,,20,y\r\n"; /* the last is bad */
static const char GOOD[] = "ops,acc,pi,fpga,more\n01-,0.5,1,10,x\n121,0.25,,20,y\r\n110,0.75,3,30,";

static int setup(void **state)
{
    (void)state;
    err = (struct tl_err){0};
    if (space_file_decode(SPACE, sizeof SPACE - 1, &space, &about, &err) ||
        table_request_decode(DIGITS, sizeof DIGITS - 1, &space, &request, &err)) {
        fail_msg("%s: %s", err.pointer, err.text);
    }
    return 0;
}

static enum tl_rc read_csv(const char *csv, struct value_table **ret_table)
{
    err = (struct tl_err){0};
    return value_table_read_csv(csv, strlen(csv), &space, &request.manifest, ret_table, &err);
}

static struct value_table *table_of(const char *csv)
{
    struct value_table *table = NULL;
    if (read_csv(csv, &table) != TL_OK) {
        fail_msg("%s", err.text);
    }
    return table;
}

static void refused(const char *csv, const char *says)
{
    struct value_table *table = NULL;
    assert_true(read_csv(csv, &table) == TL_INVALID || err.rc == TL_MALFORMED);
    assert_null(table);
    if (!strstr(err.text, says)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    }
}

/* ---- CSV -------------------------------------------------------------------------------------------------------- */

static void rows_are_found_by_their_architecture(void **state)
{
    struct value_table *table = table_of(GOOD);
    const int acc = value_table_column_of(table, METRIC_ACCURACY, "");
    const int pi = value_table_column_of(table, METRIC_LATENCY_MS, "rack-pi");
    const int fpga = value_table_column_of(table, METRIC_LATENCY_MS, "fpga");
    (void)state;
    assert_int_equal(value_table_rows(table), 3);
    const size_t row = value_table_find(table, (const uint8_t[]){1, 2, 1});
    assert_int_equal(row, 1);
    assert_true(value_table_value(table, (size_t)acc, row) == 25);
    assert_true(isnan(value_table_value(table, (size_t)pi, row)));
    assert_true(fabs(value_table_value(table, (size_t)fpga, row) - 0.02) < 1e-12);
    assert_true(value_table_value(table, (size_t)pi, 0) == 1000);
    assert_int_equal(value_table_find(table, (const uint8_t[]){0, 1, 0}), 0);
    assert_int_equal(value_table_find(table, (const uint8_t[]){0, 2, 0}), SIZE_MAX);
    assert_int_equal(value_table_column_of(table, METRIC_LATENCY_MS, "other"), -1);
    assert_int_equal(value_table_column_of(table, METRIC_MACS, ""), -1);
    assert_true(value_table_column(table, (size_t)pi)->timed && !value_table_column(table, (size_t)fpga)->timed);
    value_table_free(table);
}

static void columns_with_labels_are_read_too(void **state)
{
    static const char manifest[] =
        "{" HASH ",\"architecture\":{\"columns\":{\"depth\":\"d\",\"op1\":\"o1\",\"op2\":\"o2\"}},\"metrics\":["
        "{\"metric\":\"macs\",\"column\":\"m\",\"unit\":\"M\"}]}";
    (void)state;
    assert_int_equal(table_request_decode(manifest, sizeof manifest - 1, &space, &request, &err), TL_OK);
    struct value_table *table = table_of("m,d,o1,o2\n1.5,2,0.50,conv\n2,1.0,half,\n3,1,pool,-\n");
    assert_int_equal(value_table_find(table, (const uint8_t[]){1, 1, 1}), 0);
    assert_int_equal(value_table_find(table, (const uint8_t[]){0, 1, 0}), 1);
    assert_int_equal(value_table_find(table, (const uint8_t[]){0, 2, 0}), 2);
    assert_true(value_table_value(table, 0, 0) == 1.5e6);
    value_table_free(table);
    refused("m,d,o1,o2\n1,3,half,\n", "line 2, column d: \"3\" is no option of depth");
    refused("m,d,o1,o2\n1,2,half,\n", "line 2, column o2: \"\" leaves op2 open");
    refused("m,d,o1\n1,2,half\n", "no column o2");
}

static void what_is_wrong_is_told_by_line_and_column(void **state)
{
    (void)state;
    refused(CSV, "line 5, column ops: \"1-2\" does not say in place 3");
    refused("", "empty");
    refused("ops,acc,pi,fpga\n", "no rows");
    refused("ops,acc,pi\n", "no column fpga");
    refused("ops,acc,pi,fpga,acc\n", "two columns acc");
    refused("ops,acc,pi,fpga\n01-,1,2\n", "line 2 has 3 fields; the first line names 4");
    refused("ops,acc,pi,fpga\n01,1,2,3\n", "\"01\" has 2 characters; the space has 3 variables");
    refused("ops,acc,pi,fpga\n03-,1,2,3\n", "place 2 which of the 3 options op1");
    refused("ops,acc,pi,fpga\n-1-,1,2,3\n", "leaves depth open");
    refused("ops,acc,pi,fpga\n01-,1,2,x\n", "line 2, column fpga: \"x\" is no number");
    refused("ops,acc,pi,fpga\n01-,nan,2,3\n", "column acc: \"nan\" is no number");
    refused("ops,acc,pi,fpga\n01-,1e999,2,3\n", "no number");
    refused("ops,acc,pi,fpga\n01-,1,-2,3\n", "below 0");
    refused("ops,acc,pi,fpga\n01-,1,1e306,3\n", "too large");
    refused("ops,acc,pi,fpga\n010,1,2,3\n011,1,2,3\n", "line 3 is the same architecture as line 2");
    refused("ops,acc,pi,fpga\n100,1,2,3\n", "line 2 is an architecture that a rule");
    refused("ops,acc,pi,fpga\n\"01-\",1,2,3\n", "line 2 has a quote");
    refused("ops,acc,pi,fpga\n\x1b[31m,1,2,3\n", "\"?[31m\"");
}

static void more_rows_than_fit_are_refused(void **state)
{
    struct value_table *table = NULL;
    TL_AUTO(tl_buf) csv = {.max = 8 << 20};
    (void)state;
    assert_int_equal(tl_buf_addf(&csv, &err, "ops,acc,pi,fpga\n"), TL_OK);
    for (size_t i = 0; i <= TABLE_ROWS_MAX; i++) {
        assert_int_equal(tl_buf_add(&csv, "\n", 1, &err), TL_OK);
    }
    assert_int_equal(read_csv(csv.data, &table), TL_TOO_LARGE);
    assert_non_null(strstr(err.text, "1000000 rows"));
}

/* ---- manifests -------------------------------------------------------------------------------------------------- */

static void manifest_refused(const char *json, const char *pointer)
{
    err = (struct tl_err){0};
    assert_int_equal(table_request_decode(json, strlen(json), &space, &request, &err), TL_INVALID);
    assert_string_equal(err.pointer, pointer);
}

#define D   ",\"architecture\":{\"digits\":\"ops\"}"
#define ACC "{\"metric\":\"accuracy\",\"column\":\"a\",\"unit\":\"percent\"}"

static void a_manifest_is_refused_by_its_field(void **state)
{
    (void)state;
    manifest_refused("{}", "/artifact");
    manifest_refused("{" HASH "}", "/architecture");
    manifest_refused("{" HASH ",\"architecture\":{},\"metrics\":[" ACC "]}", "/architecture");
    manifest_refused("{" HASH ",\"architecture\":{\"columns\":{\"depth\":\"d\"}},\"metrics\":[" ACC "]}",
                     "/architecture/columns/op1");
    manifest_refused("{" HASH ",\"architecture\":{\"columns\":{\"deep\":\"d\"}},\"metrics\":[" ACC "]}",
                     "/architecture/columns");
    manifest_refused("{" HASH D "}", "/metrics");
    manifest_refused("{" HASH D ",\"metrics\":[]}", "/metrics");
    manifest_refused("{" HASH D ",\"metrics\":[{\"metric\":\"speed\"}]}", "/metrics/0/metric");
    manifest_refused("{" HASH D ",\"metrics\":[{\"metric\":\"macs\",\"column\":\"a,b\"}]}", "/metrics/0/column");
    manifest_refused("{" HASH D ",\"metrics\":[{\"metric\":\"macs\",\"column\":\"a\",\"unit\":\"ms\"}]}",
                     "/metrics/0/unit");
    manifest_refused("{" HASH D ",\"metrics\":[" ACC "," ACC "]}", "/metrics/1");
    manifest_refused("{" HASH D ",\"metrics\":[{\"metric\":\"latency_ms\",\"column\":\"a\",\"unit\":\"ms\"}]}",
                     "/metrics/0/device");
    manifest_refused("{" HASH D ",\"metrics\":[{\"metric\":\"latency_ms\",\"column\":\"a\",\"unit\":\"ms\","
                     "\"device\":\"pi\",\"kind\":\"guessed\"}]}",
                     "/metrics/0/kind");
    manifest_refused("{" HASH D
                     ",\"metrics\":[{\"metric\":\"macs\",\"column\":\"a\",\"unit\":\"M\",\"device\":\"pi\"}]}",
                     "/metrics/0/device");
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

static void a_table_is_the_same_after_its_bytes(void **state)
{
    TL_AUTO(tl_buf) bytes = {.max = 1 << 20};
    TL_AUTO(tl_buf) again = {.max = 1 << 20};
    struct value_table *table = table_of(GOOD), *loaded = NULL;
    (void)state;
    assert_int_equal(value_table_save(table, &bytes, &err), TL_OK);
    assert_int_equal(value_table_load(bytes.data, bytes.len, &space, &loaded, &err), TL_OK);
    assert_int_equal(value_table_save(loaded, &again, &err), TL_OK);
    assert_int_equal(bytes.len, again.len);
    assert_memory_equal(bytes.data, again.data, bytes.len);
    assert_true(value_table_column(loaded, 1)->timed);
    assert_string_equal(value_table_column(loaded, 2)->device, "fpga");
    value_table_free(table);
    value_table_free(loaded);
}

static void bytes_that_are_no_table_are_refused(void **state)
{
    TL_AUTO(tl_buf) bytes = {.max = 1 << 20};
    struct value_table *table = table_of(GOOD), *loaded = NULL;
    (void)state;
    assert_int_equal(value_table_save(table, &bytes, &err), TL_OK);
    for (size_t n = 0; n < bytes.len; n++) {
        assert_int_equal(value_table_load(bytes.data, n, &space, &loaded, NULL), TL_MALFORMED);
    }
    space.id.bytes[0] ^= 1;
    assert_int_equal(value_table_load(bytes.data, bytes.len, &space, &loaded, NULL), TL_INVALID);
    assert_null(loaded);
    value_table_free(table);
}

static enum tl_rc read_and_drop(void *ctx, struct tl_err *failure)
{
    struct value_table *table = NULL;
    (void)ctx;
    enum tl_rc rc = value_table_read_csv(GOOD, sizeof GOOD - 1, &space, &request.manifest, &table, failure);
    value_table_free(table);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(read_and_drop, NULL) >= 5);
}

/* ---- the evaluator ----------------------------------------------------------------------------------------------- */

static void an_evaluator_knows_its_rows_and_no_others(void **state)
{
    struct value_table *table = table_of(GOOD);
    struct evaluator *evaluator = NULL;
    struct metric_value values[COLUMNS_MAX];
    struct metric_range ranges[COLUMNS_MAX];
    (void)state;
    assert_int_equal(evaluator_new_tabulated(&space, table, "rack-pi", &evaluator, &err), TL_OK);
    const struct search_evaluator *asked = evaluator_table(evaluator);
    assert_int_equal(asked->n_rows, 3);
    assert_int_equal(asked->row(asked->ctx, (const uint8_t[]){1, 2, 1}), 1);
    assert_int_equal(asked->row(asked->ctx, (const uint8_t[]){0, 2, 0}), SIZE_MAX);
    assert_true(evaluator_has(evaluator, METRIC_ACCURACY) && evaluator_has(evaluator, METRIC_LATENCY_MS));
    assert_false(evaluator_has(evaluator, METRIC_MACS));
    assert_true(evaluator_tabulated(evaluator) && evaluator_timed(evaluator, 0));
    evaluator_describe(evaluator, (const uint8_t[]){1, 1, 0}, values);
    assert_true(values[METRIC_ACCURACY].value == 75 && values[METRIC_LATENCY_MS].value == 3000);
    assert_true(isnan(values[METRIC_MACS].value) && values[METRIC_ACCURACY].half_width == 0);
    evaluator_ranges(evaluator, ranges);
    assert_true(ranges[METRIC_LATENCY_MS].min == 1000 && ranges[METRIC_LATENCY_MS].max == 3000);
    assert_true(ranges[METRIC_ACCURACY].min == 25 && isnan(ranges[METRIC_PARAMS].min));
    evaluator_free(evaluator);
    assert_int_equal(evaluator_new_tabulated(&space, table, "fpga,rack-pi", &evaluator, &err), TL_OK);
    evaluator_describe(evaluator, (const uint8_t[]){1, 1, 0}, values);
    assert_true(values[METRIC_LATENCY_MS].value == 0.03 && values[METRIC_LATENCY_MS + 1].value == 3000);
    assert_true(values[METRIC_ACCURACY + 1].value == 75);
    assert_true(!evaluator_timed(evaluator, 0) && evaluator_timed(evaluator, 1));
    evaluator_ranges(evaluator, ranges);
    assert_true(ranges[METRIC_LATENCY_MS + 1].min == 1000 && ranges[METRIC_ACCURACY + 1].min == 25);
    evaluator_free(evaluator);
    assert_int_equal(evaluator_new_tabulated(&space, table, "", &evaluator, &err), TL_OK);
    assert_false(evaluator_has(evaluator, METRIC_LATENCY_MS));
    evaluator_free(evaluator);
    value_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rows_are_found_by_their_architecture, setup),
        cmocka_unit_test_setup(columns_with_labels_are_read_too, setup),
        cmocka_unit_test_setup(what_is_wrong_is_told_by_line_and_column, setup),
        cmocka_unit_test_setup(more_rows_than_fit_are_refused, setup),
        cmocka_unit_test_setup(a_manifest_is_refused_by_its_field, setup),
        cmocka_unit_test_setup(a_table_is_the_same_after_its_bytes, setup),
        cmocka_unit_test_setup(bytes_that_are_no_table_are_refused, setup),
        cmocka_unit_test_setup(every_allocation_may_fail, setup),
        cmocka_unit_test_setup(an_evaluator_knows_its_rows_and_no_others, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
