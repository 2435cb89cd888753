/* controller_random.c - every architecture drawn anew, every variable uniform: the baseline for all others.
 *
 * Threads: proposing changes nothing.
 */
#include "search/controller.h"

#include <stdlib.h>

enum { BATCH = 100 };

struct search_controller {
    const struct space *space; /* borrowed */
};

static enum tl_rc make(const struct space *space, const struct search_spec *spec, struct search_controller **ret,
                       struct tl_err *err)
{
    (void)spec; /* slots draw from their own streams */
    struct search_controller *c = calloc(1, sizeof *c);
    if (!c) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a controller");
    }
    c->space = space;
    *ret = c;
    return TL_OK;
}

static void release(struct search_controller *c)
{
    free(c);
}

static size_t plan(struct search_controller *c, uint64_t batch)
{
    (void)c;
    (void)batch;
    return BATCH;
}

static void propose(const struct search_controller *c, size_t slot, uint32_t attempt, struct tl_rng *rng,
                    uint8_t *ret_genes)
{
    (void)slot;
    (void)attempt;
    space_sample(c->space, rng, ret_genes);
}

static void tell(struct search_controller *c, const struct search_batch *batch)
{
    (void)c;
    (void)batch;
}

static enum tl_rc save(const struct search_controller *c, struct tl_buf *buf, struct tl_err *err)
{
    (void)c;
    (void)buf;
    (void)err;
    return TL_OK;
}

static enum tl_rc load(struct search_controller *c, struct tl_cursor *state, struct tl_err *err)
{
    (void)c;
    (void)state;
    (void)err;
    return TL_OK;
}

const struct search_controller_ops controller_random = {
    .name = "random",
    .help = "every architecture drawn anew, uniformly",
    .batch = BATCH,
    .rejects = true,
    .make = make,
    .free = release,
    .plan = plan,
    .propose = propose,
    .tell = tell,
    .save = save,
    .load = load,
};
