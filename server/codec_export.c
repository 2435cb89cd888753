/* codec_export.c - the predicting phase as canonical JSON, and what charts read back out of it.
 *
 * Columns, not rows: {"request","snapshot","evaluations","front":{columns},"sample":{columns},"history":{columns},"best"}.
 * Columns of candidates are "architecture" (ids), "number", "subject" (subject.h) and one array a metric. No ids of the store
 * and no times: equal searches give equal bytes.
 */
#include "base/codec_json.h"
#include "server/codec_search.h"
#include "server/subject.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------------------------------------- */

struct columns {
    json_t *architecture, *number, *subject, *metrics[COLUMNS_MAX];
};

static void columns_begin(struct columns *columns)
{
    columns->architecture = json_array();
    columns->number = json_array();
    columns->subject = json_array();
    for (size_t m = 0; m < COLUMNS_MAX; m++) {
        columns->metrics[m] = json_array();
    }
}

static void columns_add(struct columns *columns, const struct evaluator *evaluator, const struct search_candidate *c)
{
    const struct space *space = evaluator_full_space(evaluator);
    uint8_t full[SPACE_VARIABLES_MAX];
    char text[TL_HASH_TEXT], subject[SUBJECT_TEXT];
    struct tl_hash id;

    evaluator_full_arch(evaluator, c->arch, full);
    id = space_arch_id(space, full);
    tl_hash_format(&id, text);
    subject_of_arch(space, full, subject);
    json_array_append_new(columns->architecture, json_string(text));
    json_array_append_new(columns->number, json_integer((json_int_t)c->number));
    json_array_append_new(columns->subject, json_string(subject));
    for (size_t m = 0; m < column_count(evaluator_devices(evaluator)); m++) {
        json_array_append_new(columns->metrics[m], tl_json_number(c->values[m]));
    }
}

static json_t *columns_end(struct columns *columns, const struct evaluator *evaluator)
{
    json_t *json = json_pack("{s:o, s:o, s:o}", "architecture", columns->architecture, "number", columns->number,
                             "subject", columns->subject);

    const struct devices *devices = evaluator_devices(evaluator);
    for (size_t m = 0; m < COLUMNS_MAX; m++) {
        char name[COLUMN_NAME_MAX];
        if (m < column_count(devices) && evaluator_has(evaluator, m)) {
            column_name(devices, m, name);
            json_object_set_new(json, name, columns->metrics[m]);
        } else {
            json_decref(columns->metrics[m]);
        }
    }
    return json;
}

static json_t *history_json(const struct search_run *run)
{
    const struct search_point *points = NULL;
    size_t n = search_run_history(run, &points);
    json_t *evaluations = json_array(), *best = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(evaluations, json_integer((json_int_t)points[i].evaluations));
        json_array_append_new(best, tl_json_number(points[i].best));
    }
    return json_pack("{s:o, s:o}", "evaluations", evaluations, "best", best);
}

enum tl_rc search_export_encode(const struct search_request *request, const char *snapshot,
                                const struct search_spec *spec, const struct search_run *run,
                                const struct evaluator *evaluator, struct tl_buf *buf, struct tl_err *err)
{
    TL_AUTO(tl_buf) request_text = {0};
    struct search_request unlabelled = *request;
    struct search_candidate candidate;
    struct columns front, sample, best;
    char objective[COLUMN_NAME_MAX];
    enum tl_rc rc;

    unlabelled.label[0] = '\0';    /* a name for people, no part of the specification */
    unlabelled.snapshot[0] = '\0'; /* stands beside it, asked for or not */
    rc = search_request_encode(&unlabelled, &request_text, err);

    if (rc) {
        return rc;
    }
    column_name(evaluator_devices(evaluator), spec->objective, objective);
    columns_begin(&front);
    columns_begin(&sample);
    columns_begin(&best);
    for (size_t i = 0; i < search_run_front_count(run); i++) {
        search_run_front_at(run, i, &candidate);
        columns_add(&front, evaluator, &candidate);
    }
    for (size_t i = 0; i < search_run_sample_count(run); i++) {
        search_run_sample_at(run, i, &candidate);
        columns_add(&sample, evaluator, &candidate);
    }
    if (search_run_best(run, &candidate)) {
        columns_add(&best, evaluator, &candidate);
    }
    return tl_json_dump_exact_take(json_pack("{s:o, s:s, s:I, s:I, s:s, s:o, s:o, s:o, s:o}", "request",
                                             json_loads(request_text.data, 0, NULL), "snapshot", snapshot,
                                             "evaluations", (json_int_t)search_run_evaluations(run), "proposals",
                                             (json_int_t)search_run_proposals(run), "objective", objective, "best",
                                             columns_end(&best, evaluator), "front", columns_end(&front, evaluator),
                                             "sample", columns_end(&sample, evaluator), "history", history_json(run)),
                                   buf, err);
}

