/* codec_space_file.c - see codec_space_file.h. */
#include "server/codec_space_file.h"

#include "base/codec_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTER = 160 };

/* What is being read. `groups` has the name of each group by its number, "" for one of a single variable. */
struct reading {
    struct space *space;
    char groups[SPACE_VARIABLES_MAX][SPACE_LABEL_MAX];
    uint16_t n_groups;
};

/* ---- labels and numbers -------------------------------------------------------------------------------------- */

static bool printable(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static enum tl_rc copy_label(const char *text, const char *pointer, char ret_label[SPACE_LABEL_MAX], struct tl_err *err)
{
    if (!text[0] || strlen(text) >= SPACE_LABEL_MAX || !printable(text)) {
        return tl_fail_at(err, TL_INVALID, pointer, "must be 1 to %d bytes of text without control characters",
                          SPACE_LABEL_MAX - 1);
    }
    (void)snprintf(ret_label, SPACE_LABEL_MAX, "%s", text);
    return TL_OK;
}

/* Numbers are kept to the 15 digits with which they are written, so that what is read back is the same; of two zeros one. */
static double kept_number(double number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.15g", number);
    return strtod(text, NULL) + 0.0;
}

/* The label of an option that is a number. */
static void label_number(double number, char ret_label[SPACE_LABEL_MAX])
{
    (void)snprintf(ret_label, SPACE_LABEL_MAX, "%.15g", number);
}

/* A string, or a number as label_number writes it. */
static enum tl_rc read_label(const json_t *json, const char *pointer, char ret_label[SPACE_LABEL_MAX],
                             struct tl_err *err)
{
    if (json_is_number(json)) {
        label_number(kept_number(json_number_value(json)), ret_label);
        return TL_OK;
    }
    if (!json_is_string(json)) {
        return tl_fail_at(err, TL_INVALID, pointer, "must be a name or a number");
    }
    return copy_label(json_string_value(json), pointer, ret_label, err);
}

/* ---- options ------------------------------------------------------------------------------------------------- */

/* {"label", "number"} */
static enum tl_rc read_labelled(json_t *json, const char *pointer, struct space_variable *v, struct tl_err *err)
{
    struct tl_json_object object;
    const char *label = "";
    char at[POINTER];
    double number = NAN;
    enum tl_rc rc;
    (void)snprintf(at, sizeof at, "%.120s/label", pointer);
    if ((rc = tl_json_object_open(&object, json, pointer, err)) ||
        (rc = tl_json_string(&object, "label", TL_REQUIRED, SPACE_LABEL_MAX - 1, &label, err)) ||
        (rc = tl_json_real(&object, "number", TL_OPTIONAL, -1e300, 1e300, &number, err)) ||
        (rc = tl_json_object_close(&object, err)) || (rc = copy_label(label, at, v->labels[v->n_options], err))) {
        return rc;
    }
    v->numbers[v->n_options] = isnan(number) ? number : kept_number(number);
    return TL_OK;
}

static enum tl_rc read_option(json_t *json, const char *pointer, struct space_variable *v, struct tl_err *err)
{
    enum tl_rc rc;
    if (json_is_object(json)) {
        rc = read_labelled(json, pointer, v, err);
    } else {
        v->numbers[v->n_options] = json_is_number(json) ? kept_number(json_number_value(json)) : (double)NAN;
        rc = read_label(json, pointer, v->labels[v->n_options], err);
    }
    if (rc) {
        return rc;
    }
    for (size_t i = 0; i < v->n_options; i++) {
        if (strcmp(v->labels[i], v->labels[v->n_options]) == 0) {
            return tl_fail_at(err, TL_INVALID, pointer, "\"%s\" is an option twice; drop one", v->labels[i]);
        }
    }
    v->n_options++;
    return TL_OK;
}

/* The first option whose number is not above the one before; n_options: all rise. */
static size_t first_fall(const struct space_variable *v)
{
    for (size_t i = 0; i < v->n_options; i++) {
        if (isnan(v->numbers[i]) || (i && !(v->numbers[i] > v->numbers[i - 1]))) {
            return i;
        }
    }
    return v->n_options;
}

static enum tl_rc read_options(struct tl_json_object *object, struct space_variable *v, struct tl_err *err)
{
    json_t *list = NULL;
    char pointer[POINTER];
    bool ordered = false;
    enum tl_rc rc = tl_json_array(object, "options", TL_REQUIRED, 1, SPACE_OPTIONS_MAX, &list, err);
    for (size_t i = 0; !rc && i < json_array_size(list); i++) {
        (void)snprintf(pointer, sizeof pointer, "%s/options/%zu", object->pointer, i);
        rc = read_option(json_array_get(list, i), pointer, v, err);
    }
    if (rc) {
        return rc;
    }
    const size_t fall = first_fall(v);
    ordered = fall == v->n_options;
    if ((rc = tl_json_bool(object, "ordered", TL_OPTIONAL, &ordered, err))) {
        return rc;
    }
    if (ordered && fall < v->n_options) {
        (void)snprintf(pointer, sizeof pointer, "%s/options/%zu", object->pointer, fall);
        return tl_fail_at(err, TL_INVALID, pointer,
                          "the options of an ordered variable need numbers that rise; sort them or drop \"ordered\"");
    }
    v->ordered = ordered;
    return TL_OK;
}

/* ---- variables ----------------------------------------------------------------------------------------------- */

static enum tl_rc fail_unknown(const char *pointer, const char *what, const char *label, const char *const *names,
                               size_t n, struct tl_err *err)
{
    const char *near = tl_nearest(label, names, n);
    return tl_fail_at(err, TL_INVALID, pointer, "%s \"%s\"%s%s%s", what, label, near ? "; did you mean \"" : "",
                      near ? near : "", near ? "\"?" : "");
}

/* The option of `v` that a JSON value names. */
static enum tl_rc find_option(const json_t *json, const char *pointer, const struct space_variable *v, int *ret_option,
                              struct tl_err *err)
{
    const char *labels[SPACE_OPTIONS_MAX];
    char label[SPACE_LABEL_MAX], what[SPACE_LABEL_MAX + 24];
    enum tl_rc rc = read_label(json, pointer, label, err);
    if (rc) {
        return rc;
    }
    *ret_option = space_option_find(v, label);
    if (*ret_option >= 0) {
        return TL_OK;
    }
    for (size_t i = 0; i < v->n_options; i++) {
        labels[i] = v->labels[i];
    }
    (void)snprintf(what, sizeof what, "%s has no option", v->name);
    return fail_unknown(pointer, what, label, labels, v->n_options, err);
}

/* Options of `v` as bits, from an array of at least one. */
static enum tl_rc read_mask(json_t *list, const char *pointer, const struct space_variable *v, uint32_t *ret_mask,
                            struct tl_err *err)
{
    char at[POINTER];
    uint32_t mask = 0;
    if (!json_is_array(list) || json_array_size(list) == 0) {
        return tl_fail_at(err, TL_INVALID, pointer, "must be an array of at least one option of %s", v->name);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        int option = 0;
        (void)snprintf(at, sizeof at, "%.120s/%zu", pointer, i);
        enum tl_rc rc = find_option(json_array_get(list, i), at, v, &option, err);
        if (rc) {
            return rc;
        }
        mask |= UINT32_C(1) << option;
    }
    *ret_mask = mask;
    return TL_OK;
}

static enum tl_rc find_variable(const struct space *space, const char *name, const char *pointer, int *ret_at,
                                struct tl_err *err)
{
    const char *names[SPACE_VARIABLES_MAX];
    *ret_at = space_variable_find(space, name);
    if (*ret_at >= 0) {
        return TL_OK;
    }
    for (size_t i = 0; i < space->n_variables; i++) {
        names[i] = space->variables[i].name;
    }
    char shown[SPACE_LABEL_MAX];
    (void)snprintf(shown, sizeof shown, "%s", name);
    return fail_unknown(pointer, "there is no variable", shown, names, space->n_variables, err);
}

static enum tl_rc read_condition(struct tl_json_object *object, const struct reading *reading, struct space_variable *v,
                                 struct tl_err *err)
{
    struct tl_json_object when;
    const char *parent = "";
    char pointer[POINTER];
    json_t *options = NULL;
    bool there = false;
    int at = -1;
    enum tl_rc rc = tl_json_nested(object, "active_when", TL_OPTIONAL, &when, &there, err);
    v->parent = -1;
    if (rc || !there) {
        return rc;
    }
    if ((rc = tl_json_string(&when, "variable", TL_REQUIRED, SPACE_LABEL_MAX - 1, &parent, err)) ||
        (rc = tl_json_array(&when, "options", TL_REQUIRED, 1, SPACE_OPTIONS_MAX, &options, err)) ||
        (rc = tl_json_object_close(&when, err))) {
        return rc;
    }
    (void)snprintf(pointer, sizeof pointer, "%s/variable", when.pointer);
    if (strcmp(parent, v->name) == 0) {
        return tl_fail_at(err, TL_INVALID, pointer, "%s cannot depend on itself", v->name);
    }
    struct tl_err why = {0};
    if ((rc = find_variable(reading->space, parent, pointer, &at, &why))) {
        return tl_fail_at(err, rc, pointer, "%s; it must come before %s", why.text, v->name);
    }
    v->parent = (int16_t)at;
    (void)snprintf(pointer, sizeof pointer, "%s/options", when.pointer);
    return read_mask(options, pointer, &reading->space->variables[at], &v->active_under, err);
}

/* The number of a group by its name; without a name a new one. */
static enum tl_rc read_group(struct tl_json_object *object, struct reading *reading, struct space_variable *v,
                             struct tl_err *err)
{
    const char *name = NULL;
    char pointer[POINTER];
    enum tl_rc rc = tl_json_string(object, "group", TL_OPTIONAL, SPACE_LABEL_MAX - 1, &name, err);
    if (rc) {
        return rc;
    }
    v->group = reading->n_groups;
    reading->groups[v->group][0] = '\0';
    if (name) {
        (void)snprintf(pointer, sizeof pointer, "%s/group", object->pointer);
        if ((rc = copy_label(name, pointer, reading->groups[v->group], err))) {
            return rc;
        }
        v->group = 0;
        while (strcmp(reading->groups[v->group], name) != 0) {
            v->group++;
        }
    }
    reading->n_groups = (uint16_t)(reading->n_groups + (v->group == reading->n_groups));
    return TL_OK;
}

static enum tl_rc read_variable(struct tl_json_object *object, struct reading *reading, struct tl_err *err)
{
    struct space *space = reading->space;
    struct space_variable *v = &space->variables[space->n_variables];
    const char *name = "";
    char pointer[POINTER];
    enum tl_rc rc;
    (void)snprintf(pointer, sizeof pointer, "%s/name", object->pointer);
    if ((rc = tl_json_string(object, "name", TL_REQUIRED, SPACE_LABEL_MAX - 1, &name, err)) ||
        (rc = copy_label(name, pointer, v->name, err))) {
        return rc;
    }
    if (strpbrk(name, "/~")) {
        return tl_fail_at(err, TL_INVALID, pointer, "must have neither / nor ~, which JSON pointers need");
    }
    const int twin = space_variable_find(space, name);
    if (twin >= 0) {
        return tl_fail_at(err, TL_INVALID, pointer, "variable %d is named \"%s\" already; rename one", twin, name);
    }
    if ((rc = read_options(object, v, err)) || (rc = read_group(object, reading, v, err)) ||
        (rc = read_condition(object, reading, v, err)) || (rc = tl_json_object_close(object, err))) {
        return rc;
    }
    space->n_variables++;
    return TL_OK;
}

/* ---- rules --------------------------------------------------------------------------------------------------- */

static enum tl_rc read_rule(json_t *json, const char *pointer, struct space *space, struct tl_err *err)
{
    struct space_rule *rule = &space->rules[space->n_rules];
    struct tl_err why = {0};
    char at[POINTER];
    const char *name;
    json_t *options;
    if (!json_is_object(json) || json_object_size(json) == 0 || json_object_size(json) > SPACE_TERMS_MAX) {
        return tl_fail_at(err, TL_INVALID, pointer,
                          "must be an object of 1 to %d variables, each with an array of its options", SPACE_TERMS_MAX);
    }
    json_object_foreach(json, name, options)
    {
        struct space_term *term = &rule->terms[rule->n_terms];
        int variable = -1;
        (void)snprintf(at, sizeof at, "%.60s/%.*s", pointer, SPACE_LABEL_MAX, name);
        enum tl_rc rc = find_variable(space, name, pointer, &variable, err);
        if (rc || (rc = read_mask(options, at, &space->variables[variable], &term->options, err))) {
            return rc;
        }
        term->variable = (uint8_t)variable;
        rule->n_terms++;
    }
    enum tl_rc rc = space_rule_check(space, space->n_rules, &why);
    if (rc) {
        return tl_fail_at(err, rc, pointer, "%s", why.text);
    }
    space->n_rules++;
    return TL_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------------------- */

static enum tl_rc read_about(struct tl_json_object *top, struct space_about *about, struct tl_err *err)
{
    const char *title = "", *source = "";
    enum tl_rc rc;
    if ((rc = tl_json_string(top, "title", TL_OPTIONAL, SPACE_TITLE_MAX, &title, err)) ||
        (rc = tl_json_string(top, "source", TL_OPTIONAL, SPACE_SOURCE_MAX, &source, err))) {
        return rc;
    }
    if (!printable(title) || !printable(source)) {
        return tl_fail_at(err, TL_INVALID, printable(title) ? "/source" : "/title",
                          "must be text without control characters");
    }
    (void)snprintf(about->title, sizeof about->title, "%s", title);
    (void)snprintf(about->source, sizeof about->source, "%s", source);
    return TL_OK;
}

static enum tl_rc read_lists(struct tl_json_object *top, struct space *space, struct tl_err *err)
{
    struct reading *reading = calloc(1, sizeof *reading);
    json_t *variables = NULL, *forbid = NULL;
    char pointer[POINTER];
    if (!reading) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to read a space");
    }
    reading->space = space;
    enum tl_rc rc = tl_json_array(top, "variables", TL_REQUIRED, 1, SPACE_VARIABLES_MAX, &variables, err);
    for (size_t i = 0; !rc && i < json_array_size(variables); i++) {
        struct tl_json_object element;
        if (!(rc = tl_json_element(top, "variables", variables, i, &element, err))) {
            rc = read_variable(&element, reading, err);
        }
    }
    free(reading);
    rc = rc ? rc : tl_json_array(top, "forbid", TL_OPTIONAL, 0, SPACE_RULES_MAX, &forbid, err);
    for (size_t i = 0; !rc && forbid && i < json_array_size(forbid); i++) {
        (void)snprintf(pointer, sizeof pointer, "/forbid/%zu", i);
        rc = read_rule(json_array_get(forbid, i), pointer, space, err);
    }
    return rc;
}

/* What concerns no single field: what the rules leave, and whether there is as much of it as was said. */
static enum tl_rc finish(struct space *space, const char *said, struct tl_err *err)
{
    struct tl_err why = {0};
    char count[SPACE_COUNT_TEXT];
    enum tl_rc rc = space_finish(space, &why);
    if (rc) {
        return tl_fail_at(err, rc, space->n_rules ? "/forbid" : "/variables", "%s", why.text);
    }
    space_count(space, count);
    return !said || strcmp(said, count) == 0
               ? TL_OK
               : tl_fail_at(err, TL_INVALID, "/count", "there are %s architectures; correct it or leave it out", count);
}

static enum tl_rc decode(json_t *root, struct space *space, struct space_about *about, struct tl_err *err)
{
    struct tl_json_object top;
    const char *name = "", *count = NULL;
    enum tl_rc rc;
    if ((rc = tl_json_object_open(&top, root, "", err)) || (rc = tl_json_name(&top, "name", TL_REQUIRED, &name, err)) ||
        (rc = read_about(&top, about, err)) ||
        (rc = tl_json_string(&top, "count", TL_OPTIONAL, SPACE_COUNT_TEXT - 1, &count, err)) ||
        (rc = read_lists(&top, space, err)) || (rc = tl_json_object_close(&top, err))) {
        return rc;
    }
    (void)snprintf(space->name, sizeof space->name, "%s", name);
    return finish(space, count, err);
}

enum tl_rc space_file_decode(const char *json, size_t n, struct space *ret_space, struct space_about *ret_about,
                             struct tl_err *err)
{
    TL_AUTO(tl_json) doc = {0};
    struct space_about about = {0};
    enum tl_rc rc = tl_json_parse(&doc, json, n, err);
    if (rc) {
        return rc;
    }
    struct space *space = calloc(1, sizeof *space);
    if (!space) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to read a space");
    }
    if (!(rc = decode(doc.root, space, &about, err))) {
        *ret_space = *space;
        *ret_about = about;
    }
    free(space);
    return rc;
}

