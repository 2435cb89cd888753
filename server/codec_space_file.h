/* codec_space_file.h - a space that people wrote down, as JSON:
 *
 *     {"name": "my-space", "title": "..", "source": "..",              title and source optional
 *      "variables": [
 *          {"name": "depth", "options": [2, 3, 4]},                    numbers, or names ("skip"), or
 *          {"name": "op3", "options": [{"label": "conv3x3", "number": 3}, ..],
 *           "ordered": true,                                           options rise; unsaid: if their numbers do
 *           "group": "layer 3",                                        mutated together with others of this group
 *           "active_when": {"variable": "depth", "options": [3, 4]}}], an earlier variable
 *      "forbid": [{"op1": ["skip"], "op2": ["skip"]}],                 each: what may not come together
 *      "count": "6561"}                                                optional; refused if it is not the exact number
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_CODEC_SPACE_FILE_H
#define TAILOR_CODEC_SPACE_FILE_H

#include "search/space.h"

enum { SPACE_TITLE_MAX = 200, SPACE_SOURCE_MAX = 600 };

/* The files of search/spaces/, each ended by a NUL, then an empty one. Static. CMake writes the list. */
extern const char space_file_texts[];

/* What people should know of a space; no part of its content. */
struct space_about {
    char title[SPACE_TITLE_MAX + 1], source[SPACE_SOURCE_MAX + 1];
};

/* Is this JSON meant to be such a file (it has "variables"), and not a family's? Text that cannot be read is not. */
bool space_file_is(const char *json, size_t n);

/* On TL_OK the space is finished. TL_INVALID has the pointer of the field at fault. On any failure nothing is written. */
TL_MUST_CHECK enum tl_rc space_file_decode(const char *json, size_t n, struct space *ret_space,
                                           struct space_about *ret_about, struct tl_err *err);
/* Of a finished space, in one form only: equal spaces that are told alike have equal bytes. Decoding gives the same space. */
TL_MUST_CHECK enum tl_rc space_file_encode(const struct space *space, const struct space_about *about,
                                           struct tl_buf *buf, struct tl_err *err);

#endif
