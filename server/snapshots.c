/* snapshots.c - a small counted cache of models by hash, and the pinning of what is current.
 */
#include "server/snapshots.h"
#include "server/accuracy.h"
#include "server/archive.h"
#include "server/builtin.h"
#include "server/codec_model.h"
#include "server/codec_snapshot.h"
#include "server/evaluator_table.h"
#include "server/spaces.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS_IDLE_MAX = 16, RANGES_KEPT = 64, PINNED_KEPT = 64 };

struct entry {
    struct entry *next; /* most recently made first */
    char hash[TL_HASH_TEXT];
    struct accuracy_model *accuracy; /* owned; one of the four */
    struct lat_model *latency;       /* owned */
    struct value_table *table;       /* owned */
    struct archive *archive;         /* owned */
    unsigned users;
};

struct snapshots {
    struct store *store;
    struct spaces *spaces;
    pthread_mutex_t lock; /* guards the list and the counts */
    struct entry *entries;
    struct kept_ranges {
        char base[TL_HASH_TEXT];
        struct metric_range ranges[COLUMNS_MAX];
    } kept[RANGES_KEPT];                    /* of what was asked for last, as a ring */
    size_t n_kept;                          /* ever; the ring's next place is n_kept % RANGES_KEPT */
    char pinned[PINNED_KEPT][TL_HASH_TEXT]; /* those stored last, which need no write again; as a ring */
    size_t n_pinned;
};

static void entry_free(struct entry *entry)
{
    if (entry) {
        accuracy_free(entry->accuracy);
        lat_model_free(entry->latency);
        value_table_free(entry->table);
        archive_free(entry->archive);
        free(entry);
    }
}

/* Drop the oldest unused entries beyond MODELS_IDLE_MAX. Under the lock. */
static void drop_idle(struct snapshots *snapshots)
{
    unsigned idle = 0;

    for (struct entry **at = &snapshots->entries; *at;) {
        struct entry *entry = *at;
        if (entry->users == 0 && ++idle > MODELS_IDLE_MAX) {
            *at = entry->next;
            entry_free(entry);
        } else {
            at = &entry->next;
        }
    }
}

static struct entry *find(struct snapshots *snapshots, const char *hash)
{
    for (struct entry *entry = snapshots->entries; entry; entry = entry->next) {
        if (strcmp(entry->hash, hash) == 0) {
            return entry;
        }
    }
    return NULL;
}

enum entry_kind { ENTRY_ACCURACY, ENTRY_LATENCY, ENTRY_TABLE, ENTRY_ARCHIVE };

static enum tl_rc entry_decode(const struct tl_buf *bytes, enum entry_kind kind, const struct space *space,
                               struct entry *entry, struct tl_err *err)
{
    switch (kind) {
    case ENTRY_ACCURACY:
        return accuracy_load(bytes->data, bytes->len, &entry->accuracy, err);
    case ENTRY_LATENCY:
        return lat_model_load(bytes->data, bytes->len, &entry->latency, err);
    case ENTRY_TABLE:
        return value_table_load(bytes->data, bytes->len, space, &entry->table, err);
    case ENTRY_ARCHIVE:
        return archive_load(bytes->data, bytes->len, space, &entry->archive, err);
    }
    return tl_fail(err, TL_INVALID, "no such kind of model");
}

static enum tl_rc entry_load(struct store *store, const char *hash, enum entry_kind kind, const struct space *space,
                             struct entry **ret_entry, struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = STORE_BLOB_MAX};
    struct tl_hash name;
    struct entry *entry;
    enum tl_rc rc;

    if (!tl_hash_parse(hash, &name)) {
        return tl_fail(err, TL_IO, "\"%s\" is not the name of a model", hash);
    }
    if ((rc = store_blob_get(store, &name, &bytes, err))) {
        return rc;
    }
    if (!(entry = calloc(1, sizeof(*entry)))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for model %s", hash);
    }
    snprintf(entry->hash, sizeof(entry->hash), "%s", hash);
    if ((rc = entry_decode(&bytes, kind, space, entry, err))) {
        entry_free(entry);
        return rc;
    }
    *ret_entry = entry;
    return TL_OK;
}

/* Counted use of a model, read when it is not in memory. Loading happens outside the lock; when two threads load the same
 * one, the second copy is dropped. */
static enum tl_rc take(struct snapshots *snapshots, const char *hash, enum entry_kind kind, const struct space *space,
                       struct entry **ret_entry, struct tl_err *err)
{
    struct entry *entry, *loaded = NULL;
    enum tl_rc rc;

