/* flow_running.h - one search being run: what flow_run.c steps and flow_conclude.c draws conclusions from.
 */
#ifndef TAILOR_FLOW_RUNNING_H
#define TAILOR_FLOW_RUNNING_H

#include "server/evaluator.h"
#include "server/flow_evaluate.h"
#include "server/flow_steps.h"

/* What one step works on. */
struct running {
    struct flow *flow;
    struct search_row *row;
    struct snapshot snapshot;
    struct worker_source workers; /* of the evaluator */
    struct evaluator *evaluator;
    struct search_spec spec;
    struct search_run *run;
    double seconds_before; /* of earlier rounds */
};

/* Accuracy and latencies of the best so far, from its columns. */
void flow_note_best(struct search_progress *progress, const struct devices *devices, const double *values);

/* The budget is spent: decide the next state from what was found (verifying, finished) and store it with the candidates in
 * one transaction; after round 0 also the export. progress counts are up to date. */
TL_MUST_CHECK enum tl_rc flow_conclude(struct running *r, struct tl_err *err);

#endif
