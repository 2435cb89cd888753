/* net.config: the published networks cost what their publisher says, and edited files are refused where they break. */
#include "alloc_fail.h"
#include "data.h"
#include "nets.h"
#include "supernet/files/files.h"

#include <jansson.h>
#include <math.h>

static struct network net;

/* ---- a small network in both spellings ------------------------------------------------------------------------ */

#define CONV(ci, co, k, s, act, bn)                                                                                    \
    "{\"name\":\"ConvLayer\",\"kernel_size\":" #k ",\"stride\":" #s ",\"dilation\":1,\"groups\":1,\"bias\":false,"     \
    "\"in_channels\":" #ci ",\"out_channels\":" #co ",\"use_bn\":" bn ",\"act_func\":\"" act "\",\"dropout_rate\":0}"
#define IDENTITY "{\"name\":\"IdentityLayer\",\"in_channels\":[16],\"out_channels\":[16]}"
#define MB(name, ci, co, k, s, e, mid, se)                                                                             \
    "{\"name\":\"" name "\",\"in_channels\":" #ci ",\"out_channels\":" #co ",\"kernel_size\":" #k ",\"stride\":" #s    \
    ",\"expand_ratio\":" #e ",\"mid_channels\":" #mid ",\"act_func\":\"relu\",\"use_se\":" se "}"
#define BLOCK(name, key, layer, shortcut) "{\"name\":\"" name "\",\"" key "\":" layer ",\"shortcut\":" shortcut "}"
#define BLOCKS(name, key, layer)                                                                                       \
    "[" BLOCK(name, key, MB(layer, 16, 16, 3, 1, 1, null, "false"),                                                    \
              IDENTITY) "," BLOCK(name, key, MB(layer, 16, 24, 5, 2, 3, 48, "true"),                                   \
                                  "null") "," BLOCK(name, key, MB(layer, 24, 24, 7, 1, 4, 96, "false"), IDENTITY) "]"
#define LINEAR "{\"name\":\"LinearLayer\",\"in_features\":128,\"out_features\":10,\"bias\":true,\"act_func\":null}"

static const char mbv3[] =
    "{\"name\":\"MobileNetV3\",\"bn\":{\"momentum\":0.1,\"eps\":1e-05},"
    "\"first_conv\":" CONV(3, 16, 3, 2, "h_swish",
                           "true") ","
                                   "\"blocks\":" BLOCKS(
                                       "MobileInvertedResidualBlock", "mobile_inverted_conv",
                                       "MBInvertedConvLayer") ","
                                                              "\"final_expand_layer\":" CONV(
                                                                  24, 96, 1, 1, "h_swish",
                                                                  "true") ","
                                                                          "\"feature_mix_layer\":" CONV(
                                                                              96, 128, 1, 1, "h_swish",
                                                                              "false") ","
                                                                                       "\"classifier\":" LINEAR "}";
static const char mbv3_new[] =
    "{\"name\":\"MobileNetV3\","
    "\"first_conv\":" CONV(3, 16, 3, 2, "h_swish",
                           "true") ","
                                   "\"blocks\":" BLOCKS("ResidualBlock", "conv",
                                                        "MBConvLayer") ","
                                                                       "\"final_expand_layer\":" CONV(
                                                                           24, 96, 1, 1, "h_swish",
                                                                           "true") ","
                                                                                   "\"feature_mix_layer\":" CONV(
                                                                                       96, 128, 1, 1, "h_swish",
                                                                                       "false") ","
                                                                                                "\"classifier\":" LINEAR
                                                                                                "}";
static const char proxyless[] =
    "{\"name\":\"ProxylessNASNets\","
    "\"first_conv\":" CONV(3, 16, 3, 2, "relu6",
                           "true") ","
                                   "\"blocks\":" BLOCKS("ResidualBlock", "conv",
                                                        "MBConvLayer") ","
                                                                       "\"feature_mix_layer\":" CONV(
                                                                           24, 128, 1, 1, "relu6",
                                                                           "true") ","
                                                                                   "\"classifier\":" LINEAR "}";

