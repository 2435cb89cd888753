/* codec_json.c - reading JSON from outside; see codec_json.h.
 *
 * jansson's lexer overlooks allocations that fail (a string comes out cut short), so it allocates through a function
 * that remembers; installed before main, for all uses of jansson in the program.
 */
#include "base/codec_json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTER_BYTES = sizeof(((struct tl_err *)0)->pointer) };

/* ---- the document -------------------------------------------------------------------------------------------- */

static _Thread_local bool memory_ran_out;

static void *json_allocate(size_t n)
{
    void *taken = malloc(n);
    memory_ran_out = memory_ran_out || !taken;
    return taken;
}

__attribute__((constructor)) static void install_allocator(void)
{
    json_set_alloc_funcs(json_allocate, free);
}

/* Where arrays and objects first nest deeper than TL_JSON_DEPTH, seen before anything is built; n: nowhere. */
static size_t too_deep(const char *text, size_t n)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string && c == '\\') {
            i++; /* whatever is escaped does not end the string */
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '[' || c == '{') && ++depth > TL_JSON_DEPTH) {
            return i;
        } else if (!in_string && (c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return n;
}

static enum tl_rc fail_too_deep(const char *text, size_t at, struct tl_err *err)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return tl_fail(err, TL_MALFORMED, "line %zu column %zu: nested deeper than %d", line, column, TL_JSON_DEPTH);
}

enum tl_rc tl_json_parse(struct tl_json *doc, const char *text, size_t n, struct tl_err *err)
{
    size_t deep = too_deep(text, n);
    if (deep < n) {
        return fail_too_deep(text, deep, err);
    }
    json_error_t error;
    memory_ran_out = false;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (memory_ran_out) {
        json_decref(root);
        return tl_fail(err, TL_NO_MEMORY, "no memory for a JSON text of %zu bytes", n);
    }
    if (!root) {
        return tl_fail(err, TL_MALFORMED, "line %d column %d: %s", error.line, error.column, error.text);
    }
    doc->root = root;
    return TL_OK;
}

void tl_json_done(struct tl_json *doc)
{
    json_decref(doc->root);
    doc->root = NULL;
}

/* ---- pointers and sentences ---------------------------------------------------------------------------------- */

/* pointer = parent "/" name, with ~ and / escaped as RFC 6901 says; cut where it does not fit. */
static void pointer_join(char pointer[POINTER_BYTES], const char *parent, const char *name)
{
    size_t n = (size_t)snprintf(pointer, POINTER_BYTES, "%s/", parent);
    n = n < POINTER_BYTES ? n : POINTER_BYTES - 1;
    for (; *name && n + 2 < POINTER_BYTES; name++) {
        bool escaped = *name == '~' || *name == '/';
        pointer[n++] = (char)(escaped ? '~' : *name);
        if (escaped) {
            pointer[n++] = (char)(*name == '~' ? '0' : '1');
        }
    }
    pointer[n] = '\0';
}

static void pointer_index(char pointer[POINTER_BYTES], const struct tl_json_object *object, const char *name,
                          size_t index)
{
    char field[POINTER_BYTES], digits[24];
    pointer_join(field, object->pointer, name);
    snprintf(digits, sizeof digits, "%zu", index);
    pointer_join(pointer, field, digits);
}

