/* Operator lists from outside: what is let in has costs, keys and parts, and goes out as it came in. */
/* links: tailor_network */
#include "fuzz.h"
#include "supernet/codec_network.h"

#include <string.h>

static void use(const struct network *net)
{
    static struct network part;
    struct net_cost cost;
    char key[NET_KEY_MAX];

    net_cost_total(net, &cost);
    must(cost.macs <= NET_MACS_MAX && cost.peak_memory_bytes > 0);
    for (size_t b = 0; b < net->n_blocks; b++) {
        net_block_key(net, b, key);
        must(strlen(key) > 0 && strlen(key) < NET_KEY_MAX);
        net_block_cut(net, b, &part);
        must(net_check(&part, NULL) == TL_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct network net;
    static struct network again;
    TL_AUTO(tl_json) doc = {0};
    struct tl_err err = {0};

    if (tl_json_parse(&doc, (const char *)data, n, &err) || net_decode(doc.root, "/network", &net, &err)) {
        must(err.text[0] != '\0');
        return 0;
    }
    use(&net);
    json_t *json = net_encode(&net);
    must(json && net_decode(json, "", &again, &err) == TL_OK);
    json_decref(json);
    must(net.n_ops == again.n_ops && memcmp(net.ops, again.ops, net.n_ops * sizeof net.ops[0]) == 0);
    return 0;
}
