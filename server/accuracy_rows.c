/* accuracy_rows.c - reading tables of networks: one bounded line at a time, through zlib, which also reads plain text.
 * */
#include "server/accuracy_rows.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LINE_MAX_BYTES = 4096, COLUMNS_MAX = 64 };

enum column { KERNELS, EXPANDS, DEPTHS, RESOLUTION, TARGET, COLUMN_COUNT };

struct reader {
    gzFile file; /* owned */
    const char *path;
    size_t line_number; /* from 1 */
    char line[LINE_MAX_BYTES];
    char *fields[COLUMNS_MAX]; /* into line */
    size_t n_fields;
    int place[COLUMN_COUNT]; /* of each column; -1: not in the file */
};

void accuracy_rows_done(struct accuracy_rows *rows)
{
    free(rows->archs);
    free(rows->y);
    *rows = (struct accuracy_rows){0};
}

/* The next line; *ret_end: there is none. */
static enum tl_rc read_line(struct reader *reader, bool *ret_end, struct tl_err *err)
{
    if (!gzgets(reader->file, reader->line, LINE_MAX_BYTES)) {
        int code = Z_OK;
        const char *why = gzerror(reader->file, &code);
        *ret_end = true;
        return code == Z_OK || code == Z_STREAM_END
                   ? TL_OK
                   : tl_fail(err, TL_MALFORMED, "%s: %s after line %zu", reader->path, why, reader->line_number);
    }
    reader->line_number++;
    size_t n = strlen(reader->line);
    if (n + 1 == LINE_MAX_BYTES) {
        return tl_fail(err, TL_MALFORMED, "%s: line %zu is over %d bytes", reader->path, reader->line_number,
                       LINE_MAX_BYTES - 2);
    }
    while (n && (reader->line[n - 1] == '\n' || reader->line[n - 1] == '\r')) {
        reader->line[--n] = '\0';
    }
    *ret_end = false;
    return TL_OK;
}

/* The next line that is no comment, cut into fields. *ret_end: there is none. */
static enum tl_rc next_line(struct reader *reader, bool *ret_end, struct tl_err *err)
{
    enum tl_rc rc = TL_OK;
    do {
        rc = read_line(reader, ret_end, err);
    } while (rc == TL_OK && !*ret_end && reader->line[0] == '#');
    if (rc || *ret_end) {
        return rc;
    }
    reader->n_fields = 0;
    for (char *at = reader->line; at && reader->n_fields < COLUMNS_MAX;) {
        reader->fields[reader->n_fields++] = at;
        at = strchr(at, ',');
        if (at) {
            *at++ = '\0';
        }
    }
    return TL_OK;
}

static enum tl_rc header_read(struct reader *reader, const struct accuracy_columns *columns, struct tl_err *err)
{
    const char *const names[COLUMN_COUNT] = {[KERNELS] = columns->kernels,
                                             [EXPANDS] = columns->expands,
                                             [DEPTHS] = columns->depths,
                                             [RESOLUTION] = columns->resolution,
                                             [TARGET] = columns->target};
    bool end = false;
    enum tl_rc rc = next_line(reader, &end, err);
    if (rc || end) {
        return rc ? rc : tl_fail(err, TL_MALFORMED, "%s is empty", reader->path);
    }
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        reader->place[c] = -1;
        for (size_t i = 0; names[c][0] && i < reader->n_fields; i++) {
            if (strcmp(reader->fields[i], names[c]) == 0) {
                reader->place[c] = (int)i;
            }
        }
        if (names[c][0] && reader->place[c] < 0) {
            const char *near = tl_nearest(names[c], (const char *const *)reader->fields, reader->n_fields);
            return tl_fail(err, TL_INVALID, "%s has no column %s%s%s%s", reader->path, names[c],
                           near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
        }
    }
    return TL_OK;
}

static enum tl_rc wrong_field(const struct reader *reader, const char *text, const char *name, struct tl_err *err)
{
    return tl_fail(err, TL_INVALID, "%s, line %zu: \"%.40s\" has no option of %s in its place", reader->path,
                   reader->line_number, text, name);
}

/* Digit `at` of the field picks the option of variable v that it labels. */
static enum tl_rc pick_digit(const struct reader *reader, const struct space *space, enum column column, size_t at,
                             size_t v, uint8_t *arch, struct tl_err *err)
{
    const char *text = reader->fields[reader->place[column]];
    char label[2] = "";
    if (at < strlen(text)) {
        label[0] = text[at];
    }
    const int option = space_option_find(&space->variables[v], label);
    if (option < 0) {
        return wrong_field(reader, text, space->variables[v].name, err);
    }
    arch[v] = (uint8_t)option;
    return TL_OK;
}

/* Variables stand in slot order, so the next kernel of the space is the next digit. */
static enum tl_rc arch_read(const struct reader *reader, const struct space *space, uint8_t *arch, struct tl_err *err)
{
    static const struct {
        const char *suffix;
        enum column column;
    } of[] = {{".depth", DEPTHS}, {".kernel", KERNELS}, {".expand", EXPANDS}};
    size_t digits[COLUMN_COUNT] = {0};

