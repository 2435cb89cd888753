/* codec_table.h - what PUT /spaces/{name}/table takes:
 *
 *     {"artifact": "<hash of the CSV, PUT as an artifact>", "source": "..",
 *      "architecture": {"digits": "ops"}                      a column with a character a variable, 0-9 then a-v, or
 *                      {"columns": {"depth": "d", "op1": "o"}},        a column a variable, with the labels of options
 *      "metrics": [{"metric": "accuracy", "column": "acc", "unit": "percent"},
 *                  {"metric": "latency_ms", "column": "lat_pi", "unit": "ms", "device": "pi", "kind": "timed"}]}
 *
 * Units: percent, fraction (accuracy); ms, s, us (latency_ms); count, M (macs, params); bytes, KB, MB (the others). The kind
 * of a latency is "timed" or "cost model".
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_CODEC_TABLE_H
#define TAILOR_CODEC_TABLE_H

#include "server/codec_space_file.h"
#include "server/evaluator_csv.h"

struct table_request {
    struct tl_hash artifact;
    char source[SPACE_SOURCE_MAX + 1];
    struct table_manifest manifest;
};

/* TL_INVALID has the pointer. On failure *ret_request is undefined. */
TL_MUST_CHECK enum tl_rc table_request_decode(const char *json, size_t n, const struct space *space,
                                              struct table_request *ret_request, struct tl_err *err);

/* The info of a table's row: {"source","artifact","rows","columns":[{"metric","column","device","kind"}]}. */
TL_MUST_CHECK enum tl_rc table_info_encode(const struct table_request *request, const struct value_table *table,
                                           struct tl_buf *buf, struct tl_err *err);

/* A manifest file with the artifact's name put in: what a client sends. */
TL_MUST_CHECK enum tl_rc table_request_complete(const char *json, size_t n, const char *artifact, struct tl_buf *buf,
                                                struct tl_err *err);

#endif
