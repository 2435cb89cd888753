/* starts.c - of architectures whose values are known, those that a search should begin with. */
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
