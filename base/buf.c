/* buf.c - bytes that grow up to a limit, and the little-endian fields that records are made of. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MAX_BYTES = 1 << 20, FIRST_CAP_BYTES = 256 };

void tl_buf_done(struct tl_buf *buf)
{
    free(buf->data);
    *buf = (struct tl_buf){.max = buf->max};
}

void tl_buf_clear(struct tl_buf *buf)
{
    buf->len = 0;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

/* Make room for `n` more bytes and the NUL. */
static enum tl_rc reserve(struct tl_buf *buf, size_t n, struct tl_err *err)
{
    size_t max = buf->max ? buf->max : DEFAULT_MAX_BYTES;
    max = max < SIZE_MAX / 2 ? max : SIZE_MAX / 2; /* nothing below overflows */
    if (buf->len > max || n > max - buf->len) {
        return tl_fail(err, TL_TOO_LARGE, "more than the limit of %zu bytes", max);
    }
    size_t need = buf->len + n + 1;
    if (need <= buf->cap) {
        return TL_OK;
    }
    size_t cap = buf->cap <= max / 2 ? buf->cap * 2 : max + 1;
    cap = cap < FIRST_CAP_BYTES ? FIRST_CAP_BYTES : cap;
    cap = cap < need ? need : cap;
    char *data = realloc(buf->data, cap);
    if (!data) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu bytes", cap);
    }
    data[buf->len] = '\0';
    buf->data = data;
    buf->cap = cap;
    return TL_OK;
}

enum tl_rc tl_buf_add(struct tl_buf *buf, const void *data, size_t n, struct tl_err *err)
{
    enum tl_rc rc = reserve(buf, n, err);
    if (rc) {
        return rc;
    }
    if (n) {
        memcpy(buf->data + buf->len, data, n);
    }
    buf->len += n;
    buf->data[buf->len] = '\0';
    return TL_OK;
}

enum tl_rc tl_buf_addf(struct tl_buf *buf, struct tl_err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        return tl_fail(err, TL_TOO_LARGE, "text of more than 2 GiB");
    }
    enum tl_rc rc = reserve(buf, (size_t)n, err);
    if (rc) {
        return rc;
    }
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
    va_end(args);
    buf->len += (size_t)n;
    return TL_OK;
}

char *tl_buf_take(struct tl_buf *buf)
{
    char *data = buf->data ? buf->data : calloc(1, 1);
    *buf = (struct tl_buf){.max = buf->max};
    return data;
}

enum tl_rc tl_buf_put_u32(struct tl_buf *buf, uint32_t value, struct tl_err *err)
{
    uint8_t bytes[4];
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    return tl_buf_add(buf, bytes, sizeof bytes, err);
}

enum tl_rc tl_buf_put_u64(struct tl_buf *buf, uint64_t value, struct tl_err *err)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    return tl_buf_add(buf, bytes, sizeof bytes, err);
}

enum tl_rc tl_buf_put_f64(struct tl_buf *buf, double value, struct tl_err *err)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return tl_buf_put_u64(buf, bits, err);
}

struct tl_cursor tl_cursor_make(const void *data, size_t n)
{
    return (struct tl_cursor){.at = data, .left = n};
}

const void *tl_cursor_bytes(struct tl_cursor *cursor, size_t n)
{
    if (n > cursor->left) {
        cursor->failed = true;
        cursor->left = 0;
        return NULL;
    }
    const uint8_t *bytes = cursor->at;
    if (n) { /* an empty cursor may stand at NULL */
        cursor->at += n;
    }
    cursor->left -= n;
    return bytes;
}

/* The next `n` bytes as a little-endian number; 0 when fewer are left. */
static uint64_t cursor_number(struct tl_cursor *cursor, unsigned n)
{
    const uint8_t *bytes = tl_cursor_bytes(cursor, n);
    uint64_t value = 0;
    for (unsigned i = 0; bytes && i < n; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

uint32_t tl_cursor_u32(struct tl_cursor *cursor)
{
    return (uint32_t)cursor_number(cursor, 4);
}

uint64_t tl_cursor_u64(struct tl_cursor *cursor)
{
    return cursor_number(cursor, 8);
}

double tl_cursor_f64(struct tl_cursor *cursor)
{
    uint64_t bits = cursor_number(cursor, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool tl_cursor_ok(const struct tl_cursor *cursor)
{
    return !cursor->failed && cursor->left == 0;
}
