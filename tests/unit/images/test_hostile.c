/* Data sets that lie are refused, with a sentence that names the file and what is wrong with it. */
#include "made.h"
#include "supernet/train/data/parts.h"

static void refuse_tar(const char *folder, struct tl_buf *tar, enum tl_rc rc, const char *word, const char *word2)
{
    made_put(folder, "x.tar", tar->data, tar->len);
    made_refused(made_path(folder, "x.tar"), rc, word, word2);
    made_put_gz(folder, "x.tar.gz", tar->data, tar->len);
    made_refused(made_path(folder, "x.tar.gz"), rc, word, word2);
    tl_buf_clear(tar);
}

static void a_path_that_is_none_or_nothing_is_refused(void **state)
{
    made_refused(made_path(*state, "nowhere"), TL_NOT_FOUND, "there is no data set", "nowhere");
    made_refused(*state, TL_INVALID, "has no images", "train/CLASS");
    made_put(*state, "text.tar", "words", 5);
    made_refused(made_path(*state, "text.tar"), TL_MALFORMED, "text.tar was cut off", "");
    made_refused("/dev/null", TL_INVALID, "neither a folder nor an archive", "");
}

static void an_archive_is_refused_wherever_it_is_cut(void **state)
{
    TL_AUTO(tl_buf) tar = {0};
    made_tar_jpeg(&tar, "train/cat/1.jpg", 1);
    made_tar_jpeg(&tar, "test/cat/1.jpg", 1);
    const size_t whole = tar.len + 512;
    made_tar_end(&tar);
    for (size_t n = 0; n < whole; n += n < 1024 ? 1 : 37) {
        struct img_set *set = NULL;
        struct tl_err err = {0};
        uint8_t *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, tar.data, n);
        assert_int_equal(set_from_memory(copy, n, NULL, &set, &err), TL_MALFORMED);
        assert_non_null(strstr(err.text, "memory"));
        assert_null(set);
        free(copy);
    }
    made_put_gz(*state, "x.tar.gz", tar.data, tar.len);
    TL_AUTO(tl_buf) packed = {0};
    assert_int_equal(tl_file_read(made_path(*state, "x.tar.gz"), &packed, NULL), TL_OK);
    for (size_t n = packed.len - 9; n > 20; n -= 19) {
        made_put(*state, "cut.tar.gz", packed.data, n);
        made_refused(made_path(*state, "cut.tar.gz"), TL_MALFORMED, "cut.tar.gz", "cut off");
    }
}

static void a_member_that_lies_about_its_size_is_refused(void **state)
{
    TL_AUTO(tl_buf) tar = {0};
    (void)made_tar_lying(&tar, "train/cat/1.jpg", '0', "12345", 5, 6000);
    made_tar_end(&tar);
    refuse_tar(*state, &tar, TL_MALFORMED, "train/cat/1.jpg: says that it has 6000 bytes",
               "the archive ends after 1536");
    (void)made_tar_lying(&tar, "train/cat/1.jpg", '0', "12345", 5, 4ULL << 30);
    made_tar_end(&tar);
    made_put(*state, "x.tar", tar.data, tar.len);
    made_refused(made_path(*state, "x.tar"), TL_MALFORMED, "train/cat/1.jpg: says that it has 4294967296 bytes", "");
    made_put_gz(*state, "x.tar.gz", tar.data, tar.len);
    made_refused(made_path(*state, "x.tar.gz"), TL_TOO_LARGE, "train/cat/1.jpg: 4294967296 bytes", "67108864");
    tl_buf_clear(&tar);
    const size_t at = made_tar_lying(&tar, "train/cat/1.jpg", '0', "", 0, 0);
    memcpy(tar.data + at + 124, "0000x000000", 11);
    made_tar_sum(&tar, at);
    refuse_tar(*state, &tar, TL_MALFORMED, "byte 0", "size is no number");
    (void)made_tar_lying(&tar, "train/cat/1.jpg", '0', "", 0, 0);
    memset(tar.data + 124, 0xff, 12);
    made_tar_sum(&tar, 0);
    refuse_tar(*state, &tar, TL_MALFORMED, "byte 0", "size is no number");
    made_tar(&tar, "x", 'x', "16 size=99999999\n", 17);
    refuse_tar(*state, &tar, TL_MALFORMED, "byte ", "pax header is broken");
    made_tar(&tar, "x", 'x', "99 path=a\n", 10);
    refuse_tar(*state, &tar, TL_MALFORMED, "byte ", "pax header is broken");
    made_tar(&tar, "x", 'x', "13 size=none\n", 13);
    refuse_tar(*state, &tar, TL_MALFORMED, "byte ", "no number for a size");
    (void)made_tar_lying(&tar, "x", 'L', "name", 4, 1 << 20);
    refuse_tar(*state, &tar, TL_MALFORMED, "byte ", "a name of this length");
}

