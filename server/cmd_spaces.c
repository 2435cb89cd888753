/* cmd_spaces.c - `tailor spaces`: what may be searched, without a server. */
#include "server/command.h"
#include "server/space_of_family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_variable(const struct space *space, const struct space_variable *variable)
{
    printf("  %-16s", variable->name);
    for (unsigned i = 0; i < variable->n_options; i++) {
        printf(" %s", variable->labels[i]);
    }
    if (variable->parent >= 0) {
        const struct space_variable *parent = &space->variables[variable->parent];
        printf("   (when %s is", parent->name);
        for (unsigned i = 0; i < parent->n_options; i++) {
            if (variable->active_under >> i & 1U) {
                printf(" %s", parent->labels[i]);
            }
        }
        putchar(')');
    }
    putchar('\n');
}

static void print_space(const struct net_family *family, const struct space *space, bool in_full)
{
    char count[SPACE_COUNT_TEXT];
    space_count(space, count);
    printf("%s\n  %s\n  source: %s\n  %s sub-networks (%.3g) of %u variables\n", family->name, family->title,
           family->source, count, strtod(count, NULL), space->n_variables);
    for (size_t i = 0; in_full && i < space->n_variables; i++) {
        print_variable(space, &space->variables[i]);
    }
}

static enum tl_rc show(const struct net_family *family, bool in_full, struct tl_err *err)
{
    struct space *space = malloc(sizeof *space);
    enum tl_rc rc = space ? space_of_family(family, space, err) : tl_fail(err, TL_NO_MEMORY, "no memory for a space");
    if (rc == TL_OK) {
        print_space(family, space, in_full);
    }
    free(space);
    return rc;
}

static enum tl_rc unknown_space(const char *name, struct tl_err *err)
{
    const char *names[8];
    size_t n = net_family_count() < TL_COUNT_OF(names) ? net_family_count() : TL_COUNT_OF(names);
    for (size_t i = 0; i < n; i++) {
        names[i] = net_family_at(i)->name;
    }
    const char *near = tl_nearest(name, names, n);
    return tl_fail(err, TL_INVALID, "no space is called \"%.80s\"%s%s", name, near ? "; did you mean " : "",
                   near ? near : "");
}

static enum tl_rc run(int argc, char **argv, struct tl_err *err)
{
    struct arguments arguments = {.argc = argc, .argv = argv};
    const char *name = NULL;
    int which = 0;
    enum tl_rc rc;
    while (!(rc = arguments_next(&arguments, &which, &name, err)) && which != ARGUMENT_END) {
        const struct net_family *family = net_family_get(name);
        if ((rc = family ? show(family, true, err) : unknown_space(name, err)) != TL_OK) {
            return rc;
        }
    }
    for (size_t i = 0; rc == TL_OK && !name && i < net_family_count(); i++) {
        rc = show(net_family_at(i), false, err);
    }
    return rc;
}

const struct command command_spaces = {
    .name = "spaces",
    .summary = "list the spaces of networks, or show one with its variables",
    .help = "usage: tailor spaces [NAME]...\n\nNeeds no server.\n\nexample: tailor spaces ofa-mbv3-w1.0\n",
    .run = run,
};
