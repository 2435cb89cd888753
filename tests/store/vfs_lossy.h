/* vfs_lossy.h - a SQLite VFS, registered as "lossy", on a disk that forgets.
 *
 * What is written stays in this process's memory until it is synced; only then does it reach the file. So when the power
 * goes, what was not synced is gone: "the power goes" is either vfs_lossy_crash_after (everything fails from a seeded
 * moment on, in this process) or simply SIGKILL for the process that uses it. Whoever opens the files afterwards with the
 * default VFS sees what a real disk would have kept.
 *
 * A real disk may also keep some of the unsynced writes, whole or torn, in any order; a seed other than 0 does that.
 * File locks and the shared memory of WAL go through to the default VFS, creation and deletion of files take effect
 * at once.
 *
 * Threads: any; one lock guards everything.
 */
#ifndef TAILOR_TESTS_STORE_VFS_LOSSY_H
#define TAILOR_TESTS_STORE_VFS_LOSSY_H

#include <stdint.h>

/* Register "lossy", not as the default. Call once, before any database is opened with it. */
void vfs_lossy_register(void);

/* The calls-th write, truncation or sync from now (1: the next one) is the moment the power goes: it and everything
 * after it fails. seed 0: every unsynced write is lost; else some of them survive, whole or in part. */
void vfs_lossy_crash_after(uint64_t calls, uint64_t seed);

/* How many writes, truncations and syncs there were since the last call of vfs_lossy_crash_after or vfs_lossy_reset. */
uint64_t vfs_lossy_calls(void);

/* The power is back: forget what is in memory. Every database opened with "lossy" must have been closed. */
void vfs_lossy_reset(void);

#endif
