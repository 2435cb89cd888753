/* test_source.c - the images of a training: which are kept in a supernet's file, and in which order the others come. */
#include "supernet/train/codec_plan.h"
#include "supernet/train/source.h"
#include "unit/images/made.h"
#include "unit/train/worlds.h"

enum { CLASSES = 4, TRAIN_EACH = 6, TEST_EACH = 10, SIDE = 12 };

static const struct train_images_plan EVEN = {.holdout = 0.25, .deviation = {1, 1, 1}};

/* A folder of four classes of PNGs h x w; class c is the red of all its images. */
static struct img_set *folder_set(const char *folder, unsigned h, unsigned w)
{
    for (unsigned i = 0; i < CLASSES * (TRAIN_EACH + TEST_EACH); i++) {
        const unsigned which = i % CLASSES, number = i / CLASSES;
        TL_AUTO(tl_buf) png = {0};
        char name[64];
        (void)snprintf(name, sizeof name, "%s/c%u/%02u.png", number < TRAIN_EACH ? "train" : "test", which, number);
        made_png(&png, h, w, which);
        made_put(folder, name, png.data, png.len);
    }
    return made_open(folder);
}

static struct train_images *opened(const struct img_set *set, const struct train_images_plan *plan)
{
    const struct net_family family = small_family();
    struct train_images *images = NULL;
    struct tl_err err = {0};
    must(train_images_new(set, plan, NULL, &family, NULL, &images, &err), &err);
    return images;
}

/* What is kept is what a plain batch shows, before it was normalised. */
static void check_kept(const char *folder, unsigned h, unsigned w)
{
    struct img_set *set = folder_set(folder, h, w);
    struct train_images *images = opened(set, &EVEN);
    struct train_source source = train_images_source(images);
    struct train_images_batch batch;
    struct tl_err err = {0};
    uint8_t *pixels = NULL;
    size_t n = 0;
    must(train_images_first(images, 5, SIDE, &pixels, &n, &err), &err);
    assert_int_equal(n, 5);
    must(source.plain(source.ctx, TRAIN_PART_TRAIN, 0, SIDE, &batch, &err), &err);
    for (size_t i = 0; i < n * SIDE * SIDE * 3; i++) {
        assert_true((float)pixels[i] / 255 == batch.images[i]);
    }
    free(pixels);
    train_images_free(images);
    img_close(set);
}

static void images_of_any_size_are_kept_at_the_largest_resolution(void **state)
{
    static const unsigned sizes[][2] = {{SIDE, SIDE}, {16, 16}, {8, 8}, {14, 20}, {120, 150}};
    for (size_t i = 0; i < TL_COUNT_OF(sizes); i++) {
        check_kept(*state, sizes[i][0], sizes[i][1]);
    }
}

static void images_that_were_kept_are_not_cut_again(void **state)
{
    enum { LARGE = 120 };
    const struct train_images_plan whole = {.deviation = {1, 1, 1}, .whole = true};
    struct img_set *set = NULL;
    struct tl_err err = {0};
    uint8_t pixels[LARGE * LARGE * 3], *kept = NULL;
    size_t n = 0;
    (void)state;
    made_pixels(pixels, LARGE, LARGE, 1);
    must(img_of_pixels(pixels, 1, LARGE, &set, &err), &err);
    struct train_images *images = opened(set, &whole);
    must(train_images_first(images, 1, SIDE, &kept, &n, &err), &err);
    assert_true(kept[1] < 96 + 64 / SIDE); /* the first row of a slope is still the first */
    free(kept);
    train_images_free(images);
    img_close(set);
}

static void the_first_test_images_are_of_all_classes_and_each_comes_once(void **state)
{
    struct img_set *set = folder_set(*state, 12, 12);
    struct train_images *images = opened(set, &EVEN);
    struct train_source source = train_images_source(images);
    struct train_images_batch batch;
    struct tl_err err = {0};
    size_t of[CLASSES] = {0};
    assert_int_equal(source.n_of[TRAIN_PART_TEST], CLASSES * TEST_EACH);
    must(source.plain(source.ctx, TRAIN_PART_TEST, 0, SIDE, &batch, &err), &err);
    assert_int_equal(batch.n, CLASSES * TEST_EACH);
    for (size_t i = 0; i < batch.n; i++) {
        of[batch.labels[i]]++;
        if (i + 1 == batch.n / 2) {
            for (size_t c = 0; c < CLASSES; c++) {
                assert_in_range(of[c], 1, TEST_EACH - 1);
            }
        }
    }
    for (size_t c = 0; c < CLASSES; c++) {
        assert_int_equal(of[c], TEST_EACH);
    }
    train_images_free(images);
    img_close(set);
}

static void a_plan_says_what_was_held_out(void **state)
{
    struct train_split split = {.most = 7};
    struct tl_err err = {0};
    (void)state;
    must(train_split_decode(NULL, &split, &err), &err);
    assert_false(split.known);
    assert_true(split.holdout == 0.0 && split.most == 0);
    must(train_split_decode("{\"holdout\":0.25,\"most_images\":500,\"seed\":3}", &split, &err), &err);
    assert_true(split.known && split.holdout == 0.25 && split.most == 500);
    assert_int_equal(train_split_decode("{\"holdout\":0.7,\"most_images\":0}", &split, &err), TL_INVALID);
    assert_string_equal(err.pointer, "/plan/holdout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(images_of_any_size_are_kept_at_the_largest_resolution, folder_make,
                                        folder_remove),
        cmocka_unit_test(images_that_were_kept_are_not_cut_again),
        cmocka_unit_test_setup_teardown(the_first_test_images_are_of_all_classes_and_each_comes_once, folder_make,
                                        folder_remove),
        cmocka_unit_test(a_plan_says_what_was_held_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
