/* net.config files: what is let in is a network. */
/* links: tailor_files */
#include "fuzz.h"
#include "supernet/files/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct network net;
    struct tl_err err = {0};

    if (net_config_decode((const char *)data, n, 224, &net, &err)) {
        must(err.text[0] != '\0');
        return 0;
    }
    must(net_check(&net, NULL) == TL_OK);
    return 0;
}