#define BOTTLENECK(ci, co, s, mid)                                                                                     \
    "{\"name\":\"ResNetBottleneckBlock\",\"in_channels\":" #ci ",\"out_channels\":" #co                                \
    ",\"kernel_size\":3,\"stride\":" #s ",\"expand_ratio\":0.25,\"mid_channels\":" #mid                                \
    ",\"act_func\":\"relu\",\"groups\":1,\"downsample_mode\":\"avgpool_conv\"}"
static const char resnet[] =
    "{\"name\":\"ResNets\",\"bn\":{\"momentum\":0.1,\"eps\":1e-05},"
    "\"input_stem\":[" CONV(3, 8, 3, 2, "relu", "true") ",{\"name\":\"ResidualBlock\",\"conv\":" CONV(
        8, 8, 3, 1, "relu",
        "true") ",\"shortcut\":" IDENTITY
                "}," CONV(8, 16, 3, 1, "relu", "true") "],\"blocks\":[" BOTTLENECK(16, 64, 2, 16) "," BOTTLENECK(
                    64, 64, 1,
                    null) "],\"classifier\":{\"name\":\"LinearLayer\",\"in_features\":64,\"out_features\":10}}";

static void decode(const char *json, unsigned image_size)
{
    struct tl_err err = {0};
    if (net_config_decode(json, strlen(json), image_size, &net, &err)) {
        fail_msg("%s: %s", err.pointer, err.text);
    }
}

static void expect_key(size_t block, const char *expected)
{
    char key[NET_KEY_MAX];
    net_block_key(&net, block, key);
    assert_string_equal(key, expected);
}

static void every_operator_is_read(void **state)
{
    (void)state;
    decode(mbv3, 32);
    assert_int_equal(net.n_blocks, 5);
    expect_key(0, "32x32x3-conv16k3s2.hswish");
    expect_key(1, "16x16x16-dwk3s1.relu-pw16-add");
    expect_key(2, "16x16x16-pw48.relu-dwk5s2.relu-se16-pw24");
    expect_key(3, "8x8x24-pw96.relu-dwk7s1.relu-pw24-add");
    expect_key(4, "8x8x24-pw96.hswish-pool-pw128.hswish-fc10");
    assert_int_equal(net.blocks[1].stage, -1);
    assert_int_equal(net.blocks[2].stage, 0);
    assert_int_equal(net.blocks[3].slot, 1);
    assert_int_equal(net.blocks[4].stage, 1);
}

static void both_spellings_mean_the_same_network(void **state)
{
    (void)state;
    static struct network old;
    decode(mbv3, 32);
    old = net;
    decode(mbv3_new, 32);
    assert_int_equal(net.n_ops, old.n_ops);
    assert_memory_equal(net.ops, old.ops, net.n_ops * sizeof net.ops[0]);
}

static void proxyless_mixes_features_before_the_pool(void **state)
{
    (void)state;
    decode(proxyless, 32);
    expect_key(4, "8x8x24-pw128.relu6-pool-fc10");
}

static void a_resnet_has_a_listed_stem_a_pool_and_bottlenecks(void **state)
{
    (void)state;
    decode(resnet, 32);
    assert_int_equal(net.n_blocks, 6);
    expect_key(0, "32x32x3-conv8k3s2.relu");
    expect_key(1, "16x16x8-conv8k3s1.relu-add");
    expect_key(2, "16x16x8-conv16k3s1.relu-maxk3s2");
    assert_int_equal(net.blocks[2].stage, -1);
    assert_int_equal(net.blocks[4].slot, 1);
    assert_int_equal(net.blocks[5].stage, 1);
    assert_int_equal(net.ops[net.blocks[4].first_op].co, 16); /* a quarter of 64 */
}

