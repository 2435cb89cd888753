/* flow_profile.c - making and renewing the latency model of a device.
 *
 * A profile is a handful of jobs (flow_profile_start); when they have ended the model is fitted on all rows of (device,
 * space) and published. Where the rows do not suffice (the machine was too busy) the next search that needs a model has a
 * profile made again. Later measurements (verifications) lead to a new fit when they have added a quarter to the rows; it
 * is published if it is no worse on held-out networks.
 */
#include "server/accuracy.h"
#include "server/codec_latency.h"
#include "server/flow_jobs.h"
#include "server/flow_steps.h"
#include "server/space_of_family.h"
#include "server/subject.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t PROFILE_SEED = 1;
static const double REFIT_GROWTH = 1.25;

/* ---- starting a profile -------------------------------------------------------------------------------------- */

struct start {
    const struct net_family *family;
    const char *device;
    unsigned resolution;
    struct space space;
    struct lat_profile profile;
    size_t n_jobs, job;
};

/* Jobs hold items of one kind; how many there will be in all. */
static size_t count_profile_jobs(const struct lat_profile *profile)
{
    size_t blocks = 0;

    for (size_t i = 0; i < profile->n; i++) {
        blocks += profile->items[i].is_block;
    }
    size_t per_block_job = lat_protocol_default(LAT_PROFILE_BLOCKS).items;
    size_t per_network_job = lat_protocol_default(LAT_PROFILE_NETWORKS).items;
    return (blocks + per_block_job - 1) / per_block_job + (profile->n - blocks + per_network_job - 1) / per_network_job;
}

static enum tl_rc insert_profile_job(struct store_tx *tx, struct start *start, size_t *at, struct tl_err *err)
{
    const struct lat_profile *profile = &start->profile;
    bool blocks = profile->items[*at].is_block;
    struct lat_job job = {0};
    enum tl_rc rc = flow_job_begin(blocks ? LAT_PROFILE_BLOCKS : LAT_PROFILE_NETWORKS, &job, err);

    job.number = (unsigned)++start->job;
    job.total = (unsigned)start->n_jobs;
    while (!rc && *at < profile->n && profile->items[*at].is_block == blocks && job.n_items < job.protocol.items) {
        const struct lat_profile_item *item = &profile->items[(*at)++];
        uint8_t arch[SPACE_VARIABLES_MAX];
        char subject[SUBJECT_TEXT];
        arch_of_pick(start->family, &start->space, &item->pick, arch);
        subject_of_arch(&start->space, arch, subject);
        rc = flow_job_add(start->family, &item->pick, blocks ? item->block : -1, blocks ? item->key : subject, &job,
                          err);
    }
    if (!rc) {
        rc = flow_job_insert(tx, &(struct flow_job_place){start->device, "profile", "", start->family->name, 0}, &job,
                             err);
    }
    lat_job_done(&job);
    return rc;
}

static enum tl_rc insert_profile(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct start *start = ctx;
    enum tl_rc rc = TL_OK;

    start->job = 0;
    for (size_t at = 0; at < start->profile.n && !rc;) {
        rc = insert_profile_job(tx, start, &at, err);
    }
    return rc;
}

/* The resolution to profile at when none is named: the largest that the space's accuracy model covers. */
static enum tl_rc choose_resolution(struct service *service, struct start *start, struct tl_err *err)
{
    const struct net_family *family = start->family;
    struct snapshot snapshot;
    enum tl_rc rc = snapshots_current(service->snapshots, family->name, "", &snapshot, err);

    if (rc) {
        return rc;
    }
    start->resolution = family->resolutions[family->n_resolutions - 1];
    if (snapshot.accuracy) {
        const uint16_t *list = NULL;
        size_t n = accuracy_resolutions(snapshot.accuracy, &list);
        start->resolution = list[n - 1];
    }
    snapshot_done(&snapshot);
    return TL_OK;
}

static enum tl_rc start_prepared(struct service *service, struct start *start, struct tl_err *err)
{
    struct job_counts counts;
    enum tl_rc rc = flow_job_counts(service->store, start->device, start->family->name, "profile", "", &counts, err);

