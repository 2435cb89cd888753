/* codec_family.c - families of networks as JSON, and the ones that are shipped.
 *
 *     {"name": "cifar-mbv3", "title": "..", "source": "..", "classes": 10,
 *      "stem": {"width": 16, "stride": 1, "act": "hswish"},
 *      "first": {"width": 16, "act": "relu"},                       fixed 3x3 block after the stem; may be left out
 *      "stages": [{"width": 24, "stride": 2, "act": "relu", "se": false, "slots": 4}, ..],
 *      "kernels": [3, 5], "expands": [3, 4, 6], "depths": [2, 3, 4],  or, without elastic depth,
 *      "options": [{"identity": true}, {"kernel": 3, "expand": 3}, ..],
 *      "head": {"final": 576, "feature": 640, "act": "hswish"},       final and feature may be left out
 *      "bn_eps": 1e-05, "resolutions": [24, 28, 32]}
 *
 * One idea: what is taken can be built. The largest and the smallest network are built and checked before a family is
 * handed out; what lies between is no larger than the one and has no smaller map than the other.
 * Threads: any.
 */
#include "base/codec_json.h"
#include "supernet/network.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ACTS[NET_ACT_COUNT] = {"none", "relu", "relu6", "hswish"};

/* ---- reading ------------------------------------------------------------------------------------------------- */

static enum tl_rc read_text(struct tl_json_object *object, const char *name, char *ret_text, struct tl_err *err)
{
    const char *text = "";
    const enum tl_rc rc = tl_json_string(object, name, TL_REQUIRED, NET_FAMILY_TEXT_MAX - 1, &text, err);

    if (rc == TL_OK) {
        memcpy(ret_text, text, strlen(text) + 1);
    }
    return rc;
}

static enum tl_rc read_u16(struct tl_json_object *object, const char *name, enum tl_json_need need, int64_t least,
                           uint16_t *ret_value, struct tl_err *err)
{
    int64_t value = 0;
    const enum tl_rc rc = tl_json_int(object, name, need, least, NET_CHANNELS_MAX, &value, err);

    *ret_value = (uint16_t)value;
    return rc;
}

static enum tl_rc read_u8(struct tl_json_object *object, const char *name, int64_t least, int64_t most,
                          uint8_t *ret_value, struct tl_err *err)
{
    int64_t value = 0;
    const enum tl_rc rc = tl_json_int(object, name, TL_REQUIRED, least, most, &value, err);

    *ret_value = (uint8_t)value;
    return rc;
}

static enum tl_rc read_act(struct tl_json_object *object, enum net_act *ret_act, struct tl_err *err)
{
    size_t act = 0;
    const enum tl_rc rc = tl_json_choice(object, "act", TL_REQUIRED, ACTS, NET_ACT_COUNT, &act, err);

    *ret_act = (enum net_act)act;
    return rc;
}

static enum tl_rc read_entry(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    struct tl_json_object stem, first;
    bool there = false;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_nested(top, "stem", TL_REQUIRED, &stem, &there, err)) ||
        (rc = read_u16(&stem, "width", TL_REQUIRED, 1, &family->stem_width, err)) ||
        (rc = read_u8(&stem, "stride", 1, 2, &family->stem_stride, err)) ||
        (rc = read_act(&stem, &family->stem_act, err)) || (rc = tl_json_object_close(&stem, err)) ||
        (rc = tl_json_nested(top, "first", TL_OPTIONAL, &first, &there, err)) || !there) {
        return rc;
    }
    if ((rc = read_u16(&first, "width", TL_REQUIRED, 1, &family->first_width, err)) ||
        (rc = read_act(&first, &family->first_act, err))) {
        return rc;
    }
    return tl_json_object_close(&first, err);
}

static enum tl_rc read_stage(struct tl_json_object *from, struct net_stage *stage, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    if ((rc = read_u16(from, "width", TL_REQUIRED, 1, &stage->width, err)) ||
        (rc = read_u8(from, "stride", 1, 2, &stage->stride, err)) || (rc = read_act(from, &stage->act, err)) ||
        (rc = tl_json_bool(from, "se", TL_OPTIONAL, &stage->se, err)) ||
        (rc = read_u8(from, "slots", 1, NET_SLOTS_MAX, &stage->n_slots, err))) {
        return rc;
    }
    return tl_json_object_close(from, err);
}

