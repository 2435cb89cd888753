/* Batches: the same bytes whenever, whoever and however they are made; and the pixels are those of the spec. */
#include "made.h"
#include "supernet/train/data/parts.h"

#include <math.h>

/* A set of n idx images of 8 x 8, and n / 2 to test with. */
static struct img_set *idx_set(const char *folder, uint32_t n)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};
    for (uint32_t i = 0; i < 4; i++) {
        TL_AUTO(tl_buf) buf = {0};
        made_idx(&buf, i < 2 ? n : n / 2, i % 2 ? 0 : 8, 8);
        made_put(folder, names[i], buf.data, buf.len);
    }
    return made_open(folder);
}

static const struct img_spec plain = {.n = 7, .resolution = 8, .std = {1, 1, 1}};

/* Everything on. */
static const struct img_spec lively = {.seed = 5,
                                       .n = 7,
                                       .shuffle = true,
                                       .view = IMG_VIEW_PAD_CROP,
                                       .flip = true,
                                       .pad = 2,
                                       .n_ops = 3,
                                       .magnitude = 0.7,
                                       .jitter = 0.4,
                                       .cutout = 8,
                                       .mean = {0.4F, 0.5F, 0.6F},
                                       .std = {0.2F, 0.3F, 0.4F},
                                       .resolution = 12};

static unsigned side_by_step(void *ctx, uint64_t epoch, uint64_t step)
{
    (void)ctx;
    return 5 + (unsigned)((epoch + step) % 8);
}

/* The hash of a batch's bytes. */
static struct tl_hash hash_of(const struct img_batch *batch)
{
    return tl_hash_of2(batch->x, batch->n * batch->side * batch->side * 3 * sizeof *batch->x, batch->labels,
                       batch->n * sizeof *batch->labels);
}

static struct img_batches *batches_of(const struct img_set *set, const struct img_spec *spec, struct tl_pool *pool)
{
    struct img_batches *batches = NULL;
    struct tl_err err = {0};
    if (img_batches_new(set, spec, pool, &batches, &err)) {
        fail_msg("%s", err.text);
    }
    return batches;
}

static struct tl_hash fill_hash(struct img_batches *batches, uint64_t epoch, uint64_t step)
{
    struct img_batch batch = {0};
    assert_int_equal(img_batch_init(&batch, batches, NULL), TL_OK);
    assert_int_equal(img_batches_fill(batches, epoch, step, &batch, NULL), TL_OK);
    const struct tl_hash hash = hash_of(&batch);
    img_batch_done(&batch);
    return hash;
}

static void plain_batches_are_the_images_in_order_and_end_short(void **state)
{
    struct img_set *set = idx_set(*state, 40);
    struct img_spec spec = plain;
    spec.split = IMG_TEST;
    spec.mean[1] = 0.5F;
    spec.std[1] = 0.25F;
    struct img_batches *batches = batches_of(set, &spec, NULL);
    struct img_batch batch = {0};
    size_t seen = 0;
    assert_int_equal(img_batch_init(&batch, batches, NULL), TL_OK);
    assert_int_equal(img_batches_an_epoch(batches), 3);
    for (uint64_t step = 0; step < 3; step++) {
        assert_int_equal(img_batches_fill(batches, 0, step, &batch, NULL), TL_OK);
        assert_int_equal(batch.n, step < 2 ? 7 : 6);
        for (size_t i = 0; i < batch.n; i++, seen++) {
            assert_int_equal(batch.labels[i], seen % 10);
            const float value = (float)((seen * 64 + 9) % 251) / 255;
            const float *pixel = batch.x + (i * 64 + 9) * 3;
            assert_true(pixel[0] == value);
            assert_true(fabsf(pixel[1] - (value - 0.5F) / 0.25F) < 1e-6F);
            assert_true(pixel[2] == value);
        }
    }
    img_batch_done(&batch);
    img_batches_free(batches);
    img_close(set);
}

