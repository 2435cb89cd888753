/* migrate.c - schema versions. */
#include "storage/migrate.h"

#include "storage/statement.h"

#include <fcntl.h>
#include <unistd.h>

enum { APPLICATION_ID = 1413565522 }; /* "TALR", set by schema.sql */

extern const char store_schema_sql[]; /* schema.S */

/* Step i leads from version i + 1 to the next: what schema.sql says of the new tables, word for word, so that an old file
 * becomes what a new one is. */
static const char *const steps[] = {
    "CREATE TABLE space (                         -- written once, never changed; families are not among them\n"
    "    seq INTEGER PRIMARY KEY,                 -- store_space_list\n"
    "    name TEXT NOT NULL UNIQUE,               -- store_space_put\n"
    "    created_ns INTEGER NOT NULL,\n"
    "    document BLOB NOT NULL\n"
    ") STRICT;"
    "PRAGMA user_version = 2;",

    /* A CHECK cannot be changed: the table is made again, and what refers to it by name stays as it is. */
    "PRAGMA legacy_alter_table = ON; ALTER TABLE search RENAME TO search_2;\n"
    "CREATE TABLE search (\n"
    "    seq INTEGER PRIMARY KEY,                 -- store_search_list\n"
    "    id TEXT NOT NULL UNIQUE,                 -- store_search_get, _update; parent of candidate and event\n"
    "    space TEXT NOT NULL,\n"
    "    device TEXT NOT NULL,\n"
    "    state TEXT NOT NULL CHECK (state IN ('queued', 'profiling', 'running', 'verifying', 'waiting_for_device',\n"
    "                                         'evaluating', 'finished', 'failed', 'cancelled')),\n"
    "    outcome TEXT NOT NULL,\n"
    "    snapshot TEXT NOT NULL,\n"
    "    created_ns INTEGER NOT NULL,\n"
    "    updated_ns INTEGER NOT NULL,\n"
    "    finished_ns INTEGER NOT NULL,\n"
    "    evaluations INTEGER NOT NULL,\n"
    "    revision INTEGER NOT NULL,               -- + 1 with every change\n"
    "    spec BLOB NOT NULL,\n"
    "    progress BLOB NOT NULL,\n"
    "    checkpoint BLOB NOT NULL,\n"
    "    result BLOB NOT NULL\n"
    ") STRICT;\n"
    "INSERT INTO search SELECT * FROM search_2; DROP TABLE search_2; PRAGMA legacy_alter_table = OFF;\n"
    "CREATE INDEX search_by_state ON search (state);   -- store_search_next; store_search_list of one state\n"
    "CREATE INDEX search_by_device ON search (device); -- store_search_list of one device\n"
    "CREATE TABLE evaluation (                    -- what a worker said, once for all; never changed\n"
    "    source TEXT NOT NULL,                    -- a pool of workers; or a search: what stays without a value in it alone\n"
    "    space TEXT NOT NULL,\n"
    "    arch TEXT NOT NULL,\n"
    "    metric TEXT NOT NULL,\n"
    "    value REAL,                              -- NULL: cannot be valued\n"
    "    PRIMARY KEY (source, space, arch, metric) -- store_evaluation_put, _get\n"
    ") STRICT, WITHOUT ROWID;\n"
    "PRAGMA user_version = 3;",
};

const struct store_schema store_schema = {.version = 3, .sql = store_schema_sql, .steps = steps};

static enum tl_rc read_int(struct store_tx *tx, const char *sql, int64_t *ret_value, struct tl_err *err)
{
    TL_AUTO(store_stmt) st = store_stmt_open(tx, sql);
    return store_stmt_int(&st, ret_value, err);
}

static enum tl_rc read_version(struct store_tx *tx, int64_t *ret_version, struct tl_err *err)
{
    static const char VERSION[] = "PRAGMA user_version";
    return read_int(tx, VERSION, ret_version, err);
}

