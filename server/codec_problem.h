/* codec_problem.h - failures as application/problem+json (RFC 9457).
 *
 * Threads: from any thread.
 */
#ifndef TAILOR_CODEC_PROBLEM_H
#define TAILOR_CODEC_PROBLEM_H

#include "base/base.h"

#define PROBLEM_TYPE "application/problem+json"

/* {"type","title","status","detail"} and, where err names a field, "errors": [{"pointer","detail"}]. */
TL_MUST_CHECK enum tl_rc problem_encode(int status, const char *title, const struct tl_err *err, struct tl_buf *buf);

#endif
