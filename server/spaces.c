/* spaces.c - see spaces.h. */
#include "server/spaces.h"

#include "server/space_of_family.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 100, ENTRIES_MAX = 1024 }; /* families of files included */

struct spaces {
    struct store *store;
    pthread_mutex_t lock;                     /* guards the list; an entry in it never changes */
    struct space_entry *entries[ENTRIES_MAX]; /* owned */
    size_t n;
};

/* ---- the list ------------------------------------------------------------------------------------------------ */

static const struct space_entry *find(const struct spaces *spaces, const char *name)
{
    for (size_t i = 0; i < spaces->n; i++) {
        if (strcmp(spaces->entries[i]->space.name, name) == 0) {
            return spaces->entries[i];
        }
    }
    return NULL;
}

const struct space_entry *spaces_find(struct spaces *spaces, const char *name)
{
    pthread_mutex_lock(&spaces->lock);
    const struct space_entry *entry = find(spaces, name);
    pthread_mutex_unlock(&spaces->lock);
    return entry;
}

const struct space_entry *spaces_at(struct spaces *spaces, size_t index)
{
    pthread_mutex_lock(&spaces->lock);
    const struct space_entry *entry = index < spaces->n ? spaces->entries[index] : NULL;
    pthread_mutex_unlock(&spaces->lock);
    return entry;
}

/* Takes `entry`; where the name is there already, that entry stays. */
static enum tl_rc append(struct spaces *spaces, struct space_entry *entry, struct tl_err *err)
{
    pthread_mutex_lock(&spaces->lock);
    const bool known = find(spaces, entry->space.name) != NULL, fits = spaces->n < ENTRIES_MAX;
    if (!known && fits) {
        spaces->entries[spaces->n++] = entry;
    }
    pthread_mutex_unlock(&spaces->lock);
    if (known || !fits) {
        free(entry);
    }
    return known || fits ? TL_OK : tl_fail(err, TL_TOO_LARGE, "at most %d spaces can be known", ENTRIES_MAX);
}

static size_t count_brought(struct spaces *spaces)
{
    size_t n = 0;
    pthread_mutex_lock(&spaces->lock);
    for (size_t i = 0; i < spaces->n; i++) {
        n += spaces->entries[i]->brought;
    }
    pthread_mutex_unlock(&spaces->lock);
    return n;
}

/* ---- adding -------------------------------------------------------------------------------------------------- */

static enum tl_rc add_family(struct spaces *spaces, const struct net_family *family, struct tl_err *err)
{
    struct space_entry *entry = calloc(1, sizeof *entry);
    if (!entry) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    }
    enum tl_rc rc = space_of_family(family, &entry->space, err);
    if (rc) {
        free(entry);
        return rc;
    }
    entry->family = family;
    (void)snprintf(entry->about.title, sizeof entry->about.title, "%s", family->title);
    (void)snprintf(entry->about.source, sizeof entry->about.source, "%s", family->source);
    return append(spaces, entry, err);
}

static enum tl_rc entry_decode(const char *json, size_t n, struct space_entry **ret_entry, struct tl_err *err)
{
    struct space_entry *entry = calloc(1, sizeof *entry);
    if (!entry) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    }
    enum tl_rc rc = space_file_decode(json, n, &entry->space, &entry->about, err);
    if (rc) {
        free(entry);
        return rc;
    }
    *ret_entry = entry;
    return TL_OK;
}

struct storing {
    struct store_space row;
    bool is_new;
};

static enum tl_rc put_space(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct storing *storing = ctx;
    return store_space_put(tx, &storing->row, &storing->is_new, err);
}

/* What is not brought cannot be replaced: *ret_same tells whether it is what is to be added. */
static enum tl_rc check_name(struct spaces *spaces, const struct space_entry *entry, bool *ret_same, struct tl_err *err)
{
    const struct space_entry *known = spaces_find(spaces, entry->space.name);
    *ret_same = false;
    if (known && !known->brought && !known->family && tl_hash_equal(&known->space.id, &entry->space.id)) {
        *ret_same = true;
        return TL_OK;
    }
    if (known && !known->brought) {
        return tl_fail_at(err, TL_CONFLICT, "/name", "%s is the name of a %s; choose another", entry->space.name,
                          known->family ? "family" : "space that comes with the program");
    }
    return known || count_brought(spaces) < SPACES_BROUGHT_MAX
               ? TL_OK
               : tl_fail(err, TL_TOO_LARGE, "at most %d spaces can be brought", SPACES_BROUGHT_MAX);
}