bool space_file_is(const char *json, size_t n)
{
    TL_AUTO(tl_json) doc = {0};
    return tl_json_parse(&doc, json, n, NULL) == TL_OK && json_object_get(doc.root, "variables") != NULL;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* Whole numbers are written without a fraction. */
static json_t *number_json(double number)
{
    const bool whole = fabs(number) < 1e15 && floor(number) == number;
    return whole ? json_integer((json_int_t)number) : json_real(number);
}

static json_t *option_json(const struct space_variable *v, size_t option)
{
    const double number = v->numbers[option];
    char label[SPACE_LABEL_MAX];
    if (isnan(number)) {
        return json_string(v->labels[option]);
    }
    label_number(number, label);
    return strcmp(label, v->labels[option]) == 0
               ? number_json(number)
               : json_pack("{s:s, s:o}", "label", v->labels[option], "number", number_json(number));
}

/* Add to a list, or to an object under `name`; takes `item`. A failure, also an earlier one (NULL), leaves NULL. */
static void add_item(json_t **list, const char *name, json_t *item)
{
    const int failed = name ? json_object_set_new(*list, name, item) : json_array_append_new(*list, item);
    if (failed) {
        json_decref(*list);
        *list = NULL;
    }
}

/* Labels of the options in `mask`. */
static json_t *mask_json(const struct space_variable *v, uint32_t mask)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->n_options; i++) {
        if (mask >> i & 1) {
            add_item(&list, NULL, json_string(v->labels[i]));
        }
    }
    return list;
}

