/* lut_keys.h - the names by which once-for-all's latency tables know the operators of a block; reading and writing tables share it.
 *
 *     MobileNetV3's      expanded_conv-input:28x28x48-output:14x14x96-expand:144-kernel:3-stride:2-idskip:0-se:0-hs:1
 *     ProxylessNAS'      expanded_conv-input:28x28x48-output:14x14x96-expand:3-kernel:3-stride:2-idskip:0
 *
 * Sources: mit-han-lab/once-for-all, nas/efficiency_predictor; mit-han-lab/proxylessnas, latency tools. Threads: pure.
 */
#ifndef TAILOR_LATENCY_LUT_KEYS_H
#define TAILOR_LATENCY_LUT_KEYS_H

#include "latency/latency.h"

enum { LUT_KEY_MAX = 160, LUT_BLOCK_KEYS_MAX = 8 }; /* the longest key has some 130 characters; a head has four keys */

struct lut_key {
    char text[LUT_KEY_MAX];
    double share; /* of the block's time, by MACs and values written; the shares of a block sum to 1 */
};

/* The keys whose times sum up to a block's, at most LUT_BLOCK_KEYS_MAX. TL_INVALID: tables have no names for such a block. */
TL_MUST_CHECK enum tl_rc lut_block_keys(const struct network *net, size_t block, enum lat_table_style style,
                                        struct lut_key ret_keys[LUT_BLOCK_KEYS_MAX], size_t *ret_n, struct tl_err *err);

#endif
