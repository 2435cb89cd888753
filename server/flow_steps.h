/* flow_steps.h - the steps of flow.h's state machine, one file each.
 */
#ifndef TAILOR_FLOW_STEPS_H
#define TAILOR_FLOW_STEPS_H

#include "server/flow.h"
#include "server/search_row.h"
#include "server/snapshots.h"

/* How long a device may be silent before it counts as away; agents ask for work at least every 30 s. */
static const int64_t FLOW_AWAY_NS = 45LL * 1000000000LL;

struct flow {
    struct service *service;
    struct tl_pool *pool;
    struct flow_threads *threads;
    int64_t refit_seen;                /* the last measurement that flow_refit looked at; the conductor's */
    struct archive_work *archive_work; /* the searcher's */
};

/* True once flow_stop was called: steps save and return. */
bool flow_stopping(const struct flow *flow);

/* flow_run.c: the searcher's step. Takes a queued or running search to the end of its predicting phase, saving as it goes.
 * TL_CONFLICT: it was cancelled meanwhile. */
TL_MUST_CHECK enum tl_rc flow_run(struct flow *flow, struct search_row *row, struct tl_err *err);

/* flow_archive.c: what the searcher does while nothing else happens: builds an archive for a (space, device) that was
 * searched lately and has none of its present models, a step a call. True: there is more to do. */
bool flow_archive(struct flow *flow);
void flow_archive_done(struct flow *flow); /* what was begun is dropped; it is begun again at the next start */

/* flow_verify.c: the conductor's step on a search in state verifying (or waiting_for_device in a round): when no job of it
 * is open, judge, ask for the visits that are missing, or decide. */
TL_MUST_CHECK enum tl_rc flow_verify(struct flow *flow, struct search_row *row, struct tl_err *err);

/* End as unverified: the answer is the measured candidate that came nearest. `why`: half a sentence. */
void flow_finish_unverified(struct search_row *row, const char *why);

/* flow_profile.c: the conductor's steps. Queue profile jobs for a search that needs a model (or fit once they have ended);
 * fit again when enough new rows have come. */
TL_MUST_CHECK enum tl_rc flow_profile(struct flow *flow, struct search_row *row, struct tl_err *err);
TL_MUST_CHECK enum tl_rc flow_refit(struct flow *flow, struct tl_err *err);

/* Open and ended jobs of a device or search. */
struct job_counts {
    size_t queued, leased, done, failed;
    int64_t first_ns, last_ns; /* when the oldest and the newest were made; 0: none */
    char failure[200];         /* of a failed one */
};
/* Empty filters match all. In a read of its own. */
TL_MUST_CHECK enum tl_rc flow_job_counts(struct store *store, const char *device, const char *space, const char *kind,
                                         const char *search, struct job_counts *ret_counts, struct tl_err *err);

/* Why a device cannot measure now, as a sentence about what waits for it: its agent has been silent for longer than
 * FLOW_AWAY_NS, or it is held. "": it can. Workers likewise. */
enum { FLOW_ABSENCE_TEXT = 240 };
TL_MUST_CHECK enum tl_rc flow_device_absence(struct store *store, const char *device, char ret_why[FLOW_ABSENCE_TEXT],
                                             struct tl_err *err);
/* The device's facts: does it have an agent, its anchor's reference (0: not fixed). TL_NOT_FOUND. */
struct device_facts {
    bool has_agent;
    double reference_ms;
    bool is_worker; /* a pool of workers, which measures nothing */
};
TL_MUST_CHECK enum tl_rc flow_device_facts(struct store *store, const char *device, struct device_facts *ret_facts,
                                           struct tl_err *err);

/* Ratios of all stable visits of a subject on a device, pooled, and counts. `ratios` holds up to max. */
struct visit_pool {
    size_t visits, stable_visits;
    double ratios[1024];
    size_t n;
    char ids[16][TL_UUID_TEXT];
    size_t n_ids;
};
TL_MUST_CHECK enum tl_rc flow_visits(struct store *store, const char *device, const char *space, const char *subject,
                                     struct visit_pool *ret_pool, struct tl_err *err);

#endif
