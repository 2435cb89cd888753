/* codec_supernet.h - supernets and checkpoints as safetensors files.
 *
 * Threads: pure functions.
 */
#ifndef TAILOR_CODEC_SUPERNET_H
#define TAILOR_CODEC_SUPERNET_H

#include "supernet/files/files.h"
#include "supernet/train/train.h"

/* What a supernet's file says besides weights. */
struct supernet_facts {
    float mean[3], deviation[3]; /* of the images, by channel, of values in 0 to 1 */
    const char **classes;        /* names; NULL: unknown */
    size_t n_classes;
    const char *made_by;   /* the command */
    const char *data;      /* the images' name */
    const char *plan;      /* the training's options, as one text; "" or NULL: none */
    const char *log;       /* the lines of the training's log; "" or NULL: none */
    const uint8_t *images; /* for calibrating batch norm, (n_images, side, side, 3); NULL: none */
    size_t n_images, side;
};

/* Free what supernet_decode allocated. */
void supernet_facts_done(struct supernet_facts *facts);

/* Append a supernet's file. `half`: weights as float16. With a state it is a checkpoint (float32, no images). The same
 * supernet gives the same bytes. */
TL_MUST_CHECK enum tl_rc supernet_encode(const struct supernet *net, const struct supernet_facts *facts,
                                         const struct trainer_state *state, bool half, struct tl_buf *buf,
                                         struct tl_err *err);

/* A supernet out of an opened file. Both outputs are owned. TL_INVALID names the tensor or the field that is wrong. */
TL_MUST_CHECK enum tl_rc supernet_decode(const struct safetensors *file, struct supernet **ret_net,
                                         struct supernet_facts *ret_facts, struct tl_err *err);

/* A supernet out of a once-for-all checkpoint (its state dict as safetensors): kernel matrices and running statistics
 * included. TL_NOT_FOUND, TL_INVALID name the tensor that is missing or has another shape. */
TL_MUST_CHECK enum tl_rc supernet_decode_ofa(const struct safetensors *file, const struct net_family *family,
                                             struct supernet **ret_net, struct tl_err *err);

/* Go on with a training: weights into `net`, the rest into its trainer; *ret_log (borrowed from the file): its log.
 * TL_CONFLICT: the checkpoint was made with other options than `plan`. On failure net and trainer are not to be used
 * further. */
TL_MUST_CHECK enum tl_rc checkpoint_decode(const struct safetensors *file, struct supernet *net, const char *plan,
                                           struct trainer *trainer, const char **ret_log, struct tl_err *err);

#endif
