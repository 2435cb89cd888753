/* codec_search.c - searches as the API shows them: rows, documents, events, lists.
 */
#include "server/codec_search.h"
#include "base/codec_json.h"
#include <math.h>
#include <string.h>

static json_t *time_or_null(int64_t ns)
{
    char text[TL_TIME_TEXT];

    if (ns == 0) {
        return json_null();
    }
    tl_time_format(ns, text);
    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *load(struct store_bytes bytes)
{
    return bytes.n ? json_loadb(bytes.data, bytes.n, 0, NULL) : NULL;
}

/* The fields that rows and documents share. The request's own fields stand at the top level, as they were sent. */
static json_t *search_json(const struct store_search *search, json_t *progress)
{
    json_t *json = load(search->spec);

    json_object_set_new(json, "id", json_string(search->id));
    json_object_set_new(json, "state", json_string(search->state));
    json_object_set_new(json, "outcome", text_or_null(search->outcome));
    json_object_set_new(json, "created", time_or_null(search->created_ns));
    json_object_set_new(json, "updated", time_or_null(search->updated_ns));
    json_object_set_new(json, "finished", time_or_null(search->finished_ns));
    json_object_set_new(json, "evaluations", json_integer(search->evaluations));
    json_object_set(json, "best", json_object_get(progress, "best"));
    return json;
}

enum tl_rc search_item_encode(const struct store_search *search, struct tl_buf *buf, struct tl_err *err)
{
    json_t *progress = load(search->progress);
    json_t *json = search_json(search, progress);

    json_object_set(json, "message", json_object_get(progress, "message"));
    json_object_set(json, "progress", json_object_get(progress, "progress"));
    json_decref(progress);
    return tl_json_dump_take(json, buf, err);
}

/* Its verification, one a device, is that of the last round in which it was measured: "verification" where there is one
 * device, "verifications" where there are several. */
static void set_answer(json_t *json, const char *answer, json_t *progress)
{
    json_t *document = json_loads(answer, 0, NULL);
    json_t *id = json_object_get(document, "id"), *verifications = json_object_get(progress, "verifications");
    const size_t n_devices = json_array_size(json_object_get(progress, "devices"));
    json_t *verification = json_null(), *of_devices = json_array();
    size_t i;
    json_t *entry;

    json_array_foreach(verifications, i, entry)
    {
        if (json_equal(json_object_get(entry, "candidate"), id)) {
            verification = entry;
            json_array_append(of_devices, entry);
        }
    }
    json_t *shown = json_pack("{s:O, s:O, s:O, s:O, s:O}", "candidate", id, "architecture",
                              json_object_get(document, "architecture"), "metrics",
                              json_object_get(document, "metrics"), "verified", json_object_get(progress, "verified"),
                              "verification", n_devices > 1 ? json_null() : verification);
    if (n_devices > 1) {
        json_object_set(shown, "verifications", of_devices);
    }
    json_decref(of_devices);
    json_object_set_new(json, "answer", shown);
    json_decref(document);
}

/* Where the answer comes from, and how many members the archive had that gave the first one. */
static void set_archive(json_t *json, bool answered, json_t *archive)
{
    const char *from = json_is_true(json_object_get(archive, "answers")) ? "archive" : "search";
    json_t *members = json_object_get(archive, "members");

    json_object_set_new(json, "answered_from", answered ? json_string(from) : json_null());
    json_object_set_new(json, "archive_members", members ? json_incref(members) : json_integer(0));
}

/* Where the rest of the answer is: paths of the API, and the page. */
static void set_links(json_t *json, const char *id)
{
    static const char *const names[] = {"front", "candidates", "points", "history", "events", "export"};
    json_t *links = json_object();

    for (size_t i = 0; i < TL_COUNT_OF(names); i++) {
        json_object_set_new(links, names[i], json_sprintf("/search/%s/%s", id, names[i]));
    }
    json_object_set_new(links, "page", json_sprintf("/#/search/%s", id));
    json_object_set_new(json, "links", links);
}

enum tl_rc search_encode(const struct store_search *search, const char *answer, const char *nearest, struct tl_buf *buf,
                         struct tl_err *err)
{
    static const char *const copied[] = {"round",         "message", "progress", "seconds",
                                         "verifications", "ranges",  "together"};
    json_t *progress = load(search->progress);
    json_t *json = search_json(search, progress);
    const char *warning = json_string_value(json_object_get(progress, "warning"));
    const char *problem = json_string_value(json_object_get(progress, "problem"));

    for (size_t i = 0; i < TL_COUNT_OF(copied); i++) {
        json_object_set(json, copied[i], json_object_get(progress, copied[i]));
    }
    json_object_set_new(json, "snapshot", text_or_null(search->snapshot));
    set_archive(json, answer != NULL, json_object_get(progress, "archive"));
    json_object_set_new(json, "warnings", warning && warning[0] ? json_pack("[s]", warning) : json_array());
    json_object_set_new(json, "problem", problem && problem[0] ? json_pack("{s:s}", "detail", problem) : json_null());
    set_links(json, search->id);
    if (answer) {
        set_answer(json, answer, progress);
    }
    if (nearest) {
        json_object_set_new(json, "nearest", json_loads(nearest, 0, NULL));
    }
    json_decref(progress);
    return tl_json_dump_take(json, buf, err);
}

enum tl_rc search_event_encode(const struct store_event *event, struct tl_buf *buf, struct tl_err *err)
{
    json_t *data = load(event->data);

    return tl_json_dump_take(json_pack("{s:I, s:o, s:s, s:o}", "number", (json_int_t)event->number, "time",
                                       time_or_null(event->time_ns), "kind", event->kind, "data",
                                       data ? data : json_object()),
                             buf, err);
}

/* ---- lists --------------------------------------------------------------------------------------------------- */

enum tl_rc list_begin(struct list_writer *list, size_t max_bytes, struct tl_err *err)
{
    *list = (struct list_writer){.buf = {.max = max_bytes}};
    return tl_buf_addf(&list->buf, err, "{\"items\":[");
}

enum tl_rc list_add(struct list_writer *list, const struct tl_buf *document, struct tl_err *err)
{
    enum tl_rc rc = list->n++ ? tl_buf_add(&list->buf, ",", 1, err) : TL_OK;

    return rc ? rc : tl_buf_add(&list->buf, document->data, document->len, err);
}

enum tl_rc list_end(struct list_writer *list, int64_t next, struct tl_err *err)
{
    if (next) {
        return tl_buf_addf(&list->buf, err, "],\"next_page_token\":\"%lld\"}", (long long)next);
    }
    return tl_buf_addf(&list->buf, err, "],\"next_page_token\":null}");
}

void list_writer_done(struct list_writer *list)
{
    tl_buf_done(&list->buf);
}