/* Batch 0 of two images of a set, seen so. */
static void see(const struct img_set *set, enum img_view view, unsigned small_side, float ret_x[2 * 12 * 12 * 3])
{
    struct img_spec spec = plain;
    struct img_batch batch = {0};
    spec.n = 2;
    spec.seed = 9;
    spec.resolution = 12;
    spec.pad = 2;
    spec.view = view;
    spec.small_side = small_side;
    struct img_batches *batches = batches_of(set, &spec, NULL);
    assert_int_equal(img_batch_init(&batch, batches, NULL), TL_OK);
    assert_int_equal(img_batches_fill(batches, 0, 0, &batch, NULL), TL_OK);
    memcpy(ret_x, batch.x, (size_t)2 * 12 * 12 * 3 * sizeof *ret_x);
    img_batch_done(&batch);
    img_batches_free(batches);
}

static void an_image_is_seen_by_its_own_size(void **state)
{
    enum { EACH = 12 * 12 * 3 };
    static const char *const names[] = {"train/a/1.png", "train/a/2.png", "test/a/1.png"};
    static const enum img_view views[][2] = {{IMG_VIEW_WHOLE, IMG_VIEW_CENTRE},
                                             {IMG_VIEW_PAD_CROP, IMG_VIEW_RESIZED_CROP}};
    float mixed[2 * EACH], small[2 * EACH], large[2 * EACH];
    for (unsigned i = 0; i < TL_COUNT_OF(names); i++) {
        TL_AUTO(tl_buf) png = {0};
        made_png(&png, 16, i == 1 ? 40 : 16, i);
        made_put(*state, names[i], png.data, png.len);
    }
    struct img_set *set = made_open(*state);
    for (size_t i = 0; i < TL_COUNT_OF(views); i++) {
        see(set, views[i][0], 20, mixed);
        see(set, views[i][0], 0, small);
        see(set, views[i][1], 0, large);
        assert_memory_equal(mixed, small, EACH * sizeof *mixed);
        assert_memory_equal(mixed + EACH, large + EACH, EACH * sizeof *mixed);
        assert_memory_not_equal(mixed + EACH, small + EACH, EACH * sizeof *mixed);
    }
    img_close(set);
}

static void an_epoch_shows_every_image_once_in_an_order_of_its_own(void **state)
{
    struct img_set *set = idx_set(*state, 70);
    struct img_spec spec = plain;
    spec.shuffle = true;
    struct img_batches *batches = batches_of(set, &spec, NULL);
    struct img_batch batch = {0};
    size_t places[2][70] = {{0}}, same = 0;
    assert_int_equal(img_batch_init(&batch, batches, NULL), TL_OK);
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        size_t counts[10] = {0};
        for (uint64_t step = 0; step < img_batches_an_epoch(batches); step++) {
            assert_int_equal(img_batches_fill(batches, epoch, step, &batch, NULL), TL_OK);
            for (size_t i = 0; i < 7; i++) {
                counts[batch.labels[i]]++;
                places[epoch][step * 7 + i] = (size_t)batch.labels[i];
            }
        }
        for (size_t i = 0; i < 10; i++) {
            assert_int_equal(counts[i], 7);
        }
    }
    for (size_t i = 0; i < 70; i++) {
        same += places[0][i] == places[1][i];
    }
    assert_true(same < 30); /* by chance about 7 */
    img_batch_done(&batch);
    img_batches_free(batches);
    img_close(set);
}

static void the_same_seed_gives_the_same_bytes_whatever_the_threads_and_the_order(void **state)
{
    struct img_set *set = idx_set(*state, 70);
    struct tl_pool *pool = NULL;
    assert_int_equal(tl_pool_new(&pool, 3, NULL), TL_OK);
    for (enum img_view view = 0; view < IMG_VIEW_COUNT; view++) {
        struct img_spec spec = lively, other = lively;
        spec.view = view;
        other.view = view;
        other.seed = 6;
        spec.side_of = side_by_step;
        struct img_batches *a = batches_of(set, &spec, NULL), *b = batches_of(set, &spec, pool),
                           *c = batches_of(set, &other, NULL);
        for (uint64_t step = 0; step < 10; step++) {
            const struct tl_hash hash = fill_hash(a, 3, step);
            const struct tl_hash backwards = fill_hash(b, 3, step);
            const struct tl_hash foreign = fill_hash(c, 3, step);
            (void)fill_hash(a, 4 + step, 9 - step); /* in between */
            const struct tl_hash again = fill_hash(a, 3, step);
            assert_true(tl_hash_equal(&hash, &backwards) && tl_hash_equal(&hash, &again));
            assert_false(tl_hash_equal(&hash, &foreign));
        }
        img_batches_free(a);
        img_batches_free(b);
        img_batches_free(c);
    }
    tl_pool_free(pool);
    img_close(set);
}

