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
    size_t calibration_batch; /* of the tape: EVALUATION_BATCH, or all images there are */
    float *images, *stats, *logits;
    int32_t *labels;
    struct network *sub;
    struct net_params *params;
};

enum tl_rc evaluation_new(const struct supernet *net, const struct train_source *source, struct tl_pool *pool,
                          struct evaluation **ret_evaluation, struct tl_err *err)
{
    const struct net_family *family = &net->family;
    const size_t side = family->resolutions[family->n_resolutions - 1];
    struct evaluation *evaluation = calloc(1, sizeof *evaluation);
    if (evaluation == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an evaluation");
    }
    *evaluation = (struct evaluation){.net = net, .source = source, .pool = pool};
    evaluation->images = calloc(EVALUATION_BATCH * side * side * 3, sizeof(float));
    evaluation->labels = calloc(EVALUATION_BATCH, sizeof(int32_t));
    evaluation->logits = calloc((size_t)EVALUATION_BATCH * family->n_classes, sizeof(float));
    evaluation->stats = calloc(net->n_stats + 1, sizeof(float));
    evaluation->sub = calloc(1, sizeof *evaluation->sub);
    evaluation->params = calloc(1, sizeof *evaluation->params);
    const bool all = evaluation->images && evaluation->labels && evaluation->logits && evaluation->stats &&
                     evaluation->sub && evaluation->params;
    const size_t most = source->n_train < EVALUATION_BATCH ? source->n_train : EVALUATION_BATCH;
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
    free(evaluation->images);
    free(evaluation->labels);
    free(evaluation->logits);
    free(evaluation->stats);
    free(evaluation->sub);
    free(evaluation->params);
    free(evaluation);
}

enum tl_rc evaluation_calibrate(struct evaluation *evaluation, const struct net_pick *pick, size_t n,
                                const float **ret_stats, struct tl_err *err)
{
    const struct train_source *source = evaluation->source;
    const size_t batch = evaluation->calibration_batch, have = (n < source->n_train ? n : source->n_train) / batch;
    enum tl_rc rc = tape_bind(evaluation->tape, pick, err);
    if (rc == TL_OK && have == 0) {
        rc = tl_fail(err, TL_INVALID, "calibrating batch norm takes at least %zu images; there are %zu", batch,
                     n < source->n_train ? n : source->n_train);
    }
    for (size_t b = 0; rc == TL_OK && b < have; b++) {
        rc = source->plain(source->ctx, TRAIN_PART_TRAIN, b * batch, batch, pick->resolution, evaluation->images,
                           evaluation->labels, err);
        if (rc == TL_OK) {
            tape_forward(evaluation->tape, evaluation->images, NULL);
            tape_track(evaluation->tape, 1.0F / (float)(b + 1), false, evaluation->stats);
        }
    }
    if (rc == TL_OK) {
        *ret_stats = evaluation->stats;
    }
    return rc;
}

static size_t part_size(const struct train_source *source, enum train_part part)
{
    return part == TRAIN_PART_TRAIN ? source->n_train : part == TRAIN_PART_HELD ? source->n_held : source->n_test;
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

static enum tl_rc count_all(struct evaluation *evaluation, struct net_plan *plan, uint16_t resolution,
                            enum train_part part, size_t n, double *ret_accuracy, struct tl_err *err)
{
    const struct train_source *source = evaluation->source;
    enum tl_rc rc = TL_OK;
    size_t right = 0;
    for (size_t from = 0, now; rc == TL_OK && from < n; from += now) {
        now = n - from < EVALUATION_BATCH ? n - from : EVALUATION_BATCH;
        rc = source->plain(source->ctx, part, from, now, resolution, evaluation->images, evaluation->labels, err);
        if (rc == TL_OK) {
            net_plan_run(plan, evaluation->images, evaluation->logits);
            right += count_right(evaluation->logits, evaluation->labels, now, evaluation->net->family.n_classes);
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
    const size_t have = part_size(evaluation->source, part), want = n == 0 || n > have ? have : n;
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
    rc = net_plan_new(evaluation->sub, EVALUATION_BATCH, evaluation->params, 0, evaluation->pool, &plan, err);
    if (rc == TL_OK) {
        rc = count_all(evaluation, plan, pick->resolution, part, want, ret_accuracy, err);
    }
    net_plan_free(plan);
    net_params_done(evaluation->params);
    return rc;
}
