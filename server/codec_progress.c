/* codec_progress.c - the state a search keeps between steps, in and out. Written and read by this program alone, but read as
 * strictly as anything from outside: a damaged row must not become a wrong answer.
 */
#include "base/codec_json.h"
#include "server/codec_search.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void search_progress_init(struct search_progress *p)
{
    *p = (struct search_progress){.eta_s = NAN,
                                  .scale = 1.0,
                                  .half_width = NAN,
                                  .best_accuracy = NAN,
                                  .best_latency_ms = NAN,
                                  .unit = "evaluations"};
}

/* null is "unknown". */
static enum tl_rc real_or_nan(struct tl_json_object *object, const char *name, double *ret, struct tl_err *err)
{
    if (json_is_null(json_object_get(object->json, name))) {
        *ret = NAN;
        json_object_del(object->json, name);
    }
    return tl_json_real(object, name, TL_OPTIONAL, -1e18, 1e18, ret, err);
}

static enum tl_rc text_field(struct tl_json_object *object, const char *name, char *to, size_t room, struct tl_err *err)
{
    const char *text = "";
    enum tl_rc rc = tl_json_string(object, name, TL_OPTIONAL, room - 1, &text, err);

    if (!rc) {
        snprintf(to, room, "%s", text);
    }
    return rc;
}

static enum tl_rc decode_verification(struct tl_json_object *o, struct verification *v, struct tl_err *err)
{
    int64_t round = 0, asked = 0, visits = 0, stable = 0, blocks = 0;
    struct tl_hash arch;
    enum tl_rc rc;

    if ((rc = tl_json_int(o, "candidate", TL_REQUIRED, 0, INT64_MAX, &v->candidate, err)) ||
        (rc = tl_json_hash(o, "architecture_id", TL_REQUIRED, &arch, err)) ||
        (rc = tl_json_int(o, "round", TL_REQUIRED, 0, ROUNDS_MAX, &round, err)) ||
        (rc = real_or_nan(o, "predicted_ms", &v->predicted_ms, err)) ||
        (rc = real_or_nan(o, "objective", &v->objective, err)) ||
        (rc = tl_json_int(o, "asked_visits", TL_REQUIRED, 0, 1000, &asked, err)) ||
        (rc = tl_json_int(o, "visits", TL_REQUIRED, 0, 1000, &visits, err)) ||
        (rc = tl_json_int(o, "stable_visits", TL_REQUIRED, 0, 1000, &stable, err)) ||
        (rc = tl_json_int(o, "blocks", TL_REQUIRED, 0, 100000, &blocks, err)) ||
        (rc = real_or_nan(o, "median_ms", &v->median_ms, err)) ||
        (rc = real_or_nan(o, "upper_ms", &v->upper_ms, err)) ||
        (rc = tl_json_bool(o, "holds", TL_REQUIRED, &v->holds, err))) {
        return rc;
    }
    tl_hash_format(&arch, v->arch);
    v->round = (int)round;
    v->asked = (size_t)asked;
    v->visits = (size_t)visits;
    v->stable_visits = (size_t)stable;
    v->blocks = (size_t)blocks;
    return tl_json_object_close(o, err);
}

static enum tl_rc decode_verifications(struct tl_json_object *top, struct search_progress *p, struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc = tl_json_array(top, "verifications", TL_OPTIONAL, 0, VERIFICATIONS_MAX, &list, err);

    for (size_t i = 0; !rc && list && i < json_array_size(list); i++) {
        struct tl_json_object element;
        rc = tl_json_element(top, "verifications", list, i, &element, err);
        rc = rc ? rc : decode_verification(&element, &p->verifications[i], err);
        p->n_verifications = i + 1;
    }
    return rc;
}

static enum tl_rc decode_ranges(struct tl_json_object *top, struct search_progress *p, struct tl_err *err)
{
    struct tl_json_object ranges;
    enum tl_rc rc = tl_json_nested(top, "ranges", TL_OPTIONAL, &ranges, &p->has_ranges, err);

    for (size_t m = 0; m < METRIC_COUNT; m++) {
        p->ranges[m] = (struct metric_range){NAN, NAN, 0.0, 0.0};
    }
    if (rc || !p->has_ranges) {
        return rc;
    }
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        struct tl_json_object range;
        bool there = false;
        if ((rc = tl_json_nested(&ranges, metric_names[m], TL_OPTIONAL, &range, &there, err))) {
            return rc;
        }
        if (there && ((rc = tl_json_real(&range, "min", TL_REQUIRED, -1e18, 1e18, &p->ranges[m].min, err)) ||
                      (rc = tl_json_real(&range, "max", TL_REQUIRED, -1e18, 1e18, &p->ranges[m].max, err)))) {
            return rc;
        }
    }
    return TL_OK;
}