    pthread_mutex_lock(&snapshots->lock);
    entry = find(snapshots, hash);
    if (entry) {
        entry->users++;
    }
    pthread_mutex_unlock(&snapshots->lock);
    if (!entry) {
        if ((rc = entry_load(snapshots->store, hash, kind, space, &loaded, err))) {
            return rc;
        }
        pthread_mutex_lock(&snapshots->lock);
        entry = find(snapshots, hash);
        if (!entry) {
            entry = loaded;
            loaded = NULL;
            entry->next = snapshots->entries;
            snapshots->entries = entry;
        }
        entry->users++;
        drop_idle(snapshots);
        pthread_mutex_unlock(&snapshots->lock);
        entry_free(loaded);
    }
    *ret_entry = entry;
    return TL_OK;
}

static void give(struct snapshots *snapshots, struct entry *entry)
{
    if (entry) {
        pthread_mutex_lock(&snapshots->lock);
        entry->users--;
        drop_idle(snapshots);
        pthread_mutex_unlock(&snapshots->lock);
    }
}

void snapshot_done(struct snapshot *snapshot)
{
    if (snapshot->owner) {
        give(snapshot->owner, snapshot->accuracy_entry);
        for (size_t d = 0; d < DEVICES_MAX; d++) {
            give(snapshot->owner, snapshot->latency_entry[d]);
        }
        give(snapshot->owner, snapshot->table_entry);
        give(snapshot->owner, snapshot->archive_entry);
    }
    *snapshot = (struct snapshot){0};
}

size_t snapshot_lacks(const struct snapshot *snapshot)
{
    size_t d = 0;

    while (d < snapshot->devices.n && (snapshot->latency[d] || snapshot->table)) {
        d++;
    }
    return d;
}

enum tl_rc snapshot_evaluator(const struct snapshot *snapshot, struct evaluator **ret_evaluator, struct tl_err *err)
{
    const struct space *space = &snapshot->space->space;
    char devices[DEVICES_TEXT];

    if (snapshot->family) {
        return evaluator_new_for(snapshot->family, snapshot->accuracy, &snapshot->devices, snapshot->latency, 1,
                                 ret_evaluator, err);
    }
    if (!snapshot->table) {
        return tl_fail(err, TL_NOT_FOUND, "%s has no table of values; PUT /spaces/%s/table brings one", space->name,
                       space->name);
    }
    devices_join(&snapshot->devices, ",", devices, sizeof(devices));
    return evaluator_new_tabulated(space, snapshot->table, devices, ret_evaluator, err);
}

/* ---- pinning ------------------------------------------------------------------------------------------------- */

static enum tl_rc copy_hash(void *ctx, const struct store_model *model, struct tl_err *err)
{
    (void)err;
    snprintf(ctx, TL_HASH_TEXT, "%s", model->hash);
    return TL_OK;
}

/* The current model of a kind; none is not a failure. */
static enum tl_rc read_kind(struct store_tx *tx, const char *kind, const char *space, const char *device,
                            char ret_hash[TL_HASH_TEXT], struct tl_err *err)
{
    struct tl_err why = {0};
    enum tl_rc rc = store_model_current(tx, kind, space, device, copy_hash, ret_hash, &why);

    return rc && rc != TL_NOT_FOUND ? tl_fail(err, rc, "%s", why.text) : TL_OK;
}

struct archive_ctx {
    struct snapshot_names *names;
    const char *base;
};

/* An archive of other models says nothing of these. */
static enum tl_rc copy_archive(void *ctx, const struct store_model *model, struct tl_err *err)
{
    const struct archive_ctx *a = ctx;
    struct archive_info info;

    (void)err;
    archive_info_decode(model->info.data, model->info.n, &info);
    if (strcmp(info.base, a->base) == 0) {
        snprintf(a->names->archive, sizeof(a->names->archive), "%s", model->hash);
    }
    return TL_OK;
}

static enum tl_rc read_archive(struct store_tx *tx, struct snapshot_names *names, struct tl_err *err)
{
    char base[TL_HASH_TEXT];
    struct tl_err why = {0};
    enum tl_rc rc = snapshot_names_base(names, base, err);

    if (rc) {
        return rc;
    }
    rc = store_model_current(tx, "archive", names->space, names->devices.names[0], copy_archive,
                             &(struct archive_ctx){names, base}, &why);
    return rc && rc != TL_NOT_FOUND ? tl_fail(err, rc, "%s", why.text) : TL_OK;
}

/* The current models of names->space and names->devices. */
static enum tl_rc read_current(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    struct snapshot_names *names = ctx;
    enum tl_rc rc = read_kind(tx, "accuracy", names->space, "", names->accuracy, err);

    rc = rc ? rc : read_kind(tx, "supernet", names->space, "", names->supernet, err);
    rc = rc ? rc : read_kind(tx, "table", names->space, "", names->table, err);
    for (size_t d = 0; d < names->devices.n && !rc; d++) {
        rc = read_kind(tx, "latency", names->space, names->devices.names[d], names->latency[d], err);
    }
    return rc || names->devices.n > 1 ? rc : read_archive(tx, names, err); /* archives are of one device or none */
}