static void a_header_whose_sum_is_wrong_is_refused(void **state)
{
    TL_AUTO(tl_buf) tar = {0};
    made_tar_jpeg(&tar, "train/cat/1.jpg", 1);
    const size_t at = tar.len;
    made_tar_jpeg(&tar, "train/cat/2.jpg", 1);
    made_tar_end(&tar);
    tar.data[at + 3]++;
    char byte[32];
    (void)snprintf(byte, sizeof byte, "byte %zu: ", at);
    refuse_tar(*state, &tar, TL_MALFORMED, byte, "this is no header of a tar");
}

static void paths_that_leave_the_archive_and_links_are_refused(void **state)
{
    TL_AUTO(tl_buf) tar = {0};
    made_tar_jpeg(&tar, "train/../../etc/1.jpg", 1);
    refuse_tar(*state, &tar, TL_INVALID, "train/../../etc/1.jpg", "must not have ..");
    made_tar_jpeg(&tar, "/etc/1.jpg", 1);
    refuse_tar(*state, &tar, TL_INVALID, "/etc/1.jpg", "must not begin with /");
    made_tar_jpeg(&tar, "train/a\nb/1.jpg", 1);
    refuse_tar(*state, &tar, TL_MALFORMED, "byte 0", "control characters");
    made_tar(&tar, "train/cat/1.jpg", '2', "", 0);
    refuse_tar(*state, &tar, TL_INVALID, "train/cat/1.jpg: is a link", "--dereference");
    made_tar(&tar, "train/cat/1.jpg", 'S', "", 0);
    refuse_tar(*state, &tar, TL_INVALID, "train/cat/1.jpg: is a sparse file", "");
    made_tar(&tar, "train", '5', "data", 4);
    refuse_tar(*state, &tar, TL_INVALID, "train: has 4 bytes, and is no file", "");
    made_tar_jpeg(&tar, "train/cat/1.jpg", 1);
    made_tar_jpeg(&tar, "train/./cat//1.jpg", 1);
    made_tar_end(&tar);
    refuse_tar(*state, &tar, TL_INVALID, "train/cat/1.jpg: this name is there twice", "");
}

static void limits_are_named(void **state)
{
    const struct img_opts few = {.images_max = 3}, small = {.archive_max = 4096}, all = {.held_out = 1};
    TL_AUTO(tl_buf) tar = {0};
    struct img_set *set = NULL;
    struct tl_err err = {0};
    made_tar_small(&tar);
    made_put(*state, "x.tar", tar.data, tar.len);
    made_put_gz(*state, "x.tar.gz", tar.data, tar.len);
    assert_int_equal(img_open(made_path(*state, "x.tar"), &few, &set, &err), TL_TOO_LARGE);
    assert_non_null(strstr(err.text, "more than 3 images"));
    err = (struct tl_err){0};
    assert_int_equal(img_open(made_path(*state, "x.tar.gz"), &small, &set, &err), TL_TOO_LARGE);
    assert_non_null(strstr(err.text, "unpacks to more than 4096 bytes; unpack it first"));
    err = (struct tl_err){0};
    assert_int_equal(img_open(made_path(*state, "x.tar.gz"), &all, &set, &err), TL_INVALID);
    assert_non_null(strstr(err.text, "held_out"));
    assert_null(set);
}

/* ---- idx ----------------------------------------------------------------------------------------------------- */

static void put_idx(const char *folder, const char *name, uint32_t n, uint32_t h, uint32_t w)
{
    TL_AUTO(tl_buf) buf = {0};
    made_idx(&buf, n, h, w);
    made_put(folder, name, buf.data, buf.len);
}

static void put_good_idx(const char *folder)
{
    put_idx(folder, "train-images-idx3-ubyte", 20, 3, 3);
    put_idx(folder, "train-labels-idx1-ubyte", 20, 0, 0);
    put_idx(folder, "t10k-images-idx3-ubyte", 10, 3, 3);
    put_idx(folder, "t10k-labels-idx1-ubyte", 10, 0, 0);
}