    if (rc) {
        return rc;
    }
    if (counts.queued + counts.leased > 0) {
        return tl_fail(err, TL_CONFLICT, "%s is being profiled for %s: %zu jobs are open", start->device,
                       start->family->name, counts.queued + counts.leased);
    }
    if ((rc = space_of_family(start->family, &start->space, err)) ||
        (start->resolution == 0 && (rc = choose_resolution(service, start, err))) ||
        (rc = lat_profile_make(start->family, start->resolution, LAT_PROFILE_NETWORKS_N, PROFILE_SEED, &start->profile,
                               err))) {
        return rc;
    }
    start->n_jobs = count_profile_jobs(&start->profile);
    rc = store_write(service->store, insert_profile, start, err);
    lat_profile_done(&start->profile);
    return rc;
}

enum tl_rc flow_profile_start(struct service *service, const char *device, const char *space, unsigned resolution,
                              size_t *ret_jobs, struct tl_err *err)
{
    struct start *start = calloc(1, sizeof(*start));
    enum tl_rc rc;

    if (!start) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a profile");
    }
    start->family = net_family_get(space);
    start->device = device;
    start->resolution = resolution;
    rc = start->family ? start_prepared(service, start, err)
                       : tl_fail(err, TL_NOT_FOUND, "no space is called %s", space);
    if (rc == TL_OK) {
        *ret_jobs = start->n_jobs;
        flow_ring(service->flow);
    }
    free(start);
    return rc;
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

/* Visits of one subject, corrected. */
struct subject_visits {
    char subject[NET_KEY_MAX];
    bool is_block;
    double stable_ms[32], unstable_ms[32];
    size_t n_stable, n_unstable;
};

struct rows {
    const char *device, *space;
    double reference_ms;
    struct subject_visits *list; /* owned, by first arrival */
    size_t n, cap;
    size_t n_measurements;
    int64_t last;
    size_t page_n;
};

static struct subject_visits *rows_subject(struct rows *rows, const char *subject, bool is_block)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (strcmp(rows->list[i].subject, subject) == 0) {
            return &rows->list[i];
        }
    }
    if (rows->n == rows->cap) {
        size_t cap = rows->cap ? 2 * rows->cap : 256;
        struct subject_visits *list = realloc(rows->list, cap * sizeof(*list));
        if (!list) {
            return NULL;
        }
        rows->list = list;
        rows->cap = cap;
    }
    struct subject_visits *visits = &rows->list[rows->n++];
    *visits = (struct subject_visits){.is_block = is_block};
    snprintf(visits->subject, sizeof(visits->subject), "%s", subject);
    return visits;
}

static enum tl_rc rows_add(void *ctx, const struct store_measurement *m, struct tl_err *err)
{
    struct rows *rows = ctx;
    struct subject_visits *visits = rows_subject(rows, m->subject, strcmp(m->kind, "block") == 0);

    rows->last = m->seq;
    rows->page_n++;
    rows->n_measurements++;
    if (!visits) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for measurements");
    }
    double ms = m->ratio * rows->reference_ms;
    if (strcmp(m->verdict, "stable") == 0 && visits->n_stable < TL_COUNT_OF(visits->stable_ms)) {
        visits->stable_ms[visits->n_stable++] = ms;
    } else if (visits->n_unstable < TL_COUNT_OF(visits->unstable_ms)) {
        visits->unstable_ms[visits->n_unstable++] = ms;
    }
    return TL_OK;
}

static enum tl_rc rows_read(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct rows *rows = ctx;
    enum tl_rc rc = TL_OK;

    do {
        rows->page_n = 0;
        rc = store_measurement_list(tx, rows->device, rows->space, "", "", "", (struct store_page){rows->last, 1000},
                                    rows_add, rows, err);
    } while (!rc && rows->page_n == 1000);
    return rc;
}

/* Median over stable visits; of the unstable ones where there is no stable one. */
static double subject_ms(struct subject_visits *visits)
{
    return visits->n_stable > 0 ? stat_median(visits->stable_ms, visits->n_stable)
                                : stat_median(visits->unstable_ms, visits->n_unstable);
}

/* ---- fitting ------------------------------------------------------------------------------------------------- */

