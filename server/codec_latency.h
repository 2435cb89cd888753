/* codec_latency.h - what people see of a latency model: the info of its row in the store.
 *
 *     {"source": "fitted on this device's measurements", "networks": 40, "blocks": 96, "mape": 2.1, "spearman": 0.998,
 *      "half_width": 0.04, "measurements": 136}     (null: unknown, imported)
 */
#ifndef TAILOR_CODEC_LATENCY_H
#define TAILOR_CODEC_LATENCY_H

#include "latency/latency.h"
#include "storage/storage.h"

TL_MUST_CHECK enum tl_rc latency_info_encode(const char *source, const struct lat_error *error, size_t n_measurements,
                                             struct tl_buf *buf, struct tl_err *err);
/* For comparing with what comes next: held-out error and measurements behind it. NAN and 0 where unknown. */
void latency_info_decode(struct store_bytes info, double *ret_mape, size_t *ret_measurements);

#endif