/* ---- reading back -------------------------------------------------------------------------------------------- */

enum tl_rc search_history_encode(struct store_bytes exported, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = exported.n ? json_loadb(exported.data, exported.n, 0, NULL) : NULL;
    json_t *history = json_incref(json_object_get(json, "history"));

    json_decref(json);
    if (!history) {
        history = json_pack("{s:[], s:[]}", "evaluations", "best");
    }
    return tl_json_dump_take(history, buf, err);
}

struct chart_points {
    const char *x, *y;                     /* borrowed */
    json_t *xs, *ys, *ids, *roles, *kinds; /* owned */
};

enum tl_rc chart_points_new(const char *x, const char *y, struct chart_points **ret_points, struct tl_err *err)
{
    struct chart_points *points = calloc(1, sizeof(*points));

    if (!points) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a chart");
    }
    *points = (struct chart_points){x, y, json_array(), json_array(), json_array(), json_array(), json_array()};
    *ret_points = points;
    return TL_OK;
}

void chart_points_free(struct chart_points *points)
{
    if (points) {
        json_decref(points->xs);
        json_decref(points->ys);
        json_decref(points->ids);
        json_decref(points->roles);
        json_decref(points->kinds);
        free(points);
    }
}

static void add(struct chart_points *points, json_t *x, json_t *y, json_int_t id, const char *role, const char *kind)
{
    if (json_is_number(x) && json_is_number(y)) {
        json_array_append(points->xs, x);
        json_array_append(points->ys, y);
        json_array_append_new(points->ids, id ? json_integer(id) : json_null());
        json_array_append_new(points->roles, json_string(role));
        json_array_append_new(points->kinds, json_string(kind));
    }
}

static bool of_kind(const json_t *x, const json_t *y, const char *kind)
{
    const char *kx = json_string_value(json_object_get(x, "kind")), *ky = json_string_value(json_object_get(y, "kind"));

    return (kx && strcmp(kx, kind) == 0) || (ky && strcmp(ky, kind) == 0);
}

/* A point is measured when either of its values is, else evaluated, else tabulated. */
enum tl_rc chart_points_candidate(struct chart_points *points, const struct store_candidate *candidate,
                                  struct tl_err *err)
{
    json_t *values = json_loadb(candidate->values.data, candidate->values.n, 0, NULL);
    json_t *x = json_object_get(values, points->x), *y = json_object_get(values, points->y);

    if (!values) {
        return tl_fail(err, TL_IO, "candidate %lld is damaged in the store", (long long)candidate->id);
    }
    add(points, json_object_get(x, "value"), json_object_get(y, "value"), (json_int_t)candidate->id, candidate->role,
        of_kind(x, y, "measured")    ? "measured"
        : of_kind(x, y, "evaluated") ? "evaluated"
        : of_kind(x, y, "tabulated") ? "tabulated"
                                     : "predicted");
    json_decref(values);
    return TL_OK;
}

static bool among(const json_t *names, const char *name)
{
    bool found = false;

    for (size_t i = 0; i < json_array_size(names); i++) {
        found = found || strcmp(json_string_value(json_array_get(names, i)), name) == 0;
    }
    return found;
}

enum tl_rc chart_points_sample(struct chart_points *points, struct store_bytes exported, struct tl_err *err)
{
    json_t *json = exported.n ? json_loadb(exported.data, exported.n, 0, NULL) : NULL;
    json_t *sample = json_object_get(json, "sample");
    json_t *x = json_object_get(sample, points->x), *y = json_object_get(sample, points->y);
    const json_t *evaluate = json_object_get(json_object_get(json, "request"), "evaluate");
    const bool evaluated = among(json_object_get(evaluate, "metrics"), points->x) ||
                           among(json_object_get(evaluate, "metrics"), points->y);
    enum tl_rc rc = TL_OK;

    if (json && (!json_is_array(x) || !json_is_array(y))) {
        rc = tl_fail(err, TL_INVALID, "this search has no values of %s", json_is_array(x) ? points->y : points->x);
    }
    for (size_t i = 0; !rc && i < json_array_size(x); i++) {
        add(points, json_array_get(x, i), json_array_get(y, i), 0, "sample", evaluated ? "evaluated" : "predicted");
    }
    json_decref(json);
    return rc;
}

enum tl_rc chart_points_encode(struct chart_points *points, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:O, s:O, s:O, s:O, s:O}", "x", points->xs, "y", points->ys, "id", points->ids,
                                       "role", points->roles, "kind", points->kinds),
                             buf, err);
}
