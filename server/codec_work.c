#include "server/codec_work.h"
#include <stdio.h>
#include <string.h>

/* The line of names, with its end. */
static enum tl_rc names_encode(const struct lat_job *job, struct tl_buf *buf, struct tl_err *err)
{
    json_t *names = json_array();

    for (size_t i = 0; i < job->n_items; i++) {
        json_t *name = json_pack("[s, s]", job->items[i].subject, job->items[i].is_block ? "block" : "network");
        if (json_array_append_new(names, name) != 0) {
            json_decref(names);
            names = NULL;
        }
    }
    enum tl_rc rc = tl_json_dump_take(names, buf, err);
    return rc ? rc : tl_buf_add(buf, "\n", 1, err);
}

enum tl_rc work_encode(const struct lat_job *job, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = names_encode(job, buf, err);

    if (rc) {
        return rc;
    }
    json_t *json = lat_job_encode(job);
    json_object_del(json, "id");
    json_object_del(json, "attempt");
    json_object_del(json, "lease_s");
    return tl_json_dump_take(json, buf, err);
}

/* Length of the line of names; 0: this is no work. */
static size_t names_length(struct store_bytes work)
{
    const char *end = work.n ? memchr(work.data, '\n', work.n) : NULL;

    return end ? (size_t)(end - (const char *)work.data) : 0;
}

enum tl_rc work_lease_encode(const struct store_job *job, unsigned lease_s, struct work_runtime runtime,
                             struct tl_buf *buf, struct tl_err *err)
{
    size_t names_n = names_length(job->work);
    json_t *json = json_loadb((const char *)job->work.data + names_n, job->work.n - names_n, 0, NULL);
    json_t *protocol = json_object_get(json, "protocol");

    if (json_object_set_new(json, "id", json_string(job->id)) ||
        json_object_set_new(json, "attempt", json_integer(job->attempt)) ||
        json_object_set_new(json, "lease_s", json_integer(lease_s)) ||
        json_object_set_new(protocol, "threads", json_integer(runtime.threads)) ||
        json_object_set_new(protocol, "batch", json_integer(runtime.batch))) {
        json_decref(json);
        json = NULL;
    }
    return tl_json_dump_take(json, buf, err);
}

static unsigned number_of(const json_t *info, const char *name, json_int_t max)
{
    json_int_t value = json_integer_value(json_object_get(info, name));

    return value >= 1 && value <= max ? (unsigned)value : 1;
}

struct work_runtime work_device_runtime(struct store_bytes info)
{
    TL_AUTO(tl_json) doc = {.root = json_loadb(info.data, info.n, 0, NULL)};

    return (struct work_runtime){.threads = number_of(doc.root, "threads", LAT_THREADS_MAX),
                                 .batch = number_of(doc.root, "batch", LAT_BATCH_MAX)};
}

enum tl_rc work_item(struct store_bytes work, size_t item, char ret_subject[NET_KEY_MAX], bool *ret_is_block,
                     struct tl_err *err)
{
    TL_AUTO(tl_json) names = {.root = json_loadb(work.data, names_length(work), 0, NULL)};
    json_t *name = json_array_get(names.root, item);
    const char *subject = json_string_value(json_array_get(name, 0));
    const char *kind = json_string_value(json_array_get(name, 1));

    if (!subject || !kind) {
        return tl_fail(err, TL_NOT_FOUND, "the job has %zu items, numbered from 0", json_array_size(names.root));
    }
    snprintf(ret_subject, NET_KEY_MAX, "%s", subject);
    *ret_is_block = strcmp(kind, "block") == 0;
    return TL_OK;
}
