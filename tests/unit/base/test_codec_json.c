/* JSON from outside: every refusal names the field and says what would be right, and nothing unknown slips through. */
#include "alloc_fail.h"
#include "base/codec_json.h"

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the document -------------------------------------------------------------------------------------------- */

static void broken_text_is_malformed_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {
        {"", "line 1 column 0"},
        {"  ", "line 1"},
        {"{", "line 1 column 1"},
        {"{\n  \"a\": 1,\n}", "line 3 column 1"},
        {"{\"a\": 1} x", "line 1 column 10"},
        {"{\"a\": 1}{\"b\": 2}", "line 1 column 9"},
        {"{\"a\": NaN}", "line 1"},
        {"{\"a\": 01}", "line 1"},
        {"{'a': 1}", "line 1"},
        {"{\"a\": 1e400}", "line 1"},
        {"{\"a\": 9223372036854775808}", "line 1"},
        {"{\"a\": \"\\u0000\"}", "line 1"},
        {"{\"a\": \"\xff\"}", "line 1"},
        {"{\"a\": \"\xed\xa0\x80\"}", "line 1"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"{\"a\": {\"b\": [{\"c\": 1, \"c\": 1}]}}", "duplicate"},
        {"]", "line 1"},
        {"}}}}}", "line 1"},
        {"\"", "line 1"},
        {"\"\\", "line 1"},
        {"\"\\\"", "line 1"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        TL_AUTO(tl_json) doc = {0};
        struct tl_err err = {0};
        assert_int_equal(tl_json_parse(&doc, cases[i].text, strlen(cases[i].text), &err), TL_MALFORMED);
        assert_null(doc.root);
        if (!strstr(err.text, cases[i].place)) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
        assert_string_equal(err.pointer, "");
    }
}

static void a_nul_inside_the_text_is_malformed(void **state)
{
    (void)state;
    TL_AUTO(tl_json) doc = {0};
    assert_int_equal(tl_json_parse(&doc, "{}\0{}", 5, NULL), TL_MALFORMED);
    assert_int_equal(tl_json_parse(&doc, "{\"a\0\":1}", 8, NULL), TL_MALFORMED);
    assert_int_equal(tl_json_parse(&doc, "\0", 1, NULL), TL_MALFORMED);
}

/* Text that opens `depth` arrays or objects and closes them. */
static enum tl_rc parse_nested(size_t depth, bool objects, struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {0};
    for (size_t i = 0; i < depth; i++) {
        assert_int_equal(tl_buf_addf(&text, NULL, "%s", objects ? "{\"[\":" : "["), TL_OK);
    }
    assert_int_equal(tl_buf_addf(&text, NULL, "%s", objects ? "1" : "\"]}\\\"[[\""), TL_OK);
    for (size_t i = 0; i < depth; i++) {
        assert_int_equal(tl_buf_addf(&text, NULL, "%s", objects ? "}" : "]"), TL_OK);
    }
    TL_AUTO(tl_json) doc = {0};
    return tl_json_parse(&doc, text.data, text.len, err);
}

static void nesting_ends_at_32(void **state)
{
    (void)state;
    for (int objects = 0; objects <= 1; objects++) {
        struct tl_err err = {0};
        assert_int_equal(parse_nested(TL_JSON_DEPTH, objects, &err), TL_OK);
        assert_int_equal(parse_nested(TL_JSON_DEPTH + 1, objects, &err), TL_MALFORMED);
        assert_string_equal(err.text, objects ? "line 1 column 161: nested deeper than 32"
                                              : "line 1 column 33: nested deeper than 32");
        assert_int_equal(parse_nested(50000, objects, NULL), TL_MALFORMED);
    }
}

static void brackets_in_strings_and_siblings_do_not_nest(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) text = {0};
    assert_int_equal(tl_buf_addf(&text, NULL, "["), TL_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(tl_buf_addf(&text, NULL, "[\"[[[[\\\\\\\"{{\", {\"\\\\\": []}],"), TL_OK);
    }
    assert_int_equal(tl_buf_addf(&text, NULL, "\n[]]"), TL_OK);
    TL_AUTO(tl_json) doc = {0};
    assert_int_equal(tl_json_parse(&doc, text.data, text.len, NULL), TL_OK);
    assert_int_equal(json_array_size(doc.root), 101);
}

/* ---- a request, field by field ------------------------------------------------------------------------------- */

/* Everything that a getter can read, in one object. */
struct request {
    const char *text, *name;
    struct tl_hash hash;
    size_t choice;
    int64_t integer, ints[4];
    size_t n_ints;
    double real;
    bool flag, nested_there;
    int64_t inner;
    int64_t elements[3];
    size_t n_elements;
};

