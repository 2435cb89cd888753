#include "server/flow_jobs.h"
#include "server/codec_work.h"
#include <stdio.h>
#include <stdlib.h>

/* One anchor for every device and space, since a device has one reference time. */
static const char ANCHOR_FAMILY[] = "ofa-mbv3-w1.0";
static const unsigned ANCHOR_RESOLUTION = 224;
static const size_t work_max_bytes = 8 * 1024 * 1024;

enum tl_rc flow_job_begin(enum lat_job_kind kind, struct lat_job *ret_job, struct tl_err *err)
{
    struct lat_job job = {.protocol = lat_protocol_default(kind), .seed = 1};
    struct net_pick pick;
    enum tl_rc rc;

    snprintf(job.kind, sizeof(job.kind), "%s", kind == LAT_VERIFY ? "verify" : "profile");
    job.anchor = calloc(1, sizeof(*job.anchor));
    job.items = calloc(job.protocol.items, sizeof(*job.items));
    if (!job.anchor || !job.items) {
        lat_job_done(&job);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a job");
    }
    const struct net_family *anchor_family = net_family_get(ANCHOR_FAMILY);
    lat_anchor_pick(anchor_family, ANCHOR_RESOLUTION, &pick);
    snprintf(job.anchor->subject, sizeof(job.anchor->subject), "anchor-%s-%u", ANCHOR_FAMILY, ANCHOR_RESOLUTION);
    if ((rc = net_build(anchor_family, &pick, &job.anchor->net, err))) {
        lat_job_done(&job);
        return rc;
    }
    *ret_job = job;
    return TL_OK;
}

enum tl_rc flow_job_add(const struct net_family *family, const struct net_pick *pick, int block, const char *subject,
                        struct lat_job *job, struct tl_err *err)
{
    struct lat_job_item *item = &job->items[job->n_items];
    struct network *whole = NULL;
    enum tl_rc rc;

    if (job->n_items == job->protocol.items) {
        return tl_fail(err, TL_TOO_LARGE, "a job of kind %s holds %u items", job->kind, (unsigned)job->protocol.items);
    }
    snprintf(item->subject, sizeof(item->subject), "%s", subject);
    item->is_block = block >= 0;
    if (!item->is_block) {
        rc = net_build(family, pick, &item->net, err);
    } else if (!(whole = malloc(sizeof(*whole)))) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for a network");
    } else if (!(rc = net_build(family, pick, whole, err))) {
        net_block_cut(whole, (size_t)block, &item->net);
    }
    free(whole);
    job->n_items += rc == TL_OK;
    return rc;
}

enum tl_rc flow_job_insert(struct store_tx *tx, const struct flow_job_place *place, const struct lat_job *job,
                           struct tl_err *err)
{
    char id[TL_UUID_TEXT];

    tl_uuid(id);
    return flow_job_insert_as(tx, id, place, job, err);
}

enum tl_rc flow_job_insert_as(struct store_tx *tx, const char *id, const struct flow_job_place *place,
                              const struct lat_job *job, struct tl_err *err)
{
    TL_AUTO(tl_buf) work = {.max = work_max_bytes};
    enum tl_rc rc = work_encode(job, &work, err);

    if (rc) {
        return rc;
    }
    return store_job_insert(tx,
                            &(struct store_job){.id = id,
                                                .device = place->device,
                                                .kind = place->kind,
                                                .search = place->search,
                                                .space = place->space,
                                                .state = "queued",
                                                .not_before_ns = place->not_before_ns,
                                                .failure = "",
                                                .created_ns = tl_clock_wall_ns(),
                                                .work = {work.data, work.len}},
                            err);
}
