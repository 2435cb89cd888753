/* service.h - what the request handlers and the worker threads of one server share.
 *
 * Everything here is set up by cmd_serve before threads start and taken down after they end; the pointers never change
 * meanwhile. What they point to does its own locking.
 */
#ifndef TAILOR_SERVICE_H
#define TAILOR_SERVICE_H

#include "server/http.h"
#include "storage/storage.h"

struct access;
struct flow;
struct snapshots;
struct spaces;

struct service {
    struct store *store;
    struct access *access;       /* tokens */
    struct spaces *spaces;       /* by name */
    struct snapshots *snapshots; /* models in memory, by hash */
    struct flow *flow;           /* worker threads */
    struct http *http;
    uint64_t archive_evaluations; /* that an archive is built with; 0: none are built */
};

/* TL_FORBIDDEN: the caller's token is for another device. */
TL_MUST_CHECK enum tl_rc service_speaks_for(const struct http_caller *caller, const char *device, struct tl_err *err);
/* Who is asking: service_speaks_for, and TL_CONFLICT unless agent_key is the device's own; marks the device seen. Inside
 * store_write. */
TL_MUST_CHECK enum tl_rc service_agent(struct store_tx *tx, const struct http_caller *caller, const char *device,
                                       const char *agent_key, struct tl_err *err);

#endif
