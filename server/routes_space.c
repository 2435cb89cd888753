/* routes_space.c - from the name of a space to the space.
 */
#include "server/routes.h"
#include "server/space_of_family.h"
#include <stdlib.h>

enum tl_rc routes_space_named(const char *name, const struct net_family **ret_family, struct space **ret_space,
                              struct tl_err *err)
{
    const struct net_family *family = net_family_get(name);
    struct space *space;
    enum tl_rc rc;

    if (!family) {
        return tl_fail(err, TL_NOT_FOUND, "no space is called %s", name);
    }
    if (!(space = malloc(sizeof(*space)))) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    }
    if ((rc = space_of_family(family, space, err))) {
        free(space);
        return rc;
    }
    *ret_family = family;
    *ret_space = space;
    return TL_OK;
}
