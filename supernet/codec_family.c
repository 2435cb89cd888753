/* codec_family.c - families from JSON.
 *
 * One idea: every number is ranged where it is read, so that the networks of a family fit their types; what then is left
 * to check, the largest networks as a whole, net_check says of real ones.
 * Threads: pure functions.
 */
#include "supernet/codec_family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESOLUTION_MIN = 8, EXPAND_MAX = 16, RATIO_MAX = 250, MULTIPLIER_MAX = 10000 /* hundredths */ };

const char *const net_act_names[NET_ACT_COUNT] = {"none", "relu", "relu6", "hswish"};
const char *const net_block_names[2] = {"inverted", "bottleneck"};

/* ---- reading: values ----------------------------------------------------------------------------------------- */

static void pointer_of(const struct tl_json_object *object, const char *name, char ret_pointer[160])
{
    (void)snprintf(ret_pointer, 160, "%s/%s", object->pointer, name);
}

static enum tl_rc read_text(struct tl_json_object *object, const char *name, size_t size, char *ret_text,
                            struct tl_err *err)
{
    const char *text = NULL;
    const enum tl_rc rc = tl_json_string(object, name, TL_REQUIRED, size - 1, &text, err);

    if (!rc) {
        (void)snprintf(ret_text, size, "%s", text);
    }
    return rc;
}

static enum tl_rc read_u16(struct tl_json_object *object, const char *name, enum tl_json_need need, int64_t min,
                           int64_t max, uint16_t *ret_value, struct tl_err *err)
{
    int64_t value = *ret_value;
    const enum tl_rc rc = tl_json_int(object, name, need, min, max, &value, err);

    if (!rc) {
        *ret_value = (uint16_t)value;
    }
    return rc;
}

static enum tl_rc read_stride(struct tl_json_object *object, uint8_t *ret_stride, struct tl_err *err)
{
    uint16_t stride = 0;
    const enum tl_rc rc = read_u16(object, "stride", TL_REQUIRED, 1, 2, &stride, err);

    if (!rc) {
        *ret_stride = (uint8_t)stride;
    }
    return rc;
}

static enum tl_rc read_act(struct tl_json_object *object, enum net_act *ret_act, struct tl_err *err)
{
    size_t act = 0;
    const enum tl_rc rc = tl_json_choice(object, "act", TL_REQUIRED, net_act_names, NET_ACT_COUNT, &act, err);

    if (!rc) {
        *ret_act = (enum net_act)act;
    }
    return rc;
}

/* A rising list. Optional and absent: *ret_n is untouched. */
static enum tl_rc read_rising(struct tl_json_object *object, const char *name, enum tl_json_need need, size_t max_n,
                              int64_t min, int64_t max, int64_t *ret_values, size_t *ret_n, struct tl_err *err)
{
    char pointer[160];
    size_t n = *ret_n;
    const enum tl_rc rc = tl_json_ints(object, name, need, 1, max_n, min, max, ret_values, &n, err);

    for (size_t i = 1; !rc && i < n; i++) {
        if (ret_values[i] <= ret_values[i - 1]) {
            pointer_of(object, name, pointer);
            return tl_fail_at(err, TL_INVALID, pointer, "must rise; %lld comes after %lld", (long long)ret_values[i],
                              (long long)ret_values[i - 1]);
        }
    }
    if (!rc) {
        *ret_n = n;
    }
    return rc;
}

/* The same into at most four bytes. */
static enum tl_rc read_bytes(struct tl_json_object *object, const char *name, enum tl_json_need need, int64_t min,
                             int64_t max, uint8_t ret_values[4], uint8_t *ret_n, struct tl_err *err)
{
    int64_t values[4] = {0};
    size_t n = 0;
    const enum tl_rc rc = read_rising(object, name, need, 4, min, max, values, &n, err);

    for (size_t i = 0; !rc && i < n; i++) {
        ret_values[i] = (uint8_t)values[i];
    }
    if (!rc && n > 0) {
        *ret_n = (uint8_t)n;
    }
    return rc;
}

