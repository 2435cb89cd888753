/* test_files_out.c - what is written: safetensors, float16, parameters, net.config, npy; each is read back. */
#include "alloc_fail.h"
#include "data.h"
#include "supernet/files/files.h"
#include "unit/supernet/nets.h"

#include <dirent.h>
#include <jansson.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void expect_ok(enum tl_rc rc, const struct tl_err *err)
{
    if (rc != TL_OK) {
        fail_msg("%s", err->text);
    }
}

/* ---- safetensors --------------------------------------------------------------------------------------------- */

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    const float a[6] = {1, 2, 3, 4, 5, 6};
    const uint8_t b[3] = {7, 8, 9};
    const struct st_tensor tensors[] = {
        {.name = "a", .dtype = "F32", .rank = 2, .shape = {2, 3}, .data = a, .n_bytes = sizeof a},
        {.name = "b", .dtype = "U8", .rank = 1, .shape = {3}, .data = b, .n_bytes = sizeof b},
    };
    const struct st_pair pairs[] = {{"format", "x"}, {"quote", "a \"b\" c"}};
    TL_AUTO(tl_buf) bytes = {0};
    struct safetensors *file = NULL;
    const struct st_tensor *found = NULL;
    struct tl_err err = {0};
    expect_ok(st_encode(tensors, 2, pairs, 2, &bytes, &err), &err);
    expect_ok(st_open(bytes.data, bytes.len, &file, &err), &err);
    assert_string_equal(st_metadata(file, "quote"), "a \"b\" c");
    assert_null(st_metadata(file, "nothing"));
    expect_ok(st_find(file, "a", &found, &err), &err);
    assert_memory_equal(found->data, a, sizeof a);
    expect_ok(st_find(file, "b", &found, &err), &err);
    assert_memory_equal(found->data, b, sizeof b);
    assert_int_equal(st_floats(found, NULL, NULL), TL_INVALID);
    st_free(file);
}

static void a_tensor_that_lies_or_is_there_twice_is_not_written(void **state)
{
    (void)state;
    const float a[2] = {1, 2};
    TL_AUTO(tl_buf) bytes = {0};
    struct st_tensor tensors[] = {
        {.name = "a", .dtype = "F32", .rank = 1, .shape = {2}, .data = a, .n_bytes = sizeof a},
        {.name = "a", .dtype = "F32", .rank = 1, .shape = {2}, .data = a, .n_bytes = sizeof a},
    };
    assert_int_equal(st_encode(tensors, 2, NULL, 0, &bytes, NULL), TL_INVALID);
    tensors[0].shape[0] = 3;
    assert_int_equal(st_encode(tensors, 1, NULL, 0, &bytes, NULL), TL_INVALID);
    tensors[0].shape[0] = 2;
    tensors[0].name = "__metadata__";
    assert_int_equal(st_encode(tensors, 1, NULL, 0, &bytes, NULL), TL_INVALID);
    assert_int_equal(bytes.len, 0);
}

static void the_same_tensors_are_the_same_bytes_with_a_header_of_whole_eights(void **state)
{
    (void)state;
    static const char name[] = "abcdefgh";
    const uint8_t byte = 7;
    for (size_t cut = 0; cut < 8; cut++) {
        const struct st_tensor tensor = {
            .name = name + cut, .dtype = "U8", .rank = 1, .shape = {1}, .data = &byte, .n_bytes = 1};
        TL_AUTO(tl_buf) one = {0};
        TL_AUTO(tl_buf) other = {0};
        assert_int_equal(st_encode(&tensor, 1, NULL, 0, &one, NULL), TL_OK);
        assert_int_equal(st_encode(&tensor, 1, NULL, 0, &other, NULL), TL_OK);
        assert_true(one.len == other.len && one.len % 8 == 1);
        assert_memory_equal(one.data, other.data, one.len);
    }
}

static void more_tensors_than_are_read_are_not_written(void **state)
{
    (void)state;
    static struct st_tensor tensors[ST_TENSORS_MAX];
    TL_AUTO(tl_buf) bytes = {0};
    assert_int_equal(st_encode(tensors, ST_TENSORS_MAX, NULL, 0, &bytes, NULL), TL_TOO_LARGE);
}

