/* agent.h - the device program: leases jobs from a Tailor server, times networks, uploads what it saw.
 *
 * One idea: a measurement is on this device's disk before anything is said about it, and leaves it only when the server
 * has acknowledged it; everything else may be cut off at any moment and is simply done again.
 *
 *     register -> send what is spooled -> lease -> (fetch models) -> measure -> spool -> send -> complete -> lease ...
 *
 * What runs the networks is a runner (runner.h): our own runtime in this process, or a program of others.
 *
 * Threads: one, and those of the pool that runs the networks. A signal handler sets `stop`.
 */
#ifndef TAILOR_AGENT_H
#define TAILOR_AGENT_H

#include "base/base.h"
#include "base/http_client.h"
#include "latency/agent/runner.h"
#include "latency/codec_job.h"
#include "latency/codec_measurement.h"

/* ---- config.c, codec_config.c: the command line and the file it names ------------------------------------------ */

enum { AGENT_DIR_MAX = 768, AGENT_PATH_MAX = RUNNER_PATH_MAX, AGENT_URL_MAX = 256, AGENT_THREADS_MAX = 256 };

enum agent_action { AGENT_RUN, AGENT_SHOW_HELP, AGENT_SHOW_VERSION };

struct agent_config {
    enum agent_action action;
    char server[AGENT_URL_MAX];
    char name[LAT_DEVICE_TEXT];
    char state_dir[AGENT_DIR_MAX];
    char token_file[AGENT_DIR_MAX], ca_file[AGENT_DIR_MAX]; /* "": what the environment says (http_client_identify) */
    char lock[AGENT_DIR_MAX];                               /* held while measuring; "": none */
    struct runner_config runner;
    int64_t once_idle_s; /* leave after this long without work; -1: never */
};

/* TL_INVALID says which option is wrong and what would be right. `xdg_state_home` and `home` are those variables of the
 * environment, or NULL. */
TL_MUST_CHECK enum tl_rc agent_config_parse(int argc, char *const *argv, const char *xdg_state_home, const char *home,
                                            struct agent_config *ret_config, struct tl_err *err);
const char *agent_help(void); /* static */

/* Take over what a configuration file says (codec_config.c shows one). TL_INVALID names the file and the place in it. */
TL_MUST_CHECK enum tl_rc agent_config_read(const char *path, struct agent_config *config, struct tl_err *err);

/* ---- state.c: the folder of one agent -------------------------------------------------------------------------- */

struct agent_state {
    int lock_fd;            /* owned; -1: none */
    char key[TL_HASH_TEXT]; /* this agent's secret, made once */
};

/* Make the folder, lock it against other agents, read or make the key; all files belong to the owner alone (umask 077 for
 * the whole process). TL_CONFLICT: another agent has the folder. */
TL_MUST_CHECK enum tl_rc agent_state_open(const char *dir, struct agent_state *ret_state, struct tl_err *err);
void agent_state_done(struct agent_state *state);

/* ---- spool.c: measurements on their way ------------------------------------------------------------------------ */

enum {
    SPOOL_FILES_MAX = 256,
    SPOOL_BYTES_MAX = 64 << 20,
    SPOOL_FILE_MAX = 2 << 20, /* a measurement of LAT_ROUNDS_MAX rounds has some 300 KiB */
    SPOOL_REJECTED_MAX = 64,  /* the newest ones */
};

/* A folder of UUID.json files, and of what the server refused. A file is complete or absent, whatever happens. */
struct agent_spool {
    char dir[AGENT_DIR_MAX];      /* STATE/spool */
    char rejected[AGENT_DIR_MAX]; /* STATE/spool/rejected */
};

/* Make the folders, clear away what a crash left half written. */
TL_MUST_CHECK enum tl_rc agent_spool_open(const char *state_dir, struct agent_spool *ret_spool, struct tl_err *err);
/* Room for `n` more measurements? */
TL_MUST_CHECK enum tl_rc agent_spool_room(const struct agent_spool *spool, size_t n, bool *ret_room,
                                          struct tl_err *err);
