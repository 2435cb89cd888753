/* Families as files: what is read is what was written, and impossible numbers are refused by field. */
#include "alloc_fail.h"
#include "nets.h"
#include "supernet/codec_family.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char small[] =
    "{\"name\": \"small\", \"title\": \"t\", \"source\": \"s\", \"classes\": 4, \"bn_eps\": 0.001, "
    "\"resolutions\": [16, 32], \"stem\": {\"width\": 8, \"stride\": 2, \"act\": \"relu6\"}, "
    "\"kernels\": [3, 5], \"expands\": [2, 4], \"depths\": [1, 2], "
    "\"stages\": [{\"width\": 8, \"stride\": 1, \"act\": \"relu\"}, "
    "{\"width\": 16, \"stride\": 2, \"act\": \"hswish\", \"se\": true, \"slots\": 1}], "
    "\"head\": {\"act\": \"relu\"}}";

static struct network net;

static void a_family_file_says_everything(void **state)
{
    (void)state;
    struct net_family family;
    struct net_pick pick;
    assert_int_equal(net_family_parse(small, strlen(small), &family, NULL), TL_OK);
    assert_string_equal(family.name, "small");
    assert_true(family.bn_eps == 0.001F);
    assert_int_equal(family.n_choices, 4);
    assert_int_equal(family.choices[2].kernel, 5);
    assert_int_equal(family.choices[2].expand, 2);
    assert_int_equal(family.stages[0].n_slots, 2);
    assert_int_equal(family.stages[0].n_depths, 2);
    assert_int_equal(family.stages[1].n_slots, 1);
    assert_int_equal(family.stages[1].n_depths, 0);
    assert_true(family.stages[1].se && !family.stages[0].se);
    net_family_extreme(&family, 32, true, &pick);
    assert_int_equal(net_build(&family, &pick, &net, NULL), TL_OK);
    assert_int_equal(net.n_blocks, 1 + 2 + 1 + 1);
}

static void every_shipped_family_comes_back_as_it_was_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < net_family_count(); i++) {
        struct net_family again;
        json_t *json = net_family_encode(net_family_at(i));
        assert_non_null(json);
        assert_int_equal(net_family_decode(json, "", &again, NULL), TL_OK);
        json_decref(json);
        assert_memory_equal(&again, net_family_at(i), sizeof again);
    }
}

/* `good` with the text `to` in place of `from` is refused at `pointer` with a sentence that has `word` in it. */
static void refuse_in(const char *good, const char *from, const char *to, const char *pointer, const char *word)
{
    struct net_family family;
    struct tl_err err = {0};
    char text[4096];
    const char *at = strstr(good, from);
    assert_non_null(at);
    const int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
    memset(&family, 0x5a, sizeof family);
    assert_int_equal(net_family_parse(text, (size_t)n, &family, &err), TL_INVALID);
    if (strcmp(err.pointer, pointer) != 0 || strstr(err.text, word) == NULL) {
        fail_msg("%s is refused at \"%s\": %s", to, err.pointer, err.text);
    }
    assert_int_equal(family.name[0], 0x5a); /* untouched */
}

static void refuse(const char *from, const char *to, const char *pointer, const char *word)
{
    refuse_in(small, from, to, pointer, word);
}