struct fit {
    struct rows rows;
    const struct net_family *family;
    struct space space;
    struct lat_block_row *blocks; /* owned */
    struct lat_row *networks;     /* owned */
    size_t n_blocks, n_networks;
    struct lat_model *model; /* owned */
};

static void fit_done(struct fit *fit)
{
    if (fit) {
        free(fit->rows.list);
        free(fit->blocks);
        free(fit->networks);
        lat_model_free(fit->model);
        free(fit);
    }
}

/* A network's stable visits are rows of their own, so that the spread between visits is in the interval; a block is one
 * row. */
static void fit_network(struct fit *fit, const struct net_pick *pick, struct subject_visits *visits)
{
    for (size_t i = 0; i < visits->n_stable; i++) {
        fit->networks[fit->n_networks++] = (struct lat_row){*pick, visits->stable_ms[i]};
    }
    if (visits->n_stable == 0) {
        fit->networks[fit->n_networks++] = (struct lat_row){*pick, subject_ms(visits)};
    }
}

static enum tl_rc fit_rows(struct fit *fit, struct tl_err *err)
{
    size_t n_rows = 0;

    for (size_t i = 0; i < fit->rows.n; i++) {
        n_rows += fit->rows.list[i].n_stable + 1;
    }
    fit->blocks = calloc(fit->rows.n + 1, sizeof(*fit->blocks));
    fit->networks = calloc(n_rows + 1, sizeof(*fit->networks));
    if (!fit->blocks || !fit->networks) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to fit a latency model");
    }
    for (size_t i = 0; i < fit->rows.n; i++) {
        struct subject_visits *visits = &fit->rows.list[i];
        uint8_t arch[SPACE_VARIABLES_MAX];
        struct net_pick pick;
        if (visits->is_block) {
            struct lat_block_row *row = &fit->blocks[fit->n_blocks++];
            snprintf(row->key, sizeof(row->key), "%s", visits->subject);
            row->ms = subject_ms(visits);
        } else if (subject_parse(&fit->space, visits->subject, arch)) {
            pick_of_arch(fit->family, &fit->space, arch, &pick);
            fit_network(fit, &pick, visits);
        }
    }
    return TL_OK;
}

/* Fit on everything known of (device, space). The caller owns *ret_fit also on failure (fit_done takes NULL). */
static enum tl_rc fit_make(struct store *store, const char *device, const char *space, struct fit **ret_fit,
                           struct tl_err *err)
{
    struct fit *fit = calloc(1, sizeof(*fit));
    struct device_facts facts;
    enum tl_rc rc;

    *ret_fit = fit;
    if (!fit) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to fit a latency model");
    }
    fit->family = net_family_get(space);
    if (!fit->family) {
        return tl_fail(err, TL_NOT_FOUND, "no space is called %s; start the server with the --family file it is in",
                       space);
    }
    if ((rc = space_of_family(fit->family, &fit->space, err)) || (rc = flow_device_facts(store, device, &facts, err))) {
        return rc;
    }
    if (!(facts.reference_ms > 0.0)) {
        return tl_fail(
            err, TL_INVALID,
            "fewer than %d visits to %s were stable, so its anchor has no reference time: the machine is too "
            "busy to measure on",
            LAT_REFERENCE_VISITS, device);
    }
    fit->rows = (struct rows){.device = device, .space = space, .reference_ms = facts.reference_ms};
    if ((rc = store_read(store, rows_read, &fit->rows, err)) || (rc = fit_rows(fit, err))) {
        return rc;
    }
    return lat_model_fit(fit->family, fit->blocks, fit->n_blocks, fit->networks, fit->n_networks, PROFILE_SEED,
                         &fit->model, err);
}

struct publish_ctx {
    const struct fit *fit;
    char hash[TL_HASH_TEXT];
    struct tl_buf info;
};

static enum tl_rc publish_tx(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct publish_ctx *publish = ctx;

    return store_model_put(tx,
                           &(struct store_model){.kind = "latency",
                                                 .space = publish->fit->rows.space,
                                                 .device = publish->fit->rows.device,
                                                 .hash = publish->hash,
                                                 .created_ns = tl_clock_wall_ns(),
                                                 .info = {publish->info.data, publish->info.len}},
                           err);
}

