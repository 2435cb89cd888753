/* space.c - checking a space, its content hash, and architectures as rows of option numbers.
 *
 * Threads: see space.h.
 */
#include "search/space_rules.h"

#include <math.h>
#include <string.h>

/* ---- checks -------------------------------------------------------------------------------------------------- */

static bool label_good(const char label[SPACE_LABEL_MAX])
{
    return label[0] && memchr(label, '\0', SPACE_LABEL_MAX);
}

static enum tl_rc check_options(const struct space_variable *v, struct tl_err *err)
{
    for (size_t i = 0; i < v->n_options; i++) {
        if (!label_good(v->labels[i])) {
            return tl_fail(err, TL_INVALID, "variable %s: option %zu has no label of 1 to %d characters", v->name, i,
                           SPACE_LABEL_MAX - 1);
        }
        if (space_option_find(v, v->labels[i]) != (int)i) {
            return tl_fail(err, TL_INVALID, "variable %s has two options %s", v->name, v->labels[i]);
        }
        if (isinf(v->numbers[i])) {
            return tl_fail(err, TL_INVALID, "variable %s: the number of option %s is infinite", v->name, v->labels[i]);
        }
        if (v->ordered && (isnan(v->numbers[i]) || (i && !(v->numbers[i] > v->numbers[i - 1])))) {
            return tl_fail(err, TL_INVALID, "variable %s is ordered, but its numbers do not rise at option %s", v->name,
                           v->labels[i]);
        }
    }
    return TL_OK;
}

static enum tl_rc check_parent(const struct space *space, size_t index, struct tl_err *err)
{
    const struct space_variable *v = &space->variables[index];
    if (v->parent == -1) {
        return TL_OK;
    }
    if (v->parent < 0 || (size_t)v->parent >= index) {
        return tl_fail(err, TL_INVALID, "variable %s: its parent must be an earlier variable", v->name);
    }
    const struct space_variable *parent = &space->variables[v->parent];
    uint32_t options = UINT32_MAX >> (SPACE_OPTIONS_MAX - parent->n_options);
    if (v->active_under == 0 || (v->active_under & ~options) != 0) {
        return tl_fail(err, TL_INVALID, "variable %s must be active under some of the %u options of %s, and no others",
                       v->name, parent->n_options, parent->name);
    }
    return TL_OK;
}

static enum tl_rc check_variable(const struct space *space, size_t index, struct tl_err *err)
{
    const struct space_variable *v = &space->variables[index];
    if (!label_good(v->name)) {
        return tl_fail(err, TL_INVALID, "variable %zu has no name of 1 to %d characters", index, SPACE_LABEL_MAX - 1);
    }
    if (space_variable_find(space, v->name) != (int)index) {
        return tl_fail(err, TL_INVALID, "two variables are named %s", v->name);
    }
    if (v->n_options < 1 || v->n_options > SPACE_OPTIONS_MAX) {
        return tl_fail(err, TL_INVALID, "variable %s has %u options; 1 to %d are possible", v->name, v->n_options,
                       SPACE_OPTIONS_MAX);
    }
    enum tl_rc rc = check_options(v, err);
    return rc ? rc : check_parent(space, index, err);
}

/* ---- content hash -------------------------------------------------------------------------------------------- */

/* The longest record of a variable: name, five fields, options as label and number. */
enum { RECORD_BYTES_MAX = SPACE_LABEL_MAX + 10 + SPACE_OPTIONS_MAX * (SPACE_LABEL_MAX + 8) };

static size_t put_number(uint8_t *at, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
    return n_bytes;
}

/* What stands behind a label's NUL is no content. */
static size_t put_label(uint8_t *at, const char label[SPACE_LABEL_MAX])
{
    size_t n = strnlen(label, SPACE_LABEL_MAX);
    memcpy(at, label, n);
    memset(at + n, 0, SPACE_LABEL_MAX - n);
    return SPACE_LABEL_MAX;
}

static uint64_t number_bits(double number)
{
    uint64_t bits;
    double one_nan = isnan(number) ? (double)NAN : number; /* NANs differ in bits that mean nothing */
    memcpy(&bits, &one_nan, sizeof bits);
    return bits;
}

