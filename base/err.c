/* err.c - failures as text for people.
 *
 * A record is always valid UTF-8, whatever bytes a file name or a request put into it, so that it can be sent as JSON.
 */
#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at `s` (RFC 3629: no overlong form, no surrogate); 0: there is none. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) {
        return 1;
    }
    size_t n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) { /* the NUL at the end stops here too */
            return 0;
        }
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool beyond = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    return overlong || beyond ? 0 : n;
}

static void utf8_mend(char *text)
{
    unsigned char *s = (unsigned char *)text;
    while (*s) {
        size_t n = utf8_length(s);
        if (!n) {
            *s = '?';
            n = 1;
        }
        s += n;
    }
}

TL_PRINTF(6, 0)
static void record(struct tl_err *err, enum tl_rc rc, const char *file, int line, const char *pointer,
                   const char *format, va_list args)
{
    err->rc = rc;
    err->line = line;
    err->file = file;
    snprintf(err->pointer, sizeof err->pointer, "%s", pointer ? pointer : "");
    vsnprintf(err->text, sizeof err->text, format, args);
    utf8_mend(err->pointer);
    utf8_mend(err->text);
}

enum tl_rc tl_fail_record(struct tl_err *err, enum tl_rc rc, const char *file, int line, const char *pointer,
                          const char *format, ...)
{
    if (err && err->rc == TL_OK) {
        va_list args;
        va_start(args, format);
        record(err, rc, file, line, pointer, format, args);
        va_end(args);
    }
    return rc;
}

enum tl_rc tl_fail_record_sys(struct tl_err *err, const char *file, int line, const char *format, ...)
{
    int sys = errno;
    if (err && err->rc == TL_OK) {
        va_list args;
        va_start(args, format);
        record(err, TL_IO, file, line, NULL, format, args);
        va_end(args);
        err->sys = sys;
        char reason[128];
        if (strerror_r(sys, reason, sizeof reason)) {
            snprintf(reason, sizeof reason, "error %d", sys);
        }
        size_t len = strlen(err->text);
        snprintf(err->text + len, sizeof err->text - len, ": %s", reason);
    }
    return TL_IO;
}

enum tl_rc tl_fail_in(struct tl_err *err, enum tl_rc rc, const char *path)
{
    if (err && rc != TL_OK && !strstr(err->text, path)) {
        char text[sizeof err->text];
        const size_t all = strlen(path), n = all < sizeof text / 2 ? all : sizeof text / 2;
        memcpy(text, path + all - n, n); /* of a very long path its end */
        memcpy(text + n, ": ", 2);
        memcpy(text + n + 2, err->text, sizeof text - n - 3);
        text[sizeof text - 1] = '\0';
        memcpy(err->text, text, sizeof text);
        utf8_mend(err->text);
    }
    return rc;
}

static const struct {
    int http;
    const char *title;
} results[TL_RC_COUNT] = {
    [TL_OK] = {200, "OK"},
    [TL_MALFORMED] = {400, "Malformed"},
    [TL_INVALID] = {422, "Invalid value"},
    [TL_NOT_FOUND] = {404, "Not found"},
    [TL_FORBIDDEN] = {403, "Forbidden"},
    [TL_CONFLICT] = {409, "Conflict"},
    [TL_TOO_LARGE] = {413, "Too large"},
    [TL_BUSY] = {503, "Busy"},
    [TL_UNAVAILABLE] = {503, "Unavailable"},
    [TL_IO] = {500, "Input or output failed"},
    [TL_NO_MEMORY] = {500, "Out of memory"},
};

int tl_rc_http(enum tl_rc rc)
{
    return results[rc].http;
}

const char *tl_rc_title(enum tl_rc rc)
{
    return results[rc].title;
}
