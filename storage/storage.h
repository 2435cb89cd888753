/* storage.h - everything Tailor must not forget, in one SQLite file and a folder of blobs beside it.
 *
 * One idea: one writer. A thread owns the only read-write connection and runs closures from a bounded queue, many in one
 * transaction (group commit, synchronous=FULL); store_write returns when its closure is on the disk. Readers have
 * read-only connections of their own. The accessors below work inside either kind of transaction.
 *
 * Storage knows ids, indexed numbers and opaque bytes made by codecs; no struct of another room. Times are wall-clock
 * nanoseconds. Text and bytes in rows handed to a visitor are borrowed until it returns. NULL text is stored as "".
 *
 * Every accessor: TL_INVALID when a value is none of those the schema allows, TL_NOT_FOUND when the search or device it
 * names is not there, TL_IO and TL_NO_MEMORY as SQLite reports them. `seq` is given by the store and ignored in what is
 * put.
 *
 * Threads: store_write, store_read and the blob functions from any thread; a struct store_tx only inside its closure.
 */
#ifndef TAILOR_STORAGE_H
#define TAILOR_STORAGE_H

#include "base/base.h"

struct store;
struct store_tx;

struct store_bytes {
    const void *data;
    size_t n;
};

/* ---- the store ----------------------------------------------------------------------------------------------- */

/* Open or create DIR/tailor.db and DIR/blobs; migrate an older schema (a copy is kept beside it first). TL_CONFLICT:
 * somebody has it open (flock on DIR/tailor.lock), the schema is newer than this program, or the file is no store.
 * `vfs` NULL: the default one (tests pass a shim that loses unsynced writes). */
TL_MUST_CHECK enum tl_rc store_open(const char *dir, const char *vfs, struct store **ret_store, struct tl_err *err);
void store_close(struct store *store);            /* waits for writes under way; takes NULL; no read may be under way */
const char *store_dir(const struct store *store); /* borrowed until store_close */
const char *store_engine_version(void);           /* SQLite's, static */

/* Run `fn` inside a write transaction and wait until it is durable. When fn fails, its own changes are undone
 * (savepoint), the group goes on, and its error is returned. TL_BUSY: the queue (1024) is full. Any other failure of
 * the group itself (a full disk) is returned to all of it, and nothing of it was stored. fn runs on the writer's
 * thread: it must be short, touch no network, take no lock that is held while calling store_write. */
TL_MUST_CHECK enum tl_rc store_write(struct store *store, enum tl_rc (*fn)(struct store_tx *, void *, struct tl_err *),
                                     void *ctx, struct tl_err *err);
/* Run `fn` on one consistent snapshot; writing accessors fail inside. Waits while all four readers are taken, so fn must
 * be short and must not call store_read. */
TL_MUST_CHECK enum tl_rc store_read(struct store *store, enum tl_rc (*fn)(struct store_tx *, void *, struct tl_err *),
                                    void *ctx, struct tl_err *err);

/* A page of a list: rows after `after` in the list's order, at most `limit` (1..1000). */
struct store_page {
    int64_t after; /* 0: from the start */
    int limit;     /* anything else is TL_INVALID */
};

/* Visitors return TL_OK to go on; anything else stops the walk and is returned. */

/* ---- devices ------------------------------------------------------------------------------------------------- */

struct store_device {
    int64_t seq; /* order of registration; list cursor */
    const char *name;
    const char *agent_key; /* secret that tells one agent's requests from another's; "" for a device without agent */
    int64_t created_ns, seen_ns; /* seen 0: never */
    double anchor_reference_ms;  /* 0: not yet fixed */
    const char *state;           /* "active" | "quarantined" | "draining"; ignored in what is put */
    const char *state_reason;    /* "" of an active one */
    int64_t state_since_ns;      /* likewise 0 */
    struct store_bytes info;     /* JSON */
};

/*     active -> quarantined                the third store_device_failed within a minute
 *     active | quarantined -> draining     store_device_drain
 *     quarantined | draining -> active     store_device_resume
 * A device that is not active keeps the lease it holds, and gets no other. */

