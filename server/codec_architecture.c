/* codec_architecture.c - see codec_architecture.h. */
#include "server/codec_architecture.h"

#include "base/codec_json.h"
#include "server/space_of_family.h"

#include <stdlib.h>
#include <string.h>

enum { ARCHITECTURE_MAX_BYTES = 1 << 16 };

/* ---- by options ---------------------------------------------------------------------------------------------- */

static enum tl_rc read_option(const struct space *space, const char *name, const json_t *value, uint8_t *arch,
                              bool *given, struct tl_err *err)
{
    const int v = space_variable_find(space, name);
    char pointer[64];
    (void)snprintf(pointer, sizeof pointer, "/options/%.40s", name);
    if (v < 0) {
        return tl_fail_at(err, TL_INVALID, pointer, "space %s has no variable \"%.40s\"", space->name, name);
    }
    const char *label = json_string_value(value);
    const int option = label ? space_option_find(&space->variables[v], label) : -1;
    if (option < 0) {
        return tl_fail_at(err, TL_INVALID, pointer, "%s has no option \"%.40s\"; it has %s to %s, as strings", name,
                          label ? label : "", space->variables[v].labels[0],
                          space->variables[v].labels[space->variables[v].n_options - 1]);
    }
    arch[v] = (uint8_t)option;
    given[v] = true;
    return TL_OK;
}

static enum tl_rc by_options(json_t *options, const struct net_family *family, const struct space *space,
                             struct net_pick *ret_pick, struct tl_err *err)
{
    uint8_t arch[SPACE_VARIABLES_MAX] = {0}, active[SPACE_VARIABLES_MAX];
    bool given[SPACE_VARIABLES_MAX] = {false};
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(options, name, value)
    {
        const enum tl_rc rc = read_option(space, name, value, arch, given, err);
        if (rc) {
            return rc;
        }
    }
    space_active(space, arch, active);
    for (size_t v = 0; v < space->n_variables; v++) {
        if (active[v] && !given[v]) {
            return tl_fail_at(err, TL_INVALID, "/options", "variable \"%s\" is not given", space->variables[v].name);
        }
    }
    pick_of_arch(family, space, arch, ret_pick);
    return TL_OK;
}

/* ---- once-for-all's ------------------------------------------------------------------------------------------ */

/* `unit`: what one stands for. */
static enum tl_rc index_of(const char *what, const uint8_t *list, size_t n, int64_t value, double unit,
                           uint8_t *ret_index, struct tl_err *err)
{
    char pointer[16];
    (void)snprintf(pointer, sizeof pointer, "/%s", what);
    for (size_t i = 0; i < n; i++) {
        if (list[i] == value) {
            *ret_index = (uint8_t)i;
            return TL_OK;
        }
    }
    return tl_fail_at(err, TL_INVALID, pointer, "%g is not one of this family's %s: %g to %g", (double)value * unit,
                      what, list[0] * unit, list[n - 1] * unit);
}

static enum tl_rc by_lists(struct tl_json_object *top, const struct net_family *family, struct net_pick *ret_pick,
                           struct tl_err *err)
{
    const size_t slots = net_family_slots(family, family->n_stages), stages = family->n_stages;
    int64_t ks[NET_SLOTS_MAX], e[NET_SLOTS_MAX], d[NET_STAGES_MAX], r[1];
    struct net_pick pick = {0};
    size_t n = 0;
    enum tl_rc rc = TL_OK;
    if (family->n_kernels == 0) {
        return tl_fail(err, TL_INVALID, "family %s has no kernels and expansions: give its \"options\"", family->name);
    }
    if ((rc = tl_json_ints(top, "ks", TL_REQUIRED, slots, slots, 1, 7, ks, &n, err)) ||
        (rc = tl_json_ints(top, "e", TL_REQUIRED, slots, slots, 1, 16, e, &n, err)) ||
        (rc = tl_json_ints(top, "d", TL_REQUIRED, stages, stages, 1, NET_SLOTS_MAX, d, &n, err)) ||
        (rc = tl_json_ints(top, "r", TL_REQUIRED, 1, 1, 1, NET_SIDE_MAX, r, &n, err))) {
        return rc;
    }
    for (size_t i = 0; i < slots; i++) {
        uint8_t kernel = 0, expand = 0;
        if ((rc = index_of("ks", family->kernels, family->n_kernels, ks[i], 1, &kernel, err)) ||
            (rc = index_of("e", family->expands, family->n_expands, e[i], 1, &expand, err))) {
            return rc;
        }
        pick.choice[i] = (uint8_t)(kernel * family->n_expands + expand);
    }
    for (size_t s = 0; s < stages; s++) {
        pick.depth[s] = (uint8_t)d[s];
    }
    pick.resolution = (uint16_t)r[0];
    *ret_pick = pick;
    return TL_OK;
}

