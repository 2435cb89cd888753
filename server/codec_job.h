/* codec_job.h - what agents and people say of jobs, and jobs as the API shows them. (A leased job's document is
 * latency/codec_job.h's, kept by codec_work.h.)
 */
#ifndef TAILOR_CODEC_JOB_H
#define TAILOR_CODEC_JOB_H

#include "storage/storage.h"

enum { JOB_NAME_TEXT = 65, JOB_REASON_MAX = 200, JOB_IDS_MAX = 500 };

/* What an agent says of a job; fields that a call does not carry stay empty. */
struct agent_call {
    char device[JOB_NAME_TEXT];
    char agent_key[TL_HASH_TEXT];
    int64_t attempt;
    char reason[JOB_REASON_MAX + 1];
};

/* {"device","agent_key"}; {"attempt","agent_key"}, where has_reason also with "reason". */
TL_MUST_CHECK enum tl_rc lease_call_decode(const char *json, size_t n, struct agent_call *ret_call, struct tl_err *err);
TL_MUST_CHECK enum tl_rc job_call_decode(const char *json, size_t n, bool has_reason, struct agent_call *ret_call,
                                         struct tl_err *err);

/* POST /jobs: {"kind": "profile", "device", "space", "resolution"} or {"kind": "measure", "device", "candidate", "visits"}. */
enum { JOB_VISITS_MAX = 64, JOB_VISITS_DEFAULT = 2 };

struct job_request {
    bool measures; /* else: profiles */
    char device[JOB_NAME_TEXT];
    char space[JOB_NAME_TEXT]; /* profile */
    unsigned resolution;       /* profile; 0: not said */
    int64_t candidate;         /* measure */
    int64_t visits;            /* measure, 1..JOB_VISITS_MAX */
};
TL_MUST_CHECK enum tl_rc job_request_decode(const char *json, size_t n, struct job_request *ret_request,
                                            struct tl_err *err);

/* A row of GET /jobs. */
TL_MUST_CHECK enum tl_rc job_item_encode(const struct store_job *job, struct tl_buf *buf, struct tl_err *err);
/* {"jobs": [ids], "subject"}; without a subject where it is "". */
TL_MUST_CHECK enum tl_rc job_ids_encode(char ids[][TL_UUID_TEXT], size_t n, const char *subject, struct tl_buf *buf,
                                        struct tl_err *err);
/* {"lease_s": 60} */
TL_MUST_CHECK enum tl_rc job_renewal_encode(int lease_s, struct tl_buf *buf, struct tl_err *err);
/* {"id","state"} */
TL_MUST_CHECK enum tl_rc job_end_encode(const char *id, const char *state, struct tl_buf *buf, struct tl_err *err);

#endif