static void a_full_buffer_is_left_as_it_was(void **state)
{
    (void)state;
    const float a[64] = {1};
    const size_t shape[] = {64};
    const struct st_tensor tensor = {
        .name = "a", .dtype = "F32", .rank = 1, .shape = {64}, .data = a, .n_bytes = sizeof a};
    TL_AUTO(tl_buf) bytes = {.max = 200}; /* the header fits, the numbers do not */
    assert_int_equal(tl_buf_add(&bytes, "before", 6, NULL), TL_OK);
    assert_int_equal(st_encode(&tensor, 1, NULL, 0, &bytes, NULL), TL_TOO_LARGE);
    assert_string_equal(bytes.data, "before");
    assert_int_equal(npy_encode(a, 1, shape, &bytes, NULL), TL_TOO_LARGE);
    assert_string_equal(bytes.data, "before");
}

static float through_half(float value)
{
    uint8_t half[2];
    float back = 0.0F;
    st_halves(half, &value, 1);
    const struct st_tensor tensor = {.name = "h", .dtype = "F16", .rank = 0, .data = half, .n_bytes = 2};
    assert_int_equal(st_floats(&tensor, &back, NULL), TL_OK);
    return back;
}

static void every_half_comes_back_and_others_round_to_the_nearest_even(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x7c00U; bits++) { /* all finite halves, and what lies between two of them */
        const uint8_t half[2] = {(uint8_t)(bits & 255U), (uint8_t)(bits >> 8)};
        const uint8_t next[2] = {(uint8_t)((bits + 1) & 255U), (uint8_t)((bits + 1) >> 8)};
        float value = 0.0F, above = 0.0F;
        assert_int_equal(st_floats(&(struct st_tensor){.dtype = "F16", .data = half, .n_bytes = 2}, &value, NULL),
                         TL_OK);
        assert_int_equal(st_floats(&(struct st_tensor){.dtype = "F16", .data = next, .n_bytes = 2}, &above, NULL),
                         TL_OK);
        assert_true(through_half(value) == value && through_half(-value) == -value);
        if (bits + 1 < 0x7c00U) {
            assert_true(through_half(value + (above - value) / 2) == (bits % 2 ? above : value));
        }
    }
    assert_true(isinf(through_half(65520.0F)) && through_half(65519.0F) == 65504.0F);
    assert_true(isnan(through_half(NAN)));
}

/* ---- parameters ---------------------------------------------------------------------------------------------- */

static void parameters_come_back_bit_for_bit(void **state)
{
    (void)state;
    struct network *net = malloc(sizeof *net);
    struct net_params *params = calloc(1, sizeof *params), *back = calloc(1, sizeof *back);
    const struct net_pick pick = ofa_min(128);
    const struct st_pair pairs[] = {{"family", "ofa"}};
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct safetensors *file = NULL;
    const struct st_tensor *stem = NULL;
    struct tl_err err = {0};
    struct tl_rng rng;
    assert_true(net && params && back);
    build("ofa-mbv3-w1.0", &pick, net);
    expect_ok(net_params_init(params, net, 1e-5F, &err), &err);
    expect_ok(net_params_init(back, net, 1e-5F, &err), &err);
    tl_rng_init(&rng, 1, 0, 0);
    for (size_t i = 0; i < params->arena.used / sizeof(float); i++) {
        ((float *)(void *)params->arena.base)[i] = (float)tl_rng_normal(&rng);
    }
    expect_ok(params_encode(net, params, pairs, 1, &bytes, &err), &err);
    expect_ok(st_open(bytes.data, bytes.len, &file, &err), &err);
    expect_ok(st_find(file, "stem.weight", &stem, &err), &err);
    assert_true(stem->rank == 4 && stem->shape[0] == 16 && stem->shape[1] == 3 && stem->shape[2] == 3);
    /* input channel 2, first tap of the first filter, in PyTorch's order and in ours */
    assert_memory_equal((const float *)stem->data + 18, params->layers[0][0].w + 2, sizeof(float));
    expect_ok(params_decode(file, net, back, &err), &err);
    for (size_t i = 0; i < net->n_ops; i++) {
        for (size_t l = 0; l < NET_LAYERS_MAX; l++) {
            const struct net_layer *a = &params->layers[i][l], *b = &back->layers[i][l];
            assert_memory_equal(a->w, b->w, a->co * a->inputs * sizeof(float));
            assert_true(!a->variance || memcmp(a->variance, b->variance, a->co * sizeof(float)) == 0);
        }
    }
    st_free(file);
    net_params_done(params);
    net_params_done(back);
    free(net);
    free(params);
    free(back);
}

