/* archive_pool.h - inside archive building: architectures with values, of which the fronts are kept.
 *
 * Threads: none of its own.
 */
#ifndef TAILOR_ARCHIVE_POOL_H
#define TAILOR_ARCHIVE_POOL_H

#include "server/archive.h"

struct archive_pool {
    size_t width, n, capacity;
    uint8_t *genes;        /* owned, (capacity, width) */
    double *values;        /* owned, (capacity, SEARCH_METRICS_MAX) */
    uint8_t *spare_genes;  /* owned, as genes: where sorting writes to */
    double *spare_values;  /* owned */
    struct pool_key *keys; /* owned, (capacity): scratch */
    double *tree;          /* owned, (capacity + 1): scratch */
    uint8_t *marks;        /* owned, (capacity): scratch */
    size_t n_costs;        /* metrics that are costs here, the one that most searches limit first */
    enum metric costs[METRIC_COUNT];
};

TL_MUST_CHECK enum tl_rc archive_pool_init(struct archive_pool *pool, const struct evaluator *evaluator,
                                           size_t capacity, struct tl_err *err);
void archive_pool_done(struct archive_pool *pool);
/* There must be room. */
void archive_pool_add(struct archive_pool *pool, const uint8_t *genes, const double *values);
/* Keep, in the order of their genes and each once, those on a front of accuracy against one cost or two; where these are
 * more than `most`, those on fronts against one cost, and evenly of the others. What has no finite value leaves. */
void archive_pool_reduce(struct archive_pool *pool, size_t most);

/* A pool that was reduced, in terms of the whole space and with intervals. */
TL_MUST_CHECK enum tl_rc archive_of_pool(const struct archive_pool *pool, struct evaluator *evaluator,
                                         struct archive **ret_archive, struct tl_err *err);

#endif
