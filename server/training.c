/* training.c - see training.h. */
#include "server/training.h"

#include "base/model/model.h"
#include "server/cli.h"
#include "server/training_folder.h"
#include "server/training_pace.h"
#include "supernet/train/codec_supernet.h"
#include "supernet/train/codec_train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_MAX_BYTES = INT32_MAX,
    LOG_MAX_BYTES = 16 << 20,
    PATH_BYTES = TRAINING_PATH_BYTES,
    GRID_MAX = 16,
    N_ENDS = 2, /* the smallest and the largest */
    NAME_BYTES = 40,
    MEASURED_IMAGES = 10000
};

/* A running training. */
struct run {
    const struct training *training;
    const volatile sig_atomic_t *stop;
    int folder_fd; /* holds the lock; -1: none */
    char *name;    /* owned; of the set of images, without its path */
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
    struct training_pace pace;
    int64_t saved_ns; /* when the last checkpoint was written */
    uint64_t due;     /* images that measurements will go through before the next step */
    char message[200];
};

/* ---- opening ------------------------------------------------------------------------------------------------- */

static void decoding(void *ctx, size_t done, size_t all)
{
    struct run *run = ctx;
    cli_ticker_show(&run->ticker, "decoding", "images", (double)done, (double)all, "images", (double)NAN);
}

/* Images no larger than what the network sees are decoded once; larger ones are cut anew at every turn. */
static enum tl_rc keep_small(struct run *run, unsigned side, struct tl_err *err)
{
    const enum tl_rc rc = img_cache(run->set, side, 0, run->pool, decoding, run, err);
    if (rc == TL_TOO_LARGE) {
        *err = (struct tl_err){0};
    }
    return rc == TL_TOO_LARGE ? TL_OK : rc;
}

/* The last part of the path of the images, trailing slashes aside. */
static enum tl_rc name_data(struct run *run, struct tl_err *err)
{
    const char *path = run->training->data;
    size_t n = strlen(path), begin = 0;
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        begin = path[i] == '/' ? i + 1 : begin;
    }
    run->name = strndup(path + begin, n - begin);
    return run->name ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for the name of the images");
}

static enum tl_rc name_classes(struct run *run, struct tl_err *err)
{
    const struct net_family *family = &run->training->family;
    const size_t n = img_n_classes(run->set);
    if (n != family->n_classes) {
        return tl_fail(err, TL_INVALID,
                       "%.200s has %zu classes, and family %s is for %u; set \"classes\" in its description",
                       run->training->data, n, family->name, family->n_classes);
    }
    run->classes = calloc(n, sizeof *run->classes);
    for (size_t c = 0; run->classes && c < n; c++) {
        run->classes[c] = img_class_name(run->set, c);
    }
    return run->classes ? train_names_check(run->name, run->classes, n, err)
                        : tl_fail(err, TL_NO_MEMORY, "no memory for the names of classes");
}

static enum tl_rc open_images(struct run *run, struct tl_err *err)
{
    const struct training *training = run->training;
    const struct net_family *family = &training->family;
    struct train_images_plan *plan = &run->images_plan;
    *plan = training->images;
    enum tl_rc rc = img_open(training->data, NULL, &run->set, err);
    rc = rc ? rc : name_classes(run, err);
    rc = rc ? rc : keep_small(run, family->resolutions[family->n_resolutions - 1], err);
    rc = rc ? rc : img_measure(run->set, MEASURED_IMAGES, run->pool, plan->mean, plan->deviation, err);
    rc = rc ? rc : train_images_new(run->set, plan, &training->plan, family, run->pool, &run->images, err);
    if (rc == TL_OK) {
        run->source = train_images_source(run->images);
    }
    return rc;
}

