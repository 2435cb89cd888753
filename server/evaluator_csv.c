/* evaluator_csv.c - see evaluator_csv.h. */
#include "server/evaluator_csv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LINE_MAX_BYTES = 65536, FIELDS_MAX = 1024, FIELD_MAX_BYTES = 256 };

/* A piece of the text. */
struct field {
    const char *at; /* borrowed */
    size_t n;
};

struct csv {
    const char *at, *end;
    size_t line; /* from 1: of `fields` */
    struct field names[FIELDS_MAX], fields[FIELDS_MAX];
    size_t n_names, n_fields;
    const struct space *space;
    const struct table_manifest *manifest;
    int digits; /* columns by number; -1: not there */
    int labels[SPACE_VARIABLES_MAX];
    int values[TABLE_COLUMNS_MAX];
    struct value_table *table; /* owned */
    uint32_t *lines;           /* owned: of each row */
};

static void csv_done(struct csv *csv)
{
    value_table_free(csv->table);
    free(csv->lines);
}

/* ---- lines and fields ---------------------------------------------------------------------------------------- */

static bool field_is(const struct field *field, const char *text)
{
    return strlen(text) == field->n && memcmp(field->at, text, field->n) == 0;
}

/* As text, cut to size; what could disturb a terminal is replaced. */
static const char *shown(const struct field *field, char ret_text[48])
{
    const size_t n = field->n < 47 ? field->n : 47;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)field->at[i];
        ret_text[i] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
    }
    ret_text[n] = '\0';
    return ret_text;
}

static enum tl_rc cut_fields(struct csv *csv, struct field line, struct tl_err *err)
{
    csv->n_fields = 0;
    if (line.n > LINE_MAX_BYTES) {
        return tl_fail(err, TL_MALFORMED, "line %zu has more than %d bytes", csv->line, LINE_MAX_BYTES);
    }
    if (memchr(line.at, '"', line.n) || memchr(line.at, '\0', line.n)) {
        return tl_fail(err, TL_MALFORMED, "line %zu has a quote or a NUL; fields must be plain", csv->line);
    }
    for (const char *at = line.at, *end = line.at + line.n; at; csv->n_fields++) {
        const char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
        if (csv->n_fields == FIELDS_MAX) {
            return tl_fail(err, TL_MALFORMED, "line %zu has more than %d fields", csv->line, FIELDS_MAX);
        }
        csv->fields[csv->n_fields] = (struct field){at, (size_t)((comma ? comma : end) - at)};
        at = comma ? comma + 1 : NULL;
    }
    return TL_OK;
}

/* The next line that says something, cut into fields. *ret_end: there is none. */
static enum tl_rc next_line(struct csv *csv, bool *ret_end, struct tl_err *err)
{
    while (csv->at < csv->end) {
        const char *newline = memchr(csv->at, '\n', (size_t)(csv->end - csv->at));
        struct field line = {csv->at, (size_t)((newline ? newline : csv->end) - csv->at)};
        csv->at = newline ? newline + 1 : csv->end;
        csv->line++;
        line.n -= line.n && line.at[line.n - 1] == '\r';
        if (line.n && line.at[0] != '#') {
            *ret_end = false;
            return cut_fields(csv, line, err);
        }
    }
    *ret_end = true;
    return TL_OK;
}

/* An upper bound of the rows. */
static size_t count_lines(const struct csv *csv)
{
    size_t n = 1;
    for (const char *at = csv->at; at < csv->end && (at = memchr(at, '\n', (size_t)(csv->end - at))); at++) {
        n++;
    }
    return n;
}

/* ---- the names ----------------------------------------------------------------------------------------------- */

/* As many as fit. */
static void list_names(const struct csv *csv, char *ret_text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < csv->n_names && n + 60 < size; i++) {
        char name[48];
        const bool last = i + 1 == csv->n_names;
        n += (size_t)snprintf(ret_text + n, size - n, "%s%s", shown(&csv->names[i], name), last ? "" : ", ");
        if (!last && n + 60 >= size) {
            (void)snprintf(ret_text + n, size - n, "..");
        }
    }
}

static enum tl_rc find_column(const struct csv *csv, const char *name, int *ret_column, struct tl_err *err)
{
    int found = -1;
    for (size_t i = 0; i < csv->n_names; i++) {
        if (field_is(&csv->names[i], name)) {
            if (found >= 0) {
                return tl_fail(err, TL_INVALID, "the CSV has two columns %s", name);
            }
            found = (int)i;
        }
    }
    if (found < 0) {
        char names[240];
        list_names(csv, names, sizeof names);
        return tl_fail(err, TL_INVALID, "the CSV has no column %s; it has %s", name, names);
    }
    *ret_column = found;
    return TL_OK;
}