static void impossible_numbers_are_refused_by_field(void **state)
{
    (void)state;
    refuse("\"small\"", "\"Small one\"", "/name", "");
    refuse("\"classes\": 4", "\"classes\": 0", "/classes", "1");
    refuse("\"bn_eps\": 0.001", "\"bn_eps\": 0", "/bn_eps", "");
    refuse("[16, 32]", "[32, 16]", "/resolutions", "rise");
    refuse("[16, 32]", "[]", "/resolutions", "");
    refuse("[16, 32]", "[16, 2000]", "/resolutions/1", "1024");
    refuse("\"width\": 8, \"stride\": 2", "\"width\": 9000, \"stride\": 2", "/stem/width", "8192");
    refuse("\"stride\": 2, \"act\": \"relu6\"", "\"stride\": 3, \"act\": \"relu6\"", "/stem/stride", "2");
    refuse("relu6", "relu7", "/stem/act", "did you mean");
    refuse("[3, 5]", "[3, 4]", "/kernels", "3, 5 or 7");
    refuse("[3, 5]", "[3, 9]", "/kernels/1", "7");
    refuse("[3, 5]", "[5, 5]", "/kernels", "rise");
    refuse("[2, 4]", "[0, 4]", "/expands/0", "1");
    refuse("[1, 2]", "[2, 1]", "/depths", "rise");
    refuse("[1, 2]", "[33]", "/depths/0", "32");
    refuse("\"width\": 16", "\"width\": 4096", "/stages/1/width", "lower the width");
    refuse("\"width\": 16, ", "", "/stages/1/width", "");
    refuse("\"slots\": 1", "\"slots\": 31", "/stages/1", "at most 32");
    refuse("\"slots\": 1", "\"slots\": 1, \"depths\": [1]", "/stages/1", "depths and slots");
    refuse("\"depths\": [1, 2], ", "", "/stages/0", "neither depths nor slots");
    refuse("\"kernels\": [3, 5], \"expands\": [2, 4]", "\"choices\": [{\"kernel\": 2, \"expand\": 1}]",
           "/choices/0/kernel", "3, 5 or 7");
    refuse("\"kernels\": [3, 5], \"expands\": [2, 4]", "\"choices\": [{\"identity\": true}, {\"identity\": true}]",
           "/choices/1", "once more");
    refuse("\"kernels\": [3, 5]", "\"kernel\": [3, 5]", "/choices", "");
    refuse("\"se\": true", "\"sse\": true", "/stages/1/sse", "se");
    refuse("\"head\": {\"act\": \"relu\"}", "\"head\": {\"act\": \"relu\", \"final\": -1}", "/head/final", "0");
    refuse("\"head\": {\"act\": \"relu\"}", "\"head\": {\"act\": \"relu\"}, \"tail\": 1", "/tail", "");
}

static const char resnet[] =
    "{\"name\": \"small\", \"title\": \"t\", \"source\": \"s\", \"classes\": 4, \"bn_eps\": 0.001, "
    "\"resolutions\": [32], \"block\": \"bottleneck\", \"multipliers\": [0.5, 1], "
    "\"stem\": {\"mid\": [8, 8], \"width\": [8, 16], \"depths\": [0, 1], \"stride\": 2, \"act\": \"relu\"}, "
    "\"kernels\": [3], \"expands\": [0.25, 0.5], "
    "\"stages\": [{\"width\": [16, 32], \"stride\": 2, \"act\": \"relu\", \"slots\": 2}], "
    "\"head\": {\"act\": \"relu\"}}";

static void impossible_bottlenecks_are_refused_by_field(void **state)
{
    (void)state;
    struct net_family family;
    assert_int_equal(net_family_parse(resnet, strlen(resnet), &family, NULL), TL_OK);
    assert_int_equal(family.expands[0], 25);
    assert_int_equal(family.stages[0].width, 32);
    assert_int_equal(family.widths[NET_PLACE_STAGE][0], 16);
    refuse_in(resnet, "bottleneck", "bottle", "/block", "inverted");
    refuse_in(resnet, "[0.5, 1]", "[1, 0.5]", "/multipliers/1", "larger");
    refuse_in(resnet, "[0.5, 1]", "[1]", "/stem/width", "");
    refuse_in(resnet, "[0.25, 0.5]", "[0.255]", "/expands/0", "two decimals");
    refuse_in(resnet, "[0.25, 0.5]", "[3]", "/expands/0", "2.5");
    refuse_in(resnet, "[8, 16]", "[16, 8]", "/stem/width", "must not fall");
    refuse_in(resnet, "[16, 32]", "[16, 0]", "/stages/0/width/1", "1");
    refuse_in(resnet, "[0, 1]", "[0, 2]", "/stem/depths/1", "1");
    refuse_in(resnet, "\"mid\": [8, 8], ", "", "/stem/depths", "");
    refuse_in(resnet, "\"slots\": 2", "\"slots\": 2, \"se\": true", "/stages/0/se", "false");
    refuse_in(resnet, "\"kernels\": [3], ", "", "/kernels", "");
}

