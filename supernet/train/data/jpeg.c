/* jpeg.c - JPEG through libjpeg-turbo, whose errors and warnings become ours.
 *
 * libjpeg reports an error by a call that must not return: longjmp leads back to jpeg_decode, which owns nothing that
 * would be lost. A warning that the data ends early is an error; others (a bit that makes no sense, bytes between
 * segments) leave a whole image.
 */
#include "parts.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants it first */

#include <jpeglib.h>

#include <jerror.h>

enum { SCANS_MAX = 64 }; /* progressive JPEGs have about ten; thousands in a small file are an attack on time */

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
};

static void give_up(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;
    jpeg->err->format_message(jpeg, reader->message);
    longjmp(reader->back, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    const int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) {
        give_up(jpeg);
    }
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;
    if (reader->jpeg.input_scan_number > SCANS_MAX) {
        static const char why[] = "it has too many scans";
        for (size_t i = 0; i < sizeof why; i++) {
            reader->message[i] = why[i];
        }
        longjmp(reader->back, 1);
    }
}

/* n pixels of four to three channels. Adobe's CMYK is inverted, and libjpeg leaves it so:
 * 255 is no ink. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, size_t n, bool inverted)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned k = inverted ? cmyk[4 * i + 3] : 255U - cmyk[4 * i + 3];
        for (size_t c = 0; c < 3; c++) {
            const unsigned ink = inverted ? cmyk[4 * i + c] : 255U - cmyk[4 * i + c];
            rgb[3 * i + c] = (uint8_t)((ink * k + 127) / 255);
        }
    }
}

static void read_lines(struct jpeg_decompress_struct *jpeg, struct img_pixels *pixels)
{
    const size_t w = pixels->w;
    JSAMPARRAY line = NULL;
    if (jpeg->out_color_space == JCS_CMYK) {
        line = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, (JDIMENSION)(4 * w), 1);
    }
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = pixels->data + (size_t)jpeg->output_scanline * w * 3;
        (void)jpeg_read_scanlines(jpeg, line ? line : &row, 1);
        if (line) {
            cmyk_to_rgb(line[0], row, w, jpeg->saw_Adobe_marker);
        }
    }
    (void)jpeg_finish_decompress(jpeg);
}

/* All calls of libjpeg that can fail; false: message says why, or *rc is set. */
static bool read_image(struct reader *reader, const uint8_t *bytes, size_t n, const struct catalogue *catalogue,
                       const char *name, struct img_pixels *pixels, enum tl_rc *rc, struct tl_err *err)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    if (setjmp(reader->back)) { /* NOLINT(cert-err52-cpp): libjpeg knows no other way */
        return false;
    }
    jpeg_create_decompress(jpeg);
    jpeg->client_data = reader;
    jpeg->progress = &reader->progress;
    jpeg_mem_src(jpeg, bytes, (unsigned long)n);
    (void)jpeg_read_header(jpeg, TRUE);
    *rc = pixels_room(pixels, jpeg->image_height, jpeg->image_width, n, catalogue, name, err);
    if (*rc) {
        return false;
    }
    const bool cmyk = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    (void)jpeg_start_decompress(jpeg);
    read_lines(jpeg, pixels);
    return true;
}

enum tl_rc jpeg_decode(const uint8_t *bytes, size_t n, const struct catalogue *catalogue, const char *name,
                       struct img_pixels *pixels, struct tl_err *err)
{
    struct reader reader = {.progress.progress_monitor = on_progress};
    enum tl_rc rc = TL_OK;
    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.jpeg.client_data = &reader;
    reader.errors.error_exit = give_up;
    reader.errors.emit_message = on_message;
    reader.errors.output_message = on_output;
    if (!read_image(&reader, bytes, n, catalogue, name, pixels, &rc, err) && !rc) {
        rc = tl_fail(err, TL_INVALID, WHO_F "is a JPEG that cannot be read: %s", WHO(catalogue, name), reader.message);
    }
    jpeg_destroy_decompress(&reader.jpeg);
    return rc;
}