static void every_resnet_of_the_family_is_read_as_it_was_written(void **state)
{
    (void)state;
    static struct network built;
    const struct net_family *family = net_family_get("ofa-resnet50d");
    struct tl_rng rng;
    tl_rng_init(&rng, 11, 0, 0);
    for (int i = 0; i < 50; i++) {
        TL_AUTO(tl_buf) text = {.max = NET_CONFIG_MAX};
        struct tl_err err = {0};
        const struct net_pick pick = random_pick(family, &rng);
        build("ofa-resnet50d", &pick, &built);
        if (net_config_encode(&built, family->bn_eps, NET_CONFIG_LATER, &text, &err)) {
            fail_msg("%s", err.text);
        }
        decode(text.data, pick.resolution);
        assert_int_equal(net.n_ops, built.n_ops);
        assert_memory_equal(net.ops, built.ops, net.n_ops * sizeof net.ops[0]);
        assert_memory_equal(net.blocks, built.blocks, net.n_blocks * sizeof net.blocks[0]);
    }
}

/* A network of a family and the file of the same network are the same operators. */
static void a_published_file_is_the_family_s_network(void **state)
{
    (void)state;
    static struct network built;
    char path[DATA_PATH_MAX];
    TL_AUTO(tl_buf) text = {0};
    data_path("ofa_note10/net_configs/note10_lat-8ms_top1-71.4_finetune-25.net.json", path);
    assert_int_equal(tl_file_read(path, &text, NULL), TL_OK);
    decode(text.data, 160);
    assert_int_equal(net.blocks[net.n_blocks - 1].stage, 5);
    /* stem, first block, head are of ofa-mbv3-w1.0; so is each stage by its widths */
    const struct net_pick pick = ofa_min(160);
    build("ofa-mbv3-w1.0", &pick, &built);
    for (size_t i = 0; i < 4; i++) {
        assert_memory_equal(&net.ops[i], &built.ops[i], sizeof net.ops[i]);
    }
    for (size_t i = 1; i <= 4; i++) {
        struct net_op op = net.ops[net.n_ops - i];
        op.block = built.ops[built.n_ops - i].block;
        assert_memory_equal(&op, &built.ops[built.n_ops - i], sizeof op);
    }
}

/* ---- the published networks ----------------------------------------------------------------------------------- */

/* The image size stands in a file beside the network's, {"image_size": N}. */
static unsigned image_size_of(const char *name)
{
    char file[256];
    char path[DATA_PATH_MAX];
    TL_AUTO(tl_buf) text = {0};
    (void)snprintf(file, sizeof file, "ofa_note10/net_configs/%s.run.json", name);
    data_path(file, path);
    assert_int_equal(tl_file_read(path, &text, NULL), TL_OK);
    json_t *json = json_loads(text.data, 0, NULL);
    const unsigned size = (unsigned)json_integer_value(json_object_get(json, "image_size"));
    json_decref(json);
    return size;
}

static void cost_of_published(const char *name, struct net_cost *ret_cost)
{
    char file[256];
    char path[DATA_PATH_MAX];
    TL_AUTO(tl_buf) text = {0};
    (void)snprintf(file, sizeof file, "ofa_note10/net_configs/%s.net.json", name);
    data_path(file, path);
    assert_int_equal(tl_file_read(path, &text, NULL), TL_OK);
    decode(text.data, image_size_of(name));
    net_cost_total(&net, ret_cost);
}

/* Printed are whole millions, and four nets are printed a million up from just below the half (73.471 as 74). */
#define MACS_M_TOLERANCE 0.55

/* ofa_published_specialized.csv: name,family,metric,device,batch,latency_ms,top1,top5,params_M,macs_M,finetune_epochs.
 * Names there have @ where file names have -. */
static bool next_published(const char **at, char ret_name[128], double *ret_params_m, double *ret_macs_m)
{
    while (**at) {
        const char *end = strchr(*at, '\n');
        const char *line = *at;
        *at = end ? end + 1 : line + strlen(line);
        const char *field[11] = {line};
        size_t n = 1;
        for (const char *c = line; c < *at && n < 11; c++) {
            if (*c == ',') {
                field[n++] = c + 1;
            }
        }
        if (n < 11 || strncmp(field[1], "mbv3", 4) != 0) {
            continue; /* the header, and ResNet-50D */
        }
        (void)snprintf(ret_name, 128, "%.*s", (int)(field[1] - line - 1), line);
        for (char *c = ret_name; *c; c++) {
            if (*c == '@') {
                *c = '-';
            }
        }
        *ret_params_m = strtod(field[8], NULL);
        *ret_macs_m = strtod(field[9], NULL);
        return true;
    }
    return false;
}

