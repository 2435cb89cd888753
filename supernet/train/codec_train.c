/* codec_train.c - see codec_train.h. */
#include "supernet/train/codec_train.h"

#include "base/codec_json.h"

#include <stdio.h>
#include <string.h>

static const char *const METHODS[TRAIN_METHOD_COUNT] = {"sandwich", "shrink", "alone"};
static const char *const OPTIMIZERS[TRAIN_OPTIMIZER_COUNT] = {"sgd", "adamw", "lamb"};
static const char *const PARTS[TRAIN_PART_COUNT] = {"train", "held-out", "test"};

/* ---- plans --------------------------------------------------------------------------------------------------- */

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

static enum tl_rc family_hash(const struct net_family *family, char ret_text[TL_HASH_TEXT], struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = NET_FAMILY_BYTES_MAX};
    const enum tl_rc rc = net_family_write(family, &text, err);
    if (rc == TL_OK) {
        const struct tl_hash hash = tl_hash_of(text.data, text.len);
        tl_hash_format(&hash, ret_text);
    }
    return rc;
}

enum tl_rc train_plan_encode(const struct train_plan *plan, const struct net_family *family,
                             const struct train_images_plan *images, const struct tl_hash *data, struct tl_buf *buf,
                             struct tl_err *err)
{
    const struct train_optimizer *rule = &plan->optimizer;
    char description[TL_HASH_TEXT], of_data[TL_HASH_TEXT];
    const enum tl_rc rc = family_hash(family, description, err);
    if (rc) {
        return rc;
    }
    tl_hash_format(data, of_data);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:I, s:f, s:I, s:o}",
        "family", family->name, "description", description, "data", of_data, "method", METHODS[plan->method],
        "optimizer", OPTIMIZERS[rule->kind], "momentum", rule->momentum, "second", rule->second, "epsilon",
        rule->epsilon, "weight_decay", rule->weight_decay, "epochs", plan->epochs, "warmup_epochs", plan->warmup_epochs,
        "lr", plan->lr, "clip", plan->clip, "smoothing", (double)plan->smoothing, "dropout", (double)plan->dropout,
        "distill", (double)plan->distill, "random_subnets", (int)plan->random_subnets, "batch", (int)plan->batch,
        "seed", (json_int_t)plan->seed, "holdout", images->holdout, "most_images", (json_int_t)images->most, "augment",
        augment_json(&images->augment));

    if (json && plan->method == TRAIN_ALONE) {
        json_object_set_new(json, "architecture", pick_json(&plan->alone, family));
    }
    if (json && plan->teacher_epochs > 0) {
        json_object_set_new(json, "teacher_epochs", json_real(plan->teacher_epochs));
    }
    return tl_json_dump_exact_take(json, buf, err);
}

/* How a person calls a field of the plan: as an option, or, where there is none for it, in words. */
static const char *words_of(const char *field)
{
    static const char *const words[][2] = {
        {"family", "--family"},
        {"method", "--method"},
        {"optimizer", "--optimizer"},
        {"momentum", "--momentum"},
        {"weight_decay", "--weight-decay"},
        {"epochs", "--epochs"},
        {"teacher_epochs", "--teacher"},
        {"warmup_epochs", "--warmup"},
        {"lr", "--lr"},
        {"clip", "--clip"},
        {"smoothing", "--smoothing"},
        {"dropout", "--dropout"},
        {"distill", "--distill"},
        {"random_subnets", "--random"},
        {"batch", "--batch"},
        {"seed", "--seed"},
        {"holdout", "--holdout"},
        {"most_images", "--images"},
        {"mirror", "mirroring"},
        {"pad", "--pad"},
        {"ops", "--ops"},
        {"magnitude", "--magnitude"},
        {"jitter", "--jitter"},
        {"cutout", "--cutout"},
        {"data", "the images of --data"},
        {"description", "the description of the family"},
        {"architecture", "the network of --architecture"},
    };
    for (size_t i = 0; i < TL_COUNT_OF(words); i++) {
        if (strcmp(words[i][0], field) == 0) {
            return words[i][1];
        }
    }
    return field;
}