static enum tl_rc decode_reach(struct tl_json_object *o, struct limit_reach *reach, struct tl_err *err)
{
    size_t metric = METRIC_COUNT;
    double bounds[2] = {NAN, NAN};
    enum tl_rc rc;

    *reach = (struct limit_reach){.value = NAN};
    if ((rc = tl_json_choice(o, "metric", TL_REQUIRED, metric_names, METRIC_COUNT, &metric, err)) ||
        (rc = real_or_nan(o, "max", &bounds[0], err)) || (rc = real_or_nan(o, "min", &bounds[1], err)) ||
        (rc = real_or_nan(o, "reaches", &reach->value, err)) ||
        (rc = tl_json_bool(o, "proved", TL_REQUIRED, &reach->proved, err))) {
        return rc;
    }
    if (isnan(bounds[0]) == isnan(bounds[1])) {
        return tl_fail_at(err, TL_MALFORMED, "/together", "a limit has either max or min");
    }
    reach->limit = (struct search_limit){(uint8_t)metric, isnan(bounds[0]), isnan(bounds[0]) ? bounds[1] : bounds[0]};
    return tl_json_object_close(o, err);
}

static enum tl_rc decode_together(struct tl_json_object *top, struct search_progress *p, struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc = tl_json_array(top, "together", TL_OPTIONAL, 0, SEARCH_LIMITS_MAX, &list, err);

    p->together.n = 0;
    for (size_t i = 0; !rc && list && i < json_array_size(list); i++) {
        struct tl_json_object element;
        rc = tl_json_element(top, "together", list, i, &element, err);
        rc = rc ? rc : decode_reach(&element, &p->together.reach[i], err);
        p->together.n = i + 1;
    }
    return rc;
}

static enum tl_rc decode_counts(struct tl_json_object *top, struct search_progress *p, struct tl_err *err)
{
    struct tl_json_object object;
    bool there = false;
    enum tl_rc rc;

    if ((rc = tl_json_nested(top, "progress", TL_REQUIRED, &object, &there, err)) ||
        (rc = real_or_nan(&object, "done", &p->done, err)) || (rc = real_or_nan(&object, "total", &p->total, err)) ||
        (rc = text_field(&object, "unit", p->unit, sizeof(p->unit), err)) ||
        (rc = real_or_nan(&object, "eta_s", &p->eta_s, err)) ||
        (rc = tl_json_nested(top, "best", TL_REQUIRED, &object, &there, err)) ||
        (rc = real_or_nan(&object, "accuracy", &p->best_accuracy, err)) ||
        (rc = real_or_nan(&object, "latency_ms", &p->best_latency_ms, err))) {
        return rc;
    }
    return TL_OK;
}

static enum tl_rc decode_archive(struct tl_json_object *top, struct search_progress *p, struct tl_err *err)
{
    struct tl_json_object object;
    bool there = false;
    int64_t members = 0;
    enum tl_rc rc = tl_json_nested(top, "archive", TL_OPTIONAL, &object, &there, err);

    if (rc || !there) {
        return rc;
    }
    if ((rc = tl_json_int(&object, "members", TL_REQUIRED, 1, INT32_MAX, &members, err)) ||
        (rc = tl_json_bool(&object, "answers", TL_REQUIRED, &p->archive_answers, err))) {
        return rc;
    }
    p->archive_members = (size_t)members;
    return tl_json_object_close(&object, err);
}

enum tl_rc search_progress_decode(struct store_bytes json, struct search_progress *ret_progress, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    struct search_progress *p = ret_progress;
    int64_t round = 0;
    enum tl_rc rc;

    search_progress_init(p);
    if (json.n == 0) {
        return TL_OK;
    }
    if ((rc = tl_json_parse(&doc, json.data, json.n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_int(&top, "round", TL_REQUIRED, 0, ROUNDS_MAX + 1, &round, err)) ||
        (rc = text_field(&top, "message", p->message, sizeof(p->message), err)) ||
        (rc = text_field(&top, "warning", p->warning, sizeof(p->warning), err)) ||
        (rc = text_field(&top, "problem", p->problem, sizeof(p->problem), err)) || (rc = decode_counts(&top, p, err)) ||
        (rc = real_or_nan(&top, "seconds", &p->seconds, err)) || (rc = real_or_nan(&top, "scale", &p->scale, err)) ||
        (rc = real_or_nan(&top, "half_width", &p->half_width, err)) ||
        (rc = tl_json_int(&top, "answer_candidate", TL_OPTIONAL, 0, INT64_MAX, &p->answer, err)) ||
        (rc = tl_json_int(&top, "nearest_candidate", TL_OPTIONAL, 0, INT64_MAX, &p->nearest, err)) ||
        (rc = tl_json_bool(&top, "verified", TL_REQUIRED, &p->verified, err)) || (rc = decode_ranges(&top, p, err)) ||
        (rc = decode_together(&top, p, err)) || (rc = decode_verifications(&top, p, err))) {
        return rc;
    }
    p->round = (int)round;
    if ((rc = decode_archive(&top, p, err))) {
        return rc;
    }
    return tl_json_object_close(&top, err);
}

static json_t *encode_verifications(const struct search_progress *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->n_verifications; i++) {
        const struct verification *v = &p->verifications[i];
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:b}", "candidate",
                                        (json_int_t)v->candidate, "architecture_id", v->arch, "round", v->round,
                                        "predicted_ms", tl_json_number(v->predicted_ms), "objective",
                                        tl_json_number(v->objective), "asked_visits", (json_int_t)v->asked, "visits",
                                        (json_int_t)v->visits, "stable_visits", (json_int_t)v->stable_visits, "blocks",
                                        (json_int_t)v->blocks, "median_ms", tl_json_number(v->median_ms), "upper_ms",
                                        tl_json_number(v->upper_ms), "holds", (int)v->holds));
    }
    return list;
}

