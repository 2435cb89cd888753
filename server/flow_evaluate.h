/* flow_evaluate.h - searches whose values come from workers outside.
 *
 *     running -> evaluating: a batch lacks values    flow_evaluate_jobs, with the checkpoint in one transaction
 *     evaluating -> running: its jobs have ended     flow_evaluate; the batch is made again and finds them
 *
 * What a job that failed was asked for stays without a value in its search; what workers said is kept for every search of
 * the same pool in the same space.
 */
#ifndef TAILOR_FLOW_EVALUATE_H
#define TAILOR_FLOW_EVALUATE_H

#include "server/evaluator_worker.h"
#include "server/flow_steps.h"

struct running;

/* Where the evaluator of a search looks its workers' values up. */
struct worker_source {
    struct store *store;
    const struct search_row *row;
};

/* An evaluator of what the snapshot pins and, of the metrics that the request gives to workers, of theirs. `source` is
 * borrowed for its life. */
TL_MUST_CHECK enum tl_rc flow_evaluator(const struct snapshot *snapshot, struct worker_source *source,
                                        struct evaluator **ret_evaluator, struct tl_err *err);

/* What each column can reach (snapshots_ranges); those of workers are NAN, nobody knows what they will say. */
TL_MUST_CHECK enum tl_rc flow_evaluate_ranges(struct snapshots *snapshots, const struct snapshot *snapshot,
                                              uint32_t metrics, struct metric_range ret_ranges[COLUMNS_MAX],
                                              struct tl_err *err);

/* Can the request be valued so? TL_INVALID names the pool that is none, or what nobody can give. Nothing without a pool. */
TL_MUST_CHECK enum tl_rc flow_evaluate_admit(struct store *store, const struct search_request *request,
                                             const struct snapshot *snapshot, struct tl_err *err);

/* Jobs for what the last batch lacks. Inside store_write. */
TL_MUST_CHECK enum tl_rc flow_evaluate_jobs(struct store_tx *tx, const struct running *r, struct tl_err *err);

/* The conductor's step on a search in state evaluating. TL_UNAVAILABLE: every job of the batch failed, and why. */
TL_MUST_CHECK enum tl_rc flow_evaluate(struct flow *flow, struct search_row *row, struct tl_err *err);

#endif