static void value_text(const json_t *value, int precision, char *text, size_t size)
{
    if (json_is_real(value)) {
        (void)snprintf(text, size, "%.*g", precision, json_real_value(value));
    } else if (json_is_integer(value)) {
        (void)snprintf(text, size, "%lld", (long long)json_integer_value(value));
    } else if (json_is_string(value)) {
        (void)snprintf(text, size, "%.60s", json_string_value(value));
    } else {
        (void)snprintf(text, size, "%s", json_is_true(value) ? "on" : json_is_false(value) ? "off" : "none");
    }
}

/* Append "--lr (0.1 then, 0.2 now)". What has no value that a person could compare is named alone. */
static enum tl_rc tell_field(const char *field, const json_t *then, const json_t *now, struct tl_buf *said,
                             struct tl_err *err)
{
    char old[80], new[80];
    const char *comma = said->len ? ", " : "", *name = words_of(field);
    if (strncmp(name, "the ", 4) == 0) {
        return tl_buf_addf(said, err, "%s%s", comma, name);
    }
    value_text(then, 7, old, sizeof old);
    value_text(now, 7, new, sizeof new);
    if (strcmp(old, new) == 0) {
        value_text(then, 17, old, sizeof old);
        value_text(now, 17, new, sizeof new);
    }
    return tl_buf_addf(said, err, "%s%.60s (%s then, %s now)", comma, name, old, new);
}

/* Both ways, so that a field that one alone has is told, too. */
static enum tl_rc tell_differences(json_t *then, json_t *now, struct tl_buf *said, struct tl_err *err)
{
    const char *field = NULL;
    json_t *value = NULL;
    enum tl_rc rc = TL_OK;
    json_object_foreach(now, field, value)
    {
        json_t *old = json_object_get(then, field);
        if (rc || json_equal(old, value)) {
            continue;
        }
        rc = strcmp(field, "augment") == 0 ? tell_differences(old, value, said, err)
                                           : tell_field(field, old, value, said, err);
    }
    json_object_foreach(then, field, value)
    {
        if (rc == TL_OK && json_object_get(now, field) == NULL) {
            rc = tell_field(field, value, NULL, said, err);
        }
    }
    return rc;
}

enum tl_rc train_plan_compare(const char *theirs, const char *ours, struct tl_err *err)
{
    TL_AUTO(tl_json) then = {0};
    TL_AUTO(tl_json) now = {0};
    TL_AUTO(tl_buf) said = {0};
    if (strcmp(theirs, ours) == 0) {
        return TL_OK;
    }
    enum tl_rc rc = tl_json_parse(&then, theirs, strlen(theirs), err);
    rc = rc ? rc : tl_json_parse(&now, ours, strlen(ours), err);
    if (rc) {
        return rc;
    }
    static const char *const ever[] = {"data", "description"};
    for (size_t i = 0; i < TL_COUNT_OF(ever); i++) {
        if (json_object_get(now.root, ever[i]) && !json_object_get(then.root, ever[i])) {
            return tl_fail(err, TL_CONFLICT,
                           "the checkpoint is of another version of Tailor, which did not note what images and family "
                           "it was made of; go on with that version, or give another --output");
        }
    }
    rc = tell_differences(then.root, now.root, &said, err);
    return rc ? rc
              : tl_fail(err, TL_CONFLICT,
                        "the checkpoint is of a training with other options: %.330s%s; give the same, or another "
                        "--output",
                        said.data ? said.data : "", said.len > 330 ? ".." : "");
}

enum tl_rc train_names_check(const char *data, const char *const *classes, size_t n, struct tl_err *err)
{
    for (size_t i = 0; i <= n; i++) {
        const char *name = i < n ? classes[i] : data;
        json_t *text = json_string(name);
        if (text == NULL) {
            return tl_fail(err, TL_INVALID, "the name of %s, \"%.200s\", is not UTF-8; rename %s",
                           i < n ? "a class" : "--data", name, i < n ? "its folder" : "it");
        }
        json_decref(text);
    }
    return TL_OK;
}

/* ---- the log ------------------------------------------------------------------------------------------------- */

static enum tl_rc dump_line(json_t *json, struct tl_buf *buf, struct tl_err *err)
{
    const enum tl_rc rc = tl_json_dump_take(json, buf, err);
    return rc ? rc : tl_buf_add(buf, "\n", 1, err);
}

