/* evaluation.c - rows of table evaluation. */
#include "storage/statement.h"

#include <math.h>

static enum tl_rc read_value(void *ctx, struct store_stmt *st, struct tl_err *err)
{
    double *value = ctx;
    *value = store_column_null(st, 0) ? (double)NAN : store_column_real(st, 0);
    return store_stmt_check(st, err);
}

enum tl_rc store_evaluation_get(struct store_tx *tx, struct store_evaluation *evaluation, bool *ret_known,
                                struct tl_err *err)
{
    /* primary key */
    static const char SQL[] = "SELECT value FROM evaluation "
                              "WHERE source = ?1 AND space = ?2 AND arch = ?3 AND metric = ?4";
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, evaluation->source);
    store_bind_text(&st, evaluation->space);
    store_bind_text(&st, evaluation->arch);
    store_bind_text(&st, evaluation->metric);
    return store_stmt_one(&st, read_value, &evaluation->value, ret_known, err);
}

enum tl_rc store_evaluation_put(struct store_tx *tx, const struct store_evaluation *evaluation, bool *ret_same,
                                struct tl_err *err)
{
    static const char SQL[] = "INSERT INTO evaluation (source, space, arch, metric, value) "
                              "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    struct store_evaluation kept = *evaluation;
    bool known = false;
    enum tl_rc rc = store_evaluation_get(tx, &kept, &known, err);
    if (rc || known) {
        *ret_same = !rc && (kept.value == evaluation->value || (isnan(kept.value) && isnan(evaluation->value)));
        return rc;
    }
    TL_AUTO(store_stmt) st = store_stmt_open(tx, SQL);
    store_bind_text(&st, evaluation->source);
    store_bind_text(&st, evaluation->space);
    store_bind_text(&st, evaluation->arch);
    store_bind_text(&st, evaluation->metric);
    store_bind_real(&st, evaluation->value); /* NAN becomes NULL */
    *ret_same = true;
    return store_stmt_run(&st, NULL, err);
}
