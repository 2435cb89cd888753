/* codec_safetensors.c - safetensors files: u64 little-endian header length, JSON header, buffer.
 *
 * One idea: the header is believed only where the bytes bear it out. Taken by offset the tensors must fill the buffer
 * exactly, each as large as shape and type say, so that no later reader checks again.
 * The format: https://huggingface.co/docs/safetensors.
 * Threads: see files.h.
 */
#include "base/codec_json.h"
#include "supernet/files/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct safetensors {
    struct tl_json header;     /* owned; names live in it */
    struct st_tensor *tensors; /* owned, in the order of the buffer */
    size_t n_tensors;
};

enum { LENGTH_BYTES = 8 };

#define METADATA "__metadata__"

static const char *const dtype_names[] = {"BOOL", "U8",  "I8",  "F8_E5M2", "F8_E4M3", "I16", "U16", "F16",
                                          "BF16", "I32", "U32", "F32",     "F64",     "I64", "U64"};
static const uint8_t dtype_bytes[] = {1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 8, 8, 8};

/* Where the header ends; the buffer begins there. */
static enum tl_rc read_length(const void *bytes, size_t n, size_t *ret_header_n, struct tl_err *err)
{
    struct tl_cursor cursor = tl_cursor_make(bytes, n);
    const uint64_t header_n = tl_cursor_u64(&cursor);

    if (n < LENGTH_BYTES) {
        return tl_fail(err, TL_MALFORMED, "a safetensors file begins with 8 bytes of header length; this one has %zu",
                       n);
    }
    if (header_n > ST_HEADER_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "the safetensors header claims %llu bytes; at most %d are read",
                       (unsigned long long)header_n, ST_HEADER_MAX);
    }
    if (header_n > n - LENGTH_BYTES) {
        return tl_fail(err, TL_MALFORMED, "the safetensors header claims %llu bytes, but the file ends after %zu",
                       (unsigned long long)header_n, n - LENGTH_BYTES);
    }
    *ret_header_n = (size_t)header_n;
    return TL_OK;
}

/* Free-form text beside the tensors: strings by name. */
static enum tl_rc check_metadata(json_t *metadata, struct tl_err *err)
{
    const char *key = NULL;
    json_t *value = NULL;

    if (!json_is_object(metadata)) {
        return tl_fail_at(err, TL_INVALID, "/__metadata__", "__metadata__ must be an object of strings");
    }
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value)) {
            return tl_fail_at(err, TL_INVALID, "/__metadata__", "__metadata__ must hold strings only");
        }
    }
    return TL_OK;
}

static enum tl_rc read_shape(struct tl_json_object *entry, struct st_tensor *tensor, struct tl_err *err)
{
    int64_t shape[ST_RANK_MAX] = {0};
    const enum tl_rc rc =
        tl_json_ints(entry, "shape", TL_REQUIRED, 0, ST_RANK_MAX, 0, INT64_MAX, shape, &tensor->rank, err);

    for (size_t i = 0; i < ST_RANK_MAX; i++) {
        tensor->shape[i] = (size_t)shape[i];
    }
    return rc;
}

/* Bytes that shape and type ask for; false when they overflow. */
static bool shape_bytes(const struct st_tensor *tensor, size_t item_bytes, size_t *ret_bytes)
{
    size_t bytes = item_bytes;

    for (size_t i = 0; i < tensor->rank; i++) {
        if (__builtin_mul_overflow(bytes, tensor->shape[i], &bytes)) {
            return false;
        }
    }
    *ret_bytes = bytes;
    return true;
}

/* The entry `name` of the header; buffer[0..buffer_n) follows the header. */
static enum tl_rc read_tensor(json_t *header, const char *name, const uint8_t *buffer, size_t buffer_n,
                              struct st_tensor *ret_tensor, struct tl_err *err)
{
    struct st_tensor tensor = {.name = name};
    struct tl_json_object top;
    struct tl_json_object entry;
    bool there = false;
    size_t dtype = 0;
    int64_t offsets[2] = {0};
    size_t n = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_object_open(&top, header, "", err)) ||
        (rc = tl_json_nested(&top, name, TL_REQUIRED, &entry, &there, err)) ||
        (rc = tl_json_choice(&entry, "dtype", TL_REQUIRED, dtype_names, TL_COUNT_OF(dtype_names), &dtype, err)) ||
        (rc = read_shape(&entry, &tensor, err)) ||
        (rc = tl_json_ints(&entry, "data_offsets", TL_REQUIRED, 2, 2, 0, INT64_MAX, offsets, &n, err)) ||
        (rc = tl_json_object_close(&entry, err))) {
        return rc;
    }
    if (offsets[0] > offsets[1] || (uint64_t)offsets[1] > buffer_n) {
        return tl_fail_at(err, TL_MALFORMED, entry.pointer,
                          "offsets %lld to %lld do not lie in the buffer of %zu bytes", (long long)offsets[0],
                          (long long)offsets[1], buffer_n);
    }
    tensor.dtype = dtype_names[dtype];
    tensor.n_bytes = (size_t)(offsets[1] - offsets[0]);
    tensor.data = buffer + offsets[0];
    if (!shape_bytes(&tensor, dtype_bytes[dtype], &n) || n != tensor.n_bytes) {
        return tl_fail_at(err, TL_MALFORMED, entry.pointer, "shape and type do not make the %zu bytes of its offsets",
                          tensor.n_bytes);
    }
    *ret_tensor = tensor;
    return TL_OK;
}