enum tl_rc train_log_add(const struct train_log_line *line, const struct train_due *due, struct tl_buf *log,
                         struct tl_err *err)
{
    const struct train_progress *at = &line->progress;
    json_t *json = json_pack("{s:I, s:I, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:{s:b, s:I}}", "step",
                             (json_int_t)at->step, "steps", (json_int_t)at->n_steps, "phase", at->phase, "epoch",
                             (json_int_t)at->epoch + 1, "loss", at->loss, "right", at->right, "rate", at->rate,
                             "gradient_norm", at->norm, "images_s", line->images_s, "eta_s", line->eta_s, "part",
                             PARTS[due->part], "due", "whole", due->whole, "images", (json_int_t)due->images);
    return dump_line(json, log, err);
}

/* The object of the line that begins at `at`, and where it ends, its newline included. */
static enum tl_rc read_line(const struct tl_buf *log, size_t at, struct tl_json *doc, size_t *ret_end,
                            struct tl_err *err)
{
    const char *newline = memchr(log->data + at, '\n', log->len - at);
    const size_t end = newline ? (size_t)(newline - log->data) : log->len;
    const enum tl_rc rc = tl_json_parse(doc, log->data + at, end - at, err);
    if (rc || !json_is_object(doc->root)) {
        return rc ? rc : tl_fail(err, TL_MALFORMED, "the checkpoint's log has a line that is no object");
    }
    *ret_end = newline ? end + 1 : end;
    return TL_OK;
}

static enum tl_rc read_due(const struct tl_json *line, struct train_due *due, struct tl_err *err)
{
    struct tl_json_object top, object;
    bool there = false;
    size_t part = 0;
    int64_t images = 0;
    enum tl_rc rc = tl_json_object_open(&top, line->root, "", err);
    if (rc || (rc = tl_json_nested(&top, "due", TL_REQUIRED, &object, &there, err)) ||
        (rc = tl_json_choice(&top, "part", TL_REQUIRED, PARTS, TRAIN_PART_COUNT, &part, err)) ||
        (rc = tl_json_bool(&object, "whole", TL_REQUIRED, &due->whole, err)) ||
        (rc = tl_json_int(&object, "images", TL_REQUIRED, 0, UINT32_MAX, &images, err))) {
        return rc;
    }
    due->part = (enum train_part)part;
    due->images = (size_t)images;
    return TL_OK;
}

enum tl_rc train_log_due(const struct tl_buf *log, size_t from, struct train_due *ret_due, struct tl_err *err)
{
    struct train_due due = {.at = log->len, .end = log->len};
    for (size_t at = from, end = at; at < log->len; at = end) {
        TL_AUTO(tl_json) line = {0};
        enum tl_rc rc = read_line(log, at, &line, &end, err);
        if (rc) {
            return rc;
        }
        if (json_object_get(line.root, "due")) {
            due.at = at;
            due.end = end;
            if ((rc = read_due(&line, &due, err))) {
                return rc;
            }
            break;
        }
    }
    *ret_due = due;
    return TL_OK;
}

enum tl_rc train_log_measured(struct tl_buf *log, const struct train_due *due, const struct train_measured *measured,
                              size_t n, struct tl_err *err)
{
    TL_AUTO(tl_buf) whole = {.max = log->max};
    TL_AUTO(tl_json) line = {0};
    size_t end = 0;
    enum tl_rc rc = read_line(log, due->at, &line, &end, err);
    if (rc) {
        return rc;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_pack("{s:s, s:i, s:f}", "network", measured[i].what, "resolution",
                                              (int)measured[i].resolution, "accuracy", measured[i].accuracy));
    }
    (void)json_object_del(line.root, "due");
    if (json_object_set_new(line.root, "accuracy", list)) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a line of the log");
    }
    rc = tl_buf_add(&whole, log->data, due->at, err);
    rc = rc ? rc : dump_line(json_incref(line.root), &whole, err);
    rc = rc ? rc : tl_buf_add(&whole, log->data + end, log->len - end, err);
    if (rc == TL_OK) {
        const struct tl_buf before = *log;
        *log = whole;
        whole = before;
    }
    return rc;
}

enum tl_rc train_log_timeless(const struct tl_buf *log, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (size_t at = 0, end = 0; rc == TL_OK && at < log->len; at = end) {
        TL_AUTO(tl_json) line = {0};
        rc = read_line(log, at, &line, &end, err);
        if (rc == TL_OK) {
            (void)json_object_del(line.root, "images_s");
            (void)json_object_del(line.root, "eta_s");
            rc = dump_line(json_incref(line.root), buf, err);
        }
    }
    return rc;
}