static const char *kind_of(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static enum tl_rc fail_kind(const char *pointer, const char *wanted, const json_t *json, struct tl_err *err)
{
    return tl_fail_at(err, TL_INVALID, pointer, "must be %s, not %s", wanted, kind_of(json));
}

static enum tl_rc fail_field_kind(const struct tl_json_object *object, const char *name, const char *wanted,
                                  const json_t *json, struct tl_err *err)
{
    char pointer[POINTER_BYTES];
    pointer_join(pointer, object->pointer, name);
    return fail_kind(pointer, wanted, json, err);
}

/* ---- objects ------------------------------------------------------------------------------------------------- */

enum tl_rc tl_json_object_open(struct tl_json_object *object, json_t *json, const char *pointer, struct tl_err *err)
{
    if (!json_is_object(json)) {
        return fail_kind(pointer, "an object", json, err);
    }
    *object = (struct tl_json_object){.json = json};
    snprintf(object->pointer, sizeof object->pointer, "%s", pointer);
    return TL_OK;
}

static bool is_known(const struct tl_json_object *object, const char *name)
{
    for (size_t i = 0; i < object->n_known; i++) {
        if (strcmp(object->known[i], name) == 0) {
            return true;
        }
    }
    return false;
}

enum tl_rc tl_json_object_close(struct tl_json_object *object, struct tl_err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(object->json, name, value)
    {
        if (is_known(object, name)) {
            continue;
        }
        char pointer[POINTER_BYTES];
        pointer_join(pointer, object->pointer, name);
        const char *nearest = tl_nearest(name, object->known, object->n_known);
        return tl_fail_at(err, TL_INVALID, pointer, "unknown field \"%.80s\"%s%s%s", name,
                          nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    }
    return TL_OK;
}

/* Look a field up and remember that it was asked for. *ret_value is NULL where an optional field is absent. */
static enum tl_rc field(struct tl_json_object *object, const char *name, enum tl_json_need need, json_t **ret_value,
                        struct tl_err *err)
{
    if (!is_known(object, name)) {
        assert(object->n_known < TL_JSON_FIELDS);
        object->known[object->n_known++] = name;
    }
    json_t *value = json_object_get(object->json, name);
    if (!value && need == TL_REQUIRED) {
        char pointer[POINTER_BYTES];
        pointer_join(pointer, object->pointer, name);
        return tl_fail_at(err, TL_INVALID, pointer, "the field \"%s\" is required", name);
    }
    *ret_value = value;
    return TL_OK;
}

/* ---- strings ------------------------------------------------------------------------------------------------- */

enum tl_rc tl_json_string(struct tl_json_object *object, const char *name, enum tl_json_need need, size_t max_bytes,
                          const char **ret_text, struct tl_err *err)
{
    json_t *value = NULL;
    enum tl_rc rc = field(object, name, need, &value, err);
    if (rc || !value) {
        return rc;
    }
    if (!json_is_string(value)) {
        return fail_field_kind(object, name, "a string", value, err);
    }
    if (json_string_length(value) > max_bytes) {
        char pointer[POINTER_BYTES];
        pointer_join(pointer, object->pointer, name);
        return tl_fail_at(err, TL_INVALID, pointer, "must be at most %zu bytes, not %zu", max_bytes,
                          json_string_length(value));
    }
    *ret_text = json_string_value(value);
    return TL_OK;
}

enum tl_rc tl_json_name(struct tl_json_object *object, const char *name, enum tl_json_need need, const char **ret_text,
                        struct tl_err *err)
{
    const char *text = NULL;
    enum tl_rc rc = tl_json_string(object, name, need, SIZE_MAX, &text, err);
    if (rc || !text) {
        return rc;
    }
    if (!tl_name_valid(text)) {
        char pointer[POINTER_BYTES];
        pointer_join(pointer, object->pointer, name);
        return tl_fail_at(err, TL_INVALID, pointer,
                          "must be a name: 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
    }
    *ret_text = text;
    return TL_OK;
}

enum tl_rc tl_json_hash(struct tl_json_object *object, const char *name, enum tl_json_need need,
                        struct tl_hash *ret_hash, struct tl_err *err)
{
    const char *text = NULL;
    enum tl_rc rc = tl_json_string(object, name, need, SIZE_MAX, &text, err);
    if (rc || !text) {
        return rc;
    }
    if (!tl_hash_parse(text, ret_hash)) {
        char pointer[POINTER_BYTES];
        pointer_join(pointer, object->pointer, name);
        return tl_fail_at(err, TL_INVALID, pointer, "must be a hash: %d lower-case hexadecimal digits",
                          TL_HASH_TEXT - 1);
    }
    return TL_OK;
}

/* The refusal of a word that is none of the choices: the nearest one, or all of them. */
static enum tl_rc fail_choice(const char *pointer, const char *text, const char *const *choices, size_t n_choices,
                              struct tl_err *err)
{
    const char *nearest = tl_nearest(text, choices, n_choices);
    if (nearest) {
        return tl_fail_at(err, TL_INVALID, pointer, "\"%.64s\" is unknown; did you mean \"%s\"?", text, nearest);
    }
    char list[320] = "";
    size_t n = 0;
    for (size_t i = 0; i < n_choices && n < sizeof list; i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "%s\"%s\"", i ? ", " : "", choices[i]);
    }
    return tl_fail_at(err, TL_INVALID, pointer, "\"%.64s\" is unknown; must be one of %s", text, list);
}

enum tl_rc tl_json_choice(struct tl_json_object *object, const char *name, enum tl_json_need need,
                          const char *const *choices, size_t n_choices, size_t *ret_index, struct tl_err *err)
{
    const char *text = NULL;
    enum tl_rc rc = tl_json_string(object, name, need, SIZE_MAX, &text, err);
    if (rc || !text) {
        return rc;
    }
    for (size_t i = 0; i < n_choices; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *ret_index = i;
            return TL_OK;
        }
    }
    char pointer[POINTER_BYTES];
    pointer_join(pointer, object->pointer, name);
    return fail_choice(pointer, text, choices, n_choices, err);
}

/* ---- numbers ------------------------------------------------------------------------------------------------- */

/* The refusal of a value outside [min, max], as integers or as reals; a bound at the end of the type is not told. */
static enum tl_rc fail_int_range(const char *pointer, int64_t min, int64_t max, struct tl_err *err)
{
    if (max == INT64_MAX) {
        return tl_fail_at(err, TL_INVALID, pointer, "must be an integer of at least %" PRId64, min);
    }
    if (min == INT64_MIN) {
        return tl_fail_at(err, TL_INVALID, pointer, "must be an integer of at most %" PRId64, max);
    }
    return tl_fail_at(err, TL_INVALID, pointer, "must be an integer from %" PRId64 " to %" PRId64, min, max);
}

static enum tl_rc fail_real_range(const char *pointer, double min, double max, struct tl_err *err)
{
    if (!isfinite(max)) {
        return tl_fail_at(err, TL_INVALID, pointer, "must be a number of at least %.15g", min);
    }
    if (!isfinite(min)) {
        return tl_fail_at(err, TL_INVALID, pointer, "must be a number of at most %.15g", max);
    }
    return tl_fail_at(err, TL_INVALID, pointer, "must be a number from %.15g to %.15g", min, max);
}

static enum tl_rc read_int(const json_t *json, const char *pointer, int64_t min, int64_t max, int64_t *ret_value,
                           struct tl_err *err)
{
    int64_t value;
    if (json_is_integer(json)) {
        value = json_integer_value(json);
    } else if (json_is_real(json)) {
        double real = json_real_value(json);
        if (real != floor(real)) {
            return tl_fail_at(err, TL_INVALID, pointer, "must be an integer, not %.15g", real);
        }
        if (!(real >= -0x1p63 && real < 0x1p63)) {
            return fail_int_range(pointer, min, max, err);
        }
        value = (int64_t)real;
    } else {
        return fail_kind(pointer, "an integer", json, err);
    }
    if (value < min || value > max) {
        return fail_int_range(pointer, min, max, err);
    }
    *ret_value = value;
    return TL_OK;
}

enum tl_rc tl_json_int(struct tl_json_object *object, const char *name, enum tl_json_need need, int64_t min,
                       int64_t max, int64_t *ret_value, struct tl_err *err)
{
    json_t *value = NULL;
    enum tl_rc rc = field(object, name, need, &value, err);
    if (rc || !value) {
        return rc;
    }
    char pointer[POINTER_BYTES];
    pointer_join(pointer, object->pointer, name);
    return read_int(value, pointer, min, max, ret_value, err);
}

enum tl_rc tl_json_real(struct tl_json_object *object, const char *name, enum tl_json_need need, double min, double max,
                        double *ret_value, struct tl_err *err)
{
    json_t *value = NULL;
    enum tl_rc rc = field(object, name, need, &value, err);
    if (rc || !value) {
        return rc;
    }
    if (!json_is_number(value)) {
        return fail_field_kind(object, name, "a number", value, err);
    }
    double real = json_number_value(value);
    if (!(real >= min && real <= max)) {
        char pointer[POINTER_BYTES];
        pointer_join(pointer, object->pointer, name);
        return fail_real_range(pointer, min, max, err);
    }
    *ret_value = real;
    return TL_OK;
}

enum tl_rc tl_json_bool(struct tl_json_object *object, const char *name, enum tl_json_need need, bool *ret_value,
                        struct tl_err *err)
{
    json_t *value = NULL;
    enum tl_rc rc = field(object, name, need, &value, err);
    if (rc || !value) {
        return rc;
    }
    if (!json_is_boolean(value)) {
        return fail_field_kind(object, name, "true or false", value, err);
    }
    *ret_value = json_is_true(value);
    return TL_OK;
}

/* ---- arrays and nested objects ------------------------------------------------------------------------------- */

enum tl_rc tl_json_array(struct tl_json_object *object, const char *name, enum tl_json_need need, size_t min_n,
                         size_t max_n, json_t **ret_array, struct tl_err *err)
{
    json_t *value = NULL;
    enum tl_rc rc = field(object, name, need, &value, err);
    if (rc || !value) {
        return rc;
    }
    if (!json_is_array(value)) {
        return fail_field_kind(object, name, "an array", value, err);
    }
    size_t n = json_array_size(value);
    if (n < min_n || n > max_n) {
        char pointer[POINTER_BYTES];
        pointer_join(pointer, object->pointer, name);
        return tl_fail_at(err, TL_INVALID, pointer, "must have %zu to %zu elements, not %zu", min_n, max_n, n);
    }
    *ret_array = value;
    return TL_OK;
}

enum tl_rc tl_json_nested(struct tl_json_object *object, const char *name, enum tl_json_need need,
                          struct tl_json_object *ret_nested, bool *ret_there, struct tl_err *err)
{
    json_t *value = NULL;
    enum tl_rc rc = field(object, name, need, &value, err);
    if (rc) {
        return rc;
    }
    if (value) {
        char pointer[POINTER_BYTES];
        pointer_join(pointer, object->pointer, name);
        rc = tl_json_object_open(ret_nested, value, pointer, err);
    }
    if (!rc && ret_there) {
        *ret_there = value != NULL;
    }
    return rc;
}

enum tl_rc tl_json_element(const struct tl_json_object *object, const char *name, json_t *array, size_t index,
                           struct tl_json_object *ret_element, struct tl_err *err)
{
    char pointer[POINTER_BYTES];
    pointer_index(pointer, object, name, index);
    return tl_json_object_open(ret_element, json_array_get(array, index), pointer, err);
}

enum tl_rc tl_json_ints(struct tl_json_object *object, const char *name, enum tl_json_need need, size_t min_n,
                        size_t max_n, int64_t min, int64_t max, int64_t *ret_values, size_t *ret_n, struct tl_err *err)
{
    json_t *array = NULL;
    enum tl_rc rc = tl_json_array(object, name, need, min_n, max_n, &array, err);
    if (rc || !array) {
        return rc;
    }
    /* twice through: ret_values is written only when all of them are right */
    for (int writing = 0; writing <= 1; writing++) {
        for (size_t i = 0; i < json_array_size(array); i++) {
            char pointer[POINTER_BYTES];
            pointer_index(pointer, object, name, i);
            int64_t value;
            if ((rc = read_int(json_array_get(array, i), pointer, min, max, writing ? &ret_values[i] : &value, err))) {
                return rc;
            }
        }
    }
    *ret_n = json_array_size(array);
    return TL_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

json_t *tl_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

struct dump {
    struct tl_buf *buf; /* borrowed */
    struct tl_err *err;
    enum tl_rc rc;
};

/* jansson 2.14 goes on after a key that could not be written: the first failure is kept here. */
static int dump_some(const char *text, size_t n, void *ctx)
{
    struct dump *dump = ctx;
    if (!dump->rc) {
        dump->rc = tl_buf_add(dump->buf, text, n, dump->err);
    }
    return dump->rc ? -1 : 0;
}

static enum tl_rc dump_take(json_t *json, size_t flags, struct tl_buf *buf, struct tl_err *err)
{
    if (!json) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a JSON value");
    }
    struct dump dump = {.buf = buf, .err = err};
    size_t len_before = buf->len;
    int failed = json_dump_callback(json, dump_some, &dump, flags | JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    if (!failed && !dump.rc) {
        return TL_OK;
    }
    if (buf->data) {
        buf->len = len_before;
        buf->data[buf->len] = '\0';
    }
    return dump.rc ? dump.rc : tl_fail(err, TL_NO_MEMORY, "no memory for writing JSON");
}

enum tl_rc tl_json_dump_take(json_t *json, struct tl_buf *buf, struct tl_err *err)
{
    return dump_take(json, JSON_REAL_PRECISION(15), buf, err);
}

enum tl_rc tl_json_dump_exact_take(json_t *json, struct tl_buf *buf, struct tl_err *err)
{
    return dump_take(json, JSON_REAL_PRECISION(17) | JSON_SORT_KEYS, buf, err);
}