/* A hash of what the images are known by: their labels in order, in each part, the classes, mean and deviation. */
static enum tl_rc hash_images(const struct run *run, struct tl_hash *ret_hash, struct tl_err *err)
{
    const size_t n_classes = img_n_classes(run->set);
    TL_AUTO(tl_buf) facts = {.max = SIZE_MAX};
    enum tl_rc rc = tl_buf_addf(&facts, err, "%a %a %a %a %a %a", (double)run->images_plan.mean[0],
                                (double)run->images_plan.mean[1], (double)run->images_plan.mean[2],
                                (double)run->images_plan.deviation[0], (double)run->images_plan.deviation[1],
                                (double)run->images_plan.deviation[2]);
    for (size_t c = 0; rc == TL_OK && c < n_classes; c++) {
        rc = tl_buf_add(&facts, run->classes[c], strlen(run->classes[c]) + 1, err);
    }
    for (int split = 0; rc == TL_OK && split < IMG_SPLIT_COUNT; split++) {
        const size_t n = img_n(run->set, (enum img_split)split);
        rc = tl_buf_put_u64(&facts, n, err);
        for (size_t i = 0; rc == TL_OK && i < n; i++) {
            rc = tl_buf_put_u32(&facts, (uint32_t)img_label(run->set, (enum img_split)split, i), err);
        }
    }
    if (rc == TL_OK) {
        *ret_hash = tl_hash_of(facts.data, facts.len);
    }
    return rc;
}

static enum tl_rc encode_plan(struct run *run, struct tl_err *err)
{
    const struct training *training = run->training;
    struct tl_hash data;
    const enum tl_rc rc = hash_images(run, &data, err);
    return rc ? rc : train_plan_encode(&training->plan, &training->family, &training->images, &data, &run->plan, err);
}

static enum tl_rc resume(struct run *run, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = FILE_MAX_BYTES};
    struct safetensors *file = NULL;
    const char *log = "";
    char path[PATH_BYTES];
    training_folder_path(run->training->output, "checkpoint.safetensors", path);
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
    enum tl_rc rc = training_folder_take(training->output, &run->folder_fd, err);
    rc = rc ? rc : name_data(run, err);
    rc = rc ? rc : train_names_check(run->name, NULL, 0, err);
    rc = rc ? rc : tl_pool_new(&run->pool, training->n_threads, err);
    rc = rc ? rc : open_images(run, err);
    rc = rc ? rc : encode_plan(run, err);
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
    free(run->name);
    if (run->folder_fd >= 0) {
        close(run->folder_fd);
    }
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static struct supernet_facts facts_of(const struct run *run)
{
    const struct training *training = run->training;
    struct supernet_facts facts = {.classes = run->classes,
                                   .n_classes = img_n_classes(run->set),
                                   .made_by = training->command,
                                   .data = run->name,
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
    training_folder_path(run->training->output, "checkpoint.safetensors", path);
    struct train_due due = {0};
    enum tl_rc rc = supernet_encode(run->net, &facts, &state, false, &bytes, err);
    rc = rc ? rc : tl_file_write(path, bytes.data, bytes.len, err);
    rc = rc ? rc : train_log_due(&run->log, 0, &due, err);
    training_folder_path(run->training->output, "log.jsonl", path);
    rc = rc || due.at == 0 ? rc : tl_file_write(path, run->log.data, due.at, err);
    run->saved_ns = tl_clock_mono_ns();
    return rc;
}

static enum tl_rc write_supernet(struct run *run, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = FILE_MAX_BYTES};
    TL_AUTO(tl_buf) log = {.max = LOG_MAX_BYTES};
    struct supernet_facts facts = facts_of(run);
    char path[PATH_BYTES];
    uint8_t *images = NULL;
    const struct net_family *family = &run->training->family;
    const unsigned side = family->resolutions[family->n_resolutions - 1];
    enum tl_rc rc = train_log_timeless(&run->log, &log, err);
    rc = rc ? rc
            : train_images_first(run->images, run->training->calibration_images, side, &images, &facts.n_images, err);
    facts.log = log.data;
    facts.images = images;
    facts.side = side;
    training_folder_path(run->training->output, "supernet.safetensors", path);
    rc = rc ? rc : supernet_encode(run->net, &facts, NULL, true, &bytes, err);
    rc = rc ? rc : tl_file_write(path, bytes.data, bytes.len, err);
    free(images);
    return rc;
}

/* ---- measuring ----------------------------------------------------------------------------------------------- */

