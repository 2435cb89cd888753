/* codec_plan.c - see codec_plan.h. codec_train.c writes what is read here. */
#include "supernet/train/codec_plan.h"

#include "base/codec_json.h"

#include <string.h>

enum tl_rc train_split_decode(const char *plan, struct train_split *ret_split, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    struct train_split split = {.known = plan != NULL && plan[0] != '\0'};
    int64_t most = 0;
    enum tl_rc rc = TL_OK;
    if (split.known && ((rc = tl_json_parse(&doc, plan, strlen(plan), err)) ||
                        (rc = tl_json_object_open(&top, doc.root, "/plan", err)) ||
                        (rc = tl_json_real(&top, "holdout", TL_REQUIRED, 0.0, 0.5, &split.holdout, err)) ||
                        (rc = tl_json_int(&top, "most_images", TL_REQUIRED, 0, UINT32_MAX, &most, err)))) {
        return rc;
    }
    split.most = (size_t)most;
    *ret_split = split;
    return TL_OK;
}
