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

/* `server` NULL: the variable TAILOR_SERVER, else http://127.0.0.1:8080. */
TL_MUST_CHECK enum tl_rc cli_open(struct cli *cli, const char *server, struct tl_err *err);
void cli_done(struct cli *cli);

/* One request. An answer of 400 and above becomes a failure with the problem's sentence and pointer; *answer then still
 * holds the document. */
TL_MUST_CHECK enum tl_rc cli_call(struct cli *cli, const char *method, const char *path, const char *prefer,
                                  const struct tl_buf *json, struct http_answer *answer, struct tl_err *err);
/* PUT a file as an artifact; *ret_hash is its name. */
TL_MUST_CHECK enum tl_rc cli_upload(struct cli *cli, const char *file, char ret_hash[TL_HASH_TEXT], struct tl_err *err);

#endif