static json_t *encode_ranges(const struct metric_range ranges[METRIC_COUNT])
{
    json_t *object = json_object();

    for (size_t m = 0; m < METRIC_COUNT; m++) {
        if (!isnan(ranges[m].min)) {
            json_object_set_new(
                object, metric_names[m],
                json_pack("{s:o, s:o}", "min", tl_json_number(ranges[m].min), "max", tl_json_number(ranges[m].max)));
        }
    }
    return object;
}

/* Into `json`, which may be NULL, where there is something to tell. */
static void set_together(json_t *json, const struct limits_together *together)
{
    json_t *list = json && together->n > 0 ? json_array() : NULL;

    for (size_t i = 0; list && i < together->n; i++) {
        const struct limit_reach *reach = &together->reach[i];
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:b}", "metric", metric_names[reach->limit.metric],
                                              reach->limit.is_min ? "min" : "max", tl_json_number(reach->limit.bound),
                                              "reaches", tl_json_number(reach->value), "proved", (int)reach->proved));
    }
    if (list) {
        json_object_set_new(json, "together", list);
    }
}

enum tl_rc search_progress_encode(const struct search_progress *p, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = json_pack(
        "{s:i, s:s, s:s, s:s, s:{s:o, s:o, s:s, s:o}, s:{s:o, s:o}, s:o, s:o, s:o, s:I, s:I, s:b, s:o}", "round",
        p->round, "message", p->message, "warning", p->warning, "problem", p->problem, "progress", "done",
        tl_json_number(p->done), "total", tl_json_number(p->total), "unit", p->unit, "eta_s", tl_json_number(p->eta_s),
        "best", "accuracy", tl_json_number(p->best_accuracy), "latency_ms", tl_json_number(p->best_latency_ms),
        "seconds", tl_json_number(p->seconds), "scale", tl_json_number(p->scale), "half_width",
        tl_json_number(p->half_width), "answer_candidate", (json_int_t)p->answer, "nearest_candidate",
        (json_int_t)p->nearest, "verified", (int)p->verified, "verifications", encode_verifications(p));

    if (json && p->archive_members > 0) {
        json_object_set_new(
            json, "archive",
            json_pack("{s:I, s:b}", "members", (json_int_t)p->archive_members, "answers", (int)p->archive_answers));
    }
    if (json && p->has_ranges) {
        json_object_set_new(json, "ranges", encode_ranges(p->ranges));
    }
    set_together(json, &p->together);
    return tl_json_dump_exact_take(json, buf, err);
}

enum tl_rc search_problem_encode(const struct tl_err *problem, const struct metric_range ranges[METRIC_COUNT],
                                 const struct limits_together *together, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json =
        json_pack("{s:s, s:s, s:i, s:s, s:[{s:s, s:s}], s:o}", "type", "about:blank", "title", tl_rc_title(problem->rc),
                  "status", tl_rc_http(problem->rc), "detail", problem->text, "errors", "pointer", problem->pointer,
                  "detail", problem->text, "ranges", encode_ranges(ranges));

    set_together(json, together);
    return tl_json_dump_take(json, buf, err);
}

enum tl_rc ranges_encode(const char *space, const char *device, const struct metric_range ranges[METRIC_COUNT],
                         struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = json_pack("{s:s, s:o}", "space", space, "ranges", encode_ranges(ranges));

    if (json && device[0]) {
        json_object_set_new(json, "device", json_string(device));
    }
    return tl_json_dump_take(json, buf, err);
}
