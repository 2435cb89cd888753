/* codec_architecture.h - an architecture out of a file: what GET /candidates/{id}/artifacts/architecture.json gives, or
 * once-for-all's {"ks": [..], "e": [..], "d": [..], "r": [..]}, or for ResNets its {"d": [..], "e": [..], "w": [..]} with
 * "r" beside them.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_CODEC_ARCHITECTURE_H
#define TAILOR_CODEC_ARCHITECTURE_H

#include "supernet/network.h"

/* TL_INVALID names the field: an option that the family lacks, an active variable that is not given. */
TL_MUST_CHECK enum tl_rc architecture_decode(const char *json, size_t n, const struct net_family *family,
                                             struct net_pick *ret_pick, struct tl_err *err);
TL_MUST_CHECK enum tl_rc architecture_load(const char *path, const struct net_family *family, struct net_pick *ret_pick,
                                           struct tl_err *err);

#endif
