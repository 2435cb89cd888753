/* http_client.h - HTTP for the agent and the command line, over libcurl. A library of its own.
 *
 * One client is one keep-alive connection and belongs to one thread. Redirects are not followed; only http and https are
 * spoken; answers are bounded. A client never retries by itself: http_retry_delay_ms tells the caller when to.
 */
#ifndef TAILOR_HTTP_CLIENT_H
#define TAILOR_HTTP_CLIENT_H

#include "base/base.h"
#include <stdatomic.h>

struct http_client;

struct http_answer {
    int status;            /* 100..599 */
    int64_t retry_after_s; /* the server's Retry-After, at most a day; -1: not sent */
    char content_type[64]; /* empty: not sent, or too long for here */
    char location[256];    /* likewise; as the server wrote it */
    char etag[72];         /* likewise, quoted */
    struct tl_buf body;    /* owned; at most the client's limit */
};

void http_answer_done(struct http_answer *answer);

/* `server` is a root such as http://127.0.0.1:8080; TL_INVALID when it is not one. */
TL_MUST_CHECK enum tl_rc http_client_new(struct http_client **ret_client, const char *server, size_t answer_max_bytes,
                                         struct tl_err *err);
void http_client_free(struct http_client *client);

/* Say who we are and whom we trust; before the first request. A token is shown in every one (Authorization: Bearer).
 *
 * token_file: a file for its owner's eyes (tl_secret_read) with a token as its one line; NULL: the file that the variable
 * TAILOR_TOKEN_FILE names, else the token in TAILOR_TOKEN, else none. ca_file: PEM certificates to trust instead of the
 * system's; NULL: the file that TAILOR_CA names, else the system's. TL_INVALID: what is read is no token; or a token would
 * travel in the clear, since the server is neither https nor this very machine, and TAILOR_INSECURE is not 1. */
TL_MUST_CHECK enum tl_rc http_client_identify(struct http_client *client, const char *token_file, const char *ca_file,
                                              struct tl_err *err);

/* A pollable flag (for example set by a signal handler): when *cancel becomes non-zero, a request in flight ends with
 * TL_UNAVAILABLE within about a second. Borrowed for the client's life. */
void http_client_cancel_with(struct http_client *client, const atomic_int *cancel);

/* One request. `path` begins with '/'; body NULL: none; `content_type` NULL: application/json; `prefer` NULL: no Prefer
 * header. On TL_OK *ret_answer holds whatever status came (also 4xx and 5xx), replaced whole. TL_UNAVAILABLE: no answer
 * (refused, broken off, timed out after timeout_s, cancelled); the text names the server and the reason. TL_TOO_LARGE:
 * the answer is over the client's limit. TL_INVALID: a control character in path, content_type or prefer. */
TL_MUST_CHECK enum tl_rc http_request(struct http_client *client, const char *method, const char *path,
                                      const char *content_type, const char *prefer, const void *body, size_t body_n,
                                      int timeout_s, struct http_answer *ret_answer, struct tl_err *err);

/* Should a request with this outcome be sent again? True for no answer (status 0), 408, 425, 429, 502, 503, 504. */
bool http_retry_wanted(int status);

/* Milliseconds to wait before attempt `attempt` (0 first): full jitter over 1 s x 2^attempt, at most 60 s, on top of the
 * server's Retry-After (-1: none), so that a fleet that was sent away together does not come back together. */
int64_t http_retry_delay_ms(unsigned attempt, int64_t retry_after_s, struct tl_rng *rng);

#endif
