/* codec_model.h - models as JSON: what POST /models takes, what lists show.
 */
#ifndef TAILOR_CODEC_MODEL_H
#define TAILOR_CODEC_MODEL_H

#include "server/accuracy.h"
#include "storage/storage.h"

enum { MODEL_NAME_TEXT = 65, MODEL_TABLES_MAX = 32 };

enum model_format {
    FORMAT_ACCURACY_OFA_MLP, /* once-for-all's acc_predictor as safetensors */
    FORMAT_ACCURACY_TAILOR,  /* accuracy_save's bytes */
    FORMAT_LATENCY_OFA_LUT,  /* once-for-all's lookup tables, one a resolution */
    FORMAT_LATENCY_TAILOR,   /* lat_model_save's bytes */
    FORMAT_SUPERNET_TAILOR,  /* supernet_encode's bytes */
};

struct model_request {
    enum model_format format;
    bool is_latency;
    char space[MODEL_NAME_TEXT];
    char device[MODEL_NAME_TEXT]; /* latency only */
    size_t n_artifacts;           /* tables; else 1 */
    struct {
        struct tl_hash hash;
        unsigned resolution; /* tables only */
        char pointer[40];    /* where the request names it */
    } artifacts[MODEL_TABLES_MAX];
};

TL_MUST_CHECK enum tl_rc model_request_decode(const char *json, size_t n, struct model_request *ret_request,
                                              struct tl_err *err);

/* The info of an accuracy model's row: {"source","rows","rmse","spearman","coverage","resolutions"}; null: unknown. */
TL_MUST_CHECK enum tl_rc accuracy_info_encode(const struct accuracy_facts *facts, struct tl_buf *buf,
                                              struct tl_err *err);

/* The info of a supernet's row: {"made_by","data","calibration_images","params"}. */
struct supernet;
struct supernet_facts;
TL_MUST_CHECK enum tl_rc supernet_info_encode(const struct supernet *net, const struct supernet_facts *facts,
                                              struct tl_buf *buf, struct tl_err *err);

/* The answer to an upload: {"hash","size_bytes"}. */
TL_MUST_CHECK enum tl_rc artifact_receipt_encode(const char *hash, size_t n, struct tl_buf *buf, struct tl_err *err);

/* {"kind","space","device","hash","created","info"} */
TL_MUST_CHECK enum tl_rc model_item_encode(const struct store_model *model, struct tl_buf *buf, struct tl_err *err);

#endif
