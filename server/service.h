/* service.h - what the request handlers and the worker threads of one server share.
 *
 * Everything here is set up by cmd_serve before threads start and taken down after they end; the pointers never change
 * meanwhile. What they point to does its own locking.
 */
#ifndef TAILOR_SERVICE_H
#define TAILOR_SERVICE_H

#include "server/http.h"
#include "storage/storage.h"

struct flow;
struct snapshots;
struct spaces;

struct service {
    struct store *store;
    struct spaces *spaces;       /* by name */
    struct snapshots *snapshots; /* models in memory, by hash */
    struct flow *flow;           /* worker threads */
    struct http *http;
    uint64_t archive_evaluations; /* that an archive is built with; 0: none are built */
};

/* Who is asking: TL_CONFLICT unless agent_key is the device's own; marks the device seen. Inside store_write. */
TL_MUST_CHECK enum tl_rc service_agent(struct store_tx *tx, const char *device, const char *agent_key,
                                       struct tl_err *err);

#endif
