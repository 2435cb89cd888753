/* codec_measurement.h - one measurement as JSON: raw nanoseconds of one item and its anchor, and the machine's state.
 *
 *     {"device": "rack3-pi", "agent_key": "32 hex", "job": UUID, "attempt": 1, "item": 0, "subject": "...",
 *      "kind": "network" | "block", "samples": "runs" | "means",
 *      "item_ns": [[...], ...], "anchor_ns": [[...], ...],       one block more than item_ns: anchors stand on both sides
 *      "started": "2026-11-21T06:30:00.123Z", "duration_s": 2.1,
 *      "context": {"others_cpu": 0.1, "steal": 0, "governor": null, "khz_before": null, "khz_after": null,
 *                  "temp_c_before": null, "temp_c_after": null, "load1": 0.4, "threads": 1, "isa": "avx512",
 *                  "agent": "0.1.0", "runtime": "tailor 0.1.0", "model": null}}
 *
 * What a machine does not tell is null. "samples": "means" says that every number of nanoseconds is the mean of one
 * invocation of a runner that tells no single runs (else "runs"). "model" is the hash of the file that was timed.
 */
#ifndef TAILOR_LATENCY_CODEC_MEASUREMENT_H
#define TAILOR_LATENCY_CODEC_MEASUREMENT_H

#include "base/codec_json.h"
#include "latency/latency.h"

enum { LAT_DEVICE_TEXT = 65, LAT_CONTEXT_TEXT = 33, LAT_RUNTIME_TEXT = 97 };

/* The machine around a visit, beside what the visit itself holds. NAN or "": unknown. */
struct lat_context {
    char governor[LAT_CONTEXT_TEXT];
    double temp_c_before, temp_c_after; /* the hottest thermal zone */
    double load1;                       /* the machine's load average over a minute, the agent's own work included */
    unsigned threads;
    char isa[LAT_CONTEXT_TEXT];
    char agent[LAT_CONTEXT_TEXT];   /* the agent's version */
    char runtime[LAT_RUNTIME_TEXT]; /* what ran the network: a name, a space, a version */
    char model[TL_HASH_TEXT];       /* hash of the model file; "": the runtime took the operators themselves */
};

struct lat_measurement {
    char device[LAT_DEVICE_TEXT];
    char agent_key[TL_HASH_TEXT];
    char job[TL_UUID_TEXT];
    int64_t attempt;
    size_t item; /* place in the job's items */
    char subject[NET_KEY_MAX];
    bool is_block;
    struct lat_visit visit; /* its arrays are borrowed, or lie in `memory` */
    char started[TL_TIME_TEXT];
    double duration_s; /* of the whole visit, shared with the other items of the job */
    struct lat_context context;
    void *memory; /* owned; NULL when the visit's arrays are somebody else's */
};

void lat_measurement_done(struct lat_measurement *measurement);

/* Append the body to buf. */
TL_MUST_CHECK enum tl_rc lat_measurement_encode(const struct lat_measurement *measurement, struct tl_buf *buf,
                                                struct tl_err *err);

/* Read strictly: TL_MALFORMED or TL_INVALID with the JSON pointer unless lat_judge would take the visit: LAT_ROUNDS_MIN
 * to MAX blocks, each of 1 to LAT_RUNS_MAX runs of 1 us to 1 h. *ret_measurement is owned (lat_measurement_done). */
TL_MUST_CHECK enum tl_rc lat_measurement_decode(const char *text, size_t n, struct lat_measurement *ret_measurement,
                                                struct tl_err *err);

#endif
