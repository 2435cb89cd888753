/* safetensors: good files open, and a file with anything wrong does not. */
#include "alloc_fail.h"
#include "data.h"
#include "supernet/files/files.h"

#include <stdlib.h>
#include <string.h>

/* A file of header text and buffer. */
struct image {
    uint8_t bytes[2048];
    size_t n;
};

static struct image image_of(const char *header, size_t buffer_n)
{
    struct image image = {.n = 8 + strlen(header) + buffer_n};
    assert_true(image.n <= sizeof image.bytes);
    image.bytes[0] = (uint8_t)strlen(header);
    image.bytes[1] = (uint8_t)(strlen(header) >> 8);
    memcpy(image.bytes + 8, header, strlen(header));
    for (size_t i = 0; i < buffer_n; i++) {
        image.bytes[8 + strlen(header) + i] = (uint8_t)i;
    }
    return image;
}

/* b comes first in the buffer, a first in the header; z is empty. */
static const char good_header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                  "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[6,14]},"
                                  "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[0,6]},"
                                  "\"z\":{\"dtype\":\"I64\",\"shape\":[4,0],\"data_offsets\":[14,14]},"
                                  "\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[14,15]}}   ";

static void a_good_file_gives_its_tensors_in_buffer_order(void **state)
{
    (void)state;
    const struct image image = image_of(good_header, 15);
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    assert_int_equal(st_open(image.bytes, image.n, &file, &err), TL_OK);
    assert_int_equal(st_count(file), 4);
    assert_string_equal(st_at(file, 0)->name, "b");
    assert_string_equal(st_at(file, 0)->dtype, "F16");
    assert_int_equal(st_at(file, 0)->n_bytes, 6);
    assert_string_equal(st_at(file, 1)->name, "a");
    assert_int_equal(st_at(file, 1)->rank, 2);
    assert_int_equal(st_at(file, 1)->shape[0], 2);
    assert_int_equal(*(const uint8_t *)st_at(file, 1)->data, 6);
    assert_string_equal(st_at(file, 2)->name, "z");
    assert_int_equal(st_at(file, 3)->rank, 0);
    st_free(file);
}

static void a_tensor_is_found_by_name_and_exact_shape(void **state)
{
    (void)state;
    const struct image image = image_of(good_header, 15);
    const size_t shape[] = {2, 1};
    const size_t other[] = {1, 2};
    const struct st_tensor *tensor = NULL;
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    assert_int_equal(st_open(image.bytes, image.n, &file, NULL), TL_OK);
    assert_int_equal(st_find_f32(file, "a", 2, shape, &tensor, &err), TL_OK);
    assert_ptr_equal(tensor, st_at(file, 1));
    assert_int_equal(st_find_f32(file, "a", 2, other, &tensor, &err), TL_INVALID);
    assert_string_equal(err.text, "tensor a is F32[2,1], not F32[1,2]");
    err = (struct tl_err){0};
    assert_int_equal(st_find_f32(file, "b", 1, shape, &tensor, &err), TL_INVALID);
    assert_string_equal(err.text, "tensor b is F16[3], not F32[2]");
    err = (struct tl_err){0};
    assert_int_equal(st_find(file, "c", &tensor, &err), TL_NOT_FOUND);
    assert_string_equal(err.text, "the file has no tensor c");
    st_free(file);
}

static void an_empty_file_of_tensors_is_good(void **state)
{
    (void)state;
    const struct image image = image_of("{}", 0);
    struct safetensors *file = NULL;
    assert_int_equal(st_open(image.bytes, image.n, &file, NULL), TL_OK);
    assert_int_equal(st_count(file), 0);
    st_free(file);
    st_free(NULL);
}

static void refuse_image(const struct image *image, enum tl_rc rc, const char *word)
{
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    /* a heap copy of exactly this size, so that the address sanitizer sees a read beyond it */
    uint8_t *copy = malloc(image->n ? image->n : 1);
    assert_non_null(copy);
    memcpy(copy, image->bytes, image->n);
    const enum tl_rc got = st_open(copy, image->n, &file, &err);
    free(copy);
    if (got != rc || !strstr(err.text, word)) {
        fail_msg("%.*s: %s", (int)image->n - 8, image->bytes + 8, err.text);
    }
    assert_null(file);
}

static void refuse(const char *header, size_t buffer_n, enum tl_rc rc, const char *word)
{
    const struct image image = image_of(header, buffer_n);
    refuse_image(&image, rc, word);
}

static void a_cut_file_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    struct image image = image_of(good_header, 15);
    while (image.n > 0) {
        image.n--;
        struct safetensors *file = NULL;
        uint8_t *copy = malloc(image.n + 1);
        assert_non_null(copy);
        memcpy(copy, image.bytes, image.n);
        assert_int_equal(st_open(copy, image.n, &file, NULL), TL_MALFORMED);
        free(copy);
    }
}

static void a_header_length_is_not_believed(void **state)
{
    (void)state;
    struct image image = image_of("{}", 0);
    memset(image.bytes, 0xff, 8);
    refuse_image(&image, TL_TOO_LARGE, "18446744073709551615");
    memset(image.bytes, 0, 8);
    image.bytes[0] = 3;
    refuse_image(&image, TL_MALFORMED, "the file ends after 2");
}

