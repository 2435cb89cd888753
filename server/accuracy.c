/* accuracy.c - see accuracy.h. Saved: "TLACCUR", a version byte, the space's name, the facts, the variables with the
 * feature of each option, then the regression.
 *
 * Threads: models are immutable.
 */
#include "server/accuracy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'T', 'L', 'A', 'C', 'C', 'U', 'R', 1};

struct accuracy_model {
    char space[65];
    size_t n_variables;
    uint8_t n_options[SPACE_VARIABLES_MAX];
    struct accuracy_map map;
    int resolution;                    /* the variable of that name, or -1 */
    uint16_t sides[SPACE_OPTIONS_MAX]; /* its options */
    struct accuracy_facts facts;
    struct model *regression; /* owned */
};

size_t accuracy_map_all(const struct space *space, bool with_resolution, struct accuracy_map *ret_map)
{
    size_t n = 0;

    memset(ret_map, 0xff, sizeof(*ret_map));
    for (size_t v = 0; v < space->n_variables; v++) {
        if (!with_resolution && strcmp(space->variables[v].name, "resolution") == 0) {
            continue;
        }
        for (size_t o = 0; o < space->variables[v].n_options; o++) {
            ret_map->feature[v][o] = (uint16_t)n++;
        }
    }
    return n;
}

/* Every feature exists in the regression; facts are in range. */
static enum tl_rc check(const struct accuracy_model *model, enum tl_rc wrong, struct tl_err *err)
{
    for (size_t v = 0; v < model->n_variables; v++) {
        for (size_t o = 0; o < model->n_options[v]; o++) {
            const uint16_t f = model->map.feature[v][o];
            if (f != MODEL_NO_FEATURE && f >= model_features(model->regression)) {
                return tl_fail(err, wrong, "option %zu of variable %zu has feature %u; the regression has %zu", o, v, f,
                               model_features(model->regression));
            }
        }
    }
    if (model->facts.n_resolutions < 1 || model->facts.n_resolutions > SPACE_OPTIONS_MAX) {
        return tl_fail(err, wrong, "an accuracy model is valid at 1 to %d resolutions, not %zu", SPACE_OPTIONS_MAX,
                       model->facts.n_resolutions);
    }
    return TL_OK;
}

enum tl_rc accuracy_new(const struct space *space, const struct accuracy_map *map, const struct accuracy_facts *facts,
                        struct model *regression, struct accuracy_model **ret_model, struct tl_err *err)
{
    struct accuracy_model *model = calloc(1, sizeof(*model));
    if (!model) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an accuracy model");
    }
    (void)snprintf(model->space, sizeof(model->space), "%s", space->name);
    model->n_variables = space->n_variables;
    model->map = *map;
    model->facts = *facts;
    model->regression = regression;
    model->resolution = space_variable_find(space, "resolution");
    for (size_t v = 0; v < space->n_variables; v++) {
        model->n_options[v] = space->variables[v].n_options;
    }
    for (size_t o = 0; model->resolution >= 0 && o < model->n_options[model->resolution]; o++) {
        model->sides[o] = (uint16_t)space->variables[model->resolution].numbers[o];
    }
    enum tl_rc rc = check(model, TL_INVALID, err);
    if (rc) {
        free(model);
        return rc;
    }
    *ret_model = model;
    return TL_OK;
}

void accuracy_free(struct accuracy_model *model)
{
    if (model) {
        model_free(model->regression);
        free(model);
    }
}

const char *accuracy_space(const struct accuracy_model *model)
{
    return model->space;
}

const struct accuracy_facts *accuracy_facts(const struct accuracy_model *model)
{
    return &model->facts;
}

const struct model *accuracy_regression(const struct accuracy_model *model)
{
    return model->regression;
}

size_t accuracy_resolutions(const struct accuracy_model *model, const uint16_t **ret_list)
{
    *ret_list = model->facts.resolutions;
    return model->facts.n_resolutions;
}

/* ---- hot rows -------------------------------------------------------------------------------------------------- */

size_t accuracy_hot_width(const struct accuracy_model *model)
{
    return model->n_variables;
}

/* The model's number of the option that `space` numbers `option`: the same but for resolutions, of which `space` may
 * offer fewer. */
static size_t own_option(const struct accuracy_model *model, const struct space *space, size_t v, size_t option)
{
    if ((int)v != model->resolution || space->variables[v].n_options == model->n_options[v]) {
        return option;
    }
    for (size_t o = 0; o < model->n_options[v]; o++) {
        if ((double)model->sides[o] == space->variables[v].numbers[option]) {
            return o;
        }
    }
    return SPACE_OPTIONS_MAX;
}

void accuracy_hot(const struct accuracy_model *model, const struct space *space, const uint8_t *arch, uint16_t *ret_row)
{
    uint8_t active[SPACE_VARIABLES_MAX];

    space_active(space, arch, active);
    for (size_t v = 0; v < model->n_variables; v++) {
        size_t option = SPACE_OPTIONS_MAX;
        if (v < space->n_variables && active[v]) {
            option = own_option(model, space, v, arch[v]);
        }
        ret_row[v] = option < SPACE_OPTIONS_MAX ? model->map.feature[v][option] : MODEL_NO_FEATURE;
    }
}

/* ---- saved form ------------------------------------------------------------------------------------------------ */

static enum tl_rc text_save(const char *text, struct tl_buf *buf, struct tl_err *err)
{
    const size_t n = strlen(text);
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)n, err);
    return rc ? rc : tl_buf_add(buf, text, n, err);
}