/* Is this file a store, or still empty? */
static enum tl_rc identify(struct store_tx *tx, const char *path, struct tl_err *err)
{
    static const char APPLICATION[] = "PRAGMA application_id";
    static const char CHANGES[] = "PRAGMA schema_version"; /* 0: nothing was ever created in it */
    int64_t application = 0;
    int64_t n_changes = 0;
    enum tl_rc rc = read_int(tx, APPLICATION, &application, err);
    rc = rc ? rc : read_int(tx, CHANGES, &n_changes, err);
    if (rc) {
        return rc;
    }
    bool empty = application == 0 && n_changes == 0;
    return empty || application == APPLICATION_ID
               ? TL_OK
               : tl_fail(err, TL_CONFLICT, "%s is a SQLite file of another program", path);
}

static enum tl_rc sync_file(const char *path, struct tl_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd)) {
        enum tl_rc rc = tl_fail_sys(err, "cannot write %s to the disk", path);
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    close(fd);
    return TL_OK;
}

/* VACUUM INTO neither replaces a file nor syncs the one it writes. A copy that an interrupted attempt left is of the
 * same version, maybe incomplete: it goes. */
static enum tl_rc copy_beside(struct store_tx *tx, const char *path, int64_t version, struct tl_err *err)
{
    static const char COPY[] = "VACUUM INTO ?1";
    TL_AUTO(tl_buf) copy = {0};
    enum tl_rc rc = tl_buf_addf(&copy, err, "%s.v%lld", path, (long long)version);
    rc = rc ? rc : tl_file_remove(copy.data, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, COPY);
    store_bind_text(&st, copy.data);
    rc = store_stmt_run(&st, NULL, err);
    return rc ? rc : sync_file(copy.data, err);
}

static enum tl_rc no_orphans(struct store_tx *tx, struct tl_err *err)
{
    static const char ORPHANS[] = "PRAGMA foreign_key_check";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, ORPHANS);
    bool row = false;
    enum tl_rc rc = store_stmt_step(&st, &row, err);
    return !rc && row ? tl_fail(err, TL_IO, "after migrating, a row of table %s names a row that is not there",
                                store_column_text(&st, 0))
                      : rc;
}

static enum tl_rc run_scripts(struct store_tx *tx, const struct store_schema *schema, int64_t version,
                              struct tl_err *err)
{
    enum tl_rc rc = version == 0 ? store_tx_script(tx, schema->sql, err) : TL_OK;
    for (int64_t v = version; !rc && v > 0 && v < schema->version; v++) {
        rc = store_tx_script(tx, schema->steps[v - 1], err);
    }
    int64_t reached = 0;
    rc = rc ? rc : read_version(tx, &reached, err);
    if (!rc && reached != schema->version) {
        rc = tl_fail(err, TL_IO, "the scripts lead to schema %lld, not %d", (long long)reached, schema->version);
    }
    return rc ? rc : no_orphans(tx, err);
}

enum tl_rc store_migrate(struct store_tx *tx, const struct store_schema *schema, const char *path, struct tl_err *err)
{
    int64_t version = 0;
    enum tl_rc rc = identify(tx, path, err);
    rc = rc ? rc : read_version(tx, &version, err);
    if (rc || version == schema->version) {
        return rc;
    }
    if (version > schema->version) {
        return tl_fail(err, TL_CONFLICT, "%s has schema %lld; this program knows schemas up to %d", path,
                       (long long)version, schema->version);
    }
    rc = version > 0 ? copy_beside(tx, path, version, err) : TL_OK;
    rc = rc ? rc : store_tx_script(tx, "BEGIN IMMEDIATE", err);
    if (rc) {
        return rc;
    }
    rc = run_scripts(tx, schema, version, err);
    rc = rc ? rc : store_tx_script(tx, "COMMIT", err);
    store_tx_rollback(tx);
    return rc;
}
