/* archive_pool.c - fronts by sorting: along one cost, a member is on the front if nothing before it that costs no more of the other
 * has its accuracy; the best so far by the other cost's rank is kept in a tree of prefix maxima (Fenwick 1994).
 */
#include "server/archive_pool.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A member as one front sees it. */
struct pool_key {
    double a, b, accuracy;
    uint32_t at;   /* member */
    uint32_t rank; /* of b, from 1 */
    const uint8_t *genes;
    size_t width;
};

enum mark { MARK_NONE, MARK_PAIR, MARK_SINGLE };

enum tl_rc archive_pool_init(struct archive_pool *pool, const struct evaluator *evaluator, size_t capacity,
                             struct tl_err *err)
{
    /* size_bytes is params in another unit */
    static const enum metric costs[] = {METRIC_LATENCY_MS, METRIC_PARAMS, METRIC_MACS, METRIC_PEAK_MEMORY_BYTES};

    *pool = (struct archive_pool){.width = evaluator_space(evaluator)->n_variables, .capacity = capacity};
    for (size_t i = 0; i < TL_COUNT_OF(costs); i++) {
        if (evaluator_has(evaluator, costs[i])) {
            pool->costs[pool->n_costs++] = costs[i];
        }
    }
    pool->genes = malloc(capacity * pool->width);
    pool->values = malloc(capacity * SEARCH_METRICS_MAX * sizeof(*pool->values));
    pool->spare_genes = malloc(capacity * pool->width);
    pool->spare_values = malloc(capacity * SEARCH_METRICS_MAX * sizeof(*pool->values));
    pool->keys = malloc(capacity * sizeof(*pool->keys));
    pool->tree = malloc((capacity + 1) * sizeof(*pool->tree));
    pool->marks = malloc(capacity);
    if (!pool->genes || !pool->values || !pool->spare_genes || !pool->spare_values || !pool->keys || !pool->tree ||
        !pool->marks) {
        archive_pool_done(pool);
        return tl_fail(err, TL_NO_MEMORY, "no memory for an archive of %zu", capacity);
    }
    return TL_OK;
}

void archive_pool_done(struct archive_pool *pool)
{
    free(pool->genes);
    free(pool->values);
    free(pool->spare_genes);
    free(pool->spare_values);
    free(pool->keys);
    free(pool->tree);
    free(pool->marks);
    *pool = (struct archive_pool){0};
}

void archive_pool_add(struct archive_pool *pool, const uint8_t *genes, const double *values)
{
    memcpy(pool->genes + pool->n * pool->width, genes, pool->width);
    memcpy(pool->values + pool->n * SEARCH_METRICS_MAX, values, SEARCH_METRICS_MAX * sizeof(*values));
    pool->n++;
}

/* ---- order --------------------------------------------------------------------------------------------------- */

static int compare(double a, double b)
{
    return (a > b) - (a < b);
}

static int by_genes(const void *left, const void *right)
{
    const struct pool_key *a = left, *b = right;
    const int order = memcmp(a->genes, b->genes, a->width);

    return order ? order : a->at < b->at ? -1 : 1;
}

static int by_b(const void *left, const void *right)
{
    const struct pool_key *a = left, *b = right;

    return compare(a->b, b->b);
}

static int by_a(const void *left, const void *right)
{
    const struct pool_key *a = left, *b = right;
    int order = compare(a->a, b->a);

    order = order ? order : compare(a->b, b->b);
    order = order ? order : compare(b->accuracy, a->accuracy);
    return order ? order : a->at < b->at ? -1 : 1;
}

static bool valued(const struct archive_pool *pool, size_t at)
{
    const double *values = pool->values + at * SEARCH_METRICS_MAX;
    bool finite = isfinite(values[METRIC_ACCURACY]);

    for (size_t i = 0; i < pool->n_costs; i++) {
        finite = finite && isfinite(values[pool->costs[i]]);
    }
    return finite;
}