/* A rising list of ratios, kept as hundredths from 1 to `max`. Optional and absent: nothing is written. */
static enum tl_rc read_hundredths(struct tl_json_object *object, const char *name, enum tl_json_need need, unsigned max,
                                  uint16_t ret_values[4], uint8_t *ret_n, struct tl_err *err)
{
    char pointer[160];
    json_t *array = NULL;
    const enum tl_rc rc = tl_json_array(object, name, need, 1, 4, &array, err);

    if (rc || !array) {
        return rc;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *number = json_array_get(array, i);
        const double value = json_number_value(number) * 100;
        const double least = i > 0 ? ret_values[i - 1] + 1 : 1;
        (void)snprintf(pointer, sizeof pointer, "%s/%s/%zu", object->pointer, name, i);
        if (!json_is_number(number) || value < least - 1e-9 || value > max + 1e-9) {
            return tl_fail_at(err, TL_INVALID, pointer, "must be a number from %g to %g, larger than the one before it",
                              0.01, max / 100.0);
        }
        ret_values[i] = (uint16_t)(value + 0.5);
        if (value - ret_values[i] > 1e-9 || ret_values[i] - value > 1e-9) {
            return tl_fail_at(err, TL_INVALID, pointer, "ratios have two decimals at most, not %.9g", value / 100);
        }
    }
    *ret_n = (uint8_t)json_array_size(array);
    return TL_OK;
}

/* Channels at a place: one number, or a list of one a multiplier; *ret_width is the largest. */
static enum tl_rc read_width(struct tl_json_object *object, const char *name, enum tl_json_need need, size_t place,
                             struct net_family *family, uint16_t *ret_width, struct tl_err *err)
{
    int64_t values[NET_WIDTHS_MAX] = {0};
    const size_t n = family->n_widths;
    char pointer[160];
    size_t ignored = 0;
    enum tl_rc rc = TL_OK;

    if (n == 0 || !json_is_array(json_object_get(object->json, name))) {
        return read_u16(object, name, need, 1, NET_CHANNELS_MAX, ret_width, err);
    }
    if ((rc = tl_json_ints(object, name, need, n, n, 1, NET_CHANNELS_MAX, values, &ignored, err))) {
        return rc;
    }
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && values[i] < values[i - 1]) {
            pointer_of(object, name, pointer);
            return tl_fail_at(err, TL_INVALID, pointer, "must not fall; %lld comes after %lld", (long long)values[i],
                              (long long)values[i - 1]);
        }
        family->widths[place][i] = (uint16_t)values[i];
    }
    *ret_width = family->widths[place][n - 1];
    return TL_OK;
}

/* ---- reading: parts ------------------------------------------------------------------------------------------ */

static enum tl_rc read_facts(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    const char *name = NULL;
    double bn_eps = 0;
    int64_t resolutions[TL_COUNT_OF(family->resolutions)] = {0};
    size_t n = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_name(top, "name", TL_REQUIRED, &name, err)) ||
        (rc = read_text(top, "title", sizeof family->title, family->title, err)) ||
        (rc = read_text(top, "source", sizeof family->source, family->source, err)) ||
        (rc = read_u16(top, "classes", TL_REQUIRED, 1, NET_CHANNELS_MAX, &family->n_classes, err)) ||
        (rc = tl_json_real(top, "bn_eps", TL_REQUIRED, 1e-12, 1, &bn_eps, err)) ||
        (rc = read_rising(top, "resolutions", TL_REQUIRED, TL_COUNT_OF(resolutions), RESOLUTION_MIN, NET_SIDE_MAX,
                          resolutions, &n, err))) {
        return rc;
    }
    (void)snprintf(family->name, sizeof family->name, "%s", name);
    family->bn_eps = (float)bn_eps;
    family->n_resolutions = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        family->resolutions[i] = (uint16_t)resolutions[i];
    }
    return TL_OK;
}

static enum tl_rc read_stem(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    struct tl_json_object stem;
    bool there = false;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_nested(top, "stem", TL_REQUIRED, &stem, &there, err)) ||
        (rc = read_width(&stem, "width", TL_REQUIRED, NET_PLACE_STEM, family, &family->stem_width, err)) ||
        (rc = read_stride(&stem, &family->stem_stride, err)) || (rc = read_act(&stem, &family->stem_act, err)) ||
        (rc = tl_json_bool(&stem, "pool", TL_OPTIONAL, &family->stem_pool, err)) ||
        (rc = read_width(&stem, "mid", TL_OPTIONAL, NET_PLACE_MID, family, &family->stem_mid, err))) {
        return rc;
    }
    if (family->stem_mid) {
        uint8_t depths[4] = {0};
        family->n_stem_depths = 1;
        if ((rc = read_bytes(&stem, "depths", TL_OPTIONAL, 0, 1, depths, &family->n_stem_depths, err))) {
            return rc;
        }
        memcpy(family->stem_depths, depths, sizeof family->stem_depths);
    }
    return tl_json_object_close(&stem, err);
}

