/* Data sets in all the forms that people have them in are found out, and what is in them is theirs. */
#include "data.h"
#include "made.h"

#include <math.h>

static void put_idx(const char *folder, const char *name, uint32_t n, uint32_t h, uint32_t w)
{
    TL_AUTO(tl_buf) buf = {0};
    made_idx(&buf, n, h, w);
    if (strstr(name, ".gz")) {
        made_put_gz(folder, name, buf.data, buf.len);
    } else {
        made_put(folder, name, buf.data, buf.len);
    }
}

static void idx_files_are_a_set_plain_and_packed(void **state)
{
    struct img_pixels pixels = {0};
    put_idx(*state, "train-images-idx3-ubyte", 30, 4, 5);
    put_idx(*state, "train-labels-idx1-ubyte.gz", 30, 0, 0);
    put_idx(*state, "t10k-images-idx3-ubyte.gz", 20, 4, 5);
    put_idx(*state, "t10k-labels-idx1-ubyte", 20, 0, 0);
    struct img_set *set = made_open(*state);
    assert_int_equal(img_n(set, IMG_TRAIN), 30);
    assert_int_equal(img_n(set, IMG_TEST), 20);
    assert_int_equal(img_n_classes(set), 10);
    assert_string_equal(img_class_name(set, 7), "7");
    assert_int_equal(img_label(set, IMG_TRAIN, 23), 3);
    assert_int_equal(img_decode(set, IMG_TEST, 3, &pixels, NULL), TL_OK);
    assert_int_equal(pixels.h, 4);
    assert_int_equal(pixels.w, 5);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(pixels.data[i], 60 + i / 3); /* grey, three times */
    }
    img_pixels_done(&pixels);
    img_close(set);
}

static void cifar_10_is_a_set_in_a_folder_and_in_an_archive(void **state)
{
    static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
    static const char meta[] = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    TL_AUTO(tl_buf) records = {0};
    TL_AUTO(tl_buf) tar = {.max = 4 << 20};
    made_cifar(&records, 12);
    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "cifar-10-batches-bin/%s", names[i]);
        made_tar(&tar, name, '0', records.data, records.len);
        made_put(*state, name, records.data, records.len);
    }
    made_tar(&tar, "cifar-10-batches-bin/batches.meta.txt", '0', meta, sizeof meta - 1);
    made_put(*state, "cifar-10-batches-bin/batches.meta.txt", meta, sizeof meta - 1);
    made_tar_end(&tar);
    made_put_gz(*state, "c.tar.gz", tar.data, tar.len);
    made_put(*state, "c.tar", tar.data, tar.len);
    static const char *const paths[] = {"cifar-10-batches-bin", "c.tar.gz", "c.tar"};
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        struct img_pixels pixels = {0};
        struct img_set *set = made_open(made_path(*state, paths[i]));
        assert_int_equal(img_n(set, IMG_TRAIN), 60);
        assert_int_equal(img_n(set, IMG_TEST), 12);
        assert_string_equal(img_class_name(set, 3), "cat");
        assert_int_equal(img_label(set, IMG_TRAIN, 23), 1);
        assert_int_equal(img_decode(set, IMG_TRAIN, 23, &pixels, NULL), TL_OK);
        assert_int_equal(pixels.h, 32);
        assert_memory_equal(pixels.data, "\x0b\x01\x02\x0b\x01\x02", 6);
        assert_memory_equal(pixels.data + 3069, "\x0b\x01\x02", 3);
        img_pixels_done(&pixels);
        img_close(set);
    }
}

/* Is the picture `which` at this place of the set? */
static void is_picture(const struct img_set *set, enum img_split split, size_t index, unsigned which)
{
    struct img_pixels pixels = {0};
    struct tl_err err = {0};
    if (img_decode(set, split, index, &pixels, &err)) {
        fail_msg("%s", err.text);
    }
    const size_t n = (size_t)pixels.h * pixels.w;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += pixels.data[3 * i];
    }
    if (fabs(sum - (64.0 + which * 8.0) * (double)n) > 3 * (double)n) {
        fail_msg("picture %zu of split %d has red %g, not %u", index, (int)split, sum / (double)n, 64 + which * 8);
    }
    img_pixels_done(&pixels);
}

