/* codec_token.c - see codec_token.h. */
#include "server/codec_token.h"

#include "server/codec_text.h"

#include <stdio.h>

enum tl_rc token_request_decode(const char *json, size_t n, struct token_request *ret_request, struct tl_err *err)
{
    static const char *const kinds[] = {"agent", "client"};
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    const char *device = "", *label = "";
    size_t kind = 0;
    enum tl_rc rc;
    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = tl_json_choice(&top, "kind", TL_REQUIRED, kinds, TL_COUNT_OF(kinds), &kind, err)) ||
        (kind == 0 && (rc = tl_json_name(&top, "device", TL_REQUIRED, &device, err))) ||
        (rc = tl_json_string(&top, "label", kind == 0 ? TL_OPTIONAL : TL_REQUIRED, TOKEN_LABEL_MAX, &label, err)) ||
        (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    if (kind == 1 && !label[0]) {
        return tl_fail_at(err, TL_INVALID, "/label", "must say whose token it is");
    }
    ret_request->is_agent = kind == 0;
    snprintf(ret_request->device, sizeof ret_request->device, "%s", device);
    snprintf(ret_request->label, sizeof ret_request->label, "%s", label);
    return TL_OK;
}

enum tl_rc token_encode(const struct store_token *token, const char *secret, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_take(json_pack("{s:I, s:s, s:o, s:s, s:o, s:o, s:o, s:s*}", "id", (json_int_t)token->id, "kind",
                                       token->kind, "device", text_json_or_null(token->device), "label", token->label,
                                       "created", text_json_time(token->created_ns), "registered",
                                       text_json_time(token->registered_ns), "revoked",
                                       text_json_time(token->revoked_ns), "token", secret),
                             buf, err);
}