static void names_say_stage_block_and_role(void **state)
{
    (void)state;
    struct network *net = malloc(sizeof *net);
    const struct net_pick pick = ofa_min(128);
    char first[NET_NAME_MAX], last[NET_NAME_MAX];
    bool se = false, seen[4] = {false};
    static const char *const wanted[] = {"first.depthwise", "s2.b1.expand", "s5.b2.project", "head.feature"};
    assert_non_null(net);
    build("ofa-mbv3-w1.0", &pick, net);
    net_layer_name(net, 0, 0, first);
    net_layer_name(net, net->n_ops - 1U, 0, last);
    assert_string_equal(first, "stem");
    assert_string_equal(last, "head.classifier");
    for (size_t i = 0; i < net->n_ops; i++) {
        char name[NET_NAME_MAX];
        net_layer_name(net, i, 1, name);
        se = se || strcmp(name, "s2.b1.se.expand") == 0;
        for (size_t w = 0; w < TL_COUNT_OF(wanted); w++) {
            seen[w] = seen[w] || strcmp(name, wanted[w]) == 0;
        }
    }
    assert_true(se && seen[0] && seen[1] && seen[2] && seen[3]);
    free(net);
}

/* Whatever has parameters has a name of its own: files would lose them. */
static void no_two_layers_of_a_network_have_one_name(void **state)
{
    (void)state;
    static struct network net;
    static char names[NET_OPS_MAX * NET_LAYERS_MAX][NET_NAME_MAX];
    struct tl_rng rng;
    tl_rng_init(&rng, 4, 0, 0);
    for (size_t i = 0; i < 10 * net_family_count(); i++) {
        const struct net_family *family = net_family_at(i / 10);
        const struct net_pick pick = random_pick(family, &rng);
        size_t n = 0;
        build(family->name, &pick, &net);
        for (size_t op = 0; op < net.n_ops; op++) {
            for (unsigned l = 0; l < NET_LAYERS_MAX && (l == 0 || net_layer_of(&net.ops[op], l).co > 0); l++) {
                net_layer_name(&net, op, l, names[n]);
                for (size_t k = 0; k < n; k++) {
                    if (strcmp(names[k], names[n]) == 0) {
                        fail_msg("%s: %s is there twice", family->name, names[n]);
                    }
                }
                n++;
            }
        }
    }
}

static void folding_is_batch_norm_after_the_layer(void **state)
{
    (void)state;
    float w[2] = {2, 3}, gamma[1] = {0.5F}, beta[1] = {0.25F}, mean[1] = {4}, variance[1] = {0.75F}, folded[2], bias[1];
    const struct net_layer layer = {
        .co = 1, .inputs = 2, .w = w, .gamma = gamma, .beta = beta, .mean = mean, .variance = variance};
    net_layer_fold(&layer, 0.25F, folded, bias);
    /* x = (1, 2): (2 + 6 - 4) / 1 * 0.5 + 0.25 */
    assert_true(fabsf(folded[0] + 2 * folded[1] + bias[0] - 2.25F) < 1e-6F);
}

/* ---- net.config ---------------------------------------------------------------------------------------------- */

static void check_config(const struct network *net, unsigned size, enum net_config_spelling spelling)
{
    TL_AUTO(tl_buf) text = {.max = NET_CONFIG_MAX};
    struct network *back = malloc(sizeof *back);
    struct tl_err err = {0};
    assert_non_null(back);
    expect_ok(net_config_encode(net, 1e-5F, spelling, &text, &err), &err);
    expect_ok(net_config_decode(text.data, text.len, size, back, &err), &err);
    assert_int_equal(back->n_ops, net->n_ops);
    assert_memory_equal(back->ops, net->ops, net->n_ops * sizeof net->ops[0]);
    free(back);
}