static enum tl_rc publish(struct store *store, const struct fit *fit, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct publish_ctx ctx = {.fit = fit};
    const struct lat_error *error = lat_model_error(fit->model);
    struct tl_hash hash;
    enum tl_rc rc;

    if ((rc = lat_model_save(fit->model, &bytes, err)) ||
        (rc = store_blob_put(store, bytes.data, bytes.len, &hash, err))) {
        return rc;
    }
    tl_hash_format(&hash, ctx.hash);
    if (!(rc = latency_info_encode("fitted on this device's measurements", error, fit->rows.n_measurements, &ctx.info,
                                   err))) {
        rc = store_write(store, publish_tx, &ctx, err);
    }
    tl_buf_done(&ctx.info);
    if (rc == TL_OK) {
        tl_log(TL_LOG_INFO, "model", "latency of %s on %s: %zu networks, %zu blocks, held-out error %.2f %%",
               fit->rows.space, fit->rows.device, error->n_networks, error->n_blocks, error->mape);
    }
    return rc;
}

/* ---- the conductor's steps ----------------------------------------------------------------------------------- */

struct current_ctx {
    const char *device, *space;
    bool there;
    double mape;
    size_t n_measurements;
};

static enum tl_rc note_current(void *ctx, const struct store_model *model, struct tl_err *err)
{
    struct current_ctx *c = ctx;

    (void)err;
    c->there = true;
    latency_info_decode(model->info, &c->mape, &c->n_measurements);
    return TL_OK;
}

static enum tl_rc read_current(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct current_ctx *c = ctx;
    struct tl_err none = {0};
    enum tl_rc rc = store_model_current(tx, "latency", c->space, c->device, note_current, c, &none);

    return rc && rc != TL_NOT_FOUND ? tl_fail(err, rc, "%s", none.text) : TL_OK;
}

static void profile_progress(struct search_row *row, const struct job_counts *counts)
{
    struct search_progress *p = &row->progress;
    double elapsed_s = (double)(tl_clock_wall_ns() - counts->first_ns) * 1e-9;

    snprintf(p->unit, sizeof(p->unit), "jobs");
    p->done = (double)(counts->done + counts->failed);
    p->total = p->done + (double)(counts->queued + counts->leased);
    p->eta_s = p->done > 0.0 ? elapsed_s / p->done * (p->total - p->done) : (double)NAN;
    search_row_state(row, "profiling", "profiling %s: %.0f of %.0f jobs done", row->device, p->done, p->total);
}

/* Jobs have ended and there is no model yet: fit it, and let the search go on. */
static enum tl_rc fit_first(struct flow *flow, const char *device, const char *space, struct tl_err *err)
{
    struct fit *fit = NULL;
    enum tl_rc rc;

    (void)((rc = fit_make(flow->service->store, device, space, &fit, err)) ||
           (rc = publish(flow->service->store, fit, err)));
    fit_done(fit);
    return rc;
}

static enum tl_rc go_on(struct flow *flow, struct search_row *row, struct tl_err *err)
{
    enum tl_rc rc;

    search_row_state(row, "queued", "%s %s profiled", row->device, row->request.devices.n > 1 ? "are" : "is");
    row->progress.eta_s = NAN;
    rc = search_row_store(flow->service->store, row, "state", err);
    flow_ring(flow);
    return rc;
}

/* Queue a device's profile or, once its jobs have ended, fit its model. Adds its jobs to *counts; *ret_waits: it has no
 * model yet. */
static enum tl_rc profile_device(struct flow *flow, const struct search_row *row, const char *device,
                                 struct job_counts *counts, bool *ret_waits, struct tl_err *err)
{
    struct store *store = flow->service->store;
    struct current_ctx current = {.device = device, .space = row->space};
    struct job_counts own;
    struct tl_err why = {0};
    size_t jobs = 0;
    enum tl_rc rc;