/* A run that is resumed after an update goes on with the bytes that it had: they are the same in every build. */
static void the_bytes_are_those_of_every_build(void **state)
{
    static const char *const known[IMG_VIEW_COUNT] = {
        "a8714348cd7fdda081f7faa22cacc8ef", "672dfcb371a70c383f46b3cc48440f48", "1284ba6a31d320f436b4afc50aa551ca",
        "78f0cfcc2cd438921b11f6a5543df95a"};
    struct img_set *set = idx_set(*state, 70);
    for (enum img_view view = 0; view < IMG_VIEW_COUNT; view++) {
        struct img_spec spec = lively;
        char text[TL_HASH_TEXT];
        spec.view = view;
        struct img_batches *batches = batches_of(set, &spec, NULL);
        const struct tl_hash hash = fill_hash(batches, 2, 3);
        tl_hash_format(&hash, text);
        assert_string_equal(text, known[view]);
        img_batches_free(batches);
    }
    img_close(set);
}

static void a_resumed_prefetch_gives_the_same_bytes(void **state)
{
    enum { N = 25 };
    struct img_set *set = idx_set(*state, 70);
    struct img_spec spec = lively;
    spec.side_of = side_by_step;
    struct img_batches *batches = batches_of(set, &spec, NULL);
    struct tl_hash hashes[N];
    for (uint64_t i = 0; i < N; i++) {
        hashes[i] = fill_hash(batches, i / 10, i % 10);
    }
    for (unsigned n_ahead = 0; n_ahead < 4; n_ahead++) {
        for (uint64_t from = 0; from < N; from += 8) {
            struct img_prefetch *prefetch = NULL;
            assert_int_equal(img_prefetch_new(batches, from / 10, from % 10, n_ahead, &prefetch, NULL), TL_OK);
            for (uint64_t i = from; i < N; i++) {
                const struct img_batch *batch = NULL;
                assert_int_equal(img_prefetch_next(prefetch, &batch, NULL), TL_OK);
                const struct tl_hash hash = hash_of(batch);
                assert_true(tl_hash_equal(&hash, &hashes[i]));
                assert_int_equal(batch->epoch, i / 10);
                assert_int_equal(batch->step, i % 10);
            }
            img_prefetch_free(prefetch);
        }
    }
    img_batches_free(batches);
    img_close(set);
}

static void a_batch_that_cannot_be_made_fails_in_its_turn(void **state)
{
    TL_AUTO(tl_buf) tar = {0};
    TL_AUTO(tl_buf) jpeg = {0};
    struct tl_err err = {0};
    made_jpeg(&jpeg, 16, 16, 1);
    for (unsigned i = 0; i < 20; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "train/a/%02u.jpg", i);
        made_tar(&tar, name, '0', jpeg.data, i == 13 ? jpeg.len / 2 : jpeg.len);
    }
    made_tar_end(&tar);
    const struct img_opts opts = {.held_out = 50};
    struct img_set *set = NULL;
    assert_int_equal(set_from_memory((const uint8_t *)tar.data, tar.len, &opts, &set, NULL), TL_OK);
    struct img_spec spec = plain;
    spec.n = 4;
    (void)state;
    for (unsigned n_ahead = 0; n_ahead < 3; n_ahead++) {
        struct img_batches *batches = batches_of(set, &spec, NULL);
        struct img_prefetch *prefetch = NULL;
        const struct img_batch *batch = NULL;
        assert_int_equal(img_prefetch_new(batches, 0, 0, n_ahead, &prefetch, NULL), TL_OK);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(img_prefetch_next(prefetch, &batch, NULL), TL_OK);
        }
        for (unsigned i = 0; i < 2; i++) {
            err = (struct tl_err){0};
            assert_int_equal(img_prefetch_next(prefetch, &batch, &err), TL_INVALID);
            assert_non_null(strstr(err.text, "train/a/13.jpg"));
        }
        img_prefetch_free(prefetch);
        img_batches_free(batches);
    }
    img_close(set);
}

