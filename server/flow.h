/* flow.h - the threads that move searches through their states, and jobs to devices.
 *
 *     queued -> profiling -> running -> verifying -> finished
 *     profiling: the device has no model yet       verifying -> running: none of the top k held
 *     running -> evaluating -> running: workers value what a batch lacks (flow_evaluate.h)
 *     profiling | verifying -> waiting_for_device -> back       any but finished -> failed | cancelled
 *
 * Two threads: the searcher runs one search at a time (evaluating, checkpointing); the conductor reacts to what devices
 * send: fits models, judges verifications, notices devices that are away. Both find their work in the store, so a server that was
 * killed goes on where the rows stand.
 *
 * Threads: all functions from any thread.
 */
#ifndef TAILOR_FLOW_H
#define TAILOR_FLOW_H

#include "server/service.h"
#include "server/subject.h"

TL_MUST_CHECK enum tl_rc flow_start(struct service *service, struct flow **ret_flow, struct tl_err *err);
void flow_ring(struct flow *flow); /* a row changed: look again. Also wakes parked requests (http_ring) */
void flow_stop(struct flow *flow); /* checkpoints the running search; takes NULL */

/* Queue the profile of (device, space) at a resolution (0: the largest that the space's accuracy model covers, else the
 * largest of the family). TL_CONFLICT while profile jobs of that pair are open. Visits the ids of the jobs in order. */
TL_MUST_CHECK enum tl_rc flow_profile_start(struct service *service, const char *device, const char *space,
                                            unsigned resolution, size_t *ret_jobs, struct tl_err *err);

/* Queue `visits` visits of a candidate on a device, which need not be its search's: the ids of the jobs, and by which subject
 * the measurements will be found. TL_INVALID at /candidate: there is none such, or it cannot be built. */
TL_MUST_CHECK enum tl_rc flow_measure_start(struct service *service, const char *device, int64_t candidate,
                                            size_t visits, char ret_ids[][TL_UUID_TEXT], char ret_subject[SUBJECT_TEXT],
                                            struct tl_err *err);

#endif
