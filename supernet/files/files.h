/* files.h - model files from outside: safetensors, once-for-all's net.config. Everything is bounded and distrusted.
 */
#ifndef TAILOR_FILES_H
#define TAILOR_FILES_H

#include "supernet/network.h"

enum { ST_TENSORS_MAX = 4096, ST_RANK_MAX = 8 };

/* One tensor of a safetensors file; `data` borrowed from the bytes that were opened. */
struct st_tensor {
    const char *name;
    const char *dtype; /* "F32", "F16", "I64", ... */
    size_t rank;
    size_t shape[ST_RANK_MAX];
    const void *data;
    size_t n_bytes;
};

/* A safetensors file in memory: u64 little-endian header length, JSON header, buffer. */
struct safetensors;

/* Check the whole file (header within it and at most 16 MiB, offsets ascending without gap or overlap up to the end, shape x dtype
 * equal to the bytes, no duplicate names). `bytes` is borrowed until st_free. TL_MALFORMED says what is wrong where. */
TL_MUST_CHECK enum tl_rc st_open(const void *bytes, size_t n, struct safetensors **ret_file, struct tl_err *err);
void st_free(struct safetensors *file);
size_t st_count(const struct safetensors *file);
const struct st_tensor *st_at(const struct safetensors *file, size_t index); /* in file order */
/* TL_NOT_FOUND names the tensor. Borrowed. */
TL_MUST_CHECK enum tl_rc st_find(const struct safetensors *file, const char *name, const struct st_tensor **ret_tensor,
                                 struct tl_err *err);
/* A float32 tensor of exactly this shape, or TL_INVALID saying what it is instead. The data may be unaligned: copy it out. */
TL_MUST_CHECK enum tl_rc st_find_f32(const struct safetensors *file, const char *name, size_t rank,
                                     const size_t *shape, const struct st_tensor **ret_tensor, struct tl_err *err);

/* Build the operators of a once-for-all net.config (algorithms: MobileNetV3 and ProxylessNAS block lists, old and new key
 * spellings) at the given image size. TL_INVALID names the JSON pointer. */
TL_MUST_CHECK enum tl_rc net_config_decode(const char *json, size_t n, unsigned image_size, struct network *ret_net,
                                           struct tl_err *err);

#endif