static enum tl_rc read_stages(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    json_t *list = NULL;
    enum tl_rc rc = tl_json_array(top, "stages", TL_REQUIRED, 1, NET_STAGES_MAX, &list, err);

    for (size_t i = 0; rc == TL_OK && i < json_array_size(list); i++) {
        struct tl_json_object stage;
        rc = tl_json_element(top, "stages", list, i, &stage, err);
        rc = rc ? rc : read_stage(&stage, &family->stages[family->n_stages++], err);
    }
    if (rc == TL_OK && net_family_slots(family, family->n_stages) > NET_SLOTS_MAX) {
        return tl_fail_at(err, TL_INVALID, "/stages", "all stages together have more than %d slots", NET_SLOTS_MAX);
    }
    return rc;
}

/* Numbers in ascending order. */
static enum tl_rc read_ascending(struct tl_json_object *top, const char *name, size_t max_n, int64_t least,
                                 int64_t most, int64_t *ret_values, size_t *ret_n, struct tl_err *err)
{
    const enum tl_rc rc = tl_json_ints(top, name, TL_REQUIRED, 1, max_n, least, most, ret_values, ret_n, err);

    for (size_t i = 1; rc == TL_OK && i < *ret_n; i++) {
        if (ret_values[i] <= ret_values[i - 1]) {
            char pointer[64];
            (void)snprintf(pointer, sizeof pointer, "/%s/%zu", name, i);
            return tl_fail_at(err, TL_INVALID, pointer, "\"%s\" has to ascend, and %lld does not follow %lld", name,
                              (long long)ret_values[i], (long long)ret_values[i - 1]);
        }
    }
    return rc;
}

static enum tl_rc read_bytes(struct tl_json_object *top, const char *name, int64_t least, int64_t most,
                             uint8_t ret_values[4], uint8_t *ret_n, struct tl_err *err)
{
    int64_t values[4] = {0};
    size_t n = 0;
    const enum tl_rc rc = read_ascending(top, name, 4, least, most, values, &n, err);

    for (size_t i = 0; rc == TL_OK && i < n; i++) {
        ret_values[i] = (uint8_t)values[i];
    }
    *ret_n = (uint8_t)n;
    return rc;
}

static enum tl_rc check_odd(const char *pointer, unsigned kernel, struct tl_err *err)
{
    return kernel % 2 ? TL_OK : tl_fail_at(err, TL_INVALID, pointer, "kernels are 1, 3, 5 or 7, not %u", kernel);
}

enum { EXPAND_MAX = 16 };

/* Kernels, expansions and depths; the choices of a slot are all pairs of the first two. */
static enum tl_rc read_elastic(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    if ((rc = read_bytes(top, "kernels", 1, 7, family->kernels, &family->n_kernels, err)) ||
        (rc = read_bytes(top, "expands", 1, EXPAND_MAX, family->expands, &family->n_expands, err)) ||
        (rc = read_bytes(top, "depths", 1, NET_SLOTS_MAX, family->depths, &family->n_depths, err))) {
        return rc;
    }
    for (size_t k = 0; k < family->n_kernels; k++) {
        if ((rc = check_odd("/kernels", family->kernels[k], err))) {
            return rc;
        }
        for (size_t e = 0; e < family->n_expands; e++) {
            family->choices[family->n_choices++] =
                (struct net_choice){.kernel = family->kernels[k], .expand = family->expands[e]};
        }
    }
    for (size_t s = 0; s < family->n_stages; s++) {
        if (family->stages[s].n_slots != family->depths[family->n_depths - 1]) {
            return tl_fail_at(
                err, TL_INVALID, "/stages",
                "stage %zu has %u slots; with elastic depth every stage has as many as the largest depth, %u", s,
                family->stages[s].n_slots, family->depths[family->n_depths - 1]);
        }
    }
    return TL_OK;
}

static enum tl_rc read_option(struct tl_json_object *from, struct net_choice *choice, struct tl_err *err)
{
    enum tl_rc rc = tl_json_bool(from, "identity", TL_OPTIONAL, &choice->identity, err);

    if (rc == TL_OK && !choice->identity) {
        if ((rc = read_u8(from, "kernel", 1, 7, &choice->kernel, err)) ||
            (rc = read_u8(from, "expand", 1, EXPAND_MAX, &choice->expand, err)) ||
            (rc = check_odd(from->pointer, choice->kernel, err))) {
            return rc;
        }
    }
    return rc ? rc : tl_json_object_close(from, err);
}

static enum tl_rc read_options(struct tl_json_object *top, json_t *list, struct net_family *family, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;

    for (size_t i = 0; rc == TL_OK && i < json_array_size(list); i++) {
        struct tl_json_object option;
        rc = tl_json_element(top, "options", list, i, &option, err);
        rc = rc ? rc : read_option(&option, &family->choices[family->n_choices++], err);
    }
    return rc;
}