static const char *const choices[] = {"random", "evolution", "auto"};

static enum tl_rc read_elements(struct tl_json_object *top, struct request *request, struct tl_err *err)
{
    json_t *array = NULL;
    enum tl_rc rc = tl_json_array(top, "list", TL_OPTIONAL, 1, 3, &array, err);
    for (size_t i = 0; !rc && i < json_array_size(array); i++) {
        struct tl_json_object element;
        if (!(rc = tl_json_element(top, "list", array, i, &element, err)) &&
            !(rc = tl_json_int(&element, "max", TL_REQUIRED, 0, 100, &request->elements[i], err))) {
            rc = tl_json_object_close(&element, err);
        }
        request->n_elements = i + 1;
    }
    return rc;
}

static enum tl_rc read_request(json_t *root, struct request *request, struct tl_err *err)
{
    struct tl_json_object top, nested;
    enum tl_rc rc;
    if ((rc = tl_json_object_open(&top, root, "", err)) ||
        (rc = tl_json_string(&top, "text", TL_OPTIONAL, 8, &request->text, err)) ||
        (rc = tl_json_name(&top, "name", TL_OPTIONAL, &request->name, err)) ||
        (rc = tl_json_hash(&top, "hash", TL_OPTIONAL, &request->hash, err)) ||
        (rc = tl_json_choice(&top, "choice", TL_OPTIONAL, choices, 3, &request->choice, err)) ||
        (rc = tl_json_int(&top, "integer", TL_OPTIONAL, -5, 10, &request->integer, err)) ||
        (rc = tl_json_real(&top, "real", TL_OPTIONAL, 0, INFINITY, &request->real, err)) ||
        (rc = tl_json_bool(&top, "flag", TL_OPTIONAL, &request->flag, err)) ||
        (rc = tl_json_ints(&top, "ints", TL_OPTIONAL, 1, 4, 0, 9, request->ints, &request->n_ints, err)) ||
        (rc = read_elements(&top, request, err)) ||
        (rc = tl_json_nested(&top, "a/b~c", TL_OPTIONAL, &nested, &request->nested_there, err))) {
        return rc;
    }
    if (request->nested_there && ((rc = tl_json_int(&nested, "inner", TL_REQUIRED, 0, 1, &request->inner, err)) ||
                                  (rc = tl_json_object_close(&nested, err)))) {
        return rc;
    }
    return tl_json_object_close(&top, err);
}

static enum tl_rc read_text(const char *text, struct request *request, struct tl_json *doc, struct tl_err *err)
{
    enum tl_rc rc = tl_json_parse(doc, text, strlen(text), err);
    return rc ? rc : read_request(doc->root, request, err);
}

static const char full[] = "{\"text\": \"\xc3\xa9t\xc3\xa9\", \"name\": \"rack3-pi\", \"hash\": "
                           "\"cf4ab791c62b8d2b2109c90275287816\", \"choice\": \"auto\", \"integer\": -5, \"real\": 2, "
                           "\"flag\": true, \"ints\": [0, 9.0, 3], \"list\": [{\"max\": 1}, {\"max\": 2}], "
                           "\"a/b~c\": {\"inner\": 1}}";

static void a_right_request_is_read_in_full(void **state)
{
    (void)state;
    TL_AUTO(tl_json) doc = {0};
    struct request request = {0};
    struct tl_err err = {0};
    assert_int_equal(read_text(full, &request, &doc, &err), TL_OK);
    assert_string_equal(request.text, "\xc3\xa9t\xc3\xa9");
    assert_string_equal(request.name, "rack3-pi");
    struct tl_hash hash = tl_hash_of("abc", 3);
    assert_true(tl_hash_equal(&request.hash, &hash));
    assert_int_equal(request.choice, 2);
    assert_int_equal(request.integer, -5);
    assert_true(request.real == 2.0);
    assert_true(request.flag);
    assert_int_equal(request.n_ints, 3);
    assert_int_equal(request.ints[1], 9);
    assert_int_equal(request.n_elements, 2);
    assert_int_equal(request.elements[1], 2);
    assert_true(request.nested_there);
    assert_int_equal(request.inner, 1);
    assert_int_equal(err.rc, TL_OK);
}

static void what_is_absent_keeps_its_default(void **state)
{
    (void)state;
    TL_AUTO(tl_json) doc = {0};
    struct request request = {.text = "t", .choice = 7, .integer = 7, .real = 7, .flag = true, .n_ints = 7};
    assert_int_equal(read_text("{}", &request, &doc, NULL), TL_OK);
    assert_string_equal(request.text, "t");
    assert_null(request.name);
    assert_int_equal(request.choice, 7);
    assert_int_equal(request.integer, 7);
    assert_true(request.real == 7);
    assert_true(request.flag);
    assert_int_equal(request.n_ints, 7);
    assert_false(request.nested_there);
}