static enum tl_rc read_names(struct csv *csv, struct tl_err *err)
{
    const struct table_manifest *manifest = csv->manifest;
    bool end = false;
    enum tl_rc rc = next_line(csv, &end, err);
    if (rc || end) {
        return rc ? rc : tl_fail(err, TL_MALFORMED, "the CSV is empty; it needs a line of names and a line a row");
    }
    memcpy(csv->names, csv->fields, sizeof csv->names);
    csv->n_names = csv->n_fields;
    csv->digits = -1;
    rc = manifest->digits[0] ? find_column(csv, manifest->digits, &csv->digits, err) : TL_OK;
    for (size_t i = 0; !rc && i < csv->space->n_variables && !manifest->digits[0]; i++) {
        rc = find_column(csv, manifest->labels[i], &csv->labels[i], err);
    }
    for (size_t i = 0; !rc && i < manifest->n_columns; i++) {
        rc = find_column(csv, manifest->columns[i].name, &csv->values[i], err);
    }
    return rc;
}

/* ---- a row --------------------------------------------------------------------------------------------------- */

enum { NOT_SAID = 255 };

static enum tl_rc fail_cell(const struct csv *csv, int column, const char *what, struct tl_err *err)
{
    char name[48], cell[48];
    return tl_fail(err, TL_INVALID, "line %zu, column %s: \"%s\" %s", csv->line, shown(&csv->names[column], name),
                   shown(&csv->fields[column], cell), what);
}

static enum tl_rc read_digits(const struct csv *csv, uint8_t *ret_arch, struct tl_err *err)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    const struct field *field = &csv->fields[csv->digits];
    char what[96];
    if (field->n != csv->space->n_variables) {
        (void)snprintf(what, sizeof what, "has %zu characters; the space has %u variables", field->n,
                       csv->space->n_variables);
        return fail_cell(csv, csv->digits, what, err);
    }
    for (size_t i = 0; i < field->n; i++) {
        const struct space_variable *v = &csv->space->variables[i];
        const char *digit = memchr(digits, field->at[i], v->n_options);
        if (!digit && field->at[i] != '-') {
            (void)snprintf(what, sizeof what, "does not say in place %zu which of the %u options %s takes", i + 1,
                           v->n_options, v->name);
            return fail_cell(csv, csv->digits, what, err);
        }
        ret_arch[i] = digit ? (uint8_t)(digit - digits) : NOT_SAID;
    }
    return TL_OK;
}

/* The finite number of a cell; false: it is none. */
static bool read_number(const struct field *field, double *ret_number)
{
    char text[FIELD_MAX_BYTES], *end = NULL;
    if (field->n == 0 || field->n >= sizeof text) {
        return false;
    }
    memcpy(text, field->at, field->n);
    text[field->n] = '\0';
    *ret_number = strtod(text, &end);
    return *end == '\0' && isfinite(*ret_number) && text[0] != ' ';
}

/* By its label, or as the number that the option is. */
static uint8_t option_of(const struct space_variable *v, const struct field *field)
{
    double number = 0.0;
    for (uint8_t i = 0; i < v->n_options; i++) {
        if (field_is(field, v->labels[i])) {
            return i;
        }
    }
    const bool is_number = read_number(field, &number);
    for (uint8_t i = 0; is_number && i < v->n_options; i++) {
        if (v->numbers[i] == number) {
            return i;
        }
    }
    return NOT_SAID;
}

static enum tl_rc read_labels(const struct csv *csv, uint8_t *ret_arch, struct tl_err *err)
{
    for (size_t i = 0; i < csv->space->n_variables; i++) {
        const struct space_variable *v = &csv->space->variables[i];
        const struct field *field = &csv->fields[csv->labels[i]];
        ret_arch[i] = option_of(v, field);
        if (ret_arch[i] == NOT_SAID && field->n != 0 && !field_is(field, "-")) {
            char what[64];
            (void)snprintf(what, sizeof what, "is no option of %s", v->name);
            return fail_cell(csv, csv->labels[i], what, err);
        }
    }
    return TL_OK;
}

/* Canonical, and an architecture of the space. */
static enum tl_rc read_arch(const struct csv *csv, uint8_t *ret_arch, struct tl_err *err)
{
    uint8_t active[SPACE_VARIABLES_MAX];
    char what[64];
    enum tl_rc rc = csv->digits >= 0 ? read_digits(csv, ret_arch, err) : read_labels(csv, ret_arch, err);
    if (rc) {
        return rc;
    }
    for (size_t i = 0; i < csv->space->n_variables; i++) {
        const struct space_variable *v = &csv->space->variables[i];
        active[i] = v->parent < 0 || (active[v->parent] && (v->active_under >> ret_arch[v->parent] & 1));
        if (active[i] && ret_arch[i] == NOT_SAID) {
            (void)snprintf(what, sizeof what, "leaves %s open, which is active", v->name);
            return fail_cell(csv, csv->digits >= 0 ? csv->digits : csv->labels[i], what, err);
        }
        ret_arch[i] = active[i] ? ret_arch[i] : 0;
    }
    return space_allowed(csv->space, ret_arch)
               ? TL_OK
               : tl_fail(err, TL_INVALID, "line %zu is an architecture that a rule of %s forbids", csv->line,
                         csv->space->name);
}