#define TENSOR(name, dtype, shape, from, to)                                                                           \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void a_wrong_header_is_refused(void **state)
{
    (void)state;
    refuse("[]", 0, TL_MALFORMED, "object");
    refuse("7", 0, TL_MALFORMED, "object");
    refuse("{\"a\":1}", 0, TL_INVALID, "object");
    refuse("{\"a\":{}}", 0, TL_INVALID, "dtype");
    refuse("{\"__metadata__\":[]}", 0, TL_INVALID, "__metadata__");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, TL_INVALID, "strings");
    refuse("{" TENSOR("a", "F33", "[1]", 0, 4) "}", 4, TL_INVALID, "F32");
    refuse("{" TENSOR("a", "F32", "[1.5]", 0, 4) "}", 4, TL_INVALID, "integer");
    refuse("{" TENSOR("a", "F32", "[-1]", 0, 4) "}", 4, TL_INVALID, "integer");
    refuse("{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, TL_INVALID, "elements");
    refuse("{" TENSOR("a", "F32", "[1]", 0, 4) "," TENSOR("a", "F32", "[1]", 4, 8) "}", 8, TL_MALFORMED, "duplicate");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, TL_INVALID, "more");
    refuse("{\"a\\u0000\":1}", 0, TL_MALFORMED, "");
}

static void tensors_must_fill_the_buffer(void **state)
{
    (void)state;
    refuse("{" TENSOR("a", "F32", "[1]", 0, 4) "}", 5, TL_MALFORMED, "end at byte 4");
    refuse("{" TENSOR("a", "F32", "[1]", 0, 4) "}", 3, TL_MALFORMED, "do not lie");
    refuse("{" TENSOR("a", "F32", "[1]", 1, 5) "}", 5, TL_MALFORMED, "begins at byte 1");
    refuse("{" TENSOR("a", "F32", "[1]", 4, 0) "}", 4, TL_MALFORMED, "do not lie");
    refuse("{" TENSOR("a", "F32", "[1]", 0, 4) "," TENSOR("b", "F32", "[1]", 2, 6) "}", 6, TL_MALFORMED,
           "begins at byte 2");
    refuse("{" TENSOR("a", "F32", "[1]", 0, 4) "," TENSOR("b", "F32", "[1]", 0, 4) "}", 4, TL_MALFORMED,
           "begins at byte 0");
    refuse("{" TENSOR("a", "F32", "[2]", 0, 4) "}", 4, TL_MALFORMED, "shape and type");
    refuse("{" TENSOR("a", "F32", "[4611686018427387904]", 0, 0) "}", 0, TL_MALFORMED, "shape and type"); /* 2^62 x 4 */
    refuse("{" TENSOR("a", "F32", "[0,4611686018427387905]", 0, 4) "}", 4, TL_MALFORMED, "shape and type");
    refuse("{" TENSOR("a", "F32", "[1]", 0, 9223372036854775807) "}", 4, TL_MALFORMED, "do not lie");
}

static void more_tensors_than_the_limit_are_refused(void **state)
{
    (void)state;
    TL_AUTO(tl_buf) text = {0};
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    assert_int_equal(tl_buf_put_u64(&text, 0, NULL), TL_OK);
    for (int i = 0; i <= ST_TENSORS_MAX; i++) {
        assert_int_equal(tl_buf_addf(&text, NULL, "%s\"%d\":0", i ? "," : "{", i), TL_OK);
    }
    assert_int_equal(tl_buf_add(&text, "}", 1, NULL), TL_OK);
    for (size_t i = 0; i < 8; i++) {
        text.data[i] = (char)((text.len - 8) >> (8 * i));
    }
    assert_int_equal(st_open(text.data, text.len, &file, &err), TL_TOO_LARGE);
    assert_non_null(strstr(err.text, "4097"));
}

static enum tl_rc opened(void *ctx, struct tl_err *err)
{
    const struct image *image = ctx;
    struct safetensors *file = NULL;
    const enum tl_rc rc = st_open(image->bytes, image->n, &file, err);
    st_free(file);
    return rc;
}

static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct image image = image_of(good_header, 15);
    assert_true(alloc_fail_each(opened, &image) >= 2);
}

/* Shapes and a first weight of once-for-all's published accuracy predictor. */
static void the_published_accuracy_predictor_opens(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{400, 128}, {400, 400}, {400, 400}, {1, 400}};
    char path[DATA_PATH_MAX];
    TL_AUTO(tl_buf) bytes = {.max = 1 << 22};
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    data_path("ofa_note10/acc_predictor.safetensors", path);
    assert_int_equal(tl_file_read(path, &bytes, &err), TL_OK);
    if (st_open(bytes.data, bytes.len, &file, &err)) {
        fail_msg("%s", err.text);
    }
    size_t n_weights = 0;
    for (size_t i = 0; i < st_count(file); i++) {
        const struct st_tensor *tensor = st_at(file, i);
        const struct st_tensor *found = NULL;
        for (size_t s = 0; s < TL_COUNT_OF(shapes) && !found; s++) {
            (void)!st_find_f32(file, tensor->name, 2, shapes[s], &found, NULL);
        }
        n_weights += found != NULL;
    }
    assert_int_equal(st_count(file), 8);
    assert_int_equal(n_weights, 4);
    st_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_gives_its_tensors_in_buffer_order),
        cmocka_unit_test(a_tensor_is_found_by_name_and_exact_shape),
        cmocka_unit_test(an_empty_file_of_tensors_is_good),
        cmocka_unit_test(a_cut_file_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_header_length_is_not_believed),
        cmocka_unit_test(a_wrong_header_is_refused),
        cmocka_unit_test(tensors_must_fill_the_buffer),
        cmocka_unit_test(more_tensors_than_the_limit_are_refused),
        cmocka_unit_test(opening_survives_every_failed_allocation),
        cmocka_unit_test(the_published_accuracy_predictor_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
