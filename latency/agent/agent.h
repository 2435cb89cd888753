/* agent.h - the device program: leases jobs from a Tailor server, times networks, uploads what it saw.
 *
 * One idea: a measurement is on this device's disk before anything is said about it, and leaves it only when the server
 * has acknowledged it; everything else may be cut off at any moment and is simply done again.
 *
 *     register -> send what is spooled -> lease -> measure -> spool -> send -> complete -> lease ...
 *
 * Threads: one, and those of the pool that runs the networks. A signal handler sets `stop`.
 */
#ifndef TAILOR_AGENT_H
#define TAILOR_AGENT_H

#include "base/base.h"
#include "base/http_client.h"
#include "latency/codec_job.h"
#include "latency/codec_measurement.h"

/* ---- config.c: the command line -------------------------------------------------------------------------------- */

enum { AGENT_DIR_MAX = 768, AGENT_PATH_MAX = 1280, AGENT_URL_MAX = 256 };

enum agent_action { AGENT_RUN, AGENT_SHOW_HELP, AGENT_SHOW_VERSION };

struct agent_config {
    enum agent_action action;
    char server[AGENT_URL_MAX];
    char name[LAT_DEVICE_TEXT];
    char state_dir[AGENT_DIR_MAX];
    char token_file[AGENT_DIR_MAX], ca_file[AGENT_DIR_MAX]; /* "": what the environment says (http_client_identify) */
    unsigned threads;
    int64_t once_idle_s; /* leave after this long without work; -1: never */
};

/* TL_INVALID says which option is wrong and what would be right. `xdg_state_home` and `home` are those variables of the
 * environment, or NULL. */
TL_MUST_CHECK enum tl_rc agent_config_parse(int argc, char *const *argv, const char *xdg_state_home, const char *home,
                                            struct agent_config *ret_config, struct tl_err *err);
const char *agent_help(void); /* static */

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

/* ---- context.c: the machine ------------------------------------------------------------------------------------ */

/* One look at the machine. NAN or "": it does not tell. */
struct agent_machine {
    int64_t mono_ns;
    double busy_s, steal_s, total_s; /* summed over processors since boot; total counts idle */
    double own_s;                    /* processor time of this process */
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
    struct agent_machine before, after;
    int64_t started_wall_ns;
};
void agent_result_done(struct agent_result *result);

/* Called before every block; anything but TL_OK ends measuring with that. */
struct agent_watch {
    enum tl_rc (*between)(void *ctx, struct tl_err *err); /* NULL: none */
    void *ctx;
    const atomic_int *stop; /* non-zero: end with TL_UNAVAILABLE after the run at hand; NULL: never */
};

enum { AGENT_PLANS_MAX_MIB = 1024 };

/* Time a job's items and anchor in turn: A I1 .. In A I1 .. In ... A. TL_TOO_LARGE: the networks together take more than
 * AGENT_PLANS_MAX_MIB. `pool` NULL: one thread. */
TL_MUST_CHECK enum tl_rc agent_measure(const struct lat_job *job, struct tl_pool *pool, const struct agent_watch *watch,
                                       struct agent_result *ret_result, struct tl_err *err);
/* The visit of item i: its arrays are borrowed from the result. */
struct lat_visit agent_result_visit(const struct agent_result *result, size_t i);

/* ---- codec_agent.c: what the agent says besides measurements --------------------------------------------------- */

TL_MUST_CHECK enum tl_rc agent_encode_registration(const struct agent_config *config, const char *key,
                                                   const struct agent_host *host, struct tl_buf *buf,
                                                   struct tl_err *err);
TL_MUST_CHECK enum tl_rc agent_encode_lease(const char *device, const char *key, struct tl_buf *buf,
                                            struct tl_err *err);
/* Renew, complete (reason NULL) or fail. */
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
