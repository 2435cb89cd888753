/* CSVs and tables from outside. What is read as a CSV has valid rows only, and its bytes are read as the same table. */
/* links: tailor_server */
#include "fuzz.h"
#include "server/codec_table.h"
#include <string.h>

static const char SPACE[] =
    "{\"name\":\"s\",\"variables\":[{\"name\":\"depth\",\"options\":[1,2]},{\"name\":\"op1\",\"options\":[\"a\",\"b\","
    "\"c\"]},{\"name\":\"op2\",\"options\":[\"a\",\"b\"],\"active_when\":{\"variable\":\"depth\",\"options\":[2]}}],"
    "\"forbid\":[{\"op1\":[\"a\"],\"op2\":[\"a\"]}]}";
static const char MANIFEST[] =
    "{\"artifact\":\"0123456789abcdef0123456789abcdef\",\"architecture\":{\"digits\":\"ops\"},\"metrics\":["
    "{\"metric\":\"accuracy\",\"column\":\"acc\",\"unit\":\"percent\"},"
    "{\"metric\":\"latency_ms\",\"column\":\"pi\",\"unit\":\"us\",\"device\":\"pi\",\"kind\":\"timed\"}]}";

static void load(const struct space *space, const void *data, size_t n)
{
    struct value_table *table = NULL;
    struct tl_err err = {0};

    if (value_table_load(data, n, space, &table, &err)) {
        must(err.text[0] != '\0');
        return;
    }
    value_table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct space space;
    static struct space_about about;
    static struct table_request request, other;
    struct value_table *table = NULL, *again = NULL;
    struct tl_buf bytes = {.max = 1 << 24}, twice = {.max = 1 << 24};
    struct tl_err err = {0};

    if (space.n_variables == 0) {
        must(space_file_decode(SPACE, sizeof SPACE - 1, &space, &about, NULL) == TL_OK);
        must(table_request_decode(MANIFEST, sizeof MANIFEST - 1, &space, &request, NULL) == TL_OK);
    }
    load(&space, data, n);
    must(table_request_decode((const char *)data, n, &space, &other, &err) == TL_OK || err.text[0] != '\0');
    err = (struct tl_err){0};
    if (value_table_read_csv((const char *)data, n, &space, &request.manifest, &table, &err)) {
        must(err.text[0] != '\0');
        return 0;
    }
    for (size_t row = 0; row < value_table_rows(table); row++) {
        const uint8_t *arch = value_table_arch(table, row);
        must(space_valid(&space, arch) && space_allowed(&space, arch) && value_table_find(table, arch) == row);
    }
    must(value_table_save(table, &bytes, NULL) == TL_OK);
    must(value_table_load(bytes.data, bytes.len, &space, &again, NULL) == TL_OK);
    must(value_table_save(again, &twice, NULL) == TL_OK);
    must(bytes.len == twice.len && memcmp(bytes.data, twice.data, bytes.len) == 0);
    value_table_free(table);
    value_table_free(again);
    tl_buf_done(&bytes);
    tl_buf_done(&twice);
    return 0;
}
