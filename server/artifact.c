/* artifact.c - see artifact.h. */
#include "server/artifact.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS_MAX = 24 };

const char *const artifact_names[ARTIFACT_KIND_COUNT] = {"onnx", "safetensors", "net.config"};

static enum tl_rc with_params(struct supernet_use *use, enum artifact_kind kind, const struct network *net,
                              const struct net_pick *pick, const struct st_pair *pairs, size_t n_pairs,
                              struct tl_buf *buf, struct tl_err *err)
{
    const float *stats = use->net->stats;
    struct net_params *params = calloc(1, sizeof *params);
    enum tl_rc rc = params ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory for parameters");
    if (rc == TL_OK && use->evaluation) {
        rc = evaluation_calibrate(use->evaluation, pick, EVALUATION_CALIBRATION, &stats, err);
    }
    rc = rc ? rc : supernet_extract(use->net, net, stats, params, err);
    rc = rc ? rc : (kind == ARTIFACT_ONNX ? onnx_encode : params_encode)(net, params, pairs, n_pairs, buf, err);
    if (params) {
        net_params_done(params);
    }
    free(params);
    return rc;
}

/* What the file says of itself: the supernet first, then the caller's pairs. */
static size_t list_pairs(const struct supernet_use *use, const char *resolution, const char *calibrated,
                         const struct st_pair *pairs, size_t n_pairs, struct st_pair *ret_list)
{
    size_t n = 0;
    ret_list[n++] = (struct st_pair){"family", use->net->family.name};
    ret_list[n++] = (struct st_pair){"resolution", resolution};
    ret_list[n++] = (struct st_pair){"supernet_made_by", use->facts.made_by};
    ret_list[n++] = (struct st_pair){"batch_norm", calibrated};
    for (size_t i = 0; i < n_pairs && n < PAIRS_MAX; i++) {
        if (pairs[i].value[0]) {
            ret_list[n++] = pairs[i];
        }
    }
    return n;
}

enum tl_rc artifact_encode(struct supernet_use *use, enum artifact_kind kind, const struct net_pick *pick,
                           const struct st_pair *pairs, size_t n_pairs, struct tl_buf *buf, struct tl_err *err)
{
    struct network *net = malloc(sizeof *net);
    struct st_pair list[PAIRS_MAX];
    char resolution[16], calibrated[64] = "the supernet's running statistics";
    enum tl_rc rc =
        net ? net_build(&use->net->family, pick, net, err) : tl_fail(err, TL_NO_MEMORY, "no memory for a network");
    (void)snprintf(resolution, sizeof resolution, "%u", pick->resolution);
    if (use->evaluation) {
        (void)snprintf(calibrated, sizeof calibrated, "calibrated on up to %zu images",
                       use->source.n_of[TRAIN_PART_TRAIN]);
    }
    if (rc == TL_OK && kind == ARTIFACT_NET_CONFIG) {
        rc = net_config_encode(net, use->net->family.bn_eps, NET_CONFIG_PUBLISHED, buf, err);
    } else if (rc == TL_OK) {
        const size_t n = list_pairs(use, resolution, calibrated, pairs, n_pairs, list);
        rc = with_params(use, kind, net, pick, list, n, buf, err);
    }
    free(net);
    return rc;
}

/* ---- from a store -------------------------------------------------------------------------------------------- */

static enum tl_rc copy_hash(void *ctx, const struct store_model *model, struct tl_err *err)
{
    (void)err;
    (void)snprintf(ctx, TL_HASH_TEXT, "%s", model->hash);
    return TL_OK;
}

struct current {
    const char *space;
    char hash[TL_HASH_TEXT];
};

static enum tl_rc read_current(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct current *current = ctx;
    struct tl_err why = {0};
    const enum tl_rc rc = store_model_current(tx, "supernet", current->space, "", copy_hash, current->hash, &why);
    return rc == TL_NOT_FOUND
               ? tl_fail(err, rc, "%s is a space without weights: tailor import --space %s supernet FILE brings some",
                         current->space, current->space)
           : rc ? tl_fail(err, rc, "%s", why.text)
                : TL_OK;
}

static enum tl_rc from_store(struct store *store, const struct artifact_order *order, struct tl_buf *buf,
                             struct tl_err *err)
{
    struct current current = {.space = order->family->name};
    TL_AUTO(tl_buf) bytes = {.max = STORE_BLOB_MAX};
    struct supernet_use use = {0};
    struct tl_hash hash;
    enum tl_rc rc = TL_OK;
    if (order->supernet[0]) {
        (void)snprintf(current.hash, sizeof current.hash, "%s", order->supernet);
    } else {
        rc = store_read(store, read_current, &current, err);
    }
    if (rc == TL_OK && !tl_hash_parse(current.hash, &hash)) {
        rc = tl_fail(err, TL_IO, "\"%s\" is not the name of a supernet", current.hash);
    }
    rc = rc ? rc : store_blob_get(store, &hash, &bytes, err);
    rc = rc ? rc : supernet_use_bytes(&use, &bytes, 1, err);
    rc = rc ? rc : artifact_encode(&use, order->kind, order->pick, order->pairs, order->n_pairs, buf, err);
    supernet_use_done(&use);
    return rc;
}

enum tl_rc artifact_of_store(struct store *store, const struct artifact_order *order, struct tl_buf *buf,
                             struct tl_err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one calibration at a time */
    if (order->kind == ARTIFACT_NET_CONFIG) {
        const struct net_family *family = order->family;
        struct network *net = malloc(sizeof *net);
        enum tl_rc rc =
            net ? net_build(family, order->pick, net, err) : tl_fail(err, TL_NO_MEMORY, "no memory for a network");
        rc = rc ? rc : net_config_encode(net, family->bn_eps, NET_CONFIG_PUBLISHED, buf, err);
        free(net);
        return rc;
    }
    pthread_mutex_lock(&lock);
    const enum tl_rc rc = from_store(store, order, buf, err);
    pthread_mutex_unlock(&lock);
    return rc;
}
