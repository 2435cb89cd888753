/* JPEG and PNG of every kind become three channels; what does not decode is named. */
#include "made.h"
#include "supernet/train/data/parts.h"

static const struct catalogue nowhere = {.path = (char[]){"set"}, .place = IN_FOLDER};

static enum tl_rc decode(const struct tl_buf *file, struct img_pixels *pixels, struct tl_err *err)
{
    /* a heap copy of exactly this size, so that the address sanitizer sees a read beyond it */
    uint8_t *copy = malloc(file->len ? file->len : 1);
    assert_non_null(copy);
    memcpy(copy, file->data ? file->data : "", file->len);
    const enum tl_rc rc = file_decode(copy, file->len, &nowhere, "a/1", pixels, err);
    free(copy);
    return rc;
}

static void refuse(const struct tl_buf *file, const char *word)
{
    struct img_pixels pixels = {0};
    struct tl_err err = {0};
    const enum tl_rc rc = decode(file, &pixels, &err);
    if (rc != TL_INVALID || !strstr(err.text, word) || strncmp(err.text, "set/a/1: ", 9) != 0) {
        fail_msg("wanted %s; got %s: %s", word, tl_rc_title(rc), err.text);
    }
    img_pixels_done(&pixels);
}

static void near(uint8_t a, int b, int by)
{
    if (abs(a - b) > by) {
        fail_msg("%d is not within %d of %d", a, by, b);
    }
}

static void a_jpeg_has_the_pixels_that_went_in(void **state)
{
    for (int components = 1; components <= 4; components += components == 1 ? 2 : 1) {
        TL_AUTO(tl_buf) file = {0};
        struct img_pixels pixels = {0};
        uint8_t want[48 * 40 * 3];
        (void)state;
        made_jpeg_of(&file, 48, 40, 3, components);
        made_pixels(want, 48, 40, 3);
        assert_int_equal(decode(&file, &pixels, NULL), TL_OK);
        assert_int_equal(pixels.h, 48);
        assert_int_equal(pixels.w, 40);
        for (size_t i = 0; i < TL_COUNT_OF(want); i += 3) {
            near(pixels.data[i], components == 3 ? want[i] : want[i + 1], 12);
            near(pixels.data[i + 1], components == 4 ? 255 : want[i + 1], 12);
            near(pixels.data[i + 2], components == 4 ? 255 : components == 1 ? want[i + 1] : want[i + 2], 12);
        }
        img_pixels_done(&pixels);
    }
}

static void a_png_has_the_pixels_that_went_in(void **state)
{
    static const uint8_t rgba[] = {10, 20, 30, 255, 1, 2, 3, 0};
    static const uint8_t grey[] = {7, 200};
    TL_AUTO(tl_buf) with_alpha = {0};
    TL_AUTO(tl_buf) in_grey = {0};
    TL_AUTO(tl_buf) colour = {0};
    struct img_pixels pixels = {0};
    uint8_t want[5 * 4 * 3];
    (void)state;
    made_png_of(&with_alpha, 1, 2, PNG_FORMAT_RGBA, rgba);
    made_png_of(&in_grey, 2, 1, PNG_FORMAT_GRAY, grey);
    made_png(&colour, 5, 4, 2);
    made_pixels(want, 5, 4, 2);
    assert_int_equal(decode(&colour, &pixels, NULL), TL_OK);
    assert_memory_equal(pixels.data, want, sizeof want);
    assert_int_equal(decode(&with_alpha, &pixels, NULL), TL_OK);
    assert_memory_equal(pixels.data, "\x0a\x14\x1e\xff\xff\xff", 6); /* on white */
    assert_int_equal(decode(&in_grey, &pixels, NULL), TL_OK);
    assert_int_equal(pixels.h, 2);
    assert_memory_equal(pixels.data, "\x07\x07\x07\xc8\xc8\xc8", 6);
    img_pixels_done(&pixels);
}

static void an_image_that_was_cut_off_is_refused_wherever_it_was_cut(void **state)
{
    for (int png = 0; png < 2; png++) {
        TL_AUTO(tl_buf) file = {0};
        (void)state;
        if (png) {
            made_png(&file, 24, 24, 1);
        } else {
            made_jpeg(&file, 24, 24, 1);
        }
        /* of a PNG, the last 12 bytes only say that it ends */
        for (size_t n = file.len - (png ? 13 : 3); n > 0; n--) {
            file.len = n;
            refuse(&file, "is ");
        }
        file.len = 0;
        refuse(&file, "it is empty");
    }
}

