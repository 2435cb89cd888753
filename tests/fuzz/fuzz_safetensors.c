/* safetensors files: every tensor that is handed out lies within the bytes and is as large as it says. */
/* links: tailor_files */
#include "fuzz.h"
#include "supernet/files/files.h"

#include <string.h>

static void read_all(const uint8_t *data, size_t n)
{
    struct safetensors *file = NULL;
    struct tl_err err = {0};
    const struct st_tensor *found = NULL;

    if (st_open(data, n, &file, &err)) {
        must(err.text[0] != '\0' && !file);
        return;
    }
    (void)st_metadata(file, "format");
    for (size_t i = 0; i < st_count(file); i++) {
        const struct st_tensor *tensor = st_at(file, i);
        const uint8_t *bytes = tensor->data;
        must(bytes >= data && bytes <= data + n && tensor->n_bytes <= (size_t)(data + n - bytes));
        must(st_find(file, tensor->name, &found, NULL) == TL_OK && found == tensor);
        must(st_find_f32(file, tensor->name, tensor->rank, tensor->shape, &found, NULL) != TL_OK || found == tensor);
        float *values = malloc(2 * tensor->n_bytes + 1);
        must(values != NULL);
        const enum tl_rc rc = st_floats(tensor, values, NULL);
        must(rc == TL_OK || rc == TL_INVALID);
        free(values);
    }
    st_free(file);
}

/* Once as it is, and once with the header's length mended to its last brace: a mutation seldom keeps it right. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t end = n;

    read_all(data, n);
    while (end > 8 && data[end - 1] != '}') {
        end--;
    }
    if (end <= 8) {
        return 0;
    }
    uint8_t *mended = malloc(n);
    must(mended != NULL);
    memcpy(mended, data, n);
    for (size_t i = 0; i < 8; i++) {
        mended[i] = (uint8_t)((end - 8) >> (8 * i));
    }
    read_all(mended, n);
    free(mended);
    return 0;
}
