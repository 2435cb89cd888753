/* alloc_fail.h - what does a module do when memory runs out, at every single place where it can?
 *
 * A scenario is run again and again, with its first allocation failing, then its second, until a run has none left to
 * fail. Every test program is linked so that malloc, calloc, realloc, aligned_alloc, strdup and strndup of our own
 * objects can fail; what shared libraries allocate for themselves does not.
 *
 *     static enum tl_rc a_device_is_read(void *ctx, struct tl_err *err) { ... }
 *     alloc_fail_each(a_device_is_read, NULL);
 */
#ifndef TAILOR_TESTS_ALLOC_FAIL_H
#define TAILOR_TESTS_ALLOC_FAIL_H

#include "base/base.h"

/* Runs scenario(ctx, err) with allocation 1, 2, ... failing. Each such run must return TL_NO_MEMORY with its record
 * filled, or TL_OK where it can do without; the last run, where nothing fails, must return TL_OK. The scenario releases
 * what it made and asserts what must hold after a failure; the address sanitizer sees what it lost. Fails the test
 * when the scenario allocates nothing. Returns the number of allocations that were made to fail. */
size_t alloc_fail_each(enum tl_rc (*scenario)(void *ctx, struct tl_err *err), void *ctx);

/* By hand: the nth allocation from now (1: the next one) fails, those after it succeed; 0: none does. */
void alloc_fail_at(size_t nth);

/* Did an allocation fail since alloc_fail_at? */
bool alloc_fail_happened(void);

#endif
