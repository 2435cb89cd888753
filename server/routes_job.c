/* routes_job.c - jobs: profiles asked for by people, leases asked for by agents. */
#include "server/anchor.h"
#include "server/codec_device.h"
#include "server/codec_evaluate.h"
#include "server/codec_job.h"
#include "server/codec_search.h"
#include "server/codec_work.h"
#include "server/flow.h"
#include "server/routes.h"
#include "server/spaces.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MAX_BYTES = 64 << 20, LEASE_S = 60, JOB_MAX_BYTES = 16 << 20 };

static const int64_t NS_PER_S = 1000000000;

/* ---- lists and profiles -------------------------------------------------------------------------------------- */

struct job_listing {
    const char *device, *state; /* "": any */
    struct store_page page;
    struct list_writer list;
    int64_t last;
};

static void job_listing_done(struct job_listing *listing)
{
    list_writer_done(&listing->list);
}

static enum tl_rc on_job(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct job_listing *listing = ctx;
    TL_AUTO(tl_buf) item = {0};
    listing->last = job->seq;
    enum tl_rc rc = job_item_encode(job, &item, err);
    return rc != TL_OK ? rc : list_add(&listing->list, &item, err);
}

static enum tl_rc read_jobs(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct job_listing *listing = ctx;
    return store_job_list(tx, listing->device, "", "", listing->state, listing->page, on_job, listing, err);
}

enum tl_rc route_job_list(struct service *service, const struct http_request *request, struct http_response *response,
                          struct tl_err *err)
{
    static const char *const known[] = {"device", "state", "page_size", "page_token"};
    TL_AUTO(job_listing)
    listing = {.device = routes_query_or_any(request, "device"), .state = routes_query_or_any(request, "state")};
    enum tl_rc rc;
    if ((rc = http_query_only(request, known, TL_COUNT_OF(known), err)) ||
        (rc = routes_page_query(request, &listing.page, err)) ||
        (rc = list_begin(&listing.list, LIST_MAX_BYTES, err)) ||
        (rc = store_read(service->store, read_jobs, &listing, err))) {
        return rc;
    }
    return routes_list_answer(&listing.list, listing.page, listing.last, response, err);
}

/* A name in a body that leads nowhere is a wrong value, not a missing page. */
static enum tl_rc name_fault(enum tl_rc rc, const char *pointer, const struct tl_err *why, struct tl_err *err)
{
    return tl_fail_at(err, rc == TL_NOT_FOUND ? TL_INVALID : rc, pointer, "%s", why->text);
}

static enum tl_rc has_agent(void *ctx, const struct store_device *device, struct tl_err *err)
{
    (void)ctx;
    if (device_info_worker(device->info)) {
        return tl_fail(err, TL_INVALID, "%s is a pool of workers, which measures nothing", device->name);
    }
    return device->agent_key[0]
               ? TL_OK
               : tl_fail(err, TL_INVALID, "%s has no agent that could measure: run tailor-agent there", device->name);
}

static enum tl_rc find_device(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    return store_device_get(tx, ctx, has_agent, NULL, err);
}

static enum tl_rc device_admit(struct service *service, struct job_request *job, struct tl_err *err)
{
    struct tl_err why = {0};
    enum tl_rc rc = store_read(service->store, find_device, job->device, &why);
    return rc == TL_OK ? TL_OK : name_fault(rc, "/device", &why, err);
}

static enum tl_rc space_admit(struct service *service, const struct job_request *job, struct tl_err *err)
{
    const struct space_entry *entry = spaces_find(service->spaces, job->space);
    if (entry && entry->family) {
        return TL_OK;
    }
    return tl_fail_at(err, TL_INVALID, "/space",
                      entry ? "no network of %s can be built, so none can be measured"
                            : "no space is called %s; GET /spaces lists them",
                      job->space);
}

/* Jobs of one profile are the only open ones of their device and space: flow_profile_start refuses a second. */
struct profile_jobs {
    const struct job_request *profile;
    char ids[JOB_IDS_MAX][TL_UUID_TEXT];
    size_t n;
};

static enum tl_rc on_profile_job(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct profile_jobs *jobs = ctx;
    (void)err;
    if (strcmp(job->space, jobs->profile->space) == 0 && jobs->n < JOB_IDS_MAX) {
        snprintf(jobs->ids[jobs->n++], TL_UUID_TEXT, "%s", job->id);
    }
    return TL_OK;
}

static enum tl_rc read_profile_jobs(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    static const char *const states[] = {"queued", "leased"};
    struct profile_jobs *jobs = ctx;
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; rc == TL_OK && i < TL_COUNT_OF(states); i++) {
        rc = store_job_list(tx, jobs->profile->device, "profile", "", states[i], (struct store_page){0, JOB_IDS_MAX},
                            on_profile_job, jobs, err);
    }
    return rc;
}

