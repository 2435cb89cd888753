/* test_supernet.c - supernets: views of them, sorting, extraction, and their files. */
#include "supernet/kernels/kernels.h"
#include "supernet/train/codec_supernet.h"
#include "supernet/train/tape.h"
#include "unit/train/worlds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 8 };

static void shake_tensor(float *array, size_t at, size_t n, float base, struct tl_rng *rng)
{
    for (size_t i = 0; at != SUPERNET_NONE && i < n; i++) {
        array[at + i] = base + array[at + i] + 0.1F * (float)tl_rng_unit(rng);
    }
}

/* Every tensor away from where it began; the padding between them stays zero. */
static void shake(struct supernet *net, uint64_t seed)
{
    struct tl_rng rng;
    tl_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; i < net->largest.n_ops; i++) {
        for (size_t l = 0; l < NET_LAYERS_MAX; l++) {
            const struct supernet_layer *layer = &net->layers[i][l];
            shake_tensor(net->params, layer->w, layer->co * layer->inputs, -0.05F, &rng);
            shake_tensor(net->params, layer->bias, layer->co, 0.0F, &rng);
            shake_tensor(net->params, layer->gamma, layer->co, 0.0F, &rng);
            shake_tensor(net->params, layer->beta, layer->co, 0.0F, &rng);
            shake_tensor(net->stats, layer->mean, layer->co, 0.0F, &rng);
            shake_tensor(net->stats, layer->variance, layer->co, 0.0F, &rng);
            for (size_t t = 0; layer->co > 0 && t + 1 < net->family.n_kernels; t++) {
                const size_t taps = (size_t)net->family.kernels[t] * net->family.kernels[t];
                shake_tensor(net->params, layer->transform[t], taps * taps, -0.05F, &rng);
            }
        }
    }
}

static struct supernet *shaken(const struct net_family *family)
{
    struct supernet *net = NULL;
    struct tl_err err = {0};
    must(supernet_new(family, 3, &net, &err), &err);
    shake(net, 5);
    return net;
}

static void fill_images(float *images, size_t side)
{
    int32_t label = 0;
    for (size_t n = 0; n < BATCH; n++) {
        small_image(n, side, images + n * side * side * 3, &label);
    }
}

/* What the tape computes with a batch's statistics, the plan computes with the same statistics folded in. */
static void expect_the_same_of_cuts(const struct net_family *family)
{
    struct supernet *net = shaken(family);
    struct tape *tape = NULL;
    struct network *sub = malloc(sizeof *sub);
    struct net_params *params = calloc(1, sizeof *params);
    static float images[BATCH * WORLD_SIDE_MAX * WORLD_SIDE_MAX * 3];
    float *stats = calloc(net->n_stats + 1, sizeof *stats), logits[BATCH * WORLD_CLASSES];
    struct tl_err err = {0};
    struct tl_rng rng;
    assert_true(sub && params && stats);
    must(tape_new(net, BATCH, true, NULL, &tape, &err), &err);
    tl_rng_init(&rng, 7, 0, 0);
    for (int i = 0; i < 6; i++) {
        const struct net_pick pick = i == 0   ? supernet_largest(family)
                                     : i == 1 ? supernet_smallest(family)
                                              : supernet_random(family, &rng);
        struct net_plan *plan = NULL;
        fill_images(images, pick.resolution);
        must(tape_bind(tape, &pick, &err), &err);
        tape_forward(tape, images, NULL);
        tape_track(tape, 1.0F, false, stats);
        must(net_build(family, &pick, sub, &err), &err);
        must(supernet_extract(net, sub, stats, params, &err), &err);
        must(net_plan_new(sub, BATCH, params, 0, NULL, &plan, &err), &err);
        net_plan_run(plan, images, logits);
        for (size_t j = 0; j < TL_COUNT_OF(logits); j++) {
            assert_true(fabsf(logits[j] - tape->logits[j]) < 1e-4F * (1.0F + fabsf(tape->logits[j])));
        }
        net_plan_free(plan);
        net_params_done(params);
    }
    tape_free(tape);
    supernet_free(net);
    free(sub);
    free(params);
    free(stats);
}

static void a_network_cut_out_computes_what_its_view_does(void **state)
{
    (void)state;
    const struct net_family inverted = small_family(), bottlenecks = resnet_family();
    expect_the_same_of_cuts(&inverted);
    expect_the_same_of_cuts(&bottlenecks);
}

