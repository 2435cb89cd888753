/* codec_cli.h - the API's documents as the command line needs them. Reading is tolerant: what is missing stays empty, so that
 * an older client reads a newer server.
 */
#ifndef TAILOR_CODEC_CLI_H
#define TAILOR_CODEC_CLI_H

#include "server/evaluator.h"

/* ---- problems ------------------------------------------------------------------------------------------------ */

struct cli_problem {
    char detail[400], pointer[160];
    struct metric_range ranges[COLUMNS_MAX]; /* what an impossible limit's column can reach; NAN: not told */
};

/* `devices`: those of what was asked, which name the columns. */
void cli_problem_decode(const char *json, size_t n, const struct devices *devices, struct cli_problem *ret_problem);

/* ---- searches ------------------------------------------------------------------------------------------------ */

struct cli_value {
    double value, low, high; /* NAN: absent */
    char kind[16], note[120];
};

struct cli_search {
    char id[TL_UUID_TEXT], state[32], outcome[32], message[240], warning[240], problem[400];
    char unit[16];
    double done, total, eta_s, seconds; /* NAN: unknown */
    int64_t evaluations;
    bool has_answer, verified, has_nearest;
    int64_t candidate;
    char architecture[TL_HASH_TEXT];
    struct devices devices;               /* where there are several */
    struct cli_value values[COLUMNS_MAX]; /* of the answer, else of what came nearest */
    struct {
        int64_t visits, blocks; /* 0: none */
        double median_ms, upper_ms;
    } verifications[DEVICES_MAX]; /* of the answer, one a device */
};

TL_MUST_CHECK enum tl_rc cli_search_decode(const char *json, size_t n, struct cli_search *ret_search,
                                           struct tl_err *err);

/* ---- devices ------------------------------------------------------------------------------------------------- */

struct cli_device {
    char name[65], seen[TL_TIME_TEXT];
    bool online, is_worker;
    char state[16], state_reason[320], state_since[TL_TIME_TEXT]; /* state "": an older server's */
    double anchor_ms;                                             /* NAN: not fixed */
    int64_t queued, leased, done, failed;
    size_t n_models;
    struct {
        char space[65];
        double mape, spearman; /* NAN: unknown */
        int64_t networks, blocks;
    } models[8];
};

/* One device, or each of a list (which may have a next page: *ret_next, "" when not). */
typedef void cli_device_fn(void *ctx, const struct cli_device *device);
TL_MUST_CHECK enum tl_rc cli_device_decode(const char *json, size_t n, struct cli_device *ret_device,
                                           struct tl_err *err);
TL_MUST_CHECK enum tl_rc cli_devices_decode(const char *json, size_t n, cli_device_fn *fn, void *ctx, char ret_next[32],
                                            struct tl_err *err);

/* Body of POST /devices/{name}:drain. */
TL_MUST_CHECK enum tl_rc cli_drain_encode(const char *reason, struct tl_buf *buf, struct tl_err *err);

/* Body of POST /jobs for a profile. */
TL_MUST_CHECK enum tl_rc cli_profile_encode(const char *space, const char *device, struct tl_buf *buf,
                                            struct tl_err *err);

/* ---- tokens -------------------------------------------------------------------------------------------------- */

struct cli_token {
    int64_t id;
    char kind[16], device[65], label[101];
    char created[TL_TIME_TEXT], registered[TL_TIME_TEXT], revoked[TL_TIME_TEXT]; /* "": not yet */
    char secret[TL_SECRET_TEXT];                                                 /* "" but when it was just made */
};

/* Body of POST /tokens: an agent's token for `device`, or (NULL) a client's. */
TL_MUST_CHECK enum tl_rc cli_token_encode(const char *device, const char *label, struct tl_buf *buf,
                                          struct tl_err *err);
TL_MUST_CHECK enum tl_rc cli_token_decode(const char *json, size_t n, struct cli_token *ret_token, struct tl_err *err);
typedef void cli_token_fn(void *ctx, const struct cli_token *token);
TL_MUST_CHECK enum tl_rc cli_tokens_decode(const char *json, size_t n, cli_token_fn *fn, void *ctx, char ret_next[32],
                                           struct tl_err *err);

/* ---- models -------------------------------------------------------------------------------------------------- */

struct cli_table {
    unsigned resolution;
    char hash[TL_HASH_TEXT];
};

/* Names of the files that GET /candidates/{id} offers, with commas between them; a body that cannot be read: "". */
void cli_artifacts_decode(const char *json, size_t n, char *ret_names, size_t size);

/* Bodies of POST /models. */
TL_MUST_CHECK enum tl_rc cli_model_encode(const char *kind, const char *space, const char *format, const char *hash,
                                          struct tl_buf *buf, struct tl_err *err);
TL_MUST_CHECK enum tl_rc cli_tables_encode(const char *space, const char *device, const struct cli_table *tables,
                                           size_t n_tables, struct tl_buf *buf, struct tl_err *err);

#endif
