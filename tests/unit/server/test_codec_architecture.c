/* test_codec_architecture.c - architectures out of what people have: options, once-for-all's lists, a net.config. */
#include "server/codec_architecture.h"
#include "server/codec_search.h"
#include "server/space_of_family.h"
#include "supernet/files/files.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[] = {"ofa-mbv3-w1.0", "ofa-mbv3-w1.2", "ofa-proxyless-w1.3",
                                    "ofa-resnet50d", "cifar-mbv3",    "mnist-mbv3"};

static void must(enum tl_rc rc, const struct tl_err *err)
{
    if (rc) {
        fail_msg("%s %s", err->text, err->pointer);
    }
}

static void must_be_same(const struct net_family *family, const struct net_pick *a, const struct net_pick *b)
{
    struct network *nets = calloc(2, sizeof *nets);
    struct tl_err err = {0};
    assert_non_null(nets);
    must(net_build(family, a, &nets[0], &err), &err);
    must(net_build(family, b, &nets[1], &err), &err);
    assert_int_equal(nets[0].n_ops, nets[1].n_ops);
    assert_memory_equal(nets[0].ops, nets[1].ops, nets[0].n_ops * sizeof nets[0].ops[0]);
    free(nets);
}

static struct net_pick random_pick(const struct net_family *family, struct space *space, uint64_t seed, uint8_t *arch)
{
    struct tl_rng rng;
    struct tl_err err = {0};
    struct net_pick pick;
    tl_rng_init(&rng, seed, 0, 0);
    must(space_of_family(family, space, &err), &err);
    for (size_t v = 0; v < space->n_variables; v++) {
        arch[v] = (uint8_t)tl_rng_below(&rng, space->variables[v].n_options);
    }
    space_canonical(space, arch);
    pick_of_arch(family, space, arch, &pick);
    return pick;
}

static void what_the_server_writes_is_read_again(void **state)
{
    struct space *space = malloc(sizeof *space);
    uint8_t arch[SPACE_VARIABLES_MAX];
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(NAMES); i++) {
        const struct net_family *family = net_family_get(NAMES[i]);
        TL_AUTO(tl_buf) json = {0};
        struct tl_err err = {0};
        struct net_pick back;
        const struct net_pick pick = random_pick(family, space, i, arch);
        must(architecture_encode(family, space, arch, &json, &err), &err);
        must(architecture_decode(json.data, json.len, family, &back, &err), &err);
        must_be_same(family, &pick, &back);
    }
    free(space);
}

static void a_net_config_becomes_the_pick_that_has_its_layers(void **state)
{
    struct space *space = malloc(sizeof *space);
    struct network *net = malloc(sizeof *net);
    uint8_t arch[SPACE_VARIABLES_MAX];
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(NAMES) * 4; i++) {
        const struct net_family *family = net_family_get(NAMES[i / 4]);
        TL_AUTO(tl_buf) json = {0};
        struct tl_err err = {0};
        struct net_pick pick = random_pick(family, space, i, arch), back;
        pick.resolution = family->resolutions[family->n_resolutions - 1];
        must(net_build(family, &pick, net, &err), &err);
        must(net_config_encode(net, family->bn_eps, i % 2 ? NET_CONFIG_LATER : NET_CONFIG_PUBLISHED, &json, &err),
             &err);
        must(architecture_decode(json.data, json.len, family, &back, &err), &err);
        must_be_same(family, &pick, &back);
        const struct net_family *other = net_family_get(NAMES[(i / 4 + 1) % TL_COUNT_OF(NAMES)]);
        assert_int_equal(architecture_decode(json.data, json.len, other, &back, &err), TL_INVALID);
        assert_non_null(strstr(err.text, other->name));
    }
    free(space);
    free(net);
}

static void a_field_that_is_none_is_refused_by_its_name(void **state)
{
    static const char *const broken[][2] = {
        {"{\"ks\":[], \"kernels\":[], \"e\":[], \"d\":[], \"r\":[28]}", "ks"},
        {"{\"space\":\"mnist-mbv3\", \"options\":{}, \"resolution\":28}", "resolution"},
        {"{\"space\":\"mnist-mbv3\", \"options\":{\"kernel\":\"3\"}}", "kernel"},
        {"{\"space\":\"cifar-mbv3\", \"options\":{}}", "cifar-mbv3"},
        {"{\"options\":[]}", "options"},
    };
    (void)state;
    for (size_t i = 0; i < TL_COUNT_OF(broken); i++) {
        struct tl_err err = {0};
        struct net_pick pick;
        assert_int_equal(
            architecture_decode(broken[i][0], strlen(broken[i][0]), net_family_get("mnist-mbv3"), &pick, &err),
            TL_INVALID);
        if (!strstr(err.text, broken[i][1]) && !strstr(err.pointer, broken[i][1])) {
            fail_msg("%s %s", err.text, err.pointer);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_server_writes_is_read_again),
        cmocka_unit_test(a_net_config_becomes_the_pick_that_has_its_layers),
        cmocka_unit_test(a_field_that_is_none_is_refused_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
