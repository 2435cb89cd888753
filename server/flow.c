/* flow.c - the two threads, and what both need to know of devices and jobs.
 */
#include "server/codec_device.h"
#include "server/flow_evaluate.h"
#include "server/flow_steps.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After a search that failed: a store that cannot even mark it failed (a full disk) must not be asked without end. */
static const int64_t FAILED_PAUSE_NS = 500000000LL;
/* The conductor looks by itself this often, to notice devices that went away. */
static const int64_t CONDUCT_EVERY_NS = 2LL * 1000000000LL;

struct flow_threads {
    pthread_t searcher, conductor;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t bell;
    uint64_t rings;
    bool stopping;
};

bool flow_stopping(const struct flow *flow)
{
    pthread_mutex_lock(&flow->threads->lock);
    bool stopping = flow->threads->stopping;
    pthread_mutex_unlock(&flow->threads->lock);
    return stopping;
}

void flow_ring(struct flow *flow)
{
    pthread_mutex_lock(&flow->threads->lock);
    flow->threads->rings++;
    pthread_cond_broadcast(&flow->threads->bell);
    pthread_mutex_unlock(&flow->threads->lock);
    if (flow->service->http) {
        http_ring(flow->service->http);
    }
}

/* Wait for a ring after *seen, or until the period is over; false: stop. */
static bool wait_ring(struct flow *flow, uint64_t *seen, int64_t period_ns)
{
    struct flow_threads *t = flow->threads;
    struct timespec until;
    bool stopping;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += period_ns / 1000000000LL;
    pthread_mutex_lock(&t->lock);
    while (t->rings == *seen && !t->stopping) {
        if (pthread_cond_timedwait(&t->bell, &t->lock, &until)) {
            break;
        }
    }
    *seen = t->rings;
    stopping = t->stopping;
    pthread_mutex_unlock(&t->lock);
    return !stopping;
}

/* A step failed: the search ends as failed with the reason, unless somebody changed it meanwhile. */
static void fail_search(struct flow *flow, struct search_row *row, const struct tl_err *why)
{
    struct tl_err err = {0};
    char id[TL_UUID_TEXT];

    memcpy(id, row->id, sizeof(id));
    tl_log(TL_LOG_ERROR, "search", "%s failed: %s (%s:%d)", id, why->text, why->file ? why->file : "?", why->line);
    if (search_row_get(flow->service->store, id, row, &err) == TL_OK && row->finished_ns == 0) {
        snprintf(row->progress.problem, sizeof(row->progress.problem), "%.399s", why->text);
        search_row_state(row, "failed", "%.200s", why->text);
        search_row_finish(row, "failed", "");
        if (search_row_store(flow->service->store, row, "state", &err)) {
            tl_log(TL_LOG_ERROR, "search", "%s could not be marked failed: %s", id, err.text);
        }
    }
    flow_ring(flow);
}

static void settle(struct flow *flow, struct search_row *row, enum tl_rc rc, const struct tl_err *err)
{
    if (rc && rc != TL_CONFLICT) {
        fail_search(flow, row, err);
    }
}

/* ---- searcher ------------------------------------------------------------------------------------------------ */

static enum tl_rc next_search(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    return store_search_next(tx, search_row_copy, ctx, err);
}

static void *searcher(void *arg)
{
    struct flow *flow = arg;
    uint64_t seen = 0, seen_before = 0;
    bool quiet = false; /* nothing happened for CONDUCT_EVERY_NS */
    struct search_row *row = calloc(1, sizeof(*row));

    while (row && !flow_stopping(flow)) {
        struct tl_err err = {0};
        enum tl_rc rc = store_read(flow->service->store, next_search, row, &err);
        if (rc == TL_OK) {
            quiet = false;
            rc = flow_run(flow, row, &err);
            settle(flow, row, rc, &err);
            flow_ring(flow);
            if (rc && rc != TL_CONFLICT) {
                tl_sleep_ns(FAILED_PAUSE_NS);
            }
            continue;
        }
        if (rc != TL_NOT_FOUND) {
            tl_log(TL_LOG_ERROR, "flow", "looking for the next search: %s", err.text);
        }
        if (rc == TL_NOT_FOUND && quiet && flow_archive(flow)) {
            continue;
        }
        seen_before = seen;
        wait_ring(flow, &seen, CONDUCT_EVERY_NS);
        quiet = seen == seen_before;
    }
    if (row) {
        search_row_done(row);
    }
    free(row);
    flow_archive_done(flow);
    return NULL;
}

/* ---- conductor ----------------------------------------------------------------------------------------------- */

enum { CONDUCTED_MAX = 100 };

struct id_list {
    char ids[CONDUCTED_MAX][TL_UUID_TEXT];
    size_t n;
    const char *state;
};

static enum tl_rc list_add_id(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct id_list *list = ctx;

    (void)err;
    snprintf(list->ids[list->n++], TL_UUID_TEXT, "%s", search->id);
    return TL_OK;
}

