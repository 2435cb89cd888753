/* codec_json.h - reading JSON from outside so that every refusal names the field, and nothing unknown slips through.
 *
 * A library of its own over jansson (programs that need no JSON do not link it); used by the files named codec_* alone.
 *
 *     TL_AUTO(tl_json) doc = {0};
 *     struct tl_json_object top;
 *     int64_t seed = 0;
 *     if ((rc = tl_json_parse(&doc, body, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)))
 *         return rc;
 *     if ((rc = tl_json_int(&top, "seed", TL_OPTIONAL, 0, INT64_MAX, &seed, err)) || ...
 *     return tl_json_object_close(&top, err);      // refuses fields nobody asked for, by name
 *
 * Every getter: a missing required field, a wrong type or a value out of range is TL_INVALID with the JSON pointer and a
 * sentence that says what would be right. Optional and absent: TL_OK, *ret untouched. Strings and arrays are borrowed
 * from the document. Getters chain with ||, since TL_OK is 0.
 */
#ifndef TAILOR_CODEC_JSON_H
#define TAILOR_CODEC_JSON_H

#include "base/base.h"
#include <jansson.h>

struct tl_json {
    json_t *root; /* owned */
};

enum { TL_JSON_DEPTH = 32, TL_JSON_FIELDS = 32 };
enum tl_json_need { TL_OPTIONAL, TL_REQUIRED };

/* An object being read. Remembers which fields were asked for. */
struct tl_json_object {
    json_t *json; /* borrowed */
    char pointer[128];
    const char *known[TL_JSON_FIELDS]; /* borrowed from the callers' literals */
    size_t n_known;
};

/* Parse exactly one JSON text of `n` bytes: duplicate keys, NUL characters, trailing text and nesting beyond
 * TL_JSON_DEPTH are TL_MALFORMED, with line and column. On failure doc is as it was. */
TL_MUST_CHECK enum tl_rc tl_json_parse(struct tl_json *doc, const char *text, size_t n, struct tl_err *err);
void tl_json_done(struct tl_json *doc);

/* `pointer` is where `json` stands in the document ("" for the root); copied. */
TL_MUST_CHECK enum tl_rc tl_json_object_open(struct tl_json_object *object, json_t *json, const char *pointer,
                                             struct tl_err *err);
/* TL_INVALID naming the first field that no getter asked for, with the nearest known name. */
TL_MUST_CHECK enum tl_rc tl_json_object_close(struct tl_json_object *object, struct tl_err *err);

TL_MUST_CHECK enum tl_rc tl_json_string(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                        size_t max_bytes, const char **ret_text, struct tl_err *err);
/* A tl_name_valid string. */
TL_MUST_CHECK enum tl_rc tl_json_name(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                      const char **ret_text, struct tl_err *err);
TL_MUST_CHECK enum tl_rc tl_json_hash(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                      struct tl_hash *ret_hash, struct tl_err *err);
/* One of choices[0..n-1]; *ret_index is which. A near miss is suggested. */
TL_MUST_CHECK enum tl_rc tl_json_choice(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                        const char *const *choices, size_t n_choices, size_t *ret_index,
                                        struct tl_err *err);
/* An integer in [min, max]; a real without fraction (1.0) counts. */
TL_MUST_CHECK enum tl_rc tl_json_int(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                     int64_t min, int64_t max, int64_t *ret_value, struct tl_err *err);
/* A finite number in [min, max]. */
TL_MUST_CHECK enum tl_rc tl_json_real(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                      double min, double max, double *ret_value, struct tl_err *err);
TL_MUST_CHECK enum tl_rc tl_json_bool(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                      bool *ret_value, struct tl_err *err);
/* An array of at least min_n and at most max_n elements. */
TL_MUST_CHECK enum tl_rc tl_json_array(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                       size_t min_n, size_t max_n, json_t **ret_array, struct tl_err *err);
/* A nested object, opened with its pointer. Optional and absent: *ret_there is false. */
TL_MUST_CHECK enum tl_rc tl_json_nested(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                        struct tl_json_object *ret_nested, bool *ret_there, struct tl_err *err);
/* Element `index` of an array that came from `object`'s field `name`, opened as an object. */
TL_MUST_CHECK enum tl_rc tl_json_element(const struct tl_json_object *object, const char *name, json_t *array,
                                         size_t index, struct tl_json_object *ret_element, struct tl_err *err);
/* An array of integers in [min, max], copied out; min_n..max_n of them. */
TL_MUST_CHECK enum tl_rc tl_json_ints(struct tl_json_object *object, const char *name, enum tl_json_need need,
                                      size_t min_n, size_t max_n, int64_t min, int64_t max, int64_t *ret_values,
                                      size_t *ret_n, struct tl_err *err);

/* Writing: a number that may not be finite becomes null. New reference. */
json_t *tl_json_number(double value);
/* Append the compact text of `json` (15 significant digits) to buf and release the reference. TL_NO_MEMORY when json is
 * NULL, so a chain of jansson constructors needs one check at its end. */
TL_MUST_CHECK enum tl_rc tl_json_dump_take(json_t *json, struct tl_buf *buf, struct tl_err *err);
/* The same with 17 digits and sorted keys: for stores, exports and hashes. */
TL_MUST_CHECK enum tl_rc tl_json_dump_exact_take(json_t *json, struct tl_buf *buf, struct tl_err *err);

#endif
