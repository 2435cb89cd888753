/* augment.c - images to the floats that a network reads: random changes, scaling, normalisation.
 *
 * Scaling is by a triangle as wide as the larger of both pixels (bilinear going up, an antialiased average going down),
 * rows and columns apart. All chance of an image comes from its own generator.
 */
#include "supernet/images/images.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A rectangle of an image, in pixels, of floats 0..255. */
struct window {
    double top, left, h, w;
};

static enum tl_rc room(struct img_scratch *scratch, size_t floats, struct tl_err *err)
{
    if (floats > scratch->floats_size) {
        float *more = realloc(scratch->floats, floats * sizeof *more);
        if (!more) {
            return tl_fail(err, TL_NO_MEMORY, "no memory to scale an image");
        }
        scratch->floats = more;
        scratch->floats_size = floats;
    }
    return TL_OK;
}

/* ---- scaling ------------------------------------------------------------------------------------------------- */

/* What output pixel i of `out` averages of `in` pixels from `from` on, `span` long in all. */
struct reach {
    size_t first, n;
    double centre, width;
};

static struct reach reach_of(size_t i, size_t out, double from, double span, size_t in)
{
    const double scale = span / (double)out, width = scale > 1.0 ? scale : 1.0;
    const double centre = from + ((double)i + 0.5) * scale;
    const double low = ceil(centre - width - 0.5), high = floor(centre + width - 0.5);
    const double first = low < 0.0 ? 0.0 : low, last = high > (double)in - 1.0 ? (double)in - 1.0 : high;
    return (struct reach){.first = (size_t)first, .n = (size_t)(last - first) + 1, .centre = centre, .width = width};
}

static float weight(const struct reach *reach, size_t j)
{
    const double off = fabs((double)(reach->first + j) + 0.5 - reach->centre) / reach->width;
    return off < 1.0 ? (float)(1.0 - off) : 0.0F;
}

/* One output of `n` inputs that lie `step` apart. */
static void average(float *restrict to, const float *restrict from, const struct reach *reach, size_t step, size_t run)
{
    float sum = 0.0F;
    memset(to, 0, run * sizeof *to);
    for (size_t j = 0; j < reach->n; j++) {
        const float w = weight(reach, j);
        const float *at = from + (reach->first + j) * step;
        sum += w;
        for (size_t i = 0; i < run; i++) {
            to[i] += w * at[i];
        }
    }
    for (size_t i = 0; i < run; i++) {
        to[i] /= sum;
    }
}

/* to (side, side, 3) from a window of from (h, w, 3). between: (side, w, 3). */
static void scale(float *restrict to, size_t side, const float *restrict from, size_t h, size_t w,
                  const struct window *window, float *restrict between)
{
    if (side == h && side == w && window->h >= (double)h && window->w >= (double)w) {
        memcpy(to, from, side * side * 3 * sizeof *to);
        return;
    }
    for (size_t y = 0; y < side; y++) {
        const struct reach reach = reach_of(y, side, window->top, window->h, h);
        average(between + y * w * 3, from, &reach, w * 3, w * 3);
    }
    for (size_t x = 0; x < side; x++) {
        const struct reach reach = reach_of(x, side, window->left, window->w, w);
        for (size_t y = 0; y < side; y++) {
            average(to + (y * side + x) * 3, between + y * w * 3, &reach, 3, 3);
        }
    }
}

void img_scale_matrix(float *matrix, size_t out, size_t in)
{
    memset(matrix, 0, out * in * sizeof *matrix);
    for (size_t i = 0; i < out; i++) {
        const struct reach reach = reach_of(i, out, 0.0, (double)in, in);
        float sum = 0.0F;
        for (size_t j = 0; j < reach.n; j++) {
            sum += matrix[i * in + reach.first + j] = weight(&reach, j);
        }
        for (size_t j = 0; j < reach.n; j++) {
            matrix[i * in + reach.first + j] /= sum;
        }
    }
}

