/* made.h - data sets as the tests make them: files in a folder, archives in memory, JPEG and PNG. */
#ifndef TAILOR_TESTS_MADE_H
#define TAILOR_TESTS_MADE_H

#include "agent_folder.h"
#include "supernet/train/data/images.h"

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

/* The path of `name` in the folder; one of a few static ones. */
static inline const char *made_path(const char *folder, const char *name)
{
    static char paths[4][FOLDER_PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, FOLDER_PATH_MAX, "%.512s/%.500s", folder, name);
    return path;
}

static inline void made_put(const char *folder, const char *name, const void *bytes, size_t n)
{
    char parent[FOLDER_PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%s", made_path(folder, name));
    *strrchr(parent, '/') = '\0';
    assert_int_equal(tl_dir_make(parent, NULL), TL_OK);
    FILE *file = fopen(made_path(folder, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static inline void made_put_gz(const char *folder, const char *name, const void *bytes, size_t n)
{
    gzFile file = gzopen(made_path(folder, name), "wb1");
    assert_non_null(file);
    assert_int_equal(n ? gzwrite(file, bytes, (unsigned)n) : 0, n);
    assert_int_equal(gzclose(file), Z_OK);
}

static inline void made_add(struct tl_buf *buf, const void *bytes, size_t n)
{
    assert_int_equal(tl_buf_add(buf, bytes, n, NULL), TL_OK);
}

static inline void made_add_u32(struct tl_buf *buf, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    made_add(buf, bytes, 4);
}

/* An idx file of n images of h x w whose pixel i is i % 251, or with h 0 of n labels i % 10. */
static inline void made_idx(struct tl_buf *buf, uint32_t n, uint32_t h, uint32_t w)
{
    made_add_u32(buf, h ? 0x803 : 0x801);
    made_add_u32(buf, n);
    if (h) {
        made_add_u32(buf, h);
        made_add_u32(buf, w);
    }
    for (uint32_t i = 0; i < (h ? n * h * w : n); i++) {
        const uint8_t byte = (uint8_t)(h ? i % 251 : i % 10);
        made_add(buf, &byte, 1);
    }
}

/* n records of CIFAR-10: label i % 10, red i, green 1, blue 2. */
static inline void made_cifar(struct tl_buf *buf, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t record[3073];
        record[0] = (uint8_t)(i % 10);
        memset(record + 1, (int)i, 1024);
        memset(record + 1025, 1, 1024);
        memset(record + 2049, 2, 1024);
        made_add(buf, record, sizeof record);
    }
}

/* Pixels of a made picture: the red says which one it is, and the rest is a slope; nothing that JPEG has to clip. */
static inline void made_pixels(uint8_t *rgb, unsigned h, unsigned w, unsigned which)
{
    for (size_t i = 0; i < (size_t)h * w; i++) {
        rgb[3 * i] = (uint8_t)(64 + which * 8);
        rgb[3 * i + 1] = (uint8_t)(96 + i / w * 64 / h);
        rgb[3 * i + 2] = (uint8_t)(96 + i % w * 64 / w);
    }
}

/* A JPEG at quality 90; components 3 (colour), 1 (the green as grey) or 4 (CMYK without ink but the green as cyan). */
static inline void made_jpeg_of(struct tl_buf *buf, unsigned h, unsigned w, unsigned which, int components)
{
    struct jpeg_compress_struct jpeg = {0};
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    uint8_t *rgb = malloc((size_t)h * w * 3), *row = malloc((size_t)w * 4);
    assert_non_null(rgb);
    assert_non_null(row);
    made_pixels(rgb, h, w, which);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &n);
    jpeg.image_height = h;
    jpeg.image_width = w;
    jpeg.input_components = components;
    jpeg.in_color_space = components == 3 ? JCS_RGB : components == 1 ? JCS_GRAYSCALE : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 90, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (size_t y = 0; y < h; y++) {
        for (size_t x = 0; x < w; x++) {
            const uint8_t *pixel = rgb + (y * w + x) * 3;
            for (int c = 0; c < components; c++) {
                row[x * (size_t)components + (size_t)c] = components == 3             ? pixel[c]
                                                          : components == 1 || c == 0 ? pixel[1]
                                                                                      : 255;
            }
        }
        (void)jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    made_add(buf, bytes, n);
    free(bytes);
    free(rgb);
    free(row);
}

static inline void made_jpeg(struct tl_buf *buf, unsigned h, unsigned w, unsigned which)
{
    made_jpeg_of(buf, h, w, which, 3);
}

/* A PNG in this format (PNG_FORMAT_RGB, RGBA, GRAY), from pixels in it. */
static inline void made_png_of(struct tl_buf *buf, unsigned h, unsigned w, unsigned format, const void *pixels)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .width = w, .height = h, .format = format};
    png_alloc_size_t n = PNG_IMAGE_PNG_SIZE_MAX(image);
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    assert_true(png_image_write_to_memory(&image, bytes, &n, 0, pixels, 0, NULL));
    made_add(buf, bytes, n);
    free(bytes);
}

static inline void made_png(struct tl_buf *buf, unsigned h, unsigned w, unsigned which)
{
    uint8_t *rgb = malloc((size_t)h * w * 3);
    assert_non_null(rgb);
    made_pixels(rgb, h, w, which);
    made_png_of(buf, h, w, PNG_FORMAT_RGB, rgb);
    free(rgb);
}

/* The sum of the header that begins at `at` made right. */
static inline void made_tar_sum(struct tl_buf *buf, size_t at)
{
    unsigned sum = 0;
    memset(buf->data + at + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++) {
        sum += (uint8_t)buf->data[at + i];
    }
    (void)snprintf(buf->data + at + 148, 8, "%06o", sum);
}

/* A header that says `size`, the bytes, and their padding. Returns where the header begins. */
static inline size_t made_tar_lying(struct tl_buf *buf, const char *name, char type, const void *bytes, size_t n,
                                    uint64_t size)
{
    char header[512] = {0};
    const size_t at = buf->len, name_n = strlen(name);
    const char zero[512] = {0};
    memcpy(header, name, name_n < 100 ? name_n : 100);
    (void)snprintf(header + 100, 8, "0000644");
    (void)snprintf(header + 124, 12, "%011llo", (unsigned long long)size);
    header[156] = type;
    memcpy(header + 257, "ustar", 6);
    memcpy(header + 263, "00", 2);
    made_add(buf, header, sizeof header);
    made_tar_sum(buf, at);
    made_add(buf, bytes, n);
    made_add(buf, zero, (512 - n % 512) % 512);
    return at;
}

static inline void made_tar(struct tl_buf *buf, const char *name, char type, const void *bytes, size_t n)
{
    (void)made_tar_lying(buf, name, type, bytes, n, n);
}

static inline void made_tar_end(struct tl_buf *buf)
{
    const char zero[1024] = {0};
    made_add(buf, zero, sizeof zero);
}

/* A file in the archive that is a JPEG of 8 x 8. */
static inline void made_tar_jpeg(struct tl_buf *buf, const char *name, unsigned which)
{
    TL_AUTO(tl_buf) jpeg = {0};
    made_jpeg(&jpeg, 8, 8, which);
    made_tar(buf, name, '0', jpeg.data, jpeg.len);
}

/* Two classes, two images each in both splits. */
static inline void made_tar_small(struct tl_buf *buf)
{
    static const char *const names[] = {"train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg", "train/dog/2.jpg",
                                        "test/cat/1.jpg",  "test/cat/2.jpg",  "test/dog/1.jpg",  "test/dog/2.jpg"};
    for (unsigned i = 0; i < TL_COUNT_OF(names); i++) {
        made_tar_jpeg(buf, names[i], i);
    }
    made_tar_end(buf);
}

/* It opens, or the test fails with why not. */
static inline struct img_set *made_open(const char *path)
{
    struct img_set *set = NULL;
    struct tl_err err = {0};
    if (img_open(path, NULL, &set, &err)) {
        fail_msg("%s: %s", tl_rc_title(err.rc), err.text);
    }
    return set;
}

/* It does not open, for a reason with these words in it. */
static inline void made_refused(const char *path, enum tl_rc rc, const char *word, const char *word2)
{
    struct img_set *set = NULL;
    struct tl_err err = {0};
    const enum tl_rc got = img_open(path, NULL, &set, &err);
    if (got != rc || err.rc != rc || !strstr(err.text, word) || !strstr(err.text, word2)) {
        fail_msg("wanted %s, %s, %s; got %s: %s", tl_rc_title(rc), word, word2, tl_rc_title(got), err.text);
    }
    assert_null(set);
}

#endif
