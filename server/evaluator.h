/* evaluator.h - what an architecture costs and is worth: exact cost, the device's latency, predicted accuracy, as one
 * evaluator for searches and benches. Links no HTTP and no SQL.
 *
 * One idea: cost and latency are sums (peak memory: a maximum) over the slots of a family, so they are tables by
 * (resolution, slot, choice), filled once; an architecture is then some twenty additions. Accuracy goes through its model in
 * batches. Where there are no networks, all values come from a table (evaluator_table.h). Whatever the kind of space, workers
 * outside may be who values a metric (evaluator_worker.h).
 *
 * The search's space is narrowed to the resolutions at which every model is valid (an accuracy model fitted at 224 keeps
 * the search at 224); evaluator_full_arch leads back to the whole space, in whose terms architectures are stored and named.
 *
 * Threads: values may be asked by several threads at once with different thread numbers; correct() by one while none asks.
 */
#ifndef TAILOR_EVALUATOR_H
#define TAILOR_EVALUATOR_H

#include "latency/latency.h"
#include "search/search.h"
#include "server/evaluator_columns.h"
#include "supernet/network.h"

struct accuracy_model;

/* A value with what is known of it. */
struct metric_value {
    double value;
    double
        half_width; /* absolute half width of the 90 % interval; HUGE_VAL: no known error; 0: computed or tabulated */
};

/* What a column can reach. The slacks are half widths of the intervals at the ends: a bound beyond an end by more cannot be met,
 * by less only perhaps. 0 where the value is computed or its error unknown. */
struct metric_range {
    double min, max;
    double min_slack, max_slack;
};

struct evaluator;

/* `accuracy` and `latency` may be NULL: their metric is then NAN. All borrowed for the evaluator's life. `n_threads`: how
 * many thread numbers values() may see. TL_INVALID: the models share no resolution, or one is not of this family. */
TL_MUST_CHECK enum tl_rc evaluator_new(const struct net_family *family, const struct accuracy_model *accuracy,
                                       const struct lat_model *latency, unsigned n_threads,
                                       struct evaluator **ret_evaluator, struct tl_err *err);
/* The same for up to DEVICES_MAX devices, a latency model each, in the order of `devices`. */
TL_MUST_CHECK enum tl_rc evaluator_new_for(const struct net_family *family, const struct accuracy_model *accuracy,
                                           const struct devices *devices, const struct lat_model *const *latency,
                                           unsigned n_threads, struct evaluator **ret_evaluator, struct tl_err *err);
/* Of a space whose networks cannot be built: the values are those of the table, latencies those of `devices`, names
 * joined by commas ("": none). Only its rows are searched. */
struct value_table;
TL_MUST_CHECK enum tl_rc evaluator_new_tabulated(const struct space *space, const struct value_table *table,
                                                 const char *devices, struct evaluator **ret_evaluator,
                                                 struct tl_err *err);
void evaluator_free(struct evaluator *evaluator);
/* Are values looked up, not computed or predicted? */
bool evaluator_tabulated(const struct evaluator *evaluator);
/* And is this device's latency a time that was taken? */
bool evaluator_timed(const struct evaluator *evaluator, size_t device);
/* The devices whose latencies it has columns of. Borrowed. */
const struct devices *evaluator_devices(const struct evaluator *evaluator);

/* The narrowed space to search and the table to hand to search_run_new. Borrowed. */
const struct space *evaluator_space(const struct evaluator *evaluator);
const struct search_evaluator *evaluator_table(struct evaluator *evaluator);
/* The whole space of the family. */
const struct space *evaluator_full_space(const struct evaluator *evaluator);
bool evaluator_has(const struct evaluator *evaluator, size_t column);

/* From the narrowed space's form to the whole space's (same variables; other resolution index), and back; back is false
 * when its resolution is outside. */
void evaluator_full_arch(const struct evaluator *evaluator, const uint8_t *arch, uint8_t *ret_full);
bool evaluator_narrow_arch(const struct evaluator *evaluator, const uint8_t *full, uint8_t *ret_arch);

/* All columns of one architecture of the narrowed space, with intervals. Uses thread number 0. */
void evaluator_describe(struct evaluator *evaluator, const uint8_t *arch, struct metric_value ret_values[COLUMNS_MAX]);

/* What each column can reach over the narrowed space: exact for cost and latency, for accuracy the ends of a coordinate
 * ascent on its model. NAN where the metric is absent. */
void evaluator_ranges(struct evaluator *evaluator, struct metric_range ret_ranges[COLUMNS_MAX]);

/* Is it certain that no architecture of the narrowed space holds all of these limits (by column)? Of rows exactly; of costs
 * (latency by its interval) by a proof that is not always found; a limit on accuracy, or on the latency of a device after
 * the first, proves nothing. What can be met is never called impossible. */
bool evaluator_impossible(const struct evaluator *evaluator, const struct search_limit *limits, size_t n_limits);

/* The best value of a limit's column where all other limits hold. */
struct limit_reach {
    struct search_limit limit;
    double value; /* NAN: nothing is known to hold the others */
    bool proved;  /* no architecture has a better one (of rows: one has it); otherwise it is the best that was found */
};
/* Of limits that are impossible, or that a search found nothing for: ret_reach[0..n_limits-1]. Latencies as predicted.
 * Where it is not proved (never with a limit that proves nothing, except of rows) by 3,000 evaluations a limit, always the
 * same, on thread number 0. On failure some may be written. */
TL_MUST_CHECK enum tl_rc evaluator_reach(struct evaluator *evaluator, const struct search_limit *limits,
                                         size_t n_limits, struct limit_reach *ret_reach, struct tl_err *err);

/* Scale a device's predicted latencies (a correction that a search learned from its own measurements) and set the relative
 * half width that goes with it (NAN: keep the model's). */
void evaluator_correct(struct evaluator *evaluator, size_t device, double scale, double relative_half_width);

#endif
