/* Spaces as people write them: what is taken, and which field a refusal names. */
#include "alloc_fail.h"
#include "server/codec_space_file.h"

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct space space, again;
static struct space_about about;
static struct tl_err err;

static enum tl_rc decode(const char *json)
{
    err = (struct tl_err){0};
    return space_file_decode(json, strlen(json), &space, &about, &err);
}

static void taken(const char *json)
{
    if (decode(json) != TL_OK) {
        fail_msg("%s: %s", err.pointer, err.text);
    }
}

static void refused(const char *json, const char *pointer, const char *says)
{
    assert_int_equal(decode(json), TL_INVALID);
    assert_string_equal(err.pointer, pointer);
    if (!strstr(err.text, says)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    }
}

static const char small[] =
    "{\"name\":\"small\",\"title\":\"A small one\",\"source\":\"made up\",\"count\":\"22\",\"variables\":["
    "{\"name\":\"depth\",\"options\":[1,2]},"
    "{\"name\":\"op1\",\"options\":[\"skip\",{\"label\":\"conv\",\"number\":3},\"pool\"],\"group\":\"ops\"},"
    "{\"name\":\"op2\",\"options\":[\"skip\",\"conv\",\"pool\"],\"group\":\"ops\","
    "\"active_when\":{\"variable\":\"depth\",\"options\":[2]}},"
    "{\"name\":\"ratio\",\"options\":[0.25,0.5],\"ordered\":false}],"
    "\"forbid\":[{\"op1\":[\"skip\"],\"op2\":[\"skip\"]}]}";

static void a_space_is_what_was_written(void **state)
{
    (void)state;
    taken(small);
    assert_string_equal(space.name, "small");
    assert_string_equal(about.title, "A small one");
    assert_string_equal(about.source, "made up");
    assert_int_equal(space.n_variables, 4);
    assert_true(space.variables[0].ordered);
    assert_string_equal(space.variables[0].labels[1], "2");
    assert_true(space.variables[0].numbers[1] == 2);
    assert_false(space.variables[1].ordered || space.variables[3].ordered);
    assert_true(space.variables[1].numbers[1] == 3 && isnan(space.variables[1].numbers[0]));
    assert_int_equal(space.variables[1].group, space.variables[2].group);
    assert_int_not_equal(space.variables[0].group, space.variables[1].group);
    assert_int_equal(space.variables[2].parent, 0);
    assert_int_equal(space.variables[2].active_under, 2);
    assert_int_equal(space.n_rules, 1);
    assert_false(space_allowed(&space, (const uint8_t[]){1, 0, 0, 0}));
    assert_true(space_allowed(&space, (const uint8_t[]){0, 0, 0, 0}));
}

static void a_space_that_was_written_is_read_as_the_same(void **state)
{
    TL_AUTO(tl_buf) text = {0};
    TL_AUTO(tl_buf) twice = {0};
    (void)state;
    taken(small);
    assert_int_equal(space_file_encode(&space, &about, &text, &err), TL_OK);
    again = space;
    taken(text.data);
    assert_true(tl_hash_equal(&again.id, &space.id));
    assert_int_equal(space_file_encode(&space, &about, &twice, &err), TL_OK);
    assert_string_equal(text.data, twice.data);
}

static void numbers_keep_fifteen_digits(void **state)
{
    TL_AUTO(tl_buf) text = {0};
    (void)state;
    taken(
        "{\"name\":\"n\",\"variables\":[{\"name\":\"a\",\"options\":[0.12345678901234567890,1000000,1000001,1e20]}]}");
    again = space;
    assert_string_equal(space.variables[0].labels[2], "1000001");
    assert_int_equal(space_file_encode(&space, &about, &text, &err), TL_OK);
    taken(text.data);
    assert_true(tl_hash_equal(&again.id, &space.id));
}

