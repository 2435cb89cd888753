#include "server/codec_work.h"
#include <stdio.h>
#include <string.h>

enum tl_rc work_encode(const struct lat_job *job, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = lat_job_encode(job);

    json_object_del(json, "id");
    json_object_del(json, "attempt");
    json_object_del(json, "lease_s");
    return tl_json_dump_take(json, buf, err);
}

enum tl_rc work_lease_encode(const struct store_job *job, unsigned lease_s, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json = json_loadb(job->work.data, job->work.n, 0, NULL);

    json_object_set_new(json, "id", json_string(job->id));
    json_object_set_new(json, "attempt", json_integer(job->attempt));
    json_object_set_new(json, "lease_s", json_integer(lease_s));
    return tl_json_dump_take(json, buf, err);
}

enum tl_rc work_item(struct store_bytes work, size_t item, char ret_subject[NET_KEY_MAX], bool *ret_is_block,
                     struct tl_err *err)
{
    json_t *json = json_loadb(work.data, work.n, 0, NULL);
    json_t *entry = json_array_get(json_object_get(json, "items"), item);
    const char *subject = json_string_value(json_object_get(entry, "subject"));
    const char *kind = json_string_value(json_object_get(entry, "kind"));

    if (!subject || !kind) {
        json_decref(json);
        return tl_fail(err, TL_NOT_FOUND, "the job has no item %zu", item);
    }
    snprintf(ret_subject, NET_KEY_MAX, "%s", subject);
    *ret_is_block = strcmp(kind, "block") == 0;
    json_decref(json);
    return TL_OK;
}