static enum tl_rc read_choices(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    json_t *list = NULL;
    const enum tl_rc rc = tl_json_array(top, "options", TL_OPTIONAL, 2, TL_COUNT_OF(family->choices), &list, err);

    if (rc) {
        return rc;
    }
    return list ? read_options(top, list, family, err) : read_elastic(top, family, err);
}

static enum tl_rc read_head(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    struct tl_json_object head;
    bool there = false;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_nested(top, "head", TL_REQUIRED, &head, &there, err)) ||
        (rc = read_u16(&head, "final", TL_OPTIONAL, 1, &family->final_width, err)) ||
        (rc = read_u16(&head, "feature", TL_OPTIONAL, 1, &family->feature_width, err)) ||
        (rc = read_act(&head, &family->head_act, err))) {
        return rc;
    }
    return tl_json_object_close(&head, err);
}

static enum tl_rc read_resolutions(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    int64_t values[TL_COUNT_OF(family->resolutions)] = {0};
    size_t n = 0;
    const enum tl_rc rc =
        read_ascending(top, "resolutions", TL_COUNT_OF(family->resolutions), 1, NET_SIDE_MAX, values, &n, err);

    for (size_t i = 0; rc == TL_OK && i < n; i++) {
        family->resolutions[i] = (uint16_t)values[i];
    }
    family->n_resolutions = (uint8_t)n;
    return rc;
}

static enum tl_rc read_family(struct tl_json_object *top, struct net_family *family, struct tl_err *err)
{
    const char *name = "";
    double eps = 0.0;
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_name(top, "name", TL_REQUIRED, &name, err)) ||
        (rc = read_text(top, "title", family->title, err)) || (rc = read_text(top, "source", family->source, err)) ||
        (rc = read_u16(top, "classes", TL_REQUIRED, 2, &family->n_classes, err)) ||
        (rc = read_entry(top, family, err)) || (rc = read_stages(top, family, err)) ||
        (rc = read_choices(top, family, err)) || (rc = read_head(top, family, err)) ||
        (rc = tl_json_real(top, "bn_eps", TL_REQUIRED, 1e-12, 1.0, &eps, err)) ||
        (rc = read_resolutions(top, family, err))) {
        return rc;
    }
    memcpy(family->name, name, strlen(name) + 1);
    family->bn_eps = (float)eps;
    return tl_json_object_close(top, err);
}

/* The network whose options are all at one end. */
static enum tl_rc check_extreme(const struct net_family *family, bool largest, struct network *net, struct tl_err *err)
{
    struct net_pick pick = {.resolution = family->resolutions[largest ? family->n_resolutions - 1 : 0]};

    for (size_t s = 0; s < family->n_stages; s++) {
        pick.depth[s] = family->n_depths && !largest ? family->depths[0] : family->stages[s].n_slots;
    }
    memset(pick.choice, largest ? family->n_choices - 1 : 0, sizeof pick.choice);
    const enum tl_rc rc = net_build(family, &pick, net, err);
    return rc ? rc : net_check(net, err);
}

static enum tl_rc check_family(const struct net_family *family, struct tl_err *err)
{
    unsigned widest = family->final_width > family->feature_width ? family->final_width : family->feature_width;

    for (size_t s = 0; s < family->n_stages; s++) {
        for (size_t i = 0; i < family->n_choices; i++) {
            const unsigned mid = (unsigned)family->stages[s].width * family->choices[i].expand;
            widest = mid > widest ? mid : widest;
        }
    }
    if (widest > NET_CHANNELS_MAX - 8) {
        return tl_fail_at(err, TL_INVALID, "/stages",
                          "expanded by its largest ratio a stage has %u channels; the most is %d", widest,
                          NET_CHANNELS_MAX - 8);
    }
    struct network *net = malloc(sizeof *net);
    if (!net) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to check a family");
    }
    enum tl_rc rc = check_extreme(family, true, net, err);
    rc = rc ? rc : check_extreme(family, false, net, err);
    free(net);
    return rc;
}

enum tl_rc net_family_decode(const char *json, size_t n, struct net_family *ret_family, struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct tl_json_object top;
    struct net_family family = {0};
    enum tl_rc rc = TL_OK;

    if ((rc = tl_json_parse(&doc, json, n, err)) || (rc = tl_json_object_open(&top, doc.root, "", err)) ||
        (rc = read_family(&top, &family, err)) || (rc = check_family(&family, err))) {
        return rc;
    }
    *ret_family = family;
    return TL_OK;
}

