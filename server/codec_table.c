/* codec_table.c - see codec_table.h. */
#include "server/codec_table.h"

#include "base/codec_json.h"

#include <stdio.h>
#include <string.h>

/* ---- units --------------------------------------------------------------------------------------------------- */

enum { UNITS_MAX = 3 };

struct unit_list {
    const char *names[UNITS_MAX]; /* NULL: fewer */
    double scales[UNITS_MAX];     /* to the metric's own */
};

static const struct unit_list units[METRIC_COUNT] = {
    [METRIC_MACS] = {{"count", "M"}, {1, 1e6}},
    [METRIC_PARAMS] = {{"count", "M"}, {1, 1e6}},
    [METRIC_SIZE_BYTES] = {{"bytes", "KB", "MB"}, {1, 1e3, 1e6}},
    [METRIC_PEAK_MEMORY_BYTES] = {{"bytes", "KB", "MB"}, {1, 1e3, 1e6}},
    [METRIC_LATENCY_MS] = {{"ms", "s", "us"}, {1, 1e3, 1e-3}},
    [METRIC_ACCURACY] = {{"percent", "fraction"}, {1, 100}},
};

/* ---- reading ------------------------------------------------------------------------------------------------- */

static enum tl_rc copy_name(const char *text, const char *pointer, char ret_name[TABLE_NAME_MAX + 1],
                            struct tl_err *err)
{
    const size_t n = strlen(text);
    if (n == 0 || n > TABLE_NAME_MAX || strpbrk(text, ",\"\r\n")) {
        return tl_fail_at(err, TL_INVALID, pointer,
                          "must be the name of a column: 1 to %d bytes without comma and quote", TABLE_NAME_MAX);
    }
    memcpy(ret_name, text, n + 1);
    return TL_OK;
}

/* A column for every variable of the space, by name. */
static enum tl_rc read_labels(const struct tl_json_object *columns, const struct space *space,
                              struct table_manifest *manifest, struct tl_err *err)
{
    char pointer[160];
    enum tl_rc rc = TL_OK;
    const char *name;
    json_t *value;
    json_object_foreach(columns->json, name, value)
    {
        if (space_variable_find(space, name) < 0) {
            return tl_fail_at(err, TL_INVALID, columns->pointer, "%s has no variable \"%.24s\"", space->name, name);
        }
    }
    for (size_t i = 0; !rc && i < space->n_variables; i++) {
        name = space->variables[i].name;
        value = json_object_get(columns->json, name);
        (void)snprintf(pointer, sizeof pointer, "%.100s/%s", columns->pointer, name);
        rc = json_is_string(value)
                 ? copy_name(json_string_value(value), pointer, manifest->labels[i], err)
                 : tl_fail_at(err, TL_INVALID, pointer, "must be the name of the column that says what %s takes", name);
    }
    return rc;
}

static enum tl_rc read_architecture(struct tl_json_object *top, const struct space *space,
                                    struct table_manifest *manifest, struct tl_err *err)
{
    struct tl_json_object architecture, columns;
    const char *digits = NULL;
    bool there = false, by_columns = false;
    enum tl_rc rc;
    if ((rc = tl_json_nested(top, "architecture", TL_REQUIRED, &architecture, &there, err)) ||
        (rc = tl_json_string(&architecture, "digits", TL_OPTIONAL, TABLE_NAME_MAX, &digits, err)) ||
        (rc = tl_json_nested(&architecture, "columns", TL_OPTIONAL, &columns, &by_columns, err)) ||
        (rc = tl_json_object_close(&architecture, err))) {
        return rc;
    }
    if ((digits != NULL) == by_columns) {
        return tl_fail_at(err, TL_INVALID, architecture.pointer, "needs exactly one of \"digits\" and \"columns\"");
    }
    return digits ? copy_name(digits, "/architecture/digits", manifest->digits, err)
                  : read_labels(&columns, space, manifest, err);
}

static enum tl_rc read_unit(struct tl_json_object *object, enum metric metric, double *ret_scale, struct tl_err *err)
{
    size_t n = 0, unit = 0;
    while (n < UNITS_MAX && units[metric].names[n]) {
        n++;
    }
    enum tl_rc rc = tl_json_choice(object, "unit", TL_REQUIRED, units[metric].names, n, &unit, err);
    *ret_scale = units[metric].scales[unit];
    return rc;
}