static size_t put_variable(uint8_t *record, const struct space_variable *v)
{
    size_t n = put_label(record, v->name);
    n += put_number(record + n, v->n_options, 1);
    n += put_number(record + n, v->ordered, 1);
    n += put_number(record + n, (uint16_t)v->parent, 2);
    n += put_number(record + n, v->parent < 0 ? 0 : v->active_under, 4);
    n += put_number(record + n, v->group, 2);
    for (size_t i = 0; i < v->n_options; i++) {
        n += put_label(record + n, v->labels[i]);
        n += put_number(record + n, number_bits(v->numbers[i]), 8);
    }
    return n;
}

static size_t put_rule(uint8_t *record, const struct space_rule *rule)
{
    size_t n = put_number(record, rule->n_terms, 1);
    for (size_t i = 0; i < rule->n_terms; i++) {
        n += put_number(record + n, rule->terms[i].variable, 1);
        n += put_number(record + n, rule->terms[i].options, 4);
    }
    return n;
}

static struct tl_hash content_hash(const struct space *space)
{
    uint8_t record[RECORD_BYTES_MAX];
    struct tl_hash hash = tl_hash_of(space->name, strlen(space->name));
    for (size_t i = 0; i < space->n_variables; i++) {
        size_t n = put_variable(record, &space->variables[i]);
        hash = tl_hash_of2(hash.bytes, sizeof hash.bytes, record, n);
    }
    for (size_t i = 0; i < space->n_rules; i++) {
        size_t n = put_rule(record, &space->rules[i]);
        hash = tl_hash_of2(hash.bytes, sizeof hash.bytes, record, n);
    }
    return hash;
}

enum tl_rc space_finish(struct space *space, struct tl_err *err)
{
    if (!memchr(space->name, '\0', sizeof space->name) || !tl_name_valid(space->name)) {
        return tl_fail(err, TL_INVALID, "a space needs a name of 1 to 64 of a-z 0-9 . _ -");
    }
    if (space->n_variables < 1 || space->n_variables > SPACE_VARIABLES_MAX) {
        return tl_fail(err, TL_INVALID, "space %s has %u variables; 1 to %d are possible", space->name,
                       space->n_variables, SPACE_VARIABLES_MAX);
    }
    for (size_t i = 0; i < space->n_variables; i++) {
        enum tl_rc rc = check_variable(space, i, err);
        if (rc) {
            return rc;
        }
    }
    enum tl_rc rc = rules_check(space, err);
    if (!rc) {
        space->id = content_hash(space);
    }
    return rc;
}

int space_variable_find(const struct space *space, const char *name)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        if (strncmp(space->variables[i].name, name, SPACE_LABEL_MAX) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int space_option_find(const struct space_variable *variable, const char *label)
{
    for (size_t i = 0; i < variable->n_options; i++) {
        if (strncmp(variable->labels[i], label, SPACE_LABEL_MAX) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* ---- architectures ------------------------------------------------------------------------------------------- */

/* Is `v` active, given which earlier variables are and what they take? */
static bool active_given(const struct space_variable *v, const uint8_t *arch, const uint8_t *active)
{
    return v->parent < 0 || (active[v->parent] && (v->active_under >> arch[v->parent] & 1));
}

void space_active(const struct space *space, const uint8_t *arch, uint8_t *ret_active)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        ret_active[i] = active_given(&space->variables[i], arch, ret_active);
    }
}

void space_canonical(const struct space *space, uint8_t *arch)
{
    uint8_t active[SPACE_VARIABLES_MAX];
    space_active(space, arch, active);
    for (size_t i = 0; i < space->n_variables; i++) {
        arch[i] = active[i] ? arch[i] : 0;
    }
}

bool space_valid(const struct space *space, const uint8_t *arch)
{
    for (size_t i = 0; i < space->n_variables; i++) {
        if (arch[i] >= space->variables[i].n_options) {
            return false;
        }
    }
    return true;
}

struct tl_hash space_arch_id(const struct space *space, const uint8_t *canonical)
{
    return tl_hash_of2(space->id.bytes, sizeof space->id.bytes, canonical, space->n_variables);
}

size_t space_distance(const struct space *space, const uint8_t *a, const uint8_t *b)
{
    uint8_t active_a[SPACE_VARIABLES_MAX], active_b[SPACE_VARIABLES_MAX];
    space_active(space, a, active_a);
    space_active(space, b, active_b);
    size_t n = 0;
    for (size_t i = 0; i < space->n_variables; i++) {
        n += a[i] != b[i] || active_a[i] != active_b[i]; /* inactive ones stand at 0 in both */
    }
    return n;
}
