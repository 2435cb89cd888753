#include "fixture.h"

static const char BLOB_TEXT[] = "weights";

/* A store's folder with one blob, for the bare connection to look into. */
struct scene {
    struct folder folder;
    struct store_tx *tx;
    char hash[TL_HASH_TEXT];
};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    void *tx = NULL;
    bare_setup(&tx);
    scene->tx = tx;
    folder_make(&scene->folder);
    scene->tx->dir = scene->folder.path;
    struct store store = {.dir = scene->folder.path};
    char blobs[512];
    path_in(store.dir, "blobs", blobs);
    assert_ok(tl_dir_make(blobs, &err));
    struct tl_hash hash;
    assert_ok(store_blob_put(&store, BLOB_TEXT, sizeof BLOB_TEXT, &hash, &err));
    tl_hash_format(&hash, scene->hash);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    void *tx = scene->tx;
    bare_teardown(&tx);
    folder_remove(scene->folder.path);
    free(scene);
    return 0;
}

static void publish(struct scene *scene, const char *kind, const char *device, const char *info)
{
    const struct store_model model = {.kind = kind,
                                      .space = "ofa",
                                      .device = device,
                                      .hash = scene->hash,
                                      .created_ns = 3,
                                      .info = {info, strlen(info)}};
    assert_ok(store_model_put(scene->tx, &model, &err));
}

static enum tl_rc see_info(void *ctx, const struct store_model *model, struct tl_err *err)
{
    char info[16] = {0};
    assert_true(model->info.n < sizeof info);
    memcpy(info, model->info.data, model->info.n);
    assert_string_equal(model->space, "ofa");
    assert_int_equal(model->created_ns, 3);
    return see(ctx, info, err);
}

static void the_current_model_is_the_newest_of_its_kind_space_and_device(void **state)
{
    struct scene *scene = *state;
    publish(scene, "latency", "pi", "l1");
    publish(scene, "latency", "pi", "l2");
    publish(scene, "latency", "tpu", "t1");
    publish(scene, "accuracy", "", "a1");
    struct seen seen = {0};
    assert_ok(store_model_current(scene->tx, "latency", "ofa", "pi", see_info, &seen, &err));
    assert_ok(store_model_current(scene->tx, "accuracy", "ofa", "", see_info, &seen, &err));
    assert_string_equal(seen.ids, "l2 a1 ");
    assert_fails(TL_NOT_FOUND, store_model_current(scene->tx, "latency", "other", "pi", see_info, &seen, &err));
}

static void models_are_listed_oldest_first(void **state)
{
    struct scene *scene = *state;
    publish(scene, "latency", "pi", "l1");
    publish(scene, "latency", "pi", "l2");
    publish(scene, "accuracy", "", "a1");
    struct seen seen = {0};
    assert_ok(store_model_list(scene->tx, (struct store_page){1, 1000}, see_info, &seen, &err));
    assert_string_equal(seen.ids, "l2 a1 ");
}

static void a_model_without_its_blob_is_not_published(void **state)
{
    struct scene *scene = *state;
    struct store_model model = {.kind = "latency", .space = "ofa", .hash = "0123456789abcdef0123456789abcdef"};
    assert_fails(TL_NOT_FOUND, store_model_put(scene->tx, &model, &err));
    model.hash = "../tailor.db";
    assert_fails(TL_INVALID, store_model_put(scene->tx, &model, &err));
    struct seen seen = {0};
    assert_ok(store_model_list(scene->tx, ALL_ROWS, see_info, &seen, &err));
    assert_int_equal(seen.n, 0);
}

static enum tl_rc is_first(void *ctx, const char *name, struct store_bytes bytes, struct tl_err *err)
{
    (void)err;
    (*(int *)ctx)++;
    assert_string_equal(name, "h1");
    assert_int_equal(bytes.n, 5);
    assert_memory_equal(bytes.data, "first", 5);
    return TL_OK;
}

static void a_snapshot_never_changes(void **state)
{
    struct scene *scene = *state;
    int n = 0;
    assert_fails(TL_NOT_FOUND, store_snapshot_get(scene->tx, "h1", is_first, &n, &err));
    assert_ok(store_snapshot_put(scene->tx, "h1", BYTES("first"), &err));
    assert_ok(store_snapshot_put(scene->tx, "h1", BYTES("first"), &err));
    assert_ok(store_snapshot_get(scene->tx, "h1", is_first, &n, &err));
    assert_int_equal(n, 1);
}

#define scene_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(the_current_model_is_the_newest_of_its_kind_space_and_device),
        scene_test(models_are_listed_oldest_first),
        scene_test(a_model_without_its_blob_is_not_published),
        scene_test(a_snapshot_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