static enum tl_rc read_first(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    struct tl_json_object first;
    bool there = false;
    enum tl_rc rc = tl_json_nested(top, "first", TL_OPTIONAL, &first, &there, err);

    if (rc || !there) {
        return rc;
    }
    if ((rc = read_u16(&first, "width", TL_REQUIRED, 1, NET_CHANNELS_MAX, &family->first_width, err)) ||
        (rc = read_act(&first, &family->first_act, err))) {
        return rc;
    }
    return tl_json_object_close(&first, err);
}

static enum tl_rc read_head(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    struct tl_json_object head;
    bool there = false;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_nested(top, "head", TL_REQUIRED, &head, &there, err)) ||
        (rc = read_u16(&head, "final", TL_OPTIONAL, 0, NET_CHANNELS_MAX, &family->final_width, err)) ||
        (rc = read_u16(&head, "feature", TL_OPTIONAL, 0, NET_CHANNELS_MAX, &family->feature_width, err)) ||
        (rc = read_act(&head, &family->head_act, err))) {
        return rc;
    }
    return tl_json_object_close(&head, err);
}

static enum tl_rc check_kernel(const struct tl_json_object *object, const char *name, unsigned kernel,
                               struct tl_err *err)
{
    char pointer[160];

    if (kernel % 2 == 1) {
        return TL_OK;
    }
    pointer_of(object, name, pointer);
    return tl_fail_at(err, TL_INVALID, pointer, "a kernel must be 1, 3, 5 or 7, not %u", kernel);
}

static enum tl_rc read_choice(struct tl_json_object *object, struct net_choice *ret_choice, struct tl_err *err)
{
    struct net_choice choice = {0};
    uint16_t kernel = 0;
    uint16_t expand = 0;
    enum tl_rc rc = tl_json_bool(object, "identity", TL_OPTIONAL, &choice.identity, err);

    if (!rc && !choice.identity) {
        (void)((rc = tl_json_bool(object, "conv", TL_OPTIONAL, &choice.conv, err)) ||
               (rc = tl_json_bool(object, "se", TL_OPTIONAL, &choice.se, err)) ||
               (rc = tl_json_bool(object, "plain", TL_OPTIONAL, &choice.plain, err)) ||
               (rc = read_u16(object, "kernel", TL_REQUIRED, 1, 7, &kernel, err)) ||
               (rc = choice.conv ? TL_OK : read_u16(object, "expand", TL_REQUIRED, 1, EXPAND_MAX, &expand, err)) ||
               (rc = check_kernel(object, "kernel", kernel, err)));
    }
    if (rc || (rc = tl_json_object_close(object, err))) {
        return rc;
    }
    choice.kernel = (uint8_t)kernel;
    choice.expand = (uint8_t)expand;
    *ret_choice = choice;
    return TL_OK;
}

static bool same_choice(const struct net_choice *a, const struct net_choice *b)
{
    return a->identity == b->identity && a->kernel == b->kernel && a->expand == b->expand && a->conv == b->conv &&
           a->se == b->se && a->plain == b->plain;
}

static enum tl_rc read_listed_choices(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    json_t *array = NULL;
    enum tl_rc rc = tl_json_array(top, "choices", TL_REQUIRED, 1, TL_COUNT_OF(family->choices), &array, err);

    for (size_t i = 0; !rc && i < json_array_size(array); i++) {
        struct tl_json_object object;
        if ((rc = tl_json_element(top, "choices", array, i, &object, err)) ||
            (rc = read_choice(&object, &family->choices[i], err))) {
            return rc;
        }
        for (size_t j = 0; j < i; j++) {
            if (same_choice(&family->choices[i], &family->choices[j])) {
                return tl_fail_at(err, TL_INVALID, object.pointer, "is choice %zu once more; leave one out", j);
            }
        }
        family->n_choices++;
    }
    return rc;
}

/* Those of bottlenecks are ratios. */
static enum tl_rc read_expands(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    uint16_t hundredths[TL_COUNT_OF(family->expands)] = {0};
    enum tl_rc rc = TL_OK;

    if (!family->bottleneck) {
        return read_bytes(top, "expands", TL_REQUIRED, 1, EXPAND_MAX, family->expands, &family->n_expands, err);
    }
    rc = read_hundredths(top, "expands", TL_REQUIRED, RATIO_MAX, hundredths, &family->n_expands, err);
    for (size_t i = 0; !rc && i < family->n_expands; i++) {
        family->expands[i] = (uint8_t)hundredths[i];
    }
    return rc;
}