static void idx_files_that_do_not_agree_are_refused(void **state)
{
    put_good_idx(*state);
    img_close(made_open(*state));
    put_idx(*state, "train-labels-idx1-ubyte", 19, 0, 0);
    made_refused(*state, TL_INVALID, "train-images-idx3-ubyte: has 20 images", "train-labels-idx1-ubyte has 19 labels");
    put_good_idx(*state);
    put_idx(*state, "t10k-images-idx3-ubyte", 10, 3, 4);
    made_refused(*state, TL_INVALID, "t10k-images-idx3-ubyte: its images are 3 x 4", "3 x 3");
    put_good_idx(*state);
    put_idx(*state, "t10k-images-idx3-ubyte", 9, 3, 3);
    put_idx(*state, "t10k-labels-idx1-ubyte", 9, 0, 0);
    made_refused(*state, TL_INVALID, "labels to train on go to 9", "those to test with to 8");
    put_good_idx(*state);
    put_idx(*state, "t10k-labels-idx1-ubyte.gz", 10, 0, 0);
    made_refused(*state, TL_INVALID, "t10k-labels-idx1-ubyte and t10k-labels-idx1-ubyte.gz", "keep one");
    assert_int_equal(unlink(made_path(*state, "t10k-labels-idx1-ubyte.gz")), 0);
    assert_int_equal(unlink(made_path(*state, "t10k-labels-idx1-ubyte")), 0);
    made_refused(*state, TL_INVALID, "has idx files, but no t10k-labels-idx1-ubyte", "");
}

