/* starts.c - the architectures that a search begins with: chosen of those whose values are known, and taken over. */
#include "search/starts.h"
#include "search/goal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sorted by violation, score and index, which no two share. */
static int by_rank(const void *left, const void *right)
{
    const struct search_start *a = left, *b = right;
    if (a->violation == b->violation && a->score == b->score) {
        return a->at < b->at ? -1 : 1;
    }
    return goal_better(a->violation, a->score, b->violation, b->score) ? -1 : 1;
}

enum tl_rc search_starts(const struct search_spec *spec, const double *values, size_t n, size_t k,
                         struct search_start *ret_starts, size_t *ret_n, struct tl_err *err)
{
    size_t n_valued = 0;
    struct search_start *all = malloc((n ? n : 1) * sizeof *all);
    if (!all) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to rank %zu architectures", n);
    }
    for (size_t i = 0; i < n; i++) {
        const double *row = values + i * SEARCH_METRICS_MAX;
        const double violation = goal_violation(spec, row);
        if (violation < (double)INFINITY) {
            all[n_valued++] = (struct search_start){(uint32_t)i, violation, goal_score(spec, row)};
        }
    }
    qsort(all, n_valued, sizeof *all, by_rank);
    *ret_n = n_valued < k ? n_valued : k;
    memcpy(ret_starts, all, *ret_n * sizeof *all);
    free(all);
    return TL_OK;
}

static bool may_start(const struct space *space, const uint8_t *arch)
{
    uint8_t canonical[SPACE_VARIABLES_MAX];
    if (!space_valid(space, arch)) {
        return false;
    }
    memcpy(canonical, arch, space->n_variables);
    space_canonical(space, canonical);
    return memcmp(canonical, arch, space->n_variables) == 0 && space_allowed(space, arch);
}

enum tl_rc starts_take(const struct search_spec *spec, const struct space *space,
                       const struct search_evaluator *evaluator, uint8_t **ret_starts, struct tl_err *err)
{
    const size_t width = space->n_variables, n = spec->n_starts;
    uint8_t *starts = NULL;
    if (n > SEARCH_STARTS_MAX || (n > 0 && evaluator->n_rows > 0)) {
        return tl_fail(err, TL_INVALID, "%zu starts; at most %d are possible, and none in a table", n,
                       SEARCH_STARTS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        if (!may_start(space, spec->starts + i * width)) {
            return tl_fail(err, TL_INVALID, "start %zu is not a canonical architecture of the space", i);
        }
    }
    if (n > 0 && !(starts = malloc(n * width))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu starts", n);
    }
    if (n > 0) {
        memcpy(starts, spec->starts, n * width);
    }
    *ret_starts = starts;
    return TL_OK;
}
