/* codec_text.h - how stored times, texts and documents appear in answers. For codec_* files.
 *
 * New references; NULL when memory is out.
 */
#ifndef TAILOR_CODEC_TEXT_H
#define TAILOR_CODEC_TEXT_H

#include "base/codec_json.h"
#include "storage/storage.h"

json_t *text_json_time(int64_t wall_ns);             /* RFC 3339; 0 becomes null */
json_t *text_json_or_null(const char *text);         /* "" becomes null */
json_t *text_json_load(struct store_bytes document); /* what a codec stored; an empty object where there is none */

#endif