static void a_family_whose_largest_network_is_too_large_is_refused(void **state)
{
    (void)state;
    static const char huge[] =
        "{\"name\": \"huge\", \"title\": \"t\", \"source\": \"s\", \"classes\": 4, \"bn_eps\": 0.001, "
        "\"resolutions\": [1024], \"stem\": {\"width\": 512, \"stride\": 1, \"act\": \"relu6\"}, "
        "\"kernels\": [3], \"expands\": [4], "
        "\"stages\": [{\"width\": 512, \"stride\": 1, \"act\": \"relu\", \"slots\": 4}], \"head\": {\"act\": \"relu\"}}";
    struct net_family family;
    struct tl_err err = {0};
    assert_int_equal(net_family_parse(huge, strlen(huge), &family, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "MACs"));
}

/* ---- files and names ----------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/tailor-family-XXXXXX";
static char path[sizeof folder + 16];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/small.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void write_file(const char *text)
{
    assert_int_equal(tl_file_write(path, text, strlen(text), NULL), TL_OK);
}

static void a_family_is_found_by_name_or_by_file(void **state)
{
    (void)state;
    struct net_family family;
    struct tl_err err = {0};
    write_file(small);
    assert_int_equal(net_family_find(path, &family, NULL), TL_OK);
    assert_string_equal(family.name, "small");
    assert_int_equal(net_family_find("nasbench-macro", &family, NULL), TL_OK);
    assert_string_equal(family.name, "nasbench-macro");
    assert_int_equal(net_family_find("nasbench-makro", &family, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "did you mean nasbench-macro"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(net_family_find(path, &family, NULL), TL_NOT_FOUND);
}

static void a_bad_file_is_refused_with_its_path(void **state)
{
    (void)state;
    struct net_family family;
    struct tl_err err = {0};
    write_file("{\"name\": 4}");
    assert_int_equal(net_family_load(path, &family, &err), TL_INVALID);
    assert_string_equal(err.pointer, "/name");
    assert_non_null(strstr(err.text, path));
    assert_int_equal(unlink(path), 0);
    write_file("{\"name\":");
    assert_int_equal(net_family_load(path, &family, NULL), TL_MALFORMED);
    assert_int_equal(unlink(path), 0);
    write_file("");
    assert_int_equal(net_family_load(path, &family, NULL), TL_MALFORMED);
    assert_int_equal(unlink(path), 0);
}

static void an_added_family_is_known_by_its_name(void **state)
{
    (void)state;
    struct net_family family;
    const size_t before = net_family_count();
    assert_int_equal(net_family_parse(small, strlen(small), &family, NULL), TL_OK);
    assert_int_equal(net_family_add(&family, NULL), TL_OK);
    assert_int_equal(net_family_count(), before + 1);
    assert_ptr_equal(net_family_get("small"), net_family_at(before));
    assert_int_equal(net_family_add(&family, NULL), TL_CONFLICT);
    for (size_t i = before + 1; i < NET_FAMILIES_MAX; i++) {
        (void)snprintf(family.name, sizeof family.name, "small-%zu", i);
        assert_int_equal(net_family_add(&family, NULL), TL_OK);
    }
    (void)snprintf(family.name, sizeof family.name, "one-more");
    assert_int_equal(net_family_add(&family, NULL), TL_TOO_LARGE);
}

static enum tl_rc parse_small(void *ctx, struct tl_err *err)
{
    (void)ctx;
    struct net_family family;
    return net_family_parse(small, strlen(small), &family, err);
}

static void reading_survives_every_allocation_that_fails(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(parse_small, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_file_says_everything),
        cmocka_unit_test(every_shipped_family_comes_back_as_it_was_written),
        cmocka_unit_test(impossible_numbers_are_refused_by_field),
        cmocka_unit_test(impossible_bottlenecks_are_refused_by_field),
        cmocka_unit_test(a_family_whose_largest_network_is_too_large_is_refused),
        cmocka_unit_test(a_family_is_found_by_name_or_by_file),
        cmocka_unit_test(a_bad_file_is_refused_with_its_path),
        cmocka_unit_test(reading_survives_every_allocation_that_fails),
        cmocka_unit_test(an_added_family_is_known_by_its_name), /* last: it fills the table */
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
