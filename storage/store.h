/* store.h - what an open store consists of; private to the room. */
#ifndef TAILOR_STORAGE_STORE_H
#define TAILOR_STORAGE_STORE_H

#include "storage/writer.h"

enum { STORE_READERS = 4 }; /* HTTP threads and workers that read at the same time */

struct store {
    char *dir;   /* owned */
    int lock_fd; /* -1: none */
    struct store_writer writer;
    struct store_tx readers[STORE_READERS];
    pthread_mutex_t lock;
    pthread_cond_t wake; /* a reader came back */
    struct store_tx *idle[STORE_READERS];
    size_t n_idle;
};

/* The path of a blob in the store that lives in `dir`. */
TL_MUST_CHECK enum tl_rc store_blob_path(const char *dir, const char *hash, struct tl_buf *ret_path,
                                         struct tl_err *err);

#endif