static void a_network_comes_back_in_both_spellings(void **state)
{
    (void)state;
    struct network *net = malloc(sizeof *net);
    struct tl_rng rng;
    assert_non_null(net);
    tl_rng_init(&rng, 3, 0, 0);
    static const char *const families[] = {"ofa-mbv3-w1.2", "ofa-proxyless-w1.3", "cifar-mbv3"};
    for (size_t i = 0; i < 30; i++) {
        const char *family = families[i % TL_COUNT_OF(families)];
        const struct net_pick pick = random_pick(net_family_get(family), &rng);
        build(family, &pick, net);
        check_config(net, pick.resolution, NET_CONFIG_PUBLISHED);
        check_config(net, pick.resolution, NET_CONFIG_LATER);
    }
    free(net);
}

/* Dropout changes no operator, and a network does not know it. */
static void without_dropout(json_t *json)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(json, key, value)
    {
        without_dropout(value);
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        without_dropout(json_array_get(json, i));
    }
    if (json_is_object(json)) {
        (void)json_object_del(json, "dropout_rate");
    }
}

/* Decoded, written and decoded again a published file is the same network, and the same JSON but for dropout. */
static void check_published(const char *path, unsigned size)
{
    TL_AUTO(tl_buf) text = {0};
    TL_AUTO(tl_buf) written = {0};
    struct network *net = malloc(sizeof *net);
    struct tl_err err = {0};
    assert_non_null(net);
    expect_ok(tl_file_read(path, &text, &err), &err);
    expect_ok(net_config_decode(text.data, text.len, size, net, &err), &err);
    json_t *theirs = json_loadb(text.data, text.len, 0, NULL);
    const double eps = json_real_value(json_object_get(json_object_get(theirs, "bn"), "eps"));
    expect_ok(net_config_encode(net, (float)eps, NET_CONFIG_PUBLISHED, &written, &err), &err);
    json_t *ours = json_loadb(written.data, written.len, 0, NULL);
    without_dropout(theirs);
    without_dropout(ours);
    if (!json_equal(ours, theirs)) {
        fail_msg("%s comes back as %s", path, written.data);
    }
    check_config(net, size, NET_CONFIG_PUBLISHED);
    check_config(net, size, NET_CONFIG_LATER);
    json_decref(theirs);
    json_decref(ours);
    free(net);
}

static void every_published_file_comes_back_but_for_dropout(void **state)
{
    (void)state;
    char folder[DATA_PATH_MAX];
    size_t n = 0;
    data_path("ofa_note10/net_configs", folder);
    DIR *names = opendir(folder);
    assert_non_null(names);
    for (const struct dirent *entry = NULL; (entry = readdir(names)) != NULL;) { /* NOLINT(concurrency-mt-unsafe) */
        const char *end = strstr(entry->d_name, ".net.json");
        char path[DATA_PATH_MAX + 256];
        if (end != NULL) {
            (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            check_published(path, 224);
            n++;
        }
    }
    (void)closedir(names);
    assert_int_equal(n, 50);
}

static void a_network_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct network *net = malloc(sizeof *net);
    const struct net_pick pick = {.resolution = 32};
    TL_AUTO(tl_buf) text = {0};
    assert_non_null(net);
    build("nasbench-macro", &pick, net); /* identities that change shape */
    assert_int_equal(net_config_encode(net, 1e-5F, NET_CONFIG_LATER, &text, NULL), TL_INVALID);
    const struct net_pick smallest = ofa_min(128);
    build("ofa-mbv3-w1.0", &smallest, net);
    for (size_t i = 0; i < net->n_ops; i++) { /* gates of another size than the format has */
        net->ops[i].hidden = net->ops[i].kind == NET_SE ? 8 : 0;
    }
    assert_int_equal(net_config_encode(net, 1e-5F, NET_CONFIG_LATER, &text, NULL), TL_INVALID);
    assert_int_equal(text.len, 0);
    free(net);
}

