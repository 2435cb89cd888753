/* archive.c - the members, in memory and as bytes.
 */
#include "server/archive.h"
#include "server/archive_pool.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ARCHIVE_MAGIC = 0x31415254 }; /* "TRA1" in the order of bytes */

/* Starts of a search: those nearest to what is wanted fill the population of the evolution; the spread ones give the front
 * its length (tests/bench/bench_search.c --archive). */
enum { STARTS_NEAREST = 200, STARTS_SPREAD = 800, STARTS_SPREAD_MAX = SEARCH_STARTS_MAX - 1 };

struct archive {
    size_t width, n;
    struct tl_hash space;
    uint8_t *genes;      /* owned, (n, width) */
    double *values;      /* owned, (n, SEARCH_METRICS_MAX) */
    double *half_widths; /* owned, (n) */
};

void archive_free(struct archive *archive)
{
    if (archive) {
        free(archive->genes);
        free(archive->values);
        free(archive->half_widths);
        free(archive);
    }
}

static enum tl_rc archive_new(const struct space *space, size_t n, struct archive **ret_archive, struct tl_err *err)
{
    struct archive *archive = calloc(1, sizeof(*archive));

    if (archive) {
        *archive = (struct archive){.width = space->n_variables,
                                    .n = n,
                                    .space = space->id,
                                    .genes = calloc(n + 1, space->n_variables),
                                    .values = calloc(n + 1, SEARCH_METRICS_MAX * sizeof(double)),
                                    .half_widths = calloc(n + 1, sizeof(double))};
    }
    if (!archive || !archive->genes || !archive->values || !archive->half_widths) {
        archive_free(archive);
        return tl_fail(err, TL_NO_MEMORY, "no memory for an archive of %zu", n);
    }
    *ret_archive = archive;
    return TL_OK;
}

size_t archive_count(const struct archive *archive)
{
    return archive->n;
}

void archive_at(const struct archive *archive, size_t index, struct archive_member *ret_member)
{
    *ret_member = (struct archive_member){.genes = archive->genes + index * archive->width,
                                          .values = archive->values + index * SEARCH_METRICS_MAX,
                                          .accuracy_half_width = archive->half_widths[index]};
}

enum tl_rc archive_best(const struct archive *archive, const struct search_spec *spec, bool *ret_found,
                        size_t *ret_index, struct tl_err *err)
{
    struct search_start best;
    size_t n = 0;
    enum tl_rc rc = search_starts(spec, archive->values, archive->n, 1, &best, &n, err);

    if (!rc) {
        *ret_found = n == 1 && best.violation == 0;
        *ret_index = n == 1 ? best.at : 0;
    }
    return rc;
}

static size_t lesser(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

/* Every stride-th of the ranked from `begin` to `end` on. */
static void spread(const struct search_start *ranked, size_t begin, size_t end, size_t n_wanted, uint32_t *ret_indices,
                   size_t *n)
{
    const size_t stride = n_wanted > 0 ? (end - begin + n_wanted - 1) / n_wanted : 0;

    for (size_t i = begin; stride > 0 && i < end; i += stride) {
        ret_indices[(*n)++] = ranked[i].at;
    }
}

enum tl_rc archive_starts(const struct archive *archive, const struct search_spec *spec,
                          uint32_t ret_indices[SEARCH_STARTS_MAX], size_t *ret_n, struct tl_err *err)
{
    const uint64_t budget = spec->budget_evaluations;
    const size_t n_nearest = spec->front_wanted ? 1 : lesser(STARTS_NEAREST, budget / 4 + 1);
    const size_t n_spread =
        spec->front_wanted ? lesser(STARTS_SPREAD_MAX, budget / 4) : lesser(STARTS_SPREAD, budget / 20);
    struct search_start *ranked = calloc(archive->n + 1, sizeof(*ranked));
    size_t n_ranked = 0, n_hold = 0, n = 0;
    enum tl_rc rc = ranked ? search_starts(spec, archive->values, archive->n, archive->n, ranked, &n_ranked, err)
                           : tl_fail(err, TL_NO_MEMORY, "no memory for what a search starts from");

    if (!rc) {
        while (n_hold < n_ranked && ranked[n_hold].violation == 0) {
            n_hold++;
        }
        for (; n < n_nearest && n < n_ranked; n++) {
            ret_indices[n] = ranked[n].at;
        }
        if (n < n_hold) {
            spread(ranked, n, n_hold, n_spread, ret_indices, &n);
        }
        *ret_n = n;
    }
    free(ranked);
    return rc;
}

enum tl_rc archive_of_pool(const struct archive_pool *pool, struct evaluator *evaluator, struct archive **ret_archive,
                           struct tl_err *err)
{
    struct archive *archive;
    enum tl_rc rc = archive_new(evaluator_full_space(evaluator), pool->n, &archive, err);

    if (rc) {
        return rc;
    }
    for (size_t i = 0; i < pool->n; i++) {
        struct metric_value described[COLUMNS_MAX];
        const uint8_t *genes = pool->genes + i * pool->width;
        double *values = archive->values + i * SEARCH_METRICS_MAX;
        evaluator_full_arch(evaluator, genes, archive->genes + i * pool->width);
        evaluator_describe(evaluator, genes, described);
        for (size_t m = 0; m < METRIC_COUNT; m++) {
            values[m] = described[m].value;
        }
        archive->half_widths[i] = described[METRIC_ACCURACY].half_width;
    }
    *ret_archive = archive;
    return TL_OK;
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */

enum tl_rc archive_save(const struct archive *archive, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, ARCHIVE_MAGIC, err);

    rc = rc ? rc : tl_buf_add(buf, archive->space.bytes, sizeof(archive->space.bytes), err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)archive->n, err);
    for (size_t i = 0; i < archive->n && !rc; i++) {
        rc = tl_buf_add(buf, archive->genes + i * archive->width, archive->width, err);
        for (size_t m = 0; m < METRIC_COUNT && !rc; m++) {
            rc = tl_buf_put_f64(buf, archive->values[i * SEARCH_METRICS_MAX + m], err);
        }
        rc = rc ? rc : tl_buf_put_f64(buf, archive->half_widths[i], err);
    }
    return rc;
}

