/* admit_search.h - what a search asks for, tied to what exists before it is stored: the space, the devices, a model for every
 * metric, and limits within reach.
 *
 * Threads: a struct admission belongs to one thread.
 */
#ifndef TAILOR_ADMIT_SEARCH_H
#define TAILOR_ADMIT_SEARCH_H

#include "server/codec_search.h"
#include "server/first_answer.h"
#include "server/service.h"
#include "server/snapshots.h"

struct admission {
    struct search_request request; /* the caller's; what it left open is filled in */
    struct snapshot snapshot;      /* the one that was named, or what is current */
    struct metric_range ranges[COLUMNS_MAX];
    struct limits_together together;
    char warning[240];         /* "": none */
    struct first_answer first; /* the caller's (first_answer_find) */
};

void admission_done(struct admission *admission);

/* Of admission->request, all else zero. TL_INVALID with a pointer into the body; where *ret_out_of_reach, it is a limit, and
 * ranges and together say what can be reached. */
TL_MUST_CHECK enum tl_rc admit_search(struct service *service, struct admission *admission, bool *ret_out_of_reach,
                                      struct tl_err *err);

#endif
