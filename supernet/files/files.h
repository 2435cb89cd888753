/* files.h - model files from outside: safetensors, once-for-all's net.config.
 *
 * Every reader is a pure function of the bytes: it checks all of them before anything is handed out, and what it
 * allocates is bounded by what it read.
 *
 * Threads: an open file may be read from any thread, since nothing in it changes.
 */
#ifndef TAILOR_FILES_H
#define TAILOR_FILES_H

#include "supernet/network.h"

enum { ST_TENSORS_MAX = 4096, ST_RANK_MAX = 8, ST_HEADER_MAX = 1 << 20 /* bytes, 256 a tensor */ };

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

/* Check the whole file and give access to its tensors. `bytes` is borrowed until st_free; *ret_file is owned.
 *
 * TL_MALFORMED, TL_INVALID or TL_TOO_LARGE says what is wrong where: the header must lie within the file and be at most
 * ST_HEADER_MAX bytes of JSON without duplicate names, types known, shape x type equal to the bytes, and the tensors,
 * taken by offset, must fill the buffer without gap or overlap. */
TL_MUST_CHECK enum tl_rc st_open(const void *bytes, size_t n, struct safetensors **ret_file, struct tl_err *err);
void st_free(struct safetensors *file); /* takes NULL */
size_t st_count(const struct safetensors *file);
const struct st_tensor *st_at(const struct safetensors *file, size_t index); /* in the order of the buffer; borrowed */
/* TL_NOT_FOUND names the tensor. Borrowed. */
TL_MUST_CHECK enum tl_rc st_find(const struct safetensors *file, const char *name, const struct st_tensor **ret_tensor,
                                 struct tl_err *err);
/* A float32 tensor of exactly this shape, or TL_INVALID saying what it is instead. The data may be unaligned: copy it
 * out. */
TL_MUST_CHECK enum tl_rc st_find_f32(const struct safetensors *file, const char *name, size_t rank, const size_t *shape,
                                     const struct st_tensor **ret_tensor, struct tl_err *err);

/* The string under `key` in the file's __metadata__, borrowed; NULL: there is none. */
const char *st_metadata(const struct safetensors *file, const char *key);

/* The numbers of an F32, F16 or BF16 tensor as floats. TL_INVALID: another type. */
TL_MUST_CHECK enum tl_rc st_floats(const struct st_tensor *tensor, float *ret_values, struct tl_err *err);

/* n floats as float16, rounded to the nearest even; too large a number becomes infinite. to: 2n bytes. */
void st_halves(void *to, const float *values, size_t n);

struct st_pair {
    const char *key, *value;
};

/* Append a whole file: tensors in the order given, metadata, the header padded with spaces to whole 8 bytes. The same
 * input gives the same bytes. TL_INVALID: shape and type do not make n_bytes, or a name is there twice. TL_TOO_LARGE: a
 * header that st_open would not read. On any failure *buf is as it was, as in all that append here. */
TL_MUST_CHECK enum tl_rc st_encode(const struct st_tensor *tensors, size_t n, const struct st_pair *metadata,
                                   size_t n_metadata, struct tl_buf *buf, struct tl_err *err);

/* Append a network with its parameters as an ONNX model (IR 8, opset 17): batch norm folded, nodes and tensors named by
 * net_layer_name, input "input" (batch, c, h, w), output "logits" (batch, classes), the pairs as its metadata. The batch
 * is symbolic. A part that does not end in a classifier has its last tensor (batch, c, h, w) as the output. TL_INVALID: no
 * operators. */
TL_MUST_CHECK enum tl_rc onnx_encode(const struct network *net, const struct net_params *params,
                                     const struct st_pair *pairs, size_t n_pairs, struct tl_buf *buf,
                                     struct tl_err *err);

/* The same for one size of the batch alone, as converters and runtimes for devices like it; 0: symbolic. */
TL_MUST_CHECK enum tl_rc onnx_encode_batch(const struct network *net, const struct net_params *params, size_t batch,
                                           const struct st_pair *pairs, size_t n_pairs, struct tl_buf *buf,
                                           struct tl_err *err);

/* The same as safetensors, not folded: names of net_layer_name with .weight, .bias, .bn.weight, .bn.bias,
 * .bn.running_mean and .bn.running_var, PyTorch's shapes, float32. */
TL_MUST_CHECK enum tl_rc params_encode(const struct network *net, const struct net_params *params,
                                       const struct st_pair *pairs, size_t n_pairs, struct tl_buf *buf,
                                       struct tl_err *err);
/* Read such a file into parameters that were initialised for the network. TL_INVALID, TL_NOT_FOUND name the tensor. */
TL_MUST_CHECK enum tl_rc params_decode(const struct safetensors *file, const struct network *net,
                                       struct net_params *params, struct tl_err *err);

/* A float32 array of up to ST_RANK_MAX dimensions, as numpy's .npy (version 1 or 2, C order, little-endian). */
struct npy {
    size_t rank;
    size_t shape[ST_RANK_MAX];
    const float *data; /* borrowed from the bytes */
    size_t n;
};

/* `bytes` is borrowed, 8-byte aligned. TL_MALFORMED, TL_INVALID: what is wrong, and what numpy call would make it right. */
TL_MUST_CHECK enum tl_rc npy_decode(const void *bytes, size_t n, struct npy *ret_array, struct tl_err *err);
TL_MUST_CHECK enum tl_rc npy_encode(const float *data, size_t rank, const size_t *shape, struct tl_buf *buf,
                                    struct tl_err *err);

enum { NET_CONFIG_MAX = 1 << 18 }; /* bytes; the published ones have 10,000 */

/* Build the operators of a once-for-all net.config of `n` bytes (MobileNetV3 and ProxylessNASNets in old and new key
 * spellings, ResNets) for square images of `image_size` pixels. Fields that change no operator (dropout, momentum) are not read.
 * Stages are counted by the blocks without a shortcut, the fixed first block left out. TL_INVALID names the JSON
 * pointer; on any failure *ret_net is not written. */
TL_MUST_CHECK enum tl_rc net_config_decode(const char *json, size_t n, unsigned image_size, struct network *ret_net,
                                           struct tl_err *err);

/* How a net.config names its parts: as the published files do ("mobile_inverted_conv"), or as the later library ("conv").
 */
enum net_config_spelling { NET_CONFIG_PUBLISHED, NET_CONFIG_LATER };

/* Append a network as a net.config. net_config_decode gives the same operators back at the same image size; a published
 * file that was decoded comes back with the same fields, but for dropout rates, which are 0. TL_INVALID: the network is
 * not of that kind. */
TL_MUST_CHECK enum tl_rc net_config_encode(const struct network *net, float bn_eps, enum net_config_spelling spelling,
                                           struct tl_buf *buf, struct tl_err *err);

enum { OFA_NAME_MAX = NET_NAME_MAX + 64 };

/* Our name ("s1.b2.expand.weight", as in codec_supernet.h) for a tensor of a once-for-all checkpoint of this family; false:
 * it stands for nothing of ours (num_batches_tracked, an unknown layer). */
bool ofa_tensor_name(const struct net_family *family, const char *theirs, char ret_ours[OFA_NAME_MAX]);

#endif
