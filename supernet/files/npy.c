/* npy.c - float32 arrays as numpy writes them. The format: numpy.lib.format. Threads: see files.h. */
#include "supernet/files/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[] = "\x93NUMPY";

enum { MAGIC_BYTES = 6, HEADER_MAX = 4096, ALIGN = 64 };

/* The value behind 'key': in the header's dict; NULL: none. */
static const char *value_of(const char *header, const char *key)
{
    char quoted[32];
    (void)snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(header, quoted);
    at = at ? strchr(at + strlen(quoted), ':') : NULL;
    while (at && (*at == ':' || *at == ' ')) {
        at++;
    }
    return at;
}

static enum tl_rc read_shape(const char *at, struct npy *array, struct tl_err *err)
{
    array->n = 1;
    for (at++; *at && *at != ')';) {
        char *end = NULL;
        const unsigned long long size = strtoull(at, &end, 10);
        if (end == at || array->rank == ST_RANK_MAX || size > SIZE_MAX / sizeof(float) ||
            __builtin_mul_overflow(array->n, (size_t)size, &array->n)) {
            return tl_fail(err, TL_INVALID, "the array has more than %d dimensions, or sizes that cannot be",
                           ST_RANK_MAX);
        }
        array->shape[array->rank++] = (size_t)size;
        at = end + strspn(end, ", ");
    }
    return *at == ')' ? TL_OK : tl_fail(err, TL_MALFORMED, "the shape in the .npy header does not end");
}

static enum tl_rc read_header(const char *header, struct npy *array, struct tl_err *err)
{
    const char *type = value_of(header, "descr"), *fortran = value_of(header, "fortran_order"),
               *shape = value_of(header, "shape");
    if (!type || !fortran || !shape || *shape != '(') {
        return tl_fail(err, TL_MALFORMED, "the .npy header lacks descr, fortran_order or shape");
    }
    if (strncmp(type, "'<f4'", 5) != 0) {
        return tl_fail(err, TL_INVALID,
                       "the array is of type %.12s; float32 is read: numpy.save(name, x.astype('float32'))", type);
    }
    if (strncmp(fortran, "False", 5) != 0) {
        return tl_fail(err, TL_INVALID, "the array is in Fortran order; C order is read: numpy.ascontiguousarray(x)");
    }
    return read_shape(shape, array, err);
}

enum tl_rc npy_decode(const void *bytes, size_t n, struct npy *ret_array, struct tl_err *err)
{
    const uint8_t *at = bytes;
    char header[HEADER_MAX + 1];
    struct npy array = {0};
    if (n < 12 || memcmp(at, MAGIC, MAGIC_BYTES) != 0 || (at[6] != 1 && at[6] != 2)) {
        return tl_fail(err, TL_MALFORMED, "not a .npy file of version 1 or 2; numpy.save writes one");
    }
    const size_t before = at[6] == 1 ? 10 : 12;
    const size_t len = at[6] == 1 ? (size_t)(at[8] | at[9] << 8)
                                  : (size_t)at[8] | (size_t)at[9] << 8 | (size_t)at[10] << 16 | (size_t)at[11] << 24;
    if (len > HEADER_MAX || len > n - before) {
        return tl_fail(err, TL_MALFORMED, "the .npy header claims %zu bytes", len);
    }
    memcpy(header, at + before, len);
    header[len] = '\0';
    const enum tl_rc rc = read_header(header, &array, err);
    if (rc) {
        return rc;
    }
    if (array.n != (n - before - len) / sizeof(float) || (n - before - len) % sizeof(float)) {
        return tl_fail(err, TL_MALFORMED, "the .npy shape asks for %zu numbers, and %zu bytes follow", array.n,
                       n - before - len);
    }
    if ((before + len) % sizeof(float)) {
        return tl_fail(err, TL_INVALID, "the numbers of this .npy file are not aligned; numpy.save aligns them");
    }
    array.data = (const float *)(const void *)(at + before + len);
    *ret_array = array;
    return TL_OK;
}

enum tl_rc npy_encode(const float *data, size_t rank, const size_t *shape, struct tl_buf *buf, struct tl_err *err)
{
    const size_t before = buf->len;
    char header[512];
    size_t n = 1, len = (size_t)snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (size_t i = 0; i < rank; i++) {
        len += (size_t)snprintf(header + len, sizeof header - len, "%zu,%s", shape[i], i + 1 < rank ? " " : "");
        n *= shape[i];
    }
    len += (size_t)snprintf(header + len, sizeof header - len, "), }");
    while ((MAGIC_BYTES + 4 + len + 1) % ALIGN) {
        header[len++] = ' ';
    }
    header[len++] = '\n';
    const uint8_t sizes[] = {1, 0, (uint8_t)(len & 255U), (uint8_t)(len >> 8)};
    enum tl_rc rc = tl_buf_add(buf, MAGIC, MAGIC_BYTES, err);
    rc = rc ? rc : tl_buf_add(buf, sizes, sizeof sizes, err);
    rc = rc ? rc : tl_buf_add(buf, header, len, err);
    rc = rc ? rc : tl_buf_add(buf, data, n * sizeof *data, err);
    if (rc && buf->data) {
        buf->data[buf->len = before] = '\0';
    }
    return rc;
}