static void put_picture(const char *folder, const char *name, unsigned which)
{
    TL_AUTO(tl_buf) buf = {0};
    if (strstr(name, ".png") || strstr(name, ".JPEG")) { /* a PNG may be called .JPEG: ImageNet has one */
        made_png(&buf, 9, 7, which);
    } else {
        made_jpeg(&buf, 9, 7, which);
    }
    made_put(folder, name, buf.data, buf.len);
}

static void class_folders_are_a_set_ordered_by_path(void **state)
{
    put_picture(*state, "top/train/dog/b.png", 1);
    put_picture(*state, "top/train/dog/a.jpg", 2);
    put_picture(*state, "top/train/a cat/z.JPEG", 3);
    put_picture(*state, "top/val/dog/1.jpeg", 4);
    put_picture(*state, "top/val/a cat/2.PNG", 5);
    put_picture(*state, "top/test/x.jpg", 6); /* as ImageNet's, without classes: not used */
    put_picture(*state, "top/train/dog/.hidden.jpg", 7);
    made_put(*state, "top/train/dog/notes.txt", "x", 1);
    struct img_set *set = made_open(*state);
    assert_int_equal(img_n(set, IMG_TRAIN), 3);
    assert_int_equal(img_n(set, IMG_TEST), 2);
    assert_int_equal(img_n_classes(set), 2);
    assert_string_equal(img_class_name(set, 0), "a cat");
    assert_string_equal(img_class_name(set, 1), "dog");
    is_picture(set, IMG_TRAIN, 0, 3);
    is_picture(set, IMG_TRAIN, 1, 2);
    is_picture(set, IMG_TRAIN, 2, 1);
    is_picture(set, IMG_TEST, 0, 5);
    is_picture(set, IMG_TEST, 1, 4);
    assert_int_equal(img_label(set, IMG_TRAIN, 0), 0);
    assert_int_equal(img_label(set, IMG_TRAIN, 2), 1);
    assert_int_equal(img_label(set, IMG_TEST, 1), 1);
    img_close(set);
}

static void classes_without_splits_have_some_held_out(void **state)
{
    const struct img_opts opts = {.held_out = 3};
    struct img_set *set = NULL;
    for (unsigned i = 0; i < 7; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "ant/%u.jpg", i);
        put_picture(*state, name, i);
    }
    put_picture(*state, "bee/0.jpg", 10);
    put_picture(*state, "bee/1.jpg", 11);
    assert_int_equal(img_open(*state, &opts, &set, NULL), TL_OK);
    assert_int_equal(img_n(set, IMG_TRAIN), 6);
    assert_int_equal(img_n(set, IMG_TEST), 3);
    is_picture(set, IMG_TEST, 0, 2);
    is_picture(set, IMG_TEST, 1, 5);
    is_picture(set, IMG_TEST, 2, 11);
    is_picture(set, IMG_TRAIN, 5, 10);
    assert_int_equal(img_label(set, IMG_TEST, 2), 1);
    img_close(set);
}

