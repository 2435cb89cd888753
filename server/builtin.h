/* builtin.h - models compiled into the program, from models/.
 */
#ifndef TAILOR_BUILTIN_H
#define TAILOR_BUILTIN_H

#include <stddef.h>

struct builtin_model {
    const char *kind; /* "accuracy" or "supernet", as in store_model */
    const char *space;
    const unsigned char *data; /* static */
    size_t n;
};

extern const struct builtin_model builtin_models[];
extern const size_t builtin_models_count;

#endif
