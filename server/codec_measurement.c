/* codec_measurement.c - see codec_measurement.h. */
#include "server/codec_measurement.h"

#include "server/codec_text.h"

static json_t *summary_json(const struct lat_summary *summary)
{
    return json_pack("{s:I, s:o, s:o, s:[o, o], s:o, s:o, s:o}", "runs", (json_int_t)summary->n, "min_ms",
                     tl_json_number(summary->min_ms), "median_ms", tl_json_number(summary->median_ms),
                     "median_interval_ms", tl_json_number(summary->median_lower_ms),
                     tl_json_number(summary->median_upper_ms), "p90_ms", tl_json_number(summary->p90_ms),
                     "p90_upper_ms", tl_json_number(summary->p90_upper_ms), "mad_ms", tl_json_number(summary->mad_ms));
}

enum tl_rc measurement_encode(const struct store_measurement *measurement, double reference_ms,
                              const struct lat_summary *summary, struct tl_buf *buf, struct tl_err *err)
{
    json_t *json =
        json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "id", measurement->id,
                  "device", measurement->device, "job", text_json_or_null(measurement->job), "search",
                  text_json_or_null(measurement->search), "space", measurement->space, "subject", measurement->subject,
                  "kind", measurement->kind, "verdict", measurement->verdict, "reason",
                  text_json_or_null(measurement->reason), "late", (int)measurement->late, "created",
                  text_json_time(measurement->created_ns), "ratio", tl_json_number(measurement->ratio), "anchor_ms",
                  tl_json_number(measurement->anchor_ms), "median_ms", tl_json_number(measurement->median_ms),
                  "corrected_ms", reference_ms > 0 ? tl_json_number(measurement->ratio * reference_ms) : json_null());
    if (json && summary) {
        json_t *body = text_json_load(measurement->body);
        json_object_del(body, "agent_key"); /* a secret between agent and server */
        if (json_object_set_new(json, "summary", summary_json(summary)) || json_object_set_new(json, "body", body)) {
            json_decref(json);
            json = NULL;
        }
    }
    return tl_json_dump_take(json, buf, err);
}

enum tl_rc measurement_receipt_encode(const char *id, const char *verdict, const char *reason, struct tl_buf *buf,
                                      struct tl_err *err)
{
    return tl_json_dump_take(
        json_pack("{s:s, s:s, s:o}", "id", id, "verdict", verdict, "reason", text_json_or_null(reason)), buf, err);
}
