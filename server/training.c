/* training.c - see training.h. */
#include "server/training.h"

#include "base/model/model.h"
#include "server/cli.h"
#include "supernet/train/codec_supernet.h"
#include "supernet/train/codec_train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX_BYTES = INT32_MAX,
    LOG_MAX_BYTES = 16 << 20,
    PATH_BYTES = 4096,
    GRID_MAX = 16,
    NAME_BYTES = 40,
    MEASURED_IMAGES = 10000
};

/* A running training. */
struct run {
    const struct training *training;
    struct train_images_plan images_plan;
    struct tl_pool *pool;
    struct img_set *set;
    struct train_images *images;
    struct train_source source;
    struct supernet *net;
    struct trainer *trainer;
    struct evaluation *evaluation;
    const char **classes; /* owned; the names are the set's */
    struct tl_buf plan, log;
    struct cli_ticker ticker;
    int64_t begun_ns, saved_ns; /* of this process's steps; of the last checkpoint */
    uint64_t begun_step;
    char message[200];
};

static void path_of(const struct run *run, const char *file, char ret_path[PATH_BYTES])
{
    (void)snprintf(ret_path, PATH_BYTES, "%s/%s", run->training->output, file);
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

static void decoding(void *ctx, size_t done, size_t all)
{
    struct run *run = ctx;
    cli_ticker_show(&run->ticker, "decoding", "images", (double)done, (double)all, "images", (double)NAN);
}

/* Images no larger than what the network sees are decoded once; larger ones are cut anew at every turn. */
static enum tl_rc keep_small(struct run *run, unsigned side, struct tl_err *err)
{
    struct img_pixels first = {0};
    enum tl_rc rc = img_decode(run->set, IMG_TRAIN, 0, &first, err);
    const bool small = rc == TL_OK && first.h <= side && first.w <= side;
    img_pixels_done(&first);
    if (rc || !small) {
        return rc;
    }
    rc = img_cache(run->set, side, 0, run->pool, decoding, run, err);
    if (rc == TL_TOO_LARGE) {
        *err = (struct tl_err){0};
    }
    return rc == TL_TOO_LARGE ? TL_OK : rc;
}

static enum tl_rc open_images(struct run *run, struct tl_err *err)
{
    const struct training *training = run->training;
    const struct net_family *family = &training->family;
    struct train_images_plan *plan = &run->images_plan;
    *plan = training->images;
    enum tl_rc rc = img_open(training->data, NULL, &run->set, err);
    if (rc) {
        return rc;
    }
    if (img_n_classes(run->set) != family->n_classes) {
        return tl_fail(err, TL_INVALID,
                       "%.200s has %zu classes, and family %s is for %u; set \"classes\" in its description",
                       training->data, img_n_classes(run->set), family->name, family->n_classes);
    }
    rc = keep_small(run, family->resolutions[family->n_resolutions - 1], err);
    rc = rc ? rc : img_measure(run->set, MEASURED_IMAGES, run->pool, plan->mean, plan->deviation, err);
    rc = rc ? rc : train_images_new(run->set, plan, &training->plan, family, run->pool, &run->images, err);
    if (rc == TL_OK) {
        run->source = train_images_source(run->images);
    }
    return rc;
}

static enum tl_rc name_classes(struct run *run, struct tl_err *err)
{
    const size_t n = img_n_classes(run->set);
    run->classes = calloc(n, sizeof *run->classes);
    for (size_t c = 0; run->classes && c < n; c++) {
        run->classes[c] = img_class_name(run->set, c);
    }
    return run->classes ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for the names of classes");
}

static enum tl_rc resume(struct run *run, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = FILE_MAX_BYTES};
    struct safetensors *file = NULL;
    const char *log = "";
    char path[PATH_BYTES];
    path_of(run, "checkpoint.safetensors", path);
    enum tl_rc rc = tl_file_read(path, &bytes, NULL);
    if (rc == TL_NOT_FOUND) {
        return TL_OK;
    }
    rc = rc ? tl_fail(err, rc, "cannot read %.200s", path) : st_open(bytes.data, bytes.len, &file, err);
    rc = rc ? rc : checkpoint_decode(file, run->net, run->plan.data, run->trainer, &log, err);
    rc = rc ? rc : tl_buf_add(&run->log, log, strlen(log), err);
    st_free(file);
    return rc;
}

static enum tl_rc open_run(struct run *run, struct tl_err *err)
{
    const struct training *training = run->training;
    enum tl_rc rc = tl_dir_make(training->output, err);
    rc = rc ? rc : tl_pool_new(&run->pool, training->n_threads, err);
    rc = rc ? rc : open_images(run, err);
    rc = rc ? rc : name_classes(run, err);
    rc = rc ? rc : train_plan_encode(&training->plan, &training->family, &training->images, &run->plan, err);
    rc = rc ? rc : supernet_new(&training->family, training->plan.seed, &run->net, err);
    rc = rc ? rc : trainer_new(run->net, &training->plan, &run->source, run->pool, &run->trainer, err);
    rc = rc ? rc : evaluation_new(run->net, &run->source, run->pool, &run->evaluation, err);
    return rc ? rc : resume(run, err);
}

