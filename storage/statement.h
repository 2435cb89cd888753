/* statement.h - one use of a prepared statement: bind in order, step, read columns.
 *
 *     static const char SQL[] = "UPDATE device SET seen_ns = ?2 WHERE name = ?1";
 *     TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
 *     store_bind_text(&st, name);
 *     store_bind_int(&st, seen_ns);
 *     return store_stmt_run(&st, &n_changed, err);
 *
 * The SQL's address is its key in the connection's cache, so it must be static. A failure to prepare, bind or read a
 * column is kept and reported by the call that steps, so that only that one needs a check.
 */
#ifndef TAILOR_STORAGE_STATEMENT_H
#define TAILOR_STORAGE_STATEMENT_H

#include "storage/connection.h"

struct store_stmt {
    struct store_tx *tx;             /* borrowed */
    struct store_prepared *prepared; /* borrowed from tx; NULL: the handle is owned by this use */
    sqlite3_stmt *handle;
    int n_bound;
    int code; /* first failure that no step has reported yet */
};

struct store_stmt store_stmt_open(struct store_tx *tx, const char *sql);
void store_stmt_done(struct store_stmt *st);

/* Bind the next parameter: the first call binds ?1. What is bound is borrowed until store_stmt_done. */
void store_bind_int(struct store_stmt *st, int64_t value);
void store_bind_real(struct store_stmt *st, double value);     /* NaN is stored as NULL, which most columns refuse */
void store_bind_text(struct store_stmt *st, const char *text); /* NULL: "" */
void store_bind_bytes(struct store_stmt *st, struct store_bytes bytes); /* data NULL: empty */
void store_bind_null(struct store_stmt *st);

/* Columns of the row that stands, from 0; text and bytes are borrowed until the next step. */
bool store_column_null(struct store_stmt *st, int column);
int64_t store_column_int(struct store_stmt *st, int column);
double store_column_real(struct store_stmt *st, int column);
const char *store_column_text(struct store_stmt *st, int column);
struct store_bytes store_column_bytes(struct store_stmt *st, int column);

/* Reads one row and hands it on, unless store_stmt_check says that a column could not be read. */
typedef enum tl_rc store_row_fn(void *arg, struct store_stmt *st, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_stmt_check(struct store_stmt *st, struct tl_err *err);

/* Step to the next row (*ret_row true) or to the end (false). */
TL_MUST_CHECK enum tl_rc store_stmt_step(struct store_stmt *st, bool *ret_row, struct tl_err *err);
/* Run a statement without rows; *ret_changed (may be NULL) rows were written. */
TL_MUST_CHECK enum tl_rc store_stmt_run(struct store_stmt *st, int *ret_changed, struct tl_err *err);
/* Call fn for the first row, if there is one. */
TL_MUST_CHECK enum tl_rc store_stmt_one(struct store_stmt *st, store_row_fn *fn, void *arg, bool *ret_found,
                                        struct tl_err *err);
/* Call fn for every row, until it fails. */
TL_MUST_CHECK enum tl_rc store_stmt_each(struct store_stmt *st, store_row_fn *fn, void *arg, struct tl_err *err);

/* The first column of the first row; 0 when there is no row. */
TL_MUST_CHECK enum tl_rc store_stmt_int(struct store_stmt *st, int64_t *ret_value, struct tl_err *err);

TL_MUST_CHECK enum tl_rc store_page_check(struct store_page page, struct tl_err *err);
bool store_any(const char *filter); /* NULL or "": the list is not narrowed by it */

#endif