static void published_networks_cost_what_is_printed(void **state)
{
    (void)state;
    char path[DATA_PATH_MAX];
    char name[128];
    double params_m = 0;
    double macs_m = 0;
    size_t n = 0;
    TL_AUTO(tl_buf) text = {0};
    data_path("ofa_mbv3_accuracy/ofa_published_specialized.csv", path);
    assert_int_equal(tl_file_read(path, &text, NULL), TL_OK);
    for (const char *at = text.data; next_published(&at, name, &params_m, &macs_m); n++) {
        struct net_cost cost;
        cost_of_published(name, &cost);
        const bool slip = strstr(name, "note10_lat-8ms") != NULL;
        if (fabs((double)cost.params / 1e6 - params_m) > 0.0501 ||
            (fabs((double)cost.macs / 1e6 - macs_m) > MACS_M_TOLERANCE) != slip) {
            fail_msg("%s: %.2fM params and %.1fM MACs, printed are %.1fM and %.0fM", name, (double)cost.params / 1e6,
                     (double)cost.macs / 1e6, params_m, macs_m);
        }
    }
    assert_int_equal(n, 50);
}

/* The pick of `family` that makes a network's blocks: kernels and expansions as their depthwise convolutions show them. */
static struct net_pick pick_of_net(const struct net_family *family, const struct network *of)
{
    struct net_pick pick = {.resolution = of->resolution};
    for (size_t b = 0; b < of->n_blocks; b++) {
        const struct net_block *block = &of->blocks[b];
        if (block->slot < 0) {
            continue;
        }
        const struct net_op *first = &of->ops[block->first_op];
        const struct net_op *depthwise = first->kind == NET_DEPTHWISE ? first : first + 1;
        const size_t slot = net_family_slots(family, (size_t)block->stage) + (size_t)block->slot;
        for (size_t c = 0; c < family->n_choices; c++) {
            if (family->choices[c].kernel == depthwise->kernel &&
                family->choices[c].expand == depthwise->ci / first->ci) {
                pick.choice[slot] = (uint8_t)c;
            }
        }
        pick.depth[block->stage]++;
    }
    return pick;
}

/* All three of once-for-all's families; their nets are also published at resolutions that the families do not train. */
static void every_published_network_is_one_of_its_family(void **state)
{
    (void)state;
    static struct network built;
    char path[DATA_PATH_MAX];
    char name[128];
    double ignored = 0;
    size_t n[3] = {0};
    TL_AUTO(tl_buf) text = {0};
    data_path("ofa_mbv3_accuracy/ofa_published_specialized.csv", path);
    assert_int_equal(tl_file_read(path, &text, NULL), TL_OK);
    for (const char *at = text.data; next_published(&at, name, &ignored, &ignored);) {
        struct net_cost cost;
        cost_of_published(name, &cost);
        const size_t which = net.ops[0].act == NET_ACT_RELU6 ? 2 : net.ops[0].co == 24;
        static const char *const names[] = {"ofa-mbv3-w1.0", "ofa-mbv3-w1.2", "ofa-proxyless-w1.3"};
        struct net_family family = *net_family_get(names[which]);
        family.n_resolutions = 1;
        family.resolutions[0] = net.resolution;
        const struct net_pick pick = pick_of_net(&family, &net);
        assert_int_equal(net_build(&family, &pick, &built, NULL), TL_OK);
        if (built.n_ops != net.n_ops || memcmp(built.ops, net.ops, net.n_ops * sizeof net.ops[0]) != 0) {
            fail_msg("%s is not of %s", name, names[which]);
        }
        n[which]++;
    }
    assert_int_equal(n[2], 16);
    assert_int_equal(n[0] + n[1], 34);
}

