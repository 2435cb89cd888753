/* codec_family.h - families as JSON, the form of the files in supernet/families/:
 *
 *     {"name": "ofa-mbv3-w1.0", "title": "..", "source": "..", "classes": 1000, "bn_eps": 1e-5,
 *      "resolutions": [128, .., 224],
 *      "stem": {"width": 16, "stride": 2, "act": "hswish"},
 *      "first": {"width": 16, "act": "relu"},                      optional: the fixed block after the stem
 *      "kernels": [3, 5, 7], "expands": [3, 4, 6],                 every pair of them, or in their place
 *      "choices": [{"identity": true}, {"kernel": 3, "expand": 6}],
 *      "depths": [2, 3, 4],                                        optional: of all stages that do not say otherwise
 *      "stages": [{"width": 24, "stride": 2, "act": "relu", "se": false,
 *                  "depths": [1, 2]  or  "slots": 1}, ..],         slots: all of them are used
 *      "head": {"final": 960, "feature": 1280, "act": "hswish"}}   final and feature optional
 *
 * A choice may also say "se": true, "plain": true (no residual) and, in place of "expand", "conv": true (a full
 * convolution is the whole block). "per_stage": true makes all slots of a stage hold the same choice.
 *
 * Elastic widths: "multipliers": [0.65, 0.8, 1.0] names them, and a width may then be a list of as many numbers. ResNets:
 * "block": "bottleneck" (expands are then ratios to the output, [0.2, 0.25]); a stem with "mid": 32 is deep, "depths":
 * [0, 1] makes its middle convolution a choice, "pool": true ends it with one.
 *
 * Lists rise; choices run from small to large. Threads: pure functions.
 */
#ifndef TAILOR_CODEC_FAMILY_H
#define TAILOR_CODEC_FAMILY_H

#include "base/codec_json.h"
#include "supernet/network.h"

/* Words of the files, by enum net_act and by net_family.bottleneck. */
extern const char *const net_act_names[NET_ACT_COUNT];
extern const char *const net_block_names[2];

/* New reference; NULL without memory. net_family_decode gives back an equal family. */
json_t *net_family_encode(const struct net_family *family);

/* `pointer` is where `json` stands in its document. TL_INVALID names the field; *ret_family is then as it was. */
TL_MUST_CHECK enum tl_rc net_family_decode(json_t *json, const char *pointer, struct net_family *ret_family,
                                           struct tl_err *err);

#endif
