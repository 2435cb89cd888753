/* codec_space.h - a space as JSON: its variables, its size, and the models there are of it.
 */
#ifndef TAILOR_CODEC_SPACE_H
#define TAILOR_CODEC_SPACE_H

#include "server/spaces.h"
#include "storage/storage.h"

/* The document of one space, collected piece by piece. */
struct space_document;
TL_MUST_CHECK enum tl_rc space_document_new(const struct space_entry *entry, struct space_document **ret_document,
                                            struct tl_err *err);
void space_document_free(struct space_document *document); /* takes NULL */
TL_MUST_CHECK enum tl_rc space_document_accuracy(struct space_document *document, const struct store_model *model,
                                                 struct tl_err *err);
/* The table, and the devices whose latencies it has. */
TL_MUST_CHECK enum tl_rc space_document_table(struct space_document *document, const struct store_model *model,
                                              struct tl_err *err);
/* A device with a latency model of the space. */
TL_MUST_CHECK enum tl_rc space_document_device(struct space_document *document, const char *device, struct tl_err *err);
TL_MUST_CHECK enum tl_rc space_document_encode(const struct space_document *document, struct tl_buf *buf,
                                               struct tl_err *err);

#endif
