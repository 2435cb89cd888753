#include "fixture.h"

struct scene {
    struct folder folder;
    struct store *store;
};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    folder_make(&scene->folder);
    assert_ok(store_open(scene->folder.path, NULL, &scene->store, &err));
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    store_close(scene->store);
    folder_remove(scene->folder.path);
    free(scene);
    return 0;
}

static void a_blob_comes_back_by_its_hash(void **state)
{
    struct scene *scene = *state;
    struct tl_hash hash;
    struct tl_hash again;
    assert_ok(store_blob_put(scene->store, "a\0b", 3, &hash, &err));
    assert_ok(store_blob_put(scene->store, "a\0b", 3, &again, &err));
    assert_true(tl_hash_equal(&hash, &again));
    TL_AUTO(tl_buf) buf = {0};
    assert_ok(tl_buf_add(&buf, "x", 1, &err));
    assert_ok(store_blob_get(scene->store, &hash, &buf, &err));
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "xa\0b", 4);
}

static void an_empty_blob_is_a_blob(void **state)
{
    struct scene *scene = *state;
    struct tl_hash hash;
    assert_ok(store_blob_put(scene->store, NULL, 0, &hash, &err));
    TL_AUTO(tl_buf) buf = {0};
    assert_ok(store_blob_get(scene->store, &hash, &buf, &err));
    assert_int_equal(buf.len, 0);
}

static void an_unknown_blob_is_not_found(void **state)
{
    struct scene *scene = *state;
    struct tl_hash hash = {0};
    TL_AUTO(tl_buf) buf = {0};
    assert_fails(TL_NOT_FOUND, store_blob_get(scene->store, &hash, &buf, &err));
}

static void a_blob_over_the_limit_of_the_buffer_is_too_large(void **state)
{
    struct scene *scene = *state;
    struct tl_hash hash;
    assert_ok(store_blob_put(scene->store, "0123456789", 10, &hash, &err));
    TL_AUTO(tl_buf) buf = {.max = 9};
    assert_fails(TL_TOO_LARGE, store_blob_get(scene->store, &hash, &buf, &err));
    assert_int_equal(buf.len, 0);
}

static void a_damaged_blob_is_noticed(void **state)
{
    struct scene *scene = *state;
    struct tl_hash hash;
    assert_ok(store_blob_put(scene->store, "0123456789", 10, &hash, &err));
    char text[TL_HASH_TEXT];
    tl_hash_format(&hash, text);
    TL_AUTO(tl_buf) path = {0};
    assert_ok(store_blob_path(store_dir(scene->store), text, &path, &err));
    assert_ok(tl_file_write(path.data, "0123X56789", 10, &err));
    TL_AUTO(tl_buf) buf = {0};
    assert_ok(tl_buf_add(&buf, "before", 6, &err));
    assert_fails(TL_IO, store_blob_get(scene->store, &hash, &buf, &err));
    assert_string_equal(buf.data, "before");
}

#define scene_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(a_blob_comes_back_by_its_hash), scene_test(an_empty_blob_is_a_blob),
        scene_test(an_unknown_blob_is_not_found),  scene_test(a_blob_over_the_limit_of_the_buffer_is_too_large),
        scene_test(a_damaged_blob_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
