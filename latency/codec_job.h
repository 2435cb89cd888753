/* codec_job.h - a leased job as JSON: what the server asks a device to time, and how.
 *
 *     {"id": UUID, "attempt": 1, "kind": "profile", "lease_s": 60, "number": 3, "total": 18,
 *      "anchor": {"subject": "...", "network": {...}},
 *      "items": [{"subject": "...", "kind": "network" | "block", "network": {...}}, ...],
 *      "protocol": {"rounds": 10, "block_ms": 60, "anchor_block_ms": 40, "min_runs": 3, "warmup_ms": 200, "threads": 1,
 *                   "batch": 1},
 *      "seed": 1}
 *
 * Networks are as in supernet/codec_network.h; an item that is a block is a network of that one block. number and total
 * (optional) place the job among those of its profile, for people who watch.
 */
#ifndef TAILOR_LATENCY_CODEC_JOB_H
#define TAILOR_LATENCY_CODEC_JOB_H

#include "base/codec_json.h"
#include "latency/latency.h"

enum { LAT_JOB_ITEMS_MAX = 32, LAT_JOB_KIND_TEXT = 65, LAT_LEASE_S_MAX = 3600, LAT_BLOCK_MS_MAX = 10000 };

struct lat_job_item {
    char subject[NET_KEY_MAX]; /* architecture id or block key; told back with the measurement */
    bool is_block;
    struct network net;
};

/* Large (16 KiB an item, on the heap). */
struct lat_job {
    char id[TL_UUID_TEXT];
    int64_t attempt;
    char kind[LAT_JOB_KIND_TEXT]; /* a name, for people */
    unsigned lease_s;
    unsigned number, total;      /* 0: not told */
    struct lat_job_item *anchor; /* owned */
    struct lat_job_item *items;  /* owned */
    size_t n_items;
    struct lat_protocol protocol;
    uint64_t seed;
};

void lat_job_done(struct lat_job *job);

/* New reference; NULL when memory is out. */
json_t *lat_job_encode(const struct lat_job *job);

/* Read strictly: TL_MALFORMED or TL_INVALID with the JSON pointer for anything that a device could not time. What is
 * read is bounded by LAT_JOB_ITEMS_MAX networks of NET_OPS_MAX operators. *ret_job is owned. */
TL_MUST_CHECK enum tl_rc lat_job_decode(const char *text, size_t n, struct lat_job *ret_job, struct tl_err *err);

/* Only which job it is, whatever else stands there: so that a device can tell the server which job it cannot do. */
TL_MUST_CHECK enum tl_rc lat_job_decode_id(const char *text, size_t n, char ret_id[TL_UUID_TEXT], int64_t *ret_attempt,
                                           struct tl_err *err);

/* Subjects: 1 to NET_KEY_MAX - 1 of [a-z0-9._-]. */
bool lat_subject_valid(const char *text);

#endif