static void a_spec_that_makes_no_sense_is_refused(void **state)
{
    struct img_set *set = idx_set(*state, 40);
    struct img_spec specs[12];
    static const char *const words[] = {"a batch of 0",    "a batch of 65537", "batches of 41", "resolution 0",
                                        "resolution 1025", "magnitude 2",      "magnitude nan", "jitter -1",
                                        "std 0",           "mean inf",         "9 operations",  "split 2"};
    for (size_t i = 0; i < TL_COUNT_OF(specs); i++) {
        specs[i] = plain;
    }
    specs[0].n = 0;
    specs[1].n = IMG_BATCH_MAX + 1;
    specs[2].n = 41;
    specs[2].shuffle = true;
    specs[3].resolution = 0;
    specs[4].resolution = IMG_RESOLUTION_MAX + 1;
    specs[5].magnitude = 2;
    specs[6].magnitude = (double)NAN;
    specs[7].jitter = -1;
    specs[8].std[2] = 0;
    specs[9].mean[0] = INFINITY;
    specs[10].n_ops = 9;
    specs[11].split = IMG_SPLIT_COUNT;
    for (size_t i = 0; i < TL_COUNT_OF(specs); i++) {
        struct img_batches *batches = NULL;
        struct tl_err err = {0};
        assert_int_equal(img_batches_new(set, &specs[i], NULL, &batches, &err), TL_INVALID);
        if (!strstr(err.text, words[i])) {
            fail_msg("%s is not in: %s", words[i], err.text);
        }
    }
    img_close(set);
}

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

static void resizing_keeps_what_is_even_and_averages_what_is_not(void **state)
{
    struct resizer resizer = {0};
    uint8_t in[16 * 12 * 3], out[40 * 40 * 3];
    (void)state;
    memset(in, 137, sizeof in);
    for (unsigned side = 1; side <= 40; side++) {
        assert_int_equal(resize(&resizer, in, 16, 12, (struct box){.w = 12, .h = 16}, out, side, side, NULL), TL_OK);
        for (size_t i = 0; i < (size_t)3 * side * side; i++) {
            assert_int_equal(out[i], 137);
        }
    }
    /* a step from 0 to 240, halved: the triangle has weights 1, 3, 3, 1 of 8; the red of four pixels */
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = i / 3 % 12 < 6 ? 0 : 240;
    }
    assert_int_equal(resize(&resizer, in, 16, 12, (struct box){.w = 12, .h = 16}, out, 8, 6, NULL), TL_OK);
    assert_int_equal(out[3], 0);
    assert_int_equal(out[6], 30);
    assert_int_equal(out[9], 210);
    assert_int_equal(out[12], 240);
    /* a part of it, its own size: copied */
    assert_int_equal(resize(&resizer, in, 16, 12, (struct box){.x = 4, .y = 3, .w = 4, .h = 4}, out, 4, 4, NULL),
                     TL_OK);
    assert_int_equal(out[3], 0);
    assert_int_equal(out[6], 240);
    /* enlarged: between the two, in order */
    assert_int_equal(resize(&resizer, in, 16, 12, (struct box){.x = 5, .w = 2, .h = 2}, out, 8, 8, NULL), TL_OK);
    for (size_t x = 1; x < 8; x++) {
        assert_true(out[3 * x] >= out[3 * x - 3]);
    }
    assert_int_equal(out[0], 0);
    assert_int_equal(out[21], 240);
    resizer_done(&resizer);
}

