#include "server/codec_latency.h"
#include "base/codec_json.h"
#include <math.h>

enum tl_rc latency_info_encode(const char *source, const struct lat_error *error, size_t n_measurements,
                               struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_exact_take(
        json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:I}", "source", source, "networks", (json_int_t)error->n_networks,
                  "blocks", (json_int_t)error->n_blocks, "mape", tl_json_number(error->mape), "spearman",
                  tl_json_number(error->spearman), "half_width", tl_json_number(error->half_width), "measurements",
                  (json_int_t)n_measurements),
        buf, err);
}

void latency_info_decode(struct store_bytes info, double *ret_mape, size_t *ret_measurements)
{
    json_t *json = json_loadb(info.data, info.n, 0, NULL);
    const json_t *mape = json_object_get(json, "mape");

    *ret_mape = json_is_number(mape) ? json_number_value(mape) : (double)NAN;
    *ret_measurements = (size_t)json_integer_value(json_object_get(json, "measurements"));
    json_decref(json);
}
