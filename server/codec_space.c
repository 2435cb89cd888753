/* codec_space.c - see codec_space.h. */
#include "server/codec_space.h"

#include "server/codec_text.h"

#include <stdlib.h>

struct space_document {
    json_t *json; /* owned */
};

/* Labels of the options in `mask`. */
static json_t *options_json(const struct space_variable *variable, uint32_t mask)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < variable->n_options; i++) {
        if ((mask >> i & 1U) && json_array_append_new(list, json_string(variable->labels[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *variable_json(const struct space *space, const struct space_variable *variable)
{
    const struct space_variable *parent = variable->parent < 0 ? NULL : &space->variables[variable->parent];
    return json_pack("{s:s, s:o, s:b, s:o, s:o}", "name", variable->name, "options", options_json(variable, UINT32_MAX),
                     "ordered", (int)variable->ordered, "parent", text_json_or_null(parent ? parent->name : ""),
                     "active_under", parent ? options_json(parent, variable->active_under) : json_null());
}

static json_t *variables_json(const struct space *space)
{
    json_t *list = json_array();
    for (size_t i = 0; i < space->n_variables; i++) {
        if (json_array_append_new(list, variable_json(space, &space->variables[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *resolutions_json(const struct net_family *family)
{
    json_t *list = json_array();
    for (size_t i = 0; i < family->n_resolutions; i++) {
        if (json_array_append_new(list, json_integer(family->resolutions[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* [{variable: labels, ..}, ..] */
static json_t *forbid_json(const struct space *space)
{
    json_t *list = json_array();
    for (size_t r = 0; r < space->n_rules; r++) {
        json_t *rule = json_object();
        for (size_t i = 0; i < space->rules[r].n_terms; i++) {
            const struct space_term *term = &space->rules[r].terms[i];
            const struct space_variable *variable = &space->variables[term->variable];
            (void)json_object_set_new(rule, variable->name, options_json(variable, term->options));
        }
        (void)json_array_append_new(list, rule);
    }
    return list;
}

enum tl_rc space_document_new(const struct space_entry *entry, struct space_document **ret_document, struct tl_err *err)
{
    const struct space *space = &entry->space;
    char count[SPACE_COUNT_TEXT], id[TL_HASH_TEXT];
    struct space_document *document = calloc(1, sizeof *document);
    space_count(space, count);
    tl_hash_format(&space->id, id);
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:n, s:n, s:[]}", "name", space->name,
                             "title", entry->about.title, "source", entry->about.source, "count", count, "id", id,
                             "buildable", (int)(entry->family != NULL), "resolutions",
                             entry->family ? resolutions_json(entry->family) : json_array(), "variables",
                             variables_json(space), "forbid", forbid_json(space), "accuracy_model", "table", "devices");
    if (!document || !json) {
        json_decref(json);
        free(document);
        return tl_fail(err, TL_NO_MEMORY, "no memory to show a space");
    }
    document->json = json;
    *ret_document = document;
    return TL_OK;
}

void space_document_free(struct space_document *document)
{
    if (document) {
        json_decref(document->json);
        free(document);
    }
}

/* The row's info with its hash and time, as field `name`. */
static enum tl_rc set_model(struct space_document *document, const char *name, const struct store_model *model,
                            struct tl_err *err)
{
    json_t *json = text_json_load(model->info);
    bool ok = json_object_set_new(json, "hash", json_string(model->hash)) == 0 &&
              json_object_set_new(json, "created", text_json_time(model->created_ns)) == 0;
    if (!ok) {
        json_decref(json);
        json = NULL;
    }
    return json_object_set_new(document->json, name, json) == 0
               ? TL_OK
               : tl_fail(err, TL_NO_MEMORY, "no memory to show a model");
}

enum tl_rc space_document_accuracy(struct space_document *document, const struct store_model *model, struct tl_err *err)
{
    return set_model(document, "accuracy_model", model, err);
}

enum tl_rc space_document_table(struct space_document *document, const struct store_model *model, struct tl_err *err)
{
    enum tl_rc rc = set_model(document, "table", model, err);
    const json_t *columns = json_object_get(json_object_get(document->json, "table"), "columns");
    for (size_t i = 0; !rc && i < json_array_size(columns); i++) {
        const char *device = json_string_value(json_object_get(json_array_get(columns, i), "device"));
        rc = device ? space_document_device(document, device, err) : TL_OK;
    }
    return rc;
}

enum tl_rc space_document_device(struct space_document *document, const char *device, struct tl_err *err)
{
    return json_array_append_new(json_object_get(document->json, "devices"), json_string(device)) == 0
               ? TL_OK
               : tl_fail(err, TL_NO_MEMORY, "no memory to show a device");
}

enum tl_rc space_document_encode(const struct space_document *document, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_incref(document->json), buf, err);
}