    for (size_t v = 0; v < space->n_variables; v++) {
        const struct space_variable *variable = &space->variables[v];
        const char *suffix = strchr(variable->name, '.') ? strrchr(variable->name, '.') : "";
        enum tl_rc rc = TL_OK;
        if (strcmp(variable->name, "resolution") == 0) {
            const char *text = reader->place[RESOLUTION] < 0 ? variable->labels[variable->n_options - 1]
                                                             : reader->fields[reader->place[RESOLUTION]];
            const int option = space_option_find(variable, text);
            rc = option < 0 ? wrong_field(reader, text, variable->name, err) : TL_OK;
            arch[v] = (uint8_t)(option < 0 ? 0 : option);
        }
        for (size_t i = 0; i < TL_COUNT_OF(of); i++) {
            if (strcmp(suffix, of[i].suffix) == 0) {
                rc = pick_digit(reader, space, of[i].column, digits[of[i].column]++, v, arch, err);
            }
        }
        if (rc) {
            return rc;
        }
    }
    for (size_t c = KERNELS; c <= DEPTHS; c++) {
        const char *text = reader->fields[reader->place[c]];
        if (strlen(text) != digits[c]) {
            return tl_fail(err, TL_INVALID, "%s, line %zu: \"%.40s\" has %zu digits instead of %zu", reader->path,
                           reader->line_number, text, strlen(text), digits[c]);
        }
    }
    space_canonical(space, arch);
    return TL_OK;
}

static enum tl_rc row_read(const struct reader *reader, const struct space *space, uint8_t *arch, double *ret_y,
                           struct tl_err *err)
{
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        if (reader->place[c] >= (int)reader->n_fields) {
            return tl_fail(err, TL_MALFORMED, "%s, line %zu has only %zu fields", reader->path, reader->line_number,
                           reader->n_fields);
        }
    }
    const char *text = reader->fields[reader->place[TARGET]];
    char *end = NULL;
    *ret_y = strtod(text, &end);
    if (end == text || *end || !isfinite(*ret_y)) {
        return tl_fail(err, TL_INVALID, "%s, line %zu: \"%.40s\" is not a number", reader->path, reader->line_number,
                       text);
    }
    return arch_read(reader, space, arch, err);
}

/* Room for one row more; doubles. */
static enum tl_rc grow(struct accuracy_rows *rows, size_t *capacity, struct tl_err *err)
{
    if (rows->n < *capacity) {
        return TL_OK;
    }
    const size_t wanted = *capacity ? 2 * *capacity : 1024;
    uint8_t *archs = realloc(rows->archs, wanted * rows->space->n_variables);
    rows->archs = archs ? archs : rows->archs;
    double *y = realloc(rows->y, wanted * sizeof(*y));
    rows->y = y ? y : rows->y;
    if (!archs || !y) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for %zu rows", wanted);
    }
    *capacity = wanted;
    return TL_OK;
}

static enum tl_rc rows_read(struct reader *reader, const struct accuracy_columns *columns, struct accuracy_rows *rows,
                            struct tl_err *err)
{
    size_t capacity = 0;
    bool end = false;
    enum tl_rc rc = header_read(reader, columns, err);

    while (!rc && !(rc = next_line(reader, &end, err)) && !end) {
        if (rows->n == ACCURACY_ROWS_MAX) {
            return tl_fail(err, TL_TOO_LARGE, "%s has more than %d rows", reader->path, (int)ACCURACY_ROWS_MAX);
        }
        rc = grow(rows, &capacity, err);
        rc = rc ? rc
                : row_read(reader, rows->space, rows->archs + rows->n * rows->space->n_variables, rows->y + rows->n,
                           err);
        rows->n += !rc;
    }
    if (!rc && rows->n == 0) {
        rc = tl_fail(err, TL_INVALID, "%s has no rows", reader->path);
    }
    return rc;
}

enum tl_rc accuracy_rows_read(const char *path, const struct accuracy_columns *columns, const struct space *space,
                              struct accuracy_rows *ret_rows, struct tl_err *err)
{
    struct accuracy_rows rows = {.space = space};
    struct reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return tl_fail(err, TL_NO_MEMORY, "no memory to read %s", path);
    }
    reader->path = path;
    errno = 0;
    reader->file = gzopen(path, "rb");
    enum tl_rc rc = TL_OK;
    if (!reader->file) {
        rc = errno == ENOENT ? tl_fail(err, TL_NOT_FOUND, "there is no file %s", path)
                             : tl_fail_sys(err, "cannot open %s", path);
    } else {
        rc = rows_read(reader, columns, &rows, err);
        (void)gzclose(reader->file);
    }
    free(reader);
    if (rc) {
        accuracy_rows_done(&rows);
        return rc;
    }
    *ret_rows = rows;
    return TL_OK;
}