static enum tl_rc read_values(const struct csv *csv, double *ret_values, struct tl_err *err)
{
    for (size_t i = 0; i < csv->manifest->n_columns; i++) {
        const struct field *field = &csv->fields[csv->values[i]];
        double number = NAN;
        if (field->n != 0 && !read_number(field, &number)) {
            return fail_cell(csv, csv->values[i], "is no number; leave it empty where there is no value", err);
        }
        if (number < 0.0) {
            return fail_cell(csv, csv->values[i], "is below 0, which no metric can be", err);
        }
        ret_values[i] = number * csv->manifest->columns[i].scale;
        if (isinf(ret_values[i])) {
            return fail_cell(csv, csv->values[i], "is too large", err);
        }
    }
    return TL_OK;
}

static enum tl_rc read_row(struct csv *csv, struct tl_err *err)
{
    uint8_t arch[SPACE_VARIABLES_MAX];
    double values[TABLE_COLUMNS_MAX];
    size_t twin = 0;
    enum tl_rc rc;
    if (csv->n_fields != csv->n_names) {
        return tl_fail(err, TL_INVALID, "line %zu has %zu fields; the first line names %zu", csv->line, csv->n_fields,
                       csv->n_names);
    }
    if ((rc = read_arch(csv, arch, err)) || (rc = read_values(csv, values, err))) {
        return rc;
    }
    const size_t row = value_table_rows(csv->table);
    if (!value_table_add(csv->table, arch, values, &twin)) {
        return tl_fail(err, TL_INVALID, "line %zu is the same architecture as line %u; keep one", csv->line,
                       csv->lines[twin]);
    }
    csv->lines[row] = (uint32_t)csv->line;
    return TL_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------------------- */

static enum tl_rc read_rows(struct csv *csv, struct tl_err *err)
{
    bool end = false;
    enum tl_rc rc = TL_OK;
    while (!rc && !(rc = next_line(csv, &end, err)) && !end) {
        rc = read_row(csv, err);
    }
    if (!rc && value_table_rows(csv->table) == 0) {
        rc = tl_fail(err, TL_INVALID, "the CSV has no rows");
    }
    return rc;
}

enum tl_rc value_table_read_csv(const char *text, size_t n, const struct space *space,
                                const struct table_manifest *manifest, struct value_table **ret_table,
                                struct tl_err *err)
{
    struct csv *csv = calloc(1, sizeof *csv);
    if (!csv) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to read a table");
    }
    csv->at = text;
    csv->end = text + n;
    csv->space = space;
    csv->manifest = manifest;
    enum tl_rc rc = read_names(csv, err);
    if (!rc) {
        const size_t rows_max = count_lines(csv);
        csv->lines = malloc(rows_max * sizeof *csv->lines);
        rc = csv->lines ? value_table_new(space, manifest->columns, manifest->n_columns, rows_max, &csv->table, err)
                        : tl_fail(err, TL_NO_MEMORY, "no memory for a table of %zu rows", rows_max);
    }
    rc = rc ? rc : read_rows(csv, err);
    if (!rc) {
        *ret_table = csv->table;
        csv->table = NULL;
    }
    csv_done(csv);
    free(csv);
    return rc;
}

enum tl_rc csv_file_read(const char *path, struct tl_buf *buf, struct tl_err *err)
{
    char piece[1 << 16];
    enum tl_rc rc = TL_OK;
    int got = 0;
    errno = 0;
    gzFile file = gzopen(path, "rb");
    if (!file) {
        return errno ? tl_fail_sys(err, "cannot open %s", path)
                     : tl_fail(err, TL_NO_MEMORY, "no memory to read %s", path);
    }
    while (!rc && (got = gzread(file, piece, sizeof piece)) > 0) {
        rc = tl_buf_add(buf, piece, (size_t)got, err);
    }
    int code = Z_OK;
    const char *why = gzerror(file, &code);
    if (!rc && (got < 0 || (code != Z_OK && code != Z_STREAM_END))) {
        rc = tl_fail(err, TL_MALFORMED, "%s: %s", path, why);
    }
    (void)gzclose(file);
    return rc;
}
