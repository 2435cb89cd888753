/* space.c - rows of table space. */
#include "storage/statement.h"

#include <string.h>

struct space_visit {
    store_space_fn *fn;
    void *ctx;
};

static enum tl_rc visit_space(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct space_visit *visit = arg;
    struct store_space space = {
        .seq = store_column_int(st, 0),
        .name = store_column_text(st, 1),
        .created_ns = store_column_int(st, 2),
        .document = store_column_bytes(st, 3),
    };
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &space, err);
}

enum tl_rc store_space_put(struct store_tx *tx, const struct store_space *space, bool *ret_new, struct tl_err *err)
{
    /* both: unique index on name */
    static const char SQL[] = "INSERT INTO space (name, created_ns, document) VALUES (?1, ?2, ?3) "
                              "ON CONFLICT (name) DO NOTHING";
    static const char SAME[] = "SELECT 1 FROM space WHERE name = ?1 AND document = ?2";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, space->name);
    store_bind_int(&st, space->created_ns);
    store_bind_bytes(&st, space->document);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    if (rc || changed) {
        *ret_new = rc ? *ret_new : true;
        return rc;
    }
    TL_AUTO(store_stmt) same = store_stmt_open(tx, SAME);
    store_bind_text(&same, space->name);
    store_bind_bytes(&same, space->document);
    int64_t is_same = 0;
    rc = store_stmt_int(&same, &is_same, err);
    if (rc || !is_same) {
        return rc ? rc : tl_fail(err, TL_CONFLICT, "another space is named %s already", space->name);
    }
    *ret_new = false;
    return TL_OK;
}

enum tl_rc store_space_list(struct store_tx *tx, struct store_page page, store_space_fn *fn, void *ctx,
                            struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = "SELECT seq, name, created_ns, document FROM space WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_int(&st, page.after);
    store_bind_int(&st, page.limit);
    struct space_visit visit = {fn, ctx};
    return store_stmt_each(&st, visit_space, &visit, err);
}