    if ((rc = store_read(store, read_current, &current, err)) ||
        (rc = flow_job_counts(store, device, row->space, "profile", "", &own, err)) || current.there) {
        return rc;
    }
    *ret_waits = true;
    if (own.first_ns == 0) {
        return flow_profile_start(flow->service, device, row->space, 0, &jobs, err);
    }
    if (own.queued + own.leased > 0) {
        counts->first_ns = counts->first_ns && counts->first_ns < own.first_ns ? counts->first_ns : own.first_ns;
        counts->queued += own.queued + own.leased;
        counts->done += own.done + own.failed;
        return TL_OK;
    }
    rc = fit_first(flow, device, row->space, &why);
    if (rc == TL_INVALID && own.last_ns < row->created_ns) {
        return flow_profile_start(flow->service, device, row->space, 0, &jobs, err);
    }
    *ret_waits = rc != TL_OK;
    return rc ? tl_fail(err, rc, "%s", why.text) : TL_OK;
}

enum tl_rc flow_profile(struct flow *flow, struct search_row *row, struct tl_err *err)
{
    struct job_counts counts = {0};
    bool waits = false;
    enum tl_rc rc = TL_OK;

    for (size_t d = 0; d < row->request.devices.n && !rc; d++) {
        rc = profile_device(flow, row, row->request.devices.names[d], &counts, &waits, err);
    }
    if (rc || (waits && counts.queued == 0)) {
        return rc;
    }
    if (!waits) {
        return go_on(flow, row, err);
    }
    double done = row->progress.done, total = row->progress.total;
    bool first = strcmp(row->progress.unit, "jobs") != 0;
    profile_progress(row, &counts);
    if (!first && row->progress.done == done && row->progress.total == total) {
        return TL_OK;
    }
    rc = search_row_store(flow->service->store, row, "progress", err);
    flow_ring(flow);
    return rc;
}

static enum tl_rc refit_pair(struct flow *flow, const char *device, const char *space, struct tl_err *err)
{
    struct store *store = flow->service->store;
    struct current_ctx current = {.device = device, .space = space};
    struct job_counts counts;
    struct fit *fit = NULL;
    enum tl_rc rc;

    if ((rc = store_read(store, read_current, &current, err)) ||
        (rc = flow_job_counts(store, device, space, "profile", "", &counts, err)) || counts.done == 0 ||
        counts.queued + counts.leased > 0) {
        return rc;
    }
    if (!(rc = fit_make(store, device, space, &fit, err))) {
        double mape = lat_model_error(fit->model)->mape;
        bool grown = (double)fit->rows.n_measurements >= REFIT_GROWTH * (double)current.n_measurements;
        if (!current.there || (grown && !(mape > current.mape))) {
            rc = publish(store, fit, err);
        }
    }
    fit_done(fit);
    return rc;
}

struct device_list {
    char names[64][65];
    size_t n;
    int64_t last_measurement;
};

static enum tl_rc list_device(void *ctx, const struct store_device *device, struct tl_err *err)
{
    struct device_list *list = ctx;

    (void)err;
    if (device->agent_key[0] && list->n < TL_COUNT_OF(list->names)) {
        snprintf(list->names[list->n++], sizeof(list->names[0]), "%s", device->name);
    }
    return TL_OK;
}

static enum tl_rc note_measurement(void *ctx, const struct store_measurement *m, struct tl_err *err)
{
    struct device_list *list = ctx;

    (void)err;
    list->last_measurement = m->seq;
    return TL_OK;
}

static enum tl_rc list_devices(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct device_list *list = ctx;
    enum tl_rc rc =
        store_device_list(tx, (struct store_page){0, (int)TL_COUNT_OF(list->names)}, list_device, list, err);

    return rc ? rc
              : store_measurement_list(tx, "", "", "", "", "", (struct store_page){list->last_measurement, 1000},
                                       note_measurement, list, err);
}

enum tl_rc flow_refit(struct flow *flow, struct tl_err *err)
{
    struct device_list list = {.last_measurement = flow->refit_seen};
    enum tl_rc rc = store_read(flow->service->store, list_devices, &list, err);

    if (rc || list.last_measurement == flow->refit_seen) {
        return rc;
    }
    flow->refit_seen = list.last_measurement;
    for (size_t d = 0; d < list.n && !rc; d++) {
        for (size_t f = 0; f < net_family_count() && !rc; f++) {
            rc = refit_pair(flow, list.names[d], net_family_at(f)->name, err);
        }
    }
    return rc;
}