/* Into `text` of `size` bytes; control characters are refused. */
static bool text_load(struct tl_cursor *cursor, char *text, size_t size)
{
    const size_t n = tl_cursor_u32(cursor);
    const char *from = n < size ? tl_cursor_bytes(cursor, n) : NULL;
    if (!from) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)from[i] < ' ') {
            return false;
        }
    }
    memcpy(text, from, n);
    text[n] = '\0';
    return true;
}

static enum tl_rc sides_save(const uint16_t *sides, size_t n, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = tl_buf_put_u32(buf, (uint32_t)n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        rc = tl_buf_put_u32(buf, sides[i], err);
    }
    return rc;
}

static bool sides_load(struct tl_cursor *cursor, uint16_t sides[SPACE_OPTIONS_MAX], size_t *ret_n)
{
    const size_t n = tl_cursor_u32(cursor);
    if (n > SPACE_OPTIONS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t side = tl_cursor_u32(cursor);
        if (side > UINT16_MAX) {
            return false;
        }
        sides[i] = (uint16_t)side;
    }
    *ret_n = n;
    return !cursor->failed;
}

static enum tl_rc facts_save(const struct accuracy_facts *facts, struct tl_buf *buf, struct tl_err *err)
{
    enum tl_rc rc = text_save(facts->source, buf, err);
    rc = rc ? rc : text_save(facts->command, buf, err);
    rc = rc ? rc : tl_buf_put_u64(buf, facts->n_rows, err);
    rc = rc ? rc : tl_buf_put_f64(buf, facts->rmse, err);
    rc = rc ? rc : tl_buf_put_f64(buf, facts->spearman, err);
    rc = rc ? rc : tl_buf_put_f64(buf, facts->coverage, err);
    return rc ? rc : sides_save(facts->resolutions, facts->n_resolutions, buf, err);
}

static bool facts_load(struct tl_cursor *cursor, struct accuracy_facts *facts)
{
    if (!text_load(cursor, facts->source, sizeof(facts->source)) ||
        !text_load(cursor, facts->command, sizeof(facts->command))) {
        return false;
    }
    facts->n_rows = tl_cursor_u64(cursor);
    facts->rmse = tl_cursor_f64(cursor);
    facts->spearman = tl_cursor_f64(cursor);
    facts->coverage = tl_cursor_f64(cursor);
    return sides_load(cursor, facts->resolutions, &facts->n_resolutions);
}

enum tl_rc accuracy_save(const struct accuracy_model *model, struct tl_buf *buf, struct tl_err *err)
{
    const size_t n_sides = model->resolution >= 0 ? model->n_options[model->resolution] : 0U;
    enum tl_rc rc = tl_buf_add(buf, magic, sizeof(magic), err);
    rc = rc ? rc : text_save(model->space, buf, err);
    rc = rc ? rc : facts_save(&model->facts, buf, err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)(model->resolution + 1), err);
    rc = rc ? rc : sides_save(model->sides, n_sides, buf, err);
    rc = rc ? rc : tl_buf_put_u32(buf, (uint32_t)model->n_variables, err);
    for (size_t v = 0; !rc && v < model->n_variables; v++) {
        rc = sides_save(model->map.feature[v], model->n_options[v], buf, err);
    }
    return rc ? rc : model_save(model->regression, buf, err);
}

static bool variables_load(struct tl_cursor *cursor, struct accuracy_model *model)
{
    const uint32_t resolution = tl_cursor_u32(cursor);
    size_t n_sides = 0, n = 0;

    if (!sides_load(cursor, model->sides, &n_sides)) {
        return false;
    }
    model->n_variables = tl_cursor_u32(cursor);
    if (cursor->failed || model->n_variables > SPACE_VARIABLES_MAX || resolution > model->n_variables) {
        return false;
    }
    model->resolution = (int)resolution - 1;
    memset(&model->map, 0xff, sizeof(model->map));
    for (size_t v = 0; v < model->n_variables; v++) {
        if (!sides_load(cursor, model->map.feature[v], &n)) {
            return false;
        }
        model->n_options[v] = (uint8_t)n;
    }
    return model->resolution < 0 || model->n_options[model->resolution] == n_sides;
}

enum tl_rc accuracy_load(const void *bytes, size_t n, struct accuracy_model **ret_model, struct tl_err *err)
{
    struct tl_cursor cursor = tl_cursor_make(bytes, n);
    const void *begin = tl_cursor_bytes(&cursor, sizeof(magic));
    if (!begin || memcmp(begin, magic, sizeof(magic)) != 0) {
        return tl_fail(err, TL_MALFORMED, "these bytes are not an accuracy model of a version this program reads");
    }
    struct accuracy_model *model = calloc(1, sizeof(*model));
    if (!model) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for an accuracy model");
    }
    enum tl_rc rc = TL_OK;
    if (!text_load(&cursor, model->space, sizeof(model->space)) || !tl_name_valid(model->space) ||
        !facts_load(&cursor, &model->facts) || !variables_load(&cursor, model)) {
        rc = tl_fail(err, TL_MALFORMED, "an accuracy model is cut short or has impossible numbers");
    }
    rc = rc ? rc : model_load(cursor.at, cursor.left, &model->regression, err);
    rc = rc ? rc : check(model, TL_MALFORMED, err);
    if (rc) {
        accuracy_free(model);
        return rc;
    }
    *ret_model = model;
    return TL_OK;
}
