/* codec_work.h - the work of a job as the store keeps it: a line that names its items, then latency/codec_job.h's document
 * without id and attempt, which the lease fills in.
 *
 *     [["net-0120", "network"], ["k3e3..", "block"]]      read for every upload; the document has a hundred times its size
 *     {"anchor": {...}, "items": [...], ...}
 */
#ifndef TAILOR_CODEC_WORK_H
#define TAILOR_CODEC_WORK_H

#include "latency/codec_job.h"
#include "storage/storage.h"

/* What flow.h's steps put into store_job.work; the job's id, attempt and lease are ignored. */
TL_MUST_CHECK enum tl_rc work_encode(const struct lat_job *job, struct tl_buf *buf, struct tl_err *err);

/* How a device runs networks, out of its info; 1 where it does not say. */
struct work_runtime {
    unsigned threads, batch;
};
struct work_runtime work_device_runtime(struct store_bytes info);

/* The document an agent gets for a leased job: timed with the device's threads and batch. */
TL_MUST_CHECK enum tl_rc work_lease_encode(const struct store_job *job, unsigned lease_s, struct work_runtime runtime,
                                           struct tl_buf *buf, struct tl_err *err);

/* What item `item` of a job's work is: TL_NOT_FOUND when it has fewer. */
TL_MUST_CHECK enum tl_rc work_item(struct store_bytes work, size_t item, char ret_subject[NET_KEY_MAX],
                                   bool *ret_is_block, struct tl_err *err);

#endif
