/* codec_snapshot.h - the snapshot document: {"accuracy": hash|null, "cost_rules": "1", "device", "latency": hash|null,
 * "space", "space_id", "supernet": hash|null}, "table" and "archive": hashes, where there is one, and of several devices
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
    char archive[TL_HASH_TEXT];              /* the same */
};

TL_MUST_CHECK enum tl_rc snapshot_names_encode(const struct snapshot_names *names, struct tl_buf *buf,
                                               struct tl_err *err);
TL_MUST_CHECK enum tl_rc snapshot_names_decode(const char *json, size_t n, struct snapshot_names *ret_names,
                                               struct tl_err *err);

/* The name of what values architectures: the hash of the document without supernet and archive. An archive is made for
 * one of these. */
TL_MUST_CHECK enum tl_rc snapshot_names_base(const struct snapshot_names *names, char ret_base[TL_HASH_TEXT],
                                             struct tl_err *err);

/* What a row says of a model of kind "archive": {"complete", "evaluations", "members", "values_of"}. */
struct archive_info {
    char base[TL_HASH_TEXT]; /* "values_of" */
    bool complete;           /* false: valued again, to be refined */
    uint64_t evaluations;    /* that it took */
    size_t n_members;
};
TL_MUST_CHECK enum tl_rc archive_info_encode(const struct archive_info *info, struct tl_buf *buf, struct tl_err *err);
/* What cannot be read is of no base. */
void archive_info_decode(const void *json, size_t n, struct archive_info *ret_info);

#endif