/* ---- once-for-all's names ------------------------------------------------------------------------------------ */

static void tensors_of_once_for_all_are_known_in_both_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *theirs, *ours;
    } cases[] = {
        {"first_conv.conv.weight", "stem.weight"},
        {"first_conv.bn.running_var", "stem.bn.running_var"},
        {"blocks.0.mobile_inverted_conv.depth_conv.conv.weight", "first.depthwise.weight"},
        {"blocks.0.mobile_inverted_conv.point_linear.bn.bias", "first.project.bn.bias"},
        {"blocks.1.mobile_inverted_conv.inverted_bottleneck.conv.conv.weight", "s1.b1.expand.weight"},
        {"blocks.4.conv.inverted_bottleneck.bn.bn.running_mean", "s1.b4.expand.bn.running_mean"},
        {"blocks.5.mobile_inverted_conv.depth_conv.conv.conv.weight", "s2.b1.depthwise.weight"},
        {"blocks.5.mobile_inverted_conv.depth_conv.conv.7to5_matrix", "s2.b1.depthwise.transform_7to5"},
        {"blocks.6.conv.depth_conv.conv.5to3_matrix", "s2.b2.depthwise.transform_5to3"},
        {"blocks.6.mobile_inverted_conv.depth_conv.se.fc.reduce.bias", "s2.b2.se.reduce.bias"},
        {"blocks.20.mobile_inverted_conv.depth_conv.se.fc.expand.weight", "s5.b4.se.expand.weight"},
        {"blocks.20.mobile_inverted_conv.point_linear.conv.conv.weight", "s5.b4.project.weight"},
        {"final_expand_layer.conv.weight", "head.final.weight"},
        {"feature_mix_layer.conv.weight", "head.feature.weight"},
        {"classifier.linear.weight", "head.classifier.weight"},
        {"classifier.linear.linear.bias", "head.classifier.bias"},
        {"blocks.21.conv.point_linear.bn.bn.weight", NULL},
        {"blocks.5.conv.depth_conv.bn.bn.num_batches_tracked", NULL},
        {"optimizer.state", NULL},
        {"weight", NULL},
        {"blocks.x.conv.point_linear.bn.bn.weight", NULL},
        {"a.b.c.d.e.f.g.h.i.j.k.weight", NULL},
    };
    const struct net_family *family = net_family_get("ofa-mbv3-w1.0");
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        char ours[OFA_NAME_MAX];
        const bool known = ofa_tensor_name(family, cases[i].theirs, ours);
        assert_int_equal(known, cases[i].ours != NULL);
        if (known) {
            assert_string_equal(ours, cases[i].ours);
        }
    }
}

/* ---- npy ----------------------------------------------------------------------------------------------------- */

static void arrays_come_back(void **state)
{
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    const size_t shapes[2][4] = {{6}, {1, 2, 3, 1}}, ranks[2] = {1, 4};
    for (size_t i = 0; i < 2; i++) {
        TL_AUTO(tl_buf) bytes = {0};
        struct npy array;
        struct tl_err err = {0};
        expect_ok(npy_encode(data, ranks[i], shapes[i], &bytes, &err), &err);
        expect_ok(npy_decode(bytes.data, bytes.len, &array, &err), &err);
        assert_int_equal(array.rank, ranks[i]);
        assert_memory_equal(array.shape, shapes[i], ranks[i] * sizeof(size_t));
        assert_memory_equal(array.data, data, sizeof data);
        assert_int_equal(npy_decode(bytes.data, bytes.len - 1, &array, NULL), TL_MALFORMED);
    }
}

