/* http_socket.c - see http_socket.h. */
#include "server/http_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool address_parse(const char *host, uint16_t port, union address *ret_address, socklen_t *ret_n)
{
    *ret_address = (union address){0};
    if (inet_pton(AF_INET, host, &ret_address->v4.sin_addr) == 1) {
        ret_address->v4.sin_family = AF_INET;
        ret_address->v4.sin_port = htons(port);
        *ret_n = sizeof ret_address->v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &ret_address->v6.sin6_addr) == 1) {
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons(port);
        *ret_n = sizeof ret_address->v6;
        return true;
    }
    return false;
}

enum tl_rc http_socket_listen(const char *host, uint16_t port, int *ret_socket, uint16_t *ret_port, struct tl_err *err)
{
    union address address;
    socklen_t n = 0;
    if (!address_parse(host, port, &address, &n)) {
        return tl_fail(err, TL_INVALID, "%s is not a numeric address", host);
    }
    int listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1; /* a restarted server gets its port back at once */
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(listener, &address.any, n) != 0 || listen(listener, BACKLOG) != 0 ||
        getsockname(listener, &address.any, &n) != 0) {
        enum tl_rc rc = tl_fail_sys(err, "cannot listen on %s port %u", host, port);
        if (listener >= 0) {
            close(listener);
        }
        return rc;
    }
    *ret_socket = listener;
    *ret_port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return TL_OK;
}

bool http_socket_ended(int socket)
{
    char byte;
    return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

struct peer *peers_add(struct peers *peers, int socket, int64_t deadline_ns)
{
    struct peer *peer = malloc(sizeof *peer);
    if (peer) {
        *peer = (struct peer){.socket = socket, .deadline_ns = deadline_ns, .next = peers->first};
        if (peers->first) {
            peers->first->previous = peer;
        }
        peers->first = peer;
    }
    return peer;
}

void peers_remove(struct peers *peers, struct peer *peer)
{
    if (peer) {
        *(peer->previous ? &peer->previous->next : &peers->first) = peer->next;
        if (peer->next) {
            peer->next->previous = peer->previous;
        }
        free(peer);
    }
}

int64_t peers_shut(struct peers *peers, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    for (struct peer *peer = peers->first; peer; peer = peer->next) {
        if (peer->deadline_ns <= now_ns) {
            shutdown(peer->socket, SHUT_RDWR);
            peer->deadline_ns = INT64_MAX;
        }
        next_ns = peer->deadline_ns < next_ns ? peer->deadline_ns : next_ns;
    }
    return next_ns;
}
