/* snapshots.h - the models that searches use, in memory by hash; and the snapshot that pins them.
 *
 * A snapshot is an immutable document naming the space and the hashes of the models a search saw; its own hash is its
 * name. Models are read from blobs once and shared (counted).
 *
 * Threads: every function from any thread; the models themselves are immutable.
 */
#ifndef TAILOR_SNAPSHOTS_H
#define TAILOR_SNAPSHOTS_H

#include "server/evaluator.h"
#include "storage/storage.h"
#include "supernet/network.h"

struct accuracy_model;
struct archive;
struct snapshots;
struct space_entry;
struct spaces;

struct snapshot {
    char hash[TL_HASH_TEXT];
    char supernet[TL_HASH_TEXT];                  /* blob of the weights; "": the space had none */
    const struct space_entry *space;              /* borrowed as long as the spaces live */
    const struct net_family *family;              /* static; NULL: the space has none */
    const struct accuracy_model *accuracy;        /* NULL: the space has none; shared until snapshot_done */
    const struct lat_model *latency[DEVICES_MAX]; /* of each device; NULL: no device, or none yet */
    const struct value_table *table; /* NULL: none; else the space has no family, and this is all there is */
    const struct archive *archive;   /* NULL: none that these models valued, or several devices */
    struct devices devices;
    char base[TL_HASH_TEXT]; /* names what values architectures here: snapshot_names_base */
    struct snapshots *owner;
    void *accuracy_entry, *latency_entry[DEVICES_MAX], *table_entry, *archive_entry;
};

/* Publishes the models shipped with the program where the store has none of that space. `spaces`: borrowed for life. */
TL_MUST_CHECK enum tl_rc snapshots_new(struct store *store, struct spaces *spaces, struct snapshots **ret_snapshots,
                                       struct tl_err *err);
void snapshots_free(struct snapshots *snapshots);

/* The current models of a space and `devices` (names joined by commas; "": none), not stored: for a look. TL_NOT_FOUND:
 * unknown space. */
TL_MUST_CHECK enum tl_rc snapshots_current(struct snapshots *snapshots, const char *space, const char *devices,
                                           struct snapshot *ret_snapshot, struct tl_err *err);
/* The same as a stored snapshot, which snapshots_load finds again. */
TL_MUST_CHECK enum tl_rc snapshots_pin(struct snapshots *snapshots, const char *space, const char *devices,
                                       struct snapshot *ret_snapshot, struct tl_err *err);
/* A snapshot pinned earlier. */
TL_MUST_CHECK enum tl_rc snapshots_load(struct snapshots *snapshots, const char *hash, struct snapshot *ret_snapshot,
                                        struct tl_err *err);
void snapshot_done(struct snapshot *snapshot);
/* The first device without a latency model; its number where all have one (or a table values everything). */
size_t snapshot_lacks(const struct snapshot *snapshot);
/* An evaluator of what it pins; TL_NOT_FOUND: there is nothing that could value an architecture. */
TL_MUST_CHECK enum tl_rc snapshot_evaluator(const struct snapshot *snapshot, struct evaluator **ret_evaluator,
                                            struct tl_err *err);

/* What each column can reach under the snapshot (evaluator_ranges), worked out once for models that value alike. */
TL_MUST_CHECK enum tl_rc snapshots_ranges(struct snapshots *snapshots, const struct snapshot *snapshot,
                                          struct metric_range ret_ranges[COLUMNS_MAX], struct tl_err *err);

#endif
