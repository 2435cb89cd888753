/* test_codec_family.c - families as JSON: what is taken comes back, what cannot be is refused where it stands. */
#include "supernet/network.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void every_shipped_family_comes_back_from_its_description(void **state)
{
    (void)state;
    for (size_t i = 0; i < net_family_count(); i++) {
        TL_AUTO(tl_buf) text = {.max = NET_FAMILY_JSON_MAX};
        struct net_family back;
        struct tl_err err = {0};
        assert_int_equal(net_family_encode(net_family_at(i), &text, &err), TL_OK);
        assert_int_equal(net_family_decode(text.data, text.len, &back, &err), TL_OK);
        assert_true(net_family_equal(&back, net_family_at(i)));
        assert_string_equal(back.title, net_family_at(i)->title);
        back.stages[0].width++;
        assert_false(net_family_equal(&back, net_family_at(i)));
    }
}

/* The description of cifar-mbv3 with the first `from` replaced by `to`. */
static char *changed(const char *from, const char *to)
{
    TL_AUTO(tl_buf) text = {.max = NET_FAMILY_JSON_MAX};
    TL_AUTO(tl_buf) result = {.max = NET_FAMILY_JSON_MAX};
    assert_int_equal(net_family_encode(net_family_get("cifar-mbv3"), &text, NULL), TL_OK);
    const char *at = strstr(text.data, from);
    assert_non_null(at);
    assert_int_equal(tl_buf_add(&result, text.data, (size_t)(at - text.data), NULL), TL_OK);
    assert_int_equal(tl_buf_add(&result, to, strlen(to), NULL), TL_OK);
    assert_int_equal(tl_buf_add(&result, at + strlen(from), strlen(at + strlen(from)), NULL), TL_OK);
    return tl_buf_take(&result);
}

static void impossible_numbers_are_refused_by_their_pointer(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *pointer;
    } cases[] = {
        {"\"kernels\":[3,5]", "\"kernels\":[3,4]", "/kernels"},
        {"\"kernels\":[3,5]", "\"kernels\":[5,3]", "/kernels/1"},
        {"\"kernels\":[3,5]", "\"kernels\":[]", "/kernels"},
        {"\"expands\":[3,4,6]", "\"expands\":[3,4,600]", "/expands/2"},
        {"\"depths\":[2,3,4]", "\"depths\":[2,3]", "/stages"},
        {"\"slots\":4", "\"slots\":0", "/stages/0/slots"},
        {"\"slots\":4", "\"slots\":400", "/stages/0/slots"},
        {"\"stride\":2", "\"stride\":3", "/stages/0/stride"},
        {"\"act\":\"relu\"", "\"act\":\"rellu\"", "/first/act"},
        {"\"classes\":10", "\"classes\":1", "/classes"},
        {"\"bn_eps\":", "\"bn_epsilon\":", "/bn_eps"},
        {"\"resolutions\":[24,28,32]", "\"resolutions\":[24,28,3200]", "/resolutions/2"},
        {"\"width\":96", "\"width\":8000", "/stages"},
        {"\"name\":\"cifar-mbv3\"", "\"name\":\"CIFAR net\"", "/name"},
        {"\"classes\":10", "\"classes\":10,\"klasses\":1", "/klasses"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        struct net_family family = {.n_classes = 77};
        struct tl_err err = {0};
        char *text = changed(cases[i].from, cases[i].to);
        const enum tl_rc rc = net_family_decode(text, strlen(text), &family, &err);
        free(text);
        if (rc != TL_INVALID || strcmp(err.pointer, cases[i].pointer) != 0) {
            fail_msg("%s: %d at %s: %s", cases[i].to, rc, err.pointer, err.text);
        }
        assert_int_equal(family.n_classes, 77);
    }
}

static void a_file_that_is_no_json_or_not_there_is_refused(void **state)
{
    (void)state;
    struct net_family family;
    assert_int_equal(net_family_decode("{", 1, &family, NULL), TL_MALFORMED);
    assert_int_equal(net_family_load("/nowhere/family.json", &family, NULL), TL_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shipped_family_comes_back_from_its_description),
        cmocka_unit_test(impossible_numbers_are_refused_by_their_pointer),
        cmocka_unit_test(a_file_that_is_no_json_or_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
