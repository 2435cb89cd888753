/* codec_evaluate.h - evaluate jobs: what a worker is asked, and what it answers.
 *
 *     {"kind": "evaluate", "space": NAME, "metrics": ["accuracy"], "architectures": [{"id", "options", ...}, ...]}
 *     {"attempt": 1, "agent_key": KEY, "values": [{"id": ID, "accuracy": 76.1}, {"id": ID, "accuracy": null}, ...]}
 *
 * The first stands in store_job.work; a lease adds "id", "attempt" and "lease_s".
 */
#ifndef TAILOR_CODEC_EVALUATE_H
#define TAILOR_CODEC_EVALUATE_H

#include "server/codec_job.h"
#include "server/evaluator.h"
#include "storage/storage.h"

enum { EVALUATE_ARCHS_MAX = 32 };

/* n canonical architectures of the whole space, rows of its n_variables bytes. `family` NULL: it has no networks. */
TL_MUST_CHECK enum tl_rc evaluate_work_encode(const struct net_family *family, const struct space *space,
                                              uint32_t metrics, const uint8_t *archs, size_t n, struct tl_buf *buf,
                                              struct tl_err *err);
/* The document that a worker gets for a leased job. */
TL_MUST_CHECK enum tl_rc evaluate_lease_encode(const struct store_job *job, int lease_s, struct tl_buf *buf,
                                               struct tl_err *err);

/* What a job asks for. */
struct evaluate_asked {
    uint32_t metrics; /* bit m */
    size_t n;
    char archs[EVALUATE_ARCHS_MAX][TL_HASH_TEXT];
};
TL_MUST_CHECK enum tl_rc evaluate_asked_decode(struct store_bytes work, struct evaluate_asked *ret_asked,
                                               struct tl_err *err);

/* What a worker answers. */
struct evaluate_answer {
    bool there; /* the call carries values, maybe none */
    size_t n;
    struct evaluate_row {
        char arch[TL_HASH_TEXT];
        uint32_t given;              /* bit m */
        double values[METRIC_COUNT]; /* NAN: null, it cannot be valued */
    } rows[EVALUATE_ARCHS_MAX];
};
/* Read a body of POST /jobs/{id}:complete. TL_INVALID, with pointers: a value that is neither null nor a number its metric
 * can have, an architecture twice. */
TL_MUST_CHECK enum tl_rc complete_call_decode(const char *json, size_t n, struct agent_call *ret_call,
                                              struct evaluate_answer *ret_answer, struct tl_err *err);
/* Is it an answer to what was asked: each architecture once, with each metric and no other? TL_INVALID says where not. */
TL_MUST_CHECK enum tl_rc evaluate_answer_check(const struct evaluate_answer *answer, const struct evaluate_asked *asked,
                                               struct tl_err *err);

#endif
