/* Documents as the command line reads them from any server: nothing there can hurt it. */
/* links: tailor_server */
#include "fuzz.h"
#include "server/codec_cli.h"

#include <string.h>

static void count(void *ctx, const struct cli_device *device)
{
    must(device->n_models <= TL_COUNT_OF(device->models));
    ++*(size_t *)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    struct cli_search search;
    struct cli_problem problem;
    struct cli_device device;
    char next[32] = "";
    size_t devices = 0;
    cli_problem_decode(text, n, &(struct devices){.n = 2, .names = {"a", "b"}}, &problem);
    if (cli_search_decode(text, n, &search, NULL) == TL_OK) {
        must(tl_uuid_valid(search.id) && memchr(search.message, 0, sizeof search.message) != NULL);
    }
    if (cli_device_decode(text, n, &device, NULL) == TL_OK) {
        must(cli_devices_decode(text, n, count, &devices, next, NULL) == TL_OK);
    }
    return 0;
}
