/* Bodies of the small requests: devices, agents' calls, profiles, models. The first byte chooses which. */
/* links: tailor_server */
#include "fuzz.h"
#include "server/codec_device.h"
#include "server/codec_job.h"
#include "server/codec_model.h"

#include <string.h>

static enum tl_rc read_device(const char *text, size_t n, struct tl_err *err)
{
    TL_AUTO(device_request) request = {0};
    enum tl_rc rc = device_request_decode(text, n, &request, err);
    if (rc == TL_OK) {
        must(tl_name_valid(request.name) && strlen(request.agent_key) == TL_HASH_TEXT - 1 && request.info.len >= 2);
    }
    return rc;
}

static enum tl_rc read_call(const char *text, size_t n, bool has_reason, struct tl_err *err)
{
    struct agent_call call = {0};
    enum tl_rc rc = job_call_decode(text, n, has_reason, &call, err);
    if (rc == TL_OK) {
        must(call.attempt >= 1 && has_reason == (call.reason[0] != '\0'));
    }
    return rc;
}

static enum tl_rc read_lease(const char *text, size_t n, struct tl_err *err)
{
    struct agent_call call = {0};
    enum tl_rc rc = lease_call_decode(text, n, &call, err);
    if (rc == TL_OK) {
        must(tl_name_valid(call.device));
    }
    return rc;
}

static enum tl_rc read_job(const char *text, size_t n, struct tl_err *err)
{
    struct job_request request = {0};
    enum tl_rc rc = job_request_decode(text, n, &request, err);
    if (rc == TL_OK) {
        must(tl_name_valid(request.device));
        must(request.measures ? request.candidate > 0 && request.visits >= 1 && request.visits <= JOB_VISITS_MAX
                              : tl_name_valid(request.space) && request.resolution <= 1024);
    }
    return rc;
}

static enum tl_rc read_model(const char *text, size_t n, struct tl_err *err)
{
    struct model_request request = {0};
    enum tl_rc rc = model_request_decode(text, n, &request, err);
    if (rc == TL_OK) {
        must(request.n_artifacts >= 1 && request.n_artifacts <= MODEL_TABLES_MAX && tl_name_valid(request.space));
        must(request.is_latency == (request.device[0] != '\0'));
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tl_err err = {0};
    enum tl_rc rc = TL_OK;
    if (n == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    switch (data[0] % 6) {
    case 0:
        rc = read_device(text, n - 1, &err);
        break;
    case 1:
        rc = read_lease(text, n - 1, &err);
        break;
    case 2:
        rc = read_call(text, n - 1, false, &err);
        break;
    case 3:
        rc = read_call(text, n - 1, true, &err);
        break;
    case 4:
        rc = read_job(text, n - 1, &err);
        break;
    default:
        rc = read_model(text, n - 1, &err);
    }
    must(rc == TL_OK || ((rc == TL_MALFORMED || rc == TL_INVALID) && err.text[0] != '\0'));
    return 0;
}
