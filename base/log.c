/* log.c - one line a message, to stderr.
 *
 * A line is put together in full and written by one write(2), so lines of several threads do not mix.
 * Threads: the level is set before threads start; tl_log may be called from any thread.
 */
#include "base/base.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

static enum tl_log_level lowest = TL_LOG_INFO;

void tl_log_level_set(enum tl_log_level level)
{
    lowest = level;
}

/* Append `text` to line[at..] with control characters escaped, leaving room for the newline; returns the new length. */
static size_t append_escaped(char line[LINE_MAX_BYTES], size_t at, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c >= 0x20 && c != 0x7f;
        size_t n = plain ? 1 : 4;
        if (n > LINE_MAX_BYTES - 1 - at) {
            break;
        }
        const char escaped[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
        memcpy(line + at, plain ? text : escaped, n);
        at += n;
    }
    return at;
}

void tl_log(enum tl_log_level level, const char *topic, const char *format, ...)
{
    static const char *const level_names[] = {"debug", "info", "warning", "error"};
    if (level < lowest) {
        return;
    }
    char message[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    char line[LINE_MAX_BYTES];
    char time_text[TL_TIME_TEXT];
    tl_time_format(tl_clock_wall_ns(), time_text);
    size_t n = append_escaped(line, 0, time_text);
    const char *const parts[] = {" ", level_names[level], " ", topic, ": ", message};
    for (size_t i = 0; i < TL_COUNT_OF(parts); i++) {
        n = append_escaped(line, n, parts[i]);
    }
    line[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written; /* there is nobody left to tell */
}