static void a_space_of_one_architecture_is_one(void **state)
{
    char count[SPACE_COUNT_TEXT];
    (void)state;
    taken("{\"name\":\"one\",\"variables\":[{\"name\":\"a\",\"options\":[\"only\"]}]}");
    space_count(&space, count);
    assert_string_equal(count, "1");
}

#define V(body) "{\"name\":\"s\",\"variables\":[" body "]}"

static void a_refusal_names_the_field_and_the_remedy(void **state)
{
    (void)state;
    refused("[]", "", "must be an object");
    refused("{}", "/name", "required");
    refused("{\"name\":\"s\"}", "/variables", "required");
    refused("{\"name\":\"S!\",\"variables\":[]}", "/name", "must be a name");
    refused(V(""), "/variables", "1");
    refused(V("7"), "/variables/0", "must be an object");
    refused(V("{\"options\":[1]}"), "/variables/0/name", "required");
    refused(V("{\"name\":\"\",\"options\":[1]}"), "/variables/0/name", "1 to 23 bytes");
    refused(V("{\"name\":\"a\"}"), "/variables/0/options", "required");
    refused(V("{\"name\":\"a\",\"options\":[]}"), "/variables/0/options", "1");
    refused(V("{\"name\":\"a\",\"options\":[true]}"), "/variables/0/options/0", "a name or a number");
    refused(V("{\"name\":\"a\",\"options\":[\"x\",\"\\u001b[31m\"]}"), "/variables/0/options/1", "control");
    refused(V("{\"name\":\"a\",\"options\":[1,\"1\"]}"), "/variables/0/options/1", "twice");
    refused(V("{\"name\":\"a\",\"options\":[{\"number\":1}]}"), "/variables/0/options/0/label", "required");
    refused(V("{\"name\":\"a\",\"options\":[3,1],\"ordered\":true}"), "/variables/0/options/1", "sort them");
    refused(V("{\"name\":\"a\",\"options\":[1],\"orderd\":true}"), "/variables/0/orderd", "ordered");
    refused(V("{\"name\":\"a\",\"options\":[1]},{\"name\":\"a\",\"options\":[1]}"), "/variables/1/name", "rename");
    refused("{\"name\":\"s\",\"count\":\"3\",\"variables\":[{\"name\":\"a\",\"options\":[1,2]}]}", "/count", "are 2");
    refused("{\"name\":\"s\",\"title\":\"a\\nb\",\"variables\":[{\"name\":\"a\",\"options\":[1]}]}", "/title",
            "control");
}

#define A       "{\"name\":\"aa\",\"options\":[\"x\",\"y\"]}"
#define B(when) A ",{\"name\":\"bb\",\"options\":[1,2],\"active_when\":" when "}"

static void a_condition_names_an_earlier_variable_and_its_options(void **state)
{
    (void)state;
    refused(V(B("{\"variable\":\"aa\"}")), "/variables/1/active_when/options", "required");
    refused(V(B("{\"variable\":\"aa\",\"options\":[]}")), "/variables/1/active_when/options", "1");
    refused(V(B("{\"variable\":\"aa\",\"options\":[\"z\"]}")), "/variables/1/active_when/options/0", "no option \"z\"");
    refused(V(B("{\"variable\":\"ab\",\"options\":[\"x\"]}")), "/variables/1/active_when/variable", "mean \"aa\"");
    refused(V(B("{\"variable\":\"bb\",\"options\":[1]}")), "/variables/1/active_when/variable", "itself");
    refused(V("{\"name\":\"bb\",\"options\":[1],\"active_when\":{\"variable\":\"aa\",\"options\":[\"x\"]}}," A),
            "/variables/0/active_when/variable", "before bb");
}

#define F(rules)                                                                                                       \
    "{\"name\":\"s\",\"variables\":[" B("{\"variable\":\"aa\",\"options\":[\"y\"]}") "],\"forbid\":[" rules "]}"

