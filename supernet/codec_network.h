/* codec_network.h - operator lists as JSON, as jobs carry them to agents.
 *
 *     {"resolution": 224, "ops": [{"kind":"conv","act":"hswish","bn":true,"k":3,"s":2,"in":[224,224,3],"out":[112,112,16],
 *      "block":0}, {"kind":"se","hidden":24,...}, {"kind":"add","skip_from":4,...}, ...],
 *      "blocks": [{"ops":[0,1],"stage":-1,"slot":-1}, ...]}
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
