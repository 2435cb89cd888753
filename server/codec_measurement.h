/* codec_measurement.h - stored measurements as the API shows them. (Uploads are read by latency/codec_measurement.h.)
 */
#ifndef TAILOR_CODEC_MEASUREMENT_H
#define TAILOR_CODEC_MEASUREMENT_H

#include "latency/latency.h"
#include "storage/storage.h"

/* A row of GET /measurements; with a summary (else NULL) that of GET /measurements/{uuid}, with what was uploaded (without the
 * agent's key). reference_ms 0: the anchor's reference is not fixed, corrected_ms is null. */
TL_MUST_CHECK enum tl_rc measurement_encode(const struct store_measurement *measurement, double reference_ms,
                                            const struct lat_summary *summary, struct tl_buf *buf, struct tl_err *err);
/* The answer to an upload: {"id","verdict","reason"}. */
TL_MUST_CHECK enum tl_rc measurement_receipt_encode(const char *id, const char *verdict, const char *reason,
                                                    struct tl_buf *buf, struct tl_err *err);

#endif