/* The corners of the space: every combination of the ends of resolution, kernel, expansion (widths with it) and depth. */
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
        corner.pick.stem_depth = smallest.stem_depth;
    }
    if (!(bits & 2U)) {
        memcpy(corner.pick.width, smallest.width, sizeof corner.pick.width);
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

static size_t networks(const struct training *training, bool whole)
{
    return training->plan.method == TRAIN_ALONE ? 1 : whole ? GRID_MAX : N_ENDS;
}

/* All corners are measured in the end alone: after an earlier phase most of them have not been trained yet. */
static bool whole_at(const struct training *training, bool end)
{
    return end && training->final == TRAINING_CORNERS;
}

/* Images that measuring so many networks on the first `images` of a part (0: all) goes through. */
static uint64_t work(const struct run *run, size_t n_networks, enum train_part part, size_t images)
{
    const size_t all = run->source.n_of[part], n = images && images < all ? images : all;
    const size_t trained = run->source.n_of[TRAIN_PART_TRAIN];
    return (uint64_t)n_networks * (n + (trained < EVALUATION_CALIBRATION ? trained : EVALUATION_CALIBRATION));
}

/* The same of all measurements after `at` that are not in the log yet. */
static uint64_t work_to_come(const struct run *run, const struct train_progress *at)
{
    const struct training *training = run->training;
    const unsigned every = training->measure_epochs;
    const bool final = training->final != TRAINING_NONE;
    const bool held = run->source.n_of[TRAIN_PART_HELD] > 0;
    uint64_t images = 0;
    if (at->step >= at->n_steps) {
        return 0;
    }
    for (size_t p = at->phase_index; held && p < at->n_phases; p++) {
        const uint64_t all = trainer_epochs(run->trainer, p), last = final ? all - 1 : all;
        const uint64_t done = p > at->phase_index ? 0 : at->epoch + (at->epoch_ended ? 1 : 0);
        const uint64_t between = every && done < last ? last / every - done / every : 0;
        images += between * work(run, networks(training, false), TRAIN_PART_HELD, training->measured_images);
        const size_t n = networks(training, whole_at(training, p + 1 == at->n_phases));
        images += final && done < all ? work(run, n, TRAIN_PART_HELD, 0) : 0;
    }
    const size_t n_final = networks(training, whole_at(training, true));
    return images + (final && run->source.n_of[TRAIN_PART_TEST] > 0 ? work(run, n_final, TRAIN_PART_TEST, 0) : 0);
}

static double left_s(const struct run *run, const struct train_progress *at)
{
    return training_pace_left_s(&run->pace, trainer_work(run->trainer, at->step), run->due + work_to_come(run, at));
}

static struct corner network_of(const struct training *training, bool whole, size_t i)
{
    static const unsigned ends[N_ENDS] = {8, 15}; /* at the largest resolution */
    struct corner corner = corner_of(&training->family, whole ? (unsigned)i : ends[i]);
    if (training->plan.method == TRAIN_ALONE) {
        corner.pick = training->plan.alone;
        (void)snprintf(corner.name, NAME_BYTES, "alone");
    }
    return corner;
}

/* Measure what `due` says and put it into the log; when stopped between networks, the log stays as it is. */
static enum tl_rc measure(struct run *run, const struct train_progress *at, const struct train_due *due,
                          struct tl_err *err)
{
    struct corner corners[GRID_MAX];
    struct train_measured measured[GRID_MAX] = {{0}};
    const size_t n = networks(run->training, due->whole);
    for (size_t i = 0; i < n; i++) {
        const int64_t begun_ns = tl_clock_mono_ns();
        const uint64_t images = work(run, 1, due->part, due->images);
        corners[i] = network_of(run->training, due->whole, i);
        measured[i] = (struct train_measured){.what = corners[i].name, .resolution = corners[i].pick.resolution};
        const enum tl_rc rc =
            *run->stop ? TL_OK : measure_one(run, &corners[i].pick, due->part, due->images, &measured[i].accuracy, err);
        if (rc || *run->stop) {
            return rc;
        }
        run->pace.measure_s += (double)(tl_clock_mono_ns() - begun_ns) * 1e-9;
        run->pace.measured += images;
        run->due -= images < run->due ? images : run->due;
        cli_ticker_show(&run->ticker, "measuring", corners[i].name, (double)(i + 1), (double)n, "networks",
                        left_s(run, at));
    }
    (void)snprintf(run->message, sizeof run->message, "accuracy %.2f %% (%s) to %.2f %% (%s)",
                   100 * measured[0].accuracy, measured[0].what, 100 * measured[n - 1].accuracy, measured[n - 1].what);
    return train_log_measured(&run->log, due, measured, n, err);
}

/* All that is due by the log, a checkpoint after it. */
static enum tl_rc measure_due(struct run *run, const struct train_progress *at, struct tl_err *err)
{
    struct train_due due = {0};
    enum tl_rc rc = train_log_due(&run->log, 0, &due, err);
    const bool any = rc == TL_OK && due.at < run->log.len;
    for (run->due = 0; rc == TL_OK && due.at < run->log.len;) {
        run->due += work(run, networks(run->training, due.whole), due.part, due.images);
        rc = train_log_due(&run->log, due.end, &due, err);
    }
    rc = rc ? rc : train_log_due(&run->log, 0, &due, err);
    while (rc == TL_OK && !*run->stop && due.at < run->log.len) {
        rc = measure(run, at, &due, err);
        rc = rc ? rc : train_log_due(&run->log, 0, &due, err);
    }
    run->due = 0;
    return rc || !any || *run->stop ? rc : write_checkpoint(run, err);
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

static void show(struct run *run, const struct train_progress *at)
{
    char text[400];
    (void)snprintf(text, sizeof text, "epoch %llu, loss %.3f, %.0f images/s%s%s", (unsigned long long)at->epoch + 1,
                   at->loss, training_pace_images_s(&run->pace), run->message[0] ? ", " : "", run->message);
    cli_ticker_show(&run->ticker, at->phase, text, (double)at->step, (double)at->n_steps, "steps", left_s(run, at));
}

static enum tl_rc add_due(struct run *run, const struct train_progress *at, const struct train_due *due,
                          struct tl_err *err)
{
    if (run->source.n_of[due->part] == 0) {
        return TL_OK;
    }
    run->due += work(run, networks(run->training, due->whole), due->part, due->images);
    const struct train_log_line line = {
        .progress = *at, .images_s = training_pace_images_s(&run->pace), .eta_s = left_s(run, at)};
    return train_log_add(&line, due, &run->log, err);
}

/* The checkpoint comes first: measuring takes a while, and a program that is ended meanwhile goes on with it. */
static enum tl_rc end_epoch(struct run *run, const struct train_progress *at, struct tl_err *err)
{
    const struct training *training = run->training;
    const bool turn = training->measure_epochs && (at->epoch + 1) % training->measure_epochs == 0;
    const bool final = at->phase_ended && training->final != TRAINING_NONE;
    struct train_due due = {.part = TRAIN_PART_HELD,
                            .whole = final && whole_at(training, at->step == at->n_steps),
                            .images = final ? 0 : training->measured_images};
    enum tl_rc rc = final || turn ? add_due(run, at, &due, err) : TL_OK;
    if (rc == TL_OK && final && at->step == at->n_steps) {
        due.part = TRAIN_PART_TEST;
        rc = add_due(run, at, &due, err);
    }
    rc = rc ? rc : write_checkpoint(run, err);
    return rc ? rc : measure_due(run, at, err);
}

static enum tl_rc step(struct run *run, struct train_progress *at, struct tl_err *err)
{
    const int64_t begun_ns = tl_clock_mono_ns();
    const enum tl_rc rc = trainer_step(run->trainer, at, err);
    if (rc == TL_OK) {
        run->pace.train_s += (double)(tl_clock_mono_ns() - begun_ns) * 1e-9;
        run->pace.steps++;
        run->pace.passes += at->subnets;
        run->pace.work += trainer_work(run->trainer, at->step - 1) - trainer_work(run->trainer, at->step);
    }
    return rc;
}

static enum tl_rc train(struct run *run, bool *ret_finished, struct tl_err *err)
{
    const int64_t every_ns = (int64_t)run->training->checkpoint_s * 1000000000;
    struct train_progress at = trainer_progress(run->trainer);
    run->saved_ns = tl_clock_mono_ns();
    enum tl_rc rc = measure_due(run, &at, err);
    while (rc == TL_OK && !*run->stop) {
        rc = step(run, &at, err);
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
    struct run run = {.training = training,
                      .stop = stop,
                      .folder_fd = -1,
                      .pace = {.batch = training->plan.batch},
                      .log = {.max = LOG_MAX_BYTES}};
    *ret_finished = false;
    enum tl_rc rc = open_run(&run, err);
    rc = rc ? rc : train(&run, ret_finished, err);
    if (rc == TL_OK && run.message[0]) {
        cli_ticker_done(&run.ticker);
        (void)printf("%s\n", run.message);
    }
    close_run(&run);
    return rc;
}
