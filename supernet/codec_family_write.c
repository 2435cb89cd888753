/* codec_family_write.c - families to JSON. Threads: pure functions. */
#include "supernet/codec_family.h"

/* json_object_set_new takes the value even when it fails, and fails for NULL: true all the way means all is there. */
static bool put(json_t *object, const char *name, json_t *value_taken)
{
    return json_object_set_new(object, name, value_taken) == 0;
}

/* The same for arrays. */
static bool append(json_t *array, json_t *value_taken)
{
    return json_array_append_new(array, value_taken) == 0;
}

/* `value`, or NULL in its place where it is not whole. */
static json_t *if_whole(json_t *value_taken, bool whole)
{
    if (!whole) {
        json_decref(value_taken);
        return NULL;
    }
    return value_taken;
}

static json_t *encode_bytes(const uint8_t *values, size_t n)
{
    json_t *list = json_array();
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        ok = ok && append(list, json_integer(values[i]));
    }
    return if_whole(list, ok);
}

static json_t *encode_numbers(const uint16_t *values, size_t n)
{
    json_t *list = json_array();
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        ok = ok && append(list, json_integer(values[i]));
    }
    return if_whole(list, ok);
}

static json_t *encode_hundredths(const uint16_t *values, size_t n)
{
    json_t *list = json_array();
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        ok = ok && append(list, json_real(values[i] / 100.0));
    }
    return if_whole(list, ok);
}

/* One number, or one a multiplier. */
static json_t *encode_width(const struct net_family *family, size_t place, unsigned fixed)
{
    return net_family_elastic_width(family, place) ? encode_numbers(family->widths[place], family->n_widths)
                                                   : json_integer(fixed);
}

static json_t *encode_expands(const struct net_family *family)
{
    uint16_t ratios[TL_COUNT_OF(family->expands)];

    for (size_t i = 0; i < family->n_expands; i++) {
        ratios[i] = family->expands[i];
    }
    return family->bottleneck ? encode_hundredths(ratios, family->n_expands)
                              : encode_bytes(family->expands, family->n_expands);
}

static json_t *encode_choice(const struct net_choice *choice)
{
    json_t *json = choice->identity ? json_pack("{s:b}", "identity", 1)
                                    : json_pack("{s:i, s:b, s:b, s:b}", "kernel", choice->kernel, "conv", choice->conv,
                                                "se", choice->se, "plain", choice->plain);
    const bool expands = !choice->identity && !choice->conv;

    return if_whole(json, !expands || put(json, "expand", json_integer(choice->expand)));
}

static json_t *encode_choices(const struct net_family *family)
{
    json_t *list = json_array();
    bool ok = true;

    for (size_t i = 0; i < family->n_choices; i++) {
        ok = ok && append(list, encode_choice(&family->choices[i]));
    }
    return if_whole(list, ok);
}

static json_t *encode_stage(const struct net_family *family, size_t index)
{
    const struct net_stage *stage = &family->stages[index];
    json_t *json =
        json_pack("{s:o, s:i, s:s, s:b}", "width", encode_width(family, NET_PLACE_STAGE + index, stage->width),
                  "stride", stage->stride, "act", net_act_names[stage->act], "se", stage->se);

    return if_whole(json, stage->n_depths ? put(json, "depths", encode_bytes(stage->depths, stage->n_depths))
                                          : put(json, "slots", json_integer(stage->n_slots)));
}

static json_t *encode_stages(const struct net_family *family)
{
    json_t *list = json_array();
    bool ok = true;

    for (size_t i = 0; i < family->n_stages; i++) {
        ok = ok && append(list, encode_stage(family, i));
    }
    return if_whole(list, ok);
}

static json_t *encode_stem(const struct net_family *family)
{
    json_t *json =
        json_pack("{s:o, s:i, s:s, s:b}", "width", encode_width(family, NET_PLACE_STEM, family->stem_width), "stride",
                  family->stem_stride, "act", net_act_names[family->stem_act], "pool", family->stem_pool);

    return if_whole(json, !family->stem_mid ||
                              (put(json, "mid", encode_width(family, NET_PLACE_MID, family->stem_mid)) &&
                               put(json, "depths", encode_bytes(family->stem_depths, family->n_stem_depths))));
}

static bool put_choices(json_t *json, const struct net_family *family)
{
    if (family->n_kernels == 0) {
        return put(json, "choices", encode_choices(family));
    }
    return put(json, "kernels", encode_bytes(family->kernels, family->n_kernels)) &&
           put(json, "expands", encode_expands(family));
}

json_t *net_family_encode(const struct net_family *family)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:f, s:s, s:b}", "name", family->name, "title", family->title,
                             "source", family->source, "classes", family->n_classes, "bn_eps", (double)family->bn_eps,
                             "block", net_block_names[family->bottleneck], "per_stage", family->per_stage);
    bool ok = put(json, "resolutions", encode_numbers(family->resolutions, family->n_resolutions)) &&
              put(json, "stem", encode_stem(family)) && put(json, "stages", encode_stages(family)) &&
              put_choices(json, family) &&
              put(json, "head",
                  json_pack("{s:i, s:i, s:s}", "final", family->final_width, "feature", family->feature_width, "act",
                            net_act_names[family->head_act]));

    if (ok && family->first_width) {
        ok = put(json, "first",
                 json_pack("{s:i, s:s}", "width", family->first_width, "act", net_act_names[family->first_act]));
    }
    if (ok && family->n_widths) {
        ok = put(json, "multipliers", encode_hundredths(family->multipliers, family->n_widths));
    }
    return if_whole(json, ok);
}
