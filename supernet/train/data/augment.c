/* augment.c - training images are never seen twice the same.
 *
 * What is drawn comes from the image's own stream. Pixels are computed in whole numbers (factors in 1/256), and angles
 * and ratios through short series instead of libm, whose last bit differs from one library to the next.
 */
#include "parts.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum op {
    OP_IDENTITY,
    OP_BRIGHTNESS,
    OP_CONTRAST,
    OP_COLOUR,
    OP_SHARPNESS,
    OP_POSTERISE,
    OP_TRANSLATE_X,
    OP_TRANSLATE_Y,
    OP_SHEAR_X,
    OP_SHEAR_Y,
    OP_ROTATE,
    OP_COUNT
};

/* What magnitude 1 means (torchvision's RandAugment, magnitude 30 of 30). */
#define FACTOR_MAX    0.9
#define TRANSLATE_MAX 0.45
#define SHEAR_MAX     0.3
#define ROTATE_MAX    0.5235987755982988 /* 30 degrees */
#define POSTERISE_MAX 4                  /* bits that go */

static uint8_t clip(int value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* from + (to - from) * factor / 256; beyond 256 it leads away from `from`. */
static uint8_t blend(int from, int to, int factor)
{
    return clip((from * 256 + (to - from) * factor + 128) >> 8);
}

static int grey_of(const uint8_t *pixel)
{
    return (pixel[0] * 77 + pixel[1] * 150 + pixel[2] * 29 + 128) >> 8; /* 0.299, 0.587, 0.114 */
}

static size_t n_pixels(const struct canvas *canvas)
{
    return (size_t)canvas->h * canvas->w;
}

static void swap(struct canvas *canvas)
{
    uint8_t *now = canvas->other;
    canvas->other = canvas->now;
    canvas->now = now;
}

static void towards(struct canvas *canvas, int grey, int factor)
{
    uint8_t table[256];
    const size_t n = 3 * n_pixels(canvas);
    for (int v = 0; v < 256; v++) {
        table[v] = blend(grey, v, factor);
    }
    for (size_t i = 0; i < n; i++) {
        canvas->now[i] = table[canvas->now[i]];
    }
}

static void contrast(struct canvas *canvas, int factor)
{
    uint64_t sum = 0;
    const size_t n = n_pixels(canvas);
    assert(n > 0);
    for (size_t i = 0; i < n; i++) {
        sum += (uint64_t)grey_of(canvas->now + 3 * i);
    }
    towards(canvas, (int)((sum + n / 2) / n), factor);
}

static void colour(struct canvas *canvas, int factor)
{
    const size_t n = n_pixels(canvas);
    for (size_t i = 0; i < n; i++) {
        uint8_t *pixel = canvas->now + 3 * i;
        const int grey = grey_of(pixel);
        for (size_t c = 0; c < 3; c++) {
            pixel[c] = blend(grey, pixel[c], factor);
        }
    }
}

/* Away from, or towards, the mean of nine neighbours that counts the middle five times; the rim stays. */
static void sharpness(struct canvas *canvas, int factor)
{
    const size_t row = (size_t)canvas->w * 3;
    memcpy(canvas->other, canvas->now, canvas->h * row);
    for (size_t y = 1; y + 1 < canvas->h; y++) {
        for (size_t i = 3; i + 3 < row; i++) {
            const uint8_t *at = canvas->now + y * row + i;
            const int around = at[-3] + at[3] + at[-(ptrdiff_t)row - 3] + at[-(ptrdiff_t)row] +
                               at[-(ptrdiff_t)row + 3] + at[row - 3] + at[row] + at[row + 3];
            canvas->other[y * row + i] = blend((around + 5 * at[0] + 6) / 13, at[0], factor);
        }
    }
    swap(canvas);
}

static void posterise(struct canvas *canvas, int bits)
{
    const size_t n = 3 * n_pixels(canvas);
    const uint8_t mask = (uint8_t)(0xff << bits);
    for (size_t i = 0; i < n; i++) {
        canvas->now[i] &= mask;
    }
}

/* The pixel of one channel at (x, y); the fill outside. */
static int at_or_fill(const struct canvas *canvas, int x, int y, size_t c)
{
    const bool inside = x >= 0 && y >= 0 && x < (int)canvas->w && y < (int)canvas->h;
    return inside ? canvas->now[((size_t)y * canvas->w + (size_t)x) * 3 + c] : canvas->fill[c];
}

/* Bilinear, the position in 1/65536 of a pixel. */
static void sample(const struct canvas *canvas, int64_t x16, int64_t y16, uint8_t *out)
{
    const int x = (int)(x16 >> 16), y = (int)(y16 >> 16); /* rounds down, gcc and clang both */
    const int fx = (int)(x16 & 0xffff) >> 8, fy = (int)(y16 & 0xffff) >> 8;
    const size_t row = (size_t)canvas->w * 3;
    if (x >= 0 && y >= 0 && x + 1 < (int)canvas->w && y + 1 < (int)canvas->h) {
        const uint8_t *at = canvas->now + (size_t)y * row + (size_t)x * 3;
        for (size_t c = 0; c < 3; c++) {
            const int above = at[c] * (256 - fx) + at[c + 3] * fx;
            const int below = at[c + row] * (256 - fx) + at[c + row + 3] * fx;
            out[c] = (uint8_t)((above * (256 - fy) + below * fy + (1 << 15)) >> 16);
        }
        return;
    }
    for (size_t c = 0; c < 3; c++) {
        const int above = at_or_fill(canvas, x, y, c) * (256 - fx) + at_or_fill(canvas, x + 1, y, c) * fx;
        const int below = at_or_fill(canvas, x, y + 1, c) * (256 - fx) + at_or_fill(canvas, x + 1, y + 1, c) * fx;
        out[c] = (uint8_t)((above * (256 - fy) + below * fy + (1 << 15)) >> 16);
    }
}

/* The output pixel at p from the centre shows the input at (a b; c d) p + (dx, dy). */
static void affine(struct canvas *canvas, double a, double b, double c, double d, double dx, double dy)
{
    const double cx = (canvas->w - 1) * 0.5, cy = (canvas->h - 1) * 0.5;
    const int64_t step_x = (int64_t)floor(a * 65536 + 0.5), step_y = (int64_t)floor(c * 65536 + 0.5);
    for (unsigned y = 0; y < canvas->h; y++) {
        int64_t x16 = (int64_t)floor((-a * cx + b * (y - cy) + dx + cx) * 65536 + 0.5);
        int64_t y16 = (int64_t)floor((-c * cx + d * (y - cy) + dy + cy) * 65536 + 0.5);
        for (unsigned x = 0; x < canvas->w; x++, x16 += step_x, y16 += step_y) {
            sample(canvas, x16, y16, canvas->other + ((size_t)y * canvas->w + x) * 3);
        }
    }
    swap(canvas);
}

static void rotate(struct canvas *canvas, double angle)
{
    /* |angle| <= 30 degrees: the next terms are below 1e-9 */
    const double q = angle * angle;
    const double sine = angle * (1 - q / 6 * (1 - q / 20 * (1 - q / 42 * (1 - q / 72))));
    const double cosine = 1 - q / 2 * (1 - q / 12 * (1 - q / 30 * (1 - q / 56 * (1 - q / 90))));
    affine(canvas, cosine, sine, -sine, cosine, 0, 0);
}

static void apply(struct canvas *canvas, enum op op, double strength)
{
    const int factor = (int)floor((1 + FACTOR_MAX * strength) * 256 + 0.5);
    switch (op) {
    case OP_BRIGHTNESS:
        towards(canvas, 0, factor);
        break;
    case OP_CONTRAST:
        contrast(canvas, factor);
        break;
    case OP_COLOUR:
        colour(canvas, factor);
        break;
    case OP_SHARPNESS:
        sharpness(canvas, factor);
        break;
    case OP_POSTERISE:
        posterise(canvas, (int)floor(POSTERISE_MAX * fabs(strength) + 0.5));
        break;
    case OP_TRANSLATE_X:
        affine(canvas, 1, 0, 0, 1, floor(TRANSLATE_MAX * strength * canvas->w + 0.5), 0);
        break;
    case OP_TRANSLATE_Y:
        affine(canvas, 1, 0, 0, 1, 0, floor(TRANSLATE_MAX * strength * canvas->h + 0.5));
        break;
    case OP_SHEAR_X:
        affine(canvas, 1, SHEAR_MAX * strength, 0, 1, 0, 0);
        break;
    case OP_SHEAR_Y:
        affine(canvas, 1, 0, SHEAR_MAX * strength, 1, 0, 0);
        break;
    case OP_ROTATE:
        rotate(canvas, ROTATE_MAX * strength);
        break;
    case OP_IDENTITY:
    case OP_COUNT:
        break;
    }
}

void augment_ops(struct canvas *canvas, unsigned n_ops, double magnitude, struct tl_rng *rng)
{
    for (unsigned i = 0; i < n_ops; i++) {
        const enum op op = (enum op)tl_rng_below(rng, OP_COUNT);
        apply(canvas, op, tl_rng_below(rng, 2) ? magnitude : -magnitude);
    }
}

void augment_jitter(struct canvas *canvas, double jitter, struct tl_rng *rng)
{
    int factors[3];
    for (size_t i = 0; i < 3; i++) {
        factors[i] = (int)floor((1 + jitter * (2 * tl_rng_unit(rng) - 1)) * 256 + 0.5);
    }
    towards(canvas, 0, factors[0]);
    contrast(canvas, factors[1]);
    colour(canvas, factors[2]);
}

void augment_cutout(struct canvas *canvas, unsigned side, struct tl_rng *rng)
{
    const int cx = (int)tl_rng_below(rng, canvas->w), cy = (int)tl_rng_below(rng, canvas->h), n = (int)side;
    for (int y = cy - n / 2; y < cy - n / 2 + n; y++) {
        for (int x = cx - n / 2; x < cx - n / 2 + n; x++) {
            if (x >= 0 && y >= 0 && x < (int)canvas->w && y < (int)canvas->h) {
                memcpy(canvas->now + ((size_t)y * canvas->w + (size_t)x) * 3, canvas->fill, 3);
            }
        }
    }
}

void augment_shift(struct canvas *canvas, const uint8_t *in, int dx, int dy, bool flip)
{
    const int w = (int)canvas->w, h = (int)canvas->h;
    for (int y = 0; y < h; y++) {
        uint8_t *out = canvas->now + (size_t)y * canvas->w * 3;
        const bool row_inside = y + dy >= 0 && y + dy < h;
        const uint8_t *row = in + (row_inside ? (size_t)(y + dy) * canvas->w * 3 : 0);
        for (int x = 0; x < w; x++, out += 3) {
            const int from = (flip ? w - 1 - x : x) + dx;
            const uint8_t *pixel = row_inside && from >= 0 && from < w ? row + 3 * (size_t)from : canvas->fill;
            out[0] = pixel[0];
            out[1] = pixel[1];
            out[2] = pixel[2];
        }
    }
}

/* e^x for |x| <= 0.3, to 1e-12. */
static double small_exp(double x)
{
    double sum = 1;
    for (int k = 10; k >= 1; k--) {
        sum = 1 + sum * x / k;
    }
    return sum;
}

struct box augment_crop(unsigned h, unsigned w, struct tl_rng *rng)
{
    static const double log_ratio_max = 0.28768207245178085; /* ln(4/3) */
    const double area = (double)h * w;
    for (int tries = 0; tries < 10; tries++) {
        const double target = area * (0.08 + 0.92 * tl_rng_unit(rng));
        const double ratio = small_exp(log_ratio_max * (2 * tl_rng_unit(rng) - 1));
        const double cw = floor(sqrt(target * ratio) + 0.5), ch = floor(sqrt(target / ratio) + 0.5);
        if (cw >= 1 && ch >= 1 && cw <= w && ch <= h) {
            return (struct box){.x = tl_rng_below(rng, w - (unsigned)cw + 1),
                                .y = tl_rng_below(rng, h - (unsigned)ch + 1),
                                .w = cw,
                                .h = ch};
        }
    }
    /* a strip: as much of its middle as the ratios allow */
    const double most = 4.0 / 3;
    const double cw = w > h * most ? floor(h * most) : w, ch = h > w * most ? floor(w * most) : h;
    return (struct box){.x = floor((w - cw) / 2), .y = floor((h - ch) / 2), .w = cw, .h = ch};
}