static void a_rule_names_variables_and_their_options(void **state)
{
    (void)state;
    taken(F("{\"aa\":[\"y\"],\"bb\":[1]}"));
    refused(F("[]"), "/forbid/0", "1 to 4 variables");
    refused(F("{}"), "/forbid/0", "1 to 4 variables");
    refused(F("{\"cc\":[1]}"), "/forbid/0", "no variable \"cc\"");
    refused(F("{\"bb\":[1]},{\"aa\":\"x\"}"), "/forbid/1/aa", "array");
    refused(F("{\"aa\":[\"x\",\"w\"]}"), "/forbid/0/aa/1", "no option \"w\"");
    refused(F("{\"aa\":[\"x\"],\"bb\":[1]}"), "/forbid/0", "can never match");
    refused(F("{\"aa\":[\"x\",\"y\"]}"), "/forbid", "everything");
    refused(F("{\"aa\":[\"y\"]}"), "/forbid", "bb can never be active");
}

static void too_many_are_refused(void **state)
{
    TL_AUTO(tl_buf) text = {.max = 1 << 20};
    (void)state;
    assert_int_equal(tl_buf_addf(&text, &err, "{\"name\":\"s\",\"variables\":["), TL_OK);
    for (int i = 0; i <= SPACE_VARIABLES_MAX; i++) {
        assert_int_equal(tl_buf_addf(&text, &err, "%s{\"name\":\"v%d\",\"options\":[1]}", i ? "," : "", i), TL_OK);
    }
    assert_int_equal(tl_buf_addf(&text, &err, "]}"), TL_OK);
    refused(text.data, "/variables", "128");
    tl_buf_clear(&text);
    assert_int_equal(tl_buf_addf(&text, &err, "{\"name\":\"s\",\"variables\":[{\"name\":\"v\",\"options\":["), TL_OK);
    for (int i = 0; i <= SPACE_OPTIONS_MAX; i++) {
        assert_int_equal(tl_buf_addf(&text, &err, "%s%d", i ? "," : "", i), TL_OK);
    }
    assert_int_equal(tl_buf_addf(&text, &err, "]}]}"), TL_OK);
    refused(text.data, "/variables/0/options", "32");
}

static void a_refusal_leaves_what_was_there(void **state)
{
    (void)state;
    taken(small);
    again = space;
    assert_int_equal(decode(V("7")), TL_INVALID);
    assert_memory_equal(&again, &space, sizeof space);
    assert_string_equal(about.source, "made up");
}

/* What comes out is whole, or nothing does. */
static enum tl_rc read_and_write(void *ctx, struct tl_err *failure)
{
    TL_AUTO(tl_buf) text = {0};
    const struct tl_buf *expected = ctx;
    enum tl_rc rc = space_file_decode(small, sizeof small - 1, &space, &about, failure);
    rc = rc ? rc : space_file_encode(&space, &about, &text, failure);
    if (rc == TL_OK) {
        assert_string_equal(text.data, expected->data);
    }
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    TL_AUTO(tl_buf) text = {0};
    (void)state;
    taken(small);
    assert_int_equal(space_file_encode(&space, &about, &text, &err), TL_OK);
    assert_true(alloc_fail_each(read_and_write, &text) > 50);
}

static void a_file_of_a_family_is_told_apart(void **state)
{
    static const char family[] = "{\"name\":\"f\",\"stages\":[]}";
    (void)state;
    assert_true(space_file_is(small, sizeof small - 1));
    assert_false(space_file_is(family, sizeof family - 1));
    assert_false(space_file_is("{", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_space_is_what_was_written),
        cmocka_unit_test(a_space_that_was_written_is_read_as_the_same),
        cmocka_unit_test(numbers_keep_fifteen_digits),
        cmocka_unit_test(a_space_of_one_architecture_is_one),
        cmocka_unit_test(a_refusal_names_the_field_and_the_remedy),
        cmocka_unit_test(a_condition_names_an_earlier_variable_and_its_options),
        cmocka_unit_test(a_rule_names_variables_and_their_options),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(a_refusal_leaves_what_was_there),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_file_of_a_family_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
