/* shelf.c - a row is the number, then the values, then one byte a variable; rows begin at multiples of eight bytes. */
#include "search/shelf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = sizeof(uint64_t) };

enum tl_rc shelf_init(struct shelf *shelf, const struct space *space, size_t n_metrics, size_t capacity,
                      struct tl_err *err)
{
    size_t bytes = NUMBER_BYTES + n_metrics * sizeof(double) + space->n_variables;
    size_t stride = (bytes + 7) / 8 * 8;
    uint8_t *rows = calloc(capacity ? capacity : 1, stride);
    if (!rows) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to keep %zu candidates", capacity);
    }
    *shelf =
        (struct shelf){.space = space, .n_metrics = n_metrics, .capacity = capacity, .stride = stride, .rows = rows};
    return TL_OK;
}

void shelf_done(struct shelf *shelf)
{
    free(shelf->rows);
    *shelf = (struct shelf){0};
}

void shelf_put(struct shelf *shelf, size_t index, uint64_t number, const double *values, const uint8_t *arch)
{
    uint8_t *row = shelf->rows + index * shelf->stride;
    size_t value_bytes = shelf->n_metrics * sizeof(double);
    memcpy(row, &number, NUMBER_BYTES);
    memcpy(row + NUMBER_BYTES, values, value_bytes);
    memcpy(row + NUMBER_BYTES + value_bytes, arch, shelf->space->n_variables);
}

void shelf_get(const struct shelf *shelf, size_t index, struct search_candidate *ret_candidate)
{
    const uint8_t *row = shelf->rows + index * shelf->stride;
    size_t value_bytes = shelf->n_metrics * sizeof(double);
    memcpy(&ret_candidate->number, row, NUMBER_BYTES);
    memcpy(ret_candidate->values, row + NUMBER_BYTES, value_bytes);
    for (size_t m = shelf->n_metrics; m < SEARCH_METRICS_MAX; m++) {
        ret_candidate->values[m] = (double)NAN;
    }
    ret_candidate->arch = row + NUMBER_BYTES + value_bytes;
}

enum tl_rc shelf_save(const struct shelf *shelf, size_t index, struct tl_buf *buf, struct tl_err *err)
{
    struct search_candidate candidate;
    shelf_get(shelf, index, &candidate);
    enum tl_rc rc = tl_buf_put_u64(buf, candidate.number, err);
    for (size_t m = 0; !rc && m < shelf->n_metrics; m++) {
        rc = tl_buf_put_f64(buf, candidate.values[m], err);
    }
    return rc ? rc : tl_buf_add(buf, candidate.arch, shelf->space->n_variables, err);
}

static bool is_canonical(const struct space *space, const uint8_t *arch)
{
    uint8_t canonical[SPACE_VARIABLES_MAX];
    if (!space_valid(space, arch)) {
        return false;
    }
    memcpy(canonical, arch, space->n_variables);
    space_canonical(space, canonical);
    return memcmp(canonical, arch, space->n_variables) == 0;
}

bool shelf_load(struct shelf *shelf, size_t index, uint64_t n_numbers, struct tl_cursor *state)
{
    double values[SEARCH_METRICS_MAX];
    uint64_t number = tl_cursor_u64(state);
    for (size_t m = 0; m < shelf->n_metrics; m++) {
        values[m] = tl_cursor_f64(state);
    }
    const uint8_t *arch = tl_cursor_bytes(state, shelf->space->n_variables);
    if (!arch || number >= n_numbers || !is_canonical(shelf->space, arch)) {
        return false;
    }
    shelf_put(shelf, index, number, values, arch);
    return true;
}
