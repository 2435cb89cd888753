/* codec_network.h - operator lists as JSON, as jobs carry them to agents.
 *
 *     {"resolution": 224,
 *      "ops": [{"kind": "conv", "in": [224,224,3], "out": [112,112,16], "k": 3, "s": 2, "act": "hswish",
 *               "bn": true}, ...,
 *              {"kind": "se", "in": [28,28,72], "out": [28,28,72], "hidden": 24}, ...,
 *              {"kind": "add", "in": [28,28,40], "out": [28,28,40], "skip_from": 12}, ...],
 *      "blocks": [{"n_ops": 1, "stage": -1, "slot": -1}, ...]}
 *
 * Shapes are height, width, channels. Left out: k 1, s 1, act "none", bn and bias false. The blocks cut the operators,
 * in order.
 */
#ifndef TAILOR_CODEC_NETWORK_H
#define TAILOR_CODEC_NETWORK_H

#include "base/codec_json.h"
#include "supernet/network.h"

/* New reference; NULL when memory is out. */
json_t *net_encode(const struct network *net);

/* Read and net_check. Errors point below `pointer`. */
TL_MUST_CHECK enum tl_rc net_decode(json_t *json, const char *pointer, struct network *ret_net, struct tl_err *err);

#endif