static enum tl_rc list_state(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct id_list *list = ctx;

    return store_search_list(tx, list->state, "", (struct store_page){0, CONDUCTED_MAX}, list_add_id, list, err);
}

/* Why the first device that is away is, of several only one that this search has open jobs for; "": none is. */
static enum tl_rc device_awaited(struct flow *flow, const struct search_row *row, char ret_why[FLOW_ABSENCE_TEXT],
                                 struct tl_err *err)
{
    const struct devices *devices = &row->request.devices;
    struct store *store = flow->service->store;
    const bool in_round = row->progress.round > 0;
    enum tl_rc rc = TL_OK;

    ret_why[0] = '\0';
    for (size_t d = 0; d < devices->n && !rc && !ret_why[0]; d++) {
        struct job_counts counts = {.queued = 1};
        rc = flow_device_absence(store, devices->names[d], ret_why, err);
        if (!rc && ret_why[0] && devices->n > 1) {
            rc = flow_job_counts(store, devices->names[d], row->space, in_round ? "verify" : "profile",
                                 in_round ? row->id : "", &counts, err);
        }
        if (counts.queued + counts.leased == 0) {
            ret_why[0] = '\0';
        }
    }
    return rc;
}

/* A search waits for a device, or goes on with it. */
static enum tl_rc notice_device(struct flow *flow, struct search_row *row, struct tl_err *err)
{
    bool waits = strcmp(row->state, "waiting_for_device") == 0;
    char why[FLOW_ABSENCE_TEXT];
    enum tl_rc rc = device_awaited(flow, row, why, err);

    if (rc || (!why[0] && !waits) || (waits && strcmp(why, row->progress.message) == 0)) {
        return rc;
    }
    if (why[0]) {
        search_row_state(row, "waiting_for_device", "%s", why);
    } else {
        search_row_state(row, row->progress.round > 0 ? "verifying" : "profiling", "%s is back",
                         row->request.devices.n > 1 ? "every device" : row->device);
    }
    rc = search_row_store(flow->service->store, row, "state", err);
    flow_ring(flow);
    return rc;
}

static bool needs_device(const char *state)
{
    return strcmp(state, "verifying") == 0 || strcmp(state, "profiling") == 0 ||
           strcmp(state, "waiting_for_device") == 0;
}

static void conduct(struct flow *flow, struct search_row *row, const char *id)
{
    struct tl_err err = {0};
    enum tl_rc rc = search_row_get(flow->service->store, id, row, &err);

    if (rc) {
        return;
    }
    /* What is there is judged first: a search whose candidates were all measured before needs no device. */
    if (strcmp(row->state, "verifying") == 0) {
        rc = flow_verify(flow, row, &err);
    } else if (strcmp(row->state, "profiling") == 0) {
        rc = flow_profile(flow, row, &err);
    } else if (strcmp(row->state, "evaluating") == 0) {
        rc = flow_evaluate(flow, row, &err);
    }
    if (rc == TL_OK && needs_device(row->state)) {
        rc = notice_device(flow, row, &err);
    }
    settle(flow, row, rc, &err);
}

