/* connection.h - one SQLite connection with the statements it has prepared.
 *
 * The accessors know it as struct store_tx: within a closure a connection is its transaction.
 * Threads: one at a time.
 */
#ifndef TAILOR_STORAGE_CONNECTION_H
#define TAILOR_STORAGE_CONNECTION_H

#include "storage/storage.h"

#include <sqlite3.h>

/* The rooms' accessors have about sixty statements; those beyond are prepared each time. */
enum { STORE_STATEMENTS_MAX = 96 };

struct store_prepared {
    const char *sql;      /* static; its address is the key */
    sqlite3_stmt *handle; /* owned */
    bool busy;            /* a struct store_stmt stands on it */
};

struct store_tx {
    sqlite3 *db;     /* owned */
    const char *dir; /* borrowed from the store; NULL in tests of a bare connection */
    struct store_prepared prepared[STORE_STATEMENTS_MAX];
    size_t n_prepared;
};

/* Open the file: the one read-write connection (created where it is missing), or a reader. On failure `tx` is closed. */
TL_MUST_CHECK enum tl_rc store_tx_open(struct store_tx *tx, const char *path, const char *vfs, bool writes,
                                       struct tl_err *err);
void store_tx_close(struct store_tx *tx); /* takes a zeroed one */

/* Run SQL that yields no rows of interest: pragmas, schema, BEGIN and its like. */
TL_MUST_CHECK enum tl_rc store_tx_script(struct store_tx *tx, const char *sql, struct tl_err *err);

/* Record what SQLite reported. `code` is its extended result code. */
TL_MUST_CHECK enum tl_rc store_tx_fail(struct store_tx *tx, int code, struct tl_err *err);

/* Leave a transaction that is still open, without keeping what it did. */
void store_tx_rollback(struct store_tx *tx);

#endif