static void normalise(float *to, size_t n_pixels, const struct img_normal *normal)
{
    float gain[3], shift[3];
    for (size_t c = 0; c < 3; c++) {
        gain[c] = 1.0F / (255.0F * normal->deviation[c]);
        shift[c] = -normal->mean[c] / normal->deviation[c];
    }
    for (size_t p = 0; p < n_pixels; p++) {
        for (size_t c = 0; c < 3; c++) {
            to[3 * p + c] = to[3 * p + c] * gain[c] + shift[c];
        }
    }
}

/* ---- random changes ------------------------------------------------------------------------------------------ */

/* A small image's changes: source = matrix x (target - centre) + centre + offset; then colours. */
struct bend {
    double matrix[4], dy, dx;
    bool straight; /* the matrix only mirrors */
    float brightness, contrast, colour;
};

static double either_way(struct tl_rng *rng, double most)
{
    return (2.0 * tl_rng_unit(rng) - 1.0) * most;
}

static void multiply(double m[4], double a, double b, double c, double d)
{
    const double n[4] = {m[0] * a + m[1] * c, m[0] * b + m[1] * d, m[2] * a + m[3] * c, m[2] * b + m[3] * d};
    memcpy(m, n, sizeof n);
}

enum bend_kind { BEND_ROTATE, BEND_SHEAR_X, BEND_SHEAR_Y, BEND_BRIGHTNESS, BEND_CONTRAST, BEND_COLOUR, BEND_COUNT };

static void draw_bend(struct bend *bend, double magnitude, struct tl_rng *rng)
{
    const double pi = 3.14159265358979323846;
    const enum bend_kind kind = (enum bend_kind)tl_rng_below(rng, BEND_COUNT);
    const double by = either_way(rng, magnitude), angle = by * pi / 6.0;
    const float factor = (float)(1.0 + 0.9 * by);
    bend->straight = bend->straight && kind >= BEND_BRIGHTNESS;
    switch (kind) {
    case BEND_ROTATE:
        multiply(bend->matrix, cos(angle), -sin(angle), sin(angle), cos(angle));
        break;
    case BEND_SHEAR_X:
        multiply(bend->matrix, 1.0, 0.0, 0.3 * by, 1.0);
        break;
    case BEND_SHEAR_Y:
        multiply(bend->matrix, 1.0, 0.3 * by, 0.0, 1.0);
        break;
    case BEND_BRIGHTNESS:
        bend->brightness *= factor;
        break;
    case BEND_CONTRAST:
        bend->contrast *= factor;
        break;
    case BEND_COLOUR:
        bend->colour *= factor;
        break;
    case BEND_COUNT:
        break;
    }
}

static struct bend draw_bends(const struct img_augment *augment, struct tl_rng *rng)
{
    struct bend bend = {.matrix = {1.0, 0.0, 0.0, 1.0}, .straight = true, .brightness = 1.0F, .contrast = 1.0F,
                        .colour = 1.0F};
    if (augment->mirror && tl_rng_below(rng, 2)) {
        bend.matrix[3] = -1.0;
    }
    if (augment->pad) {
        bend.dy = (double)tl_rng_below(rng, 2 * augment->pad + 1) - (double)augment->pad;
        bend.dx = (double)tl_rng_below(rng, 2 * augment->pad + 1) - (double)augment->pad;
    }
    for (unsigned i = 0; i < augment->bends; i++) {
        draw_bend(&bend, augment->magnitude, rng);
    }
    return bend;
}

/* The pixel of an image, the mean outside. */
static const uint8_t *pixel(const struct img_view *view, ptrdiff_t y, ptrdiff_t x, const uint8_t *outside)
{
    const bool in = y >= 0 && x >= 0 && (size_t)y < view->h && (size_t)x < view->w;
    return in ? view->pixels + ((size_t)y * view->w + (size_t)x) * 3 : outside;
}