static void a_damaged_jpeg_that_is_whole_is_taken(void **state)
{
    TL_AUTO(tl_buf) file = {0};
    TL_AUTO(tl_buf) with_rest = {0};
    struct img_pixels pixels = {0};
    (void)state;
    made_jpeg(&file, 64, 64, 1);
    made_add(&with_rest, file.data, 2);
    made_add(&with_rest, "\0\0\0", 3); /* bytes between segments: a warning */
    made_add(&with_rest, file.data + 2, file.len - 2);
    made_add(&with_rest, "rest", 4);
    assert_int_equal(decode(&with_rest, &pixels, NULL), TL_OK);
    img_pixels_done(&pixels);
}

/* A PNG's header that says these sizes, its sum right, and nothing behind it. */
static void bomb(struct tl_buf *file, uint32_t w, uint32_t h)
{
    made_add(file, "\x89PNG\r\n\x1a\n", 8);
    made_add_u32(file, 13);
    made_add(file, "IHDR", 4);
    made_add_u32(file, w);
    made_add_u32(file, h);
    made_add(file, "\x08\x02\0\0\0", 5);
    made_add_u32(file, (uint32_t)crc32(0, (const uint8_t *)file->data + 12, 17));
    made_add_u32(file, 0);
    made_add(file, "IDAT", 4);
    made_add_u32(file, (uint32_t)crc32(0, (const uint8_t *)"IDAT", 4));
}

static void sizes_are_refused_before_memory_is_taken(void **state)
{
    TL_AUTO(tl_buf) huge = {0};
    TL_AUTO(tl_buf) large = {0};
    TL_AUTO(tl_buf) jpeg = {0};
    struct img_pixels pixels = {0};
    (void)state;
    bomb(&huge, 60000, 60000);
    refuse(&huge, "is 60000 x 60000 pixels; a side is 1 to 8192");
    bomb(&large, 8192, 8192);
    refuse(&large, "bytes are 8192 x 8192 pixels");
    made_jpeg(&jpeg, 8, 8, 0);
    for (size_t i = 0; i + 9 < jpeg.len; i++) {
        if (memcmp(jpeg.data + i, "\xff\xc0", 2) == 0) {
            memcpy(jpeg.data + i + 5, "\x1f\xff\x20\x00", 4);
        }
    }
    refuse(&jpeg, "bytes are 8192 x 8191 pixels");
    assert_null(pixels.data);
}

static void what_is_no_image_is_refused(void **state)
{
    TL_AUTO(tl_buf) file = {0};
    (void)state;
    made_add(&file, "GIF89a......", 12);
    refuse(&file, "is neither a JPEG nor a PNG");
}

/* Where `word` is first found; NULL: nowhere. */
static const char *found(const char *bytes, size_t n, const char *word)
{
    const size_t word_n = strlen(word);
    for (size_t i = 0; i + word_n <= n; i++) {
        if (memcmp(bytes + i, word, word_n) == 0) {
            return bytes + i;
        }
    }
    return NULL;
}

static void a_jpeg_of_too_many_scans_is_refused(void **state)
{
    TL_AUTO(tl_buf) file = {0};
    TL_AUTO(tl_buf) many = {.max = 4 << 20};
    struct jpeg_compress_struct jpeg = {0};
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    uint8_t row[64] = {0};
    JSAMPROW rows = row;
    (void)state;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &n);
    jpeg.image_height = 64;
    jpeg.image_width = 64;
    jpeg.input_components = 1;
    jpeg.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < 64; y++) {
        (void)jpeg_write_scanlines(&jpeg, &rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    made_add(&file, bytes, n);
    free(bytes);
    /* the first scan, again and again */
    const char *scan = found(file.data, file.len, "\xff\xda");
    assert_non_null(scan);
    const size_t at = (size_t)(scan - file.data);
    const char *next = found(scan + 2, file.len - at - 2, "\xff");
    assert_non_null(next);
    made_add(&many, file.data, at);
    for (int i = 0; i < 1000; i++) {
        made_add(&many, scan, (size_t)(next - scan));
    }
    made_add(&many, "\xff\xd9", 2);
    refuse(&many, "too many scans");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jpeg_has_the_pixels_that_went_in),
        cmocka_unit_test(a_png_has_the_pixels_that_went_in),
        cmocka_unit_test(an_image_that_was_cut_off_is_refused_wherever_it_was_cut),
        cmocka_unit_test(a_damaged_jpeg_that_is_whole_is_taken),
        cmocka_unit_test(sizes_are_refused_before_memory_is_taken),
        cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(a_jpeg_of_too_many_scans_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
