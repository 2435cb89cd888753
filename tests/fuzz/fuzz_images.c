/* Archives of images, and images: what opens has labels of its classes, and what decodes lies within the limits. */
/* links: tailor_images */
#include "fuzz.h"
#include "supernet/train/data/parts.h"

#include <string.h>

enum { DECODED_MAX = 8, BLOCK = 512, SUM_AT = 148 };

static void read_set(const uint8_t *data, size_t n)
{
    static const struct img_opts limits = {.archive_max = 1 << 20, .images_max = 256};
    struct img_set *set = NULL;
    struct tl_err err = {0};
    struct img_pixels pixels = {0};

    if (set_from_memory(data, n, &limits, &set, &err)) {
        must(err.text[0] != '\0' && !set);
        return;
    }
    must(img_n(set, IMG_TRAIN) > 0 && img_n_classes(set) > 0);
    for (enum img_split split = IMG_TRAIN; split < IMG_SPLIT_COUNT; split++) {
        for (size_t i = 0; i < img_n(set, split); i++) {
            const int32_t label = img_label(set, split, i);
            must(label >= 0 && (size_t)label < img_n_classes(set));
            must(strlen(img_class_name(set, (size_t)label)) <= IMG_NAME_MAX);
            if (i < DECODED_MAX && img_decode(set, split, i, &pixels, NULL) == TL_OK) {
                must(pixels.h >= 1 && pixels.w >= 1 && pixels.h <= IMG_SIDE_MAX && pixels.w <= IMG_SIDE_MAX);
            }
        }
    }
    img_pixels_done(&pixels);
    img_close(set);
}

static void read_image(const uint8_t *data, size_t n)
{
    const struct catalogue nowhere = {.path = (char[]){"fuzz"}};
    struct img_pixels pixels = {0};
    struct tl_err err = {0};

    if (file_decode(data, n, &nowhere, "1.jpg", &pixels, &err) == TL_OK) {
        must(pixels.h >= 1 && pixels.w >= 1 && pixels.h <= IMG_SIDE_MAX && pixels.w <= IMG_SIDE_MAX);
    } else {
        must(err.text[0] != '\0');
    }
    img_pixels_done(&pixels);
}

/* The sum of every block that may be a header made right: a mutation seldom keeps it so. */
static void mend(uint8_t *tar, size_t n)
{
    for (size_t at = 0; at + BLOCK <= n; at += BLOCK) {
        unsigned sum = 0;
        if (memcmp(tar + at + 257, "ustar", 5) != 0) {
            continue;
        }
        memset(tar + at + SUM_AT, ' ', 8);
        for (size_t i = 0; i < BLOCK; i++) {
            sum += tar[at + i];
        }
        for (size_t i = 0; i < 6; i++) {
            tar[at + SUM_AT + 5 - i] = (uint8_t)('0' + ((sum >> (3 * i)) & 7));
        }
        tar[at + SUM_AT + 6] = '\0';
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    read_set(data, n);
    read_image(data, n);
    uint8_t *mended = malloc(n ? n : 1);
    must(mended != NULL);
    if (n) {
        memcpy(mended, data, n);
        mend(mended, n);
        read_set(mended, n);
    }
    free(mended);
    return 0;
}
