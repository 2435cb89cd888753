/* decode.c - JPEG and PNG files in memory to RGB. The libraries do the work; what they refuse is refused by name. */
#include "supernet/images/set.h"

#include <png.h>
#include <string.h>
#include <turbojpeg.h>

static bool is_png(const uint8_t *bytes, size_t n)
{
    static const uint8_t magic[] = {0x89, 'P', 'N', 'G'};
    return n > sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

static enum tl_rc check_side(const char *name, size_t h, size_t w, size_t *ret_h, size_t *ret_w, struct tl_err *err)
{
    if (h == 0 || w == 0 || h > IMG_SIDE_MAX || w > IMG_SIDE_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "%.200s is %zu x %zu pixels; sides are 1 to %d", name, w, h, IMG_SIDE_MAX);
    }
    *ret_h = h;
    *ret_w = w;
    return TL_OK;
}

/* Reads the header, and with `pixels` the image. */
static enum tl_rc read_png(const uint8_t *bytes, size_t n, const char *name, uint8_t *pixels, size_t *ret_h,
                           size_t *ret_w, struct tl_err *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    enum tl_rc rc = TL_OK;

    if (!png_image_begin_read_from_memory(&image, bytes, n)) {
        rc = tl_fail(err, TL_INVALID, "%.200s does not decode as PNG: %s", name, image.message);
    } else if (!(rc = check_side(name, image.height, image.width, ret_h, ret_w, err)) && pixels) {
        const png_color black = {0};
        image.format = PNG_FORMAT_RGB;
        if (!png_image_finish_read(&image, &black, pixels, 0, NULL)) {
            rc = tl_fail(err, TL_INVALID, "%.200s does not decode as PNG: %s", name, image.message);
        }
    }
    png_image_free(&image);
    return rc;
}

static enum tl_rc read_jpeg(const uint8_t *bytes, size_t n, const char *name, uint8_t *pixels, size_t *ret_h,
                            size_t *ret_w, struct tl_err *err)
{
    int w = 0, h = 0, sampling = 0, space = 0;
    enum tl_rc rc = TL_OK;
    tjhandle handle = tjInitDecompress();

    if (!handle) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to decode %.200s", name);
    }
    if (tjDecompressHeader3(handle, bytes, (unsigned long)n, &w, &h, &sampling, &space)) {
        rc = tl_fail(err, TL_INVALID, "%.200s does not decode as JPEG: %s", name, tjGetErrorStr2(handle));
    } else if (!(rc = check_side(name, (size_t)h, (size_t)w, ret_h, ret_w, err)) && pixels &&
               tjDecompress2(handle, bytes, (unsigned long)n, pixels, w, 0, h, TJPF_RGB, TJFLAG_ACCURATEDCT)) {
        rc = tl_fail(err, TL_INVALID, "%.200s does not decode as JPEG: %s", name, tjGetErrorStr2(handle));
    }
    (void)tjDestroy(handle);
    return rc;
}

enum tl_rc decode_size(const uint8_t *bytes, size_t n, const char *name, size_t *ret_h, size_t *ret_w,
                       struct tl_err *err)
{
    return (is_png(bytes, n) ? read_png : read_jpeg)(bytes, n, name, NULL, ret_h, ret_w, err);
}

enum tl_rc decode(const uint8_t *bytes, size_t n, const char *name, uint8_t *ret_pixels, size_t h, size_t w,
                  struct tl_err *err)
{
    size_t is_h = 0, is_w = 0;
    const enum tl_rc rc = decode_size(bytes, n, name, &is_h, &is_w, err);

    if (rc || is_h != h || is_w != w) {
        return rc ? rc : tl_fail(err, TL_INVALID, "%.200s is %zu x %zu pixels, not %zu x %zu", name, is_w, is_h, w, h);
    }
    return (is_png(bytes, n) ? read_png : read_jpeg)(bytes, n, name, ret_pixels, &is_h, &is_w, err);
}
