/* text.c - names, and the nearest of them. */
#include "base/base.h"

#include <string.h>

enum { NAME_MAX_BYTES = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance with neighbours swapped counted once (optimal string alignment). Lengths at most NAME_MAX_BYTES. */
static size_t edit_distance(const char *a, size_t a_n, const char *b, size_t b_n)
{
    size_t rows[3][NAME_MAX_BYTES + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_n; j++) {
        above[j] = j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= a_n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_n; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        size_t *reuse = before;
        before = above;
        above = row;
        row = reuse;
    }
    return above[b_n];
}

const char *tl_nearest(const char *text, const char *const *names, size_t n_names)
{
    size_t text_n = strnlen(text, NAME_MAX_BYTES + 1);
    if (text_n == 0 || text_n > NAME_MAX_BYTES) {
        return NULL;
    }
    size_t limit = text_n < 3 ? 1 : text_n / 3;
    const char *nearest = NULL;
    for (size_t i = 0; i < n_names; i++) {
        size_t n = strnlen(names[i], NAME_MAX_BYTES + 1);
        size_t distance = n > NAME_MAX_BYTES ? SIZE_MAX : edit_distance(text, text_n, names[i], n);
        if (distance <= limit && (!nearest || distance < limit)) {
            nearest = names[i];
            limit = distance;
        }
    }
    return nearest;
}

bool tl_name_valid(const char *text)
{
    size_t n = strnlen(text, NAME_MAX_BYTES + 1);
    if (n == 0 || n > NAME_MAX_BYTES || strchr("._-", text[0])) {
        return false;
    }
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}
