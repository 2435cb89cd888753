/* service.c - who may speak for a device. */
#include "server/service.h"

#include <string.h>

struct key_check {
    const char *agent_key;
};

static enum tl_rc check_key(void *ctx, const struct store_device *device, struct tl_err *err)
{
    const struct key_check *check = ctx;
    if (device->agent_key[0] == '\0') {
        return tl_fail(err, TL_CONFLICT, "%s has no agent yet: register with POST /devices first", device->name);
    }
    if (strcmp(device->agent_key, check->agent_key) != 0) {
        return tl_fail(err, TL_CONFLICT, "%s belongs to another agent", device->name);
    }
    return TL_OK;
}

enum tl_rc service_speaks_for(const struct http_caller *caller, const char *device, struct tl_err *err)
{
    return !caller->device[0] || strcmp(caller->device, device) == 0
               ? TL_OK
               : tl_fail(err, TL_FORBIDDEN, "this token is for the agent of %s, not of %s", caller->device, device);
}

enum tl_rc service_agent(struct store_tx *tx, const struct http_caller *caller, const char *device,
                         const char *agent_key, struct tl_err *err)
{
    enum tl_rc rc = service_speaks_for(caller, device, err);
    rc = rc ? rc : store_device_get(tx, device, check_key, &(struct key_check){agent_key}, err);
    return rc != TL_OK ? rc : store_device_seen(tx, device, tl_clock_wall_ns(), err);
}