static void other_arrays_are_refused_with_the_call_that_helps(void **state)
{
    (void)state;
    static const struct {
        const char *header, *says;
    } cases[] = {
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", "astype('float32')"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "ascontiguousarray"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "sizes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "2 numbers"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", "does not end"},
        {"{'descr': '<f4'}", "lacks"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(cases); i++) {
        uint8_t bytes[256] = "\x93NUMPY\x01";
        struct npy array;
        struct tl_err err = {0};
        const size_t n = strlen(cases[i].header);
        bytes[8] = 118;
        memset(bytes + 10, ' ', 118);
        memcpy(bytes + 10, cases[i].header, n);
        assert_true(npy_decode(bytes, 132, &array, &err) != TL_OK);
        if (!strstr(err.text, cases[i].says)) {
            fail_msg("%s: %s", cases[i].header, err.text);
        }
    }
    struct npy array;
    assert_int_equal(npy_decode("PK", 2, &array, NULL), TL_MALFORMED);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

struct written {
    struct network net;
    struct net_params params;
    const struct st_pair *pairs;
    struct tl_buf whole[4]; /* what each writer writes when nothing fails */
};

static enum tl_rc write_one(struct written *w, size_t which, struct tl_buf *buf, struct tl_err *err)
{
    static const float numbers[3] = {1, 2, 3};
    static const size_t shape[] = {3};
    switch (which) {
    case 0:
        return params_encode(&w->net, &w->params, w->pairs, 1, buf, err);
    case 1:
        return onnx_encode(&w->net, &w->params, w->pairs, 1, buf, err);
    case 2:
        return net_config_encode(&w->net, 1e-5F, NET_CONFIG_PUBLISHED, buf, err);
    default:
        return npy_encode(numbers, 1, shape, buf, err);
    }
}

/* All or nothing: a writer that ran out of memory may not have left something out. */
static enum tl_rc write_all(void *ctx, struct tl_err *err)
{
    struct written *w = ctx;
    for (size_t i = 0; i < TL_COUNT_OF(w->whole); i++) {
        TL_AUTO(tl_buf) buf = {.max = 16 << 20};
        const enum tl_rc rc = write_one(w, i, &buf, err);
        if (rc) {
            assert_int_equal(buf.len, 0);
            return rc;
        }
        assert_int_equal(buf.len, w->whole[i].len);
        assert_memory_equal(buf.data, w->whole[i].data, buf.len);
    }
    return TL_OK;
}

static void writing_is_all_or_nothing_at_every_failed_allocation(void **state)
{
    (void)state;
    static struct written w;
    const struct st_pair pair = {"family", "small"};
    struct net_pick pick = {.resolution = 20, .depth = {1, 1}};
    struct tl_err err = {0};
    w.pairs = &pair;
    build("mnist-mbv3", &pick, &w.net);
    expect_ok(net_params_init(&w.params, &w.net, 1e-5F, &err), &err);
    for (size_t i = 0; i < w.params.arena.used / sizeof(float); i++) {
        ((float *)(void *)w.params.arena.base)[i] = 0.5F;
    }
    for (size_t i = 0; i < TL_COUNT_OF(w.whole); i++) {
        w.whole[i].max = 16 << 20;
        expect_ok(write_one(&w, i, &w.whole[i], &err), &err);
    }
    assert_true(alloc_fail_each(write_all, &w) > 200);
    for (size_t i = 0; i < TL_COUNT_OF(w.whole); i++) {
        tl_buf_done(&w.whole[i]);
    }
    net_params_done(&w.params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_tensor_that_lies_or_is_there_twice_is_not_written),
        cmocka_unit_test(the_same_tensors_are_the_same_bytes_with_a_header_of_whole_eights),
        cmocka_unit_test(more_tensors_than_are_read_are_not_written),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
        cmocka_unit_test(every_half_comes_back_and_others_round_to_the_nearest_even),
        cmocka_unit_test(parameters_come_back_bit_for_bit),
        cmocka_unit_test(names_say_stage_block_and_role),
        cmocka_unit_test(no_two_layers_of_a_network_have_one_name),
        cmocka_unit_test(folding_is_batch_norm_after_the_layer),
        cmocka_unit_test(a_network_comes_back_in_both_spellings),
        cmocka_unit_test(every_published_file_comes_back_but_for_dropout),
        cmocka_unit_test(a_network_of_another_kind_is_refused),
        cmocka_unit_test(tensors_of_once_for_all_are_known_in_both_spellings),
        cmocka_unit_test(arrays_come_back),
        cmocka_unit_test(other_arrays_are_refused_with_the_call_that_helps),
        cmocka_unit_test(writing_is_all_or_nothing_at_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