/* Kernels and expands, or (of inverted residual blocks) choices. */
static enum tl_rc read_choices(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    const enum tl_json_need need = family->bottleneck ? TL_REQUIRED : TL_OPTIONAL;
    enum tl_rc rc = read_bytes(top, "kernels", need, 1, 7, family->kernels, &family->n_kernels, err);

    if (rc || family->n_kernels == 0) {
        return rc ? rc : read_listed_choices(top, family, err);
    }
    if ((rc = read_expands(top, family, err))) {
        return rc;
    }
    for (size_t k = 0; k < family->n_kernels; k++) {
        if ((rc = check_kernel(top, "kernels", family->kernels[k], err))) {
            return rc;
        }
        for (size_t e = 0; e < family->n_expands; e++) {
            family->choices[family->n_choices++] =
                (struct net_choice){.kernel = family->kernels[k], .expand = family->expands[e]};
        }
    }
    return TL_OK;
}

/* How many slots a stage has, and how many of them may be used: its own word, or `common`. */
static enum tl_rc read_slots(struct tl_json_object *object, const struct net_stage *common, struct net_stage *stage,
                             struct tl_err *err)
{
    uint16_t slots = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = read_bytes(object, "depths", TL_OPTIONAL, 1, NET_SLOTS_MAX, stage->depths, &stage->n_depths, err)) ||
        (rc = read_u16(object, "slots", TL_OPTIONAL, 1, NET_SLOTS_MAX, &slots, err))) {
        return rc;
    }
    if (stage->n_depths && slots) {
        return tl_fail_at(err, TL_INVALID, object->pointer,
                          "has depths and slots; depths are for a stage of elastic depth, slots for a fixed one");
    }
    if (slots) {
        stage->n_slots = (uint8_t)slots;
        return TL_OK;
    }
    if (stage->n_depths == 0) {
        stage->n_depths = common->n_depths;
        memcpy(stage->depths, common->depths, sizeof stage->depths);
    }
    if (stage->n_depths == 0) {
        return tl_fail_at(err, TL_INVALID, object->pointer,
                          "has neither depths nor slots, and the family has no depths for all stages");
    }
    stage->n_slots = stage->depths[stage->n_depths - 1];
    return TL_OK;
}

/* The middle of a slot has an expansion times its input channels or, in bottlenecks, its output channels. */
static enum tl_rc check_mid(const struct tl_json_object *object, const struct net_family *family, unsigned channels,
                            struct tl_err *err)
{
    double expand = 1;
    char pointer[160];

    for (size_t i = 0; i < family->n_choices; i++) {
        const double ratio = net_choice_expand(family, &family->choices[i]);
        expand = ratio > expand ? ratio : expand;
    }
    if (channels * expand <= NET_CHANNELS_MAX) {
        return TL_OK;
    }
    pointer_of(object, "width", pointer);
    return tl_fail_at(err, TL_INVALID, pointer,
                      "%u channels expanded %g times are %.0f; at most %d fit: lower the width or the expansion",
                      channels, expand, channels * expand, NET_CHANNELS_MAX);
}

static enum tl_rc check_no_se(const struct tl_json_object *object, const struct net_family *family,
                              const struct net_stage *stage, struct tl_err *err)
{
    char pointer[160];

    if (!family->bottleneck || !stage->se) {
        return TL_OK;
    }
    pointer_of(object, "se", pointer);
    return tl_fail_at(err, TL_INVALID, pointer, "must be false: bottlenecks have no squeeze-and-excitation");
}

/* Stage `index` of the family, which is being read. */
static enum tl_rc read_stage(struct tl_json_object *object, struct net_family *family, size_t index,
                             unsigned channels_in, const struct net_stage *common, struct tl_err *err)
{
    struct net_stage stage = {0};
    enum tl_rc rc = TL_OK;

    if ((rc = read_width(object, "width", TL_REQUIRED, NET_PLACE_STAGE + index, family, &stage.width, err)) ||
        (rc = read_stride(object, &stage.stride, err)) || (rc = read_act(object, &stage.act, err)) ||
        (rc = tl_json_bool(object, "se", TL_OPTIONAL, &stage.se, err)) ||
        (rc = read_slots(object, common, &stage, err)) || (rc = tl_json_object_close(object, err)) ||
        (rc = check_no_se(object, family, &stage, err)) ||
        (rc = check_mid(object, family, stage.width > channels_in ? stage.width : channels_in, err))) {
        return rc;
    }
    family->stages[index] = stage;
    return TL_OK;
}

