/* results.h - what a run keeps of everything that it evaluates: the top, the front, a sample, the history, and counts.
 *
 * Threads: none of its own.
 */
#ifndef TAILOR_SEARCH_RESULTS_H
#define TAILOR_SEARCH_RESULTS_H

#include "search/front.h"
#include "search/shelf.h"

enum { HISTORY_MAX = 256 }; /* 1, 2, .. 20, 22, .. each a tenth more: 211 up to SEARCH_EVALUATIONS_MAX */

struct results {
    const struct search_spec *spec; /* borrowed */
    uint64_t n_evaluated;
    uint64_t n_valued; /* those that could be valued; the others count against the budget and are not kept */
    struct shelf top;  /* one: the best, or what comes nearest while nothing is feasible; there once n_valued > 0 */
    double top_violation, top_score;
    struct front front;
    struct shelf sample; /* reservoir (Vitter 1985, algorithm R): min(sample_size, n_valued) of the valued ones */
    size_t n_points;     /* fixed points of the history; the one behind them moves along with n_evaluated */
    struct search_point points[HISTORY_MAX];
};

TL_MUST_CHECK enum tl_rc results_init(struct results *results, const struct search_spec *spec,
                                      const struct space *space, size_t n_metrics, struct tl_err *err);
void results_done(struct results *results);

/* The next evaluated candidate; `violation` and `score` as goal.h says. `rng` decides about the sample. */
void results_add(struct results *results, const double *values, const uint8_t *arch, double violation, double score,
                 struct tl_rng *rng);

size_t results_sample_count(const struct results *results);
size_t results_history(const struct results *results, const struct search_point **ret_points);

TL_MUST_CHECK enum tl_rc results_save(const struct results *results, struct tl_buf *buf, struct tl_err *err);
/* Into results just made; false: the bytes cannot be results of this spec. The results may then be half filled. */
TL_MUST_CHECK bool results_load(struct results *results, struct tl_cursor *state);

#endif
