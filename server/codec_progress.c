/* codec_progress.c - the state a search keeps between steps, in and out. Written and read by this program alone, but read as
 * strictly as anything from outside: a damaged row must not become a wrong answer.
 */
#include "base/codec_json.h"
#include "server/codec_search.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void search_progress_init(struct search_progress *p, const struct devices *devices)
{
    *p = (struct search_progress){.eta_s = NAN, .best_accuracy = NAN, .unit = "evaluations"};
    if (devices && devices->n > 1) {
        p->devices = *devices;
    }
    for (size_t d = 0; d < DEVICES_MAX; d++) {
        p->corrections[d] = (struct correction){1.0, NAN};
        p->best_latency_ms[d] = NAN;
    }
}

/* Devices as columns have them: at least one. */
static size_t n_of(const struct search_progress *p)
{
    return p->devices.n > 0 ? p->devices.n : 1;
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

/* A device by name, where there are several. */
static enum tl_rc decode_place(struct tl_json_object *o, const struct devices *devices, size_t *ret_device,
                               struct tl_err *err)
{
    const char *names[DEVICES_MAX] = {0};

    *ret_device = 0;
    for (size_t i = 0; i < devices->n; i++) {
        names[i] = devices->names[i];
    }
    return devices->n == 0 ? TL_OK : tl_json_choice(o, "device", TL_REQUIRED, names, devices->n, ret_device, err);
}

static enum tl_rc decode_verification(struct tl_json_object *o, const struct devices *devices, struct verification *v,
                                      struct tl_err *err)
{
    size_t device = 0;
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
        (rc = tl_json_bool(o, "holds", TL_REQUIRED, &v->holds, err)) || (rc = decode_place(o, devices, &device, err))) {
        return rc;
    }
    v->device = (uint8_t)device;
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
        rc = rc ? rc : decode_verification(&element, &p->devices, &p->verifications[i], err);
        p->n_verifications = i + 1;
    }
    return rc;
}

static enum tl_rc decode_ranges(struct tl_json_object *top, struct search_progress *p, struct tl_err *err)
{
    struct tl_json_object ranges;
    enum tl_rc rc = tl_json_nested(top, "ranges", TL_OPTIONAL, &ranges, &p->has_ranges, err);

    for (size_t m = 0; m < COLUMNS_MAX; m++) {
        p->ranges[m] = (struct metric_range){NAN, NAN, 0.0, 0.0};
    }
    if (rc || !p->has_ranges) {
        return rc;
    }
    for (size_t m = 0; m < column_count(&p->devices); m++) {
        struct tl_json_object range;
        char name[COLUMN_NAME_MAX];
        bool there = false;
        column_name(&p->devices, m, name);
        if ((rc = tl_json_nested(&ranges, name, TL_OPTIONAL, &range, &there, err))) {
            return rc;
        }
        if (there && ((rc = tl_json_real(&range, "min", TL_REQUIRED, -1e18, 1e18, &p->ranges[m].min, err)) ||
                      (rc = tl_json_real(&range, "max", TL_REQUIRED, -1e18, 1e18, &p->ranges[m].max, err)))) {
            return rc;
        }
    }
    return TL_OK;
}

static enum tl_rc decode_reach(struct tl_json_object *o, const struct devices *devices, struct limit_reach *reach,
                               struct tl_err *err)
{
    size_t metric = METRIC_COUNT, device = 0;
    double bounds[2] = {NAN, NAN};
    enum tl_rc rc;

    *reach = (struct limit_reach){.value = NAN};
    if ((rc = tl_json_choice(o, "metric", TL_REQUIRED, metric_names, METRIC_COUNT, &metric, err)) ||
        (rc = real_or_nan(o, "max", &bounds[0], err)) || (rc = real_or_nan(o, "min", &bounds[1], err)) ||
        (rc = real_or_nan(o, "reaches", &reach->value, err)) ||
        (rc = tl_json_bool(o, "proved", TL_REQUIRED, &reach->proved, err)) ||
        (metric == METRIC_LATENCY_MS && (rc = decode_place(o, devices, &device, err)))) {
        return rc;
    }
    if (isnan(bounds[0]) == isnan(bounds[1])) {
        return tl_fail_at(err, TL_MALFORMED, "/together", "a limit has either max or min");
    }
    reach->limit = (struct search_limit){(uint8_t)column_of(devices, (enum metric)metric, device), isnan(bounds[0]),
                                         isnan(bounds[0]) ? bounds[1] : bounds[0]};
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
        rc = rc ? rc : decode_reach(&element, &p->devices, &p->together.reach[i], err);
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
        (rc = real_or_nan(&object, "accuracy", &p->best_accuracy, err))) {
        return rc;
    }
    for (size_t d = 0; d < n_of(p) && !rc; d++) {
        char name[COLUMN_NAME_MAX];
        column_name(&p->devices, METRIC_LATENCY_MS + d, name);
        rc = real_or_nan(&object, name, &p->best_latency_ms[d], err);
    }
    return rc;
}

