/* evaluator_csv.h - a CSV as somebody published it, read into a table of values by a manifest that says what its columns
 * are.
 *
 * Plain CSV: a line of names, then a line a row; no quotes; lines that begin with # and empty ones are passed over.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_EVALUATOR_CSV_H
#define TAILOR_EVALUATOR_CSV_H

#include "server/evaluator_table.h"

/* What the columns of a CSV are. One of `digits` and `labels` says which architecture a row is of. */
struct table_manifest {
    char digits[TABLE_NAME_MAX + 1]; /* a column with a character a variable, 0..9a..v: the option's place; "": none */
    char labels[SPACE_VARIABLES_MAX][TABLE_NAME_MAX + 1]; /* or for each variable the column with its option's label */
    size_t n_columns;
    struct table_column columns[TABLE_COLUMNS_MAX];
};

/* Every row must be an architecture of the space, once; what an inactive variable takes (or - or nothing) says nothing.
 * An empty cell of a metric is no value. TL_MALFORMED, TL_INVALID: the text names line and column. TL_TOO_LARGE. */
TL_MUST_CHECK enum tl_rc value_table_read_csv(const char *text, size_t n, const struct space *space,
                                              const struct table_manifest *manifest, struct value_table **ret_table,
                                              struct tl_err *err);

/* Append the plain text of a file that may be gzipped; not more than buf->max bytes. */
TL_MUST_CHECK enum tl_rc csv_file_read(const char *path, struct tl_buf *buf, struct tl_err *err);

#endif