/* Store an entry, or see that it is there. Two at once under one name are told apart by the store. */
static enum tl_rc store_entry(struct spaces *spaces, const struct space_entry *entry, bool *ret_new, struct tl_err *err)
{
    TL_AUTO(tl_buf) document = {0};
    struct tl_err why = {0};
    enum tl_rc rc = space_file_encode(&entry->space, &entry->about, &document, err);
    if (rc) {
        return rc;
    }
    struct storing storing = {.row = {.name = entry->space.name,
                                      .created_ns = tl_clock_wall_ns(),
                                      .document = {document.data, document.len}}};
    if ((rc = store_write(spaces->store, put_space, &storing, &why))) {
        return tl_fail_at(err, rc, rc == TL_CONFLICT ? "/name" : "", "%s%s", why.text,
                          rc == TL_CONFLICT ? "; choose another name" : "");
    }
    *ret_new = storing.is_new;
    return TL_OK;
}

enum tl_rc spaces_add(struct spaces *spaces, const char *json, size_t n, const struct space_entry **ret_entry,
                      bool *ret_new, struct tl_err *err)
{
    struct space_entry *entry = NULL;
    char name[sizeof entry->space.name];
    bool is_new = false, same = false;
    enum tl_rc rc = entry_decode(json, n, &entry, err);
    if (rc) {
        return rc;
    }
    memcpy(name, entry->space.name, sizeof name);
    if ((rc = check_name(spaces, entry, &same, err)) || (!same && (rc = store_entry(spaces, entry, &is_new, err)))) {
        free(entry);
        return rc;
    }
    entry->brought = true;
    if ((rc = append(spaces, entry, err))) {
        return rc;
    }
    *ret_entry = spaces_find(spaces, name);
    *ret_new = is_new;
    return TL_OK;
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

static enum tl_rc load_shipped(struct spaces *spaces, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    for (const char *text = space_file_texts; !rc && *text; text += strlen(text) + 1) {
        struct space_entry *entry = NULL;
        rc = entry_decode(text, strlen(text), &entry, err);
        rc = rc ? rc : append(spaces, entry, err);
    }
    return rc;
}

struct loading {
    struct spaces *spaces;
    int64_t last;
    int n;
};

/* What a newer program, or --family, knows under the name of a space that was brought hides it: with a word. */
static enum tl_rc load_space(void *ctx, const struct store_space *space, struct tl_err *err)
{
    struct loading *loading = ctx;
    struct space_entry *entry = NULL;
    struct tl_err why = {0};
    loading->last = space->seq;
    loading->n++;
    if (find(loading->spaces, space->name)) {
        tl_log(TL_LOG_WARNING, "spaces",
               "the space %s of the store is hidden by one of that name that comes with the program", space->name);
        return TL_OK;
    }
    enum tl_rc rc = entry_decode(space->document.data, space->document.n, &entry, &why);
    if (rc) {
        return tl_fail(err, rc == TL_NO_MEMORY ? rc : TL_IO, "space %s is damaged in the store: %s", space->name,
                       why.text);
    }
    entry->brought = true;
    return append(loading->spaces, entry, err);
}

static enum tl_rc load_page(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct loading *loading = ctx;
    loading->n = 0;
    return store_space_list(tx, (struct store_page){.after = loading->last, .limit = PAGE}, load_space, loading, err);
}

static enum tl_rc load_all(struct spaces *spaces, struct tl_err *err)
{
    struct loading loading = {.spaces = spaces};
    enum tl_rc rc = TL_OK;
    for (size_t i = 0; !rc && i < net_family_count(); i++) {
        rc = add_family(spaces, net_family_at(i), err);
    }
    rc = rc ? rc : load_shipped(spaces, err);
    do {
        rc = rc ? rc : store_read(spaces->store, load_page, &loading, err);
    } while (!rc && loading.n == PAGE);
    return rc;
}

enum tl_rc spaces_new(struct store *store, struct spaces **ret_spaces, struct tl_err *err)
{
    struct spaces *spaces = calloc(1, sizeof *spaces);
    if (!spaces) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for spaces");
    }
    spaces->store = store;
    pthread_mutex_init(&spaces->lock, NULL);
    enum tl_rc rc = load_all(spaces, err);
    if (rc) {
        spaces_free(spaces);
        return rc;
    }
    *ret_spaces = spaces;
    return TL_OK;
}

void spaces_free(struct spaces *spaces)
{
    if (!spaces) {
        return;
    }
    for (size_t i = 0; i < spaces->n; i++) {
        free(spaces->entries[i]);
    }
    pthread_mutex_destroy(&spaces->lock);
    free(spaces);
}
