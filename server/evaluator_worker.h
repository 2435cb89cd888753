/* evaluator_worker.h - metrics that workers outside value: a real supernet, a training run, a simulator.
 *
 * One idea: an evaluator never waits. What workers said is looked up; what they have not said yet is gathered from a whole
 * batch (search_evaluator.prepare), the step fails as TL_UNAVAILABLE, and whoever runs the search asks for it, comes back
 * and makes the same batch again. Metrics of workers are dear, so that cheap ones in front of them reject first.
 *
 * Threads: as evaluator.h; prepare and evaluator_missing by the run's thread.
 */
#ifndef TAILOR_EVALUATOR_WORKER_H
#define TAILOR_EVALUATOR_WORKER_H

#include "server/evaluator.h"

/* Where their values are kept. */
struct worker_values {
    uint32_t
        metrics; /* bit m: workers value metric m, whoever else could; columns are metrics, of one device or none */
    void *ctx;
    /* The values of n architectures of the whole space, by id, into out[i * SEARCH_METRICS_MAX + m] for the metrics above;
     * NAN: cannot be valued. ret_known[i]: all of them are there; otherwise the row is left alone. Any thread. */
    enum tl_rc (*find)(void *ctx, const struct tl_hash *ids, size_t n, double *out, bool *ret_known,
                       struct tl_err *err);
};

/* Of a space that has neither networks nor a table: it values nothing by itself, and every architecture can be asked for. */
TL_MUST_CHECK enum tl_rc evaluator_new_bare(const struct space *space, struct evaluator **ret_evaluator,
                                            struct tl_err *err);
/* From now on these metrics are the workers'. `values` is copied, its ctx borrowed for the evaluator's life. Before a run is
 * made of evaluator_table. */
TL_MUST_CHECK enum tl_rc evaluator_workers_set(struct evaluator *evaluator, const struct worker_values *values,
                                               struct tl_err *err);
/* Bits of the metrics that are theirs; 0: none. */
uint32_t evaluator_workers(const struct evaluator *evaluator);

/* What evaluator_describe leaves out: put the workers' values of an architecture of the narrowed space among the others, NAN
 * where there is none. Nothing without workers. */
TL_MUST_CHECK enum tl_rc evaluator_describe_workers(struct evaluator *evaluator, const uint8_t *arch,
                                                    struct metric_value values[COLUMNS_MAX], struct tl_err *err);

/* What the last batch lacked, in the whole space's terms, each once, in the batch's order: canonical architectures, n rows of
 * n_variables bytes. Borrowed until the next batch. */
size_t evaluator_missing(const struct evaluator *evaluator, const uint8_t **ret_archs);

#endif
