/* access.h - who may talk to the server.
 *
 *                       shows no token                      shows a client's    shows an agent's
 *     tokens required   /livez, /readyz, /version, page     everything          these, and an agent's work for its device
 *     else (loopback)   everything                          everything          likewise
 *
 * A token that is not known, or was revoked, opens nothing, also where none is asked for. One idea: digests of the valid
 * tokens are in memory, so that a request is refused by its headers and a revocation holds at once.
 *
 * Threads: any, but new and free, which belong to the owner.
 */
#ifndef TAILOR_ACCESS_H
#define TAILOR_ACCESS_H

#include "server/service.h"

struct access;

/* Read the tokens. `required`: nobody gets in without one. TL_INVALID: required, and no client has one, so that nobody
 * could make any. */
TL_MUST_CHECK enum tl_rc access_new(struct store *store, bool required, struct access **ret_access, struct tl_err *err);
void access_free(struct access *access); /* takes NULL */

/* http_config.admit. 401: a token is missing or not valid; 403: an agent's does not reach so far. */
int access_admit(struct service *service, const struct http_route *route, struct http_request *request,
                 struct tl_err *err);

/* Make a token of token->kind, device and label: *ret_id names it, *ret_secret is what its owner shows, and is kept nowhere.
 * Durable on TL_OK. TL_CONFLICT: there are too many. */
TL_MUST_CHECK enum tl_rc access_add(struct access *access, const struct store_token *token, int64_t *ret_id,
                                    char ret_secret[TL_SECRET_TEXT], struct tl_err *err);
/* For good, durable and in force on TL_OK. TL_NOT_FOUND. TL_CONFLICT: it is the last client's, and tokens are required. */
TL_MUST_CHECK enum tl_rc access_revoke(struct access *access, int64_t id, struct tl_err *err);

#endif
