/* Latency models as bytes: what is loaded is saved as the same bytes and predicts finite times. */
/* links: tailor_latency */
#include "fuzz.h"
#include "latency/latency.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct network net;
    const struct net_family *family = net_family_get("nasbench-macro");
    TL_AUTO(tl_buf) bytes = {.max = 64 << 20};
    struct lat_model *model = NULL;
    struct net_pick pick;
    struct tl_err err = {0};
    double ms = 0;

    if (lat_model_load(data, n, &model, &err)) {
        must(err.text[0] != '\0' && model == NULL);
        return 0;
    }
    must(lat_model_save(model, &bytes, &err) == TL_OK && bytes.len == n && memcmp(bytes.data, data, n) == 0);
    lat_anchor_pick(family, 32, &pick);
    must(net_build(family, &pick, &net, &err) == TL_OK);
    if (lat_model_network_ms(model, &net, &ms, &err) == TL_OK) {
        must(isfinite(ms));
    }
    lat_model_free(model);
    return 0;
}
