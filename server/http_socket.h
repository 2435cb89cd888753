/* http_socket.h - the listening socket, and the sockets of clients that must not take for ever.
 *
 * libmicrohttpd closes silent connections; a client that sends a byte now and then would stay. So every connection has a
 * deadline for what it does next, and one that misses it is shut down: libmicrohttpd then reads the end and cleans up.
 *
 * Threads: peers belong to their owner's lock.
 */
#ifndef TAILOR_HTTP_SOCKET_H
#define TAILOR_HTTP_SOCKET_H

#include "base/base.h"

/* A non-blocking listening socket on a numeric address; port 0: any, *ret_port is the one it got. */
TL_MUST_CHECK enum tl_rc http_socket_listen(const char *host, uint16_t port, int *ret_socket, uint16_t *ret_port,
                                            struct tl_err *err);

/* Has the other side closed the connection? */
bool http_socket_ended(int socket);

struct peer {
    int socket;          /* borrowed while the peer is in the list */
    int64_t deadline_ns; /* monotonic; INT64_MAX: none */
    struct peer *previous, *next;
};

struct peers {
    struct peer *first; /* owned */
};

/* NULL when memory is out: the connection works, only its slowness goes unpunished. */
struct peer *peers_add(struct peers *peers, int socket, int64_t deadline_ns);
void peers_remove(struct peers *peers, struct peer *peer); /* takes NULL */
/* Shut down those whose deadline has come; the earliest deadline left (INT64_MAX: none). */
int64_t peers_shut(struct peers *peers, int64_t now_ns);

#endif