static void a_shift_moves_flips_and_fills(void **state)
{
    uint8_t in[2 * 3 * 3], out[2 * 3 * 3];
    struct canvas canvas = {.now = out, .h = 2, .w = 3, .fill = {7, 8, 9}};
    (void)state;
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)(100 + i);
    }
    augment_shift(&canvas, in, 0, 0, false);
    assert_memory_equal(out, in, sizeof in);
    augment_shift(&canvas, in, 0, 0, true);
    assert_memory_equal(out, in + 6, 3);
    assert_memory_equal(out + 6, in, 3);
    augment_shift(&canvas, in, 1, 1, false);
    assert_memory_equal(out, in + 12, 6);
    assert_memory_equal(out + 6, "\x07\x08\x09\x07\x08\x09", 6);
}

static void crops_lie_within_the_image_and_keep_the_ratio(void **state)
{
    static const unsigned sizes[][2] = {{224, 224}, {500, 375}, {1, 1}, {3, 2000}, {2000, 3}, {8192, 8192}};
    (void)state;
    for (size_t k = 0; k < TL_COUNT_OF(sizes); k++) {
        double least = 1, most = 0;
        for (uint64_t i = 0; i < 2000; i++) {
            struct tl_rng rng;
            tl_rng_init(&rng, 1, 2, i);
            const unsigned h = sizes[k][0], w = sizes[k][1];
            const struct box box = augment_crop(h, w, &rng);
            const double area = box.w * box.h / ((double)h * w);
            assert_true(box.x >= 0 && box.y >= 0 && box.w >= 1 && box.h >= 1 && box.x + box.w <= w &&
                        box.y + box.h <= h);
            assert_true(h < 100 || w < 100 || (box.w / box.h < 1.4 && box.w / box.h > 0.72));
            least = area < least ? area : least;
            most = area > most ? area : most;
        }
        assert_true(k > 1 || (least < 0.1 && most > 0.7));
    }
}

static void operations_of_no_magnitude_change_nothing(void **state)
{
    uint8_t before[16 * 16 * 3], a[16 * 16 * 3], b[16 * 16 * 3];
    (void)state;
    made_pixels(before, 16, 16, 3);
    for (uint64_t i = 0; i < 200; i++) {
        struct canvas canvas = {.now = a, .other = b, .h = 16, .w = 16};
        struct tl_rng rng;
        tl_rng_init(&rng, 1, 1, i);
        memcpy(a, before, sizeof a);
        augment_ops(&canvas, 3, 0, &rng);
        assert_memory_equal(canvas.now, before, sizeof before);
    }
}

static void every_operation_of_full_magnitude_stays_within_one_pixel_images_too(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 500; i++) {
        uint8_t a[5 * 3 * 3], b[5 * 3 * 3];
        const unsigned h = 1 + (unsigned)(i % 5), w = 1 + (unsigned)(i % 3);
        struct canvas canvas = {.now = a, .other = b, .h = h, .w = w, .fill = {1, 2, 3}};
        struct tl_rng rng;
        tl_rng_init(&rng, 9, 1, i);
        made_pixels(a, h, w, 3);
        augment_ops(&canvas, 8, 1, &rng);
        augment_jitter(&canvas, 1, &rng);
        augment_cutout(&canvas, 40, &rng);
        assert_true(canvas.now == a || canvas.now == b);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(plain_batches_are_the_images_in_order_and_end_short),
        IN_FOLDER(an_image_is_seen_by_its_own_size),
        IN_FOLDER(an_epoch_shows_every_image_once_in_an_order_of_its_own),
        IN_FOLDER(the_same_seed_gives_the_same_bytes_whatever_the_threads_and_the_order),
        IN_FOLDER(the_bytes_are_those_of_every_build),
        IN_FOLDER(a_resumed_prefetch_gives_the_same_bytes),
        IN_FOLDER(a_batch_that_cannot_be_made_fails_in_its_turn),
        IN_FOLDER(a_spec_that_makes_no_sense_is_refused),
        cmocka_unit_test(resizing_keeps_what_is_even_and_averages_what_is_not),
        cmocka_unit_test(a_shift_moves_flips_and_fills),
        cmocka_unit_test(crops_lie_within_the_image_and_keep_the_ratio),
        cmocka_unit_test(operations_of_no_magnitude_change_nothing),
        cmocka_unit_test(every_operation_of_full_magnitude_stays_within_one_pixel_images_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
