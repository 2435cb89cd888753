/* Measurements from outside: what is let in can be judged, and goes out as it came in. */
/* links: tailor_latency_codec tailor_latency */
#include "fuzz.h"
#include "latency/codec_measurement.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    TL_AUTO(lat_measurement) measurement = {0};
    TL_AUTO(lat_measurement) again = {0};
    TL_AUTO(tl_buf) text = {.max = 64 << 20};
    struct lat_verdict verdict;
    struct tl_err err = {0};

    if (lat_measurement_decode((const char *)data, n, &measurement, &err)) {
        must(err.text[0] != '\0' && measurement.memory == NULL);
        return 0;
    }
    must(lat_judge(&measurement.visit, &verdict, &err) == TL_OK);
    must(isfinite(verdict.ratio) && verdict.ratio > 0 && isfinite(verdict.spread) && verdict.p90_ms > 0);
    must(lat_measurement_encode(&measurement, &text, &err) == TL_OK);
    must(lat_measurement_decode(text.data, text.len, &again, &err) == TL_OK);
    must(again.visit.rounds == measurement.visit.rounds && again.item == measurement.item);
    return 0;
}
