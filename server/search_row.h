/* search_row.h - one search as the worker threads hold it: a copy of its row, decoded, changed in memory, saved when its
 * revision still stands.
 *
 * Threads: a row belongs to one thread.
 */
#ifndef TAILOR_SEARCH_ROW_H
#define TAILOR_SEARCH_ROW_H

#include "server/codec_search.h"
#include "server/service.h"

enum { STATE_TEXT = 24 };

struct search_row {
    char id[TL_UUID_TEXT];
    char space[65];
    char device[DEVICES_TEXT]; /* of several their names joined by commas; "": none */
    char state[STATE_TEXT], outcome[STATE_TEXT];
    char snapshot[TL_HASH_TEXT];
    int64_t created_ns, updated_ns, finished_ns, evaluations, revision;
    struct search_request request;
    struct search_progress progress;
    struct tl_buf checkpoint; /* owned */
};

void search_row_done(struct search_row *row);

/* A store_search_fn: copies the visited row into ctx, a struct search_row (released first). */
TL_MUST_CHECK enum tl_rc search_row_copy(void *ctx, const struct store_search *search, struct tl_err *err);
/* Read one by id, in a read of its own. */
TL_MUST_CHECK enum tl_rc search_row_get(struct store *store, const char *id, struct search_row *ret_row,
                                        struct tl_err *err);

/* Inside store_write: write state, outcome, progress and, where not NULL, checkpoint and result; add an event of this kind.
 * TL_CONFLICT: the row was changed since (cancelled). On TL_OK row->revision is the new one. */
TL_MUST_CHECK enum tl_rc search_row_save(struct store_tx *tx, struct search_row *row, const struct tl_buf *checkpoint,
                                         const struct tl_buf *result, const char *event, struct tl_err *err);
/* The same in a write of its own, without checkpoint and result. */
TL_MUST_CHECK enum tl_rc search_row_store(struct store *store, struct search_row *row, const char *event,
                                          struct tl_err *err);

/* Set state and message (printf). */
void search_row_state(struct search_row *row, const char *state, const char *format, ...) TL_PRINTF(3, 4);
/* Terminal: state, outcome, finished time. */
void search_row_finish(struct search_row *row, const char *state, const char *outcome);

/* The lowest latency_ms maximum of a device in a request; HUGE_VAL: none. */
double search_request_limit_ms(const struct search_request *request, size_t device);

#endif