struct refusal {
    const char *json, *pointer, *text;
};

static const struct refusal refusals[] = {
    /* types */
    {"[]", "", "must be an object, not an array"},
    {"null", "", "must be an object, not null"},
    {"{\"text\": 1}", "/text", "must be a string, not an integer"},
    {"{\"text\": null}", "/text", "must be a string, not null"},
    {"{\"name\": []}", "/name", "must be a string, not an array"},
    {"{\"choice\": true}", "/choice", "must be a string, not true"},
    {"{\"integer\": \"1\"}", "/integer", "must be an integer, not a string"},
    {"{\"integer\": false}", "/integer", "must be an integer, not false"},
    {"{\"real\": {}}", "/real", "must be a number, not an object"},
    {"{\"flag\": 1}", "/flag", "must be true or false, not an integer"},
    {"{\"flag\": 1.5}", "/flag", "must be true or false, not a real number"},
    {"{\"list\": {}}", "/list", "must be an array, not an object"},
    {"{\"a/b~c\": 1}", "/a~1b~0c", "must be an object, not an integer"},
    /* strings */
    {"{\"text\": \"123456789\"}", "/text", "must be at most 8 bytes, not 9"},
    {"{\"name\": \"\"}", "/name",
     "must be a name: 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"},
    {"{\"name\": \"../x\"}", "/name",
     "must be a name: 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"},
    {"{\"hash\": \"cf4\"}", "/hash", "must be a hash: 32 lower-case hexadecimal digits"},
    {"{\"choice\": \"evolutoin\"}", "/choice", "\"evolutoin\" is unknown; did you mean \"evolution\"?"},
    {"{\"choice\": \"hill\"}", "/choice", "\"hill\" is unknown; must be one of \"random\", \"evolution\", \"auto\""},
    {"{\"choice\": \"\"}", "/choice", "\"\" is unknown; must be one of \"random\", \"evolution\", \"auto\""},
    /* numbers */
    {"{\"integer\": 11}", "/integer", "must be an integer from -5 to 10"},
    {"{\"integer\": -6}", "/integer", "must be an integer from -5 to 10"},
    {"{\"integer\": 1.5}", "/integer", "must be an integer, not 1.5"},
    {"{\"integer\": 1e300}", "/integer", "must be an integer from -5 to 10"},
    {"{\"integer\": -1e300}", "/integer", "must be an integer from -5 to 10"},
    {"{\"integer\": 9223372036854775808.0}", "/integer", "must be an integer from -5 to 10"},
    {"{\"real\": -0.5}", "/real", "must be a number of at least 0"},
    {"{\"real\": -1}", "/real", "must be a number of at least 0"},
    /* arrays */
    {"{\"list\": []}", "/list", "must have 1 to 3 elements, not 0"},
    {"{\"list\": [1, 2, 3, 4]}", "/list", "must have 1 to 3 elements, not 4"},
    {"{\"list\": [{\"max\": 1}, 2]}", "/list/1", "must be an object, not an integer"},
    {"{\"list\": [{\"max\": 1}, {\"max\": 101}]}", "/list/1/max", "must be an integer from 0 to 100"},
    {"{\"list\": [{}]}", "/list/0/max", "the field \"max\" is required"},
    {"{\"list\": [{\"max\": 1, \"mxa\": 1}]}", "/list/0/mxa", "unknown field \"mxa\"; did you mean \"max\"?"},
    {"{\"ints\": [1, 2, \"3\"]}", "/ints/2", "must be an integer, not a string"},
    {"{\"ints\": [1, 10]}", "/ints/1", "must be an integer from 0 to 9"},
    {"{\"ints\": [1, 2, 3, 4, 5]}", "/ints", "must have 1 to 4 elements, not 5"},
    /* fields */
    {"{\"a/b~c\": {}}", "/a~1b~0c/inner", "the field \"inner\" is required"},
    {"{\"a/b~c\": {\"inner\": 2}}", "/a~1b~0c/inner", "must be an integer from 0 to 1"},
    {"{\"integr\": 1}", "/integr", "unknown field \"integr\"; did you mean \"integer\"?"},
    {"{\"zebra\": 1}", "/zebra", "unknown field \"zebra\""},
    {"{\"x/y\": 1, \"w\": 2}", "/x~1y", "unknown field \"x/y\""},
    {"{\"\": 1}", "/", "unknown field \"\""},
    {"{\"TEXT\": \"x\"}", "/TEXT", "unknown field \"TEXT\""},
};

