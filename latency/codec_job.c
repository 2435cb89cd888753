/* codec_job.c - see codec_job.h. */
#include "latency/codec_job.h"

#include "supernet/codec_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const KINDS[] = {"network", "block"};

void lat_job_done(struct lat_job *job)
{
    free(job->anchor);
    free(job->items);
    *job = (struct lat_job){0};
}

bool lat_subject_valid(const char *text)
{
    const size_t n = strlen(text);
    return n >= 1 && n < NET_KEY_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static json_t *encode_protocol(const struct lat_protocol *protocol)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "rounds", (int)protocol->rounds, "block_ms",
                     (int)protocol->block_ms, "anchor_block_ms", (int)protocol->anchor_block_ms, "min_runs",
                     (int)protocol->min_runs, "warmup_ms", (int)protocol->warmup_ms, "threads", (int)protocol->threads,
                     "batch", (int)protocol->batch);
}

static json_t *encode_items(const struct lat_job *job)
{
    json_t *items = json_array();

    for (size_t i = 0; items != NULL && i < job->n_items; i++) {
        const struct lat_job_item *item = &job->items[i];
        json_t *json = json_pack("{s:s, s:s, s:o}", "subject", item->subject, "kind", KINDS[item->is_block], "network",
                                 net_encode(&item->net));
        if (json_array_append_new(items, json) != 0) {
            json_decref(items);
            items = NULL;
        }
    }
    return items;
}

