/* cpu.c - how many processors this process may use.
 *
 * A container on a large machine sees all processors but is granted a few: by its affinity mask, or by a cgroup quota.
 */
#define _GNU_SOURCE /* sched_getaffinity, CPU_COUNT */
#include "base/cpu.h"
#include "base/base.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* cpu.max reads "max 100000" or "quota period", both in microseconds. */
static unsigned quota_of(const char *path)
{
    TL_AUTO(tl_buf) text = {.max = 256};
    int64_t quota = 0, period = 0;
    if (tl_file_read(path, &text, NULL)) {
        return UINT_MAX;
    }
    /* NOLINTNEXTLINE(cert-err34-c): digits written by the kernel */
    if (sscanf(text.data, "%" SCNd64 " %" SCNd64, &quota, &period) != 2 || quota < 1 || period < 1) {
        return UINT_MAX;
    }
    int64_t processors = quota / period + (quota % period != 0);
    return processors < UINT_MAX ? (unsigned)processors : UINT_MAX;
}

unsigned tl_cpu_quota(const char *mount, const char *group)
{
    char above[PATH_MAX];
    snprintf(above, sizeof above, "%s", group);
    unsigned smallest = UINT_MAX;
    for (;;) {
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%s%s/cpu.max", mount, above);
        unsigned quota = quota_of(path);
        smallest = quota < smallest ? quota : smallest;
        char *slash = strrchr(above, '/');
        if (!slash) {
            return smallest;
        }
        *slash = '\0';
    }
}

/* The group of this process in the one v2 hierarchy: the line "0::/path" of /proc/self/cgroup. */
static unsigned quota_of_self(void)
{
    TL_AUTO(tl_buf) text = {.max = 65536};
    if (tl_file_read("/proc/self/cgroup", &text, NULL)) {
        return UINT_MAX;
    }
    for (char *line = text.data; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = '\0';
            return tl_cpu_quota("/sys/fs/cgroup", line + 3);
        }
    }
    return UINT_MAX;
}

unsigned tl_cpu_count(void)
{
    cpu_set_t set;
    long count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    unsigned allowed = count < 1 ? 1 : (unsigned)count;
    unsigned quota = quota_of_self();
    return quota < allowed ? quota : allowed;
}