/* Latency is of a device, and timed or not. */
static enum tl_rc read_latency(struct tl_json_object *object, struct table_column *column, struct tl_err *err)
{
    static const char *const kinds[] = {"cost model", "timed"};
    const char *device = "";
    size_t kind = 0;
    enum tl_rc rc;
    if (column->metric != METRIC_LATENCY_MS) {
        return TL_OK;
    }
    if ((rc = tl_json_name(object, "device", TL_REQUIRED, &device, err)) ||
        (rc = tl_json_choice(object, "kind", TL_REQUIRED, kinds, TL_COUNT_OF(kinds), &kind, err))) {
        return rc;
    }
    (void)snprintf(column->device, sizeof column->device, "%s", device);
    column->timed = kind == 1;
    return TL_OK;
}

static enum tl_rc read_metric(struct tl_json_object *object, struct table_manifest *manifest, struct tl_err *err)
{
    struct table_column *column = &manifest->columns[manifest->n_columns];
    const char *name = "";
    char pointer[160];
    size_t metric = 0;
    enum tl_rc rc;
    (void)snprintf(pointer, sizeof pointer, "%s/column", object->pointer);
    if ((rc = tl_json_choice(object, "metric", TL_REQUIRED, metric_names, METRIC_COUNT, &metric, err)) ||
        (rc = tl_json_string(object, "column", TL_REQUIRED, TABLE_NAME_MAX, &name, err)) ||
        (rc = copy_name(name, pointer, column->name, err))) {
        return rc;
    }
    column->metric = (enum metric)metric;
    if ((rc = read_unit(object, column->metric, &column->scale, err)) || (rc = read_latency(object, column, err)) ||
        (rc = tl_json_object_close(object, err))) {
        return rc;
    }
    for (size_t i = 0; i < manifest->n_columns; i++) {
        const struct table_column *other = &manifest->columns[i];
        if (other->metric == column->metric && strcmp(other->device, column->device) == 0) {
            return tl_fail_at(err, TL_INVALID, object->pointer, "column %s is %s%s%s already; drop one", other->name,
                              metric_names[metric], column->device[0] ? " of " : "", column->device);
        }
    }
    manifest->n_columns++;
    return TL_OK;
}

static enum tl_rc read_metrics(struct tl_json_object *top, struct table_manifest *manifest, struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc = tl_json_array(top, "metrics", TL_REQUIRED, 1, TABLE_COLUMNS_MAX, &list, err);
    for (size_t i = 0; !rc && i < json_array_size(list); i++) {
        struct tl_json_object element;
        if (!(rc = tl_json_element(top, "metrics", list, i, &element, err))) {
            rc = read_metric(&element, manifest, err);
        }
    }
    return rc;
}

enum tl_rc table_request_decode(const char *json, size_t n, const struct space *space,
                                struct table_request *ret_request, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    const char *source = "";
    enum tl_rc rc;
    memset(ret_request, 0, sizeof *ret_request);
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_hash(&top, "artifact", TL_REQUIRED, &ret_request->artifact, err)) ||
        (rc = tl_json_string(&top, "source", TL_OPTIONAL, SPACE_SOURCE_MAX, &source, err)) ||
        (rc = read_architecture(&top, space, &ret_request->manifest, err)) ||
        (rc = read_metrics(&top, &ret_request->manifest, err)) || (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    (void)snprintf(ret_request->source, sizeof ret_request->source, "%s", source);
    return TL_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

enum tl_rc table_info_encode(const struct table_request *request, const struct value_table *table, struct tl_buf *buf,
                             struct tl_err *err)
{
    char artifact[TL_HASH_TEXT];
    json_t *columns = json_array();
    tl_hash_format(&request->artifact, artifact);
    for (size_t i = 0; i < value_table_columns(table); i++) {
        const struct table_column *column = value_table_column(table, i);
        json_t *json =
            column->metric == METRIC_LATENCY_MS
                ? json_pack("{s:s, s:s, s:s, s:s}", "metric", metric_names[column->metric], "column", column->name,
                            "device", column->device, "kind", column->timed ? "timed" : "cost model")
                : json_pack("{s:s, s:s}", "metric", metric_names[column->metric], "column", column->name);
        if (json_array_append_new(columns, json) != 0) {
            json_decref(columns);
            columns = NULL;
        }
    }
    return tl_json_dump_exact_take(json_pack("{s:s, s:s, s:I, s:o}", "source", request->source, "artifact", artifact,
                                             "rows", (json_int_t)value_table_rows(table), "columns", columns),
                                   buf, err);
}

enum tl_rc table_request_complete(const char *json, size_t n, const char *artifact, struct tl_buf *buf,
                                  struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    if (rc) {
        return rc;
    }
    if (!json_is_object(doc.root)) {
        return tl_fail(err, TL_INVALID, "a manifest is a JSON object; --help shows one");
    }
    if (json_object_set_new(doc.root, "artifact", json_string(artifact)) != 0) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a manifest");
    }
    return tl_json_dump_take(json_incref(doc.root), buf, err);
}
