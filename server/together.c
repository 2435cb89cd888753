/* together.c - the limits of a search taken together.
 */
#include "server/together.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Those that are known without asking workers: all, or those that a proof uses. */
static size_t limits_of(const struct search_request *request, bool all, struct search_limit *ret_limits)
{
    size_t n = 0;

    for (size_t i = 0; i < request->n_limits; i++) {
        const struct request_limit *limit = &request->limits[i];
        const bool asked = request->evaluated >> limit->metric & 1U;
        if (!asked && (all || (limit->metric != METRIC_ACCURACY && limit->device == 0))) {
            ret_limits[n++] =
                (struct search_limit){(uint8_t)request_limit_column(request, i), limit->is_min, limit->bound};
        }
    }
    return n;
}

enum tl_rc together_check(struct evaluator *evaluator, const struct search_request *request,
                          struct limits_together *ret_together, struct tl_err *err)
{
    struct search_limit limits[SEARCH_LIMITS_MAX];
    struct limits_together together = {0};
    char text[200];
    const size_t n = limits_of(request, evaluator_tabulated(evaluator), limits);

    *ret_together = together;
    if (n < 2 || !evaluator_impossible(evaluator, limits, n)) {
        return TL_OK;
    }
    const enum tl_rc rc = evaluator_reach(evaluator, limits, n, together.reach, err);
    if (rc) {
        return rc;
    }
    together.n = n;
    *ret_together = together;
    together_text(&request->devices, &together, text, sizeof(text));
    return tl_fail_at(err, TL_INVALID, "/constraints", "no network of %s holds these limits together: %s",
                      request->space, text);
}

enum tl_rc together_admit(const struct snapshot *snapshot, const struct search_request *request,
                          struct limits_together *ret_together, struct tl_err *err)
{
    struct search_limit limits[SEARCH_LIMITS_MAX];
    struct evaluator *evaluator = NULL;
    enum tl_rc rc;

    *ret_together = (struct limits_together){0};
    if (limits_of(request, snapshot->table != NULL, limits) < 2) {
        return TL_OK; /* spares the evaluator */
    }
    if (!(rc = snapshot_evaluator(snapshot, &evaluator, err))) {
        rc = together_check(evaluator, request, ret_together, err);
    }
    evaluator_free(evaluator);
    return rc;
}

enum tl_rc together_reach(struct evaluator *evaluator, const struct search_request *request,
                          struct limits_together *ret_together, struct tl_err *err)
{
    struct search_limit limits[SEARCH_LIMITS_MAX];
    const size_t n = request->evaluated ? 0 : limits_of(request, true, limits);
    const enum tl_rc rc = n < 2 ? TL_OK : evaluator_reach(evaluator, limits, n, ret_together->reach, err);

    ret_together->n = rc || n < 2 ? 0 : n;
    return rc;
}

void together_text(const struct devices *devices, const struct limits_together *together, char *ret_text, size_t size)
{
    char name[COLUMN_NAME_MAX];
    const char *before = "with the others held, ";
    size_t used = 0;

    snprintf(ret_text, size, "%s", together->n ? "no limit can be moved alone" : "");
    for (size_t i = 0; i < together->n; i++) {
        const struct limit_reach *reach = &together->reach[i];
        if (!isnan(reach->value) && used < size) {
            column_name(devices, reach->limit.metric, name);
            used += (size_t)snprintf(ret_text + used, size - used, "%s%s reaches %.6g", before, name, reach->value);
            before = ", ";
        }
    }
}