static void an_idx_file_that_lies_is_refused(void **state)
{
    static const struct {
        size_t at;
        const char *bytes;
        enum tl_rc rc;
        const char *word;
    } lies[] = {
        {0, "\x01", TL_MALFORMED, "is no idx file of images"},
        {3, "\x01", TL_MALFORMED, "is no idx file of images"},
        {7, "\x13", TL_MALFORMED, "has 196 bytes, and 19 images need 187"},
        {4, "\xff", TL_TOO_LARGE, "4278190100 images; at most 4194304"},
        {11, "\x04", TL_MALFORMED, "need 256"},
        {8, "\x7f", TL_INVALID, "a side is 1 to 8192"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(lies); i++) {
        TL_AUTO(tl_buf) buf = {0};
        put_good_idx(*state);
        made_idx(&buf, 20, 3, 3);
        memcpy(buf.data + lies[i].at, lies[i].bytes, 1);
        made_put(*state, "train-images-idx3-ubyte", buf.data, buf.len);
        made_refused(*state, lies[i].rc, "train-images-idx3-ubyte: ", lies[i].word);
    }
    TL_AUTO(tl_buf) buf = {0};
    made_idx(&buf, 20, 3, 3);
    for (size_t n = 0; n < buf.len; n++) {
        made_put(*state, "train-images-idx3-ubyte", buf.data, n);
        made_refused(*state, TL_MALFORMED, "train-images-idx3-ubyte: ", "");
    }
    assert_int_equal(unlink(made_path(*state, "train-images-idx3-ubyte")), 0);
    made_put(*state, "train-images-idx3-ubyte.gz", "\x1f\x8bnot gzip", 10);
    made_refused(*state, TL_MALFORMED, "train-images-idx3-ubyte.gz: cannot be unpacked", "damaged");
}

/* ---- CIFAR-10 ------------------------------------------------------------------------------------------------- */

static void cifar_files_that_lie_are_refused(void **state)
{
    TL_AUTO(tl_buf) records = {0};
    made_cifar(&records, 3);
    made_put(*state, "data_batch_1.bin", records.data, records.len);
    made_refused(*state, TL_INVALID, "has no test_batch.bin", "");
    made_put(*state, "test_batch.bin", records.data, records.len);
    made_refused(*state, TL_INVALID, "has no data_batch_2.bin", "");
    made_put(*state, "test_batch.bin", records.data, records.len - 1);
    made_refused(*state, TL_MALFORMED, "test_batch.bin: has 9218 bytes", "3073");
    records.data[3073] = 10;
    made_put(*state, "test_batch.bin", records.data, records.len);
    made_refused(*state, TL_INVALID, "test_batch.bin: record 1 has label 10", "0 to 9");
}

/* ---- class folders --------------------------------------------------------------------------------------------- */

static void refuse_names(const char *folder, const char *const *names, const char *word, const char *word2)
{
    TL_AUTO(tl_buf) tar = {0};
    for (size_t i = 0; names[i]; i++) {
        made_tar_jpeg(&tar, names[i], 1);
    }
    made_tar_end(&tar);
    refuse_tar(folder, &tar, TL_INVALID, word, word2);
}

static void class_folders_that_do_not_agree_are_refused(void **state)
{
    static const char *const missing[] = {"train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg", NULL};
    static const char *const extra[] = {"train/a/1.jpg", "val/a/1.jpg", "val/b/1.jpg", NULL};
    static const char *const other[] = {"train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/c/1.jpg", NULL};
    static const char *const no_train[] = {"test/a/1.jpg", NULL};
    static const char *const bare[] = {"train/a/1.jpg", "train/1.jpg", NULL};
    static const char *const only_splits[] = {"train/1.jpg", "test/1.jpg", NULL};
    static const char *const alone[] = {"1.jpg", NULL};
    static const char *const two[] = {"x/train/a/1.jpg", "y/train/a/1.jpg", NULL};
    static const char *const mixed[] = {"train/a/1.jpg", "data_batch_1.bin", NULL};
    refuse_names(*state, missing, "2 classes to train on and 1 to test with", "class b is only in the train split");
    refuse_names(*state, extra, "1 classes to train on and 2 to test with", "class b is only in the test split");
    refuse_names(*state, other, "2 classes to train on and 2 to test with", "class b is only in the train split");
    refuse_names(*state, no_train, "has a folder test with classes, but no folder train", "");
    refuse_names(*state, bare, "train/1.jpg: lies in no class folder", "train/CLASS");
    refuse_names(*state, only_splits, "test/1.jpg: lies in no class folder", "train/CLASS");
    refuse_names(*state, alone, "1.jpg: lies in no class folder", "");
    refuse_names(*state, two, "more than one data set", "y/train/a/1.jpg");
    refuse_names(*state, mixed, "more than one data set", "data_batch_1.bin");
}

static void an_image_that_does_not_decode_is_named_whatever_the_threads(void **state)
{
    TL_AUTO(tl_buf) tar = {0};
    TL_AUTO(tl_buf) jpeg = {0};
    struct tl_pool *pool = NULL;
    float mean[3], std[3];
    made_jpeg(&jpeg, 16, 16, 1);
    for (unsigned i = 0; i < 200; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "train/a/%03u.jpg", i);
        made_tar(&tar, name, '0', jpeg.data, i == 77 || i == 78 || i == 150 ? jpeg.len / 2 : jpeg.len);
    }
    made_tar_end(&tar);
    made_put(*state, "x.tar", tar.data, tar.len);
    const struct img_opts opts = {.held_out = 500};
    struct img_set *set = NULL;
    assert_int_equal(img_open(made_path(*state, "x.tar"), &opts, &set, NULL), TL_OK);
    assert_int_equal(tl_pool_new(&pool, 4, NULL), TL_OK);
    for (unsigned i = 0; i < 20; i++) {
        struct tl_err err = {0};
        assert_int_equal(img_cache(set, 16, 0, i % 2 ? pool : NULL, NULL, NULL, &err), TL_INVALID);
        assert_non_null(strstr(err.text, "x.tar: train/a/077.jpg: is a JPEG that cannot be read"));
        err = (struct tl_err){0};
        assert_int_equal(img_measure(set, 0, i % 2 ? pool : NULL, mean, std, &err), TL_INVALID);
        assert_non_null(strstr(err.text, "train/a/077.jpg"));
    }
    tl_pool_free(pool);
    img_close(set);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_path_that_is_none_or_nothing_is_refused),
        IN_FOLDER(an_archive_is_refused_wherever_it_is_cut),
        IN_FOLDER(a_member_that_lies_about_its_size_is_refused),
        IN_FOLDER(a_header_whose_sum_is_wrong_is_refused),
        IN_FOLDER(paths_that_leave_the_archive_and_links_are_refused),
        IN_FOLDER(limits_are_named),
        IN_FOLDER(idx_files_that_do_not_agree_are_refused),
        IN_FOLDER(an_idx_file_that_lies_is_refused),
        IN_FOLDER(cifar_files_that_lie_are_refused),
        IN_FOLDER(class_folders_that_do_not_agree_are_refused),
        IN_FOLDER(an_image_that_does_not_decode_is_named_whatever_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