static void *conductor(void *arg)
{
    static const char *const states[] = {"profiling", "verifying", "waiting_for_device", "evaluating"};
    struct flow *flow = arg;
    uint64_t seen = 0;
    struct search_row *row = calloc(1, sizeof(*row));
    struct id_list *list = calloc(1, sizeof(*list));

    while (row && list) {
        struct tl_err err = {0};
        if (flow_refit(flow, &err)) {
            tl_log(TL_LOG_WARNING, "flow", "fitting latency models: %s", err.text);
        }
        for (size_t s = 0; s < TL_COUNT_OF(states); s++) {
            err = (struct tl_err){0};
            list->n = 0;
            list->state = states[s];
            if (store_read(flow->service->store, list_state, list, &err)) {
                tl_log(TL_LOG_ERROR, "flow", "listing searches: %s", err.text);
            }
            for (size_t i = 0; i < list->n; i++) {
                conduct(flow, row, list->ids[i]);
            }
        }
        if (!wait_ring(flow, &seen, CONDUCT_EVERY_NS)) {
            break;
        }
    }
    if (row) {
        search_row_done(row);
    }
    free(row);
    free(list);
    return NULL;
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void release(struct flow *flow)
{
    tl_pool_free(flow->pool);
    free(flow->threads);
    free(flow);
}

enum tl_rc flow_start(struct service *service, struct flow **ret_flow, struct tl_err *err)
{
    struct flow *flow = calloc(1, sizeof(*flow));
    enum tl_rc rc;

    if (!flow || !(flow->threads = calloc(1, sizeof(*flow->threads)))) {
        free(flow);
        return tl_fail(err, TL_NO_MEMORY, "no memory for the worker threads");
    }
    flow->service = service;
    /* One thread: a search's time goes into one batch of matrix products, and the machine is also serving. */
    if ((rc = tl_pool_new(&flow->pool, 1, err))) {
        release(flow);
        return rc;
    }
    pthread_mutex_init(&flow->threads->lock, NULL);
    pthread_cond_init(&flow->threads->bell, NULL);
    service->flow = flow;
    if (pthread_create(&flow->threads->searcher, NULL, searcher, flow)) {
        release(flow);
        return tl_fail(err, TL_IO, "no thread for searches");
    }
    if (pthread_create(&flow->threads->conductor, NULL, conductor, flow)) {
        flow->threads->stopping = true;
        pthread_join(flow->threads->searcher, NULL);
        release(flow);
        return tl_fail(err, TL_IO, "no thread for devices");
    }
    *ret_flow = flow;
    return TL_OK;
}

void flow_stop(struct flow *flow)
{
    if (!flow) {
        return;
    }
    pthread_mutex_lock(&flow->threads->lock);
    flow->threads->stopping = true;
    pthread_cond_broadcast(&flow->threads->bell);
    pthread_mutex_unlock(&flow->threads->lock);
    pthread_join(flow->threads->searcher, NULL);
    pthread_join(flow->threads->conductor, NULL);
    pthread_cond_destroy(&flow->threads->bell);
    pthread_mutex_destroy(&flow->threads->lock);
    release(flow);
}

/* ---- devices and jobs ---------------------------------------------------------------------------------------- */

struct facts_ctx {
    const char *device;
    struct device_facts *facts;
};

static enum tl_rc copy_facts(void *ctx, const struct store_device *device, struct tl_err *err)
{
    struct device_facts *facts = ctx;

    (void)err;
    *facts = (struct device_facts){device->agent_key[0] != '\0', device->anchor_reference_ms,
                                   device_info_worker(device->info)};
    return TL_OK;
}

static enum tl_rc read_facts(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct facts_ctx *f = ctx;

    return store_device_get(tx, f->device, copy_facts, f->facts, err);
}

enum tl_rc flow_device_facts(struct store *store, const char *device, struct device_facts *ret_facts,
                             struct tl_err *err)
{
    return store_read(store, read_facts, &(struct facts_ctx){device, ret_facts}, err);
}

struct absence {
    const char *device;
    char *why;
};

static enum tl_rc tell_absence(void *ctx, const struct store_device *device, struct tl_err *err)
{
    struct tl_err why = {0}; /* its text is whole characters, also where a reason is cut */
    char since[TL_TIME_TEXT];

    (void)err;
    if (strcmp(device->state, "active") != 0) {
        (void)tl_fail(&why, TL_BUSY, "%s is %s (%.100s); what it has to do waits until it is resumed", device->name,
                      device->state, device->state_reason);
    } else if (tl_clock_wall_ns() - device->seen_ns > FLOW_AWAY_NS) {
        tl_time_format(device->seen_ns, since);
        (void)tl_fail(&why, TL_BUSY, "%s was last heard of at %s; what it has to do waits until it is back",
                      device->name, since);
    }
    snprintf(ctx, FLOW_ABSENCE_TEXT, "%.239s", why.text);
    return TL_OK;
}

static enum tl_rc read_absence(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct absence *absence = ctx;

    return store_device_get(tx, absence->device, tell_absence, absence->why, err);
}

enum tl_rc flow_device_absence(struct store *store, const char *device, char ret_why[FLOW_ABSENCE_TEXT],
                               struct tl_err *err)
{
    return store_read(store, read_absence, &(struct absence){device, ret_why}, err);
}

struct counts_ctx {
    const char *device, *space, *kind, *search;
    struct job_counts *counts;
    int64_t last;
    size_t n;
};

static enum tl_rc count_job(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct counts_ctx *c = ctx;

    (void)err;
    c->last = job->seq;
    c->n++;
    if (c->space[0] && strcmp(job->space, c->space) != 0) {
        return TL_OK;
    }
    c->counts->first_ns = c->counts->first_ns ? c->counts->first_ns : job->created_ns;
    c->counts->last_ns = job->created_ns;
    c->counts->queued += strcmp(job->state, "queued") == 0;
    c->counts->leased += strcmp(job->state, "leased") == 0;
    c->counts->done += strcmp(job->state, "done") == 0;
    if (strcmp(job->state, "failed") == 0) {
        c->counts->failed++;
        snprintf(c->counts->failure, sizeof(c->counts->failure), "%s", job->failure);
    }
    return TL_OK;
}

static enum tl_rc count_jobs(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct counts_ctx *c = ctx;
    enum tl_rc rc = TL_OK;

    do {
        c->n = 0;
        rc = store_job_list(tx, c->device, c->kind, c->search, "", (struct store_page){c->last, 1000}, count_job, c,
                            err);
    } while (!rc && c->n == 1000);
    return rc;
}

enum tl_rc flow_job_counts(struct store *store, const char *device, const char *space, const char *kind,
                           const char *search, struct job_counts *ret_counts, struct tl_err *err)
{
    *ret_counts = (struct job_counts){0};
    return store_read(
        store, count_jobs,
        &(struct counts_ctx){.device = device, .space = space, .kind = kind, .search = search, .counts = ret_counts},
        err);
}
