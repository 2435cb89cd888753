/* cli.c - see cli.h. */
#include "server/cli.h"

#include "server/codec_cli.h"
#include "storage/storage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX_BYTES = 64 << 20, TIMEOUT_S = 60 };

enum tl_rc cli_open(struct cli *cli, const char *server, struct tl_err *err)
{
    const char *chosen = server ? server : getenv("TAILOR_SERVER"); /* NOLINT(concurrency-mt-unsafe): one thread */
    *cli = (struct cli){.server = chosen ? chosen : "http://127.0.0.1:8080", .timeout_s = TIMEOUT_S};
    enum tl_rc rc = http_client_new(&cli->client, cli->server, ANSWER_MAX_BYTES, err);
    return rc ? rc : http_client_identify(cli->client, NULL, NULL, err);
}

void cli_done(struct cli *cli)
{
    http_client_free(cli->client);
    cli->client = NULL;
}

static enum tl_rc status_rc(int status)
{
    switch (status) {
    case 400:
        return TL_MALFORMED;
    case 401:
    case 403:
        return TL_FORBIDDEN;
    case 404:
        return TL_NOT_FOUND;
    case 409:
        return TL_CONFLICT;
    case 413:
        return TL_TOO_LARGE;
    case 503:
        return TL_UNAVAILABLE;
    default:
        return status >= 500 ? TL_IO : TL_INVALID;
    }
}

static enum tl_rc send(struct cli *cli, const char *method, const char *path, const char *type, const char *prefer,
                       const struct tl_buf *body, struct http_answer *answer, struct tl_err *err)
{
    enum tl_rc rc = http_request(cli->client, method, path, type, prefer, body ? body->data : NULL,
                                 body ? body->len : 0, cli->timeout_s, answer, err);
    if (rc != TL_OK || answer->status < 400) {
        return rc;
    }
    struct cli_problem problem;
    cli_problem_decode(answer->body.data, answer->body.len, &(struct devices){0}, &problem);
    return tl_fail_at(err, status_rc(answer->status), problem.pointer, "%s (%d)",
                      problem.detail[0] ? problem.detail : "the server refused without a reason", answer->status);
}

enum tl_rc cli_call(struct cli *cli, const char *method, const char *path, const char *prefer,
                    const struct tl_buf *json, struct http_answer *answer, struct tl_err *err)
{
    return send(cli, method, path, NULL, prefer, json, answer, err);
}

enum tl_rc cli_upload(struct cli *cli, const char *file, char ret_hash[TL_HASH_TEXT], struct tl_err *err)
{
    TL_AUTO(tl_buf) bytes = {.max = STORE_BLOB_MAX};
    struct tl_err why = {0};
    enum tl_rc rc = tl_file_read(file, &bytes, &why);
    if (rc != TL_OK) {
        return rc == TL_TOO_LARGE
                   ? tl_fail(err, rc, "%s has more than the %d MiB that a server takes", file, STORE_BLOB_MAX >> 20)
                   : tl_fail(err, rc, "%s", why.text);
    }
    return cli_upload_bytes(cli, &bytes, ret_hash, err);
}

enum tl_rc cli_upload_bytes(struct cli *cli, const struct tl_buf *bytes, char ret_hash[TL_HASH_TEXT],
                            struct tl_err *err)
{
    TL_AUTO(http_answer) answer = {0};
    char path[64], text[TL_HASH_TEXT];
    struct tl_hash hash = tl_hash_of(bytes->data, bytes->len);
    tl_hash_format(&hash, text);
    snprintf(path, sizeof path, "/artifacts/%s", text);
    enum tl_rc rc = send(cli, "PUT", path, "application/octet-stream", NULL, bytes, &answer, err);
    if (rc == TL_OK) {
        snprintf(ret_hash, TL_HASH_TEXT, "%s", text);
    }
    return rc;
}

/* ---- progress ------------------------------------------------------------------------------------------------ */

static const int64_t QUIET_LINE_NS = INT64_C(10000000000);

void cli_ticker_show(struct cli_ticker *ticker, const char *state, const char *message, double done, double total,
                     const char *unit, double eta_s)
{
    bool terminal = isatty(STDERR_FILENO) == 1;
    int64_t now_ns = tl_clock_mono_ns();
    bool changed = strcmp(ticker->message, message) != 0;
    if (!terminal && !changed && now_ns - ticker->last_ns < QUIET_LINE_NS) {
        return;
    }
    fprintf(stderr, "%s%s: %s", terminal ? "\r\033[K" : "", state, message);
    if (total > 0) {
        fprintf(stderr, "  %.0f of %.0f %s", done, total, unit);
    }
    if (isfinite(eta_s)) {
        fprintf(stderr, ", about %.0f s left", ceil(eta_s));
    }
    fputs(terminal ? "" : "\n", stderr);
    fflush(stderr);
    snprintf(ticker->message, sizeof ticker->message, "%s", message);
    ticker->last_ns = now_ns;
    ticker->shown = terminal;
}

void cli_ticker_done(struct cli_ticker *ticker)
{
    if (ticker->shown) {
        fputs("\r\033[K", stderr);
    }
    ticker->shown = false;
}
