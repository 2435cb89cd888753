/* Bodies of POST /search: what is let in can be stored and read again as the same request. */
/* links: tailor_server */
#include "fuzz.h"
#include "server/codec_search.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct search_request request, again;
    struct tl_buf text = {0}, twice = {0};
    struct tl_err err = {0};

    if (search_request_decode((const char *)data, n, &request, &err)) {
        must(err.text[0] != '\0');
        return 0;
    }
    must(search_request_encode(&request, &text, NULL) == TL_OK);
    must(search_request_decode(text.data, text.len, &again, NULL) == TL_OK);
    must(search_request_encode(&again, &twice, NULL) == TL_OK);
    must(strcmp(text.data, twice.data) == 0);
    tl_buf_done(&text);
    tl_buf_done(&twice);
    return 0;
}
