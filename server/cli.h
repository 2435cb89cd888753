/* cli.h - a command's way to a running server.
 *
 * Threads: belongs to the main thread.
 */
#ifndef TAILOR_CLI_H
#define TAILOR_CLI_H

#include "base/http_client.h"

struct cli {
    struct http_client *client; /* owned */
    const char *server;         /* borrowed */
    int timeout_s;
};

/* `server` NULL: the variable TAILOR_SERVER, else http://127.0.0.1:8080. The token and whom to trust come from the
 * environment (http_client_identify). On failure too: cli_done. */
TL_MUST_CHECK enum tl_rc cli_open(struct cli *cli, const char *server, struct tl_err *err);
void cli_done(struct cli *cli);

/* One request. An answer of 400 and above becomes a failure with the problem's sentence and pointer; *answer then still
 * holds the document. */
TL_MUST_CHECK enum tl_rc cli_call(struct cli *cli, const char *method, const char *path, const char *prefer,
                                  const struct tl_buf *json, struct http_answer *answer, struct tl_err *err);
/* PUT a file as an artifact; *ret_hash is its name. */
TL_MUST_CHECK enum tl_rc cli_upload(struct cli *cli, const char *file, char ret_hash[TL_HASH_TEXT], struct tl_err *err);
TL_MUST_CHECK enum tl_rc cli_upload_bytes(struct cli *cli, const struct tl_buf *bytes, char ret_hash[TL_HASH_TEXT],
                                          struct tl_err *err);

/* Progress as one line on stderr: rewritten on a terminal, else written when something new is to be said. Starts as {0};
 * its line is wiped by cli_ticker_done. */
struct cli_ticker {
    bool shown;
    int64_t last_ns;
    char message[240];
};

/* `total` 0 or NAN: no count; eta_s NAN: unknown. */
void cli_ticker_show(struct cli_ticker *ticker, const char *state, const char *message, double done, double total,
                     const char *unit, double eta_s);
void cli_ticker_done(struct cli_ticker *ticker);

#endif