static enum tl_rc read_tensors(struct safetensors *file, const uint8_t *buffer, size_t buffer_n, struct tl_err *err)
{
    const char *name = NULL;
    json_t *value = NULL;
    enum tl_rc rc = TL_OK;

    if (!json_is_object(file->header.root)) {
        return tl_fail(err, TL_MALFORMED, "the safetensors header must be an object");
    }
    if (json_object_size(file->header.root) > ST_TENSORS_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "the safetensors file has %zu tensors; at most %d are read",
                       json_object_size(file->header.root), ST_TENSORS_MAX);
    }
    file->tensors = calloc(json_object_size(file->header.root) + 1, sizeof *file->tensors); /* + 1: there may be none */
    if (!file->tensors) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for the table of tensors");
    }
    json_object_foreach(file->header.root, name, value)
    {
        if (strcmp(name, METADATA) == 0) {
            rc = check_metadata(value, err);
        } else {
            rc = read_tensor(file->header.root, name, buffer, buffer_n, &file->tensors[file->n_tensors++], err);
        }
        if (rc) {
            return rc;
        }
    }
    return TL_OK;
}

/* By place in the buffer, the empty ones at a place first. Names are unequal, so that the order is total. */
static int compare_tensors(const void *a, const void *b)
{
    const struct st_tensor *one = a;
    const struct st_tensor *other = b;

    if (one->data != other->data) {
        return (const uint8_t *)one->data < (const uint8_t *)other->data ? -1 : 1;
    }
    if (one->n_bytes != other->n_bytes) {
        return one->n_bytes < other->n_bytes ? -1 : 1;
    }
    return strcmp(one->name, other->name);
}

/* The sorted tensors must fill the buffer. */
static enum tl_rc check_cover(const struct safetensors *file, const uint8_t *buffer, size_t buffer_n,
                              struct tl_err *err)
{
    size_t next = 0;

    for (size_t i = 0; i < file->n_tensors; i++) {
        const struct st_tensor *tensor = &file->tensors[i];
        const size_t begin = (size_t)((const uint8_t *)tensor->data - buffer);
        if (begin != next) {
            return tl_fail(err, TL_MALFORMED,
                           "tensor %.64s begins at byte %zu of the buffer; the one before ends at %zu", tensor->name,
                           begin, next);
        }
        next += tensor->n_bytes;
    }
    if (next != buffer_n) {
        return tl_fail(err, TL_MALFORMED, "the tensors end at byte %zu of a buffer of %zu", next, buffer_n);
    }
    return TL_OK;
}

static enum tl_rc read_file(struct safetensors *file, const void *bytes, size_t n, struct tl_err *err)
{
    size_t header_n = 0;
    enum tl_rc rc = read_length(bytes, n, &header_n, err);

    if (rc) {
        return rc;
    }
    const char *header = (const char *)bytes + LENGTH_BYTES;
    const uint8_t *buffer = (const uint8_t *)bytes + LENGTH_BYTES + header_n;
    const size_t buffer_n = n - LENGTH_BYTES - header_n;
    if ((rc = tl_json_parse(&file->header, header, header_n, err)) ||
        (rc = read_tensors(file, buffer, buffer_n, err))) {
        return rc;
    }
    qsort(file->tensors, file->n_tensors, sizeof *file->tensors, compare_tensors);
    return check_cover(file, buffer, buffer_n, err);
}

enum tl_rc st_open(const void *bytes, size_t n, struct safetensors **ret_file, struct tl_err *err)
{
    struct safetensors *file = calloc(1, sizeof *file);

    if (!file) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a safetensors file");
    }
    const enum tl_rc rc = read_file(file, bytes, n, err);
    if (rc) {
        st_free(file);
        return rc;
    }
    *ret_file = file;
    return TL_OK;
}

void st_free(struct safetensors *file)
{
    if (!file) {
        return;
    }
    free(file->tensors);
    tl_json_done(&file->header);
    free(file);
}

size_t st_count(const struct safetensors *file)
{
    return file->n_tensors;
}

