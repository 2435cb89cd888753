/* codec_token.h - tokens as JSON.
 */
#ifndef TAILOR_CODEC_TOKEN_H
#define TAILOR_CODEC_TOKEN_H

#include "storage/storage.h"

enum { TOKEN_DEVICE_TEXT = 65, TOKEN_LABEL_MAX = 100 };

struct token_request {
    bool is_agent;
    char device[TOKEN_DEVICE_TEXT]; /* an agent's; else "" */
    char label[TOKEN_LABEL_MAX + 1];
};

/* POST /tokens: {"kind": "agent", "device", "label"?} or {"kind": "client", "label"}. */
TL_MUST_CHECK enum tl_rc token_request_decode(const char *json, size_t n, struct token_request *ret_request,
                                              struct tl_err *err);
/* {"id","kind","device","label","created","registered","revoked"} and, this once, the secret as "token" (NULL: without). */
TL_MUST_CHECK enum tl_rc token_encode(const struct store_token *token, const char *secret, struct tl_buf *buf,
                                      struct tl_err *err);

#endif
