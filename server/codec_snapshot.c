#include "server/codec_snapshot.h"
#include "base/codec_json.h"
#include <stdio.h>

/* Raised when the counting of MACs, parameters or memory changes, so that old snapshots keep their meaning. */
static const char cost_rules[] = "1";

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *further_json(const struct snapshot_names *names)
{
    json_t *list = json_array();

    for (size_t d = 1; d < names->devices.n; d++) {
        json_array_append_new(list, json_pack("{s:s, s:o}", "device", names->devices.names[d], "latency",
                                              text_or_null(names->latency[d])));
    }
    return list;
}

enum tl_rc snapshot_names_encode(const struct snapshot_names *names, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "cost_rules", cost_rules, "space", names->space,
                             "space_id", names->space_id, "device", text_or_null(names->devices.names[0]), "accuracy",
                             text_or_null(names->accuracy), "latency", text_or_null(names->latency[0]), "supernet",
                             text_or_null(names->supernet));
    if ((names->table[0] && json_object_set_new(json, "table", json_string(names->table)) != 0) ||
        (names->archive[0] && json_object_set_new(json, "archive", json_string(names->archive)) != 0)) {
        json_decref(json);
        json = NULL;
    }
    if (names->devices.n > 1) {
        json_object_set_new(json, "further", further_json(names));
    }
    return tl_json_dump_exact_take(json, buf, err);
}

static void copy(const json_t *json, const char *name, char *to, size_t room)
{
    const char *text = json_string_value(json_object_get(json, name));

    snprintf(to, room, "%s", text ? text : "");
}

enum tl_rc snapshot_names_decode(const char *json, size_t n, struct snapshot_names *ret_names, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);

    if (rc) {
        return rc;
    }
    copy(doc.root, "space", ret_names->space, sizeof(ret_names->space));
    copy(doc.root, "space_id", ret_names->space_id, sizeof(ret_names->space_id));
    copy(doc.root, "device", ret_names->devices.names[0], sizeof(ret_names->devices.names[0]));
    copy(doc.root, "accuracy", ret_names->accuracy, sizeof(ret_names->accuracy));
    copy(doc.root, "latency", ret_names->latency[0], sizeof(ret_names->latency[0]));
    copy(doc.root, "supernet", ret_names->supernet, sizeof(ret_names->supernet));
    copy(doc.root, "table", ret_names->table, sizeof(ret_names->table));
    copy(doc.root, "archive", ret_names->archive, sizeof(ret_names->archive));
    const json_t *further = json_object_get(doc.root, "further");
    ret_names->devices.n = ret_names->devices.names[0][0] != '\0';
    for (size_t i = 0; i < json_array_size(further) && ret_names->devices.n < DEVICES_MAX; i++) {
        const size_t d = ret_names->devices.n++;
        copy(json_array_get(further, i), "device", ret_names->devices.names[d], sizeof(ret_names->devices.names[d]));
        copy(json_array_get(further, i), "latency", ret_names->latency[d], sizeof(ret_names->latency[d]));
    }
    return TL_OK;
}

enum tl_rc snapshot_names_base(const struct snapshot_names *names, char ret_base[TL_HASH_TEXT], struct tl_err *err)
{
    TL_AUTO(tl_buf) json = {0};
    struct snapshot_names base = *names;
    struct tl_hash hash;
    enum tl_rc rc;

    base.supernet[0] = base.archive[0] = '\0';
    if ((rc = snapshot_names_encode(&base, &json, err))) {
        return rc;
    }
    hash = tl_hash_of(json.data, json.len);
    tl_hash_format(&hash, ret_base);
    return TL_OK;
}

enum tl_rc archive_info_encode(const struct archive_info *info, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_exact_take(json_pack("{s:b, s:I, s:I, s:s}", "complete", (int)info->complete, "evaluations",
                                             (json_int_t)info->evaluations, "members", (json_int_t)info->n_members,
                                             "values_of", info->base),
                                   buf, err);
}

void archive_info_decode(const void *json, size_t n, struct archive_info *ret_info)
{
    json_t *doc = json_loadb(json, n, 0, NULL);

    *ret_info = (struct archive_info){.complete = json_is_true(json_object_get(doc, "complete")),
                                      .evaluations = (uint64_t)json_integer_value(json_object_get(doc, "evaluations")),
                                      .n_members = (size_t)json_integer_value(json_object_get(doc, "members"))};
    copy(doc, "values_of", ret_info->base, sizeof(ret_info->base));
    json_decref(doc);
}