enum tl_rc net_family_load(const char *path, struct net_family *ret_family, struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = NET_FAMILY_JSON_MAX};
    const enum tl_rc rc = tl_file_read(path, &text, err);

    return rc ? rc : net_family_decode(text.data ? text.data : "", text.len, ret_family, err);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static json_t *stage_json(const struct net_stage *stage)
{
    return json_pack("{s:i, s:i, s:s, s:b, s:i}", "width", stage->width, "stride", stage->stride, "act",
                     ACTS[stage->act], "se", stage->se, "slots", stage->n_slots);
}

static json_t *option_json(const struct net_choice *choice)
{
    return choice->identity ? json_pack("{s:b}", "identity", 1)
                            : json_pack("{s:i, s:i}", "kernel", choice->kernel, "expand", choice->expand);
}

static json_t *bytes_json(const uint8_t *values, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_integer(values[i]));
    }
    return list;
}

static void set_choices(json_t *json, const struct net_family *family)
{
    json_t *options = family->n_depths ? NULL : json_array();

    for (size_t i = 0; options && i < family->n_choices; i++) {
        json_array_append_new(options, option_json(&family->choices[i]));
    }
    if (options) {
        json_object_set_new(json, "options", options);
        return;
    }
    json_object_set_new(json, "kernels", bytes_json(family->kernels, family->n_kernels));
    json_object_set_new(json, "expands", bytes_json(family->expands, family->n_expands));
    json_object_set_new(json, "depths", bytes_json(family->depths, family->n_depths));
}

static json_t *head_json(const struct net_family *family)
{
    json_t *head = json_pack("{s:s}", "act", ACTS[family->head_act]);

    if (family->final_width) {
        json_object_set_new(head, "final", json_integer(family->final_width));
    }
    if (family->feature_width) {
        json_object_set_new(head, "feature", json_integer(family->feature_width));
    }
    return head;
}

enum tl_rc net_family_encode(const struct net_family *family, struct tl_buf *buf, struct tl_err *err)
{
    json_t *stages = json_array(), *resolutions = json_array();

    for (size_t s = 0; s < family->n_stages; s++) {
        json_array_append_new(stages, stage_json(&family->stages[s]));
    }
    for (size_t i = 0; i < family->n_resolutions; i++) {
        json_array_append_new(resolutions, json_integer(family->resolutions[i]));
    }
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:i, s:{s:i, s:i, s:s}, s:o, s:o, s:f, s:o}", "name", family->name, "title",
                  family->title, "source", family->source, "classes", family->n_classes, "stem", "width",
                  family->stem_width, "stride", family->stem_stride, "act", ACTS[family->stem_act], "stages", stages,
                  "head", head_json(family), "bn_eps", (double)family->bn_eps, "resolutions", resolutions);
    if (json) {
        set_choices(json, family);
    }
    if (json && family->first_width) {
        json_object_set_new(json, "first",
                            json_pack("{s:i, s:s}", "width", family->first_width, "act", ACTS[family->first_act]));
    }
    return tl_json_dump_exact_take(json, buf, err);
}

bool net_family_equal(const struct net_family *a, const struct net_family *b)
{
    TL_AUTO(tl_buf) one = {.max = NET_FAMILY_JSON_MAX};
    TL_AUTO(tl_buf) other = {.max = NET_FAMILY_JSON_MAX};
    struct net_family c = *a, d = *b;

    memset(c.title, 0, sizeof c.title);
    memset(d.title, 0, sizeof d.title);
    memset(c.source, 0, sizeof c.source);
    memset(d.source, 0, sizeof d.source);
    return !net_family_encode(&c, &one, NULL) && !net_family_encode(&d, &other, NULL) && one.len == other.len &&
           memcmp(one.data, other.data, one.len) == 0;
}

/* ---- the shipped families ------------------------------------------------------------------------------------ */

struct family_text {
    const char *json;
    size_t n;
};

extern const struct family_text net_family_texts[]; /* families.S; the last one is empty */

enum { SHIPPED_MAX = 16 };

static struct net_family shipped[SHIPPED_MAX];
static size_t n_shipped;

/* The texts are part of the program and tested with it: they can only fail for want of memory. */
static void read_shipped(void)
{
    for (size_t i = 0; i < SHIPPED_MAX && net_family_texts[i].n > 0; i++) {
        if (net_family_decode(net_family_texts[i].json, net_family_texts[i].n, &shipped[i], NULL)) {
            abort();
        }
        n_shipped = i + 1;
    }
}

static void read_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, read_shipped);
}

size_t net_family_count(void)
{
    read_once();
    return n_shipped;
}

const struct net_family *net_family_at(size_t index)
{
    read_once();
    return index < n_shipped ? &shipped[index] : NULL;
}