json_t *lat_job_encode(const struct lat_job *job)
{
    json_t *json =
        json_pack("{s:s, s:I, s:s, s:i, s:{s:s, s:o}, s:o, s:o, s:I}", "id", job->id, "attempt",
                  (json_int_t)job->attempt, "kind", job->kind, "lease_s", (int)job->lease_s, "anchor", "subject",
                  job->anchor->subject, "network", net_encode(&job->anchor->net), "items", encode_items(job),
                  "protocol", encode_protocol(&job->protocol), "seed", (json_int_t)job->seed);

    if (json != NULL && job->total > 0 &&
        (json_object_set_new(json, "number", json_integer((json_int_t)job->number)) != 0 ||
         json_object_set_new(json, "total", json_integer((json_int_t)job->total)) != 0)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static enum tl_rc fail_field(const struct tl_json_object *object, const char *name, const char *wanted,
                             struct tl_err *err)
{
    char pointer[sizeof object->pointer + 32];

    (void)snprintf(pointer, sizeof pointer, "%s/%.24s", object->pointer, name);
    return tl_fail_at(err, TL_INVALID, pointer, "must be %s", wanted);
}

static enum tl_rc read_id(struct tl_json_object *top, char ret_id[TL_UUID_TEXT], int64_t *ret_attempt,
                          struct tl_err *err)
{
    const char *id = NULL;
    enum tl_rc rc;

    if ((rc = tl_json_string(top, "id", TL_REQUIRED, TL_UUID_TEXT - 1, &id, err)) ||
        (rc = tl_json_int(top, "attempt", TL_REQUIRED, 1, INT32_MAX, ret_attempt, err))) {
        return rc;
    }
    if (!tl_uuid_valid(id)) {
        return fail_field(top, "id", "a UUID", err);
    }
    memcpy(ret_id, id, TL_UUID_TEXT);
    return TL_OK;
}

static enum tl_rc read_unsigned(struct tl_json_object *object, const char *name, enum tl_json_need need, int64_t min,
                                int64_t max, unsigned *ret_value, struct tl_err *err)
{
    int64_t value = *ret_value;
    const enum tl_rc rc = tl_json_int(object, name, need, min, max, &value, err);

    if (!rc) {
        *ret_value = (unsigned)value;
    }
    return rc;
}

static enum tl_rc read_protocol(struct tl_json_object *top, struct lat_protocol *ret_protocol, struct tl_err *err)
{
    struct tl_json_object object;
    unsigned rounds = 0, min_runs = 0, block_ms = 0, anchor_block_ms = 0, warmup_ms = 0, threads = 0, batch = 0;
    enum tl_rc rc;

    if ((rc = tl_json_nested(top, "protocol", TL_REQUIRED, &object, NULL, err)) ||
        (rc = read_unsigned(&object, "rounds", TL_REQUIRED, LAT_ROUNDS_MIN, LAT_ROUNDS_MAX, &rounds, err)) ||
        (rc = read_unsigned(&object, "block_ms", TL_REQUIRED, 1, LAT_BLOCK_MS_MAX, &block_ms, err)) ||
        (rc = read_unsigned(&object, "anchor_block_ms", TL_REQUIRED, 1, LAT_BLOCK_MS_MAX, &anchor_block_ms, err)) ||
        (rc = read_unsigned(&object, "min_runs", TL_REQUIRED, 1, LAT_RUNS_MAX, &min_runs, err)) ||
        (rc = read_unsigned(&object, "warmup_ms", TL_REQUIRED, 0, LAT_BLOCK_MS_MAX, &warmup_ms, err)) ||
        (rc = read_unsigned(&object, "threads", TL_REQUIRED, 1, LAT_THREADS_MAX, &threads, err)) ||
        (rc = read_unsigned(&object, "batch", TL_REQUIRED, 1, LAT_BATCH_MAX, &batch, err)) ||
        (rc = tl_json_object_close(&object, err))) {
        return rc;
    }
    *ret_protocol = (struct lat_protocol){.rounds = (uint16_t)rounds,
                                          .min_runs = (uint16_t)min_runs,
                                          .block_ms = block_ms,
                                          .anchor_block_ms = anchor_block_ms,
                                          .warmup_ms = warmup_ms,
                                          .threads = (uint16_t)threads,
                                          .batch = (uint16_t)batch};
    return TL_OK;
}

/* Subject and network; the caller reads what else there is and closes the object. */
static enum tl_rc read_item(struct tl_json_object *object, struct lat_job_item *item, struct tl_err *err)
{
    struct tl_json_object network;
    const char *subject = NULL;
    enum tl_rc rc;

    if ((rc = tl_json_string(object, "subject", TL_REQUIRED, NET_KEY_MAX - 1, &subject, err)) ||
        (rc = tl_json_nested(object, "network", TL_REQUIRED, &network, NULL, err))) {
        return rc;
    }
    if (!lat_subject_valid(subject)) {
        return fail_field(object, "subject", "one or more of a-z, 0-9, '.', '_' and '-'", err);
    }
    (void)snprintf(item->subject, sizeof item->subject, "%s", subject);
    return net_decode(network.json, network.pointer, &item->net, err);
}

static enum tl_rc read_anchor(struct tl_json_object *top, struct lat_job *job, struct tl_err *err)
{
    struct tl_json_object object;
    enum tl_rc rc = tl_json_nested(top, "anchor", TL_REQUIRED, &object, NULL, err);

    if (rc) {
        return rc;
    }
    job->anchor = calloc(1, sizeof *job->anchor);
    if (job->anchor == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an anchor");
    }
    rc = read_item(&object, job->anchor, err);
    return rc ? rc : tl_json_object_close(&object, err);
}

static enum tl_rc read_items(struct tl_json_object *top, struct lat_job *job, struct tl_err *err)
{
    json_t *array = NULL;
    enum tl_rc rc = tl_json_array(top, "items", TL_REQUIRED, 1, LAT_JOB_ITEMS_MAX, &array, err);

    if (rc) {
        return rc;
    }
    const size_t n = json_array_size(array);
    job->items = calloc(n, sizeof *job->items);
    if (job->items == NULL) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu items", n);
    }
    for (size_t i = 0; i < n; i++) {
        struct tl_json_object object;
        size_t kind = 0;
        if ((rc = tl_json_element(top, "items", array, i, &object, err)) ||
            (rc = tl_json_choice(&object, "kind", TL_REQUIRED, KINDS, TL_COUNT_OF(KINDS), &kind, err)) ||
            (rc = read_item(&object, &job->items[i], err)) || (rc = tl_json_object_close(&object, err))) {
            return rc;
        }
        job->items[i].is_block = kind == 1;
    }
    job->n_items = n;
    return TL_OK;
}

static enum tl_rc read_job(struct tl_json_object *top, struct lat_job *job, struct tl_err *err)
{
    const char *kind = NULL;
    int64_t seed = 0;
    enum tl_rc rc;

    if ((rc = read_id(top, job->id, &job->attempt, err)) || (rc = tl_json_name(top, "kind", TL_REQUIRED, &kind, err)) ||
        (rc = read_unsigned(top, "lease_s", TL_REQUIRED, 1, LAT_LEASE_S_MAX, &job->lease_s, err)) ||
        (rc = read_unsigned(top, "number", TL_OPTIONAL, 0, INT32_MAX, &job->number, err)) ||
        (rc = read_unsigned(top, "total", TL_OPTIONAL, 0, INT32_MAX, &job->total, err)) ||
        (rc = tl_json_int(top, "seed", TL_REQUIRED, 0, INT64_MAX, &seed, err)) ||
        (rc = read_protocol(top, &job->protocol, err)) || (rc = read_anchor(top, job, err)) ||
        (rc = read_items(top, job, err))) {
        return rc;
    }
    (void)snprintf(job->kind, sizeof job->kind, "%s", kind);
    job->seed = (uint64_t)seed;
    return tl_json_object_close(top, err);
}

enum tl_rc lat_job_decode(const char *text, size_t n, struct lat_job *ret_job, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    TL_AUTO(lat_job) job = {0};
    struct tl_json_object top;
    enum tl_rc rc;

    if ((rc = tl_json_parse(&doc, text, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = read_job(&top, &job, err))) {
        return rc;
    }
    *ret_job = job;
    job = (struct lat_job){0};
    return TL_OK;
}

enum tl_rc lat_job_decode_id(const char *text, size_t n, char ret_id[TL_UUID_TEXT], int64_t *ret_attempt,
                             struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    enum tl_rc rc;

    if ((rc = tl_json_parse(&doc, text, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err))) {
        return rc;
    }
    return read_id(&top, ret_id, ret_attempt, err);
}