/* The same images in a folder, a tar, a tar.gz: the same set. */
static void an_archive_is_read_without_being_unpacked(void **state)
{
    static const char *const paths[] = {"s.tar", "s.tar.gz"};
    TL_AUTO(tl_buf) tar = {0};
    made_tar(&tar, "pax_global_header", 'g', "27 comment=what it was for\n", 27);
    made_tar(&tar, "./train/", '5', "", 0);
    made_tar_jpeg(&tar, "./train/dog/1.jpg", 1);
    made_tar_jpeg(&tar, "./train/cat/1.jpg", 2);
    made_tar_jpeg(&tar, "./test/cat/1.jpg", 3);
    made_tar_jpeg(&tar, "./test/dog/1.jpg", 4);
    made_tar(&tar, "./README", '0', "words", 5);
    made_tar_end(&tar);
    made_put(*state, paths[0], tar.data, tar.len);
    made_put_gz(*state, paths[1], tar.data, tar.len);
    for (size_t i = 0; i < TL_COUNT_OF(paths); i++) {
        struct img_set *set = made_open(made_path(*state, paths[i]));
        assert_int_equal(img_n(set, IMG_TRAIN), 2);
        is_picture(set, IMG_TRAIN, 0, 2);
        is_picture(set, IMG_TRAIN, 1, 1);
        is_picture(set, IMG_TEST, 0, 3);
        is_picture(set, IMG_TEST, 1, 4);
        img_close(set);
    }
}

static void long_names_of_pax_gnu_and_ustar_are_read(void **state)
{
    char many[151] = {0}, gnu[200], pax[300], record[400];
    TL_AUTO(tl_buf) tar = {0};
    memset(many, 'g', 150);
    (void)snprintf(gnu, sizeof gnu, "train/%s/1.jpg", many);
    made_tar(&tar, "././@LongLink", 'L', gnu, strlen(gnu) + 1);
    made_tar_jpeg(&tar, "short", 1);
    (void)snprintf(pax, sizeof pax, "train/p%s/1.jpg", many);
    const int n = snprintf(record, sizeof record, "173 path=%s\n", pax);
    assert_int_equal(n, 173); /* a record counts its own digits */
    made_tar(&tar, "PaxHeaders/x", 'x', record, (size_t)n);
    made_tar_jpeg(&tar, "short", 2);
    const size_t at = tar.len;
    made_tar_jpeg(&tar, "1.jpg", 3);
    memcpy(tar.data + at + 345, "train/ustar", 11);
    made_tar_sum(&tar, at);
    made_tar_end(&tar);
    made_put(*state, "long.tar", tar.data, tar.len);
    struct img_set *set = made_open(made_path(*state, "long.tar"));
    assert_int_equal(img_n(set, IMG_TRAIN), 3);
    assert_int_equal(strlen(img_class_name(set, 0)), 150);
    assert_int_equal(strlen(img_class_name(set, 1)), 151);
    assert_string_equal(img_class_name(set, 2), "ustar");
    is_picture(set, IMG_TRAIN, 1, 2);
    is_picture(set, IMG_TRAIN, 2, 3);
    img_close(set);
}

static void count_calls(void *ctx, size_t n_done, size_t n_all)
{
    size_t *calls = ctx;
    ++*calls;
    assert_true(n_done <= n_all);
}

static void a_cached_set_gives_the_same_images_from_memory(void **state)
{
    TL_AUTO(tl_buf) tar = {0};
    struct img_pixels before = {0}, after = {0};
    struct tl_pool *pool = NULL;
    struct tl_err err = {0};
    size_t calls = 0;
    made_tar_small(&tar);
    made_put_gz(*state, "s.tar.gz", tar.data, tar.len);
    struct img_set *set = made_open(made_path(*state, "s.tar.gz"));
    assert_int_equal(tl_pool_new(&pool, 2, NULL), TL_OK);
    assert_int_equal(img_decode(set, IMG_TEST, 1, &before, NULL), TL_OK);
    assert_int_equal(img_cache(set, 8, 1535, pool, NULL, NULL, &err), TL_TOO_LARGE);
    assert_non_null(strstr(err.text, "8 images of 8 x 8"));
    assert_int_equal(img_cache(set, 8, 1536, pool, count_calls, &calls, NULL), TL_OK);
    assert_int_equal(calls, 1);
    assert_int_equal(img_decode(set, IMG_TEST, 1, &after, NULL), TL_OK);
    assert_int_equal(after.h, 8);
    assert_memory_equal(before.data, after.data, 192);
    img_pixels_done(&before);
    img_pixels_done(&after);
    img_close(set);
    tl_pool_free(pool);
}

