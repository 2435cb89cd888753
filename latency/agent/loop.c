/* loop.c - register, then send, lease, fetch, measure, spool, send, complete, for ever.
 *
 * One idea: every request may fail and is made again (with growing pauses) until the server answers or the agent is told
 * to stop; only an answer that would be the same next time ends something. A server that no longer lets this agent in ends
 * it, with what it measured still in its spool.
 *
 * When it is told to stop in the middle of a job it says nothing: the lease stays this device's, and the same job comes
 * first when it asks again.
 */
#include "latency/agent/agent.h"

#include "supernet/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MAX = 16 << 20, /* a job of LAT_JOB_ITEMS_MAX networks has some 400 KiB */
    LEASE_WAIT_S = 30,
    ANSWER_WAIT_S = 30, /* for everything but leasing */
    MODEL_WAIT_S = 300, /* some 30 MB over a slow line */
    RENEW_WAIT_S = 5,   /* while measuring stands still */
};

struct agent {
    const struct agent_config *config; /* borrowed */
    const atomic_int *stop;            /* borrowed */
    agent_say_fn *say;
    struct agent_state state;
    struct agent_spool spool;
    struct agent_host host;
    struct http_client *client; /* owned */
    struct tl_pool *pool;       /* owned; NULL: one thread */
    struct runner *runner;      /* owned */
    struct agent_models models;
    struct agent_lock lock;
    struct tl_rng rng;
    struct http_answer answer; /* owned; the last one */
};

static void agent_done(struct agent *agent)
{
    http_answer_done(&agent->answer);
    runner_free(agent->runner);
    agent_lock_done(&agent->lock);
    tl_pool_free(agent->pool);
    http_client_free(agent->client);
    agent_state_done(&agent->state);
}

TL_PRINTF(3, 4) static void say(const struct agent *agent, enum tl_log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    agent->say(level, text);
}

static void say_problem(const struct agent *agent, const char *what)
{
    char text[512];

    agent_problem_text(&agent->answer, text, sizeof text);
    say(agent, TL_LOG_WARNING, "%s: the server answers %s", what, text);
}

static bool stopped(const struct agent *agent)
{
    return *agent->stop != 0;
}