/* On the disk when it returns TL_OK. TL_BUSY: the spool is full. */
TL_MUST_CHECK enum tl_rc agent_spool_add(const struct agent_spool *spool, const char *uuid, const void *data, size_t n,
                                         struct tl_err *err);
/* The oldest first; ret_uuids holds SPOOL_FILES_MAX. */
TL_MUST_CHECK enum tl_rc agent_spool_list(const struct agent_spool *spool, char ret_uuids[][TL_UUID_TEXT],
                                          size_t *ret_n, struct tl_err *err);
TL_MUST_CHECK enum tl_rc agent_spool_read(const struct agent_spool *spool, const char *uuid, struct tl_buf *buf,
                                          struct tl_err *err);
TL_MUST_CHECK enum tl_rc agent_spool_remove(const struct agent_spool *spool, const char *uuid, struct tl_err *err);
/* Move to the rejected ones, with the server's answer beside it; the oldest of more than SPOOL_REJECTED_MAX go. */
TL_MUST_CHECK enum tl_rc agent_spool_reject(const struct agent_spool *spool, const char *uuid, const char *answer,
                                            struct tl_err *err);

/* Remove the files of a folder whose names end so: with ".tmp", what tl_file_write had not renamed when the machine went
 * down, so that nobody was promised it; with "", all but those that begin with a dot. */
TL_MUST_CHECK enum tl_rc agent_folder_sweep(const char *dir, const char *ending, struct tl_err *err);

/* ---- models.c: files for runners that want them ---------------------------------------------------------------- */

enum { AGENT_MODEL_MAX = 256 << 20 }; /* bytes of one */

struct agent_models {
    char dir[AGENT_DIR_MAX];
    size_t bytes[RUNNER_SLOTS];
    char hashes[RUNNER_SLOTS][TL_HASH_TEXT]; /* of the files; "": none. Slot 0 is the anchor's, i + 1 that of item i */
    struct tl_hash anchor;                   /* which network's file slot 0 holds; set by the caller */
};

/* Make the folder, remove what an earlier run left in it. */
TL_MUST_CHECK enum tl_rc agent_models_open(const char *state_dir, struct agent_models *ret_models, struct tl_err *err);
bool agent_models_have_anchor(const struct agent_models *models, const struct tl_hash *network);
/* Keep the file of an answer whose ETag is its hash; TL_INVALID when it is not. TL_TOO_LARGE: with the others of the job. */
TL_MUST_CHECK enum tl_rc agent_models_put(struct agent_models *models, size_t slot, const struct http_answer *answer,
                                          struct tl_err *err);
void agent_models_path(const struct agent_models *models, size_t slot, char ret_path[AGENT_PATH_MAX]);
void agent_models_clear(struct agent_models *models); /* all but the anchor's */

/* ---- lock.c: one measurement at a time ------------------------------------------------------------------------- */

struct agent_lock {
    int fd; /* owned; -1: none */
    int64_t given_ns;
};

/* The lock that all agents of this machine share by default, since they share its processors. */
void agent_lock_default(char ret_path[AGENT_DIR_MAX]);
/* `path` "": no lock, and taking it does nothing. */
TL_MUST_CHECK enum tl_rc agent_lock_open(const char *path, struct agent_lock *ret_lock, struct tl_err *err);
void agent_lock_done(struct agent_lock *lock);
/* Wait for it, as long as the watch lets us. */
TL_MUST_CHECK enum tl_rc agent_lock_take(struct agent_lock *lock, const struct agent_watch *watch, struct tl_err *err);
void agent_lock_give(struct agent_lock *lock);

/* ---- context.c: the machine ------------------------------------------------------------------------------------ */

/* One look at the machine. NAN or "": it does not tell. */
struct agent_machine {
    int64_t mono_ns;
    double busy_s, steal_s, total_s; /* summed over processors since boot; total counts idle */
    double own_s;                    /* processor time of this process, and of its runner */
    double khz, temp_c, load1;
    char governor[LAT_CONTEXT_TEXT];
};

