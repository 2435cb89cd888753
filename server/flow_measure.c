/* flow_measure.c - a candidate measured because somebody asks: visits like those of a verification, which judge nothing.
 */
#include "server/flow.h"
#include "server/flow_jobs.h"
#include "server/space_of_family.h"
#include "server/spaces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Visits do not follow each other at once: what disturbs one is to be over at the next. */
static const int64_t VISIT_PAUSE_NS = 1000000000LL;

struct order {
    struct service *service;
    const char *device;
    int64_t candidate;
    size_t visits;
    char search[TL_UUID_TEXT];
    uint8_t genes[SPACE_VARIABLES_MAX];
    size_t n_genes;
    const struct space_entry *space; /* borrowed */
    char (*ids)[TL_UUID_TEXT];       /* borrowed (visits) */
    char *subject;                   /* borrowed (SUBJECT_TEXT) */
};

static enum tl_rc copy_candidate(void *ctx, const struct store_candidate *candidate, struct tl_err *err)
{
    struct order *order = ctx;

    if (candidate->genes.n > sizeof order->genes) {
        return tl_fail(err, TL_IO, "candidate %lld is damaged in the store", (long long)candidate->id);
    }
    memcpy(order->genes, candidate->genes.data, candidate->genes.n);
    order->n_genes = candidate->genes.n;
    (void)snprintf(order->search, sizeof order->search, "%s", candidate->search);
    return TL_OK;
}

static enum tl_rc find_space(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct order *order = ctx;

    order->space = spaces_find(order->service->spaces, search->space);
    if (!order->space || !order->space->family || order->space->space.n_variables != order->n_genes) {
        return tl_fail_at(err, TL_INVALID, "/candidate", "no network of %s can be built, so none can be measured",
                          search->space);
    }
    return TL_OK;
}

static enum tl_rc read_candidate(struct store_tx *tx, struct order *order, struct tl_err *err)
{
    struct tl_err none = {0};
    enum tl_rc rc = store_candidate_get(tx, order->candidate, copy_candidate, order, &none);

    if (rc) {
        return tl_fail_at(err, rc == TL_NOT_FOUND ? TL_INVALID : rc, "/candidate", "%s", none.text);
    }
    return store_search_get(tx, order->search, find_space, order, err);
}

static enum tl_rc place_order(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct order *order = ctx;
    const int64_t now_ns = tl_clock_wall_ns();
    struct net_pick pick;
    enum tl_rc rc = read_candidate(tx, order, err);

    if (rc) {
        return rc;
    }
    const struct net_family *family = order->space->family;
    pick_of_arch(family, &order->space->space, order->genes, &pick);
    subject_of_arch(&order->space->space, order->genes, order->subject);
    for (size_t i = 0; i < order->visits && !rc; i++) {
        const struct flow_job_place place = {order->device, "measure", "", family->name,
                                             i == 0 ? 0 : now_ns + (int64_t)i * VISIT_PAUSE_NS};
        struct lat_job job = {0};
        (void)((rc = flow_job_begin(LAT_VERIFY, &job, err)) ||
               (rc = flow_job_add(family, &pick, -1, order->subject, &job, err)) ||
               (rc = flow_job_insert_as(tx, order->ids[i], &place, &job, err)));
        lat_job_done(&job);
    }
    return rc;
}

enum tl_rc flow_measure_start(struct service *service, const char *device, int64_t candidate, size_t visits,
                              char ret_ids[][TL_UUID_TEXT], char ret_subject[SUBJECT_TEXT], struct tl_err *err)
{
    struct order order = {.service = service,
                          .device = device,
                          .candidate = candidate,
                          .visits = visits,
                          .ids = ret_ids,
                          .subject = ret_subject};
    for (size_t i = 0; i < visits; i++) {
        tl_uuid(ret_ids[i]);
    }
    const enum tl_rc rc = store_write(service->store, place_order, &order, err);
    if (rc == TL_OK) {
        flow_ring(service->flow);
    }
    return rc;
}
