/* flow_jobs.h - jobs for devices, built from picks of a family.
 */
#ifndef TAILOR_FLOW_JOBS_H
#define TAILOR_FLOW_JOBS_H

#include "latency/codec_job.h"
#include "storage/storage.h"

/* A job being put together, with the anchor that all devices share. Owned: lat_job_done. */
TL_MUST_CHECK enum tl_rc flow_job_begin(enum lat_job_kind kind, struct lat_job *ret_job, struct tl_err *err);
/* Add a network or one of its blocks. TL_TOO_LARGE: the job holds protocol.items already. */
TL_MUST_CHECK enum tl_rc flow_job_add(const struct net_family *family, const struct net_pick *pick, int block,
                                      const char *subject, struct lat_job *job, struct tl_err *err);

struct flow_job_place {
    const char *device, *kind, *search, *space;
    int64_t not_before_ns;
};
/* Inside store_write; under a new id, or one that the caller made. */
TL_MUST_CHECK enum tl_rc flow_job_insert(struct store_tx *tx, const struct flow_job_place *place,
                                         const struct lat_job *job, struct tl_err *err);
TL_MUST_CHECK enum tl_rc flow_job_insert_as(struct store_tx *tx, const char *id, const struct flow_job_place *place,
                                            const struct lat_job *job, struct tl_err *err);

#endif