/* `root` is put before /proc and /sys: "" but in tests. */
void agent_machine_look(const char *root, struct agent_machine *ret_machine);
/* What other processes used between two looks, in processors, and the share of time stolen; NAN: unknown. */
double agent_others_cpu(const struct agent_machine *before, const struct agent_machine *after);
double agent_steal(const struct agent_machine *before, const struct agent_machine *after);

/* What a device tells about itself once. */
struct agent_host {
    char cpu[128], os[128], kernel[128];
    unsigned cores;
};
void agent_host_look(const char *root, struct agent_host *ret_host);

/* ---- measure.c ------------------------------------------------------------------------------------------------- */

/* Runs of one network, block after block. */
struct agent_series {
    size_t blocks;
    uint16_t n[LAT_ROUNDS_MAX + 1];
    int64_t *ns; /* owned */
    size_t runs, cap;
};

struct agent_result {
    struct agent_series anchor; /* rounds + 1 blocks */
    struct agent_series *items; /* owned, (n_items) of rounds blocks */
    size_t n_items;
    bool failed[LAT_JOB_ITEMS_MAX]; /* the runner could not time it: it has no visit */
    size_t n_failed;
    char why[200]; /* the first of them, and why */
    bool means;
    struct agent_machine before, after;
    int64_t started_wall_ns;
};
void agent_result_done(struct agent_result *result);

enum { AGENT_FAILURES_MAX = 3 }; /* of items; with the next one the runner itself is what fails */

/* Time a job's items and anchor in turn: A I1 .. In A I1 .. In ... A. The watch is asked before every block. `models` NULL
 * where the runner wants no files. An item that the runner cannot time is left out and the others go on; the anchor's
 * failure, or that of all items or of more than AGENT_FAILURES_MAX, is returned. */
TL_MUST_CHECK enum tl_rc agent_measure(const struct lat_job *job, struct runner *runner,
                                       const struct agent_models *models, const struct agent_watch *watch,
                                       struct agent_result *ret_result, struct tl_err *err);
/* The visit of item i, which did not fail: its arrays are borrowed from the result. */
struct lat_visit agent_result_visit(const struct agent_result *result, size_t i);

/* ---- codec_agent.c: what the agent says besides measurements --------------------------------------------------- */

TL_MUST_CHECK enum tl_rc agent_encode_registration(const struct agent_config *config, const struct runner *runner,
                                                   const char *key, const struct agent_host *host, struct tl_buf *buf,
                                                   struct tl_err *err);
/* Which network a model file stands for: equal hashes, equal files. */
TL_MUST_CHECK enum tl_rc agent_network_hash(const struct network *net, uint64_t seed, unsigned batch,
                                            struct tl_hash *ret_hash, struct tl_err *err);
TL_MUST_CHECK enum tl_rc agent_encode_lease(const char *device, const char *key, struct tl_buf *buf,
                                            struct tl_err *err);
/* Renew, complete (reason NULL) or fail. Of a reason the first AGENT_REASON_MAX bytes are said. */
enum { AGENT_REASON_MAX = 200 };
TL_MUST_CHECK enum tl_rc agent_encode_attempt(int64_t attempt, const char *key, const char *reason, struct tl_buf *buf,
                                              struct tl_err *err);
/* The sentence of a problem answer, or its beginning when it is no problem document. */
void agent_problem_text(const struct http_answer *answer, char *ret_text, size_t size);

/* ---- loop.c ---------------------------------------------------------------------------------------------------- */

typedef void agent_say_fn(enum tl_log_level level, const char *text);

/* Work until *stop or, with once_idle_s, until there is nothing to do. TL_OK: left in good order. TL_CONFLICT,
 * TL_INVALID, TL_FORBIDDEN: the server or another agent forbids it, and it would go on doing so; what is spooled stays. */
TL_MUST_CHECK enum tl_rc agent_run(const struct agent_config *config, const atomic_int *stop, agent_say_fn *say,
                                   struct tl_err *err);

#endif
