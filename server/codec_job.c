/* codec_job.c - see codec_job.h. */
#include "server/codec_job.h"

#include "server/codec_text.h"

#include <stdio.h>

enum { RESOLUTION_MAX = 1024 };

/* ---- reading ------------------------------------------------------------------------------------------------- */

static enum tl_rc read_key(struct tl_json_object *top, struct agent_call *call, struct tl_err *err)
{
    struct tl_hash key;
    enum tl_rc rc = tl_json_hash(top, "agent_key", TL_REQUIRED, &key, err);
    if (rc == TL_OK) {
        tl_hash_format(&key, call->agent_key);
    }
    return rc;
}

enum tl_rc lease_call_decode(const char *json, size_t n, struct agent_call *ret_call, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct agent_call call = {0};
    struct tl_json_object top;
    const char *device = NULL;
    enum tl_rc rc;
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_name(&top, "device", TL_REQUIRED, &device, err)) || (rc = read_key(&top, &call, err)) ||
        (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    snprintf(call.device, sizeof call.device, "%s", device);
    *ret_call = call;
    return TL_OK;
}

enum tl_rc job_call_decode(const char *json, size_t n, bool has_reason, struct agent_call *ret_call, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct agent_call call = {0};
    struct tl_json_object top;
    const char *reason = "";
    enum tl_rc rc;
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_int(&top, "attempt", TL_REQUIRED, 1, INT32_MAX, &call.attempt, err)) ||
        (rc = read_key(&top, &call, err)) ||
        (has_reason && (rc = tl_json_string(&top, "reason", TL_REQUIRED, JOB_REASON_MAX, &reason, err))) ||
        (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    if (has_reason && reason[0] == '\0') {
        return tl_fail_at(err, TL_INVALID, "/reason", "must say why the job failed");
    }
    snprintf(call.reason, sizeof call.reason, "%s", reason);
    *ret_call = call;
    return TL_OK;
}

static enum tl_rc read_profile(struct tl_json_object *top, struct job_request *request, struct tl_err *err)
{
    const char *space = NULL;
    int64_t resolution = 0;
    enum tl_rc rc;
    if ((rc = tl_json_name(top, "space", TL_REQUIRED, &space, err)) ||
        (rc = tl_json_int(top, "resolution", TL_OPTIONAL, 1, RESOLUTION_MAX, &resolution, err))) {
        return rc;
    }
    snprintf(request->space, sizeof request->space, "%s", space);
    request->resolution = (unsigned)resolution;
    return TL_OK;
}

static enum tl_rc read_measure(struct tl_json_object *top, struct job_request *request, struct tl_err *err)
{
    enum tl_rc rc = tl_json_int(top, "candidate", TL_REQUIRED, 1, INT64_MAX, &request->candidate, err);
    request->visits = JOB_VISITS_DEFAULT;
    return rc ? rc : tl_json_int(top, "visits", TL_OPTIONAL, 1, JOB_VISITS_MAX, &request->visits, err);
}

enum tl_rc job_request_decode(const char *json, size_t n, struct job_request *ret_request, struct tl_err *err)
{
    static const char *const kinds[] = {"profile", "measure"};
    TL_AUTO(tl_json) doc = {0};
    struct job_request request = {0};
    struct tl_json_object top;
    const char *device = NULL;
    size_t kind = 0;
    enum tl_rc rc;
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_choice(&top, "kind", TL_REQUIRED, kinds, TL_COUNT_OF(kinds), &kind, err)) ||
        (rc = tl_json_name(&top, "device", TL_REQUIRED, &device, err)) ||
        (rc = kind ? read_measure(&top, &request, err) : read_profile(&top, &request, err)) ||
        (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    snprintf(request.device, sizeof request.device, "%s", device);
    request.measures = kind == 1;
    *ret_request = request;
    return TL_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

enum tl_rc job_item_encode(const struct store_job *job, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "id", job->id,
                                       "device", job->device, "kind", job->kind, "search",
                                       text_json_or_null(job->search), "space", job->space, "state", job->state,
                                       "attempt", (json_int_t)job->attempt, "created", text_json_time(job->created_ns),
                                       "not_before", text_json_time(job->not_before_ns), "lease_until",
                                       text_json_time(job->lease_until_ns), "failure", text_json_or_null(job->failure)),
                             buf, err);
}

enum tl_rc job_ids_encode(char ids[][TL_UUID_TEXT], size_t n, const char *subject, struct tl_buf *buf,
                          struct tl_err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(list, json_string(ids[i])) != 0) {
            json_decref(list);
            return tl_fail(err, TL_NO_MEMORY, "no memory for %zu job ids", n);
        }
    }
    json_t *json = json_pack("{s:o}", "jobs", list);
    if (json && subject[0] && json_object_set_new(json, "subject", json_string(subject)) != 0) {
        json_decref(json);
        json = NULL;
    }
    return tl_json_dump_take(json, buf, err);
}

enum tl_rc job_renewal_encode(int lease_s, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:i}", "lease_s", lease_s), buf, err);
}

enum tl_rc job_end_encode(const char *id, const char *state, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:s, s:s}", "id", id, "state", state), buf, err);
}