const struct st_tensor *st_at(const struct safetensors *file, size_t index)
{
    return &file->tensors[index];
}

static const struct st_tensor *find(const struct safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}

enum tl_rc st_find(const struct safetensors *file, const char *name, const struct st_tensor **ret_tensor,
                   struct tl_err *err)
{
    const struct st_tensor *tensor = find(file, name);

    if (!tensor) {
        return tl_fail(err, TL_NOT_FOUND, "the file has no tensor %.128s", name);
    }
    *ret_tensor = tensor;
    return TL_OK;
}

/* "F32[400,128]". Cut when too long. */
static void format_shape(const char *dtype, size_t rank, const size_t *shape, char *ret_text, size_t size)
{
    size_t len = (size_t)snprintf(ret_text, size, "%s[", dtype);

    for (size_t i = 0; i < rank && len < size; i++) {
        len += (size_t)snprintf(ret_text + len, size - len, i ? ",%zu" : "%zu", shape[i]);
    }
    if (len < size) {
        (void)snprintf(ret_text + len, size - len, "]");
    }
}

enum tl_rc st_find_f32(const struct safetensors *file, const char *name, size_t rank, const size_t *shape,
                       const struct st_tensor **ret_tensor, struct tl_err *err)
{
    const struct st_tensor *tensor = find(file, name);
    char is[128];
    char wanted[128];

    if (!tensor) {
        return tl_fail(err, TL_NOT_FOUND, "the file has no tensor %.128s", name);
    }
    if (strcmp(tensor->dtype, "F32") == 0 && tensor->rank == rank &&
        (rank == 0 || memcmp(tensor->shape, shape, rank * sizeof *shape) == 0)) {
        *ret_tensor = tensor;
        return TL_OK;
    }
    format_shape(tensor->dtype, tensor->rank, tensor->shape, is, sizeof is);
    format_shape("F32", rank, shape, wanted, sizeof wanted);
    return tl_fail(err, TL_INVALID, "tensor %.128s is %s, not %s", name, is, wanted);
}

const char *st_metadata(const struct safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header.root, METADATA), key));
}

/* ---- numbers ------------------------------------------------------------------------------------------------- */

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_of_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000U) << 16, exponent = half >> 10 & 31U, rest = half & 0x3ffU;

    if (exponent == 31) {
        return float_of_bits(sign | 0x7f800000U | rest << 13);
    }
    if (exponent == 0) { /* a multiple of 2^-24 */
        const float value = (float)rest * 0x1p-24F;
        return sign ? -value : value;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | rest << 13);
}

static uint16_t half_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000U);
    const uint32_t size = bits & 0x7fffffffU;

    if (size > 0x7f800000U) {
        return (uint16_t)(sign | 0x7e00U);
    }
    if (size >= 0x477ff000U) { /* rounds beyond 65504 */
        return (uint16_t)(sign | 0x7c00U);
    }
    if (size < 0x38800000U) { /* below 2^-14: a multiple of 2^-24; the addition rounds to it */
        const float rounded = float_of_bits(size) + 0.5F; /* floats near 0.5 are 2^-24 apart */
        uint32_t rounded_bits;
        memcpy(&rounded_bits, &rounded, sizeof rounded_bits);
        return (uint16_t)(sign | (rounded_bits - 0x3f000000U));
    }
    const uint32_t odd = size >> 13 & 1U;
    return (uint16_t)(sign | (size - 0x38000000U + 0xfffU + odd) >> 13);
}

enum tl_rc st_floats(const struct st_tensor *tensor, float *ret_values, struct tl_err *err)
{
    const uint8_t *data = tensor->data;
    const bool half = strcmp(tensor->dtype, "F16") == 0, brain = strcmp(tensor->dtype, "BF16") == 0;

    if (strcmp(tensor->dtype, "F32") == 0) {
        memcpy(ret_values, data, tensor->n_bytes);
        return TL_OK;
    }
    if (!half && !brain) {
        return tl_fail(err, TL_INVALID, "tensor %.128s is %s; F32, F16 and BF16 can be read as numbers", tensor->name,
                       tensor->dtype);
    }
    for (size_t i = 0; i < tensor->n_bytes / 2; i++) {
        const uint16_t bits = (uint16_t)(data[2 * i] | data[2 * i + 1] << 8);
        ret_values[i] = half ? float_of_half(bits) : float_of_bits((uint32_t)bits << 16);
    }
    return TL_OK;
}

