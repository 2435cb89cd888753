/* spaces.h - every space that can be named: the families, those of search/spaces/, and what people brought, which the store
 * keeps.
 *
 * One idea: a space is immutable and few are there, so each is in memory once and for as long as the server runs; a name
 * leads to it without a read of the store.
 *
 * Threads: every function from any thread, except new and free.
 */
#ifndef TAILOR_SPACES_H
#define TAILOR_SPACES_H

#include "server/codec_space_file.h"
#include "storage/storage.h"
#include "supernet/network.h"

enum { SPACES_BROUGHT_MAX = 256 }; /* 0.1 MB each */

struct space_entry {
    struct space space;
    struct space_about about;
    const struct net_family *family; /* static; NULL: its networks cannot be built, its values come from a table */
    bool brought;                    /* kept by the store */
};

struct spaces;

/* Families first, then those that come with the program, then those of the store in the order of their arrival. */
TL_MUST_CHECK enum tl_rc spaces_new(struct store *store, struct spaces **ret_spaces, struct tl_err *err);
void spaces_free(struct spaces *spaces); /* takes NULL */

/* Borrowed as long as `spaces` lives. NULL: there is none; beyond the last one. */
const struct space_entry *spaces_find(struct spaces *spaces, const char *name);
const struct space_entry *spaces_at(struct spaces *spaces, size_t index);

/* Decode, store and make known; durable on TL_OK. *ret_new false: it was there already. TL_CONFLICT: the name is a
 * family's, or another space's. TL_TOO_LARGE: SPACES_BROUGHT_MAX are there. */
TL_MUST_CHECK enum tl_rc spaces_add(struct spaces *spaces, const char *json, size_t n,
                                    const struct space_entry **ret_entry, bool *ret_new, struct tl_err *err);

#endif
