/* codec_text.c - see codec_text.h. */
#include "server/codec_text.h"

json_t *text_json_time(int64_t wall_ns)
{
    char text[TL_TIME_TEXT];
    if (wall_ns == 0) {
        return json_null();
    }
    tl_time_format(wall_ns, text);
    return json_string(text);
}

json_t *text_json_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

json_t *text_json_load(struct store_bytes document)
{
    json_t *json = document.n > 0 ? json_loadb(document.data, document.n, 0, NULL) : NULL;
    return json ? json : json_object();
}
