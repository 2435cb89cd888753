/* No memory, at every place where it can run out: a sentence, and nothing is lost. */
#include "alloc_fail.h"
#include "made.h"

static const struct img_spec spec = {.seed = 1,
                                     .n = 3,
                                     .shuffle = true,
                                     .view = IMG_VIEW_RESIZED_CROP,
                                     .n_ops = 2,
                                     .magnitude = 0.5,
                                     .resolution = 6,
                                     .std = {1, 1, 1}};

static enum tl_rc a_set_is_opened(void *ctx, struct tl_err *err)
{
    struct img_set *set = NULL;
    const enum tl_rc rc = img_open(ctx, NULL, &set, err);
    assert_true(rc == TL_OK || !set);
    img_close(set);
    return rc;
}

static struct img_set *opened; /* what batches are made from */

static enum tl_rc batches_are_made(void *ctx, struct tl_err *err)
{
    const unsigned *n_ahead = ctx;
    struct img_batches *batches = NULL;
    struct img_prefetch *prefetch = NULL;
    const struct img_batch *batch = NULL;
    enum tl_rc rc = img_batches_new(opened, &spec, NULL, &batches, err);
    rc = rc ? rc : img_prefetch_new(batches, 0, 0, *n_ahead, &prefetch, err);
    for (unsigned i = 0; !rc && i < 2; i++) {
        rc = img_prefetch_next(prefetch, &batch, err);
    }
    img_prefetch_free(prefetch);
    img_batches_free(batches);
    return rc;
}

static enum tl_rc a_set_is_cached_and_measured(void *ctx, struct tl_err *err)
{
    struct img_set *set = NULL;
    struct tl_pool *pool = NULL;
    float mean[3], std[3];
    enum tl_rc rc = img_open(ctx, NULL, &set, err);
    rc = rc ? rc : tl_pool_new(&pool, 2, err);
    rc = rc ? rc : img_cache(set, 40, 0, pool, NULL, NULL, err);
    rc = rc ? rc : img_measure(set, 0, pool, mean, std, err);
    img_close(set);
    tl_pool_free(pool);
    return rc;
}

static void put_all(const char *folder)
{
    TL_AUTO(tl_buf) tar = {0};
    TL_AUTO(tl_buf) images = {0};
    TL_AUTO(tl_buf) labels = {0};
    TL_AUTO(tl_buf) records = {0};
    TL_AUTO(tl_buf) jpeg = {0};
    made_tar_small(&tar);
    made_put(folder, "s.tar", tar.data, tar.len);
    made_put_gz(folder, "s.tar.gz", tar.data, tar.len);
    made_idx(&images, 20, 3, 3);
    made_idx(&labels, 20, 0, 0);
    made_put(folder, "idx/train-images-idx3-ubyte", images.data, images.len);
    made_put_gz(folder, "idx/train-labels-idx1-ubyte.gz", labels.data, labels.len);
    made_put_gz(folder, "idx/t10k-images-idx3-ubyte.gz", images.data, images.len);
    made_put(folder, "idx/t10k-labels-idx1-ubyte", labels.data, labels.len);
    made_cifar(&records, 2);
    for (unsigned i = 1; i <= 5; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "cifar/data_batch_%u.bin", i);
        made_put(folder, name, records.data, records.len);
    }
    made_put(folder, "cifar/test_batch.bin", records.data, records.len);
    made_put(folder, "cifar/batches.meta.txt", "a\nb\n", 4);
    made_jpeg(&jpeg, 8, 8, 1);
    made_put(folder, "classes/cat/1.jpg", jpeg.data, jpeg.len);
    made_put(folder, "classes/cat/2.jpg", jpeg.data, jpeg.len);
}

static void without_memory_nothing_is_opened_made_or_lost(void **state)
{
    static const char *const names[] = {"s.tar", "s.tar.gz", "idx", "cifar", "classes"};
    put_all(*state);
    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        char path[FOLDER_PATH_MAX];
        (void)snprintf(path, sizeof path, "%s", made_path(*state, names[i]));
        alloc_fail_each(a_set_is_opened, path);
        alloc_fail_each(a_set_is_cached_and_measured, path);
    }
    opened = made_open(made_path(*state, "s.tar"));
    for (unsigned n_ahead = 0; n_ahead < 3; n_ahead += 2) {
        unsigned ahead = n_ahead;
        alloc_fail_each(batches_are_made, &ahead);
    }
    img_close(opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_opened_made_or_lost, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
