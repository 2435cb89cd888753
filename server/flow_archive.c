/* flow_archive.c - archives are built while nobody waits: for what was searched lately, once for each set of models, a step
 * at a time, so that a search that comes is delayed by one step at most.
 *
 * Nothing about it is stored but what comes out: the archive of what models is in the row of kind "archive" that is published.
 * A server that was killed looks again, and begins again. Where an archive of older models is there, its members are
 * valued by the new ones and published at once, then refined.
 *
 * Old archives stay, as all models do: a search that used one can be run again.
 *
 * Threads: the searcher's.
 */
#include "server/archive.h"
#include "server/codec_snapshot.h"
#include "server/flow_steps.h"
#include "server/spaces.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A step of 2,000 evaluations takes some 50 ms with once-for-all's predictor. */
enum { STEP_EVALUATIONS = 2000, LOOKED_AT_MAX = 100, SETTLED_MAX = 256 };
static const size_t ARCHIVE_MAX_BYTES = (size_t)16 << 20;

struct archive_work {
    struct snapshot snapshot; /* what is built for; without a space: nothing is */
    struct evaluator *evaluator;
    struct archive_build *build;
    bool revalued; /* members of an older archive are being valued; they are published as soon as they are */
    int64_t begin_ns;
    char settled[SETTLED_MAX][TL_HASH_TEXT]; /* bases that need no archive or cannot have one, as a ring */
    size_t n_settled;
};

static void drop(struct archive_work *work)
{
    archive_build_free(work->build);
    evaluator_free(work->evaluator);
    snapshot_done(&work->snapshot);
    work->build = NULL;
    work->evaluator = NULL;
}

void flow_archive_done(struct flow *flow)
{
    if (flow->archive_work) {
        drop(flow->archive_work);
        free(flow->archive_work);
        flow->archive_work = NULL;
    }
}

static bool is_settled(const struct archive_work *work, const char *base)
{
    for (size_t i = 0; i < SETTLED_MAX; i++) {
        if (strcmp(work->settled[i], base) == 0) {
            return true;
        }
    }
    return false;
}

static void settle(struct archive_work *work, const char *base)
{
    snprintf(work->settled[work->n_settled++ % SETTLED_MAX], TL_HASH_TEXT, "%s", base);
}

/* ---- is anybody waiting, and for what -------------------------------------------------------------------------- */

/* The spaces and devices of the newest searches, each once. */
struct pairs {
    struct pair {
        char space[65], device[65];
    } at[LOOKED_AT_MAX];
    size_t n;
    bool busy; /* a device is measuring, or about to */
};

static enum tl_rc note_busy(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct pairs *pairs = ctx;

    (void)search, (void)err;
    pairs->busy = true;
    return TL_OK;
}

static enum tl_rc note_leased(void *ctx, const struct store_job *job, struct tl_err *err)
{
    struct pairs *pairs = ctx;

    (void)err;
    pairs->busy = pairs->busy || job->lease_until_ns > tl_clock_wall_ns();
    return TL_OK;
}

static enum tl_rc note_pair(void *ctx, const struct store_search *search, struct tl_err *err)
{
    struct pairs *pairs = ctx;
    struct pair *pair = &pairs->at[pairs->n];

    (void)err;
    if (strchr(search->device, ',')) {
        return TL_OK; /* archives are of one device or none */
    }
    for (size_t i = 0; i < pairs->n; i++) {
        if (strcmp(pairs->at[i].space, search->space) == 0 && strcmp(pairs->at[i].device, search->device) == 0) {
            return TL_OK;
        }
    }
    snprintf(pair->space, sizeof(pair->space), "%s", search->space);
    snprintf(pair->device, sizeof(pair->device), "%s", search->device);
    pairs->n++;
    return TL_OK;
}

