/* codec_architecture.h - an architecture out of a file: what GET /candidates/{id}/artifacts/architecture.json gives,
 * once-for-all's {"ks": [..], "e": [..], "d": [..], "r": [..]}, or for ResNets its {"d": [..], "e": [..], "w": [..]} with
 * "r" beside them, or its net.config (told by its "blocks").
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_CODEC_ARCHITECTURE_H
#define TAILOR_CODEC_ARCHITECTURE_H

#include "supernet/network.h"

/* A net.config says no resolution: the family's largest is taken. TL_INVALID names the field: one that is none, an option
 * that the family lacks, an active variable that is not given, a layer that no network of the family has. */
TL_MUST_CHECK enum tl_rc architecture_decode(const char *json, size_t n, const struct net_family *family,
                                             struct net_pick *ret_pick, struct tl_err *err);
/* The same from a file, which failures name. */
TL_MUST_CHECK enum tl_rc architecture_load(const char *path, const struct net_family *family, struct net_pick *ret_pick,
                                           struct tl_err *err);

#endif