static enum tl_rc start_profile(struct service *service, const struct job_request *job, struct profile_jobs *jobs,
                                struct tl_err *err)
{
    size_t n_jobs = 0;
    enum tl_rc rc = flow_profile_start(service, job->device, job->space, job->resolution, &n_jobs, err);
    return rc ? rc : store_read(service->store, read_profile_jobs, jobs, err);
}

enum tl_rc route_job_post(struct service *service, const struct http_request *request, struct http_response *response,
                          struct tl_err *err)
{
    struct job_request job;
    struct profile_jobs jobs = {.profile = &job};
    char subject[SUBJECT_TEXT] = "";
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = job_request_decode(request->body, request->body_n, &job, err)) ||
        (!job.measures && (rc = space_admit(service, &job, err))) || (rc = device_admit(service, &job, err))) {
        return rc;
    }
    if (job.measures) {
        jobs.n = (size_t)job.visits;
        rc = flow_measure_start(service, job.device, job.candidate, jobs.n, jobs.ids, subject, err);
    } else {
        rc = start_profile(service, &job, &jobs, err);
    }
    if (rc) {
        return rc;
    }
    response->status = 202;
    return job_ids_encode(jobs.ids, jobs.n, subject, &response->body, err);
}

/* ---- leases -------------------------------------------------------------------------------------------------- */

struct leasing {
    const struct http_caller *caller;
    const struct agent_call *call;
    struct tl_buf *answer;
    struct work_runtime runtime; /* of the device */
    bool is_worker;
    bool leased;
    int64_t now_ns, next_ns; /* wall; next: when a queued job becomes due, 0: none */
};

static enum tl_rc on_leased(void *ctx, const struct store_job *job, struct tl_err *err)
{
    const struct leasing *leasing = ctx;
    return strcmp(job->kind, "evaluate") == 0 ? evaluate_lease_encode(job, LEASE_S, leasing->answer, err)
                                              : work_lease_encode(job, LEASE_S, leasing->runtime, leasing->answer, err);
}

static enum tl_rc note_info(void *ctx, const struct store_device *device, struct tl_err *err)
{
    struct leasing *leasing = ctx;
    (void)err;
    leasing->runtime = work_device_runtime(device->info);
    leasing->is_worker = device_info_worker(device->info);
    return TL_OK;
}

static enum tl_rc lease_job(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct leasing *leasing = ctx;
    enum tl_rc rc;
    leasing->now_ns = tl_clock_wall_ns();
    if ((rc = service_agent(tx, leasing->caller, leasing->call->device, leasing->call->agent_key, err)) ||
        (rc = store_device_get(tx, leasing->call->device, note_info, leasing, err))) {
        return rc;
    }
    return store_job_lease(tx, leasing->call->device, leasing->is_worker, leasing->now_ns,
                           leasing->now_ns + LEASE_S * NS_PER_S, on_leased, leasing, &leasing->leased,
                           &leasing->next_ns, err);
}

/* How long a lease may be parked: what the agent offers, but no longer than until the next job is due. */
static double lease_wait(const struct http_request *request, const struct leasing *leasing)
{
    double due_s = request->waited_s + (double)(leasing->next_ns - leasing->now_ns) / (double)NS_PER_S;
    return leasing->next_ns > 0 && due_s < request->prefer_wait_s ? due_s : request->prefer_wait_s;
}

enum tl_rc route_job_lease(struct service *service, const struct http_request *request, struct http_response *response,
                           struct tl_err *err)
{
    struct agent_call call;
    struct leasing leasing = {.caller = &request->caller, .call = &call, .answer = &response->body};
    enum tl_rc rc;
    response->body.max = JOB_MAX_BYTES;
    if (request->gone) { /* a job leased to nobody would wait for the lease to run out */
        response->status = 204;
        return TL_OK;
    }
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = lease_call_decode(request->body, request->body_n, &call, err)) ||
        (rc = store_write(service->store, lease_job, &leasing, err))) {
        return rc;
    }
    if (!leasing.leased) {
        response->status = 204;
        response->wait_s = lease_wait(request, &leasing);
    }
    return TL_OK;
}

struct job_change {
    const struct http_caller *caller;
    const char *id;
    const struct agent_call *call;
    const struct evaluate_answer *answer; /* NULL: renews, or fails */
    bool renews;                          /* else: ends */
    char device[JOB_NAME_TEXT], standing[JOB_REASON_MAX + 80];
    bool quarantined; /* `device` is, for what `standing` says */
};

/* The job that a call is about. */
struct called {
    char device[JOB_NAME_TEXT], space[JOB_NAME_TEXT];
    bool evaluates, done, failed;
    struct evaluate_asked asked;
};

static enum tl_rc copy_called(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct called *called = ctx;
    *called = (struct called){.evaluates = strcmp(job->kind, "evaluate") == 0,
                              .done = strcmp(job->state, "done") == 0,
                              .failed = strcmp(job->state, "failed") == 0};
    snprintf(called->device, JOB_NAME_TEXT, "%s", job->device);
    snprintf(called->space, JOB_NAME_TEXT, "%s", job->space);
    return called->evaluates ? evaluate_asked_decode(job->work, &called->asked, err) : TL_OK;
}

