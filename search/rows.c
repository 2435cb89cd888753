/* rows.c - see rows.h. */
#include "search/rows.h"

#include "search/goal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static bool is_open(const struct rows *rows, size_t row)
{
    return rows->open[row / 64] >> (row % 64) & 1;
}

static void close_row(struct rows *rows, size_t row)
{
    rows->n_open -= is_open(rows, row);
    rows->open[row / 64] &= ~(UINT64_C(1) << (row % 64));
}

/* How far a row is from holding the limits on cheap metrics; infinite where it lacks a value that matters. */
static enum tl_rc violation_of(const struct rows *rows, const struct search_spec *spec, size_t n_variables, size_t row,
                               double *ret_violation, struct tl_err *err)
{
    const struct search_evaluator *evaluator = rows->evaluator;
    uint8_t arch[SPACE_VARIABLES_MAX];
    double values[SEARCH_METRICS_MAX] = {0}; /* the dear ones are not known yet */
    evaluator->arch(evaluator->ctx, row, arch);
    if (evaluator->n_cheap == 0) {
        *ret_violation = 0;
        return TL_OK;
    }
    enum tl_rc rc = evaluator->values(evaluator->ctx, 0, evaluator->n_cheap, arch, n_variables, 1, values, 0, err);
    if (!rc) {
        const double violation = goal_violation_below(spec, values, evaluator->n_cheap);
        *ret_violation = isinf(goal_violation(spec, values)) ? (double)INFINITY : violation;
    }
    return rc;
}

/* Open those that hold every such limit; where none does, all that have their values. */
static enum tl_rc open_rows(struct rows *rows, const struct search_spec *spec, size_t n_variables, double worst,
                            struct tl_err *err)
{
    for (size_t row = 0; row < rows->evaluator->n_rows; row++) {
        double violation = (double)INFINITY;
        enum tl_rc rc = violation_of(rows, spec, n_variables, row, &violation, err);
        if (rc) {
            return rc;
        }
        if (violation <= worst) {
            rows->open[row / 64] |= UINT64_C(1) << (row % 64);
            rows->n_open++;
        }
    }
    return TL_OK;
}

enum tl_rc rows_init(struct rows *rows, const struct search_spec *spec, const struct search_evaluator *evaluator,
                     size_t n_variables, struct tl_err *err)
{
    *rows = (struct rows){.evaluator = evaluator, .n_words = (evaluator->n_rows + 63) / 64};
    if (evaluator->n_rows == 0) {
        return TL_OK;
    }
    rows->open = calloc(rows->n_words, sizeof *rows->open);
    if (!rows->open) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu rows", evaluator->n_rows);
    }
    enum tl_rc rc = open_rows(rows, spec, n_variables, 0.0, err);
    return rc || rows->n_open ? rc : open_rows(rows, spec, n_variables, DBL_MAX, err);
}

void rows_done(struct rows *rows)
{
    free(rows->open);
    rows->open = NULL;
}

bool rows_have(const struct rows *rows, const uint8_t *canonical)
{
    if (!rows->open) {
        return true;
    }
    const size_t row = rows->evaluator->row(rows->evaluator->ctx, canonical);
    return row < rows->evaluator->n_rows && is_open(rows, row);
}

/* The first open row at or behind one that is drawn, the list taken as a ring. */
void rows_draw(const struct rows *rows, struct tl_rng *rng, uint8_t *ret_canonical)
{
    const size_t from = tl_rng_below(rng, (uint32_t)rows->evaluator->n_rows);
    size_t at = from / 64;
    uint64_t word = rows->open[at] & UINT64_MAX << (from % 64);
    while (word == 0) {
        at = (at + 1) % rows->n_words;
        word = rows->open[at];
    }
    rows->evaluator->arch(rows->evaluator->ctx, at * 64 + (size_t)__builtin_ctzll(word), ret_canonical);
}

void rows_take(struct rows *rows, const uint8_t *canonical)
{
    if (rows->open) {
        close_row(rows, rows->evaluator->row(rows->evaluator->ctx, canonical));
    }
}

/* ---- state --------------------------------------------------------------------------------------------------- */

enum tl_rc rows_save(const struct rows *rows, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; rows->open && !rc && i < rows->n_words; i++) {
        rc = tl_buf_put_u64(buf, rows->open[i], err);
    }
    return rc;
}

bool rows_load(struct rows *rows, struct tl_cursor *state)
{
    size_t n_open = 0;
    for (size_t i = 0; rows->open && i < rows->n_words; i++) {
        const uint64_t word = tl_cursor_u64(state);
        if (state->failed || (word & ~rows->open[i])) {
            return false;
        }
        rows->open[i] = word;
        n_open += (size_t)__builtin_popcountll(word);
    }
    rows->n_open = n_open;
    return true;
}