static void expect_the_same_when_sorted(const struct net_family *family, unsigned open)
{
    struct supernet *net = shaken(family);
    struct tape *tape = NULL;
    static float images[BATCH * WORLD_SIDE_MAX * WORLD_SIDE_MAX * 3];
    float before[BATCH * WORLD_CLASSES];
    struct tl_err err = {0};
    const struct net_pick pick = supernet_largest(family);
    must(tape_new(net, BATCH, true, NULL, &tape, &err), &err);
    fill_images(images, pick.resolution);
    must(tape_bind(tape, &pick, &err), &err);
    tape_forward(tape, images, NULL);
    memcpy(before, tape->logits, sizeof before);
    must(supernet_sort(net, open, &err), &err);
    tape_forward(tape, images, NULL);
    for (size_t j = 0; j < TL_COUNT_OF(before); j++) {
        assert_true(fabsf(before[j] - tape->logits[j]) < 1e-4F * (1.0F + fabsf(before[j])));
    }
    tape_free(tape);
    supernet_free(net);
}

static void sorting_changes_nothing_that_the_largest_computes(void **state)
{
    (void)state;
    const struct net_family inverted = small_family(), bottlenecks = resnet_family();
    for (unsigned open = 0; open < 3; open++) {
        expect_the_same_when_sorted(&inverted, open);
        expect_the_same_when_sorted(&bottlenecks, open);
    }
}

static double importance(const struct supernet *net, const struct supernet_layer *project, size_t channel)
{
    double sum = 0.0;
    for (size_t o = 0; o < project->co; o++) {
        sum += fabs((double)net->params[project->w + o * project->inputs + channel]);
    }
    return sum;
}

/* The middle of the first block: 8 inputs, expansions 2 and 3, so 16 and 24 channels. */
static void sorting_puts_the_important_channels_first_within_the_widths_that_are_trained(void **state)
{
    (void)state;
    const struct net_family family = small_family();
    for (unsigned open = 0; open < 3; open++) {
        struct supernet *net = shaken(&family);
        struct tl_err err = {0};
        size_t op = 0;
        char name[NET_NAME_MAX] = "";
        must(supernet_sort(net, open, &err), &err);
        while (strcmp(name, "s1.b1.project") != 0) {
            net_layer_name(&net->largest, op++, 0, name);
        }
        const struct supernet_layer *project = &net->layers[op - 1][0];
        assert_int_equal(project->inputs, 24);
        for (size_t c = 1; c < 24; c++) {
            if (open < 2 || c != 16) {
                assert_true(importance(net, project, c - 1) >= importance(net, project, c));
            }
        }
        supernet_free(net);
    }
}

static void a_smaller_kernel_is_the_centre_through_the_matrices(void **state)
{
    (void)state;
    const struct net_family *family = net_family_get("mnist-mbv3");
    struct supernet *net = NULL;
    struct tl_err err = {0};
    float three[9], seven[49];
    size_t op = 0;
    must(supernet_new(family, 3, &net, &err), &err);
    while (net->largest.ops[op].kind != NET_DEPTHWISE || net->largest.ops[op].kernel != 7) {
        op++;
    }
    const struct supernet_layer *layer = &net->layers[op][0];
    supernet_kernel(net, layer, 7, 1, seven);
    supernet_kernel(net, layer, 3, 1, three); /* the matrices are identities at first */
    for (size_t i = 0; i < 9; i++) {
        assert_true(three[i] == seven[(2 + i / 3) * 7 + 2 + i % 3]);
    }
    net->params[layer->transform[0]] = 2.0F;              /* 5 to 3 */
    net->params[layer->transform[1] + 6 * 25 + 6] = 3.0F; /* 7 to 5: the corner of the 3x3 within */
    supernet_kernel(net, layer, 3, 1, three);
    assert_true(three[0] == 6.0F * seven[2 * 7 + 2]);
    assert_true(three[1] == seven[2 * 7 + 3]);
    supernet_free(net);
}

/* ---- bottlenecks ----------------------------------------------------------------------------------------------- */

/* An operator of the largest network by its name there. */
static const struct supernet_layer *layer_named(const struct supernet *net, const char *wanted)
{
    char name[NET_NAME_MAX] = "";
    size_t op = 0;
    while (op < net->largest.n_ops && strcmp(name, wanted) != 0) {
        net_layer_name(&net->largest, op++, 0, name);
    }
    assert_string_equal(name, wanted);
    return &net->layers[op - 1][0];
}