static void every_refusal_names_the_field_and_what_would_be_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(refusals); i++) {
        TL_AUTO(tl_json) doc = {0};
        struct request request = {0};
        struct tl_err err = {0};
        assert_int_equal(read_text(refusals[i].json, &request, &doc, &err), TL_INVALID);
        assert_int_equal(err.rc, TL_INVALID);
        assert_string_equal(err.pointer, refusals[i].pointer);
        assert_string_equal(err.text, refusals[i].text);
    }
}

static void nothing_is_written_when_a_value_is_refused(void **state)
{
    (void)state;
    TL_AUTO(tl_json) doc = {0};
    struct request request = {.ints = {7, 7, 7, 7}, .n_ints = 7};
    assert_int_equal(read_text("{\"ints\": [1, 2, 99]}", &request, &doc, NULL), TL_INVALID);
    assert_int_equal(request.ints[0], 7);
    assert_int_equal(request.n_ints, 7);
}

static enum tl_rc read_int(const char *text, int64_t min, int64_t max, int64_t *ret_value, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    assert_int_equal(tl_json_parse(&doc, text, strlen(text), NULL), TL_OK);
    assert_int_equal(tl_json_object_open(&top, doc.root, "/at", NULL), TL_OK);
    return tl_json_int(&top, "n", TL_REQUIRED, min, max, ret_value, err);
}

static void integers_keep_all_their_bits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"{\"n\": 9223372036854775807}", INT64_MAX},
        {"{\"n\": -9223372036854775808}", INT64_MIN},
        {"{\"n\": 9007199254740993}", 9007199254740993},
        {"{\"n\": 1.0}", 1},
        {"{\"n\": -0.0}", 0},
        {"{\"n\": 5e4}", 50000},
        {"{\"n\": 1e18}", 1000000000000000000},
        {"{\"n\": -9223372036854775808.0}", INT64_MIN},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        int64_t value = 42;
        assert_int_equal(read_int(cases[i].text, INT64_MIN, INT64_MAX, &value, NULL), TL_OK);
        assert_true(value == cases[i].value);
    }
}

static void half_open_ranges_are_told_as_such(void **state)
{
    (void)state;
    int64_t value;
    struct tl_err low = {0}, high = {0}, missing = {0};
    assert_int_equal(read_int("{\"n\": 0}", 1, INT64_MAX, &value, &low), TL_INVALID);
    assert_string_equal(low.text, "must be an integer of at least 1");
    assert_string_equal(low.pointer, "/at/n");
    assert_int_equal(read_int("{\"n\": 8}", INT64_MIN, 7, &value, &high), TL_INVALID);
    assert_string_equal(high.text, "must be an integer of at most 7");
    assert_int_equal(read_int("{}", 0, 1, &value, &missing), TL_INVALID);
    assert_string_equal(missing.text, "the field \"n\" is required");
    assert_string_equal(missing.pointer, "/at/n");
}

static enum tl_rc read_real(const char *text, double min, double max, double *ret_value, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    assert_int_equal(tl_json_parse(&doc, text, strlen(text), NULL), TL_OK);
    assert_int_equal(tl_json_object_open(&top, doc.root, "", NULL), TL_OK);
    return tl_json_real(&top, "x", TL_REQUIRED, min, max, ret_value, err);
}

static void reals_have_closed_ranges(void **state)
{
    (void)state;
    double value = 0;
    struct tl_err low = {0}, both = {0};
    assert_int_equal(read_real("{\"x\": 0.25}", 0.25, 0.5, &value, NULL), TL_OK);
    assert_true(value == 0.25);
    assert_int_equal(read_real("{\"x\": 1e-400}", 0, 1, &value, NULL), TL_OK);
    assert_int_equal(read_real("{\"x\": 0.75}", -INFINITY, 0.5, &value, &low), TL_INVALID);
    assert_string_equal(low.text, "must be a number of at most 0.5");
    assert_int_equal(read_real("{\"x\": 0.75}", 0.25, 0.5, &value, &both), TL_INVALID);
    assert_string_equal(both.text, "must be a number from 0.25 to 0.5");
}