static enum tl_rc read_stages(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    struct net_stage common = {0};
    unsigned channels = family->first_width ? family->first_width : family->stem_width;
    size_t n_slots = 0;
    json_t *array = NULL;
    enum tl_rc rc = TL_OK;

    if ((rc = read_bytes(top, "depths", TL_OPTIONAL, 1, NET_SLOTS_MAX, common.depths, &common.n_depths, err)) ||
        (rc = tl_json_array(top, "stages", TL_REQUIRED, 1, NET_STAGES_MAX, &array, err))) {
        return rc;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct tl_json_object object;
        if ((rc = tl_json_element(top, "stages", array, i, &object, err)) ||
            (rc = read_stage(&object, family, i, channels, &common, err))) {
            return rc;
        }
        channels = family->stages[i].width;
        n_slots += family->stages[i].n_slots;
        if (n_slots > NET_SLOTS_MAX) {
            return tl_fail_at(err, TL_INVALID, object.pointer,
                              "up to here the stages have %zu slots; a family has at most %d in all", n_slots,
                              NET_SLOTS_MAX);
        }
        family->n_stages++;
    }
    return TL_OK;
}

/* The largest networks, one of every choice: what net_check refuses is refused here. */
static enum tl_rc check_largest(const struct net_family *family, const char *pointer, struct tl_err *err)
{
    struct network *net = malloc(sizeof *net);
    struct tl_err found = {0};
    struct net_pick pick;
    enum tl_rc rc = net ? TL_OK : tl_fail(err, TL_NO_MEMORY, "no memory to check a family");

    net_family_extreme(family, family->resolutions[family->n_resolutions - 1], true, &pick);
    for (unsigned c = 0; !rc && c < family->n_choices; c++) {
        memset(pick.choice, (int)c, sizeof pick.choice);
        rc = net_build(family, &pick, net, &found);
        rc = rc ? rc : net_check(net, &found);
        if (rc) {
            rc = tl_fail_at(err, TL_INVALID, pointer, "its largest network cannot be: %s", found.text);
        }
    }
    free(net);
    return rc;
}

enum tl_rc net_family_decode(json_t *json, const char *pointer, struct net_family *ret_family, struct tl_err *err)
{
    struct net_family family = {0};
    struct tl_json_object top;
    size_t block = 0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_object_open(&top, json, pointer, err)) || (rc = read_facts(&top, &family, err)) ||
        (rc = tl_json_choice(&top, "block", TL_OPTIONAL, net_block_names, TL_COUNT_OF(net_block_names), &block, err))) {
        return rc;
    }
    family.bottleneck = block == 1;
    if ((rc = tl_json_bool(&top, "per_stage", TL_OPTIONAL, &family.per_stage, err)) ||
        (rc = read_hundredths(&top, "multipliers", TL_OPTIONAL, MULTIPLIER_MAX, family.multipliers, &family.n_widths,
                              err)) ||
        (rc = read_stem(&top, &family, err)) || (rc = read_first(&top, &family, err)) ||
        (rc = read_choices(&top, &family, err)) || (rc = read_stages(&top, &family, err)) ||
        (rc = read_head(&top, &family, err)) || (rc = tl_json_object_close(&top, err)) ||
        (rc = check_largest(&family, pointer, err))) {
        return rc;
    }
    *ret_family = family;
    return TL_OK;
}

enum tl_rc net_family_parse(const char *text, size_t n, struct net_family *ret_family, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    enum tl_rc rc = TL_OK;

    if (n > NET_FAMILY_BYTES_MAX) {
        return tl_fail(err, TL_TOO_LARGE, "a family of %zu bytes; at most %d are read", n, NET_FAMILY_BYTES_MAX);
    }
    if ((rc = tl_json_parse(&doc, text, n, err))) {
        return rc;
    }
    return net_family_decode(doc.root, "", ret_family, err);
}

/* ---- as text ------------------------------------------------------------------------------------------------- */

enum tl_rc net_family_write(const struct net_family *family, struct tl_buf *buf, struct tl_err *err)
{
    return tl_json_dump_exact_take(net_family_encode(family), buf, err);
}

bool net_family_equal(const struct net_family *a, const struct net_family *b)
{
    TL_AUTO(tl_buf) one = {.max = NET_FAMILY_BYTES_MAX};
    TL_AUTO(tl_buf) other = {.max = NET_FAMILY_BYTES_MAX};
    struct net_family c = *a, d = *b;

    c.title[0] = c.source[0] = d.title[0] = d.source[0] = '\0';
    return !net_family_write(&c, &one, NULL) && !net_family_write(&d, &other, NULL) && one.len == other.len &&
           memcmp(one.data, other.data, one.len) == 0;
}