static void the_publisher_s_slip_is_known(void **state)
{
    (void)state;
    struct net_cost cost; /* printed: 79M MACs */
    cost_of_published("note10_lat-8ms_top1-71.4_finetune-25", &cost);
    assert_int_equal(llround((double)cost.macs / 1e5), 758);
}

/* ---- refusals -------------------------------------------------------------------------------------------------- */

/* `of` with its first `from` made `to` must be refused at `pointer`. */
static void refuse_of(const char *of, const char *from, const char *to, const char *pointer, const char *word)
{
    char edited[8192];
    struct tl_err err = {0};
    const char *at = strstr(of, from);
    assert_non_null(at);
    (void)snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - of), of, to, at + strlen(from));
    net.n_ops = 1234;
    const enum tl_rc rc = net_config_decode(edited, strlen(edited), 32, &net, &err);
    if (rc != TL_INVALID || strcmp(err.pointer, pointer) != 0 || !strstr(err.text, word)) {
        fail_msg("%s to %s: at %s: %s", from, to, err.pointer, err.text);
    }
    assert_int_equal(net.n_ops, 1234); /* untouched */
}

static void refuse(const char *from, const char *to, const char *pointer, const char *word)
{
    refuse_of(mbv3, from, to, pointer, word);
}

static void an_edited_file_is_refused_where_it_breaks(void **state)
{
    (void)state;
    refuse("MobileNetV3", "MobileNetV4", "/name", "MobileNetV3");
    refuse("\"first_conv\"", "\"second_conv\"", "/first_conv", "required");
    refuse("\"in_channels\":3", "\"in_channels\":4", "/first_conv", "3 channels arrive");
    refuse("\"groups\":1", "\"groups\":2", "/first_conv/groups", "1");
    refuse("\"dilation\":1", "\"dilation\":2", "/first_conv/dilation", "1");
    refuse("\"use_bn\":true", "\"use_bn\":false", "/first_conv", "use_bn must be true");
    refuse("\"bias\":false", "\"bias\":true", "/first_conv", "bias must be false");
    refuse("\"kernel_size\":3", "\"kernel_size\":2", "/first_conv", "1, 3, 5 or 7");
    refuse("\"kernel_size\":3", "\"kernel_size\":11", "/first_conv/kernel_size", "7");
    refuse("\"stride\":2", "\"stride\":0", "/first_conv/stride", "1 to 2");
    refuse("\"out_channels\":16", "\"out_channels\":1e9", "/first_conv/out_channels", "8192");
    refuse("\"act_func\":\"h_swish\"", "\"act_func\":\"gelu\"", "/first_conv/act_func", "relu");
    refuse("\"out_channels\":24", "\"out_channels\":32", "/blocks/2/mobile_inverted_conv", "32 channels arrive");
    refuse("MBInvertedConvLayer", "ZeroLayer", "/blocks/0/mobile_inverted_conv/name", "unknown");
    refuse("\"expand_ratio\":1", "\"expand_ratio\":-1", "/blocks/0/mobile_inverted_conv/expand_ratio", "1 to 64");
    refuse("\"mid_channels\":null", "\"mid_channels\":17", "/blocks/0/mobile_inverted_conv", "middle channels");
    refuse("\"mid_channels\":48", "\"mid_channels\":9999", "/blocks/1/mobile_inverted_conv/mid_channels", "8192");
    refuse("\"shortcut\":null", "\"shortcut\":" IDENTITY, "/blocks/1/shortcut", "stride 1");
    refuse("IdentityLayer", "ConvLayer", "/blocks/0/shortcut/name", "IdentityLayer");
    refuse("\"in_features\":128", "\"in_features\":127", "/classifier", "128 channels arrive");
}

