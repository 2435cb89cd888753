/* codec_snapshot.h - the snapshot document: {"accuracy": hash|null, "cost_rules": "1", "device", "latency": hash|null,
 * "space", "space_id", "supernet": hash|null}, "table": hash of a space that has one, and of several devices
 * "further": [{"device", "latency": hash|null}] after the first; keys sorted, so that equal snapshots have equal bytes and one
 * hash.
 */
#ifndef TAILOR_CODEC_SNAPSHOT_H
#define TAILOR_CODEC_SNAPSHOT_H

#include "server/evaluator_columns.h"

struct snapshot_names {
    char space[65];
    struct devices devices;
    char space_id[TL_HASH_TEXT];
    char accuracy[TL_HASH_TEXT];             /* "": none */
    char latency[DEVICES_MAX][TL_HASH_TEXT]; /* of each device; "": none */
    char supernet[TL_HASH_TEXT];             /* "": none */
    char table[TL_HASH_TEXT];                /* "": none; the document then does not name it */
};

TL_MUST_CHECK enum tl_rc snapshot_names_encode(const struct snapshot_names *names, struct tl_buf *buf,
                                               struct tl_err *err);
TL_MUST_CHECK enum tl_rc snapshot_names_decode(const char *json, size_t n, struct snapshot_names *ret_names,
                                               struct tl_err *err);

#endif