/* Names that "devices" says, absent where there is one or none. */
static enum tl_rc decode_names(struct tl_json_object *top, struct devices *devices, struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc = tl_json_array(top, "devices", TL_OPTIONAL, 2, DEVICES_MAX, &list, err);

    for (size_t i = 0; i < json_array_size(list) && !rc; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name || !tl_name_valid(name)) {
            return tl_fail_at(err, TL_INVALID, "/devices", "name %zu is none", i);
        }
        snprintf(devices->names[devices->n++], sizeof(devices->names[0]), "%s", name);
    }
    return rc;
}

static enum tl_rc decode_correction(struct tl_json_object *object, struct correction *correction, struct tl_err *err)
{
    enum tl_rc rc = real_or_nan(object, "scale", &correction->scale, err);

    return rc ? rc : real_or_nan(object, "half_width", &correction->half_width, err);
}

/* One device's stand at the top, those of several in a list. */
static enum tl_rc decode_corrections(struct tl_json_object *top, struct search_progress *p, struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc;

    if (p->devices.n == 0) {
        return decode_correction(top, &p->corrections[0], err);
    }
    rc = tl_json_array(top, "corrections", TL_REQUIRED, p->devices.n, p->devices.n, &list, err);
    for (size_t d = 0; d < json_array_size(list) && !rc; d++) {
        struct tl_json_object element;
        (void)((rc = tl_json_element(top, "corrections", list, d, &element, err)) ||
               (rc = decode_correction(&element, &p->corrections[d], err)));
    }
    return rc;
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

    search_progress_init(p, NULL);
    if (json.n == 0) {
        return TL_OK;
    }
    if ((rc = tl_json_parse(&doc, json.data, json.n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_int(&top, "round", TL_REQUIRED, 0, ROUNDS_MAX + 1, &round, err)) ||
        (rc = text_field(&top, "message", p->message, sizeof(p->message), err)) ||
        (rc = text_field(&top, "warning", p->warning, sizeof(p->warning), err)) ||
        (rc = text_field(&top, "problem", p->problem, sizeof(p->problem), err)) ||
        (rc = decode_names(&top, &p->devices, err)) || (rc = decode_counts(&top, p, err)) ||
        (rc = real_or_nan(&top, "seconds", &p->seconds, err)) || (rc = decode_corrections(&top, p, err)) ||
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
        json_t *json = json_pack(
            "{s:I, s:s, s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:b}", "candidate", (json_int_t)v->candidate,
            "architecture_id", v->arch, "round", v->round, "predicted_ms", tl_json_number(v->predicted_ms), "objective",
            tl_json_number(v->objective), "asked_visits", (json_int_t)v->asked, "visits", (json_int_t)v->visits,
            "stable_visits", (json_int_t)v->stable_visits, "blocks", (json_int_t)v->blocks, "median_ms",
            tl_json_number(v->median_ms), "upper_ms", tl_json_number(v->upper_ms), "holds", (int)v->holds);
        if (p->devices.n > 0) {
            json_object_set_new(json, "device", json_string(p->devices.names[v->device]));
        }
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *encode_ranges(const struct devices *devices, const struct metric_range ranges[COLUMNS_MAX])
{
    json_t *object = json_object();

    for (size_t m = 0; m < column_count(devices); m++) {
        char name[COLUMN_NAME_MAX];
        column_name(devices, m, name);
        if (!isnan(ranges[m].min)) {
            json_object_set_new(
                object, name,
                json_pack("{s:o, s:o}", "min", tl_json_number(ranges[m].min), "max", tl_json_number(ranges[m].max)));
        }
    }
    return object;
}

static json_t *encode_reach(const struct devices *devices, const struct limit_reach *reach)
{
    const enum metric metric = column_metric(devices, reach->limit.metric);
    json_t *json = json_pack("{s:s, s:o, s:o, s:b}", "metric", metric_names[metric],
                             reach->limit.is_min ? "min" : "max", tl_json_number(reach->limit.bound), "reaches",
                             tl_json_number(reach->value), "proved", (int)reach->proved);

    if (devices->n > 1 && metric == METRIC_LATENCY_MS) {
        json_object_set_new(json, "device", json_string(devices->names[column_device(devices, reach->limit.metric)]));
    }
    return json;
}

/* Into `json`, which may be NULL, where there is something to tell. */
static void set_together(json_t *json, const struct devices *devices, const struct limits_together *together)
{
    json_t *list = json && together->n > 0 ? json_array() : NULL;

    for (size_t i = 0; list && i < together->n; i++) {
        json_array_append_new(list, encode_reach(devices, &together->reach[i]));
    }
    if (list) {
        json_object_set_new(json, "together", list);
    }
}

static json_t *encode_best(const struct search_progress *p)
{
    json_t *best = json_pack("{s:o}", "accuracy", tl_json_number(p->best_accuracy));

    for (size_t d = 0; d < n_of(p); d++) {
        char name[COLUMN_NAME_MAX];
        column_name(&p->devices, METRIC_LATENCY_MS + d, name);
        json_object_set_new(best, name, tl_json_number(p->best_latency_ms[d]));
    }
    return best;
}

static void set_correction(json_t *json, const struct correction *correction)
{
    json_object_set_new(json, "scale", tl_json_number(correction->scale));
    json_object_set_new(json, "half_width", tl_json_number(correction->half_width));
}

static json_t *names_json(const struct devices *devices)
{
    json_t *list = json_array();

    for (size_t d = 0; d < devices->n; d++) {
        json_array_append_new(list, json_string(devices->names[d]));
    }
    return list;
}

static void set_corrections(json_t *json, const struct search_progress *p)
{
    if (p->devices.n == 0) {
        set_correction(json, &p->corrections[0]);
        return;
    }
    json_t *list = json_array();
    for (size_t d = 0; d < p->devices.n; d++) {
        json_t *one = json_object();
        set_correction(one, &p->corrections[d]);
        json_array_append_new(list, one);
    }
    json_object_set_new(json, "devices", names_json(&p->devices));
    json_object_set_new(json, "corrections", list);
}

enum tl_rc search_progress_encode(const struct search_progress *p, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = json_pack(
        "{s:i, s:s, s:s, s:s, s:{s:o, s:o, s:s, s:o}, s:o, s:o, s:I, s:I, s:b, s:o}", "round", p->round, "message",
        p->message, "warning", p->warning, "problem", p->problem, "progress", "done", tl_json_number(p->done), "total",
        tl_json_number(p->total), "unit", p->unit, "eta_s", tl_json_number(p->eta_s), "best", encode_best(p), "seconds",
        tl_json_number(p->seconds), "answer_candidate", (json_int_t)p->answer, "nearest_candidate",
        (json_int_t)p->nearest, "verified", (int)p->verified, "verifications", encode_verifications(p));

    if (json) {
        set_corrections(json, p);
    }
    if (json && p->archive_members > 0) {
        json_object_set_new(
            json, "archive",
            json_pack("{s:I, s:b}", "members", (json_int_t)p->archive_members, "answers", (int)p->archive_answers));
    }
    if (json && p->has_ranges) {
        json_object_set_new(json, "ranges", encode_ranges(&p->devices, p->ranges));
    }
    set_together(json, &p->devices, &p->together);
    return tl_json_dump_exact_take(json, buf, err);
}

enum tl_rc search_problem_encode(const struct tl_err *problem, const struct devices *devices,
                                 const struct metric_range ranges[COLUMNS_MAX], const struct limits_together *together,
                                 struct tl_buf *buf, struct tl_err *err)
{
    json_t *json =
        json_pack("{s:s, s:s, s:i, s:s, s:[{s:s, s:s}], s:o}", "type", "about:blank", "title", tl_rc_title(problem->rc),
                  "status", tl_rc_http(problem->rc), "detail", problem->text, "errors", "pointer", problem->pointer,
                  "detail", problem->text, "ranges", encode_ranges(devices, ranges));

    set_together(json, devices, together);
    return tl_json_dump_take(json, buf, err);
}

enum tl_rc ranges_encode(const char *space, const struct devices *devices,
                         const struct metric_range ranges[COLUMNS_MAX], struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = json_pack("{s:s, s:o}", "space", space, "ranges", encode_ranges(devices, ranges));

    if (json && devices->n > 1) {
        json_object_set_new(json, "devices", names_json(devices));
    } else if (json && devices->n == 1) {
        json_object_set_new(json, "device", json_string(devices->names[0]));
    }
    return tl_json_dump_take(json, buf, err);
}
