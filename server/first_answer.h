/* first_answer.h - what a search is answered at once: the member of its snapshot's archive that is best by the request and
 * holds every limit.
 *
 * Threads: pure but for the store's transaction.
 */
#ifndef TAILOR_FIRST_ANSWER_H
#define TAILOR_FIRST_ANSWER_H

#include "server/codec_search.h"
#include "server/snapshots.h"

struct first_answer {
    size_t n_members; /* of the archive; 0: there is no answer, and nothing else is set */
    char arch[TL_HASH_TEXT];
    uint8_t genes[SPACE_VARIABLES_MAX]; /* whole space */
    size_t width;
    double accuracy, latency_ms; /* NAN: unknown */
    struct tl_buf values;        /* owned: a candidate's, as JSON */
};

void first_answer_done(struct first_answer *answer);
/* No archive (of several devices there is none), no member that holds every limit, or metrics that workers value: TL_OK without an answer. */
TL_MUST_CHECK enum tl_rc first_answer_find(const struct snapshot *snapshot, const struct search_request *request,
                                           struct first_answer *ret_answer, struct tl_err *err);
/* Inside store_write, of a search that is stored: a candidate of role "archive" and the progress that names it as the
 * answer. */
TL_MUST_CHECK enum tl_rc first_answer_put(struct store_tx *tx, const struct first_answer *answer, const char *search,
                                          struct search_progress *progress, struct tl_err *err);

#endif