/* Weight `tap` of the cut: the same output, tap and channel of the whole. */
static void expect_cut(const struct supernet *net, const struct supernet_layer *whole, const struct net_layer *cut,
                       size_t taps)
{
    const size_t ci = cut->inputs / taps, whole_ci = whole->inputs / taps;
    for (size_t i = 0; i < cut->co * cut->inputs; i++) {
        const size_t o = i / cut->inputs, tap = i % cut->inputs / ci, c = i % ci;
        assert_true(cut->w[i] == net->params[whole->w + (o * taps + tap) * whole_ci + c]);
    }
    assert_memory_equal(cut->gamma, net->params + whole->gamma, cut->co * sizeof(float));
    assert_memory_equal(cut->variance, net->stats + whole->variance, cut->co * sizeof(float));
}

/* By names: the stem's last convolution is its third in the supernet, and its second where the residual one is left out. */
static void bottlenecks_are_cut_at_every_tap_and_the_stem_by_its_place(void **state)
{
    (void)state;
    const struct net_family family = resnet_family();
    struct supernet *net = shaken(&family);
    struct network *sub = malloc(sizeof *sub);
    struct net_params *params = calloc(1, sizeof *params);
    struct tl_err err = {0};
    struct tl_rng rng;
    bool seen[2] = {false};
    assert_true(sub && params);
    tl_rng_init(&rng, 7, 0, 0);
    for (int i = 0; i < 20; i++) {
        const struct net_pick pick = supernet_random(&family, &rng);
        must(net_build(&family, &pick, sub, &err), &err);
        must(supernet_extract(net, sub, net->stats, params, &err), &err);
        for (size_t op = 0; op + 1 < sub->n_ops; op++) {
            char name[NET_NAME_MAX];
            net_layer_name(sub, op, 0, name);
            if (params->layers[op][0].co > 0) {
                const bool last_of_stem = pick.stem_depth == 0 && strcmp(name, "stem2") == 0;
                const size_t taps = (size_t)sub->ops[op].kernel * sub->ops[op].kernel;
                expect_cut(net, layer_named(net, last_of_stem ? "stem3" : name), &params->layers[op][0], taps);
            }
        }
        seen[pick.stem_depth] = true;
        net_params_done(params);
    }
    assert_true(seen[0] && seen[1]);
    supernet_free(net);
    free(sub);
    free(params);
}

static void expect_refused(const struct net_family *family, const char *word)
{
    struct supernet *net = NULL;
    struct tl_err err = {0};
    assert_int_equal(supernet_new(family, 1, &net, &err), TL_INVALID);
    if (strstr(err.text, word) == NULL) {
        fail_msg("%s", err.text);
    }
    assert_null(net);
}

/* What is no cut of the largest network would be read from beyond its layers. */
static void families_whose_networks_are_no_cuts_of_the_largest_are_refused(void **state)
{
    (void)state;
    static const char *const listed[][2] = {{"5, \"expand\": 2", "3, \"expand\": 3"},
                                            {"3, \"expand\": 6", "3, \"expand\": 3"},
                                            {"3, \"expand\": 2, \"se\": true", "3, \"expand\": 3"}};
    char text[1024];
    struct net_family family = family_of(RESNET("relu", "[3, 5]", STAGES("2")));
    expect_refused(&family, "one kernel alone");
    family = family_of(RESNET("relu", "[3]", STAGES("1"))); /* 16 channels arrive, and 16 or 24 leave */
    expect_refused(&family, "first block of stage 1");
    for (size_t i = 0; i < TL_COUNT_OF(listed); i++) {
        (void)snprintf(
            text, sizeof text,
            "{\"name\": \"listed\", \"title\": \"\", \"source\": \"\", \"classes\": 4, \"bn_eps\": 1e-5, "
            "\"resolutions\": [8], \"stem\": {\"width\": 8, \"stride\": 1, \"act\": \"relu\"}, \"choices\": "
            "[{\"kernel\": %s}, {\"kernel\": %s}], \"depths\": [1], \"stages\": [{\"width\": 8, \"stride\": 1, "
            "\"act\": \"relu\"}], \"head\": {\"act\": \"relu\"}}",
            listed[i][0], listed[i][1]);
        family = family_of(text);
        expect_refused(&family, "option 0");
    }
}

