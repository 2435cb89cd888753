/* candidate.c - rows of table candidate. */
#include "storage/statement.h"

#define CANDIDATE_COLUMNS "id, search, arch, role, number, genes, \"values\""

struct candidate_visit {
    store_candidate_fn *fn;
    void *ctx;
};

static enum tl_rc visit_candidate(void *arg, struct store_stmt *st, struct tl_err *err)
{
    const struct candidate_visit *visit = arg;
    struct store_candidate candidate = {
        .id = store_column_int(st, 0),
        .search = store_column_text(st, 1),
        .arch = store_column_text(st, 2),
        .role = store_column_text(st, 3),
        .number = store_column_int(st, 4),
        .genes = store_column_bytes(st, 5),
        .values = store_column_bytes(st, 6),
    };
    enum tl_rc rc = store_stmt_check(st, err);
    return rc ? rc : visit->fn(visit->ctx, &candidate, err);
}

static enum tl_rc read_id(void *arg, struct store_stmt *st, struct tl_err *err)
{
    *(int64_t *)arg = store_column_int(st, 0);
    return store_stmt_check(st, err);
}

enum tl_rc store_candidate_put(struct store_tx *tx, const struct store_candidate *candidate, int64_t *ret_id,
                               struct tl_err *err)
{
    /* unique index on (search, arch) */
    static const char SQL[] = "INSERT INTO candidate (search, arch, role, number, genes, \"values\") "
                              "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (search, arch) DO UPDATE "
                              "SET role = ?3, number = ?4, genes = ?5, \"values\" = ?6 RETURNING id";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, candidate->search);
    store_bind_text(&st, candidate->arch);
    store_bind_text(&st, candidate->role);
    store_bind_int(&st, candidate->number);
    store_bind_bytes(&st, candidate->genes);
    store_bind_bytes(&st, candidate->values);
    bool found = false; /* always: either way there is a row to return */
    return store_stmt_one(&st, read_id, ret_id, &found, err);
}

enum tl_rc store_candidate_clear(struct store_tx *tx, const char *search, const char *role, struct tl_err *err)
{
    /* candidate_by_role */
    static const char SQL[] = "DELETE FROM candidate WHERE search = ?1 AND role = ?2";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, search);
    store_bind_text(&st, role);
    return store_stmt_run(&st, NULL, err);
}

enum tl_rc store_candidate_get(struct store_tx *tx, int64_t id, store_candidate_fn *fn, void *ctx, struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = "SELECT " CANDIDATE_COLUMNS " FROM candidate WHERE id = ?1";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_int(&st, id);
    struct candidate_visit visit = {fn, ctx};
    bool found = false;
    enum tl_rc rc = store_stmt_one(&st, visit_candidate, &visit, &found, err);
    return rc || found ? rc : tl_fail(err, TL_NOT_FOUND, "no candidate %lld", (long long)id);
}

enum tl_rc store_candidate_list(struct store_tx *tx, const char *search, const char *role, struct store_page page,
                                store_candidate_fn *fn, void *ctx, struct tl_err *err)
{
    /* candidate_by_search, candidate_by_role */
    static const char ALL[] = "SELECT " CANDIDATE_COLUMNS " FROM candidate WHERE search = ?1 AND id > ?2 "
                              "ORDER BY id LIMIT ?3";
    static const char OF_ROLE[] = "SELECT " CANDIDATE_COLUMNS " FROM candidate WHERE search = ?1 AND id > ?2 "
                                  "AND role = ?4 ORDER BY id LIMIT ?3";
    enum tl_rc rc = store_page_check(page, err);
    if (rc) {
        return rc;
    }
    bool all = store_any(role);
    TL_AUTO(store_stmt) st = store_stmt_open(tx, all ? ALL : OF_ROLE);
    store_bind_text(&st, search);
    store_bind_int(&st, page.after);
    store_bind_int(&st, page.limit);
    if (!all) {
        store_bind_text(&st, role);
    }
    struct candidate_visit visit = {fn, ctx};
    return store_stmt_each(&st, visit_candidate, &visit, err);
}