/* A device that measures may be this machine: it is left in peace. */
static enum tl_rc look(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    static const char *const states[] = {"profiling", "verifying"};
    struct pairs *pairs = ctx;
    const struct store_page newest = {0, LOOKED_AT_MAX};
    enum tl_rc rc = store_search_list(tx, "", "", newest, note_pair, pairs, err);

    for (size_t i = 0; i < TL_COUNT_OF(states) && !rc; i++) {
        rc = store_search_list(tx, states[i], "", (struct store_page){0, 1}, note_busy, pairs, err);
    }
    for (size_t i = 0; i < pairs->n && !rc; i++) {
        if (pairs->at[i].device[0]) {
            rc = store_job_list(tx, pairs->at[i].device, "", "", "leased", newest, note_leased, pairs, err);
        }
    }
    return rc;
}

/* ---- beginning ----------------------------------------------------------------------------------------------- */

struct older {
    struct tl_hash hash;
    struct archive_info info;
    bool there;
};

static enum tl_rc note_older(void *ctx, const struct store_model *model, struct tl_err *err)
{
    struct older *older = ctx;

    (void)err;
    older->there = tl_hash_parse(model->hash, &older->hash);
    archive_info_decode(model->info.data, model->info.n, &older->info);
    return TL_OK;
}

struct older_ctx {
    const struct snapshot *snapshot;
    struct older older;
};

static enum tl_rc read_older(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct older_ctx *o = ctx;
    struct tl_err why = {0};
    enum tl_rc rc = store_model_current(tx, "archive", o->snapshot->space->space.name, o->snapshot->devices.names[0],
                                        note_older, &o->older, &why);

    return rc && rc != TL_NOT_FOUND ? tl_fail(err, rc, "%s", why.text) : TL_OK;
}

/* The members of the last archive, whatever models valued them; one that cannot be read is done without. */
static struct archive *load_older(struct flow *flow, const struct snapshot *snapshot, const struct older *older)
{
    TL_AUTO(tl_buf) bytes = {.max = ARCHIVE_MAX_BYTES};
    struct archive *archive = NULL;
    struct tl_err err = {0};

    if (older->there && (store_blob_get(flow->service->store, &older->hash, &bytes, &err) ||
                         archive_load(bytes.data, bytes.len, &snapshot->space->space, &archive, &err))) {
        tl_log(TL_LOG_WARNING, "archive", "an older archive is of no use: %s", err.text);
    }
    return archive;
}

/* Is this what an archive is built for? Tables are known whole, and without accuracy there is no front. */
static bool worth_it(const struct snapshot *snapshot)
{
    return snapshot->family && snapshot->accuracy && snapshot_lacks(snapshot) == snapshot->devices.n;
}

/* Begin for what work->snapshot pins, unless its archive is complete. */
static enum tl_rc begin(struct flow *flow, struct archive_work *work, struct tl_err *err)
{
    struct older_ctx o = {.snapshot = &work->snapshot};
    struct archive *older;
    enum tl_rc rc = store_read(flow->service->store, read_older, &o, err);

    if (rc || (o.older.info.complete && strcmp(o.older.info.base, work->snapshot.base) == 0)) {
        settle(work, work->snapshot.base);
        return rc;
    }
    if ((rc = snapshot_evaluator(&work->snapshot, &work->evaluator, err))) {
        return rc;
    }
    older = load_older(flow, &work->snapshot, &o.older);
    work->revalued = older != NULL;
    work->begin_ns = tl_clock_mono_ns();
    rc = archive_build_new(work->evaluator, older, flow->service->archive_evaluations, &work->build, err);
    archive_free(older);
    if (!rc) {
        tl_log(TL_LOG_INFO, "archive", "%s on %s is being built", work->snapshot.space->space.name,
               work->snapshot.devices.n > 0 ? work->snapshot.devices.names[0] : "no device");
    }
    return rc;
}

/* The first of the pairs that needs one. */
static enum tl_rc find_work(struct flow *flow, struct archive_work *work, const struct pairs *pairs, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; i < pairs->n && !rc && !work->build; i++) {
        const struct pair *pair = &pairs->at[i];
        if (snapshots_current(flow->service->snapshots, pair->space, pair->device, &work->snapshot, NULL)) {
            continue; /* it was searched, but is no more */
        }
        if (worth_it(&work->snapshot) && !is_settled(work, work->snapshot.base)) {
            rc = begin(flow, work, err);
        }
        if (!work->build) {
            if (rc) {
                settle(work, work->snapshot.base);
            }
            drop(work);
        }
    }
    return rc;
}