/* A header of a few hundred bytes asks for 192 MB. */
static void a_file_too_small_for_its_family_is_refused_before_memory_is_taken(void **state)
{
    (void)state;
    static const float one = 1.0F;
    const struct st_tensor tensor = {
        .name = "stem.weight", .dtype = "F32", .rank = 1, .shape = {1}, .data = &one, .n_bytes = sizeof one};
    TL_AUTO(tl_buf) family = {.max = NET_FAMILY_BYTES_MAX};
    TL_AUTO(tl_buf) bytes = {.max = 1 << 20};
    struct tl_err err = {0};
    must(net_family_write(net_family_get("ofa-resnet50d"), &family, &err), &err);
    const struct st_pair pairs[] = {{"format", "tailor-supernet-1"}, {"family", family.data}};
    struct safetensors *file = NULL;
    struct supernet *net = NULL;
    struct supernet_facts facts = {0};
    must(st_encode(&tensor, 1, pairs, TL_COUNT_OF(pairs), &bytes, &err), &err);
    must(st_open(bytes.data, bytes.len, &file, &err), &err);
    assert_int_equal(supernet_decode(file, &net, &facts, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "too few for the 48"));
    st_free(file);
}

static void a_family_without_expansions_is_refused(void **state)
{
    (void)state;
    struct supernet *net = NULL;
    struct tl_err err = {0};
    assert_int_equal(supernet_new(net_family_get("nasbench-macro"), 1, &net, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "nasbench-macro"));
    assert_null(net);
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static void expect_the_same_from_a_file(const struct net_family *family)
{
    static const char *classes[] = {"a", "b", "c", "d"};
    static const uint8_t image[2 * 12 * 12 * 3] = {1, 2, 3};
    const struct supernet_facts facts = {.mean = {0.1F, 0.2F, 0.3F},
                                         .deviation = {1, 2, 3},
                                         .classes = classes,
                                         .n_classes = 4,
                                         .made_by = "tailor train",
                                         .data = "x",
                                         .images = image,
                                         .n_images = 2,
                                         .side = 12};
    struct supernet *net = shaken(family), *back = NULL;
    struct supernet_facts read = {0};
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    TL_AUTO(tl_buf) again = {.max = 64 << 20};
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    must(supernet_encode(net, &facts, NULL, false, &bytes, &err), &err);
    must(st_open(bytes.data, bytes.len, &file, &err), &err);
    must(supernet_decode(file, &back, &read, &err), &err);
    assert_memory_equal(net->params, back->params, net->n_params * sizeof(float));
    assert_memory_equal(net->stats, back->stats, net->n_stats * sizeof(float));
    assert_string_equal(read.classes[3], "d");
    assert_int_equal(read.n_images, 2);
    assert_memory_equal(read.images, image, sizeof image);
    must(supernet_encode(back, &read, NULL, false, &again, &err), &err);
    assert_int_equal(bytes.len, again.len);
    assert_memory_equal(bytes.data, again.data, bytes.len);
    st_free(file);
    supernet_facts_done(&read);
    supernet_free(net);
    supernet_free(back);
}

static void a_file_holds_a_supernet_bit_for_bit(void **state)
{
    (void)state;
    const struct net_family inverted = small_family(), bottlenecks = resnet_family();
    expect_the_same_from_a_file(&inverted);
    expect_the_same_from_a_file(&bottlenecks);
}

static void half_the_bytes_are_within_half_a_thousandth(void **state)
{
    (void)state;
    const struct supernet_facts facts = {.deviation = {1, 1, 1}, .made_by = "", .data = ""};
    const struct net_family family = small_family();
    struct supernet *net = shaken(&family), *back = NULL;
    struct supernet_facts read = {0};
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    must(supernet_encode(net, &facts, NULL, true, &bytes, &err), &err);
    must(st_open(bytes.data, bytes.len, &file, &err), &err);
    must(supernet_decode(file, &back, &read, &err), &err);
    for (size_t i = 0; i < net->n_params; i++) {
        assert_true(fabsf(net->params[i] - back->params[i]) <= 0.0005F * fabsf(net->params[i]) + 1e-7F);
    }
    st_free(file);
    supernet_facts_done(&read);
    supernet_free(net);
    supernet_free(back);
}

static void a_file_of_another_family_is_refused_by_its_tensor(void **state)
{
    (void)state;
    const struct supernet_facts facts = {.deviation = {1, 1, 1}, .made_by = "", .data = "", .plan = "{}"};
    const struct net_family family = small_family();
    struct net_family other = family;
    struct small_world *world = malloc(sizeof *world);
    struct train_plan plan = train_plan_default(TRAIN_SANDWICH);
    struct supernet *net = shaken(&family), *wrong = NULL;
    struct trainer *trainer = NULL;
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct safetensors *file = NULL;
    const char *log = NULL;
    struct tl_err err = {0};
    const struct trainer_state saved = {.step = 1, .first = net->params};
    must(supernet_encode(net, &facts, &saved, false, &bytes, &err), &err);
    must(st_open(bytes.data, bytes.len, &file, &err), &err);
    other.final_width = 40;
    plan.batch = 16;
    struct train_source source = small_source(world, &plan);
    must(supernet_new(&other, 1, &wrong, &err), &err);
    must(trainer_new(wrong, &plan, &source, NULL, &trainer, &err), &err);
    assert_int_equal(checkpoint_decode(file, wrong, "{}", trainer, &log, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "head.final"));
    st_free(file);
    trainer_free(trainer);
    supernet_free(net);
    supernet_free(wrong);
    free(world);
}

/* The file of a supernet one number of which was made wrong is refused with the tensor's name. */
static void refuse_number(bool variance, float wrong, const char *says)
{
    const struct supernet_facts facts = {.deviation = {1, 1, 1}, .made_by = "", .data = ""};
    const struct net_family family = small_family();
    struct supernet *net = shaken(&family), *back = NULL;
    struct supernet_facts read = {0};
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    const struct supernet_layer *stem = &net->layers[0][0];
    (variance ? net->stats + stem->variance : net->params + stem->w)[1] = wrong;
    must(supernet_encode(net, &facts, NULL, true, &bytes, &err), &err);
    must(st_open(bytes.data, bytes.len, &file, &err), &err);
    assert_int_equal(supernet_decode(file, &back, &read, &err), TL_INVALID);
    if (!strstr(err.text, says)) {
        fail_msg("%s", err.text);
    }
    assert_null(back);
    st_free(file);
    supernet_free(net);
}

static void numbers_that_cannot_be_are_refused_by_their_tensor(void **state)
{
    (void)state;
    refuse_number(false, NAN, "tensor stem.weight");
    refuse_number(false, -INFINITY, "tensor stem.weight");
    refuse_number(true, INFINITY, "tensor stem.bn.running_var");
    refuse_number(true, -0.25F, "tensor stem.bn.running_var holds -0.25, which is no variance");
}

static void numbers_too_large_for_halves_stay_whole(void **state)
{
    (void)state;
    const struct supernet_facts facts = {.deviation = {1, 1, 1}, .made_by = "", .data = ""};
    const struct net_family family = small_family();
    struct supernet *net = shaken(&family), *back = NULL;
    struct supernet_facts read = {0};
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    net->stats[net->layers[0][0].variance] = 1e6F;
    must(supernet_encode(net, &facts, NULL, true, &bytes, &err), &err);
    must(st_open(bytes.data, bytes.len, &file, &err), &err);
    must(supernet_decode(file, &back, &read, &err), &err);
    assert_true(back->stats[net->layers[0][0].variance] == 1e6F);
    st_free(file);
    supernet_facts_done(&read);
    supernet_free(net);
    supernet_free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_cut_out_computes_what_its_view_does),
        cmocka_unit_test(sorting_changes_nothing_that_the_largest_computes),
        cmocka_unit_test(sorting_puts_the_important_channels_first_within_the_widths_that_are_trained),
        cmocka_unit_test(a_smaller_kernel_is_the_centre_through_the_matrices),
        cmocka_unit_test(bottlenecks_are_cut_at_every_tap_and_the_stem_by_its_place),
        cmocka_unit_test(families_whose_networks_are_no_cuts_of_the_largest_are_refused),
        cmocka_unit_test(a_file_too_small_for_its_family_is_refused_before_memory_is_taken),
        cmocka_unit_test(a_family_without_expansions_is_refused),
        cmocka_unit_test(a_file_holds_a_supernet_bit_for_bit),
        cmocka_unit_test(half_the_bytes_are_within_half_a_thousandth),
        cmocka_unit_test(a_file_of_another_family_is_refused_by_its_tensor),
        cmocka_unit_test(numbers_that_cannot_be_are_refused_by_their_tensor),
        cmocka_unit_test(numbers_too_large_for_halves_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