/* Canonical, allowed, and behind the one before. */
static bool genes_good(const struct space *space, const uint8_t *genes, const uint8_t *before)
{
    uint8_t canonical[SPACE_VARIABLES_MAX];

    if (!space_valid(space, genes) || (before && memcmp(before, genes, space->n_variables) >= 0)) {
        return false;
    }
    memcpy(canonical, genes, space->n_variables);
    space_canonical(space, canonical);
    return memcmp(canonical, genes, space->n_variables) == 0 && space_allowed(space, genes);
}

static bool load_member(struct archive *archive, size_t i, const struct space *space, struct tl_cursor *cursor)
{
    const uint8_t *genes = tl_cursor_bytes(cursor, archive->width);
    const uint8_t *before = i > 0 ? archive->genes + (i - 1) * archive->width : NULL;
    double *values = archive->values + i * SEARCH_METRICS_MAX;
    bool good = genes && genes_good(space, genes, before);

    for (size_t m = 0; m < METRIC_COUNT && good; m++) {
        values[m] = tl_cursor_f64(cursor);
        good = !isinf(values[m]);
    }
    archive->half_widths[i] = tl_cursor_f64(cursor);
    if (!good || cursor->failed || !isfinite(values[METRIC_ACCURACY]) || !(archive->half_widths[i] >= 0.0)) {
        return false;
    }
    memcpy(archive->genes + i * archive->width, genes, archive->width);
    return true;
}

enum tl_rc archive_load(const void *bytes, size_t n, const struct space *space, struct archive **ret_archive,
                        struct tl_err *err)
{
    struct tl_cursor cursor = tl_cursor_make(bytes, n);
    const uint32_t magic = tl_cursor_u32(&cursor);
    const uint8_t *id = tl_cursor_bytes(&cursor, sizeof(space->id.bytes));
    const uint32_t n_members = tl_cursor_u32(&cursor);
    struct archive *archive = NULL;
    bool good = !cursor.failed && magic == ARCHIVE_MAGIC && n_members <= ARCHIVE_MEMBERS_MAX;
    enum tl_rc rc;

    if (!good || memcmp(id, space->id.bytes, sizeof(space->id.bytes)) != 0) {
        return tl_fail(err, TL_MALFORMED, "these bytes are not an archive of %s", space->name);
    }
    if ((rc = archive_new(space, n_members, &archive, err))) {
        return rc;
    }
    for (size_t i = 0; i < n_members && good; i++) {
        good = load_member(archive, i, space, &cursor);
    }
    if (!good || !tl_cursor_ok(&cursor)) {
        archive_free(archive);
        return tl_fail(err, TL_MALFORMED, "the members of an archive of %s cannot be read", space->name);
    }
    *ret_archive = archive;
    return TL_OK;
}