/* Of ResNets: "e" ratios, "d" blocks beyond the fewest, of the stem first (the most of any stage: its residual block is
 * there), "w" indices of widths, of the stem's first. */
static enum tl_rc by_ratios(struct tl_json_object *top, const struct net_family *family, struct net_pick *ret_pick,
                            struct tl_err *err)
{
    const size_t slots = net_family_slots(family, family->n_stages), stages = family->n_stages;
    const size_t places = NET_PLACE_STAGE + stages;
    int64_t d[NET_STAGES_MAX + 1], w[NET_PLACES_MAX] = {0}, r[1], deepest = 0;
    struct net_pick pick = {0};
    json_t *e = NULL;
    size_t n = 0;
    enum tl_rc rc = TL_OK;
    if ((rc = tl_json_array(top, "e", TL_REQUIRED, slots, slots, &e, err)) ||
        (rc = tl_json_ints(top, "d", TL_REQUIRED, stages + 1, stages + 1, 0, NET_SLOTS_MAX, d, &n, err)) ||
        (rc = tl_json_ints(top, "w", family->n_widths ? TL_REQUIRED : TL_OPTIONAL, places, places, 0,
                           NET_WIDTHS_MAX - 1, w, &n, err)) ||
        (rc = tl_json_ints(top, "r", TL_REQUIRED, 1, 1, 1, NET_SIDE_MAX, r, &n, err))) {
        return rc;
    }
    for (size_t i = 0; i < slots; i++) {
        const double hundredths = 100 * json_number_value(json_array_get(e, i));
        const int64_t ratio = hundredths > 0 && hundredths < UINT8_MAX ? (int64_t)(hundredths + 0.5) : 0;
        if ((rc = index_of("e", family->expands, family->n_expands, ratio, 0.01, &pick.choice[i], err))) {
            return rc;
        }
    }
    for (size_t s = 0; s < stages; s++) {
        const struct net_stage *stage = &family->stages[s];
        const int64_t beyond = stage->n_depths ? stage->depths[stage->n_depths - 1] - stage->depths[0] : 0;
        pick.depth[s] = (uint8_t)(stage->n_depths ? stage->depths[0] + d[s + 1] : stage->n_slots);
        deepest = beyond > deepest ? beyond : deepest;
    }
    pick.stem_depth = net_family_elastic_stem(family) && d[0] >= deepest;
    for (size_t place = 0; place < places; place++) {
        pick.width[place] = net_family_elastic_width(family, place) ? (uint8_t)w[place] : 0;
    }
    pick.resolution = (uint16_t)r[0];
    *ret_pick = pick;
    return TL_OK;
}

/* ---- either -------------------------------------------------------------------------------------------------- */

static enum tl_rc decode(json_t *root, const struct net_family *family, struct space *space, struct net_pick *ret_pick,
                         struct tl_err *err)
{
    struct tl_json_object top;
    json_t *options = json_object_get(root, "options"), *named = json_object_get(root, "space");
    const enum tl_rc rc = tl_json_object_open(&top, root, "", err);
    if (rc) {
        return rc;
    }
    if (!options) {
        return (family->bottleneck ? by_ratios : by_lists)(&top, family, ret_pick, err);
    }
    if (json_is_string(named) && strcmp(json_string_value(named), family->name) != 0) {
        return tl_fail_at(err, TL_INVALID, "/space", "the architecture is of space %.64s, not of %s",
                          json_string_value(named), family->name);
    }
    const enum tl_rc made = space_of_family(family, space, err);
    return made ? made : by_options(options, family, space, ret_pick, err);
}

enum tl_rc architecture_decode(const char *json, size_t n, const struct net_family *family, struct net_pick *ret_pick,
                               struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    struct space *space = rc ? NULL : malloc(sizeof *space);
    struct network *net = rc ? NULL : malloc(sizeof *net);
    struct net_pick pick;
    if (!rc && (!space || !net)) {
        rc = tl_fail(err, TL_NO_MEMORY, "no memory for an architecture");
    }
    rc = rc ? rc : decode(doc.root, family, space, &pick, err);
    rc = rc ? rc : net_build(family, &pick, net, err); /* is it one? */
    if (!rc) {
        *ret_pick = pick;
    }
    free(space);
    free(net);
    return rc;
}

enum tl_rc architecture_load(const char *path, const struct net_family *family, struct net_pick *ret_pick,
                             struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = ARCHITECTURE_MAX_BYTES};
    const enum tl_rc rc = tl_file_read(path, &text, err);
    return rc ? rc : architecture_decode(text.data ? text.data : "", text.len, family, ret_pick, err);
}
