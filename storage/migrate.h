/* migrate.h - bring a database file to the schema that this program knows.
 *
 * PRAGMA user_version is the schema's version. A new file gets schema.sql as it is; an older one gets the steps from its
 * version on. Every script ends by setting its own user_version.
 */
#ifndef TAILOR_STORAGE_MIGRATE_H
#define TAILOR_STORAGE_MIGRATE_H

#include "storage/connection.h"

struct store_schema {
    int version;              /* of this program, 1 or more */
    const char *sql;          /* makes an empty file version `version` */
    const char *const *steps; /* steps[i] takes version i + 1 to i + 2; version - 1 of them */
};

extern const struct store_schema store_schema;

/* All or nothing, in one transaction; before an older file is changed, PATH.v<version> holds a durable copy of it.
 * TL_CONFLICT: the schema is newer, or the file is not a store; it is left as it was. */
TL_MUST_CHECK enum tl_rc store_migrate(struct store_tx *tx, const struct store_schema *schema, const char *path,
                                       struct tl_err *err);

#endif
