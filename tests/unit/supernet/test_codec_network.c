/* Operator lists as JSON: what goes out comes back, and nothing else comes in. */
#include "alloc_fail.h"
#include "nets.h"
#include "supernet/codec_network.h"

static struct network net;
static struct network decoded;

static enum tl_rc decode_text(const char *text, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    const enum tl_rc rc = tl_json_parse(&doc, text, strlen(text), err);
    return rc ? rc : net_decode(doc.root, "/network", &decoded, err);
}

static void what_goes_out_comes_back(void **state)
{
    (void)state;
    struct tl_rng rng;
    tl_rng_init(&rng, 11, 0, 0);
    for (int round = 0; round < 60; round++) {
        const struct net_family *family = net_family_at((size_t)round % net_family_count());
        const struct net_pick pick = random_pick(family, &rng);
        struct tl_err err = {0};
        build(family->name, &pick, &net);
        json_t *json = net_encode(&net);
        assert_non_null(json);
        if (net_decode(json, "", &decoded, &err)) {
            fail_msg("%s: %s", err.pointer, err.text);
        }
        json_decref(json);
        assert_int_equal(decoded.n_ops, net.n_ops);
        assert_int_equal(decoded.n_blocks, net.n_blocks);
        assert_int_equal(decoded.resolution, net.resolution);
        for (size_t i = 0; i < net.n_ops; i++) {
            assert_memory_equal(&decoded.ops[i], &net.ops[i], sizeof net.ops[i]);
        }
        for (size_t i = 0; i < net.n_blocks; i++) {
            assert_memory_equal(&decoded.blocks[i], &net.blocks[i], sizeof net.blocks[i]);
        }
    }
}

/* What other programs may rely on: a network small enough to write out. */
#define CONV   "{\"kind\":\"conv\",\"in\":[8,8,3],\"out\":[4,4,8],\"k\":3,\"s\":2,\"act\":\"relu\",\"bn\":true}"
#define SE     "{\"kind\":\"se\",\"in\":[4,4,8],\"out\":[4,4,8],\"hidden\":8}"
#define DW     "{\"kind\":\"depthwise\",\"in\":[4,4,8],\"out\":[4,4,8],\"k\":5,\"act\":\"hswish\",\"bn\":true}"
#define ADD    "{\"kind\":\"add\",\"in\":[4,4,8],\"out\":[4,4,8],\"skip_from\":1}"
#define POOL   "{\"kind\":\"pool\",\"in\":[4,4,8],\"out\":[1,1,8]}"
#define LINEAR "{\"kind\":\"linear\",\"in\":[1,1,8],\"out\":[1,1,10],\"bias\":true}"
#define BLOCKS                                                                                                         \
    "[{\"n_ops\":1,\"stage\":-1,\"slot\":-1},"                                                                         \
    "{\"n_ops\":3,\"stage\":0,\"slot\":0},{\"n_ops\":2,\"stage\":1,\"slot\":-1}]"
#define NETWORK(ops, blocks) "{\"resolution\":8,\"ops\":[" ops "],\"blocks\":" blocks "}"
#define OPS                  CONV "," DW "," SE "," ADD "," POOL "," LINEAR

static void the_text_is_the_documented_one(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) text = {0};
    struct tl_err err = {0};
    assert_int_equal(decode_text(NETWORK(OPS, BLOCKS), &err), TL_OK);
    assert_int_equal(tl_json_dump_take(net_encode(&decoded), &text, &err), TL_OK);
    assert_string_equal(text.data, NETWORK(OPS, BLOCKS));
    assert_int_equal(decoded.ops[3].skip_from, 1);
    assert_int_equal(decoded.ops[2].hidden, 8);
    assert_int_equal(decoded.ops[4].block, 2);
}

static void refuse(const char *text, const char *pointer, const char *word)
{
    struct tl_err err = {0};
    decoded.n_ops = 1234;
    assert_int_equal(decode_text(text, &err), TL_INVALID);
    if (strcmp(err.pointer, pointer) != 0 || !strstr(err.text, word)) {
        fail_msg("%s: at \"%s\": %s", text, err.pointer, err.text);
    }
    assert_int_equal(decoded.n_ops, 1234); /* untouched */
}

static void what_is_not_a_network_is_refused_by_pointer(void **state)
{
    (void)state;
    refuse("[]", "/network", "object");
    refuse("{}", "/network/resolution", "required");
    refuse("{\"resolution\":8,\"ops\":[],\"blocks\":[]}", "/network/ops", "elements");
    refuse("{\"resolution\":-8,\"ops\":[],\"blocks\":[]}", "/network/resolution", "0 to 65535");
    refuse("{\"resolution\":8,\"ops\":[" OPS "],\"blocks\":" BLOCKS ",\"extra\":1}", "/network/extra", "unknown");
    refuse(NETWORK(CONV "," SE, BLOCKS), "/network/blocks/1", "the network has 2");
    refuse(NETWORK(CONV "," POOL, BLOCKS), "/network/blocks/1", "the network has 2");
    refuse(NETWORK(OPS "," OPS, BLOCKS), "/network/blocks", "12");
    refuse(NETWORK(CONV "," SE "," SE "," ADD "," POOL "," LINEAR, BLOCKS), "/network/ops/3", "in place");
    refuse(NETWORK(CONV ",3", BLOCKS), "/network/ops/1", "object");
    refuse(NETWORK("{\"kind\":\"conf\"}", BLOCKS), "/network/ops/0/kind", "conv");
    refuse(NETWORK("{\"kind\":\"conv\",\"in\":[8,8],\"out\":[8,8,3]}", BLOCKS), "/network/ops/0/in", "elements");
    refuse(NETWORK("{\"kind\":\"conv\",\"in\":[8,8,1e9],\"out\":[8,8,3]}", BLOCKS), "/network/ops/0/in/2", "8192");
    refuse(NETWORK("{\"kind\":\"conv\",\"in\":[8,8,3],\"out\":[8,8,3],\"k\":1e6}", BLOCKS), "/network/ops/0/k",
           "65535");
    refuse(NETWORK("{\"kind\":\"conv\",\"in\":[8,8,3],\"out\":[8,8,3],\"hiden\":1}", BLOCKS), "/network/ops/0/hiden",
           "hidden");
    refuse(NETWORK(OPS, "[{\"n_ops\":6,\"stage\":0}]"), "/network/blocks/0/slot", "required");
    refuse(NETWORK(OPS, "[{\"n_ops\":6,\"stage\":1000,\"slot\":0}]"), "/network/blocks/0/stage", "32");
}

static enum tl_rc decoded_without_memory(void *ctx, struct tl_err *err)
{
    (void)ctx;
    json_t *json = net_encode(&net);
    const enum tl_rc rc = json ? net_decode(json, "", &decoded, err) : tl_fail(err, TL_NO_MEMORY, "net_encode");
    json_decref(json);
    return rc;
}

static void encoding_survives_every_failed_allocation(void **state)
{
    (void)state;
    const struct net_pick pick = ofa_min(128);
    build("ofa-mbv3-w1.0", &pick, &net);
    assert_true(alloc_fail_each(decoded_without_memory, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_out_comes_back),
        cmocka_unit_test(the_text_is_the_documented_one),
        cmocka_unit_test(what_is_not_a_network_is_refused_by_pointer),
        cmocka_unit_test(encoding_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
