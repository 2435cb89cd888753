/* cpu.h - private to base: the part of tl_cpu_count that reads files, so that it can be tested on a made-up tree. */
#ifndef TAILOR_BASE_CPU_H
#define TAILOR_BASE_CPU_H

/* Whole processors (rounded up) that the cgroup v2 quotas of `group` and of all groups above it grant, where the
 * hierarchy is mounted at `mount`: the smallest counts. UINT_MAX: no quota. */
unsigned tl_cpu_quota(const char *mount, const char *group);

#endif
