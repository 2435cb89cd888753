/* Once-for-all's checkpoints: every tensor of a supernet has one name there, and every name there is one of ours.
 *
 * Their names are put together here as their code does (OFAMobileNetV3, OFAProxylessNASNets, OFAResNets and their dynamic layers in
 * https://github.com/mit-han-lab/once-for-all); ours are those of the largest network.
 */
#include "nets.h"
#include "supernet/files/files.h"

#include <stdio.h>
#include <stdlib.h>

enum { TENSORS_MAX = 1024, THEIR_NAME_MAX = 128 };

struct names {
    char of[TENSORS_MAX][THEIR_NAME_MAX];
    size_t n;
};

static void add(struct names *names, const char *layer, const char *what)
{
    assert_true(names->n < TENSORS_MAX);
    (void)snprintf(names->of[names->n++], THEIR_NAME_MAX, "%s.%s", layer, what);
}

/* ---- theirs ---------------------------------------------------------------------------------------------------- */

/* A convolution and its batch norm; dynamic ones hold the layer that they cut. */
static void add_conv(struct names *names, const char *layer, bool dynamic, bool norm)
{
    static const char *const plain[] = {"bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"};
    add(names, layer, dynamic ? "conv.conv.weight" : "conv.weight");
    for (size_t i = 0; norm && i < TL_COUNT_OF(plain); i++) {
        char inner[64];
        (void)snprintf(inner, sizeof inner, dynamic ? "bn.%s" : "%s", plain[i]);
        add(names, layer, inner);
    }
}

static void add_block(struct names *names, size_t index, const char *key, bool se)
{
    const bool dynamic = index > 0; /* the first block is fixed, and expands nothing */
    char layer[64];
    if (dynamic) {
        (void)snprintf(layer, sizeof layer, "blocks.%zu.%s.inverted_bottleneck", index, key);
        add_conv(names, layer, true, true);
    }
    (void)snprintf(layer, sizeof layer, "blocks.%zu.%s.depth_conv", index, key);
    add_conv(names, layer, dynamic, true);
    if (dynamic) {
        add(names, layer, "conv.5to3_matrix");
        add(names, layer, "conv.7to5_matrix");
    }
    static const char *const gates[] = {"se.fc.reduce.weight", "se.fc.reduce.bias", "se.fc.expand.weight",
                                        "se.fc.expand.bias"};
    for (size_t i = 0; se && i < TL_COUNT_OF(gates); i++) {
        add(names, layer, gates[i]);
    }
    (void)snprintf(layer, sizeof layer, "blocks.%zu.%s.point_linear", index, key);
    add_conv(names, layer, dynamic, true);
}

/* n blocks a stage; se: of the stage. */
static void their_names(struct names *names, const char *key, const size_t *n_blocks, const bool *se, size_t n_stages,
                        bool v3)
{
    size_t index = 0;
    names->n = 0;
    add_conv(names, "first_conv", false, true);
    add_block(names, index++, key, false);
    for (size_t s = 0; s < n_stages; s++) {
        for (size_t b = 0; b < n_blocks[s]; b++) {
            add_block(names, index++, key, se[s]);
        }
    }
    if (v3) {
        add_conv(names, "final_expand_layer", false, true);
    }
    add_conv(names, "feature_mix_layer", false, !v3);
    add(names, "classifier", "linear.weight");
    add(names, "classifier", "linear.bias");
}

/* ---- ours ------------------------------------------------------------------------------------------------------ */

static void add_layer(struct names *names, const struct network *net, size_t op, unsigned which, bool elastic)
{
    const struct net_op *of = &net->ops[op];
    char name[NET_NAME_MAX];
    if (net_layer_of(of, which).co == 0) {
        return;
    }
    net_layer_name(net, op, which, name);
    add(names, name, "weight");
    if (of->bias || of->kind == NET_SE) {
        add(names, name, "bias");
    }
    if (of->batch_norm) {
        add(names, name, "bn.weight");
        add(names, name, "bn.bias");
        add(names, name, "bn.running_mean");
        add(names, name, "bn.running_var");
    }
    if (of->kind == NET_DEPTHWISE && elastic) {
        add(names, name, "transform_7to5");
        add(names, name, "transform_5to3");
    }
}

