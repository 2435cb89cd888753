/* evaluate.c - how good a sub-network is with the weights it inherits: batch norm calibrated for it, then run. */
#include "supernet/kernels/kernels.h"
#include "supernet/train/tape.h"

#include <stdlib.h>
#include <string.h>

struct evaluation {
    const struct supernet *net;        /* borrowed */
    const struct train_source *source; /* borrowed */
    struct tl_pool *pool;              /* borrowed */
    struct tape *tape;
    size_t calibration_batch; /* of the tape: TRAIN_PLAIN, or all images there are */
    float *stats, *logits, *padded;
    struct network *sub;
    struct net_params *params;
};

enum tl_rc evaluation_new(const struct supernet *net, const struct train_source *source, struct tl_pool *pool,
                          struct evaluation **ret_evaluation, struct tl_err *err)
{
    const size_t side = net->family.resolutions[net->family.n_resolutions - 1];
    struct evaluation *evaluation = calloc(1, sizeof *evaluation);
    if (evaluation == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an evaluation");
    }
    *evaluation = (struct evaluation){.net = net, .source = source, .pool = pool};
    evaluation->logits = calloc((size_t)TRAIN_PLAIN * net->family.n_classes, sizeof(float));
    evaluation->padded = calloc((size_t)TRAIN_PLAIN * side * side * 3, sizeof(float));
    evaluation->stats = calloc(net->n_stats + 1, sizeof(float));
    evaluation->sub = calloc(1, sizeof *evaluation->sub);
    evaluation->params = calloc(1, sizeof *evaluation->params);
    const bool all =
        evaluation->logits && evaluation->padded && evaluation->stats && evaluation->sub && evaluation->params;
    const size_t have = source->n_of[TRAIN_PART_TRAIN], most = have < TRAIN_PLAIN ? have : TRAIN_PLAIN;
    evaluation->calibration_batch = most < 2 ? 2 : most;
    const enum tl_rc rc = all ? tape_new(net, evaluation->calibration_batch, true, pool, &evaluation->tape, err)
                              : tl_fail(err, TL_NO_MEMORY, "no memory for an evaluation");
    if (rc) {
        evaluation_free(evaluation);
        return rc;
    }
    *ret_evaluation = evaluation;
    return TL_OK;
}

void evaluation_free(struct evaluation *evaluation)
{
    if (evaluation == NULL) {
        return;
    }
    tape_free(evaluation->tape);
    free(evaluation->logits);
    free(evaluation->padded);
    free(evaluation->stats);
    free(evaluation->sub);
    free(evaluation->params);
    free(evaluation);
}

enum tl_rc evaluation_calibrate(struct evaluation *evaluation, const struct net_pick *pick, size_t n,
                                const float **ret_stats, struct tl_err *err)
{
    const struct train_source *source = evaluation->source;
    const size_t all = source->n_of[TRAIN_PART_TRAIN], batch = evaluation->calibration_batch;
    const size_t have = (n < all ? n : all) / batch;
    enum tl_rc rc = tape_bind(evaluation->tape, pick, err);
    if (rc == TL_OK && have == 0) {
        rc = tl_fail(err, TL_INVALID, "calibrating batch norm takes at least %zu images; there are %zu", batch,
                     n < all ? n : all);
    }
    for (size_t b = 0; rc == TL_OK && b < have; b++) {
        struct train_images_batch images;
        rc = source->plain(source->ctx, TRAIN_PART_TRAIN, b, pick->resolution, &images, err);
        if (rc == TL_OK) {
            tape_forward(evaluation->tape, images.images, NULL);
            tape_track(evaluation->tape, 1.0F / (float)(b + 1), false, evaluation->stats);
        }
    }
    if (rc == TL_OK) {
        *ret_stats = evaluation->stats;
    }
    return rc;
}

static size_t count_right(const float *logits, const int32_t *labels, size_t n, size_t classes)
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < classes; c++) {
            best = logits[i * classes + c] > logits[i * classes + best] ? c : best;
        }
        right += best == (size_t)labels[i];
    }
    return right;
}

/* The images of a batch; a short one with what memory holds behind it, which nobody counts. */
static const float *whole_batch(const struct evaluation *evaluation, const struct train_images_batch *batch,
                                size_t resolution)
{
    if (batch->n == TRAIN_PLAIN) {
        return batch->images;
    }
    memcpy(evaluation->padded, batch->images, batch->n * resolution * resolution * 3 * sizeof(float));
    return evaluation->padded;
}

static enum tl_rc count_all(struct evaluation *evaluation, struct net_plan *plan, uint16_t resolution,
                            enum train_part part, size_t n, double *ret_accuracy, struct tl_err *err)
{
    const struct train_source *source = evaluation->source;
    enum tl_rc rc = TL_OK;
    size_t right = 0, done = 0;
    for (size_t b = 0; rc == TL_OK && done < n; b++) {
        struct train_images_batch batch;
        rc = source->plain(source->ctx, part, b, resolution, &batch, err);
        if (rc == TL_OK) {
            const size_t now = n - done < batch.n ? n - done : batch.n;
            net_plan_run(plan, whole_batch(evaluation, &batch, resolution), evaluation->logits);
            right += count_right(evaluation->logits, batch.labels, now, evaluation->net->family.n_classes);
            done += now;
        }
    }
    if (rc == TL_OK) {
        *ret_accuracy = (double)right / (double)n;
    }
    return rc;
}

enum tl_rc evaluation_accuracy(struct evaluation *evaluation, const struct net_pick *pick, const float *stats,
                               enum train_part part, size_t n, double *ret_accuracy, struct tl_err *err)
{
    const size_t have = evaluation->source->n_of[part], want = n == 0 || n > have ? have : n;
    struct net_plan *plan = NULL;
    enum tl_rc rc = net_build(&evaluation->net->family, pick, evaluation->sub, err);
    if (rc) {
        return rc;
    }
    if (want == 0) {
        return tl_fail(err, TL_INVALID, "there are no images to measure accuracy on");
    }
    if ((rc = supernet_extract(evaluation->net, evaluation->sub, stats, evaluation->params, err))) {
        return rc;
    }
    rc = net_plan_new(evaluation->sub, TRAIN_PLAIN, evaluation->params, 0, evaluation->pool, &plan, err);
    if (rc == TL_OK) {
        rc = count_all(evaluation, plan, pick->resolution, part, want, ret_accuracy, err);
    }
    net_plan_free(plan);
    net_params_done(evaluation->params);
    return rc;
}