void st_halves(void *to, const float *values, size_t n)
{
    uint8_t *bytes = to;

    for (size_t i = 0; i < n; i++) {
        const uint16_t half = half_of_float(values[i]);
        bytes[2 * i] = (uint8_t)(half & 255U);
        bytes[2 * i + 1] = (uint8_t)(half >> 8);
    }
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static size_t dtype_size(const char *dtype)
{
    for (size_t i = 0; i < TL_COUNT_OF(dtype_names); i++) {
        if (strcmp(dtype, dtype_names[i]) == 0) {
            return dtype_bytes[i];
        }
    }
    return 0;
}

/* NULL: no memory. */
static json_t *tensor_json(const struct st_tensor *tensor, size_t offset)
{
    json_t *shape = json_array();
    bool failed = false;

    for (size_t i = 0; i < tensor->rank; i++) {
        failed = json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i])) != 0 || failed;
    }
    if (failed) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->dtype, "shape", shape, "data_offsets", (json_int_t)offset,
                     (json_int_t)offset + (json_int_t)tensor->n_bytes);
}

static enum tl_rc fill_metadata(json_t *header, const struct st_pair *metadata, size_t n, struct tl_err *err)
{
    json_t *pairs = json_object();
    bool failed = pairs == NULL || json_object_set_new(header, METADATA, pairs) != 0;

    for (size_t i = 0; i < n && !failed; i++) {
        if (json_object_get(pairs, metadata[i].key)) {
            return tl_fail(err, TL_INVALID, "%.128s stands twice in the metadata", metadata[i].key);
        }
        failed = json_object_set_new(pairs, metadata[i].key, json_string(metadata[i].value)) != 0;
    }
    return failed ? tl_fail(err, TL_NO_MEMORY, "no memory for metadata, or it is not UTF-8") : TL_OK;
}

static enum tl_rc check_tensor(const json_t *header, const struct st_tensor *tensor, struct tl_err *err)
{
    size_t bytes = 0;

    if (tensor->rank > ST_RANK_MAX || !shape_bytes(tensor, dtype_size(tensor->dtype), &bytes) ||
        bytes != tensor->n_bytes) {
        return tl_fail(err, TL_INVALID, "shape and type of tensor %.128s do not make its %zu bytes", tensor->name,
                       tensor->n_bytes);
    }
    if (json_object_get(header, tensor->name) || strcmp(tensor->name, METADATA) == 0) {
        return tl_fail(err, TL_INVALID, "tensor %.128s is there twice, or is called as the metadata is", tensor->name);
    }
    return TL_OK;
}

static enum tl_rc fill_header(json_t *header, const struct st_tensor *tensors, size_t n, const struct st_pair *metadata,
                              size_t n_metadata, struct tl_err *err)
{
    enum tl_rc rc = n_metadata > 0 ? fill_metadata(header, metadata, n_metadata, err) : TL_OK;
    size_t offset = 0;

    if (n >= ST_TENSORS_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "%zu tensors; fewer than %d are read again", n, ST_TENSORS_MAX);
    }
    for (size_t i = 0; i < n && !rc; i++) {
        rc = check_tensor(header, &tensors[i], err);
        if (!rc && json_object_set_new(header, tensors[i].name, tensor_json(&tensors[i], offset)) != 0) {
            rc = tl_fail(err, TL_NO_MEMORY, "no memory for the header of a safetensors file");
        }
        offset += tensors[i].n_bytes;
    }
    return rc;
}

/* Length, header and padding. */
static enum tl_rc add_header(const struct tl_buf *text, struct tl_buf *buf, struct tl_err *err)
{
    static const char spaces[LENGTH_BYTES] = "        ";
    const size_t padding = (LENGTH_BYTES - text->len % LENGTH_BYTES) % LENGTH_BYTES;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_buf_put_u64(buf, text->len + padding, err)) || (rc = tl_buf_add(buf, text->data, text->len, err))) {
        return rc;
    }
    return tl_buf_add(buf, spaces, padding, err);
}

enum tl_rc st_encode(const struct st_tensor *tensors, size_t n, const struct st_pair *metadata, size_t n_metadata,
                     struct tl_buf *buf, struct tl_err *err)
{
    TL_AUTO(tl_json) header = {.root = json_object()};
    TL_AUTO(tl_buf) text = {.max = ST_HEADER_MAX};
    const size_t before = buf->len;
    enum tl_rc rc = header.root ? fill_header(header.root, tensors, n, metadata, n_metadata, err)
                                : tl_fail(err, TL_NO_MEMORY, "no memory for the header of a safetensors file");

    rc = rc ? rc : tl_json_dump_take(json_incref(header.root), &text, err); /* in the order of insertion */
    rc = rc ? rc : add_header(&text, buf, err);
    for (size_t i = 0; !rc && i < n; i++) {
        rc = tl_buf_add(buf, tensors[i].data, tensors[i].n_bytes, err);
    }
    if (rc && buf->data) {
        buf->data[buf->len = before] = '\0';
    }
    return rc;
}