/* The first variable of the group that `at` shares; NULL: it shares none. */
static const char *group_name(const struct space *space, size_t at)
{
    size_t n = 0, first = at;
    for (size_t i = space->n_variables; i-- > 0;) {
        if (space->variables[i].group == space->variables[at].group) {
            first = i;
            n++;
        }
    }
    return n > 1 ? space->variables[first].name : NULL;
}

static json_t *variable_json(const struct space *space, size_t at)
{
    const struct space_variable *v = &space->variables[at];
    json_t *options = json_array();
    for (size_t i = 0; i < v->n_options; i++) {
        add_item(&options, NULL, option_json(v, i));
    }
    json_t *json = json_pack("{s:s, s:o, s:b}", "name", v->name, "options", options, "ordered", (int)v->ordered);
    const char *group = group_name(space, at);
    if (group) {
        add_item(&json, "group", json_string(group));
    }
    if (v->parent >= 0) {
        const struct space_variable *parent = &space->variables[v->parent];
        add_item(&json, "active_when",
                 json_pack("{s:s, s:o}", "variable", parent->name, "options", mask_json(parent, v->active_under)));
    }
    return json;
}

static json_t *rule_json(const struct space *space, const struct space_rule *rule)
{
    json_t *json = json_object();
    for (size_t i = 0; i < rule->n_terms; i++) {
        const struct space_variable *v = &space->variables[rule->terms[i].variable];
        add_item(&json, v->name, mask_json(v, rule->terms[i].options));
    }
    return json;
}

enum tl_rc space_file_encode(const struct space *space, const struct space_about *about, struct tl_buf *buf,
                             struct tl_err *err)
{
    char count[SPACE_COUNT_TEXT];
    json_t *variables = json_array(), *forbid = json_array();
    space_count(space, count);
    for (size_t i = 0; i < space->n_variables; i++) {
        add_item(&variables, NULL, variable_json(space, i));
    }
    for (size_t i = 0; i < space->n_rules; i++) {
        add_item(&forbid, NULL, rule_json(space, &space->rules[i]));
    }
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "name", space->name, "title", about->title, "source",
                             about->source, "count", count, "variables", variables, "forbid", forbid);
    return tl_json_dump_take(json, buf, err);
}