/* ---- publishing ---------------------------------------------------------------------------------------------- */

struct publish_ctx {
    const struct snapshot *snapshot;
    char hash[TL_HASH_TEXT];
    struct tl_buf info;
};

static enum tl_rc publish_tx(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct publish_ctx *publish = ctx;

    return store_model_put(tx,
                           &(struct store_model){.kind = "archive",
                                                 .space = publish->snapshot->space->space.name,
                                                 .device = publish->snapshot->devices.names[0],
                                                 .hash = publish->hash,
                                                 .created_ns = tl_clock_wall_ns(),
                                                 .info = {publish->info.data, publish->info.len}},
                           err);
}

static enum tl_rc publish(struct flow *flow, struct archive_work *work, bool complete, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = ARCHIVE_MAX_BYTES};
    struct publish_ctx ctx = {.snapshot = &work->snapshot};
    struct archive_info info = {.complete = complete, .evaluations = archive_build_evaluations(work->build)};
    struct store *store = flow->service->store;
    struct archive *archive = NULL;
    struct tl_hash hash;
    enum tl_rc rc = archive_build_get(work->build, &archive, err);

    if (rc) {
        return rc;
    }
    info.n_members = archive_count(archive);
    snprintf(info.base, sizeof(info.base), "%s", work->snapshot.base);
    if (!(rc = archive_save(archive, &bytes, err)) &&
        !(rc = store_blob_put(store, bytes.data, bytes.len, &hash, err)) &&
        !(rc = archive_info_encode(&info, &ctx.info, err))) {
        tl_hash_format(&hash, ctx.hash);
        rc = store_write(store, publish_tx, &ctx, err);
    }
    if (!rc) {
        tl_log(TL_LOG_INFO, "archive", "%s on %s: %zu members after %llu evaluations and %.1f s%s",
               work->snapshot.space->space.name,
               work->snapshot.devices.n > 0 ? work->snapshot.devices.names[0] : "no device", info.n_members,
               (unsigned long long)info.evaluations, (double)(tl_clock_mono_ns() - work->begin_ns) * 1e-9,
               complete ? "" : ", to be refined");
    }
    tl_buf_done(&ctx.info);
    archive_free(archive);
    return rc;
}

/* ---- the step ------------------------------------------------------------------------------------------------ */

static enum tl_rc step(struct flow *flow, struct archive_work *work, struct tl_err *err)
{
    bool done = false;
    enum tl_rc rc = archive_build_step(work->build, STEP_EVALUATIONS, &done, err);

    if (!rc && !done && work->revalued && archive_build_valued(work->build)) {
        work->revalued = false;
        rc = publish(flow, work, false, err);
    }
    if (!rc && done) {
        rc = publish(flow, work, true, err);
    }
    if (rc || done) {
        settle(work, work->snapshot.base);
        drop(work);
    }
    return rc;
}

bool flow_archive(struct flow *flow)
{
    struct pairs *pairs = NULL;
    struct archive_work *work = flow->archive_work;
    struct tl_err err = {0};
    enum tl_rc rc = TL_OK;
    bool more = false;

    if (flow->service->archive_evaluations == 0) {
        return false;
    }
    pairs = calloc(1, sizeof(*pairs));
    work = work ? work : calloc(1, sizeof(*work));
    flow->archive_work = work;
    if (!pairs || !work) {
        rc = tl_fail(&err, TL_NO_MEMORY, "no memory to build an archive");
    } else if (!(rc = store_read(flow->service->store, look, pairs, &err)) && !pairs->busy) {
        more = work->build != NULL;
        rc = more ? step(flow, work, &err) : find_work(flow, work, pairs, &err);
        more = more || work->build;
    }
    if (rc) {
        tl_log(TL_LOG_WARNING, "archive", "%s", err.text);
    }
    free(pairs);
    return !rc && more;
}