static void an_edited_resnet_is_refused_where_it_breaks(void **state)
{
    (void)state;
    refuse_of(resnet, "\"input_stem\"", "\"stem\"", "/input_stem", "required");
    refuse_of(resnet, "\"in_channels\":3", "\"in_channels\":4", "/input_stem/0", "3 channels arrive");
    refuse_of(resnet, "\"ResidualBlock\"", "\"ZeroLayer\"", "/input_stem/1/name", "unknown");
    refuse_of(resnet, CONV(8, 8, 3, 1, "relu", "true"), CONV(8, 8, 3, 2, "relu", "true"), "/input_stem/1/shortcut",
              "stride 1");
    refuse_of(resnet, "ResNetBottleneckBlock", "MBConvLayer", "/blocks/0/name", "ResNetBottleneckBlock");
    refuse_of(resnet, "\"groups\":1,\"downsample_mode\"", "\"groups\":2,\"downsample_mode\"", "/blocks/0/groups", "1");
    refuse_of(resnet, "avgpool_conv", "conv", "/blocks/0", "avgpool_conv at stride 2");
    refuse_of(resnet, "avgpool_conv", "pool", "/blocks/0/downsample_mode", "unknown");
    refuse_of(resnet, "\"expand_ratio\":0.25", "\"expand_ratio\":-1", "/blocks/0/expand_ratio", "0 to 64");
    refuse_of(resnet, "\"mid_channels\":16", "\"mid_channels\":9999", "/blocks/0/mid_channels", "8192");
    refuse_of(resnet, "\"in_features\":64", "\"in_features\":63", "/classifier", "64 channels arrive");
}

static void sizes_outside_the_limits_are_refused(void **state)
{
    (void)state;
    struct tl_err err = {0};
    assert_int_equal(net_config_decode(mbv3, strlen(mbv3), 0, &net, &err), TL_INVALID);
    assert_int_equal(net_config_decode(mbv3, strlen(mbv3), NET_SIDE_MAX + 1, &net, NULL), TL_INVALID);
    assert_int_equal(net_config_decode(mbv3, NET_CONFIG_MAX + 1, 32, &net, NULL), TL_TOO_LARGE);
    assert_int_equal(net_config_decode(mbv3, strlen(mbv3) - 1, 32, &net, NULL), TL_MALFORMED);
    decode(mbv3, 1); /* small, but a network */
    decode(mbv3, NET_SIDE_MAX);
}

static void more_blocks_than_the_limit_are_refused(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) text = {0};
    struct tl_err err = {0};
    assert_int_equal(tl_buf_addf(&text, NULL, "{\"name\":\"MobileNetV3\",\"first_conv\":%s,\"blocks\":[0",
                                 CONV(3, 16, 3, 2, "relu", "true")),
                     TL_OK);
    for (int i = 0; i < NET_SLOTS_MAX + 1; i++) {
        assert_int_equal(tl_buf_add(&text, ",0", 2, NULL), TL_OK);
    }
    assert_int_equal(tl_buf_add(&text, "]}", 2, NULL), TL_OK);
    assert_int_equal(net_config_decode(text.data, text.len, 32, &net, &err), TL_INVALID);
    assert_string_equal(err.pointer, "/blocks");
}

static enum tl_rc decoded(void *ctx, struct tl_err *err)
{
    (void)ctx;
    return net_config_decode(mbv3, strlen(mbv3), 32, &net, err);
}

static void decoding_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(decoded, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_is_read),
        cmocka_unit_test(both_spellings_mean_the_same_network),
        cmocka_unit_test(proxyless_mixes_features_before_the_pool),
        cmocka_unit_test(a_resnet_has_a_listed_stem_a_pool_and_bottlenecks),
        cmocka_unit_test(every_resnet_of_the_family_is_read_as_it_was_written),
        cmocka_unit_test(a_published_file_is_the_family_s_network),
        cmocka_unit_test(published_networks_cost_what_is_printed),
        cmocka_unit_test(every_published_network_is_one_of_its_family),
        cmocka_unit_test(the_publisher_s_slip_is_known),
        cmocka_unit_test(an_edited_file_is_refused_where_it_breaks),
        cmocka_unit_test(an_edited_resnet_is_refused_where_it_breaks),
        cmocka_unit_test(sizes_outside_the_limits_are_refused),
        cmocka_unit_test(more_blocks_than_the_limit_are_refused),
        cmocka_unit_test(decoding_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
