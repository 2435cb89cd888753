/* resize.c - a part of an image at another size, in whole numbers.
 *
 * Two passes, across and then down. An output pixel is the mean of the input pixels under a triangle around its centre,
 * as wide as two of its own pixels (two input pixels when enlarging: bilinear). Weights are multiples of 2^-22, sums are
 * 32-bit: the same bytes on every machine.
 */
#include "parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHT_BITS = 22 };

static void axis_done(struct axis *axis)
{
    free(axis->first);
    free(axis->weight);
}

void resizer_done(struct resizer *resizer)
{
    axis_done(&resizer->x);
    axis_done(&resizer->y);
    free(resizer->rows);
    free(resizer->sums);
    *resizer = (struct resizer){0};
}

static enum tl_rc axis_room(struct axis *axis, unsigned n_out, unsigned taps, struct tl_err *err)
{
    const size_t n_weights = (size_t)n_out * taps;
    if (n_out > axis->first_cap) {
        uint32_t *first = malloc(n_out * sizeof *first);
        if (!first) {
            return tl_fail(err, TL_NO_MEMORY, "no memory to resize to %u pixels", n_out);
        }
        free(axis->first);
        axis->first = first;
        axis->first_cap = n_out;
    }
    if (n_weights > axis->weight_cap) {
        int32_t *weight = malloc(n_weights * sizeof *weight);
        if (!weight) {
            return tl_fail(err, TL_NO_MEMORY, "no memory to resize to %u pixels", n_out);
        }
        free(axis->weight);
        axis->weight = weight;
        axis->weight_cap = n_weights;
    }
    return TL_OK;
}

/* The weights of one output pixel: of `n` input pixels from `first` on, in 2^-22, summing to one exactly. */
static void weigh(int32_t *weight, unsigned n, double first, double centre, double width)
{
    double sum = 0;
    int32_t left = 1 << WEIGHT_BITS;
    unsigned largest = 0;
    for (unsigned k = 0; k < n; k++) {
        sum += fmax(0, 1 - fabs(first + k + 0.5 - centre) / width);
    }
    for (unsigned k = 0; k < n; k++) {
        const double share = fmax(0, 1 - fabs(first + k + 0.5 - centre) / width);
        weight[k] = sum > 0 ? (int32_t)(share / sum * (1 << WEIGHT_BITS)) : 0;
        left -= weight[k];
        largest = weight[k] > weight[largest] ? k : largest;
    }
    weight[largest] += left;
}

/* Output pixel o stands for from + (o .. o+1) * length / n_out of the input. */
static enum tl_rc axis_plan(struct axis *axis, unsigned n_in, double from, double length, unsigned n_out,
                            struct tl_err *err)
{
    if (axis->n_in == n_in && axis->n_out == n_out && axis->from == from && axis->length == length) {
        return TL_OK;
    }
    const double scale = length / n_out, width = scale > 1 ? scale : 1;
    unsigned taps = 2 * (unsigned)ceil(width) + 1;
    taps = taps > n_in ? n_in : taps;
    axis->n_in = 0; /* no plan, should the room fail */
    const enum tl_rc rc = axis_room(axis, n_out, taps, err);
    if (rc) {
        return rc;
    }
    for (unsigned o = 0; o < n_out; o++) {
        const double centre = from + (o + 0.5) * scale;
        double first = floor(centre - width + 0.5);
        first = first > n_in - taps ? n_in - taps : first;
        first = first < 0 ? 0 : first;
        axis->first[o] = (uint32_t)first;
        weigh(axis->weight + (size_t)o * taps, taps, first, centre, width);
    }
    axis->taps = taps;
    axis->n_out = n_out;
    axis->from = from;
    axis->length = length;
    axis->n_in = n_in;
    return TL_OK;
}

static inline uint8_t rounded(int32_t sum)
{
    return (uint8_t)((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS); /* weights sum to one: 0 to 255 */
}

static void across(const struct axis *axis, const uint8_t *in, uint8_t *out)
{
    for (size_t o = 0; o < axis->n_out; o++) {
        const int32_t *weight = axis->weight + o * axis->taps;
        const uint8_t *at = in + (size_t)axis->first[o] * 3;
        int32_t red = 0, green = 0, blue = 0;
        for (size_t k = 0; k < axis->taps; k++) {
            red += weight[k] * at[3 * k];
            green += weight[k] * at[3 * k + 1];
            blue += weight[k] * at[3 * k + 2];
        }
        out[3 * o] = rounded(red);
        out[3 * o + 1] = rounded(green);
        out[3 * o + 2] = rounded(blue);
    }
}

static void down(const struct axis *axis, unsigned o, const uint8_t *rows, size_t row_n, int32_t *restrict sums,
                 uint8_t *restrict out)
{
    const int32_t *weight = axis->weight + (size_t)o * axis->taps;
    memset(sums, 0, row_n * sizeof *sums);
    for (unsigned k = 0; k < axis->taps; k++) {
        const uint8_t *restrict row = rows + k * row_n;
        for (size_t i = 0; i < row_n; i++) {
            sums[i] += weight[k] * row[i];
        }
    }
    for (size_t i = 0; i < row_n; i++) {
        out[i] = rounded(sums[i]);
    }
}

enum tl_rc resize(struct resizer *resizer, const uint8_t *in, unsigned h, unsigned w, struct box box, uint8_t *out,
                  unsigned oh, unsigned ow, struct tl_err *err)
{
    const size_t row_n = (size_t)ow * 3;
    if (oh == h && ow == w && box.x == 0 && box.y == 0 && box.w == w && box.h == h) {
        memcpy(out, in, h * row_n);
        return TL_OK;
    }
    enum tl_rc rc = axis_plan(&resizer->x, w, box.x, box.w, ow, err);
    rc = rc ? rc : axis_plan(&resizer->y, h, box.y, box.h, oh, err);
    if (rc) {
        return rc;
    }
    const unsigned first = resizer->y.first[0], end = resizer->y.first[oh - 1] + resizer->y.taps;
    rc = room_for(&resizer->rows, &resizer->rows_cap, (end - first) * row_n, err);
    if (!rc && row_n > resizer->sums_cap) {
        int32_t *sums = malloc(row_n * sizeof *sums);
        if (!sums) {
            return tl_fail(err, TL_NO_MEMORY, "no memory to resize to %u pixels", ow);
        }
        free(resizer->sums);
        resizer->sums = sums;
        resizer->sums_cap = row_n;
    }
    if (rc) {
        return rc;
    }
    for (unsigned y = first; y < end; y++) {
        across(&resizer->x, in + (size_t)y * w * 3, resizer->rows + (y - first) * row_n);
    }
    for (unsigned o = 0; o < oh; o++) {
        down(&resizer->y, o, resizer->rows + (resizer->y.first[o] - first) * row_n, row_n, resizer->sums,
             out + o * row_n);
    }
    return TL_OK;
}

struct box centre_box(unsigned h, unsigned w, double share)
{
    const double side = (h < w ? h : w) * share;
    return (struct box){.x = (w - side) / 2, .y = (h - side) / 2, .w = side, .h = side};
}
