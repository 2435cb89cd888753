/* registry.c - the families that are known by name.
 *
 * The shipped ones are compiled in as text and read before main, so that nobody meets a half-made table; a shipped file
 * that cannot be read is our own mistake. Threads: written before threads start, then only read.
 */
#include "supernet/families.h"
#include "supernet/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct net_family families[NET_FAMILIES_MAX];
static size_t n_families;

__attribute__((constructor)) static void read_shipped(void)
{
    struct tl_err err = {0};

    for (const char *text = net_family_texts; *text; text += strlen(text) + 1) {
        if (net_family_parse(text, strlen(text), &families[n_families], &err)) {
            (void)fprintf(stderr, "shipped family %zu: %s: %s\n", n_families, err.pointer, err.text);
            abort();
        }
        n_families++;
    }
}

size_t net_family_count(void)
{
    return n_families;
}

const struct net_family *net_family_at(size_t index)
{
    return index < n_families ? &families[index] : NULL;
}

const struct net_family *net_family_get(const char *name)
{
    for (size_t i = 0; i < n_families; i++) {
        if (strcmp(families[i].name, name) == 0) {
            return &families[i];
        }
    }
    return NULL;
}

enum tl_rc net_family_add(const struct net_family *family, struct tl_err *err)
{
    if (net_family_get(family->name)) {
        return tl_fail(err, TL_CONFLICT, "there is a family %s already; give this one another name", family->name);
    }
    if (n_families == NET_FAMILIES_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "%s would be one family more than the %d that fit", family->name,
                       NET_FAMILIES_MAX);
    }
    families[n_families++] = *family;
    return TL_OK;
}

enum tl_rc net_family_load(const char *path, struct net_family *ret_family, struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = NET_FAMILY_BYTES_MAX};
    struct tl_err found = {0};
    enum tl_rc rc = tl_file_read(path, &text, err);

    if (rc) {
        return rc;
    }
    rc = net_family_parse(text.data ? text.data : "", text.len, ret_family, &found);
    return rc ? tl_fail_at(err, rc, found.pointer, "%.200s: %s", path, found.text) : TL_OK;
}

bool net_family_is_path(const char *name)
{
    static const char suffix[] = ".json";
    const size_t n = strlen(name);

    return n >= sizeof suffix - 1 && strcmp(name + n - (sizeof suffix - 1), suffix) == 0;
}

enum tl_rc net_family_find(const char *name_or_path, struct net_family *ret_family, struct tl_err *err)
{
    const struct net_family *family = net_family_get(name_or_path);
    const char *names[NET_FAMILIES_MAX];

    if (family) {
        *ret_family = *family;
        return TL_OK;
    }
    if (net_family_is_path(name_or_path)) {
        return net_family_load(name_or_path, ret_family, err);
    }
    for (size_t i = 0; i < n_families; i++) {
        names[i] = families[i].name;
    }
    const char *near = tl_nearest(name_or_path, names, n_families);
    return tl_fail(err, TL_INVALID,
                   "no space is called \"%.80s\"%s%s; `tailor spaces` lists them, and a file ends in .json",
                   name_or_path, near ? "; did you mean " : "", near ? near : "");
}
