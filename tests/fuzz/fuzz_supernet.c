/* Supernets: what is read is whole, and what is written of it is read as the same; a checkpoint of others is refused. */
/* links: tailor_train */
#include "fuzz.h"
#include "supernet/train/codec_supernet.h"

#include <string.h>

static void again(const struct supernet *net, const struct supernet_facts *facts)
{
    TL_AUTO(tl_buf) written = {.max = 1 << 24};
    struct safetensors *file = NULL;
    struct supernet *copy = NULL;
    struct supernet_facts theirs;

    must(supernet_encode(net, facts, NULL, false, &written, NULL) == TL_OK);
    must(st_open(written.data, written.len, &file, NULL) == TL_OK);
    must(supernet_decode(file, &copy, &theirs, NULL) == TL_OK);
    must(copy->n_params == net->n_params && memcmp(copy->params, net->params, net->n_params * sizeof(float)) == 0);
    must(theirs.n_images == facts->n_images && theirs.n_classes == facts->n_classes);
    supernet_facts_done(&theirs);
    supernet_free(copy);
    st_free(file);
}

static void read_all(const uint8_t *data, size_t n)
{
    struct safetensors *file = NULL;
    struct supernet *net = NULL;
    struct supernet_facts facts;
    struct tl_err err = {0};

    if (st_open(data, n, &file, &err)) {
        return;
    }
    if (supernet_decode(file, &net, &facts, &err)) {
        must(err.text[0] != '\0');
    } else {
        again(net, &facts);
        supernet_facts_done(&facts);
        supernet_free(net);
    }
    const struct net_family *family = net_family_get("mnist-mbv3");
    must(family && supernet_decode_ofa(file, family, &net, &err) != TL_OK && err.text[0] != '\0');
    st_free(file);
}

/* As it is, and with the header's length mended: a mutation before the numbers seldom keeps it right. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char end[] = "]}}"; /* of the last tensor */
    uint8_t *mended = malloc(n + 1);

    must(mended != NULL);
    memcpy(mended, data, n);
    read_all(mended, n);
    for (size_t i = 8; i + 3 <= n; i++) {
        if (memcmp(data + i, end, 3) == 0) {
            const size_t length = i + 3 - 8 + 7; /* writers pad the header to eight bytes */
            for (size_t b = 0; b < 8; b++) {
                mended[b] = (uint8_t)((length & ~(size_t)7) >> (8 * b));
            }
        }
    }
    read_all(mended, n);
    free(mended);
    return 0;
}
