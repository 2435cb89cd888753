/* codec_architecture.c - see codec_architecture.h. */
#include "server/codec_architecture.h"

#include "base/codec_json.h"
#include "server/space_of_family.h"
#include "supernet/files/files.h"

#include <stdlib.h>
#include <string.h>

enum { ARCHITECTURE_MAX_BYTES = NET_CONFIG_MAX };

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
    if (json_is_null(json_object_get(top->json, "wid"))) { /* their samples say so that no width is chosen */
        top->known[top->n_known++] = "wid";
    }
    if ((rc = tl_json_object_close(top, err))) {
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
        (rc = tl_json_ints(top, "r", TL_REQUIRED, 1, 1, 1, NET_SIDE_MAX, r, &n, err)) ||
        (rc = tl_json_object_close(top, err))) {
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

/* ---- a net.config -------------------------------------------------------------------------------------------- */

/* The operator of a block that looks around. */
static const struct net_op *middle_of(const struct network *net, size_t block)
{
    for (size_t i = 0; i < net->blocks[block].n_ops; i++) {
        const struct net_op *op = &net->ops[net->blocks[block].first_op + i];
        if (op->kind == NET_DEPTHWISE || (op->kind == NET_CONV && op->kernel > 1)) {
            return op;
        }
    }
    return NULL;
}

static bool in_slot(const struct net_block *block)
{
    return block->stage >= 0 && block->slot >= 0;
}

static enum tl_rc read_depths(const struct network *net, const struct net_family *family, struct net_pick *pick,
                              struct tl_err *err)
{
    size_t n_stem = 0;
    for (size_t b = 0; b < net->n_blocks; b++) {
        const struct net_block *block = &net->blocks[b];
        n_stem += block->stage < 0;
        if (!in_slot(block)) {
            continue;
        }
        if (block->stage >= family->n_stages || block->slot >= family->stages[block->stage].n_slots) {
            return tl_fail_at(err, TL_INVALID, "/blocks", "block %zu has no place in family %s", b - 1, family->name);
        }
        pick->depth[block->stage] = (uint8_t)(block->slot + 1);
    }
    pick->stem_depth = net_family_elastic_stem(family) && n_stem > 2; /* two convolutions, and a block between them */
    return TL_OK;
}

static unsigned width_of(const struct network *net, size_t block)
{
    return net->ops[net->blocks[block].first_op + net->blocks[block].n_ops - 1].co;
}

/* Where a network of this width throughout makes as many channels as the one that is wanted, that is the place's. */
static void take_width(const struct network *uniform, const struct network *wanted, uint8_t width,
                       struct net_pick *pick)
{
    for (size_t b = 0; b < wanted->n_blocks && b < uniform->n_blocks; b++) {
        const struct net_block *block = &wanted->blocks[b];
        const bool same = width_of(uniform, b) == width_of(wanted, b);
        if (same && in_slot(block)) {
            pick->width[NET_PLACE_STAGE + block->stage] = width;
        } else if (same && block->stage < 0) { /* the stem's last block has its width, the others the one before */
            pick->width[in_slot(&wanted->blocks[b + 1]) ? NET_PLACE_STEM : NET_PLACE_MID] = width;
        }
    }
}

/* The same for the choice of each slot. */
static void take_choice(const struct network *uniform, const struct network *wanted, const struct net_family *family,
                        uint8_t choice, struct net_pick *pick)
{
    for (size_t b = 0; b < wanted->n_blocks && b < uniform->n_blocks; b++) {
        const struct net_block *block = &wanted->blocks[b];
        const struct net_op *ours = middle_of(uniform, b), *theirs = middle_of(wanted, b);
        if (in_slot(block) && ours && theirs && ours->kernel == theirs->kernel && ours->co == theirs->co) {
            pick->choice[net_family_slots(family, (size_t)block->stage) + (size_t)block->slot] = choice;
        }
    }
}

static bool same_op(const struct net_op *a, const struct net_op *b)
{
    return a->kind == b->kind && a->act == b->act && a->batch_norm == b->batch_norm && a->bias == b->bias &&
           a->kernel == b->kernel && a->stride == b->stride && a->h_in == b->h_in && a->w_in == b->w_in &&
           a->ci == b->ci && a->h_out == b->h_out && a->w_out == b->w_out && a->co == b->co && a->hidden == b->hidden &&
           a->skip_from == b->skip_from && a->block == b->block;
}

static enum tl_rc same_network(const struct network *theirs, const struct network *ours,
                               const struct net_family *family, struct tl_err *err)
{
    char name[NET_NAME_MAX];
    for (size_t i = 0; i < theirs->n_ops && i < ours->n_ops; i++) {
        if (!same_op(&theirs->ops[i], &ours->ops[i])) {
            net_layer_name(theirs, i, 0, name);
            return tl_fail(err, TL_INVALID, "the net.config is of no network of family %s: its %s is another",
                           family->name, name);
        }
    }
    return theirs->n_ops == ours->n_ops
               ? TL_OK
               : tl_fail(err, TL_INVALID, "the net.config is of no network of family %s: it has %u operators, not %u",
                         family->name, theirs->n_ops, ours->n_ops);
}

/* A net.config lists layers: the pick is found whose network has the same. It says no resolution; the largest is taken. */
static enum tl_rc by_blocks(const char *json, size_t n, const struct net_family *family, struct network *theirs,
                            struct network *ours, struct net_pick *ret_pick, struct tl_err *err)
{
    const uint16_t resolution = family->resolutions[family->n_resolutions - 1];
    struct net_pick pick = {.resolution = resolution};
    enum tl_rc rc = net_config_decode(json, n, resolution, theirs, err);
    rc = rc ? rc : read_depths(theirs, family, &pick, err);
    for (uint8_t w = 0; rc == TL_OK && w < family->n_widths; w++) {
        struct net_pick uniform = pick;
        memset(uniform.width, w, sizeof uniform.width);
        rc = net_build(family, &uniform, ours, err);
        if (rc == TL_OK) {
            take_width(ours, theirs, w, &pick);
        }
    }
    for (uint8_t c = 0; rc == TL_OK && c < family->n_choices; c++) {
        struct net_pick uniform = pick;
        memset(uniform.choice, c, sizeof uniform.choice);
        rc = net_build(family, &uniform, ours, err);
        if (rc == TL_OK) {
            take_choice(ours, theirs, family, c, &pick);
        }
    }
    rc = rc ? rc : net_build(family, &pick, ours, err);
    rc = rc ? rc : same_network(theirs, ours, family, err);
    if (rc == TL_OK) {
        *ret_pick = pick;
    }
    return rc;
}

static enum tl_rc config_decode(const char *json, size_t n, const struct net_family *family, struct net_pick *ret_pick,
                                struct tl_err *err)
{
    struct network *nets = malloc(2 * sizeof *nets);
    const enum tl_rc rc = nets ? by_blocks(json, n, family, &nets[0], &nets[1], ret_pick, err)
                               : tl_fail(err, TL_NO_MEMORY, "no memory for an architecture");
    free(nets);
    return rc;
}

/* ---- any of them -------------------------------------------------------------------------------------------------- */

static enum tl_rc decode(json_t *root, const struct net_family *family, struct space *space, struct net_pick *ret_pick,
                         struct tl_err *err)
{
    struct tl_json_object top, options, ofa;
    const char *named = NULL, *id = NULL;
    bool there = false;
    enum tl_rc rc = tl_json_object_open(&top, root, "", err);
    if (rc) {
        return rc;
    }
    if (!json_object_get(root, "options")) {
        return (family->bottleneck ? by_ratios : by_lists)(&top, family, ret_pick, err);
    }
    /* What the server writes beside the options follows from them. */
    if ((rc = tl_json_string(&top, "space", TL_OPTIONAL, 64, &named, err)) ||
        (rc = tl_json_string(&top, "id", TL_OPTIONAL, TL_HASH_TEXT, &id, err)) ||
        (rc = tl_json_nested(&top, "ofa", TL_OPTIONAL, &ofa, &there, err)) ||
        (rc = tl_json_nested(&top, "options", TL_REQUIRED, &options, &there, err)) ||
        (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    if (named && strcmp(named, family->name) != 0) {
        return tl_fail_at(err, TL_INVALID, "/space", "the architecture is of space %.64s, not of %s", named,
                          family->name);
    }
    rc = space_of_family(family, space, err);
    return rc ? rc : by_options(options.json, family, space, ret_pick, err);
}

enum tl_rc architecture_decode(const char *json, size_t n, const struct net_family *family, struct net_pick *ret_pick,
                               struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    if (rc == TL_OK && json_object_get(doc.root, "blocks")) {
        return config_decode(json, n, family, ret_pick, err);
    }
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
    return tl_fail_in(err, rc ? rc : architecture_decode(text.data ? text.data : "", text.len, family, ret_pick, err),
                      path);
}
