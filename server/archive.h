/* archive.h - a dense front of one (space, device, models), kept so that a new limit is answered from it at once and a search
 * starts from it.
 *
 * One idea: whatever limits a search may put on costs, its answer lies on a front of accuracy against those costs. An
 * archive is the union of the fronts of accuracy against every cost and every pair of costs, as far as a seeded sequence of
 * short searches under limits spread over what the costs can reach has found them. Each of these starts from the members so
 * far, so that what one has found serves its neighbours; an archive of other models is valued again and serves likewise.
 *
 * Members are held in the terms of the family's whole space, in the order of their genes, so that equal archives have equal bytes and one
 * hash.
 *
 * Threads: an archive is immutable and shared freely; one being built belongs to one thread.
 */
#ifndef TAILOR_ARCHIVE_H
#define TAILOR_ARCHIVE_H

#include "server/evaluator.h"

enum { ARCHIVE_MEMBERS_MAX = 8192 };

struct archive;

struct archive_member {
    const uint8_t *genes;       /* canonical, of the whole space; borrowed from the archive */
    const double *values;       /* (METRIC_COUNT); NAN: the models do not give it */
    double accuracy_half_width; /* as struct metric_value says */
};

void archive_free(struct archive *archive);
size_t archive_count(const struct archive *archive);
void archive_at(const struct archive *archive, size_t index, struct archive_member *ret_member);

/* The member that is best by spec's objective among those that hold its limits; false: none does. */
TL_MUST_CHECK enum tl_rc archive_best(const struct archive *archive, const struct search_spec *spec, bool *ret_found,
                                      size_t *ret_index, struct tl_err *err);
/* Indices of the members that a search should start from, in this order: the best one first, then those nearest to it, then
 * some spread over all that hold the limits, for the front. Together at most a third of its budget. */
TL_MUST_CHECK enum tl_rc archive_starts(const struct archive *archive, const struct search_spec *spec,
                                        uint32_t ret_indices[SEARCH_STARTS_MAX], size_t *ret_n, struct tl_err *err);

/* Bytes and back. TL_MALFORMED: not an archive of `space`, or its members are not canonical, in order and once each, with
 * finite values or none. */
TL_MUST_CHECK enum tl_rc archive_save(const struct archive *archive, struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc archive_load(const void *bytes, size_t n, const struct space *space,
                                      struct archive **ret_archive, struct tl_err *err);

/* ---- building ------------------------------------------------------------------------------------------------ */

struct archive_build;

/* `evaluator` has accuracy and no table; borrowed for the build's life. `old`: members to value again, borrowed for this
 * call; may be NULL. budget: evaluations, those of the old members included; the same arguments give the same archive. */
TL_MUST_CHECK enum tl_rc archive_build_new(struct evaluator *evaluator, const struct archive *old, uint64_t budget,
                                           struct archive_build **ret_build, struct tl_err *err);
void archive_build_free(struct archive_build *build);
/* Go on for about n_evaluations. */
TL_MUST_CHECK enum tl_rc archive_build_step(struct archive_build *build, uint64_t n_evaluations, bool *ret_done,
                                            struct tl_err *err);
uint64_t archive_build_evaluations(const struct archive_build *build); /* so far */
bool archive_build_valued(const struct archive_build *build);          /* are all old members valued again? */
/* The members so far. TL_CONFLICT: the old ones are not valued yet. */
TL_MUST_CHECK enum tl_rc archive_build_get(struct archive_build *build, struct archive **ret_archive,
                                           struct tl_err *err);

#endif
