/* builtin_publish.c - models shipped with the program, published in a store that has none of their space.
 */
#include "base/base.h"
#include "server/accuracy.h"
#include "server/builtin.h"
#include "server/codec_model.h"
#include "supernet/train/codec_supernet.h"
#include <stdio.h>
#include <string.h>

static enum tl_rc let_be(void *ctx, const struct store_model *model, struct tl_err *err)
{
    (void)ctx, (void)model, (void)err;
    return TL_OK;
}

static enum tl_rc find_model(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct builtin_model *const *builtin = ctx;

    return store_model_current(tx, (*builtin)->kind, (*builtin)->space, "", let_be, NULL, err);
}

struct publish_ctx {
    const struct builtin_model *model;
    char hash[TL_HASH_TEXT];
    struct tl_buf info; /* owned */
};

static enum tl_rc publish_builtin(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct publish_ctx *publish = ctx;

    return store_model_put(tx,
                           &(struct store_model){.kind = publish->model->kind,
                                                 .space = publish->model->space,
                                                 .device = "",
                                                 .hash = publish->hash,
                                                 .created_ns = tl_clock_wall_ns(),
                                                 .info = {publish->info.data, publish->info.len}},
                           err);
}

/* What a row says of the model. */
static enum tl_rc builtin_info(const struct builtin_model *builtin, struct tl_buf *info, struct tl_err *err)
{
    struct accuracy_model *model = NULL;
    struct supernet *net = NULL;
    struct supernet_facts facts = {0};
    struct safetensors *file = NULL;
    enum tl_rc rc;

    if (strcmp(builtin->kind, "accuracy") == 0) {
        (void)((rc = accuracy_load(builtin->data, builtin->n, &model, err)) ||
               (rc = accuracy_info_encode(accuracy_facts(model), info, err)));
    } else {
        (void)((rc = st_open(builtin->data, builtin->n, &file, err)) ||
               (rc = supernet_decode(file, &net, &facts, err)) || (rc = supernet_info_encode(net, &facts, info, err)));
    }
    accuracy_free(model);
    supernet_facts_done(&facts);
    supernet_free(net);
    st_free(file);
    return rc;
}

/* Read and written only where there is none: decoding a supernet takes longer than all else that a start does. */
static enum tl_rc publish_one(struct store *store, const struct builtin_model *builtin, struct tl_err *err)
{
    struct publish_ctx publish = {.model = builtin};
    struct tl_err none = {0};
    struct tl_hash hash;
    enum tl_rc rc = store_read(store, find_model, &builtin, &none);

    if (rc != TL_NOT_FOUND) {
        return rc ? tl_fail(err, rc, "%s", none.text) : TL_OK;
    }
    rc = store_blob_put(store, builtin->data, builtin->n, &hash, err);
    if (!rc && !(rc = builtin_info(builtin, &publish.info, err))) {
        tl_hash_format(&hash, publish.hash);
        rc = store_write(store, publish_builtin, &publish, err);
    }
    tl_buf_done(&publish.info);
    return rc;
}

enum tl_rc builtin_models_publish(struct store *store, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; i < builtin_models_count && !rc; i++) {
        rc = publish_one(store, &builtin_models[i], err);
    }
    return rc;
}