static void close_run(struct run *run)
{
    cli_ticker_done(&run->ticker);
    evaluation_free(run->evaluation);
    trainer_free(run->trainer);
    supernet_free(run->net);
    train_images_free(run->images);
    img_close(run->set);
    free(tl_unconst(run->classes));
    tl_pool_free(run->pool);
    tl_buf_done(&run->plan);
    tl_buf_done(&run->log);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static struct supernet_facts facts_of(const struct run *run)
{
    const struct training *training = run->training;
    struct supernet_facts facts = {.classes = run->classes,
                                   .n_classes = img_n_classes(run->set),
                                   .made_by = training->command,
                                   .data = training->data,
                                   .plan = run->plan.data,
                                   .log = run->log.data};
    memcpy(facts.mean, run->images_plan.mean, sizeof facts.mean);
    memcpy(facts.deviation, run->images_plan.deviation, sizeof facts.deviation);
    return facts;
}

static enum tl_rc write_checkpoint(struct run *run, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = FILE_MAX_BYTES};
    const struct supernet_facts facts = facts_of(run);
    const struct trainer_state state = trainer_state(run->trainer);
    char path[PATH_BYTES];
    path_of(run, "checkpoint.safetensors", path);
    enum tl_rc rc = supernet_encode(run->net, &facts, &state, false, &bytes, err);
    rc = rc ? rc : tl_file_write(path, bytes.data, bytes.len, err);
    path_of(run, "log.jsonl", path);
    rc = rc || run->log.len == 0 ? rc : tl_file_write(path, run->log.data, run->log.len, err);
    run->saved_ns = tl_clock_mono_ns();
    return rc;
}

static enum tl_rc write_supernet(struct run *run, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = FILE_MAX_BYTES};
    struct supernet_facts facts = facts_of(run);
    char path[PATH_BYTES];
    uint8_t *images = NULL;
    const struct net_family *family = &run->training->family;
    const unsigned side = family->resolutions[family->n_resolutions - 1];
    enum tl_rc rc =
        train_images_first(run->images, run->training->calibration_images, side, &images, &facts.n_images, err);
    facts.images = images;
    facts.side = side;
    path_of(run, "supernet.safetensors", path);
    rc = rc ? rc : supernet_encode(run->net, &facts, NULL, true, &bytes, err);
    rc = rc ? rc : tl_file_write(path, bytes.data, bytes.len, err);
    free(images);
    return rc;
}

/* ---- measuring ----------------------------------------------------------------------------------------------- */

/* The corners of the space: every combination of the ends of resolution, kernel, expansion and depth. */
struct corner {
    struct net_pick pick;
    char name[NAME_BYTES];
};

static struct corner corner_of(const struct net_family *family, unsigned bits)
{
    struct corner corner = {.pick = supernet_largest(family)};
    const struct net_pick smallest = supernet_smallest(family);
    const unsigned k = bits & 1U ? family->n_kernels - 1U : 0, e = bits & 2U ? family->n_expands - 1U : 0;
    if (!(bits & 8U)) {
        corner.pick.resolution = smallest.resolution;
    }
    if (!(bits & 4U)) {
        memcpy(corner.pick.depth, smallest.depth, sizeof corner.pick.depth);
    }
    memset(corner.pick.choice, (int)(k * family->n_expands + e), net_family_slots(family, family->n_stages));
    (void)snprintf(corner.name, sizeof corner.name, "k%u e%u d%u", family->kernels[k], family->expands[e],
                   corner.pick.depth[0]);
    return corner;
}

static enum tl_rc measure_one(struct run *run, const struct net_pick *pick, enum train_part part, size_t n,
                              double *ret_accuracy, struct tl_err *err)
{
    const float *stats = NULL;
    enum tl_rc rc = evaluation_calibrate(run->evaluation, pick, EVALUATION_CALIBRATION, &stats, err);
    return rc ? rc : evaluation_accuracy(run->evaluation, pick, stats, part, n, ret_accuracy, err);
}

