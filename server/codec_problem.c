/* codec_problem.c - see codec_problem.h. */
#include "server/codec_problem.h"

#include "base/codec_json.h"

#include <string.h>

/* A sentence may quote bytes from outside that are not UTF-8, or be cut within a character: those become '?'. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    if (json) {
        return json;
    }
    char plain[sizeof((struct tl_err *)0)->text] = {0};
    for (size_t i = 0; text[i] && i + 1 < sizeof plain; i++) {
        plain[i] = text[i];
        if ((unsigned char)text[i] >= 0x80) {
            plain[i] = '?';
        }
    }
    return json_string(plain);
}

enum tl_rc problem_encode(int status, const char *title, const struct tl_err *err, struct tl_buf *buf)
{
    json_t *problem = json_pack("{s:s, s:s, s:i, s:o}", "type", "about:blank", "title", title, "status", status,
                                "detail", text_json(err->text));
    if (problem && err->pointer[0] &&
        json_object_set_new(
            problem, "errors",
            json_pack("[{s:o, s:o}]", "pointer", text_json(err->pointer), "detail", text_json(err->text))) != 0) {
        json_decref(problem);
        problem = NULL;
    }
    return tl_json_dump_take(problem, buf, NULL);
}