/* In the order of their genes, each once, and only what is valued. */
static void sort(struct archive_pool *pool)
{
    uint8_t *genes = pool->genes;
    double *values = pool->values;
    size_t n = 0;

    for (size_t i = 0; i < pool->n; i++) {
        if (valued(pool, i)) {
            pool->keys[n++] =
                (struct pool_key){.at = (uint32_t)i, .genes = genes + i * pool->width, .width = pool->width};
        }
    }
    qsort(pool->keys, n, sizeof(*pool->keys), by_genes);
    pool->genes = pool->spare_genes;
    pool->values = pool->spare_values;
    pool->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || memcmp(pool->keys[i].genes, pool->keys[i - 1].genes, pool->width) != 0) {
            archive_pool_add(pool, pool->keys[i].genes, values + (size_t)pool->keys[i].at * SEARCH_METRICS_MAX);
        }
    }
    pool->spare_genes = genes;
    pool->spare_values = values;
}

/* ---- fronts -------------------------------------------------------------------------------------------------- */

/* The largest accuracy so far among ranks 1..rank; then the member's own is entered. */
static double tree_ask(const double *tree, uint32_t rank)
{
    double most = -(double)INFINITY;

    for (; rank > 0; rank &= rank - 1) {
        most = fmax(most, tree[rank]);
    }
    return most;
}

static void tree_enter(double *tree, size_t n, uint32_t rank, double accuracy)
{
    for (size_t i = rank; i <= n; i += i & (~i + 1)) {
        tree[i] = fmax(tree[i], accuracy);
    }
}

/* Mark what is on the front of accuracy against costs a and b (the same: one cost). */
static void mark_front(struct archive_pool *pool, enum metric a, enum metric b)
{
    uint32_t rank = 0;

    for (size_t i = 0; i < pool->n; i++) {
        const double *values = pool->values + i * SEARCH_METRICS_MAX;
        pool->keys[i] =
            (struct pool_key){.a = values[a], .b = values[b], .accuracy = values[METRIC_ACCURACY], .at = (uint32_t)i};
        pool->tree[i + 1] = -(double)INFINITY;
    }
    qsort(pool->keys, pool->n, sizeof(*pool->keys), by_b);
    for (size_t i = 0; i < pool->n; i++) {
        rank += i == 0 || pool->keys[i].b > pool->keys[i - 1].b;
        pool->keys[i].rank = rank;
    }
    qsort(pool->keys, pool->n, sizeof(*pool->keys), by_a);
    for (size_t i = 0; i < pool->n; i++) {
        const struct pool_key *key = &pool->keys[i];
        if (tree_ask(pool->tree, key->rank) < key->accuracy) {
            tree_enter(pool->tree, pool->n, key->rank, key->accuracy);
            const uint8_t mark = a == b ? MARK_SINGLE : MARK_PAIR;
            pool->marks[key->at] = mark > pool->marks[key->at] ? mark : pool->marks[key->at];
        }
    }
}

/* Unmark every second of those with this mark; returns how many are marked at all afterwards. */
static size_t thin(struct archive_pool *pool, uint8_t mark)
{
    size_t n = 0, n_same = 0;

    for (size_t i = 0; i < pool->n; i++) {
        if (pool->marks[i] == mark && n_same++ % 2) {
            pool->marks[i] = MARK_NONE;
        }
        n += pool->marks[i] != MARK_NONE;
    }
    return n;
}

static size_t count(const struct archive_pool *pool, uint8_t mark)
{
    size_t n = 0;

    for (size_t i = 0; i < pool->n; i++) {
        n += pool->marks[i] == mark;
    }
    return n;
}

static void drop_unmarked(struct archive_pool *pool)
{
    const size_t n = pool->n;

    pool->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (pool->marks[i] != MARK_NONE) {
            const size_t to = pool->n++;
            memmove(pool->genes + to * pool->width, pool->genes + i * pool->width, pool->width);
            memmove(pool->values + to * SEARCH_METRICS_MAX, pool->values + i * SEARCH_METRICS_MAX,
                    SEARCH_METRICS_MAX * sizeof(*pool->values));
        }
    }
}

void archive_pool_reduce(struct archive_pool *pool, size_t most)
{
    size_t n;

    sort(pool);
    memset(pool->marks, MARK_NONE, pool->n);
    for (size_t a = 0; a < pool->n_costs; a++) {
        for (size_t b = a; b < pool->n_costs; b++) {
            mark_front(pool, pool->costs[a], pool->costs[b]);
        }
    }
    n = count(pool, MARK_SINGLE) + count(pool, MARK_PAIR);
    while (n > most) {
        n = thin(pool, count(pool, MARK_PAIR) > 1 ? MARK_PAIR : MARK_SINGLE);
    }
    drop_unmarked(pool);
}
