/* artifact.h - a sub-network as a file that other tools load: ONNX, safetensors, once-for-all's net.config.
 *
 * The weights are those that it inherits from a supernet, batch norm calibrated for it. The same supernet, images and
 * architecture give the same bytes.
 *
 * Threads: artifact_of_store from any; two that want weights at once wait for one another, so that memory stays bounded.
 */
#ifndef TAILOR_ARTIFACT_H
#define TAILOR_ARTIFACT_H

#include "server/supernet_use.h"
#include "storage/storage.h"

enum artifact_kind { ARTIFACT_ONNX, ARTIFACT_SAFETENSORS, ARTIFACT_NET_CONFIG, ARTIFACT_KIND_COUNT };

/* "onnx", "safetensors", "net.config": names in the API, and how files end. */
extern const char *const artifact_names[ARTIFACT_KIND_COUNT];

/* Append the file of a sub-network of an opened supernet: calibrated where there are images, else with the supernet's own
 * running statistics. `pairs` go into the file's metadata, after what the supernet says itself. */
TL_MUST_CHECK enum tl_rc artifact_encode(struct supernet_use *use, enum artifact_kind kind, const struct net_pick *pick,
                                         const struct st_pair *pairs, size_t n_pairs, struct tl_buf *buf,
                                         struct tl_err *err);

/* A file asked of a store. */
struct artifact_order {
    enum artifact_kind kind;
    const struct net_family *family;
    const struct net_pick *pick;
    const char *supernet; /* hash of its blob; "": the space's current one */
    const struct st_pair *pairs;
    size_t n_pairs;
};

/* The same from a supernet in the store. TL_NOT_FOUND: it has none. net.config needs none. */
TL_MUST_CHECK enum tl_rc artifact_of_store(struct store *store, const struct artifact_order *order, struct tl_buf *buf,
                                           struct tl_err *err);

#endif
