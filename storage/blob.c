/* blob.c - models, weights and artifacts as files named by the hash of their bytes.
 *
 * Threads: any. Two that put the same bytes replace one complete file by another.
 */
#include "storage/store.h"

enum tl_rc store_blob_path(const char *dir, const char *hash, struct tl_buf *ret_path, struct tl_err *err)
{
    return tl_buf_addf(ret_path, err, "%s/blobs/%s", dir, hash);
}

/* Written again even where it is there: that another thread has renamed it does not say it is durable yet. */
enum tl_rc store_blob_put(struct store *store, const void *data, size_t n, struct tl_hash *ret_hash, struct tl_err *err)
{
    struct tl_hash hash = tl_hash_of(data, n);
    char text[TL_HASH_TEXT];
    tl_hash_format(&hash, text);
    TL_AUTO(tl_buf) path = {0};
    enum tl_rc rc = store_blob_path(store->dir, text, &path, err);
    rc = rc ? rc : tl_file_write(path.data, data, n, err);
    if (!rc) {
        *ret_hash = hash;
    }
    return rc;
}

enum tl_rc store_blob_get(struct store *store, const struct tl_hash *hash, struct tl_buf *buf, struct tl_err *err)
{
    char text[TL_HASH_TEXT];
    tl_hash_format(hash, text);
    TL_AUTO(tl_buf) path = {0};
    enum tl_rc rc = store_blob_path(store->dir, text, &path, err);
    size_t len_before = buf->len;
    rc = rc ? rc : tl_file_read(path.data, buf, err);
    if (rc) {
        return rc;
    }
    struct tl_hash found = tl_hash_of(buf->data ? buf->data + len_before : "", buf->len - len_before);
    if (tl_hash_equal(&found, hash)) {
        return TL_OK;
    }
    buf->len = len_before;
    if (buf->data) {
        buf->data[len_before] = '\0';
    }
    return tl_fail(err, TL_IO, "blob %s is damaged: its bytes have another hash", text);
}
