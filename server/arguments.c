/* arguments.c - command lines, see command.h. */
#include "server/codec_space_file.h"
#include "server/command.h"
#include "supernet/network.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 32 };

static enum tl_rc unknown_option(const struct arguments *arguments, const char *name, size_t name_n, struct tl_err *err)
{
    const char *names[OPTIONS_MAX];
    char text[64] = "";
    size_t n = arguments->n_known < OPTIONS_MAX ? arguments->n_known : OPTIONS_MAX;
    for (size_t i = 0; i < n; i++) {
        names[i] = arguments->known[i].name;
    }
    memcpy(text, name, name_n < sizeof text ? name_n : sizeof text - 1);
    const char *near = tl_nearest(text, names, n);
    return near ? tl_fail(err, TL_INVALID, "there is no option --%s; did you mean --%s?", text, near)
                : tl_fail(err, TL_INVALID, "there is no option --%s; --help lists them", text);
}

enum tl_rc arguments_next(struct arguments *arguments, int *ret_which, const char **ret_value, struct tl_err *err)
{
    if (arguments->at < arguments->argc && !arguments->words_only &&
        strcmp(arguments->argv[arguments->at], "--") == 0) {
        arguments->words_only = true;
        arguments->at++;
    }
    if (arguments->at >= arguments->argc) {
        *ret_which = ARGUMENT_END;
        return TL_OK;
    }
    const char *word = arguments->argv[arguments->at++];
    if (arguments->words_only || strncmp(word, "--", 2) != 0) {
        *ret_which = ARGUMENT_WORD;
        *ret_value = word;
        return TL_OK;
    }
    const char *name = word + 2;
    size_t name_n = strcspn(name, "=");
    for (size_t i = 0; i < arguments->n_known; i++) {
        const struct argument *known = &arguments->known[i];
        if (strlen(known->name) != name_n || strncmp(known->name, name, name_n) != 0) {
            continue;
        }
        const char *value = name[name_n] == '=' ? name + name_n + 1 : NULL;
        if (known->is_flag && value) {
            return tl_fail(err, TL_INVALID, "--%s takes no value", known->name);
        }
        if (!known->is_flag && !value && arguments->at >= arguments->argc) {
            return tl_fail(err, TL_INVALID, "--%s needs a value", known->name);
        }
        *ret_which = (int)i;
        *ret_value = known->is_flag ? "" : value ? value : arguments->argv[arguments->at++];
        return TL_OK;
    }
    return unknown_option(arguments, name, name_n, err);
}

enum tl_rc arguments_values(int argc, char **argv, const struct argument *known, size_t n_known,
                            const char **ret_values, struct tl_err *err)
{
    struct arguments arguments = {.argc = argc, .argv = argv, .known = known, .n_known = n_known};
    const char *value = NULL;
    int which = 0;
    enum tl_rc rc;

    for (size_t i = 0; i < n_known; i++) {
        ret_values[i] = NULL;
    }
    while (!(rc = arguments_next(&arguments, &which, &value, err)) && which != ARGUMENT_END) {
        if (which == ARGUMENT_WORD) {
            return tl_fail(err, TL_INVALID, "what is \"%.80s\"? every value has an option; --help lists them", value);
        }
        ret_values[which] = value;
    }
    return rc;
}

enum tl_rc argument_int(const char *name, const char *value, int64_t min, int64_t max, int64_t *ret_value,
                        struct tl_err *err)
{
    char *end = NULL;
    if (!value) {
        return TL_OK;
    }
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno || end == value || *end || number < min || number > max) {
        return tl_fail(err, TL_INVALID, "--%s wants a whole number from %lld to %lld, not \"%.40s\"", name,
                       (long long)min, (long long)max, value);
    }
    *ret_value = number;
    return TL_OK;
}

enum tl_rc argument_real(const char *name, const char *value, double min, double max, double *ret_value,
                         struct tl_err *err)
{
    char *end = NULL;
    if (!value) {
        return TL_OK;
    }
    const double number = strtod(value, &end);
    if (end == value || *end || !isfinite(number) || number < min || number > max) {
        return tl_fail(err, TL_INVALID, "--%s wants a number from %g to %g, not \"%.40s\"", name, min, max, value);
    }
    *ret_value = number;
    return TL_OK;
}

/* The name in the file of a family or of a space. */
static enum tl_rc space_of_path(const char *path, char ret_name[ARGUMENT_SPACE], struct tl_err *err)
{
    TL_AUTO(tl_buf) text = {.max = 1 << 20};
    struct net_family family;
    struct space_about about;
    enum tl_rc rc = tl_file_read(path, &text, err);
    if (rc) {
        return rc;
    }
    if (!text.data || !space_file_is(text.data, text.len)) {
        if (!(rc = net_family_load(path, &family, err))) {
            (void)snprintf(ret_name, ARGUMENT_SPACE, "%s", family.name);
        }
        return rc;
    }
    struct space *space = malloc(sizeof *space);
    if (!space) {
        return tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    }
    if (!(rc = space_file_decode(text.data, text.len, space, &about, err))) {
        (void)snprintf(ret_name, ARGUMENT_SPACE, "%s", space->name);
    }
    free(space);
    return tl_fail_in(err, rc, path);
}

enum tl_rc argument_space(const char *value, char ret_name[ARGUMENT_SPACE], struct tl_err *err)
{
    if (net_family_is_path(value)) {
        return space_of_path(value, ret_name, err);
    }
    if (!tl_name_valid(value)) {
        return tl_fail(err, TL_INVALID, "--space wants the name of a space or a path ending in .json, not \"%.80s\"",
                       value);
    }
    (void)snprintf(ret_name, ARGUMENT_SPACE, "%s", value);
    return TL_OK;
}