static void sample(float *to, const struct img_view *view, double y, double x, const uint8_t *outside)
{
    const ptrdiff_t y0 = (ptrdiff_t)floor(y), x0 = (ptrdiff_t)floor(x);
    const float fy = (float)(y - (double)y0), fx = (float)(x - (double)x0);
    const uint8_t *a = pixel(view, y0, x0, outside), *b = pixel(view, y0, x0 + 1, outside);
    const uint8_t *c = pixel(view, y0 + 1, x0, outside), *d = pixel(view, y0 + 1, x0 + 1, outside);
    for (size_t i = 0; i < 3; i++) {
        const float top = (float)a[i] + fx * (float)(b[i] - a[i]), low = (float)c[i] + fx * (float)(d[i] - c[i]);
        to[i] = top + fy * (low - top);
    }
}

static void bend_pixels(float *to, const struct img_view *view, const struct bend *bend, const uint8_t *outside)
{
    const double cy = ((double)view->h - 1.0) / 2.0, cx = ((double)view->w - 1.0) / 2.0;
    for (size_t row = 0; row < view->h; row++) {
        for (size_t col = 0; col < view->w; col++, to += 3) {
            const double v = (double)row - cy, u = (double)col - cx;
            const double y = bend->matrix[0] * v + bend->matrix[1] * u + cy + bend->dy;
            const double x = bend->matrix[2] * v + bend->matrix[3] * u + cx + bend->dx;
            if (bend->straight) {
                const uint8_t *from = pixel(view, (ptrdiff_t)lround(y), (ptrdiff_t)lround(x), outside);
                to[0] = from[0];
                to[1] = from[1];
                to[2] = from[2];
            } else {
                sample(to, view, y, x, outside);
            }
        }
    }
}

static float clamp(float v)
{
    return v < 0.0F ? 0.0F : v > 255.0F ? 255.0F : v;
}

static void bend_colours(float *to, size_t n, const struct bend *bend)
{
    float mean = 0.0F;
    if (bend->brightness == 1.0F && bend->contrast == 1.0F && bend->colour == 1.0F) {
        return;
    }
    for (size_t i = 0; i < 3 * n; i++) {
        to[i] = clamp(to[i] * bend->brightness);
        mean += to[i];
    }
    mean /= (float)(3 * n);
    for (size_t p = 0; p < n; p++, to += 3) {
        const float grey = 0.299F * to[0] + 0.587F * to[1] + 0.114F * to[2];
        for (size_t c = 0; c < 3; c++) {
            const float coloured = grey + bend->colour * (to[c] - grey);
            to[c] = clamp(mean + bend->contrast * (coloured - mean));
        }
    }
}

/* A square around a random pixel becomes the mean. */
static void cut_out(float *to, size_t side, unsigned size, const struct img_normal *normal, struct tl_rng *rng)
{
    const size_t cy = tl_rng_below(rng, (uint32_t)side), cx = tl_rng_below(rng, (uint32_t)side), half = size / 2;
    for (size_t y = cy > half ? cy - half : 0; y < side && y < cy + half; y++) {
        for (size_t x = cx > half ? cx - half : 0; x < side && x < cx + half; x++) {
            for (size_t c = 0; c < 3; c++) {
                to[(y * side + x) * 3 + c] = 255.0F * normal->mean[c];
            }
        }
    }
}

/* ---- the two ways -------------------------------------------------------------------------------------------- */

static bool is_small(const struct img_view *view)
{
    return view->h <= IMG_KEPT_SIDE && view->w <= IMG_KEPT_SIDE;
}

static void to_floats(float *to, const struct img_view *view)
{
    for (size_t i = 0; i < view->h * view->w * 3; i++) {
        to[i] = view->pixels[i];
    }
}

/* A part of 8 to 100 % of the area, 3:4 to 4:3, as large as fits. */
static struct window draw_window(const struct img_view *view, struct tl_rng *rng)
{
    const double area = (double)(view->h * view->w) * (0.08 + 0.92 * tl_rng_unit(rng));
    const double ratio = exp(either_way(rng, log(4.0 / 3.0)));
    const double h = sqrt(area / ratio), w = sqrt(area * ratio);
    struct window window = {.h = h < (double)view->h ? h : (double)view->h, .w = w < (double)view->w ? w : (double)view->w};
    window.top = tl_rng_unit(rng) * ((double)view->h - window.h);
    window.left = tl_rng_unit(rng) * ((double)view->w - window.w);
    return window;
}

