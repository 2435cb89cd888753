/* connection.c - how a connection is opened, and what SQLite's result codes mean here.
 *
 * Debian 12's SQLite (3.40.1) can corrupt a database when two connections write or checkpoint at the same time, so
 * there is one read-write connection, which alone checkpoints; the others cannot write, and no file is mapped.
 */
#include "storage/connection.h"

/* FULL: in WAL mode NORMAL may lose the last acknowledged commits with the power. */
static const char WRITER_PRAGMAS[] = "PRAGMA synchronous = FULL;"
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA journal_size_limit = 67108864;";
static const char READER_PRAGMAS[] = "PRAGMA query_only = 1;"
                                     "PRAGMA temp_store = MEMORY;";

enum { BUSY_TIMEOUT_MS = 5000 }; /* a reader meets a lock only while another connection opens or recovers the WAL */

static enum tl_rc rc_of_constraint(int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return TL_NOT_FOUND;
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return TL_CONFLICT;
    default:
        return TL_INVALID;
    }
}

static enum tl_rc rc_of(int code)
{
    if (code == SQLITE_IOERR_NOMEM) {
        return TL_NO_MEMORY;
    }
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return rc_of_constraint(code);
    case SQLITE_READONLY: /* a write inside store_read */
        return TL_CONFLICT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TL_BUSY;
    case SQLITE_TOOBIG:
        return TL_TOO_LARGE;
    case SQLITE_NOMEM:
        return TL_NO_MEMORY;
    default:
        return TL_IO;
    }
}

enum tl_rc store_tx_fail(struct store_tx *tx, int code, struct tl_err *err)
{
    enum tl_rc rc = rc_of(code);
    const char *text = tx->db ? sqlite3_errmsg(tx->db) : sqlite3_errstr(code);
    return tl_fail(err, rc, "the store: %s (SQLite code %d)", text, code);
}

enum tl_rc store_tx_script(struct store_tx *tx, const char *sql, struct tl_err *err)
{
    int code = sqlite3_exec(tx->db, sql, NULL, NULL, NULL);
    return code ? store_tx_fail(tx, code, err) : TL_OK;
}

void store_tx_rollback(struct store_tx *tx)
{
    if (!sqlite3_get_autocommit(tx->db)) {
        /* The only failure is that SQLite has rolled back by itself, which is what is wanted. */
        (void)sqlite3_exec(tx->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

/* Nothing in the file is trusted to run code, and "x" in SQL is a name, never a string. */
static enum tl_rc harden(struct store_tx *tx, bool writes, struct tl_err *err)
{
    const struct {
        int option;
        int value;
    } settings[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1}, {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},         {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},   {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !writes},
    };
    for (size_t i = 0; i < TL_COUNT_OF(settings); i++) {
        int code = sqlite3_db_config(tx->db, settings[i].option, settings[i].value, NULL);
        if (code) {
            return store_tx_fail(tx, code, err);
        }
    }
    sqlite3_busy_timeout(tx->db, BUSY_TIMEOUT_MS);
    return store_tx_script(tx, writes ? WRITER_PRAGMAS : READER_PRAGMAS, err);
}

enum tl_rc store_tx_open(struct store_tx *tx, const char *path, const char *vfs, bool writes, struct tl_err *err)
{
    int flags = writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &tx->db, flags, vfs);
    enum tl_rc rc = code ? store_tx_fail(tx, code, err) : harden(tx, writes, err);
    if (rc) {
        store_tx_close(tx);
    }
    return rc;
}

void store_tx_close(struct store_tx *tx)
{
    for (size_t i = 0; i < tx->n_prepared; i++) {
        sqlite3_finalize(tx->prepared[i].handle);
    }
    sqlite3_close(tx->db);
    *tx = (struct store_tx){0};
}