static enum tl_rc fill(struct snapshots *snapshots, const struct snapshot_names *names, const char *hash,
                       struct snapshot *ret_snapshot, struct tl_err *err)
{
    struct snapshot snapshot = {.owner = snapshots, .space = spaces_find(snapshots->spaces, names->space)};
    struct entry *entry = NULL;
    enum tl_rc rc;

    if (!snapshot.space) {
        return tl_fail(err, TL_NOT_FOUND, "no space is called %s", names->space);
    }
    snapshot.family = snapshot.space->family;
    const struct space *space = &snapshot.space->space;
    if ((rc = snapshot_names_base(names, snapshot.base, err))) {
        return rc;
    }
    snprintf(snapshot.hash, sizeof(snapshot.hash), "%s", hash);
    snprintf(snapshot.supernet, sizeof(snapshot.supernet), "%s", names->supernet);
    snapshot.devices = names->devices;
    if (names->accuracy[0]) {
        if ((rc = take(snapshots, names->accuracy, ENTRY_ACCURACY, space, &entry, err))) {
            return rc;
        }
        snapshot.accuracy_entry = entry;
        snapshot.accuracy = entry->accuracy;
    }
    for (size_t d = 0; d < names->devices.n; d++) {
        if (!names->latency[d][0]) {
            continue;
        }
        if ((rc = take(snapshots, names->latency[d], ENTRY_LATENCY, space, &entry, err))) {
            snapshot_done(&snapshot);
            return rc;
        }
        snapshot.latency_entry[d] = entry;
        snapshot.latency[d] = entry->latency;
    }
    if (names->table[0]) {
        if ((rc = take(snapshots, names->table, ENTRY_TABLE, space, &entry, err))) {
            snapshot_done(&snapshot);
            return rc;
        }
        snapshot.table_entry = entry;
        snapshot.table = entry->table;
    }
    if (names->archive[0]) {
        if ((rc = take(snapshots, names->archive, ENTRY_ARCHIVE, space, &entry, err))) {
            snapshot_done(&snapshot);
            return rc;
        }
        snapshot.archive_entry = entry;
        snapshot.archive = entry->archive;
    }
    *ret_snapshot = snapshot;
    return TL_OK;
}

struct put_ctx {
    const char *hash;
    struct store_bytes json;
};

static enum tl_rc put_snapshot(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct put_ctx *put = ctx;

    return store_snapshot_put(tx, put->hash, put->json, err);
}

static enum tl_rc name_space(struct snapshots *snapshots, const char *space_name, struct snapshot_names *names,
                             struct tl_err *err)
{
    const struct space_entry *entry = spaces_find(snapshots->spaces, space_name);

    if (!entry) {
        return tl_fail(err, TL_NOT_FOUND, "no space is called %s", space_name);
    }
    snprintf(names->space, sizeof(names->space), "%s", space_name);
    tl_hash_format(&entry->space.id, names->space_id);
    return TL_OK;
}

/* The current snapshot, its document, and its hash in text. */
static enum tl_rc current(struct snapshots *snapshots, const char *space, const char *devices, struct tl_buf *json,
                          struct snapshot *ret_snapshot, struct tl_err *err)
{
    struct snapshot_names names = {0};
    struct tl_hash hash;
    char text[TL_HASH_TEXT];
    enum tl_rc rc;

    devices_split(devices, &names.devices);
    if ((rc = name_space(snapshots, space, &names, err)) ||
        (rc = store_read(snapshots->store, read_current, &names, err)) ||
        (rc = snapshot_names_encode(&names, json, err))) {
        return rc;
    }
    hash = tl_hash_of(json->data, json->len);
    tl_hash_format(&hash, text);
    return fill(snapshots, &names, text, ret_snapshot, err);
}

enum tl_rc snapshots_current(struct snapshots *snapshots, const char *space, const char *devices,
                             struct snapshot *ret_snapshot, struct tl_err *err)
{
    TL_AUTO(tl_buf) json = {0};

    return current(snapshots, space, devices, &json, ret_snapshot, err);
}

static bool is_pinned(struct snapshots *snapshots, const char *hash)
{
    bool found = false;

    pthread_mutex_lock(&snapshots->lock);
    for (size_t i = 0; i < PINNED_KEPT && !found; i++) {
        found = strcmp(snapshots->pinned[i], hash) == 0;
    }
    pthread_mutex_unlock(&snapshots->lock);
    return found;
}

