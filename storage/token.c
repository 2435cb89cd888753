/* token.c - rows of table token. */
#include "storage/statement.h"

struct token_visit {
    store_token_fn *fn;
    void *ctx;
};

static enum tl_rc visit_token(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct token_visit *visit = arg;
    const struct store_token token = {
        .id = store_column_int(st, 0),
        .kind = store_column_text(st, 1),
        .device = store_column_text(st, 2),
        .label = store_column_text(st, 3),
        .digest = store_column_text(st, 4),
        .created_ns = store_column_int(st, 5),
        .registered_ns = store_column_int(st, 6),
        .revoked_ns = store_column_int(st, 7),
    };
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &token, err);
}

enum tl_rc store_token_add(struct store_tx *tx, const struct store_token *token, int64_t *ret_id, struct tl_err *err)
{
    static const char SQL[] = "INSERT INTO token (kind, device, label, digest, created_ns, registered_ns, revoked_ns) "
                              "VALUES (?1, ?2, ?3, ?4, ?5, 0, 0) RETURNING id";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, token->kind);
    store_bind_text(&st, token->device);
    store_bind_text(&st, token->label);
    store_bind_text(&st, token->digest);
    store_bind_int(&st, token->created_ns);
    return store_stmt_int(&st, ret_id, err);
}

enum tl_rc store_token_registered(struct store_tx *tx, int64_t id, int64_t now_ns, bool *ret_first, struct tl_err *err)
{
    /* both: primary key */
    static const char FIRST[] = "SELECT registered_ns = 0 FROM token WHERE id = ?1";
    static const char SQL[] = "UPDATE token SET registered_ns = iif(registered_ns = 0, ?2, registered_ns) "
                              "WHERE id = ?1 AND revoked_ns = 0";
    int64_t is_first = 0;
    {
        TL_AUTO(store_stmt) first = store_stmt_open(tx, FIRST);
        store_bind_int(&first, id);
        enum tl_rc rc = store_stmt_int(&first, &is_first, err);
        if (rc) {
            return rc;
        }
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_int(&st, id);
    store_bind_int(&st, now_ns);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    if (!rc && changed) {
        *ret_first = is_first != 0;
    }
    return rc || changed ? rc : tl_fail(err, TL_NOT_FOUND, "no valid token %lld", (long long)id);
}

enum tl_rc store_token_revoke(struct store_tx *tx, int64_t id, int64_t now_ns, struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = "UPDATE token SET revoked_ns = iif(revoked_ns = 0, ?2, revoked_ns) WHERE id = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_int(&st, id);
    store_bind_int(&st, now_ns);
    int changed = 0;
    enum tl_rc rc = store_stmt_run(&st, &changed, err);
    return rc || changed ? rc : tl_fail(err, TL_NOT_FOUND, "no token %lld", (long long)id);
}

enum tl_rc store_token_count(struct store_tx *tx, const char *kind, int64_t *ret_n, struct tl_err *err)
{
    /* token_valid */
    static const char SQL[] = "SELECT count(*) FROM token WHERE kind = ?1 AND revoked_ns = 0";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, kind);
    return store_stmt_int(&st, ret_n, err);
}

enum tl_rc store_token_list(struct store_tx *tx, struct store_page page, store_token_fn *fn, void *ctx,
                            struct tl_err *err)
{
    /* primary key */
    static const char SQL[] =
        "SELECT id, kind, device, label, digest, created_ns, registered_ns, revoked_ns FROM token "
        "WHERE id > ?1 ORDER BY id LIMIT ?2";
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_int(&st, page.after);
    store_bind_int(&st, page.limit);
    struct token_visit visit = {fn, ctx};
    return store_stmt_each(&st, visit_token, &visit, err);
}
