/* codec_device.h - devices as JSON: what an agent registers, what GET /devices shows.
 */
#ifndef TAILOR_CODEC_DEVICE_H
#define TAILOR_CODEC_DEVICE_H

#include "storage/storage.h"

enum { DEVICE_NAME_TEXT = 65, DEVICE_REASON_TEXT = 201 };

struct job_counts;

struct device_request {
    char name[DEVICE_NAME_TEXT];
    char agent_key[TL_HASH_TEXT];
    struct tl_buf info; /* owned; a JSON object of texts, numbers, booleans and nulls */
};

/* Read a body of POST /devices. */
TL_MUST_CHECK enum tl_rc device_request_decode(const char *json, size_t n, struct device_request *ret_request,
                                               struct tl_err *err);
void device_request_done(struct device_request *request);

/* Read a body of POST /devices/{name}:drain: nothing, or {"reason"}. */
TL_MUST_CHECK enum tl_rc device_drain_decode(const char *json, size_t n, char ret_reason[DEVICE_REASON_TEXT],
                                             struct tl_err *err);

/* A device is a machine with a runtime: TL_CONFLICT, with the field, where the request has another runtime (its version
 * may change), number of threads, batch or number type than the device's info. What either does not say is no conflict. */
TL_MUST_CHECK enum tl_rc device_request_same(const struct device_request *request, struct store_bytes info,
                                             struct tl_err *err);

/* Is it a pool of workers ("worker": true): programs that share the name, value architectures and measure nothing? */
bool device_info_worker(struct store_bytes info);

/* The document of one device, collected piece by piece. */
struct device_document;
TL_MUST_CHECK enum tl_rc device_document_new(const struct store_device *device, bool online,
                                             struct device_document **ret_document, struct tl_err *err);
void device_document_free(struct device_document *document);              /* takes NULL */
const char *device_document_name(const struct device_document *document); /* borrowed */
/* Add a latency model that is current on the device. */
TL_MUST_CHECK enum tl_rc device_document_model(struct device_document *document, const struct store_model *model,
                                               struct tl_err *err);
/* all: of the device; profile: those of kind profile. */
TL_MUST_CHECK enum tl_rc device_document_jobs(struct device_document *document, const struct job_counts *all,
                                              const struct job_counts *profile, struct tl_err *err);
TL_MUST_CHECK enum tl_rc device_document_encode(const struct device_document *document, struct tl_buf *buf,
                                                struct tl_err *err);

#endif
