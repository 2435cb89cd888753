/* rows.h - inside the room: where only a list of architectures has values, which of them are still worth asking for.
 *
 * A row leaves when it was evaluated, and those that break a cheap limit were never there, unless all do. So no row is evaluated
 * in two batches, and a search that has seen all of them is over.
 *
 * Threads: read by the slots of a batch, changed between batches.
 */
#ifndef TAILOR_SEARCH_ROWS_H
#define TAILOR_SEARCH_ROWS_H

#include "search/search.h"

struct rows {
    const struct search_evaluator *evaluator; /* borrowed */
    uint64_t *open; /* owned; a bit a row. NULL: there are no rows, everything can be asked for */
    size_t n_words, n_open;
};

/* Looks at the cheap metrics of every row. */
TL_MUST_CHECK enum tl_rc rows_init(struct rows *rows, const struct search_spec *spec,
                                   const struct search_evaluator *evaluator, size_t n_variables, struct tl_err *err);
void rows_done(struct rows *rows);

bool rows_have(const struct rows *rows, const uint8_t *canonical); /* is it an open row, or is there no list? */
/* An open row, any; there must be one. */
void rows_draw(const struct rows *rows, struct tl_rng *rng, uint8_t *ret_canonical);
void rows_take(struct rows *rows, const uint8_t *canonical); /* it was evaluated */

/* Nothing without a list. Loading only closes rows; false: the state opens one that was closed, or ends early. */
TL_MUST_CHECK enum tl_rc rows_save(const struct rows *rows, struct tl_buf *buf, struct tl_err *err);
bool rows_load(struct rows *rows, struct tl_cursor *state);

#endif