static enum tl_rc check_answer(const struct called *called, const struct evaluate_answer *answer, struct tl_err *err)
{
    if (called->evaluates) {
        return evaluate_answer_check(answer, &called->asked, err);
    }
    return answer->there ? tl_fail_at(err, TL_INVALID, "/values", "only evaluate jobs ask for values; leave it out")
                         : TL_OK;
}

/* Values are kept once; a job that was done before must have been told the same. */
static enum tl_rc keep_answer(struct store_tx *tx, const struct called *called, const struct evaluate_answer *answer,
                              struct tl_err *err)
{
    bool same = true, all_same = true;
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; i < answer->n; i++) {
        const struct evaluate_row *row = &answer->rows[i];
        for (size_t m = 0; m < METRIC_COUNT && !rc; m++) {
            if (row->given >> m & 1U) {
                const struct store_evaluation evaluation = {called->device, called->space, row->arch, metric_names[m],
                                                            row->values[m]};
                rc = store_evaluation_put(tx, &evaluation, &same, err);
                all_same = all_same && same;
            }
        }
    }
    return rc || all_same || !called->done
               ? rc
               : tl_fail(err, TL_CONFLICT, "the job was completed with other values, which stand");
}

/* A failed job counts once, however often that is said. Of a pool of workers none does: one of them does not speak for the
 * others, and a search that gets no values says why. */
static enum tl_rc count_failure(struct store_tx *tx, const struct called *called, struct job_change *change,
                                struct tl_err *err)
{
    if (called->failed || called->evaluates) {
        return TL_OK;
    }
    snprintf(change->device, sizeof change->device, "%s", called->device);
    snprintf(change->standing, sizeof change->standing, "three jobs failed within a minute, the last one: %s",
             change->call->reason);
    return store_device_failed(tx, called->device, tl_clock_wall_ns(), change->standing, &change->quarantined, err);
}

static enum tl_rc change_job(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct job_change *change = ctx;
    const struct agent_call *call = change->call;
    struct called called;
    enum tl_rc rc;
    if ((rc = store_job_get(tx, change->id, copy_called, &called, err)) ||
        (rc = service_agent(tx, change->caller, called.device, call->agent_key, err))) {
        return rc;
    }
    if (change->renews) {
        return store_job_renew(tx, change->id, call->attempt, tl_clock_wall_ns() + LEASE_S * NS_PER_S, err);
    }
    if ((change->answer && (rc = check_answer(&called, change->answer, err))) ||
        (rc = store_job_end(tx, change->id, call->attempt, call->reason, err)) ||
        (change->answer && (rc = keep_answer(tx, &called, change->answer, err))) ||
        (call->reason[0] && (rc = count_failure(tx, &called, change, err)))) {
        return rc;
    }
    return called.evaluates ? TL_OK : anchor_fix(tx, called.device, err);
}

static enum tl_rc change(struct service *service, struct job_change *change, struct http_response *response,
                         struct tl_err *err)
{
    enum tl_rc rc = store_write(service->store, change_job, change, err);
    if (rc) {
        return rc;
    }
    if (change->quarantined) {
        tl_log(TL_LOG_WARNING, "device", "%s is quarantined: %s", change->device, change->standing);
    }
    if (!change->renews) {
        flow_ring(service->flow);
    }
    return change->renews
               ? job_renewal_encode(LEASE_S, &response->body, err)
               : job_end_encode(change->id, change->call->reason[0] ? "failed" : "done", &response->body, err);
}

enum tl_rc route_job_renew(struct service *service, const struct http_request *request, struct http_response *response,
                           struct tl_err *err)
{
    struct agent_call call;
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = job_call_decode(request->body, request->body_n, false, &call, err))) {
        return rc;
    }
    return change(
        service,
        &(struct job_change){.caller = &request->caller, .id = request->params[0], .call = &call, .renews = true},
        response, err);
}

enum tl_rc route_job_complete(struct service *service, const struct http_request *request,
                              struct http_response *response, struct tl_err *err)
{
    struct agent_call call;
    struct evaluate_answer answer;
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = complete_call_decode(request->body, request->body_n, &call, &answer, err))) {
        return rc;
    }
    return change(
        service,
        &(struct job_change){.caller = &request->caller, .id = request->params[0], .call = &call, .answer = &answer},
        response, err);
}

enum tl_rc route_job_fail(struct service *service, const struct http_request *request, struct http_response *response,
                          struct tl_err *err)
{
    struct agent_call call;
    enum tl_rc rc;
    if ((rc = http_query_only(request, NULL, 0, err)) ||
        (rc = job_call_decode(request->body, request->body_n, true, &call, err))) {
        return rc;
    }
    return change(service, &(struct job_change){.caller = &request->caller, .id = request->params[0], .call = &call},
                  response, err);
}