static void note_pinned(struct snapshots *snapshots, const char *hash)
{
    pthread_mutex_lock(&snapshots->lock);
    snprintf(snapshots->pinned[snapshots->n_pinned++ % PINNED_KEPT], TL_HASH_TEXT, "%s", hash);
    pthread_mutex_unlock(&snapshots->lock);
}

enum tl_rc snapshots_pin(struct snapshots *snapshots, const char *space, const char *devices,
                         struct snapshot *ret_snapshot, struct tl_err *err)
{
    TL_AUTO(tl_buf) json = {0};
    struct snapshot snapshot;
    enum tl_rc rc = current(snapshots, space, devices, &json, &snapshot, err);

    if (rc) {
        return rc;
    }
    struct put_ctx put = {snapshot.hash, {json.data, json.len}};
    if (!is_pinned(snapshots, snapshot.hash)) {
        if ((rc = store_write(snapshots->store, put_snapshot, &put, err))) {
            snapshot_done(&snapshot);
            return rc;
        }
        note_pinned(snapshots, snapshot.hash);
    }
    *ret_snapshot = snapshot;
    return TL_OK;
}

static enum tl_rc decode_names(void *ctx, const char *name, struct store_bytes bytes, struct tl_err *err)
{
    (void)name;
    return snapshot_names_decode(bytes.data, bytes.n, ctx, err);
}

struct get_ctx {
    const char *hash;
    struct snapshot_names *names;
};

static enum tl_rc get_snapshot(struct store_tx *tx, void *ctx, struct tl_err *err)
{
    const struct get_ctx *get = ctx;

    return store_snapshot_get(tx, get->hash, decode_names, get->names, err);
}

enum tl_rc snapshots_load(struct snapshots *snapshots, const char *hash, struct snapshot *ret_snapshot,
                          struct tl_err *err)
{
    struct snapshot_names names = {0};
    enum tl_rc rc = store_read(snapshots->store, get_snapshot, &(struct get_ctx){hash, &names}, err);

    return rc ? rc : fill(snapshots, &names, hash, ret_snapshot, err);
}

/* ---- ranges -------------------------------------------------------------------------------------------------- */

static bool kept_find(struct snapshots *snapshots, const char *base, struct metric_range ret_ranges[COLUMNS_MAX])
{
    bool found = false;

    pthread_mutex_lock(&snapshots->lock);
    for (size_t i = 0; i < RANGES_KEPT && !found; i++) {
        if (strcmp(snapshots->kept[i].base, base) == 0) {
            memcpy(ret_ranges, snapshots->kept[i].ranges, sizeof(snapshots->kept[i].ranges));
            found = true;
        }
    }
    pthread_mutex_unlock(&snapshots->lock);
    return found;
}

enum tl_rc snapshots_ranges(struct snapshots *snapshots, const struct snapshot *snapshot,
                            struct metric_range ret_ranges[COLUMNS_MAX], struct tl_err *err)
{
    struct evaluator *evaluator = NULL;
    enum tl_rc rc;

    if (kept_find(snapshots, snapshot->base, ret_ranges)) {
        return TL_OK;
    }
    if ((rc = snapshot_evaluator(snapshot, &evaluator, err))) {
        return rc;
    }
    evaluator_ranges(evaluator, ret_ranges);
    evaluator_free(evaluator);
    pthread_mutex_lock(&snapshots->lock);
    struct kept_ranges *kept = &snapshots->kept[snapshots->n_kept++ % RANGES_KEPT];
    memcpy(kept->base, snapshot->base, sizeof(kept->base));
    memcpy(kept->ranges, ret_ranges, sizeof(kept->ranges));
    pthread_mutex_unlock(&snapshots->lock);
    return TL_OK;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

enum tl_rc snapshots_new(struct store *store, struct spaces *spaces, struct snapshots **ret_snapshots,
                         struct tl_err *err)
{
    struct snapshots *snapshots;
    enum tl_rc rc = builtin_models_publish(store, err);

    if (rc) {
        return rc;
    }
    if (!(snapshots = calloc(1, sizeof(*snapshots)))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for models");
    }
    snapshots->store = store;
    snapshots->spaces = spaces;
    pthread_mutex_init(&snapshots->lock, NULL);
    *ret_snapshots = snapshots;
    return TL_OK;
}

void snapshots_free(struct snapshots *snapshots)
{
    if (!snapshots) {
        return;
    }
    while (snapshots->entries) {
        struct entry *entry = snapshots->entries;
        snapshots->entries = entry->next;
        entry_free(entry);
    }
    pthread_mutex_destroy(&snapshots->lock);
    free(snapshots);
}