/* A line of the log, with what was measured. `whole`: the sixteen corners, else the two ends at the largest resolution. */
static enum tl_rc measure(struct run *run, const struct train_progress *at, bool whole, enum train_part part, size_t n,
                          struct tl_err *err)
{
    const struct training *training = run->training;
    const unsigned ends[] = {8, 15};
    struct corner corners[GRID_MAX];
    struct train_measured measured[GRID_MAX];
    const bool alone = training->plan.method == TRAIN_ALONE;
    const size_t n_corners = alone ? 1 : whole ? GRID_MAX : TL_COUNT_OF(ends);
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; rc == TL_OK && i < n_corners; i++) {
        corners[i] = corner_of(&training->family, whole ? (unsigned)i : ends[i]);
        if (alone) {
            corners[i].pick = training->plan.alone;
            (void)snprintf(corners[i].name, NAME_BYTES, "alone");
        }
        measured[i] = (struct train_measured){.what = corners[i].name, .resolution = corners[i].pick.resolution};
        rc = measure_one(run, &corners[i].pick, part, n, &measured[i].accuracy, err);
        cli_ticker_show(&run->ticker, "measuring", corners[i].name, (double)(i + 1), (double)n_corners, "networks",
                        (double)NAN);
    }
    if (rc) {
        return rc;
    }
    (void)snprintf(run->message, sizeof run->message, "accuracy %.2f %% (%s) to %.2f %% (%s)",
                   100 * measured[0].accuracy, measured[0].what, 100 * measured[n_corners - 1].accuracy,
                   measured[n_corners - 1].what);
    const double seconds = (double)(tl_clock_mono_ns() - run->begun_ns) * 1e-9;
    const double steps = (double)(at->step - run->begun_step);
    const struct train_log_line line = {.progress = *at,
                                        .images_s = steps * training->plan.batch / seconds,
                                        .eta_s = steps > 0 ? seconds / steps * (double)(at->n_steps - at->step) : 0.0,
                                        .measured = measured,
                                        .n_measured = n_corners,
                                        .part = part == TRAIN_PART_TEST ? "test" : "held-out"};
    return train_log_encode(&line, &run->log, err);
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

static void show(struct run *run, const struct train_progress *at)
{
    char text[400];
    const double seconds = (double)(tl_clock_mono_ns() - run->begun_ns) * 1e-9;
    const double steps = (double)(at->step - run->begun_step);
    (void)snprintf(text, sizeof text, "epoch %llu, loss %.3f, %.0f images/s%s%s", (unsigned long long)at->epoch + 1,
                   at->loss, steps * run->training->plan.batch / seconds, run->message[0] ? ", " : "", run->message);
    cli_ticker_show(&run->ticker, at->phase, text, (double)at->step, (double)at->n_steps, "steps",
                    steps > 0 ? seconds / steps * (double)(at->n_steps - at->step) : (double)NAN);
}

static enum tl_rc end_epoch(struct run *run, const struct train_progress *at, struct tl_err *err)
{
    const struct training *training = run->training;
    const bool due = training->measure_epochs && (at->epoch + 1) % training->measure_epochs == 0;
    const bool held = run->source.n_of[TRAIN_PART_HELD] > 0;
    enum tl_rc rc = TL_OK;
    if (held && (due || at->phase_ended)) {
        rc = measure(run, at, at->phase_ended, TRAIN_PART_HELD, at->phase_ended ? 0 : training->measured_images, err);
    }
    if (rc == TL_OK && at->step == at->n_steps && run->source.n_of[TRAIN_PART_TEST] > 0) {
        rc = measure(run, at, true, TRAIN_PART_TEST, 0, err);
    }
    return rc ? rc : write_checkpoint(run, err);
}

static enum tl_rc train(struct run *run, const volatile sig_atomic_t *stop, bool *ret_finished, struct tl_err *err)
{
    const int64_t every_ns = (int64_t)run->training->checkpoint_s * 1000000000;
    struct train_progress at = trainer_progress(run->trainer);
    enum tl_rc rc = TL_OK;
    run->begun_ns = run->saved_ns = tl_clock_mono_ns();
    run->begun_step = at.step;
    while (rc == TL_OK && !*stop) {
        rc = trainer_step(run->trainer, &at, err);
        if (rc == TL_NOT_FOUND) { /* no steps are left */
            *err = (struct tl_err){0};
            *ret_finished = true;
            return write_supernet(run, err);
        }
        if (rc == TL_OK && at.epoch_ended) {
            rc = end_epoch(run, &at, err);
        } else if (rc == TL_OK && tl_clock_mono_ns() - run->saved_ns > every_ns) {
            rc = write_checkpoint(run, err);
        }
        show(run, &at);
    }
    return rc ? rc : write_checkpoint(run, err);
}

enum tl_rc training_run(const struct training *training, const volatile sig_atomic_t *stop, bool *ret_finished,
                        struct tl_err *err)
{
    struct run run = {.training = training, .log = {.max = LOG_MAX_BYTES}};
    *ret_finished = false;
    enum tl_rc rc = open_run(&run, err);
    rc = rc ? rc : train(&run, stop, ret_finished, err);
    if (rc == TL_OK && run.message[0]) {
        cli_ticker_done(&run.ticker);
        (void)printf("%s\n", run.message);
    }
    close_run(&run);
    return rc;
}
