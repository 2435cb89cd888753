/* seen.c - two sets of 64-bit hashes; a hash of two architectures costs no more than one of them. */
#include "search/seen.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * SEEN_YOUNG_MAX }; /* half full at most */

static uint64_t hash_of(const struct seen *seen, const uint8_t *canonical)
{
    uint64_t hash = 0x9e3779b97f4a7c15U;
    for (size_t i = 0; i < seen->space->n_variables; i++) {
        hash = (hash ^ canonical[i]) * 0xbf58476d1ce4e5b9U;
        hash ^= hash >> 29;
    }
    return hash == 0 ? 1 : hash;
}

/* An ordered hash table (Amble and Knuth 1974): along a probe the hashes fall, so the places follow from the members
 * alone, not from the order in which they came, and a state is the same bytes however often it was restored. */
static bool set_has(const uint64_t *set, uint64_t hash)
{
    size_t place = hash % SLOTS;
    while (set[place] > hash) {
        place = (place + 1) % SLOTS;
    }
    return set[place] == hash;
}

/* `hash` is not there. */
static void set_add(uint64_t *set, uint64_t hash)
{
    for (size_t place = hash % SLOTS; hash != 0; place = (place + 1) % SLOTS) {
        if (set[place] < hash) {
            const uint64_t smaller = set[place]; /* 0: a free place, and the end */
            set[place] = hash;
            hash = smaller;
        }
    }
}

enum tl_rc seen_init(struct seen *seen, const struct space *space, struct tl_err *err)
{
    *seen = (struct seen){
        .space = space, .young = calloc(SLOTS, sizeof *seen->young), .old = calloc(SLOTS, sizeof *seen->old)};
    return seen->young && seen->old ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for what was seen");
}

void seen_done(struct seen *seen)
{
    free(seen->young);
    free(seen->old);
    *seen = (struct seen){0};
}

bool seen_has(const struct seen *seen, const uint8_t *canonical)
{
    const uint64_t hash = hash_of(seen, canonical);
    return set_has(seen->young, hash) || set_has(seen->old, hash);
}

bool seen_has_genes(const struct seen *seen, const uint8_t *genes)
{
    uint8_t arch[SPACE_VARIABLES_MAX];
    memcpy(arch, genes, seen->space->n_variables);
    space_canonical(seen->space, arch);
    return seen_has(seen, arch);
}

static void add_young(struct seen *seen, uint64_t hash)
{
    set_add(seen->young, hash);
    if (++seen->n_young == SEEN_YOUNG_MAX) {
        uint64_t *old = seen->old;
        seen->old = seen->young;
        seen->young = old;
        memset(old, 0, SLOTS * sizeof *old);
        seen->n_old = seen->n_young;
        seen->n_young = 0;
    }
}

bool seen_add(struct seen *seen, const uint8_t *canonical)
{
    const bool is_new = !seen_has(seen, canonical);
    if (is_new) {
        add_young(seen, hash_of(seen, canonical));
    }
    return is_new;
}

/* ---- state: the hashes of both sets, in the order of their places ---------------------------------------------- */

static enum tl_rc save_set(const uint64_t *set, size_t n, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)n, err);
    for (size_t i = 0; n > 0 && rc == TL_OK; i++) {
        if (set[i] != 0) {
            rc = tl_buf_put_u64(buf, set[i], err);
            n--;
        }
    }
    return rc;
}

static bool load_set(uint64_t *set, size_t n_max, size_t *ret_n, struct tl_cursor *state)
{
    const size_t n = tl_cursor_u32(state);
    for (size_t i = 0; i < n && n <= n_max; i++) {
        const uint64_t hash = tl_cursor_u64(state);
        if (state->failed || hash == 0 || set_has(set, hash)) {
            return false;
        }
        set_add(set, hash);
    }
    *ret_n = n <= n_max ? n : 0;
    return !state->failed && n <= n_max;
}

enum tl_rc seen_save(const struct seen *seen, struct tl_buf *buf, struct tl_err *err)
{
    const enum tl_rc rc = save_set(seen->young, seen->n_young, buf, err);
    return rc ? rc : save_set(seen->old, seen->n_old, buf, err);
}

bool seen_load(struct seen *seen, struct tl_cursor *state)
{
    return load_set(seen->young, SEEN_YOUNG_MAX - 1, &seen->n_young, state) &&
           load_set(seen->old, SEEN_YOUNG_MAX, &seen->n_old, state);
}