/* Whatever strangers call their fields, the record stays bounded and valid UTF-8. */
static void a_monstrous_field_name_is_cut(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) text = {0};
    assert_int_equal(tl_buf_addf(&text, NULL, "{\""), TL_OK);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(tl_buf_addf(&text, NULL, "~\xe2\x82\xac/"), TL_OK);
    }
    assert_int_equal(tl_buf_addf(&text, NULL, "\": 1}"), TL_OK);
    TL_AUTO(tl_json) doc = {0};
    struct request request = {0};
    struct tl_err err = {0};
    assert_int_equal(read_text(text.data, &request, &doc, &err), TL_INVALID);
    json_t *as_json = json_pack("{ss ss}", "text", err.text, "pointer", err.pointer); /* refuses what is not UTF-8 */
    assert_non_null(as_json);
    json_decref(as_json);
    assert_memory_equal(err.pointer, "/~0\xe2\x82\xac~1", 8);
}

static void two_getters_may_ask_for_one_field(void **state)
{
    (void)state;
    TL_AUTO(tl_json) doc = {0};
    assert_int_equal(tl_json_parse(&doc, "{\"n\": 1}", 8, NULL), TL_OK);
    struct tl_json_object top;
    assert_int_equal(tl_json_object_open(&top, doc.root, "", NULL), TL_OK);
    int64_t value = 0;
    for (int i = 0; i < TL_JSON_FIELDS * 2; i++) {
        assert_int_equal(tl_json_int(&top, "n", TL_OPTIONAL, 0, 1, &value, NULL), TL_OK);
    }
    assert_int_equal(top.n_known, 1);
    assert_int_equal(tl_json_object_close(&top, NULL), TL_OK);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static void numbers_are_short_in_answers_and_exact_in_stores(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {0};
    assert_int_equal(tl_json_dump_take(json_pack("{sf sf si}", "b", 0.1, "a", 20.0, "c", 1), &buf, NULL), TL_OK);
    assert_string_equal(buf.data, "{\"b\":0.1,\"a\":20.0,\"c\":1}");
    tl_buf_clear(&buf);
    assert_int_equal(tl_json_dump_exact_take(json_pack("{sf sf}", "b", 0.1, "a", 20.0), &buf, NULL), TL_OK);
    assert_string_equal(buf.data, "{\"a\":20.0,\"b\":0.10000000000000001}");
    assert_true(strtod("0.10000000000000001", NULL) == 0.1);
}

static void what_is_not_finite_becomes_null(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {0};
    assert_int_equal(tl_json_dump_take(json_pack("[oooo]", tl_json_number(NAN), tl_json_number(INFINITY),
                                                 tl_json_number(-INFINITY), tl_json_number(1.5)),
                                       &buf, NULL),
                     TL_OK);
    assert_string_equal(buf.data, "[null,null,null,1.5]");
}

static void a_dump_that_fails_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) buf = {.max = 10};
    struct tl_err err = {0}, none = {0};
    assert_int_equal(tl_buf_add(&buf, "before", 6, NULL), TL_OK);
    assert_int_equal(tl_json_dump_take(json_pack("[iiii]", 1, 2, 3, 4), &buf, &err), TL_TOO_LARGE);
    assert_string_equal(buf.data, "before");
    assert_int_equal(buf.len, 6);
    assert_int_equal(tl_json_dump_take(NULL, &buf, &none), TL_NO_MEMORY);
    assert_int_equal(none.rc, TL_NO_MEMORY);
}

static enum tl_rc read_and_write(void *ctx, struct tl_err *err)
{
    (void)ctx;
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(tl_buf) buf = {0};
    struct request request = {0};
    enum tl_rc rc = read_text(full, &request, &doc, err);
    return rc ? rc : tl_json_dump_exact_take(json_incref(doc.root), &buf, err);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(read_and_write, NULL) > 40); /* jansson's are among them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_text_is_malformed_with_its_place),
        cmocka_unit_test(a_nul_inside_the_text_is_malformed),
        cmocka_unit_test(nesting_ends_at_32),
        cmocka_unit_test(brackets_in_strings_and_siblings_do_not_nest),
        cmocka_unit_test(a_right_request_is_read_in_full),
        cmocka_unit_test(what_is_absent_keeps_its_default),
        cmocka_unit_test(every_refusal_names_the_field_and_what_would_be_right),
        cmocka_unit_test(nothing_is_written_when_a_value_is_refused),
        cmocka_unit_test(integers_keep_all_their_bits),
        cmocka_unit_test(half_open_ranges_are_told_as_such),
        cmocka_unit_test(reals_have_closed_ranges),
        cmocka_unit_test(a_monstrous_field_name_is_cut),
        cmocka_unit_test(two_getters_may_ask_for_one_field),
        cmocka_unit_test(numbers_are_short_in_answers_and_exact_in_stores),
        cmocka_unit_test(what_is_not_finite_becomes_null),
        cmocka_unit_test(a_dump_that_fails_leaves_the_buffer_as_it_was),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
