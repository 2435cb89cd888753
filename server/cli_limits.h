/* cli_limits.h - limits given as a share of what can be reached: 40% lies that far from the minimum to the maximum.
 */
#ifndef TAILOR_CLI_LIMITS_H
#define TAILOR_CLI_LIMITS_H

#include "server/cli.h"
#include "server/codec_search.h"

/* Turn every bound with shares[i] set (per cent) into a number, by asking the server for the ranges of the request's space and
 * device; four significant digits. A latency share on a device without a model has it profiled first, with progress.
 * TL_INVALID: the metric has no range there. */
TL_MUST_CHECK enum tl_rc cli_limits_resolve(struct cli *cli, struct search_request *request,
                                            const bool shares[SEARCH_LIMITS_MAX], struct tl_err *err);

#endif
