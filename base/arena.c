/* arena.c - one block sized before work starts; large ones ask for huge pages, since networks walk through all of them. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ALIGN_BYTES = 64, /* a cache line, and the widest vector register */
    HUGE_BYTES = 2 << 20,
    LARGE_BYTES = 2 * HUGE_BYTES,
};

size_t tl_arena_room(size_t n)
{
    return n > SIZE_MAX - (ALIGN_BYTES - 1) ? SIZE_MAX : (n + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
}

enum tl_rc tl_arena_init(struct tl_arena *arena, size_t size, struct tl_err *err)
{
    const size_t room = tl_arena_room(size ? size : 1), align = room < LARGE_BYTES ? ALIGN_BYTES : HUGE_BYTES;
    const bool fits = room <= SIZE_MAX - align;
    unsigned char *base = fits ? aligned_alloc(align, (room + align - 1) / align * align) : NULL;
    if (!base) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an arena of %zu bytes", size);
    }
    if (align == HUGE_BYTES) {
        (void)madvise(base, room, MADV_HUGEPAGE); /* advice: nothing is lost where it is not taken */
    }
    *arena = (struct tl_arena){.base = base, .size = room};
    return TL_OK;
}

void tl_arena_done(struct tl_arena *arena)
{
    free(arena->base);
    *arena = (struct tl_arena){0};
}

void *tl_arena_take(struct tl_arena *arena, size_t n)
{
    if (n > arena->size - arena->used) { /* both are multiples of the alignment: n rounded up fits as well */
        return NULL;
    }
    unsigned char *taken = arena->base + arena->used;
    arena->used += tl_arena_room(n);
    return memset(taken, 0, n);
}
