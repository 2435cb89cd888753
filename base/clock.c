/* clock.c - two clocks: one for durations, one for stored times. */
#include "base/base.h"

#include <stdio.h>
#include <time.h>

enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000 };

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now); /* cannot fail for these two clocks */
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t tl_clock_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t tl_clock_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void tl_time_format(int64_t wall_ns, char ret_text[TL_TIME_TEXT])
{
    int64_t seconds = wall_ns / NS_PER_S;
    int64_t ns = wall_ns % NS_PER_S;
    if (ns < 0) { /* before 1970: round towards the past */
        seconds--;
        ns += NS_PER_S;
    }
    time_t whole = (time_t)seconds;
    struct tm utc;
    gmtime_r(&whole, &utc); /* the years 1677 to 2262: cannot fail */
    char date[TL_TIME_TEXT];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(ret_text, TL_TIME_TEXT, "%.19s.%03dZ", date, (int)(ns / NS_PER_MS));
}

void tl_sleep_ns(int64_t ns)
{
    if (ns > 0) {
        struct timespec span = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
        nanosleep(&span, NULL);
    }
}