/* Sleep, looking up five times a second. */
static void pause_ms(const struct agent *agent, int64_t ms)
{
    const int64_t until_ns = tl_clock_mono_ns() + ms * 1000000;

    for (int64_t left_ns = ms * 1000000; left_ns > 0 && !stopped(agent); left_ns = until_ns - tl_clock_mono_ns()) {
        tl_sleep_ns(left_ns < 200000000 ? left_ns : 200000000);
    }
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

/* Ask until the server answers with something that would not change by asking again: *ret_status says what (the rest is
 * in agent->answer). TL_UNAVAILABLE: stopped meanwhile. TL_FORBIDDEN: the token is missing, revoked or another's. */
static enum tl_rc ask(struct agent *agent, const char *method, const char *path, const char *prefer,
                      const struct tl_buf *body, int timeout_s, int *ret_status, struct tl_err *err)
{
    for (unsigned attempt = 0; !stopped(agent); attempt++) {
        struct tl_err failure = {0};
        const enum tl_rc rc = http_request(agent->client, method, path, NULL, prefer, body->data, body->len, timeout_s,
                                           &agent->answer, &failure);
        if (rc && rc != TL_UNAVAILABLE) {
            return tl_fail(err, rc, "%s", failure.text);
        }
        if (stopped(agent)) {
            break;
        }
        const int status = rc ? 0 : agent->answer.status;
        if (status == 401 || status == 403) {
            char text[400];
            agent_problem_text(&agent->answer, text, sizeof text);
            return tl_fail(err, TL_FORBIDDEN, "the server does not let this agent in; it answers %s", text);
        }
        if (status != 0 && status < 500 && !http_retry_wanted(status)) {
            *ret_status = status;
            return TL_OK;
        }
        if (attempt == 0) {
            say(agent, TL_LOG_WARNING, "%s %s: %s; trying again", method, path,
                rc ? failure.text : tl_rc_title(TL_UNAVAILABLE));
        }
        pause_ms(agent, http_retry_delay_ms(attempt, rc ? -1 : agent->answer.retry_after_s, &agent->rng));
    }
    return tl_fail(err, TL_UNAVAILABLE, "stopped");
}

static enum tl_rc register_device(struct agent *agent, struct tl_err *err)
{
    TL_AUTO(tl_buf) body = {0};
    char text[512];
    int status = 0;
    enum tl_rc rc;

    if ((rc = agent_encode_registration(agent->config, agent->runner, agent->state.key, &agent->host, &body, err)) ||
        (rc = ask(agent, "POST", "/devices", NULL, &body, ANSWER_WAIT_S, &status, err))) {
        return rc;
    }
    if (status / 100 == 2) {
        const struct runner_config *runner = &agent->config->runner;
        say(agent, TL_LOG_INFO, "registered as %s (%s, %s, %u thread%s, batch %u)", agent->config->name,
            agent->host.cpu, agent->runner->runtime, runner->threads, runner->threads == 1 ? "" : "s", runner->batch);
        return TL_OK;
    }
    agent_problem_text(&agent->answer, text, sizeof text);
    return tl_fail(err, status == 409 ? TL_CONFLICT : TL_INVALID, "the server does not take this device; it answers %s",
                   text);
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

/* Send one spooled measurement, the same bytes every time, and take it out of the spool. */
static enum tl_rc send_one(struct agent *agent, const char *uuid, struct tl_err *err)
{
    TL_AUTO(tl_buf) body = {.max = SPOOL_FILE_MAX};
    char path[64], text[512];
    int status = 0;
    enum tl_rc rc;

    (void)snprintf(path, sizeof path, "/measurements/%.36s", uuid);
    if ((rc = agent_spool_read(&agent->spool, uuid, &body, err)) ||
        (rc = ask(agent, "PUT", path, NULL, &body, ANSWER_WAIT_S, &status, err))) {
        return rc;
    }
    if (status / 100 == 2) {
        return agent_spool_remove(&agent->spool, uuid, err);
    }
    agent_problem_text(&agent->answer, text, sizeof text);
    say(agent, TL_LOG_ERROR, "measurement %s is refused, the server answers %s; it is kept in %s", uuid, text,
        agent->spool.rejected);
    return agent_spool_reject(&agent->spool, uuid, agent->answer.body.data != NULL ? agent->answer.body.data : "", err);
}

static enum tl_rc send_all(struct agent *agent, struct tl_err *err)
{
    char uuids[SPOOL_FILES_MAX][TL_UUID_TEXT];
    size_t n = 0;
    enum tl_rc rc = agent_spool_list(&agent->spool, uuids, &n, err);

    for (size_t i = 0; !rc && i < n; i++) {
        rc = send_one(agent, uuids[i], err);
    }
    return rc;
}

/* ---- a job ----------------------------------------------------------------------------------------------------- */

/* Tell the server about a lease: ACTION renew, complete or fail. */
static enum tl_rc tell(struct agent *agent, const char *id, int64_t attempt, const char *action, const char *reason,
                       struct tl_err *err)
{
    TL_AUTO(tl_buf) body = {0};
    char path[96];
    int status = 0;
    enum tl_rc rc;

    (void)snprintf(path, sizeof path, "/jobs/%s:%s", id, action);
    if ((rc = agent_encode_attempt(attempt, agent->state.key, reason, &body, err)) ||
        (rc = ask(agent, "POST", path, NULL, &body, ANSWER_WAIT_S, &status, err))) {
        return rc;
    }
    if (status / 100 != 2) {
        say_problem(agent, path); /* the lease ran out, or the job is over: the results count all the same */
    }
    return TL_OK;
}

/* What measuring needs to keep its lease. */
struct lease {
    struct agent *agent;
    const struct lat_job *job;
    int64_t renewed_ns;
};

/* Renew when a third of the lease is over. A server that cannot be reached is none of measuring's business; one that
 * says no ends it. */
static enum tl_rc keep_lease(void *ctx, struct tl_err *err)
{
    struct lease *lease = ctx;
    struct agent *agent = lease->agent;
    TL_AUTO(tl_buf) body = {0};
    char path[96];

    if (tl_clock_mono_ns() - lease->renewed_ns < (int64_t)lease->job->lease_s * 1000000000 / 3) {
        return TL_OK;
    }
    (void)snprintf(path, sizeof path, "/jobs/%s:renew", lease->job->id);
    const enum tl_rc rc = agent_encode_attempt(lease->job->attempt, agent->state.key, NULL, &body, err);
    if (rc) {
        return rc;
    }
    lease->renewed_ns = tl_clock_mono_ns();
    const enum tl_rc asked =
        http_request(agent->client, "POST", path, NULL, NULL, body.data, body.len, RENEW_WAIT_S, &agent->answer, NULL);
    if (asked == TL_OK && (agent->answer.status == 404 || agent->answer.status == 409)) {
        return tl_fail(err, TL_CONFLICT, "the lease of job %s is lost", lease->job->id);
    }
    return TL_OK;
}

static struct lat_measurement describe(const struct agent *agent, const struct lat_job *job,
                                       const struct agent_result *result, size_t item)
{
    const struct agent_machine *before = &result->before, *after = &result->after;
    struct lat_measurement measurement = {
        .attempt = job->attempt,
        .item = item,
        .is_block = job->items[item].is_block,
        .visit = agent_result_visit(result, item),
        .duration_s = (double)(after->mono_ns - before->mono_ns) / 1e9,
        .context = {.temp_c_before = before->temp_c,
                    .temp_c_after = after->temp_c,
                    .load1 = after->load1,
                    .threads = agent->config->runner.threads},
    };

    (void)snprintf(measurement.device, sizeof measurement.device, "%s", agent->config->name);
    memcpy(measurement.agent_key, agent->state.key, sizeof measurement.agent_key);
    memcpy(measurement.job, job->id, sizeof measurement.job);
    memcpy(measurement.subject, job->items[item].subject, sizeof measurement.subject);
    tl_time_format(result->started_wall_ns, measurement.started);
    memcpy(measurement.context.governor, after->governor, sizeof measurement.context.governor);
    if (agent->config->runner.kind == RUNNER_NATIVE) {
        (void)snprintf(measurement.context.isa, sizeof measurement.context.isa, "%s", net_isa());
    } else {
        memcpy(measurement.context.model, agent->models.hashes[item + 1], sizeof measurement.context.model);
    }
    memcpy(measurement.context.runtime, agent->runner->runtime, sizeof measurement.context.runtime);
    (void)snprintf(measurement.context.agent, sizeof measurement.context.agent, "%s", TAILOR_VERSION);
    return measurement;
}

static enum tl_rc spool_result(struct agent *agent, const struct lat_job *job, const struct agent_result *result,
                               struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; !rc && i < result->n_items; i++) {
        TL_AUTO(tl_buf) body = {.max = SPOOL_FILE_MAX};
        char uuid[TL_UUID_TEXT];
        if (result->failed[i]) {
            continue;
        }
        const struct lat_measurement measurement = describe(agent, job, result, i);
        tl_uuid(uuid);
        if (!(rc = lat_measurement_encode(&measurement, &body, err))) {
            rc = agent_spool_add(&agent->spool, uuid, body.data, body.len, err);
        }
    }
    return rc;
}

static void say_done(const struct agent *agent, const struct lat_job *job, const struct agent_result *result)
{
    char place[48] = "";
    const char *what = job->items[0].is_block ? "block" : "network";

    if (job->total > 0) {
        (void)snprintf(place, sizeof place, " %u of %u", job->number, job->total);
    }
    say(agent, TL_LOG_INFO, "%s%s: %zu %s%s, %.1f s", job->kind, place, job->n_items, what,
        job->n_items == 1 ? "" : "s", (double)(result->after.mono_ns - result->before.mono_ns) / 1e9);
}

/* The model file of one network of the job. */
static enum tl_rc fetch_one(struct agent *agent, const struct lat_job *job, size_t slot, struct tl_err *err)
{
    const struct tl_buf nothing = {0};
    char path[96], text[256];
    int status = 0;
    enum tl_rc rc;

    if (slot == 0) {
        (void)snprintf(path, sizeof path, "/jobs/%s/models/anchor", job->id);
    } else {
        (void)snprintf(path, sizeof path, "/jobs/%s/models/%zu", job->id, slot - 1);
    }
    if ((rc = ask(agent, "GET", path, NULL, &nothing, MODEL_WAIT_S, &status, err))) {
        return rc;
    }
    if (status != 200) {
        agent_problem_text(&agent->answer, text, sizeof text);
        return tl_fail(err, TL_INVALID, "no model file %s; the server answers %s", path, text);
    }
    return agent_models_put(&agent->models, slot, &agent->answer, err);
}

static enum tl_rc fetch(struct agent *agent, const struct lat_job *job, const struct agent_watch *watch,
                        struct tl_err *err)
{
    struct tl_hash anchor;
    enum tl_rc rc = agent_network_hash(&job->anchor->net, job->seed, job->protocol.batch, &anchor, err);

    if (!rc && !agent_models_have_anchor(&agent->models, &anchor)) {
        rc = fetch_one(agent, job, 0, err);
        agent->models.anchor = anchor;
    }
    for (size_t i = 0; !rc && i < job->n_items; i++) {
        if (!(rc = fetch_one(agent, job, i + 1, err))) {
            rc = agent_watch_ask(watch, err);
        }
    }
    return rc;
}

/* Measure, while nobody else does. */
static enum tl_rc measure(struct agent *agent, const struct lat_job *job, const struct agent_watch *watch,
                          struct agent_result *ret_result, struct tl_err *err)
{
    const bool files = agent->runner->wants_files;
    enum tl_rc rc;

    if ((files && (rc = fetch(agent, job, watch, err))) || (rc = agent_lock_take(&agent->lock, watch, err))) {
        return rc;
    }
    rc = agent_measure(job, agent->runner, files ? &agent->models : NULL, watch, ret_result, err);
    agent_lock_give(&agent->lock);
    return rc;
}

static enum tl_rc check_runtime(const struct agent *agent, const struct lat_job *job, struct tl_err *err)
{
    const struct runner_config *runner = &agent->config->runner;

    return job->protocol.threads == runner->threads && job->protocol.batch == runner->batch
               ? TL_OK
               : tl_fail(err, TL_INVALID, "the job asks for %u threads and batch %u, this agent runs %u and %u",
                         job->protocol.threads, job->protocol.batch, runner->threads, runner->batch);
}

static enum tl_rc measure_and_send(struct agent *agent, const struct lat_job *job, struct tl_err *err)
{
    TL_AUTO(agent_result) result = {0};
    struct lease lease = {.agent = agent, .job = job, .renewed_ns = tl_clock_mono_ns()};
    const struct agent_watch watch = {.between = keep_lease, .ctx = &lease, .stop = agent->stop};
    enum tl_rc rc;

    if ((rc = check_runtime(agent, job, err)) || (rc = measure(agent, job, &watch, &result, err)) ||
        (rc = spool_result(agent, job, &result, err))) {
        return rc;
    }
    say_done(agent, job, &result);
    if ((rc = send_all(agent, err))) {
        return rc;
    }
    if (result.n_failed > 0) { /* the others are sent: nothing of them is lost */
        return tl_fail(err, TL_INVALID, "%zu of %zu not measured: %s", result.n_failed, result.n_items, result.why);
    }
    return tell(agent, job->id, job->attempt, "complete", NULL, err);
}

/* Do the job in agent->answer. A job that cannot be done is failed with the reason, and the agent goes on. */
static enum tl_rc do_job(struct agent *agent, struct tl_err *err)
{
    TL_AUTO(lat_job) job = {0};
    struct tl_err failure = {0};
    char id[TL_UUID_TEXT];
    int64_t attempt = 0;
    enum tl_rc rc = lat_job_decode_id(agent->answer.body.data, agent->answer.body.len, id, &attempt, &failure);

    if (rc) {
        say(agent, TL_LOG_ERROR, "the server sends a job that cannot be read: %s %s", failure.pointer, failure.text);
        pause_ms(agent, http_retry_delay_ms(3, -1, &agent->rng));
        return TL_OK;
    }
    if (!(rc = lat_job_decode(agent->answer.body.data, agent->answer.body.len, &job, &failure))) {
        rc = measure_and_send(agent, &job, &failure);
        agent_models_clear(&agent->models);
    }
    if (!rc || stopped(agent)) {
        return TL_OK;
    }
    if (rc == TL_FORBIDDEN) {
        return tl_fail(err, rc, "%s", failure.text);
    }
    char reason[sizeof failure.pointer + sizeof failure.text + 2];
    (void)snprintf(reason, sizeof reason, "%s%s%s", failure.pointer, failure.pointer[0] != '\0' ? " " : "",
                   failure.text);
    say(agent, TL_LOG_ERROR, "job %s: %s", id, reason);
    return rc == TL_CONFLICT ? TL_OK : tell(agent, id, attempt, "fail", reason, err);
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

/* Lease: *ret_job says whether a job came (in agent->answer). */
static enum tl_rc lease(struct agent *agent, int wait_s, bool *ret_job, struct tl_err *err)
{
    TL_AUTO(tl_buf) body = {0};
    char prefer[32];
    int status = 0;
    enum tl_rc rc;

    (void)snprintf(prefer, sizeof prefer, "wait=%d", wait_s);
    if ((rc = agent_encode_lease(agent->config->name, agent->state.key, &body, err)) ||
        (rc = ask(agent, "POST", "/jobs:lease", prefer, &body, wait_s + ANSWER_WAIT_S, &status, err))) {
        return rc;
    }
    *ret_job = status == 200;
    if (status == 200 || status == 204) {
        return TL_OK;
    }
    if (status == 404) { /* the server has lost its data: be new to it */
        return register_device(agent, err);
    }
    char text[512];
    agent_problem_text(&agent->answer, text, sizeof text);
    return tl_fail(err, status == 409 ? TL_CONFLICT : TL_INVALID, "no lease; the server answers %s", text);
}

/* One turn: send, then lease and do. *ret_worked: there was something to do. */
static enum tl_rc turn(struct agent *agent, int wait_s, bool *ret_worked, struct tl_err *err)
{
    bool room = false, is_job = false;
    const int64_t from_ns = tl_clock_mono_ns();
    enum tl_rc rc;

    if ((rc = send_all(agent, err)) || (rc = agent_spool_room(&agent->spool, LAT_JOB_ITEMS_MAX, &room, err))) {
        return rc;
    }
    if (!room) {
        say(agent, TL_LOG_ERROR, "the spool %s is full; no more work until it is sent", agent->spool.dir);
        pause_ms(agent, 60000);
        return TL_OK;
    }
    if ((rc = lease(agent, wait_s, &is_job, err))) {
        return rc;
    }
    *ret_worked = is_job;
    if (is_job) {
        return do_job(agent, err);
    }
    if (wait_s > 0 && tl_clock_mono_ns() - from_ns < 1000000000) {
        pause_ms(agent, 1000); /* a server that does not wait is not asked more often */
    }
    return TL_OK;
}

static enum tl_rc work(struct agent *agent, struct tl_err *err)
{
    const int64_t limit_s = agent->config->once_idle_s;
    int64_t idle_since_ns = tl_clock_mono_ns();
    enum tl_rc rc = TL_OK;

    while (!rc && !stopped(agent)) {
        const int64_t idle_s = (tl_clock_mono_ns() - idle_since_ns) / 1000000000;
        const int64_t left_s = limit_s < 0 || limit_s - idle_s > LEASE_WAIT_S ? LEASE_WAIT_S : limit_s - idle_s;
        bool worked = false;
        rc = turn(agent, left_s > 0 ? (int)left_s : 0, &worked, err);
        if (worked) {
            idle_since_ns = tl_clock_mono_ns();
        } else if (limit_s >= 0 && tl_clock_mono_ns() - idle_since_ns >= limit_s * 1000000000) {
            say(agent, TL_LOG_INFO, "nothing to do for %lld s: leaving", (long long)limit_s);
            return rc;
        }
    }
    return rc;
}

static enum tl_rc start(struct agent *agent, struct tl_err *err)
{
    const struct agent_config *config = agent->config;
    const struct runner_config *runner = &config->runner;
    const bool native = runner->kind == RUNNER_NATIVE;
    const struct agent_watch watch = {.stop = agent->stop};
    enum tl_rc rc;

    if ((rc = agent_state_open(config->state_dir, &agent->state, err)) ||
        (rc = agent_spool_open(config->state_dir, &agent->spool, err)) ||
        (rc = agent_models_open(config->state_dir, &agent->models, err)) ||
        (rc = agent_lock_open(config->lock, &agent->lock, err)) ||
        (rc = http_client_new(&agent->client, config->server, native ? ANSWER_MAX : AGENT_MODEL_MAX, err)) ||
        (rc = http_client_identify(agent->client, config->token_file[0] ? config->token_file : NULL,
                                   config->ca_file[0] ? config->ca_file : NULL, err))) {
        return rc;
    }
    if ((native && runner->threads > 1 && (rc = tl_pool_new(&agent->pool, runner->threads, err))) ||
        (rc = runner_new(runner, agent->pool, &watch, &agent->runner, err))) {
        return rc;
    }
    http_client_cancel_with(agent->client, agent->stop);
    agent_host_look("", &agent->host);
    tl_rng_init(&agent->rng, (uint64_t)tl_clock_wall_ns(), 0, 0);
    return TL_OK;
}

enum tl_rc agent_run(const struct agent_config *config, const atomic_int *stop, agent_say_fn *say_fn,
                     struct tl_err *err)
{
    TL_AUTO(agent)
    agent = {.config = config, .stop = stop, .say = say_fn, .state = {.lock_fd = -1}, .lock = {.fd = -1}};
    struct tl_err failure = {0};
    enum tl_rc rc;

    if (!(rc = start(&agent, &failure)) && !(rc = register_device(&agent, &failure))) {
        rc = work(&agent, &failure);
    }
    if (rc && !stopped(&agent)) {
        return tl_fail(err, rc, "%s", failure.text);
    }
    return TL_OK;
}