static void mirror(float *to, size_t side)
{
    for (size_t y = 0; y < side; y++) {
        for (size_t x = 0; x < side / 2; x++) {
            for (size_t c = 0; c < 3; c++) {
                float *a = to + (y * side + x) * 3 + c, *b = to + (y * side + side - 1 - x) * 3 + c;
                const float kept = *a;
                *a = *b;
                *b = kept;
            }
        }
    }
}

enum tl_rc img_train(float *to, size_t side, const struct img_view *view, const struct img_augment *augment,
                     const struct img_normal *normal, struct tl_rng *rng, struct img_scratch *scratch,
                     struct tl_err *err)
{
    const size_t floats = view->h * view->w * 3;
    const enum tl_rc rc = room(scratch, floats + side * view->w * 3, err);
    struct window window = {.h = (double)view->h, .w = (double)view->w};
    if (rc) {
        return rc;
    }
    float *image = scratch->floats, *between = image + floats;
    if (is_small(view)) {
        const uint8_t outside[3] = {(uint8_t)(255.0F * normal->mean[0]), (uint8_t)(255.0F * normal->mean[1]),
                                    (uint8_t)(255.0F * normal->mean[2])};
        const struct bend bend = draw_bends(augment, rng);
        bend_pixels(image, view, &bend, outside);
        bend_colours(image, view->h * view->w, &bend);
        scale(to, side, image, view->h, view->w, &window, between);
    } else {
        struct bend bend = draw_bends(augment, rng); /* of a large image only the colours and the mirror are used */
        window = draw_window(view, rng);
        to_floats(image, view);
        scale(to, side, image, view->h, view->w, &window, between);
        bend_colours(to, side * side, &bend);
        if (bend.matrix[3] < 0.0 && bend.straight) {
            mirror(to, side);
        }
    }
    if (augment->cutout) {
        cut_out(to, side, augment->cutout, normal, rng);
    }
    normalise(to, side * side, normal);
    return TL_OK;
}

enum tl_rc img_plain(float *to, size_t side, const struct img_view *view, const struct img_normal *normal,
                     struct img_scratch *scratch, struct tl_err *err)
{
    const size_t floats = view->h * view->w * 3;
    const enum tl_rc rc = room(scratch, floats + side * view->w * 3, err);
    struct window window = {.h = (double)view->h, .w = (double)view->w};
    if (rc) {
        return rc;
    }
    if (!is_small(view)) {
        const double shorter = (double)(view->h < view->w ? view->h : view->w), part = shorter * 7.0 / 8.0;
        window = (struct window){
            .top = ((double)view->h - part) / 2.0, .left = ((double)view->w - part) / 2.0, .h = part, .w = part};
    }
    to_floats(scratch->floats, view);
    scale(to, side, scratch->floats, view->h, view->w, &window, scratch->floats + floats);
    normalise(to, side * side, normal);
    return TL_OK;
}

enum { MEASURED = 10000 };

enum tl_rc img_measure(const struct img_set *set, struct img_normal *ret_normal, struct tl_err *err)
{
    const size_t all = img_facts(set).n[IMG_TRAIN], step = all > MEASURED ? all / MEASURED : 1;
    struct img_scratch scratch = {0};
    double sum[3] = {0}, squares[3] = {0}, n = 0.0;
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; rc == TL_OK && i < all; i += step) {
        struct img_view view;
        rc = img_pixels(set, IMG_TRAIN, i, &scratch, &view, err);
        for (size_t p = 0; rc == TL_OK && p < view.h * view.w; p++) {
            for (size_t c = 0; c < 3; c++) {
                const double v = view.pixels[3 * p + c] / 255.0;
                sum[c] += v;
                squares[c] += v * v;
            }
            n += 1.0;
        }
    }
    img_scratch_done(&scratch);
    for (size_t c = 0; rc == TL_OK && c < 3; c++) {
        const double mean = sum[c] / n, variance = squares[c] / n - mean * mean;
        ret_normal->mean[c] = (float)mean;
        ret_normal->deviation[c] = variance > 1e-6 ? (float)sqrt(variance) : 1.0F;
    }
    return rc;
}
