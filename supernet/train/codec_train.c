/* codec_train.c - see codec_train.h. */
#include "supernet/train/codec_train.h"

#include "base/codec_json.h"

static const char *const METHODS[TRAIN_METHOD_COUNT] = {"sandwich", "shrink", "alone"};
static const char *const OPTIMIZERS[TRAIN_OPTIMIZER_COUNT] = {"sgd", "adamw", "lamb"};

static json_t *pick_json(const struct net_pick *pick, const struct net_family *family)
{
    json_t *depths = json_array(), *choices = json_array();

    for (size_t s = 0; s < family->n_stages; s++) {
        json_array_append_new(depths, json_integer(pick->depth[s]));
    }
    for (size_t i = 0; i < net_family_slots(family, family->n_stages); i++) {
        json_array_append_new(choices, json_integer(pick->choice[i]));
    }
    return json_pack("{s:i, s:o, s:o}", "resolution", pick->resolution, "depths", depths, "choices", choices);
}

static json_t *augment_json(const struct train_augment *augment)
{
    return json_pack("{s:b, s:i, s:i, s:f, s:f, s:i}", "mirror", augment->mirror, "pad", (int)augment->pad, "ops",
                     (int)augment->ops, "magnitude", augment->magnitude, "jitter", augment->jitter, "cutout",
                     (int)augment->cutout);
}

enum tl_rc train_plan_encode(const struct train_plan *plan, const struct net_family *family,
                             const struct train_images_plan *images, struct tl_buf *buf, struct tl_err *err)
{
    const struct train_optimizer *rule = &plan->optimizer;
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:I, s:f, s:I, s:o}", "family",
        family->name, "method", METHODS[plan->method], "optimizer", OPTIMIZERS[rule->kind], "momentum", rule->momentum,
        "second", rule->second, "weight_decay", rule->weight_decay, "epochs", plan->epochs, "warmup_epochs",
        plan->warmup_epochs, "lr", plan->lr, "clip", plan->clip, "smoothing", (double)plan->smoothing, "dropout",
        (double)plan->dropout, "distill", (double)plan->distill, "random_subnets", (int)plan->random_subnets, "batch",
        (int)plan->batch, "seed", (json_int_t)plan->seed, "holdout", images->holdout, "most_images",
        (json_int_t)images->most, "augment", augment_json(&images->augment));

    if (json && plan->method == TRAIN_ALONE) {
        json_object_set_new(json, "architecture", pick_json(&plan->alone, family));
    }
    return tl_json_dump_exact_take(json, buf, err);
}

enum tl_rc train_log_encode(const struct train_log_line *line, struct tl_buf *buf, struct tl_err *err)
{
    const struct train_progress *at = &line->progress;
    json_t *list = json_array();

    for (size_t i = 0; i < line->n_measured; i++) {
        const struct train_measured *m = &line->measured[i];
        json_array_append_new(list, json_pack("{s:s, s:i, s:f}", "network", m->what, "resolution", (int)m->resolution,
                                              "accuracy", m->accuracy));
    }
    json_t *json = json_pack("{s:I, s:I, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "step", (json_int_t)at->step,
                             "steps", (json_int_t)at->n_steps, "phase", at->phase, "epoch", (json_int_t)at->epoch + 1,
                             "loss", at->loss, "right", at->right, "rate", at->rate, "gradient_norm", at->norm,
                             "images_s", line->images_s, "eta_s", line->eta_s);
    if (json && line->n_measured) {
        json_object_set(json, "accuracy", list);
        json_object_set_new(json, "part", json_string(line->part));
    }
    json_decref(list);
    const enum tl_rc rc = tl_json_dump_take(json, buf, err);
    return rc ? rc : tl_buf_add(buf, "\n", 1, err);
}
