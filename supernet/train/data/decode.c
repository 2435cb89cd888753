/* decode.c - from a file's bytes to pixels: what it is, the limits, PNG; JPEG is in jpeg.c. */
#include "parts.h"

#include <assert.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

void img_pixels_done(struct img_pixels *pixels)
{
    free(pixels->data);
    free(pixels->packed);
    *pixels = (struct img_pixels){0};
}

enum tl_rc pixels_room(struct img_pixels *pixels, size_t h, size_t w, size_t packed_n,
                       const struct catalogue *catalogue, const char *name, struct tl_err *err)
{
    if (h < 1 || w < 1 || h > IMG_SIDE_MAX || w > IMG_SIDE_MAX) {
        return tl_fail(err, TL_INVALID, WHO_F "is %zu x %zu pixels; a side is 1 to %d", WHO(catalogue, name), w, h,
                       IMG_SIDE_MAX);
    }
    if (h * w / IMG_PIXELS_A_BYTE_MAX > packed_n) {
        return tl_fail(err, TL_INVALID, WHO_F "says that %zu bytes are %zu x %zu pixels", WHO(catalogue, name),
                       packed_n, w, h);
    }
    pixels->h = (unsigned)h;
    pixels->w = (unsigned)w;
    return room_for(&pixels->data, &pixels->cap, h * w * 3, err);
}

static enum tl_rc png_decode(const uint8_t *bytes, size_t n, const struct catalogue *catalogue, const char *name,
                             struct img_pixels *pixels, struct tl_err *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    static const png_color white = {255, 255, 255};
    if (!png_image_begin_read_from_memory(&image, bytes, n)) {
        return tl_fail(err, TL_INVALID, WHO_F "is a PNG that cannot be read: %s", WHO(catalogue, name), image.message);
    }
    enum tl_rc rc = pixels_room(pixels, image.height, image.width, n, catalogue, name, err);
    image.format = PNG_FORMAT_RGB;
    if (!rc && !png_image_finish_read(&image, &white, pixels->data, 0, NULL)) {
        rc = tl_fail(err, TL_INVALID, WHO_F "is a PNG that cannot be read: %s", WHO(catalogue, name), image.message);
    }
    png_image_free(&image);
    return rc;
}

enum tl_rc file_decode(const uint8_t *bytes, size_t n, const struct catalogue *catalogue, const char *name,
                       struct img_pixels *pixels, struct tl_err *err)
{
    if (n >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0) {
        return png_decode(bytes, n, catalogue, name, pixels, err);
    }
    if (n >= 2 && bytes[0] == 0xff && bytes[1] == 0xd8) {
        return jpeg_decode(bytes, n, catalogue, name, pixels, err);
    }
    return tl_fail(err, TL_INVALID, WHO_F "is neither a JPEG nor a PNG%s", WHO(catalogue, name),
                   n ? "" : ": it is empty");
}

static enum tl_rc unpack(const struct img_set *set, const struct split *split, size_t index, struct img_pixels *pixels,
                         struct tl_err *err)
{
    const size_t n = (size_t)set->h * set->w;
    const uint8_t *in = split->packed + split->first + index * set->stride;
    const enum tl_rc rc = room_for(&pixels->data, &pixels->cap, n * 3, err);
    if (rc) {
        return rc;
    }
    pixels->h = set->h;
    pixels->w = set->w;
    const size_t plane = set->planar ? n : 0;
    for (size_t i = 0; i < n; i++) {
        pixels->data[3 * i] = in[i];
        pixels->data[3 * i + 1] = in[i + plane];
        pixels->data[3 * i + 2] = in[i + 2 * plane];
    }
    return TL_OK;
}

enum tl_rc img_decode(const struct img_set *set, enum img_split split, size_t index, struct img_pixels *pixels,
                      struct tl_err *err)
{
    const struct split *from = &set->splits[split];
    const uint8_t *bytes = NULL;
    size_t n = 0;
    assert(index < from->n);
    if (from->cached) {
        n = (size_t)set->side * set->side * 3;
        const enum tl_rc rc = room_for(&pixels->data, &pixels->cap, n, err);
        if (rc) {
            return rc;
        }
        memcpy(pixels->data, from->cached + index * n, n);
        pixels->h = set->side;
        pixels->w = set->side;
        return TL_OK;
    }
    if (from->packed) {
        return unpack(set, from, index, pixels, err);
    }
    const struct member *member = &set->catalogue.members[from->members[index]];
    const enum tl_rc rc =
        catalogue_read(&set->catalogue, member, IMG_FILE_MAX, &pixels->packed, &pixels->packed_cap, &bytes, &n, err);
    return rc ? rc : file_decode(bytes, n, &set->catalogue, member->name, pixels, err);
}
