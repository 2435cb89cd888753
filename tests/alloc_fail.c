/* alloc_fail.c - the allocation functions as the linker's --wrap redirects them; see alloc_fail.h.
 *
 * Threads: allocations of all threads are counted together.
 */
#include "alloc_fail.h"

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>

enum { RUNS_MAX = 100000 }; /* a scenario that is still failing then goes round in circles */

static atomic_size_t until_failure; /* allocations up to and with the one that fails; 0: none will */
static atomic_bool happened;

static bool fails_now(void)
{
    size_t left = atomic_load(&until_failure);
    while (left && !atomic_compare_exchange_weak(&until_failure, &left, left - 1)) {
    }
    if (left == 1) {
        atomic_store(&happened, true);
    }
    return left == 1;
}

void alloc_fail_at(size_t nth)
{
    atomic_store(&happened, false);
    atomic_store(&until_failure, nth);
}

bool alloc_fail_happened(void)
{
    return atomic_load(&happened);
}

size_t alloc_fail_each(enum tl_rc (*scenario)(void *ctx, struct tl_err *err), void *ctx)
{
    for (size_t nth = 1; nth < RUNS_MAX; nth++) {
        struct tl_err err = {0};
        alloc_fail_at(nth);
        enum tl_rc rc = scenario(ctx, &err);
        bool failed = alloc_fail_happened();
        alloc_fail_at(0);
        if (!failed) {
            if (rc || nth == 1) {
                fail_msg("with all the memory it wants: %s, %zu allocations: %s", tl_rc_title(rc), nth - 1, err.text);
            }
            return nth - 1;
        }
        if ((rc && rc != TL_NO_MEMORY) || rc != err.rc) {
            fail_msg("allocation %zu failed: %s, recorded %s: %s", nth, tl_rc_title(rc), tl_rc_title(err.rc), err.text);
        }
    }
    fail_msg("still failing after %d runs", RUNS_MAX);
    return 0;
}

/* The names are the linker's: --wrap=malloc sends malloc here, and __real_malloc is what it was. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *old, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *old, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t n)
{
    return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails_now() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *old, size_t n)
{
    return fails_now() ? NULL : __real_realloc(old, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment, n);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails_now() ? NULL : __real_strndup(text, n);
}
