/* stream.c - bytes from first to last, unpacked on the way where they are compressed. */
#include "parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum tl_rc stream_open(struct stream *stream, const char *path, uint64_t packed_max, struct tl_err *err)
{
    struct stat status;
    if (stat(path, &status)) {
        return tl_fail_sys(err, "cannot read %.300s", path);
    }
    gzFile gz = gzopen(path, "rbe");
    if (!gz) {
        return tl_fail_sys(err, "cannot open %.300s", path);
    }
    (void)gzbuffer(gz, 1 << 17);
    *stream = (struct stream){.gz = gz, .path = path, .packed = !gzdirect(gz)};
    stream->size = stream->packed ? packed_max : (uint64_t)status.st_size;
    return TL_OK;
}

void stream_done(struct stream *stream)
{
    if (stream->gz) {
        (void)gzclose(stream->gz);
    }
    *stream = (struct stream){0};
}

static enum tl_rc unpacks_too_far(const struct stream *stream, struct tl_err *err)
{
    return tl_fail(err, TL_TOO_LARGE, "%.300s unpacks to more than %llu bytes; unpack it first", stream->path,
                   (unsigned long long)stream->size);
}

static enum tl_rc read_gz(struct stream *stream, uint8_t *bytes, size_t n, size_t *ret_got, struct tl_err *err)
{
    size_t sum = 0;
    while (sum < n) {
        const size_t left = n - sum;
        const int got = gzread(stream->gz, bytes + sum, left > 1 << 30 ? 1U << 30 : (unsigned)left);
        int code = Z_OK;
        const char *why = gzerror(stream->gz, &code);
        if (got < 0 || code < Z_OK) {
            return tl_fail(err, TL_MALFORMED, "%.300s cannot be unpacked: %s", stream->path,
                           code == Z_BUF_ERROR ? "it was cut off" : why);
        }
        if (got == 0) {
            break;
        }
        sum += (size_t)got;
    }
    *ret_got = sum;
    return TL_OK;
}

enum tl_rc stream_read(struct stream *stream, void *bytes, size_t n, size_t *ret_got, struct tl_err *err)
{
    size_t got = n;
    if (stream->packed && n > stream->size - stream->at) {
        return unpacks_too_far(stream, err);
    }
    if (stream->gz) {
        const enum tl_rc rc = read_gz(stream, bytes, n, &got, err);
        if (rc) {
            return rc;
        }
    } else {
        got = stream->size - stream->at < n ? (size_t)(stream->size - stream->at) : n;
        if (got) {
            memcpy(bytes, stream->memory + stream->at, got);
        }
    }
    stream->at += got;
    *ret_got = got;
    return TL_OK;
}

enum tl_rc stream_skip(struct stream *stream, uint64_t n, struct tl_err *err)
{
    if (n > stream->size - stream->at) {
        return stream->packed
                   ? unpacks_too_far(stream, err)
                   : tl_fail(err, TL_MALFORMED, "%.300s was cut off: its last member is not whole", stream->path);
    }
    if (stream->gz && n && gzseek(stream->gz, (z_off_t)n, SEEK_CUR) < 0) {
        return tl_fail(err, TL_MALFORMED, "%.300s cannot be unpacked", stream->path);
    }
    stream->at += n;
    return TL_OK;
}

/* Inflate all that is left into `out`, enlarging it up to `max`. */
static enum tl_rc inflate_all(z_stream *z, struct tl_buf *out, const struct catalogue *catalogue, const char *name,
                              struct tl_err *err)
{
    int code = Z_OK;
    while (code != Z_STREAM_END) {
        uint8_t some[16384];
        z->next_out = some;
        z->avail_out = sizeof some;
        code = inflate(z, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END) {
            return tl_fail(err, TL_MALFORMED, WHO_F "cannot be unpacked: %s", WHO(catalogue, name),
                           code == Z_BUF_ERROR ? "it was cut off" : "the data is damaged");
        }
        if (sizeof some - z->avail_out > out->max - out->len) {
            return tl_fail(err, TL_TOO_LARGE, WHO_F "unpacks to more than %zu bytes", WHO(catalogue, name), out->max);
        }
        const enum tl_rc rc = tl_buf_add(out, some, sizeof some - z->avail_out, err);
        if (rc) {
            return rc;
        }
    }
    return TL_OK;
}

enum tl_rc gunzip(const uint8_t *packed, size_t packed_n, size_t max, const struct catalogue *catalogue,
                  const char *name, uint8_t **ret_bytes, size_t *ret_n, struct tl_err *err)
{
    z_stream z = {0};
    TL_AUTO(tl_buf) out = {.max = max};
    if (packed_n > UINT32_MAX) {
        return tl_fail(err, TL_TOO_LARGE, WHO_F "%zu bytes; unpack it first", WHO(catalogue, name), packed_n);
    }
    if (inflateInit2(&z, 15 + 16) != Z_OK) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to unpack");
    }
    union {
        const uint8_t *in;
        z_const Bytef *z_in;
    } bytes = {.in = packed}; /* zlib only reads, but says so only with ZLIB_CONST */
    z.next_in = bytes.z_in;
    z.avail_in = (uInt)packed_n;
    const enum tl_rc rc = inflate_all(&z, &out, catalogue, name, err);
    (void)inflateEnd(&z);
    if (rc) {
        return rc;
    }
    const size_t n = out.len;
    char *bytes_out = tl_buf_take(&out);
    if (!bytes_out) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to unpack");
    }
    *ret_bytes = (uint8_t *)bytes_out;
    *ret_n = n;
    return TL_OK;
}
