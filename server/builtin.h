/* builtin.h - models compiled into the program, from models/.
 *
 * Threads: builtin_models_publish as store_write.
 */
#ifndef TAILOR_BUILTIN_H
#define TAILOR_BUILTIN_H

#include "storage/storage.h"

#include <stddef.h>

struct builtin_model {
    const char *kind; /* "accuracy" or "supernet", as in store_model */
    const char *space;
    const unsigned char *data; /* static */
    size_t n;
};

extern const struct builtin_model builtin_models[];
extern const size_t builtin_models_count;

/* Publish those of which the store has no model of their kind and space. */
TL_MUST_CHECK enum tl_rc builtin_models_publish(struct store *store, struct tl_err *err);

#endif