static void our_names(struct names *names, const struct net_family *family)
{
    static struct network net;
    struct net_pick pick;
    struct tl_err err = {0};
    net_family_extreme(family, family->resolutions[0], true, &pick);
    if (net_build(family, &pick, &net, &err)) {
        fail_msg("%s", err.text);
    }
    names->n = 0;
    for (size_t i = 0; i < net.n_ops; i++) {
        for (unsigned l = 0; l < NET_LAYERS_MAX; l++) {
            add_layer(names, &net, i, l, net.blocks[net.ops[i].block].slot >= 0);
        }
    }
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Translated and sorted, their names are ours. */
static void check(const struct net_family *family, const struct names *theirs)
{
    static struct names ours, translated;
    our_names(&ours, family);
    translated.n = 0;
    for (size_t i = 0; i < theirs->n; i++) {
        char name[OFA_NAME_MAX];
        if (!ofa_tensor_name(family, theirs->of[i], name)) {
            fail_msg("%s is not known", theirs->of[i]);
        }
        (void)snprintf(translated.of[translated.n++], THEIR_NAME_MAX, "%s", name);
    }
    qsort(ours.of, ours.n, sizeof ours.of[0], compare);
    qsort(translated.of, translated.n, sizeof translated.of[0], compare);
    assert_int_equal(translated.n, ours.n);
    for (size_t i = 0; i < ours.n; i++) {
        assert_string_equal(translated.of[i], ours.of[i]);
    }
}

static const char *const keys[] = {"mobile_inverted_conv", "conv"};

static void every_tensor_of_mobilenet_v3_is_one_of_ours(void **state)
{
    (void)state;
    static struct names theirs;
    static const size_t n_blocks[] = {4, 4, 4, 4, 4};
    static const bool se[] = {false, true, false, true, true};
    for (size_t k = 0; k < TL_COUNT_OF(keys); k++) {
        their_names(&theirs, keys[k], n_blocks, se, 5, true);
        /* stem 5, first block 10, 20 blocks of 17, 12 of them with 4 more, final 5, feature 1, classifier 2 */
        assert_int_equal(theirs.n, 5 + 10 + 20 * 17 + 12 * 4 + 5 + 1 + 2);
        check(net_family_get("ofa-mbv3-w1.0"), &theirs);
        check(net_family_get("ofa-mbv3-w1.2"), &theirs);
    }
}

static void every_tensor_of_proxyless_is_one_of_ours(void **state)
{
    (void)state;
    static struct names theirs;
    static const size_t n_blocks[] = {4, 4, 4, 4, 4, 1};
    static const bool se[6] = {false};
    for (size_t k = 0; k < TL_COUNT_OF(keys); k++) {
        their_names(&theirs, keys[k], n_blocks, se, 6, false);
        assert_int_equal(theirs.n, 5 + 10 + 21 * 17 + 5 + 2);
        check(net_family_get("ofa-proxyless-w1.3"), &theirs);
    }
}

static void every_tensor_of_resnets_is_one_of_ours(void **state)
{
    (void)state;
    static struct names theirs;
    static const char *const stem[] = {"input_stem.0", "input_stem.1.conv", "input_stem.2"};
    static const char *const layers[] = {"conv1", "conv2", "conv3", "downsample"};
    static const size_t n_blocks[] = {4, 4, 6, 4};
    size_t index = 0;
    theirs.n = 0;
    for (size_t i = 0; i < TL_COUNT_OF(stem); i++) {
        add_conv(&theirs, stem[i], true, true);
    }
    for (size_t s = 0; s < TL_COUNT_OF(n_blocks); s++) {
        for (size_t b = 0; b < n_blocks[s]; b++, index++) {
            for (size_t l = 0; l < (b == 0 ? 4 : 3); l++) {
                char layer[64];
                (void)snprintf(layer, sizeof layer, "blocks.%zu.%s", index, layers[l]);
                add_conv(&theirs, layer, true, true);
            }
        }
    }
    add(&theirs, "classifier", "linear.linear.weight");
    add(&theirs, "classifier", "linear.linear.bias");
    assert_int_equal(theirs.n, (3 + 18 * 3 + 4) * 5 + 2);
    check(net_family_get("ofa-resnet50d"), &theirs);
}

static void names_of_no_layer_are_none_of_ours(void **state)
{
    (void)state;
    static const char *const names[] = {"input_stem.3.conv.conv.weight",
                                        "input_stem.00.conv.conv.weight",
                                        "input_stem.weight",
                                        "blocks.18.conv1.conv.conv.weight",
                                        "blocks.0.conv4.conv.conv.weight",
                                        "blocks.0.conv1.bn.bn.num_batches_tracked",
                                        "blocks.weight"};
    char ours[OFA_NAME_MAX];
    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        assert_false(ofa_tensor_name(net_family_get("ofa-resnet50d"), names[i], ours));
    }
}

/* Layers that hold a layer of their kind where others do not: their own loader takes both. */
static void layers_inside_layers_are_the_same_tensor(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"blocks.3.conv.point_linear.bn.bn.bias", "blocks.3.conv.point_linear.bn.bias"},
        {"blocks.3.conv.point_linear.conv.conv.weight", "blocks.3.conv.point_linear.conv.weight"},
        {"classifier.linear.linear.weight", "classifier.linear.weight"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(pairs); i++) {
        char one[OFA_NAME_MAX], other[OFA_NAME_MAX];
        assert_true(ofa_tensor_name(net_family_get("ofa-mbv3-w1.0"), pairs[i][0], one));
        assert_true(ofa_tensor_name(net_family_get("ofa-mbv3-w1.0"), pairs[i][1], other));
        assert_string_equal(one, other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_of_mobilenet_v3_is_one_of_ours),
        cmocka_unit_test(every_tensor_of_proxyless_is_one_of_ours),
        cmocka_unit_test(every_tensor_of_resnets_is_one_of_ours),
        cmocka_unit_test(names_of_no_layer_are_none_of_ours),
        cmocka_unit_test(layers_inside_layers_are_the_same_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
