/* .npy files: an array that is handed out lies within the bytes, and what is written of it is read as the same. */
/* links: tailor_files */
#include "fuzz.h"
#include "supernet/files/files.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    TL_AUTO(tl_buf) written = {0};
    struct npy array, again;
    struct tl_err err = {0};
    uint8_t *aligned = malloc(n + 1);

    must(aligned != NULL);
    memcpy(aligned, data, n);
    if (npy_decode(aligned, n, &array, &err)) {
        must(err.text[0] != '\0');
        free(aligned);
        return 0;
    }
    const uint8_t *bytes = (const uint8_t *)array.data;
    must(bytes >= aligned && bytes <= aligned + n && array.n <= (size_t)(aligned + n - bytes) / sizeof(float));
    must(npy_encode(array.data, array.rank, array.shape, &written, NULL) == TL_OK);
    must(npy_decode(written.data, written.len, &again, NULL) == TL_OK && again.rank == array.rank);
    must(again.n == array.n && memcmp(again.data, array.data, array.n * sizeof(float)) == 0);
    free(aligned);
    return 0;
}