static void a_set_with_images_that_are_larger_is_not_cached(void **state)
{
    static const char *const names[] = {"train/a/1.png", "train/a/2.png", "test/a/1.png"};
    struct img_pixels pixels = {0};
    struct tl_err err = {0};
    for (unsigned i = 0; i < TL_COUNT_OF(names); i++) {
        TL_AUTO(tl_buf) png = {0};
        made_png(&png, i == 1 ? 20 : 8, 8, i);
        made_put(*state, names[i], png.data, png.len);
    }
    struct img_set *set = made_open(*state);
    assert_int_equal(img_cache(set, 8, 0, NULL, NULL, NULL, &err), TL_TOO_LARGE);
    assert_non_null(strstr(err.text, "training image 1 has 8 x 20 pixels"));
    assert_int_equal(img_decode(set, IMG_TRAIN, 1, &pixels, NULL), TL_OK);
    assert_int_equal(pixels.h, 20);
    img_pixels_done(&pixels);
    img_close(set);
}

static void mnist_is_what_it_is_known_to_be(void **state)
{
    char path[DATA_PATH_MAX];
    float mean[3], std[3];
    (void)state;
    data_path("mnist", path);
    struct img_set *set = made_open(path);
    assert_int_equal(img_n(set, IMG_TRAIN), 60000);
    assert_int_equal(img_n(set, IMG_TEST), 10000);
    assert_int_equal(img_n_classes(set), 10);
    assert_int_equal(img_label(set, IMG_TRAIN, 0), 5);
    assert_int_equal(img_label(set, IMG_TEST, 0), 7);
    assert_int_equal(img_measure(set, 0, NULL, mean, std, NULL), TL_OK);
    assert_true(fabsf(mean[0] - 0.1307F) < 1e-4F && fabsf(std[0] - 0.3081F) < 1e-4F); /* the well-known figures */
    assert_true(mean[0] == mean[2] && std[0] == std[2]);
    img_close(set);
}

static void cifar_10_as_jpeg_is_what_it_is_known_to_be(void **state)
{
    static const char *const names[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck"};
    char path[DATA_PATH_MAX];
    size_t counts[2][10] = {{0}};
    float mean[3], std[3];
    (void)state;
    data_path("cifar10/cifar10-jpeg.tar.gz", path);
    struct img_set *set = made_open(path);
    assert_int_equal(img_n_classes(set), 10);
    for (enum img_split split = IMG_TRAIN; split < IMG_SPLIT_COUNT; split++) {
        for (size_t i = 0; i < img_n(set, split); i++) {
            counts[split][img_label(set, split, i)]++;
        }
    }
    for (size_t i = 0; i < 10; i++) {
        assert_string_equal(img_class_name(set, i), names[i]);
        assert_int_equal(counts[IMG_TRAIN][i], 5000);
        assert_int_equal(counts[IMG_TEST][i], 1000);
    }
    assert_int_equal(img_measure(set, 2000, NULL, mean, std, NULL), TL_OK);
    assert_true(fabsf(mean[0] - 0.491F) < 0.01F && fabsf(mean[2] - 0.447F) < 0.01F);
    img_close(set);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(idx_files_are_a_set_plain_and_packed),
        IN_FOLDER(cifar_10_is_a_set_in_a_folder_and_in_an_archive),
        IN_FOLDER(class_folders_are_a_set_ordered_by_path),
        IN_FOLDER(classes_without_splits_have_some_held_out),
        IN_FOLDER(an_archive_is_read_without_being_unpacked),
        IN_FOLDER(long_names_of_pax_gnu_and_ustar_are_read),
        IN_FOLDER(a_cached_set_gives_the_same_images_from_memory),
        IN_FOLDER(a_set_with_images_that_are_larger_is_not_cached),
        cmocka_unit_test(mnist_is_what_it_is_known_to_be),
        cmocka_unit_test(cifar_10_as_jpeg_is_what_it_is_known_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
