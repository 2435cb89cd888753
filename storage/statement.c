/* statement.c - prepared statements, and SQLite's three outcomes: a row, the end, anything else. */
#include "storage/statement.h"

#include <assert.h>

static struct store_prepared *prepared_find(struct store_tx *tx, const char *sql)
{
    for (size_t i = 0; i < tx->n_prepared; i++) {
        if (tx->prepared[i].sql == sql) {
            return &tx->prepared[i];
        }
    }
    return NULL;
}

/* Prepare, and keep it for next time where there is room. */
static void prepare(struct store_stmt *st, const char *sql, bool keep)
{
    struct store_tx *tx = st->tx;
    st->code = sqlite3_prepare_v3(tx->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->handle, NULL);
    if (!st->code && keep && tx->n_prepared < STORE_STATEMENTS_MAX) {
        st->prepared = &tx->prepared[tx->n_prepared++];
        *st->prepared = (struct store_prepared){.sql = sql, .handle = st->handle, .busy = true};
    }
}

struct store_stmt store_stmt_open(struct store_tx *tx, const char *sql)
{
    struct store_stmt st = {.tx = tx};
    struct store_prepared *prepared = prepared_find(tx, sql);
    if (prepared && !prepared->busy) {
        prepared->busy = true;
        st.prepared = prepared;
        st.handle = prepared->handle;
    } else {
        /* Busy: a visitor asks for the same thing again while its row stands. */
        prepare(&st, sql, !prepared);
    }
    return st;
}

void store_stmt_done(struct store_stmt *st)
{
    if (st->prepared) {
        sqlite3_reset(st->handle); /* repeats the failure that step has reported */
        sqlite3_clear_bindings(st->handle);
        st->prepared->busy = false;
    } else {
        sqlite3_finalize(st->handle);
    }
}

static void note(struct store_stmt *st, int code)
{
    if (!st->code) {
        st->code = code;
    }
}

void store_bind_int(struct store_stmt *st, int64_t value)
{
    st->n_bound++;
    if (!st->code) {
        note(st, sqlite3_bind_int64(st->handle, st->n_bound, value));
    }
}

void store_bind_real(struct store_stmt *st, double value)
{
    st->n_bound++;
    if (!st->code) {
        note(st, sqlite3_bind_double(st->handle, st->n_bound, value));
    }
}

void store_bind_text(struct store_stmt *st, const char *text)
{
    st->n_bound++;
    if (!st->code) {
        note(st, sqlite3_bind_text(st->handle, st->n_bound, text ? text : "", -1, SQLITE_STATIC));
    }
}

void store_bind_bytes(struct store_stmt *st, struct store_bytes bytes)
{
    st->n_bound++;
    if (!st->code) {
        /* A NULL pointer would bind NULL instead of no bytes. */
        const void *data = bytes.data ? bytes.data : "";
        size_t n = bytes.data ? bytes.n : 0;
        note(st, sqlite3_bind_blob64(st->handle, st->n_bound, data, n, SQLITE_STATIC));
    }
}

void store_bind_null(struct store_stmt *st)
{
    st->n_bound++;
    if (!st->code) {
        note(st, sqlite3_bind_null(st->handle, st->n_bound));
    }
}

bool store_column_null(struct store_stmt *st, int column)
{
    return sqlite3_column_type(st->handle, column) == SQLITE_NULL;
}

int64_t store_column_int(struct store_stmt *st, int column)
{
    return sqlite3_column_int64(st->handle, column);
}

double store_column_real(struct store_stmt *st, int column)
{
    return sqlite3_column_double(st->handle, column);
}

const char *store_column_text(struct store_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st->handle, column);
    if (!text) {
        note(st, SQLITE_NOMEM); /* no column of ours is NULL */
    }
    return text;
}

struct store_bytes store_column_bytes(struct store_stmt *st, int column)
{
    const void *data = sqlite3_column_blob(st->handle, column); /* before asking for its length */
    size_t n = (size_t)sqlite3_column_bytes(st->handle, column);
    if (!data && n) {
        note(st, SQLITE_NOMEM);
    }
    return (struct store_bytes){.data = data ? data : "", .n = n};
}

enum tl_rc store_stmt_check(struct store_stmt *st, struct tl_err *err)
{
    return st->code ? store_tx_fail(st->tx, st->code, err) : TL_OK;
}

enum tl_rc store_stmt_step(struct store_stmt *st, bool *ret_row, struct tl_err *err)
{
    if (st->code) {
        return store_tx_fail(st->tx, st->code, err);
    }
    assert(st->n_bound == sqlite3_bind_parameter_count(st->handle));
    int code = sqlite3_step(st->handle);
    switch (code) {
    case SQLITE_ROW:
        *ret_row = true;
        return TL_OK;
    case SQLITE_DONE:
        *ret_row = false;
        return TL_OK;
    default:
        return store_tx_fail(st->tx, code, err);
    }
}

enum tl_rc store_stmt_run(struct store_stmt *st, int *ret_changed, struct tl_err *err)
{
    bool row = false;
    enum tl_rc rc = store_stmt_step(st, &row, err);
    if (rc) {
        return rc;
    }
    assert(!row);
    if (ret_changed) {
        *ret_changed = sqlite3_changes(st->tx->db);
    }
    return TL_OK;
}

enum tl_rc store_stmt_one(struct store_stmt *st, store_row_fn *fn, void *arg, bool *ret_found, struct tl_err *err)
{
    bool row = false;
    enum tl_rc rc = store_stmt_step(st, &row, err);
    if (!rc && row) {
        rc = fn(arg, st, err);
    }
    if (!rc) {
        *ret_found = row;
    }
    return rc;
}

enum tl_rc store_stmt_each(struct store_stmt *st, store_row_fn *fn, void *arg, struct tl_err *err)
{
    bool row = false;
    enum tl_rc rc = store_stmt_step(st, &row, err);
    while (!rc && row) {
        rc = fn(arg, st, err);
        rc = rc ? rc : store_stmt_step(st, &row, err);
    }
    return rc;
}

enum tl_rc store_stmt_int(struct store_stmt *st, int64_t *ret_value, struct tl_err *err)
{
    bool row = false;
    enum tl_rc rc = store_stmt_step(st, &row, err);
    if (!rc) {
        *ret_value = row ? store_column_int(st, 0) : 0;
    }
    return rc;
}

enum tl_rc store_page_check(struct store_page page, struct tl_err *err)
{
    return page.limit < 1 || page.limit > 1000
               ? tl_fail(err, TL_INVALID, "a page has 1 to 1000 rows, not %d", page.limit)
               : TL_OK;
}

bool store_any(const char *filter)
{
    return !filter || !*filter;
}
