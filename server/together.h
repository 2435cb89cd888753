/* together.h - the limits of a search taken together: each may be within reach, and no network hold them all.
 */
#ifndef TAILOR_TOGETHER_H
#define TAILOR_TOGETHER_H

#include "server/codec_search.h"
#include "server/snapshots.h"

/* Before a search: TL_INVALID at /constraints where it is certain that no network holds all limits (evaluator_impossible),
 * with *ret_together of those that make it so; unless values are a table's, accuracy is then not among them, nor latencies
 * of devices after the first, nor what workers value. Otherwise TL_OK, and *ret_together is empty. */
TL_MUST_CHECK enum tl_rc together_admit(const struct snapshot *snapshot, const struct search_request *request,
                                        struct limits_together *ret_together, struct tl_err *err);
/* The same with an evaluator at hand. */
TL_MUST_CHECK enum tl_rc together_check(struct evaluator *evaluator, const struct search_request *request,
                                        struct limits_together *ret_together, struct tl_err *err);

/* After a search that found nothing: what each limit can be where the others hold. Nothing of fewer than two, nor where workers
 * would have to be asked. */
TL_MUST_CHECK enum tl_rc together_reach(struct evaluator *evaluator, const struct search_request *request,
                                        struct limits_together *ret_together, struct tl_err *err);

/* "with the others held, macs reaches 2.1e+08, latency_ms 7.3", cut to `size`. */
void together_text(const struct devices *devices, const struct limits_together *together, char *ret_text, size_t size);

#endif