/* Insert, or update agent_key, seen_ns and info of the name. */
TL_MUST_CHECK enum tl_rc store_device_put(struct store_tx *tx, const struct store_device *device, struct tl_err *err);
/* TL_NOT_FOUND: no such device. */
TL_MUST_CHECK enum tl_rc store_device_seen(struct store_tx *tx, const char *name, int64_t seen_ns, struct tl_err *err);
/* Fix the anchor's reference; TL_NOT_FOUND; TL_CONFLICT when it is already fixed. */
TL_MUST_CHECK enum tl_rc store_device_anchor(struct store_tx *tx, const char *name, double reference_ms,
                                             struct tl_err *err);
/* Count a job that failed at now_ns; the third of an active device within a minute quarantines it for `reason` and sets
 * *ret_quarantined. */
TL_MUST_CHECK enum tl_rc store_device_failed(struct store_tx *tx, const char *name, int64_t now_ns, const char *reason,
                                             bool *ret_quarantined, struct tl_err *err);
/* TL_NOT_FOUND, both. Resuming an active device also forgets its failures. */
TL_MUST_CHECK enum tl_rc store_device_drain(struct store_tx *tx, const char *name, int64_t now_ns, const char *reason,
                                            struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_device_resume(struct store_tx *tx, const char *name, struct tl_err *err);
/* Visit one (TL_NOT_FOUND) or a page, oldest first. */
typedef enum tl_rc store_device_fn(void *ctx, const struct store_device *device, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_device_get(struct store_tx *tx, const char *name, store_device_fn *fn, void *ctx,
                                          struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_device_list(struct store_tx *tx, struct store_page page, store_device_fn *fn, void *ctx,
                                           struct tl_err *err);

/* ---- tokens -------------------------------------------------------------------------------------------------- */

struct store_token {
    int64_t id;         /* given by the store, in order; list cursor */
    const char *kind;   /* "agent" | "client" */
    const char *device; /* the only one that an agent's token speaks for; it need not be known yet. "" of a client's */
    const char *label;
    const char *digest; /* of the secret; unique */
    int64_t created_ns;
    int64_t registered_ns; /* when an agent first registered with it; 0: not yet */
    int64_t revoked_ns;    /* 0: valid */
};

TL_MUST_CHECK enum tl_rc store_token_add(struct store_tx *tx, const struct store_token *token, int64_t *ret_id,
                                         struct tl_err *err);
/* An agent registers with it: *ret_first says whether that is the first time. TL_NOT_FOUND: none, or revoked. */
TL_MUST_CHECK enum tl_rc store_token_registered(struct store_tx *tx, int64_t id, int64_t now_ns, bool *ret_first,
                                                struct tl_err *err);
/* For good; one that is revoked keeps its time. TL_NOT_FOUND. */
TL_MUST_CHECK enum tl_rc store_token_revoke(struct store_tx *tx, int64_t id, int64_t now_ns, struct tl_err *err);
/* Valid ones of a kind. */
TL_MUST_CHECK enum tl_rc store_token_count(struct store_tx *tx, const char *kind, int64_t *ret_n, struct tl_err *err);
typedef enum tl_rc store_token_fn(void *ctx, const struct store_token *token, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_token_list(struct store_tx *tx, struct store_page page, store_token_fn *fn, void *ctx,
                                          struct tl_err *err);

/* ---- spaces --------------------------------------------------------------------------------------------------- */

/* A space that somebody brought; immutable. */
struct store_space {
    int64_t seq; /* order of arrival; list cursor */
    const char *name;
    int64_t created_ns;
    struct store_bytes document; /* JSON, in the one form that its codec writes */
};

/* Insert; *ret_new false: it is there already, byte for byte. TL_CONFLICT: the name has another document. */
TL_MUST_CHECK enum tl_rc store_space_put(struct store_tx *tx, const struct store_space *space, bool *ret_new,
                                         struct tl_err *err);
typedef enum tl_rc store_space_fn(void *ctx, const struct store_space *space, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_space_list(struct store_tx *tx, struct store_page page, store_space_fn *fn, void *ctx,
                                          struct tl_err *err);

/* ---- models and snapshots ------------------------------------------------------------------------------------ */

struct store_model {
    int64_t seq;
    const char *kind; /* "accuracy" | "latency" | "supernet" | "table" | "archive" */
    const char *space;
    const char *device; /* "" for accuracy */
    const char *hash;   /* of the bytes; the model is the blob of that name */
    int64_t created_ns;
    struct store_bytes info; /* JSON: where it came from, errors, rows */
};

/* Publish; the newest of (kind, space, device) is the current one. The blob must exist (store_blob_put), or
 * TL_NOT_FOUND. */
TL_MUST_CHECK enum tl_rc store_model_put(struct store_tx *tx, const struct store_model *model, struct tl_err *err);
typedef enum tl_rc store_model_fn(void *ctx, const struct store_model *model, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_model_current(struct store_tx *tx, const char *kind, const char *space,
                                             const char *device, store_model_fn *fn, void *ctx, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_model_list(struct store_tx *tx, struct store_page page, store_model_fn *fn, void *ctx,
                                          struct tl_err *err);

/* Snapshots: immutable JSON by its hash, naming model hashes. Putting one that is there is TL_OK. */
TL_MUST_CHECK enum tl_rc store_snapshot_put(struct store_tx *tx, const char *hash, struct store_bytes json,
                                            struct tl_err *err);
typedef enum tl_rc store_bytes_fn(void *ctx, const char *name, struct store_bytes bytes, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_snapshot_get(struct store_tx *tx, const char *hash, store_bytes_fn *fn, void *ctx,
                                            struct tl_err *err);

/* ---- searches, candidates, events ---------------------------------------------------------------------------- */

struct store_search {
    int64_t seq;
    const char *id; /* UUID */
    const char *space;
    const char *device; /* "" : none; of several devices ",a,b," */
    const char *state;  /* queued profiling running evaluating verifying waiting_for_device finished failed cancelled */
    const char *outcome;                         /* "" until finished */
    const char *snapshot;                        /* hash; "" until pinned */
    int64_t created_ns, updated_ns, finished_ns; /* 0: not yet */
    int64_t evaluations;
    int64_t revision;              /* rises with every change; makes the ETag */
    struct store_bytes spec;       /* JSON as accepted */
    struct store_bytes progress;   /* JSON: round, message, warnings, problem, best ... ; small */
    struct store_bytes checkpoint; /* codec's state of the run; may be empty. Not filled by store_search_list */
    struct store_bytes
        result; /* JSON of the answer (front, history ...); may be empty. Not filled by store_search_list */
};

/* TL_CONFLICT: the id is taken. The revision is stored as given. */
TL_MUST_CHECK enum tl_rc store_search_insert(struct store_tx *tx, const struct store_search *search,
                                             struct tl_err *err);
/* Replace state, outcome, snapshot, times, evaluations, progress, checkpoint and result of a search that still stands at
 * `search->revision`; the revision rises. data NULL in checkpoint or result leaves that column. TL_NOT_FOUND. TL_CONFLICT:
 * somebody (a cancel) changed it since it was read. */
TL_MUST_CHECK enum tl_rc store_search_update(struct store_tx *tx, const struct store_search *search,
                                             struct tl_err *err);
typedef enum tl_rc store_search_fn(void *ctx, const struct store_search *search, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_search_get(struct store_tx *tx, const char *id, store_search_fn *fn, void *ctx,
                                          struct tl_err *err);
/* Newest first: page.after is a seq to go below (0: from the newest). state "" : any; device "" : any, else one name, which
 * also finds the searches that have it among several. */
TL_MUST_CHECK enum tl_rc store_search_list(struct store_tx *tx, const char *state, const char *device,
                                           struct store_page page, store_search_fn *fn, void *ctx, struct tl_err *err);
/* The oldest search that a worker can go on with: queued or running. TL_NOT_FOUND: there is none. */
TL_MUST_CHECK enum tl_rc store_search_next(struct store_tx *tx, store_search_fn *fn, void *ctx, struct tl_err *err);

struct store_candidate {
    int64_t id; /* given by the store; list cursor */
    const char *search;
    const char *arch;          /* architecture id, 32 hex digits; unique within a search */
    const char *role;          /* "front" | "sample" | "verify" | "nearest" | "archive" */
    int64_t number;            /* order of evaluation in its search */
    struct store_bytes genes;  /* canonical options */
    struct store_bytes values; /* JSON: metric values with kind, interval, measurement */
};

/* Insert or replace by (search, arch). *ret_id is the stored id, which never changes. */
TL_MUST_CHECK enum tl_rc store_candidate_put(struct store_tx *tx, const struct store_candidate *candidate,
                                             int64_t *ret_id, struct tl_err *err);
/* Remove those of one role (before a new front is written). Ids are not used again. */
TL_MUST_CHECK enum tl_rc store_candidate_clear(struct store_tx *tx, const char *search, const char *role,
                                               struct tl_err *err);
typedef enum tl_rc store_candidate_fn(void *ctx, const struct store_candidate *candidate, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_candidate_get(struct store_tx *tx, int64_t id, store_candidate_fn *fn, void *ctx,
                                             struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_candidate_list(struct store_tx *tx, const char *search, const char *role,
                                              struct store_page page, store_candidate_fn *fn, void *ctx,
                                              struct tl_err *err);

/* Events of a search, numbered by the store: 1, 2, 3 ... */
struct store_event {
    int64_t number; /* list cursor; ignored in what is added */
    int64_t time_ns;
    const char *kind;        /* "state" | "progress" | "round" | ... */
    struct store_bytes data; /* JSON */
};
TL_MUST_CHECK enum tl_rc store_event_add(struct store_tx *tx, const char *search, const struct store_event *event,
                                         struct tl_err *err);
typedef enum tl_rc store_event_fn(void *ctx, const struct store_event *event, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_event_list(struct store_tx *tx, const char *search, struct store_page page,
                                          store_event_fn *fn, void *ctx, struct tl_err *err);

/* ---- jobs and measurements ----------------------------------------------------------------------------------- */

struct store_job {
    int64_t seq;
    const char *id; /* UUID */
    const char *device;
    const char *kind;   /* "profile" | "verify" | "evaluate" */
    const char *search; /* "" : none */
    const char *space;
    const char *state;      /* queued leased done failed */
    int64_t not_before_ns;  /* not leased earlier (the pause between visits) */
    int64_t lease_until_ns; /* 0: not leased */
    int64_t attempt;        /* rises with every lease; a renewal or completion names it */
    const char *failure;    /* "" unless failed */
    int64_t created_ns;
    struct store_bytes work; /* JSON: what to run */
};

/*     queued -> leased            store_job_lease (attempt + 1)
 *     leased -> queued | failed   store_job_lease, when the lease has expired (failed: after 5)
 *     leased | queued again -> done | failed   store_job_end
 *     queued | leased -> failed   store_job_cancel_search
 * store_job_insert reads neither state, lease, attempt nor failure: a job begins queued. */
TL_MUST_CHECK enum tl_rc store_job_insert(struct store_tx *tx, const struct store_job *job, struct tl_err *err);
typedef enum tl_rc store_job_fn(void *ctx, const struct store_job *job, struct tl_err *err);
/* Lease the oldest runnable job of the device (queued and due, or its lease expired) until lease_until_ns and visit it.
 * A job whose lease the device still holds comes first and is visited as it stands, so that asking twice returns the
 * same one; unless the device is `shared` by several programs, which work at a job each. A job leased 5 times without an
 * end becomes failed. Nothing to do is TL_OK with *ret_leased false (a failing closure would undo what expired);
 * *ret_next_ns is then when a queued job becomes due (0: none), else 0. For a device
 * that is not active nothing is runnable or due. */
TL_MUST_CHECK enum tl_rc store_job_lease(struct store_tx *tx, const char *device, bool shared, int64_t now_ns,
                                         int64_t lease_until_ns, store_job_fn *fn, void *ctx, bool *ret_leased,
                                         int64_t *ret_next_ns, struct tl_err *err);
/* TL_NOT_FOUND; TL_CONFLICT: the lease is another's by now (attempt) or the job has ended. */
TL_MUST_CHECK enum tl_rc store_job_renew(struct store_tx *tx, const char *id, int64_t attempt, int64_t lease_until_ns,
                                         struct tl_err *err);
/* done (failure "") or failed; also after the lease expired, as long as nobody else took the job. A job that has ended stays as it is: TL_OK when it ended the same way, else TL_CONFLICT. */
TL_MUST_CHECK enum tl_rc store_job_end(struct store_tx *tx, const char *id, int64_t attempt, const char *failure,
                                       struct tl_err *err);
/* Queued and leased jobs of a search become failed with this reason. */
TL_MUST_CHECK enum tl_rc store_job_cancel_search(struct store_tx *tx, const char *search, const char *reason,
                                                 struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_job_get(struct store_tx *tx, const char *id, store_job_fn *fn, void *ctx,
                                       struct tl_err *err);
/* Filters "": any. Oldest first. */
TL_MUST_CHECK enum tl_rc store_job_list(struct store_tx *tx, const char *device, const char *kind, const char *search,
                                        const char *state, struct store_page page, store_job_fn *fn, void *ctx,
                                        struct tl_err *err);

/* The newest `limit` (as a page's) jobs of a search, newest first. */
TL_MUST_CHECK enum tl_rc store_job_newest(struct store_tx *tx, const char *search, int limit, store_job_fn *fn,
                                          void *ctx, struct tl_err *err);

/* What a worker said of one metric of one architecture. `source`: the pool that it belongs to; or a search, for what
 * stays without a value in it alone. */
struct store_evaluation {
    const char *source, *space;
    const char *arch; /* architecture id, 32 hex digits */
    const char *metric;
    double value; /* NAN: cannot be valued */
};

/* Keep it; the first one stands. *ret_same false: another value is kept. */
TL_MUST_CHECK enum tl_rc store_evaluation_put(struct store_tx *tx, const struct store_evaluation *evaluation,
                                              bool *ret_same, struct tl_err *err);
/* Into evaluation->value; *ret_known false: nobody said anything yet. */
TL_MUST_CHECK enum tl_rc store_evaluation_get(struct store_tx *tx, struct store_evaluation *evaluation, bool *ret_known,
                                              struct tl_err *err);

struct store_measurement {
    int64_t seq;
    const char *id; /* UUID, chosen by the agent */
    const char *device;
    const char *job;    /* "" : none */
    const char *search; /* "" : none */
    const char *space;
    const char *subject; /* what was timed: architecture id, or a block key */
    const char *kind;    /* "network" | "block" */
    const char *verdict; /* "stable" | "unstable" */
    const char *reason;  /* "" when stable */
    bool late;           /* came after its lease was lost */
    int64_t created_ns;
    double ratio;     /* median over blocks of item / anchor */
    double anchor_ms; /* median of the visit's anchor blocks */
    double median_ms; /* raw */
    const char *body_hash;
    struct store_bytes body; /* the uploaded bytes. Not filled by store_measurement_list */
};

/* Insert. The same id with the same body_hash is TL_OK and changes nothing (*ret_new false); with another it is
 * TL_CONFLICT. */
TL_MUST_CHECK enum tl_rc store_measurement_put(struct store_tx *tx, const struct store_measurement *measurement,
                                               bool *ret_new, struct tl_err *err);
typedef enum tl_rc store_measurement_fn(void *ctx, const struct store_measurement *measurement, struct tl_err *err);
TL_MUST_CHECK enum tl_rc store_measurement_get(struct store_tx *tx, const char *id, store_measurement_fn *fn, void *ctx,
                                               struct tl_err *err);
/* Filters "": any. Oldest first. */
TL_MUST_CHECK enum tl_rc store_measurement_list(struct store_tx *tx, const char *device, const char *space,
                                                const char *kind, const char *subject, const char *search,
                                                struct store_page page, store_measurement_fn *fn, void *ctx,
                                                struct tl_err *err);

/* ---- blobs: files named by their hash, complete or absent ----------------------------------------------------- */

/* Bytes of the largest file that is taken: the largest supernet of supernet/families has 93 MiB in float16. */
enum { STORE_BLOB_MAX = 128 << 20 };

/* Durable on TL_OK. Putting bytes that are there is TL_OK. */
TL_MUST_CHECK enum tl_rc store_blob_put(struct store *store, const void *data, size_t n, struct tl_hash *ret_hash,
                                        struct tl_err *err);
/* Append the blob to `buf`. TL_NOT_FOUND; TL_TOO_LARGE: over buf->max; TL_IO: the file no longer has the bytes its name
 * promises. */
TL_MUST_CHECK enum tl_rc store_blob_get(struct store *store, const struct tl_hash *hash, struct tl_buf *buf,
                                        struct tl_err *err);

#endif
